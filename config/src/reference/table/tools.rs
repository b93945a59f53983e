//! Keys of tools: `[defaults]` and `[[tool]]`.

use crate::reference::{ConfigKey, DefaultValue, DurationRange, SectionKeys, ValueType};

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
        &PROBE_COMMAND,
        &OPEN_WITHOUT_LEDGER,
        &IRREVERSIBLE,
        &ALLOW_FORGETFUL,
        &TRUSTED,
    ],
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
    meaning: "how long a claim lasts without renewal; a host renews it three times within that time",
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

pub(crate) static PROBE_COMMAND: ConfigKey = ConfigKey {
    name: "probe_command",
    value: ValueType::Texts,
    default: DefaultValue::Unset,
    example: r#"["./find-refund"]"#,
    meaning: "the command that `semel exec` runs where the policy probes: it reads the probe's arguments from stdin, and must have no effect",
};
