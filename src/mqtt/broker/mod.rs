//! The embedded MQTT broker: `mqtt5` behind an accept loop of our own, because its own loop waits for one silent client
//! at a time. `mqtt5` is fenced in here; the same behaviour suite runs against this and against mosquitto.
//!
//! Nothing is stored; every session is a clean one and ends with its connection. Nothing is retained but what devices say
//! of themselves, in memory.

mod door;
mod guest;
mod hall;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use mqtt5::broker::config::BrokerConfig;
use mqtt5::broker::resource_monitor::{ResourceLimits, ResourceMonitor};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::QueueLimits;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::LockId;
use crate::domain::relay::{Credentials, Registrar, RelayAway};

use super::topics::Topics;
use door::Door;
use guest::{House, Pace};
use hall::{Entrance, Hall};

/// How often what is left of ended sessions is swept up.
const SWEEP: Duration = Duration::from_secs(60);
/// Longest wait for the connections to end when the broker stops.
const GOODBYE: Duration = Duration::from_secs(5);
/// How many messages devices may leave with it: further ones are refused.
const RETAINED: usize = 4096;
/// Connections that the kernel may hold while we are busy: thousands of locks come back at once.
const BACKLOG: u32 = 4096;

/// Where the broker listens and how much it takes.
pub struct BrokerOptions {
    /// Addresses for plain TCP, for nodes of the backend on this machine. Port 0 takes any free port.
    pub plain: Vec<SocketAddr>,
    /// Address and certificate for TLS, for locks. Port 0 takes any free port.
    pub tls: Option<(SocketAddr, Arc<ServerConfig>)>,
    /// Address for plain TCP, for devices that do not verify by themselves and for nobody else: many cannot speak TLS.
    pub devices: Option<SocketAddr>,
    /// The topics' names.
    pub topics: Topics,
    /// How much it takes.
    pub limits: Limits,
}

/// How much the broker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at each way in (plain and TLS), signed in or not; further ones are closed at once.
    pub connections: usize,
    /// Connections at each way in that have not signed in yet; further ones wait, and push out those that dawdle.
    pub arrivals: usize,
    /// How long a connection may take to sign in while others wait for its place.
    pub dawdle: Duration,
    /// Longest packet, in bytes; a longer one ends its connection.
    pub packet_bytes: usize,
    /// Messages that may wait for one client that does not read; then the oldest go.
    pub waiting: usize,
    /// Messages a second that one lock may publish in the long run, and at once after a second of silence; a faster
    /// one is read more slowly.
    pub messages_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            arrivals: 1024,
            dawdle: Duration::from_secs(2),
            packet_bytes: 16 * 1024,
            waiting: 4096,
            messages_per_second: 1000,
        }
    }
}

/// The broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Something else listens there.
    #[error("cannot listen for MQTT on {address}: the port is taken")]
    Taken {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Another reason, such as an address that is not this machine's.
    #[error("cannot listen for MQTT on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Its threads could not be started.
    #[error("cannot start the broker's threads")]
    Threads(#[source] io::Error),
}

/// The running broker. Dropped, it closes everything at once; [`Broker::stop`] lets clients know.
pub struct Broker {
    runtime: Option<Runtime>,
    house: Arc<House>,
    plain: Vec<SocketAddr>,
    tls: Option<SocketAddr>,
    devices: Option<SocketAddr>,
    stop: CancellationToken,
    /// Closed when the last connection's task is gone.
    open: mpsc::Receiver<()>,
}

/// A handle to the broker's sessions; cheap to clone. As a [`Registrar`] it only ends them: whom to let in, the broker
/// asks its [`Credentials`] at every sign-in.
#[derive(Clone)]
pub struct BrokerSessions {
    house: Arc<House>,
}

impl Broker {
    /// Listens, and serves on two threads of its own until it is stopped. `credentials` say who may come in.
    ///
    /// # Errors
    /// [`BrokerError`] where an address cannot be listened on; nothing is left running then.
    pub fn start(options: BrokerOptions, credentials: Arc<dyn Credentials>) -> Result<Self, BrokerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("broker")
            .enable_all()
            .build()
            .map_err(BrokerError::Threads)?;
        let listening = {
            let _entered = runtime.enter();
            Listening::open(&options)
        };
        let Listening { plain, tls, devices } = match listening {
            Ok(listening) => listening,
            Err(error) => {
                // A runtime must not be dropped where the caller is asynchronous.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let local = |listener: &TcpListener| listener.local_addr().ok();
        let plain_addresses = plain.iter().filter_map(local).collect();
        let devices_address = devices.as_ref().and_then(local);
        let tls_address = tls.as_ref().and_then(|(listener, _)| local(listener));

        let stop = CancellationToken::new();
        let limits = options.limits;
        let house = Arc::new(House::new(
            options.topics,
            Pace::per_second(limits.messages_per_second),
            credentials,
            router(limits),
        ));
        let (opened, open) = mpsc::channel(1);
        let hall = Arc::new(Hall {
            config: Arc::new(config(limits, Arc::clone(&house))),
            resources: Arc::new(ResourceMonitor::new(unlimited())),
            house: Arc::clone(&house),
            shutdown: broadcast::channel(1).0,
            _open: opened,
        });
        // Doors of their own: whatever goes on at the one for locks, the nodes come in.
        let door = || Arc::new(Door::new(limits.connections, limits.arrivals, limits.dawdle));
        let nodes = Entrance {
            door: door(),
            tls: None,
            is_for_devices: false,
        };
        if let Some(listener) = devices {
            let devices = Entrance {
                door: door(),
                tls: None,
                is_for_devices: true,
            };
            runtime.spawn(Arc::clone(&hall).accept(listener, devices, stop.clone()));
        }
        for listener in plain {
            runtime.spawn(Arc::clone(&hall).accept(listener, nodes.clone(), stop.clone()));
        }
        if let Some((listener, acceptor)) = tls {
            let locks = Entrance {
                door: door(),
                tls: Some(acceptor),
                is_for_devices: false,
            };
            runtime.spawn(Arc::clone(&hall).accept(listener, locks, stop.clone()));
        }
        runtime.spawn(sweep(Arc::clone(&house), stop.clone()));
        Ok(Self {
            runtime: Some(runtime),
            house,
            plain: plain_addresses,
            tls: tls_address,
            devices: devices_address,
            stop,
            open,
        })
    }

    /// The plain TCP addresses, with their real ports, in the order asked for.
    #[must_use]
    pub fn plain(&self) -> &[SocketAddr] {
        &self.plain
    }

    /// The TLS address, with its real port.
    #[must_use]
    pub fn tls(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// The address for devices alone, with its real port.
    #[must_use]
    pub fn devices(&self) -> Option<SocketAddr> {
        self.devices
    }

    /// How many clients are signed in.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.house.stats().clients_connected.load(Ordering::Relaxed)
    }

    /// How many messages were dropped because their sender may not publish them.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.house.refused()
    }

    /// A handle to the sessions.
    #[must_use]
    pub fn sessions(&self) -> BrokerSessions {
        BrokerSessions {
            house: Arc::clone(&self.house),
        }
    }

    /// Stops listening, closes every connection and waits up to five seconds for them to end.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // `None` once every task is gone; nothing is ever sent.
        let _ = tokio::time::timeout(GOODBYE, self.open.recv()).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Registrar for BrokerSessions {
    async fn admit(&self, _: &LockId, _: &str) -> Result<(), RelayAway> {
        Ok(())
    }

    async fn end_session(&self, lock: &LockId) -> Result<(), RelayAway> {
        self.house.end(lock).await;
        Ok(())
    }

    async fn expel(&self, lock: &LockId) -> Result<(), RelayAway> {
        self.house.end(lock).await;
        Ok(())
    }
}

/// Sockets that are open and not served yet.
struct Listening {
    plain: Vec<TcpListener>,
    tls: Option<(TcpListener, TlsAcceptor)>,
    devices: Option<TcpListener>,
}

impl Listening {
    fn open(options: &BrokerOptions) -> Result<Self, BrokerError> {
        let plain = options.plain.iter().copied().map(listen).collect::<Result<_, _>>()?;
        let tls = match &options.tls {
            Some((address, config)) => Some((listen(*address)?, TlsAcceptor::from(frugal(config)))),
            None => None,
        };
        let devices = options.devices.map(listen).transpose()?;
        Ok(Self { plain, tls, devices })
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, BrokerError> {
    let open = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BrokerError::Taken { address },
        _ => BrokerError::Listen { address, source },
    })
}

/// The same certificate, and nothing remembered of a client that is gone: sessions are not resumed, and a lock's
/// messages fit one small record.
fn frugal(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_fragment_size = Some(4096);
    Arc::new(config)
}

fn router(limits: Limits) -> Arc<MessageRouter> {
    let queue = QueueLimits {
        max_messages: limits.waiting,
        max_bytes: limits.waiting * limits.packet_bytes / 4,
    };
    let router = MessageRouter::new().with_retained_limits(RETAINED, limits.packet_bytes);
    Arc::new(router.with_fallback_queue_limits(queue))
}

/// Every limit is set: the crate's own defaults let anybody in, take 256 MB packets and write files. Its listeners, its
/// authentication and its storage are not used at all.
fn config(limits: Limits, house: Arc<House>) -> BrokerConfig {
    let mut config = BrokerConfig::new()
        .with_bind_addresses(Vec::new())
        .with_max_clients(limits.connections)
        .with_session_expiry(Duration::ZERO)
        .with_max_packet_size(limits.packet_bytes)
        .with_retain_available(true)
        .with_max_retained_messages(RETAINED)
        .with_max_retained_message_size(limits.packet_bytes)
        // Locks and nodes have no more than four that they may have; an ESPHome node has one an entity.
        .with_max_subscriptions_per_client(64)
        .with_client_channel_capacity(256)
        .with_max_outbound_inflight(1024)
        .with_sys_topics_enabled(false);
    config.auth_config.allow_anonymous = false;
    config.storage_config.enable_persistence = false;
    config.topic_alias_maximum = 0;
    config.server_receive_maximum = Some(64);
    config.event_handler = Some(house);
    config
}

/// The door counts for itself, those that have not signed in too.
fn unlimited() -> ResourceLimits {
    ResourceLimits {
        max_connections: usize::MAX,
        max_connections_per_ip: usize::MAX,
        max_message_rate_per_client: 0,
        max_bandwidth_per_client: 0,
        max_connection_rate: u32::MAX,
        rate_limit_window: Duration::from_secs(1),
    }
}

async fn sweep(house: Arc<House>, stop: CancellationToken) {
    let mut every = tokio::time::interval(SWEEP);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        house.router().sweep_sessions().await;
    }
}
