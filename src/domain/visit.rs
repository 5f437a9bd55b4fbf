//! Visits of vendors: ordered by the landlord, agreed to by who lives there, and only then a way in for an hour.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::account::PersonName;
use super::ids::{GrantId, LockId, OrganizationId, PersonId, PropertyId, UnitId, VisitId};
use super::text::{self, BadText};
use super::time::Timestamp;

/// What a visit is for: 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purpose(String);

text::line_type!(Purpose, 200);

/// The firm that a vendor works for: 1 to 100 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Company(String);

text::line_type!(Company, 100);

/// Why consent was passed over: 1 to 200 characters on one line, shown to who lives there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmergencyReason(String);

text::line_type!(EmergencyReason, 200);

/// A telephone number as the whole world dials it: `+`, then 7 to 15 digits, the first not 0 (ITU-T E.164). Spaces, dots,
/// hyphens and brackets between the digits are left out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// A text is not a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a telephone number with its country code, such as +43 1 234 5678")]
pub struct BadPhoneNumber;

impl PhoneNumber {
    /// The number, digits only behind its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = BadPhoneNumber;

    fn from_str(given: &str) -> Result<Self, BadPhoneNumber> {
        let digits = given.trim().strip_prefix('+').ok_or(BadPhoneNumber)?;
        let digits: String = digits.chars().filter(|c| !" .-()/".contains(*c)).collect();
        let is_number = (7..=15).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        if is_number {
            Ok(Self(format!("+{digits}")))
        } else {
            Err(BadPhoneNumber)
        }
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = BadPhoneNumber;

    fn try_from(given: String) -> Result<Self, BadPhoneNumber> {
        given.parse()
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

/// Log lines must not carry numbers, so `Debug` does not.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(…)")
    }
}

/// Who comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendor {
    /// What they are called.
    pub name: PersonName,
    /// For which firm.
    pub company: Company,
    /// Where they are called up to prove that they are the one.
    pub phone: PhoneNumber,
}

/// What a landlord orders, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVisit {
    /// The doors: shared ones, and those of one unit at most.
    pub locks: Vec<LockId>,
    /// Who comes.
    pub vendor: Vendor,
    /// What for.
    pub purpose: Purpose,
    /// From when on they may come.
    pub starts_at: Timestamp,
    /// Until when they must have come and gone, exclusive.
    pub ends_at: Timestamp,
    /// How long they may go in and out after they first got in, in minutes; `None` for [`NewVisit::USUAL_STAY`].
    pub stay_minutes: Option<u16>,
    /// Whether the locks of the unit are to be changed at this visit.
    pub lock_change: bool,
}

/// Why a visit cannot be ordered like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadVisit {
    /// No lock, more than [`NewVisit::MAX_LOCKS`], or one twice.
    #[error("a visit names 1 to {} locks, each once", NewVisit::MAX_LOCKS)]
    Locks,
    /// It would end before it starts, has ended already, or lasts longer than [`NewVisit::LONGEST_WINDOW`].
    #[error("a visit ends after it starts, in the future, and within {} days", NewVisit::LONGEST_WINDOW.as_secs() / 86_400)]
    Window,
    /// The stay is out of range.
    #[error("a stay lasts {} to {} minutes", NewVisit::SHORTEST_STAY, NewVisit::LONGEST_STAY)]
    Stay,
}

impl BadVisit {
    /// The field of the request that it is about.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Locks => "lock_ids",
            Self::Window => "ends_at",
            Self::Stay => "stay_minutes",
        }
    }
}

impl NewVisit {
    /// The most doors that a visit may name.
    pub const MAX_LOCKS: usize = 16;
    /// The longest time within which a vendor may come.
    pub const LONGEST_WINDOW: Duration = Duration::from_secs(14 * 24 * 3600);
    /// The shortest stay, in minutes.
    pub const SHORTEST_STAY: u16 = 15;
    /// The longest stay, in minutes.
    pub const LONGEST_STAY: u16 = 720;
    /// The stay where an order does not say, in minutes.
    pub const USUAL_STAY: u16 = 120;

    /// How long the vendor may stay, if an order like this makes sense at `now`. Whether the doors exist and belong
    /// together is for the caller to know.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`BadVisit`].
    pub fn check(&self, now: Timestamp) -> Result<Duration, BadVisit> {
        let doubled = (self.locks.iter().enumerate()).any(|(i, lock)| self.locks[..i].contains(lock));
        if self.locks.is_empty() || self.locks.len() > Self::MAX_LOCKS || doubled {
            return Err(BadVisit::Locks);
        }
        let window = self.ends_at.since(self.starts_at);
        if window.is_zero() || window > Self::LONGEST_WINDOW || self.ends_at <= now {
            return Err(BadVisit::Window);
        }
        let minutes = self.stay_minutes.unwrap_or(Self::USUAL_STAY);
        if (Self::SHORTEST_STAY..=Self::LONGEST_STAY).contains(&minutes) {
            Ok(Duration::from_secs(u64::from(minutes) * 60))
        } else {
            Err(BadVisit::Stay)
        }
    }
}

/// Consent that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// By whom.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// Why; `None` once that is forgotten.
    pub reason: Option<EmergencyReason>,
}

/// Why a visit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The landlord called it off.
    Cancelled,
    /// The stay that began with the first opening is over.
    StayOver,
    /// The time within which the vendor might have come is over.
    WindowOver,
}

impl EndReason {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::StayOver => "stay-over",
            Self::WindowOver => "window-over",
        }
    }
}

/// A visit of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Which.
    pub id: VisitId,
    /// The organization that ordered it.
    pub organization: OrganizationId,
    /// The property that its doors are of.
    pub property: PropertyId,
    /// The unit that some of its doors are of.
    pub unit: Option<UnitId>,
    /// The doors.
    pub locks: Vec<LockId>,
    /// Who comes; `None` once that is forgotten (`docs/PRIVACY.md`).
    pub vendor: Option<Vendor>,
    /// What for; `None` once that is forgotten.
    pub purpose: Option<Purpose>,
    /// From when on they may come.
    pub starts_at: Timestamp,
    /// Until when they must have come and gone, exclusive.
    pub ends_at: Timestamp,
    /// How long they may go in and out after they first got in.
    pub stay: Duration,
    /// Whether the locks of the unit are to be changed.
    pub lock_change: bool,
    /// Who ordered it.
    pub ordered_by: PersonId,
    /// When.
    pub ordered_at: Timestamp,
    /// Consent that was passed over.
    pub emergency: Option<Emergency>,
    /// When the vendor proved to be the one, and by which grant they come since.
    pub let_in: Option<(Timestamp, GrantId)>,
    /// When they first got in.
    pub begun_at: Option<Timestamp>,
    /// Since when it is over, and why.
    pub ended: Option<(Timestamp, EndReason)>,
}

/// What somebody who lives there says to a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub person: PersonId,
    /// Whether they agree.
    pub agrees: bool,
}

/// Whether a vendor may be let in as far as those are asked who live there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// Nobody lives behind these doors.
    NotNeeded,
    /// Somebody who lives there agrees, and nobody who does is against it.
    Given(PersonId),
    /// The landlord passed over it, for a reason that is on record.
    Emergency,
    /// Nobody has answered.
    Waiting,
    /// Somebody who lives there is against it.
    Declined(PersonId),
}

impl Agreement {
    /// What follows from the `answers` for those who live there now: what others say, or said while they lived there, does
    /// not count.
    #[must_use]
    pub fn of(residents: &[PersonId], answers: &[Answer], emergency: Option<&Emergency>) -> Self {
        if residents.is_empty() {
            return Self::NotNeeded;
        }
        if emergency.is_some() {
            return Self::Emergency;
        }
        let first = |agrees: bool| {
            let mut of_residents = answers.iter().filter(|answer| residents.contains(&answer.person));
            of_residents
                .find(|answer| answer.agrees == agrees)
                .map(|answer| answer.person.clone())
        };
        match (first(false), first(true)) {
            (Some(against), _) => Self::Declined(against),
            (None, Some(agreed)) => Self::Given(agreed),
            (None, None) => Self::Waiting,
        }
    }

    /// Whether the vendor may be let in.
    #[must_use]
    pub const fn suffices(&self) -> bool {
        matches!(self, Self::NotNeeded | Self::Given(_) | Self::Emergency)
    }

    /// The word for it in answers.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotNeeded => "not-needed",
            Self::Given(_) => "given",
            Self::Emergency => "emergency",
            Self::Waiting => "waiting",
            Self::Declined(_) => "declined",
        }
    }
}

/// How far a visit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Ordered; consent is missing.
    Ordered,
    /// The vendor may be let in once they have proved to be the one.
    Agreed,
    /// They have a way in.
    LetIn,
    /// They have got in; the stay runs.
    Begun,
    /// It is over.
    Ended,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 5] = [Self::Ordered, Self::Agreed, Self::LetIn, Self::Begun, Self::Ended];

    /// The word for it in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Agreed => "agreed",
            Self::LetIn => "let-in",
            Self::Begun => "begun",
            Self::Ended => "ended",
        }
    }
}

impl Visit {
    /// When the vendor's way in ends by itself: with the stay once they got in, with the window at the latest.
    #[must_use]
    pub fn closes_at(&self) -> Timestamp {
        let stay_ends = self.begun_at.map(|begun| begun + self.stay);
        stay_ends.map_or(self.ends_at, |ends| ends.min(self.ends_at))
    }

    /// Why it is over at `now` by itself, if it is.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> Option<EndReason> {
        match self.begun_at {
            _ if now < self.closes_at() => None,
            Some(begun) if begun + self.stay <= self.ends_at => Some(EndReason::StayOver),
            _ => Some(EndReason::WindowOver),
        }
    }

    /// How far it is at `now`.
    #[must_use]
    pub fn stage(&self, agreement: &Agreement, now: Timestamp) -> Stage {
        if self.ended.is_some() || self.is_over(now).is_some() {
            Stage::Ended
        } else if self.begun_at.is_some() {
            Stage::Begun
        } else if self.let_in.is_some() {
            Stage::LetIn
        } else if agreement.suffices() {
            Stage::Agreed
        } else {
            Stage::Ordered
        }
    }
}

/// What a vendor says to prove that they are the one: [`CODE_DIGITS`] digits; spaces between them are left out.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SpokenCode(String);

/// A text is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the {CODE_DIGITS} digits that were told by telephone")]
pub struct BadCode;

impl SpokenCode {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SpokenCode {
    type Error = BadCode;

    fn try_from(given: String) -> Result<Self, BadCode> {
        let digits: String = given.chars().filter(|c| *c != ' ').collect();
        if digits.len() == CODE_DIGITS as usize && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err(BadCode)
        }
    }
}

/// A code is a secret, so `Debug` does not show it.
impl fmt::Debug for SpokenCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpokenCode(…)")
    }
}

/// How often a code that was told by telephone may be read back wrongly, before it is void.
pub const CODE_TRIES: u32 = 5;

/// How long it counts.
pub const CODE_LIFE: Duration = Duration::from_secs(600);

/// How many digits it has.
pub const CODE_DIGITS: u32 = 6;

#[cfg(test)]
mod tests;
