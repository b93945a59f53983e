//! What all calls of a host share.

use crate::runtime::{
    call::{delivery::DeliveryMarks, renewals::LeaseRenewals},
    ledger_client::LedgerClient,
};
use crate::{
    key::KeyScheme,
    ledger::{OperationTerms, Record},
    model::{Call, KeyForm, Outcome, Probe, StoreKey},
};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

/// Runs the reads that a policy requests, to learn the effect of an attempt in doubt.
/// The [crate's page](crate#probe-what-is-in-doubt) has an example.
#[async_trait]
pub trait Prober: fmt::Debug + Send + Sync + 'static {
    /// Runs the probe on behalf of the tenant of `call`, and returns its outcome.
    async fn probe(&self, call: &Call, probe: &Probe) -> Outcome;
}

/// The parts of a host that its guarded calls share.
#[derive(Debug)]
pub(crate) struct HostCore {
    pub(crate) ledger: LedgerClient,
    pub(crate) keys: KeyScheme,
    /// `None`: this host runs no probes.
    pub(crate) prober: Option<Arc<dyn Prober>>,
    pub(crate) delivery_marks: DeliveryMarks,
    pub(crate) renewals: LeaseRenewals,
}

impl HostCore {
    pub(crate) fn new(
        ledger: LedgerClient,
        keys: KeyScheme,
        prober: Option<Arc<dyn Prober>>,
    ) -> Self {
        Self {
            ledger,
            keys,
            prober,
            delivery_marks: DeliveryMarks::default(),
            renewals: LeaseRenewals::default(),
        }
    }

    /// Returns the downstream key of a generation and series, in the form that the record's target wants.
    pub(crate) fn downstream_key(
        &self,
        key: StoreKey,
        record: &Record,
        generation: u32,
        series: u32,
    ) -> String {
        self.keys
            .downstream(&key, generation, series)
            .render(key_form(&record.terms))
            // A form is checked before the claim, so only a damaged record has a wrong one.
            .unwrap_or_default()
    }
}

/// Returns the form in which the target of an operation wants its key.
pub(crate) fn key_form(terms: &OperationTerms) -> KeyForm {
    terms
        .target
        .as_ref()
        .map(|target| target.form)
        .unwrap_or_default()
}
