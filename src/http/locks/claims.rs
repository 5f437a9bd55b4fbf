//! Claim codes: as text, as a link and as a picture.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Manager;
use super::super::json::JsonOrNothing;
use super::super::path::Id;
use super::super::problem::Problem;
use super::super::{Service, schema};
use crate::app::Error;
use crate::app::locks::Claim;
use crate::domain::ids::LockId;
use crate::domain::time::Timestamp;

/// The code that claims a lock, shown this once.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ClaimCode {
    /// To type.
    code: String,
    /// Until when it can be used.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// The code and this server in one: `doorward:claim?server=…&code=…`.
    uri: String,
    /// The same as a QR picture, SVG, as secret as the code.
    qr_svg: String,
}

impl ClaimCode {
    /// The claim as it is told, this once.
    pub(in crate::http) fn of(claim: Claim) -> Result<Self, Problem> {
        let uri = claim.link.expose();
        let picture = QrCode::new(uri.as_bytes()).map_err(|error| Error::Internal("drawing", error.into()))?;
        Ok(Self {
            code: claim.link.code.expose().to_string(),
            expires_at: claim.ends_at,
            qr_svg: picture.render::<svg::Color<'_>>().module_dimensions(1, 1).build(),
            uri: uri.to_string(),
        })
    }
}

/// Nothing is to be said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Make a new claim code for a lock that nobody has claimed; the one before is void
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses(
        (status = 200, description = "A new code", body = ClaimCode),
        (status = 403),
        (status = 409, description = "`lock-claimed`, `lock-retired`"),
    )
)]
#[post("/v1/locks/{lock_id}/claim")]
pub(in crate::http) async fn renew_claim(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let claim = service.app.renew_claim(&who, id).await?;
    Ok(HttpResponse::Ok().json(ClaimCode::of(claim)?))
}

/// Make a claim code for a controller that takes the place of the present one
///
/// Under the same id, with all its grants. The present one goes on until the new one enrols; at that moment its key, its
/// broker password and its session are void. It is also the way out of quarantine.
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, description = "A code for the new controller", body = ClaimCode),
        (status = 403),
        (status = 409, description = "`lock-unclaimed`, `lock-retired`"),
    )
)]
#[post("/v1/locks/{lock_id}/replace")]
pub(in crate::http) async fn replace_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
    JsonOrNothing(Nothing {}): JsonOrNothing<Nothing>,
) -> Result<HttpResponse, Problem> {
    let claim = service.app.replace_lock(&who, id).await?;
    Ok(HttpResponse::Ok().json(ClaimCode::of(claim)?))
}
