//! The steps from an empty database to the schema that this program knows.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Conn, MultiBackend, Purpose};
use super::error::{Cause, StoreError};

/// The steps of this program, from `migrations/`.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Nodes that start at once on one Postgres migrate one after the other under this advisory lock ("doorward").
const ADVISORY_LOCK: i64 = 0x646f_6f72_7761_7264;

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Takes every step that the database has not seen, each in a transaction of its own, and returns their versions.
/// `conn` is closed at the end, which gives the advisory lock back.
pub(super) fn migrate(mut conn: Conn, steps: &EmbeddedMigrations) -> Result<Vec<String>, StoreError> {
    if let Conn::Postgres(conn) = &mut conn {
        conn.batch_execute(&format!("SELECT pg_advisory_lock({ADVISORY_LOCK})"))?;
    }
    let mut steps: Vec<Box<dyn Migration<MultiBackend>>> = steps.migrations().map_err(|error| failed("", error))?;
    steps.sort_by_cached_key(|step| step.name().version().to_string());
    refuse_newer(&mut conn, &steps)?;
    let mut taken = Vec::new();
    for step in &steps {
        conn.begin(Purpose::Migrate)?;
        match take(&mut conn, step.as_ref()) {
            Ok(None) => conn.rollback()?,
            Ok(Some(version)) => {
                conn.commit()?;
                taken.push(version);
            }
            Err(error) => {
                // The first error says more, and closing the connection undoes the step as well.
                let _ = conn.rollback();
                return Err(error);
            }
        }
    }
    Ok(taken)
}

/// Fails where the database has seen a step that is not among `steps`.
fn refuse_newer(conn: &mut Conn, steps: &[Box<dyn Migration<MultiBackend>>]) -> Result<(), StoreError> {
    let known: Vec<_> = steps.iter().map(|step| step.name().version().to_string()).collect();
    let mut seen: Vec<_> = seen(conn)?;
    seen.sort_unstable();
    match seen.into_iter().find(|version| !known.contains(version)) {
        Some(version) => Err(StoreError::Newer { version }),
        None => Ok(()),
    }
}

/// The versions of the steps that the database has seen.
fn seen(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    let seen = conn.applied_migrations().map_err(|error| failed("", error))?;
    Ok(seen.iter().map(ToString::to_string).collect())
}

/// Takes one step inside the open transaction; `None` where the database has seen it already.
fn take(conn: &mut Conn, step: &dyn Migration<MultiBackend>) -> Result<Option<String>, StoreError> {
    let version = step.name().version().to_string();
    if seen(conn)?.contains(&version) {
        return Ok(None);
    }
    conn.run_migration(step).map_err(|error| failed(&version, error))?;
    if let Conn::Sqlite(conn) = conn {
        let broken: Broken =
            diesel::sql_query("SELECT count(*) AS rows FROM pragma_foreign_key_check").get_result(conn)?;
        if broken.rows > 0 {
            return Err(failed(
                &version,
                format!("{} rows refer to rows that do not exist", broken.rows).into(),
            ));
        }
    }
    Ok(Some(version))
}

fn failed(version: &str, error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Migration {
        version: version.to_owned(),
        source: Cause::from(error),
    }
}
