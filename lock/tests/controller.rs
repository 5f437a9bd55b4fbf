//! What a lock does with its bolt and its senses, told as stories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use doorward_lock::controller::{self, Alarm, Hand, Input, Outcome};
use doorward_lock::jws;
use doorward_lock::wire::{Action, Bolt, Door, Event, Hello, Typ};
use serde_json::json;
use world::*;

#[test]
fn an_unlock_is_an_attempt_and_then_an_end() {
    for (act, outcome, kind, result) in [
        ("unlock", Outcome::Arrived, "unlocked", "ok"),
        ("lock", Outcome::Arrived, "locked", "ok"),
        ("unlock", Outcome::Jammed, "jammed", "jammed"),
    ] {
        let mut world = World::on_line();
        world.send(&unlock_with(1, |claims| claims["act"] = json!(act)));
        assert!(world.lock().is_moving());
        world.tell(Input::Moved(outcome)).unwrap();
        assert_eq!(
            world.story(),
            lines(&[("attempt", &jti(1), "ok"), (kind, &jti(1), result)])
        );
        let nodes: Vec<&str> = world
            .hands
            .published
            .iter()
            .rev()
            .take(2)
            .map(|(node, _)| node.as_str())
            .collect();
        assert_eq!(nodes, ["node-a", "node-a"]);
        assert!(!world.lock().is_moving());
    }
}

#[test]
fn a_newer_command_supersedes_the_one_that_waits() {
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.send(&unlock(2));
    world.send(&unlock_with(3, |claims| claims["act"] = json!("lock")));
    assert_eq!(world.hands.movements.len(), 1);
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    let expected = [
        ("attempt", jti(1), "ok"),
        ("denied", jti(2), "superseded"),
        ("unlocked", jti(1), "ok"),
        ("attempt", jti(3), "ok"),
        ("locked", jti(3), "ok"),
    ];
    assert_eq!(
        world.story(),
        lines(
            &expected
                .each_ref()
                .map(|(kind, jti, result)| (*kind, jti.as_str(), *result))
        )
    );
    let acts: Vec<Action> = world.hands.movements.iter().map(|movement| movement.act).collect();
    assert_eq!(acts, [Action::Unlock, Action::Lock]);
}

#[test]
fn a_command_that_waited_past_its_deadline_never_begins() {
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.send(&unlock(2));
    world.hands.mono_ms += 11_000;
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(
        world.story().pop().unwrap(),
        ("denied".into(), jti(2), "expired".into())
    );
    assert_eq!(world.hands.movements.len(), 1);
}

#[test]
fn a_bolt_that_never_arrives_is_jammed() {
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.pass(controller::MOVE_MS);
    assert!(world.lock().is_moving());
    world.pass(1);
    assert_eq!(world.story().pop().unwrap(), ("jammed".into(), jti(1), "jammed".into()));
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(world.story().len(), 2, "what comes later is nobody's movement");
}

#[test]
fn what_the_lock_notices_is_an_event() {
    let mut world = World::on_line();
    for (input, kind, cause) in [
        (Input::Bolt(Bolt::Unlocked, Hand::Manual), "unlocked", "manual"),
        (Input::Bolt(Bolt::Locked, Hand::Key), "locked", "key"),
        (Input::Bolt(Bolt::Unlocked, Hand::Auto), "unlocked", "auto"),
        (Input::Door(Door::Open), "door_open", "auto"),
        (Input::Door(Door::Closed), "door_closed", "auto"),
        (Input::Alarm(Alarm::Ajar), "ajar", "auto"),
        (Input::Alarm(Alarm::Tamper), "tamper", "auto"),
        (Input::Alarm(Alarm::WrongCodeLimit), "wrong_code_limit", "auto"),
        (Input::Battery(19), "battery", "auto"),
    ] {
        world.tell(input).unwrap();
        let (last_kind, last_cause, result) = world.story().pop().unwrap();
        assert_eq!(
            (last_kind.as_str(), last_cause.as_str(), result.as_str()),
            (kind, cause, "ok")
        );
    }
    let events = world.story().len();
    world.tell(Input::Battery(18)).unwrap();
    world.tell(Input::Door(Door::Closed)).unwrap();
    assert_eq!(world.story().len(), events, "nothing new, no event");
    world.tell(Input::Bolt(Bolt::Locked, Hand::Manual)).unwrap();
    world.tell(Input::Door(Door::Open)).unwrap();
    let forced = world.events().pop().unwrap();
    assert_eq!(
        (&forced["kind"], &forced["matter"], &forced["door"]),
        (&json!("forced"), &json!(6), &json!("open"))
    );
}

#[test]
fn a_lock_says_hello_when_it_connects_and_every_minute() {
    let mut world = World::new();
    world.pass(1_000);
    assert!(world.hands.published.is_empty(), "nobody is there to listen");
    world.connect();
    let hello = world.last_hello();
    assert_eq!(hello["head"]["seq"], 0);
    assert_eq!(
        (&hello["boot"], &hello["mono"], &hello["clock"]),
        (&json!(1), &json!(101), &json!("none"))
    );
    assert_eq!(
        (&hello["keyset"], &hello["ctr"], &hello["battery"]),
        (&json!(1), &json!(0), &json!(80))
    );
    let public = public(LOCK_KEY);
    let open = |(_, message): &(String, String)| jws::open(message, Typ::Hello, LOCK, &public.key).is_ok();
    let hellos = |world: &World| world.hands.published.iter().filter(|published| open(published)).count();
    assert_eq!(hellos(&world), 1);
    world.pass(53_999);
    assert_eq!(hellos(&world), 1);
    world.pass(12_001);
    assert_eq!(hellos(&world), 2);
    world.tell(Input::Disconnected).unwrap();
    world.pass(120_000);
    assert_eq!(hellos(&world), 2);
}

#[test]
fn power_lost_in_a_movement_is_reported_and_nothing_moves_again() {
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.send(&unlock(2));
    world.power_cycle();
    world.connect();
    let expected = [
        ("attempt", jti(1), "ok"),
        ("jammed", jti(1), "interrupted"),
        ("denied", jti(2), "interrupted"),
    ];
    assert_eq!(
        world.story(),
        lines(
            &expected
                .each_ref()
                .map(|(kind, jti, result)| (*kind, jti.as_str(), *result))
        )
    );
    assert_eq!(world.hands.movements.len(), 1);
}

#[test]
fn a_storage_that_fails_moves_nothing() {
    for writes in 1..=2 {
        let mut world = World::on_line();
        world.disk.set_fuse(writes, false);
        assert!(world.tell(Input::Message(unlock(1).as_bytes())).is_err());
        assert!(world.hands.movements.is_empty());
    }
}

#[test]
fn a_storage_that_is_slow_moves_nothing_after_the_deadline() {
    let mut world = World::on_line();
    world.disk.make_slow(6_000);
    world.send(&unlock(1));
    assert_eq!(
        world.story(),
        lines(&[("attempt", &jti(1), "ok"), ("denied", &jti(1), "expired")])
    );
    assert!(world.hands.movements.is_empty());
    assert!(!world.lock().is_moving());
    world.disk.make_slow(0);
    world.send(&unlock(1));
    assert_eq!(
        world.story().pop().unwrap().2,
        "replayed",
        "its counter is used up all the same"
    );
}

#[test]
fn a_lock_signs_what_the_types_say() {
    let mut world = World::on_line();
    world.send(&unlock(1));
    let public = public(LOCK_KEY);
    for (_, message) in &world.hands.published {
        // The backend reads with another JSON library than the lock.
        if let Ok(opened) = jws::open(message, Typ::Event, LOCK, &public.key) {
            let text = claims(message).to_string();
            assert_eq!(
                serde_json::from_str::<Event<'_>>(&text).unwrap(),
                opened.claims::<Event<'_>>().unwrap()
            );
        } else {
            let opened = jws::open(message, Typ::Hello, LOCK, &public.key).unwrap();
            let text = claims(message).to_string();
            assert_eq!(
                serde_json::from_str::<Hello<'_>>(&text).unwrap(),
                opened.claims::<Hello<'_>>().unwrap()
            );
        }
    }
}
