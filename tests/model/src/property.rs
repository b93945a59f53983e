//! The safety properties: each holds in every reachable state.
//!
//! [`crate::invariant`] evaluates them at each transition and records the first violation in the
//! state. The checker then only reads that record.

use stateright::Property;

use crate::{model::LedgerModel, state::ModelState};

macro_rules! properties {
    ($($property:ident => $sentence:literal,)*) => {
        /// A promise of the ledger or of the guard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum SafetyProperty {
            $(#[doc = concat!("The promise that ", $sentence, ".")] $property,)*
        }

        impl SafetyProperty {
            /// The property as a sentence without its period.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$property => $sentence,)* }
            }

            /// Every property in the form that the checker expects.
            pub(crate) fn checker_properties() -> Vec<Property<LedgerModel>> {
                vec![$(Property::always($sentence, |_: &LedgerModel, state: &ModelState| {
                    state.violated != Some(SafetyProperty::$property)
                }),)*]
            }
        }
    };
}

properties! {
    OneEffect => "one generation takes effect at most once, unless a person, a switch or a lying tool allowed more",
    OneRight => "no caller gains a right to send while another right is usable",
    NoOtherContent => "other content is not sent while an earlier call may have taken effect",
    OneContentPerKey => "one key never carries two contents, nor a call after a refusal under it",
    RefusalReplayed => "a refused call is not sent again within its window",
    PersonRefusalStands => "an operation that a person refused is not sent until a person releases it",
    NoFalseRelease => "no call is reported as without effect if it took effect or still may",
    OwnOutcome => "a replay is the outcome of the same content in the same generation",
    LandedIsFinal => "a landed operation stays as it was settled until it is undone, delivered or aged",
    TwoEffectsHeld => "a record with two possible effects changes only by a person",
    EvidenceHeeded => "nothing is released, and nothing is sent, against evidence of an effect",
    DeliveredOrUndone => "a generation is opened only where the one before was delivered or undone",
    ReaderKeepsGeneration => "a caller that read a generation before its delivery never opens or enters a later one",
    OwnerEndsAttempt => "only its owner ends a running attempt",
    AttemptEnds => "an attempt past its time is in doubt, however often it is renewed",
    OwnerEndsProbe => "a probe ends by the report of its owner, or by its lease",
    HeldProbes => "callers do not probe held operations, and a probe leads such an operation only to landed",
    TimedReleaseWaits => "a timer releases nothing where none is set, and nothing before its delay",
    RetriesBounded => "the attempts and probes of one key are limited",
    IdenticalCallOnly => "only an identical call is sent again",
    OneUndo => "one generation is undone by one operation at a time",
    UndoNamesGeneration => "an undo closes the generation that it names",
    UndoBeforeNext => "no generation is opened while an undo of the one before may still be sent",
    UndoOnceEach => "an undoing operation is sent again only after its outcome was received and something was granted since",
    UndoIsKnown => "what another operation undid is sent again only after a caller learned of the outcome or the undo",
    MarkHasRecord => "a mark leads to an operation that exists",
}
