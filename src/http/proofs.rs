//! The proofs that this node has taken lately (RFC 9449, 11.1): whoever sends one again is turned away here, before it
//! costs the database or anybody's budget. What changes something is beyond that written down for all nodes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::crypto::dpop::GOOD_FOR;
use crate::domain::time::Timestamp;

/// The most proofs that are remembered: some 10 MiB. With more, the oldest is forgotten first.
const MOST: usize = 100_000;

/// Proofs that were taken.
#[derive(Default)]
pub(super) struct TakenProofs(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    known: HashSet<[u8; 32]>,
    /// In the order in which they came.
    by_age: VecDeque<(Timestamp, [u8; 32])>,
}

impl TakenProofs {
    /// Takes the proof of this digest at `now`; says whether it was not taken before.
    pub(super) fn take(&self, digest: [u8; 32], now: Timestamp) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, oldest)) = taken.by_age.front().copied()
            && (at + GOOD_FOR < now || taken.by_age.len() >= MOST)
        {
            taken.by_age.pop_front();
            taken.known.remove(&oldest);
        }
        let is_new = taken.known.insert(digest);
        if is_new {
            taken.by_age.push_back((now, digest));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn digest(number: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn a_proof_is_taken_once_while_it_is_good() {
        let (proofs, now) = (TakenProofs::default(), Timestamp::from_seconds(1_000_000));
        for (number, after, is_new) in [
            (1, Duration::ZERO, true),
            (1, Duration::ZERO, false),
            (2, Duration::from_secs(1), true),
            (1, GOOD_FOR, false),
            (2, GOOD_FOR, false),
            (1, GOOD_FOR + Duration::from_millis(1), true),
            (2, GOOD_FOR + Duration::from_millis(2), false),
        ] {
            let taken = proofs.take(digest(number), now + after);
            assert_eq!(taken, is_new, "{number} after {after:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (proofs, now) = (TakenProofs::default(), Timestamp::from_seconds(1_000_000));
        for number in 0..=MOST {
            assert!(proofs.take(digest(number), now));
        }
        let taken = proofs.0.lock().unwrap();
        assert_eq!((taken.known.len(), taken.by_age.len()), (MOST, MOST));
        assert!(!taken.known.contains(&digest(0)) && taken.known.contains(&digest(MOST)));
    }
}
