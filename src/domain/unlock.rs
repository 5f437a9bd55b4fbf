//! The decision on an ask to move a bolt: who may, by which right, and if not, why not and when.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::attempt::{Action, Reason};
use super::grant::{Grant, GrantState, Uses, Way};
use super::ids::{BadId, GrantId, LockId, TenancyId};
use super::lock::{Lock, LockState};
use super::pass::Role;
use super::schedule::Schedule;
use super::spare::SpareKey;
use super::time::{TimeZone, Timestamp};

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
    /// (where, [`super::delegation`] says).
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

    /// Why this right does not allow `action` at `now`; `None` where it does.
    fn refusal(&self, action: Action, zone: &TimeZone, now: Timestamp) -> Option<Refusal> {
        if self.is_revoked() {
            return Some(Refusal::GrantRevoked);
        }
        let end = self.last_until();
        if end.is_some_and(|end| end <= now) {
            return Some(Refusal::GrantExpired);
        }
        if action == Action::Unlock && self.is_used_up() {
            return Some(Refusal::UsesExhausted);
        }
        let starts_at = self.begins_at();
        let begins = now.max(starts_at);
        // Whoever goes may always lock behind them.
        let kept_out_until = self.kept_out(now).filter(|_| action == Action::Unlock);
        let first = |from| {
            let opens_at = self.next_opening(zone, from);
            opens_at.filter(|opens| end.is_none_or(|end| *opens < end))
        };
        let in_hand = self.and_above().all(|right| right.spare.is_in_hand(now));
        match first(kept_out_until.map_or(begins, |until| begins.max(until))) {
            Some(opens) if opens == now => (!in_hand).then_some(Refusal::SpareNotReleased),
            opens_at if kept_out_until.is_some() && first(begins) == Some(now) => Some(Refusal::Lockdown {
                opens_at: opens_at.filter(|_| in_hand),
            }),
            Some(opens_at) if now < starts_at => Some(Refusal::NotYet { opens_at }),
            opens_at => Some(Refusal::OutsideSchedule { opens_at }),
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

    /// Whether an `action` by this right takes one of its uses: an unlock does, locking never.
    fn takes_use(&self, action: Action) -> bool {
        action == Action::Unlock && self.and_above().any(|right| right.uses.is_some())
    }
}

/// How many openings of schedules are looked at to find one in which all of a chain of rights are open.
const MOST_OPENINGS: usize = 64;

/// What is asked of which lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The lock.
    pub lock: LockId,
    /// The movement.
    pub action: Action,
}

/// The answer to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The bolt may move.
    Open {
        /// The right that allows it.
        by: RightSource,
        /// Whether one of that right's uses is taken with it, in the same transaction.
        takes_use: bool,
    },
    /// It may not.
    Refuse {
        /// Why not: for the log as it is, for the person through [`Refusal::for_person`].
        refusal: Refusal,
        /// The right that came nearest to opening, for the log alone; `None` where there is no right at all.
        nearest: Option<RightSource>,
    },
}

/// Decides by the rights of the person who asks.
///
/// It opens by the first right that allows it; one whose uses are counted is taken only where no other opens, so that
/// nobody loses a use that they did not need. Otherwise it refuses for the reason that is nearest to opening:
///
/// 1. what opens by itself, the soonest first ([`Refusal::NotYet`], [`Refusal::OutsideSchedule`] and
///    [`Refusal::Lockdown`] with a time; at the
///    same time the right that is running already),
/// 2. a spare key that would open if it were released ([`Refusal::SpareNotReleased`]),
/// 3. what runs and does not open any more ([`Refusal::OutsideSchedule`] and [`Refusal::Lockdown`] without a time),
/// 4. what is used up ([`Refusal::UsesExhausted`]),
/// 5. what has ended ([`Refusal::GrantExpired`]), 6. what was taken back ([`Refusal::GrantRevoked`]),
/// 7. nothing at all ([`Refusal::NoAccess`]).
///
/// Among equals the first right counts. A right for another lock is no right. Locking needs a right at that time like
/// opening does, but no use: whoever let themselves in with their last one may lock the door behind them.
#[must_use]
pub fn decide(ask: &Ask, rights: &[Right], zone: &TimeZone, now: Timestamp) -> Decision {
    let mut open: Option<&Right> = None;
    let mut nearest: Option<(Refusal, &Right)> = None;
    for right in rights.iter().filter(|right| right.lock == ask.lock) {
        match right.refusal(ask.action, zone, now) {
            None if !right.takes_use(ask.action) => {
                return Decision::Open {
                    by: right.source.clone(),
                    takes_use: false,
                };
            }
            None => open = open.or(Some(right)),
            Some(refusal) => {
                if nearest
                    .as_ref()
                    .is_none_or(|(known, _)| refusal.nearness(known) == Ordering::Less)
                {
                    nearest = Some((refusal, right));
                }
            }
        }
    }
    match (open, nearest) {
        (Some(right), _) => Decision::Open {
            by: right.source.clone(),
            takes_use: true,
        },
        (None, Some((refusal, right))) => Decision::Refuse {
            refusal,
            nearest: Some(right.source.clone()),
        },
        (None, None) => Decision::Refuse {
            refusal: Refusal::NoAccess,
            nearest: None,
        },
    }
}

/// Why a bolt does not move, by the backend's own decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The person has no right to this lock and never had one.
    NoAccess,
    /// A right begins later.
    NotYet {
        /// When it first opens: its start, or the first opening of its schedule after that.
        opens_at: Timestamp,
    },
    /// A right runs, and its schedule is closed.
    OutsideSchedule {
        /// When it opens next; `None` where that is after the right's end or not in sight.
        opens_at: Option<Timestamp>,
    },
    /// A right runs, and a lockdown that does not except its holder keeps everybody out.
    Lockdown {
        /// When it opens next by itself; `None` where that is after the right's end or not in sight.
        opens_at: Option<Timestamp>,
    },
    /// The right has ended: the grant, or the tenancy.
    GrantExpired,
    /// The grant was taken back.
    GrantRevoked,
    /// All uses of the grant are taken.
    UsesExhausted,
    /// It would open, and is a spare key that nobody has released.
    SpareNotReleased,
    /// It would open, and the organization wants a session that is bound to a key of the phone. Said by the caller.
    PhoneKeyNeeded,
    /// The lock was added and has not been claimed yet. Said by the caller, to who has a right.
    LockNotEnrolled,
    /// The lock was retired. Said by the caller, to who has a right.
    LockRetired,
    /// Two histories of the lock were seen, and it is set apart. Said by the caller, to who has a right.
    LockQuarantined,
}

impl Refusal {
    /// Why nothing is issued for the lock, whoever asks; `None` where it is in service.
    #[must_use]
    pub fn of_lock(lock: &Lock) -> Option<Self> {
        match lock.state {
            LockState::Unclaimed => Some(Self::LockNotEnrolled),
            LockState::Retired => Some(Self::LockRetired),
            LockState::Enrolled => lock.quarantined.then_some(Self::LockQuarantined),
        }
    }

    /// The stable word for it, as the log keeps it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoAccess => "no-access",
            Self::NotYet { .. } => "not-yet",
            Self::OutsideSchedule { .. } => "outside-schedule",
            Self::Lockdown { .. } => "lockdown",
            Self::GrantExpired => "grant-expired",
            Self::GrantRevoked => "grant-revoked",
            Self::UsesExhausted => "uses-exhausted",
            Self::SpareNotReleased => "spare-not-released",
            Self::PhoneKeyNeeded => "phone-key-needed",
            Self::LockNotEnrolled => "lock-not-enrolled",
            Self::LockRetired => "lock-retired",
            Self::LockQuarantined => "lock-quarantined",
        }
    }

    /// When it opens by itself, where that is known.
    #[must_use]
    pub fn opens_at(&self) -> Option<Timestamp> {
        match self {
            Self::NotYet { opens_at } => Some(*opens_at),
            Self::OutsideSchedule { opens_at } | Self::Lockdown { opens_at } => *opens_at,
            _ => None,
        }
    }

    /// What the person who asked may know: all that concerns their own right, with when it opens next. Of the lock
    /// itself only that it cannot be opened now: whether it waits for a fitter or was taken off the door is the
    /// landlord's to tell. Which right came nearest, who took it back and when stay in the log.
    #[must_use]
    pub fn for_person(&self) -> ToldRefusal {
        let reason = match self {
            Self::LockNotEnrolled | Self::LockRetired | Self::LockQuarantined => "lock-not-in-service",
            told => told.word(),
        };
        ToldRefusal {
            reason,
            opens_at: self.opens_at(),
        }
    }

    /// `Less` where this one is nearer to opening than `other`, by the order of [`decide`].
    pub(super) fn nearness(&self, other: &Self) -> Ordering {
        let rank = |refusal: &Self| match refusal {
            Self::OutsideSchedule {
                opens_at: Some(opens_at),
            } => (0, *opens_at, 0),
            Self::Lockdown {
                opens_at: Some(opens_at),
            } => (0, *opens_at, 0),
            Self::NotYet { opens_at } => (0, *opens_at, 1),
            Self::SpareNotReleased | Self::PhoneKeyNeeded => (1, Timestamp::MIN, 0),
            Self::OutsideSchedule { opens_at: None } | Self::Lockdown { opens_at: None } => (2, Timestamp::MIN, 0),
            Self::UsesExhausted => (3, Timestamp::MIN, 0),
            Self::GrantExpired => (4, Timestamp::MIN, 0),
            Self::GrantRevoked => (5, Timestamp::MIN, 0),
            Self::NoAccess | Self::LockNotEnrolled | Self::LockRetired | Self::LockQuarantined => {
                (6, Timestamp::MIN, 0)
            }
        };
        rank(self).cmp(&rank(other))
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.word())
    }
}

/// A refusal as it is told to the person who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ToldRefusal {
    /// The stable word.
    pub reason: &'static str,
    /// When it opens by itself, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
}

impl ToldRefusal {
    /// The word by which the person who asked is told `reason`, as [`Refusal::for_person`] tells it.
    #[must_use]
    pub fn word_of(reason: &Reason) -> &str {
        let of_the_lock = [Refusal::LockNotEnrolled, Refusal::LockRetired, Refusal::LockQuarantined];
        let hidden = of_the_lock.iter().find(|refusal| refusal.word() == reason.as_str());
        hidden.map_or(reason.as_str(), |refusal| refusal.for_person().reason)
    }
}

#[cfg(test)]
mod tests;
