//! Composition root: opens, wires, starts, stops.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::credentials::BrokerGate;
use crate::app::letters::Letters;
use crate::app::webhooks::Webhooks;
use crate::app::{App, BrokerAddress, Issuer, Metrics, Parts, Settings};
use crate::config::{Config, MqttMode};
use crate::crypto::password::Passwords;
use crate::crypto::random::Random;
use crate::domain::pass::Lives;
use crate::domain::relay::Relay;
use crate::domain::time::Clock;
use crate::http;
use crate::inbox::LockInbox;
use crate::mqtt::broker::Broker;
use crate::mqtt::link::{Link, LinkOptions};
use crate::mqtt::topics::{NodeName, Topics};
use crate::store::{self, DatabaseUrl, Db};

mod adapters;
pub mod backup;
mod brokers;
mod clock;
mod descriptors;
mod endings;
mod error;
mod home_assistant;
mod installation;
mod keys;
pub mod logging;
mod mail;
mod offline;
mod timers;
mod web;
mod webhooks;

use web::Web;

pub use clock::MachineClock;
pub use error::StartError;
pub use keys::{key_lives, open_vault};
pub use offline::offline_app;

/// Where time and randomness come from.
#[derive(Clone)]
pub struct Sources {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl Sources {
    /// The machine's own.
    #[must_use]
    pub fn machine() -> Self {
        Self {
            clock: Arc::new(MachineClock),
            random: Arc::new(crate::crypto::random::OsRandom),
        }
    }
}

/// The running backend.
pub struct Server {
    app: Arc<App>,
    db: Db,
    web: Web,
    broker_address: BrokerAddress,
    link: Option<Arc<Link>>,
    broker: Option<Broker>,
    devices: Option<SocketAddr>,
    adapters: JoinSet<()>,
    timers: JoinSet<()>,
    stop: CancellationToken,
}

impl Server {
    /// Opens the database, makes what is missing in the state folder, and starts everything that `config` says.
    ///
    /// # Errors
    /// [`StartError`], which names what is in the way: a folder in use, a port taken, keys open to others.
    pub async fn start(config: &Config, sources: Sources) -> Result<Self, StartError> {
        let Sources { clock, random } = sources;
        let now = clock.now();
        make_state_folder(config)?;
        let db = open_database(config).await?;
        let issuer = installation::open(&db, config.issuer()).await?;
        installation::note_generation(config, issuer.generation)?;
        let keys = keys::open(config, &issuer.name, random.as_ref(), now)?;
        installation::note_log_key(&db, &keys.log, now).await?;
        installation::make_leaves(&db).await?;
        let passwords = Passwords::start(config.passwords.queue, Arc::clone(&random)).map_err(StartError::Threads)?;
        let topics = Topics::new(&config.mqtt.topic_root)?;
        let node: NodeName = config.mqtt.node.parse()?;

        let desk = adapters::Desk::new(config, random.as_ref());
        let found = match config.mqtt.mode {
            MqttMode::Embedded => {
                descriptors::raise_limit(config.mqtt.embedded.max_connections);
                let password = random.secret();
                let gate = BrokerGate::new(db.clone(), node.as_str().to_owned(), password.expose().as_bytes());
                let gate = gate.letting_in(desk.known(config));
                brokers::embedded(config, &topics, Arc::new(gate), password, now)?
            }
            MqttMode::External => brokers::external(config, &topics, &node, &random)?,
        };
        let settings = settings(config, issuer, found.for_locks.clone());
        let for_adapters = found.for_link.clone();
        let link_options = LinkOptions {
            address: found.for_link,
            user: found.user,
            password: found.password,
            node,
            topics,
            shared_subscriptions: found.shared_subscriptions,
            keep_alive: Duration::from_secs(config.mqtt.keep_alive_seconds),
        };
        let carrier = mail::carrier(config)?;
        let teller = webhooks::teller(config)?;
        let shared_db = db.clone();
        let parts = {
            let (clock, random) = (Arc::clone(&clock), Arc::clone(&random));
            move |relay| Parts {
                db: shared_db,
                clock,
                random,
                passwords,
                keys: keys.signing,
                pin_keys: keys.pins,
                log_key: keys.log,
                factors: keys.factors,
                relay,
                registrar: found.registrar,
                letters: Letters::new(keys.letters, carrier),
                webhooks: Webhooks::new(keys.webhooks, Some(teller), http::event),
                metrics: Arc::new(Metrics::default()),
            }
        };
        let bridge = home_assistant::bridge(config)?;
        let (app, link) = tie(link_options, Arc::clone(&random), |relay| {
            App::new(parts(relay), settings)
        });
        if found.broker.is_some() {
            app.forget_connections().await?;
        }

        let web = web::start(config, &app)?;
        let stop = CancellationToken::new();
        let mut timers = timers::start(&app, &stop);
        timers.spawn(endings::note(config.endings_file(), Arc::clone(&app), stop.clone()));
        if let Some(bridge) = bridge {
            timers.spawn(home_assistant::keep(bridge, Arc::clone(&app), random, stop.clone()));
        }
        if let Some(identity) = found.identity {
            timers.spawn(timers::renew(identity, clock, stop.clone()));
        }
        let adapters = adapters::start(config, desk, for_adapters, &stop).await;
        tracing::info!(http = %web.http, mqtt.host = found.for_locks.host, mqtt.port = found.for_locks.port, "Doorward is ready");
        Ok(Self {
            app,
            db,
            web,
            broker_address: found.for_locks,
            link,
            broker: found.broker,
            devices: found.for_devices,
            adapters,
            timers,
            stop,
        })
    }

    /// The use cases.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Where the REST surface is served, with its real port.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.web.http
    }

    /// Where the metrics are served, with their real port.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.web.metrics
    }

    /// What locks are told about the broker.
    #[must_use]
    pub fn broker(&self) -> &BrokerAddress {
        &self.broker_address
    }

    /// Where devices that do not verify by themselves connect, with its real port.
    #[must_use]
    pub fn devices(&self) -> Option<SocketAddr> {
        self.devices
    }

    /// Waits until a web server ends by itself, which only an error of the system makes it do.
    pub async fn failed(&mut self) {
        let ends = self.web.servers.iter_mut().map(|(_, serving)| serving);
        let (ended, _, _) = futures_util::future::select_all(ends).await;
        tracing::error!(?ended, "a web server has ended");
    }

    /// Stops in order: no new requests, those under way finished, timed work ended, locks told, database closed.
    pub async fn stop(self) {
        self.app.end_following();
        for (handle, _) in &self.web.servers {
            handle.stop(true).await;
        }
        self.stop.cancel();
        self.adapters.join_all().await;
        self.timers.join_all().await;
        if let Some(link) = self.link {
            link.stop().await;
        }
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        self.db.close().await;
        tracing::info!("Doorward has stopped");
    }
}

/// The use cases and the link, tied: the link hands in what locks say, and the use cases send through it.
fn tie(
    options: LinkOptions,
    random: Arc<dyn Random>,
    app: impl FnOnce(Arc<dyn Relay>) -> App,
) -> (Arc<App>, Option<Arc<Link>>) {
    let mut link = None;
    let app = Arc::new_cyclic(|weak: &Weak<App>| {
        let inbox = Arc::new(LockInbox::new(Weak::clone(weak)));
        let started = Arc::new(Link::start(options, inbox, random));
        link = Some(Arc::clone(&started));
        app(started)
    });
    (app, link)
}

/// Makes the state folder where there is none, for this account alone.
fn make_state_folder(config: &Config) -> Result<(), StartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.state_dir)
        .map_err(|source| StartError::StateFolder {
            path: config.state_dir.clone(),
            source,
        })
}

/// What the use cases need to know of the configuration.
fn settings(config: &Config, issuer: Issuer, broker: BrokerAddress) -> Settings {
    Settings {
        public_url: config.public_url(),
        issuer,
        node: config.mqtt.node.clone(),
        token_seconds: config.unlock.token_seconds,
        usual_wait: Duration::from_millis(config.unlock.wait_ms_default),
        pass_lives: Lives {
            tenant: Duration::from_secs(config.passes.tenant_hours * 3600),
            guest: Duration::from_secs(config.passes.guest_hours * 3600),
            vendor: Duration::from_secs(config.passes.vendor_hours * 3600),
        },
        access_life: Duration::from_secs(config.sessions.access_minutes * 60),
        refresh_life: Duration::from_secs(config.sessions.refresh_days * 24 * 3600),
        broker,
    }
}

/// Opens the database that `config` names and brings it up to date.
///
/// # Errors
/// [`StartError::Store`] and [`StartError::DatabaseUrl`].
pub async fn open_database(config: &Config) -> Result<Db, StartError> {
    let url: DatabaseUrl = config.database_url().expose().parse()?;
    if let Some(place) = url.file() {
        backup::refuse_broken_off(place)?;
    }
    let options = store::Options {
        readers: config.database.readers,
        writers: config.database.writers,
        queue: config.database.queue,
        lock_wait: Duration::from_millis(config.database.lock_wait_ms),
    };
    // Opening blocks until a connection stands.
    let db = tokio::task::spawn_blocking(move || Db::open(&url, &options))
        .await
        .map_err(|_| StartError::Threads(std::io::Error::other("the thread that opened the database panicked")))??;
    let steps = db.migrate(store::MIGRATIONS).await?;
    if !steps.is_empty() {
        tracing::info!(steps = steps.len(), "the database is brought up to date");
    }
    Ok(db)
}
