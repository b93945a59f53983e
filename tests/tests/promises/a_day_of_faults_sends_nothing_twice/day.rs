//! The hosts of a day, and what happens to them.

use super::{
    evening,
    footprint::{Course, Footprint},
    report::Report,
    trouble::{Deck, Trouble},
};
use crate::{
    processes::{Agents, Place, Role, Scene, Zygote},
    random::Random,
    server::Server,
};
use rustix::process::{Pid, Signal, kill_process};
use semel_servers::{
    machine::wait_until,
    proxy::{TcpProxy, TrafficDirection},
};
use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

/// One that lives all day, and one that is killed now and then.
const HOSTS: usize = 2;
const MORTAL: usize = 1;

/// The lease of the tools is a second.
const PAST_THE_LEASE: Duration = Duration::from_millis(1_200);

/// The limit on the bytes before a connection breaks.
const CUT_BYTES_MAX: u64 = 4_000;

/// The limit on a connection's delay.
const DELAY_MS_MAX: u64 = 40;
const SLOW_FOR: Duration = Duration::from_millis(400);

/// The limit on the calm between two faults, in milliseconds.
const CALM_MS_MAX: u64 = 300;
const GOES_ON: usize = 10;

struct Host {
    ledger: Place,
    process: Pid,
    course: Course,
}

pub struct Day {
    server: Server,
    wires: Vec<TcpProxy>,
    scene: Scene,
    agents: Agents,
    zygote: Zygote,
    hosts: Vec<Host>,
    random: Random,
    troubles: BTreeMap<Trouble, usize>,
    title: String,
}

impl Day {
    /// Starts the hosts, each with a wire of its own to the server.
    pub fn begin(server: Server, agents: &Agents, seed: u64) -> Self {
        let wires: Vec<_> = server
            .port()
            .into_iter()
            .flat_map(|port| (0..HOSTS).map(move |_| TcpProxy::new(port)))
            .collect();
        let title = format!("two hosts share a ledger: {}, seed {seed}", server.name());
        let (scene, zygote, random) = (Scene::new(), Zygote::start(), Random(seed));
        let (hosts, troubles) = (Vec::new(), BTreeMap::new());
        let agents = agents.clone();
        let mut day = Self {
            server,
            wires,
            scene,
            agents,
            zygote,
            hosts,
            random,
            troubles,
            title,
        };
        for host in 0..HOSTS {
            let ledger = day
                .server
                .place(day.wires.get(host).map_or(0, |wire| wire.port));
            let process = day.start(&ledger);
            day.hosts.push(Host {
                ledger,
                process,
                course: Course::default(),
            });
        }
        day
    }

    fn start(&mut self, ledger: &Place) -> Pid {
        let agents = Agents {
            seed: self.random.below(u64::MAX),
            ..self.agents.clone()
        };
        self.zygote
            .play(&self.scene.part_at(ledger.clone(), "", Role::Agents(agents)))
    }

    /// Lets one trouble after the other come for so many seconds, and each at least once.
    pub fn pass(&mut self, seconds: u64) {
        let is_possible = |trouble: &Trouble| trouble.is_a_hosts() || self.server.port().is_some();
        let mut deck = Deck::of(Trouble::ALL.into_iter().filter(is_possible));
        let begun = Instant::now();
        let mut has_had_all = false;
        while begun.elapsed() < Duration::from_secs(seconds) || !has_had_all {
            let trouble = deck.next(&mut self.random);
            has_had_all |= deck.is_even();
            self.bring_about(trouble);
            *self.troubles.entry(trouble).or_insert(0) += 1;
            self.goes_on(trouble);
            for host in &mut self.hosts {
                host.course.add(Footprint::of(host.process));
            }
            sleep(Duration::from_millis(self.random.below(CALM_MS_MAX)));
        }
    }

    fn bring_about(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::HostKilled => self.kill_and_start(),
            Trouble::HostStopped => self.stop_past_the_lease(),
            Trouble::ServerCrashed => self.server.crash(),
            Trouble::RequestCut => self.cut(TrafficDirection::Request),
            Trouble::ReplyCut => self.cut(TrafficDirection::Reply),
            Trouble::WireSlow => self.slow(),
            Trouble::ServerUpset => self.server.upset(),
        }
    }

    fn kill_and_start(&mut self) {
        let process = self.hosts[MORTAL].process;
        kill_process(process, Signal::KILL).unwrap();
        assert!(self.zygote.was_killed(process));
        let ledger = self.hosts[MORTAL].ledger.clone();
        self.hosts[MORTAL].process = self.start(&ledger);
    }

    fn stop_past_the_lease(&mut self) {
        let process = self.hosts[self.random.below(HOSTS as u64) as usize].process;
        kill_process(process, Signal::STOP).unwrap();
        sleep(PAST_THE_LEASE);
        kill_process(process, Signal::CONT).unwrap();
    }

    fn cut(&mut self, way: TrafficDirection) {
        let bytes = self.random.below(CUT_BYTES_MAX) as usize;
        let wire = self.random.below(HOSTS as u64) as usize;
        let wire = &self.wires[wire];
        wire.cut_after(way, bytes);
        wait_until("the cut", || !wire.is_cut_pending());
    }

    fn slow(&mut self) {
        let delay = Duration::from_millis(1 + self.random.below(DELAY_MS_MAX));
        self.wires.iter().for_each(|wire| wire.delay_by(delay));
        sleep(SLOW_FOR);
        self.wires
            .iter()
            .for_each(|wire| wire.delay_by(Duration::ZERO));
    }

    /// Waits until agents send again: a fault that has passed stops no agent.
    fn goes_on(&self, trouble: Trouble) {
        let before = self.scene.shop.requests();
        wait_until(&format!("what comes after \"{trouble}\""), || {
            self.scene.shop.requests() >= before + GOES_ON
        });
    }

    /// Lets the agents come to an end, and looks at what is left.
    pub fn end(mut self) -> Report {
        Agents::end_the_day(self.scene.folder());
        for host in &self.hosts {
            assert!(!self.zygote.was_killed(host.process));
        }
        let mut report = Report {
            title: self.title,
            troubles: self.troubles,
            ..Report::default()
        };
        report.courses = self.hosts.into_iter().map(|host| host.course).collect();
        evening::looked_after(&self.scene.shop, &self.server, &mut report);
        report
    }
}
