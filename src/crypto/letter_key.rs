//! What letters are sealed under while they wait: a secret of this installation that the database does not have, because
//! letters hold codes.

use zeroize::Zeroizing;

use crate::crypto::random::Random;
use crate::crypto::sealed::{NotOpened, NotSealed, SealingKey};
use crate::crypto::vault::{Vault, VaultError};
use crate::domain::ids::LetterId;

const FILE: &str = "letter-secret";

/// Seals letters, each under a key of its own.
pub struct LetterKey(Zeroizing<Vec<u8>>);

impl LetterKey {
    /// Reads the secret in the vault, or makes it where there is none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(vault: &Vault, random: &dyn Random) -> Result<Self, VaultError> {
        Ok(Self(vault.secret(FILE, random)?.bytes))
    }

    /// `text`, sealed for the letter of this id.
    ///
    /// # Errors
    /// [`NotSealed`], for which there is no reason.
    pub fn seal(&self, id: &LetterId, text: &[u8], random: &dyn Random) -> Result<Vec<u8>, NotSealed> {
        self.of(id)?.seal(text, random)
    }

    /// What [`Self::seal`] sealed for this letter.
    ///
    /// # Errors
    /// [`NotOpened`] where it was sealed under another secret, for another letter, or changed.
    pub fn open_sealed(&self, id: &LetterId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let key = self.of(id).map_err(|_| NotOpened)?;
        key.open(sealed).map(Zeroizing::new)
    }

    fn of(&self, id: &LetterId) -> Result<SealingKey, NotSealed> {
        SealingKey::derive(&self.0, &[b"doorward-letter", id.as_str().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;
    use crate::crypto::vault::KeyPlace;

    #[test]
    fn a_letter_opens_under_its_own_name_at_its_own_installation() {
        let folder = tempfile::tempdir().unwrap();
        let vault = |name: &str| {
            let place = KeyPlace::Own(folder.path().join("kek"));
            Vault::open(&folder.path().join(name), &place).unwrap()
        };
        let [first, second] = [1, 2].map(LetterId::from_bits);
        let key = LetterKey::open(&vault("keys"), &OsRandom).unwrap();
        let sealed = key.seal(&first, b"123456", &OsRandom).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"123456"));
        let again = LetterKey::open(&vault("keys"), &OsRandom).unwrap();
        assert_eq!(again.open_sealed(&first, &sealed).unwrap().as_slice(), b"123456");
        assert_eq!(again.open_sealed(&second, &sealed), Err(NotOpened));
        let other = LetterKey::open(&vault("other"), &OsRandom).unwrap();
        assert_eq!(other.open_sealed(&first, &sealed), Err(NotOpened));

        vault("keys").replace(FILE, b"short").unwrap();
        let message = LetterKey::open(&vault("keys"), &OsRandom).err().unwrap().to_string();
        assert!(message.contains("restore it from a backup"), "{message}");
    }
}
