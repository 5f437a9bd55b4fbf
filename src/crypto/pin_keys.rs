//! The PIN keys of locks: each is derived from one secret of this installation, so that the database holds none.

use std::path::Path;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::crypto::private_folder::{FolderError, PrivateFolder};
use crate::crypto::random::Random;
use crate::domain::ids::LockId;

const FILE: &str = "pin-secret";
const LABEL: &[u8] = b"doorward-pin-key-v1";

/// How many bytes a PIN key has.
pub const PIN_KEY_BYTES: usize = 32;

/// A PIN key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PinKeyError {
    /// The secret cannot be kept or read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is not what was written.
    #[error("the secret of the PIN keys is damaged")]
    Damaged,
    /// The library did not derive.
    #[error("a PIN key could not be derived")]
    NotDerived,
}

/// Derives the PIN keys.
pub struct PinKeys(Zeroizing<Vec<u8>>);

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        PIN_KEY_BYTES
    }
}

impl PinKeys {
    /// Reads the secret in `folder`, or makes it where there is none.
    ///
    /// # Errors
    /// [`PinKeyError::Folder`], [`PinKeyError::Damaged`].
    pub fn open(folder: &Path, random: &dyn Random) -> Result<Self, PinKeyError> {
        let folder = PrivateFolder::open(folder)?;
        let secret = folder.read_or_make(FILE, || {
            let mut secret = Zeroizing::new(vec![0; PIN_KEY_BYTES]);
            random.fill(&mut secret);
            Ok::<_, PinKeyError>(secret)
        })?;
        if secret.len() == PIN_KEY_BYTES {
            Ok(Self(secret))
        } else {
            Err(PinKeyError::Damaged)
        }
    }

    /// The PIN key of the lock in the enrolment of this number (from 1); another lock's, and that of a controller which
    /// was this lock before, is unrelated.
    ///
    /// # Errors
    /// [`PinKeyError::NotDerived`] where the library refuses, which it has no reason to.
    pub fn of(&self, lock: &LockId, enrolment: u32) -> Result<Zeroizing<[u8; PIN_KEY_BYTES]>, PinKeyError> {
        let mut key = Zeroizing::new([0; PIN_KEY_BYTES]);
        Salt::new(HKDF_SHA256, LABEL)
            .extract(&self.0)
            .expand(&[lock.as_str().as_bytes(), &enrolment.to_be_bytes()], Length)
            .and_then(|derived| derived.fill(key.as_mut()))
            .map_err(|_| PinKeyError::NotDerived)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    #[test]
    fn each_enrolment_of_each_lock_has_its_own_key_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let [front, back] = [1, 2].map(LockId::from_bits);
        let keys = PinKeys::open(&path, &OsRandom).unwrap();
        assert_ne!(keys.of(&front, 1).unwrap(), keys.of(&back, 1).unwrap());
        assert_ne!(keys.of(&front, 1).unwrap(), keys.of(&front, 2).unwrap());
        let again = PinKeys::open(&path, &OsRandom).unwrap();
        assert_eq!(keys.of(&front, 1).unwrap(), again.of(&front, 1).unwrap());
        let other = PinKeys::open(&folder.path().join("other"), &OsRandom).unwrap();
        assert_ne!(keys.of(&front, 1).unwrap(), other.of(&front, 1).unwrap());
    }
}
