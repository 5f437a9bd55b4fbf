//! From tables to rows that say something.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use super::{Fault, MOST_ROWS, Record, Sheet, Table};
use crate::domain::account::Email;
use crate::domain::place::{Address, PlaceName};
use crate::domain::time::TimeZone;

/// From how many faults on no more rows are looked at.
const MOST_FAULTS: usize = 5_000;

/// A property to bring in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PropertyRow {
    pub(super) line: u64,
    pub(super) name: PlaceName,
    pub(super) address: Address,
    pub(super) time_zone: TimeZone,
}

/// A unit to bring in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitRow {
    pub(super) line: u64,
    pub(super) property: PlaceName,
    pub(super) name: PlaceName,
}

/// A door with a lock to bring in; without a unit a shared one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockRow {
    pub(super) line: u64,
    pub(super) property: PlaceName,
    pub(super) unit: Option<PlaceName>,
    pub(super) name: PlaceName,
}

/// A stay to bring in; its days can be read once its property is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TenancyRow {
    pub(super) line: u64,
    pub(super) property: PlaceName,
    pub(super) unit: PlaceName,
    pub(super) email: Email,
    pub(super) from: String,
    pub(super) until: Option<String>,
}

/// What the tables say, row by row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    pub(super) properties: Vec<PropertyRow>,
    pub(super) units: Vec<UnitRow>,
    pub(super) locks: Vec<LockRow>,
    pub(super) tenancies: Vec<TenancyRow>,
    /// Names of places whose own row is faulty: what stands in them is not complained of for that.
    pub(super) broken: HashSet<(Sheet, String)>,
}

impl Rows {
    /// Whose tenancies are to come in.
    pub fn emails(&self) -> impl Iterator<Item = &Email> {
        self.tenancies.iter().map(|row| &row.email)
    }

    /// Whether somebody is to live somewhere by it.
    #[must_use]
    pub fn has_tenancies(&self) -> bool {
        !self.tenancies.is_empty()
    }
}

/// What the tables say, and what in them says nothing that makes sense.
#[must_use]
pub fn read(tables: &BTreeMap<Sheet, Table>) -> (Rows, Vec<Fault>) {
    let (mut rows, mut faults) = (Rows::default(), Vec::new());
    for (sheet, table) in tables {
        let Some(columns) = columns(*sheet, &table.header, &mut faults) else {
            continue;
        };
        let records = table.records.iter().filter(|record| !is_empty(record));
        for (number, record) in records.enumerate() {
            if number == MOST_ROWS {
                let why = format!("a table has at most {MOST_ROWS} rows: bring the rest in with another");
                faults.push(Fault::new(*sheet, record.line, None, why));
                break;
            }
            if faults.len() >= MOST_FAULTS {
                let why = "there is more, which is looked at once this is mended";
                faults.push(Fault::new(*sheet, record.line, None, why));
                break;
            }
            let mut row = Row {
                sheet: *sheet,
                record,
                columns: &columns,
                faults: &mut faults,
            };
            row.check_width();
            row.read_into(&mut rows);
        }
    }
    (rows, faults)
}

/// Spreadsheets leave rows of nothing at the end, and people between.
fn is_empty(record: &Record) -> bool {
    record.cells.iter().all(|cell| cell.trim().is_empty())
}

/// Which column stands where; `None` where the header cannot be gone by.
fn columns(sheet: Sheet, header: &Record, faults: &mut Vec<Fault>) -> Option<BTreeMap<&'static str, usize>> {
    let before = faults.len();
    let mut found = BTreeMap::new();
    for (at, cell) in header.cells.iter().enumerate() {
        let named = cell.trim().to_lowercase();
        if named.is_empty() {
            continue;
        }
        let why = match sheet.columns().iter().find(|(column, _)| *column == named) {
            Some((column, _)) if found.insert(*column, at).is_none() => continue,
            Some(_) => "the header names this column twice".to_owned(),
            None => {
                let known: Vec<&str> = sheet.columns().iter().map(|(column, _)| *column).collect();
                format!("the header's column {} is none of {}", at + 1, known.join(", "))
            }
        };
        faults.push(Fault::new(sheet, header.line, None, why));
    }
    for (column, is_needed) in sheet.columns() {
        if *is_needed && !found.contains_key(column) {
            let why = "the header lacks this column";
            faults.push(Fault::new(sheet, header.line, Some(column), why));
        }
    }
    (faults.len() == before).then_some(found)
}

/// A row that is being read.
struct Row<'a> {
    sheet: Sheet,
    record: &'a Record,
    columns: &'a BTreeMap<&'static str, usize>,
    faults: &'a mut Vec<Fault>,
}

impl Row<'_> {
    /// What stands in the column, without white space at its ends; `None` for nothing.
    fn cell(&self, column: &str) -> Option<&str> {
        let at = self.columns.get(column)?;
        let cell = self.record.cells.get(*at)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    fn complain(&mut self, column: Option<&str>, why: impl Display) {
        self.faults.push(Fault::new(self.sheet, self.record.line, column, why));
    }

    /// Something that stands under no column was moved there by a separator within a cell.
    fn check_width(&mut self) {
        let known: HashSet<usize> = self.columns.values().copied().collect();
        let mut strays = self.record.cells.iter().enumerate();
        if strays.any(|(at, cell)| !known.contains(&at) && !cell.trim().is_empty()) {
            self.complain(
                None,
                "something stands under no column: is a cell with a separator in it without quotes?",
            );
        }
    }

    /// What stands in the column, as what it should be.
    fn given<T, E: Display>(&mut self, column: &str, read: impl Fn(String) -> Result<T, E>) -> Option<T> {
        let Some(cell) = self.cell(column) else {
            self.complain(Some(column), "nothing stands here");
            return None;
        };
        // What a program puts there where it does not know a character: the name would be another for good.
        if cell.contains('\u{fffd}') {
            self.complain(
                Some(column),
                "the file was read in another encoding than its own: save it as CSV UTF-8",
            );
            return None;
        }
        match read(cell.to_owned()) {
            Ok(value) => Some(value),
            Err(why) => {
                self.complain(Some(column), why);
                None
            }
        }
    }

    fn given_or_nothing<T, E: Display>(
        &mut self,
        column: &str,
        read: impl Fn(String) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match self.cell(column) {
            None => Some(None),
            Some(_) => self.given(column, read).map(Some),
        }
    }

    fn read_into(&mut self, rows: &mut Rows) {
        let read = match self.sheet {
            Sheet::Properties => self.property().map(|row| rows.properties.push(row)),
            Sheet::Units => self.unit().map(|row| rows.units.push(row)),
            Sheet::Locks => self.lock().map(|row| rows.locks.push(row)),
            Sheet::Tenancies => self.tenancy().map(|row| rows.tenancies.push(row)),
        };
        if let (None, Some(name)) = (read, self.cell("name")) {
            rows.broken.insert((self.sheet, name.to_owned()));
        }
    }

    fn property(&mut self) -> Option<PropertyRow> {
        let name = self.given("name", PlaceName::try_from);
        // An address is often written on several lines of its cell.
        let address = self.given("address", |text| {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Address::try_from(lines.collect::<Vec<_>>().join(", "))
        });
        let time_zone = self.given("time_zone", |text| text.parse());
        Some(PropertyRow {
            line: self.record.line,
            name: name?,
            address: address?,
            time_zone: time_zone?,
        })
    }

    fn unit(&mut self) -> Option<UnitRow> {
        let property = self.given("property", PlaceName::try_from);
        let name = self.given("name", PlaceName::try_from);
        Some(UnitRow {
            line: self.record.line,
            property: property?,
            name: name?,
        })
    }

    fn lock(&mut self) -> Option<LockRow> {
        let property = self.given("property", PlaceName::try_from);
        let unit = self.given_or_nothing("unit", PlaceName::try_from);
        let name = self.given("name", PlaceName::try_from);
        Some(LockRow {
            line: self.record.line,
            property: property?,
            unit: unit?,
            name: name?,
        })
    }

    fn tenancy(&mut self) -> Option<TenancyRow> {
        let property = self.given("property", PlaceName::try_from);
        let unit = self.given("unit", PlaceName::try_from);
        let email = self.given("email", Email::try_from);
        let from = self.given("from", Ok::<_, std::convert::Infallible>);
        let until = self.given_or_nothing("until", Ok::<_, std::convert::Infallible>);
        Some(TenancyRow {
            line: self.record.line,
            property: property?,
            unit: unit?,
            email: email?,
            from: from?,
            until: until?,
        })
    }
}
