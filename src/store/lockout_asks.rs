//! Outsiders who say that they are locked out, until they have shown who they are, and what they follow it by.

use diesel::prelude::*;

use super::columns::{parsed, parsed_option};
use super::schema::{lockout_asks, persons, properties, tenancies, units};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::account::{Email, PersonName};
use crate::domain::ids::{LockoutId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

/// An ask of somebody who has not shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Which; the lock-out has the same identifier later.
    pub id: LockoutId,
    /// Digest of the identifier and the code.
    pub code_digest: String,
    /// Whether they named an e-mail address, and not a unit.
    pub by_email: bool,
    /// How many wrong answers there were.
    pub tries: u32,
    /// When.
    pub asked_at: Timestamp,
    /// Until when the code can be told.
    pub ends_at: Timestamp,
    /// Who is meant; `None` where nobody is.
    pub person: Option<PersonId>,
    /// The unit that they named, where it is theirs.
    pub unit: Option<UnitId>,
    /// Under what failures are counted, as a digest.
    pub subject: String,
    /// The lock-out that it became.
    pub lockout: Option<LockoutId>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = lockout_asks)]
struct Row {
    id: String,
    code_digest: String,
    by_email: bool,
    tries: i64,
    asked_at_ms: i64,
    ends_at_ms: i64,
    person_id: Option<String>,
    unit_id: Option<String>,
    subject: String,
    lockout_id: Option<String>,
}

impl Row {
    fn into_ask(self) -> Result<Ask, StoreError> {
        Ok(Ask {
            id: parsed(&self.id)?,
            code_digest: self.code_digest,
            by_email: self.by_email,
            tries: u32::try_from(self.tries).unwrap_or(u32::MAX),
            asked_at: Timestamp::from_millis(self.asked_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            person: parsed_option(self.person_id.as_deref())?,
            unit: parsed_option(self.unit_id.as_deref())?,
            subject: self.subject,
            lockout: parsed_option(self.lockout_id.as_deref())?,
        })
    }
}

/// Adds an ask of which it is not known yet who is meant.
pub fn add(conn: &mut Conn, ask: &Ask) -> Result<(), StoreError> {
    diesel::insert_into(lockout_asks::table)
        .values((
            lockout_asks::id.eq(ask.id.as_str()),
            lockout_asks::code_digest.eq(&ask.code_digest),
            lockout_asks::by_email.eq(ask.by_email),
            lockout_asks::tries.eq(i64::from(ask.tries)),
            lockout_asks::asked_at_ms.eq(ask.asked_at.as_millis()),
            lockout_asks::ends_at_ms.eq(ask.ends_at.as_millis()),
            lockout_asks::subject.eq(&ask.subject),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes down who is meant by the ask.
pub fn set_person(conn: &mut Conn, id: &LockoutId, person: &PersonId, unit: Option<&UnitId>) -> Result<(), StoreError> {
    diesel::update(lockout_asks::table.find(id.as_str()))
        .set((
            lockout_asks::person_id.eq(person.as_str()),
            lockout_asks::unit_id.eq(unit.map(UnitId::as_str)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Exchanges the code of an ask that still waits for one.
pub fn set_code(conn: &mut Conn, id: &LockoutId, digest: &str, ends_at: Timestamp) -> Result<(), StoreError> {
    diesel::update(lockout_asks::table.find(id.as_str()))
        .set((
            lockout_asks::code_digest.eq(digest),
            lockout_asks::ends_at_ms.eq(ends_at.as_millis()),
            lockout_asks::tries.eq(0),
        ))
        .execute(conn)?;
    Ok(())
}

/// The ask, with one more try on its record, which nobody else reads until this transaction ends: tries that come at once
/// all count.
pub fn take_try(conn: &mut Conn, id: &LockoutId) -> Result<Option<Ask>, StoreError> {
    diesel::update(lockout_asks::table.find(id.as_str()))
        .set(lockout_asks::tries.eq(lockout_asks::tries + 1))
        .execute(conn)?;
    find(conn, id)
}

/// The ask.
pub fn find(conn: &mut Conn, id: &LockoutId) -> Result<Option<Ask>, StoreError> {
    let row: Option<Row> = lockout_asks::table
        .find(id.as_str())
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_ask).transpose()
}

/// Writes down which lock-out the ask became, and the digest of the secret by which it is followed until `ends_at`.
pub fn set_lockout(
    conn: &mut Conn,
    id: &LockoutId,
    lockout: &LockoutId,
    follow_digest: &[u8; 32],
    ends_at: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(lockout_asks::table.find(id.as_str()))
        .set((
            lockout_asks::lockout_id.eq(lockout.as_str()),
            lockout_asks::follow_digest.eq(hexadecimal(follow_digest)),
            lockout_asks::follow_ends_at_ms.eq(ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The lock-out that this secret follows at `now`.
pub fn followed(conn: &mut Conn, digest: &[u8; 32], now: Timestamp) -> Result<Option<LockoutId>, StoreError> {
    let id: Option<Option<String>> = lockout_asks::table
        .filter(lockout_asks::follow_digest.eq(hexadecimal(digest)))
        .filter(lockout_asks::follow_ends_at_ms.gt(now.as_millis()))
        .select(lockout_asks::lockout_id)
        .get_result(conn)
        .optional()?;
    parsed_option(id.flatten().as_deref())
}

/// Forgets asks from before `before`; says how many.
pub fn forget(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(lockout_asks::table.filter(lockout_asks::asked_at_ms.lt(before.as_millis()))).execute(conn)?)
}

/// A tenancy as an outsider may name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Who lives there.
    pub person: PersonId,
    /// What they are called.
    pub name: PersonName,
    /// Where a letter reaches them.
    pub email: Email,
    /// In which organization.
    pub organization: OrganizationId,
    /// In which property.
    pub property: PropertyId,
    /// In which unit.
    pub unit: UnitId,
    /// What it is called.
    pub unit_name: PlaceName,
    /// Since when.
    pub starts_at: Timestamp,
    /// The zone of its property.
    pub time_zone: crate::domain::time::TimeZone,
}

/// Which residents are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// Whoever has this address.
    Email(&'a Email),
    /// Whoever lives in a property of this name or identifier, whatever the unit.
    Property(&'a PlaceName),
    /// This person.
    Person(&'a PersonId),
}

/// Those who live somewhere at `at`, one for each tenancy, by tenancy.
pub fn residents(conn: &mut Conn, named: Named<'_>, at: Timestamp) -> Result<Vec<Resident>, StoreError> {
    let mut query = tenancies::table
        .inner_join(persons::table.on(persons::id.eq(tenancies::person_id)))
        .inner_join(units::table.on(units::id.eq(tenancies::unit_id)))
        .inner_join(properties::table.on(properties::id.eq(units::property_id)))
        .filter(tenancies::starts_at_ms.le(at.as_millis()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(at.as_millis())),
        )
        .into_boxed();
    query = match named {
        Named::Email(email) => query.filter(persons::email.eq(email.as_str())),
        Named::Property(name) => query.filter(properties::name.eq(name.as_str()).or(properties::id.eq(name.as_str()))),
        Named::Person(person) => query.filter(persons::id.eq(person.as_str())),
    };
    type Found = (String, String, String, String, String, String, String, i64, String);
    let rows: Vec<Found> = query
        .order(tenancies::id)
        .select((
            persons::id,
            persons::name,
            persons::email,
            tenancies::organization_id,
            properties::id,
            units::id,
            units::name,
            tenancies::starts_at_ms,
            properties::time_zone,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(
            |(person, name, email, organization, property, unit, unit_name, starts_at_ms, zone)| {
                Ok(Resident {
                    person: parsed(&person)?,
                    name: super::columns::text(name)?,
                    email: parsed(&email)?,
                    organization: parsed(&organization)?,
                    property: parsed(&property)?,
                    unit: parsed(&unit)?,
                    unit_name: super::columns::text(unit_name)?,
                    starts_at: Timestamp::from_millis(starts_at_ms),
                    time_zone: parsed(&zone)?,
                })
            },
        )
        .collect()
}
