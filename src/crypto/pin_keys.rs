//! The PIN keys of locks: each is derived from one secret of this installation, so that the database holds none.

use zeroize::Zeroizing;

use crate::crypto::derived::{DERIVED_BYTES, NotDerived, derived};
use crate::crypto::random::Random;
use crate::crypto::vault::{Content, Vault, VaultError};
use crate::domain::ids::LockId;

const FILE: &str = "pin-secret";
const LABEL: &[u8] = b"doorward-pin-key-v1";

/// How many bytes a PIN key has.
pub const PIN_KEY_BYTES: usize = DERIVED_BYTES;

/// A PIN key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PinKeyError {
    /// The secret cannot be kept or read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The library did not derive.
    #[error(transparent)]
    NotDerived(#[from] NotDerived),
}

/// Derives the PIN keys.
pub struct PinKeys(Zeroizing<Vec<u8>>);

impl PinKeys {
    /// Reads the secret in the vault, or makes it where there is none. One of the first version, which was not sealed, is
    /// sealed.
    ///
    /// # Errors
    /// [`PinKeyError::Vault`].
    pub fn open(vault: &Vault, random: &dyn Random) -> Result<Self, PinKeyError> {
        let Content { bytes, is_sealed } = vault.secret(FILE, random)?;
        if !is_sealed {
            vault.replace(FILE, &bytes)?;
        }
        Ok(Self(bytes))
    }

    /// The PIN key of the lock in the enrolment of this number (from 1); another lock's, and that of a controller which
    /// was this lock before, is unrelated.
    ///
    /// # Errors
    /// [`PinKeyError::NotDerived`] where the library refuses, which it has no reason to.
    pub fn of(&self, lock: &LockId, enrolment: u32) -> Result<Zeroizing<[u8; PIN_KEY_BYTES]>, PinKeyError> {
        Ok(derived(&self.0, LABEL, lock.as_str(), enrolment)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::private_folder::PrivateFolder;
    use crate::crypto::random::OsRandom;
    use crate::crypto::vault::KeyPlace;

    #[test]
    fn each_enrolment_of_each_lock_has_its_own_key_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let vault = |name: &str| {
            let place = KeyPlace::Own(folder.path().join("kek"));
            Vault::open(&folder.path().join(name), &place).unwrap()
        };
        let [front, back] = [1, 2].map(LockId::from_bits);
        let keys = PinKeys::open(&vault("keys"), &OsRandom).unwrap();
        assert_ne!(keys.of(&front, 1).unwrap(), keys.of(&back, 1).unwrap());
        assert_ne!(keys.of(&front, 1).unwrap(), keys.of(&front, 2).unwrap());
        let again = PinKeys::open(&vault("keys"), &OsRandom).unwrap();
        assert_eq!(keys.of(&front, 1).unwrap(), again.of(&front, 1).unwrap());
        let other = PinKeys::open(&vault("other"), &OsRandom).unwrap();
        assert_ne!(keys.of(&front, 1).unwrap(), other.of(&front, 1).unwrap());
    }

    #[test]
    fn a_secret_of_the_first_version_is_sealed_and_gives_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        PrivateFolder::open(&keys)
            .unwrap()
            .write_new(FILE, &[7; PIN_KEY_BYTES])
            .unwrap();
        let vault = Vault::open(&keys, &KeyPlace::Own(folder.path().join("kek"))).unwrap();
        let opened = PinKeys::open(&vault, &OsRandom).unwrap();
        assert_eq!(opened.0.as_slice(), [7; PIN_KEY_BYTES]);
        assert!(vault.read(FILE).unwrap().unwrap().is_sealed);
        assert_eq!(PinKeys::open(&vault, &OsRandom).unwrap().0, opened.0);

        vault.replace(FILE, b"short").unwrap();
        let message = PinKeys::open(&vault, &OsRandom).err().unwrap().to_string();
        assert!(message.contains("restore it from a backup"), "{message}");
    }
}
