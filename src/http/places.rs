//! Properties and their units.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Manager, Staff};
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::places::PropertyChange;
use crate::domain::ids::{OrganizationId, PropertyId, UnitId};
use crate::domain::place::{self, Address, PlaceName};
use crate::domain::time::{TimeZone, Timestamp};

/// A building or a group of buildings.
#[derive(Serialize, ToSchema)]
pub(super) struct Property {
    #[schema(value_type = schema::PropertyId)]
    id: PropertyId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
    #[schema(value_type = schema::Address)]
    address: Address,
    /// The zone in which the schedules of its doors are read.
    #[schema(value_type = schema::TimeZone)]
    time_zone: TimeZone,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
}

impl From<place::Property> for Property {
    fn from(property: place::Property) -> Self {
        Self {
            id: property.id,
            organization_id: property.organization,
            name: property.name,
            address: property.address,
            time_zone: property.time_zone,
            created_at: property.created_at,
        }
    }
}

/// A flat in a property.
#[derive(Serialize, ToSchema)]
pub(super) struct Unit {
    #[schema(value_type = schema::UnitId)]
    id: UnitId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
}

impl From<place::Unit> for Unit {
    fn from(unit: place::Unit) -> Self {
        Self {
            id: unit.id,
            property_id: unit.property,
            name: unit.name,
            created_at: unit.created_at,
        }
    }
}

/// A property to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddProperty {
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
    #[schema(value_type = schema::Address)]
    address: Address,
    #[schema(value_type = schema::TimeZone)]
    time_zone: TimeZone,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeProperty {
    #[schema(value_type = Option<schema::PlaceName>)]
    name: Option<PlaceName>,
    #[schema(value_type = Option<schema::Address>)]
    address: Option<Address>,
    #[schema(value_type = Option<schema::TimeZone>)]
    time_zone: Option<TimeZone>,
}

/// A unit to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddUnit {
    /// The only one of this name in the property.
    #[schema(value_type = schema::PlaceName)]
    name: PlaceName,
}

/// The properties that the caller manages
#[utoipa::path(
    tag = "places",
    params(Paging),
    responses((status = 200, description = "A page of properties", body = List<Property>), (status = 403))
)]
#[get("/v1/properties")]
pub(super) async fn list_properties(
    service: Data<Service>,
    Staff(who): Staff,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.properties(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Property::from)))
}

/// Add a property
#[utoipa::path(
    tag = "places",
    responses(
        (status = 201, description = "Added", body = Property),
        (status = 403), (status = 404),
    )
)]
#[post("/v1/properties")]
pub(super) async fn add_property(
    service: Data<Service>,
    Manager(who): Manager,
    Json(property): Json<AddProperty>,
) -> Result<HttpResponse, Problem> {
    let AddProperty {
        organization_id,
        name,
        address,
        time_zone,
    } = property;
    let property = service
        .app
        .add_property(&who, organization_id, name, address, time_zone)
        .await?;
    Ok(HttpResponse::Created().json(Property::from(property)))
}

/// One property
#[utoipa::path(
    tag = "places",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "The property", body = Property), (status = 403))
)]
#[get("/v1/properties/{property_id}")]
pub(super) async fn show_property(
    service: Data<Service>,
    Staff(who): Staff,
    Id(id): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    let property = service.app.property(&who, id).await?;
    Ok(HttpResponse::Ok().json(Property::from(property)))
}

/// Change a property; schedules are read in its new zone from now on
#[utoipa::path(
    tag = "places",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "Changed", body = Property), (status = 403))
)]
#[patch("/v1/properties/{property_id}")]
pub(super) async fn change_property(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<PropertyId>,
    Json(change): Json<ChangeProperty>,
) -> Result<HttpResponse, Problem> {
    let change = PropertyChange {
        name: change.name,
        address: change.address,
        time_zone: change.time_zone,
    };
    let property = service.app.change_property(&who, id, change).await?;
    Ok(HttpResponse::Ok().json(Property::from(property)))
}

/// Delete a property that has neither units nor locks
#[utoipa::path(
    tag = "places",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 204, description = "Deleted"), (status = 403), (status = 409))
)]
#[delete("/v1/properties/{property_id}")]
pub(super) async fn delete_property(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    service.app.delete_property(&who, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The units of a property
#[utoipa::path(
    tag = "places",
    params(("property_id" = schema::PropertyId, Path), Paging),
    responses((status = 200, description = "A page of units", body = List<Unit>), (status = 403))
)]
#[get("/v1/properties/{property_id}/units")]
pub(super) async fn list_units(
    service: Data<Service>,
    Staff(who): Staff,
    Id(property): Id<PropertyId>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.units(&who, property, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Unit::from)))
}

/// Add a unit to a property
#[utoipa::path(
    tag = "places",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 201, description = "Added", body = Unit), (status = 403), (status = 409))
)]
#[post("/v1/properties/{property_id}/units")]
pub(super) async fn add_unit(
    service: Data<Service>,
    Manager(who): Manager,
    Id(property): Id<PropertyId>,
    Json(unit): Json<AddUnit>,
) -> Result<HttpResponse, Problem> {
    let unit = service.app.add_unit(&who, property, unit.name).await?;
    Ok(HttpResponse::Created().json(Unit::from(unit)))
}
