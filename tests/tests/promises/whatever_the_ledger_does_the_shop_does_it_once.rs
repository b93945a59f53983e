//! The ledger fails at its n-th call, or from its n-th call on; it writes without an
//! acknowledgement; it is slow; or a caller is dropped at any await. No answer is wrong, nothing
//! hangs, nothing stays stuck, and the shop does it once.
//!
//! Every story is lived with every fault at every call of the store and every poll of every step.

use crate::{
    random::Random,
    scene::Scene,
    shop::{Fault, Request, Shop, Way, What},
    stories::{PATIENT, SLOW, STORIES, Step, Story, Tools},
};
use semel::store::{SqliteStore, Store};
use semel_conformance::{FailingStore, INJECTED_FAILURES, InjectedFailure};
use std::{ops::Range, pin::pin, sync::Arc, task::Poll, time::Duration};

/// Longer than anything here may take.
const FOR_EVER: Duration = Duration::from_secs(60);

fn all_stories() -> impl Iterator<Item = &'static Story> {
    STORIES.iter().chain([&SLOW, &PATIENT])
}

/// Lives through a story on a store that fails, and says how often that was called.
async fn fail(
    tools: &Tools,
    story: &Story,
    failing: Range<usize>,
    failure: InjectedFailure,
) -> usize {
    let scene = Scene::in_memory(tools);
    let store = Arc::new(FailingStore::new(
        Arc::clone(&scene.store),
        failing.clone(),
        failure,
    ));
    store.count();
    let lived = async {
        if let Some(mut customers) = scene
            .customers(&(Arc::clone(&store) as Arc<dyn Store>))
            .await
        {
            customers.live(story).await;
        }
    };
    let case = format!("{} {failing:?} {failure:?}", story.name);
    tokio::time::timeout(FOR_EVER, lived)
        .await
        .unwrap_or_else(|_| panic!("{case} hangs"));
    store.heal();
    let calls = store.calls();
    assert_eq!(scene.look_after(story).await, [], "{case}");
    calls
}

/// Time passes in some of the stories, so all of them are lived at once. Says how often.
async fn fail_everywhere(failures: &[InjectedFailure], for_good: &[bool]) -> usize {
    let tools = Tools::load().await;
    let mut lives = tokio::task::JoinSet::new();
    for story in all_stories() {
        let calls = fail(&tools, story, 0..0, InjectedFailure::NotExecuted).await;
        for first in 0..calls {
            for (failure, for_good) in failures
                .iter()
                .flat_map(|failure| for_good.iter().map(move |good| (*failure, *good)))
            {
                let (tools, failing) = (
                    tools.clone(),
                    first..if for_good { usize::MAX } else { first + 1 },
                );
                lives.spawn(async move { fail(&tools, story, failing, failure).await });
            }
        }
    }
    lives.join_all().await.len()
}

#[tokio::test]
async fn whichever_call_of_the_store_fails() {
    let lives = fail_everywhere(&INJECTED_FAILURES, &[false, true]).await;
    assert!(lives > 400, "{lives} lives");
}

/// A claim that comes back after its lease is no right any more.
#[tokio::test]
async fn whichever_call_of_the_store_is_late() {
    let lives = fail_everywhere(
        &[InjectedFailure::Late(Duration::from_millis(1_100))],
        &[false],
    )
    .await;
    assert!(lives > 80, "{lives} lives");
}

/// Lives through a story, and goes away while it waits in one of its steps for the n-th time. Says whether it did.
async fn go_away(
    scene: &Scene,
    store: &Arc<dyn Store>,
    story: &Story,
    step: usize,
    polls: usize,
) -> bool {
    let mut customers = scene.customers(store).await.unwrap();
    let mut went_away = false;
    for (at, present) in story.steps.iter().enumerate() {
        if at == step {
            went_away = !polled(customers.take(*present), polls).await;
            // What it left behind is carried out.
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            customers.take(*present).await.unwrap();
        }
    }
    went_away
}

/// Polls so often, each time that it is woken, and then drops it. Whether it was done by then.
async fn polled(future: impl Future, polls: usize) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    std::future::poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn wherever_a_caller_goes_away() {
    let (tools, mut lives) = (Tools::load().await, 0);
    for story in all_stories() {
        for step in 0..story.steps.len() {
            for polls in 1.. {
                let scene = Scene::in_memory(&tools);
                let store: Arc<dyn Store> =
                    Arc::new(FailingStore::with_yields(Arc::clone(&scene.store)));
                if !go_away(&scene, &store, story, step, polls).await {
                    break;
                }
                lives += 1;
                assert_eq!(
                    scene.look_after(story).await,
                    [],
                    "{} step {step} poll {polls}",
                    story.name
                );
            }
        }
    }
    assert!(lives > 80, "{lives} lives");
}

/// Also while a host opens, which may be the first to write to a ledger.
#[tokio::test(start_paused = true)]
async fn wherever_a_host_that_opens_goes_away() {
    let tools = Tools::load().await;
    for polls in 1.. {
        let scene = Scene::in_memory(&tools);
        let store: Arc<dyn Store> = Arc::new(FailingStore::with_yields(Arc::clone(&scene.store)));
        let is_open = polled(scene.customers(&store), polls).await;
        assert!(
            scene
                .customers(&store)
                .await
                .unwrap()
                .live(&STORIES[0])
                .await
                .is_empty(),
            "poll {polls}"
        );
        assert_eq!(scene.look_after(&STORIES[0]).await, [], "poll {polls}");
        if is_open {
            assert!(polls > 3, "{polls} polls");
            return;
        }
    }
}

/// The same on a file, where another thread writes: where that stands when the caller goes is left to chance.
#[tokio::test]
async fn wherever_a_caller_of_a_file_goes_away() {
    let (tools, mut random) = (Tools::load().await, Random(3));
    for story in STORIES.iter().cycle().take(60) {
        let folder = tempfile::TempDir::new_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let scene = Scene::new(&tools, |clock| {
            Arc::new(SqliteStore::open_with_clock(folder.path().join("ledger.db"), clock).unwrap())
        });
        let step = random.below(story.steps.len() as u64) as usize;
        go_away(
            &scene,
            &scene.store,
            story,
            step,
            1 + random.below(40) as usize,
        )
        .await;
        assert_eq!(
            scene.look_after(story).await,
            [],
            "{} step {step}",
            story.name
        );
    }
}

/// The control: customers without a guard, who repeat their calls because they got no answer.
#[tokio::test]
async fn control_whoever_asks_the_shop_itself_again_has_it_done_twice() {
    let shop = Shop::default();
    for way in [Way::Unheard, Way::Heard] {
        let what = What::new("pay", "A");
        shop.answer(Request::Serve {
            what,
            key: None,
            way,
        });
    }
    assert_eq!(shop.faults(), [Fault::Twice("pay:A#2".to_owned())]);
    assert!(
        STORIES
            .iter()
            .any(|story| story.steps.contains(&Step::Decide)),
        "a person decides in one of them"
    );
}
