//! The caller.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Anyone, Caller};
use super::page::List;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::members;
use crate::app::unlock::Openable;
use crate::domain::account::{Email, OrganizationName, PersonName, Role};
use crate::domain::grant::Way;
use crate::domain::ids::{LockId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::page::Page;
use crate::domain::place::PlaceName;
use crate::domain::time::{TimeZone, Timestamp};

/// Who the caller is.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[schema(value_type = schema::PersonId)]
    id: PersonId,
    #[schema(value_type = schema::Email)]
    email: Email,
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    /// Where they belong, and as what.
    memberships: Vec<Membership>,
}

/// The caller's place in an organization.
#[derive(Serialize, ToSchema)]
struct Membership {
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::OrganizationName)]
    organization_name: OrganizationName,
    #[schema(value_type = schema::Role)]
    role: Role,
}

impl From<members::Me> for Me {
    fn from(members::Me { person, memberships }: members::Me) -> Self {
        let memberships = memberships.into_iter().map(|(membership, name)| Membership {
            organization_id: membership.organization,
            organization_name: name,
            role: membership.role,
        });
        Self {
            id: person.id,
            email: person.email,
            name: person.name,
            memberships: memberships.collect(),
        }
    }
}

/// Who am I, and where do I belong?
#[utoipa::path(tag = "sign-in", responses((status = 200, description = "The caller", body = Me)))]
#[get("/v1/me")]
pub(super) async fn show_me(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let me: Me = service.app.me(&who).await?.into();
    Ok(HttpResponse::Ok().json(me))
}

/// A lock that the caller may open, now or later.
#[derive(Serialize, ToSchema)]
struct MyLock {
    #[schema(value_type = schema::LockId)]
    id: LockId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    #[schema(value_type = Option<schema::UnitId>, required = true)]
    unit_id: Option<UnitId>,
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
    #[schema(value_type = schema::PlaceName)]
    property_name: PlaceName,
    /// By whose clock its times are read.
    #[schema(value_type = schema::TimeZone)]
    time_zone: TimeZone,
    /// Whether the caller would be let in now.
    opens_now: bool,
    /// Why not now: a stable word, as an `access-refused` would say it.
    #[schema(required = true)]
    reason: Option<&'static str>,
    /// When it opens next, where that is known.
    #[schema(value_type = Option<schema::Time>, required = true)]
    opens_at: Option<Timestamp>,
    /// Whether the lock can be reached now.
    online: bool,
    /// By which ways; `offline` where a pass is to be had now.
    #[schema(value_type = Vec<schema::Way>)]
    ways: Vec<Way>,
    /// From when on an offline pass that is taken now would count no more; `null` where there is none to have.
    #[schema(value_type = Option<schema::Time>, required = true)]
    pass_until: Option<Timestamp>,
}

impl MyLock {
    /// `openable` as it is told at `now`.
    fn of(openable: Openable, now: Timestamp) -> Self {
        let Openable {
            lock,
            property_name,
            time_zone,
            is_open,
            refusal,
            ways,
            pass_until,
        } = openable;
        Self {
            online: lock.is_online(now),
            id: lock.id,
            property_id: lock.property,
            unit_id: lock.unit,
            name: lock.name,
            property_name,
            time_zone,
            opens_now: is_open,
            reason: refusal.map(|told| told.reason),
            opens_at: refusal.and_then(|told| told.opens_at),
            ways,
            pass_until,
        }
    }
}

/// What may I open, now or when, and how?
#[utoipa::path(
    tag = "unlock",
    responses((status = 200, description = "All of them, on one page", body = List<MyLock>))
)]
#[get("/v1/me/locks")]
pub(super) async fn list_openable(service: Data<Service>, Caller(who): Caller) -> Result<HttpResponse, Problem> {
    let items = service.app.openable(&who).await?;
    let now = service.app.now();
    let all = Page::<_, String> { items, next: None };
    Ok(HttpResponse::Ok().json(List::of(all, |openable| MyLock::of(openable, now))))
}
