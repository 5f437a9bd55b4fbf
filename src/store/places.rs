//! Properties and units.

use diesel::prelude::*;

use super::columns::{parsed, text};
use super::kept::Kept;
use super::schema::{locks, privacy_rules, properties, units};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{PropertyId, UnitId};
use crate::domain::place::{Property, Unit};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = properties)]
struct PropertyRow {
    id: String,
    organization_id: String,
    name: String,
    address: String,
    time_zone: String,
    created_at_ms: i64,
}

impl PropertyRow {
    fn into_domain(self) -> Result<Property, StoreError> {
        Ok(Property {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            name: text(self.name)?,
            address: text(self.address)?,
            time_zone: parsed(&self.time_zone)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
        })
    }
}

/// Adds a property.
pub fn add_property(conn: &mut Conn, property: &Property) -> Result<(), StoreError> {
    diesel::insert_into(properties::table)
        .values((
            properties::id.eq(property.id.as_str()),
            properties::organization_id.eq(property.organization.as_str()),
            properties::name.eq(property.name.as_str()),
            properties::address.eq(property.address.as_str()),
            properties::time_zone.eq(property.time_zone.name()),
            properties::created_at_ms.eq(property.created_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The property, if it exists within `scope`.
pub fn find_property(conn: &mut Conn, id: &PropertyId, scope: &Scope) -> Result<Option<Property>, StoreError> {
    let row: Option<PropertyRow> = Kept(
        properties::table
            .find(id.as_str())
            .filter(properties::organization_id.eq_any(scope.ids()))
            .select(PropertyRow::as_select()),
    )
    .get_result(conn)
    .optional()?;
    row.map(PropertyRow::into_domain).transpose()
}

/// The properties within `scope`, by id, those after `after`, at most `limit`.
pub fn properties(
    conn: &mut Conn,
    scope: &Scope,
    after: Option<&PropertyId>,
    limit: i64,
) -> Result<Vec<Property>, StoreError> {
    let rows: Vec<PropertyRow> = properties::table
        .filter(properties::organization_id.eq_any(scope.ids()))
        .filter(properties::id.gt(after.map_or("", PropertyId::as_str)))
        .order(properties::id)
        .limit(limit)
        .select(PropertyRow::as_select())
        .load(conn)?;
    rows.into_iter().map(PropertyRow::into_domain).collect()
}

/// Writes the property's name, address and zone.
pub fn update_property(conn: &mut Conn, property: &Property) -> Result<(), StoreError> {
    diesel::update(properties::table.find(property.id.as_str()))
        .set((
            properties::name.eq(property.name.as_str()),
            properties::address.eq(property.address.as_str()),
            properties::time_zone.eq(property.time_zone.name()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Whether the property still has units or locks, retired ones included, or ever had a privacy rule of its own.
pub fn property_is_in_use(conn: &mut Conn, id: &PropertyId) -> Result<bool, StoreError> {
    let unit: Option<String> = units::table
        .filter(units::property_id.eq(id.as_str()))
        .select(units::id)
        .first(conn)
        .optional()?;
    let lock: Option<String> = locks::table
        .filter(locks::property_id.eq(id.as_str()))
        .select(locks::id)
        .first(conn)
        .optional()?;
    let rule: Option<String> = privacy_rules::table
        .find(id.as_str())
        .select(privacy_rules::property_id)
        .get_result(conn)
        .optional()?;
    Ok(unit.is_some() || lock.is_some() || rule.is_some())
}

/// Deletes a property that has neither units nor locks.
pub fn delete_property(conn: &mut Conn, id: &PropertyId) -> Result<(), StoreError> {
    diesel::delete(properties::table.find(id.as_str())).execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = units)]
struct UnitRow {
    id: String,
    organization_id: String,
    property_id: String,
    name: String,
    created_at_ms: i64,
}

impl UnitRow {
    fn into_domain(self) -> Result<Unit, StoreError> {
        Ok(Unit {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            property: parsed(&self.property_id)?,
            name: text(self.name)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
        })
    }
}

/// Adds a unit.
///
/// # Errors
/// [`StoreError::Conflict`] where the property has one of this name already.
pub fn add_unit(conn: &mut Conn, unit: &Unit) -> Result<(), StoreError> {
    diesel::insert_into(units::table)
        .values((
            units::id.eq(unit.id.as_str()),
            units::organization_id.eq(unit.organization.as_str()),
            units::property_id.eq(unit.property.as_str()),
            units::name.eq(unit.name.as_str()),
            units::created_at_ms.eq(unit.created_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The unit, if it exists within `scope`.
pub fn find_unit(conn: &mut Conn, id: &UnitId, scope: &Scope) -> Result<Option<Unit>, StoreError> {
    let row: Option<UnitRow> = units::table
        .find(id.as_str())
        .filter(units::organization_id.eq_any(scope.ids()))
        .select(UnitRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(UnitRow::into_domain).transpose()
}

/// All units within `scope`, by id.
pub fn all_units(conn: &mut Conn, scope: &Scope) -> Result<Vec<Unit>, StoreError> {
    let rows: Vec<UnitRow> = units::table
        .filter(units::organization_id.eq_any(scope.ids()))
        .order(units::id)
        .select(UnitRow::as_select())
        .load(conn)?;
    rows.into_iter().map(UnitRow::into_domain).collect()
}

/// The units of the property, by id, those after `after`, at most `limit`.
pub fn units(
    conn: &mut Conn,
    property: &PropertyId,
    after: Option<&UnitId>,
    limit: i64,
) -> Result<Vec<Unit>, StoreError> {
    let rows: Vec<UnitRow> = units::table
        .filter(units::property_id.eq(property.as_str()))
        .filter(units::id.gt(after.map_or("", UnitId::as_str)))
        .order(units::id)
        .limit(limit)
        .select(UnitRow::as_select())
        .load(conn)?;
    rows.into_iter().map(UnitRow::into_domain).collect()
}
