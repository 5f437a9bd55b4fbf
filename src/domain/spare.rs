//! Spare keys: access that opens nothing until whoever gave it, or time, releases it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::{self, BadText};
use super::time::Timestamp;

/// What becomes of an ask that nobody answers in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnSilence {
    /// The key is released: for whoever must get in when nobody can be reached.
    Release,
    /// It stays where it is.
    #[default]
    Refuse,
}

impl OnSilence {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Refuse => "refuse",
        }
    }
}

/// Whole minutes, 1 to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Minutes(u16);

/// A number is not one of minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 1440 minutes")]
pub struct BadMinutes;

impl Minutes {
    /// An hour: how long there is to answer, and how long a release lasts, where nothing else is said.
    pub const HOUR: Self = Self(60);

    /// As a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 60)
    }
}

impl TryFrom<u16> for Minutes {
    type Error = BadMinutes;

    fn try_from(minutes: u16) -> Result<Self, BadMinutes> {
        (1..=1440).contains(&minutes).then_some(Self(minutes)).ok_or(BadMinutes)
    }
}

impl From<Minutes> for u16 {
    fn from(minutes: Minutes) -> Self {
        minutes.0
    }
}

/// How a spare key is released, as its giver has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spare {
    /// What silence means.
    pub on_silence: OnSilence,
    /// How long there is to answer an ask.
    pub answer_within: Minutes,
    /// How long a release lasts where whoever releases does not say.
    pub release_for: Minutes,
    /// Whether the landlord's desk may release it too, where a tenant gave it; their own they always may.
    pub by_landlord: bool,
}

impl Default for Spare {
    fn default() -> Self {
        Self {
            on_silence: OnSilence::default(),
            answer_within: Minutes::HOUR,
            release_for: Minutes::HOUR,
            by_landlord: false,
        }
    }
}

/// Whether a right is a spare key, and where that key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpareKey {
    /// It is none: the right is in its holder's hand.
    None,
    /// Nobody has released it.
    Kept,
    /// It was released.
    Released {
        /// The end of that, exclusive.
        until: Timestamp,
    },
}

impl SpareKey {
    /// Whether the holder may use the right at `now` as far as this goes.
    #[must_use]
    pub fn is_in_hand(self, now: Timestamp) -> bool {
        match self {
            Self::None => true,
            Self::Kept => false,
            Self::Released { until } => now < until,
        }
    }

    /// When it leaves the holder's hand by itself.
    #[must_use]
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Released { until } => Some(until),
            Self::None | Self::Kept => None,
        }
    }
}

/// Why somebody needs a spare key: 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AskReason(String);

text::line_type!(AskReason, 200);

/// How an ask came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AskAnswer {
    /// The key was released.
    Released,
    /// It was not.
    Refused,
    /// The access itself ended first.
    Over,
}

impl AskAnswer {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Over => "over",
        }
    }
}

/// How many asks of one spare key are heard within [`ASKS_COUNT_FOR`]; who asks more often is not heard for a while.
pub const MOST_ASKS: usize = 5;

/// How long an ask counts.
pub const ASKS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_key_is_in_hand_while_it_is_released() {
        let at = Timestamp::from_millis;
        for (what, key, now, is_in_hand) in [
            ("no spare key", SpareKey::None, 0, true),
            ("kept", SpareKey::Kept, 0, false),
            ("one ms before the end", SpareKey::Released { until: at(100) }, 99, true),
            (
                "the end is exclusive",
                SpareKey::Released { until: at(100) },
                100,
                false,
            ),
        ] {
            assert_eq!(key.is_in_hand(at(now)), is_in_hand, "{what}");
        }
    }

    #[test]
    fn minutes_are_of_a_day() {
        for (minutes, is_one) in [(0, false), (1, true), (60, true), (1440, true), (1441, false)] {
            assert_eq!(Minutes::try_from(minutes).is_ok(), is_one, "{minutes}");
        }
    }
}
