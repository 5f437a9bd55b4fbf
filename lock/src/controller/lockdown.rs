//! A lockdown: who is let in nevertheless, and when it ends where nobody says so. Only what asks to come in is refused:
//! locking, the inside and the mechanical key never pass through here.

use super::{Controller, happening};
use crate::journal::Error;
use crate::jws::Message;
use crate::lockdown::HeldLockdown;
use crate::refusal::Refusal;
use crate::shell::{Record, Shell, Storage};
use crate::signature::PrivateKey;
use crate::wire::{ANY_NODE, Action, Cause, Kind, Lockdown, MAX_LOCKDOWN_SECONDS, RESULT_OK, Typ, Use};

/// What the lock has in memory of its lockdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// The epoch of the document in storage; 0 where there is none, or it is spoilt.
    pub(super) epoch: u64,
    /// The milliseconds of the lock's own counter at which the time in the state was true.
    at_ms: u64,
    /// Whether a document is in storage from which more may follow than was written.
    is_unfinished: bool,
}

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// A lockdown: taken where it is newer than the one held, whole or not at all, and dropped where it is that one.
    pub(super) fn take_lockdown(
        &mut self,
        text: &str,
        message: &Message<'_>,
        shell: &mut impl Shell,
    ) -> Result<Result<(), Refusal>, Error<S::Error>> {
        self.finish_lockdown(shell)?;
        let lockdown: Lockdown<'_> = match self.known(shell).read(message, Typ::Lockdown, Use::Doc) {
            Ok(lockdown) => lockdown,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if lockdown.ends() > lockdown.iat.saturating_add(MAX_LOCKDOWN_SECONDS) {
            return Ok(Err(Refusal::BadLifetime));
        }
        if lockdown.epoch < self.journal.state().lockdown.epoch {
            return Ok(Err(Refusal::OldVersion));
        }
        if lockdown.epoch == self.lockdown.epoch {
            return Ok(Ok(()));
        }
        self.lockdown.is_unfinished = true;
        self.journal.keep(Record::Lockdown, text)?;
        self.follow_lockdown(&lockdown, shell).map(Ok)
    }

    /// Writes what follows from a document in storage: the event, and with it the state that goes by it.
    fn follow_lockdown(&mut self, lockdown: &Lockdown<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        shell.keep_lockdown(lockdown);
        let mono_ms = shell.mono_ms();
        let now = self.clock.wall(mono_ms);
        let held = HeldLockdown {
            epoch: lockdown.epoch,
            until: lockdown.ends(),
            time: now.unwrap_or(self.clock.floor().max(lockdown.iat)),
        };
        let taken = happening(Kind::Lockdown, Cause::Auto, RESULT_OK);
        self.note(taken, ANY_NODE, shell, |state| state.lockdown = held)?;
        self.lockdown = Standing {
            epoch: held.epoch,
            at_ms: mono_ms,
            is_unfinished: false,
        };
        self.deny_waiting(held, shell)
    }

    /// A command that waits was accepted before the lockdown, and nobody knows any more by which right: it does not begin.
    fn deny_waiting(&mut self, held: HeldLockdown, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let waiting = self.journal.state().waiting.clone();
        let Some(waiting) = waiting.filter(|command| command.act == Action::Unlock && held.is_open()) else {
            return Ok(());
        };
        let denied = happening(Kind::Denied, waiting.origin.cause(), Refusal::Lockdown.as_str());
        self.note(denied, &waiting.node, shell, |state| state.waiting = None)
    }

    /// Writes what a document in storage still asks for.
    pub(super) fn finish_lockdown(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if !self.lockdown.is_unfinished {
            return Ok(());
        }
        self.wake_lockdown(shell)
    }

    /// Reads what is in storage, and finishes what was cut short. A document that storage has spoilt leaves the lock without
    /// its exceptions, and the hello asks for it again; that it holds, and until when, stands in the state as well.
    pub(super) fn wake_lockdown(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let kept = self.journal.kept(Record::Lockdown)?;
        let message = kept.as_ref().and_then(|kept| Message::parse(kept).ok());
        // It was verified when it came.
        let lockdown = message
            .as_ref()
            .and_then(|message| message.claims::<Lockdown<'_>>().ok());
        let held = self.journal.state().lockdown.epoch;
        match lockdown {
            Some(lockdown) if lockdown.epoch > held => self.follow_lockdown(&lockdown, shell),
            lockdown => {
                let is_it = |lockdown: &Lockdown<'_>| lockdown.epoch == held;
                self.lockdown.epoch = lockdown.filter(is_it).map_or(0, |lockdown| lockdown.epoch);
                self.lockdown.is_unfinished = false;
                Ok(())
            }
        }
    }

    /// Writes down how far a lockdown has come.
    pub(super) fn watch_lockdown(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        self.finish_lockdown(shell)?;
        let now = self.lockdown_time(shell);
        if !self.journal.state().lockdown.is_due(now) {
            return Ok(());
        }
        self.journal.change(|state| state.lockdown.time = now)?;
        self.lockdown.at_ms = shell.mono_ms();
        Ok(())
    }

    /// Whether a lockdown keeps out whoever comes under these names. Where its exceptions are lost, it keeps out everybody.
    pub(super) fn is_locked_down(&mut self, names: &[&str], shell: &impl Shell) -> Result<bool, Error<S::Error>> {
        let held = self.journal.state().lockdown;
        let now = self.lockdown_time(shell);
        if held.until <= now {
            return Ok(false);
        }
        if self.lockdown.epoch != held.epoch {
            return Ok(true);
        }
        let kept = self.journal.kept(Record::Lockdown)?;
        let message = kept.as_ref().and_then(|kept| Message::parse(kept).ok());
        let lockdown = message
            .as_ref()
            .and_then(|message| message.claims::<Lockdown<'_>>().ok());
        Ok(lockdown.is_none_or(|lockdown| lockdown.keeps_out(names, now)))
    }

    /// The time by the clock, however old; without one the least that it can be.
    fn lockdown_time(&self, shell: &impl Shell) -> u64 {
        let mono_ms = shell.mono_ms();
        let since = mono_ms.saturating_sub(self.lockdown.at_ms) / 1_000;
        let least = self.journal.state().lockdown.time.saturating_add(since);
        let least = least.max(self.clock.floor());
        self.clock.wall(mono_ms).unwrap_or(least)
    }
}
