//! What secrets of second factors are sealed under, and recovery codes digested with: a secret of this installation that the
//! database does not have.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::crypto::derived::{NotDerived, derived};
use crate::crypto::random::Random;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::sealed::{NotOpened, NotSealed, SealingKey};
use crate::crypto::totp::TotpSecret;
use crate::crypto::vault::{Vault, VaultError};
use crate::domain::ids::PersonId;

const FILE: &str = "factor-secret";

const LABEL: &[u8] = b"doorward-recovery-v1";

/// Seals for persons, for each under a key of their own.
pub struct FactorKey(Zeroizing<Vec<u8>>);

impl FactorKey {
    /// Reads the secret in the vault, or makes it where there is none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(vault: &Vault, random: &dyn Random) -> Result<Self, VaultError> {
        Ok(Self(vault.secret(FILE, random)?.bytes))
    }

    /// The person's secret, sealed, as text.
    ///
    /// # Errors
    /// [`NotSealed`], for which there is no reason.
    pub fn seal(&self, person: &PersonId, secret: &TotpSecret, random: &dyn Random) -> Result<String, NotSealed> {
        Ok(URL_SAFE_NO_PAD.encode(self.of(person)?.seal(secret.expose(), random)?))
    }

    /// What [`Self::seal`] sealed for this person.
    ///
    /// # Errors
    /// [`NotOpened`] where it was sealed under another secret, for another person, or changed.
    pub fn unseal(&self, person: &PersonId, sealed: &str) -> Result<TotpSecret, NotOpened> {
        let key = self.of(person).map_err(|_| NotOpened)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| NotOpened)?;
        Ok(TotpSecret::of_bytes(Zeroizing::new(key.open(&sealed)?)))
    }

    /// What the database keeps of a recovery code of this person.
    ///
    /// # Errors
    /// [`NotDerived`], for which there is no reason.
    pub fn digest(&self, person: &PersonId, code: &RecoveryCode) -> Result<String, NotDerived> {
        let secret = derived(&self.0, LABEL, person.as_str(), 0)?;
        let tag = sign(&Key::new(HMAC_SHA256, secret.as_slice()), code.letters().as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(tag))
    }

    fn of(&self, person: &PersonId) -> Result<SealingKey, NotSealed> {
        SealingKey::derive(&self.0, &[b"doorward-second-factor", person.as_str().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;
    use crate::crypto::vault::KeyPlace;

    #[test]
    fn a_secret_opens_for_its_person_at_its_installation() {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let place = KeyPlace::Own(folder.path().join("kek"));
            let vault = Vault::open(&folder.path().join(name), &place).unwrap();
            FactorKey::open(&vault, &OsRandom).unwrap()
        };
        let [tom, eve] = [1, 2].map(PersonId::from_bits);
        let secret = TotpSecret::new(&OsRandom);
        let sealed = key("keys").seal(&tom, &secret, &OsRandom).unwrap();
        assert_eq!(key("keys").unseal(&tom, &sealed).unwrap().expose(), secret.expose());
        assert_eq!(key("keys").unseal(&eve, &sealed).err(), Some(NotOpened));
        assert_eq!(key("other").unseal(&tom, &sealed).err(), Some(NotOpened));

        let code = RecoveryCode::from_bits(7);
        let digest = key("keys").digest(&tom, &code).unwrap();
        assert_eq!(digest, key("keys").digest(&tom, &code).unwrap());
        assert_ne!(digest, key("keys").digest(&eve, &code).unwrap());
        assert_ne!(digest, key("other").digest(&tom, &code).unwrap());
    }
}
