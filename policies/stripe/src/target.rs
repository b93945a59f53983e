//! Stripe as the system behind a tool: where its key goes, and how long it recognises one.
//!
//! Stripe's client libraries put a random key on every request, and tools built on them may take one among their
//! arguments. A random key would make each attempt a new request, so a key that is already there is overwritten.

use semel_guest::Map;
use semel_guest::{Call, Place, Target, Value};

use crate::settings::KeyAt;

/// The header in which Stripe expects the key.
const HEADER: &str = "Idempotency-Key";

/// The time for which Stripe certainly recognises a key: the documented 24 hours, less a quarter of
/// an hour for a request that waits on its way. The host subtracts its own margin.
const REMEMBERS_SECONDS: u32 = 24 * 3_600 - 15 * 60;

/// The depth in the arguments at which a key is searched: options within options.
const DEPTH_MAX: usize = 3;

/// The most places, the header and the one of the settings included.
const PLACES_MAX: usize = 8;

/// Returns the target, unless the tool takes no key: then the effect of a repeat is unknown.
pub(crate) fn of(key_at: &KeyAt, call: &Call) -> Result<Option<Target>, String> {
    let mut target = Target::header(HEADER).remembers(REMEMBERS_SECONDS);
    let configured = match key_at {
        KeyAt::Nowhere => return Ok(None),
        KeyAt::Header => None,
        KeyAt::Argument(pointer) => Some(pointer.clone()),
    };
    let mut pointers: Vec<_> = configured.into_iter().collect();
    keys_in(call.arguments()?, "", 1, &mut pointers);
    if pointers.len() >= PLACES_MAX {
        return Err(format!(
            "{} arguments are idempotency keys: leave them out",
            pointers.len()
        ));
    }
    for pointer in pointers {
        target = target.place(Place::Argument(pointer));
    }
    Ok(Some(target))
}

/// Collects the keys among the arguments.
fn keys_in(members: &Map, above: &str, depth: usize, found: &mut Vec<String>) {
    for (name, value) in members {
        let pointer = child_pointer(above, name);
        if is_key(name) {
            if !found.contains(&pointer) {
                found.push(pointer);
            }
        } else if let Some(members) = value.as_object().filter(|_| depth < DEPTH_MAX) {
            keys_in(members, &pointer, depth + 1, found);
        }
    }
}

/// The pointer to a member.
fn child_pointer(above: &str, name: &str) -> String {
    let mut pointer = above.to_owned() + "/";
    for letter in name.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            letter => pointer.push(letter),
        }
    }
    pointer
}

/// Returns true if an argument of this name is a key: `idempotency_key`, `idempotencyKey`,
/// `Idempotency-Key`, and any other spelling.
pub(crate) fn is_key(name: &str) -> bool {
    const NAME: &[u8] = b"idempotencykey";
    let letters = name
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase());
    letters.eq(NAME.iter().copied())
}

/// The value without the keys in it: those make no difference.
pub(crate) fn without_keys(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    // One by one: collecting would bring a whole sorting algorithm into this guest.
    let mut kept = Map::new();
    for (name, value) in members.iter().filter(|(name, _)| !is_key(name)) {
        kept.insert(name.clone(), without_keys(value));
    }
    Value::Object(kept)
}
