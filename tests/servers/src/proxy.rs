//! A wire between a store and its server that breaks after so many bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
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
            has_ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", accepting.target))) else {
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

    /// Whether it has broken since; it will not any more.
    pub fn has_cut(&self) -> bool {
        self.inner.cut.lock().unwrap().take().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.has_ended.store(true, Ordering::Relaxed);
        self.inner.break_all();
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Inner {
    fn join(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copies = [&client, &server].map(|stream| stream.try_clone().unwrap());
        self.open.lock().unwrap().extend(copies);
        let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        for (way, from, to) in [(Way::Request, client, to_server), (Way::Reply, server, to_client)] {
            let inner = Arc::clone(self);
            thread::spawn(move || inner.pass_on(way, from, to));
        }
    }

    fn pass_on(&self, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
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
