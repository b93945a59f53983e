//! Whether a tool is guarded, only watched, or left alone.

use serde::{Deserialize, Serialize};

/// The treatment of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolMode {
    /// Its calls are guarded.
    #[default]
    Enforce,
    /// Its calls run as if there were no guard. What would have become of them is decided and recorded apart.
    Shadow,
    /// Its calls run, nothing is decided, and nothing is recorded.
    Off,
}

impl ToolMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Enforce, Self::Shadow, Self::Off];

    /// The word for it, in configurations and messages alike.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }

    /// The mode of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}
