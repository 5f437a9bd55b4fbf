//! What has ended, whatever it was.

use diesel::prelude::*;

use super::columns::parsed;
use super::schema::{
    api_keys, enrolments, grants, guest_links, invitations, locks, memberships, passkeys, persons, phones, tenancies,
};
use super::{Conn, StoreError};
use crate::domain::ending::{Ending, Thing};
use crate::domain::lock::LockState;
use crate::domain::time::Timestamp;

/// What has ended from `since` to `now`.
pub fn since(conn: &mut Conn, since: Timestamp, now: Timestamp) -> Result<Vec<Ending>, StoreError> {
    let (since, now) = (since.as_millis(), now.as_millis());
    let mut endings = Vec::new();
    let mut take = |what: Thing, rows: Vec<(String, Option<i64>)>| {
        let ended = rows.into_iter().filter_map(|(id, at_ms)| Some((id, at_ms?)));
        endings.extend(ended.map(|(id, at_ms)| Ending {
            what,
            id,
            organization: None,
            number: None,
            at: Timestamp::from_millis(at_ms),
        }));
    };
    macro_rules! ended {
        ($what:ident, $table:ident, $at:ident) => {
            take(
                Thing::$what,
                $table::table
                    .filter($table::$at.ge(since))
                    .select(($table::id, $table::$at))
                    .load(conn)?,
            )
        };
    }
    ended!(Grant, grants, revoked_at_ms);
    ended!(Tenancy, tenancies, closed_at_ms);
    ended!(Phone, phones, removed_at_ms);
    ended!(Passkey, passkeys, removed_at_ms);
    ended!(Link, guest_links, voided_at_ms);
    ended!(ApiKey, api_keys, revoked_at_ms);
    ended!(Lock, locks, retired_at_ms);
    ended!(Invitation, invitations, accepted_at_ms);
    // Whoever withdraws one sets its end.
    let closed: Vec<(String, i64)> = invitations::table
        .filter(invitations::ends_at_ms.between(since, now))
        .filter(invitations::accepted_at_ms.is_null())
        .select((invitations::id, invitations::ends_at_ms))
        .load(conn)?;
    take(
        Thing::Invitation,
        closed.into_iter().map(|(id, at_ms)| (id, Some(at_ms))).collect(),
    );
    ended!(Person, persons, erased_at_ms);
    let controllers: Vec<(String, i64, Option<i64>)> = enrolments::table
        .filter(enrolments::ended_at_ms.ge(since))
        .select((enrolments::lock_id, enrolments::number, enrolments::ended_at_ms))
        .load(conn)?;
    endings.extend(controllers.into_iter().filter_map(|(id, number, at_ms)| {
        Some(Ending {
            what: Thing::Controller,
            id,
            organization: None,
            number: Some(number),
            at: Timestamp::from_millis(at_ms?),
        })
    }));
    let used: Vec<(String, i64, Option<i64>)> = grants::table
        .filter(grants::used_at_ms.ge(since))
        .select((grants::id, grants::uses_taken, grants::used_at_ms))
        .load(conn)?;
    endings.extend(used.into_iter().filter_map(|(id, taken, at_ms)| {
        Some(Ending {
            what: Thing::Use,
            id,
            organization: None,
            number: Some(taken),
            at: Timestamp::from_millis(at_ms?),
        })
    }));
    let left: Vec<(String, String, Option<i64>)> = memberships::table
        .filter(memberships::ended_at_ms.ge(since))
        .select((
            memberships::organization_id,
            memberships::person_id,
            memberships::ended_at_ms,
        ))
        .load(conn)?;
    endings.extend(left.into_iter().filter_map(|(organization, person, at_ms)| {
        Some(Ending {
            what: Thing::Membership,
            id: person,
            organization: Some(organization),
            number: None,
            at: Timestamp::from_millis(at_ms?),
        })
    }));
    Ok(endings)
}

/// Ends what needs nothing else done with it, as it had ended before; says whether it stood until now. Of a tenancy the end
/// is set, and carried out when its time is looked at next.
pub fn repeat(conn: &mut Conn, ending: &Ending) -> Result<bool, StoreError> {
    let (id, at) = (ending.id.as_str(), ending.at.as_millis());
    let changed = match (ending.what, &ending.organization) {
        (Thing::Tenancy, _) => {
            let later = tenancies::ends_at_ms.is_null().or(tenancies::ends_at_ms.gt(at));
            let open = tenancies::table.find(id).filter(tenancies::closed_at_ms.is_null());
            diesel::update(open.filter(later))
                .set(tenancies::ends_at_ms.eq(at))
                .execute(conn)?
        }
        (Thing::Membership, Some(organization)) => {
            let mine = memberships::table.find((organization.as_str(), id));
            // Who had come back when the backup was made belongs there since then.
            let before = mine.filter(memberships::created_at_ms.le(at));
            diesel::update(before.filter(memberships::ended_at_ms.is_null()))
                .set(memberships::ended_at_ms.eq(at))
                .execute(conn)?
        }
        (Thing::Link, _) => diesel::update(guest_links::table.find(id).filter(guest_links::voided_at_ms.is_null()))
            .set(guest_links::voided_at_ms.eq(at))
            .execute(conn)?,
        (Thing::Phone, _) => diesel::update(phones::table.find(id).filter(phones::removed_at_ms.is_null()))
            .set(phones::removed_at_ms.eq(at))
            .execute(conn)?,
        (Thing::Passkey, _) => usize::from(super::passkeys::remove(conn, &parsed(id)?, ending.at)?),
        (Thing::ApiKey, _) => diesel::update(api_keys::table.find(id).filter(api_keys::revoked_at_ms.is_null()))
            .set((
                api_keys::revoked_at_ms.eq(at),
                api_keys::revoked_by.eq(api_keys::made_by.nullable()),
            ))
            .execute(conn)?,
        // One that was given back since counts as taken: rather one too few than one too many.
        (Thing::Use, _) => diesel::update(grants::table.find(id))
            .filter(grants::uses_taken.lt(ending.number.unwrap_or(0)))
            .set(grants::uses_taken.eq(ending.number.unwrap_or(0)))
            .execute(conn)?,
        // Also one that was accepted: who came by it is not known any more, and is invited anew.
        (Thing::Invitation, _) => diesel::update(invitations::table.find(id))
            .filter(invitations::accepted_at_ms.is_null())
            .filter(invitations::ends_at_ms.gt(at))
            .set(invitations::ends_at_ms.eq(at))
            .execute(conn)?,
        // Whoever runs the house looks at the door first.
        (Thing::Lock, _) => diesel::update(locks::table.find(id).filter(locks::quarantined_at_ms.is_null()))
            .set(locks::quarantined_at_ms.eq(at))
            .execute(conn)?,
        // Somebody may have it: it is not believed before whoever runs the house says so.
        (Thing::Controller, _) => diesel::update(locks::table.find(id))
            .filter(locks::state.eq(LockState::Enrolled.as_str()))
            .filter(locks::enrolments.le(ending.number.unwrap_or(0)))
            .filter(locks::quarantined_at_ms.is_null())
            .set(locks::quarantined_at_ms.eq(at))
            .execute(conn)?,
        (Thing::Grant | Thing::Person | Thing::Membership, _) => 0,
    };
    Ok(changed > 0)
}
