//! What a property's access log shows its landlord of a unit's own door, and for how long anything is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::{self, BadText};
use super::time::Timestamp;

/// Why something was done that needs a reason: one line that the people concerned read, 1 to 300 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WrittenReason(String);

text::line_type!(WrittenReason, 300);

/// What the landlord sees of the doors of units that somebody lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnDoors {
    /// Not the comings and goings of the residents and of their guests.
    Private,
    /// Everything that happened since this time; what was before stays hidden.
    LandlordSees {
        /// Since when.
        since: Timestamp,
    },
}

impl OwnDoors {
    /// Whether what happened at `at` is hidden.
    #[must_use]
    pub fn hides(self, at: Timestamp) -> bool {
        match self {
            Self::Private => true,
            Self::LandlordSees { since } => at < since,
        }
    }
}

/// How long the content of log entries, of what locks said and of attempts is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    days: u16,
    reason: Option<WrittenReason>,
}

/// A time of retention is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRetention {
    /// Too short or too long.
    #[error("entries are kept for 1 to {} days", Retention::MOST_DAYS)]
    Days,
    /// More than usual without saying why.
    #[error(
        "keeping entries for more than {} days needs a reason, which tenants read",
        Retention::USUAL_DAYS
    )]
    Reason,
}

impl BadRetention {
    /// The field of the request that it is about.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Days => "retention_days",
            Self::Reason => "retention_reason",
        }
    }
}

impl Retention {
    /// The time for which content is kept where nobody says, in days: what New York City sets for the access
    /// data of tenants (Administrative Code 26-3001 and following), and about what France's CNIL allows for movements.
    pub const USUAL_DAYS: u16 = 90;

    /// The longest time that can be asked for, in days: three years.
    pub const MOST_DAYS: u16 = 1096;

    /// `days` for this reason.
    ///
    /// # Errors
    /// [`BadRetention`] outside 1 to [`Self::MOST_DAYS`], or above [`Self::USUAL_DAYS`] without a reason.
    pub fn new(days: u16, reason: Option<WrittenReason>) -> Result<Self, BadRetention> {
        if !(1..=Self::MOST_DAYS).contains(&days) {
            return Err(BadRetention::Days);
        }
        if days > Self::USUAL_DAYS && reason.is_none() {
            return Err(BadRetention::Reason);
        }
        Ok(Self { days, reason })
    }

    /// How many days.
    #[must_use]
    pub fn days(&self) -> u16 {
        self.days
    }

    /// Why so many.
    #[must_use]
    pub fn reason(&self) -> Option<&WrittenReason> {
        self.reason.as_ref()
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            days: Self::USUAL_DAYS,
            reason: None,
        }
    }
}

/// This many days.
fn days(days: u16) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}

/// A shorter time that was promised to what is on record already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promised {
    /// The promise, in days.
    pub days: u16,
    /// What was recorded before this time keeps it.
    pub until: Timestamp,
}

/// The rule of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyRule {
    /// What the landlord sees of own doors.
    pub own_doors: OwnDoors,
    /// How long content is kept.
    pub retention: Retention,
    /// What was recorded under a shorter time leaves by that one.
    pub promised: Option<Promised>,
}

impl Default for PrivacyRule {
    fn default() -> Self {
        Self {
            own_doors: OwnDoors::Private,
            retention: Retention::default(),
            promised: None,
        }
    }
}

impl PrivacyRule {
    /// The rule after it is changed at `now`: more is shown only of what happens from then on, and what is on record is
    /// kept no longer than was promised when it was recorded. Less is shown and kept at once.
    #[must_use]
    pub fn changed(self, landlord_sees: bool, retention: Retention, now: Timestamp) -> Self {
        let own_doors = match (self.own_doors, landlord_sees) {
            (_, false) => OwnDoors::Private,
            (OwnDoors::Private, true) => OwnDoors::LandlordSees { since: now },
            (already, true) => already,
        };
        let before = self
            .promised
            .map_or(self.retention.days, |promised| promised.days.min(self.retention.days));
        let promised = if retention.days > self.retention.days {
            Some(Promised {
                days: before,
                until: now,
            })
        } else {
            self.promised.filter(|promised| promised.days < retention.days)
        };
        Self {
            own_doors,
            retention,
            promised,
        }
    }

    /// What was recorded before this time is forgotten at `now`.
    #[must_use]
    pub fn cutoff(&self, now: Timestamp) -> Timestamp {
        let usual = now - days(self.retention.days);
        match self.promised {
            Some(promised) => usual.max((now - days(promised.days)).min(promised.until)),
            None => usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_millis(number * DAY)
    }

    fn kept(days: u16) -> Retention {
        let reason = WrittenReason::try_from("a trial at court".to_owned()).unwrap();
        Retention::new(days, Some(reason)).unwrap()
    }

    #[test]
    fn keeping_longer_needs_a_reason() {
        for (days, with_reason, answer) in [
            (0, true, Err(BadRetention::Days)),
            (1, false, Ok(())),
            (90, false, Ok(())),
            (91, false, Err(BadRetention::Reason)),
            (91, true, Ok(())),
            (1096, true, Ok(())),
            (1097, true, Err(BadRetention::Days)),
        ] {
            let reason = with_reason.then(|| WrittenReason::try_from("why".to_owned()).unwrap());
            assert_eq!(Retention::new(days, reason).map(|_| ()), answer, "{days}");
        }
    }

    #[test]
    fn more_is_shown_only_from_the_change_on() {
        let rule = PrivacyRule::default().changed(true, Retention::default(), day(10));
        assert!(rule.own_doors.hides(day(9)) && !rule.own_doors.hides(day(10)));
        let again = rule.clone().changed(true, Retention::default(), day(20));
        assert_eq!(again.own_doors, rule.own_doors);
        let back = again.changed(false, Retention::default(), day(30));
        assert!(back.own_doors.hides(day(15)) && back.own_doors.hides(day(40)));
    }

    #[test]
    fn what_is_on_record_leaves_as_was_promised() {
        let longer = PrivacyRule::default().changed(false, kept(365), day(1000));
        for (now, cutoff) in [
            (1000, 910),
            (1050, 960),
            (1090, 1000),
            (1200, 1000),
            (1364, 1000),
            (1400, 1035),
        ] {
            assert_eq!(longer.cutoff(day(now)), day(cutoff), "{now}");
        }
        let shorter = longer.changed(false, kept(30), day(1010));
        assert_eq!(shorter.promised, None);
        assert_eq!(shorter.cutoff(day(1010)), day(980));
    }

    proptest! {
        /// Whatever is changed how often: nothing outlives the time that held when it was recorded.
        #[test]
        fn nothing_outlives_its_promise(
            changes in prop::collection::vec((1u16..=1096, 0i64..400), 0..8),
            asked in 0i64..2000,
        ) {
            let mut rule = PrivacyRule::default();
            let mut now = 2000;
            // A time at which each retention held.
            let mut held = vec![(0, rule.retention.days())];
            for (days, later) in changes {
                now += later;
                rule = rule.changed(false, kept(days), day(now));
                held.push((now, days));
            }
            let end = now + asked;
            let cutoff = rule.cutoff(day(end));
            for (i, (since, days)) in held.iter().enumerate() {
                let until = held.get(i + 1).map_or(end, |(next, _)| *next);
                for recorded in [*since, (since + until) / 2, until - 1] {
                    if recorded >= *since && recorded < until && recorded + i64::from(*days) < end {
                        prop_assert!(day(recorded) < cutoff, "{recorded} under {days} at {end}: {rule:?}");
                    }
                }
            }
        }
    }
}
