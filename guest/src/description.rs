//! What a policy says of itself, built field by field.

use crate::Description;

/// The schema of settings that are not there.
const NO_SETTINGS: &str = r#"{"type":"object","additionalProperties":false}"#;

impl Description {
    /// A policy of this name and version (`env!("CARGO_PKG_VERSION")`), of key epoch 1, with no settings.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: String::new(),
            tools: Vec::new(),
            settings_schema: NO_SETTINGS.into(),
            key_epoch: 1,
            extras: Vec::new(),
        }
    }

    /// Sets the summary, in a line.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Adds a tool it is meant for, as a glob.
    #[must_use]
    pub fn tool(mut self, glob: impl Into<String>) -> Self {
        self.tools.push(glob.into());
        self
    }

    /// The JSON Schema of its settings, written by hand or at build time.
    #[must_use]
    pub fn settings_schema(mut self, schema: impl Into<String>) -> Self {
        self.settings_schema = schema.into();
        self
    }

    /// Sets the key epoch. Raise it whenever the same call may get another key than before.
    #[must_use]
    pub fn key_epoch(mut self, epoch: u32) -> Self {
        self.key_epoch = epoch;
        self
    }
}
