//! What an organization decides for itself: how long staff waits for access to tenants' own doors, and what needs two
//! persons.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::grant::Terms;
use super::time::Timestamp;

/// A number of hours is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {} to {} hours", DelayHours::LEAST, DelayHours::MOST)]
pub struct BadDelay;

/// For how long access of the house to a tenant's own door waits, in whole hours: 1 to 168.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct DelayHours(u16);

impl DelayHours {
    /// The shortest: none at all would be no promise to the tenant.
    pub const LEAST: u16 = 1;
    /// The longest: a week.
    pub const MOST: u16 = 168;
    /// Where an organization has decided nothing: a day, in which a tenant reads what they were told.
    pub const USUAL: Self = Self(24);

    /// The hours.
    #[must_use]
    pub const fn hours(self) -> u16 {
        self.0
    }

    fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 3600)
    }
}

impl TryFrom<u16> for DelayHours {
    type Error = BadDelay;

    fn try_from(hours: u16) -> Result<Self, BadDelay> {
        if (Self::LEAST..=Self::MOST).contains(&hours) {
            Ok(Self(hours))
        } else {
            Err(BadDelay)
        }
    }
}

impl From<DelayHours> for u16 {
    fn from(delay: DelayHours) -> Self {
        delay.0
    }
}

/// What needs a second person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoPerson {
    /// A grant by which somebody can open a whole property ([`spans_property`]).
    pub whole_property_grants: bool,
    /// A lockdown.
    pub lockdown: bool,
}

impl TwoPerson {
    /// Whether anything needs a second person.
    #[must_use]
    pub const fn is_wanted(self) -> bool {
        self.whole_property_grants || self.lockdown
    }
}

/// The rules as somebody wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRules {
    /// What is to need a second person.
    pub two_person: TwoPerson,
    /// How long access of the house to a tenant's own door is to wait.
    pub self_grant_delay_hours: DelayHours,
    /// Whether people are to open doors only in sessions that are bound to a key of their phone; `None` leaves it as it is,
    /// so that who knows nothing of it does not give it up.
    #[serde(default)]
    pub phone_key_required: Option<bool>,
}

/// The rules as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What needs a second person.
    pub two_person: TwoPerson,
    /// How long access of the house to a tenant's own door waits.
    pub self_grant_delay: DelayHours,
    /// How long it waited before that was changed last.
    pub delay_before: DelayHours,
    /// When that was.
    pub delay_changed_at: Timestamp,
    /// Whether people open doors only in sessions that are bound to a key of their phone.
    pub phone_key_required: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            two_person: TwoPerson::default(),
            self_grant_delay: DelayHours::USUAL,
            delay_before: DelayHours::USUAL,
            delay_changed_at: Timestamp::MIN,
            phone_key_required: false,
        }
    }
}

impl Rules {
    /// The delay that counts at `now`. A shorter one counts once the one before it has passed since the change, or whoever
    /// may change it would get around it by doing so first.
    #[must_use]
    pub fn delay_at(&self, now: Timestamp) -> DelayHours {
        if now < self.delay_changed_at + self.delay_before.duration() {
            self.self_grant_delay.max(self.delay_before)
        } else {
            self.self_grant_delay
        }
    }

    /// When access of the house that is given at `now` begins at a tenant's own door, at the earliest.
    #[must_use]
    pub fn house_access_from(&self, now: Timestamp) -> Timestamp {
        now + self.delay_at(now).duration()
    }

    /// These rules, changed at `now`.
    #[must_use]
    pub fn changed(&self, asked: &AskedRules, now: Timestamp) -> Self {
        let AskedRules {
            two_person,
            self_grant_delay_hours,
            phone_key_required,
        } = *asked;
        let changed = Self {
            two_person,
            phone_key_required: phone_key_required.unwrap_or(self.phone_key_required),
            ..*self
        };
        if self_grant_delay_hours == self.self_grant_delay {
            return changed;
        }
        Self {
            self_grant_delay: self_grant_delay_hours,
            delay_before: self.delay_at(now),
            delay_changed_at: now,
            ..changed
        }
    }

    /// Whether `asked` gives up a second person somewhere: that needs two persons too.
    #[must_use]
    pub fn is_loosened_by(&self, asked: &AskedRules) -> bool {
        let (present, asked) = (self.two_person, asked.two_person);
        (present.whole_property_grants && !asked.whole_property_grants) || (present.lockdown && !asked.lockdown)
    }
}

/// Whether somebody who can open `opened` of the `all` locks of a property can open the property: all of them or all but
/// one, so that leaving out the broom cupboard changes nothing, and three at least.
#[must_use]
pub fn spans_property(opened: usize, all: usize) -> bool {
    opened >= 3 && opened + 1 >= all
}

/// What a grant to somebody of the house may go on giving, now that others are to live behind its doors from `lived_in_from`
/// on and nobody of the house comes to them before `earliest`; `None` for nothing. It waits, or ends before they come where it
/// would be over by then.
#[must_use]
pub fn left_to_the_house(
    terms: &Terms,
    lived_in_from: Timestamp,
    earliest: Timestamp,
    now: Timestamp,
) -> Option<Terms> {
    let comes = terms.starts_at.max(lived_in_from);
    if comes >= earliest || terms.ends_at.is_some_and(|end| end <= lived_in_from) {
        return Some(terms.clone());
    }
    let (starts_at, ends_at) = match terms.ends_at {
        Some(end) if end <= earliest => (terms.starts_at, Some(lived_in_from)),
        end => (earliest, end),
    };
    ends_at.is_none_or(|end| starts_at.max(now) < end).then(|| Terms {
        starts_at,
        ends_at,
        ..terms.clone()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::pass::Role;

    fn hours(hours: u16) -> DelayHours {
        hours.try_into().unwrap()
    }

    fn asked(delay: u16) -> AskedRules {
        AskedRules {
            two_person: TwoPerson::default(),
            self_grant_delay_hours: hours(delay),
            phone_key_required: None,
        }
    }

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_seconds(1_000_000_000) + Duration::from_secs(hour * 3600)
    }

    #[test]
    fn a_change_that_is_none_prolongs_no_wait() {
        let rules = Rules::default().changed(&asked(139), at(0)).changed(&asked(31), at(0));
        let again = rules.changed(&asked(31), at(32));
        assert_eq!(again, rules);
        assert_eq!(again.house_access_from(at(32)), at(32 + 139));
        assert_eq!(again.house_access_from(at(139)), at(139 + 31));
    }

    #[test]
    fn a_shorter_delay_waits_for_the_longer_one_to_pass() {
        let rules = Rules::default().changed(&asked(1), at(0));
        for (hour, delay) in [(0, 24), (23, 24), (24, 1), (100, 1)] {
            assert_eq!(rules.delay_at(at(hour)), hours(delay), "hour {hour}");
        }
        // Asking in between for another one begins the wait anew.
        let again = rules.changed(&asked(2), at(20));
        for (hour, delay) in [(20, 24), (43, 24), (44, 2)] {
            assert_eq!(again.delay_at(at(hour)), hours(delay), "hour {hour}");
        }
        // A longer one counts at once.
        let longer = Rules::default().changed(&asked(48), at(0));
        assert_eq!(longer.delay_at(at(0)), hours(48));
        assert_eq!(longer.house_access_from(at(1)), at(49));
    }

    fn terms(starts_at: Timestamp, ends_at: Option<Timestamp>) -> Terms {
        Terms {
            locks: Vec::new(),
            starts_at,
            ends_at,
            schedule: None,
            uses: None,
            ways: Vec::new(),
            role: Role::Guest,
            delegable: false,
            spare: None,
        }
    }

    #[test]
    fn keys_of_the_house_wait_or_end_where_somebody_comes_to_live() {
        // Now is 10, somebody lives there from `lived_in_from` on, and the house may come from 34 on.
        for (case, given, lived_in_from, left) in [
            ("without an end", (0, None), 10, Some((34, None))),
            ("to the first hour of the wait", (0, Some(34)), 10, None),
            ("a moment longer", (0, Some(35)), 10, Some((34, Some(35)))),
            ("over before they come", (0, Some(12)), 12, Some((0, Some(12)))),
            ("over while they wait", (0, Some(20)), 12, Some((0, Some(12)))),
            ("from when they live there", (12, Some(20)), 12, None),
            ("late enough", (34, None), 10, Some((34, None))),
            ("told early enough", (0, None), 34, Some((0, None))),
        ] {
            let of = |(from, until): (u64, Option<u64>)| terms(at(from), until.map(at));
            let found = left_to_the_house(&of(given), at(lived_in_from), at(34), at(10));
            assert_eq!(found, left.map(of), "{case}");
        }
    }

    #[test]
    fn a_key_is_wanted_until_it_is_said_that_it_is_not() {
        let wanted = |rules: Rules, wanted| {
            let asked = AskedRules {
                phone_key_required: wanted,
                ..asked(24)
            };
            rules.changed(&asked, at(0))
        };
        let on = wanted(Rules::default(), Some(true));
        for (present, said, is_wanted) in [
            (Rules::default(), None, false),
            (on, None, true),
            (on, Some(true), true),
            (on, Some(false), false),
        ] {
            assert_eq!(wanted(present, said).phone_key_required, is_wanted, "{said:?}");
        }
    }

    #[test]
    fn the_same_delay_is_no_change() {
        let rules = Rules::default().changed(&asked(1), at(0));
        assert_eq!(rules.changed(&asked(1), at(30)), rules);
    }

    #[test]
    fn a_delay_is_an_hour_to_a_week() {
        for (given, accepted) in [(0, false), (1, true), (168, true), (169, false), (u16::MAX, false)] {
            assert_eq!(DelayHours::try_from(given).is_ok(), accepted, "{given}");
        }
    }

    #[test]
    fn giving_up_the_second_person_is_loosening() {
        let rule = |whole_property_grants, lockdown| TwoPerson {
            whole_property_grants,
            lockdown,
        };
        for (present, wanted, loosened) in [
            (rule(false, false), rule(true, true), false),
            (rule(true, true), rule(true, true), false),
            (rule(true, true), rule(false, true), true),
            (rule(true, true), rule(true, false), true),
            (rule(true, false), rule(false, true), true),
            (rule(false, true), rule(true, true), false),
        ] {
            let rules = Rules {
                two_person: present,
                ..Rules::default()
            };
            let asked = AskedRules {
                two_person: wanted,
                ..asked(24)
            };
            assert_eq!(rules.is_loosened_by(&asked), loosened, "{present:?} {wanted:?}");
        }
    }

    #[test]
    fn a_property_is_spanned_by_nearly_all_of_its_locks() {
        for (opened, all, spans) in [
            (0, 0, false),
            (1, 1, false),
            (2, 2, false),
            (2, 3, false),
            (3, 3, true),
            (3, 4, true),
            (3, 5, false),
            (9, 10, true),
            (8, 10, false),
            (10, 10, true),
        ] {
            assert_eq!(spans_property(opened, all), spans, "{opened} of {all}");
        }
    }

    proptest! {
        /// Whatever was given and whenever they come: nobody of the house comes to them too soon, nothing becomes more, and
        /// what lies later stays.
        #[test]
        fn no_key_of_the_house_opens_before_the_wait_is_over(
            from in 0..60_u64, lasts in prop::option::of(1..60_u64), lived_in in 0..60_u64, wait in 1..60_u64, now in 0..60_u64,
        ) {
            let (lived_in, earliest) = (lived_in.max(now), now + wait);
            let given = terms(at(from), lasts.map(|lasts| at(from + lasts)));
            let left = left_to_the_house(&given, at(lived_in), at(earliest), at(now));
            let opens = |terms: &Terms, hour| terms.starts_at <= at(hour) && terms.ends_at.is_none_or(|end| at(hour) < end);
            for hour in now..180 {
                let still = left.as_ref().is_some_and(|left| opens(left, hour));
                prop_assert!(!still || opens(&given, hour), "{hour}");
                prop_assert!(!still || hour < lived_in || hour >= earliest, "{hour}");
                prop_assert!(still || !opens(&given, hour) || hour < earliest, "{hour}");
            }
        }

        /// Nobody gets in sooner by changing the delay first: whatever is asked for, and how often, access given after
        /// the changes begins no earlier than access that would have been given before them.
        #[test]
        fn no_change_lets_anybody_in_sooner(
            changes in prop::collection::vec((0_u64..200, 1_u16..=168), 1..8),
            then in 0_u64..200,
        ) {
            let (mut rules, mut hour) = (Rules::default(), 0);
            let mut last = Timestamp::MIN;
            for (wait, delay) in changes {
                hour += wait;
                let before = rules.house_access_from(at(hour));
                let changed = rules.changed(&asked(delay), at(hour));
                prop_assert!(changed.house_access_from(at(hour)) >= before);
                // Who asks for what is so already has changed nothing.
                if changed != rules {
                    last = before;
                }
                rules = changed;
            }
            prop_assert!(rules.house_access_from(at(hour + then)) >= last);
        }
    }
}
