//! Metrics for Prometheus: counts and times of guarded calls. Of a call they show only its tool and
//! its answer.

mod timed_store;

pub use timed_store::TimedStore;

use parking_lot::Mutex;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{collections::HashSet, fmt, time::Duration};

/// The most tools with a label of their own. A client can make names up, so the others share one
/// label.
const TOOLS_MAX: usize = 256;

/// The longest name that is a label, in bytes.
const TOOL_NAME_BYTES_MAX: usize = 128;

/// The label of the tools without one of their own.
const OTHER_TOOLS: &str = "(others)";

/// Upper bounds of a histogram's buckets, in seconds.
const BUCKET_SECONDS: [f64; 15] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0,
    30.0, 300.0,
];

type MetricLabels = Vec<(&'static str, String)>;

/// The metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    calls: Family<MetricLabels, Counter>,
    policy: Histogram,
    ledger: Histogram,
    upstream: Histogram,
    running: Gauge,
    in_doubt: Gauge,
    held: Gauge,
    tools: Mutex<HashSet<String>>,
}

/// One call in progress, which is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct RunningCall(Gauge);

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(BUCKET_SECONDS);
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
            ("policy", "Duration of policy decisions", &self.policy),
            (
                "ledger",
                "Duration of ledger reads and writes",
                &self.ledger,
            ),
            (
                "upstream",
                "Duration until servers answer guarded calls",
                &self.upstream,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        for (name, help, gauge) in [
            (
                "running",
                "Guarded calls in progress in this gateway",
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

    /// Counts an answer to a call of this tool.
    pub(crate) fn count_answer(&self, tool: &str, answer: &'static str) {
        let labels = vec![
            ("tool", self.tool_label(tool)),
            ("answer", answer.to_owned()),
        ];
        self.calls.get_or_create(&labels).inc();
    }

    /// Records the duration of a policy's decision.
    pub fn observe_policy(&self, duration: Duration) {
        self.policy.observe(duration.as_secs_f64());
    }

    /// Records the duration of a read or write of the ledger.
    pub(crate) fn observe_ledger(&self, duration: Duration) {
        self.ledger.observe(duration.as_secs_f64());
    }

    /// Records the duration until a server answered a guarded call.
    pub(crate) fn observe_upstream(&self, duration: Duration) {
        self.upstream.observe(duration.as_secs_f64());
    }

    /// Counts a call as running until the returned value is dropped.
    #[must_use]
    pub(crate) fn start_call(&self) -> RunningCall {
        self.running.inc();
        RunningCall(self.running.clone())
    }

    /// Sets the gauges of operations that are in doubt or held.
    pub(crate) fn set_unresolved(&self, in_doubt: usize, held: usize) {
        self.in_doubt
            .set(i64::try_from(in_doubt).unwrap_or(i64::MAX));
        self.held.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// Returns the metrics in the OpenMetrics text format.
    #[must_use]
    pub(crate) fn encode_text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            // Writing to a `String` does not fail, so the registry itself would have to.
            tracing::warn!(%error, "the metrics cannot be encoded");
        }
        text
    }

    fn tool_label(&self, tool: &str) -> String {
        let mut tools = self.tools.lock();
        // A name that is too long, or one too many, is not inserted and costs no memory.
        let has_label = tools.contains(tool)
            || (tools.len() < TOOLS_MAX
                && tool.len() <= TOOL_NAME_BYTES_MAX
                && tools.insert(tool.to_owned()));
        if has_label { tool } else { OTHER_TOOLS }.to_owned()
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
        metrics.count_answer("pay", "executed");
        metrics.count_answer("pay", "replayed");
        metrics.count_answer("pay", "replayed");
        for number in 0..10 * TOOLS_MAX {
            metrics.count_answer(&format!("made-up-{number}"), "refused");
        }
        let page = metrics.encode_text();
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
        let running = metrics.start_call();
        metrics.set_unresolved(3, 2);
        metrics.observe_upstream(Duration::from_millis(2));
        let page = metrics.encode_text();
        for line in [
            "semel_running 1",
            "semel_in_doubt 3",
            "semel_held 2",
            "semel_upstream_seconds_count 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        drop(running);
        assert!(metrics.encode_text().contains("semel_running 0"));
    }
}
