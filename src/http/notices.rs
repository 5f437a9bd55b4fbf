//! What the caller was told.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Anyone;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::domain::ids::{LockId, NoticeId, OrganizationId, PersonId, UnitId};
use crate::domain::notice::{self, Kind};
use crate::domain::time::Timestamp;

/// Something that the caller was told.
#[derive(Serialize, ToSchema)]
pub(super) struct Notice {
    #[schema(value_type = schema::NoticeId)]
    id: NoticeId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::NoticeKind)]
    kind: Kind,
    #[schema(value_type = Option<schema::LockId>, required = true)]
    lock_id: Option<LockId>,
    #[schema(value_type = Option<schema::UnitId>, required = true)]
    unit_id: Option<UnitId>,
    /// Who caused it, where that was a person.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    actor_id: Option<PersonId>,
    /// More, by kind.
    #[schema(value_type = Option<Object>, required = true)]
    detail: Option<serde_json::Value>,
    #[schema(value_type = schema::Time)]
    told_at: Timestamp,
    /// `null` until the caller has said that they read it.
    #[schema(value_type = Option<schema::Time>, required = true)]
    read_at: Option<Timestamp>,
}

impl From<notice::Notice> for Notice {
    fn from(notice: notice::Notice) -> Self {
        Self {
            id: notice.id,
            organization_id: notice.news.organization,
            kind: notice.news.kind,
            lock_id: notice.news.lock,
            unit_id: notice.news.unit,
            actor_id: notice.news.actor,
            detail: notice.news.detail,
            told_at: notice.told_at,
            read_at: notice.read_at,
        }
    }
}

/// What was I told? The newest first
#[utoipa::path(
    tag = "notices",
    params(Paging),
    responses((status = 200, description = "A page of notices", body = List<Notice>))
)]
#[get("/v1/me/notices")]
pub(super) async fn list_notices(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.notices(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Notice::from)))
}

/// I have read it; a second time changes nothing
#[utoipa::path(
    tag = "notices",
    params(("notice_id" = schema::NoticeId, Path)),
    responses((status = 204, description = "Noted"))
)]
#[post("/v1/me/notices/{notice_id}/read")]
pub(super) async fn read_notice(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(notice): Id<NoticeId>,
) -> Result<HttpResponse, Problem> {
    service.app.read_notice(&who, notice).await?;
    Ok(HttpResponse::NoContent().finish())
}
