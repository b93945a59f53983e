//! Where compiled policies are kept between runs.

use super::{
    error::Origin,
    places::Surroundings,
    reference::table,
    section::{self, Located, MistakeList, Section},
};
use std::path::{Path, PathBuf};

/// The variable's value that switches the cache off.
const OFF: &str = "off";

/// The folder; none: nothing is kept.
pub(super) fn read(
    section: Option<&Section<'_>>,
    folder: &Path,
    around: &Surroundings,
    mistakes: &MistakeList<'_>,
) -> Option<PathBuf> {
    let is_enabled = section
        .and_then(|section| section.flag(&table::CACHE_ENABLED))
        .unwrap_or(true);
    let written = section.and_then(|section| section.text(&table::CACHE_FOLDER));
    let from_file = written.and_then(|Located { value, span }| match section::path(value) {
        Ok(path) => Some(folder.join(path)),
        Err(problem) => {
            mistakes.note(span, problem);
            None
        }
    });
    match from_variable(around, mistakes) {
        Some(folder) => folder,
        None if is_enabled => from_file.or_else(|| default(around)),
        None => None,
    }
}

/// Reads the variable, if it is set.
fn from_variable(around: &Surroundings, mistakes: &MistakeList<'_>) -> Option<Option<PathBuf>> {
    const NAME: &str = "SEMEL_CACHE";
    let value = around.variable(NAME)?;
    if value == OFF {
        return Some(None);
    }
    let path = value
        .to_str()
        .ok_or("the path is no UTF-8 text")
        .and_then(section::path);
    Some(
        path.map(|path| around.folder.join(path))
            .map_err(|problem| mistakes.note_elsewhere(Origin::Variable(NAME), problem))
            .ok(),
    )
}

/// Without a home folder nothing is cached: a missing cache fails no command.
fn default(around: &Surroundings) -> Option<PathBuf> {
    Some(
        around
            .users_folder("XDG_CACHE_HOME", ".cache")?
            .join("semel")
            .join("code"),
    )
}
