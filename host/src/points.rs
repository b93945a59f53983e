//! Named points before and after every write and every sending, at which a test ends or stops the process.
//!
//! Without the feature `failpoints` they are nothing, and with it nothing happens at them unless a test says so. They
//! stand in one table, which a test compares with what its stories pass through.

use crate::ledger::Command;

macro_rules! deeds {
    ($($deed:ident $name:literal,)*) => {
        /// What has a point before it and one after it.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Deed {
            $($deed,)*
        }

        impl Deed {
            /// The points before and after it.
            #[cfg(feature = "failpoints")]
            fn names(self) -> [&'static str; 2] {
                match self {
                    $(Self::$deed => [concat!("before ", $name), concat!("after ", $name)],)*
                }
            }
        }

        /// The names of all points.
        #[cfg(feature = "failpoints")]
        pub const POINTS: &[&str] = &[$(concat!("before ", $name), concat!("after ", $name),)*];
    };
}

deeds! {
    // What is written to the ledger, by its command.
    Claim "claim",
    Renew "renew",
    Settle "settle",
    Hold "hold",
    Expire "expire",
    Resolve "resolve",
    Look "look",
    Saw "saw",
    Decide "decide",
    Deliver "deliver",
    MarkUndoing "mark",
    Undo "undo",
    UndoWritten "undo written",
    Age "age",
    Erase "erase",
    Handle "handle",
    Scheme "scheme",
    Purge "purge",
    // What is written to the file.
    MakeFile "make file",
    SetUp "set up",
    UseWal "use wal",
    RewriteWal "rewrite wal",
    Commit "commit",
    // What leaves the host: before, the right to send is still unused; after, the outcome is known to this process only.
    Send "send",
    Probe "probe",
}

impl Deed {
    /// The write that carries `command` out. None: nothing in this host asks its table for it.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::Claim(_) => Self::Claim,
            Command::Renew { .. } => Self::Renew,
            Command::Settle(_) => Self::Settle,
            Command::Hold { .. } => Self::Hold,
            Command::Expire => Self::Expire,
            Command::Resolve { .. } => Self::Resolve,
            Command::Look { .. } => Self::Look,
            Command::Saw { .. } => Self::Saw,
            Command::Decide { .. } => Self::Decide,
            Command::Deliver { .. } => Self::Deliver,
            Command::MarkUndoing { .. } => Self::MarkUndoing,
            Command::Undo { .. } => Self::Undo,
            Command::UndoWritten { .. } => Self::UndoWritten,
            Command::Age => Self::Age,
            Command::Erase => Self::Erase,
            Command::Suspend { .. } | Command::Continue { .. } | Command::Rewrite => return None,
        })
    }
}

/// The process is about to do it.
#[inline]
pub(crate) fn before(deed: impl Into<Option<Deed>>) {
    pass(deed.into(), 0);
}

/// The process has done it, or tried to.
#[inline]
pub(crate) fn after(deed: impl Into<Option<Deed>>) {
    pass(deed.into(), 1);
}

#[cfg(feature = "failpoints")]
fn pass(deed: Option<Deed>, side: usize) {
    if let Some(name) = deed.and_then(|deed| deed.names().get(side).copied()) {
        fail::eval(name, |_| ());
    }
}

#[cfg(not(feature = "failpoints"))]
#[inline]
fn pass(_: Option<Deed>, _: usize) {}
