//! The ledger in Redis. Its floor is a bare client that runs the same two scripts, in sequence or multiplexed on one
//! connection. `redis-benchmark` with the first of the scripts is another comparison.

use super::{CALLERS, GuardedHost, TURN, measure_in_turn, time_wakeups};
use crate::{
    fixtures,
    results::{FigureGoal, ResultTable},
    sample::Sample,
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

/// The store's script that creates a record.
const CREATE: &str = concat!(
    include_str!("../../../store/redis/src/scripts/head.lua"),
    include_str!("../../../store/redis/src/scripts/record.lua"),
    include_str!("../../../store/redis/src/scripts/write.lua"),
    include_str!("../../../store/redis/src/scripts/create.lua"),
);
/// The store's script that replaces a record.
const REPLACE: &str = concat!(
    include_str!("../../../store/redis/src/scripts/head.lua"),
    include_str!("../../../store/redis/src/scripts/record.lua"),
    include_str!("../../../store/redis/src/scripts/write.lua"),
    include_str!("../../../store/redis/src/scripts/replace.lua"),
);

/// The size of a record, in bytes: about that of a call without handles.
const RECORD_BYTES: usize = 1_000;

/// The key prefix of the bare client, apart from the ledger's keys.
const KEY_PREFIX: &str = "bare:{000}:";
/// The incarnation of the bare client's records, as the scripts compare it.
const INCARNATION_TEXT: &str = "life";

/// A record's content while the operation is open, and when it is settled: the scripts read the first byte.
const OPEN: [u8; RECORD_BYTES] = [1; RECORD_BYTES];
const SETTLED: [u8; RECORD_BYTES] = [0; RECORD_BYTES];

/// The incarnation in a record's stamp.
const INCARNATION: [u8; 8] = [0; 8];

/// The retention of an open record and of a settled one, which no measurement outlasts.
const NEVER_MS: u64 = 1 << 53;
const AN_HOUR_MS: u64 = 3_600_000;

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path) -> Result<()> {
    let runtime = fixtures::start_runtime(2)?;
    let server = RedisServer::start_in_folder(folder);
    let ledger = runtime.block_on(server.create_ledger());
    let store = runtime.block_on(RedisStore::open(&ledger))?;
    let guarded = GuardedHost::open(runtime, Arc::new(store))?;
    let bare = ScriptFloor::load(&server)?;
    measure_one_caller(rows, &guarded, &bare)?;
    measure_many_callers(rows, &guarded, &bare)?;
    measure_wakeups(rows, &guarded, &ledger)?;
    run_redis_benchmark(rows, &server, &bare)
}

fn measure_one_caller(
    rows: &mut ResultTable,
    guarded: &GuardedHost,
    bare: &ScriptFloor,
) -> Result<()> {
    let [executed, floor] =
        measure_in_turn(|| guarded.time_one_caller(), || bare.time_one_caller())?;
    let title = "Redis, one caller, executed (floor: two bare scripts, one after the other)";
    rows.add_row(
        title,
        "µs",
        executed,
        Some(floor),
        &[FigureGoal::RatioAtMost(1.2)],
    );
    Ok(())
}

fn measure_many_callers(
    rows: &mut ResultTable,
    guarded: &GuardedHost,
    bare: &ScriptFloor,
) -> Result<()> {
    let [calls, floor] = measure_in_turn(
        || guarded.rate_of_callers(None),
        || bare.rate_of_callers(&guarded.runtime),
    )?;
    let title =
        "Redis, 64 callers, executed (floor: the same two scripts multiplexed on one connection)";
    rows.add_row(
        title,
        "calls/s",
        calls,
        Some(floor),
        &[FigureGoal::RatioAtLeast(0.6)],
    );
    Ok(())
}

fn measure_wakeups(
    rows: &mut ResultTable,
    guarded: &GuardedHost,
    ledger: &ServerAddress,
) -> Result<()> {
    let open = || RedisStore::open(ledger);
    let one = guarded.runtime.block_on(open())?;
    let other = guarded.runtime.block_on(open())?;
    let waits = time_wakeups(&guarded.runtime, Arc::new(one), Arc::new(other))?;
    rows.add_row(
        "Redis, a waiter of another host learns of a settlement",
        "ms",
        waits,
        None,
        &[FigureGoal::AtMost(5.0)],
    );
    Ok(())
}

/// Measures the first of the two scripts with Redis's own benchmark program.
fn run_redis_benchmark(
    rows: &mut ResultTable,
    server: &RedisServer,
    bare: &ScriptFloor,
) -> Result<()> {
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
        // `redis-benchmark` replaces `__rand_int__` by a random number of twelve digits: a key of 32 bytes.
        let record = "r:__rand_int__01234567890123456789";
        command.args(
            ["life", record, "all", "open", "ending"].map(|part| format!("{KEY_PREFIX}{part}")),
        );
        command.args([
            INCARNATION_TEXT,
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
        let rate = Sample::from_value(rate.with_context(|| format!("redis-benchmark: {printed}"))?);
        let title = format!("redis-benchmark, the first of the two scripts, clients: {clients}");
        rows.add_row(&title, "scripts/s", rate, None, &[]);
    }
    Ok(())
}

/// A bare client that runs the two scripts and nothing else.
#[derive(Clone)]
struct ScriptFloor {
    client: redis::Client,
    create: String,
    replace: String,
}

impl ScriptFloor {
    fn load(server: &RedisServer) -> Result<Self> {
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
            .arg(format!("{KEY_PREFIX}life"))
            .arg(INCARNATION_TEXT)
            .exec(&mut connection)?;
        Ok(Self {
            client,
            create,
            replace,
        })
    }

    /// Returns the microseconds of both scripts in sequence.
    fn time_one_caller(&self) -> Result<f64> {
        let mut connection = self.client.get_connection()?;
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < TURN {
            let [create, replace] = self.new_scripts();
            ensure_done(&create.query(&mut connection)?)?;
            ensure_done(&replace.query(&mut connection)?)?;
            done += 1;
        }
        Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(done))
    }

    /// Returns the executions of both scripts per second, by many tasks on one connection.
    fn rate_of_callers(&self, runtime: &Runtime) -> Result<f64> {
        // A disk that is slow for a moment must not end the measurement.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = runtime.block_on(
            self.client
                .get_multiplexed_async_connection_with_config(&patient),
        )?;
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..CALLERS)
            .map(|_| {
                runtime.spawn(self.clone().run_scripts(
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

    async fn run_scripts(
        self,
        mut connection: MultiplexedConnection,
        stop: Arc<AtomicBool>,
        done: Arc<AtomicU64>,
    ) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let [create, replace] = self.new_scripts();
            ensure_done(&create.query_async(&mut connection).await?)?;
            ensure_done(&replace.query_async(&mut connection).await?)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns the creation and the replacement of a new record.
    fn new_scripts(&self) -> [Cmd; 2] {
        let key = new_key();
        let [first, second] = [
            semel_conformance::fresh_version(),
            semel_conformance::fresh_version(),
        ];
        let script = |name: &str| {
            let mut call = redis::cmd("EVALSHA");
            call.arg(name)
                .arg(5)
                .arg(format!("{KEY_PREFIX}life"))
                .arg([KEY_PREFIX.as_bytes(), b"r:", &key].concat());
            call.arg(format!("{KEY_PREFIX}all"))
                .arg(format!("{KEY_PREFIX}open"))
                .arg(format!("{KEY_PREFIX}ending"));
            call.arg(INCARNATION_TEXT).arg("").arg(&INCARNATION);
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

fn new_key() -> [u8; 32] {
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

/// Fails unless the script wrote: then it answers with the server's time.
fn ensure_done(answer: &Value) -> Result<()> {
    ensure!(
        matches!(answer, Value::Int(1..)),
        "the bare script answered {answer:?}"
    );
    Ok(())
}
