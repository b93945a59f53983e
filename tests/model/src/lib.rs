//! A model checker for the ledger and the guard: it explores every interleaving of calls and
//! faults.
//!
//! The checker is [`stateright`]. The code under test is the library's own: [`semel_core::ledger`]
//! and [`semel_core::guard::Guard`]. The model adds their environment: callers, a network, a
//! target, people and clocks.
//!
//! | term | here |
//! |---|---|
//! | state | [`state::ModelState`]: the ledger, each call, each request in flight, the target's effects |
//! | action | [`ModelAction`]: one step of one participant, such as a crash, an answer or a decision |
//! | transition | the state after an action; the ledger and the guard compute their part of it |
//! | property | [`SafetyProperty`]: a sentence that must hold in every reachable state |
//! | plan | [`plan::TestPlan`]: the calls and the faults of one check, few enough to explore all of its states |
//! | counterexample | [`Counterexample`]: the shortest sequence of actions that violates a property |
//! | twin | [`RuleTwin`]: the ledger without one rule; each must have a counterexample, or its rule is not needed |
//!
//! A twin is a mutant in the sense of mutation testing. Stores and their faults, policies and
//! protocols are absent: other tests run the real ones.

mod action;
mod checker;
mod enabled;
mod guard_driver;
mod invariant;
mod model;
pub mod plan;
mod plans;
mod property;
pub mod state;
mod transition;

pub use action::{HostMistake, ModelAction, RefusalKind};
pub use checker::{Counterexample, PlanCheck, RuleTwin, check_plan, check_twins};
pub use model::LedgerModel;
pub use plans::all_plans;
pub use property::SafetyProperty;
