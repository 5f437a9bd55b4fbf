//! Lockdowns: until a time nobody is let into a property or a part of it, but those who are excepted. The way out is never
//! touched: nothing here says anything about locking or about the inside of a door.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{GrantId, LockId, LockdownId, OrganizationId, PersonId, PropertyId, UnitId};
use super::lock::Lock;
use super::text::{self, BadText};
use super::time::Timestamp;
use super::unlock::RightSource;

/// The longest that a lockdown lasts from the last time that somebody says so (`docs/PROTOCOL.md`, "`lockdown+jwt`").
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many lockdowns of one property hold at once at the most: what a lock can be told of.
pub const MOST_AT_ONCE: usize = 4;

/// How many persons and grants together a lockdown names as its exceptions at the most, and a list.
pub const MOST_EXCEPTED: usize = 24;

/// How many lists a property has at the most.
pub const MOST_LISTS: usize = 16;

/// The most bytes that the names of all exceptions take in one lock's document, each with its quotation marks and comma.
pub const LONGEST_NAMES: usize = 2_300;

/// Why there is a lockdown, for the people who are kept out: 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LockdownReason(String);

text::line_type!(LockdownReason, 200);

/// The name of a list of exceptions: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListName(String);

/// A text is not the name of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 32 of a-z, 0-9 and -, such as emergency-services")]
pub struct BadListName;

impl ListName {
    /// The list that every property has, empty until somebody writes it: who comes to help must not be kept out by a name
    /// that nobody has made.
    pub const EMERGENCY_SERVICES: &'static str = "emergency-services";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListName {
    type Err = BadListName;

    fn from_str(given: &str) -> Result<Self, BadListName> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=32).contains(&given.len()) && given.bytes().all(plain) {
            Ok(Self(given.to_owned()))
        } else {
            Err(BadListName)
        }
    }
}

impl TryFrom<String> for ListName {
    type Error = BadListName;

    fn try_from(given: String) -> Result<Self, BadListName> {
        given.parse()
    }
}

impl From<ListName> for String {
    fn from(name: ListName) -> Self {
        name.0
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which doors of the property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// All of them, whichever they are by then.
    Whole,
    /// The shared ones.
    Shared,
    /// The own doors of these units.
    Units(Vec<UnitId>),
    /// These.
    Locks(Vec<LockId>),
}

impl Part {
    /// Whether the door of `lock`, which is one of the property, is among them.
    #[must_use]
    pub fn covers(&self, lock: &Lock) -> bool {
        match self {
            Self::Whole => true,
            Self::Shared => lock.unit.is_none(),
            Self::Units(units) => lock.unit.as_ref().is_some_and(|unit| units.contains(unit)),
            Self::Locks(locks) => locks.contains(&lock.id),
        }
    }
}

/// Whom a lockdown does not concern. They need a right as ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceptions {
    /// People, by whatever right they come.
    pub persons: Vec<PersonId>,
    /// Whoever comes by these grants.
    pub grants: Vec<GrantId>,
    /// Whoever is on these lists of the property.
    pub lists: Vec<ListName>,
}

/// People and grants under a name, kept with a property for the day when they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its name.
    pub name: ListName,
    /// The people on it.
    pub persons: Vec<PersonId>,
    /// The grants on it.
    pub grants: Vec<GrantId>,
}

/// How a lockdown ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockdownEnd {
    /// When.
    pub at: Timestamp,
    /// Who ended it early; `None` where its time was over.
    pub by: Option<PersonId>,
}

/// A lockdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockdown {
    /// Which.
    pub id: LockdownId,
    /// Whose.
    pub organization: OrganizationId,
    /// Of which property.
    pub property: PropertyId,
    /// Of which of its doors.
    pub part: Part,
    /// Why.
    pub reason: LockdownReason,
    /// Whom not.
    pub except: Exceptions,
    /// Who ordered it.
    pub begun_by: PersonId,
    /// Since when.
    pub begun_at: Timestamp,
    /// The first instant at which it holds no more.
    pub until: Timestamp,
    /// How it ended; `None` while it holds, or while nobody has noticed yet that its time is over.
    pub ended: Option<LockdownEnd>,
}

/// A time is not one until which a lockdown can last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time after now, a week away at the most; a lockdown can be prolonged")]
pub struct BadUntil;

/// Whether a lockdown may be ordered at `now` until `until`.
///
/// # Errors
/// [`BadUntil`].
pub fn check_until(until: Timestamp, now: Timestamp) -> Result<(), BadUntil> {
    if now < until && until <= now + LONGEST {
        Ok(())
    } else {
        Err(BadUntil)
    }
}

/// One lockdown as far as it concerns one lock, its lists read out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The first instant at which it holds no more.
    pub until: Timestamp,
    /// The people whom it does not concern.
    pub persons: Vec<PersonId>,
    /// The grants that it does not concern.
    pub grants: Vec<GrantId>,
}

impl Hold {
    /// Whether it does not concern whoever comes by this right; nobody is known behind an invitation.
    #[must_use]
    pub fn excepts(&self, person: Option<&PersonId>, by: &RightSource) -> bool {
        let by_grant = match by {
            RightSource::Grant(grant) => self.grants.contains(grant),
            RightSource::Tenancy(_) => false,
        };
        by_grant || person.is_some_and(|person| self.persons.contains(person))
    }
}

/// Until when these lockdowns of one lock keep out whoever comes by a right: each has to except them by itself. `None` where
/// none does; a time that is over means the same.
#[must_use]
pub fn kept_out_until(holds: &[Hold], person: Option<&PersonId>, by: &RightSource) -> Option<Timestamp> {
    let holding = holds.iter().filter(|hold| !hold.excepts(person, by));
    holding.map(|hold| hold.until).max()
}

/// What a lock knows of its lockdowns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Its own word says that it holds them as they are now.
    Holds,
    /// It has not said so yet.
    Pending,
    /// It does not know what a lockdown is: no pass is issued for it, those of before are revoked, and PINs go on working.
    NotSupported,
}

impl Holding {
    /// The word for it in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Pending => "pending",
            Self::NotSupported => "not-supported",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::TenancyId;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn person(number: u128) -> PersonId {
        PersonId::from_bits(number)
    }

    fn grant(number: u128) -> GrantId {
        GrantId::from_bits(number)
    }

    fn hold(until: i64, persons: &[u128], grants: &[u128]) -> Hold {
        Hold {
            until: at(until),
            persons: persons.iter().copied().map(person).collect(),
            grants: grants.iter().copied().map(grant).collect(),
        }
    }

    #[test]
    fn a_lockdown_has_its_bounds() {
        let now = at(1_000);
        let week = now + LONGEST;
        for (until, is_good) in [
            (at(0), false),
            (now, false),
            (at(1_001), true),
            (week, true),
            (week + Duration::from_millis(1), false),
        ] {
            assert_eq!(check_until(until, now).is_ok(), is_good, "{until}");
        }
    }

    #[test]
    fn several_hold_together_and_each_has_its_own_exceptions() {
        let short = hold(100, &[1], &[7]);
        let long = hold(200, &[2], &[7]);
        let (both, none) = ([short, long], []);
        let by_grant = |number| RightSource::Grant(grant(number));
        let by_tenancy = RightSource::Tenancy(TenancyId::from_bits(7));
        for (why, holds, who, by, until) in [
            ("nothing holds", &none[..], 1, by_grant(1), None),
            ("the union", &both[..], 3, by_grant(1), Some(at(200))),
            ("excepted by the first", &both[..], 1, by_grant(1), Some(at(200))),
            ("excepted by the last", &both[..], 2, by_grant(1), Some(at(100))),
            ("a grant that both except", &both[..], 3, by_grant(7), None),
            ("a tenancy is no grant", &both[..], 3, by_tenancy, Some(at(200))),
        ] {
            assert_eq!(kept_out_until(holds, Some(&person(who)), &by), until, "{why}");
        }
        assert_eq!(kept_out_until(&both, None, &by_grant(7)), None, "whoever is behind it");
        assert_eq!(kept_out_until(&both, None, &by_grant(1)), Some(at(200)));
    }

    #[test]
    fn names_of_lists_are_plain() {
        for (given, is_good) in [
            (ListName::EMERGENCY_SERVICES, true),
            ("a", true),
            ("", false),
            ("Fire", false),
            ("fire brigade", false),
            (&"a".repeat(33), false),
        ] {
            assert_eq!(given.parse::<ListName>().is_ok(), is_good, "{given}");
        }
    }

    proptest! {
        /// Whoever is kept out at a time is kept out by one that has not ended and does not except them; one lockdown more
        /// never lets anybody in, one exception more never keeps anybody out.
        #[test]
        fn more_lockdowns_keep_out_more_and_more_exceptions_fewer(
            holds in proptest::collection::vec((1..50_i64, proptest::collection::vec(0..4_u128, 0..3)), 0..5),
            who in 0..4_u128,
            more in (1..50_i64, 0..4_u128),
            now in 0..50_i64,
        ) {
            let holds: Vec<Hold> = holds.iter().map(|(until, persons)| hold(*until, persons, &[])).collect();
            let by = RightSource::Grant(grant(9));
            let is_kept_out = |holds: &[Hold]| {
                kept_out_until(holds, Some(&person(who)), &by).is_some_and(|until| at(now) < until)
            };
            let expected = holds.iter().any(|hold| at(now) < hold.until && !hold.persons.contains(&person(who)));
            prop_assert_eq!(is_kept_out(&holds), expected);
            let mut with_one_more = holds.clone();
            with_one_more.push(hold(more.0, &[more.1], &[]));
            prop_assert!(is_kept_out(&with_one_more) || !is_kept_out(&holds));
            let mut with_exception = holds.clone();
            with_exception.iter_mut().for_each(|hold| hold.persons.push(person(more.1)));
            prop_assert!(is_kept_out(&holds) || !is_kept_out(&with_exception));
        }
    }
}
