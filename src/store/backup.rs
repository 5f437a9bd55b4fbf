//! Copies of a SQLite database: made while the service runs, and looked at before one takes its place.

use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;

use super::schema::installation as facts;
use super::{Conn, StoreError, installation};
use crate::domain::time::Timestamp;

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Opens what is there and makes nothing: a copy of what is not there would be an empty one. What cannot be written to is
/// read as it is.
fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let path = path
        .to_str()
        .ok_or_else(|| StoreError::unavailable("the path of the database is not UTF-8"))?;
    let with = |mode: &str| SqliteConnection::establish(&format!("file:{}?{mode}", escaped(path)));
    let mut conn = with("mode=rw")
        .or_else(|_| with("mode=ro&immutable=1"))
        .map_err(|error| StoreError::unavailable(error.to_string()))?;
    conn.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF;")?;
    Ok(conn)
}

/// The path as SQLite's URIs write it.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// When the copy was made, of a database that is one: a fact of the installation.
const COPIED_AT: &str = "copied-at";

/// Writes down in the copy in `file` that it was made at `at`, or later.
///
/// # Errors
/// Those of the database.
pub fn stamp(file: &Path, at: Timestamp) -> Result<(), StoreError> {
    installation::set(&mut Conn::Sqlite(open(file)?), COPIED_AT, &at.to_string())
}

/// When the database was copied that this one began as; `None` where that is not known.
///
/// # Errors
/// Those of the database.
pub fn copied_at(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let at = installation::find(conn, COPIED_AT)?;
    at.map(|at| at.parse().map_err(StoreError::corrupt)).transpose()
}

/// Writes a copy of the database in `from` to `to`, which must not be there yet, or be empty: of one moment, whatever is written
/// meanwhile, and without the room that forgotten rows left.
///
/// # Errors
/// [`StoreError::Unavailable`] where there is no database or no room; [`StoreError::Database`] where `to` has something in it.
pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let to = to
        .to_str()
        .ok_or_else(|| StoreError::unavailable("the path of the copy is not UTF-8"))?;
    let mut conn = open(from)?;
    // An empty file of that name is taken for none.
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(to)
        .execute(&mut conn)?;
    Ok(())
}

/// The fact of this name in the database in `file`, once all of the file is found to be whole.
///
/// # Errors
/// [`StoreError::Corrupt`] where it is not, or is no database of this program.
pub fn inspect(file: &Path, fact: &str) -> Result<Option<String>, StoreError> {
    let mut conn = open(file)?;
    let findings: Vec<Finding> = diesel::sql_query("PRAGMA integrity_check")
        .load(&mut conn)
        .map_err(StoreError::corrupt)?;
    match findings.as_slice() {
        [only] if only.integrity_check == "ok" => {}
        _ => return Err(StoreError::corrupt("the database is damaged")),
    }
    facts::table
        .find(fact)
        .select(facts::value)
        .first(&mut conn)
        .optional()
        .map_err(|_| StoreError::corrupt("this is no database of Doorward"))
}
