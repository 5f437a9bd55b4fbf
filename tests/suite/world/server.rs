//! The real server, with everything in it, on any free ports.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorward::app::App;
use doorward::config::{Config, SecretText};
use doorward::crypto::keys::KeyStore;
use doorward::crypto::random::OsRandom;
use doorward::domain::time::Clock as _;
use doorward::server::{Server, Sources, key_lives, open_vault};
use tempfile::TempDir;

use super::{HandClock, Http, Landlord, PASSWORD, Person};
use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::wait;

/// A running server with a state folder of its own. Dropped, it stops.
pub struct TestServer {
    /// The way to it, for raw requests.
    pub http: Http,
    /// The time that it goes by.
    pub clock: HandClock,
    config: Config,
    server: Option<Server>,
    _state: TempDir,
}

impl TestServer {
    /// Starts a server on this database, with limits that no story meets by chance.
    pub async fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, |_| {}).await
    }

    /// Starts one with a configuration that `adjust` has changed.
    pub async fn start_with(database: &TestDatabase, adjust: impl FnOnce(&mut Config)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut config = configuration(database, state.path());
        adjust(&mut config);
        let clock = HandClock::new();
        let server = start(&config, &clock).await;
        // A lock knows the broker by its port, and finds it there after a restart.
        config.mqtt.embedded.bind.set_port(server.broker().port);
        Self {
            http: Http::to(server.http()),
            clock,
            config,
            server: Some(server),
            _state: state,
        }
    }

    /// Another node of the same backend, at the same external broker, by the same clock.
    pub async fn another_node(&self, node: &str) -> Self {
        let mut config = self.config.clone();
        node.clone_into(&mut config.mqtt.node);
        node.clone_into(&mut config.mqtt.external.username);
        config.mqtt.external.password = SecretText::from(format!("password of {node}"));
        let server = start(&config, &self.clock).await;
        Self {
            http: Http::to(server.http()),
            clock: self.clock.clone(),
            config,
            server: Some(server),
            _state: tempfile::tempdir().unwrap(),
        }
    }

    /// Stops the server and starts it again on the same state.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// As [`Self::restart`], with a configuration that `adjust` has changed meanwhile.
    pub async fn restart_with(&mut self, adjust: impl FnOnce(&mut Config)) {
        self.stop().await;
        adjust(&mut self.config);
        let server = start(&self.config, &self.clock).await;
        self.http.move_to(server.http());
        self.server = Some(server);
    }

    /// Stops the server; [`Self::restart`] starts it again.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            wait::soon("the server to stop", server.stop()).await;
        }
    }

    /// The signing keys, as a command beside the server opens them.
    pub fn keys(&self) -> KeyStore {
        let vault = open_vault(&self.config).unwrap();
        KeyStore::open_existing(vault, &self.config.issuer(), key_lives(&self.config), self.clock.now()).unwrap()
    }

    /// The use cases, for what people do on the machine itself.
    pub fn app(&self) -> &Arc<App> {
        self.server.as_ref().unwrap().app()
    }

    /// The folder in which its adapters have theirs.
    pub fn adapters_dir(&self) -> PathBuf {
        self.config.adapters_dir()
    }

    /// Where devices connect.
    pub fn devices(&self) -> SocketAddr {
        self.server.as_ref().unwrap().devices().unwrap()
    }

    /// Where its metrics are.
    pub fn metrics(&self) -> SocketAddr {
        self.server.as_ref().unwrap().metrics().unwrap()
    }

    /// A landlord with an organization of their own, signed in.
    pub async fn landlord(&self, name: &str) -> Landlord {
        let email = format!("{name}@landlords.example");
        let (organization, _) = self
            .app()
            .add_landlord(
                format!("{name}'s houses").try_into().unwrap(),
                email.parse().unwrap(),
                name.to_owned().try_into().unwrap(),
                PASSWORD.parse().unwrap(),
            )
            .await
            .unwrap();
        let person = Person::sign_in(&self.http, name, &email).await;
        Landlord::new(person, organization.to_string(), self.clock.clone())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(self.stop()));
    }
}

async fn start(config: &Config, clock: &HandClock) -> Server {
    let sources = Sources {
        clock: Arc::new(clock.clone()),
        random: Arc::new(OsRandom),
    };
    let server = Server::start(config, sources).await.unwrap();
    wait::until("the way to the broker", async || {
        server.app().readiness().await.is_ready()
    })
    .await;
    server
}

/// Small, local, and patient: tokens outlive the hours that stories skip.
fn configuration(database: &TestDatabase, folder: &Path) -> Config {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config {
        state_dir: folder.join("state"),
        issuer: "https://doors.example".to_owned(),
        ..Config::default()
    };
    config.database.url = SecretText::from(database.url_text());
    config.database.readers = 2;
    config.database.writers = 4;
    config.http.bind = any_port;
    config.http.public_url = "https://doors.example".to_owned();
    config.http.workers = 2;
    config.http.stop_seconds = 1;
    config.metrics.bind = Some(any_port);
    config.mqtt.embedded.bind = any_port;
    config.mqtt.embedded.public_host = Ipv4Addr::LOCALHOST.to_string();
    // TLS goes by the machine's own time, for which a certificate that was issued by the tests' clock may have ended.
    let certificates = Certificates::new();
    let file = |name: &str, pem: &str| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        Some(path)
    };
    config.mqtt.embedded.certificate_file = file("broker.pem", &certificates.certificate_pem);
    config.mqtt.embedded.key_file = file("broker.key", &certificates.key_pem);
    config.mqtt.embedded.ca_file = file("authority.pem", &certificates.authority_pem);
    config.sessions.access_minutes = 24 * 60;
    config.limits.requests_per_minute = 1_000_000;
    config.limits.sign_ins_per_minute = 1_000_000;
    config.limits.unlocks_per_minute = 1_000_000;
    config
}
