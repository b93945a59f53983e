//! The search for `semel.toml`, and its text.

use crate::{
    environment::Environment,
    error::{ConfigError, Problem},
};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The name of the file.
const FILE_NAME: &str = "semel.toml";

/// The longest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;

/// A configuration file's path and text.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl ConfigFile {
    /// Reads the file that `requested` names, else the first that exists. Without one, the defaults
    /// hold.
    pub(crate) fn find(
        requested: Option<&Path>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        if let Some(requested) = requested {
            let path = environment.folder.join(requested);
            return Self::read(path, "name another with `--config`").map(Some);
        }
        if let Some(named) = environment.variable("SEMEL_CONFIG") {
            let path = environment.folder.join(named);
            return Self::read(path, "`SEMEL_CONFIG` names it: correct or unset it").map(Some);
        }
        let in_user_folder = environment
            .user_folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("semel").join(FILE_NAME));
        let in_working_folder = Some(environment.folder.join(FILE_NAME));
        for path in [in_working_folder, in_user_folder].into_iter().flatten() {
            // A path that cannot be examined may hold a configuration: the defaults could be wrong.
            if !matches!(path.try_exists(), Ok(false)) {
                let cure = "make it a readable file, or name another with `--config`";
                return Self::read(path, cure).map(Some);
            }
        }
        Ok(None)
    }

    /// The folder that its paths are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn read(path: PathBuf, cure: &str) -> Result<Self, ConfigError> {
        match read_text(&path, cure) {
            Ok(text) => Ok(Self { path, text }),
            Err(problem) => Err(ConfigError::in_file(&path, problem)),
        }
    }
}

fn read_text(path: &Path, cure: &str) -> Result<String, Problem> {
    let bytes = read_at_most(path, FILE_BYTES_MAX).map_err(|error| {
        let message = format!("the configuration cannot be read ({error}): {cure}");
        Problem::unreadable(message, error)
    })?;
    let bytes = bytes.ok_or_else(|| {
        let message =
            format!("the configuration is longer than {FILE_BYTES_MAX} bytes: shorten it");
        Problem::too_many(message)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let message = "the configuration is not UTF-8 text: save it as UTF-8";
        Problem::unreadable(message, error)
    })
}

/// Returns the bytes of a file, or `None` if there are more than `limit`.
pub(crate) fn read_at_most(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(one_more).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}
