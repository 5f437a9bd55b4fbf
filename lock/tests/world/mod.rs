//! A lock on a bench: storage with a fuse, hands that count, and a backend with throw-away keys.
#![allow(dead_code, reason = "every test uses its own part of the bench")]

pub mod hands;
pub mod lockdowns;
pub mod passes;
pub mod pins;
pub mod tokens;

use base64ct::{Base64UrlUnpadded, Encoding};
use doorward_lock::base64url::text16;
use doorward_lock::chain::Sensors;
use doorward_lock::controller::{Controller, Enrolment, First, Input};
use doorward_lock::journal::Error;
use doorward_lock::jws::Message;
use doorward_lock::keys::PublicKey;
use doorward_lock::pins::PinKey;
use doorward_lock::wire::{Bolt, Door, Typ};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use hands::{Disk, Hands, PowerGone};

pub const ISS: &str = "https://doorward.example";
pub const ORG: &str = "org_0190a000000070008000000000000001";
pub const LOCK: &str = "lock_0190a000000070008000000000000002";
pub const T: u64 = 1_772_442_000;
/// Seconds of the lock's own counter when a test begins.
pub const MONO: u64 = 100;

/// The PIN key of the lock.
pub const PIN_KEY: [u8; 32] = [0x5c; 32];

/// A throw-away key.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub const ROOT: u8 = 1;
pub const UNLOCK: u8 = 2;
pub const DOC: u8 = 3;
pub const ACK: u8 = 4;
pub const LOCK_KEY: u8 = 6;

pub fn public(seed: u8) -> PublicKey {
    PublicKey::from_key(*key(seed).verifying_key())
}

pub fn kid(seed: u8) -> String {
    public(seed).kid.as_str().to_owned()
}

pub fn jwk(seed: u8) -> Value {
    let (x, y) = public(seed).coordinates();
    json!({ "kty": "EC", "crv": "P-256", "x": x.as_str(), "y": y.as_str() })
}

pub fn base64(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2 + 4];
    Base64UrlUnpadded::encode(bytes, &mut text).unwrap().to_owned()
}

/// A JWS with this header and payload, whatever they are, by this key.
pub fn raw(header: &str, payload: &str, seed: u8) -> String {
    let signed = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()));
    let signature: Signature = key(seed).sign(signed.as_bytes());
    format!("{signed}.{}", base64(&signature.to_bytes()))
}

/// JSON with its members in the order of their names, whatever the features of the JSON library.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            let members = members
                .iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<String>>().join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<String>>().join(",")),
        other => other.to_string(),
    }
}

/// A proper header.
pub fn header(typ: &str, seed: u8) -> String {
    canonical(&json!({ "alg": "ES256", "typ": typ, "kid": kid(seed) }))
}

/// A JWS by the backend.
pub fn by(seed: u8, typ: Typ, claims: &Value) -> String {
    raw(&header(typ.as_str(), seed), &canonical(claims), seed)
}

/// Claims for the lock, with those that every message carries.
pub fn to_lock(mut claims: Value) -> Value {
    for (claim, value) in [("iss", ISS), ("org", ORG), ("aud", LOCK)] {
        claims[claim] = json!(value);
    }
    claims
}

pub fn jti(number: u64) -> String {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    text16(&bytes).as_str().to_owned()
}

/// Claims of a good unlock token with this counter.
pub fn unlock_claims(ctr: u64) -> Value {
    to_lock(json!({
        "ver": 1, "sub": "person_7", "gid": "grant_0190a000000070008000000000000003", "act": "unlock",
        "jti": jti(ctr), "iat": T, "exp": T + 10, "ctr": ctr, "lt": { "boot": 1, "dl": MONO + 10 },
        "rev": 0, "node": "node-a",
    }))
}

/// A good unlock token with this counter.
pub fn unlock(ctr: u64) -> String {
    by(UNLOCK, Typ::Unlock, &unlock_claims(ctr))
}

/// A good unlock token, changed.
pub fn unlock_with(ctr: u64, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = unlock_claims(ctr);
    change(&mut claims);
    by(UNLOCK, Typ::Unlock, &claims)
}

/// A keyset with these keys, each with its use.
pub fn keyset_claims(version: u64, min_rev: u64, keys: &[(u8, &str)]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(seed, purpose)| {
            json!({ "kid": kid(*seed), "alg": "ES256", "use": purpose, "nbf": T - 1_000, "exp": T + 1_000_000,
                    "jwk": jwk(*seed) })
        })
        .collect();
    json!({ "iss": ISS, "version": version, "keys": keys, "min_rev": min_rev })
}

pub fn keyset(version: u64, min_rev: u64) -> String {
    by(
        ROOT,
        Typ::Keyset,
        &keyset_claims(version, min_rev, &[(UNLOCK, "unlock"), (DOC, "doc"), (ACK, "ack")]),
    )
}

/// The lock and everything around it.
pub struct World {
    pub disk: Disk,
    pub hands: Hands,
    lock: Option<Controller<Disk>>,
    counts_from: u64,
}

impl World {
    /// An enrolled lock in its first start, without the time, not connected.
    pub fn new() -> Self {
        Self::with_slots(64)
    }

    pub fn with_slots(slots: u32) -> Self {
        let disk = Disk::new(slots);
        let hands = Hands::new(disk.clone(), MONO * 1_000);
        let mut world = Self {
            disk,
            hands,
            lock: None,
            counts_from: 0,
        };
        world.start().unwrap();
        world
    }

    /// A lock that takes the place of one to which counters up to this one were issued; connected, with the time.
    pub fn after(ctr: u64) -> Self {
        let disk = Disk::new(64);
        let hands = Hands::new(disk.clone(), MONO * 1_000);
        let mut world = Self {
            disk,
            hands,
            lock: None,
            counts_from: ctr,
        };
        world.start().unwrap();
        world.connect();
        world.give_time(T);
        world
    }

    /// A lock that is connected and has the time.
    pub fn on_line() -> Self {
        let mut world = Self::new();
        world.connect();
        world.give_time(T);
        world
    }

    /// Starts the controller from what is stored.
    pub fn start(&mut self) -> Result<(), Error<PowerGone>> {
        self.lock = None;
        let sensors = Sensors {
            bolt: Bolt::Locked,
            door: Door::Closed,
            battery: Some(80),
        };
        let first = First {
            ctr: self.counts_from,
            keyset: &keyset(1, 0),
            time: T - 100,
        };
        self.lock = Some(Controller::start(
            enrolment(),
            &first,
            self.disk.clone(),
            sensors,
            &mut self.hands,
        )?);
        Ok(())
    }

    /// Power goes and comes back; the counter begins again.
    pub fn power_cycle(&mut self) {
        self.disk.power_on();
        self.hands.mono_ms = 0;
        self.start().unwrap();
    }

    pub fn lock(&self) -> &Controller<Disk> {
        self.lock.as_ref().unwrap()
    }

    pub fn tell(&mut self, input: Input<'_>) -> Result<(), Error<PowerGone>> {
        self.lock.as_mut().unwrap().handle(input, &mut self.hands)
    }

    pub fn connect(&mut self) {
        self.tell(Input::Connected).unwrap();
    }

    pub fn send(&mut self, message: &str) {
        self.tell(Input::Message(message.as_bytes())).unwrap();
    }

    /// Lets `ms` pass.
    pub fn pass(&mut self, ms: u64) {
        self.hands.mono_ms += ms;
        self.tell(Input::Tick).unwrap();
    }

    /// Answers the nonce of the last hello with `t`.
    pub fn give_time(&mut self, t: u64) {
        let nonce = self.last_hello()["nonce"]
            .as_str()
            .expect("the lock asked for the time")
            .to_owned();
        self.send(&by(DOC, Typ::Time, &to_lock(json!({ "nonce": nonce, "t": t }))));
    }

    pub fn last_hello(&self) -> Value {
        let is_hello = |(_, message): &&(String, String)| Message::parse(message).unwrap().typ() == Ok(Typ::Hello);
        claims(&self.hands.published.iter().rev().find(is_hello).expect("a hello").1)
    }

    /// Every event that was published, in the order of their first publication.
    pub fn events(&self) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        for (_, message) in &self.hands.published {
            let message_claims = claims(message);
            if message_claims.get("seq").is_some() && !events.contains(&message_claims) {
                events.push(message_claims);
            }
        }
        events
    }

    /// Kind, `jti` of the cause (or the cause) and result of every event after those of the start.
    pub fn story(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let skip = |event: &Value| matches!(event["kind"].as_str(), Some("claimed" | "boot"));
        let events = self.events();
        let story = events.iter().filter(|event| !skip(event)).map(|event| {
            let cause = event["cause"].get("jti").unwrap_or(&event["cause"]);
            (text(&event["kind"]), text(cause), text(&event["result"]))
        });
        story.collect()
    }

    /// An acknowledgement of everything up to `seq`.
    pub fn ack(&self, seq: u64) -> String {
        let is_it = |(_, message): &&(String, String)| claims(message)["seq"] == seq;
        let event = &self
            .hands
            .published
            .iter()
            .find(is_it)
            .expect("the event was published")
            .1;
        let chain = claims(event)["chain"].clone();
        let head = doorward_lock::base64url::hash(event);
        by(
            ACK,
            Typ::Ack,
            &to_lock(json!({ "chain": chain, "seq": seq, "head": head.as_str() })),
        )
    }
}

pub fn enrolment() -> Enrolment {
    Enrolment {
        lock: LOCK.try_into().unwrap(),
        iss: ISS.try_into().unwrap(),
        org: ORG.try_into().unwrap(),
        root: public(ROOT),
        key: key(LOCK_KEY),
        pin_key: Some(PinKey::new(PIN_KEY)),
        model: "bench".try_into().unwrap(),
        firmware: "1.0.0".try_into().unwrap(),
        assurance: None,
    }
}

/// The claims of a message, unverified.
pub fn claims(compact: &str) -> Value {
    let payload = compact.split('.').nth(1).unwrap();
    let mut bytes = vec![0; payload.len()];
    serde_json::from_slice(Base64UrlUnpadded::decode(payload, &mut bytes).unwrap()).unwrap()
}

/// What a story expects, shortly.
pub fn lines(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected
        .iter()
        .map(|(kind, cause, result)| ((*kind).into(), (*cause).into(), (*result).into()))
        .collect()
}
