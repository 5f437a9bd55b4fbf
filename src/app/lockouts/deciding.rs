//! Saying yes or no to a lock-out, and calling it off.

use std::sync::Arc;

use super::turns::lapse;
use super::{Asker, Shown, entry, shown, stay, tell_residents, visible};
use crate::app::ledger::book_key;
use crate::app::revocations::hold_locks;
use crate::app::{Actor, App, Error, What, must_have_phone_key, role_in, served_by};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Role;
use crate::domain::grant::{Grant, GrantState, Holder, Terms, Uses, Way};
use crate::domain::ids::{GrantId, LockoutId};
use crate::domain::lock::Lock;
use crate::domain::lockout::policy::Approver;
use crate::domain::lockout::{Lockout, State, WAY_IN_LIFE, Why};
use crate::domain::notice;
use crate::domain::pass;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, accounts, grants, lockouts, locks};

const DECIDED: Error = Error::Conflict {
    word: "lockout-decided",
    why: "it was decided, called off or ended before",
};

impl App {
    /// Says yes: there is a way in from now on. With `key` a mechanical key is handed out for good, at the policy's fee.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the policy asks for somebody else; [`Error::NotFound`]; [`Error::Conflict`] of one's own
    /// lock-out, and where it was decided before. Of somebody who does not live there any more it lapses instead.
    pub async fn approve_lockout(&self, who: &Actor, id: LockoutId, key: bool) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let (lockout, lock) = to_decide(conn, &who, &id)?;
                must_have_phone_key(conn, &lockout.organization, &who)?;
                let lockout = approve(conn, &*random, lockout, &lock, Some(&who), key, now)?;
                shown(conn, lockout, true)
            })
            .await
    }

    /// Says no.
    ///
    /// # Errors
    /// As [`Self::approve_lockout`].
    pub async fn deny_lockout(&self, who: &Actor, id: LockoutId, why: Why) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let (lockout, lock) = to_decide(conn, &who, &id)?;
                let state = State::Denied {
                    at: now,
                    by: who.person.clone(),
                    why: Some(why.clone()),
                };
                lockouts::decide(conn, &lockout.id, &state)?;
                let mut entry = NewEntry {
                    outcome: Outcome::Refused,
                    actor: Some(who.person.clone()),
                    ..entry(&lockout, &lock, Kind::LockoutDenied, now)
                };
                if let Some(detail) = &mut entry.detail {
                    detail["why"] = why.as_str().into();
                }
                access_log::append(conn, &lockout.organization, &who.signed(entry), now)?;
                let by = Some(who.person.clone());
                tell_residents(conn, &*random, &lockout, &lock, notice::Kind::LockoutDenied, by, now)?;
                shown(conn, Lockout { state, ..lockout }, true)
            })
            .await
    }

    /// Calls it off, while nothing is decided: for whoever is locked out, whoever follows it, and the desk.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where it was decided before.
    pub async fn cancel_lockout(&self, asker: &Asker, id: LockoutId) -> Result<Shown, Error> {
        let (now, asker) = (self.now(), asker.clone());
        self.db
            .write(move |conn| {
                let (_, for_desk) = visible(conn, &asker, &id)?;
                let (lockout, lock) = held(conn, &id)?;
                let by = match &asker {
                    Asker::Person(who) => Some(who.person.clone()),
                    Asker::Follower(_) => None,
                };
                let state = State::Cancelled {
                    at: now,
                    by: by.clone(),
                };
                lockouts::decide(conn, &lockout.id, &state)?;
                let entry = NewEntry {
                    actor: by.filter(|by| *by != lockout.person),
                    ..entry(&lockout, &lock, Kind::LockoutCancelled, now)
                };
                access_log::append(conn, &lockout.organization, &entry, now)?;
                shown(conn, Lockout { state, ..lockout }, for_desk)
            })
            .await
    }
}

/// The lock-out with its lock, held, while it is open.
fn held(conn: &mut Conn, id: &LockoutId) -> Result<(Lockout, Lock), Error> {
    let lockout = lockouts::hold(conn, id)?.ok_or(Error::NotFound(What::Lockout))?;
    if lockout.state != State::Open {
        return Err(DECIDED);
    }
    let lock = locks::with_ids(conn, std::slice::from_ref(&lockout.lock))?.pop();
    Ok((lockout, lock.ok_or(Error::NotFound(What::Lock))?))
}

/// The lock-out with its lock, held, if the caller may decide it.
fn to_decide(conn: &mut Conn, who: &Actor, id: &LockoutId) -> Result<(Lockout, Lock), Error> {
    let scope = served_by(conn, who)?;
    let lockout = lockouts::find(conn, id, &scope)?.ok_or(Error::NotFound(What::Lockout))?;
    let role = role_in(conn, who, &lockout.organization)?;
    let may = match lockout.policy.approval().approver() {
        Approver::Nobody | Approver::Desk => Role::serves_desk,
        Approver::Manager => Role::manages,
    };
    if !role.is_some_and(may) {
        return Err(Error::Forbidden);
    }
    if lockout.person == who.person {
        return Err(Error::Conflict {
            word: "own-lockout",
            why: "nobody decides on their own lock-out",
        });
    }
    held(conn, id)
}

/// Gives the way in: a grant for one opening of this one door. The caller holds the lock-out, which is open. `who` is
/// `None` where the policy approves.
pub(super) fn approve(
    conn: &mut Conn,
    random: &dyn Random,
    lockout: Lockout,
    lock: &Lock,
    who: Option<&Actor>,
    key: bool,
    now: Timestamp,
) -> Result<Lockout, Error> {
    let by = who.map(|who| &who.person);
    hold_locks(conn, std::slice::from_ref(&lock.id))?;
    let belongs = accounts::role(conn, &lockout.organization, &lockout.person)?.is_some();
    let stay = match belongs {
        true => stay(conn, lock, &lockout.person, now)?,
        false => None,
    };
    // Whoever has moved out since asked for a door that is not theirs any more.
    let Some(stay) = stay else {
        return lapse(conn, random, lockout, lock, "no-tenancy", now);
    };
    let ends_at = stay.ends_at.map_or(now + WAY_IN_LIFE, |end| end.min(now + WAY_IN_LIFE));
    let one = Uses::new(1).map_err(|bad| Error::Internal("counting one use", bad.into()))?;
    // Ends with the tenancy, whenever that does. Where the landlord lets nobody share the door it cannot hang there.
    let under = (!lock.is_closed_to_sharing()).then(|| RightSource::Tenancy(stay.tenancy.clone()));
    // What hangs under a tenancy is its tenant's, whoever decided that they get it.
    let giver = match &under {
        Some(_) => &lockout.person,
        None => by.or(lockout.policy_by.as_ref()).unwrap_or(&lockout.person),
    };
    let grant = Grant {
        id: GrantId::from_bits(random.id_bits(now)),
        organization: lockout.organization.clone(),
        holder: Holder::Person(lockout.person.clone()),
        given_by: giver.clone(),
        created_at: now,
        under,
        terms: Terms {
            locks: vec![lock.id.clone()],
            starts_at: now,
            ends_at: Some(ends_at),
            schedule: None,
            uses: Some(one),
            ways: vec![Way::App],
            role: pass::Role::Guest,
            delegable: false,
            spare: None,
        },
        round: 0,
        released_until: None,
        state: GrantState::Active,
    };
    grants::add(conn, &grant)?;
    let state = State::Approved {
        at: now,
        by: by.cloned(),
        grant: grant.id.clone(),
        ends_at,
        used_at: None,
    };
    lockouts::decide(conn, &lockout.id, &state)?;
    let mut entry = NewEntry {
        actor: by.cloned(),
        grant: Some(grant.id),
        ..entry(&lockout, lock, Kind::LockoutApproved, now)
    };
    if let Some(detail) = &mut entry.detail {
        detail["ends_at"] = serde_json::json!(ends_at);
        detail["replacement_key"] = key.into();
    }
    let entry = match who {
        Some(who) => who.signed(entry),
        None => entry,
    };
    access_log::append(conn, &lockout.organization, &entry, now)?;
    if key {
        book_key(conn, random, &lockout, by, now)?;
    }
    let told_by = by.cloned();
    tell_residents(
        conn,
        random,
        &lockout,
        lock,
        notice::Kind::LockoutApproved,
        told_by,
        now,
    )?;
    Ok(Lockout { state, ..lockout })
}
