//! The chain of a lock's events: each holds the hash of the one before, so that none can be dropped or changed unseen.

use serde::{Deserialize, Serialize};

use crate::base64url::{self, Text16, Text32};
use crate::jws::{self, Compact, SignError};
use crate::signature::PrivateKey;
use crate::wire::{Assurance, Bolt, Cause, ClockState, Door, Event, Head, Kind, Lost, NO_PREVIOUS, Typ};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happening<'a> {
    /// The kind of event.
    pub kind: Kind,
    /// What made it happen.
    pub cause: Cause<'a>,
    /// [`crate::wire::RESULT_OK`], or the word of the refusal or failure.
    pub result: &'a str,
    /// What was lost, in an event that sums it up.
    pub lost: Option<Lost>,
}

/// When it happened, as far as the lock knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// How often the lock has started.
    pub boot: u32,
    /// Seconds since that start.
    pub mono: u64,
    /// The time, where there is one.
    pub wall: Option<u64>,
    /// How far the time can be believed.
    pub clock: ClockState,
}

/// What the lock's sensors say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensors {
    /// Where the bolt is.
    pub bolt: Bolt,
    /// Where the door is.
    pub door: Door,
    /// The battery in percent, where there is one.
    pub battery: Option<u8>,
}

/// Who signs events.
#[derive(Debug)]
pub struct Signer<'a, K> {
    /// The lock's id.
    pub lock: &'a str,
    /// The lock's private key.
    pub key: &'a K,
    /// Who vouches for its events, where that is not the lock itself.
    pub assurance: Option<Assurance>,
}

/// How far a chain has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// 128 random bits.
    id: Text16,
    /// `seq` of the next event.
    next: u64,
    /// `prev` of the next event.
    head: Text32,
    /// The first event that the backend has not acknowledged.
    unacked: u64,
}

impl Chain {
    /// A chain without events.
    #[must_use]
    pub fn begin(id: &[u8; 16]) -> Self {
        debug_assert_eq!(NO_PREVIOUS.len(), 43);
        Self {
            id: base64url::text16(id),
            next: 0,
            head: base64url::text32(&[0; 32]),
            unacked: 0,
        }
    }

    /// The chain's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `seq` of the next event: how many there are.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The first event that the backend has not acknowledged; [`Self::next`] where it has all.
    #[must_use]
    pub fn unacked(&self) -> u64 {
        self.unacked
    }

    /// The newest event; `None` before the first.
    #[must_use]
    pub fn head(&self) -> Option<Head<'_>> {
        Some(Head {
            chain: &self.id,
            seq: self.next.checked_sub(1)?,
            hash: &self.head,
        })
    }

    /// Signs the next event, and gives it with the chain as it is after it.
    ///
    /// # Errors
    /// [`SignError`] where the event cannot be signed.
    pub fn link<K: PrivateKey>(
        &self,
        signer: &Signer<'_, K>,
        happening: &Happening<'_>,
        stamp: &Stamp,
        sensors: &Sensors,
        salt: &[u8; 16],
    ) -> Result<(Compact, Self), SignError> {
        let event = Event {
            lock: signer.lock,
            chain: &self.id,
            seq: self.next,
            prev: &self.head,
            salt: &base64url::text16(salt),
            boot: stamp.boot,
            mono: stamp.mono,
            wall: stamp.wall,
            clock: stamp.clock,
            kind: happening.kind.as_str(),
            cause: happening.cause,
            result: happening.result,
            bolt: Some(sensors.bolt),
            door: (sensors.door != Door::Unknown).then_some(sensors.door),
            battery: sensors.battery,
            matter: happening.kind.matter(),
            assurance: signer.assurance,
            lost: happening.lost,
        };
        let compact = jws::sign(Typ::Event, signer.lock, &event, signer.key)?;
        let head = base64url::hash(&compact);
        Ok((
            compact,
            Self {
                id: self.id.clone(),
                next: self.next + 1,
                head,
                unacked: self.unacked,
            },
        ))
    }

    /// Notes that the backend has every event up to `seq`, which the caller has compared with its own.
    pub fn acknowledge(&mut self, seq: u64) {
        self.unacked = self.unacked.max(seq.saturating_add(1)).min(self.next);
    }
}
