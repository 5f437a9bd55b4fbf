//! One connection to either database, and how its transactions begin and end.

#![allow(missing_docs, reason = "the types that `MultiConnection` derives carry none")]

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::R2D2Connection;
use diesel::{Connection, ConnectionError, PgConnection, QueryResult, SqliteConnection};

use super::error::StoreError;
use super::file::DatabaseFile;
use super::url::{Place, PostgresUrl};

/// A connection to either database: queries are written once.
/// Where SQL must differ, a store function matches on it.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// To a SQLite file.
    Sqlite(SqliteConnection),
    /// To a Postgres server.
    Postgres(PgConnection),
}

/// How to open connections to one database.
#[derive(Clone)]
pub(super) struct Opener {
    place: OpenPlace,
    /// How long a statement waits for a lock before it gives up.
    wait: Duration,
}

#[derive(Clone)]
enum OpenPlace {
    Sqlite(Arc<DatabaseFile>),
    Postgres(PostgresUrl),
}

impl Opener {
    /// For this place; takes a SQLite file for this process.
    ///
    /// # Errors
    /// See [`DatabaseFile::take`].
    pub(super) fn new(place: &Place, wait: Duration) -> Result<Self, StoreError> {
        let place = match place {
            Place::Sqlite(file) => OpenPlace::Sqlite(Arc::new(DatabaseFile::take(file)?)),
            Place::Postgres(url) => OpenPlace::Postgres(url.clone()),
        };
        Ok(Self { place, wait })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the database cannot be reached or opened.
    pub(super) fn open(&self, purpose: Purpose) -> Result<Conn, StoreError> {
        match &self.place {
            OpenPlace::Sqlite(file) => Conn::sqlite(file.path(), purpose, self.wait),
            OpenPlace::Postgres(url) => Conn::postgres(url, purpose, self.wait),
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reads on a snapshot; can change nothing.
    Read,
    /// Reads and writes.
    Write,
    /// Changes the schema: waits as long as it takes.
    Migrate,
}

/// SQLite keeps this many pages of 4 KiB in its log before it writes them into the database file.
const WAL_PAGES: u32 = 4000;

impl Conn {
    /// Opens the SQLite database in the file at `path`; waits at most `wait` for a lock that another process holds.
    fn sqlite(path: &Path, purpose: Purpose, wait: Duration) -> Result<Self, StoreError> {
        let path = path
            .to_str()
            .ok_or_else(|| StoreError::unavailable("the path of the database is not UTF-8"))?;
        let mut conn = SqliteConnection::establish(path).map_err(|error| refused(&error, str::to_owned))?;
        // Memory maps stay off: a disk error in one is a signal that ends the process, not an error.
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA wal_autocheckpoint = {WAL_PAGES}; PRAGMA journal_size_limit = 67108864; PRAGMA mmap_size = 0; \
             PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
            wait.as_millis()
        ))?;
        conn.batch_execute(match purpose {
            Purpose::Read => "PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000; PRAGMA query_only = ON;",
            // What is deleted is written over with zeros: forgotten is gone from the file too.
            Purpose::Write => "PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000; PRAGMA secure_delete = ON;",
            // SQLite rebuilds a table by dropping the old one, which would delete what refers to it; the keys are
            // checked before the commit instead.
            Purpose::Migrate => "PRAGMA foreign_keys = OFF;",
        })?;
        Ok(Self::Sqlite(conn))
    }

    /// Connects to the Postgres server; waits at most `wait` for a lock.
    fn postgres(url: &PostgresUrl, purpose: Purpose, wait: Duration) -> Result<Self, StoreError> {
        let redact = |text: &str| url.redact(text);
        let mut conn = PgConnection::establish(&url.for_libpq()).map_err(|error| refused(&error, redact))?;
        let (lock_ms, statement_ms) = match purpose {
            Purpose::Read | Purpose::Write => (wait.as_millis(), 30_000),
            Purpose::Migrate => (0, 0),
        };
        // A server that is set to lose the last commits in a crash is not believed.
        conn.batch_execute(&format!(
            "SET lock_timeout = {lock_ms}; SET statement_timeout = {statement_ms}; \
             SET idle_in_transaction_session_timeout = 60000; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';"
        ))?;
        Ok(Self::Postgres(conn))
    }

    /// Begins a transaction. A write on SQLite takes the write lock at once: taking it later fails under company
    /// instead of waiting.
    pub(super) fn begin(&mut self, purpose: Purpose) -> QueryResult<()> {
        match (self, purpose) {
            (Self::Sqlite(conn), Purpose::Read) => {
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN DEFERRED")
            }
            (Self::Sqlite(conn), _) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
            (Self::Postgres(conn), Purpose::Read) => {
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            }
            (Self::Postgres(conn), _) => {
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            }
        }
    }

    /// Commits; after an error nothing of the transaction is left.
    pub(super) fn commit(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(conn) => AnsiTransactionManager::commit_transaction(conn),
            // Postgres answers the COMMIT of a failed transaction with a silent rollback; any statement before it
            // brings the failure to light.
            Self::Postgres(conn) => conn.batch_execute("SELECT 1; COMMIT").inspect_err(|_| {
                // The first error says more; a connection that cannot roll back is broken and will be replaced.
                let _ = AnsiTransactionManager::rollback_transaction(conn);
            }),
        }
    }

    /// Undoes the transaction.
    pub(super) fn rollback(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(conn),
            Self::Postgres(conn) => AnsiTransactionManager::rollback_transaction(conn),
        }
    }

    /// Marks the place to which [`Self::undo_savepoint`] returns.
    pub(super) fn savepoint(&mut self) -> QueryResult<()> {
        self.batch_execute("SAVEPOINT piece")
    }

    /// Keeps what was done since [`Self::savepoint`], as part of the transaction. Fails where the database has undone
    /// the transaction by itself.
    pub(super) fn release_savepoint(&mut self) -> QueryResult<()> {
        self.batch_execute("RELEASE piece")
    }

    /// Undoes what was done since [`Self::savepoint`] and nothing before it. Fails where the database has undone the
    /// whole transaction by itself.
    pub(super) fn undo_savepoint(&mut self) -> QueryResult<()> {
        if let Self::Sqlite(conn) = self {
            // A panic inside a transaction of diesel's own leaves it open.
            while transaction_depth(conn)? > 1 {
                AnsiTransactionManager::rollback_transaction(conn)?;
            }
        }
        self.batch_execute("ROLLBACK TO piece; RELEASE piece")
    }

    /// Writes SQLite's log into its file and empties it; says whether that worked out. Others wait for it, but not long.
    pub(super) fn empty_log(&mut self) -> Result<bool, StoreError> {
        #[derive(diesel::QueryableByName)]
        struct Checkpoint {
            #[diesel(sql_type = diesel::sql_types::Integer)]
            busy: i32,
        }

        let Self::Sqlite(conn) = self else { return Ok(true) };
        conn.batch_execute("PRAGMA busy_timeout = 200")?;
        let checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)");
        let done: Checkpoint = diesel::RunQueryDsl::get_result(checkpoint, conn)?;
        Ok(done.busy == 0)
    }

    /// Whether the connection is unusable, or stuck in a transaction.
    pub(super) fn is_stuck(&mut self) -> bool {
        self.is_broken()
    }
}

/// How many transactions diesel believes to be open, one inside the other.
fn transaction_depth(conn: &mut SqliteConnection) -> QueryResult<u32> {
    let depth = AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth()?;
    Ok(depth.map_or(0, NonZeroU32::get))
}

/// The database could not be opened; `redact` takes secrets out of the reason.
fn refused(error: &ConnectionError, redact: impl Fn(&str) -> String) -> StoreError {
    StoreError::unavailable(redact(&error.to_string()))
}
