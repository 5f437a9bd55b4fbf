//! Giving access and taking it back.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Manager, Viewer};
use super::invitations::Invited;
use super::json::{Json, Object, object_or_nothing};
use super::page::{List, Paging};
use super::path::Id;
use super::pins::{CodeAtLock, PinAtLock};
use super::problem::Problem;
use super::proposals::Proposed;
use super::query::Query;
use super::{Service, schema};
use crate::app::grants::{Given, To};
use crate::app::proposals::Settled;
use crate::app::revocations::Revocation;
use crate::domain::account::Email;
use crate::domain::grant::{self, GrantReason, GrantState, Holder, NewGrant, Way};
use crate::domain::ids::{GrantId, InvitationId, LockId, OrganizationId, PersonId};
use crate::domain::lock::{self, LockState};
use crate::domain::pass::Role;
use crate::domain::schedule::Schedule;
use crate::domain::time::Timestamp;

/// Access to give.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Give {
    /// The doors, all of one organization.
    #[schema(value_type = Vec<schema::LockId>, min_items = 1, max_items = 50)]
    lock_ids: Vec<LockId>,
    #[schema(value_type = schema::Receiver)]
    to: Receiver,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// The end, exclusive; left out for none.
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
    /// When within that, by the clock of the property; left out for always.
    #[serde(default, deserialize_with = "object_or_nothing")]
    #[schema(value_type = Option<schema::Schedule>)]
    schedule: Option<Schedule>,
    /// How many openings; left out for any number.
    #[schema(minimum = 1, maximum = 1000)]
    uses: Option<u32>,
    /// The ways in, `app` among them; left out for `app` and `offline`.
    #[schema(value_type = Option<Vec<schema::Way>>)]
    ways: Option<Vec<Way>>,
    /// As what its holder comes; a guest where it is left out. A vendor's offline passes live shorter.
    #[schema(value_type = Option<schema::GrantRole>)]
    role: Option<Role>,
    /// Whether its holder may give others access under it.
    delegable: Option<bool>,
    /// Why; needed where it lets somebody who works for the landlord, or a program, into homes of others, who are told.
    #[schema(value_type = Option<schema::GrantReason>)]
    reason: Option<GrantReason>,
}

/// To whom.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Object<WrittenReceiver>")]
enum Receiver {
    /// A member of the organization.
    PersonId(PersonId),
    /// Whoever has this address; somebody who is no member is invited as a guest.
    Email(Email),
}

/// As it stands in a body: one of the two. An enum of serde would call any other number of members broken JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenReceiver {
    person_id: Option<PersonId>,
    email: Option<Email>,
}

impl TryFrom<Object<WrittenReceiver>> for Receiver {
    type Error = &'static str;

    fn try_from(Object(written): Object<WrittenReceiver>) -> Result<Self, Self::Error> {
        match (written.person_id, written.email) {
            (Some(person), None) => Ok(Self::PersonId(person)),
            (None, Some(email)) => Ok(Self::Email(email)),
            _ => Err("expected either `person_id` or `email`"),
        }
    }
}

/// Somebody's access to some locks.
#[derive(Serialize, ToSchema)]
pub(super) struct Grant {
    #[schema(value_type = schema::GrantId)]
    id: GrantId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = Vec<schema::LockId>)]
    lock_ids: Vec<LockId>,
    /// Who holds it; `null` while an invitation waits to be accepted.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    person_id: Option<PersonId>,
    /// The invitation that it waits for.
    #[schema(value_type = Option<schema::InvitationId>, required = true)]
    invitation_id: Option<InvitationId>,
    #[schema(value_type = schema::PersonId)]
    given_by: PersonId,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = Option<schema::Time>, required = true)]
    ends_at: Option<Timestamp>,
    #[schema(value_type = Option<schema::Schedule>, required = true)]
    schedule: Option<Schedule>,
    /// How many openings it allows; `null` for any number.
    #[schema(required = true)]
    uses: Option<u32>,
    /// How many of them are taken.
    #[schema(required = true)]
    uses_taken: Option<u32>,
    #[schema(value_type = Vec<schema::Way>)]
    ways: Vec<Way>,
    #[schema(value_type = schema::GrantRole)]
    role: Role,
    /// When it was taken back; `null` while it stands.
    #[schema(value_type = Option<schema::Time>, required = true)]
    revoked_at: Option<Timestamp>,
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    revoked_by: Option<PersonId>,
}

impl From<grant::Grant> for Grant {
    fn from(grant: grant::Grant) -> Self {
        let (person_id, invitation_id) = match grant.holder {
            Holder::Person(person) => (Some(person), None),
            Holder::Invited(invitation) => (None, Some(invitation)),
        };
        let (revoked_at, revoked_by) = match grant.state {
            GrantState::Active => (None, None),
            GrantState::Revoked { at, by } => (Some(at), Some(by)),
        };
        let terms = grant.terms;
        Self {
            id: grant.id,
            organization_id: grant.organization,
            lock_ids: terms.locks,
            person_id,
            invitation_id,
            given_by: grant.given_by,
            created_at: grant.created_at,
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            schedule: terms.schedule,
            uses: terms.uses.map(|uses| uses.limit()),
            uses_taken: terms.uses.map(|uses| uses.taken()),
            ways: terms.ways,
            role: terms.role,
            revoked_at,
            revoked_by,
        }
    }
}

/// A grant that was given, with the invitation that its holder has to accept where they are no member yet.
#[derive(Serialize, ToSchema)]
pub(super) struct GivenGrant {
    #[serde(flatten)]
    grant: Grant,
    #[schema(required = true)]
    invitation: Option<Invited>,
}

impl From<Given> for GivenGrant {
    fn from(given: Given) -> Self {
        Self {
            grant: given.grant.into(),
            invitation: given.invitation.map(Invited::from),
        }
    }
}

/// A grant, and what its locks know of it.
#[derive(Serialize, ToSchema)]
struct ProvisionedGrant {
    #[serde(flatten)]
    grant: Grant,
    locks: Vec<Provisioning>,
}

/// Whether a grant works at one lock.
#[derive(Serialize, ToSchema)]
struct Provisioning {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// `ready`: the backend decides at every request, the lock need not know. `not-in-service`: the lock is not claimed
    /// yet, retired, or set apart.
    status: &'static str,
    /// Its PIN there; `null` where it has none.
    #[schema(required = true)]
    pin: Option<PinAtLock>,
    /// Computed codes that were given for it and are not over.
    codes: Vec<CodeAtLock>,
    /// Until when a bolt may still move by an offline pass of the grant; `null` where by none. Of a grant that was taken back
    /// `null` means that the lock has confirmed, or that every pass has ended.
    #[schema(value_type = Option<schema::Time>, required = true)]
    may_open_until: Option<Timestamp>,
}

impl From<(lock::Lock, Option<Timestamp>)> for Provisioning {
    fn from((lock, may_open_until): (lock::Lock, Option<Timestamp>)) -> Self {
        let is_ready = lock.state == LockState::Enrolled && !lock.quarantined;
        Self {
            lock_id: lock.id,
            status: if is_ready { "ready" } else { "not-in-service" },
            pin: None,
            codes: Vec::new(),
            may_open_until,
        }
    }
}

/// Access that was taken back.
#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    /// No bolt moves by it after this time.
    #[schema(value_type = schema::Time)]
    effective_no_later_than: Timestamp,
    /// The locks that have not confirmed that they know, where an offline pass has not ended.
    #[schema(value_type = Vec<schema::LockId>)]
    waiting_for: Vec<LockId>,
}

impl From<Revocation> for Revoked {
    fn from(revocation: Revocation) -> Self {
        Self {
            effective_no_later_than: revocation.effective_no_later_than,
            waiting_for: revocation.waiting_for,
        }
    }
}

/// Which grants.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct GrantFilter {
    /// Only those that name this lock.
    #[param(value_type = schema::LockId, required = false)]
    lock_id: Option<LockId>,
    /// Only those that this person holds.
    #[param(value_type = schema::PersonId, required = false)]
    person_id: Option<PersonId>,
}

/// The grants that the caller manages
#[utoipa::path(
    tag = "grants",
    params(GrantFilter, Paging),
    responses((status = 200, description = "A page of grants", body = List<Grant>), (status = 403))
)]
#[get("/v1/grants")]
pub(super) async fn list_grants(
    service: Data<Service>,
    Viewer(who): Viewer,
    Query(filter): Query<GrantFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service
        .app
        .grants(&who, filter.lock_id, filter.person_id, paging.request()?)
        .await?;
    Ok(HttpResponse::Ok().json(List::of(page, Grant::from)))
}

/// Give access
#[utoipa::path(
    tag = "grants",
    responses(
        (status = 201, description = "Given", body = GivenGrant),
        (status = 202, description = "It waits for a second person", body = Proposed),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[post("/v1/grants")]
pub(super) async fn give(
    service: Data<Service>,
    Manager(who): Manager,
    Json(give): Json<Give>,
) -> Result<HttpResponse, Problem> {
    let to = match give.to {
        Receiver::PersonId(person) => To::Person(person),
        Receiver::Email(email) => To::Email(email),
    };
    let new = NewGrant {
        locks: give.lock_ids,
        starts_at: give.starts_at,
        ends_at: give.ends_at,
        schedule: give.schedule,
        uses: give.uses,
        ways: give.ways,
        role: give.role,
        delegable: give.delegable,
        spare: None,
        reason: give.reason,
    };
    match service.app.give(&who, new, to).await? {
        Settled::Done(given) => Ok(HttpResponse::Created().json(GivenGrant::from(given))),
        Settled::Proposed(proposal) => Ok(HttpResponse::Accepted().json(Proposed::from(*proposal))),
    }
}

/// One grant, and whether it works at each of its locks
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses((status = 200, description = "The grant", body = ProvisionedGrant), (status = 403))
)]
#[get("/v1/grants/{grant_id}")]
pub(super) async fn show_grant(
    service: Data<Service>,
    Viewer(who): Viewer,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let (slots, codes) = service.app.pins_of_grant(&who, id.clone()).await?;
    let shown = service.app.grant(&who, id).await?;
    let provisioned = shown.locks.into_iter().map(|(lock, may_open_until)| Provisioning {
        pin: slots.iter().find(|view| view.slot.lock == lock.id).map(PinAtLock::from),
        codes: (codes.iter())
            .filter(|view| view.code.lock == lock.id)
            .map(CodeAtLock::from)
            .collect(),
        ..Provisioning::from((lock, may_open_until))
    });
    Ok(HttpResponse::Ok().json(ProvisionedGrant {
        grant: shown.grant.into(),
        locks: provisioned.collect(),
    }))
}

/// Take a grant back
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses((status = 200, description = "Taken back", body = Revoked), (status = 403))
)]
#[post("/v1/grants/{grant_id}/revoke")]
pub(super) async fn revoke(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.revoke(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
