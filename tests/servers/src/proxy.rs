//! A TCP proxy between a client and a server that injects network faults.
//!
//! It cuts connections after a number of bytes, delays data, or goes silent without closing
//! anything.

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

/// The direction in which bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficDirection {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Reply,
}

/// A proxy from a port of its own to the port of a server, until it is dropped.
pub struct TcpProxy {
    pub port: u16,
    state: Arc<ProxyState>,
}

struct ProxyState {
    target_port: u16,
    /// The pending cut: all connections break after so many more bytes in this direction.
    pending_cut: Mutex<Option<(TrafficDirection, usize)>>,
    open_streams: Mutex<Vec<TcpStream>>,
    connection_count: AtomicUsize,
    request_count: AtomicUsize,
    is_paused: Mutex<bool>,
    resumed: Condvar,
    delay_ms: AtomicU64,
    has_ended: AtomicBool,
}

impl TcpProxy {
    /// Starts a proxy to a port of `127.0.0.1`.
    pub fn new(target_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(ProxyState {
            target_port,
            pending_cut: Mutex::default(),
            open_streams: Mutex::default(),
            connection_count: AtomicUsize::new(0),
            request_count: AtomicUsize::new(0),
            is_paused: Mutex::default(),
            resumed: Condvar::new(),
            delay_ms: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
        });
        let acceptor = Arc::clone(&state);
        thread::spawn(move || acceptor.accept_connections(&listener));
        Self { port, state }
    }

    /// Cuts all connections after so many more bytes in this direction. Later connections work.
    pub fn cut_after(&self, direction: TrafficDirection, bytes: usize) {
        *self.state.pending_cut.lock().unwrap() = Some((direction, bytes));
    }

    /// Returns whether a cut is pending.
    pub fn is_cut_pending(&self) -> bool {
        self.state.pending_cut.lock().unwrap().is_some()
    }

    /// Cancels the pending cut, and returns whether it came too late: the connections were cut
    /// already.
    pub fn cancel_cut(&self) -> bool {
        self.state.pending_cut.lock().unwrap().take().is_none()
    }

    /// Cuts all connections now. Later connections work.
    pub fn cut_connections(&self) {
        self.state.close_streams();
    }

    /// Delays each read in both directions.
    pub fn delay_by(&self, delay: Duration) {
        self.state
            .delay_ms
            .store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// Forwards nothing in either direction until [`Self::resume`]: a network that drops packets
    /// and closes nothing.
    pub fn pause(&self) {
        *self.state.is_paused.lock().unwrap() = true;
    }

    /// Forwards data again, beginning with what arrived during the pause.
    pub fn resume(&self) {
        *self.state.is_paused.lock().unwrap() = false;
        self.state.resumed.notify_all();
    }

    /// The number of connections that clients opened, including those that the server did not
    /// accept.
    pub fn connection_count(&self) -> usize {
        self.state.connection_count.load(Ordering::Relaxed)
    }

    /// The number of reads that returned data for the server: about one for each request.
    pub fn request_count(&self) -> usize {
        self.state.request_count.load(Ordering::Relaxed)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::Relaxed);
        self.state.close_streams();
        self.resume();
        // The acceptor blocks in `accept`: one more connection lets it read the flag.
        let _acceptor_ended = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl ProxyState {
    fn accept_connections(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.has_ended.load(Ordering::Relaxed) {
                return;
            }
            self.connection_count.fetch_add(1, Ordering::Relaxed);
            let Ok(client) = client else { continue };
            // Where the server is down, the client's stream is dropped here and so closed.
            if let Ok(server) = TcpStream::connect(("127.0.0.1", self.target_port)) {
                self.forward_both_ways(client, server);
            }
        }
    }

    fn forward_both_ways(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copies = [&client, &server].map(|stream| stream.try_clone().unwrap());
        let mut open_streams = self.open_streams.lock().unwrap();
        // A long test opens many connections: forget those that are closed, which have no peer.
        open_streams.retain(|stream| stream.peer_addr().is_ok());
        open_streams.extend(copies);
        drop(open_streams);
        let to_client = client.try_clone().unwrap();
        let to_server = server.try_clone().unwrap();
        for (direction, from, to) in [
            (TrafficDirection::Request, client, to_server),
            (TrafficDirection::Reply, server, to_client),
        ] {
            let state = Arc::clone(self);
            thread::spawn(move || state.forward(direction, from, to));
        }
    }

    /// Forwards one direction of a connection until either end closes it or the cut is reached.
    fn forward(&self, direction: TrafficDirection, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if direction == TrafficDirection::Request {
                self.request_count.fetch_add(1, Ordering::Relaxed);
            }
            // Data is counted against the cut when it is forwarded, not when it arrives: a pause or a
            // delay before it may change the cut.
            self.wait_while_paused();
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed)));
            let allowed = self.bytes_before_cut(direction, count);
            let is_written = to.write_all(&buffer[..allowed]).is_ok();
            if allowed < count {
                self.close_streams();
            }
            if !is_written || allowed < count {
                break;
            }
        }
        for stream in [from, to] {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
    }

    /// Blocks while the proxy is paused. Data held at the end of the proxy is lost: its connections
    /// are closed by then.
    fn wait_while_paused(&self) {
        let is_paused = self.is_paused.lock().unwrap();
        let must_wait =
            |is_paused: &mut bool| *is_paused && !self.has_ended.load(Ordering::Relaxed);
        drop(self.resumed.wait_while(is_paused, must_wait).unwrap());
    }

    /// Returns how many of `count` bytes may pass. Fewer than `count` is the cut itself, which is
    /// then over.
    fn bytes_before_cut(&self, direction: TrafficDirection, count: usize) -> usize {
        let mut pending_cut = self.pending_cut.lock().unwrap();
        match &mut *pending_cut {
            Some((cut_direction, remaining)) if *cut_direction == direction => {
                if count > *remaining {
                    let allowed = *remaining;
                    *pending_cut = None;
                    return allowed;
                }
                *remaining -= count;
                count
            }
            _ => count,
        }
    }

    fn close_streams(&self) {
        for stream in self.open_streams.lock().unwrap().drain(..) {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
    }
}
