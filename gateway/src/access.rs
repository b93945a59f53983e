//! Who may come in over HTTP, and on whose behalf.
//!
//! What is secret in a request's head stays here: a [`Caller`] has no place for it.

use crate::link::Caller;
use hyper::{StatusCode, http::request::Parts};
use semel::words::{Run, Tenant};

/// The rule for whoever comes in.
#[derive(Debug)]
pub struct Access {
    tenant: Tenant,
    run: Option<Run>,
}

/// Somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    /// The status of the response.
    pub status: StatusCode,
    /// Why, and what to do.
    pub message: String,
}

impl Access {
    /// Lets everybody in who reaches the address, on behalf of this tenant.
    #[must_use]
    pub fn open(tenant: Tenant, run: Option<Run>) -> Self {
        Self { tenant, run }
    }

    /// Who sends a request with this head.
    ///
    /// # Errors
    /// If whoever it is may not come in.
    pub fn admit(&self, _: &Parts) -> Result<Caller, Denied> {
        Ok(Caller::new(self.tenant.clone(), self.run.clone()))
    }
}
