//! A lock on a bench: the controller that firmware has, with memory whose power can be cut, and hands that count.

use std::time::Duration;

use doorward::agent::storage::{MemoryStorage, StorageError};
use doorward::app::enrolment::Welcome;
use doorward::domain::ids::LockId;
use doorward::domain::time::{Clock as _, Timestamp};
use doorward_lock::chain::Sensors;
use doorward_lock::command::Origin;
use doorward_lock::controller::{Controller, Enrolment, First, Hand, Input, Outcome};
use doorward_lock::journal;
use doorward_lock::keys::PublicKey;
use doorward_lock::shell::Shell;
use doorward_lock::wire::{Action, Bolt, Door, Jwk};
use p256::ecdsa::SigningKey;

use super::chance::Chance;
use crate::world::HandClock;

/// A movement that was begun.
#[derive(Debug, Clone)]
pub struct Movement {
    pub jti: String,
    pub action: Action,
    pub at: Timestamp,
    /// Whether the bolt arrived.
    pub has_arrived: bool,
}

/// The lock.
pub struct Bench {
    pub id: LockId,
    enrolment: Enrolment,
    keyset: String,
    enrolled_at: u64,
    memory: MemoryStorage,
    controller: Option<Controller<MemoryStorage>>,
    hands: Hands,
    is_cut: bool,
    /// Every movement that it has begun.
    pub movements: Vec<Movement>,
}

struct Hands {
    clock: HandClock,
    started: Timestamp,
    chance: Chance,
    said: Vec<String>,
    begun: Option<Action>,
}

impl Shell for Hands {
    fn mono_ms(&self) -> u64 {
        u64::try_from(self.clock.now().since(self.started).as_millis()).unwrap()
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| u8::try_from(self.chance.below(256)).unwrap());
    }

    fn publish(&mut self, _: &str, message: &str) {
        self.said.push(message.to_owned());
    }

    fn show(&mut self, _: &str) {}

    fn begin_move(&mut self, action: Action) {
        assert!(self.begun.replace(action).is_none(), "two movements at once");
    }

    fn forget(&mut self) {
        panic!("nobody released this lock");
    }
}

impl Bench {
    /// The lock that was enrolled like this, in its first start.
    pub fn start(welcome: &Welcome, key: SigningKey, clock: HandClock, seed: u64) -> Self {
        let Jwk { kty, crv, x, y } = welcome.root_key.jwk();
        let enrolment = Enrolment {
            lock: welcome.lock.as_str().try_into().unwrap(),
            iss: welcome.issuer.as_str().try_into().unwrap(),
            org: welcome.organization.as_str().try_into().unwrap(),
            root: PublicKey::from_jwk(&Jwk { kty, crv, x, y }).unwrap(),
            key,
            model: "bench".try_into().unwrap(),
            firmware: "1".try_into().unwrap(),
            pin_key: None,
            assurance: None,
        };
        let hands = Hands {
            started: clock.now(),
            clock,
            chance: Chance::new(seed),
            said: Vec::new(),
            begun: None,
        };
        let mut bench = Self {
            id: welcome.lock.clone(),
            enrolment,
            keyset: welcome.keyset.clone(),
            enrolled_at: welcome.time.as_seconds(),
            memory: MemoryStorage::new(256),
            controller: None,
            hands,
            is_cut: false,
            movements: Vec::new(),
        };
        bench.boot();
        bench
    }

    /// Power on: starts from what is stored, until it has started.
    fn boot(&mut self) {
        self.memory.power_on();
        self.is_cut = false;
        self.hands.started = self.hands.clock.now();
        self.hands.begun = None;
        let first = First {
            ctr: 0,
            keyset: &self.keyset,
            time: self.enrolled_at,
        };
        let sensors = Sensors {
            bolt: Bolt::Locked,
            door: Door::Closed,
            battery: Some(80),
        };
        let (enrolment, memory) = (self.enrolment.clone(), self.memory.clone());
        self.controller = Some(Controller::start(enrolment, &first, memory, sensors, &mut self.hands).unwrap());
    }

    /// Tells the lock something; where its power goes meanwhile it starts again. Gives what it said.
    pub fn tell(&mut self, input: Input<'_>) -> Vec<String> {
        let controller = self.controller.as_mut().unwrap();
        let told = controller.handle(input, &mut self.hands);
        if let Some(action) = self.hands.begun.take() {
            let command = controller.state().underway.clone().expect("a stored command");
            let Origin::Jti(jti) = command.origin else {
                panic!("nobody showed a pass")
            };
            self.movements.push(Movement {
                jti: jti.as_str().to_owned(),
                action,
                at: self.hands.clock.now(),
                has_arrived: false,
            });
        }
        match told {
            Ok(()) => {}
            Err(journal::Error::Storage(StorageError::PowerLost)) => {
                assert!(self.is_cut);
                self.boot();
            }
            Err(error) => panic!("{error}"),
        }
        std::mem::take(&mut self.hands.said)
    }

    /// The movement under way ends.
    pub fn arrive(&mut self, jams: bool) -> Vec<String> {
        if !self.controller.as_ref().unwrap().is_moving() {
            return Vec::new();
        }
        let outcome = if jams { Outcome::Jammed } else { Outcome::Arrived };
        if let Some(movement) = self.movements.last_mut() {
            movement.has_arrived |= !jams;
        }
        self.tell(Input::Moved(outcome))
    }

    /// The power will go with one of the next writes.
    pub fn cut_power(&mut self, writes: u32, last_is_stored: bool) {
        self.is_cut = true;
        self.memory.cut_power_at(writes, last_is_stored);
    }

    /// The power goes now, and comes back.
    pub fn cycle_power(&mut self) -> Vec<String> {
        self.boot();
        std::mem::take(&mut self.hands.said)
    }

    /// Somebody turns the knob inside: the way out.
    pub fn turn(&mut self) -> Vec<String> {
        let said = self.tell(Input::Bolt(Bolt::Unlocked, Hand::Manual));
        assert_eq!(
            self.controller.as_ref().unwrap().sensors().bolt,
            if said.is_empty() { self.bolt() } else { Bolt::Unlocked },
            "I7: the way out is open"
        );
        said
    }

    fn bolt(&self) -> Bolt {
        self.controller.as_ref().unwrap().sensors().bolt
    }

    /// How many events it has written, and whether all are acknowledged.
    pub fn chain(&self) -> (u64, bool) {
        let chain = &self.controller.as_ref().unwrap().state().chain;
        (chain.next(), chain.unacked() == chain.next())
    }

    /// How long a movement may be under way before it counts as jammed.
    pub const LONGEST_MOVEMENT: Duration = Duration::from_millis(doorward_lock::controller::MOVE_MS);
}
