//! Adding, seeing, changing and retiring locks.

use std::time::Duration;

use super::{Actor, App, Error, What, managed_by};
use crate::crypto::claim_code::ClaimCode;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockKind, LockState};
use crate::domain::page::{Page, PageRequest};
use crate::domain::place::PlaceName;
use crate::domain::relay::RelayAway;
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, enrolments, lock_events, locks, places};

/// How long a claim code can be used (`docs/PROTOCOL.md`, "Enrolment").
pub const CLAIM_LIFE: Duration = Duration::from_secs(600);

/// How many retired locks the broker is told of in one round.
const EXPELLED_A_ROUND: i64 = 100;

/// The code that claims a lock, shown once.
#[derive(Debug)]
pub struct Claim {
    /// The code.
    pub code: ClaimCode,
    /// Until when it can be used.
    pub ends_at: Timestamp,
}

/// What is to change of a lock; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockChange {
    /// Its door's name.
    pub name: Option<PlaceName>,
    /// The unit whose own door it is; `Some(None)` makes it a shared one.
    pub unit: Option<Option<UnitId>>,
}

impl App {
    fn new_claim(&self, now: Timestamp) -> Claim {
        Claim {
            code: self.random.claim_code(),
            ends_at: now + CLAIM_LIFE,
        }
    }

    /// Adds a lock, and makes the code by which its controller claims it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] of the property, or of the unit in it.
    pub async fn add_lock(
        &self,
        who: &Actor,
        property: PropertyId,
        unit: Option<UnitId>,
        name: PlaceName,
        kind: LockKind,
    ) -> Result<(Lock, Claim), Error> {
        let (now, who) = (self.now(), who.clone());
        let id = LockId::from_bits(self.id_bits(now));
        let claim = self.new_claim(now);
        let (digest, ends_at) = (claim.code.digest(), claim.ends_at);
        let lock = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let property =
                    places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let unit = unit.map(|unit| unit_of(conn, unit, &property.id, &scope)).transpose()?;
                let lock = Lock {
                    id,
                    organization: property.organization,
                    property: property.id,
                    unit,
                    name,
                    kind,
                    state: LockState::Unclaimed,
                    created_at: now,
                    model: None,
                    firmware: None,
                    quarantined: false,
                    assurance: None,
                    online: None,
                    bolt: None,
                    door: None,
                    battery: None,
                };
                locks::add(conn, &lock, &digest, ends_at)?;
                write_down(conn, &who, &lock, Kind::LockAdded, now)?;
                Ok::<_, Error>(lock)
            })
            .await?;
        Ok((lock, claim))
    }

    /// The locks of the organizations that the caller manages, of one property if asked for.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn locks(
        &self,
        who: &Actor,
        property: Option<PropertyId>,
        page: PageRequest<LockId>,
    ) -> Result<Page<Lock, LockId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = locks::list(conn, &scope, property.as_ref(), page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |lock| lock.id.clone()))
            })
            .await
    }

    /// One lock.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn lock(&self, who: &Actor, id: LockId) -> Result<Lock, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))
            })
            .await
    }

    /// Changes a lock's name or unit.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] of the lock, or of the unit in its property.
    pub async fn change_lock(&self, who: &Actor, id: LockId, change: LockChange) -> Result<Lock, Error> {
        let (now, who) = (self.now(), who.clone());
        let changed = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                let unit = match change.unit {
                    None => lock.unit,
                    Some(unit) => unit
                        .map(|unit| unit_of(conn, unit, &lock.property, &scope))
                        .transpose()?,
                };
                let lock = Lock {
                    name: change.name.unwrap_or(lock.name),
                    unit,
                    ..lock
                };
                locks::update(conn, &lock)?;
                write_down(conn, &who, &lock, Kind::LockChanged, now)?;
                Ok::<_, Error>(lock)
            })
            .await?;
        self.changes.tell(&changed.id);
        Ok(changed)
    }

    /// Makes a new claim code for a lock that nobody has claimed; the one before is void.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where the lock is claimed or retired.
    pub async fn renew_claim(&self, who: &Actor, id: LockId) -> Result<Claim, Error> {
        let (now, who) = (self.now(), who.clone());
        let claim = self.new_claim(now);
        let (digest, ends_at) = (claim.code.digest(), claim.ends_at);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                match lock.state {
                    LockState::Unclaimed => {}
                    LockState::Enrolled => {
                        return Err(Error::Conflict {
                            word: "lock-claimed",
                            why: "a controller has claimed this lock; retire it and add a new one",
                        });
                    }
                    LockState::Retired => return Err(RETIRED),
                }
                enrolments::set_claim(conn, &id, &digest, ends_at)?;
                write_down(conn, &who, &lock, Kind::LockClaimed, now)
            })
            .await?;
        Ok(claim)
    }

    /// Takes a lock out of service: its broker session ends at once and its keys are void; its log stays. Where the
    /// broker cannot be told now, [`Self::expel_retired`] makes it good: what a retired lock says counts for nothing
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where it is retired already.
    pub async fn retire_lock(&self, who: &Actor, id: LockId) -> Result<Lock, Error> {
        let (now, who) = (self.now(), who.clone());
        let lock = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                if lock.state == LockState::Retired {
                    return Err(RETIRED);
                }
                enrolments::retire(conn, &id, now)?;
                lock_events::report_online(conn, &id, false, now)?;
                write_down(conn, &who, &lock, Kind::LockRetired, now)?;
                Ok(Lock {
                    state: LockState::Retired,
                    ..lock
                })
            })
            .await?;
        self.changes.tell(&lock.id);
        if let Err(error) = self.expel(&lock.id).await {
            tracing::warn!(lock.id = %lock.id, %error, "the broker still lets retired lock {} in; it is told again", lock.id);
        }
        Ok(lock)
    }

    /// Tells the broker of retired locks that it has not been told of yet; says of how many.
    ///
    /// # Errors
    /// [`Error::RelayAway`], and those of the database.
    pub async fn expel_retired(&self) -> Result<usize, Error> {
        let retired = self
            .db
            .read(|conn| {
                Ok::<_, Error>(enrolments::list_to_expel(
                    conn,
                    Timestamp::from_millis(0),
                    EXPELLED_A_ROUND,
                )?)
            })
            .await?;
        for lock in &retired {
            self.expel(lock).await?;
        }
        Ok(retired.len())
    }

    /// Ends the retired lock's place at the broker.
    async fn expel(&self, lock: &LockId) -> Result<(), Error> {
        self.registrar.expel(lock).await.map_err(|RelayAway| Error::RelayAway)?;
        let lock = lock.clone();
        self.db
            .write(move |conn| {
                enrolments::forget_credentials(conn, &lock)
                    .map(|_| ())
                    .map_err(Error::from)
            })
            .await
    }
}

const RETIRED: Error = Error::Conflict {
    word: "lock-retired",
    why: "this lock is out of service",
};

/// The unit, if it is one of the property.
fn unit_of(conn: &mut Conn, unit: UnitId, property: &PropertyId, scope: &Scope) -> Result<UnitId, Error> {
    let found = places::find_unit(conn, &unit, scope)?.filter(|unit| unit.property == *property);
    found.map(|unit| unit.id).ok_or(Error::NotFound(What::Unit))
}

fn write_down(conn: &mut Conn, who: &Actor, lock: &Lock, kind: Kind, now: Timestamp) -> Result<(), Error> {
    let entry = NewEntry {
        actor: Some(who.person.clone()),
        ..NewEntry::new(kind, now)
    }
    .about(lock);
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(())
}
