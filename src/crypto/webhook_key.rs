//! What webhooks are signed with, and their addresses sealed under: all of it derived from a secret of this installation
//! that the database does not have.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::crypto::derived::{NotDerived, derived};
use crate::crypto::random::Random;
use crate::crypto::sealed::{NotOpened, NotSealed, SealingKey};
use crate::crypto::vault::{Vault, VaultError};
use crate::domain::ids::WebhookId;

const FILE: &str = "webhook-secret";

const LABEL: &[u8] = b"doorward-webhook-v1";

/// Signs for webhooks, for each under secrets of its own.
pub struct WebhookKey(Zeroizing<Vec<u8>>);

impl WebhookKey {
    /// Reads the secret in the vault, or makes it where there is none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(vault: &Vault, random: &dyn Random) -> Result<Self, VaultError> {
        Ok(Self(vault.secret(FILE, random)?.bytes))
    }

    /// The webhook's secret of this number as its receiver keeps it: `whsec_` and base64.
    ///
    /// # Errors
    /// [`NotDerived`].
    pub fn secret(&self, id: &WebhookId, number: u32) -> Result<Zeroizing<String>, NotDerived> {
        let secret = derived(&self.0, LABEL, id.as_str(), number)?;
        Ok(Zeroizing::new(format!("whsec_{}", STANDARD.encode(secret.as_slice()))))
    }

    /// The value of `webhook-signature`: a signature under each of the secrets of these numbers over the id, the time and
    /// the body.
    ///
    /// # Errors
    /// [`NotDerived`].
    pub fn signature(
        &self,
        id: &WebhookId,
        numbers: impl Iterator<Item = u32>,
        message_id: &str,
        timestamp: i64,
        body: &str,
    ) -> Result<String, NotDerived> {
        let signed = Zeroizing::new(format!("{message_id}.{timestamp}.{body}"));
        let signatures = numbers.map(|number| {
            let secret = derived(&self.0, LABEL, id.as_str(), number)?;
            let key = Key::new(HMAC_SHA256, secret.as_slice());
            Ok(format!("v1,{}", STANDARD.encode(sign(&key, signed.as_bytes()))))
        });
        Ok(signatures.collect::<Result<Vec<_>, NotDerived>>()?.join(" "))
    }

    /// The webhook's address, sealed, as text.
    ///
    /// # Errors
    /// [`NotSealed`], for which there is no reason.
    pub fn seal_url(&self, id: &WebhookId, url: &str, random: &dyn Random) -> Result<String, NotSealed> {
        let sealed = self.of_url(id)?.seal(url.as_bytes(), random)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What [`Self::seal_url`] sealed for this webhook.
    ///
    /// # Errors
    /// [`NotOpened`] where it was sealed under another secret, for another webhook, or changed.
    pub fn open_url(&self, id: &WebhookId, sealed: &str) -> Result<String, NotOpened> {
        let key = self.of_url(id).map_err(|_| NotOpened)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| NotOpened)?;
        String::from_utf8(key.open(&sealed)?).map_err(|_| NotOpened)
    }

    fn of_url(&self, id: &WebhookId) -> Result<SealingKey, NotSealed> {
        SealingKey::derive(&self.0, &[b"doorward-webhook-url", id.as_str().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;
    use crate::crypto::vault::KeyPlace;

    #[test]
    fn each_webhook_has_secrets_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::Own(folder.path().join("kek"));
        let vault = Vault::open(&folder.path().join("keys"), &place).unwrap();
        let key = WebhookKey::open(&vault, &OsRandom).unwrap();
        let [first, second] = [1, 2].map(WebhookId::from_bits);
        let secret = key.secret(&first, 1).unwrap();
        assert_eq!(secret.len(), "whsec_".len() + 44);
        assert_eq!(
            *secret,
            *WebhookKey::open(&vault, &OsRandom).unwrap().secret(&first, 1).unwrap()
        );
        assert_ne!(*secret, *key.secret(&first, 2).unwrap());
        assert_ne!(*secret, *key.secret(&second, 1).unwrap());

        let sealed = key.seal_url(&first, "https://hooks.example/a", &OsRandom).unwrap();
        assert_eq!(key.open_url(&first, &sealed).unwrap(), "https://hooks.example/a");
        assert_eq!(key.open_url(&second, &sealed), Err(NotOpened));
    }

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the specification: its secret, its message, its signature.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        let signature = STANDARD.encode(sign(&Key::new(HMAC_SHA256, &secret), signed));
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
