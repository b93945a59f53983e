//! Which keys records are sealed under.

use super::{
    keys,
    places::Surroundings,
    reference::table,
    section::{Section, shown},
};
use semel::store::{SealingKey, SealingKeys};
use std::path::Path;

/// The most sealing keys.
const KEYS_MAX: usize = 100;

pub(super) fn read(
    section: Option<&Section<'_>>,
    folder: &Path,
    around: &Surroundings,
) -> Option<SealingKeys> {
    let section = section?;
    let current = section.name(&table::SEALING_CURRENT);
    if !section.has(&table::SEALING_CURRENT) {
        note(
            section,
            "`[sealing]` seals nothing: name the key to seal with as `current`",
        );
    }
    let mut found = section.sections(&table::SEALING_KEYS);
    if found.len() > KEYS_MAX {
        note(
            section,
            &format!("there are more than {KEYS_MAX} sealing keys: reseal, and drop the old ones"),
        );
        found.truncate(KEYS_MAX);
    }
    let declared: Vec<_> = found
        .iter()
        .filter_map(|key| key.name(&table::SEALING_KEY_ID))
        .collect();
    let keys: Vec<_> = found
        .iter()
        .filter_map(|found| key(found, folder, around))
        .collect();
    match current {
        Some(current) if !declared.contains(&current) => {
            note(
                section,
                &format!(
                    "there is no sealing key `{}`: add a `[[sealing.key]]` with that `id`",
                    shown(current)
                ),
            );
            None
        }
        current => together(section, keys, current?),
    }
}

fn key(section: &Section<'_>, folder: &Path, around: &Surroundings) -> Option<SealingKey> {
    let id = section.name(&table::SEALING_KEY_ID);
    if !section.has(&table::SEALING_KEY_ID) {
        note(section, "this sealing key has no name: give it an `id`");
    }
    let make =
        |bytes: &[u8]| SealingKey::new(id.unwrap_or("?"), bytes).map_err(|fault| fault.to_string());
    let key = keys::in_section(section, folder, around, make);
    if !section.has(&table::SECRET_FILE) && !section.has(&table::SECRET_ENV) {
        note(
            section,
            "this sealing key has no secret: name its `secret_file`, or its `secret_env`",
        );
    }
    section.refuse_unknown();
    id.and(key)
}

/// The keys, the current one first.
fn together(section: &Section<'_>, keys: Vec<SealingKey>, current: &str) -> Option<SealingKeys> {
    let (mut first, others): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.id() == current);
    // If it is missing, its mistake was reported.
    let sealing = first.pop().map(SealingKeys::new)?;
    let all = first
        .into_iter()
        .chain(others)
        .try_fold(sealing, SealingKeys::with_older_key);
    all.map_err(|fault| note(section, &fault.to_string())).ok()
}

fn note(section: &Section<'_>, problem: &str) {
    section.mistakes.note(section.span.clone(), problem);
}
