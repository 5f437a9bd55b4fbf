//! Sessions as their person sees them, and how fresh a proof of who somebody is must be for what is dangerous.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::SessionId;
use super::text::{self, BadText};
use super::time::Timestamp;

/// How long after somebody proved who they are they may do what is dangerous: a stolen session alone is not enough for it
/// (OWASP ASVS 4.0.3, 3.7.1).
pub const PROOF_GOOD_FOR: Duration = Duration::from_secs(10 * 60);

/// How far the clocks of two nodes may be apart: a proof that the other one has just noted counts.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// Whether a proof of `proven_at` is fresh enough for something dangerous at `now`. The end is exclusive.
#[must_use]
pub fn is_proof_fresh(proven_at: Timestamp, now: Timestamp) -> bool {
    proven_at <= now + CLOCKS_APART && now < proven_at + PROOF_GOOD_FOR
}

/// The hour in which `now` lies: a session's use is not known more exactly.
#[must_use]
pub fn hour_of(now: Timestamp) -> Timestamp {
    const HOUR_MS: i64 = 3600 * 1000;
    Timestamp::from_millis(now.as_millis().div_euclid(HOUR_MS) * HOUR_MS)
}

/// What a session is called in its person's list: 1 to 64 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

text::line_type!(DeviceName, 64);

impl DeviceName {
    /// What a session is called of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self("Unknown device".to_owned())
    }

    /// What a session is called that began by a guest's link.
    #[must_use]
    pub fn by_link() -> Self {
        Self("By link".to_owned())
    }

    /// A short phrase for a `User-Agent`, made of our own words alone: no version, no model, nothing that somebody else
    /// wrote.
    #[must_use]
    pub fn of_user_agent(text: &str) -> Self {
        const PROGRAMS: &[(&str, &str)] = &[
            ("Doorward", "Doorward app"),
            ("Edg", "Edge"),
            ("OPR/", "Opera"),
            ("SamsungBrowser", "Samsung browser"),
            ("Firefox/", "Firefox"),
            ("FxiOS", "Firefox"),
            ("CriOS", "Chrome"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
            ("curl/", "curl"),
        ];
        const SYSTEMS: &[(&str, &str)] = &[
            ("Android", "Android"),
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Windows", "Windows"),
            ("Macintosh", "Mac"),
            ("CrOS", "ChromeOS"),
            ("Linux", "Linux"),
        ];
        let named = |words: &[(&str, &'static str)]| {
            let found = words.iter().find(|(mark, _)| text.contains(mark));
            found.map(|(_, word)| *word)
        };
        match (named(PROGRAMS), named(SYSTEMS)) {
            (Some(program), Some(system)) => Self(format!("{program} on {system}")),
            (Some(one), None) | (None, Some(one)) => Self(one.to_owned()),
            (None, None) => Self::unknown(),
        }
    }
}

/// A session that lives, as its person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSession {
    /// Which.
    pub id: SessionId,
    /// What it is called.
    pub device: DeviceName,
    /// When it began.
    pub began_at: Timestamp,
    /// In which hour it was used last.
    pub used_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_proof_is_fresh_for_ten_minutes() {
        for (name, proven_at, now, fresh) in [
            ("at once", 1_000_000, 1_000_000, true),
            ("the last millisecond", 1_000_000, 1_599_999, true),
            ("the end is exclusive", 1_000_000, 1_600_000, false),
            ("noted by a node whose clock is ahead", 1_060_000, 1_000_000, true),
            ("the clock was set back", 1_060_001, 1_000_000, false),
            ("never", 0, 1_000_000_000, false),
        ] {
            let [proven_at, now] = [proven_at, now].map(Timestamp::from_millis);
            assert_eq!(is_proof_fresh(proven_at, now), fresh, "{name}");
        }
    }

    #[test]
    fn a_user_agent_becomes_a_phrase() {
        for (text, phrase) in [
            ("", "Unknown device"),
            ("<script>alert(1)</script>", "Unknown device"),
            ("curl/8.5.0", "curl"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
                "Firefox on Linux",
            ),
        ] {
            assert_eq!(DeviceName::of_user_agent(text).as_str(), phrase, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_user_agent_becomes_a_name(text in ".*") {
            let name = DeviceName::of_user_agent(&text);
            prop_assert_eq!(DeviceName::try_from(name.as_str().to_owned()).unwrap(), name);
        }

        #[test]
        fn any_hour_is_whole_and_not_over(ms in 0_i64..=4_102_444_800_000) {
            let hour = hour_of(Timestamp::from_millis(ms)).as_millis();
            prop_assert!(hour % 3_600_000 == 0 && hour <= ms && ms - hour < 3_600_000);
        }
    }
}
