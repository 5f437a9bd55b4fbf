//! Compact JWS with ES256 (RFC 7515, RFC 7518 section 3.4), strictly: one way to write a message, everything else is
//! refused. Nothing in here trusts a header: which key counts is the caller's decision.

use core::fmt;

use heapless::{String, Vec};
use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::refusal::Refusal;
use crate::signature::{self, PrivateKey};
use crate::wire::{MAX_MESSAGE, Typ};

/// A message: `header.payload.signature`.
pub type Compact = String<MAX_MESSAGE>;

/// The only algorithm: ECDSA on P-256 with SHA-256, the signature 64 bytes (r, then s).
pub const ALG: &str = "ES256";

/// The longest header in bytes: room for a hostile one, so that it gets its own refusal.
const MAX_HEADER: usize = 512;

/// The longest payload in bytes.
const MAX_PAYLOAD: usize = MAX_MESSAGE / 4 * 3;

/// The members of a header: these three, each once, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header<'a> {
    /// The algorithm; [`ALG`].
    pub alg: &'a str,
    /// What the message is.
    pub typ: &'a str,
    /// Which key signed it.
    pub kid: &'a str,
}

/// A message taken apart. Nothing is verified yet.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    signed: &'a str,
    header: Vec<u8, MAX_HEADER>,
    payload: Vec<u8, MAX_PAYLOAD>,
    signature: Option<[u8; 64]>,
}

impl<'a> Message<'a> {
    /// Takes `compact` apart.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it is longer than [`MAX_MESSAGE`] or is not three parts of strict base64url.
    pub fn parse(compact: &'a str) -> Result<Self, Refusal> {
        if compact.len() > MAX_MESSAGE {
            return Err(Refusal::Malformed);
        }
        let (signed, signature) = compact.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let mut bytes = [0; MAX_PAYLOAD];
        let signature = base64url::decode_into(signature, &mut bytes).ok_or(Refusal::Malformed)?;
        let signature = <[u8; 64]>::try_from(signature).ok();
        Ok(Self {
            signed,
            header: part(header)?,
            payload: part(payload)?,
            signature,
        })
    }

    /// The header, where it says [`ALG`] and nothing that it must not.
    ///
    /// # Errors
    /// [`Refusal::BadHeader`] for other members, [`Refusal::BadAlg`] for another algorithm.
    pub fn header(&self) -> Result<Header<'_>, Refusal> {
        let header: Header<'_> = json(&self.header).ok_or(Refusal::BadHeader)?;
        if header.alg == ALG {
            Ok(header)
        } else {
            Err(Refusal::BadAlg)
        }
    }

    /// What the message says it is.
    ///
    /// # Errors
    /// As [`Self::header`], and [`Refusal::BadTyp`] for a type that does not exist.
    pub fn typ(&self) -> Result<Typ, Refusal> {
        Typ::from_text(self.header()?.typ).ok_or(Refusal::BadTyp)
    }

    /// Whether `key` signed it.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`] where it did not.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), Refusal> {
        let bytes = self.signature.ok_or(Refusal::BadSignature)?;
        if signature::holds(key, self.signed.as_bytes(), &bytes) {
            Ok(())
        } else {
            Err(Refusal::BadSignature)
        }
    }

    /// The claims. They prove nothing before [`Self::verify`] has.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where the payload is not exactly a `T`.
    pub fn claims<'p, T: Deserialize<'p>>(&'p self) -> Result<T, Refusal> {
        json(&self.payload).ok_or(Refusal::Malformed)
    }
}

/// Takes `compact` apart, holds it against `typ` and the one key `(kid, key)`, and gives the message to read its claims
/// from. For whoever knows the signer beforehand: the backend for a lock's messages.
///
/// # Errors
/// What is wrong with it, in the order of [`Refusal`].
pub fn open<'a>(compact: &'a str, typ: Typ, kid: &str, key: &VerifyingKey) -> Result<Message<'a>, Refusal> {
    let message = Message::parse(compact)?;
    if message.typ()? != typ {
        return Err(Refusal::BadTyp);
    }
    if message.header()?.kid != kid {
        return Err(Refusal::UnknownKey);
    }
    message.verify(key)?;
    Ok(message)
}

/// A message cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignError {
    /// It would be longer than [`MAX_MESSAGE`].
    TooLong,
    /// A text in it is not printable ASCII, or holds a quotation mark or backslash.
    NotPlain,
    /// The signature could not be computed.
    Signature,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the message is too long",
            Self::NotPlain => "a text in the message is not plain printable ASCII",
            Self::Signature => "the signature could not be computed",
        })
    }
}

impl core::error::Error for SignError {}

/// Signs `claims` as a message of type `typ`, under the name `kid`.
///
/// # Errors
/// [`SignError`] where the claims are too long, or hold a text that no reader would take.
pub fn sign<T: Serialize>(typ: Typ, kid: &str, claims: &T, key: &impl PrivateKey) -> Result<Compact, SignError> {
    let mut message = Compact::new();
    let mut bytes = [0; MAX_PAYLOAD];
    let length = serde_json_core::to_slice(
        &Header {
            alg: ALG,
            typ: typ.as_str(),
            kid,
        },
        &mut bytes,
    );
    push_json(&mut message, &bytes, length)?;
    message.push('.').map_err(|_| SignError::TooLong)?;
    let length = serde_json_core::to_slice(claims, &mut bytes);
    push_json(&mut message, &bytes, length)?;
    let signature = key.sign(message.as_bytes()).ok_or(SignError::Signature)?;
    message.push('.').map_err(|_| SignError::TooLong)?;
    base64url::push(&mut message, &signature).ok_or(SignError::TooLong)?;
    Ok(message)
}

/// Appends the first `length` of `bytes`, a JSON text, as base64url.
fn push_json<E>(message: &mut Compact, bytes: &[u8], length: Result<usize, E>) -> Result<(), SignError> {
    let json = length
        .ok()
        .and_then(|length| bytes.get(..length))
        .ok_or(SignError::TooLong)?;
    if !is_plain(json) {
        return Err(SignError::NotPlain);
    }
    base64url::push(message, json).ok_or(SignError::TooLong)
}

/// One part of a message as bytes.
fn part<const N: usize>(text: &str) -> Result<Vec<u8, N>, Refusal> {
    let mut part = Vec::new();
    part.resize(N, 0).map_err(|_| Refusal::Malformed)?;
    let length = base64url::decode_into(text, &mut part).ok_or(Refusal::Malformed)?.len();
    part.truncate(length);
    Ok(part)
}

/// Reads one JSON value that fills `bytes`.
fn json<'p, T: Deserialize<'p>>(bytes: &'p [u8]) -> Option<T> {
    if !is_plain(bytes) {
        return None;
    }
    let mut reader = serde_json_core::de::Deserializer::new(bytes, None);
    let value = T::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// Whether a JSON text is printable ASCII without escapes: two readers cannot then disagree about what it says.
fn is_plain(json: &[u8]) -> bool {
    json.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
}
