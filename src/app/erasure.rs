//! Erasing an account: what is a person's own goes at once, what others need stays under a name that is nobody's, until its
//! time is over (`docs/PRIVACY.md`).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::api_keys::end_keys_of;
use super::grants::{By, Ended, end_with, revoke_waiting, write_down_waiting};
use super::letters::{Letters, withdraw_all_to};
use super::phones::remove_all;
use super::revocations::{Revocation, hold_locks};
use super::second_factors::Asked;
use super::webhooks::{stop_those_of, write_down_stops};
use super::{Actor, App, Error};
use crate::crypto::password::PasswordHash;
use crate::crypto::random::Random;
use crate::crypto::recovery_code::FactorCode;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{BadEmail, Email, Membership, Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::password::{BadPassword, Password};
use crate::domain::text::BadText;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::access_log::forgetting;
use crate::store::{
    Conn, access_log, accounts, grants, invitations, letters, locks, looks, notices, passkeys, second_factors,
    sessions, tenancies,
};

/// What somebody is called who has erased their account.
const NOBODY: &str = "Erased person";

impl App {
    /// Erases the caller's account, once they have shown their password: their memberships, sessions and phones end, what they
    /// were told and what only they saw of logs goes, and what is left of them is an identifier.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], [`Error::Throttled`] and [`Error::Busy`] as in [`Self::sign_in`]; [`Error::Conflict`]
    /// while they own an organization or have a tenancy that is not over.
    pub async fn erase(
        &self,
        who: &Actor,
        password: Password,
        code: Option<FactorCode>,
        from: IpAddr,
    ) -> Result<Revocation, Error> {
        let (now, id) = (self.now(), who.person.clone());
        let person = self
            .db
            .read(move |conn| Ok::<_, Error>(accounts::find_person(conn, &id)?))
            .await?;
        let person = person.ok_or(Error::Unauthenticated)?;
        let proven = self
            .check_password(person.email.clone(), password, Asked::of(who, code, now), from)
            .await?;
        let hash = self.nobodys_password().await?;
        let (caller, random, by_letter) = (who.clone(), Arc::clone(&self.random), Arc::clone(&self.letters));
        let (ended, thumbprints) = self
            .db
            .write(move |conn| {
                proven.hold(conn)?;
                let memberships = accounts::memberships(conn, &person.id)?;
                if memberships.iter().any(|membership| membership.role == Role::Owner) {
                    return Err(Error::Conflict {
                        word: "still-in-use",
                        why: "an organization is yours; hand it on first",
                    });
                }
                if tenancies::has_lasting(conn, &person.id, now)? {
                    return Err(Error::Conflict {
                        word: "still-in-use",
                        why: "you live somewhere, or are to; the account can be erased when that has ended",
                    });
                }
                // Phones, locks, rights, ends of logs: the order in which a pass takes them.
                let thumbprints = remove_all(conn, &person.id, now)?;
                let ended = leave_all(conn, &*random, (&caller, &person), &memberships, now)?;
                blot_out(conn, &person, &hash, &by_letter, now)?;
                Ok((ended, thumbprints))
            })
            .await?;
        self.has_traces.store(true, Ordering::Relaxed);
        if let Err(error) = self.wipe_traces().await {
            // The job that forgets does it too, a little later.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what an erased account left in the database's log is not gone yet"
            );
        }
        let by_phone = self.make_effective(thumbprints).await?;
        let by_right = self.make_end_effective(ended).await?;
        Ok(by_right.and(by_phone))
    }

    /// The hash of a password that nobody has.
    pub(super) async fn nobodys_password(&self) -> Result<PasswordHash, Error> {
        let secret = self.random.secret().expose().parse();
        let secret = secret.map_err(|bad: BadPassword| Error::Internal("erasing an account", bad.into()))?;
        Ok(self.passwords.hash(secret).await?)
    }
}

/// Takes away what the database knows of the person: who they are, how they sign in, what they were told, and what only they saw of
/// logs. Their phones, memberships and rights have ended.
pub(super) fn blot_out(
    conn: &mut Conn,
    person: &Person,
    hash: &PasswordHash,
    by_letter: &Letters,
    now: Timestamp,
) -> Result<(), Error> {
    let nobody = nobody(&person.id).map_err(|error| Error::Internal("erasing an account", error))?;
    // Whoever signs in by one at this moment is in before that, and their session is forgotten with the others. The person's row comes
    // after: a sign-in takes it after the passkey, too.
    passkeys::remove_all_of(conn, &person.id, now)?;
    accounts::erase(conn, &nobody, hash.as_str(), now)?;
    invitations::rename(conn, &person.email, &nobody.email)?;
    sessions::forget_all_of(conn, &person.id)?;
    second_factors::remove(conn, &person.id)?;
    notices::forget_all_of(conn, &person.id)?;
    letters::set_unwanted(conn, &person.id, &[])?;
    withdraw_all_to(conn, by_letter, &person.email)?;
    looks::forget_concerns(conn, &person.id)?;
    let own = forgetting::only_of(conn, &person.id)?;
    forgetting::forget(conn, &own)?;
    Ok(())
}

/// Whether this is what an erased account leaves.
pub(super) fn is_nobody(person: &Person) -> bool {
    person.email.as_str().ends_with("@erased.invalid")
}

/// The account without what tells whose it was; its address leads nowhere (RFC 6761, 6.4).
fn nobody(id: &PersonId) -> Result<Person, Box<dyn std::error::Error + Send + Sync>> {
    let email: Email = format!("{id}@erased.invalid").parse().map_err(|bad: BadEmail| bad)?;
    let name = PersonName::try_from(NOBODY.to_owned()).map_err(|bad: BadText| bad)?;
    Ok(Person {
        id: id.clone(),
        email,
        name,
    })
}

/// Ends the person's memberships and every right that they still have anywhere, and writes it down where they belonged.
fn leave_all(
    conn: &mut Conn,
    random: &dyn Random,
    (who, person): (&Actor, &Person),
    memberships: &[Membership],
    now: Timestamp,
) -> Result<Ended, Error> {
    let id = &person.id;
    let mut organizations: Vec<OrganizationId> = memberships.iter().map(|joined| joined.organization.clone()).collect();
    let mut stopped = Vec::new();
    // The ends of several logs, always in this order.
    organizations.sort_unstable();
    let mut closed = Vec::new();
    for organization in &organizations {
        closed.extend(invitations::close_all_of(conn, organization, &person.email, now)?);
        accounts::end_membership(conn, organization, id, now)?;
        stopped.extend(stop_those_of(conn, organization, id)?);
    }
    let doors = grants::lock_ids_of(conn, id)?;
    let doors = locks::with_ids(conn, &doors)?;
    let waiting = grants::waiting_for(conn, &closed)?;
    let doors =
        (doors.into_iter().map(|lock| lock.id)).chain(waiting.iter().flat_map(|grant| grant.terms.locks.clone()));
    hold_locks(conn, &doors.collect::<Vec<_>>())?;
    let mut rights = Vec::new();
    for organization in &organizations {
        let ended = grants::revoke_all_of(conn, organization, id, id, now)?;
        rights.extend(ended.into_iter().map(RightSource::Grant));
    }
    let by = By { who: Some(who), random };
    let stood = revoke_waiting(conn, by, waiting, now)?;
    rights.extend(stood.iter().map(|grant| RightSource::Grant(grant.id.clone())));
    let ended = end_with(conn, rights, by, now)?;
    for organization in &organizations {
        end_keys_of(conn, who, organization, id, now)?;
        let theirs = stood.iter().filter(|grant| grant.organization == *organization);
        write_down_waiting(conn, by, theirs, now)?;
        let entry = NewEntry {
            person: Some(id.clone()),
            ..NewEntry::new(Kind::PersonErased, now)
        };
        access_log::append(conn, organization, &entry, now)?;
    }
    write_down_stops(conn, random, &stopped, now)?;
    Ok(ended)
}
