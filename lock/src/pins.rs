//! PINs: the keys that follow from a lock's PIN key, the MAC by which a slot knows its digits, and the codes that a lock
//! and its backend compute alike (`docs/PROTOCOL.md`, "PINs"). The digits themselves are nowhere kept.

use core::fmt::{self, Write as _};

use heapless::String;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::base64url::{self, Text32};

/// How many digits the PIN of a slot has.
pub const SLOT_DIGITS: core::ops::RangeInclusive<usize> = 6..=8;

/// How many digits a computed code has.
pub const CODE_DIGITS: usize = 10;

/// How many days a computed code may count.
pub const CODE_DAYS: [u8; 4] = [1, 2, 3, 7];

/// How many computed codes there are for the same first day and number of days.
pub const CODE_SERIALS: u8 = 8;

/// How many computed codes there are with the same first day: as many as have a bit in a record of used codes.
pub const CODES_A_DAY: usize = CODE_DAYS.len() * CODE_SERIALS as usize;

/// How many computed codes at most may count on one day.
pub const CODES_AT_ONCE: u32 = 7 * CODES_A_DAY as u32;

/// The longest name of a computed code, `first_day-days-serial`.
pub const MAX_CODE_NAME: usize = 24;

/// The number of digits of a computed code as the first power of ten that it stays below.
const CODES: u64 = 10_u64.pow(CODE_DIGITS as u32);

/// What somebody has entered: 6 to 8 digits, or 10. Its `Debug` form does not tell them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a>(&'a str);

impl<'a> Entry<'a> {
    /// The entry with these digits; `None` where they are none that any lock could have given. That is no guess, and counts
    /// as none.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let is_long = SLOT_DIGITS.contains(&text.len()) || text.len() == CODE_DIGITS;
        (is_long && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(Self(text))
    }

    /// Whether it can only be a computed code.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.0.len() == CODE_DIGITS
    }

    /// The number that the digits are.
    fn number(&self) -> u64 {
        self.0
            .bytes()
            .fold(0, |number, byte| number * 10 + u64::from(byte - b'0'))
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(…)")
    }
}

/// A lock's PIN key, 32 bytes, as it came with the enrolment. Erased when it is dropped; its `Debug` form does not tell it.
#[derive(Clone)]
pub struct PinKey(Zeroizing<[u8; 32]>);

impl PinKey {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key that this is as base64url; `None` where it is none.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        base64url::decode(text).map(Self::new)
    }

    /// The key of the MACs of slots.
    #[must_use]
    pub fn slots(&self) -> SlotKey {
        SlotKey(hmac(&self.0, &[b"doorward-pin-slot-v1"]))
    }

    /// The key of the computed codes of this generation.
    #[must_use]
    pub fn codes(&self, generation: u32) -> CodeKey {
        CodeKey(hmac(&self.0, &[b"doorward-pin-code-v1", &generation.to_be_bytes()]))
    }
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinKey(…)")
    }
}

/// The key of the MACs of slots.
pub struct SlotKey(Zeroizing<[u8; 32]>);

impl SlotKey {
    /// The MAC of these digits in this slot, as it stands in `pins+jwt`.
    #[must_use]
    pub fn mac(&self, slot: u16, digits: &Entry<'_>) -> Text32 {
        base64url::text32(&hmac(&self.0, &[&slot.to_be_bytes(), digits.0.as_bytes()]))
    }

    /// Whether `mac` is that of these digits in this slot; how long it takes does not tell where they differ.
    #[must_use]
    pub fn fits(&self, slot: u16, digits: &Entry<'_>, mac: &[u8; 32]) -> bool {
        begin(&self.0, &[&slot.to_be_bytes(), digits.0.as_bytes()])
            .verify_slice(mac)
            .is_ok()
    }
}

/// What a computed code is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    first_day: u32,
    days: u8,
    serial: u8,
}

impl Code {
    /// The code `serial` for `days` days from `first_day`, counted from 1970-01-01 by the wall clock of the door; `None` where
    /// there is no such code.
    #[must_use]
    pub fn new(first_day: u32, days: u8, serial: u8) -> Option<Self> {
        let code = Self {
            first_day,
            days,
            serial,
        };
        (CODE_DAYS.contains(&days) && serial < CODE_SERIALS).then_some(code)
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(&self) -> u32 {
        self.first_day
    }

    /// Whether it counts on this day, once it was used on its first.
    #[must_use]
    pub fn covers(&self, day: u32) -> bool {
        day.checked_sub(self.first_day)
            .is_some_and(|since| since < u32::from(self.days))
    }

    /// Its name in events: `first_day-days-serial`.
    #[must_use]
    pub fn name(&self) -> String<MAX_CODE_NAME> {
        let mut name = String::new();
        let _fits_by_its_type = write!(name, "{}-{}-{}", self.first_day, self.days, self.serial);
        name
    }

    /// The bit that stands for it among those of its first day.
    pub(crate) fn bit(&self) -> u32 {
        let row = CODE_DAYS.iter().position(|days| *days == self.days).unwrap_or(0);
        let place = row * usize::from(CODE_SERIALS) + usize::from(self.serial);
        u32::try_from(place).map_or(0, |place| 1 << place)
    }

    /// All with this first day.
    fn all(first_day: u32) -> impl Iterator<Item = Self> {
        CODE_DAYS.into_iter().flat_map(move |days| {
            (0..CODE_SERIALS).map(move |serial| Self {
                first_day,
                days,
                serial,
            })
        })
    }
}

/// The digits of a computed code. Erased when they are dropped; their `Debug` form does not tell them.
pub struct CodeDigits(Zeroizing<[u8; CODE_DIGITS]>);

impl CodeDigits {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.0.as_slice()).unwrap_or_default()
    }
}

impl fmt::Debug for CodeDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeDigits(…)")
    }
}

/// The key of the computed codes of one generation.
pub struct CodeKey(Zeroizing<[u8; 32]>);

impl CodeKey {
    /// The digits of a code.
    #[must_use]
    pub fn digits(&self, code: &Code) -> CodeDigits {
        let mut digits = Zeroizing::new([b'0'; CODE_DIGITS]);
        let mut rest = self.number(code);
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        CodeDigits(digits)
    }

    /// The codes with these digits whose first day is `today` or one of the six before. All are computed, whichever it is.
    pub(crate) fn find(&self, entry: &Entry<'_>, today: u32) -> impl Iterator<Item = Code> {
        let entered = entry.number();
        let is_code = entry.is_code();
        (today.saturating_sub(6)..=today)
            .flat_map(Code::all)
            .filter(move |code| self.number(code) == entered && is_code)
    }

    fn number(&self, code: &Code) -> u64 {
        let days = [code.days, code.serial];
        let mac = hmac(&self.0, &[b"doorward-pin-v1", &code.first_day.to_be_bytes(), &days]);
        let first_eight = mac.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(first_eight) % CODES
    }
}

/// HMAC-SHA-256 (RFC 2104) of the parts, one after the other.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(begin(key, parts).finalize().into_bytes().into())
}

fn begin(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key is filled up with zeros to the 64 bytes of SHA-256's block.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn key() -> PinKey {
        PinKey::new([7; 32])
    }

    #[test]
    fn an_entry_is_digits_of_a_length_that_is_given() {
        for (text, is_one) in [
            ("", false),
            ("12345", false),
            ("000000", true),
            ("1234567", true),
            ("12345678", true),
            ("123456789", false),
            ("0123456789", true),
            ("12345678901", false),
            ("12345a", false),
            ("１２", false),
            ("-12345", false),
            (" 12345", false),
        ] {
            assert_eq!(Entry::read(text).is_some(), is_one, "{text:?}");
        }
    }

    #[test]
    fn a_mac_is_of_one_slot_and_one_pin() {
        let (slots, entry) = (key().slots(), Entry::read("123456").unwrap());
        let mac = base64url::decode(&slots.mac(3, &entry)).unwrap();
        assert!(slots.fits(3, &entry, &mac));
        assert!(!slots.fits(4, &entry, &mac));
        assert!(!slots.fits(3, &Entry::read("1234567").unwrap(), &mac));
        assert!(!PinKey::new([8; 32]).slots().fits(3, &entry, &mac));
    }

    #[test]
    fn every_code_of_seven_days_is_found_by_its_digits() {
        let (codes, today) = (key().codes(0), 20_780);
        let mut count = 0;
        for code in (today - 6..=today).flat_map(Code::all) {
            let digits = codes.digits(&code);
            let entry = Entry::read(digits.as_str()).unwrap();
            assert_eq!(codes.find(&entry, today).next(), Some(code));
            assert_eq!(key().codes(1).find(&entry, today).next(), None, "another generation");
            count += 1;
        }
        assert_eq!(count, CODES_AT_ONCE);
        for day in [today - 7, today + 1] {
            let digits = codes.digits(&Code::new(day, 7, 0).unwrap());
            let entry = Entry::read(digits.as_str()).unwrap();
            assert_eq!(codes.find(&entry, today).next(), None);
        }
    }

    #[test]
    fn a_code_covers_its_days_and_has_a_bit_of_its_own() {
        let code = Code::new(10, 3, 0).unwrap();
        for (day, covered) in [(9, false), (10, true), (12, true), (13, false)] {
            assert_eq!(code.covers(day), covered, "{day}");
        }
        assert_eq!(Code::all(10).fold(0, |bits, code| bits | code.bit()), u32::MAX);
        assert_eq!(code.name().as_str(), "10-3-0");
        for (days, serial) in [(0, 0), (4, 0), (1, 8)] {
            assert_eq!(Code::new(10, days, serial), None);
        }
        assert_eq!(Code::new(u32::MAX, 7, 7).unwrap().name().as_str(), "4294967295-7-7");
    }

    #[test]
    fn nothing_secret_is_shown() {
        let code = key().codes(0).digits(&Code::new(1, 1, 0).unwrap());
        let entry = Entry::read("123456").unwrap();
        let shown = format!("{entry:?} {:?} {code:?}", key());
        assert_eq!(shown, "Entry(…) PinKey(…) CodeDigits(…)");
    }
}
