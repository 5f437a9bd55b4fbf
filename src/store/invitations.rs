//! Invitations to join an organization.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option};
use super::schema::{grants, invitations};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::account::{Email, Role};
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
pub fn add(
    conn: &mut Conn,
    invitation: &Invitation,
    secret_digest: &[u8; 32],
    now: Timestamp,
) -> Result<(), StoreError> {
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
            invitations::created_at_ms.eq(now.as_millis()),
            invitations::ends_at_ms.eq(invitation.ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

type Row = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<i64>,
    Option<i64>,
    String,
    i64,
);

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
        .select((
            invitations::id,
            invitations::organization_id,
            invitations::email,
            invitations::role,
            invitations::unit_id,
            invitations::tenancy_starts_at_ms,
            invitations::tenancy_ends_at_ms,
            invitations::invited_by,
            invitations::ends_at_ms,
        ))
        .first(conn)
        .optional()?;
    let Some((id, organization, email, role, unit, starts_at, ends_at, invited_by, open_until)) = row else {
        return Ok(None);
    };
    let tenancy = match (parsed_option(unit.as_deref())?, instant(starts_at)) {
        (Some(unit), Some(starts_at)) => Some(InvitedTenancy {
            unit,
            starts_at,
            ends_at: instant(ends_at),
        }),
        _ => None,
    };
    Ok(Some(Invitation {
        id: parsed(&id)?,
        organization: parsed(&organization)?,
        email: parsed(&email)?,
        role: parsed(&role)?,
        tenancy,
        invited_by: parsed(&invited_by)?,
        ends_at: Timestamp::from_millis(open_until),
    }))
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

/// Closes at `now` what the address can still accept of the organization, and takes the grants that wait for it back.
pub fn close_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    email: &Email,
    by: &PersonId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let open = invitations::table
        .filter(invitations::organization_id.eq(organization.as_str()))
        .filter(invitations::email.eq(email.as_str()))
        .filter(invitations::accepted_at_ms.is_null())
        .filter(invitations::ends_at_ms.gt(now.as_millis()));
    let closed: Vec<String> = diesel::update(open)
        .set(invitations::ends_at_ms.eq(now.as_millis()))
        .returning(invitations::id)
        .get_results(conn)?;
    let waiting = grants::table
        .filter(grants::invitation_id.eq_any(&closed))
        .filter(grants::revoked_at_ms.is_null());
    diesel::update(waiting)
        .set((
            grants::revoked_at_ms.eq(now.as_millis()),
            grants::revoked_by.eq(by.as_str()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes another address over that of every invitation of the person who had it.
pub fn rename(conn: &mut Conn, email: &Email, to: &Email) -> Result<(), StoreError> {
    diesel::update(invitations::table.filter(invitations::email.eq(email.as_str())))
        .set(invitations::email.eq(to.as_str()))
        .execute(conn)?;
    Ok(())
}
