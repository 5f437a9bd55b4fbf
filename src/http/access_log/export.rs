//! The access log as a file, written while it is read: no export is ever whole in memory.

use std::collections::VecDeque;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get};
use futures_util::stream;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Entry, LogFilter};
use crate::app::Error;
use crate::app::access_log::{Filter, NamedEntry, View};
use crate::domain::time::Timestamp;
use crate::http::Service;
use crate::http::auth::Anyone;
use crate::http::edge::chain;
use crate::http::problem::Problem;
use crate::http::query::Query;

/// How many entries are read at once.
const PART: u16 = 500;

/// What kind of file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Export {
    #[param(inline)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Csv,
    Jsonl,
}

impl Format {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=\"access-log.csv\"",
            Self::Jsonl => "attachment; filename=\"access-log.jsonl\"",
        }
    }

    /// What stands above the first entry.
    fn head(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv => write_csv(&[COLUMNS.map(str::to_owned)]),
            Self::Jsonl => Ok(Vec::new()),
        }
    }

    fn write(self, entries: Vec<NamedEntry>) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv => write_csv(&entries.iter().map(cells).collect::<Vec<_>>()),
            Self::Jsonl => {
                let mut lines = Vec::new();
                for entry in entries {
                    serde_json::to_writer(&mut lines, &Entry::from(entry)).map_err(failed)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

const COLUMNS: [&str; 17] = [
    "seq",
    "recorded_at",
    "occurred_at",
    "kind",
    "outcome",
    "reason",
    "property_id",
    "unit_id",
    "lock_id",
    "lock_name",
    "person_id",
    "person_name",
    "actor_id",
    "actor_name",
    "grant_id",
    "attempt_id",
    "detail",
];

fn cells(named: &NamedEntry) -> [String; 17] {
    let entry = &named.entry;
    let what = &entry.what;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    [
        entry.seq.to_string(),
        entry.recorded_at.to_string(),
        what.occurred_at.to_string(),
        what.kind.as_str().to_owned(),
        what.outcome.as_str().to_owned(),
        text(what.reason.as_deref()),
        text(what.property.as_ref().map(|id| id.as_str())),
        text(what.unit.as_ref().map(|id| id.as_str())),
        text(what.lock.as_ref().map(|id| id.as_str())),
        text(named.lock_name.as_ref().map(|name| name.as_str())),
        text(what.person.as_ref().map(|id| id.as_str())),
        text(named.person_name.as_ref().map(|name| name.as_str())),
        text(what.actor.as_ref().map(|id| id.as_str())),
        text(named.actor_name.as_ref().map(|name| name.as_str())),
        text(what.grant.as_ref().map(|id| id.as_str())),
        text(what.attempt.as_ref().map(|id| id.as_str())),
        what.detail.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
    .map(harmless)
}

/// A cell that no spreadsheet takes for a formula: names come from people, reasons and details from locks, and one that begins like a
/// formula gets an apostrophe before it.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell
    }
}

fn write_csv(rows: &[[String; 17]]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| failed(error.into_error()))
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Internal("writing the export", error.into())
}

/// An export on its way.
struct Reader {
    service: Data<Service>,
    view: View,
    filter: Filter,
    format: Format,
    after: i64,
    /// Nothing newer: an export ends, even where the log goes on growing.
    until: Timestamp,
    waiting: VecDeque<Vec<u8>>,
}

impl Reader {
    /// The next part; `None` at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if let Some(part) = self.waiting.pop_front() {
            return Ok(Some((part.into(), self)));
        }
        let (view, filter) = (self.view.clone(), self.filter.clone());
        let mut entries = self.service.app.export_log(view, filter, self.after, PART).await?;
        entries.retain(|named| named.entry.recorded_at <= self.until);
        let Some(last) = entries.last() else {
            return Ok(None);
        };
        self.after = last.entry.seq;
        let part = self.format.write(entries)?;
        Ok(Some((part.into(), self)))
    }
}

/// The access log as a file, the oldest entries first; that it was exported is written into it
#[utoipa::path(
    tag = "access log",
    params(Export, LogFilter),
    responses(
        (
            status = 200,
            description = "The file",
            content((String = "text/csv"), (String = "application/jsonl")),
            headers(("Content-Disposition" = String, description = "A file to keep")),
        ),
        (status = 404),
    )
)]
#[get("/v1/access-log/export")]
pub(in crate::http) async fn export(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(Export { format }): Query<Export>,
    Query(filter): Query<LogFilter>,
) -> Result<HttpResponse, Problem> {
    let (view, filter) = filter.view(&service, &who).await?;
    service.app.begin_log_export(&who, &view).await?;
    let reader = Reader {
        until: service.app.now(),
        view,
        filter,
        format,
        after: 0,
        waiting: VecDeque::from([format.head()?]),
        service,
    };
    let parts = stream::try_unfold(reader, |reader| async {
        // The status has gone out: what is left is to break the connection, so that nobody takes half for whole.
        let broke_off = |error: &Error| tracing::error!("an export of the access log broke off: {}", chain(error));
        reader.next().await.inspect_err(broke_off)
    });
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::CONTENT_DISPOSITION, format.file_name()))
        .streaming(parts))
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Format, NamedEntry, Timestamp, cells};
    use crate::domain::access_log::{Entry, Kind, NewEntry};
    use crate::domain::account::PersonName;

    fn entry(reason: &str) -> NamedEntry {
        NamedEntry {
            entry: Entry {
                seq: 1,
                recorded_at: Timestamp::MIN,
                what: NewEntry {
                    reason: Some(reason.to_owned()),
                    detail: Some(serde_json::json!({ "model": "a \"b\", c" })),
                    ..NewEntry::new(Kind::Unlocked, Timestamp::MIN)
                },
            },
            person_name: PersonName::try_from("=cmd".to_owned()).ok(),
            actor_name: None,
            lock_name: None,
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (reason, cell) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\ta", "'\ta"),
            ("\ra", "'\ra"),
            ("jammed", "jammed"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(cells(&entry(reason))[5], cell);
        }
        assert_eq!(cells(&entry("jammed"))[11], "'=cmd");
    }

    #[test]
    fn a_file_reads_back() {
        let csv = [
            Format::Csv.head().unwrap(),
            Format::Csv.write(vec![entry("jammed")]).unwrap(),
        ]
        .concat();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!((&row[5], &row[16]), ("jammed", r#"{"model":"a \"b\", c"}"#));
        let lines = Format::Jsonl.write(vec![entry("jammed"), entry("x")]).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        assert_eq!(lines.lines().count(), 2);
        let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!((&line["seq"], &line["kind"]), (&1.into(), &"unlocked".into()));
    }
}
