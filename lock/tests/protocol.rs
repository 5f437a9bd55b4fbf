//! `docs/PROTOCOL.md` says what the code does: its examples are messages, its tables hold every word.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

use doorward_lock::refusal::Refusal;
use doorward_lock::wire::{
    Ack, Challenge, Enrol, Event, Hello, Jwk, Keyset, Kind, Lockdown, Pass, Pins, Release, Resend, Revocations, Time,
    Typ, Unlock,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");

/// The example under the heading of `typ`.
fn example(typ: Typ) -> &'static str {
    let heading = format!("\n### `{}`\n", typ.as_str());
    let (_, section) = DOCUMENT
        .split_once(&heading)
        .unwrap_or_else(|| panic!("no section for {}", typ.as_str()));
    let (_, block) = section.split_once("```json\n").unwrap();
    block.split_once("```").unwrap().0
}

/// Whether the example is a `T`, with nothing left out.
fn is_exactly<'a, T: Deserialize<'a> + Serialize>(example: &'a str) -> bool {
    let claims: T = serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
    serde_json::to_value(claims).unwrap() == serde_json::from_str::<Value>(example).unwrap()
}

#[test]
fn every_example_is_a_message_of_its_type() {
    for typ in Typ::ALL {
        let example = example(typ);
        let holds = match typ {
            Typ::Unlock => is_exactly::<Unlock<'_>>(example),
            Typ::Ack => is_exactly::<Ack<'_>>(example),
            Typ::Resend => is_exactly::<Resend<'_>>(example),
            Typ::Time => is_exactly::<Time<'_>>(example),
            Typ::Release => is_exactly::<Release<'_>>(example),
            Typ::Keyset => is_exactly::<Keyset<'_>>(example),
            Typ::Revocations => is_exactly::<Revocations<'_>>(example),
            Typ::Pins => is_exactly::<Pins<'_>>(example),
            Typ::Lockdown => is_exactly::<Lockdown<'_>>(example),
            Typ::Pass => is_exactly::<Pass<'_>>(example),
            Typ::Challenge => is_exactly::<Challenge<'_>>(example),
            Typ::Event => is_exactly::<Event<'_>>(example),
            Typ::Hello => is_exactly::<Hello<'_>>(example),
            Typ::Enrol => is_exactly::<Enrol<'_>>(example),
        };
        assert!(holds, "{typ:?}");
    }
}

#[test]
fn every_example_is_json_and_every_key_a_key() {
    let mut keys = 0;
    for block in DOCUMENT.split("```json\n").skip(1) {
        let value: Value = serde_json::from_str(block.split_once("```").unwrap().0).unwrap();
        for name in ["public_key", "root_key"] {
            if let Some(key) = value.get(name) {
                let text = key.to_string();
                let jwk: Jwk<'_> = serde_json::from_str(&text).unwrap();
                assert!(doorward_lock::keys::PublicKey::from_jwk(&jwk).is_some(), "{name}");
                keys += 1;
            }
        }
    }
    assert_eq!(keys, 2);
}

#[test]
fn every_word_is_in_the_tables() {
    let kinds = DOCUMENT
        .split_once("| kind | when |")
        .unwrap()
        .1
        .split_once("### `hello+jwt`")
        .unwrap()
        .0;
    for kind in Kind::ALL {
        let row = kinds.lines().find(|row| {
            row.split('|')
                .nth(1)
                .is_some_and(|cell| cell.contains(&format!("`{}`", kind.as_str())))
        });
        let row = row.unwrap_or_else(|| panic!("{kind:?} has no row"));
        let matter = row.split('|').nth(5).unwrap().trim();
        assert_eq!(
            matter,
            kind.matter().map_or_else(String::new, |code| code.to_string()),
            "{kind:?}"
        );
    }
    let words = DOCUMENT
        .split_once("\n## Refusals\n")
        .unwrap()
        .1
        .split_once("\n## ")
        .unwrap()
        .0;
    let rows: Vec<&str> = words
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split_once('`'))
        .map(|row| row.0)
        .collect();
    assert_eq!(
        rows,
        Refusal::ALL.map(Refusal::as_str),
        "each word once, in the order of the checks"
    );
}
