//! What a lock does at its door.

use doorward_lock::controller::Outcome;
use doorward_lock::wire::{Action, Bolt as Position, ClockState, Door};

use super::backend::Backend;
use super::site::{Site, shows};
use crate::agent::controller::End;
use crate::agent::state_folder::StateFolder;

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = expected
        .iter()
        .map(|(kind, result)| ((*kind).to_owned(), (*result).to_owned()));
    owned.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_verified_carried_out_and_told() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    let lock = site.start().await;
    shows(&lock, "the time", |view| view.clock == ClockState::Fresh).await;

    for (action, kind, position) in [
        (Action::Unlock, "unlocked", Position::Unlocked),
        (Action::Lock, "locked", Position::Locked),
    ] {
        let jti = backend.ask(lock.id(), action).await;
        backend.until_told(lock.id(), kind, &jti).await;
        assert_eq!(
            backend.story(lock.id(), &jti),
            pairs(&[("attempt", "ok"), (kind, "ok")])
        );
        shows(&lock, "the bolt's new place", |view| view.bolt == position).await;
    }
    shows(&lock, "everything acknowledged", |view| {
        view.acknowledged == view.events
    })
    .await;
    assert_eq!(site.bolt.begun(), 2);
    assert_eq!(lock.stop().await, End::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_without_the_time_opens_by_its_own_counter() {
    let backend = Backend::start().await;
    backend.tell_time(false);
    let site = Site::new(&backend);
    let lock = site.start().await;
    backend.until("a hello", lock.id(), |known| known.hellos > 0).await;
    let jti = backend.ask(lock.id(), Action::Unlock).await;
    backend.until_told(lock.id(), "unlocked", &jti).await;
    assert_eq!(lock.view().borrow().clock, ClockState::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_once() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    let lock = site.start().await;
    backend.until("the time", lock.id(), |known| known.has_time).await;
    let (token, jti) = backend.token(lock.id(), Action::Unlock);
    for _ in 0..3 {
        backend.send(lock.id(), &token).await;
    }
    backend
        .until("both refusals", lock.id(), |known| {
            known.events.iter().filter(|told| told.kind == "denied").count() == 2
        })
        .await;
    backend.until_told(lock.id(), "unlocked", &jti).await;
    assert_eq!(site.bolt.begun(), 1);
    let denied = ("denied".to_owned(), "replayed".to_owned());
    assert_eq!(
        backend
            .story(lock.id(), &jti)
            .iter()
            .filter(|told| **told == denied)
            .count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_lock_or_key_opens_nothing() {
    let (backend, stranger) = (Backend::start().await, Backend::start().await);
    let site = Site::new(&backend);
    let lock = site.start().await;
    backend.until("the time", lock.id(), |known| known.has_time).await;
    let (foreign, jti) = stranger.token(lock.id(), Action::Unlock);
    backend.send(lock.id(), &foreign).await;
    let denied = backend.until_told(lock.id(), "denied", &jti).await;
    assert_eq!(denied.result, "unknown-key");

    let (elsewhere, jti) = backend.token(backend.enrol().lock_id(), Action::Unlock);
    backend.send(lock.id(), &elsewhere).await;
    let denied = backend.until_told(lock.id(), "denied", &jti).await;
    assert_eq!(denied.result, "wrong-lock");
    assert_eq!(site.bolt.begun(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jammed_bolt_is_told_as_jammed() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    site.bolt.hold();
    let lock = site.start().await;
    backend.until("the time", lock.id(), |known| known.has_time).await;
    let jti = backend.ask(lock.id(), Action::Unlock).await;
    backend.until_told(lock.id(), "attempt", &jti).await;
    site.bolt.let_go(Outcome::Jammed);
    let jammed = backend.until_told(lock.id(), "jammed", &jti).await;
    assert_eq!(jammed.result, "jammed");
    shows(&lock, "that it does not know", |view| view.bolt == Position::Unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_commands_that_wait_the_newer_one_is_carried_out() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    site.bolt.hold();
    let lock = site.start().await;
    backend.until("the time", lock.id(), |known| known.has_time).await;
    let first = backend.ask(lock.id(), Action::Unlock).await;
    backend.until_told(lock.id(), "attempt", &first).await;
    let second = backend.ask(lock.id(), Action::Lock).await;
    let third = backend.ask(lock.id(), Action::Lock).await;
    let denied = backend.until_told(lock.id(), "denied", &second).await;
    assert_eq!(denied.result, "superseded");
    site.bolt.let_go(Outcome::Arrived);
    backend.until_told(lock.id(), "locked", &third).await;
    assert_eq!(backend.story(lock.id(), &second), pairs(&[("denied", "superseded")]));
    assert_eq!(site.bolt.begun(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_the_door_is_told() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    let lock = site.start().await;
    lock.turn_by_hand(Position::Unlocked).await;
    lock.move_door(Door::Open).await;
    lock.measure_battery(15).await;
    backend.until_told(lock.id(), "unlocked", "manual").await;
    backend.until_told(lock.id(), "battery", "auto").await;
    let story = backend.story(lock.id(), "auto");
    assert!(story.contains(&("door_open".to_owned(), "ok".to_owned())), "{story:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_offline_is_told_later_and_once() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    let lock = site.start().await;
    shows(&lock, "everything acknowledged", |view| {
        view.acknowledged == view.events
    })
    .await;
    lock.disconnect().await;
    shows(&lock, "that it is alone", |view| !view.is_connected).await;
    // Fewer than a lane of the link holds: what it drops comes again only with the next heartbeat.
    for _ in 0..12 {
        lock.turn_by_hand(Position::Unlocked).await;
        lock.turn_by_hand(Position::Locked).await;
    }
    shows(&lock, "two dozen more events", |view| {
        view.events >= view.acknowledged + 24
    })
    .await;
    lock.connect().await;
    shows(&lock, "everything acknowledged", |view| {
        view.acknowledged == view.events
    })
    .await;
    assert_eq!(backend.story(lock.id(), "manual").len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_is_told_again_after_a_start() {
    let backend = Backend::start().await;
    backend.acknowledge(false);
    let site = Site::new(&backend);
    let lock = site.start().await;
    backend.until_told(lock.id(), "claimed", "auto").await;
    assert_eq!(lock.view().borrow().acknowledged, 0);
    lock.stop().await;
    backend.acknowledge(true);
    let lock = site.start().await;
    shows(&lock, "everything acknowledged", |view| {
        view.acknowledged == view.events && view.boot == 2
    })
    .await;
    assert_eq!(
        backend.story(lock.id(), "auto"),
        pairs(&[("claimed", "ok"), ("boot", "ok")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_goes_on_from_its_folder() {
    let backend = Backend::start().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("front-door");
    let folder = StateFolder::open(&path).unwrap();
    folder.keep(&backend.enrol()).unwrap();
    let enrolled = folder.enrolled().unwrap().unwrap();
    let site = Site::with(enrolled, folder.storage());
    let lock = site.start().await;
    backend.until("the time", lock.id(), |known| known.has_time).await;
    let jti = backend.ask(lock.id(), Action::Unlock).await;
    backend.until_told(lock.id(), "unlocked", &jti).await;
    let (id, ctr) = (lock.id().clone(), lock.view().borrow().ctr);
    lock.stop().await;
    drop((site, folder));

    let folder = StateFolder::open(&path).unwrap();
    let site = Site::with(folder.enrolled().unwrap().unwrap(), folder.storage());
    let lock = site.start().await;
    assert_eq!(
        (lock.id(), lock.view().borrow().ctr, lock.view().borrow().boot),
        (&id, ctr, 2)
    );
    backend
        .until("the second start", lock.id(), |known| known.boot == 2)
        .await;
    let jti = backend.ask(lock.id(), Action::Lock).await;
    backend.until_told(lock.id(), "locked", &jti).await;
    assert_eq!(
        backend.story(lock.id(), &jti),
        pairs(&[("attempt", "ok"), ("locked", "ok")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_told_to_stop_ends_its_movement_first() {
    let backend = Backend::start().await;
    let site = Site::new(&backend);
    site.bolt.hold();
    let lock = site.start().await;
    backend.until("the time", lock.id(), |known| known.has_time).await;
    let jti = backend.ask(lock.id(), Action::Unlock).await;
    backend.until_told(lock.id(), "attempt", &jti).await;
    let stopping = tokio::spawn(lock.stop());
    site.bolt.let_go(Outcome::Arrived);
    assert_eq!(stopping.await.unwrap(), End::Stopped);
    let lock = site.start().await;
    backend.until_told(lock.id(), "unlocked", &jti).await;
    assert_eq!(
        backend.story(lock.id(), &jti),
        pairs(&[("attempt", "ok"), ("unlocked", "ok")])
    );
}
