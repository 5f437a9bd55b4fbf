//! What can go wrong in the database, in the few kinds that a caller can do something about.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

/// What lies under a [`StoreError`]; shared, because all callers of one commit get it.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// The database did not do what it was asked. No variant shows a password or the content of a row.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting, or somebody else holds the database. Nothing was done; the same may work in a moment.
    #[error("the database is busy")]
    Busy,
    /// Connection lost, disk full or read-only, shutting down. Nothing was kept, except where the connection broke
    /// during a commit on Postgres: then nobody can tell.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// A row that must be the only one of its kind exists already.
    #[error("a row of this kind exists already: {constraint}")]
    Conflict {
        /// `{table}_{columns}_key` on both databases; where Postgres has a name of its own, that name.
        constraint: String,
    },
    /// A row refers to one that does not exist, or is still referred to.
    #[error("a row that is referred to does not exist")]
    Missing,
    /// The database holds what this program cannot read.
    #[error("the database holds what cannot be read")]
    Corrupt(#[source] Cause),
    /// The database refused a statement.
    #[error("the database refused a statement")]
    Database(#[source] Cause),
    /// The piece of work panicked; nothing of it was kept.
    #[error("a piece of work on the database panicked")]
    Panicked,
    /// Another process has the SQLite file open, or this one has it open already.
    #[error("{} is in use by another process", file.display())]
    InUse {
        /// The database file.
        file: PathBuf,
    },
    /// The SQLite file cannot be created or opened.
    #[error("cannot open {}", file.display())]
    File {
        /// The database file, its folder or its lock.
        file: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A step of the schema failed and was undone.
    #[error("the migration {version} failed and was undone")]
    Migration {
        /// The step's version; empty where the list of steps could not be read.
        version: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A newer program has changed the database; this one must not write into it.
    #[error("the database was changed by a newer program: it has the migration {version}, unknown to this one")]
    Newer {
        /// The first migration that is not known.
        version: String,
    },
}

impl StoreError {
    /// [`StoreError::Unavailable`] for this reason.
    pub(super) fn unavailable(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(reason.into().into())
    }

    /// [`StoreError::Corrupt`] for this reason: for columns whose text is not what the domain allows.
    pub fn corrupt(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt(reason.into().into())
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(kind, about) => match kind {
                DatabaseErrorKind::UniqueViolation => Self::Conflict {
                    constraint: constraint(about.as_ref()),
                },
                DatabaseErrorKind::ForeignKeyViolation | DatabaseErrorKind::RestrictViolation => Self::Missing,
                DatabaseErrorKind::SerializationFailure => Self::Busy,
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::ReadOnlyTransaction
                | DatabaseErrorKind::UnableToSendCommand => Self::Unavailable(Arc::new(error)),
                _ => match told_by_words(about.message()) {
                    Some(Told::Busy) => Self::Busy,
                    Some(Told::Unavailable) => Self::Unavailable(Arc::new(error)),
                    Some(Told::Corrupt) => Self::Corrupt(Arc::new(error)),
                    None => Self::Database(Arc::new(error)),
                },
            },
            DieselError::DeserializationError(_) => Self::Corrupt(Arc::new(error)),
            DieselError::BrokenTransactionManager | DieselError::RollbackErrorOnCommit { .. } => {
                Self::Unavailable(Arc::new(error))
            }
            _ => Self::Database(Arc::new(error)),
        }
    }
}

enum Told {
    Busy,
    Unavailable,
    Corrupt,
}

/// Diesel keeps no error code of these, only the words. SQLite's never change; those of Postgres are English unless
/// the server's `lc_messages` says otherwise, and then the kind is lost, never the error.
fn told_by_words(message: &str) -> Option<Told> {
    const BUSY: [&str; 7] = [
        "database is locked",
        "database table is locked",
        "deadlock detected",
        "due to lock timeout",
        "due to statement timeout",
        "too many clients",
        "connection slots are reserved",
    ];
    const UNAVAILABLE: [&str; 9] = [
        "database or disk is full",
        "disk I/O error",
        "readonly database",
        "unable to open database file",
        "No space left on device",
        "terminating connection",
        "server closed the connection",
        "the database system is",
        "no connection to the server",
    ];
    const CORRUPT: [&str; 3] = [
        "disk image is malformed",
        "file is not a database",
        "invalid page in block",
    ];
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&BUSY) {
        Some(Told::Busy)
    } else if says(&UNAVAILABLE) {
        Some(Told::Unavailable)
    } else if says(&CORRUPT) {
        Some(Told::Corrupt)
    } else {
        None
    }
}

/// The name of the broken constraint. SQLite has only the columns ("UNIQUE constraint failed: lock.unit_id,
/// lock.name"), from which the name follows that Postgres gives by itself.
fn constraint(about: &dyn DatabaseErrorInformation) -> String {
    if let Some(name) = about.constraint_name() {
        return name.to_owned();
    }
    let columns = about.message().split_once(": ").map_or("", |(_, columns)| columns);
    if let Some(index) = columns.strip_prefix("index '") {
        return index.trim_end_matches('\'').to_owned();
    }
    let table = columns.split('.').next().unwrap_or_default();
    let columns: Vec<_> = columns
        .split(", ")
        .filter_map(|column| column.split_once('.'))
        .map(|(_, name)| name)
        .collect();
    format!("{table}_{}_key", columns.join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: DatabaseErrorKind, message: &str) -> StoreError {
        DieselError::DatabaseError(kind, Box::new(message.to_owned())).into()
    }

    #[test]
    fn a_broken_constraint_has_one_name_on_both_databases() {
        for (message, name) in [
            ("UNIQUE constraint failed: person.email", "person_email_key"),
            (
                "UNIQUE constraint failed: lock.unit_id, lock.name",
                "lock_unit_id_name_key",
            ),
            ("UNIQUE constraint failed: index 'person_lower_key'", "person_lower_key"),
        ] {
            let error = of(DatabaseErrorKind::UniqueViolation, message);
            assert!(
                matches!(&error, StoreError::Conflict { constraint } if constraint == name),
                "{error}"
            );
        }
    }

    #[test]
    fn words_tell_what_diesel_does_not() {
        for message in [
            "database is locked",
            "deadlock detected",
            "canceling statement due to lock timeout",
        ] {
            assert!(
                matches!(of(DatabaseErrorKind::Unknown, message), StoreError::Busy),
                "{message}"
            );
        }
        for message in [
            "database or disk is full",
            "terminating connection due to administrator command",
        ] {
            assert!(
                matches!(of(DatabaseErrorKind::Unknown, message), StoreError::Unavailable(_)),
                "{message}"
            );
        }
        assert!(matches!(
            of(DatabaseErrorKind::Unknown, "file is not a database"),
            StoreError::Corrupt(_)
        ));
        assert!(matches!(
            of(DatabaseErrorKind::Unknown, "no such table: lock"),
            StoreError::Database(_)
        ));
    }
}
