//! An MCP server over the standard streams that counts its effects in a file, and answers the first one with a fault.
//!
//! `counting_server EFFECTS FAULT`: each call of `pay` or `book` appends a line to the file EFFECTS. FAULT applies to the first
//! effect in that file only, in whichever process it happens. Later ones are answered normally.
//!
//! | FAULT | the first call |
//! |---|---|
//! | `none` | it is answered |
//! | `dies` | it takes effect, and the server ends before it answers |
//! | `late=MS` | it takes effect, and is answered MS milliseconds later |
//! | `cut=BYTES` | it takes effect, BYTES bytes of the answer are written, and the server ends |
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
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [effects, fault] = args.as_slice() else {
        panic!("counting_server EFFECTS FAULT")
    };
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let Some(id) = request.get("id") else {
            continue;
        };
        match request["method"].as_str().unwrap_or_default() {
            "tools/call" => answer_call(&request, effects, fault),
            method => write_message(
                &json!({ "jsonrpc": "2.0", "id": id, "result": result_of(method, &request["params"]) }),
            ),
        }
    }
}

/// The result of any request but a call, in the client's protocol version.
fn result_of(method: &str, params: &Value) -> Value {
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

fn answer_call(request: &Value, effects: &str, fault: &str) {
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
        _ => write_message(&response),
    }
}

/// Answers from another thread, so that other calls are served in the meantime.
fn answer_later(response: Value, after: Duration) {
    thread::spawn(move || {
        thread::sleep(after);
        write_message(&response);
    });
}

/// Appends the effect to the file, and returns its number. Several servers may share the file.
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

fn write_message(message: &Value) {
    let mut out = io::stdout().lock();
    writeln!(out, "{message}").unwrap();
    out.flush().unwrap();
}
