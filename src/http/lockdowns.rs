//! Lockdowns: nobody but the excepted is let in, until a time. The way out is never touched.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post, put};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::{Anyone, Manager, Viewer};
use super::json::{Json, object_or_nothing};
use super::path::Id;
use super::problem::Problem;
use super::proposals::Proposed;
use super::{Service, schema};
use crate::app::lockdowns::{AtDoor, NewList, NewLockdown, Shown};
use crate::app::proposals::Settled;
use crate::domain::ids::{GrantId, LockId, LockdownId, PersonId, PropertyId, UnitId};
use crate::domain::lockdown::{self, Exceptions, ListName, LockdownReason, Part};
use crate::domain::time::Timestamp;

/// The most units or locks that a part names.
const MOST_NAMED: usize = 200;

/// A lockdown to order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BeginLockdown {
    /// The first instant at which it holds no more: a week from now at the latest.
    #[schema(value_type = schema::Time)]
    until: Timestamp,
    /// Why, for everybody whom it keeps out.
    #[schema(value_type = schema::LockdownReason)]
    reason: LockdownReason,
    /// Which doors; left out for all of the property.
    #[serde(default)]
    #[schema(value_type = Option<schema::LockdownPart>)]
    part: WrittenPart,
    /// Whom not; left out for nobody.
    #[serde(default, deserialize_with = "object_or_nothing")]
    #[schema(value_type = Option<WrittenExceptions>)]
    except: Option<WrittenExceptions>,
}

/// How a lockdown is to go on, as a whole; its doors stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeLockdown {
    /// The first instant at which it holds no more: a week from now at the latest.
    #[schema(value_type = schema::Time)]
    until: Timestamp,
    /// Why, for everybody whom it keeps out.
    #[schema(value_type = schema::LockdownReason)]
    reason: LockdownReason,
    /// Whom not; left out for nobody.
    #[serde(default, deserialize_with = "object_or_nothing")]
    #[schema(value_type = Option<WrittenExceptions>)]
    except: Option<WrittenExceptions>,
}

/// Which doors.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
struct WrittenPart(Part);

impl Default for WrittenPart {
    fn default() -> Self {
        Self(Part::Whole)
    }
}

impl TryFrom<Value> for WrittenPart {
    type Error = &'static str;

    fn try_from(written: Value) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected \"shared\", {\"unit_ids\": [...]} or {\"lock_ids\": [...]} with 1 to 200 ids";
        let is_some_of = |count: usize| (1..=MOST_NAMED).contains(&count);
        let part = match written {
            Value::Null => Some(Part::Whole),
            Value::String(word) if word == "shared" => Some(Part::Shared),
            Value::Object(mut members) if members.len() == 1 => {
                let units = members.remove("unit_ids").map(serde_json::from_value::<Vec<UnitId>>);
                let locks = members.remove("lock_ids").map(serde_json::from_value::<Vec<LockId>>);
                match (units, locks) {
                    (Some(Ok(units)), None) if is_some_of(units.len()) => Some(Part::Units(units)),
                    (None, Some(Ok(locks))) if is_some_of(locks.len()) => Some(Part::Locks(locks)),
                    _ => None,
                }
            }
            _ => None,
        };
        part.map(Self).ok_or(EXPECTED)
    }
}

/// Whom a lockdown does not concern; they need a right as ever.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenExceptions {
    /// People, by whatever right they come.
    #[serde(default)]
    #[schema(value_type = Vec<schema::PersonId>)]
    person_ids: Vec<PersonId>,
    /// Whoever comes by these grants.
    #[serde(default)]
    #[schema(value_type = Vec<schema::GrantId>)]
    grant_ids: Vec<GrantId>,
    /// Whoever is on these lists of the property. `emergency-services` is one that every property has.
    #[serde(default)]
    #[schema(value_type = Vec<schema::ListName>)]
    lists: Vec<ListName>,
}

impl From<WrittenExceptions> for Exceptions {
    fn from(written: WrittenExceptions) -> Self {
        Self {
            persons: written.person_ids,
            grants: written.grant_ids,
            lists: written.lists,
        }
    }
}

impl From<Exceptions> for WrittenExceptions {
    fn from(except: Exceptions) -> Self {
        Self {
            person_ids: except.persons,
            grant_ids: except.grants,
            lists: except.lists,
        }
    }
}

/// A lockdown that holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Lockdown {
    #[schema(value_type = schema::LockdownId)]
    id: LockdownId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    #[schema(value_type = schema::LockdownReason)]
    reason: LockdownReason,
    #[schema(value_type = schema::Time)]
    begun_at: Timestamp,
    /// The first instant at which it holds no more.
    #[schema(value_type = schema::Time)]
    until: Timestamp,
    /// Which doors: `whole`, `shared`, or the ids of units or locks.
    #[schema(value_type = schema::LockdownPart)]
    part: Value,
    /// Whom not; to staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    except: Option<WrittenExceptions>,
    /// Who ordered it; to staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PersonId>)]
    begun_by: Option<PersonId>,
}

impl Lockdown {
    pub(super) fn of(lockdown: lockdown::Lockdown, is_for_staff: bool) -> Self {
        let part = match lockdown.part {
            Part::Whole => "whole".into(),
            Part::Shared => "shared".into(),
            // Whose doors else are shut is nobody's business.
            Part::Units(units) if is_for_staff => serde_json::json!({ "unit_ids": units }),
            Part::Locks(locks) if is_for_staff => serde_json::json!({ "lock_ids": locks }),
            Part::Units(_) | Part::Locks(_) => "some".into(),
        };
        Self {
            id: lockdown.id,
            property_id: lockdown.property,
            reason: lockdown.reason,
            begun_at: lockdown.begun_at,
            until: lockdown.until,
            part,
            except: is_for_staff.then(|| lockdown.except.into()),
            begun_by: is_for_staff.then_some(lockdown.begun_by),
        }
    }
}

/// The lockdowns of a property, and what its locks know of them.
#[derive(Serialize, ToSchema)]
struct Lockdowns {
    /// Those that hold now; to who is no staff, those that concern doors of theirs.
    lockdowns: Vec<Lockdown>,
    /// The doors that are covered, and those whose locks have not confirmed that it is over; to staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    locks: Option<Vec<LockdownAtDoor>>,
}

/// What one lock knows of the lockdowns.
#[derive(Serialize, ToSchema)]
struct LockdownAtDoor {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// `holds`: its own word says so. `pending`: it has not said so yet. `not-supported`: it does not know lockdowns; its
    /// passes were revoked, and its PINs go on working.
    #[schema(value_type = schema::LockdownStatus)]
    status: &'static str,
    /// When it was last heard of; `null` for never.
    #[schema(value_type = Option<schema::Time>, required = true)]
    last_seen: Option<Timestamp>,
    /// Until when somebody who is kept out may still come in here by a pass, a PIN or a code that they have already; `null`
    /// where nobody may.
    #[schema(value_type = Option<schema::Time>, required = true)]
    may_open_until: Option<Timestamp>,
}

impl From<AtDoor> for LockdownAtDoor {
    fn from(door: AtDoor) -> Self {
        Self {
            lock_id: door.lock.id,
            status: door.holding.as_str(),
            last_seen: door.lock.online.map(|seen| seen.at),
            may_open_until: door.may_open_until,
        }
    }
}

impl From<Shown> for Lockdowns {
    fn from(shown: Shown) -> Self {
        let is_for_staff = shown.doors.is_some();
        let lockdowns = shown.lockdowns.into_iter();
        Self {
            lockdowns: lockdowns.map(|lockdown| Lockdown::of(lockdown, is_for_staff)).collect(),
            locks: shown
                .doors
                .map(|doors| doors.into_iter().map(LockdownAtDoor::from).collect()),
        }
    }
}

/// A lockdown as it was just ordered or changed, and what the locks of its property know.
#[derive(Serialize, ToSchema)]
struct OrderedLockdown {
    #[serde(flatten)]
    lockdown: Lockdown,
    locks: Vec<LockdownAtDoor>,
}

impl From<(lockdown::Lockdown, Shown)> for OrderedLockdown {
    fn from((lockdown, shown): (lockdown::Lockdown, Shown)) -> Self {
        let doors = shown.doors.unwrap_or_default();
        Self {
            lockdown: Lockdown::of(lockdown, true),
            locks: doors.into_iter().map(LockdownAtDoor::from).collect(),
        }
    }
}

/// Who is to be on a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutList {
    /// People, by whatever right they come.
    #[serde(default)]
    #[schema(value_type = Vec<schema::PersonId>)]
    person_ids: Vec<PersonId>,
    /// Whoever comes by these grants.
    #[serde(default)]
    #[schema(value_type = Vec<schema::GrantId>)]
    grant_ids: Vec<GrantId>,
}

/// People and grants under a name.
#[derive(Serialize, ToSchema)]
pub(super) struct LockdownList {
    #[schema(value_type = schema::ListName)]
    name: ListName,
    #[schema(value_type = Vec<schema::PersonId>)]
    person_ids: Vec<PersonId>,
    #[schema(value_type = Vec<schema::GrantId>)]
    grant_ids: Vec<GrantId>,
}

impl From<lockdown::List> for LockdownList {
    fn from(list: lockdown::List) -> Self {
        Self {
            name: list.name,
            person_ids: list.persons,
            grant_ids: list.grants,
        }
    }
}

/// The lists of a property.
#[derive(Serialize, ToSchema)]
struct LockdownLists {
    lists: Vec<LockdownList>,
}

/// Keep everybody out but the excepted
///
/// From now on nothing is issued for the doors but to those who are excepted; locks are told at once where they are there. It
/// never touches the way out: locking, the inside and mechanical keys. It ends by itself.
#[utoipa::path(
    tag = "lockdowns",
    params(("property_id" = schema::PropertyId, Path)),
    responses(
        (status = 201, description = "It holds", body = OrderedLockdown),
        (status = 202, description = "It waits for a second person", body = Proposed),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[post("/v1/properties/{property_id}/lockdown")]
pub(super) async fn begin_lockdown(
    service: Data<Service>,
    Manager(who): Manager,
    Id(property): Id<PropertyId>,
    Json(order): Json<BeginLockdown>,
) -> Result<HttpResponse, Problem> {
    let new = NewLockdown {
        until: order.until,
        reason: order.reason,
        except: order.except.unwrap_or_default().into(),
    };
    let WrittenPart(part) = order.part;
    match service.app.begin_lockdown(&who, property, part, new).await? {
        Settled::Done(ordered) => Ok(HttpResponse::Created().json(OrderedLockdown::from(ordered))),
        Settled::Proposed(proposal) => Ok(HttpResponse::Accepted().json(Proposed::from(*proposal))),
    }
}

/// Is there a lockdown, and which locks hold it?
///
/// Staff sees all of it; residents and whoever has a grant there, those that concern doors of theirs.
#[utoipa::path(
    tag = "lockdowns",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "The lockdowns", body = Lockdowns), (status = 403), (status = 404))
)]
#[get("/v1/properties/{property_id}/lockdown")]
pub(super) async fn show_lockdowns(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(property): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.lockdowns(&who, property).await?;
    Ok(HttpResponse::Ok().json(Lockdowns::from(shown)))
}

/// End every lockdown of a property early
#[utoipa::path(
    tag = "lockdowns",
    params(("property_id" = schema::PropertyId, Path)),
    responses(
        (status = 200, description = "Ended; locks that have not confirmed it are still listed", body = Lockdowns),
        (status = 403), (status = 404),
    )
)]
#[delete("/v1/properties/{property_id}/lockdown")]
pub(super) async fn end_lockdowns(
    service: Data<Service>,
    Manager(who): Manager,
    Id(property): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.end_lockdowns(&who, property).await?;
    Ok(HttpResponse::Ok().json(Lockdowns::from(shown)))
}

/// Change until when a lockdown holds, why, and whom it excepts
#[utoipa::path(
    tag = "lockdowns",
    params(("lockdown_id" = schema::LockdownId, Path)),
    responses(
        (status = 200, description = "Changed", body = OrderedLockdown),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[put("/v1/lockdowns/{lockdown_id}")]
pub(super) async fn change_lockdown(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockdownId>,
    Json(change): Json<ChangeLockdown>,
) -> Result<HttpResponse, Problem> {
    let new = NewLockdown {
        until: change.until,
        reason: change.reason,
        except: change.except.unwrap_or_default().into(),
    };
    let changed = service.app.change_lockdown(&who, id, new).await?;
    Ok(HttpResponse::Ok().json(OrderedLockdown::from(changed)))
}

/// End one lockdown early; a second time changes nothing
#[utoipa::path(
    tag = "lockdowns",
    params(("lockdown_id" = schema::LockdownId, Path)),
    responses(
        (status = 200, description = "Ended; locks that have not confirmed it are still listed", body = Lockdowns),
        (status = 403), (status = 404),
    )
)]
#[delete("/v1/lockdowns/{lockdown_id}")]
pub(super) async fn end_lockdown(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockdownId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.end_lockdown(&who, id).await?;
    Ok(HttpResponse::Ok().json(Lockdowns::from(shown)))
}

/// The lists of people and grants that lockdowns of a property can except by name
#[utoipa::path(
    tag = "lockdowns",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "The lists", body = LockdownLists), (status = 403), (status = 404))
)]
#[get("/v1/properties/{property_id}/lockdown-lists")]
pub(super) async fn show_lists(
    service: Data<Service>,
    Viewer(who): Viewer,
    Id(property): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    let lists = service.app.lockdown_lists(&who, property).await?;
    Ok(HttpResponse::Ok().json(LockdownLists {
        lists: lists.into_iter().map(LockdownList::from).collect(),
    }))
}

/// Write a list as a whole; lockdowns that hold go by it from now on
#[utoipa::path(
    tag = "lockdowns",
    params(("property_id" = schema::PropertyId, Path), ("list_name" = schema::ListName, Path)),
    responses(
        (status = 200, description = "Written", body = LockdownList),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[put("/v1/properties/{property_id}/lockdown-lists/{list_name}")]
pub(super) async fn put_list(
    service: Data<Service>,
    Manager(who): Manager,
    Id(property): Id<PropertyId>,
    Id(name): Id<ListName>,
    Json(list): Json<PutList>,
) -> Result<HttpResponse, Problem> {
    let new = NewList {
        persons: list.person_ids,
        grants: list.grant_ids,
    };
    let list = service.app.put_lockdown_list(&who, property, name, new).await?;
    Ok(HttpResponse::Ok().json(LockdownList::from(list)))
}
