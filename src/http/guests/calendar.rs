//! A guest's access as a calendar entry (RFC 5545): once for its whole time, or each window of its schedule every week;
//! always by the clock of the property.

use std::time::Duration;

use ics::components::{Component, Parameter, Property};
use ics::escape_text;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::domain::guest::message::{Place, Stay};
use crate::domain::schedule::{Weekday, Window};
use crate::domain::time::{TimeZone, Timestamp};

/// The most changes of a clock that are written down; a link ends long before.
const MOST_CHANGES: usize = 64;

/// How far ahead a window's first day is looked for.
const DAYS_AHEAD: usize = 400;

/// The entries of a stay, each under an id that begins with `id`, as one calendar.
pub(super) fn entry(stay: &Stay, id: &str, url: &str, now: Timestamp) -> String {
    let mut calendar = Component::new("VCALENDAR");
    calendar.add_property(Property::new("VERSION", "2.0"));
    calendar.add_property(Property::new("PRODID", "-//Doorward//guest//EN"));
    let mut zones: Vec<&str> = Vec::new();
    for place in &stay.places {
        if !zones.contains(&place.zone.name()) {
            zones.push(place.zone.name());
            calendar.add_component(zone(&place.zone, stay));
        }
    }
    let mut count = 0;
    for place in &stay.places {
        for Occurrence {
            start,
            end,
            rule,
            except,
        } in occurrences(stay, place)
        {
            count += 1;
            let mut event = Component::new("VEVENT");
            event.add_property(Property::new("UID", format!("{id}-{count}@doorward")));
            event.add_property(Property::new("DTSTAMP", in_utc(now)));
            event.add_property(start);
            if let Some(end) = end {
                event.add_property(end);
            }
            if let Some(rule) = rule {
                event.add_property(Property::new("RRULE", rule));
            }
            for begin in except {
                event.add_property(at("EXDATE", &place.zone, begin));
            }
            let summary = format!("{}: {}", stay.host.as_str(), place.door_names());
            let description = format!("{}{url}\n", stay.where_and_when());
            event.add_property(Property::new("SUMMARY", escape_text(summary)));
            event.add_property(Property::new("LOCATION", escape_text(place.whereabouts())));
            event.add_property(Property::new("DESCRIPTION", escape_text(description)));
            calendar.add_component(event);
        }
    }
    calendar.to_string()
}

/// One entry, by the wall clock of its place.
struct Occurrence {
    start: Property<'static>,
    end: Option<Property<'static>>,
    rule: Option<String>,
    except: Vec<DateTime>,
}

fn occurrences(stay: &Stay, place: &Place) -> Vec<Occurrence> {
    let wall = |at: Timestamp| place.zone.rules().to_datetime(at.to_jiff());
    let Some(schedule) = &stay.schedule else {
        return vec![Occurrence {
            start: instant("DTSTART", &place.zone, stay.starts_at),
            end: stay.ends_at.map(|end| instant("DTEND", &place.zone, end)),
            rule: None,
            except: Vec::new(),
        }];
    };
    // The last beginning that counts: a window that would begin at the end does not.
    let last = |end: Timestamp| format!(";UNTIL={}", in_utc(end - Duration::from_secs(1)));
    let until = stay.ends_at.map(last).unwrap_or_default();
    let weekly = schedule.weekly().iter().filter_map(|window| {
        let (start, end) = first(window, wall(stay.starts_at), stay.ends_at.map(wall), schedule.except())?;
        let days: Vec<&str> = window.days().iter().map(|day| short(*day)).collect();
        let except = schedule.except().iter();
        Some(Occurrence {
            start: at("DTSTART", &place.zone, start),
            end: Some(at("DTEND", &place.zone, end)),
            rule: Some(format!("FREQ=WEEKLY;BYDAY={}{until}", days.join(","))),
            except: except
                .filter(|date| window.days().contains(&Weekday::of(**date)))
                .map(|date| date.to_datetime(start.time()))
                .collect(),
        })
    });
    weekly.collect()
}

/// The window's first beginning and end that lie in the stay at least in part.
fn first(
    window: &Window,
    starts_at: DateTime,
    ends_at: Option<DateTime>,
    except: &[jiff::civil::Date],
) -> Option<(DateTime, DateTime)> {
    // A window that began the evening before goes on over midnight.
    let begin = starts_at.date().yesterday().ok()?;
    begin
        .series(jiff::Span::new().days(1))
        .take(DAYS_AHEAD)
        .filter(|date| window.days().contains(&Weekday::of(*date)) && !except.contains(date))
        .map(|date| {
            let minute = |minutes: u16| date.at(0, 0, 0, 0).saturating_add(jiff::Span::new().minutes(minutes));
            let over_midnight = if window.to() > window.from() { 0 } else { 24 * 60 };
            (
                minute(window.from().minutes()),
                minute(window.to().minutes() + over_midnight),
            )
        })
        .find(|(_, end)| *end > starts_at)
        .filter(|(start, _)| ends_at.is_none_or(|last| *start < last))
}

const fn short(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "MO",
        Weekday::Tue => "TU",
        Weekday::Wed => "WE",
        Weekday::Thu => "TH",
        Weekday::Fri => "FR",
        Weekday::Sat => "SA",
        Weekday::Sun => "SU",
    }
}

fn in_utc(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn local(at: DateTime) -> String {
    at.strftime("%Y%m%dT%H%M%S").to_string()
}

/// An instant by the clock of the zone; where that reads this time twice, by UTC, for a calendar takes it for the first.
fn instant(name: &'static str, zone: &TimeZone, when: Timestamp) -> Property<'static> {
    let wall = zone.rules().to_datetime(when.to_jiff());
    if zone.rules().to_ambiguous_timestamp(wall).is_ambiguous() {
        Property::new(name, in_utc(when))
    } else {
        at(name, zone, wall)
    }
}

/// A time by the clock of the zone.
fn at(name: &'static str, zone: &TimeZone, at: DateTime) -> Property<'static> {
    let mut property = Property::new(name, local(at));
    property.add(Parameter::new("TZID", zone.name().to_owned()));
    property
}

/// What the clock of the zone does during the stay: a reader need not know the zone.
fn zone(zone: &TimeZone, stay: &Stay) -> Component<'static> {
    let rules = zone.rules();
    let begin = stay.starts_at.to_jiff();
    let end = stay.ends_at.unwrap_or(Timestamp::MAX).to_jiff();
    let mut component = Component::new("VTIMEZONE");
    component.add_property(Property::new("TZID", zone.name().to_owned()));
    let before = rules.preceding(begin).next();
    if before.is_none() {
        let offset = rules.to_offset(begin);
        component.add_component(observance(
            "STANDARD",
            jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0),
            offset,
            offset,
        ));
    }
    let meanwhile = rules.following(begin).take_while(|change| change.timestamp() <= end);
    for change in before.into_iter().chain(meanwhile).take(MOST_CHANGES) {
        let earlier = change.timestamp() - jiff::SignedDuration::from_secs(1);
        let from = rules.to_offset(earlier);
        let kind = if change.dst().is_dst() { "DAYLIGHT" } else { "STANDARD" };
        let onset = from.to_datetime(change.timestamp());
        component.add_component(observance(kind, onset, from, change.offset()));
    }
    component
}

fn observance(kind: &'static str, onset: DateTime, from: Offset, to: Offset) -> Component<'static> {
    let mut component = Component::new(kind);
    component.add_property(Property::new("DTSTART", local(onset)));
    component.add_property(Property::new("TZOFFSETFROM", written(from)));
    component.add_property(Property::new("TZOFFSETTO", written(to)));
    component
}

/// An offset as RFC 5545 writes it: `+0100`, with seconds only where there are any.
fn written(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, away) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (away / 3600, away / 60 % 60, away % 60);
    if rest == 0 {
        format!("{sign}{hours:02}{minutes:02}")
    } else {
        format!("{sign}{hours:02}{minutes:02}{rest:02}")
    }
}

#[cfg(test)]
mod tests;
