//! Signals to a process and all that it started: its process group.

/// A group of processes, by the id of its first one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group(libc::pid_t);

impl Group {
    /// The group that this child leads; none where it is gone already.
    pub(super) fn led_by(child: &tokio::process::Child) -> Option<Self> {
        // Neither 0 nor 1: those ids mean other groups than one of ours.
        child
            .id()
            .and_then(|id| libc::pid_t::try_from(id).ok())
            .filter(|id| *id > 1)
            .map(Self)
    }

    /// Sends a signal to all of it. A group that is gone needs none.
    pub(super) fn send(self, signal: i32) {
        // SAFETY: `killpg` takes two numbers and touches no memory. The id is that of a child that was not waited for when
        // it was taken, and that leads a group of its own.
        #[expect(
            unsafe_code,
            reason = "the standard library sends signals to single processes only"
        )]
        let _ = unsafe { libc::killpg(self.0, signal) };
    }
}
