//! What is counted and timed, for Prometheus. Nothing of a call is told but its tool and what became of it.

mod timed;

pub use timed::TimedStore;

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The most tools that are counted by name. A client can make names up, so the rest are counted together.
const TOOLS_MAX: usize = 256;

/// The longest name of a tool that is counted by it, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What the tools are called together that are not counted by name.
const OTHERS: &str = "(others)";

/// Upper ends of the buckets, in seconds.
const BUCKETS: [f64; 15] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0,
    30.0, 300.0,
];

type Labels = Vec<(&'static str, String)>;

/// The counts of one gateway.
pub struct Metrics {
    registry: Registry,
    calls: Family<Labels, Counter>,
    policy: Histogram,
    ledger: Histogram,
    upstream: Histogram,
    running: Gauge,
    in_doubt: Gauge,
    held: Gauge,
    tools: Mutex<HashSet<String>>,
}

/// One call that is under way; it is counted as long as this lives.
#[derive(Debug)]
pub struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("semel"),
            calls: Family::default(),
            policy: histogram(),
            ledger: histogram(),
            upstream: histogram(),
            running: Gauge::default(),
            in_doubt: Gauge::default(),
            held: Gauge::default(),
            tools: Mutex::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "calls",
            "Guarded tool calls, by tool and answer",
            self.calls.clone(),
        );
        for (name, help, histogram) in [
            (
                "policy",
                "How long decisions of policies take",
                &self.policy,
            ),
            (
                "ledger",
                "How long reads and writes of the ledger take",
                &self.ledger,
            ),
            (
                "upstream",
                "How long servers take to answer guarded calls",
                &self.upstream,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        for (name, help, gauge) in [
            (
                "running",
                "Guarded calls under way in this gateway",
                &self.running,
            ),
            (
                "in_doubt",
                "Operations in the ledger whose effect is unknown, counted up to 10000",
                &self.in_doubt,
            ),
            (
                "held",
                "Operations in the ledger that a person must decide, counted up to 10000",
                &self.held,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    /// A call of this tool was answered.
    pub fn answered(&self, tool: &str, answer: &'static str) {
        let labels = vec![
            ("tool", self.counted_as(tool)),
            ("answer", answer.to_owned()),
        ];
        self.calls.get_or_create(&labels).inc();
    }

    /// A policy took so long to decide.
    pub fn policy_took(&self, took: Duration) {
        self.policy.observe(took.as_secs_f64());
    }

    /// The ledger took so long to read or write.
    pub fn ledger_took(&self, took: Duration) {
        self.ledger.observe(took.as_secs_f64());
    }

    /// A server took so long to answer a guarded call.
    pub fn upstream_took(&self, took: Duration) {
        self.upstream.observe(took.as_secs_f64());
    }

    /// A call begins.
    #[must_use]
    pub fn runs(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }

    /// So many operations are in doubt, and so many held.
    pub fn stand(&self, in_doubt: usize, held: usize) {
        self.in_doubt
            .set(i64::try_from(in_doubt).unwrap_or(i64::MAX));
        self.held.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// The page that Prometheus reads.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        // A text can always be written to.
        encode(&mut page, &self.registry).unwrap_or_default();
        page
    }

    fn counted_as(&self, tool: &str) -> String {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let is_counted = tools.contains(tool)
            || (tools.len() < TOOLS_MAX
                && tool.len() <= NAME_BYTES_MAX
                && tools.insert(tool.to_owned()));
        if is_counted { tool } else { OTHERS }.to_owned()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_tool_and_answer_and_names_that_are_made_up_cost_little() {
        let metrics = Metrics::default();
        metrics.answered("pay", "executed");
        metrics.answered("pay", "replayed");
        metrics.answered("pay", "replayed");
        (0..10 * TOOLS_MAX)
            .for_each(|number| metrics.answered(&format!("made-up-{number}"), "refused"));
        let page = metrics.page();
        assert!(
            page.contains(r#"semel_calls_total{tool="pay",answer="executed"} 1"#),
            "{page}"
        );
        assert!(
            page.contains(r#"semel_calls_total{tool="pay",answer="replayed"} 2"#),
            "{page}"
        );
        assert!(
            page.contains(r#"semel_calls_total{tool="(others)",answer="refused"} 2305"#),
            "{page}"
        );
        assert_eq!(
            page.lines()
                .filter(|line| line.starts_with("semel_calls_total"))
                .count(),
            TOOLS_MAX + 2
        );
    }

    #[test]
    fn a_call_is_under_way_as_long_as_it_is() {
        let metrics = Metrics::default();
        let running = metrics.runs();
        metrics.stand(3, 2);
        metrics.upstream_took(Duration::from_millis(2));
        let page = metrics.page();
        for line in [
            "semel_running 1",
            "semel_in_doubt 3",
            "semel_held 2",
            "semel_upstream_seconds_count 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        drop(running);
        assert!(metrics.page().contains("semel_running 0"));
    }
}
