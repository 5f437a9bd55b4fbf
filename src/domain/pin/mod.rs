//! PINs: the digits, what a lock takes of them, and what became of them at each lock. The digits leave this house once,
//! in the answer to whoever gave the PIN; nothing here writes them down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ids::{GrantId, LockId};
use super::time::Timestamp;

mod days;
mod delivery;

pub use days::{CODE_DAYS, CodeDays, code_days};
pub use delivery::{Delivery, Heard, MAX_TRIES};

/// How a PIN comes to a lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinKind {
    /// The lock is told of it, and forgets it when it is taken back.
    #[default]
    Synced,
    /// The lock can tell by itself that it is right, so it may be off line; nobody can take it back before its end.
    Computed,
}

impl PinKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Computed => "computed",
        }
    }
}

/// The digits of a PIN, erased when they are dropped and shown by no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(Zeroizing<String>);

impl Digits {
    /// The number as `length` digits, with leading zeros; what is above them is cut off.
    #[must_use]
    pub fn of(number: u128, length: u8) -> Self {
        let cut = number % 10_u128.pow(u32::from(length.min(38)));
        Self(Zeroizing::new(format!("{cut:0width$}", width = usize::from(length))))
    }

    /// The digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether somebody would try them among the first: fewer than three different digits (`112121`), the same step from
    /// each to the next (`123456`, `975319`, `890123`), or a block that comes again (`123123`, `12341234`).
    #[must_use]
    pub fn are_trivial(&self) -> bool {
        let digits = self.0.as_bytes();
        let mut different = [false; 256];
        for digit in digits {
            different[usize::from(*digit)] = true;
        }
        let step = |pair: &[u8]| (pair[1] + 10 - pair[0]) % 10;
        let first_step = digits.get(..2).map(step);
        different.iter().filter(|there| **there).count() < 3
            || digits.windows(2).all(|pair| Some(step(pair)) == first_step)
            || (1..=digits.len() / 2).any(|block| digits[block..] == digits[..digits.len() - block])
    }
}

/// A text is not the digits of a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected digits")]
pub struct NoDigits;

impl FromStr for Digits {
    type Err = NoDigits;

    fn from_str(text: &str) -> Result<Self, NoDigits> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(NoDigits)
        }
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(…)")
    }
}

/// What a lock's model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Slots 1 to this one.
    pub slots: u16,
    /// The fewest digits of a PIN.
    pub digits_least: u8,
    /// The most.
    pub digits_most: u8,
}

impl Limits {
    /// The most slots that the protocol names.
    pub const MAX_SLOTS: u16 = 999;

    /// What a lock takes of which nothing else is known.
    pub const USUAL: Self = Self {
        slots: 100,
        digits_least: 6,
        digits_most: 8,
    };

    /// Whether a lock can be like that: as the schema asks, too.
    #[must_use]
    pub fn are_possible(self) -> bool {
        self.slots <= Self::MAX_SLOTS
            && 4 <= self.digits_least
            && self.digits_least <= self.digits_most
            && self.digits_most <= 10
    }
}

/// What is wanted of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotState {
    /// The lock should know the PIN.
    Set,
    /// It should forget it.
    Clearing,
    /// It has said that it forgot it, or it is another lock by now: the slot is free.
    Cleared,
}

impl SlotState {
    /// The word for it in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Clearing => "clearing",
            Self::Cleared => "cleared",
        }
    }
}

/// A PIN in a slot of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The lock.
    pub lock: LockId,
    /// The slot.
    pub slot: u16,
    /// The version by which the slot was given to this grant.
    pub given_version: u64,
    /// The lock's enrolment that knows it.
    pub enrolment: u32,
    /// By which grant; `None` where the lock may hold something that the books do not know.
    pub grant: Option<GrantId>,
    /// What is wanted.
    pub state: SlotState,
    /// The version by which it last changed.
    pub version: u64,
    /// Since when it is wanted so.
    pub since: Timestamp,
    /// Whether the lock may know of it.
    pub told: bool,
    /// The MAC of slot and digits; `None` once it is to be cleared.
    pub mac: Option<String>,
    /// The digits, encrypted for an adapter.
    pub sealed: Option<String>,
    /// How many digits it has.
    pub length: u8,
    /// The end that the lock is told, exclusive.
    pub ends_at: Timestamp,
    /// When to look at it again: at the grant's end, or in good time before `ends_at`.
    pub review_at: Timestamp,
    /// How many openings the lock is told; `None` for any number.
    pub uses: Option<u32>,
    /// How many it has reported.
    pub openings: u32,
    /// The lock's event after which the slot may speak for this grant: chain and number.
    pub after: (Option<String>, i64),
}

impl Slot {
    /// Whether it was lost with the controller that knew it, and not taken back.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state == SlotState::Cleared && self.mac.is_some()
    }
}

/// A computed code that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedCode {
    /// The lock.
    pub lock: LockId,
    /// The lock's enrolment that can tell it.
    pub enrolment: u32,
    /// The generation of computed codes.
    pub generation: u32,
    /// When it counts.
    pub days: CodeDays,
    /// Which of the eight of these days.
    pub serial: u8,
    /// By which grant.
    pub grant: GrantId,
    /// When it was given.
    pub given_at: Timestamp,
    /// The lock's event after which it may speak for this grant.
    pub after: (Option<String>, i64),
}

/// How many codes there are for the same days.
pub const SERIALS: u8 = 8;

/// Computed codes of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// The generation; codes of those before are void once the lock has taken it.
    pub generation: u32,
    /// Since when.
    pub since: Timestamp,
    /// The version by which the lock is told.
    pub version: u64,
}

/// The wall clock that a lock was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldZone {
    /// The name of the zone.
    pub name: String,
    /// The version by which the lock is told.
    pub version: u64,
    /// When the changes that were told run out, or the property's zone is to be looked at again.
    pub review_at: Timestamp,
}

/// What a lock should hold of PINs, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPins {
    /// The lock.
    pub lock: LockId,
    /// The enrolment that this is about.
    pub enrolment: u32,
    /// What is wanted, sent and confirmed.
    pub delivery: Delivery,
    /// Its computed codes.
    pub codes: Codes,
    /// Its wall clock.
    pub zone: ToldZone,
    /// What its model takes.
    pub limits: Limits,
}

impl LockPins {
    /// Whether the lock can tell computed codes as they are given now: it has taken its zone and the newest generation.
    #[must_use]
    pub fn knows_codes(&self) -> bool {
        self.delivery.held >= self.codes.version.max(self.zone.version).max(1)
    }

    /// Whether the lock may still open by the slot at `now`.
    #[must_use]
    pub fn may_open_by(&self, slot: &Slot, now: Timestamp) -> bool {
        let forgotten = slot.state != SlotState::Set && self.delivery.held >= slot.version;
        slot.told
            && slot.enrolment == self.enrolment
            && slot.state != SlotState::Cleared
            && !forgotten
            && slot.ends_at > now
    }

    /// Whether the lock may still open by the code at `now`.
    #[must_use]
    pub fn may_open_by_code(&self, code: &ComputedCode, now: Timestamp) -> bool {
        let void = code.generation < self.codes.generation && self.delivery.held >= self.codes.version;
        code.enrolment == self.enrolment && !void && code.days.ends_at > now
    }

    /// What became of the change of `version` at the lock, which is or is not in service.
    #[must_use]
    pub fn status(&self, version: u64, in_service: bool, now: Timestamp) -> Status {
        if self.delivery.held >= version {
            Status::Applied
        } else if !in_service {
            Status::Suspended
        } else if self.delivery.has_given_up(now) {
            let refusal = self.delivery.refusal.clone();
            Status::Failed(refusal.unwrap_or_else(|| "not-confirmed".to_owned()))
        } else {
            Status::Pending
        }
    }
}

/// What became of a change at a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The lock has not confirmed it yet.
    Pending,
    /// The lock holds it.
    Applied,
    /// It was sent as often as it is worth while, for nothing; a new start of the lock, or the next change, is another
    /// chance. Why, as a stable word.
    Failed(String),
    /// The lock is not in service: nothing is sent.
    Suspended,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Failed(_) => "failed",
            Self::Suspended => "suspended",
        }
    }

    /// Why it failed.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_keep_their_zeros_and_are_not_shown() {
        for (number, length, digits) in [
            (0, 6, "000000"),
            (42, 6, "000042"),
            (12_345_678, 6, "345678"),
            (7, 10, "0000000007"),
        ] {
            assert_eq!(Digits::of(number, length).expose(), digits);
        }
        assert_eq!(format!("{:?}", Digits::of(836_204, 6)), "Digits(…)");
    }

    #[test]
    fn what_anybody_tries_first_is_trivial() {
        for (digits, trivial) in [
            (0, true),
            (111_111, true),
            (123_456, true),
            (654_321, true),
            (890_123, true),
            (975_319, true),
            (24_680, true),
            (121_212, true),
            (123_123, true),
            (112_122, true),
            (836_204, false),
            (123_465, false),
            (110_022, false),
        ] {
            assert_eq!(Digits::of(digits, 6).are_trivial(), trivial, "{digits:06}");
        }
        for (digits, trivial) in [
            (12_341_234, true),
            (12_345_678, true),
            (12_341_235, false),
            (19_871_225, false),
        ] {
            assert_eq!(Digits::of(digits, 8).are_trivial(), trivial, "{digits:08}");
        }
    }
}
