//! The code by which a new lock proves that a manager added it: shown once, typed by hand or read from a QR picture.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::crypto::digest::digest;

/// Crockford's base32: no I, L, O, U, which look or read like something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Where the groups of the shown text end.
const GROUP_ENDS: [usize; 4] = [5, 10, 15, 20];

/// A text is not a claim code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a claim code of {} letters and digits", ClaimCode::CHARS)]
pub struct BadClaimCode;

/// 128 random bits in Crockford's base32, shown in groups: `0A1B2-C3D4E-…`. Reading forgives case, spaces, hyphens,
/// and the letters that are taken for digits (`O` is `0`, `I` and `L` are `1`). What is stored is its [`Self::digest`].
#[derive(Clone)]
pub struct ClaimCode {
    /// 26 characters of the alphabet.
    letters: Zeroizing<String>,
    /// The text that the code was read from.
    typed: Zeroizing<String>,
}

impl ClaimCode {
    /// How many letters and digits a code has, without hyphens.
    pub const CHARS: usize = 26;

    /// The code of these random bits; see [`crate::crypto::random::Random::claim_code`].
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        let letters = letters_of(bits, Self::CHARS);
        let typed = in_groups(&letters);
        Self { letters, typed }
    }

    /// The code in groups, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        in_groups(&self.letters)
    }

    /// SHA-256 of the 26 characters without hyphens: what the database keeps and looks the code up by, however it was typed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest(self.letters.as_bytes())
    }

    /// SHA-256 of the text that the code was read from: what a lock, which need not know how codes are typed, makes its
    /// proof of enrolment over (`docs/PROTOCOL.md`, "Enrolment").
    #[must_use]
    pub fn typed_digest(&self) -> [u8; 32] {
        digest(self.typed.as_bytes())
    }
}

/// The lowest bits as so many letters and digits.
pub(super) fn letters_of(bits: u128, chars: usize) -> Zeroizing<String> {
    let chars = (0..chars)
        .rev()
        .map(|at| char::from(ALPHABET[(bits >> (5 * at)) as usize & 31]));
    Zeroizing::new(chars.collect::<String>())
}

/// The letters and digits that were meant, if they are so many: forgives case, spaces, hyphens, and the letters that are
/// taken for digits.
pub(super) fn read_letters(text: &str, chars: usize) -> Option<Zeroizing<String>> {
    let mut letters = Zeroizing::new(String::with_capacity(chars));
    for typed in text.chars().filter(|typed| !matches!(typed, '-' | ' ')) {
        let meant = match typed.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        };
        let known = u8::try_from(meant).is_ok_and(|letter| ALPHABET.contains(&letter));
        if !known || letters.len() == chars {
            return None;
        }
        letters.push(meant);
    }
    (letters.len() == chars).then_some(letters)
}

/// The letters and digits as they are shown: in groups of five, and what is left over in the last one.
pub(super) fn in_groups(letters: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(letters.len() + GROUP_ENDS.len()));
    for (at, letter) in letters.chars().enumerate() {
        if GROUP_ENDS.contains(&at) {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

impl PartialEq for ClaimCode {
    fn eq(&self, other: &Self) -> bool {
        self.letters == other.letters
    }
}

impl Eq for ClaimCode {}

impl FromStr for ClaimCode {
    type Err = BadClaimCode;

    fn from_str(text: &str) -> Result<Self, BadClaimCode> {
        let code = read_letters(text, Self::CHARS).ok_or(BadClaimCode)?;
        // 26 characters hold 130 bits; the first one may only use its lower three.
        let fits = matches!(code.as_bytes()[0], b'0'..=b'7');
        if fits {
            Ok(Self {
                letters: code,
                typed: Zeroizing::new(text.to_owned()),
            })
        } else {
            Err(BadClaimCode)
        }
    }
}

impl<'de> Deserialize<'de> for ClaimCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::{OsRandom, Random as _};

    #[test]
    fn a_code_survives_its_text() {
        for bits in [0, 1, u128::MAX, OsRandom.bits()] {
            let code = ClaimCode::from_bits(bits);
            let read: ClaimCode = code.expose().parse().unwrap();
            assert_eq!((&read, read.typed_digest()), (&code, code.typed_digest()));
        }
    }

    #[test]
    fn a_code_reads_well() {
        assert_eq!(
            ClaimCode::from_bits(0).expose().as_str(),
            "00000-00000-00000-00000-000000"
        );
        assert_eq!(
            ClaimCode::from_bits(u128::MAX).expose().as_str(),
            "7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ"
        );
        assert_eq!(format!("{:?}", ClaimCode::from_bits(0)), "ClaimCode(…)");
    }

    #[test]
    fn a_code_typed_carelessly_is_the_same_code() {
        let code = ClaimCode::from_bits(1 << 5 | 1);
        for typed in [
            "00000000000000000000000011",
            " oooo0 00000 00000 00000 0000iL ",
            "0-000000000000000000000001-1",
        ] {
            let read: ClaimCode = typed.parse().unwrap();
            assert_eq!(
                (read.digest(), read.typed_digest()),
                (code.digest(), digest(typed.as_bytes())),
                "{typed}"
            );
        }
    }

    #[test]
    fn other_texts_are_not_codes() {
        let long = "0".repeat(27);
        for text in [
            "",
            "0000",
            &long,
            "80000000000000000000000000",
            "U0000000000000000000000000",
            "0000000000000ä0000000000000",
        ] {
            assert!(text.parse::<ClaimCode>().is_err(), "{text}");
        }
    }
}
