//! The access log as a file, written while it is read: no export is ever whole in memory.

use std::collections::VecDeque;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::LogFilter;
use super::evidence::Line;
use crate::app::Error;
use crate::app::access_log::{Filter, NamedEntry, View};
use crate::app::evidence::SignedCheckpoint;
use crate::domain::text::harmless;
use crate::http::Service;
use crate::http::auth::Anyone;
use crate::http::edge::chain;
use crate::http::export::{Format, lines, rows};
use crate::http::problem::Problem;
use crate::http::query::Query;

/// The header with the number of the log's last entry.
const LOG_SIZE: &str = "Doorward-Log-Size";

/// How many entries are read at once.
const PART: u16 = 500;

/// What kind of file, and what of it: all, or what one that broke off still lacks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Export {
    #[param(inline)]
    format: Format,
    /// The number of the last entry that came whole, of an export that broke off: the rest follows without its head.
    #[param(value_type = u64, required = false)]
    after: Option<u64>,
    /// With `after`: the `Doorward-Log-Size` of that export.
    #[param(value_type = u64, required = false)]
    size: Option<u64>,
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

/// An export on its way.
pub(in crate::http) struct Reader {
    service: Data<Service>,
    view: View,
    filter: Filter,
    format: Format,
    after: i64,
    /// The number of the last entry: an export ends, even where the log goes on growing.
    size: i64,
    waiting: VecDeque<Vec<u8>>,
}

impl Reader {
    /// The entries that the checkpoint speaks of, below a line with it, each with what proves it.
    pub(in crate::http) fn of_lines(
        service: Data<Service>,
        view: View,
        filter: Filter,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, Error> {
        let size = i64::try_from(checkpoint.size).unwrap_or(i64::MAX);
        let head = lines([Line::head(checkpoint, view.has_all(&filter))])?;
        Ok(Self {
            service,
            view,
            filter,
            format: Format::Jsonl,
            after: 0,
            size,
            waiting: VecDeque::from([head]),
        })
    }

    /// The next part; `None` at the end.
    pub(in crate::http) async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if let Some(part) = self.waiting.pop_front() {
            return Ok(Some((part.into(), self)));
        }
        let part = match self.format {
            Format::Csv => self.rows().await?,
            Format::Jsonl => self.lines().await?,
        };
        Ok(part.map(|(last, part)| {
            self.after = last;
            (part.into(), self)
        }))
    }

    /// The number of the last entry of the next part, and the part.
    async fn rows(&self) -> Result<Option<(i64, Vec<u8>)>, Error> {
        let (view, filter) = (self.view.clone(), self.filter.clone());
        let mut entries = self.service.app.export_log(view, filter, self.after, PART).await?;
        entries.retain(|named| named.entry.seq <= self.size);
        let part = rows(entries.iter().map(cells))?;
        Ok(entries.last().map(|last| (last.entry.seq, part)))
    }

    /// The same, with what proves each entry.
    async fn lines(&self) -> Result<Option<(i64, Vec<u8>)>, Error> {
        let (view, filter) = (self.view.clone(), self.filter.clone());
        let entries = self
            .service
            .app
            .evidence(
                view,
                filter,
                self.after,
                PART,
                u64::try_from(self.size).unwrap_or_default(),
            )
            .await?;
        let Some(last) = entries.last().map(|last| last.seq) else {
            return Ok(None);
        };
        Ok(Some((last, lines(entries.into_iter().map(Line::from))?)))
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
            headers(
                ("Content-Disposition" = String, description = "A file to keep"),
                ("Doorward-Log-Size" = u64, description = "The number of the log's last entry: how far an export has come is the number it is at, of this"),
            ),
        ),
        (status = 404),
    )
)]
#[get("/v1/access-log/export")]
pub(in crate::http) async fn export(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(Export { format, after, size }): Query<Export>,
    Query(filter): Query<LogFilter>,
) -> Result<HttpResponse, Problem> {
    let (view, filter) = filter.view(&service, &who).await?;
    let rest = match (after, size) {
        (None, None) => None,
        (Some(after), Some(size)) => Some((after, size)),
        _ => return Err(Problem::invalid_query("after", "`after` and `size` come together")),
    };
    let last = service.app.begin_log_export(&who, &view).await?;
    let mut reader = match format {
        Format::Csv => Reader {
            view,
            filter,
            format,
            after: 0,
            size: last,
            waiting: VecDeque::from([rows([COLUMNS])?]),
            service,
        },
        Format::Jsonl => {
            let checkpoint = service.app.checkpoint(&view).await?;
            Reader::of_lines(service, view, filter, checkpoint)?
        }
    };
    if let Some((after, size)) = rest {
        let (after, size) = (
            i64::try_from(after).unwrap_or(i64::MAX),
            i64::try_from(size).unwrap_or(i64::MAX),
        );
        // The proofs of the rest are in the state that its head has signed, which was no further than what is told now.
        if size > reader.size {
            return Err(Problem::invalid_query("size", "no export was as long as that"));
        }
        reader.waiting.clear();
        (reader.after, reader.size) = (after, size);
    }
    let size = reader.size;
    let parts = stream::try_unfold(reader, |reader| async {
        // The status has gone out: what is left is to break the connection, so that nobody takes half for whole.
        let broke_off = |error: &Error| tracing::error!("an export of the access log broke off: {}", chain(error));
        reader.next().await.inspect_err(broke_off)
    });
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::CONTENT_DISPOSITION, format.disposition("access-log")))
        .insert_header((LOG_SIZE, size))
        .streaming(parts))
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, NamedEntry, cells, rows};
    use crate::domain::access_log::{Entry, Kind, NewEntry};
    use crate::domain::account::PersonName;
    use crate::domain::time::Timestamp;

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
    fn what_people_and_locks_wrote_is_no_formula() {
        let cells = cells(&entry("=HYPERLINK(1)"));
        assert_eq!((cells[5].as_str(), cells[11].as_str()), ("'=HYPERLINK(1)", "'=cmd"));
    }

    #[test]
    fn a_file_reads_back() {
        let csv = [rows([COLUMNS]).unwrap(), rows([cells(&entry("jammed"))]).unwrap()].concat();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!((&row[5], &row[16]), ("jammed", r#"{"model":"a \"b\", c"}"#));
    }
}
