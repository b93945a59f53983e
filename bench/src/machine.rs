//! Which machine a figure is of, and where the ledger lay.

use anyhow::{Result, ensure};
use serde::Serialize;
use std::{
    fmt, fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::sample::{Sample, micros};

/// The number of timed syncs.
const SYNCS: usize = 40;

/// The time that a disk has to write its backlog.
const QUIET_WITHIN: Duration = Duration::from_secs(600);

/// The machine of the measurement.
#[derive(Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    folder: String,
    file_system: String,
    sync_microseconds: f64,
}

impl Machine {
    pub(crate) fn look(folder: &Path) -> Result<Self> {
        Ok(Self {
            processor: processor(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            folder: folder.parent().unwrap_or(folder).display().to_string(),
            file_system: file_system(folder),
            sync_microseconds: sync(folder)?.median,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} cores, Linux {}. Ledgers in {} ({}; appending 4 KiB and syncing takes {:.0} µs at the median).\n\
             All callers run in the measuring process, on the same cores as the writer of the ledger.",
            self.processor,
            self.cores,
            self.kernel,
            self.folder,
            self.file_system,
            self.sync_microseconds
        )
    }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    named.map_or_else(
        || "an unnamed processor".to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

/// The longest mount point that the folder lies under.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let under = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let at = words.next()?;
        let kind = words.next()?;
        folder.starts_with(at).then_some((at.len(), kind))
    });
    under
        .max()
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

/// Waits until the disk is about as fast as it was, with all that was given to it written.
pub(crate) fn wait_until_quiet(folder: &Path, usual: Sample) -> Result<()> {
    let begun = Instant::now();
    while sync(folder)?.median > 1.5 * usual.median {
        ensure!(
            begun.elapsed() < QUIET_WITHIN,
            "the disk under {} does not come to rest",
            folder.display()
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// The time to append to a file and sync, in microseconds.
pub(crate) fn sync(folder: &Path) -> Result<Sample> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(micros(begun.elapsed()));
    }
    Ok(Sample::of(times))
}
