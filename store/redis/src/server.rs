//! A server's own information: its durability settings, and signs of lost writes.

use super::{
    error,
    loss_detection::{AppendLog, ServerFacts},
    topology::ClusterNode,
};
use redis::FromRedisValue;
use semel_core::model::Durability;
use semel_store::{ServerError, ServerReport};
use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The oldest supported major release. Older ones begin a script that they cannot finish.
const OLDEST: u32 = 7;

/// The settings that its durability depends on.
const SETTINGS: [&str; 4] = [
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory-policy",
];

/// The further fields of the report for the operator.
const REPORTED_FIELDS: [&str; 5] = [
    "redis_version",
    "role",
    "connected_slaves",
    "evicted_keys",
    "run_id",
];

/// The information that a server gives of itself.
pub(super) struct ServerInfo {
    name: String,
    display_name: String,
    info: HashMap<String, String>,
    /// `None` if the service hides its settings.
    settings: Option<HashMap<String, String>>,
    latency: Duration,
    /// The middle of the query, by this machine's clock.
    asked_at: SystemTime,
}

impl ServerInfo {
    pub(super) async fn query(node: &ClusterNode) -> Result<Self, ServerError> {
        let connection = &node.connection;
        let begun = Instant::now();
        let wall = SystemTime::now();
        let info = connection.info(None).await?;
        let latency = begun.elapsed();
        ensure_supported_release(&info)?;
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg(&SETTINGS[..]);
        let settings = match connection.query(&question).await {
            Ok(settings) => HashMap::from_redis_value(settings)
                .ok()
                .filter(|settings: &HashMap<_, _>| !settings.is_empty()),
            Err(error) if error::ends_connection(&error) => {
                return Err(connection.server_error(&error));
            }
            // The service hides its settings.
            Err(_) => None,
        };
        let name = node.name.clone();
        let display_name = connection.display_name().to_owned();
        Ok(Self {
            name,
            display_name,
            info,
            settings,
            latency,
            asked_at: wall + latency / 2,
        })
    }

    fn info_field(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// Checks that the server is writable, and keeps writes while it runs.
    pub(super) fn check_fitness(
        &self,
        accepts_unverified: bool,
    ) -> Result<Durability, ServerError> {
        if self.info_field("role").is_some_and(|role| role != "master") {
            let problem = "it is a replica".into();
            return Err(ServerError::ReadOnly {
                place: self.display_name.clone(),
                problem,
            });
        }
        if self.info_field("loading") == Some("1") {
            let problem = "it is still loading its data".into();
            return Err(ServerError::Unreachable {
                place: self.display_name.clone(),
                problem,
                hint: "",
            });
        }
        // An evicted record would look as if its operation had never begun.
        let policy = self
            .setting("maxmemory-policy")
            .or(self.info_field("maxmemory_policy"));
        if policy.is_some_and(|policy| policy != "noeviction") {
            return Err(wrong_setting(
                "maxmemory-policy",
                policy.unwrap_or_default(),
                "noeviction",
            ));
        }
        self.durability_level(accepts_unverified)
    }

    fn durability_level(&self, accepts_unverified: bool) -> Result<Durability, ServerError> {
        let Some(fsync) = self.setting("appendfsync") else {
            return if accepts_unverified {
                Ok(Durability::Unverified)
            } else {
                Err(hidden_settings())
            };
        };
        if self
            .info_field("aof_enabled")
            .or(self.setting("appendonly"))
            .is_some_and(|is_on| is_on == "0" || is_on == "no")
        {
            return Err(wrong_setting("appendonly", "no", "yes"));
        }
        if self
            .info_field("aof_last_write_status")
            .is_some_and(|status| status != "ok")
        {
            return Err(ServerError::Unsafe {
                problem: "it could not write its append-only file".into(),
                cure: "see whether its disk is full".to_owned(),
            });
        }
        // During a rewrite of the file, `no-appendfsync-on-rewrite` overrides `appendfsync`.
        let syncs = fsync == "always"
            && self
                .setting("no-appendfsync-on-rewrite")
                .is_none_or(|skips| skips == "no");
        Ok(if syncs {
            Durability::PowerLoss
        } else {
            Durability::ProcessCrash
        })
    }

    /// Returns the facts that reveal a loss.
    pub(super) fn facts(&self, accepts_unverified: bool) -> ServerFacts {
        // A promoted replica names the replication history that it followed, until it is restarted.
        let followed = self
            .info_field("master_replid2")
            .filter(|history| history.contains(|sign| sign != '0'));
        let followed = followed.map(|history| {
            format!(
                "{history}{}",
                self.info_field("second_repl_offset").unwrap_or("")
            )
        });
        let is_set = |name: &str| self.info_field(name) == Some("1");
        let log = if !is_set("aof_enabled") {
            AppendLog::Off
        } else if is_set("aof_rewrite_in_progress") || is_set("aof_rewrite_scheduled") {
            AppendLog::Rewriting
        } else {
            AppendLog::Complete
        };
        ServerFacts {
            name: self.name.clone(),
            run: self.info_field("run_id").unwrap_or_default().to_owned(),
            followed,
            evicted: self
                .info_field("evicted_keys")
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
            log,
            restart_loses: !matches!(
                self.check_fitness(accepts_unverified),
                Ok(Durability::PowerLoss)
            ),
        }
    }

    fn clock_ahead_ms(&self) -> i64 {
        let here_ms = self
            .asked_at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let here_ms = i64::try_from(here_ms).unwrap_or(i64::MAX);
        let there_ms = self
            .info_field("server_time_usec")
            .and_then(|time| time.parse::<i64>().ok());
        there_ms.map_or(0, |micros| (micros / 1000).saturating_sub(here_ms))
    }
}

/// Returns the report of all servers for the operator: each value that one of them has, and the
/// worst of each measurement.
pub(super) fn combine_reports(servers: &[ServerInfo]) -> ServerReport {
    let answer = REPORTED_FIELDS.into_iter().filter_map(|name| {
        Some((
            name,
            joined_values(servers, |server| server.info_field(name))?,
        ))
    });
    let set = SETTINGS
        .into_iter()
        .filter_map(|name| Some((name, joined_values(servers, |server| server.setting(name))?)));
    let count = (servers.len() > 1).then(|| ("cluster_primaries", servers.len().to_string()));
    ServerReport {
        settings: set.chain(answer).chain(count).collect(),
        latency: servers
            .iter()
            .map(|server| server.latency)
            .max()
            .unwrap_or_default(),
        clock_ahead_ms: servers
            .iter()
            .map(ServerInfo::clock_ahead_ms)
            .max_by_key(|ms| ms.unsigned_abs())
            .unwrap_or(0),
    }
}

fn joined_values<'a>(
    servers: &'a [ServerInfo],
    value: impl Fn(&'a ServerInfo) -> Option<&'a str>,
) -> Option<String> {
    let mut values: Vec<&str> = servers.iter().filter_map(value).collect();
    values.sort_unstable();
    values.dedup();
    (!values.is_empty()).then(|| values.join(", "))
}

fn ensure_supported_release(info: &HashMap<String, String>) -> Result<(), ServerError> {
    let version = info
        .get("redis_version")
        .map_or("of an unknown release", String::as_str);
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST) {
        return Ok(());
    }
    Err(ServerError::other(format!(
        "it is Redis {version}, and a ledger needs {OLDEST}.0: upgrade the server"
    )))
}

fn wrong_setting(name: &str, found: &str, wanted: &str) -> ServerError {
    ServerError::Unsafe {
        problem: format!("`{name}` is {found}").into(),
        cure: format!("run `CONFIG SET {name} {wanted}`, and write it into its configuration"),
    }
}

fn hidden_settings() -> ServerError {
    ServerError::Unsafe {
        problem: "it hides its settings, so its durability is unknown".into(),
        cure: "let this user run `CONFIG GET`, or accept it by `accept_unverified = true` in the section `[ledger]`"
            .to_owned(),
    }
}
