//! Signing keys are rotated while doors are opened: by a command beside the backend, by age, and with the root key kept
//! elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use doorward::agent::bolt::SimulatedBolt;
use doorward::crypto::keys::{Rotation, USES};
use doorward::domain::time::Clock as _;
use doorward_lock::keys::{Keyset, PublicKey};
use doorward_lock::refusal::Refusal;
use doorward_lock::wire::{Typ, Use};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::ask;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{HandLock, Landlord, Property, TestServer, Token, house};

on_each_database!(
    keys_are_rotated_under_load_and_no_unlock_fails,
    a_lock_holds_the_old_key_until_its_end_and_the_new_one_at_once,
    a_lock_that_slept_through_two_rotations_opens_again,
    keys_that_are_old_are_rotated_and_without_the_root_the_operator_is_told,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

const ALL: Rotation<'static> = Rotation {
    purposes: &USES,
    ends_former: false,
    is_restored: false,
    root: None,
};

/// A house in which sessions outlive the months that these stories skip.
async fn patient_house(database: &TestDatabase) -> (TestServer, Landlord, Property) {
    let t = TestServer::start_with(database, |config| config.sessions.access_minutes = 1_000_000).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    (t, ana, house)
}

/// Rotates as the command does, which is another process, and has the backend look.
async fn rotate(t: &TestServer) -> u64 {
    let version = t.keys().rotate(ALL, t.clock.now()).unwrap();
    t.app().follow_keys().await.unwrap();
    version
}

/// How many enrolled locks do not hold the newest keyset, as far as is known.
async fn locks_behind(t: &TestServer) -> i64 {
    t.app().read_gauges().await.unwrap();
    t.app().metrics().locks_behind_keyset.get()
}

fn kid_of(compact: &str) -> String {
    let header = BASE64URL.decode(compact.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn published(t: &TestServer) -> Vec<String> {
    let keys = t.http.get("/.well-known/jwks.json").await.expect(200);
    let kids = keys["keys"].as_array().unwrap().iter();
    kids.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn keys_are_rotated_under_load_and_no_unlock_fails(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let gus = ana.guest("gus").await;
    let (mut doors, mut locks) = (Vec::new(), Vec::new());
    for name in ["Front door", "Back door", "Cellar"] {
        let door = ana.add_lock(&house, name).await;
        locks.push(door.install().await);
        ana.grant(&gus, &door, json!({})).await;
        doors.push(door);
    }
    let before = published(&t).await;
    let (opened, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    let load = join_all(doors.iter().map(|door| async {
        while !is_over.load(Ordering::Relaxed) {
            gus.unlock(door).await.expect_opened();
            gus.lock(door).await.expect_opened();
            opened.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let more = |least: u32| {
        let wanted = opened.load(Ordering::Relaxed) + least;
        let opened = &opened;
        async move { until("more doors to open", async || opened.load(Ordering::Relaxed) >= wanted).await }
    };
    let rotation = async {
        more(6).await;
        // An event of the second of the last hello may be in what that said.
        t.clock.advance(Duration::from_secs(1));
        // Nobody tells the backend: it looks by itself.
        assert_eq!(t.keys().rotate(ALL, t.clock.now()).unwrap(), 2);
        until("every lock to have the keyset", async || {
            t.app().metrics().keyset_version.get() == 2 && locks_behind(&t).await == 0
        })
        .await;
        more(6).await;
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, rotation);
    for lock in &locks {
        lock.until_settled().await;
    }
    let after = published(&t).await;
    assert_eq!(after.len(), 9, "the root, and two a purpose");
    assert!(!before.is_empty() && before.iter().all(|kid| after.contains(kid)));
    let refused: Vec<Value> = ana.list("/v1/access-log?kind=denied").await;
    assert_eq!(refused, [] as [Value; 0]);
}

async fn a_lock_holds_the_old_key_until_its_end_and_the_new_one_at_once(database: TestDatabase) {
    let (t, ana, house) = patient_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let root = PublicKey::from_jwk(&lock.welcome.root_key.jwk()).unwrap();
    let read = |compact: &str| Keyset::read(compact, &root, "https://doors.example");
    let token_of = async |lock: &mut HandLock| -> Token {
        ask(&gus, &door).await;
        lock.next_token().await
    };
    let old = kid_of(&token_of(&mut lock).await.compact);

    assert_eq!(rotate(&t).await, 2);
    let compact = lock.next_of(Typ::Keyset).await;
    let keyset = read(&compact).unwrap();
    assert_eq!(keyset.version, 2);
    let still = token_of(&mut lock).await;
    assert_eq!(kid_of(&still.compact), old, "it has not said that it took the keyset");
    lock.keyset = 2;
    lock.hello().await;
    lock.until_heard().await;
    let new = kid_of(&token_of(&mut lock).await.compact);
    assert_ne!(new, old);

    let at = |days: u32| Some((t.clock.now() + DAY * days).as_seconds());
    let found = |kid: &str, now| keyset.find(kid, Use::Unlock, now, 0).map(drop);
    assert_eq!((found(&old, at(14)), found(&new, at(14))), (Ok(()), Ok(())));
    assert_eq!(found(&old, at(15)), Err(Refusal::KeyNotValid));
    assert_eq!(found(&new, at(15)), Ok(()));

    // Past its end the old key signs for nobody: the keyset comes first.
    t.clock.advance(DAY * 15);
    lock.keyset = 1;
    lock.hello().await;
    lock.next_of(Typ::Keyset).await;
    ask(&gus, &door).await;
    assert_eq!(read(&lock.next_of(Typ::Keyset).await).unwrap().version, 2);
    let token = lock.next_token().await;
    assert_eq!(kid_of(&token.compact), new);
    lock.move_by(&token).await;

    // Another installation's keyset, as well made as this one's.
    let elsewhere = TestDatabase::sqlite();
    let stranger = TestServer::start(&elsewhere).await;
    assert_eq!(rotate(&stranger).await, 2);
    let theirs = stranger.keys().ring();
    assert_eq!(read(theirs.keyset()), Err(Refusal::UnknownKey));
}

async fn a_lock_that_slept_through_two_rotations_opens_again(database: TestDatabase) {
    let (t, ana, house) = patient_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();
    let first = published(&t).await;
    lock.power_off().await;
    for version in [2, 3] {
        assert_eq!(rotate(&t).await, version);
        t.clock.advance(DAY * 20);
    }
    let left = published(&t).await;
    let known = first.iter().filter(|kid| left.contains(kid)).count();
    assert_eq!(known, 1, "of all that the lock holds only the root counts");
    lock.start(SimulatedBolt::new(Duration::ZERO)).await;
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    t.clock.advance(Duration::from_secs(70));
    until("the lock to say what it holds", async || locks_behind(&t).await == 0).await;
}

async fn keys_that_are_old_are_rotated_and_without_the_root_the_operator_is_told(database: TestDatabase) {
    let (t, ana, house) = patient_house(&database).await;
    let app = t.app();
    t.clock.advance(DAY * 89);
    assert_eq!(app.rotate_due_keys().await.unwrap(), 0);
    t.clock.advance(DAY * 2);
    assert_eq!(app.rotate_due_keys().await.unwrap(), 1);
    assert_eq!(app.rotate_due_keys().await.unwrap(), 0);
    assert_eq!(published(&t).await.len(), 9);

    let root = t.keys().root_key().unwrap();
    t.keys().remove_root().unwrap();
    app.follow_keys().await.unwrap();
    t.clock.advance(DAY * 91);
    assert_eq!(app.rotate_due_keys().await.unwrap(), 0);
    app.read_gauges().await.unwrap();
    let metrics = app.metrics();
    assert_eq!((metrics.root_key_here.get(), metrics.signing_keys_due.get()), (0, 4));
    assert_eq!(metrics.keyset_version.get(), 2);
    let left = metrics.signing_keys_end.get() - t.clock.now().as_millis() / 1000;
    assert_eq!(left, (365 - 91) * 24 * 3600, "it goes on");

    let with_kit = Rotation {
        root: Some(&root),
        ..ALL
    };
    t.keys().rotate(with_kit, t.clock.now()).unwrap();
    app.follow_keys().await.unwrap();
    app.read_gauges().await.unwrap();
    assert_eq!(metrics.signing_keys_due.get(), 0);
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();
}
