//! The model as the checker runs it: the initial state, the transitions and the properties.

use crate::{
    action::ModelAction,
    invariant::LedgerTransition,
    plan::{PlannedCall, TICK_MS, TestPlan, UndoSetup},
    property::SafetyProperty,
    state::{CallPhase, HistoryVariables, ModelState, OperationIndex, RunningCall, StoredRecord},
};
use semel_core::{
    guard::Guard,
    ledger::{Command, PresentRecord, Refusal, Reply, Rules, apply_under},
    model::{Boot, Incarnation, Stamp},
};
use stateright::{Model, Property};
use std::{collections::BTreeMap, sync::Arc};

/// A plan, and the rules of the ledger that are in force.
#[derive(Debug, Clone)]
pub struct LedgerModel {
    pub(crate) plan: TestPlan,
    pub(crate) rules: Rules,
}

impl Model for LedgerModel {
    type State = ModelState;
    type Action = ModelAction;

    fn init_states(&self) -> Vec<ModelState> {
        let mut state = ModelState {
            tick: 0,
            boot: 0,
            is_clock_set_back: false,
            ledger: BTreeMap::new(),
            calls: vec![self.starting_call(); self.plan.calls.len()],
            requests: Vec::new(),
            late_reports: Vec::new(),
            target: BTreeMap::new(),
            person: None,
            sweep_probe: None,
            history: HistoryVariables::default(),
            violated: None,
        };
        if self.plan.has_undo() && self.plan.setup != UndoSetup::Absent {
            self.land_operation_to_undo(&mut state);
        }
        vec![state]
    }

    fn actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        // A counterexample ends at its first violation.
        if state.violated.is_none() {
            self.list_enabled_actions(state, actions);
        }
    }

    fn next_state(&self, last: &ModelState, action: ModelAction) -> Option<ModelState> {
        let mut state = last.clone();
        self.apply_action(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        SafetyProperty::checker_properties()
    }
}

impl LedgerModel {
    fn starting_call(&self) -> CallPhase {
        let (guard, action) = Guard::start(self.plan.allowance());
        CallPhase::Running(Box::new(RunningCall {
            guard,
            action,
            right: None,
            grant_count: 0,
            probe_count: 0,
            first_read: None,
            void_mark: None,
            named: None,
        }))
    }

    pub(crate) fn planned_call(&self, call: usize) -> PlannedCall {
        self.plan.call(call)
    }

    /// The store's clocks.
    pub(crate) fn store_clock(&self, state: &ModelState) -> Stamp {
        let elapsed_ms = u64::from(state.tick) * TICK_MS;
        // Nearly six days, far more than any duration in a plan.
        let set_back_ms = if state.is_clock_set_back {
            500_000_000
        } else {
            0
        };
        Stamp {
            wall_ms: 1_000_000_000 + elapsed_ms - set_back_ms,
            // A real reboot resets it, too. The boot number alone makes its readings incomparable.
            steady_ms: elapsed_ms,
            boot: Boot(u64::from(state.boot)),
            incarnation: Incarnation(u64::from(state.history.record_losses)),
        }
    }

    /// Executes a command on one record of the ledger, atomically, and checks the properties of the
    /// transition.
    ///
    /// `call` is the call that sent the command, if one did.
    pub(crate) fn execute_command(
        &self,
        state: &mut ModelState,
        operation: OperationIndex,
        call: Option<usize>,
        command: &Command,
    ) -> Result<Reply, Refusal> {
        let before = state.ledger.get(&operation).cloned();
        let now = self.store_clock(state);
        let present = before.as_ref().map(|stored| PresentRecord {
            record: &stored.record,
            written: stored.written,
        });
        let transition = apply_under(self.rules, present, command, now)?;
        if let Some((record, retention)) = transition.write {
            // Only a record that others may undo is ever written on condition of its version.
            let is_versioned = operation == 0 && self.plan.has_undo();
            let version = before
                .as_ref()
                .map_or(0, |stored| stored.version + u8::from(is_versioned));
            state.ledger.insert(
                operation,
                StoredRecord {
                    record: Arc::new(*record),
                    written: now,
                    retention,
                    version,
                },
            );
        }
        let checked = LedgerTransition {
            operation,
            call,
            before: before.as_ref(),
            command,
            reply: &transition.reply,
            now,
        };
        self.check_transition(state, &checked);
        self.check_undo_mark(state);
        Ok(transition.reply)
    }

    /// Executes a command, and ignores a refusal: the ledger may be ahead of the sender.
    pub(crate) fn try_command(
        &self,
        state: &mut ModelState,
        operation: OperationIndex,
        call: Option<usize>,
        command: &Command,
    ) {
        let _refused = self.execute_command(state, operation, call, command);
    }
}
