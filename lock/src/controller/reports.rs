//! What the lock tells the backend.

use super::budget::Entry;
use super::{BACKLOG_STEP, Controller, happening};
use crate::base64url;
use crate::chain::{Happening, Stamp};
use crate::journal::{Error, State};
use crate::jws::{self, Compact};
use crate::refusal::Refusal;
use crate::shell::{Shell, Storage};
use crate::signature::PrivateKey;
use crate::wire::{ANY_NODE, Bolt, Cause, Door, Hello, Kind, RESULT_OK, RESULT_SUMMARY, Typ};

/// The least and the most milliseconds from one hello to the next.
const HELLO_MS: (u64, u64) = (54_000, 66_000);

/// Below these the battery's percentage is an event, once each on the way down.
const BATTERY_LOW: [u8; 3] = [20, 10, 5];

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    pub(super) fn connected(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        self.is_connected = true;
        self.hello(shell)?;
        self.send_backlog(shell)
    }

    /// Says that the lock is there and what it holds; what is not acknowledged by now is sent again.
    pub(super) fn hello(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let mono_ms = shell.mono_ms();
        let mut jitter = [0; 2];
        shell.random(&mut jitter);
        let span = u64::from(u16::from_le_bytes(jitter)) * (HELLO_MS.1 - HELLO_MS.0) / u64::from(u16::MAX);
        self.hello_at_ms = mono_ms.saturating_add(HELLO_MS.0 + span);

        let nonce = self.clock.wants_answer(mono_ms).then(|| {
            let mut nonce = [0; 16];
            shell.random(&mut nonce);
            base64url::text16(&nonce)
        });
        if let Some(nonce) = &nonce {
            self.clock.ask(nonce.clone(), mono_ms);
        }
        let state = self.journal.state();
        let hello = Hello {
            lock: &self.enrolment.lock,
            boot: state.boot,
            mono: mono_ms / 1_000,
            clock: self.clock.state(mono_ms),
            keyset: self.keyset.version,
            revocations: self.revocations.epoch,
            pins: state.pins.version,
            lockdown: Some(self.lockdown.epoch),
            ctr: state.ctr,
            head: state.chain.head(),
            battery: self.sensors.battery,
            bolt: self.sensors.bolt,
            door: self.sensors.door,
            firmware: &self.enrolment.firmware,
            model: &self.enrolment.model,
            nonce: nonce.as_deref(),
        };
        let signed = jws::sign(Typ::Hello, &self.enrolment.lock, &hello, &self.enrolment.key).map_err(Error::Sign)?;
        if self.backlog.is_empty() {
            self.backlog = state.chain.unacked()..state.chain.next();
        }
        shell.publish(ANY_NODE, &signed);
        Ok(())
    }

    /// Sends some of the stored events that are due.
    pub(super) fn send_backlog(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if !self.is_connected {
            return Ok(());
        }
        for seq in self.backlog.clone().take(BACKLOG_STEP) {
            if let Some(event) = self.journal.event(seq)? {
                shell.publish(ANY_NODE, &event);
            }
            self.backlog.start = seq + 1;
        }
        Ok(())
    }

    /// Writes an event down with a change of the state, and sends it.
    pub(super) fn note(
        &mut self,
        what: Happening<'_>,
        node: &str,
        shell: &mut impl Shell,
        change: impl FnOnce(&mut State),
    ) -> Result<(), Error<S::Error>> {
        let event = self.record(what, shell, change)?;
        self.send(node, &event, shell);
        Ok(())
    }

    /// Writes an event down with a change of the state, for the caller to send. Where it takes the place of one that
    /// nobody has acknowledged, an event before it says so.
    pub(super) fn record(
        &mut self,
        what: Happening<'_>,
        shell: &mut impl Shell,
        change: impl FnOnce(&mut State),
    ) -> Result<Compact, Error<S::Error>> {
        if self.journal.is_full() && !self.journal.state().overflowed {
            let full = happening(Kind::Overflow, Cause::Auto, RESULT_OK);
            let event = self.append(full, shell, |state| state.overflowed = true)?;
            self.send(ANY_NODE, &event, shell);
        }
        self.append(what, shell, change)
    }

    /// Sums up what was overwritten, once storage has room again.
    pub(super) fn sum_up_lost(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let Some(lost) = self.journal.state().lost.filter(|_| !self.journal.is_full()) else {
            return Ok(());
        };
        let summary = Happening {
            lost: Some(lost),
            ..happening(Kind::Overflow, Cause::Auto, RESULT_SUMMARY)
        };
        self.note(summary, ANY_NODE, shell, |state| state.lost = None)
    }

    fn append(
        &mut self,
        what: Happening<'_>,
        shell: &mut impl Shell,
        change: impl FnOnce(&mut State),
    ) -> Result<Compact, Error<S::Error>> {
        let mono_ms = shell.mono_ms();
        let mut salt = [0; 16];
        shell.random(&mut salt);
        let lost = self.journal.lost_by_next()?;
        let mut next = self.journal.state().clone();
        next.lost = lost;
        change(&mut next);
        let stamp = Stamp {
            boot: next.boot,
            mono: mono_ms / 1_000,
            wall: self.clock.wall(mono_ms),
            clock: self.clock.state(mono_ms),
        };
        let event = self.journal.append(
            &self.enrolment.signer(),
            &what,
            (&stamp, &self.sensors, &salt),
            |state| *state = next,
        )?;
        shell.show(&event);
        Ok(event)
    }

    /// Sends an event where there is a connection; else it waits in storage.
    pub(super) fn send(&self, node: &str, event: &str, shell: &mut impl Shell) {
        if self.is_connected {
            shell.publish(node, event);
        }
    }

    /// Writes a refusal down.
    pub(super) fn refuse(
        &mut self,
        refusal: Refusal,
        cause: Cause<'_>,
        node: &str,
        shell: &mut impl Shell,
    ) -> Result<(), Error<S::Error>> {
        let is_at_door = self.is_at_door;
        if is_at_door && self.journal.is_nearly_full() {
            return Ok(());
        }
        let mono_ms = shell.mono_ms();
        let budget = if is_at_door {
            self.refusals_at_door
        } else {
            self.refusals
        };
        let (what, node) = match budget.entry(mono_ms) {
            Entry::Itself => (happening(Kind::Denied, cause, refusal.as_str()), node),
            Entry::TooMany => {
                let too_many = Refusal::TooMany.as_str();
                (happening(Kind::Denied, Cause::Auto, too_many), ANY_NODE)
            }
            Entry::Nothing => return Ok(()),
        };
        self.note(what, node, shell, |_| ())?;
        if is_at_door {
            self.refusals_at_door.take(mono_ms);
        } else {
            self.refusals.take(mono_ms);
        }
        Ok(())
    }

    pub(super) fn door(&mut self, door: Door, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if door == self.sensors.door {
            return Ok(());
        }
        self.sensors.door = door;
        let kind = match door {
            Door::Open if self.sensors.bolt == Bolt::Locked => Kind::Forced,
            Door::Open => Kind::DoorOpen,
            Door::Closed => Kind::DoorClosed,
            Door::Unknown => return Ok(()),
        };
        self.note(happening(kind, Cause::Auto, RESULT_OK), ANY_NODE, shell, |_| ())
    }

    pub(super) fn battery(&mut self, percent: u8, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let percent = percent.min(100);
        let before = self.sensors.battery.replace(percent);
        let crossed = BATTERY_LOW
            .iter()
            .any(|low| percent < *low && before.is_none_or(|before| before >= *low));
        if crossed {
            self.note(
                happening(Kind::Battery, Cause::Auto, RESULT_OK),
                ANY_NODE,
                shell,
                |_| (),
            )
        } else {
            Ok(())
        }
    }
}
