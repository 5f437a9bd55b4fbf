//! What an authenticator says of itself and of the passkey that it made (WebAuthn Level 3, 6.1 and 6.5).

use coset::cbor::{self, Value};

use super::{MOST_ID_BYTES, Refused};
use crate::crypto::digest::digest;

/// Bits of the flags.
const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const MAY_BE_COPIED: u8 = 1 << 3;
const IS_COPIED: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// The data of an authenticator that saw its user and knows them.
#[derive(Debug)]
pub(super) struct AuthenticatorData {
    pub(super) counter: u32,
    pub(super) synced: bool,
    /// The passkey that it made, where it made one.
    pub(super) attested: Option<Attested>,
}

/// A passkey that was made.
#[derive(Debug)]
pub(super) struct Attested {
    /// The authenticator's name for it.
    pub(super) id: Vec<u8>,
    /// COSE.
    pub(super) public_key: Vec<u8>,
}

/// The `authData` of an `attestationObject`.
pub(super) fn data_in(attestation_object: &[u8]) -> Result<Vec<u8>, Refused> {
    let (object, rest) = value(attestation_object)?;
    let mut data = None;
    for (name, part) in object.into_map().map_err(|_| Refused)? {
        if name.as_text() == Some("authData") && data.replace(part).is_some() {
            return Err(Refused);
        }
    }
    match data {
        Some(data) if rest.is_empty() => data.into_bytes().map_err(|_| Refused),
        _ => Err(Refused),
    }
}

impl AuthenticatorData {
    /// Reads the data to its end. It is for the party of this name, and its user was there and verified.
    pub(super) fn read(data: &[u8], party: &str) -> Result<Self, Refused> {
        let (shown, rest) = data.split_at_checked(32).ok_or(Refused)?;
        let (flags, rest) = rest.split_first().ok_or(Refused)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(Refused)?;
        let is_set = |bit: u8| flags & bit != 0;
        if shown != digest(party.as_bytes()) || !is_set(PRESENT) || !is_set(VERIFIED) {
            return Err(Refused);
        }
        // What may not be copied is not (7.2, step 19).
        if is_set(IS_COPIED) && !is_set(MAY_BE_COPIED) {
            return Err(Refused);
        }
        let mut attested = None;
        if is_set(ATTESTED) {
            let (passkey, left) = Attested::read(rest)?;
            (attested, rest) = (Some(passkey), left);
        }
        if is_set(EXTENDED) {
            let (extensions, left) = value(rest)?;
            if !extensions.is_map() {
                return Err(Refused);
            }
            rest = left;
        }
        if !rest.is_empty() {
            return Err(Refused);
        }
        Ok(Self {
            counter: u32::from_be_bytes(*counter),
            synced: is_set(MAY_BE_COPIED),
            attested,
        })
    }
}

impl Attested {
    /// The passkey that these bytes begin with, and the bytes after it: who made the authenticator, the length of the name,
    /// the name, the key.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Refused> {
        let (_, rest) = bytes.split_at_checked(16).ok_or(Refused)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Refused)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length).ok_or(Refused)?;
        if id.is_empty() || id.len() > MOST_ID_BYTES {
            return Err(Refused);
        }
        let (_, after) = value(rest)?;
        let key = &rest[..rest.len() - after.len()];
        let passkey = Self {
            id: id.to_vec(),
            public_key: key.to_vec(),
        };
        Ok((passkey, after))
    }
}

/// The value that these bytes begin with, and the bytes after it.
fn value(mut bytes: &[u8]) -> Result<(Value, &[u8]), Refused> {
    let value = cbor::from_reader(&mut bytes).map_err(|_| Refused)?;
    Ok((value, bytes))
}
