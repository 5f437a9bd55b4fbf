//! Claims of a lockdown: until when a lock lets nobody in, and whom all the same.

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// The most holds of one lockdown document.
pub const MAX_HOLDS: usize = 4;

/// The most names that one hold excepts; the length of a message usually ends it earlier.
pub const MAX_EXCEPTED: usize = 48;

/// The longest that a hold may last after the document was signed, in seconds: a week. Whatever became of the backend by
/// then, the door opens again.
pub const MAX_LOCKDOWN_SECONDS: u64 = 7 * 24 * 3_600;

/// Claims of `lockdown+jwt`: what the lock refuses from now on, instead of all that such a document said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockdown<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// Grows with every change; from 1.
    pub epoch: u64,
    /// When it was signed: the time is not before this.
    pub iat: u64,
    /// All that hold; none where nothing does.
    #[serde(borrow)]
    pub holds: Vec<Hold<'a>, MAX_HOLDS>,
}

/// One lockdown as far as it concerns one lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold<'a> {
    /// The first second in which it holds no more.
    pub until: u64,
    /// Whom it does not concern: a `gid`, a `sub`, or the name of a computed code.
    #[serde(borrow)]
    pub except: Vec<&'a str, MAX_EXCEPTED>,
}

impl Lockdown<'_> {
    /// The first second in which none of it holds any more; 0 where nothing does.
    #[must_use]
    pub fn ends(&self) -> u64 {
        self.holds.iter().map(|hold| hold.until).max().unwrap_or(0)
    }

    /// Whether it keeps out, at `now`, somebody who comes under these names: each hold has to except one of them.
    #[must_use]
    pub fn keeps_out(&self, names: &[&str], now: u64) -> bool {
        let lets_in = |hold: &Hold<'_>| hold.until <= now || hold.except.iter().any(|name| names.contains(name));
        !self.holds.iter().all(lets_in)
    }
}
