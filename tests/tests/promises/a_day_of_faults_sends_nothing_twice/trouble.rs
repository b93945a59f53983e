//! What goes wrong in a day.

use crate::random::Random;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    HostKilled,
    HostStopped,
    ServerCrashed,
    RequestCut,
    ReplyCut,
    WireSlow,
    ServerUpset,
}

impl Trouble {
    pub const ALL: [Self; 7] = [
        Self::HostKilled,
        Self::HostStopped,
        Self::ServerCrashed,
        Self::RequestCut,
        Self::ReplyCut,
        Self::WireSlow,
        Self::ServerUpset,
    ];

    /// Returns true if the fault can happen without a server.
    pub fn is_a_hosts(self) -> bool {
        matches!(self, Self::HostKilled | Self::HostStopped)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostKilled => "a host was killed",
            Self::HostStopped => "a host stood still past its leases",
            Self::ServerCrashed => "the server crashed",
            Self::RequestCut => "connections broke within a request",
            Self::ReplyCut => "connections broke within a reply",
            Self::WireSlow => "connections were slow",
            Self::ServerUpset => "the server ended all sessions, or forgot all scripts",
        })
    }
}

/// Troubles in an order that a seed says: each comes once before any comes again.
pub struct Deck {
    all: Vec<Trouble>,
    left: Vec<Trouble>,
}

impl Deck {
    pub fn of(all: impl IntoIterator<Item = Trouble>) -> Self {
        Self {
            all: all.into_iter().collect(),
            left: Vec::new(),
        }
    }

    pub fn next(&mut self, random: &mut Random) -> Trouble {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
        }
        self.left
            .swap_remove(random.below(self.left.len() as u64) as usize)
    }

    /// Returns true if all faults occurred equally often.
    pub fn is_even(&self) -> bool {
        self.left.is_empty()
    }
}
