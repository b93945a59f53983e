//! The connection to the server, what is known of the server behind it, and what is done when either changes.
//!
//! A connection belongs to one server process. So each new one is looked at before its first use: whoever took over in
//! place of another is found out before anything is asked of it.
//!
//! INVARIANT: nothing is sent twice. A request whose connection ended, or whose answer did not come in time, is *unknown*; only
//! what certainly was not carried out is asked again, here: a script that the server did not know, or that found another
//! life of the ledger than the host knew.

use super::{
    fault,
    inspect::{self, Finding},
    place::Place,
    script::{LIFE_ENDED, Script},
};
use crate::{
    store::{Clock, ServerFault, ServerReport, StoreError},
    words::Durability,
};
use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use std::{
    convert::Infallible,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How often the server is looked at while nothing else gives a reason to.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long nobody looks again after a look that failed: at first, and at the most.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_AT_MOST: Duration = Duration::from_secs(1);

/// How many lives of the ledger may end while one command is asked.
const LIVES: usize = 3;

/// A connection that many requests share.
#[derive(Clone)]
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    is_lost: Arc<AtomicBool>,
}

impl Connection {
    pub(super) async fn to(place: &Place) -> Result<Self, ServerFault> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_lost);
        let hear = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                told.store(true, Ordering::Release);
            }
            Ok::<(), Infallible>(())
        };
        let config = Place::config().set_push_sender(hear);
        let connecting = place.client().get_multiplexed_async_connection_with_config(&config);
        let multiplexed = connecting.await.map_err(|error| place.fault(&error))?;
        Ok(Self { multiplexed, is_lost })
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Asks once.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = command.query_async(&mut self.multiplexed.clone()).await;
        self.note(answer)
    }

    /// Asks all of it once.
    pub(super) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let answer = commands.query_async(&mut self.multiplexed.clone()).await;
        self.note(answer)
    }

    fn note<T>(&self, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        if answer.as_ref().is_err_and(fault::ends_connection) {
            self.is_lost.store(true, Ordering::Release);
        }
        answer
    }
}

/// What is known of the server at a time.
pub(super) struct View {
    pub(super) connection: Connection,
    finding: Result<Finding, ServerFault>,
}

impl View {
    fn is_fine(&self) -> bool {
        self.finding.is_ok() && !self.connection.is_lost()
    }

    pub(super) fn finding(&self) -> Result<&Finding, StoreError> {
        self.finding.as_ref().map_err(|fault| StoreError::NotExecuted(fault.to_string()))
    }
}

/// A look that failed.
struct Failure {
    at: Instant,
    pause: Duration,
    fault: ServerFault,
}

/// The connection of a store.
pub(super) struct Link {
    place: Arc<Place>,
    clock: Option<Arc<dyn Clock>>,
    view: RwLock<Arc<View>>,
    /// Held by whoever looks at the server: the others wait for what he finds.
    looking: tokio::sync::Mutex<Option<Failure>>,
}

impl Link {
    pub(super) async fn open(place: Arc<Place>, clock: Option<Arc<dyn Clock>>) -> Result<Self, ServerFault> {
        let connection = Connection::to(&place).await?;
        let finding = inspect::inspect(&connection, &place).await?;
        let view = RwLock::new(Arc::new(View { connection, finding: Ok(finding) }));
        Ok(Self { place, clock, view, looking: tokio::sync::Mutex::default() })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The time that scripts go by, where it is not the server's.
    pub(super) fn clock_ms(&self) -> Option<u64> {
        self.clock.as_ref().map(|clock| clock.now().wall_ms)
    }

    /// The same as an argument of a script. None would be no argument at all, and all that follow would be taken for others.
    pub(super) fn clock_argument(&self) -> String {
        self.clock_ms().map_or_else(String::new, |now| now.to_string())
    }

    /// How the server stood at the last look; none: it cannot be used.
    pub(super) fn report(&self) -> Option<ServerReport> {
        self.seen().finding.as_ref().ok().map(|finding| finding.report.clone())
    }

    /// What an acknowledged write survives, as it was found last.
    pub(super) fn durability(&self) -> Durability {
        match &self.seen().finding {
            Ok(finding) => finding.durability,
            Err(_) => Durability::Unverified,
        }
    }

    fn seen(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A view of a server that may be used.
    pub(super) async fn view(&self) -> Result<Arc<View>, StoreError> {
        let seen = self.seen();
        if seen.is_fine() {
            return Ok(seen);
        }
        // Nothing was asked yet.
        self.look(&seen, false).await.map_err(|fault| StoreError::NotExecuted(fault.to_string()))
    }

    /// Runs a script on a bucket, and again where it found another life of the ledger than was known: it did nothing then.
    /// With the answer goes what was known of the server.
    pub(super) async fn run(
        &self,
        script: &Script,
        fill: impl Fn(&mut Cmd, &Finding),
    ) -> Result<Result<(Value, Finding), RedisError>, StoreError> {
        for _ in 0..LIVES {
            let view = self.view().await?;
            let finding = view.finding()?;
            match script.run(&view.connection, |call| fill(call, finding)).await {
                Ok(Value::Int(LIFE_ENDED)) => self.life_ended(&view).await?,
                answer => return Ok(answer.map(|value| (value, finding.clone()))),
            }
        }
        Err(part_is_gone())
    }

    /// Looks which life the ledger has now. If it is the one that was known, then a part of the ledger lacks it.
    pub(super) async fn life_ended(&self, seen: &Arc<View>) -> Result<(), StoreError> {
        let found = self.look(seen, true).await.map_err(|fault| StoreError::NotExecuted(fault.to_string()))?;
        if found.finding()?.life == seen.finding()?.life { Err(part_is_gone()) } else { Ok(()) }
    }

    /// Looks at the server, by a new connection if the last was lost, unless somebody else did since `seen`. Where looks have
    /// failed just now, only who insists looks again.
    async fn look(&self, seen: &Arc<View>, insists: bool) -> Result<Arc<View>, ServerFault> {
        let mut failure = self.looking.lock().await;
        let current = self.seen();
        if !Arc::ptr_eq(&current, seen) && current.is_fine() {
            return Ok(current);
        }
        if let Some(failed) = failure.as_ref().filter(|failed| !insists && failed.at.elapsed() < failed.pause) {
            return Err(failed.fault.clone());
        }
        let looked = self.look_now(&current).await;
        *failure = looked.as_ref().err().map(|fault| {
            let pause = failure.as_ref().map_or(PAUSE_FIRST, |last| PAUSE_AT_MOST.min(last.pause * 2));
            Failure { at: Instant::now(), pause, fault: fault.clone() }
        });
        looked
    }

    async fn look_now(&self, current: &View) -> Result<Arc<View>, ServerFault> {
        let connection = match current.connection.is_lost() {
            true => Connection::to(&self.place).await?,
            false => current.connection.clone(),
        };
        let finding = inspect::inspect(&connection, &self.place).await;
        let view = Arc::new(View { connection, finding: finding.clone() });
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&view);
        finding.map(|_| view)
    }
}

fn part_is_gone() -> StoreError {
    StoreError::NotExecuted(
        "a part of the ledger was flushed, and what was acknowledged there is gone: run `semel ledger init`, which begins another life of the ledger"
            .to_owned(),
    )
}

/// Looks from time to time until the store is gone.
pub(super) async fn watch(link: Weak<Link>) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let Some(link) = link.upgrade() else { return };
        let seen = link.seen();
        if let Err(fault) = link.look(&seen, true).await {
            tracing::warn!(%fault, "the ledger cannot be used");
        }
    }
}
