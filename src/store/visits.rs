//! Visits of vendors.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, remembered, word};
use super::schema::{tenancies, visit_answers, visit_locks, visits};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::account::Scope;
use crate::domain::ids::{GrantId, LockId, PersonId, PropertyId, UnitId, VisitId};
use crate::domain::time::Timestamp;
use crate::domain::visit::{Answer, Emergency, EmergencyReason, EndReason, Purpose, Vendor, Visit};

#[derive(Queryable, Selectable)]
#[diesel(table_name = visits)]
struct Row {
    id: String,
    organization_id: String,
    property_id: String,
    unit_id: Option<String>,
    vendor_name: String,
    vendor_company: String,
    vendor_phone: String,
    purpose: String,
    starts_at_ms: i64,
    ends_at_ms: i64,
    stay_ms: i64,
    lock_change: bool,
    ordered_by: String,
    ordered_at_ms: i64,
    emergency_by: Option<String>,
    emergency_at_ms: Option<i64>,
    emergency_reason: Option<String>,
    let_in_at_ms: Option<i64>,
    grant_id: Option<String>,
    begun_at_ms: Option<i64>,
    ended_at_ms: Option<i64>,
    end_reason: Option<String>,
}

impl Row {
    fn into_domain(self, locks: Vec<LockId>) -> Result<Visit, StoreError> {
        let emergency = match (self.emergency_by, instant(self.emergency_at_ms), self.emergency_reason) {
            (Some(by), Some(at), Some(reason)) => Some(Emergency {
                by: parsed(&by)?,
                at,
                reason: remembered(reason)?,
            }),
            _ => None,
        };
        let let_in = match (instant(self.let_in_at_ms), self.grant_id) {
            (Some(at), Some(grant)) => Some((at, parsed(&grant)?)),
            _ => None,
        };
        let ended = match (instant(self.ended_at_ms), self.end_reason) {
            (Some(at), Some(reason)) => Some((at, word(reason)?)),
            _ => None,
        };
        let vendor = match (
            remembered(self.vendor_name)?,
            remembered(self.vendor_company)?,
            remembered(self.vendor_phone)?,
        ) {
            (Some(name), Some(company), Some(phone)) => Some(Vendor { name, company, phone }),
            _ => None,
        };
        Ok(Visit {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            property: parsed(&self.property_id)?,
            unit: parsed_option(self.unit_id.as_deref())?,
            locks,
            vendor,
            purpose: remembered(self.purpose)?,
            starts_at: Timestamp::from_millis(self.starts_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            stay: Duration::from_millis(self.stay_ms.unsigned_abs()),
            lock_change: self.lock_change,
            ordered_by: parsed(&self.ordered_by)?,
            ordered_at: Timestamp::from_millis(self.ordered_at_ms),
            emergency,
            let_in,
            begun_at: instant(self.begun_at_ms),
            ended,
        })
    }
}

/// Adds a visit that was just ordered, with its doors.
pub fn add(conn: &mut Conn, visit: &Visit) -> Result<(), StoreError> {
    let vendor = visit.vendor.as_ref();
    diesel::insert_into(visits::table)
        .values((
            visits::id.eq(visit.id.as_str()),
            visits::organization_id.eq(visit.organization.as_str()),
            visits::property_id.eq(visit.property.as_str()),
            visits::unit_id.eq(visit.unit.as_ref().map(UnitId::as_str)),
            visits::vendor_name.eq(vendor.map_or("", |vendor| vendor.name.as_str())),
            visits::vendor_company.eq(vendor.map_or("", |vendor| vendor.company.as_str())),
            visits::vendor_phone.eq(vendor.map_or("", |vendor| vendor.phone.as_str())),
            visits::purpose.eq(visit.purpose.as_ref().map_or("", Purpose::as_str)),
            visits::starts_at_ms.eq(visit.starts_at.as_millis()),
            visits::ends_at_ms.eq(visit.ends_at.as_millis()),
            visits::stay_ms.eq(i64::try_from(visit.stay.as_millis()).map_err(StoreError::corrupt)?),
            visits::lock_change.eq(visit.lock_change),
            visits::ordered_by.eq(visit.ordered_by.as_str()),
            visits::ordered_at_ms.eq(visit.ordered_at.as_millis()),
        ))
        .execute(conn)?;
    if let Some(emergency) = &visit.emergency {
        pass_over_consent(conn, &visit.id, emergency)?;
    }
    for lock in &visit.locks {
        diesel::insert_into(visit_locks::table)
            .values((
                visit_locks::visit_id.eq(visit.id.as_str()),
                visit_locks::lock_id.eq(lock.as_str()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The visits of these rows with their doors: one more query for all of them.
fn with_locks(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<Visit>, StoreError> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let doors: Vec<(String, String)> = visit_locks::table
        .filter(visit_locks::visit_id.eq_any(ids))
        .order(visit_locks::lock_id)
        .select((visit_locks::visit_id, visit_locks::lock_id))
        .load(conn)?;
    let mut of_visit: HashMap<String, Vec<LockId>> = HashMap::new();
    for (visit, lock) in doors {
        of_visit.entry(visit).or_default().push(parsed(&lock)?);
    }
    rows.into_iter()
        .map(|row| {
            let locks = of_visit.remove(&row.id).unwrap_or_default();
            row.into_domain(locks)
        })
        .collect()
}

/// The visit, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &VisitId, scope: &Scope) -> Result<Option<Visit>, StoreError> {
    let row: Option<Row> = visits::table
        .find(id.as_str())
        .filter(visits::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    Ok(with_locks(conn, row.into_iter().collect())?.pop())
}

/// As [`find`], held until the transaction ends, so that two who change it take turns.
pub fn hold(conn: &mut Conn, id: &VisitId, scope: &Scope) -> Result<Option<Visit>, StoreError> {
    diesel::update(visits::table.find(id.as_str()))
        .set(visits::code_tries.eq(visits::code_tries))
        .execute(conn)?;
    find(conn, id, scope)
}

/// The visit of this grant, held until the transaction ends.
pub fn hold_by_grant(conn: &mut Conn, grant: &GrantId) -> Result<Option<Visit>, StoreError> {
    diesel::update(visits::table.filter(visits::grant_id.eq(grant.as_str())))
        .set(visits::code_tries.eq(visits::code_tries))
        .execute(conn)?;
    let row: Option<Row> = visits::table
        .filter(visits::grant_id.eq(grant.as_str()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    Ok(with_locks(conn, row.into_iter().collect())?.pop())
}

/// Whether a vendor was let in for a visit by the grant.
pub fn is_way_in(conn: &mut Conn, grant: &GrantId) -> Result<bool, StoreError> {
    let found: Option<String> = visits::table
        .filter(visits::grant_id.eq(grant.as_str()))
        .select(visits::id)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}

/// The visits within `scope`, of one property if asked for, the newest first, those older than `before`, at most `limit`.
pub fn list(
    conn: &mut Conn,
    scope: &Scope,
    property: Option<&PropertyId>,
    before: Option<&VisitId>,
    limit: i64,
) -> Result<Vec<Visit>, StoreError> {
    let mut query = visits::table
        .filter(visits::organization_id.eq_any(scope.ids()))
        .into_boxed();
    if let Some(property) = property {
        query = query.filter(visits::property_id.eq(property.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(visits::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(visits::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    with_locks(conn, rows)
}

/// The visits to units in which the person lives or lived while they might take place, the newest first, those older than
/// `before`, at most `limit`.
pub fn of_resident(
    conn: &mut Conn,
    person: &PersonId,
    before: Option<&VisitId>,
    limit: i64,
) -> Result<Vec<Visit>, StoreError> {
    let lived_there = tenancies::table
        .filter(tenancies::person_id.eq(person.as_str()))
        .filter(tenancies::unit_id.nullable().eq(visits::unit_id))
        .filter(tenancies::starts_at_ms.lt(visits::ends_at_ms))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(visits::starts_at_ms.nullable())),
        );
    let mut query = visits::table.filter(diesel::dsl::exists(lived_there)).into_boxed();
    if let Some(before) = before {
        query = query.filter(visits::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(visits::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    with_locks(conn, rows)
}

/// The visits that nobody has written down as over, by id.
pub fn not_ended(conn: &mut Conn) -> Result<Vec<Visit>, StoreError> {
    let rows: Vec<Row> = visits::table
        .filter(visits::ended_at_ms.is_null())
        .order(visits::id)
        .select(Row::as_select())
        .load(conn)?;
    with_locks(conn, rows)
}

/// The visits to the unit that nobody has written down as over, by id.
pub fn not_ended_in(conn: &mut Conn, unit: &UnitId) -> Result<Vec<Visit>, StoreError> {
    let rows: Vec<Row> = visits::table
        .filter(visits::unit_id.eq(unit.as_str()))
        .filter(visits::ended_at_ms.is_null())
        .order(visits::id)
        .select(Row::as_select())
        .load(conn)?;
    with_locks(conn, rows)
}

/// The visits that name the lock and that nobody has written down as over, by id.
pub fn not_ended_at(conn: &mut Conn, lock: &LockId) -> Result<Vec<Visit>, StoreError> {
    let naming = visit_locks::table
        .filter(visit_locks::lock_id.eq(lock.as_str()))
        .select(visit_locks::visit_id);
    let rows: Vec<Row> = visits::table
        .filter(visits::id.eq_any(naming))
        .filter(visits::ended_at_ms.is_null())
        .order(visits::id)
        .select(Row::as_select())
        .load(conn)?;
    with_locks(conn, rows)
}

/// What was answered to the visit, by person.
pub fn answers(conn: &mut Conn, id: &VisitId) -> Result<Vec<Answer>, StoreError> {
    let rows: Vec<(String, bool)> = visit_answers::table
        .filter(visit_answers::visit_id.eq(id.as_str()))
        .order(visit_answers::person_id)
        .select((visit_answers::person_id, visit_answers::agrees))
        .load(conn)?;
    rows.into_iter()
        .map(|(person, agrees)| {
            Ok(Answer {
                person: parsed(&person)?,
                agrees,
            })
        })
        .collect()
}

/// Puts the person's answer in the place of what they said before; says whether that is anything new. The caller holds
/// the visit.
pub fn answer(conn: &mut Conn, id: &VisitId, answer: &Answer, now: Timestamp) -> Result<bool, StoreError> {
    let before: Option<bool> = visit_answers::table
        .find((id.as_str(), answer.person.as_str()))
        .select(visit_answers::agrees)
        .get_result(conn)
        .optional()?;
    match before {
        Some(agrees) if agrees == answer.agrees => return Ok(false),
        Some(_) => {
            diesel::update(visit_answers::table.find((id.as_str(), answer.person.as_str())))
                .set((
                    visit_answers::agrees.eq(answer.agrees),
                    visit_answers::answered_at_ms.eq(now.as_millis()),
                ))
                .execute(conn)?;
        }
        None => {
            diesel::insert_into(visit_answers::table)
                .values((
                    visit_answers::visit_id.eq(id.as_str()),
                    visit_answers::person_id.eq(answer.person.as_str()),
                    visit_answers::agrees.eq(answer.agrees),
                    visit_answers::answered_at_ms.eq(now.as_millis()),
                ))
                .execute(conn)?;
        }
    }
    Ok(true)
}

/// Notes that consent was passed over.
pub fn pass_over_consent(conn: &mut Conn, id: &VisitId, emergency: &Emergency) -> Result<(), StoreError> {
    diesel::update(visits::table.find(id.as_str()))
        .set((
            visits::emergency_by.eq(emergency.by.as_str()),
            visits::emergency_at_ms.eq(emergency.at.as_millis()),
            visits::emergency_reason.eq(emergency.reason.as_ref().map_or("", EmergencyReason::as_str)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Puts a code that was told by telephone in the place of the one before.
pub fn set_code(
    conn: &mut Conn,
    id: &VisitId,
    digest: &[u8; 32],
    ends_at: Timestamp,
    tries: u32,
) -> Result<(), StoreError> {
    diesel::update(visits::table.find(id.as_str()))
        .set((
            visits::code_digest.eq(hexadecimal(digest)),
            visits::code_ends_at_ms.eq(ends_at.as_millis()),
            visits::code_tries.eq(i64::from(tries)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Takes one try at the visit's code, and says whether `digest` is its digest; `None` where there is no code that counts
/// any more. The caller holds the visit.
pub fn try_code(conn: &mut Conn, id: &VisitId, digest: &[u8; 32], now: Timestamp) -> Result<Option<bool>, StoreError> {
    let present = visits::table
        .find(id.as_str())
        .filter(visits::code_ends_at_ms.gt(now.as_millis()))
        .filter(visits::code_tries.gt(0));
    let tried = diesel::update(present)
        .set(visits::code_tries.eq(visits::code_tries - 1))
        .execute(conn)?;
    if tried == 0 {
        return Ok(None);
    }
    let kept: Option<String> = visits::table
        .find(id.as_str())
        .select(visits::code_digest)
        .get_result(conn)?;
    Ok(kept.map(|kept| kept == hexadecimal(digest)))
}

/// The vendor proved to be the one and comes by this grant from now on; the code is used up.
pub fn let_in(conn: &mut Conn, id: &VisitId, grant: &GrantId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(visits::table.find(id.as_str()))
        .set((
            visits::let_in_at_ms.eq(now.as_millis()),
            visits::grant_id.eq(grant.as_str()),
            visits::code_digest.eq(None::<String>),
            visits::code_ends_at_ms.eq(None::<i64>),
            visits::code_tries.eq(0),
        ))
        .execute(conn)?;
    Ok(())
}

/// The vendor's way in was taken back before they came: they have to be let in anew.
pub fn keep_out(conn: &mut Conn, id: &VisitId) -> Result<(), StoreError> {
    diesel::update(visits::table.find(id.as_str()))
        .set((
            visits::let_in_at_ms.eq(None::<i64>),
            visits::grant_id.eq(None::<String>),
        ))
        .execute(conn)?;
    Ok(())
}

/// The vendor got in for the first time.
pub fn begin(conn: &mut Conn, id: &VisitId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(visits::table.find(id.as_str()))
        .set(visits::begun_at_ms.eq(at.as_millis()))
        .execute(conn)?;
    Ok(())
}

/// It is over; says whether it was not before, so that of two who find it over one writes it down.
pub fn end(conn: &mut Conn, id: &VisitId, at: Timestamp, why: EndReason) -> Result<bool, StoreError> {
    let ended = diesel::update(visits::table.find(id.as_str()).filter(visits::ended_at_ms.is_null()))
        .set((
            visits::ended_at_ms.eq(at.as_millis()),
            visits::end_reason.eq(why.as_str()),
        ))
        .execute(conn)?;
    Ok(ended > 0)
}

/// Visits that are over by themselves at `now` and not written down as such, at most `limit`.
pub fn overdue(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Visit>, StoreError> {
    let stay_over = (visits::begun_at_ms + visits::stay_ms.nullable()).le(now.as_millis());
    let rows: Vec<Row> = visits::table
        .filter(visits::ended_at_ms.is_null())
        .filter(visits::ends_at_ms.le(now.as_millis()).nullable().or(stay_over))
        .order(visits::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    with_locks(conn, rows)
}

/// Forgets who came to the property and what for, of up to `limit` visits that were over before `before`; says of how many.
/// When, where and by whose word stays.
pub fn forget(conn: &mut Conn, property: &PropertyId, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let ids: Vec<String> = visits::table
        .filter(visits::property_id.eq(property.as_str()))
        .filter(visits::ended_at_ms.lt(before.as_millis()))
        .filter(visits::vendor_name.ne(""))
        .order(visits::id)
        .limit(limit)
        .select(visits::id)
        .load(conn)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let said_why = visits::table
        .filter(visits::id.eq_any(&ids))
        .filter(visits::emergency_by.is_not_null());
    diesel::update(said_why)
        .set(visits::emergency_reason.eq(""))
        .execute(conn)?;
    Ok(diesel::update(visits::table.filter(visits::id.eq_any(&ids)))
        .set((
            visits::vendor_name.eq(""),
            visits::vendor_company.eq(""),
            visits::vendor_phone.eq(""),
            visits::purpose.eq(""),
        ))
        .execute(conn)?)
}
