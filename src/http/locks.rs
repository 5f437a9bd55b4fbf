//! Locks: adding, seeing and changing them; below, their claim codes, their ends and their moves.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Manager, Staff};
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::locks::LockChange;
use crate::domain::ids::{LockId, OrganizationId, PropertyId, UnitId};
use crate::domain::lock::{self, LockKind, LockState, Observed};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

mod chain;
pub(super) mod claims;
pub(super) mod life;

use chain::Chain;
use claims::ClaimCode;

/// A value, and when it was observed: an old one means unknown.
#[derive(Serialize, ToSchema)]
pub(super) struct Seen<T> {
    /// What can be believed of it now.
    value: T,
    /// What was observed.
    last_value: T,
    #[schema(value_type = schema::Time)]
    observed_at: Timestamp,
}

impl<T> Seen<T> {
    /// What was observed, of which `value` can be believed now.
    fn of<V>(observed: Observed<V>, value: V, tell: impl Fn(V) -> T) -> Self {
        Self {
            value: tell(value),
            last_value: tell(observed.value),
            observed_at: observed.at,
        }
    }
}

/// What is left in a battery, and when that was observed.
#[derive(Serialize, ToSchema)]
struct SeenBattery {
    /// In per cent; `null` where it was observed too long ago.
    #[schema(required = true)]
    value: Option<u8>,
    /// What was observed.
    last_value: u8,
    #[schema(value_type = schema::Time)]
    observed_at: Timestamp,
}

/// A door's lock.
#[derive(Serialize, ToSchema)]
pub(super) struct Lock {
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
    /// `locked`, `unlocked` or `unknown`, which it is again after 150 s without a word.
    #[schema(required = true)]
    bolt: Option<Seen<String>>,
    /// `open`, `closed` or `unknown`, likewise.
    #[schema(required = true)]
    door: Option<Seen<String>>,
    /// In per cent; not known any more after a day without a word.
    #[schema(required = true)]
    battery: Option<SeenBattery>,
    /// Whether those who may open it may give others access to it; of no matter for a unit's own door.
    shareable: bool,
    /// How whole its events are; told where this one lock is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    chain: Option<Chain>,
}

impl Lock {
    /// `lock` as it is told at `now`.
    pub(super) fn of(lock: lock::Lock, now: Timestamp) -> Self {
        let (is_online, bolt, door) = (lock.is_online(now), lock.bolt_now(now), lock.door_now(now));
        Self {
            battery: lock.battery.map(|seen| SeenBattery {
                value: lock.battery_now(now),
                last_value: seen.value,
                observed_at: seen.at,
            }),
            online: lock.online.map(|seen| Seen::of(seen, is_online, |online| online)),
            bolt: lock
                .bolt
                .map(|seen| Seen::of(seen, bolt, |bolt| bolt.as_str().to_owned())),
            door: lock
                .door
                .map(|seen| Seen::of(seen, door, |door| door.as_str().to_owned())),
            chain: None,
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
            shareable: lock.shareable,
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

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeLock {
    #[schema(value_type = Option<schema::PlaceName>)]
    name: Option<PlaceName>,
    /// Whether those who may open a shared door may give others access to it.
    shareable: Option<bool>,
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
    Staff(who): Staff,
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
        claim: ClaimCode::of(claim)?,
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
    Staff(who): Staff,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let (lock, progress) = service.app.lock(&who, id).await?;
    let chain = Some(Chain::of(&progress, lock.quarantined));
    let lock = Lock::of(lock, service.app.now());
    Ok(HttpResponse::Ok().json(Lock { chain, ..lock }))
}

/// Change a lock's name or unit, or whether it may be shared
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
    Json(change): Json<ChangeLock>,
) -> Result<HttpResponse, Problem> {
    let change = LockChange {
        name: change.name,
        unit: change.unit_id,
        shareable: change.shareable,
    };
    let lock = service.app.change_lock(&who, id, change).await?;
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
