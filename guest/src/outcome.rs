//! Outcomes read, verdicts and probes built.

use crate::Value;

use crate::call::json_text;
use crate::{Attempt, Effect, Failure, Outcome, Probe, Silence, Verdict};

impl Outcome {
    /// The tool answered with this.
    #[must_use]
    pub fn returned(answer: impl Into<Value>) -> Self {
        Self::Returned(json_text(&answer.into()))
    }

    /// No answer came, though something may have been sent.
    #[must_use]
    pub fn unanswered(reason: impl Into<String>) -> Self {
        Self::Unanswered(Silence {
            reason: reason.into(),
            sent: true,
        })
    }

    /// No answer came, and certainly nothing was sent.
    #[must_use]
    pub fn unsent(reason: impl Into<String>) -> Self {
        Self::Unanswered(Silence {
            reason: reason.into(),
            sent: false,
        })
    }

    /// Returns the tool's answer, if it returned JSON.
    #[must_use]
    pub fn answer(&self) -> Option<Value> {
        match self {
            Self::Returned(answer) => Value::parse(answer).ok(),
            Self::Failed(_) | Self::Unanswered(_) => None,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Failure {
    /// A failure of which only the message is known.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
            status: None,
            retry_after_ms: None,
            details: None,
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The delay after which the tool wants to be called again.
    #[must_use]
    pub fn retry_after_ms(mut self, milliseconds: u32) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }

    /// A code of the tool's own.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The whole error.
    #[must_use]
    pub fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = Some(json_text(&details.into()));
        self
    }
}

impl Attempt {
    /// An attempt as a native test makes it: number 1, just started, with no facts.
    #[must_use]
    pub fn new(key: impl Into<String>, outcome: impl Into<Outcome>) -> Self {
        Self {
            number: 1,
            started_at: "2026-01-01T00:00:00Z".into(),
            age_seconds: 0,
            key: key.into(),
            outcome: outcome.into(),
            facts: Vec::new(),
        }
    }
}

impl Verdict {
    /// It took effect.
    #[must_use]
    pub fn landed(reason: impl Into<String>) -> Self {
        Self::new(Effect::Landed, reason)
    }

    /// It took no effect, and the same request would be turned away again.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::new(Effect::Refused, reason)
    }

    /// It certainly took no effect, and may be tried again.
    #[must_use]
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::new(Effect::Absent, reason)
    }

    /// It may have taken effect.
    #[must_use]
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::new(Effect::Unknown, reason)
    }

    fn new(effect: Effect, reason: impl Into<String>) -> Self {
        Self {
            effect,
            reason: reason.into(),
            retry_after_ms: None,
            handles: Vec::new(),
            undid: Vec::new(),
            extras: Vec::new(),
        }
    }

    /// When trying again may help.
    #[must_use]
    pub fn retry_after_ms(mut self, milliseconds: u32) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }

    /// Takes over the delay that the tool asked for, if the outcome holds one and the attempt took no effect. A delay
    /// that the verdict has already stands.
    #[must_use]
    pub fn or_delay_of(mut self, outcome: &Outcome) -> Self {
        if let Outcome::Failed(failure) = outcome
            && matches!(self.effect, Effect::Absent | Effect::Refused)
        {
            self.retry_after_ms = self.retry_after_ms.or(failure.retry_after_ms);
        }
        self
    }

    /// Adds a name under which later calls may speak of what landed.
    #[must_use]
    pub fn handle(mut self, handle: impl Into<String>) -> Self {
        self.handles.push(handle.into());
        self
    }

    /// Adds the handle of an operation that this undid, where only the outcome names it.
    #[must_use]
    pub fn undid(mut self, handle: impl Into<String>) -> Self {
        self.undid.push(handle.into());
        self
    }
}

impl Probe {
    /// A read through this tool.
    #[must_use]
    pub fn new(tool: impl Into<String>, arguments: impl Into<Value>) -> Self {
        Self {
            tool: tool.into(),
            arguments: json_text(&arguments.into()),
            extras: Vec::new(),
        }
    }
}
