//! `semel.toml`: what an operator sets up.
//!
//! The file is the first of: the one asked for (`--config`), the one in `SEMEL_CONFIG`,
//! `./semel.toml`, and `semel/semel.toml` in the user's folder (`XDG_CONFIG_HOME`, else
//! `~/.config`). The first two must exist; without any, the defaults hold. Paths in the file are
//! relative to its folder. All mistakes are reported at once, each with its line and its cure; a
//! file with a mistake sets nothing up.
//!
//! ```toml
//! [ledger]
//! url = "sqlite:ledger.sqlite"     # or "memory:"; default: semel/ledger.sqlite in XDG_STATE_HOME, else ~/.local/state
//!                                  # or a server: "postgres://semel@db.example/semel", "rediss://cache.example/0"
//! # secret_env = "LEDGER_PASSWORD" # the variable that holds a server's password, or secret_file
//! accept_unverified = false        # takes a service that hides whether it keeps what it acknowledged
//!
//! [keys]                           # at most one of the two; without, keys are plain digests
//! secret_file = "secret"           # its bytes, but for a line end
//! # secret_env = "PAYMENTS_SECRET" # the variable that holds it
//!
//! [cache]
//! enabled = true                   # whether compiled policies are kept between runs
//! folder = "cache"                 # where; default: semel in XDG_CACHE_HOME, else ~/.cache
//!
//! [sealing]                        # without, records are kept in the clear
//! current = "2026-11"              # the key that seals what is written
//! [[sealing.key]]                  # that one, and any number of older ones, to open what they sealed
//! id = "2026-11"                   # its name, which stands open in records
//! secret_file = "seal-2026-11"     # its bytes, but for a line end; or secret_env
//!
//! [defaults]
//! tenant = "default"               # on whose behalf calls are made that name no tenant
//! policy = "hints"                 # for tools that no [[tool]] matches, or whose [[tool]] names none
//! settings = {}                    # of that policy
//! name_space = "shop"              # keeps operations apart; default: the policy's name
//! wait = "10s"                     # for another caller's attempt, 0s to 1h
//! lease = "15s"                    # of a claim, renewed three times as often, 3s to 10m
//! refusal = "10m"                  # a refusal is replayed for so long, 0s to 30d
//! reruns = 0                       # after attempts without effect, within one call, up to 10
//! retries = 2                      # of what is in doubt, up to 100
//! looks = 8                        # by probes, up to 1000
//! outcome_bytes_max = 1048576      # of an outcome that is kept whole, up to 8 MiB
//! keep_identity = false            # in records
//! mode = "enforce"                 # or "shadow": calls run unguarded, and `semel ledger report` says what would have
//!                                  # become of them; or "off": they run, and nothing is decided or recorded
//! taken_within = "5s"              # see below; for tools that no [[tool]] matches, 0s (never) to 1m
//! answer_within = "10m"            # a server that has not answered by then leaves the call in doubt, 100ms to 1h
//! on_cancel = "finish"             # or "forward": its server is told when nobody waits for a call any longer
//!
//! [mcp]                            # the gateway for MCP servers, `semel mcp`
//! # listen = "127.0.0.1:8080"      # for clients over HTTP; default: one client, over the standard streams
//! # token_file = "token"           # the bearer token of clients, or token_env; a must where not only this machine connects
//! hosts = ["tools.example"]        # names by which clients may call this host, besides the address it listens on
//! origins = ["https://app.example"] # web pages whose scripts may be clients, besides those of this machine
//! tenant_header = "X-Tenant"       # says on whose behalf a client calls: only behind whoever sets it for all
//! run_header = "X-Run"             # names the agent's run
//! body_bytes_max = 4194304         # of a message over HTTP, up to 64 MiB
//! connections_max = 4096           # at once, up to 100000
//! requests_per_second_max = 10000  # of one tenant, over a while
//! children_max = 32                # of a server that is a command, up to 1000
//! probe_tools = ["get_refund"]     # policies may look with these, though their server does not say that they only read
//! shutdown_within = "10s"          # for calls under way, once the gateway is told to end, 0s to 10m
//! [[mcp.server]]                   # one, or several behind one gateway
//! name = "files"                   # part of the identity of what its tools do
//! command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/data"] # or `url`
//! prefix = "files_"                # before its tools' names; default: none for the only server, else name and `_`
//! trust_hints = true               # whether its hints may make its guard less careful; default: of a command, yes
//! restart = true                   # whether a command that ends is started again
//! [[mcp.server]]
//! name = "crm"
//! url = "https://crm.example/mcp"
//! # headers_env = { Authorization = "CRM_AUTHORIZATION" } # sent to it: header and the variable that holds its value
//!
//! [[tool]]                         # the first that matches a tool's name counts
//! match = ["stripe.*", "refund"]   # globs: one text, or a list
//! policy = "intent"                # a ready-made one, or a file: "./policies/stripe.wasm"
//! settings = { operation = "refund", identity = ["order_id"] }
//! trusted = false                  # whether its server's own hints may make its guard less careful
//! irreversible = false             # refused on a ledger that forgets
//! allow_forgetful_ledger = false   # runs on such a ledger all the same
//! server_errors_are_answers = false # whether HTTP 408 and 5xx may prove that there was no effect
//! # besides: name_space, wait, lease, refusal, reruns, retries, looks, outcome_bytes_max, keep_identity, mode,
//! # answer_within, on_cancel, as above
//! # These void the guarantee for the tool, and every answer says so:
//! open_without_ledger = false      # it runs while the ledger is unreachable
//! # timed_rerun = "10m"            # sent again so long after a probe found nothing, 1s to 30d
//! # taken_within = "5s"            # an answer written so quickly counts as received, where a door cannot see it
//! ```
//!
//! Variables override the file: `SEMEL_LEDGER` (a URL; its path is relative to the working folder), `SEMEL_TENANT`,
//! `SEMEL_SECRET_FILE`, `SEMEL_CACHE` (a folder, or `off`), `SEMEL_WAIT`, `SEMEL_LEASE`. An empty one counts as unset. The
//! last two set the defaults; what a `[[tool]]` says still counts for it.
//!
//! Reading a configuration opens nothing. [`Config::open_host`] and its neighbours open what it describes.

mod cache;
mod error;
mod gateway;
mod keys;
mod ledger;
mod open;
mod places;
mod reference;
mod sealing;
mod secret;
mod section;
mod tools;

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

use globset::GlobSet;
use places::Text;
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

pub use error::{ConfigError, ConfigErrorKind, ConfigErrors, Origin};
pub use gateway::{McpLimits, McpPlace, McpServer, McpSetup, SERVERS_MAX, listen_address};
pub use ledger::{LedgerPlace, ServerPlace};
pub use open::{OpenedStore, SetupError};
pub use places::Surroundings;
pub use reference::{configuration_page, json_schema};
pub use secret::SecretText;

/// The name of the file.
pub const FILE_NAME: &str = "semel.toml";

/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// The most `[[tool]]` sections.
pub const TOOLS_MAX: usize = 1000;

/// The most globs of one `[[tool]]`.
pub const GLOBS_MAX: usize = 64;

/// The longest glob, in bytes.
pub const GLOB_BYTES_MAX: usize = 256;

/// The policy of a tool that the configuration does not name.
pub const DEFAULT_POLICY: &str = semel_policies::HINTS;

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
    /// The place of its definition; `None` for the defaults.
    pub defined_at: Option<Origin>,
}

impl fmt::Debug for ToolSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("ToolSetup");
        told.field("policy", &self.policy)
            .field("mode", &self.mode)
            .field("name_space", &self.name_space);
        told.field("allowance", &self.allowance)
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
            defined_at: None,
        }
    }
}

/// A `[[tool]]`: which tools, and how they are set up.
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
    /// The file it was read from; none: there was none.
    pub file: Option<PathBuf>,
    /// The place of the ledger.
    pub ledger: LedgerPlace,
    /// The tenant of calls that name none.
    pub tenant: Tenant,
    /// The secret that keys are made with.
    pub secret: Option<Secret>,
    /// The folder where compiled policies are kept between runs; none: they are not.
    pub cache: Option<PathBuf>,
    /// The keys that records are sealed under; none: they are kept in the clear.
    pub sealing: Option<SealingKeys>,
    /// The tools that are set up, in order.
    pub rules: Vec<ToolRule>,
    /// The gateway for MCP servers.
    pub mcp: McpSetup,
    /// The settings of all other tools.
    pub unnamed: ToolSetup,
}

impl Config {
    /// Finds the file, reads it, and lets the variables override it. `asked` is the file that was asked for by name.
    ///
    /// # Errors
    /// Every mistake that was found. Nothing is made or written.
    pub fn load(asked: Option<&Path>, surroundings: &Surroundings) -> Result<Self, ConfigErrors> {
        let found = places::find(asked, surroundings)?;
        let mistakes = MistakeList::new(found.as_ref());
        let document = found.as_ref().and_then(|text| parsed(text, &mistakes));
        let top = document
            .as_ref()
            .map(|document| Section::top(document, &mistakes));
        let config = Self::read(top.as_ref(), found.as_ref(), surroundings, &mistakes);
        mistakes.none_or(config)
    }

    /// The set-up of the tool of this name: that of the first rule that matches, else that of all others.
    #[must_use]
    pub fn tool(&self, name: &str) -> &ToolSetup {
        self.rules
            .iter()
            .find(|rule| rule.matches(name))
            .map_or(&self.unnamed, |rule| &rule.setup)
    }

    /// Every set-up, the one of unnamed tools last.
    pub fn setups(&self) -> impl Iterator<Item = &ToolSetup> {
        self.rules
            .iter()
            .map(|rule| &rule.setup)
            .chain([&self.unnamed])
    }

    fn read(
        top: Option<&Section<'_>>,
        found: Option<&Text>,
        around: &Surroundings,
        mistakes: &MistakeList<'_>,
    ) -> Self {
        let folder = found.map_or(around.folder.as_path(), Text::folder);
        let section = |key| top.and_then(|top| top.section(key));
        let [
            ledger_section,
            keys_section,
            cache_section,
            sealing_section,
            defaults_section,
            mcp_section,
        ] = [
            &table::LEDGER_SECTION,
            &table::KEYS_SECTION,
            &table::CACHE_SECTION,
            &table::SEALING_SECTION,
            &table::DEFAULTS_SECTION,
            &table::MCP_SECTION,
        ]
        .map(section);
        let defaults = tools::Defaults::read(defaults_section.as_ref(), folder, around, mistakes);
        let config = Self {
            file: found.map(|text| text.path.clone()),
            ledger: ledger::read(ledger_section.as_ref(), folder, around, mistakes),
            secret: keys::read(keys_section.as_ref(), folder, around, mistakes),
            cache: cache::read(cache_section.as_ref(), folder, around, mistakes),
            sealing: sealing::read(sealing_section.as_ref(), folder, around),
            rules: top.map_or_else(Vec::new, |top| tools::rules(top, &defaults, folder)),
            mcp: gateway::read(mcp_section.as_ref(), folder, around),
            tenant: defaults.tenant,
            unnamed: defaults.unnamed,
        };
        let sections = [
            &ledger_section,
            &keys_section,
            &cache_section,
            &sealing_section,
            &defaults_section,
            &mcp_section,
        ];
        for section in sections.into_iter().map(Option::as_ref).chain([top]) {
            section.inspect(|section| section.refuse_unknown());
        }
        config
    }
}

fn parsed<'t>(text: &'t Text, mistakes: &MistakeList<'_>) -> Option<DeTable<'t>> {
    match DeTable::parse(&text.text) {
        Ok(document) => Some(document.into_inner()),
        Err(error) => {
            mistakes.note_as(
                ConfigErrorKind::Syntax,
                error.span().unwrap_or_default(),
                format!("this is not valid TOML: {}", error.message()),
            );
            None
        }
    }
}
