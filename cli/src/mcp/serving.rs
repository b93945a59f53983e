//! Serving until the client or a signal ends it, and a shutdown after which every call is settled or marked as in doubt.
//!
//! A client that started a server over stdio closes its stdin, waits about two seconds, sends SIGTERM, waits as long, and
//! kills it. So the long part of a shutdown begins when stdin ends. After a signal, calls get only so much time that
//! their doubt can still be recorded.

use crate::{
    exit::{CommandError, ExitReason, OrExit},
    output,
};
use semel::store::Store;
use semel_mcp::{
    front::{http::HttpServer, std_streams, stdio},
    health::HealthCheck,
    layer::{CallerIdentity, Connector},
};
use std::{
    io,
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

/// The time that calls get after a signal to a server over stdio.
const AFTER_SIGNAL_TIMEOUT: Duration = Duration::from_millis(700);

/// The time that connections get to end after every call was given up.
const AFTER_GIVE_UP_TIMEOUT: Duration = Duration::from_millis(500);

/// The interval of checks for users of the store.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A gateway that is ready to serve.
pub(super) struct GatewayServer {
    pub(super) connector: Arc<dyn Connector>,
    /// Cancelled to give up the calls in progress: they are in doubt then.
    give_up: CancellationToken,
    shutdown_within: Duration,
    signals: ShutdownSignals,
}

impl GatewayServer {
    pub(super) fn new(
        connector: Arc<dyn Connector>,
        give_up: CancellationToken,
        shutdown_within: Duration,
    ) -> Result<Self, CommandError> {
        let signals = ShutdownSignals::listen()
            .map_err(|error| format!("cannot listen for signals: {error}"))
            .or_exit(ExitReason::Internal)?;
        Ok(Self {
            connector,
            give_up,
            shutdown_within,
            signals,
        })
    }

    /// Serves one client over the standard streams.
    pub(super) async fn serve_stdio(mut self, caller: CallerIdentity) -> Result<(), CommandError> {
        let client = stdio::line_client(std_streams::stdout());
        let upstream = self
            .connector
            .connect(Arc::clone(&client))
            .await
            .or_exit(ExitReason::NotFound)?;
        let session =
            stdio::serve_client(std_streams::stdin(), client, caller, Arc::clone(&upstream));
        // On a worker thread of the runtime: on the main thread, each task that it wakes would first wake a worker.
        let session = AbortOnDropHandle::new(tokio::spawn(session));
        let within = tokio::select! {
            _ = session => self.shutdown_within,
            () = self.signals.next_signal() => AFTER_SIGNAL_TIMEOUT,
        };
        self.shut_down(upstream.close(), within, AFTER_SIGNAL_TIMEOUT)
            .await;
        Ok(())
    }

    /// Serves clients over HTTP at this address.
    pub(super) async fn serve_http(
        mut self,
        http: HttpServer,
        address: SocketAddr,
        health: Arc<HealthCheck>,
    ) -> Result<(), CommandError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("cannot listen on {address}: {error}"))
            .or_exit(ExitReason::NotFound)?;
        // Port 0 asks the system for any port: the message names the one that it gave.
        let bound = listener.local_addr().unwrap_or(address);
        output::print_message(format_args!("serving MCP at http://{bound}/mcp"));
        let stop = CancellationToken::new();
        let server = tokio::spawn(Arc::new(http).serve(listener, stop.clone()));
        self.signals.next_signal().await;
        health.begin_shutdown();
        stop.cancel();
        let within = self.shutdown_within;
        let closing = async {
            // A server that panicked has closed its connections, too.
            let _ = server.await;
        };
        self.shut_down(closing, within, Duration::ZERO).await;
        Ok(())
    }

    /// Waits for `closing`, and gives up the calls that take longer than `within`, or than `after_signal` once another
    /// signal came.
    async fn shut_down(
        &mut self,
        closing: impl Future<Output = ()>,
        within: Duration,
        after_signal: Duration,
    ) {
        tokio::pin!(closing);
        let deadline = Instant::now() + within;
        let time_limit = async {
            tokio::select! {
                () = sleep(within) => {}
                () = self.signals.next_signal() => {
                    let time_left = deadline.duration_since(Instant::now());
                    sleep(after_signal.min(time_left)).await;
                }
            }
        };
        tokio::select! {
            () = &mut closing => return,
            () = time_limit => {}
        }
        tracing::warn!("calls are still in progress, and are in doubt from now on");
        self.give_up.cancel();
        if timeout(AFTER_GIVE_UP_TIMEOUT, closing).await.is_err() {
            tracing::warn!("connections are still open, and are closed");
        }
    }
}

/// Waits until nothing writes to the store any more, within bounds.
pub(super) async fn wait_until_unused(store: Weak<dyn Store>) {
    let unused = async {
        while store.strong_count() > 0 {
            sleep(POLL_INTERVAL).await;
        }
    };
    // The process ends after this in any case. What is not recorded by then is in doubt at the end of its lease.
    let _ = timeout(AFTER_GIVE_UP_TIMEOUT, unused).await;
}

/// The signals that end a gateway.
struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next_signal(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
