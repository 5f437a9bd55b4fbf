//! Signing in, staying signed in, signing out.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, Caller, SessionKey};
use super::json::Json;
use super::peer::{ClientAddress, ClientDevice};
use super::problem::Problem;
use super::{Service, schema};
use crate::app::own_sessions::Arrival;
use crate::app::sessions::Tokens;
use crate::crypto::recovery_code::FactorCode;
use crate::crypto::secret::Secret;
use crate::domain::account::Email;
use crate::domain::password::Password;
use crate::domain::session::DeviceName;
use crate::domain::time::Timestamp;

/// Who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[schema(value_type = schema::Email)]
    email: Email,
    #[schema(value_type = schema::Password)]
    password: Password,
    /// What the second factor's device shows, or a recovery code; asked for by `second-factor-needed`.
    #[schema(value_type = schema::FactorCode)]
    code: Option<FactorCode>,
    /// What the session is to be called in one's list of them; a phrase for the `User-Agent` where it is left out.
    #[schema(value_type = schema::DeviceName)]
    device: Option<DeviceName>,
}

/// The token that is exchanged for the next pair, once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    #[schema(value_type = schema::Secret)]
    refresh_token: Secret,
}

/// The password that was, and the one that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    #[schema(value_type = schema::Password)]
    current_password: Password,
    #[schema(value_type = schema::Password)]
    new_password: Password,
    /// What the second factor's device shows, or a recovery code; where who asks has not proved just now who they are, asked for by `second-factor-needed`.
    #[schema(value_type = schema::FactorCode)]
    code: Option<FactorCode>,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenPair {
    /// What every request carries: `Authorization: Bearer …`.
    #[schema(value_type = schema::Secret)]
    access_token: String,
    /// `DPoP` where the session is bound to a key, because the request had a proof by it.
    #[schema(value_type = schema::TokenType)]
    token_type: &'static str,
    /// How long the access token works, in seconds.
    expires_in: u64,
    /// What is exchanged for the next pair, once.
    #[schema(value_type = schema::Secret)]
    refresh_token: String,
}

impl TokenPair {
    /// `tokens` as they are told at `now`.
    pub(super) fn of(tokens: &Tokens, now: Timestamp) -> Self {
        Self {
            access_token: tokens.access.expose().to_owned(),
            token_type: if tokens.are_bound { "DPoP" } else { "Bearer" },
            expires_in: tokens.access_ends_at.since(now).as_secs(),
            refresh_token: tokens.refresh.expose().to_owned(),
        }
    }
}

/// Sign in
#[utoipa::path(
    tag = "sign-in",
    security(()),
    responses((status = 200, description = "Signed in", body = TokenPair), (status = 401), (status = 429))
)]
#[post("/v1/auth/sign-in")]
pub(super) async fn sign_in(
    service: Data<Service>,
    ClientAddress(address): ClientAddress,
    ClientDevice(seen): ClientDevice,
    SessionKey(key): SessionKey,
    Json(SignIn {
        email,
        password,
        code,
        device,
    }): Json<SignIn>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(address)?;
    let device = device.unwrap_or(seen);
    let from = Arrival { address, device, key };
    let tokens = service.app.sign_in(email, password, code, from).await?;
    Ok(HttpResponse::Ok().json(TokenPair::of(&tokens, service.app.now())))
}

/// Exchange a refresh token for the next pair; one that comes twice ends its session
#[utoipa::path(
    tag = "sign-in",
    security(()),
    responses((status = 200, description = "The next pair", body = TokenPair), (status = 401), (status = 429))
)]
#[post("/v1/auth/refresh")]
pub(super) async fn refresh(
    service: Data<Service>,
    ClientAddress(from): ClientAddress,
    SessionKey(key): SessionKey,
    Json(Refresh { refresh_token }): Json<Refresh>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(from)?;
    let tokens = service.app.refresh(refresh_token, key).await?;
    Ok(HttpResponse::Ok().json(TokenPair::of(&tokens, service.app.now())))
}

/// Sign out: the session's tokens are worth nothing from now on
#[utoipa::path(tag = "sign-in", responses((status = 204, description = "Signed out")))]
#[post("/v1/auth/sign-out")]
pub(super) async fn sign_out(service: Data<Service>, Caller(who): Caller) -> Result<HttpResponse, Problem> {
    service.app.sign_out(&who).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Replace one's password; all one's sessions end, and the answer's tokens are of a new one
#[utoipa::path(
    tag = "sign-in",
    responses((status = 200, description = "Replaced", body = TokenPair))
)]
#[post("/v1/auth/password")]
pub(super) async fn change_password(
    service: Data<Service>,
    Anyone(who): Anyone,
    ClientAddress(address): ClientAddress,
    ClientDevice(device): ClientDevice,
    Json(ChangePassword {
        current_password,
        new_password,
        code,
    }): Json<ChangePassword>,
) -> Result<HttpResponse, Problem> {
    // It costs as much hashing as two sign-ins, and everybody's sign-in waits for that one thread.
    service.limits.spend_sign_in(address)?;
    // It stays bound to the key of the session that asks.
    let key = who.bound_to.clone();
    let from = Arrival { address, device, key };
    let tokens = service
        .app
        .change_password(&who, current_password, code, new_password, from)
        .await?;
    Ok(HttpResponse::Ok().json(TokenPair::of(&tokens, service.app.now())))
}
