//! How much may come in over HTTP. The size of a body is kept where it is read.

use crate::access::Denied;
use hyper::StatusCode;
use semel::model::Tenant;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most tenants whose rates are kept apart. Beyond that, those that have been still are forgotten.
const TENANTS_MAX: usize = 10_000;

/// The bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// The most sessions at once.
    pub sessions_max: usize,
    requests_per_second: u32,
    connections: Arc<Semaphore>,
    rates: Arc<Mutex<HashMap<Tenant, Rate>>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(4 << 20, 4_096, 10_000)
    }
}

/// The room that one request takes until its response begins.
#[derive(Debug)]
pub struct Entered(());

/// The room that a connection takes.
#[derive(Debug)]
pub struct Connected(
    #[expect(dead_code, reason = "it counts while it lives")] OwnedSemaphorePermit,
);

/// How many requests a tenant may still make at once: a bucket that fills as time passes.
#[derive(Debug)]
struct Rate {
    left: f64,
    since: Instant,
}

impl Limits {
    /// Bodies of so many bytes, so many connections at once, and so many requests a second of each tenant.
    #[must_use]
    pub fn of(body_bytes_max: usize, connections_max: usize, requests_per_second: u32) -> Self {
        let connections = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self {
            body_bytes_max,
            sessions_max: 10_000,
            requests_per_second,
            connections,
            rates: Arc::default(),
        }
    }

    /// Makes room for a connection; none: there is none.
    #[must_use]
    pub fn connect(&self) -> Option<Connected> {
        Arc::clone(&self.connections)
            .try_acquire_owned()
            .ok()
            .map(Connected)
    }

    /// Makes room for a request of this tenant.
    ///
    /// # Errors
    /// If there is none.
    pub fn enter(&self, tenant: &Tenant) -> Result<Entered, Denied> {
        self.enter_at(tenant, Instant::now())
    }

    fn enter_at(&self, tenant: &Tenant, now: Instant) -> Result<Entered, Denied> {
        let most = f64::from(self.requests_per_second);
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= TENANTS_MAX && !rates.contains_key(tenant) {
            rates.retain(|_, rate| {
                now.duration_since(rate.since).as_secs_f64() * most + rate.left < most
            });
        }
        let rate = rates.entry(tenant.clone()).or_insert(Rate {
            left: most,
            since: now,
        });
        rate.left = (rate.left + now.duration_since(rate.since).as_secs_f64() * most).min(most);
        rate.since = now;
        if rate.left < 1.0 {
            let message = "these are too many requests at once: send fewer, or raise `requests_per_second_max` in `[mcp]`";
            return Err(Denied {
                status: StatusCode::TOO_MANY_REQUESTS,
                message: message.to_owned(),
            });
        }
        rate.left -= 1.0;
        Ok(Entered(()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::time::Duration;

    #[test]
    fn a_tenant_that_asks_too_much_waits_and_no_other_does() {
        let (limits, now) = (Limits::of(1, 1, 2), Instant::now());
        let [loud, quiet] = ["loud", "quiet"].map(|name| Tenant::new(name).unwrap());
        let enters = |tenant, at| limits.enter_at(tenant, at).is_ok();
        assert!(enters(&loud, now) && enters(&loud, now) && !enters(&loud, now));
        assert!(enters(&quiet, now));
        let later = now + Duration::from_millis(501);
        assert!(enters(&loud, later) && !enters(&loud, later));
    }

    #[test]
    fn there_is_room_for_so_many_connections() {
        let limits = Limits::of(1, 1, 1);
        let first = limits.connect();
        assert!(first.is_some() && limits.connect().is_none());
        drop(first);
        assert!(limits.connect().is_some());
    }
}
