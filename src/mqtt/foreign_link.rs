//! A link to a broker that is not Doorward's own: the one of a Home Assistant, or of devices that speak a dialect. It
//! subscribes to what it is told to, publishes with or without the retain flag, and says when each message came, so
//! that nobody acts on one that has waited.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::{LastWill, Publish, QoS};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::domain::relay::RelayAway;

use super::address::BrokerAddress;
use super::connection::{self, Owner, Terms};
use super::outlet::{Outlet, Receipt};

/// How many messages may wait to be heard; more are dropped.
const WAITING: usize = 8192;
/// Longest packet either way, in bytes: what others publish there is theirs to choose.
const PACKET_LIMIT: usize = 64 * 1024;
/// Places kept free for [`ForeignNews::Up`] and [`ForeignNews::Down`].
const KEPT: usize = 8;

/// A message to be published at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub topic: String,
    /// What; an empty one that is retained removes what the broker keeps for the topic.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for who comes later.
    pub retain: bool,
}

impl Note {
    /// A message for who listens now.
    #[must_use]
    pub fn passing(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            retain: false,
        }
    }

    /// A message that the broker keeps.
    #[must_use]
    pub fn kept(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            retain: true,
            ..Self::passing(topic, payload)
        }
    }

    fn publish(self) -> Publish {
        let mut publish = Publish::new(self.topic, QoS::AtLeastOnce, self.payload);
        publish.retain = self.retain;
        publish
    }
}

/// How a foreign broker is reached.
#[derive(Clone)]
pub struct ForeignLinkOptions {
    /// Where it is.
    pub address: BrokerAddress,
    /// The client id; a second connection with the same one ends the first.
    pub client_id: String,
    /// User name; empty where the broker asks for none.
    pub user: String,
    /// Password.
    pub password: String,
    /// What is subscribed to.
    pub filters: Vec<String>,
    /// What the broker publishes for us when the connection breaks, and what is said before a wanted end.
    pub farewell: Option<Note>,
    /// Pinged this often; given up after twice as long a silence. Whole seconds, at least one.
    pub keep_alive: Duration,
}

impl fmt::Debug for ForeignLinkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignLinkOptions")
            .field("host", &self.address.host)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// What is heard on a foreign link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignNews {
    /// Connected, and the subscriptions stand.
    Up,
    /// A message came.
    Message {
        /// On which topic.
        topic: String,
        /// What it says; nobody has signed it.
        payload: Vec<u8>,
        /// Whether the broker had kept it: nobody knows how old it is.
        retained: bool,
        /// When it came.
        at: Instant,
    },
    /// The connection is gone; the link tries again by itself.
    Down,
}

/// The standing link. Dropped, it says goodbye and ends.
pub struct ForeignLink {
    outlet: Arc<Mutex<Option<Outlet>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl ForeignLink {
    /// Connects in the background, and goes on trying for ever. Sessions are clean: the broker keeps nothing for a link
    /// that is away.
    ///
    /// Must be called within a Tokio runtime, which the link's task then lives in.
    #[must_use]
    pub fn start(options: ForeignLinkOptions, random: Arc<dyn Random>) -> (Self, mpsc::Receiver<ForeignNews>) {
        let (news, heard) = mpsc::channel(WAITING);
        let outlet = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let owner = Ear {
            outlet: Arc::clone(&outlet),
            news,
            was_up: false,
        };
        let task = tokio::spawn(connection::keep(terms(options), owner, random, stop.clone()));
        let link = Self {
            outlet,
            task: Mutex::new(Some(task)),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        };
        (link, heard)
    }

    /// Publishes at QoS 1; `Ok` once the broker has it. It is written before `within` has passed, or never.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker is away, slow, or owes too many acknowledgements.
    pub async fn publish(&self, note: Note, within: Duration) -> Result<(), RelayAway> {
        let outlet = hold(&self.outlet).clone().ok_or(RelayAway)?;
        outlet.send(note.publish(), within).await.map_err(|_| RelayAway)
    }

    /// Whether the connection stands.
    #[must_use]
    pub fn is_up(&self) -> bool {
        hold(&self.outlet).is_some()
    }

    /// Says its farewell, disconnects and ends the link.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself within the farewell's time limit.
            let _ = task.await;
        }
    }
}

fn hold(outlet: &Mutex<Option<Outlet>>) -> std::sync::MutexGuard<'_, Option<Outlet>> {
    outlet.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Ear {
    outlet: Arc<Mutex<Option<Outlet>>>,
    news: mpsc::Sender<ForeignNews>,
    was_up: bool,
}

impl Ear {
    fn tell(&self, news: ForeignNews) {
        // Whoever has left this many unread has stopped listening.
        let _ = self.news.try_send(news);
    }
}

impl Owner for Ear {
    fn up(&mut self, outlet: Outlet) {
        self.was_up = true;
        *hold(&self.outlet) = Some(outlet);
        self.tell(ForeignNews::Up);
    }

    fn received(&mut self, message: Publish, receipt: Receipt) {
        // What is not taken now is worth nothing later.
        receipt.acknowledge();
        if self.news.capacity() > KEPT {
            self.tell(ForeignNews::Message {
                topic: message.topic,
                payload: message.payload.to_vec(),
                retained: message.retain,
                at: Instant::now(),
            });
        }
    }

    fn down(&mut self) {
        *hold(&self.outlet) = None;
        if std::mem::take(&mut self.was_up) {
            self.tell(ForeignNews::Down);
        }
    }
}

fn terms(options: ForeignLinkOptions) -> Terms {
    let farewell = options.farewell.map(Note::publish);
    let will = farewell
        .clone()
        .map(|farewell| LastWill::new(farewell.topic, farewell.payload, farewell.qos, farewell.retain));
    Terms {
        client_id: options.client_id,
        user: options.user,
        password: options.password,
        address: options.address,
        filters: options.filters,
        will,
        greeting: None,
        farewell,
        keep_alive: options.keep_alive,
        in_flight: 64,
        waiting: 256,
        packet_limit: PACKET_LIMIT,
        patience: Duration::from_secs(10),
        first_wait: Duration::from_millis(250),
        longest_wait: Duration::from_secs(30),
    }
}
