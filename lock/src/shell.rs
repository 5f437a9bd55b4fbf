//! What a lock's program must bring along: storage that outlives a loss of power, and hands.

use crate::wire::{Action, Lockdown, Pins};

/// A place in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Record {
    /// Counters, chain, and the command under way: at most [`crate::journal::MAX_STATE`] bytes.
    State,
    /// The keyset that is held, as it came.
    Keyset,
    /// The revocations that are held, as they came.
    Revocations,
    /// How often counted passes have opened: at most [`crate::controller::MAX_USES`] bytes. Storage that has spoilt it must
    /// say so like for the state, for a lock without it would open again what has been used.
    Uses,
    /// The newest PINs that were taken, as they came.
    Pins,
    /// A PIN with its count of openings, in one of [`crate::keypad::MAX_SLOTS`] places from 0: at most
    /// [`crate::slots::MAX_SLOT_RECORD`] bytes; none where it was cleared.
    Slot(u16),
    /// The lockdown that is held, as it came.
    Lockdown,
    /// The computed codes that were used on their first day: at most [`crate::slots::MAX_CODES_RECORD`] bytes.
    Codes,
    /// What was entered wrongly at the keypad: at most 128 bytes. Storage that has spoilt it must say so like for the state, for
    /// a lock without it would let anybody guess anew.
    Keypad,
    /// An event as it was signed: slot 0 to [`Storage::event_slots`] - 1, written round and round.
    Event(u32),
}

/// Storage that outlives a loss of power.
pub trait Storage {
    /// Why a record could not be written or read.
    type Error;

    /// Replaces a record. When this returns, the bytes are there to stay; power lost meanwhile leaves the old bytes or
    /// the new ones, never a mixture.
    ///
    /// # Errors
    /// Where the bytes may not be there to stay.
    fn write(&mut self, record: Record, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Reads a record to the front of `into` and says how long it is; `None` where it was never written.
    ///
    /// # Errors
    /// Where it cannot be read, or is longer than `into`.
    fn read(&mut self, record: Record, into: &mut [u8]) -> Result<Option<usize>, Self::Error>;

    /// How many events fit: at least 16. It stays the same for the life of the storage.
    fn event_slots(&self) -> u32;
}

/// The hands of a lock: what the controller tells its surroundings to do, and asks of them.
pub trait Shell {
    /// Milliseconds since the start of the lock, by a counter that never goes back and that nobody can set.
    fn mono_ms(&self) -> u64;

    /// Fills `bytes` with random ones from a source fit for keys.
    fn random(&mut self, bytes: &mut [u8]);

    /// Publishes `message` to the lock's `up/{node}`, QoS 1, not retained. What cannot be sent may be dropped: events
    /// are sent again until they are acknowledged.
    fn publish(&mut self, node: &str, message: &str);

    /// Shows `message`, which the lock has signed, to whoever stands at the door: every event as it is stored, and what was
    /// asked for there. Where nobody does, it is dropped. Returns at once.
    fn show(&mut self, message: &str);

    /// Begins to move the bolt, and returns at once; [`crate::controller::Input::Moved`] tells the end.
    fn begin_move(&mut self, action: Action);

    /// The lock is about to hold these changes of its PINs: for hands whose bolt has a keypad of its own, which must be
    /// told the digits. They may come again, after a loss of power. Returns when they are there to stay.
    fn keep_pins(&mut self, pins: &Pins<'_>) {
        let _ = pins;
    }

    /// The lock is about to hold this lockdown: for hands whose bolt has a keypad of its own, which must forget the PINs of
    /// whoever is kept out. It may come again, after a loss of power. Returns when it is there to stay.
    fn keep_lockdown(&mut self, lockdown: &Lockdown<'_>) {
        let _ = lockdown;
    }

    /// Ends the connection and erases storage, keys and enrolment: the lock belongs to nobody now.
    fn forget(&mut self);
}
