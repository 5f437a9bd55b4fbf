//! Single facts about this installation.

use diesel::prelude::*;

use super::schema::installation;
use super::{Conn, StoreError};

/// What the installation is called in all that it signs.
pub const ISSUER: &str = "issuer";

/// Which of its lives this is: a restored database begins another.
pub const GENERATION: &str = "generation";

/// The fact of this name.
pub fn find(conn: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    Ok(installation::table
        .find(name)
        .select(installation::value)
        .first(conn)
        .optional()?)
}

/// Writes the fact of this name down, where it still is `known`; says whether it was. Of two nodes that do so at once
/// one is told no, or gets an error where the fact is new.
pub fn exchange(conn: &mut Conn, name: &str, known: Option<&str>, value: &str) -> Result<bool, StoreError> {
    let changed = match known {
        Some(known) => diesel::update(installation::table.find(name).filter(installation::value.eq(known)))
            .set(installation::value.eq(value))
            .execute(conn)?,
        None => diesel::insert_into(installation::table)
            .values((installation::name.eq(name), installation::value.eq(value)))
            .execute(conn)?,
    };
    Ok(changed > 0)
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
