//! Serving until there is nobody to serve, and ending so that every call under way is settled or marked.
//!
//! Whoever starts a server over stdio closes its stdin, waits about two seconds, sends SIGTERM, waits as long, and kills it. So what
//! may take long begins when stdin ends, and after a signal only as much is waited for as leaves time to say in the ledger
//! that a call is in doubt.

use crate::exit::{CommandError, Exit, OrExit};
use semel::store::Store;
use semel_mcp::{
    front::{http::HttpServer, std_streams, stdio},
    health::HealthCheck,
    layer::{CallerIdentity, Connector},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long calls may still take after a signal to a server over stdio.
const AFTER_SIGNAL: Duration = Duration::from_millis(700);

/// How long connections may take to end once every call has been given up.
const AFTER_GIVING_UP: Duration = Duration::from_millis(500);

/// How often it is looked whether the ledger has been left.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is served, and what ends it.
pub(super) struct Serving {
    pub(super) connect: Arc<dyn Connector>,
    /// Cancelled once calls under way are given up: they are in doubt then.
    pub(super) given_up: CancellationToken,
    pub(super) shutdown_within: Duration,
    signals: Signals,
}

impl Serving {
    pub(super) fn of(
        connect: Arc<dyn Connector>,
        given_up: CancellationToken,
        shutdown_within: Duration,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            connect,
            given_up,
            shutdown_within,
            signals: Signals::heard().or_exit(Exit::Internal)?,
        })
    }

    /// Serves one client over the standard streams.
    pub(super) async fn over_stdio(mut self, caller: CallerIdentity) -> Result<(), CommandError> {
        let client = stdio::line_client(std_streams::stdout());
        let upstream = self
            .connect
            .connect(Arc::clone(&client))
            .await
            .or_exit(Exit::NotFound)?;
        let served =
            stdio::serve_client(std_streams::stdin(), client, caller, Arc::clone(&upstream));
        // Where the runtime has its threads: whatever this one hands on would have to wake another first.
        let served = AbortOnDropHandle::new(tokio::spawn(served));
        let within = tokio::select! {
            _ = served => self.shutdown_within,
            () = self.signals.next() => AFTER_SIGNAL,
        };
        self.end(upstream.close(), within, AFTER_SIGNAL).await;
        Ok(())
    }

    /// Serves whoever connects to this address.
    pub(super) async fn over_http(
        mut self,
        http: HttpServer,
        address: SocketAddr,
        health: Arc<HealthCheck>,
    ) -> Result<(), CommandError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .map_err(|error| format!("cannot listen on {address}: {error}"))
            .or_exit(Exit::NotFound)?;
        let bound = listener.local_addr().unwrap_or(address);
        crate::talk::say(format_args!("serving MCP at http://{bound}/mcp"));
        let stop = CancellationToken::new();
        let served = tokio::spawn(Arc::new(http).serve(listener, stop.clone()));
        self.signals.next().await;
        health.begin_shutdown();
        stop.cancel();
        let within = self.shutdown_within;
        self.end(
            async { served.await.unwrap_or_default() },
            within,
            Duration::ZERO,
        )
        .await;
        Ok(())
    }

    /// Waits for the end, and gives up what does not come to one; after another signal sooner.
    async fn end(
        &mut self,
        closing: impl Future<Output = ()>,
        within: Duration,
        after_signal: Duration,
    ) {
        tokio::pin!(closing);
        let patience = async {
            let deadline = Instant::now() + within;
            tokio::select! {
                () = sleep(within) => {}
                () = self.signals.next() => sleep(after_signal.min(deadline.duration_since(Instant::now()))).await,
            }
        };
        tokio::select! {
            () = &mut closing => return,
            () = patience => {}
        }
        tracing::warn!("calls are still under way, and are in doubt from now on");
        self.given_up.cancel();
        if timeout(AFTER_GIVING_UP, closing).await.is_err() {
            tracing::warn!("connections are still open, and are cut");
        }
    }
}

/// Waits until nobody writes to the ledger any longer, within bounds.
pub(super) async fn left(store: Weak<dyn Store>) {
    let is_left = async {
        while store.strong_count() > 0 {
            sleep(LOOK_EVERY).await;
        }
    };
    // Whoever still holds it now holds it in vain.
    let _ = timeout(AFTER_GIVING_UP, is_left).await;
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn heard() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
