//! What a guest is told: who lets them in, where, from when to when, and by which link.

use std::fmt::Write as _;

use crate::domain::account::{OrganizationName, PersonName};
use crate::domain::ids::LockId;
use crate::domain::place::{Address, PlaceName};
use crate::domain::schedule::Schedule;
use crate::domain::time::{TimeZone, Timestamp};

/// A guest's access, in the words of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// Who comes; `None` while an invitation waits to be accepted.
    pub guest: Option<PersonName>,
    /// Whose doors these are.
    pub host: OrganizationName,
    /// Where they are, by property.
    pub places: Vec<Place>,
    /// The first instant.
    pub starts_at: Timestamp,
    /// The end, exclusive; `None` where there is none.
    pub ends_at: Option<Timestamp>,
    /// When within that, by the clock of each place.
    pub schedule: Option<Schedule>,
    /// How many openings; `None` for any number.
    pub openings: Option<u32>,
}

/// The doors in one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The property's name.
    pub name: PlaceName,
    /// Where it stands.
    pub address: Address,
    /// Whose clock counts there.
    pub zone: TimeZone,
    /// The doors.
    pub doors: Vec<Door>,
}

/// A door, by its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Its lock.
    pub lock: LockId,
    /// What it is called.
    pub name: PlaceName,
}

impl Place {
    /// The property's name and address, once where they are the same.
    #[must_use]
    pub fn whereabouts(&self) -> String {
        match (self.name.as_str(), self.address.as_str()) {
            (name, address) if address.starts_with(name) => address.to_owned(),
            (name, address) => format!("{name}, {address}"),
        }
    }

    /// The doors' names in a row.
    #[must_use]
    pub fn door_names(&self) -> String {
        let names: Vec<&str> = self.doors.iter().map(|door| door.name.as_str()).collect();
        names.join(", ")
    }
}

impl Stay {
    /// The message that hands the link on.
    #[must_use]
    pub fn message(&self, url: &str) -> String {
        let greeting = self
            .guest
            .as_ref()
            .map_or_else(String::new, |guest| format!("Hello {},\n\n", guest.as_str()));
        let mut text = format!("{greeting}{} lets you in.\n\n", self.host.as_str());
        text.push_str(&self.where_and_when());
        text.push_str(
            "\nOpen this link on the phone that you will have with you at the door. It belongs to whoever opens it first, so \
             do not hand it on:\n",
        );
        text.push_str(url);
        text.push('\n');
        text
    }

    /// The doors and the times, a line each.
    #[must_use]
    pub fn where_and_when(&self) -> String {
        let mut text = String::new();
        for place in &self.places {
            let doors = if place.doors.len() == 1 { "Door" } else { "Doors" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "Where: {}", place.whereabouts());
            let _ = writeln!(text, "{doors}: {}", place.door_names());
            let from = wall(&place.zone, self.starts_at);
            let zone = place.zone.name();
            let _ = match self.ends_at {
                Some(end) => writeln!(text, "When: {from} to {} ({zone})", wall(&place.zone, end)),
                None => writeln!(text, "When: from {from} on ({zone})"),
            };
        }
        if let Some(schedule) = &self.schedule {
            let _ = writeln!(text, "Only: {}", hours(schedule));
        }
        match self.openings {
            None => {}
            Some(1) => text.push_str("It opens once.\n"),
            Some(times) => {
                let _ = writeln!(text, "It opens {times} times.");
            }
        }
        text
    }
}

/// A day and a time by the wall clock: `Mon 2 Mar 2026, 10:00`. Where the clock reads this time twice that day, with its
/// offset.
#[must_use]
pub fn wall(zone: &TimeZone, at: Timestamp) -> String {
    let zoned = at.to_jiff().to_zoned_datetime(zone.rules().clone());
    let twice = zone.rules().to_ambiguous_timestamp(zoned.datetime()).is_ambiguous();
    let form = if twice {
        "%a %-d %b %Y, %H:%M (UTC%:z)"
    } else {
        "%a %-d %b %Y, %H:%M"
    };
    zoned.strftime(form).to_string()
}

/// The windows of a schedule in a row: `Tue 09:00-11:00, Fri Sat 22:00-02:00, not on 2026-12-24`.
#[must_use]
pub fn hours(schedule: &Schedule) -> String {
    let windows = schedule.weekly().iter().map(|window| {
        let days: Vec<&str> = window.days().iter().map(|day| day.name()).collect();
        format!("{} {}-{}", days.join(" "), window.from(), window.to())
    });
    let mut parts: Vec<String> = windows.collect();
    if !schedule.except().is_empty() {
        let dates: Vec<String> = schedule.except().iter().map(ToString::to_string).collect();
        parts.push(format!("not on {}", dates.join(" ")));
    }
    parts.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn place(name: &str, address: &str, zone: &str, doors: &[&str]) -> Place {
        Place {
            name: name.to_owned().try_into().unwrap(),
            address: address.to_owned().try_into().unwrap(),
            zone: zone.parse().unwrap(),
            doors: (1..)
                .zip(doors)
                .map(|(number, name)| Door {
                    lock: LockId::from_bits(number),
                    name: (*name).to_owned().try_into().unwrap(),
                })
                .collect(),
        }
    }

    pub fn stay(places: Vec<Place>) -> Stay {
        Stay {
            guest: Some("Gus".to_owned().try_into().unwrap()),
            host: "Ana's houses".to_owned().try_into().unwrap(),
            places,
            starts_at: "2026-03-02T09:00:00Z".parse().unwrap(),
            ends_at: Some("2026-03-29T09:00:00Z".parse().unwrap()),
            schedule: None,
            openings: None,
        }
    }

    #[test]
    fn a_message_says_who_where_when_and_the_link() {
        let places = vec![place(
            "Linden Street 4",
            "Linden Street 4, Vienna",
            "Europe/Vienna",
            &["Front door"],
        )];
        assert_eq!(
            stay(places).message("https://doors.example/guest#secret"),
            "Hello Gus,\n\nAna's houses lets you in.\n\n\
             Where: Linden Street 4, Vienna\n\
             Door: Front door\n\
             When: Mon 2 Mar 2026, 10:00 to Sun 29 Mar 2026, 11:00 (Europe/Vienna)\n\n\
             Open this link on the phone that you will have with you at the door. It belongs to whoever opens it first, \
             so do not hand it on:\n\
             https://doors.example/guest#secret\n"
        );
    }

    #[test]
    fn each_place_has_its_own_clock() {
        let places = vec![
            place("Ringstrasse", "Ring 1, Vienna", "Europe/Vienna", &["Gate", "Flat 1"]),
            place("Broadway", "Broadway 1, New York", "America/New_York", &["Lobby"]),
        ];
        let stay = Stay {
            ends_at: None,
            schedule: Some(
                serde_json::from_value(serde_json::json!({
                    "weekly": [{ "days": ["tue", "fri"], "from": "22:00", "to": "02:00" },
                               { "days": ["sun"], "from": "00:00", "to": "24:00" }],
                    "except": ["2026-12-24"],
                }))
                .unwrap(),
            ),
            openings: Some(2),
            ..stay(places)
        };
        assert_eq!(
            stay.where_and_when(),
            "Where: Ringstrasse, Ring 1, Vienna\nDoors: Gate, Flat 1\n\
             When: from Mon 2 Mar 2026, 10:00 on (Europe/Vienna)\n\
             Where: Broadway 1, New York\nDoor: Lobby\n\
             When: from Mon 2 Mar 2026, 04:00 on (America/New_York)\n\
             Only: Tue Fri 22:00-02:00, Sun 00:00-24:00, not on 2026-12-24\n\
             It opens 2 times.\n"
        );
    }

    #[test]
    fn a_time_that_comes_twice_says_which_one_it_is() {
        let zone: TimeZone = "Europe/Vienna".parse().unwrap();
        for (at, told) in [
            ("2026-10-25T00:30:00Z", "Sun 25 Oct 2026, 02:30 (UTC+02:00)"),
            ("2026-10-25T01:30:00Z", "Sun 25 Oct 2026, 02:30 (UTC+01:00)"),
            ("2026-10-25T02:30:00Z", "Sun 25 Oct 2026, 03:30"),
        ] {
            assert_eq!(wall(&zone, at.parse().unwrap()), told);
        }
    }
}
