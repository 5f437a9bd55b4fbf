//! Commands of Home Assistant: off unless the operator says otherwise, and then asked for like anybody's, in the name of
//! a service account. Nothing that the broker had kept, that has waited, or that is not exactly a command is asked for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::discovery::{LOCK, UNLOCK};
use crate::app::unlock::Asked;
use crate::app::{App, Error};
use crate::domain::attempt::Action;
use crate::domain::ids::{LockId, PersonId};

/// How long a command may have waited since it came.
const FRESH: Duration = Duration::from_secs(2);
/// How long a door is busy with a command at least: a broker that repeats one does not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

/// A command as it came.
pub(super) struct Command<'a> {
    pub(super) lock: LockId,
    pub(super) payload: &'a [u8],
    pub(super) retained: bool,
    pub(super) at: Instant,
}

/// Why a command is not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// Nobody may command from there.
    Off,
    /// The broker had kept it: nobody knows since when.
    Retained,
    /// It is neither `LOCK` nor `UNLOCK`.
    Unknown,
    /// The lock is not shown there.
    NotShown,
    /// It has waited too long.
    Late,
    /// The door is busy with the one before.
    Busy,
}

impl Dropped {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Retained => "retained",
            Self::Unknown => "unknown",
            Self::NotShown => "not-shown",
            Self::Late => "late",
            Self::Busy => "busy",
        }
    }
}

/// What is done about commands.
pub(super) struct Commands {
    /// In whose name; `None` where there are to be none.
    account: Option<PersonId>,
    busy: Arc<Mutex<HashSet<LockId>>>,
}

impl Commands {
    pub(super) fn new(account: Option<PersonId>) -> Self {
        Self {
            account,
            busy: Arc::default(),
        }
    }

    /// Has the command carried out, or drops it; does not wait for the door.
    pub(super) fn take(&self, app: &Arc<App>, command: &Command<'_>, is_shown: bool) {
        match self.judge(command, is_shown, Instant::now()) {
            Ok((account, action, busy)) => {
                let (app, lock) = (Arc::clone(app), command.lock.clone());
                tokio::spawn(async move {
                    let pause = tokio::time::sleep(PAUSE);
                    carry_out(&app, account, lock, action).await;
                    pause.await;
                    drop(busy);
                });
            }
            Err(dropped) => {
                let reason = dropped.as_str();
                app.metrics().count_home_assistant(reason);
                tracing::warn!(lock.id = %command.lock, reason, "a command of Home Assistant for {} was dropped", command.lock);
            }
        }
    }

    fn judge(&self, command: &Command<'_>, is_shown: bool, now: Instant) -> Result<(PersonId, Action, Busy), Dropped> {
        let account = self.account.clone().ok_or(Dropped::Off)?;
        if command.retained {
            return Err(Dropped::Retained);
        }
        let action = match command.payload {
            payload if payload == LOCK.as_bytes() => Action::Lock,
            payload if payload == UNLOCK.as_bytes() => Action::Unlock,
            _ => return Err(Dropped::Unknown),
        };
        if !is_shown {
            return Err(Dropped::NotShown);
        }
        if now.duration_since(command.at) > FRESH {
            return Err(Dropped::Late);
        }
        let busy = Busy::begin(&self.busy, &command.lock).ok_or(Dropped::Busy)?;
        Ok((account, action, busy))
    }
}

/// Asks for the door in the account's name; what becomes of it stands in the access log.
async fn carry_out(app: &Arc<App>, account: PersonId, lock: LockId, action: Action) {
    let asked = async {
        let who = app.service(account).await?;
        app.ask(&who, lock.clone(), action, app.usual_wait()).await
    };
    let result = match asked.await {
        Ok(Asked::Sent(attempt)) => attempt.state.status().as_str(),
        Ok(Asked::Refused(..)) => "refused",
        Ok(Asked::Offline(..)) => "lock-offline",
        Err(Error::NotFound(_)) => "no-account",
        Err(error) => {
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(lock.id = %lock, error = cause, "a command of Home Assistant for {lock} failed");
            "failed"
        }
    };
    app.metrics().count_home_assistant(result);
    tracing::info!(lock.id = %lock, action = action.as_str(), result, "Home Assistant asked for {lock}: {result}");
}

/// A door that is busy with a command, until this is dropped.
#[derive(Debug)]
struct Busy {
    all: Arc<Mutex<HashSet<LockId>>>,
    lock: LockId,
}

impl Busy {
    fn begin(all: &Arc<Mutex<HashSet<LockId>>>, lock: &LockId) -> Option<Self> {
        let is_free = all.lock().unwrap_or_else(PoisonError::into_inner).insert(lock.clone());
        is_free.then(|| Self {
            all: Arc::clone(all),
            lock: lock.clone(),
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_exactly_a_command_and_fresh_is_asked_for() {
        let commands = Commands::new(Some(PersonId::from_bits(1)));
        let began = Instant::now();
        let late = began + FRESH + Duration::from_millis(1);
        for (payload, retained, is_shown, now, expected) in [
            ("UNLOCK", false, true, began + FRESH, Ok(Action::Unlock)),
            ("LOCK", false, true, began, Ok(Action::Lock)),
            ("UNLOCK", true, true, began, Err(Dropped::Retained)),
            ("OPEN", false, true, began, Err(Dropped::Unknown)),
            ("unlock", false, true, began, Err(Dropped::Unknown)),
            ("UNLOCK ", false, true, began, Err(Dropped::Unknown)),
            ("", false, true, began, Err(Dropped::Unknown)),
            ("UNLOCK", false, false, began, Err(Dropped::NotShown)),
            ("UNLOCK", false, true, late, Err(Dropped::Late)),
        ] {
            let command = Command {
                lock: LockId::from_bits(2),
                payload: payload.as_bytes(),
                retained,
                at: began,
            };
            let judged = commands.judge(&command, is_shown, now);
            assert_eq!(judged.map(|(_, action, _)| action), expected, "{payload}");
        }
    }

    #[test]
    fn a_door_takes_one_command_at_a_time() {
        let commands = Commands::new(Some(PersonId::from_bits(1)));
        let now = Instant::now();
        let judge = |lock: u128| {
            let command = Command {
                lock: LockId::from_bits(lock),
                payload: b"LOCK",
                retained: false,
                at: now,
            };
            commands.judge(&command, true, now).map(|(_, _, busy)| busy)
        };
        let first = judge(1).unwrap();
        assert_eq!(judge(1).unwrap_err(), Dropped::Busy);
        assert!(judge(2).is_ok(), "another door is free");
        drop(first);
        assert!(judge(1).is_ok());
    }

    #[test]
    fn where_commands_are_off_there_are_none() {
        let command = Command {
            lock: LockId::from_bits(1),
            payload: b"UNLOCK",
            retained: false,
            at: Instant::now(),
        };
        let judged = Commands::new(None).judge(&command, true, Instant::now());
        assert_eq!(judged.map(|_| ()), Err(Dropped::Off));
    }
}
