//! Signing in, staying signed in, signing out.

use std::net::IpAddr;
use std::sync::Arc;

use super::own_sessions::{Arrival, NewDevice, tell_of_device};
use super::second_factors::{Asked, Shown, check_factor};
use super::tries::{Subjects, book_try, unbook};
use super::{Actor, App, Error};
use crate::crypto::dpop::Proof;
use crate::crypto::password::PasswordHash;
use crate::crypto::recovery_code::FactorCode;
use crate::crypto::secret::Secret;
use crate::domain::account::{Email, Person};
use crate::domain::ids::{PersonId, SessionId};
use crate::domain::password::Password;
use crate::domain::session::hour_of;
use crate::domain::time::Timestamp;
use crate::store::sessions::{self, Living, TokenPair};
use crate::store::{Conn, StoreError, accounts, guest_links, own_sessions};

/// The tokens of a session, shown once.
#[derive(Debug)]
pub struct Tokens {
    /// What every request carries.
    pub access: Secret,
    /// Until when.
    pub access_ends_at: Timestamp,
    /// What is exchanged for the next pair, once.
    pub refresh: Secret,
    /// Whether they are worth nothing without a proof by a key.
    pub are_bound: bool,
}

impl Tokens {
    /// The tokens as they were kept: good no longer than that.
    #[must_use]
    pub(super) fn into_kept(self, pair: &TokenPair) -> Self {
        Self {
            access_ends_at: pair.access_ends_at,
            ..self
        }
    }
}

/// Somebody who has shown their password, and what it was checked against.
pub(super) struct Proven {
    pub(super) person: PersonId,
    hash: PasswordHash,
    /// Whether this account signed in from there before, as far as that is remembered.
    is_known_there: bool,
}

impl Proven {
    /// Keeps the password until this transaction ends. Checking takes its time, and a new password ends all sessions:
    /// one that begins by the old one afterwards would outlive it.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] where it was replaced since.
    pub(super) fn hold(&self, conn: &mut Conn) -> Result<(), Error> {
        if accounts::hold_password(conn, &self.person, self.hash.as_str())? {
            Ok(())
        } else {
            Err(Error::WrongCredentials)
        }
    }
}

/// Adds a session of the person who has just shown who they are, and comes from there.
pub(super) fn add_session(
    conn: &mut Conn,
    (id, person): (SessionId, PersonId),
    from: Arrival,
    pair: &TokenPair,
    now: Timestamp,
) -> Result<(), StoreError> {
    let session = Living {
        id,
        person,
        by_link: None,
        key: from.key,
        proven_at: now,
        used_at: hour_of(now),
    };
    sessions::add(conn, &session, &from.device, pair, now)
}

impl App {
    /// Signs a person in, in a session that is bound to the key of this thumbprint where one is given. An unknown address costs the same time as a wrong password and gets the same answer.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`]; [`Error::SecondFactorNeeded`] and [`Error::WrongCode`] to who has the right password;
    /// [`Error::Throttled`] after too many failures of the account or from the address;
    /// [`Error::Busy`] where too many passwords wait to be checked.
    pub async fn sign_in(
        &self,
        email: Email,
        password: Password,
        code: Option<FactorCode>,
        from: Arrival,
    ) -> Result<Tokens, Error> {
        let asked = Asked::Everything(code);
        let proven = self.check_password(email, password, asked, from.address).await?;
        let (now, random) = (self.now(), Arc::clone(&self.random));
        let begun = self.begin_session(proven.person.clone(), from, move |conn| {
            proven.hold(conn)?;
            // The first of all is no news.
            if !proven.is_known_there && own_sessions::had_any(conn, &proven.person)? {
                tell_of_device(conn, &*random, &proven.person, NewDevice::SignedIn, now)?;
            }
            Ok(())
        });
        Ok(begun.await?.0)
    }

    /// Whoever has this address and this password, and what else is asked for. Only who has shown the right password learns that
    /// there is a second factor; a wrong code stays on record as a failure.
    ///
    /// # Errors
    /// As [`Self::sign_in`].
    pub(super) async fn check_password(
        &self,
        email: Email,
        password: Password,
        asked: Asked,
        from: IpAddr,
    ) -> Result<Proven, Error> {
        let now = self.now();
        let subjects = Subjects::of(&email, from);
        let known = subjects.known;
        let (booked, found) = self
            .db
            .write(move |conn| {
                let booked = book_try(conn, &subjects, now)?;
                Ok::<_, Error>((booked, accounts::find_by_email(conn, &email)?))
            })
            .await?;
        let stored: Option<(Person, PasswordHash)> = found
            .filter(|(person, _)| person.email.leads_somewhere())
            .map(|(person, hash)| Ok::<_, StoreError>((person, hash.parse().map_err(StoreError::corrupt)?)))
            .transpose()?;
        let hash = stored.as_ref().map(|(_, hash)| hash.clone());
        let checked = self.passwords.verify(password, hash).await;
        let is_known_there = booked.account.subject == known;
        let proven = stored.filter(|_| checked == Ok(true)).map(|(person, hash)| Proven {
            person: person.id,
            hash,
            is_known_there,
        });
        if checked == Ok(false) {
            return Err(Error::WrongCredentials);
        }
        let person = proven.as_ref().map(|proven| proven.person.clone());
        let (key, random) = (Arc::clone(&self.factors), Arc::clone(&self.random));
        let shown = self
            .db
            .write(move |conn| {
                let shown = match &person {
                    Some(person) => check_factor(conn, (&key, &*random), person, &asked, now)?,
                    None => Shown::Nothing,
                };
                match shown {
                    Shown::Enough => unbook(conn, &booked, Some(&known), now)?,
                    // The password alone neither clears anything nor makes a place a known one.
                    Shown::Nothing => unbook(conn, &booked, None, now)?,
                    Shown::Wrong => {}
                }
                Ok::<_, Error>(shown)
            })
            .await?;
        checked?;
        let proven = proven.ok_or(Error::WrongCredentials)?;
        match shown {
            Shown::Enough => Ok(proven),
            Shown::Nothing => Err(Error::SecondFactorNeeded),
            Shown::Wrong => Err(Error::WrongCode),
        }
    }

    /// Begins a session of the person who comes from there, after `first` in the same transaction, whose answer is handed on.
    pub(super) async fn begin_session<T: Send + 'static>(
        &self,
        person: PersonId,
        from: Arrival,
        first: impl FnOnce(&mut Conn) -> Result<T, Error> + Send + 'static,
    ) -> Result<(Tokens, T), Error> {
        let now = self.now();
        let session = SessionId::from_bits(self.id_bits(now));
        let (tokens, pair) = self.new_tokens(now, from.key.is_some());
        let answer = self
            .db
            .write(move |conn| {
                let answer = first(conn)?;
                add_session(conn, (session, person), from, &pair, now)?;
                Ok::<_, Error>(answer)
            })
            .await?;
        Ok((tokens, answer))
    }

    pub(super) fn new_tokens(&self, now: Timestamp, are_bound: bool) -> (Tokens, TokenPair) {
        let tokens = Tokens {
            access: self.random.secret(),
            access_ends_at: now + self.settings.access_life,
            refresh: self.random.secret(),
            are_bound,
        };
        let pair = TokenPair {
            access_digest: tokens.access.digest(),
            access_ends_at: tokens.access_ends_at,
            refresh_digest: tokens.refresh.digest(),
            refresh_ends_at: now + self.settings.refresh_life,
        };
        (tokens, pair)
    }

    /// Exchanges a refresh token for the next pair. One that was exchanged before ends the session: of two holders, one
    /// is a thief, and nobody can say which.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where the token is unknown, ended or spent; [`Error::ProofRefused`] where its session is
    /// bound to another key than that of this thumbprint, or to none, or no key is shown: nothing is spent then.
    pub async fn refresh(&self, refresh: Secret, key: Option<String>) -> Result<Tokens, Error> {
        let now = self.now();
        let spent = refresh.digest();
        let (tokens, pair) = self.new_tokens(now, key.is_some());
        let rotated = self
            .db
            .write(move |conn| {
                if let Some(session) = sessions::find_by_refresh(conn, &spent, now)? {
                    if session.key != key {
                        return Err(Error::ProofRefused);
                    }
                    let pair = match &session.by_link {
                        None => pair,
                        Some((link, phone)) => match guest_links::reach(conn, link, phone, now)? {
                            Some(reach) => pair.until(reach.ends_at),
                            None => return Ok::<_, Error>(None),
                        },
                    };
                    // Of two exchanges at once on two nodes, the second finds the token spent.
                    if sessions::rotate(conn, &session.id, &spent, &pair)? {
                        return Ok(Some(pair));
                    }
                }
                if let Some(Living { id, person, .. }) = sessions::find_by_spent_refresh(conn, &spent)? {
                    sessions::end(conn, &id, "refresh-token-reused", now)?;
                    tracing::warn!(session.id = %id, person.id = %person, "a spent refresh token of {id} came again; the session is ended");
                }
                Ok(None)
            })
            .await?;
        let pair = rotated.ok_or(Error::Unauthenticated)?;
        Ok(tokens.into_kept(&pair))
    }

    /// The person whom this access token lets in.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it is unknown or ended.
    pub async fn authenticate(&self, access: &Secret) -> Result<Actor, Error> {
        let digest = access.digest();
        let now = self.now();
        let (who, used_at) = self
            .db
            .read(move |conn| {
                let found = sessions::find_by_access(conn, &digest, now)?.ok_or(Error::Unauthenticated)?;
                let reach = match &found.by_link {
                    None => None,
                    // It lives no longer than what it reaches.
                    Some((link, phone)) => {
                        Some(guest_links::reach(conn, link, phone, now)?.ok_or(Error::Unauthenticated)?)
                    }
                };
                let memberships = accounts::memberships(conn, &found.person)?;
                let who = Actor {
                    person: found.person,
                    session: found.id,
                    memberships,
                    key: None,
                    proven_at: found.proven_at,
                    reach,
                    bound_to: found.key,
                };
                Ok::<_, Error>((who, found.used_at))
            })
            .await?;
        if used_at < hour_of(now) {
            let id = who.session.clone();
            let noted = self
                .db
                .write(move |conn| Ok::<_, Error>(own_sessions::note_use(conn, &id, hour_of(now))?));
            if let Err(error) = noted.await {
                // It tells a person which of their sessions is forgotten. No door waits for that.
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, session.id = %who.session, "the use of {} was not noted", who.session);
            }
        }
        Ok(who)
    }

    /// Uses the proof up by which somebody shows their key, so that nobody uses it again.
    ///
    /// # Errors
    /// [`Error::ProofRefused`] where it was used before.
    pub async fn use_proof(&self, proof: &Proof) -> Result<(), Error> {
        let (now, digest) = (self.now(), proof.digest);
        self.db
            .write(move |conn| match sessions::use_proof(conn, &digest, now)? {
                true => Ok(()),
                false => Err(Error::ProofRefused),
            })
            .await
    }

    /// Ends the session that asks.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn sign_out(&self, who: &Actor) -> Result<(), Error> {
        let (now, session) = (self.now(), who.session.clone());
        self.db
            .write(move |conn| Ok(sessions::end(conn, &session, "signed-out", now)?))
            .await
    }

    /// Replaces the person's password and ends all their sessions; the new tokens are of a new one.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] where the present password is not this one; [`Error::Throttled`] after too many
    /// failures; [`Error::Busy`].
    pub async fn change_password(
        &self,
        who: &Actor,
        present: Password,
        code: Option<FactorCode>,
        new: Password,
        from: Arrival,
    ) -> Result<Tokens, Error> {
        let id = who.person.clone();
        let person = self
            .db
            .read(move |conn| accounts::find_person(conn, &id)?.ok_or(Error::Unauthenticated))
            .await?;
        let asked = Asked::of(who, code, self.now());
        // A stolen session must not be a way round the throttle, and a guess here is a guess at the sign-in.
        let proven = self.check_password(person.email, present, asked, from.address).await?;
        let hash = self.passwords.hash(new).await?;
        let (now, person) = (self.now(), who.person.clone());
        let begun = self.begin_session(who.person.clone(), from, move |conn| {
            proven.hold(conn)?;
            accounts::set_password_hash(conn, &person, hash.as_str())?;
            Ok(sessions::end_all(conn, &person, "password-changed", now)?)
        });
        Ok(begun.await?.0)
    }
}
