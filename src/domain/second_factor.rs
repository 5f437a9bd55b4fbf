//! A second factor beside the password: which codes count, and when.

use std::time::Duration;

use super::time::Timestamp;

/// How many recovery codes one set has.
pub const RECOVERY_CODES: usize = 10;

/// With so many left, or fewer, a person should make new ones.
pub const FEW_CODES: usize = 3;

/// How long a secret waits for the code that shows that the device knows it.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(3600);

/// Whether a person has a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    /// The password is enough.
    Off,
    /// A code is asked for beside it.
    On {
        /// Since when.
        since: Timestamp,
        /// How many recovery codes were not used yet.
        codes_left: usize,
    },
}

/// Whether a code of this step of time counts where that of `last` counted last: each once, and none from before
/// (RFC 6238, 5.2).
#[must_use]
pub const fn counts(step: i64, last: i64) -> bool {
    step > last
}

/// Whether a secret that was made then still waits for its code at `now`.
#[must_use]
pub fn waits_for_code(begun_at: Timestamp, now: Timestamp) -> bool {
    now < begun_at + CONFIRM_WITHIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_once_and_none_from_before() {
        for (step, last, yes) in [(1, 0, true), (5, 5, false), (4, 5, false), (6, 5, true), (0, -1, true)] {
            assert_eq!(counts(step, last), yes, "{step} after {last}");
        }
    }

    #[test]
    fn a_secret_waits_an_hour() {
        let at = Timestamp::from_millis;
        for (now, yes) in [(0, true), (3_599_999, true), (3_600_000, false)] {
            assert_eq!(waits_for_code(at(0), at(now)), yes, "{now}");
        }
    }
}
