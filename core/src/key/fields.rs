//! The fields of an operation, checked and in order.

use super::error::{FIELD_NAME_BYTES_MAX, FIELDS_BYTES_MAX, FIELDS_MAX, FieldGroup, KeyError};
use crate::{
    json::{self, JsonError, JsonLimits, ShownPointer},
    model::Field,
};

/// Names and canonical values, in the order of the names' bytes.
pub(super) type Ordered<'a> = Vec<(&'a str, String)>;

/// The identity: not empty, and no value null or empty.
pub(super) fn identity(fields: &[Field]) -> Result<Ordered<'_>, KeyError> {
    if fields.is_empty() {
        return Err(KeyError::NoIdentity);
    }
    for field in fields {
        if let Some(found) = json::emptiness(&field.value) {
            return Err(KeyError::Empty {
                field: ShownPointer::new(&field.name),
                found,
            });
        }
    }
    ordered_fields(FieldGroup::Identity, fields)
}

/// The content, which may be empty.
pub(super) fn content(fields: &[Field]) -> Result<Ordered<'_>, KeyError> {
    ordered_fields(FieldGroup::Content, fields)
}

fn ordered_fields(part: FieldGroup, fields: &[Field]) -> Result<Ordered<'_>, KeyError> {
    if fields.len() > FIELDS_MAX {
        return Err(KeyError::TooMany {
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
    // The policy's order carries no meaning, so it must not change the key.
    ordered.sort_unstable();
    match ordered
        .array_windows()
        .find(|[(one, _), (next, _)]| one == next)
    {
        Some([(twice, _), _]) => Err(KeyError::Twice {
            part,
            field: ShownPointer::new(twice),
        }),
        None => Ok(ordered),
    }
}

/// The canonical text of a field's value, of which there may be so many bytes.
fn text(part: FieldGroup, field: &Field, room: usize) -> Result<String, KeyError> {
    if field.name.is_empty() || field.name.len() > FIELD_NAME_BYTES_MAX {
        return Err(KeyError::FieldName { part });
    }
    let shown = || ShownPointer::new(&field.name);
    let limits = JsonLimits {
        bytes: room,
        depth: json::DEPTH_MAX,
    };
    json::check(&field.value, &limits).map_err(|problem| {
        // The limit is one for all fields; the rest of it would mislead as the limit of this one.
        let problem = match problem {
            JsonError::TooLarge { bytes, .. } => JsonError::TooLarge {
                bytes,
                limit: FIELDS_BYTES_MAX,
            },
            other => other,
        };
        KeyError::Value {
            part,
            field: shown(),
            problem,
        }
    })?;
    Ok(json::canonical(&field.value))
}
