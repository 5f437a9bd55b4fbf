//! Who is in the broker and what they may do there: the answers to `mqtt5`'s questions.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mqtt5::QoS;
use mqtt5::Result;
use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::broker::events::{BrokerEventHandler, ClientPublishEvent, PublishAction};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::packet::publish::PublishPacket;
use mqtt5::types::ReasonCode;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use crate::domain::ids::LockId;
use crate::domain::relay::{Credentials, Principal};
use crate::mqtt::rights;
use crate::mqtt::topics::{NodeName, Topics};

/// Longest wait for an ended connection to be gone.
const SHOWING_OUT: Duration = Duration::from_secs(5);

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All guests together.
pub(super) struct House {
    topics: Topics,
    pace: Pace,
    refused: AtomicU64,
    credentials: Arc<dyn Credentials>,
    router: Arc<MessageRouter>,
    stats: Arc<BrokerStats>,
    present: Mutex<Present>,
    departed: Notify,
}

#[derive(Default)]
struct Present {
    /// Goes up by one with every session that is ended.
    round: u64,
    /// In which round a lock's sessions were last ended.
    ended: HashMap<LockId, u64>,
    /// Signed-in connections of locks; two of one lock while one takes over from the other.
    locks: HashMap<LockId, Vec<Arc<Guest>>>,
    /// Signed-in connections of devices and adapters, by the number that the broker knows their user by.
    devices: HashMap<String, Arc<Guest>>,
    /// Signed-in connections of nodes, by their client ids.
    nodes: HashMap<String, usize>,
    /// The number of the next device's connection.
    next: u64,
}

impl House {
    pub(super) fn new(
        topics: Topics,
        pace: Pace,
        credentials: Arc<dyn Credentials>,
        router: Arc<MessageRouter>,
    ) -> Self {
        Self {
            topics,
            pace,
            refused: AtomicU64::new(0),
            credentials,
            router,
            stats: Arc::new(BrokerStats::new()),
            present: Mutex::default(),
            departed: Notify::new(),
        }
    }

    pub(super) fn router(&self) -> &Arc<MessageRouter> {
        &self.router
    }

    pub(super) fn stats(&self) -> &Arc<BrokerStats> {
        &self.stats
    }

    /// Messages dropped because their sender may not publish them.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Shows every connection of `lock` out, waits until they are gone, and forgets what is left of their session. One
    /// whose password was looked up before this call does not get in any more.
    pub(super) async fn end(&self, lock: &LockId) {
        {
            let mut present = self.present();
            present.round += 1;
            let round = present.round;
            present.ended.insert(lock.clone(), round);
            present
                .locks
                .get(lock)
                .into_iter()
                .flatten()
                .for_each(|guest| guest.out.notify_one());
        }
        let gone = async {
            loop {
                let departed = self.departed.notified();
                if !self.present().locks.contains_key(lock) {
                    break;
                }
                departed.await;
            }
        };
        if tokio::time::timeout(SHOWING_OUT, gone).await.is_err() {
            tracing::error!(lock.id = %lock, "a connection of lock {lock} did not end in time");
        }
        self.router.unregister_client(lock.as_str()).await;
    }

    /// Takes `guest` in as `who`, unless their sessions were ended since `round`.
    fn take_in(&self, guest: &Arc<Guest>, who: &Principal, client_id: &str, round: u64) -> bool {
        let mut present = self.present();
        let lock = match who {
            Principal::Lock(lock) => lock,
            Principal::Backend { node } => {
                *present.nodes.entry(node.clone()).or_default() += 1;
                return true;
            }
            Principal::Device(_) | Principal::Adapter(_) => return present.take_in_device(guest, client_id),
        };
        if present.ended.get(lock).is_some_and(|ended| *ended > round) {
            return false;
        }
        present.locks.entry(lock.clone()).or_default().push(Arc::clone(guest));
        true
    }

    fn let_go(&self, guest: &Guest) {
        let mut present = self.present();
        let lock = match guest.who.get() {
            None => return,
            Some(Principal::Lock(lock)) => lock,
            Some(Principal::Backend { node }) => {
                if let Some(count) = present.nodes.get_mut(node) {
                    *count -= 1;
                }
                present.nodes.retain(|_, count| *count > 0);
                return;
            }
            Some(Principal::Device(_) | Principal::Adapter(_)) => {
                present
                    .devices
                    .retain(|_, other| !std::ptr::eq(Arc::as_ptr(other), guest));
                return;
            }
        };
        if let Some(guests) = present.locks.get_mut(lock) {
            guests.retain(|other| !std::ptr::eq(Arc::as_ptr(other), guest));
            if guests.is_empty() {
                present.locks.remove(lock);
            }
        }
        drop(present);
        self.departed.notify_waiters();
    }

    /// How long the lock's next message has to wait, so that it keeps the pace.
    fn too_early(&self, lock: &LockId) -> Duration {
        let mut present = self.present();
        let now = Instant::now();
        let due = present
            .locks
            .get_mut(lock)
            .and_then(|guests| guests.last())
            .map(|guest| &guest.due);
        due.map_or(Duration::ZERO, |due| {
            self.pace
                .keep(&mut due.lock().unwrap_or_else(PoisonError::into_inner), now)
        })
    }

    /// Who publishes, and the connection where it is a device's or an adapter's; `None` where that has just ended.
    fn speaker(&self, event: &ClientPublishEvent) -> Option<(Principal, Option<Arc<Guest>>)> {
        if let Some(number) = &event.user_id {
            let device = self.present().devices.get(&**number).cloned()?;
            return Some((device.who.get()?.clone(), Some(device)));
        }
        // The client id is the principal's, checked at CONNECT, and a node's name is never a lock's id.
        let who = match event.client_id.parse::<LockId>() {
            Ok(lock) => Principal::Lock(lock),
            Err(_) => Principal::Backend {
                node: event.client_id.to_string(),
            },
        };
        Some((who, None))
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        // No code that holds it can panic half-way through a change.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    /// Takes in a device or an adapter, which have their client ids from elsewhere: not under the id of a lock, a node or
    /// another's device, whose connection it would end.
    fn take_in_device(&mut self, guest: &Arc<Guest>, client_id: &str) -> bool {
        let is_same = |other: &Arc<Guest>| other.client_id.get().is_some_and(|other| other == client_id);
        let is_others = self
            .devices
            .values()
            .any(|other| is_same(other) && other.who.get() != guest.who.get());
        if client_id.parse::<LockId>().is_ok() || self.nodes.contains_key(client_id) || is_others {
            return false;
        }
        self.next += 1;
        let number = self.next.to_string();
        // Both are new with this connection.
        let _ = (
            guest.client_id.set(client_id.to_owned()),
            guest.number.set(number.clone()),
        );
        self.devices.insert(number, Arc::clone(guest));
        true
    }
}

/// One connection's answers. It learns who it speaks for at CONNECT.
pub(super) struct Guest {
    house: Arc<House>,
    me: std::sync::Weak<Guest>,
    who: OnceLock<Principal>,
    /// Whether it came by the way that is for devices alone.
    is_for_devices: bool,
    /// A device's client id.
    client_id: OnceLock<String>,
    /// What the broker calls a device's user: of this connection and no other.
    number: OnceLock<String>,
    /// Given back at sign-in.
    arrival: Mutex<Option<(OwnedSemaphorePermit, oneshot::Sender<()>)>>,
    out: Notify,
    /// When its next message would be due at an even pace.
    due: Mutex<Instant>,
}

/// Lets a connection go when its task ends, by whatever way.
pub(super) struct Stay(pub(super) Arc<Guest>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.house.let_go(&self.0);
    }
}

/// How fast one lock may speak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From message to message, in the long run.
    pub(super) every: Duration,
    /// How far ahead of that a lock may be.
    pub(super) ahead: Duration,
}

impl Pace {
    /// A message a second at most `messages`; as many at once after a second of silence.
    pub(super) fn per_second(messages: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / messages.max(1),
            ahead: Duration::from_secs(1),
        }
    }

    /// Counts a message at `now`, and says how long it has to wait.
    fn keep(self, due: &mut Instant, now: Instant) -> Duration {
        *due = (*due).max(now) + self.every;
        due.saturating_duration_since(now + self.ahead)
    }
}

impl Guest {
    /// A connection that has not signed in; the receiver hears when it has.
    /// `is_for_devices`: it came by the way that is for devices alone.
    pub(super) fn arrive(
        house: Arc<House>,
        place: OwnedSemaphorePermit,
        is_for_devices: bool,
    ) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (signed_in, heard) = oneshot::channel();
        let guest = Arc::new_cyclic(|me| Self {
            house,
            me: me.clone(),
            who: OnceLock::new(),
            is_for_devices,
            client_id: OnceLock::new(),
            number: OnceLock::new(),
            arrival: Mutex::new(Some((place, signed_in))),
            out: Notify::new(),
            due: Mutex::new(Instant::now()),
        });
        (guest, heard)
    }

    fn due(&self) -> MutexGuard<'_, Instant> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when this connection is to end.
    pub(super) async fn shown_out(&self) {
        self.out.notified().await;
    }

    async fn sign_in(&self, connect: &ConnectPacket) -> ReasonCode {
        let (Some(user), Some(password)) = (&connect.username, &connect.password) else {
            return ReasonCode::BadUsernameOrPassword;
        };
        let round = self.house.present().round;
        let who = match self.house.credentials.authenticate(user, password).await {
            Ok(Some(who)) => who,
            Ok(None) => return ReasonCode::BadUsernameOrPassword,
            Err(_) => return ReasonCode::ServerUnavailable,
        };
        // A node that had a lock's id for its name would pass for that lock below.
        let nameless = matches!(&who, Principal::Backend { node } if node.parse::<NodeName>().is_err());
        let is_device = matches!(who, Principal::Device(_));
        if self.is_for_devices && !is_device {
            return ReasonCode::NotAuthorized;
        }
        if nameless || rights::client_id(&who).is_some_and(|id| connect.client_id != id) {
            return ReasonCode::ClientIdentifierNotValid;
        }
        if let Some(will) = &connect.will {
            let delayed = will.properties.will_delay_interval.is_some_and(|seconds| seconds > 0);
            if !rights::may_leave_will(&self.house.topics, &who, &will.topic, will.retain, delayed) {
                return ReasonCode::NotAuthorized;
            }
        }
        let Some(me) = self.me.upgrade() else {
            return ReasonCode::ServerUnavailable;
        };
        // Set before it can be found, so that it can also be let go.
        if self.who.set(who.clone()).is_err() || !self.house.take_in(&me, &who, &connect.client_id, round) {
            return ReasonCode::NotAuthorized;
        }
        if let Some((place, signed_in)) = self.arrival.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(place);
            // The task that listens is the one that asks.
            let _ = signed_in.send(());
        }
        ReasonCode::Success
    }
}

impl AuthProvider for Guest {
    fn authenticate<'a>(&'a self, connect: &'a ConnectPacket, peer: SocketAddr) -> Answer<'a, Result<AuthResult>> {
        Box::pin(async move {
            let code = self.sign_in(connect).await;
            if code == ReasonCode::Success {
                return Ok(match self.number.get() {
                    Some(number) => AuthResult::success_with_user(number.clone()),
                    None => AuthResult::success(),
                });
            }
            tracing::debug!(%peer, ?code, "a sign-in to the broker was refused");
            Ok(AuthResult::fail(code))
        })
    }

    /// Always: `mqtt5` would answer a 3.1.1 client's forbidden publish with a malformed PUBACK. It is dropped in
    /// [`House::on_client_publish`] instead; a will was looked at when it was left.
    fn authorize_publish<'a>(&'a self, _: &str, _: Option<&'a str>, _: &'a str) -> Answer<'a, bool> {
        Box::pin(std::future::ready(true))
    }

    fn authorize_subscribe<'a>(&'a self, _: &str, _: Option<&'a str>, filter: &'a str) -> Answer<'a, bool> {
        let may = self
            .who
            .get()
            .is_some_and(|who| rights::may_subscribe(&self.house.topics, who, filter));
        Box::pin(std::future::ready(may))
    }
}

impl BrokerEventHandler for House {
    /// A forbidden message is acknowledged and dropped: 3.1.1 has no other refusal than closing the connection, which
    /// would make an honest lock with one wrong topic useless and does not stop another.
    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Answer<'a, PublishAction> {
        Box::pin(async move {
            let Some((who, device)) = self.speaker(&event) else {
                return PublishAction::Handled;
            };
            if event.qos == QoS::ExactlyOnce || !rights::may_publish(&self.topics, &who, &event.topic, event.retain) {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(client = %event.client_id, "{} published what it may not", event.client_id);
                return PublishAction::Handled;
            }
            if matches!(who, Principal::Lock(_) | Principal::Device(_)) {
                // Nothing more is read from whoever waits here, so a noisy one is slowed down by its own socket.
                let early = match (&who, &device) {
                    (Principal::Lock(lock), _) => self.too_early(lock),
                    (_, Some(device)) => self.pace.keep(&mut device.due(), Instant::now()),
                    _ => Duration::ZERO,
                };
                if !early.is_zero() {
                    tokio::time::sleep(early).await;
                }
                return PublishAction::Continue;
            }
            // A lock that does not read must not make the backend wait for it, and all other locks with it.
            let message = PublishPacket::new(&*event.topic, event.payload, event.qos);
            self.router
                .route_message_with_deadline(&message, Some(&event.client_id), Instant::now())
                .await;
            PublishAction::Handled
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_messages_goes_at_once_and_the_rest_at_an_even_pace() {
        let (pace, start) = (Pace::per_second(10), Instant::now());
        let mut due = start;
        let waits: Vec<_> = (0..12).map(|_| pace.keep(&mut due, start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
        let later = start + Duration::from_secs(10);
        assert_eq!(pace.keep(&mut due, later), Duration::ZERO);
        assert_eq!(due, later + pace.every);
    }
}
