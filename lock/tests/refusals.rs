//! Every way to lie in a message that opens a door, and the word for each. A good token beside them opens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use doorward_lock::wire::Typ;
use serde_json::{Value, json};
use world::*;

/// The event that a lock with the time, in its first start, answers `token` with.
fn answer(token: &str) -> (String, String, usize) {
    let mut world = World::on_line();
    world.send(token);
    let (kind, cause, result) = world.story().pop().unwrap();
    assert!(kind == "attempt" || kind == "denied", "{kind}");
    (
        if kind == "attempt" { "opens".into() } else { result },
        cause,
        world.hands.movements.len(),
    )
}

#[test]
fn a_good_token_opens() {
    for (why, token) in tokens::good() {
        assert_eq!(answer(&token), ("opens".into(), jti(1), 1), "{why}");
    }
}

#[test]
fn a_token_that_lies_is_refused() {
    for (why, token, word) in [tokens::not_messages(), tokens::bad_headers(), tokens::bad_claims()].concat() {
        let (result, _, movements) = answer(&token);
        assert_eq!((result.as_str(), movements), (word, 0), "{why}");
    }
}

#[test]
fn a_token_under_another_name_is_no_document() {
    for typ in [
        Typ::Ack,
        Typ::Resend,
        Typ::Time,
        Typ::Release,
        Typ::Keyset,
        Typ::Revocations,
    ] {
        let (result, cause, movements) = answer(&by(UNLOCK, typ, &unlock_claims(1)));
        assert_eq!((result.as_str(), movements), ("unknown-key", 0), "{typ:?}");
        assert_eq!(cause, jti(1), "{typ:?}: the token is named all the same");
    }
}

/// A lock without the time, in its second start, 50 s old; `floor` is [`T`] all the same.
fn without_time() -> World {
    let mut world = World::on_line();
    world.power_cycle();
    world.hands.mono_ms = 50_000;
    world.connect();
    world
}

#[test]
fn a_deadline_is_a_deadline() {
    let lt = |boot: u32, dl: u64| {
        move |claims: &mut Value| {
            claims["iat"] = json!(T - 20);
            claims["exp"] = json!(T - 10);
            claims["lt"] = json!({ "boot": boot, "dl": dl });
        }
    };
    let no_lt = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("lt"));
    for (why, token, result) in [
        ("in the last second by the counter", unlock_with(1, lt(2, 50)), "ok"),
        ("a second late by the counter", unlock_with(1, lt(2, 49)), "expired"),
        ("for the start before", unlock_with(1, lt(1, 60)), "wrong-boot"),
        ("for the start to come", unlock_with(1, lt(3, 60)), "wrong-boot"),
        ("by the clock only", unlock_with(1, no_lt), "no-time"),
    ] {
        let mut world = without_time();
        world.send(&token);
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
    for (why, exp, result) in [
        ("late by the clock", T - 1, "expired"),
        ("in time by the clock", T, "ok"),
    ] {
        let mut world = World::on_line();
        world.send(&unlock_with(1, |claims| {
            claims["iat"] = json!(exp - 10);
            claims["exp"] = json!(exp);
            claims["lt"] = json!({ "boot": 7, "dl": 0 });
        }));
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
}

#[test]
fn a_clock_that_is_stale_opens_nothing() {
    let mut world = World::on_line();
    world.pass(25 * 60 * 60 * 1_000);
    world.send(&unlock_with(1, |claims| {
        let now = T + 25 * 60 * 60;
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 10);
        claims.as_object_mut().unwrap().remove("lt");
    }));
    assert_eq!(world.story().pop().unwrap().2, "no-time");
}

#[test]
fn a_counter_counts_once_over_every_order() {
    let mut world = World::on_line();
    world.send(&unlock(5));
    for (why, ctr) in [("the same", 5), ("the one before", 4), ("the first", 1)] {
        world.send(&unlock(ctr));
        assert_eq!(
            world.story().pop().unwrap(),
            ("denied".into(), jti(ctr), "replayed".into()),
            "{why}"
        );
    }
    world.power_cycle();
    world.connect();
    world.send(&unlock_with(5, |claims| claims["lt"] = json!({ "boot": 2, "dl": 5 })));
    assert_eq!(world.story().pop().unwrap().2, "replayed");
    assert_eq!(world.hands.movements.len(), 1);
}

#[test]
fn a_thousand_copies_move_once_and_do_not_drown_the_log() {
    let mut world = World::on_line();
    let token = unlock(1);
    for _ in 0..1_000 {
        world.send(&token);
    }
    assert_eq!(world.hands.movements.len(), 1);
    let story = world.story();
    assert_eq!(story.len(), 1 + 60 + 1);
    assert_eq!(*story.last().unwrap(), lines(&[("denied", "auto", "too-many")])[0]);
    assert_eq!(world.hands.published.last().unwrap().0, "any");
    world.pass(60_000);
    world.send(&token);
    assert_eq!(world.story().last().unwrap().2, "replayed");
}

#[test]
fn a_token_below_the_least_revision_is_revoked() {
    let mut world = World::on_line();
    world.send(&keyset(2, 7));
    for (rev, result) in [(6, "revoked"), (7, "ok")] {
        world.send(&unlock_with(rev, |claims| claims["rev"] = json!(rev)));
        assert_eq!(world.story().pop().unwrap().2, result, "rev {rev}");
    }
}

#[test]
fn a_key_counts_within_its_life_only() {
    let life = |nbf: u64, exp: u64| {
        let mut claims = keyset_claims(2, 0, &[(UNLOCK, "unlock"), (DOC, "doc")]);
        claims["keys"][0]["nbf"] = json!(nbf);
        claims["keys"][0]["exp"] = json!(exp);
        by(ROOT, Typ::Keyset, &claims)
    };
    for (why, keyset, result) in [
        ("in its first second", life(T, T + 9), "ok"),
        ("before it", life(T + 1, T + 9), "key-not-valid"),
        ("in its last second", life(T - 9, T), "ok"),
        ("after it", life(T - 9, T - 1), "key-not-valid"),
    ] {
        let mut world = World::on_line();
        world.send(&keyset);
        world.send(&unlock(1));
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
    let mut world = without_time();
    world.send(&life(T - 9, T - 1));
    world.send(&unlock_with(1, |claims| claims["lt"] = json!({ "boot": 2, "dl": 60 })));
    assert_eq!(
        world.story().pop().unwrap().2,
        "key-not-valid",
        "by the floor, without the time"
    );
}

#[test]
fn a_refusal_goes_to_the_node_only_where_the_backend_named_it() {
    let mut world = World::on_line();
    world.send(&raw(&header("unlock+jwt", UNLOCK), &canonical(&unlock_claims(1)), 9));
    assert_eq!(world.hands.published.last().unwrap().0, "any");
    assert_eq!(
        world.story().pop().unwrap().1,
        jti(1),
        "the token is named all the same"
    );
    world.send(&tokens::with("aud", json!("lock_x")));
    assert_eq!(world.hands.published.last().unwrap().0, "node-a");
}
