//! Who may see and change a grant: its landlord, who gave it under their own right, who holds it.

use crate::app::{Actor, Error, What, joined_by, role_in};
use crate::domain::account::Role;
use crate::domain::grant::Grant;
use crate::domain::ids::GrantId;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, grants, locks};

/// What somebody has to do with a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stake {
    /// Works for the landlord, in this role.
    Landlord(Role),
    /// Gave it under a right of their own.
    Giver,
    /// Holds it.
    Holder,
}

/// The grant, if the person may know of it, and what they have to do with it.
///
/// The landlord knows of what was given under a tenancy where it opens a shared door: who comes to whose own door is for
/// who lives there.
pub(super) fn seen(conn: &mut Conn, who: &Actor, id: &GrantId) -> Result<(Grant, Stake), Error> {
    let scope = joined_by(conn, who)?;
    let grant = grants::find(conn, id, &scope)?.ok_or(Error::NotFound(What::Grant))?;
    if grant.under.is_some() && grant.given_by == who.person {
        return Ok((grant, Stake::Giver));
    }
    if let Some(role) = role_in(conn, who, &grant.organization)?
        && role.views()
        && is_shown_to_landlord(conn, &grant)?
    {
        return Ok((grant, Stake::Landlord(role)));
    }
    if grant.person() == Some(&who.person) {
        return Ok((grant, Stake::Holder));
    }
    Err(Error::NotFound(What::Grant))
}

/// The grant, if the person may change what it gives and hand it out. What somebody gave under a right of their own nobody
/// else does, whatever doors it opens: it would be another's key in their name.
pub(in crate::app) fn to_change(conn: &mut Conn, who: &Actor, id: &GrantId) -> Result<Grant, Error> {
    match seen(conn, who, id)? {
        (grant, Stake::Giver) => Ok(grant),
        (grant, Stake::Landlord(role)) if role.manages() && grant.under.is_none() => Ok(grant),
        _ => Err(Error::Forbidden),
    }
}

/// The grant, if the person may take it back, or a way in by it.
pub(in crate::app) fn to_take_back(conn: &mut Conn, who: &Actor, id: &GrantId) -> Result<Grant, Error> {
    match seen(conn, who, id)? {
        (grant, Stake::Giver) => Ok(grant),
        (grant, Stake::Landlord(role)) if role.manages() => Ok(grant),
        _ => Err(Error::Forbidden),
    }
}

/// Whether the landlord knows of the grant.
pub(super) fn is_shown_to_landlord(conn: &mut Conn, grant: &Grant) -> Result<bool, Error> {
    if !matches!(grant.under, Some(RightSource::Tenancy(_))) {
        return Ok(true);
    }
    let doors = locks::with_ids(conn, &grant.terms.locks)?;
    Ok(doors.iter().any(|door| door.unit.is_none()))
}
