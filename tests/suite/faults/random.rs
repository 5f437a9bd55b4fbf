//! `kill -9` of the real program at any moment, with a real lock at its broker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward::agent::backend_address;
use doorward::agent::bolt::{Bolt, Movement};
use doorward::agent::controller::{LockOptions, ReferenceLock};
use doorward::agent::counter::MachineCounter;
use doorward::agent::dice::Dice;
use doorward::agent::enrolment;
use doorward::agent::storage::MemoryStorage;
use doorward::crypto::random::OsRandom;
use doorward::domain::time::Clock as _;
use doorward::server::MachineClock;
use doorward_lock::controller::Outcome;
use doorward_lock::wire::{Action, Bolt as Position};
use serde_json::Value;

use super::installation::Installation;
use super::invariants::{check_invariants, deadline_of, until_nothing_pends};
use super::scene::Scene;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::{soon, until};
use crate::world::claims_of;

on_each_database!(killed_at_random);

/// How often the program is killed at random, where `DOORWARD_TEST_KILLS` does not say.
const RANDOM_KILLS: usize = 8;

/// A bolt that remembers when it began to move.
#[derive(Clone, Default)]
struct WatchedBolt(Arc<Mutex<Vec<i64>>>);

impl Bolt for WatchedBolt {
    fn position(&self) -> Position {
        Position::Locked
    }

    fn begin(&mut self, _: Action) -> Movement {
        self.0.lock().unwrap().push(MachineClock.now().as_millis());
        Box::pin(async { Outcome::Arrived })
    }
}

async fn killed_at_random(database: TestDatabase) {
    let kills = std::env::var("DOORWARD_TEST_KILLS").map_or(RANDOM_KILLS, |kills| kills.parse().unwrap());
    let (mut scene, backend) = Scene::open(&database, Installation::on(&database)).await;
    let server = backend_address::Server::new(scene.installation.http.base_url().parse().unwrap(), None).unwrap();
    let enrolled = enrolment::enrol(&server, &scene.door.claim_code, "Watched lock", &OsRandom)
        .await
        .unwrap();
    let bolt = WatchedBolt::default();
    let lock = ReferenceLock::start(LockOptions {
        tls: enrolled.tls().unwrap(),
        enrolled,
        storage: MemoryStorage::new(1024),
        bolt: Box::new(bolt.clone()),
        counter: Arc::new(MachineCounter::start()),
        random: Arc::new(OsRandom),
        battery: None,
        losses: None,
    })
    .await
    .unwrap();

    let mut dice = Dice::new(9);
    let mut running = Some(backend);
    for _ in 0..kills {
        let backend = match running.take() {
            Some(backend) => backend,
            None => scene.installation.serve().await,
        };
        until_there(&scene, &lock).await;
        let asked: Vec<_> = (0..4).map(|_| scene.ask()).collect();
        // Nothing is waited for: the moment itself is diced, anywhere between the first request's arrival and long after the last
        // one's answer, so that it also falls between two steps that nobody outside can see.
        tokio::time::sleep(Duration::from_millis(dice.within(&(0..=120)))).await;
        backend.kill().await;
        let mut told: Vec<Value> = Vec::new();
        for answer in asked {
            told.extend(answer.await.unwrap().map(|answer| answer.json));
        }
        // I6: what was answered before the kill stands in the database after it.
        for told in told.iter().filter(|told| told["status"] == "confirmed") {
            let table = format!(
                "attempts WHERE status = 'confirmed' AND id = '{}'",
                told["id"].as_str().unwrap()
            );
            assert_eq!(scene.outsider.count(&table), 1, "{told}");
        }
    }
    let backend = scene.installation.serve().await;
    until_there(&scene, &lock).await;
    until_nothing_pends(&database).await;
    check_invariants(&database, &[]);
    // I1, I2 and I3 at the bolt itself: each of its movements is one of the events, and began in time.
    let moved_at = bolt.0.lock().unwrap().clone();
    let movements = scene
        .outsider
        .rows(&["seq", "token"], "lock_events WHERE kind = 'unlocked'");
    assert_eq!(movements.len(), moved_at.len(), "each movement an event");
    assert!(!moved_at.is_empty(), "killed too early to see anything");
    for (row, at_ms) in movements.iter().zip(moved_at) {
        let jti = claims_of(&row[1])["cause"]["jti"].as_str().unwrap().to_owned();
        assert!(at_ms <= deadline_of(&database, &jti), "I2: moved after the deadline");
    }
    scene.gus.unlock(&scene.door).await.expect_opened();
    backend.kill().await;
}

/// Waits until the lock is at the broker, the backend has all its events, and knows that it is there.
async fn until_there(scene: &Scene, lock: &ReferenceLock) {
    // It would come back by itself, in its own time.
    lock.disconnect().await;
    lock.connect().await;
    let mut view = lock.view();
    let there = view.wait_for(|view| view.is_connected && view.acknowledged == view.events);
    soon("the lock", there).await.unwrap();
    until("the lock's hello", async || {
        scene.ana.get(&scene.door.path()).await.expect(200)["online"]["value"] == true
    })
    .await;
}
