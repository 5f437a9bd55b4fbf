//! Taking a database over that was restored from a backup: what it believes of the present is old. Nothing that was signed
//! before counts any more, nobody is signed in, and what had ended since ends again.

use std::sync::Arc;

use super::erasure::{blot_out, is_nobody};
use super::grants::{By, end_with};
use super::letters::Letters;
use super::lockdowns::restore_lockdown;
use super::lockouts::lapse_every;
use super::phones::remove_all;
use super::pins;
use super::revocations::{hold_locks, void_all_after_restore};
use super::visits::call_off_every;
use super::webhooks::write_down_stops;
use super::{App, Error};
use crate::crypto::password::PasswordHash;
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ending::{Ending, Thing};
use crate::domain::ids::{GrantId, OrganizationId, PersonId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::installation::{self, GENERATION};
use crate::store::{
    Conn, StoreError, access_log, accounts, backup, endings, grants, idempotency, letters, locks, passkeys, sessions,
    shown, spare_asks, webhooks,
};

/// What became of a database that was taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopted {
    /// How many endings since the backup were repeated.
    pub repeated: usize,
    /// How many sessions were ended.
    pub sessions: usize,
    /// How many locks get to know that no pass from before counts.
    pub locks: usize,
    /// When the backup was made; `None` where it does not say.
    pub copied_at: Option<Timestamp>,
}

impl App {
    /// Takes the database over: this installation is in the life `generation` from now on, which stands above the counters of
    /// all tokens before. All of it in one transaction, or nothing.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn adopt_restored(&self, generation: u16, ended: Vec<Ending>) -> Result<Adopted, Error> {
        let (now, random, by_letter) = (self.now(), Arc::clone(&self.random), Arc::clone(&self.letters));
        let nobodys = self.nobodys_password().await?;
        self.db
            .write(move |conn| {
                let mut adopted = Adopted {
                    sessions: sessions::end_every(conn, "restored", now)?,
                    copied_at: backup::copied_at(conn)?,
                    ..Adopted::default()
                };
                // Answers to requests that nobody repeats, and news that are none.
                idempotency::forget_older(conn, now)?;
                letters::withdraw_every(conn)?;
                passkeys::forget_every_challenge(conn)?;
                // None is connected to what is not running; each is asked anew, by its hello, what it holds.
                locks::report_all_away(conn, now)?;
                for lock in locks::enrolled(conn)? {
                    void_all_after_restore(conn, &lock, now)?;
                    pins::restore(conn, &lock, now)?;
                    restore_lockdown(conn, &lock, now)?;
                    adopted.locks += 1;
                }
                let organizations = accounts::organizations(conn)?;
                let mut sizes = Vec::with_capacity(organizations.len());
                for organization in organizations {
                    sizes.push((shown::log_end(conn, &organization)?, organization));
                }
                call_back_what_is_undecided(conn, &*random, now)?;
                for ending in &ended {
                    let by = By {
                        who: None,
                        random: &*random,
                    };
                    let is_news = match ending.what {
                        Thing::Grant => repeat_grant(conn, ending, by, now)?,
                        // After whatever else has ended of theirs.
                        Thing::Person => continue,
                        _ => endings::repeat(conn, ending)?,
                    };
                    adopted.repeated += usize::from(is_news);
                }
                for ending in ended.iter().filter(|ending| ending.what == Thing::Person) {
                    let is_news = repeat_erasure(conn, ending, &nobodys, &by_letter, now)?;
                    adopted.repeated += usize::from(is_news);
                }
                installation::set(conn, GENERATION, &generation.to_string())?;
                for (size, organization) in sizes {
                    write_down(conn, &organization, generation, size, now)?;
                }
                Ok::<_, Error>(adopted)
            })
            .await
    }

    /// What has ended at `since` or later.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn endings_since(&self, since: Timestamp) -> Result<Vec<Ending>, Error> {
        let now = self.now();
        self.db.read(move |conn| Ok(endings::since(conn, since, now)?)).await
    }
}

/// Takes a grant back once more, with what hangs on it. Says whether it stood.
fn repeat_grant(conn: &mut Conn, ending: &Ending, by: By<'_>, now: Timestamp) -> Result<bool, Error> {
    let id: GrantId = ending.id.parse().map_err(StoreError::corrupt)?;
    let Some(grant) = grants::find_any(conn, &id)? else {
        return Ok(false);
    };
    hold_locks(conn, &grant.terms.locks)?;
    if !grants::revoke(conn, &id, &grant.given_by, ending.at)? {
        return Ok(false);
    }
    // Locks are told when they come: none is connected to a backend that is not running.
    let _ended = end_with(conn, vec![RightSource::Grant(id)], by, now)?;
    Ok(true)
}

/// Takes back what somebody may have said no to since, which nobody knows: spare keys that are out or asked for, lock-outs that
/// wait, visits that are not over. Webhooks are told nothing until somebody has looked at them: one may have been removed since.
fn call_back_what_is_undecided(conn: &mut Conn, random: &dyn Random, now: Timestamp) -> Result<(), Error> {
    spare_asks::close_every(conn, now)?;
    grants::end_every_release(conn)?;
    lapse_every(conn, random, now)?;
    call_off_every(conn, random, now)?;
    let stopped = webhooks::pause_every(conn)?;
    write_down_stops(conn, random, &stopped, now)
}

/// Erases an account once more. Says whether it was there.
fn repeat_erasure(
    conn: &mut Conn,
    ending: &Ending,
    nobodys: &PasswordHash,
    by_letter: &Letters,
    now: Timestamp,
) -> Result<bool, Error> {
    let id: PersonId = ending.id.parse().map_err(StoreError::corrupt)?;
    let Some(person) = accounts::find_person(conn, &id)?.filter(|person| !is_nobody(person)) else {
        return Ok(false);
    };
    let _thumbprints = remove_all(conn, &id, now)?;
    blot_out(conn, &person, nobodys, by_letter, now)?;
    Ok(true)
}

/// Writes down where the log goes on: what a log of before says beyond that number is not known here.
fn write_down(
    conn: &mut Conn,
    organization: &OrganizationId,
    generation: u16,
    size: i64,
    now: Timestamp,
) -> Result<(), Error> {
    let entry = NewEntry {
        reason: Some("restored".to_owned()),
        detail: Some(serde_json::json!({ "generation": generation, "log_size": size })),
        ..NewEntry::new(Kind::Alarm, now)
    };
    access_log::append(conn, organization, &entry, now)?;
    Ok(())
}
