//! A call on its way: the real guard, driven by hand against the real ledger.

use semel_core::{
    guard::{
        CallEnd, CallerAction, DriverAction, GuardAction, GuardEvent, GuardLedgerError,
        MarkingError, ProbeOutcome, RecordReading,
    },
    ledger::{
        ClaimReply, Command, Grant, KeptOutcome, OperationGeneration, ProbeReport, ProbeRequester,
        Refusal, Reply, Rule, Settlement, State,
    },
    model::{CallDigest, Effect, Nonce, Outcome, Probe, ProbeVerdict, Recovery, Verdict},
};

use crate::{
    plan::{Advice, TICK_SECONDS, Wish, op_of, store_key},
    promise::Promise,
    town::Town,
    world::{Caller, Key, Message, Op, Part, Right, Site, World, nonce},
};
use std::sync::Arc;

/// What an honest policy says of an outcome.
fn judge(outcome: &Outcome) -> Verdict {
    let effect = match outcome {
        Outcome::Returned(_) => Effect::Landed,
        Outcome::Failed(failure) if failure.message == "absent" => Effect::Absent,
        Outcome::Failed(_) => Effect::Refused,
        Outcome::Unanswered(_) => Effect::Unknown,
    };
    let undid = match outcome {
        Outcome::Returned(value) => value
            .as_str()
            .and_then(|text| text.strip_prefix("undid "))
            .map(str::to_owned),
        _ => None,
    };
    Verdict {
        undid: undid.into_iter().collect(),
        ..Verdict::new(effect, "")
    }
}

fn weigh(answer: &Outcome) -> ProbeVerdict {
    match answer {
        Outcome::Returned(value) if !value.is_null() => ProbeVerdict::Landed(value.clone()),
        _ => ProbeVerdict::Absent,
    }
}

impl Town {
    pub(crate) fn wish(&self, at: usize) -> Wish {
        self.plan.wishes.get(at).copied().unwrap_or(Wish {
            op: 0,
            content: 1,
            digest: 1,
        })
    }

    fn caller<'a>(&self, world: &'a mut World, at: usize) -> Option<&'a mut Caller> {
        match world.parts.get_mut(at) {
            Some(Part::Live(caller)) => Some(caller),
            _ => None,
        }
    }

    /// Reports an event to the guard, and goes on to the next thing that others may come before.
    pub(crate) fn report(&self, world: &mut World, at: usize, event: GuardEvent) {
        let mut event = event;
        loop {
            let Some(caller) = self.caller(world, at) else {
                return;
            };
            let action = caller.guard.step(event, 0);
            event = match action {
                GuardAction::Driver(DriverAction::Judge { outcome }) => {
                    GuardEvent::Judged(Ok(judge(&outcome)))
                }
                GuardAction::Driver(DriverAction::Weigh { answer, .. }) => {
                    GuardEvent::Weighed(Ok(weigh(&answer)))
                }
                GuardAction::Driver(DriverAction::Recover) if self.plan.advice.len() == 1 => {
                    let advice = self.plan.advice.first().copied().unwrap_or(Advice::Hold);
                    GuardEvent::Recovered(Ok(recovery(advice)))
                }
                GuardAction::Caller(CallerAction::Finish(end)) => {
                    return self.finish(world, at, &end);
                }
                action => {
                    caller.action = action;
                    return;
                }
            };
        }
    }

    fn finish(&self, world: &mut World, at: usize, end: &CallEnd) {
        let landed = match end {
            CallEnd::Executed {
                recorded: Ok(reading),
                ..
            }
            | CallEnd::Recorded(reading) => {
                matches!(reading.reply, Reply::Told(ClaimReply::Landed))
            }
            _ => false,
        };
        let op = self.wish(at).op;
        let took = world.record(op).filter(|_| {
            landed && op == 0 && self.plan.until == semel_core::model::OperationLifetime::Delivery
        });
        let part = took.map_or(Part::Gone, |record| Part::Answered {
            generation: record.generation,
            attempt: record.landed_attempt(),
        });
        if let Some(slot) = world.parts.get_mut(at) {
            *slot = part;
        }
    }

    /// Asks the ledger on behalf of a call, and reads what stands then.
    fn ask_for(
        &self,
        world: &mut World,
        at: usize,
        command: &Command,
    ) -> Result<RecordReading, GuardLedgerError> {
        let op = self.wish(at).op;
        let reply = self
            .ask(world, op, Some(at), command)
            .map_err(GuardLedgerError::Refused)?;
        let Some(record) = world.record(op) else {
            return Err(GuardLedgerError::Away("gone".to_owned()));
        };
        let delivered = matches!(
            record.state,
            State::Landed {
                delivered: true,
                ..
            } | State::Tombstone {
                delivered: true,
                ..
            }
        );
        let last = record.last_attempt().map(|last| last.fence);
        let generation = record.generation;
        let tick = world.tick;
        if let Some(caller) = self.caller(world, at) {
            if !delivered {
                caller.first_read.get_or_insert(generation);
            }
            if let Reply::Granted(grant) = &reply {
                caller.right = Some(right(op, grant, tick));
                caller.nonces += 1;
                caller.void = None;
            }
        }
        // The version is the driver's business, and would only tell apart what is the same.
        Ok(RecordReading {
            reply,
            key: store_key(op),
            version: Nonce::from_bytes([0; 16]),
            generation,
            delivered,
            last,
        })
    }

    /// Does what the guard asks for.
    pub(crate) fn perform(&self, world: &mut World, at: usize) {
        let Some(caller) = self.caller(world, at) else {
            return;
        };
        let fresh = nonce(u8::try_from(at).unwrap_or(0), caller.nonces);
        let look = nonce(100 + u8::try_from(at).unwrap_or(0), caller.look);
        let action = match caller.action.clone() {
            GuardAction::Driver(action) => action,
            GuardAction::Caller(CallerAction::RunTool(grant)) => {
                return self.send(world, at, &grant);
            }
            GuardAction::Caller(CallerAction::RunWithoutLedger | CallerAction::Finish(_)) => return,
        };
        match action {
            DriverAction::Claim { read_undelivered } => {
                self.claim(world, at, fresh, read_undelivered)
            }
            DriverAction::Resume { continuation } => {
                let claimed = self.ask_for(
                    world,
                    at,
                    &Command::Continue {
                        continuation,
                        nonce: fresh,
                    },
                );
                self.report(world, at, GuardEvent::Claimed(claimed));
            }
            DriverAction::Suspend {
                fence,
                continuation,
                limit_seconds,
            } => {
                let command = Command::Suspend {
                    fence,
                    continuation,
                    limit_seconds,
                };
                let written = self.ask_for(world, at, &command);
                self.report(world, at, GuardEvent::Written(written));
            }
            DriverAction::Mark(grant) => self.mark(world, at, &grant),
            DriverAction::Settle {
                grant,
                outcome,
                verdict,
                undid,
                ..
            } => {
                let settlement = Settlement {
                    fence: grant.fence,
                    generation: grant.generation,
                    series: grant.series,
                    outcome: KeptOutcome::Whole(outcome),
                    verdict,
                    handles: Vec::new(),
                    undid: undid
                        .iter()
                        .filter_map(|name| generation_named(name))
                        .collect(),
                    claim: Arc::new(self.plan.claim(self.wish(at), grant.fence.nonce)),
                };
                self.settle(world, at, settlement);
            }
            DriverAction::Hold {
                fence,
                outcome,
                reason,
            } => {
                let command = Command::Hold {
                    fence,
                    outcome: outcome.map(KeptOutcome::Whole),
                    reason,
                };
                let written = self.ask_for(world, at, &command);
                self.report(world, at, GuardEvent::Written(written));
            }
            DriverAction::Wait { .. } | DriverAction::Sleep { .. } => {
                self.report(world, at, GuardEvent::Woken)
            }
            DriverAction::RequestRetry { shown } => {
                let command = Command::Resolve {
                    nonce: fresh,
                    shown,
                    call_digest: CallDigest::from_bytes([self.wish(at).digest; 32]),
                    retries_max: self.plan.allowance().retries,
                    facts: Vec::new(),
                };
                let claimed = self.ask_for(world, at, &command);
                self.report(world, at, GuardEvent::Claimed(claimed));
            }
            DriverAction::RequestProbe { shown } => {
                let looks_max = self.plan.allowance().looks;
                let claimed = self.ask_for(
                    world,
                    at,
                    &Command::Look {
                        nonce: look,
                        shown,
                        asker: ProbeRequester::Caller,
                        looks_max,
                    },
                );
                self.report(world, at, GuardEvent::Claimed(claimed));
            }
            DriverAction::Probe(_) => {
                let seen = self.seen(world, self.wish(at).op);
                self.report(world, at, GuardEvent::Ran(seen));
            }
            DriverAction::ReportProbe(outcome) => self.saw(world, at, look, outcome),
            DriverAction::Judge { .. } | DriverAction::Weigh { .. } | DriverAction::Recover => {}
        }
    }

    fn settle(&self, world: &mut World, at: usize, settlement: Settlement) {
        if let Some(undone) = settlement.undid.first() {
            world.memory.told_undone = Some((self.wish(at).op, undone.generation));
        }
        let written = self.ask_for(world, at, &Command::Settle(Box::new(settlement)));
        self.report(world, at, GuardEvent::Written(written));
    }

    fn saw(&self, world: &mut World, at: usize, look: Nonce, seen: ProbeOutcome) {
        let sight = match seen {
            ProbeOutcome::Found { outcome, .. } => ProbeReport::Found {
                outcome: KeptOutcome::Whole(outcome),
                handles: Vec::new(),
                undid: Vec::new(),
            },
            ProbeOutcome::Otherwise(sight) => sight,
        };
        let written = self.ask_for(world, at, &Command::Saw { nonce: look, sight });
        if let Some(caller) = self.caller(world, at) {
            caller.look += 1;
        }
        self.report(world, at, GuardEvent::Written(written));
    }

    /// The policy says what to do about what is in doubt.
    pub(crate) fn advise(&self, world: &mut World, at: usize, advice: Advice) {
        self.report(world, at, GuardEvent::Recovered(Ok(recovery(advice))));
    }

    fn claim(&self, world: &mut World, at: usize, fresh: Nonce, read_undelivered: Option<u32>) {
        let wish = self.wish(at);
        let void_mark = self.void_mark(world, at);
        let claim = semel_core::ledger::Claim {
            read_undelivered,
            void_mark: void_mark.map(store_key),
            ..self.plan.claim(wish, fresh)
        };
        let claimed = self.ask_for(world, at, &Command::Claim(Arc::new(claim)));
        match claimed {
            Ok(RecordReading {
                reply: Reply::Told(ClaimReply::BeingUndone { by }),
                ..
            }) => self.past_a_mark(world, at, op_of(by)),
            claimed => self.report(world, at, GuardEvent::Claimed(claimed)),
        }
    }

    /// The mark that a call found to count for nothing, if the record is still as it was then.
    fn void_mark(&self, world: &mut World, at: usize) -> Option<Op> {
        let version = world.filed.get(&0).map(|filed| filed.version);
        let caller = self.caller(world, at)?;
        caller.void = caller.void.filter(|(_, seen)| Some(*seen) == version);
        caller.void.map(|(op, _)| op)
    }

    /// A reader of a marked record looks at the operation that undoes it.
    fn past_a_mark(&self, world: &mut World, at: usize, by: Op) {
        let version = world.filed.get(&0).map_or(0, |filed| filed.version);
        let Some(undoing) = world.record(by).map(|record| record.state.clone()) else {
            return world.promise(Promise::MarksLead, false);
        };
        match undoing {
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. } => {
                self.write_undo(world, by)
            }
            State::Released { .. } | State::Refused { .. } => {
                if let Some(caller) = self.caller(world, at) {
                    caller.void = Some((by, version));
                }
            }
            State::InDoubt { .. } | State::Held { .. } => {
                if let Some(part) = world.parts.get_mut(at) {
                    *part = Part::Gone;
                }
            }
            _ => {}
        }
    }

    /// Marks what this call undoes, before it is sent.
    fn mark(&self, world: &mut World, at: usize, grant: &Grant) {
        let by = store_key(self.wish(at).op);
        let void_mark = self.void_mark(world, at).map(store_key);
        let generation = grant.marks.first().map_or(1, |mark| mark.of.generation);
        let marked = self.ask(
            world,
            0,
            Some(at),
            &Command::MarkUndoing {
                by,
                generation,
                void_mark,
            },
        );
        let why = match marked {
            Ok(_) => return self.report(world, at, GuardEvent::Marked(Ok(()))),
            Err(Refusal::Rule {
                rule: Rule::OneUndoAtATime,
                ..
            }) if self.found_void(world, at) => return,
            Err(refusal) => MarkingError {
                reason: refusal.to_string(),
                passes: false,
            },
        };
        if let Some(Some(right)) = self.caller(world, at).map(|caller| caller.right.as_mut()) {
            right.sent = true;
        }
        self.report(world, at, GuardEvent::Marked(Err(why)));
    }

    fn found_void(&self, world: &mut World, at: usize) -> bool {
        let Some(State::Landed {
            undone_by: Some(other),
            ..
        }) = world.record(0).map(|record| record.state.clone())
        else {
            return false;
        };
        let other = op_of(other);
        let version = world.filed.get(&0).map_or(0, |filed| filed.version);
        let Some(standing) = world.record(other).map(|record| record.state.clone()) else {
            world.promise(Promise::MarksLead, false);
            return false;
        };
        let void = matches!(standing, State::Released { .. } | State::Refused { .. });
        if let Some(caller) = self.caller(world, at).filter(|_| void) {
            caller.void = Some((other, version));
        }
        void
    }

    /// Sends, if the right still holds right before the bytes leave.
    fn send(&self, world: &mut World, at: usize, grant: &Grant) {
        let tick = world.tick;
        let op = self.wish(at).op;
        let Some(right) = self
            .caller(world, at)
            .and_then(|caller| caller.right.as_mut())
        else {
            return;
        };
        if right.sent {
            return;
        }
        right.sent = true;
        if tick >= right.until {
            return self.report(
                world,
                at,
                GuardEvent::Ran(Outcome::not_sent("the right is void")),
            );
        }
        let key = Key {
            op,
            generation: grant.generation,
            series: grant.series,
        };
        let content = self.wish(at).content;
        let message = Message {
            key,
            fence: grant.fence,
            content,
            sent: tick,
            disowned: false,
        };
        self.put_on_the_way(world, message);
    }

    pub(crate) fn put_on_the_way(&self, world: &mut World, message: Message) {
        self.watch_sending(world, &message);
        world.sites.entry(message.key).or_insert(Site {
            content: message.content,
            ..Site::default()
        });
        world.messages.push(message);
        world.messages.sort_by_key(|message| {
            (
                message.key,
                message.fence.number,
                *message.fence.nonce.as_bytes(),
            )
        });
    }

    /// What a careful look at the system behind the tool shows.
    pub(crate) fn seen(&self, world: &World, op: Op) -> Outcome {
        let Some(record) = world.record(op) else {
            return Outcome::Returned(serde_json::Value::Null);
        };
        let key = Key {
            op,
            generation: record.generation,
            series: record.series,
        };
        match world.sites.get(&key) {
            Some(site) if site.effects > 0 => crate::world::done(key.generation, site.content),
            _ => Outcome::Returned(serde_json::Value::Null),
        }
    }
}

fn right(op: Op, grant: &Grant, tick: u8) -> Right {
    let ticks = grant.valid_ms / (u64::from(TICK_SECONDS) * 1_000);
    let key = Key {
        op,
        generation: grant.generation,
        series: grant.series,
    };
    let until = tick.saturating_add(u8::try_from(ticks).unwrap_or(u8::MAX));
    Right {
        key,
        fence: grant.fence,
        until,
        sent: false,
    }
}

fn recovery(advice: Advice) -> Recovery {
    match advice {
        Advice::Retry => Recovery::Retry { delay_ms: 0 },
        Advice::Probe => Recovery::Probe(Probe {
            tool: String::new(),
            arguments: serde_json::Value::Null,
        }),
        Advice::Hold => Recovery::Hold(String::new()),
    }
}

fn generation_named(name: &str) -> Option<OperationGeneration> {
    Some(OperationGeneration {
        key: store_key(0),
        generation: name.parse().ok()?,
    })
}
