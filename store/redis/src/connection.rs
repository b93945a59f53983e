//! A multiplexed connection. It belongs to one server process.

use super::{endpoint::Endpoint, error};
use redis::{
    Client, Cmd, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError, Value,
    aio::MultiplexedConnection,
};
use semel_store::ServerError;
use std::{
    collections::HashMap,
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
    display_name: Arc<str>,
}

impl Connection {
    /// Opens a connection.
    pub(super) async fn open(client: &Client) -> Result<Self, ServerError> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let lost_flag = Arc::clone(&is_lost);
        let push_handler = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                lost_flag.store(true, Ordering::Release);
            }
            Ok::<(), Infallible>(())
        };
        let display_name = Endpoint::client_name(client);
        let config = Endpoint::connection_config().set_push_sender(push_handler);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let multiplexed =
            connecting
                .await
                .map_err(|error| match error::server_error(&error, &display_name) {
                    ServerError::Unreachable { place, problem, .. }
                        if !error.is_connection_refusal() =>
                    {
                        ServerError::Unreachable {
                            place,
                            problem,
                            hint: Endpoint::tls_hint(client),
                        }
                    }
                    error => error,
                })?;
        Ok(Self {
            multiplexed,
            is_lost,
            display_name: display_name.into(),
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Returns the server's name for messages.
    pub(super) fn display_name(&self) -> &str {
        &self.display_name
    }

    /// Sends a command once.
    pub(super) async fn query(&self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = command.query_async(&mut self.multiplexed.clone()).await;
        self.track_loss(answer)
    }

    /// Sends a pipeline once.
    pub(super) async fn query_all(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let answer = commands.query_async(&mut self.multiplexed.clone()).await;
        self.track_loss(answer)
    }

    /// Returns the server's `INFO`, or one section of it.
    pub(super) async fn info(
        &self,
        section: Option<&str>,
    ) -> Result<HashMap<String, String>, ServerError> {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        let answer = self
            .query(&command)
            .await
            .map_err(|error| self.server_error(&error))?;
        let text = String::from_redis_value(answer)
            .map_err(|_| ServerError::other("its answer to INFO cannot be read"))?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect())
    }

    fn track_loss<T>(&self, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        if answer.as_ref().is_err_and(error::ends_connection) {
            self.is_lost.store(true, Ordering::Release);
        }
        answer
    }

    /// Classifies an error by which this server cannot be used.
    pub(super) fn server_error(&self, error: &RedisError) -> ServerError {
        error::server_error(error, &self.display_name)
    }
}
