//! What a lock does with the backend's documents, and with events that wait, told as stories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use doorward_lock::base64url;
use doorward_lock::controller::{self, Hand, Input, Outcome};
use doorward_lock::shell::Record;
use doorward_lock::wire::{Bolt, Typ};
use serde_json::json;
use world::*;

#[test]
fn the_time_is_asked_for_and_kept_as_a_floor() {
    let mut world = World::new();
    world.connect();
    world.hands.mono_ms += 2_001;
    world.give_time(T);
    assert_eq!(world.lock().clock().fresh(world.hands.mono_ms), None, "too late");
    world.pass(66_000);
    world.give_time(T);
    assert!(world.lock().clock().fresh(world.hands.mono_ms).is_some());
    assert_eq!(world.disk.state().unwrap().floor, T);
    world.pass(66_000);
    assert!(world.last_hello().get("nonce").is_none(), "it has the time");
    world.power_cycle();
    world.connect();
    world.give_time(T - 1);
    assert_eq!(
        world.lock().clock().wall(world.hands.mono_ms),
        None,
        "the time does not go back"
    );
}

#[test]
fn events_are_kept_until_they_are_acknowledged() {
    let mut world = World::new();
    world.tell(Input::Bolt(Bolt::Unlocked, Hand::Manual)).unwrap();
    world.tell(Input::Bolt(Bolt::Locked, Hand::Manual)).unwrap();
    assert!(world.hands.published.is_empty());
    world.connect();
    world.pass(0);
    let seqs = |world: &World| -> Vec<u64> {
        let claims = world.hands.published.iter().map(|(_, message)| claims(message));
        claims.filter_map(|claims| claims["seq"].as_u64()).collect()
    };
    assert_eq!(seqs(&world), [0, 1, 2]);
    world.send(&world.ack(1));
    world.hands.published.clear();
    world.pass(66_000);
    world.pass(0);
    assert_eq!(seqs(&world), [2]);

    world.hands.published.clear();
    let chain = world.lock().state().chain.id().to_owned();
    world.send(&by(
        ACK,
        Typ::Resend,
        &to_lock(json!({ "chain": chain, "from": 0, "to": 1 })),
    ));
    assert_eq!(seqs(&world), [0, 1], "asked for again");
}

#[test]
fn an_acknowledgement_that_does_not_fit_is_refused() {
    let mut world = World::on_line();
    world.tell(Input::Bolt(Bolt::Unlocked, Hand::Manual)).unwrap();
    let good = claims(&world.ack(1));
    let other_hash = base64url::hash("another event");
    for (why, claim, value) in [
        ("another chain", "chain", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("an event that is not there yet", "seq", json!(99)),
        ("another hash", "head", json!(other_hash.as_str())),
    ] {
        let mut bad = good.clone();
        bad[claim] = value;
        world.send(&by(ACK, Typ::Ack, &bad));
        assert_eq!(world.story().pop().unwrap().2, "wrong-chain", "{why}");
    }
    world.send(&by(DOC, Typ::Ack, &good));
    assert_eq!(world.story().pop().unwrap().2, "unknown-key", "a key for another use");
    assert_eq!(world.lock().state().chain.unacked(), 0);
    world.send(&by(ACK, Typ::Ack, &good));
    assert_eq!(world.lock().state().chain.unacked(), 2);
}

#[test]
fn a_document_out_of_form_is_malformed() {
    let (id, hash) = ("AAAAAAAAAAAAAAAAAAAAAA", base64url::hash("an event"));
    for (why, seed, typ, claims) in [
        (
            "a chain",
            ACK,
            Typ::Ack,
            json!({ "chain": "AAAA", "seq": 0, "head": hash.as_str() }),
        ),
        (
            "a hash",
            ACK,
            Typ::Ack,
            json!({ "chain": id, "seq": 0, "head": "AAAA" }),
        ),
        (
            "a chain wanted",
            ACK,
            Typ::Resend,
            json!({ "chain": "AAAA", "from": 0, "to": 0 }),
        ),
        ("a nonce", DOC, Typ::Time, json!({ "nonce": "AAAA", "t": T })),
        (
            "a name",
            DOC,
            Typ::Release,
            json!({ "iat": T, "exp": T + 60, "jti": "AAAA" }),
        ),
        (
            "an epoch",
            DOC,
            Typ::Revocations,
            json!({ "epoch": 0, "revoked": [], "min_rev": 0 }),
        ),
    ] {
        let mut world = World::on_line();
        world.send(&by(seed, typ, &to_lock(claims)));
        assert_eq!(world.story().pop().unwrap().2, "malformed", "{why}");
    }
}

#[test]
fn storage_that_is_full_says_so_and_the_door_still_opens() {
    let mut world = World::with_slots(16);
    for _ in 0..40 {
        world.tell(Input::Bolt(Bolt::Unlocked, Hand::Manual)).unwrap();
    }
    world.connect();
    world.pass(0);
    world.pass(0);
    world.pass(0);
    let next = world.lock().state().chain.next();
    let seqs: Vec<u64> = world
        .events()
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(
        seqs,
        (next - 16..next).collect::<Vec<u64>>(),
        "what is still there, each in its place"
    );
    world.send(&unlock(1));
    assert_eq!(world.hands.movements.len(), 1);
    assert_eq!(world.lock().state().chain.next(), 1 + 40 + 1 + 1);
    assert!(world.lock().state().overflowed);
    let last = world.lock().state().chain.next() - 1;
    world.send(&world.ack(last));
    assert!(!world.lock().state().overflowed);
    let summary = world.events().pop().unwrap();
    assert_eq!(
        (&summary["kind"], &summary["result"]),
        (&json!("overflow"), &json!("summary"))
    );
    // `claimed`, the first `overflow` and 25 turns made way: 43 events in 16 places.
    assert_eq!(
        summary["lost"],
        json!({ "from": 0, "to": 26, "unlocked": 25, "locked": 0, "denied": 0, "other": 2 })
    );
    assert_eq!(world.lock().state().lost, None);
}

#[test]
fn keysets_only_go_forward() {
    let mut world = World::on_line();
    world.send(&keyset(3, 0));
    assert_eq!(
        world.story().pop().unwrap(),
        ("keyset".into(), "auto".into(), "ok".into())
    );
    let events = world.story().len();
    world.send(&keyset(3, 0));
    assert_eq!(world.story().len(), events, "the one held: nothing to do");
    for (why, message, result) in [
        ("older", keyset(2, 0), "old-version"),
        (
            "by another key",
            by(DOC, Typ::Keyset, &claims(&keyset(4, 0))),
            "unknown-key",
        ),
        (
            "of another backend",
            {
                let mut claims = keyset_claims(4, 0, &[(UNLOCK, "unlock")]);
                claims["iss"] = json!("https://evil.example");
                by(ROOT, Typ::Keyset, &claims)
            },
            "wrong-issuer",
        ),
        (
            "for one lock",
            by(ROOT, Typ::Keyset, &to_lock(keyset_claims(4, 0, &[(UNLOCK, "unlock")]))),
            "malformed",
        ),
        ("version 0", keyset(0, 0), "malformed"),
        (
            "a kid that is not the thumbprint",
            {
                let mut claims = keyset_claims(4, 0, &[(UNLOCK, "unlock")]);
                claims["keys"][0]["kid"] = json!(kid(9));
                by(ROOT, Typ::Keyset, &claims)
            },
            "malformed",
        ),
        (
            "the same key twice",
            by(
                ROOT,
                Typ::Keyset,
                &keyset_claims(4, 0, &[(UNLOCK, "unlock"), (UNLOCK, "doc")]),
            ),
            "malformed",
        ),
        (
            "another algorithm",
            {
                let mut claims = keyset_claims(4, 0, &[(UNLOCK, "unlock")]);
                claims["keys"][0]["alg"] = json!("HS256");
                by(ROOT, Typ::Keyset, &claims)
            },
            "malformed",
        ),
    ] {
        world.send(&message);
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
    world.power_cycle();
    world.connect();
    assert_eq!(world.last_hello()["keyset"], 3);
}

#[test]
fn the_fullest_keyset_fits_in_a_message() {
    let uses = ["unlock", "pass", "doc", "ack"];
    let keys: Vec<(u8, &str)> = uses
        .into_iter()
        .chain(uses)
        .zip(10..)
        .map(|(name, seed)| (seed, name))
        .collect();
    let mut claims = keyset_claims((1 << 53) - 1, (1 << 53) - 1, &keys);
    claims["iss"] = json!("i".repeat(128));
    let full = by(ROOT, Typ::Keyset, &claims);
    assert!(full.len() <= 3_300, "{} bytes", full.len());
    assert!(doorward_lock::keys::Keyset::read(&full, &public(ROOT), &"i".repeat(128)).is_ok());
}

#[test]
fn a_rotated_key_opens_no_more() {
    let mut world = World::on_line();
    let keys = [(8, "unlock"), (DOC, "doc"), (ACK, "ack")];
    world.send(&by(ROOT, Typ::Keyset, &keyset_claims(2, 0, &keys)));
    world.send(&unlock(1));
    assert_eq!(world.story().pop().unwrap().2, "unknown-key");
    world.send(&by(8, Typ::Unlock, &unlock_claims(1)));
    assert_eq!(world.story().pop().unwrap().2, "ok");
}

#[test]
fn a_keyset_that_storage_has_spoilt_opens_nothing_and_is_replaced() {
    let mut world = World::on_line();
    world.disk.spoil(Record::Keyset);
    world.power_cycle();
    world.connect();
    assert_eq!(world.last_hello()["keyset"], 0);
    world.send(&unlock_with(1, |claims| claims["lt"] = json!({ "boot": 2, "dl": 5 })));
    assert_eq!(world.story().pop().unwrap().2, "unknown-key");
    world.send(&keyset(1, 0));
    world.send(&unlock_with(1, |claims| claims["lt"] = json!({ "boot": 2, "dl": 5 })));
    assert_eq!(world.story().pop().unwrap().2, "ok");
}

#[test]
fn revocations_only_go_forward() {
    let mut world = World::on_line();
    let revocations = |epoch: u64, min_rev: u64| {
        let claims = to_lock(json!({ "epoch": epoch, "revoked": ["grant_1", "grant_2"], "min_rev": min_rev }));
        by(DOC, Typ::Revocations, &claims)
    };
    world.send(&revocations(5, 4));
    assert_eq!(world.story().pop().unwrap().0, "revocations");
    world.send(&revocations(4, 9));
    assert_eq!(world.story().pop().unwrap().2, "old-version");
    world.send(&revocations(6, 2));
    world.power_cycle();
    world.connect();
    assert_eq!(world.last_hello()["revocations"], 6);
    world.send(&unlock_with(1, |claims| {
        claims["rev"] = json!(3);
        claims["lt"] = json!({ "boot": 2, "dl": 5 });
    }));
    assert_eq!(
        world.story().pop().unwrap().2,
        "revoked",
        "the least revision does not go back either"
    );
}

#[test]
fn a_lock_that_is_let_go_forgets_after_it_has_said_so() {
    let release = |iat: u64, exp: u64| {
        by(
            DOC,
            Typ::Release,
            &to_lock(json!({ "iat": iat, "exp": exp, "jti": jti(9) })),
        )
    };
    let mut world = World::new();
    world.connect();
    world.send(&release(T, T + 60));
    assert_eq!(
        world.story().pop().unwrap().2,
        "no-time",
        "an old release must not come back"
    );
    world.give_time(T);
    for (why, message, result) in [
        ("past its end", release(T - 60, T - 1), "expired"),
        ("too long", release(T, T + 301), "bad-lifetime"),
    ] {
        world.send(&message);
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
    world.send(&release(T, T + 60));
    assert_eq!(world.story().pop().unwrap(), ("released".into(), jti(9), "ok".into()));
    world.send(&unlock(1));
    assert_eq!(world.story().pop().unwrap().2, "left-organization");
    assert!(!world.hands.is_forgotten);
    let last = world.lock().state().chain.next() - 1;
    world.send(&world.ack(last));
    assert!(world.hands.is_forgotten);
}

#[test]
fn a_lock_that_is_let_go_first_tells_how_its_movement_ended() {
    let release = by(
        DOC,
        Typ::Release,
        &to_lock(json!({ "iat": T, "exp": T + 60, "jti": jti(9) })),
    );
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.send(&unlock(2));
    world.send(&release);
    let last = world.lock().state().chain.next() - 1;
    world.send(&world.ack(last));
    assert!(!world.hands.is_forgotten, "it is still moving");
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    let story = world.story();
    assert_eq!(
        story[story.len() - 2..],
        [
            ("unlocked".into(), jti(1), "ok".into()),
            ("denied".into(), jti(2), "left-organization".into())
        ]
    );
    assert!(!world.hands.is_forgotten);
    let last = world.lock().state().chain.next() - 1;
    world.send(&world.ack(last));
    assert!(world.hands.is_forgotten);
}

#[test]
fn a_new_controller_counts_from_where_the_one_before_stood() {
    let mut world = World::after(41);
    assert_eq!(world.last_hello()["ctr"], 41);
    world.send(&unlock(41));
    assert_eq!(world.story().pop().unwrap().2, "replayed");
    world.send(&unlock(42));
    assert_eq!(world.story().pop().unwrap(), ("attempt".into(), jti(42), "ok".into()));
}

#[test]
fn a_reset_by_hand_needs_no_backend() {
    let mut world = World::new();
    world.tell(Input::FactoryReset).unwrap();
    world.pass(controller::FORGET_MS - 1);
    assert!(!world.hands.is_forgotten);
    world.pass(1);
    assert!(world.hands.is_forgotten);
}
