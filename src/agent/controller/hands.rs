//! The controller and its hands: what it does is noted, for the lock's task to carry out.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::EcdsaKeyPair;
use doorward_lock::controller::{Controller, Input};
use doorward_lock::journal;
use doorward_lock::shell::{Shell, Storage};
use doorward_lock::wire::{Action, Lockdown, Pins};

use crate::agent::bolt::Keypad;
use crate::agent::counter::Counter;
use crate::agent::storage::{Medium, StorageError};
use crate::crypto::random::Random;

use super::{AtDoor, View, Wall};

/// What the controller wants done.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// Messages with the nodes that they are for.
    pub(super) said: Vec<(String, String)>,
    /// What the lock shows to whoever stands at the door.
    pub(super) shown: Vec<Arc<str>>,
    /// Whether a command was taken that waits for the movement under way.
    pub(super) is_waiting: bool,
    /// Whether the keypad is closed now.
    pub(super) is_closed: bool,
    /// The movement to begin.
    pub(super) movement: Option<Action>,
    /// Whether the lock belongs to nobody any more.
    pub(super) is_released: bool,
}

/// What the controller has of the world.
pub(super) struct Hands {
    counter: Arc<dyn Counter>,
    random: Arc<dyn Random>,
    keypad: Option<Arc<dyn Keypad>>,
    deeds: Deeds,
}

impl Hands {
    pub(super) fn new(counter: Arc<dyn Counter>, random: Arc<dyn Random>, keypad: Option<Arc<dyn Keypad>>) -> Self {
        Self {
            counter,
            random,
            keypad,
            deeds: Deeds::default(),
        }
    }
}

impl Shell for Hands {
    fn mono_ms(&self) -> u64 {
        self.counter.now_ms()
    }

    fn random(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    fn publish(&mut self, node: &str, message: &str) {
        self.deeds.said.push((node.to_owned(), message.to_owned()));
    }

    fn show(&mut self, message: &str) {
        self.deeds.shown.push(message.into());
    }

    fn begin_move(&mut self, action: Action) {
        self.deeds.movement = Some(action);
    }

    fn keep_pins(&mut self, pins: &Pins<'_>) {
        if let Some(keypad) = &self.keypad {
            keypad.change(pins);
        }
    }

    fn keep_lockdown(&mut self, lockdown: &Lockdown<'_>) {
        if let Some(keypad) = &self.keypad {
            keypad.lock_down(lockdown);
        }
    }

    fn forget(&mut self) {
        self.deeds.is_released = true;
    }
}

/// The controller with its hands. Clones are the same one.
pub(super) struct Core<S>(Arc<Mutex<(Controller<S, EcdsaKeyPair>, Hands)>>);

impl<S: Medium> Core<S> {
    pub(super) fn new(controller: Controller<S, EcdsaKeyPair>, hands: Hands) -> Self {
        Self(Arc::new(Mutex::new((controller, hands))))
    }

    /// Tells the controller something, on a thread that may wait where its storage does.
    ///
    /// # Errors
    /// What could not be written down. What was to be done before that is done all the same.
    pub(super) async fn tell(&self, told: Told) -> (Deeds, Result<(), Failure>) {
        if !S::WAITS {
            return self.handle(&told);
        }
        let core = Self(Arc::clone(&self.0));
        match tokio::task::spawn_blocking(move || core.handle(&told)).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down, and the lock with it.
            Err(_) => (Deeds::default(), Err(journal::Error::Storage(StorageError::PowerLost))),
        }
    }

    fn handle(&self, told: &Told) -> (Deeds, Result<(), Failure>) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (controller, hands) = &mut *inside;
        let input = match told {
            Told::Input(input) => *input,
            Told::Message(message) => Input::Message(message),
            Told::AtDoor(what) => what.input(),
        };
        let waiting = controller.state().waiting.clone();
        let handled = controller.handle(input, hands);
        let next = &controller.state().waiting;
        hands.deeds.is_closed = controller.keypad_closed_for(hands) > 0;
        hands.deeds.is_waiting = next.is_some() && *next != waiting;
        (std::mem::take(&mut hands.deeds), handled)
    }

    /// Who can be asked for the time by the lock's own clock, as long as the lock runs.
    pub(super) fn wall(&self) -> Wall {
        let inside = Arc::downgrade(&self.0);
        Wall(Arc::new(move || {
            let inside = inside.upgrade()?;
            let inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
            let (controller, hands) = &*inside;
            controller.clock().wall(hands.mono_ms())
        }))
    }

    pub(super) fn view(&self, is_connected: bool) -> View {
        let inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (controller, hands) = &*inside;
        let (sensors, state) = (controller.sensors(), controller.state());
        View {
            is_connected,
            bolt: sensors.bolt,
            door: sensors.door,
            battery: sensors.battery,
            clock: controller.clock().state(hands.mono_ms()),
            boot: state.boot,
            ctr: state.ctr,
            events: state.chain.next(),
            acknowledged: state.chain.unacked(),
        }
    }
}

/// Why something could not be written down.
pub(super) type Failure = journal::Error<<crate::agent::storage::MemoryStorage as Storage>::Error>;

/// What the controller is told, free of borrowings.
#[derive(Debug)]
pub(super) enum Told {
    Input(Input<'static>),
    Message(Vec<u8>),
    AtDoor(AtDoor),
}
