//! Looks at hidden parts of the access log.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, Manager, Viewer};
use super::json::Json;
use super::page::{List, Paging};
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::Error;
use crate::app::looks::{At, NamedLook, NewLook};
use crate::domain::account::PersonName;
use crate::domain::ids::{LockId, LookId, OrganizationId, PersonId, UnitId};
use crate::domain::privacy::WrittenReason;
use crate::domain::time::Timestamp;

/// A part of the log that is or was opened to somebody.
#[derive(Serialize, ToSchema)]
pub(super) struct Look {
    #[schema(value_type = schema::LookId)]
    id: LookId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    /// Who looks.
    #[schema(value_type = schema::PersonId)]
    person_id: PersonId,
    /// What they are called now.
    #[schema(value_type = Option<String>, required = true)]
    person_name: Option<PersonName>,
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    /// The one of the unit's doors that is looked at; `null` for all.
    #[schema(value_type = Option<schema::LockId>, required = true)]
    lock_id: Option<LockId>,
    /// What happened at this time or later.
    #[schema(value_type = schema::Time)]
    from: Timestamp,
    /// What happened before this time.
    #[schema(value_type = schema::Time)]
    to: Timestamp,
    #[schema(value_type = schema::WrittenReason)]
    reason: WrittenReason,
    #[schema(value_type = schema::Time)]
    opened_at: Timestamp,
    /// It shows nothing from then on.
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
    /// When it first showed something; `null` while it has not.
    #[schema(value_type = Option<schema::Time>, required = true)]
    used_at: Option<Timestamp>,
}

impl From<NamedLook> for Look {
    fn from(NamedLook { look, person_name }: NamedLook) -> Self {
        Self {
            id: look.id,
            organization_id: look.organization,
            person_id: look.person,
            person_name,
            unit_id: look.part.unit,
            lock_id: look.part.lock,
            from: look.part.from,
            to: look.part.to,
            reason: look.reason,
            opened_at: look.opened_at,
            ends_at: look.ends_at,
            used_at: look.used_at,
        }
    }
}

/// A look to open: at a unit's doors, or at one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenLook {
    /// Either this or `lock_id`.
    #[schema(value_type = Option<schema::UnitId>)]
    unit_id: Option<UnitId>,
    #[schema(value_type = Option<schema::LockId>)]
    lock_id: Option<LockId>,
    #[schema(value_type = schema::Time)]
    from: Timestamp,
    /// Not in the future.
    #[schema(value_type = schema::Time)]
    to: Timestamp,
    /// Those whom it concerns read it.
    #[schema(value_type = schema::WrittenReason)]
    reason: WrittenReason,
    /// How long it stays open, 1 to 1440.
    #[schema(minimum = 1, maximum = 1440)]
    minutes: u16,
}

/// Open a hidden part of the log to me for a while: who lived there is told at once
#[utoipa::path(
    tag = "privacy",
    responses((status = 201, description = "Open", body = Look), (status = 403), (status = 404))
)]
#[post("/v1/looks")]
pub(super) async fn open_look(
    service: Data<Service>,
    Manager(who): Manager,
    Json(look): Json<OpenLook>,
) -> Result<HttpResponse, Problem> {
    let at = match (look.unit_id, look.lock_id) {
        (Some(unit), None) => At::Unit(unit),
        (None, Some(lock)) => At::Lock(lock),
        _ => {
            let why = "name either a unit or a lock".to_owned();
            return Err(Error::Invalid { field: "unit_id", why }.into());
        }
    };
    let new = NewLook {
        at,
        from: look.from,
        to: look.to,
        reason: look.reason,
        minutes: look.minutes,
    };
    let look: Look = service.app.open_look(&who, new).await?.into();
    Ok(HttpResponse::Created().json(look))
}

/// Who looked at what, the newest first
#[utoipa::path(
    tag = "privacy",
    params(Paging),
    responses((status = 200, description = "A page of looks", body = List<Look>), (status = 403))
)]
#[get("/v1/looks")]
pub(super) async fn list_looks(
    service: Data<Service>,
    Viewer(who): Viewer,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.looks(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Look::from)))
}

/// Who looked at what is mine, why and until when? The newest first
#[utoipa::path(
    tag = "privacy",
    params(Paging),
    responses((status = 200, description = "A page of looks", body = List<Look>))
)]
#[get("/v1/me/looks")]
pub(super) async fn list_looks_at_me(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.looks_at_me(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Look::from)))
}
