//! A component that keeps the compiler busy, or fills its memory, costs a child process: never the host.
//!
//! The children here are those of the command line, which lies beside the tests when the whole workspace is built.

use crate::{assemble::Guest, call, load};
use semel::{
    engine::{
        ChildCompiler, CompileRequest, Compiler, Engine, InProcessCompiler, Limits, LoadError,
        MachineCode,
    },
    model::Derivation,
};
use serde_json::json;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("semel");
    assert!(
        program.exists(),
        "`{}` is missing: test with `--workspace --all-targets`",
        program.display()
    );
    program
}

fn compiler() -> ChildCompiler {
    ChildCompiler::new(program(), ["compile-for-parent"])
}

fn engine_of(compiler: impl Compiler + 'static, change: impl FnOnce(&mut Limits)) -> Engine {
    let mut limits = Limits::default();
    limits.decision.at_once = 4;
    // The counts that keep such components out are off: what holds here is the child.
    (limits.load.tangle, limits.load.merges) = (u64::MAX, 1 << 30);
    change(&mut limits);
    Engine::builder(limits)
        .compiler(compiler)
        .snapshot_settings()
        .build()
        .unwrap()
}

fn engine(change: impl FnOnce(&mut Limits)) -> Engine {
    engine_of(compiler(), change)
}

/// Compiling it takes some 2 s.
fn busy() -> Guest {
    Guest::lean().with(
        "items",
        format!(
            "(func (param i32) {})",
            "(loop (br_if 0 (local.get 0)))".repeat(4_000)
        ),
    )
}

/// Compiling it takes some 300 MiB: every variable may have come from any of the branches before it is used.
fn greedy() -> Guest {
    let branch = |at| format!("(if (local.get 0) (then (local.set {at} (i32.const 1))))");
    let branches: String = (1..1_000).map(branch).collect();
    let sum: String = (1..2_000)
        .map(|at| format!("(i32.add (local.get {at}))"))
        .collect();
    let variables = "i32 ".repeat(2_000);
    Guest::lean().with(
        "items",
        format!(
            "(func (param i32) (result i32) (local {variables}) {branches} (i32.const 0) {sum})"
        ),
    )
}

async fn is_alive(engine: &Engine) {
    assert_eq!(
        load(engine, &Guest::lean()).await.unwrap().derive(&call()),
        Ok(Derivation::Pass)
    );
}

#[tokio::test]
async fn what_a_child_compiles_runs_as_what_the_host_compiles() {
    let [child, host] = [engine(|_| {}), crate::engine()];
    for guest in [
        Guest::lean(),
        Guest::lean().with("derive", "(return (i32.const 1280))"),
    ] {
        let [by_child, by_host] = [
            load(&child, &guest).await.unwrap(),
            load(&host, &guest).await.unwrap(),
        ];
        assert_eq!(by_child.inspection(), by_host.inspection(), "the same code");
        assert_eq!(by_child.derive(&call()), by_host.derive(&call()));
    }
}

#[tokio::test]
async fn what_is_not_valid_is_told_by_a_child_too() {
    let wrong = Guest::lean()
        .with("items", "(func (result i32) (i32.const 1))")
        .component();
    let at = wrong
        .windows(3)
        .position(|code| code == [0x41, 0x01, 0x0b])
        .unwrap();
    let wrong = [&wrong[..at], &[0x42], &wrong[at + 1..]].concat();
    let told = async |engine: Engine| engine.load(&wrong, json!({})).await.unwrap_err();
    let by_child = told(engine(|_| {})).await;
    assert!(
        matches!(by_child, LoadError::Malformed { .. }),
        "{by_child}"
    );
    assert_eq!(by_child, told(crate::engine()).await);
}

#[tokio::test]
async fn memory_of_a_child_ends_at_its_limit() {
    let engine = engine(|limits| limits.load.compiler_memory_bytes = 192 << 20);
    let fault = load(&engine, &greedy()).await.unwrap_err();
    assert_eq!(fault, LoadError::CompilerMemory { limit: 192 << 20 });
    assert!(
        fault.to_string().contains("`compiler-memory-bytes`"),
        "{fault}"
    );
    is_alive(&engine).await;
}

#[tokio::test]
async fn time_of_a_child_ends_at_its_limit() {
    let engine = engine(|limits| limits.load.compiler_seconds = 1);
    let fault = load(&engine, &busy()).await.unwrap_err();
    assert_eq!(fault, LoadError::CompilerTime { seconds: 1 });
    is_alive(&engine).await;
}

#[tokio::test]
async fn a_child_is_killed_at_the_deadline() {
    let engine = engine(|limits| limits.load.deadline_seconds = 1);
    let begun = Instant::now();
    let fault = load(&engine, &busy()).await.unwrap_err();
    assert_eq!(fault, LoadError::Deadline { seconds: 1 });
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    is_alive(&engine).await;
    // Who asked is told at the deadline; the child is killed at the same moment.
    while !children().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "a child, or its zombie, is left: {:?}",
            children()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The children of this process, dead or alive.
fn children() -> Vec<String> {
    let parent = format!("\nPPid:\t{}\n", std::process::id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let status =
        processes.filter_map(|process| fs::read_to_string(process.path().join("status")).ok());
    status.filter(|status| status.contains(&parent)).collect()
}

#[tokio::test]
async fn with_the_limits_raised_the_same_components_are_compiled() {
    let engine = engine(|_| {});
    for guest in [greedy(), busy()] {
        load(&engine, &guest).await.unwrap();
    }
}

#[tokio::test]
async fn code_of_too_many_bytes_is_not_taken() {
    let engine = engine(|limits| limits.load.code_bytes = 4096);
    let fault = load(&engine, &Guest::lean()).await.unwrap_err();
    assert!(
        matches!(
            fault,
            LoadError::TooLarge {
                name: "code-bytes",
                limit: 4096,
                ..
            }
        ),
        "{fault}"
    );
}

#[tokio::test]
async fn a_program_that_is_no_compiler_is_told() {
    let told = async |program: &str, arguments: &[&str]| {
        let compiler = ChildCompiler::new(program, arguments);
        let fault = load(&engine_of(compiler, |_| {}), &Guest::lean())
            .await
            .unwrap_err();
        assert!(matches!(fault, LoadError::Compiler { .. }), "{fault}");
        fault.to_string()
    };
    assert!(
        told("/does/not/exist", &[])
            .await
            .contains("cannot be started")
    );
    assert!(told("semel", &[]).await.contains("absolute path"));
    assert!(told("/bin/true", &[]).await.contains("ended early"));
    assert!(
        told("/bin/sh", &["-c", "echo no such luck >&2; exit 3"])
            .await
            .contains("no such luck")
    );
    assert!(
        told("/bin/sh", &["-c", "kill -SEGV $$"])
            .await
            .contains("signal: 11")
    );
    // It says that code follows, and dies.
    assert!(
        told("/bin/sh", &["-c", r"printf '\0\0\0\1\0'; exit 1"])
            .await
            .contains("ended early")
    );
}

#[tokio::test]
async fn a_child_that_never_says_anything_is_killed_at_the_deadline() {
    let silent = ChildCompiler::new("/bin/sh", ["-c", "exec sleep 60"]);
    // It hangs up, and stays.
    let gone = ChildCompiler::new("/bin/sh", ["-c", "exec sleep 60 <&- >&- 2>&-"]);
    for compiler in [silent, gone] {
        let engine = engine_of(compiler, |limits| limits.load.deadline_seconds = 1);
        let begun = Instant::now();
        let fault = load(&engine, &Guest::lean()).await.unwrap_err();
        assert_eq!(fault, LoadError::Deadline { seconds: 1 });
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
}

/// A compiler of the embedder's own, which asks another.
struct OfTheEmbedder;

impl Compiler for OfTheEmbedder {
    fn compile(&self, order: &CompileRequest<'_>) -> Result<MachineCode, LoadError> {
        assert!(order.component().len() > 100 && order.limits().load.functions > 0);
        InProcessCompiler.compile(order)
    }
}

#[tokio::test]
async fn an_embedder_can_pass_a_compiler_of_its_own_in() {
    is_alive(&engine_of(OfTheEmbedder, |_| {})).await;
}

#[tokio::test]
async fn a_child_has_no_environment_no_open_files_and_no_folder_of_its_parents() {
    let (out, kept) = (
        tempfile::NamedTempFile::new().unwrap(),
        tempfile::tempfile().unwrap(),
    );
    // What this process inherited itself is not marked to be closed.
    rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).unwrap();
    let script = format!(
        "exec > {}; env; pwd; ls -l /proc/$$/fd",
        out.path().display()
    );
    let compiler = ChildCompiler::new("/bin/sh", ["-c", &script]);
    load(&engine_of(compiler, |_| {}), &Guest::lean())
        .await
        .unwrap_err();
    let seen = fs::read_to_string(out.path()).unwrap();
    let open = seen.lines().filter(|line| line.contains(" -> ")).count();
    assert_eq!(open, 3, "{seen}");
    assert!(seen.contains("\n/\n") && !seen.contains("CARGO"), "{seen}");
    // And a child that is started otherwise has it.
    let mut plain = Command::new("/bin/sh");
    let plain = plain
        .args(["-c", "ls -l /proc/$$/fd"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&plain.stdout)
            .lines()
            .filter(|line| line.contains(" -> "))
            .count()
            > 3
    );
}
