//! Changing a grant: the whole of what it gives is replaced, so that nothing stays of which nobody thought.

use std::sync::Arc;

use super::access::to_change;
use super::ending::By;
use super::following::{follow, put};
use super::{concerned_by, organization_of, refuse_programs_among_themselves, tell_of, under, write_down};
use crate::app::pins::begin;
use crate::app::proposals::{self, Weighty};
use crate::app::revocations::{Revocation, hold_locks};
use crate::app::{Actor, App, Error, house_access};
use crate::domain::access_log::Kind;
use crate::domain::account::Scope;
use crate::domain::grant::{Grant, GrantState, Holder, NewGrant, Terms, Uses, Way};
use crate::domain::ids::{GrantId, LockId};
use crate::domain::notice;
use crate::domain::spare::AskAnswer;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, grants, invitations, locks, spare_asks};

/// Nothing comes back of a grant that was taken back.
pub(super) const OVER: Error = Error::Conflict {
    word: "grant-over",
    why: "the grant was taken back; give another",
};

impl App {
    /// Replaces what a grant gives by `new`, as a whole: what is left out there is what it is in a grant that is given, never
    /// what it was. The holder stays, and what was taken of counted uses stays taken. What it does not give any more is taken
    /// back at its locks, and what was given under it is narrowed with it. Of two changes at once the later holds.
    ///
    /// # Errors
    /// As of [`App::give`]; [`Error::NotFound`] of the grant, [`Error::Forbidden`] where it is the caller's own and not theirs
    /// to change, or a program asks and a program holds it, [`Error::Conflict`] where it was taken back.
    pub async fn change_grant(&self, who: &Actor, id: GrantId, new: NewGrant) -> Result<(Grant, Revocation), Error> {
        let (now, who) = (self.now(), who.clone());
        new.clone().check(now).map_err(|bad| Error::invalid(bad.field(), bad))?;
        let random = Arc::clone(&self.random);
        let (grant, ended) = self
            .db
            .write(move |conn| {
                let before = to_change(conn, &who, &id)?;
                if before.state != GrantState::Active {
                    return Err(OVER);
                }
                refuse_programs_among_themselves(conn, &who, &before.organization, &before.holder)?;
                organization_of(conn, &new.locks, &Scope::only(before.organization.clone()))?;
                let doors: Vec<LockId> = before.terms.locks.iter().chain(&new.locks).cloned().collect();
                hold_locks(conn, &doors)?;
                let mut terms = match &before.under {
                    None => new.clone().check(now).map_err(|bad| Error::invalid(bad.field(), bad))?,
                    Some(source) => under::terms_under(conn, source, new.clone(), now)?,
                };
                let taken = before.terms.uses.map_or(0, Uses::taken);
                let counted = terms.uses.map(|uses| Uses::with_taken(uses.limit(), taken)).transpose();
                terms.uses = counted.map_err(|bad| Error::invalid(bad.field(), bad))?;
                let is_wider = before.under.is_none() && !before.terms.cover(&terms, now);
                if is_wider {
                    refuse_alone(conn, &before, &terms, now)?;
                }
                let house_access = match before.person().filter(|_| is_wider) {
                    Some(person) => {
                        let organization = &before.organization;
                        house_access::postpone(conn, organization, person, &mut terms, new.reason, now)?
                    }
                    None => None,
                };
                if terms.ways.contains(&Way::Pin) {
                    for lock in locks::with_ids(conn, &terms.locks)? {
                        begin(conn, &lock, now)?;
                    }
                }
                // A key that is in its holder's hand is not put back by what else changes.
                let released_until = before.released_until.filter(|_| terms.spare.is_some());
                let after = Grant {
                    terms,
                    released_until,
                    ..before.clone()
                };
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let ended = put(conn, &before, &after, now)?;
                if after.terms.spare.is_none() {
                    spare_asks::answer(conn, &id, AskAnswer::Over, None, now)?;
                }
                let ended = ended.and(follow(conn, &RightSource::Grant(id.clone()), by, now)?);
                write_down(conn, by, &after, Kind::GrantChanged, None, now)?;
                let concerned = concerned_by(&after);
                tell_of(conn, by, concerned, &after, notice::Kind::AccessChanged, now)?;
                if let Some(access) = &house_access {
                    let right = RightSource::Grant(id.clone());
                    let signed = (&who.person, |entry| who.signed(entry));
                    house_access::tell_residents(conn, &*random, &after.organization, signed, (&right, access), now)?;
                }
                let stored = grants::find(conn, &id, &Scope::only(after.organization.clone()))?;
                Ok((stored.unwrap_or(after), ended))
            })
            .await?;
        let revocation = self.make_end_effective(ended).await?;
        Ok((grant, revocation))
    }
}

/// What two persons have to agree on is given, not slipped in by a change: more doors, nor a longer time, nor more of
/// anything, be its holder a member or still invited.
fn refuse_alone(conn: &mut Conn, before: &Grant, terms: &Terms, now: Timestamp) -> Result<(), Error> {
    let invited = match &before.holder {
        Holder::Invited(invitation) => invitations::email_of(conn, invitation)?,
        Holder::Person(_) => None,
    };
    let weighty = Weighty::Grant {
        person: before.person(),
        email: invited.as_ref(),
        locks: &terms.locks,
    };
    if proposals::needed(conn, &before.organization, weighty, now)? {
        return Err(Error::Conflict {
            word: "second-person-needed",
            why: "by this its holder could open a whole property, and more than before: give it in a grant of its own, which a second person confirms",
        });
    }
    Ok(())
}
