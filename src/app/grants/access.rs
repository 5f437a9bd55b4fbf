//! Who may see and change a grant: its landlord, who gave it under their own right, who holds it.

use crate::app::{Actor, Error, What, joined_by, must_have_phone_key, role_in};
use crate::domain::account::Role;
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, PersonId};
use crate::domain::unlock::RightSource;
use crate::store::{Conn, grants, lockouts, locks, visits};

/// Nobody changes what was decided by somebody else for one occasion.
const WAY_IN: Error = Error::Conflict {
    word: "grant-is-way-in",
    why: "this is the way in of a lock-out or a visit: it stays as it was decided, its link is made there, and it can be taken back",
};

/// What somebody has to do with a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stake {
    /// Works for the landlord, in this role.
    Landlord(Role),
    /// Holds the right under which it was given.
    Giver,
    /// Holds it.
    Holder,
}

/// What let somebody in once, and is no access that one person gave another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayIn {
    /// A tenant who was locked out.
    Lockout,
    /// A vendor on a visit.
    Visit,
}

/// The grant, if the person may know of it, and what they have to do with it.
///
/// The landlord knows of what was given under a tenancy where it opens a shared door: who comes to whose own door is for
/// who lives there. The desk knows of the ways in that it gives itself.
pub(super) fn seen(conn: &mut Conn, who: &Actor, id: &GrantId) -> Result<(Grant, Stake), Error> {
    let scope = joined_by(conn, who)?;
    let grant = grants::find(conn, id, &scope)?.ok_or(Error::NotFound(What::Grant))?;
    if is_under_right_of(conn, &grant, &who.person)? {
        return Ok((grant, Stake::Giver));
    }
    if let Some(role) = role_in(conn, who, &grant.organization)?
        && (role.views() && is_shown_to_landlord(conn, &grant)?
            || role.serves_desk() && way_in(conn, &grant)?.is_some())
    {
        return Ok((grant, Stake::Landlord(role)));
    }
    if grant.person() == Some(&who.person) {
        return Ok((grant, Stake::Holder));
    }
    Err(Error::NotFound(What::Grant))
}

/// Whether the grant hangs under a right that this person holds. Whose name stands on it as its giver says nothing: whoever
/// decides for a tenant does not come into their rights by it.
pub(super) fn is_under_right_of(conn: &mut Conn, grant: &Grant, person: &PersonId) -> Result<bool, Error> {
    let Some(above) = &grant.under else { return Ok(false) };
    Ok(grants::holder(conn, above, &grant.organization)?.as_ref() == Some(person))
}

/// The grant, if the person may change what it gives and hand it out. What somebody gave under a right of their own nobody
/// else does, whatever doors it opens: it would be another's key in their name. A way in is changed by nobody.
pub(in crate::app) fn to_change(conn: &mut Conn, who: &Actor, id: &GrantId) -> Result<Grant, Error> {
    let (grant, stake) = seen(conn, who, id)?;
    let way_in = way_in(conn, &grant)?;
    match stake {
        // Whoever may take it back is told why they may do no more.
        _ if way_in.is_some() && may_take_back(stake, way_in) => return Err(WAY_IN),
        Stake::Giver => {}
        Stake::Landlord(role) if role.manages() && grant.under.is_none() => {}
        Stake::Landlord(_) | Stake::Holder => return Err(Error::Forbidden),
    }
    must_have_phone_key(conn, &grant.organization, who)?;
    Ok(grant)
}

/// The grant, if the person may take it back, or a way in by it.
pub(in crate::app) fn to_take_back(conn: &mut Conn, who: &Actor, id: &GrantId) -> Result<Grant, Error> {
    let (grant, stake) = seen(conn, who, id)?;
    let way_in = way_in(conn, &grant)?;
    match may_take_back(stake, way_in) {
        true => Ok(grant),
        false => Err(Error::Forbidden),
    }
}

/// Whether a grant, which may be a way in, is taken back by whoever has this stake in it.
fn may_take_back(stake: Stake, way_in: Option<WayIn>) -> bool {
    match stake {
        Stake::Giver => true,
        Stake::Landlord(role) => role.manages() || (role.serves_desk() && way_in.is_some()),
        // A tenant's way in is theirs, at a door that is closed to sharing too.
        Stake::Holder => way_in == Some(WayIn::Lockout),
    }
}

/// Whose way in the grant is, where it is one.
fn way_in(conn: &mut Conn, grant: &Grant) -> Result<Option<WayIn>, Error> {
    if lockouts::is_way_in(conn, &grant.id)? {
        return Ok(Some(WayIn::Lockout));
    }
    Ok(visits::is_way_in(conn, &grant.id)?.then_some(WayIn::Visit))
}

/// Whether the landlord knows of the grant.
fn is_shown_to_landlord(conn: &mut Conn, grant: &Grant) -> Result<bool, Error> {
    if !matches!(grant.under, Some(RightSource::Tenancy(_))) {
        return Ok(true);
    }
    let doors = locks::with_ids(conn, &grant.terms.locks)?;
    Ok(doors.iter().any(|door| door.unit.is_none()))
}
