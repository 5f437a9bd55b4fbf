//! Bringing in properties, units, locks and tenancies out of tables.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Manager;
use super::json::Json;
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::imports::{InvitedByRow, Outcome};
use crate::domain::account::Email;
use crate::domain::ids::{InvitationId, OrganizationId};
use crate::domain::import::{self, Fault, Rows, Sheet};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

mod table;

/// How many faults are told at most.
const FAULTS_TOLD: usize = 500;

/// The tables, each as the text of a CSV file with a header.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// Columns `name`, `address`, `time_zone`.
    properties: Option<String>,
    /// Columns `property`, `name`.
    units: Option<String>,
    /// Columns `property`, `unit` (of a unit's own door), `name`.
    locks: Option<String>,
    /// Columns `property`, `unit`, `email`, `from`, `until`.
    tenancies: Option<String>,
}

/// How it is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Manner {
    /// Whether it is only tried: nothing comes in.
    #[param(required = false)]
    #[serde(default)]
    dry_run: bool,
}

/// How many rows of each table.
#[derive(Serialize, ToSchema)]
struct Counts {
    properties: usize,
    units: usize,
    locks: usize,
    tenancies: usize,
}

impl From<import::Counts> for Counts {
    fn from(counts: import::Counts) -> Self {
        Self {
            properties: counts.properties,
            units: counts.units,
            locks: counts.locks,
            tenancies: counts.tenancies,
        }
    }
}

/// What keeps a table from coming in.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportFault {
    /// Which table.
    #[schema(value_type = schema::ImportSheet)]
    file: Sheet,
    /// The line of its text, from 1.
    line: u64,
    /// The name of the column, where it is one.
    #[schema(required = true)]
    column: Option<String>,
    /// What is wrong, for people.
    why: String,
}

impl From<Fault> for ImportFault {
    fn from(fault: Fault) -> Self {
        Self {
            file: fault.sheet,
            line: fault.line,
            column: fault.column,
            why: fault.why,
        }
    }
}

/// An invitation that came of a row.
#[derive(Serialize, ToSchema)]
struct ImportedInvitation {
    /// The line of the table of tenancies.
    line: u64,
    #[schema(value_type = schema::PlaceName)]
    unit_name: PlaceName,
    #[schema(value_type = schema::Email)]
    email: Email,
    #[schema(value_type = schema::InvitationId)]
    id: InvitationId,
    /// Shown this once, and only where no letter takes it there: hand it on yourself.
    #[schema(format = "uri", required = true)]
    secret_link: Option<String>,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    by_letter: bool,
}

impl From<InvitedByRow> for ImportedInvitation {
    fn from(invited: InvitedByRow) -> Self {
        let link = invited.link;
        Self {
            line: invited.line,
            unit_name: invited.unit,
            email: invited.email,
            id: link.id,
            secret_link: (!link.by_letter).then_some(link.url),
            expires_at: link.ends_at,
            by_letter: link.by_letter,
        }
    }
}

/// What came in, or would.
#[derive(Serialize, ToSchema)]
struct Imported {
    /// Whether it was only tried.
    dry_run: bool,
    /// Rows that are new.
    added: Counts,
    /// Rows that say what stands already.
    unchanged: Counts,
    /// Of a trial: what would keep it from coming in, the first 500. Nothing comes in while there is one.
    faults: Vec<ImportFault>,
    /// How many there are in all.
    fault_count: usize,
    /// Who was invited to live somewhere.
    invitations: Vec<ImportedInvitation>,
}

/// Bring in properties, units, locks and tenancies: all of it, or nothing
#[utoipa::path(
    tag = "places",
    params(("organization_id" = schema::OrganizationId, Path), Manner),
    responses(
        (status = 200, description = "It is in, or was tried", body = Imported),
        (status = 403),
        (status = 422, description = "`import-refused`, with `faults` and `fault_count`: nothing came in; `invalid-field`; `idempotency-key-reused`"),
    )
)]
#[post("/v1/organizations/{organization_id}/import")]
pub(super) async fn import_tables(
    service: Data<Service>,
    Manager(who): Manager,
    Id(organization): Id<OrganizationId>,
    Query(Manner { dry_run }): Query<Manner>,
    Json(import): Json<Import>,
) -> Result<HttpResponse, Problem> {
    // Long texts are not read where others wait for their doors.
    let read = web::block(move || import.read())
        .await
        .map_err(|_| Problem::internal())?;
    let outcome = match read {
        Ok(read) => service.app.import(&who, organization, read, dry_run).await?,
        Err(faults) => Outcome::Refused(faults),
    };
    match outcome {
        Outcome::Refused(faults) if !dry_run => Err(refusal(faults)),
        Outcome::Refused(faults) => {
            let fault_count = faults.len();
            Ok(HttpResponse::Ok().json(Imported {
                dry_run,
                added: import::Counts::default().into(),
                unchanged: import::Counts::default().into(),
                faults: faults.into_iter().take(FAULTS_TOLD).map(ImportFault::from).collect(),
                fault_count,
                invitations: Vec::new(),
            }))
        }
        Outcome::Fits {
            added,
            unchanged,
            invited,
        } => Ok(HttpResponse::Ok().json(Imported {
            dry_run,
            added: added.into(),
            unchanged: unchanged.into(),
            faults: Vec::new(),
            fault_count: 0,
            invitations: invited.into_iter().map(ImportedInvitation::from).collect(),
        })),
    }
}

impl Import {
    /// What the texts say as tables, and what in them makes no sense.
    fn read(self) -> Result<(Rows, Vec<Fault>), Vec<Fault>> {
        let texts = [
            (Sheet::Properties, self.properties),
            (Sheet::Units, self.units),
            (Sheet::Locks, self.locks),
            (Sheet::Tenancies, self.tenancies),
        ];
        let (mut tables, mut faults) = (BTreeMap::new(), Vec::new());
        for (sheet, text) in texts {
            let Some(text) = text else { continue };
            match table::read(sheet, &text) {
                Ok(table) => {
                    tables.insert(sheet, table);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            Ok(import::read(&tables))
        } else {
            Err(faults)
        }
    }
}

fn refusal(faults: Vec<Fault>) -> Problem {
    let count = faults.len();
    let told = faults.into_iter().take(FAULTS_TOLD).map(|fault| {
        serde_json::json!({
            "file": fault.sheet,
            "line": fault.line,
            "column": fault.column,
            "why": fault.why,
        })
    });
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "import-refused",
        "The tables cannot come in",
        format!("{count} faults stand against it, and nothing came in; `faults` names the lines"),
    )
    .with("faults", told.collect::<Vec<_>>())
    .with("fault_count", count)
}
