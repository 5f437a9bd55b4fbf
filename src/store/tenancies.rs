//! Tenancies: who lives in which unit, from when to when.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, text};
use super::schema::{properties, tenancies, units};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use crate::domain::place::PlaceName;
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;

type Row = (
    String,
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<String>,
    i64,
    Option<i64>,
);

type Columns = (
    tenancies::id,
    tenancies::organization_id,
    units::property_id,
    tenancies::unit_id,
    tenancies::person_id,
    tenancies::starts_at_ms,
    tenancies::ends_at_ms,
    tenancies::set_by,
    tenancies::created_at_ms,
    tenancies::closed_at_ms,
);

const COLUMNS: Columns = (
    tenancies::id,
    tenancies::organization_id,
    units::property_id,
    tenancies::unit_id,
    tenancies::person_id,
    tenancies::starts_at_ms,
    tenancies::ends_at_ms,
    tenancies::set_by,
    tenancies::created_at_ms,
    tenancies::closed_at_ms,
);

fn tenancy(row: Row) -> Result<Tenancy, StoreError> {
    let (id, organization, property, unit, person, starts_at_ms, ends_at_ms, set_by, created_at_ms, closed_at_ms) = row;
    Ok(Tenancy {
        id: parsed(&id)?,
        organization: parsed(&organization)?,
        property: parsed(&property)?,
        unit: parsed(&unit)?,
        person: parsed(&person)?,
        term: Term {
            starts_at: Timestamp::from_millis(starts_at_ms),
            ends_at: instant(ends_at_ms),
        },
        set_by: parsed_option(set_by.as_deref())?,
        created_at: Timestamp::from_millis(created_at_ms),
        closed_at: instant(closed_at_ms),
    })
}

/// Adds a tenancy.
pub fn add(conn: &mut Conn, tenancy: &Tenancy) -> Result<(), StoreError> {
    diesel::insert_into(tenancies::table)
        .values((
            tenancies::id.eq(tenancy.id.as_str()),
            tenancies::organization_id.eq(tenancy.organization.as_str()),
            tenancies::unit_id.eq(tenancy.unit.as_str()),
            tenancies::person_id.eq(tenancy.person.as_str()),
            tenancies::starts_at_ms.eq(tenancy.term.starts_at.as_millis()),
            tenancies::ends_at_ms.eq(tenancy.term.ends_at.map(Timestamp::as_millis)),
            tenancies::set_by.eq(tenancy.set_by.as_ref().map(PersonId::as_str)),
            tenancies::created_at_ms.eq(tenancy.created_at.as_millis()),
            tenancies::closed_at_ms.eq(tenancy.closed_at.map(Timestamp::as_millis)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The tenancy, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &TenancyId, scope: &Scope) -> Result<Option<Tenancy>, StoreError> {
    let row: Option<Row> = tenancies::table
        .inner_join(units::table)
        .filter(tenancies::id.eq(id.as_str()))
        .filter(tenancies::organization_id.eq_any(scope.ids()))
        .select(COLUMNS)
        .first(conn)
        .optional()?;
    row.map(tenancy).transpose()
}

/// The tenancy, its row held until this transaction ends: who changes it, ends it or issues something by it takes turns.
pub fn hold(conn: &mut Conn, id: &TenancyId, scope: &Scope) -> Result<Option<Tenancy>, StoreError> {
    diesel::update(tenancies::table.find(id.as_str()))
        .set(tenancies::starts_at_ms.eq(tenancies::starts_at_ms))
        .execute(conn)?;
    find(conn, id, scope)
}

/// A tenancy with the names of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTenancy {
    /// The tenancy.
    pub tenancy: Tenancy,
    /// What the unit is called.
    pub unit_name: PlaceName,
    /// What the property is called.
    pub property_name: PlaceName,
}

/// Which tenancies are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this unit.
    pub unit: Option<UnitId>,
    /// Only those of this person.
    pub person: Option<PersonId>,
    /// Only those in this property.
    pub property: Option<PropertyId>,
    /// Only those that hold at this time.
    pub at: Option<Timestamp>,
}

/// The tenancies within `scope` that pass `filter`, by id, those after `after`, at most `limit`.
pub fn list(
    conn: &mut Conn,
    scope: &Scope,
    filter: &Filter,
    after: Option<&TenancyId>,
    limit: i64,
) -> Result<Vec<NamedTenancy>, StoreError> {
    let mut query = tenancies::table
        .inner_join(units::table.inner_join(properties::table))
        .filter(tenancies::organization_id.eq_any(scope.ids()))
        .filter(tenancies::id.gt(after.map_or("", TenancyId::as_str)))
        .into_boxed();
    if let Some(unit) = &filter.unit {
        query = query.filter(tenancies::unit_id.eq(unit.as_str()));
    }
    if let Some(person) = &filter.person {
        query = query.filter(tenancies::person_id.eq(person.as_str()));
    }
    if let Some(property) = &filter.property {
        query = query.filter(units::property_id.eq(property.as_str()));
    }
    if let Some(at) = filter.at {
        let lasts = tenancies::ends_at_ms
            .is_null()
            .or(tenancies::ends_at_ms.gt(at.as_millis()));
        query = query.filter(tenancies::starts_at_ms.le(at.as_millis())).filter(lasts);
    }
    let rows: Vec<(Row, String, String)> = query
        .order(tenancies::id)
        .limit(limit)
        .select((COLUMNS, units::name, properties::name))
        .load(conn)?;
    rows.into_iter().map(named).collect()
}

/// The tenancy with the names of its places, if it exists within `scope`.
pub fn find_named(conn: &mut Conn, id: &TenancyId, scope: &Scope) -> Result<Option<NamedTenancy>, StoreError> {
    let row: Option<(Row, String, String)> = tenancies::table
        .inner_join(units::table.inner_join(properties::table))
        .filter(tenancies::id.eq(id.as_str()))
        .filter(tenancies::organization_id.eq_any(scope.ids()))
        .select((COLUMNS, units::name, properties::name))
        .first(conn)
        .optional()?;
    row.map(named).transpose()
}

fn named((row, unit_name, property_name): (Row, String, String)) -> Result<NamedTenancy, StoreError> {
    Ok(NamedTenancy {
        tenancy: tenancy(row)?,
        unit_name: text(unit_name)?,
        property_name: text(property_name)?,
    })
}

/// The tenancies of the unit that have not ended by `at`, by id.
pub fn of_unit(conn: &mut Conn, unit: &UnitId, at: Timestamp) -> Result<Vec<Tenancy>, StoreError> {
    let rows: Vec<Row> = tenancies::table
        .inner_join(units::table)
        .filter(tenancies::unit_id.eq(unit.as_str()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(at.as_millis())),
        )
        .order(tenancies::id)
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(tenancy).collect()
}

/// All tenancies of the person in the unit, those that have ended included, by id.
pub fn of_person_in(conn: &mut Conn, person: &PersonId, unit: &UnitId) -> Result<Vec<Tenancy>, StoreError> {
    let rows: Vec<Row> = tenancies::table
        .inner_join(units::table)
        .filter(tenancies::person_id.eq(person.as_str()))
        .filter(tenancies::unit_id.eq(unit.as_str()))
        .order(tenancies::id)
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(tenancy).collect()
}

/// All tenancies of these persons in the organization, those that have ended included, by id.
pub fn of_persons(
    conn: &mut Conn,
    organization: &OrganizationId,
    persons: &[&PersonId],
) -> Result<Vec<Tenancy>, StoreError> {
    let mut found = Vec::new();
    for persons in persons.chunks(500) {
        let rows: Vec<Row> = tenancies::table
            .inner_join(units::table)
            .filter(tenancies::organization_id.eq(organization.as_str()))
            .filter(tenancies::person_id.eq_any(persons.iter().map(|person| person.as_str())))
            .order(tenancies::id)
            .select(COLUMNS)
            .load(conn)?;
        found.extend(rows.into_iter().map(tenancy).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

/// The person's tenancies in the organization whose end was not carried out, by id.
pub fn open_of(conn: &mut Conn, organization: &OrganizationId, person: &PersonId) -> Result<Vec<Tenancy>, StoreError> {
    let rows: Vec<Row> = tenancies::table
        .inner_join(units::table)
        .filter(tenancies::organization_id.eq(organization.as_str()))
        .filter(tenancies::person_id.eq(person.as_str()))
        .filter(tenancies::closed_at_ms.is_null())
        .order(tenancies::id)
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(tenancy).collect()
}

/// Writes the tenancy's term and who set it.
pub fn set_term(conn: &mut Conn, tenancy: &Tenancy) -> Result<(), StoreError> {
    diesel::update(tenancies::table.find(tenancy.id.as_str()))
        .set((
            tenancies::starts_at_ms.eq(tenancy.term.starts_at.as_millis()),
            tenancies::ends_at_ms.eq(tenancy.term.ends_at.map(Timestamp::as_millis)),
            tenancies::set_by.eq(tenancy.set_by.as_ref().map(PersonId::as_str)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Notes that the tenancy's end, at `ends_at`, is carried out at `at`. Says whether it was not yet, so that of two who
/// do it at once one does.
pub fn close(conn: &mut Conn, id: &TenancyId, ends_at: Timestamp, at: Timestamp) -> Result<bool, StoreError> {
    let closed = diesel::update(
        tenancies::table
            .find(id.as_str())
            .filter(tenancies::closed_at_ms.is_null()),
    )
    .set((
        tenancies::ends_at_ms.eq(ends_at.as_millis()),
        tenancies::closed_at_ms.eq(at.as_millis()),
    ))
    .execute(conn)?;
    Ok(closed > 0)
}

/// The tenancies that have ended by `now` and whose end was not carried out, the first to end first, at most `limit`; with
/// whose they are.
pub fn to_close(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<(TenancyId, OrganizationId)>, StoreError> {
    let rows: Vec<(String, String)> = tenancies::table
        .filter(tenancies::closed_at_ms.is_null())
        .filter(tenancies::ends_at_ms.le(now.as_millis()))
        .order((tenancies::ends_at_ms, tenancies::id))
        .limit(limit)
        .select((tenancies::id, tenancies::organization_id))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, organization)| Ok((parsed(&id)?, parsed(&organization)?)))
        .collect()
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

/// The last instant of the span, its end exclusive, at which somebody lives in the unit, or one of these persons.
pub fn last_lived_in(
    conn: &mut Conn,
    unit: &UnitId,
    persons: Option<&[PersonId]>,
    (from, until): (Timestamp, Timestamp),
) -> Result<Option<Timestamp>, StoreError> {
    let mut query = tenancies::table
        .filter(tenancies::unit_id.eq(unit.as_str()))
        .filter(tenancies::starts_at_ms.lt(until.as_millis()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(from.as_millis())),
        )
        .select((tenancies::starts_at_ms, tenancies::ends_at_ms))
        .into_boxed();
    if let Some(persons) = persons {
        query = query.filter(tenancies::person_id.eq_any(persons.iter().map(PersonId::as_str)));
    }
    let stays: Vec<(i64, Option<i64>)> = query.load(conn)?;
    let last = stays.into_iter().filter_map(|(starts_at_ms, ends_at_ms)| {
        let ends_at_ms = ends_at_ms.map_or(until.as_millis(), |ms| ms.min(until.as_millis()));
        // One that was ended before it began is none.
        (ends_at_ms > starts_at_ms.max(from.as_millis())).then_some(ends_at_ms - 1)
    });
    Ok(last.max().map(Timestamp::from_millis))
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

/// The person's tenancies, whether they are over, last or are to come.
pub fn ever_of(conn: &mut Conn, person: &PersonId) -> Result<Vec<Tenancy>, StoreError> {
    let rows: Vec<Row> = tenancies::table
        .inner_join(units::table)
        .filter(tenancies::person_id.eq(person.as_str()))
        .order(tenancies::id)
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(tenancy).collect()
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
