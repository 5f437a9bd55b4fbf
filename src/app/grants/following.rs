//! What was given under a right follows it when it changes: narrowed to what is left, or ended.

use super::ending::{By, Ended, end_alone, end_with, tell_of_end};
use super::{concerned_by, tell_of, write_down};
use crate::app::Error;
use crate::app::pins::reword;
use crate::app::revocations::{begin_round, hold_locks};
use crate::domain::access_log::Kind;
use crate::domain::delegation::narrowed;
use crate::domain::grant::{Grant, Terms};
use crate::domain::ids::LockId;
use crate::domain::lock::Lock;
use crate::domain::notice;
use crate::domain::time::Timestamp;
use crate::domain::unlock::{Right, RightSource};
use crate::store::{Conn, grants, locks};

/// Has what was given under this right, which has just changed and goes on, follow it. The caller holds the locks that the
/// right opened before, and has written the change; what becomes of the grants is written down here.
pub(in crate::app) fn follow(conn: &mut Conn, right: &RightSource, by: By<'_>, now: Timestamp) -> Result<Ended, Error> {
    let hanging = grants::under(conn, std::slice::from_ref(right))?;
    follow_each(conn, hanging, by, now)
}

/// The grants at the lock that were given under other people's rights and stand, their locks held until this transaction ends:
/// to be taken before what they hang on is changed, and followed up with [`follow_each`]. These other `doors` are held with them.
pub(in crate::app) fn hold_hanging_at(
    conn: &mut Conn,
    lock: &Lock,
    doors: Vec<LockId>,
    now: Timestamp,
) -> Result<Vec<Grant>, Error> {
    let hanging = grants::hanging_at(conn, &lock.id)?;
    let hanging: Vec<Grant> = hanging.into_iter().filter(|grant| grant.stands(now)).collect();
    let hung = hanging.iter().flat_map(|grant| grant.terms.locks.clone());
    hold_locks(conn, &hung.chain(doors).collect::<Vec<_>>())?;
    Ok(hanging)
}

/// Has these grants follow the rights under which they hang.
pub(in crate::app) fn follow_each(
    conn: &mut Conn,
    hanging: Vec<Grant>,
    by: By<'_>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let mut ended = Ended::default();
    let (mut over, mut changed) = (Vec::new(), Vec::new());
    for grant in hanging.into_iter().filter(|grant| grant.stands(now)) {
        match left_of(conn, &grant, now)? {
            Some(terms) if terms == grant.terms => {}
            Some(terms) => {
                let narrower = Grant { terms, ..grant.clone() };
                ended = ended.and(put(conn, &grant, &narrower, now)?);
                changed.push(narrower);
            }
            None => {
                grants::revoke(conn, &grant.id, by.or_giver(&grant), now)?;
                let right = vec![RightSource::Grant(grant.id.clone())];
                ended = ended.and(end_alone(conn, right, now)?);
                over.push(grant);
            }
        }
    }
    // All rights before the end of the log.
    for grant in &over {
        tell_of_end(conn, by, grant, now)?;
    }
    for grant in &changed {
        write_down(conn, by, grant, Kind::GrantChanged, Some("giver-changed"), now)?;
        let concerned = concerned_by(grant);
        tell_of(conn, by, concerned, grant, notice::Kind::AccessChanged, now)?;
    }
    Ok(ended)
}

/// Has a standing grant of the landlord's give less from now on: by these terms, or nothing any more for `None`. What was
/// given under it follows, and its holder is told. The caller holds its locks.
pub(in crate::app) fn cut(
    conn: &mut Conn,
    grant: &Grant,
    to: Option<Terms>,
    (why, by): (&str, By<'_>),
    now: Timestamp,
) -> Result<Ended, Error> {
    let right = RightSource::Grant(grant.id.clone());
    let Some(terms) = to else {
        grants::revoke(conn, &grant.id, by.or_giver(grant), now)?;
        let ended = end_with(conn, vec![right], by, now)?;
        write_down(conn, by, grant, Kind::GrantRevoked, Some(why), now)?;
        tell_of(conn, by, concerned_by(grant), grant, notice::Kind::AccessRevoked, now)?;
        return Ok(ended);
    };
    let less = Grant { terms, ..grant.clone() };
    let ended = put(conn, grant, &less, now)?.and(follow(conn, &right, by, now)?);
    write_down(conn, by, &less, Kind::GrantChanged, Some(why), now)?;
    tell_of(conn, by, concerned_by(&less), &less, notice::Kind::AccessChanged, now)?;
    Ok(ended)
}

/// What the grant may still give under its giver's right; `None` for nothing.
fn left_of(conn: &mut Conn, grant: &Grant, now: Timestamp) -> Result<Option<Terms>, Error> {
    let Some(source) = &grant.under else {
        return Ok(Some(grant.terms.clone()));
    };
    let givers = givers_at(conn, source, &grant.terms.locks)?;
    Ok(narrowed(&givers, &grant.terms, now))
}

/// What the right says about each of the locks that it opens.
pub(super) fn givers_at(conn: &mut Conn, source: &RightSource, ids: &[LockId]) -> Result<Vec<(Lock, Right)>, Error> {
    let mut givers = Vec::new();
    for lock in locks::with_ids(conn, ids)? {
        if let Some(right) = grants::right(conn, source, &lock)? {
            givers.push((lock, right));
        }
    }
    Ok(givers)
}

/// Writes the new terms of a grant in the place of the old, and has taken back at its locks what it gives no more. The caller
/// holds the locks of both.
pub(in crate::app) fn put(conn: &mut Conn, before: &Grant, after: &Grant, now: Timestamp) -> Result<Ended, Error> {
    let is_renamed = !after.terms.cover(&before.terms, now) && begin_round(conn, before, now)?;
    let round = before.round + u32::from(is_renamed);
    let after = Grant { round, ..after.clone() };
    let pins = reword(conn, before, &after, now)?;
    if !grants::change(conn, &after)? {
        return Err(super::change::OVER);
    }
    Ok(Ended::reworded(&after.id, is_renamed, pins))
}
