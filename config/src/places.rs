//! Where a configuration is looked for.

use super::{ConfigError, FILE_BYTES_MAX, FILE_NAME};
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The environment of a process: its variables and its working folder. A value, so that tests need
/// no process of their own.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The variables of the environment.
    pub variables: BTreeMap<String, OsString>,
    /// The working folder.
    pub folder: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        // A working folder that is gone can still be named by the dot.
        Self {
            variables,
            folder: env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        }
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(name)
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// A folder of the user: where this variable says, if it says so absolutely, else so far from home.
    pub(super) fn users_folder(&self, variable: &str, from_home: &str) -> Option<PathBuf> {
        let absolute = |name| {
            self.variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute(variable).or_else(|| Some(absolute("HOME")?.join(from_home)))
    }
}

impl std::fmt::Debug for Surroundings {
    /// Without the variables: there may be secrets among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A configuration as it was found.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Text {
    /// The folder that its paths are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

pub(super) fn find(
    asked: Option<&Path>,
    around: &Surroundings,
) -> Result<Option<Text>, ConfigError> {
    if let Some(asked) = asked {
        return read(&around.folder.join(asked), "name another with `--config`").map(Some);
    }
    if let Some(named) = around.variable("SEMEL_CONFIG") {
        return read(
            &around.folder.join(named),
            "`SEMEL_CONFIG` names it: correct or unset it",
        )
        .map(Some);
    }
    let users = around
        .users_folder("XDG_CONFIG_HOME", ".config")
        .map(|folder| folder.join("semel").join(FILE_NAME));
    for path in [Some(around.folder.join(FILE_NAME)), users]
        .into_iter()
        .flatten()
    {
        // What cannot be looked at is no reason to go on with the defaults.
        if !matches!(path.try_exists(), Ok(false)) {
            return read(
                &path,
                "make it a file that can be read, or name another with `--config`",
            )
            .map(Some);
        }
    }
    Ok(None)
}

fn read(path: &Path, cure: &str) -> Result<Text, ConfigError> {
    let bytes = read_at_most(path, FILE_BYTES_MAX)
        .map_err(|error| {
            ConfigError::in_file(
                path,
                format!("the configuration cannot be read ({error}): {cure}"),
            )
        })?
        .ok_or_else(|| {
            ConfigError::in_file(
                path,
                format!("the configuration is longer than {FILE_BYTES_MAX} bytes: shorten it"),
            )
        })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        ConfigError::in_file(path, "the configuration is no UTF-8 text: save it as UTF-8")
    })?;
    Ok(Text {
        path: path.to_owned(),
        text,
    })
}

/// The bytes of a file; none if there are more than `limit`.
pub(super) fn read_at_most(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(one_more).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}
