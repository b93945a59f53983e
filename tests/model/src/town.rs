//! The model: what may be done next in a world, and what comes of it.

use semel::{
    guard::{Action, Event, Guard},
    ledger::{
        Asker, Bounded, Command, Decision, Fence, GenerationOf, Kept, Person, Present, Refusal, Reply, Rules,
        ServerErrors, Settlement, Sight, State, apply_under, bound,
    },
    words::{Boot, Effect, Incarnation, Outcome, Stamp, Verdict},
};
use stateright::{Model, Property};
use std::sync::Arc;

use crate::{
    plan::{Advice, Knowledge, Plan, TICK_SECONDS, Wish, store_key},
    promise::Promise,
    watch::Answer,
    world::{Caller, Filed, Key, Memory, Message, Op, Part, Shown, Site, World, bit, done, nonce},
};

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

const MISTAKES: [Mistake; 4] = [Mistake::Renew, Mistake::Hold, Mistake::Look, Mistake::NoteUndo(1)];

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
        let present = before.as_ref().map(|filed| Present { record: &filed.record, written: filed.written });
        let step = apply_under(self.rules, present, command, now)?;
        if let Some((record, keep)) = step.write {
            // Only a record that others may undo is ever written on condition of what was read before.
            let counts = op == 0 && self.plan.wishes.iter().any(|wish| wish.op > 0);
            let version = before.as_ref().map_or(0, |filed| filed.version + u8::from(counts));
            world.filed.insert(op, Filed { record: Arc::new(*record), written: now, keep, version });
        }
        let answer = Answer { op, by, before: before.as_ref(), command, reply: &step.reply, now };
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
            Action::Recover(_) => deeds.extend(plan.advice.iter().map(|advice| Deed::Advise(who, *advice))),
            Action::Run(grant) if sent => {
                let travels = world.messages.iter().any(|message| message.fence == grant.fence);
                if plan.loses || !travels {
                    deeds.push(Deed::TimeOut(who));
                }
                if plan.suspends && travels {
                    deeds.push(Deed::Suspend(who));
                }
            }
            Action::Run(_) => {
                deeds.push(Deed::Step(who));
                if plan.unsent {
                    deeds.push(Deed::Fail(who));
                }
            }
            _ => deeds.push(Deed::Step(who)),
        }
        if plan.renews && matches!(caller.action, Action::Run(_)) {
            deeds.push(Deed::Renew(who));
        }
        let begun =
            caller.nonces > 0 || caller.look > 0 || matches!(caller.action, Action::Probe(_) | Action::Saw { .. });
        if plan.crashes && begun {
            deeds.push(Deed::Crash(who));
        }
    }

    fn message_deeds(&self, world: &World, deeds: &mut Vec<Deed>) {
        for at in 0..world.messages.len() {
            let Some(message) = world.messages.get(at) else { continue };
            let at = number(at);
            deeds.push(Deed::Arrive(at));
            if self.plan.loses && !message.disowned {
                deeds.push(Deed::ArriveUnanswered(at));
            }
            if self.plan.refuses && !message.disowned {
                deeds.extend([Deed::TurnAway(at, true), Deed::TurnAway(at, false)]);
            }
            if world.memory.lies < self.plan.lies && !message.disowned && self.waiting_for(world, message).is_some() {
                deeds.extend([Deed::Lie(at, true), Deed::Lie(at, false)]);
            }
        }
        deeds.extend((0..world.reports.len()).map(|at| Deed::Report(number(at))));
    }

    fn people_deeds(&self, world: &World, deeds: &mut Vec<Deed>) {
        let state = world.record(0).map(|record| &record.state);
        if let Some((_, most)) = self.plan.person {
            match &world.person {
                Some(shown) => deeds.extend((0..shown.decisions.len()).map(|at| Deed::Decide(number(at)))),
                None if world.memory.decisions < most && self.shown(world).is_some() => deeds.push(Deed::Show),
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
            deeds.extend([Deed::Continue(0), Deed::Continue(1)]);
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
            let landed = matches!(filed.record.state, State::Landed { .. } | State::Tombstone { .. });
            if *op > 0 && landed {
                deeds.extend([Deed::WriteUndo(*op), Deed::NoteUndo(*op)]);
            }
            if self.plan.ages && matches!(filed.record.state, State::Landed { .. }) {
                deeds.push(Deed::Age(*op));
            }
            if self.plan.ages && *op > 0 && matches!(filed.keep, semel::ledger::Keep::Seconds(_)) {
                deeds.push(Deed::Vanish(*op));
            }
        }
    }

    fn waiting_for(&self, world: &World, message: &Message) -> Option<usize> {
        world.callers().find_map(|(at, caller)| match &caller.action {
            Action::Run(grant) if grant.fence == message.fence => Some(at),
            _ => None,
        })
    }

    /// What a person is shown, where there is something to decide.
    fn shown(&self, world: &World) -> Option<Shown> {
        let record = world.record(0)?;
        let (knowledge, _) = self.plan.person?;
        let attempt = record.last()?.fence.number;
        let unsure = matches!(record.state, State::Held { .. } | State::InDoubt { .. } | State::Waiting { .. });
        let stands = world.effects(0, record.generation) > 0;
        let usable =
            world.callers().filter_map(|(_, caller)| caller.right).any(|right| !right.sent && world.tick < right.until);
        let moves = world.travels(0, record.generation) || usable;
        let decisions = match knowledge {
            _ if matches!(record.state, State::Refused { .. }) => vec![Decision::Released],
            Knowledge::None if matches!(record.state, State::Landed { .. }) => vec![Decision::Undone],
            _ if !unsure => return None,
            Knowledge::None => vec![attested(None), Decision::Released, Decision::Refused],
            Knowledge::True if stands => vec![attested(Some(self.seen(world, 0)))],
            Knowledge::True if moves => return None,
            Knowledge::True => vec![Decision::Released, Decision::Refused],
        };
        Some(Shown { attempt, decisions })
    }

    fn act(&self, world: &mut World, deed: Deed) {
        match deed {
            Deed::Step(who) => self.perform(world, usize::from(who)),
            Deed::Advise(who, advice) => self.advise(world, usize::from(who), advice),
            Deed::Fail(who) => self.end_run(world, usize::from(who), Outcome::not_sent("connection refused")),
            Deed::TimeOut(who) => self.end_run(world, usize::from(who), Outcome::no_answer("timed out")),
            Deed::Crash(who) => {
                if let Some(part) = world.parts.get_mut(usize::from(who)) {
                    *part = Part::Gone;
                }
            }
            Deed::Renew(who) => self.renew(world, usize::from(who)),
            Deed::Take(who) => self.take(world, usize::from(who)),
            Deed::Deliver(who) => self.deliver(world, usize::from(who)),
            Deed::Suspend(who) => self.suspend(world, usize::from(who)),
            Deed::Continue(who) => self.go_on(world, who),
            Deed::Arrive(at) => self.arrive(world, usize::from(at), true),
            Deed::ArriveUnanswered(at) => self.arrive(world, usize::from(at), false),
            Deed::TurnAway(at, absent) => self.turn_away(world, usize::from(at), absent, false),
            Deed::Lie(at, absent) => self.turn_away(world, usize::from(at), absent, true),
            Deed::Report(at) => self.tell_late(world, usize::from(at)),
            Deed::Show => world.person = self.shown(world),
            Deed::Decide(at) => self.decide(world, usize::from(at)),
            Deed::SweepLook => self.sweep_look(world),
            Deed::SweepSaw(early) => self.sweep_saw(world, early),
            Deed::Mistake(mistake) => self.mistake(world, mistake),
            Deed::Tick => self.tick(world),
            Deed::Reboot => {
                world.boot += 1;
                world.set_back = self.plan.set_back;
            }
            Deed::LoseRecord => {
                world.filed.remove(&0);
                world.memory.losses += 1;
            }
            Deed::WriteUndo(op) => self.write_undo(world, op),
            Deed::NoteUndo(op) => self.note_undo(world, op),
            Deed::Age(op) => {
                let _refused = self.ask(world, op, None, &Command::Age);
            }
            Deed::Vanish(op) => {
                world.filed.remove(&op);
                self.watch_marks(world);
            }
        }
    }

    fn tick(&self, world: &mut World) {
        world.tick += 1;
        // What was sent arrives within the time of an attempt or not at all.
        let (tick, most) = (world.tick, self.plan.attempt_ticks);
        world.messages.retain(|message| message.disowned || tick - message.sent < most);
    }

    fn end_run(&self, world: &mut World, at: usize, outcome: Outcome) {
        if let Some(Part::Live(caller)) = world.parts.get_mut(at)
            && let Some(right) = &mut caller.right
        {
            right.sent = true;
        }
        self.report(world, at, Event::Ran(outcome));
    }

    fn fence_of(world: &World, at: usize) -> Option<Fence> {
        world.callers().find(|(caller, _)| *caller == at)?.1.right.map(|right| right.fence)
    }

    fn op_at(&self, at: usize) -> Op {
        self.wish(at).op
    }

    fn renew(&self, world: &mut World, at: usize) {
        if let Some(fence) = Self::fence_of(world, at) {
            let _refused = self.ask(world, self.op_at(at), Some(at), &Command::Renew { fence });
        }
    }

    fn take(&self, world: &mut World, at: usize) {
        let Some(Part::Answered { generation, attempt }) = world.parts.get(at).cloned() else { return };
        world.memory.taken |= bit(generation);
        if let Some(part) = world.parts.get_mut(at) {
            *part = Part::Took { generation, attempt };
        }
    }

    fn deliver(&self, world: &mut World, at: usize) {
        let Some(Part::Took { generation, attempt }) = world.parts.get(at).cloned() else { return };
        let _dropped = self.ask(world, 0, None, &Command::Deliver { generation, attempt });
        if let Some(part) = world.parts.get_mut(at) {
            *part = Part::Gone;
        }
    }

    fn suspend(&self, world: &mut World, at: usize) {
        let Some(fence) = Self::fence_of(world, at) else { return };
        world.messages.retain(|message| message.fence != fence);
        let command = Command::Suspend { fence, continuation: "task".to_owned(), limit_seconds: TICK_SECONDS };
        let _refused = self.ask(world, 0, Some(at), &command);
        if let Some(part) = world.parts.get_mut(at) {
            *part = Part::Gone;
        }
    }

    fn go_on(&self, world: &mut World, who: u8) {
        let command = Command::Continue { continuation: "task".to_owned(), nonce: nonce(50 + who, world.tick) };
        if let Ok(Reply::Granted(grant)) = self.ask(world, 0, None, &command) {
            let key = Key { op: 0, generation: grant.generation, series: grant.series };
            let content = world.sites.get(&key).map_or(1, |site| site.content);
            let message = Message { key, fence: grant.fence, content, sent: world.tick, disowned: false };
            self.put_on_the_way(world, message);
        }
    }

    fn arrive(&self, world: &mut World, at: usize, answered: bool) {
        let message = world.messages.remove(at);
        let outcome = self.take_effect(world, &message);
        match self.waiting_for(world, &message) {
            Some(caller) if answered && !message.disowned => self.report(world, caller, Event::Ran(outcome)),
            None if answered && self.plan.reports => world.reports.push(message),
            _ => {}
        }
    }

    fn take_effect(&self, world: &mut World, message: &Message) -> Outcome {
        let tick = world.tick;
        let Some(site) = world.sites.get_mut(&message.key) else { return Outcome::failed("absent") };
        let known = site.effects > 0 && self.plan.recognises(tick - site.since);
        if !known {
            site.effects += 1;
            site.since = tick;
        }
        self.watch_effects(world, message.key.op, message.key.generation);
        if message.key.op == 0 {
            return done(message.key.generation, message.content);
        }
        if self.plan.undoes_beforehand {
            world.memory.undone |= bit(1);
            return done(message.key.generation, message.content);
        }
        let newest = world.sites.iter().rev().find(|(key, site)| key.op == 0 && site.effects > 0);
        let newest = newest.map_or(1, |(key, _)| key.generation);
        world.memory.undone |= bit(newest);
        Outcome::Returned(format!("undid {newest}").into())
    }

    fn turn_away(&self, world: &mut World, at: usize, absent: bool, falsely: bool) {
        let Some(message) = world.messages.get(at).copied() else { return };
        if falsely {
            world.memory.lies += 1;
            if let Some(message) = world.messages.get_mut(at) {
                message.disowned = true;
            }
        } else {
            world.messages.remove(at);
            if let Some(site) = world.sites.get_mut(&message.key) {
                site.refused |= !absent;
            }
        }
        if let Some(caller) = self.waiting_for(world, &message) {
            let said = if absent { "absent" } else { "refused" };
            self.report(world, caller, Event::Ran(Outcome::failed(said)));
        }
    }

    /// The host of an attempt tells that it landed after all.
    fn tell_late(&self, world: &mut World, at: usize) {
        let message = world.reports.remove(at);
        let outcome = done(message.key.generation, message.content);
        let wish = Wish { op: message.key.op, content: message.content, digest: message.content };
        let settlement = Settlement {
            fence: message.fence,
            generation: message.key.generation,
            series: message.key.series,
            verdict: landed(&outcome),
            outcome: Kept::Whole(outcome),
            handles: Vec::new(),
            undid: Vec::new(),
            claim: Arc::new(self.plan.claim(wish, message.fence.nonce)),
        };
        let _refused = self.ask(world, message.key.op, None, &Command::Settle(Box::new(settlement)));
    }

    fn decide(&self, world: &mut World, at: usize) {
        let Some(shown) = world.person.take() else { return };
        let Some(decision) = shown.decisions.into_iter().nth(at) else { return };
        world.memory.decisions += 1;
        let person = Person { who: String::new(), why: String::new() };
        let _refused = self.ask(world, 0, None, &Command::Decide { shown: shown.attempt, person, decision });
    }

    fn sweep_look(&self, world: &mut World) {
        let shown = world.record(0).and_then(|record| record.last()).map_or(0, |last| last.fence.number);
        let count = world.memory.sweeps;
        world.memory.sweeps += 1;
        let look = Command::Look { nonce: nonce(200, count), shown, asker: Asker::Operator, looks_max: 0 };
        if self.ask(world, 0, None, &look).is_ok() {
            world.sweep = Some(count);
        }
    }

    fn sweep_saw(&self, world: &mut World, early: bool) {
        let Some(count) = world.sweep.take() else { return };
        let sight = match self.seen(world, 0) {
            Outcome::Returned(value) if !value.is_null() => {
                Sight::Found { outcome: Kept::Whole(Outcome::Returned(value)), handles: Vec::new(), undid: Vec::new() }
            }
            _ if early => Sight::Again { reason: String::new() },
            _ => Sight::NotFound { rerun_after_ms: self.plan.allowance().timed_rerun_ms },
        };
        let _refused = self.ask(world, 0, None, &Command::Saw { nonce: nonce(200, count), sight });
    }

    fn mistake(&self, world: &mut World, mistake: Mistake) {
        let Some(record) = world.record(0) else { return };
        let earlier = record.attempts.iter().rev().nth(1).map(|attempt| attempt.fence);
        let shown = record.last().map_or(0, |last| last.fence.number);
        let (op, command) = match (mistake, earlier) {
            (Mistake::Renew, Some(fence)) => (0, Command::Renew { fence }),
            (Mistake::Hold, Some(fence)) => (0, Command::Hold { fence, outcome: None, reason: String::new() }),
            (Mistake::Look, _) => {
                let looks_max = u32::MAX;
                (0, Command::Look { nonce: nonce(90, 0), shown, asker: Asker::Caller, looks_max })
            }
            (Mistake::NoteUndo(op), _) => {
                let landed = world.record(op).is_none_or(|record| matches!(record.state, State::Landed { .. }));
                if landed {
                    return;
                }
                (op, Command::UndoWritten { of: GenerationOf { key: store_key(0), generation: 1 } })
            }
            _ => return,
        };
        world.memory.mistakes += 1;
        let _refused = self.ask(world, op, None, &command);
    }

    /// Whoever sees that an operation landed which undoes this one writes it there.
    pub(crate) fn write_undo(&self, world: &mut World, by: Op) {
        let (generation, told_by_outcome) = match world.memory.told_undone {
            Some((op, generation)) if op == by => (generation, true),
            _ => (1, false),
        };
        let _refused = self.ask(world, 0, None, &Command::Undo { by: store_key(by), generation, told_by_outcome });
    }

    fn note_undo(&self, world: &mut World, by: Op) {
        let generation = world.memory.told_undone.map_or(1, |(_, generation)| generation);
        let open = world
            .record(0)
            .is_some_and(|record| record.generation == generation && matches!(record.state, State::Landed { .. }));
        if !open {
            let of = GenerationOf { key: store_key(0), generation };
            let _refused = self.ask(world, by, None, &Command::UndoWritten { of });
        }
    }

    /// Where operations undo another, that one landed before the story begins.
    fn begin(&self, world: &mut World) {
        let wish = Wish { op: 0, content: 1, digest: 1 };
        let claim = self.plan.claim(wish, nonce(99, 0));
        let Ok(Reply::Granted(grant)) = self.ask(world, 0, None, &Command::Claim(Arc::new(claim))) else { return };
        let key = Key { op: 0, generation: 1, series: 1 };
        world.sites.insert(key, Site { effects: 1, content: 1, ..Site::default() });
        let message = Message { key, fence: grant.fence, content: 1, sent: 0, disowned: false };
        world.reports.push(message);
        self.tell_late(world, 0);
    }
}

fn attested(outcome: Option<Outcome>) -> Decision {
    Decision::Landed { outcome: outcome.map(Kept::Whole), handles: Vec::new() }
}

fn landed(outcome: &Outcome) -> Bounded {
    bound(outcome, &Verdict::new(Effect::Landed, ""), ServerErrors::ProveNothing)
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
