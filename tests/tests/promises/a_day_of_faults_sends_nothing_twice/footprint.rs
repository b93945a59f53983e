//! What a process takes of its machine: it must not grow with the day.

use rustix::process::Pid;
use std::{fmt, fs};

/// By how much a host may have grown from early to late.
const MEMORY_KIB_MAX: u64 = 8 << 10;
const DESCRIPTORS_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory of its own: what it shares as files is not counted.
    pub memory_kib: u64,
    /// Open files and sockets.
    pub descriptors: usize,
}

impl Footprint {
    pub fn of(process: Pid) -> Self {
        let proc = format!("/proc/{}", process.as_raw_nonzero());
        let status = fs::read_to_string(format!("{proc}/status")).unwrap();
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .unwrap();
        let memory_kib = memory.trim().trim_end_matches(" kB").parse().unwrap();
        Self {
            memory_kib,
            descriptors: fs::read_dir(format!("{proc}/fd")).unwrap().count(),
        }
    }
}

/// The footprints of a host, one after the other.
#[derive(Debug, Default)]
pub struct Course(Vec<Footprint>);

impl Course {
    pub fn add(&mut self, footprint: Footprint) {
        self.0.push(footprint);
    }

    /// Early, in the middle and late, after a quarter of the day for what is taken once: the medians of the other quarters.
    pub fn parts(&self) -> [Footprint; 3] {
        [1, 2, 3].map(|quarter| {
            let count = self.0.len();
            let part = &self.0
                [quarter * count / 4..((quarter + 1) * count / 4).max(quarter * count / 4 + 1)];
            let (mut memory, mut descriptors): (Vec<_>, Vec<_>) = part
                .iter()
                .map(|print| (print.memory_kib, print.descriptors))
                .unzip();
            memory.sort_unstable();
            descriptors.sort_unstable();
            Footprint {
                memory_kib: memory[memory.len() / 2],
                descriptors: descriptors[descriptors.len() / 2],
            }
        })
    }

    pub fn keeps_its_memory(&self) -> bool {
        let [early, _, late] = self.parts();
        late.memory_kib <= early.memory_kib + MEMORY_KIB_MAX
    }

    pub fn keeps_its_descriptors(&self) -> bool {
        let [early, _, late] = self.parts();
        late.descriptors <= early.descriptors + DESCRIPTORS_MAX
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [early, middle, late] = self.parts();
        let mib = |print: Footprint| print.memory_kib as f64 / 1024.0;
        write!(
            f,
            "{:.1}, {:.1}, {:.1} MiB; ",
            mib(early),
            mib(middle),
            mib(late)
        )?;
        write!(
            f,
            "{}, {}, {} descriptors",
            early.descriptors, middle.descriptors, late.descriptors
        )
    }
}
