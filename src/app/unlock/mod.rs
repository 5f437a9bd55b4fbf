//! The main job: somebody asks for a door, and what becomes of it.
//!
//! ```text
//! one transaction: rights -> decision -> next counter -> attempt + log entry      durable before anything is sent
//! sign -> send to the lock, never after the deadline -> wait for the lock's verified word
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::decision::Decided;
use super::{Actor, App, Error, What, joined_by, lacks_phone_key, rights_of};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::attempt::{Action, Attempt, Command};
use crate::domain::grant::Way;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::pass;
use crate::domain::place::PlaceName;
use crate::domain::time::{TimeZone, Timestamp};
use crate::domain::unlock::{Ask, Refusal, Right, ToldRefusal};
use crate::store::{Conn, access_log, attempts, grants, locks, places};

mod command;
mod decision;

pub(super) use command::pseudonym;
pub(super) use decision::{refuse_old_clock, zone_of};

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
    /// The lock is away: nothing was sent. These ways in work all the same.
    Offline(Attempt, Vec<Way>),
}

/// What one may open, now or when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openable {
    /// The lock.
    pub lock: Lock,
    /// The name of its property.
    pub property_name: PlaceName,
    /// The clock by which its schedules are read.
    pub time_zone: TimeZone,
    /// Whether a request would be allowed now.
    pub is_open: bool,
    /// What it would be refused with now.
    pub refusal: Option<ToldRefusal>,
    /// The ways in that the person's rights give.
    pub ways: Vec<Way>,
    /// From when on an offline pass that is taken now would count no more; `None` where there is none to have.
    pub pass_until: Option<Timestamp>,
}

impl App {
    /// How long a request waits for the lock's word where it does not say.
    #[must_use]
    pub fn usual_wait(&self) -> Duration {
        self.settings.usual_wait
    }

    /// Asks a lock to move its bolt for the person who calls, and waits up to `wait` for its word. What was decided is
    /// carried out even if the caller goes: a phone that loses its connection at the door has asked all the same.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the lock is of no organization of the person's; [`Error::RelayAway`],
    /// [`Error::ClockBehind`], and those of the database: then no token was issued.
    pub async fn ask(
        self: &Arc<Self>,
        who: &Actor,
        lock: LockId,
        action: Action,
        wait: Duration,
    ) -> Result<Asked, Error> {
        let (app, who) = (Arc::clone(self), who.clone());
        let carried_out = tokio::spawn(async move { app.carry_out(&who, lock, action, wait).await });
        carried_out
            .await
            .map_err(|broken| Error::Internal("asking for a door", broken.into()))?
    }

    /// Writes down, once until it has caught up, that the clock is behind what is on record.
    async fn raise_clock_alarm(&self, organization: &OrganizationId, behind: Duration) -> Result<(), Error> {
        if self.clock_alarm.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let behind_seconds = behind.as_secs();
        tracing::error!(
            behind_seconds,
            "the clock is behind the last stored time: nothing is issued until it has caught up"
        );
        let (organization, now) = (organization.clone(), self.now());
        let entry = NewEntry {
            reason: Some("clock-behind".to_owned()),
            detail: Some(serde_json::json!({ "behind_seconds": behind_seconds })),
            ..NewEntry::new(Kind::Alarm, now)
        };
        self.db
            .write(move |conn| Ok::<_, Error>(access_log::append(conn, &organization, &entry, now).map(|_| ())?))
            .await
    }

    async fn carry_out(&self, who: &Actor, lock: LockId, action: Action, wait: Duration) -> Result<Asked, Error> {
        let asked_at = self.now();
        let decided = match self.decide(who, lock, action, asked_at).await {
            Err(Error::ClockBehind { behind, organization }) => {
                self.raise_clock_alarm(&organization, behind).await?;
                return Err(Error::ClockBehind { behind, organization });
            }
            decided => decided?,
        };
        self.clock_alarm.store(false, Ordering::Relaxed);
        let (attempt, clocks, min_rev, superseded) = match decided {
            Decided::Issued {
                attempt,
                clocks,
                min_rev,
                superseded,
            } => (attempt, clocks, min_rev, superseded),
            Decided::Refused(attempt, told) => {
                self.count(&attempt);
                return Ok(Asked::Refused(attempt, told));
            }
            Decided::Offline(attempt, ways) => {
                self.count(&attempt);
                return Ok(Asked::Offline(attempt, ways));
            }
            Decided::Unreachable(attempt, error) => {
                self.count(&attempt);
                return Err(error);
            }
        };
        superseded.iter().for_each(|older| self.ended(older));
        let mut waiter = self.waiters.wait_for(&attempt.id);
        let relayed_at = self.send_command(&attempt, clocks, min_rev).await?;
        let ended = tokio::time::timeout(wait, waiter.ended()).await;
        let id = attempt.id.clone();
        let db = self.db.clone();
        let note_relayed = async move {
            db.write(move |conn| {
                attempts::set_relayed(conn, &id, relayed_at)?;
                Ok::<_, Error>(attempts::find_any(conn, &id)?)
            })
            .await
        };
        if let Ok(Some(ended)) = ended {
            // Nobody at a door waits for the books; that the lock has answered says more than this time.
            tokio::spawn(async move {
                if let Err(error) = note_relayed.await {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(error = cause, "when a command was relayed could not be noted");
                }
            });
            return Ok(Asked::Sent(with_relayed(ended, relayed_at)));
        }
        // The wait ended first, or another node had the lock's word.
        let present = note_relayed.await?;
        Ok(Asked::Sent(
            present.unwrap_or_else(|| with_relayed(attempt, relayed_at)),
        ))
    }

    /// The locks that the caller may open, now or later, and when.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn openable(&self, who: &Actor) -> Result<Vec<Openable>, Error> {
        let (now, who, lives) = (self.now(), who.clone(), self.settings.pass_lives);
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let ids = grants::lock_ids_of(conn, &who.person)?;
                let mut openable = Vec::new();
                for lock in locks::with_ids(conn, &ids)? {
                    if !scope.contains(&lock.organization) || lock.state == LockState::Retired {
                        continue;
                    }
                    let own = Scope::only(lock.organization.clone());
                    let property = places::find_property(conn, &lock.property, &own)?;
                    let property = property.ok_or(Error::NotFound(What::Property))?;
                    let zone = property.time_zone;
                    let rights = rights_of(conn, &lock, &who, now)?;
                    let ask = Ask {
                        lock: lock.id.clone(),
                        action: Action::Unlock,
                    };
                    let refusal = match decision::judge(&ask, &lock, &rights, &zone, now) {
                        Err((refusal, _)) => Some(refusal),
                        Ok(_) => lacks_phone_key(conn, &lock.organization, &who)?.then_some(Refusal::PhoneKeyNeeded),
                    };
                    // What has ended for good is not shown; what opens later is.
                    if !refusal.is_some_and(is_over) {
                        let told = refusal.map(|refusal| refusal.for_person());
                        let pass = pass::decide(&lock, &rights, &zone, now, &lives).ok();
                        let pass = pass.filter(|_| refusal != Some(Refusal::PhoneKeyNeeded));
                        openable.push(Openable {
                            ways: ways_of(&rights, pass.is_some(), now),
                            pass_until: pass.map(|pass| pass.ends_at + Duration::from_secs(1)),
                            lock,
                            property_name: property.name,
                            time_zone: zone,
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

/// Whether the refusal is for good: the person's rights at the lock are over, or there never were any.
fn is_over(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::GrantExpired | Refusal::GrantRevoked | Refusal::NoAccess
    )
}

/// The ways in that the rights give which are not over; by a pass only where there is one to have.
fn ways_of(rights: &[Right], has_pass: bool, now: Timestamp) -> Vec<Way> {
    let given = |way: Way| rights.iter().any(|right| !right.is_over(now) && right.gives(way));
    let works = |way: &Way| given(*way) && (*way != Way::Offline || has_pass);
    Way::ALL.into_iter().filter(works).collect()
}

/// Whether the caller may open the lock, now or later.
pub(super) fn may_still_open(conn: &mut Conn, lock: &Lock, who: &Actor, now: Timestamp) -> Result<bool, Error> {
    let rights = rights_of(conn, lock, who, now)?;
    Ok(rights.iter().any(|right| !right.is_over(now)))
}

fn with_relayed(attempt: Attempt, at: Timestamp) -> Attempt {
    let command = attempt.command.map(|command| Command {
        relayed_at: Some(at),
        ..command
    });
    Attempt { command, ..attempt }
}
