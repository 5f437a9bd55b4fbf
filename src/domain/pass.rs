//! Offline passes: who gets one, by which right, and how long it counts.
//!
//! A pass says no more than its right: it ends before that ends, opens only within its schedule, and its life is short,
//! for a lock that cannot be reached learns of a revocation only from the next phone that comes by.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::grant::{Uses, Way};
use super::lock::Lock;
use super::schedule::Schedule;
use super::time::{TimeZone, Timestamp};
use super::unlock::{Refusal, Right, RightName, RightSource, ToldRefusal};

/// The longest life of a pass (`docs/PROTOCOL.md`, "`pass+jwt`").
pub const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How far a lock's clock may be behind when a pass ends: 100 parts in a million over its longest life.
pub const DRIFT: Duration = Duration::from_secs(60);

/// As what somebody comes to a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Lives there: the right is a tenancy.
    Tenant,
    /// Visits.
    Guest,
    /// Works there for an hour.
    Vendor,
}

impl Role {
    /// The word for it in tables, messages and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Guest => "guest",
            Self::Vendor => "vendor",
        }
    }
}

/// How long passes live, in whole seconds; zero for none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// A tenant's.
    pub tenant: Duration,
    /// A guest's.
    pub guest: Duration,
    /// A vendor's.
    pub vendor: Duration,
}

impl Lives {
    /// How long a pass of this role lives; [`LONGEST_LIFE`] at most.
    #[must_use]
    pub fn of(&self, role: Role) -> Duration {
        let life = match role {
            Role::Tenant => self.tenant,
            Role::Guest => self.guest,
            Role::Vendor => self.vendor,
        };
        life.min(LONGEST_LIFE)
    }
}

/// What a pass for one lock is to say. Times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The right that it stands on.
    pub by: RightSource,
    /// The round of that right.
    pub round: u32,
    /// As what its holder comes.
    pub role: Role,
    /// When it is issued: the present second.
    pub issued_at: Timestamp,
    /// The first second in which it counts.
    pub starts_at: Timestamp,
    /// The last second in which it counts.
    pub ends_at: Timestamp,
    /// When within that, by the clock of the lock's property; `None` for always.
    pub schedule: Option<Schedule>,
    /// The uses of its right, where they are counted.
    pub uses: Option<Uses>,
}

impl Pass {
    /// What its right is called at locks.
    #[must_use]
    pub fn name(&self) -> RightName {
        RightName {
            source: self.by.clone(),
            round: self.round,
        }
    }

    /// After this no bolt moves by the pass at a lock that has a clock.
    #[must_use]
    pub fn may_open_until(&self) -> Timestamp {
        self.ends_at + Duration::from_secs(1) + DRIFT
    }

    /// Until when the pass has to stand in revocations, should it be revoked: a lock without any clock lets tenants in by
    /// passes that have ended, until a `min_rev` covers them ([`super::revocation::ended_before`]).
    #[must_use]
    pub fn counts_until(&self) -> Timestamp {
        match self.role {
            Role::Tenant => self.issued_at + LONGEST_LIFE + Duration::from_secs(2) + DRIFT,
            Role::Guest | Role::Vendor => self.may_open_until(),
        }
    }

    /// `Less` where this one is better to have: uses are not counted, it counts longer, it has no schedule, it opens a lock
    /// without a clock.
    fn preference(&self, other: &Self) -> Ordering {
        let rank = |pass: &Self| {
            (
                pass.uses.is_some(),
                Reverse(pass.ends_at),
                pass.schedule.is_some(),
                pass.role != Role::Tenant,
            )
        };
        rank(self).cmp(&rank(other))
    }
}

/// Why there is no pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPass {
    /// The right itself does not open, or the lock.
    Refused(Refusal),
    /// The landlord has not given this way in.
    WayNotGiven,
    /// This installation gives none to people of this role.
    Off,
    /// Its uses are counted, and it is for several locks: each would count for itself.
    SeveralLocks,
    /// The schedule has more windows or exceptions than a lock takes. Said by the caller, who knows the wire.
    ScheduleTooLong,
}

impl NoPass {
    /// What the person who asked may know.
    #[must_use]
    pub fn for_person(&self) -> ToldRefusal {
        let reason = match self {
            Self::Refused(refusal) => return refusal.for_person(),
            Self::WayNotGiven => "way-not-given",
            Self::Off => "passes-off",
            Self::SeveralLocks => "several-locks",
            Self::ScheduleTooLong => "schedule-too-long",
        };
        ToldRefusal { reason, opens_at: None }
    }

    /// `Less` where this one is nearer to a pass: what comes by itself, then what the landlord could change, then what is
    /// over.
    fn nearness(&self, other: &Self) -> Ordering {
        let class = |why: &Self| match why {
            Self::Refused(refusal) if refusal.opens_at().is_some() => 0,
            Self::Refused(_) => 2,
            Self::WayNotGiven | Self::Off | Self::SeveralLocks | Self::ScheduleTooLong => 1,
        };
        class(self).cmp(&class(other)).then_with(|| match (self, other) {
            (Self::Refused(one), Self::Refused(other)) => one.nearness(other),
            _ => Ordering::Equal,
        })
    }
}

/// The best pass for `lock` that these rights of one person allow at `now`.
///
/// # Errors
/// Why there is none; the reason that is nearest to one. Of the lock's own state only where a right allows a pass: who has
/// no right learns nothing of the lock.
pub fn decide(lock: &Lock, rights: &[Right], zone: &TimeZone, now: Timestamp, lives: &Lives) -> Result<Pass, NoPass> {
    let mut best: Option<Pass> = None;
    let mut nearest = NoPass::Refused(Refusal::NoAccess);
    for right in rights.iter().filter(|right| right.lock == lock.id) {
        match of_right(right, zone, now, lives) {
            Ok(pass) => {
                if best.as_ref().is_none_or(|best| pass.preference(best) == Ordering::Less) {
                    best = Some(pass);
                }
            }
            Err(why) => {
                if why.nearness(&nearest) == Ordering::Less {
                    nearest = why;
                }
            }
        }
    }
    match (best, Refusal::of_lock(lock)) {
        (Some(_), Some(refusal)) => Err(NoPass::Refused(refusal)),
        (Some(pass), None) => Ok(pass),
        (None, _) => Err(nearest),
    }
}

/// The pass that one right allows.
fn of_right(right: &Right, zone: &TimeZone, now: Timestamp, lives: &Lives) -> Result<Pass, NoPass> {
    if right.is_revoked() {
        return Err(NoPass::Refused(Refusal::GrantRevoked));
    }
    let issued_at = Timestamp::from_seconds(now.as_seconds());
    // The last second that lies wholly before the end, which is exclusive.
    let last_before = |end: Timestamp| Timestamp::from_seconds(end.as_seconds()) - Duration::from_secs(1);
    let last = right.last_until().map(last_before);
    if last.is_some_and(|last| last <= issued_at) {
        return Err(NoPass::Refused(Refusal::GrantExpired));
    }
    if right.is_used_up() {
        return Err(NoPass::Refused(Refusal::UsesExhausted));
    }
    if !right.gives(Way::Offline) {
        return Err(NoPass::WayNotGiven);
    }
    let life = lives.of(right.role);
    if life.is_zero() {
        return Err(NoPass::Off);
    }
    // Uses of which another grant takes some cannot be counted by a lock either.
    let shares_uses = right.and_above().skip(1).any(|giver| giver.uses.is_some());
    if shares_uses || (right.uses.is_some() && !right.is_only_lock) {
        return Err(NoPass::SeveralLocks);
    }
    if let Some(until) = right.kept_out(now) {
        let opens_at = Some(until).filter(|opens| right.last_until().is_none_or(|end| *opens < end));
        return Err(NoPass::Refused(Refusal::Lockdown { opens_at }));
    }
    let schedule = schedule_of(right)?;
    let first = right.begins_at();
    let opens_at = right.next_opening(zone, now.max(first));
    let opens_at = opens_at.filter(|opens| right.last_until().is_none_or(|end| *opens < end));
    // A released spare key goes back by itself: so does its pass.
    let released = right.and_above().filter_map(|right| right.spare.until()).min();
    let ends_at =
        (last.into_iter().chain(released.map(last_before))).fold(issued_at + life, |soonest, end| soonest.min(end));
    let not_now = match opens_at {
        Some(opens_at) if now < first => Refusal::NotYet { opens_at },
        opens_at => Refusal::OutsideSchedule { opens_at },
    };
    let has_started = first <= now;
    let starts_at = if has_started {
        issued_at
    } else {
        whole_second_after(first)
    };
    let in_hand = right.and_above().all(|right| right.spare.is_in_hand(now));
    if !in_hand || released.is_some_and(|until| last_before(until) <= issued_at) {
        return Err(NoPass::Refused(Refusal::SpareNotReleased));
    }
    let opens_within = opens_at.is_some_and(|opens| opens <= ends_at) && starts_at <= ends_at;
    // A tenant's pass opens a lock without a clock, which could not tell that it has not begun.
    if !opens_within || (right.role == Role::Tenant && !has_started) {
        return Err(NoPass::Refused(not_now));
    }
    Ok(Pass {
        by: right.source.clone(),
        round: right.round,
        role: right.role,
        issued_at,
        starts_at,
        ends_at,
        schedule,
        uses: right.uses,
    })
}

/// The schedule that a pass by the right carries: one, so that of several the innermost, which must lie within the others.
fn schedule_of(right: &Right) -> Result<Option<Schedule>, NoPass> {
    let mut carried: Option<&Schedule> = None;
    for schedule in right.and_above().filter_map(|right| right.schedule.as_ref()) {
        match carried {
            None => carried = Some(schedule),
            Some(inner) if inner.is_within(schedule) => {}
            Some(_) => return Err(NoPass::WayNotGiven),
        }
    }
    Ok(carried.cloned())
}

/// The first whole second that is not before `at`.
fn whole_second_after(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds((at + Duration::from_millis(999)).as_seconds())
}

#[cfg(test)]
mod tests;
