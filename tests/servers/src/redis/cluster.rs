//! Redis clusters: some primaries that share the slots, and replicas of them.

use super::{FIT, Redis, program};
use crate::machine;
use semel_redis::RedisStore;
use semel_store::ServerAddress;

/// How many slots there are.
const SLOTS: usize = 1 << 14;

/// How soon a server that does not answer is taken for failed. A busy machine stops servers for a while, too.
const NODE_TIMEOUT_MS: &str = "3000";

/// The servers of a cluster that runs.
pub struct Cluster {
    pub nodes: Vec<Redis>,
    /// Where each speaks to the others.
    buses: Vec<String>,
}

impl Cluster {
    /// A fresh cluster of so many primaries, each fit for a ledger.
    pub fn start(primaries: usize) -> Self {
        Self::start_with(primaries, &[])
    }

    /// The same with these settings besides.
    pub fn start_with(primaries: usize, settings: &[&str]) -> Self {
        let (nodes, buses) = (0..primaries).map(|_| server(settings)).unzip();
        let cluster = Self { nodes, buses };
        let share = SLOTS.div_ceil(primaries);
        for (at, node) in cluster.nodes.iter().enumerate() {
            let (first, last) = (at * share, ((at + 1) * share).min(SLOTS) - 1);
            done(
                node,
                &["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()],
            );
            done(
                node,
                &[
                    "CLUSTER",
                    "ADDSLOTSRANGE",
                    &first.to_string(),
                    &last.to_string(),
                ],
            );
            cluster.meet(node);
        }
        cluster.settle();
        cluster
    }

    /// One more primary, which has no slots yet.
    pub fn add_primary(&mut self) -> usize {
        let (node, bus) = server(&[]);
        self.meet(&node);
        self.nodes.push(node);
        self.buses.push(bus);
        self.settle();
        self.nodes.len() - 1
    }

    /// A replica of a primary, which follows it.
    pub fn add_replica(&mut self, of: usize) -> usize {
        let primary = self.id(of);
        let at = self.add_primary();
        let replica = &self.nodes[at];
        done(replica, &["CLUSTER", "REPLICATE", &primary]);
        machine::until("the replica", || {
            replica
                .cli(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        // The others choose it only if they know whose it is.
        machine::until("the news of the replica", || {
            self.nodes.iter().all(|node| {
                node.cli(&["CLUSTER", "NODES"])
                    .contains(&format!("slave {primary}"))
            })
        });
        at
    }

    fn meet(&self, node: &Redis) {
        let (first, bus) = (&self.nodes[0], &self.buses[0]);
        if first.port != node.port {
            done(
                node,
                &["CLUSTER", "MEET", "127.0.0.1", &first.port.to_string(), bus],
            );
        }
    }

    /// Waits until every server knows all, and the cluster serves.
    pub fn settle(&self) {
        let all = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            machine::until("the cluster", || {
                let told = node.cli(&["CLUSTER", "INFO"]);
                told.contains(&all) && told.contains("cluster_state:ok")
            });
        }
    }

    /// Starts a server again where it was, after it was killed.
    pub fn start_again(&mut self, at: usize) {
        self.nodes[at].start_again(&settings(&self.buses[at]));
    }

    /// By what the others know a server.
    pub fn id(&self, at: usize) -> String {
        self.nodes[at].cli(&["CLUSTER", "MYID"])
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> String {
        self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key])
    }

    /// Moves so many slots, with what lies in them, as whoever looks after a cluster does.
    pub fn reshard(&self, from: usize, to: usize, slots: usize) {
        let moved = program("redis-cli")
            .args([
                "--cluster",
                "reshard",
                &format!("127.0.0.1:{}", self.nodes[from].port),
                "--cluster-yes",
            ])
            .args([
                "--cluster-from",
                &self.id(from),
                "--cluster-to",
                &self.id(to),
            ])
            .args(["--cluster-slots", &slots.to_string()])
            .output()
            .unwrap();
        assert!(
            moved.status.success(),
            "reshard: {}",
            String::from_utf8_lossy(&moved.stdout)
        );
    }

    /// Has a primary write more than a wire to its replica holds, so that what comes after it does not leave the primary while the
    /// replica stands still.
    pub fn fill_wire(&self, from: usize) {
        let script =
            "for i = 1, 32 do redis.call('SET', KEYS[1], string.rep('x', 1000000)) end return 'OK'";
        let node = &self.nodes[from];
        assert!((0..1000).any(|number| node.cli(&[
            "EVAL",
            script,
            "1",
            &format!("filler-{number}")
        ]) == "OK"));
    }

    /// Empties every server.
    pub fn flush(&self) {
        self.nodes.iter().for_each(|node| done(node, &["FLUSHALL"]));
    }

    /// The cluster, by its first server.
    pub fn server(&self) -> ServerAddress {
        self.nodes[0].server()
    }

    /// The cluster, with a ledger in it.
    pub async fn ledger(&self) -> ServerAddress {
        RedisStore::set_up(&self.server()).await.unwrap();
        self.server()
    }
}

/// The settings with which a server of a cluster is started, on top of those that are fit for a ledger.
fn settings(bus: &str) -> Vec<&str> {
    let clustered = [
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        "nodes.conf",
        "--cluster-port",
        bus,
    ];
    let hasty = [
        "--cluster-node-timeout",
        NODE_TIMEOUT_MS,
        "--cluster-replica-validity-factor",
        "0",
    ];
    [FIT, &clustered, &hasty].concat()
}

/// A server that is in no cluster yet, and where it speaks to others.
fn server(more: &[&str]) -> (Redis, String) {
    let bus = machine::free_port().to_string();
    (
        Redis::start_with(&[&settings(&bus)[..], more].concat()),
        bus,
    )
}

fn done(node: &Redis, command: &[&str]) {
    assert_eq!(node.cli(command), "OK", "{command:?}");
}
