//! A server's own report: its durability settings, and signs of lost writes.

use super::{
    connection::Connection,
    error,
    loss_detection::{AppendLog, ServerFacts},
    nodes::ClusterNode,
};
use redis::{FromRedisValue, Value};
use semel_core::model::Durability;
use semel_store::{ServerError, ServerReport};
use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The oldest release of Redis that says before a script begins whether it could not be carried out as a whole.
const OLDEST: u32 = 7;

/// The settings that its level rests on.
const SETTINGS: [&str; 4] = [
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory-policy",
];

/// Further settings for the operator.
const TOLD: [&str; 5] = [
    "redis_version",
    "role",
    "connected_slaves",
    "evicted_keys",
    "run_id",
];

/// A server's own report.
pub(super) struct Server {
    name: String,
    shown: String,
    info: HashMap<String, String>,
    /// None: it hides its settings.
    settings: Option<HashMap<String, String>>,
    latency: Duration,
    /// When it was asked, by this machine's clock.
    asked: SystemTime,
}

impl Server {
    pub(super) async fn ask(node: &ClusterNode) -> Result<Self, ServerError> {
        let connection = &node.connection;
        let begun = Instant::now();
        let wall = SystemTime::now();
        let info = info(connection, None).await?;
        let latency = begun.elapsed();
        is_new_enough(&info)?;
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg(&SETTINGS[..]);
        let settings = match connection.ask(&question).await {
            Ok(settings) => HashMap::from_redis_value(settings)
                .ok()
                .filter(|settings: &HashMap<_, _>| !settings.is_empty()),
            Err(error) if error::ends_connection(&error) => return Err(connection.fault(&error)),
            // The service hides them.
            Err(_) => None,
        };
        let name = node.name.clone();
        let shown = connection.shown().to_owned();
        Ok(Self {
            name,
            shown,
            info,
            settings,
            latency,
            asked: wall + latency / 2,
        })
    }

    fn told(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// Checks that it may be written to, and keeps writes while it runs.
    pub(super) fn check(&self, accepts_unverified: bool) -> Result<Durability, ServerError> {
        if self.told("role").is_some_and(|role| role != "master") {
            let problem = "it is a replica".to_owned();
            return Err(ServerError::ReadOnly {
                place: self.shown.clone(),
                problem,
            });
        }
        if self.told("loading") == Some("1") {
            let problem = "it is still loading its data".to_owned();
            return Err(ServerError::Unreachable {
                place: self.shown.clone(),
                problem,
                hint: "",
            });
        }
        let policy = self
            .setting("maxmemory-policy")
            .or(self.told("maxmemory_policy"));
        if policy.is_some_and(|policy| policy != "noeviction") {
            return Err(wrong(
                "maxmemory-policy",
                policy.unwrap_or_default(),
                "noeviction",
            ));
        }
        self.durability(accepts_unverified)
    }

    fn durability(&self, accepts_unverified: bool) -> Result<Durability, ServerError> {
        let Some(fsync) = self.setting("appendfsync") else {
            return if accepts_unverified {
                Ok(Durability::Unverified)
            } else {
                Err(hidden())
            };
        };
        if self
            .told("aof_enabled")
            .or(self.setting("appendonly"))
            .is_some_and(|is_on| is_on == "0" || is_on == "no")
        {
            return Err(wrong("appendonly", "no", "yes"));
        }
        if self
            .told("aof_last_write_status")
            .is_some_and(|status| status != "ok")
        {
            return Err(ServerError::Unsafe {
                problem: "it could not write its append-only file".to_owned(),
                cure: "see whether its disk is full".to_owned(),
            });
        }
        // While the file is rewritten, the second setting overrides the first.
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
        // A replica that was made primary keeps the name of the history that it followed, until it is restarted.
        let followed = self
            .told("master_replid2")
            .filter(|history| history.contains(|sign| sign != '0'));
        let followed = followed
            .map(|history| format!("{history}{}", self.told("second_repl_offset").unwrap_or("")));
        let is_so = |name: &str| self.told(name) == Some("1");
        let log = match is_so("aof_rewrite_in_progress") || is_so("aof_rewrite_scheduled") {
            _ if !is_so("aof_enabled") => AppendLog::Off,
            true => AppendLog::Rewritten,
            false => AppendLog::Holds,
        };
        ServerFacts {
            name: self.name.clone(),
            run: self.told("run_id").unwrap_or_default().to_owned(),
            followed,
            evicted: self
                .told("evicted_keys")
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
            log,
            restart_loses: self.check(accepts_unverified) != Ok(Durability::PowerLoss),
        }
    }

    fn clock_ahead_ms(&self) -> i64 {
        let here_ms = self
            .asked
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let here_ms = i64::try_from(here_ms).unwrap_or(i64::MAX);
        let there_ms = self
            .told("server_time_usec")
            .and_then(|time| time.parse::<i64>().ok());
        there_ms.map_or(0, |micros| (micros / 1000).saturating_sub(here_ms))
    }
}

/// Returns the report of all servers for the operator: each value that one of them has, and the
/// worst of each measurement.
pub(super) fn report(servers: &[Server]) -> ServerReport {
    let told = TOLD
        .into_iter()
        .filter_map(|name| Some((name, joined(servers, |server| server.told(name))?)));
    let set = SETTINGS
        .into_iter()
        .filter_map(|name| Some((name, joined(servers, |server| server.setting(name))?)));
    let count = (servers.len() > 1).then(|| ("cluster_primaries", servers.len().to_string()));
    ServerReport {
        settings: set.chain(told).chain(count).collect(),
        latency: servers
            .iter()
            .map(|server| server.latency)
            .max()
            .unwrap_or_default(),
        clock_ahead_ms: servers
            .iter()
            .map(Server::clock_ahead_ms)
            .max_by_key(|ms| ms.unsigned_abs())
            .unwrap_or(0),
    }
}

fn joined<'a>(
    servers: &'a [Server],
    value: impl Fn(&'a Server) -> Option<&'a str>,
) -> Option<String> {
    let mut values: Vec<&str> = servers.iter().filter_map(value).collect();
    values.sort_unstable();
    values.dedup();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Returns the server's report, or one section of it.
pub(super) async fn info(
    connection: &Connection,
    of: Option<&str>,
) -> Result<HashMap<String, String>, ServerError> {
    let mut question = redis::cmd("INFO");
    question.arg(of);
    let told = connection
        .ask(&question)
        .await
        .map_err(|error| connection.fault(&error))?;
    let told = text(told)
        .ok_or_else(|| ServerError::Other("its answer to INFO cannot be read".to_owned()))?;
    let told = told.lines().filter_map(|line| line.split_once(':'));
    Ok(told
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

fn text(value: Value) -> Option<String> {
    String::from_redis_value(value).ok()
}

fn is_new_enough(info: &HashMap<String, String>) -> Result<(), ServerError> {
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
    Err(ServerError::Other(format!(
        "it is Redis {version}, and a ledger needs {OLDEST}.0: upgrade the server"
    )))
}

fn wrong(name: &str, found: &str, wanted: &str) -> ServerError {
    ServerError::Unsafe {
        problem: format!("`{name}` is {found}"),
        cure: format!("run `CONFIG SET {name} {wanted}`, and write it into its configuration"),
    }
}

fn hidden() -> ServerError {
    ServerError::Unsafe {
        problem: "it hides its settings, so that nobody can tell".to_owned(),
        cure: "let this user run `CONFIG GET`, or accept it by `accept_unverified = true` in the section `[ledger]`"
            .to_owned(),
    }
}
