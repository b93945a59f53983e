//! What may go wrong with a policy, by cause.

use crate::json::ShownPointer;
use std::fmt;

/// The most names that a message lists.
const NAMES_SHOWN: usize = 8;

/// The reason why an engine cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A limit is out of its range.
    #[error("the limit `{}` is {value}: set it between 1 and {most}", .name.replace('_', "-"))]
    Limit {
        /// Which one.
        name: &'static str,
        /// The value it is set to.
        value: u64,
        /// The largest value that makes sense.
        most: u64,
    },
    /// This machine does not let an engine run.
    #[error(
        "cannot set up the policy engine: {reason}; it reserves address space for {at_once} decisions at once: \
         lower `at-once`, or raise the limit on address space (`ulimit -v`)"
    )]
    Machine {
        /// The error of the machine.
        reason: String,
        /// The number of concurrent decisions it was set up for.
        at_once: u32,
    },
}

/// The reason why a component is not accepted as a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not WebAssembly.
    #[error("this is not WebAssembly: it begins with neither a component's nor a module's header")]
    NotWebAssembly,
    /// The bytes begin like WebAssembly, and do not go on like it.
    #[error(
        "not a valid component: {reason}; build it again, or fetch it again if it was cut short"
    )]
    Malformed {
        /// The error of the parser or the compiler.
        reason: String,
    },
    /// It is a module, and nothing in it says that it was built for the contract.
    #[error("a plain module that cannot be made a policy: {reason}; build it with `semel-guest`")]
    Module {
        /// The missing part.
        reason: String,
    },
    /// A limit on what is loaded.
    #[error("too large: {found} {what}, more than the limit of {limit} (`{name}`)")]
    TooLarge {
        /// The thing that exceeds the limit.
        what: &'static str,
        /// The amount found, which is a lower bound where the search ended early.
        found: u64,
        /// The limit.
        limit: u64,
        /// The limit's name in [`Limits`](super::Limits).
        name: &'static str,
    },
    /// It imports a function of the host. A policy has no clock, no randomness and no files.
    #[error("imports {}, and a policy may import nothing that acts: {cure}", quoted(.imports))]
    Imports {
        /// The names of the imports.
        imports: Vec<String>,
        /// The way to build it without them.
        cure: &'static str,
    },
    /// It speaks another version of the contract.
    #[error(
        "made for `{found}`, and this host speaks `semel:policy@{spoken}`: build it against that version"
    )]
    Version {
        /// The interface it names.
        found: String,
        /// The version that the host speaks.
        spoken: &'static str,
    },
    /// It leaves out part of the contract.
    #[error("does not export {}: implement the whole world `semel:policy/policy`", quoted(.missing))]
    Exports {
        /// The missing part.
        missing: Vec<String>,
    },
    /// It exports the right names with other types.
    #[error("does not fit the contract: {reason}; build it against this host's `wit/policy.wit`")]
    Contract {
        /// The difference.
        reason: String,
    },
    /// It is put together from components that call each other, and what passes between them is not metered.
    #[error("composed of several components that call each other: link them into one")]
    Composed,
    /// Compiling it took too long, or others that are compiled left no room.
    #[error(
        "not compiled within {seconds} s (`deadline-seconds`): make it smaller, or raise the limit"
    )]
    Deadline {
        /// The deadline.
        seconds: u32,
    },
    /// A child that compiled it wanted more memory than it may have.
    #[error(
        "compiling it takes more than {limit} bytes of memory (`compiler-memory-bytes`): make it smaller, or raise the limit"
    )]
    CompilerMemory {
        /// The limit.
        limit: u64,
    },
    /// A child that compiled it wanted more time of a processor than it may have.
    #[error(
        "compiling it takes more than {seconds} s of a processor (`compiler-seconds`): make it smaller, or raise the limit"
    )]
    CompilerTime {
        /// The limit.
        seconds: u32,
    },
    /// An instance of it takes more than the engine has room for.
    #[error("does not fit into this engine: {reason}; make it smaller, or raise the limit")]
    DoesNotFit {
        /// The thing that exceeds the limit.
        reason: String,
    },
    /// The compiler gave up.
    #[error("the compiler gave up on it: {reason}")]
    Compiler {
        /// The reason, as far as it is known.
        reason: String,
    },
    /// Its description is invalid.
    #[error("describes itself badly: {what}")]
    Description {
        /// The mistake in it.
        what: String,
    },
    /// It refuses its settings.
    #[error("the policy `{policy}` refuses its settings: {message}")]
    Settings {
        /// Which policy.
        policy: String,
        /// The policy's message about them.
        message: String,
    },
    /// It failed at once.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// A function of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyFunction {
    /// Starting an instance.
    Start,
    /// `about.describe`
    Describe,
    /// `about.configure`
    Configure,
    /// `key.derive`
    Derive,
    /// `retry.judge`
    Judge,
    /// `retry.recover`
    Recover,
    /// `retry.weigh`
    Weigh,
}

impl fmt::Display for PolicyFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Describe => "describe",
            Self::Configure => "configure",
            Self::Derive => "derive",
            Self::Judge => "judge",
            Self::Recover => "recover",
            Self::Weigh => "weigh",
        })
    }
}

/// A policy made no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy `{policy}` made no decision (`{function}`): {kind}")]
pub struct PolicyError {
    /// Which policy.
    pub policy: String,
    /// The function that was called.
    pub function: PolicyFunction,
    /// Why it did not answer.
    pub kind: PolicyErrorKind,
}

/// The reason why a policy made no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyErrorKind {
    /// It gave up, or did what no WebAssembly may.
    #[error("it trapped: {reason}")]
    Trapped {
        /// The trap.
        reason: String,
    },
    /// It ran too long.
    #[error("it used up its fuel of {limit} (`fuel`): does it loop for ever?")]
    Fuel {
        /// The limit.
        limit: u64,
    },
    /// It called itself too deeply.
    #[error("it used up its stack of {limit} bytes (`stack-bytes`): does it call itself for ever?")]
    Stack {
        /// The limit.
        limit: u32,
    },
    /// It wanted more memory or table space than it may have, and failed for it.
    #[error(
        "it wanted more than {limit} bytes of memory (`memory-bytes`) or more table entries than it may have"
    )]
    Memory {
        /// The limit.
        limit: u64,
    },
    /// Its input is too large.
    #[error("what it would be given takes {bytes} bytes, more than {limit} (`input-bytes`)")]
    InputTooLarge {
        /// The size of the input.
        bytes: u64,
        /// The limit.
        limit: u32,
    },
    /// It answered too much.
    #[error("its answer takes more than {limit} bytes (`answer-bytes`)")]
    AnswerTooLarge {
        /// The limit.
        limit: u32,
    },
    /// Its answer means nothing.
    #[error("its answer makes no sense: {what}")]
    BadAnswer {
        /// Where, and why.
        what: String,
    },
    /// It says itself that it cannot decide.
    #[error("it refused: {message}")]
    Refused {
        /// Its own words.
        message: String,
    },
    /// The host could not give it a place to run.
    #[error("no instance of it can start: {reason}")]
    NoInstance {
        /// The error of the machine.
        reason: String,
    },
}

/// Names as a message shows them: not all, where there are many, and none at length.
fn quoted(names: &[String]) -> String {
    let shown = |name: &String| ShownPointer::new(name).to_string();
    let mut text = names
        .iter()
        .take(NAMES_SHOWN)
        .map(shown)
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more @ 1..) = names.len().checked_sub(NAMES_SHOWN) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
