//! Bytes that no person would write: generated modules and components, and real policies with bytes changed. None of
//! them makes the host panic or keeps it busy; what loads decides, or fails by a typed cause.
//!
//! A run is told by its seed. `cargo xtask fuzz --minutes N --seed S` goes on for longer.

use crate::{
    assemble::Guest,
    guests::{asked_everything, of_load, processor_time},
};
use arbitrary::{Arbitrary, Unstructured};
use semel::engine::{Engine, Limits, LoadError};
use serde_json::json;
use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The most that one of them may take of a processor.
const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(2);

/// Numbers that only look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// How long a run is: so many cases, or so many minutes if somebody asks for them.
struct Run {
    seed: u64,
    cases: u64,
    until: Option<Instant>,
}

impl Run {
    fn of(cases: u64) -> Self {
        let asked = |name| {
            env::var(name)
                .ok()
                .map(|value| value.parse::<u64>().expect("a number"))
        };
        let until = asked("SEMEL_FUZZ_MINUTES")
            .map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        Self {
            seed: asked("SEMEL_FUZZ_SEED").unwrap_or(1),
            cases,
            until,
        }
    }

    fn goes_on(&self, case: u64) -> bool {
        self.until
            .map_or(case < self.cases, |until| Instant::now() < until)
    }

    /// Lets `make` make one after the other, and the engine take each. How many there were, and of how many the code ran.
    #[expect(clippy::print_stdout, reason = "a long run tells how far it went")]
    fn each(&self, make: impl Fn(u64, &mut Random) -> Option<Vec<u8>>) -> (u64, u64) {
        let (engine, runtime) = (engine(), Runtime::new().unwrap());
        let (mut case, mut made, mut ran) = (0, 0, 0);
        while self.goes_on(case) {
            let mut random = Random(self.seed.wrapping_mul(1 << 32).wrapping_add(case));
            if let Some(bytes) = make(case, &mut random) {
                made += 1;
                fs::write(file(), &bytes).unwrap();
                let begun = processor_time();
                let took = catch_unwind(AssertUnwindSafe(|| take(&engine, &runtime, &bytes)));
                let (time, shown) = (
                    processor_time() - begun,
                    format!("seed {}, case {case}, {}", self.seed, file().display()),
                );
                assert!(time < PROCESSOR_TIME_MAX, "{time:?}: {shown}");
                ran += u64::from(took.unwrap_or_else(|_| panic!("see above: {shown}")));
            }
            case += 1;
        }
        fs::remove_file(file()).unwrap();
        println!("seed {}: {made} taken in, of {ran} the code ran", self.seed);
        (made, ran)
    }
}

/// Where what is taken in lies meanwhile: whoever runs out of stack has no time to tell of it.
fn file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.wasm", std::process::id()))
}

/// Generated modules have tables and memories of their own; and a decision of theirs need not last.
fn engine() -> Engine {
    let mut limits = Limits::default();
    limits.decision.at_once = 2;
    (
        limits.decision.memories,
        limits.decision.tables,
        limits.decision.fuel,
    ) = (4, 16, 2_000_000);
    Engine::builder(limits).snapshot_settings().build().unwrap()
}

/// Whether its code ran. Panics where the fault is none that such bytes may have.
fn take(engine: &Engine, runtime: &Runtime, bytes: &[u8]) -> bool {
    match runtime.block_on(engine.load(bytes, json!({}))) {
        Ok(policy) => {
            asked_everything(&policy);
            true
        }
        Err(fault) => {
            of_load(&fault);
            // It was compiled and started, and came to nothing.
            matches!(fault, LoadError::Policy(_))
        }
    }
}

/// What wasm-smith makes of random bytes. It has no imports, or nothing of it would ever run.
fn module(random: &mut Random) -> Option<Vec<u8>> {
    let bytes = {
        let count = 256 + random.below(2_048);
        random.bytes(count)
    };
    let config = wasm_smith::Config {
        max_imports: 0,
        max_memories: 2,
        threads_enabled: false,
        ..wasm_smith::Config::default()
    };
    Some(
        wasm_smith::Module::new(config, &mut Unstructured::new(&bytes))
            .ok()?
            .to_bytes(),
    )
}

fn component(random: &mut Random) -> Option<Vec<u8>> {
    let bytes = {
        let count = 256 + random.below(2_048);
        random.bytes(count)
    };
    Some(
        wasm_smith::Component::arbitrary(&mut Unstructured::new(&bytes))
            .ok()?
            .to_bytes(),
    )
}

/// A good policy that starts a second module besides: code of nobody's runs whenever an instance starts.
fn with_module(policy: &[u8], module: &[u8]) -> Vec<u8> {
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCE: u8 = 2;
    // One instance: of the second module, with nothing given to it.
    let started = [1, 0, 1, 0];
    [
        policy,
        &crate::bombs::section(CORE_MODULE, module),
        &crate::bombs::section(CORE_INSTANCE, &started),
    ]
    .concat()
}

/// A policy with some bytes changed, doubled or missing.
fn altered(policy: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = policy.to_vec();
    // Most of what many changes make is no WebAssembly at all.
    let changes = if random.below(4) == 0 { 4 } else { 1 };
    for _ in 0..changes {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(8) {
            0..4 => bytes[at] ^= 1 << random.below(8),
            4 => bytes[at] = random.next().to_le_bytes()[0],
            5 => drop(bytes.drain(at..end)),
            6 => {
                let doubled = bytes[at..end].to_vec();
                bytes.splice(at..at, doubled);
            }
            _ => {
                let other = random.below(bytes.len());
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

#[test]
fn generated_modules_and_components_do_no_harm() {
    let lean = Guest::lean().component();
    let (made, ran) = Run::of(2_000).each(|case, random| match case % 4 {
        0 => module(random),
        1 => component(random),
        _ => Some(with_module(&lean, &module(random)?)),
    });
    assert!(
        made > 500 && ran * 50 > made,
        "of {ran} of {made} the code ran"
    );
}

#[test]
fn policies_with_bytes_changed_do_no_harm() {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("policies")
        .join("hints.wasm");
    let hints = fs::read(&built)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask policies`", built.display()));
    let (component, module) = (Guest::lean().component(), Guest::lean().module());
    let (made, ran) = Run::of(5_000).each(|case, random| {
        Some(match case % 32 {
            0 => altered(&hints, random),
            1..8 => altered(&module, random),
            _ => altered(&component, random),
        })
    });
    assert!(
        made > 500 && ran * 50 > made,
        "of {ran} of {made} the code ran"
    );
}
