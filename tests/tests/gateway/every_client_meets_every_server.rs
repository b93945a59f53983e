//! An old client is pointed at a new server, or a client on the network at a command, with the gateway between them: what it hears
//! is what it would hear of that server without the gateway, in its own era's words where the gateway translates. Each
//! library meets each server over each pair of carriers; a run of all tests plays some of them.

use crate::{
    a_client_hears_what_it_hears_without_the_gateway::{DOUBTED, FILES, GRAPH, QUESTIONS},
    peers::{Client, Library, Server, SpokenVersions},
    plays::{ClientRun, Transport},
};
use std::{
    panic::catch_unwind,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The number of scripts that run at once. They wait most of the time.
const AT_ONCE: usize = 6;

/// Has all of them be played.
const ALL: &str = "SEMEL_MCP_ALL";

const LIBRARIES: [Library; 6] = [
    Library::Sdk,
    Library::Node(SpokenVersions::Older),
    Library::Node(SpokenVersions::Newer),
    Library::Node(SpokenVersions::Both),
    Library::Python(SpokenVersions::Older),
    Library::Python(SpokenVersions::Both),
];

const SERVERS: [(Server, &[Transport]); 5] = [
    (Server::Everything, &[Transport::Stdio, Transport::Http]),
    (Server::Filesystem, &[Transport::Stdio]),
    (Server::Memory, &[Transport::Stdio]),
    (
        Server::BothEras("reject"),
        &[Transport::Stdio, Transport::Http],
    ),
    (Server::FastMcp, &[Transport::Stdio, Transport::Http]),
];

fn every_play() -> Vec<ClientRun> {
    let mut plays = Vec::new();
    for (server, backs) in SERVERS {
        for back in backs {
            for front in [Transport::Stdio, Transport::Http] {
                plays.extend(LIBRARIES.map(|library| {
                    ClientRun::of(client_for(library, server), server).over(front, *back)
                }));
            }
        }
    }
    plays
}

fn client_for(library: Library, server: Server) -> Client {
    match server {
        Server::Everything => Client::Everything(library),
        Server::Filesystem => Client::Tools(library, FILES),
        Server::Memory => Client::Tools(library, GRAPH),
        Server::BothEras(_) | Server::FastMcp => Client::Tools(library, QUESTIONS),
    }
}

/// Each library, each server and each carrier at least once, and the mixed eras more often.
fn is_always_played(play: &ClientRun) -> bool {
    use {Library::*, SpokenVersions::*, Transport::*};
    let library = match play.client {
        Client::Everything(library) | Client::Tools(library, _) => library,
        Client::Inspector(_) => return true,
    };
    matches!(
        (library, play.server, play.front, play.back),
        (Sdk, Server::Everything, Http, Http)
            | (Node(Older), Server::Everything, Http, Stdio)
            | (Node(Newer), Server::Everything, Http, Http)
            | (Node(Both), Server::Everything, Stdio | Http, Stdio)
            | (Python(Older), Server::Everything, Http, Http)
            | (Python(Both), Server::Everything, Stdio, Stdio)
            | (Sdk | Python(Older), Server::BothEras(_), Http, Stdio)
            | (Node(Newer), Server::BothEras(_), Http, Http)
            | (Node(Both), Server::Memory, Stdio, Stdio)
            | (Python(Both), Server::Filesystem, Http, Stdio)
            | (Python(Both), Server::FastMcp, Http, Http)
    )
}

/// The result of a run.
struct FinishedRun {
    play: ClientRun,
    took: Duration,
    is_the_same: bool,
}

fn play_all(plays: Vec<ClientRun>) -> Vec<FinishedRun> {
    let (left, played) = (Mutex::new(plays), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(play) = next() {
                    let begun = Instant::now();
                    let doubted = if play.server == Server::FastMcp {
                        &["refuse", "wrong", "nothing", "confirm"]
                    } else {
                        DOUBTED
                    };
                    let is_the_same = catch_unwind(|| play.is_the_same(doubted)).is_ok();
                    played.lock().unwrap().push(FinishedRun {
                        play,
                        took: begun.elapsed(),
                        is_the_same,
                    });
                }
            });
        }
    });
    played.into_inner().unwrap()
}

#[test]
fn each_pair_hears_the_same() {
    let is_all = std::env::var_os(ALL).is_some();
    let plays: Vec<_> = every_play()
        .into_iter()
        .filter(|play| is_all || is_always_played(play))
        .collect();
    let count = plays.len();
    let mut played = play_all(plays);
    played.sort_by_key(|played| format!("{:?} {:?}", played.play.server, played.play));
    for FinishedRun {
        play,
        took,
        is_the_same,
    } in &played
    {
        let ClientRun {
            client,
            server,
            front,
            back,
        } = play;
        let library = match client {
            Client::Everything(library) | Client::Tools(library, _) => format!("{library:?}"),
            Client::Inspector(_) => "Inspector".to_owned(),
        };
        let said = if *is_the_same { "the same" } else { "DIFFERS" };
        println!(
            "{:<19} {library:<16} {front:?} → {back:?}: {said}, {:.1} s",
            format!("{server:?}"),
            took.as_secs_f64()
        );
    }
    assert_eq!(played.len(), count);
    assert!(
        played.iter().all(|played| played.is_the_same),
        "what differs is told above"
    );
}
