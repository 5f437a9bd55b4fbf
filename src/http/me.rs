//! The caller.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Anyone;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::members::Me as Caller;
use crate::domain::account::{Email, OrganizationName, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};

/// Who the caller is.
#[derive(Serialize, ToSchema)]
struct Me {
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

impl From<Caller> for Me {
    fn from(Caller { person, memberships }: Caller) -> Self {
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
