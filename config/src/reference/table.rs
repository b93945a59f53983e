//! The table of all keys of `semel.toml`.
//!
//! A key that is not listed in its section cannot be read, and is refused in the file.

use super::{ConfigKey, DefaultValue, DurationRange, SectionKeys, ValueType};

pub(crate) static LEDGER: SectionKeys = SectionKeys {
    title: "`[ledger]`",
    meaning: "The record of operations. The secret is the password of its server.",
    keys: &[&LEDGER_URL, &SECRET_FILE, &SECRET_ENV, &ACCEPT_UNVERIFIED],
};

pub(crate) static KEYS: SectionKeys = SectionKeys {
    title: "`[keys]`",
    meaning: "The secret that keys are made with; without it, keys are plain digests.",
    keys: &[&SECRET_FILE, &SECRET_ENV],
};

pub(crate) static CACHE: SectionKeys = SectionKeys {
    title: "`[cache]`",
    meaning: "The cache of compiled policies.",
    keys: &[&CACHE_ENABLED, &CACHE_FOLDER],
};

pub(crate) static SEALING: SectionKeys = SectionKeys {
    title: "`[sealing]`",
    meaning: "Encryption of records; without it, records are kept in the clear.",
    keys: &[&SEALING_CURRENT, &SEALING_KEYS],
};

pub(crate) static SEALING_KEY: SectionKeys = SectionKeys {
    title: "`[[sealing.key]]`",
    meaning: "A sealing key: the current one, or an older one that opens what it sealed.",
    keys: &[&SEALING_KEY_ID, &SECRET_FILE, &SECRET_ENV],
};

pub(crate) static DEFAULTS: SectionKeys = SectionKeys {
    title: "`[defaults]`",
    meaning: "The set-up of tools that no `[[tool]]` matches, and the defaults of those that one does.",
    keys: &[
        &TENANT,
        &POLICY,
        &SETTINGS,
        &NAME_SPACE,
        &WAIT,
        &LEASE,
        &REFUSAL,
        &RERUNS,
        &RETRIES,
        &LOOKS,
        &OUTCOME_BYTES,
        &KEEP_IDENTITY,
        &MODE,
        &ANSWER_WITHIN,
        &ON_CANCEL,
        &TAKEN_WITHIN,
    ],
};

pub(crate) static TOOL: SectionKeys = SectionKeys {
    title: "`[[tool]]`",
    meaning: "The set-up of the tools that it matches. What it leaves out, `[defaults]` says.",
    keys: &[
        &MATCH,
        &POLICY,
        &SETTINGS,
        &NAME_SPACE,
        &WAIT,
        &LEASE,
        &REFUSAL,
        &RERUNS,
        &RETRIES,
        &LOOKS,
        &OUTCOME_BYTES,
        &KEEP_IDENTITY,
        &MODE,
        &ANSWER_WITHIN,
        &ON_CANCEL,
        &TAKEN_WITHIN,
        &SERVER_ERRORS,
        &TIMED_RERUN,
        &OPEN_WITHOUT_LEDGER,
        &IRREVERSIBLE,
        &ALLOW_FORGETFUL,
        &TRUSTED,
    ],
};

pub(crate) static MCP: SectionKeys = SectionKeys {
    title: "`[mcp]`",
    meaning: "The gateway for MCP servers, `semel mcp`.",
    keys: &[
        &LISTEN,
        &TOKEN_FILE,
        &TOKEN_ENV,
        &HOSTS,
        &ORIGINS,
        &TENANT_HEADER,
        &RUN_HEADER,
        &BODY_BYTES,
        &CONNECTIONS,
        &REQUESTS,
        &CHILDREN,
        &PROBE_TOOLS,
        &SHUTDOWN,
        &SERVERS,
    ],
};

pub(crate) static SERVER: SectionKeys = SectionKeys {
    title: "`[[mcp.server]]`",
    meaning: "A server behind the gateway.",
    keys: &[
        &SERVER_NAME,
        &SERVER_COMMAND,
        &SERVER_URL,
        &SERVER_HEADERS,
        &SERVER_PREFIX,
        &SERVER_TRUST,
        &SERVER_RESTART,
    ],
};

pub(crate) static FILE: SectionKeys = SectionKeys {
    title: "the file",
    meaning: "The configuration of Semel.",
    keys: &[
        &LEDGER_SECTION,
        &KEYS_SECTION,
        &CACHE_SECTION,
        &SEALING_SECTION,
        &DEFAULTS_SECTION,
        &MCP_SECTION,
        &TOOL_SECTION,
    ],
};

pub(crate) static LEDGER_URL: ConfigKey = ConfigKey {
    name: "url",
    value: ValueType::Text,
    default: DefaultValue::Words(
        "`sqlite:`, and `semel/ledger.sqlite` in `XDG_STATE_HOME`, else in `~/.local/state`",
    ),
    example: r#""sqlite:ledger.sqlite""#,
    meaning: "the ledger: `memory:`, `sqlite:PATH`, `postgres://HOST/DATABASE`, `redis://HOST` or `rediss://HOST`",
};

pub(crate) static SECRET_FILE: ConfigKey = ConfigKey {
    name: "secret_file",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""secret""#,
    meaning: "the file that holds the secret; a line end at its end does not count",
};

pub(crate) static SECRET_ENV: ConfigKey = ConfigKey {
    name: "secret_env",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""PAYMENTS_SECRET""#,
    meaning: "the environment variable that holds the secret",
};

pub(crate) static ACCEPT_UNVERIFIED: ConfigKey = ConfigKey {
    name: "accept_unverified",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "accept a ledger service that hides its durability settings",
};

pub(crate) static CACHE_ENABLED: ConfigKey = ConfigKey {
    name: "enabled",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("true"),
    example: "false",
    meaning: "keep compiled policies between runs",
};

pub(crate) static CACHE_FOLDER: ConfigKey = ConfigKey {
    name: "folder",
    value: ValueType::Text,
    default: DefaultValue::Words("`semel/code` in `XDG_CACHE_HOME`, else in `~/.cache`"),
    example: r#""cache""#,
    meaning: "the folder of compiled policies",
};

pub(crate) static SEALING_CURRENT: ConfigKey = ConfigKey {
    name: "current",
    value: ValueType::Text,
    default: DefaultValue::Required,
    example: r#""2026-11""#,
    meaning: "the `id` of the key that seals what is written",
};

pub(crate) static SEALING_KEYS: ConfigKey = ConfigKey {
    name: "key",
    value: ValueType::Sections(&SEALING_KEY),
    default: DefaultValue::Unset,
    example: "",
    meaning: "the sealing keys",
};

pub(crate) static SEALING_KEY_ID: ConfigKey = ConfigKey {
    name: "id",
    value: ValueType::Text,
    default: DefaultValue::Required,
    example: r#""2026-11""#,
    meaning: "the name of the key, which stands unsealed in records",
};

pub(crate) static TENANT: ConfigKey = ConfigKey {
    name: "tenant",
    value: ValueType::Text,
    default: DefaultValue::Toml(r#""default""#),
    example: r#""shop""#,
    meaning: "the tenant of calls that name none",
};

pub(crate) static POLICY: ConfigKey = ConfigKey {
    name: "policy",
    value: ValueType::Text,
    default: DefaultValue::Toml(r#""hints""#),
    example: r#""intent""#,
    meaning: "a ready-made policy by its name, or a component by its path",
};

pub(crate) static SETTINGS: ConfigKey = ConfigKey {
    name: "settings",
    value: ValueType::Object,
    default: DefaultValue::Toml("{}"),
    example: r#"{ identity = ["order_id"] }"#,
    meaning: "the policy's settings",
};

pub(crate) static NAME_SPACE: ConfigKey = ConfigKey {
    name: "name_space",
    value: ValueType::Text,
    default: DefaultValue::Words("the policy's name"),
    example: r#""shop""#,
    meaning: "keeps operations apart from those of the same name",
};

pub(crate) static WAIT: ConfigKey = ConfigKey {
    name: "wait",
    value: ValueType::Duration(DurationRange::milliseconds(0, 3600)),
    default: DefaultValue::Toml(r#""10s""#),
    example: r#""10s""#,
    meaning: "the longest wait for another caller's attempt",
};

pub(crate) static LEASE: ConfigKey = ConfigKey {
    name: "lease",
    value: ValueType::Duration(DurationRange::whole_seconds(3, 600)),
    default: DefaultValue::Toml(r#""15s""#),
    example: r#""15s""#,
    meaning: "how long a claim lasts without renewal; a host renews it three times as often",
};

pub(crate) static REFUSAL: ConfigKey = ConfigKey {
    name: "refusal",
    value: ValueType::Duration(DurationRange::whole_seconds(0, 2592000)),
    default: DefaultValue::Toml(r#""10m""#),
    example: r#""10m""#,
    meaning: "how long a refusal is replayed",
};

pub(crate) static RERUNS: ConfigKey = ConfigKey {
    name: "reruns",
    value: ValueType::Number {
        least: 0,
        most: 10,
        unit: "runs",
    },
    default: DefaultValue::Toml("0"),
    example: "2",
    meaning: "reruns after attempts without effect, within one call",
};

pub(crate) static RETRIES: ConfigKey = ConfigKey {
    name: "retries",
    value: ValueType::Number {
        least: 0,
        most: 100,
        unit: "attempts",
    },
    default: DefaultValue::Toml("2"),
    example: "2",
    meaning: "retries of an operation in doubt",
};

pub(crate) static LOOKS: ConfigKey = ConfigKey {
    name: "looks",
    value: ValueType::Number {
        least: 0,
        most: 1000,
        unit: "probes",
    },
    default: DefaultValue::Toml("8"),
    example: "8",
    meaning: "probes of an operation in doubt",
};

pub(crate) static OUTCOME_BYTES: ConfigKey = ConfigKey {
    name: "outcome_bytes_max",
    value: ValueType::Number {
        least: 0,
        most: 8388608,
        unit: "bytes",
    },
    default: DefaultValue::Toml("1048576"),
    example: "65536",
    meaning: "the largest outcome that is kept whole",
};

pub(crate) static KEEP_IDENTITY: ConfigKey = ConfigKey {
    name: "keep_identity",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "keep the identity of operations readable in records",
};

pub(crate) static MODE: ConfigKey = ConfigKey {
    name: "mode",
    value: ValueType::Choice(&["enforce", "shadow", "off"]),
    default: DefaultValue::Toml(r#""enforce""#),
    example: r#""shadow""#,
    meaning: "`enforce` guards calls; `shadow` runs them unguarded and records what a guard would do (a dry run); `off` runs them unguarded",
};

pub(crate) static TAKEN_WITHIN: ConfigKey = ConfigKey {
    name: "taken_within",
    value: ValueType::Duration(DurationRange::milliseconds(0, 60)),
    default: DefaultValue::Words(
        r#"`"5s"` in `[defaults]`, for tools that no `[[tool]]` matches; else never"#,
    ),
    example: r#""5s""#,
    meaning: "an answer written within this time counts as delivered, at a front end that cannot see delivery; `0s`: never",
};

pub(crate) static ANSWER_WITHIN: ConfigKey = ConfigKey {
    name: "answer_within",
    value: ValueType::Duration(DurationRange::milliseconds(100, 3600)),
    default: DefaultValue::Toml(r#""10m""#),
    example: r#""1m""#,
    meaning: "the timeout of a server; a call without an answer by then is in doubt",
};

pub(crate) static ON_CANCEL: ConfigKey = ConfigKey {
    name: "on_cancel",
    value: ValueType::Choice(&["finish", "forward"]),
    default: DefaultValue::Toml(r#""finish""#),
    example: r#""forward""#,
    meaning: "`forward` sends a cancellation to the server; the outcome is recorded in both cases",
};

pub(crate) static MATCH: ConfigKey = ConfigKey {
    name: "match",
    value: ValueType::Texts,
    default: DefaultValue::Required,
    example: r#"["stripe.*", "refund"]"#,
    meaning: "globs for the names of tools; the first `[[tool]]` that matches applies",
};

pub(crate) static TRUSTED: ConfigKey = ConfigKey {
    name: "trusted",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "let the server's hints make the guard less careful",
};

pub(crate) static IRREVERSIBLE: ConfigKey = ConfigKey {
    name: "irreversible",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "refuse the tool on a ledger that may lose records",
};

pub(crate) static ALLOW_FORGETFUL: ConfigKey = ConfigKey {
    name: "allow_forgetful_ledger",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "run the tool on a ledger that may lose records",
};

pub(crate) static SERVER_ERRORS: ConfigKey = ConfigKey {
    name: "server_errors_are_answers",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "let HTTP 408 and 5xx prove that there was no effect",
};

pub(crate) static OPEN_WITHOUT_LEDGER: ConfigKey = ConfigKey {
    name: "open_without_ledger",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("false"),
    example: "true",
    meaning: "run the tool while the ledger is unreachable; voids the promise, and every answer says so",
};

pub(crate) static TIMED_RERUN: ConfigKey = ConfigKey {
    name: "timed_rerun",
    value: ValueType::Duration(DurationRange::whole_seconds(1, 2592000)),
    default: DefaultValue::Unset,
    example: r#""10m""#,
    meaning: "send again this long after a probe found nothing; voids the promise, and every answer says so",
};

pub(crate) static LISTEN: ConfigKey = ConfigKey {
    name: "listen",
    value: ValueType::Text,
    default: DefaultValue::Words("one client, over the standard streams"),
    example: r#""127.0.0.1:8080""#,
    meaning: "the address for clients over HTTP",
};

pub(crate) static TOKEN_FILE: ConfigKey = ConfigKey {
    name: "token_file",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""token""#,
    meaning: "the file that holds the bearer token of clients",
};

pub(crate) static TOKEN_ENV: ConfigKey = ConfigKey {
    name: "token_env",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""SEMEL_TOKEN""#,
    meaning: "the environment variable that holds the bearer token of clients",
};

pub(crate) static HOSTS: ConfigKey = ConfigKey {
    name: "hosts",
    value: ValueType::Texts,
    default: DefaultValue::Toml("[]"),
    example: r#"["tools.example"]"#,
    meaning: "names by which clients may call this host, besides the address it listens on",
};

pub(crate) static ORIGINS: ConfigKey = ConfigKey {
    name: "origins",
    value: ValueType::Texts,
    default: DefaultValue::Toml("[]"),
    example: r#"["https://app.example"]"#,
    meaning: "web pages whose scripts may be clients, besides those of this machine",
};

pub(crate) static TENANT_HEADER: ConfigKey = ConfigKey {
    name: "tenant_header",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""X-Tenant""#,
    meaning: "the header that names a call's tenant; only behind a proxy that sets it for all clients",
};

pub(crate) static RUN_HEADER: ConfigKey = ConfigKey {
    name: "run_header",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""X-Run""#,
    meaning: "the header that names the agent's run",
};

pub(crate) static BODY_BYTES: ConfigKey = ConfigKey {
    name: "body_bytes_max",
    value: ValueType::Number {
        least: 1,
        most: 67108864,
        unit: "bytes",
    },
    default: DefaultValue::Toml("4194304"),
    example: "1048576",
    meaning: "the largest message over HTTP",
};

pub(crate) static CONNECTIONS: ConfigKey = ConfigKey {
    name: "connections_max",
    value: ValueType::Number {
        least: 1,
        most: 100000,
        unit: "connections",
    },
    default: DefaultValue::Toml("4096"),
    example: "100",
    meaning: "the most connections at once",
};

pub(crate) static REQUESTS: ConfigKey = ConfigKey {
    name: "requests_per_second_max",
    value: ValueType::Number {
        least: 1,
        most: 1000000,
        unit: "requests per second",
    },
    default: DefaultValue::Toml("10000"),
    example: "100",
    meaning: "the rate limit of one tenant",
};

pub(crate) static CHILDREN: ConfigKey = ConfigKey {
    name: "children_max",
    value: ValueType::Number {
        least: 1,
        most: 1000,
        unit: "processes",
    },
    default: DefaultValue::Toml("32"),
    example: "8",
    meaning: "the most child processes of one server",
};

pub(crate) static PROBE_TOOLS: ConfigKey = ConfigKey {
    name: "probe_tools",
    value: ValueType::Texts,
    default: DefaultValue::Toml("[]"),
    example: r#"["get_refund"]"#,
    meaning: "tools that policies may probe with although their server does not declare them read-only",
};

pub(crate) static SHUTDOWN: ConfigKey = ConfigKey {
    name: "shutdown_within",
    value: ValueType::Duration(DurationRange::milliseconds(0, 600)),
    default: DefaultValue::Toml(r#""10s""#),
    example: r#""30s""#,
    meaning: "the time that calls in progress get at shutdown",
};

pub(crate) static SERVERS: ConfigKey = ConfigKey {
    name: "server",
    value: ValueType::Sections(&SERVER),
    default: DefaultValue::Unset,
    example: "",
    meaning: "the servers",
};

pub(crate) static SERVER_NAME: ConfigKey = ConfigKey {
    name: "name",
    value: ValueType::Text,
    default: DefaultValue::Required,
    example: r#""files""#,
    meaning: "the name of the server: part of the identity of its operations",
};

pub(crate) static SERVER_COMMAND: ConfigKey = ConfigKey {
    name: "command",
    value: ValueType::Texts,
    default: DefaultValue::Unset,
    example: r#"["npx", "server"]"#,
    meaning: "the command that starts the server; or `url`",
};

pub(crate) static SERVER_URL: ConfigKey = ConfigKey {
    name: "url",
    value: ValueType::Text,
    default: DefaultValue::Unset,
    example: r#""https://crm.example/mcp""#,
    meaning: "the HTTP endpoint of the server; or `command`",
};

pub(crate) static SERVER_HEADERS: ConfigKey = ConfigKey {
    name: "headers_env",
    value: ValueType::Object,
    default: DefaultValue::Toml("{}"),
    example: r#"{ Authorization = "CRM_AUTHORIZATION" }"#,
    meaning: "headers sent to the server: their names, and the environment variables that hold their values",
};

pub(crate) static SERVER_PREFIX: ConfigKey = ConfigKey {
    name: "prefix",
    value: ValueType::Text,
    default: DefaultValue::Words("none for the only server, else its name and `_`"),
    example: r#""files_""#,
    meaning: "the prefix of the names of its tools and prompts",
};

pub(crate) static SERVER_TRUST: ConfigKey = ConfigKey {
    name: "trust_hints",
    value: ValueType::Boolean,
    default: DefaultValue::Words("`true` for a `command`, `false` for a `url`"),
    example: "false",
    meaning: "let its hints make its guard less careful",
};

pub(crate) static SERVER_RESTART: ConfigKey = ConfigKey {
    name: "restart",
    value: ValueType::Boolean,
    default: DefaultValue::Toml("true"),
    example: "false",
    meaning: "start a `command` again when it ends",
};

pub(crate) static LEDGER_SECTION: ConfigKey = ConfigKey {
    name: "ledger",
    value: ValueType::Section(&LEDGER),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static KEYS_SECTION: ConfigKey = ConfigKey {
    name: "keys",
    value: ValueType::Section(&KEYS),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static CACHE_SECTION: ConfigKey = ConfigKey {
    name: "cache",
    value: ValueType::Section(&CACHE),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static SEALING_SECTION: ConfigKey = ConfigKey {
    name: "sealing",
    value: ValueType::Section(&SEALING),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static DEFAULTS_SECTION: ConfigKey = ConfigKey {
    name: "defaults",
    value: ValueType::Section(&DEFAULTS),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static MCP_SECTION: ConfigKey = ConfigKey {
    name: "mcp",
    value: ValueType::Section(&MCP),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static TOOL_SECTION: ConfigKey = ConfigKey {
    name: "tool",
    value: ValueType::Sections(&TOOL),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};
