//! A bounded run of every fuzz target: on every vector, and on mutations of them that follow from a seed. `cargo fuzz` runs
//! the same targets for as long as one likes (`lock/fuzz/README.md`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

#[path = "../fuzz/targets.rs"]
mod targets;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use serde_json::Value;

/// How many mutations each target gets.
const ROUNDS: u32 = 2_000;

/// Every text in the vectors, the payloads of those that are messages too.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new()];
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")).unwrap() {
        collect(
            &serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap(),
            &mut seeds,
        );
    }
    seeds
}

fn collect(value: &Value, seeds: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => {
            if let Some(payload) = text
                .split('.')
                .nth(1)
                .and_then(|part| Base64UrlUnpadded::decode_vec(part).ok())
            {
                let of_a_lock = [b"\0j".as_slice(), &payload, b"\0m", text.as_bytes(), b"\0a"].concat();
                let at_a_time = [&1_772_442_000_u64.to_le_bytes(), payload.as_slice()].concat();
                seeds.extend([payload, of_a_lock, at_a_time]);
            }
            seeds.push(text.clone().into_bytes());
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, seeds)),
        Value::Object(members) => members.values().for_each(|value| collect(value, seeds)),
        _ => {}
    }
}

/// One change of bytes.
#[derive(Debug, Clone)]
enum Change {
    Put(prop::sample::Index, u8),
    Cut(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
}

fn changes() -> impl Strategy<Value = Change> {
    use Change::*;
    let at = any::<prop::sample::Index>;
    let words = prop::sample::select(vec![
        "null",
        "-1",
        "1e9",
        "9007199254740992",
        "18446744073709551616",
        "\"\"",
        "[[[[",
        "{",
        "}",
        ",",
        "\\u0041",
        "\0",
        "\"iss\":",
        "true",
        "0.5",
    ]);
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Put(at, byte)),
        2 => (at(), at()).prop_map(|(from, to)| Cut(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Repeat(from, to)),
        2 => (at(), words).prop_map(|(at, word)| Insert(at, word)),
    ]
}

fn apply(data: &mut Vec<u8>, change: &Change) {
    let place = |at: &prop::sample::Index, data: &Vec<u8>| at.index(data.len() + 1);
    match change {
        Change::Put(at, byte) if !data.is_empty() => {
            let at = at.index(data.len());
            data[at] = *byte;
        }
        Change::Put(..) => {}
        Change::Cut(one, other) => {
            let (one, other) = (place(one, data), place(other, data));
            data.drain(one.min(other)..one.max(other));
        }
        Change::Repeat(one, other) => {
            let (one, other) = (place(one, data), place(other, data));
            let part = data[one.min(other)..one.max(other)].to_vec();
            data.extend(part);
        }
        Change::Insert(at, word) => {
            let at = place(at, data);
            data.splice(at..at, word.bytes());
        }
    }
}

#[test]
fn no_decoder_panics_on_a_vector() {
    for seed in seeds() {
        targets::ALL.iter().for_each(|(_, run)| run(&seed));
    }
}

#[test]
fn no_decoder_panics_on_a_mutation() {
    let seeds = seeds();
    let config = ProptestConfig {
        cases: ROUNDS,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mutations = (prop::sample::select(seeds), prop::collection::vec(changes(), 1..8));
    proptest!(config, |((mut data, changes) in mutations)| {
        changes.iter().for_each(|change| apply(&mut data, change));
        targets::ALL.iter().for_each(|(_, run)| run(&data));
    });
}

#[test]
fn every_target_has_a_fuzzer() {
    for (name, _) in targets::ALL {
        let fuzzer = format!("{}/fuzz/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&fuzzer).is_file(), "{fuzzer}");
    }
}
