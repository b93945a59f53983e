//! The servers that keep the ledger of several hosts.

use crate::processes::Place;
use semel_servers::{
    postgres::{OWNER, PostgresServer},
    redis::{LEDGER_SETTINGS, RedisServer},
};

const DATABASE: &str = "ledger";

/// The server of a ledger.
pub enum Server {
    Postgres(PostgresServer),
    Redis(RedisServer),
    /// In the memory of each host: for the control.
    Nowhere,
}

/// Waits for a server, where no runtime is.
pub fn made(server: impl Future<Output = Server>) -> Server {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(server)
}

impl Server {
    /// A PostgreSQL server with a ledger.
    pub async fn postgres() -> Self {
        let server = PostgresServer::start();
        server.create_ledger(DATABASE).await;
        Self::Postgres(server)
    }

    /// A Redis server with a ledger.
    pub async fn redis() -> Self {
        let server = RedisServer::start();
        server.create_ledger().await;
        Self::Redis(server)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
            Self::Nowhere => "nowhere",
        }
    }

    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Postgres(server) => Some(server.port),
            Self::Redis(server) => Some(server.port),
            Self::Nowhere => None,
        }
    }

    /// The ledger.
    pub fn direct(&self) -> Place {
        self.place(self.port().unwrap_or(0))
    }

    /// The ledger, reached by this port of the machine.
    pub fn place(&self, port: u16) -> Place {
        match self {
            Self::Postgres(_) => {
                Place::Postgres(format!("postgres://{OWNER}@127.0.0.1:{port}/{DATABASE}"))
            }
            Self::Redis(_) => Place::Redis(format!("redis://127.0.0.1:{port}")),
            Self::Nowhere => Place::Memory,
        }
    }

    /// Ends it in the midst of what it does, and starts it again.
    pub fn crash(&mut self) {
        match self {
            Self::Postgres(server) => server.crash_and_restart(&[]),
            Self::Redis(server) => server.kill_and_restart(LEDGER_SETTINGS),
            Self::Nowhere => {}
        }
    }

    /// Takes from its clients what it may take at any time: their sessions, or their scripts.
    pub fn upset(&self) {
        match self {
            Self::Postgres(server) => drop(server.run_sql(
                "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'semel'",
            )),
            Self::Redis(server) => assert_eq!(server.run_command(&["SCRIPT", "FLUSH"]), "OK"),
            Self::Nowhere => {}
        }
    }
}
