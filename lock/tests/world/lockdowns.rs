//! Lockdowns on the bench.

use doorward_lock::wire::Typ;
use serde_json::{Value, json};

use super::{DOC, T, World, by, to_lock};

/// One hold: until when, and whom it excepts.
pub fn hold(until: u64, except: &[&str]) -> Value {
    json!({ "until": until, "except": except })
}

/// Claims of a lockdown that was signed at [`T`].
pub fn lockdown_claims(epoch: u64, holds: &[Value]) -> Value {
    to_lock(json!({ "epoch": epoch, "iat": T, "holds": holds }))
}

/// A lockdown as a message.
pub fn lockdown(epoch: u64, holds: &[Value]) -> String {
    by(DOC, Typ::Lockdown, &lockdown_claims(epoch, holds))
}

impl World {
    /// The word of the last event.
    pub fn last_word(&self) -> String {
        self.story().pop().map(|(_, _, word)| word).unwrap_or_default()
    }
}
