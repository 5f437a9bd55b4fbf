//! A lock is believed where it should be; the files below hold the rest.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::*;

mod confusion;
mod signing;

const CHAIN: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";

/// A lock as its maker built it: a key and whatever it writes.
struct TestLock {
    id: LockId,
    pair: EcdsaKeyPair,
}

impl TestLock {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            id: LockId::from_bits(1),
            pair,
        }
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_point(self.pair.public_key().as_ref()).unwrap()
    }

    fn key(&self) -> LockKey {
        LockKey::of_lock(&self.id, &self.public()).unwrap()
    }

    fn header(&self, typ: &str) -> String {
        format!(r#"{{"alg":"ES256","typ":"{typ}","kid":"{}"}}"#, self.id)
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn event(&self) -> String {
        let prev = wire::NO_PREVIOUS;
        format!(
            r#"{{"lock":"{}","chain":"{CHAIN}","seq":0,"prev":"{prev}","salt":"{CHAIN}","boot":1,"mono":5,"wall":null,"#,
            self.id
        ) + r#""clock":"none","kind":"claimed","cause":"manual","result":"ok"}"#
    }

    fn hello(&self) -> String {
        format!(
            r#"{{"lock":"{}","boot":1,"mono":5,"clock":"fresh","keyset":1,"revocations":0,"pins":0,"ctr":7,"#,
            self.id
        ) + &format!(r#""head":{{"chain":"{CHAIN}","seq":3,"hash":"{HASH}"}},"battery":80,"bolt":"locked","#)
            + r#""door":"closed","firmware":"1.0","model":"reference"}"#
    }
}

fn refusal(key: &LockKey, message: &str) -> Option<Refusal> {
    key.open(message.as_bytes())
        .and_then(|signed| signed.claims().map(drop))
        .err()
}

#[test]
fn what_a_lock_says_is_believed() {
    let lock = TestLock::new();
    let key = lock.key();
    let event = lock.sign(&lock.header("event+jwt"), &lock.event());
    let signed = key.open(event.as_bytes()).unwrap();
    let Said::Event(claims) = signed.claims().unwrap() else {
        panic!("not an event")
    };
    assert_eq!(
        (claims.seq, claims.kind, claims.cause),
        (0, "claimed", wire::Cause::Manual)
    );
    assert_eq!(
        (signed.compact(), signed.hash()),
        (event.as_str(), digest(event.as_bytes()))
    );

    let hello = lock.sign(&lock.header("hello+jwt"), &lock.hello());
    let signed = key.open(hello.as_bytes()).unwrap();
    let Said::Hello(claims) = signed.claims().unwrap() else {
        panic!("not a hello")
    };
    assert_eq!((claims.ctr, claims.head.unwrap().seq, claims.battery), (7, 3, Some(80)));
}

#[test]
fn an_event_of_a_kind_from_the_future_is_believed() {
    let lock = TestLock::new();
    let event = lock
        .event()
        .replace("claimed", "opened_by_drone")
        .replace("\"ok\"", "\"rotor-stalled\"");
    assert_eq!(
        refusal(&lock.key(), &lock.sign(&lock.header("event+jwt"), &event)),
        None
    );
}

#[test]
fn an_enrolment_is_proved_for_one_key_and_one_code() {
    let (lock, other) = (TestLock::new(), TestLock::new());
    let jkt = lock.public().thumbprint();
    let code: ClaimCode = "00000-00000-00000-00000-000011".parse().unwrap();
    let other_code = ClaimCode::from_bits(2);
    let header = format!(r#"{{"alg":"ES256","typ":"enrol+jwt","kid":"{jkt}"}}"#);
    let claims = format!(
        r#"{{"code_hash":"{}","jkt":"{jkt}","model":"reference","firmware":"1.0"}}"#,
        URL_SAFE_NO_PAD.encode(digest(b"00000-00000-00000-00000-000011"))
    );
    let key = LockKey::of_newcomer(&lock.public()).unwrap();
    let proof = lock.sign(&header, &claims);
    let product = Product {
        model: "reference",
        firmware: "1.0",
    };
    assert_eq!(key.verify_enrolment(&proof, &code, product), Ok(()));
    let renamed = Product {
        model: "other",
        ..product
    };
    assert_eq!(key.verify_enrolment(&proof, &code, renamed), Err(Refusal::Malformed));
    for (what, key, proof, code, expected) in [
        ("another code", &key, proof.clone(), &other_code, Refusal::Malformed),
        (
            "another key's name",
            &key,
            lock.sign(&header, &claims.replace(&jkt, HASH)),
            &code,
            Refusal::Malformed,
        ),
        (
            "another key",
            &LockKey::of_newcomer(&other.public()).unwrap(),
            proof.clone(),
            &code,
            Refusal::UnknownKey,
        ),
        (
            "a thief's signature",
            &key,
            other.sign(&header, &claims),
            &code,
            Refusal::BadSignature,
        ),
        (
            "an event",
            &key,
            lock.sign(&header.replace("enrol", "event"), &claims),
            &code,
            Refusal::BadTyp,
        ),
        (
            "an unknown claim",
            &key,
            lock.sign(&header, &claims.replace('{', "{\"x\":1,")),
            &code,
            Refusal::Malformed,
        ),
    ] {
        assert_eq!(key.verify_enrolment(&proof, code, product), Err(expected), "{what}");
    }
}

#[test]
fn both_forms_of_a_signature_are_one_statement() {
    let lock = TestLock::new();
    let key = lock.key();
    let event = lock.sign(&lock.header("event+jwt"), &lock.event());
    let twin = twin::twin(&event).unwrap();
    assert_ne!(twin, event);
    let signed = key.open(twin.as_bytes()).unwrap();
    assert!(is_same_statement(signed.compact(), &event));
    assert!(is_hash_of(&URL_SAFE_NO_PAD.encode(signed.hash()), &event));
}
