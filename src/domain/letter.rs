//! Letters: what leaves this house by e-mail. A letter waits in the database until the mail server has taken it, and no
//! request ever waits for that.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::account::{Email, OrganizationName};
use super::ids::LetterId;
use super::notice;
use super::place::PlaceName;
use super::time::{TimeZone, Timestamp};

/// The most that one letter tells of; what is beyond is counted.
pub const ITEMS_A_LETTER: usize = 20;

/// The wait after the first try that failed; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// What a letter says. It is kept sealed while it waits, and forgotten when it has been sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "letter", rename_all = "kebab-case")]
pub enum Letter {
    /// What concerns the person, as `GET /v1/me/notices` tells it too.
    News {
        /// The oldest first, at most [`ITEMS_A_LETTER`].
        items: Vec<Item>,
        /// How much more there is that only the app tells.
        more: u32,
    },
    /// Somebody signed in as this person wants no letters of these kinds any more.
    SwitchedOff {
        /// Which.
        kinds: Vec<notice::Kind>,
    },
    /// Somebody is invited into an organization.
    Invitation {
        /// Into which.
        organization: OrganizationName,
        /// The link that accepts: secret.
        link: String,
        /// For how many days it can be accepted.
        days: u32,
    },
    /// A guest is let in by a link.
    GuestLink {
        /// What a guest is told, with the link in it: secret.
        message: String,
        /// The link alone.
        link: String,
    },
    /// A code by which somebody who is locked out shows that this address is theirs.
    IdentityCode {
        /// Whose house they are locked out of.
        organization: OrganizationName,
        /// The code: secret.
        code: String,
        /// For how many minutes it counts.
        minutes: u32,
    },
}

/// One thing that happened, in a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What.
    pub kind: notice::Kind,
    /// In whose house.
    pub organization: OrganizationName,
    /// At which door, where it was at one.
    pub lock: Option<PlaceName>,
    /// In which unit.
    pub unit: Option<PlaceName>,
    /// When.
    pub at: Timestamp,
    /// The clock by which the time is told; UTC where no place is known.
    pub zone: Option<TimeZone>,
}

impl Letter {
    /// The word for its kind, in tables and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::News { .. } => "news",
            Self::SwitchedOff { .. } => "switched-off",
            Self::Invitation { .. } => "invitation",
            Self::GuestLink { .. } => "guest-link",
            Self::IdentityCode { .. } => "identity-code",
        }
    }

    /// For how long it is worth delivering: a code that has ended only confuses.
    #[must_use]
    pub const fn life(&self) -> Duration {
        match self {
            Self::News { .. } | Self::SwitchedOff { .. } | Self::Invitation { .. } | Self::GuestLink { .. } => {
                Duration::from_secs(3 * 24 * 3600)
            }
            Self::IdentityCode { minutes, .. } => Duration::from_secs(*minutes as u64 * 60),
        }
    }
}

/// Letters hold codes and names, so `Debug` shows the kind alone.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.kind())
    }
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for its next try.
    Waiting,
    /// The mail server took it.
    Sent,
    /// The mail server will never take it: no such mailbox, for example.
    Refused,
    /// Its time ended before a mail server took it.
    GivenUp,
}

impl State {
    /// The word for it in tables and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::GivenUp => "given-up",
        }
    }
}

/// When a letter is tried again that has failed `tries` times, the last time at `now`.
#[must_use]
pub fn next_try(tries: u32, now: Timestamp) -> Timestamp {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    now + FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

/// A letter was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCarried {
    /// For good: the server refused the address or the text (RFC 5321, 4.2.1: 5yz).
    #[error("the mail server refused the letter ({code})")]
    Refused {
        /// The server's reply code; 0 where the letter could not even be written.
        code: u16,
    },
    /// For now: the server is away, busy or does not know us.
    #[error("the mail server did not take the letter: {why}")]
    Away {
        /// In which way, in a word that says nothing of the addressee.
        why: &'static str,
    },
}

/// The way out to people's mailboxes.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Hands the letter to the mail server. `id` stands in it, the same each time, so that a mailbox that got it twice can
    /// tell.
    ///
    /// # Errors
    /// [`NotCarried`]; where that is `Away`, the server may have taken it all the same.
    async fn carry(&self, id: &LetterId, to: &Email, letter: &Letter, now: Timestamp) -> Result<(), NotCarried>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let now = Timestamp::from_millis(1_000_000);
        for (tries, seconds) in [
            (0, 5),
            (1, 5),
            (2, 10),
            (3, 20),
            (8, 640),
            (9, 900),
            (40, 900),
            (u32::MAX, 900),
        ] {
            assert_eq!(next_try(tries, now).since(now).as_secs(), seconds, "{tries}");
        }
    }

    #[test]
    fn a_code_does_not_reach_the_log() {
        let letter = Letter::IdentityCode {
            organization: "Lindenhof".to_owned().try_into().unwrap(),
            code: "123456".to_owned(),
            minutes: 10,
        };
        assert_eq!(format!("{letter:?}"), "Letter(identity-code)");
        assert_eq!(letter.life(), Duration::from_secs(600));
    }

    #[test]
    fn a_letter_survives_its_text() {
        let letter = Letter::News {
            items: vec![Item {
                kind: notice::Kind::AccessGiven,
                organization: "Lindenhof".to_owned().try_into().unwrap(),
                lock: Some("Front door".to_owned().try_into().unwrap()),
                unit: None,
                at: Timestamp::from_millis(1),
                zone: Some("Europe/Vienna".parse().unwrap()),
            }],
            more: 3,
        };
        let text = serde_json::to_string(&letter).unwrap();
        assert_eq!(serde_json::from_str::<Letter>(&text).unwrap(), letter);
    }
}
