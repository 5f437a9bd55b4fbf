//! Phones: a person registers the keys to which their passes are bound, and removes them.

use std::sync::Arc;

use super::own_sessions::{NewDevice, tell_of_device};
use super::revocations::{Revocation, revoke_phone};
use super::{Actor, App, Error, What, lacks_phone_key};
use crate::crypto::public_key::PublicKey;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{OrganizationId, PersonId, PhoneId};
use crate::domain::phone::{MOST_PHONES, Phone, PhoneName};
use crate::domain::time::Timestamp;
use crate::store::{Conn, StoreError, access_log, accounts, own_sessions, phones, sessions};

pub(super) const KEY_REMOVED: Error = Error::Conflict {
    word: "phone-removed",
    why: "this key was removed, and does not come back; the phone makes a new one",
};

pub(super) const TOO_MANY: Error = Error::Conflict {
    word: "too-many-phones",
    why: "remove a phone first",
};

pub(super) const KEY_TAKEN: Error = Error::Conflict {
    word: "key-taken",
    why: "this key is registered for somebody else; a phone makes a key of its own",
};

impl App {
    /// Registers a phone by its public key. The same key again is the same phone, as it is; says whether it is new.
    ///
    /// # Errors
    /// [`Error::PhoneKeyNeeded`]; [`Error::Conflict`] `key-taken`, `phone-removed` for a key that was removed before, `too-many-phones`.
    pub async fn register_phone(&self, who: &Actor, key: PublicKey, name: PhoneName) -> Result<(Phone, bool), Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let phone = Phone {
            id: PhoneId::from_bits(self.id_bits(now)),
            person: who.person.clone(),
            name,
            thumbprint: key.thumbprint(),
            registered_at: now,
        };
        self.db
            .write(move |conn| {
                refuse_without_key(conn, &who)?;
                match phones::find_by_key(conn, &phone.thumbprint)? {
                    Some((known, _)) if known.person != who.person => return Err(KEY_TAKEN),
                    Some((_, true)) => return Err(KEY_REMOVED),
                    Some((known, false)) => return Ok((known, false)),
                    None => {}
                }
                if phones::of_person(conn, &who.person)?.len() >= MOST_PHONES {
                    return Err(TOO_MANY);
                }
                match phones::add(conn, &phone, &key.to_json()) {
                    Err(StoreError::Conflict { .. }) => Err(KEY_TAKEN),
                    added => Ok(added?),
                }?;
                write_down(conn, &phone, Kind::PhoneRegistered, now)?;
                tell_of_device(conn, &*random, &phone.person, NewDevice::Phone, now)?;
                Ok((phone, true))
            })
            .await
    }

    /// The caller's phones, the oldest first.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn phones(&self, who: &Actor) -> Result<Vec<Phone>, Error> {
        let person = who.person.clone();
        self.db.read(move |conn| Ok(phones::of_person(conn, &person)?)).await
    }

    /// Removes a phone: its passes are void, wherever locks can be told.
    ///
    /// # Errors
    /// [`Error::PhoneKeyNeeded`]; [`Error::ProofNeeded`] of another phone than the one that asks: its sessions end too, and its key
    /// does not come back; [`Error::NotFound`] where the caller has no such phone.
    pub async fn remove_phone(&self, who: &Actor, id: PhoneId) -> Result<Revocation, Error> {
        let (now, who) = (self.now(), who.clone());
        let phone = self
            .db
            .write(move |conn| {
                refuse_without_key(conn, &who)?;
                let asks = who.bound_to.as_deref();
                let own = phones::of_person(conn, &who.person)?;
                if own
                    .iter()
                    .any(|phone| phone.id == id && asks != Some(phone.thumbprint.as_str()))
                {
                    who.must_have_proven(now)?;
                }
                take_out(conn, &id, &who.person, now)?.ok_or(Error::NotFound(What::Phone))
            })
            .await?;
        self.make_effective(vec![phone.thumbprint]).await
    }
}

/// Refuses where one of the caller's organizations wants them to come in a session that is bound to a key.
pub(super) fn refuse_without_key(conn: &mut Conn, who: &Actor) -> Result<(), Error> {
    for organization in who.memberships.iter().map(|membership| &membership.organization) {
        if lacks_phone_key(conn, organization, who)? {
            return Err(Error::PhoneKeyNeeded);
        }
    }
    Ok(())
}

/// Removes the person's phone: its passes are void, and its key does not come back. `None` where they have no such phone.
pub(super) fn take_out(
    conn: &mut Conn,
    id: &PhoneId,
    person: &PersonId,
    now: Timestamp,
) -> Result<Option<Phone>, Error> {
    let Some(phone) = phones::hold(conn, id, person)? else {
        return Ok(None);
    };
    phones::remove(conn, id, now)?;
    sessions::end_of_key(conn, &phone.thumbprint, "phone-removed", now)?;
    own_sessions::end_of_phone(conn, id, "phone-removed", now)?;
    revoke_phone(conn, &phone, now)?;
    write_down(conn, &phone, Kind::PhoneRemoved, now)?;
    Ok(Some(phone))
}

/// Removes every phone of the person, whose account is being erased: their names go, their keys never come back. Gives the
/// thumbprints.
pub(super) fn remove_all(conn: &mut Conn, person: &PersonId, now: Timestamp) -> Result<Vec<String>, Error> {
    let mut thumbprints = Vec::new();
    for phone in phones::of_person(conn, person)? {
        if let Some(phone) = phones::hold(conn, &phone.id, person)? {
            phones::remove(conn, &phone.id, now)?;
            revoke_phone(conn, &phone, now)?;
            thumbprints.push(phone.thumbprint);
        }
    }
    phones::forget_names(conn, person)?;
    Ok(thumbprints)
}

/// Writes it down wherever the person belongs: a phone may hold passes of every organization. What it is called is its
/// owner's own.
fn write_down(conn: &mut Conn, phone: &Phone, kind: Kind, now: Timestamp) -> Result<(), Error> {
    let memberships = accounts::memberships(conn, &phone.person)?;
    let mut organizations: Vec<OrganizationId> = memberships.into_iter().map(|joined| joined.organization).collect();
    // The ends of several logs, always in this order.
    organizations.sort_unstable();
    for organization in organizations {
        let entry = NewEntry {
            person: Some(phone.person.clone()),
            detail: Some(serde_json::json!({ "phone_id": phone.id })),
            ..NewEntry::new(kind, now)
        };
        access_log::append(conn, &organization, &entry, now)?;
    }
    Ok(())
}
