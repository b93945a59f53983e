//! A wire between a store and its server that breaks after so many bytes, is slow, or passes nothing on for a while.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Request,
    Reply,
}

/// A wire between a port of its own and that of a server.
pub struct Proxy {
    pub port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    target: u16,
    /// After how many more bytes which way all connections break.
    cut: Mutex<Option<(Way, usize)>>,
    open: Mutex<Vec<TcpStream>>,
    /// How often somebody connected.
    connections: AtomicUsize,
    /// How often something came this way that was to be passed on.
    requests: AtomicUsize,
    stands_still: Mutex<bool>,
    goes_on: Condvar,
    /// How long what arrives is kept before it goes on, in milliseconds.
    delay_ms: AtomicU64,
    has_ended: AtomicBool,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            target,
            cut: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            stands_still: Mutex::default(),
            goes_on: Condvar::new(),
            delay_ms: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.has_ended.load(Ordering::Relaxed) {
                    return;
                }
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                let (Ok(client), Ok(server)) =
                    (client, TcpStream::connect(("127.0.0.1", accepting.target)))
                else {
                    continue;
                };
                accepting.join(client, server);
            }
        });
        Self { port, inner }
    }

    /// Breaks all connections after so many more bytes this way. Later ones hold.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        *self.inner.cut.lock().unwrap() = Some((way, bytes));
    }

    /// Keeps whatever arrives for so long before it goes on, both ways.
    pub fn delay_by(&self, delay: Duration) {
        self.inner
            .delay_ms
            .store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// Whether it has yet to break.
    pub fn will_cut(&self) -> bool {
        self.inner.cut.lock().unwrap().is_some()
    }

    /// Whether it has broken since; it will not any more.
    pub fn has_cut(&self) -> bool {
        self.inner.cut.lock().unwrap().take().is_none()
    }

    /// Breaks all connections now. Later ones hold.
    pub fn cut(&self) {
        self.inner.break_all();
    }

    /// Passes nothing on, either way, until it is let go on: as a network that lost its way, which tells nobody.
    pub fn stand_still(&self, stands_still: bool) {
        *self.inner.stands_still.lock().unwrap() = stands_still;
        self.inner.goes_on.notify_all();
    }

    /// How often somebody connected, whether or not the server was there.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }

    /// How often something was sent to the server.
    pub fn requests(&self) -> usize {
        self.inner.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.has_ended.store(true, Ordering::Relaxed);
        self.inner.break_all();
        self.stand_still(false);
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Inner {
    fn join(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copies = [&client, &server].map(|stream| stream.try_clone().unwrap());
        let mut open = self.open.lock().unwrap();
        // A day has many connections, and those that are closed have no other end.
        open.retain(|stream| stream.peer_addr().is_ok());
        open.extend(copies);
        drop(open);
        let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        for (way, from, to) in [
            (Way::Request, client, to_server),
            (Way::Reply, server, to_client),
        ] {
            let inner = Arc::clone(self);
            thread::spawn(move || inner.pass_on(way, from, to));
        }
    }

    fn pass_on(&self, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if way == Way::Request {
                self.requests.fetch_add(1, Ordering::Relaxed);
            }
            self.wait_while_it_stands_still();
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed)));
            let passes = self.allowed(way, count);
            let is_passed = to.write_all(&buffer[..passes]).is_ok();
            if passes < count {
                self.break_all();
            }
            if !is_passed || passes < count {
                break;
            }
        }
        for stream in [from, to] {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
    }

    /// What was held back when the wire ended is lost: its connections are broken by then.
    fn wait_while_it_stands_still(&self) {
        let held = self.stands_still.lock().unwrap();
        let waits = |held: &mut bool| *held && !self.has_ended.load(Ordering::Relaxed);
        drop(self.goes_on.wait_while(held, waits).unwrap());
    }

    fn allowed(&self, way: Way, count: usize) -> usize {
        let mut cut = self.cut.lock().unwrap();
        match &mut *cut {
            Some((cut_way, left)) if *cut_way == way => {
                if count > *left {
                    let passes = *left;
                    *cut = None;
                    return passes;
                }
                *left -= count;
                count
            }
            _ => count,
        }
    }

    fn break_all(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
    }
}
