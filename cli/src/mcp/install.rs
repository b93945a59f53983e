//! `semel mcp install`: guards the servers in a client's configuration.

use super::clients::{ConfigEdit, McpClient, edit_config};
use crate::{
    exit::{CommandError, ExitReason, OrExit},
    output,
};
use similar::TextDiff;
use std::{
    env, fs,
    fs::{File, OpenOptions},
    io,
    io::Write,
    path::{Path, PathBuf},
};

/// The limit on a configuration, in bytes.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// The suffix of a backup's name.
const BACKUP_SUFFIX: &str = "before-semel";

/// The limit on the backups of one configuration.
const BACKUPS_MAX: u32 = 1_000;

/// Guards the servers in a client's configuration: puts `semel mcp --name NAME --` before each command
///
/// Shows the change; with `--yes`, makes a backup and writes it. Comments and layout stay, and servers that are guarded
/// already stay unchanged, as do endpoints.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// Client to configure
    #[arg(long, value_name = "CLIENT")]
    client: McpClient,
    /// Configuration file [default: the project's in this folder if it exists, else the user's]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change only this server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Write the change
    #[arg(long)]
    yes: bool,
    /// Remove the guard again
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(args: &InstallArgs) -> Result<(), CommandError> {
    let path = config_path(args)?;
    let name = path.display();
    let before = read_config(&path)
        .map_err(|error| {
            format!("`{name}` cannot be read ({error}): name another file with `--config`")
        })
        .or_exit(ExitReason::NotFound)?;
    let program = program_path()?;
    let edit = if args.undo {
        ConfigEdit::Unwrap
    } else {
        ConfigEdit::Wrap { program: &program }
    };
    let edited = edit_config(&before, args.client, args.server.as_deref(), edit)
        .map_err(|mistake| format!("`{name}`: {mistake}"))
        .or_exit(ExitReason::Config)?;
    for (server, result) in &edited.servers {
        output::print_message(format_args!("`{server}` {result}"));
    }
    if edited.text == before {
        return Ok(());
    }
    let diff = TextDiff::from_lines(&before, &edited.text)
        .unified_diff()
        .header(&name.to_string(), "after the change")
        .to_string();
    output::write_stdout(diff.as_bytes())?;
    if !args.yes {
        output::print_message("nothing was written: add `--yes` to write this change");
        return Ok(());
    }
    let backup = write_config(&path, &before, &edited.text)
        .map_err(|error| format!("`{name}` is unchanged: {error}"))
        .or_exit(ExitReason::NoOutput)?;
    output::print_message(format_args!(
        "written, with a backup in `{}`: restart the client",
        backup.display()
    ));
    Ok(())
}

fn config_path(args: &InstallArgs) -> Result<PathBuf, CommandError> {
    let path = match &args.config {
        Some(path) => path.clone(),
        None => {
            let home = env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .ok_or("`HOME` is not set: name the configuration with `--config`")
                .or_exit(ExitReason::NotFound)?;
            let folder = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
            args.client.config_path(&folder, Path::new(&home))
        }
    };
    // The rename at the end would replace a symbolic link. Its target is meant.
    Ok(path.canonicalize().unwrap_or(path))
}

/// The absolute path of this program, because clients do not search `PATH` as a shell does.
fn program_path() -> Result<String, CommandError> {
    let path = env::current_exe()
        .map_err(|error| format!("cannot find the path of this program: {error}"))
        .or_exit(ExitReason::Internal)?;
    path.into_os_string()
        .into_string()
        .map_err(|path| {
            format!(
                "the path of this program, `{}`, is not valid UTF-8",
                path.display()
            )
        })
        .or_exit(ExitReason::Internal)
}

fn read_config(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > CONFIG_BYTES_MAX {
        return Err(io::Error::other(format!(
            "longer than {CONFIG_BYTES_MAX} bytes"
        )));
    }
    fs::read_to_string(path)
}

/// Makes a backup, and replaces the configuration in one step. Returns the path of the backup.
fn write_config(path: &Path, before: &str, after: &str) -> io::Result<PathBuf> {
    let (backup_path, backup) = create_backup(path)?;
    write_file(backup, before, path)?;
    let new_path = with_suffix(path, &format!("semel-{}", std::process::id()));
    let result = File::create(&new_path)
        .and_then(|file| write_file(file, after, path))
        .and_then(|()| replace_unchanged(path, before, &new_path));
    if let Err(error) = result {
        // A leftover would do no harm: the error is what matters.
        let _ = fs::remove_file(&new_path);
        return Err(error);
    }
    Ok(backup_path)
}

/// Creates an empty file for a backup, under the first name that is free.
fn create_backup(path: &Path) -> io::Result<(PathBuf, File)> {
    for number in 0..BACKUPS_MAX {
        let suffix = match number {
            0 => BACKUP_SUFFIX.to_owned(),
            number => format!("{BACKUP_SUFFIX}-{number}"),
        };
        let backup = with_suffix(path, &suffix);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&backup)
        {
            Ok(file) => return Ok((backup, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "it has {BACKUPS_MAX} backups: remove some"
    )))
}

/// Replaces the configuration, unless the client or another program has changed it since it was read.
fn replace_unchanged(path: &Path, before: &str, new_path: &Path) -> io::Result<()> {
    if read_config(path)? != before {
        return Err(io::Error::other(
            "another program has changed it: run the command again",
        ));
    }
    fs::rename(new_path, path)
}

/// Writes a file with the permissions of the configuration, which may hold tokens.
fn write_file(mut file: File, text: &str, config: &Path) -> io::Result<()> {
    file.set_permissions(fs::metadata(config)?.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
