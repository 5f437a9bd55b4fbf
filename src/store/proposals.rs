//! What waits for a second person.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, word};
use super::schema::proposals;
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{PersonId, ProposalId};
use crate::domain::proposal::{Proposal, ProposalState};
use crate::domain::time::Timestamp;

/// What a body says that was forgotten.
const FORGOTTEN: &str = "{}";

#[derive(Queryable, Selectable)]
#[diesel(table_name = proposals)]
struct Row {
    id: String,
    organization_id: String,
    kind: String,
    body: String,
    proposed_by: String,
    proposed_at_ms: i64,
    ends_at_ms: i64,
    state: String,
    decided_by: Option<String>,
    decided_at_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<Proposal, StoreError> {
        let decided_by = parsed_option(self.decided_by.as_deref())?;
        let state = match (self.state.as_str(), decided_by, instant(self.decided_at_ms)) {
            ("open", None, None) => ProposalState::Open,
            ("confirmed", Some(by), Some(at)) => ProposalState::Confirmed { by, at },
            ("refused", Some(by), Some(at)) => ProposalState::Refused { by, at },
            _ => return Err(StoreError::corrupt("a proposal is in no state that there is")),
        };
        Ok(Proposal {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            kind: word(self.kind)?,
            body: serde_json::from_str(&self.body).map_err(StoreError::corrupt)?,
            proposed_by: parsed(&self.proposed_by)?,
            proposed_at: Timestamp::from_millis(self.proposed_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            state,
        })
    }
}

/// Adds an open proposal.
pub fn add(conn: &mut Conn, proposal: &Proposal) -> Result<(), StoreError> {
    diesel::insert_into(proposals::table)
        .values((
            proposals::id.eq(proposal.id.as_str()),
            proposals::organization_id.eq(proposal.organization.as_str()),
            proposals::kind.eq(proposal.kind.as_str()),
            proposals::body.eq(proposal.body.to_string()),
            proposals::proposed_by.eq(proposal.proposed_by.as_str()),
            proposals::proposed_at_ms.eq(proposal.proposed_at.as_millis()),
            proposals::ends_at_ms.eq(proposal.ends_at.as_millis()),
            proposals::state.eq("open"),
        ))
        .execute(conn)?;
    Ok(())
}

/// The proposal, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &ProposalId, scope: &Scope) -> Result<Option<Proposal>, StoreError> {
    let row: Option<Row> = proposals::table
        .find(id.as_str())
        .filter(proposals::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The proposals within `scope`, the newest first, those before `before`, at most `limit`.
pub fn list(
    conn: &mut Conn,
    scope: &Scope,
    before: Option<&ProposalId>,
    limit: i64,
) -> Result<Vec<Proposal>, StoreError> {
    let mut query = proposals::table
        .filter(proposals::organization_id.eq_any(scope.ids()))
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(proposals::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(proposals::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Decides an open proposal at `now`. Says whether it was still open, so that of two decisions at once one counts.
pub fn decide(
    conn: &mut Conn,
    id: &ProposalId,
    is_confirmed: bool,
    by: &PersonId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let decided = diesel::update(
        proposals::table
            .find(id.as_str())
            .filter(proposals::state.eq("open"))
            .filter(proposals::ends_at_ms.gt(now.as_millis())),
    )
    .set((
        proposals::state.eq(if is_confirmed { "confirmed" } else { "refused" }),
        proposals::decided_by.eq(by.as_str()),
        proposals::decided_at_ms.eq(now.as_millis()),
    ))
    .execute(conn)?;
    Ok(decided > 0)
}

/// The proposals that were decided, or over, before `before` and still say what was proposed: by id, those after `after`, at most
/// `limit`.
pub fn settled(
    conn: &mut Conn,
    before: Timestamp,
    after: Option<&ProposalId>,
    limit: i64,
) -> Result<Vec<Proposal>, StoreError> {
    let before = before.as_millis();
    let is_over = proposals::state.eq("open").and(proposals::ends_at_ms.lt(before));
    let rows: Vec<Row> = proposals::table
        .filter(proposals::decided_at_ms.lt(before).or(is_over.nullable()))
        .filter(proposals::body.ne(FORGOTTEN))
        .filter(proposals::id.gt(after.map_or("", ProposalId::as_str)))
        .order(proposals::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Forgets what was proposed. That it was, by whom, and what became of it stays.
pub fn forget(conn: &mut Conn, ids: &[ProposalId]) -> Result<(), StoreError> {
    diesel::update(proposals::table.filter(proposals::id.eq_any(ids.iter().map(ProposalId::as_str))))
        .set(proposals::body.eq(FORGOTTEN))
        .execute(conn)?;
    Ok(())
}
