//! The marker of a ledger: which life of it lies there, and what was seen of its servers.

use super::{
    connection::Connection,
    error,
    inspect::foreign,
    loss_detection::{ObservedNodes, ServerFacts},
    script::{LOOK, NOTE, Script},
};
use redis::{Cmd, FromRedisValue, Value};
use semel_core::model::Incarnation;
use semel_store::ServerError;
use sha2::{Digest, Sha256};

/// The key of the ledger's marker, in a slot of its own.
pub(super) const MARKER: &str = "semel:{ledger}";

/// The size of an incarnation, a random value.
pub(super) const LIFE_BYTES: usize = 16;

/// The content of the ledger's marker.
pub(super) struct Marker {
    pub(super) schema: i64,
    pub(super) life: [u8; LIFE_BYTES],
    losses: Vec<u8>,
    pub(super) is_ready: bool,
    seen: ObservedNodes,
    /// The same as it is noted.
    noted: Vec<u8>,
}

impl Marker {
    /// Reads the marker; `None` where there is no ledger.
    pub(super) async fn read(connection: &Connection) -> Result<Option<Self>, ServerError> {
        let fill = |call: &mut Cmd| {
            call.arg(1).arg(MARKER);
        };
        let script: &Script = &LOOK;
        let answer = script
            .run(connection, fill)
            .await
            .map_err(|error| connection.fault(&error))?;
        let parts = Vec::<Vec<u8>>::from_redis_value(answer);
        let parts = parts.map_err(|_| {
            ServerError::Other("the marker of the ledger cannot be read".to_owned())
        })?;
        match parts.as_slice() {
            [] => Ok(None),
            [denied, command] if denied == b"denied" => Err(ServerError::Denied {
                problem: format!("{} is denied", String::from_utf8_lossy(command)),
                cure: error::NEEDED,
            }),
            [schema, life, losses, ready, noted] => Self::of([schema, life, losses, ready, noted])
                .map(Some)
                .ok_or_else(foreign),
            _ => Err(foreign()),
        }
    }

    fn of([schema, life, losses, ready, noted]: [&Vec<u8>; 5]) -> Option<Self> {
        Some(Self {
            schema: std::str::from_utf8(schema).ok()?.parse().ok()?,
            life: life.as_slice().try_into().ok()?,
            losses: losses.clone(),
            is_ready: ready == b"1",
            seen: ObservedNodes::read(std::str::from_utf8(noted).ok()?)?,
            noted: noted.clone(),
        })
    }

    /// Records the present facts, which were asked for after the marker was read; `None` if another
    /// host changed the marker, and all must be checked again.
    pub(super) async fn note(
        mut self,
        connection: &Connection,
        now: Vec<ServerFacts>,
    ) -> Result<Option<Self>, ServerError> {
        let (seen, was_lost) = self.seen.next(now);
        let noted = seen.to_text().into_bytes();
        if noted == self.noted && !was_lost {
            return Ok(Some(self));
        }
        let losses = if was_lost {
            chained(&self.losses, &noted)
        } else {
            self.losses.clone()
        };
        let fill = |call: &mut Cmd| {
            call.arg(1)
                .arg(MARKER)
                .arg(&self.life)
                .arg(&self.losses)
                .arg(&self.noted)
                .arg(&losses)
                .arg(&noted);
        };
        let script: &Script = &NOTE;
        let answer = script
            .run(connection, fill)
            .await
            .map_err(|error| connection.fault(&error))?;
        (self.seen, self.noted, self.losses) = (seen, noted, losses);
        Ok((answer == Value::Int(1)).then_some(self))
    }

    /// Returns true if the append-only files of all servers hold everything.
    pub(super) fn is_whole(&self) -> bool {
        self.seen.is_whole()
    }

    /// Another one for each life, and after each loss that may have been.
    pub(super) fn incarnation(&self) -> Incarnation {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.life)
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

/// All losses so far, and one more, so that none makes it what it was before.
fn chained(losses: &[u8], noted: &[u8]) -> Vec<u8> {
    Sha256::new()
        .chain_update(losses)
        .chain_update(noted)
        .finalize()
        .to_vec()
}
