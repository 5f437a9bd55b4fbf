//! Whether a lock believes a message from the backend. Pure: a message, and what the lock knows, make an answer.

use serde::Deserialize;

use crate::base64url::decode;
use crate::jws::Message;
use crate::keys::Keyset;
use crate::refusal::Refusal;
use crate::wire::{
    Ack, Address, Addressed, LockTime, MAX_TOKEN_SECONDS, NUMBER_LIMIT, Release, Resend, Revocations, Time, Typ,
    Unlock, Use, VERSION,
};

mod pass;

pub use pass::{Presentation, pass_answer};

/// The longest life of a release in seconds.
pub const MAX_RELEASE_SECONDS: u64 = 300;

/// The longest name of a backend node.
pub const MAX_NODE: usize = 32;

/// A moment as a lock knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// How often the lock has started.
    pub boot: u32,
    /// Seconds since that start.
    pub mono: u64,
    /// The time, where the clock is fresh.
    pub now: Option<u64>,
    /// The greatest time ever trusted.
    pub floor: u64,
}

/// What a lock holds a message against.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The backend, organization and lock id of the enrolment.
    pub address: Address<'a>,
    /// The keys that it believes.
    pub keyset: &'a Keyset,
    /// The counter of the last accepted token; 0 before the first.
    pub ctr: u64,
    /// Tokens with a `rev` below this are void.
    pub min_rev: u64,
    /// Now.
    pub moment: Moment,
}

/// Until when a bolt may begin to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The last second by the clock.
    pub exp: u64,
    /// The last second by the lock's own counter.
    pub lt: Option<LockTime>,
}

impl Deadline {
    /// Whether the bolt may begin to move at `moment`: by a fresh clock, or by the lock's own counter in the same start.
    ///
    /// # Errors
    /// [`Refusal::Expired`], [`Refusal::WrongBoot`] or [`Refusal::NoTime`].
    pub fn check(&self, moment: &Moment) -> Result<(), Refusal> {
        let by_clock = moment.now.is_some_and(|now| now <= self.exp);
        let by_counter = self.lt.is_some_and(|lt| lt.boot == moment.boot && moment.mono <= lt.dl);
        if by_clock || by_counter {
            return Ok(());
        }
        match (moment.now, self.lt) {
            (Some(_), _) => Err(Refusal::Expired),
            (None, Some(lt)) if lt.boot == moment.boot => Err(Refusal::Expired),
            (None, Some(_)) => Err(Refusal::WrongBoot),
            (None, None) => Err(Refusal::NoTime),
        }
    }
}

impl Known<'_> {
    /// Believes an unlock token, or says why not. The checks stand in the order of [`Refusal`].
    ///
    /// # Errors
    /// The first check that fails.
    pub fn accept<'m>(&self, message: &'m Message<'_>) -> Result<Unlock<'m>, Refusal> {
        let claims: Unlock<'m> = self.signed(message, Typ::Unlock, Use::Unlock)?;
        if claims.ver != VERSION {
            return Err(Refusal::WrongVersion);
        }
        claims.address().check(&self.address)?;
        let too_far = |lt: LockTime| lt.boot == self.moment.boot && lt.dl > self.moment.mono + MAX_TOKEN_SECONDS;
        if !lives_at_most(MAX_TOKEN_SECONDS, claims.iat, claims.exp) || claims.lt.is_some_and(too_far) {
            return Err(Refusal::BadLifetime);
        }
        if claims.rev < self.min_rev {
            return Err(Refusal::Revoked);
        }
        if claims.ctr <= self.ctr {
            return Err(Refusal::Replayed);
        }
        Deadline {
            exp: claims.exp,
            lt: claims.lt,
        }
        .check(&self.moment)?;
        Ok(claims)
    }

    /// Believes a document of this type, signed with a key for this purpose and addressed to this lock.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`Refusal`].
    pub fn read<'m, T>(&self, message: &'m Message<'_>, typ: Typ, purpose: Use) -> Result<T, Refusal>
    where
        T: Deserialize<'m> + Payload,
    {
        let claims: T = self.signed(message, typ, purpose)?;
        claims.address().check(&self.address)?;
        Ok(claims)
    }

    /// Whether something issued at `iat` counts now for a lock that has the time, and for no other.
    ///
    /// # Errors
    /// [`Refusal::BadLifetime`], [`Refusal::Expired`] or [`Refusal::NoTime`].
    pub fn in_time(&self, longest: u64, iat: u64, exp: u64) -> Result<(), Refusal> {
        if !lives_at_most(longest, iat, exp) {
            return Err(Refusal::BadLifetime);
        }
        Deadline { exp, lt: None }.check(&self.moment)
    }

    /// The claims of a message that the right key signed.
    fn signed<'m, T>(&self, message: &'m Message<'_>, typ: Typ, purpose: Use) -> Result<T, Refusal>
    where
        T: Deserialize<'m> + Payload,
    {
        self.verified(message, typ, purpose)?;
        let claims: T = message.claims()?;
        if claims.is_whole() {
            Ok(claims)
        } else {
            Err(Refusal::Malformed)
        }
    }

    /// Whether the right key signed a message of this type.
    fn verified(&self, message: &Message<'_>, typ: Typ, purpose: Use) -> Result<(), Refusal> {
        if message.typ()? != typ {
            return Err(Refusal::BadTyp);
        }
        let kid = message.header()?.kid;
        let held = self.keyset.find(kid, purpose, self.moment.now, self.moment.floor)?;
        message.verify(&held.public.key)
    }
}

/// Claims that a key of the keyset signs.
pub trait Payload: Addressed {
    /// What neither their types nor the limit of numbers say: how long a text is in bytes, and what must not be zero.
    fn is_in_form(&self) -> bool;

    /// Whether these may be the claims of a good message, whoever signed them.
    fn is_whole(&self) -> bool {
        self.numbers().iter().all(|number| *number < NUMBER_LIMIT) && self.is_in_form()
    }
}

impl Payload for Unlock<'_> {
    fn is_in_form(&self) -> bool {
        is_bits::<16>(self.jti) && is_node(self.node) && self.lt.is_none_or(|lt| lt.dl < NUMBER_LIMIT)
    }
}

impl Payload for Ack<'_> {
    fn is_in_form(&self) -> bool {
        is_bits::<16>(self.chain) && is_bits::<32>(self.head)
    }
}

impl Payload for Resend<'_> {
    fn is_in_form(&self) -> bool {
        is_bits::<16>(self.chain)
    }
}

impl Payload for Time<'_> {
    fn is_in_form(&self) -> bool {
        is_bits::<16>(self.nonce)
    }
}

impl Payload for Release<'_> {
    fn is_in_form(&self) -> bool {
        is_bits::<16>(self.jti)
    }
}

impl Payload for Revocations<'_> {
    fn is_in_form(&self) -> bool {
        self.epoch > 0
    }
}

/// Whether `text` is `N` bytes of base64url.
fn is_bits<const N: usize>(text: &str) -> bool {
    decode::<N>(text).is_some()
}

/// Whether `node` may be part of a topic: 1 to 32 of `a-z 0-9 -`.
#[must_use]
pub fn is_node(node: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_NODE).contains(&node.len()) && node.bytes().all(plain)
}

/// Whether a life from `iat` to `exp` is one, and not too long.
fn lives_at_most(longest: u64, iat: u64, exp: u64) -> bool {
    exp.checked_sub(iat)
        .is_some_and(|seconds| (1..=longest).contains(&seconds))
}
