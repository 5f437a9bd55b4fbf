//! How many wrong PINs a lock lets anybody try, and what that is worth to who guesses all year (`docs/PROTOCOL.md`, "Wrong
//! PINs").
//!
//! Two counts stand against guessing. The wrong ones in a row close the keypad for a while, and a right one ends that. It
//! would not do alone: whoever has a PIN, or guesses between two who have one, begins anew each time. So there is an
//! allowance of wrong ones besides, which nothing but time refills. Both are counted by the lock's own counter of seconds, and
//! only while it runs.

use serde::{Deserialize, Serialize};

/// How many wrong PINs in a row it takes to close the keypad.
pub const WRONG_TO_CLOSE: u32 = 5;

/// For how many seconds the fifth in a row closes it, the sixth, the seventh, and each of those after it.
pub const CLOSED_SECONDS: [u32; 4] = [60, 300, 1_800, 3_600];

/// How many wrong PINs in a row it takes to close the keypad for [`DAY_SECONDS`], as each further one does.
pub const WRONG_TO_CLOSE_FOR_A_DAY: u32 = 20;

/// A day in seconds; also what one wrong PIN takes from the allowance.
pub const DAY_SECONDS: u32 = 24 * 3_600;

/// How many wrong PINs the allowance holds at most. It grows by one a day.
pub const ALLOWANCE: u32 = 100;

/// How many wrong PINs anybody can try within a year, whatever else is entered meanwhile: a full allowance, and what it grows
/// by in a leap year.
pub const WRONG_A_YEAR: u32 = ALLOWANCE + 366;

/// The chance that some one guess of a year's opens stays below one in this many.
pub const ODDS_A_YEAR: u32 = 1_000;

/// How many slots a lock holds.
pub const MAX_SLOTS: usize = 100;

/// What a guess is worth is told in parts of this.
const PARTS: u64 = 10_u64.pow(10);

const FULL_SECONDS: u32 = ALLOWANCE * DAY_SECONDS;

/// How often what is not full is written down although nothing was entered, in seconds: a loss of power loses no more.
const WRITTEN_EVERY_SECONDS: u64 = 3_600;

/// PINs that a lock holds in its slots, by their number of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InUse {
    /// With six digits.
    pub six: u32,
    /// With seven.
    pub seven: u32,
    /// With eight.
    pub eight: u32,
}

impl InUse {
    /// Whether whoever tries [`WRONG_A_YEAR`] PINs a year finds one of these, or a computed code, with less than one chance in
    /// [`ODDS_A_YEAR`]. Every computed code that there can be is reckoned in.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        let slots = [(self.six, 6), (self.seven, 7), (self.eight, 8)];
        let of_slots: u64 = slots.iter().map(|(count, digits)| parts(*count, *digits)).sum();
        let of_a_guess = of_slots + u64::from(crate::pins::CODES_AT_ONCE);
        u64::from(WRONG_A_YEAR) * of_a_guess * u64::from(ODDS_A_YEAR) < PARTS
    }

    /// How many digits the PIN of one more slot must have: as few as leave room for PINs of eight digits in all the other
    /// slots of a full lock; where fewer slots will ever be used, `slots` says how many. `None` where there is no room.
    #[must_use]
    pub fn digits_of_next(&self, slots: usize) -> Option<usize> {
        let others = self.six + self.seven + self.eight + 1;
        let slots = u32::try_from(slots.min(MAX_SLOTS)).unwrap_or(u32::MAX);
        let free = slots.saturating_sub(others);
        let with = |change: fn(&mut Self)| {
            let mut next = *self;
            change(&mut next);
            next
        };
        let choices = [
            (6, with(|next| next.six += 1)),
            (7, with(|next| next.seven += 1)),
            (8, with(|next| next.eight += 1)),
        ];
        let leaves_room = |next: &Self| {
            Self {
                eight: next.eight + free,
                ..*next
            }
            .is_safe()
        };
        let fits = choices.iter().find(|(_, next)| leaves_room(next));
        // What was given under another rule may leave no room for all: then what is safe now.
        let fits = fits.or_else(|| choices.iter().rev().find(|(_, next)| next.is_safe()));
        fits.filter(|_| others <= slots).map(|(digits, _)| *digits)
    }
}

/// What a guess at so many PINs of so many digits is worth, in [`PARTS`].
fn parts(count: u32, digits: u32) -> u64 {
    u64::from(count) * PARTS / 10_u64.pow(digits)
}

/// What was entered wrongly, as it is stored: true at the instant of the lock's own counter that it was written at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// How many in a row.
    in_a_row: u32,
    /// For how many seconds more the keypad is closed for that.
    closed_seconds: u32,
    /// What is left of the allowance: [`DAY_SECONDS`] for each wrong PIN.
    allowance_seconds: u32,
    /// Whether the alarm for this closing is written.
    is_told: bool,
}

impl Wrong {
    /// None yet.
    #[must_use]
    pub fn none() -> Self {
        Self {
            in_a_row: 0,
            closed_seconds: 0,
            allowance_seconds: FULL_SECONDS,
            is_told: false,
        }
    }

    /// As it is `seconds` later, all of them counted by the lock.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let allowance_seconds = self.allowance_seconds.saturating_add(seconds);
        Self {
            closed_seconds: self.closed_seconds.saturating_sub(seconds),
            allowance_seconds: allowance_seconds.min(FULL_SECONDS),
            ..self
        }
    }

    /// With one more wrong PIN.
    #[must_use]
    pub fn and_one_more(self) -> Self {
        let in_a_row = self.in_a_row.saturating_add(1);
        Self {
            in_a_row,
            closed_seconds: closed_seconds(in_a_row).max(self.closed_seconds),
            allowance_seconds: self.allowance_seconds.saturating_sub(DAY_SECONDS),
            ..self
        }
    }

    /// After a right one: the row is broken, the allowance stays.
    #[must_use]
    pub fn and_a_right_one(self) -> Self {
        Self {
            in_a_row: 0,
            closed_seconds: 0,
            is_told: self.is_told && self.allowance_seconds < DAY_SECONDS,
            ..self
        }
    }

    /// Once the alarm is written.
    #[must_use]
    pub fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// For how many seconds the keypad is closed; 0 where it is open.
    #[must_use]
    pub fn closed_for(&self) -> u32 {
        self.closed_seconds
            .max(DAY_SECONDS.saturating_sub(self.allowance_seconds))
    }

    /// Whether the keypad has closed, and no alarm says so yet.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        !self.is_told && (self.in_a_row >= WRONG_TO_CLOSE || self.allowance_seconds < DAY_SECONDS)
    }

    /// Whether, after so many seconds since it was written, there is enough to write it again.
    #[must_use]
    pub fn is_due(&self, seconds: u64) -> bool {
        let is_settled = self.closed_seconds == 0 && self.allowance_seconds == FULL_SECONDS;
        !is_settled && seconds >= WRITTEN_EVERY_SECONDS
    }
}

/// For how long the last of so many wrong PINs in a row closes the keypad.
fn closed_seconds(in_a_row: u32) -> u32 {
    if in_a_row >= WRONG_TO_CLOSE_FOR_A_DAY {
        return DAY_SECONDS;
    }
    let Some(step) = in_a_row.checked_sub(WRONG_TO_CLOSE) else {
        return 0;
    };
    let last = CLOSED_SECONDS[CLOSED_SECONDS.len() - 1];
    usize::try_from(step)
        .ok()
        .and_then(|step| CLOSED_SECONDS.get(step).copied())
        .unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keypad_closes_after_five_and_longer_each_time() {
        let mut wrong = Wrong::none();
        for (number, closed) in (1..).zip([0, 0, 0, 0, 60, 300, 1_800, 3_600, 3_600]) {
            wrong = wrong.after(u64::from(wrong.closed_for())).and_one_more();
            assert_eq!(wrong.closed_for(), closed, "the {number}th");
        }
        for _ in 10..=20 {
            wrong = wrong.after(3_600).and_one_more();
        }
        for _ in 20..40 {
            assert_eq!(wrong.closed_for(), DAY_SECONDS);
            assert_eq!(wrong.after(u64::from(DAY_SECONDS) - 1).closed_for(), 1);
            wrong = wrong.after(u64::from(DAY_SECONDS)).and_one_more();
        }
        assert_eq!(
            wrong
                .after(DAY_SECONDS.into())
                .and_a_right_one()
                .and_one_more()
                .closed_for(),
            0
        );
    }

    #[test]
    fn right_ones_do_not_refill_the_allowance() {
        let mut wrong = Wrong::none();
        for _ in 0..ALLOWANCE - 1 {
            wrong = wrong.and_one_more().and_a_right_one();
            assert_eq!((wrong.closed_for(), wrong.is_alarming()), (0, false));
        }
        wrong = wrong.and_one_more().and_a_right_one();
        assert_eq!(wrong.closed_for(), DAY_SECONDS);
        assert!(wrong.is_alarming());
        let told = wrong.told();
        assert!(!told.and_a_right_one().is_alarming(), "once");
        let next_day = told.after(DAY_SECONDS.into());
        assert_eq!(next_day.closed_for(), 0);
        assert_eq!(next_day.and_one_more().closed_for(), DAY_SECONDS);
    }

    /// Whoever guesses as cleverly as can be, with a right PIN of their own after every wrong one, for a year.
    #[test]
    fn nobody_tries_more_than_the_years_number() {
        for helps in [false, true] {
            let (mut wrong, mut left, mut tries) = (Wrong::none(), u64::from(DAY_SECONDS) * 366, 0);
            loop {
                let closed = u64::from(wrong.closed_for());
                if closed > left {
                    break;
                }
                left -= closed;
                wrong = wrong.after(closed).and_one_more();
                tries += 1;
                if helps && wrong.closed_for() == 0 {
                    wrong = wrong.and_a_right_one();
                }
            }
            assert!(tries <= WRONG_A_YEAR, "{tries}");
            assert!(!helps || tries + 1 >= WRONG_A_YEAR, "the bound is met: {tries}");
        }
    }

    #[test]
    fn a_year_of_guessing_finds_less_than_one_in_a_thousand() {
        let in_use = |six, seven, eight| InUse { six, seven, eight };
        for (held, safe) in [
            (in_use(2, 0, 0), true),
            (in_use(3, 0, 0), false),
            (in_use(0, 21, 0), true),
            (in_use(0, 22, 0), false),
            (in_use(0, 0, 100), true),
            (in_use(0, 12, 88), true),
            (in_use(0, 13, 87), false),
        ] {
            assert_eq!(held.is_safe(), safe, "{held:?}");
            let a_guess = f64::from(held.six) / 1e6
                + f64::from(held.seven) / 1e7
                + f64::from(held.eight) / 1e8
                + f64::from(crate::pins::CODES_AT_ONCE) / 1e10;
            assert_eq!(f64::from(WRONG_A_YEAR) * a_guess < 1e-3, safe, "{held:?}");
        }
    }

    #[test]
    fn a_lock_fills_up_safely_in_any_order() {
        for (slots, first, full) in [(1, 6, 1), (2, 6, 2), (3, 6, 3), (100, 6, 100), (500, 6, 100)] {
            let mut held = InUse::default();
            assert_eq!(held.digits_of_next(slots), Some(first), "{slots}");
            let mut count = 0;
            while let Some(digits) = held.digits_of_next(slots) {
                match digits {
                    6 => held.six += 1,
                    7 => held.seven += 1,
                    _ => held.eight += 1,
                }
                count += 1;
                assert!(held.is_safe(), "{held:?}");
            }
            assert_eq!(count, full, "{slots}: {held:?}");
        }
        let crowded = InUse {
            six: 2,
            ..InUse::default()
        };
        assert_eq!(crowded.digits_of_next(100), Some(8), "given when two were all");
    }

    #[test]
    fn what_closes_is_written_again_every_hour() {
        let wrong = Wrong::none();
        assert!(!wrong.is_due(1_000_000), "nothing to say");
        let wrong = wrong.and_one_more();
        assert!(!wrong.is_due(3_599));
        assert!(wrong.is_due(3_600));
    }
}
