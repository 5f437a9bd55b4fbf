//! Tenancies: who lives in which unit, from when to when.

use diesel::prelude::*;

use super::columns::{instant, parsed};
use super::schema::{tenancies, units};
use super::{Conn, StoreError};
use crate::domain::ids::{OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use crate::domain::place::Tenancy;
use crate::domain::time::Timestamp;

/// Adds a tenancy.
pub fn add(
    conn: &mut Conn,
    organization: &OrganizationId,
    tenancy: &Tenancy,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::insert_into(tenancies::table)
        .values((
            tenancies::id.eq(tenancy.id.as_str()),
            tenancies::organization_id.eq(organization.as_str()),
            tenancies::unit_id.eq(tenancy.unit.as_str()),
            tenancies::person_id.eq(tenancy.person.as_str()),
            tenancies::starts_at_ms.eq(tenancy.starts_at.as_millis()),
            tenancies::ends_at_ms.eq(tenancy.ends_at.map(Timestamp::as_millis)),
            tenancies::created_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Ends those of the person's tenancies in the organization that would still last at `at`, and says which they were; one
/// that has not begun ends where it would have begun.
pub fn end_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    at: Timestamp,
) -> Result<Vec<TenancyId>, StoreError> {
    let of_person = tenancies::table
        .filter(tenancies::organization_id.eq(organization.as_str()))
        .filter(tenancies::person_id.eq(person.as_str()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(at.as_millis())),
        );
    let lasting: Vec<String> = of_person.order(tenancies::id).select(tenancies::id).load(conn)?;
    diesel::update(of_person.filter(tenancies::starts_at_ms.gt(at.as_millis())))
        .set(tenancies::ends_at_ms.eq(tenancies::starts_at_ms.nullable()))
        .execute(conn)?;
    diesel::update(of_person.filter(tenancies::starts_at_ms.le(at.as_millis())))
        .set(tenancies::ends_at_ms.eq(at.as_millis()))
        .execute(conn)?;
    lasting.iter().map(|id| parsed(id)).collect()
}

/// Who lives in the unit at `at`, each once.
pub fn residents(conn: &mut Conn, unit: &UnitId, at: Timestamp) -> Result<Vec<PersonId>, StoreError> {
    let mut persons: Vec<String> = tenancies::table
        .filter(tenancies::unit_id.eq(unit.as_str()))
        .filter(tenancies::starts_at_ms.le(at.as_millis()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(at.as_millis())),
        )
        .order(tenancies::person_id)
        .select(tenancies::person_id)
        .load(conn)?;
    persons.dedup();
    persons.iter().map(|id| parsed(id)).collect()
}

/// Who lives in the unit at any time from `from` until `until`, exclusive, each once; without `until`, from then on.
pub fn residents_within(
    conn: &mut Conn,
    unit: &UnitId,
    from: Timestamp,
    until: Option<Timestamp>,
) -> Result<Vec<PersonId>, StoreError> {
    let mut query = tenancies::table
        .filter(tenancies::unit_id.eq(unit.as_str()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(from.as_millis())),
        )
        // One that was ended before it began is none.
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(tenancies::starts_at_ms.nullable())),
        )
        .into_boxed();
    if let Some(until) = until {
        query = query.filter(tenancies::starts_at_ms.lt(until.as_millis()));
    }
    let mut persons: Vec<String> = query
        .order(tenancies::person_id)
        .select(tenancies::person_id)
        .load(conn)?;
    persons.dedup();
    persons.iter().map(|id| parsed(id)).collect()
}

/// Who lives in any unit of the property at `at`, each once.
pub fn residents_of_property(
    conn: &mut Conn,
    property: &PropertyId,
    at: Timestamp,
) -> Result<Vec<PersonId>, StoreError> {
    let units = units::table
        .filter(units::property_id.eq(property.as_str()))
        .select(units::id);
    let persons: Vec<String> = tenancies::table
        .filter(tenancies::unit_id.eq_any(units))
        .filter(tenancies::starts_at_ms.le(at.as_millis()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(at.as_millis())),
        )
        .order(tenancies::person_id)
        .select(tenancies::person_id)
        .distinct()
        .load(conn)?;
    persons.iter().map(|id| parsed(id)).collect()
}

/// The person's tenancies, whether they are over, last or are to come, each with the organization whose unit it is.
pub fn ever_of(conn: &mut Conn, person: &PersonId) -> Result<Vec<(OrganizationId, Tenancy)>, StoreError> {
    let rows: Vec<(String, String, String, i64, Option<i64>)> = tenancies::table
        .filter(tenancies::person_id.eq(person.as_str()))
        .order(tenancies::id)
        .select((
            tenancies::id,
            tenancies::organization_id,
            tenancies::unit_id,
            tenancies::starts_at_ms,
            tenancies::ends_at_ms,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, organization, unit, starts_at, ends_at)| {
            let tenancy = Tenancy {
                id: parsed(&id)?,
                unit: parsed(&unit)?,
                person: person.clone(),
                starts_at: Timestamp::from_millis(starts_at),
                ends_at: instant(ends_at),
            };
            Ok((parsed(&organization)?, tenancy))
        })
        .collect()
}

/// Whether a tenancy of the person lasts at `now`, or is to begin.
pub fn has_lasting(conn: &mut Conn, person: &PersonId, now: Timestamp) -> Result<bool, StoreError> {
    let lasting: Option<String> = tenancies::table
        .filter(tenancies::person_id.eq(person.as_str()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(now.as_millis())),
        )
        .select(tenancies::id)
        .first(conn)
        .optional()?;
    Ok(lasting.is_some())
}
