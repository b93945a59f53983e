//! An MCP server over the standard streams that counts what it does in a file, and does not always answer as it should.
//!
//! `counting_server EFFECTS FAULT`: each call of `pay` or `book` is a line appended to the file EFFECTS. FAULT meets the first
//! effect in that file only, whoever takes it: the one after it is answered as it should be.
//!
//! | FAULT | what becomes of the first call |
//! |---|---|
//! | `none` | it is answered |
//! | `dies` | it takes effect, and the server ends before it answers |
//! | `late=MS` | it takes effect, and is answered so many milliseconds later |
//! | `cut=BYTES` | it takes effect, so many bytes of the answer are written, and the server ends |
//! | `fails` | it takes effect, and the answer says that it failed |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects"
)]

use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, Write},
    thread,
    time::Duration,
};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [effects, fault] = words.as_slice() else {
        panic!("counting_server EFFECTS FAULT")
    };
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let Some(id) = request.get("id") else {
            continue;
        };
        match request["method"].as_str().unwrap_or_default() {
            "tools/call" => call(&request, effects, fault),
            method => write(
                &json!({ "jsonrpc": "2.0", "id": id, "result": answer(method, &request["params"]) }),
            ),
        }
    }
}

/// What it answers to anything but a call. It speaks whichever era it is spoken to in.
fn answer(method: &str, params: &Value) -> Value {
    let server = json!({ "name": "counting", "version": "1" });
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    match method {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"], "capabilities": { "tools": {} }, "serverInfo": server,
        }),
        "server/discover" => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "ttlMs": 0, "cacheScope": "private",
        }),
        "tools/list" => json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "tools": [tool("pay"), tool("book")],
        }),
        _ => json!({}),
    }
}

fn call(request: &Value, effects: &str, fault: &str) {
    let number = take_effect(effects, &request["params"]);
    let text = format!("effect {number}");
    let mut result =
        json!({ "content": [{ "type": "text", "text": text }], "resultType": "complete" });
    let (fault, amount) = fault.split_once('=').unwrap_or((fault, "0"));
    let fault = if number == 1 { fault } else { "none" };
    if fault == "fails" {
        result["isError"] = json!(true);
    }
    let response = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
    match fault {
        "dies" => std::process::exit(1),
        "late" => answer_later(response, Duration::from_millis(amount.parse().unwrap())),
        "cut" => {
            let line = format!("{response}\n");
            let bytes = amount.parse::<usize>().unwrap().min(line.len());
            io::stdout().write_all(&line.as_bytes()[..bytes]).unwrap();
            io::stdout().flush().unwrap();
            std::process::exit(1);
        }
        _ => write(&response),
    }
}

/// Other calls are served meanwhile.
fn answer_later(response: Value, after: Duration) {
    thread::spawn(move || {
        thread::sleep(after);
        write(&response);
    });
}

/// Appends it to the file, and says the how manieth it is. Several servers may share the file.
fn take_effect(effects: &str, params: &Value) -> usize {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(effects)
        .unwrap();
    file.lock().unwrap();
    writeln!(
        file,
        "{} {}",
        params["name"].as_str().unwrap(),
        params["arguments"]
    )
    .unwrap();
    io::BufReader::new(File::open(effects).unwrap())
        .lines()
        .count()
}

fn write(message: &Value) {
    let mut out = io::stdout().lock();
    writeln!(out, "{message}").unwrap();
    out.flush().unwrap();
}
