//! What a property has decided about lock-outs.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, put};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::lockouts::PolicyView;
use crate::domain::ids::{PersonId, PropertyId};
use crate::domain::lockout::Policy;
use crate::domain::time::Timestamp;
use crate::http::auth::{Anyone, Manager};
use crate::http::json::Json;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Service, schema};

/// A policy as it holds.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LockoutPolicyView {
    #[serde(flatten)]
    #[schema(value_type = schema::LockoutPolicy)]
    policy: Policy,
    /// `null` where the property has decided nothing, and this is what holds everywhere.
    #[schema(value_type = Option<schema::Time>, required = true)]
    decided_at: Option<Timestamp>,
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    decided_by: Option<PersonId>,
}

impl From<PolicyView> for LockoutPolicyView {
    fn from(view: PolicyView) -> Self {
        let (decided_by, decided_at) = view.decided.unzip();
        Self {
            policy: view.policy,
            decided_at,
            decided_by,
        }
    }
}

/// What happens here to who is locked out, and what it costs: for staff, and for whoever lives there
#[utoipa::path(
    tag = "lock-outs",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "The policy", body = LockoutPolicyView), (status = 403))
)]
#[get("/v1/properties/{property_id}/lockout-policy")]
pub(in crate::http) async fn show_policy(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(property): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    let view = service.app.lockout_policy(&who, property).await?;
    Ok(HttpResponse::Ok().json(LockoutPolicyView::from(view)))
}

/// Decide the whole policy; it holds for what is asked for from now on
#[utoipa::path(
    tag = "lock-outs",
    params(("property_id" = schema::PropertyId, Path)),
    request_body = schema::LockoutPolicy,
    responses((status = 200, description = "Decided", body = LockoutPolicyView), (status = 403))
)]
#[put("/v1/properties/{property_id}/lockout-policy")]
pub(in crate::http) async fn set_policy(
    service: Data<Service>,
    Manager(who): Manager,
    Id(property): Id<PropertyId>,
    Json(policy): Json<Policy>,
) -> Result<HttpResponse, Problem> {
    let view = service.app.set_lockout_policy(&who, property, policy).await?;
    Ok(HttpResponse::Ok().json(LockoutPolicyView::from(view)))
}
