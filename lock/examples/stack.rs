//! How much stack the verifier takes: one unlock token, from its text to the answer, on a thread whose stack nobody has
//! touched before. The system counts in pages of 4 KiB, and starting the thread takes some of them: an upper bound.
//!
//! `cargo run --release -p doorward-lock --example stack` (Linux).
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;

use doorward_lock::jws::Message;
use doorward_lock::keys::{Keyset, PublicKey};
use doorward_lock::verify::{Known, Moment};
use doorward_lock::wire::{Address, Jwk};
use serde_json::Value;

/// Anything that is wrong: the vectors are not as they should be, or the system does not tell.
type Wrong = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Wrong> {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/tokens.json"))?;
    let idle = touched(|| Ok(true))?;
    let keyset = touched({
        let vectors = vectors.clone();
        move || Ok(read_keyset(&vectors)?.version > 0)
    })?;
    let token = touched(move || believe(&vectors))?;
    println!("stack, upper bounds: thread alone {idle} KiB, keyset {keyset} KiB, keyset and token {token} KiB");
    Ok(())
}

/// How many KiB of its stack a thread that does `work` has touched.
fn touched(work: impl FnOnce() -> Result<bool, Wrong> + Send + 'static) -> Result<u64, Wrong> {
    let thread = std::thread::Builder::new().stack_size(4 << 20);
    let done = thread.spawn(move || {
        let here = 0_u8;
        let here = std::hint::black_box(&raw const here).addr();
        if work()? {
            resident_around(here)
        } else {
            Err("a good vector was refused".into())
        }
    })?;
    done.join().map_err(|_| "the thread panicked")?
}

/// The resident KiB of the mapping that holds `address`.
fn resident_around(address: usize) -> Result<u64, Wrong> {
    let maps = std::fs::read_to_string("/proc/self/smaps")?;
    let mut lines = maps.lines();
    let holds = |line: &str| {
        let ends = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let end = |text| usize::from_str_radix(text, 16).ok();
        ends.is_some_and(|(from, to)| end(from) <= Some(address) && Some(address) < end(to))
    };
    lines.find(|line| holds(line)).ok_or("no mapping holds the stack")?;
    let resident = lines.find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    Ok(resident.ok_or("the mapping does not say what is resident")?.parse()?)
}

/// A text of the vectors.
fn text<'a>(of: &'a Value, name: &str) -> Result<&'a str, Wrong> {
    of[name].as_str().ok_or_else(|| format!("no text {name}").into())
}

fn read_keyset(vectors: &Value) -> Result<Keyset, Wrong> {
    let root = &vectors["root"];
    let jwk = Jwk {
        kty: text(root, "kty")?,
        crv: text(root, "crv")?,
        x: text(root, "x")?,
        y: text(root, "y")?,
    };
    let root = PublicKey::from_jwk(&jwk).ok_or("the root key is no point of the curve")?;
    let keyset = Keyset::read(text(vectors, "keyset")?, &root, text(&vectors["lock"], "iss")?);
    keyset.map_err(|refused| format!("the keyset: {refused:?}").into())
}

fn believe(vectors: &Value) -> Result<bool, Wrong> {
    let (case, lock) = (&vectors["accept"][0], &vectors["lock"]);
    let number = |name: &str| case["knows"][name].as_u64().ok_or_else(|| format!("no number {name}"));
    let keyset = read_keyset(vectors)?;
    let known = Known {
        address: Address {
            iss: text(lock, "iss")?,
            org: text(lock, "org")?,
            aud: text(lock, "lock")?,
        },
        keyset: &keyset,
        ctr: number("ctr")?,
        min_rev: number("min_rev")?,
        moment: Moment {
            boot: 1,
            mono: number("mono")?,
            now: Some(number("now")?),
            floor: number("floor")?,
        },
    };
    let message = Message::parse(text(case, "token")?).map_err(|refused| format!("the token: {refused:?}"))?;
    Ok(known.accept(&message).is_ok())
}
