//! How large the ready-made policies are.

use crate::{
    row::{Reach, Rows},
    sample::Sample,
};

/// Each with its budget in KiB.
const BUDGETS: [(&str, f64); 3] = [("hints", 120.0), ("stripe", 120.0), ("intent", 384.0)];

pub(crate) fn measure(rows: &mut Rows) {
    for (name, budget) in BUDGETS {
        if let Ok(component) = semel_policies::get(name) {
            let size = Sample::exactly(component.len() as f64 / 1024.0);
            rows.add(
                &format!("`{name}`: size of the component"),
                "KiB",
                size,
                None,
                &[Reach::AtMost(budget)],
            );
        }
    }
}
