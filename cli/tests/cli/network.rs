//! A company runs one gateway before a server on the network, for all its users. The server's
//! secret must not appear in a log. A page in a browser must not reach the server. One customer
//! must not read another one's results. The restart in the evening must not lose a payment.

use crate::{
    mcp::{Client, Listening, states},
    workshop::{Workshop, wait_until},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// In two pieces, so that this file does not hold it.
const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");

const TOKEN: &str = "0123456789abcdef";

/// A server of the older era. `pay` takes effect at once, `slow` answers after a while, `hang` never, `fail` with a status.
struct Bank {
    port: u16,
    /// The requests, as they came.
    came: Arc<Mutex<Vec<String>>>,
}

impl Bank {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, came) = (
            listener.local_addr().unwrap().port(),
            Arc::<Mutex<Vec<String>>>::default(),
        );
        let all = Arc::clone(&came);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let all = Arc::clone(&all);
                thread::spawn(move || serve(stream, &all));
            }
        });
        Self { port, came }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// The calls that came.
    fn calls(&self) -> Vec<String> {
        self.came
            .lock()
            .unwrap()
            .iter()
            .filter(|came| came.contains(r#""tools/call""#))
            .cloned()
            .collect()
    }

    fn wait_for_calls(&self, count: usize) {
        wait_until(|| self.calls().len() >= count, Path::new("calls"));
    }
}

fn serve(mut stream: TcpStream, all: &Mutex<Vec<String>>) {
    let Some(came) = whole(&mut stream) else {
        return;
    };
    let effects = {
        let mut all = all.lock().unwrap();
        all.push(came.clone());
        all.iter()
            .filter(|came| came.contains(r#""tools/call""#))
            .count()
    };
    let body = came.split_once("\r\n\r\n").unwrap().1;
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let result = match (
        message["method"].as_str(),
        message["params"]["name"].as_str(),
    ) {
        (Some("initialize"), _) => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": { "name": "b", "version": "1" },
        }),
        (Some("tools/list"), _) => json!({ "tools": (["pay", "slow", "hang", "fail"].map(tool)) }),
        (_, Some("hang")) => return thread::sleep(Duration::from_secs(60)),
        (_, Some("fail")) => return write(&mut stream, "500 X", ""),
        (_, Some(name)) => {
            thread::sleep(Duration::from_millis(if name == "slow" { 700 } else { 0 }));
            json!({ "content": [{ "type": "text", "text": format!("paid {effects}") }] })
        }
        _ if message["id"].is_null() => return write(&mut stream, "202 X", ""),
        _ => json!({}),
    };
    let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string();
    write(
        &mut stream,
        "200 X\r\nContent-Type: application/json",
        &answer,
    );
}

/// A request, once it is there.
fn whole(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
    loop {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            return Some(text.into_owned());
        }
    }
}

fn write(stream: &mut TcpStream, head: &str, body: &str) {
    let length = body.len();
    // A client that has gone reads nothing.
    let _ = write!(
        stream,
        "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
}

/// The log of a gateway that keeps nothing back.
fn talkative(shop: &Workshop, words: &[&str]) -> Command {
    let mut command = shop.semel(words);
    command
        .env("SEMEL_LOG", "trace")
        .env("BANK_KEY", format!("Bearer {CANARY}"));
    command
}

#[test]
fn a_secret_of_the_environment_reaches_the_server_and_nobody_else() {
    let bank = Bank::open();
    let server = format!(
        "[[mcp.server]]\nname = \"bank\"\nurl = \"{}\"\nheaders_env = {{ Authorization = \"BANK_KEY\" }}\n",
        bank.url()
    );
    let shop = Workshop::new(&server);
    let mut client = Client::started(talkative(&shop, &["mcp", "--log", "json"]));
    let mut told = String::new();
    for (id, tool) in [(1, "pay"), (2, "fail"), (3, "no-such-tool")] {
        client.call(id, tool);
        told += &client.response().to_string();
    }
    client.say(r#"{"jsonrpc":"2.0","id":4,"method":"resources/list"}"#);
    told += &client.response().to_string();
    drop(client.input.take());
    let (done, _) = client.wait(Instant::now());
    assert_eq!(done.exit, 0, "{done:?}");
    let came = bank.came.lock().unwrap().clone();
    let is_told = |came: &&String| came.contains(&format!("authorization: Bearer {CANARY}"));
    assert!(
        came.len() > 5 && came.iter().all(|came| is_told(&came)),
        "the control: the server gets it each time"
    );
    assert!(
        done.stderr.contains("TRACE"),
        "the control: everything is logged"
    );
    assert!(!done.stderr.contains(CANARY) && !told.contains(CANARY));
    let files = fs::read_dir(shop.path(""))
        .unwrap()
        .map(|file| file.unwrap().path());
    let kept: Vec<_> = files
        .filter(|path| path.is_file())
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(
        kept.iter().any(|file| file.starts_with(b"SQLite format 3")),
        "the control: the ledger is among them"
    );
    let holds = |file: &&Vec<u8>| {
        file.windows(CANARY.len())
            .any(|part| part == CANARY.as_bytes())
    };
    assert_eq!(kept.iter().filter(holds).count(), 0);
}

/// A gateway for customers before the bank.
fn gateway(shop: &Workshop, bank: &Bank) -> Listening {
    shop.write("gate", TOKEN);
    let command = talkative(
        shop,
        &["mcp", "--listen", "127.0.0.1:0", "--upstream", &bank.url()],
    );
    Listening::of(command)
}

/// A gateway that serves every caller as the same tenant.
const GATE_OF_ONE: &str = "[mcp]\ntoken_file = \"gate\"\n";

const GATE: &str = "[mcp]\ntoken_file = \"gate\"\ntenant_header = \"X-Tenant\"\norigins = [\"https://app.example\"]\n";

/// The head and the body of a call of the newer era.
fn call(tool: &str, headers: &str) -> (String, String) {
    let own = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": tool, "arguments": { "order": 7 }, "_meta": own });
    let head = format!(
        "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n{headers}"
    );
    (
        head,
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string(),
    )
}

fn of(tenant: &str) -> String {
    format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nX-Tenant: {tenant}")
}

/// The answer's word and text.
fn read(answer: &str) -> (String, String) {
    let body = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("`{answer}`"))
        .1;
    let body: Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    let result = &body["result"];
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{body}"))
            .to_owned()
    };
    (
        text(&result["_meta"]["dev.semel/answer"]),
        text(&result["content"][0]["text"]),
    )
}

#[test]
fn only_who_may_come_in_reaches_the_server() {
    let (bank, shop) = (Bank::open(), Workshop::new(GATE));
    let gateway = gateway(&shop, &bank);
    let status = |headers: &str| {
        let (head, body) = call("pay", headers);
        gateway
            .send(&head, &body)
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let token = format!("Authorization: Bearer {TOKEN}");
    for (headers, refused) in [
        ("Host: localhost\r\nX-Tenant: a".to_owned(), "401"),
        (
            "Host: localhost\r\nX-Tenant: a\r\nAuthorization: Bearer 0123456789abcdee".to_owned(),
            "401",
        ),
        (format!("Host: localhost\r\n{token}"), "400"),
        (
            format!("Host: evil.example\r\nX-Tenant: a\r\n{token}"),
            "403",
        ),
        (
            format!("{}\r\nOrigin: https://evil.example", of("a")),
            "403",
        ),
        (format!("{}\r\nX-Tenant: b", of("a")), "400"),
    ] {
        assert_eq!(status(&headers), refused, "{headers}");
    }
    assert!(
        bank.came.lock().unwrap().is_empty(),
        "none of them reached the server"
    );
    assert_eq!(
        status(&format!("{}\r\nOrigin: https://app.example", of("a"))),
        "200",
        "the control"
    );
    assert_eq!(bank.calls().len(), 1);
    assert!(
        !bank
            .came
            .lock()
            .unwrap()
            .iter()
            .any(|came| came.contains(TOKEN)),
        "the token stays here"
    );
    assert!(!gateway.ended().contains(TOKEN));
}

#[test]
fn no_tenant_reads_what_anothers_call_came_to() {
    let (bank, shop) = (Bank::open(), Workshop::new(GATE));
    let gateway = gateway(&shop, &bank);
    let send = |tenant: &str, tool: &str| {
        let (head, body) = call(tool, &of(tenant));
        read(&gateway.send(&head, &body))
    };
    // The first one goes away before its payment is answered.
    let (head, body) = call("slow", &of("acme"));
    let mut broken_off = TcpStream::connect(&gateway.address).unwrap();
    write!(
        broken_off,
        "{head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    bank.wait_for_calls(1);
    drop(broken_off);
    assert_eq!(
        send("globex", "slow"),
        ("executed".to_owned(), "paid 2".to_owned())
    );
    assert_eq!(
        send("acme", "slow"),
        ("replayed".to_owned(), "paid 1".to_owned()),
        "the control: it is kept for its own"
    );
    assert_eq!(bank.calls().len(), 2);
}

#[test]
fn a_gateway_that_is_told_to_end_answers_what_is_under_way_first() {
    let (bank, shop) = (Bank::open(), Workshop::new(GATE_OF_ONE));
    let gateway = gateway(&shop, &bank);
    let (head, body) = call("slow", &of("acme"));
    let answer = thread::scope(|scope| {
        let asked = scope.spawn(|| gateway.send(&head, &body));
        bank.wait_for_calls(1);
        Command::new("kill")
            .arg(gateway.child.id().to_string())
            .status()
            .unwrap();
        wait_until(
            || TcpStream::connect(&gateway.address).is_err(),
            Path::new("its end"),
        );
        asked.join().unwrap()
    });
    assert_eq!(read(&answer), ("executed".to_owned(), "paid 1".to_owned()));
    gateway.ended();
    assert_eq!(states(&shop), ["landed"]);
}

#[test]
fn a_call_that_outlasts_the_gateways_patience_is_in_doubt() {
    let (bank, shop) = (
        Bank::open(),
        Workshop::new(&format!("{GATE_OF_ONE}shutdown_within = \"200ms\"\n")),
    );
    let gateway = gateway(&shop, &bank);
    let (head, body) = call("hang", &of("acme"));
    let mut asked = TcpStream::connect(&gateway.address).unwrap();
    write!(
        asked,
        "{head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    bank.wait_for_calls(1);
    assert_eq!(states(&shop), ["running"], "the control: it is under way");
    let began = Instant::now();
    gateway.ended();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_ne!(states(&shop), ["running"]);
}
