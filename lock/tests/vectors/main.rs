//! The vectors in `vectors/`: that they are the ones which `make` makes, and that the crate agrees with them when it
//! knows nothing but what stands in them. `DOORWARD_WRITE_VECTORS=1` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod lockdowns;
mod make;
mod pins;
#[path = "../world/mod.rs"]
mod world;

use std::path::PathBuf;

use doorward_lock::base64url::hash;
use doorward_lock::jws::{self, Message};
use doorward_lock::keys::{Keyset, PublicKey};
use doorward_lock::refusal::Refusal;
use doorward_lock::signature;
use doorward_lock::verify::{Known, Moment, Presentation, pass_answer};
use doorward_lock::wire::{
    Ack, Action, Address, Challenge, Enrol, Event, Hello, Jwk, Lockdown, Release, Resend, Revocations, Time, Typ, Use,
};
use serde_json::Value;
use world::LOCK;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "vectors", name].iter().collect()
}

fn stored(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

#[test]
fn the_vectors_are_the_ones_that_are_made_here() {
    for (name, made) in [
        ("tokens.json", make::tokens()),
        ("chain.json", make::chain()),
        ("keysets.json", make::keysets()),
        ("enrolment.json", make::enrolment()),
        ("documents.json", make::documents()),
        ("passes.json", make::passes()),
        ("pins.json", pins::pin_vectors()),
        ("lockdowns.json", lockdowns::lockdowns()),
    ] {
        if std::env::var_os("DOORWARD_WRITE_VECTORS").is_some() {
            std::fs::create_dir_all(file("")).unwrap();
            std::fs::write(file(name), serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        }
        assert_eq!(
            stored(name),
            made,
            "{name}: run this test with DOORWARD_WRITE_VECTORS=1 after a wanted change"
        );
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn read_jwk(jwk: &Value) -> PublicKey {
    let part = |name: &str| text(&jwk[name]);
    PublicKey::from_jwk(&Jwk {
        kty: part("kty"),
        crv: part("crv"),
        x: part("x"),
        y: part("y"),
    })
    .unwrap()
}

fn read_address(lock: &Value) -> Address<'_> {
    Address {
        iss: text(&lock["iss"]),
        org: text(&lock["org"]),
        aud: text(&lock["lock"]),
    }
}

fn known<'a>(address: Address<'a>, keyset: &'a Keyset, knows: &Value) -> Known<'a> {
    let number = |name: &str| knows[name].as_u64().unwrap();
    let moment = Moment {
        boot: number("boot").try_into().unwrap(),
        mono: number("mono"),
        now: knows["now"].as_u64(),
        floor: number("floor"),
    };
    Known {
        address,
        keyset,
        ctr: number("ctr"),
        min_rev: number("min_rev"),
        moment,
    }
}

#[test]
fn the_tokens_are_accepted_and_refused_as_they_say() {
    let vectors = stored("tokens.json");
    let address = read_address(&vectors["lock"]);
    let keyset = Keyset::read(text(&vectors["keyset"]), &read_jwk(&vectors["root"]), address.iss).unwrap();
    let verdict = |case: &Value| -> Result<(), Refusal> {
        let message = Message::parse(text(&case["token"]))?;
        known(address, &keyset, &case["knows"]).accept(&message).map(drop)
    };
    for case in vectors["accept"].as_array().unwrap() {
        assert_eq!(verdict(case), Ok(()), "{}", case["name"]);
    }
    for case in vectors["refuse"].as_array().unwrap() {
        assert_eq!(
            verdict(case).unwrap_err().as_str(),
            text(&case["reason"]),
            "{}",
            case["name"]
        );
    }
}

#[test]
fn the_chain_holds_together() {
    let vectors = stored("chain.json");
    let key = read_jwk(&vectors["key"]).key;
    let mut previous = doorward_lock::wire::NO_PREVIOUS.to_owned();
    for (seq, link) in vectors["events"].as_array().unwrap().iter().enumerate() {
        let message = jws::open(text(&link["event"]), Typ::Event, text(&vectors["lock"]), &key).unwrap();
        let event: Event<'_> = message.claims().unwrap();
        assert_eq!((event.seq, event.prev), (seq as u64, previous.as_str()));
        assert_eq!(serde_json::to_value(&event).unwrap(), link["claims"]);
        previous = hash(text(&link["event"])).as_str().to_owned();
        assert_eq!(previous, text(&link["hash"]));
    }
}

#[test]
fn the_keysets_are_taken_in_turn() {
    let vectors = stored("keysets.json");
    let (address, root) = (read_address(&vectors["lock"]), read_jwk(&vectors["root"]));
    let mut held = 0;
    for step in vectors["steps"].as_array().unwrap() {
        let verdict = match Keyset::read(text(&step["document"]), &root, address.iss) {
            Ok(keyset) if keyset.version > held => {
                held = keyset.version;
                "taken"
            }
            Ok(keyset) if keyset.version == held => "held",
            Ok(_) => Refusal::OldVersion.as_str(),
            Err(refusal) => refusal.as_str(),
        };
        assert_eq!(verdict, text(&step["expect"]), "{}", step["name"]);
    }
}

#[test]
fn the_proof_of_enrolment_holds() {
    let vectors = stored("enrolment.json");
    let public = read_jwk(&vectors["key"]);
    assert_eq!(public.kid.as_str(), text(&vectors["thumbprint"]));
    let message = jws::open(text(&vectors["proof"]), Typ::Enrol, &public.kid, &public.key).unwrap();
    let enrol: Enrol<'_> = message.claims().unwrap();
    assert_eq!(enrol.code_hash, hash(text(&vectors["claim_code"])).as_str());
    assert_eq!(enrol.jkt, public.kid.as_str());
    assert_eq!(serde_json::to_value(&enrol).unwrap(), vectors["claims"]);
}

#[test]
fn the_documents_are_read() {
    let vectors = stored("documents.json");
    let address = read_address(&vectors["lock"]);
    let keyset = Keyset::read(text(&vectors["keyset"]), &read_jwk(&vectors["root"]), address.iss).unwrap();
    let known = known(address, &keyset, &make::knows());
    let lock = read_jwk(&vectors["lock_key"]);
    for document in vectors["documents"].as_array().unwrap() {
        let compact = text(&document["message"]);
        let message = Message::parse(compact).unwrap();
        let written = |claims: Result<Value, serde_json::Error>| claims.unwrap();
        let claims = match message.typ().unwrap() {
            Typ::Ack => written(serde_json::to_value(
                known.read::<Ack<'_>>(&message, Typ::Ack, Use::Ack).unwrap(),
            )),
            Typ::Resend => written(serde_json::to_value(
                known.read::<Resend<'_>>(&message, Typ::Resend, Use::Ack).unwrap(),
            )),
            Typ::Time => written(serde_json::to_value(
                known.read::<Time<'_>>(&message, Typ::Time, Use::Doc).unwrap(),
            )),
            Typ::Release => written(serde_json::to_value(
                known.read::<Release<'_>>(&message, Typ::Release, Use::Doc).unwrap(),
            )),
            Typ::Revocations => {
                let revocations = known
                    .read::<Revocations<'_>>(&message, Typ::Revocations, Use::Doc)
                    .unwrap();
                written(serde_json::to_value(revocations))
            }
            Typ::Lockdown => {
                let lockdown = known.read::<Lockdown<'_>>(&message, Typ::Lockdown, Use::Doc).unwrap();
                written(serde_json::to_value(lockdown))
            }
            Typ::Hello => {
                let opened = jws::open(compact, Typ::Hello, LOCK, &lock.key).unwrap();
                written(serde_json::to_value(opened.claims::<Hello<'_>>().unwrap()))
            }
            other => panic!("{other:?} is not in this file"),
        };
        assert_eq!(claims, document["claims"]);
    }
}

/// Whether the lock of a case lets in whoever shows its pass.
fn admitted(address: Address<'_>, keyset: &Keyset, case: &Value) -> Result<(), Refusal> {
    let knows = &case["knows"];
    let time = knows["time"].as_u64();
    let moment = Moment {
        boot: knows["boot"].as_u64().unwrap().try_into().unwrap(),
        mono: 0,
        now: time.filter(|_| knows["clock"] == "fresh"),
        floor: knows["floor"].as_u64().unwrap(),
    };
    let known = Known {
        address,
        keyset,
        ctr: 0,
        min_rev: knows["min_rev"].as_u64().unwrap(),
        moment,
    };
    let part = |name: &str| text(&case["public_key"][name]);
    let shown = Presentation {
        pass: text(&case["pass"]),
        public_key: Jwk {
            kty: part("kty"),
            crv: part("crv"),
            x: part("x"),
            y: part("y"),
        },
        act: if case["act"] == "lock" {
            Action::Lock
        } else {
            Action::Unlock
        },
        signature: text(&case["signature"]),
        nonce: text(&case["nonce"]),
    };
    let message = Message::parse(shown.pass)?;
    let pass = known.pass(&message)?;
    let revoked = knows["revoked"].as_array().unwrap();
    if revoked.iter().any(|name| *name == *pass.gid || *name == *pass.cnf.jkt) {
        return Err(Refusal::Revoked);
    }
    known.held_by(&pass, &shown)?;
    known.counts_now(&pass, time)?;
    let taken = knows["taken"].as_u64().unwrap();
    let is_used_up = |(uses, used): (u32, u32)| taken.max(used.into()) >= u64::from(uses);
    if shown.act == Action::Unlock && pass.uses.zip(pass.used).is_some_and(is_used_up) {
        return Err(Refusal::UsesExhausted);
    }
    Ok(())
}

#[test]
fn the_passes_are_accepted_and_refused_as_they_say() {
    let vectors = stored("passes.json");
    let address = read_address(&vectors["lock"]);
    let keyset = Keyset::read(text(&vectors["keyset"]), &read_jwk(&vectors["root"]), address.iss).unwrap();
    for case in vectors["accept"].as_array().unwrap() {
        assert_eq!(admitted(address, &keyset, case), Ok(()), "{}", case["name"]);
    }
    for case in vectors["refuse"].as_array().unwrap() {
        let reason = admitted(address, &keyset, case).unwrap_err();
        assert_eq!(reason.as_str(), text(&case["reason"]), "{}", case["name"]);
    }
}

#[test]
fn the_pins_are_reckoned_taken_and_refused_as_they_say() {
    pins::check(&stored("pins.json"));
}

#[test]
fn the_lockdowns_are_taken_refused_and_kept_to_as_they_say() {
    lockdowns::check(&stored("lockdowns.json"));
}

#[test]
fn the_challenge_is_answered_as_it_says() {
    let vectors = stored("passes.json");
    let (challenge, answer) = (&vectors["challenge"], &vectors["answer"]);
    let lock = read_jwk(&vectors["keys"]["lock"]);
    let message = jws::open(text(&challenge["message"]), Typ::Challenge, LOCK, &lock.key).unwrap();
    let claims: Challenge<'_> = message.claims().unwrap();
    assert_eq!(serde_json::to_value(&claims).unwrap(), challenge["claims"]);
    let signed = pass_answer(LOCK, claims.boot, claims.nonce, Action::Unlock, text(&answer["pass"])).unwrap();
    assert_eq!(world::base64(&signed), text(&answer["signed"]));
    let bytes = doorward_lock::base64url::decode::<64>(text(&answer["signature"])).unwrap();
    assert!(signature::holds(&read_jwk(&vectors["phone"]).key, &signed, &bytes));
}
