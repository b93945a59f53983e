//! A server of either kind, for what must hold on both.

use semel::store::{ServerAddress, Store};
use semel_postgres::PostgresStore;
use semel_redis::RedisStore;
use semel_servers::{
    postgres::{OWNER, PostgresServer},
    proxy::TcpProxy,
    redis::{LEDGER_SETTINGS, RedisServer},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A server with a ledger in it.
pub enum Either {
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Either {
    pub async fn postgres() -> Self {
        let server = PostgresServer::start();
        server.create_ledger("ledger").await;
        Self::Postgres(server)
    }

    pub async fn redis() -> Self {
        let server = RedisServer::start();
        server.create_ledger().await;
        Self::Redis(server)
    }

    fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port,
            Self::Redis(server) => server.port,
        }
    }

    /// A wire to it.
    pub fn wire(&self) -> TcpProxy {
        TcpProxy::new(self.port())
    }

    fn at(&self, port: u16) -> ServerAddress {
        ServerAddress::new(match self {
            Self::Postgres(_) => format!("postgres://{OWNER}@127.0.0.1:{port}/ledger"),
            Self::Redis(_) => format!("redis://127.0.0.1:{port}"),
        })
    }

    async fn open_at(&self, port: u16) -> Arc<dyn Store> {
        match self {
            Self::Postgres(_) => Arc::new(PostgresStore::open(&self.at(port)).await.unwrap()),
            Self::Redis(_) => Arc::new(RedisStore::open(&self.at(port)).await.unwrap()),
        }
    }

    /// Its ledger.
    pub async fn open(&self) -> Arc<dyn Store> {
        self.open_at(self.port()).await
    }

    /// Its ledger, by a wire.
    pub async fn open_by(&self, wire: &TcpProxy) -> Arc<dyn Store> {
        self.open_at(wire.port).await
    }

    /// Ends it at once, as a crash does.
    pub fn end(&mut self) {
        match self {
            Self::Postgres(server) => server.crash(),
            Self::Redis(server) => server.kill(),
        }
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        match self {
            Self::Postgres(server) => server.restart(&[]),
            Self::Redis(server) => server.restart(LEDGER_SETTINGS),
        }
    }
}

/// Goes on asking until it is so: what a store finds out by itself.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{what} takes too long"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
