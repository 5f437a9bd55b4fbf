//! Invitations that nobody has accepted yet, and taking them back.

use std::sync::Arc;

use super::property_of;
use crate::app::grants::{By, Ended, end_with, revoke_waiting, write_down_waiting};
use crate::app::revocations::{Revocation, hold_locks};
use crate::app::{Actor, App, Error, What, managed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{InvitationId, LockId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::unlock::RightSource;
use crate::store::invitations::{self, Invitation, Shown};
use crate::store::{access_log, accounts, grants};

impl App {
    /// The invitations into the organizations that the caller manages that can still be accepted. Whom tenants let in at their
    /// own doors alone is not among them.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn invitations(
        &self,
        who: &Actor,
        page: PageRequest<InvitationId>,
    ) -> Result<Page<Invitation, InvitationId>, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                let waiting = Shown::Waiting {
                    now,
                    after: page.after.as_ref(),
                    limit: i64::from(page.limit) + 1,
                };
                let found = invitations::shown(conn, &scope, waiting)?;
                Ok(Page::cut(found, page.limit, |invitation| invitation.id.clone()))
            })
            .await
    }

    /// Takes an invitation back: its link lets nobody in any more, and the access that waits for it ends, its PINs too. Taking
    /// back what was taken back, or has ended by itself, answers the same and writes nothing.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the caller may not appoint somebody of that role; [`Error::NotFound`];
    /// [`Error::Conflict`] where it was accepted.
    pub async fn withdraw_invitation(&self, who: &Actor, id: InvitationId) -> Result<Revocation, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let ended = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let found = invitations::shown(conn, &scope, Shown::One(&id))?.pop();
                let invitation = found.ok_or(Error::NotFound(What::Invitation))?;
                let own = accounts::role(conn, &invitation.organization, &who.person)?.ok_or(Error::Forbidden)?;
                if !own.may_appoint(invitation.role) {
                    return Err(Error::Forbidden);
                }
                // First of all, as whoever accepts it does: of the two, one comes too late.
                let stood = invitations::close(conn, &id, now)?;
                if !stood && invitations::is_accepted(conn, &id)? {
                    return Err(Error::Conflict {
                        word: "invitation-accepted",
                        why: "it was accepted: take back the access, or put its holder out",
                    });
                }
                let waiting = grants::waiting_for(conn, &[id])?;
                if !stood {
                    let rights = waiting.into_iter().map(|grant| RightSource::Grant(grant.id));
                    return Ok(Ended::before(rights.collect()));
                }
                let doors: Vec<LockId> = waiting.iter().flat_map(|grant| grant.terms.locks.clone()).collect();
                hold_locks(conn, &doors)?;
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let stood = revoke_waiting(conn, by, waiting, now)?;
                let rights = stood.iter().map(|grant| RightSource::Grant(grant.id.clone()));
                let ended = end_with(conn, rights.collect(), by, now)?;
                write_down_waiting(conn, by, &stood, now)?;
                let entry = NewEntry {
                    property: property_of(conn, &invitation)?,
                    unit: invitation.tenancy.as_ref().map(|tenancy| tenancy.unit.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(serde_json::json!({ "invitation_id": invitation.id, "role": invitation.role })),
                    ..NewEntry::new(Kind::InvitationRevoked, now)
                };
                access_log::append(conn, &invitation.organization, &entry, now)?;
                Ok::<_, Error>(ended)
            })
            .await?;
        self.make_end_effective(ended).await
    }
}
