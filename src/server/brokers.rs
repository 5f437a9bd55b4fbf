//! The broker: the one inside this process, or the operator's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StartError;
use crate::app::BrokerAddress;
use crate::config::{BrokerCredentials, Config};
use crate::crypto::authority::Authority;
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::crypto::tls::{ServerIdentity, Source};
use crate::domain::ids::LockId;
use crate::domain::relay::{Credentials, Registrar, RelayAway};
use crate::domain::time::Timestamp;
use crate::mqtt::address;
use crate::mqtt::broker::{Broker, BrokerOptions, Limits};
use crate::mqtt::dynamic_security::{DynamicSecurity, DynamicSecurityOptions};
use crate::mqtt::topics::{NodeName, Topics};

/// How this node reaches its broker, and what locks are told.
pub(super) struct Found {
    pub(super) broker: Option<Broker>,
    /// The certificate that the broker inside this process shows.
    pub(super) identity: Option<Arc<ServerIdentity>>,
    pub(super) registrar: Arc<dyn Registrar>,
    pub(super) for_link: address::BrokerAddress,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) shared_subscriptions: bool,
    pub(super) for_locks: BrokerAddress,
    /// Where devices connect that have a way of their own, with its real port.
    pub(super) for_devices: Option<SocketAddr>,
}

/// Starts the broker inside this process. This node reaches it over a port of its own on the loopback interface, with
/// a password that nobody else knows.
pub(super) fn embedded(
    config: &Config,
    topics: &Topics,
    gate: Arc<dyn Credentials>,
    password: Secret,
    now: Timestamp,
) -> Result<Found, StartError> {
    let embedded = &config.mqtt.embedded;
    let (source, ca_certificate) = match (&embedded.certificate_file, &embedded.key_file, &embedded.ca_file) {
        (Some(chain), Some(key), Some(ca)) => (
            Source::Files {
                chain: chain.clone(),
                key: key.clone(),
            },
            read_authority(ca)?,
        ),
        _ => {
            let authority = Arc::new(Authority::open(&config.tls_dir(), now)?);
            let pem = authority.pem().to_owned();
            (
                Source::Issued {
                    authority,
                    names: embedded.all_names(),
                },
                pem,
            )
        }
    };
    let identity = ServerIdentity::new(source, now)?;
    let mut plain = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    plain.extend(embedded.plain_bind);
    let broker = Broker::start(
        BrokerOptions {
            plain,
            tls: Some((embedded.bind, identity.server_config()?)),
            devices: embedded.devices_bind,
            topics: topics.clone(),
            limits: Limits {
                connections: embedded.max_connections,
                ..Limits::default()
            },
        },
        gate,
    )?;
    let own_port = broker.plain().first().map_or(0, SocketAddr::port);
    // Port 0 in the configuration means any free one: locks are told which it became.
    let port = match embedded.advertised_port() {
        0 => broker.tls().map_or(0, |address| address.port()),
        port => port,
    };
    let for_locks = BrokerAddress {
        host: embedded.public_host.clone(),
        port,
        ca_certificate,
        topic_root: config.mqtt.topic_root.clone(),
    };
    Ok(Found {
        for_devices: broker.devices(),
        registrar: Arc::new(broker.sessions()),
        broker: Some(broker),
        identity: Some(identity),
        for_link: address::BrokerAddress {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: own_port,
            tls: None,
        },
        user: config.mqtt.node.clone(),
        password: password.expose().to_owned(),
        shared_subscriptions: false,
        for_locks,
    })
}

/// The operator's own broker.
pub(super) fn external(
    config: &Config,
    topics: &Topics,
    node: &NodeName,
    random: &Arc<dyn Random>,
) -> Result<Found, StartError> {
    let external = &config.mqtt.external;
    let url = external.broker_url()?;
    let ca_certificate = external.ca_file.as_deref().map(read_authority).transpose()?;
    let tls = match (&ca_certificate, url.tls) {
        (_, false) => None,
        (Some(pem), true) => Some(address::trusting(pem.as_bytes())?),
        (None, true) => return Err(StartError::NoAuthority),
    };
    let for_locks = BrokerAddress {
        host: if external.lock_host.is_empty() {
            url.host.clone()
        } else {
            external.lock_host.clone()
        },
        port: if external.lock_port == 0 {
            url.port
        } else {
            external.lock_port
        },
        ca_certificate: ca_certificate.ok_or(StartError::NoAuthority)?,
        topic_root: config.mqtt.topic_root.clone(),
    };
    let for_link = address::BrokerAddress {
        host: url.host,
        port: url.port,
        tls,
    };
    let registrar: Arc<dyn Registrar> = match external.credentials {
        BrokerCredentials::DynamicSecurity => {
            let options = DynamicSecurityOptions {
                address: for_link.clone(),
                user: external.username.clone(),
                password: external.password.expose().to_owned(),
                node: node.clone(),
                topics: topics.clone(),
                keep_alive: Duration::from_secs(config.mqtt.keep_alive_seconds),
            };
            Arc::new(DynamicSecurity::start(options, Arc::clone(random)))
        }
        BrokerCredentials::Manual => Arc::new(Operator),
    };
    Ok(Found {
        broker: None,
        identity: None,
        registrar,
        for_link,
        user: external.username.clone(),
        password: external.password.expose().to_owned(),
        shared_subscriptions: external.shared_subscriptions,
        for_devices: None,
        for_locks,
    })
}

/// The registrar of a broker whose users the operator keeps: it tells them what to do.
struct Operator;

#[async_trait]
impl Registrar for Operator {
    async fn admit(&self, lock: &LockId, _: &str) -> Result<(), RelayAway> {
        tracing::warn!(lock.id = %lock, "lock {lock} enrols: give the broker its user name and password by hand");
        Ok(())
    }

    async fn end_session(&self, _: &LockId) -> Result<(), RelayAway> {
        Ok(())
    }

    async fn expel(&self, lock: &LockId) -> Result<(), RelayAway> {
        tracing::warn!(lock.id = %lock, "lock {lock} is in service no more: remove its user from the broker by hand");
        Ok(())
    }
}

pub(super) fn read_authority(path: &std::path::Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|source| StartError::AuthorityFile {
        path: path.to_owned(),
        source,
    })
}
