//! The actions: the steps that lead from one state to the next.

use crate::{plan::RecoveryAdvice, state::OperationIndex};

/// One step of one participant. A number is an index into the calls, requests, reports or decisions
/// of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelAction {
    /// A call performs the action that its guard asks for.
    AdvanceCall(u8),
    /// A policy advises a call how to recover an operation in doubt.
    AdviseRecovery(u8, RecoveryAdvice),
    /// A call fails with proof that nothing was sent.
    FailBeforeSending(u8),
    /// A call waits no longer for its answer.
    TimeOut(u8),
    /// A call is killed.
    CrashCall(u8),
    /// A host renews the lease of its call.
    RenewLease(u8),
    /// A program receives the outcome of its call.
    DeliverOutcome(u8),
    /// A delivered outcome is acknowledged in the ledger.
    RecordDelivery(u8),
    /// The target accepts a request and continues it elsewhere, such as a task.
    Suspend(u8),
    /// A host presents the continuation and sends its request.
    Continue(u8),
    /// A host presents the continuation and ends before it sends anything.
    AbandonContinuation(u8),
    /// A request takes effect and its answer arrives.
    AnswerRequest(u8),
    /// A request takes effect and its answer is lost.
    LoseAnswer(u8),
    /// The target turns a request away.
    RefuseRequest(u8, RefusalKind),
    /// The target claims to have turned a request away, which it still executes later.
    RefuseFalsely(u8, RefusalKind),
    /// A host reports an outcome that it learned late.
    ReportLate(u8),
    /// A person is shown the record.
    ShowPerson,
    /// A person makes one of the decisions that the view offers.
    Decide(u8),
    /// The sweep begins a probe.
    BeginSweepProbe,
    /// The sweep reports what its probe found.
    EndSweepProbe {
        /// True if a probe that found nothing came too early: the effect may still follow.
        too_early: bool,
    },
    /// A host executes a command to which it has no right.
    MakeMistake(HostMistake),
    /// One tick passes.
    AdvanceClock,
    /// The store's machine reboots.
    RebootStore,
    /// The ledger loses the record of operation 0.
    LoseRecord,
    /// The undo by an operation is written in the record that it undid.
    WriteUndo(OperationIndex),
    /// The record of an undoing operation notes that its undo is written.
    NoteUndoWritten(OperationIndex),
    /// The outcome of an operation ages out of its record.
    AgeRecord(OperationIndex),
    /// A record reaches the end of its retention and is removed.
    RemoveRecord(OperationIndex),
}

/// The two ways in which a target turns a request away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It certainly had no effect, and may be sent again.
    Absent,
    /// It was refused as such, and would be again.
    Refused,
}

impl RefusalKind {
    pub(crate) const ALL: [Self; 2] = [Self::Absent, Self::Refused];
}

/// A command that a faulty host executes, to which it has no right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostMistake {
    /// It renews the lease of another attempt.
    RenewOther,
    /// It holds another attempt for a person.
    HoldOther,
    /// It probes a held operation.
    ProbeHeld,
    /// It notes an undo as written where the undoing operation has not landed.
    NoteUndoWritten(OperationIndex),
}

impl HostMistake {
    pub(crate) const ALL: [Self; 4] = [
        Self::RenewOther,
        Self::HoldOther,
        Self::ProbeHeld,
        Self::NoteUndoWritten(1),
    ];
}
