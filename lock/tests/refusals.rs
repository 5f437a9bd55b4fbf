//! Every way to lie in a message that opens a door, and the word for each. A good token beside them opens.

mod world;

use doorward_lock::wire::Typ;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use world::*;

/// The event that a lock with the time, in its first start, answers `token` with.
fn answer(token: &str) -> (String, String, usize) {
    let mut world = World::on_line();
    world.send(token);
    let (kind, cause, result) = world.story().pop().unwrap();
    assert!(kind == "attempt" || kind == "denied", "{kind}");
    (
        if kind == "attempt" { "opens".into() } else { result },
        cause,
        world.hands.movements.len(),
    )
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn hs256(secret: &[u8]) -> String {
    let header = json!({ "alg": "HS256", "typ": "unlock+jwt", "kid": kid(UNLOCK) }).to_string();
    let signed = format!(
        "{}.{}",
        base64(header.as_bytes()),
        base64(unlock_claims(1).to_string().as_bytes())
    );
    let secret = &Sha256::digest(secret)[..];
    format!("{signed}.{}", base64(&hmac_sha256(secret, signed.as_bytes())))
}

fn with_header(header: &str) -> String {
    raw(header, &unlock_claims(1).to_string(), UNLOCK)
}

fn with_payload(payload: &str) -> String {
    raw(&header("unlock+jwt", UNLOCK), payload, UNLOCK)
}

fn without(claim: &str) -> String {
    unlock_with(1, |claims| drop(claims.as_object_mut().unwrap().remove(claim)))
}

fn with(claim: &str, value: Value) -> String {
    unlock_with(1, |claims| claims[claim] = value)
}

#[test]
fn a_good_token_opens() {
    let late = |claims: &mut Value| {
        claims["iat"] = json!(T - 10);
        claims["exp"] = json!(T);
        claims.as_object_mut().unwrap().remove("lt");
    };
    for (why, token) in [
        ("as it should be", unlock(1)),
        ("to lock", with("act", json!("lock"))),
        ("without lt", without("lt")),
        ("members of the header in another order", {
            with_header(&format!(
                r#"{{"kid":"{}","typ":"unlock+jwt","alg":"ES256"}}"#,
                kid(UNLOCK)
            ))
        }),
        (
            "spaces in the JSON",
            with_payload(&unlock_claims(1).to_string().replace("\":", "\" : ")),
        ),
        ("30 s long", with("exp", json!(T + 30))),
        ("issued in the future: the backend's clock and the lock's may differ", {
            unlock_with(1, |claims| {
                claims["iat"] = json!(T + 5);
                claims["exp"] = json!(T + 15);
            })
        }),
        ("in its last second", unlock_with(1, late)),
        ("late by the clock, in time by the lock's own counter", {
            unlock_with(1, |claims| {
                claims["iat"] = json!(T - 20);
                claims["exp"] = json!(T - 10);
            })
        }),
        (
            "another start, but in time by the clock",
            with("lt", json!({ "boot": 9, "dl": 1 })),
        ),
        ("the greatest number", with("ctr", json!((1_u64 << 53) - 1))),
    ] {
        assert_eq!(answer(&token), ("opens".into(), jti(1), 1), "{why}");
    }
}

#[test]
fn a_message_that_is_not_one_is_refused() {
    let good = unlock(1);
    let parts: Vec<&str> = good.split('.').collect();
    for (why, message, word) in [
        ("nothing", String::new(), "malformed"),
        ("no JWS", "open sesame".into(), "malformed"),
        ("two parts", format!("{}.{}", parts[0], parts[1]), "malformed"),
        ("four parts", format!("{good}.AAAA"), "malformed"),
        ("padding", format!("{good}=="), "malformed"),
        (
            "standard base64",
            with_payload(&unlock_claims(1).to_string()).replace('_', "/") + "+",
            "malformed",
        ),
        ("a space around it", format!(" {good}"), "malformed"),
        ("too long", "A".repeat(4_097), "malformed"),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), "bad-signature"),
        (
            "half a signature",
            format!("{}.{}.{}", parts[0], parts[1], base64(&[1; 32])),
            "bad-signature",
        ),
        (
            "a signature of zeros",
            format!("{}.{}.{}", parts[0], parts[1], base64(&[0; 64])),
            "bad-signature",
        ),
    ] {
        let (result, _, movements) = answer(&message);
        assert_eq!((result.as_str(), movements), (word, 0), "{why}");
    }
}

#[test]
fn a_header_that_is_not_exactly_ours_is_refused() {
    let kid = kid(UNLOCK);
    let extra = |member: &str| format!(r#"{{"alg":"ES256","typ":"unlock+jwt","kid":"{kid}",{member}}}"#);
    let with_kid = |kid: &str| with_header(&json!({ "alg": "ES256", "typ": "unlock+jwt", "kid": kid }).to_string());
    let with_alg = |alg: &str| with_header(&json!({ "alg": alg, "typ": "unlock+jwt", "kid": kid }).to_string());
    let with_typ = |typ: &str| with_header(&json!({ "alg": "ES256", "typ": typ, "kid": kid }).to_string());
    let point = public(UNLOCK).key.to_sec1_point(false);
    for (why, message, word) in [
        ("alg none", with_alg("none"), "bad-alg"),
        ("alg None", with_alg("None"), "bad-alg"),
        ("alg es256", with_alg("es256"), "bad-alg"),
        ("alg RS256", with_alg("RS256"), "bad-alg"),
        ("alg ES384", with_alg("ES384"), "bad-alg"),
        (
            "HS256 with the public key as secret",
            hs256(point.as_bytes()),
            "bad-alg",
        ),
        ("typ JWT", with_typ("JWT"), "bad-typ"),
        ("typ with another case", with_typ("Unlock+JWT"), "bad-typ"),
        ("a pass", with_typ("pass+jwt"), "bad-typ"),
        ("a lock's own type", with_typ("event+jwt"), "bad-typ"),
        ("an acknowledgement by name", with_typ("ack+jwt"), "unknown-key"),
        ("a path as kid", with_kid("../../../../dev/null"), "unknown-key"),
        (
            "a question to a database as kid",
            with_kid("' OR 1=1 --"),
            "unknown-key",
        ),
        ("an empty kid", with_kid(""), "unknown-key"),
        ("another's kid", with_kid(&world::kid(9)), "unknown-key"),
        (
            "the kid of a key for another use",
            with_kid(&world::kid(DOC)),
            "unknown-key",
        ),
        ("the root's kid", with_kid(&world::kid(ROOT)), "unknown-key"),
        (
            "jwk",
            with_header(&extra(&format!(r#""jwk":{}"#, jwk(9)))),
            "bad-header",
        ),
        (
            "jku",
            with_header(&extra(r#""jku":"https://evil.example/keys""#)),
            "bad-header",
        ),
        (
            "x5u",
            with_header(&extra(r#""x5u":"https://evil.example/cert""#)),
            "bad-header",
        ),
        ("x5c", with_header(&extra(r#""x5c":["AAAA"]"#)), "bad-header"),
        ("crit", with_header(&extra(r#""crit":["exp"]"#)), "bad-header"),
        ("b64", with_header(&extra(r#""b64":false"#)), "bad-header"),
        ("a second alg", with_header(&extra(r#""alg":"ES256""#)), "bad-header"),
        (
            "a second kid",
            with_header(&extra(&format!(r#""kid":"{kid}""#))),
            "bad-header",
        ),
        (
            "no typ",
            with_header(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#)),
            "bad-header",
        ),
        (
            "no kid",
            with_header(r#"{"alg":"ES256","typ":"unlock+jwt"}"#),
            "bad-header",
        ),
        (
            "an escape in it",
            with_header(&extra(r#""x":1"#).replace("ES256", "ES\\u0032\\u003556")),
            "bad-header",
        ),
        (
            "kid a number",
            with_header(r#"{"alg":"ES256","typ":"unlock+jwt","kid":1}"#),
            "bad-header",
        ),
        ("no object", with_header(r#"["ES256","unlock+jwt","a"]"#), "bad-header"),
        (
            "something after it",
            with_header(&(header("unlock+jwt", UNLOCK) + "{}")),
            "bad-header",
        ),
        (
            "another's signature",
            raw(&header("unlock+jwt", UNLOCK), &unlock_claims(1).to_string(), 9),
            "bad-signature",
        ),
    ] {
        let (result, _, movements) = answer(&message);
        assert_eq!((result.as_str(), movements), (word, 0), "{why}");
    }
}

#[test]
fn claims_that_are_not_exactly_ours_are_refused() {
    let good = unlock_claims(1).to_string();
    let twice = |member: &str| with_payload(&good.replacen('{', &format!("{{{member},"), 1));
    let mut cases = vec![
        ("an unknown claim", with("admin", json!(true)), "malformed"),
        ("nbf", with("nbf", json!(T)), "malformed"),
        ("aud an array", with("aud", json!([LOCK])), "malformed"),
        (
            "aud an array with another",
            with("aud", json!([LOCK, "lock_x"])),
            "malformed",
        ),
        ("exp a fraction", with("exp", json!(T as f64 + 10.5)), "malformed"),
        (
            "exp with a point",
            with_payload(&good.replace(&format!("{}", T + 10), &format!("{}.0", T + 10))),
            "malformed",
        ),
        (
            "exp with an exponent",
            with_payload(&good.replace(&format!("{}", T + 10), "1e10")),
            "malformed",
        ),
        ("exp a string", with("exp", json!((T + 10).to_string())), "malformed"),
        ("exp null", with("exp", Value::Null), "malformed"),
        ("exp negative", with("exp", json!(-1)), "malformed"),
        (
            "exp with a leading zero",
            with_payload(&good.replace(&format!(":{}", T + 10), &format!(":0{}", T + 10))),
            "malformed",
        ),
        (
            "exp past 64 bits",
            with_payload(&good.replace(&format!("{}", T + 10), "18446744073709551626")),
            "malformed",
        ),
        ("exp past 53 bits", with("exp", json!(1_u64 << 53)), "malformed"),
        ("iat a string", with("iat", json!(T.to_string())), "malformed"),
        ("ctr past 53 bits", with("ctr", json!(1_u64 << 53)), "malformed"),
        ("lt null", with("lt", Value::Null), "malformed"),
        ("lt without boot", with("lt", json!({ "dl": 1 })), "malformed"),
        (
            "lt with more",
            with("lt", json!({ "boot": 1, "dl": 110, "x": 1 })),
            "malformed",
        ),
        ("act open", with("act", json!("open")), "malformed"),
        (
            "act an object",
            with("act", json!({ "unlock": null, "lock": null })),
            "malformed",
        ),
        ("jti short", with("jti", json!("AAAA")), "malformed"),
        (
            "jti not base64url",
            with("jti", json!("!!!!!!!!!!!!!!!!!!!!!!")),
            "malformed",
        ),
        ("a node that is a path", with("node", json!("../other")), "malformed"),
        ("a node that is a wildcard", with("node", json!("+")), "malformed"),
        ("no node", with("node", json!("")), "malformed"),
        (
            "iss with an escape",
            with_payload(&good.replace("https:", "https\\u003a")),
            "malformed",
        ),
        ("sub beyond ASCII", with("sub", json!("Zoë")), "malformed"),
        ("exp twice", twice(&format!(r#""exp":{}"#, T + 10)), "malformed"),
        ("aud twice", twice(r#""aud":"lock_x""#), "malformed"),
        ("no object", with_payload("[]"), "malformed"),
        ("two objects", with_payload(&format!("{good}{good}")), "malformed"),
        ("a comma too many", with_payload(&good.replace('}', ",}")), "malformed"),
        ("empty", with_payload(""), "malformed"),
        ("another version", with("ver", json!(2)), "wrong-version"),
        (
            "another backend",
            with("iss", json!("https://evil.example")),
            "wrong-issuer",
        ),
        (
            "another organization",
            with("org", json!("org_0190a000000070008000000000000009")),
            "wrong-organization",
        ),
        (
            "another lock",
            with("aud", json!("lock_0190a000000070008000000000000009")),
            "wrong-lock",
        ),
        ("31 s long", with("exp", json!(T + 31)), "bad-lifetime"),
        ("far exp", with("exp", json!(T + 315_360_000)), "bad-lifetime"),
        ("exp at iat", with("exp", json!(T)), "bad-lifetime"),
        ("exp before iat", with("exp", json!(T - 1)), "bad-lifetime"),
        (
            "far lt",
            with("lt", json!({ "boot": 1, "dl": MONO + 31 })),
            "bad-lifetime",
        ),
        ("ctr 0", with("ctr", json!(0)), "replayed"),
    ];
    for claim in [
        "ver", "iss", "org", "aud", "sub", "gid", "act", "jti", "iat", "exp", "ctr", "rev", "node",
    ] {
        cases.push((claim, without(claim), "malformed"));
    }
    for (why, message, word) in cases {
        let (result, _, movements) = answer(&message);
        assert_eq!((result.as_str(), movements), (word, 0), "{why}");
    }
}

/// A lock without the time, in its second start, 50 s old; `floor` is [`T`] all the same.
fn without_time() -> World {
    let mut world = World::on_line();
    world.power_cycle();
    world.hands.mono_ms = 50_000;
    world.connect();
    world
}

#[test]
fn a_deadline_is_a_deadline() {
    let lt = |boot: u32, dl: u64| {
        move |claims: &mut Value| {
            claims["iat"] = json!(T - 20);
            claims["exp"] = json!(T - 10);
            claims["lt"] = json!({ "boot": boot, "dl": dl });
        }
    };
    let no_lt = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("lt"));
    for (why, token, result) in [
        ("in the last second by the counter", unlock_with(1, lt(2, 50)), "ok"),
        ("a second late by the counter", unlock_with(1, lt(2, 49)), "expired"),
        ("for the start before", unlock_with(1, lt(1, 60)), "wrong-boot"),
        ("for the start to come", unlock_with(1, lt(3, 60)), "wrong-boot"),
        ("by the clock only", unlock_with(1, no_lt), "no-time"),
    ] {
        let mut world = without_time();
        world.send(&token);
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
    for (why, exp, result) in [
        ("late by the clock", T - 1, "expired"),
        ("in time by the clock", T, "ok"),
    ] {
        let mut world = World::on_line();
        world.send(&unlock_with(1, |claims| {
            claims["iat"] = json!(exp - 10);
            claims["exp"] = json!(exp);
            claims["lt"] = json!({ "boot": 7, "dl": 0 });
        }));
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
}

#[test]
fn a_clock_that_is_stale_opens_nothing() {
    let mut world = World::on_line();
    world.pass(25 * 60 * 60 * 1_000);
    world.send(&unlock_with(1, |claims| {
        let now = T + 25 * 60 * 60;
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 10);
        claims.as_object_mut().unwrap().remove("lt");
    }));
    assert_eq!(world.story().pop().unwrap().2, "no-time");
}

#[test]
fn a_counter_counts_once_over_every_order() {
    let mut world = World::on_line();
    world.send(&unlock(5));
    for (why, ctr) in [("the same", 5), ("the one before", 4), ("the first", 1)] {
        world.send(&unlock(ctr));
        assert_eq!(
            world.story().pop().unwrap(),
            ("denied".into(), jti(ctr), "replayed".into()),
            "{why}"
        );
    }
    world.power_cycle();
    world.connect();
    world.send(&unlock_with(5, |claims| claims["lt"] = json!({ "boot": 2, "dl": 5 })));
    assert_eq!(world.story().pop().unwrap().2, "replayed");
    assert_eq!(world.hands.movements.len(), 1);
}

#[test]
fn a_thousand_copies_move_once_and_do_not_drown_the_log() {
    let mut world = World::on_line();
    let token = unlock(1);
    for _ in 0..1_000 {
        world.send(&token);
    }
    assert_eq!(world.hands.movements.len(), 1);
    let story = world.story();
    assert_eq!(story.len(), 1 + 60 + 1);
    assert_eq!(story.last().unwrap().2, "too-many");
    world.pass(60_000);
    world.send(&token);
    assert_eq!(world.story().last().unwrap().2, "replayed");
}

#[test]
fn a_token_below_the_least_revision_is_revoked() {
    let mut world = World::on_line();
    world.send(&keyset(2, 7));
    for (rev, result) in [(6, "revoked"), (7, "ok")] {
        world.send(&unlock_with(rev, |claims| claims["rev"] = json!(rev)));
        assert_eq!(world.story().pop().unwrap().2, result, "rev {rev}");
    }
}

#[test]
fn a_key_counts_within_its_life_only() {
    let life = |nbf: u64, exp: u64| {
        let mut claims = keyset_claims(2, 0, &[(UNLOCK, "unlock"), (DOC, "doc")]);
        claims["keys"][0]["nbf"] = json!(nbf);
        claims["keys"][0]["exp"] = json!(exp);
        by(ROOT, Typ::Keyset, &claims)
    };
    for (why, keyset, result) in [
        ("in its first second", life(T, T + 9), "ok"),
        ("before it", life(T + 1, T + 9), "key-not-valid"),
        ("in its last second", life(T - 9, T), "ok"),
        ("after it", life(T - 9, T - 1), "key-not-valid"),
    ] {
        let mut world = World::on_line();
        world.send(&keyset);
        world.send(&unlock(1));
        assert_eq!(world.story().pop().unwrap().2, result, "{why}");
    }
    let mut world = without_time();
    world.send(&life(T - 9, T - 1));
    world.send(&unlock_with(1, |claims| claims["lt"] = json!({ "boot": 2, "dl": 60 })));
    assert_eq!(
        world.story().pop().unwrap().2,
        "key-not-valid",
        "by the floor, without the time"
    );
}

#[test]
fn a_refusal_goes_to_the_node_only_where_the_backend_named_it() {
    let mut world = World::on_line();
    world.send(&raw(&header("unlock+jwt", UNLOCK), &unlock_claims(1).to_string(), 9));
    assert_eq!(world.hands.published.last().unwrap().0, "any");
    assert_eq!(
        world.story().pop().unwrap().1,
        jti(1),
        "the token is named all the same"
    );
    world.send(&with("aud", json!("lock_x")));
    assert_eq!(world.hands.published.last().unwrap().0, "node-a");
}
