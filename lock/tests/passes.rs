//! What a lock does about passes: every refusal, each phone, every loss of power, and a clock that nobody at the door can
//! set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use doorward_lock::controller::{COUNTED_GRANTS, Input, Outcome, REFUSALS_AT_DOOR_A_MINUTE};
use doorward_lock::jws;
use doorward_lock::shell::Record;
use doorward_lock::wire::{Challenge, Typ};
use serde_json::{Value, json};
use world::passes::*;
use world::*;

fn by_pass() -> Value {
    json!({ "pass": GRANT })
}

/// The movement under way comes to its end.
fn arrive(world: &mut World) {
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
}

#[test]
fn a_good_pass_opens_with_the_backend_away() {
    for (why, pass) in good() {
        let mut world = World::cut_off();
        assert_eq!(
            world.show(&pass, PHONE),
            ("attempt".into(), by_pass(), "ok".into()),
            "{why}"
        );
        arrive(&mut world);
        assert_eq!(world.last_shown(), ("unlocked".into(), by_pass(), "ok".into()), "{why}");
        assert_eq!(world.hands.movements.len(), 1, "{why}");
    }
}

#[test]
fn a_pass_that_lies_is_refused() {
    for (why, pass, word) in bad() {
        let mut world = World::cut_off();
        let (kind, cause, result) = world.show(&pass, PHONE);
        assert_eq!((kind.as_str(), result.as_str()), ("denied", word), "{why}");
        let is_named = !matches!(
            word,
            "malformed" | "bad-header" | "bad-alg" | "bad-typ" | "unknown-key" | "key-not-valid" | "bad-signature"
        );
        assert_eq!(cause, if is_named { by_pass() } else { json!("auto") }, "{why}");
        assert!(world.hands.movements.is_empty(), "{why}");
        assert_eq!(world.lock().state().ctr, 0);
    }
}

#[test]
fn a_key_for_passes_counts_within_its_life_only() {
    for (why, nbf, exp) in [("before it", T + 1, T + 9), ("after it", T - 9, T - 1)] {
        let mut world = World::on_line();
        let mut claims = claims(&keyset_with_passes());
        claims["keys"][1]["nbf"] = json!(nbf);
        claims["keys"][1]["exp"] = json!(exp);
        world.send(&by(ROOT, Typ::Keyset, &claims));
        assert_eq!(world.word(&pass()), "key-not-valid", "{why}");
    }
}

#[test]
fn whoever_may_unlock_may_lock_too() {
    let mut world = World::cut_off();
    let challenge = world.challenge();
    world.present(&answer(&pass(), PHONE, &challenge, "lock")).unwrap();
    arrive(&mut world);
    assert_eq!(world.last_shown(), ("locked".into(), by_pass(), "ok".into()));
}

#[test]
fn a_challenge_is_the_locks_own() {
    let mut world = World::cut_off();
    world.tell(Input::Challenge).unwrap();
    let shown = world.hands.shown.last().unwrap().clone();
    let message = jws::open(&shown, Typ::Challenge, LOCK, &public(LOCK_KEY).key).unwrap();
    let challenge: Challenge<'_> = message.claims().unwrap();
    let state = world.lock().state();
    assert_eq!((challenge.lock, challenge.boot, challenge.epoch), (LOCK, 1, 0));
    assert_eq!(challenge.head, state.chain.head());
    assert!(jws::open(&shown, Typ::Challenge, LOCK, &public(PHONE).key).is_err());
}

#[test]
fn a_copied_pass_is_worth_nothing() {
    let mut world = World::cut_off();
    let refused = ("denied".to_owned(), by_pass(), "not-the-holder".to_owned());
    assert_eq!(world.show(&pass(), 21), refused, "another phone with its own key");
    for (why, change) in [
        (
            "another phone that shows the holder's key",
            (|answer: &mut Answer, _: &Answer| {
                let (x, y) = public(PHONE).coordinates();
                answer.key = (x.as_str().to_owned(), y.as_str().to_owned());
            }) as fn(&mut Answer, &Answer),
        ),
        ("no signature", |answer, _| answer.signature.clear()),
        ("half a signature", |answer, _| answer.signature.truncate(43)),
        ("no key", |answer, _| answer.key.0.clear()),
        ("an answer for the other direction", |answer, good| {
            *answer = Answer {
                act: "lock",
                ..good.clone()
            };
        }),
        ("an answer for another pass", |answer, good| {
            *answer = Answer {
                pass: pass_with(&[("jti", json!(jti(71)))]),
                ..good.clone()
            };
        }),
    ] {
        let challenge = world.challenge();
        let (mut shown, good) = (
            answer(&pass(), 21, &challenge, "unlock"),
            answer(&pass(), PHONE, &challenge, "unlock"),
        );
        change(&mut shown, &good);
        world.present(&shown).unwrap();
        assert_eq!(world.last_shown(), refused, "{why}");
    }
    assert!(world.hands.movements.is_empty());
}

#[test]
fn an_answer_counts_once_and_for_its_challenge() {
    let mut world = World::cut_off();
    let challenge = world.challenge();
    let good = answer(&pass(), PHONE, &challenge, "unlock");
    world.present(&good).unwrap();
    arrive(&mut world);
    world.present(&good).unwrap();
    assert_eq!(
        world.last_shown(),
        ("denied".into(), json!("auto"), "bad-nonce".into()),
        "the same answer again"
    );

    let two = [world.challenge(), world.challenge()];
    let swapped = Answer {
        nonce: two[1]["nonce"].as_str().unwrap().to_owned(),
        ..answer(&pass(), PHONE, &two[0], "unlock")
    };
    world.present(&swapped).unwrap();
    assert_eq!(world.last_shown().2, "not-the-holder", "for the other nonce");
    world.present(&answer(&pass(), PHONE, &two[1], "unlock")).unwrap();
    assert_eq!(world.last_shown().2, "bad-nonce", "a wrong answer uses it up");
    world.present(&answer(&pass(), PHONE, &two[0], "unlock")).unwrap();
    assert_eq!(world.last_shown().2, "ok");
    arrive(&mut world);

    let challenge = world.challenge();
    world
        .present(&Answer {
            nonce: jti(1),
            ..answer(&pass(), PHONE, &challenge, "unlock")
        })
        .unwrap();
    assert_eq!(world.last_shown().2, "bad-nonce", "one that the lock never made");
    assert_eq!(world.hands.movements.len(), 2);
}

#[test]
fn a_challenge_is_good_for_half_a_minute_and_four_are_open() {
    for (ms, word) in [(30_000, "ok"), (30_001, "bad-nonce")] {
        let mut world = World::cut_off();
        let challenge = world.challenge();
        world.hands.mono_ms += ms;
        world.present(&answer(&pass(), PHONE, &challenge, "unlock")).unwrap();
        assert_eq!(world.last_shown().2, word, "after {ms} ms");
    }
    let mut world = World::cut_off();
    let challenges: Vec<Value> = (0..5).map(|_| world.challenge()).collect();
    world
        .present(&answer(&pass(), PHONE, &challenges[0], "unlock"))
        .unwrap();
    assert_eq!(world.last_shown().2, "bad-nonce", "the oldest gave way");
    world
        .present(&answer(&pass(), PHONE, &challenges[1], "unlock"))
        .unwrap();
    assert_eq!(world.last_shown().2, "ok");
}

#[test]
fn a_start_closes_every_challenge() {
    let mut world = World::cut_off();
    let challenge = world.challenge();
    world.power_cycle();
    world.present(&answer(&pass(), PHONE, &challenge, "unlock")).unwrap();
    assert_eq!(world.last_shown().2, "bad-nonce");
    let of_before = json!({ "boot": 1, "nonce": world.challenge()["nonce"] });
    world.present(&answer(&pass(), PHONE, &of_before, "unlock")).unwrap();
    assert_eq!(world.last_shown().2, "not-the-holder", "signed for the start before");
}

/// A lock in its second start, without the time; its floor is [`T`].
fn without_time() -> World {
    let mut world = World::cut_off();
    world.power_cycle();
    world
}

#[test]
fn without_the_time_a_tenant_gets_in_and_nobody_else() {
    let ended = [("iat", json!(T - 9)), ("nbf", json!(T - 9)), ("exp", json!(T - 1))];
    let last = [("iat", json!(T - 9)), ("nbf", json!(T - 9)), ("exp", json!(T))];
    for (why, changes, word) in [
        ("a tenant", vec![], "ok"),
        ("a guest", vec![("role", json!("guest"))], "no-time"),
        ("a vendor", vec![("role", json!("vendor"))], "no-time"),
        ("a tenant with a schedule", mornings(), "no-time"),
        ("a tenant who moves in later", vec![("nbf", json!(T + 1))], "no-time"),
        ("a tenant whose pass ended before the floor", ended.to_vec(), "expired"),
        ("a tenant whose pass ends with the floor", last.to_vec(), "ok"),
    ] {
        assert_eq!(without_time().word(&pass_with(&changes)), word, "{why}");
    }
}

#[test]
fn a_stale_clock_still_tells_when_a_pass_has_ended() {
    let day = 24 * 3_600;
    let until = |exp: u64, role: &str| pass_with(&[("exp", json!(exp)), ("role", json!(role))]);
    for (why, seconds, pass, word) in [
        ("a guest, in time", 2 * day, until(T + 2 * day, "guest"), "ok"),
        (
            "a guest, a second late",
            2 * day + 1,
            until(T + 2 * day, "guest"),
            "expired",
        ),
        (
            "a tenant, a second late",
            2 * day + 1,
            until(T + 2 * day, "tenant"),
            "expired",
        ),
    ] {
        let mut world = World::cut_off();
        world.pass(seconds * 1_000);
        assert_eq!(world.challenge()["clock"], "stale");
        assert_eq!(world.word(&pass), word, "{why}");
    }
}

#[test]
fn nothing_that_a_phone_hands_over_sets_the_clock() {
    let ended = pass_with(&[("iat", json!(T - 100)), ("nbf", json!(T - 100)), ("exp", json!(T - 1))]);
    let early = pass_with(&[("nbf", json!(T + 60))]);
    let time = |nonce: &str, t: u64| by(DOC, Typ::Time, &to_lock(json!({ "nonce": nonce, "t": t })));
    let carry = |world: &mut World, message: &str| world.tell(Input::Carried(message.as_bytes())).unwrap();

    let mut world = World::cut_off();
    let old = world.last_hello()["nonce"].as_str().unwrap().to_owned();
    let challenge = world.challenge()["nonce"].as_str().unwrap().to_owned();
    for nonce in [&old, &challenge, &jti(9)] {
        for t in [T - 1_000, T - 1, T + 100, T + 1_000_000] {
            carry(&mut world, &time(nonce, t));
        }
    }
    assert_eq!(world.lock().state().floor, T);
    assert_eq!(world.word(&ended), "expired", "not set back");
    assert_eq!(world.word(&early), "not-yet", "not set forward");

    // Without the time, the floor holds, and a time for a nonce that the lock asked with comes once and in time.
    let mut world = without_time();
    carry(&mut world, &time(&old, T + 1_000));
    assert_eq!(world.challenge()["clock"], "none");
    world.connect();
    let asked = world.last_hello()["nonce"].as_str().unwrap().to_owned();
    world.tell(Input::Disconnected).unwrap();
    carry(&mut world, &time(&asked, T - 1));
    assert_eq!(world.challenge()["clock"], "none", "below the floor");
    carry(&mut world, &time(&asked, T + 1_000));
    assert_eq!(world.challenge()["clock"], "none", "the nonce is used up");
    world.connect();
    let asked = world.last_hello()["nonce"].as_str().unwrap().to_owned();
    world.hands.mono_ms += 2_001;
    carry(&mut world, &time(&asked, T + 1_000));
    assert_eq!(world.challenge()["clock"], "none", "held back on its way");
    assert_eq!(world.lock().state().floor, T);
}

#[test]
fn a_revoked_grant_or_phone_is_refused_at_once_whoever_carries_the_list() {
    for (why, list) in [
        ("the grant", vec!["grant_x", GRANT]),
        ("the phone", vec![kid(PHONE).leak() as &str]),
    ] {
        let mut world = World::cut_off();
        assert_eq!(world.word(&pass()), "ok", "{why}");
        arrive(&mut world);
        world.tell(Input::Carried(revoked(1, &list).as_bytes())).unwrap();
        assert_eq!(world.challenge()["epoch"], 1);
        assert_eq!(
            world.show(&pass(), PHONE),
            ("denied".into(), by_pass(), "revoked".into()),
            "{why}"
        );
        world.tell(Input::Carried(revoked(2, &["grant_x"]).as_bytes())).unwrap();
        assert_eq!(world.word(&pass()), "ok", "{why}: the list is replaced");
        arrive(&mut world);
        world.tell(Input::Carried(revoked(1, &[]).as_bytes())).unwrap();
        assert_eq!(world.last_shown().2, "old-version");
    }
    let mut world = World::cut_off();
    let claims = to_lock(json!({ "epoch": 1, "revoked": [], "min_rev": T + 1 }));
    world
        .tell(Input::Carried(by(DOC, Typ::Revocations, &claims).as_bytes()))
        .unwrap();
    assert_eq!(world.word(&pass()), "revoked", "all that were issued before");
    assert_eq!(world.word(&pass_with(&[("rev", json!(T + 1))])), "ok");
}

#[test]
fn a_list_that_storage_has_lost_opens_to_nobody() {
    let mut world = World::cut_off();
    world.tell(Input::Carried(revoked(3, &["grant_x"]).as_bytes())).unwrap();
    world.disk.spoil(Record::Revocations);
    world.power_cycle();
    assert_eq!(world.word(&pass()), "revoked");
    world.tell(Input::Carried(revoked(2, &[]).as_bytes())).unwrap();
    assert_eq!(world.word(&pass()), "revoked", "an older list does not do");
    world.tell(Input::Carried(revoked(3, &["grant_x"]).as_bytes())).unwrap();
    assert_eq!(world.word(&pass()), "ok");
}

fn counted(uses: u32, used: u32) -> String {
    pass_with(&[("uses", json!(uses)), ("used", json!(used))])
}

#[test]
fn counted_uses_are_counted_here() {
    let mut world = World::cut_off();
    for word in ["ok", "ok", "uses-exhausted"] {
        assert_eq!(world.word(&counted(2, 0)), word);
        arrive(&mut world);
    }
    let challenge = world.challenge();
    world
        .present(&answer(&counted(2, 0), PHONE, &challenge, "lock"))
        .unwrap();
    assert_eq!(world.last_shown().2, "ok", "locking takes no use");
    arrive(&mut world);
    assert_eq!(world.word(&counted(3, 2)), "ok", "one use more was granted");
    arrive(&mut world);
    assert_eq!(
        world.word(&counted(3, 0)),
        "uses-exhausted",
        "an older pass does not bring them back"
    );
    assert_eq!(world.word(&pass()), "ok", "what is not counted is not counted");
}

#[test]
fn no_loss_of_power_gives_a_use_back() {
    for last_is_stored in [false, true] {
        for writes in 1..12 {
            let mut world = World::cut_off();
            world.disk.set_fuse(writes, last_is_stored);
            let mut opened = 0;
            for _ in 0..20 {
                let before = world.hands.movements.len();
                world.tell(Input::Challenge).unwrap();
                let challenge = claims(world.hands.shown.last().unwrap());
                let shown = answer(&counted(2, 0), PHONE, &challenge, "unlock");
                let survived = world
                    .present(&shown)
                    .and_then(|()| world.tell(Input::Moved(Outcome::Arrived)));
                opened += world.hands.movements.len() - before;
                if survived.is_err() {
                    world.power_cycle();
                    world.connect();
                    world.give_time(T);
                    world.tell(Input::Disconnected).unwrap();
                }
            }
            assert!(
                (1..=2).contains(&opened),
                "{opened} of 2 with the power cut at write {writes}"
            );
        }
    }
}

#[test]
fn a_pass_keeps_the_promises_through_every_loss_of_power() {
    for last_is_stored in [false, true] {
        for writes in 1..8 {
            let mut world = World::cut_off();
            let challenge = world.challenge();
            let shown = answer(&pass(), PHONE, &challenge, "unlock");
            world.disk.set_fuse(writes, last_is_stored);
            let done = world
                .present(&shown)
                .and_then(|()| world.tell(Input::Moved(Outcome::Arrived)));
            let moved = world.hands.movements.len();
            if done.is_err() {
                world.power_cycle();
            }
            world.disk.power_on();
            world.present(&shown).unwrap();
            assert_eq!(world.last_shown().2, "bad-nonce", "the answer does not come back");
            assert_eq!(world.hands.movements.len(), moved);
            world.connect();
            let ends = |kind: &str| {
                let of_it = |event: &&Value| event["kind"] == kind && event["cause"] == by_pass();
                world.events().iter().filter(of_it).count()
            };
            assert!(ends("attempt") >= moved, "a movement has its attempt");
            assert_eq!(
                ends("attempt"),
                ends("unlocked") + ends("jammed"),
                "every attempt has its end"
            );
        }
    }
}

#[test]
fn counts_are_kept_until_no_pass_of_before_is_left() {
    let of = |number: usize, used: u32| {
        pass_with(&[
            ("gid", json!(format!("grant_{number}"))),
            ("uses", json!(used + 1)),
            ("used", json!(used)),
            ("exp", json!(T + 604_800)),
        ])
    };
    let mut world = World::with_slots(256);
    world.connect();
    world.give_time(T);
    world.send(&keyset_with_passes());
    for number in 0..COUNTED_GRANTS {
        assert_eq!(world.word(&of(number, 0)), "ok");
        arrive(&mut world);
    }
    assert_eq!(world.word(&of(99, 0)), "no-room");
    assert_eq!(world.word(&of(3, 0)), "uses-exhausted");
    assert_eq!(world.word(&of(3, 1)), "ok", "those that are counted already go on");
    arrive(&mut world);
    let last = world.lock().state().chain.next() - 1;
    world.send(&world.ack(last));
    assert_eq!(world.word(&of(99, 0)), "no-room", "passes of before may be about");

    // Eight days later all of them have ended, and what the backend issues now tells what was used.
    let later = 8 * 24 * 3_600 + 1;
    world.pass(later * 1_000);
    world.give_time(T + later);
    let later_pass = pass_with(&[
        ("gid", json!("grant_99")),
        ("uses", json!(1)),
        ("used", json!(0)),
        ("iat", json!(T + later)),
        ("nbf", json!(T + later)),
        ("exp", json!(T + later + 60)),
    ]);
    assert_eq!(world.word(&later_pass), "ok");
    arrive(&mut world);
    assert_eq!(world.word(&later_pass), "uses-exhausted");
}

#[test]
fn counts_survive_a_start_and_what_is_spoilt_is_said() {
    let mut world = World::cut_off();
    assert_eq!(world.word(&pass_with(&[("uses", json!(1)), ("used", json!(0))])), "ok");
    arrive(&mut world);
    world.power_cycle();
    world.connect();
    world.give_time(T);
    assert_eq!(
        world.word(&pass_with(&[("uses", json!(1)), ("used", json!(0))])),
        "uses-exhausted"
    );
    world.disk.spoil(Record::Uses);
    world.disk.power_on();
    assert!(
        world.start().is_err(),
        "a lock that has lost its counts does not begin anew"
    );
}

#[test]
fn one_token_over_both_ways_moves_once() {
    let mut world = World::on_line();
    let token = unlock(1);
    world.send(&token);
    world.tell(Input::Carried(token.as_bytes())).unwrap();
    assert_eq!(world.last_shown().2, "replayed");
    arrive(&mut world);
    world.tell(Input::Carried(unlock(2).as_bytes())).unwrap();
    assert_eq!(
        world.last_shown().0,
        "attempt",
        "a phone may carry a token that is for the lock"
    );
    world.send(&unlock(2));
    assert_eq!(world.story().pop().unwrap().2, "replayed");
    assert_eq!(world.hands.movements.len(), 2);
}

#[test]
fn a_pass_waits_for_the_movement_under_way_and_not_for_long() {
    let mut world = World::on_line();
    world.send(&keyset_with_passes());
    world.send(&unlock(1));
    let challenge = world.challenge();
    world.present(&answer(&pass(), PHONE, &challenge, "lock")).unwrap();
    assert_eq!(world.hands.movements.len(), 1);
    arrive(&mut world);
    assert_eq!(world.hands.movements.len(), 2);
    arrive(&mut world);
    assert_eq!(world.last_shown().0, "locked");

    world.send(&unlock_with(2, |_| ()));
    let challenge = world.challenge();
    world.present(&answer(&pass(), PHONE, &challenge, "lock")).unwrap();
    world.hands.mono_ms += 11_000;
    arrive(&mut world);
    assert_eq!(world.last_shown(), ("denied".into(), by_pass(), "expired".into()));
}

#[test]
fn a_lock_that_is_leaving_lets_nobody_in() {
    let mut world = World::cut_off();
    world.tell(Input::FactoryReset).unwrap();
    assert_eq!(world.word(&pass()), "left-organization");
}

#[test]
fn refusals_at_the_door_do_not_push_out_what_happened() {
    let budget = usize::try_from(REFUSALS_AT_DOOR_A_MINUTE).unwrap();
    let mut world = World::cut_off();
    let shown = world.hands.shown.len();
    for _ in 0..100 {
        world.tell(Input::Carried(b"rubbish")).unwrap();
    }
    assert_eq!(world.hands.shown.len() - shown, budget + 1);
    assert_eq!(world.last_shown().2, "too-many");
    world.tell(Input::Message(b"rubbish")).unwrap();
    assert_eq!(
        world.last_shown().2,
        "malformed",
        "what comes from the broker has a budget of its own"
    );

    // For hours: storage for 64 events never holds more than three quarters of it.
    for _ in 0..300 {
        world.pass(60_000);
        for _ in 0..20 {
            world.tell(Input::Carried(b"rubbish")).unwrap();
        }
    }
    let state = world.lock().state();
    assert_eq!(state.chain.next() - state.chain.unacked(), 48);
    assert!(!state.overflowed);
}

#[test]
fn a_phone_collects_what_the_backend_lacks() {
    let mut world = World::with_slots(64);
    for at in 0..40 {
        world.tell(Input::Battery(if at % 2 == 0 { 15 } else { 90 })).unwrap();
    }
    let seqs = |world: &mut World, from: u64| -> Vec<u64> {
        let before = world.hands.shown.len();
        world.tell(Input::Collect(from)).unwrap();
        world.hands.shown[before..]
            .iter()
            .map(|event| claims(event)["seq"].as_u64().unwrap())
            .collect()
    };
    let next = world.lock().state().chain.next();
    assert_eq!(seqs(&mut world, 0), (0..next.min(32)).collect::<Vec<u64>>());
    assert_eq!(seqs(&mut world, 7).first(), Some(&7));
    assert!(seqs(&mut world, next).is_empty());
    world.connect();
    for _ in 0..4 {
        world.pass(1_000);
    }
    world.tell(Input::Carried(world.ack(next - 2).as_bytes())).unwrap();
    assert_eq!(
        seqs(&mut world, 0),
        [next - 1],
        "what is acknowledged need not be carried"
    );
}

#[test]
fn the_fullest_state_fits_into_its_record() {
    use doorward_lock::journal::{MAX_STATE, State};

    let number = u64::MAX >> 11;
    let command = json!({
        "act": "unlock", "origin": { "pass": "g".repeat(64) }, "node": "n".repeat(32), "exp": number,
        "lt": { "boot": u32::MAX, "dl": number },
    });
    let world = World::new();
    let mut state = serde_json::to_value(world.lock().state()).unwrap();
    for member in ["ctr", "floor", "min_rev", "epoch"] {
        state[member] = json!(number);
    }
    state["boot"] = json!(u32::MAX);
    state["chain"]["next"] = json!(number);
    state["chain"]["unacked"] = json!(number);
    state["underway"] = command.clone();
    state["waiting"] = command;
    state["lockdown"] = json!({ "epoch": number, "until": number, "time": number });
    state["pins"] = json!({ "version": number, "codes": u32::MAX, "slots": u16::MAX, "is_lost": false });
    let most = u32::MAX;
    state["lost"] = json!({
        "from": number, "to": number, "unlocked": most, "locked": most, "denied": most, "other": most,
    });
    let text = state.to_string();
    assert!(text.len() <= MAX_STATE, "{} bytes", text.len());
    let (read, _): (State, usize) = serde_json_core::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), state);
}
