//! Makes the vectors, from throw-away keys.

use doorward_lock::base64url::{self, hash};
use doorward_lock::chain::{Chain, Happening, Sensors, Signer, Stamp};
use doorward_lock::controller::enrolment_proof;
use doorward_lock::wire::{Bolt, Cause, ClockState, Door, Kind, Typ};
use serde_json::{Value, json};

use crate::world::*;

const CLAIM_CODE: &str = "2DZDZ-KWA8G-KY92X-583KV-VRAR83";

pub fn private_jwk(seed: u8) -> Value {
    let mut jwk = jwk(seed);
    jwk["d"] = json!(base64(&[seed; 32]));
    jwk["kid"] = json!(kid(seed));
    jwk
}

pub fn address() -> Value {
    json!({ "iss": ISS, "org": ORG, "lock": LOCK })
}

/// What the lock of the tables knows.
pub fn knows() -> Value {
    json!({ "boot": 1, "mono": MONO, "now": T, "floor": T, "ctr": 0, "min_rev": 0 })
}

fn knows_but(changes: &[(&str, Value)]) -> Value {
    let mut knows = knows();
    changes.iter().for_each(|(name, value)| knows[*name] = value.clone());
    knows
}

/// `tokens.json`.
pub fn tokens() -> Value {
    let table = |cases: Vec<tokens::Case>| {
        let case = |(name, token, reason): tokens::Case| json!({ "name": name, "knows": knows(), "token": token, "reason": reason });
        cases.into_iter().map(case).collect::<Vec<Value>>()
    };
    let mut accept: Vec<Value> = tokens::good()
        .into_iter()
        .map(|(name, token)| json!({ "name": name, "knows": knows(), "token": token }))
        .collect();
    let mut refuse = [tokens::not_messages(), tokens::bad_headers(), tokens::bad_claims()]
        .map(table)
        .concat();

    let no_lt = unlock_with(1, |claims| drop(claims.as_object_mut().unwrap().remove("lt")));
    let no_clock = ("now", Value::Null);
    for (name, token, changes) in [
        (
            "no clock, in the last second by the counter",
            unlock(1),
            vec![no_clock.clone(), ("mono", json!(MONO + 10))],
        ),
        (
            "the last second by the clock",
            no_lt.clone(),
            vec![("now", json!(T + 10))],
        ),
        (
            "a counter that has moved on, but not so far",
            unlock(6),
            vec![("ctr", json!(5))],
        ),
        ("the least revision", unlock(1), vec![("min_rev", json!(0))]),
    ] {
        accept.push(json!({ "name": name, "knows": knows_but(&changes), "token": token }));
    }
    for (name, token, changes, reason) in [
        (
            "a second late by both",
            unlock(1),
            vec![("now", json!(T + 11)), ("mono", json!(MONO + 11))],
            "expired",
        ),
        (
            "no clock, a second late by the counter",
            unlock(1),
            vec![no_clock.clone(), ("mono", json!(MONO + 11))],
            "expired",
        ),
        (
            "no clock, another start",
            unlock(1),
            vec![no_clock.clone(), ("boot", json!(2))],
            "wrong-boot",
        ),
        ("no clock, no lt", no_lt, vec![no_clock], "no-time"),
        (
            "the counter of the last accepted token",
            unlock(5),
            vec![("ctr", json!(5))],
            "replayed",
        ),
        ("a counter from before", unlock(4), vec![("ctr", json!(5))], "replayed"),
        (
            "below the least revision",
            unlock(1),
            vec![("min_rev", json!(1))],
            "revoked",
        ),
        (
            "before the key's life",
            unlock(1),
            vec![("now", json!(T - 1_001))],
            "key-not-valid",
        ),
        (
            "after the key's life",
            unlock(1),
            vec![("now", json!(T + 1_000_001))],
            "key-not-valid",
        ),
        (
            "no clock, and a floor after the key's life",
            unlock(1),
            vec![("now", Value::Null), ("floor", json!(T + 1_000_001))],
            "key-not-valid",
        ),
    ] {
        refuse.push(json!({ "name": name, "knows": knows_but(&changes), "token": token, "reason": reason }));
    }
    json!({
        "about": "Unlock tokens. Each case says what the lock knows: start, seconds since, the time where its clock is \
                  fresh, the floor, the last accepted counter, the least revision. The keys are throw-away.",
        "lock": address(),
        "root": jwk(ROOT),
        "keyset": keyset(1, 0),
        "keys": { "unlock": private_jwk(UNLOCK), "doc": private_jwk(DOC), "ack": private_jwk(ACK) },
        "accept": accept,
        "refuse": refuse,
    })
}

/// `chain.json`.
pub fn chain() -> Value {
    let signing = key(LOCK_KEY);
    let signer = Signer {
        lock: LOCK,
        key: &signing,
        assurance: None,
    };
    let mut chain = Chain::begin(&[0x5a; 16]);
    let (first, second) = (jti(1), jti(2));
    let mut events = Vec::new();
    for (at, (kind, cause, result, bolt)) in [
        (Kind::Claimed, Cause::Auto, "ok", Bolt::Locked),
        (Kind::Attempt, Cause::Jti(&first), "ok", Bolt::Locked),
        (Kind::Unlocked, Cause::Jti(&first), "ok", Bolt::Unlocked),
        (Kind::DoorOpen, Cause::Auto, "ok", Bolt::Unlocked),
        (Kind::Locked, Cause::Manual, "ok", Bolt::Locked),
        (Kind::Denied, Cause::Jti(&first), "replayed", Bolt::Locked),
        (Kind::Unlocked, Cause::Pin(3), "ok", Bolt::Unlocked),
        (Kind::Attempt, Cause::Jti(&second), "ok", Bolt::Unlocked),
        (Kind::Jammed, Cause::Jti(&second), "jammed", Bolt::Unknown),
        (Kind::Unlocked, Cause::Key, "ok", Bolt::Unlocked),
        (
            Kind::Locked,
            Cause::Pass("grant_0190a000000070008000000000000003"),
            "ok",
            Bolt::Locked,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mono = MONO + at as u64;
        let (wall, clock) = if at == 0 {
            (None, ClockState::None)
        } else {
            (Some(T + at as u64), ClockState::Fresh)
        };
        let stamp = Stamp {
            boot: 1,
            mono,
            wall,
            clock,
        };
        let sensors = Sensors {
            bolt,
            door: if at == 3 { Door::Open } else { Door::Closed },
            battery: Some(80),
        };
        let happening = Happening {
            kind,
            cause,
            result,
            lost: None,
        };
        let (event, next) = chain
            .link(&signer, &happening, &stamp, &sensors, &[at as u8; 16])
            .unwrap();
        events.push(json!({ "event": event.as_str(), "hash": hash(&event).as_str(), "claims": claims(&event) }));
        chain = next;
    }
    json!({
        "about": "A chain of events, in order: each as compact JWS, its hash (`prev` of the next one), its claims.",
        "lock": LOCK,
        "key": private_jwk(LOCK_KEY),
        "events": events,
    })
}

/// `keysets.json`.
pub fn keysets() -> Value {
    let next_key = (8, "unlock");
    let both = [(UNLOCK, "unlock"), next_key, (DOC, "doc"), (ACK, "ack")];
    let after = [next_key, (DOC, "doc"), (ACK, "ack")];
    let signed = |version, min_rev, keys: &[(u8, &str)]| by(ROOT, Typ::Keyset, &keyset_claims(version, min_rev, keys));
    let mut other_backend = keyset_claims(4, 0, &after);
    other_backend["iss"] = json!("https://evil.example");
    let for_one_lock = to_lock(keyset_claims(4, 0, &after));
    let mut wrong_kid = keyset_claims(4, 0, &after);
    wrong_kid["keys"][0]["kid"] = json!(kid(UNLOCK));
    let steps: Vec<Value> = [
        ("the keyset of the enrolment", keyset(1, 0), "taken"),
        ("the next unlock key beside the old one", signed(2, 0, &both), "taken"),
        ("the same again", signed(2, 0, &both), "held"),
        ("the old key is gone", signed(3, 7, &after), "taken"),
        ("an old one comes back", signed(2, 0, &both), "old-version"),
        (
            "by a key that is not the root",
            by(DOC, Typ::Keyset, &keyset_claims(4, 0, &after)),
            "unknown-key",
        ),
        (
            "by another key under the root's name",
            raw(&header("keyset+jwt", ROOT), &canonical(&keyset_claims(4, 0, &after)), 9),
            "bad-signature",
        ),
        (
            "of another backend",
            by(ROOT, Typ::Keyset, &other_backend),
            "wrong-issuer",
        ),
        (
            "for one lock: it is one document for all",
            by(ROOT, Typ::Keyset, &for_one_lock),
            "malformed",
        ),
        (
            "a kid that is not its key's thumbprint",
            by(ROOT, Typ::Keyset, &wrong_kid),
            "malformed",
        ),
        (
            "nine keys",
            signed(4, 0, &[10, 11, 12, 13, 14, 15, 16, 17, 18].map(|seed| (seed, "doc"))),
            "malformed",
        ),
        (
            "eight keys: two for each use",
            signed(
                4,
                7,
                &[
                    next_key,
                    (10, "unlock"),
                    (11, "pass"),
                    (12, "pass"),
                    (DOC, "doc"),
                    (13, "doc"),
                    (ACK, "ack"),
                    (14, "ack"),
                ],
            ),
            "taken",
        ),
    ]
    .into_iter()
    .map(|(name, document, expect)| json!({ "name": name, "document": document, "expect": expect }))
    .collect();
    json!({
        "about": "Keysets as they come to one lock, one after the other: `taken` replaces the one held, `held` changes \
                  nothing, any other word refuses.",
        "lock": address(),
        "root": private_jwk(ROOT),
        "next_unlock_key": private_jwk(8),
        "steps": steps,
    })
}

/// `enrolment.json`.
pub fn enrolment() -> Value {
    let proof = enrolment_proof(&key(LOCK_KEY), CLAIM_CODE, "bench", "1.0.0").unwrap();
    json!({
        "about": "The proof of an enrolment: by the lock's new key, over the hash of the claim code.",
        "claim_code": CLAIM_CODE,
        "code_hash": hash(CLAIM_CODE).as_str(),
        "key": private_jwk(LOCK_KEY),
        "thumbprint": kid(LOCK_KEY),
        "proof": proof.as_str(),
        "claims": claims(&proof),
    })
}

/// `documents.json`.
pub fn documents() -> Value {
    let event_hash = chain()["events"][2]["hash"].clone();
    let chain_id = base64url::text16(&[0x5a; 16]);
    let nonce = base64url::text16(&[0x77; 16]);
    let head = json!({ "chain": chain_id.as_str(), "seq": 2, "hash": event_hash });
    let hello = json!({
        "lock": LOCK, "boot": 1, "mono": MONO, "clock": "none", "keyset": 1, "revocations": 0, "pins": 0,
        "lockdown": 0, "ctr": 0,
        "head": head, "battery": 80, "bolt": "locked", "door": "closed", "firmware": "1.0.0", "model": "bench",
        "nonce": nonce.as_str(),
    });
    let hello_header = canonical(&json!({ "alg": "ES256", "typ": "hello+jwt", "kid": LOCK }));
    let documents: Vec<Value> = [
        (
            Typ::Ack,
            ACK,
            json!({ "chain": chain_id.as_str(), "seq": 2, "head": event_hash }),
        ),
        (
            Typ::Resend,
            ACK,
            json!({ "chain": chain_id.as_str(), "from": 1, "to": 2 }),
        ),
        (Typ::Time, DOC, json!({ "nonce": nonce.as_str(), "t": T })),
        (Typ::Release, DOC, json!({ "iat": T, "exp": T + 60, "jti": jti(9) })),
        (
            Typ::Revocations,
            DOC,
            json!({ "epoch": 1, "revoked": ["grant_0190a000000070008000000000000003"], "min_rev": 0 }),
        ),
        (
            Typ::Lockdown,
            DOC,
            json!({ "epoch": 1, "iat": T, "holds": [{ "until": T + 7_200, "except": ["person_7"] }] }),
        ),
    ]
    .into_iter()
    .map(|(typ, seed, claims)| {
        let message = by(seed, typ, &to_lock(claims));
        json!({ "typ": typ.as_str(), "message": message, "claims": crate::world::claims(&message) })
    })
    .chain([
        json!({ "typ": "hello+jwt", "message": raw(&hello_header, &canonical(&hello), LOCK_KEY), "claims": hello }),
    ])
    .collect();
    json!({
        "about": "One good message of every other type. Time, release, revocations and lockdown by the `doc` key, acknowledgement \
                  and resend by the `ack` key, hello by the lock.",
        "lock": address(),
        "root": jwk(ROOT),
        "keyset": keyset(1, 0),
        "lock_key": private_jwk(LOCK_KEY),
        "documents": documents,
    })
}

/// What the lock of `passes.json` knows.
pub fn knows_at_door(changes: &[(&str, Value)]) -> Value {
    let mut knows =
        json!({ "boot": 1, "clock": "fresh", "time": T, "floor": T, "min_rev": 0, "revoked": [], "taken": 0 });
    changes.iter().for_each(|(name, value)| knows[*name] = value.clone());
    knows
}

/// `passes.json`.
pub fn passes() -> Value {
    let challenge = json!({
        "lock": LOCK, "boot": 1, "nonce": base64url::text16(&[0x77; 16]).as_str(), "epoch": 1, "clock": "fresh",
        "head": { "chain": base64url::text16(&[0x5a; 16]).as_str(), "seq": 2, "hash": chain()["events"][2]["hash"] },
    });
    let header = canonical(&json!({ "alg": "ES256", "typ": "challenge+jwt", "kid": LOCK }));
    let case = |name: &str, shown: &passes::Answer, knows: Value| {
        json!({
            "name": name, "knows": knows, "pass": shown.pass, "act": shown.act, "nonce": shown.nonce,
            "public_key": { "kty": "EC", "crv": "P-256", "x": shown.key.0, "y": shown.key.1 },
            "signature": shown.signature,
        })
    };
    let answer = |pass: &str| passes::answer(pass, passes::PHONE, &challenge, "unlock");
    let with = |changes: &[(&str, Value)]| answer(&passes::pass_with(changes));

    let mut accept: Vec<Value> = passes::good()
        .iter()
        .map(|(name, pass)| case(name, &answer(pass), knows_at_door(&[])))
        .collect();
    let mut refuse: Vec<Value> = passes::bad()
        .iter()
        .map(|(name, pass, reason)| {
            let mut case = case(name, &answer(pass), knows_at_door(&[]));
            case["reason"] = json!(reason);
            case
        })
        .collect();

    let (none, stale) = (("clock", json!("none")), ("clock", json!("stale")));
    let (early, late) = (("time", json!(T - 1)), ("time", json!(T + 3_601)));
    let good = answer(&passes::pass());
    let lock = passes::answer(&passes::pass(), passes::PHONE, &challenge, "lock");
    let counted = with(&[("uses", json!(3)), ("used", json!(1))]);
    for (name, shown, changes) in [
        ("to lock", &lock, vec![]),
        (
            "the last second by a fresh clock",
            &good,
            vec![("time", json!(T + 3_600))],
        ),
        (
            "the last second by a stale clock",
            &good,
            vec![stale.clone(), ("time", json!(T + 3_600))],
        ),
        (
            "a tenant, without the time",
            &good,
            vec![none.clone(), ("time", Value::Null)],
        ),
        (
            "a tenant, without the time, with the floor in the last second",
            &good,
            vec![none.clone(), ("time", Value::Null), ("floor", json!(T + 3_600))],
        ),
        (
            "another grant and another phone revoked",
            &good,
            vec![("revoked", json!(["grant_x", kid(21)]))],
        ),
        ("the least revision", &good, vec![("min_rev", json!(T))]),
        ("the last of three uses", &counted, vec![("taken", json!(2))]),
        (
            "to lock, with every use taken",
            &passes::Answer {
                act: "lock",
                ..passes::answer(&counted.pass, passes::PHONE, &challenge, "lock")
            },
            vec![("taken", json!(3))],
        ),
    ] {
        accept.push(case(name, shown, knows_at_door(&changes)));
    }
    let guest = with(&[("role", json!("guest"))]);
    let scheduled = with(&passes::mornings());
    let later = with(&[("nbf", json!(T + 1))]);
    let no_time = [none.clone(), ("time", Value::Null)];
    let of_other_start = passes::answer(
        &passes::pass(),
        passes::PHONE,
        &json!({ "boot": 2, "nonce": challenge["nonce"] }),
        "unlock",
    );
    let other_phone = passes::answer(&passes::pass(), 21, &challenge, "unlock");
    let holders_name = passes::Answer {
        key: good.key.clone(),
        ..other_phone.clone()
    };
    let other_act = passes::Answer {
        act: "lock",
        ..good.clone()
    };
    let other_nonce = passes::answer(
        &passes::pass(),
        passes::PHONE,
        &json!({ "boot": 1, "nonce": jti(5) }),
        "unlock",
    );
    let other_nonce = passes::Answer {
        nonce: good.nonce.clone(),
        ..other_nonce
    };
    for (name, shown, changes, reason) in [
        ("another phone with its own key", &other_phone, vec![], "not-the-holder"),
        (
            "another phone that shows the holder's key",
            &holders_name,
            vec![],
            "not-the-holder",
        ),
        ("signed for another act", &other_act, vec![], "not-the-holder"),
        ("signed for another nonce", &other_nonce, vec![], "not-the-holder"),
        ("signed for another start", &of_other_start, vec![], "not-the-holder"),
        (
            "the grant is revoked",
            &good,
            vec![("revoked", json!(["grant_x", passes::GRANT]))],
            "revoked",
        ),
        (
            "the phone is revoked",
            &good,
            vec![("revoked", json!([kid(passes::PHONE)]))],
            "revoked",
        ),
        (
            "below the least revision",
            &good,
            vec![("min_rev", json!(T + 1))],
            "revoked",
        ),
        ("a second late by a fresh clock", &good, vec![late.clone()], "expired"),
        (
            "a second late by a stale clock",
            &good,
            vec![stale.clone(), late.clone()],
            "expired",
        ),
        ("a second early", &good, vec![early], "not-yet"),
        ("a guest, without the time", &guest, no_time.to_vec(), "no-time"),
        (
            "a tenant with a schedule, without the time",
            &scheduled,
            no_time.to_vec(),
            "no-time",
        ),
        (
            "a tenant who moves in later, without the time",
            &later,
            no_time.to_vec(),
            "no-time",
        ),
        (
            "a tenant, without the time, with a floor after the end",
            &good,
            vec![none, ("time", Value::Null), ("floor", json!(T + 3_601))],
            "expired",
        ),
        (
            "every use taken by the lock's own count",
            &counted,
            vec![("taken", json!(3))],
            "uses-exhausted",
        ),
        (
            "before the key's life",
            &good,
            vec![("time", json!(T - 1_001))],
            "key-not-valid",
        ),
    ] {
        let mut case = case(name, shown, knows_at_door(&changes));
        case["reason"] = json!(reason);
        refuse.push(case);
    }
    json!({
        "about": "Passes, each shown with the answer to the one challenge. Each case says what the lock knows: its start, \
                  clock and time, the floor, the least revision, the names in its revocations, how many uses of the grant \
                  it has counted. The nonce is open everywhere. The keys are throw-away.",
        "lock": address(),
        "root": jwk(ROOT),
        "keyset": passes::keyset_with_passes(),
        "keys": { "pass": private_jwk(passes::PASS), "lock": private_jwk(LOCK_KEY) },
        "phone": private_jwk(passes::PHONE),
        "challenge": { "message": raw(&header, &canonical(&challenge), LOCK_KEY), "claims": challenge },
        "answer": {
            "act": "unlock", "pass": good.pass, "signed": base64(&answered(&good)), "signature": good.signature,
        },
        "accept": accept,
        "refuse": refuse,
    })
}

/// The bytes that the phone has signed.
fn answered(shown: &passes::Answer) -> Vec<u8> {
    let bytes =
        doorward_lock::verify::pass_answer(LOCK, 1, &shown.nonce, doorward_lock::wire::Action::Unlock, &shown.pass);
    bytes.unwrap().to_vec()
}
