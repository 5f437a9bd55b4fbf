//! What locks should hold of PINs and what they hold. The rows of a lock are written only while the lock's own row is held
//! ([`hold`]), so that two nodes take turns.

use diesel::prelude::*;

use super::columns::{parsed, parsed_option, word};
use super::schema::{lock_pins, lock_reports, locks, pin_slots};
use super::{Conn, StoreError};
use crate::domain::ids::{GrantId, LockId};
use crate::domain::lock::LockState;
use crate::domain::pin::{Codes, Delivery, Limits, LockPins, Slot, SlotState, ToldZone};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = lock_pins, treat_none_as_null = true)]
struct LockRow {
    lock_id: String,
    enrolment: i64,
    version: i64,
    held: i64,
    seen_chain: Option<String>,
    seen_seq: i64,
    sent: String,
    tries: i64,
    next_try_at_ms: i64,
    refusal: Option<String>,
    boot: Option<i64>,
    codes: i64,
    codes_since_ms: i64,
    codes_version: i64,
    zone: String,
    zone_version: i64,
    zone_review_at_ms: i64,
    slots_limit: i64,
    digits_least: i64,
    digits_most: i64,
    restored: Option<i64>,
}

fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(StoreError::corrupt)
}

fn count<T: TryFrom<i64>>(number: i64) -> Result<T, StoreError>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(number).map_err(StoreError::corrupt)
}

impl LockRow {
    fn of(pins: &LockPins) -> Result<Self, StoreError> {
        let delivery = &pins.delivery;
        Ok(Self {
            lock_id: pins.lock.to_string(),
            enrolment: i64::from(pins.enrolment),
            version: signed(delivery.version)?,
            held: signed(delivery.held)?,
            seen_chain: delivery.seen.0.clone(),
            seen_seq: delivery.seen.1,
            sent: serde_json::to_string(&delivery.sent).map_err(StoreError::corrupt)?,
            tries: i64::from(delivery.tries),
            next_try_at_ms: delivery.next_try_at.as_millis(),
            refusal: delivery.refusal.clone(),
            boot: delivery.boot.map(i64::from),
            codes: i64::from(pins.codes.generation),
            codes_since_ms: pins.codes.since.as_millis(),
            codes_version: signed(pins.codes.version)?,
            zone: pins.zone.name.clone(),
            zone_version: signed(pins.zone.version)?,
            zone_review_at_ms: pins.zone.review_at.as_millis(),
            slots_limit: i64::from(pins.limits.slots),
            digits_least: i64::from(pins.limits.digits_least),
            digits_most: i64::from(pins.limits.digits_most),
            restored: delivery.restored.map(signed).transpose()?,
        })
    }

    fn into_domain(self) -> Result<LockPins, StoreError> {
        Ok(LockPins {
            lock: parsed(&self.lock_id)?,
            enrolment: count(self.enrolment)?,
            delivery: Delivery {
                version: count(self.version)?,
                held: count(self.held)?,
                seen: (self.seen_chain, self.seen_seq),
                sent: serde_json::from_str(&self.sent).map_err(StoreError::corrupt)?,
                tries: count(self.tries)?,
                next_try_at: Timestamp::from_millis(self.next_try_at_ms),
                refusal: self.refusal,
                boot: self.boot.map(count).transpose()?,
                restored: self.restored.map(count).transpose()?,
            },
            codes: Codes {
                generation: count(self.codes)?,
                since: Timestamp::from_millis(self.codes_since_ms),
                version: count(self.codes_version)?,
            },
            zone: ToldZone {
                name: self.zone,
                version: count(self.zone_version)?,
                review_at: Timestamp::from_millis(self.zone_review_at_ms),
            },
            limits: Limits {
                slots: count(self.slots_limit)?,
                digits_least: count(self.digits_least)?,
                digits_most: count(self.digits_most)?,
            },
        })
    }
}

/// What is known of the lock's PINs, held until this transaction ends; `None` where nothing was kept of it yet.
pub fn hold(conn: &mut Conn, lock: &LockId) -> Result<Option<LockPins>, StoreError> {
    diesel::update(locks::table.find(lock.as_str()))
        .set(locks::chain_seq.eq(locks::chain_seq))
        .execute(conn)?;
    find(conn, lock)
}

/// What is known of the lock's PINs.
pub fn find(conn: &mut Conn, lock: &LockId) -> Result<Option<LockPins>, StoreError> {
    let row: Option<LockRow> = lock_pins::table
        .find(lock.as_str())
        .select(LockRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(LockRow::into_domain).transpose()
}

/// Begins to keep what is known of a lock's PINs.
pub fn add(conn: &mut Conn, pins: &LockPins) -> Result<(), StoreError> {
    diesel::insert_into(lock_pins::table)
        .values(LockRow::of(pins)?)
        .execute(conn)?;
    Ok(())
}

/// Writes what is known of a lock's PINs.
pub fn save(conn: &mut Conn, pins: &LockPins) -> Result<(), StoreError> {
    diesel::update(lock_pins::table.find(pins.lock.as_str()))
        .set(LockRow::of(pins)?)
        .execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = pin_slots, treat_none_as_null = true)]
struct SlotRow {
    lock_id: String,
    slot: i64,
    given_version: i64,
    enrolment: i64,
    grant_id: Option<String>,
    state: String,
    version: i64,
    since_at_ms: i64,
    told: bool,
    mac: Option<String>,
    sealed: Option<String>,
    ends_at_ms: i64,
    review_at_ms: i64,
    length: i64,
    uses: Option<i64>,
    openings: i64,
    after_chain: Option<String>,
    after_seq: i64,
}

impl SlotRow {
    fn of(slot: &Slot) -> Result<Self, StoreError> {
        Ok(Self {
            lock_id: slot.lock.to_string(),
            slot: i64::from(slot.slot),
            given_version: signed(slot.given_version)?,
            enrolment: i64::from(slot.enrolment),
            grant_id: slot.grant.as_ref().map(GrantId::to_string),
            state: slot.state.as_str().to_owned(),
            version: signed(slot.version)?,
            since_at_ms: slot.since.as_millis(),
            told: slot.told,
            mac: slot.mac.clone(),
            sealed: slot.sealed.clone(),
            ends_at_ms: slot.ends_at.as_millis(),
            review_at_ms: slot.review_at.as_millis(),
            length: i64::from(slot.length),
            uses: slot.uses.map(i64::from),
            openings: i64::from(slot.openings),
            after_chain: slot.after.0.clone(),
            after_seq: slot.after.1,
        })
    }

    fn into_domain(self) -> Result<Slot, StoreError> {
        Ok(Slot {
            lock: parsed(&self.lock_id)?,
            slot: count(self.slot)?,
            given_version: count(self.given_version)?,
            enrolment: count(self.enrolment)?,
            grant: parsed_option(self.grant_id.as_deref())?,
            state: word(self.state)?,
            version: count(self.version)?,
            since: Timestamp::from_millis(self.since_at_ms),
            told: self.told,
            mac: self.mac,
            sealed: self.sealed,
            length: count(self.length)?,
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            review_at: Timestamp::from_millis(self.review_at_ms),
            uses: self.uses.map(count).transpose()?,
            openings: count(self.openings)?,
            after: (self.after_chain, self.after_seq),
        })
    }
}

fn slots(rows: Vec<SlotRow>) -> Result<Vec<Slot>, StoreError> {
    rows.into_iter().map(SlotRow::into_domain).collect()
}

/// Gives a free slot away.
pub fn add_slot(conn: &mut Conn, slot: &Slot) -> Result<(), StoreError> {
    diesel::insert_into(pin_slots::table)
        .values(SlotRow::of(slot)?)
        .execute(conn)?;
    Ok(())
}

/// Writes what is known of a slot.
pub fn save_slot(conn: &mut Conn, slot: &Slot) -> Result<(), StoreError> {
    let key = (slot.lock.as_str(), i64::from(slot.slot), signed(slot.given_version)?);
    diesel::update(pin_slots::table.find(key))
        .set(SlotRow::of(slot)?)
        .execute(conn)?;
    Ok(())
}

/// The lock's slots that are in use, by their numbers.
pub fn slots_of(conn: &mut Conn, lock: &LockId) -> Result<Vec<Slot>, StoreError> {
    let rows = pin_slots::table
        .filter(pin_slots::lock_id.eq(lock.as_str()))
        .filter(pin_slots::state.ne(SlotState::Cleared.as_str()))
        .order(pin_slots::slot)
        .select(SlotRow::as_select())
        .load(conn)?;
    slots(rows)
}

/// All slots that the grant has or had, the newest last.
pub fn slots_of_grant(conn: &mut Conn, grant: &GrantId) -> Result<Vec<Slot>, StoreError> {
    let rows = pin_slots::table
        .filter(pin_slots::grant_id.eq(grant.as_str()))
        .order((pin_slots::lock_id, pin_slots::since_at_ms, pin_slots::given_version))
        .select(SlotRow::as_select())
        .load(conn)?;
    slots(rows)
}

/// The lock's slots that changed after version `above`, in the order in which they did, at most `limit`.
pub fn changes(conn: &mut Conn, lock: &LockId, above: u64, limit: i64) -> Result<Vec<Slot>, StoreError> {
    let rows = pin_slots::table
        .filter(pin_slots::lock_id.eq(lock.as_str()))
        .filter(pin_slots::state.ne(SlotState::Cleared.as_str()))
        .filter(pin_slots::version.gt(signed(above)?))
        .order(pin_slots::version)
        .limit(limit)
        .select(SlotRow::as_select())
        .load(conn)?;
    slots(rows)
}

/// The locks with a slot whose grant is taken back, or allows another number of openings than they were told, and those
/// whose property has another zone than they were told; about `limit` of them.
pub fn to_mend(conn: &mut Conn, limit: i64) -> Result<Vec<LockId>, StoreError> {
    use super::schema::{grants, properties};
    let set = || {
        pin_slots::table
            .inner_join(grants::table.on(pin_slots::grant_id.eq(grants::id.nullable())))
            .filter(pin_slots::state.eq(SlotState::Set.as_str()))
            .order(pin_slots::lock_id)
            .limit(limit)
            .select(pin_slots::lock_id)
    };
    let mut ids: Vec<String> = set().filter(grants::revoked_at_ms.is_not_null()).load(conn)?;
    let left = grants::uses_limit - grants::uses_taken.nullable();
    let counted: Vec<String> = set()
        .filter((left + pin_slots::openings.nullable()).ne(pin_slots::uses))
        .load(conn)?;
    ids.extend(counted);
    let moved: Vec<String> = lock_pins::table
        .inner_join(locks::table.inner_join(properties::table.on(properties::id.eq(locks::property_id))))
        .filter(properties::time_zone.ne(lock_pins::zone))
        .order(lock_pins::lock_id)
        .limit(limit)
        .select(lock_pins::lock_id)
        .load(conn)?;
    ids.extend(moved);
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(|id| parsed(id)).collect()
}

/// Frees the lock's slots whose clearing it has confirmed by holding `held`.
pub fn free_cleared(conn: &mut Conn, lock: &LockId, held: u64) -> Result<(), StoreError> {
    diesel::update(
        pin_slots::table
            .filter(pin_slots::lock_id.eq(lock.as_str()))
            .filter(pin_slots::state.eq(SlotState::Clearing.as_str()))
            .filter(pin_slots::version.le(signed(held)?)),
    )
    .set((
        pin_slots::state.eq(SlotState::Cleared.as_str()),
        pin_slots::mac.eq(None::<String>),
    ))
    .execute(conn)?;
    Ok(())
}

/// Frees all of the lock's slots: another controller has taken its place and knows none of them. Those that were set keep
/// their MAC, by which they are known as lost.
pub fn free_all(conn: &mut Conn, lock: &LockId) -> Result<(), StoreError> {
    free_cleared(conn, lock, i64::MAX.unsigned_abs())?;
    diesel::update(
        pin_slots::table
            .filter(pin_slots::lock_id.eq(lock.as_str()))
            .filter(pin_slots::state.ne(SlotState::Cleared.as_str())),
    )
    .set((
        pin_slots::state.eq(SlotState::Cleared.as_str()),
        pin_slots::sealed.eq(None::<String>),
    ))
    .execute(conn)?;
    Ok(())
}

/// For whom the slot spoke when the lock, in this enrolment, said the event of this number.
pub fn slot_at(
    conn: &mut Conn,
    (lock, enrolment): (&LockId, u32),
    slot: u16,
    (chain, seq): (&str, i64),
) -> Result<Option<Slot>, StoreError> {
    let rows = pin_slots::table
        .filter(pin_slots::lock_id.eq(lock.as_str()))
        .filter(pin_slots::enrolment.eq(i64::from(enrolment)))
        .filter(pin_slots::slot.eq(i64::from(slot)))
        .order(pin_slots::given_version.desc())
        .select(SlotRow::as_select())
        .load(conn)?;
    Ok(speaking(slots(rows)?, |slot| &slot.after, (chain, seq)))
}

/// The one of `newest_first` that spoke at the event of this number: the newest that was given away before it, by the same
/// chain where one was; otherwise by none, and at last by another one.
pub(super) fn speaking<T>(
    newest_first: Vec<T>,
    after: impl Fn(&T) -> &(Option<String>, i64),
    (chain, seq): (&str, i64),
) -> Option<T> {
    let rank = |one: &T| {
        let (of, last) = after(one);
        match of.as_deref() {
            Some(of) if of == chain => (seq > *last).then_some(0),
            None => Some(1),
            Some(_) => Some(2),
        }
    };
    let spoke = newest_first.into_iter().filter_map(|one| Some((rank(&one)?, one)));
    spoke.min_by_key(|(rank, _)| *rank).map(|(_, one)| one)
}

/// The locks that may have something to be told and are there, heard of after `since`; at most `limit`.
pub fn due(conn: &mut Conn, now: Timestamp, since: Timestamp, limit: i64) -> Result<Vec<LockId>, StoreError> {
    let ids: Vec<String> = lock_pins::table
        .inner_join(locks::table.inner_join(lock_reports::table))
        .filter(lock_pins::version.gt(lock_pins::held))
        .filter(lock_pins::next_try_at_ms.le(now.as_millis()))
        .filter(lock_pins::tries.lt(i64::from(crate::domain::pin::MAX_TRIES)))
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .filter(locks::quarantined_at_ms.is_null())
        .filter(lock_reports::online.eq(true))
        .filter(lock_reports::online_at_ms.gt(since.as_millis()))
        .order(lock_pins::next_try_at_ms)
        .limit(limit)
        .select(lock_pins::lock_id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// The locks of which something is to be looked at again: a slot, or the wall clock.
pub fn to_review(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<LockId>, StoreError> {
    let mut ids: Vec<String> = pin_slots::table
        .filter(pin_slots::state.eq(SlotState::Set.as_str()))
        .filter(pin_slots::review_at_ms.le(now.as_millis()))
        .order(pin_slots::review_at_ms)
        .limit(limit)
        .select(pin_slots::lock_id)
        .load(conn)?;
    let zones: Vec<String> = lock_pins::table
        .filter(lock_pins::zone_review_at_ms.le(now.as_millis()))
        .order(lock_pins::zone_review_at_ms)
        .limit(limit)
        .select(lock_pins::lock_id)
        .load(conn)?;
    ids.extend(zones);
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(|id| parsed(id)).collect()
}
