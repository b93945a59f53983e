//! Loss detection: a comparison of the servers' present facts with the recorded ones.
//!
//! The facts are recorded in the ledger's marker, so that they outlive every host. They separate a failover
//! from a move of buckets. At a failover, a replica appears and another server disappears. At a move, a
//! server appears or disappears alone. A promoted replica also names the replication history that it
//! followed, until it is restarted.
//!
//! Absent: the queries and the storage of the facts; see `server.rs` and `marker.rs`.

/// A server's present facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerFacts {
    /// Its name in the cluster. A server that stands alone needs no name.
    pub(super) name: String,
    /// The identifier of this start of the server.
    pub(super) run: String,
    /// The replication history that it followed before its promotion, if it names one.
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
    /// It is being rewritten, perhaps for the first time.
    Rewriting,
    /// It holds every write.
    Complete,
}

/// The recorded facts of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ObservedNode {
    name: String,
    run: String,
    followed: String,
    evicted: u64,
    /// The start in which its append-only file was known to be complete; empty if none.
    complete_run: String,
}

/// The recorded facts of all servers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObservedNodes(Vec<ObservedNode>);

impl ObservedNodes {
    /// Parses the recorded text, a line for each server; `None` if it is not in that form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.lines()
            .map(ObservedNode::parse)
            .collect::<Option<_>>()
            .map(Self)
    }

    pub(super) fn to_text(&self) -> String {
        self.0.iter().map(ObservedNode::to_text).collect()
    }

    /// Returns true if every server's append-only file is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.0.iter().all(|node| node.complete_run == node.run)
    }

    /// Returns the facts to record now, and whether anything may have been lost since.
    pub(super) fn update(&self, mut now: Vec<ServerFacts>) -> (Self, bool) {
        now.sort_by(|one, other| one.name.cmp(&other.name));
        // The first facts of a ledger have nothing to be compared with.
        let is_first = self.0.is_empty();
        let was_lost = !is_first
            && (self.shows_takeover(&now) || now.iter().any(|facts| self.shows_loss(facts)));
        (
            Self(
                now.into_iter()
                    .map(|facts| ObservedNode::new(self.find_node(&facts.name), facts))
                    .collect(),
            ),
            was_lost,
        )
    }

    fn find_node(&self, name: &str) -> Option<&ObservedNode> {
        self.0.iter().find(|node| node.name == name)
    }

    /// Returns true if one server appears and another disappears.
    fn shows_takeover(&self, now: &[ServerFacts]) -> bool {
        let comes = now
            .iter()
            .any(|facts| self.find_node(&facts.name).is_none());
        comes
            && self
                .0
                .iter()
                .any(|node| now.iter().all(|facts| facts.name != node.name))
    }

    fn shows_loss(&self, facts: &ServerFacts) -> bool {
        let Some(node) = self.find_node(&facts.name) else {
            // A newcomer may have been promoted, or may have evicted entries, before it got its buckets.
            return facts.followed.is_some() || facts.evicted > 0;
        };
        let restarted = node.run != facts.run;
        restarted && facts.restart_loses
            || facts
                .followed
                .as_ref()
                .is_some_and(|followed| *followed != node.followed)
            // A restart resets the counter of evictions.
            || facts.evicted > if restarted { 0 } else { node.evicted }
    }
}

impl ObservedNode {
    fn new(before: Option<&Self>, facts: ServerFacts) -> Self {
        let known = |part: fn(&Self) -> &String| before.map(part).cloned().unwrap_or_default();
        let complete_run = match facts.log {
            AppendLog::Off => String::new(),
            // A rewrite takes nothing from a file that was complete, but a first one is not complete yet.
            AppendLog::Rewriting => known(|node| &node.complete_run),
            AppendLog::Complete => facts.run.clone(),
        };
        let followed = facts
            .followed
            .unwrap_or_else(|| known(|node| &node.followed));
        Self {
            name: facts.name,
            run: facts.run,
            followed,
            evicted: facts.evicted,
            complete_run,
        }
    }

    /// Returns the line of a server. Its parts have no spaces, because names and runs are hexadecimal. A dash
    /// precedes each part that may be empty.
    fn to_text(&self) -> String {
        let Self {
            name,
            run,
            followed,
            evicted,
            complete_run,
        } = self;
        format!("-{name} -{run} -{followed} {evicted} -{complete_run}\n")
    }

    fn parse(line: &str) -> Option<Self> {
        let [name, run, followed, evicted, complete_run] =
            <[&str; 5]>::try_from(line.split(' ').collect::<Vec<_>>()).ok()?;
        let text = |part: &str| part.strip_prefix('-').map(str::to_owned);
        Some(Self {
            name: text(name)?,
            run: text(run)?,
            followed: text(followed)?,
            evicted: evicted.parse().ok()?,
            complete_run: text(complete_run)?,
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
            log: AppendLog::Complete,
            restart_loses: false,
        }
    }

    fn observed(now: &[ServerFacts]) -> ObservedNodes {
        ObservedNodes::default().update(now.to_vec()).0
    }

    /// Returns true if these facts, after those, show a loss.
    fn loses(before: &[ServerFacts], now: &[ServerFacts]) -> bool {
        observed(before).update(now.to_vec()).1
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let noted = observed(&[
            facts("b"),
            facts(""),
            ServerFacts {
                evicted: 7,
                followed: Some("x1".into()),
                ..facts("a")
            },
        ]);
        assert_eq!(ObservedNodes::parse(&noted.to_text()), Some(noted));
        assert_eq!(ObservedNodes::parse("mine\n"), None);
    }

    #[test]
    fn a_first_look_and_one_like_the_last_lose_nothing() {
        assert!(!ObservedNodes::default().update(vec![facts("a")]).1);
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
        let (noted, _) = observed(&[facts("a")]).update(taken_over.to_vec());
        let restarted = ServerFacts {
            run: "another".into(),
            ..facts("a")
        };
        let (noted, was_lost) = noted.update(vec![restarted]);
        assert!(
            !was_lost,
            "that it followed another is noted, and forgotten by it"
        );
        assert!(!noted.update(taken_over.to_vec()).1);
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
        assert!(!observed(&[log(AppendLog::Rewriting)]).is_complete());
        assert!(!observed(&[log(AppendLog::Off)]).is_complete());
        let whole = observed(&[log(AppendLog::Complete)]);
        assert!(
            whole
                .update(vec![log(AppendLog::Rewriting)])
                .0
                .is_complete(),
            "a later rewriting takes nothing from it"
        );
        let off = whole.update(vec![log(AppendLog::Off)]).0;
        assert!(
            !off.update(vec![log(AppendLog::Rewriting)]).0.is_complete(),
            "what was written meanwhile is not in it"
        );
        assert!(!observed(&[facts("b"), log(AppendLog::Off)]).is_complete());
    }
}
