//! What the caller was told, and of what they get letters.

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Anyone;
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::letters;
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

/// Of what the caller gets letters.
#[derive(Serialize, ToSchema)]
struct NoticeSettings {
    /// Whether letters reach the caller at all: this installation sends some, and the address leads somewhere.
    letters_arrive: bool,
    /// What no letter is sent for; of everything else there is one.
    #[schema(value_type = Vec<schema::NoticeKind>)]
    no_letter_for: Vec<Kind>,
}

impl From<letters::NoticeSettings> for NoticeSettings {
    fn from(settings: letters::NoticeSettings) -> Self {
        Self {
            letters_arrive: settings.letters_arrive,
            no_letter_for: settings.no_letter_for,
        }
    }
}

/// What the caller wants, whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetNoticeSettings {
    /// What no letter is to be sent for, in place of what stood there.
    #[schema(value_type = Vec<schema::NoticeKind>)]
    no_letter_for: BTreeSet<Kind>,
}

/// Of what do I get letters?
#[utoipa::path(
    tag = "notices",
    responses((status = 200, description = "As it stands", body = NoticeSettings))
)]
#[get("/v1/me/notice-settings")]
pub(super) async fn show_notice_settings(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let settings: NoticeSettings = service.app.notice_settings(&who).await?.into();
    Ok(HttpResponse::Ok().json(settings))
}

/// I want letters of all but these; a last letter tells that some were switched off
#[utoipa::path(
    tag = "notices",
    request_body = SetNoticeSettings,
    responses((status = 200, description = "As it stands now", body = NoticeSettings))
)]
#[put("/v1/me/notice-settings")]
pub(super) async fn set_notice_settings(
    service: Data<Service>,
    Anyone(who): Anyone,
    Json(wanted): Json<SetNoticeSettings>,
) -> Result<HttpResponse, Problem> {
    let settings = service.app.set_notice_settings(&who, wanted.no_letter_for).await?;
    Ok(HttpResponse::Ok().json(NoticeSettings::from(settings)))
}
