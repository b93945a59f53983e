//! The beginning of a guarded call: from the operation that its policy names to the claim of that operation.

use crate::runtime::{
    call::{
        context::CallContext,
        driver::{CallDriver, CallOpening},
        error::CallError,
        run::{CallStep, drive_call, refuse_call},
    },
    host::HostCore,
    ledger_client::clock::BootInstant,
    tool::Tool,
};
use crate::{
    key::{KeyError, KeyMode},
    ledger::{OperationTerms, PolicyName, SharedValue},
    model::{Call, Durability, Operation, StoreKey},
    place::{self, KeyPlaceError},
};
use std::sync::Arc;

/// The reason why an operation cannot be claimed: its policy names it badly.
#[derive(Debug, thiserror::Error)]
enum UnusableOperationError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Place(#[from] KeyPlaceError),
}

impl HostCore {
    /// Guards a call that means `operation`, up to where its caller has to act.
    pub(crate) async fn guard_call(
        self: &Arc<Self>,
        tool: Arc<Tool>,
        call: Call,
        operation: Operation,
        begun: BootInstant,
        opening: CallOpening,
    ) -> Result<CallStep, CallError> {
        if self.would_forget(&tool, &call) {
            return Ok(refuse_call(call.tool(), forgetful_ledger(call.tool())));
        }
        // Shared from here on by the record, the lease and the settlement.
        let call = SharedValue::from(call);
        let undoes = operation.undoes.clone();
        let (key, terms) = match self.operation_terms(&tool, &call, operation) {
            Ok(terms) => terms,
            Err(error) => return Ok(refuse_call(call.tool(), error.to_string())),
        };
        let context = CallContext {
            host: Arc::clone(self),
            tool,
            call,
            key,
            terms: terms.into(),
            undoes,
        };
        let (driver, action) = CallDriver::start(context, opening, begun);
        drive_call(driver, action).await
    }

    /// Returns true for an irreversible tool on a ledger that keeps nothing through a restart.
    fn would_forget(&self, tool: &Tool, call: &Call) -> bool {
        let is_destructive = || {
            call.facts()
                .get("hint.destructive")
                .is_some_and(|hint| hint.as_bool() == Some(true))
        };
        self.ledger.store().durability() == Durability::Nothing
            && !tool.allow_forgetful_ledger
            && (tool.irreversible || is_destructive())
    }

    /// Returns the key of the operation's record, and the terms of its claim.
    fn operation_terms(
        &self,
        tool: &Tool,
        call: &SharedValue<Call>,
        operation: Operation,
    ) -> Result<(StoreKey, OperationTerms), UnusableOperationError> {
        let keys = &self.keys;
        let name_space = &tool.name_space;
        let key = keys.store_key(name_space, call, &operation)?;
        let content = keys.fingerprint(name_space, call, &operation)?;
        // Once the operation is claimed, a key without a place could not stop the call any more.
        if let Some(target) = &operation.target {
            place::check(&target.places, call)?;
        }
        let policy = tool.policy.description();
        let terms = OperationTerms {
            content,
            call_digest: keys.call_digest(name_space, call, operation.scope),
            // Only what may be sent or probed again needs the call itself.
            call: operation.target.is_some().then(|| call.clone()),
            operation: operation.title(call).to_owned(),
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
            undoing: !operation.undoes.is_empty(),
            shadow: keys.mode() == KeyMode::Shadow,
        };
        Ok((key, terms))
    }
}

fn forgetful_ledger(tool: &str) -> String {
    format!(
        "`{tool}` cannot be undone, and the ledger lives in memory: use a ledger that lasts, or set \
         `allow_forgetful_ledger` for the tool"
    )
}
