use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use doorward_lock::keys::Keyset;

use super::*;
use crate::domain::time::Timestamp;

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
fn no_confusion_about_headers_is_believed() {
    let lock = TestLock::new();
    let other = TestLock::new();
    let (key, good, event) = (lock.key(), lock.header("event+jwt"), lock.event());
    let member = |extra: &str| good.replacen('{', &format!("{{{extra},"), 1);
    let jwk = lock.public().to_json();
    let signed = lock.sign(&good, &event);
    let parts: Vec<&str> = signed.split('.').collect();
    let unsigned = |header: &str| format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), parts[1]);
    let none = good.replace("ES256", "none");
    let hs256 = {
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(good.replace("ES256", "HS256")),
            parts[1]
        );
        let secret = hmac::Key::new(hmac::HMAC_SHA256, lock.pair.public_key().as_ref());
        format!(
            "{text}.{}",
            URL_SAFE_NO_PAD.encode(hmac::sign(&secret, text.as_bytes()))
        )
    };
    let swapped = lock.sign(&good, &lock.event().replace("claimed", "unlocked"));
    let swapped = format!("{}.{}.{}", parts[0], parts[1], swapped.rsplit_once('.').unwrap().1);

    for (what, message, expected) in [
        ("alg none, no signature", unsigned(&none), Refusal::BadAlg),
        ("alg none, signed", lock.sign(&none, &event), Refusal::BadAlg),
        (
            "alg NoNe",
            lock.sign(&good.replace("ES256", "NoNe"), &event),
            Refusal::BadAlg,
        ),
        ("alg HS256 with the public key", hs256, Refusal::BadAlg),
        (
            "alg ES384",
            lock.sign(&good.replace("ES256", "ES384"), &event),
            Refusal::BadAlg,
        ),
        (
            "alg in lower case",
            lock.sign(&good.replace("ES256", "es256"), &event),
            Refusal::BadAlg,
        ),
        (
            "alg missing",
            lock.sign(&good.replace(r#""alg":"ES256","#, ""), &event),
            Refusal::BadHeader,
        ),
        (
            "alg twice",
            lock.sign(&member(r#""alg":"ES256""#), &event),
            Refusal::BadHeader,
        ),
        (
            "jwk",
            lock.sign(&member(&format!(r#""jwk":{jwk}"#)), &event),
            Refusal::BadHeader,
        ),
        (
            "jku",
            lock.sign(&member(r#""jku":"https://evil.example/keys""#), &event),
            Refusal::BadHeader,
        ),
        (
            "x5u",
            lock.sign(&member(r#""x5u":"https://evil.example/cert""#), &event),
            Refusal::BadHeader,
        ),
        (
            "x5c",
            lock.sign(&member(r#""x5c":["AAAA"]"#), &event),
            Refusal::BadHeader,
        ),
        (
            "crit",
            lock.sign(&member(r#""crit":["exp"],"exp":1"#), &event),
            Refusal::BadHeader,
        ),
        ("b64", lock.sign(&member(r#""b64":false"#), &event), Refusal::BadHeader),
        (
            "typ missing",
            lock.sign(&good.replace(r#""typ":"event+jwt","#, ""), &event),
            Refusal::BadHeader,
        ),
        (
            "typ of the backend",
            lock.sign(&lock.header("unlock+jwt"), &event),
            Refusal::BadTyp,
        ),
        (
            "typ of an enrolment",
            lock.sign(&lock.header("enrol+jwt"), &event),
            Refusal::BadTyp,
        ),
        ("typ JWT", lock.sign(&lock.header("JWT"), &event), Refusal::BadTyp),
        (
            "typ in upper case",
            lock.sign(&lock.header("EVENT+JWT"), &event),
            Refusal::BadTyp,
        ),
        (
            "typ with a media type",
            lock.sign(&lock.header("application/event+jwt"), &event),
            Refusal::BadTyp,
        ),
        (
            "another typ of the lock",
            lock.sign(&lock.header("hello+jwt"), &event),
            Refusal::Malformed,
        ),
        (
            "kid of another",
            lock.sign(&good.replace("01\"", "02\""), &event),
            Refusal::UnknownKey,
        ),
        (
            "kid as a path",
            lock.sign(&good.replace("lock_", "../../lock_"), &event),
            Refusal::UnknownKey,
        ),
        (
            "kid empty",
            lock.sign(r#"{"alg":"ES256","typ":"event+jwt","kid":""}"#, &event),
            Refusal::UnknownKey,
        ),
        (
            "kid twice",
            lock.sign(&member(r#""kid":"x""#), &event),
            Refusal::BadHeader,
        ),
        (
            "kid as a number",
            lock.sign(r#"{"alg":"ES256","typ":"event+jwt","kid":1}"#, &event),
            Refusal::BadHeader,
        ),
        ("header not an object", lock.sign("[]", &event), Refusal::BadHeader),
        (
            "header with an escape",
            lock.sign(&good.replace("ES256", "\\u0045S256"), &event),
            Refusal::BadHeader,
        ),
        (
            "signed by another key",
            other.sign(&good, &event),
            Refusal::BadSignature,
        ),
        ("signature of another text", swapped, Refusal::BadSignature),
        ("no signature", unsigned(&good), Refusal::BadSignature),
        (
            "signature of zeros",
            format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
            Refusal::BadSignature,
        ),
        ("two parts", format!("{}.{}", parts[0], parts[1]), Refusal::Malformed),
        ("four parts", format!("{signed}.AAAA"), Refusal::Malformed),
        ("padding", format!("{signed}=="), Refusal::Malformed),
        ("a line feed", format!("{signed}\n"), Refusal::Malformed),
        (
            "plain base64",
            signed.replacen(parts[1], &format!("{}+/", parts[1]), 1),
            Refusal::Malformed,
        ),
        (
            "JSON serialization",
            format!(r#"{{"protected":"{}"}}"#, parts[0]),
            Refusal::Malformed,
        ),
        ("empty", String::new(), Refusal::Malformed),
    ] {
        assert_eq!(refusal(&key, &message), Some(expected), "{what}");
    }
    assert_eq!(key.open(&[0xff, 0xfe]).err(), Some(Refusal::Malformed));
}

#[test]
fn no_confusion_about_claims_is_believed() {
    let lock = TestLock::new();
    let key = lock.key();
    let other = LockId::from_bits(2).to_string();
    for (what, part, instead, expected) in [
        ("another lock", lock.id.as_str(), other.as_str(), Refusal::WrongLock),
        (
            "lock as a list",
            &format!("\"{}\"", lock.id),
            &format!("[\"{}\"]", lock.id),
            Refusal::Malformed,
        ),
        ("lock missing", "\"lock\":", "\"door\":", Refusal::Malformed),
        (
            "an unknown claim",
            "{\"lock\"",
            "{\"admin\":true,\"lock\"",
            Refusal::Malformed,
        ),
        ("a claim twice", "\"seq\":0", "\"seq\":0,\"seq\":0", Refusal::Malformed),
        ("seq as text", "\"seq\":0", "\"seq\":\"0\"", Refusal::Malformed),
        ("seq with a fraction", "\"seq\":0", "\"seq\":0.0", Refusal::Malformed),
        ("seq with an exponent", "\"seq\":0", "\"seq\":0e0", Refusal::Malformed),
        ("seq below zero", "\"seq\":0", "\"seq\":-1", Refusal::Malformed),
        ("seq with leading zeros", "\"seq\":0", "\"seq\":00", Refusal::Malformed),
        (
            "seq beyond 64 bits",
            "\"seq\":0",
            "\"seq\":18446744073709551616",
            Refusal::Malformed,
        ),
        (
            "mono beyond 53 bits",
            "\"mono\":5",
            "\"mono\":9007199254740992",
            Refusal::Malformed,
        ),
        (
            "a first event with a previous one",
            wire::NO_PREVIOUS,
            HASH,
            Refusal::Malformed,
        ),
        (
            "a later event without a previous one",
            "\"seq\":0",
            "\"seq\":1",
            Refusal::Malformed,
        ),
        ("wall missing", "\"wall\":null,", "", Refusal::Malformed),
        ("wall as text", "null", "\"2026-03-02T09:00:00Z\"", Refusal::Malformed),
        ("wall with a fraction", "null", "1772441999.5", Refusal::Malformed),
        ("chain too short", CHAIN, &CHAIN[1..], Refusal::Malformed),
        (
            "chain written another way",
            CHAIN,
            "AAAAAAAAAAAAAAAAAAAAAR",
            Refusal::Malformed,
        ),
        ("an unknown clock", "\"none\"", "\"sundial\"", Refusal::Malformed),
        ("an unknown cause", "\"manual\"", "\"magic\"", Refusal::Malformed),
        ("two causes", "\"manual\"", "{\"pin\":1,\"pin\":2}", Refusal::Malformed),
        (
            "a jti too short",
            "\"manual\"",
            "{\"jti\":\"AAAA\"}",
            Refusal::Malformed,
        ),
        ("an empty kind", "claimed", "", Refusal::Malformed),
        ("an endless kind", "claimed", &"x".repeat(65), Refusal::Malformed),
        (
            "a null where a claim may be absent",
            "\"ok\"",
            "\"ok\",\"bolt\":null",
            Refusal::Malformed,
        ),
        (
            "a battery beyond full",
            "\"ok\"",
            "\"ok\",\"battery\":101",
            Refusal::Malformed,
        ),
        ("an escape", "claimed", "cl\\u0061imed", Refusal::Malformed),
        ("a letter beyond ASCII", "claimed", "clämed", Refusal::Malformed),
        ("a trailing comma", "\"ok\"}", "\"ok\",}", Refusal::Malformed),
        ("a second object", "\"ok\"}", "\"ok\"}{}", Refusal::Malformed),
        ("a message too long", "claimed", &"x".repeat(4096), Refusal::Malformed),
    ] {
        let claims = lock.event().replacen(part, instead, 1);
        assert_ne!(claims, lock.event(), "{what}");
        assert_eq!(
            refusal(&key, &lock.sign(&lock.header("event+jwt"), &claims)),
            Some(expected),
            "{what}"
        );
    }
    for (what, part, instead) in [
        ("head with an unknown claim", "\"seq\":3", "\"seq\":3,\"x\":1"),
        ("head with a short hash", HASH, &HASH[1..]),
        ("counter beyond 53 bits", "\"ctr\":7", "\"ctr\":9007199254740992"),
        ("a nonce too short", "\"battery\"", "\"nonce\":\"AAAA\",\"battery\""),
        ("battery missing", "\"battery\":80,", ""),
        ("battery below empty", "80", "-1"),
        ("an unknown bolt", "\"locked\"", "\"ajar\""),
        ("an endless model", "reference", &"x".repeat(65)),
    ] {
        let claims = lock.hello().replacen(part, instead, 1);
        assert_ne!(claims, lock.hello(), "{what}");
        assert_eq!(
            refusal(&key, &lock.sign(&lock.header("hello+jwt"), &claims)),
            Some(Refusal::Malformed),
            "{what}"
        );
    }
}

#[test]
fn an_enrolment_is_proved_for_one_key_and_one_code() {
    let (lock, other) = (TestLock::new(), TestLock::new());
    let jkt = lock.public().thumbprint();
    let code = digest(b"code");
    let header = format!(r#"{{"alg":"ES256","typ":"enrol+jwt","kid":"{jkt}"}}"#);
    let claims = format!(
        r#"{{"code_hash":"{}","jkt":"{jkt}","model":"reference","firmware":"1.0"}}"#,
        URL_SAFE_NO_PAD.encode(code)
    );
    let key = LockKey::of_newcomer(&lock.public()).unwrap();
    let proof = lock.sign(&header, &claims);
    assert_eq!(key.verify_enrolment(&proof, &code), Ok(()));
    for (what, key, proof, code, expected) in [
        (
            "another code",
            &key,
            proof.clone(),
            digest(b"other"),
            Refusal::Malformed,
        ),
        (
            "another key's name",
            &key,
            lock.sign(&header, &claims.replace(&jkt, HASH)),
            code,
            Refusal::Malformed,
        ),
        (
            "another key",
            &LockKey::of_newcomer(&other.public()).unwrap(),
            proof.clone(),
            code,
            Refusal::UnknownKey,
        ),
        (
            "a thief's signature",
            &key,
            other.sign(&header, &claims),
            code,
            Refusal::BadSignature,
        ),
        (
            "an event",
            &key,
            lock.sign(&header.replace("enrol", "event"), &claims),
            code,
            Refusal::BadTyp,
        ),
        (
            "an unknown claim",
            &key,
            lock.sign(&header, &claims.replace('{', "{\"x\":1,")),
            code,
            Refusal::Malformed,
        ),
    ] {
        assert_eq!(key.verify_enrolment(&proof, &code), Err(expected), "{what}");
    }
}

/// The keys of a new backend, and the folder that they live in.
fn backend() -> (tempfile::TempDir, KeyStore) {
    let state = tempfile::tempdir().unwrap();
    let keys = KeyStore::open(&state.path().join("keys"), Timestamp::from_millis(1_772_441_999_999)).unwrap();
    (state, keys)
}

#[test]
fn a_lock_believes_the_keyset_and_what_its_keys_sign() {
    let (_state, keys) = backend();
    let root = doorward_lock::keys::PublicKey::from_jwk(&keys.root().public().jwk()).unwrap();
    let signed = keys
        .sign_keyset(KeysetFor {
            iss: "https://door.example",
            org: "org_1",
            aud: "lock_1",
            version: 3,
            min_rev: 2,
        })
        .unwrap();
    let keyset = Keyset::read(&signed, &root, "https://door.example", "org_1", "lock_1").unwrap();
    assert_eq!((keyset.version, keyset.min_rev), (3, 2));
    assert_eq!(
        Keyset::read(&signed, &root, "https://door.example", "org_1", "lock_2"),
        Err(Refusal::WrongLock)
    );

    let ack = wire::Ack {
        iss: "i",
        org: "o",
        aud: "l",
        chain: CHAIN,
        seq: 4,
        head: HASH,
    };
    let ack = keys.sign_ack(&ack).unwrap();
    let message = Message::parse(&ack).unwrap();
    assert_eq!(
        message.header().unwrap(),
        Header {
            alg: "ES256",
            typ: "ack+jwt",
            kid: keys.ack.kid()
        }
    );
    let public = doorward_lock::keys::PublicKey::from_jwk(&keys.ack.public().jwk()).unwrap();
    assert_eq!(message.verify(&public.key), Ok(()));
    assert_eq!(message.verify(&root.key), Err(Refusal::BadSignature));
}

#[test]
fn every_purpose_signs_with_its_own_key() {
    let (_state, keys) = backend();
    let (iss, org, aud) = ("i", "o", "l");
    let unlock = wire::Unlock {
        ver: 1,
        iss,
        org,
        aud,
        sub: "person",
        gid: "grant",
        act: wire::Action::Unlock,
        jti: CHAIN,
        iat: 1,
        exp: 11,
        ctr: 1,
        lt: None,
        rev: 0,
        node: "a",
    };
    for (message, typ, key) in [
        (keys.sign_unlock(&unlock), "unlock+jwt", &keys.unlock),
        (
            keys.sign_ack(&wire::Ack {
                iss,
                org,
                aud,
                chain: CHAIN,
                seq: 0,
                head: HASH,
            }),
            "ack+jwt",
            &keys.ack,
        ),
        (
            keys.sign_resend(&wire::Resend {
                iss,
                org,
                aud,
                chain: CHAIN,
                from: 0,
                to: 1,
            }),
            "resend+jwt",
            &keys.ack,
        ),
        (
            keys.sign_time(&wire::Time {
                iss,
                org,
                aud,
                nonce: CHAIN,
                t: 1,
            }),
            "time+jwt",
            &keys.doc,
        ),
        (
            keys.sign_release(&wire::Release {
                iss,
                org,
                aud,
                iat: 1,
                exp: 2,
                jti: CHAIN,
            }),
            "release+jwt",
            &keys.doc,
        ),
        (
            keys.sign_keyset(KeysetFor {
                iss,
                org,
                aud,
                version: 1,
                min_rev: 0,
            }),
            "keyset+jwt",
            &keys.root,
        ),
    ] {
        let message = message.unwrap();
        let message = Message::parse(&message).unwrap();
        assert_eq!(
            message.header().unwrap(),
            Header {
                alg: "ES256",
                typ,
                kid: key.kid()
            }
        );
        let public = doorward_lock::keys::PublicKey::from_jwk(&key.public().jwk()).unwrap();
        assert_eq!(message.verify(&public.key), Ok(()), "{typ}");
    }
}

#[test]
fn what_no_lock_would_read_is_not_signed() {
    let (_state, keys) = backend();
    let time = |iss| {
        keys.sign_time(&wire::Time {
            iss,
            org: "o",
            aud: "l",
            nonce: CHAIN,
            t: 1,
        })
    };
    assert!(matches!(time("café"), Err(SignError::NotPlain(Typ::Time))));
    assert!(matches!(time("a\"b"), Err(SignError::NotPlain(Typ::Time))));
    assert!(matches!(
        time(&"x".repeat(4000)),
        Err(SignError::TooLong { typ: Typ::Time, .. })
    ));
}
