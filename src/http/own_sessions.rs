//! The caller's sessions, and proving anew who one is.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Anyone;
use super::json::Json;
use super::page::List;
use super::path::Id;
use super::peer::ClientAddress;
use super::problem::Problem;
use super::{Service, schema};
use crate::crypto::recovery_code::FactorCode;
use crate::domain::ids::SessionId;
use crate::domain::page::Page;
use crate::domain::password::Password;
use crate::domain::session::{DeviceName, OwnSession};
use crate::domain::time::Timestamp;

/// A session of the caller's that lives.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    #[schema(value_type = schema::SessionId)]
    id: SessionId,
    /// As it was called at sign-in, or a phrase for its program.
    #[schema(value_type = schema::DeviceName)]
    device: DeviceName,
    /// Whether it is the one that asks.
    current: bool,
    #[schema(value_type = schema::Time)]
    began_at: Timestamp,
    /// In which hour it was used last.
    #[schema(value_type = schema::Time)]
    used_at: Timestamp,
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
struct Ended {
    ended: usize,
}

/// What shows who one is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Prove {
    #[schema(value_type = schema::Password)]
    password: Password,
    /// What the second factor's device shows, or a recovery code; asked for by `second-factor-needed`.
    #[schema(value_type = schema::FactorCode)]
    code: Option<FactorCode>,
}

/// A proof of who one is.
#[derive(Serialize, ToSchema)]
pub(super) struct Proven {
    /// Until when it is good for what asks for one.
    #[schema(value_type = schema::Time)]
    pub(super) good_until: Timestamp,
}

/// My sessions
#[utoipa::path(
    tag = "sign-in",
    responses((status = 200, description = "All that live, the newest first, on one page", body = List<Session>))
)]
#[get("/v1/me/sessions")]
pub(super) async fn list_sessions(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let items = service.app.sessions(&who).await?;
    let all = Page::<_, String> { items, next: None };
    let told = |session: OwnSession| Session {
        current: session.id == who.session,
        id: session.id,
        device: session.device,
        began_at: session.began_at,
        used_at: session.used_at,
    };
    Ok(HttpResponse::Ok().json(List::of(all, told)))
}

/// End one of my sessions
#[utoipa::path(
    tag = "sign-in",
    params(("session_id" = schema::SessionId, Path)),
    responses((status = 204, description = "Ended: its tokens are worth nothing from now on"))
)]
#[delete("/v1/me/sessions/{session_id}")]
pub(super) async fn end_session(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<SessionId>,
) -> Result<HttpResponse, Problem> {
    service.app.end_session(&who, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// End all my sessions but this one
#[utoipa::path(
    tag = "sign-in",
    responses((status = 200, description = "Ended", body = Ended))
)]
#[delete("/v1/me/sessions")]
pub(super) async fn end_other_sessions(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let ended = service.app.end_other_sessions(&who).await?;
    Ok(HttpResponse::Ok().json(Ended { ended }))
}

/// Prove anew who I am: what is dangerous asks for a proof of the last ten minutes
#[utoipa::path(
    tag = "sign-in",
    responses((status = 200, description = "Proven", body = Proven))
)]
#[post("/v1/auth/prove")]
pub(super) async fn prove(
    service: Data<Service>,
    Anyone(who): Anyone,
    ClientAddress(from): ClientAddress,
    Json(Prove { password, code }): Json<Prove>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(from)?;
    let good_until = service.app.prove(&who, password, code, from).await?;
    Ok(HttpResponse::Ok().json(Proven { good_until }))
}
