//! Which grants there are: of landlords, givers, holders and locks.

use diesel::prelude::*;

use super::{Row, whole};
use crate::domain::account::{Email, Scope};
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, InvitationId, LockId, OrganizationId, PersonId};
use crate::domain::time::Timestamp;
use crate::store::columns::parsed;
use crate::store::schema::{grant_locks, grants, invitations};
use crate::store::{Conn, StoreError};

/// Which grants are listed.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The organizations whose grants are listed, as far as a landlord is shown them: what was given under a tenancy only
    /// where it opens a shared door.
    pub shown: &'a Scope,
    /// The organizations and the person: what they gave there under rights of their own is listed too.
    pub given: (&'a Scope, &'a PersonId),
    /// Only those of this lock.
    pub lock: Option<&'a LockId>,
    /// Only those that this person holds.
    pub holder: Option<&'a PersonId>,
}

/// Whether a landlord is shown a grant: not what was given under a tenancy at that tenant's own doors alone. A macro, since
/// the type of such an expression cannot be written down.
macro_rules! is_for_landlords {
    () => {{
        use $crate::store::schema::{grant_locks, grants, locks};
        let shared = grant_locks::table
            .inner_join(locks::table)
            .filter(grant_locks::grant_id.eq(grants::id))
            .filter(locks::unit_id.is_null());
        (grants::under.is_null())
            .or(grants::under.assume_not_null().like("grant%"))
            .or(diesel::dsl::exists(shared))
    }};
}

pub(in crate::store) use is_for_landlords;

/// The grants of this list, by id, those after `after`, at most `limit`.
pub fn list(
    conn: &mut Conn,
    listed: &Listed<'_>,
    after: Option<&GrantId>,
    limit: i64,
) -> Result<Vec<Grant>, StoreError> {
    let of_landlord = grants::organization_id
        .eq_any(listed.shown.ids())
        .and(is_for_landlords!());
    let (joined, giver) = listed.given;
    let of_giver = grants::organization_id
        .eq_any(joined.ids())
        .and(grants::given_by.eq(giver.as_str()))
        .and(grants::under.is_not_null());
    let mut query = grants::table
        .filter(grants::id.gt(after.map_or("", GrantId::as_str)))
        .filter(of_landlord.or(of_giver))
        .into_boxed();
    if let Some(person) = listed.holder {
        query = query.filter(grants::person_id.eq(person.as_str()));
    }
    if let Some(lock) = listed.lock {
        query = query.filter(
            grants::id.eq_any(
                grant_locks::table
                    .filter(grant_locks::lock_id.eq(lock.as_str()))
                    .select(grant_locks::grant_id),
            ),
        );
    }
    let rows: Vec<Row> = query
        .order(grants::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}

/// The grants within `scope` that the person holds, of one lock if asked for, by id, those after `after`, at most `limit`.
pub fn held_by(
    conn: &mut Conn,
    scope: &Scope,
    person: &PersonId,
    lock: Option<&LockId>,
    after: Option<&GrantId>,
    limit: i64,
) -> Result<Vec<Grant>, StoreError> {
    let mut query = grants::table
        .filter(grants::organization_id.eq_any(scope.ids()))
        .filter(grants::person_id.eq(person.as_str()))
        .filter(grants::id.gt(after.map_or("", GrantId::as_str)))
        .into_boxed();
    if let Some(lock) = lock {
        query = query.filter(
            grants::id.eq_any(
                grant_locks::table
                    .filter(grant_locks::lock_id.eq(lock.as_str()))
                    .select(grant_locks::grant_id),
            ),
        );
    }
    let rows: Vec<Row> = query
        .order(grants::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}

/// The locks of those of the holder's grants in the organization that stand at `now`, each once: of a person, or of whoever
/// was invited with this address and has not come yet.
pub fn locks_given_to(
    conn: &mut Conn,
    organization: &OrganizationId,
    (person, email): (Option<&PersonId>, Option<&Email>),
    now: Timestamp,
) -> Result<Vec<LockId>, StoreError> {
    let waiting = invitations::table
        .filter(invitations::organization_id.eq(organization.as_str()))
        .filter(invitations::email.eq(email.map_or("", Email::as_str)))
        .filter(invitations::ends_at_ms.gt(now.as_millis()))
        .select(invitations::id.nullable());
    let mut ids: Vec<String> = grant_locks::table
        .inner_join(grants::table)
        .filter(grants::organization_id.eq(organization.as_str()))
        .filter(
            grants::person_id
                .eq(person.map_or("", PersonId::as_str))
                .or(grants::invitation_id.eq_any(waiting)),
        )
        .filter(grants::revoked_at_ms.is_null())
        .filter(grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(now.as_millis())))
        .select(grant_locks::lock_id)
        .load(conn)?;
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(|id| parsed(id)).collect()
}

/// All grants of the organization that name the lock, by id.
pub fn at_lock(conn: &mut Conn, organization: &OrganizationId, lock: &LockId) -> Result<Vec<Grant>, StoreError> {
    let rows: Vec<Row> = grants::table
        .inner_join(grant_locks::table)
        .filter(grants::organization_id.eq(organization.as_str()))
        .filter(grant_locks::lock_id.eq(lock.as_str()))
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}

/// The grants at the lock that hang under other rights and were not taken back, by id.
pub fn hanging_at(conn: &mut Conn, lock: &LockId) -> Result<Vec<Grant>, StoreError> {
    let rows: Vec<Row> = grants::table
        .inner_join(grant_locks::table)
        .filter(grant_locks::lock_id.eq(lock.as_str()))
        .filter(grants::under.is_not_null())
        .filter(grants::revoked_at_ms.is_null())
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}

/// How many grants the person gave in the organization under rights of their own that stand at `now`.
pub fn count_given(
    conn: &mut Conn,
    organization: &OrganizationId,
    giver: &PersonId,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let stands = grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(now.as_millis()));
    Ok(grants::table
        .filter(grants::organization_id.eq(organization.as_str()))
        .filter(grants::given_by.eq(giver.as_str()))
        .filter(grants::under.is_not_null())
        .filter(grants::revoked_at_ms.is_null())
        .filter(stands)
        .count()
        .get_result(conn)?)
}

/// Whether a standing grant that the person gave under a right of their own waits for this invitation.
pub fn waits_for(conn: &mut Conn, invitation: &InvitationId, giver: &PersonId) -> Result<bool, StoreError> {
    let found: Option<String> = grants::table
        .filter(grants::invitation_id.eq(invitation.as_str()))
        .filter(grants::given_by.eq(giver.as_str()))
        .filter(grants::under.is_not_null())
        .filter(grants::revoked_at_ms.is_null())
        .select(grants::id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// The grants of the organization that the person gave, by id.
pub fn given_by(conn: &mut Conn, organization: &OrganizationId, person: &PersonId) -> Result<Vec<Grant>, StoreError> {
    let rows: Vec<Row> = grants::table
        .filter(grants::organization_id.eq(organization.as_str()))
        .filter(grants::given_by.eq(person.as_str()))
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}

/// The grants that wait for these invitations, or waited for them until they were taken back, by id.
pub fn waiting_for(conn: &mut Conn, invitations: &[InvitationId]) -> Result<Vec<Grant>, StoreError> {
    let rows: Vec<Row> = grants::table
        .filter(grants::invitation_id.eq_any(invitations.iter().map(|id| Some(id.as_str()))))
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}
