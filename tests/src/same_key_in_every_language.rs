//! Another team's host, written in another language, guards the same refund under another key: both send it. So the bytes
//! of keys are published as vectors. Here two implementations that share no line make the same keys.

use semel::{
    json::JsonValue,
    key::{KeyMode, KeyScheme, OperationInstance, Secret},
    model::{Call, KeyForm, Operation, OperationLifetime, Run, Scope, StoreKey, Tenant},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{path::PathBuf, process::Command};

/// Reads the vectors, with all digits of their numbers.
fn read_vectors() -> Vec<JsonValue> {
    let text = std::fs::read_to_string(vectors_folder().join("keys.json")).unwrap();
    let file: JsonValue = serde_json::from_str(&text).unwrap();
    assert_eq!(file["format"].as_u64(), Some(semel::key::FORMAT.into()));
    file["vectors"].as_array().unwrap().clone()
}

fn vectors_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn read_field<T: DeserializeOwned>(vector: &JsonValue, name: &str) -> T {
    vector[name].deserialize_into().unwrap()
}

fn read_scheme(vector: &JsonValue) -> KeyScheme {
    let mode = if vector["mode"].as_str() == Some("shadow") {
        KeyMode::Shadow
    } else {
        KeyMode::Enforce
    };
    KeyScheme::new(
        mode,
        vector["secret"]
            .as_str()
            .map(|secret| Secret::new(secret.as_bytes()).unwrap()),
    )
}

fn read_call(vector: &JsonValue) -> Call {
    let call = Call::new(
        read_field::<String>(vector, "tool"),
        vector["arguments"].clone(),
    )
    .unwrap();
    let mut call = call.for_tenant(read_field(vector, "tenant"));
    if let Some(server) = vector.get("server") {
        call = call.with_fact("server", server.clone());
    }
    match vector["run"].as_str() {
        Some(run) => call.in_run(Run::new(run).unwrap()),
        None => call,
    }
}

fn read_operation(vector: &JsonValue) -> Operation {
    Operation {
        name: read_field(vector, "operation"),
        identity: read_field(vector, "identity"),
        content: read_field(vector, "content"),
        scope: read_field(vector, "scope"),
        until: OperationLifetime::Window,
        window_seconds: 86_400,
        attempt_seconds: 60,
        target: None,
        undoes: read_field(vector, "undoes"),
    }
}

fn read_instance(vector: &JsonValue) -> Option<OperationInstance> {
    let instance = vector.get("instance")?;
    let server: StoreKey = read_field(instance, "server");
    Some(OperationInstance {
        server: *server.as_bytes(),
        occurrence: read_field(instance, "occurrence"),
    })
}

fn downstream_keys(scheme: &KeyScheme, key: &StoreKey, wanted: &JsonValue) -> Value {
    let [generation, series] = ["generation", "series"].map(|name| read_field::<u32>(wanted, name));
    let key = scheme.downstream(key, generation, series);
    let form = |form| key.render(form).unwrap();
    json!({
        "generation": generation, "series": series,
        "uuid4": form(KeyForm::Uuid(4)), "uuid5": form(KeyForm::Uuid(5)), "uuid8": form(KeyForm::Uuid(8)),
        "hex32": form(KeyForm::Hex(32)), "hex45": form(KeyForm::Hex(45)), "hex64": form(KeyForm::Hex(64)),
    })
}

fn make_keys(vector: &JsonValue) -> Value {
    let scheme = read_scheme(vector);
    let name_space: String = read_field(vector, "name_space");
    if let Some(handle) = vector["handle"].as_str() {
        return json!({ "handle_key": scheme.handle_key(&name_space, &read_field::<Tenant>(vector, "tenant"), handle) });
    }
    let call = read_call(vector);
    let operation = read_operation(vector);
    let key = scheme
        .instance_key(
            &name_space,
            &call,
            &operation,
            read_instance(vector).as_ref(),
        )
        .unwrap();
    let wanted = vector["expected"]["downstream"].as_array().unwrap();
    let mut keys = json!({
        "store_key": key,
        "fingerprint": scheme.fingerprint(&name_space, &call, &operation).unwrap(),
        "call_digest": scheme.call_digest(&name_space, &call, read_field::<Scope>(vector, "scope")),
        "downstream": wanted.iter().map(|wanted| downstream_keys(&scheme, &key, wanted)).collect::<Vec<_>>(),
    });
    if let Some(id) = scheme.secret_id() {
        keys["secret_id"] = json!(id);
    }
    keys
}

#[test]
fn the_host_makes_the_published_keys() {
    let vectors = read_vectors();
    assert!(vectors.len() >= 20);
    for vector in &vectors {
        assert_eq!(make_keys(vector), vector["expected"], "{}", vector["what"]);
    }
}

#[test]
fn numbers_of_one_value_have_one_published_key_and_neighbours_have_another() {
    let vectors = read_vectors();
    let key = |what: &str| {
        let named = |vector: &&JsonValue| vector["what"].as_str() == Some(what);
        let expected = &vectors.iter().find(named).unwrap()["expected"];
        (
            expected["store_key"].clone(),
            expected["fingerprint"].clone(),
        )
    };
    let amount = key("an amount of 1.1");
    assert_eq!(key("the same amount as 1.10"), amount);
    assert_eq!(key("the same amount as 11e-1"), amount);
    let other = key("an amount that a double merges with 1.1");
    assert!(other.0 != amount.0 && other.1 != amount.1);
}

#[test]
fn what_the_published_page_says_makes_the_published_keys() {
    let python = Command::new("python3")
        .arg(vectors_folder().join("check.py"))
        .output();
    match python {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(_) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: python3 was not found, so the published page was not checked");
        }
        Err(error) => panic!("python3 is needed to check the published page: {error}"),
    }
}
