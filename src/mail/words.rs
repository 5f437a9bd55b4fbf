//! What letters say, in words.

use jiff::tz;
use serde::Serialize;

use crate::domain::letter::{Item, Letter};
use crate::domain::notice::Kind;

/// A letter in words: what the templates put into their places.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Words {
    /// What stands in the list of an inbox, where others may look on: nothing of who, where or what.
    pub(super) subject: &'static str,
    /// What it is about.
    pub(super) opening: String,
    /// A code, to be read at a glance.
    pub(super) code: Option<String>,
    /// What happened, one thing each.
    pub(super) lines: Vec<Line>,
    /// What to do about it.
    pub(super) closing: String,
}

/// One thing that happened.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    what: &'static str,
    place: String,
    when: String,
}

/// The words of this letter.
pub(super) fn words_of(letter: &Letter) -> Words {
    match letter {
        Letter::News { items, more } => Words {
            subject: "News about your doors",
            opening: "This concerns you:".to_owned(),
            code: None,
            lines: items.iter().map(line).collect(),
            closing: match more {
                0 => "The app tells more, and which of these letters you want.".to_owned(),
                more => format!("And {more} more: the app tells them all, and which of these letters you want."),
            },
        },
        Letter::SwitchedOff { kinds } => Words {
            subject: "Some letters to you were switched off",
            opening: "You will not get letters any more when this happens:".to_owned(),
            code: None,
            lines: kinds.iter().map(|kind| plain(sentence(*kind))).collect(),
            closing: "If that was not you, somebody else is signed in as you: change your password, and sign out the \
                      phones that you do not know."
                .to_owned(),
        },
        Letter::IdentityCode {
            organization,
            code,
            minutes,
        } => Words {
            subject: "Your code",
            opening: format!(
                "Somebody says that they are you and cannot get in at “{}”. If that is you, this is your code; it counts \
                 for {minutes} minutes:",
                organization.as_str()
            ),
            code: Some(code.clone()),
            lines: Vec::new(),
            closing: "If it is not you, do nothing, and give this code to nobody: whoever asks for it, by phone or at \
                      the door, wants to get in as you."
                .to_owned(),
        },
    }
}

fn plain(what: &'static str) -> Line {
    Line {
        what,
        place: String::new(),
        when: String::new(),
    }
}

fn line(item: &Item) -> Line {
    // Names are others' words: they stand in quotation marks.
    let named = |name: &str| format!("“{name}”");
    let mut place: Vec<String> = Vec::new();
    place.extend(item.lock.as_ref().map(|name| named(name.as_str())));
    place.extend(item.unit.as_ref().map(|name| named(name.as_str())));
    place.push(named(item.organization.as_str()));
    let zone = item
        .zone
        .as_ref()
        .map_or(tz::TimeZone::UTC, |zone| zone.rules().clone());
    let when = item.at.to_jiff().to_zoned_datetime(zone);
    Line {
        what: sentence(item.kind),
        place: place.join(", "),
        when: when.strftime("%A %-d %B %Y, %H:%M %Z").to_string(),
    }
}

/// What happened, in a sentence to the one whom it concerns.
const fn sentence(kind: Kind) -> &'static str {
    match kind {
        Kind::AccessGiven => "Access was given to you, or yours was changed.",
        Kind::AccessRevoked => "Access of yours was taken back.",
        Kind::RoleChanged => "Your role was changed.",
        Kind::StaffAccess => {
            "Somebody who works for the house, or a program of it, was given access to a door of yours."
        }
        Kind::ProposalMade => "Something was proposed that needs your word: look at it in the app.",
        Kind::ProposalConfirmed => "A proposal of yours was confirmed and carried out.",
        Kind::ProposalRefused => "A proposal of yours was refused.",
    }
}
