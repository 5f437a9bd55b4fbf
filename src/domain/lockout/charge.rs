//! What a lock-out costs.
//!
//! A lock-out costs something once its door was opened by it; the price is that of the instant at which it was **asked
//! for**, under the policy that stood then. So nobody pays for the office's slowness, and the price hangs on no lock's
//! clock. The free ones of a period go to those that were asked for first, charged or free alike; between two of one
//! instant the identifier decides. Since nothing else enters, the price is the same in whatever order the news of the
//! openings arrive; what was booked before an earlier one became known is set right by a line of its own
//! ([`differences`]).

use jiff::civil::Date;

use super::policy::{Period, Policy};
use crate::domain::ids::LockoutId;
use crate::domain::money::Money;
use crate::domain::time::{TimeZone, Timestamp};

/// A lock-out that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Which.
    pub lockout: LockoutId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Since when the person had lived there.
    pub lease_starts_at: Timestamp,
}

/// By which rate a lock-out is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// One of the free ones.
    Free,
    /// The office was open.
    OfficeHours,
    /// It was not.
    AfterHours,
}

impl Rate {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::OfficeHours => "office-hours",
            Self::AfterHours => "after-hours",
        }
    }
}

/// What a lock-out costs, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// By which rate.
    pub rate: Rate,
    /// How much; 0 of a free one.
    pub amount: Money,
}

/// What `this` costs under `policy`, where `history` are the person's other lock-outs at the property that were used, in
/// any order; `this` itself and repetitions in it do not count. `zone` is the property's.
#[must_use]
pub fn charge(policy: &Policy, history: &[Use], this: &Use, zone: &TimeZone) -> Charge {
    let mut earlier: Vec<&LockoutId> = history
        .iter()
        .filter(|other| (other.asked_at, &other.lockout) < (this.asked_at, &this.lockout))
        .filter(|other| are_of_one_period(policy.period(), other, this, zone))
        .map(|other| &other.lockout)
        .collect();
    earlier.sort_unstable();
    earlier.dedup();
    let is_free = u32::try_from(earlier.len()).is_ok_and(|earlier| earlier < policy.free());
    let is_open = (policy.office_hours()).is_none_or(|hours| hours.is_open(zone, this.asked_at));
    let (rate, minor) = match (is_free, is_open) {
        (true, _) => (Rate::Free, 0),
        (false, true) => (Rate::OfficeHours, policy.fee()),
        (false, false) => (Rate::AfterHours, policy.fee_after_hours()),
    };
    Charge {
        rate,
        amount: Money {
            minor,
            currency: policy.currency(),
        },
    }
}

/// Whether both were asked for in one period, by the dates that the calendar on the wall showed.
fn are_of_one_period(period: &Period, one: &Use, other: &Use, zone: &TimeZone) -> bool {
    match period {
        Period::Lease => one.lease_starts_at == other.lease_starts_at,
        Period::Months(_) | Period::Dates(_) => {
            let begin = |of: &Use| begins_on(period, zone.rules().to_datetime(of.asked_at.to_jiff()).date());
            begin(one) == begin(other)
        }
    }
}

/// The first day of the period in which `date` lies, as year, month and day; the whole time is one where it is the lease.
fn begins_on(period: &Period, date: Date) -> (i16, i8, i8) {
    match period {
        Period::Lease => (0, 0, 0),
        Period::Months(months) => {
            let months = i8::try_from(*months).unwrap_or(12).max(1);
            let first = (date.month() - 1) / months * months + 1;
            (date.year(), first, 1)
        }
        Period::Dates(days) => {
            let begun = |day: &&super::policy::YearDay| (day.month, day.day) <= (date.month(), date.day());
            match (days.iter().rev().find(begun), days.last()) {
                (Some(day), _) => (date.year(), day.month, day.day),
                // Before the first of the year, the last of the year before goes on.
                (None, Some(day)) => (date.year() - 1, day.month, day.day),
                (None, None) => (0, 0, 0),
            }
        }
    }
}

/// A used lock-out with its policy and what the ledger says of it so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The lock-out.
    pub used: Use,
    /// The policy that stood when it was asked for.
    pub policy: Policy,
    /// The sum of its lines, in minor units of the policy's currency; `None` where it has no line yet.
    pub booked: Option<i64>,
}

/// A line that the ledger lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of which lock-out.
    pub lockout: LockoutId,
    /// What it costs.
    pub charge: Charge,
    /// What is to be added to the ledger.
    pub amount: Money,
    /// Whether it sets right what was booked before.
    pub is_correction: bool,
}

/// The lines that the ledger lacks of all used lock-outs of one person at one property, in the order in which they were
/// asked for: the first line of each, also where it is 0, and corrections of what was booked before an earlier one was
/// known.
#[must_use]
pub fn differences(accounts: &[Account], zone: &TimeZone) -> Vec<Difference> {
    let history: Vec<Use> = accounts.iter().map(|account| account.used.clone()).collect();
    let mut lacking: Vec<(&Use, Difference)> = Vec::new();
    for account in accounts {
        let charge = charge(&account.policy, &history, &account.used, zone);
        let minor = charge.amount.minor - account.booked.unwrap_or(0);
        if account.booked.is_none() || minor != 0 {
            lacking.push((
                &account.used,
                Difference {
                    lockout: account.used.lockout.clone(),
                    amount: Money {
                        minor,
                        currency: charge.amount.currency,
                    },
                    charge,
                    is_correction: account.booked.is_some(),
                },
            ));
        }
    }
    lacking.sort_by(|(one, _), (other, _)| (one.asked_at, &one.lockout).cmp(&(other.asked_at, &other.lockout)));
    lacking.into_iter().map(|(_, difference)| difference).collect()
}
