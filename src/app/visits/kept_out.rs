//! Ways in of vendors that go no further though nobody said no: who lives behind a door has changed, or the door has.
//!
//! In the transaction the locks come first ([`doors_of_visits_in`], [`doors_of_visits_at`]), then [`agree_anew`] or
//! [`door_moved`], before anything is written down of what changed, and then [`KeptOut::write_down`].

use super::end::take_way_in_back;
use super::{Step, agreed_until, entry, write_down};
use crate::app::Error;
use crate::app::grants::{Ended, put};
use crate::crypto::random::Random;
use crate::domain::access_log::Kind;
use crate::domain::account::Scope;
use crate::domain::grant::{Grant, Terms};
use crate::domain::ids::{GrantId, LockId, PersonId, UnitId};
use crate::domain::lock::Lock;
use crate::domain::notice;
use crate::domain::time::Timestamp;
use crate::domain::visit::Visit;
use crate::store::{Conn, access_log, grants, visits};

/// Ways in that were taken back or end sooner, before that is written down.
#[must_use]
#[derive(Debug)]
pub(in crate::app) struct KeptOut {
    /// The visits as they were, and when the ways in end that are not taken back.
    visits: Vec<(Visit, Option<Timestamp>)>,
    /// Why, as a stable word.
    why: &'static str,
    ended: Ended,
}

/// The doors of the visits to the unit that are not over.
pub(in crate::app) fn doors_of_visits_in(conn: &mut Conn, unit: &UnitId) -> Result<Vec<LockId>, Error> {
    let standing = visits::not_ended_in(conn, unit)?;
    Ok(standing.into_iter().flat_map(|visit| visit.locks).collect())
}

/// The doors of the visits to the door of this lock that are not over.
pub(in crate::app) fn doors_of_visits_at(conn: &mut Conn, lock: &LockId) -> Result<Vec<LockId>, Error> {
    let standing = visits::not_ended_at(conn, lock)?;
    Ok(standing.into_iter().flat_map(|visit| visit.locks).collect())
}

/// Has no vendor come into the unit beyond what its people agree to, now that it has changed who they are, or for how long:
/// a way in ends where the first of them would live with a visit to which nobody there agreed, be it that the vendor has got
/// in already. To be let in longer again they prove anew to be the one.
pub(in crate::app) fn agree_anew(
    conn: &mut Conn,
    unit: &UnitId,
    (by, random): (Option<&PersonId>, &dyn Random),
    now: Timestamp,
) -> Result<KeptOut, Error> {
    let mut kept_out = KeptOut::new("residents-changed");
    for visit in visits::not_ended_in(conn, unit)? {
        let Some((visit, given)) = let_in_by(conn, visit, now)? else {
            continue;
        };
        let until = agreed_until(conn, &visit, now)?;
        if until <= visit.starts_at.max(now) {
            kept_out.take_back(conn, visit, (by, random), now)?;
        } else if given.terms.ends_at.is_none_or(|end| until < end) {
            let terms = Terms {
                ends_at: Some(until),
                ..given.terms.clone()
            };
            let shorter = Grant { terms, ..given.clone() };
            kept_out.ended = kept_out.ended.and(put(conn, &given, &shorter, now)?);
            kept_out.visits.push((visit, Some(until)));
        }
    }
    Ok(kept_out)
}

/// Takes back the ways in of all visits to a lock that hangs on another door from now on: nobody agreed to that one.
pub(in crate::app) fn door_moved(
    conn: &mut Conn,
    lock: &Lock,
    (by, random): (&PersonId, &dyn Random),
    now: Timestamp,
) -> Result<KeptOut, Error> {
    let mut kept_out = KeptOut::new("door-moved");
    for visit in visits::not_ended_at(conn, &lock.id)? {
        if let Some((visit, _)) = let_in_by(conn, visit, now)? {
            kept_out.take_back(conn, visit, (Some(by), random), now)?;
        }
    }
    Ok(kept_out)
}

/// The visit, held, and the grant by which its vendor comes, if they have one that stands. The locks are held.
fn let_in_by(conn: &mut Conn, visit: Visit, now: Timestamp) -> Result<Option<(Visit, Grant)>, Error> {
    let scope = Scope::only(visit.organization);
    let held = visits::hold(conn, &visit.id, &scope)?.filter(|visit| visit.ended.is_none());
    let Some(visit) = held.filter(|visit| visit.is_over(now).is_none()) else {
        return Ok(None);
    };
    let Some((_, grant)) = &visit.let_in else {
        return Ok(None);
    };
    let given = grants::find(conn, grant, &scope)?.filter(|given| given.stands(now));
    Ok(given.map(|given| (visit, given)))
}

impl KeptOut {
    fn new(why: &'static str) -> Self {
        Self {
            visits: Vec::new(),
            why,
            ended: Ended::default(),
        }
    }

    fn take_back(
        &mut self,
        conn: &mut Conn,
        visit: Visit,
        (by, random): (Option<&PersonId>, &dyn Random),
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut left = visit.clone();
        // Whoever ordered a visit stands for what time ends of it.
        let by = by.unwrap_or(&visit.ordered_by);
        let ended = take_way_in_back(conn, &mut left, (by, random), now)?;
        self.ended = std::mem::take(&mut self.ended).and(ended);
        self.visits.push((visit, None));
        Ok(())
    }

    /// The grants that were taken back.
    pub(in crate::app) fn grants(&self) -> impl Iterator<Item = &GrantId> {
        self.ended.grants()
    }

    /// Writes it down, and tells whoever lives there, or is to, and whoever ordered it of what was taken back. What has ended
    /// is for the locks to know.
    pub(in crate::app) fn write_down(
        self,
        conn: &mut Conn,
        random: &dyn Random,
        by: Option<&PersonId>,
        now: Timestamp,
    ) -> Result<Ended, Error> {
        for (visit, until) in self.visits {
            let step = Step {
                kind: Kind::VendorKeptOut,
                news: notice::Kind::VendorKeptOut,
                actor: by.cloned(),
                at: now,
                reason: Some(self.why.to_owned()),
            };
            let Some(until) = until else {
                write_down(conn, random, &visit, step, now)?;
                continue;
            };
            let mut entry = entry(&visit, &step);
            if let Some(detail) = &mut entry.detail {
                detail["ends_at"] = serde_json::json!(until);
            }
            access_log::append(conn, &visit.organization, &entry, now)?;
        }
        Ok(self.ended)
    }
}
