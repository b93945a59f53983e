//! What an instance may take up while it runs, and what its errors mean.

use super::{
    error::{PolicyErrorKind, PolicyFunction},
    lift::AnswerReader,
    limits::DecisionLimits,
};
use wasmtime::{ResourceLimiter, Trap};

/// The text in which wasmtime reports that an answer exceeds its budget. It has no public type for
/// it; a test pins this text.
const ANSWER_BUDGET_SPENT: &str = "fuel allocated for hostcalls has been exhausted";

/// The memory and tables of one instance, and a mark that it wanted more.
pub(super) struct ResourceBudget {
    memory_bytes: usize,
    table_elements: usize,
    wanted_more: bool,
}

impl ResourceBudget {
    pub(super) fn within(limits: &DecisionLimits) -> Self {
        Self {
            memory_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
            table_elements: limits.table_elements as usize,
            wanted_more: false,
        }
    }

    /// Returns the reason why an instance gave no answer.
    pub(super) fn error_kind(
        &self,
        function: PolicyFunction,
        error: &wasmtime::Error,
        limits: &DecisionLimits,
    ) -> PolicyErrorKind {
        let reason = |text: String| AnswerReader(*limits).for_people(&text);
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => PolicyErrorKind::Fuel { limit: limits.fuel },
            Some(Trap::StackOverflow) => PolicyErrorKind::Stack {
                limit: limits.stack_bytes,
            },
            // An allocator that is refused memory gives up as it likes.
            Some(_) if self.wanted_more => PolicyErrorKind::Memory {
                limit: limits.memory_bytes,
            },
            Some(trap) => PolicyErrorKind::Trapped {
                reason: trap.to_string(),
            },
            None if function == PolicyFunction::Start => PolicyErrorKind::NoInstance {
                reason: reason(format!("{error:#}")),
            },
            None if format!("{error:#}").contains(ANSWER_BUDGET_SPENT) => {
                PolicyErrorKind::AnswerTooLarge {
                    limit: limits.answer_bytes,
                }
            }
            None => PolicyErrorKind::BadAnswer {
                what: reason(format!("{error:#}")),
            },
        }
    }

    fn allow(&mut self, desired: usize, limit: usize) -> bool {
        let allowed = desired <= limit;
        self.wanted_more |= !allowed;
        allowed
    }
}

impl ResourceLimiter for ResourceBudget {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.allow(desired, self.memory_bytes)
            && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.allow(desired, self.table_elements)
            && maximum.is_none_or(|maximum| desired <= maximum))
    }
}
