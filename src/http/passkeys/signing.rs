//! Signing in by a passkey, and proving by one who one is.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::browser::{SignedCredential, ToSign};
use crate::app::own_sessions::Arrival;
use crate::domain::session::DeviceName;
use crate::http::auth::{Anyone, SessionKey};
use crate::http::json::Json;
use crate::http::own_sessions::Proven;
use crate::http::peer::{ClientAddress, ClientDevice};
use crate::http::problem::Problem;
use crate::http::sessions::TokenPair;
use crate::http::{Service, schema};

/// Whoever's passkey it is signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInByPasskey {
    credential: SignedCredential,
    /// What the session is to be called in one's list of them; a phrase for the `User-Agent` where it is left out.
    #[schema(value_type = schema::DeviceName)]
    device: Option<DeviceName>,
}

/// What shows who one is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProveByPasskey {
    credential: SignedCredential,
}

/// What a passkey is to sign so that its holder is signed in (WebAuthn Level 3)
#[utoipa::path(
    tag = "sign-in",
    security(()),
    responses(
        (status = 200, description = "The challenge, which counts once and for five minutes", body = ToSign),
        (status = 409, description = "`no-domain`"),
        (status = 429),
    )
)]
#[post("/v1/auth/passkey/options")]
pub(in crate::http) async fn ask_for_passkey(
    service: Data<Service>,
    ClientAddress(from): ClientAddress,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(from)?;
    let challenge = service.app.ask_for_passkey().await?;
    Ok(HttpResponse::Ok().json(ToSign::by(Vec::new(), challenge)))
}

/// Sign in by a passkey, with neither password nor code
#[utoipa::path(
    tag = "sign-in",
    security(()),
    responses(
        (status = 200, description = "Signed in", body = TokenPair),
        (status = 401, description = "`passkey-refused`"),
        (status = 409, description = "`no-domain`"),
        (status = 429),
    )
)]
#[post("/v1/auth/passkey")]
pub(in crate::http) async fn sign_in_by_passkey(
    service: Data<Service>,
    ClientAddress(address): ClientAddress,
    ClientDevice(seen): ClientDevice,
    SessionKey(key): SessionKey,
    Json(SignInByPasskey { credential, device }): Json<SignInByPasskey>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(address)?;
    let device = device.unwrap_or(seen);
    let from = Arrival { address, device, key };
    let tokens = service.app.sign_in_by_passkey(credential.into(), from).await?;
    Ok(HttpResponse::Ok().json(TokenPair::of(&tokens, service.app.now())))
}

/// What a passkey of mine is to sign so that it proves anew who I am
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 200, description = "The challenge, which counts once and for five minutes", body = ToSign),
        (status = 409, description = "`no-domain`, `no-passkey`"),
    )
)]
#[post("/v1/auth/prove/passkey/options")]
pub(in crate::http) async fn ask_for_proof(
    service: Data<Service>,
    Anyone(who): Anyone,
) -> Result<HttpResponse, Problem> {
    let (challenge, known) = service.app.ask_for_proof_by_passkey(&who).await?;
    Ok(HttpResponse::Ok().json(ToSign::by(known, challenge)))
}

/// Prove anew who I am, by a passkey of mine: what is dangerous asks for a proof of the last ten minutes
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 200, description = "Proven", body = Proven),
        (status = 401, description = "`passkey-refused`"),
        (status = 409, description = "`no-domain`"),
    )
)]
#[post("/v1/auth/prove/passkey")]
pub(in crate::http) async fn prove_by_passkey(
    service: Data<Service>,
    Anyone(who): Anyone,
    ClientAddress(from): ClientAddress,
    Json(ProveByPasskey { credential }): Json<ProveByPasskey>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(from)?;
    let good_until = service.app.prove_by_passkey(&who, credential.into()).await?;
    Ok(HttpResponse::Ok().json(Proven { good_until }))
}
