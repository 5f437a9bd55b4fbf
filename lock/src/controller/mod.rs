//! The lock's deeds: what it does about messages, its bolt, its sensors and the passing of time.
//!
//! What it promises, whatever comes in and whenever the power goes: a bolt moves only after its counter and an event
//! are stored; never after its deadline; at most once a token; and every refusal is an event.

use core::ops::Range;

use heapless::String;
use p256::ecdsa::SigningKey;

use crate::base64url;
use crate::chain::{Chain, Happening, Sensors, Signer};
use crate::clock::Clock;
use crate::command::Origin;
use crate::journal::{Error, Journal, State};
use crate::jws::{Compact, SignError};
use crate::keys::{Keyset, PublicKey};
use crate::lockdown::HeldLockdown;
use crate::pins::{Entry, PinKey};
use crate::refusal::Refusal;
use crate::shell::{Record, Shell, Storage};
use crate::signature::PrivateKey;
use crate::slots::HeldPins;
use crate::verify::{Known, Moment, Presentation};
use crate::wire::{
    ANY_NODE, Action, Address, Assurance, Bolt, Cause, Door, Enrol, Kind, RESULT_CLEARED, RESULT_DUPLICATE,
    RESULT_INTERRUPTED, RESULT_OK, RESULT_REFUSED, Typ,
};

mod budget;
mod challenges;
mod commands;
mod documents;
mod keypad;
mod lockdown;
mod passes;
mod pins;
mod reports;
mod uses;

pub use uses::{COUNTED_GRANTS, MAX_USES};

use budget::Budget;
use challenges::Nonces;
use pins::Keypad;
use uses::Uses;

/// The longest lock or organization id.
pub const MAX_ID: usize = 64;

/// The longest name of a backend (`iss`).
pub const MAX_ISSUER: usize = 128;

/// The longest model or firmware version.
pub const MAX_MODEL: usize = 64;

/// How long a movement may take, in milliseconds, before the bolt counts as jammed.
pub const MOVE_MS: u64 = 30_000;

/// How long a lock that was let go waits for the acknowledgement of its last event, in milliseconds.
pub const FORGET_MS: u64 = 60_000;

/// How many refusals a minute are written down one by one; past that one event says `too-many`. A broker that repeats
/// messages cannot push other events out of storage.
pub const REFUSALS_A_MINUTE: u32 = 60;

/// The same for what is refused at the door, where it costs nothing to be refused. None of it is written down while
/// storage is three quarters full.
pub const REFUSALS_AT_DOOR_A_MINUTE: u32 = 10;

/// How many stored events are sent at once.
const BACKLOG_STEP: usize = 16;

/// What a lock got at its enrolment, and what it is. `K` is where its private key is kept.
#[derive(Debug, Clone)]
pub struct Enrolment<K = SigningKey> {
    /// Its id.
    pub lock: String<MAX_ID>,
    /// Its backend.
    pub iss: String<MAX_ISSUER>,
    /// Its organization.
    pub org: String<MAX_ID>,
    /// The backend's root key, which signs keysets.
    pub root: PublicKey,
    /// Its own private key.
    pub key: K,
    /// What its PINs are reckoned with; without it no PIN opens.
    pub pin_key: Option<PinKey>,
    /// What it is.
    pub model: String<MAX_MODEL>,
    /// Version of its program.
    pub firmware: String<MAX_MODEL>,
    /// Who vouches for its events, where something else than the lock itself moves the bolt.
    pub assurance: Option<Assurance>,
}

impl<K> Enrolment<K> {
    fn address(&self) -> Address<'_> {
        Address {
            iss: &self.iss,
            org: &self.org,
            aud: &self.lock,
        }
    }

    fn signer(&self) -> Signer<'_, K> {
        Signer {
            lock: &self.lock,
            key: &self.key,
            assurance: self.assurance,
        }
    }
}

/// What only the very first start needs of the enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First<'a> {
    /// The keyset.
    pub keyset: &'a str,
    /// The time, in seconds: the first floor.
    pub time: u64,
    /// The last counter issued to the lock, whoever was it before: tokens up to it are old.
    pub ctr: u64,
}

/// How a movement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The bolt is where it was to be.
    Arrived,
    /// It is not.
    Jammed,
    /// What moves it has not said in time that it is there. It may have moved, or may yet.
    NoAnswer,
    /// What moves it is away, and was not asked.
    Away,
}

/// Something that the lock noticed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The door has stood open for too long.
    Ajar,
    /// The housing was opened.
    Tamper,
    /// Too many wrong codes.
    WrongCodeLimit,
}

/// What became of a PIN on a keypad that something else than the controller keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinEnd {
    /// The keypad says that it holds it.
    Applied,
    /// The keypad says that the slot is empty.
    Cleared,
    /// Another slot of the keypad holds the same PIN.
    Duplicate,
    /// The keypad would not take it.
    Refused,
}

/// Who moved the bolt without a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// Somebody at the thumb-turn or the button inside.
    Manual,
    /// Somebody with the mechanical key.
    Key,
    /// The lock by itself.
    Auto,
    /// Somebody with the PIN of this slot, which something else than the controller has checked.
    Pin(u16),
}

/// What the controller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// The broker has acknowledged the subscription to `down`.
    Connected,
    /// The connection is gone.
    Disconnected,
    /// A message came on `down`.
    Message(&'a [u8]),
    /// Somebody at the door handed a message over, as if it came on `down`.
    Carried(&'a [u8]),
    /// Somebody at the door asks for a challenge, which [`Shell::show`] gives.
    Challenge,
    /// Somebody at the door shows a pass.
    Present(Presentation<'a>),
    /// Somebody at the door would carry events to the backend: some that it has not acknowledged are shown, from this `seq`
    /// on.
    Collect(u64),
    /// Somebody has entered this at the keypad, and confirmed it.
    Pin(Entry<'a>),
    /// A movement begun by [`Shell::begin_move`] has ended.
    Moved(Outcome),
    /// The bolt was moved without a message, and is there now.
    Bolt(Bolt, Hand),
    /// What the sensors show now; nobody knows when and how it came about. No event.
    Seen(Sensors),
    /// The bolt is where the last command wanted it, whose movement had ended in [`Outcome::NoAnswer`].
    Late,
    /// What became of the PIN of this slot on the device's own keypad.
    Slot(u16, PinEnd),
    /// The door's sensor has changed.
    Door(Door),
    /// The battery in percent, whenever it was measured.
    Battery(u8),
    /// Something else that was noticed.
    Alarm(Alarm),
    /// Somebody reset the lock at the lock.
    FactoryReset,
    /// Time has passed; to be told every second, at the latest.
    Tick,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The bolt moved, or tried to.
    Moved(Outcome),
    /// It never began: storing the attempt took so long that the deadline passed.
    TooLate(Refusal),
}

/// A command whose attempt is stored and whose end is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moving {
    begun_ms: u64,
    end: Option<End>,
}

/// A command of which nobody has said how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unanswered {
    act: Action,
    origin: Origin,
}

/// What is known of the revocations that the lock holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct HeldRevocations {
    epoch: u64,
    min_rev: u64,
}

/// The lock.
#[derive(Debug)]
pub struct Controller<S, K = SigningKey> {
    enrolment: Enrolment<K>,
    journal: Journal<S>,
    keyset: Keyset,
    revocations: HeldRevocations,
    clock: Clock,
    sensors: Sensors,
    moving: Option<Moving>,
    /// The last command, where nobody has said how it ended.
    unanswered: Option<Unanswered>,
    is_connected: bool,
    backlog: Range<u64>,
    hello_at_ms: u64,
    forget_at_ms: Option<u64>,
    refusals: Budget,
    refusals_at_door: Budget,
    /// Whether the input under way comes from somebody at the door.
    is_at_door: bool,
    nonces: Nonces,
    uses: Uses,
    keypad: Keypad,
    lockdown: lockdown::Standing,
}

impl<S: Storage, K: PrivateKey> Controller<S, K> {
    /// Starts the lock: for the first time after its enrolment, where `storage` is empty, or once more. The bolt is not
    /// moved; a command that a loss of power cut short is reported and dropped.
    ///
    /// # Errors
    /// [`Error`] where the start cannot be written down; the lock must not run then.
    pub fn start(
        enrolment: Enrolment<K>,
        first: &First<'_>,
        storage: S,
        sensors: Sensors,
        shell: &mut impl Shell,
    ) -> Result<Self, Error<S::Error>> {
        let mut id = [0; 16];
        shell.random(&mut id);
        let fresh = || State {
            boot: 0,
            ctr: first.ctr,
            floor: first.time,
            min_rev: 0,
            chain: Chain::begin(&id),
            overflowed: false,
            lost: None,
            underway: None,
            waiting: None,
            leaving: false,
            epoch: 0,
            pins: HeldPins::default(),
            lockdown: HeldLockdown::default(),
        };
        let (journal, is_first) = Journal::open(storage, fresh)?;
        let clock = Clock::new(journal.state().floor);
        let mut lock = Self {
            enrolment,
            journal,
            keyset: Keyset::default(),
            revocations: HeldRevocations::default(),
            clock,
            sensors,
            moving: None,
            unanswered: None,
            is_connected: false,
            backlog: 0..0,
            hello_at_ms: 0,
            forget_at_ms: None,
            refusals: Budget::new(REFUSALS_A_MINUTE),
            refusals_at_door: Budget::new(REFUSALS_AT_DOOR_A_MINUTE),
            is_at_door: false,
            nonces: Nonces::default(),
            uses: Uses::default(),
            keypad: Keypad::default(),
            lockdown: lockdown::Standing::default(),
        };
        if is_first {
            lock.claim(first, shell)?;
        } else {
            lock.wake(shell)?;
        }
        Ok(lock)
    }

    /// The first start of all: keyset, then the event that begins the chain.
    fn claim(&mut self, first: &First<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let keyset = Keyset::read(first.keyset, &self.enrolment.root, &self.enrolment.iss);
        self.keyset = keyset.map_err(Error::Keyset)?;
        self.journal.keep(Record::Keyset, first.keyset)?;
        let min_rev = self.keyset.min_rev;
        self.note(
            happening(Kind::Claimed, Cause::Auto, RESULT_OK),
            ANY_NODE,
            shell,
            |state| {
                state.boot = 1;
                state.min_rev = min_rev;
            },
        )
    }

    /// Every later start.
    fn wake(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        if let Some(kept) = self.journal.kept(Record::Keyset)? {
            // A keyset that storage has spoilt is no keyset: the lock says so in its hello, and gets the newest.
            let keyset = Keyset::read(&kept, &self.enrolment.root, &self.enrolment.iss);
            self.keyset = keyset.unwrap_or_default();
        }
        self.revocations = self.kept_revocations()?;
        self.uses = self.kept_uses()?;
        let boot = self.journal.state().boot.saturating_add(1);
        self.note(
            happening(Kind::Boot, Cause::Auto, RESULT_OK),
            ANY_NODE,
            shell,
            |state| {
                state.boot = boot;
                state.lockdown = state.lockdown.after_start();
            },
        )?;
        if let Some(command) = self.journal.state().underway.clone() {
            let cut_short = happening(Kind::Jammed, command.origin.cause(), RESULT_INTERRUPTED);
            self.note(cut_short, ANY_NODE, shell, |state| state.underway = None)?;
        }
        if let Some(command) = self.journal.state().waiting.clone() {
            let cut_short = happening(Kind::Denied, command.origin.cause(), RESULT_INTERRUPTED);
            self.note(cut_short, ANY_NODE, shell, |state| state.waiting = None)?;
        }
        self.wake_keypad(shell)?;
        self.wake_lockdown(shell)?;
        if self.journal.state().leaving {
            self.forget_at_ms = Some(shell.mono_ms().saturating_add(FORGET_MS));
        }
        Ok(())
    }

    /// Takes one input in, and does what follows from it.
    ///
    /// # Errors
    /// [`Error`] where something could not be written down. Nothing has moved for it then; the lock may go on, and
    /// takes up on the next [`Input::Tick`] what still has to be written.
    pub fn handle(&mut self, input: Input<'_>, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        self.is_at_door = matches!(input, Input::Carried(_) | Input::Present(_) | Input::Pin(_));
        match input {
            Input::Connected => self.connected(shell),
            Input::Disconnected => {
                self.is_connected = false;
                Ok(())
            }
            Input::Message(bytes) | Input::Carried(bytes) => self.message(bytes, shell),
            Input::Challenge => self.challenge(shell),
            Input::Present(shown) => self.present(&shown, shell),
            Input::Pin(entry) => self.enter(entry, shell),
            Input::Collect(from) => self.show_events(from, shell),
            Input::Moved(outcome) => self.moved(outcome, shell),
            Input::Bolt(bolt, hand) => self.turned(bolt, hand, shell),
            Input::Seen(sensors) => {
                self.seen(sensors);
                Ok(())
            }
            Input::Late => self.late(shell),
            Input::Slot(slot, end) => {
                let result = match end {
                    PinEnd::Applied => RESULT_OK,
                    PinEnd::Cleared => RESULT_CLEARED,
                    PinEnd::Duplicate => RESULT_DUPLICATE,
                    PinEnd::Refused => RESULT_REFUSED,
                };
                let what = happening(Kind::PinSlot, Cause::Pin(slot), result);
                self.note(what, ANY_NODE, shell, |_| ())
            }
            Input::Door(door) => self.door(door, shell),
            Input::Battery(percent) => self.battery(percent, shell),
            Input::Alarm(alarm) => {
                let kind = match alarm {
                    Alarm::Ajar => Kind::Ajar,
                    Alarm::Tamper => Kind::Tamper,
                    Alarm::WrongCodeLimit => Kind::WrongCodeLimit,
                };
                self.note(happening(kind, Cause::Auto, RESULT_OK), ANY_NODE, shell, |_| ())
            }
            Input::FactoryReset => self.leave(Kind::Reset, Cause::Manual, shell),
            Input::Tick => self.tick(shell),
        }
    }

    /// What the sensors said last.
    #[must_use]
    pub fn sensors(&self) -> Sensors {
        self.sensors
    }

    /// The state that is stored.
    #[must_use]
    pub fn state(&self) -> &State {
        self.journal.state()
    }

    /// The trusted time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a movement is under way.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.moving.is_some()
    }

    fn tick(&mut self, shell: &mut impl Shell) -> Result<(), Error<S::Error>> {
        let now_ms = shell.mono_ms();
        self.watch_movement(shell)?;
        self.watch_keypad(shell)?;
        self.watch_lockdown(shell)?;
        if self.is_connected && now_ms >= self.hello_at_ms {
            self.hello(shell)?;
        }
        self.send_backlog(shell)?;
        if self.forget_at_ms.is_some_and(|at_ms| now_ms >= at_ms) {
            self.forget_at_ms = None;
            shell.forget();
        }
        Ok(())
    }

    /// What messages are held against, now.
    fn known(&self, shell: &impl Shell) -> Known<'_> {
        let state = self.journal.state();
        Known {
            address: self.enrolment.address(),
            keyset: &self.keyset,
            ctr: state.ctr,
            // A loss of power may have kept a document's own number out of the state.
            min_rev: state.min_rev.max(self.keyset.min_rev).max(self.revocations.min_rev),
            moment: self.moment(shell),
        }
    }

    fn moment(&self, shell: &impl Shell) -> Moment {
        let mono_ms = shell.mono_ms();
        let (boot, now) = (self.journal.state().boot, self.clock.fresh(mono_ms));
        Moment {
            boot,
            mono: mono_ms / 1_000,
            now,
            floor: self.clock.floor(),
        }
    }
}

/// The proof of an enrolment: `key` and `claim_code` are in the same hands (`docs/PROTOCOL.md`, "Enrolment").
///
/// # Errors
/// [`SignError`] where model or firmware are not plain printable ASCII.
pub fn enrolment_proof(key: &SigningKey, claim_code: &str, model: &str, firmware: &str) -> Result<Compact, SignError> {
    let public = PublicKey::from_key(*key.verifying_key());
    let claims = Enrol {
        code_hash: &base64url::hash(claim_code),
        jkt: &public.kid,
        model,
        firmware,
    };
    crate::jws::sign(Typ::Enrol, &public.kid, &claims, key)
}

fn happening<'a>(kind: Kind, cause: Cause<'a>, result: &'a str) -> Happening<'a> {
    Happening {
        kind,
        cause,
        result,
        lost: None,
    }
}
