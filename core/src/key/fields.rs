//! The fields of an operation, checked and in order.

use super::fault::{FIELD_NAME_BYTES_MAX, FIELDS_BYTES_MAX, FIELDS_MAX, KeyFault, Part};
use crate::{
    json::{self, JsonFault, JsonLimits, Shown},
    model::Field,
};

/// Names and canonical values, in the order of the names' bytes.
pub(super) type Ordered<'a> = Vec<(&'a str, String)>;

/// The identity: not empty, and no value null or empty.
pub(super) fn identity(fields: &[Field]) -> Result<Ordered<'_>, KeyFault> {
    if fields.is_empty() {
        return Err(KeyFault::NoIdentity);
    }
    for field in fields {
        if let Some(found) = json::emptiness(&field.value) {
            return Err(KeyFault::Empty {
                field: Shown::new(&field.name),
                found,
            });
        }
    }
    ordered(Part::Identity, fields)
}

/// The content, which may be empty.
pub(super) fn content(fields: &[Field]) -> Result<Ordered<'_>, KeyFault> {
    ordered(Part::Content, fields)
}

fn ordered(part: Part, fields: &[Field]) -> Result<Ordered<'_>, KeyFault> {
    if fields.len() > FIELDS_MAX {
        return Err(KeyFault::TooMany {
            part,
            count: fields.len(),
        });
    }
    let mut room = FIELDS_BYTES_MAX;
    let mut ordered = Vec::with_capacity(fields.len());
    for field in fields {
        let value = text(part, field, room)?;
        room = room.saturating_sub(value.len() + field.name.len());
        ordered.push((field.name.as_str(), value));
    }
    ordered.sort_unstable();
    match ordered
        .array_windows()
        .find(|[(one, _), (next, _)]| one == next)
    {
        Some([(twice, _), _]) => Err(KeyFault::Twice {
            part,
            field: Shown::new(twice),
        }),
        None => Ok(ordered),
    }
}

/// The canonical text of a field's value, of which there may be so many bytes.
fn text(part: Part, field: &Field, room: usize) -> Result<String, KeyFault> {
    if field.name.is_empty() || field.name.len() > FIELD_NAME_BYTES_MAX {
        return Err(KeyFault::FieldName { part });
    }
    let shown = || Shown::new(&field.name);
    let limits = JsonLimits {
        bytes: room,
        depth: json::DEPTH_MAX,
    };
    json::check(&field.value, &limits).map_err(|problem| {
        let problem = match problem {
            JsonFault::TooLarge { bytes, .. } => JsonFault::TooLarge {
                bytes,
                limit: FIELDS_BYTES_MAX,
            },
            other => other,
        };
        KeyFault::Value {
            part,
            field: shown(),
            problem,
        }
    })?;
    match json::inexact_integer(&field.value) {
        Some(at) => Err(KeyFault::Inexact {
            part,
            field: shown(),
            at: Shown::new(&at),
        }),
        None => Ok(json::canonical(&field.value)),
    }
}
