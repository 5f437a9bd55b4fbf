//! Passes and phones: a good one, and every way to lie.

use doorward_lock::controller::Input;
use doorward_lock::signature::PrivateKey;
use doorward_lock::verify::{Presentation, pass_answer};
use doorward_lock::wire::{Action, Jwk, Typ};
use serde_json::{Value, json};

use super::*;

/// The key that signs passes.
pub const PASS: u8 = 5;
/// The phone's key.
pub const PHONE: u8 = 20;
pub const GRANT: &str = "grant_0190a000000070008000000000000003";
/// 2026-03-02, the day of [`T`]: a Monday, 09:00 in UTC.
pub const DAY: u32 = 20_514;

/// The keyset with the key for passes, which takes the place of the enrolment's.
pub fn keyset_with_passes() -> String {
    let keys = [(UNLOCK, "unlock"), (PASS, "pass"), (DOC, "doc"), (ACK, "ack")];
    by(ROOT, Typ::Keyset, &keyset_claims(2, 0, &keys))
}

/// Claims of a tenant's pass for this lock, good for an hour.
pub fn pass_claims() -> Value {
    json!({
        "ver": 1, "iss": ISS, "org": ORG, "aud": [LOCK], "sub": "person_7", "gid": GRANT, "act": "unlock",
        "jti": jti(70), "iat": T, "nbf": T, "exp": T + 3_600, "rev": T, "role": "tenant",
        "cnf": { "jkt": kid(PHONE) },
    })
}

pub fn pass() -> String {
    by(PASS, Typ::Pass, &pass_claims())
}

/// A pass with these claims changed; `null` takes a claim away.
pub fn pass_with(changes: &[(&str, Value)]) -> String {
    let mut claims = pass_claims();
    for (claim, value) in changes {
        if value.is_null() {
            drop(claims.as_object_mut().unwrap().remove(*claim));
        } else {
            claims[*claim] = value.clone();
        }
    }
    by(PASS, Typ::Pass, &claims)
}

/// The changes that make a pass count on Mondays from 08:00 to 10:00 by UTC.
pub fn mornings() -> Vec<(&'static str, Value)> {
    vec![
        (
            "schedule",
            json!({ "weekly": [{ "days": 1, "from": 480, "to": 600 }], "except": [] }),
        ),
        ("zone", json!([{ "at": T - 1_000, "offset": 0 }])),
    ]
}

/// What a phone says at the door.
#[derive(Debug, Clone)]
pub struct Answer {
    pub pass: String,
    pub act: &'static str,
    pub nonce: String,
    pub signature: String,
    pub key: (String, String),
}

/// The answer of the phone with this key to a challenge.
pub fn answer(pass: &str, seed: u8, challenge: &Value, act: &'static str) -> Answer {
    let nonce = challenge["nonce"].as_str().unwrap().to_owned();
    let boot = u32::try_from(challenge["boot"].as_u64().unwrap()).unwrap();
    let action = if act == "lock" { Action::Lock } else { Action::Unlock };
    let signed = pass_answer(LOCK, boot, &nonce, action, pass).unwrap();
    let signature = PrivateKey::sign(&key(seed), &signed).unwrap();
    let (x, y) = public(seed).coordinates();
    Answer {
        pass: pass.to_owned(),
        act,
        nonce,
        signature: base64(&signature),
        key: (x.as_str().to_owned(), y.as_str().to_owned()),
    }
}

impl World {
    /// A lock that has the time and the keyset with the key for passes, and then lost its connection.
    pub fn cut_off() -> Self {
        let mut world = Self::on_line();
        world.send(&keyset_with_passes());
        world.tell(Input::Disconnected).unwrap();
        world
    }

    /// Asks for a challenge, and gives its claims.
    pub fn challenge(&mut self) -> Value {
        self.tell(Input::Challenge).unwrap();
        claims(self.hands.shown.last().unwrap())
    }

    pub fn present(&mut self, answer: &Answer) -> Result<(), Error<PowerGone>> {
        self.tell(Input::Present(Presentation {
            pass: &answer.pass,
            public_key: Jwk {
                kty: "EC",
                crv: "P-256",
                x: &answer.key.0,
                y: &answer.key.1,
            },
            act: if answer.act == "lock" {
                Action::Lock
            } else {
                Action::Unlock
            },
            signature: &answer.signature,
            nonce: &answer.nonce,
        }))
    }

    /// The phone with this key shows a pass at the door; kind, cause and result of the event that says what became of it.
    pub fn show(&mut self, pass: &str, seed: u8) -> (String, Value, String) {
        let challenge = self.challenge();
        self.present(&answer(pass, seed, &challenge, "unlock")).unwrap();
        self.last_shown()
    }

    /// Kind, cause and result of the event that was shown last.
    pub fn last_shown(&self) -> (String, Value, String) {
        let event = claims(self.hands.shown.last().unwrap());
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        (text("kind"), event["cause"].clone(), text("result"))
    }

    /// What becomes of a pass in a word: `ok` where the bolt begins to move.
    pub fn word(&mut self, pass: &str) -> String {
        self.show(pass, PHONE).2
    }
}

/// A list of revocations.
pub fn revoked(epoch: u64, names: &[&str]) -> String {
    by(
        DOC,
        Typ::Revocations,
        &to_lock(json!({ "epoch": epoch, "revoked": names, "min_rev": 0 })),
    )
}

/// What is special about a pass, the pass, and the word that refuses it; for a lock that has the time [`T`].
pub fn bad() -> Vec<super::tokens::Case> {
    let claims = canonical(&pass_claims());
    let raw_pass = |payload: &str| raw(&header("pass+jwt", PASS), payload, PASS);
    let zone = ("zone", json!([{ "at": T - 1_000, "offset": 0 }]));
    let weekly = |window: Value| ("schedule", json!({ "weekly": [window], "except": [] }));
    let with = |changes: &[(&str, Value)]| pass_with(changes);
    let mut cases = vec![
        ("nothing", String::new(), "malformed"),
        ("no message", "open sesame".into(), "malformed"),
        ("too long", "A".repeat(4_097), "malformed"),
        (
            "one more member in the header",
            raw(
                &format!(
                    r#"{{"alg":"ES256","typ":"pass+jwt","kid":"{}","jku":"https://evil.example"}}"#,
                    kid(PASS)
                ),
                &claims,
                PASS,
            ),
            "bad-header",
        ),
        (
            "alg none",
            raw(
                &format!(r#"{{"alg":"none","typ":"pass+jwt","kid":"{}"}}"#, kid(PASS)),
                &claims,
                PASS,
            ),
            "bad-alg",
        ),
        ("an unlock token", unlock(1), "bad-typ"),
        (
            "a pass by the key for unlock tokens",
            by(UNLOCK, Typ::Pass, &pass_claims()),
            "unknown-key",
        ),
        (
            "a pass by the key for documents",
            by(DOC, Typ::Pass, &pass_claims()),
            "unknown-key",
        ),
        (
            "a pass by the root key",
            by(ROOT, Typ::Pass, &pass_claims()),
            "unknown-key",
        ),
        (
            "a pass by the phone itself",
            by(PHONE, Typ::Pass, &pass_claims()),
            "unknown-key",
        ),
        (
            "another's signature",
            raw(&header("pass+jwt", PASS), &claims, 9),
            "bad-signature",
        ),
        ("an unknown claim", with(&[("admin", json!(true))]), "malformed"),
        (
            "a claim twice",
            raw_pass(&claims.replacen('{', r#"{"exp":1,"#, 1)),
            "malformed",
        ),
        ("aud no list", with(&[("aud", json!(LOCK))]), "malformed"),
        ("aud empty", with(&[("aud", json!([]))]), "malformed"),
        ("seventeen locks", with(&[("aud", json!(vec![LOCK; 17]))]), "malformed"),
        ("act lock", with(&[("act", json!("lock"))]), "malformed"),
        ("jti short", with(&[("jti", json!("AAAA"))]), "malformed"),
        ("role king", with(&[("role", json!("king"))]), "malformed"),
        ("gid empty", with(&[("gid", json!(""))]), "malformed"),
        ("gid too long", with(&[("gid", json!("g".repeat(65)))]), "malformed"),
        (
            "cnf a whole key",
            with(&[("cnf", json!({ "jwk": jwk(PHONE) }))]),
            "malformed",
        ),
        ("cnf short", with(&[("cnf", json!({ "jkt": "AAAA" }))]), "malformed"),
        ("exp past 53 bits", with(&[("exp", json!(1_u64 << 53))]), "malformed"),
        ("a schedule without a zone", with(&mornings()[..1]), "malformed"),
        ("a zone without a schedule", with(&mornings()[1..]), "malformed"),
        (
            "a schedule without a window",
            with(&[("schedule", json!({ "weekly": [], "except": [] })), zone.clone()]),
            "malformed",
        ),
        (
            "a window without a day",
            with(&[weekly(json!({ "days": 0, "from": 0, "to": 1_440 })), zone.clone()]),
            "malformed",
        ),
        (
            "a window past midnight by its beginning",
            with(&[weekly(json!({ "days": 1, "from": 1_440, "to": 5 })), zone.clone()]),
            "malformed",
        ),
        (
            "a zone out of order",
            with(&[
                mornings().remove(0),
                ("zone", json!([{ "at": T, "offset": 0 }, { "at": T, "offset": 3_600 }])),
            ]),
            "malformed",
        ),
        ("uses without used", with(&[("uses", json!(1))]), "malformed"),
        ("used without uses", with(&[("used", json!(0))]), "malformed"),
        (
            "uses negative",
            with(&[("uses", json!(-1)), ("used", json!(0))]),
            "malformed",
        ),
        ("another version", with(&[("ver", json!(2))]), "wrong-version"),
        (
            "another backend",
            with(&[("iss", json!("https://evil.example"))]),
            "wrong-issuer",
        ),
        (
            "another organization",
            with(&[("org", json!("org_x"))]),
            "wrong-organization",
        ),
        (
            "other locks",
            with(&[("aud", json!(["lock_x", "lock_y"]))]),
            "wrong-lock",
        ),
        (
            "a second more than a week",
            with(&[("exp", json!(T + 604_801))]),
            "bad-lifetime",
        ),
        (
            "exp at iat",
            with(&[("exp", json!(T)), ("iat", json!(T))]),
            "bad-lifetime",
        ),
        ("nbf before iat", with(&[("nbf", json!(T - 1))]), "bad-lifetime"),
        ("nbf after exp", with(&[("nbf", json!(T + 3_601))]), "bad-lifetime"),
        (
            "a second before its beginning",
            with(&[("nbf", json!(T + 1))]),
            "not-yet",
        ),
        (
            "a second after its end",
            with(&[("iat", json!(T - 100)), ("nbf", json!(T - 100)), ("exp", json!(T - 1))]),
            "expired",
        ),
        (
            "on another day of the week",
            with(&[weekly(json!({ "days": 2, "from": 480, "to": 600 })), zone.clone()]),
            "outside-schedule",
        ),
        (
            "a minute past its window",
            with(&[weekly(json!({ "days": 1, "from": 480, "to": 540 })), zone.clone()]),
            "outside-schedule",
        ),
        (
            "on an excepted day",
            with(&[
                (
                    "schedule",
                    json!({ "weekly": [{ "days": 1, "from": 480, "to": 600 }], "except": [DAY] }),
                ),
                zone.clone(),
            ]),
            "outside-schedule",
        ),
        (
            "an hour off by the wall clock of the door",
            with(&[
                mornings().remove(0),
                ("zone", json!([{ "at": T - 1_000, "offset": 3_600 }])),
            ]),
            "outside-schedule",
        ),
        (
            "no use at all",
            with(&[("uses", json!(0)), ("used", json!(0))]),
            "uses-exhausted",
        ),
        (
            "its uses taken by what the backend knows",
            with(&[("uses", json!(2)), ("used", json!(2))]),
            "uses-exhausted",
        ),
    ];
    for claim in [
        "ver", "iss", "org", "aud", "sub", "gid", "act", "jti", "iat", "nbf", "exp", "rev", "role", "cnf",
    ] {
        cases.push(("a claim is missing", with(&[(claim, Value::Null)]), "malformed"));
    }
    cases
}

/// Passes that open, with what is special about each; for a lock that has the time [`T`].
pub fn good() -> Vec<(&'static str, String)> {
    let with = |changes: &[(&str, Value)]| pass_with(changes);
    vec![
        ("as it should be", pass()),
        ("a guest's", with(&[("role", json!("guest"))])),
        ("a vendor's", with(&[("role", json!("vendor"))])),
        (
            "one of sixteen locks, the last",
            with(&[(
                "aud",
                json!(
                    (1..16)
                        .map(|at| format!("lock_{at}"))
                        .chain([LOCK.to_owned()])
                        .collect::<Vec<_>>()
                ),
            )]),
        ),
        (
            "in its last second",
            with(&[("iat", json!(T - 100)), ("nbf", json!(T - 100)), ("exp", json!(T))]),
        ),
        ("a week long", with(&[("exp", json!(T + 604_800))])),
        ("within its window", with(&mornings())),
        (
            "within a window that began the evening before",
            with(&[
                (
                    "schedule",
                    json!({ "weekly": [{ "days": 64, "from": 1_200, "to": 560 }], "except": [] }),
                ),
                mornings().remove(1),
            ]),
        ),
        ("with a use left", with(&[("uses", json!(2)), ("used", json!(1))])),
    ]
}
