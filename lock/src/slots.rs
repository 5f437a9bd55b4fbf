//! PINs as a lock holds them: one record a slot, and the computed codes that have been used.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::base64url::{Text32, decode};
use crate::clock::Clock;
use crate::keypad::MAX_SLOTS;
use crate::pins::Code;
use crate::refusal::Refusal;
use crate::schedule::{WallClock, is_open};
use crate::verify::Payload;
use crate::wire::{
    Address, Addressed, MAX_GID, MAX_SLOT, NUMBER_LIMIT, Pins, Role, Schedule, Slot, ZoneChange, is_zone,
};

/// The longest record of a slot in bytes.
pub const MAX_SLOT_RECORD: usize = 2_048;

/// The longest record of used codes in bytes.
pub const MAX_CODES_RECORD: usize = 256;

impl Addressed for Pins<'_> {
    fn address(&self) -> Address<'_> {
        Address {
            iss: self.iss,
            org: self.org,
            aud: self.aud,
        }
    }

    fn numbers(&self) -> [u64; 5] {
        [self.base, self.version, 0, 0, 0]
    }
}

impl Payload for Pins<'_> {
    fn is_in_form(&self) -> bool {
        let is_slot = |slot: u16| (1..=MAX_SLOT).contains(&slot);
        let set = self.set.iter().map(|slot| slot.slot);
        let numbers = || set.clone().chain(self.clear.iter().copied());
        let names_each_once = numbers()
            .enumerate()
            .all(|(at, slot)| numbers().take(at).all(|other| other != slot));
        self.base < self.version
            && is_zone(&self.zone)
            && numbers().all(is_slot)
            && names_each_once
            && self.set.iter().all(is_in_form)
    }
}

/// Whether what a slot says can be.
fn is_in_form(slot: &Slot<'_>) -> bool {
    decode::<32>(slot.mac).is_some()
        && (1..=MAX_GID).contains(&slot.gid.len())
        && slot.nbf < NUMBER_LIMIT
        && slot.exp.is_none_or(|exp| slot.nbf <= exp && exp < NUMBER_LIMIT)
        && slot.uses != Some(0)
        && slot.schedule.as_ref().is_none_or(Schedule::is_whole)
}

/// What the lock knows of its PINs, as part of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPins {
    /// The version that is held; 0 for none.
    pub version: u64,
    /// The generation of computed codes: the greatest ever held.
    pub codes: u32,
    /// How many slots are held.
    pub slots: u16,
    /// Whether storage has spoilt what was held: no PIN counts until the backend has sent all of them again.
    pub is_lost: bool,
}

/// A slot in storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldSlot {
    pub(crate) slot: u16,
    mac: Text32,
    gid: String<MAX_GID>,
    role: Role,
    nbf: u64,
    exp: Option<u64>,
    uses: Option<u32>,
    /// How many openings are taken.
    used: u32,
    schedule: Option<Schedule>,
}

impl HeldSlot {
    /// The slot that a message sets. Where it is the same PIN for the same grant as the one `before`, what was used of that
    /// stays used.
    pub(crate) fn new(slot: &Slot<'_>, before: Option<&Self>) -> Option<Self> {
        let same = before.filter(|before| before.mac == slot.mac && before.gid == slot.gid);
        Some(Self {
            slot: slot.slot,
            mac: String::try_from(slot.mac).ok()?,
            gid: String::try_from(slot.gid).ok()?,
            role: slot.role,
            nbf: slot.nbf,
            exp: slot.exp,
            uses: slot.uses,
            used: same.map_or(0, |before| before.used),
            schedule: slot.schedule.clone(),
        })
    }

    pub(crate) fn mac(&self) -> Option<[u8; 32]> {
        decode(&self.mac)
    }

    pub(crate) fn gid(&self) -> &str {
        &self.gid
    }

    /// Whether it opens now. A clock that is stale will do; without one, only a tenant's PIN counts that no time of day limits,
    /// and whose end the lock has not seen pass.
    ///
    /// # Errors
    /// The first reason why it does not.
    pub(crate) fn counts(&self, clock: &Clock, zone: &[ZoneChange], mono_ms: u64) -> Result<(), Refusal> {
        match clock.wall(mono_ms) {
            Some(now) if now < self.nbf => return Err(Refusal::NotYet),
            Some(now) if self.exp.is_some_and(|exp| exp < now) => return Err(Refusal::Expired),
            Some(now) => {
                let wall = WallClock::read(zone, now);
                if self.schedule.as_ref().is_some_and(|schedule| !is_open(schedule, wall)) {
                    return Err(Refusal::OutsideSchedule);
                }
            }
            None if self.role != Role::Tenant || self.schedule.is_some() || self.nbf > clock.floor() => {
                return Err(Refusal::NoTime);
            }
            None if self.exp.is_some_and(|exp| exp <= clock.floor()) => return Err(Refusal::Expired),
            None => {}
        }
        if self.uses.is_some_and(|uses| self.used >= uses) {
            return Err(Refusal::UsesExhausted);
        }
        Ok(())
    }

    /// How many seconds it counts yet, by this time; the greatest number where it has no end.
    pub(crate) fn seconds_left(&self, now: Option<u64>) -> u64 {
        match (self.exp, now) {
            (Some(exp), Some(now)) => exp.saturating_sub(now),
            _ => u64::MAX,
        }
    }

    /// Itself with one more opening taken; `None` where nobody counts them.
    pub(crate) fn with_one_more_use(&self) -> Option<Self> {
        self.uses.map(|_| Self {
            used: self.used.saturating_add(1),
            ..self.clone()
        })
    }
}

/// Which slot stands in which place of storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places([u16; MAX_SLOTS]);

impl Default for Places {
    fn default() -> Self {
        Self([0; MAX_SLOTS])
    }
}

impl Places {
    /// The places with their slots; 0 for an empty one.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u16, u16)> {
        (0..).zip(self.0)
    }

    /// Those that hold a slot, with it.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (u16, u16)> {
        self.all().filter(|(_, slot)| *slot != 0)
    }

    /// How many slots are held.
    pub(crate) fn count(&self) -> u16 {
        u16::try_from(self.taken().count()).unwrap_or(u16::MAX)
    }

    /// The place of a slot.
    pub(crate) fn of(&self, slot: u16) -> Option<u16> {
        self.taken().find(|(_, held)| *held == slot).map(|(place, _)| place)
    }

    /// A place that is free.
    pub(crate) fn free(&self) -> Option<u16> {
        self.all().find(|(_, slot)| *slot == 0).map(|(place, _)| place)
    }

    /// Notes what a place holds; 0 for nothing.
    pub(crate) fn set(&mut self, place: u16, slot: u16) {
        if let Some(held) = self.0.get_mut(usize::from(place)) {
            *held = slot;
        }
    }
}

/// The computed codes of one generation that have been used on their first day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsedCodes {
    pub(crate) generation: u32,
    /// First days, each with a bit for every code.
    days: Vec<(u32, u32), 8>,
}

impl UsedCodes {
    pub(crate) fn has(&self, code: &Code) -> bool {
        let is_it = |(day, bits): &(u32, u32)| *day == code.first_day() && bits & code.bit() != 0;
        self.days.iter().any(is_it)
    }

    /// Itself with this code, without those that are over `today`.
    ///
    /// # Errors
    /// [`Refusal::NoRoom`] where it cannot be noted.
    pub(crate) fn with(&self, code: &Code, generation: u32, today: u32) -> Result<Self, Refusal> {
        let mut next = Self {
            generation,
            days: self.days.clone(),
        };
        if self.generation != generation {
            next.days.clear();
        }
        next.days.retain(|(day, _)| day.saturating_add(7) > today);
        match next.days.iter_mut().find(|(day, _)| *day == code.first_day()) {
            Some((_, bits)) => *bits |= code.bit(),
            None => {
                let first = (code.first_day(), code.bit());
                next.days.push(first).map_err(|_| Refusal::NoRoom)?;
            }
        }
        Ok(next)
    }
}
