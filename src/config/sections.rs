//! The sections of the configuration, with their defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret_text::SecretText;

/// The REST surface and the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where plain HTTP is served, for a reverse proxy that adds TLS.
    pub bind: SocketAddr,
    /// Whether `bind` may be an address that others reach, where everybody on the way reads passwords.
    pub allow_plain_http_on_network: bool,
    /// The address under which phones reach it, such as `https://door.example`; the bind's where it is empty.
    pub public_url: String,
    /// Threads that serve requests; 0 for one a core.
    pub workers: usize,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long requests may go on after the signal to stop, in seconds.
    pub stop_seconds: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: loopback(8080),
            allow_plain_http_on_network: false,
            public_url: String::new(),
            workers: 0,
            trusted_proxies: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            stop_seconds: 20,
        }
    }
}

/// Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where `/metrics` is served; nowhere where it is empty.
    #[serde(with = "maybe_empty")]
    pub bind: Option<SocketAddr>,
    /// Whether `bind` may be an address that others reach.
    pub allow_on_network: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            bind: Some(loopback(9464)),
            allow_on_network: false,
        }
    }
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; a SQLite file in the state folder where it is empty.
    pub url: SecretText,
    /// Connections that read.
    pub readers: usize,
    /// Connections that write, on Postgres; SQLite has one.
    pub writers: usize,
    /// The most reads and the most writes that wait; more are answered 503.
    pub queue: usize,
    /// How long a statement waits for a lock, in milliseconds.
    pub lock_wait_ms: u64,
    /// Where it is noted, outside the database, what has ended; `endings.jsonl` in the state folder where it is empty.
    #[serde(with = "maybe_empty")]
    pub endings_file: Option<PathBuf>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: SecretText::default(),
            readers: 4,
            writers: 8,
            queue: 4096,
            lock_wait_ms: 2000,
            endings_file: None,
        }
    }
}

/// Signing keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The age at which a signing key is replaced, in days.
    pub rotate_days: u64,
    /// How long the key before still counts then, in days: longer than any offline pass.
    pub overlap_days: u64,
    /// How long a key counts where it is never replaced, in days: the root key is kept elsewhere, and nobody rotates.
    pub life_days: u64,
    /// The key under which key files are sealed, such as a credential of systemd; a file of our own in the state folder
    /// where it is empty.
    #[serde(with = "maybe_empty")]
    pub encryption_key_file: Option<PathBuf>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            rotate_days: 90,
            overlap_days: 14,
            life_days: 365,
            encryption_key_file: None,
        }
    }
}

/// Which broker locks connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum MqttMode {
    /// The one inside this process.
    Embedded,
    /// One that the operator runs.
    External,
}

impl TryFrom<String> for MqttMode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "embedded" => Ok(Self::Embedded),
            "external" => Ok(Self::External),
            _ => Err("expected `embedded` or `external`"),
        }
    }
}

/// The broker, and this node's place at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// Which broker.
    pub mode: MqttMode,
    /// What every topic begins with.
    pub topic_root: String,
    /// The name of this node: 1 to 32 of `a-z 0-9 -`, another for every node on one database.
    pub node: String,
    /// How often an idle connection is pinged, in seconds.
    pub keep_alive_seconds: u64,
    /// Read where the mode is `embedded`.
    pub embedded: EmbeddedBroker,
    /// Read where the mode is `external`.
    pub external: ExternalBroker,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            mode: MqttMode::Embedded,
            topic_root: "doorward/v1".to_owned(),
            node: "node-1".to_owned(),
            keep_alive_seconds: 15,
            embedded: EmbeddedBroker::default(),
            external: ExternalBroker::default(),
        }
    }
}

/// The broker inside this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedBroker {
    /// Where TLS is served, for locks.
    pub bind: SocketAddr,
    /// Where plain TCP is served too, for tools on this machine; nowhere where it is empty.
    #[serde(with = "maybe_empty")]
    pub plain_bind: Option<SocketAddr>,
    /// The host name or address by which locks find it.
    pub public_host: String,
    /// The port by which locks find it; the bind's where it is 0.
    pub public_port: u16,
    /// Further host names and addresses for the certificate.
    pub certificate_names: Vec<String>,
    /// The operator's certificate chain in PEM; one by our own authority where it is empty.
    #[serde(with = "maybe_empty")]
    pub certificate_file: Option<PathBuf>,
    /// The private key to it, in PEM.
    #[serde(with = "maybe_empty")]
    pub key_file: Option<PathBuf>,
    /// The certificate authority that locks are told to trust, with a certificate of the operator's own.
    #[serde(with = "maybe_empty")]
    pub ca_file: Option<PathBuf>,
    /// Where plain TCP is served for devices that do not verify by themselves, and for nobody else; nowhere where it is
    /// empty.
    #[serde(with = "maybe_empty")]
    pub devices_bind: Option<SocketAddr>,
    /// Whether `devices_bind` may be an address that others reach, where everybody on the way reads what is said.
    pub allow_plain_devices_on_network: bool,
    /// These devices.
    pub devices: Vec<Device>,
    /// The most connections.
    pub max_connections: usize,
}

/// What a device speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum DeviceDialect {
    /// A Nuki by itself.
    #[default]
    Nuki,
    /// A Zigbee2MQTT bridge.
    Zigbee2mqtt,
    /// An ESPHome node.
    Esphome,
    /// Whatever its Home Assistant discovery says.
    Discovery,
}

impl TryFrom<String> for DeviceDialect {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "nuki" => Ok(Self::Nuki),
            "zigbee2mqtt" => Ok(Self::Zigbee2mqtt),
            "esphome" => Ok(Self::Esphome),
            "discovery" => Ok(Self::Discovery),
            _ => Err("expected `nuki`, `zigbee2mqtt`, `esphome` or `discovery`"),
        }
    }
}

/// A device, or a bridge of some, at the broker inside this process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// Its user name.
    pub user: String,
    /// Its password.
    pub password: SecretText,
    /// A file with the password, instead of it.
    #[serde(with = "maybe_empty")]
    pub password_file: Option<PathBuf>,
    /// What it speaks: which of its topics are commands.
    pub dialect: DeviceDialect,
    /// What its topics begin with.
    pub base: String,
    /// Filters of further topics that it may publish to, such as where it describes itself.
    pub also: Vec<String>,
    /// Filters of further topics that are commands to it.
    pub commands: Vec<String>,
}

/// Adapters that run inside this process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adapters {
    /// Whether every folder in the state folder's `adapters` is one to run.
    pub run: bool,
}

impl Default for EmbeddedBroker {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8883)),
            plain_bind: None,
            public_host: "localhost".to_owned(),
            public_port: 0,
            certificate_names: Vec::new(),
            certificate_file: None,
            key_file: None,
            ca_file: None,
            devices_bind: None,
            allow_plain_devices_on_network: false,
            devices: Vec::new(),
            max_connections: 20_000,
        }
    }
}

impl EmbeddedBroker {
    /// The port by which locks find it.
    #[must_use]
    pub fn advertised_port(&self) -> u16 {
        if self.public_port == 0 {
            self.bind.port()
        } else {
            self.public_port
        }
    }

    /// Every name for the certificate: the public host first.
    #[must_use]
    pub fn all_names(&self) -> Vec<String> {
        std::iter::once(&self.public_host)
            .chain(&self.certificate_names)
            .cloned()
            .collect()
    }
}

/// Who tells an external broker which locks to let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum BrokerCredentials {
    /// This backend tells a mosquitto's Dynamic Security plugin.
    #[default]
    DynamicSecurity,
    /// The operator, by hand.
    Manual,
}

impl TryFrom<String> for BrokerCredentials {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "dynamic-security" => Ok(Self::DynamicSecurity),
            "manual" => Ok(Self::Manual),
            _ => Err("expected `dynamic-security` or `manual`"),
        }
    }
}

/// A broker that the operator runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalBroker {
    /// `mqtts://HOST:PORT`, or `mqtt://HOST:PORT` without TLS ([`super::BrokerUrl`]).
    pub url: String,
    /// Whether `mqtt://` may lead to another machine, where everybody on the way reads this node's password.
    pub allow_plain_on_network: bool,
    /// The user name of the backend at the broker.
    pub username: String,
    /// Its password.
    pub password: SecretText,
    /// A file with the password, instead of it.
    #[serde(with = "maybe_empty")]
    pub password_file: Option<PathBuf>,
    /// Who tells the broker which locks to let in.
    pub credentials: BrokerCredentials,
    /// The certificate authority of the broker, in PEM: for this backend, and what locks are told to trust.
    #[serde(with = "maybe_empty")]
    pub ca_file: Option<PathBuf>,
    /// Whether the broker has shared subscriptions that deliver: nodes then share what is for any of them.
    pub shared_subscriptions: bool,
    /// The host by which locks find the broker; the URL's where it is empty.
    pub lock_host: String,
    /// The port by which locks find the broker over TLS; the URL's where it is 0.
    pub lock_port: u16,
}

/// Unlock tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Unlock {
    /// How long a token lives, in seconds: 2 to 30.
    pub token_seconds: u64,
    /// How long an answer waits for the lock where the caller does not say, in milliseconds: 0 to 15000.
    pub wait_ms_default: u64,
}

impl Default for Unlock {
    fn default() -> Self {
        Self {
            token_seconds: 10,
            wait_ms_default: 8000,
        }
    }
}

/// Offline passes: how long a phone opens doors while this backend or the lock's connection is away, and for how long a lock
/// that cannot be told of a revocation may go on opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passes {
    /// The life of a tenant's, in hours: 0 for none, at most 168.
    pub tenant_hours: u64,
    /// The life of a guest's, in hours: 0 for none, at most 168.
    pub guest_hours: u64,
    /// The life of a vendor's, in hours: 0 for none, at most 168.
    pub vendor_hours: u64,
}

impl Default for Passes {
    fn default() -> Self {
        Self {
            tenant_hours: 72,
            guest_hours: 12,
            vendor_hours: 2,
        }
    }
}

/// Sign-ins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// How long an access token lives, in minutes.
    pub access_minutes: u64,
    /// How long a phone stays signed in without being used, in days.
    pub refresh_days: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            access_minutes: 15,
            refresh_days: 30,
        }
    }
}

/// Hashing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    /// The most passwords that wait to be hashed, at 15 to 20 ms each; more are answered 503.
    pub queue: usize,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { queue: 128 }
    }
}

/// How much one caller may ask before the answer is 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute of one session, or of one address without a session.
    pub requests_per_minute: u32,
    /// From one address, a minute: sign-ins and refreshes; accepted invitations; enrolments. Each has this budget for itself.
    pub sign_ins_per_minute: u32,
    /// Unlock and lock commands a minute of one person: a budget of their own, so that nothing else uses it up.
    pub unlocks_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: 600,
            sign_ins_per_minute: 30,
            unlocks_per_minute: 60,
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("expected `human` or `json`"),
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The least that is logged: `error`, `warn`, `info`, `debug` or `trace`; by part as `info,doorward::mqtt=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            level: "info".to_owned(),
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A value that an empty text stands for the lack of: TOML has no null, and the example file names every key.
pub(super) mod maybe_empty {
    use std::str::FromStr;

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            Ok(None)
        } else {
            text.parse().map(Some).map_err(serde::de::Error::custom)
        }
    }
}
