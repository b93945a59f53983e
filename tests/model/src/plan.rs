//! The stories that are told: each plan allows a few troubles at once, so that all their interleavings can be walked.

use semel_core::{
    guard::ToolAllowance,
    ledger::{Claim, OperationGeneration, OperationTerms, PolicyName, Rule, UndoTarget},
    model::{
        CallDigest, Fingerprint, KeyForm, KeyPlace, Nonce, OperationLifetime, PolicyDigest,
        RepeatEffect, StoreKey, Target, Tenant,
    },
};

use crate::world::Op;

/// How long a tick is, in seconds.
pub const TICK_SECONDS: u32 = 10;

/// What a policy says to do about what is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Send it again.
    Retry,
    /// Look.
    Probe,
    /// Leave it to a person.
    Hold,
}

/// How a person knows what to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// By looking at the system behind the tool, carefully.
    True,
    /// Not at all.
    None,
}

/// One call of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Which operation.
    pub op: Op,
    /// What it asks for.
    pub content: u8,
    /// How it asks for it.
    pub digest: u8,
}

/// A story: who calls, and what may go wrong.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// The rules that it needs.
    pub needs: &'static [Rule],
    /// Who calls.
    pub wishes: Vec<Wish>,
    /// How many ticks pass.
    pub ticks: u8,
    /// How the target treats repeats, and for how many ticks it remembers; none: nothing is known.
    pub target: Option<(RepeatEffect, Option<u8>)>,
    /// How long a lease lasts, in ticks.
    pub lease_ticks: u8,
    /// How long an attempt may take, in ticks.
    pub attempt_ticks: u8,
    /// What the policy says about doubt: any of these.
    pub advice: &'static [Advice],
    /// How long a refusal is replayed, in ticks.
    pub refusal_ticks: u8,
    /// How long an equal call means the same.
    pub until: OperationLifetime,
    /// After how many ticks a probe that found nothing lets it be sent again.
    pub timer: Option<u8>,
    /// Whether calls are killed.
    pub crashes: bool,
    /// Whether requests and answers are lost or late.
    pub loses: bool,
    /// Whether nothing is sent at times, by proof.
    pub unsent: bool,
    /// Whether the tool turns things away.
    pub refuses: bool,
    /// How often the tool says so falsely.
    pub lies: u8,
    /// Whether hosts learn late what became of an attempt.
    pub reports: bool,
    /// Whether leases are renewed.
    pub renews: bool,
    /// A person, and how often it decides.
    pub person: Option<(Knowledge, u8)>,
    /// How often hosts do what is not theirs.
    pub mistakes: u8,
    /// How many looks the sweep begins.
    pub sweeps: u8,
    /// How often the machine of the store is started anew.
    pub reboots: u8,
    /// Whether its wall clock is then set far back.
    pub set_back: bool,
    /// How often the ledger loses the record.
    pub losses: u8,
    /// Whether attempts are suspended and continued.
    pub suspends: bool,
    /// Whether what goes on elsewhere took effect before it did, and who goes on with it sends nothing.
    pub rounds: bool,
    /// Whether the undoing operation says what it undoes, or only its outcome does.
    pub undoes_beforehand: bool,
    /// Whether records age.
    pub ages: bool,
}

impl Plan {
    /// A calm story of these calls of one operation, each of a content.
    #[must_use]
    pub fn of(name: &'static str, contents: &[u8]) -> Self {
        let wish = |content: &u8| Wish {
            op: 0,
            content: *content,
            digest: *content,
        };
        Self {
            name,
            needs: &[],
            wishes: contents.iter().map(wish).collect(),
            ticks: 1,
            target: None,
            lease_ticks: 1,
            attempt_ticks: 1,
            advice: &[Advice::Hold],
            refusal_ticks: 1,
            until: OperationLifetime::Window,
            timer: None,
            crashes: false,
            loses: false,
            unsent: false,
            refuses: false,
            lies: 0,
            reports: false,
            renews: false,
            person: None,
            mistakes: 0,
            sweeps: 0,
            reboots: 0,
            set_back: false,
            losses: 0,
            suspends: false,
            rounds: false,
            undoes_beforehand: true,
            ages: false,
        }
    }

    /// What the operator allows.
    #[must_use]
    pub fn allowance(&self) -> ToolAllowance {
        ToolAllowance {
            wait_ms: 1,
            reruns: 0,
            retries: 1,
            looks: 1,
            can_probe: true,
            timed_rerun_ms: self
                .timer
                .map(|ticks| u64::from(ticks) * u64::from(TICK_SECONDS) * 1_000),
            ..ToolAllowance::default()
        }
    }

    /// Whether two sendings under one key come to one effect.
    #[must_use]
    pub fn recognises(&self, elapsed: u8) -> bool {
        self.target.is_some_and(|(repeats, memory)| {
            repeats.have_no_effect() && memory.is_none_or(|memory| elapsed < memory)
        })
    }

    fn target(&self) -> Option<Target> {
        let (repeats, memory) = self.target?;
        let remembers_seconds =
            Some(memory.map_or(Target::FOR_EVER, |ticks| u32::from(ticks) * TICK_SECONDS));
        Some(Target {
            places: vec![KeyPlace::Header("key".to_owned())],
            form: KeyForm::default(),
            repeats,
            remembers_seconds,
        })
    }

    /// The claim that a call makes.
    #[must_use]
    pub fn claim(&self, wish: Wish, nonce: Nonce) -> Claim {
        let undoing = UndoTarget {
            of: OperationGeneration {
                key: store_key(0),
                generation: 1,
            },
            settled: false,
        };
        let undoes = if wish.op > 0 && self.undoes_beforehand {
            vec![undoing]
        } else {
            Vec::new()
        };
        Claim {
            nonce,
            tenant: Tenant::default(),
            name_space: String::new(),
            terms: OperationTerms {
                shadow: false,
                operation: String::new(),
                identity: Vec::new(),
                content: Fingerprint::from_bytes([wish.content; 32]),
                call_digest: CallDigest::from_bytes([wish.digest; 32]),
                call: None,
                until: self.until,
                window_seconds: 1,
                attempt_seconds: u32::from(self.attempt_ticks) * TICK_SECONDS,
                lease_seconds: u32::from(self.lease_ticks) * TICK_SECONDS,
                refusal_seconds: u32::from(self.refusal_ticks) * TICK_SECONDS,
                target: self.target(),
                policy: PolicyName {
                    name: String::new(),
                    digest: PolicyDigest::from_bytes([0; 32]),
                    key_epoch: 1,
                },
                undoes,
            }
            .into(),
            facts: Vec::new(),
            read_undelivered: None,
            void_mark: None,
        }
    }
}

/// Where an operation's record lies.
#[must_use]
pub fn store_key(op: Op) -> StoreKey {
    StoreKey::from_bytes([op; 32])
}

/// The operation that lies there.
#[must_use]
pub fn op_of(key: StoreKey) -> Op {
    key.as_bytes().first().copied().unwrap_or(0)
}
