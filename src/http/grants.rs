//! Giving access and taking it back.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Anyone;
use super::guests::LinkOfGrant;
use super::invitations::Invited;
use super::json::{Json, Object, object_or_nothing};
use super::page::{List, Paging};
use super::path::Id;
use super::pins::{CodeAtLock, PinAtLock};
use super::problem::Problem;
use super::proposals::Proposed;
use super::query::Query;
use super::{Service, schema};
use crate::app::grants::{Asked, Door, Given, Shown, To, Which};
use crate::app::proposals::Settled;
use crate::app::revocations::Revocation;
use crate::domain::account::{Email, PersonName};
use crate::domain::grant::{self, GrantReason, GrantState, Holder, NewGrant, Way};
use crate::domain::ids::{GrantId, InvitationId, LockId, OrganizationId, PersonId};
use crate::domain::pass::Role;
use crate::domain::schedule::Schedule;
use crate::domain::spare::{Minutes, OnSilence, Spare};
use crate::domain::time::Timestamp;

pub(super) mod spare;

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
    /// Whether it is a spare key: it opens nothing until it is released.
    spare: Option<bool>,
    /// Of a spare key: what becomes of an ask that nobody answers. `refuse` where it is left out.
    #[schema(value_type = Option<schema::OnSilence>)]
    on_silence: Option<OnSilence>,
    /// Of a spare key: how long there is to answer; 60 where it is left out.
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
    answer_within_minutes: Option<Minutes>,
    /// Of a spare key: how long a release lasts; 60 where it is left out.
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
    release_minutes: Option<Minutes>,
    /// Of a spare key that a tenant gives: whether the landlord's desk may release it too.
    landlord_may_release: Option<bool>,
}

/// What a grant is to give from now on, as a whole: what is left out is what it is in a new grant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The doors, all of the grant's organization.
    #[schema(value_type = Vec<schema::LockId>, min_items = 1, max_items = 50)]
    lock_ids: Vec<LockId>,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// The end, exclusive; left out for none.
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
    /// When within that, by the clock of the property; left out for always.
    #[serde(default, deserialize_with = "object_or_nothing")]
    #[schema(value_type = Option<schema::Schedule>)]
    schedule: Option<Schedule>,
    /// How many openings in all, those that are taken included; left out for any number.
    #[schema(minimum = 1, maximum = 1000)]
    uses: Option<u32>,
    /// The ways in, `app` among them; left out for `app` and `offline`.
    #[schema(value_type = Option<Vec<schema::Way>>)]
    ways: Option<Vec<Way>>,
    #[schema(value_type = Option<schema::GrantRole>)]
    role: Option<Role>,
    delegable: Option<bool>,
    spare: Option<bool>,
    #[schema(value_type = Option<schema::OnSilence>)]
    on_silence: Option<OnSilence>,
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
    answer_within_minutes: Option<Minutes>,
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
    release_minutes: Option<Minutes>,
    landlord_may_release: Option<bool>,
    /// Why; needed as in a new grant.
    #[schema(value_type = Option<schema::GrantReason>)]
    reason: Option<GrantReason>,
}

/// What a request says of a spare key.
struct SpareTerms {
    spare: Option<bool>,
    on_silence: Option<OnSilence>,
    answer_within_minutes: Option<Minutes>,
    release_minutes: Option<Minutes>,
    landlord_may_release: Option<bool>,
}

impl SpareTerms {
    /// The terms of the spare key; `None` where it is to be none.
    fn read(self) -> Result<Option<Spare>, Problem> {
        let usual = Spare::default();
        if self.spare == Some(true) {
            return Ok(Some(Spare {
                on_silence: self.on_silence.unwrap_or(usual.on_silence),
                answer_within: self.answer_within_minutes.unwrap_or(usual.answer_within),
                release_for: self.release_minutes.unwrap_or(usual.release_for),
                by_landlord: self.landlord_may_release.unwrap_or(usual.by_landlord),
            }));
        }
        let stray = [
            (self.on_silence.is_some(), "on_silence"),
            (self.answer_within_minutes.is_some(), "answer_within_minutes"),
            (self.release_minutes.is_some(), "release_minutes"),
            (self.landlord_may_release.is_some(), "landlord_may_release"),
        ];
        match stray.into_iter().find(|(is_said, _)| *is_said) {
            Some((_, field)) => Err(Problem::invalid_field(field, "this is for a grant with `spare: true`")),
            None => Ok(None),
        }
    }
}

/// To whom.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Object<WrittenReceiver>")]
enum Receiver {
    /// A member of the organization.
    PersonId(PersonId),
    /// Whoever has this address; somebody who is no member is invited as a guest.
    Email(Email),
    /// Somebody without an account.
    Guest(PersonName),
}

/// Somebody without an account, by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedGuest {
    name: PersonName,
}

/// As it stands in a body: one of the three. An enum of serde would call any other number of members broken JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenReceiver {
    person_id: Option<PersonId>,
    email: Option<Email>,
    #[serde(default, deserialize_with = "object_or_nothing")]
    guest: Option<NamedGuest>,
}

impl TryFrom<Object<WrittenReceiver>> for Receiver {
    type Error = &'static str;

    fn try_from(Object(written): Object<WrittenReceiver>) -> Result<Self, Self::Error> {
        match (written.person_id, written.email, written.guest) {
            (Some(person), None, None) => Ok(Self::PersonId(person)),
            (None, Some(email), None) => Ok(Self::Email(email)),
            (None, None, Some(guest)) => Ok(Self::Guest(guest.name)),
            _ => Err("expected one of `person_id`, `email` and `guest`"),
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
    /// Whether its holder may give others access under it.
    delegable: bool,
    /// The right of its giver under which it hangs, a grant or a tenancy; `null` for what the landlord gave.
    #[schema(required = true)]
    under: Option<String>,
    /// How it is released, where it is a spare key.
    #[schema(required = true)]
    spare: Option<SpareKey>,
    /// When it was taken back; `null` while it stands.
    #[schema(value_type = Option<schema::Time>, required = true)]
    revoked_at: Option<Timestamp>,
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    revoked_by: Option<PersonId>,
}

/// How a spare key is released, and where it is.
#[derive(Serialize, ToSchema)]
struct SpareKey {
    #[schema(value_type = schema::OnSilence)]
    on_silence: OnSilence,
    #[schema(value_type = u16)]
    answer_within_minutes: Minutes,
    #[schema(value_type = u16)]
    release_minutes: Minutes,
    landlord_may_release: bool,
    /// The end of the present release, exclusive; `null` where nobody has released it.
    #[schema(value_type = Option<schema::Time>, required = true)]
    released_until: Option<Timestamp>,
    /// The ask that waits for its answer.
    #[schema(required = true)]
    asked: Option<AskedFor>,
}

/// An ask for a spare key.
#[derive(Serialize, ToSchema)]
struct AskedFor {
    #[schema(value_type = schema::Time)]
    asked_at: Timestamp,
    /// Why, in the words of whoever asks.
    reason: String,
    /// When silence becomes the answer.
    #[schema(value_type = schema::Time)]
    answer_by: Timestamp,
}

impl SpareKey {
    fn of(spare: Spare, released_until: Option<Timestamp>, asked: Option<Asked>) -> Self {
        Self {
            on_silence: spare.on_silence,
            answer_within_minutes: spare.answer_within,
            release_minutes: spare.release_for,
            landlord_may_release: spare.by_landlord,
            released_until,
            asked: asked.map(|asked| AskedFor {
                asked_at: asked.asked_at,
                reason: asked.reason,
                answer_by: asked.answer_by,
            }),
        }
    }
}

impl From<grant::Grant> for Grant {
    fn from(grant: grant::Grant) -> Self {
        Self::with_ask(grant, None)
    }
}

impl Grant {
    /// The grant with the ask that waits, where it is a spare key.
    fn with_ask(grant: grant::Grant, asked: Option<Asked>) -> Self {
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
            delegable: terms.delegable,
            under: grant.under.map(|under| under.to_string()),
            spare: (terms.spare).map(|spare| SpareKey::of(spare, grant.released_until, asked)),
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
    /// The link by which its holder comes in without an account; `null` where none stands.
    #[schema(required = true)]
    link: Option<LinkOfGrant>,
    provisioning: Provisioning,
    /// The locks that it names, and those that it named and where something of it lingers.
    locks: Vec<GrantAtLock>,
}

/// How a grant is at all of its locks together.
#[derive(Serialize, ToSchema)]
struct Provisioning {
    /// `under-provisioned` where a lock lacks what the grant gives, `over-provisioned` where one may still open by what it gives
    /// no more, `both`, or `complete`.
    #[schema(value_type = schema::ProvisioningStatus)]
    status: &'static str,
    /// The locks that lack it.
    #[schema(value_type = Vec<schema::LockId>)]
    missing: Vec<LockId>,
    /// The locks that still have it.
    #[schema(value_type = Vec<schema::LockId>)]
    lingering: Vec<LockId>,
    failed: Vec<FailedAt>,
}

/// Where a grant does not come to its lock by itself.
#[derive(Serialize, ToSchema)]
struct FailedAt {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    reason: String,
}

/// Whether a grant works at one lock.
#[derive(Serialize, ToSchema)]
struct GrantAtLock {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// `ready`: it works. `pending`: the lock has not said yet that it knows the PIN. `failed`: it does not come to the lock.
    /// `not-in-service`: the lock is not claimed yet, retired, or set apart. Of a grant that is over, and of a lock that it names no
    /// more: `removing` while something of it may still open, then `removed`.
    #[schema(value_type = schema::GrantAtLockStatus)]
    status: &'static str,
    /// `failed`: why. `pin-not-given`: the other locks have a PIN that this one was never told; take it back and give another.
    /// The rest as of a PIN.
    #[schema(required = true)]
    reason: Option<String>,
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

impl From<Door> for GrantAtLock {
    fn from(door: Door) -> Self {
        Self {
            lock_id: door.lock,
            status: door.at.as_str(),
            reason: door.at.reason().map(str::to_owned),
            pin: door.pin.as_ref().map(PinAtLock::from),
            codes: door.codes.iter().map(CodeAtLock::from).collect(),
            may_open_until: door.may_open_until,
        }
    }
}

impl From<Shown> for ProvisionedGrant {
    fn from(shown: Shown) -> Self {
        let failed = shown.doors.iter().filter_map(|door| {
            let reason = door.at.reason()?.to_owned();
            Some(FailedAt {
                lock_id: door.lock.clone(),
                reason,
            })
        });
        Self {
            provisioning: Provisioning {
                status: shown.summary.as_str(),
                failed: failed.collect(),
                missing: shown.summary.missing,
                lingering: shown.summary.lingering,
            },
            locks: shown.doors.into_iter().map(GrantAtLock::from).collect(),
            grant: Grant::with_ask(shown.grant, shown.asked),
            link: shown.link.map(LinkOfGrant::from),
        }
    }
}

/// A grant whose terms were replaced.
#[derive(Serialize, ToSchema)]
struct ChangedGrant {
    #[serde(flatten)]
    grant: Grant,
    #[serde(flatten)]
    revoked: Revoked,
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
    /// Those that the caller holds, in the place of those that they look after or gave.
    #[param(required = false)]
    held: Option<bool>,
}

/// The grants that the caller looks after for a landlord, and those that they gave under their own right
#[utoipa::path(
    tag = "grants",
    params(GrantFilter, Paging),
    responses((status = 200, description = "A page of grants", body = List<ProvisionedGrant>))
)]
#[get("/v1/grants")]
pub(super) async fn list_grants(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(filter): Query<GrantFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let which = Which {
        lock: filter.lock_id,
        person: filter.person_id,
        held: filter.held.unwrap_or(false),
    };
    let page = service.app.grants(&who, which, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, ProvisionedGrant::from)))
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
    Anyone(who): Anyone,
    Json(give): Json<Give>,
) -> Result<HttpResponse, Problem> {
    let to = match give.to {
        Receiver::PersonId(person) => To::Person(person),
        Receiver::Email(email) => To::Email(email),
        Receiver::Guest(name) => To::Guest(name),
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
        reason: give.reason,
        spare: SpareTerms {
            spare: give.spare,
            on_silence: give.on_silence,
            answer_within_minutes: give.answer_within_minutes,
            release_minutes: give.release_minutes,
            landlord_may_release: give.landlord_may_release,
        }
        .read()?,
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
    responses((status = 200, description = "The grant", body = ProvisionedGrant))
)]
#[get("/v1/grants/{grant_id}")]
pub(super) async fn show_grant(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.grant(&who, id).await?;
    Ok(HttpResponse::Ok().json(ProvisionedGrant::from(shown)))
}

/// Replace what a grant gives, as a whole
///
/// Its holder stays, and so do the uses that are taken. What is left out is what it is in a new grant, never what it was.
#[utoipa::path(
    tag = "grants",
    params(("grant_id" = schema::GrantId, Path)),
    responses(
        (status = 200, description = "Replaced", body = ChangedGrant),
        (status = 403), (status = 409),
    )
)]
#[put("/v1/grants/{grant_id}")]
pub(super) async fn change_grant(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
    Json(change): Json<Change>,
) -> Result<HttpResponse, Problem> {
    let new = NewGrant {
        locks: change.lock_ids,
        starts_at: change.starts_at,
        ends_at: change.ends_at,
        schedule: change.schedule,
        uses: change.uses,
        ways: change.ways,
        role: change.role,
        delegable: change.delegable,
        spare: SpareTerms {
            spare: change.spare,
            on_silence: change.on_silence,
            answer_within_minutes: change.answer_within_minutes,
            release_minutes: change.release_minutes,
            landlord_may_release: change.landlord_may_release,
        }
        .read()?,
        reason: change.reason,
    };
    let (grant, revocation) = service.app.change_grant(&who, id, new).await?;
    Ok(HttpResponse::Ok().json(ChangedGrant {
        grant: grant.into(),
        revoked: revocation.into(),
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
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.revoke(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
