//! The machine of a measurement: its processor, its kernel, and the disk of the ledgers.

use anyhow::{Result, ensure};
use serde::Serialize;
use std::{
    fmt, fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::sample::{Sample, to_micros};

/// The number of timed syncs.
const SYNCS: usize = 40;

/// The limit on the wait for a disk to write its backlog.
const QUIET_WITHIN: Duration = Duration::from_secs(600);

/// The machine of the measurement.
#[derive(Serialize)]
pub(crate) struct MachineInfo {
    processor: String,
    cores: usize,
    kernel: String,
    folder: String,
    file_system: String,
    sync_microseconds: f64,
}

impl MachineInfo {
    pub(crate) fn inspect(folder: &Path) -> Result<Self> {
        Ok(Self {
            processor: processor_name(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            folder: folder.parent().unwrap_or(folder).display().to_string(),
            file_system: file_system_type(folder),
            sync_microseconds: measure_sync(folder)?.median,
        })
    }
}

impl fmt::Display for MachineInfo {
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

fn processor_name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    named.map_or_else(
        || "an unnamed processor".to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

/// The file system of the folder: that of the longest mount point which is a prefix of its path.
fn file_system_type(folder: &Path) -> String {
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

/// Waits until a sync takes about as long as `usual`, so that the backlog of earlier writes is on disk.
pub(crate) fn wait_until_quiet(folder: &Path, usual: Sample) -> Result<()> {
    let begun = Instant::now();
    while measure_sync(folder)?.median > 1.5 * usual.median {
        ensure!(
            begun.elapsed() < QUIET_WITHIN,
            "the disk under {} is still busy after {} minutes",
            folder.display(),
            QUIET_WITHIN.as_secs() / 60
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Measures the time to append 4 KiB to a file and sync it, in microseconds.
pub(crate) fn measure_sync(folder: &Path) -> Result<Sample> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(to_micros(begun.elapsed()));
    }
    Ok(Sample::from_values(times))
}
