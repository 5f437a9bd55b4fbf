//! CSV as spreadsheets write it: with or without a byte order mark, with commas, semicolons or tabulators, with either end of
//! line, with line breaks within quotes.

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::domain::import::{Fault, MOST_ROWS, Record, Sheet, Table};

/// The most cells of a line: spreadsheets leave some of nothing at its end.
const MOST_CELLS: usize = 64;

/// How many rows of nothing may stand between those that count.
const FREE_ROWS: usize = 10_000;

/// The table that the text is.
///
/// # Errors
/// Where it is no text, or has no header.
pub(super) fn read(sheet: Sheet, text: &str) -> Result<Table, Fault> {
    let fault = |line, why: &str| Fault::new(sheet, line, None, why);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return Err(fault(1, "this is no text: save it as CSV UTF-8"));
    }
    let (text, skipped, separator) = match hint(text) {
        Some((separator, rest)) => (rest, 1, separator),
        None => (text, 0, separator(text)),
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let (mut header, mut records) = (None, Vec::new());
    let mut record = StringRecord::new();
    let mut lines = Lines::of(text);
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Err(fault(reader.position().line() + skipped, "this is no CSV")),
        }
        let begins = record
            .position()
            .and_then(|position| usize::try_from(position.byte()).ok());
        let line = lines.at(begins.unwrap_or_default()) + skipped;
        if record.len() > MOST_CELLS {
            return Err(fault(line, "this line has more cells than any table here has columns"));
        }
        // Whoever reads the rows says that there are too many.
        if records.len() > MOST_ROWS + FREE_ROWS {
            break;
        }
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let read = Record { line, cells };
        match &header {
            // Some leave a line free above it.
            None if read.cells.iter().all(String::is_empty) => {}
            None => header = Some(read),
            Some(_) => records.push(read),
        }
    }
    match header {
        Some(header) => Ok(Table { header, records }),
        None => Err(fault(1, "it is empty: the first line names the columns")),
    }
}

/// Which line a place in the text is on. The reader's own count is behind where an end of line has two signs or a line is
/// free.
struct Lines<'a> {
    text: &'a [u8],
    counted: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            counted: 0,
            line: 1,
        }
    }

    /// The line of the first sign at or after `begins` that ends no line; places come in their order.
    fn at(&mut self, begins: usize) -> u64 {
        while let Some(sign) = self.text.get(self.counted) {
            let ends_line = match sign {
                b'\n' => true,
                b'\r' => self.text.get(self.counted + 1) != Some(&b'\n'),
                _ => false,
            };
            if self.counted >= begins && !matches!(sign, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(ends_line);
            self.counted += 1;
        }
        self.line
    }
}

/// The separator that a first line `sep=;` names, as spreadsheets take and write it, and what follows that line.
fn hint(text: &str) -> Option<(u8, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let separator = first.trim_end_matches('\r').trim_matches('"').strip_prefix("sep=")?;
    let [separator @ (b',' | b';' | b'\t')] = separator.as_bytes() else {
        return None;
    };
    Some((*separator, rest))
}

/// The separator of the first line that says something: the one that stands there most often outside of quotes.
fn separator(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut quoted = false;
    let mut found = [(b',', 0), (b';', 0), (b'\t', 0)];
    for c in first.bytes() {
        if c == b'"' {
            quoted = !quoted;
        }
        for (separator, count) in &mut found {
            if !quoted && c == *separator {
                *count += 1;
            }
        }
    }
    let most = found.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(b',', |(separator, _)| separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        let table = read(Sheet::Units, text).unwrap();
        let all = std::iter::once(table.header).chain(table.records);
        all.map(|record| (record.line, record.cells)).collect()
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn whatever_a_spreadsheet_writes_is_the_same_table() {
        let expected = vec![row(1, &["property", "name"]), row(2, &["Linden", "Flat 1"])];
        for text in [
            "property,name\nLinden,Flat 1\n",
            "property,name\r\nLinden,Flat 1\r\n",
            "\u{feff}property;name\r\nLinden;Flat 1\r\n",
            "property\tname\nLinden\tFlat 1",
            "\"property\";\"name\"\n\"Linden\"; Flat 1 \n",
        ] {
            assert_eq!(rows(text), expected, "{text:?}");
        }
        let hinted = rows("sep=;\r\nproperty;name\r\nLinden;Flat 1\r\n");
        assert_eq!(hinted, [row(2, &["property", "name"]), row(3, &["Linden", "Flat 1"])]);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = "name;address;time_zone\n\"A\";\"Linden Street 4\n1010 Vienna\";UTC\n\n;;\nB;\"say \"\"hi\"\"; there\";UTC\n";
        assert_eq!(
            rows(text),
            [
                row(1, &["name", "address", "time_zone"]),
                row(2, &["A", "Linden Street 4\n1010 Vienna", "UTC"]),
                row(5, &["", "", ""]),
                row(6, &["B", "say \"hi\"; there", "UTC"]),
            ]
        );
        // A comma within the quotes of the header is no separator.
        assert_eq!(rows("\"a,b,c\";d"), [row(1, &["a,b,c", "d"])]);
    }

    #[test]
    fn what_is_no_table_says_so() {
        for text in ["", "\u{feff}", "\r\n\r\n", "a\0b"] {
            assert!(read(Sheet::Units, text).is_err(), "{text:?}");
        }
    }
}
