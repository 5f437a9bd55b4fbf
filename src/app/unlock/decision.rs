//! The decision on an ask, and its one transaction.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::CLOCK_TOLERANCE;
use crate::app::attempts::{end, grant_of};
use crate::app::{Actor, App, Error, What, joined_by, lacks_phone_key, rights_of};
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Scope;
use crate::domain::attempt::{Action, Attempt, AttemptState, Command, Reason};
use crate::domain::grant::Way;
use crate::domain::ids::{AttemptId, LockId};
use crate::domain::lock::{Lock, LockState, SILENCE};
use crate::domain::pass::{self, Lives, Pass};
use crate::domain::time::{TimeZone, Timestamp};
use crate::domain::unlock::{Ask, Decision, Refusal, Right, RightSource, ToldRefusal, decide};
use crate::store::lock_events::Clocks;
use crate::store::{Conn, access_log, attempts, grants, guest_links, lock_events, lockdowns, locks, passes, places};

/// What the transaction decided.
pub(super) enum Decided {
    /// To be signed and sent.
    Issued {
        attempt: Attempt,
        clocks: Option<Clocks>,
        /// The least `rev` that the lock believes.
        min_rev: u64,
        superseded: Vec<Attempt>,
    },
    Refused(Attempt, ToldRefusal),
    Unreachable(Attempt, Error),
    Offline(Attempt, Vec<Way>),
}

impl App {
    /// Decides, and commits the decision with its counter, attempt and log entry.
    pub(super) async fn decide(
        &self,
        who: &Actor,
        lock: LockId,
        action: Action,
        now: Timestamp,
    ) -> Result<Decided, Error> {
        let request = Request {
            who: who.clone(),
            ask: Ask { lock, action },
            id: AttemptId::from_bits(self.id_bits(now)),
            jti: URL_SAFE_NO_PAD.encode(self.random.bits().to_be_bytes()),
            deadline: self.deadline(now),
            generation: u64::from(self.settings.issuer.generation) << 48,
            relay_is_up: self.relay.is_up(),
            pass_lives: self.settings.pass_lives,
            now,
        };
        self.db.write(move |conn| settle(conn, request)).await
    }

    /// The last instant at which a bolt may move by a token issued at `now`. Tokens count whole seconds and a lock takes
    /// one until the end of its last; so the last second is not given, and the promise of at most `token_seconds` from
    /// the decision to the movement holds to the millisecond.
    fn deadline(&self, now: Timestamp) -> Timestamp {
        let whole_seconds = self.settings.token_seconds.saturating_sub(1).max(1);
        Timestamp::from_seconds(now.as_seconds()) + Duration::from_millis(999) + Duration::from_secs(whole_seconds)
    }
}

/// An ask, with all that a command for it is made of.
struct Request {
    who: Actor,
    ask: Ask,
    id: AttemptId,
    jti: String,
    deadline: Timestamp,
    /// The upper bits of the command's counter.
    generation: u64,
    relay_is_up: bool,
    pass_lives: Lives,
    now: Timestamp,
}

/// Decides, and writes down what was decided.
fn settle(conn: &mut Conn, request: Request) -> Result<Decided, Error> {
    let Request { who, ask, now, .. } = &request;
    let now = *now;
    let scope = joined_by(conn, who)?;
    let lock = locks::find(conn, &ask.lock, &scope)?.ok_or(Error::NotFound(What::Lock))?;
    refuse_old_clock(conn, &lock, now)?;
    let zone = zone_of(conn, &lock)?;
    let rights = rights_of(conn, &lock, who, now)?;
    let attempt = Attempt {
        id: request.id.clone(),
        organization: lock.organization.clone(),
        lock: lock.id.clone(),
        person: who.person.clone(),
        action: ask.action,
        requested_at: now,
        command: None,
        state: AttemptState::Pending,
    };
    let (by, takes_use) = match judge(ask, &lock, &rights, &zone, now) {
        Ok(open) => open,
        Err((refusal, nearest)) => return refuse(conn, who, attempt, &lock, refusal, nearest, now),
    };
    if lacks_phone_key(conn, &lock.organization, who)? {
        return refuse(conn, who, attempt, &lock, Refusal::PhoneKeyNeeded, Some(by), now);
    }
    if !request.relay_is_up {
        let attempt = fail(conn, who, attempt, &lock, Reason::BROKER_AWAY, &by, now)?;
        return Ok(Decided::Unreachable(attempt, Error::RelayAway));
    }
    if !lock.is_online(now) {
        let ways = ways_without_us(conn, &request, &lock, &rights, &zone)?;
        let attempt = fail(conn, who, attempt, &lock, Reason::LOCK_OFFLINE, &by, now)?;
        return Ok(Decided::Offline(attempt, ways));
    }
    // What other nodes have changed since this transaction read it; the lock before the right, in the order in which its
    // events take them.
    if !locks::hold(conn, &lock)? {
        let changed = locks::find(conn, &lock.id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
        let refusal = match changed.state {
            LockState::Retired => Refusal::LockRetired,
            LockState::Unclaimed => Refusal::LockNotEnrolled,
            LockState::Enrolled if changed.quarantined => Refusal::LockQuarantined,
            // It hangs on another door: what the person may is to be read anew, if they ask again.
            LockState::Enrolled => Refusal::NoAccess,
        };
        return refuse(conn, who, attempt, &lock, refusal, Some(by), now);
    }
    if ask.action == Action::Unlock
        && let Some(until) = lockdowns::kept_out_since(conn, &lock, (Some(&who.person), &by), now)?
    {
        let refusal = Refusal::Lockdown { opens_at: Some(until) };
        return refuse(conn, who, attempt, &lock, refusal, Some(by), now);
    }
    let by_link = who.reach.as_ref().map(|reach| &reach.link);
    let stands = grants::hold(conn, &by, (&lock.organization, &who.person), now)?
        && by_link.map_or(Ok(true), |link| guest_links::keep(conn, link))?;
    if !stands {
        return refuse(conn, who, attempt, &lock, Refusal::GrantRevoked, Some(by), now);
    }
    if let (true, RightSource::Grant(grant)) = (takes_use, &by)
        && !grants::take_use(conn, grant, now)?
    {
        return refuse(conn, who, attempt, &lock, Refusal::UsesExhausted, Some(by), now);
    }
    issue(conn, request, attempt, &lock, by, takes_use)
}

/// Makes the command that carries the attempt out, and writes it down.
fn issue(
    conn: &mut Conn,
    request: Request,
    attempt: Attempt,
    lock: &Lock,
    by: RightSource,
    takes_use: bool,
) -> Result<Decided, Error> {
    let now = request.now;
    let (counter, min_rev) = locks::next_counter(conn, &lock.id, now)?;
    let counter = request.generation | counter;
    let entry = request.who.signed(entry(&attempt, lock, Some(&by), now));
    let command = Command {
        by,
        takes_use,
        jti: request.jti,
        counter,
        deadline: request.deadline,
        relayed_at: None,
        accepted_at: None,
    };
    let attempt = Attempt {
        command: Some(command),
        ..attempt
    };
    let superseded = supersede(conn, &attempt, lock, now)?;
    attempts::add(conn, &attempt)?;
    access_log::append(conn, &lock.organization, &entry, now)?;
    // The counter of a cheap lock strays by some per cent: a deadline is not reckoned over hours.
    let clocks = lock_events::clocks(conn, &lock.id)?.filter(|clocks| now.since(clocks.at) <= SILENCE);
    Ok(Decided::Issued {
        attempt,
        clocks,
        min_rev,
        superseded,
    })
}

/// The ways in that work while the lock is away: a pass that a phone of the person holds, or gets now.
fn ways_without_us(
    conn: &mut Conn,
    request: &Request,
    lock: &Lock,
    rights: &[Right],
    zone: &TimeZone,
) -> Result<Vec<Way>, Error> {
    let gets_one = pass::decide(lock, rights, zone, request.now, &request.pass_lives);
    let is_open = |pass: &Pass| {
        pass.starts_at <= request.now
            && (pass.schedule.as_ref()).is_none_or(|schedule| schedule.is_open(zone, request.now))
    };
    // What the person's own phones hold is not for somebody who came by a link.
    let is_signed_in = request.who.reach.is_none();
    let by_pass = gets_one.as_ref().is_ok_and(is_open)
        || is_signed_in && passes::has_any(conn, &lock.id, &request.who.person, request.now)?;
    Ok(if by_pass { vec![Way::Offline] } else { Vec::new() })
}

/// The rights' decision, and then the lock's own state: who has no right learns nothing of the lock.
pub(super) fn judge(
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
    match Refusal::of_lock(lock) {
        Some(refusal) => Err((refusal, Some(by))),
        None => Ok((by, takes_use)),
    }
}

/// A clock that is behind what is on record issues nothing: its deadlines would be wrong.
pub(in crate::app) fn refuse_old_clock(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<(), Error> {
    let last = access_log::last_recorded_at(conn, &lock.organization)?;
    match last.map(|last| last.since(now)) {
        Some(behind) if behind > CLOCK_TOLERANCE => Err(Error::ClockBehind {
            behind,
            organization: lock.organization.clone(),
        }),
        _ => Ok(()),
    }
}

pub(in crate::app) fn zone_of(conn: &mut Conn, lock: &Lock) -> Result<TimeZone, Error> {
    let scope = Scope::only(lock.organization.clone());
    let property = places::find_property(conn, &lock.property, &scope)?;
    Ok(property.ok_or(Error::NotFound(What::Property))?.time_zone)
}

/// Writes down that the backend refused.
fn refuse(
    conn: &mut Conn,
    who: &Actor,
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
    let entry = who.signed(entry(&attempt, lock, nearest.as_ref(), now));
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(Decided::Refused(attempt, refusal.for_person()))
}

/// Writes down that the person may and it cannot be sent.
fn fail(
    conn: &mut Conn,
    who: &Actor,
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
    let entry = who.signed(entry(&attempt, lock, Some(by), now));
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
