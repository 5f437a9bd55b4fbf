//! The web servers: the REST surface, and the metrics on a bind of their own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App as WebApp, HttpServer};
use tokio::task::JoinHandle;

use super::StartError;
use crate::app::App;
use crate::config::Config;
use crate::http::{self, LimitSettings, Service, Settings};

type Serving = (ServerHandle, JoinHandle<std::io::Result<()>>);

/// The web servers, running.
pub(super) struct Web {
    /// Where the REST surface is served, with its real port.
    pub(super) http: SocketAddr,
    /// Where the metrics are served, with their real port.
    pub(super) metrics: Option<SocketAddr>,
    pub(super) servers: Vec<Serving>,
}

/// Serves the REST surface, and the metrics where the configuration has a bind for them.
pub(super) fn start(config: &Config, app: &Arc<App>) -> Result<Web, StartError> {
    let surface = Service::new(Arc::clone(app), settings(config)).map_err(StartError::Document)?;
    let (http, serving) = serve(config, surface)?;
    let mut servers = vec![serving];
    let mut metrics = None;
    if let Some(bind) = config.metrics.bind {
        let (address, serving) = serve_metrics(bind, app)?;
        servers.push(serving);
        metrics = Some(address);
    }
    Ok(Web { http, metrics, servers })
}

/// How long a client may take to send the head of a request.
const REQUEST_HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What the REST surface needs to know of the configuration.
fn settings(config: &Config) -> Settings {
    Settings {
        limits: LimitSettings {
            requests_per_minute: config.limits.requests_per_minute,
            sign_ins_per_minute: config.limits.sign_ins_per_minute,
            unlocks_per_minute: config.limits.unlocks_per_minute,
        },
        trusted_proxies: config.http.trusted_proxies.clone(),
    }
}

/// Serves the REST surface.
fn serve(config: &Config, surface: Arc<Service>) -> Result<(SocketAddr, Serving), StartError> {
    let address = config.http.bind;
    let mut server = HttpServer::new(move || {
        let surface = Arc::clone(&surface);
        WebApp::new().configure(move |to| surface.configure(to))
    })
    .client_request_timeout(REQUEST_HEAD_WITHIN)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(config.http.stop_seconds)
    .disable_signals();
    if config.http.workers > 0 {
        server = server.workers(config.http.workers);
    }
    let server = server.bind(address).map_err(|source| cannot_listen(address, source))?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    Ok((bound, (server.handle(), tokio::spawn(server))))
}

/// Serves the metrics.
fn serve_metrics(address: SocketAddr, app: &Arc<App>) -> Result<(SocketAddr, Serving), StartError> {
    let app = Arc::clone(app);
    let server = HttpServer::new(move || {
        let app = Arc::clone(&app);
        WebApp::new().configure(http::metrics(app))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .bind(address)
    .map_err(|source| cannot_listen(address, source))?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    Ok((bound, (server.handle(), tokio::spawn(server))))
}

fn cannot_listen(address: SocketAddr, source: std::io::Error) -> StartError {
    if source.kind() == ErrorKind::AddrInUse {
        StartError::PortTaken { address }
    } else {
        StartError::Listen { address, source }
    }
}
