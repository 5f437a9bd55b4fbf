//! Telling locks of their PINs: one signed change at a time, as much of it as fits into a message.

use doorward_lock::wire;
use heapless::Vec as Bounded;

use super::{grant_of, lock_of, zone_of};
use crate::app::{App, Error};
use crate::crypto::keys::{KeyStore, Signer};
use crate::crypto::tokens::{SignError, schedule_for_lock, zone_for_lock};
use crate::domain::account::Role;
use crate::domain::grant::{Grant, Holder};
use crate::domain::ids::LockId;
use crate::domain::lock::{Lock, SILENCE};
use crate::domain::pin::{LockPins, Slot, SlotState};
use crate::domain::time::{TimeZone, Timestamp};
use crate::store::{Conn, accounts, lock_events, pins};

/// The most changes that are read for one message.
const CHANGES: usize = wire::MAX_SLOTS_SET + wire::MAX_SLOTS_CLEARED;

/// How many locks are told in one round.
const A_ROUND: i64 = 200;

/// A slot as a lock is told of it.
struct Change {
    version: u64,
    slot: u16,
    /// What it is to hold; `None` for nothing.
    set: Option<Set>,
}

struct Set {
    mac: String,
    grant: String,
    role: wire::Role,
    nbf: u64,
    exp: u64,
    uses: Option<u32>,
    schedule: Option<wire::Schedule>,
    sealed: Option<String>,
}

impl App {
    /// Sends the lock what it lacks of its PINs, if it is there and something is due.
    ///
    /// # Errors
    /// Those of the database, and [`Error::Internal`] where nothing could be signed.
    pub(in crate::app) async fn push_pins(&self, lock: &LockId) -> Result<(), Error> {
        if !self.relay.is_up() {
            return Ok(());
        }
        let (now, id, keys) = (self.now(), lock.clone(), self.keys.clone());
        let issuer = self.settings.issuer.name.clone();
        let message = self
            .db
            .write(move |conn| next_message(conn, &id, &keys, &issuer, now))
            .await?;
        if let Some(message) = message {
            self.answer(lock, message).await;
        }
        Ok(())
    }

    /// Sends PINs to the locks that are there and have not confirmed what they should hold; says to how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reconcile_pins(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = self
            .db
            .read(move |conn| Ok::<_, Error>(pins::due(conn, now, now - SILENCE, A_ROUND)?))
            .await?;
        for lock in &due {
            self.push_pins(lock).await?;
        }
        Ok(due.len())
    }
}

/// The message that is due at the lock, noted as sent; `None` where none is.
fn next_message(
    conn: &mut Conn,
    id: &LockId,
    keys: &KeyStore,
    issuer: &str,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let Some(mut held) = pins::hold(conn, id)? else {
        return Ok(None);
    };
    let lock = lock_of(conn, id)?.filter(|lock| super::is_in_service(lock) && lock.is_online(now));
    let Some(lock) = lock.filter(|_| held.delivery.is_due(now)) else {
        return Ok(None);
    };
    let zone = zone_of(conn, &lock)?;
    let slots = pins::changes(conn, id, held.delivery.held, i64::try_from(CHANGES).unwrap_or(i64::MAX))?;
    let mut changes = Vec::with_capacity(slots.len());
    for slot in &slots {
        changes.push(change_of(conn, &lock, slot, now)?);
    }
    let keyset = lock_events::clocks(conn, id)?.map_or(0, |clocks| clocks.keyset);
    let signer = keys.signer(keyset, now);
    let (message, version) = signed(&signer, issuer, &lock, &held, &changes, &zone, now)?;
    for slot in slots.into_iter().filter(|slot| slot.version <= version && !slot.told) {
        pins::save_slot(conn, &Slot { told: true, ..slot })?;
    }
    held.delivery.send(version, now);
    pins::save(conn, &held)?;
    Ok(Some(message))
}

/// The slot as the lock is told of it.
fn change_of(conn: &mut Conn, lock: &Lock, slot: &Slot, now: Timestamp) -> Result<Change, Error> {
    let nothing = Change {
        version: slot.version,
        slot: slot.slot,
        set: None,
    };
    let (Some(mac), Some(grant), SlotState::Set) = (&slot.mac, &slot.grant, slot.state) else {
        return Ok(nothing);
    };
    let Some(grant) = grant_of(conn, lock, grant)? else {
        return Ok(nothing);
    };
    let nbf = grant.terms.starts_at.as_millis().unsigned_abs().div_ceil(1000);
    // The last second that lies within it as a whole.
    let exp = slot.ends_at.as_seconds().saturating_sub(1);
    if slot.uses == Some(0) || exp < nbf {
        return Ok(nothing);
    }
    let begins = now.max(grant.terms.starts_at);
    let schedule = match &grant.terms.schedule {
        None => None,
        // It fitted when the slot's life was reckoned; what is left of that life is not longer.
        Some(schedule) => match schedule_for_lock(schedule, begins.min(slot.ends_at), Some(slot.ends_at)) {
            Some(schedule) => Some(schedule),
            None => return Ok(nothing),
        },
    };
    Ok(Change {
        set: Some(Set {
            mac: mac.clone(),
            grant: grant.name().to_string(),
            role: role_of(conn, &grant)?,
            nbf,
            exp,
            uses: slot.uses,
            schedule,
            sealed: slot.sealed.clone(),
        }),
        ..nothing
    })
}

/// As what the holder of the grant comes.
fn role_of(conn: &mut Conn, grant: &Grant) -> Result<wire::Role, Error> {
    let role = match &grant.holder {
        Holder::Person(person) => accounts::role(conn, &grant.organization, person)?,
        Holder::Invited(_) => None,
    };
    Ok(match role {
        Some(Role::Tenant) => wire::Role::Tenant,
        _ => wire::Role::Guest,
    })
}

/// The first of the changes, as many as fit, as a message; and the version that the lock holds once it has taken it.
fn signed(
    signer: &Signer,
    issuer: &str,
    lock: &Lock,
    held: &LockPins,
    changes: &[Change],
    zone: &TimeZone,
    now: Timestamp,
) -> Result<(String, u64), Error> {
    let mut count = changes.len();
    loop {
        let last = changes[..count]
            .last()
            .map_or(held.delivery.version, |change| change.version);
        // Where nothing lies behind the last change, the lock holds all that is wanted.
        let is_all = count == changes.len() && count < CHANGES;
        let version = if is_all { held.delivery.version } else { last };
        let pins = match message(issuer, lock, held, version, &changes[..count], zone, now) {
            Ok(pins) => pins,
            Err(most) => {
                count = most;
                continue;
            }
        };
        match signer.sign_pins(&pins) {
            Ok(message) => return Ok((message, version)),
            Err(SignError::TooLong { .. }) if count > 1 => count -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The claims that carry these changes; or how many of them a message can carry at most.
fn message<'a>(
    issuer: &'a str,
    lock: &'a Lock,
    held: &LockPins,
    version: u64,
    changes: &'a [Change],
    zone: &TimeZone,
    now: Timestamp,
) -> Result<wire::Pins<'a>, usize> {
    let mut set = Bounded::new();
    let mut clear = Bounded::new();
    for (place, change) in changes.iter().enumerate() {
        let pushed = match &change.set {
            None => clear.push(change.slot).is_ok(),
            Some(pin) => set
                .push(wire::Slot {
                    slot: change.slot,
                    mac: &pin.mac,
                    gid: &pin.grant,
                    role: pin.role,
                    nbf: pin.nbf,
                    exp: Some(pin.exp),
                    uses: pin.uses,
                    schedule: pin.schedule.clone(),
                    sealed: pin.sealed.as_deref(),
                })
                .is_ok(),
        };
        if !pushed {
            return Err(place);
        }
    }
    Ok(wire::Pins {
        iss: issuer,
        org: lock.organization.as_str(),
        aud: lock.id.as_str(),
        base: held.delivery.held,
        version,
        codes: held.codes.generation,
        zone: zone_for_lock(zone, now),
        set,
        clear,
    })
}
