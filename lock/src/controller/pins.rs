//! PINs that the backend sets and clears. A message counts from the instant that it is in storage as it came; what follows
//! from it is written after that, and again where a loss of power has cut it short.

use heapless::Vec;

use super::{Controller, happening};
use crate::journal::Error;
use crate::jws::Message;
use crate::keypad::{MAX_SLOTS, Wrong};
use crate::refusal::Refusal;
use crate::shell::{Record, Shell, Storage};
use crate::signature::PrivateKey;
use crate::slots::{HeldPins, HeldSlot, MAX_CODES_RECORD, MAX_SLOT_RECORD, Places, UsedCodes};
use crate::wire::{ANY_NODE, Cause, Kind, Pins, RESULT_OK, Typ, Use, Zone};

/// The longest record of what was entered wrongly, in bytes.
const MAX_WRONG_RECORD: usize = 128;

/// What the lock has in memory of its PINs.
#[derive(Debug)]
pub(super) struct Keypad {
    pub(super) places: Places,
    /// The wall clock of the door; UTC before the first PINs.
    pub(super) zone: Zone,
    pub(super) used: UsedCodes,
    /// What was entered wrongly, and the milliseconds of the lock's own counter at which that was so.
    wrong: (Wrong, u64),
    /// Whether a message is in storage from which more may follow than was written.
    is_unfinished: bool,
    /// Whether somebody was told that the keypad is closed, since it last was open.
    pub(super) is_closed_told: bool,
}

impl Default for Keypad {
    fn default() -> Self {
        Self {
            places: Places::default(),
            zone: Vec::new(),
            used: UsedCodes::default(),
            wrong: (Wrong::none(), 0),
            is_unfinished: false,
            is_closed_told: false,
        }
    }
}

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// PINs: taken where they change what the lock holds to something newer, dropped where they are what it holds.
    pub(super) fn take_pins(
        &mut self,
        text: &str,
        message: &Message<'_>,
        shell: &mut impl Shell,
    ) -> Result<Result<(), Refusal>, Error<S::Error>> {
        self.finish_pins(shell)?;
        let pins: Pins<'_> = match self.known(shell).read(message, Typ::Pins, Use::Doc) {
            Ok(pins) => pins,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let held = self.journal.state().pins.version;
        if pins.version <= held {
            return Ok(if pins.version == held {
                Ok(())
            } else {
                Err(Refusal::OldVersion)
            });
        }
        if pins.base > held {
            return Ok(Err(Refusal::Gap));
        }
        if !self.has_room(&pins) {
            return Ok(Err(Refusal::NoRoom));
        }
        self.keypad.is_unfinished = true;
        self.journal.keep(Record::Pins, text)?;
        self.follow(&pins, shell).map(Ok)
    }

    /// Whether the slots of a message fit beside those that stay.
    fn has_room(&self, pins: &Pins<'_>) -> bool {
        let begins_anew = self.journal.state().pins.version == 0;
        let is_named = |slot: u16| pins.clear.contains(&slot) || pins.set.iter().any(|set| set.slot == slot);
        let stay = self.keypad.places.taken().filter(|(_, slot)| !is_named(*slot));
        let stay = if begins_anew { 0 } else { stay.count() };
        stay + pins.set.len() <= MAX_SLOTS
    }

    /// Writes what follows from a message in storage. It may be written twice, and comes to the same.
    fn follow(&mut self, pins: &Pins<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        shell.keep_pins(pins);
        // Who held nothing, or has lost what it held, holds what this message sets and no more.
        let begins_anew = self.journal.state().pins.version == 0;
        let is_set = |slot: u16| pins.set.iter().any(|set| set.slot == slot);
        for (place, slot) in self.keypad.places.clone().taken() {
            if pins.clear.contains(&slot) || begins_anew && !is_set(slot) {
                self.journal.keep_bytes(Record::Slot(place), &[])?;
                self.keypad.places.set(place, 0);
            }
        }
        for set in &pins.set {
            let place = self.keypad.places.of(set.slot);
            let before = match place {
                Some(place) => self.kept_slot(place)?,
                None => None,
            };
            let place = place.or(self.keypad.places.free()).ok_or(Error::State)?;
            let slot = HeldSlot::new(set, before.as_ref()).ok_or(Error::State)?;
            self.keep_slot(place, &slot)?;
            self.keypad.places.set(place, set.slot);
        }
        let held = HeldPins {
            version: pins.version,
            codes: self.journal.state().pins.codes.max(pins.codes),
            slots: self.keypad.places.count(),
            is_lost: false,
        };
        let taken = happening(Kind::Pins, Cause::Auto, RESULT_OK);
        self.note(taken, ANY_NODE, shell, |state| state.pins = held)?;
        self.keypad.zone = pins.zone.clone();
        self.keypad.is_unfinished = false;
        Ok(())
    }

    /// Writes what a message in storage still asks for.
    pub(super) fn finish_pins(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if !self.keypad.is_unfinished {
            return Ok(());
        }
        let kept = self.journal.kept(Record::Pins)?;
        let message = kept.as_ref().and_then(|kept| Message::parse(kept).ok());
        match message.as_ref().and_then(|message| message.claims::<Pins<'_>>().ok()) {
            Some(pins) if pins.version > self.journal.state().pins.version => self.follow(&pins, shell),
            _ => {
                self.keypad.is_unfinished = false;
                Ok(())
            }
        }
    }

    /// Reads at a start what is held, and finishes what a loss of power has cut short. Where storage has spoilt any of it, no
    /// PIN counts, and the hello asks for all of them again.
    pub(super) fn wake_keypad(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        self.keypad.wrong = (self.kept_wrong()?, shell.mono_ms());
        self.keypad.used = self.kept_used()?;
        for (place, _) in Places::default().all() {
            let slot = self.kept_slot(place)?.map_or(0, |held| held.slot);
            self.keypad.places.set(place, slot);
        }
        let held = self.journal.state().pins;
        let kept = self.journal.kept(Record::Pins)?;
        let message = kept.as_ref().and_then(|kept| Message::parse(kept).ok());
        // They were verified when they came.
        match message.as_ref().and_then(|message| message.claims::<Pins<'_>>().ok()) {
            Some(pins) if pins.version > held.version => {
                self.keypad.is_unfinished = true;
                self.follow(&pins, shell)
            }
            Some(pins) if pins.version == held.version && self.keypad.places.count() == held.slots => {
                self.keypad.zone = pins.zone.clone();
                Ok(())
            }
            None if held.version == 0 => Ok(()),
            _ => self.lose_pins(),
        }
    }

    fn lose_pins(&mut self) -> Result<(), Error<S::Error>> {
        // The message first: with the version at 0 it would count as newer at the next start.
        self.journal.keep_bytes(Record::Pins, &[])?;
        self.journal.change(|state| {
            state.pins = HeldPins {
                version: 0,
                is_lost: true,
                ..state.pins
            };
        })
    }

    /// What was entered wrongly, as it is now.
    pub(super) fn wrong(&self, shell: &impl Shell) -> Wrong {
        let (wrong, at_ms) = self.keypad.wrong;
        wrong.after(shell.mono_ms().saturating_sub(at_ms) / 1_000)
    }

    pub(super) fn keep_wrong(&mut self, wrong: Wrong, shell: &impl Shell) -> Result<(), Error<S::Error>> {
        let mono_ms = shell.mono_ms();
        let mut bytes = [0; MAX_WRONG_RECORD];
        let length = serde_json_core::to_slice(&wrong, &mut bytes).map_err(|_| Error::State)?;
        let bytes = bytes.get(..length).ok_or(Error::State)?;
        self.journal.keep_bytes(Record::Keypad, bytes)?;
        self.keypad.wrong = (wrong, mono_ms);
        Ok(())
    }

    /// Takes up what still has to be written: the rest of a message, the alarm, and how far a closing has come.
    pub(super) fn watch_keypad(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        self.finish_pins(shell)?;
        let wrong = self.wrong(shell);
        if wrong.is_alarming() {
            let alarm = happening(Kind::WrongCodeLimit, Cause::Auto, RESULT_OK);
            self.note(alarm, ANY_NODE, shell, |_| ())?;
            return self.keep_wrong(wrong.told(), shell);
        }
        let seconds = shell.mono_ms().saturating_sub(self.keypad.wrong.1) / 1_000;
        if wrong.is_due(seconds) {
            self.keep_wrong(wrong, shell)?;
        }
        Ok(())
    }

    fn kept_wrong(&mut self) -> Result<Wrong, Error<S::Error>> {
        let mut bytes = [0; MAX_WRONG_RECORD];
        match self.journal.kept_bytes(Record::Keypad, &mut bytes)? {
            None => Ok(Wrong::none()),
            Some(bytes) => serde_json_core::from_slice(bytes)
                .map(|(wrong, _)| wrong)
                .map_err(|_| Error::State),
        }
    }

    fn kept_used(&mut self) -> Result<UsedCodes, Error<S::Error>> {
        let mut bytes = [0; MAX_CODES_RECORD];
        let kept = self.journal.kept_bytes(Record::Codes, &mut bytes)?;
        // What is spoilt counts as not used: such a code opens no more.
        let used: UsedCodes = kept
            .and_then(|bytes| serde_json_core::from_slice(bytes).ok())
            .map(|(used, _)| used)
            .unwrap_or_default();
        Ok(if used.generation == self.journal.state().pins.codes {
            used
        } else {
            UsedCodes::default()
        })
    }

    pub(super) fn keep_used(&mut self, used: UsedCodes) -> Result<(), Error<S::Error>> {
        let mut bytes = [0; MAX_CODES_RECORD];
        let length = serde_json_core::to_slice(&used, &mut bytes).map_err(|_| Error::State)?;
        let bytes = bytes.get(..length).ok_or(Error::State)?;
        self.journal.keep_bytes(Record::Codes, bytes)?;
        self.keypad.used = used;
        Ok(())
    }

    /// The slot in this place; `None` where it is empty or spoilt.
    pub(super) fn kept_slot(&mut self, place: u16) -> Result<Option<HeldSlot>, Error<S::Error>> {
        let mut bytes = [0; MAX_SLOT_RECORD];
        let kept = self.journal.kept_bytes(Record::Slot(place), &mut bytes)?;
        let held = kept.and_then(|bytes| serde_json_core::from_slice(bytes).ok());
        Ok(held.map(|(held, _)| held))
    }

    pub(super) fn keep_slot(&mut self, place: u16, slot: &HeldSlot) -> Result<(), Error<S::Error>> {
        let mut bytes = [0; MAX_SLOT_RECORD];
        let length = serde_json_core::to_slice(slot, &mut bytes).map_err(|_| Error::State)?;
        let bytes = bytes.get(..length).ok_or(Error::State)?;
        self.journal.keep_bytes(Record::Slot(place), bytes)
    }
}
