//! Reading the access log.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Anyone;
use super::page::{List, Paging};
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::Actor;
use crate::app::access_log::{Filter, NamedEntry, View};
use crate::domain::access_log::{Kind, Outcome};
use crate::domain::account::PersonName;
use crate::domain::ids::{AttemptId, GrantId, LockId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

pub(super) mod evidence;
pub(super) mod export;

/// An entry of the access log.
#[derive(Serialize, ToSchema)]
pub(super) struct Entry {
    /// Its number within the organization, from 1, without gaps.
    seq: i64,
    /// When it was written down; never earlier than that of a lower number.
    #[schema(value_type = schema::Time)]
    recorded_at: Timestamp,
    /// When it happened; a lock's report may be recorded much later.
    #[schema(value_type = schema::Time)]
    occurred_at: Timestamp,
    #[schema(value_type = schema::EntryKind)]
    kind: Kind,
    #[schema(value_type = schema::Outcome)]
    outcome: Outcome,
    /// Why: a stable word.
    #[schema(required = true)]
    reason: Option<String>,
    #[schema(value_type = Option<schema::PropertyId>, required = true)]
    property_id: Option<PropertyId>,
    #[schema(value_type = Option<schema::UnitId>, required = true)]
    unit_id: Option<UnitId>,
    #[schema(value_type = Option<schema::LockId>, required = true)]
    lock_id: Option<LockId>,
    /// What its door is called now.
    #[schema(value_type = Option<String>, required = true)]
    lock_name: Option<PlaceName>,
    /// The person concerned: who asked at the door, who got or lost access.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    person_id: Option<PersonId>,
    /// What that person is called now.
    #[schema(value_type = Option<String>, required = true)]
    person_name: Option<PersonName>,
    /// Who did it, where that is somebody else.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    actor_id: Option<PersonId>,
    /// What they are called now.
    #[schema(value_type = Option<String>, required = true)]
    actor_name: Option<PersonName>,
    #[schema(value_type = Option<schema::GrantId>, required = true)]
    grant_id: Option<GrantId>,
    #[schema(value_type = Option<schema::AttemptId>, required = true)]
    attempt_id: Option<AttemptId>,
    /// More, by kind.
    #[schema(value_type = Option<Object>, required = true)]
    detail: Option<serde_json::Value>,
}

impl From<NamedEntry> for Entry {
    fn from(named: NamedEntry) -> Self {
        let NamedEntry {
            entry,
            person_name,
            actor_name,
            lock_name,
        } = named;
        let what = entry.what;
        Self {
            seq: entry.seq,
            recorded_at: entry.recorded_at,
            occurred_at: what.occurred_at,
            kind: what.kind,
            outcome: what.outcome,
            reason: what.reason,
            property_id: what.property,
            unit_id: what.unit,
            lock_id: what.lock,
            lock_name,
            person_id: what.person,
            person_name,
            actor_id: what.actor,
            actor_name,
            grant_id: what.grant,
            attempt_id: what.attempt,
            detail: what.detail,
        }
    }
}

/// Whose log, and which entries of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogFilter {
    /// Whose log; who belongs to one organization need not say.
    #[param(value_type = schema::OrganizationId, required = false)]
    organization_id: Option<OrganizationId>,
    /// Only entries about this property.
    #[param(value_type = schema::PropertyId, required = false)]
    property_id: Option<PropertyId>,
    /// Only entries about this lock.
    #[param(value_type = schema::LockId, required = false)]
    lock_id: Option<LockId>,
    /// Only entries about this person.
    #[param(value_type = schema::PersonId, required = false)]
    person_id: Option<PersonId>,
    /// Only entries of this kind.
    #[param(value_type = schema::EntryKind, required = false)]
    kind: Option<Kind>,
    /// Only what happened at this time or later.
    #[param(value_type = schema::Time, required = false)]
    from: Option<Timestamp>,
    /// Only what happened before this time.
    #[param(value_type = schema::Time, required = false)]
    to: Option<Timestamp>,
}

impl LogFilter {
    /// What the caller may see of that log, and the filter on it.
    pub(super) async fn view(self, service: &Service, who: &Actor) -> Result<(View, Filter), Problem> {
        let view = view_of(service, who, self.organization_id).await?;
        let filter = Filter {
            property: self.property_id,
            lock: self.lock_id,
            person: self.person_id,
            kinds: self.kind.into_iter().collect(),
            from: self.from,
            to: self.to,
        };
        Ok((view, filter))
    }
}

/// What the caller may see of the log of that organization, or of their only one.
async fn view_of(service: &Service, who: &Actor, organization: Option<OrganizationId>) -> Result<View, Problem> {
    let view = service.app.log_view(who, organization).await;
    view.map_err(Problem::of_query)
}

/// The access log, the newest entries first: of it, what is for the caller (`docs/PRIVACY.md`)
#[utoipa::path(
    tag = "access log",
    params(LogFilter, Paging),
    responses((status = 200, description = "A page of entries", body = List<Entry>), (status = 404))
)]
#[get("/v1/access-log")]
pub(super) async fn list_entries(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(filter): Query<LogFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = paging.request()?;
    let (view, filter) = filter.view(&service, &who).await?;
    let page = service.app.log_entries(view, filter, page).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Entry::from)))
}
