//! Tenancies: who lives in which unit, from when to when.

use serde::Serialize;

use super::ids::{OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use super::time::Timestamp;

/// A stretch of time: its start belongs to it, its end does not, so that who moves in takes over in the instant in which
/// who moves out has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The first instant.
    pub starts_at: Timestamp,
    /// The end, exclusive; `None` for one without an end.
    pub ends_at: Option<Timestamp>,
}

impl Term {
    /// The term, if a tenancy of it makes sense at `now`; it may have begun long ago.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`BadTerm`].
    pub fn check(self, now: Timestamp) -> Result<Self, BadTerm> {
        match self.ends_at {
            Some(end) if end <= self.starts_at => Err(BadTerm::EndsBeforeStart),
            Some(end) if end <= now => Err(BadTerm::EndsInPast),
            _ => Ok(self),
        }
    }

    /// Whether `at` lies within it.
    #[must_use]
    pub fn holds(self, at: Timestamp) -> bool {
        self.starts_at <= at && !self.is_over(at)
    }

    /// Whether it has ended by `at`.
    #[must_use]
    pub fn is_over(self, at: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= at)
    }

    /// Whether the two have an instant in common. One that ends where it starts has none.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let latest_start = self.starts_at.max(other.starts_at);
        self.holds(latest_start) && other.holds(latest_start)
    }
}

impl Term {
    /// The stretches of it that lie outside `before`: all of it for `None`, else what comes sooner and what lasts longer.
    #[must_use]
    pub fn beyond(self, before: Option<Self>) -> Vec<Self> {
        let Some(before) = before else { return vec![self] };
        let sooner = Self {
            starts_at: self.starts_at,
            ends_at: Some(self.ends_at.map_or(before.starts_at, |end| end.min(before.starts_at))),
        };
        let longer = before.ends_at.map(|end| Self {
            starts_at: self.starts_at.max(end),
            ends_at: self.ends_at,
        });
        let lasts = |term: &Self| term.ends_at.is_none_or(|end| term.starts_at < end);
        [Some(sooner), longer].into_iter().flatten().filter(lasts).collect()
    }
}

/// Why a tenancy cannot last from then to then. It is about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTerm {
    /// It would end before it starts, or as it starts.
    #[error("a tenancy ends after it starts")]
    EndsBeforeStart,
    /// It would have ended already.
    #[error("a tenancy ends in the future")]
    EndsInPast,
}

/// A person's stay in a unit: it alone opens the unit's own doors and the property's shared ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenancy {
    /// Which.
    pub id: TenancyId,
    /// Whose house it is.
    pub organization: OrganizationId,
    /// The property in which the unit is.
    pub property: PropertyId,
    /// The unit lived in.
    pub unit: UnitId,
    /// Who lives there.
    pub person: PersonId,
    /// From when to when.
    pub term: Term,
    /// Who gave it, or changed its term last; `None` of one from before this was kept.
    pub set_by: Option<PersonId>,
    /// Since when it stands in the books.
    pub created_at: Timestamp,
    /// When its end was carried out: from then on it stays ended.
    pub closed_at: Option<Timestamp>,
}

/// Where a tenancy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It has not begun.
    ToCome,
    /// Its person lives there.
    Running,
    /// It has ended.
    Over,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 3] = [Self::ToCome, Self::Running, Self::Over];

    /// The word for it in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ToCome => "to-come",
            Self::Running => "running",
            Self::Over => "over",
        }
    }
}

impl Tenancy {
    /// Where it stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.closed_at.is_some() || self.term.is_over(now) {
            Standing::Over
        } else if now < self.term.starts_at {
            Standing::ToCome
        } else {
            Standing::Running
        }
    }

    /// Whether somebody else lives in the same unit at some time of this tenancy by `other`: a joint tenant, who is told of
    /// what becomes of this one. Who moved out before and who moves in after are none.
    #[must_use]
    pub fn is_joint_with(&self, other: &Self) -> bool {
        self.unit == other.unit && self.person != other.person && self.term.overlaps(other.term)
    }

    /// Whether this and `other` would be one person's in one unit at the same time.
    #[must_use]
    pub fn doubles(&self, other: &Self) -> bool {
        self.id != other.id && self.unit == other.unit && self.person == other.person && self.term.overlaps(other.term)
    }

    /// The term that it has after a change to `to`, all of it.
    ///
    /// # Errors
    /// [`BadChange`].
    pub fn change(&self, to: Term, now: Timestamp) -> Result<Term, BadChange> {
        match self.standing(now) {
            Standing::Over => Err(BadChange::Over),
            // A phone may hold a pass by which it opens now.
            Standing::Running if to.starts_at != self.term.starts_at => Err(BadChange::Begun),
            Standing::ToCome | Standing::Running => Ok(to.check(now)?),
        }
    }

    /// What is to be done where it is to end at `at`, or now where that is `None`.
    ///
    /// # Errors
    /// [`BadEnd`].
    pub fn end(&self, at: Option<Timestamp>, now: Timestamp) -> Result<End, BadEnd> {
        if self.standing(now) == Standing::Over {
            return Ok(End::Over);
        }
        let Some(at) = at.filter(|at| *at != now) else {
            // One that has not begun never was.
            return Ok(End::Now(now.max(self.term.starts_at)));
        };
        if self.term.ends_at == Some(at) {
            Ok(End::Planned(at))
        } else if at < now {
            Err(BadEnd::InPast)
        } else if at <= self.term.starts_at {
            Err(BadEnd::BeforeStart)
        } else if self.term.is_over(at) {
            Err(BadEnd::Later)
        } else {
            Ok(End::At(at))
        }
    }
}

/// What becomes of a tenancy that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has ended already.
    Over,
    /// It ends now, and its term at this instant: now, or where it would have begun.
    Now(Timestamp),
    /// It is to end then, later than now.
    At(Timestamp),
    /// It was to end then already.
    Planned(Timestamp),
}

/// Why a tenancy's term cannot be changed like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// What has ended stays ended.
    #[error("the tenancy has ended; give another one")]
    Over,
    /// What has begun keeps its beginning.
    #[error("the tenancy has begun, and keeps its start")]
    Begun,
    /// The term makes no sense.
    #[error(transparent)]
    Term(#[from] BadTerm),
}

/// Why a tenancy cannot end then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEnd {
    /// Nobody can be put out before now.
    #[error("a tenancy ends now, for which this is left out, or later")]
    InPast,
    /// It would end before it starts.
    #[error("the tenancy has not begun by then; leave this out to call it off")]
    BeforeStart,
    /// That would prolong it.
    #[error("the tenancy ends before that; prolong it with PUT")]
    Later,
}

#[cfg(test)]
mod tests;
