//! The marker of a ledger: its epoch, its losses, and the recorded facts of its servers.

use super::{
    connection::Connection,
    error,
    loss_detection::{ObservedNodes, ServerFacts},
    script::{READ_MARKER, Script, UPDATE_MARKER},
};
use redis::{Cmd, FromRedisValue, Value};
use semel_core::model::Incarnation;
use semel_store::ServerError;
use sha2::{Digest, Sha256};

/// The key of the ledger's marker, in a slot of its own.
pub(super) const MARKER: &str = "semel:{ledger}";

/// The size of an epoch, a random value. Its field in the marker is `life`.
pub(super) const EPOCH_BYTES: usize = 16;

/// The content of the ledger's marker.
pub(super) struct Marker {
    pub(super) schema: i64,
    pub(super) epoch: [u8; EPOCH_BYTES],
    losses: Vec<u8>,
    pub(super) is_ready: bool,
    observed: ObservedNodes,
    /// The recorded facts as they are stored.
    stored_text: Vec<u8>,
}

impl Marker {
    /// Reads the marker; `None` where there is no ledger.
    pub(super) async fn read(connection: &Connection) -> Result<Option<Self>, ServerError> {
        let fill = |command: &mut Cmd| {
            command.arg(1).arg(MARKER);
        };
        let script: &Script = &READ_MARKER;
        let answer = script
            .run(connection, fill)
            .await
            .map_err(|error| connection.server_error(&error))?;
        let fields = Vec::<Vec<u8>>::from_redis_value(answer);
        let fields =
            fields.map_err(|_| ServerError::other("the marker of the ledger cannot be read"))?;
        match fields.as_slice() {
            [] => Ok(None),
            [denied, command] if denied == b"denied" => Err(ServerError::Denied {
                problem: format!("{} is denied", String::from_utf8_lossy(command)).into(),
                cure: error::NEEDED_PERMISSIONS,
            }),
            [schema, epoch, losses, ready, stored_text] => {
                Self::from_fields([schema, epoch, losses, ready, stored_text])
                    .map(Some)
                    .ok_or_else(not_a_ledger)
            }
            _ => Err(not_a_ledger()),
        }
    }

    fn from_fields([schema, epoch, losses, ready, stored_text]: [&Vec<u8>; 5]) -> Option<Self> {
        Some(Self {
            schema: std::str::from_utf8(schema).ok()?.parse().ok()?,
            epoch: epoch.as_slice().try_into().ok()?,
            losses: losses.clone(),
            is_ready: ready == b"1",
            observed: ObservedNodes::parse(std::str::from_utf8(stored_text).ok()?)?,
            stored_text: stored_text.clone(),
        })
    }

    /// Records the present facts, which must be newer than this marker. Returns `None` if another host changed
    /// the marker since, and the inspection must be repeated.
    pub(super) async fn record(
        mut self,
        connection: &Connection,
        now: Vec<ServerFacts>,
    ) -> Result<Option<Self>, ServerError> {
        let (observed, was_lost) = self.observed.update(now);
        let stored_text = observed.to_text().into_bytes();
        if stored_text == self.stored_text && !was_lost {
            return Ok(Some(self));
        }
        let losses = if was_lost {
            chain_losses(&self.losses, &stored_text)
        } else {
            self.losses.clone()
        };
        let fill = |command: &mut Cmd| {
            command
                .arg(1)
                .arg(MARKER)
                .arg(&self.epoch)
                .arg(&self.losses)
                .arg(&self.stored_text)
                .arg(&losses)
                .arg(&stored_text);
        };
        let script: &Script = &UPDATE_MARKER;
        let answer = script
            .run(connection, fill)
            .await
            .map_err(|error| connection.server_error(&error))?;
        (self.observed, self.stored_text, self.losses) = (observed, stored_text, losses);
        Ok((answer == Value::Int(1)).then_some(self))
    }

    /// Returns true if the append-only files of all servers are complete.
    pub(super) fn is_complete(&self) -> bool {
        self.observed.is_complete()
    }

    /// Returns the incarnation, which is another one for each epoch, and after each possible loss.
    pub(super) fn incarnation(&self) -> Incarnation {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.epoch)
            .chain_update(&self.losses)
            .finalize()
            .into();
        Incarnation(
            digest
                .first_chunk()
                .map_or(0, |first| u64::from_be_bytes(*first)),
        )
    }
}

/// Returns the digest of all losses with one more. A chain never returns to an earlier value.
fn chain_losses(losses: &[u8], stored_text: &[u8]) -> Vec<u8> {
    Sha256::new()
        .chain_update(losses)
        .chain_update(stored_text)
        .finalize()
        .to_vec()
}

/// Returns the error of a marker that does not belong to a ledger.
fn not_a_ledger() -> ServerError {
    ServerError::other(format!(
        "the content of `{MARKER}` is not a ledger of Semel: name another database"
    ))
}
