//! What an organization decides for itself.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Owner;
use super::json::Json;
use super::path::Id;
use super::problem::Problem;
use super::proposals::Proposed;
use super::{Service, schema};
use crate::app::proposals::Settled;
use crate::domain::ids::OrganizationId;
use crate::domain::rules::{self, AskedRules, DelayHours};
use crate::domain::time::Timestamp;

/// What needs a second person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TwoPerson {
    /// A grant by which its holder can open all locks of a property, or all but one, where these are three or more.
    whole_property_grants: bool,
    /// A lockdown.
    lockdown: bool,
}

impl From<rules::TwoPerson> for TwoPerson {
    fn from(rule: rules::TwoPerson) -> Self {
        Self {
            whole_property_grants: rule.whole_property_grants,
            lockdown: rule.lockdown,
        }
    }
}

/// The rules to go by; they replace the present ones whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetRules {
    two_person: TwoPerson,
    /// How long access of the house to homes of others waits; a shorter wait counts once the present one has passed.
    #[schema(value_type = schema::DelayHours)]
    self_grant_delay_hours: DelayHours,
    /// Whether people open doors, and make ways in, only in sessions that are bound to a key of their phone; left out, it
    /// stays as it is.
    phone_key_required: Option<bool>,
}

/// The rules of an organization.
#[derive(Serialize, ToSchema)]
pub(super) struct Rules {
    two_person: TwoPerson,
    #[schema(value_type = schema::DelayHours)]
    self_grant_delay_hours: DelayHours,
    /// The wait that counts now.
    #[schema(value_type = schema::DelayHours)]
    present_delay_hours: DelayHours,
    /// Whether people open doors, and make ways in, only in sessions that are bound to a key of their phone.
    phone_key_required: bool,
}

impl Rules {
    /// `rules` as they are told at `now`.
    pub(super) fn of(rules: &rules::Rules, now: Timestamp) -> Self {
        Self {
            two_person: rules.two_person.into(),
            self_grant_delay_hours: rules.self_grant_delay,
            present_delay_hours: rules.delay_at(now),
            phone_key_required: rules.phone_key_required,
        }
    }
}

/// The rules of an organization
#[utoipa::path(
    tag = "rules",
    params(("organization_id" = schema::OrganizationId, Path)),
    responses((status = 200, description = "The rules", body = Rules), (status = 403))
)]
#[get("/v1/organizations/{organization_id}/rules")]
pub(super) async fn show_rules(
    service: Data<Service>,
    Owner(who): Owner,
    Id(organization): Id<OrganizationId>,
) -> Result<HttpResponse, Problem> {
    let rules = service.app.rules(&who, organization).await?;
    Ok(HttpResponse::Ok().json(Rules::of(&rules, service.app.now())))
}

/// Replace the rules of an organization; giving up a second person needs two
#[utoipa::path(
    tag = "rules",
    params(("organization_id" = schema::OrganizationId, Path)),
    responses(
        (status = 200, description = "Replaced", body = Rules),
        (status = 202, description = "It waits for a second person", body = Proposed),
        (status = 403), (status = 409),
    )
)]
#[put("/v1/organizations/{organization_id}/rules")]
pub(super) async fn set_rules(
    service: Data<Service>,
    Owner(who): Owner,
    Id(organization): Id<OrganizationId>,
    Json(set): Json<SetRules>,
) -> Result<HttpResponse, Problem> {
    let asked = AskedRules {
        two_person: rules::TwoPerson {
            whole_property_grants: set.two_person.whole_property_grants,
            lockdown: set.two_person.lockdown,
        },
        self_grant_delay_hours: set.self_grant_delay_hours,
        phone_key_required: set.phone_key_required,
    };
    match service.app.set_rules(&who, organization, asked).await? {
        Settled::Done(rules) => Ok(HttpResponse::Ok().json(Rules::of(&rules, service.app.now()))),
        Settled::Proposed(proposal) => Ok(HttpResponse::Accepted().json(Proposed::from(*proposal))),
    }
}
