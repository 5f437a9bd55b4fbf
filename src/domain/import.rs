//! What a landlord brings along in tables: properties, units, locks and tenancies, a table with a header each. Whether all
//! of it can come in is decided here before anything does ([`plan()`]); what stands already and says the same is left as it
//! is, so that the same tables twice change nothing.

use std::fmt;

use serde::Serialize;

mod moment;
mod plan;
mod reading;

pub use plan::{Counts, Invited, Known, Plan, Resident, Stay, plan};
pub use reading::{Rows, read};

/// The most rows of one table.
pub const MOST_ROWS: usize = 20_000;

/// The most new locks and tenancies of one import: each is written down in the log, and nobody else's opening is meanwhile.
pub const MOST_WRITTEN_DOWN: usize = 2_000;

/// A table by what its rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sheet {
    /// Properties.
    Properties,
    /// Units of properties.
    Units,
    /// Doors with locks.
    Locks,
    /// Who lives where.
    Tenancies,
}

impl Sheet {
    /// Every table, in the order in which they build on each other.
    pub const ALL: [Self; 4] = [Self::Properties, Self::Units, Self::Locks, Self::Tenancies];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Properties => "properties",
            Self::Units => "units",
            Self::Locks => "locks",
            Self::Tenancies => "tenancies",
        }
    }

    /// The columns that its header names, and whether each must be there.
    #[must_use]
    pub const fn columns(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Properties => &[("name", true), ("address", true), ("time_zone", true)],
            Self::Units => &[("property", true), ("name", true)],
            Self::Locks => &[("property", true), ("unit", false), ("name", true)],
            Self::Tenancies => &[
                ("property", true),
                ("unit", true),
                ("email", true),
                ("from", true),
                ("until", false),
            ],
        }
    }
}

/// A row of a table as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The line of the file on which it begins; the header's is usually 1.
    pub line: u64,
    /// What stands in its columns, from the left.
    pub cells: Vec<String>,
}

/// A table as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its header.
    pub header: Record,
    /// What stands under it, rows of nothing included.
    pub records: Vec<Record>,
}

/// What keeps a table from coming in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which table.
    pub sheet: Sheet,
    /// On which line of its file.
    pub line: u64,
    /// In which column, where it is one.
    pub column: Option<String>,
    /// What is wrong, in words. Nothing of what stands in the cell is repeated.
    pub why: String,
}

impl Fault {
    /// A fault of this line, in this column.
    pub fn new(sheet: Sheet, line: u64, column: Option<&str>, why: impl fmt::Display) -> Self {
        Self {
            sheet,
            line,
            column: column.map(str::to_owned),
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
