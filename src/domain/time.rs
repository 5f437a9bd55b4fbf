//! Instants, the clock they come from, and time zones.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in milliseconds since 1970-01-01T00:00:00Z; as text RFC 3339, read with any offset and written in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time with an offset, such as 2026-03-02T09:00:00+01:00")]
pub struct BadTimestamp;

impl Timestamp {
    /// The beginning of its day, by UTC.
    #[must_use]
    pub const fn day_begin(self) -> Self {
        const DAY: i64 = 24 * 3600 * 1000;
        Self(self.0 - self.0.rem_euclid(DAY))
    }

    /// The earliest instant that is accepted: 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// The latest instant that is accepted: 9999-12-30T00:00:00Z.
    pub const MAX: Self = Self(253_402_128_000_000);

    /// The instant this many milliseconds after the epoch, held within [`Self::MIN`] and [`Self::MAX`].
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        if ms < Self::MIN.0 {
            Self::MIN
        } else if ms > Self::MAX.0 {
            Self::MAX
        } else {
            Self(ms)
        }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The instant this many seconds after the epoch, [`Self::MAX`] at the latest.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self::MIN + Duration::from_secs(seconds)
    }

    /// Whole seconds since the epoch, rounded down: what tokens and certificates count in.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        // Never negative: see `MIN`.
        self.0.unsigned_abs() / 1000
    }

    /// This instant in a calendar.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// How long from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_sub(i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        // `jiff` reads more than RFC 3339 (a bracketed zone, a space for the `T`); this door does not.
        let shape = text.len() >= 20 && text.len() <= 40 && text.as_bytes()[10].eq_ignore_ascii_case(&b'T');
        if !shape || text.contains('[') {
            return Err(BadTimestamp);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| BadTimestamp)?;
        let ms = instant.as_millisecond();
        if (Self::MIN.0..=Self::MAX.0).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(BadTimestamp)
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the time comes from: the machine's clock in production, one moved by hand in tests.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// A time zone of the IANA database by its name, such as `Europe/Vienna`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

/// A text is not the name of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of an IANA time zone, such as Europe/Vienna")]
pub struct BadTimeZone;

impl TimeZone {
    /// The zone's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The zone's rules.
    #[must_use]
    pub fn rules(&self) -> &jiff::tz::TimeZone {
        &self.0
    }
}

impl FromStr for TimeZone {
    type Err = BadTimeZone;

    fn from_str(text: &str) -> Result<Self, BadTimeZone> {
        let zone = jiff::tz::TimeZone::get(text).map_err(|_| BadTimeZone)?;
        if zone.iana_name().is_some() {
            Ok(Self(zone))
        } else {
            Err(BadTimeZone)
        }
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_an_offset() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("2026-03-02T08:59:59.999Z", Some(1_772_441_999_999)),
            ("2026-03-02T08:59:59", None),
            ("2026-03-02", None),
            ("2026-03-02 08:59:59Z", None),
            ("2026-03-02T08:59:59+01:00[Europe/Vienna]", None),
            ("1969-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Timestamp>().ok().map(Timestamp::as_millis), ms, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        let time: Timestamp = "2026-03-02T10:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-03-02T09:00:00.000Z");
    }

    #[test]
    fn a_zone_is_known_by_its_name() {
        assert_eq!("Europe/Vienna".parse::<TimeZone>().unwrap().name(), "Europe/Vienna");
        for text in ["", "Mars/Phobos", "+01:00", "../../etc/passwd"] {
            assert!(text.parse::<TimeZone>().is_err(), "{text}");
        }
    }
}
