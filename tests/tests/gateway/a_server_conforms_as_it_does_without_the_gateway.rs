//! A server that keeps to the protocol in every point is put behind the gateway, and keeps to it no longer. The official suite
//! judges one by the official library, bare and behind the gateway, and the verdicts are the same.
//!
//! What does not apply to a gateway: how a server frames its own responses. The suite looks at that where the server
//! chose a stream of events; the gateway gives an answer that is alone as one JSON text, which the protocol leaves open.

use crate::{
    peers::{ListeningProcess, command, conformance, conforming, semel},
    plays::RunFolder,
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

/// Checks of the framing of responses, which are made only where the framing is a stream.
const FRAMING: [&str; 3] = [
    "server-sse-priming-event",
    "server-sse-retry-field",
    "server-sse-streams-functional",
];

/// The result of each check of each scenario. Checks that only inform are left out.
type Verdicts = BTreeMap<(String, String), String>;

/// Has the suite judge the server at this address.
fn judged(stage: &RunFolder, url: &str, name: &str) -> Verdicts {
    let folder = stage.0.path().join(name);
    let mut suite = stage.set(conformance());
    suite.args(["--url", url, "--output-dir"]).arg(&folder);
    // It fails where a verdict is bad, which is read below.
    suite.status().unwrap();
    let mut verdicts = Verdicts::new();
    for scenario in std::fs::read_dir(folder).unwrap() {
        read(&scenario.unwrap().path(), &mut verdicts);
    }
    verdicts
}

/// Reads the checks of one scenario, whose folder is named after the scenario and the time.
fn read(folder: &Path, verdicts: &mut Verdicts) {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let scenario = name.split("-20").next().unwrap();
    let checks: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("checks.json")).unwrap()).unwrap();
    for check in checks.iter().filter(|check| check["status"] != "INFO") {
        let id = check["id"].as_str().unwrap().to_owned();
        let said = format!("{} {}", check["status"], check["errorMessage"]);
        verdicts.insert((scenario.to_owned(), id), said);
    }
}

#[test]
fn every_verdict_of_the_conformance_suite_is_the_same() {
    let stage = RunFolder::new();
    let server = ListeningProcess::start(|port| stage.set(conforming(port)));
    let bare = judged(&stage, &server.url, "bare");
    let gateway = ListeningProcess::start(|port| {
        let listen = format!("127.0.0.1:{port}");
        let words = [
            semel().into(),
            "mcp".into(),
            "--listen".into(),
            listen.into(),
        ];
        stage.set(command(
            &[
                &words[..],
                &["--upstream".into(), server.url.clone().into()],
            ]
            .concat(),
        ))
    });
    let behind = judged(&stage, &gateway.url, "behind");
    let mut applies = 0;
    for ((scenario, check), said) in &bare {
        println!("{scenario} {check}: {said}");
        if !FRAMING.contains(&check.as_str()) {
            assert_eq!(
                behind.get(&(scenario.clone(), check.clone())),
                Some(said),
                "{scenario} {check}"
            );
            applies += 1;
        }
    }
    assert!(
        behind.keys().all(|key| bare.contains_key(key)),
        "{behind:?}"
    );
    assert!(applies >= 40, "the suite judged {applies} points only");
    let passed = behind
        .values()
        .filter(|said| said.starts_with("\"SUCCESS\""))
        .count();
    assert_eq!(
        passed,
        behind.len(),
        "the server of the test is one that conforms: {behind:?}"
    );
}
