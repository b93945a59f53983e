//! `semel.toml`: the configuration of Semel.
//!
//! The file is the first of: the one that the program asks for (`--config`), the one that the
//! variable `SEMEL_CONFIG` names, `./semel.toml`, and `semel/semel.toml` in the user's folder
//! (`XDG_CONFIG_HOME`, else `~/.config`). The first two must exist. Without a file, the defaults
//! hold. Paths in the file are relative to its folder. All mistakes are reported at once, each with
//! its line and its cure. A file with a mistake has no effect at all.
//!
//! ```toml
//! [ledger]
//! url = "sqlite:ledger.sqlite"     # or "memory:", "postgres://semel@db.example/semel", "rediss://cache.example/0"
//! # secret_env = "LEDGER_PASSWORD" # the variable that holds the server's password, or secret_file
//! accept_unverified = false        # accept a service that hides its durability settings
//!
//! [keys]                           # without it, keys are plain digests
//! secret_file = "secret"           # or secret_env
//!
//! [cache]
//! enabled = true                   # keep compiled policies between runs
//! folder = "cache"
//!
//! [sealing]                        # encryption of records; without it, they are kept in the clear
//! current = "2026-11"              # the key that seals what is written
//! [[sealing.key]]                  # that key, and older ones that open what they sealed
//! id = "2026-11"                   # readable in records
//! secret_file = "seal-2026-11"     # or secret_env
//!
//! [defaults]
//! tenant = "default"               # of calls that name none
//! policy = "hints"                 # of tools without another one
//! settings = {}                    # of that policy
//! name_space = "shop"              # keeps operations apart; default: the policy's name
//! wait = "10s"                     # for another caller's attempt
//! lease = "15s"                    # of a claim without renewal
//! refusal = "10m"                  # the time for which a refusal is replayed
//! reruns = 0                       # after attempts without effect, within one call
//! retries = 2                      # of an operation in doubt
//! looks = 8                        # probes of an operation in doubt
//! outcome_bytes_max = 1048576      # the largest outcome that is kept whole
//! keep_identity = false            # readable in records
//! mode = "enforce"                 # or "shadow", a dry run; or "off"
//! taken_within = "5s"              # the time within which a written answer counts as delivered
//! answer_within = "10m"            # the timeout of a server; afterwards the call is in doubt
//! on_cancel = "finish"             # or "forward": the server gets the cancellation, too
//!
//! [mcp]                            # the gateway for MCP servers, `semel mcp`
//! # listen = "127.0.0.1:8080"      # for clients over HTTP; default: one client, over the standard streams
//! # token_file = "token"           # the bearer token of clients, or token_env; required except on loopback
//! hosts = ["tools.example"]        # names of this host, besides the address it listens on
//! origins = ["https://app.example"] # of web pages that may be clients, besides those of this machine
//! tenant_header = "X-Tenant"       # names the tenant: only behind a proxy that sets it for all clients
//! run_header = "X-Run"             # names the agent's run
//! body_bytes_max = 4194304         # of a message over HTTP
//! connections_max = 4096           # at once
//! requests_per_second_max = 10000  # the rate limit of one tenant
//! children_max = 32                # child processes of one server
//! probe_tools = ["get_refund"]     # policies may probe with these, although not declared read-only
//! shutdown_within = "10s"          # the time that calls in progress get at shutdown
//! [[mcp.server]]                   # one, or several behind one gateway
//! name = "files"                   # part of the identity of its operations
//! command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/data"] # or `url`
//! prefix = "files_"                # of its tools' names; default: none for the only server, else name and `_`
//! trust_hints = true               # let its hints relax its guard; default: true for a command
//! restart = true                   # start a command again when it ends
//! [[mcp.server]]
//! name = "crm"
//! url = "https://crm.example/mcp"
//! # headers_env = { Authorization = "CRM_AUTHORIZATION" } # sent to it: header and the variable of its value
//!
//! [[tool]]                         # the first one that matches a tool's name applies
//! match = ["stripe.*", "refund"]   # globs: one text, or a list
//! policy = "intent"                # a ready-made one, or a file: "./policies/stripe.wasm"
//! settings = { operation = "refund", identity = ["order_id"] }
//! trusted = false                  # let its server's hints relax its guard
//! irreversible = false             # refuse it on a ledger that may lose records
//! allow_forgetful_ledger = false   # run it on such a ledger all the same
//! server_errors_are_answers = false # let HTTP 408 and 5xx prove that there was no effect
//! # besides, as in [defaults]: name_space, wait, lease, refusal, reruns, retries, looks,
//! # outcome_bytes_max, keep_identity, mode, answer_within, on_cancel
//! # These void the promise for the tool, and every answer says so:
//! open_without_ledger = false      # run it while the ledger is unreachable
//! # timed_rerun = "10m"            # send again this long after a probe found nothing
//! # probe_command = ["./find"]     # the command that `semel exec` runs where the policy probes
//! # taken_within = "5s"            # a written answer counts as delivered
//! ```
//!
//! `docs/configuration.md` lists every key with its bounds and default. Variables override the file:
//! `SEMEL_LEDGER` (a URL; its path is relative to the working folder), `SEMEL_TENANT`,
//! `SEMEL_SECRET_FILE`, `SEMEL_CACHE` (a folder, or `off`), `SEMEL_WAIT` and `SEMEL_LEASE`. An
//! empty variable counts as unset. The last two set defaults, which a `[[tool]]` overrides.
//!
//! Reading a configuration opens nothing. [`Config::open_host`] and its neighbours open what it
//! describes.

mod cache;
mod environment;
mod error;
mod file;
mod gateway;
mod ledger;
mod open;
mod reference;
mod sealing;
mod secret;
mod section;
mod tools;

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

use error::Problem;
use file::ConfigFile;
use globset::GlobSet;
use reference::table;
use section::{MistakeList, Section};
use semel::runtime::{LEASE_SECONDS, OUTCOME_BYTES_MAX, REFUSAL_SECONDS};
use semel::{
    guard::ToolAllowance,
    key::Secret,
    model::{Tenant, ToolMode},
    store::SealingKeys,
};
use serde_json::{Map, Value};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::DeTable;
use tools::DefaultSettings;

pub use environment::Environment;
pub use error::{ConfigError, ConfigErrorKind, ConfigErrors, Origin};
pub use gateway::{McpLimits, McpPlace, McpServer, McpSetup, listen_address};
pub use ledger::{LedgerPlace, ServerPlace};
pub use open::{OpenedStore, SetupError};
pub use reference::json_schema;
pub use secret::SecretText;

/// The policy of a tool without a configured one.
const DEFAULT_POLICY: &str = semel_policies::HINTS;

/// The source of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicySource {
    /// A ready-made one of this name.
    Named(String),
    /// A component in this file.
    File(PathBuf),
}

/// The treatment of a call in progress without a waiting client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCancel {
    /// It runs to its end, and its outcome is recorded.
    #[default]
    Finish,
    /// Its server is notified, too. Its outcome is recorded all the same.
    Forward,
}

/// The settings of a tool. Debug output omits the policy's settings.
#[derive(Clone, PartialEq)]
pub struct ToolSetup {
    /// Its policy.
    pub policy: PolicySource,
    /// The policy's settings.
    pub settings: Map<String, Value>,
    /// The name space that keeps its operations apart from others of the same name; `None`: the
    /// policy's own name.
    pub name_space: Option<String>,
    /// The mode: guarded, only watched, or left alone.
    pub mode: ToolMode,
    /// The limits and permissions of the guard.
    pub allowance: ToolAllowance,
    /// The lease without renewal, in seconds.
    pub lease_seconds: u32,
    /// The time for which a refusal is replayed to equal content where its verdict names none, in
    /// seconds.
    pub refusal_seconds: u32,
    /// The largest outcome that is kept whole, in bytes of its JSON text.
    pub outcome_bytes_max: usize,
    /// True if records keep the identity in the clear.
    pub keep_identity: bool,
    /// True if it is refused on a ledger that forgets.
    pub irreversible: bool,
    /// True if it runs on a ledger that forgets all the same.
    pub allow_forgetful_ledger: bool,
    /// True if its server's own hints may relax its guard.
    pub trusted: bool,
    /// The time within which an answer must be written to count as received at a front end that
    /// cannot see receipt; `None`: it never counts.
    pub taken_within: Option<Duration>,
    /// The time limit of its server's answer; after it the call is in doubt.
    pub answer_within: Duration,
    /// The treatment of a call in progress without a waiting client, at a front end that sees the
    /// cancellation.
    pub on_cancel: OnCancel,
    /// The program and the arguments that look for an effect, at a front end that runs commands; empty: nothing does.
    pub probe_command: Vec<String>,
    /// The place of its definition; `None` for the defaults.
    pub defined_at: Option<Origin>,
}

impl fmt::Debug for ToolSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolSetup")
            .field("policy", &self.policy)
            .field("mode", &self.mode)
            .field("name_space", &self.name_space)
            .field("allowance", &self.allowance)
            .field("defined_at", &self.defined_at)
            .finish_non_exhaustive()
    }
}

impl Default for ToolSetup {
    /// The settings of an unconfigured tool.
    fn default() -> Self {
        Self {
            policy: PolicySource::Named(DEFAULT_POLICY.to_owned()),
            settings: Map::new(),
            name_space: None,
            mode: ToolMode::default(),
            allowance: ToolAllowance::default(),
            lease_seconds: LEASE_SECONDS,
            refusal_seconds: REFUSAL_SECONDS,
            outcome_bytes_max: OUTCOME_BYTES_MAX,
            keep_identity: false,
            irreversible: false,
            allow_forgetful_ledger: false,
            trusted: false,
            taken_within: Some(Duration::from_secs(5)),
            answer_within: Duration::from_mins(10),
            on_cancel: OnCancel::default(),
            probe_command: Vec::new(),
            defined_at: None,
        }
    }
}

/// A `[[tool]]`: the tools that it matches, and their settings.
#[derive(Debug, Clone)]
pub struct ToolRule {
    globs: GlobSet,
    patterns: Vec<String>,
    /// The settings of these tools.
    pub setup: ToolSetup,
}

impl ToolRule {
    /// Returns true if the rule is for the tool of this name.
    #[must_use]
    pub fn matches(&self, tool: &str) -> bool {
        self.globs.is_match(tool)
    }

    /// The globs, as they were written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

/// An operator's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None`: there was no file.
    pub file: Option<PathBuf>,
    /// The place of the ledger.
    pub ledger: LedgerPlace,
    /// The tenant of calls that name none.
    pub tenant: Tenant,
    /// The secret that keys are made with.
    pub secret: Option<Secret>,
    /// The folder of compiled policies; `None`: they are not kept between runs.
    pub cache: Option<PathBuf>,
    /// The keys that records are sealed under; `None`: records are kept in the clear.
    pub sealing: Option<SealingKeys>,
    /// The settings of named tools, in the order of the file.
    pub rules: Vec<ToolRule>,
    /// The gateway for MCP servers.
    pub mcp: McpSetup,
    /// The settings of all other tools.
    pub unnamed: ToolSetup,
}

impl Config {
    /// Finds the file, reads it, and applies the variables that override it. `requested` is a file
    /// that must exist and goes before all others. Nothing is created or written.
    ///
    /// # Errors
    /// Every mistake in the configuration.
    pub fn load(requested: Option<&Path>, environment: &Environment) -> Result<Self, ConfigErrors> {
        let file = ConfigFile::find(requested, environment)?;
        let mistakes = MistakeList::new(file.as_ref());
        let document = file.as_ref().and_then(|file| parse_toml(file, &mistakes));
        let whole = document
            .as_ref()
            .map(|document| Section::whole_file(document, &mistakes));
        let config = Self::read(whole.as_ref(), file.as_ref(), environment, &mistakes);
        mistakes.into_result(config)
    }

    /// The settings of a tool: those of the first rule that matches its name, else the default
    /// ones.
    #[must_use]
    pub fn tool(&self, name: &str) -> &ToolSetup {
        self.rules
            .iter()
            .find(|rule| rule.matches(name))
            .map_or(&self.unnamed, |rule| &rule.setup)
    }

    /// All settings of tools, those of unnamed tools last.
    pub fn setups(&self) -> impl Iterator<Item = &ToolSetup> {
        self.rules
            .iter()
            .map(|rule| &rule.setup)
            .chain([&self.unnamed])
    }

    /// Reads all sections. Mistakes are noted, and their values read as defaults.
    fn read(
        whole: Option<&Section<'_>>,
        file: Option<&ConfigFile>,
        environment: &Environment,
        mistakes: &MistakeList<'_>,
    ) -> Self {
        let folder = file.map_or(environment.folder.as_path(), ConfigFile::folder);
        let section = |key| whole.and_then(|whole| whole.section(key));
        let ledger = section(&table::LEDGER_SECTION);
        let keys = section(&table::KEYS_SECTION);
        let cache = section(&table::CACHE_SECTION);
        let sealing = section(&table::SEALING_SECTION);
        let defaults = section(&table::DEFAULTS_SECTION);
        let mcp = section(&table::MCP_SECTION);
        // Before the rules, which inherit them.
        let settings = DefaultSettings::read(defaults.as_ref(), folder, environment, mistakes);
        let config = Self {
            file: file.map(|file| file.path.clone()),
            ledger: ledger::read_ledger(ledger.as_ref(), folder, environment, mistakes),
            secret: secret::read_key_secret(keys.as_ref(), folder, environment, mistakes),
            cache: cache::read_cache(cache.as_ref(), folder, environment, mistakes),
            sealing: sealing::read_sealing(sealing.as_ref(), folder, environment),
            rules: whole.map_or_else(Vec::new, |whole| {
                tools::read_rules(whole, &settings, folder)
            }),
            mcp: gateway::read_gateway(mcp.as_ref(), folder, environment),
            tenant: settings.tenant,
            unnamed: settings.unnamed,
        };
        // After the readers: a key that one of them refuses with a cure is not reported twice.
        let sections = [&ledger, &keys, &cache, &sealing, &defaults, &mcp];
        for section in sections.into_iter().flatten().chain(whole) {
            section.refuse_unknown();
        }
        config
    }
}

fn parse_toml<'t>(file: &'t ConfigFile, mistakes: &MistakeList<'_>) -> Option<DeTable<'t>> {
    let error = match DeTable::parse(&file.text) {
        Ok(document) => return Some(document.into_inner()),
        Err(error) => error,
    };
    let span = error.span().unwrap_or_default();
    let message = format!("this is not valid TOML: {}", error.message());
    let problem = Problem::new(ConfigErrorKind::Syntax, message).with_source(error);
    mistakes.note(span, problem);
    None
}
