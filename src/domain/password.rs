//! What a person may choose as a password.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A text is too short or too long for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a password of {} characters or more and at most {} bytes",
    Password::MIN_CHARS,
    Password::MAX_BYTES
)]
pub struct BadPassword;

/// A password as it was typed: any Unicode, spaces included, no rules of composition and no expiry, only a length
/// (NIST SP 800-63B, 3.1.1.2). It does not show in logs and leaves no trace in memory.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The fewest characters (Unicode code points).
    pub const MIN_CHARS: usize = 10;
    /// The most bytes in UTF-8: room for any sentence, little enough that hashing never waits for it.
    pub const MAX_BYTES: usize = 256;

    /// The bytes to hash.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Password {
    type Err = BadPassword;

    fn from_str(text: &str) -> Result<Self, BadPassword> {
        if text.len() <= Self::MAX_BYTES && text.chars().count() >= Self::MIN_CHARS {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(BadPassword)
        }
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_a_length_and_nothing_else() {
        let (longest, too_long) = ("a".repeat(256), "a".repeat(257));
        for (text, allowed) in [
            ("", false),
            ("123456789", false),
            ("1234567890", true),
            ("ünïcödé ☂☂", true),
            ("ü☂ü☂ü☂ü☂ü", false),
            ("          ", true),
            (&longest, true),
            (&too_long, false),
        ] {
            assert_eq!(text.parse::<Password>().is_ok(), allowed, "{text}");
        }
    }

    #[test]
    fn a_password_hides_in_logs() {
        let password: Password = "correct horse".parse().unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
    }
}
