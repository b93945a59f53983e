//! What comes of a deed: the world after it.

use super::{Deed, Mistake, Town};
use crate::{
    plan::{TICK_SECONDS, Wish, store_key},
    world::{Key, Message, Op, Part, Site, World, bit, done, nonce},
};
use semel_core::{
    guard::GuardEvent,
    ledger::{
        BoundedVerdict, Command, Fence, KeptOutcome, OperationGeneration, Person, ProbeReport,
        ProbeRequester, Reply, ServerErrorRule, Settlement, State, bound,
    },
    model::{Effect, Outcome, Verdict},
};
use std::sync::Arc;

impl Town {
    pub(super) fn act(&self, world: &mut World, deed: Deed) {
        match deed {
            Deed::Step(who) => self.perform(world, usize::from(who)),
            Deed::Advise(who, advice) => self.advise(world, usize::from(who), advice),
            Deed::Fail(who) => self.end_run(
                world,
                usize::from(who),
                Outcome::not_sent("connection refused"),
            ),
            Deed::TimeOut(who) => {
                self.end_run(world, usize::from(who), Outcome::no_answer("timed out"))
            }
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
            Deed::LetGo(who) => self.let_go(world, who),
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
        world
            .messages
            .retain(|message| message.disowned || tick - message.sent < most);
    }

    fn end_run(&self, world: &mut World, at: usize, outcome: Outcome) {
        if let Some(Part::Live(caller)) = world.parts.get_mut(at)
            && let Some(right) = &mut caller.right
        {
            right.sent = true;
        }
        self.report(world, at, GuardEvent::Ran(outcome));
    }

    fn fence_of(world: &World, at: usize) -> Option<Fence> {
        world
            .callers()
            .find(|(caller, _)| *caller == at)?
            .1
            .right
            .map(|right| right.fence)
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
        let Some(Part::Answered {
            generation,
            attempt,
        }) = world.parts.get(at).cloned()
        else {
            return;
        };
        world.memory.taken |= bit(generation);
        if let Some(part) = world.parts.get_mut(at) {
            *part = Part::Took {
                generation,
                attempt,
            };
        }
    }

    fn deliver(&self, world: &mut World, at: usize) {
        let Some(Part::Took {
            generation,
            attempt,
        }) = world.parts.get(at).cloned()
        else {
            return;
        };
        let _dropped = self.ask(
            world,
            0,
            None,
            &Command::Deliver {
                generation,
                attempt,
            },
        );
        if let Some(part) = world.parts.get_mut(at) {
            *part = Part::Gone;
        }
    }

    fn suspend(&self, world: &mut World, at: usize) {
        let Some(fence) = Self::fence_of(world, at) else {
            return;
        };
        let accepted = world
            .messages
            .iter()
            .position(|message| message.fence == fence);
        if let Some(accepted) = accepted.map(|at| world.messages.remove(at))
            && self.plan.rounds
        {
            self.take_effect(world, &accepted);
        }
        let command = Command::Suspend {
            fence,
            continuation: "task".to_owned(),
            limit_seconds: TICK_SECONDS,
        };
        let _refused = self.ask(world, 0, Some(at), &command);
        if let Some(part) = world.parts.get_mut(at) {
            *part = Part::Gone;
        }
    }

    fn go_on(&self, world: &mut World, who: u8) {
        let command = Command::Continue {
            continuation: "task".to_owned(),
            nonce: nonce(50 + who, world.tick),
        };
        if let Ok(Reply::Granted(grant)) = self.ask(world, 0, None, &command) {
            let key = Key {
                op: 0,
                generation: grant.generation,
                series: grant.series,
            };
            let content = world.sites.get(&key).map_or(1, |site| site.content);
            let message = Message {
                key,
                fence: grant.fence,
                content,
                sent: world.tick,
                disowned: false,
            };
            self.put_on_the_way(world, message);
        }
    }

    /// The right is dropped unused, and says so.
    fn let_go(&self, world: &mut World, who: u8) {
        let nonce = nonce(50 + who, world.tick);
        let command = Command::Continue {
            continuation: "task".to_owned(),
            nonce,
        };
        let Ok(Reply::Granted(grant)) = self.ask(world, 0, None, &command) else {
            return;
        };
        let unsent = Outcome::not_sent("");
        let settlement = Settlement {
            fence: grant.fence,
            generation: grant.generation,
            series: grant.series,
            verdict: bound(
                &unsent,
                &Verdict::new(Effect::Absent, ""),
                ServerErrorRule::ProveNothing,
            ),
            outcome: KeptOutcome::Whole(unsent),
            handles: Vec::new(),
            undid: Vec::new(),
            claim: Arc::new(self.plan.claim(
                Wish {
                    op: 0,
                    content: 1,
                    digest: 1,
                },
                nonce,
            )),
        };
        let _refused = self.ask(world, 0, None, &Command::Settle(Box::new(settlement)));
    }

    fn arrive(&self, world: &mut World, at: usize, answered: bool) {
        let message = world.messages.remove(at);
        let outcome = self.take_effect(world, &message);
        match self.waiting_for(world, &message) {
            Some(caller) if answered && !message.disowned => {
                self.report(world, caller, GuardEvent::Ran(outcome))
            }
            None if answered && self.plan.reports => world.reports.push(message),
            _ => {}
        }
    }

    fn take_effect(&self, world: &mut World, message: &Message) -> Outcome {
        let tick = world.tick;
        let Some(site) = world.sites.get_mut(&message.key) else {
            return Outcome::failed("absent");
        };
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
        let newest = world
            .sites
            .iter()
            .rev()
            .find(|(key, site)| key.op == 0 && site.effects > 0);
        let newest = newest.map_or(1, |(key, _)| key.generation);
        world.memory.undone |= bit(newest);
        Outcome::Returned(format!("undid {newest}").into())
    }

    fn turn_away(&self, world: &mut World, at: usize, absent: bool, falsely: bool) {
        let Some(message) = world.messages.get(at).copied() else {
            return;
        };
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
            self.report(world, caller, GuardEvent::Ran(Outcome::failed(said)));
        }
    }

    /// The host of an attempt tells that it landed after all.
    fn tell_late(&self, world: &mut World, at: usize) {
        let message = world.reports.remove(at);
        let outcome = done(message.key.generation, message.content);
        let wish = Wish {
            op: message.key.op,
            content: message.content,
            digest: message.content,
        };
        let settlement = Settlement {
            fence: message.fence,
            generation: message.key.generation,
            series: message.key.series,
            verdict: landed(&outcome),
            outcome: KeptOutcome::Whole(outcome),
            handles: Vec::new(),
            undid: Vec::new(),
            claim: Arc::new(self.plan.claim(wish, message.fence.nonce)),
        };
        let _refused = self.ask(
            world,
            message.key.op,
            None,
            &Command::Settle(Box::new(settlement)),
        );
    }

    fn decide(&self, world: &mut World, at: usize) {
        let Some(shown) = world.person.take() else {
            return;
        };
        let Some(decision) = shown.decisions.into_iter().nth(at) else {
            return;
        };
        world.memory.decisions += 1;
        let person = Person {
            who: String::new(),
            why: String::new(),
        };
        let _refused = self.ask(
            world,
            0,
            None,
            &Command::Decide {
                shown: shown.attempt,
                person,
                decision,
            },
        );
    }

    fn sweep_look(&self, world: &mut World) {
        let shown = world
            .record(0)
            .and_then(|record| record.last_attempt())
            .map_or(0, |last| last.fence.number);
        let count = world.memory.sweeps;
        world.memory.sweeps += 1;
        let look = Command::Look {
            nonce: nonce(200, count),
            shown,
            asker: ProbeRequester::Operator,
            looks_max: 0,
        };
        if self.ask(world, 0, None, &look).is_ok() {
            world.sweep = Some(count);
        }
    }

    fn sweep_saw(&self, world: &mut World, early: bool) {
        let Some(count) = world.sweep.take() else {
            return;
        };
        let sight = match self.seen(world, 0) {
            Outcome::Returned(value) if !value.is_null() => ProbeReport::Found {
                outcome: KeptOutcome::Whole(Outcome::Returned(value)),
                handles: Vec::new(),
                undid: Vec::new(),
            },
            _ if early => ProbeReport::Again {
                reason: String::new(),
            },
            _ => ProbeReport::NotFound {
                rerun_after_ms: self.plan.allowance().timed_rerun_ms,
            },
        };
        let _refused = self.ask(
            world,
            0,
            None,
            &Command::Saw {
                nonce: nonce(200, count),
                sight,
            },
        );
    }

    fn mistake(&self, world: &mut World, mistake: Mistake) {
        let Some(record) = world.record(0) else {
            return;
        };
        let earlier = record
            .attempts
            .iter()
            .rev()
            .nth(1)
            .map(|attempt| attempt.fence);
        let shown = record.last_attempt().map_or(0, |last| last.fence.number);
        let (op, command) = match (mistake, earlier) {
            (Mistake::Renew, Some(fence)) => (0, Command::Renew { fence }),
            (Mistake::Hold, Some(fence)) => (
                0,
                Command::Hold {
                    fence,
                    outcome: None,
                    reason: String::new(),
                },
            ),
            (Mistake::Look, _) => {
                let looks_max = u32::MAX;
                (
                    0,
                    Command::Look {
                        nonce: nonce(90, 0),
                        shown,
                        asker: ProbeRequester::Caller,
                        looks_max,
                    },
                )
            }
            (Mistake::NoteUndo(op), _) => {
                let landed = world
                    .record(op)
                    .is_none_or(|record| matches!(record.state, State::Landed { .. }));
                if landed {
                    return;
                }
                (
                    op,
                    Command::UndoWritten {
                        of: OperationGeneration {
                            key: store_key(0),
                            generation: 1,
                        },
                    },
                )
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
        let _refused = self.ask(
            world,
            0,
            None,
            &Command::Undo {
                by: store_key(by),
                generation,
                told_by_outcome,
            },
        );
    }

    fn note_undo(&self, world: &mut World, by: Op) {
        let generation = world
            .memory
            .told_undone
            .map_or(1, |(_, generation)| generation);
        let open = world.record(0).is_some_and(|record| {
            record.generation == generation && matches!(record.state, State::Landed { .. })
        });
        if !open {
            let of = OperationGeneration {
                key: store_key(0),
                generation,
            };
            let _refused = self.ask(world, by, None, &Command::UndoWritten { of });
        }
    }

    /// Where operations undo another, that one landed before the story begins.
    pub(super) fn begin(&self, world: &mut World) {
        let wish = Wish {
            op: 0,
            content: 1,
            digest: 1,
        };
        let claim = self.plan.claim(wish, nonce(99, 0));
        let Ok(Reply::Granted(grant)) = self.ask(world, 0, None, &Command::Claim(Arc::new(claim)))
        else {
            return;
        };
        let key = Key {
            op: 0,
            generation: 1,
            series: 1,
        };
        world.sites.insert(
            key,
            Site {
                effects: 1,
                content: 1,
                ..Site::default()
            },
        );
        let message = Message {
            key,
            fence: grant.fence,
            content: 1,
            sent: 0,
            disowned: false,
        };
        world.reports.push(message);
        self.tell_late(world, 0);
    }
}

fn landed(outcome: &Outcome) -> BoundedVerdict {
    bound(
        outcome,
        &Verdict::new(Effect::Landed, ""),
        ServerErrorRule::ProveNothing,
    )
}
