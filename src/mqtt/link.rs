//! The backend's link to its broker: carries messages out to the locks ([`Relay`]) and hands what comes in to the
//! [`Inbox`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::Publish;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::domain::relay::{FromLock, Inbox, Relay, RelayAway};

use super::address::BrokerAddress;
use super::connection::{self, Owner, Terms};
use super::lanes::Lanes;
use super::outlet::{Outlet, Receipt};
use super::topics::{ANY_NODE, NodeName, Topic, Topics};

/// What a lock publishes on `status` when its subscription stands.
pub const ONLINE: &[u8] = b"online";
/// What a lock, or its last will, publishes on `status` when it goes.
pub const OFFLINE: &[u8] = b"offline";

/// Longest packet either way, in bytes: four times the longest message of the protocol.
pub const PACKET_LIMIT: usize = 16 * 1024;

/// How a node of the backend reaches its broker.
pub struct LinkOptions {
    /// Where the broker is.
    pub address: BrokerAddress,
    /// User name at the broker.
    pub user: String,
    /// Password at the broker.
    pub password: String,
    /// This node: its client id and its reply topic.
    pub node: NodeName,
    /// The topics' names.
    pub topics: Topics,
    /// Whether the nodes share `up/any` instead of all hearing it. Only for a broker that really has shared
    /// subscriptions: some say so and deliver nothing.
    pub shared_subscriptions: bool,
    /// Pinged this often; given up after twice as long a silence. Whole seconds, at least one; 15 s is a good value.
    pub keep_alive: Duration,
}

/// What the link has counted since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCounts {
    /// Connections that stood, with their subscriptions.
    pub connections: u64,
    /// Messages dropped because one lock said more at once than its lane holds; the lock says them again.
    pub overflowed: u64,
    /// Messages that the inbox could not store; the locks say them again.
    pub not_stored: u64,
    /// Messages that no lock may say, or that a broker had retained.
    pub foreign: u64,
}

/// The standing link. Dropped, it says goodbye and ends.
pub struct Link {
    state: Arc<State>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

struct State {
    topics: Topics,
    node: NodeName,
    outlet: Mutex<Option<Outlet>>,
    lanes: Arc<Lanes>,
    connections: AtomicU64,
    foreign: AtomicU64,
}

impl Link {
    /// Connects in the background, and goes on trying for ever; the messages of the locks go to `inbox`.
    ///
    /// Must be called within a Tokio runtime, which the link's task then lives in.
    #[must_use]
    pub fn start(options: LinkOptions, inbox: Arc<dyn Inbox>, random: Arc<dyn Random>) -> Self {
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            topics: options.topics.clone(),
            node: options.node.clone(),
            outlet: Mutex::new(None),
            lanes: Lanes::new(inbox),
            connections: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
        });
        let owner = Incoming {
            state: Arc::clone(&state),
        };
        let task = tokio::spawn(connection::keep(terms(options), owner, random, stop.clone()));
        Self {
            state,
            task: Mutex::new(Some(task)),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        LinkCounts {
            connections: self.state.connections.load(Ordering::Relaxed),
            overflowed: self.state.lanes.overflowed(),
            not_stored: self.state.lanes.not_stored(),
            foreign: self.state.foreign.load(Ordering::Relaxed),
        }
    }

    /// Says goodbye to the broker and ends the link. What the inbox is still working on is not waited for.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself within the farewell's time limit.
            let _ = task.await;
        }
    }
}

#[async_trait]
impl Relay for Link {
    async fn send(&self, lock: &LockId, message: String, within: Duration) -> Result<(), RelayAway> {
        let outlet = self.state.outlet().clone().ok_or(RelayAway)?;
        let topic = self.state.topics.down(lock);
        outlet
            .publish(topic, message.into_bytes(), within)
            .await
            .map_err(|_| RelayAway)
    }

    fn is_up(&self) -> bool {
        self.state.outlet().is_some()
    }
}

impl State {
    fn outlet(&self) -> std::sync::MutexGuard<'_, Option<Outlet>> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a message says, if it is one that a lock may say to this node.
    fn read(&self, message: &Publish) -> Option<(LockId, FromLock)> {
        // Nothing of ours is ever retained: this is somebody's old news.
        if message.retain {
            return None;
        }
        match self.topics.parse(&message.topic)? {
            Topic::Up(lock, node) if node == self.node.as_str() || node == ANY_NODE => Some((
                lock.clone(),
                FromLock::Up {
                    lock,
                    payload: message.payload.to_vec(),
                },
            )),
            Topic::Status(lock) => {
                let online = match &message.payload[..] {
                    ONLINE => true,
                    OFFLINE => false,
                    _ => return None,
                };
                Some((lock.clone(), FromLock::Status { lock, online }))
            }
            Topic::Up(..) | Topic::Down(_) => None,
        }
    }
}

struct Incoming {
    state: Arc<State>,
}

impl Owner for Incoming {
    fn up(&mut self, outlet: Outlet) {
        self.state.connections.fetch_add(1, Ordering::Relaxed);
        *self.state.outlet() = Some(outlet);
    }

    fn received(&mut self, message: Publish, receipt: Receipt) {
        match self.state.read(&message) {
            Some((lock, message)) => self.state.lanes.admit(lock, message, receipt),
            None => {
                self.state.foreign.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(topic = message.topic, "a message that no lock may send was dropped");
                receipt.acknowledge();
            }
        }
    }

    fn down(&mut self) {
        *self.state.outlet() = None;
    }
}

fn terms(options: LinkOptions) -> Terms {
    let topics = &options.topics;
    Terms {
        client_id: options.node.to_string(),
        filters: vec![
            topics.all_up(&options.node),
            topics.all_up_any(options.shared_subscriptions),
            topics.all_status(),
        ],
        address: options.address,
        user: options.user,
        password: options.password,
        will: None,
        greeting: None,
        farewell: None,
        keep_alive: options.keep_alive,
        // Unlocks of many doors at once; each waits for one round trip to the broker.
        in_flight: 4096,
        waiting: 1024,
        packet_limit: PACKET_LIMIT,
        patience: Duration::from_secs(10),
        first_wait: Duration::from_millis(250),
        // One client a node, and every unlock waits for it: no need to be shy.
        longest_wait: Duration::from_secs(5),
    }
}
