//! The shape of one function: what makes a compiler slow or greedy about it.

use super::{malformed, most};
use crate::engine::{error::LoadError, limits::LoadLimits};
use wasmparser::{FunctionBody, Operator};

/// The branches that count for one loop, by the compiler's time.
const BRANCHES_PER_LOOP: u64 = 4;

/// The shape of one function.
#[derive(Default)]
pub(super) struct FunctionShape {
    pub(super) bytes: u64,
    locals: u64,
    blocks: u64,
    branches: u64,
}

impl FunctionShape {
    /// # Errors
    /// If it passes a limit, or cannot be read.
    pub(super) fn new(body: &FunctionBody<'_>, limits: &LoadLimits) -> Result<Self, LoadError> {
        let bytes = body.range().len() as u64;
        most(
            "bytes of code in one function",
            bytes,
            limits.body_bytes,
            "body-bytes",
        )?;
        let mut shape = Self {
            bytes,
            blocks: 1,
            ..Self::default()
        };
        for group in body.get_locals_reader().map_err(malformed)? {
            shape.locals += u64::from(group.map_err(malformed)?.0);
        }
        most(
            "local variables in one function",
            shape.locals,
            limits.locals,
            "locals",
        )?;
        shape.count(body, limits)?;
        let merges = shape.blocks * shape.locals;
        most(
            "blocks times local variables in one function",
            merges,
            limits.merges,
            "merges",
        )?;
        Ok(shape)
    }

    /// The square of its branches. A compiler's passes over them take about so many times five nanoseconds.
    pub(super) fn tangle(&self) -> u64 {
        self.branches.saturating_mul(self.branches)
    }

    fn count(&mut self, body: &FunctionBody<'_>, limits: &LoadLimits) -> Result<(), LoadError> {
        let mut depth = 0_u64;
        for operator in body.get_operators_reader().map_err(malformed)? {
            let operator = operator.map_err(malformed)?;
            match &operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth = depth.saturating_sub(1),
                _ => {}
            }
            most("blocks within blocks", depth, limits.nesting, "nesting")?;
            self.add(&operator);
        }
        Ok(())
    }

    fn add(&mut self, operator: &Operator<'_>) {
        let (blocks, branches) = match operator {
            Operator::Block { .. } | Operator::Else => (1, 0),
            Operator::Loop { .. } => (1, BRANCHES_PER_LOOP),
            Operator::If { .. } | Operator::BrIf { .. } => (1, 1),
            Operator::BrTable { targets } => (1, u64::from(targets.len())),
            _ => return,
        };
        self.blocks += blocks;
        self.branches += branches;
    }
}
