//! What a person types beside their password: a one-time code of their device, or a recovery code from a list on paper.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::claim_code::{in_groups, letters_of, read_letters};

/// 50 random bits in Crockford's base32, shown in two groups: `0A1B2-C3D4E`. Each works once.
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<String>);

impl RecoveryCode {
    /// How many letters and digits a code has, without the hyphen.
    pub const CHARS: usize = 10;

    /// The code of the lowest of these random bits.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(letters_of(bits, Self::CHARS))
    }

    /// The code in groups, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        in_groups(&self.0)
    }

    /// The letters without hyphen, to be digested.
    #[must_use]
    pub fn letters(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

/// A text is neither a one-time code nor a recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the six digits that your device shows, or a recovery code")]
pub struct BadFactorCode;

/// A code beside the password. Spaces and hyphens do not matter.
#[derive(Clone)]
pub enum FactorCode {
    /// Six digits.
    OneTime(Zeroizing<String>),
    /// From the list.
    Recovery(RecoveryCode),
}

impl FromStr for FactorCode {
    type Err = BadFactorCode;

    fn from_str(text: &str) -> Result<Self, BadFactorCode> {
        if text.len() > 32 {
            return Err(BadFactorCode);
        }
        let bare = Zeroizing::new(text.replace([' ', '-'], ""));
        if bare.len() == 6 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::OneTime(bare));
        }
        let letters = read_letters(text, RecoveryCode::CHARS).ok_or(BadFactorCode)?;
        Ok(Self::Recovery(RecoveryCode(letters)))
    }
}

impl<'de> Deserialize<'de> for FactorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for FactorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let shown = RecoveryCode::from_bits(0x1234_5678_9abc).expose();
        for text in [shown.to_string(), shown.to_lowercase(), shown.replace('-', " ")] {
            let read: FactorCode = text.parse().unwrap();
            let FactorCode::Recovery(code) = read else {
                panic!("{text} is a recovery code")
            };
            assert_eq!(*code.expose(), *shown);
        }
        for text in ["123456", "123 456", " 123-456 "] {
            assert!(
                matches!(text.parse(), Ok(FactorCode::OneTime(digits)) if *digits == "123456"),
                "{text}"
            );
        }
        for text in ["", "12345", "1234567", "0A1B2-C3D4", "0A1B2-C3D4U", &"1".repeat(33)] {
            assert!(text.parse::<FactorCode>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_code_shows_in_a_log() {
        let code: FactorCode = "123456".parse().unwrap();
        assert_eq!(format!("{code:?}"), "FactorCode(…)");
    }
}
