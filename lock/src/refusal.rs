//! Why a lock refuses a message: words that stand in its events and stay the same for ever.

use core::fmt;

/// Why a message was refused. The order is the order of the checks: a message with several faults gets the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// Too long, not three parts of base64url, or the claims are not what they must be.
    Malformed,
    /// The header has other members than `alg`, `typ` and `kid`, each once.
    BadHeader,
    /// `alg` is not `ES256`.
    BadAlg,
    /// `typ` is not one that a lock takes.
    BadTyp,
    /// No key with this `kid` and this purpose.
    UnknownKey,
    /// The key's life has not begun, or is over.
    KeyNotValid,
    /// The signature does not fit.
    BadSignature,
    /// `ver` is not 1.
    WrongVersion,
    /// `iss` is another backend.
    WrongIssuer,
    /// `org` is another organization.
    WrongOrganization,
    /// `aud` is another lock.
    WrongLock,
    /// `exp` is not after `iat`, or too long after it; or `lt.dl` is too far ahead.
    BadLifetime,
    /// `rev` is below the least that still counts.
    Revoked,
    /// `ctr` is not above the last accepted one.
    Replayed,
    /// The deadline has passed.
    Expired,
    /// The clock is not fresh, and `lt` belongs to another start of the lock.
    WrongBoot,
    /// The clock is not fresh, and there is no `lt`.
    NoTime,
    /// A newer command took its place before it could begin.
    Superseded,
    /// The lock is being released and moves no more.
    LeftOrganization,
    /// A document older than the one that is held.
    OldVersion,
    /// An acknowledgement or request for another chain, or with a hash that is not the event's.
    WrongChain,
    /// A document that changes what the lock does not hold yet.
    Gap,
    /// The pass or PIN does not count yet.
    NotYet,
    /// Now is outside the schedule.
    OutsideSchedule,
    /// Every opening that was allowed is taken.
    UsesExhausted,
    /// The challenge is not this lock's, was answered already, or is too old.
    BadNonce,
    /// The phone's signature does not fit, or the key is not the one that the pass names.
    NotTheHolder,
    /// The lock cannot keep count of one more pass or code.
    NoRoom,
    /// No PIN of this lock.
    WrongPin,
    /// Too many wrong PINs: the keypad is closed for a while.
    KeypadClosed,
    /// A lockdown holds, and whoever comes is not among its exceptions.
    Lockdown,
    /// So many refusals within a minute that those after this one are not written down one by one.
    TooMany,
}

impl Refusal {
    /// All of them, for tables.
    pub const ALL: [Self; 32] = [
        Self::Malformed,
        Self::BadHeader,
        Self::BadAlg,
        Self::BadTyp,
        Self::UnknownKey,
        Self::KeyNotValid,
        Self::BadSignature,
        Self::WrongVersion,
        Self::WrongIssuer,
        Self::WrongOrganization,
        Self::WrongLock,
        Self::BadLifetime,
        Self::Revoked,
        Self::Replayed,
        Self::Expired,
        Self::WrongBoot,
        Self::NoTime,
        Self::Superseded,
        Self::LeftOrganization,
        Self::OldVersion,
        Self::WrongChain,
        Self::Gap,
        Self::NotYet,
        Self::OutsideSchedule,
        Self::UsesExhausted,
        Self::BadNonce,
        Self::NotTheHolder,
        Self::NoRoom,
        Self::WrongPin,
        Self::KeypadClosed,
        Self::Lockdown,
        Self::TooMany,
    ];

    /// The word that stands in the event's `result`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadHeader => "bad-header",
            Self::BadAlg => "bad-alg",
            Self::BadTyp => "bad-typ",
            Self::UnknownKey => "unknown-key",
            Self::KeyNotValid => "key-not-valid",
            Self::BadSignature => "bad-signature",
            Self::WrongVersion => "wrong-version",
            Self::WrongIssuer => "wrong-issuer",
            Self::WrongOrganization => "wrong-organization",
            Self::WrongLock => "wrong-lock",
            Self::BadLifetime => "bad-lifetime",
            Self::Revoked => "revoked",
            Self::Replayed => "replayed",
            Self::Expired => "expired",
            Self::WrongBoot => "wrong-boot",
            Self::NoTime => "no-time",
            Self::Superseded => "superseded",
            Self::LeftOrganization => "left-organization",
            Self::OldVersion => "old-version",
            Self::WrongChain => "wrong-chain",
            Self::Gap => "gap",
            Self::NotYet => "not-yet",
            Self::OutsideSchedule => "outside-schedule",
            Self::UsesExhausted => "uses-exhausted",
            Self::BadNonce => "bad-nonce",
            Self::NotTheHolder => "not-the-holder",
            Self::NoRoom => "no-room",
            Self::WrongPin => "wrong-pin",
            Self::KeypadClosed => "keypad-closed",
            Self::Lockdown => "lockdown",
            Self::TooMany => "too-many",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for Refusal {}
