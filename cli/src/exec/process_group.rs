//! Signals to a process and its descendants: its process group.

use tokio::process::Child;

/// A process group, by the id of its leader.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessGroup(libc::pid_t);

impl ProcessGroup {
    /// Returns the group that this child leads, or none if the child was already waited for.
    pub(super) fn led_by(child: &Child) -> Option<Self> {
        let id = libc::pid_t::try_from(child.id()?).ok()?;
        // `killpg` takes 0 for this process's own group, and 1 is `init`: neither is a child's.
        (id > 1).then_some(Self(id))
    }

    /// Sends a signal to every process of the group. A group that has ended ignores it.
    pub(super) fn send_signal(self, signal: i32) {
        // SAFETY: `killpg` takes two numbers and touches no memory. The id came from a child that leads a group of its
        // own and had not been waited for.
        #[expect(
            unsafe_code,
            reason = "the standard library sends signals to single processes only"
        )]
        let _ = unsafe { libc::killpg(self.0, signal) };
    }
}
