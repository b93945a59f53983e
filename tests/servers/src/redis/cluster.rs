//! A Redis cluster: primaries that share the slots, and their replicas.

use super::{LEDGER_SETTINGS, RedisServer, redis_program};
use crate::machine;
use semel_redis::RedisStore;
use semel_store::ServerAddress;

/// The number of hash slots of every Redis cluster.
const SLOT_COUNT: usize = 1 << 14;

/// The silence after which a node counts as failed. A busy machine, too, keeps nodes silent for a
/// while.
const NODE_TIMEOUT_MS: &str = "3000";

/// The nodes of a running cluster, each started with [`LEDGER_SETTINGS`]. Methods take indexes into
/// `nodes`.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
    /// The port of each node's cluster bus, by which nodes exchange gossip.
    bus_ports: Vec<String>,
}

impl RedisCluster {
    /// Starts a fresh cluster with so many primaries, and waits until it is healthy.
    pub fn start(primaries: usize) -> Self {
        let (nodes, bus_ports) = (0..primaries).map(|_| start_node()).unzip();
        let cluster = Self { nodes, bus_ports };
        let slots_each = SLOT_COUNT.div_ceil(primaries);
        for (index, node) in cluster.nodes.iter().enumerate() {
            let first_slot = index * slots_each;
            let last_slot = (first_slot + slots_each).min(SLOT_COUNT) - 1;
            // Distinct epochs spare the nodes the resolution of conflicts between equal ones.
            expect_ok(
                node,
                &["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()],
            );
            expect_ok(
                node,
                &[
                    "CLUSTER",
                    "ADDSLOTSRANGE",
                    &first_slot.to_string(),
                    &last_slot.to_string(),
                ],
            );
            cluster.join_first_node(node);
        }
        cluster.wait_until_healthy();
        cluster
    }

    /// Adds a primary without slots, and returns its index.
    pub fn add_primary(&mut self) -> usize {
        let (node, bus_port) = start_node();
        self.join_first_node(&node);
        self.nodes.push(node);
        self.bus_ports.push(bus_port);
        self.wait_until_healthy();
        self.nodes.len() - 1
    }

    /// Adds a replica of a primary, and returns its index once every node knows it.
    pub fn add_replica(&mut self, primary: usize) -> usize {
        let primary_id = self.node_id(primary);
        let index = self.add_primary();
        let replica = &self.nodes[index];
        expect_ok(replica, &["CLUSTER", "REPLICATE", &primary_id]);
        machine::wait_until("the replica", || {
            replica
                .run_command(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        // Other primaries vote for a replica only once they know its primary.
        machine::wait_until("the news of the replica", || {
            self.nodes.iter().all(|node| {
                node.run_command(&["CLUSTER", "NODES"])
                    .contains(&format!("slave {primary_id}"))
            })
        });
        index
    }

    fn join_first_node(&self, node: &RedisServer) {
        let first = &self.nodes[0];
        let first_bus_port = &self.bus_ports[0];
        if first.port != node.port {
            expect_ok(
                node,
                &[
                    "CLUSTER",
                    "MEET",
                    "127.0.0.1",
                    &first.port.to_string(),
                    first_bus_port,
                ],
            );
        }
    }

    /// Waits until every node knows all others and reports the cluster as healthy.
    fn wait_until_healthy(&self) {
        let all_known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            machine::wait_until("the cluster", || {
                let info = node.run_command(&["CLUSTER", "INFO"]);
                info.contains(&all_known) && info.contains("cluster_state:ok")
            });
        }
    }

    /// Starts a killed node again, on the same ports and data.
    pub fn restart_node(&mut self, node: usize) {
        self.nodes[node].restart(&node_settings(&self.bus_ports[node]));
    }

    /// The ID by which the other nodes know a node.
    pub fn node_id(&self, node: usize) -> String {
        self.nodes[node].run_command(&["CLUSTER", "MYID"])
    }

    /// The hash slot of a key.
    pub fn slot_of_key(&self, key: &str) -> String {
        self.nodes[0].run_command(&["CLUSTER", "KEYSLOT", key])
    }

    /// Moves so many slots with their keys, by the tool that operators use.
    pub fn reshard(&self, from: usize, to: usize, slots: usize) {
        machine::run_to_success(
            redis_program("redis-cli")
                .args([
                    "--cluster",
                    "reshard",
                    &format!("127.0.0.1:{}", self.nodes[from].port),
                    "--cluster-yes",
                ])
                .args([
                    "--cluster-from",
                    &self.node_id(from),
                    "--cluster-to",
                    &self.node_id(to),
                ])
                .args(["--cluster-slots", &slots.to_string()]),
        );
    }

    /// Writes more on a primary than the socket to its paused replica buffers.
    ///
    /// Later writes then stay on the primary, and are lost when it is killed.
    pub fn fill_replication_socket(&self, primary: usize) {
        let script =
            "for i = 1, 32 do redis.call('SET', KEYS[1], string.rep('x', 1000000)) end return 'OK'";
        let node = &self.nodes[primary];
        // The primary refuses keys in slots of other nodes: try names until one is in its own.
        assert!((0..1000).any(|number| node.run_command(&[
            "EVAL",
            script,
            "1",
            &format!("filler-{number}")
        ]) == "OK"));
    }

    /// Deletes all keys of every node.
    pub fn flush_all(&self) {
        for node in &self.nodes {
            expect_ok(node, &["FLUSHALL"]);
        }
    }

    /// The address of the first node.
    pub fn address(&self) -> ServerAddress {
        self.nodes[0].address()
    }

    /// Creates a ledger in the cluster.
    pub async fn create_ledger(&self) -> ServerAddress {
        RedisStore::set_up(&self.address()).await.unwrap();
        self.address()
    }
}

fn node_settings(bus_port: &str) -> Vec<&str> {
    let cluster = [
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        "nodes.conf",
        "--cluster-port",
        bus_port,
    ];
    let fast_failover = [
        "--cluster-node-timeout",
        NODE_TIMEOUT_MS,
        // A replica may take over however long ago it last heard of its primary.
        "--cluster-replica-validity-factor",
        "0",
    ];
    [LEDGER_SETTINGS, &cluster, &fast_failover].concat()
}

/// Starts a node that has joined no cluster yet, and returns it with the port of its cluster bus.
fn start_node() -> (RedisServer, String) {
    let bus_port = machine::free_port().to_string();
    let node = RedisServer::start_with_settings(&node_settings(&bus_port));
    (node, bus_port)
}

fn expect_ok(node: &RedisServer, command: &[&str]) {
    assert_eq!(node.run_command(command), "OK", "{command:?}");
}
