//! Keeping a claim: its lease, its renewal, its suspension, its end.

use super::{RecordDraft, Transition};
use crate::ledger::{
    Fence, Grant, KnownEffect, OperationTerms, ProbeOrigin, RecordTime, Refusal, ReleaseSource,
    Reply, Rule, State,
};
use crate::model::Nonce;

/// For how long a right to send holds that was just granted, in milliseconds: no longer than its lease.
pub(super) fn right_ms(terms: &OperationTerms) -> u64 {
    u64::from(terms.lease_seconds.min(terms.attempt_seconds)) * 1_000
}

impl RecordDraft {
    /// Returns the rest of the present lease, in milliseconds.
    pub(super) fn lease_left_ms(&self) -> u64 {
        let Some(seconds) = self.record.lease_seconds() else {
            return 0;
        };
        let leased = self.record.leased;
        match (&self.record.state, self.last_attempt()) {
            // A limit of its own is no lease: it outlives a reboot.
            (State::Waiting { .. }, _) => {
                let gone = self.stamp.shortest_since(&self.record_time(leased));
                (u64::from(seconds) * 1_000).saturating_sub(gone)
            }
            (State::Started | State::Retrying, Some(attempt))
                if self.rules.holds(Rule::AttemptEnds) =>
            {
                let by_attempt = self.left_ms(attempt.started, self.record.terms.attempt_seconds);
                by_attempt.min(self.left_ms(leased, seconds))
            }
            _ => self.left_ms(leased, seconds),
        }
    }

    /// Returns the rest of `seconds` since `when`, and nothing after another boot.
    fn left_ms(&self, when: RecordTime, seconds: u32) -> u64 {
        let since = self.record_time(when);
        let gone = self.stamp.steady_since(&since);
        gone.map_or(0, |gone| (u64::from(seconds) * 1_000).saturating_sub(gone))
    }

    /// An expired lease makes the operation in doubt, at the next command of any caller.
    pub(super) fn expire_if_over(&mut self) {
        if self.record.lease_seconds().is_none() || self.lease_left_ms() > 0 {
            return;
        }
        let over = match &self.record.state {
            // A probe sends nothing, so its end leaves what the owners have reported.
            State::Probing { .. } if self.all_without_effect() => State::Released {
                by: ReleaseSource::Owner,
                new_key: false,
                wait_ms: 0,
            },
            State::Probing {
                from: ProbeOrigin::Held,
                reason,
                ..
            } => State::Held {
                reason: reason.clone(),
                two_effects: false,
            },
            State::Probing { reason, .. } => State::InDoubt {
                reason: reason.clone(),
            },
            State::Waiting { .. } => State::InDoubt {
                reason: "its continuation did not end in time".to_owned(),
            },
            _ if !self.rules.holds(Rule::LeaseEndIsDoubt) => State::Released {
                by: ReleaseSource::Owner,
                new_key: false,
                wait_ms: 0,
            },
            _ => State::InDoubt {
                reason: "the host of the attempt stopped or took too long".to_owned(),
            },
        };
        self.expired = true;
        self.enter_state(over);
    }

    pub(super) fn expire(self) -> Result<Transition, Refusal> {
        if !self.expired {
            return self.no_row();
        }
        Ok(self.write_current())
    }

    fn require_owner(&self, fence: Fence) -> Result<(), Refusal> {
        self.require(Rule::OwnerOnly, self.is_owner(fence))
    }

    pub(super) fn renew(mut self, fence: Fence) -> Result<Transition, Refusal> {
        if !matches!(self.record.state, State::Started | State::Retrying) {
            return self.no_row();
        }
        self.require_owner(fence)?;
        self.record.leased = RecordTime::ThisWrite;
        Ok(self.write_current())
    }

    pub(super) fn suspend(
        mut self,
        fence: Fence,
        continuation: &str,
        limit_seconds: u32,
    ) -> Result<Transition, Refusal> {
        if !matches!(self.record.state, State::Started) {
            return self.no_row();
        }
        self.require_owner(fence)?;
        // Marked for good: this round was sent, so no later round proves that it had no effect.
        if let Some(attempt) = self.attempt_mut(fence) {
            attempt.suspended = true;
        }
        self.record.leased = RecordTime::ThisWrite;
        self.enter_state(State::Waiting {
            continuation: continuation.to_owned(),
            limit_seconds,
        });
        Ok(self.write_current())
    }

    pub(super) fn continue_as(
        mut self,
        presented: &str,
        nonce: Nonce,
    ) -> Result<Transition, Refusal> {
        match &self.record.state {
            State::Waiting { continuation, .. } if continuation == presented => {}
            _ => return self.no_row(),
        }
        self.require_clock()?;
        let generation = self.record.generation;
        let series = self.record.series;
        let valid_ms = right_ms(&self.record.terms);
        let Some(attempt) = self.record.attempts.last_mut() else {
            return self.no_row();
        };
        // A new nonce takes the right from the host that suspended the attempt.
        attempt.fence.nonce = nonce;
        // Its own limit bounded the wait; the attempt's time counts from the continuation on.
        attempt.started = RecordTime::ThisWrite;
        // Earlier reports are void: the attempt is in progress again.
        attempt.known = KnownEffect::Open;
        attempt.outcome = None;
        attempt.reason = None;
        let fence = attempt.fence;
        self.record.leased = RecordTime::ThisWrite;
        self.enter_state(State::Started);
        Ok(self.write(Reply::Granted(Grant {
            fence,
            generation,
            series,
            valid_ms,
            marks: Vec::new(),
            repeats: false,
        })))
    }
}
