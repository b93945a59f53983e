//! The host: which tools there are, where their ledger is, and how a call begins.

use crate::runtime::{
    call::delivery::Marks,
    call::driver::{self, Driver, Opening},
    call::renewals::Renewals,
    call::ticket::{self, Begun, CallError, Started, Ticket, Under},
    ledger_client::clock::Moment,
    ledger_client::scheme::{self, SchemeError},
    ledger_client::{LedgerClient, LedgerError},
    operator::Ledger,
    shadow::{self, Shadow},
    tool::Tool,
};
use crate::{
    engine::PolicyError,
    guard::{GuardEvent, GuardLedgerError},
    key::{KeyMode, KeyScheme},
    ledger::{
        Claim, OperationGeneration, OperationTerms, PolicyName, Record, SharedValue, UndoTarget,
    },
    model::{
        Answer, Call, Derivation, Durability, Nonce, Operation, Outcome, PolicyDescription, Probe,
        StoreKey, ToolMode, UnguardedReason,
    },
    place,
    store::Store,
};
use async_trait::async_trait;
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::{fmt, future::Future, sync::Arc, time::Duration};

/// Runs the reads that a policy asks for, to learn what became of an attempt.
#[async_trait]
pub trait Prober: fmt::Debug + Send + Sync + 'static {
    /// Runs the probe on behalf of the tenant of `call`, and returns its outcome.
    async fn probe(&self, call: &Call, probe: &Probe) -> Outcome;
}

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It makes other keys than the ledger holds.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// A pattern is invalid.
    #[error("`{pattern}` is no pattern for tools: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The fault of the pattern.
        why: String,
    },
}

/// The state that all clones of a host share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) table: LedgerClient,
    pub(crate) keys: KeyScheme,
    pub(crate) prober: Option<Arc<dyn Prober>>,
    pub(crate) marks: Marks,
    pub(crate) renewals: Renewals,
    /// The watcher of tools in shadow mode, if there are any.
    shadow: Option<Arc<Shadow>>,
    matchers: GlobSet,
    tools: Vec<Arc<Tool>>,
    fallback: Option<Arc<Tool>>,
}

impl Inner {
    fn new(table: LedgerClient, keys: KeyScheme, tools: Vec<Arc<Tool>>) -> Self {
        let matchers = GlobSet::empty();
        let marks = Marks::default();
        Self {
            table,
            keys,
            prober: None,
            marks,
            renewals: Renewals::default(),
            shadow: None,
            matchers,
            tools,
            fallback: None,
        }
    }

    /// The downstream key of a generation and series, as the record's target wants it.
    pub(crate) fn downstream(
        &self,
        key: StoreKey,
        record: &Record,
        generation: u32,
        series: u32,
    ) -> String {
        let form = record
            .terms
            .target
            .as_ref()
            .map(|target| target.form)
            .unwrap_or_default();
        // A form is checked before the claim, so only a damaged record has a wrong one.
        self.keys
            .downstream(&key, generation, series)
            .render(form)
            .unwrap_or_default()
    }

    /// The policies of all tools.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &PolicyDescription> + Clone {
        self.tools
            .iter()
            .chain(&self.fallback)
            .map(|tool| tool.policy.description())
    }

    fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        // The first rule that matches wins.
        let first = self.matchers.matches(name).into_iter().min();
        first
            .and_then(|first| self.tools.get(first))
            .or(self.fallback.as_ref())
    }
}

/// Sets a host up.
#[derive(Debug)]
pub struct Builder {
    store: Arc<dyn Store>,
    keys: KeyScheme,
    prober: Option<Arc<dyn Prober>>,
    tools: Vec<(Vec<String>, Tool)>,
    fallback: Option<Tool>,
}

impl Builder {
    /// Keys are made so. Default: plain digests, enforcing.
    #[must_use]
    pub fn keys(mut self, keys: KeyScheme) -> Self {
        self.keys = keys;
        self
    }

    /// Probes are run so. Default: not at all.
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
        self.tools
            .push((patterns.into_iter().map(Into::into).collect(), tool));
        self
    }

    /// Tools that no rule matches are guarded so. Default: their calls are an error.
    #[must_use]
    pub fn otherwise(mut self, tool: Tool) -> Self {
        self.fallback = Some(tool);
        self
    }

    /// Opens the host: checks that the ledger's keys are made as this host makes them. For tools that are not guarded the
    /// ledger is not asked.
    ///
    /// # Errors
    ///
    /// If a pattern is not valid, or the ledger cannot be used.
    pub async fn open(mut self) -> Result<Semel, OpenError> {
        let mut table = LedgerClient::new(self.store);
        for tool in self
            .tools
            .iter_mut()
            .map(|(_, tool)| tool)
            .chain(&mut self.fallback)
        {
            // A host that only watches guards nothing.
            if self.keys.mode() == KeyMode::Shadow && tool.mode == ToolMode::Enforce {
                tool.mode = ToolMode::Shadow;
            }
            if tool.mode == ToolMode::Shadow {
                *tool = shadow::as_watched(tool);
            }
        }
        let all = || {
            self.tools
                .iter()
                .map(|(_, tool)| tool)
                .chain(&self.fallback)
        };
        let in_mode = |mode| {
            all()
                .filter(move |tool| tool.mode == mode)
                .map(|tool| tool.policy.description())
        };
        if in_mode(ToolMode::Enforce).next().is_some() {
            let quarantine = scheme::agree(&table, &self.keys, in_mode(ToolMode::Enforce)).await?;
            table = table.with_quarantine(quarantine);
        }
        let watches: Vec<_> = in_mode(ToolMode::Shadow).collect();
        let shadow = (!watches.is_empty()).then(|| {
            let tools = all()
                .filter(|tool| tool.mode == ToolMode::Shadow)
                .cloned()
                .map(Arc::new)
                .collect();
            let keys = self.keys.in_mode(KeyMode::Shadow);
            Shadow::new(Semel::of(Inner::new(
                LedgerClient::new(Arc::clone(table.store())),
                keys,
                tools,
            )))
        });
        let (matchers, tools) = rules(self.tools)?;
        let fallback = self.fallback.map(Arc::new);
        let inner = Inner::new(table, self.keys, tools);
        Ok(Semel::of(Inner {
            prober: self.prober,
            shadow,
            matchers,
            fallback,
            ..inner
        }))
    }
}

/// One matcher a pattern, and the tool of each: so that the smallest index is the first rule.
fn rules(rules: Vec<(Vec<String>, Tool)>) -> Result<(GlobSet, Vec<Arc<Tool>>), OpenError> {
    let mut matchers = GlobSetBuilder::new();
    let mut tools = Vec::new();
    for (patterns, tool) in rules {
        let tool = Arc::new(tool);
        for pattern in patterns {
            let glob = Glob::new(&pattern).map_err(|error| wrong(&pattern, &error))?;
            matchers.add(glob);
            tools.push(Arc::clone(&tool));
        }
    }
    let matchers = matchers.build().map_err(|error| wrong("", &error))?;
    Ok((matchers, tools))
}

fn wrong(pattern: &str, error: &globset::Error) -> OpenError {
    OpenError::Pattern {
        pattern: pattern.to_owned(),
        why: error.kind().to_string(),
    }
}

/// A host that guards tool calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Semel {
    pub(crate) inner: Arc<Inner>,
}

impl Semel {
    fn of(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns a builder for a host with its ledger in `store`.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>) -> Builder {
        Builder {
            store,
            keys: KeyScheme::default(),
            prober: None,
            tools: Vec::new(),
            fallback: None,
        }
    }

    /// Guards `call`: runs the tool through `run` if the operation that it means has not been sent, and answers with what
    /// stands otherwise. `run` is called again only after an attempt that had no effect, or where the policy says that
    /// sending the same again is safe, as often as the tool's [`crate::guard::ToolAllowance`] lets it.
    ///
    /// A caller that drops the returned future while the tool runs leaves the operation in doubt.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be reached (the tool did not run), or no policy is set up for the tool.
    pub async fn call<Run, Running>(&self, call: Call, mut run: Run) -> Result<Answer, CallError>
    where
        Run: FnMut(Ticket) -> Running,
        Running: Future<Output = Outcome>,
    {
        let mut begun = self.begin(call).await?;
        loop {
            match begun {
                Begun::Answered(answered) => {
                    let (answer, delivery) = answered.into_parts();
                    // The caller's future runs to its end with this, so it takes the outcome.
                    if let Some(delivery) = delivery {
                        self.inner.marks.write(delivery);
                    }
                    return Ok(answer);
                }
                Begun::Run(started) => {
                    let Started { ticket, under } = *started;
                    begun = under.go_on(run(ticket).await).await?;
                }
            }
        }
    }

    /// Guards a call that the caller runs itself: returns whether to run it, or its answer.
    ///
    /// # Errors
    ///
    /// As [`Semel::call`].
    pub async fn begin(&self, call: Call) -> Result<Begun, CallError> {
        self.open(call, Opening::Claim).await
    }

    /// As [`Semel::begin`], for a call that was made before a caller took the outcome of `generation` of what it means. It is
    /// owed that outcome, as if it had waited for it: where outcomes last until delivery, it would be taken for another
    /// operation otherwise, only because it was read late.
    ///
    /// # Errors
    /// As [`Semel::call`].
    pub async fn begin_before_delivery(
        &self,
        call: Call,
        generation: u32,
    ) -> Result<Begun, CallError> {
        self.open(call, Opening::Owed { generation }).await
    }

    /// Goes on with a call that was suspended ([`Started::suspend`]): says whether to run its next round, or what to answer
    /// where nothing waits under this continuation. It must be the very same call; a next round is part of the same
    /// attempt, and goes under the same key.
    ///
    /// # Errors
    /// As [`Semel::call`].
    pub async fn resume(
        &self,
        call: Call,
        continuation: impl Into<String>,
    ) -> Result<Begun, CallError> {
        self.open(call, Opening::Continue(continuation.into()))
            .await
    }

    async fn open(&self, call: Call, opening: Opening) -> Result<Begun, CallError> {
        let begun = Moment::now();
        let tool = self.inner.tool(call.tool()).cloned();
        if let Some(under) = tool
            .as_ref()
            .and_then(|tool| self.without_a_guard(tool, &call, &opening))
        {
            return Ok(ticket::unguarded(&call, under));
        }
        if let Err(fault) = driver::check(&call) {
            return Ok(ticket::refused(
                call.tool(),
                format!("the arguments cannot be used: {fault}"),
            ));
        }
        let tool = tool.ok_or_else(|| CallError::NoPolicy(call.tool().to_owned()))?;
        match tool.policy.derive(&call) {
            Err(fault) => Ok(ticket::refused(call.tool(), explain(&fault))),
            Ok(Derivation::Pass) => Ok(ticket::passes(&call)),
            Ok(Derivation::Refuse(reason)) => Ok(ticket::refused(call.tool(), reason)),
            Ok(Derivation::Once(operation)) => {
                self.guard(tool, call, *operation, begun, opening).await
            }
        }
    }

    /// Under what the call runs, where the operator has its tool not guarded.
    fn without_a_guard(&self, tool: &Arc<Tool>, call: &Call, opening: &Opening) -> Option<Under> {
        match tool.mode {
            ToolMode::Enforce => None,
            ToolMode::Off => Some(Under::Nothing(UnguardedReason::Off)),
            ToolMode::Shadow => {
                let watched = self
                    .inner
                    .shadow
                    .as_ref()
                    .and_then(|shadow| shadow.watch(tool, call, opening));
                Some(watched.map_or(Under::Nothing(UnguardedReason::Shadow), Under::Watched))
            }
        }
    }

    /// Waits until all watched calls are recorded, at most so long, and returns whether they are.
    /// For a process that is about to end: unrecorded observations are lost, and nothing else.
    pub async fn watched(&self, at_most: Duration) -> bool {
        match &self.inner.shadow {
            Some(shadow) => shadow.settled(at_most).await,
            None => true,
        }
    }

    pub(crate) async fn guard(
        &self,
        tool: Arc<Tool>,
        call: Call,
        operation: Operation,
        begun: Moment,
        opening: Opening,
    ) -> Result<Begun, CallError> {
        if let Some(reason) = self.forgets(&tool, &call) {
            return Ok(ticket::refused(call.tool(), reason));
        }
        let (undoes, away) = match self.undoes(&tool, &call, &operation).await {
            Ok(undoes) => (undoes, None),
            Err(error) => (Vec::new(), Some(GuardLedgerError::from(error))),
        };
        let call = SharedValue::from(call);
        let (key, terms) = match self.terms(&tool, &call, operation, &undoes) {
            Ok(terms) => terms,
            Err(reason) => return Ok(ticket::refused(call.tool(), reason)),
        };
        let claim = Claim {
            nonce: Nonce::from_bytes([0; 16]),
            tenant: call.tenant().clone(),
            name_space: tool.name_space.clone(),
            terms: terms.into(),
            facts: driver::facts(&call),
            read_undelivered: None,
            void_mark: None,
        };
        let (mut driver, mut action) = Driver::start(
            Arc::clone(&self.inner),
            tool,
            call,
            key,
            claim,
            begun,
            opening,
        );
        if let Some(fault) = away {
            // Without what it undoes its key is not known, so nothing is claimed.
            action = driver.step(GuardEvent::Claimed(Err(fault)));
        }
        ticket::go_on(driver, action).await
    }

    /// Returns why an irreversible tool is not guarded by a ledger that forgets.
    fn forgets(&self, tool: &Tool, call: &Call) -> Option<String> {
        if self.durability() != Durability::Nothing || tool.allow_forgetful_ledger {
            return None;
        }
        let destructive = || {
            call.facts()
                .get("hint.destructive")
                .is_some_and(|hint| hint.as_bool() == Some(true))
        };
        let refused = tool.irreversible || destructive();
        refused.then(|| {
            format!(
                "`{}` cannot be undone, and the ledger lives in memory: use a ledger that lasts, or set \
                 `allow_forgetful_ledger` for the tool",
                call.tool()
            )
        })
    }

    async fn undoes(
        &self,
        tool: &Tool,
        call: &Call,
        operation: &Operation,
    ) -> Result<Vec<OperationGeneration>, LedgerError> {
        let table = &self.inner.table;
        let keys = &self.inner.keys;
        table
            .resolve(keys, &tool.name_space, call.tenant(), &operation.undoes)
            .await
    }

    /// Returns the key of the operation's record, and the terms of a claim.
    fn terms(
        &self,
        tool: &Tool,
        call: &SharedValue<Call>,
        operation: Operation,
        undoes: &[OperationGeneration],
    ) -> Result<(StoreKey, OperationTerms), String> {
        let keys = &self.inner.keys;
        let key = keys
            .store_key(&tool.name_space, call, &operation, undoes)
            .map_err(|fault| fault.to_string())?;
        let content = keys
            .fingerprint(&tool.name_space, call.tenant(), &operation)
            .map_err(|fault| fault.to_string())?;
        placeable(&operation, call)?;
        let policy = tool.policy.description();
        let terms = OperationTerms {
            content,
            call_digest: keys.call_digest(&tool.name_space, call, operation.scope),
            // Only what may have to be sent or asked about again needs the call itself.
            call: operation.target.is_some().then(|| call.clone()),
            operation: operation.name,
            identity: if tool.keep_identity {
                operation.identity
            } else {
                Vec::new()
            },
            until: operation.until,
            window_seconds: operation.window_seconds,
            attempt_seconds: operation.attempt_seconds,
            lease_seconds: tool.lease_seconds,
            refusal_seconds: tool.refusal_seconds,
            target: operation.target,
            policy: PolicyName {
                name: policy.name.clone(),
                digest: tool.policy.digest(),
                key_epoch: policy.key_epoch,
            },
            undoes: undoes
                .iter()
                .map(|of| UndoTarget {
                    of: *of,
                    settled: false,
                })
                .collect(),
            shadow: keys.mode() == KeyMode::Shadow,
        };
        Ok((key, terms))
    }

    /// Returns the failures that an acknowledged write of the ledger survives.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.inner.table.store().durability()
    }

    /// The ledger, as its operator sees it.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::over(self.inner.table.clone(), self.inner.keys.clone())
    }
}

/// Checks that a key can go where the target wants it, before anything is claimed.
fn placeable(operation: &Operation, call: &Call) -> Result<(), String> {
    let Some(target) = &operation.target else {
        return Ok(());
    };
    place::check(&target.places, call.arguments()).map_err(|fault| fault.to_string())
}

/// A policy's own refusal is for the model to act on; anything else is the policy's fault, and says so.
fn explain(fault: &PolicyError) -> String {
    match &fault.kind {
        crate::engine::PolicyErrorKind::Refused { message } => message.clone(),
        _ => fault.to_string(),
    }
}
