//! Giving a PIN and taking it back.

use std::time::Duration;

use doorward_lock::wire;

use super::{GivenAt, GivenPin, begin, clear_of_grant, is_in_service, outlives};
use crate::app::grants::{to_change, to_take_back};
use crate::app::guests::stay_of;
use crate::app::revocations::Revocation;
use crate::app::{Actor, App, Error};
use crate::crypto::pin_codes::{SlotKey, next_length, seal_digits};
use crate::crypto::pin_keys::PinKeys;
use crate::crypto::random::Random;
use crate::crypto::tokens::schedule_for_lock;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::grant::{Grant, GrantState, Holder, Uses, Way};
use crate::domain::guest::message::Stay;
use crate::domain::guest::sheet::{self, PrintedCode, Sheet};
use crate::domain::ids::{GrantId, LockId};
use crate::domain::lock::{Assurance, Lock};
use crate::domain::pin::{Digits, LockPins, PinKind, Slot, SlotState, Status};
use crate::domain::schedule::Schedule;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, grants, lockdowns, locks, pins};

/// How many PINs are drawn before none is found that is free at all locks; of six digits nearly every one is.
const DRAWS: u32 = 100;

/// How long a slot lives at most before its lock is told anew, in days; the longest that the exceptions of its schedule
/// allow counts.
const SLOT_DAYS: [u64; 7] = [400, 200, 100, 50, 25, 12, 6];

const DAY: u64 = 24 * 3_600;

const NO_SLOT_LEFT: Error = Error::Conflict {
    word: "no-slot-left",
    why: "a lock of this grant has as many PINs as it can hold, or as are safe from guesses",
};

impl App {
    /// Gives a PIN of the grant, and tells the locks that are there. Its digits are shown now and never again: by
    /// themselves, and on a sheet to be printed.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where the grant, a lock or the kind does not allow it.
    pub async fn give_pin(&self, who: &Actor, grant: GrantId, kind: PinKind) -> Result<(GivenPin, Sheet), Error> {
        let (now, who) = (self.now(), who.clone());
        let (pin_keys, random) = (self.pin_keys.clone(), self.random.clone());
        let (given, sheet) = self
            .db
            .write(move |conn| {
                let grant = to_change(conn, &who, &grant)?;
                may_have_pin(&grant, now)?;
                if grant.under.is_some() && kind == PinKind::Computed {
                    return Err(Error::Conflict {
                        word: "code-needs-plain-grant",
                        why: "a computed code cannot be taken back, and what you gave ends with your own access",
                    });
                }
                let mut doors = Vec::new();
                for lock in locks::with_ids(conn, &grant.terms.locks)? {
                    if !is_in_service(&lock) {
                        return Err(Error::Conflict {
                            word: "lock-not-in-service",
                            why: "a lock of this grant has not been claimed yet, or is out of service",
                        });
                    }
                    let held = begin(conn, &lock, now)?;
                    doors.push((lock, held));
                }
                if !grants::keep(conn, &grant.id)? {
                    return Err(OVER);
                }
                for (lock, _) in &doors {
                    refuse_in_lockdown(conn, lock, &grant, now)?;
                }
                let given = match kind {
                    PinKind::Synced => synced(conn, &grant, doors, &pin_keys, random.as_ref(), now)?,
                    PinKind::Computed => super::computed::computed(conn, &grant, doors, &pin_keys, now)?,
                };
                let entry = NewEntry {
                    detail: Some(serde_json::json!({
                        "pin": kind,
                        "lock_ids": grant.terms.locks,
                        "starts_at": given.starts_at,
                        "ends_at": given.ends_at,
                    })),
                    ..entry(conn, &who, &grant, Kind::PinGiven, now)?
                };
                access_log::append(conn, &grant.organization, &who.signed(entry), now)?;
                let stay = stay_of(conn, &grant, given.starts_at, given.ends_at)?;
                let sheet = print(&stay, &given);
                Ok::<_, Error>((given, sheet))
            })
            .await?;
        for door in &given.locks {
            self.push_pins(&door.lock).await?;
        }
        Ok((given, sheet))
    }

    /// Takes the grant's PIN back; the grant stands. A lock that is there forgets it now, one that is away when it comes
    /// back; a computed code counts until its end.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn take_pin_back(&self, who: &Actor, grant: GrantId) -> Result<Revocation, Error> {
        let (now, who) = (self.now(), who.clone());
        let (cleared, last) = self
            .db
            .write(move |conn| {
                let grant = to_take_back(conn, &who, &grant)?;
                let cleared = clear_of_grant(conn, &grant.id, &grant.terms.locks, now)?;
                let last = outlives(conn, &grant.id, now)?;
                if !cleared.is_empty() {
                    let entry = entry(conn, &who, &grant, Kind::PinTakenBack, now)?;
                    access_log::append(conn, &grant.organization, &who.signed(entry), now)?;
                }
                Ok::<_, Error>((cleared, last))
            })
            .await?;
        for lock in &cleared {
            self.push_pins(lock).await?;
        }
        Ok(Revocation {
            effective_no_later_than: last.unwrap_or(now).max(now),
            // What is waited for stands in the slots.
            waiting_for: Vec::new(),
        })
    }
}

/// The PIN on a sheet of paper.
fn print(stay: &Stay, given: &GivenPin) -> Sheet {
    let own: Vec<(LockId, Digits)> = (given.locks.iter())
        .filter_map(|at| Some((at.lock.clone(), at.code.clone()?)))
        .collect();
    let code = PrintedCode {
        shared: given.code.as_ref(),
        own: &own,
        kind: given.kind,
        first_use_before: given.first_use_before,
    };
    sheet::print(stay, &code)
}

const OVER: Error = Error::Conflict {
    word: "grant-over",
    why: "the grant has ended or was taken back",
};

/// Whether a PIN may be given by the grant at all.
fn may_have_pin(grant: &Grant, now: Timestamp) -> Result<(), Error> {
    if grant.state != GrantState::Active || grant.terms.ends_at.is_some_and(|end| end <= now) {
        return Err(OVER);
    }
    if !grant.terms.ways.contains(&Way::Pin) {
        return Err(Error::Conflict {
            word: "way-not-given",
            why: "the grant does not have `pin` among its ways",
        });
    }
    Ok(())
}

/// No PIN is given to whoever a lockdown keeps out at the time from which it would count.
fn refuse_in_lockdown(conn: &mut Conn, lock: &Lock, grant: &Grant, now: Timestamp) -> Result<(), Error> {
    let holder = match &grant.holder {
        Holder::Person(person) => Some(person),
        Holder::Invited(_) => None,
    };
    let by = RightSource::Grant(grant.id.clone());
    let from = grant.terms.starts_at.max(now);
    match lockdowns::kept_out(conn, lock, (holder, &by), from)? {
        None => Ok(()),
        Some(_) => Err(Error::Conflict {
            word: "lockdown",
            why: "a lock of this grant is in a lockdown that does not except it",
        }),
    }
}

/// One PIN in a slot of each lock.
fn synced(
    conn: &mut Conn,
    grant: &Grant,
    doors: Vec<(Lock, LockPins)>,
    pin_keys: &PinKeys,
    random: &dyn Random,
    now: Timestamp,
) -> Result<GivenPin, Error> {
    if grant.terms.uses.is_some() && doors.len() > 1 {
        return Err(Error::Conflict {
            word: "uses-need-one-lock",
            why: "the locks count openings by PIN each for itself: counted uses go with one lock",
        });
    }
    let has_one = |slot: &Slot| slot.state == SlotState::Set;
    if pins::slots_of_grant(conn, &grant.id)?.iter().any(has_one) {
        return Err(Error::Conflict {
            word: "pin-exists",
            why: "the grant has a PIN; take it back before you give another",
        });
    }
    let left = uses_left(grant);
    if left == Some(0) {
        return Err(Error::Conflict {
            word: "uses-exhausted",
            why: "every opening that the grant allows is taken",
        });
    }
    let (ends_at, review_at) = slot_life(grant, now)?;
    let mut places = Vec::new();
    for (lock, held) in doors {
        let slots = pins::slots_of(conn, &lock.id)?;
        let key = pin_keys
            .of(&lock.id, held.enrolment)
            .map_err(|error| Error::Internal("deriving", error.into()))?;
        let free = (1..=held.limits.slots).find(|number| slots.iter().all(|slot| slot.slot != *number));
        let slot = free.ok_or(NO_SLOT_LEFT)?;
        places.push((lock, held, slots, key, slot));
    }
    let lengths: Vec<_> = places
        .iter()
        .map(|(_, held, slots, ..)| {
            let held_lengths = slots.iter().filter(|slot| slot.mac.is_some()).map(|slot| slot.length);
            (held.limits, held_lengths.collect())
        })
        .collect();
    let length = next_length(&lengths).ok_or(NO_SLOT_LEFT)?;
    let is_free = |digits: &Digits| {
        places.iter().all(|(_, _, slots, key, _)| {
            let key = SlotKey::of(key);
            let is_it = |slot: &Slot| slot.mac.is_some() && slot.mac == key.mac(slot.slot, digits);
            !slots.iter().any(is_it)
        })
    };
    let digits = (0..DRAWS)
        .map(|_| Digits::of(random.bits(), length))
        .find(|digits| !digits.are_trivial() && is_free(digits))
        .ok_or(NO_SLOT_LEFT)?;
    let mut given = Vec::new();
    for (lock, mut held, _, key, number) in places {
        let version = held.delivery.change();
        let counts_uses = left.map(|_| lock.assurance.is_none());
        let sealed = match lock.assurance {
            Some(Assurance::Adapter) => Some(seal_digits(&key, number, &digits, random)?),
            None => None,
        };
        let slot = Slot {
            lock: lock.id.clone(),
            slot: number,
            given_version: version,
            enrolment: held.enrolment,
            grant: Some(grant.id.clone()),
            state: SlotState::Set,
            version,
            since: now,
            told: false,
            mac: SlotKey::of(&key).mac(number, &digits),
            sealed,
            length,
            ends_at,
            review_at,
            uses: left,
            openings: 0,
            after: held.delivery.seen.clone(),
        };
        pins::add_slot(conn, &slot)?;
        pins::save(conn, &held)?;
        given.push(GivenAt {
            lock: lock.id,
            slot: Some(number),
            code: None,
            status: Status::Pending,
            counts_uses,
        });
    }
    Ok(GivenPin {
        code: Some(digits),
        kind: PinKind::Synced,
        starts_at: grant.terms.starts_at,
        ends_at: grant.terms.ends_at,
        first_use_before: None,
        locks: given,
    })
}

/// How many openings the grant still allows; `None` for any number.
pub(in crate::app) fn uses_left(grant: &Grant) -> Option<u32> {
    grant.terms.uses.map(|uses: Uses| uses.limit() - uses.taken())
}

/// The end that a slot of the grant is told at `now`, and when to look at it again.
pub(super) fn slot_life(grant: &Grant, now: Timestamp) -> Result<(Timestamp, Timestamp), Error> {
    let too_long = Error::Conflict {
        word: "schedule-too-long",
        why: "the schedule has more windows than a lock takes",
    };
    let terms = &grant.terms;
    let schedule: Option<&Schedule> = terms.schedule.as_ref();
    if schedule.is_some_and(|schedule| schedule.weekly().len() > wire::MAX_WINDOWS) {
        return Err(too_long);
    }
    let begins = now.max(terms.starts_at);
    for days in SLOT_DAYS {
        let most = begins + Duration::from_secs(days * DAY);
        let until = terms.ends_at.map_or(most, |end| end.min(most));
        let fits = |schedule: &Schedule| schedule_for_lock(schedule, begins, Some(until)).is_some();
        if schedule.is_none_or(fits) {
            let review = if Some(until) == terms.ends_at {
                until
            } else {
                begins + Duration::from_secs(days * DAY * 3 / 4)
            };
            return Ok((until, review));
        }
    }
    Err(too_long)
}

/// An entry about the grant, its holder, and its lock where it has one alone.
fn entry(conn: &mut Conn, who: &Actor, grant: &Grant, kind: Kind, now: Timestamp) -> Result<NewEntry, Error> {
    let person = match &grant.holder {
        Holder::Person(person) => Some(person.clone()),
        Holder::Invited(_) => None,
    };
    let entry = NewEntry {
        person,
        actor: Some(who.person.clone()),
        grant: Some(grant.id.clone()),
        detail: Some(serde_json::json!({ "lock_ids": grant.terms.locks })),
        ..NewEntry::new(kind, now)
    };
    Ok(entry.about_all(&locks::with_ids(conn, &grant.terms.locks)?))
}
