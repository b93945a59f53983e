//! Limits of the HTTP server: a rate limit for each tenant, and the number of connections. The size
//! of a body is limited where it is read.

use crate::access::AccessError;
use hyper::StatusCode;
use parking_lot::Mutex;
use semel::model::Tenant;
use std::{collections::HashMap, sync::Arc, time::Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most tenants with a bucket of their own. Beyond that, full buckets are dropped: their
/// tenants have made no request lately.
const TENANTS_MAX: usize = 10_000;

/// The most bytes of a request's body, by default.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The most connections at once, by default.
const CONNECTIONS_MAX: usize = 4_096;

/// The most sessions at once.
const SESSIONS_MAX: usize = 10_000;

/// The most requests of a tenant in a second, by default.
const REQUESTS_PER_SECOND_MAX: u32 = 10_000;

/// The limits of one HTTP server.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    pub(crate) body_bytes_max: usize,
    pub(crate) sessions_max: usize,
    requests_per_second_max: u32,
    connections: Arc<Semaphore>,
    buckets: Arc<Mutex<HashMap<Tenant, TokenBucket>>>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self::new(BODY_BYTES_MAX, CONNECTIONS_MAX, REQUESTS_PER_SECOND_MAX)
    }
}

/// The right to one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(
    #[expect(dead_code, reason = "it counts while it lives")] OwnedSemaphorePermit,
);

/// The requests that a tenant may still make: a token bucket that refills as time passes.
#[derive(Debug)]
struct TokenBucket {
    tokens: f64,
    refilled_at: Instant,
}

impl HttpLimits {
    /// Limits the bytes of a body, the connections at once, and the requests of each tenant in a
    /// second.
    #[must_use]
    pub fn new(
        body_bytes_max: usize,
        connections_max: usize,
        requests_per_second_max: u32,
    ) -> Self {
        // A semaphore panics on more permits than its maximum.
        let connections = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self {
            body_bytes_max,
            sessions_max: SESSIONS_MAX,
            requests_per_second_max,
            connections,
            buckets: Arc::default(),
        }
    }

    /// Returns a permit for one more connection, or `None` at the limit.
    pub(crate) fn acquire_connection(&self) -> Option<ConnectionPermit> {
        let permit = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        Some(ConnectionPermit(permit))
    }

    /// Counts a request of this tenant against its rate limit.
    ///
    /// # Errors
    /// If the tenant exceeds the limit.
    pub(crate) fn check_rate_limit(&self, tenant: &Tenant) -> Result<(), AccessError> {
        self.check_rate_limit_at(tenant, Instant::now())
    }

    fn check_rate_limit_at(&self, tenant: &Tenant, now: Instant) -> Result<(), AccessError> {
        let capacity = f64::from(self.requests_per_second_max);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= TENANTS_MAX && !buckets.contains_key(tenant) {
            // A full bucket is the same as none.
            buckets.retain(|_, bucket| bucket.tokens_at(now, capacity) < capacity);
        }
        let bucket = buckets.entry(tenant.clone()).or_insert(TokenBucket {
            tokens: capacity,
            refilled_at: now,
        });
        bucket.tokens = bucket.tokens_at(now, capacity);
        bucket.refilled_at = now;
        if bucket.tokens < 1.0 {
            let message =
                "too many requests: send fewer, or raise `requests_per_second_max` in `[mcp]`";
            return Err(AccessError {
                status: StatusCode::TOO_MANY_REQUESTS,
                message: message.to_owned(),
            });
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

impl TokenBucket {
    /// The tokens after the refill since the last request. A second fills the whole bucket.
    fn tokens_at(&self, now: Instant, capacity: f64) -> f64 {
        let refill = now.duration_since(self.refilled_at).as_secs_f64() * capacity;
        (self.tokens + refill).min(capacity)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::time::Duration;

    #[test]
    fn a_tenant_that_asks_too_much_waits_and_no_other_does() {
        let limits = HttpLimits::new(1, 1, 2);
        let now = Instant::now();
        let [loud, quiet] = ["loud", "quiet"].map(|name| Tenant::new(name).unwrap());
        let passes = |tenant, at| limits.check_rate_limit_at(tenant, at).is_ok();
        assert!(passes(&loud, now) && passes(&loud, now) && !passes(&loud, now));
        assert!(passes(&quiet, now));
        let later = now + Duration::from_millis(501);
        assert!(passes(&loud, later) && !passes(&loud, later));
    }

    #[test]
    fn there_is_room_for_so_many_connections() {
        let limits = HttpLimits::new(1, 1, 1);
        let first = limits.acquire_connection();
        assert!(first.is_some() && limits.acquire_connection().is_none());
        drop(first);
        assert!(limits.acquire_connection().is_some());
    }
}
