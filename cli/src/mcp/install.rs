//! `semel mcp install`: guards the servers in a client's configuration.

use super::clients::{Change, Changed, Client, changed};
use crate::{
    exit::{CommandError, Exit, OrExit},
    talk,
};
use similar::TextDiff;
use std::{
    env, fs, io,
    io::Write,
    path::{Path, PathBuf},
};

/// The longest configuration that is changed, in bytes.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// What backups are called, after the configuration.
const BACKUP: &str = "before-semel";

/// Guards the servers in a client's configuration: puts `semel mcp --name NAME --` before each one's command.
///
/// Shows what would change; with `--yes` it is written, after a backup. Comments and layout stay, and what is guarded already
/// is left as it is. Endpoints are not changed.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// Whose configuration
    #[arg(long, value_name = "CLIENT")]
    client: Client,
    /// The configuration [default: the project's in this folder, where there is one, else the user's]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Writes what is shown
    #[arg(long)]
    yes: bool,
    /// Takes the guard away again
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(options: &InstallArgs) -> Result<(), CommandError> {
    let path = path(options)?;
    let shown = path.display();
    let before = read(&path).map_err(|error| {
        format!("`{shown}` cannot be read ({error}): name another with `--config`")
    });
    let before = before.or_exit(Exit::NotFound)?;
    let program = program()?;
    let change = if options.undo {
        Change::Unwrap
    } else {
        Change::Wrap { program: &program }
    };
    let after = changed(&before, options.client, options.server.as_deref(), change);
    let Changed { text, told } = after
        .map_err(|problem| format!("`{shown}`: {problem}"))
        .or_exit(Exit::Config)?;
    for told in told {
        talk::say(format_args!("`{}` {}", told.server, told.what));
    }
    if text == before {
        return Ok(());
    }
    let diff = TextDiff::from_lines(&before, &text)
        .unified_diff()
        .header(&shown.to_string(), "as it will be")
        .to_string();
    talk::data(diff.as_bytes())?;
    if !options.yes {
        talk::say("nothing was written: call again with `--yes` to write this");
        return Ok(());
    }
    let backup = write(&path, &before, &text);
    let backup = backup
        .map_err(|error| format!("`{shown}` is as it was: {error}"))
        .or_exit(Exit::NoOutput)?;
    talk::say(format_args!(
        "written; as it was it lies in `{}`: start the client anew",
        backup.display()
    ));
    Ok(())
}

fn path(options: &InstallArgs) -> Result<PathBuf, CommandError> {
    let place = || {
        let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
        let folder = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Some(options.client.place(&folder, Path::new(&home)))
    };
    let path = options.config.clone().or_else(place);
    let path = path
        .ok_or("`HOME` names no folder: name the configuration with `--config`")
        .or_exit(Exit::NotFound)?;
    // What a link points to is written, and the link stays.
    Ok(path.canonicalize().unwrap_or(path))
}

/// This program as clients can start it, who know no search path.
fn program() -> Result<String, CommandError> {
    let program = env::current_exe()
        .map_err(|error| format!("cannot find this program ({error})"))
        .or_exit(Exit::Internal)?;
    let text = program.into_os_string().into_string();
    text.map_err(|path| format!("the path of this program, `{}`, is no text", path.display()))
        .or_exit(Exit::Internal)
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > CONFIG_BYTES_MAX {
        return Err(io::Error::other("it is too long"));
    }
    fs::read_to_string(path)
}

/// Keeps what was there, and puts the new text in its place, whole or not at all.
fn write(path: &Path, before: &str, after: &str) -> io::Result<PathBuf> {
    let backup = (0..1_000)
        .map(|number| beside(path, &numbered(number)))
        .find_map(|backup| {
            let kept = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&backup);
            match kept {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                kept => Some(kept.map(|kept| (backup, kept))),
            }
        });
    let (backup, kept) = backup
        .unwrap_or_else(|| Err(io::Error::other("there are too many backups: remove some")))?;
    fill(kept, before, path)?;
    let new = beside(path, &format!("semel-{}", std::process::id()));
    let written = fs::File::create(&new)
        .and_then(|file| fill(file, after, path))
        .and_then(|()| {
            // The client may have written it meanwhile.
            if read(path)? != before {
                return Err(io::Error::other(
                    "somebody else has changed it meanwhile: call again",
                ));
            }
            fs::rename(&new, path)
        });
    if let Err(error) = written {
        // Where it cannot be removed it does no harm.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    Ok(backup)
}

fn fill(mut file: fs::File, text: &str, like: &Path) -> io::Result<()> {
    // There may be tokens in it.
    file.set_permissions(fs::metadata(like)?.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn numbered(number: u32) -> String {
    if number == 0 {
        BACKUP.to_owned()
    } else {
        format!("{BACKUP}-{number}")
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
