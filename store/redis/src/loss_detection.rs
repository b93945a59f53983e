//! What was seen of the servers that keep a ledger, and whether they may have lost anything since.
//!
//! The facts are recorded in the ledger's marker, so that they outlive every host; they separate a
//! takeover from a move. A replica that takes over appears where another server disappears; a
//! server that is given a part of the buckets, or gives all of its own away, appears or disappears
//! alone. A newcomer is also known by the server that it followed, until it is restarted.
//!
//! Absent: how it is asked for and kept; see `server.rs` and `marker.rs`.

/// A server's present facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerFacts {
    /// Its name in the cluster. A server that stands alone needs no name.
    pub(super) name: String,
    /// Which start of the server this is.
    pub(super) run: String,
    /// The history that it followed before it took over, if it remembers any.
    pub(super) followed: Option<String>,
    /// The entries that were evicted since its start.
    pub(super) evicted: u64,
    pub(super) log: AppendLog,
    /// True if a restart may have lost acknowledged writes.
    pub(super) restart_loses: bool,
}

/// The state of a server's append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppendLog {
    /// It is turned off.
    Off,
    /// It is written as a whole just now, maybe for the first time.
    Rewritten,
    /// It holds everything.
    Holds,
}

/// The recorded facts of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ObservedNode {
    name: String,
    run: String,
    followed: String,
    evicted: u64,
    /// In which start its append-only file was known to hold everything.
    whole: String,
}

/// The recorded facts of all servers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObservedNodes(Vec<ObservedNode>);

impl ObservedNodes {
    /// As it is noted: a line a server. None: it is no such note.
    pub(super) fn read(text: &str) -> Option<Self> {
        text.lines()
            .map(ObservedNode::read)
            .collect::<Option<_>>()
            .map(Self)
    }

    pub(super) fn to_text(&self) -> String {
        self.0.iter().map(ObservedNode::to_text).collect()
    }

    /// Returns true if every server's append-only file holds everything.
    pub(super) fn is_whole(&self) -> bool {
        self.0.iter().all(|node| node.whole == node.run)
    }

    /// Returns the facts to record now, and whether anything may have been lost since.
    pub(super) fn next(&self, mut now: Vec<ServerFacts>) -> (Self, bool) {
        now.sort_by(|one, other| one.name.cmp(&other.name));
        let is_first = self.0.is_empty();
        let was_lost =
            !is_first && (self.is_taken_over(&now) || now.iter().any(|facts| self.lost_in(facts)));
        (
            Self(
                now.into_iter()
                    .map(|facts| ObservedNode::of(self.known(&facts.name), facts))
                    .collect(),
            ),
            was_lost,
        )
    }

    fn known(&self, name: &str) -> Option<&ObservedNode> {
        self.0.iter().find(|node| node.name == name)
    }

    /// Returns true if one appears where another disappears.
    fn is_taken_over(&self, now: &[ServerFacts]) -> bool {
        let comes = now.iter().any(|facts| self.known(&facts.name).is_none());
        comes
            && self
                .0
                .iter()
                .any(|node| now.iter().all(|facts| facts.name != node.name))
    }

    fn lost_in(&self, facts: &ServerFacts) -> bool {
        let Some(node) = self.known(&facts.name) else {
            return facts.followed.is_some() || facts.evicted > 0;
        };
        let restarted = node.run != facts.run;
        restarted && facts.restart_loses
            || facts
                .followed
                .as_ref()
                .is_some_and(|followed| *followed != node.followed)
            || facts.evicted > if restarted { 0 } else { node.evicted }
    }
}

impl ObservedNode {
    fn of(before: Option<&Self>, facts: ServerFacts) -> Self {
        let known = |part: fn(&Self) -> &String| before.map(part).cloned().unwrap_or_default();
        let whole = match facts.log {
            AppendLog::Off => String::new(),
            AppendLog::Rewritten => known(|node| &node.whole),
            AppendLog::Holds => facts.run.clone(),
        };
        let followed = facts
            .followed
            .unwrap_or_else(|| known(|node| &node.followed));
        Self {
            name: facts.name,
            run: facts.run,
            followed,
            evicted: facts.evicted,
            whole,
        }
    }

    /// Nothing in it has a space: names and runs are hexadecimal. A dash stands before what may be empty.
    fn to_text(&self) -> String {
        let Self {
            name,
            run,
            followed,
            evicted,
            whole,
        } = self;
        format!("-{name} -{run} -{followed} {evicted} -{whole}\n")
    }

    fn read(line: &str) -> Option<Self> {
        let [name, run, followed, evicted, whole] =
            <[&str; 5]>::try_from(line.split(' ').collect::<Vec<_>>()).ok()?;
        let text = |part: &str| part.strip_prefix('-').map(str::to_owned);
        Some(Self {
            name: text(name)?,
            run: text(run)?,
            followed: text(followed)?,
            evicted: evicted.parse().ok()?,
            whole: text(whole)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str) -> ServerFacts {
        let run = format!("run-of-{name}");
        ServerFacts {
            name: name.to_owned(),
            run,
            followed: None,
            evicted: 0,
            log: AppendLog::Holds,
            restart_loses: false,
        }
    }

    fn seen(now: &[ServerFacts]) -> ObservedNodes {
        ObservedNodes::default().next(now.to_vec()).0
    }

    /// Returns true if these facts, after those, show a loss.
    fn loses(before: &[ServerFacts], now: &[ServerFacts]) -> bool {
        seen(before).next(now.to_vec()).1
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let noted = seen(&[
            facts("b"),
            facts(""),
            ServerFacts {
                evicted: 7,
                followed: Some("x1".into()),
                ..facts("a")
            },
        ]);
        assert_eq!(ObservedNodes::read(&noted.to_text()), Some(noted));
        assert_eq!(ObservedNodes::read("mine\n"), None);
    }

    #[test]
    fn a_first_look_and_one_like_the_last_lose_nothing() {
        assert!(!ObservedNodes::default().next(vec![facts("a")]).1);
        assert!(!loses(&[facts("a"), facts("b")], &[facts("b"), facts("a")]));
    }

    #[test]
    fn who_comes_or_goes_alone_took_nothing_over() {
        assert!(!loses(&[facts("a")], &[facts("a"), facts("b")]));
        assert!(!loses(&[facts("a"), facts("b")], &[facts("a")]));
    }

    #[test]
    fn who_comes_where_another_goes_took_over() {
        assert!(loses(&[facts("a"), facts("b")], &[facts("a"), facts("c")]));
    }

    #[test]
    fn who_followed_another_took_over_and_is_known_for_it() {
        let taken_over = [ServerFacts {
            followed: Some("history".into()),
            ..facts("a")
        }];
        assert!(loses(&[facts("a")], &taken_over));
        assert!(loses(&[facts("b")], &[facts("b"), taken_over[0].clone()]));
        let (noted, _) = seen(&[facts("a")]).next(taken_over.to_vec());
        let restarted = ServerFacts {
            run: "another".into(),
            ..facts("a")
        };
        let (noted, was_lost) = noted.next(vec![restarted]);
        assert!(
            !was_lost,
            "that it followed another is noted, and forgotten by it"
        );
        assert!(!noted.next(taken_over.to_vec()).1);
    }

    #[test]
    fn a_restart_loses_where_not_every_write_is_synced() {
        let restarted = ServerFacts {
            run: "another".into(),
            ..facts("a")
        };
        assert!(!loses(&[facts("a")], std::slice::from_ref(&restarted)));
        assert!(loses(
            &[facts("a")],
            &[ServerFacts {
                restart_loses: true,
                ..restarted
            }]
        ));
    }

    #[test]
    fn an_eviction_loses_each_time() {
        let evicted = |count| ServerFacts {
            evicted: count,
            ..facts("a")
        };
        assert!(loses(&[evicted(2)], &[evicted(3)]));
        assert!(!loses(&[evicted(3)], &[evicted(3)]));
        let restarted = |count| ServerFacts {
            run: "another".into(),
            ..evicted(count)
        };
        assert!(
            loses(&[evicted(3)], &[restarted(1)]),
            "a restart counts anew"
        );
        assert!(!loses(&[evicted(3)], &[restarted(0)]));
    }

    #[test]
    fn a_file_that_was_never_written_as_a_whole_holds_nothing() {
        let log = |log| ServerFacts { log, ..facts("a") };
        assert!(!seen(&[log(AppendLog::Rewritten)]).is_whole());
        assert!(!seen(&[log(AppendLog::Off)]).is_whole());
        let whole = seen(&[log(AppendLog::Holds)]);
        assert!(
            whole.next(vec![log(AppendLog::Rewritten)]).0.is_whole(),
            "a later rewriting takes nothing from it"
        );
        let off = whole.next(vec![log(AppendLog::Off)]).0;
        assert!(
            !off.next(vec![log(AppendLog::Rewritten)]).0.is_whole(),
            "what was written meanwhile is not in it"
        );
        assert!(!seen(&[facts("b"), log(AppendLog::Off)]).is_whole());
    }
}
