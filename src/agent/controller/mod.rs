//! A lock on a computer: the controller of `doorward-lock`, with storage, a bolt and a link to the broker around it.

mod door;
mod hands;
mod life;
mod radio;

use std::sync::Arc;

use doorward_lock::chain::Sensors;
use doorward_lock::controller::{Alarm, Controller, First, Hand, Input};
use doorward_lock::journal;
use doorward_lock::wire::{Bolt as Position, ClockState, Door};
use rustls::ClientConfig;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::mqtt::topics::BadRoot;

use super::bolt::Bolt;
use super::counter::Counter;
use super::enrolment::Enrolled;
use super::storage::{Medium, StorageError};
use door::Reply;
pub use door::{AtDoor, Doorway, OutOfOrder, Shown, Typed, Verdict};
use hands::{Core, Hands};
use life::Life;
pub use radio::Losses;
use radio::{Radio, Station};

/// How many orders may wait.
const WAITING_ORDERS: usize = 4;

/// How many messages are kept for whoever stands at the door and is slow to take them.
const SHOWN: usize = 64;

/// What makes up a lock.
pub struct LockOptions<S> {
    /// Its enrolment.
    pub enrolled: Enrolled,
    /// What to trust for the broker: [`Enrolled::tls`], shared among the locks of one broker.
    pub tls: Arc<ClientConfig>,
    /// What it must not forget.
    pub storage: S,
    /// What it moves.
    pub bolt: Box<dyn Bolt>,
    /// Its own counter of time, which begins with this start.
    pub counter: Arc<dyn Counter>,
    /// Where it draws salts and nonces.
    pub random: Arc<dyn Random>,
    /// The battery in percent; `None` on mains.
    pub battery: Option<u8>,
    /// The messages that it loses, for simulations.
    pub losses: Option<Losses>,
}

/// A lock could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it must not forget cannot be read or written.
    #[error("the lock cannot start")]
    Journal(#[source] journal::Error<StorageError>),
    /// A text of the enrolment is longer than any lock's.
    #[error("the lock's enrolment cannot be used")]
    Enrolment,
    /// The topics have no name.
    #[error("the lock's enrolment cannot be used")]
    Topics(#[from] BadRoot),
    /// The runtime is shutting down.
    #[error("the lock cannot start: the program is ending")]
    Ending,
}

/// What a lock shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Whether the broker is connected and the lock's subscription stands.
    pub is_connected: bool,
    /// Where the bolt is.
    pub bolt: Position,
    /// Where the door is.
    pub door: Door,
    /// The battery in percent, where there is one.
    pub battery: Option<u8>,
    /// How far its time can be believed.
    pub clock: ClockState,
    /// How often it has started.
    pub boot: u32,
    /// The counter of the last command that it took.
    pub ctr: u64,
    /// How many events it has written.
    pub events: u64,
    /// How many of them the backend has acknowledged.
    pub acknowledged: u64,
}

/// How a lock's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// It left its organization, and has forgotten everything.
    Released,
    /// Its storage lost power, as only [`super::storage::MemoryStorage`] does.
    PowerLost,
}

/// What somebody at the lock does, or a simulation with it.
#[derive(Debug)]
enum Order {
    Tell(Input<'static>),
    AtDoor(AtDoor, oneshot::Sender<Reply>),
    Disconnect,
    Connect,
}

/// The time by a lock's own clock; cheap to clone. It does not keep the lock running.
#[derive(Clone)]
pub struct Wall(Arc<dyn Fn() -> Option<u64> + Send + Sync>);

impl Wall {
    /// Seconds since 1970-01-01T00:00:00Z; `None` where the lock has no clock, or has ended.
    #[must_use]
    pub fn now(&self) -> Option<u64> {
        (self.0)()
    }
}

/// The way to tell a running lock what has happened at its door; cheap to clone. It does not keep the lock running.
#[derive(Debug, Clone)]
pub struct Teller(mpsc::Sender<Order>);

impl Teller {
    /// Tells it. What was told before has been taken in when this is; nothing happens where the lock has ended.
    pub async fn tell(&self, input: Input<'static>) {
        let _ = self.0.send(Order::Tell(input)).await;
    }
}

/// A running lock. Dropped, it ends as by [`Self::stop`].
pub struct ReferenceLock {
    id: LockId,
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<View>,
    door: Doorway,
    wall: Wall,
    stop: CancellationToken,
    task: JoinHandle<End>,
    end: Option<End>,
    _stop_when_dropped: DropGuard,
}

impl ReferenceLock {
    /// Starts the lock, for the first time or once more, and connects it in the background.
    ///
    /// # Errors
    /// [`StartError`] where its start cannot be written down, or its enrolment cannot be used.
    pub async fn start<S: Medium>(options: LockOptions<S>) -> Result<Self, StartError> {
        let LockOptions {
            enrolled,
            tls,
            storage,
            bolt,
            counter,
            random,
            battery,
            losses,
        } = options;
        let enrolment = enrolled.for_controller(bolt.assurance()).ok_or(StartError::Enrolment)?;
        let station = Station {
            address: enrolled.broker(tls),
            lock: enrolled.lock_id().clone(),
            password: enrolled.welcome.mqtt.password.clone(),
            topics: enrolled.topics()?,
        };
        let id = station.lock.clone();
        let sensors = Sensors {
            bolt: bolt.position(),
            door: Door::Unknown,
            battery,
        };
        let mut hands = Hands::new(counter, Arc::clone(&random), bolt.keypad());
        let memory = storage.clone();
        let begin = move || {
            let first = First {
                keyset: &enrolled.welcome.keyset,
                time: enrolled.welcome.time,
                ctr: enrolled.welcome.ctr,
            };
            let controller = Controller::start(enrolment, &first, storage, sensors, &mut hands);
            controller.map(|controller| Core::new(controller, hands))
        };
        let core = if S::WAITS {
            tokio::task::spawn_blocking(begin)
                .await
                .map_err(|_| StartError::Ending)?
        } else {
            begin()
        };
        let core = core.map_err(StartError::Journal)?;

        let (orders, taken) = mpsc::channel(WAITING_ORDERS);
        let (viewed, view) = watch::channel(core.view(false));
        let (shown, _) = broadcast::channel(SHOWN);
        let door = Doorway::new(orders.clone(), shown.clone());
        let stop = CancellationToken::new();
        let wall = core.wall();
        let radio = Radio::on(station, random, losses);
        let life = Life::new(core, memory, bolt, radio, viewed, shown);
        let task = tokio::spawn(life.run(taken, stop.clone()));
        Ok(Self {
            id,
            orders,
            view,
            door,
            wall,
            task,
            end: None,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        })
    }

    /// The lock's id.
    #[must_use]
    pub fn id(&self) -> &LockId {
        &self.id
    }

    /// What the lock shows of itself, now and whenever it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Its door, for whoever stands before it.
    #[must_use]
    pub fn door(&self) -> Doorway {
        self.door.clone()
    }

    /// The time by its own clock.
    #[must_use]
    pub fn wall(&self) -> Wall {
        self.wall.clone()
    }

    /// The way to tell it what has happened.
    #[must_use]
    pub fn teller(&self) -> Teller {
        Teller(self.orders.clone())
    }

    /// Somebody turns the knob inside; the bolt is there now.
    pub async fn turn_by_hand(&self, bolt: Position) {
        self.tell(Input::Bolt(bolt, Hand::Manual)).await;
    }

    /// The door was opened or closed.
    pub async fn move_door(&self, door: Door) {
        self.tell(Input::Door(door)).await;
    }

    /// The battery was measured, in percent.
    pub async fn measure_battery(&self, percent: u8) {
        self.tell(Input::Battery(percent)).await;
    }

    /// The lock has noticed something else.
    pub async fn raise(&self, alarm: Alarm) {
        self.tell(Input::Alarm(alarm)).await;
    }

    /// Somebody resets the lock at the lock: it says so, and then forgets everything.
    pub async fn reset(&self) {
        self.tell(Input::FactoryReset).await;
    }

    /// Ends the connection until [`Self::connect`]; the lock goes on alone.
    pub async fn disconnect(&self) {
        self.give(Order::Disconnect).await;
    }

    /// Connects again after [`Self::disconnect`].
    pub async fn connect(&self) {
        self.give(Order::Connect).await;
    }

    /// Waits until the lock ends by itself.
    pub async fn ended(&mut self) -> End {
        if let Some(end) = self.end {
            return end;
        }
        let end = (&mut self.task).await.unwrap_or(End::Stopped);
        *self.end.insert(end)
    }

    /// Says `offline`, disconnects and ends. A movement under way may come to its end first, for five seconds; past that
    /// it is given up, and reported as interrupted at the next start.
    pub async fn stop(mut self) -> End {
        self.stop.cancel();
        self.ended().await
    }

    async fn tell(&self, input: Input<'static>) {
        self.give(Order::Tell(input)).await;
    }

    async fn give(&self, order: Order) {
        // A lock that has ended takes no more orders; whoever wants to know asks `ended`.
        let _ = self.orders.send(order).await;
    }
}
