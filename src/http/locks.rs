//! Locks: adding, seeing, changing, claiming and retiring them.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Manager;
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::locks::{Claim, LockChange};
use crate::domain::ids::{LockId, OrganizationId, PropertyId, UnitId};
use crate::domain::lock::{self, LockKind, LockState, Observed};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

/// A value and when it was observed: an old one means unknown.
#[derive(Serialize, ToSchema)]
pub(super) struct Seen<T> {
    value: T,
    #[schema(value_type = schema::Time)]
    observed_at: Timestamp,
}

impl<T> Seen<T> {
    fn of<V>(observed: Observed<V>, tell: impl Fn(V) -> T) -> Self {
        Self {
            value: tell(observed.value),
            observed_at: observed.at,
        }
    }
}

/// A door's lock.
#[derive(Serialize, ToSchema)]
struct Lock {
    #[schema(value_type = schema::LockId)]
    id: LockId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    /// The unit whose own door it is; `null` for a shared door of the property.
    #[schema(value_type = Option<schema::UnitId>, required = true)]
    unit_id: Option<UnitId>,
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
    #[schema(value_type = schema::LockKind)]
    kind: LockKind,
    #[schema(value_type = schema::LockState)]
    state: LockState,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// What its maker calls it; `null` until a controller has claimed it.
    #[schema(required = true)]
    model: Option<String>,
    #[schema(required = true)]
    firmware: Option<String>,
    /// Whether two histories of it were seen; nothing opens it then.
    quarantined: bool,
    /// `adapter` where an adapter verifies for a device that believes its broker; `null` for a lock that verifies itself.
    #[schema(required = true)]
    assurance: Option<&'static str>,
    /// Whether it can be asked now; `null` where it was never heard of.
    #[schema(required = true)]
    online: Option<Seen<bool>>,
    /// `locked`, `unlocked` or `unknown`.
    #[schema(required = true)]
    bolt: Option<Seen<String>>,
    /// `open`, `closed` or `unknown`.
    #[schema(required = true)]
    door: Option<Seen<String>>,
    /// In per cent.
    #[schema(required = true)]
    battery: Option<Seen<u8>>,
}

impl Lock {
    /// `lock` as it is told at `now`.
    fn of(lock: lock::Lock, now: Timestamp) -> Self {
        let is_online = lock.is_online(now);
        Self {
            online: lock.online.map(|seen| Seen::of(seen, |_| is_online)),
            bolt: lock.bolt.map(|seen| Seen::of(seen, |bolt| bolt.as_str().to_owned())),
            door: lock.door.map(|seen| Seen::of(seen, |door| door.as_str().to_owned())),
            battery: lock.battery.map(|seen| Seen::of(seen, |percent| percent)),
            id: lock.id,
            organization_id: lock.organization,
            property_id: lock.property,
            unit_id: lock.unit,
            name: lock.name,
            kind: lock.kind,
            state: lock.state,
            created_at: lock.created_at,
            model: lock.model,
            firmware: lock.firmware,
            quarantined: lock.quarantined,
            assurance: lock.assurance.map(lock::Assurance::as_str),
        }
    }
}

/// A lock to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddLock {
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    /// The unit whose own door it is; left out for a shared door of the property.
    #[schema(value_type = Option<schema::UnitId>)]
    unit_id: Option<UnitId>,
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
    #[schema(value_type = schema::LockKind)]
    kind: LockKind,
}

/// A lock that was added, and the code by which its controller claims it.
#[derive(Serialize, ToSchema)]
struct AddedLock {
    #[schema(value_type = schema::LockId)]
    id: LockId,
    claim: ClaimCode,
}

/// The code that claims a lock, shown this once.
#[derive(Serialize, ToSchema)]
struct ClaimCode {
    code: String,
    /// Until when it can be used.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

impl From<Claim> for ClaimCode {
    fn from(claim: Claim) -> Self {
        Self {
            code: claim.code.expose().to_string(),
            expires_at: claim.ends_at,
        }
    }
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeLock {
    #[schema(value_type = Option<schema::PlaceName>)]
    name: Option<PlaceName>,
    /// The unit whose own door it is; `null` makes it a shared one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<schema::UnitId>)]
    unit_id: Option<Option<UnitId>>,
}

/// Tells a field that is `null` from one that is left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Which locks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LockFilter {
    /// Only those of this property.
    #[param(value_type = schema::PropertyId, required = false)]
    property_id: Option<PropertyId>,
}

/// The locks that the caller manages
#[utoipa::path(
    tag = "locks",
    params(LockFilter, Paging),
    responses((status = 200, description = "A page of locks", body = List<Lock>), (status = 403))
)]
#[get("/v1/locks")]
pub(super) async fn list_locks(
    service: Data<Service>,
    Manager(who): Manager,
    Query(filter): Query<LockFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.locks(&who, filter.property_id, paging.request()?).await?;
    let now = service.app.now();
    Ok(HttpResponse::Ok().json(List::of(page, |lock| Lock::of(lock, now))))
}

/// Add a lock, and get the code by which its controller claims it
#[utoipa::path(
    tag = "locks",
    responses(
        (status = 201, description = "Added", body = AddedLock),
        (status = 403), (status = 404),
    )
)]
#[post("/v1/locks")]
pub(super) async fn add_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Json(AddLock {
        property_id,
        unit_id,
        name,
        kind,
    }): Json<AddLock>,
) -> Result<HttpResponse, Problem> {
    let (lock, claim) = service.app.add_lock(&who, property_id, unit_id, name, kind).await?;
    Ok(HttpResponse::Created().json(AddedLock {
        id: lock.id,
        claim: claim.into(),
    }))
}

/// One lock
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "The lock", body = Lock), (status = 403))
)]
#[get("/v1/locks/{lock_id}")]
pub(super) async fn show_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let lock = service.app.lock(&who, id).await?;
    Ok(HttpResponse::Ok().json(Lock::of(lock, service.app.now())))
}

/// Change a lock's name or unit
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "Changed", body = Lock), (status = 403))
)]
#[patch("/v1/locks/{lock_id}")]
pub(super) async fn change_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
    Json(ChangeLock { name, unit_id }): Json<ChangeLock>,
) -> Result<HttpResponse, Problem> {
    let change = LockChange { name, unit: unit_id };
    let lock = service.app.change_lock(&who, id, change).await?;
    Ok(HttpResponse::Ok().json(Lock::of(lock, service.app.now())))
}

/// Make a new claim code for a lock that nobody has claimed; the one before is void
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "A new code", body = ClaimCode), (status = 403), (status = 409))
)]
#[post("/v1/locks/{lock_id}/claim")]
pub(super) async fn renew_claim(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let claim: ClaimCode = service.app.renew_claim(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(claim))
}

/// Take a lock out of service: its broker session ends at once; its log stays
#[utoipa::path(
    tag = "locks",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "Retired", body = Lock), (status = 403), (status = 409))
)]
#[post("/v1/locks/{lock_id}/retire")]
pub(super) async fn retire_lock(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let lock = service.app.retire_lock(&who, id).await?;
    Ok(HttpResponse::Ok().json(Lock::of(lock, service.app.now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_unit_is_something_else_than_nothing_said_of_the_unit() {
        let unit = UnitId::from_bits(1);
        for (body, unit_id) in [
            ("{}".to_owned(), None),
            (r#"{"unit_id":null}"#.to_owned(), Some(None)),
            (format!(r#"{{"unit_id":"{unit}"}}"#), Some(Some(unit))),
        ] {
            let change: ChangeLock = serde_json::from_str(&body).unwrap();
            assert_eq!(change.unit_id, unit_id, "{body}");
        }
    }
}
