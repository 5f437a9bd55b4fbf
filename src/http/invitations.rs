//! Bringing people in.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Manager, SessionKey};
use super::grants::Revoked;
use super::json::{Json, object_or_nothing};
use super::page::{List, Paging};
use super::path::Id;
use super::peer::{ClientAddress, ClientDevice};
use super::problem::Problem;
use super::query::Query;
use super::sessions::TokenPair;
use super::{Service, schema};
use crate::app::invitations::{self, Offer, SecretLink};
use crate::app::own_sessions::Arrival;
use crate::crypto::recovery_code::FactorCode;
use crate::crypto::secret::Secret;
use crate::domain::account::{Email, PersonName, Role};
use crate::domain::ids::{InvitationId, OrganizationId, PersonId, UnitId};
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

/// An invitation that nobody has accepted yet.
#[derive(Serialize, ToSchema)]
pub(super) struct Invitation {
    #[schema(value_type = schema::InvitationId)]
    id: InvitationId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::Email)]
    email: Email,
    #[schema(value_type = schema::Role)]
    role: Role,
    /// Where and when they are to live; `null` for a role alone.
    #[schema(required = true)]
    tenancy: Option<InvitedTenancy>,
    #[schema(value_type = schema::PersonId)]
    invited_by: PersonId,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// Until when the link works.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

/// The stay that an invitation promises.
#[derive(Serialize, ToSchema)]
struct InvitedTenancy {
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = Option<schema::Time>, required = true)]
    ends_at: Option<Timestamp>,
}

impl From<invitations::Invitation> for Invitation {
    fn from(invitation: invitations::Invitation) -> Self {
        Self {
            id: invitation.id,
            organization_id: invitation.organization,
            email: invitation.email,
            role: invitation.role,
            tenancy: invitation.tenancy.map(|tenancy| InvitedTenancy {
                unit_id: tenancy.unit,
                starts_at: tenancy.starts_at,
                ends_at: tenancy.ends_at,
            }),
            invited_by: invitation.invited_by,
            created_at: invitation.created_at,
            expires_at: invitation.ends_at,
        }
    }
}

/// The invitations that can still be accepted, by id; without their links, which are shown once
#[utoipa::path(
    tag = "invitations",
    params(Paging),
    responses((status = 200, description = "A page of invitations", body = List<Invitation>), (status = 403))
)]
#[get("/v1/invitations")]
pub(super) async fn list_invitations(
    service: Data<Service>,
    Manager(who): Manager,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.invitations(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Invitation::from)))
}

/// Take an invitation back: its link lets nobody in any more, and the access that waits for it ends
#[utoipa::path(
    tag = "invitations",
    params(("invitation_id" = schema::InvitationId, Path)),
    responses(
        (status = 200, description = "Taken back, or over before", body = Revoked),
        (status = 403),
        (status = 409, description = "`invitation-accepted`"),
    )
)]
#[delete("/v1/invitations/{invitation_id}")]
pub(super) async fn withdraw_invitation(
    service: Data<Service>,
    Manager(who): Manager,
    Id(invitation): Id<InvitationId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.withdraw_invitation(&who, invitation).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
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
