//! `[sealing]`: the keys that records are sealed under.

use crate::{
    environment::Environment,
    error::Problem,
    reference::table,
    secret::read_secret,
    section::{Section, shorten},
};
use semel::store::{SealingKey, SealingKeys};
use std::path::Path;

/// The most sealing keys.
const KEYS_MAX: usize = 100;

/// Reads the keys; `None`: records are kept in the clear, or a mistake was noted.
pub(crate) fn read_sealing(
    section: Option<&Section<'_>>,
    folder: &Path,
    environment: &Environment,
) -> Option<SealingKeys> {
    let section = section?;
    let current = section.name(&table::SEALING_CURRENT);
    if !section.has_key(&table::SEALING_CURRENT) {
        let message = "`[sealing]` has no current key: write the `id` of a key as `current`";
        section.note(Problem::missing(message));
    }
    let mut key_sections = section.sections(&table::SEALING_KEYS);
    if key_sections.len() > KEYS_MAX {
        let message =
            format!("there are more than {KEYS_MAX} sealing keys: reseal, and remove the old ones");
        section.note(Problem::too_many(message));
        key_sections.truncate(KEYS_MAX);
    }
    let ids: Vec<_> = key_sections
        .iter()
        .filter_map(|key| key.name(&table::SEALING_KEY_ID))
        .collect();
    let keys: Vec<_> = key_sections
        .iter()
        .filter_map(|key| read_sealing_key(key, folder, environment))
        .collect();
    let current = current?;
    if !ids.contains(&current) {
        let message = format!(
            "there is no sealing key `{}`: add a `[[sealing.key]]` with that `id`",
            shorten(current)
        );
        section.note(Problem::missing(message));
        return None;
    }
    with_current_first(section, keys, current)
}

fn read_sealing_key(
    section: &Section<'_>,
    folder: &Path,
    environment: &Environment,
) -> Option<SealingKey> {
    let id = section.name(&table::SEALING_KEY_ID);
    if !section.has_key(&table::SEALING_KEY_ID) {
        section.note(Problem::missing(
            "this sealing key has no name: give it an `id`",
        ));
    }
    // The secret is checked even without an id, so that both mistakes are reported.
    let parse =
        |bytes: &[u8]| SealingKey::new(id.unwrap_or("?"), bytes).map_err(Problem::from_error);
    let key = read_secret(section, folder, environment, parse);
    if !section.has_key(&table::SECRET_FILE) && !section.has_key(&table::SECRET_ENV) {
        let message = "this sealing key has no secret: name its `secret_file`, or its `secret_env`";
        section.note(Problem::missing(message));
    }
    section.refuse_unknown();
    id.and(key)
}

fn with_current_first(
    section: &Section<'_>,
    keys: Vec<SealingKey>,
    current: &str,
) -> Option<SealingKeys> {
    let (mut current, older): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.id() == current);
    // If it is missing, its mistake was noted.
    let sealing = SealingKeys::new(current.pop()?);
    // A second key of the same id is refused like any other duplicate.
    let all = current
        .into_iter()
        .chain(older)
        .try_fold(sealing, SealingKeys::with_older_key);
    let all = all.map_err(Problem::from_error);
    section.mistakes.value_or_note(all, section.span.clone())
}
