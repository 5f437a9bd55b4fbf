//! What a property's log shows, and for how long.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, Manager};
use super::json::Json;
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::Error;
use crate::domain::ids::PropertyId;
use crate::domain::privacy::{OwnDoors, PrivacyRule, Retention, WrittenReason};
use crate::domain::time::Timestamp;

/// What the landlord sees at the doors of units that somebody lives in.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Rule {
    /// Not the comings and goings of residents and of their guests.
    Private,
    /// Everything, from the change on.
    LandlordSees,
}

/// A property's rule.
#[derive(Serialize, ToSchema)]
pub(super) struct Privacy {
    #[schema(inline)]
    own_doors: Rule,
    /// Since when the landlord sees everything; `null` where they do not.
    #[schema(value_type = Option<schema::Time>, required = true)]
    landlord_sees_since: Option<Timestamp>,
    /// How long what is recorded from now on is kept.
    retention_days: u16,
    /// Why longer than 90 days.
    #[schema(value_type = Option<schema::WrittenReason>, required = true)]
    retention_reason: Option<WrittenReason>,
}

impl From<PrivacyRule> for Privacy {
    fn from(rule: PrivacyRule) -> Self {
        let (own_doors, landlord_sees_since) = match rule.own_doors {
            OwnDoors::Private => (Rule::Private, None),
            OwnDoors::LandlordSees { since } => (Rule::LandlordSees, Some(since)),
        };
        Self {
            own_doors,
            landlord_sees_since,
            retention_days: rule.retention.days(),
            retention_reason: rule.retention.reason().cloned(),
        }
    }
}

/// The rule that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePrivacy {
    #[schema(inline)]
    own_doors: Rule,
    /// 1 to 1096.
    #[schema(minimum = 1, maximum = 1096)]
    retention_days: u16,
    /// Needed above 90 days; whoever lives there reads it.
    #[schema(value_type = Option<schema::WrittenReason>)]
    retention_reason: Option<WrittenReason>,
}

/// What is shown of this property and for how long? For who works or lives there
#[utoipa::path(
    tag = "privacy",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "The rule", body = Privacy))
)]
#[get("/v1/properties/{property_id}/privacy")]
pub(super) async fn show_privacy(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(property): Id<PropertyId>,
) -> Result<HttpResponse, Problem> {
    let privacy: Privacy = service.app.privacy(&who, property).await?.into();
    Ok(HttpResponse::Ok().json(privacy))
}

/// Change the rule: more is shown and longer kept from now on only, and everybody who lives there is told
#[utoipa::path(
    tag = "privacy",
    params(("property_id" = schema::PropertyId, Path)),
    responses((status = 200, description = "Changed", body = Privacy), (status = 403))
)]
#[put("/v1/properties/{property_id}/privacy")]
pub(super) async fn change_privacy(
    service: Data<Service>,
    Manager(who): Manager,
    Id(property): Id<PropertyId>,
    Json(change): Json<ChangePrivacy>,
) -> Result<HttpResponse, Problem> {
    let retention = Retention::new(change.retention_days, change.retention_reason);
    let retention = retention.map_err(|bad| Error::Invalid {
        field: bad.field(),
        why: bad.to_string(),
    })?;
    let landlord_sees = matches!(change.own_doors, Rule::LandlordSees);
    let rule = service
        .app
        .change_privacy(&who, property, landlord_sees, retention)
        .await?;
    Ok(HttpResponse::Ok().json(Privacy::from(rule)))
}
