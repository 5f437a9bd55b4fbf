//! What is shown of grants.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::grants::{Asked, Door, Given, Shown};
use crate::app::revocations::Revocation;
use crate::domain::grant::{self, GrantState, Holder, Way};
use crate::domain::ids::{GrantId, InvitationId, LockId, OrganizationId, PersonId};
use crate::domain::pass::Role;
use crate::domain::schedule::Schedule;
use crate::domain::spare::{Minutes, OnSilence, Spare};
use crate::domain::time::Timestamp;
use crate::http::guests::LinkOfGrant;
use crate::http::invitations::Invited;
use crate::http::pins::{CodeAtLock, PinAtLock};
use crate::http::schema;

/// Somebody's access to some locks.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Grant {
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
pub(super) struct SpareKey {
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
    pub(super) fn of(spare: Spare, released_until: Option<Timestamp>, asked: Option<Asked>) -> Self {
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
pub(in crate::http) struct GivenGrant {
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
pub(in crate::http) struct ProvisionedGrant {
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
pub(super) struct ChangedGrant {
    #[serde(flatten)]
    grant: Grant,
    #[serde(flatten)]
    revoked: Revoked,
}

impl From<(grant::Grant, Revocation)> for ChangedGrant {
    fn from((grant, revocation): (grant::Grant, Revocation)) -> Self {
        Self {
            grant: grant.into(),
            revoked: revocation.into(),
        }
    }
}

/// Access that was taken back.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Revoked {
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
