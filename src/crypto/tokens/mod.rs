//! What this backend signs for locks, and how it reads what locks sign.
//!
//! A message is taken apart by the same strict reader that a lock uses (`doorward_lock::jws`), so that both sides take
//! the same texts and refuse the same; signatures are made and verified by `jsonwebtoken`, whose own reading of headers
//! and claims is too lenient for this (it allows unknown header members, 60 s of leeway, and several ways to write one
//! token).

mod file;
mod schedule;
mod twin;

pub use schedule::{schedule_for_lock, zone_for_lock};
pub use twin::{hash_of_twin, is_hash_of, is_same_statement};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::jws::{ALG, Header, Message};
use doorward_lock::refusal::Refusal;
use doorward_lock::wire::{self, MAX_MESSAGE, NUMBER_LIMIT, Typ, Use};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::Serialize;

use crate::crypto::claim_code::ClaimCode;
use crate::crypto::digest::digest;
use crate::crypto::keys::Signer;
use crate::crypto::public_key::{BadPublicKey, PublicKey};
use crate::domain::ids::LockId;

/// The longest `kind`, `result`, `model` or `firmware` in a lock's message, in characters.
const MAX_WORD: usize = 64;

/// A message for a lock could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It would have more than [`MAX_MESSAGE`] bytes, and no lock would take it.
    #[error("the {} would have {length} bytes", .typ.as_str())]
    TooLong {
        /// What it was.
        typ: Typ,
        /// How long it would be.
        length: usize,
    },
    /// A text in it is not printable ASCII without quotation marks and backslashes, and no lock would take it.
    #[error("the {} has a text that locks do not read", .0.as_str())]
    NotPlain(Typ),
    /// There is no key for it.
    #[error("there is no signing key for {0:?}")]
    NoKey(Use),
    /// The claims could not be written.
    #[error("the claims could not be written")]
    Claims(#[from] serde_json::Error),
    /// The library did not sign.
    #[error("the message could not be signed")]
    Library(#[from] jsonwebtoken::errors::Error),
}

impl Signer {
    /// Signs an unlock token.
    ///
    /// # Errors
    /// [`SignError`], for this and all below.
    pub fn sign_unlock(&self, claims: &wire::Unlock<'_>) -> Result<String, SignError> {
        self.sign(Use::Unlock, Typ::Unlock, claims)
    }

    /// Signs that a lock's events are stored.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_ack(&self, claims: &wire::Ack<'_>) -> Result<String, SignError> {
        self.sign(Use::Ack, Typ::Ack, claims)
    }

    /// Signs that a lock's events are wanted again.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_resend(&self, claims: &wire::Resend<'_>) -> Result<String, SignError> {
        self.sign(Use::Ack, Typ::Resend, claims)
    }

    /// Signs the time.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_time(&self, claims: &wire::Time<'_>) -> Result<String, SignError> {
        self.sign(Use::Doc, Typ::Time, claims)
    }

    /// Signs an offline pass.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_pass(&self, claims: &wire::Pass<'_>) -> Result<String, SignError> {
        self.sign(Use::Pass, Typ::Pass, claims)
    }

    /// Signs which passes are void at a lock.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_revocations(&self, claims: &wire::Revocations<'_>) -> Result<String, SignError> {
        self.sign(Use::Doc, Typ::Revocations, claims)
    }

    /// Signs that a lock is to forget its organization.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_release(&self, claims: &wire::Release<'_>) -> Result<String, SignError> {
        self.sign(Use::Doc, Typ::Release, claims)
    }

    /// Signs what a lock is to know of PINs.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`]; [`SignError::TooLong`] of more slots than fit into one message.
    pub fn sign_pins(&self, claims: &wire::Pins<'_>) -> Result<String, SignError> {
        self.sign(Use::Doc, Typ::Pins, claims)
    }

    /// Signs until when a lock lets nobody in, and whom all the same.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`]; [`SignError::TooLong`] of more exceptions than fit into one message.
    pub fn sign_lockdown(&self, claims: &wire::Lockdown<'_>) -> Result<String, SignError> {
        self.sign(Use::Doc, Typ::Lockdown, claims)
    }

    fn sign(&self, purpose: Use, typ: Typ, claims: &impl Serialize) -> Result<String, SignError> {
        let key = self.key(purpose)?;
        sign(key.kid(), key.private(), typ, claims)
    }
}

/// Signs `claims` under the name `kid`.
pub(super) fn sign(kid: &str, key: &EncodingKey, typ: Typ, claims: &impl Serialize) -> Result<String, SignError> {
    let header = serde_json::to_vec(&Header {
        alg: ALG,
        typ: typ.as_str(),
        kid,
    })?;
    let claims = serde_json::to_vec(claims)?;
    if !claims.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
        return Err(SignError::NotPlain(typ));
    }
    let mut message = URL_SAFE_NO_PAD.encode(header);
    message.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut message);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::ES256)?;
    message.push('.');
    message.push_str(&signature);
    if message.len() > MAX_MESSAGE {
        return Err(SignError::TooLong {
            typ,
            length: message.len(),
        });
    }
    Ok(message)
}

/// What a lock that enrols says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product<'a> {
    /// Maker's name of it.
    pub model: &'a str,
    /// Version of its firmware.
    pub firmware: &'a str,
}

/// A lock's key, to verify what it says.
#[derive(Debug, Clone)]
pub struct LockKey {
    kid: String,
    key: DecodingKey,
}

/// A message that a lock did sign.
#[derive(Debug, Clone)]
pub struct Signed<'a> {
    compact: &'a str,
    typ: Typ,
    kid: &'a str,
    message: Message<'a>,
}

/// What a lock says on its `up` topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<'a> {
    /// Something happened.
    Event(wire::Event<'a>),
    /// It is there, and holds this.
    Hello(wire::Hello<'a>),
}

impl LockKey {
    /// The key of an enrolled lock: it signs under its own id.
    ///
    /// # Errors
    /// [`BadPublicKey`] where the key is none.
    pub fn of_lock(lock: &LockId, key: &PublicKey) -> Result<Self, BadPublicKey> {
        Self::named(lock.as_str().to_owned(), key)
    }

    /// The key of a lock that enrols: it signs under the key's thumbprint.
    ///
    /// # Errors
    /// [`BadPublicKey`] where the key is none.
    pub fn of_newcomer(key: &PublicKey) -> Result<Self, BadPublicKey> {
        Self::named(key.thumbprint(), key)
    }

    fn named(kid: String, key: &PublicKey) -> Result<Self, BadPublicKey> {
        let jwk = key.jwk();
        Ok(Self {
            kid,
            key: DecodingKey::from_ec_components(jwk.x, jwk.y).map_err(|_| BadPublicKey)?,
        })
    }

    /// Verifies that this lock signed `compact` as one of `types`.
    ///
    /// # Errors
    /// What is wrong with it, in the order of [`Refusal`], up to [`Refusal::BadSignature`].
    fn verify<'a>(&'a self, compact: &'a [u8], types: &[Typ]) -> Result<Signed<'a>, Refusal> {
        let compact = std::str::from_utf8(compact).map_err(|_| Refusal::Malformed)?;
        let message = Message::parse(compact)?;
        let typ = message.typ()?;
        if !types.contains(&typ) {
            return Err(Refusal::BadTyp);
        }
        if message.header()?.kid != self.kid {
            return Err(Refusal::UnknownKey);
        }
        let (signed, signature) = compact.rsplit_once('.').ok_or(Refusal::Malformed)?;
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, Algorithm::ES256) {
            Ok(true) => Ok(Signed {
                compact,
                typ,
                kid: &self.kid,
                message,
            }),
            Ok(false) | Err(_) => Err(Refusal::BadSignature),
        }
    }

    /// Verifies a message of an enrolled lock: an event or a hello.
    ///
    /// # Errors
    /// What is wrong with it, in the order of [`Refusal`], up to [`Refusal::BadSignature`].
    pub fn open<'a>(&'a self, compact: &'a [u8]) -> Result<Signed<'a>, Refusal> {
        self.verify(compact, &[Typ::Event, Typ::Hello])
    }

    /// Verifies the proof of a lock that enrols: that it holds the key, and the claim code that came with it.
    ///
    /// # Errors
    /// What is wrong with it; [`Refusal::Malformed`] where it was made for another key or code.
    pub fn verify_enrolment(&self, compact: &str, code: &ClaimCode, product: Product<'_>) -> Result<(), Refusal> {
        let signed = self.verify(compact.as_bytes(), &[Typ::Enrol])?;
        let claims: wire::Enrol<'_> = signed.message.claims()?;
        let fits = claims.jkt == self.kid
            && claims.code_hash == URL_SAFE_NO_PAD.encode(code.typed_digest())
            && is_word(claims.model)
            && is_word(claims.firmware)
            && Product {
                model: claims.model,
                firmware: claims.firmware,
            } == product;
        if fits { Ok(()) } else { Err(Refusal::Malformed) }
    }
}

impl Signed<'_> {
    /// The message as it came, to be stored.
    #[must_use]
    pub fn compact(&self) -> &str {
        self.compact
    }

    /// SHA-256 of the message as it came: what an acknowledgement of it calls `head`. Compare an event's `prev` by
    /// [`is_hash_of`] and not by this, for messages have two forms.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        digest(self.compact.as_bytes())
    }

    /// What the lock says. The form of every claim is checked; of an event's `kind` and `result` only that they are
    /// words, for a later lock may know more of them.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where a claim is missing, unknown, repeated or not what it must be, [`Refusal::WrongLock`]
    /// where the message is about another lock than the one that signed it.
    pub fn claims(&self) -> Result<Said<'_>, Refusal> {
        let (lock, whole, said) = match self.typ {
            Typ::Event => {
                let event: wire::Event<'_> = self.message.claims()?;
                (event.lock, is_whole_event(&event), Said::Event(event))
            }
            Typ::Hello => {
                let hello: wire::Hello<'_> = self.message.claims()?;
                (hello.lock, is_whole_hello(&hello), Said::Hello(hello))
            }
            _ => return Err(Refusal::BadTyp),
        };
        if !whole {
            Err(Refusal::Malformed)
        } else if lock != self.kid {
            Err(Refusal::WrongLock)
        } else {
            Ok(said)
        }
    }
}

fn is_whole_event(event: &wire::Event<'_>) -> bool {
    let cause = match event.cause {
        wire::Cause::Jti(jti) => is_bits::<16>(jti),
        wire::Cause::Pass(word) | wire::Cause::Code(word) => is_word(word),
        wire::Cause::Pin(_) | wire::Cause::Manual | wire::Cause::Key | wire::Cause::Auto => true,
    };
    cause
        && is_bits::<16>(event.chain)
        && is_bits::<32>(event.prev)
        && (event.seq == 0) == (event.prev == wire::NO_PREVIOUS)
        && is_bits::<16>(event.salt)
        && [event.seq, event.mono, event.wall.unwrap_or(0)]
            .iter()
            .all(|number| *number < NUMBER_LIMIT)
        && is_word(event.kind)
        && is_word(event.result)
        && event.battery.is_none_or(|percent| percent <= 100)
}

fn is_whole_hello(hello: &wire::Hello<'_>) -> bool {
    let head = hello
        .head
        .is_none_or(|head| is_bits::<16>(head.chain) && is_bits::<32>(head.hash) && head.seq < NUMBER_LIMIT);
    let lockdown = hello.lockdown.unwrap_or_default();
    let numbers = [
        hello.mono,
        hello.keyset,
        hello.revocations,
        hello.pins,
        lockdown,
        hello.ctr,
    ];
    head && numbers.iter().all(|number| *number < NUMBER_LIMIT)
        && is_word(hello.firmware)
        && is_word(hello.model)
        && hello.nonce.is_none_or(is_bits::<16>)
        && hello.battery.is_none_or(|percent| percent <= 100)
}

/// Whether `text` is `N` bytes of base64url, written the one way.
fn is_bits<const N: usize>(text: &str) -> bool {
    doorward_lock::base64url::decode::<N>(text).is_some()
}

/// Whether `text` has 1 to [`MAX_WORD`] characters; the reader has seen to it that they are printable ASCII.
fn is_word(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len())
}

#[cfg(test)]
mod tests;
