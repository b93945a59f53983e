//! The guards of the ledger's table, each by name.
//!
//! A refusal names the rule it rests on, and the model checker runs a twin of [`super::apply`] without each of them, to show
//! that none is idle.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident => $why:literal,)*) => {
        /// A guard of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = concat!("That ", $why, ".")] $(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// The rule as a sentence without its period.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$rule => $why,)* }
            }

            /// The rule's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => stringify!($rule),)* }
            }
        }
    };
}

rules! {
    ContentAgrees => "other content is a conflict while the operation may have taken effect",
    LeaseEndIsDoubt => "a lease that ends leaves the effect unknown and frees nothing",
    ClockNeverGrants => "nothing is granted by a clock that went back",
    EvidenceBarsSending => "nothing is sent while evidence stands that an attempt landed otherwise than as recorded",
    PersonReleasesTheSame => "what a person or a timer released may be sent with equal content only",
    PersonRefusalStands => "what a person refused is not sent until it ages or a person releases it",
    RefusalIsReplayed => "a refusal is replayed to equal content for its window",
    NewSeriesAfterRefusal => "what is sent after a refusal, or with other content, goes under a new key",
    DeliveredFirst => "an outcome that lasts until delivery is replayed until somebody took it",
    ReadBeforeDelivery => "whoever read a generation before it was delivered gets its outcome",
    OwnerOnly => "only the owner of the present attempt may do this",
    KnownAttempt => "only an attempt that the record knows may settle it",
    AttemptEnds => "an attempt is not renewed past the time that the operation allows it",
    SeriesAgrees => "what landed under an earlier key leaves two effects for a person to settle",
    GenerationAgrees => "what landed in an earlier generation settles nothing in this one",
    TwoEffectsStayHeld => "only a person settles a record under which two effects may stand",
    RoundsProveNothing => "what went on elsewhere was sent, so no later round of it proves it absent",
    NoOtherUnresolved => "while another attempt may have taken effect, nothing settles as without effect",
    FinalStands => "a late writer never overwrites what is settled",
    RepeatsAreHarmless => "nothing in doubt is sent again where repeats have an effect",
    TargetRemembers => "nothing in doubt is sent again once the target may have forgotten its key",
    SameCallAgain => "only the very same call is sent again",
    RetriesBounded => "attempts at what is in doubt are bounded",
    LastAttemptShown => "what is decided rests on the last attempt",
    LookIsOwn => "only who looks may say what was seen",
    LooksBounded => "looks are bounded",
    HeldLooksAreAskedFor => "what is held is looked at only when a person or the sweep asks",
    HeldStaysHeld => "a look at what is held leads back to held unless it finds the effect",
    RerunNeedsTheSwitch => "a probe that found nothing releases only where the operator allowed it",
    RerunNeedsItsDelay => "a probe that found nothing releases only after its delay",
    EvidenceBarsRelease => "nothing is released or refused once there is evidence that it landed",
    ProbesEndFirst => "a decision waits for the look under way",
    DeliveryNamesItsOutcome => "a delivery mark holds for one generation and its landing attempt",
    OneUndoAtATime => "another operation is already undoing it",
    UndoNamesItsGeneration => "an undo holds for one generation",
    UndoRestsOnItsMark => "an undo rests on the mark of the operation that landed",
    OpenMarksDoNotAge => "what still has to write its undo does not age",
    OnlyLandedUndoes => "only an operation that landed has undone anything",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// The rules that hold: all of them, in every build but the model checker's twins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    removed: Option<Rule>,
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self { removed: None };

    /// All but one: the model checker's entry, with [`apply_under`](super::apply_under), to show that no rule is idle.
    #[must_use]
    pub const fn without(rule: Rule) -> Self {
        Self {
            removed: Some(rule),
        }
    }

    /// Returns true if `rule` is in force.
    pub(super) fn holds(&self, rule: Rule) -> bool {
        self.removed != Some(rule)
    }

    /// Returns true if `rule` lets a step pass: its `condition` is met, or the rule is not in force.
    pub(super) fn permits(&self, rule: Rule, condition: bool) -> bool {
        condition || !self.holds(rule)
    }

    /// Returns true if `rule` stops a step: it is in force, and the step is a `violation` of it.
    pub(super) fn forbids(&self, rule: Rule, violation: bool) -> bool {
        violation && self.holds(rule)
    }
}
