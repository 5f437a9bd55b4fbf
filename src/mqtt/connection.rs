//! One MQTT 3.1.1 client that comes back by itself: connects, subscribes anew on every connection, carries messages,
//! and begins with a new client and a new socket whenever anything is wrong. The backend's link, a lock's link and a
//! link to somebody else's broker are its users ([`Owner`]).
//!
//! One task polls, and does nothing else: whatever may wait is handed over. `rumqttc`'s own request queue is not used,
//! because it survives a reconnect and cannot be taken back: what is to go out waits in [`Outlet`]'s channel, is looked
//! at once more when its turn comes (late ones are dropped), and is written by the task itself. So the channel dies with
//! its connection, and nothing old is ever published by a new one.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Packet, PubAck,
    Publish, QoS, Request, StateError, Subscribe, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::crypto::random::Random;

use super::address::BrokerAddress;
use super::back_off::BackOff;
use super::outlet::{Outbound, Outlet, Receipt, Verdict};

/// Longest time that a socket may take nothing.
const STUCK_AFTER: Duration = Duration::from_secs(3);
/// A connection that stood this long was good: the next wait is the first one again.
const GOOD_AFTER: Duration = Duration::from_secs(20);
/// How long messages that could not be stored may stay unacknowledged before the connection is given up: they hold
/// places in the broker's window, and a clean session forgets them.
const UNSTORED_FOR: Duration = Duration::from_secs(5);
/// How many waiting messages go out with one flush.
const BATCH: usize = 64;
/// Longest farewell when stopping.
const FAREWELL: Duration = Duration::from_secs(2);

/// How one client connects and behaves.
pub(super) struct Terms {
    pub(super) address: BrokerAddress,
    pub(super) client_id: String,
    /// Empty for a broker that asks for none.
    pub(super) user: String,
    pub(super) password: String,
    pub(super) will: Option<LastWill>,
    /// Published when the subscriptions stand.
    pub(super) greeting: Option<Publish>,
    /// Published before a wanted end.
    pub(super) farewell: Option<Publish>,
    pub(super) filters: Vec<String>,
    /// Whole seconds, at least one. After twice that of silence the connection is given up.
    pub(super) keep_alive: Duration,
    /// How many publishes may wait for their PUBACK.
    pub(super) in_flight: u16,
    /// How many publishes may wait for their turn.
    pub(super) waiting: usize,
    /// Longest packet either way, in bytes.
    pub(super) packet_limit: usize,
    /// Longest wait for TCP, TLS and CONNACK together, and then for the subscriptions to stand; whole seconds.
    pub(super) patience: Duration,
    pub(super) first_wait: Duration,
    pub(super) longest_wait: Duration,
}

/// Who uses a connection. Called from the task that polls: must not wait.
pub(super) trait Owner: Send + 'static {
    /// The subscriptions stand; `outlet` is the way out until [`Self::down`].
    fn up(&mut self, outlet: Outlet);
    /// A message came.
    fn received(&mut self, message: Publish, receipt: Receipt);
    /// The connection is gone.
    fn down(&mut self);
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the broker refused the sign-in: {0:?}")]
    SignIn(ConnectReturnCode),
    #[error("the broker could not be reached")]
    Reach(#[source] Box<ConnectionError>),
    #[error("connecting took too long")]
    TooSlow,
    #[error("the broker refused the subscription to {0}")]
    Subscription(String),
    #[error("the connection broke")]
    Broken(#[source] Box<StateError>),
    #[error("the broker has been silent for too long")]
    Silent,
    #[error("the broker owes an acknowledgement from a whole round of packet ids ago")]
    Collision,
    #[error("messages could not be stored")]
    NotStored,
}

impl From<StateError> for Lost {
    fn from(error: StateError) -> Self {
        Self::Broken(Box::new(error))
    }
}

impl From<ConnectionError> for Lost {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionRefused(code) => Self::SignIn(code),
            ConnectionError::MqttState(StateError::AwaitPingResp) => Self::Silent,
            ConnectionError::MqttState(StateError::CollisionTimeout) => Self::Collision,
            ConnectionError::MqttState(error) => Self::Broken(Box::new(error)),
            error => Self::Reach(Box::new(error)),
        }
    }
}

/// Keeps the connection until `stop`: connects, serves, waits, connects anew.
pub(super) async fn keep(terms: Terms, mut owner: impl Owner, random: Arc<dyn Random>, stop: CancellationToken) {
    let mut back_off = BackOff::new(terms.first_wait, terms.longest_wait);
    let client = terms.client_id.as_str();
    while !stop.is_cancelled() {
        let opened = Instant::now();
        let mut connection = Connection::new(&terms);
        let end = connection.serve(&mut owner, &stop).await;
        owner.down();
        let Err(lost) = end else { break };
        // A broker that takes us in and a store that refuses everything would otherwise meet every few seconds.
        if opened.elapsed() >= GOOD_AFTER && !matches!(lost, Lost::NotStored) {
            back_off.reset();
        }
        drop(connection);
        let mut roll = [0; 4];
        random.fill(&mut roll);
        let wait = back_off.wait(u32::from_ne_bytes(roll));
        let cause = std::error::Error::source(&lost)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!(
            client,
            wait_ms = wait.as_millis(),
            cause,
            "{client} lost the broker: {lost}"
        );
        let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

struct Connection<'a> {
    terms: &'a Terms,
    event_loop: EventLoop,
    /// Who waits for the PUBACK of which packet id.
    owed: HashMap<u16, oneshot::Sender<()>>,
    outlet: Outlet,
    outbound: mpsc::Receiver<Outbound>,
    verdict_tx: mpsc::UnboundedSender<Verdict>,
    verdicts: mpsc::UnboundedReceiver<Verdict>,
    stands: bool,
    opened: Instant,
    heard: Instant,
    unstored_since: Option<Instant>,
}

impl<'a> Connection<'a> {
    fn new(terms: &'a Terms) -> Self {
        let (outlet, outbound) = Outlet::new(terms.packet_limit, terms.waiting);
        let (verdict_tx, verdicts) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            terms,
            event_loop: event_loop(terms),
            owed: HashMap::new(),
            outlet,
            outbound,
            verdict_tx,
            verdicts,
            stands: false,
            opened: now,
            heard: now,
            unstored_since: None,
        }
    }

    /// Connects and serves until `stop` (`Ok`) or until the connection is lost.
    async fn serve(&mut self, owner: &mut impl Owner, stop: &CancellationToken) -> Result<(), Lost> {
        let Some(connected) = stop
            .run_until_cancelled(timeout(self.terms.patience, self.event_loop.poll()))
            .await
        else {
            return Ok(());
        };
        connected.map_err(|_| Lost::TooSlow)??;
        self.heard = Instant::now();
        let filters = self
            .terms
            .filters
            .iter()
            .map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        self.write(Request::Subscribe(Subscribe::new_many(filters))).await?;
        self.flush().await?;

        let mut watchdog = Box::pin(sleep_until(self.deadline()));
        loop {
            // Dropping `poll` where another branch wins loses nothing: what it has read is in the codec's buffer or in
            // `state.events`, and nothing goes out through it but pings.
            tokio::select! {
                event = self.event_loop.poll() => self.hear(event?, owner).await?,
                Some(outbound) = self.outbound.recv() => self.carry(outbound).await?,
                Some(verdict) = self.verdicts.recv() => self.acknowledge(verdict, watchdog.as_mut()).await?,
                () = watchdog.as_mut() => {
                    self.check()?;
                    watchdog.as_mut().reset(self.deadline());
                }
                () = stop.cancelled() => {
                    let _ = timeout(FAREWELL, self.farewell()).await;
                    return Ok(());
                }
            }
        }
    }

    /// When to look whether this connection is still worth keeping.
    fn deadline(&self) -> Instant {
        let silence = self.heard + self.terms.keep_alive * 2;
        let subscriptions = (!self.stands).then(|| self.opened + self.terms.patience * 2);
        let unstored = self.unstored_since.map(|since| since + UNSTORED_FOR);
        [subscriptions, unstored]
            .into_iter()
            .flatten()
            .fold(silence, Instant::min)
    }

    fn check(&self) -> Result<(), Lost> {
        let now = Instant::now();
        if self.unstored_since.is_some_and(|since| since + UNSTORED_FOR <= now) {
            return Err(Lost::NotStored);
        }
        if self.deadline() <= now {
            Err(if self.stands { Lost::Silent } else { Lost::TooSlow })
        } else {
            Ok(())
        }
    }

    async fn hear(&mut self, event: Event, owner: &mut impl Owner) -> Result<(), Lost> {
        let Event::Incoming(packet) = event else { return Ok(()) };
        self.heard = Instant::now();
        match packet {
            Packet::Publish(message) => {
                let receipt = Receipt::new(message.pkid, self.verdict_tx.clone());
                owner.received(message, receipt);
            }
            Packet::PubAck(ack) => {
                if let Some(taken) = self.owed.remove(&ack.pkid) {
                    // Nobody listens any more where the sender's time was over.
                    let _ = taken.send(());
                }
            }
            Packet::SubAck(ack) => {
                let refused = |code: &SubscribeReasonCode| *code == SubscribeReasonCode::Failure;
                if let Some(index) = ack.return_codes.iter().position(refused) {
                    return Err(Lost::Subscription(
                        self.terms.filters.get(index).cloned().unwrap_or_default(),
                    ));
                }
                self.stands = true;
                if let Some(greeting) = self.terms.greeting.clone() {
                    self.write(Request::Publish(greeting)).await?;
                    self.flush().await?;
                }
                tracing::info!(
                    client = self.terms.client_id,
                    "{} is connected to the broker",
                    self.terms.client_id
                );
                owner.up(self.outlet.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes `first` and what waits behind it, with one flush.
    async fn carry(&mut self, first: Outbound) -> Result<(), Lost> {
        let (mut next, mut room) = (Some(first), BATCH);
        while let Some(Outbound { publish, by, taken }) = next {
            let full = self.event_loop.state.inflight() >= self.terms.in_flight;
            // Dropping `taken` tells the sender; nothing is ever published after its time.
            if !full && !taken.is_closed() && Instant::now() < by {
                let packet = self.write(Request::Publish(publish)).await?;
                self.owed.insert(packet, taken);
            }
            room -= 1;
            next = if room > 0 { self.outbound.try_recv().ok() } else { None };
        }
        self.flush().await
    }

    async fn acknowledge(&mut self, first: Verdict, watchdog: Pin<&mut Sleep>) -> Result<(), Lost> {
        let mut next = Some(first);
        let mut refused = false;
        while let Some(verdict) = next {
            match verdict {
                Verdict::Done(packet) => _ = self.write(Request::PubAck(PubAck::new(packet))).await?,
                Verdict::NotStored => refused = true,
            }
            next = self.verdicts.try_recv().ok();
        }
        if refused && self.unstored_since.is_none() {
            self.unstored_since = Some(Instant::now());
            watchdog.reset(self.deadline());
        }
        self.flush().await
    }

    async fn farewell(&mut self) -> Result<(), Lost> {
        if let Some(farewell) = self.terms.farewell.clone().filter(|_| self.stands) {
            self.write(Request::Publish(farewell)).await?;
        }
        self.write(Request::Disconnect(rumqttc::Disconnect)).await?;
        self.flush().await
    }

    /// Puts one packet into the socket's buffer; its packet id, or 0 where it has none.
    async fn write(&mut self, request: Request) -> Result<u16, Lost> {
        let event_loop = &mut self.event_loop;
        let Some(packet) = event_loop.state.handle_outgoing_packet(request)? else {
            return Err(Lost::Collision);
        };
        let id = if let Packet::Publish(publish) = &packet {
            publish.pkid
        } else {
            0
        };
        let Some(network) = event_loop.network.as_mut() else {
            return Err(Lost::Silent);
        };
        timeout(STUCK_AFTER, network.write(packet))
            .await
            .map_err(|_| Lost::Silent)??;
        Ok(id)
    }

    async fn flush(&mut self) -> Result<(), Lost> {
        let Some(network) = self.event_loop.network.as_mut() else {
            return Err(Lost::Silent);
        };
        Ok(timeout(STUCK_AFTER, network.flush())
            .await
            .map_err(|_| Lost::Silent)??)
    }
}

fn event_loop(terms: &Terms) -> EventLoop {
    let address = &terms.address;
    // `rumqttc` joins host and port to one text.
    let plain_v6 = address.tls.is_none() && address.host.parse::<std::net::Ipv6Addr>().is_ok();
    let host = if plain_v6 {
        format!("[{}]", address.host)
    } else {
        address.host.clone()
    };
    let mut options = MqttOptions::new(&terms.client_id, host, address.port);
    // Brokers of devices may ask for no user.
    if !terms.user.is_empty() {
        options.set_credentials(&terms.user, &terms.password);
    }
    options
        .set_keep_alive(terms.keep_alive)
        .set_clean_session(true)
        .set_manual_acks(true)
        .set_inflight(terms.in_flight)
        .set_max_packet_size(terms.packet_limit, terms.packet_limit);
    if let Some(will) = terms.will.clone() {
        options.set_last_will(will);
    }
    if let Some(tls) = &address.tls {
        options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls.clone())));
    }
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(terms.patience.as_secs());
    let mut event_loop = EventLoop::new(options, 1);
    event_loop.set_network_options(network);
    event_loop
}
