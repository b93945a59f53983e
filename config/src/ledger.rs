//! `[ledger]`: the place of the ledger.

use crate::{
    environment::Environment,
    error::{Origin, Problem},
    reference::table,
    secret::{SecretText, read_secret},
    section::{MistakeList, Section, parse_path, shorten},
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// The place of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In memory: it forgets with the process.
    Memory,
    /// In a SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// True for the default place, so that Semel creates its folder.
        is_default: bool,
    },
    /// In a PostgreSQL database.
    Postgres(ServerPlace),
    /// In a Redis server.
    Redis(ServerPlace),
}

/// A ledger that a server keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlace {
    /// Its URL, which may hold a password.
    pub url: SecretText,
    /// A password from outside the URL, which goes before one in it.
    pub password: Option<SecretText>,
    /// True if the operator accepts a service that hides its durability.
    pub accept_unverified: bool,
}

impl ServerPlace {
    fn from_url(url: &str) -> Self {
        Self {
            url: SecretText::new(url),
            password: None,
            accept_unverified: false,
        }
    }
}

impl fmt::Display for ServerPlace {
    /// Omits user, password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.url.reveal().split_once("://").unwrap_or_default();
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let rest = rest.get(..end).unwrap_or_default();
        // A password may contain `@`, so the last one ends it.
        let host_and_path = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
        write!(f, "{scheme}://{host_and_path}")
    }
}

impl LedgerPlace {
    /// Creates the folder of the default ledger, for its owner only. A folder that the operator
    /// named is not created.
    ///
    /// # Errors
    /// The reason why the folder cannot be created.
    pub(crate) fn create_default_folder(&self) -> io::Result<()> {
        match self {
            Self::Sqlite {
                path,
                is_default: true,
            } => create_private_folder(path.parent().unwrap_or(Path::new(""))),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(place) | Self::Redis(place) => place.fmt(f),
        }
    }
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Reads the place of the ledger: the variable's, else the section's, else the default.
pub(crate) fn read_ledger(
    section: Option<&Section<'_>>,
    folder: &Path,
    environment: &Environment,
    mistakes: &MistakeList<'_>,
) -> LedgerPlace {
    let url = section.and_then(|section| section.text(&table::LEDGER_URL));
    let from_file =
        url.and_then(|url| mistakes.value_or_note(parse_url(url.value, folder), url.span));
    let is_written = section.is_some_and(|section| section.has_key(&table::LEDGER_URL));
    let place = match read_ledger_variable(environment, mistakes).or(from_file) {
        Some(place) => place,
        // A noted mistake fails the whole reading, so this place is never used.
        None if is_written => LedgerPlace::Memory,
        None => default_place(environment, mistakes),
    };
    match section {
        Some(section) => with_access(place, section, folder, environment),
        None => place,
    }
}

/// Adds the password and the switches of the section to a server's place.
fn with_access(
    place: LedgerPlace,
    section: &Section<'_>,
    folder: &Path,
    environment: &Environment,
) -> LedgerPlace {
    let password = read_secret(section, folder, environment, parse_password);
    let accept_unverified = section.flag(&table::ACCEPT_UNVERIFIED);
    let with_access = |place| ServerPlace {
        password,
        accept_unverified: accept_unverified.unwrap_or(false),
        ..place
    };
    match place {
        LedgerPlace::Postgres(place) => LedgerPlace::Postgres(with_access(place)),
        LedgerPlace::Redis(place) => LedgerPlace::Redis(with_access(place)),
        // Not a mistake: `SEMEL_LEDGER` may replace the file's server by a local ledger for a
        // while.
        local => local,
    }
}

fn parse_password(bytes: &[u8]) -> Result<SecretText, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let message = "the ledger's password is not UTF-8 text: save it as UTF-8";
        Problem::from(message).with_source(error)
    })?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("the ledger's password is empty: write it, or leave out its key".into());
    }
    Ok(SecretText::new(password))
}

fn read_ledger_variable(
    environment: &Environment,
    mistakes: &MistakeList<'_>,
) -> Option<LedgerPlace> {
    const NAME: &str = "SEMEL_LEDGER";
    let place = match environment.variable(NAME)?.to_str() {
        Some(url) => parse_url(url, &environment.folder),
        None => Err("the URL is not UTF-8 text: correct it".into()),
    };
    let place = mistakes.value_or_note_at(place, Origin::Variable(NAME));
    // A noted mistake fails the whole reading. The variable still goes before the file, so that the
    // file's URL is not checked in its stead.
    Some(place.unwrap_or(LedgerPlace::Memory))
}

fn default_place(environment: &Environment, mistakes: &MistakeList<'_>) -> LedgerPlace {
    let folder = environment.user_folder("XDG_STATE_HOME", ".local/state");
    let folder = folder.unwrap_or_else(|| {
        let problem = Problem::missing(
            "there is no folder for the ledger, because `HOME` is not an absolute path: set \
             `SEMEL_LEDGER`, or `url` in `[ledger]`",
        );
        mistakes.note_at(Origin::Nowhere, problem);
        PathBuf::new()
    });
    LedgerPlace::Sqlite {
        path: folder.join("semel").join("ledger.sqlite"),
        is_default: true,
    }
}

fn parse_url(url: &str, folder: &Path) -> Result<LedgerPlace, Problem> {
    const CURE: &str =
        "write `memory:`, `sqlite:` and a path, `postgres://HOST/DATABASE`, or `redis://HOST`";
    let Some((scheme, rest)) = url.split_once(':') else {
        let message = format!("`{}` is not the URL of a ledger: {CURE}", shorten(url));
        return Err(message.into());
    };
    match (scheme, rest) {
        ("memory", "") => Ok(LedgerPlace::Memory),
        ("memory", _) => Err("a ledger in memory has no path: write `memory:` alone".into()),
        ("sqlite", ":memory:") => Err("`sqlite::memory:` is not supported: write `memory:`".into()),
        ("sqlite", rest) if rest.starts_with("//") => {
            Err("the URL of a SQLite ledger has no `//`: write `sqlite:` and the path".into())
        }
        ("sqlite", path) => Ok(LedgerPlace::Sqlite {
            path: folder.join(parse_path(path)?),
            is_default: false,
        }),
        ("postgres" | "postgresql", rest) if has_host(rest) => {
            Ok(LedgerPlace::Postgres(ServerPlace::from_url(url)))
        }
        ("redis" | "rediss", rest) if has_host(rest) => {
            Ok(LedgerPlace::Redis(ServerPlace::from_url(url)))
        }
        ("postgres" | "postgresql" | "redis" | "rediss", _) => {
            let message = format!("the ledger's URL has no host: write `{scheme}://` and a host");
            Err(message.into())
        }
        // The message omits the rest of the URL, which may hold a password.
        (scheme, _) => {
            let message = format!("there is no ledger `{}:`: {CURE}", shorten(scheme));
            Err(message.into())
        }
    }
}

fn has_host(rest: &str) -> bool {
    rest.strip_prefix("//").is_some_and(|host| !host.is_empty())
}
