//! Enrolments: how controllers claim locks, what the backend must know to talk with them, and how they leave.

use diesel::prelude::*;

use super::columns::parsed;
use super::kept::Kept;
use super::lock_events::ChainEnd;
use super::schema::{enrolments, locks};
use super::{Conn, StoreError, lock_events};
use crate::crypto::digest::hexadecimal;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::{EnrolmentEnd, LockState};
use crate::domain::time::Timestamp;

/// Replaces the digest of the code that claims the lock. Says whether the lock was still in `state`.
pub fn set_claim(
    conn: &mut Conn,
    id: &LockId,
    state: LockState,
    claim_digest: &[u8; 32],
    claim_ends_at: Timestamp,
) -> Result<bool, StoreError> {
    let set = diesel::update(locks::table.find(id.as_str()).filter(locks::state.eq(state.as_str())))
        .set((
            locks::claim_digest.eq(hexadecimal(claim_digest)),
            locks::claim_ends_at_ms.eq(claim_ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(set > 0)
}

/// A claim code that was taken for an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The lock that it claims.
    pub lock: LockId,
    /// Until when it would have been good.
    pub ends_at: Timestamp,
    /// How many enrolments the lock has had.
    pub enrolments: u32,
}

/// The lock that the code of this digest claims at `now`; the code is void from now on, so that of two claims at once
/// one succeeds.
pub fn take_claim(conn: &mut Conn, claim_digest: &[u8; 32], now: Timestamp) -> Result<Option<Claimed>, StoreError> {
    let row: Option<(String, Option<i64>, i64)> = locks::table
        .filter(locks::claim_digest.eq(hexadecimal(claim_digest)))
        .filter(locks::claim_ends_at_ms.gt(now.as_millis()))
        .filter(locks::state.ne(LockState::Retired.as_str()))
        .select((locks::id, locks::claim_ends_at_ms, locks::enrolments))
        .first(conn)
        .optional()?;
    let Some((id, Some(ends_at_ms), number)) = row else {
        return Ok(None);
    };
    let taken = diesel::update(
        locks::table
            .find(&id)
            .filter(locks::claim_digest.eq(hexadecimal(claim_digest))),
    )
    .set((
        locks::claim_digest.eq(None::<String>),
        locks::claim_ends_at_ms.eq(None::<i64>),
    ))
    .execute(conn)?;
    if taken == 0 {
        return Ok(None);
    }
    Ok(Some(Claimed {
        lock: parsed(&id)?,
        ends_at: Timestamp::from_millis(ends_at_ms),
        enrolments: counted(number)?,
    }))
}

/// Makes a code that was taken good again, unless there is another one by now or the lock needs none any more.
pub fn return_claim(conn: &mut Conn, claimed: &Claimed, claim_digest: &[u8; 32]) -> Result<(), StoreError> {
    diesel::update(
        locks::table
            .find(claimed.lock.as_str())
            .filter(locks::state.ne(LockState::Retired.as_str()))
            .filter(locks::enrolments.eq(i64::from(claimed.enrolments)))
            .filter(locks::claim_digest.is_null()),
    )
    .set((
        locks::claim_digest.eq(hexadecimal(claim_digest)),
        locks::claim_ends_at_ms.eq(claimed.ends_at.as_millis()),
    ))
    .execute(conn)?;
    Ok(())
}

/// What a controller brings when it claims a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Its public key, as a JWK.
    pub public_key: String,
    /// SHA-256 of the broker password it is given.
    pub broker_digest: [u8; 32],
    /// Maker's name of the product.
    pub model: String,
    /// Version of its firmware.
    pub firmware: String,
}

/// How many controllers the lock has had, the present one too.
pub fn count(conn: &mut Conn, id: &LockId) -> Result<i64, StoreError> {
    let of_it = enrolments::table.filter(enrolments::lock_id.eq(id.as_str()));
    Ok(of_it.count().get_result(conn)?)
}

/// An enrolment that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its number, from 1.
    pub number: u32,
    /// The last counter issued to the lock, without the issuer's generation: what the new controller has to count from.
    pub counter: u64,
    /// The end of the chain of the controller in whose place this one is, where that was still enrolled.
    pub replaced: Option<ChainEnd>,
}

/// Makes the controller the lock: what the one before had (key, broker password, chain, reports, quarantine) is void from
/// now on; its counter goes on. `None` where somebody else was faster, or the lock was retired.
pub fn enrol(
    conn: &mut Conn,
    claimed: &Claimed,
    enrolment: &Enrolment,
    now: Timestamp,
) -> Result<Option<Written>, StoreError> {
    let id = &claimed.lock;
    let before = lock_events::chain_end(conn, id, claimed.enrolments)?;
    note_chain(conn, id)?;
    let is_replacement = end(conn, id, EnrolmentEnd::Replaced, now)?;
    let row: Option<(i64, i64)> = Kept(
        // As long as nobody else has enrolled it, and no code was made since the claim was taken: that one is somebody
        // else's to use.
        diesel::update(
            locks::table
                .find(id.as_str())
                .filter(locks::state.ne(LockState::Retired.as_str()))
                .filter(locks::enrolments.eq(i64::from(claimed.enrolments)))
                .filter(locks::claim_digest.is_null()),
        )
        .set((
            locks::state.eq(LockState::Enrolled.as_str()),
            locks::enrolled_at_ms.eq(now.as_millis()),
            locks::public_key.eq(&enrolment.public_key),
            locks::broker_digest.eq(hexadecimal(&enrolment.broker_digest)),
            locks::model.eq(&enrolment.model),
            locks::firmware.eq(&enrolment.firmware),
            locks::enrolments.eq(locks::enrolments + 1),
            locks::leaving_at_ms.eq(None::<i64>),
            locks::quarantined_at_ms.eq(None::<i64>),
            locks::chain.eq(None::<String>),
            locks::chain_seq.eq(-1),
            locks::chain_head.eq(None::<String>),
        ))
        .returning((locks::enrolments, locks::counter)),
    )
    .get_result(conn)
    .optional()?;
    let Some((number, counter)) = row else {
        return Ok(None);
    };
    diesel::insert_into(enrolments::table)
        .values((
            enrolments::lock_id.eq(id.as_str()),
            enrolments::number.eq(number),
            enrolments::public_key.eq(&enrolment.public_key),
            enrolments::model.eq(&enrolment.model),
            enrolments::enrolled_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    lock_events::forget_reports(conn, id)?;
    Ok(Some(Written {
        number: counted(number)?,
        counter: u64::try_from(counter).map_err(StoreError::corrupt)?,
        replaced: before.filter(|_| is_replacement),
    }))
}

/// Writes down how the lock's present enrolment ended; says whether one was under way.
fn end(conn: &mut Conn, id: &LockId, reason: EnrolmentEnd, now: Timestamp) -> Result<bool, StoreError> {
    let ended = diesel::update(
        enrolments::table
            .filter(enrolments::lock_id.eq(id.as_str()))
            .filter(enrolments::ended_at_ms.is_null()),
    )
    .set((
        enrolments::ended_at_ms.eq(now.as_millis()),
        enrolments::end_reason.eq(reason.as_str()),
    ))
    .execute(conn)?;
    Ok(ended > 0)
}

/// Writes down how far the chain of the lock's last enrolment is stored: nothing is added to it any more.
fn note_chain(conn: &mut Conn, id: &LockId) -> Result<(), StoreError> {
    let number = number_of(conn, id)?;
    let Some(end) = lock_events::chain_end(conn, id, number)? else {
        return Ok(());
    };
    diesel::update(enrolments::table.find((id.as_str(), i64::from(number))))
        .set((enrolments::chain.eq(&end.chain), enrolments::chain_seq.eq(end.seq)))
        .execute(conn)?;
    Ok(())
}

/// Takes the lock out of service: its claim code is void. The digest of its broker password stays until
/// [`forget_broker_password`]: the broker has yet to be told. Says whether it was not so before.
pub fn retire(conn: &mut Conn, id: &LockId, now: Timestamp) -> Result<bool, StoreError> {
    note_chain(conn, id)?;
    let retired = diesel::update(
        locks::table
            .find(id.as_str())
            .filter(locks::state.ne(LockState::Retired.as_str())),
    )
    .set((
        locks::state.eq(LockState::Retired.as_str()),
        locks::retired_at_ms.eq(now.as_millis()),
        locks::claim_digest.eq(None::<String>),
        locks::claim_ends_at_ms.eq(None::<i64>),
        locks::leaving_at_ms.eq(None::<i64>),
    ))
    .execute(conn)?;
    if retired > 0 {
        end(conn, id, EnrolmentEnd::Retired, now)?;
    }
    Ok(retired > 0)
}

/// The lock's controller has said that it leaves: the lock is unclaimed from now on. The controller may still tell what it
/// holds, until [`end_leave`]. Says whether the lock was enrolled.
pub fn leave(conn: &mut Conn, id: &LockId, reason: EnrolmentEnd, now: Timestamp) -> Result<bool, StoreError> {
    let left = diesel::update(
        locks::table
            .find(id.as_str())
            .filter(locks::state.eq(LockState::Enrolled.as_str())),
    )
    .set((
        locks::state.eq(LockState::Unclaimed.as_str()),
        locks::leaving_at_ms.eq(now.as_millis()),
    ))
    .execute(conn)?;
    if left > 0 {
        end(conn, id, reason, now)?;
    }
    Ok(left > 0)
}

/// Whether the lock is enrolled.
pub fn is_enrolled(conn: &mut Conn, id: &LockId) -> Result<bool, StoreError> {
    let state: Option<String> = locks::table
        .find(id.as_str())
        .select(locks::state)
        .get_result(conn)
        .optional()?;
    Ok(state.as_deref() == Some(LockState::Enrolled.as_str()))
}

/// Whether the lock's controller is leaving.
pub fn is_leaving(conn: &mut Conn, id: &LockId) -> Result<bool, StoreError> {
    let found: Option<Option<i64>> = locks::table
        .find(id.as_str())
        .select(locks::leaving_at_ms)
        .get_result(conn)
        .optional()?;
    Ok(found.flatten().is_some())
}

/// The locks whose controllers the broker may still let in and has to let in no longer: those of retired locks, and those
/// that have been leaving since `left_before`; at most `limit`.
pub fn list_to_expel(conn: &mut Conn, left_before: Timestamp, limit: i64) -> Result<Vec<LockId>, StoreError> {
    let ids: Vec<String> = locks::table
        .filter(locks::state.ne(LockState::Enrolled.as_str()))
        .filter(locks::broker_digest.is_not_null())
        .filter(
            locks::leaving_at_ms
                .is_null()
                .or(locks::leaving_at_ms.le(left_before.as_millis())),
        )
        .order(locks::id)
        .limit(limit)
        .select(locks::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Forgets the key of a controller that was leaving, and what it said: what it says counts for nothing any more. The digest
/// of its broker password stays until [`forget_broker_password`]. Says whether one was leaving.
pub fn end_leave(conn: &mut Conn, id: &LockId) -> Result<bool, StoreError> {
    note_chain(conn, id)?;
    let left = diesel::update(
        locks::table
            .find(id.as_str())
            .filter(locks::leaving_at_ms.is_not_null()),
    )
    .set((
        locks::leaving_at_ms.eq(None::<i64>),
        locks::public_key.eq(None::<String>),
        locks::chain.eq(None::<String>),
        locks::chain_seq.eq(-1),
        locks::chain_head.eq(None::<String>),
    ))
    .execute(conn)?;
    if left > 0 {
        lock_events::forget_reports(conn, id)?;
    }
    Ok(left > 0)
}

/// Forgets the broker password of a lock that is not enrolled: the broker lets it in no longer. Says whether it was so:
/// `false` where the lock was enrolled anew.
pub fn forget_broker_password(conn: &mut Conn, id: &LockId) -> Result<bool, StoreError> {
    let forgotten = diesel::update(
        locks::table
            .find(id.as_str())
            .filter(locks::state.ne(LockState::Enrolled.as_str())),
    )
    .set(locks::broker_digest.eq(None::<String>))
    .execute(conn)?;
    Ok(forgotten > 0)
}

/// Whether the lock's broker password has this digest, and it is enrolled or still leaving.
pub fn has_broker_digest(conn: &mut Conn, id: &LockId, broker_digest: &[u8; 32]) -> Result<bool, StoreError> {
    let found: Option<String> = locks::table
        .find(id.as_str())
        .filter(
            locks::state
                .eq(LockState::Enrolled.as_str())
                .or(locks::leaving_at_ms.is_not_null()),
        )
        .filter(locks::broker_digest.eq(hexadecimal(broker_digest)))
        .select(locks::id)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}

/// What the backend must know to talk with an enrolled lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Whose lock it is.
    pub organization: OrganizationId,
    /// The key that signs its messages, as a JWK.
    pub public_key: String,
    /// The number of its enrolment, from 1.
    pub enrolment: u32,
}

/// The controller of a lock that is enrolled or still leaving.
pub fn find_controller(conn: &mut Conn, id: &LockId) -> Result<Option<Controller>, StoreError> {
    let row: Option<(String, Option<String>, i64)> = locks::table
        .find(id.as_str())
        .filter(
            locks::state
                .eq(LockState::Enrolled.as_str())
                .or(locks::leaving_at_ms.is_not_null()),
        )
        .select((locks::organization_id, locks::public_key, locks::enrolments))
        .get_result(conn)
        .optional()?;
    match row {
        Some((organization, Some(public_key), number)) => Ok(Some(Controller {
            organization: parsed(&organization)?,
            public_key,
            enrolment: counted(number)?,
        })),
        _ => Ok(None),
    }
}

/// The number of the lock's present or last enrolment; 0 before the first.
pub fn number_of(conn: &mut Conn, id: &LockId) -> Result<u32, StoreError> {
    let number: Option<i64> = locks::table
        .find(id.as_str())
        .select(locks::enrolments)
        .get_result(conn)
        .optional()?;
    counted(number.unwrap_or_default())
}

/// When the lock's enrolment of this number began.
pub fn since(conn: &mut Conn, id: &LockId, number: u32) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = enrolments::table
        .find((id.as_str(), i64::from(number)))
        .select(enrolments::enrolled_at_ms)
        .get_result(conn)
        .optional()?;
    Ok(ms.map(Timestamp::from_millis))
}

fn counted(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(StoreError::corrupt)
}
