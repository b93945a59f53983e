//! The variables and the working folder of a process.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
};

/// The environment of a process: its variables and its working folder. A value, so that tests need
/// no process of their own.
#[derive(Clone, Default)]
pub struct Environment {
    /// The variables.
    pub variables: BTreeMap<String, OsString>,
    /// The working folder.
    pub folder: PathBuf,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        // The dot still names a working folder that was removed.
        let folder = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { variables, folder }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A folder of the user: the absolute path in `variable`, else `from_home` below the home
    /// folder. The XDG specification ignores relative paths.
    pub(crate) fn user_folder(&self, variable: &str, from_home: &str) -> Option<PathBuf> {
        if let Some(folder) = self.absolute_path(variable) {
            return Some(folder);
        }
        Some(self.absolute_path("HOME")?.join(from_home))
    }

    fn absolute_path(&self, variable: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variable(variable)?);
        path.is_absolute().then_some(path)
    }
}

impl fmt::Debug for Environment {
    /// Omits the variables: some may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
