//! What somebody enters at the keypad. It counts as wrong, on storage, before the lock itself knows whether it is: power that
//! is cut on the way takes no guess back.

use super::Controller;
use crate::command::{AT_DOOR_SECONDS, Command, Origin};
use crate::journal::Error;
use crate::pins::{Code, Entry};
use crate::refusal::Refusal;
use crate::schedule::WallClock;
use crate::shell::{Shell, Storage};
use crate::signature::PrivateKey;
use crate::slots::{HeldSlot, UsedCodes};
use crate::wire::{ANY_NODE, Action, Cause, MINUTES_A_DAY};

/// What an entry is.
#[allow(
    clippy::large_enum_variant,
    reason = "there is no allocator to box with, and one lives for one entry"
)]
enum Found {
    /// The PIN of nobody.
    Nothing,
    /// A PIN that does not open now.
    Refused(Origin, Refusal),
    /// One that does, for so many seconds more; first this is to be written.
    Opens(Origin, u64, Spending),
}

/// What has to be on storage before the bolt moves.
#[allow(
    clippy::large_enum_variant,
    reason = "there is no allocator to box with, and one lives for one entry"
)]
enum Spending {
    Nothing,
    Slot(u16, HeldSlot),
    Code(UsedCodes),
}

impl Found {
    /// The one that opens, or else the one found first.
    fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Opens(..), _) | (Self::Refused(..), Self::Refused(..) | Self::Nothing) => self,
            _ => other,
        }
    }
}

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// Somebody has entered something: moves the bolt, or says why not.
    pub(super) fn enter(&mut self, entry: Entry<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if self.journal.state().leaving {
            return self.refuse(Refusal::LeftOrganization, Cause::Auto, ANY_NODE, shell);
        }
        self.finish_pins(shell)?;
        self.finish_lockdown(shell)?;
        let before = self.wrong(shell);
        if before.closed_for() > 0 {
            return self.refuse_closed(shell);
        }
        self.keypad.is_closed_told = false;
        let now = self.clock.wall(shell.mono_ms());
        if entry.is_code() && now.is_none() {
            // Nobody learns anything from that, whatever the digits: no guess.
            return self.refuse(Refusal::NoTime, Cause::Auto, ANY_NODE, shell);
        }
        self.keep_wrong(before.and_one_more(), shell)?;
        let found = match now {
            Some(now) if entry.is_code() => match self.find_code(&entry, now) {
                Found::Opens(Origin::Code(name), ..) if self.is_locked_down(&[&name], shell)? => {
                    Found::Refused(Origin::Code(name), Refusal::Lockdown)
                }
                found => found,
            },
            _ => self.find_slot(&entry, now, shell)?,
        };
        match found {
            Found::Nothing => {
                self.refuse(Refusal::WrongPin, Cause::Auto, ANY_NODE, shell)?;
                self.watch_keypad(shell)
            }
            Found::Refused(origin, refusal) => {
                self.keep_wrong(before, shell)?;
                self.refuse(refusal, origin.cause(), ANY_NODE, shell)
            }
            Found::Opens(origin, seconds, spending) => {
                match spending {
                    Spending::Nothing => {}
                    Spending::Slot(place, slot) => self.keep_slot(place, &slot)?,
                    Spending::Code(used) => self.keep_used(used)?,
                }
                self.keep_wrong(before.and_a_right_one(), shell)?;
                let command = Command::at_door(Action::Unlock, origin, &self.moment(shell), seconds);
                let ctr = self.journal.state().ctr;
                self.take_up(command, ctr, shell)
            }
        }
    }

    /// For how many seconds the keypad is closed; 0 where it is open.
    #[must_use]
    pub fn keypad_closed_for(&self, shell: &impl Shell) -> u32 {
        self.wrong(shell).closed_for()
    }

    /// The keypad is closed. One event says so for the whole of a closing.
    fn refuse_closed(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if self.keypad.is_closed_told {
            return Ok(());
        }
        self.refuse(Refusal::KeypadClosed, Cause::Auto, ANY_NODE, shell)?;
        self.keypad.is_closed_told = true;
        Ok(())
    }

    /// The slot with these digits. All are reckoned, whichever it is.
    fn find_slot(&mut self, entry: &Entry<'_>, now: Option<u64>, shell: &impl Shell) -> Result<Found, Error<S::Error>> {
        let mut found = Found::Nothing;
        let Some(key) = self.enrolment.pin_key.as_ref().map(crate::pins::PinKey::slots) else {
            return Ok(found);
        };
        if self.journal.state().pins.version == 0 {
            return Ok(found);
        }
        for (place, number) in self.keypad.places.clone().taken() {
            let Some(slot) = self.kept_slot(place)? else { continue };
            let fits = slot.mac().is_some_and(|mac| key.fits(number, entry, &mac));
            if !fits {
                continue;
            }
            let origin = Origin::Pin(number);
            let counts = if self.is_revoked(slot.gid(), None)? {
                Err(Refusal::Revoked)
            } else {
                slot.counts(&self.clock, &self.keypad.zone, shell.mono_ms())
            };
            let counts = match counts {
                Ok(()) if self.is_locked_down(&[slot.gid()], shell)? => Err(Refusal::Lockdown),
                counts => counts,
            };
            found = found.or(match counts {
                Err(refusal) => Found::Refused(origin, refusal),
                Ok(()) => {
                    let used = slot.with_one_more_use();
                    let spending = used.map_or(Spending::Nothing, |slot| Spending::Slot(place, slot));
                    Found::Opens(origin, slot.seconds_left(now), spending)
                }
            });
        }
        Ok(found)
    }

    /// The computed code with these digits, at a time.
    fn find_code(&self, entry: &Entry<'_>, now: u64) -> Found {
        let held = self.journal.state().pins;
        let mut found = Found::Nothing;
        let Some(key) = self.enrolment.pin_key.as_ref().filter(|_| !held.is_lost) else {
            return found;
        };
        let wall = WallClock::read(&self.keypad.zone, now);
        for code in key.codes(held.codes).find(entry, wall.day) {
            found = found.or(self.weigh(code, held.codes, wall, now));
        }
        found
    }

    /// Whether a computed code opens on this day: on its first, and on its others where it was used on the first.
    fn weigh(&self, code: Code, generation: u32, wall: WallClock, now: u64) -> Found {
        let origin = Origin::Code(code.name());
        let is_first_day = code.first_day() == wall.day;
        let is_used = self.keypad.used.generation == generation && self.keypad.used.has(&code);
        if !code.covers(wall.day) || !(is_first_day || is_used) {
            return Found::Refused(origin, Refusal::Expired);
        }
        let seconds = if code.covers(wall.day.saturating_add(1)) {
            AT_DOOR_SECONDS
        } else {
            // To the last second before midnight.
            u64::from(MINUTES_A_DAY - 1 - wall.minute) * 60 + 59 - now % 60
        };
        if is_used {
            return Found::Opens(origin, seconds, Spending::Nothing);
        }
        match self.keypad.used.with(&code, generation, wall.day) {
            Ok(used) => Found::Opens(origin, seconds, Spending::Code(used)),
            Err(refusal) => Found::Refused(origin, refusal),
        }
    }
}
