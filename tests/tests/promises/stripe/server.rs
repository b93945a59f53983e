//! The server: HTTP over the loopback, on a free port, for as long as a story lasts.

use super::books::{Books, Fault, Form, Reply, Step};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

/// The server. It ends when it is dropped.
pub struct Stripe {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    books: Mutex<Books>,
    /// Each execution takes one.
    turns: Semaphore,
}

impl Stripe {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let turns = Semaphore::new(Semaphore::MAX_PERMITS);
        let state = Arc::new(State {
            books: Mutex::default(),
            turns,
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            serving,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Something goes wrong with the next request; then with the one after it, for what is said later.
    pub fn next(&self, fault: Fault) {
        self.books(|books| books.faults.push_back(fault));
    }

    pub fn pass(&self, time: Duration) {
        self.books(|books| books.pass(time));
    }

    /// The number of objects of a kind that took effect.
    pub fn made(&self, kind: &'static str) -> usize {
        self.books(|books| books.made.get(kind).map_or(0, Vec::len))
    }

    /// The key of every request that came in.
    pub fn keys(&self) -> Vec<Option<String>> {
        self.books(|books| books.keys.clone())
    }

    /// The statuses of its answers, in their order, whether they arrived or not.
    pub fn statuses(&self) -> Vec<u16> {
        self.books(|books| books.statuses.clone())
    }

    /// From now on what is to be carried out waits.
    pub fn pause(&self) {
        self.state.turns.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Carries out the requests that wait.
    pub fn go_on(&self) {
        self.state.turns.add_permits(1_000);
    }

    fn books<T>(&self, read: impl FnOnce(&mut Books) -> T) -> T {
        read(&mut self.state.books.lock().unwrap())
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&state), request));
            // What is lost ends the connection with an error: that is what it is for.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let path = request.uri().path().to_owned();
    let keys: Vec<_> = request
        .headers()
        .get_all("idempotency-key")
        .iter()
        .cloned()
        .collect();
    assert!(keys.len() <= 1, "two keys on one request: {keys:?}");
    let key = keys.first().map(|key| key.to_str().unwrap().to_owned());
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(|_| "the request was cut")?
        .to_bytes();
    let form = form(std::str::from_utf8(&body).unwrap());
    let fault = state.books.lock().unwrap().faults.pop_front();
    if fault == Some(Fault::RequestLost) {
        return Err("the request is lost");
    }
    // A client that goes away stops nothing: a request that was read is carried out.
    let done = tokio::spawn(async move { reply(&state, &path, &form, key, fault).await })
        .await
        .unwrap();
    if matches!(fault, Some(Fault::ReplyLost | Fault::DeclineLost)) {
        return Err("the reply is lost");
    }
    let mut response = Response::new(Full::new(Bytes::from(done.body.to_string())));
    *response.status_mut() = StatusCode::from_u16(done.status).unwrap();
    if done.replayed {
        response
            .headers_mut()
            .insert("idempotent-replayed", "true".parse().unwrap());
    }
    Ok(response)
}

async fn reply(
    state: &State,
    path: &str,
    form: &Form,
    key: Option<String>,
    fault: Option<Fault>,
) -> Reply {
    let admitted = state.books.lock().unwrap().admit(path, form, key, fault);
    let reply = match admitted {
        Step::Answer(reply) => reply,
        Step::Begin(key) => {
            let _turn = state.turns.acquire().await.unwrap();
            state
                .books
                .lock()
                .unwrap()
                .carry_out(path, form, key, fault)
        }
    };
    state.books.lock().unwrap().statuses.push(reply.status);
    reply
}

fn form(body: &str) -> Form {
    let fields = body.split('&').filter(|field| !field.is_empty());
    fields
        .map(|field| field.split_once('=').unwrap())
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
