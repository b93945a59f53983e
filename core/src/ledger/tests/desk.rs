//! A record on a desk: what is asked of it is written at once, and time passes when a test says so.

use crate::ledger::*;
use crate::model::*;
use std::sync::Arc;

pub(super) const SECOND: u64 = 1_000;
pub(super) const LEASE: u64 = 15 * SECOND;
pub(super) const ATTEMPT: u64 = 60 * SECOND;
pub(super) const REFUSAL: u64 = 600 * SECOND;
pub(super) const MEMORY: u64 = 3_600 * SECOND;
/// A hundredth of the memory.
pub(super) const MARGIN: u64 = 36 * SECOND;

pub(super) fn nonce(mark: u8) -> Nonce {
    Nonce::from_bytes([mark; 16])
}

pub(super) fn key(mark: u8) -> StoreKey {
    StoreKey::from_bytes([mark; 32])
}

pub(super) fn generation(mark: u8, generation: u32) -> OperationGeneration {
    OperationGeneration {
        key: key(mark),
        generation,
    }
}

/// The landing of a generation of another operation, by the attempt `nonce(1)`.
pub(super) fn owner(mark: u8, at: u32) -> HandleOwner {
    HandleOwner {
        of: generation(mark, at),
        nonce: nonce(1),
    }
}

/// The same, granted and landed so many milliseconds after the desk's clock began.
pub(super) fn living(mark: u8, at: u32, after_ms: u64) -> LivingOwner {
    let mut granted = Desk::new().now;
    granted.wall_ms += after_ms;
    granted.steady_ms += after_ms;
    LivingOwner {
        owner: owner(mark, at),
        granted,
        landed: granted,
    }
}

pub(super) fn target(repeats: RepeatEffect, remembers_seconds: Option<u32>) -> Target {
    Target {
        places: vec![KeyPlace::Header("Idempotency-Key".to_owned())],
        form: KeyForm::Uuid(8),
        repeats,
        remembers_seconds,
    }
}

pub(super) fn person() -> Person {
    Person {
        who: "ada".to_owned(),
        why: "looked it up".to_owned(),
    }
}

/// A claim of this content, with the nonce that marks its attempt.
pub(super) fn claim(mark: u8, content: u8) -> Claim {
    Claim {
        nonce: nonce(mark),
        tenant: Tenant::default(),
        name_space: "charge".to_owned(),
        terms: OperationTerms {
            operation: "charge".to_owned(),
            identity: Vec::new(),
            content: Fingerprint::from_bytes([content; 32]),
            call_digest: CallDigest::from_bytes([content; 32]),
            call: None,
            until: OperationLifetime::Window,
            window_seconds: 86_400,
            attempt_seconds: 60,
            lease_seconds: 15,
            refusal_seconds: 600,
            target: Some(target(RepeatEffect::Replayed, Some(3_600))),
            policy: PolicyName {
                name: "intent".to_owned(),
                digest: PolicyDigest::from_bytes([0; 32]),
                key_epoch: 1,
            },
            undoing: false,
            shadow: false,
        }
        .into(),
        facts: Vec::new(),
        read_undelivered: None,
        void_mark: None,
        named: Vec::new(),
    }
}

pub(super) fn until_delivery(mut claim: Claim) -> Claim {
    claim.terms.until = OperationLifetime::Delivery;
    claim
}

pub(super) fn outcome(effect: Effect, word: &str) -> Outcome {
    match effect {
        Effect::Landed => Outcome::Returned(word.into()),
        Effect::Refused => Outcome::failed(word),
        Effect::Absent => Outcome::not_sent(word),
        Effect::Unknown => Outcome::no_answer(word),
    }
}

pub(super) fn settlement(grant: &Grant, claim: &Claim, effect: Effect) -> Settlement {
    let outcome = outcome(effect, &format!("attempt {}", grant.fence.number));
    let verdict = bound(
        &outcome,
        &Verdict::new(effect, "so it is"),
        ServerErrorRule::ProveNothing,
    );
    Settlement {
        fence: grant.fence,
        generation: grant.generation,
        series: grant.series,
        outcome: KeptOutcome::Whole(outcome),
        verdict,
        handles: Vec::new(),
        undid: Vec::new(),
        claim: Arc::new(claim.clone()),
    }
}

/// One record, and the store's clock.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) now: Stamp,
    pub(super) lies: Option<(Record, Stamp)>,
    pub(super) kept: Option<Retention>,
}

impl Desk {
    pub(super) fn new() -> Self {
        let now = Stamp {
            wall_ms: 1_000_000_000,
            steady_ms: 5_000_000,
            boot: Boot(1),
            incarnation: Incarnation(1),
        };
        Self {
            now,
            lies: None,
            kept: None,
        }
    }

    pub(super) fn ask(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let present = self.lies.as_ref().map(|(record, written)| PresentRecord {
            record,
            written: *written,
        });
        let step = apply(present, command, self.now)?;
        if let Some((record, keep)) = step.write {
            self.lies = Some((*record, self.now));
            self.kept = Some(keep);
        }
        Ok(step.reply)
    }

    pub(super) fn pass(&mut self, ms: u64) -> &mut Self {
        self.now.wall_ms += ms;
        self.now.steady_ms += ms;
        self
    }

    pub(super) fn record(&self) -> &Record {
        &self.lies.as_ref().unwrap().0
    }

    pub(super) fn state(&self) -> &State {
        &self.record().state
    }

    pub(super) fn label(&self) -> StateLabel {
        self.state().label()
    }

    pub(super) fn claim(&mut self, claim: &Claim) -> Reply {
        self.ask(&Command::Claim(Arc::new(claim.clone()))).unwrap()
    }

    pub(super) fn granted(&mut self, claim: &Claim) -> Grant {
        granted(self.claim(claim))
    }

    pub(super) fn told(&mut self, claim: &Claim) -> ClaimReply {
        told(self.claim(claim))
    }

    pub(super) fn settle(&mut self, grant: &Grant, claim: &Claim, effect: Effect) -> ClaimReply {
        told(
            self.ask(&Command::Settle(Box::new(settlement(grant, claim, effect))))
                .unwrap(),
        )
    }

    pub(super) fn retry_of(&self, claim: &Claim, mark: u8) -> Command {
        Command::Resolve {
            nonce: nonce(mark),
            shown: self.record().last_attempt().unwrap().fence.number,
            call_digest: claim.terms.call_digest,
            retries_max: 2,
            facts: Vec::new(),
        }
    }

    pub(super) fn retried(&mut self, claim: &Claim, mark: u8) -> Grant {
        let retry = self.retry_of(claim, mark);
        granted(self.ask(&retry).unwrap())
    }

    pub(super) fn look(&mut self, mark: u8, asker: ProbeRequester) -> Result<Reply, Refusal> {
        let shown = self.record().last_attempt().unwrap().fence.number;
        self.ask(&Command::Look {
            nonce: nonce(mark),
            shown,
            asker,
            looks_max: 3,
        })
    }

    pub(super) fn saw(&mut self, mark: u8, sight: ProbeReport) -> Result<Reply, Refusal> {
        self.ask(&Command::Saw {
            nonce: nonce(mark),
            sight,
        })
    }

    pub(super) fn decide(&mut self, decision: Decision) -> Result<Reply, Refusal> {
        let shown = self.record().last_attempt().unwrap().fence.number;
        self.ask(&Command::Decide {
            shown,
            person: person(),
            decision,
        })
    }

    pub(super) fn deliver(&mut self) -> Result<Reply, Refusal> {
        let generation = self.record().generation;
        let attempt = self.record().landed_attempt();
        self.ask(&Command::Deliver {
            generation,
            attempt,
        })
    }
}

pub(super) fn granted(reply: Reply) -> Grant {
    match reply {
        Reply::Granted(grant) => grant,
        other => unreachable!("no right to send, but {other:?}"),
    }
}

pub(super) fn told(reply: Reply) -> ClaimReply {
    match reply {
        Reply::Told(told) => told,
        other => unreachable!("not told, but {other:?}"),
    }
}

pub(super) fn broken(refused: Result<Reply, Refusal>) -> Rule {
    match refused {
        Err(Refusal::Rule { rule, .. }) => rule,
        other => unreachable!("no rule, but {other:?}"),
    }
}

pub(super) const FOUND: fn() -> ProbeReport = || ProbeReport::Found {
    outcome: KeptOutcome::Whole(outcome(Effect::Landed, "found")),
    handles: Vec::new(),
    undid: Vec::new(),
};

pub(super) const NOTHING: ProbeReport = ProbeReport::NotFound {
    rerun_after_ms: None,
};

pub(super) fn attested() -> Decision {
    Decision::Landed {
        outcome: None,
        handles: Vec::new(),
    }
}

/// Every state that the table brings about, each with the grant of its last attempt, under the claim `claim(1, 1)`.
pub(super) fn every_state() -> Vec<(&'static str, Desk, Grant)> {
    let first = claim(1, 1);
    let lasting = until_delivery(first.clone());
    let from = |claim: &Claim, more: &dyn Fn(&mut Desk, Grant) -> Grant| {
        let mut desk = Desk::new();
        let grant = desk.granted(claim);
        desk.pass(SECOND);
        let grant = more(&mut desk, grant);
        (desk, grant)
    };
    let settled = |effect: Effect| {
        from(&first, &|desk, grant| {
            desk.settle(&grant, &first, effect);
            grant
        })
    };
    let then = |(mut desk, grant): (Desk, Grant), more: &dyn Fn(&mut Desk)| {
        more(&mut desk);
        (desk, grant)
    };
    let doubt = || settled(Effect::Unknown);
    let held = || {
        then(doubt(), &|desk| {
            desk.look(8, ProbeRequester::Caller).unwrap();
            desk.saw(8, NOTHING).unwrap();
        })
    };
    let two_effects = from(&first, &|desk, grant| {
        desk.settle(&grant, &first, Effect::Absent);
        let other = desk.granted(&claim(2, 2));
        desk.settle(&grant, &first, Effect::Landed);
        other
    });
    let delivered = from(&lasting, &|desk, grant| {
        desk.settle(&grant, &lasting, Effect::Landed);
        desk.deliver().unwrap();
        grant
    });
    let states = [
        ("started", from(&first, &|_, grant| grant)),
        (
            "waiting",
            from(&first, &|desk, grant| {
                let suspend = Command::Suspend {
                    fence: grant.fence,
                    continuation: "task-1".to_owned(),
                    limit_seconds: 3_600,
                };
                desk.ask(&suspend).unwrap();
                grant
            }),
        ),
        ("in doubt", doubt()),
        (
            "retrying",
            from(&first, &|desk, grant| {
                desk.settle(&grant, &first, Effect::Unknown);
                desk.retried(&first, 2)
            }),
        ),
        (
            "looked at in doubt",
            then(doubt(), &|desk| {
                desk.look(9, ProbeRequester::Caller).unwrap();
            }),
        ),
        (
            "looked at held",
            then(held(), &|desk| {
                desk.look(9, ProbeRequester::Operator).unwrap();
            }),
        ),
        ("held", held()),
        ("held for two effects", two_effects),
        ("released by its owner", settled(Effect::Absent)),
        (
            "released by a person",
            then(held(), &|desk| {
                desk.decide(Decision::Released { new_key: false }).unwrap();
            }),
        ),
        (
            "released by a timer",
            then(doubt(), &|desk| {
                desk.look(8, ProbeRequester::Caller).unwrap();
                desk.saw(
                    8,
                    ProbeReport::NotFound {
                        rerun_after_ms: Some(0),
                    },
                )
                .unwrap();
            }),
        ),
        ("refused by its owner", settled(Effect::Refused)),
        (
            "refused by a person",
            then(held(), &|desk| {
                desk.decide(Decision::Refused).unwrap();
            }),
        ),
        ("landed", settled(Effect::Landed)),
        ("delivered", delivered),
        (
            "being undone",
            then(settled(Effect::Landed), &|desk| {
                desk.ask(&Command::MarkUndoing {
                    by: generation(7, 1),
                    of: owner(0, 1),
                    void_mark: None,
                })
                .unwrap();
            }),
        ),
        (
            "undone by a call",
            then(settled(Effect::Landed), &|desk| {
                desk.ask(&Command::Undo {
                    by: generation(7, 1),
                    generation: 1,
                    told_by_outcome: true,
                })
                .unwrap();
            }),
        ),
        (
            "undone by a person",
            then(settled(Effect::Landed), &|desk| {
                desk.decide(Decision::Undone).unwrap();
            }),
        ),
        (
            "tombstone",
            then(settled(Effect::Landed), &|desk| {
                desk.ask(&Command::Age).unwrap();
            }),
        ),
        (
            "alias",
            then(settled(Effect::Landed), &|desk| {
                desk.lies.as_mut().unwrap().0.state = State::Alias { to: key(6) };
            }),
        ),
    ];
    states
        .into_iter()
        .map(|(name, (desk, grant))| (name, desk, grant))
        .collect()
}
