//! How locks end and move: release, retirement, transfer.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

use super::super::auth::Manager;
use super::super::json::{Json, JsonOrNothing};
use super::super::path::Id;
use super::super::problem::Problem;
use super::super::unlock::Wait;
use super::super::{Service, schema};
use super::Lock;
use crate::app::locks::Destination;
use crate::domain::ids::{GrantId, LockId, PropertyId, UnitId};
use crate::domain::lock::LockState;
use crate::domain::time::Timestamp;

/// Take a lock out of service: its broker session ends at once; its log stays
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "Retired", body = Lock), (status = 403), (status = 409))
)]
#[post("/v1/locks/{lock_id}/retire")]
pub(in crate::http) async fn retire_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let lock = service.app.retire_lock(&who, id).await?;
    Ok(HttpResponse::Ok().json(Lock::of(lock, service.app.now())))
}

/// What is answered to a release, for the document alone.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the handler answers by hand: one of them is a problem")]
enum Releases {
    #[response(
        status = 200,
        description = "The lock has said that it leaves: it is `unclaimed`, and keeps its grants"
    )]
    Left(Lock),
    #[response(status = 202, description = "The wait ended first; it may leave a little later")]
    Asked(Lock),
    #[response(status = 403)]
    Forbidden,
    #[response(
        status = 409,
        description = "`lock-offline`: only a connected lock can be let go. `lock-unclaimed`, `lock-retired`"
    )]
    Conflict,
}

/// Let a lock go: it forgets its organization, and can be claimed again
///
/// Waits up to `wait_ms` for the lock's signed word. It is unclaimed from then on, under the same id and with its grants.
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    request_body = Option<Wait>,
    responses(Releases)
)]
#[post("/v1/locks/{lock_id}/release")]
pub(in crate::http) async fn release_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
    JsonOrNothing(wait): JsonOrNothing<Wait>,
) -> Result<HttpResponse, Problem> {
    let wait = wait.or(service.app.usual_wait());
    let lock = service.app.release_lock(&who, id, wait).await?;
    let mut answer = match lock.state {
        LockState::Enrolled => HttpResponse::Accepted(),
        LockState::Unclaimed | LockState::Retired => HttpResponse::Ok(),
    };
    Ok(answer.json(Lock::of(lock, service.app.now())))
}

/// Where a lock goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferLock {
    /// A property of the same organization.
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    /// The unit whose own door it is there; left out for a shared door of the property.
    #[schema(value_type = Option<schema::UnitId>)]
    unit_id: Option<UnitId>,
    /// Whether the grants that name the lock go on for it there; left out, they end.
    #[serde(default)]
    keep_grants: bool,
}

/// A lock that was transferred, and what became of the grants that named it.
#[derive(Serialize, ToSchema)]
struct TransferredLock {
    lock: Lock,
    /// Those that ended for it: taken back, or without it where they name other locks too.
    #[schema(value_type = Vec<schema::GrantId>)]
    grants_ended: Vec<GrantId>,
    /// Those that go on for it; their schedules are read by the clock of the new property.
    #[schema(value_type = Vec<schema::GrantId>)]
    grants_kept: Vec<GrantId>,
    /// No bolt moves by what ended after this time.
    #[schema(value_type = schema::Time)]
    effective_no_later_than: Timestamp,
}

/// Put a lock on another door of the organization
///
/// Grants that name it end unless `keep_grants` says otherwise; a tenancy opens it or not by where it is now. Old entries
/// of the log keep the place where they happened.
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses(
        (status = 200, description = "Transferred", body = TransferredLock),
        (status = 403),
        (status = 409, description = "`lock-retired`"),
    )
)]
#[post("/v1/locks/{lock_id}/transfer")]
pub(in crate::http) async fn transfer_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
    Json(TransferLock {
        property_id,
        unit_id,
        keep_grants,
    }): Json<TransferLock>,
) -> Result<HttpResponse, Problem> {
    let to = Destination {
        property: property_id,
        unit: unit_id,
        keep_grants,
    };
    let transfer = service.app.transfer_lock(&who, id, to).await?;
    Ok(HttpResponse::Ok().json(TransferredLock {
        lock: Lock::of(transfer.lock, service.app.now()),
        grants_ended: transfer.grants_ended,
        grants_kept: transfer.grants_kept,
        effective_no_later_than: transfer.effective_no_later_than,
    }))
}
