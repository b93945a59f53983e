//! The sizes of the ready-made policies.

use crate::{
    results::{FigureGoal, ResultTable},
    sample::Sample,
};

/// The policies, each with its budget in KiB.
const BUDGETS: [(&str, f64); 3] = [("hints", 120.0), ("stripe", 120.0), ("intent", 384.0)];

pub(crate) fn measure(rows: &mut ResultTable) {
    for (name, budget) in BUDGETS {
        if let Ok(component) = semel_policies::get(name) {
            let size = Sample::from_value(component.len() as f64 / 1024.0);
            rows.add_row(
                &format!("`{name}`: size of the component"),
                "KiB",
                size,
                None,
                &[FigureGoal::AtMost(budget)],
            );
        }
    }
}
