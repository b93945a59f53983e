//! The model: what may be done next in a world.

mod acting;

use crate::{
    plan::{Advice, Knowledge, Plan, TICK_SECONDS, Wish},
    promise::Promise,
    watch::Answer,
    world::{Caller, Filed, Memory, Message, Op, Part, Shown, World},
};
use semel_core::{
    guard::{CallerAction, DriverAction, Guard, GuardAction},
    ledger::{
        Command, Decision, KeptOutcome, PresentRecord, Refusal, Reply, Rules, State, apply_under,
    },
    model::{Boot, Incarnation, Outcome, Stamp},
};
use stateright::{Model, Property};
use std::sync::Arc;

/// A plan, under these rules.
#[derive(Debug, Clone)]
pub struct Town {
    pub(crate) plan: Plan,
    pub(crate) rules: Rules,
}

/// What is done next. Numbers say which call, message, report or operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A call does what its guard asks for.
    Step(u8),
    /// A policy says what to do about doubt.
    Advise(u8, Advice),
    /// It is proven that nothing was sent.
    Fail(u8),
    /// No answer comes.
    TimeOut(u8),
    /// A call is killed.
    Crash(u8),
    /// A host renews its lease.
    Renew(u8),
    /// A program takes its outcome.
    Take(u8),
    /// The mark that it did is written.
    Deliver(u8),
    /// The tool accepts, and goes on elsewhere.
    Suspend(u8),
    /// Somebody presents the continuation, and sends it.
    Continue(u8),
    /// Somebody presents the continuation, and goes away before anything is sent.
    LetGo(u8),
    /// A request arrives and takes effect, and is answered.
    Arrive(u8),
    /// A request arrives and takes effect, and the answer is lost.
    ArriveUnanswered(u8),
    /// A request is turned away; certainly absent, or refused.
    TurnAway(u8, bool),
    /// A request is said to be turned away, and is not; certainly absent, or refused.
    Lie(u8, bool),
    /// A host tells what it learned late.
    Report(u8),
    /// A person is shown what stands.
    Show,
    /// A person decides.
    Decide(u8),
    /// The sweep begins a look.
    SweepLook,
    /// The sweep says what it saw; true: that it is too early.
    SweepSaw(bool),
    /// A host does what is not its to do.
    Mistake(Mistake),
    /// Time passes.
    Tick,
    /// The store's machine is started anew.
    Reboot,
    /// The ledger loses the record.
    LoseRecord,
    /// That an operation was undone is written in its record.
    WriteUndo(Op),
    /// That it was is written in the record of the operation that undid it.
    NoteUndo(Op),
    /// An operation's outcome is no longer kept.
    Age(Op),
    /// An operation is past its end.
    Vanish(Op),
}

/// What a host does that is not its to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// It renews another's lease.
    Renew,
    /// It holds another's attempt.
    Hold,
    /// It looks at what is held.
    Look,
    /// It says that an undo is written where nothing landed.
    NoteUndo(Op),
}

const MISTAKES: [Mistake; 4] = [
    Mistake::Renew,
    Mistake::Hold,
    Mistake::Look,
    Mistake::NoteUndo(1),
];

fn number(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX)
}

impl Town {
    /// What the store's clocks say.
    fn stamp(&self, world: &World) -> Stamp {
        let ms = u64::from(world.tick) * u64::from(TICK_SECONDS) * 1_000;
        let back = if world.set_back { 500_000_000 } else { 0 };
        Stamp {
            wall_ms: 1_000_000_000 + ms - back,
            steady_ms: ms,
            boot: Boot(u64::from(world.boot)),
            incarnation: Incarnation(u64::from(world.memory.losses)),
        }
    }

    /// Asks the ledger, and writes what it says: one conditional write on one record.
    pub(crate) fn ask(
        &self,
        world: &mut World,
        op: Op,
        by: Option<usize>,
        command: &Command,
    ) -> Result<Reply, Refusal> {
        let before = world.filed.get(&op).cloned();
        let now = self.stamp(world);
        let present = before.as_ref().map(|filed| PresentRecord {
            record: &filed.record,
            written: filed.written,
        });
        let step = apply_under(self.rules, present, command, now)?;
        if let Some((record, keep)) = step.write {
            // Only a record that others may undo is ever written on condition of what was read before.
            let counts = op == 0 && self.plan.wishes.iter().any(|wish| wish.op > 0);
            let version = before
                .as_ref()
                .map_or(0, |filed| filed.version + u8::from(counts));
            world.filed.insert(
                op,
                Filed {
                    record: Arc::new(*record),
                    written: now,
                    keep,
                    version,
                },
            );
        }
        let answer = Answer {
            op,
            by,
            before: before.as_ref(),
            command,
            reply: &step.reply,
            now,
        };
        self.watch(world, &answer);
        self.watch_marks(world);
        Ok(step.reply)
    }

    fn part_deeds(&self, world: &World, at: usize, deeds: &mut Vec<Deed>) {
        let who = number(at);
        match world.parts.get(at) {
            Some(Part::Live(caller)) => self.caller_deeds(world, who, caller, deeds),
            Some(Part::Answered { .. }) => deeds.push(Deed::Take(who)),
            Some(Part::Took { .. }) => deeds.push(Deed::Deliver(who)),
            Some(Part::Gone) | None => {}
        }
    }

    fn caller_deeds(&self, world: &World, who: u8, caller: &Caller, deeds: &mut Vec<Deed>) {
        let plan = &self.plan;
        let sent = caller.right.is_some_and(|right| right.sent);
        match &caller.action {
            GuardAction::Driver(DriverAction::Recover) => {
                deeds.extend(plan.advice.iter().map(|advice| Deed::Advise(who, *advice)))
            }
            GuardAction::Caller(CallerAction::RunTool(grant)) if sent => {
                let travels = world
                    .messages
                    .iter()
                    .any(|message| message.fence == grant.fence);
                if plan.loses || !travels {
                    deeds.push(Deed::TimeOut(who));
                }
                if plan.suspends && travels {
                    deeds.push(Deed::Suspend(who));
                }
            }
            GuardAction::Caller(CallerAction::RunTool(_)) => {
                deeds.push(Deed::Step(who));
                if plan.unsent {
                    deeds.push(Deed::Fail(who));
                }
            }
            _ => deeds.push(Deed::Step(who)),
        }
        if plan.renews && matches!(caller.action, GuardAction::Caller(CallerAction::RunTool(_))) {
            deeds.push(Deed::Renew(who));
        }
        let begun = caller.nonces > 0
            || caller.look > 0
            || matches!(
                caller.action,
                GuardAction::Driver(DriverAction::Probe(_) | DriverAction::ReportProbe(_))
            );
        if plan.crashes && begun {
            deeds.push(Deed::Crash(who));
        }
    }

    fn message_deeds(&self, world: &World, deeds: &mut Vec<Deed>) {
        for at in 0..world.messages.len() {
            let Some(message) = world.messages.get(at) else {
                continue;
            };
            let at = number(at);
            deeds.push(Deed::Arrive(at));
            if self.plan.loses && !message.disowned {
                deeds.push(Deed::ArriveUnanswered(at));
            }
            if self.plan.refuses && !message.disowned {
                deeds.extend([Deed::TurnAway(at, true), Deed::TurnAway(at, false)]);
            }
            if world.memory.lies < self.plan.lies
                && !message.disowned
                && self.waiting_for(world, message).is_some()
            {
                deeds.extend([Deed::Lie(at, true), Deed::Lie(at, false)]);
            }
        }
        deeds.extend((0..world.reports.len()).map(|at| Deed::Report(number(at))));
    }

    fn people_deeds(&self, world: &World, deeds: &mut Vec<Deed>) {
        let state = world.record(0).map(|record| &record.state);
        if let Some((_, most)) = self.plan.person {
            match &world.person {
                Some(shown) => {
                    deeds.extend((0..shown.decisions.len()).map(|at| Deed::Decide(number(at))))
                }
                None if world.memory.decisions < most && self.shown(world).is_some() => {
                    deeds.push(Deed::Show)
                }
                None => {}
            }
        }
        let unsure = matches!(state, Some(State::Held { .. } | State::InDoubt { .. }));
        match world.sweep {
            None if world.memory.sweeps < self.plan.sweeps && unsure => deeds.push(Deed::SweepLook),
            Some(_) => deeds.extend([Deed::SweepSaw(true), Deed::SweepSaw(false)]),
            None => {}
        }
        if world.memory.mistakes < self.plan.mistakes {
            deeds.extend(MISTAKES.map(Deed::Mistake));
        }
        if self.plan.suspends && matches!(state, Some(State::Waiting { .. })) {
            match self.plan.rounds {
                true => deeds.push(Deed::LetGo(0)),
                false => deeds.extend([Deed::Continue(0), Deed::Continue(1)]),
            }
        }
    }

    fn world_deeds(&self, world: &World, deeds: &mut Vec<Deed>) {
        if world.tick < self.plan.ticks {
            deeds.push(Deed::Tick);
        }
        if world.boot < self.plan.reboots {
            deeds.push(Deed::Reboot);
        }
        if world.memory.losses < self.plan.losses && world.filed.contains_key(&0) {
            deeds.push(Deed::LoseRecord);
        }
        for (op, filed) in &world.filed {
            let landed = matches!(
                filed.record.state,
                State::Landed { .. } | State::Tombstone { .. }
            );
            if *op > 0 && landed {
                deeds.extend([Deed::WriteUndo(*op), Deed::NoteUndo(*op)]);
            }
            if self.plan.ages && matches!(filed.record.state, State::Landed { .. }) {
                deeds.push(Deed::Age(*op));
            }
            if self.plan.ages
                && *op > 0
                && matches!(filed.keep, semel_core::ledger::Retention::Seconds(_))
            {
                deeds.push(Deed::Vanish(*op));
            }
        }
    }

    fn waiting_for(&self, world: &World, message: &Message) -> Option<usize> {
        world
            .callers()
            .find_map(|(at, caller)| match &caller.action {
                GuardAction::Caller(CallerAction::RunTool(grant))
                    if grant.fence == message.fence =>
                {
                    Some(at)
                }
                _ => None,
            })
    }

    /// What a person is shown, where there is something to decide.
    fn shown(&self, world: &World) -> Option<Shown> {
        let record = world.record(0)?;
        let (knowledge, _) = self.plan.person?;
        let attempt = record.last_attempt()?.fence.number;
        let unsure = matches!(
            record.state,
            State::Held { .. } | State::InDoubt { .. } | State::Waiting { .. }
        );
        let stands = world.effects(0, record.generation) > 0;
        let usable = world
            .callers()
            .filter_map(|(_, caller)| caller.right)
            .any(|right| !right.sent && world.tick < right.until);
        let moves = world.travels(0, record.generation) || usable;
        let decisions = match knowledge {
            _ if matches!(record.state, State::Refused { .. }) => vec![Decision::Released],
            Knowledge::None if matches!(record.state, State::Landed { .. }) => {
                vec![Decision::Undone]
            }
            _ if !unsure => return None,
            Knowledge::None => vec![attested(None), Decision::Released, Decision::Refused],
            Knowledge::True if stands => vec![attested(Some(self.seen(world, 0)))],
            Knowledge::True if moves => return None,
            Knowledge::True => vec![Decision::Released, Decision::Refused],
        };
        Some(Shown { attempt, decisions })
    }
}

fn attested(outcome: Option<Outcome>) -> Decision {
    Decision::Landed {
        outcome: outcome.map(KeptOutcome::Whole),
        handles: Vec::new(),
    }
}

impl Model for Town {
    type State = World;
    type Action = Deed;

    fn init_states(&self) -> Vec<World> {
        let live = |_: &Wish| {
            let (guard, action) = Guard::start(self.plan.allowance());
            Part::Live(Box::new(Caller {
                guard,
                action,
                right: None,
                nonces: 0,
                look: 0,
                first_read: None,
                void: None,
            }))
        };
        let mut world = World {
            tick: 0,
            boot: 0,
            set_back: false,
            filed: std::collections::BTreeMap::new(),
            parts: self.plan.wishes.iter().map(live).collect(),
            messages: Vec::new(),
            reports: Vec::new(),
            sites: std::collections::BTreeMap::new(),
            person: None,
            sweep: None,
            memory: Memory::default(),
            broken: None,
        };
        if self.plan.wishes.iter().any(|wish| wish.op > 0) {
            self.begin(&mut world);
        }
        vec![world]
    }

    fn actions(&self, world: &World, deeds: &mut Vec<Deed>) {
        if world.broken.is_some() {
            return;
        }
        for at in 0..world.parts.len() {
            self.part_deeds(world, at, deeds);
        }
        self.message_deeds(world, deeds);
        self.people_deeds(world, deeds);
        self.world_deeds(world, deeds);
    }

    fn next_state(&self, last: &World, deed: Deed) -> Option<World> {
        let mut world = last.clone();
        self.act(&mut world, deed);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Promise::properties()
    }
}
