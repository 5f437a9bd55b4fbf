//! What a lock does about PINs: when each opens, what wrong ones cost, what messages change, and every loss of power.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use doorward_lock::controller::{Input, Outcome};
use doorward_lock::keypad::{ALLOWANCE, MAX_SLOTS};
use doorward_lock::shell::Record;
use doorward_lock::wire::Typ;
use serde_json::{Value, json};
use world::pins::*;
use world::*;

/// 2026-03-02, the day of [`T`]: a Monday, 09:00 in UTC.
const DAY: u32 = 20_514;
const PIN: &str = "482915";
const WRONG: &str = "000000";

/// A lock that has this time and holds these slots, with this wall clock.
fn at(t: u64, zone: &Value, set: &[Value]) -> World {
    let mut world = World::new();
    let mut keys = keyset_claims(2, 0, &[(DOC, "doc")]);
    keys["keys"][0]["exp"] = json!(u64::from(u32::MAX) * 2);
    world.send(&by(ROOT, Typ::Keyset, &keys));
    world.connect();
    world.give_time(t);
    let mut claims = pins_claims(0, 1, set, &[]);
    claims["zone"] = zone.clone();
    world.send(&by(DOC, Typ::Pins, &claims));
    assert_eq!(world.lock().state().pins.version, 1);
    world
}

fn utc() -> Value {
    json!([{ "at": 0, "offset": 0 }])
}

/// Berlin's clock in 2026: the day of the spring has 23 hours, the day of the autumn 25.
fn berlin() -> Value {
    json!([
        { "at": 1_761_440_400_u64, "offset": 3_600 },
        { "at": 1_774_746_000_u64, "offset": 7_200 },
        { "at": 1_792_890_000_u64, "offset": 3_600 },
    ])
}

fn day(number: u64) -> u64 {
    number * 86_400
}

/// Kind, cause and result of the last two events that were shown.
fn last_two(world: &World) -> Vec<(String, Value, String)> {
    let shown = &world.hands.shown;
    let last = shown[shown.len().saturating_sub(2)..].iter().map(|event| claims(event));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    last.map(|event| (text(&event["kind"]), event["cause"].clone(), text(&event["result"])))
        .collect()
}

fn count(world: &World, kind: &str) -> usize {
    let events = world.events().into_iter();
    events.filter(|event| event["kind"] == kind).count()
}

#[test]
fn a_pin_opens_by_its_slot() {
    let mut world = World::with_pins(&[slot(1, "111222"), slot(7, PIN), slot(9, "99887766")]);
    assert_eq!(world.enter(PIN), "opened");
    let cause = json!({ "pin": 7 });
    assert_eq!(
        last_two(&world),
        [
            ("attempt".to_owned(), cause.clone(), "ok".to_owned()),
            ("unlocked".to_owned(), cause, "ok".to_owned())
        ]
    );
    assert_eq!(world.hands.movements.len(), 1);
    assert_eq!(world.enter("99887766"), "opened");
    for digits in ["482916", "4829150", "111222333 ".trim(), "0111222"] {
        if digits.len() != 9 {
            assert_eq!(world.enter(digits), "wrong-pin", "{digits}");
        }
    }
    assert_eq!(last_two(&world)[1].1, json!("auto"), "a wrong one names nobody");
    assert_eq!(world.last_hello()["pins"], 0, "as the hello of the connection said");
    world.pass(66_000);
    assert_eq!(world.last_hello()["pins"], 1);
}

#[test]
fn a_pin_counts_within_its_life_to_the_second() {
    for (why, changes, t, word) in [
        ("a second before", json!({ "nbf": T + 10 }), T + 9, "not-yet"),
        ("in the first second", json!({ "nbf": T + 10 }), T + 10, "opened"),
        ("in the last second", json!({ "exp": T + 10 }), T + 10, "opened"),
        ("a second after", json!({ "exp": T + 10 }), T + 11, "expired"),
        ("without an end", json!({}), T + 3_000_000_000, "opened"),
        ("a guest, too", json!({ "role": "guest", "exp": T }), T, "opened"),
    ] {
        let mut world = at(t, &utc(), &[slot_with(1, PIN, changes)]);
        assert_eq!(world.enter(PIN), word, "{why}");
        let cause = last_two(&world)[1].1.clone();
        assert_eq!(cause, json!({ "pin": 1 }), "{why}");
        assert_eq!(world.enter(WRONG), "wrong-pin", "{why}");
    }
}

#[test]
fn a_pin_keeps_to_its_schedule_by_the_wall_clock() {
    // Sundays from 02:30 to 03:30, in Berlin: the day of the spring has no 02:30, the day of the autumn has it twice.
    let schedule = json!({ "schedule": { "weekly": [{ "days": 64, "from": 150, "to": 210 }], "except": [DAY + 34] } });
    let (spring, autumn) = (day(20_541), day(20_751));
    for (why, t, word) in [
        ("the second before 03:00, in spring", spring + 3_599, "outside-schedule"),
        ("03:00, which comes after 01:59", spring + 3_600, "opened"),
        ("03:29:59", spring + 3_600 + 1_799, "opened"),
        ("03:30", spring + 3_600 + 1_800, "outside-schedule"),
        ("02:30 for the first time, in autumn", autumn + 1_800, "opened"),
        ("the second before", autumn + 1_799, "outside-schedule"),
        ("02:00 for the second time", autumn + 3_600, "outside-schedule"),
        ("02:30 for the second time", autumn + 5_400, "opened"),
        ("03:29:59, in autumn", autumn + 8_999, "opened"),
        ("03:30, in autumn", autumn + 9_000, "outside-schedule"),
        (
            "a Sunday that is excepted",
            day(u64::from(DAY) + 34) + 3_600,
            "outside-schedule",
        ),
        ("a Monday", spring + 86_400 + 3_600, "outside-schedule"),
    ] {
        let mut world = at(t, &berlin(), &[slot_with(1, PIN, schedule.clone())]);
        assert_eq!(world.enter(PIN), word, "{why}");
    }
}

#[test]
fn without_a_clock_only_a_tenants_plain_pin_counts() {
    let weekly = json!({ "weekly": [{ "days": 127, "from": 0, "to": 1_440 }], "except": [] });
    for (why, changes, word) in [
        ("a tenant", json!({}), "opened"),
        ("a tenant up to the floor", json!({ "nbf": T }), "opened"),
        ("a tenant from after the floor", json!({ "nbf": T + 1 }), "no-time"),
        ("with an end after the floor", json!({ "exp": T + 1 }), "opened"),
        ("with an end at the floor", json!({ "exp": T }), "expired"),
        ("with a schedule", json!({ "schedule": weekly }), "no-time"),
        ("a guest", json!({ "role": "guest" }), "no-time"),
        ("a vendor", json!({ "role": "vendor", "exp": T + 1_000 }), "no-time"),
    ] {
        let mut world = World::with_pins(&[slot_with(1, PIN, changes)]);
        world.power_cycle();
        assert_eq!(world.lock().clock().wall(world.hands.mono_ms), None);
        assert_eq!(world.enter(PIN), word, "{why}");
    }
    let mut world = World::with_pins(&[]);
    world.power_cycle();
    for _ in 0..8 {
        assert_eq!(world.enter(&code(0, DAY, 1, 0)), "no-time", "no guess, and no opening");
    }
    assert_eq!(world.enter(WRONG), "wrong-pin");
}

#[test]
fn a_stale_clock_will_do() {
    let ends = json!({ "role": "guest", "exp": T + 90_000 });
    let mut world = World::with_pins(&[slot_with(1, PIN, ends)]);
    world.wait(90_000);
    assert_eq!(world.lock().clock().fresh(world.hands.mono_ms), None);
    assert_eq!(world.enter(PIN), "opened");
    world.wait(1);
    assert_eq!(world.enter(PIN), "expired");
    assert_eq!(world.enter(&code(0, DAY + 1, 1, 0)), "opened");
}

#[test]
fn openings_are_counted_and_revocations_heeded() {
    let mut world = World::with_pins(&[slot_with(1, PIN, json!({ "uses": 2 })), slot(2, "121212")]);
    for word in ["opened", "opened", "uses-exhausted", "uses-exhausted"] {
        assert_eq!(world.enter(PIN), word);
    }
    let same = [slot_with(1, PIN, json!({ "uses": 3 }))];
    world.send(&pins(1, 2, &same, &[]));
    assert_eq!(world.enter(PIN), "opened", "the third");
    assert_eq!(world.enter(PIN), "uses-exhausted");
    let of_another = [slot_with(1, PIN, json!({ "uses": 1, "gid": "grant_9" }))];
    world.send(&pins(2, 3, &of_another, &[]));
    assert_eq!(world.enter(PIN), "opened", "a count of its own");
    world.power_cycle();
    assert_eq!(world.enter(PIN), "uses-exhausted");

    let revoked = to_lock(json!({ "epoch": 1, "revoked": ["grant_2"], "min_rev": 0 }));
    assert_eq!(world.enter("121212"), "opened");
    world.send(&by(DOC, Typ::Revocations, &revoked));
    assert_eq!(world.enter("121212"), "revoked");
}

#[test]
fn a_computed_code_is_good_on_its_days_and_not_a_second_outside() {
    let (spring, autumn) = (20_541, 20_751);
    let begin = |day_number: u64, offset: u64| day(day_number) - offset;
    for (why, first_day, from, to) in [
        ("a day in winter", 20_520, begin(20_520, 3_600), begin(20_521, 3_600)),
        (
            "a day of 23 hours",
            spring,
            begin(spring, 3_600),
            begin(spring + 1, 7_200),
        ),
        (
            "a day of 25 hours",
            autumn,
            begin(autumn, 7_200),
            begin(autumn + 1, 3_600),
        ),
    ] {
        let digits = code(0, first_day as u32, 1, 3);
        for (t, word) in [
            (from - 1, "wrong-pin"),
            (from, "opened"),
            (to - 1, "opened"),
            (to, "expired"),
        ] {
            assert_eq!(at(t, &berlin(), &[]).enter(&digits), word, "{why}: {t}");
        }
    }
    assert_eq!(
        (
            begin(spring + 1, 7_200) - begin(spring, 3_600),
            begin(autumn + 1, 3_600) - begin(autumn, 7_200)
        ),
        (23 * 3_600, 25 * 3_600)
    );
}

#[test]
fn a_code_for_days_has_to_be_used_on_the_first() {
    let three = code(0, DAY, 3, 0);
    let midnight = day(u64::from(DAY) + 1);
    let mut world = at(midnight - 1, &utc(), &[]);
    assert_eq!(world.enter(&three), "opened");
    let cause = json!({ "code": format!("{DAY}-3-0") });
    assert_eq!(last_two(&world)[1], ("unlocked".into(), cause, "ok".into()));
    world.power_cycle();
    world.connect();
    world.give_time(midnight + 2 * 86_400 - 1);
    assert_eq!(world.enter(&three), "opened", "the last second, after a loss of power");
    assert_eq!(world.enter(&code(0, DAY, 3, 1)), "expired", "never used");
    world.wait(1);
    assert_eq!(world.enter(&three), "expired");

    let mut world = at(midnight, &utc(), &[]);
    assert_eq!(world.enter(&three), "expired", "a day late for the first use");
    let mut old = at(midnight + 7 * 86_400, &utc(), &[]);
    assert_eq!(old.enter(&code(0, DAY, 7, 0)), "wrong-pin", "long gone");
}

#[test]
fn a_new_generation_ends_all_codes_and_never_goes_back() {
    let mut world = World::on_line();
    assert_eq!(
        world.enter(&code(0, DAY, 7, 0)),
        "opened",
        "before the first message, by UTC"
    );
    let mut claims = pins_claims(0, 4, &[], &[]);
    claims["codes"] = json!(2);
    world.send(&by(DOC, Typ::Pins, &claims));
    assert_eq!(world.enter(&code(0, DAY, 7, 0)), "wrong-pin");
    assert_eq!(world.enter(&code(2, DAY, 7, 0)), "opened");
    let mut back = pins_claims(4, 5, &[], &[]);
    back["codes"] = json!(1);
    world.send(&by(DOC, Typ::Pins, &back));
    assert_eq!(world.lock().state().pins.version, 5);
    assert_eq!(world.enter(&code(1, DAY, 7, 0)), "wrong-pin");
    world.power_cycle();
    world.connect();
    world.give_time(T + 86_400);
    assert_eq!(world.enter(&code(2, DAY, 7, 0)), "opened", "used on its first day");
}

#[test]
fn wrong_ones_close_the_keypad_and_a_right_one_opens_it_again() {
    let mut world = World::with_pins(&[slot(1, PIN)]);
    for _ in 0..4 {
        assert_eq!(world.enter(WRONG), "wrong-pin");
    }
    assert_eq!(world.enter(PIN), "opened", "which breaks the row");
    for _ in 0..5 {
        assert_eq!(world.enter(WRONG), "wrong-pin");
    }
    assert_eq!(count(&world, "wrong_code_limit"), 1);
    assert_eq!(world.enter(PIN), "keypad-closed", "even a right one");
    for _ in 0..1_000 {
        assert_eq!(world.enter(WRONG), "", "said once");
    }
    world.wait(59);
    assert_eq!(world.enter(PIN), "");
    world.wait(1);
    assert_eq!(world.enter(WRONG), "wrong-pin", "the sixth");
    world.wait(299);
    assert_eq!(world.enter(PIN), "keypad-closed");
    world.wait(1);
    assert_eq!(world.enter(PIN), "opened");
    assert_eq!(count(&world, "wrong_code_limit"), 1, "one for a row");
    for _ in 0..4 {
        assert_eq!(world.enter(WRONG), "wrong-pin");
    }
    assert_eq!(world.enter(&code(0, DAY, 1, 0)), "opened", "a code breaks it as well");
}

#[test]
fn nothing_at_the_door_shortens_a_closing() {
    let mut world = World::with_pins(&[slot(1, PIN)]);
    for _ in 0..5 {
        world.enter(WRONG);
    }
    world.wait(59);
    for _ in 0..3 {
        world.power_cycle();
        world.hands.mono_ms += 59_000;
        assert_eq!(world.enter(PIN), "keypad-closed", "the minute begins anew");
    }
    world.connect();
    world.give_time(T + 1_000_000);
    assert_eq!(world.enter(PIN), "", "no clock counts");
    world.wait(1);
    assert_eq!(world.enter(PIN), "opened");
}

#[test]
fn a_day_is_a_day_of_the_locks_own() {
    let mut world = World::with_pins(&[slot(1, PIN)]);
    while world.lock().keypad_closed_for(&world.hands) < 86_400 {
        world.wait(u64::from(world.lock().keypad_closed_for(&world.hands)));
        assert_eq!(world.enter(WRONG), "wrong-pin");
    }
    for _ in 0..20 {
        world.wait(3_600);
    }
    world.power_cycle();
    let left = world.lock().keypad_closed_for(&world.hands);
    assert!(
        (4 * 3_600..=5 * 3_600).contains(&left),
        "an hour at most is lost: {left}"
    );
    assert_eq!(count(&world, "wrong_code_limit"), 1);
}

#[test]
fn somebody_with_a_pin_cannot_guess_for_ever() {
    let mut world = World::with_slots(2_048);
    world.send(&pins(0, 1, &[slot(1, PIN)], &[]));
    let mut guesses = 0;
    while world.enter(WRONG) == "wrong-pin" {
        guesses += 1;
        world.wait(60);
        if world.enter(PIN) != "opened" {
            break;
        }
        world.wait(60);
    }
    assert!((ALLOWANCE..=ALLOWANCE + 1).contains(&guesses), "{guesses}");
    let alarms = world
        .hands
        .shown
        .iter()
        .filter(|event| claims(event)["kind"] == "wrong_code_limit");
    assert_eq!(alarms.count(), 1);
    assert!(world.lock().keypad_closed_for(&world.hands) > 70_000);
}

#[test]
fn no_loss_of_power_takes_a_guess_back() {
    for last_is_stored in [false, true] {
        for writes in 1.. {
            let mut world = World::with_pins(&[slot(1, PIN)]);
            for _ in 0..4 {
                world.enter(WRONG);
            }
            let events = world.lock().state().chain.next();
            world.disk.set_fuse(writes, last_is_stored);
            let cut = world.try_enter(WRONG).is_err();
            let stored = world.disk.state().unwrap().chain.next() - events;
            let shown = world.hands.shown.len() as u64;
            world.power_cycle();
            world.pass(0);
            if world.lock().keypad_closed_for(&world.hands) == 0 {
                assert!(cut && writes == 1 && !last_is_stored, "cut at write {writes}");
                assert_eq!(stored, 0, "nothing was compared, and nobody heard anything");
            } else {
                assert_eq!(world.enter(PIN), "keypad-closed");
                world.connect();
                for _ in 0..4 {
                    world.pass(0);
                }
                assert!(
                    (1..=2).contains(&count(&world, "wrong_code_limit")),
                    "the alarm is written"
                );
            }
            assert!(shown > 0);
            if !cut {
                break;
            }
        }
    }
}

#[test]
fn no_loss_of_power_gives_an_opening_back() {
    for last_is_stored in [false, true] {
        for writes in 1.. {
            let mut world = World::with_pins(&[slot_with(1, PIN, json!({ "uses": 1 }))]);
            world.disk.set_fuse(writes, last_is_stored);
            let cut = world.try_enter(PIN).is_err();
            world.power_cycle();
            let again = world.enter(PIN);
            assert!(["opened", "uses-exhausted"].contains(&again.as_str()), "{again}");
            assert!(world.hands.movements.len() <= 1, "cut at write {writes}");
            if !cut {
                assert_eq!((world.hands.movements.len(), again.as_str()), (1, "uses-exhausted"));
                break;
            }
        }
    }
}

#[test]
fn pins_are_taken_whole_or_not_at_all_whenever_the_power_goes() {
    let before = [slot(1, "111111"), slot(2, "222222"), slot(3, "333333")];
    let after = pins(1, 2, &[slot(1, "444444"), slot(4, "555555")], &[2]);
    for last_is_stored in [false, true] {
        for writes in 1.. {
            let mut world = World::with_pins(&before);
            world.disk.set_fuse(writes, last_is_stored);
            let cut = world.tell(Input::Message(after.as_bytes())).is_err();
            world.power_cycle();
            let opens = |world: &mut World, digits: &str| world.enter(digits) == "opened";
            let open: Vec<&str> = ["111111", "222222", "333333", "444444", "555555", "333333"]
                .into_iter()
                .filter(|digits| opens(&mut world, digits))
                .collect();
            let version = world.lock().state().pins.version;
            let expected = match version {
                1 => vec!["111111", "222222", "333333", "333333"],
                2 => vec!["333333", "444444", "555555", "333333"],
                other => panic!("version {other}"),
            };
            assert_eq!(open, expected, "cut at write {writes}, version {version}");
            world.connect();
            for _ in 0..4 {
                world.pass(0);
            }
            assert_eq!(world.last_hello()["pins"], version);
            assert_eq!(
                count(&world, "pins") as u64,
                version,
                "an event for each that was taken"
            );
            // What comes again changes nothing more.
            world.send(&after);
            assert_eq!(world.lock().state().pins.version, 2);
            assert_eq!(count(&world, "pins"), 2);
            if !cut {
                break;
            }
        }
    }
}

#[test]
fn a_storage_that_fails_for_a_while_leaves_no_half() {
    let mut world = World::with_pins(&[slot(1, "111111")]);
    world.disk.set_fuse(2, false);
    let changed = pins(1, 2, &[slot(1, "444444"), slot(4, "555555")], &[]);
    assert!(world.tell(Input::Message(changed.as_bytes())).is_err());
    assert!(world.try_enter("111111").is_err(), "nothing opens meanwhile");
    world.disk.power_on();
    assert_eq!(world.enter("111111"), "wrong-pin");
    assert_eq!(world.enter("555555"), "opened");
    assert_eq!(world.lock().state().pins.version, 2);
}

#[test]
fn changes_are_taken_in_their_order_only() {
    let mut world = World::on_line();
    let denied = |world: &World| {
        let last = last_two(world).pop().unwrap();
        (last.0 == "denied").then_some(last.2)
    };
    for (why, message, held, word) in [
        (
            "from later than nothing",
            pins(1, 2, &[slot(1, "111111")], &[]),
            0,
            Some("gap"),
        ),
        ("the first", pins(0, 3, &[slot(1, "111111")], &[]), 3, None),
        ("the same again", pins(0, 3, &[slot(1, "999999")], &[]), 3, None),
        (
            "an older one",
            pins(0, 2, &[slot(1, "999999")], &[]),
            3,
            Some("old-version"),
        ),
        (
            "from what it does not hold",
            pins(4, 5, &[slot(2, "222222")], &[]),
            3,
            Some("gap"),
        ),
        (
            "from before what it holds",
            pins(1, 5, &[slot(2, "222222")], &[]),
            5,
            None,
        ),
        ("clearing", pins(5, 6, &[], &[1, 77]), 6, None),
        ("the number again", pins(6, 7, &[slot(1, "333333")], &[]), 7, None),
    ] {
        world.hands.shown.clear();
        world
            .hands
            .shown
            .push(raw("{}", r#"{"kind":"none","result":"none"}"#, 1));
        world.send(&message);
        assert_eq!(world.lock().state().pins.version, held, "{why}");
        assert_eq!(denied(&world).as_deref(), word, "{why}");
    }
    for (digits, word) in [
        ("111111", "wrong-pin"),
        ("999999", "wrong-pin"),
        ("222222", "opened"),
        ("333333", "opened"),
    ] {
        assert_eq!(world.enter(digits), word, "{digits}");
    }
    assert_eq!(count(&world, "pins"), 4);
}

#[test]
fn a_message_out_of_form_changes_nothing() {
    let good = || pins_claims(0, 1, &[slot(1, PIN)], &[2]);
    let changed = |pointer: &str, value: Value| {
        let mut claims = good();
        *claims.pointer_mut(pointer).unwrap() = value;
        claims
    };
    let slots = |changes: Value| changed("/set", json!([slot_with(1, PIN, changes)]));
    for (why, claims, word) in [
        ("no step", changed("/base", json!(1)), "malformed"),
        ("slot 0", slots(json!({ "slot": 0 })), "malformed"),
        ("slot 1000", slots(json!({ "slot": 1_000 })), "malformed"),
        ("slot 65536", slots(json!({ "slot": 65_536 })), "malformed"),
        ("cleared slot 0", changed("/clear", json!([0])), "malformed"),
        ("set and cleared", changed("/clear", json!([1])), "malformed"),
        ("cleared twice", changed("/clear", json!([2, 3, 2])), "malformed"),
        (
            "set twice",
            changed("/set", json!([slot(1, PIN), slot(1, WRONG)])),
            "malformed",
        ),
        ("a short mac", slots(json!({ "mac": "AAAA" })), "malformed"),
        ("nobody's", slots(json!({ "gid": "" })), "malformed"),
        ("a long name", slots(json!({ "gid": "g".repeat(65) })), "malformed"),
        ("ending before it begins", slots(json!({ "exp": T - 201 })), "malformed"),
        ("an end that is null", slots(json!({ "exp": null })), "malformed"),
        ("no opening", slots(json!({ "uses": 0 })), "malformed"),
        ("digits", slots(json!({ "digits": PIN })), "malformed"),
        ("another role", slots(json!({ "role": "owner" })), "malformed"),
        (
            "an empty schedule",
            slots(json!({ "schedule": { "weekly": [], "except": [] } })),
            "malformed",
        ),
        ("no zone", changed("/zone", json!([])), "malformed"),
        (
            "a zone out of order",
            changed("/zone", json!([{ "at": 5, "offset": 0 }, { "at": 5, "offset": 0 }])),
            "malformed",
        ),
        ("a generation below 0", changed("/codes", json!(-1)), "malformed"),
        (
            "a version past 53 bits",
            changed("/version", json!(1_u64 << 53)),
            "malformed",
        ),
        ("another lock", changed("/aud", json!("lock_x")), "wrong-lock"),
    ] {
        let mut world = World::on_line();
        world.send(&by(DOC, Typ::Pins, &claims));
        assert_eq!(last_two(&world)[1].2, word, "{why}");
        assert_eq!(world.lock().state().pins.version, 0, "{why}");
        assert_eq!(world.enter(PIN), "wrong-pin", "{why}");
    }
    let mut world = World::on_line();
    world.send(&by(UNLOCK, Typ::Pins, &good()));
    assert_eq!(last_two(&world)[1].2, "unknown-key", "a key for another use");
}

#[test]
fn a_lock_holds_a_hundred_and_no_more() {
    let mut world = World::on_line();
    let digits = |number: u16| format!("{:07}", u32::from(number) * 9_973);
    let mut version = 0;
    let numbers: Vec<u16> = (1..=u16::try_from(MAX_SLOTS).unwrap())
        .map(|number| number * 9)
        .collect();
    for some in numbers.chunks(10) {
        let set: Vec<Value> = some.iter().map(|number| slot(*number, &digits(*number))).collect();
        world.send(&pins(version, version + 1, &set, &[]));
        version += 1;
        assert_eq!(world.lock().state().pins.version, version);
    }
    world.send(&pins(version, version + 1, &[slot(1, PIN)], &[]));
    assert_eq!(last_two(&world)[1].2, "no-room");
    assert_eq!(world.lock().state().pins.version, version);
    for number in [9, 450, 900] {
        assert_eq!(world.enter(&digits(number)), "opened");
    }
    world.send(&pins(version, version + 1, &[slot(1, PIN)], &[450]));
    assert_eq!(world.enter(PIN), "opened");
    assert_eq!(world.enter(&digits(450)), "wrong-pin");
    world.power_cycle();
    assert_eq!(world.enter(PIN), "opened");
    assert_eq!(world.enter(&digits(900)), "opened");
}

#[test]
fn spoilt_storage_opens_nothing_and_is_sent_again() {
    for record in [Record::Slot(0), Record::Pins] {
        let mut world = World::with_pins(&[slot(1, PIN), slot_with(2, "222222", json!({ "uses": 1 }))]);
        assert_eq!(world.enter("222222"), "opened");
        world.disk.spoil(record);
        world.power_cycle();
        world.power_cycle();
        world.connect();
        world.give_time(T + 60);
        assert_eq!(world.last_hello()["pins"], 0);
        assert_eq!(world.enter(PIN), "wrong-pin");
        assert_eq!(world.enter(&code(0, DAY, 1, 0)), "wrong-pin", "by whose wall clock?");
        let all = [slot(1, PIN), slot_with(2, "222222", json!({ "uses": 1 }))];
        world.send(&pins(0, 3, &all, &[]));
        assert_eq!(world.enter(PIN), "opened");
        assert_eq!(world.enter("222222"), "uses-exhausted", "what was used stays used");
    }
    let mut world = World::with_pins(&[slot(1, PIN)]);
    world.enter(WRONG);
    world.disk.spoil(Record::Keypad);
    world.hands.mono_ms = 0;
    assert!(world.start().is_err(), "nobody guesses anew");
}

#[test]
fn a_lock_that_leaves_lets_nobody_in() {
    let mut world = World::with_pins(&[slot(1, PIN)]);
    world.tell(Input::FactoryReset).unwrap();
    assert_eq!(world.enter(PIN), "left-organization");
    assert!(world.hands.movements.is_empty());
}

#[test]
fn a_pin_waits_for_the_movement_under_way() {
    let mut world = World::with_pins(&[slot(1, PIN)]);
    world.send(&unlock(1));
    world.try_enter(PIN).unwrap();
    assert_eq!(world.hands.movements.len(), 1);
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(world.hands.movements.len(), 2);
    assert_eq!(world.hands.movements[1].cause, json!({ "pin": 1 }));
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(count(&world, "unlocked"), 2);

    let mut world = World::with_pins(&[slot(1, PIN)]);
    world.send(&unlock(1));
    world.try_enter(PIN).unwrap();
    world.hands.mono_ms += 11_000;
    world.tell(Input::Moved(Outcome::Arrived)).unwrap();
    assert_eq!(world.hands.movements.len(), 1, "nobody waits for so long");
    assert_eq!(
        last_two(&world)[1],
        ("denied".into(), json!({ "pin": 1 }), "expired".into())
    );
}

#[test]
fn the_digits_are_nowhere() {
    let (computed, wrong) = (code(0, DAY, 2, 1), "70707071");
    let mut world = World::with_pins(&[
        slot(1, PIN),
        slot_with(2, "6543217", json!({ "role": "guest", "uses": 3 })),
    ]);
    for digits in [PIN, wrong, "6543217", &computed, "1029384"] {
        world.enter(digits);
    }
    world.wait(3_600);
    world.power_cycle();
    world.enter(PIN);
    world.enter(wrong);
    world.connect();
    for _ in 0..4 {
        world.pass(0);
    }
    let messages = world
        .hands
        .published
        .iter()
        .map(|(_, message)| message)
        .chain(&world.hands.shown);
    let mut said: Vec<String> = messages
        .flat_map(|message| [message.clone(), claims(message).to_string()])
        .collect();
    for stored in world.disk.contents() {
        let text = String::from_utf8_lossy(&stored).into_owned();
        if text.split('.').count() == 3 && text.is_ascii() {
            said.push(claims(&text).to_string());
        }
        said.push(text);
    }
    said.push(format!("{:?}", world.lock()));
    said.push(format!(
        "{:?}",
        Input::Pin(doorward_lock::pins::Entry::read(wrong).unwrap())
    ));
    let key = base64(&PIN_KEY);
    for secret in [PIN, "6543217", &computed, wrong, "1029384", &key, "92, 92, 92"] {
        let found = said.iter().find(|text| text.contains(secret));
        assert_eq!(found, None, "{secret}");
    }
    assert!(said.len() > 20);
}
