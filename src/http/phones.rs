//! The caller's phones.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Anyone;
use super::grants::Revoked;
use super::json::Json;
use super::page::List;
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::crypto::public_key::PublicKey;
use crate::domain::ids::PhoneId;
use crate::domain::page::Page;
use crate::domain::phone::{self, PhoneName};
use crate::domain::time::Timestamp;

/// A phone to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Register {
    /// The public half of a P-256 key pair that the phone has made and keeps.
    #[schema(value_type = schema::PublicKey)]
    public_key: PublicKey,
    #[schema(value_type = schema::PhoneName)]
    name: PhoneName,
}

/// A phone that the caller has registered.
#[derive(Serialize, ToSchema)]
pub(super) struct Phone {
    #[schema(value_type = schema::PhoneId)]
    id: PhoneId,
    #[schema(value_type = schema::PhoneName)]
    name: PhoneName,
    /// Thumbprint of its key (RFC 7638).
    thumbprint: String,
    #[schema(value_type = schema::Time)]
    registered_at: Timestamp,
}

impl From<phone::Phone> for Phone {
    fn from(phone: phone::Phone) -> Self {
        Self {
            id: phone.id,
            name: phone.name,
            thumbprint: phone.thumbprint,
            registered_at: phone.registered_at,
        }
    }
}

/// My phones
#[utoipa::path(
    tag = "offline",
    responses((status = 200, description = "All of them, on one page", body = List<Phone>))
)]
#[get("/v1/me/phones")]
pub(super) async fn list_phones(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let items = service.app.phones(&who).await?;
    let all = Page::<_, String> { items, next: None };
    Ok(HttpResponse::Ok().json(List::of(all, Phone::from)))
}

/// Register a phone: offline passes are bound to its key
///
/// The same key again is answered by the phone as it is.
#[utoipa::path(
    tag = "offline",
    responses(
        (status = 200, description = "It is registered already", body = Phone),
        (status = 201, description = "Registered", body = Phone),
        (status = 409, description = "`key-taken`, `phone-removed`, `too-many-phones`"),
    )
)]
#[post("/v1/me/phones")]
pub(super) async fn register_phone(
    service: Data<Service>,
    Anyone(who): Anyone,
    Json(register): Json<Register>,
) -> Result<HttpResponse, Problem> {
    let (phone, is_new) = service
        .app
        .register_phone(&who, register.public_key, register.name)
        .await?;
    let mut answer = if is_new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(answer.json(Phone::from(phone)))
}

/// Remove a phone: its passes are void, and its key does not come back
#[utoipa::path(
    tag = "offline",
    params(("phone_id" = schema::PhoneId, Path)),
    responses((status = 200, description = "Removed", body = Revoked))
)]
#[delete("/v1/me/phones/{phone_id}")]
pub(super) async fn remove_phone(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<PhoneId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.remove_phone(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
