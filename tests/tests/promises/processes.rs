//! Hosts in processes of their own, which a test starts, kills and stops.

mod agents;
mod fork;
mod parts;
mod place;
mod zygote;

pub use agents::Agents;
pub use parts::{EFFECT, FEW, Part, Role, story_of};
pub use place::Place;
pub use zygote::Zygote;

use crate::{
    shop::{Shop, What},
    stories::{Customers, Line, Reply, Tools, host},
    wire,
};
use semel::{model::Answer, store::Store};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A shop, and the file of a ledger that is not there yet.
pub struct Scene {
    folder: tempfile::TempDir,
    pub shop: Arc<Shop>,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::TempDir::new_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let shop = Arc::new(Shop::default());
        wire::open(&shop, &folder.path().join("shop"));
        Self { folder, shop }
    }

    /// A part to be played here, on the ledger in the file.
    pub fn part(&self, prefix: &str, role: Role) -> Part {
        self.part_at(Place::File(self.ledger()), prefix, role)
    }

    /// The same on another ledger.
    pub fn part_at(&self, ledger: Place, prefix: &str, role: Role) -> Part {
        Part {
            folder: self.folder.path().to_owned(),
            prefix: prefix.to_owned(),
            role,
            ledger,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Customers of a host in this process.
    pub async fn customers(&self, store: Arc<dyn Store>, tools: &Tools) -> Customers {
        let line = Arc::clone(&self.shop) as Arc<dyn Line>;
        let (semel, ledger) = (
            host(store, tools, &line).await.unwrap(),
            Place::File(self.ledger()),
        );
        Customers::new(semel, &line, "", move || {
            let ledger = ledger.clone();
            async move { ledger.open_later().await }
        })
    }

    /// Repeats each of these calls so often, as an agent that comes an hour later.
    pub fn ask_later(&self, tools: &Tools, asked: &[What], times: usize) -> Vec<(What, Answer)> {
        // No other process writes now, so the clock may jump.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let later = Place::File(self.ledger()).open_later().await;
            let mut customers = self.customers(later, tools).await;
            let mut answers = Vec::new();
            for what in asked {
                for _ in 0..times {
                    answers.push((
                        what.clone(),
                        customers.ask(what, Reply::Heard).await.unwrap(),
                    ));
                }
            }
            answers
        })
    }
}
