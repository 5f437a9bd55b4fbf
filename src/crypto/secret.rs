//! Secrets that this backend makes: session and refresh tokens, links, broker passwords.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::crypto::digest::digest;

/// A text is not a secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a secret of {} base64url characters", Secret::CHARS)]
pub struct BadSecret;

/// 256 random bits as base64url text. Shown to its owner once ([`Self::expose`]); what is stored is its
/// [`Self::digest`]. It does not show in logs, does not serialize by accident, and leaves no trace in memory.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// How many random bytes there are in a secret.
    pub const BYTES: usize = 32;
    /// How many characters its text has.
    pub const CHARS: usize = 43;

    /// The secret of these random bytes; see [`crate::crypto::random::Random::secret`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, for the one answer that hands it to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the text: what the database keeps and looks it up by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest(self.0.as_bytes())
    }
}

impl FromStr for Secret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| BadSecret)?);
        if bytes.len() == Self::BYTES {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(BadSecret)
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::{OsRandom, Random as _};

    #[test]
    fn a_secret_survives_its_text_and_hides_in_logs() {
        let secret = OsRandom.secret();
        assert_eq!(secret.expose().len(), Secret::CHARS);
        assert_eq!(secret.expose().parse::<Secret>(), Ok(secret.clone()));
        assert_eq!(secret.digest(), digest(secret.expose().as_bytes()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn other_texts_are_not_secrets() {
        let good = Secret::from_bytes(&[7; 32]).expose().to_owned();
        // The last character of 43 holds two bits that no byte uses: with them set it would be a second text.
        let (short, long, padded, second) = (
            &good[1..],
            format!("{good}A"),
            format!("{good}="),
            format!("{}9", &good[..42]),
        );
        for text in ["", "a b", short, &long, &padded, &second] {
            assert!(text.parse::<Secret>().is_err(), "{text}");
        }
    }
}
