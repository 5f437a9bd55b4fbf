//! What was opened by an offline pass: whose it was, and the use that it takes.

use doorward_lock::wire;

use super::events::{EventCause, Verified};
use crate::app::Error;
use crate::domain::account::Scope;
use crate::domain::ids::PersonId;
use crate::domain::lock::Lock;
use crate::domain::time::Timestamp;
use crate::domain::unlock::{RightName, RightSource};
use crate::store::{Conn, grants, passes};

/// Whose pass it was.
pub(super) struct Bearer {
    pub(super) right: RightSource,
    /// Who holds the right; `None` where it is none of the organization's.
    pub(super) person: Option<PersonId>,
    /// Whether the grant's uses were all taken when this one was reported: they were taken by the app meanwhile.
    pub(super) exceeds: bool,
}

/// Whose pass caused the event, where a pass did. An opening by a counted grant takes a use, once: the caller has just
/// stored the event for the first time.
pub(super) fn bearer(conn: &mut Conn, lock: &Lock, event: &Verified, now: Timestamp) -> Result<Option<Bearer>, Error> {
    let EventCause::Pass(name) = &event.cause else {
        return Ok(None);
    };
    // Another word is one that this backend has never put into a pass.
    let Ok(RightName { source: right, .. }) = name.parse::<RightName>() else {
        return Ok(None);
    };
    let person = grants::holder(conn, &right, &lock.organization)?;
    let opened = event.kind == wire::Kind::Unlocked.as_str();
    let exceeds = match &right {
        RightSource::Grant(grant) if opened && person.is_some() => {
            let scope = Scope::only(lock.organization.clone());
            let counted = grants::find(conn, grant, &scope)?
                .is_some_and(|grant| grant.terms.uses.is_some() && grant.terms.locks.contains(&lock.id));
            if counted {
                passes::count_use(conn, grant, &lock.id)?;
            }
            counted && !grants::take_use(conn, grant, now)?
        }
        _ => false,
    };
    Ok(Some(Bearer { right, person, exceeds }))
}
