//! The power goes between any two writes.

use doorward_lock::wire::Action;

use super::backend::Backend;
use super::site::{Site, shows};
use crate::agent::controller::End;

/// The writes of one command: event and state of the attempt, event and state of its end. One more, for a cut that
/// comes after it all.
const WRITES: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_between_two_writes_moves_nothing_twice_and_nothing_unwritten() {
    let backend = Backend::start().await;
    for write in 1..=WRITES {
        for last_is_stored in [false, true] {
            let case = format!("power lost at write {write}, stored: {last_is_stored}");
            let site = Site::new(&backend);
            let mut lock = site.start().await;
            shows(&lock, "everything acknowledged", |view| {
                view.acknowledged == view.events && view.is_connected
            })
            .await;
            let id = lock.id().clone();
            let (token, jti) = backend.token(&id, Action::Unlock);
            site.storage.cut_power_at(write, last_is_stored);
            backend.send(&id, &token).await;
            assert_eq!(lock.ended().await, End::PowerLost, "{case}");
            site.storage.power_on();

            let lock = site.start().await;
            backend.until(&case, &id, |known| known.boot == 2).await;
            backend.send(&id, &token).await;
            backend
                .until(&case, &id, |known| {
                    known.events.iter().any(|told| {
                        told.boot == 2 && told.cause == jti && told.result != "interrupted" && told.kind != "attempt"
                    })
                })
                .await;
            shows(&lock, "everything acknowledged", |view| {
                view.acknowledged == view.events
            })
            .await;
            let story = backend.story(&id, &jti);
            let attempts = story.iter().filter(|(kind, _)| kind == "attempt").count();
            // I1: whatever moved was written down before. I3: once a token, however often it comes.
            assert!(site.bolt.begun() <= 1, "{case}: moved {} times", site.bolt.begun());
            assert!(
                attempts <= 1 && attempts as u32 >= site.bolt.begun(),
                "{case}: {story:?}"
            );
            lock.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_while_starting_leaves_a_lock_that_starts() {
    let backend = Backend::start().await;
    for starts_before in [0, 1] {
        for write in 1..=3 {
            for last_is_stored in [false, true] {
                let site = Site::new(&backend);
                for _ in 0..starts_before {
                    site.start().await.stop().await;
                }
                site.storage.cut_power_at(write, last_is_stored);
                // The first start has three writes, a later one has two.
                if let Ok(lock) = site.try_start().await {
                    lock.stop().await;
                }
                site.storage.power_on();
                let lock = site.start().await;
                shows(&lock, "everything acknowledged", |view| {
                    view.acknowledged == view.events
                })
                .await;
                let story = backend.story(lock.id(), "auto");
                assert_eq!(
                    story.first().map(|(kind, _)| kind.as_str()),
                    Some("claimed"),
                    "{story:?}"
                );
                lock.stop().await;
            }
        }
    }
}
