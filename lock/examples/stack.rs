//! How much stack the verifier takes: one unlock token, from its text to the answer, on a thread whose stack nobody has
//! touched before. The system counts in pages of 4 KiB, and starting the thread takes some of them: an upper bound.
//!
//! `cargo run --release -p doorward-lock --example stack` (Linux).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a terminal")]

use doorward_lock::jws::Message;
use doorward_lock::keys::{Keyset, PublicKey};
use doorward_lock::verify::{Known, Moment};
use doorward_lock::wire::{Address, Jwk};
use serde_json::Value;

fn main() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/tokens.json")).unwrap();
    let idle = touched(|| true);
    let keyset = touched({
        let vectors = vectors.clone();
        move || read_keyset(&vectors).version > 0
    });
    let token = touched(move || believe(&vectors));
    println!("stack, upper bounds: thread alone {idle} KiB, keyset {keyset} KiB, keyset and token {token} KiB");
}

/// How many KiB of its stack a thread that does `work` has touched.
fn touched(work: impl FnOnce() -> bool + Send + 'static) -> u64 {
    let thread = std::thread::Builder::new().stack_size(4 << 20);
    let done = thread.spawn(move || {
        let here = 0_u8;
        let here = std::hint::black_box(&raw const here).addr();
        assert!(work(), "the vector is a good one");
        resident_around(here)
    });
    done.unwrap().join().unwrap()
}

/// The resident KiB of the mapping that holds `address`.
fn resident_around(address: usize) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = maps.lines();
    let holds = |line: &str| {
        let ends = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let end = |text| usize::from_str_radix(text, 16).ok();
        ends.is_some_and(|(from, to)| end(from) <= Some(address) && Some(address) < end(to))
    };
    lines.find(|line| holds(line)).unwrap();
    let resident = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
    resident.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn read_keyset(vectors: &Value) -> Keyset {
    let part = |name: &str| vectors["root"][name].as_str().unwrap();
    let jwk = Jwk {
        kty: part("kty"),
        crv: part("crv"),
        x: part("x"),
        y: part("y"),
    };
    let root = PublicKey::from_jwk(&jwk).unwrap();
    Keyset::read(
        vectors["keyset"].as_str().unwrap(),
        &root,
        vectors["lock"]["iss"].as_str().unwrap(),
    )
    .unwrap()
}

fn believe(vectors: &Value) -> bool {
    let (case, lock) = (&vectors["accept"][0], &vectors["lock"]);
    let number = |name: &str| case["knows"][name].as_u64().unwrap();
    let keyset = read_keyset(vectors);
    let known = Known {
        address: Address {
            iss: lock["iss"].as_str().unwrap(),
            org: lock["org"].as_str().unwrap(),
            aud: lock["lock"].as_str().unwrap(),
        },
        keyset: &keyset,
        ctr: number("ctr"),
        min_rev: number("min_rev"),
        moment: Moment {
            boot: 1,
            mono: number("mono"),
            now: Some(number("now")),
            floor: number("floor"),
        },
    };
    let message = Message::parse(case["token"].as_str().unwrap()).unwrap();
    known.accept(&message).is_ok()
}
