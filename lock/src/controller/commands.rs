//! Moving the bolt.

use super::{Controller, End, Hand, MOVE_MS, Moving, Outcome, Unanswered, happening};
use crate::chain::Sensors;
use crate::command::Command;
use crate::journal::Error;
use crate::jws::Message;
use crate::refusal::Refusal;
use crate::shell::{Shell, Storage};
use crate::signature::PrivateKey;
use crate::verify::Payload;
use crate::wire::{
    ANY_NODE, Action, Bolt, Cause, Kind, RESULT_AWAY, RESULT_JAMMED, RESULT_NO_ANSWER, RESULT_OK, Unlock,
};

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// An unlock token: begins its movement, lets it wait for the one under way, or refuses it.
    pub(super) fn command(&mut self, message: &Message<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        self.finish_lockdown(shell)?;
        let accepted = self.known(shell).accept(message).and_then(|claims| {
            let command = Command::of(&claims).ok_or(Refusal::Malformed)?;
            if self.journal.state().leaving {
                Err(Refusal::LeftOrganization)
            } else {
                Ok((command, claims))
            }
        });
        match accepted {
            // Whoever goes may always lock behind them.
            Ok((command, claims))
                if command.act == Action::Unlock && self.is_locked_down(&[claims.gid, claims.sub], shell)? =>
            {
                self.refuse_message(message, Refusal::Lockdown, shell)
            }
            Ok((command, claims)) => self.take_up(command, claims.ctr, shell),
            Err(refusal) => self.refuse_message(message, refusal, shell),
        }
    }

    /// Begins an accepted command, or lets it wait for the movement under way. `ctr` is stored with it: that of the token,
    /// or the one held where there is none.
    pub(super) fn take_up(
        &mut self,
        command: Command,
        ctr: u64,
        shell: &mut impl Shell,
    ) -> Result<(), Error<S::Error>> {
        if self.is_busy() {
            self.wait(command, ctr, shell)
        } else {
            self.begin(command, ctr, shell)
        }
    }

    /// Whether another command comes first.
    fn is_busy(&self) -> bool {
        self.moving.is_some() || self.journal.state().waiting.is_some()
    }

    /// Says why in an event, which names the token where the payload is one, whoever signed it, and goes to the node that
    /// the token names where the backend signed it.
    pub(super) fn refuse_message(
        &mut self,
        message: &Message<'_>,
        refusal: Refusal,
        shell: &mut impl Shell,
    ) -> Result<(), Error<S::Error>> {
        let Some(token) = message.claims::<Unlock<'_>>().ok().filter(Payload::is_whole) else {
            return self.refuse(refusal, Cause::Auto, ANY_NODE, shell);
        };
        let is_signed = refusal > Refusal::BadSignature;
        let node = if is_signed { token.node } else { ANY_NODE };
        self.refuse(refusal, Cause::Jti(token.jti), node, shell)
    }

    /// Keeps a command until the movement under way has ended. The one that waited before it never begins.
    fn wait(&mut self, command: Command, ctr: u64, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let older = self.journal.state().waiting.clone();
        let keep = |state: &mut crate::journal::State| {
            state.ctr = ctr;
            state.waiting = Some(command);
        };
        match older {
            None => self.journal.change(keep),
            Some(older) => {
                let superseded = happening(Kind::Denied, older.origin.cause(), Refusal::Superseded.as_str());
                self.note(superseded, &older.node, shell, keep)
            }
        }
    }

    /// Stores counter and attempt, then moves.
    fn begin(&mut self, command: Command, ctr: u64, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let attempt = happening(Kind::Attempt, command.origin.cause(), RESULT_OK);
        let stored = self.record(attempt, shell, |state| {
            state.ctr = ctr;
            state.waiting = None;
            state.underway = Some(command.clone());
        })?;
        // Storage may have been slow: the deadline counts when the bolt begins to move.
        let late = command.deadline().check(&self.moment(shell)).err();
        self.moving = Some(Moving {
            begun_ms: shell.mono_ms(),
            end: late.map(End::TooLate),
        });
        if late.is_some() {
            self.send(&command.node, &stored, shell);
            return self.watch_movement(shell);
        }
        self.unanswered = None;
        self.sensors.bolt = Bolt::Unknown;
        shell.begin_move(command.act);
        self.send(&command.node, &stored, shell);
        Ok(())
    }

    /// The movement under way has ended.
    pub(super) fn moved(&mut self, outcome: Outcome, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let Some(moving) = &mut self.moving else { return Ok(()) };
        moving.end.get_or_insert(End::Moved(outcome));
        self.watch_movement(shell)
    }

    /// Writes down how a movement ended, once it has, or has taken too long; then begins the one that waits.
    pub(super) fn watch_movement(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if let Some(moving) = self.moving {
            let late = shell.mono_ms().saturating_sub(moving.begun_ms) > MOVE_MS;
            let Some(end) = moving.end.or(late.then_some(End::Moved(Outcome::Jammed))) else {
                return Ok(());
            };
            if let Some(command) = self.journal.state().underway.clone() {
                let (kind, result, bolt) = match (end, command.act) {
                    (End::TooLate(refusal), _) => (Kind::Denied, refusal.as_str(), self.sensors.bolt),
                    (End::Moved(Outcome::Jammed), _) => (Kind::Jammed, RESULT_JAMMED, Bolt::Unknown),
                    (End::Moved(Outcome::NoAnswer), _) => (Kind::Jammed, RESULT_NO_ANSWER, Bolt::Unknown),
                    (End::Moved(Outcome::Away), _) => (Kind::Jammed, RESULT_AWAY, Bolt::Unknown),
                    (End::Moved(Outcome::Arrived), Action::Unlock) => (Kind::Unlocked, RESULT_OK, Bolt::Unlocked),
                    (End::Moved(Outcome::Arrived), Action::Lock) => (Kind::Locked, RESULT_OK, Bolt::Locked),
                };
                self.sensors.bolt = bolt;
                let what = happening(kind, command.origin.cause(), result);
                self.note(what, &command.node, shell, |state| state.underway = None)?;
                if matches!(end, End::Moved(Outcome::NoAnswer)) {
                    let Command { act, origin, .. } = command;
                    self.unanswered = Some(Unanswered { act, origin });
                }
            }
            self.moving = None;
        }
        self.begin_waiting(shell)
    }

    /// Begins the command that waits, if its deadline still holds.
    fn begin_waiting(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let Some(command) = self.journal.state().waiting.clone() else {
            return Ok(());
        };
        let in_time = command.deadline().check(&self.moment(shell));
        let leaving = if self.journal.state().leaving {
            Err(Refusal::LeftOrganization)
        } else {
            Ok(())
        };
        match in_time.and(leaving) {
            Ok(()) => {
                let ctr = self.journal.state().ctr;
                self.begin(command, ctr, shell)
            }
            Err(refusal) => {
                let late = happening(Kind::Denied, command.origin.cause(), refusal.as_str());
                self.note(late, &command.node, shell, |state| state.waiting = None)
            }
        }
    }

    /// The bolt was moved by hand.
    pub(super) fn turned(&mut self, bolt: Bolt, hand: Hand, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let cause = match hand {
            Hand::Manual => Cause::Manual,
            Hand::Key => Cause::Key,
            Hand::Auto => Cause::Auto,
            Hand::Pin(slot) => Cause::Pin(slot),
        };
        let (kind, result) = match bolt {
            Bolt::Unlocked => (Kind::Unlocked, RESULT_OK),
            Bolt::Locked => (Kind::Locked, RESULT_OK),
            Bolt::Unknown => (Kind::Jammed, RESULT_JAMMED),
        };
        self.sensors.bolt = bolt;
        self.note(happening(kind, cause, result), ANY_NODE, shell, |_| ())
    }

    /// The last command has come about after nobody had said so in time.
    pub(super) fn late(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let Some(Unanswered { act, origin }) = self.unanswered.take() else {
            return Ok(());
        };
        let (kind, bolt) = match act {
            Action::Unlock => (Kind::Unlocked, Bolt::Unlocked),
            Action::Lock => (Kind::Locked, Bolt::Locked),
        };
        self.sensors.bolt = bolt;
        self.note(happening(kind, origin.cause(), RESULT_OK), ANY_NODE, shell, |_| ())
    }

    /// What the sensors show, without a story to it. A bolt that is moving stays unknown until it has arrived.
    pub(super) fn seen(&mut self, sensors: Sensors) {
        let bolt = if self.moving.is_some() {
            self.sensors.bolt
        } else {
            sensors.bolt
        };
        self.sensors = Sensors { bolt, ..sensors };
    }
}
