//! The backend as `serve` runs it, with reference locks that verify, count and sign.

use std::net::SocketAddr;
use std::time::Duration;

use doorward::agent::controller::ReferenceLock;
use doorward::config::Config;
use doorward::server::{Server, Sources};
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;

use super::{Client, EMAIL, Failure, Landlord, PASSWORD, start_lock};

/// How many connections prepare the building.
const BUILDERS: usize = 8;
/// How long the locks may take to be there.
const SOON: Duration = Duration::from_secs(20);

/// A door to ask for.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where.
    pub path: String,
    /// By which right; empty for none.
    pub token: String,
}

/// The running backend with its locks.
pub struct Real {
    server: Server,
    locks: Vec<ReferenceLock>,
    /// What to ask for.
    pub doors: Vec<Door>,
    folder: TempDir,
}

impl Real {
    /// Starts it, with this many tenants, each with a door of their own.
    pub async fn start(doors: usize) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let server = Server::start(&config(&folder), Sources::machine()).await?;
        server
            .app()
            .add_landlord(
                "Bench".to_owned().try_into()?,
                EMAIL.parse()?,
                "Bench Landlord".to_owned().try_into()?,
                PASSWORD.parse()?,
            )
            .await?;
        let http = server.http();
        let mut landlord = Landlord::sign_in(http).await?;
        let building = landlord.add_building().await?;
        let homes: Vec<_> = futures_util::stream::iter(0..doors)
            .map(|number| {
                let (landlord, building) = (&landlord, &building);
                async move { landlord.again(http).await?.add_home(building, number).await }
            })
            .buffer_unordered(BUILDERS)
            .try_collect()
            .await?;
        let mut locks = Vec::with_capacity(doors);
        let mut asked = Vec::with_capacity(doors);
        let mut tls = None;
        for (token, enrolled) in homes {
            let shared = match &tls {
                Some(shared) => std::sync::Arc::clone(shared),
                None => std::sync::Arc::clone(tls.insert(enrolled.tls()?)),
            };
            let lock = start_lock(enrolled, shared).await?;
            let path = format!("/v1/locks/{}/unlock", lock.id());
            asked.push(Door { path, token });
            locks.push(lock);
        }
        for lock in &locks {
            // Connected, and its clock set: its hello was heard and answered.
            tokio::time::timeout(
                SOON,
                lock.view()
                    .wait_for(|view| view.is_connected && view.acknowledged == view.events),
            )
            .await??;
        }
        let mut client = Client::connect(http).await?;
        for door in &asked {
            client.post(&door.path, &door.token, &serde_json::json!({})).await?;
        }
        Ok(Self {
            server,
            locks,
            doors: asked,
            folder,
        })
    }

    /// Where it is asked.
    pub fn http(&self) -> SocketAddr {
        self.server.http()
    }

    /// The file of its database.
    #[allow(dead_code, reason = "not every bench looks into it")]
    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("doorward.db")
    }

    /// Its use cases.
    #[allow(dead_code, reason = "not every bench asks them")]
    pub fn app(&self) -> &std::sync::Arc<doorward::app::App> {
        self.server.app()
    }

    /// Stops locks and backend.
    pub async fn stop(self) {
        futures_util::future::join_all(self.locks.into_iter().map(ReferenceLock::stop)).await;
        self.server.stop().await;
    }
}

/// The defaults, on free ports, with budgets that a bench does not use up.
fn config(folder: &TempDir) -> Config {
    let mut config = Config {
        state_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.bind = free_port;
    config.metrics.bind = None;
    config.mqtt.embedded.bind = free_port;
    config.limits.requests_per_minute = 1_000_000;
    config.limits.sign_ins_per_minute = 1_000_000;
    config.limits.unlocks_per_minute = 1_000_000;
    // Tokens of the beginning are asked with at the end.
    config.sessions.access_minutes = 1440;
    config
}
