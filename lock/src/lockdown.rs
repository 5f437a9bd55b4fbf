//! A lockdown as a lock holds it: what of it stands in the lock's state, and what the time is for a lock without a clock.

use serde::{Deserialize, Serialize};

use crate::verify::Payload;
use crate::wire::{Address, Addressed, Lockdown, MAX_GID, NUMBER_LIMIT};

/// How much time may pass, in seconds, before a lock that holds a lockdown writes down that it has: what a loss of power
/// can add to it at most.
pub const NOTED_EVERY: u64 = 600;

impl Addressed for Lockdown<'_> {
    fn address(&self) -> Address<'_> {
        Address {
            iss: self.iss,
            org: self.org,
            aud: self.aud,
        }
    }

    fn numbers(&self) -> [u64; 5] {
        [self.epoch, self.iat, self.ends(), 0, 0]
    }
}

impl Payload for Lockdown<'_> {
    fn is_in_form(&self) -> bool {
        let mut names = self.holds.iter().flat_map(|hold| hold.except.iter());
        self.epoch > 0
            && self.iat < NUMBER_LIMIT
            && self.holds.iter().all(|hold| hold.until > 0)
            && names.all(|name| (1..=MAX_GID).contains(&name.len()))
    }
}

/// What the lock knows of the lockdown that it holds, as part of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldLockdown {
    /// The greatest epoch ever held; 0 for none.
    pub epoch: u64,
    /// The first second in which none of it holds any more.
    pub until: u64,
    /// The least that the time can be, as it was when this was written. It never goes back while the lockdown holds, and
    /// goes on with the lock's own counter; so a lock without a clock holds too long rather than too short, and not for ever.
    pub time: u64,
}

impl HeldLockdown {
    /// Whether it may hold yet, by what was written down last.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.time < self.until
    }

    /// Itself after a start of the lock. It takes a second at the least to lose power and to get it back: so however often
    /// that happens, the lockdown ends.
    #[must_use]
    pub fn after_start(self) -> Self {
        Self {
            time: self.time.saturating_add(u64::from(self.is_open())),
            ..self
        }
    }

    /// Whether it is to be written down that it is `now`: once the lockdown has ended, and every [`NOTED_EVERY`] until then.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        self.is_open() && (self.until <= now || now.saturating_sub(self.time) >= NOTED_EVERY)
    }
}
