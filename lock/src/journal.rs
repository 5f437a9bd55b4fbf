//! What a lock must not forget: its counters, the command under way, and its events until the backend has them.
//!
//! An event is written first, then the state that knows of it, and only then is anybody told. Power lost between the
//! two leaves an event that nobody has seen; the next one takes its place.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Happening, Sensors, Signer, Stamp};
use crate::command::Command;
use crate::jws::{Compact, Message, SignError};
use crate::lockdown::HeldLockdown;
use crate::shell::{Record, Storage};
use crate::signature::PrivateKey;
use crate::slots::HeldPins;
use crate::wire::{Event, Kind, Lost, MAX_MESSAGE};

/// The longest state in bytes.
pub const MAX_STATE: usize = 1_536;

/// The state that is stored as one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// How often the lock has started.
    pub boot: u32,
    /// The counter of the last accepted token.
    pub ctr: u64,
    /// The greatest time ever trusted.
    pub floor: u64,
    /// Tokens with a `rev` below this are void.
    pub min_rev: u64,
    /// How far the events have come.
    pub chain: Chain,
    /// Whether events may have been lost since the last acknowledgement, and an event says so.
    pub overflowed: bool,
    /// Events that were overwritten before the backend had them, and that no event sums up yet.
    #[serde(default)]
    pub lost: Option<Lost>,
    /// The command whose movement has begun, or was about to.
    pub underway: Option<Command>,
    /// The command that waits for it to end.
    pub waiting: Option<Command>,
    /// Whether the lock is leaving its organization.
    pub leaving: bool,
    /// The epoch of the newest revocations ever held.
    #[serde(default)]
    pub epoch: u64,
    /// The PINs that are held.
    #[serde(default)]
    pub pins: HeldPins,
    /// The lockdown that is held.
    #[serde(default)]
    pub lockdown: HeldLockdown,
}

/// Something could not be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// Storage failed.
    Storage(E),
    /// An event could not be signed: the lock's id or texts are unfit.
    Sign(SignError),
    /// The stored state is not one, or does not fit.
    State,
    /// The keyset that came with the enrolment is refused.
    Keyset(crate::refusal::Refusal),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "the lock's storage failed: {error}"),
            Self::Sign(error) => write!(f, "an event could not be signed: {error}"),
            Self::State => f.write_str("the lock's stored state cannot be read"),
            Self::Keyset(refusal) => write!(f, "the keyset of the enrolment is refused: {refusal}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}

/// State and events in storage.
#[derive(Debug)]
pub(crate) struct Journal<S> {
    storage: S,
    state: State,
}

impl<S: Storage> Journal<S> {
    /// The journal in `storage`, or a new one that begins with `fresh`.
    pub(crate) fn open(mut storage: S, fresh: impl FnOnce() -> State) -> Result<(Self, bool), Error<S::Error>> {
        let mut bytes = [0; MAX_STATE];
        match storage.read(Record::State, &mut bytes).map_err(Error::Storage)? {
            None => Ok((
                Self {
                    storage,
                    state: fresh(),
                },
                true,
            )),
            Some(length) => {
                let stored = bytes.get(..length).ok_or(Error::State)?;
                let (state, _) = serde_json_core::from_slice(stored).map_err(|_| Error::State)?;
                Ok((Self { storage, state }, false))
            }
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Changes the state, durably or not at all.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut State)) -> Result<(), Error<S::Error>> {
        let mut state = self.state.clone();
        change(&mut state);
        let mut bytes = [0; MAX_STATE];
        let length = serde_json_core::to_slice(&state, &mut bytes).map_err(|_| Error::State)?;
        self.storage
            .write(Record::State, bytes.get(..length).ok_or(Error::State)?)
            .map_err(Error::Storage)?;
        self.state = state;
        Ok(())
    }

    /// Appends an event, together with a change of the state: both durably, or neither.
    pub(crate) fn append<K: PrivateKey>(
        &mut self,
        signer: &Signer<'_, K>,
        happening: &Happening<'_>,
        (stamp, sensors, salt): (&Stamp, &Sensors, &[u8; 16]),
        change: impl FnOnce(&mut State),
    ) -> Result<Compact, Error<S::Error>> {
        let (compact, chain) = self
            .state
            .chain
            .link(signer, happening, stamp, sensors, salt)
            .map_err(Error::Sign)?;
        let slot = Record::Event(self.slot(self.state.chain.next()));
        self.storage.write(slot, compact.as_bytes()).map_err(Error::Storage)?;
        self.change(|state| {
            change(state);
            state.chain = chain;
        })?;
        Ok(compact)
    }

    /// Whether the next event takes the place of one that is not acknowledged.
    pub(crate) fn is_full(&self) -> bool {
        let chain = &self.state.chain;
        chain.next() - chain.unacked() >= u64::from(self.storage.event_slots())
    }

    /// What is lost once the next event is written: what is lost already, and the event whose place it takes where that
    /// is not acknowledged.
    pub(crate) fn lost_by_next(&mut self) -> Result<Option<Lost>, Error<S::Error>> {
        let (next, slots) = (self.state.chain.next(), u64::from(self.storage.event_slots()));
        let Some(seq) = next.checked_sub(slots).filter(|seq| *seq >= self.state.chain.unacked()) else {
            return Ok(self.state.lost);
        };
        let event = self.event(seq)?;
        let message = event.as_deref().and_then(|event| Message::parse(event).ok());
        let kind = message.as_ref().and_then(|message| message.claims::<Event<'_>>().ok());
        let mut lost = self.state.lost.unwrap_or(Lost {
            from: seq,
            to: seq,
            unlocked: 0,
            locked: 0,
            denied: 0,
            other: 0,
        });
        lost.to = seq;
        let count = match kind.map(|event| event.kind) {
            Some(kind) if kind == Kind::Unlocked.as_str() => &mut lost.unlocked,
            Some(kind) if kind == Kind::Locked.as_str() => &mut lost.locked,
            Some(kind) if kind == Kind::Denied.as_str() => &mut lost.denied,
            _ => &mut lost.other,
        };
        *count = count.saturating_add(1);
        Ok(Some(lost))
    }

    /// Whether what is not acknowledged fills three quarters of the room for events.
    pub(crate) fn is_nearly_full(&self) -> bool {
        let chain = &self.state.chain;
        (chain.next() - chain.unacked()).saturating_mul(4) >= u64::from(self.storage.event_slots()).saturating_mul(3)
    }

    /// The event `seq`, where it is still there.
    pub(crate) fn event(&mut self, seq: u64) -> Result<Option<Compact>, Error<S::Error>> {
        if seq >= self.state.chain.next() {
            return Ok(None);
        }
        let mut bytes = [0; MAX_MESSAGE];
        let slot = Record::Event(self.slot(seq));
        let length = self.storage.read(slot, &mut bytes).map_err(Error::Storage)?;
        let text = length.and_then(|length| core::str::from_utf8(bytes.get(..length)?).ok());
        let Some(compact) = text.and_then(|text| Compact::try_from(text).ok()) else {
            return Ok(None);
        };
        // The slot may hold a later event, or one that a loss of power kept out of the chain.
        let is_it = Message::parse(&compact).is_ok_and(|message| {
            message
                .claims()
                .is_ok_and(|event: Event<'_>| event.seq == seq && event.chain == self.state.chain.id())
        });
        Ok(is_it.then_some(compact))
    }

    /// Writes a document as it came.
    pub(crate) fn keep(&mut self, record: Record, compact: &str) -> Result<(), Error<S::Error>> {
        self.keep_bytes(record, compact.as_bytes())
    }

    /// Writes a record.
    pub(crate) fn keep_bytes(&mut self, record: Record, bytes: &[u8]) -> Result<(), Error<S::Error>> {
        self.storage.write(record, bytes).map_err(Error::Storage)
    }

    /// Reads a record to the front of `into`; `None` where it was never written.
    pub(crate) fn kept_bytes<'b>(
        &mut self,
        record: Record,
        into: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Error<S::Error>> {
        let length = self.storage.read(record, into).map_err(Error::Storage)?;
        Ok(length.and_then(|length| into.get(..length)))
    }

    /// A document as it came.
    pub(crate) fn kept(&mut self, record: Record) -> Result<Option<Compact>, Error<S::Error>> {
        let mut bytes = [0; MAX_MESSAGE];
        let length = self.storage.read(record, &mut bytes).map_err(Error::Storage)?;
        let text = length.and_then(|length| core::str::from_utf8(bytes.get(..length)?).ok());
        Ok(text.and_then(|text| Compact::try_from(text).ok()))
    }

    fn slot(&self, seq: u64) -> u32 {
        u32::try_from(seq % u64::from(self.storage.event_slots().max(1))).unwrap_or(0)
    }
}
