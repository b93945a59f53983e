//! Whether the server keeps what it acknowledges, which life of the ledger lies there, and whether any of it may be lost.

use super::{
    fault,
    link::Connection,
    place::Place,
    script::{LOOK, Script},
};
use crate::{
    store::{ServerFault, ServerReport},
    words::{Durability, Incarnation},
};
use redis::{Cmd, FromRedisValue, Value};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The schema that this release writes, and the newest that it knows.
pub(super) const SCHEMA: i64 = 1;

/// The oldest release of Redis that says before a script begins whether it could not be carried out as a whole.
const OLDEST: u32 = 7;

/// Where the ledger is marked as one. It lies in a slot of its own.
pub(super) const MARKER: &str = "semel:{ledger}";

/// The settings that its level rests on.
const SETTINGS: [&str; 4] = ["appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy"];

/// What makes a life: a random value.
pub(super) const LIFE_BYTES: usize = 16;

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) durability: Durability,
    pub(super) life: [u8; LIFE_BYTES],
    pub(super) incarnation: Incarnation,
    /// For whoever looks after the server.
    pub(super) report: ServerReport,
}

/// What the server tells of itself.
pub(super) struct Server {
    info: HashMap<String, String>,
    /// None: it hides its settings.
    settings: Option<HashMap<String, String>>,
    report: ServerReport,
}

impl Server {
    pub(super) async fn ask(connection: &Connection, place: &Place) -> Result<Self, ServerFault> {
        let (begun, wall) = (Instant::now(), SystemTime::now());
        let info = connection.ask(&redis::cmd("INFO")).await.map_err(|error| place.fault(&error))?;
        let latency = begun.elapsed();
        let info = text(info).ok_or_else(|| ServerFault::Other("its answer to INFO cannot be read".to_owned()))?;
        let info = info.lines().filter_map(|line| line.split_once(':'));
        let info: HashMap<_, _> = info.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        is_new_enough(&info)?;
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg(&SETTINGS[..]);
        let settings = match connection.ask(&question).await {
            Ok(settings) => {
                HashMap::from_redis_value(settings).ok().filter(|settings: &HashMap<_, _>| !settings.is_empty())
            }
            Err(error) if fault::ends_connection(&error) => return Err(place.fault(&error)),
            // The service hides them.
            Err(_) => None,
        };
        let report = report(&info, settings.as_ref(), latency, wall + latency / 2);
        Ok(Self { info, settings, report })
    }

    fn told(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether it may be written to, and keeps what was written as long as it stands.
    pub(super) fn check(&self, place: &Place) -> Result<Durability, ServerFault> {
        if self.told("role").is_some_and(|role| role != "master") {
            let problem = "it is a replica".to_owned();
            return Err(ServerFault::ReadOnly { place: place.shown().to_owned(), problem });
        }
        if self.told("cluster_enabled") == Some("1") {
            return Err(ServerFault::Other(
                "it belongs to a cluster, which this release does not follow: name a server that stands alone"
                    .to_owned(),
            ));
        }
        if self.told("loading") == Some("1") {
            let problem = "it is still loading its data".to_owned();
            return Err(ServerFault::Unreachable { place: place.shown().to_owned(), problem });
        }
        let policy = self.setting("maxmemory-policy").or(self.told("maxmemory_policy"));
        if policy.is_some_and(|policy| policy != "noeviction") {
            return Err(wrong("maxmemory-policy", policy.unwrap_or_default(), "noeviction"));
        }
        self.durability(place)
    }

    fn durability(&self, place: &Place) -> Result<Durability, ServerFault> {
        let Some(fsync) = self.setting("appendfsync") else {
            return if place.accepts_unverified { Ok(Durability::Unverified) } else { Err(hidden()) };
        };
        if self.told("aof_enabled").or(self.setting("appendonly")).is_some_and(|is_on| is_on == "0" || is_on == "no") {
            return Err(wrong("appendonly", "no", "yes"));
        }
        if self.told("aof_last_write_status").is_some_and(|status| status != "ok") {
            return Err(ServerFault::Unsafe {
                problem: "it could not write its append-only file".to_owned(),
                cure: "see whether its disk is full".to_owned(),
            });
        }
        // While the file is rewritten, the second setting overrides the first.
        let syncs = fsync == "always" && self.setting("no-appendfsync-on-rewrite").is_none_or(|skips| skips == "no");
        Ok(if syncs { Durability::PowerLoss } else { Durability::ProcessCrash })
    }
}

/// What a look at it came to, for whoever looks after it. `middle` is when it was asked, by this machine's clock.
fn report(
    info: &HashMap<String, String>,
    settings: Option<&HashMap<String, String>>,
    latency: Duration,
    middle: SystemTime,
) -> ServerReport {
    let told = ["redis_version", "role", "connected_slaves", "evicted_keys", "run_id"];
    let told = told.into_iter().filter_map(|name| Some((name, info.get(name)?.clone())));
    let set = SETTINGS.into_iter().filter_map(|name| Some((name, settings?.get(name)?.clone())));
    let here_ms =
        middle.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let there_ms = info.get("server_time_usec").and_then(|time| time.parse::<i64>().ok()).map(|micros| micros / 1000);
    let clock_ahead_ms = there_ms.map_or(0, |there_ms| there_ms.saturating_sub(here_ms));
    ServerReport { settings: set.chain(told).collect(), latency, clock_ahead_ms }
}

/// Looks at a server and its ledger.
pub(super) async fn inspect(connection: &Connection, place: &Place) -> Result<Finding, ServerFault> {
    let server = Server::ask(connection, place).await?;
    let checked = server.check(place);
    if matches!(checked, Err(ServerFault::Unsafe { .. })) {
        // So that it is noted where the append-only file has a gap from now on.
        let _ = Marker::look(connection, place, Durability::Unverified).await;
    }
    let durability = checked?;
    let marker = Marker::look(connection, place, durability).await?.ok_or_else(|| missing(place))?;
    match marker.schema {
        SCHEMA => {}
        found if found > SCHEMA => return Err(ServerFault::Newer { found, known: SCHEMA }),
        found => return Err(ServerFault::Older { found, known: SCHEMA }),
    }
    if !marker.is_ready {
        return Err(missing(place));
    }
    if !marker.is_whole && durability != Durability::Unverified {
        return Err(ServerFault::Unsafe {
            problem: "its append-only file does not hold everything yet, because it was turned on, or the server took over, just now".to_owned(),
            cure: "wait until it is rewritten (`INFO persistence`), or run `BGREWRITEAOF`".to_owned(),
        });
    }
    Ok(Finding { durability, life: marker.life, incarnation: marker.incarnation(), report: server.report })
}

/// What the marker of the ledger says.
pub(super) struct Marker {
    pub(super) schema: i64,
    pub(super) life: [u8; LIFE_BYTES],
    losses: Vec<u8>,
    pub(super) is_ready: bool,
    /// Whether the append-only file holds everything.
    is_whole: bool,
}

impl Marker {
    /// What it says, once it was noted whether the server may have lost anything since the last look.
    pub(super) async fn look(
        connection: &Connection,
        place: &Place,
        durability: Durability,
    ) -> Result<Option<Self>, ServerFault> {
        let restart_loses = u8::from(durability != Durability::PowerLoss);
        let fill = |call: &mut Cmd| {
            call.arg(1).arg(MARKER).arg(restart_loses);
        };
        let script: &Script = &LOOK;
        let answer = script.run(connection, fill).await.map_err(|error| place.fault(&error))?;
        let parts = Vec::<Vec<u8>>::from_redis_value(answer);
        let parts = parts.map_err(|_| ServerFault::Other("the marker of the ledger cannot be read".to_owned()))?;
        match parts.as_slice() {
            [] => Ok(None),
            [denied, command] if denied == b"denied" => Err(ServerFault::Denied {
                problem: format!("{} is denied", String::from_utf8_lossy(command)),
                cure: fault::NEEDED,
            }),
            [schema, life, losses, ready, whole] => {
                Self::of([schema, life, losses, ready, whole]).map(Some).ok_or_else(foreign)
            }
            _ => Err(foreign()),
        }
    }

    fn of([schema, life, losses, ready, whole]: [&Vec<u8>; 5]) -> Option<Self> {
        Some(Self {
            schema: std::str::from_utf8(schema).ok()?.parse().ok()?,
            life: life.as_slice().try_into().ok()?,
            losses: losses.clone(),
            is_ready: ready == b"1",
            is_whole: whole == b"1",
        })
    }

    /// Another one for each life, and after each loss that may have been.
    fn incarnation(&self) -> Incarnation {
        let digest: [u8; 32] = Sha256::new().chain_update(self.life).chain_update(&self.losses).finalize().into();
        Incarnation(digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
    }
}

fn text(value: Value) -> Option<String> {
    String::from_redis_value(value).ok()
}

fn is_new_enough(info: &HashMap<String, String>) -> Result<(), ServerFault> {
    let version = info.get("redis_version").map_or("of an unknown release", String::as_str);
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST) {
        return Ok(());
    }
    Err(ServerFault::Other(format!("it is Redis {version}, and a ledger needs {OLDEST}.0: upgrade the server")))
}

fn wrong(name: &str, found: &str, wanted: &str) -> ServerFault {
    ServerFault::Unsafe {
        problem: format!("`{name}` is {found}"),
        cure: format!("run `CONFIG SET {name} {wanted}`, and write it into its configuration"),
    }
}

fn hidden() -> ServerFault {
    ServerFault::Unsafe {
        problem: "it hides its settings, so that nobody can tell".to_owned(),
        cure: "let this user run `CONFIG GET`, or accept it by `accept_unverified = true` in the section `[ledger]`"
            .to_owned(),
    }
}

fn missing(place: &Place) -> ServerFault {
    ServerFault::NotSetUp {
        place: place.shown().to_owned(),
        hint: "; if there was one, the server was flushed or restarted without its data, and what was acknowledged is gone",
    }
}

fn foreign() -> ServerFault {
    ServerFault::Other(format!("what lies at `{MARKER}` is no ledger of Semel: name another database"))
}
