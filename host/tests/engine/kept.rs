//! Code that was compiled once is found again by every process of the same user, and by nobody else's leave.

use crate::{assemble::Guest, call, load};
use semel::{
    engine::{
        CodeCache, CompileRequest, Compiler, Engine, InProcessCompiler, Limits, LoadError,
        MachineCode,
    },
    model::Derivation,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;

/// Counts how often it is asked.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Compiler for Counting {
    fn compile(&self, order: &CompileRequest<'_>) -> Result<MachineCode, LoadError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        InProcessCompiler.compile(order)
    }
}

struct Bench {
    folder: TempDir,
    compiler: Counting,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            compiler: Counting::default(),
        }
    }

    /// An engine as another process would have it.
    fn engine(&self, change: impl FnOnce(&mut Limits)) -> Engine {
        let mut limits = Limits::default();
        limits.decision.at_once = 4;
        change(&mut limits);
        let cache = CodeCache::in_folder(self.folder.path().join("code"));
        Engine::builder(limits)
            .compiler(self.compiler.clone())
            .cache(cache)
            .build()
            .unwrap()
    }

    async fn load(&self, guest: &Guest) -> Result<(), LoadError> {
        let policy = load(&self.engine(|_| {}), guest).await?;
        assert_eq!(policy.derive(&call()), Ok(Derivation::Pass));
        Ok(())
    }

    fn compiled(&self) -> usize {
        self.compiler.0.load(Ordering::Relaxed)
    }

    fn entry(&self) -> std::path::PathBuf {
        let files = fs::read_dir(self.folder.path().join("code"))
            .unwrap()
            .flatten();
        files
            .map(|file| file.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "code"))
            .unwrap()
    }
}

#[tokio::test]
async fn a_component_is_compiled_once_and_told_of_in_the_same_words() {
    let bench = Bench::new();
    let guest = Guest::lean();
    let first = load(&bench.engine(|_| {}), &guest).await.unwrap();
    let again = load(&bench.engine(|_| {}), &guest).await.unwrap();
    assert_eq!(bench.compiled(), 1);
    assert_eq!(first.inspection(), again.inspection());
    assert_eq!(
        (first.digest(), first.derive(&call())),
        (again.digest(), again.derive(&call()))
    );
    // A plain module too, which is made a component first.
    for _ in 0..2 {
        let policy = bench
            .engine(|_| {})
            .load(&guest.module(), serde_json::json!({}))
            .await
            .unwrap();
        assert!(policy.inspection().from_module);
    }
    assert_eq!(bench.compiled(), 2);
}

#[tokio::test]
async fn another_component_other_limits_and_another_engine_have_code_of_their_own() {
    let bench = Bench::new();
    bench.load(&Guest::lean()).await.unwrap();
    bench
        .load(&Guest::lean().with("items", "(func)"))
        .await
        .unwrap();
    assert_eq!(bench.compiled(), 2);
    // What was let in under wide limits is not let in by its code under narrow ones.
    let narrow = bench.engine(|limits| limits.load.functions = 1);
    assert!(matches!(
        load(&narrow, &Guest::lean()).await,
        Err(LoadError::TooLarge {
            name: "functions",
            ..
        })
    ));
    assert_eq!(bench.compiled(), 2);
}

#[tokio::test]
async fn what_is_not_as_it_was_left_is_compiled_again_and_the_call_goes_on() {
    let bench = Bench::new();
    bench.load(&Guest::lean()).await.unwrap();
    let spoil: [fn(&Path); 4] = [
        |entry| {
            let mut bytes = fs::read(entry).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(entry, bytes).unwrap();
        },
        |entry| fs::write(entry, b"").unwrap(),
        |entry| fs::write(entry.with_file_name("key"), [0; 32]).unwrap(),
        |entry| fs::set_permissions(entry, fs::Permissions::from_mode(0o660)).unwrap(),
    ];
    for (round, spoil) in spoil.into_iter().enumerate() {
        spoil(&bench.entry());
        bench.load(&Guest::lean()).await.unwrap();
        bench.load(&Guest::lean()).await.unwrap();
        assert_eq!(bench.compiled(), round + 2, "once more, and kept again");
    }
}

#[tokio::test]
async fn a_folder_that_others_may_write_to_is_not_used_and_no_call_fails_for_it() {
    let bench = Bench::new();
    let folder = bench.folder.path().join("code");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    for _ in 0..2 {
        bench.load(&Guest::lean()).await.unwrap();
    }
    assert_eq!(bench.compiled(), 2);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[tokio::test]
async fn what_could_not_be_compiled_is_not_kept() {
    let bench = Bench::new();
    let guest = Guest::lean().with("items", "(func)".repeat(50_001));
    bench.load(&guest).await.unwrap_err();
    assert!(
        !bench.folder.path().join("code").exists()
            || CodeCache::in_folder(bench.folder.path().join("code"))
                .state()
                .unwrap()
                .entries
                == 0
    );
}
