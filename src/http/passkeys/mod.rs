//! The caller's passkeys.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Anyone;
use super::json::Json;
use super::page::List;
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::domain::ids::PasskeyId;
use crate::domain::page::Page;
use crate::domain::passkey::{self, PasskeyName};
use crate::domain::time::Timestamp;

mod browser;
pub(super) mod signing;

use browser::{MadeCredential, ToCreate};

/// A passkey that the caller has registered.
#[derive(Serialize, ToSchema)]
pub(super) struct Passkey {
    #[schema(value_type = schema::PasskeyId)]
    id: PasskeyId,
    #[schema(value_type = schema::PasskeyName)]
    name: PasskeyName,
    /// Whether its keeper may copy it to the caller's other devices.
    synced: bool,
    #[schema(value_type = schema::Time)]
    registered_at: Timestamp,
    /// In which hour it was used last.
    #[schema(value_type = Option<schema::Time>, required = true)]
    used_at: Option<Timestamp>,
}

impl From<passkey::Passkey> for Passkey {
    fn from(passkey: passkey::Passkey) -> Self {
        Self {
            id: passkey.id,
            name: passkey.name,
            synced: passkey.synced,
            registered_at: passkey.registered_at,
            used_at: passkey.used_at,
        }
    }
}

/// What an authenticator made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisterPasskey {
    #[schema(value_type = schema::PasskeyName)]
    name: PasskeyName,
    credential: MadeCredential,
}

/// What a passkey is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RenamePasskey {
    #[schema(value_type = schema::PasskeyName)]
    name: PasskeyName,
}

/// My passkeys
#[utoipa::path(
    tag = "sign-in",
    responses((status = 200, description = "All of them, the oldest first, on one page", body = List<Passkey>))
)]
#[get("/v1/me/passkeys")]
pub(super) async fn list_passkeys(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let items = service.app.passkeys(&who).await?;
    let all = Page::<_, String> { items, next: None };
    Ok(HttpResponse::Ok().json(List::of(all, Passkey::from)))
}

/// Begin with a passkey: what the browser is to ask of its authenticators (WebAuthn Level 3)
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 201, description = "The challenge, which counts once and for five minutes", body = ToCreate),
        (status = 403, description = "`proof-needed`, `phone-key-needed`"),
        (status = 409, description = "`no-domain`, `too-many-passkeys`"),
    )
)]
#[post("/v1/me/passkeys/options")]
pub(super) async fn begin_passkey(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let begun = service.app.begin_passkey(&who).await?;
    Ok(HttpResponse::Created().json(ToCreate::from(begun)))
}

/// Register the passkey that an authenticator made; one signs in by it from now on
#[utoipa::path(
    tag = "sign-in",
    responses(
        (status = 201, description = "Registered", body = Passkey),
        (status = 401, description = "`passkey-refused`"),
        (status = 403, description = "`proof-needed`, `phone-key-needed`"),
        (status = 409, description = "`no-domain`, `too-many-passkeys`, `passkey-known`"),
    )
)]
#[post("/v1/me/passkeys")]
pub(super) async fn register_passkey(
    service: Data<Service>,
    Anyone(who): Anyone,
    Json(RegisterPasskey { name, credential }): Json<RegisterPasskey>,
) -> Result<HttpResponse, Problem> {
    let passkey = service.app.register_passkey(&who, name, credential.into()).await?;
    Ok(HttpResponse::Created().json(Passkey::from(passkey)))
}

/// Call a passkey of mine otherwise
#[utoipa::path(
    tag = "sign-in",
    params(("passkey_id" = schema::PasskeyId, Path)),
    responses((status = 200, description = "As it is now", body = Passkey))
)]
#[patch("/v1/me/passkeys/{passkey_id}")]
pub(super) async fn rename_passkey(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<PasskeyId>,
    Json(RenamePasskey { name }): Json<RenamePasskey>,
) -> Result<HttpResponse, Problem> {
    let passkey = service.app.rename_passkey(&who, id, name).await?;
    Ok(HttpResponse::Ok().json(Passkey::from(passkey)))
}

/// Remove a passkey of mine: nobody signs in by it any more
#[utoipa::path(
    tag = "sign-in",
    params(("passkey_id" = schema::PasskeyId, Path)),
    responses(
        (status = 204, description = "Removed; sessions that began by it go on"),
        (status = 403, description = "`proof-needed`"),
    )
)]
#[delete("/v1/me/passkeys/{passkey_id}")]
pub(super) async fn remove_passkey(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<PasskeyId>,
) -> Result<HttpResponse, Problem> {
    service.app.remove_passkey(&who, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
