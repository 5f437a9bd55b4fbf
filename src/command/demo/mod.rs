//! `doorward demo`: everything on this machine, to try it on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorward::config::{Config, LogFormat};
use doorward::crypto::random::{OsRandom, Random};
use doorward::server::{Server, Sources, logging};

use super::{Outcome, say, told_to_stop};

mod building;
mod doors;
mod guide;
mod memory;

use memory::Memory;

/// How long the two locks may take to come online.
const ONLINE_WITHIN: Duration = Duration::from_secs(30);

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// The folder for everything. A second start goes on with what is there.
    #[arg(long, value_name = "DIR", default_value = "doorward-demo")]
    dir: PathBuf,
    /// Where the REST surface is served.
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    http: SocketAddr,
    /// Where locks connect, over TLS.
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8883)))]
    mqtts: SocketAddr,
    /// Print one JSON object for scripts instead of the guide.
    #[arg(long)]
    json: bool,
}

impl Demo {
    /// Runs the demo until it is told to stop.
    pub async fn run(self) -> Outcome {
        let config = self.config();
        logging::start(&config.log)?;
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let server = Server::start(&config, Sources::machine()).await?;
        let base_url = format!("http://{}", server.http());
        let memory = match Memory::read(&self.dir)? {
            Some(memory) => memory,
            None if server.app().has_landlord().await? => {
                return Err(format!(
                    "{} holds a backend that no demo has finished setting up: remove it, or name another --dir",
                    self.dir.display()
                )
                .into());
            }
            None => {
                let memory = building::set_up(server.app(), &base_url, &self.dir, random.as_ref()).await?;
                memory.write(&self.dir)?;
                memory
            }
        };
        let doors = doors::start(&memory, &self.dir, server.broker(), &random).await?;
        doors.online(ONLINE_WITHIN).await?;
        let guide = guide::Guide {
            memory: &memory,
            base_url: &base_url,
            broker: server.broker(),
            ca_file: &config.tls_dir().join("ca.pem"),
            dir: &self.dir,
        };
        say(&if self.json { guide.json() } else { guide.text() });
        told_to_stop().await?;
        doors.stop().await;
        server.stop().await;
        Ok(())
    }

    fn config(&self) -> Config {
        let mut config = Config {
            state_dir: self.dir.clone(),
            issuer: "doorward-demo".to_owned(),
            ..Config::default()
        };
        config.http.bind = self.http;
        config.http.allow_plain_http_on_network = !self.http.ip().is_loopback();
        config.metrics.bind = None;
        config.mqtt.embedded.bind = self.mqtts;
        config.mqtt.embedded.public_host = match self.mqtts.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST).to_string(),
            ip => ip.to_string(),
        };
        config.mqtt.embedded.certificate_names = vec!["localhost".to_owned()];
        config.log.format = LogFormat::Human;
        config.log.level = "warn".to_owned();
        config
    }
}
