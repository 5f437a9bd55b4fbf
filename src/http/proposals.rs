//! What waits for a second person.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Manager;
use super::grants::GivenGrant;
use super::lockdowns::Lockdown;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::rules::Rules;
use super::{Service, schema};
use crate::app::proposals::CarriedOut;
use crate::domain::ids::{OrganizationId, PersonId, ProposalId};
use crate::domain::proposal::{self, ProposalKind, ProposalState};
use crate::domain::time::Timestamp;

/// Instead of what was asked for: it waits for a second person.
#[derive(Serialize, ToSchema)]
pub(super) struct Proposed {
    #[schema(value_type = schema::ProposalId)]
    proposal_id: ProposalId,
    #[schema(value_type = schema::ProposalKind)]
    kind: ProposalKind,
    /// Until when somebody else who manages the organization can confirm it.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

impl From<proposal::Proposal> for Proposed {
    fn from(proposal: proposal::Proposal) -> Self {
        Self {
            proposal_id: proposal.id,
            kind: proposal.kind,
            expires_at: proposal.ends_at,
        }
    }
}

/// Something that somebody proposed.
#[derive(Serialize, ToSchema)]
struct Proposal {
    #[schema(value_type = schema::ProposalId)]
    id: ProposalId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::ProposalKind)]
    kind: ProposalKind,
    /// What is to be done, in full, by kind; empty once that is forgotten, with the log of that time.
    #[schema(value_type = Object)]
    body: serde_json::Value,
    #[schema(value_type = schema::PersonId)]
    proposed_by: PersonId,
    #[schema(value_type = schema::Time)]
    proposed_at: Timestamp,
    /// Until when it can be confirmed, exclusive.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// `open`, `confirmed`, `refused` or `expired`.
    #[schema(value_type = String, examples("open"))]
    status: &'static str,
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    decided_by: Option<PersonId>,
    #[schema(value_type = Option<schema::Time>, required = true)]
    decided_at: Option<Timestamp>,
}

impl Proposal {
    /// `proposal` as it is told at `now`.
    fn of(proposal: proposal::Proposal, now: Timestamp) -> Self {
        let status = proposal.status_at(now);
        let (decided_by, decided_at) = match proposal.state {
            ProposalState::Open => (None, None),
            ProposalState::Confirmed { by, at } | ProposalState::Refused { by, at } => (Some(by), Some(at)),
        };
        Self {
            id: proposal.id,
            organization_id: proposal.organization,
            kind: proposal.kind,
            body: proposal.body,
            proposed_by: proposal.proposed_by,
            proposed_at: proposal.proposed_at,
            expires_at: proposal.ends_at,
            status,
            decided_by,
            decided_at,
        }
    }
}

/// A proposal that was confirmed, and what came of it.
#[derive(Serialize, ToSchema)]
struct Confirmed {
    proposal: Proposal,
    /// The access that was given, where that was proposed.
    #[schema(required = true)]
    grant: Option<GivenGrant>,
    /// The lockdown that holds, where one was proposed.
    #[schema(required = true)]
    lockdown: Option<Lockdown>,
    /// The rules that count now, where they were proposed.
    #[schema(required = true)]
    rules: Option<Rules>,
}

/// What was proposed, the newest first
#[utoipa::path(
    tag = "rules",
    params(Paging),
    responses((status = 200, description = "A page of proposals", body = List<Proposal>), (status = 403))
)]
#[get("/v1/proposals")]
pub(super) async fn list_proposals(
    service: Data<Service>,
    Manager(who): Manager,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.proposals(&who, paging.request()?).await?;
    let now = service.app.now();
    Ok(HttpResponse::Ok().json(List::of(page, |proposal| Proposal::of(proposal, now))))
}

/// Confirm what somebody else proposed: it is done now
#[utoipa::path(
    tag = "rules",
    params(("proposal_id" = schema::ProposalId, Path)),
    responses((status = 200, description = "Done", body = Confirmed), (status = 403), (status = 409))
)]
#[post("/v1/proposals/{proposal_id}/confirm")]
pub(super) async fn confirm_proposal(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<ProposalId>,
) -> Result<HttpResponse, Problem> {
    let (proposal, done) = service.app.confirm_proposal(&who, id).await?;
    let now = service.app.now();
    let mut confirmed = Confirmed {
        proposal: Proposal::of(proposal, now),
        grant: None,
        lockdown: None,
        rules: None,
    };
    match done {
        CarriedOut::Grant(given) => confirmed.grant = Some(GivenGrant::from(*given)),
        CarriedOut::Lockdown(begun) => confirmed.lockdown = Some(Lockdown::of(begun.lockdown, true)),
        CarriedOut::Rules(rules) => confirmed.rules = Some(Rules::of(&rules, now)),
    }
    Ok(HttpResponse::Ok().json(confirmed))
}

/// Refuse a proposal, or take one's own back
#[utoipa::path(
    tag = "rules",
    params(("proposal_id" = schema::ProposalId, Path)),
    responses((status = 200, description = "Refused", body = Proposal), (status = 403), (status = 409))
)]
#[post("/v1/proposals/{proposal_id}/refuse")]
pub(super) async fn refuse_proposal(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<ProposalId>,
) -> Result<HttpResponse, Problem> {
    let proposal = service.app.refuse_proposal(&who, id).await?;
    Ok(HttpResponse::Ok().json(Proposal::of(proposal, service.app.now())))
}
