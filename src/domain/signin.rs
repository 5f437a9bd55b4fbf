//! The throttle of the sign-in: who may try a password now, by the failures of the account and of the address.
//!
//! **By account.** The first [`FREE_FAILURES`] failures cost nothing but themselves; then the next try must wait 1, 2,
//! 4, 8 minutes, and 15 for every further one. Failures count until a sign-in succeeds or a day goes by without one,
//! so that pausing for some minutes does not buy fresh tries. Somebody who guesses without end gets 103 tries on the
//! first day and 96 on each later one.
//!
//! **Against NIST SP 800-63B**, section 3.2.2 (5.2.2 in its third edition), which asks for at most 100 consecutive
//! failures on an account and then wants the password disabled: here a hundred is the bound of a *day*. A hard stop
//! would hand everybody who knows an e-mail address the means to lock a tenant out of their home for good; the wait is
//! capped instead, and passwords must be ones that a hundred guesses a day do not find.
//!
//! **A tenant under attack** would still meet the wait that somebody else caused. So the caller keeps the failures from
//! an address at which this account has signed in before under a key of their own (account *and* address) and asks with
//! those: the tenant's home is not held up by a stranger elsewhere. A try that has to wait is not made at all: no
//! hashing, no failure counted.
//!
//! **By address.** A house of tenants, or a whole carrier, may share one address: the budget is a leaking bucket of
//! [`ADDRESS_BUDGET`] failures that empties evenly within [`ADDRESS_REFILL`], with no growing wait.
//!
//! A success clears the account's failures only; otherwise an attacker would clear the address by signing in to an
//! account of their own.

use std::time::Duration;

use super::time::Timestamp;

/// How many failures of an account cost no wait.
pub const FREE_FAILURES: u32 = 5;
/// The longest wait for an account's next try.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After how long without a failure an account's failures are forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How many failures an address may have at once, over all accounts.
pub const ADDRESS_BUDGET: u32 = 50;
/// How long it takes until a used-up [`ADDRESS_BUDGET`] is whole again.
pub const ADDRESS_REFILL: Duration = Duration::from_secs(15 * 60);

const FIRST_WAIT: Duration = Duration::from_secs(60);
const ADDRESS_LEAK_MS: u64 = ADDRESS_REFILL.as_secs() * 1000 / ADDRESS_BUDGET as u64;
/// More failures of an address than these, which only tries that were under way together can make, are not remembered:
/// the wait for them is [`LONGEST_WAIT`].
const ADDRESS_MOST: u32 = 2 * ADDRESS_BUDGET - 1;

/// The failures that one account or one address still has to answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Failures {
    /// None: also what a success leaves of the account's.
    pub const NONE: Self = Self {
        count: 0,
        last_at: Timestamp::MIN,
    };

    /// An account's failures after one more at `now`.
    #[must_use]
    pub fn after_failure_of_account(self, now: Timestamp) -> Self {
        Self {
            count: self.remembered(now).saturating_add(1),
            last_at: self.last_at.max(now),
        }
    }

    /// An address's failures after one more at `now`.
    #[must_use]
    pub fn after_failure_of_address(self, now: Timestamp) -> Self {
        Self {
            count: self.not_leaked(now).saturating_add(1),
            last_at: self.last_at.max(now),
        }
    }

    /// How many of an account's failures still count at `now`.
    fn remembered(self, now: Timestamp) -> u32 {
        if now.since(self.last_at) >= FORGOTTEN_AFTER {
            0
        } else {
            self.count
        }
    }

    /// How many of an address's failures have not leaked out at `now`.
    fn not_leaked(self, now: Timestamp) -> u32 {
        let leaked = now.since(self.last_at).as_millis() / u128::from(ADDRESS_LEAK_MS);
        self.count
            .min(ADDRESS_MOST)
            .saturating_sub(u32::try_from(leaked).unwrap_or(u32::MAX))
    }
}

/// Whether a password may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Now.
    Allowed,
    /// Not before this instant.
    Wait {
        /// The first instant at which it may.
        until: Timestamp,
    },
}

/// Whether a password may be tried at `now` for an account with these failures from an address with those.
///
/// The wait is measured from the last failure and is never longer than [`LONGEST_WAIT`] from `now`, whatever the clock
/// did in between.
#[must_use]
pub fn verdict(account: Failures, address: Failures, now: Timestamp) -> Verdict {
    let account_wait = match account.remembered(now).checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        // Past a few doublings the cap holds anyway; the shift must only not overflow.
        Some(doublings) => (FIRST_WAIT * (1 << doublings.min(8))).min(LONGEST_WAIT),
    };
    let over_budget = (address.count.min(ADDRESS_MOST) + 1).saturating_sub(ADDRESS_BUDGET);
    let address_wait = Duration::from_millis(ADDRESS_LEAK_MS.saturating_mul(u64::from(over_budget)));

    let until = (account.last_at + account_wait)
        .max(address.last_at + address_wait)
        .min(now + LONGEST_WAIT);
    if until > now {
        Verdict::Wait { until }
    } else {
        Verdict::Allowed
    }
}

#[cfg(test)]
mod tests;
