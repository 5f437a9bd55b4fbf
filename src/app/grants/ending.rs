//! The end of rights, and of everything that hangs on them: one way, whoever ends them and why.
//!
//! In the transaction: [`hold_locks`] first, then the rights themselves are ended, then [`end_with`], and what is written
//! down comes last. After the commit: [`App::make_end_effective`].

use std::collections::BTreeSet;

use crate::app::guests::void_link;
use crate::app::pins::{clear_of_grant, outlives};
use crate::app::revocations::{Revocation, revoke_rights};
use crate::app::{App, Error};
use crate::domain::ids::{GrantId, LockId};
use crate::domain::pin::SlotState;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, pins};

#[cfg(doc)]
use crate::app::revocations::hold_locks;

/// Rights that have ended, as far as the locks have to know of it.
#[must_use]
#[derive(Debug, Default)]
pub(in crate::app) struct Ended {
    /// The rights.
    rights: Vec<RightSource>,
    /// The locks at which a PIN is to be cleared or codes are void.
    changed: BTreeSet<LockId>,
}

impl Ended {
    /// Rights that had ended before: nothing is to be done for them, but the locks may still not know.
    pub(in crate::app) fn before(rights: Vec<RightSource>) -> Self {
        Self {
            rights,
            changed: BTreeSet::new(),
        }
    }

    /// These and those.
    pub(in crate::app) fn and(mut self, other: Self) -> Self {
        self.rights.extend(other.rights);
        self.changed.extend(other.changed);
        self
    }

    /// With a lock whose PINs or codes were changed besides.
    pub(in crate::app) fn with_changed(mut self, lock: LockId) -> Self {
        self.changed.insert(lock);
        self
    }

    /// The grants among the rights.
    fn grants(&self) -> impl Iterator<Item = &GrantId> {
        self.rights.iter().filter_map(|right| match right {
            RightSource::Grant(id) => Some(id),
            RightSource::Tenancy(_) => None,
        })
    }
}

/// Ends what hangs on rights that have just ended in this transaction: their passes are void, the PINs of grants are to
/// be cleared at every lock that holds one, and their links let nobody in. The caller holds the locks that the rights open.
pub(in crate::app) fn end_with(conn: &mut Conn, rights: Vec<RightSource>, now: Timestamp) -> Result<Ended, Error> {
    let mut ended = Ended::before(rights);
    let mut changed = BTreeSet::new();
    for grant in ended.grants() {
        let slots = pins::slots_of_grant(conn, grant)?;
        let set = slots.into_iter().filter(|slot| slot.state == SlotState::Set);
        let doors: Vec<LockId> = set.map(|slot| slot.lock).collect();
        changed.extend(clear_of_grant(conn, grant, &doors, now)?);
        void_link(conn, grant, now)?;
    }
    revoke_rights(conn, &ended.rights, now)?;
    ended.changed = changed;
    Ok(ended)
}

impl App {
    /// Tells the locks that are there, waits a moment for their word, and says what can be promised.
    pub(in crate::app) async fn make_end_effective(&self, ended: Ended) -> Result<Revocation, Error> {
        for lock in &ended.changed {
            self.push_pins(lock).await?;
        }
        let names = ended.rights.iter().map(ToString::to_string).collect();
        let revocation = self.make_effective(names).await?;
        let now = self.now();
        let by_pin = self
            .db
            .read(move |conn| {
                let mut last = None;
                for grant in ended.grants() {
                    last = last.max(outlives(conn, grant, now)?);
                }
                Ok::<_, Error>(last)
            })
            .await?;
        Ok(revocation.or_by_pin(by_pin))
    }
}
