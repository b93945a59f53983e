//! The policy of a tool, and the tool for a host.

use super::SetupError;
use crate::{PolicySource, ToolSetup};
use semel::{
    engine::{Engine, Policy},
    runtime::Tool,
};
use serde_json::{Map, Value};
use std::{borrow::Cow, fs::File, io::Read, path::Path};

impl PolicySource {
    /// Reads the component of this policy, up to one byte more than `bytes_max`, so that the engine
    /// sees that it is too long.
    ///
    /// # Errors
    /// [`SetupError::ReadyMadePolicy`] if there is no ready-made policy of this name,
    /// [`SetupError::PolicyFile`] if the file cannot be read.
    pub fn read_component(&self, bytes_max: u32) -> Result<Cow<'static, [u8]>, SetupError> {
        match self {
            Self::Named(name) => Ok(Cow::Borrowed(semel_policies::get(name)?)),
            Self::File(path) => match read_prefix(path, u64::from(bytes_max) + 1) {
                Ok(bytes) => Ok(Cow::Owned(bytes)),
                Err(source) => Err(SetupError::PolicyFile {
                    path: path.clone(),
                    source,
                }),
            },
        }
    }

    /// True where the policy has the setting by which an operator trusts the hints of a tool's
    /// server.
    fn has_trust_setting(&self) -> bool {
        match self {
            Self::Named(name) => semel_policies::takes_trust(name),
            Self::File(_) => false,
        }
    }
}

impl ToolSetup {
    /// Loads the policy of this tool, with its settings.
    ///
    /// # Errors
    /// [`SetupError`] if the component cannot be read, or the policy or its settings cannot be
    /// used.
    pub async fn load_policy(&self, engine: &Engine) -> Result<Policy, SetupError> {
        let component = self
            .policy
            .read_component(engine.limits().load.component_bytes)?;
        let settings = Value::Object(self.policy_settings());
        let loaded = engine.load(&component, settings).await;
        let policy = loaded.map_err(|source| SetupError::Policy {
            defined_at: self.defined_at.clone(),
            policy: self.policy.clone(),
            source: Box::new(source),
        })?;
        for warning in policy.warnings() {
            let origin = self.defined_at.as_ref().map(ToString::to_string);
            tracing::warn!(origin, warning, "semel.policy warns of its settings");
        }
        Ok(policy)
    }

    /// The settings that the policy is loaded with: a tool that the operator trusts is trusted by
    /// its policy, too.
    fn policy_settings(&self) -> Map<String, Value> {
        let mut settings = self.settings.clone();
        if self.trusted && self.policy.has_trust_setting() {
            settings
                .entry(semel_policies::TRUST_SETTING)
                .or_insert(Value::Bool(true));
        }
        settings
    }

    /// Returns the tool as a host takes it, for a front end that sees whether its answers are
    /// received.
    #[must_use]
    pub(crate) fn to_tool(&self, policy: Policy) -> Tool {
        let name_space = match &self.name_space {
            Some(name_space) => name_space.clone(),
            None => policy.description().name.clone(),
        };
        Tool {
            mode: self.mode,
            name_space,
            allowance: self.allowance.clone(),
            lease_seconds: self.lease_seconds,
            refusal_seconds: self.refusal_seconds,
            outcome_bytes_max: self.outcome_bytes_max,
            keep_identity: self.keep_identity,
            irreversible: self.irreversible,
            allow_forgetful_ledger: self.allow_forgetful_ledger,
            taken_once_written: false,
            ..Tool::new(policy)
        }
    }
}

fn read_prefix(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
