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
    /// Where to go.
    pub(super) link: Option<String>,
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
            link: None,
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
            link: None,
            code: None,
            lines: kinds.iter().map(|kind| plain(sentence(*kind))).collect(),
            closing: "If that was not you, somebody else is signed in as you: change your password, and sign out the \
                      phones that you do not know."
                .to_owned(),
        },
        Letter::Invitation {
            organization,
            link,
            days,
        } => Words {
            subject: "You are invited",
            opening: format!(
                "“{}” invites you, so that doors open for you there. This link accepts, for {days} days, and is yours alone:",
                organization.as_str()
            ),
            link: Some(link.clone()),
            code: None,
            lines: Vec::new(),
            closing: "If you do not know them, do nothing, and pass the link on to nobody.".to_owned(),
        },
        Letter::GuestLink { message, link } => Words {
            subject: "Doors open for you",
            opening: message.clone(),
            link: Some(link.clone()),
            code: None,
            lines: Vec::new(),
            closing: "If you do not know them, do nothing.".to_owned(),
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
            link: None,
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

/// What is said of a kind that has no sentence of its own.
pub(super) const SOMETHING: &str = "Something that concerns you: look at it in the app.";

/// What happened, in a sentence to the one whom it concerns; by the word of its kind.
pub(super) fn sentence(kind: Kind) -> &'static str {
    match kind.as_str() {
        "access-given" => "Access was given to you, or yours was changed.",
        "access-changed" => "What your access opens, or when, was changed.",
        "access-revoked" => "Access of yours was taken back.",
        "link-redeemed" => "A phone came in by a link to access that you gave.",
        "role-changed" => "Your role was changed.",
        "staff-access" => "Somebody who works for the house, or a program of it, was given access to a door of yours.",
        "proposal-made" => "Something was proposed that needs your word: look at it in the app.",
        "proposal-confirmed" => "A proposal of yours was confirmed and carried out.",
        "proposal-refused" => "A proposal of yours was refused.",
        "spare-asked" => "Somebody asks for a spare key to a door of yours: say yes or no in the app.",
        "spare-released" => "A spare key to a door of yours was released.",
        "spare-returned" => "A spare key to a door of yours is back.",
        "spare-refused" => "A spare key that was asked for was not released.",
        "tenancy-given" => "A home was given to you, or to somebody you will live with.",
        "tenancy-changed" => "When you live there, or somebody you live with, was changed.",
        "tenancy-ended" => "Your tenancy, or that of somebody you live with, has ended.",
        "visit-ordered" => "A visit to your home was ordered: agree to it or not in the app.",
        "visit-agreed" => "Somebody who lives there agreed to a visit.",
        "visit-declined" => "Somebody who lives there is against a visit.",
        "visit-emergency" => "Somebody is let into your home without your consent: why stands in the app.",
        "vendor-let-in" => "A vendor proved to be the one who was ordered, and may come in.",
        "vendor-kept-out" => "A vendor does not get in any more by what was agreed: why stands in the app.",
        "visit-begun" => "A visit has begun.",
        "visit-ended" => "A visit is over.",
        "lock-replaced" => {
            "A lock has another controller now. If nobody has worked at that door, tell the house at once."
        }
        "battery-low" => "The battery of a lock is low: it wants new ones soon.",
        "alarm" => "Something happened that you should look at: what it is stands in the log of the house.",
        "webhook-stopped" => "A webhook is told no more. Look whose it was and where it goes before you let it go on.",
        "new-device" => {
            "Somebody signed in as you from where you never did before, or registered a phone as yours. If that was not you, change your password and end the sessions and phones that you do not know."
        }
        "second-factor-on" => "A code is asked for when you sign in, beside your password.",
        "second-factor-off" => {
            "No code is asked for any more beside your password, or beside that of a member of yours."
        }
        "passkey-added" => {
            "A passkey was added by which one signs in as you. If that was not you, remove it and change your password."
        }
        "passkey-removed" => "A passkey of yours was removed.",
        "passkey-copied" => {
            "A passkey of yours was refused, because somebody may have copied it. Remove it, and make a new one."
        }
        "recovery-code-used" => {
            "One of your recovery codes was used. If that was not you, change your password; if few are left, make new ones."
        }
        "lock-change-begun" => "The lock of a door of yours is being changed.",
        "lockout-asked" => "Somebody of your home is locked out, or says so. If nobody of you is, tell the office.",
        "lockout-help-wanted" => "Somebody is locked out, and you can help.",
        "lockout-call-wanted" => "Somebody who is locked out waits for a call on the number on file.",
        "lockout-approved" => "Somebody of your home was given a way in.",
        "lockout-denied" => "Somebody of your home was denied a way in.",
        "lockout-lapsed" => "Somebody of your home was locked out, and nobody could let them in in time.",
        "lockout-refused" => "Somebody tried to pass for you, or for somebody whose house you look after.",
        "ledger-line" => "There is something new in the ledger of what you owe.",
        "look-opened" => "Somebody opened a part of the access log that is yours: who and why stands in the app.",
        "privacy-changed" => "What the log of your house shows, or for how long, was changed.",
        "lockdown-begun" => {
            "Your house is locked down: nobody but the excepted is let in for a time. The way out is free."
        }
        "lockdown-changed" => "Until when your house is locked down was changed.",
        "lockdown-ended" => "The lockdown is over: your doors open again.",
        _ => SOMETHING,
    }
}
