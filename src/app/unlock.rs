//! The main job: somebody asks for a door, and what becomes of it.
//!
//! ```text
//! one transaction: rights -> decision -> next counter -> attempt + log entry      durable before anything is sent
//! sign -> send to the lock, never after the deadline -> wait for the lock's verified word
//! ```

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire;

use super::metrics::AttemptLabels;
use super::{Actor, App, Error, What, joined_by};
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Role;
use crate::domain::attempt::{Action, Attempt, AttemptState, Change, Command, Reason};
use crate::domain::ids::{AttemptId, LockId, PersonId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::time::{TimeZone, Timestamp};
use crate::domain::unlock::{Ask, Decision, Refusal, Right, RightSource, ToldRefusal, decide};
use crate::store::lock_events::Clocks;
use crate::store::{Conn, access_log, accounts, attempts, grants, lock_events, locks, places};

/// How far the clock may fall behind the last stored time before nothing is issued any more: clocks of two nodes, or
/// of one that is being corrected, differ by less.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// The longest that a request may wait for the lock's word, in milliseconds.
pub const LONGEST_WAIT_MS: u64 = 15_000;

/// What is answered to somebody who asked for a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A command was sent. The attempt has ended, or is still pending where the wait ended first.
    Sent(Attempt),
    /// The person may not, for the reason that they may know.
    Refused(Attempt, ToldRefusal),
    /// The lock is away: nothing was sent.
    Offline(Attempt),
}

/// What the transaction decided.
enum Decided {
    /// To be signed and sent.
    Issued {
        attempt: Attempt,
        clocks: Option<Clocks>,
        superseded: Vec<Attempt>,
    },
    Refused(Attempt, ToldRefusal),
    Unreachable(Attempt, Error),
    Offline(Attempt),
}

/// What one may open, now or when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openable {
    /// The lock.
    pub lock: Lock,
    /// Whether a request would be allowed now.
    pub is_open: bool,
    /// What it would be refused with now.
    pub refusal: Option<ToldRefusal>,
}

impl App {
    /// How long a request waits for the lock's word where it does not say.
    #[must_use]
    pub fn usual_wait(&self) -> Duration {
        self.settings.usual_wait
    }

    /// Asks a lock to move its bolt for the person who calls, and waits up to `wait` for its word.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the lock is of no organization of the person's; [`Error::RelayAway`],
    /// [`Error::ClockBehind`], and those of the database: then no token was issued.
    pub async fn ask(&self, who: &Actor, lock: LockId, action: Action, wait: Duration) -> Result<Asked, Error> {
        let asked_at = self.now();
        let decided = self.decide(who, lock, action, asked_at).await?;
        let (attempt, clocks, superseded) = match decided {
            Decided::Issued {
                attempt,
                clocks,
                superseded,
            } => (attempt, clocks, superseded),
            Decided::Refused(attempt, told) => {
                self.count(&attempt);
                return Ok(Asked::Refused(attempt, told));
            }
            Decided::Offline(attempt) => {
                self.count(&attempt);
                return Ok(Asked::Offline(attempt));
            }
            Decided::Unreachable(attempt, error) => {
                self.count(&attempt);
                return Err(error);
            }
        };
        superseded.iter().for_each(|older| self.ended(older));
        let mut waiter = self.waiters.wait_for(&attempt.id);
        let relayed_at = self.send_command(&attempt, clocks).await?;
        let ended = tokio::time::timeout(wait, waiter.ended()).await;
        if let Ok(Some(ended)) = ended {
            return Ok(Asked::Sent(with_relayed(ended, relayed_at)));
        }
        // The wait ended first, or another node had the lock's word.
        let id = attempt.id.clone();
        let present = self
            .db
            .write(move |conn| {
                attempts::set_relayed(conn, &id, relayed_at)?;
                Ok::<_, Error>(attempts::find_any(conn, &id)?)
            })
            .await?;
        Ok(Asked::Sent(
            present.unwrap_or_else(|| with_relayed(attempt, relayed_at)),
        ))
    }

    /// Decides, and commits the decision with its counter, attempt and log entry.
    async fn decide(&self, who: &Actor, lock: LockId, action: Action, now: Timestamp) -> Result<Decided, Error> {
        let who = who.clone();
        let id = AttemptId::from_bits(self.id_bits(now));
        let jti = URL_SAFE_NO_PAD.encode(self.random.bits().to_be_bytes());
        let deadline = self.deadline(now);
        let relay_is_up = self.relay.is_up();
        let generation = u64::from(self.settings.issuer.generation) << 48;
        self.db
            .write(move |conn| {
                let scope = joined_by(conn, &who)?;
                let lock = locks::find(conn, &lock, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                refuse_old_clock(conn, &lock, now)?;
                let zone = zone_of(conn, &lock)?;
                let rights = grants::rights(conn, &lock, &who.person)?;
                let attempt = Attempt {
                    id,
                    organization: lock.organization.clone(),
                    lock: lock.id.clone(),
                    person: who.person.clone(),
                    action,
                    requested_at: now,
                    command: None,
                    state: AttemptState::Pending,
                };
                let ask = Ask {
                    lock: lock.id.clone(),
                    action,
                };
                let (by, takes_use) = match judge(&ask, &lock, &rights, &zone, now) {
                    Ok(open) => open,
                    Err((refusal, nearest)) => return refuse(conn, attempt, &lock, refusal, nearest, now),
                };
                if !relay_is_up {
                    let attempt = fail(conn, attempt, &lock, Reason::BROKER_AWAY, &by, now)?;
                    return Ok(Decided::Unreachable(attempt, Error::RelayAway));
                }
                if !lock.is_online(now) {
                    return fail(conn, attempt, &lock, Reason::LOCK_OFFLINE, &by, now).map(Decided::Offline);
                }
                // The last uses and revocations of other nodes, which this transaction's reads may not have seen.
                if !grants::hold(conn, &by, now)? {
                    return refuse(conn, attempt, &lock, Refusal::GrantRevoked, Some(by), now);
                }
                if let (true, RightSource::Grant(grant)) = (takes_use, &by)
                    && !grants::take_use(conn, grant)?
                {
                    return refuse(conn, attempt, &lock, Refusal::UsesExhausted, Some(by), now);
                }
                let counter = generation | locks::next_counter(conn, &lock.id, now)?;
                let command = Command {
                    by,
                    takes_use,
                    jti,
                    counter,
                    deadline,
                    relayed_at: None,
                };
                let attempt = Attempt {
                    command: Some(command),
                    ..attempt
                };
                let superseded = supersede(conn, &attempt, &lock, now)?;
                attempts::add(conn, &attempt)?;
                let entry = entry(
                    &attempt,
                    &lock,
                    attempt.command.as_ref().map(|command| &command.by),
                    now,
                );
                access_log::append(conn, &lock.organization, &entry, now)?;
                let clocks = lock_events::clocks(conn, &lock.id)?;
                Ok(Decided::Issued {
                    attempt,
                    clocks,
                    superseded,
                })
            })
            .await
    }

    /// The last instant at which a bolt may move by a token issued at `now`. Tokens count whole seconds and a lock takes
    /// one until the end of its last; so the last second is not given, and the promise of at most `token_seconds` from
    /// the decision to the movement holds to the millisecond.
    fn deadline(&self, now: Timestamp) -> Timestamp {
        let whole_seconds = self.settings.token_seconds.saturating_sub(1).max(1);
        Timestamp::from_millis(now.as_seconds() * 1000 + 999) + Duration::from_secs(whole_seconds)
    }

    /// Signs the attempt's token and sends it; says when the broker had it.
    async fn send_command(&self, attempt: &Attempt, clocks: Option<Clocks>) -> Result<Timestamp, Error> {
        let Some(command) = &attempt.command else {
            return Err(Error::Internal("sending", "an attempt without a command".into()));
        };
        let issuer = &self.settings.issuer;
        let seconds = |at: Timestamp| u64::try_from(at.as_seconds()).unwrap_or(0);
        let subject = pseudonym(&attempt.person, &attempt.organization);
        let right = command.by.to_string();
        let token = self.keys.sign_unlock(&wire::Unlock {
            ver: wire::VERSION,
            iss: &issuer.name,
            org: attempt.organization.as_str(),
            aud: attempt.lock.as_str(),
            sub: &subject,
            gid: &right,
            act: match attempt.action {
                Action::Unlock => wire::Action::Unlock,
                Action::Lock => wire::Action::Lock,
            },
            jti: &command.jti,
            iat: seconds(attempt.requested_at),
            exp: seconds(command.deadline),
            ctr: command.counter,
            lt: clocks.map(|clocks| lock_time(&clocks, command.deadline)),
            rev: issuer.revision,
            node: &self.settings.node,
        })?;
        let left = command.deadline.since(self.now());
        let sent = if left.is_zero() {
            Err(crate::domain::relay::RelayAway)
        } else {
            self.relay.send(&attempt.lock, token, left).await
        };
        match sent {
            Ok(()) => Ok(self.now()),
            Err(away) => {
                self.close(&attempt.id, |attempt| attempt.fail(Reason::BROKER_AWAY))
                    .await?;
                tracing::warn!(lock.id = %attempt.lock, error = %away, "a command for {} could not be sent", attempt.lock);
                Err(Error::RelayAway)
            }
        }
    }

    /// Closes the attempt if `how` makes something of it, writes that down, and tells who waits.
    async fn close(
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
                let mut ended = Vec::new();
                for attempt in attempts::overdue(conn, now, i64::from(most))? {
                    if let Some(change) = attempt.expire(now) {
                        ended.extend(end(conn, attempt, change, now)?);
                    }
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

    fn count(&self, attempt: &Attempt) {
        let labels = AttemptLabels {
            action: attempt.action.as_str(),
            result: attempt.state.status().as_str(),
        };
        self.metrics.attempts.get_or_create(&labels).inc();
    }

    /// One attempt: the person's own, or any of an organization that they manage.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn attempt(&self, who: &Actor, id: AttemptId) -> Result<Attempt, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let attempt = attempts::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Attempt))?;
                let role = accounts::role(conn, &attempt.organization, &who.person)?;
                let may_see = attempt.person == who.person || role.is_some_and(Role::manages);
                if may_see {
                    Ok(attempt)
                } else {
                    Err(Error::NotFound(What::Attempt))
                }
            })
            .await
    }

    /// The locks that the caller may open, now or later, and when.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn openable(&self, who: &Actor) -> Result<Vec<Openable>, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let ids = grants::lock_ids_of(conn, &who.person)?;
                let mut openable = Vec::new();
                for lock in locks::with_ids(conn, &ids)? {
                    if !scope.contains(&lock.organization) || lock.state == LockState::Retired {
                        continue;
                    }
                    let zone = zone_of(conn, &lock)?;
                    let rights = grants::rights(conn, &lock, &who.person)?;
                    let ask = Ask {
                        lock: lock.id.clone(),
                        action: Action::Unlock,
                    };
                    let refusal = judge(&ask, &lock, &rights, &zone, now)
                        .err()
                        .map(|(refusal, _)| refusal);
                    // What has ended for good is not shown; what opens later is.
                    let is_over = refusal.is_some_and(|refusal| {
                        matches!(
                            refusal,
                            Refusal::GrantExpired | Refusal::GrantRevoked | Refusal::NoAccess
                        )
                    });
                    if !is_over {
                        let told = refusal.map(|refusal| refusal.for_person());
                        openable.push(Openable {
                            lock,
                            is_open: told.is_none(),
                            refusal: told,
                        });
                    }
                }
                Ok(openable)
            })
            .await
    }
}

/// The rights' decision, and then the lock's own state: who has no right learns nothing of the lock.
fn judge(
    ask: &Ask,
    lock: &Lock,
    rights: &[Right],
    zone: &TimeZone,
    now: Timestamp,
) -> Result<(RightSource, bool), (Refusal, Option<RightSource>)> {
    let (by, takes_use) = match decide(ask, rights, zone, now) {
        Decision::Open { by, takes_use } => (by, takes_use),
        Decision::Refuse { refusal, nearest } => return Err((refusal, nearest)),
    };
    match lock.state {
        LockState::Unclaimed => Err((Refusal::LockNotEnrolled, Some(by))),
        LockState::Retired => Err((Refusal::LockRetired, Some(by))),
        LockState::Enrolled if lock.quarantined => Err((Refusal::LockQuarantined, Some(by))),
        LockState::Enrolled => Ok((by, takes_use)),
    }
}

/// A clock that is behind what is on record issues nothing: its deadlines would be wrong.
fn refuse_old_clock(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<(), Error> {
    let last = access_log::last_recorded_at(conn, &lock.organization)?;
    match last.map(|last| last.since(now)) {
        Some(behind) if behind > CLOCK_TOLERANCE => Err(Error::ClockBehind { behind }),
        _ => Ok(()),
    }
}

fn zone_of(conn: &mut Conn, lock: &Lock) -> Result<TimeZone, Error> {
    let scope = crate::domain::account::Scope::only(lock.organization.clone());
    let property = places::find_property(conn, &lock.property, &scope)?;
    Ok(property.ok_or(Error::NotFound(What::Property))?.time_zone)
}

/// Writes down that the backend refused.
fn refuse(
    conn: &mut Conn,
    attempt: Attempt,
    lock: &Lock,
    refusal: Refusal,
    nearest: Option<RightSource>,
    now: Timestamp,
) -> Result<Decided, Error> {
    let attempt = Attempt {
        state: AttemptState::Refused(refusal.into()),
        ..attempt
    };
    attempts::add(conn, &attempt)?;
    let entry = entry(&attempt, lock, nearest.as_ref(), now);
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(Decided::Refused(attempt, refusal.for_person()))
}

/// Writes down that the person may and it cannot be sent.
fn fail(
    conn: &mut Conn,
    attempt: Attempt,
    lock: &Lock,
    reason: Reason,
    by: &RightSource,
    now: Timestamp,
) -> Result<Attempt, Error> {
    let attempt = Attempt {
        state: AttemptState::Failed(reason),
        ..attempt
    };
    attempts::add(conn, &attempt)?;
    let entry = entry(&attempt, lock, Some(by), now);
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(attempt)
}

/// Closes the lock's older commands: the newest counts.
fn supersede(conn: &mut Conn, newer: &Attempt, lock: &Lock, now: Timestamp) -> Result<Vec<Attempt>, Error> {
    let mut superseded = Vec::new();
    for older in attempts::pending_of(conn, &lock.id)? {
        if let Some(change) = older.superseded_by(newer) {
            superseded.extend(end(conn, older, change, now)?);
        }
    }
    Ok(superseded)
}

/// Writes down that an attempt ended without the lock's word; `None` where something else ended it first.
fn end(conn: &mut Conn, attempt: Attempt, change: Change, now: Timestamp) -> Result<Option<Attempt>, Error> {
    if !attempts::set_state(conn, &attempt.id, attempt.state.status(), &change.state)? {
        return Ok(None);
    }
    let attempt = Attempt {
        state: change.state,
        ..attempt
    };
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
    Ok(Some(attempt))
}

/// What the log says of an attempt when it is asked.
fn entry(attempt: &Attempt, lock: &Lock, by: Option<&RightSource>, now: Timestamp) -> NewEntry {
    let kind = match attempt.action {
        Action::Unlock => Kind::UnlockRequested,
        Action::Lock => Kind::LockRequested,
    };
    let outcome = match attempt.state {
        AttemptState::Refused(_) => Outcome::Refused,
        AttemptState::Failed(_) | AttemptState::Expired => Outcome::Failed,
        AttemptState::Pending | AttemptState::Confirmed { .. } => Outcome::Ok,
    };
    NewEntry {
        outcome,
        reason: attempt.state.reason().map(|reason| reason.as_str().to_owned()),
        person: Some(attempt.person.clone()),
        grant: grant_of(by),
        attempt: Some(attempt.id.clone()),
        ..NewEntry::new(kind, now)
    }
    .about(lock)
}

pub(super) fn grant_of(by: Option<&RightSource>) -> Option<crate::domain::ids::GrantId> {
    match by {
        Some(RightSource::Grant(grant)) => Some(grant.clone()),
        Some(RightSource::Tenancy(_)) | None => None,
    }
}

fn with_relayed(attempt: Attempt, at: Timestamp) -> Attempt {
    let command = attempt.command.map(|command| Command {
        relayed_at: Some(at),
        ..command
    });
    Attempt { command, ..attempt }
}

/// The person as the lock knows them: the same in every token of one organization, and nothing that leads back to them.
fn pseudonym(person: &PersonId, organization: &crate::domain::ids::OrganizationId) -> String {
    let digest = crate::crypto::digest::digest(format!("{organization} {person}").as_bytes());
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

/// The deadline on the lock's own monotonic clock. The hello that told where it stood took some time to come, so the
/// lock's clock is a little ahead of this reckoning, and the deadline never late.
fn lock_time(clocks: &Clocks, deadline: Timestamp) -> wire::LockTime {
    wire::LockTime {
        boot: clocks.boot,
        dl: clocks.mono + deadline.since(clocks.at).as_secs(),
    }
}
