//! Who lives where, from when to when.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Anyone, Manager, Staff};
use super::invitations::Invited;
use super::json::{Json, JsonOrNothing};
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::tenancies::{Filter, GivenTenancy, NamedTenancy, Resident, SettledTenancy};
use crate::domain::account::Email;
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use crate::domain::place::PlaceName;
use crate::domain::tenancy::{Standing, Term};
use crate::domain::time::Timestamp;

/// A tenancy to give, to a member or to whoever has an address: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GiveTenancy {
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    /// A member of the organization.
    #[schema(value_type = Option<schema::PersonId>)]
    person_id: Option<PersonId>,
    /// Whoever has this address; somebody who is no member is invited with the tenancy.
    #[schema(value_type = Option<schema::Email>)]
    email: Option<Email>,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// The end, exclusive; left out for none.
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
}

/// The whole term of a tenancy, in the place of the present one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeTenancy {
    /// Of a tenancy that has begun: as it is.
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// The end, exclusive; left out for none.
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
}

/// When a tenancy is to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndTenancy {
    /// Left out for now.
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
}

/// A person's stay in a unit.
#[derive(Serialize, ToSchema)]
pub(super) struct Tenancy {
    #[schema(value_type = schema::TenancyId)]
    id: TenancyId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    #[schema(value_type = schema::PlaceName)]
    property_name: PlaceName,
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    #[schema(value_type = schema::PlaceName)]
    unit_name: PlaceName,
    #[schema(value_type = schema::PersonId)]
    person_id: PersonId,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = Option<schema::Time>, required = true)]
    ends_at: Option<Timestamp>,
    #[schema(value_type = schema::Standing)]
    status: Standing,
    /// Who gave it, or changed its term last; `null` of one from before this was kept.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    set_by: Option<PersonId>,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
}

impl Tenancy {
    pub(super) fn of(named: NamedTenancy, now: Timestamp) -> Self {
        let NamedTenancy {
            tenancy,
            unit_name,
            property_name,
        } = named;
        Self {
            status: tenancy.standing(now),
            id: tenancy.id,
            organization_id: tenancy.organization,
            property_id: tenancy.property,
            property_name,
            unit_id: tenancy.unit,
            unit_name,
            person_id: tenancy.person,
            starts_at: tenancy.term.starts_at,
            ends_at: tenancy.term.ends_at,
            set_by: tenancy.set_by,
            created_at: tenancy.created_at,
        }
    }
}

/// A tenancy that was given, or the invitation by which it will stand once it is accepted.
#[derive(Serialize, ToSchema)]
struct GivenTenancyOrInvitation {
    #[schema(required = true)]
    tenancy: Option<Tenancy>,
    #[schema(required = true)]
    invitation: Option<Invited>,
}

/// A tenancy whose end was set, and what can be promised of it.
#[derive(Serialize, ToSchema)]
struct SettledTenancyAnswer {
    #[serde(flatten)]
    tenancy: Tenancy,
    /// No bolt moves by it after this time; `null` while it has no end.
    #[schema(value_type = Option<schema::Time>, required = true)]
    effective_no_later_than: Option<Timestamp>,
    /// The locks that have not confirmed that they know, or, of an end that lies ahead, that must be there at that minute,
    /// where an offline pass outlives the end.
    #[schema(value_type = Vec<schema::LockId>)]
    waiting_for: Vec<LockId>,
    /// Grants that go on after the end at the unit's own doors, whoever holds them, and the tenant's at the shared ones.
    #[schema(value_type = Vec<schema::GrantId>)]
    grants_left: Vec<GrantId>,
}

impl SettledTenancyAnswer {
    fn of(settled: SettledTenancy, now: Timestamp) -> Self {
        let (effective_no_later_than, waiting_for) = match settled.last {
            Some(last) => (Some(last.effective_no_later_than), last.waiting_for),
            None => (None, Vec::new()),
        };
        Self {
            tenancy: Tenancy::of(settled.tenancy, now),
            effective_no_later_than,
            waiting_for,
            grants_left: settled.grants_left,
        }
    }
}

/// Which tenancies.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TenancyFilter {
    /// Only those of this unit.
    #[param(value_type = schema::UnitId, required = false)]
    unit_id: Option<UnitId>,
    /// Only those of this person.
    #[param(value_type = schema::PersonId, required = false)]
    person_id: Option<PersonId>,
    /// Only those in this property.
    #[param(value_type = schema::PropertyId, required = false)]
    property_id: Option<PropertyId>,
    /// Only those that hold at this time.
    #[param(value_type = schema::Time, required = false)]
    at: Option<Timestamp>,
}

/// Who lives where, in the organizations that the caller works for
#[utoipa::path(
    tag = "tenancies",
    params(TenancyFilter, Paging),
    responses((status = 200, description = "A page of tenancies", body = List<Tenancy>), (status = 403))
)]
#[get("/v1/tenancies")]
pub(super) async fn list_tenancies(
    service: Data<Service>,
    Staff(who): Staff,
    Query(filter): Query<TenancyFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let filter = Filter {
        unit: filter.unit_id,
        person: filter.person_id,
        property: filter.property_id,
        at: filter.at,
    };
    let page = service.app.tenancies(&who, filter, paging.request()?).await?;
    let now = service.app.now();
    Ok(HttpResponse::Ok().json(List::of(page, |named| Tenancy::of(named, now))))
}

/// Let somebody live in a unit
#[utoipa::path(
    tag = "tenancies",
    responses(
        (status = 201, description = "Given, or invited", body = GivenTenancyOrInvitation),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[post("/v1/tenancies")]
pub(super) async fn give_tenancy(
    service: Data<Service>,
    Manager(who): Manager,
    Json(give): Json<GiveTenancy>,
) -> Result<HttpResponse, Problem> {
    let to = match (give.person_id, give.email) {
        (Some(person), None) => Resident::Person(person),
        (None, Some(email)) => Resident::Email(email),
        _ => {
            return Err(Problem::invalid_field(
                "person_id",
                "expected either `person_id` or `email`",
            ));
        }
    };
    let term = Term {
        starts_at: give.starts_at,
        ends_at: give.ends_at,
    };
    let given = service.app.give_tenancy(&who, give.unit_id, term, to).await?;
    let now = service.app.now();
    let (tenancy, invitation) = match given {
        GivenTenancy::Stands(named) => (Some(Tenancy::of(named, now)), None),
        GivenTenancy::Invited(link) => (None, Some(Invited::from(link))),
    };
    Ok(HttpResponse::Created().json(GivenTenancyOrInvitation { tenancy, invitation }))
}

/// One tenancy
#[utoipa::path(
    tag = "tenancies",
    params(("tenancy_id" = schema::TenancyId, Path)),
    responses((status = 200, description = "The tenancy", body = Tenancy), (status = 403))
)]
#[get("/v1/tenancies/{tenancy_id}")]
pub(super) async fn show_tenancy(
    service: Data<Service>,
    Staff(who): Staff,
    Id(id): Id<TenancyId>,
) -> Result<HttpResponse, Problem> {
    let named = service.app.tenancy(&who, id).await?;
    Ok(HttpResponse::Ok().json(Tenancy::of(named, service.app.now())))
}

/// Give a tenancy another term, all of it
#[utoipa::path(
    tag = "tenancies",
    params(("tenancy_id" = schema::TenancyId, Path)),
    responses(
        (status = 200, description = "Changed", body = SettledTenancyAnswer),
        (status = 403), (status = 409),
    )
)]
#[put("/v1/tenancies/{tenancy_id}")]
pub(super) async fn change_tenancy(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<TenancyId>,
    Json(change): Json<ChangeTenancy>,
) -> Result<HttpResponse, Problem> {
    let term = Term {
        starts_at: change.starts_at,
        ends_at: change.ends_at,
    };
    let settled = service.app.change_tenancy(&who, id, term).await?;
    Ok(HttpResponse::Ok().json(SettledTenancyAnswer::of(settled, service.app.now())))
}

/// End a tenancy, now or at a later time
#[utoipa::path(
    tag = "tenancies",
    params(("tenancy_id" = schema::TenancyId, Path)),
    request_body(content = EndTenancy),
    responses((status = 200, description = "Ended, or to end then", body = SettledTenancyAnswer), (status = 403))
)]
#[post("/v1/tenancies/{tenancy_id}/end")]
pub(super) async fn end_tenancy(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<TenancyId>,
    JsonOrNothing(end): JsonOrNothing<EndTenancy>,
) -> Result<HttpResponse, Problem> {
    let settled = service.app.end_tenancy(&who, id, end.ends_at).await?;
    Ok(HttpResponse::Ok().json(SettledTenancyAnswer::of(settled, service.app.now())))
}

/// Where the caller lives, has lived and will live
#[utoipa::path(
    tag = "tenancies",
    params(Paging),
    responses((status = 200, description = "A page of tenancies", body = List<Tenancy>))
)]
#[get("/v1/me/tenancies")]
pub(super) async fn list_own_tenancies(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.own_tenancies(&who, paging.request()?).await?;
    let now = service.app.now();
    Ok(HttpResponse::Ok().json(List::of(page, |named| Tenancy::of(named, now))))
}
