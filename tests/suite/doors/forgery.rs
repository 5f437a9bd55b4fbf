//! Messages that were changed, copied or invented, in both directions: none of them moves anything.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use doorward::agent::enrolment::new_key;
use doorward::crypto::random::OsRandom;
use doorward::domain::time::Clock as _;
use doorward_lock::jws::Message;
use doorward_lock::keys::{Keyset, PublicKey};
use doorward_lock::refusal::Refusal;
use doorward_lock::verify::{Known, Moment};
use doorward_lock::wire::{Address, Cause, Kind, RESULT_OK, Typ};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use super::{ask, entries, show, until_status};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{HandClock, HandLock, Token, claims_of, house};

on_each_database!(
    a_lock_takes_its_own_token_once_in_time_and_no_other,
    what_a_lock_did_not_sign_changes_nothing,
    a_lock_cannot_confirm_for_another,
);

/// What this lock makes of a message that came down.
fn verdict(lock: &HandLock, clock: &HandClock, ctr: u64, compact: &str) -> Result<(), Refusal> {
    let welcome = &lock.welcome;
    let address = Address {
        iss: &welcome.iss,
        org: &welcome.org,
        aud: lock.id(),
    };
    let root = PublicKey::from_jwk(&welcome.root_key.jwk()).unwrap();
    let keyset = Keyset::read(&welcome.keyset, &root, &welcome.iss).unwrap();
    let known = Known {
        address,
        keyset: &keyset,
        ctr,
        min_rev: keyset.min_rev,
        moment: Moment {
            boot: 7,
            mono: 1,
            now: Some(clock.now().as_seconds()),
            floor: welcome.time,
        },
    };
    let message = Message::parse(compact)?;
    known.accept(&message).map(|_| ())
}

/// A message of this header and these claims, signed by this key.
fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let signed = format!(
        "{}.{}",
        BASE64URL.encode(header.to_string()),
        BASE64URL.encode(claims.to_string())
    );
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature.to_bytes()))
}

fn header_of(compact: &str) -> Value {
    let header = BASE64URL.decode(compact.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&header).unwrap()
}

/// The message with other claims and the signature that it had.
fn tampered(compact: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims_of(compact);
    change(&mut claims);
    let mut parts: Vec<String> = compact.split('.').map(str::to_owned).collect();
    parts[1] = BASE64URL.encode(claims.to_string());
    parts.join(".")
}

async fn a_lock_takes_its_own_token_once_in_time_and_no_other(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (front, back) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Back door").await,
    );
    let (mut lock, other) = (HandLock::install(&front).await, HandLock::install(&back).await);
    let ack = {
        lock.report(Kind::Boot, Cause::Auto, RESULT_OK).await;
        lock.next_of(Typ::Ack).await
    };
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &front, json!({})).await;
    ask(&gus, &front).await;
    let Token { compact, claims } = lock.next_token().await;
    let ctr = claims["ctr"].as_u64().unwrap();
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 30);

    assert_eq!(verdict(&lock, &t.clock, 0, &compact), Ok(()));
    assert_eq!(verdict(&lock, &t.clock, ctr, &compact), Err(Refusal::Replayed));
    assert_eq!(verdict(&other, &t.clock, 0, &compact), Err(Refusal::WrongLock));
    assert_eq!(verdict(&lock, &t.clock, 0, &ack), Err(Refusal::BadTyp));
    for change in [
        |claims: &mut Value| claims["ctr"] = json!(claims["ctr"].as_u64().unwrap() + 1),
        |claims: &mut Value| claims["exp"] = json!(claims["exp"].as_u64().unwrap() + 10),
        |claims: &mut Value| claims["act"] = json!("lock"),
        |claims: &mut Value| claims["sub"] = json!("somebody"),
    ] {
        let changed = tampered(&compact, change);
        assert_eq!(verdict(&lock, &t.clock, 0, &changed), Err(Refusal::BadSignature));
    }
    let own_key = signed(&header_of(&compact), &claims, &lock.key);
    assert_eq!(verdict(&lock, &t.clock, 0, &own_key), Err(Refusal::BadSignature));

    // The last second counts to its end; then nothing does, however the token was held back.
    let last = claims["exp"].as_u64().unwrap();
    let now = t.clock.now().as_seconds();
    t.clock.advance(Duration::from_secs(last - now));
    assert_eq!(verdict(&lock, &t.clock, 0, &compact), Ok(()));
    t.clock.advance(Duration::from_secs(1));
    assert_eq!(verdict(&lock, &t.clock, 0, &compact), Err(Refusal::Expired));
}

async fn what_a_lock_did_not_sign_changes_nothing(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (front, back) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Back door").await,
    );
    let (mut lock, other) = (HandLock::install(&front).await, HandLock::install(&back).await);
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &front, json!({})).await;
    let attempt = ask(&gus, &front).await;
    let token = lock.next_token().await;
    let log_before = ana.log().await;
    let shown_before = ana.get(&front.path()).await.expect(200);

    let begun = lock.event(Kind::Attempt, Cause::Jti(token.jti()), RESULT_OK);
    let real = lock.event(Kind::Unlocked, Cause::Jti(token.jti()), RESULT_OK);
    let (header, claims) = (header_of(&real), claims_of(&real));
    let with = |name: &str, value: Value| {
        let mut changed = header.clone();
        changed[name] = value;
        changed
    };
    let stranger = new_key(&OsRandom);
    let (x, y) = PublicKey::from_key(*stranger.verifying_key()).coordinates();
    let strangers_jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    let unsigned = |header: &Value, signature: &str| {
        let parts = [header.to_string(), claims.to_string()].map(|part| BASE64URL.encode(part));
        format!("{}.{signature}", parts.join("."))
    };
    // HS256 with what everybody may know as the secret: the lock's public key.
    let (own_x, own_y) = PublicKey::from_key(*lock.key.verifying_key()).coordinates();
    let hs256 = {
        let message = unsigned(&with("alg", json!("HS256")), "");
        let message = message.trim_end_matches('.');
        let public = format!(r#"{{"crv":"P-256","kty":"EC","x":"{own_x}","y":"{own_y}"}}"#);
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&secret, message.as_bytes());
        format!("{message}.{}", BASE64URL.encode(tag.as_ref()))
    };
    let mut of_other = claims.clone();
    of_other["lock"] = json!(other.id());
    let mut with_more = claims.clone();
    with_more["role"] = json!("owner");
    let mut with_array = claims.clone();
    with_array["lock"] = json!([lock.id()]);
    let mut fraction = claims.clone();
    fraction["seq"] = json!(2.5);
    let forgeries = [
        signed(&header, &claims, &stranger),
        signed(&header, &claims, &other.key),
        signed(&with("kid", json!(other.id())), &claims, &other.key),
        signed(&with("kid", json!(other.id())), &of_other, &other.key),
        signed(&with("kid", json!("../../../etc/passwd")), &claims, &lock.key),
        signed(&with("jwk", strangers_jwk), &claims, &stranger),
        signed(&with("jku", json!("https://evil.example/keys")), &claims, &stranger),
        signed(&with("crit", json!(["exp"])), &claims, &lock.key),
        signed(&with("typ", json!("enrol+jwt")), &claims, &lock.key),
        signed(&with("typ", json!("unlock+jwt")), &claims, &lock.key),
        signed(&with("typ", json!("JWT")), &claims, &lock.key),
        signed(&with("alg", json!("ES384")), &claims, &lock.key),
        signed(&header, &of_other, &lock.key),
        signed(&header, &with_more, &lock.key),
        signed(&header, &with_array, &lock.key),
        signed(&header, &fraction, &lock.key),
        unsigned(&with("alg", json!("none")), ""),
        unsigned(&header, ""),
        unsigned(&header, &BASE64URL.encode([0; 64])),
        hs256,
        tampered(&real, |claims| claims["kind"] = json!("locked")),
        tampered(&real, |claims| claims["seq"] = json!(9)),
        // The backend's own words, sent back to it.
        token.compact.clone(),
        "not a message".to_owned(),
        "..".to_owned(),
        String::new(),
        "x".repeat(9_000),
    ];
    for forgery in &forgeries {
        lock.say(forgery.clone()).await;
    }
    lock.say(vec![0xff; 100]).await;
    // A hello of somebody else's making would bring an absent lock to life.
    let hello = lock.hello_message();
    lock.say(signed(&header_of(&hello), &claims_of(&hello), &stranger))
        .await;

    // What one lock says is taken in its order: once the next real word is acknowledged, the forgeries were heard.
    lock.say(begun).await;
    let acknowledged = claims_of(&lock.next_of(Typ::Ack).await);
    assert_eq!(acknowledged["seq"], 1);
    assert_eq!(show(&gus, &attempt).await["status"], "pending");
    assert_eq!(ana.log().await, log_before);
    let mut shown = ana.get(&front.path()).await.expect(200);
    for part in ["bolt", "battery", "chain"] {
        // The real event before it has told these.
        shown[part] = shown_before[part].clone();
    }
    assert_eq!(shown, shown_before);

    lock.say(real).await;
    until_status(&gus, &attempt, "confirmed").await;
    assert_eq!(entries(&ana, "unlocked").await.len(), 1);
}

async fn a_lock_cannot_confirm_for_another(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (front, back) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Back door").await,
    );
    let (mut lock, mut other) = (HandLock::install(&front).await, HandLock::install(&back).await);
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &front, json!({})).await;
    let attempt = ask(&gus, &front).await;
    let token = lock.next_token().await;
    // Honestly signed by the other lock, in its own chain, about a token that was never its own.
    other.move_by(&token).await;
    other.until_acknowledged().await;
    assert_eq!(show(&gus, &attempt).await["status"], "pending");
    let entry = &entries(&ana, "unlocked").await[0];
    assert_eq!(
        (&entry["lock_id"], &entry["attempt_id"]),
        (&json!(back.id), &json!(null))
    );
    assert_eq!(entry["person_id"], json!(null));
    lock.move_by(&token).await;
    until_status(&gus, &attempt, "confirmed").await;
}
