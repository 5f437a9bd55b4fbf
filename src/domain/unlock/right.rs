//! What gives access to a lock: a grant or a tenancy, with what it hangs under.

use std::fmt;
use std::str::FromStr;

use crate::domain::grant::{Grant, GrantState, Uses, Way};
use crate::domain::ids::{BadId, GrantId, LockId, TenancyId};
use crate::domain::pass::Role;
use crate::domain::schedule::Schedule;
use crate::domain::spare::SpareKey;
use crate::domain::time::{TimeZone, Timestamp};

/// What a right comes from; as text the identifier, whose prefix tells which of the two it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RightSource {
    /// A grant.
    Grant(GrantId),
    /// A tenancy: it alone opens the unit's own doors and the property's shared ones.
    Tenancy(TenancyId),
}

impl fmt::Display for RightSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(id) => id.fmt(f),
            Self::Tenancy(id) => id.fmt(f),
        }
    }
}

impl FromStr for RightSource {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse()
            .map(Self::Tenancy)
            .or_else(|_| text.parse().map(Self::Grant))
    }
}

/// What a right is called in passes and in revocations: its source, and the round of a grant that went on after all that
/// was out by it had been made void. A lock that was told a name never forgets it soon, so what comes later has another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RightName {
    /// The right.
    pub source: RightSource,
    /// The round; 0 where nothing was made void yet.
    pub round: u32,
}

impl RightName {
    /// The names of this round and of those before.
    pub fn with_earlier(&self) -> impl Iterator<Item = Self> + '_ {
        (0..=self.round).map(|round| Self {
            source: self.source.clone(),
            round,
        })
    }
}

impl From<RightSource> for RightName {
    fn from(source: RightSource) -> Self {
        Self { source, round: 0 }
    }
}

impl fmt::Display for RightName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.round {
            0 => self.source.fmt(f),
            round => write!(f, "{}.{round}", self.source),
        }
    }
}

/// A text is not the name of a right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a grant or a tenancy, perhaps with a dot and its round")]
pub struct BadName;

impl FromStr for RightName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let (source, round) = match text.split_once('.') {
            None => (text, 0),
            Some((source, round)) => (source, round.parse().map_err(|_| BadName)?),
        };
        let name = Self {
            source: source.parse().map_err(|_| BadName)?,
            round,
        };
        // One name, one text.
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(BadName)
        }
    }
}

/// What the giver of a right has at the same lock now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Giver {
    /// Nothing any more.
    Gone,
    /// A right: what hangs under it opens only while it does.
    Has(Box<Right>),
}

/// What a grant or a tenancy says about one lock and the person who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// What it comes from.
    pub source: RightSource,
    /// The lock that it is about; it says nothing about any other.
    pub lock: LockId,
    /// The first instant.
    pub starts_at: Timestamp,
    /// The end, exclusive; `None` for one without an end.
    pub ends_at: Option<Timestamp>,
    /// When within that, by the clock of the lock's property; `None` for always.
    pub schedule: Option<Schedule>,
    /// How many openings; `None` for any number.
    pub uses: Option<Uses>,
    /// The ways in that it gives.
    pub ways: Vec<Way>,
    /// As what its holder comes.
    pub role: Role,
    /// Whether what it comes from is about this lock alone.
    pub is_only_lock: bool,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Whether its holder may give others access under it.
    pub delegable: bool,
    /// Whether it is a spare key, and where that is.
    pub spare: SpareKey,
    /// What its giver has at this lock, where it hangs under a right of theirs; `None` for what the landlord gave.
    pub under: Option<Giver>,
    /// The round of its name.
    pub round: u32,
    /// Until when a lockdown keeps its holder out of the lock; `None` where none does.
    pub kept_out_until: Option<Timestamp>,
}

impl Right {
    /// What `grant` says about `lock`; `None` where it does not name the lock. Of one that hangs under another right it
    /// opens nothing until [`Self::given_by`] says what its giver has.
    #[must_use]
    pub fn of_grant(grant: &Grant, lock: &LockId) -> Option<Self> {
        grant.terms.locks.contains(lock).then(|| Self {
            source: RightSource::Grant(grant.id.clone()),
            lock: lock.clone(),
            starts_at: grant.terms.starts_at,
            ends_at: grant.terms.ends_at,
            schedule: grant.terms.schedule.clone(),
            uses: grant.terms.uses,
            ways: grant.terms.ways.clone(),
            role: grant.terms.role,
            is_only_lock: grant.terms.locks.len() == 1,
            revoked: grant.state != GrantState::Active,
            delegable: grant.terms.delegable,
            spare: grant.spare_key(),
            under: grant.under.as_ref().map(|_| Giver::Gone),
            round: grant.round,
            kept_out_until: None,
        })
    }

    /// The same right, under what its giver has at the lock now.
    #[must_use]
    pub fn given_by(self, giver: Option<Self>) -> Self {
        let giver = giver.map_or(Giver::Gone, |giver| Giver::Has(Box::new(giver)));
        Self {
            under: Some(giver),
            ..self
        }
    }

    /// What it is called in passes and revocations.
    #[must_use]
    pub fn name(&self) -> RightName {
        RightName {
            source: self.source.clone(),
            round: self.round,
        }
    }

    /// It, and the right under which it hangs, and so on up.
    pub fn and_above(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |right| match &right.under {
            Some(Giver::Has(giver)) => Some(giver.as_ref()),
            Some(Giver::Gone) | None => None,
        })
    }

    /// Whether it, or what it hangs under, was taken back.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.and_above()
            .any(|right| right.revoked || right.under == Some(Giver::Gone))
    }

    /// The first instant of it and of all that it hangs under.
    #[must_use]
    pub fn begins_at(&self) -> Timestamp {
        self.and_above()
            .fold(self.starts_at, |latest, right| latest.max(right.starts_at))
    }

    /// The end, exclusive, of it or of what it hangs under, whichever comes first.
    #[must_use]
    pub fn last_until(&self) -> Option<Timestamp> {
        self.and_above().filter_map(|right| right.ends_at).min()
    }

    /// Whether it gives this way in, and all that it hangs under do.
    #[must_use]
    pub fn gives(&self, way: Way) -> bool {
        let mut givers = self.and_above().skip(1);
        self.ways.contains(&way) && givers.all(|giver| giver.lends(way))
    }

    /// Whether what is given under it may have this way in: its own, and a PIN under a tenancy, which has none itself
    /// (where, [`crate::domain::delegation`] says).
    #[must_use]
    pub fn lends(&self, way: Way) -> bool {
        self.ways.contains(&way) || (way == Way::Pin && matches!(self.source, RightSource::Tenancy(_)))
    }

    /// Whether its uses, or those of what it hangs under, are all taken.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.and_above().any(|right| right.uses.is_some_and(Uses::is_exhausted))
    }

    /// The first instant from `after` on at which its schedule is open, and those of all that it hangs under; `None` where
    /// none is in sight.
    #[must_use]
    pub fn next_opening(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut at = after;
        // Each round goes to a later opening of one of them; two that never meet end the search.
        for _ in 0..MOST_OPENINGS {
            let mut latest = at;
            for schedule in self.and_above().filter_map(|right| right.schedule.as_ref()) {
                latest = latest.max(schedule.next_opening(zone, at)?);
            }
            if latest == at {
                return Some(at);
            }
            at = latest;
        }
        None
    }

    /// What a tenancy says about a lock that belongs to it: always, from its start to its end.
    #[must_use]
    pub fn of_tenancy(id: TenancyId, lock: LockId, starts_at: Timestamp, ends_at: Option<Timestamp>) -> Self {
        let source = RightSource::Tenancy(id);
        Self {
            source,
            lock,
            starts_at,
            ends_at,
            schedule: None,
            uses: None,
            ways: vec![Way::App, Way::Offline],
            role: Role::Tenant,
            is_only_lock: false,
            revoked: false,
            // Whoever lives somewhere may let others in.
            delegable: true,
            spare: SpareKey::None,
            under: None,
            round: 0,
            kept_out_until: None,
        }
    }

    /// Until when a lockdown keeps its holder out; `None` where none does at `now`.
    #[must_use]
    pub fn kept_out(&self, now: Timestamp) -> Option<Timestamp> {
        self.kept_out_until.filter(|until| now < *until)
    }

    /// Whether it is over for good: taken back, or past its end.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.is_revoked() || self.last_until().is_some_and(|end| end <= now)
    }
}

/// How many openings of schedules are looked at to find one in which all of a chain of rights are open.
const MOST_OPENINGS: usize = 64;
