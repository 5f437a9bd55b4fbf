//! Days and hours as people write them into tables: by the clock on the wall of the property.

use jiff::civil::{Date, Time};
use jiff::tz::AmbiguousOffset;

use crate::domain::time::{TimeZone, Timestamp};

/// Which end of a stretch of time a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// The first day: it begins with it.
    First,
    /// The last day: it ends when that does.
    Last,
}

/// A text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadMoment {
    /// It is written in none of the ways.
    #[error("expected a day such as 2026-03-01 or 1.3.2026, with a time such as 12:00 behind it where it counts")]
    Unreadable,
    /// Nobody can tell day from month.
    #[error("with strokes nobody can tell the day from the month: write 2026-03-01")]
    Strokes,
    /// The clocks go over it.
    #[error("the clock change skips this hour there")]
    Skipped,
    /// The clocks show it twice.
    #[error("the clock change has this hour twice there: write it with its offset, such as 2026-10-25T02:30:00+02:00")]
    Twice,
}

/// The instant that `text` means at this edge, read in `zone` unless it names its own offset.
///
/// # Errors
/// [`BadMoment`].
pub(super) fn moment(text: &str, zone: &TimeZone, edge: Edge) -> Result<Timestamp, BadMoment> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    if text.contains('/') {
        return Err(BadMoment::Strokes);
    }
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, Some(time.trim_start())),
        None => (text, None),
    };
    let day = date(day).ok_or(BadMoment::Unreadable)?;
    let at = match time {
        Some(time) => day.to_datetime(clock(time).ok_or(BadMoment::Unreadable)?),
        None => {
            let begins = match edge {
                Edge::First => day,
                Edge::Last => day.tomorrow().map_err(|_| BadMoment::Unreadable)?,
            };
            // Where the clock change skips midnight, the day begins after it.
            let midnight = zone
                .rules()
                .to_ambiguous_timestamp(begins.to_datetime(Time::midnight()));
            return within(midnight.compatible().map_err(|_| BadMoment::Unreadable)?);
        }
    };
    let at = zone.rules().to_ambiguous_timestamp(at);
    match at.offset() {
        AmbiguousOffset::Unambiguous { .. } => at.unambiguous().map_err(|_| BadMoment::Unreadable).and_then(within),
        AmbiguousOffset::Gap { .. } => Err(BadMoment::Skipped),
        AmbiguousOffset::Fold { .. } => Err(BadMoment::Twice),
    }
}

/// The instant, if it is one that can be kept.
fn within(instant: jiff::Timestamp) -> Result<Timestamp, BadMoment> {
    instant.to_string().parse().map_err(|_| BadMoment::Unreadable)
}

/// `2026-03-01`, or `1.3.2026` as spreadsheets in many countries write it: with dots the day comes first.
fn date(text: &str) -> Option<Date> {
    let number = |text: &str, longest: usize| {
        let is_number = !text.is_empty() && text.len() <= longest && text.bytes().all(|c| c.is_ascii_digit());
        is_number.then(|| text.parse::<i16>().ok()).flatten()
    };
    let parts = |sign: char| -> Option<[&str; 3]> { text.split(sign).collect::<Vec<_>>().try_into().ok() };
    let (year, month, day) = match (parts('-'), parts('.')) {
        (Some([year, month, day]), _) => (year, month, day),
        (_, Some([day, month, year])) => (year, month, day),
        _ => return None,
    };
    // `26` may be any century.
    let year = number(year, 4).filter(|_| year.len() == 4)?;
    let month = i8::try_from(number(month, 2)?).ok()?;
    let day = i8::try_from(number(day, 2)?).ok()?;
    Date::new(year, month, day).ok()
}

/// `12:00`, or `12:00:00`.
fn clock(text: &str) -> Option<Time> {
    let is_clock = text.len() >= 4 && text.bytes().all(|c| c.is_ascii_digit() || c == b':');
    let mut parts = text.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    let is_all = parts.next().is_none();
    (is_clock && is_all)
        .then(|| Time::new(hour, minute, second, 0).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: &str, edge: Edge) -> Result<String, BadMoment> {
        moment(text, &zone.parse().unwrap(), edge).map(|at| at.to_string())
    }

    #[test]
    fn days_are_those_of_the_place() {
        for (text, zone, edge, expected) in [
            ("2026-03-01", "Europe/Vienna", Edge::First, "2026-02-28T23:00:00.000Z"),
            ("2026-03-01", "Europe/Vienna", Edge::Last, "2026-03-01T23:00:00.000Z"),
            ("1.3.2026", "Europe/Vienna", Edge::First, "2026-02-28T23:00:00.000Z"),
            (
                "01.03.2026 12:00",
                "Europe/Vienna",
                Edge::First,
                "2026-03-01T11:00:00.000Z",
            ),
            (
                "2026-03-01T12:00:00",
                "Europe/Vienna",
                Edge::Last,
                "2026-03-01T11:00:00.000Z",
            ),
            (
                "2026-03-01",
                "America/New_York",
                Edge::First,
                "2026-03-01T05:00:00.000Z",
            ),
            (
                "2026-03-01",
                "Pacific/Kiritimati",
                Edge::First,
                "2026-02-28T10:00:00.000Z",
            ),
            // The last day of summer time has 25 hours.
            ("2026-10-25", "Europe/Vienna", Edge::First, "2026-10-24T22:00:00.000Z"),
            ("2026-10-25", "Europe/Vienna", Edge::Last, "2026-10-25T23:00:00.000Z"),
            // There the clocks go over midnight.
            ("2026-04-24", "Africa/Cairo", Edge::First, "2026-04-23T22:00:00.000Z"),
            (
                "2026-03-01T12:00:00+05:00",
                "Europe/Vienna",
                Edge::First,
                "2026-03-01T07:00:00.000Z",
            ),
            ("2028-02-29", "UTC", Edge::Last, "2028-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(read(text, zone, edge).as_deref(), Ok(expected), "{text} {zone}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (text, expected) in [
            ("03/01/2026", BadMoment::Strokes),
            ("2026-03-29 02:30", BadMoment::Skipped),
            ("2026-10-25 02:30", BadMoment::Twice),
            ("", BadMoment::Unreadable),
            ("1.3.26", BadMoment::Unreadable),
            ("26-03-01", BadMoment::Unreadable),
            ("2026-02-29", BadMoment::Unreadable),
            ("2026-13-01", BadMoment::Unreadable),
            ("46082", BadMoment::Unreadable),
            ("2026-03-01 noon", BadMoment::Unreadable),
            ("2026-03-01 25:00", BadMoment::Unreadable),
            ("2026-03-01 12:00:00:00", BadMoment::Unreadable),
            ("2026-03-01 +1:00", BadMoment::Unreadable),
            ("2026-+3-01", BadMoment::Unreadable),
            ("0001-01-01", BadMoment::Unreadable),
            ("9999-12-31", BadMoment::Unreadable),
        ] {
            assert_eq!(read(text, "Europe/Vienna", Edge::Last), Err(expected), "{text}");
        }
    }
}
