//! The decision on an ask to move a bolt: who may, by which right, and if not, why not and when; below it the rights.

use std::cmp::Ordering;

use serde::Serialize;

use super::attempt::{Action, Reason};
use super::ids::LockId;
use super::lock::{Lock, LockState};
use super::time::{TimeZone, Timestamp};

mod right;

pub use right::{BadName, Giver, Right, RightName, RightSource};

impl Right {
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

    /// Whether an `action` by this right takes one of its uses: an unlock does, locking never.
    fn takes_use(&self, action: Action) -> bool {
        action == Action::Unlock && self.and_above().any(|right| right.uses.is_some())
    }
}

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
