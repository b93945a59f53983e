//! What must hold, whoever does what and when: each promise by name.

use stateright::Property;

use crate::{town::Town, world::World};

macro_rules! promises {
    ($($promise:ident => $sentence:literal,)*) => {
        /// A promise of the ledger or of the guard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Promise {
            $(#[doc = concat!("That ", $sentence, ".")] $promise,)*
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
    OneEffect => "one generation takes effect once, unless a person, a switch or a lying tool let it",
    OneRight => "nobody gains a right to send while another right is usable",
    OtherContent => "other content is not sent while what was sent may have taken effect",
    OneContentOneKey => "one key never carries two contents, nor what was refused under it",
    RefusalReplayed => "what was refused is not sent again within its window",
    PersonRefusal => "what a person refused is not sent until a person releases it",
    EffectIsKnown => "nothing is told to be without effect that took effect or still may",
    OwnOutcome => "a replay is the outcome of the same content in the same generation",
    LandedIsKept => "what landed stays as it was settled until it is undone, delivered or aged",
    TwoEffectsHeld => "where two effects may stand, only a person goes on",
    EvidenceHeeded => "nothing is free, and nothing is sent, against evidence that it landed",
    TakenOrUndone => "a generation is opened only where the one before was taken or undone",
    ReadersKeepTheirs => "whoever read a generation before it was taken never opens or enters a later one",
    OwnersKeepTheirs => "nobody but its owner ends an attempt that runs",
    AttemptsEnd => "an attempt past its time is in doubt, however often it is renewed",
    LooksEndByTheirOwn => "a look ends by what its own maker saw, or by its lease",
    HeldLooks => "callers do not look at what is held, and a look leads it nowhere but to landed",
    RerunsWait => "a timer releases nothing where none is set, and nothing before its delay",
    TriesBounded => "sendings and looks of one key are bounded",
    SameCall => "what is sent again is the very same call",
    UndoneOnce => "one generation is undone by one operation at a time",
    UndoneByName => "an undo closes the generation that it names",
    UndoFirst => "no generation is opened while an undo of the one before may still be sent",
    MarksLead => "a mark leads to an operation that is there",
}
