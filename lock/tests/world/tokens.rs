//! Tokens by the table: good ones, and every way to lie. For a lock in its first start, [`MONO`] seconds old, that has
//! the time [`T`] and has accepted nothing yet.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

/// What is done to a token, the token, and the word that refuses it.
pub type Case = (&'static str, String, &'static str);

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

/// A token that claims to be a MAC with this secret. HMAC takes the digest of a secret longer than 64 bytes, such as an
/// uncompressed point.
fn hs256(secret: &[u8]) -> String {
    let header = canonical(&json!({ "alg": "HS256", "typ": "unlock+jwt", "kid": kid(UNLOCK) }));
    let signed = format!(
        "{}.{}",
        base64(header.as_bytes()),
        base64(canonical(&unlock_claims(1)).as_bytes())
    );
    let secret = &Sha256::digest(secret)[..];
    format!("{signed}.{}", base64(&hmac_sha256(secret, signed.as_bytes())))
}

fn with_header(header: &str) -> String {
    raw(header, &canonical(&unlock_claims(1)), UNLOCK)
}

fn with_payload(payload: &str) -> String {
    raw(&header("unlock+jwt", UNLOCK), payload, UNLOCK)
}

fn without(claim: &str) -> String {
    unlock_with(1, |claims| drop(claims.as_object_mut().unwrap().remove(claim)))
}

pub fn with(claim: &str, value: Value) -> String {
    unlock_with(1, |claims| claims[claim] = value)
}

/// Tokens to accept, with what is special about each.
pub fn good() -> Vec<(&'static str, String)> {
    let late = |claims: &mut Value| {
        claims["iat"] = json!(T - 10);
        claims["exp"] = json!(T);
        claims.as_object_mut().unwrap().remove("lt");
    };
    vec![
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
            with_payload(&canonical(&unlock_claims(1)).replace("\":", "\" : ")),
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
    ]
}

/// What is no message at all, or has no signature.
pub fn not_messages() -> Vec<Case> {
    let good = unlock(1);
    let parts: Vec<&str> = good.split('.').collect();
    vec![
        ("nothing", String::new(), "malformed"),
        ("no JWS", "open sesame".into(), "malformed"),
        ("two parts", format!("{}.{}", parts[0], parts[1]), "malformed"),
        ("four parts", format!("{good}.AAAA"), "malformed"),
        ("padding", format!("{good}=="), "malformed"),
        (
            "standard base64",
            with_payload(&canonical(&unlock_claims(1))).replace('_', "/") + "+",
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
    ]
}

/// Tokens with a header that is not exactly ours, or another's signature.
pub fn bad_headers() -> Vec<Case> {
    let kid = kid(UNLOCK);
    let extra = |member: &str| format!(r#"{{"alg":"ES256","typ":"unlock+jwt","kid":"{kid}",{member}}}"#);
    let with_kid = |kid: &str| with_header(&canonical(&json!({ "alg": "ES256", "typ": "unlock+jwt", "kid": kid })));
    let with_alg = |alg: &str| with_header(&canonical(&json!({ "alg": alg, "typ": "unlock+jwt", "kid": kid })));
    let with_typ = |typ: &str| with_header(&canonical(&json!({ "alg": "ES256", "typ": typ, "kid": kid })));
    let point = public(UNLOCK).key.to_sec1_point(false);
    vec![
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
        ("a path as kid", with_kid("../../../../dev/null"), "unknown-key"),
        (
            "a question to a database as kid",
            with_kid("' OR 1=1 --"),
            "unknown-key",
        ),
        ("an empty kid", with_kid(""), "unknown-key"),
        ("another's kid", with_kid(&super::kid(9)), "unknown-key"),
        (
            "the kid of a key for another use",
            with_kid(&super::kid(DOC)),
            "unknown-key",
        ),
        ("the root's kid", with_kid(&super::kid(ROOT)), "unknown-key"),
        (
            "jwk",
            with_header(&extra(&format!(r#""jwk":{}"#, canonical(&jwk(9))))),
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
            raw(&header("unlock+jwt", UNLOCK), &canonical(&unlock_claims(1)), 9),
            "bad-signature",
        ),
    ]
}

/// Tokens by the right key with claims that are not exactly ours.
pub fn bad_claims() -> Vec<Case> {
    let good = canonical(&unlock_claims(1));
    let twice = |member: &str| with_payload(&good.replacen('{', &format!("{{{member},"), 1));
    let wrong = vec![
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
            "lt.dl past 53 bits",
            with("lt", json!({ "boot": 7, "dl": 1_u64 << 53 })),
            "malformed",
        ),
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
    let missing = [
        ("no ver", "ver"),
        ("no iss", "iss"),
        ("no org", "org"),
        ("no aud", "aud"),
        ("no sub", "sub"),
        ("no gid", "gid"),
        ("no act", "act"),
        ("no jti", "jti"),
        ("no iat", "iat"),
        ("no exp", "exp"),
        ("no ctr", "ctr"),
        ("no rev", "rev"),
        ("no node", "node"),
    ];
    wrong
        .into_iter()
        .chain(missing.map(|(why, claim)| (why, without(claim), "malformed")))
        .collect()
}
