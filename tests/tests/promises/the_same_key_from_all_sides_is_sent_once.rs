//! Sixty-four agents, or eight processes of them, have the same idea at the same moment. One of them sends, and all others get
//! what that one got.

use crate::{
    processes::{Place, Role, Scene, Zygote},
    server::{Server, made},
    shop::{Line, What},
    stories::call_of,
    world::{file, intent, memory},
};
use semel::{
    model::{Answer, Outcome},
    runtime::Semel,
    store::Store,
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::task::JoinSet;

const TASKS: usize = 64;
const KEYS_IN_MEMORY: usize = 3_600;
const KEYS_IN_A_FILE: usize = 400;
const KEYS_ON_A_SERVER: usize = 300;
const PROCESSES: usize = 8;
const KEYS_OF_PROCESSES: usize = 1_000;
const KEYS_OF_PROCESSES_ON_A_SERVER: usize = 300;

async fn paying(store: Arc<dyn Store>) -> Semel {
    let mut tool = intent(json!({ "identity": ["id"], "content": ["amount"] })).await;
    tool.allowance.wait_ms = 60_000;
    Semel::builder(store)
        .tool(["pay"], tool)
        .open()
        .await
        .unwrap()
}

/// All tasks ask these hosts about one key after another. How often the tool ran for each, and what was answered.
async fn rush(hosts: &[Semel], keys: usize) {
    for key in 0..keys {
        let (runs, what) = (
            Arc::new(AtomicUsize::new(0)),
            What::new("pay", key.to_string()),
        );
        let mut asking = JoinSet::new();
        for task in 0..TASKS {
            let (semel, runs, call) = (
                hosts[task % hosts.len()].clone(),
                Arc::clone(&runs),
                call_of(&what),
            );
            asking.spawn(async move {
                let run = |_| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    async {
                        tokio::task::yield_now().await;
                        Outcome::returned(json!({ "id": "once" }))
                    }
                };
                semel.call(call, run).await.unwrap()
            });
        }
        let answers = asking.join_all().await;
        let replayed = answers
            .iter()
            .filter(|answer| matches!(answer, Answer::Replayed { .. }))
            .count();
        assert_eq!(
            (runs.load(Ordering::SeqCst), replayed),
            (1, TASKS - 1),
            "key {key}"
        );
        assert!(answers.iter().all(|answer| answer.outcome() == Some(&Outcome::returned(json!({ "id": "once" })))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_tasks() {
    rush(&[paying(memory()).await], KEYS_IN_MEMORY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_tasks_on_a_file() {
    let folder = tempfile::TempDir::new_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    rush(
        &[paying(file(folder.path().join("ledger.db"))).await],
        KEYS_IN_A_FILE,
    )
    .await;
}

/// The tasks share two hosts.
async fn rush_on(server: &Server) {
    let hosts = [
        paying(server.direct().open().await).await,
        paying(server.direct().open().await).await,
    ];
    rush(&hosts, KEYS_ON_A_SERVER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_tasks_on_postgres() {
    rush_on(&Server::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_tasks_on_redis() {
    rush_on(&Server::redis().await).await;
}

#[test]
fn of_eight_processes() {
    let scene = Scene::new();
    processes_rush(&scene, &Place::File(scene.ledger()), KEYS_OF_PROCESSES);
}

#[test]
fn of_eight_processes_on_postgres() {
    let server = made(Server::postgres());
    processes_rush(
        &Scene::new(),
        &server.direct(),
        KEYS_OF_PROCESSES_ON_A_SERVER,
    );
}

#[test]
fn of_eight_processes_on_redis() {
    let server = made(Server::redis());
    processes_rush(
        &Scene::new(),
        &server.direct(),
        KEYS_OF_PROCESSES_ON_A_SERVER,
    );
}

/// Processes ask about one key after another, at the same time.
fn processes_rush(scene: &Scene, ledger: &Place, keys: usize) {
    let (mut zygote, role) = (Zygote::start(), Role::Rush { many: keys });
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| zygote.play(&scene.part_at(ledger.clone(), "", role.clone())))
        .collect();
    for process in processes {
        assert!(!zygote.was_killed(process));
    }
    assert_eq!(scene.shop.requests(), keys);
    let journal = scene.shop.journal();
    let told = |word: &str| {
        journal
            .iter()
            .filter(|line| matches!(line, Line::Told { told, .. } if told.word == word))
            .count()
    };
    assert_eq!(
        (told("executed"), told("replayed")),
        (keys, (PROCESSES - 1) * keys)
    );
    let done: std::collections::BTreeSet<&What> = journal
        .iter()
        .filter_map(|line| {
            if let Line::Did { what, .. } = line {
                Some(what)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(done.len(), keys);
}

/// The control: two ledgers that do not know of each other, as two hosts with ledgers in memory.
#[tokio::test]
async fn control_two_ledgers_send_twice() {
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let semel = paying(memory()).await;
        let run = |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            async { Outcome::returned(json!({ "id": "once" })) }
        };
        assert_eq!(
            semel
                .call(call_of(&What::new("pay", "A")), run)
                .await
                .unwrap()
                .word(),
            "executed"
        );
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}
