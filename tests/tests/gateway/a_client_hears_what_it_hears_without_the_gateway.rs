//! A user writes `semel mcp --` before the command of a server that works, and something stops
//! working: a prompt comes out differently, progress is not reported, a question of the server gets
//! no answer. The same script runs with and without the gateway, with clients and servers of other
//! authors, and everything that the client receives is compared. Client and server use one protocol
//! version here, on the standard streams. `every_client_meets_every_server` runs the other
//! combinations.

use crate::{
    peers::{Client, Library, Server, SpokenVersions},
    plays::ClientRun,
};

/// For servers with the tools `look`, `order` and `refuse`.
pub const ORDERS: &str = r#"[["look", {"at": "it"}], ["order", {"what": "tea"}], ["order", {"what": "milk"}], ["refuse", {}],
    ["order", {"wrong": 1}], ["nothing", {}], ["order", {"what": "tea"}]]"#;

/// The same, and one that asks back.
pub const QUESTIONS: &str = r#"[["look", {"at": "it"}], ["order", {"what": "tea"}], ["confirm", {"what": "tea"}], ["refuse", {}],
    ["order", {"wrong": 1}], ["nothing", {}], ["confirm", {"what": "tea"}], ["order", {"what": "tea"}]]"#;

/// The steps in which the server reports a failure, but not whether it had an effect: the gateway
/// adds that.
pub const DOUBTED: &[&str] = &["refuse", "wrong"];

pub const FILES: &str = r#"[["list_allowed_directories", {}], ["read_text_file", {"path": "{folder}/one.txt"}],
    ["read_text_file", {"path": "{folder}/one.txt", "head": 1}],
    ["write_file", {"path": "{folder}/two.txt", "content": "third"}],
    ["edit_file", {"path": "{folder}/two.txt", "edits": [{"oldText": "third", "newText": "fourth"}]}],
    ["create_directory", {"path": "{folder}/under/it"}], ["move_file", {"source": "{folder}/two.txt", "destination": "{folder}/under/two.txt"}],
    ["directory_tree", {"path": "{folder}"}], ["search_files", {"path": "{folder}", "pattern": "**/*.txt"}],
    ["read_multiple_files", {"paths": ["{folder}/one.txt", "{folder}/nowhere"]}], ["write_file", {"wrong": true}]]"#;

pub const GRAPH: &str = r#"[["read_graph", {}], ["create_entities", {"entities": [
        {"name": "Ada", "entityType": "person", "observations": ["counts"]}, {"name": "engine", "entityType": "thing", "observations": []}]}],
    ["create_relations", {"relations": [{"from": "Ada", "to": "engine", "relationType": "programs"}]}],
    ["add_observations", {"observations": [{"entityName": "Ada", "contents": ["writes"]}]}],
    ["search_nodes", {"query": "Ada"}], ["open_nodes", {"names": ["engine"]}],
    ["delete_observations", {"deletions": [{"entityName": "Ada", "observations": ["counts"]}]}], ["read_graph", {}]]"#;

fn is_the_same(client: Client, server: Server, doubted: &[&str]) {
    ClientRun::of(client, server).is_the_same(doubted);
}

#[test]
fn every_feature_of_everything_by_the_library_of_the_older_era() {
    is_the_same(Client::Everything(Library::Sdk), Server::Everything, &[]);
}

#[test]
fn every_feature_of_everything_by_the_library_of_both_eras() {
    is_the_same(
        Client::Everything(Library::Node(SpokenVersions::Older)),
        Server::Everything,
        &[],
    );
}

#[test]
fn files_by_the_library_of_the_older_era() {
    is_the_same(Client::Tools(Library::Sdk, FILES), Server::Filesystem, &[]);
}

#[test]
fn files_by_python() {
    is_the_same(
        Client::Tools(Library::Python(SpokenVersions::Older), FILES),
        Server::Filesystem,
        &[],
    );
}

#[test]
fn a_graph_by_the_library_of_both_eras() {
    is_the_same(
        Client::Tools(Library::Node(SpokenVersions::Older), GRAPH),
        Server::Memory,
        &[],
    );
}

#[test]
fn a_graph_by_python() {
    is_the_same(
        Client::Tools(Library::Python(SpokenVersions::Older), GRAPH),
        Server::Memory,
        &[],
    );
}

#[test]
fn a_server_of_both_eras_by_an_older_client() {
    is_the_same(
        Client::Tools(Library::Sdk, QUESTIONS),
        Server::BothEras("serve"),
        DOUBTED,
    );
}

#[test]
fn a_server_of_the_newer_era_by_typescript() {
    is_the_same(
        Client::Tools(Library::Node(SpokenVersions::Newer), ORDERS),
        Server::BothEras("reject"),
        DOUBTED,
    );
}

#[test]
fn a_server_of_the_newer_era_by_python() {
    is_the_same(
        Client::Tools(Library::Python(SpokenVersions::Both), ORDERS),
        Server::BothEras("reject"),
        DOUBTED,
    );
}

#[test]
fn questions_of_a_server_of_the_newer_era() {
    is_the_same(
        Client::Tools(Library::Node(SpokenVersions::Newer), QUESTIONS),
        Server::BothEras("reject"),
        DOUBTED,
    );
}

#[test]
fn fast_mcp_by_python() {
    is_the_same(
        Client::Tools(Library::Python(SpokenVersions::Both), ORDERS),
        Server::FastMcp,
        &["refuse", "wrong", "nothing"],
    );
}

#[test]
fn fast_mcp_by_typescript() {
    is_the_same(
        Client::Tools(Library::Node(SpokenVersions::Older), ORDERS),
        Server::FastMcp,
        &["refuse", "wrong", "nothing"],
    );
}

#[test]
fn the_command_line_of_the_inspector() {
    const LINES: [&[&str]; 4] = [
        &["--method", "tools/list"],
        &["--method", "resources/list"],
        &["--method", "prompts/get", "--prompt-name", "simple-prompt"],
        &[
            "--method",
            "tools/call",
            "--tool-name",
            "get-sum",
            "--tool-arg",
            "a=1",
            "b=2",
        ],
    ];
    for line in LINES {
        let (bare, through) = ClientRun::of(Client::Inspector(line), Server::Everything).both();
        through.is_as(&bare, &[]);
    }
}
