//! What each lock is to hold of the lockdowns of its property, and telling it.

use std::collections::BTreeSet;
use std::time::Duration;

use doorward_lock::wire;
use heapless::Vec as Bounded;

use crate::app::in_turn::each_in_turn;
use crate::app::revocations::void_all;
use crate::app::unlock::pseudonym;
use crate::app::{App, Error};
use crate::domain::ids::LockId;
use crate::domain::lock::{Lock, LockState, SILENCE};
use crate::domain::lockdown::{Hold, LONGEST_NAMES};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::lockdowns::{self, Document, ToldHold};
use crate::store::{Conn, computed_codes, grants, locks, pins};

/// How long the answer to an order waits for connected locks to say that they know.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

/// How often it looks meanwhile: another node may hear the lock.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many locks are looked at in one read; a round goes on until it has seen all.
const A_PAGE: i64 = 2_000;

/// Of how many names of exceptions each of these locks, whose rows are held, cannot be told.
pub(super) fn left_out(conn: &mut Conn, doors: &[Lock], now: Timestamp) -> Result<Vec<usize>, Error> {
    let of_door = |door| Ok(wanted(conn, door, now)?.1);
    doors.iter().map(of_door).collect()
}

/// Reckons what these locks, whose rows are held, are to hold from now on. `before` is what was left out at each of them
/// before the change: only what grew by it is refused, not what grew by itself since.
///
/// # Errors
/// [`Error::Invalid`] where a lock cannot be told of so many exceptions.
pub(super) fn settle_all(conn: &mut Conn, doors: &[Lock], before: &[usize], now: Timestamp) -> Result<(), Error> {
    for (door, before) in doors.iter().zip(before) {
        let (wanted, left_out) = wanted(conn, door, now)?;
        if left_out > *before {
            return Err(Error::invalid(
                "except",
                "more exceptions than one of the doors can be told of",
            ));
        }
        settle(conn, door, wanted, now)?;
    }
    Ok(())
}

/// The same, with as many of the exceptions as each lock can be told of: nothing is refused.
pub(super) fn settle_fitting(conn: &mut Conn, doors: &[Lock], now: Timestamp) -> Result<(), Error> {
    for door in doors {
        let (wanted, left_out) = wanted(conn, door, now)?;
        if settle(conn, door, wanted, now)? && left_out > 0 {
            let id = &door.id;
            tracing::warn!(lock.id = %id, "{id} cannot be told of all exceptions of its lockdowns: the last named are left out");
        }
    }
    Ok(())
}

/// Writes what the lock is to hold, where that is another thing than before; says whether it is.
fn settle(conn: &mut Conn, lock: &Lock, wanted: Vec<ToldHold>, now: Timestamp) -> Result<bool, Error> {
    let known = lockdowns::document(conn, &lock.id)?;
    if standing(known.as_ref(), now) == wanted {
        return Ok(false);
    }
    let report = lockdowns::report_of(conn, &lock.id)?;
    let before = known.map_or(0, |known| known.epoch).max(report.held.unwrap_or(0));
    let knows_not = report.has_spoken && report.held.is_none();
    if knows_not && !wanted.is_empty() {
        // No pass is issued meanwhile but to those who are excepted; those of before are void this way.
        void_all(conn, &lock.id, now)?;
    }
    let document = Document {
        epoch: before + 1,
        holds: wanted,
        said_at: now,
    };
    lockdowns::put_document(conn, &lock.id, &document)?;
    Ok(true)
}

/// What of a document has not ended by itself.
fn standing(document: Option<&Document>, now: Timestamp) -> Vec<ToldHold> {
    let holds = document.map(|document| document.holds.as_slice()).unwrap_or_default();
    let holds = holds.iter().filter(|hold| now.as_seconds() < hold.until);
    holds.cloned().collect()
}

/// What the lock should hold at `now`, and how many names of exceptions a message has no room for: these are left out, the
/// last named first.
fn wanted(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<(Vec<ToldHold>, usize), Error> {
    let holds = lockdowns::holds_at(conn, lock)?;
    let mut told = Vec::new();
    for hold in holds.iter().filter(|hold| now < hold.until) {
        told.push(ToldHold {
            until: hold.until.as_millis().unsigned_abs().div_ceil(1000),
            except: names(conn, lock, hold, now)?,
        });
    }
    told.retain(|hold| now.as_seconds() < hold.until);
    Ok(fitted(told))
}

/// The names under which those whom the lockdown excepts come to this lock.
fn names(conn: &mut Conn, lock: &Lock, hold: &Hold, now: Timestamp) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = hold
        .persons
        .iter()
        .map(|person| pseudonym(person, &lock.organization))
        .collect();
    names.extend(hold.grants.iter().map(ToString::to_string));
    // Tokens name the grant; passes and PINs, the round of it too.
    let mut rights: Vec<RightSource> = hold.grants.iter().cloned().map(RightSource::Grant).collect();
    // A PIN says nothing of a person, and a computed code not even of a grant.
    for slot in pins::slots_of(conn, &lock.id)? {
        if let Some(grant) = slot.grant {
            let by = RightSource::Grant(grant);
            let holder = grants::holder(conn, &by, &lock.organization)?;
            if hold.excepts(holder.as_ref(), &by) {
                rights.push(by);
            }
        }
    }
    names.extend(grants::names(conn, &rights)?.iter().map(ToString::to_string));
    for code in computed_codes::of_lock(conn, &lock.id, now)? {
        let by = RightSource::Grant(code.grant.clone());
        let holder = grants::holder(conn, &by, &lock.organization)?;
        if hold.excepts(holder.as_ref(), &by) {
            let (days, serial) = (code.days, code.serial);
            names.push(format!("{}-{}-{serial}", days.first_day, days.days));
        }
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// As much of it as a message holds, and how many names are left out.
fn fitted(mut told: Vec<ToldHold>) -> (Vec<ToldHold>, usize) {
    let count = |told: &[ToldHold]| -> usize { told.iter().map(|hold| hold.except.len()).sum() };
    let all = count(&told);
    if told.len() > wire::MAX_HOLDS {
        // Two orders at once: kept to for as long as the longest, by everybody whom all except.
        let until = told.iter().map(|hold| hold.until).max().unwrap_or(0);
        let common = |name: &String| told.iter().all(|hold| hold.except.contains(name));
        let except = told
            .first()
            .map(|hold| hold.except.iter().filter(|name| common(name)).cloned().collect());
        told = vec![ToldHold {
            until,
            except: except.unwrap_or_default(),
        }];
    }
    for hold in &mut told {
        hold.except.truncate(wire::MAX_EXCEPTED);
    }
    let length = |told: &[ToldHold]| -> usize {
        told.iter()
            .flat_map(|hold| &hold.except)
            .map(|name| name.len() + 3)
            .sum()
    };
    while length(&told) > LONGEST_NAMES {
        let Some(longest) = told.iter_mut().max_by_key(|hold| hold.except.len()) else {
            break;
        };
        longest.except.pop();
    }
    let left_out = all.saturating_sub(count(&told));
    (told, left_out)
}

impl App {
    /// Tells the locks that are there, and waits a moment for their word.
    pub(in crate::app) async fn deliver_lockdowns(&self, doors: &[Lock]) -> Result<(), Error> {
        let now = self.now();
        let there = |door: &&Lock| door.state == LockState::Enrolled && door.is_online(now);
        let ids: BTreeSet<LockId> = doors.iter().filter(there).map(|door| door.id.clone()).collect();
        if ids.is_empty() || !self.relay.is_up() {
            return Ok(());
        }
        let told = async {
            let sent = ids.iter().map(|lock| self.send_lockdown(lock));
            futures_util::future::try_join_all(sent).await?;
            loop {
                let confirmed = self.confirmations.notified();
                if self.behind().await?.iter().all(|lock| !ids.contains(lock)) {
                    return Ok::<_, Error>(());
                }
                // It is time to look again either way.
                let _ = tokio::time::timeout(LOOK_EVERY, confirmed).await;
            }
        };
        match tokio::time::timeout(CONFIRMED_WITHIN, told).await {
            Ok(told) => told,
            // Whoever has not said so is pending.
            Err(_) => Ok(()),
        }
    }

    /// Sends a lock what it is to hold of lockdowns, where one ever concerned it; to one that knows nothing of lockdowns, its
    /// revocations.
    pub(in crate::app) async fn send_lockdown(&self, lock: &LockId) -> Result<(), Error> {
        let id = lock.clone();
        let report = self
            .db
            .read(move |conn| Ok::<_, Error>(lockdowns::report_of(conn, &id)?))
            .await?;
        if report.held.is_none() {
            return self.send_revocations(lock).await;
        }
        if let Some(message) = self.signed_lockdown(lock).await? {
            self.answer(lock, message).await;
        }
        Ok(())
    }

    /// What the lock is to hold of lockdowns, signed; `None` where none ever concerned it, or it knows nothing of them.
    pub(in crate::app) async fn signed_lockdown(&self, lock: &LockId) -> Result<Option<String>, Error> {
        let id = lock.clone();
        let known = self
            .db
            .read(move |conn| {
                let (document, report) = (lockdowns::document(conn, &id)?, lockdowns::report_of(conn, &id)?);
                let lock = locks::with_ids(conn, std::slice::from_ref(&id))?.pop();
                Ok::<_, Error>(document.filter(|_| report.held.is_some()).zip(lock))
            })
            .await?;
        let Some((document, Lock { organization, .. })) = known else {
            return Ok(None);
        };
        let now = self.now().max(document.said_at);
        let standing = standing(Some(&document), now);
        let last = now.as_seconds() + wire::MAX_LOCKDOWN_SECONDS;
        let holds: Bounded<wire::Hold<'_>, { wire::MAX_HOLDS }> = standing
            .iter()
            .take(wire::MAX_HOLDS)
            .map(|hold| wire::Hold {
                // A part of a second that was rounded up may be past a week.
                until: hold.until.min(last),
                except: hold
                    .except
                    .iter()
                    .take(wire::MAX_EXCEPTED)
                    .map(String::as_str)
                    .collect(),
            })
            .collect();
        let message = self.signer_for(lock).await?.sign_lockdown(&wire::Lockdown {
            iss: &self.settings.issuer.name,
            org: organization.as_str(),
            aud: lock.as_str(),
            epoch: document.epoch,
            iat: now.as_seconds(),
            holds,
        })?;
        Ok(Some(message))
    }

    /// The connected locks that are not known to hold what they are to, by id.
    async fn behind(&self) -> Result<Vec<LockId>, Error> {
        let since = self.now() - SILENCE;
        let mut all: Vec<LockId> = Vec::new();
        loop {
            let after = all.last().cloned();
            let page = move |conn: &mut _| {
                let page = lockdowns::connected_behind(conn, since, after.as_ref(), A_PAGE)?;
                Ok::<_, Error>(page)
            };
            let page = self.db.read(page).await?;
            let is_last = is_last(&page);
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Reckons anew what locks are to hold, where doors, PINs or lists have changed since, and sends the connected ones what
    /// they have not confirmed; says to how many.
    ///
    /// # Errors
    /// Those of the database; a lock that fails keeps no other from being told.
    pub async fn repeat_lockdowns(&self) -> Result<usize, Error> {
        let reckoned = self.reckon_anew().await;
        if !self.relay.is_up() {
            return reckoned.map(|()| 0);
        }
        let behind = self.behind().await?;
        let (_, told) = each_in_turn(&behind, |lock| self.send_lockdown(lock)).await;
        reckoned.and(told).map(|()| behind.len())
    }

    /// Reckons anew what every lock is to hold that a lockdown may concern.
    async fn reckon_anew(&self) -> Result<(), Error> {
        let now = self.now();
        let (mut after, mut outcome) = (None, Ok(()));
        loop {
            let (ids, changed) = self
                .db
                .read(move |conn| {
                    let ids = lockdowns::concerned(conn, now, after.as_ref(), A_PAGE)?;
                    let mut changed = Vec::new();
                    for lock in locks::with_ids(conn, &ids)? {
                        let known = lockdowns::document(conn, &lock.id)?;
                        if standing(known.as_ref(), now) != wanted(conn, &lock, now)?.0 {
                            changed.push(lock.id);
                        }
                    }
                    Ok::<_, Error>((ids, changed))
                })
                .await?;
            let settle = |id| self.db.write(move |conn| settle_again(conn, &id, now));
            let (_, settled) = each_in_turn(changed, settle).await;
            outcome = outcome.and(settled);
            if is_last(&ids) {
                return outcome;
            }
            after = ids.last().cloned();
        }
    }
}

/// Whether nothing comes after this page.
fn is_last(page: &[LockId]) -> bool {
    i64::try_from(page.len()).is_ok_and(|count| count < A_PAGE)
}

/// Reckons anew what a lock is to hold.
fn settle_again(conn: &mut Conn, id: &LockId, now: Timestamp) -> Result<(), Error> {
    crate::app::revocations::hold_locks(conn, std::slice::from_ref(id))?;
    let lock = locks::with_ids(conn, std::slice::from_ref(id))?;
    settle_fitting(conn, &lock, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(until: u64, names: usize, length: usize) -> ToldHold {
        let name = |number: usize| format!("{number:0length$}");
        ToldHold {
            until,
            except: (0..names).map(name).collect(),
        }
    }

    #[test]
    fn exceptions_fit_into_a_message_or_the_last_are_left_out() {
        for (why, told, left_out) in [
            ("none", vec![], 0),
            ("a few", vec![hold(5, 3, 22), hold(9, 0, 22)], 0),
            ("as many as a hold names", vec![hold(5, wire::MAX_EXCEPTED, 22)], 0),
            ("one more", vec![hold(5, wire::MAX_EXCEPTED + 1, 22)], 1),
            ("as long as fits", vec![hold(5, 46, 47)], 0),
            ("longer", vec![hold(5, 47, 47), hold(7, 1, 22)], 2),
        ] {
            let (fits, out) = fitted(told.clone());
            assert_eq!(out, left_out, "{why}");
            assert_eq!(fits == told, left_out == 0, "{why}");
            assert_eq!(
                fits.iter().map(|hold| hold.until).collect::<Vec<_>>(),
                told.iter().map(|hold| hold.until).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn more_than_a_lock_can_be_told_of_hold_as_the_longest_with_the_common_exceptions() {
        let mut told: Vec<ToldHold> = (1..=5).map(|until| hold(until, 2, 3)).collect();
        told[3].except.remove(0);
        let (fits, left_out) = fitted(told);
        assert_eq!(left_out, 8);
        assert_eq!(
            fits,
            [ToldHold {
                until: 5,
                except: vec!["001".to_owned()]
            }]
        );
    }
}
