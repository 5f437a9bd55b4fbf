//! A lock's link to the broker: over TLS, with a last will, subscribed to its own `down`. For the reference lock, the
//! simulator (thousands in one process: one small task each) and the adapters.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::{LastWill, Publish, QoS};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::domain::relay::RelayAway;

use super::address::BrokerAddress;
use super::connection::{self, Owner, Terms};
use super::link::{OFFLINE, ONLINE, PACKET_LIMIT};
use super::outlet::{Outlet, Receipt};
use super::topics::Topics;

/// How many messages may wait for the lock to take them; more are dropped, and the backend sends what is still lacking
/// at the next `hello`.
const WAITING: usize = 32;
/// Places kept free for [`LockNews::Up`] and [`LockNews::Down`].
const KEPT: usize = 8;

/// How a lock reaches the broker.
pub struct LockLinkOptions {
    /// Where the broker is.
    pub address: BrokerAddress,
    /// The lock: its client id, its user name, its topics.
    pub lock: LockId,
    /// The password from its enrolment.
    pub password: String,
    /// The topics' names.
    pub topics: Topics,
    /// Pinged this often; given up after twice as long a silence. Whole seconds, at least one; 30 s is a good value.
    pub keep_alive: Duration,
}

/// What a lock hears from its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockNews {
    /// Connected, subscribed, `online` said: time for a `hello`.
    Up,
    /// A message on `down`, not verified.
    Message(Vec<u8>),
    /// The connection is gone; the link tries again by itself.
    Down,
}

/// A lock's standing link; cheap to clone. When the last clone is dropped, the link says `offline` and ends.
#[derive(Clone)]
pub struct LockLink {
    shared: Arc<Shared>,
}

struct Shared {
    topics: Topics,
    lock: LockId,
    outlet: Arc<Mutex<Option<Outlet>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl LockLink {
    /// Connects in the background, and goes on trying for ever. The receiver yields what the lock is to know.
    ///
    /// Must be called within a Tokio runtime, which the link's task then lives in.
    #[must_use]
    pub fn start(options: LockLinkOptions, random: Arc<dyn Random>) -> (Self, mpsc::Receiver<LockNews>) {
        let (news, heard) = mpsc::channel(WAITING);
        let outlet = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let (topics, lock) = (options.topics.clone(), options.lock.clone());
        let owner = Ear {
            outlet: Arc::clone(&outlet),
            news,
            down: topics.down(&lock),
            was_up: false,
        };
        let task = tokio::spawn(connection::keep(terms(options), owner, random, stop.clone()));
        let shared = Shared {
            topics,
            lock,
            outlet,
            task: Mutex::new(Some(task)),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        };
        (
            Self {
                shared: Arc::new(shared),
            },
            heard,
        )
    }

    /// Publishes to the lock's `up/{node}` at QoS 1. `Ok` says that the broker has it, nothing about the backend: an
    /// event is the lock's to keep until the backend's signed acknowledgement.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker is not connected or did not take the message within `within`.
    pub async fn publish(&self, node: &str, message: Vec<u8>, within: Duration) -> Result<(), RelayAway> {
        let outlet = self
            .shared
            .outlet
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(RelayAway)?;
        let topic = self.shared.topics.up(&self.shared.lock, node);
        outlet.publish(topic, message, within).await.map_err(|_| RelayAway)
    }

    /// Says `offline`, disconnects and ends the link, for all its clones.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        let task = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself within the farewell's time limit.
            let _ = task.await;
        }
    }
}

struct Ear {
    outlet: Arc<Mutex<Option<Outlet>>>,
    news: mpsc::Sender<LockNews>,
    down: String,
    was_up: bool,
}

impl Ear {
    fn hold(&self, outlet: Option<Outlet>) {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = outlet;
    }

    fn tell(&self, news: LockNews) {
        // A lock that has left this many unread has stopped listening.
        let _ = self.news.try_send(news);
    }
}

impl Owner for Ear {
    fn up(&mut self, outlet: Outlet) {
        self.was_up = true;
        self.hold(Some(outlet));
        self.tell(LockNews::Up);
    }

    fn received(&mut self, message: Publish, receipt: Receipt) {
        // A command is worth nothing later: it is acknowledged at once, and what a lock cannot take now is dropped.
        receipt.acknowledge();
        if !message.retain && message.topic == self.down && self.news.capacity() > KEPT {
            self.tell(LockNews::Message(message.payload.to_vec()));
        }
    }

    fn down(&mut self) {
        self.hold(None);
        if std::mem::take(&mut self.was_up) {
            self.tell(LockNews::Down);
        }
    }
}

fn terms(options: LockLinkOptions) -> Terms {
    let status = options.topics.status(&options.lock);
    Terms {
        client_id: options.lock.to_string(),
        user: options.lock.to_string(),
        password: options.password,
        address: options.address,
        filters: vec![options.topics.down(&options.lock)],
        will: Some(LastWill::new(&status, OFFLINE, QoS::AtLeastOnce, false)),
        greeting: Some(Publish::new(&status, QoS::AtLeastOnce, ONLINE)),
        farewell: Some(Publish::new(&status, QoS::AtLeastOnce, OFFLINE)),
        keep_alive: options.keep_alive,
        // `rumqttc` keeps a table this long for every client.
        in_flight: 16,
        waiting: 16,
        packet_limit: PACKET_LIMIT,
        // After the broker's restart a lock may queue behind thousands.
        patience: Duration::from_secs(30),
        first_wait: Duration::from_millis(500),
        longest_wait: Duration::from_secs(30),
    }
}
