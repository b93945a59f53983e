//! A gateway is a program that others start, end, kill and scrape. What it was doing must stand in the ledger all the same.

use crate::workshop::{CommandOutput, Workshop, wait_until};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// A server over stdio, which does to each call what the name of its tool says.
const SERVER: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9][0-9]*\).*/\1/p')
  say() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
  case "$line" in
    *'"method":"initialize"'*) echo x >> opened
      say '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}';;
    *'"method":"tools/list"'*) say '{"tools":[{"name":"pay","inputSchema":{"type":"object"}}]}';;
    *'"method":"ping"'*) say '{}';;
    *'"name":"hang"'*) echo x >> effects;;
    *'"name":"die"'*) echo x >> effects; exit 1;;
    *'"method":"tools/call"'*) echo x >> effects; say '{"content":[{"type":"text","text":"paid"}]}';;
  esac
done
"#;

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;

/// A client of `semel mcp` over stdio.
pub(crate) struct Client {
    child: Child,
    pub(crate) input: Option<ChildStdin>,
    /// The lines that it writes.
    output: Receiver<String>,
}

impl Client {
    /// Of a gateway with these options before these words of a command.
    pub(crate) fn of(shop: &Workshop, options: &[&str], words: &[&str]) -> Self {
        shop.write("server.sh", SERVER);
        let words = [&["mcp"], options, words].concat();
        Self::started(shop.semel(&words))
    }

    pub(crate) fn started(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, lines) = (
            child.stdin.take(),
            BufReader::new(child.stdout.take().unwrap()).lines(),
        );
        let (sender, output) = channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut client = Self {
            child,
            input,
            output,
        };
        client.say(INITIALIZE);
        assert_eq!(client.hear()["id"], 0);
        client.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        client
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn call(&mut self, id: u32, tool: &str) {
        let params = json!({ "name": tool, "arguments": { "order": 7 } });
        self.say(
            &json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
                .to_string(),
        );
    }

    pub(crate) fn hear(&mut self) -> Value {
        let line = self.output.recv_timeout(Duration::from_secs(20)).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    /// The next response to a request.
    pub(crate) fn response(&mut self) -> Value {
        loop {
            let message = self.hear();
            if message.get("id").is_some() {
                return message;
            }
        }
    }

    /// Sends the signal, and says how long the gateway took to end.
    fn ended_by(mut self, signal: &str) -> (CommandOutput, Duration) {
        let began = Instant::now();
        Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        self.wait(began)
    }

    pub(crate) fn wait(&mut self, began: Instant) -> (CommandOutput, Duration) {
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let exit = self.child.wait().unwrap().code().unwrap_or(-1);
        (
            CommandOutput {
                exit,
                stdout: String::new(),
                bytes: Vec::new(),
                stderr,
            },
            began.elapsed(),
        )
    }
}

const COMMAND: [&str; 3] = ["--", "sh", "server.sh"];

pub(crate) fn states(shop: &Workshop) -> Vec<String> {
    let listed = shop.run(&["ledger", "list"]);
    listed
        .stdout
        .lines()
        .map(|line| line.split('\t').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn a_call_under_way_is_in_doubt_once_the_gateway_is_told_to_end() {
    let shop = Workshop::new("");
    let mut client = Client::of(&shop, &["--name", "bank"], &COMMAND);
    client.call(1, "hang");
    shop.wait_for("effects");
    assert_eq!(states(&shop), ["running"], "the control: it is under way");
    let (done, took) = client.ended_by("-TERM");
    assert_eq!(done.exit, 0, "{done:?}");
    assert!(
        took < Duration::from_secs(2),
        "whoever sends SIGTERM kills two seconds later: {took:?}"
    );
    assert_ne!(states(&shop), ["running"], "{done:?}");
    let mut again = Client::of(&shop, &["--name", "bank"], &COMMAND);
    again.call(1, "hang");
    let answer = &again.hear()["result"]["_meta"]["dev.semel/answer"];
    assert!(
        answer == "held" || answer == "in-doubt" || answer == "in doubt",
        "{answer}"
    );
    assert_eq!(shop.effects(), 1);
}

#[test]
fn a_client_that_closes_its_stream_and_goes_leaves_no_call_running() {
    let shop = Workshop::new("[mcp]\nshutdown_within = \"200ms\"\n");
    let mut client = Client::of(&shop, &["--name", "bank"], &COMMAND);
    client.call(1, "hang");
    shop.wait_for("effects");
    drop(client.input.take());
    let (done, took) = client.wait(Instant::now());
    assert_eq!(done.exit, 0, "{done:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_ne!(states(&shop), ["running"]);
}

#[test]
fn a_server_that_dies_is_started_again_and_nothing_is_sent_twice() {
    let shop = Workshop::new("");
    let mut client = Client::of(&shop, &["--name", "bank"], &COMMAND);
    client.call(1, "die");
    assert_eq!(client.response()["result"]["isError"], true);
    client.say(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    let pong = client.response();
    assert_eq!(
        (&pong["id"], &pong["result"]),
        (&json!(2), &json!({})),
        "the next one serves"
    );
    assert_eq!(
        shop.read("opened").lines().count(),
        2,
        "it was opened without the client"
    );
    client.call(3, "die");
    let answer = client.response();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(shop.effects(), 1);
    client.call(4, "pay");
    assert_eq!(client.response()["result"]["content"][0]["text"], "paid");
}

#[test]
fn a_server_that_must_not_be_started_again_is_not() {
    let shop = Workshop::new(
        "[[mcp.server]]\nname = \"bank\"\ncommand = [\"sh\", \"server.sh\"]\nrestart = false\n",
    );
    let mut client = Client::of(&shop, &[], &[]);
    client.call(1, "die");
    client.response();
    client.say(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    let error = client.response()["error"].clone();
    assert_eq!(error["code"], -31_001, "{error}");
    assert_eq!(shop.read("opened").lines().count(), 1);
}

#[test]
fn two_servers_are_one_to_their_client_and_apart_in_the_ledger() {
    let server =
        |name| format!("[[mcp.server]]\nname = \"{name}\"\ncommand = [\"sh\", \"server.sh\"]\n");
    let shop = Workshop::new(&(server("bank") + &server("shop")));
    let mut client = Client::of(&shop, &[], &[]);
    client.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let listed = client.response();
    let names: Vec<_> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(names, ["bank_pay", "shop_pay"]);
    for (id, tool) in [(2, "bank_pay"), (3, "shop_pay")] {
        client.call(id, tool);
        assert_eq!(
            client.response()["result"]["content"][0]["text"],
            "paid",
            "{tool}"
        );
    }
    assert_eq!(shop.effects(), 2);
    client.call(4, "pay");
    assert_eq!(client.response()["error"]["code"], -32_602);
}

/// A hotel over stdio: each tool says what it did by its name.
const HOTEL: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  say() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
  case "$line" in
    *'"method":"initialize"'*)
      say '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}';;
    *'"method":"tools/list"'*) say '{"tools":[{"name":"book","inputSchema":{"type":"object"}},{"name":"cancel","inputSchema":{"type":"object"}}]}';;
    *'"name":"book"'*) echo book >> done; say '{"content":[{"type":"text","text":"booked"}]}';;
    *'"name":"cancel"'*) echo cancel >> done; say '{"content":[{"type":"text","text":"cancelled"}]}';;
  esac
done
"#;

#[test]
fn what_was_booked_and_cancelled_through_the_gateway_can_be_booked_again() {
    let shop = Workshop::new(
        r#"
[[tool]]
match = "book"
policy = "intent"
settings = { identity = ["room"], handles = ["room/{arguments:/room}"] }
[[tool]]
match = "cancel"
policy = "intent"
settings = { identity = ["room"], undoes = ["room/{/room}"] }
"#,
    );
    shop.write("hotel.sh", HOTEL);
    let mut client = Client::started(shop.semel(&["mcp", "--", "sh", "hotel.sh"]));
    let mut id = 0;
    for _ in 0..2 {
        for tool in ["book", "book", "cancel", "cancel"] {
            id += 1;
            let call = json!({
                "jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": { "name": tool, "arguments": { "room": 7 } },
            });
            client.say(&call.to_string());
            assert_eq!(client.response()["id"], id);
            // The order of what happens within a millisecond is unsure, and would undo nothing.
            thread::sleep(Duration::from_millis(5));
        }
    }
    let done = std::fs::read_to_string(shop.path("done")).unwrap();
    assert_eq!(done, "book\ncancel\nbook\ncancel\n");
}

#[test]
fn an_address_that_others_reach_is_not_listened_on_without_a_token() {
    let shop = Workshop::new("");
    shop.run(&["mcp", "--listen", "0.0.0.0:0", "--", "sh"])
        .assert_message(78, "no token is set up");
    shop.run(&["mcp", "--listen", "here", "--", "sh"])
        .assert_message(64, "is not an address");
    shop.run(&["mcp"]).assert_message(64, "no server is named");
    shop.run(&["mcp", "--", "no-such-server"])
        .assert_message(66, "cannot be started");
}

/// A gateway that listens, and what it answers.
pub(crate) struct Listening {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// The log, complete once the gateway has ended.
    log: Option<thread::JoinHandle<String>>,
}

impl Listening {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(
                said.read_line(&mut line).unwrap(),
                0,
                "it says where it serves"
            );
            if let Some((_, address)) = line.split_once("serving MCP at http://") {
                break address.to_owned();
            }
        };
        let address = address.trim_end().trim_end_matches("/mcp").to_owned();
        // What it logs later must not keep it.
        let log = thread::spawn(move || {
            let mut log = String::new();
            said.read_to_string(&mut log).unwrap();
            log
        });
        Self {
            child,
            address,
            log: Some(log),
        }
    }

    pub(crate) fn send(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends the gateway with SIGTERM, and returns its log.
    pub(crate) fn ended(mut self) -> String {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.log.take().unwrap().join().unwrap()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.send(
            &format!("GET {path} HTTP/1.1\r\nHost: localhost{headers}"),
            "",
        )
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_gateway_that_listens_lets_in_who_knows_the_token_and_tells_of_its_health() {
    let shop = Workshop::new(
        "[mcp]\ntoken_file = \"token\"\n[[mcp.server]]\nname = \"bank\"\ncommand = [\"sh\", \"server.sh\"]\n",
    );
    shop.write("token", "0123456789abcdef\n");
    shop.write("server.sh", SERVER);
    let gateway = Listening::of(shop.semel(&["mcp", "--listen", "localhost:0"]));
    for path in ["/healthz", "/readyz"] {
        assert!(gateway.get(path, "").starts_with("HTTP/1.1 200"), "{path}");
    }
    let initialize = |token: &str, host: &str| {
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream{token}"
        );
        gateway.send(&head, INITIALIZE)
    };
    let token = "\r\nAuthorization: Bearer 0123456789abcdef";
    assert!(initialize("", "localhost").starts_with("HTTP/1.1 401"));
    assert!(initialize(token, "evil.example").starts_with("HTTP/1.1 403"));
    let opened = initialize(token, "localhost");
    assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
    assert!(gateway.get("/metrics", "").starts_with("HTTP/1.1 401"));
    let metrics = gateway.get("/metrics", token);
    assert!(
        metrics.contains("semel_running 0") && metrics.contains("semel_held 0"),
        "{metrics}"
    );
}

#[test]
fn neither_arguments_nor_outcomes_are_logged() {
    const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");
    let shop = Workshop::new("");
    shop.write("server.sh", SERVER);
    let mut command = shop.semel(&["mcp", "--log", "json", "--", "sh", "server.sh"]);
    command.env("SEMEL_LOG", "trace");
    let mut client = Client::started(command);
    let params = json!({ "name": "pay", "arguments": { "order": CANARY } });
    client.say(
        &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string(),
    );
    client.response();
    drop(client.input.take());
    let (done, _) = client.wait(Instant::now());
    let lines: Vec<Value> = done
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        !lines.is_empty(),
        "the control: something is logged, and every line is JSON"
    );
    assert_eq!(
        done.stderr
            .lines()
            .filter(|line| line.contains(CANARY))
            .count(),
        0
    );
    wait_until(|| shop.effects() == 1, Path::new("effects"));
}

#[test]
fn a_clients_configuration_is_shown_before_it_is_changed_and_comes_back_as_it_was() {
    let shop = Workshop::new("");
    let config = "{\n  // Mine.\n  \"mcpServers\": {\n    \"bank\": { \"command\": \"sh\", \"args\": [\"server.sh\"] }\n  }\n}\n";
    shop.write("mcp.json", config);
    let install = [
        "mcp", "install", "--client", "cursor", "--config", "mcp.json",
    ];
    let shown = shop.run(&install);
    shown.assert_message(0, "nothing was written");
    assert!(
        shown.stdout.contains("+    \"bank\": { \"command\": \"/"),
        "{shown:?}"
    );
    assert_eq!(shop.read("mcp.json"), config);
    shop.run(&[&install[..], &["--yes"]].concat())
        .assert_message(0, "written");
    assert_eq!(shop.read("mcp.json.before-semel"), config);
    let written: Value =
        serde_json::from_str(&shop.read("mcp.json").replace("// Mine.", "")).unwrap();
    let server = &written["mcpServers"]["bank"];
    assert_eq!(
        server["args"],
        json!(["mcp", "--name", "bank", "--", "sh", "server.sh"])
    );
    shop.run(&[&install[..], &["--yes"]].concat())
        .assert_stdout(0, "");
    shop.write("server.sh", SERVER);
    let words: Vec<_> = server["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    let mut client = Client::started(shop.semel(&words));
    client.call(1, "pay");
    assert_eq!(
        client.response()["result"]["content"][0]["text"],
        "paid",
        "what was written is a gateway"
    );
    shop.run(&[&install[..], &["--yes", "--undo"]].concat())
        .assert_message(0, "no longer guarded");
    assert_eq!(shop.read("mcp.json"), config);
    shop.run(&["mcp", "install", "--client", "cursor"])
        .assert_message(66, "cannot be read");
}

#[test]
fn a_server_that_does_not_end_by_itself_is_ended_with_the_gateway() {
    let shop = Workshop::new("");
    shop.write(
        "stays.sh",
        "echo $$ > number\ntrap 'echo x > told' TERM\n. ./server.sh\nwhile :; do sleep 1; done\n",
    );
    let mut client = Client::of(&shop, &[], &["--", "sh", "stays.sh"]);
    drop(client.input.take());
    let (done, took) = client.wait(Instant::now());
    assert_eq!(done.exit, 0, "{done:?}");
    assert!(
        took < Duration::from_secs(4),
        "whoever closes stdin kills after four seconds: {took:?}"
    );
    assert_eq!(shop.read("told"), "x\n", "it was told to end");
    let number = shop.read("number");
    let is_there = || {
        Path::new("/proc")
            .join(number.trim())
            .join("cmdline")
            .exists()
    };
    wait_until(|| !is_there(), Path::new("the server's end"));
}

#[test]
fn neither_tokens_nor_cookies_are_logged_or_handed_on() {
    const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");
    let shop = Workshop::new("[mcp]\ntoken_env = \"TOKEN\"\n");
    shop.write(
        "server.sh",
        &SERVER.replace(
            "while read -r line; do",
            "while read -r line; do printf '%s\\n' \"$line\" >> heard",
        ),
    );
    let mut command = shop.semel(&[
        "mcp",
        "--listen",
        "localhost:0",
        "--log",
        "json",
        "--",
        "sh",
        "server.sh",
    ]);
    command
        .env("SEMEL_LOG", "trace")
        .env("TOKEN", format!("{CANARY}-token"));
    let gateway = Listening::of(command);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer {CANARY}-token\r\nCookie: a={CANARY}"
    );
    assert!(gateway.send(&head, INITIALIZE).starts_with("HTTP/1.1 200"));
    assert!(
        gateway
            .send(&head.replace("-token", "-guess"), INITIALIZE)
            .starts_with("HTTP/1.1 401")
    );
    let log = gateway.ended();
    assert!(!log.is_empty(), "the control: something is logged");
    assert_eq!(log.lines().filter(|line| line.contains(CANARY)).count(), 0);
    assert!(shop.read("heard").contains("initialize") && !shop.read("heard").contains(CANARY));
}

#[test]
fn a_key_that_cannot_come_to_its_server_is_told_before_anything_starts() {
    let rule = "[[tool]]\nmatch = \"bank_pay\"\npolicy = \"intent\"\n[tool.settings]\nidentity = [\"order\"]\n";
    let target =
        "target = { header = \"Idempotency-Key\", repeats = \"replayed\", remembers = \"24h\" }\n";
    let command =
        "[[mcp.server]]\nname = \"bank\"\nprefix = \"bank_\"\ncommand = [\"sh\", \"server.sh\"]\n";
    let far = "[[mcp.server]]\nname = \"crm\"\nurl = \"http://127.0.0.1:9/mcp\"\n";
    let told = "semel.toml:3: the policy puts its key into the header `Idempotency-Key`, but the server `bank` is a command";
    let refused = |config: &str| Workshop::new(config).run(&["mcp"]);
    refused(&[rule, target, command].concat()).assert_message(78, told);
    refused(&[rule, target, command, far].concat()).assert_message(78, told);
    let stripe = "[[tool]]\nmatch = \"bank_*\"\npolicy = \"stripe\"\n";
    refused(&[stripe, command].concat())
        .assert_message(78, "semel.toml:3: the policy puts its key into the header");
    // The controls: where it goes elsewhere, where another server may be meant, and where nothing is guarded.
    let elsewhere =
        "target = { metadata = \"bank/key\", repeats = \"replayed\", remembers = \"24h\" }\n";
    let anybody = rule.replace("bank_pay", "*");
    let watched = rule.replace("policy", "mode = \"shadow\"\npolicy");
    for config in [
        [rule, elsewhere, command].concat(),
        [&anybody, target, command, far].concat(),
        [&watched, target, command].concat(),
    ] {
        let shop = Workshop::new(&config);
        shop.write("server.sh", SERVER);
        shop.run(&["mcp"]).assert_message(0, "");
    }
}

#[test]
fn a_tool_that_the_configuration_names_may_be_looked_with() {
    const BANK: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9][0-9]*\).*/\1/p')
  say() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
  case "$line" in
    *'"method":"initialize"'*)
      say '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}';;
    *'"method":"tools/list"'*) say '{"tools":[{"name":"pay","inputSchema":{}},{"name":"look","inputSchema":{}}]}';;
    *'"name":"look"'*) say '{"content":[],"structuredContent":{"paid":7}}';;
    *'"name":"pay"'*) echo x >> effects;;
  esac
done
"#;
    let rule = "[defaults]\nanswer_within = \"200ms\"\n[[tool]]\nmatch = \"bank_pay\"\npolicy = \"intent\"\n[tool.settings]\n\
        identity = [\"order\"]\nprobe = { tool = \"look\", landed = { at = \"/structuredContent/paid\", is = 7 }, \
        result = \"/structuredContent\" }\n[[mcp.server]]\nname = \"bank\"\nprefix = \"bank_\"\ncommand = [\"sh\", \"bank.sh\"]\n";
    for (names, answer) in [
        ("[mcp]\nprobe_tools = [\"bank_look\"]\n", "replayed"),
        ("", "in doubt"),
    ] {
        let shop = Workshop::new(&(names.to_owned() + rule));
        shop.write("bank.sh", BANK);
        let mut client = Client::of(&shop, &[], &[]);
        client.call(1, "bank_pay");
        assert_eq!(
            client.response()["result"]["_meta"]["dev.semel/answer"],
            answer,
            "{names}"
        );
        assert_eq!(shop.effects(), 1);
    }
}
