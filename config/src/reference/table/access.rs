//! Keys of `[mcp]` that decide which clients may connect, and for which tenant they call.

use crate::reference::{ConfigKey, DefaultValue, ValueType};

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
