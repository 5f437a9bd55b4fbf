//! What passkeys sign: signing in by one, and proving by one who holds a session.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Challenge, Signed, handle_of, use_up};
use crate::app::own_sessions::{Arrival, NewDevice, tell_of_device, tell_person};
use crate::app::sessions::{Tokens, add_session};
use crate::app::tries::{is_known_there, know_there};
use crate::app::{Actor, App, Error};
use crate::crypto::random::Random;
use crate::crypto::webauthn::{Asked, Moment, Refused, RelyingParty};
use crate::domain::ids::SessionId;
use crate::domain::notice::Kind;
use crate::domain::passkey::{Ceremony, Passkey, is_copied};
use crate::domain::session::{PROOF_GOOD_FOR, hour_of};
use crate::domain::time::Timestamp;
use crate::store::{Conn, StoreError, accounts, own_sessions, passkeys};

/// The passkey that signed what was asked, whoever's it is. One whose counter did not grow may have been copied: it is refused, and
/// its person told. A refusal must be kept: the challenge is used up by it.
fn signed_by(
    conn: &mut Conn,
    random: &dyn Random,
    party: &RelyingParty,
    (asked, signed): (&Asked, &Signed),
    now: Timestamp,
) -> Result<Result<Passkey, Refused>, Error> {
    let Some(passkey) = passkeys::hold(conn, &signed.credential.to_text())? else {
        return Ok(Err(Refused));
    };
    let key = URL_SAFE_NO_PAD
        .decode(&passkey.public_key)
        .map_err(StoreError::corrupt)?;
    let data = signed.authenticator_data.as_slice();
    let Ok(shown) = party.asserted(asked, data, signed.signature.as_slice(), &key) else {
        return Ok(Err(Refused));
    };
    // Another account's handle beside this account's passkey is a mixture that no authenticator makes (7.2, step 6).
    let handle = signed.handle.as_ref().map(|handle| handle.to_text());
    if handle.is_some_and(|handle| handle != handle_of(&passkey.person)) || shown.synced != passkey.synced {
        return Ok(Err(Refused));
    }
    if is_copied(passkey.counter, shown.counter) {
        let detail = serde_json::json!({ "passkey_id": passkey.id });
        tell_person(conn, random, &passkey.person, (Kind::PasskeyCopied, Some(detail)), now)?;
        tracing::warn!(passkey.id = %passkey.id, "{} signed with a counter that did not grow; it was refused", passkey.id);
        return Ok(Err(Refused));
    }
    passkeys::note_use(conn, &passkey.id, shown.counter, hour_of(now))?;
    Ok(Ok(passkey))
}

/// Tells the passkey's person where they come from where they never did before, as far as that is remembered.
fn tell_if_new(
    conn: &mut Conn,
    random: &dyn Random,
    passkey: &Passkey,
    address: IpAddr,
    now: Timestamp,
) -> Result<(), Error> {
    let person = accounts::find_person(conn, &passkey.person)?.ok_or(Error::PasskeyRefused)?;
    if !is_known_there(conn, &person.email, address)? {
        tell_of_device(conn, random, &person.id, NewDevice::SignedIn, now)?;
        know_there(conn, &person.email, address, now)?;
    }
    Ok(())
}

impl App {
    /// A challenge by which somebody signs in. It is nobody's yet: which passkey signs it is chosen on their device.
    ///
    /// # Errors
    /// [`Error::Conflict`] `no-domain`.
    pub async fn ask_for_passkey(&self) -> Result<Challenge, Error> {
        self.new_challenge(Ceremony::SignIn, None).await
    }

    /// A challenge by which the caller proves who they are, and the credentials that count.
    ///
    /// # Errors
    /// [`Error::Conflict`] `no-domain`, `no-passkey`.
    pub async fn ask_for_proof_by_passkey(&self, who: &Actor) -> Result<(Challenge, Vec<String>), Error> {
        let known = self.passkeys(who).await?;
        if known.is_empty() {
            return Err(Error::Conflict {
                word: "no-passkey",
                why: "you have no passkey",
            });
        }
        let challenge = self.new_challenge(Ceremony::Prove, Some(who.session.clone())).await?;
        Ok((challenge, known.into_iter().map(|passkey| passkey.credential).collect()))
    }

    /// Signs in whoever's passkey signed the challenge, in a session that is bound to the key of this thumbprint where one is
    /// given. No password and no code is asked for.
    ///
    /// # Errors
    /// [`Error::PasskeyRefused`], whatever is wrong with it; [`Error::Conflict`] `no-domain`.
    pub async fn sign_in_by_passkey(&self, signed: Signed, from: Arrival) -> Result<Tokens, Error> {
        let (now, party, random) = (self.now(), self.relying_party()?, Arc::clone(&self.random));
        let asked = party.read(Moment::Get, signed.client_data.as_slice())?;
        // Where nobody said whose passkey is to sign, the authenticator says so.
        if signed.handle.is_none() {
            return Err(Error::PasskeyRefused);
        }
        let session = SessionId::from_bits(self.id_bits(now));
        let (tokens, pair) = self.new_tokens(now, from.key.is_some());
        let begun = self.db.write(move |conn| {
            use_up(conn, &asked.challenge, Ceremony::SignIn, None, now)?;
            let passkey = match signed_by(conn, &*random, &party, (&asked, &signed), now)? {
                Ok(passkey) => passkey,
                Err(refused) => return Ok(Err(refused)),
            };
            tell_if_new(conn, &*random, &passkey, from.address, now)?;
            add_session(conn, (session, passkey.person), from, &pair, now)?;
            Ok::<_, Error>(Ok(()))
        });
        begun.await??;
        Ok(tokens)
    }

    /// Whoever holds this session proves to be its person by a passkey of theirs; says until when that is good for what is dangerous.
    ///
    /// # Errors
    /// [`Error::PasskeyRefused`]; [`Error::Unauthenticated`] where the session has ended meanwhile; [`Error::Conflict`] `no-domain`.
    pub async fn prove_by_passkey(&self, who: &Actor, signed: Signed) -> Result<Timestamp, Error> {
        let (now, party, random, who) = (self.now(), self.relying_party()?, Arc::clone(&self.random), who.clone());
        let asked = party.read(Moment::Get, signed.client_data.as_slice())?;
        let proven = self.db.write(move |conn| {
            use_up(conn, &asked.challenge, Ceremony::Prove, Some(&who.session), now)?;
            match signed_by(conn, &*random, &party, (&asked, &signed), now)? {
                Ok(passkey) if passkey.person == who.person => {}
                Ok(_) | Err(Refused) => return Ok(Err(Refused)),
            }
            match own_sessions::note_proof(conn, &who.session, now)? {
                true => Ok(Ok(now + PROOF_GOOD_FOR)),
                false => Err(Error::Unauthenticated),
            }
        });
        Ok(proven.await??)
    }
}
