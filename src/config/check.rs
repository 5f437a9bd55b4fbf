//! What a configuration must be beyond the types of its values; and what it must not open to others.

use std::ops::RangeInclusive;

use super::broker_url::{BrokerUrl, is_loopback_host, split_port};
use super::{Config, ConfigError, DeviceDialect, EmbeddedBroker, ExternalBroker, Http, MqttMode};

/// The longest life of an unlock token in seconds (`docs/PROTOCOL.md`, "`unlock+jwt`").
const TOKEN_SECONDS_MAX: u64 = doorward_lock::wire::MAX_TOKEN_SECONDS;

/// The longest wait of an unlock's answer in milliseconds (`docs/API.md`, "unlock").
const WAIT_MS_MAX: u64 = 15_000;

/// The longest life of an offline pass in hours (`docs/PROTOCOL.md`, "`pass+jwt`").
const PASS_HOURS_MAX: u64 = doorward_lock::wire::MAX_PASS_SECONDS / 3600;

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.http.check()?;
        if self.metrics.bind.is_some_and(|bind| !bind.ip().is_loopback()) && !self.metrics.allow_on_network {
            let why = "metrics would be open to the network; bind to 127.0.0.1, or set metrics.allow_on_network = true";
            return Err(unsafe_value("metrics.bind", why));
        }
        if !self.issuer.bytes().all(is_plain) || self.issuer.len() > 128 {
            return Err(bad(
                "issuer",
                "expected at most 128 printable ASCII characters without quotes and backslashes",
            ));
        }
        for (key, value, allowed) in [
            ("http.stop_seconds", self.http.stop_seconds, 0..=600),
            ("database.readers", self.database.readers as u64, 1..=256),
            ("database.writers", self.database.writers as u64, 1..=256),
            ("database.queue", self.database.queue as u64, 1..=1_000_000),
            ("database.lock_wait_ms", self.database.lock_wait_ms, 10..=60_000),
            ("keys.rotate_days", self.keys.rotate_days, 9..=3650),
            ("keys.overlap_days", self.keys.overlap_days, 8..=3650),
            ("keys.life_days", self.keys.life_days, 17..=36_500),
            ("mqtt.keep_alive_seconds", self.mqtt.keep_alive_seconds, 5..=600),
            (
                "mqtt.embedded.max_connections",
                self.mqtt.embedded.max_connections as u64,
                1..=1_000_000,
            ),
            ("unlock.token_seconds", self.unlock.token_seconds, 2..=TOKEN_SECONDS_MAX),
            ("unlock.wait_ms_default", self.unlock.wait_ms_default, 0..=WAIT_MS_MAX),
            ("passes.tenant_hours", self.passes.tenant_hours, 0..=PASS_HOURS_MAX),
            ("passes.guest_hours", self.passes.guest_hours, 0..=PASS_HOURS_MAX),
            ("passes.vendor_hours", self.passes.vendor_hours, 0..=PASS_HOURS_MAX),
            ("sessions.access_minutes", self.sessions.access_minutes, 1..=1440),
            ("sessions.refresh_days", self.sessions.refresh_days, 1..=400),
            ("passwords.queue", self.passwords.queue as u64, 1..=4096),
            (
                "limits.requests_per_minute",
                self.limits.requests_per_minute.into(),
                1..=1_000_000,
            ),
            (
                "limits.sign_ins_per_minute",
                self.limits.sign_ins_per_minute.into(),
                1..=1_000_000,
            ),
            (
                "limits.unlocks_per_minute",
                self.limits.unlocks_per_minute.into(),
                1..=1_000_000,
            ),
        ] {
            within(key, value, allowed)?;
        }
        if self.keys.overlap_days >= self.keys.rotate_days {
            return Err(bad("keys.overlap_days", "expected fewer days than keys.rotate_days"));
        }
        if self.keys.life_days < self.keys.rotate_days + self.keys.overlap_days {
            return Err(bad(
                "keys.life_days",
                "expected at least keys.rotate_days and keys.overlap_days together",
            ));
        }
        if !self.log.level.split(',').all(is_log_directive) {
            return Err(bad(
                "log.level",
                "expected off, error, warn, info, debug or trace, or PART=LEVEL, with commas",
            ));
        }
        self.home_assistant.check()?;
        self.mail.check()?;
        self.check_mqtt()
    }

    fn check_mqtt(&self) -> Result<(), ConfigError> {
        let level = |level: &str| {
            !level.is_empty()
                && level
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if self.mqtt.topic_root.len() > 64 || !self.mqtt.topic_root.split('/').all(level) {
            return Err(bad(
                "mqtt.topic_root",
                "expected 1 to 64 letters, digits, `-`, `_`, `.` and single inner `/`",
            ));
        }
        let node = &self.mqtt.node;
        let letters = node.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !letters || !(1..=32).contains(&node.len()) || node == "any" {
            return Err(bad(
                "mqtt.node",
                "expected 1 to 32 small letters, digits and `-`, and not `any`",
            ));
        }
        match self.mqtt.mode {
            MqttMode::Embedded => {
                self.mqtt.embedded.check()?;
                self.check_devices()
            }
            MqttMode::External => self.mqtt.external.check(),
        }
    }
}

impl Config {
    fn check_devices(&self) -> Result<(), ConfigError> {
        let embedded = &self.mqtt.embedded;
        let is_open = embedded.devices_bind.is_some_and(|bind| !bind.ip().is_loopback());
        if is_open && !embedded.allow_plain_devices_on_network {
            let why = "the devices' passwords would cross the network in clear, as many devices cannot do otherwise; set \
                       mqtt.embedded.allow_plain_devices_on_network = true where that is the home's own";
            return Err(unsafe_value("mqtt.embedded.devices_bind", why));
        }
        for (at, device) in embedded.devices.iter().enumerate() {
            let bad = |why: &str| Err(bad("mqtt.embedded.devices", &format!("{}: {why}", device.user)));
            let others = || {
                embedded
                    .devices
                    .iter()
                    .enumerate()
                    .filter(move |(other, _)| *other != at)
            };
            let user = device.user.as_str();
            let is_name = user
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if user.is_empty() || user.len() > 64 || !is_name || user.starts_with("lock_") || user == self.mqtt.node {
                return bad(
                    "expected a user name of 1 to 64 letters, digits, `-`, `_` and `.` that is no lock's and no node's",
                );
            }
            if others().any(|(_, other)| other.user == user) {
                return bad("the user name stands here twice");
            }
            if device.password.is_empty() {
                return bad("password or password_file is needed");
            }
            let levels = |topic: &str| {
                topic
                    .split('/')
                    .all(|level| !level.is_empty() && !level.contains(['+', '#', '$']))
            };
            if !levels(&device.base) {
                return bad("expected a base such as nuki/4A0B1C2D, without wildcards");
            }
            if holds(&self.mqtt.topic_root, &device.base) || holds(&device.base, &self.mqtt.topic_root) {
                return bad("its base holds the topics of Doorward's own locks");
            }
            if others().any(|(_, other)| holds(&device.base, &other.base)) {
                return bad("another device lies within its base");
            }
            if device.dialect == DeviceDialect::Discovery && device.commands.is_empty() {
                return bad("commands are needed: which topics are, only its maker knows");
            }
        }
        Ok(())
    }
}

/// Whether `topic` is `base`, or lies below it.
fn holds(base: &str, topic: &str) -> bool {
    let rest = topic.strip_prefix(base);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Http {
    fn check(&self) -> Result<(), ConfigError> {
        if !self.bind.ip().is_loopback() && !self.allow_plain_http_on_network {
            let why = "passwords would cross the network in clear; bind to 127.0.0.1 behind a reverse proxy with TLS, \
                       or set http.allow_plain_http_on_network = true";
            return Err(unsafe_value("http.bind", why));
        }
        if self.public_url.is_empty() {
            return Ok(());
        }
        let (tls, rest) = match self.public_url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(bad("http.public_url", "expected https://HOST or http://HOST")),
        };
        let Some((host, _)) = split_port(rest) else {
            return Err(bad(
                "http.public_url",
                "expected https://HOST[:PORT] with nothing after it, not even a slash",
            ));
        };
        if !tls && !is_loopback_host(host) && !self.allow_plain_http_on_network {
            let why = "links and passwords would cross the network in clear; use https://, or set \
                       http.allow_plain_http_on_network = true";
            return Err(unsafe_value("http.public_url", why));
        }
        Ok(())
    }
}

impl EmbeddedBroker {
    fn check(&self) -> Result<(), ConfigError> {
        if self.plain_bind.is_some_and(|bind| !bind.ip().is_loopback()) {
            let why = "a broker without TLS is served on 127.0.0.1 only";
            return Err(unsafe_value("mqtt.embedded.plain_bind", why));
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err(bad(
                "mqtt.embedded.key_file",
                "goes together with mqtt.embedded.certificate_file",
            ));
        }
        if self.certificate_file.is_some() != self.ca_file.is_some() {
            return Err(bad(
                "mqtt.embedded.ca_file",
                "goes together with mqtt.embedded.certificate_file",
            ));
        }
        for name in self.all_names() {
            let is_address = name.parse::<std::net::IpAddr>().is_ok();
            if !is_address && (name.contains(':') || split_port(&name).is_none()) {
                let why = format!("`{name}` is neither a host name nor an address");
                return Err(ConfigError::BadValue {
                    key: "mqtt.embedded.public_host",
                    why,
                });
            }
        }
        Ok(())
    }
}

impl ExternalBroker {
    /// Where the broker is.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] where the URL is none; [`Config::load`] has seen to that where the mode is `external`.
    pub fn broker_url(&self) -> Result<BrokerUrl, ConfigError> {
        let url = self.url.parse::<BrokerUrl>();
        url.map_err(|error| ConfigError::BadValue {
            key: "mqtt.external.url",
            why: error.to_string(),
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let url = self.broker_url()?;
        if !url.tls && !url.is_loopback() && !self.allow_plain_on_network {
            let why = "the backend's password would cross the network in clear; use mqtts://, or set \
                       mqtt.external.allow_plain_on_network = true";
            return Err(unsafe_value("mqtt.external.url", why));
        }
        if self.ca_file.is_none() {
            return Err(bad(
                "mqtt.external.ca_file",
                "is needed: it is what locks are told to trust",
            ));
        }
        if self.username.is_empty() || self.password.is_empty() {
            return Err(bad(
                "mqtt.external.username",
                "is needed, and a password: the broker must know its backend",
            ));
        }
        if !url.tls && self.lock_port == 0 {
            return Err(bad(
                "mqtt.external.lock_port",
                "is needed: locks connect over TLS, and the URL's port is plain",
            ));
        }
        if !self.lock_host.is_empty() && split_port(&self.lock_host).is_none_or(|(_, port)| port.is_some()) {
            return Err(bad("mqtt.external.lock_host", "is neither a host name nor an address"));
        }
        Ok(())
    }
}

/// Whether this is a level, or a level for a part of the program. The library would take a mistyped level for the name of
/// a part, and log nothing else.
fn is_log_directive(text: &str) -> bool {
    let (part, level) = text.rsplit_once('=').unwrap_or(("doorward", text));
    let named = part
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
    named && !part.is_empty() && matches!(level, "off" | "error" | "warn" | "info" | "debug" | "trace")
}

/// Whether a byte can stand in a message that locks read.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

fn within(key: &'static str, value: u64, allowed: RangeInclusive<u64>) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let why = format!("{value} is not between {} and {}", allowed.start(), allowed.end());
    Err(ConfigError::BadValue { key, why })
}

pub(super) fn bad(key: &'static str, why: &str) -> ConfigError {
    ConfigError::BadValue {
        key,
        why: why.to_owned(),
    }
}

pub(super) fn unsafe_value(key: &'static str, why: &str) -> ConfigError {
    ConfigError::Unsafe {
        key,
        why: why.to_owned(),
    }
}
