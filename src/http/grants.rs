//! Giving access and taking it back.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, put};

use self::asked::{Change, Give, GrantFilter};
use self::shown::ChangedGrant;
use super::auth::Anyone;
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::proposals::Proposed;
use super::query::Query;
use super::{Service, schema};
use crate::app::grants::Which;
use crate::app::proposals::Settled;
use crate::domain::ids::GrantId;

mod asked;
mod shown;
pub(super) mod spare;

pub(super) use self::shown::{GivenGrant, Grant, ProvisionedGrant, Revoked};

/// The grants that the caller looks after for a landlord, and those that they gave under their own right
#[utoipa::path(
    tag = "grants",
    params(GrantFilter, Paging),
    responses((status = 200, description = "A page of grants", body = List<ProvisionedGrant>))
)]
#[get("/v1/grants")]
pub(super) async fn list_grants(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(filter): Query<GrantFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.grants(&who, Which::from(filter), paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, ProvisionedGrant::from)))
}

/// Give access
#[utoipa::path(
    tag = "grants",
    responses(
        (status = 201, description = "Given", body = GivenGrant),
        (status = 202, description = "It waits for a second person", body = Proposed),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[post("/v1/grants")]
pub(super) async fn give(
    service: Data<Service>,
    Anyone(who): Anyone,
    Json(give): Json<Give>,
) -> Result<HttpResponse, Problem> {
    let (new, to) = give.read()?;
    match service.app.give(&who, new, to.into()).await? {
        Settled::Done(given) => Ok(HttpResponse::Created().json(GivenGrant::from(given))),
        Settled::Proposed(proposal) => Ok(HttpResponse::Accepted().json(Proposed::from(*proposal))),
    }
}

/// One grant, and whether it works at each of its locks
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses((status = 200, description = "The grant", body = ProvisionedGrant))
)]
#[get("/v1/grants/{grant_id}")]
pub(super) async fn show_grant(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.grant(&who, id).await?;
    Ok(HttpResponse::Ok().json(ProvisionedGrant::from(shown)))
}

/// Replace what a grant gives, as a whole
///
/// Its holder stays, and so do the uses that are taken. What is left out is what it is in a new grant, never what it was.
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses(
        (status = 200, description = "Replaced", body = ChangedGrant),
        (status = 403), (status = 409),
    )
)]
#[put("/v1/grants/{grant_id}")]
pub(super) async fn change_grant(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
    Json(change): Json<Change>,
) -> Result<HttpResponse, Problem> {
    let (new,) = change.read()?;
    let changed = service.app.change_grant(&who, id, new).await?;
    Ok(HttpResponse::Ok().json(ChangedGrant::from(changed)))
}

/// Take a grant back
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses((status = 200, description = "Taken back", body = Revoked), (status = 403))
)]
#[post("/v1/grants/{grant_id}/revoke")]
pub(super) async fn revoke(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.revoke(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
