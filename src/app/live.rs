//! Following an access log live: who follows is woken when it grows, and reads what is for them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::access_log::{Filter, NamedEntry, View, named, used_by};
use super::{Actor, App, Error, belongs};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::store::access_log::{self, Order};
use crate::store::{sessions, shown};

/// How many logs one person follows at once: some browsers' windows and a phone. With one more the oldest ends.
const MOST_OF_A_PERSON: usize = 6;

/// How many follow logs at one node at once.
const MOST_AT_A_NODE: usize = 2000;

/// How long somebody waits before they ask again who was one too many.
const COME_AGAIN: Duration = Duration::from_secs(30);

/// How many entries are read at once.
const READ_AT_ONCE: i64 = 100;

/// Those who follow logs at this node.
#[derive(Default)]
pub(super) struct Live {
    followed: Mutex<Followed>,
    /// Cancelled once this node stops.
    ending: CancellationToken,
}

#[derive(Default)]
struct Followed {
    /// The number of each followed log's last entry, as far as it is known here.
    ends: HashMap<OrganizationId, watch::Sender<i64>>,
    /// What ends each of a person's streams, the oldest first.
    of_person: HashMap<PersonId, VecDeque<(u64, CancellationToken)>>,
    /// How many have begun.
    begun: u64,
}

impl Live {
    fn lock(&self) -> std::sync::MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The logs that somebody follows.
    fn followed(&self) -> Vec<OrganizationId> {
        self.lock().ends.keys().cloned().collect()
    }

    /// Wakes those who follow this log, if it has grown.
    fn wake(&self, organization: &OrganizationId, end: i64) {
        if let Some(known) = self.lock().ends.get(organization) {
            known.send_if_modified(|known| {
                let has_grown = *known < end;
                *known = end.max(*known);
                has_grown
            });
        }
    }

    /// Enters somebody who follows this log, which ends at `end`. Their oldest stream ends where they have too many: its
    /// phone may be long gone, which nobody knows before something is written to it.
    fn enter(
        &self,
        person: &PersonId,
        organization: &OrganizationId,
        end: i64,
    ) -> Result<(u64, watch::Receiver<i64>, CancellationToken), Error> {
        let mut followed = self.lock();
        let everybody: usize = followed.of_person.values().map(VecDeque::len).sum();
        if everybody >= MOST_AT_A_NODE {
            return Err(Error::Throttled {
                retry_after: COME_AGAIN,
            });
        }
        followed.begun += 1;
        let (number, ending) = (followed.begun, self.ending.child_token());
        let mine = followed.of_person.entry(person.clone()).or_default();
        mine.push_back((number, ending.clone()));
        if mine.len() > MOST_OF_A_PERSON
            && let Some((_, oldest)) = mine.pop_front()
        {
            oldest.cancel();
        }
        let ends = followed.ends.entry(organization.clone());
        let end = ends.or_insert_with(|| watch::Sender::new(end)).subscribe();
        Ok((number, end, ending))
    }

    /// Forgets one who followed.
    fn leave(&self, person: &PersonId, organization: &OrganizationId, number: u64) {
        let mut followed = self.lock();
        if let Some(mine) = followed.of_person.get_mut(person) {
            mine.retain(|(other, _)| *other != number);
            if mine.is_empty() {
                followed.of_person.remove(person);
            }
        }
        // The one who leaves still counts.
        let following = followed.ends.get(organization).map_or(0, watch::Sender::receiver_count);
        if following <= 1 {
            followed.ends.remove(organization);
        }
    }
}

/// Somebody who follows a log. They are forgotten when it is dropped.
pub struct Follower {
    app: Arc<App>,
    who: Actor,
    organization: OrganizationId,
    filter: Filter,
    number: u64,
    /// The number of the last entry that was read, or that is not for them.
    after: i64,
    end: watch::Receiver<i64>,
    ending: CancellationToken,
}

/// What following gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Entries, in order; at least one.
    Entries(Vec<NamedEntry>),
    /// Nothing for so long.
    Nothing,
    /// No more: this node stops, or the person follows elsewhere.
    End,
}

impl App {
    /// Follows the log of the view from the entry after the number `after` on; from now on where it is `None`.
    ///
    /// # Errors
    /// [`Error::Throttled`] where too much is followed at this node.
    pub async fn follow_log(
        self: Arc<Self>,
        who: &Actor,
        view: View,
        filter: Filter,
        after: Option<i64>,
    ) -> Result<Follower, Error> {
        let organization = view.organization;
        let end = self.log_end(organization.clone()).await?;
        let (number, known, ending) = self.live.enter(&who.person, &organization, end)?;
        Ok(Follower {
            who: who.clone(),
            organization,
            filter,
            number,
            // A number from the future is none of this log.
            after: after.map_or(end, |after| after.min(end)),
            end: known,
            ending,
            app: self,
        })
    }

    /// Looks which of the followed logs have grown; says how many are followed.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn look_at_followed_logs(&self) -> Result<usize, Error> {
        let followed = self.live.followed();
        if followed.is_empty() {
            return Ok(0);
        }
        let ends = self.db.read(move |conn| shown::log_ends(conn, &followed)).await?;
        for (organization, end) in &ends {
            self.live.wake(organization, *end);
        }
        Ok(ends.len())
    }

    /// Ends all following, so that nobody keeps this node from stopping.
    pub fn end_following(&self) {
        self.live.ending.cancel();
    }
}

impl Follower {
    /// What comes next, within `wait`.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] once the session or the key has ended by which they follow; [`Error::NotFound`] once they
    /// do not belong to the organization; those of the database.
    pub async fn next(&mut self, wait: Duration) -> Result<Heard, Error> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            if self.ending.is_cancelled() {
                return Ok(Heard::End);
            }
            // Seen before it is read: what comes meanwhile wakes again.
            self.end.mark_unchanged();
            let entries = self.read().await?;
            if !entries.is_empty() {
                return Ok(Heard::Entries(entries));
            }
            let woken = self.ending.run_until_cancelled(self.end.changed());
            match tokio::time::timeout_at(deadline, woken).await {
                Ok(Some(Ok(()))) => {}
                // The sender lives as long as anybody follows.
                Ok(None | Some(Err(_))) => return Ok(Heard::End),
                Err(_) => return Ok(Heard::Nothing),
            }
        }
    }

    /// The next entries for them, by what they may see now.
    async fn read(&mut self) -> Result<Vec<NamedEntry>, Error> {
        let view = self.app.log_view(&self.who, Some(self.organization.clone())).await?;
        let reader = view.reader_at(self.app.now());
        let (who, filter, after) = (self.who.clone(), self.filter.clone(), self.after);
        let (entries, read_to, used) = self
            .app
            .db
            .read(move |conn| {
                if who.key.is_some() {
                    belongs(conn, &who)?;
                } else if !sessions::stands(conn, &who.session)? {
                    return Err(Error::Unauthenticated);
                }
                // Read first: what comes later is found by the next who asks.
                let end = shown::log_end(conn, &view.organization)?;
                let order = Order::OldestFirst;
                let of = &view.organization;
                let found = access_log::entries(conn, of, &filter, &reader, order, Some(after), READ_AT_ONCE)?;
                let read_to = found.last().map_or(end, |last| last.entry.seq);
                let used = used_by(&reader, &found);
                Ok((named(conn, found)?, read_to, used))
            })
            .await?;
        self.app.mark_used(used).await?;
        self.after = self.after.max(read_to);
        Ok(entries)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.app.live.leave(&self.who.person, &self.organization, self.number);
    }
}
