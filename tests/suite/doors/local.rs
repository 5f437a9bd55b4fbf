//! The backend is away, and people stand before the door: real locks, their local carrier, and phones with passes.

use std::path::Path;
use std::sync::Arc;

use doorward::agent::local::LocalCarrier;
use doorward::crypto::random::OsRandom;
use doorward::phone::{Backend, LockDoor, PhoneError, Wallet};
use doorward_lock::wire::{Action, Bolt, ClockState};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::entries;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::wait::until;
use crate::world::{Door, HandClock, Http, InstalledLock, PASSWORD, Person, house};

/// A phone on the command line, with a folder of its own.
pub(super) struct Phone {
    pub(super) wallet: Wallet,
    folder: TempDir,
}

impl Phone {
    /// A phone whose owner has got passes for every door of theirs.
    pub(super) async fn of(person: &Person) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut wallet = Wallet::open(&folder.path().join("phone"), &OsRandom).unwrap();
        let backend = Self::backend(person.base_url());
        let session = backend.sign_in(&person.email, PASSWORD).await.unwrap();
        wallet.get(&backend, session, &person.name).await.unwrap();
        Self { wallet, folder }
    }

    /// As [`Self::of`], with sessions that are bound to the phone's key.
    async fn bound_of(person: &Person, clock: &HandClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut wallet = Wallet::open(&folder.path().join("phone"), &OsRandom).unwrap();
        let backend = Self::bound_backend(&wallet, person.base_url(), clock);
        let session = backend.sign_in(&person.email, PASSWORD).await.unwrap();
        wallet.get(&backend, session, &person.name).await.unwrap();
        Self { wallet, folder }
    }

    fn bound_backend(wallet: &Wallet, url: String, clock: &HandClock) -> Backend {
        let prover = wallet.prover(Arc::new(clock.clone()), Arc::new(OsRandom)).unwrap();
        // What it calls itself, behind whatever proxy.
        Self::backend(url).known_as("https://doors.example/").proving(prover)
    }

    pub(super) fn backend(url: String) -> Backend {
        Backend::at(url.parse().unwrap(), None).unwrap()
    }

    /// What becomes of the pass at this door, in the lock's word.
    pub(super) async fn enter(&mut self, at: &LocalCarrier) -> String {
        self.wallet.enter(&door(at), Action::Unlock).await.unwrap().result
    }

    /// Somebody copies the passes, but cannot copy the key.
    fn copied(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("phone");
        drop(Wallet::open(&place, &OsRandom).unwrap());
        std::fs::copy(self.folder.path().join("phone/wallet.json"), place.join("wallet.json")).unwrap();
        let wallet = Wallet::open(&place, &OsRandom).unwrap();
        Self { wallet, folder }
    }
}

pub(super) fn door(at: &LocalCarrier) -> LockDoor {
    LockDoor::at(format!("http://{}", at.address()).parse().unwrap())
}

/// A lock that is installed, knows the time, and listens on the local network.
pub async fn install(door: &Door) -> (InstalledLock, LocalCarrier) {
    let lock = door.install().await;
    lock.until_shown("the time", |view| view.clock == ClockState::Fresh)
        .await;
    let carrier = LocalCarrier::open("127.0.0.1:0".parse().unwrap(), lock.door())
        .await
        .unwrap();
    (lock, carrier)
}

/// The lock's word for these digits.
pub async fn enter(at: &LocalCarrier, digits: &str) -> String {
    let request = reqwest::Client::new().post(format!("http://{}/pin", at.address()));
    let answer = request.json(&json!({ "pin": digits })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["result"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_gets_in_with_the_backend_gone() {
    let database = TestDatabase::sqlite();
    let (mut t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let (lock, carrier) = install(&own).await;
    let tom = ana.tenant("tom", &flat).await;
    let mut phone = Phone::of(&tom).await;
    assert_eq!(phone.wallet.passes().count(), 1);

    t.stop().await;
    lock.until_shown("that the broker is gone", |view| !view.is_connected)
        .await;
    assert_eq!(phone.enter(&carrier).await, "ok");
    assert_eq!(lock.view().borrow().bolt, Bolt::Unlocked);
    let events = lock.view().borrow().events;
    assert_eq!(phone.copied().enter(&carrier).await, "not-the-holder");
    assert_eq!(
        lock.view().borrow().events,
        events + 1,
        "it is written down, and nothing has moved"
    );
    assert!(matches!(
        phone.wallet.renew(&Phone::backend(tom.base_url())).await,
        Err(PhoneError::Unanswered { .. })
    ));
    assert_eq!(
        phone.enter(&carrier).await,
        "ok",
        "what cannot be renewed is still good"
    );

    // The backend is back: the phone brings what the lock has said, should the lock itself be late.
    t.restart().await;
    phone.wallet.renew(&Phone::backend(tom.base_url())).await.unwrap();
    assert_eq!(phone.wallet.carries(), 0);
    until("the log to have it", async || {
        entries(&tom, "unlocked").await.len() >= 2
    })
    .await;
    for entry in entries(&tom, "unlocked").await {
        assert_eq!(entry["detail"]["cause"], "pass", "{entry}");
        assert_eq!(entry["person_id"], *tom.id, "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_guest_is_refused_once_anybody_else_has_been_there() {
    let database = TestDatabase::sqlite();
    let (_t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let (lock, carrier) = install(&front).await;
    let (gus, tia) = (ana.guest("gus").await, ana.guest("tia").await);
    let grant = ana.grant(&gus, &front, json!({})).await;
    ana.grant(&tia, &front, json!({})).await;
    let (mut his, mut hers) = (Phone::of(&gus).await, Phone::of(&tia).await);

    lock.disconnect().await;
    lock.until_shown("that it is cut off", |view| !view.is_connected).await;
    ana.revoke(&grant).await;
    assert_eq!(his.enter(&carrier).await, "ok", "nobody has told the lock");
    hers.wallet.renew(&Phone::backend(tia.base_url())).await.unwrap();
    hers.wallet.carry(&door(&carrier)).await.unwrap();
    assert_eq!(his.enter(&carrier).await, "revoked");
    assert_eq!(hers.enter(&carrier).await, "ok");
    assert!(hers.wallet.carries() > 0, "what the lock has said goes with her");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counted_pass_opens_as_often_as_was_granted() {
    let database = TestDatabase::sqlite();
    let (_t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let (lock, carrier) = install(&front).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &front, json!({ "uses": 2 })).await;
    let mut phone = Phone::of(&gus).await;
    lock.disconnect().await;
    for result in ["ok", "ok", "uses-exhausted"] {
        assert_eq!(phone.enter(&carrier).await, result);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impostor_is_shown_no_pass() {
    let database = TestDatabase::sqlite();
    let (_t, ana, house) = house(&database).await;
    let doors = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Back door").await,
    ];
    let (_front, at_front) = install(&doors[0]).await;
    let (_back, at_back) = install(&doors[1]).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &doors[0], json!({})).await;
    let mut phone = Phone::of(&gus).await;
    let no_pass = phone.wallet.enter(&door(&at_back), Action::Unlock).await;
    assert!(matches!(no_pass, Err(PhoneError::NoPass(_))), "{no_pass:?}");

    // Whoever holds another key and says that it is the front door.
    spoil(&phone.folder.path().join("phone/wallet.json"), |wallet| {
        let key = json!({
            "kty": "EC", "crv": "P-256", "x": "sFFMTBNUDyOX9UcZ8zMufvOOQq2dwItx5mDOFrnojQk",
            "y": "Tn863IiOlE1F1eRZTj--KJGAuxzX_FXRtcfLUBwJylA",
        });
        wallet["locks"][doors[0].id.as_str()]["public_key"] = key;
    });
    let mut phone = Wallet::open(&phone.folder.path().join("phone"), &OsRandom).unwrap();
    let shown = phone.enter(&door(&at_front), Action::Unlock).await;
    assert!(matches!(shown, Err(PhoneError::Impostor(_))), "{shown:?}");
}

/// The command line's phone does what it asks of others: a copy of its folder's tokens is worth nothing without the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_goes_where_the_house_wants_its_key() {
    let database = TestDatabase::sqlite();
    let (t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let (lock, carrier) = install(&front).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &front, json!({})).await;
    let mut unbound = Phone::of(&gus).await;
    let rules = json!({
        "two_person": { "whole_property_grants": false, "lockdown": false },
        "self_grant_delay_hours": 24,
        "phone_key_required": true,
    });
    ana.put(&format!("/v1/organizations/{}/rules", ana.organization))
        .json(rules)
        .await
        .expect(200);
    unbound.wallet.renew(&Phone::backend(gus.base_url())).await.unwrap();
    assert_eq!(unbound.wallet.passes().count(), 0, "no pass without a key");

    let mut phone = Phone::bound_of(&gus, &t.clock).await;
    assert_eq!(phone.wallet.passes().count(), 1);
    assert_eq!(phone.enter(&carrier).await, "ok");
    assert_eq!(lock.view().borrow().bolt, Bolt::Unlocked);
    let mut copied = phone.copied();
    let backend = Phone::bound_backend(&copied.wallet, gus.base_url(), &t.clock);
    let refused = copied.wallet.renew(&backend).await;
    assert!(
        matches!(refused, Err(PhoneError::Refused { status: 401, .. })),
        "{refused:?}"
    );
    // That has spent nothing of the phone's own.
    let backend = Phone::bound_backend(&phone.wallet, gus.base_url(), &t.clock);
    phone.wallet.renew(&backend).await.unwrap();
    assert_eq!((phone.wallet.passes().count(), phone.wallet.carries()), (1, 0));
}

fn spoil(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(file, value.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_answers_only_what_it_should() {
    let database = TestDatabase::sqlite();
    let (_t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let (lock, carrier) = install(&front).await;
    let http = Http::to(carrier.address());
    let events = lock.view().borrow().events;
    let text = "text/plain";
    let json_type = "application/json";
    let long = format!(r#"{{"messages":["{}"]}}"#, "A".repeat(5_000));
    let huge = "A".repeat(100 * 1024);
    let many = json!({ "messages": vec!["x"; 17] }).to_string();
    for (method, path, media_type, body, status) in [
        ("POST", "/challenge", json_type, "{}", 200),
        ("POST", "/challenge", text, "{}", 415),
        ("POST", "/challenge", json_type, r#"{"lock":1}"#, 400),
        ("POST", "/challenge", json_type, "", 400),
        ("GET", "/challenge", json_type, "", 405),
        ("POST", "/pass", json_type, "{}", 400),
        ("POST", "/messages", json_type, r#"{"messages":[]}"#, 422),
        ("POST", "/messages", json_type, &many, 422),
        ("POST", "/messages", json_type, &long, 422),
        ("POST", "/messages", json_type, &huge, 413),
        ("GET", "/events", json_type, "", 200),
        ("GET", "/events?from=x", json_type, "", 400),
        ("GET", "/", json_type, "", 404),
        ("DELETE", "/events", json_type, "", 405),
    ] {
        let answer = http.request(method, path).body(media_type, body.to_owned()).await;
        assert_eq!(answer.status, status, "{method} {path} {media_type}");
    }
    let rebound = http.get("/events").header("Host", "front-door.evil.example").await;
    assert_eq!(rebound.status, 421);
    assert_eq!(lock.view().borrow().events, events, "none of this is worth an event");
}
