//! Somebody else at the database: looks into it, and holds what the backend wants to write to.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};

use crate::fixtures::databases::TestDatabase;

/// A connection that is not the backend's.
pub enum Outsider {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

impl Outsider {
    /// Comes to this database.
    pub fn at(database: &TestDatabase) -> Self {
        if database.is_sqlite() {
            let file = database.url().file().unwrap().to_str().unwrap();
            let mut conn = SqliteConnection::establish(file).unwrap();
            conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
            Self::Sqlite(conn)
        } else {
            Self::Postgres(database.connect())
        }
    }

    fn run(&mut self, sql: &str) {
        match self {
            Self::Sqlite(conn) => conn.batch_execute(sql).unwrap(),
            Self::Postgres(conn) => conn.batch_execute(sql).unwrap(),
        }
    }

    /// The rows of this table in the order of these columns, each as text; NULL is empty. No value has a `|` in it.
    pub fn rows(&mut self, columns: &[&str], table: &str) -> Vec<Vec<String>> {
        let texts: Vec<String> = columns
            .iter()
            .map(|column| format!("COALESCE(CAST({column} AS TEXT), '')"))
            .collect();
        let (line, order) = (texts.join(" || '|' || "), columns.join(", "));
        let query = sql_query(format!("SELECT {line} AS line FROM {table} ORDER BY {order}"));
        let lines: Vec<Line> = match self {
            Self::Sqlite(conn) => query.load(conn).unwrap(),
            Self::Postgres(conn) => query.load(conn).unwrap(),
        };
        let cells = |line: &Line| line.line.split('|').map(str::to_owned).collect();
        lines.iter().map(cells).collect()
    }

    /// How many rows the table has.
    pub fn count(&mut self, table: &str) -> usize {
        self.rows(&["1"], table).len()
    }

    /// Lets the backend write nothing until [`Self::let_go`].
    pub fn hold_writes(&mut self) {
        match self {
            Self::Sqlite(_) => self.run("BEGIN IMMEDIATE"),
            Self::Postgres(_) => {
                self.run("BEGIN; LOCK TABLE access_log_heads, attempts, locks, lock_events IN EXCLUSIVE MODE");
            }
        }
    }

    /// Lets the backend write again.
    pub fn let_go(&mut self) {
        self.run("ROLLBACK");
    }

    /// Whether somebody waits for what is held here; `None` where the database does not tell.
    pub fn is_waited_for(&mut self) -> Option<bool> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(_) => {
                let here = "pg_locks WHERE NOT granted AND \
                    database = (SELECT oid FROM pg_database WHERE datname = current_database())";
                Some(self.count(here) > 0)
            }
        }
    }

    /// Fails where the file of the database is damaged.
    pub fn check_integrity(&mut self) {
        if let Self::Sqlite(_) = self {
            assert_eq!(self.rows(&["integrity_check"], "pragma_integrity_check"), [["ok"]]);
            let broken = self.rows(&["\"table\""], "pragma_foreign_key_check");
            assert!(broken.is_empty(), "rows that refer to nothing: {broken:?}");
        }
    }
}
