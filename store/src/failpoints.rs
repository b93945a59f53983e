//! Failpoints: named points before and after every write and every send, at which a test kills or
//! stops the process.
//!
//! A point does nothing unless a test installs a hook; without one it costs one load of a pointer.
//! All points are in one table, which a test compares with the points that its scenarios pass.

use std::sync::OnceLock;

use semel_core::ledger::Command;

/// A test's action at a point, given the point's name.
type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Installs the hook for all points. A process has one hook: later calls change nothing.
pub fn install_hook(hook: Hook) {
    HOOK.get_or_init(|| hook);
}

macro_rules! failpoints {
    ($($point:ident $name:literal,)*) => {
        /// An action with a point before it and one after it.
        #[derive(Debug, Clone, Copy)]
        pub enum Failpoint {
            $(
                #[doc = $name]
                $point,
            )*
        }

        impl Failpoint {
            /// Returns the names of the points before and after the action.
            fn point_names(self) -> [&'static str; 2] {
                match self {
                    $(Self::$point => [concat!("before ", $name), concat!("after ", $name)],)*
                }
            }
        }

        /// The names of all points.
        pub const FAILPOINTS: &[&str] = &[$(concat!("before ", $name), concat!("after ", $name),)*];
    };
}

failpoints! {
    // Writes of the ledger, by command.
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
    // Writes of the file.
    MakeFile "make file",
    SetUp "set up",
    UseWal "use wal",
    RewriteWal "rewrite wal",
    Commit "commit",
    // Sends. Before a send, the right to send is unused; after it, only this process knows the
    // outcome.
    Send "send",
    Probe "probe",
}

impl Failpoint {
    /// Returns the failpoint of the write that carries out `command`, or `None` where no host sends it to its ledger.
    pub fn of_command(command: &Command) -> Option<Self> {
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

/// Reaches the point before an action.
#[inline]
pub fn before(point: impl Into<Option<Failpoint>>) {
    if let Some(point) = point.into() {
        let [before, _] = point.point_names();
        reach(before);
    }
}

/// Reaches the point after an action, or after its failure.
#[inline]
pub fn after(point: impl Into<Option<Failpoint>>) {
    if let Some(point) = point.into() {
        let [_, after] = point.point_names();
        reach(after);
    }
}

/// Reaches a point that is not in the table, for a test's own points.
#[inline]
pub fn reach(name: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(name);
    }
}
