//! `pins.json`: made here, and held against a lock that knows nothing but what stands in it.

use doorward_lock::controller::Input;
use doorward_lock::pins::{Code, Entry, PinKey};
use doorward_lock::wire::Typ;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::make::address;
use crate::world::pins::{code, mac, pins, pins_claims, slot, slot_with};
use crate::world::*;

/// 2026-03-02, the day of [`T`].
const DAY: u32 = 20_514;

/// HMAC as a reader of the protocol would reckon it.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn code_key(generation: u32) -> Vec<u8> {
    hmac(
        &PIN_KEY,
        &[b"doorward-pin-code-v1".as_slice(), &generation.to_be_bytes()].concat(),
    )
}

/// `pins.json`.
pub fn pin_vectors() -> Value {
    let slot_key = hmac(&PIN_KEY, b"doorward-pin-slot-v1");
    let macs = [
        (1, "482915"),
        (7, "482915"),
        (999, "0000000"),
        (256, "00000000"),
        (255, "99887766"),
    ]
    .map(|(slot, digits): (u16, &str)| {
        let reckoned = hmac(&slot_key, &[slot.to_be_bytes().as_slice(), digits.as_bytes()].concat());
        assert_eq!(base64(&reckoned), mac(slot, digits));
        json!({ "slot": slot, "digits": digits, "mac": mac(slot, digits) })
    });
    let with_zeros = |zeros: &str| {
        (0..)
            .map(|day| (0, day, 1, 0))
            .find(|(generation, day, days, serial)| code(*generation, *day, *days, *serial).starts_with(zeros))
            .unwrap()
    };
    let codes = [
        (0, DAY, 1, 0),
        (0, DAY, 2, 0),
        (0, DAY, 3, 0),
        (0, DAY, 7, 7),
        (1, DAY, 7, 7),
        (u32::MAX, u32::MAX, 7, 7),
        with_zeros("0"),
        with_zeros("000"),
    ]
    .map(|(generation, first_day, days, serial)| {
        json!({ "generation": generation, "first_day": first_day, "days": days, "serial": serial,
                "digits": code(generation, first_day, days, serial) })
    });
    let mut lower = pins_claims(5, 6, &[], &[]);
    lower["codes"] = json!(0);
    let mut raised = pins_claims(3, 5, &[slot(3, "333333")], &[2]);
    raised["codes"] = json!(1);
    let steps = [
        ("from later than nothing", pins(1, 2, &[slot(1, "111111")], &[]), "gap"),
        (
            "the first",
            pins(0, 3, &[slot(1, "111111"), slot(2, "222222")], &[]),
            "taken",
        ),
        (
            "the same again",
            pins(0, 3, &[slot(1, "111111"), slot(2, "222222")], &[]),
            "held",
        ),
        ("an older one", pins(0, 2, &[slot(1, "999999")], &[]), "old-version"),
        ("from what is not held", pins(4, 5, &[], &[]), "gap"),
        (
            "from before what is held",
            by(DOC, Typ::Pins, &{
                let mut claims = raised.clone();
                claims["base"] = json!(1);
                claims
            }),
            "taken",
        ),
        ("a lower generation of codes", by(DOC, Typ::Pins, &lower), "taken"),
        (
            "a slot set and cleared",
            pins(6, 7, &[slot(1, "111111")], &[1]),
            "malformed",
        ),
        (
            "the number of a cleared slot",
            pins(6, 7, &[slot(2, "444444")], &[]),
            "taken",
        ),
    ]
    .map(|(name, message, expect)| json!({ "name": name, "message": message, "expect": expect }));
    let code_keys =
        [0, 1].map(|generation: u32| json!({ "generation": generation, "key": base64(&code_key(generation)) }));
    json!({
        "about": "PINs of a lock with this PIN key. `slot_key` and `code_keys` follow from it. `steps` are messages to one lock, \
                  in order, and what becomes of each. Each of `entries` is a new lock with a time (null: none, and the floor \
                  instead) that has taken `pins` and, where it stands there, `revocations`; then digits are entered one after \
                  the other, each `after` so many seconds, with the word for it and its cause. The keys are throw-away.",
        "lock": address(),
        "root": jwk(ROOT),
        "keyset": keyset(1, 0),
        "pin_key": base64(&PIN_KEY),
        "slot_key": base64(&slot_key),
        "code_keys": code_keys,
        "macs": macs,
        "codes": codes,
        "steps": steps,
        "entries": entries(),
    })
}

/// One row of `entries`: its name, the time, the PINs, and what is entered: seconds, digits, word, cause.
fn case(name: &str, now: Option<u64>, pins: &str, entered: &[(u64, &str, &str, Value)]) -> Value {
    let entered: Vec<Value> = entered
        .iter()
        .map(|(after, digits, expect, cause)| json!({ "after": after, "digits": digits, "expect": expect, "cause": cause }))
        .collect();
    json!({ "name": name, "now": now, "floor": T, "pins": pins, "entered": entered })
}

fn entries() -> Vec<Value> {
    let (pin, nobody) = ("482915", json!("auto"));
    let by_slot = || json!({ "pin": 7 });
    let one = |changes: Value| pins(0, 1, &[slot_with(7, pin, changes)], &[]);
    let opened = |after| (after, pin, "opened", by_slot());
    let refused = |after, word| (after, pin, word, by_slot());
    let guest = json!({ "role": "guest", "nbf": T + 10, "exp": T + 20 });
    let weekly = json!({ "schedule": { "weekly": [{ "days": 1, "from": 541, "to": 542 }], "except": [] } });
    let over_midnight = |days| code(0, DAY, days, 1);
    let tomorrow = code(0, DAY + 1, 2, 1);
    let midnight = u64::from(DAY + 1) * 86_400;
    let by_code = |days: u8| json!({ "code": format!("{DAY}-{days}-1") });
    let wrong = |after| (after, "000000", "wrong-pin", nobody.clone());
    let mut cases = vec![
        case(
            "a tenant's PIN",
            Some(T),
            &one(json!({})),
            &[opened(0), (0, "482916", "wrong-pin", nobody.clone())],
        ),
        case(
            "a guest's, to the second",
            Some(T),
            &one(guest.clone()),
            &[refused(9, "not-yet"), opened(1), opened(10), refused(1, "expired")],
        ),
        case(
            "a minute on Mondays, from 09:01 on",
            Some(T),
            &one(weekly.clone()),
            &[
                refused(59, "outside-schedule"),
                opened(1),
                opened(59),
                refused(1, "outside-schedule"),
            ],
        ),
        case(
            "two openings",
            Some(T),
            &one(json!({ "uses": 2 })),
            &[opened(0), opened(0), refused(0, "uses-exhausted")],
        ),
        case(
            "no clock, a tenant",
            None,
            &one(json!({ "nbf": T, "exp": T + 1 })),
            &[opened(0)],
        ),
        case(
            "no clock, an end at the floor",
            None,
            &one(json!({ "exp": T })),
            &[refused(0, "expired")],
        ),
        case(
            "no clock, a guest",
            None,
            &one(json!({ "role": "guest" })),
            &[refused(0, "no-time")],
        ),
        case("no clock, a schedule", None, &one(weekly), &[refused(0, "no-time")]),
        case(
            "no clock, a computed code",
            None,
            &one(json!({})),
            &[(0, &over_midnight(1), "no-time", nobody.clone()), opened(0)],
        ),
        case(
            "a code for one day",
            Some(midnight - 2),
            &one(json!({})),
            &[
                (0, &over_midnight(1), "opened", by_code(1)),
                (1, &over_midnight(1), "opened", by_code(1)),
                (1, &over_midnight(1), "expired", by_code(1)),
            ],
        ),
        case(
            "a code for two days, used on the first",
            Some(midnight - 2),
            &one(json!({})),
            &[
                (1, &over_midnight(2), "opened", by_code(2)),
                (86_400, &over_midnight(2), "opened", by_code(2)),
                (1, &over_midnight(2), "expired", by_code(2)),
            ],
        ),
        case(
            "a code for two days, not used on the first",
            Some(midnight),
            &one(json!({})),
            &[(0, &over_midnight(2), "expired", by_code(2))],
        ),
        case(
            "a code of tomorrow",
            Some(midnight - 1),
            &one(json!({})),
            &[
                (0, &tomorrow, "wrong-pin", nobody.clone()),
                (1, &tomorrow, "opened", json!({ "code": format!("{}-2-1", DAY + 1) })),
            ],
        ),
        case(
            "four wrong ones and a right one",
            Some(T),
            &one(json!({})),
            &[wrong(0), wrong(0), wrong(0), wrong(0), opened(0), wrong(0), opened(0)],
        ),
        case(
            "five wrong ones, and longer each time",
            Some(T),
            &one(json!({})),
            &[
                wrong(0),
                wrong(0),
                wrong(0),
                wrong(0),
                wrong(0),
                (59, pin, "keypad-closed", nobody.clone()),
                wrong(1),
                (299, pin, "keypad-closed", nobody.clone()),
                wrong(1),
                (1_799, pin, "keypad-closed", nobody.clone()),
                wrong(1),
                (3_599, pin, "keypad-closed", nobody.clone()),
                opened(1),
            ],
        ),
    ];
    let mut revoked = case(
        "revoked",
        Some(T),
        &one(json!({ "gid": "grant_1" })),
        &[refused(0, "revoked")],
    );
    let list = to_lock(json!({ "epoch": 1, "revoked": ["grant_1"], "min_rev": 0 }));
    revoked["revocations"] = json!(by(DOC, Typ::Revocations, &list));
    cases.push(revoked);
    let mut zone = pins_claims(0, 1, &[], &[]);
    zone["zone"] = json!([{ "at": 0, "offset": 3_600 }]);
    let zone = by(DOC, Typ::Pins, &zone);
    let day = &over_midnight(1);
    cases.push(case(
        "a code by the wall clock of the door, an hour ahead",
        Some(midnight - 3_601),
        &zone,
        &[(0, day, "opened", by_code(1)), (1, day, "expired", by_code(1))],
    ));
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Holds the crate against the stored file.
pub fn check(vectors: &Value) {
    let key = PinKey::from_text(text(&vectors["pin_key"])).unwrap();
    for row in vectors["macs"].as_array().unwrap() {
        let (slot, entry) = (
            row["slot"].as_u64().unwrap(),
            Entry::read(text(&row["digits"])).unwrap(),
        );
        let slot = u16::try_from(slot).unwrap();
        assert_eq!(key.slots().mac(slot, &entry).as_str(), text(&row["mac"]));
    }
    for row in vectors["codes"].as_array().unwrap() {
        let number = |name: &str| u32::try_from(row[name].as_u64().unwrap()).unwrap();
        let small = |name: &str| u8::try_from(number(name)).unwrap();
        let code = Code::new(number("first_day"), small("days"), small("serial")).unwrap();
        let digits = key.codes(number("generation")).digits(&code);
        assert_eq!(digits.as_str(), text(&row["digits"]), "{row}");
    }
    let mut world = World::on_line();
    for step in vectors["steps"].as_array().unwrap() {
        let (held, events) = (world.lock().state().pins.version, world.events().len());
        world.send(text(&step["message"]));
        let news = world.events().split_off(events);
        let expect = text(&step["expect"]);
        let became = match news.last() {
            None => "held",
            Some(event) if event["kind"] == "pins" => "taken",
            Some(event) => text(&event["result"]),
        };
        assert_eq!(became, expect, "{}", step["name"]);
        assert_eq!(
            world.lock().state().pins.version > held,
            expect == "taken",
            "{}",
            step["name"]
        );
    }
    for case in vectors["entries"].as_array().unwrap() {
        check_entries(case);
    }
}

fn check_entries(case: &Value) {
    let name = text(&case["name"]);
    let mut world = World::with_slots(256);
    world.connect();
    world.give_time(case["now"].as_u64().unwrap_or(T));
    world.send(text(&case["pins"]));
    if let Some(revocations) = case.get("revocations") {
        world.send(text(revocations));
    }
    if case["now"].is_null() {
        world.power_cycle();
    }
    for entered in case["entered"].as_array().unwrap() {
        world.wait(entered["after"].as_u64().unwrap());
        world.hands.shown.clear();
        let became = world.enter(text(&entered["digits"]));
        assert_eq!(became, text(&entered["expect"]), "{name}: {entered}");
        let causes = world.hands.shown.iter().map(|event| claims(event)["cause"].clone());
        let alarms = ["wrong-pin", "keypad-closed"].contains(&became.as_str());
        assert!(
            causes
                .into_iter()
                .all(|cause| cause == entered["cause"] && (!alarms || cause == "auto")),
            "{name}: {entered}"
        );
    }
    world.tell(Input::Tick).unwrap();
}
