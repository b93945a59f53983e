#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use super::*;
use semel::ledger::ServerErrorRule;
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

/// A home, a working folder in it, and variables.
struct TestFolder {
    folder: TempDir,
    environment: Environment,
}

impl TestFolder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("project")).unwrap();
        let environment = Environment {
            folder: folder.path().join("project"),
            ..Environment::default()
        };
        Self {
            folder,
            environment,
        }
        .with("HOME", "{home}")
    }

    fn with(mut self, variable: &str, value: &str) -> Self {
        let value = value.replace("{home}", self.folder.path().to_str().unwrap());
        self.environment
            .variables
            .insert(variable.to_owned(), value.into());
        self
    }

    fn without(mut self, variable: &str) -> Self {
        self.environment.variables.remove(variable);
        self
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self) -> Config {
        Config::load(None, &self.environment).unwrap()
    }

    fn mistakes(&self, requested: Option<&str>) -> String {
        let mistakes = Config::load(requested.map(Path::new), &self.environment).unwrap_err();
        mistakes
            .to_string()
            .replace(self.folder.path().to_str().unwrap(), "[home]")
    }
}

fn load(text: &str) -> Config {
    TestFolder::new().file("project/semel.toml", text).load()
}

fn mistakes(text: &str) -> String {
    TestFolder::new()
        .file("project/semel.toml", text)
        .mistakes(None)
}

#[test]
fn without_a_file_the_defaults_hold() {
    let folder = TestFolder::new();
    let config = folder.load();
    assert_eq!(config.file, None);
    let path = folder.path(".local/state/semel/ledger.sqlite");
    assert_eq!(
        config.ledger,
        LedgerPlace::Sqlite {
            path: path.clone(),
            is_default: true
        }
    );
    assert_eq!(config.tenant, Tenant::default());
    assert_eq!(config.tool("anything"), &ToolSetup::default());
    config.ledger.create_default_folder().unwrap();
    let mode = fs::metadata(path.parent().unwrap())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_documented_example_is_read_as_it_says() {
    let documented = include_str!("lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"));
    let example: Vec<_> = documented
        .skip_while(|line| *line != " ```toml")
        .skip(1)
        .take_while(|line| *line != " ```")
        .collect();
    let text = example
        .join("\n")
        .replace("# timed_rerun", "timed_rerun")
        .replace("# taken_within", "taken_within");
    let secret = "s".repeat(32);
    let folder = TestFolder::new()
        .file("project/secret", &secret)
        .file("project/seal-2026-11", &secret)
        .file("project/semel.toml", text);
    let config = folder.load();
    assert_eq!(
        config.ledger,
        LedgerPlace::Sqlite {
            path: folder.path("project/ledger.sqlite"),
            is_default: false
        }
    );
    assert!(config.secret.is_some());
    assert_eq!(config.sealing.as_ref().unwrap().current().id(), "2026-11");
    let defaults = ToolSetup {
        name_space: Some("shop".to_owned()),
        defined_at: config.unnamed.defined_at.clone(),
        ..ToolSetup::default()
    };
    assert_eq!(config.unnamed, defaults);
    let tool = config.tool("stripe.refunds.create");
    assert_eq!(tool.policy, PolicySource::Named("intent".to_owned()));
    assert_eq!(
        Value::Object(tool.settings.clone()),
        json!({"operation": "refund", "identity": ["order_id"]})
    );
    assert_eq!(tool.allowance.timed_rerun_ms, Some(600_000));
    assert_eq!(tool.taken_within, Some(Duration::from_secs(5)));
    assert_eq!(tool.name_space.as_deref(), Some("shop"));
    assert_eq!(tool.allowance.server_errors, ServerErrorRule::ProveNothing);
    assert_eq!(config.tool("refunds"), &config.unnamed);
}

#[test]
fn the_first_tool_that_matches_counts() {
    let config = load(
        "[defaults]\nwait = \"1s\"\nlease = \"1m\"\nsettings = { a = 1 }\n\
         [[tool]]\nmatch = \"pay_*\"\nwait = \"2s\"\nopen_without_ledger = true\n\
         [[tool]]\nmatch = [\"*\"]\npolicy = \"intent\"\nserver_errors_are_answers = true\n",
    );
    let pay = config.tool("pay_invoice");
    let other = config.tool("mail");
    assert_eq!(
        (pay.allowance.wait_ms, other.allowance.wait_ms),
        (2000, 1000)
    );
    assert_eq!((pay.lease_seconds, other.lease_seconds), (60, 60));
    assert!(pay.allowance.open_without_ledger && !other.allowance.open_without_ledger);
    assert_eq!(other.allowance.server_errors, ServerErrorRule::AreAnswers);
    assert_eq!(
        pay.settings.len(),
        1,
        "the default policy keeps its settings"
    );
    assert!(
        other.settings.is_empty(),
        "another policy does not take them"
    );
    assert_eq!(
        pay.defined_at
            .as_ref()
            .unwrap()
            .to_string()
            .rsplit(':')
            .next(),
        Some("5")
    );
    assert_eq!(config.setups().count(), 3);
}

#[test]
fn only_unnamed_tools_count_a_written_answer_as_delivered() {
    let config = load("[[tool]]\nmatch = \"a\"\n[[tool]]\nmatch = \"b\"\ntaken_within = \"1s\"\n");
    let within = |tool| {
        config
            .tool(tool)
            .taken_within
            .map(|within| within.as_secs())
    };
    assert_eq!(
        [within("a"), within("b"), within("c")],
        [None, Some(1), Some(5)]
    );
    assert_eq!(
        load("[defaults]\ntaken_within = \"0s\"")
            .tool("c")
            .taken_within,
        None
    );
}

#[test]
fn the_file_is_looked_for_in_order() {
    let tenant = |name: &str| format!("[defaults]\ntenant = \"{name}\"\n");
    let mut folder = TestFolder::new();
    let mut found = vec![folder.load().tenant];
    for (path, variable) in [
        (".config/semel/semel.toml", None),
        (
            "xdg/semel/semel.toml",
            Some(("XDG_CONFIG_HOME", "{home}/xdg")),
        ),
        ("project/semel.toml", None),
        ("named.toml", Some(("SEMEL_CONFIG", "../named.toml"))),
    ] {
        folder = folder.file(path, tenant(path));
        if let Some((name, value)) = variable {
            folder = folder.with(name, value);
        }
        found.push(folder.load().tenant);
    }
    let folder = folder.file("project/requested.toml", tenant("requested"));
    found.push(
        Config::load(Some(Path::new("requested.toml")), &folder.environment)
            .unwrap()
            .tenant,
    );
    let found: Vec<_> = found.iter().map(Tenant::as_str).collect();
    let expected = [
        "default",
        ".config/semel/semel.toml",
        "xdg/semel/semel.toml",
        "project/semel.toml",
        "named.toml",
        "requested",
    ];
    assert_eq!(found, expected);
}

#[test]
fn paths_are_relative_to_the_file_and_those_of_variables_to_the_working_folder() {
    let text =
        "[ledger]\nurl = \"sqlite:l.sqlite\"\n[[tool]]\nmatch = \"a\"\npolicy = \"./p.wasm\"\n";
    let folder = TestFolder::new()
        .file("etc/semel.toml", text)
        .file("etc/p.wasm", "")
        .with("SEMEL_CONFIG", "../etc/semel.toml");
    let config = folder.load();
    assert_eq!(
        config.ledger.to_string(),
        format!(
            "sqlite:{}",
            folder.path("project/../etc/l.sqlite").display()
        )
    );
    assert_eq!(
        config.tool("a").policy,
        PolicySource::File(folder.path("project/../etc/./p.wasm"))
    );
    let folder = folder.with("SEMEL_LEDGER", "sqlite:m.sqlite");
    assert_eq!(
        folder.load().ledger,
        LedgerPlace::Sqlite {
            path: folder.path("project/m.sqlite"),
            is_default: false
        }
    );
}

#[test]
fn variables_override_the_file() {
    let folder = TestFolder::new()
        .file(
            "project/semel.toml",
            "[ledger]\nurl = \"sqlite:l\"\n[defaults]\ntenant = \"a\"\nwait = \"1s\"\n",
        )
        .with("SEMEL_LEDGER", "memory:")
        .with("SEMEL_TENANT", "b")
        .with("SEMEL_WAIT", "2s")
        .with("SEMEL_LEASE", "20s");
    let config = folder.load();
    assert_eq!(
        (config.ledger, config.tenant.as_str()),
        (LedgerPlace::Memory, "b")
    );
    assert_eq!(
        (
            config.unnamed.allowance.wait_ms,
            config.unnamed.lease_seconds
        ),
        (2000, 20)
    );
    let config = folder.with("SEMEL_TENANT", "").load();
    assert_eq!(
        config.tenant.as_str(),
        "a",
        "an empty variable counts as unset"
    );
}

#[test]
fn a_secret_may_be_a_file_or_a_variable() {
    let secret = "0123456789abcdef0123456789abcdef";
    let id = |folder: TestFolder| {
        let scheme = semel::key::KeyScheme::new(semel::key::KeyMode::Enforce, folder.load().secret);
        scheme.secret_id().unwrap()
    };
    let file = TestFolder::new()
        .file("project/s", format!("{secret}\n"))
        .file("project/semel.toml", "[keys]\nsecret_file = \"s\"");
    let variable = TestFolder::new()
        .file("project/semel.toml", "[keys]\nsecret_env = \"PAY\"")
        .with("PAY", secret);
    let named = TestFolder::new()
        .file("s", secret)
        .with("SEMEL_SECRET_FILE", "../s");
    let id_of_file = id(file);
    assert_eq!([id(variable), id(named)], [id_of_file.clone(), id_of_file]);
}

#[test]
fn secrets_are_never_printed() {
    let secret = "0123456789abcdef0123456789abcdef";
    let folder = TestFolder::new()
        .file("project/semel.toml", "[keys]\nsecret_env = \"PAY\"")
        .with("PAY", secret);
    assert!(!format!("{:?}{:?}", folder.load(), folder.environment).contains("0123"));
    assert!(!mistakes("[ledger]\nurl = \"mysql://me:hunter2@db/semel\"").contains("hunter2"));
    let text = "[ledger]\nurl = \"postgres://me:hunt@er2@db:5433/semel?sslmode=require\"\nsecret_env = \"PAY\"";
    let folder = TestFolder::new()
        .file("project/semel.toml", text)
        .with("PAY", "another");
    let ledger = folder.load().ledger;
    assert_eq!(ledger.to_string(), "postgres://db:5433/semel");
    let messages = format!("{ledger:?}");
    assert!(
        !messages.contains("hunt") && !messages.contains("er2") && !messages.contains("another"),
        "{messages}"
    );
}

#[test]
fn the_gateway_is_set_up_by_its_section() {
    let token = "0123456789abcdef";
    let text = "[mcp]\nlisten = \"localhost:8080\"\ntoken_env = \"TOKEN\"\ntenant_header = \"X-Tenant\"\n\
         probe_tools = [\"crm_getRefund\"]\n\
         [[mcp.server]]\nname = \"files\"\ncommand = [\"serve\", \"/data\"]\n\
         [[mcp.server]]\nname = \"crm\"\nurl = \"https://crm.example/mcp\"\nheaders_env = { Authorization = \"CRM\" }\n";
    let folder = TestFolder::new()
        .with("TOKEN", token)
        .with("CRM", "Bearer s3cret")
        .file("project/semel.toml", text);
    let setup = folder.load().mcp;
    assert_eq!(setup.listen, "127.0.0.1:8080".parse().ok());
    assert_eq!(setup.token.as_ref().map(SecretText::reveal), Some(token));
    assert_eq!(setup.tenant_header.as_deref(), Some("x-tenant"));
    assert_eq!(setup.limits, McpLimits::default());
    assert_eq!(setup.probe_tools, ["crm_getRefund"]);
    let [files, crm] = &setup.servers[..] else {
        panic!("two servers")
    };
    assert_eq!(
        files.place,
        McpPlace::Command(vec!["serve".to_owned(), "/data".to_owned()])
    );
    assert!(files.is_trusted() && files.restart && !crm.is_trusted());
    assert_eq!(crm.headers[0].0, "authorization");
    let messages = format!("{setup:?}");
    assert!(!messages.contains(token) && !messages.contains("s3cret"));
    assert_eq!(load("").mcp, McpSetup::default());
}

#[test]
fn compiled_policies_are_kept_in_the_users_folder_by_default() {
    let folder = TestFolder::new();
    assert_eq!(folder.load().cache, Some(folder.path(".cache/semel/code")));
    let folder = folder.with("XDG_CACHE_HOME", "{home}/elsewhere");
    assert_eq!(
        folder.load().cache,
        Some(folder.path("elsewhere/semel/code"))
    );
    let folder = folder.file("project/semel.toml", "[cache]\nfolder = \"kept\"");
    assert_eq!(folder.load().cache, Some(folder.path("project/kept")));
    let folder = folder.with("SEMEL_CACHE", "other");
    assert_eq!(folder.load().cache, Some(folder.path("project/other")));
    assert_eq!(folder.with("SEMEL_CACHE", "off").load().cache, None);
    assert_eq!(
        load("[cache]\nenabled = false\nfolder = \"kept\"").cache,
        None
    );
    assert_eq!(
        TestFolder::new()
            .without("HOME")
            .with("SEMEL_LEDGER", "memory:")
            .load()
            .cache,
        None,
        "no home, no cache"
    );
    assert!(
        TestFolder::new()
            .with("SEMEL_CACHE", "~/kept")
            .mistakes(None)
            .contains("SEMEL_CACHE")
    );
}

#[test]
fn sealing_keys_come_from_files_and_variables_and_one_is_current() {
    let text = "[sealing]\ncurrent = \"new\"\n\
         [[sealing.key]]\nid = \"old\"\nsecret_env = \"OLD_KEY\"\n\
         [[sealing.key]]\nid = \"new\"\nsecret_file = \"new-key\"\n";
    let secret = "0123456789abcdef0123456789abcdef";
    let folder = TestFolder::new()
        .file("project/new-key", secret)
        .with("OLD_KEY", secret)
        .file("project/semel.toml", text);
    let keys = folder.load().sealing.unwrap();
    assert_eq!(
        (keys.current().id(), keys.ids().collect::<Vec<_>>()),
        ("new", vec!["new", "old"])
    );
    assert!(!format!("{:?}", folder.load()).contains(secret));
    assert!(load("").sealing.is_none());
}
