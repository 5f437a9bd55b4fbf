//! How a visit runs and ends: it begins with the first opening, and is over with its stay, its window, or the landlord's word.

use std::sync::Arc;

use super::{Shown, Step, hold, refuse_over, shown, write_down};
use crate::app::grants::{By, Ended, end_with};
use crate::app::in_turn::each_in_turn;
use crate::app::revocations::Revocation;
use crate::app::{Actor, App, Error, served_by};
use crate::crypto::random::Random;
use crate::domain::access_log::Kind;
use crate::domain::ids::{GrantId, PersonId, VisitId};
use crate::domain::notice;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::domain::visit::{EndReason, Visit};
use crate::store::{Conn, grants, visits};

/// How many visits are written down as over in one transaction.
const ENDED_A_ROUND: i64 = 200;

impl App {
    /// The landlord calls a visit off: what way in there is is taken back. The last token ends within seconds, as the answer
    /// says.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where it is over.
    pub async fn cancel_visit(&self, who: &Actor, id: VisitId) -> Result<(Shown, Revocation), Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let (shown, ended) = self
            .db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let mut visit = hold(conn, &id, &scope)?;
                refuse_over(&visit, now)?;
                let ended = match visit.let_in.clone() {
                    Some((_, grant)) => revoke(conn, &grant, (&who.person, &*random), now)?,
                    None => Ended::default(),
                };
                visits::end(conn, &id, now, EndReason::Cancelled)?;
                visit.ended = Some((now, EndReason::Cancelled));
                let step = Step {
                    kind: Kind::VisitEnded,
                    news: notice::Kind::VisitEnded,
                    actor: Some(who.person.clone()),
                    at: now,
                    reason: Some(EndReason::Cancelled.as_str().to_owned()),
                };
                write_down(conn, &*random, &visit, step, now)?;
                Ok::<_, Error>((shown(conn, visit, true, now)?, ended))
            })
            .await?;
        Ok((shown, self.make_end_effective(ended).await?))
    }

    /// Writes down which visits are over by themselves; says how many.
    ///
    /// # Errors
    /// Those of the database; one that fails keeps no other from its end.
    pub async fn end_visits(&self) -> Result<usize, Error> {
        let now = self.now();
        let overdue = self
            .db
            .read(move |conn| Ok::<_, Error>(visits::overdue(conn, now, ENDED_A_ROUND)?))
            .await?;
        let (ended, outcome) = each_in_turn(overdue, |visit| {
            let random = Arc::clone(&self.random);
            self.db.write(move |conn| {
                let Some(why) = visit.is_over(now) else {
                    return Ok::<_, Error>(false);
                };
                let at = visit.closes_at();
                if !visits::end(conn, &visit.id, at, why)? {
                    return Ok(false);
                }
                let step = Step {
                    kind: Kind::VisitEnded,
                    news: notice::Kind::VisitEnded,
                    actor: None,
                    at,
                    reason: Some(why.as_str().to_owned()),
                };
                write_down(conn, &*random, &visit, step, now)?;
                Ok(true)
            })
        })
        .await;
        outcome.map(|()| ended.into_iter().filter(|is_news| *is_news).count())
    }
}

/// Calls every visit off that is not over, in a database that was restored: whether somebody called it off since, or does not
/// agree any more, is not known.
pub(in crate::app) fn call_off_every(conn: &mut Conn, random: &dyn Random, now: Timestamp) -> Result<(), Error> {
    for mut visit in visits::not_ended(conn)? {
        if let Some((_, grant)) = visit.let_in.clone() {
            // No lock is there to be told; each is told anew whatever it may know when it comes.
            let _ended = revoke(conn, &grant, (&visit.ordered_by, random), now)?;
        }
        if !visits::end(conn, &visit.id, now, EndReason::Cancelled)? {
            continue;
        }
        visit.ended = Some((now, EndReason::Cancelled));
        let step = Step {
            kind: Kind::VisitEnded,
            news: notice::Kind::VisitEnded,
            actor: None,
            at: now,
            reason: Some("restored".to_owned()),
        };
        write_down(conn, random, &visit, step, now)?;
    }
    Ok(())
}

/// A door opened by this grant, as its lock has confirmed: where a vendor comes by it, their stay began with the first one.
/// From then on the grant ends with the stay. What is reported late counts from when it happened.
pub(in crate::app) fn begun(
    conn: &mut Conn,
    random: &dyn Random,
    grant: &GrantId,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(mut visit) = visits::hold_by_grant(conn, grant)? else {
        return Ok(());
    };
    if visit.begun_at.is_some_and(|begun| begun <= at) {
        return Ok(());
    }
    let is_first_word = visit.begun_at.is_none();
    visit.begun_at = Some(at);
    visits::begin(conn, &visit.id, at)?;
    grants::end_at(conn, grant, visit.closes_at())?;
    if is_first_word {
        let step = Step {
            kind: Kind::VisitBegun,
            news: notice::Kind::VisitBegun,
            actor: None,
            at,
            reason: None,
        };
        write_down(conn, random, &visit, step, now)?;
    }
    Ok(())
}

/// Takes back the way in that a vendor has. The locks are held.
pub(super) fn take_way_in_back(
    conn: &mut Conn,
    visit: &mut Visit,
    by: (&PersonId, &dyn Random),
    now: Timestamp,
) -> Result<Ended, Error> {
    let Some((_, grant)) = visit.let_in.take() else {
        return Ok(Ended::default());
    };
    let ended = revoke(conn, &grant, by, now)?;
    visits::keep_out(conn, &visit.id)?;
    Ok(ended)
}

/// Ends the vendor's grant. The locks are held.
fn revoke(
    conn: &mut Conn,
    grant: &GrantId,
    (by, random): (&PersonId, &dyn Random),
    now: Timestamp,
) -> Result<Ended, Error> {
    let right = vec![RightSource::Grant(grant.clone())];
    if grants::revoke(conn, grant, by, now)? {
        end_with(conn, right, By { who: None, random }, now)
    } else {
        Ok(Ended::before(right))
    }
}
