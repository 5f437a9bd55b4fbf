//! The end of rights, and of everything that hangs on them: one way, whoever ends them and why.
//!
//! In the transaction: [`hold_locks`] first, then the rights themselves are ended, then [`end_with`], and what is written
//! down comes last. After the commit: [`App::make_end_effective`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::to_take_back;
use super::{concerned_by, tell_of, write_down};
use crate::app::guests::void_link;
use crate::app::pins::{Reworded, Untold, clear_of_grant, outlives};
use crate::app::revocations::{Revocation, hold_locks, revoke_rights};
use crate::app::{Actor, App, Error};
use crate::crypto::random::Random;
use crate::domain::access_log::Kind;
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, LockId, PersonId};
use crate::domain::notice;
use crate::domain::pin::SlotState;
use crate::domain::spare::AskAnswer;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, grants, pins, spare_asks};

/// Rights that have ended, as far as the locks have to know of it.
#[must_use]
#[derive(Debug, Default)]
pub(in crate::app) struct Ended {
    /// The rights.
    rights: Vec<RightSource>,
    /// Grants that go on, and whose passes so far are void.
    renamed: Vec<GrantId>,
    /// The locks at which a PIN is to be cleared or changed, or codes are void.
    changed: BTreeSet<LockId>,
    /// Until when PINs that were changed may open as they were.
    untold: Vec<Untold>,
}

/// Who ends or changes rights, and how those are told who are concerned.
#[derive(Clone, Copy)]
pub(in crate::app) struct By<'a> {
    /// Who; `None` for time.
    pub(in crate::app) who: Option<&'a Actor>,
    /// For the identifiers of notices.
    pub(in crate::app) random: &'a dyn Random,
}

impl<'a> By<'a> {
    /// The person; `None` for time.
    pub(in crate::app) fn actor(self) -> Option<&'a PersonId> {
        self.who.map(|who| &who.person)
    }

    /// The person, or who gave the grant where it is time that ends it.
    pub(super) fn or_giver(self, grant: &'a Grant) -> &'a PersonId {
        self.actor().unwrap_or(&grant.given_by)
    }
}

impl Ended {
    /// Rights that had ended before: nothing is to be done for them, but the locks may still not know.
    pub(in crate::app) fn before(rights: Vec<RightSource>) -> Self {
        Self {
            rights,
            ..Self::default()
        }
    }

    /// A grant that goes on, whose passes so far are void where `is_renamed`, with what became of its PINs.
    pub(super) fn reworded(grant: &GrantId, is_renamed: bool, pins: Reworded) -> Self {
        Self {
            renamed: is_renamed.then(|| grant.clone()).into_iter().collect(),
            changed: pins.changed,
            untold: pins.untold,
            ..Self::default()
        }
    }

    /// Whether nothing ended or changed.
    pub(in crate::app) fn is_nothing(&self) -> bool {
        self.rights.is_empty() && self.renamed.is_empty() && self.changed.is_empty()
    }

    /// These and those.
    pub(in crate::app) fn and(mut self, other: Self) -> Self {
        self.rights.extend(other.rights);
        self.renamed.extend(other.renamed);
        self.changed.extend(other.changed);
        self.untold.extend(other.untold);
        self
    }

    /// With a lock whose PINs or codes were changed besides.
    pub(in crate::app) fn with_changed(mut self, lock: LockId) -> Self {
        self.changed.insert(lock);
        self
    }

    /// The grants among the rights.
    pub(in crate::app) fn grants(&self) -> impl Iterator<Item = &GrantId> {
        self.rights.iter().filter_map(|right| match right {
            RightSource::Grant(id) => Some(id),
            RightSource::Tenancy(_) => None,
        })
    }
}

/// Ends what hangs on rights that have just ended in this transaction: the grants that were given under them, their passes,
/// their PINs at every lock that holds one, and asks for spare keys. The caller holds the locks that the rights open. The end
/// of what was given under them is written down here, so all rights are ended before.
pub(in crate::app) fn end_with(
    conn: &mut Conn,
    mut rights: Vec<RightSource>,
    by: By<'_>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let mut hanging = grants::under(conn, &rights)?;
    hanging.retain(|grant| grant.stands(now));
    for grant in &hanging {
        grants::revoke(conn, &grant.id, by.or_giver(grant), now)?;
        rights.push(RightSource::Grant(grant.id.clone()));
    }
    let ended = end_alone(conn, rights, now)?;
    for grant in &hanging {
        tell_of_end(conn, by, grant, now)?;
    }
    Ok(ended)
}

/// Takes back the grants among these that still stand, and gives those: they waited for an invitation that is closed now. The
/// caller holds their locks, has them end with [`end_with`], and writes them down last by [`write_down_waiting`].
pub(in crate::app) fn revoke_waiting(
    conn: &mut Conn,
    by: By<'_>,
    waiting: Vec<Grant>,
    now: Timestamp,
) -> Result<Vec<Grant>, Error> {
    let mut stood = Vec::new();
    for grant in waiting {
        if grants::revoke(conn, &grant.id, by.or_giver(&grant), now)? {
            stood.push(grant);
        }
    }
    Ok(stood)
}

/// Writes down that these grants ended with the invitations that they waited for, and tells whom it concerns.
pub(in crate::app) fn write_down_waiting<'a>(
    conn: &mut Conn,
    by: By<'_>,
    stood: impl IntoIterator<Item = &'a Grant>,
    now: Timestamp,
) -> Result<(), Error> {
    for grant in stood {
        write_down(conn, by, grant, Kind::GrantRevoked, Some("invitation-revoked"), now)?;
        tell_of(conn, by, concerned_by(grant), grant, notice::Kind::AccessRevoked, now)?;
    }
    Ok(())
}

/// Has the passes and PINs of rights that have ended taken back, their links void, and their asks closed.
pub(super) fn end_alone(conn: &mut Conn, rights: Vec<RightSource>, now: Timestamp) -> Result<Ended, Error> {
    let mut ended = Ended::before(rights);
    let mut changed = BTreeSet::new();
    for grant in ended.grants() {
        let slots = pins::slots_of_grant(conn, grant)?;
        let set = slots.into_iter().filter(|slot| slot.state == SlotState::Set);
        let doors: Vec<LockId> = set.map(|slot| slot.lock).collect();
        changed.extend(clear_of_grant(conn, grant, &doors, now)?);
        spare_asks::answer(conn, grant, AskAnswer::Over, None, now)?;
        void_link(conn, grant, now)?;
    }
    revoke_rights(conn, &ended.rights, now)?;
    ended.changed = changed;
    Ok(ended)
}

/// Writes down that a grant ended with the right of its giver, and tells both.
pub(super) fn tell_of_end(conn: &mut Conn, by: By<'_>, grant: &Grant, now: Timestamp) -> Result<(), Error> {
    write_down(conn, by, grant, Kind::GrantRevoked, Some("giver-ended"), now)?;
    let concerned = grant.person().into_iter().chain([&grant.given_by]).cloned();
    tell_of(conn, by, concerned, grant, notice::Kind::AccessRevoked, now)
}

impl App {
    /// Takes a grant back, whoever may: its landlord, or who gave it under their own right. Once this returns no token and no
    /// pass is issued by it; tokens on their way end with their life, passes where their locks are told. Taking back what was
    /// taken back already answers the same and writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] where the grant is the caller's own and not theirs to take back.
    pub async fn revoke(&self, who: &Actor, id: GrantId) -> Result<Revocation, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let ended = self
            .db
            .write(move |conn| {
                let grant = to_take_back(conn, &who, &id)?;
                // The locks before the right: so does whoever issues a pass.
                hold_locks(conn, &grant.terms.locks)?;
                let right = vec![RightSource::Grant(id.clone())];
                if !grants::revoke(conn, &id, &who.person, now)? {
                    return Ok(Ended::before(right));
                }
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let ended = end_with(conn, right, by, now)?;
                write_down(conn, by, &grant, Kind::GrantRevoked, None, now)?;
                let concerned = concerned_by(&grant);
                tell_of(conn, by, concerned, &grant, notice::Kind::AccessRevoked, now)?;
                Ok::<_, Error>(ended)
            })
            .await?;
        self.make_end_effective(ended).await
    }

    /// Tells the locks that are there, waits a moment for their word, and says what can be promised.
    pub(in crate::app) async fn make_end_effective(&self, ended: Ended) -> Result<Revocation, Error> {
        for lock in &ended.changed {
            self.push_pins(lock).await?;
        }
        let (rights, renamed) = (ended.rights.clone(), ended.renamed.clone());
        let names = self
            .db
            .read(move |conn| {
                let mut void: Vec<String> = Vec::new();
                for name in grants::names(conn, &rights)? {
                    void.extend(name.with_earlier().map(|name| name.to_string()));
                }
                let renamed: Vec<RightSource> = renamed.into_iter().map(RightSource::Grant).collect();
                for name in grants::names(conn, &renamed)? {
                    let earlier = name.with_earlier().filter(|earlier| earlier.round < name.round);
                    void.extend(earlier.map(|name| name.to_string()));
                }
                Ok::<_, Error>(void)
            })
            .await?;
        let revocation = self.make_effective(names).await?;
        let now = self.now();
        let by_pin = self
            .db
            .read(move |conn| {
                let mut last = None;
                for grant in ended.grants() {
                    last = last.max(outlives(conn, grant, now)?);
                }
                for untold in &ended.untold {
                    last = last.max(untold.may_open_until(conn, now)?);
                }
                Ok::<_, Error>(last)
            })
            .await?;
        Ok(revocation.or_by_pin(by_pin))
    }
}
