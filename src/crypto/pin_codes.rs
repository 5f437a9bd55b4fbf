//! What follows from a lock's PIN key (`docs/PROTOCOL.md`, "PINs"), as the lock reckons it: the MACs by which it knows its
//! PINs without holding them, the codes that it can tell by itself. And the seal around what an adapter has to pass on.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::keypad::InUse;
use doorward_lock::pins::{self, Entry, PinKey};
use zeroize::Zeroizing;

use crate::crypto::pin_keys::PIN_KEY_BYTES;
use crate::crypto::random::Random;
use crate::crypto::sealed::{NotOpened, NotSealed, SealingKey};
use crate::domain::pin::{Digits, Limits};

const SEAL: &[u8] = b"doorward-pin-seal-v1";

/// The key of the MACs of a lock's slots.
pub struct SlotKey(pins::SlotKey);

impl SlotKey {
    /// That of the lock with this PIN key.
    #[must_use]
    pub fn of(pin_key: &[u8; PIN_KEY_BYTES]) -> Self {
        Self(PinKey::new(*pin_key).slots())
    }

    /// What stands for these digits in this slot, base64url; `None` of digits that no slot takes.
    #[must_use]
    pub fn mac(&self, slot: u16, digits: &Digits) -> Option<String> {
        let entry = Entry::read(digits.expose()).filter(|entry| !entry.is_code())?;
        Some(self.0.mac(slot, &entry).as_str().to_owned())
    }
}

/// What a computed code is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeOf {
    /// The generation of computed codes.
    pub generation: u32,
    /// Days since 1970-01-01 by the wall clock.
    pub first_day: u32,
    /// How many days.
    pub days: u8,
    /// Which of those for the same days.
    pub serial: u8,
}

/// The computed code of the lock with this PIN key; `None` where there is no such code.
#[must_use]
pub fn computed_code(pin_key: &[u8; PIN_KEY_BYTES], of: CodeOf) -> Option<Digits> {
    let code = pins::Code::new(of.first_day, of.days, of.serial)?;
    let digits = PinKey::new(*pin_key).codes(of.generation).digits(&code);
    digits.as_str().parse().ok()
}

/// The length of the next PIN at locks that hold PINs of the given lengths: as short as is safe from guesses at each of
/// them ([`InUse::digits_of_next`]). `None` where there is no room for one more, or the locks take no length in common.
#[must_use]
pub fn next_length(locks: &[(Limits, Vec<u8>)]) -> Option<u8> {
    let mut length = 0;
    for (limits, held) in locks {
        let mut in_use = InUse::default();
        for length in held {
            match length {
                6 => in_use.six += 1,
                7 => in_use.seven += 1,
                _ => in_use.eight += 1,
            }
        }
        let safe = in_use.digits_of_next(usize::from(limits.slots))?;
        length = u8::try_from(safe).ok()?.max(limits.digits_least).max(length);
    }
    let fits = |limits: &Limits| length <= limits.digits_most;
    let is_given = pins::SLOT_DIGITS.contains(&usize::from(length));
    (is_given && locks.iter().all(|(limits, _)| fits(limits))).then_some(length)
}

/// The digits for this slot, encrypted for the lock with this PIN key, base64url.
///
/// # Errors
/// [`NotSealed`] where the library refuses, which it has no reason to.
pub fn seal_digits(
    pin_key: &[u8; PIN_KEY_BYTES],
    slot: u16,
    digits: &Digits,
    random: &dyn Random,
) -> Result<String, NotSealed> {
    let sealed = seal_key(pin_key, slot)?.seal(digits.expose().as_bytes(), random)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What [`seal_digits`] has sealed.
///
/// # Errors
/// [`NotOpened`] where it was sealed for another lock or slot, or changed.
pub fn open_digits(pin_key: &[u8; PIN_KEY_BYTES], slot: u16, sealed: &str) -> Result<Digits, NotOpened> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| NotOpened)?;
    let key = seal_key(pin_key, slot).map_err(|NotSealed| NotOpened)?;
    let digits = key.open(&sealed).map(Zeroizing::new)?;
    let text = std::str::from_utf8(&digits).map_err(|_| NotOpened)?;
    text.parse().map_err(|_| NotOpened)
}

fn seal_key(pin_key: &[u8; PIN_KEY_BYTES], slot: u16) -> Result<SealingKey, NotSealed> {
    let secret = sign(&Key::new(HMAC_SHA256, pin_key), SEAL);
    SealingKey::derive(secret.as_ref(), &[&slot.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    const KEY: [u8; PIN_KEY_BYTES] = [7; PIN_KEY_BYTES];

    #[test]
    fn a_mac_is_of_one_lock_one_slot_and_one_pin() {
        let (pin, other) = (Digits::of(836_204, 6), Digits::of(836_205, 6));
        let mac = SlotKey::of(&KEY).mac(3, &pin).unwrap();
        assert_eq!(mac.len(), 43);
        assert_eq!(SlotKey::of(&KEY).mac(3, &pin).as_ref(), Some(&mac));
        for different in [
            SlotKey::of(&KEY).mac(4, &pin),
            SlotKey::of(&KEY).mac(3, &other),
            SlotKey::of(&[8; 32]).mac(3, &pin),
        ] {
            assert_ne!(different.unwrap(), mac);
        }
        assert_eq!(SlotKey::of(&KEY).mac(3, &Digits::of(1, 10)), None, "a code");
    }

    #[test]
    fn a_code_is_of_one_lock_generation_time_and_serial() {
        let of = CodeOf {
            generation: 0,
            first_day: 20_514,
            days: 3,
            serial: 0,
        };
        let code = computed_code(&KEY, of).unwrap();
        assert_eq!(code.expose().len(), 10);
        for (key, different) in [
            ([8; 32], of),
            (KEY, CodeOf { generation: 1, ..of }),
            (
                KEY,
                CodeOf {
                    first_day: 20_515,
                    ..of
                },
            ),
            (KEY, CodeOf { days: 2, ..of }),
            (KEY, CodeOf { serial: 1, ..of }),
        ] {
            assert_ne!(computed_code(&key, different).unwrap(), code);
        }
        assert_eq!(computed_code(&KEY, CodeOf { days: 4, ..of }), None);
    }

    #[test]
    fn the_more_pins_a_lock_holds_the_longer_is_the_next() {
        let usual = Limits::USUAL;
        let limits = |slots, least, most| Limits {
            slots,
            digits_least: least,
            digits_most: most,
        };
        for (what, locks, length) in [
            ("the first", vec![(usual, vec![])], Some(6)),
            ("the second", vec![(usual, vec![6])], Some(7)),
            (
                "at two locks the longer",
                vec![(usual, vec![]), (usual, vec![6])],
                Some(7),
            ),
            ("after many", vec![(usual, [vec![6], vec![8; 50]].concat())], Some(7)),
            ("the last", vec![(usual, vec![8; 99])], Some(6)),
            ("one too many", vec![(usual, vec![8; 100])], None),
            ("a lock of two slots", vec![(limits(2, 6, 8), vec![6])], Some(6)),
            ("one that wants eight", vec![(limits(100, 8, 8), vec![])], Some(8)),
            ("one that is full", vec![(limits(1, 6, 8), vec![6])], None),
            ("four digits are never given", vec![(limits(100, 4, 5), vec![])], None),
            ("nor nine", vec![(limits(100, 9, 10), vec![])], None),
            (
                "none in common",
                vec![(limits(100, 4, 6), vec![]), (limits(100, 7, 8), vec![])],
                None,
            ),
        ] {
            assert_eq!(next_length(&locks), length, "{what}");
        }
    }

    #[test]
    fn sealed_digits_open_for_their_slot_alone() {
        let digits = Digits::of(12_345_670, 8);
        let sealed = seal_digits(&KEY, 3, &digits, &OsRandom).unwrap();
        assert_eq!(open_digits(&KEY, 3, &sealed).unwrap(), digits);
        assert!(open_digits(&KEY, 4, &sealed).is_err());
        assert!(open_digits(&[8; 32], 3, &sealed).is_err());
        assert!(open_digits(&KEY, 3, "").is_err());
    }
}
