//! The text of an API key.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::secret::Secret;

/// A text is not an API key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an API key: `{}` and {} base64url characters",
    KeyText::PREFIX,
    Secret::CHARS
)]
pub struct BadKeyText;

/// What a program shows: `dwk_` and a secret of 256 bits. The prefix tells it from a session's token, and lets tools that
/// look for leaked secrets find it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Secret);

impl KeyText {
    /// What every key begins with.
    pub const PREFIX: &'static str = "dwk_";

    /// The text of the key with this secret.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The secret in it.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// The whole text, for the one answer that hands it to its owner.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", Self::PREFIX, self.0.expose()))
    }

    /// SHA-256 of the secret: what the database keeps and looks the key up by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest()
    }
}

impl FromStr for KeyText {
    type Err = BadKeyText;

    fn from_str(text: &str) -> Result<Self, BadKeyText> {
        let secret = text.strip_prefix(Self::PREFIX).ok_or(BadKeyText)?;
        secret.parse().map(Self).map_err(|_| BadKeyText)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::{OsRandom, Random as _};

    #[test]
    fn a_key_survives_its_text_and_hides_in_logs() {
        let key = KeyText::new(OsRandom.secret());
        assert_eq!(key.expose().parse::<KeyText>(), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "KeyText(…)");
    }

    #[test]
    fn a_key_is_no_token_and_a_token_is_no_key() {
        let secret = OsRandom.secret();
        assert!(secret.expose().parse::<KeyText>().is_err());
        assert!(KeyText::new(secret.clone()).expose().parse::<Secret>().is_err());
        let upper = format!("DWK_{}", secret.expose());
        let spaced = format!("dwk_ {}", secret.expose());
        for text in ["", "dwk_", "dwk_short", &upper, &spaced] {
            assert!(text.parse::<KeyText>().is_err(), "{text}");
        }
    }
}
