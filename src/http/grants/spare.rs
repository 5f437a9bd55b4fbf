//! Spare keys: asking for one, releasing it, refusing it.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown::SpareKey;
use crate::app::grants::SpareShown;
use crate::domain::ids::GrantId;
use crate::domain::spare::{AskReason, Minutes};
use crate::http::auth::Anyone;
use crate::http::json::{Json, JsonOrNothing};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Service, schema};

/// Why a spare key is needed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskForSpare {
    /// Told to everybody concerned.
    #[schema(value_type = schema::AskReason)]
    reason: AskReason,
}

/// For how long a spare key is released.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseSpare {
    /// Left out for as long as was set when the key was given.
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
    minutes: Option<Minutes>,
}

/// Where a spare key is.
#[derive(Serialize, ToSchema)]
struct SpareState {
    #[schema(value_type = schema::GrantId)]
    grant_id: GrantId,
    spare: SpareKey,
}

impl From<SpareShown> for SpareState {
    fn from(shown: SpareShown) -> Self {
        Self {
            grant_id: shown.grant,
            spare: SpareKey::of(shown.spare, shown.released_until, shown.asked),
        }
    }
}

/// Ask for a spare key of one's own to be released
///
/// Everybody concerned is told. Where nobody answers by `answer_by`, `on_silence` is the answer. Who asks while an ask waits has
/// asked already.
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses(
        (status = 200, description = "Asked", body = SpareState),
        (status = 403), (status = 409),
    )
)]
#[post("/v1/grants/{grant_id}/ask")]
pub(in crate::http) async fn ask_for_spare(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
    Json(ask): Json<AskForSpare>,
) -> Result<HttpResponse, Problem> {
    let state: SpareState = service.app.ask_for_spare(&who, id, ask.reason).await?.into();
    Ok(HttpResponse::Ok().json(state))
}

/// Release a spare key for a while
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    request_body = Option<ReleaseSpare>,
    responses(
        (status = 200, description = "Released", body = SpareState),
        (status = 403), (status = 409),
    )
)]
#[post("/v1/grants/{grant_id}/release")]
pub(in crate::http) async fn release_spare(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
    JsonOrNothing(release): JsonOrNothing<ReleaseSpare>,
) -> Result<HttpResponse, Problem> {
    let state: SpareState = service.app.release_spare(&who, id, release.minutes).await?.into();
    Ok(HttpResponse::Ok().json(state))
}

/// Refuse a spare key that was asked for, or take a released one back
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses(
        (status = 200, description = "Refused, or back", body = SpareState),
        (status = 403), (status = 409),
    )
)]
#[post("/v1/grants/{grant_id}/refuse")]
pub(in crate::http) async fn refuse_spare(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let state: SpareState = service.app.refuse_spare(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(state))
}
