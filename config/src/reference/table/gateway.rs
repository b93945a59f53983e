//! Keys of the gateway: `[mcp]` and `[[mcp.server]]`. Those of its clients are in
//! [`access`](super::access).

use super::access::{HOSTS, LISTEN, ORIGINS, RUN_HEADER, TENANT_HEADER, TOKEN_ENV, TOKEN_FILE};
use crate::reference::{ConfigKey, DefaultValue, DurationRange, SectionKeys, ValueType};

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
