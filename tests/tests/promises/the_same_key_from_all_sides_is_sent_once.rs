//! Sixty-four agents, or eight processes of them, have the same idea at the same moment. One of them sends, and all others get
//! what that one got.

use crate::{
    processes::{Role, Scene, Zygote},
    shop::{Line, What},
    stories::call_of,
    world::{file, intent, memory},
};
use semel::{
    runtime::Semel,
    store::Store,
    words::{Answer, Outcome},
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
const PROCESSES: usize = 8;
const KEYS_OF_PROCESSES: usize = 1_000;

async fn paying(store: Arc<dyn Store>) -> Semel {
    let mut tool = intent(json!({ "identity": ["id"], "content": ["amount"] })).await;
    tool.allowance.wait_ms = 60_000;
    Semel::builder(store).tool(["pay"], tool).open().await.unwrap()
}

/// All tasks ask about one key after another. How often the tool ran for each, and what was answered.
async fn rush(semel: &Semel, keys: usize) {
    for key in 0..keys {
        let (runs, what) = (Arc::new(AtomicUsize::new(0)), What::new("pay", key.to_string()));
        let mut asking = JoinSet::new();
        for _ in 0..TASKS {
            let (semel, runs, call) = (semel.clone(), Arc::clone(&runs), call_of(&what));
            asking.spawn(async move {
                let run = |_| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    async {
                        tokio::task::yield_now().await;
                        Outcome::Returned(json!({ "id": "once" }))
                    }
                };
                semel.call(call, run).await.unwrap()
            });
        }
        let answers = asking.join_all().await;
        let replayed = answers.iter().filter(|answer| matches!(answer, Answer::Replayed { .. })).count();
        assert_eq!((runs.load(Ordering::SeqCst), replayed), (1, TASKS - 1), "key {key}");
        assert!(answers.iter().all(|answer| answer.outcome() == Some(&Outcome::Returned(json!({ "id": "once" })))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_tasks() {
    rush(&paying(memory()).await, KEYS_IN_MEMORY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_tasks_on_a_file() {
    let folder = tempfile::TempDir::new_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    rush(&paying(file(folder.path().join("ledger.db"))).await, KEYS_IN_A_FILE).await;
}

#[test]
fn of_eight_processes() {
    let (scene, mut zygote) = (Scene::new(), Zygote::start());
    let role = Role::Rush { many: KEYS_OF_PROCESSES };
    let processes: Vec<_> = (0..PROCESSES).map(|_| zygote.play(&scene.part("", role.clone()))).collect();
    for process in processes {
        assert!(!zygote.was_killed(process));
    }
    assert_eq!(scene.shop.requests(), KEYS_OF_PROCESSES);
    let journal = scene.shop.journal();
    let told =
        |word: &str| journal.iter().filter(|line| matches!(line, Line::Told { told, .. } if told.word == word)).count();
    assert_eq!((told("executed"), told("replayed")), (KEYS_OF_PROCESSES, (PROCESSES - 1) * KEYS_OF_PROCESSES));
    let done: std::collections::BTreeSet<&What> =
        journal.iter().filter_map(|line| if let Line::Did { what, .. } = line { Some(what) } else { None }).collect();
    assert_eq!(done.len(), KEYS_OF_PROCESSES);
}

/// The control: two ledgers that do not know of each other, as two hosts with ledgers in memory.
#[tokio::test]
async fn control_two_ledgers_send_twice() {
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let semel = paying(memory()).await;
        let run = |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            async { Outcome::Returned(json!({ "id": "once" })) }
        };
        assert_eq!(semel.call(call_of(&What::new("pay", "A")), run).await.unwrap().word(), "executed");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}
