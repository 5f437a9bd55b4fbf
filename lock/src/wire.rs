//! The claims of every message, as they stand in the payload of its JWS (`docs/PROTOCOL.md`, "Messages").
//!
//! Strings are borrowed from the payload, so that a lock reads a message without copying it. Every type refuses
//! unknown and repeated claims, and a claim that may be absent refuses `null`. Times are whole seconds since
//! 1970-01-01T00:00:00Z unless the field says otherwise; numbers stay below 2^53.

use heapless::Vec;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest message in bytes, as compact JWS.
pub const MAX_MESSAGE: usize = 4096;

/// The most keys in a keyset.
pub const MAX_KEYS: usize = 8;

/// The most grants in a list of revocations; the length of a message usually ends it earlier.
pub const MAX_REVOKED: usize = 256;

/// The longest life of an unlock token in seconds (`exp - iat`).
pub const MAX_TOKEN_SECONDS: u64 = 30;

/// The version of the protocol: `ver` of an unlock token.
pub const VERSION: u64 = 1;

/// Numbers on the wire stay below this, so that any JSON reader keeps them exact.
pub const NUMBER_LIMIT: u64 = 1 << 53;

/// What `prev` of an event with `seq` 0 holds: 32 zero bytes as base64url.
pub const NO_PREVIOUS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a message is: the `typ` of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Typ {
    /// Backend to lock: move the bolt now.
    Unlock,
    /// Backend to lock: events up to here are stored.
    Ack,
    /// Backend to lock: send these events again.
    Resend,
    /// Backend to lock: the time, for the lock's nonce.
    Time,
    /// Backend to lock: forget this organization.
    Release,
    /// Backend to lock: the keys to believe, by the root key.
    Keyset,
    /// Backend to lock: grants whose passes are void.
    Revocations,
    /// Lock to backend: something happened.
    Event,
    /// Lock to backend: I am here, in this state.
    Hello,
    /// Lock to backend, at enrolment: I hold this key and this claim code.
    Enrol,
}

impl Typ {
    /// Every type, for tables.
    pub const ALL: [Self; 10] = [
        Self::Unlock,
        Self::Ack,
        Self::Resend,
        Self::Time,
        Self::Release,
        Self::Keyset,
        Self::Revocations,
        Self::Event,
        Self::Hello,
        Self::Enrol,
    ];

    /// As it stands in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlock => "unlock+jwt",
            Self::Ack => "ack+jwt",
            Self::Resend => "resend+jwt",
            Self::Time => "time+jwt",
            Self::Release => "release+jwt",
            Self::Keyset => "keyset+jwt",
            Self::Revocations => "revocations+jwt",
            Self::Event => "event+jwt",
            Self::Hello => "hello+jwt",
            Self::Enrol => "enrol+jwt",
        }
    }

    /// The type of this `typ`, compared byte by byte; `None` where there is no such type.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|typ| typ.as_str() == text)
    }
}

/// What a person asks of the bolt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Withdraw the bolt.
    Unlock,
    /// Throw the bolt.
    Lock,
}

/// A deadline in the lock's own time, for a lock whose clock is not fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockTime {
    /// The start of the lock that the deadline belongs to.
    pub boot: u32,
    /// The last second since that start at which the bolt may begin to move.
    pub dl: u64,
}

/// Claims of `unlock+jwt`: one movement of one bolt, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlock<'a> {
    /// Version of the protocol: [`VERSION`].
    pub ver: u64,
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for; never a list.
    pub aud: &'a str,
    /// Opaque pseudonym of the person.
    pub sub: &'a str,
    /// The grant that allows it.
    pub gid: &'a str,
    /// What to do.
    pub act: Action,
    /// 128 random bits as 22 characters of base64url; comes back in the events that follow.
    pub jti: &'a str,
    /// When it was issued.
    pub iat: u64,
    /// The last second in which the bolt may begin to move; at most [`MAX_TOKEN_SECONDS`] after `iat`.
    pub exp: u64,
    /// Greater than in every token before it; the upper 16 of 53 bits are the issuer's generation.
    pub ctr: u64,
    /// A deadline in the lock's own time; absent where the backend does not know it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lt: Option<LockTime>,
    /// The revocation epoch that the decision knew.
    pub rev: u64,
    /// The node that waits for the answer: 1 to 32 of `a-z 0-9 -`.
    pub node: &'a str,
}

/// Claims of `ack+jwt`: every event of `chain` up to `seq` is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// The chain that is meant.
    pub chain: &'a str,
    /// The last event stored without a gap before it.
    pub seq: u64,
    /// SHA-256 of that event's compact JWS as base64url.
    pub head: &'a str,
}

/// Claims of `resend+jwt`: send the events `from` to `to` of `chain` again, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resend<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// The chain that is meant.
    pub chain: &'a str,
    /// The first event wanted.
    pub from: u64,
    /// The last event wanted.
    pub to: u64,
}

/// Claims of `time+jwt`: the time, in answer to the nonce of a `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// The nonce of the `hello` that it answers.
    pub nonce: &'a str,
    /// The time, rounded down to a second.
    pub t: u64,
}

/// Claims of `release+jwt`: the lock is to forget its organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// When it was issued.
    pub iat: u64,
    /// The last second in which it counts.
    pub exp: u64,
    /// 128 random bits as 22 characters of base64url.
    pub jti: &'a str,
}

/// What a key of the backend may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Unlock tokens.
    Unlock,
    /// Offline passes.
    Pass,
    /// Documents: time, release, revocations, PINs.
    Doc,
    /// Acknowledgements and requests to send again.
    Ack,
}

/// A public key on P-256 (RFC 7517, RFC 7518 section 6.2). Nothing but these members, and no private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwk<'a> {
    /// `EC`.
    pub kty: &'a str,
    /// `P-256`.
    pub crv: &'a str,
    /// The x coordinate: 32 bytes as 43 characters of base64url.
    pub x: &'a str,
    /// The y coordinate: 32 bytes as 43 characters of base64url.
    pub y: &'a str,
}

/// One key of a keyset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key<'a> {
    /// SHA-256 thumbprint of `jwk` (RFC 7638) as base64url.
    pub kid: &'a str,
    /// The only algorithm that it is for: `ES256`.
    pub alg: &'a str,
    /// The only purpose that it is for.
    #[serde(rename = "use")]
    pub purpose: Use,
    /// The first second of its life.
    pub nbf: u64,
    /// The last second of its life.
    pub exp: u64,
    /// The key itself.
    #[serde(borrow)]
    pub jwk: Jwk<'a>,
}

/// Claims of `keyset+jwt`, signed by the root key: the keys to believe from now on, instead of all before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyset<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// Grows with every change; from 1.
    pub version: u64,
    /// The keys, in any order.
    #[serde(borrow)]
    pub keys: Vec<Key<'a>, MAX_KEYS>,
    /// Tokens with a `rev` below this are void.
    pub min_rev: u64,
}

/// Claims of `revocations+jwt`: grants whose passes are void although they have not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// Grows with every change; from 1.
    pub epoch: u64,
    /// The grants; what is not listed any more has ended by itself.
    #[serde(borrow)]
    pub revoked: Vec<&'a str, MAX_REVOKED>,
    /// Tokens with a `rev` below this are void.
    pub min_rev: u64,
}

/// How far a lock's clock can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockState {
    /// The backend's time came back within the last 24 hours.
    Fresh,
    /// It came back since the start, but longer ago.
    Stale,
    /// It has not come back since the start.
    None,
}

/// Where the bolt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bolt {
    /// Thrown.
    Locked,
    /// Withdrawn.
    Unlocked,
    /// Moving, stuck, or the lock cannot tell.
    Unknown,
}

/// Where the door leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// Open.
    Open,
    /// Closed.
    Closed,
    /// There is no sensor, or it cannot tell.
    Unknown,
}

/// What made something happen: `{"jti":"…"}`, `{"pass":"…"}`, `{"pin":3}`, `"manual"`, `"key"` or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause<'a> {
    /// An unlock token, by its `jti`.
    Jti(&'a str),
    /// An offline pass, by the grant that it carries.
    Pass(&'a str),
    /// A PIN, by its slot; never the digits.
    Pin(u16),
    /// The thumb-turn or a button inside.
    Manual,
    /// The mechanical key.
    Key,
    /// The lock by itself.
    Auto,
}

/// What happened: the `kind` of an event that this crate makes. A reader keeps kinds that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The lock was enrolled; `seq` 0.
    Claimed,
    /// The lock started.
    Boot,
    /// A token was accepted, and the bolt is about to move.
    Attempt,
    /// The bolt is withdrawn.
    Unlocked,
    /// The bolt is thrown.
    Locked,
    /// Something was refused; `result` says why.
    Denied,
    /// The bolt did not arrive.
    Jammed,
    /// The door was opened.
    DoorOpen,
    /// The door was closed.
    DoorClosed,
    /// The door has stood open for too long.
    Ajar,
    /// The door was opened with the bolt thrown.
    Forced,
    /// The housing was opened.
    Tamper,
    /// Too many wrong codes.
    WrongCodeLimit,
    /// The battery crossed a threshold.
    Battery,
    /// A keyset was taken over.
    Keyset,
    /// Revocations were taken over.
    Revocations,
    /// PINs were taken over.
    Pins,
    /// There was no room: events before this one may be lost.
    Overflow,
    /// The lock was reset by hand and forgets its organization.
    Reset,
    /// The backend let the lock go, and it forgets its organization.
    Released,
}

impl Kind {
    /// As it stands in the event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Boot => "boot",
            Self::Attempt => "attempt",
            Self::Unlocked => "unlocked",
            Self::Locked => "locked",
            Self::Denied => "denied",
            Self::Jammed => "jammed",
            Self::DoorOpen => "door_open",
            Self::DoorClosed => "door_closed",
            Self::Ajar => "ajar",
            Self::Forced => "forced",
            Self::Tamper => "tamper",
            Self::WrongCodeLimit => "wrong_code_limit",
            Self::Battery => "battery",
            Self::Keyset => "keyset",
            Self::Revocations => "revocations",
            Self::Pins => "pins",
            Self::Overflow => "overflow",
            Self::Reset => "reset",
            Self::Released => "released",
        }
    }

    /// The alarm code of Matter's door lock cluster (0x0101, `AlarmCodeEnum`), where it has one.
    #[must_use]
    pub const fn matter(self) -> Option<u32> {
        match self {
            Self::Jammed => Some(0),
            Self::Reset => Some(1),
            Self::Boot => Some(3),
            Self::WrongCodeLimit => Some(4),
            Self::Tamper => Some(5),
            Self::Forced => Some(6),
            Self::Ajar => Some(7),
            _ => None,
        }
    }
}

/// The `result` of an event about something that worked.
pub const RESULT_OK: &str = "ok";

/// Claims of `event+jwt`: one link of the lock's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event<'a> {
    /// The lock; the same as `kid` of the header.
    pub lock: &'a str,
    /// The chain: 128 random bits as 22 characters of base64url, new after every enrolment.
    pub chain: &'a str,
    /// The place in the chain, from 0, without gaps.
    pub seq: u64,
    /// SHA-256 of the compact JWS of the event before, as base64url; [`NO_PREVIOUS`] at `seq` 0.
    pub prev: &'a str,
    /// 128 random bits as 22 characters of base64url.
    pub salt: &'a str,
    /// How often the lock has started; from 1.
    pub boot: u32,
    /// Seconds since that start.
    pub mono: u64,
    /// The time by the lock's clock; `null` where it has none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub wall: Option<u64>,
    /// How far `wall` can be believed.
    pub clock: ClockState,
    /// What happened: a [`Kind`], or one that a later lock knows.
    pub kind: &'a str,
    /// What made it happen.
    #[serde(borrow)]
    pub cause: Cause<'a>,
    /// [`RESULT_OK`], or the word of the refusal or failure.
    pub result: &'a str,
    /// Where the bolt is now.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub bolt: Option<Bolt>,
    /// Where the door is now.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub door: Option<Door>,
    /// The battery in percent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub battery: Option<u8>,
    /// Matter's number for it ([`Kind::matter`]).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub matter: Option<u32>,
}

/// The newest link of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head<'a> {
    /// The chain.
    pub chain: &'a str,
    /// Its newest event.
    pub seq: u64,
    /// SHA-256 of that event's compact JWS as base64url.
    pub hash: &'a str,
}

/// Claims of `hello+jwt`: the lock is there, and holds this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello<'a> {
    /// The lock; the same as `kid` of the header.
    pub lock: &'a str,
    /// How often the lock has started; from 1.
    pub boot: u32,
    /// Seconds since that start.
    pub mono: u64,
    /// How far the lock's clock can be believed.
    pub clock: ClockState,
    /// Version of the keyset held; 0 for none.
    pub keyset: u64,
    /// Epoch of the revocations held; 0 for none.
    pub revocations: u64,
    /// Version of the PINs held; 0 for none.
    pub pins: u64,
    /// The counter of the last accepted token; 0 for none.
    pub ctr: u64,
    /// The newest event; `null` before the first.
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    pub head: Option<Head<'a>>,
    /// The battery in percent; `null` where there is none or it is not known.
    #[serde(deserialize_with = "Option::deserialize")]
    pub battery: Option<u8>,
    /// Where the bolt is.
    pub bolt: Bolt,
    /// Where the door is.
    pub door: Door,
    /// Version of the lock's program.
    pub firmware: &'a str,
    /// What the lock is.
    pub model: &'a str,
    /// 128 random bits as 22 characters of base64url, where the lock wants the time.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
}

/// Claims of `enrol+jwt`, by the lock's new key, with the key's thumbprint as `kid`: the caller holds key and code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol<'a> {
    /// SHA-256 of the claim code's ASCII characters as base64url.
    pub code_hash: &'a str,
    /// Thumbprint of the lock's public key (RFC 7638); the same as `kid` of the header.
    pub jkt: &'a str,
    /// What the lock is.
    pub model: &'a str,
    /// Version of the lock's program.
    pub firmware: &'a str,
}

/// A claim that may be absent, but is not `null` where it stands.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
