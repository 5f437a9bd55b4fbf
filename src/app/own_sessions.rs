//! A person's own sessions, and proving anew who one is.

use std::net::IpAddr;

use super::second_factors::Asked;
use super::sessions::Proven;
use super::{Actor, App, Error, What};
use crate::crypto::random::Random;
use crate::crypto::recovery_code::FactorCode;
use crate::domain::account::Membership;
use crate::domain::ids::{PersonId, SessionId};
use crate::domain::notice::{Kind, News};
use crate::domain::password::Password;
use crate::domain::session::{self, DeviceName, OwnSession, PROOF_GOOD_FOR};
use crate::domain::time::Timestamp;
use crate::store::{Conn, accounts, own_sessions};

/// Where somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The address that counts for throttling.
    pub address: IpAddr,
    /// What the session is to be called.
    pub device: DeviceName,
    /// The thumbprint of the key to which the session is to be bound; `None` for one that is bound to none.
    pub key: Option<String>,
}

/// What tells somebody that their account is used from somewhere new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewDevice {
    /// Somebody signed in as them.
    SignedIn,
    /// A phone was registered.
    Phone,
}

impl NewDevice {
    const fn word(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::Phone => "phone",
        }
    }
}

impl Actor {
    /// The session alone is not enough: who holds it must have proved lately that they are its person. Programs are not
    /// asked: what their keys reach was decided by somebody who was.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`].
    pub(super) fn must_have_proven(&self, now: Timestamp) -> Result<(), Error> {
        if self.key.is_some() || session::is_proof_fresh(self.proven_at, now) {
            Ok(())
        } else {
            Err(Error::ProofNeeded)
        }
    }
}

/// Tells the person, in the first of their organizations, that their account is used from somewhere new.
pub(super) fn tell_of_device(
    conn: &mut Conn,
    random: &dyn Random,
    person: &PersonId,
    what: NewDevice,
    now: Timestamp,
) -> Result<(), Error> {
    let detail = serde_json::json!({ "what": what.word() });
    tell_person(conn, random, person, (Kind::NewDevice, Some(detail)), now)
}

/// Tells the person something of their account: in the first of their organizations, once. Who belongs nowhere any more
/// has no notices.
pub(super) fn tell_person(
    conn: &mut Conn,
    random: &dyn Random,
    person: &PersonId,
    (kind, detail): (Kind, Option<serde_json::Value>),
    now: Timestamp,
) -> Result<(), Error> {
    let organizations = accounts::memberships(conn, person)?.into_iter();
    let Some(organization) = organizations.map(|Membership { organization, .. }| organization).min() else {
        return Ok(());
    };
    let news = News {
        detail,
        ..News::new(kind, organization)
    };
    super::notices::tell(conn, random, [person.clone()], &news, now)
}

impl App {
    /// The caller's sessions, the newest first.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn sessions(&self, who: &Actor) -> Result<Vec<OwnSession>, Error> {
        let (now, person) = (self.now(), who.person.clone());
        let read = move |conn: &mut Conn| Ok(own_sessions::of_person(conn, &person, now)?);
        self.db.read(read).await
    }

    /// Ends one of the caller's sessions, this one too.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`] of another one; [`Error::NotFound`] where the caller has no such session.
    pub async fn end_session(&self, who: &Actor, id: SessionId) -> Result<(), Error> {
        let (now, person) = (self.now(), who.person.clone());
        if id != who.session {
            who.must_have_proven(now)?;
        }
        self.db
            .write(move |conn| {
                if own_sessions::end_own(conn, &id, &person, "ended-by-person", now)? {
                    Ok(())
                } else {
                    Err(Error::NotFound(What::Session))
                }
            })
            .await
    }

    /// Ends all of the caller's sessions but the one that asks; says how many.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`].
    pub async fn end_other_sessions(&self, who: &Actor) -> Result<usize, Error> {
        let (now, who) = (self.now(), who.clone());
        who.must_have_proven(now)?;
        self.db
            .write(move |conn| {
                let ended = own_sessions::end_others(conn, &who.session, &who.person, "ended-by-person", now)?;
                Ok(ended)
            })
            .await
    }

    /// Whoever holds this session proves to be its person, by their password and a
    /// second factor where they have one; says until when that is good for what is
    /// dangerous. A guess here counts as a guess at the sign-in.
    ///
    /// # Errors
    /// As [`Self::sign_in`]; [`Error::Unauthenticated`] where the session has ended meanwhile.
    pub async fn prove(
        &self,
        who: &Actor,
        password: Password,
        code: Option<FactorCode>,
        from: IpAddr,
    ) -> Result<Timestamp, Error> {
        let id = who.person.clone();
        let person = self
            .db
            .read(move |conn| accounts::find_person(conn, &id)?.ok_or(Error::Unauthenticated))
            .await?;
        let proven = self
            .check_password(person.email, password, Asked::Everything(code), from)
            .await?;
        self.note_proof(who, proven).await
    }

    async fn note_proof(&self, who: &Actor, proven: Proven) -> Result<Timestamp, Error> {
        let (now, session) = (self.now(), who.session.clone());
        self.db
            .write(move |conn| {
                proven.hold(conn)?;
                if own_sessions::note_proof(conn, &session, now)? {
                    Ok(now + PROOF_GOOD_FOR)
                } else {
                    Err(Error::Unauthenticated)
                }
            })
            .await
    }
}
