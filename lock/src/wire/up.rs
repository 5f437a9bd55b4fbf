//! Claims of the messages from a lock to the backend.

use serde::{Deserialize, Serialize};

use super::present;

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

/// What made something happen: `{"jti":"…"}`, `{"pass":"…"}`, `{"pin":3}`, `{"code":"20780-3-0"}`, `"manual"`, `"key"` or
/// `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause<'a> {
    /// An unlock token, by its `jti`.
    Jti(&'a str),
    /// An offline pass, by the grant that it carries.
    Pass(&'a str),
    /// A PIN, by its slot; never the digits.
    Pin(u16),
    /// A computed PIN, by what it was computed from: `first_day-days-serial`; never the digits.
    Code(&'a str),
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
    /// A lockdown was taken over, or the end of one.
    Lockdown,
    /// A device's keypad holds a PIN now, or holds it no longer, or will not.
    PinSlot,
    /// There was no room: events before this one may be lost.
    Overflow,
    /// The lock was reset by hand and forgets its organization.
    Reset,
    /// The backend let the lock go, and it forgets its organization.
    Released,
}

impl Kind {
    /// All of them, for tables.
    pub const ALL: [Self; 22] = [
        Self::Claimed,
        Self::Boot,
        Self::Attempt,
        Self::Unlocked,
        Self::Locked,
        Self::Denied,
        Self::Jammed,
        Self::DoorOpen,
        Self::DoorClosed,
        Self::Ajar,
        Self::Forced,
        Self::Tamper,
        Self::WrongCodeLimit,
        Self::Battery,
        Self::Keyset,
        Self::Revocations,
        Self::Pins,
        Self::Lockdown,
        Self::PinSlot,
        Self::Overflow,
        Self::Reset,
        Self::Released,
    ];

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
            Self::Lockdown => "lockdown",
            Self::PinSlot => "pin_slot",
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

/// The `result` of `overflow` that sums up what was lost.
pub const RESULT_SUMMARY: &str = "summary";

/// The `result` of `jammed`: the bolt did not arrive.
pub const RESULT_JAMMED: &str = "jammed";

/// The `result` of `jammed` or `denied` for a command that a loss of power cut short; it is never taken up again.
pub const RESULT_INTERRUPTED: &str = "interrupted";

/// The `result` of `jammed`: whatever moves the bolt has not said in time that it moved. It may have, or may yet.
pub const RESULT_NO_ANSWER: &str = "no-answer";

/// The `result` of `jammed`: whatever moves the bolt is away, and was not asked.
pub const RESULT_AWAY: &str = "device-away";

/// The `result` of `pin_slot`: the slot is empty.
pub const RESULT_CLEARED: &str = "cleared";

/// The `result` of `pin_slot`: another slot of the device holds the same PIN. It will not be tried again.
pub const RESULT_DUPLICATE: &str = "duplicate";

/// The `result` of `pin_slot`: the device would not take it, however often it was asked.
pub const RESULT_REFUSED: &str = "refused";

/// Who vouches for what an event says, where that is not the lock that moves the bolt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// An adapter verifies, and asks a device that believes its broker.
    Adapter,
}

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
    /// SHA-256 of the compact JWS of the event before, as base64url; [`super::NO_PREVIOUS`] at `seq` 0.
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
    /// Who vouches for it; absent for a lock that verifies and moves its bolt itself.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
    /// Of `overflow`: what was lost, once storage has room again.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// Events that were overwritten before the backend had them, as the lock counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// How many of them were `unlocked`.
    pub unlocked: u32,
    /// How many were `locked`.
    pub locked: u32,
    /// How many were `denied`.
    pub denied: u32,
    /// How many were of any other kind.
    pub other: u32,
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
    /// Epoch of the lockdown held; 0 for none. Absent where the lock knows nothing of lockdowns.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<u64>,
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
