//! Whatever a guest does, under whatever limits: a typed error within bounded time and memory, the host alive, and the
//! next decision of a good policy made.
//!
//! `guests/table.rs` lists what guests do. Each is let in under the default limits and under each limit at its smallest
//! useful value; the controls show that it was the limit that stopped them.

mod table;

use crate::{assemble::Guest, call, decisions::attempts};
use semel::{
    engine::{Engine, Limits, LoadError, Policy, PolicyError, PolicyErrorKind, PolicyFunction},
    model::{Derivation, Outcome, Probe},
};
use serde_json::json;
use std::{fs, time::Duration};

/// The most that a case may take of the processor: compiling, and three decisions.
const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(2);
/// The most memory that a case may take: twice what a guest may have, and what compiling takes.
const MEMORY_MAX: u64 = 192 << 20;

/// What a guest is made of.
enum Made {
    /// The lean guest with its slots filled.
    Of(Guest),
    /// These bytes.
    As(Vec<u8>),
}

/// A guest, what it is asked, and what comes of that under the default limits.
struct Case {
    name: &'static str,
    made: Made,
    asked: PolicyFunction,
    comes_to: &'static str,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match &self.made {
            Made::Of(guest) => guest.component(),
            Made::As(bytes) => bytes.clone(),
        }
    }
}

type Change = fn(&mut Limits);

/// Each limit of a decision, at its smallest value that lets the lean guest run.
const SMALL: [(&str, Change); 13] = [
    ("fuel", |limits| limits.decision.fuel = 20_000),
    ("memory-bytes", |limits| {
        limits.decision.memory_bytes = 4 << 16
    }),
    ("memories", |limits| limits.decision.memories = 1),
    ("tables", |limits| limits.decision.tables = 1),
    ("table-elements", |limits| {
        limits.decision.table_elements = 8
    }),
    ("core-instances", |limits| {
        limits.decision.core_instances = 4
    }),
    ("stack-bytes", |limits| {
        limits.decision.stack_bytes = 16 << 10
    }),
    ("input-bytes", |limits| {
        limits.decision.input_bytes = 4 << 10
    }),
    ("answer-bytes", |limits| {
        limits.decision.answer_bytes = 1 << 10
    }),
    ("list-items", |limits| limits.decision.list_items = 1),
    ("text-bytes", |limits| limits.decision.text_bytes = 16),
    ("json-depth", |limits| limits.decision.json_depth = 1),
    ("at-once and kept-bytes", |limits| {
        (limits.decision.at_once, limits.decision.kept_bytes) = (1, 1)
    }),
];

fn engine(change: Change) -> Engine {
    let mut limits = Limits::default();
    limits.decision.at_once = 2;
    change(&mut limits);
    Engine::builder(limits).snapshot_settings().build().unwrap()
}

/// What came of a guest, in a few words.
async fn comes_to(engine: &Engine, bytes: &[u8], asked: PolicyFunction) -> String {
    let policy = match engine.load(bytes, json!({})).await {
        Ok(policy) => policy,
        Err(fault) => return format!("load: {}", of_load(&fault)),
    };
    let first = ask(&policy, asked);
    assert_eq!(first, ask(&policy, asked), "asked again it says the same");
    first.map_or_else(|fault| of_policy(&fault), |()| "decides".to_owned())
}

fn ask(policy: &Policy, asked: PolicyFunction) -> Result<(), PolicyError> {
    let (call, attempts) = (call(), attempts());
    let probe = Probe {
        tool: "find".to_owned(),
        arguments: json!({}).into(),
    };
    match asked {
        PolicyFunction::Judge => policy.judge(&call, &attempts).map(drop),
        PolicyFunction::Recover => policy.recover(&call, &attempts).map(drop),
        PolicyFunction::Weigh => policy
            .weigh(&call, &attempts, &probe, &Outcome::returned(json!({})))
            .map(drop),
        _ => policy.derive(&call).map(drop),
    }
}

pub(crate) fn of_load(fault: &LoadError) -> String {
    match fault {
        LoadError::NotWebAssembly => "not-webassembly".to_owned(),
        LoadError::Malformed { .. } => "malformed".to_owned(),
        LoadError::Module { .. } => "module".to_owned(),
        LoadError::TooLarge { name, .. } => (*name).to_owned(),
        LoadError::Imports { .. } => "imports".to_owned(),
        LoadError::Version { .. } => "version".to_owned(),
        LoadError::Exports { .. } => "exports".to_owned(),
        LoadError::Contract { .. } => "contract".to_owned(),
        LoadError::Composed => "composed".to_owned(),
        LoadError::DoesNotFit { .. } => "does-not-fit".to_owned(),
        LoadError::Description { .. } => "description".to_owned(),
        LoadError::Settings { .. } => "settings".to_owned(),
        LoadError::Policy(fault) => of_policy(fault),
        // Nothing here may keep the compiler busy, use up its child or make it give up.
        other => panic!("{other}"),
    }
}

/// Asks a policy all that it may be asked; how it answers is its own affair.
pub(crate) fn asked_everything(policy: &Policy) {
    for asked in [
        PolicyFunction::Derive,
        PolicyFunction::Judge,
        PolicyFunction::Recover,
        PolicyFunction::Weigh,
    ] {
        let _ = ask(policy, asked).map_err(|fault| of_policy(&fault));
    }
}

fn of_policy(fault: &PolicyError) -> String {
    let cause = match fault.kind {
        PolicyErrorKind::Trapped { .. } => "trap",
        PolicyErrorKind::Fuel { .. } => "fuel",
        PolicyErrorKind::Stack { .. } => "stack",
        PolicyErrorKind::Memory { .. } => "memory",
        PolicyErrorKind::InputTooLarge { .. } => "input",
        PolicyErrorKind::AnswerTooLarge { .. } => "answer",
        PolicyErrorKind::BadAnswer { .. } => "nonsense",
        PolicyErrorKind::Refused { .. } => "refused",
        PolicyErrorKind::NoInstance { .. } => panic!("{fault}"),
    };
    format!("{}: {cause}", fault.function)
}

/// What a case took of the processor and of memory at its peak.
struct Taken {
    time: Duration,
    bytes: u64,
}

struct Meter {
    time: Duration,
    bytes: u64,
}

impl Meter {
    fn start() -> Self {
        // From now on the peak is counted anew.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        Self {
            time: processor_time(),
            bytes: in_status("VmRSS:"),
        }
    }

    fn stop(self) -> Taken {
        Taken {
            time: processor_time() - self.time,
            bytes: in_status("VmHWM:").saturating_sub(self.bytes),
        }
    }
}

pub(crate) fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        now.tv_sec.cast_unsigned(),
        u32::try_from(now.tv_nsec).unwrap(),
    )
}

fn in_status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn guests() -> Vec<(Case, Vec<u8>)> {
    let made = |case: Case| {
        let bytes = case.bytes();
        (case, bytes)
    };
    table::cases().into_iter().map(made).collect()
}

/// Lets every guest in under these limits, and says what came of each.
async fn all<'a>(
    guests: &'a [(Case, Vec<u8>)],
    limit: &str,
    change: Change,
) -> Vec<(&'a Case, String)> {
    let engine = engine(change);
    let good = engine
        .load(&Guest::lean().component(), json!({}))
        .await
        .unwrap();
    let mut came = Vec::new();
    for (case, bytes) in guests {
        let meter = Meter::start();
        let what = comes_to(&engine, bytes, case.asked).await;
        let Taken { time, bytes } = meter.stop();
        let shown = format!("{} under {limit}: {what}", case.name);
        assert!(time < PROCESSOR_TIME_MAX, "{shown}: {time:?}");
        assert!(bytes < MEMORY_MAX, "{shown}: {} MiB", bytes >> 20);
        assert_eq!(good.derive(&call()), Ok(Derivation::Pass), "after {shown}");
        came.push((case, what));
    }
    came
}

#[tokio::test]
async fn each_comes_to_its_own_fault_under_the_default_limits() {
    let guests = guests();
    let came = all(&guests, "the defaults", |_| {}).await;
    let other: Vec<_> = came
        .iter()
        .filter(|(case, what)| case.comes_to != what)
        .map(|(case, what)| format!("{}: {what}, not {}", case.name, case.comes_to))
        .collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert!(came.len() >= 120, "{}", came.len());
}

/// A smaller limit stops more, or stops it sooner; it lets nothing through that the defaults stop.
async fn nothing_more_passes(limits: &[(&str, Change)]) {
    let guests = guests();
    for (limit, change) in limits {
        for (case, what) in all(&guests, limit, *change).await {
            let passes = what == "decides";
            assert!(
                !passes || case.comes_to == "decides",
                "{} under {limit}: {what}",
                case.name
            );
        }
    }
}

#[tokio::test]
async fn none_gets_further_under_smaller_limits_of_what_it_takes() {
    nothing_more_passes(&SMALL[..7]).await;
}

#[tokio::test]
async fn none_gets_further_under_smaller_limits_of_what_it_is_told_and_says() {
    nothing_more_passes(&SMALL[7..]).await;
}

/// With a limit raised, what it stopped goes further: to its end, or to what is wrong with it besides.
#[tokio::test]
async fn control_each_was_stopped_by_its_limit() {
    for (name, change, further) in table::controls() {
        let case = table::cases()
            .into_iter()
            .find(|case| case.name == name)
            .expect(name);
        let came = comes_to(&engine(change), &case.bytes(), case.asked).await;
        assert_eq!(
            came, further,
            "{name}, which comes to `{}` by default",
            case.comes_to
        );
    }
}
