//! Who watches: every answer of the ledger is held against the promises.

use semel_core::{
    guard::{CallerAction, GuardAction},
    ledger::{
        Claim, ClaimReply, Command, Grant, KeptOutcome, LandingSource, ProbeOrigin, ProbeReport,
        ProbeRequester, Record, ReleaseSource, Reply, State,
    },
    model::{OperationLifetime, Stamp},
};

use crate::{
    plan::{Knowledge, TICK_SECONDS},
    promise::Promise,
    town::Town,
    world::{Filed, Op, World, bit, done},
};

const TICK_MS: u64 = TICK_SECONDS as u64 * 1_000;

/// An answer of the ledger, and what led to it.
pub(crate) struct Answer<'a> {
    pub(crate) op: Op,
    pub(crate) by: Option<usize>,
    pub(crate) before: Option<&'a Filed>,
    pub(crate) command: &'a Command,
    pub(crate) reply: &'a Reply,
    pub(crate) now: Stamp,
}

/// Whether another call than `but` may still send in this generation.
fn right_is_usable(world: &World, op: Op, generation: u32, but: Option<usize>) -> bool {
    let mut rights = world
        .callers()
        .filter(|(at, _)| Some(*at) != but)
        .filter_map(|(_, caller)| caller.right);
    rights.any(|right| {
        right.key.op == op
            && right.key.generation == generation
            && !right.sent
            && world.tick < right.until
    })
}

impl Town {
    /// Holds an answer against the promises, and remembers what later ones are held against.
    pub(crate) fn watch(&self, world: &mut World, answer: &Answer<'_>) {
        let Some(record) = world
            .filed
            .get(&answer.op)
            .map(|filed| filed.record.clone())
        else {
            return;
        };
        match answer.reply {
            Reply::Granted(grant) => self.watch_grant(world, answer, grant),
            Reply::MayLook { .. } => self.watch_look(world, answer),
            Reply::Told(told) => self.watch_told(world, answer, &record, told),
        }
        if let Some(before) = answer.before {
            self.watch_change(world, answer, before, &record);
        }
        if answer
            .before
            .is_none_or(|before| before.record.state != record.state)
        {
            self.watch_entry(world, answer, &record);
        }
    }

    fn watch_grant(&self, world: &mut World, answer: &Answer<'_>, grant: &Grant) {
        let before = answer.before.map(|filed| &*filed.record);
        let against =
            before.is_some_and(|record| record.landed_evidence().any(|evidence| !evidence.weighed));
        world.promise(Promise::EvidenceHeeded, !against);
        world.promise(
            Promise::PersonRefusal,
            answer.op > 0 || !world.memory.person_refused,
        );
        match answer.command {
            Command::Claim(claim) => self.watch_claimed(world, answer, claim, grant),
            Command::Resolve { call_digest, .. } => {
                world.promise(
                    Promise::SameCall,
                    before.is_some_and(|record| record.terms.call_digest == *call_digest),
                );
                let tries = world.record(answer.op).map_or(0, |record| {
                    let same = |key: (u32, u32)| key == (record.generation, record.series);
                    record
                        .attempts
                        .iter()
                        .filter(|attempt| same((attempt.generation, attempt.series)))
                        .count()
                });
                world.promise(
                    Promise::TriesBounded,
                    tries <= 1 + self.plan.allowance().retries as usize,
                );
            }
            _ => {}
        }
    }

    fn watch_claimed(&self, world: &mut World, answer: &Answer<'_>, claim: &Claim, grant: &Grant) {
        let (op, generation) = (answer.op, grant.generation);
        let refused = answer
            .before
            .map(|before| &*before.record)
            .filter(|record| {
                let by_owner = matches!(
                    record.state,
                    State::Refused {
                        by: ReleaseSource::Owner,
                        ..
                    }
                );
                by_owner && (record.generation, record.series) == (grant.generation, grant.series)
            });
        world.promise(Promise::OneContentOneKey, refused.is_none());
        let usable = right_is_usable(world, op, generation, answer.by);
        world.promise(
            Promise::OneRight,
            !usable || world.memory.licences + world.memory.losses > 0,
        );
        if op > 0 {
            return;
        }
        let content = claim.terms.content.as_bytes().first().copied().unwrap_or(0);
        self.watch_content(world, content, generation);
        if let Some((refused, at)) = world.memory.refused.take() {
            let over = world.tick.saturating_sub(at) >= self.plan.refusal_ticks;
            world.promise(Promise::RefusalReplayed, refused != content || over);
        }
        if generation > 1 {
            let closed = world.memory.undone & bit(generation - 1) != 0;
            let taken = self.plan.until == OperationLifetime::Delivery
                && world.memory.taken & bit(generation - 1) != 0;
            world.promise(Promise::TakenOrUndone, closed || taken);
            self.watch_undoing(world, generation);
        }
        let first_read = answer.by.and_then(|at| {
            world
                .callers()
                .find(|(caller, _)| *caller == at)?
                .1
                .first_read
        });
        let owed = first_read
            .is_some_and(|read| read < generation && world.memory.undone & bit(read) == 0);
        world.promise(
            Promise::ReadersKeepTheirs,
            !owed || self.plan.until == OperationLifetime::Window,
        );
    }

    fn watch_content(&self, world: &mut World, content: u8, generation: u32) {
        let other_effect = world.sites.iter().any(|(key, site)| {
            key.op == 0
                && key.generation == generation
                && site.effects > 0
                && site.content != content
        });
        let other_message = world.messages.iter().any(|message| {
            let same = message.key.op == 0 && message.key.generation == generation;
            same && !message.disowned && message.content != content
        });
        let excused = world.memory.lies > 0 || world.memory.losses > 0;
        world.promise(
            Promise::OtherContent,
            excused || !(other_effect || other_message),
        );
    }

    fn watch_undoing(&self, world: &mut World, generation: u32) {
        let may_send = world
            .callers()
            .filter_map(|(_, caller)| caller.right)
            .any(|right| right.key.op > 0 && !right.sent && world.tick < right.until);
        let travels = world
            .messages
            .iter()
            .any(|message| message.key.op > 0 && !message.disowned);
        let under_way = self.plan.undoes_beforehand
            && generation == 2
            && (travels || self.marked_and(world, may_send));
        world.promise(Promise::UndoFirst, !under_way);
    }

    /// A right to send what undoes is no use without its mark, so it counts only past the marking.
    fn marked_and(&self, world: &World, may_send: bool) -> bool {
        let ready = world.callers().any(|(_, caller)| {
            matches!(caller.action, GuardAction::Caller(CallerAction::RunTool(_)))
                && caller.right.is_some_and(|right| {
                    right.key.op > 0 && !right.sent && world.tick < right.until
                })
        });
        may_send && ready
    }

    fn watch_look(&self, world: &mut World, answer: &Answer<'_>) {
        let Some(before) = answer.before else { return };
        if let Command::Look {
            asker: ProbeRequester::Caller,
            looks_max,
            ..
        } = answer.command
        {
            world.promise(
                Promise::HeldLooks,
                !matches!(before.record.state, State::Held { .. }),
            );
            world.promise(Promise::TriesBounded, before.record.looks < *looks_max);
        }
    }

    fn watch_told(
        &self,
        world: &mut World,
        answer: &Answer<'_>,
        record: &Record,
        told: &ClaimReply,
    ) {
        let Command::Claim(claim) = answer.command else {
            return;
        };
        match told {
            ClaimReply::Landed if answer.op == 0 => {
                let content = claim.terms.content.as_bytes().first().copied().unwrap_or(0);
                let own = record.standing_outcome()
                    == Some(&KeptOutcome::Whole(done(record.generation, content)));
                let attested = matches!(
                    record.state,
                    State::Landed {
                        via: LandingSource::Person(_),
                        ..
                    }
                );
                world.promise(Promise::OwnOutcome, own || attested);
            }
            ClaimReply::Running {
                continuation: None, ..
            } => {
                let runs = matches!(record.state, State::Started | State::Retrying);
                let Some(last) = record.last_attempt() else {
                    return;
                };
                let written = world
                    .filed
                    .get(&answer.op)
                    .map_or(answer.now, |filed| filed.written);
                let gone = answer
                    .now
                    .steady_since(&last.started.at(written))
                    .unwrap_or(0);
                let over = gone >= u64::from(self.plan.attempt_ticks) * TICK_MS;
                world.promise(Promise::AttemptsEnd, !(runs && over));
            }
            _ => {}
        }
    }

    /// What may not change, or not so.
    fn watch_change(
        &self,
        world: &mut World,
        answer: &Answer<'_>,
        before: &Filed,
        record: &Record,
    ) {
        let was = &before.record;
        let writer = matches!(
            answer.command,
            Command::Settle(_)
                | Command::Saw { .. }
                | Command::Hold { .. }
                | Command::Expire
                | Command::Renew { .. }
        );
        let is_final = matches!(
            was.state,
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }
        );
        if writer && is_final {
            let same = was.state == record.state
                && (was.standing.is_none() || was.standing == record.standing)
                && (was.standing_outcome().is_none()
                    || was.standing_outcome() == record.standing_outcome());
            world.promise(Promise::LandedIsKept, same);
        }
        if matches!(
            was.state,
            State::Held {
                two_effects: true,
                ..
            }
        ) && was.state != record.state
        {
            world.promise(
                Promise::TwoEffectsHeld,
                matches!(answer.command, Command::Decide { .. }),
            );
        }
        let lease = was
            .lease_seconds()
            .map_or(0, |seconds| u64::from(seconds) * 1_000);
        let gone = answer.now.steady_since(&was.leased.at(before.written));
        if gone.is_some_and(|gone| gone < lease) {
            self.watch_running(world, answer, was, record);
        }
        if let (
            State::Probing {
                from: ProbeOrigin::Held,
                ..
            },
            Command::Saw { sight, .. },
        ) = (&was.state, answer.command)
        {
            let back = matches!(
                record.state,
                State::Held { .. }
                    | State::Released {
                        by: ReleaseSource::Owner
                    }
            );
            world.promise(
                Promise::HeldLooks,
                back || matches!(sight, ProbeReport::Found { .. }),
            );
        }
        if let Command::Undo { generation, .. } | Command::MarkUndoing { generation, .. } =
            answer.command
        {
            world.promise(Promise::UndoneByName, was.generation == *generation);
        }
    }

    /// What runs is its owner's to end, until its lease does.
    fn watch_running(&self, world: &mut World, answer: &Answer<'_>, was: &Record, record: &Record) {
        let landed = matches!(
            record.state,
            State::Landed { .. }
                | State::Held {
                    two_effects: true,
                    ..
                }
        );
        match &was.state {
            State::Started | State::Retrying => {
                let own = was.last_attempt().map(|last| last.fence);
                let by_owner = match answer.command {
                    Command::Settle(settlement) => Some(settlement.fence) == own,
                    Command::Hold { fence, .. }
                    | Command::Suspend { fence, .. }
                    | Command::Renew { fence } => Some(*fence) == own,
                    _ => false,
                };
                let leases =
                    was.leased != record.leased && matches!(answer.command, Command::Renew { .. });
                let ended = was.state != record.state || leases;
                let over = self.attempt_over(answer, was);
                world.promise(
                    Promise::OwnersKeepTheirs,
                    by_owner || landed || over || !ended,
                );
            }
            State::Probing { look, .. } if was.state != record.state => {
                let own = matches!(answer.command, Command::Saw { nonce, .. } if nonce == look);
                world.promise(Promise::LooksEndByTheirOwn, own || landed);
            }
            _ => {}
        }
    }

    fn attempt_over(&self, answer: &Answer<'_>, was: &Record) -> bool {
        let written = answer.before.map_or(answer.now, |before| before.written);
        let started = was.last_attempt().map(|last| last.started.at(written));
        let gone = started.and_then(|started| answer.now.steady_since(&started));
        gone.is_none_or(|gone| gone >= u64::from(self.plan.attempt_ticks) * TICK_MS)
    }

    /// What may not be entered, and what is remembered of what was.
    fn watch_entry(&self, world: &mut World, answer: &Answer<'_>, record: &Record) {
        let generation = record.generation;
        let freed = match &record.state {
            State::Released { by } | State::Refused { by, .. } => Some(by),
            _ => None,
        };
        if let Some(by) = freed {
            world.promise(
                Promise::EvidenceHeeded,
                record.landed_evidence().next().is_none(),
            );
            let knows = match by {
                ReleaseSource::Owner => true,
                ReleaseSource::Person(_) => matches!(self.plan.person, Some((Knowledge::True, _))),
                ReleaseSource::TimedRerun => false,
            };
            let excused = world.memory.lies > 0 || world.memory.losses > 0;
            let may_have =
                world.effects(answer.op, generation) > 0 || world.travels(answer.op, generation);
            world.promise(Promise::EffectIsKnown, excused || !knows || !may_have);
        }
        if answer.op > 0 {
            return;
        }
        match &record.state {
            State::Released {
                by: ReleaseSource::TimedRerun,
            } => {
                world.memory.licences += 1;
                let started = record
                    .last_attempt()
                    .map(|last| last.started.at(answer.now));
                let gone = started.map_or(0, |started| answer.now.shortest_since(&started));
                let over = self
                    .plan
                    .timer
                    .is_some_and(|ticks| gone >= u64::from(ticks) * TICK_MS);
                world.promise(Promise::RerunsWait, over);
            }
            State::Released {
                by: ReleaseSource::Person(_),
            } => {
                let knows = matches!(self.plan.person, Some((Knowledge::True, _)));
                world.memory.licences += u8::from(!knows);
                world.memory.person_refused = false;
                world.memory.refused = None;
            }
            State::Refused {
                by: ReleaseSource::Person(_),
                ..
            } => world.memory.person_refused = true,
            State::Refused {
                by: ReleaseSource::Owner,
                ..
            } => {
                let content = record
                    .terms
                    .content
                    .as_bytes()
                    .first()
                    .copied()
                    .unwrap_or(0);
                world.memory.refused = Some((content, world.tick));
            }
            State::Landed { delivered, .. } => {
                world.memory.person_refused = false;
                world.memory.refused = None;
                let taken = world.memory.taken & bit(generation) != 0;
                world.promise(Promise::TakenOrUndone, !delivered || taken);
            }
            State::Undone { by: None } => world.memory.undone |= bit(generation),
            _ => {}
        }
    }

    /// What holds between records.
    pub(crate) fn watch_marks(&self, world: &mut World) {
        if let Some(State::Landed {
            undone_by: Some(by),
            ..
        }) = world.record(0).map(|record| &record.state)
        {
            let leads = world.filed.contains_key(&crate::plan::op_of(*by));
            world.promise(Promise::MarksLead, leads);
        }
    }

    /// What a sending may not be.
    pub(crate) fn watch_sending(&self, world: &mut World, message: &crate::world::Message) {
        if let Some(site) = world.sites.get(&message.key) {
            let fits = site.content == message.content;
            world.promise(Promise::OneContentOneKey, fits);
        }
        if message.key.op > 0 && self.plan.undoes_beforehand && world.memory.lies == 0 {
            let other = |op: Op| op > 0 && op != message.key.op;
            let sent = world.messages.iter().any(|travels| other(travels.key.op));
            let landed = world
                .sites
                .iter()
                .any(|(key, site)| other(key.op) && site.effects > 0);
            world.promise(Promise::UndoneOnce, !sent && !landed);
        }
    }

    /// How many effects may stand.
    pub(crate) fn watch_effects(&self, world: &mut World, op: Op, generation: u32) {
        let effects = world.effects(op, generation);
        let allowed = 1 + world.memory.licences + world.memory.lies + world.memory.losses;
        world.promise(Promise::OneEffect, effects <= allowed);
    }
}
