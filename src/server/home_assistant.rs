//! The bridge to the operator's Home Assistant, where there is one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::brokers::read_authority;
use crate::app::App;
use crate::app::shown::Shown;
use crate::bridge::{self, BridgeOptions};
use crate::config::Config;
use crate::crypto::random::Random;
use crate::domain::ids::BadId;
use crate::mqtt::address::{BrokerAddress, trusting};

/// How long after a panic the bridge begins anew.
const PAUSE: Duration = Duration::from_secs(5);

/// What the configuration says of the bridge; `None` where there is none.
pub(super) fn bridge(config: &Config) -> Result<Option<BridgeOptions>, StartError> {
    let home = &config.home_assistant;
    if !home.is_on() {
        return Ok(None);
    }
    let url = home.broker_url()?;
    let tls = match (&home.ca_file, url.tls) {
        (Some(file), true) => Some(trusting(read_authority(file)?.as_bytes())?),
        (None, true) => return Err(StartError::NoAuthority),
        (_, false) => None,
    };
    let commands = match home.commands {
        true => Some(named("service_account", home.service_account.parse())?),
        false => None,
    };
    Ok(Some(BridgeOptions {
        address: BrokerAddress {
            host: url.host,
            port: url.port,
            tls,
        },
        user: home.username.clone(),
        password: home.password.expose().to_owned(),
        keep_alive: Duration::from_secs(config.mqtt.keep_alive_seconds),
        discovery_prefix: home.discovery_prefix.clone(),
        base_topic: home.base_topic.clone(),
        shown: Shown {
            organizations: named(
                "organizations",
                home.organizations.iter().map(|id| id.parse()).collect(),
            )?,
            properties: named("properties", home.properties.iter().map(|id| id.parse()).collect())?,
        },
        commands,
    }))
}

fn named<T>(key: &'static str, parsed: Result<T, BadId>) -> Result<T, StartError> {
    parsed.map_err(|source| StartError::HomeAssistant { key, source })
}

/// Runs the bridge until the server stops, and on after a panic.
pub(super) async fn keep(options: BridgeOptions, app: Arc<App>, random: Arc<dyn Random>, stop: CancellationToken) {
    loop {
        let run = bridge::run(&options, &app, &random, &stop);
        if AssertUnwindSafe(run).catch_unwind().await.is_ok() {
            return;
        }
        app.metrics().task_restarts.inc();
        let _ = stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}
