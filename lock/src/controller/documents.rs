//! Documents of the backend: keys, time, revocations, acknowledgements, release.

use super::{Controller, FORGET_MS, HeldRevocations, happening};
use crate::base64url;
use crate::journal::Error;
use crate::jws::Message;
use crate::keys::Keyset;
use crate::refusal::Refusal;
use crate::shell::{Record, Shell, Storage};
use crate::signature::PrivateKey;
use crate::verify::MAX_RELEASE_SECONDS;
use crate::wire::{ANY_NODE, Ack, Cause, Kind, RESULT_OK, Release, Resend, Revocations, Time, Typ, Use};

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// A message on `down`, whatever it is.
    pub(super) fn message(&mut self, bytes: &[u8], shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let parsed = core::str::from_utf8(bytes).map_err(|_| Refusal::Malformed);
        let (text, message) = match parsed.and_then(|text| Message::parse(text).map(|message| (text, message))) {
            Ok(parsed) => parsed,
            Err(refusal) => return self.refuse(refusal, Cause::Auto, ANY_NODE, shell),
        };
        let typ = match message.typ() {
            Ok(typ) => typ,
            Err(refusal) => return self.refuse_message(&message, refusal, shell),
        };
        let taken = match typ {
            Typ::Unlock => return self.command(&message, shell),
            Typ::Ack => self.ack(&message, shell)?,
            Typ::Resend => self.resend(&message, shell)?,
            Typ::Time => self.time(&message, shell)?,
            Typ::Keyset => self.keyset(text, shell)?,
            Typ::Revocations => self.take_revocations(text, &message, shell)?,
            Typ::Release => self.release(&message, shell)?,
            Typ::Pins => self.take_pins(text, &message, shell)?,
            Typ::Lockdown => self.take_lockdown(text, &message, shell)?,
            Typ::Pass | Typ::Challenge | Typ::Event | Typ::Hello | Typ::Enrol => Err(Refusal::BadTyp),
        };
        match taken {
            Ok(()) => Ok(()),
            Err(refusal) => self.refuse_message(&message, refusal, shell),
        }
    }

    /// Events up to one are stored: those may go.
    fn ack(&mut self, message: &Message<'_>, shell: &mut impl Shell) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let ack: Ack<'_> = match self.known(shell).read(message, Typ::Ack, Use::Ack) {
            Ok(ack) => ack,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let chain = &self.journal.state().chain;
        if ack.chain != chain.id() || ack.seq >= chain.next() {
            return Ok(Err(Refusal::WrongChain));
        }
        if ack.seq < chain.unacked() {
            return Ok(Ok(()));
        }
        if self
            .journal
            .event(ack.seq)?
            .is_some_and(|event| base64url::hash(&event) != ack.head)
        {
            return Ok(Err(Refusal::WrongChain));
        }
        self.journal.change(|state| {
            state.chain.acknowledge(ack.seq);
            state.overflowed = false;
        })?;
        self.settle_uses(shell)?;
        self.sum_up_lost(shell)?;
        self.backlog.start = self.backlog.start.max(ack.seq + 1);
        let chain = &self.journal.state().chain;
        // The end of a movement under way, and of the command that waits for it, is still to be told.
        let is_at_rest = self.moving.is_none() && self.journal.state().waiting.is_none();
        if self.journal.state().leaving && is_at_rest && chain.unacked() == chain.next() {
            self.forget_at_ms = None;
            shell.forget();
            return Ok(Ok(()));
        }
        self.send_backlog(shell)?;
        Ok(Ok(()))
    }

    /// Events are wanted again.
    fn resend(
        &mut self,
        message: &Message<'_>,
        shell: &mut impl Shell,
    ) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let wanted: Resend<'_> = match self.known(shell).read(message, Typ::Resend, Use::Ack) {
            Ok(wanted) => wanted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let chain = &self.journal.state().chain;
        if wanted.chain != chain.id() || wanted.from > wanted.to || wanted.from >= chain.next() {
            return Ok(Err(Refusal::WrongChain));
        }
        let end = wanted.to.saturating_add(1).min(chain.next());
        // What is being sent already goes on; the backend may get an event twice, and stores it once.
        let is_idle = self.backlog.is_empty();
        self.backlog = if is_idle {
            wanted.from..end
        } else {
            self.backlog.start.min(wanted.from)..self.backlog.end.max(end)
        };
        self.send_backlog(shell)?;
        Ok(Ok(()))
    }

    /// The time. An answer that is late or not asked for is dropped: the lock asks again by itself.
    fn time(&mut self, message: &Message<'_>, shell: &mut impl Shell) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let time: Time<'_> = match self.known(shell).read(message, Typ::Time, Use::Doc) {
            Ok(time) => time,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut clock = self.clock.clone();
        if clock.answer(time.nonce, time.t, shell.mono_ms()).is_ok() {
            self.journal.change(|state| state.floor = time.t)?;
        }
        self.clock = clock;
        Ok(Ok(()))
    }

    /// A keyset: taken where it is newer, dropped where it is the one held.
    fn keyset(&mut self, text: &str, shell: &mut impl Shell) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let keyset = match Keyset::read(text, &self.enrolment.root, &self.enrolment.iss) {
            Ok(keyset) => keyset,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if keyset.version <= self.keyset.version {
            return Ok(if keyset.version == self.keyset.version {
                Ok(())
            } else {
                Err(Refusal::OldVersion)
            });
        }
        self.journal.keep(Record::Keyset, text)?;
        let min_rev = keyset.min_rev;
        self.keyset = keyset;
        self.note(
            happening(Kind::Keyset, Cause::Auto, RESULT_OK),
            ANY_NODE,
            shell,
            |state| {
                state.min_rev = state.min_rev.max(min_rev);
            },
        )?;
        Ok(Ok(()))
    }

    /// Revocations: as for the keyset.
    fn take_revocations(
        &mut self,
        text: &str,
        message: &Message<'_>,
        shell: &mut impl Shell,
    ) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let revocations: Revocations<'_> = match self.known(shell).read(message, Typ::Revocations, Use::Doc) {
            Ok(revocations) => revocations,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if revocations.epoch <= self.revocations.epoch {
            return Ok(if revocations.epoch == self.revocations.epoch {
                Ok(())
            } else {
                Err(Refusal::OldVersion)
            });
        }
        self.journal.keep(Record::Revocations, text)?;
        self.revocations = held(&revocations);
        self.note(
            happening(Kind::Revocations, Cause::Auto, RESULT_OK),
            ANY_NODE,
            shell,
            |state| {
                state.min_rev = state.min_rev.max(revocations.min_rev);
                state.epoch = state.epoch.max(revocations.epoch);
            },
        )?;
        Ok(Ok(()))
    }

    /// The revocations in storage. They were verified when they came.
    pub(super) fn kept_revocations(&mut self) -> Result<HeldRevocations, Error<S::Error>> {
        let kept = self.journal.kept(Record::Revocations)?;
        let message = kept.as_ref().and_then(|kept| Message::parse(kept).ok());
        Ok(message
            .and_then(|message| message.claims().ok().map(|claims| held(&claims)))
            .unwrap_or_default())
    }

    /// The backend lets the lock go. Only a lock that has the time believes it: an old release must not come back.
    fn release(
        &mut self,
        message: &Message<'_>,
        shell: &mut impl Shell,
    ) -> Result<Result<(), Refusal>, Error<S::Error>> {
        let known = self.known(shell);
        let released = known
            .read(message, Typ::Release, Use::Doc)
            .and_then(|release: Release<'_>| {
                known.in_time(MAX_RELEASE_SECONDS, release.iat, release.exp)?;
                Ok(release.jti)
            });
        match released {
            Ok(jti) => self.leave(Kind::Released, Cause::Jti(jti), shell).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Begins to leave the organization: says so, and forgets everything once that is acknowledged, or a minute later.
    pub(super) fn leave(
        &mut self,
        kind: Kind,
        cause: Cause<'_>,
        shell: &mut impl Shell,
    ) -> Result<(), Error<S::Error>> {
        if self.journal.state().leaving {
            return Ok(());
        }
        self.note(happening(kind, cause, RESULT_OK), ANY_NODE, shell, |state| {
            state.leaving = true
        })?;
        self.forget_at_ms = Some(shell.mono_ms().saturating_add(FORGET_MS));
        Ok(())
    }
}

fn held(claims: &Revocations<'_>) -> HeldRevocations {
    HeldRevocations {
        epoch: claims.epoch,
        min_rev: claims.min_rev,
    }
}
