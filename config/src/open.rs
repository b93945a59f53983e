//! From a configuration to what it describes: the ledger, the policies, and a host for all tools or
//! for one.
//!
//! A program opens only what it needs: a host for one tool loads one policy, an operator's ledger
//! none. The program brings the engine, because only the program knows how policies are compiled
//! for it.

mod error;
mod policy;
mod store;

pub use error::SetupError;
pub use store::OpenedStore;

use super::{Config, ToolSetup};
use semel::{
    engine::{CodeCache, Engine, EngineBuilder, Limits},
    key::{KeyMode, KeyScheme},
    runtime::{Ledger, Prober, Semel, Tool},
    store::{SealingStore, Store},
};
use std::sync::Arc;

impl Config {
    /// Opens the ledger's store. It seals records where sealing keys are configured.
    ///
    /// # Errors
    /// [`SetupError`] if the store cannot be opened.
    pub async fn open_store(&self) -> Result<Arc<dyn Store>, SetupError> {
        match self.open_sealing_store().await? {
            Some(sealing) => Ok(Arc::new(sealing)),
            None => Ok(OpenedStore::open(&self.ledger).await?.into_store()),
        }
    }

    /// Opens the ledger's store with the sealing around it; none where no sealing key is
    /// configured.
    ///
    /// # Errors
    /// [`SetupError`] if the store cannot be opened.
    pub async fn open_sealing_store(&self) -> Result<Option<SealingStore>, SetupError> {
        let Some(keys) = &self.sealing else {
            return Ok(None);
        };
        let store = OpenedStore::open(&self.ledger).await?.into_store();
        Ok(Some(SealingStore::new(store, keys.clone())))
    }

    /// Returns the scheme by which a host makes keys.
    #[must_use]
    pub fn key_scheme(&self) -> KeyScheme {
        KeyScheme::new(KeyMode::Enforce, self.secret.clone())
    }

    /// Opens the ledger for its operator.
    ///
    /// # Errors
    /// [`SetupError`] if the store cannot be opened, or holds keys of another scheme.
    pub async fn open_ledger(&self) -> Result<Ledger, SetupError> {
        self.open_ledger_in(self.open_store().await?).await
    }

    /// Opens the ledger in a store that is open already.
    ///
    /// # Errors
    /// [`SetupError`] if the store does not answer, or holds keys of another scheme.
    pub async fn open_ledger_in(&self, store: Arc<dyn Store>) -> Result<Ledger, SetupError> {
        Ok(Ledger::open(store, self.key_scheme()).await?)
    }

    /// Begins an engine within these limits, with the configured cache of compiled policies.
    #[must_use]
    pub fn engine_builder(&self, limits: Limits) -> EngineBuilder {
        let builder = Engine::builder(limits);
        match &self.cache {
            Some(folder) => builder.cache(CodeCache::in_folder(folder)),
            None => builder,
        }
    }

    /// Opens a host for all tools, behind a front end that cannot see whether its answers are
    /// received.
    ///
    /// # Errors
    /// [`SetupError`] if a policy cannot be used, or the store holds keys of another scheme.
    pub async fn open_host(
        &self,
        engine: &Engine,
        store: Arc<dyn Store>,
        prober: Arc<dyn Prober>,
    ) -> Result<Semel, SetupError> {
        let mut builder = Semel::builder(store).keys(self.key_scheme()).prober(prober);
        for rule in &self.rules {
            let tool = tool_without_receipts(&rule.setup, engine).await?;
            builder = builder.tool(rule.patterns().iter().cloned(), tool);
        }
        let unnamed = tool_without_receipts(&self.unnamed, engine).await?;
        Ok(builder.default_tool(unnamed).open().await?)
    }

    /// Opens a host for the tool of this set-up alone, behind a front end that sees whether its
    /// answers are received. Without a `prober`, an operation that its policy would probe is held.
    ///
    /// # Errors
    /// [`SetupError`] if the policy cannot be used, the store cannot be opened, or it holds keys of
    /// another scheme.
    pub async fn open_tool_host(
        &self,
        engine: &Engine,
        setup: &ToolSetup,
        prober: Option<Arc<dyn Prober>>,
    ) -> Result<Semel, SetupError> {
        // The policy first: a mistake in it must not leave a new ledger behind.
        let tool = setup.to_tool(setup.load_policy(engine).await?);
        let mut builder = Semel::builder(self.open_store().await?).keys(self.key_scheme());
        if let Some(prober) = prober {
            builder = builder.prober(prober);
        }
        Ok(builder.default_tool(tool).open().await?)
    }
}

/// The tool behind a front end for which a written answer stands in for a received one, where the
/// operator allows it.
async fn tool_without_receipts(setup: &ToolSetup, engine: &Engine) -> Result<Tool, SetupError> {
    Ok(Tool {
        taken_once_written: setup.taken_within.is_some(),
        ..setup.to_tool(setup.load_policy(engine).await?)
    })
}
