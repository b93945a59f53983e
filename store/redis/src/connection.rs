//! A connection that many requests share. It belongs to one server process.

use super::{endpoint::Endpoint, error};
use redis::{
    Client, Cmd, Pipeline, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection,
};
use semel_store::ServerError;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A connection that many requests share.
#[derive(Clone)]
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    is_lost: Arc<AtomicBool>,
    shown: Arc<str>,
}

impl Connection {
    /// A new one.
    pub(super) async fn open(client: &Client) -> Result<Self, ServerError> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_lost);
        let hear = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                told.store(true, Ordering::Release);
            }
            Ok::<(), Infallible>(())
        };
        let shown = Endpoint::shown_as(client);
        let config = Endpoint::config().set_push_sender(hear);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let multiplexed =
            connecting
                .await
                .map_err(|error| match error::server_error(&error, &shown) {
                    ServerError::Unreachable { place, problem, .. }
                        if !error.is_connection_refusal() =>
                    {
                        ServerError::Unreachable {
                            place,
                            problem,
                            hint: Endpoint::if_spoken_to_wrongly(client),
                        }
                    }
                    fault => fault,
                })?;
        Ok(Self {
            multiplexed,
            is_lost,
            shown: shown.into(),
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Returns the server's name for messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
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
        if answer.as_ref().is_err_and(error::ends_connection) {
            self.is_lost.store(true, Ordering::Release);
        }
        answer
    }

    /// Why its server cannot be used.
    pub(super) fn fault(&self, error: &RedisError) -> ServerError {
        error::server_error(error, &self.shown)
    }
}
