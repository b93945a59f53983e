//! The shop, reached from other processes: a socket, a line a request, a line a reply.

use crate::{
    shop::{Request, Shop},
    stories::Line,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

/// Opens the shop at `path`. It is open as long as the process of the test lives.
pub fn open(shop: &Arc<Shop>, path: &Path) {
    let (shop, door) = (Arc::clone(shop), UnixListener::bind(path).unwrap());
    thread::spawn(move || {
        for customer in door.incoming().map_while(Result::ok) {
            let shop = Arc::clone(&shop);
            thread::spawn(move || serve(&shop, customer));
        }
    });
}

/// Serves one connection until its other end is gone, in the middle of a line as it may be.
fn serve(shop: &Shop, customer: UnixStream) {
    let mut replies = customer.try_clone().unwrap();
    for line in BufReader::new(customer).lines().map_while(Result::ok) {
        let Ok(request) = serde_json::from_str(&line) else {
            return;
        };
        if writeln!(replies, "{}", shop.answer(request)).is_err() {
            return;
        }
    }
}

/// The way to the shop from another process.
#[derive(Debug)]
pub struct Wire(Mutex<BufReader<UnixStream>>);

impl Wire {
    pub fn to(path: &Path) -> Self {
        Self(Mutex::new(BufReader::new(
            UnixStream::connect(path).unwrap(),
        )))
    }
}

impl Line for Wire {
    fn ask(&self, request: Request) -> Value {
        let mut wire = self.0.lock().unwrap();
        let line = format!("{}\n", serde_json::to_string(&request).unwrap());
        wire.get_mut().write_all(line.as_bytes()).unwrap();
        let mut reply = String::new();
        wire.read_line(&mut reply).unwrap();
        serde_json::from_str(&reply).unwrap()
    }
}
