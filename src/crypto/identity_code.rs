//! The code by which somebody who is locked out shows that a mailbox or a telephone is theirs: sent or told once, typed
//! by hand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::claim_code::{in_groups, letters_of, read_letters};
use crate::crypto::digest::{digest, hexadecimal};

/// A text is not such a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a code of {} letters and digits", IdentityCode::CHARS)]
pub struct BadIdentityCode;

/// 50 random bits in Crockford's base32, shown in two groups: `0A1B2-C3D4E`. Reading forgives what a claim code's reading
/// forgives. It stands five tries within minutes; what is stored is its [`Self::digest`].
#[derive(Clone)]
pub struct IdentityCode(Zeroizing<String>);

impl IdentityCode {
    /// How many letters and digits a code has, without the hyphen.
    pub const CHARS: usize = 10;

    /// The code of the lowest of these random bits.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(letters_of(bits, Self::CHARS))
    }

    /// The code in groups, for the one letter or the one answer that tells it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        in_groups(&self.0)
    }

    /// What the database keeps: lower-case hexadecimal SHA-256 of what the code is for and the code, so that equal codes
    /// of two asks do not look equal.
    #[must_use]
    pub fn digest(&self, of: &str) -> String {
        let told = Zeroizing::new(format!("{of} {}", self.0.as_str()));
        hexadecimal(&digest(told.as_bytes()))
    }

    /// Whether `kept` is the digest of this code for that, in a time that does not tell how nearly.
    #[must_use]
    pub fn is_kept_as(&self, of: &str, kept: &str) -> bool {
        self.digest(of).as_bytes().ct_eq(kept.as_bytes()).into()
    }
}

impl FromStr for IdentityCode {
    type Err = BadIdentityCode;

    fn from_str(text: &str) -> Result<Self, BadIdentityCode> {
        read_letters(text, Self::CHARS).map(Self).ok_or(BadIdentityCode)
    }
}

impl<'de> Deserialize<'de> for IdentityCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for IdentityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_was_told() {
        let code = IdentityCode::from_bits(0x1234_5678_9abc_def0);
        let shown = code.expose();
        assert_eq!(shown.len(), 11);
        let kept = code.digest("lockout_1");
        for typed in [shown.to_string(), shown.to_lowercase(), shown.replace('-', " ")] {
            let read: IdentityCode = typed.parse().unwrap();
            assert!(read.is_kept_as("lockout_1", &kept), "{typed}");
            assert!(!read.is_kept_as("lockout_2", &kept), "{typed}");
        }
        let other = IdentityCode::from_bits(0x1234_5678_9abc_def1);
        assert!(!other.is_kept_as("lockout_1", &kept));
        assert_eq!(format!("{code:?}"), "IdentityCode(…)");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "12345", "12345-6789", "12345-67890-1", "U2345-67890", "ünicode-ab"] {
            assert!(text.parse::<IdentityCode>().is_err(), "{text}");
        }
    }
}
