//! Claims of an offline pass, and of the challenge by which a phone proves that the pass is its own.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::schedule::{Schedule, Zone};
use super::{Action, ClockState, Head, present};

/// The most locks of one pass.
pub const MAX_PASS_LOCKS: usize = 16;

/// The longest life of a pass in seconds (`exp - iat`): a week.
pub const MAX_PASS_SECONDS: u64 = 7 * 24 * 3_600;

/// What the phone's signature begins with.
pub const PASS_ANSWER: &[u8] = b"doorward-pass-v1";

/// As what somebody comes to a door. A lock without any clock lets nobody in but tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Lives there.
    Tenant,
    /// Visits.
    Guest,
    /// Works there for an hour.
    Vendor,
}

/// The key that a pass is bound to (RFC 7800 section 3.1, RFC 7638).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation<'a> {
    /// Thumbprint of the phone's public key as base64url.
    pub jkt: &'a str,
}

/// Claims of `pass+jwt`: this phone may open these locks while the backend is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass<'a> {
    /// Version of the protocol: [`super::VERSION`].
    pub ver: u64,
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the locks belong to.
    pub org: &'a str,
    /// The locks, one to [`MAX_PASS_LOCKS`]; always a list.
    #[serde(borrow)]
    pub aud: Vec<&'a str, MAX_PASS_LOCKS>,
    /// Opaque pseudonym of the person.
    pub sub: &'a str,
    /// The grant or tenancy that allows it.
    pub gid: &'a str,
    /// `unlock`; whoever may unlock may lock, too.
    pub act: Action,
    /// 128 random bits as 22 characters of base64url.
    pub jti: &'a str,
    /// When it was issued.
    pub iat: u64,
    /// The first second in which it counts; not before `iat`.
    pub nbf: u64,
    /// The last second in which it counts; at most [`MAX_PASS_SECONDS`] after `iat`.
    pub exp: u64,
    /// When it was issued, as `min_rev` counts.
    pub rev: u64,
    /// As what the person comes.
    pub role: Role,
    /// When within its life; absent for always.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The wall clock that the schedule is read by; present exactly where `schedule` is.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// How many openings by passes of this grant the lock allows in all; absent for any number.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// How many of them the backend knew to be taken when it issued this, by this lock's own events: the lock counts on from
    /// here or from its own count, whichever is greater. Present exactly where `uses` is.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub used: Option<u32>,
    /// The phone's key.
    #[serde(borrow)]
    pub cnf: Confirmation<'a>,
}

/// Claims of `challenge+jwt`, by the lock's key: sign this, and show your pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge<'a> {
    /// The lock; the same as `kid` of the header.
    pub lock: &'a str,
    /// How often the lock has started.
    pub boot: u32,
    /// 128 random bits as 22 characters of base64url, good once and for 30 s.
    pub nonce: &'a str,
    /// The epoch of the revocations that the lock holds; 0 for none. A phone that holds newer ones hands them over.
    pub epoch: u64,
    /// The epoch of the lockdown that the lock holds; 0 for none, absent where it knows nothing of lockdowns. A phone that
    /// holds a newer one hands it over.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<u64>,
    /// How far the lock's clock can be believed.
    pub clock: ClockState,
    /// The newest event, for the phone to carry to the backend; `null` before the first.
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    pub head: Option<Head<'a>>,
}
