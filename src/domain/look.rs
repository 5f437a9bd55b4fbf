//! Looks: a part of the access log that is hidden from the landlord, opened to one person for a while, for a reason.

use std::time::Duration;

use super::access_log::NewEntry;
use super::ids::{LockId, LookId, OrganizationId, PersonId, UnitId};
use super::privacy::WrittenReason;
use super::time::Timestamp;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// At the doors of this unit.
    pub unit: UnitId,
    /// At this one of them alone.
    pub lock: Option<LockId>,
    /// What happened at this time or later.
    pub from: Timestamp,
    /// What happened before this time.
    pub to: Timestamp,
}

impl Part {
    /// Whether the entry lies within it.
    #[must_use]
    pub fn covers(&self, entry: &NewEntry) -> bool {
        entry.unit.as_ref() == Some(&self.unit)
            && (self.lock.is_none() || entry.lock == self.lock)
            && (self.from..self.to).contains(&entry.occurred_at)
    }
}

/// A look that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Which.
    pub id: LookId,
    /// In whose log.
    pub organization: OrganizationId,
    /// Who looks.
    pub person: PersonId,
    /// At what.
    pub part: Part,
    /// Why; the residents concerned read it.
    pub reason: WrittenReason,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when, exclusive.
    pub ends_at: Timestamp,
    /// When it first showed something.
    pub used_at: Option<Timestamp>,
}

/// A look cannot be opened like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLook {
    /// It ends before it begins, or as it begins.
    #[error("`to` lies after `from`")]
    Empty,
    /// It reaches into the future.
    #[error("a look shows what has happened, so `to` does not lie in the future")]
    Future,
    /// It would last too long, or no time.
    #[error("a look lasts 1 to {} minutes", Look::MOST_MINUTES)]
    Minutes,
}

impl BadLook {
    /// The field of the request that it is about.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Empty | Self::Future => "to",
            Self::Minutes => "minutes",
        }
    }
}

impl Look {
    /// The longest time for which a look stays open, in minutes: a day.
    pub const MOST_MINUTES: u16 = 1440;

    /// How long a look at `from` to `to` stays open that is opened at `now` for so many minutes.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`BadLook`].
    pub fn lasts(from: Timestamp, to: Timestamp, minutes: u16, now: Timestamp) -> Result<Duration, BadLook> {
        if to <= from {
            return Err(BadLook::Empty);
        }
        if to > now {
            return Err(BadLook::Future);
        }
        if !(1..=Self::MOST_MINUTES).contains(&minutes) {
            return Err(BadLook::Minutes);
        }
        Ok(Duration::from_secs(u64::from(minutes) * 60))
    }

    /// Whether it is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opened_at <= now && now < self.ends_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_short_and_at_what_has_been() {
        let at = Timestamp::from_millis;
        let now = at(1000);
        for (from, to, minutes, answer) in [
            (0, 1000, 1, Ok(60)),
            (0, 1000, 1440, Ok(86_400)),
            (999, 1000, 5, Ok(300)),
            (1000, 1000, 5, Err(BadLook::Empty)),
            (900, 800, 5, Err(BadLook::Empty)),
            (0, 1001, 5, Err(BadLook::Future)),
            (0, 1000, 0, Err(BadLook::Minutes)),
            (0, 1000, 1441, Err(BadLook::Minutes)),
        ] {
            let lasts = Look::lasts(at(from), at(to), minutes, now).map(|lasts| lasts.as_secs());
            assert_eq!(lasts, answer, "{from} {to} {minutes}");
        }
    }
}
