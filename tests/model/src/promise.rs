//! The promises that hold in every state, each by name.

use stateright::Property;

use crate::{town::Town, world::World};

macro_rules! promises {
    ($($promise:ident => $sentence:literal,)*) => {
        /// A promise of the ledger or of the guard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Promise {
            $(#[doc = concat!("The promise that ", $sentence, ".")] $promise,)*
        }

        impl Promise {
            /// The promise as a sentence without its period.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$promise => $sentence,)* }
            }

            /// Every promise, as the model checker takes it.
            pub(crate) fn properties() -> Vec<Property<Town>> {
                vec![$(Property::always($sentence, |_: &Town, world: &World| {
                    world.broken != Some(Promise::$promise)
                }),)*]
            }
        }
    };
}

promises! {
    OneEffect => "one generation takes effect once, unless a person, a switch or a lying tool allowed more",
    OneRight => "no caller gains a right to send while another right is usable",
    OtherContent => "other content is not sent while an earlier call may have taken effect",
    OneContentOneKey => "one key never carries two contents, nor a call after a refusal under it",
    RefusalReplayed => "a refused call is not sent again within its window",
    PersonRefusal => "an operation that a person refused is not sent until a person releases it",
    EffectIsKnown => "no call is reported as without effect if it took effect or still may",
    OwnOutcome => "a replay is the outcome of the same content in the same generation",
    LandedIsKept => "a landed operation stays as it was settled until it is undone, delivered or aged",
    TwoEffectsHeld => "a record with two possible effects changes only by a person",
    EvidenceHeeded => "nothing is released, and nothing is sent, against evidence of an effect",
    TakenOrUndone => "a generation is opened only where the one before was delivered or undone",
    ReadersKeepTheirs => "a caller that read a generation before its delivery never opens or enters a later one",
    OwnersKeepTheirs => "only its owner ends a running attempt",
    AttemptsEnd => "an attempt past its time is in doubt, however often it is renewed",
    LooksEndByTheirOwn => "a probe ends by the report of its owner, or by its lease",
    HeldLooks => "callers do not probe held operations, and a probe leads such an operation only to landed",
    RerunsWait => "a timer releases nothing where none is set, and nothing before its delay",
    TriesBounded => "the attempts and probes of one key are limited",
    SameCall => "only an identical call is sent again",
    UndoneOnce => "one generation is undone by one operation at a time",
    UndoneByName => "an undo closes the generation that it names",
    UndoFirst => "no generation is opened while an undo of the one before may still be sent",
    MarksLead => "a mark leads to an operation that exists",
}
