//! Phones that people have registered.

use diesel::prelude::*;

use super::columns::{parsed, text};
use super::schema::phones;
use super::{Conn, StoreError};
use crate::domain::ids::{PersonId, PhoneId};
use crate::domain::phone::Phone;
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = phones)]
struct Row {
    id: String,
    person_id: String,
    name: String,
    thumbprint: String,
    registered_at_ms: i64,
    removed_at_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<Phone, StoreError> {
        Ok(Phone {
            id: parsed(&self.id)?,
            person: parsed(&self.person_id)?,
            name: text(self.name)?,
            thumbprint: self.thumbprint,
            registered_at: Timestamp::from_millis(self.registered_at_ms),
        })
    }
}

/// Adds a phone with its public key, a JWK.
///
/// # Errors
/// [`StoreError::Conflict`] where a phone has this key already, or ever had.
pub fn add(conn: &mut Conn, phone: &Phone, public_key: &str) -> Result<(), StoreError> {
    diesel::insert_into(phones::table)
        .values((
            phones::id.eq(phone.id.as_str()),
            phones::person_id.eq(phone.person.as_str()),
            phones::name.eq(phone.name.as_str()),
            phones::public_key.eq(public_key),
            phones::thumbprint.eq(&phone.thumbprint),
            phones::registered_at_ms.eq(phone.registered_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The phone whose key has this thumbprint, and whether it was removed; anybody's.
pub fn find_by_key(conn: &mut Conn, thumbprint: &str) -> Result<Option<(Phone, bool)>, StoreError> {
    let row: Option<Row> = phones::table
        .filter(phones::thumbprint.eq(thumbprint))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(|row| {
        let is_removed = row.removed_at_ms.is_some();
        Ok((row.into_domain()?, is_removed))
    })
    .transpose()
}

/// The person's phones that were not removed, by id: by age.
pub fn of_person(conn: &mut Conn, person: &PersonId) -> Result<Vec<Phone>, StoreError> {
    let rows: Vec<Row> = phones::table
        .filter(phones::person_id.eq(person.as_str()))
        .filter(phones::removed_at_ms.is_null())
        .order(phones::id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// The person's phone, if it was not removed. Held until this transaction ends: no pass for it is issued beside its
/// removal. Taken before locks, rights and the end of the log.
pub fn hold(conn: &mut Conn, id: &PhoneId, person: &PersonId) -> Result<Option<Phone>, StoreError> {
    let held = diesel::update(
        phones::table
            .find(id.as_str())
            .filter(phones::person_id.eq(person.as_str()))
            .filter(phones::removed_at_ms.is_null()),
    )
    .set(phones::person_id.eq(phones::person_id))
    .execute(conn)?;
    if held == 0 {
        return Ok(None);
    }
    let row: Row = phones::table
        .find(id.as_str())
        .select(Row::as_select())
        .get_result(conn)?;
    row.into_domain().map(Some)
}

/// Removes a phone; its key never comes back.
pub fn remove(conn: &mut Conn, id: &PhoneId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(phones::table.find(id.as_str()))
        .set(phones::removed_at_ms.eq(at.as_millis()))
        .execute(conn)?;
    Ok(())
}

/// Forgets what the person called their phones.
pub fn forget_names(conn: &mut Conn, person: &PersonId) -> Result<(), StoreError> {
    diesel::update(phones::table.filter(phones::person_id.eq(person.as_str())))
        .set(phones::name.eq("Erased phone"))
        .execute(conn)?;
    Ok(())
}
