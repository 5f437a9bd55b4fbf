//! What the lock asks of a phone at the door before it believes a pass.

use heapless::Vec;

use super::Controller;
use crate::base64url::{self, Text16};
use crate::journal::Error;
use crate::jws;
use crate::shell::{Shell, Storage};
use crate::signature::PrivateKey;
use crate::wire::{Challenge, Typ};

/// How long a challenge may be answered, in milliseconds.
const ANSWER_MS: u64 = 30_000;

/// How many challenges are open at a time; past that the oldest gives way, so that whoever asks for many shuts nobody out
/// for longer than they go on asking.
const OPEN: usize = 4;

/// The nonces of the challenges that may still be answered, with when they were made. In memory only: a start closes all.
#[derive(Debug, Default)]
pub(super) struct Nonces(Vec<(Text16, u64), OPEN>);

impl Nonces {
    fn open(&mut self, nonce: Text16, mono_ms: u64) {
        self.0.retain(|(_, at_ms)| is_open(*at_ms, mono_ms));
        if self.0.is_full() {
            self.0.remove(0);
        }
        // There is room now.
        let _ = self.0.push((nonce, mono_ms));
    }

    /// Closes the challenge with this nonce, and says whether it was open: it counts once, whatever comes of it.
    pub(super) fn close(&mut self, nonce: &str, mono_ms: u64) -> bool {
        let Some(at) = self.0.iter().position(|(open, _)| open == nonce) else {
            return false;
        };
        let (_, at_ms) = self.0.remove(at);
        is_open(at_ms, mono_ms)
    }
}

fn is_open(at_ms: u64, mono_ms: u64) -> bool {
    mono_ms.saturating_sub(at_ms) <= ANSWER_MS
}

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// Shows a new challenge.
    pub(super) fn challenge(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let mono_ms = shell.mono_ms();
        let mut nonce = [0; 16];
        shell.random(&mut nonce);
        let nonce = base64url::text16(&nonce);
        let state = self.journal.state();
        let challenge = Challenge {
            lock: &self.enrolment.lock,
            boot: state.boot,
            nonce: &nonce,
            epoch: self.revocations.epoch,
            lockdown: Some(self.lockdown.epoch),
            clock: self.clock.state(mono_ms),
            head: state.chain.head(),
        };
        let signed = jws::sign(Typ::Challenge, &self.enrolment.lock, &challenge, &self.enrolment.key);
        let signed = signed.map_err(Error::Sign)?;
        self.nonces.open(nonce, mono_ms);
        shell.show(&signed);
        Ok(())
    }
}
