//! PINs on the bench: messages that set and clear them, and fingers on the keypad.

use doorward_lock::controller::{Input, Outcome};
use doorward_lock::journal::Error;
use doorward_lock::pins::{Code, Entry, PinKey};
use doorward_lock::wire::Typ;
use serde_json::{Value, json};

use super::hands::PowerGone;
use super::{DOC, PIN_KEY, T, World, by, to_lock};

/// The MAC of these digits in this slot.
pub fn mac(slot: u16, digits: &str) -> String {
    let entry = Entry::read(digits).unwrap();
    PinKey::new(PIN_KEY).slots().mac(slot, &entry).as_str().to_owned()
}

/// A tenant's PIN without an end.
pub fn slot(number: u16, digits: &str) -> Value {
    json!({ "slot": number, "mac": mac(number, digits), "gid": format!("grant_{number}"), "role": "tenant", "nbf": T - 200 })
}

/// A slot, changed.
pub fn slot_with(number: u16, digits: &str, changes: Value) -> Value {
    let mut slot = slot(number, digits);
    for (name, value) in changes.as_object().unwrap() {
        slot[name] = value.clone();
    }
    slot
}

/// Claims of PINs for a door that goes by UTC.
pub fn pins_claims(base: u64, version: u64, set: &[Value], clear: &[u16]) -> Value {
    to_lock(
        json!({ "base": base, "version": version, "codes": 0, "zone": [{ "at": 0, "offset": 0 }],
                    "set": set, "clear": clear }),
    )
}

/// PINs as a message.
pub fn pins(base: u64, version: u64, set: &[Value], clear: &[u16]) -> String {
    by(DOC, Typ::Pins, &pins_claims(base, version, set, clear))
}

/// The digits of a computed code of this generation.
pub fn code(generation: u32, first_day: u32, days: u8, serial: u8) -> String {
    let code = Code::new(first_day, days, serial).unwrap();
    PinKey::new(PIN_KEY).codes(generation).digits(&code).as_str().to_owned()
}

impl World {
    /// A lock that has the time and holds these slots, by version 1.
    pub fn with_pins(set: &[Value]) -> Self {
        let mut world = Self::on_line();
        world.send(&pins(0, 1, set, &[]));
        assert_eq!(world.lock().state().pins.version, 1);
        world
    }

    /// Somebody enters this.
    pub fn try_enter(&mut self, digits: &str) -> Result<(), Error<PowerGone>> {
        self.tell(Input::Pin(Entry::read(digits).unwrap()))
    }

    /// Somebody enters this; gives the word for it: `opened`, or why not, or nothing where no event says.
    pub fn enter(&mut self, digits: &str) -> String {
        let (events, movements) = (self.lock().state().chain.next(), self.hands.movements.len());
        self.try_enter(digits).unwrap();
        if self.hands.movements.len() > movements {
            self.tell(Input::Moved(Outcome::Arrived)).unwrap();
            return "opened".to_owned();
        }
        if self.lock().state().chain.next() == events {
            return String::new();
        }
        let mut events = self.hands.shown.iter().map(|event| super::claims(event));
        let denied = events.rfind(|event| event["kind"] == "denied");
        denied.map_or_else(String::new, |event| event["result"].as_str().unwrap().to_owned())
    }

    /// Lets seconds pass, one tick at the end.
    pub fn wait(&mut self, seconds: u64) {
        self.pass(seconds * 1_000);
    }
}
