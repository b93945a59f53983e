//! Every mistake is reported at once, each with its place and cure.

use super::*;
use crate::{
    file::FILE_BYTES_MAX,
    tools::{GLOBS_MAX, TOOLS_MAX},
};
use insta::assert_snapshot;

#[test]
fn every_mistake_is_reported_with_its_line_and_cure() {
    let messages = mistakes(
        r#"
[ledger]
url = "mysql://me:hunter2@db/semel"
path = "x"
[keys]
secret_file = "missing"
[defaults]
tenant = ""
wait = 10
lease = "1s"
refusal = "ten minutes"
retries = -1
outcome_bytes_max = 99999999
open_without_ledger = true
trusted = true
taken_within = "2h"
[tol]
[[tool]]
policy = "intent"
[[tool]]
match = "a{b"
policy = "./missing.wasm"
lease = "1500ms"
[[tool]]
match = ["x", 3]
policy = "Intent!"
settings = "none"
keep_identity = "yes"
[[tool]]
match = []
tenant = "alice"
polciy = "intent"
[[tool]]
match = "*"
settings = { limit = inf, name = 1979-05-27 }
[[tool]]
match = "late"
"#,
    );
    assert_snapshot!(messages);
}

#[test]
fn other_mistakes_are_reported_as_plainly() {
    let messages = [
        "[ledger]\nurl = \"memory:x\"",
        "[ledger]\nurl = \"sqlite:\"",
        "[ledger]\nurl = \"sqlite::memory:\"",
        "[ledger]\nurl = \"sqlite:///var/x\"",
        "[ledger]\nurl = \"sqlite:~/x\"",
        "[ledger]\nurl = \"ledger.sqlite\"",
        "[ledger]\nurl = \"postgres:semel\"",
        "[ledger]\nurl = \"rediss://\"",
        "[ledger]\nurl = \"postgres://db/semel\"\nsecret_env = \"PAY\"",
        "[keys]\nsecret_env = \"PAY\"",
        "[keys]\nsecret_env = \"PAY\"\nsecret_file = \"x\"",
        "tool = 1\nledger = 2",
        "[[tool]]\nmatch = \"a\"\n[[tool]]\nmatch = \"a\"",
        "[defaults]\nwait = \"1s\"\nwait = \"2s\"",
        "[defaults\n",
        "[[tool]]\nmatch = \"\"\npolicy = \".\"",
        "[[tool]]\nmatch = \"a\"\npolicy = \"../\"",
        "\"a\\u001b[31m\" = 1",
    ]
    .map(|text| mistakes(text).replace('\n', "\n    "))
    .join("\n");
    assert_snapshot!(messages);
}

#[test]
fn mistakes_outside_the_file_are_reported_with_their_place() {
    let messages = [
        TestFolder::new().mistakes(Some("missing.toml")),
        TestFolder::new()
            .with("SEMEL_CONFIG", "missing.toml")
            .mistakes(None),
        TestFolder::new()
            .file("project/semel.toml/x", "")
            .mistakes(None),
        TestFolder::new()
            .file("project/semel.toml", [0xff])
            .mistakes(None),
        TestFolder::new()
            .file("project/semel.toml", vec![b' '; FILE_BYTES_MAX + 1])
            .mistakes(None),
        TestFolder::new().without("HOME").mistakes(None),
        TestFolder::new().with("HOME", "relative").mistakes(None),
        TestFolder::new()
            .with("SEMEL_LEDGER", "etcd:x")
            .with("SEMEL_TENANT", "a\nb")
            .with("SEMEL_WAIT", "soon")
            .with("SEMEL_SECRET_FILE", "missing")
            .mistakes(None),
        TestFolder::new()
            .file("project/s", "short")
            .with("SEMEL_SECRET_FILE", "s")
            .mistakes(None),
    ]
    .join("\n");
    assert_snapshot!(messages);
}

#[test]
fn too_many_tools_or_globs_are_refused() {
    let many: String = (0..=TOOLS_MAX)
        .map(|number| format!("[[tool]]\nmatch = \"t{number}\"\n"))
        .collect();
    assert!(
        mistakes(&many).ends_with(
            "semel.toml:2001: there are more than 1000 tools: match several with one glob"
        )
    );
    let globs: Vec<_> = (0..=GLOBS_MAX)
        .map(|number| format!("\"t{number}\""))
        .collect();
    assert!(
        mistakes(&format!("[[tool]]\nmatch = [{}]", globs.join(",")))
            .contains("`match` has 65 globs")
    );
    assert!(
        mistakes(&format!("[[tool]]\nmatch = \"{}\"", "x".repeat(257))).contains("this has 257")
    );
    assert!(
        mistakes(&format!(
            "settings = {}1{}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        ))
        .contains("not valid TOML")
    );
}

#[test]
fn every_mistake_about_the_gateway_is_reported() {
    let text = r#"
[mcp]
listen = "8080"
token_env = "NONE"
token_file = "x"
tenant_header = "Authorization"
run_header = "X Run"
body_bytes_max = 0
shutdown_within = "1h"
what = 1
[[mcp.server]]
command = "serve"
[[mcp.server]]
name = "git"
command = []
[[mcp.server]]
name = "git"
url = "https://me:hunter2@example.org"
[[mcp.server]]
name = "git_hub"
command = "serve"
url = "https://x"
headers_env = { "a b" = "X", B = "NONE", C = 1 }
[[mcp.server]]
name = "nowhere"
trust_hints = "yes"
[[tool]]
match = "x"
answer_within = "1ms"
on_cancel = "stop"
"#;
    assert_snapshot!(mistakes(text));
    assert!(!mistakes(text).contains("hunter2"));
    let short = TestFolder::new()
        .with("TOKEN", "short")
        .file("project/semel.toml", "[mcp]\ntoken_env = \"TOKEN\"");
    assert_snapshot!(short.mistakes(None));
}

#[test]
fn every_mistake_about_sealing_keys_is_reported() {
    assert_snapshot!(mistakes("[sealing]\n"));
    assert_snapshot!(mistakes(
        "[sealing]\ncurrent = \"new\"\n\
         [[sealing.key]]\nid = \"old\"\n\
         [[sealing.key]]\nsecret_env = \"NONE\"\n\
         [[sealing.key]]\nid = \"short\"\nsecret_file = \"semel.toml\"\nwhat = 1\n"
    ));
    let twice = "[[sealing.key]]\nid = \"a\"\nsecret_file = \"key\"\n";
    let text = format!("[sealing]\ncurrent = \"a\"\n{twice}{twice}");
    let folder = TestFolder::new()
        .file("project/key", "k".repeat(32))
        .file("project/semel.toml", text);
    assert!(
        folder
            .mistakes(None)
            .contains("two sealing keys are named `a`")
    );
}
