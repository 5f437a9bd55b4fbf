//! What follows of a lock-out by itself: the policy's steps, and the end of the wait.

use std::sync::Arc;

use super::deciding::approve;
use super::{entry, helpers, news, tell_residents};
use crate::app::in_turn::each_in_turn;
use crate::app::notices::tell;
use crate::app::{App, Error};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::lock::Lock;
use crate::domain::lockout::policy::Helper;
use crate::domain::lockout::walk::{Verdict, stand};
use crate::domain::lockout::{Lockout, State};
use crate::domain::notice;
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, lockouts, locks};

/// How many lock-outs have their turn in one round.
const TURNS_A_ROUND: i64 = 100;

impl App {
    /// Gives every open lock-out its turn whose time has come; says how many there were. Twice, or on two nodes at once, it
    /// does nothing more: each is held, and read again.
    ///
    /// # Errors
    /// Those of the database; one that fails keeps no other from its turn.
    pub async fn turn_lockouts(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = self
            .db
            .read(move |conn| Ok::<_, Error>(lockouts::due(conn, now, TURNS_A_ROUND)?))
            .await?;
        let count = due.len();
        let (_, outcome) = each_in_turn(due, |id| {
            let random = Arc::clone(&self.random);
            self.db.write(move |conn| {
                let Some(lockout) = lockouts::hold(conn, &id)? else {
                    return Ok(());
                };
                if lockout.state != State::Open || lockout.next_at > now {
                    return Ok(());
                }
                let lock = locks::with_ids(conn, std::slice::from_ref(&lockout.lock))?.pop();
                if let Some(lock) = lock {
                    turn(conn, &*random, lockout, &lock, now)?;
                }
                Ok::<_, Error>(())
            })
        })
        .await;
        outcome.map(|()| count)
    }
}

/// Begins the steps whose time has come, and ends the wait where it is over. The caller holds the lock-out, which is
/// open.
pub(super) fn turn(
    conn: &mut Conn,
    random: &dyn Random,
    mut lockout: Lockout,
    lock: &Lock,
    now: Timestamp,
) -> Result<Lockout, Error> {
    let stand = stand(&lockout.policy, lockout.asked_at, now);
    let steps: Vec<_> = (lockout.policy.first().iter())
        .take(stand.begun)
        .skip(lockout.begun)
        .cloned()
        .collect();
    for step in steps {
        let helpers = helpers(conn, &lockout, lock, &step, now)?;
        let told = helpers.len();
        let mut news = news(&lockout, lock, notice::Kind::LockoutHelpWanted, None);
        if let Some(detail) = &mut news.detail {
            detail["try"] = step.word().into();
        }
        tell(conn, random, helpers, &news, now)?;
        let entry = NewEntry {
            outcome: match (&step.helper, told) {
                (Helper::Locksmith(_), _) | (_, 1..) => Outcome::Ok,
                // There is nobody to tell: the next step's turn comes all the same.
                (_, 0) => Outcome::Failed,
            },
            reason: Some(step.word().to_owned()),
            ..entry(&lockout, lock, Kind::LockoutStep, now)
        };
        access_log::append(conn, &lockout.organization, &entry, now)?;
    }
    lockout.begun = lockout.begun.max(stand.begun);
    lockout.next_at = match stand.verdict {
        Verdict::Waits { until } => until,
        Verdict::Approved | Verdict::Lapsed => now,
    };
    lockouts::set_turn(conn, &lockout.id, lockout.begun, lockout.next_at)?;
    match stand.verdict {
        Verdict::Waits { .. } => Ok(lockout),
        Verdict::Approved => approve(conn, random, lockout, lock, None, false, now),
        Verdict::Lapsed => lapse(conn, random, lockout, lock, "nobody-answered", now),
    }
}

/// Ends every lock-out that waits, in a database that was restored: whether somebody said no since is not known. Whoever still
/// stands before the door asks anew.
pub(in crate::app) fn lapse_every(conn: &mut Conn, random: &dyn Random, now: Timestamp) -> Result<(), Error> {
    for id in lockouts::due(conn, Timestamp::MAX, i64::MAX)? {
        let lockout = lockouts::hold(conn, &id)?.filter(|lockout| lockout.state == State::Open);
        let Some(lockout) = lockout else { continue };
        if let Some(lock) = locks::with_ids(conn, std::slice::from_ref(&lockout.lock))?.pop() {
            lapse(conn, random, lockout, &lock, "restored", now)?;
        }
    }
    Ok(())
}

/// Ends the lock-out: the door stays shut for `reason`.
pub(super) fn lapse(
    conn: &mut Conn,
    random: &dyn Random,
    lockout: Lockout,
    lock: &Lock,
    reason: &str,
    now: Timestamp,
) -> Result<Lockout, Error> {
    let state = State::Lapsed { at: now };
    lockouts::decide(conn, &lockout.id, &state)?;
    let entry = NewEntry {
        outcome: Outcome::Refused,
        reason: Some(reason.to_owned()),
        ..entry(&lockout, lock, Kind::LockoutLapsed, now)
    };
    access_log::append(conn, &lockout.organization, &entry, now)?;
    tell_residents(conn, random, &lockout, lock, notice::Kind::LockoutLapsed, None, now)?;
    Ok(Lockout { state, ..lockout })
}
