//! A link to the broker of a device that does not verify by itself, for an adapter: a client among others there, with
//! nothing of Doorward's topics. What is published is at QoS 1, never retained, and written at once or never.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::Publish;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::domain::relay::RelayAway;

use super::address::BrokerAddress;
use super::connection::{self, Owner, Terms};
use super::outlet::{Outlet, Receipt};

/// How many messages may wait for the adapter to take them; more are dropped.
const WAITING: usize = 256;
/// Places kept free for [`DeviceNews::Up`] and [`DeviceNews::Down`].
const KEPT: usize = 8;
/// Longest packet either way, in bytes: a bridge's list of devices is never asked for.
const PACKET_LIMIT: usize = 64 * 1024;
/// How often the broker is pinged; given up after twice as long a silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How an adapter reaches the broker of its device.
pub struct DeviceLinkOptions {
    /// Where the broker is.
    pub address: BrokerAddress,
    /// The client id, another one for every adapter.
    pub client_id: String,
    /// The user name; empty where the broker asks for none.
    pub user: String,
    /// The password.
    pub password: String,
    /// What to listen to: subscribed to anew on every connection.
    pub filters: Vec<String>,
}

/// What an adapter hears from its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceNews {
    /// Connected, and the subscriptions stand.
    Up,
    /// Somebody published to a topic that the adapter listens to.
    Message {
        /// The topic.
        topic: String,
        /// What was said.
        payload: Vec<u8>,
        /// Whether the broker had kept it: it may be of any age.
        retained: bool,
    },
    /// The connection is gone; the link tries again by itself.
    Down,
}

/// The standing link; ends when it is dropped.
pub struct DeviceLink {
    outlet: Arc<Mutex<Option<Outlet>>>,
    _stop_when_dropped: DropGuard,
}

impl DeviceLink {
    /// Connects in the background, and goes on trying for ever. The receiver yields what the adapter is to know.
    ///
    /// Must be called within a Tokio runtime, which the link's task then lives in.
    #[must_use]
    pub fn start(options: DeviceLinkOptions, random: Arc<dyn Random>) -> (Self, mpsc::Receiver<DeviceNews>) {
        let (news, heard) = mpsc::channel(WAITING);
        let outlet = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let owner = Ear {
            outlet: Arc::clone(&outlet),
            news,
            was_up: false,
        };
        tokio::spawn(connection::keep(terms(options), owner, random, stop.clone()));
        let link = Self {
            outlet,
            _stop_when_dropped: stop.drop_guard(),
        };
        (link, heard)
    }

    /// Publishes at QoS 1. `Ok` says that the broker has it, nothing about the device.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker is not connected or did not take the message within `within`; in the second case
    /// the device may have it all the same.
    pub async fn publish(&self, topic: String, payload: Vec<u8>, within: Duration) -> Result<(), RelayAway> {
        let outlet = self.outlet.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outlet = outlet.ok_or(RelayAway)?;
        outlet.publish(topic, payload, within).await.map_err(|_| RelayAway)
    }
}

struct Ear {
    outlet: Arc<Mutex<Option<Outlet>>>,
    news: mpsc::Sender<DeviceNews>,
    was_up: bool,
}

impl Ear {
    fn hold(&self, outlet: Option<Outlet>) {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = outlet;
    }

    fn tell(&self, news: DeviceNews) {
        // An adapter that has left this many unread has stopped listening.
        let _ = self.news.try_send(news);
    }
}

impl Owner for Ear {
    fn up(&mut self, outlet: Outlet) {
        self.was_up = true;
        self.hold(Some(outlet));
        self.tell(DeviceNews::Up);
    }

    fn received(&mut self, message: Publish, receipt: Receipt) {
        // What a device says is worth nothing later: acknowledged at once, and dropped where it cannot be taken now.
        receipt.acknowledge();
        if self.news.capacity() > KEPT {
            self.tell(DeviceNews::Message {
                topic: message.topic,
                payload: message.payload.to_vec(),
                retained: message.retain,
            });
        }
    }

    fn down(&mut self) {
        self.hold(None);
        if std::mem::take(&mut self.was_up) {
            self.tell(DeviceNews::Down);
        }
    }
}

fn terms(options: DeviceLinkOptions) -> Terms {
    Terms {
        client_id: options.client_id,
        user: options.user,
        password: options.password,
        address: options.address,
        filters: options.filters,
        will: None,
        greeting: None,
        farewell: None,
        keep_alive: KEEP_ALIVE,
        in_flight: 16,
        waiting: 16,
        packet_limit: PACKET_LIMIT,
        patience: Duration::from_secs(10),
        first_wait: Duration::from_millis(500),
        longest_wait: Duration::from_secs(30),
    }
}
