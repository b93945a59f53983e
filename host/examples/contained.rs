//! A host that compiles in a child of itself, and tells what a policy is: `contained POLICY.wasm`.
//!
//! Where strangers write policies, the compiler is what they can keep busy or fill with memory. Here it is a process of
//! its own, which limits itself, and which the host kills at its deadline.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use semel::engine::{ChildCompiler, Engine, Limits, compile_for_parent};
use std::{error::Error, process::ExitCode};

/// How this program tells that it is the child.
const COMPILE: &str = "compile-for-parent";

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    // Before anything else: the child has three open files, and is to have no more.
    if asked == COMPILE {
        return compile_for_parent();
    }
    match tell(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{asked}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(path: &str) -> Result<(), Box<dyn Error>> {
    let compiler = ChildCompiler::of_this_program([COMPILE])?;
    let engine = Engine::builder(Limits::default())
        .compiler(compiler)
        .build()?;
    let component = std::fs::read(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (description, inspection) = runtime.block_on(engine.inspect(&component))?;
    println!(
        "{} {}: {}",
        description.name, description.version, description.summary
    );
    println!("{} bytes of machine code", inspection.code_bytes);
    Ok(())
}
