//! Claims of the messages from the backend to a lock.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::{MAX_KEYS, MAX_REVOKED, present};
use crate::refusal::Refusal;

/// What a person asks of the bolt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Withdraw the bolt.
    Unlock,
    /// Throw the bolt.
    Lock,
}

impl Action {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Lock => "lock",
        }
    }
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
    /// Version of the protocol: [`super::VERSION`].
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
    /// The last second in which the bolt may begin to move; at most [`super::MAX_TOKEN_SECONDS`] after `iat`.
    pub exp: u64,
    /// Greater than in every token before it. Its high bits are the issuer's generation; to a lock it is one number.
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

/// Claims of `keyset+jwt`, signed by the root key: the keys to believe from now on, instead of all before. One document
/// for every lock of the backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyset<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
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

/// Whom a message from the backend is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The backend.
    pub iss: &'a str,
    /// The organization.
    pub org: &'a str,
    /// The lock.
    pub aud: &'a str,
}

impl Address<'_> {
    /// Whether this, the address of a message, is `mine`.
    ///
    /// # Errors
    /// The first part that is another's.
    pub fn check(&self, mine: &Address<'_>) -> Result<(), Refusal> {
        if self.iss != mine.iss {
            return Err(Refusal::WrongIssuer);
        }
        if self.org != mine.org {
            return Err(Refusal::WrongOrganization);
        }
        if self.aud == mine.aud {
            Ok(())
        } else {
            Err(Refusal::WrongLock)
        }
    }
}

/// Claims of a message from the backend to one lock.
pub trait Addressed {
    /// Whom it is for.
    fn address(&self) -> Address<'_>;

    /// Its numbers, all of which stay below [`super::NUMBER_LIMIT`].
    fn numbers(&self) -> [u64; 5];
}

macro_rules! addressed {
    ($($claims:ident [$($number:ident),*];)+) => {$(
        impl Addressed for $claims<'_> {
            fn address(&self) -> Address<'_> {
                Address { iss: self.iss, org: self.org, aud: self.aud }
            }

            fn numbers(&self) -> [u64; 5] {
                let mut numbers = [0; 5];
                numbers.iter_mut().zip([$(self.$number),*]).for_each(|(to, from)| *to = from);
                numbers
            }
        }
    )+};
}

addressed! {
    Unlock [ver, iat, exp, ctr, rev];
    Ack [seq];
    Resend [from, to];
    Time [t];
    Release [iat, exp];
    Revocations [epoch, min_rev];
}
