//! The ledger in Redis, beside the same two scripts by a bare client: one request after the other, and many on one
//! connection. `redis-benchmark` with the first of the scripts stands beside them.

use super::{CALLERS, Guarded, TURN, in_turn, wakings};
use crate::{
    row::{Reach, Rows},
    sample::Sample,
    world,
};
use anyhow::{Context, Result, ensure};
use redis::{AsyncConnectionConfig, Cmd, Value, aio::MultiplexedConnection};
use semel::store::ServerAddress;
use semel_redis::RedisStore;
use semel_servers::redis::RedisServer;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::runtime::Runtime;

/// The scripts of the store.
const CREATE: &str = concat!(
    include_str!("../../../store/redis/src/scripts/head.lua"),
    include_str!("../../../store/redis/src/scripts/record.lua"),
    include_str!("../../../store/redis/src/scripts/write.lua"),
    include_str!("../../../store/redis/src/scripts/create.lua"),
);
const REPLACE: &str = concat!(
    include_str!("../../../store/redis/src/scripts/head.lua"),
    include_str!("../../../store/redis/src/scripts/record.lua"),
    include_str!("../../../store/redis/src/scripts/write.lua"),
    include_str!("../../../store/redis/src/scripts/replace.lua"),
);

/// The size of a record here, in bytes: about that of a call without handles.
const RECORD_BYTES: usize = 1_000;

/// The key prefix of the bare client, beside the ledger, with an incarnation of its own, as text.
const BARE: &str = "bare:{000}:";
const LIFE: &str = "life";

/// The fields of a record: whether it is open, and the rest.
const OPEN: [u8; RECORD_BYTES] = [1; RECORD_BYTES];
const SETTLED: [u8; RECORD_BYTES] = [0; RECORD_BYTES];

/// An incarnation.
const INCARNATION: [u8; 8] = [0; 8];

/// No end, and one that no measurement lasts for, in milliseconds.
const NEVER_MS: u64 = 1 << 53;
const AN_HOUR_MS: u64 = 3_600_000;

pub(crate) fn measure(rows: &mut Rows, folder: &Path) -> Result<()> {
    let runtime = world::runtime(2)?;
    let server = RedisServer::start_in_folder(folder);
    let ledger = runtime.block_on(server.create_ledger());
    let store = runtime.block_on(RedisStore::open(&ledger))?;
    let guarded = Guarded::on(runtime, Arc::new(store))?;
    let bare = Bare::of(&server)?;
    one_caller(rows, &guarded, &bare)?;
    many_callers(rows, &guarded, &bare)?;
    waiters(rows, &guarded, &ledger)?;
    by_its_own_benchmark(rows, &server, &bare)
}

fn one_caller(rows: &mut Rows, guarded: &Guarded, bare: &Bare) -> Result<()> {
    let [executed, floor] = in_turn(|| guarded.alone(), || bare.alone())?;
    let title = "Redis, one caller, executed (floor: two bare scripts, one after the other)";
    rows.add(
        title,
        "µs",
        executed,
        Some(floor),
        &[Reach::TimesAtMost(1.2)],
    );
    Ok(())
}

fn many_callers(rows: &mut Rows, guarded: &Guarded, bare: &Bare) -> Result<()> {
    let [calls, floor] = in_turn(|| guarded.crowd(None), || bare.crowd(&guarded.runtime))?;
    let title =
        "Redis, 64 callers, executed (floor: the same two scripts multiplexed on one connection)";
    rows.add(
        title,
        "calls/s",
        calls,
        Some(floor),
        &[Reach::TimesAtLeast(0.6)],
    );
    Ok(())
}

fn waiters(rows: &mut Rows, guarded: &Guarded, ledger: &ServerAddress) -> Result<()> {
    let open = || RedisStore::open(ledger);
    let one = guarded.runtime.block_on(open())?;
    let other = guarded.runtime.block_on(open())?;
    let waits = wakings(&guarded.runtime, Arc::new(one), Arc::new(other))?;
    rows.add(
        "Redis, a waiter of another host learns of a settlement",
        "ms",
        waits,
        None,
        &[Reach::AtMost(5.0)],
    );
    Ok(())
}

/// The result of the server's own benchmark program for the first of the two scripts.
fn by_its_own_benchmark(rows: &mut Rows, server: &RedisServer, bare: &Bare) -> Result<()> {
    for clients in [1, CALLERS] {
        let mut command = server.client_command("redis-benchmark");
        command.args([
            "-c",
            &clients.to_string(),
            "-n",
            "20000",
            "-r",
            "1000000000",
            "--csv",
        ]);
        command.args(["EVALSHA", &bare.create, "5"]);
        // Its random number has twelve digits.
        let record = "r:__rand_int__01234567890123456789";
        command.args(["life", record, "all", "open", "ending"].map(|part| format!("{BARE}{part}")));
        command.args([
            LIFE,
            "",
            "8 bytes.",
            "sixteen bytes...",
            &NEVER_MS.to_string(),
            &"o".repeat(RECORD_BYTES),
        ]);
        let printed = String::from_utf8(command.output()?.stdout)?;
        let rate = printed
            .lines()
            .last()
            .and_then(|line| line.split("\",\"").nth(1)?.parse().ok());
        let rate = Sample::exactly(rate.with_context(|| format!("redis-benchmark: {printed}"))?);
        let title = format!("redis-benchmark, the first of the two scripts, clients: {clients}");
        rows.add(&title, "scripts/s", rate, None, &[]);
    }
    Ok(())
}

/// A client that runs the scripts, and nothing else.
#[derive(Clone)]
struct Bare {
    client: redis::Client,
    create: String,
    replace: String,
}

impl Bare {
    fn of(server: &RedisServer) -> Result<Self> {
        let client = redis::Client::open(server.url())?;
        let mut connection = client.get_connection()?;
        let mut load = |source: &str| {
            redis::cmd("SCRIPT")
                .arg("LOAD")
                .arg(source)
                .query(&mut connection)
        };
        let create = load(CREATE)?;
        let replace = load(REPLACE)?;
        redis::cmd("SET")
            .arg(format!("{BARE}life"))
            .arg(LIFE)
            .exec(&mut connection)?;
        Ok(Self {
            client,
            create,
            replace,
        })
    }

    /// Returns the microseconds of the two in sequence.
    fn alone(&self) -> Result<f64> {
        let mut connection = self.client.get_connection()?;
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < TURN {
            let [create, replace] = self.both();
            done_with(&create.query(&mut connection)?)?;
            done_with(&replace.query(&mut connection)?)?;
            done += 1;
        }
        Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(done))
    }

    /// Returns the executions of the two per second by many tasks on one connection.
    fn crowd(&self, runtime: &Runtime) -> Result<f64> {
        // A disk that is slow for a moment does not end the measurement, as it does not end a ledger.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = runtime.block_on(
            self.client
                .get_multiplexed_async_connection_with_config(&patient),
        )?;
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..CALLERS)
            .map(|_| {
                runtime.spawn(self.clone().keep_on(
                    connection.clone(),
                    Arc::clone(&stop),
                    Arc::clone(&done),
                ))
            })
            .collect();
        std::thread::sleep(TURN);
        let counted = done.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            runtime.block_on(client)??;
        }
        Ok(counted as f64 / TURN.as_secs_f64())
    }

    async fn keep_on(
        self,
        mut connection: MultiplexedConnection,
        stop: Arc<AtomicBool>,
        done: Arc<AtomicU64>,
    ) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let [create, replace] = self.both();
            done_with(&create.query_async(&mut connection).await?)?;
            done_with(&replace.query_async(&mut connection).await?)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Scripts of a new record: its creation, and its replacement.
    fn both(&self) -> [Cmd; 2] {
        let key = fresh_key();
        let [first, second] = [
            semel_conformance::fresh_version(),
            semel_conformance::fresh_version(),
        ];
        let script = |name: &str| {
            let mut call = redis::cmd("EVALSHA");
            call.arg(name)
                .arg(5)
                .arg(format!("{BARE}life"))
                .arg([BARE.as_bytes(), b"r:", &key].concat());
            call.arg(format!("{BARE}all"))
                .arg(format!("{BARE}open"))
                .arg(format!("{BARE}ending"));
            call.arg(LIFE).arg("").arg(&INCARNATION);
            call
        };
        let mut create = script(&self.create);
        let mut replace = script(&self.replace);
        create.arg(first.as_bytes()).arg(NEVER_MS).arg(&OPEN);
        replace
            .arg(second.as_bytes())
            .arg(AN_HOUR_MS)
            .arg(&SETTLED)
            .arg(first.as_bytes())
            .arg("bare");
        [create, replace]
    }
}

fn fresh_key() -> [u8; 32] {
    let halves = [
        semel_conformance::fresh_version(),
        semel_conformance::fresh_version(),
    ];
    let mut key = [0; 32];
    key.iter_mut()
        .zip(halves.iter().flat_map(|half| half.as_bytes()))
        .for_each(|(to, from)| *to = *from);
    key
}

/// A script that did what it was asked answers a time.
fn done_with(answer: &Value) -> Result<()> {
    ensure!(
        matches!(answer, Value::Int(1..)),
        "the bare script answered {answer:?}"
    );
    Ok(())
}
