/// The ready-made policies, in order.
pub(crate) const NAMES: &[&str] = &["hints", "intent", "stripe"];
