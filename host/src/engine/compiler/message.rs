//! What passes between a host and its compiling child: one order, one reply, each with its lengths in front.
//!
//! Both are the same build, or the child refuses; so there is one version, and a check that it is
//! the same.

use super::CompileRequest;
use crate::engine::{code::EngineId, limits::Limits};
use std::io::{self, Read, Write};

/// The magic bytes of a request.
const ORDER: &[u8; 16] = b"semel compile 1\n";
/// The longest that limits are, as JSON.
const LIMITS_BYTES_MAX: u32 = 64 << 10;

/// An order as the child reads it.
pub(super) struct ReceivedRequest {
    pub(super) engine: EngineId,
    pub(super) limits: Limits,
    pub(super) bytes: u32,
}

/// The first byte of a child's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyKind {
    /// Machine code follows.
    Code = 0,
    /// The component is not valid: why follows.
    Malformed = 1,
    /// There is no code, for another reason: it follows.
    GaveUp = 2,
}

pub(super) fn send_order(mut to: impl Write, order: &CompileRequest<'_>) -> io::Result<()> {
    let limits = serde_json::to_vec(order.limits)?;
    to.write_all(ORDER)?;
    to.write_all(order.engine.as_bytes())?;
    for part in [limits.as_slice(), order.component] {
        to.write_all(&length(part.len())?.to_be_bytes())?;
    }
    to.write_all(&limits)?;
    to.write_all(order.component)
}

/// Reads an order, up to where its component begins.
pub(super) fn read_order(mut from: impl Read) -> io::Result<ReceivedRequest> {
    if read_array(&mut from)? != *ORDER {
        return Err(io::Error::other("this is no order to compile"));
    }
    let engine = EngineId::from_bytes(read_array(&mut from)?);
    let [limits, bytes] = [
        u32::from_be_bytes(read_array(&mut from)?),
        u32::from_be_bytes(read_array(&mut from)?),
    ];
    if limits > LIMITS_BYTES_MAX {
        return Err(io::Error::other("its limits are too long"));
    }
    let limits = serde_json::from_slice(&read_all(&mut from, limits.into())?)?;
    Ok(ReceivedRequest {
        engine,
        limits,
        bytes,
    })
}

pub(super) fn send_reply(mut to: impl Write, reply: ReplyKind, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[reply as u8])?;
    to.write_all(&length(bytes.len())?.to_be_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads how a reply begins, and how many bytes follow.
pub(super) fn read_reply(mut from: impl Read) -> io::Result<(ReplyKind, u64)> {
    let [reply] = read_array(&mut from)?;
    let known = [ReplyKind::Code, ReplyKind::Malformed, ReplyKind::GaveUp];
    let reply = known.into_iter().find(|known| *known as u8 == reply);
    let reply = reply.ok_or_else(|| io::Error::other("this is no compiler's reply"))?;
    Ok((reply, u32::from_be_bytes(read_array(&mut from)?).into()))
}

/// Reads so many bytes, not one less.
pub(super) fn read_all(from: impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    from.take(bytes).read_to_end(&mut read)?;
    if read.len() as u64 == bytes {
        Ok(read)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_array<const N: usize>(mut from: impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::other("more than 4 GiB cannot be passed on"))
}
