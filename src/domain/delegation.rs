//! Access under other people's rights: what whoever may open a door can give to others, and what is left of that when their
//! own right changes.
//!
//! What is given is never wider than the right of its giver: no other door, no other hour, no longer, no more openings, no
//! way in that the giver does not have. A tenancy has no PIN of its own and may lend one at the unit's own doors: there
//! nobody lives but who gives it, while a PIN at a shared door can be handed on into everybody's house.

use super::grant::{NewGrant, Terms, Uses, Way};
use super::lock::Lock;
use super::pass::Role;
use super::time::Timestamp;
use super::unlock::{Right, RightSource};

/// In which way something that is asked for is wider than the right of its giver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Wider {
    /// The giver has no right at the lock, or none any more.
    #[error("you have no access of your own to a lock that is named")]
    NoRight,
    /// The right is one that is not passed on.
    #[error("your own access cannot be passed on")]
    NotDelegable,
    /// The landlord closed the door to sharing.
    #[error("the landlord has closed a door that is named to sharing")]
    DoorNotShareable,
    /// It begins before the giver's.
    #[error("it would begin before your own access does")]
    Start,
    /// It ends after the giver's.
    #[error("it would end after your own access does")]
    End,
    /// It is open at times at which the giver's is closed.
    #[error("it would open at times at which your own access does not")]
    Schedule,
    /// It has more openings than the giver's has left.
    #[error("it would open more often than your own access still does")]
    Uses,
    /// It gives a way in that the giver cannot give.
    #[error("it would give a way in that you cannot give at these doors")]
    Ways,
    /// It would let a vendor's guest have longer passes than the vendor.
    #[error("what a vendor passes on is for a vendor")]
    Role,
    /// It could be passed on once more.
    #[error("what is given under your own access cannot be passed on any further")]
    Delegable,
}

impl Wider {
    /// The field of the request that it is about.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::NoRight | Self::NotDelegable | Self::DoorNotShareable => "lock_ids",
            Self::Start => "starts_at",
            Self::End => "ends_at",
            Self::Schedule => "schedule",
            Self::Uses => "uses",
            Self::Ways => "ways",
            Self::Role => "role",
            Self::Delegable => "delegable",
        }
    }

    /// How far what was asked for got: of several rights of one giver, the one that came nearest gives the reason.
    #[must_use]
    pub fn nearness(self) -> u8 {
        match self {
            Self::NoRight => 0,
            Self::NotDelegable => 1,
            Self::DoorNotShareable => 2,
            Self::Start | Self::End | Self::Schedule | Self::Uses | Self::Ways | Self::Role | Self::Delegable => 3,
        }
    }
}

/// Whether `giver`, a right at `door`, may give access there by the terms `asked`, at `now`.
///
/// The schedules are compared by what the wall clock reads, and both go by the clock of the door: so the answer holds in
/// every zone.
///
/// # Errors
/// The first of [`Wider`] that is so, in its order.
pub fn is_within(giver: &Right, door: &Lock, asked: &Terms, now: Timestamp) -> Result<(), Wider> {
    if giver.lock != door.id || giver.is_over(now) {
        return Err(Wider::NoRight);
    }
    if !may_be_passed_on(giver) {
        return Err(Wider::NotDelegable);
    }
    if door.is_closed_to_sharing() {
        return Err(Wider::DoorNotShareable);
    }
    if asked.starts_at < giver.begins_at() {
        return Err(Wider::Start);
    }
    if let Some(end) = giver.last_until()
        && asked.ends_at.is_none_or(|asked| asked > end)
    {
        return Err(Wider::End);
    }
    let is_open_within = giver.schedule.as_ref().is_none_or(|outer| {
        let inner = asked.schedule.as_ref();
        inner.is_some_and(|inner| inner.is_within(outer))
    });
    if !is_open_within {
        return Err(Wider::Schedule);
    }
    if let Some(left) = left(giver)
        && asked.uses.is_none_or(|uses| uses.limit() - uses.taken() > left)
    {
        return Err(Wider::Uses);
    }
    if asked.ways.iter().any(|way| !may_lend(giver, door, *way)) {
        return Err(Wider::Ways);
    }
    if giver.role == Role::Vendor && asked.role != Role::Vendor {
        return Err(Wider::Role);
    }
    if asked.delegable {
        return Err(Wider::Delegable);
    }
    Ok(())
}

/// What is asked for, with what was left out as its givers have it: the same end, the same schedule, the usual ways in as far
/// as they can be given.
#[must_use]
pub fn filled(new: NewGrant, givers: &[(Lock, Right)]) -> NewGrant {
    let end = givers.iter().filter_map(|(_, giver)| giver.last_until()).min();
    let schedule = givers.iter().find_map(|(_, giver)| giver.schedule.clone());
    let usual = || {
        let lent = |way: &Way| givers.iter().all(|(door, giver)| may_lend(giver, door, *way));
        Way::USUAL.into_iter().filter(lent).collect()
    };
    let is_vendors = givers.iter().any(|(_, giver)| giver.role == Role::Vendor);
    NewGrant {
        ends_at: new.ends_at.or(end),
        schedule: new.schedule.or(schedule),
        ways: Some(new.ways.unwrap_or_else(usual)),
        role: new.role.or(is_vendors.then_some(Role::Vendor)),
        ..new
    }
}

/// What is left of `terms`, given under `givers` (what their giver has at each of the locks now), when those have changed;
/// `None` where nothing is. What lies within them already stays as it is.
#[must_use]
pub fn narrowed(givers: &[(Lock, Right)], terms: &Terms, now: Timestamp) -> Option<Terms> {
    let mut left_over = Terms {
        locks: Vec::new(),
        ..terms.clone()
    };
    for lock in &terms.locks {
        let Some((door, giver)) = givers.iter().find(|(door, _)| door.id == *lock) else {
            continue;
        };
        if giver.is_over(now) || !may_be_passed_on(giver) || door.is_closed_to_sharing() {
            continue;
        }
        left_over.locks.push(lock.clone());
        left_over.starts_at = left_over.starts_at.max(giver.begins_at());
        left_over.ends_at = left_over.ends_at.into_iter().chain(giver.last_until()).min();
        left_over.schedule = match (left_over.schedule, &giver.schedule) {
            (inner, None) => inner,
            (None, Some(outer)) => Some(outer.clone()),
            (Some(inner), Some(outer)) if inner.is_within(outer) => Some(inner),
            // Two schedules that only overlap have no third that stands in anybody's books.
            (Some(_), Some(_)) => return None,
        };
        if let Some(left) = left(giver) {
            let taken = left_over.uses.map_or(0, Uses::taken);
            let most = taken.saturating_add(left);
            let limit = left_over.uses.map_or(most, |uses| uses.limit().min(most));
            left_over.uses = Some(Uses::with_taken(limit.min(Uses::MAX), taken).ok()?);
        }
        left_over.ways.retain(|way| may_lend(giver, door, *way));
        if giver.role == Role::Vendor {
            left_over.role = Role::Vendor;
        }
    }
    let stands = !left_over.locks.is_empty()
        && left_over.ways.contains(&Way::App)
        && left_over
            .ends_at
            .is_none_or(|end| end > left_over.starts_at && end > now);
    stands.then_some(left_over)
}

/// Whether others may be given access under the right: once, never twice in a row, and never under a spare key.
fn may_be_passed_on(giver: &Right) -> bool {
    giver.delegable && giver.under.is_none() && giver.spare == super::spare::SpareKey::None
}

/// How many openings the right has left; `None` for any number.
fn left(giver: &Right) -> Option<u32> {
    giver.uses.map(|uses| uses.limit() - uses.taken())
}

/// Whether the right may lend this way in at the door. Where its uses are counted only the app: a lock counts each right for
/// itself, and two of them would open twice as often.
fn may_lend(giver: &Right, door: &Lock, way: Way) -> bool {
    let is_tenancy = matches!(giver.source, RightSource::Tenancy(_));
    match way {
        Way::App => giver.lends(way),
        Way::Offline => giver.lends(way) && giver.uses.is_none(),
        Way::Pin => giver.lends(way) && giver.uses.is_none() && (!is_tenancy || door.unit.is_some()),
    }
}

#[cfg(test)]
mod tests;
