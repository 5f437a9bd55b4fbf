//! Passkeys: a person registers keys of their own devices, and signs in or proves who they are by one of them. One takes the
//! place of password and second factor: it is something that they have, and it asks who they are before it signs.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::own_sessions::tell_person;
use super::phones::refuse_without_key;
use super::{Actor, App, Error, What};
use crate::crypto::digest::digest;
use crate::crypto::secret::Secret;
use crate::crypto::webauthn::{Bytes, Moment, RelyingParty};
use crate::domain::account::Person;
use crate::domain::ids::{PasskeyId, PersonId, SessionId};
use crate::domain::notice::Kind;
use crate::domain::passkey::{CHALLENGE_LIFE, Ceremony, MOST_PASSKEYS, Passkey, PasskeyName};
use crate::domain::time::Timestamp;
use crate::store::{Conn, StoreError, accounts, own_sessions, passkeys};

mod answers;

/// What a browser is to ask its authenticators.
#[derive(Debug)]
pub struct Challenge {
    /// What is to be signed.
    pub challenge: Secret,
    /// The domain for which passkeys are made.
    pub party: String,
    /// Until when the answer counts, exclusive.
    pub ends_at: Timestamp,
}

/// What a browser is to be told to make a passkey.
#[derive(Debug)]
pub struct ToRegister {
    /// What to ask.
    pub challenge: Challenge,
    /// Whose it is to be.
    pub person: Person,
    /// What the authenticator keeps of the account, base64url: nothing that tells anything.
    pub handle: String,
    /// The credentials that the person has already, base64url.
    pub known: Vec<String>,
}

/// What an authenticator made, and what its browser says that it was asked.
#[derive(Debug)]
pub struct Made {
    /// `clientDataJSON`.
    pub client_data: Bytes,
    /// `attestationObject`.
    pub attestation_object: Bytes,
}

/// What an authenticator signed, and what its browser says that it was asked.
#[derive(Debug)]
pub struct Signed {
    /// The authenticator's name for the passkey.
    pub credential: Bytes,
    /// `clientDataJSON`.
    pub client_data: Bytes,
    /// `authenticatorData`.
    pub authenticator_data: Bytes,
    /// The signature.
    pub signature: Bytes,
    /// What the authenticator keeps of the account; always there where nobody said which passkey was to sign.
    pub handle: Option<Bytes>,
}

const TOO_MANY: Error = Error::Conflict {
    word: "too-many-passkeys",
    why: "remove a passkey first",
};

/// What authenticators keep of the account: the same each time, so that one authenticator has one passkey of it, and
/// nothing by which anybody else could name it.
fn handle_of(person: &PersonId) -> String {
    URL_SAFE_NO_PAD.encode(digest(format!("passkeys of {person}").as_bytes()))
}

/// Uses the challenge up.
///
/// # Errors
/// [`Error::PasskeyRefused`] where it does not wait for an answer of this kind in this session, or no longer.
fn use_up(
    conn: &mut Conn,
    challenge: &Secret,
    ceremony: Ceremony,
    session: Option<&SessionId>,
    now: Timestamp,
) -> Result<(), Error> {
    match passkeys::answer(conn, &challenge.digest(), ceremony, session, now)? {
        true => Ok(()),
        false => Err(Error::PasskeyRefused),
    }
}

impl App {
    /// Who asks for passkeys here.
    ///
    /// # Errors
    /// [`Error::Conflict`] `no-domain`.
    fn relying_party(&self) -> Result<RelyingParty, Error> {
        RelyingParty::of(&self.settings.public_url).ok_or(Error::Conflict {
            word: "no-domain",
            why: "passkeys need a domain, and this service is reached by an address without a name",
        })
    }

    async fn new_challenge(&self, ceremony: Ceremony, session: Option<SessionId>) -> Result<Challenge, Error> {
        let party = self.relying_party()?;
        let challenge = self.random.secret();
        let (ends_at, kept) = (self.now() + CHALLENGE_LIFE, challenge.digest());
        self.db
            .write(move |conn| Ok::<_, Error>(passkeys::ask(conn, &kept, ceremony, session.as_ref(), ends_at)?))
            .await?;
        Ok(Challenge {
            challenge,
            party: party.id,
            ends_at,
        })
    }

    /// What the caller's browser is to be told to make a passkey.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::PhoneKeyNeeded`]; [`Error::Conflict`] `no-domain`, `too-many-passkeys`.
    pub async fn begin_passkey(&self, who: &Actor) -> Result<ToRegister, Error> {
        let (now, actor) = (self.now(), who.clone());
        let (person, known) = self
            .db
            .read(move |conn| {
                actor.must_have_proven(now)?;
                refuse_without_key(conn, &actor)?;
                let known = passkeys::of_person(conn, &actor.person)?;
                if known.len() >= MOST_PASSKEYS {
                    return Err(TOO_MANY);
                }
                let person = accounts::find_person(conn, &actor.person)?.ok_or(Error::Unauthenticated)?;
                Ok((person, known))
            })
            .await?;
        let session = Some(who.session.clone());
        Ok(ToRegister {
            challenge: self.new_challenge(Ceremony::Register, session).await?,
            handle: handle_of(&person.id),
            person,
            known: known.into_iter().map(|passkey| passkey.credential).collect(),
        })
    }

    /// Registers the passkey that an authenticator made for the caller; they are told.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::PhoneKeyNeeded`], [`Error::PasskeyRefused`]; [`Error::Conflict`] `no-domain`,
    /// `too-many-passkeys`, `passkey-known`.
    pub async fn register_passkey(&self, who: &Actor, name: PasskeyName, made: Made) -> Result<Passkey, Error> {
        let (now, who, party) = (self.now(), who.clone(), self.relying_party()?);
        let id = PasskeyId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                who.must_have_proven(now)?;
                refuse_without_key(conn, &who)?;
                let asked = party.read(Moment::Create, made.client_data.as_slice())?;
                use_up(conn, &asked.challenge, Ceremony::Register, Some(&who.session), now)?;
                let new = party.registered(made.attestation_object.as_slice())?;
                // Two at once count each other, and none outlives the account or what ends all its sessions.
                accounts::hold_person(conn, &who.person)?;
                if !own_sessions::is_living(conn, &who.session)? {
                    return Err(Error::Unauthenticated);
                }
                if passkeys::of_person(conn, &who.person)?.len() >= MOST_PASSKEYS {
                    return Err(TOO_MANY);
                }
                let passkey = Passkey {
                    id,
                    person: who.person.clone(),
                    name,
                    credential: URL_SAFE_NO_PAD.encode(new.id),
                    public_key: URL_SAFE_NO_PAD.encode(new.public_key),
                    counter: new.counter,
                    synced: new.synced,
                    registered_at: now,
                    used_at: None,
                };
                match passkeys::add(conn, &passkey) {
                    Err(StoreError::Conflict { .. }) => Err(Error::Conflict {
                        word: "passkey-known",
                        why: "this passkey is registered already",
                    }),
                    added => Ok(added?),
                }?;
                let detail = serde_json::json!({ "passkey_id": passkey.id });
                tell_person(conn, &*random, &who.person, (Kind::PasskeyAdded, Some(detail)), now)?;
                Ok(passkey)
            })
            .await
    }

    /// The caller's passkeys, the oldest first.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn passkeys(&self, who: &Actor) -> Result<Vec<Passkey>, Error> {
        let person = who.person.clone();
        let read = move |conn: &mut Conn| Ok(passkeys::of_person(conn, &person)?);
        self.db.read(read).await
    }

    /// Calls the caller's passkey otherwise.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the caller has no such passkey.
    pub async fn rename_passkey(&self, who: &Actor, id: PasskeyId, name: PasskeyName) -> Result<Passkey, Error> {
        let person = who.person.clone();
        self.db
            .write(move |conn| passkeys::rename(conn, &id, &person, &name)?.ok_or(Error::NotFound(What::Passkey)))
            .await
    }

    /// Removes the caller's passkey; they are told. Sessions that began by it go on, and end as all others do.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`]; [`Error::NotFound`] where the caller has no such passkey.
    pub async fn remove_passkey(&self, who: &Actor, id: PasskeyId) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                who.must_have_proven(now)?;
                if !passkeys::remove_own(conn, &id, &who.person, now)? {
                    return Err(Error::NotFound(What::Passkey));
                }
                let detail = serde_json::json!({ "passkey_id": id });
                tell_person(conn, &*random, &who.person, (Kind::PasskeyRemoved, Some(detail)), now)
            })
            .await
    }
}
