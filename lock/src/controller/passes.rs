//! Passes: what opens the door while the backend is away.

use heapless::String;

use super::Controller;
use crate::command::{AT_DOOR_SECONDS, Command, Origin};
use crate::journal::Error;
use crate::jws::Message;
use crate::refusal::Refusal;
use crate::shell::{Record, Shell, Storage};
use crate::signature::PrivateKey;
use crate::verify::Presentation;
use crate::wire::{ANY_NODE, Action, Cause, Pass, Revocations};

/// How many stored events are shown at once to whoever carries them.
const SHOWN_AT_ONCE: usize = 32;

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// Somebody shows a pass: moves the bolt, or says why not. The checks stand in `docs/PROTOCOL.md`, "The pass".
    pub(super) fn present(&mut self, shown: &Presentation<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let message = match Message::parse(shown.pass) {
            Ok(message) => message,
            Err(refusal) => return self.refuse(refusal, Cause::Auto, ANY_NODE, shell),
        };
        if !self.nonces.close(shown.nonce, shell.mono_ms()) {
            return self.refuse(Refusal::BadNonce, Cause::Auto, ANY_NODE, shell);
        }
        self.finish_lockdown(shell)?;
        let admitted = match self.known(shell).pass(&message) {
            Ok(pass) => self.admit(&pass, shown, shell)?,
            Err(refusal) => Err(refusal),
        };
        match admitted {
            Ok(command) => {
                let ctr = self.journal.state().ctr;
                self.take_up(command, ctr, shell)
            }
            // What nobody of the backend has signed names nobody.
            Err(refusal) if refusal <= Refusal::BadSignature => self.refuse(refusal, Cause::Auto, ANY_NODE, shell),
            Err(refusal) => match message.claims::<Pass<'_>>() {
                Ok(pass) => self.refuse(refusal, Cause::Pass(pass.gid), ANY_NODE, shell),
                Err(_) => self.refuse(refusal, Cause::Auto, ANY_NODE, shell),
            },
        }
    }

    /// The command of a pass that the backend did sign for this lock, where it counts here and now; a use of it is taken
    /// then.
    fn admit(
        &mut self,
        pass: &Pass<'_>,
        shown: &Presentation<'_>,
        shell: &impl Shell,
    ) -> Result<Result<Command, Refusal>, Error<S::Error>> {
        if self.is_revoked(pass.gid, Some(pass.cnf.jkt))? {
            return Ok(Err(Refusal::Revoked));
        }
        let (known, wall) = (self.known(shell), self.clock.wall(shell.mono_ms()));
        let counts = known
            .held_by(pass, shown)
            .and_then(|()| known.counts_now(pass, wall))
            .and_then(|()| String::try_from(pass.gid).map_err(|_| Refusal::Malformed));
        let gid = match counts {
            Ok(gid) => gid,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if self.journal.state().leaving {
            return Ok(Err(Refusal::LeftOrganization));
        }
        if shown.act == Action::Unlock && self.is_locked_down(&[pass.gid, pass.sub], shell)? {
            return Ok(Err(Refusal::Lockdown));
        }
        let left = wall.map_or(AT_DOOR_SECONDS, |now| pass.exp.saturating_sub(now));
        let command = Command::at_door(shown.act, Origin::Pass(gid), &self.moment(shell), left);
        match (pass.uses.zip(pass.used), shown.act) {
            (Some((uses, used)), Action::Unlock) => Ok(self.take_use(pass.gid, uses, used, shell)?.map(|()| command)),
            (None, _) | (_, Action::Lock) => Ok(Ok(command)),
        }
    }

    /// Whether a grant or tenancy, or the phone with this thumbprint, is void by the revocations held. Where a newer list
    /// was lost by storage, everything is.
    pub(super) fn is_revoked(&mut self, gid: &str, phone: Option<&str>) -> Result<bool, Error<S::Error>> {
        if self.revocations.epoch < self.journal.state().epoch {
            return Ok(true);
        }
        if self.revocations.epoch == 0 {
            return Ok(false);
        }
        let kept = self.journal.kept(Record::Revocations)?;
        let message = kept.as_ref().and_then(|kept| Message::parse(kept).ok());
        let list = message
            .as_ref()
            .and_then(|message| message.claims::<Revocations<'_>>().ok());
        Ok(list.is_none_or(|list| list.revoked.iter().any(|name| *name == gid || Some(*name) == phone)))
    }

    /// Shows events that are not acknowledged, from `from` on, to whoever carries them to the backend.
    pub(super) fn show_events(&mut self, from: u64, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let chain = &self.journal.state().chain;
        let (begin, end) = (chain.unacked().max(from), chain.next());
        for seq in (begin..end).take(SHOWN_AT_ONCE) {
            if let Some(event) = self.journal.event(seq)? {
                shell.show(&event);
            }
        }
        Ok(())
    }
}
