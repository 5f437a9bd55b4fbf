//! Every way in which one message could be taken for another, refused for the right reason.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair as _;

use super::*;

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
fn a_message_with_any_one_character_changed_is_refused() {
    let lock = TestLock::new();
    let key = lock.key();
    let event = lock.sign(&lock.header("event+jwt"), &lock.event());
    for at in 0..event.len() {
        for instead in ["A", "_", ".", "=", ""] {
            let mut changed = event.clone();
            changed.replace_range(at..=at, instead);
            assert!(
                changed == event || refusal(&key, &changed).is_some(),
                "{instead:?} at {at}"
            );
        }
    }
}
