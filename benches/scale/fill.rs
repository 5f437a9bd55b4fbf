//! Years of a landlord's grants and log entries, written straight into the database of a running backend to which nobody speaks.

use std::fmt::Write as _;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};
use doorward::crypto::leaf::leaf;
use doorward::domain::access_log::{Entry, Kind, NewEntry};
use doorward::domain::ids::{LockId, OrganizationId, PersonId, PropertyId};
use doorward::domain::time::Timestamp;

use crate::site::Failure;

/// How many people the grants are for.
const PEOPLE: u64 = 10_000;
/// How many of them come and go at the doors: few enough that each has a page of entries on the small side too.
pub const COMERS: u64 = 20;
/// How many rows one statement inserts.
const ROWS: u64 = 500;
/// How many rows one transaction inserts.
const TRANSACTION: u64 = 100_000;

/// What there is before.
pub struct Place {
    organization: OrganizationId,
    property: PropertyId,
    owner: PersonId,
    locks: Vec<LockId>,
    conn: SqliteConnection,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(QueryableByName)]
struct Head {
    #[diesel(sql_type = BigInt)]
    last_seq: i64,
    #[diesel(sql_type = BigInt)]
    last_at_ms: i64,
}

impl Place {
    /// Opens the database beside the backend.
    ///
    /// # Errors
    /// What the database says.
    pub fn open(file: &Path) -> Result<Self, Failure> {
        let mut conn = SqliteConnection::establish(&file.display().to_string())?;
        conn.batch_execute("PRAGMA busy_timeout = 60000; PRAGMA cache_size = -200000")?;
        let mut words = |sql: &str| -> Result<Vec<String>, Failure> {
            let found: Vec<Word> = sql_query(sql).load(&mut conn)?;
            Ok(found.into_iter().map(|word| word.word).collect())
        };
        let mut one = |sql: &str| words(sql)?.pop().ok_or_else(|| Failure::from("an empty table"));
        let organization = one("SELECT id AS word FROM organizations")?.parse()?;
        let property = one("SELECT id AS word FROM properties")?.parse()?;
        let owner = one("SELECT person_id AS word FROM memberships WHERE role = 'owner'")?.parse()?;
        let locks = words("SELECT id AS word FROM locks ORDER BY id")?;
        let locks: Result<Vec<LockId>, _> = locks.iter().map(|id| id.parse()).collect();
        Ok(Self {
            organization,
            property,
            owner,
            locks: locks?,
            conn,
        })
    }

    fn lock(&self, number: u64) -> &LockId {
        &self.locks[usize::try_from(number).unwrap_or(0) % self.locks.len()]
    }

    /// The person of that number.
    pub fn person(number: u64) -> PersonId {
        PersonId::from_bits(1 << 100 | u128::from(number % PEOPLE))
    }

    /// Inserts `count` rows of each of these tables, whose values `row` writes.
    fn insert(
        &mut self,
        count: u64,
        tables: &[&str],
        mut row: impl FnMut(&Self, u64, usize) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        for begin in (0..count).step_by(usize::try_from(TRANSACTION)?) {
            self.conn.batch_execute("BEGIN IMMEDIATE")?;
            let end = count.min(begin + TRANSACTION);
            for first in (begin..end).step_by(usize::try_from(ROWS)?) {
                for (number, table) in tables.iter().enumerate() {
                    let mut sql = format!("INSERT INTO {table} VALUES ");
                    for row_number in first..end.min(first + ROWS) {
                        let comma = if row_number == first { "" } else { "," };
                        write!(sql, "{comma}({})", row(self, row_number, number)?)?;
                    }
                    self.conn.batch_execute(&sql)?;
                }
            }
            self.conn.batch_execute("COMMIT")?;
        }
        Ok(())
    }

    /// Adds so many grants that stand, spread over the doors and ten thousand people.
    ///
    /// # Errors
    /// What the database says.
    pub fn add_grants(&mut self, count: u64) -> Result<(), Failure> {
        let people = ["persons (id, email, name, password_hash, created_at_ms)"];
        self.insert(PEOPLE.min(count), &people, |_, number, _| {
            let id = Self::person(number);
            Ok(format!(
                "'{id}', 'person-{number}@bench.example', 'Person {number}', '!', 0"
            ))
        })?;
        let tables = [
            "grants (id, organization_id, person_id, given_by, created_at_ms, starts_at_ms, uses_taken, ways, role, delegable, round)",
            "grant_locks (grant_id, lock_id)",
        ];
        self.insert(count, &tables, |place, number, table| {
            let id = doorward::domain::ids::GrantId::from_bits(1 << 100 | u128::from(number));
            Ok(match table {
                0 => format!(
                    "'{id}', '{}', '{}', '{}', 0, 0, 0, 'app offline', 'guest', FALSE, 0",
                    place.organization,
                    Self::person(number),
                    place.owner
                ),
                _ => format!("'{id}', '{}'", place.lock(number)),
            })
        })
    }

    /// Adds so many entries at the end of the log. Gives the number of the first.
    ///
    /// # Errors
    /// What the database says.
    pub fn add_entries(&mut self, count: u64) -> Result<u64, Failure> {
        let head: Head = sql_query("SELECT last_seq, last_at_ms FROM access_log_heads").get_result(&mut self.conn)?;
        let tables = [
            "access_log (organization_id, seq, recorded_at_ms, occurred_at_ms, kind, outcome, property_id, lock_id, \
            person_id, staff_sees, salt, leaf)",
        ];
        self.insert(count, &tables, |place, number, _| {
            let at = Timestamp::from_millis(head.last_at_ms);
            let entry = Entry {
                seq: head.last_seq + 1 + i64::try_from(number)?,
                recorded_at: at,
                what: NewEntry {
                    property: Some(place.property.clone()),
                    lock: Some(place.lock(number).clone()),
                    person: Some(Self::person(number % COMERS)),
                    ..NewEntry::new(Kind::Unlocked, at)
                },
            };
            let salt = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            Ok(format!(
                "'{}', {}, {ms}, {ms}, 'unlocked', 'ok', '{}', '{}', '{}', 'all', '{salt:032x}', '{}'",
                place.organization,
                entry.seq,
                place.property,
                place.lock(number),
                Self::person(number % COMERS),
                leaf(salt, &place.organization, &entry),
                ms = head.last_at_ms,
            ))
        })?;
        let sql = format!("UPDATE access_log_heads SET last_seq = last_seq + {count}");
        self.conn.batch_execute(&sql)?;
        Ok(u64::try_from(head.last_seq + 1)?)
    }

    /// How many entries are sealed, and how many there are.
    ///
    /// # Errors
    /// What the database says.
    pub fn sealed(&mut self) -> Result<(i64, i64), Failure> {
        let sql = "SELECT size AS last_seq, last_seq AS last_at_ms FROM log_trees, access_log_heads";
        let found: Head = sql_query(sql).get_result(&mut self.conn)?;
        Ok((found.last_seq, found.last_at_ms))
    }
}
