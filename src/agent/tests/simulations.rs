//! Many locks at once.

use std::sync::Arc;

use doorward_lock::wire::Action;

use super::backend::{Backend, until};
use super::site::shows;
use crate::agent::simulate::{Faults, Simulation};
use crate::crypto::random::OsRandom;

const LOCKS: usize = 24;

async fn start(backend: &Backend, faults: Faults) -> Simulation {
    let enrolled = (0..LOCKS).map(|_| backend.enrol()).collect();
    Simulation::start(enrolled, faults, 7, Arc::new(OsRandom))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_locks_answer_like_any_others() {
    let backend = Backend::start().await;
    let faults = Faults {
        skew_ppm: 500,
        bolt_ms: 0..=5,
        ..Faults::default()
    };
    let simulation = start(&backend, faults).await;
    until("all locks", || simulation.connected() == LOCKS).await;
    for lock in simulation.locks() {
        backend.until("a hello", lock.id(), |known| known.hellos > 0).await;
        let jti = backend.ask(lock.id(), Action::Unlock).await;
        backend.until_told(lock.id(), "unlocked", &jti).await;
    }
    let views: Vec<_> = simulation.locks().iter().map(|lock| lock.view()).collect();
    simulation.stop().await;
    assert!(views.iter().all(|view| !view.borrow().is_connected));
}

#[tokio::test(flavor = "multi_thread")]
async fn jamming_locks_jam() {
    let backend = Backend::start().await;
    let faults = Faults {
        jamming: 1.0,
        ..Faults::default()
    };
    let simulation = start(&backend, faults).await;
    for lock in simulation.locks() {
        backend.until("a hello", lock.id(), |known| known.hellos > 0).await;
        let jti = backend.ask(lock.id(), Action::Unlock).await;
        backend.until_told(lock.id(), "jammed", &jti).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_that_lose_everything_are_never_heard() {
    let backend = Backend::start().await;
    let faults = Faults {
        lost: 1.0,
        ..Faults::default()
    };
    let simulation = start(&backend, faults).await;
    until("all locks", || simulation.connected() == LOCKS).await;
    for lock in simulation.locks() {
        backend.ask(lock.id(), Action::Unlock).await;
        assert_eq!(
            backend.known(lock.id(), |known| (known.hellos, known.events.len())),
            (0, 0)
        );
        assert_eq!(lock.view().borrow().ctr, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_go_away_and_come_back() {
    let backend = Backend::start().await;
    let faults = Faults {
        offline: 0.9,
        offline_s: 1..=1,
        ..Faults::default()
    };
    let simulation = start(&backend, faults).await;
    let lock = &simulation.locks()[0];
    shows(lock, "a connection", |view| view.is_connected).await;
    shows(lock, "that it is away", |view| !view.is_connected).await;
    shows(lock, "that it is back", |view| view.is_connected).await;
}
