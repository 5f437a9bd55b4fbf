//! The second factor beside the caller's password, and that of a member who has lost theirs.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, Owner};
use super::json::Json;
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::Error;
use crate::crypto::recovery_code::{FactorCode, RecoveryCode};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::second_factor;
use crate::domain::time::Timestamp;

/// Whether a code is asked for beside the caller's password.
#[derive(Serialize, ToSchema)]
struct SecondFactor {
    on: bool,
    #[schema(value_type = Option<schema::Time>, required = true)]
    since: Option<Timestamp>,
    /// How many recovery codes were not used yet.
    recovery_codes_left: usize,
}

impl From<second_factor::SecondFactor> for SecondFactor {
    fn from(factor: second_factor::SecondFactor) -> Self {
        match factor {
            second_factor::SecondFactor::Off => Self {
                on: false,
                since: None,
                recovery_codes_left: 0,
            },
            second_factor::SecondFactor::On { since, codes_left } => Self {
                on: true,
                since: Some(since),
                recovery_codes_left: codes_left,
            },
        }
    }
}

/// A secret for a device that shows one-time codes; shown once.
#[derive(Serialize, ToSchema)]
struct ForDevice {
    /// `otpauth://totp/…`, as authenticator apps read it.
    uri: String,
    /// The same as a picture.
    qr_svg: String,
}

/// The code that the device shows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirm {
    #[schema(value_type = schema::FactorCode)]
    code: FactorCode,
}

/// Codes for when the device is lost; each works once. Shown once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

impl From<Vec<RecoveryCode>> for RecoveryCodes {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self {
            recovery_codes: codes.iter().map(|code| code.expose().to_string()).collect(),
        }
    }
}

/// My second factor
#[utoipa::path(
    tag = "sign-in",
    responses((status = 200, description = "Whether there is one", body = SecondFactor))
)]
#[get("/v1/me/second-factor")]
pub(super) async fn show_second_factor(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let factor = service.app.second_factor(&who).await?;
    Ok(HttpResponse::Ok().json(SecondFactor::from(factor)))
}

/// Begin with a second factor: a secret for a device that shows one-time codes (RFC 6238)
///
/// It counts once `POST /v1/me/second-factor/confirm` has shown that the device knows it.
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 201, description = "The secret, shown once", body = ForDevice),
        (status = 403, description = "`proof-needed`"),
        (status = 409, description = "`second-factor-on`"),
    )
)]
#[post("/v1/me/second-factor")]
pub(super) async fn begin_second_factor(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let uri = service.app.begin_second_factor(&who).await?.uri;
    let picture = QrCode::new(uri.as_bytes()).map_err(|error| Error::Internal("drawing", error.into()))?;
    Ok(HttpResponse::Created().json(ForDevice {
        qr_svg: picture.render::<svg::Color<'_>>().min_dimensions(240, 240).build(),
        uri: uri.to_string(),
    }))
}

/// Show that the device knows the secret: a code is asked for at sign-in from now on
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 200, description = "It is on; the recovery codes, shown once", body = RecoveryCodes),
        (status = 403, description = "`proof-needed`"),
        (status = 409, description = "`second-factor-off`: nothing waits for a code"),
    )
)]
#[post("/v1/me/second-factor/confirm")]
pub(super) async fn confirm_second_factor(
    service: Data<Service>,
    Anyone(who): Anyone,
    Json(Confirm { code }): Json<Confirm>,
) -> Result<HttpResponse, Problem> {
    let codes = service.app.confirm_second_factor(&who, code).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes::from(codes)))
}

/// New recovery codes; those from before are void
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 200, description = "The codes, shown once", body = RecoveryCodes),
        (status = 403, description = "`proof-needed`"),
        (status = 409, description = "`second-factor-off`"),
    )
)]
#[post("/v1/me/second-factor/recovery-codes")]
pub(super) async fn renew_recovery_codes(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let codes = service.app.renew_recovery_codes(&who).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes::from(codes)))
}

/// Switch my second factor off
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 204, description = "It is off, and the recovery codes are void"),
        (status = 403, description = "`proof-needed`"),
        (status = 409, description = "`second-factor-off`"),
    )
)]
#[delete("/v1/me/second-factor")]
pub(super) async fn end_second_factor(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    service.app.end_second_factor(&who).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Take the second factor and the passkeys off a member who has lost device and codes; all their sessions end, and both are told
#[utoipa::path(
    tag = "members",
    params(("organization_id" = schema::OrganizationId, Path), ("person_id" = schema::PersonId, Path)),
    responses(
        (status = 204, description = "They sign in by their password alone"),
        (status = 403),
        (status = 409, description = "`second-factor-off`, `own-second-factor`, `belongs-elsewhere`, `second-person-needed`"),
    )
)]
#[delete("/v1/organizations/{organization_id}/members/{person_id}/second-factor")]
pub(super) async fn take_second_factor(
    service: Data<Service>,
    Owner(who): Owner,
    Id(organization): Id<OrganizationId>,
    Id(person): Id<PersonId>,
) -> Result<HttpResponse, Problem> {
    service.app.take_second_factor(&who, organization, person).await?;
    Ok(HttpResponse::NoContent().finish())
}
