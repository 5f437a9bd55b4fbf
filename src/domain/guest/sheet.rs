//! A sheet of paper for a guest without a phone: the door, the time, the code, and what to do with it.

use std::fmt::{self, Write as _};

use zeroize::Zeroizing;

use super::message::{Stay, wall};
use crate::domain::ids::LockId;
use crate::domain::pin::{Digits, PinKind};
use crate::domain::time::Timestamp;

/// A code as it is printed.
#[derive(Debug, Clone, Copy)]
pub struct PrintedCode<'a> {
    /// The digits that all doors take; `None` where each has its own.
    pub shared: Option<&'a Digits>,
    /// The digits of single doors.
    pub own: &'a [(LockId, Digits)],
    /// How it comes to the locks.
    pub kind: PinKind,
    /// Before when it has to be used for the first time.
    pub first_use_before: Option<Timestamp>,
}

/// A sheet, as secret as its code: erased when it is dropped, and shown by no `Debug`.
pub struct Sheet(Zeroizing<String>);

impl Sheet {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sheet(…)")
    }
}

/// Prints the sheet.
#[must_use]
pub fn print(stay: &Stay, code: &PrintedCode<'_>) -> Sheet {
    let mut text = Zeroizing::new(String::new());
    // Writing to a string cannot fail.
    let _ = match &stay.guest {
        Some(guest) => writeln!(text, "Access for {}, from {}\n", guest.as_str(), stay.host.as_str()),
        None => writeln!(text, "Access from {}\n", stay.host.as_str()),
    };
    text.push_str(&stay.where_and_when());
    text.push('\n');
    if let Some(digits) = code.shared {
        let _ = writeln!(text, "Code: {}", digits.expose());
    }
    for door in stay.places.iter().flat_map(|place| &place.doors) {
        if let Some((_, digits)) = code.own.iter().find(|(lock, _)| *lock == door.lock) {
            let _ = writeln!(text, "Code for {}: {}", door.name.as_str(), digits.expose());
        }
    }
    if let (Some(before), Some(place)) = (code.first_use_before, stay.places.first()) {
        let _ = writeln!(text, "Use it for the first time before {}.", wall(&place.zone, before));
    }
    text.push_str("\nType the code at the keypad of the door. ");
    if code.kind == PinKind::Synced {
        text.push_str("If the door does not know it yet, wait a minute and type it again. ");
    }
    text.push_str(match stay.openings {
        Some(1) => "It opens once, then it is used up. ",
        _ => "It works for whoever types it. ",
    });
    text.push_str("Keep this sheet to yourself.\n");
    Sheet(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::guest::message::tests::{place, stay};

    #[test]
    fn a_sheet_says_door_time_code_and_what_to_do() {
        let house = place(
            "Linden Street 4",
            "Linden Street 4, Vienna",
            "Europe/Vienna",
            &["Front door"],
        );
        let stay = Stay {
            openings: Some(1),
            ..stay(vec![house])
        };
        let digits = Digits::of(4711, 6);
        let code = PrintedCode {
            shared: Some(&digits),
            own: &[],
            kind: PinKind::Synced,
            first_use_before: None,
        };
        assert_eq!(
            print(&stay, &code).expose(),
            "Access for Gus, from Ana's houses\n\n\
             Where: Linden Street 4, Vienna\nDoor: Front door\n\
             When: Mon 2 Mar 2026, 10:00 to Sun 29 Mar 2026, 11:00 (Europe/Vienna)\n\
             It opens once.\n\n\
             Code: 004711\n\n\
             Type the code at the keypad of the door. If the door does not know it yet, wait a minute and type it again. \
             It opens once, then it is used up. Keep this sheet to yourself.\n"
        );
    }

    #[test]
    fn each_door_has_its_own_computed_code() {
        let house = place("Ring", "Ring 1", "Europe/Vienna", &["Gate", "Flat 1"]);
        let stay = Stay {
            guest: None,
            ..stay(vec![house])
        };
        let own = [2, 1].map(|number: u32| (LockId::from_bits(number.into()), Digits::of(number.into(), 6)));
        let code = PrintedCode {
            shared: None,
            own: &own,
            kind: PinKind::Computed,
            first_use_before: Some("2026-03-03T23:00:00Z".parse().unwrap()),
        };
        let sheet = print(&stay, &code);
        let text = sheet.expose();
        assert!(!format!("{sheet:?}").contains("000001"));
        assert!(text.starts_with("Access from Ana's houses\n"), "{text}");
        assert!(
            text.contains(
                "Code for Gate: 000001\nCode for Flat 1: 000002\nUse it for the first time before Wed 4 Mar 2026, 00:00.\n"
            ),
            "{text}"
        );
    }
}
