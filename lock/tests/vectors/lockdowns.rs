//! `lockdowns.json`: lockdowns as they come to one lock, and whom it keeps out.

use serde_json::{Value, json};

use super::make::{address, private_jwk};
use super::text;
use crate::world::lockdowns::*;
use crate::world::*;

const HOUR: u64 = 3_600;

/// Makes the vectors.
pub fn lockdowns() -> Value {
    let week = T + 7 * 24 * HOUR;
    let ask = |name: &str, names: &[&str], at: u64, is_kept_out: bool| json!({ "name": name, "names": names, "at": at, "kept_out": is_kept_out });
    let asks = vec![
        ask("nobody's exception", &["grant_1", "person_1"], T + 1, true),
        ask("excepted by one of two", &["grant_1", "person_7"], T + 1, true),
        ask("excepted by the other", &["grant_3"], T + 1, true),
        ask(
            "excepted by both, under two names",
            &["grant_3", "person_7"],
            T + 1,
            false,
        ),
        ask("the last second of the first", &["grant_3"], T + HOUR - 1, true),
        ask("the first has ended", &["grant_3"], T + HOUR, false),
        ask("and the second holds", &["person_7"], T + HOUR, true),
        ask("the last second of all", &["grant_1"], T + 2 * HOUR - 1, true),
        ask("all have ended", &["grant_1"], T + 2 * HOUR, false),
    ];
    let two = lockdown(3, &[hold(T + HOUR, &["person_7"]), hold(T + 2 * HOUR, &["grant_3"])]);
    let step = |name: &str, document: String, expect: &str, asks: Vec<Value>| json!({ "name": name, "document": document, "expect": expect, "asks": asks });
    let by_another = by(UNLOCK, doorward_lock::wire::Typ::Lockdown, &lockdown_claims(9, &[]));
    let steps = vec![
        step(
            "one by the key for tokens",
            by_another,
            "unknown-key",
            vec![ask("nothing holds", &[], T, false)],
        ),
        step(
            "a second longer than a week",
            lockdown(1, &[hold(week + 1, &[])]),
            "bad-lifetime",
            vec![],
        ),
        step(
            "a week",
            lockdown(1, &[hold(week, &[])]),
            "taken",
            vec![ask("nearly a week", &["grant_1"], week - 1, true)],
        ),
        step("two at once", two.clone(), "taken", asks),
        step("the same again", two, "held", vec![]),
        step(
            "an older one",
            lockdown(2, &[]),
            "old-version",
            vec![ask("it still holds", &["grant_1"], T + 1, true)],
        ),
        step(
            "ended early",
            lockdown(4, &[]),
            "taken",
            vec![ask("nothing holds", &["grant_1"], T + 1, false)],
        ),
    ];
    json!({
        "about": "Lockdowns as they come to one lock that has the time, one after the other: `taken` replaces the one held, \
                  `held` changes nothing, any other word refuses. After each, who comes under which names at which time, \
                  and whether they are kept out.",
        "lock": address(),
        "root": private_jwk(ROOT),
        "doc_key": private_jwk(DOC),
        "keyset": keyset(1, 0),
        "steps": steps,
    })
}

/// Holds the crate against the vectors.
pub fn check(vectors: &Value) {
    let mut world = World::on_line();
    let mut held: Option<String> = None;
    for step in vectors["steps"].as_array().unwrap() {
        let name = text(&step["name"]);
        let events = world.lock().state().chain.next();
        world.send(text(&step["document"]));
        let has_event = world.lock().state().chain.next() > events;
        let word = if !has_event {
            "held".to_owned()
        } else if world.last_word() == "ok" {
            "taken".to_owned()
        } else {
            world.last_word()
        };
        assert_eq!(word, text(&step["expect"]), "{name}");
        if word == "taken" {
            held = Some(claims(text(&step["document"])).to_string());
        }
        for ask in step["asks"].as_array().unwrap() {
            let names: Vec<&str> = ask["names"].as_array().unwrap().iter().map(text).collect();
            let at = ask["at"].as_u64().unwrap();
            let lockdown: Option<doorward_lock::wire::Lockdown<'_>> =
                held.as_ref().map(|held| serde_json::from_str(held).unwrap());
            let is_kept_out = lockdown.is_some_and(|lockdown| lockdown.keeps_out(&names, at));
            assert_eq!(
                is_kept_out,
                ask["kept_out"].as_bool().unwrap(),
                "{name}: {}",
                text(&ask["name"])
            );
        }
    }
}
