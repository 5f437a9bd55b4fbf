//! Attempts: one asked-for movement of one lock, and what became of it.
//!
//! An attempt is asked, then relayed, then answered by the lock; the three are kept apart, and only a verified event of
//! the lock confirms (`docs/THREAT-MODEL.md`, I6). Reports of the lock may come twice, late or out of order: an attempt only
//! ever moves *towards* the truth, in the order pending, expired, failed before the lock had a say, refused by the lock,
//! jammed, confirmed. So any order of the same reports ends in the same status.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{AttemptId, LockId, OrganizationId, PersonId};
use super::time::Timestamp;
use super::unlock::RightSource;

/// A movement of the bolt; as text `unlock` or `lock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Withdraw the bolt.
    Unlock,
    /// Throw the bolt.
    Lock,
}

/// Where an attempt stands, in one word of the API (`docs/API.md`, unlock).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptStatus {
    /// Allowed and on its way; the lock has not answered.
    Pending,
    /// The lock says that the bolt moved.
    Confirmed,
    /// The backend or the lock refused.
    Refused,
    /// The deadline passed without an answer.
    Expired,
    /// Allowed, and it did not come about: jammed, superseded, not relayed.
    Failed,
}

macro_rules! words {
    ($name:ident, $bad:ident, $expected:literal: $($variant:ident = $word:literal),+) => {
        #[doc = concat!("A text is not ", $expected, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("expected {}", $expected)]
        pub struct $bad;

        impl $name {
            /// The stable word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = $bad;

            fn from_str(text: &str) -> Result<Self, $bad> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($bad),
                }
            }
        }
    };
}

words!(Action, BadAction, "`unlock` or `lock`": Unlock = "unlock", Lock = "lock");
words!(AttemptStatus, BadStatus, "the status of an attempt":
    Pending = "pending", Confirmed = "confirmed", Refused = "refused", Expired = "expired", Failed = "failed");

/// Why an attempt was refused or failed: a stable word in lower case with hyphens. A lock's own word begins with
/// `lock-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Reason(Cow<'static, str>);

/// A text is not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a word of lower-case letters, digits and hyphens")]
pub struct BadReason;

impl Reason {
    /// A newer command for the same lock took its place.
    pub const SUPERSEDED: Self = Self::new("superseded");
    /// The bolt did not arrive.
    pub const JAMMED: Self = Self::new("jammed");
    /// The device behind an adapter has not said that it moved; it may have.
    pub const NO_ANSWER: Self = Self::new("no-answer");
    /// The device behind an adapter was away, and was not asked.
    pub const DEVICE_AWAY: Self = Self::new("device-away");
    /// The lock was not connected; nothing was sent.
    pub const LOCK_OFFLINE: Self = Self::new("lock-offline");
    /// The broker did not take the command; nothing was sent.
    pub const BROKER_AWAY: Self = Self::new("broker-away");

    /// What a lock says of a command that it took and did not carry out.
    const MOVED_IN_VAIN: [Self; 3] = [Self::JAMMED, Self::NO_ANSWER, Self::DEVICE_AWAY];

    /// The longest word, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The reason that the backend calls `word`.
    #[must_use]
    pub const fn new(word: &'static str) -> Self {
        Self(Cow::Borrowed(word))
    }

    /// The reason that a lock gave as `word`: `lock-` and the word, or `lock-unspecified` where that is not one. The
    /// lock is believed about its reason and not about what may stand in a log.
    #[must_use]
    pub fn of_lock(word: &str) -> Self {
        format!("lock-{word}").parse().unwrap_or(Self::new("lock-unspecified"))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = BadReason;

    fn from_str(text: &str) -> Result<Self, BadReason> {
        let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
        if text.len() <= Self::MAX_LEN && text.split('-').all(is_word) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(BadReason)
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of an attempt's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// Allowed and on its way; the lock has not answered.
    Pending,
    /// The lock says that the bolt moved.
    Confirmed {
        /// When the backend had the lock's verified event.
        at: Timestamp,
    },
    /// The backend or the lock refused.
    Refused(Reason),
    /// The deadline passed without an answer. The lock may still say that it moved.
    Expired,
    /// It was allowed and did not come about.
    Failed(Reason),
}

/// Stored parts of an attempt do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an attempt that is {status} with {} reason and {} confirmation", has(*.reason), has(*.confirmed))]
pub struct BadState {
    /// Its status.
    pub status: AttemptStatus,
    /// Whether it has a reason.
    pub reason: bool,
    /// Whether it has a time of confirmation.
    pub confirmed: bool,
}

fn has(present: bool) -> &'static str {
    if present { "a" } else { "no" }
}

impl AttemptState {
    /// The state that the store keeps as these parts.
    ///
    /// # Errors
    /// [`BadState`] where a confirmed one lacks its time, a refused or failed one its reason, or another has either.
    pub fn of_parts(status: AttemptStatus, reason: Option<Reason>, at: Option<Timestamp>) -> Result<Self, BadState> {
        match (status, reason, at) {
            (AttemptStatus::Pending, None, None) => Ok(Self::Pending),
            (AttemptStatus::Confirmed, None, Some(at)) => Ok(Self::Confirmed { at }),
            (AttemptStatus::Refused, Some(reason), None) => Ok(Self::Refused(reason)),
            (AttemptStatus::Expired, None, None) => Ok(Self::Expired),
            (AttemptStatus::Failed, Some(reason), None) => Ok(Self::Failed(reason)),
            (status, reason, at) => Err(BadState {
                status,
                reason: reason.is_some(),
                confirmed: at.is_some(),
            }),
        }
    }

    /// Its one word.
    #[must_use]
    pub fn status(&self) -> AttemptStatus {
        match self {
            Self::Pending => AttemptStatus::Pending,
            Self::Confirmed { .. } => AttemptStatus::Confirmed,
            Self::Refused(_) => AttemptStatus::Refused,
            Self::Expired => AttemptStatus::Expired,
            Self::Failed(_) => AttemptStatus::Failed,
        }
    }

    /// Why, where it was refused or failed.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Refused(reason) | Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    /// When the lock's word came, where it confirmed.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Confirmed { at } => Some(*at),
            _ => None,
        }
    }

    /// How much is known: a report changes a state only into one of which more is known (top of this file).
    fn certainty(&self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Expired => 1,
            Self::Failed(reason) if Reason::MOVED_IN_VAIN.contains(reason) => 4,
            Self::Failed(_) => 2,
            Self::Refused(_) => 3,
            Self::Confirmed { .. } => 5,
        }
    }
}

/// The command that an allowed attempt sends to the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The right that allowed it.
    pub by: RightSource,
    /// Whether one of that right's counted uses is taken with it.
    pub takes_use: bool,
    /// The token's `jti`: comes back as the cause of the lock's event.
    pub jti: String,
    /// The token's `ctr`: grows with every command for a lock.
    pub counter: u64,
    /// The last instant at which the bolt may move; never sent after it.
    pub deadline: Timestamp,
    /// When the broker had taken it.
    pub relayed_at: Option<Timestamp>,
    /// When the backend heard that the lock had accepted it and was about to move its bolt.
    pub accepted_at: Option<Timestamp>,
}

/// One asked-for movement of one lock, granted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its identifier.
    pub id: AttemptId,
    /// The organization whose lock it is.
    pub organization: OrganizationId,
    /// The lock.
    pub lock: LockId,
    /// Who asked; always the real person.
    pub person: PersonId,
    /// The movement.
    pub action: Action,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// What was sent to the lock; `None` where the backend refused.
    pub command: Option<Command>,
    /// What is known of its end.
    pub state: AttemptState,
}

/// What becomes of an attempt by something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its new state.
    pub state: AttemptState,
    /// Whether the lock's report came after the deadline, or after the attempt was closed as expired: the log shows
    /// what really happened, and says that it was learned late. Whether the bolt also *moved* late is for the event's
    /// own time to tell.
    pub late_report: bool,
}

impl Attempt {
    /// What the lock's verified event of this `kind` and `result` (`docs/PROTOCOL.md`, events), caused by this
    /// attempt's `jti` and received at `at`, makes of it; `None` where nothing: an event of another kind, the opposite
    /// movement, a repetition, or less than is known already.
    #[must_use]
    pub fn on_event(&self, kind: &str, result: &str, at: Timestamp) -> Option<Change> {
        let command = self.command.as_ref()?;
        let state = match (kind, self.action) {
            ("unlocked", Action::Unlock) | ("locked", Action::Lock) => AttemptState::Confirmed { at },
            // The same end as where the backend closed it first.
            ("denied", _) if result == Reason::SUPERSEDED.as_str() => AttemptState::Failed(Reason::SUPERSEDED),
            ("denied", _) => AttemptState::Refused(Reason::of_lock(result)),
            ("jammed", _) => {
                let words = Reason::MOVED_IN_VAIN.into_iter();
                let reason = words.rev().find(|reason| reason.as_str() == result);
                AttemptState::Failed(reason.unwrap_or(Reason::JAMMED))
            }
            _ => return None,
        };
        let late_report = self.state == AttemptState::Expired || at > command.deadline;
        (state.certainty() > self.state.certainty()).then_some(Change { state, late_report })
    }

    /// Closes it as expired where it is pending and its deadline has passed at `now`.
    #[must_use]
    pub fn expire(&self, now: Timestamp) -> Option<Change> {
        let is_over = self.command.as_ref().is_none_or(|command| now > command.deadline);
        (self.state == AttemptState::Pending && is_over).then_some(Change::in_time(AttemptState::Expired))
    }

    /// Closes it as failed where it is pending and `newer` is a later command for the same lock: a lock has one command
    /// in flight, and the newest counts (`docs/PROTOCOL.md`, unlock token). One that the lock is known to have accepted
    /// goes on; had it begun and the word of that not come yet, [`Self::on_event`] puts it right.
    #[must_use]
    pub fn superseded_by(&self, newer: &Self) -> Option<Change> {
        let is_newer = match (&self.command, &newer.command) {
            (Some(own), Some(other)) => {
                self.lock == newer.lock && own.counter < other.counter && own.accepted_at.is_none()
            }
            _ => false,
        };
        (self.state == AttemptState::Pending && is_newer)
            .then_some(Change::in_time(AttemptState::Failed(Reason::SUPERSEDED)))
    }

    /// Closes it as failed for `reason` where it is pending: it could not be sent.
    #[must_use]
    pub fn fail(&self, reason: Reason) -> Option<Change> {
        (self.state == AttemptState::Pending).then_some(Change::in_time(AttemptState::Failed(reason)))
    }
}

impl Change {
    fn in_time(state: AttemptState) -> Self {
        Self {
            state,
            late_report: false,
        }
    }
}

#[cfg(test)]
mod tests;
