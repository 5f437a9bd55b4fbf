//! The claims of every message, as they stand in the payload of its JWS (`docs/PROTOCOL.md`, "Messages").
//!
//! Strings are borrowed from the payload, so that a lock reads a message without copying it. Every type refuses
//! unknown and repeated claims, and a claim that may be absent refuses `null`. Times are whole seconds since
//! 1970-01-01T00:00:00Z unless the field says otherwise; numbers stay below 2^53.

use serde::{Deserialize, Deserializer};

mod down;
mod lockdown;
mod pass;
mod pins;
mod schedule;
mod up;

pub use down::*;
pub use lockdown::*;
pub use pass::*;
pub use pins::*;
pub use schedule::*;
pub use up::*;

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

/// The longest id of a grant or tenancy that a lock takes.
pub const MAX_GID: usize = 64;

/// The node that stands for whichever is there.
pub const ANY_NODE: &str = "any";

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
    /// Backend to lock: PINs to know and to forget.
    Pins,
    /// Backend to lock: until when nobody is let in, and whom all the same.
    Lockdown,
    /// Backend to a phone, which shows it to locks: may open while the backend is away.
    Pass,
    /// Lock to a phone at the door: prove that the pass is yours, now.
    Challenge,
    /// Lock to backend: something happened.
    Event,
    /// Lock to backend: I am here, in this state.
    Hello,
    /// Lock to backend, at enrolment: I hold this key and this claim code.
    Enrol,
}

impl Typ {
    /// Every type, for tables.
    pub const ALL: [Self; 14] = [
        Self::Unlock,
        Self::Ack,
        Self::Resend,
        Self::Time,
        Self::Release,
        Self::Keyset,
        Self::Revocations,
        Self::Pins,
        Self::Lockdown,
        Self::Pass,
        Self::Challenge,
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
            Self::Pins => "pins+jwt",
            Self::Lockdown => "lockdown+jwt",
            Self::Pass => "pass+jwt",
            Self::Challenge => "challenge+jwt",
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

/// A claim that may be absent, but is not `null` where it stands.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
