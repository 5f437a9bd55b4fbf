//! What a lock does in a lockdown: whom it keeps out, whom not, and that it ends whatever happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use doorward_lock::controller::{Hand, Input, Outcome};
use doorward_lock::lockdown::NOTED_EVERY;
use doorward_lock::shell::Record;
use doorward_lock::wire::{Bolt, MAX_EXCEPTED, MAX_HOLDS, MAX_LOCKDOWN_SECONDS, Typ};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::lockdowns::*;
use world::passes::*;
use world::pins::*;
use world::*;

const HOUR: u64 = 3_600;

/// A lock that has the time, the key for passes and a tenant's PIN 12345678 in slot 3.
fn furnished() -> World {
    let mut world = World::with_pins(&[slot(3, "12345678")]);
    world.send(&keyset_with_passes());
    world
}

/// What becomes of a token, a pass, a PIN and a computed code of today, each by the words of its last event.
fn all_ways(world: &mut World, ctr: u64) -> [String; 4] {
    let until_now = world.lock().clock().wall(world.hands.mono_ms).unwrap();
    world.send(&unlock_with(ctr, |claims| {
        claims["iat"] = json!(until_now);
        claims["exp"] = json!(until_now + 10);
        claims.as_object_mut().unwrap().remove("lt");
    }));
    let token = world.last_word();
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    let pass = world.word(&pass_with(&[("exp", json!(T + 2 * 24 * HOUR))]));
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    let pin = world.enter("12345678");
    let code = world.enter(&code(0, DAY, 1, 0));
    [token, pass, pin, code]
}

const SHUT: [&str; 4] = ["lockdown"; 4];
const OPEN: [&str; 4] = ["ok", "ok", "opened", "opened"];

#[test]
fn every_way_in_is_shut_until_the_lockdown_ends_by_itself() {
    let mut world = furnished();
    assert_eq!(all_ways(&mut world, 1), OPEN);
    world.send(&lockdown(1, &[hold(T + HOUR, &[])]));
    assert_eq!(all_ways(&mut world, 2), SHUT);
    let moved = world.hands.movements.len();
    // The clock shows the latest that it can be: to the millisecond before `until`.
    let now_ms = world.hands.mono_ms - MONO * 1_000 + T * 1_000 + 999;
    world.pass((T + HOUR) * 1_000 - now_ms - 1);
    assert_eq!(all_ways(&mut world, 3), SHUT);
    assert_eq!(world.hands.movements.len(), moved);
    world.pass(1);
    assert_eq!(all_ways(&mut world, 4), OPEN);
}

#[test]
fn the_way_out_is_never_touched() {
    let mut world = furnished();
    world.send(&lockdown(1, &[hold(T + HOUR, &[])]));
    for (bolt, hand) in [
        (Bolt::Unlocked, Hand::Manual),
        (Bolt::Locked, Hand::Auto),
        (Bolt::Unlocked, Hand::Key),
    ] {
        world.tell(Input::Bolt(bolt, hand)).unwrap();
        assert_eq!(world.last_word(), "ok");
    }
    world.send(&tokens::with("act", json!("lock")));
    assert_eq!(world.last_word(), "ok", "a token to lock");
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    let challenge = world.challenge();
    world.present(&answer(&pass(), PHONE, &challenge, "lock")).unwrap();
    assert_eq!(world.last_shown().2, "ok", "a pass to lock");
}

/// The names by which an excepted person comes: each alone is enough, and another's is not.
#[test]
fn who_is_excepted_comes_in_by_their_own_ways() {
    let code_name = format!("{DAY}-1-0");
    for (names, expected) in [
        (vec![GRANT], ["ok", "ok", "lockdown", "lockdown"]),
        (vec!["person_7"], ["ok", "ok", "lockdown", "lockdown"]),
        (vec!["grant_3"], ["lockdown", "lockdown", "opened", "lockdown"]),
        (vec![code_name.as_str()], ["lockdown", "lockdown", "lockdown", "opened"]),
        (vec!["person_70", "person_", "grant_33"], SHUT),
        (vec![GRANT, "grant_3", code_name.as_str()], OPEN),
    ] {
        let mut world = furnished();
        world.send(&lockdown(1, &[hold(T + HOUR, &names)]));
        assert_eq!(all_ways(&mut world, 1), expected, "{names:?}");
    }
}

#[test]
fn several_lockdowns_hold_together() {
    let mut world = furnished();
    let short = hold(T + HOUR, &["person_7"]);
    let long = hold(T + 2 * HOUR, &["grant_3"]);
    world.send(&lockdown(1, &[short, long]));
    assert_eq!(
        all_ways(&mut world, 1),
        SHUT,
        "who is excepted by one is kept out by the other"
    );
    world.wait(HOUR);
    assert_eq!(all_ways(&mut world, 2), ["lockdown", "lockdown", "opened", "lockdown"]);
    world.wait(HOUR);
    assert_eq!(all_ways(&mut world, 3), OPEN);
}

#[test]
fn the_last_word_counts_and_an_older_one_never_again() {
    let mut world = furnished();
    let first = lockdown(4, &[hold(T + HOUR, &[])]);
    world.send(&first);
    let events = world.lock().state().chain.next();
    world.send(&first);
    assert_eq!(world.lock().state().chain.next(), events, "the same again is no event");
    world.send(&lockdown(5, &[]));
    assert_eq!(all_ways(&mut world, 1), OPEN, "ended early");
    world.send(&first);
    assert_eq!(world.last_word(), "old-version");
    world.power_cycle();
    world.connect();
    assert_eq!(world.last_hello()["lockdown"], 5);
    world.tell(Input::Carried(first.as_bytes())).unwrap();
    assert_eq!(world.last_word(), "old-version", "by whoever carries it");
    world.send(&lockdown(6, &[hold(T + HOUR, &[])]));
    assert_eq!(world.lock().state().lockdown.until, T + HOUR);
    assert_eq!(world.challenge()["lockdown"], 6);
}

#[test]
fn what_is_not_exactly_a_lockdown_of_the_backend_holds_nothing() {
    let with = |claim: &str, value: Value| {
        let mut claims = lockdown_claims(1, &[hold(T + HOUR, &["person_7"])]);
        claims[claim] = value;
        by(DOC, Typ::Lockdown, &claims)
    };
    let holds = |holds: Vec<Value>| with("holds", json!(holds));
    let names = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>();
    let week = T + MAX_LOCKDOWN_SECONDS;
    for (why, message, word) in [
        (
            "by the key for tokens",
            by(UNLOCK, Typ::Lockdown, &lockdown_claims(1, &[])),
            "unknown-key",
        ),
        (
            "another's signature",
            raw(&header("lockdown+jwt", DOC), &canonical(&lockdown_claims(1, &[])), 9),
            "bad-signature",
        ),
        ("another lock", with("aud", json!("lock_2")), "wrong-lock"),
        (
            "another organization",
            with("org", json!("org_2")),
            "wrong-organization",
        ),
        (
            "another backend",
            with("iss", json!("https://evil.example")),
            "wrong-issuer",
        ),
        ("epoch 0", with("epoch", json!(0)), "malformed"),
        ("no claim more", with("forever", json!(true)), "malformed"),
        ("without holds", with("holds", json!(null)), "malformed"),
        ("until never", holds(vec![hold(0, &[])]), "malformed"),
        ("an empty name", holds(vec![hold(T + 1, &[""])]), "malformed"),
        (
            "a name too long",
            holds(vec![hold(T + 1, &[&"n".repeat(65)])]),
            "malformed",
        ),
        ("a number too great", holds(vec![hold(1 << 53, &[])]), "malformed"),
        (
            "too many holds",
            holds(vec![hold(T + 1, &[]); MAX_HOLDS + 1]),
            "malformed",
        ),
        (
            "too many names",
            holds(vec![json!({ "until": T + 1, "except": names(MAX_EXCEPTED + 1) })]),
            "malformed",
        ),
        ("longer than a week", holds(vec![hold(week + 1, &[])]), "bad-lifetime"),
    ] {
        let mut world = World::on_line();
        world.send(&message);
        assert_eq!(world.last_word(), word, "{why}");
        assert_eq!(world.lock().state().lockdown.epoch, 0, "{why}");
        world.send(&unlock(1));
        assert_eq!(world.last_word(), "ok", "{why}");
    }
    let mut world = World::on_line();
    let full = json!({ "until": week, "except": names(MAX_EXCEPTED) });
    world.send(&by(DOC, Typ::Lockdown, &lockdown_claims(1, &vec![full; MAX_HOLDS])));
    assert_eq!(world.last_word(), "ok", "the fullest");
}

#[test]
fn a_command_that_waits_does_not_begin_in_a_lockdown() {
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.send(&unlock(2));
    world.send(&lockdown(1, &[hold(T + HOUR, &["person_7"])]));
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(world.hands.movements.len(), 1);
    let denied = world.story().into_iter().find(|(kind, ..)| kind == "denied");
    assert_eq!(denied, Some(("denied".into(), jti(2), "lockdown".into())));
    // One to lock does.
    let mut world = World::on_line();
    world.send(&unlock(1));
    world.send(&unlock_with(2, |claims| claims["act"] = json!("lock")));
    world.send(&lockdown(1, &[hold(T + HOUR, &[])]));
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(world.hands.movements.len(), 2);
}

#[test]
fn a_pin_that_a_lockdown_refuses_is_no_guess() {
    let mut world = furnished();
    world.send(&lockdown(1, &[hold(T + HOUR, &[])]));
    for _ in 0..8 {
        assert_eq!(world.enter("12345678"), "lockdown");
        world.wait(10);
    }
    world.send(&lockdown(2, &[]));
    assert_eq!(world.enter("12345678"), "opened");
}

/// Without a clock: a tenant's pass and PIN open there, and it ends by the lock's own counter.
#[test]
fn a_lock_without_a_clock_holds_and_ends_by_its_own_counter() {
    let mut world = furnished();
    world.tell(Input::Disconnected).unwrap();
    world.power_cycle();
    world
        .tell(Input::Carried(lockdown(1, &[hold(T + HOUR, &[])]).as_bytes()))
        .unwrap();
    assert_eq!(world.word(&pass()), "lockdown");
    world.wait(HOUR - 1);
    assert_eq!(world.enter("12345678"), "lockdown");
    world.wait(1);
    assert_eq!(world.enter("12345678"), "opened");
    // Nothing brings it back.
    world.power_cycle();
    assert_eq!(world.enter("12345678"), "opened");
}

#[test]
fn a_loss_of_power_adds_ten_minutes_at_most() {
    let mut world = furnished();
    world.tell(Input::Disconnected).unwrap();
    world.send(&lockdown(1, &[hold(T + HOUR, &[])]));
    for _ in 0..HOUR / 60 - 5 {
        world.wait(60);
    }
    world.power_cycle();
    assert_eq!(world.enter("12345678"), "lockdown");
    world.wait(5 * 60 + NOTED_EVERY);
    assert_eq!(world.enter("12345678"), "opened");
}

#[test]
fn a_lock_that_never_stays_on_comes_to_the_end_all_the_same() {
    let mut world = furnished();
    world.tell(Input::Disconnected).unwrap();
    world.send(&lockdown(1, &[hold(T + 30, &[])]));
    let mut starts = 0;
    loop {
        world.power_cycle();
        starts += 1;
        if world.enter("12345678") == "opened" {
            break;
        }
        assert!(starts <= 30);
    }
    assert!(starts >= 28, "each start counts one second and no more: {starts}");
}

#[test]
fn a_time_that_the_lock_once_had_ends_it() {
    let mut world = furnished();
    world.send(&lockdown(1, &[hold(T + 60, &[])]));
    world.pass(7 * HOUR * 1_000);
    world.give_time(T + 7 * HOUR);
    world.tell(Input::Disconnected).unwrap();
    world.power_cycle();
    assert_eq!(world.enter("12345678"), "opened");
}

#[test]
fn a_spoilt_document_keeps_everybody_out_until_it_comes_again_or_ends() {
    let mut world = furnished();
    let document = lockdown(3, &[hold(T + HOUR, &["grant_3"])]);
    world.send(&document);
    assert_eq!(world.enter("12345678"), "opened");
    world.disk.spoil(Record::Lockdown);
    world.power_cycle();
    world.connect();
    assert_eq!(world.last_hello()["lockdown"], 0);
    assert_eq!(world.enter("12345678"), "lockdown");
    world.send(&lockdown(2, &[]));
    assert_eq!(world.last_word(), "old-version");
    world.send(&document);
    assert_eq!(world.enter("12345678"), "opened");
    world.disk.spoil(Record::Lockdown);
    world.power_cycle();
    world.wait(HOUR + NOTED_EVERY);
    assert_eq!(world.enter("12345678"), "opened");
}

/// Cut at every write of the taking, with the last one stored or not: afterwards the lock holds all of it or all of the one
/// before, says which, and takes it when it comes again.
#[test]
fn a_lockdown_is_taken_whole_or_not_at_all() {
    let (before, after) = (
        lockdown(1, &[hold(T + HOUR, &["grant_3"])]),
        lockdown(2, &[hold(T + 2 * HOUR, &[])]),
    );
    let mut taken_at = Vec::new();
    for writes in 1..=3 {
        for last_is_stored in [false, true] {
            let mut world = furnished();
            world.send(&before);
            world.disk.set_fuse(writes, last_is_stored);
            assert!(world.tell(Input::Message(after.as_bytes())).is_err(), "write {writes}");
            world.power_cycle();
            world.connect();
            let held = world.last_hello()["lockdown"].as_u64().unwrap();
            taken_at.push(held);
            let (word, until) = if held == 2 {
                ("lockdown", T + 2 * HOUR)
            } else {
                ("opened", T + HOUR)
            };
            assert_eq!(world.enter("12345678"), word, "write {writes}, {last_is_stored}");
            assert_eq!(world.lock().state().lockdown.until, until);
            let told = world
                .events()
                .iter()
                .filter(|event| event["kind"] == "lockdown")
                .count();
            world.send(&after);
            assert_eq!(world.enter("12345678"), "lockdown");
            let now_told = world
                .events()
                .iter()
                .filter(|event| event["kind"] == "lockdown")
                .count();
            assert_eq!(now_told - told, usize::from(held == 1), "it is told once");
        }
    }
    assert_eq!(taken_at, [1, 2, 2, 2, 2, 2], "the document's own write is the instant");
}

#[test]
fn a_lockdown_whose_event_could_not_be_written_is_taken_up_again() {
    let mut world = furnished();
    world.disk.set_fuse(2, false);
    assert!(
        world
            .tell(Input::Message(lockdown(1, &[hold(T + HOUR, &[])]).as_bytes()))
            .is_err()
    );
    // The power stayed; storage works again.
    world.disk.power_on();
    assert_eq!(world.enter("12345678"), "lockdown");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Without a clock, whatever the power does: it never ends early, and never later than by what it was without power and
    /// ten minutes for each time.
    #[test]
    fn a_lockdown_ends_neither_early_nor_never(
        seconds in 1..4_000_u64,
        steps in proptest::collection::vec((1..900_u64, 0..300_u64), 0..12),
    ) {
        let mut world = furnished();
        world.tell(Input::Disconnected).unwrap();
        world.power_cycle();
        world.send(&lockdown(1, &[hold(T + seconds, &[])]));
        let (mut passed, mut lost) = (0, 0);
        for (on, off) in steps {
            for _ in 0..on / 60 {
                world.wait(60);
            }
            world.wait(on % 60);
            world.power_cycle();
            passed += on + off.max(1);
            lost += off.max(1) + NOTED_EVERY + 60;
            let is_open = world.enter("12345678") == "opened";
            prop_assert!(!is_open || passed >= seconds, "early: {passed} of {seconds}");
            prop_assert!(is_open || passed < seconds + lost, "late: {passed} of {seconds}");
        }
        world.wait(seconds + NOTED_EVERY);
        prop_assert_eq!(world.enter("12345678"), "opened");
    }

    /// For any holds: whoever is kept out is kept out by one of them that has not ended and names them not.
    #[test]
    fn a_hold_keeps_out_whom_it_does_not_except(
        holds in proptest::collection::vec((1..20_u64, proptest::collection::vec(0..6_u8, 0..4)), 0..MAX_HOLDS),
        names in proptest::collection::vec(0..6_u8, 0..3),
        now in 0..22_u64,
    ) {
        let text = |name: &u8| format!("n{name}");
        let written: Vec<Value> = holds
            .iter()
            .map(|(until, except)| json!({ "until": until, "except": except.iter().map(text).collect::<Vec<_>>() }))
            .collect();
        let claims = lockdown_claims(1, &written).to_string();
        let lockdown: doorward_lock::wire::Lockdown<'_> = serde_json::from_str(&claims).unwrap();
        let texts: Vec<String> = names.iter().map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let expected = holds.iter().any(|(until, except)| now < *until && !except.iter().any(|name| names.contains(name)));
        prop_assert_eq!(lockdown.keeps_out(&texts, now), expected);
        prop_assert!(!lockdown.keeps_out(&texts, lockdown.ends()));
    }
}
