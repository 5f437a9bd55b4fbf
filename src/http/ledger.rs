//! The ledger: what lock-outs cost, for whoever owes it, the desk, and the accounts.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Anyone, Desk, Manager};
use super::export::{Format, lines, rows};
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::Error;
use crate::domain::ids::{LedgerLineId, LockoutId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::lockout::Why;
use crate::domain::lockout::ledger::{self, Item};
use crate::domain::text::harmless;
use crate::domain::time::Timestamp;

/// The header with the detached signature over an export.
const SIGNATURE: &str = "Doorward-Signature";

/// A line of the ledger; it never changes.
#[derive(Serialize, ToSchema)]
pub(super) struct LedgerLine {
    #[schema(value_type = schema::LedgerLineId)]
    id: LedgerLineId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    /// Its number in the organization's ledger, from 1, without gaps.
    seq: i64,
    #[schema(value_type = schema::Time)]
    booked_at: Timestamp,
    /// `lockout`, `replacement-key`, `correction`, `waiver`.
    item: &'static str,
    /// Of a lock-out and its correction: `free`, `office-hours`, `after-hours`.
    #[schema(required = true)]
    rate: Option<String>,
    #[schema(value_type = schema::LockoutId)]
    lockout_id: LockoutId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    /// Who owes it.
    #[schema(value_type = schema::PersonId)]
    person_id: PersonId,
    /// Who caused it; `null` where the policy did.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    actor_id: Option<PersonId>,
    /// In minor units, such as cents; below zero is what is not asked for.
    amount_minor: i64,
    /// The same as a decimal number.
    amount: String,
    #[schema(value_type = schema::Currency)]
    currency: &'static str,
    /// Of a waiver: the line that it takes back.
    #[schema(value_type = Option<schema::LedgerLineId>, required = true)]
    waives: Option<LedgerLineId>,
    /// Of a waiver: why.
    #[schema(value_type = Option<schema::Remark>, required = true)]
    reason: Option<Why>,
}

impl From<ledger::Line> for LedgerLine {
    fn from(line: ledger::Line) -> Self {
        let item = line.item.word();
        let (rate, waives, reason) = match line.item {
            Item::Lockout { rate } | Item::Correction { rate } => (Some(rate), None, None),
            Item::ReplacementKey => (None, None, None),
            Item::Waiver { of, why } => (None, Some(of), Some(why)),
        };
        Self {
            id: line.id,
            organization_id: line.organization,
            seq: line.seq,
            booked_at: line.booked_at,
            item,
            rate,
            lockout_id: line.lockout,
            property_id: line.property,
            unit_id: line.unit,
            person_id: line.person,
            actor_id: line.actor,
            amount_minor: line.amount.minor,
            amount: line.amount.to_string(),
            currency: line.amount.currency.code(),
            waives,
            reason,
        }
    }
}

/// Why a line is let go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Waive {
    #[schema(value_type = schema::Remark)]
    reason: Why,
}

/// Which lines, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LedgerExport {
    #[param(inline)]
    format: Format,
    /// Whose ledger; may be left out by who sits at one desk only.
    #[param(value_type = schema::OrganizationId, required = false)]
    organization_id: Option<OrganizationId>,
    /// Only lines that were booked at this time or later.
    #[param(value_type = schema::Time, required = false)]
    from: Option<Timestamp>,
    /// Only lines that were booked before this time.
    #[param(value_type = schema::Time, required = false)]
    to: Option<Timestamp>,
}

const COLUMNS: [&str; 16] = [
    "seq",
    "id",
    "booked_at",
    "item",
    "rate",
    "amount",
    "amount_minor",
    "currency",
    "person_id",
    "unit_id",
    "property_id",
    "organization_id",
    "lockout_id",
    "actor_id",
    "waives",
    "reason",
];

fn cells(line: &LedgerLine) -> [String; 16] {
    let id = |id: Option<&str>| id.unwrap_or_default().to_owned();
    [
        line.seq.to_string(),
        line.id.to_string(),
        line.booked_at.to_string(),
        line.item.to_owned(),
        line.rate.clone().unwrap_or_default(),
        line.amount.clone(),
        line.amount_minor.to_string(),
        line.currency.to_owned(),
        line.person_id.to_string(),
        line.unit_id.to_string(),
        line.property_id.to_string(),
        line.organization_id.to_string(),
        line.lockout_id.to_string(),
        id(line.actor_id.as_ref().map(|id| id.as_str())),
        id(line.waives.as_ref().map(|id| id.as_str())),
        // What people wrote; an amount below zero begins like a formula and is a number.
        harmless(
            line.reason
                .as_ref()
                .map(|why| why.as_str().to_owned())
                .unwrap_or_default(),
        ),
    ]
}

/// The lines as a whole file.
fn file(format: Format, ledger: Vec<LedgerLine>) -> Result<Vec<u8>, Error> {
    match format {
        Format::Csv => rows(std::iter::once(COLUMNS.map(str::to_owned)).chain(ledger.iter().map(cells))),
        Format::Jsonl => lines(ledger),
    }
}

/// What lock-outs cost, the newest lines first: the whole ledger for the desk, else what the caller owes
#[utoipa::path(
    tag = "lock-outs",
    params(Paging),
    responses((status = 200, description = "A page of lines", body = List<LedgerLine>))
)]
#[get("/v1/ledger")]
pub(super) async fn list_lines(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.ledger(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, LedgerLine::from)))
}

/// Let a line go, by another one that takes it back
#[utoipa::path(
    tag = "lock-outs",
    params(("line_id" = schema::LedgerLineId, Path)),
    responses((status = 201, description = "The line that takes it back", body = LedgerLine), (status = 403), (status = 409))
)]
#[post("/v1/ledger/{line_id}/waive")]
pub(super) async fn waive(
    service: Data<Service>,
    Manager(who): Manager,
    Id(line): Id<LedgerLineId>,
    Json(waive): Json<Waive>,
) -> Result<HttpResponse, Problem> {
    let waiver = service.app.waive(&who, line, waive.reason).await?;
    Ok(HttpResponse::Created().json(LedgerLine::from(waiver)))
}

/// The ledger as a file, signed
///
/// `Doorward-Signature` is a detached JWS (RFC 7515, appendix F) over the file, byte for byte, by a key of
/// `/.well-known/jwks.json`.
#[utoipa::path(
    tag = "lock-outs",
    params(LedgerExport),
    responses(
        (
            status = 200,
            description = "The file, by the lines' numbers",
            content((String = "text/csv"), (String = "application/jsonl")),
            headers(("Doorward-Signature" = String, description = "The detached signature")),
        ),
        (status = 403), (status = 404), (status = 409, description = "`export-too-large`"),
    )
)]
#[get("/v1/ledger/export")]
pub(super) async fn export_ledger(
    service: Data<Service>,
    Desk(who): Desk,
    Query(export): Query<LedgerExport>,
) -> Result<HttpResponse, Problem> {
    let times = (export.from, export.to);
    let exported = service.app.export_ledger(&who, export.organization_id, times).await?;
    let file = file(
        export.format,
        exported.lines.into_iter().map(LedgerLine::from).collect(),
    )?;
    let signature = service.app.sign_ledger(&file)?;
    Ok(HttpResponse::Ok()
        .content_type(export.format.media_type())
        .insert_header((header::CONTENT_DISPOSITION, export.format.disposition("ledger")))
        .insert_header((SIGNATURE, signature))
        .body(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(why: &str) -> LedgerLine {
        let currency = "USD".parse().unwrap();
        ledger::Line {
            id: LedgerLineId::from_bits(1),
            organization: OrganizationId::from_bits(2),
            seq: 7,
            booked_at: Timestamp::MIN,
            item: Item::Waiver {
                of: LedgerLineId::from_bits(3),
                why: why.to_owned().try_into().unwrap(),
            },
            lockout: LockoutId::from_bits(4),
            property: PropertyId::from_bits(5),
            unit: UnitId::from_bits(6),
            person: PersonId::from_bits(7),
            actor: None,
            amount: crate::domain::money::Money { minor: -2500, currency },
        }
        .into()
    }

    #[test]
    fn what_people_wrote_is_no_formula_and_an_amount_is_a_number() {
        for (why, cell) in [("=1+1", "'=1+1"), ("-5", "'-5"), ("kind to a = b", "kind to a = b")] {
            let cells = cells(&line(why));
            assert_eq!((cells[15].as_str(), cells[5].as_str()), (cell, "-25.00"));
        }
    }

    #[test]
    fn a_file_reads_back() {
        let rows = file(Format::Csv, vec![line("a, \"b\"")]).unwrap();
        let mut reader = csv::Reader::from_reader(rows.as_slice());
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!((&row[0], &row[15]), ("7", "a, \"b\""));
        let lines = file(Format::Jsonl, vec![line("a"), line("b")]).unwrap();
        assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 2);
    }
}
