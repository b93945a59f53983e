//! The guards of the ledger's table, each by name.
//!
//! A refusal names the rule behind it. The model checker runs a twin of [`super::apply`] without each rule, to show that
//! every rule is needed.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident => $why:literal,)*) => {
        /// A guard of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = concat!("The rule that ", $why, ".")] $(#[$doc])* $rule,)*
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
    ContentAgrees => "different content is a conflict while the operation may have taken effect",
    LeaseEndIsDoubt => "a lease that expires leaves the effect unknown and releases nothing",
    ClockNeverGrants => "no right is granted on a clock that went back",
    EvidenceBarsSending => "nothing is sent while there is evidence of an effect that the record does not account for",
    PersonReleasesTheSame => "an operation that a person or a timer released may be sent with equal content only",
    PersonRefusalStands => "an operation that a person refused is not sent until the refusal ages or a person releases it",
    RefusalIsReplayed => "a refusal is replayed to equal content for its window",
    NewSeriesAfterRefusal => "a call after a refusal, or with other content, is sent under a new key",
    DeliveredFirst => "an outcome that lasts until delivery is replayed until its delivery is acknowledged",
    ReadBeforeDelivery => "a caller that read a generation before its delivery gets the outcome of that generation",
    OwnerOnly => "only the owner of the current attempt may do this",
    KnownAttempt => "only an attempt that the record knows may settle it",
    AttemptEnds => "an attempt is not renewed past the time that the operation allows it",
    SeriesAgrees => "an effect under an earlier key leaves two effects for a person to settle",
    GenerationAgrees => "an effect in an earlier generation settles nothing in the current one",
    TwoEffectsStayHeld => "only a person settles a record with two possible effects",
    RoundsProveNothing => "an earlier round of this attempt was sent, so no later round proves that it had no effect",
    NoOtherUnresolved => "nothing settles as without effect while another attempt may have taken effect",
    FinalStands => "a late report never overwrites a settled record",
    RepeatsAreHarmless => "an operation in doubt is not sent again where a repeat has an effect",
    TargetRemembers => "an operation in doubt is not sent again once the target may have forgotten its key",
    SameCallAgain => "only an identical call is sent again",
    RetriesBounded => "the attempts at an operation in doubt are limited",
    LastAttemptShown => "a decision must rest on the last attempt",
    LookIsOwn => "only the owner of a probe may report its result",
    LooksBounded => "the probes of an operation are limited",
    HeldLooksAreAskedFor => "a held operation is probed only at the request of a person or the sweep",
    HeldStaysHeld => "a probe of a held operation leaves it held unless the probe finds the effect",
    RerunNeedsTheSwitch => "a probe that found nothing releases only where the operator allowed it",
    RerunNeedsItsDelay => "a probe that found nothing releases only after its delay",
    EvidenceBarsRelease => "nothing is released or refused while there is evidence of an effect",
    ProbesEndFirst => "a decision waits for the probe in progress",
    DeliveryNamesItsOutcome => "a delivery mark is valid for one generation and its landing attempt",
    OneUndoAtATime => "another operation is already undoing it",
    UndoNamesItsGeneration => "an undo is valid for one generation",
    UndoRestsOnItsMark => "an undo needs the mark of the operation that landed",
    OpenMarksDoNotAge => "a record with an undo still to be written does not age",
    OneLivingOwner => "a handle with several owners undoes none of them",
    UndoingIsReplayed => "an operation that undoes another is replayed until its outcome is taken",
    HandlesOpenInOrder => "an operation undoes again only what was granted after it had ended",
    UndoneIsReplayed => "an operation that another undid is replayed until that answer is taken",
    OnlyLandedUndoes => "only an operation that landed can have undone another",
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
