//! Keys of the ledger and its secrets: `[ledger]`, `[keys]`, `[cache]` and `[sealing]`.

use crate::reference::{ConfigKey, DefaultValue, SectionKeys, ValueType};

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
