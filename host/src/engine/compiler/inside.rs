//! What a compiling child does: limits itself, reads an order, compiles it, hands the code over.

use super::{
    CompileRequest, Compiler, InProcessCompiler, STACK_BYTES,
    message::{self, ReceivedRequest, ReplyKind},
};
use crate::engine::{error::LoadError, limits::LoadLimits};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{io, process::ExitCode, thread};

/// Compiles what the parent hands over on stdin, and hands the code back on stdout.
///
/// This is all that the program named to [`ChildCompiler`](super::ChildCompiler) does, before it does anything else:
/// what it takes is limited from here on, for the whole process and for good. It returns when the work is done.
pub fn compile_for_parent() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of stdout has gone, or was never a host.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    end_with_parent()?;
    let mut stdin = io::stdin().lock();
    let ordered = message::read_order(&mut stdin)?;
    confine(&ordered.limits.load)?;
    let component = message::read_all(stdin, ordered.bytes.into())?;
    let (reply, bytes) = match compiled(&ordered, &component) {
        Ok(code) => (ReplyKind::Code, code),
        Err(LoadError::Malformed { reason }) => (ReplyKind::Malformed, reason.into_bytes()),
        Err(LoadError::Compiler { reason }) => (ReplyKind::GaveUp, reason.into_bytes()),
        Err(fault) => (ReplyKind::GaveUp, fault.to_string().into_bytes()),
    };
    message::send_reply(io::stdout().lock(), reply, &bytes)
}

/// Compiles on a thread with a stack of its own size, however this process was started.
fn compiled(ordered: &ReceivedRequest, component: &[u8]) -> Result<Vec<u8>, LoadError> {
    let order = CompileRequest {
        component,
        limits: &ordered.limits,
        engine: ordered.engine,
    };
    thread::scope(|scope| {
        let compile = || {
            InProcessCompiler
                .compile(&order)
                .map(|code| code.as_bytes().to_vec())
        };
        let compiling = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, compile);
        let compiling =
            compiling.map_err(|error| super::gave_up(format!("no thread for it ({error})")))?;
        compiling
            .join()
            .unwrap_or_else(|_| Err(super::gave_up("it panicked")))
    })
}

/// Nothing that this process does may take more.
fn confine(limits: &LoadLimits) -> io::Result<()> {
    let fixed = |most: u64| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let seconds = u64::from(limits.compiler_seconds);
    // At the first of the two a signal reports the reason to the parent; the second cannot be
    // ignored.
    setrlimit(
        Resource::Cpu,
        Rlimit {
            current: Some(seconds),
            maximum: Some(seconds + 1),
        },
    )?;
    setrlimit(Resource::As, fixed(limits.compiler_memory_bytes))?;
    // It writes no file, and leaves none behind when it dies.
    setrlimit(Resource::Core, fixed(0))?;
    setrlimit(Resource::Fsize, fixed(0))?;
    Ok(())
}

/// A child of a killed parent compiles for no host.
#[cfg(target_os = "linux")]
fn end_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        rustix::process::Signal::KILL,
    ))?)
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> io::Result<()> {
    Ok(())
}
