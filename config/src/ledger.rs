//! Where the ledger is.

use super::{
    error::Origin,
    keys,
    places::Surroundings,
    reference::table,
    secret::SecretText,
    section::{self, Located, MistakeList, Section},
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
    /// The password, where it stands elsewhere: it goes before one in the URL.
    pub password: Option<SecretText>,
    /// True if the operator accepts a service that hides its durability.
    pub accept_unverified: bool,
}

impl ServerPlace {
    fn at(url: &str) -> Self {
        Self {
            url: SecretText::new(url),
            password: None,
            accept_unverified: false,
        }
    }
}

impl fmt::Display for ServerPlace {
    /// Without user, password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.url.reveal().split_once("://").unwrap_or_default();
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let rest = rest.get(..end).unwrap_or_default();
        // A password may hold any sign, so what it ends with is the last one.
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        write!(f, "{scheme}://{place}")
    }
}

impl LedgerPlace {
    /// Makes the folder of the default ledger, for its owner only. Folders that the operator named are the operator's.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Sqlite {
                path,
                is_default: true,
            } => make_folder(path.parent().unwrap_or(Path::new(""))),
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

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

pub(super) fn read(
    section: Option<&Section<'_>>,
    folder: &Path,
    around: &Surroundings,
    mistakes: &MistakeList<'_>,
) -> LedgerPlace {
    let written = section.and_then(|section| section.text(&table::LEDGER_URL));
    let from_file = written.and_then(|Located { value, span }| match parse(value, folder) {
        Ok(place) => Some(place),
        Err(problem) => {
            mistakes.note(span, problem);
            None
        }
    });
    let is_written = section.is_some_and(|section| section.has(&table::LEDGER_URL));
    let place = from_variable(around, mistakes)
        .or(from_file)
        .unwrap_or_else(|| {
            if is_written {
                LedgerPlace::Memory
            } else {
                default(around, mistakes)
            }
        });
    match section {
        Some(section) => with_access(place, section, folder, around),
        None => place,
    }
}

/// The place, with what a section says of how to get at it.
fn with_access(
    place: LedgerPlace,
    section: &Section<'_>,
    folder: &Path,
    around: &Surroundings,
) -> LedgerPlace {
    let password = keys::in_section(section, folder, around, password);
    let accept_unverified = section.flag(&table::ACCEPT_UNVERIFIED);
    let with = |place| ServerPlace {
        password,
        accept_unverified: accept_unverified.unwrap_or(false),
        ..place
    };
    match place {
        LedgerPlace::Postgres(place) => LedgerPlace::Postgres(with(place)),
        LedgerPlace::Redis(place) => LedgerPlace::Redis(with(place)),
        // The variable may name another place than the file does, for a while.
        local => local,
    }
}

fn password(bytes: &[u8]) -> Result<SecretText, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "the ledger's password is no UTF-8 text".to_owned())?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(
            "the ledger's password is empty: leave out where it is, or write it there".to_owned(),
        );
    }
    Ok(SecretText::new(password))
}

fn from_variable(around: &Surroundings, mistakes: &MistakeList<'_>) -> Option<LedgerPlace> {
    const NAME: &str = "SEMEL_LEDGER";
    let value = around.variable(NAME)?;
    let place = value
        .to_str()
        .ok_or_else(|| "the URL is no UTF-8 text".to_owned());
    // As above: what stands in for it is never used.
    Some(
        place
            .and_then(|value| parse(value, &around.folder))
            .unwrap_or_else(|problem| {
                mistakes.note_elsewhere(Origin::Variable(NAME), problem);
                LedgerPlace::Memory
            }),
    )
}

fn default(around: &Surroundings, mistakes: &MistakeList<'_>) -> LedgerPlace {
    let folder = around.users_folder("XDG_STATE_HOME", ".local/state").unwrap_or_else(|| {
        let problem = "there is no place for a ledger, because `HOME` names no folder: name one with `SEMEL_LEDGER`, or as `url` in `[ledger]`";
        mistakes.note_elsewhere(Origin::Nowhere, problem);
        PathBuf::new()
    });
    LedgerPlace::Sqlite {
        path: folder.join("semel").join("ledger.sqlite"),
        is_default: true,
    }
}

fn parse(url: &str, folder: &Path) -> Result<LedgerPlace, String> {
    const CURE: &str =
        "write `memory:`, `sqlite:` and a path, `postgres://HOST/DATABASE`, or `redis://HOST`";
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(format!(
            "`{}` does not say what kind of ledger it is: {CURE}",
            section::shown(url)
        ));
    };
    match (scheme, rest) {
        ("memory", "") => Ok(LedgerPlace::Memory),
        ("memory", _) => {
            Err("a ledger in memory has no path: write `memory:` and nothing after it".to_owned())
        }
        ("sqlite", ":memory:") => {
            Err("a SQLite ledger in memory is none: write `memory:`".to_owned())
        }
        ("sqlite", rest) if rest.starts_with("//") => Err(
            "the path of a SQLite ledger has no `//` before it: write `sqlite:` and the path"
                .to_owned(),
        ),
        ("sqlite", rest) => {
            let path =
                section::path(rest).map_err(|problem| format!("in the ledger's URL {problem}"))?;
            Ok(LedgerPlace::Sqlite {
                path: folder.join(path),
                is_default: false,
            })
        }
        ("postgres" | "postgresql", rest) if names_a_host(rest) => {
            Ok(LedgerPlace::Postgres(ServerPlace::at(url)))
        }
        ("redis" | "rediss", rest) if names_a_host(rest) => {
            Ok(LedgerPlace::Redis(ServerPlace::at(url)))
        }
        ("postgres" | "postgresql" | "redis" | "rediss", _) => Err(format!(
            "the ledger's URL names no host: write `{scheme}://` and a host"
        )),
        // Not the whole URL: it may hold a password.
        (scheme, _) => Err(format!(
            "a ledger `{}:` is not known: {CURE}",
            section::shown(scheme)
        )),
    }
}

fn names_a_host(rest: &str) -> bool {
    rest.strip_prefix("//")
        .is_some_and(|place| !place.is_empty())
}
