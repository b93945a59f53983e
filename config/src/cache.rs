//! `[cache]`: the folder of compiled policies.

use crate::{
    environment::Environment,
    error::{Origin, Problem},
    reference::table,
    section::{MistakeList, Section, parse_path},
};
use std::path::{Path, PathBuf};

/// The variable's value that switches the cache off.
const OFF: &str = "off";

/// Reads the folder; `None`: compiled policies are not kept.
pub(crate) fn read_cache(
    section: Option<&Section<'_>>,
    folder: &Path,
    environment: &Environment,
    mistakes: &MistakeList<'_>,
) -> Option<PathBuf> {
    let is_enabled = section.and_then(|section| section.flag(&table::CACHE_ENABLED));
    let written = section.and_then(|section| section.text(&table::CACHE_FOLDER));
    let from_file = written.and_then(|written| {
        let path = parse_path(written.value).map(|path| folder.join(path));
        mistakes.value_or_note(path, written.span)
    });
    match read_cache_variable(environment, mistakes) {
        CacheVariable::Folder(folder) => Some(folder),
        CacheVariable::Off => None,
        CacheVariable::Unset if is_enabled == Some(false) => None,
        CacheVariable::Unset => from_file.or_else(|| default_folder(environment)),
    }
}

/// The value of `SEMEL_CACHE`.
enum CacheVariable {
    Unset,
    /// `off`, or a noted mistake.
    Off,
    Folder(PathBuf),
}

fn read_cache_variable(environment: &Environment, mistakes: &MistakeList<'_>) -> CacheVariable {
    const NAME: &str = "SEMEL_CACHE";
    let path = match environment.variable(NAME) {
        None => return CacheVariable::Unset,
        Some(value) if value == OFF => return CacheVariable::Off,
        Some(value) => match value.to_str() {
            Some(path) => parse_path(path),
            None => Err(Problem::from("the path is not UTF-8 text: correct it")),
        },
    };
    match mistakes.value_or_note_at(path, Origin::Variable(NAME)) {
        Some(path) => CacheVariable::Folder(environment.folder.join(path)),
        None => CacheVariable::Off,
    }
}

/// Returns `None` without a home folder: a missing cache fails no command.
fn default_folder(environment: &Environment) -> Option<PathBuf> {
    let folder = environment.user_folder("XDG_CACHE_HOME", ".cache")?;
    Some(folder.join("semel").join("code"))
}
