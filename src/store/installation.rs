//! Single facts about this installation.

use diesel::prelude::*;

use super::schema::installation;
use super::{Conn, StoreError};

/// The fact of this name.
pub fn find(conn: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    Ok(installation::table
        .find(name)
        .select(installation::value)
        .first(conn)
        .optional()?)
}

/// Writes the fact of this name down.
pub fn set(conn: &mut Conn, name: &str, value: &str) -> Result<(), StoreError> {
    let updated = diesel::update(installation::table.find(name))
        .set(installation::value.eq(value))
        .execute(conn)?;
    if updated == 0 {
        diesel::insert_into(installation::table)
            .values((installation::name.eq(name), installation::value.eq(value)))
            .execute(conn)?;
    }
    Ok(())
}
