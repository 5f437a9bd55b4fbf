//! How often counted passes have opened this door: on storage before the bolt moves, so that no loss of power gives a use
//! back.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use super::Controller;
use crate::journal::Error;
use crate::refusal::Refusal;
use crate::shell::{Record, Shell, Storage};
use crate::signature::PrivateKey;
use crate::wire::{MAX_GID, MAX_PASS_SECONDS};

/// How many counted grants a lock keeps count of.
pub const COUNTED_GRANTS: usize = 16;

/// The longest record of uses in bytes.
pub const MAX_USES: usize = 3_072;

/// How long after the backend has all events of a grant its count is kept, in seconds: until no pass of before is left, and
/// a day. Whatever is issued later says itself how many uses are taken.
const KEPT_SECONDS: u64 = MAX_PASS_SECONDS + 24 * 3_600;

/// The count of one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    gid: String<MAX_GID>,
    taken: u32,
    /// The event that was to be next when the last use was taken.
    seq: u64,
    /// Since when the backend has it, by a clock that was fresh.
    settled: Option<u64>,
}

/// The counts of all counted grants that have opened this door lately.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Uses {
    grants: Vec<Count, COUNTED_GRANTS>,
}

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// Takes one of `uses`, of which the backend knew `used` to be taken, durably; or refuses.
    pub(super) fn take_use(
        &mut self,
        gid: &str,
        uses: u32,
        used: u32,
        shell: &impl Shell,
    ) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let mut next = self.uses.clone();
        let at = next.grants.iter().position(|count| count.gid == gid);
        let taken = at
            .and_then(|at| next.grants.get(at))
            .map_or(used, |count| count.taken.max(used));
        if taken >= uses {
            return Ok(Err(Refusal::UsesExhausted));
        }
        let Ok(gid) = String::try_from(gid) else {
            return Ok(Err(Refusal::Malformed));
        };
        let count = Count {
            gid,
            taken: taken + 1,
            seq: self.journal.state().chain.next(),
            settled: None,
        };
        match at.and_then(|at| next.grants.get_mut(at)) {
            Some(held) => *held = count,
            None => {
                let now = self.clock.fresh(shell.mono_ms()).unwrap_or(self.clock.floor());
                next.grants
                    .retain(|count| count.settled.is_none_or(|at| now <= at.saturating_add(KEPT_SECONDS)));
                if next.grants.push(count).is_err() {
                    return Ok(Err(Refusal::NoRoom));
                }
            }
        }
        self.keep_uses(next).map(Ok)
    }

    /// Notes which counts the backend has all events of by now.
    pub(super) fn settle_uses(&mut self, shell: &impl Shell) -> Result<(), Error<S::Error>> {
        let Some(now) = self.clock.fresh(shell.mono_ms()) else {
            return Ok(());
        };
        let unacked = self.journal.state().chain.unacked();
        let is_settled = |count: &Count| count.settled.is_none() && count.seq.saturating_add(1) < unacked;
        if !self.uses.grants.iter().any(is_settled) {
            return Ok(());
        }
        let mut next = self.uses.clone();
        for count in next.grants.iter_mut().filter(|count| is_settled(count)) {
            count.settled = Some(now);
        }
        self.keep_uses(next)
    }

    /// Reads the counts at a start.
    pub(super) fn kept_uses(&mut self) -> Result<Uses, Error<S::Error>> {
        let mut bytes = [0; MAX_USES];
        match self.journal.kept_bytes(Record::Uses, &mut bytes)? {
            None => Ok(Uses::default()),
            Some(bytes) => serde_json_core::from_slice(bytes)
                .map(|(uses, _)| uses)
                .map_err(|_| Error::State),
        }
    }

    fn keep_uses(&mut self, uses: Uses) -> Result<(), Error<S::Error>> {
        let mut bytes = [0; MAX_USES];
        let length = serde_json_core::to_slice(&uses, &mut bytes).map_err(|_| Error::State)?;
        let bytes = bytes.get(..length).ok_or(Error::State)?;
        self.journal.keep_bytes(Record::Uses, bytes)?;
        self.uses = uses;
        Ok(())
    }
}
