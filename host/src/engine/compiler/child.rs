//! Compiles in a child process, which takes no more memory and time than it may, and can be killed.
//!
//! The *cost* of compiling is contained. The code itself is trusted as this process trusts its own
//! compiler: it comes from a program that the embedder named, over a private pipe.

use super::{
    CompileRequest, Compiler, descriptors, gave_up,
    message::{self, ReplyKind},
};
use crate::engine::{
    code::MachineCode,
    error::LoadError,
    limits::{Limits, LoadLimits},
};
use crate::json::ShownPointer;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};
use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

/// The most that is read of a child's stderr, in bytes.
const LAST_WORDS_BYTES: u64 = 4 << 10;
/// The most that is passed on of a child's reason, in characters.
const REASON_CHARS: usize = 1 << 10;
/// The text that Rust's allocator prints when memory runs out.
const OUT_OF_MEMORY: &str = "memory allocation of";

/// Compiles in a child process: `program` with `arguments`, which does nothing but
/// [`compile_for_parent`](super::compile_for_parent).
///
/// The child limits its own memory and processor time to `compiler-memory-bytes` and `compiler-seconds` before it reads
/// the component, is killed at `deadline-seconds`, and may say no more than `code-bytes`
/// (all of [`LoadLimits`]). It has no environment, no open file but its two pipes and what it says of
/// its end, `/` for its folder, and a process group of its own; it ends when this process does.
///
/// A program usually names itself:
///
/// ```no_run
/// use semel::engine::{ChildCompiler, Engine, Limits, compile_for_parent};
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if std::env::args_os().nth(1).is_some_and(|argument| argument == "compile") {
///         return compile_for_parent();
///     }
///     let compiler = ChildCompiler::of_this_program(["compile"]).expect("this program knows where it is");
///     let engine = Engine::builder(Limits::default()).compiler(compiler).build();
///     // …
/// #   let _ = engine;
///     ExitCode::SUCCESS
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ChildCompiler {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl ChildCompiler {
    /// A child that runs `program`, which has an absolute path, with these arguments. It must be of the same build as this
    /// process, or it refuses; it is trusted as this process is.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// A child that runs this program, with these arguments.
    ///
    /// # Errors
    /// If nothing says where this program is.
    pub fn of_this_program(
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> io::Result<Self> {
        // This name stays that of the running program, even where an update has put another in its place.
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() {
            itself
        } else {
            std::env::current_exe()?
        };
        Ok(Self::new(program, arguments))
    }

    fn start(&self) -> io::Result<Child> {
        if !self.program.is_absolute() {
            return Err(io::Error::other("name it by an absolute path"));
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        descriptors::keep_three(&mut command);
        command.spawn()
    }
}

impl Compiler for ChildCompiler {
    fn compile(&self, order: &CompileRequest<'_>) -> Result<MachineCode, LoadError> {
        let child = self.start().map_err(|error| {
            gave_up(format!(
                "its program `{}` cannot be started ({error})",
                self.program.display()
            ))
        })?;
        let end = CompilerProcess::new(child)?.finish(order)?;
        end.code(order.limits)
    }
}

/// A child at work.
struct CompilerProcess {
    child: Child,
    pid: Pid,
}

/// The result of a child process.
struct ProcessResult {
    status: ExitStatus,
    reply: io::Result<(ReplyKind, Vec<u8>)>,
    bytes: u64,
    last_words: String,
    past_deadline: bool,
}

impl CompilerProcess {
    fn new(mut child: Child) -> Result<Self, LoadError> {
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            // There is no such process id.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(gave_up("its process has no id"));
        };
        Ok(Self { child, pid })
    }

    /// Hands the order over, reads the reply, and waits for the end, which the deadline brings about if nothing else does.
    fn finish(mut self, order: &CompileRequest<'_>) -> Result<ProcessResult, LoadError> {
        let stdin = self.child.stdin.take();
        let stdout = self.child.stdout.take();
        let stderr = self.child.stderr.take();
        let deadline = Duration::from_secs(u64::from(order.limits.load.deadline_seconds));
        let pid = self.pid;
        let code_bytes = u64::from(order.limits.load.code_bytes);
        let (done, is_done) = mpsc::channel::<()>();
        let (reply, bytes, last_words, past_deadline) = thread::scope(|scope| {
            let watching = scope.spawn(move || kill_at(deadline, pid, &is_done));
            // A child that is gone does not read to the end.
            scope.spawn(move || stdin.map(|stdin| message::send_order(stdin, order)));
            let listening = scope.spawn(move || stderr.map(last_words).unwrap_or_default());
            let (reply, bytes) = stdout.map_or_else(
                || (Err(io::ErrorKind::BrokenPipe.into()), 0),
                |from| read_reply(from, code_bytes),
            );
            if bytes > code_bytes {
                kill(pid);
            }
            // It stays a zombie with its id until it is reaped below, so no other process is killed
            // for it.
            wait_for_end(pid);
            drop(done);
            (
                reply,
                bytes,
                listening.join().unwrap_or_default(),
                watching.join().unwrap_or(false),
            )
        });
        let status = self
            .child
            .wait()
            .map_err(|error| gave_up(format!("its end was not seen ({error})")))?;
        Ok(ProcessResult {
            status,
            reply,
            bytes,
            last_words,
            past_deadline,
        })
    }
}

/// Kills the child at the deadline, unless it is done by then. Whether it was killed.
fn kill_at(deadline: Duration, pid: Pid, is_done: &Receiver<()>) -> bool {
    let is_late = is_done.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout);
    if is_late {
        kill(pid);
    }
    is_late
}

/// Waits for the end of a child, which is reaped later.
fn wait_for_end(pid: Pid) {
    // Whatever else it says than that a signal came in between, there is nothing more to wait for.
    while matches!(
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT
        ),
        Err(Errno::INTR)
    ) {}
}

fn kill(pid: Pid) {
    // One that has ended already needs no killing.
    let _ = kill_process(pid, Signal::KILL);
}

/// Reads the reply, unless it is code of more bytes than this. Beside it, how many bytes there are.
fn read_reply(mut from: impl Read, code_bytes: u64) -> (io::Result<(ReplyKind, Vec<u8>)>, u64) {
    let (reply, bytes) = match message::read_reply(&mut from) {
        Ok(begun) => begun,
        Err(error) => return (Err(error), 0),
    };
    if bytes > code_bytes {
        return (Err(io::ErrorKind::FileTooLarge.into()), bytes);
    }
    (
        message::read_all(from, bytes).map(|read| (reply, read)),
        bytes,
    )
}

/// Reads to the end, so that the child can say it all, and keeps the beginning.
fn last_words(mut from: impl Read) -> String {
    let mut said = Vec::new();
    let read = from.by_ref().take(LAST_WORDS_BYTES).read_to_end(&mut said);
    if read.is_ok() {
        let _ = io::copy(&mut from, &mut io::sink());
    }
    String::from_utf8_lossy(&said).into_owned()
}

impl ProcessResult {
    /// Returns the code, or the reason why there is none.
    fn code(self, limits: &Limits) -> Result<MachineCode, LoadError> {
        let load = &limits.load;
        if self.past_deadline {
            return Err(LoadError::Deadline {
                seconds: load.deadline_seconds,
            });
        }
        let found = self.bytes;
        let limit = u64::from(load.code_bytes);
        if found > limit {
            return Err(LoadError::TooLarge {
                what: "bytes of machine code",
                found,
                limit,
                name: "code-bytes",
            });
        }
        match self.reply {
            Ok((ReplyKind::Code, code)) if self.status.success() => {
                Ok(MachineCode::vouched_for(code))
            }
            Ok((ReplyKind::Malformed, reason)) => Err(LoadError::Malformed {
                reason: text(&reason),
            }),
            Ok((ReplyKind::GaveUp, reason)) => Err(gave_up(text(&reason))),
            _ => Err(death(self.status, &self.last_words, load)),
        }
    }
}

/// Why a child died that said nothing.
fn death(status: ExitStatus, last_words: &str, limits: &LoadLimits) -> LoadError {
    let signal = status.signal().and_then(Signal::from_named_raw);
    if signal == Some(Signal::XCPU) {
        return LoadError::CompilerTime {
            seconds: limits.compiler_seconds,
        };
    }
    if last_words.contains(OUT_OF_MEMORY) {
        return LoadError::CompilerMemory {
            limit: limits.compiler_memory_bytes,
        };
    }
    let said = last_words
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let said = said.map_or_else(String::new, |said| format!(": {}", ShownPointer::new(said)));
    gave_up(format!("its process ended early ({status}){said}"))
}

/// A child's text, made fit for a message.
fn text(bytes: &[u8]) -> String {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    String::from_utf8_lossy(bytes)
        .chars()
        .take(REASON_CHARS)
        .map(plain)
        .collect()
}
