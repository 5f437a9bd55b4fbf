//! Attempts after they were asked: how they end, and who may see them.

use super::access_log::{reader, used_by};
use super::metrics::AttemptLabels;
use super::{Actor, App, Error, What, joined_by};
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Scope;
use crate::domain::attempt::{Attempt, Change, Reason};
use crate::domain::ids::{AttemptId, GrantId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, attempts, grants, locks};

impl App {
    /// Closes the attempt if `how` makes something of it, writes that down, and tells who waits.
    pub(super) async fn close(
        &self,
        id: &AttemptId,
        how: impl FnOnce(&Attempt) -> Option<Change> + Send + 'static,
    ) -> Result<(), Error> {
        let (id, now) = (id.clone(), self.now());
        let ended = self
            .db
            .write(move |conn| {
                let Some(attempt) = attempts::find_any(conn, &id)? else {
                    return Ok::<_, Error>(None);
                };
                let Some(change) = how(&attempt) else {
                    return Ok(None);
                };
                end(conn, attempt, change, now)
            })
            .await?;
        if let Some(attempt) = ended {
            self.ended(&attempt);
        }
        Ok(())
    }

    /// Closes what has waited for its lock's word beyond its deadline, up to `most` attempts; says how many there were.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn expire_attempts(&self, most: u16) -> Result<usize, Error> {
        let now = self.now();
        let ended = self
            .db
            .write(move |conn| {
                // All attempts before the first end of a log: what ends one of them by itself takes them so too.
                let mut ended = Vec::new();
                for attempt in attempts::overdue(conn, now, i64::from(most))? {
                    if let Some(change) = attempt.expire(now) {
                        ended.extend(close(conn, attempt, change)?);
                    }
                }
                for attempt in &ended {
                    write_down(conn, attempt, now)?;
                }
                Ok::<_, Error>(ended)
            })
            .await?;
        ended.iter().for_each(|attempt| self.ended(attempt));
        Ok(ended.len())
    }

    /// Tells who waits, and counts.
    pub(super) fn ended(&self, attempt: &Attempt) {
        self.waiters.wake(attempt);
        self.count(attempt);
        if let Some(at) = attempt.state.confirmed_at() {
            self.metrics
                .unlock_seconds
                .observe(at.since(attempt.requested_at).as_secs_f64());
        }
    }

    pub(super) fn count(&self, attempt: &Attempt) {
        let labels = AttemptLabels {
            action: attempt.action.as_str(),
            result: attempt.state.status().as_str(),
        };
        self.metrics.attempts.get_or_create(&labels).inc();
    }

    /// One attempt: the person's own, or one of which the access log tells them.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn attempt(&self, who: &Actor, id: AttemptId) -> Result<Attempt, Error> {
        let (now, who) = (self.now(), who.clone());
        let (attempt, used) = self
            .db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let attempt = attempts::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Attempt))?;
                let is_own = attempt.person == who.person;
                if let Some(reach) = &who.reach {
                    // Their person may have asked at other doors too.
                    let scope = Scope::only(attempt.organization.clone());
                    let grant = grants::find(conn, &reach.grant, &scope)?;
                    let is_within = grant.is_some_and(|grant| grant.terms.locks.contains(&attempt.lock));
                    return match is_own && is_within {
                        true => Ok((attempt, Vec::new())),
                        false => Err(Error::NotFound(What::Attempt)),
                    };
                }
                if is_own {
                    return Ok((attempt, Vec::new()));
                }
                let reader = reader(conn, &who, &attempt.organization, now)?;
                let reader = reader.ok_or(Error::NotFound(What::Attempt))?;
                let seen = access_log::of_attempt(conn, &attempt.organization, &id, &reader)?;
                if seen.is_empty() {
                    return Err(Error::NotFound(What::Attempt));
                }
                // Where one entry shows it anyway, no look was needed.
                let used = match seen.iter().all(|seen| seen.by_look.is_some()) {
                    true => used_by(&reader, &seen),
                    false => Vec::new(),
                };
                Ok((attempt, used))
            })
            .await?;
        self.mark_used(used).await?;
        Ok(attempt)
    }
}

/// Ends an attempt without the lock's word and writes it down; `None` where something else ended it first.
pub(super) fn end(conn: &mut Conn, attempt: Attempt, change: Change, now: Timestamp) -> Result<Option<Attempt>, Error> {
    let ended = close(conn, attempt, change)?;
    if let Some(attempt) = &ended {
        write_down(conn, attempt, now)?;
    }
    Ok(ended)
}

/// The attempt, ended; `None` where something else ended it first.
pub(super) fn close(conn: &mut Conn, attempt: Attempt, change: Change) -> Result<Option<Attempt>, Error> {
    let closed = attempts::set_state(conn, &attempt.id, attempt.state.status(), &change.state)?;
    Ok(closed.then_some(Attempt {
        state: change.state,
        ..attempt
    }))
}

/// Writes down that the attempt ended without the lock's word.
fn write_down(conn: &mut Conn, attempt: &Attempt, now: Timestamp) -> Result<(), Error> {
    let lock = locks::with_ids(conn, std::slice::from_ref(&attempt.lock))?.pop();
    let reason = attempt.state.reason().map_or("expired", Reason::as_str).to_owned();
    let by = attempt.command.as_ref().map(|command| &command.by);
    let entry = NewEntry {
        outcome: Outcome::Failed,
        reason: Some(reason),
        person: Some(attempt.person.clone()),
        grant: grant_of(by),
        attempt: Some(attempt.id.clone()),
        ..NewEntry::new(Kind::RequestEnded, now)
    };
    let entry = match &lock {
        Some(lock) => entry.about(lock),
        None => entry,
    };
    access_log::append(conn, &attempt.organization, &entry, now)?;
    Ok(())
}

/// The grant among rights.
pub(super) fn grant_of(by: Option<&RightSource>) -> Option<GrantId> {
    match by {
        Some(RightSource::Grant(grant)) => Some(grant.clone()),
        Some(RightSource::Tenancy(_)) | None => None,
    }
}
