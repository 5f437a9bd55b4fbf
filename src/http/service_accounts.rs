//! Accounts of programs, and their API keys.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Manager;
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::service_accounts;
use crate::domain::account::PersonName;
use crate::domain::api_key::{self, KeyName, KeyScope, NewKey};
use crate::domain::ids::{ApiKeyId, OrganizationId, PersonId};
use crate::domain::time::Timestamp;

/// A program to open an account for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenAccount {
    /// What it is called in lists and in the access log.
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
}

/// The account of a program.
#[derive(Serialize, ToSchema)]
pub(super) struct ServiceAccount {
    /// What grants name as `person_id`.
    #[schema(value_type = schema::PersonId)]
    id: PersonId,
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
}

impl From<service_accounts::Account> for ServiceAccount {
    fn from(account: service_accounts::Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            created_at: account.created_at,
        }
    }
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeKey {
    #[schema(value_type = schema::KeyName)]
    name: KeyName,
    /// What it is good for.
    #[schema(value_type = Vec<schema::KeyScope>, min_items = 1, max_items = 8)]
    scopes: Vec<KeyScope>,
    /// Its end, exclusive; at most 400 days ahead.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// Where it is good; needed where the account belongs to several organizations that you manage.
    #[schema(value_type = Option<schema::OrganizationId>)]
    organization_id: Option<OrganizationId>,
}

/// A key, without the key itself.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiKey {
    #[schema(value_type = schema::ApiKeyId)]
    id: ApiKeyId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::KeyName)]
    name: KeyName,
    #[schema(value_type = Vec<schema::KeyScope>)]
    scopes: Vec<KeyScope>,
    /// Who made it.
    #[schema(value_type = schema::PersonId)]
    created_by: PersonId,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// When it was shown last, to the minute; `null` where never.
    #[schema(value_type = Option<schema::Time>, required = true)]
    last_used_at: Option<Timestamp>,
}

impl From<api_key::ApiKey> for ApiKey {
    fn from(key: api_key::ApiKey) -> Self {
        Self {
            id: key.id,
            organization_id: key.organization,
            name: key.name,
            scopes: key.scopes,
            created_by: key.made_by,
            created_at: key.created_at,
            expires_at: key.ends_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
struct MadeKey {
    #[serde(flatten)]
    described: ApiKey,
    /// What the program sends as `Authorization: Bearer …`; shown this once.
    #[schema(value_type = schema::KeyText)]
    key: String,
}

/// Open an account for a program
#[utoipa::path(
    tag = "service accounts",
    params(("organization_id" = schema::OrganizationId, Path)),
    responses((status = 201, description = "Opened", body = ServiceAccount), (status = 403))
)]
#[post("/v1/organizations/{organization_id}/service-accounts")]
pub(super) async fn open_service_account(
    service: Data<Service>,
    Manager(who): Manager,
    Id(organization): Id<OrganizationId>,
    Json(OpenAccount { name }): Json<OpenAccount>,
) -> Result<HttpResponse, Problem> {
    let account = service.app.open_service_account(&who, organization, name).await?;
    Ok(HttpResponse::Created().json(ServiceAccount::from(account)))
}

/// The accounts of programs
#[utoipa::path(
    tag = "service accounts",
    params(("organization_id" = schema::OrganizationId, Path), Paging),
    responses((status = 200, description = "A page of accounts", body = List<ServiceAccount>), (status = 403))
)]
#[get("/v1/organizations/{organization_id}/service-accounts")]
pub(super) async fn list_service_accounts(
    service: Data<Service>,
    Manager(who): Manager,
    Id(organization): Id<OrganizationId>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service
        .app
        .service_accounts(&who, organization, paging.request()?)
        .await?;
    Ok(HttpResponse::Ok().json(List::of(page, ServiceAccount::from)))
}

/// Make an API key for a program; it is shown this once
#[utoipa::path(
    tag = "service accounts",
    params(("person_id" = schema::PersonId, Path)),
    responses((status = 201, description = "Made", body = MadeKey), (status = 403), (status = 409))
)]
#[post("/v1/service-accounts/{person_id}/keys")]
pub(super) async fn make_key(
    service: Data<Service>,
    Manager(who): Manager,
    Id(account): Id<PersonId>,
    Json(make): Json<MakeKey>,
) -> Result<HttpResponse, Problem> {
    let new = NewKey {
        name: make.name,
        scopes: make.scopes,
        ends_at: make.expires_at,
    };
    let made = service.app.make_key(&who, account, make.organization_id, new).await?;
    Ok(HttpResponse::Created().json(MadeKey {
        described: made.key.into(),
        key: made.text.expose().to_string(),
    }))
}

/// The API keys of a program
#[utoipa::path(
    tag = "service accounts",
    params(("person_id" = schema::PersonId, Path), Paging),
    responses((status = 200, description = "A page of keys", body = List<ApiKey>), (status = 403))
)]
#[get("/v1/service-accounts/{person_id}/keys")]
pub(super) async fn list_keys(
    service: Data<Service>,
    Manager(who): Manager,
    Id(account): Id<PersonId>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.keys_of(&who, account, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, ApiKey::from)))
}

/// Make an API key void; a second time changes nothing
#[utoipa::path(
    tag = "service accounts",
    params(("person_id" = schema::PersonId, Path), ("key_id" = schema::ApiKeyId, Path)),
    responses((status = 204, description = "Void"), (status = 403))
)]
#[delete("/v1/service-accounts/{person_id}/keys/{key_id}")]
pub(super) async fn revoke_key(
    service: Data<Service>,
    Manager(who): Manager,
    Id(account): Id<PersonId>,
    Id(key): Id<ApiKeyId>,
) -> Result<HttpResponse, Problem> {
    service.app.revoke_key(&who, account, key).await?;
    Ok(HttpResponse::NoContent().finish())
}
