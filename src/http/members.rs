//! Who belongs to an organization.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Manager, Staff};
use super::grants::Revoked;
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::members;
use crate::domain::account::{Email, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};

/// A member of an organization.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    #[schema(value_type = schema::PersonId)]
    id: PersonId,
    /// `null` for a program, and for a guest without an account.
    #[schema(value_type = Option<schema::Email>, required = true)]
    email: Option<Email>,
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    #[schema(value_type = schema::Role)]
    role: Role,
}

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        Self {
            id: member.person.id,
            email: Some(member.person.email).filter(Email::leads_somewhere),
            name: member.person.name,
            role: member.role,
        }
    }
}

/// The members of an organization
#[utoipa::path(
    tag = "members",
    params(("organization_id" = schema::OrganizationId, Path), Paging),
    responses((status = 200, description = "A page of members", body = List<Member>), (status = 403))
)]
#[get("/v1/organizations/{organization_id}/members")]
pub(super) async fn list_members(
    service: Data<Service>,
    Staff(who): Staff,
    Id(organization): Id<OrganizationId>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.members(&who, organization, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Member::from)))
}

/// The role that a member is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeRole {
    #[schema(value_type = schema::Role)]
    role: Role,
}

/// Give a member another role; what they hold as a tenant or a guest stays theirs
#[utoipa::path(
    tag = "members",
    params(("organization_id" = schema::OrganizationId, Path), ("person_id" = schema::PersonId, Path)),
    responses((status = 200, description = "The member", body = Member), (status = 403), (status = 409))
)]
#[put("/v1/organizations/{organization_id}/members/{person_id}/role")]
pub(super) async fn change_role(
    service: Data<Service>,
    Manager(who): Manager,
    Id(organization): Id<OrganizationId>,
    Id(person): Id<PersonId>,
    Json(ChangeRole { role }): Json<ChangeRole>,
) -> Result<HttpResponse, Problem> {
    let member = service.app.change_role(&who, organization, person, role).await?;
    Ok(HttpResponse::Ok().json(Member::from(member)))
}

/// Put somebody out of an organization: their grants and tenancies there end now
#[utoipa::path(
    tag = "members",
    params(("organization_id" = schema::OrganizationId, Path), ("person_id" = schema::PersonId, Path)),
    responses((status = 200, description = "Put out", body = Revoked), (status = 403), (status = 409))
)]
#[delete("/v1/organizations/{organization_id}/members/{person_id}")]
pub(super) async fn remove_member(
    service: Data<Service>,
    Manager(who): Manager,
    Id(organization): Id<OrganizationId>,
    Id(person): Id<PersonId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.remove_member(&who, organization, person).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
