//! Bringing people in.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Manager, SessionKey};
use super::json::{Json, object_or_nothing};
use super::peer::{ClientAddress, ClientDevice};
use super::problem::Problem;
use super::sessions::TokenPair;
use super::{Service, schema};
use crate::app::invitations::{Offer, SecretLink};
use crate::app::own_sessions::Arrival;
use crate::crypto::recovery_code::FactorCode;
use crate::crypto::secret::Secret;
use crate::domain::account::{Email, PersonName, Role};
use crate::domain::ids::{InvitationId, OrganizationId, UnitId};
use crate::domain::password::Password;
use crate::domain::time::Timestamp;

/// Whom to invite to what: a role, or a tenancy, and not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::Email)]
    email: Email,
    #[schema(value_type = Option<schema::Role>)]
    role: Option<Role>,
    #[serde(default, deserialize_with = "object_or_nothing")]
    tenancy: Option<OfferedTenancy>,
    /// Whether the link goes to that address by letter, where this installation sends letters.
    #[serde(default = "yes")]
    #[schema(default = true)]
    letter: bool,
}

const fn yes() -> bool {
    true
}

/// Where the invited person is to live, and from when until when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OfferedTenancy {
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
}

impl Invite {
    /// What is offered.
    ///
    /// # Errors
    /// `invalid-field` where it is nothing, or two things.
    fn offer(role: Option<Role>, tenancy: Option<OfferedTenancy>) -> Result<Offer, Problem> {
        match (role, tenancy) {
            (Some(role), None) => Ok(Offer::Role(role)),
            (None, Some(tenancy)) => Ok(Offer::Tenancy {
                unit: tenancy.unit_id,
                starts_at: tenancy.starts_at,
                ends_at: tenancy.ends_at,
            }),
            _ => Err(Problem::invalid_field("role", "expected either `role` or `tenancy`")),
        }
    }
}

/// An invitation, and the link that accepts it.
#[derive(Serialize, ToSchema)]
pub(super) struct Invited {
    #[schema(value_type = schema::InvitationId)]
    id: InvitationId,
    /// Shown this once. Its secret is in the fragment, which browsers do not send.
    #[schema(format = "uri")]
    secret_link: String,
    /// Until when the link works.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// Whether it goes to the address by letter; else hand it on yourself.
    by_letter: bool,
}

impl From<SecretLink> for Invited {
    fn from(link: SecretLink) -> Self {
        Self {
            id: link.id,
            secret_link: link.url,
            expires_at: link.ends_at,
            by_letter: link.by_letter,
        }
    }
}

/// Who accepts: the link's secret, their name and a password, which for somebody who has an account is its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    #[schema(value_type = schema::Secret)]
    secret: Secret,
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    #[schema(value_type = schema::Password)]
    password: Password,
    /// What the second factor's device shows, or a recovery code; of an account that is there; asked for by `second-factor-needed`.
    #[schema(value_type = schema::FactorCode)]
    code: Option<FactorCode>,
}

/// Invite somebody into an organization
#[utoipa::path(
    tag = "invitations",
    responses(
        (status = 201, description = "Invited", body = Invited),
        (status = 403), (status = 404),
    )
)]
#[post("/v1/invitations")]
pub(super) async fn invite(
    service: Data<Service>,
    Manager(who): Manager,
    Json(invite): Json<Invite>,
) -> Result<HttpResponse, Problem> {
    let offer = Invite::offer(invite.role, invite.tenancy)?;
    let invited: Invited = service
        .app
        .invite(&who, invite.organization_id, invite.email, offer, invite.letter)
        .await?
        .into();
    Ok(HttpResponse::Created().json(invited))
}

/// Accept an invitation, and be signed in
#[utoipa::path(
    tag = "invitations",
    security(()),
    responses(
        (status = 200, description = "Accepted and signed in", body = TokenPair),
        (status = 401), (status = 404), (status = 429),
    )
)]
#[post("/v1/invitations/accept")]
pub(super) async fn accept_invitation(
    service: Data<Service>,
    ClientAddress(address): ClientAddress,
    ClientDevice(device): ClientDevice,
    SessionKey(key): SessionKey,
    Json(Accept {
        secret,
        name,
        password,
        code,
    }): Json<Accept>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_invitation(address)?;
    let from = Arrival { address, device, key };
    let tokens = service
        .app
        .accept_invitation(secret, name, password, code, from)
        .await?;
    Ok(HttpResponse::Ok().json(TokenPair::of(&tokens, service.app.now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_offers_one_thing() {
        let tenancy = || OfferedTenancy {
            unit_id: UnitId::from_bits(1),
            starts_at: Timestamp::MIN,
            ends_at: None,
        };
        for (role, tenancy, accepted) in [
            (Some(Role::Guest), None, true),
            (None, Some(tenancy()), true),
            (Some(Role::Tenant), Some(tenancy()), false),
            (None, None, false),
        ] {
            assert_eq!(Invite::offer(role, tenancy).is_ok(), accepted, "{role:?}");
        }
    }
}
