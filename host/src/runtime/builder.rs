//! Setting up a host: its tools, its keys, and its place on a ledger.

use crate::runtime::{
    host::{HostCore, Prober},
    ledger_client::{
        LedgerClient,
        entries::EntryClient,
        scheme::{self, SchemeError},
    },
    semel::Semel,
    tool::{Tool, ToolPatternError, ToolRules},
};
use crate::{
    key::{KeyMode, KeyScheme},
    model::ToolMode,
    store::Store,
};
use std::sync::Arc;

#[cfg(feature = "shadow")]
use crate::runtime::shadow::Shadow;

/// The reason why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The ledger holds keys that are made in another way, or cannot be used.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// A pattern of tools is not valid.
    #[error(transparent)]
    Pattern(#[from] ToolPatternError),
    /// A tool is in shadow mode, and this program was built without it.
    #[error(
        "a tool is in shadow mode, and this program was built without it: build `semel` with its feature `shadow`, or guard the tool"
    )]
    ShadowNotCompiled,
}

/// Sets up a host.
#[derive(Debug)]
pub struct SemelBuilder {
    store: Arc<dyn Store>,
    keys: KeyScheme,
    prober: Option<Arc<dyn Prober>>,
    rules: Vec<(Vec<String>, Tool)>,
    default_tool: Option<Tool>,
}

impl SemelBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            keys: KeyScheme::default(),
            prober: None,
            rules: Vec::new(),
            default_tool: None,
        }
    }

    /// Sets the scheme of keys. Default: plain digests, enforcing.
    #[must_use]
    pub fn keys(mut self, keys: KeyScheme) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the runner of probes. Default: no probe is run, and what only a probe could settle stays in doubt.
    #[must_use]
    pub fn prober(mut self, prober: Arc<dyn Prober>) -> Self {
        self.prober = Some(prober);
        self
    }

    /// Guards the tools with names that match one of `patterns` (globs). The first matching rule
    /// wins.
    #[must_use]
    pub fn tool<P: Into<String>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
        tool: Tool,
    ) -> Self {
        self.rules
            .push((patterns.into_iter().map(Into::into).collect(), tool));
        self
    }

    /// Guards the tools that no rule matches. Default: their calls are an error.
    #[must_use]
    pub fn default_tool(mut self, tool: Tool) -> Self {
        self.default_tool = Some(tool);
        self
    }

    /// Opens the host: checks that the ledger's keys are made as this host makes them. Where no tool is guarded, the
    /// ledger is not read.
    ///
    /// # Errors
    ///
    /// If a pattern is not valid, or the ledger cannot be used.
    pub async fn open(mut self) -> Result<Semel, OpenError> {
        self.apply_shadow_mode();
        if cfg!(not(feature = "shadow")) && self.tools_in(ToolMode::Shadow).next().is_some() {
            return Err(OpenError::ShadowNotCompiled);
        }
        let entries = EntryClient::new(Arc::clone(&self.store));
        // Shadow mode must not keep a host from starting, so its scheme is checked by the first observer.
        #[cfg(feature = "shadow")]
        let shadow = self.open_shadow(&entries);
        let ledger = self.open_ledger(entries).await?;
        let core = HostCore::new(ledger, self.keys, self.prober);
        let tools = ToolRules::new(self.rules, self.default_tool)?;
        Ok(Semel::new(
            core,
            tools,
            #[cfg(feature = "shadow")]
            shadow,
        ))
    }

    /// Puts every guarded tool into shadow mode where the whole host is in that mode.
    fn apply_shadow_mode(&mut self) {
        let whole_host = self.keys.mode() == KeyMode::Shadow;
        let tools = self.rules.iter_mut().map(|(_, tool)| tool);
        for tool in tools.chain(&mut self.default_tool) {
            if whole_host && tool.mode == ToolMode::Enforce {
                tool.mode = ToolMode::Shadow;
            }
            #[cfg(feature = "shadow")]
            if tool.mode == ToolMode::Shadow {
                crate::runtime::shadow::restrict_allowance(&mut tool.allowance);
            }
        }
    }

    fn tools_in(&self, mode: ToolMode) -> impl Iterator<Item = &Tool> + Clone {
        self.rules
            .iter()
            .map(|(_, tool)| tool)
            .chain(&self.default_tool)
            .filter(move |tool| tool.mode == mode)
    }

    async fn open_ledger(&self, entries: EntryClient) -> Result<LedgerClient, SchemeError> {
        let policies = self
            .tools_in(ToolMode::Enforce)
            .map(|tool| tool.policy.description());
        if policies.clone().next().is_none() {
            return Ok(LedgerClient::new(entries));
        }
        let quarantine = scheme::agree_on_scheme(&entries, &self.keys, policies).await?;
        Ok(LedgerClient::with_quarantine(entries, quarantine))
    }

    /// Returns the observers of the tools in shadow mode, if there are such tools.
    #[cfg(feature = "shadow")]
    fn open_shadow(&self, entries: &EntryClient) -> Option<Arc<Shadow>> {
        let policies: Vec<_> = self
            .tools_in(ToolMode::Shadow)
            .map(|tool| tool.policy.description().clone())
            .collect();
        if policies.is_empty() {
            return None;
        }
        let keys = self.keys.in_mode(KeyMode::Shadow);
        // A probe would reach the system behind the tool, so observers have none.
        let core = HostCore::new(LedgerClient::new(entries.clone()), keys, None);
        Some(Shadow::new(core, policies))
    }
}
