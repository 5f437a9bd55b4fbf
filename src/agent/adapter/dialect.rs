//! What an adapter wants to know of a device, whatever language it speaks.

use doorward_lock::controller::{Alarm, Hand};
use doorward_lock::wire::{Action, Door};

/// Where the bolt is by the device's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Thrown.
    Locked,
    /// Withdrawn.
    Unlocked,
    /// On its way.
    Moving,
    /// It did not arrive.
    Stuck,
    /// The device cannot tell.
    Unknown,
}

impl Place {
    /// Whether this is where `action` wants the bolt.
    #[must_use]
    pub fn is_end_of(self, action: Action) -> bool {
        matches!(
            (self, action),
            (Self::Locked, Action::Lock) | (Self::Unlocked, Action::Unlock)
        )
    }
}

/// Who moved the bolt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A command over MQTT: the adapter's, where nobody else may publish one.
    Command,
    /// Somebody at the door, or the device by itself.
    Hand(Hand),
}

/// One thing that a device has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It is there, or its last will says that it is not.
    There(bool),
    /// Where the bolt is.
    Bolt(Place),
    /// A movement was begun or carried out, and by whom.
    Operated(Action, Origin),
    /// Whether the door is closed.
    Door(Door),
    /// The battery in percent.
    Battery(u8),
    /// Somebody typed a code that does not count.
    WrongCode,
    /// Something else that it noticed.
    Alarm(Alarm),
    /// It refused something. Nothing says what: another's command, or one that was given up.
    Refused,
    /// What it holds of this PIN's slot.
    Slot(u16, Held),
}

/// What a device holds in a slot for a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Free,
    /// A PIN that opens.
    Taken,
    /// It refused the PIN for another slot holds it already: that is final.
    Duplicate,
    /// It refused for another reason.
    Refused,
}

/// What it takes to believe that a command was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The device names the command as the cause, and the bolt is there.
    CauseAndPlace,
    /// The bolt is there. The device names no cause.
    Place,
}

/// A message to the device.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// Its topic.
    pub topic: String,
    /// What it says; not for logs, for it may hold a PIN.
    pub payload: String,
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Word({})", self.topic)
    }
}

impl Word {
    pub(super) fn new(topic: String, payload: impl Into<String>) -> Self {
        Self {
            topic,
            payload: payload.into(),
        }
    }
}

/// The language of a kind of device: from its messages to reports, from an action to its message. It knows no time and
/// sends nothing.
pub trait Dialect: Send + 'static {
    /// What to listen to. It may change after a message; then the link begins anew.
    fn filters(&self) -> Vec<String>;

    /// What the device said with this message, in the order in which it is to be believed.
    fn read(&mut self, topic: &str, payload: &str) -> Vec<Report>;

    /// The message that asks for this; `None` where the device cannot be asked (yet).
    fn command(&self, action: Action) -> Option<Word>;

    /// What it takes to believe that a command was carried out.
    fn proof(&self) -> Proof;

    /// Whether the device says who moved the bolt, so that waiting a moment for that is worth while.
    fn names_causes(&self) -> bool;

    /// Whether the device is there as long as nothing says otherwise: it has no word for it.
    fn is_there_unasked(&self) -> bool {
        false
    }

    /// Forgets who was there: the link is gone.
    fn forget(&mut self) {}

    /// Messages that make the device tell how it is, sent when it has come.
    fn questions(&self) -> Vec<Word> {
        Vec::new()
    }

    /// The messages that put this PIN into the slot, or clear it for `None`, and then ask what it holds; empty where the
    /// device's slots cannot be kept from here.
    fn keep_pin(&self, slot: u16, digits: Option<&str>) -> Vec<Word> {
        let _ = (slot, digits);
        Vec::new()
    }
}

/// A percentage as devices write it: a number, perhaps with a fraction or in quotation marks.
pub(super) fn percent(text: &str) -> Option<u8> {
    let number: f64 = text
        .trim()
        .trim_matches('"')
        .trim_end_matches('%')
        .trim()
        .parse()
        .ok()?;
    // Whole and in range, so nothing is cut off.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    (0.0..=100.0).contains(&number).then(|| number.round() as u8)
}

/// Whether a door is open, as sensors of all kinds say it.
pub(super) fn door(text: &str) -> Option<Door> {
    match text.trim().to_ascii_lowercase().as_str() {
        "open" | "on" | "opened" | "ajar" => Some(Door::Open),
        "closed" | "off" | "close" => Some(Door::Closed),
        "unknown" | "none" | "unavailable" => Some(Door::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_come_as_numbers_and_as_texts() {
        for (text, expected) in [
            ("87", Some(87)),
            ("87.4", Some(87)),
            (" 100 ", Some(100)),
            ("\"42\"", Some(42)),
            ("5%", Some(5)),
            ("-1", None),
            ("101", None),
            ("NaN", None),
            ("", None),
            ("low", None),
        ] {
            assert_eq!(percent(text), expected, "{text}");
        }
    }
}
