//! Files to take away: the same records as CSV for spreadsheets and as JSON lines for programs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Error;

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Csv,
    Jsonl,
}

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
        }
    }

    /// The value of `Content-Disposition` for a file of this name.
    pub(super) fn disposition(self, name: &str) -> String {
        let ending = match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        };
        format!("attachment; filename=\"{name}.{ending}\"")
    }
}

/// The records as rows of CSV.
pub(super) fn rows<Cell: AsRef<[u8]>, const N: usize>(
    rows: impl IntoIterator<Item = [Cell; N]>,
) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| failed(error.into_error()))
}

/// The records as JSON, one a line.
pub(super) fn lines(records: impl IntoIterator<Item = impl Serialize>) -> Result<Vec<u8>, Error> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, &record).map_err(failed)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Internal("writing the export", error.into())
}
