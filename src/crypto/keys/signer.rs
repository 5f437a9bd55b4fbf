//! Which key signs for whom.

use std::sync::Arc;

use doorward_lock::wire::Use;

use super::ring::{Ring, SigningKey};
use crate::crypto::tokens::SignError;

/// Signs messages for a lock that holds a certain keyset, each with the newest key for its purpose that the lock holds;
/// the methods are in `crypto::tokens`.
#[derive(Debug, Clone)]
pub struct Signer {
    ring: Arc<Ring>,
    held: u64,
    now: u64,
}

impl Signer {
    pub(super) fn new(ring: Arc<Ring>, held: u64, now: u64) -> Self {
        Self { ring, held, now }
    }

    /// The key that signs for this purpose.
    pub(in crate::crypto) fn key(&self, purpose: Use) -> Result<&SigningKey, SignError> {
        self.ring
            .pick(purpose, self.held, self.now)
            .ok_or(SignError::NoKey(purpose))
    }

    /// The keyset that the lock has to have before it can believe what is signed for this purpose; `None` where it has it.
    #[must_use]
    pub fn keyset_first(&self, purpose: Use) -> Option<&str> {
        let key = self.ring.pick(purpose, self.held, self.now)?;
        (key.since() > self.held).then(|| self.ring.keyset())
    }
}
