//! Invitations to join an organization.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option};
use super::grants::is_for_landlords;
use super::schema::{grants, invitations};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::account::{Email, Role, Scope};
use crate::domain::ids::{InvitationId, OrganizationId, PersonId, UnitId};
use crate::domain::import::Invited;
use crate::domain::tenancy::Term;
use crate::domain::time::Timestamp;

/// What an invitation gives to whom, and until when it can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Which.
    pub id: InvitationId,
    /// Into which organization.
    pub organization: OrganizationId,
    /// The address invited.
    pub email: Email,
    /// As what.
    pub role: Role,
    /// The unit to live in, from when, and until when.
    pub tenancy: Option<InvitedTenancy>,
    /// Who invites.
    pub invited_by: PersonId,
    /// When.
    pub created_at: Timestamp,
    /// Until when it can be accepted, exclusive.
    pub ends_at: Timestamp,
}

/// The stay that an invitation promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitedTenancy {
    /// The unit.
    pub unit: UnitId,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Option<Timestamp>,
}

/// Adds an invitation whose link has the secret of this digest.
pub fn add(conn: &mut Conn, invitation: &Invitation, secret_digest: &[u8; 32]) -> Result<(), StoreError> {
    let tenancy = invitation.tenancy.as_ref();
    diesel::insert_into(invitations::table)
        .values((
            invitations::id.eq(invitation.id.as_str()),
            invitations::organization_id.eq(invitation.organization.as_str()),
            invitations::email.eq(invitation.email.as_str()),
            invitations::role.eq(invitation.role.as_str()),
            invitations::unit_id.eq(tenancy.map(|t| t.unit.as_str())),
            invitations::tenancy_starts_at_ms.eq(tenancy.map(|t| t.starts_at.as_millis())),
            invitations::tenancy_ends_at_ms.eq(tenancy.and_then(|t| t.ends_at).map(Timestamp::as_millis)),
            invitations::secret_digest.eq(hexadecimal(secret_digest)),
            invitations::invited_by.eq(invitation.invited_by.as_str()),
            invitations::created_at_ms.eq(invitation.created_at.as_millis()),
            invitations::ends_at_ms.eq(invitation.ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = invitations)]
struct Row {
    id: String,
    organization_id: String,
    email: String,
    role: String,
    unit_id: Option<String>,
    tenancy_starts_at_ms: Option<i64>,
    tenancy_ends_at_ms: Option<i64>,
    invited_by: String,
    created_at_ms: i64,
    ends_at_ms: i64,
}

impl Row {
    fn into_domain(self) -> Result<Invitation, StoreError> {
        let unit = parsed_option(self.unit_id.as_deref())?;
        let tenancy = match (unit, instant(self.tenancy_starts_at_ms)) {
            (Some(unit), Some(starts_at)) => Some(InvitedTenancy {
                unit,
                starts_at,
                ends_at: instant(self.tenancy_ends_at_ms),
            }),
            _ => None,
        };
        Ok(Invitation {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            email: parsed(&self.email)?,
            role: parsed(&self.role)?,
            tenancy,
            invited_by: parsed(&self.invited_by)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
        })
    }
}

/// The address that was invited.
pub fn email_of(conn: &mut Conn, id: &InvitationId) -> Result<Option<Email>, StoreError> {
    let email: Option<String> = invitations::table
        .find(id.as_str())
        .select(invitations::email)
        .get_result(conn)
        .optional()?;
    email.as_deref().map(parsed).transpose()
}

/// The invitation whose link has the secret of this digest, if it can still be accepted at `now`.
pub fn find_open(conn: &mut Conn, secret_digest: &[u8; 32], now: Timestamp) -> Result<Option<Invitation>, StoreError> {
    let row: Option<Row> = invitations::table
        .filter(invitations::secret_digest.eq(hexadecimal(secret_digest)))
        .filter(invitations::accepted_at_ms.is_null())
        .filter(invitations::ends_at_ms.gt(now.as_millis()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// Which invitations a landlord is shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// This one, whatever became of it.
    One(&'a InvitationId),
    /// Those that can still be accepted, by id.
    Waiting {
        /// When that is asked.
        now: Timestamp,
        /// Only those after this one.
        after: Option<&'a InvitationId>,
        /// At most so many.
        limit: i64,
    },
}

/// The invitations of these organizations that a landlord is shown: not those of people whom a tenant lets in at their own
/// doors alone.
pub fn shown(conn: &mut Conn, scope: &Scope, which: Shown<'_>) -> Result<Vec<Invitation>, StoreError> {
    let private = grants::table
        .filter(grants::organization_id.eq_any(scope.ids()))
        .filter(diesel::dsl::not(is_for_landlords!()))
        .filter(grants::invitation_id.is_not_null())
        .select(grants::invitation_id.assume_not_null());
    let query = invitations::table
        .filter(invitations::organization_id.eq_any(scope.ids()))
        .filter(invitations::id.ne_all(private))
        .order(invitations::id)
        .select(Row::as_select());
    let rows: Vec<Row> = match which {
        Shown::One(id) => query.filter(invitations::id.eq(id.as_str())).load(conn)?,
        Shown::Waiting { now, after, limit } => query
            .filter(invitations::accepted_at_ms.is_null())
            .filter(invitations::ends_at_ms.gt(now.as_millis()))
            .filter(invitations::id.gt(after.map_or("", InvitationId::as_str)))
            .limit(limit)
            .load(conn)?,
    };
    rows.into_iter().map(Row::into_domain).collect()
}

/// Whether somebody has accepted the invitation.
pub fn is_accepted(conn: &mut Conn, id: &InvitationId) -> Result<bool, StoreError> {
    let accepted = invitations::table
        .find(id.as_str())
        .filter(invitations::accepted_at_ms.is_not_null());
    Ok(diesel::select(diesel::dsl::exists(accepted)).get_result(conn)?)
}

/// Address, unit, and the term.
type StayRow = (String, Option<String>, Option<i64>, Option<i64>);

/// The stays that somebody was invited to in the organization and can still accept at `now`.
pub fn open_stays(conn: &mut Conn, organization: &OrganizationId, now: Timestamp) -> Result<Vec<Invited>, StoreError> {
    let rows: Vec<StayRow> = invitations::table
        .filter(invitations::organization_id.eq(organization.as_str()))
        .filter(invitations::unit_id.is_not_null())
        .filter(invitations::accepted_at_ms.is_null())
        .filter(invitations::ends_at_ms.gt(now.as_millis()))
        .select((
            invitations::email,
            invitations::unit_id,
            invitations::tenancy_starts_at_ms,
            invitations::tenancy_ends_at_ms,
        ))
        .load(conn)?;
    let mut stays = Vec::with_capacity(rows.len());
    for (email, unit, starts_at, ends_at) in rows {
        if let (Some(unit), Some(starts_at)) = (parsed_option(unit.as_deref())?, instant(starts_at)) {
            let ends_at = instant(ends_at);
            let term = Term { starts_at, ends_at };
            let email = parsed(&email)?;
            stays.push(Invited { email, unit, term });
        }
    }
    Ok(stays)
}

/// Marks the invitation as accepted by `person` and gives them the grants that waited for it. Says whether it was
/// still open, so that of two acceptances at once one succeeds.
pub fn accept(conn: &mut Conn, id: &InvitationId, person: &PersonId, now: Timestamp) -> Result<bool, StoreError> {
    let accepted = diesel::update(
        invitations::table
            .find(id.as_str())
            .filter(invitations::accepted_at_ms.is_null())
            .filter(invitations::ends_at_ms.gt(now.as_millis())),
    )
    .set((
        invitations::accepted_at_ms.eq(now.as_millis()),
        invitations::accepted_by.eq(person.as_str()),
    ))
    .execute(conn)?;
    if accepted == 0 {
        return Ok(false);
    }
    diesel::update(grants::table.filter(grants::invitation_id.eq(id.as_str())))
        .set((
            grants::person_id.eq(person.as_str()),
            grants::invitation_id.eq(None::<String>),
        ))
        .execute(conn)?;
    Ok(true)
}

/// Closes the invitation at `now`; says whether it could still be accepted.
pub fn close(conn: &mut Conn, id: &InvitationId, now: Timestamp) -> Result<bool, StoreError> {
    let open = invitations::table
        .find(id.as_str())
        .filter(invitations::accepted_at_ms.is_null())
        .filter(invitations::ends_at_ms.gt(now.as_millis()));
    let closed = diesel::update(open)
        .set(invitations::ends_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    Ok(closed > 0)
}

/// Closes at `now` what the address can still accept of the organization; says which that was. The caller takes back what
/// waits for it.
pub fn close_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    email: &Email,
    now: Timestamp,
) -> Result<Vec<InvitationId>, StoreError> {
    let open = invitations::table
        .filter(invitations::organization_id.eq(organization.as_str()))
        .filter(invitations::email.eq(email.as_str()))
        .filter(invitations::accepted_at_ms.is_null())
        .filter(invitations::ends_at_ms.gt(now.as_millis()));
    let closed: Vec<String> = diesel::update(open)
        .set(invitations::ends_at_ms.eq(now.as_millis()))
        .returning(invitations::id)
        .get_results(conn)?;
    closed.iter().map(|id| parsed(id)).collect()
}

/// Writes another address over that of every invitation of the person who had it.
pub fn rename(conn: &mut Conn, email: &Email, to: &Email) -> Result<(), StoreError> {
    diesel::update(invitations::table.filter(invitations::email.eq(email.as_str())))
        .set(invitations::email.eq(to.as_str()))
        .execute(conn)?;
    Ok(())
}
