//! Handles: the names of what landed, by which a later operation undoes it.
//!
//! A handle names its owners: each landing under that name, written before the landing itself. Only the
//! owner's own record says whether it landed and still stands, so a claim reads both.

use super::{
    record::{OperationGeneration, Record, State, UndoTarget},
    rule::{Rule, Rules},
};
use crate::model::{Nonce, Stamp, StoreKey, Tenant};
use serde::{Deserialize, Serialize};

/// The most owners that a handle lists. A handle with several living owners undoes none of them, so
/// a further one changes nothing.
const OWNERS_MAX: usize = 64;

/// The owners of a handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The tenant.
    pub tenant: Tenant,
    /// The landings under this name, oldest first.
    pub owners: Vec<HandleOwner>,
}

/// A landing: a generation of an operation, and the attempt that landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HandleOwner {
    /// The generation of the operation.
    pub of: OperationGeneration,
    /// The nonce of the attempt.
    pub nonce: Nonce,
}

/// An owner that landed and was not undone since, as a claimant read its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LivingOwner {
    /// Its landing.
    pub owner: HandleOwner,
    /// When the first attempt under its key was granted.
    pub granted: Stamp,
    /// When it landed.
    pub landed: Stamp,
}

/// The living owners of one handle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LivingOwners(pub Vec<LivingOwner>);

impl LivingOwners {
    /// Returns the only living owner. A handle without one, or with several, leaves open what it
    /// means, so it undoes nothing.
    #[must_use]
    pub fn single(&self) -> Option<&LivingOwner> {
        self.single_under(Rules::ALL)
    }

    fn single_under(&self, rules: Rules) -> Option<&LivingOwner> {
        match self.0.as_slice() {
            [_, _, ..] if rules.holds(Rule::OneLivingOwner) => None,
            owners => owners.first(),
        }
    }
}

impl Handle {
    /// A handle without owners.
    #[must_use]
    pub fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            owners: Vec::new(),
        }
    }

    /// Returns the handle with this owner, or `None` where that changes nothing: it is listed, or
    /// the list is full.
    #[must_use]
    pub fn with_owner(&self, owner: HandleOwner) -> Option<Self> {
        if self.owners.contains(&owner) || self.owners.len() >= OWNERS_MAX {
            return None;
        }
        let mut handle = self.clone();
        handle.owners.push(owner);
        Some(handle)
    }

    /// Returns the handle without the owners that `is_gone` names.
    #[must_use]
    pub fn without(&self, is_gone: impl Fn(&HandleOwner) -> bool) -> Self {
        let mut handle = self.clone();
        handle.owners.retain(|owner| !is_gone(owner));
        handle
    }
}

/// Returns the landings that an operation takes to undo: the single living owner of each handle.
pub(super) fn targets_of(named: &[LivingOwners], rules: Rules) -> Vec<UndoTarget> {
    let mut targets: Vec<UndoTarget> = Vec::new();
    for owner in named.iter().filter_map(|owners| owners.single_under(rules)) {
        // Two handles may name one landing.
        if !targets.iter().any(|target| target.of == owner.owner) {
            targets.push(UndoTarget {
                of: owner.owner,
                settled: false,
            });
        }
    }
    targets
}

/// Returns what an outcome undid by the handles that it names: only what landed before `granted`,
/// the grant of the attempt with that outcome.
#[must_use]
pub fn undone_by_outcome(named: &[LivingOwners], granted: Stamp) -> Vec<OperationGeneration> {
    let mut undone: Vec<OperationGeneration> = named
        .iter()
        .filter_map(LivingOwners::single)
        .filter(|owner| granted.is_certainly_after(&owner.landed))
        .map(|owner| owner.owner.of)
        .collect();
    undone.sort_unstable_by_key(|of| (of.key, of.generation));
    undone.dedup();
    undone
}

/// What an undoing operation's record says of a mark that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkMeaning {
    /// It landed, so the marked operation is undone.
    Undone,
    /// It had no effect, or undoes something else since, so the mark counts for nothing.
    Void,
    /// It may yet land.
    Open,
}

impl Record {
    /// Returns the meaning of a mark at `of` that names `generation` of this operation.
    #[must_use]
    pub fn mark_meaning(&self, generation: u32, of: OperationGeneration) -> MarkMeaning {
        // A later generation opens only once the earlier one has written all that it undid, and a
        // later attempt may have taken something else to undo.
        let takes =
            self.generation == generation && self.undoes.iter().any(|target| target.of.of == of);
        if !takes {
            return MarkMeaning::Void;
        }
        match self.state {
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. } => {
                MarkMeaning::Undone
            }
            State::Released { .. } | State::Refused { .. } | State::Alias { .. } => {
                MarkMeaning::Void
            }
            State::Started
            | State::Retrying
            | State::Probing { .. }
            | State::Waiting { .. }
            | State::InDoubt { .. }
            | State::Held { .. } => MarkMeaning::Open,
        }
    }

    /// Returns the nonce of the attempt that a landing rests on.
    pub(super) fn landed_nonce(&self) -> Option<Nonce> {
        let number = self.landed_attempt();
        let landed = self
            .attempts
            .iter()
            .find(|attempt| attempt.fence.number == number)?;
        Some(landed.fence.nonce)
    }

    /// Returns the landing of this record at `key`, written at `written`, while it stands: it was
    /// neither undone nor has its outcome aged.
    #[must_use]
    pub fn living_owner(&self, key: StoreKey, written: Stamp) -> Option<LivingOwner> {
        if !matches!(self.state, State::Landed { .. }) {
            return None;
        }
        Some(LivingOwner {
            owner: HandleOwner {
                of: OperationGeneration {
                    key,
                    generation: self.generation,
                },
                nonce: self.landed_nonce()?,
            },
            // A repeat under the same key lands with the effect of the first attempt.
            granted: self.first_started.at(written),
            landed: self.since.at(written),
        })
    }
}
