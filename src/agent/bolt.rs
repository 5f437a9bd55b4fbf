//! What moves the bolt: nothing but time in a simulation, a program on a real door.

use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use doorward_lock::controller::Outcome;
use doorward_lock::wire::{Action, Assurance, Bolt as Position, Lockdown, Pins};

use super::dice::Dice;

/// How long a program may take before it is killed and the bolt counts as jammed; less than the controller's own limit
/// ([`doorward_lock::controller::MOVE_MS`]).
const PROGRAM_TIME: Duration = Duration::from_secs(20);

/// A movement under way, which ends by itself. Dropped, it is given up.
pub type Movement = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A keypad that checks PINs by itself.
pub trait Keypad: Send + Sync {
    /// Takes in changes; they are there to stay when it returns. The same ones may come again.
    fn change(&self, pins: &Pins<'_>);

    /// Takes in a lockdown, which is there to stay when it returns: PINs of whoever it keeps out open nothing while it holds.
    fn lock_down(&self, lockdown: &Lockdown<'_>);
}

/// A bolt that can be moved.
pub trait Bolt: Send + 'static {
    /// Where it is when the lock starts, as far as it can tell.
    fn position(&self) -> Position;

    /// Who vouches for where it is, where that is not the lock itself.
    fn assurance(&self) -> Option<Assurance> {
        None
    }

    /// Its own keypad, where it has one that must be told the PINs.
    fn keypad(&self) -> Option<Arc<dyn Keypad>> {
        None
    }

    /// Begins to move it, at once; the answer says how that ends. Called within a Tokio runtime.
    fn begin(&mut self, action: Action) -> Movement;
}

/// A bolt that takes its time and sometimes jams.
#[derive(Debug, Clone)]
pub struct SimulatedBolt {
    takes: Duration,
    jams: f64,
    dice: Dice,
}

impl SimulatedBolt {
    /// A bolt that always arrives after this time.
    #[must_use]
    pub fn new(takes: Duration) -> Self {
        Self::jamming(takes, 0.0, Dice::new(0))
    }

    /// A bolt that jams in this share of its movements: 1 for always.
    #[must_use]
    pub fn jamming(takes: Duration, share: f64, dice: Dice) -> Self {
        Self {
            takes,
            jams: share,
            dice,
        }
    }
}

impl Bolt for SimulatedBolt {
    fn position(&self) -> Position {
        Position::Locked
    }

    fn begin(&mut self, _: Action) -> Movement {
        let end = if self.dice.hits(self.jams) {
            Outcome::Jammed
        } else {
            Outcome::Arrived
        };
        let over = tokio::time::sleep(self.takes);
        Box::pin(async move {
            over.await;
            end
        })
    }
}

/// A program with its arguments, to be started without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    program: String,
    arguments: Vec<String>,
}

/// A text names no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a program, and its arguments after spaces")]
pub struct NoProgram;

impl FromStr for Program {
    type Err = NoProgram;

    /// Words between spaces. No character has a meaning of its own: not `;`, not `$`, not a quotation mark.
    fn from_str(text: &str) -> Result<Self, NoProgram> {
        let mut words = text.split_whitespace().map(str::to_owned);
        Ok(Self {
            program: words.next().ok_or(NoProgram)?,
            arguments: words.collect(),
        })
    }
}

/// A bolt that programs move: exit code 0 says that it is where it was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramBolt {
    /// What withdraws it.
    pub on_unlock: Program,
    /// What throws it.
    pub on_lock: Program,
}

impl Bolt for ProgramBolt {
    fn position(&self) -> Position {
        Position::Unknown
    }

    fn begin(&mut self, action: Action) -> Movement {
        let Program { program, arguments } = match action {
            Action::Unlock => &self.on_unlock,
            Action::Lock => &self.on_lock,
        };
        let started = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let program = program.clone();
        Box::pin(async move {
            let ended = match started {
                Ok(mut child) => tokio::time::timeout(PROGRAM_TIME, child.wait()).await,
                Err(error) => Ok(Err(error)),
            };
            match ended {
                Ok(Ok(status)) if status.success() => return Outcome::Arrived,
                Ok(Ok(status)) => tracing::warn!(program, %status, "{program} did not move the bolt: {status}"),
                Ok(Err(error)) => tracing::warn!(program, %error, "{program} could not be run: {error}"),
                Err(_) => tracing::warn!(program, "{program} took longer than {PROGRAM_TIME:?} and was killed"),
            }
            Outcome::Jammed
        })
    }
}
