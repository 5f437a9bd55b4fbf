//! What an adapter must know of its device and never of its lock: the language, the topic, the broker. Kept beside the
//! enrolment in the adapter's folder.

use std::fmt;
use std::sync::Arc;

use clap::ValueEnum;
use hyper::Uri;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::domain::ids::LockId;
use crate::mqtt::address::{BadAuthority, BrokerAddress, trusting};

use super::device::Place;
use super::dialect::Dialect;
use super::discovery::Discovered;
use super::esphome::EspHome;
use super::nuki::{self, Nuki};
use super::sensors::WithSensors;
use super::zigbee2mqtt::Zigbee2Mqtt;

/// The broker of a profile that stands for the one inside the backend, for adapters that run there too.
pub const INSIDE: &str = "embedded";

/// What a device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// A Nuki Smart Lock by itself, as `nuki/<ID>`.
    Nuki,
    /// A Zigbee lock behind Zigbee2MQTT, as `zigbee2mqtt/<friendly name>`.
    Zigbee2mqtt,
    /// A lock of an ESPHome node, as `<prefix>/lock/<object id>`.
    Esphome,
    /// Whatever its Home Assistant discovery says, as `homeassistant/lock/…/config`.
    Discovery,
}

impl Language {
    /// As it stands on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nuki => "nuki",
            Self::Zigbee2mqtt => "zigbee2mqtt",
            Self::Esphome => "esphome",
            Self::Discovery => "discovery",
        }
    }

    /// The filters, below a device's base, of the topics that are commands to it: nobody but its adapter may publish
    /// there. A device that describes itself may name any; the operator says which.
    #[must_use]
    pub fn command_filters(self) -> Vec<String> {
        let filters: &[&str] = match self {
            Self::Nuki => &nuki::COMMANDS,
            Self::Zigbee2mqtt => &["+/set/#", "+/get/#", "+/+/set/#", "+/+/get/#", "bridge/request/#"],
            Self::Esphome => &["+/+/command", "lock/+/command"],
            Self::Discovery => &[],
        };
        filters.iter().map(|filter| (*filter).to_owned()).collect()
    }
}

/// A profile names no device or no broker.
#[derive(Debug, thiserror::Error)]
pub enum BadProfile {
    /// Not a topic of this language.
    #[error("`{topic}` is no device of {language}: expected {expected}")]
    Topic {
        /// What was given.
        topic: String,
        /// The language.
        language: &'static str,
        /// What it looks like there.
        expected: &'static str,
    },
    /// Not the address of a broker.
    #[error("expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT], without a user name in it")]
    Broker,
    /// The broker is to be trusted for nothing.
    #[error("mqtts:// needs the certificate authority of the device's broker")]
    NoAuthority,
    /// What is to be trusted is no certificate.
    #[error("the certificate authority of the device's broker cannot be used")]
    Authority(#[from] BadAuthority),
    /// The adapter was made for the broker inside the backend, and does not run there.
    #[error("this adapter speaks by the broker inside the backend: it runs in `doorward serve` alone")]
    Inside,
}

/// A device, where it is found, and how.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it speaks.
    pub language: Language,
    /// Its topic.
    pub device: String,
    /// Whether to unlock is to pull the latch too.
    #[serde(default)]
    pub unlatch: bool,
    /// A door's contact beside it, by its own topic.
    #[serde(default)]
    pub door_topic: Option<String>,
    /// A battery beside it, by its own topic.
    #[serde(default)]
    pub battery_topic: Option<String>,
    /// The address of its broker, or [`INSIDE`].
    pub broker: String,
    /// The user name there; empty for none.
    #[serde(default)]
    pub user: String,
    /// The password there.
    #[serde(default)]
    pub password: String,
    /// The certificate authority to trust for it, as PEM.
    #[serde(default)]
    pub ca_certificate: String,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({} {})", self.language.as_str(), self.device)
    }
}

impl Profile {
    /// Whether all of it can be used.
    ///
    /// # Errors
    /// [`BadProfile`], whose text is for the operator.
    pub fn check(&self) -> Result<(), BadProfile> {
        self.dialect()?;
        if !self.is_inside() {
            self.address()?;
        }
        Ok(())
    }

    /// Whether its broker is the one inside the backend.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.broker == INSIDE
    }

    /// The device's broker, for the adapter of this lock.
    ///
    /// # Errors
    /// [`BadProfile`] where that cannot be told.
    pub fn place(&self, lock: &LockId) -> Result<Place, BadProfile> {
        Ok(Place {
            address: self.address()?,
            client_id: format!("doorward-{lock}"),
            user: self.user.clone(),
            password: self.password.clone(),
        })
    }

    /// The language of the device, and of the sensors beside it.
    pub(super) fn dialect(&self) -> Result<Box<dyn Dialect>, BadProfile> {
        let lock = self.language_of_lock()?;
        let (door, battery) = (self.door_topic.clone(), self.battery_topic.clone());
        if let Some(topic) = [&door, &battery].into_iter().flatten().find(|topic| !is_topic(topic)) {
            return Err(BadProfile::Topic {
                topic: topic.clone(),
                language: self.language.as_str(),
                expected: "a topic without wildcards",
            });
        }
        if door.is_none() && battery.is_none() {
            return Ok(lock);
        }
        Ok(Box::new(WithSensors { lock, door, battery }))
    }

    fn language_of_lock(&self) -> Result<Box<dyn Dialect>, BadProfile> {
        let device = self.device.as_str();
        let is_plain = is_topic(device);
        let bad = |expected| BadProfile::Topic {
            topic: device.to_owned(),
            language: self.language.as_str(),
            expected,
        };
        let is = |good: bool, expected| if good && is_plain { Ok(()) } else { Err(bad(expected)) };
        Ok(match self.language {
            Language::Nuki => {
                is(true, "nuki/<ID>")?;
                Box::new(Nuki::new(device, self.unlatch))
            }
            Language::Zigbee2mqtt => {
                is(device.contains('/'), "zigbee2mqtt/<friendly name>")?;
                Box::new(Zigbee2Mqtt::new(device))
            }
            Language::Esphome => {
                is(true, "<prefix>/lock/<object id>")?;
                let lock = EspHome::new(device, self.unlatch);
                Box::new(lock.ok_or_else(|| bad("<prefix>/lock/<object id>"))?)
            }
            Language::Discovery => {
                is(device.ends_with("/config"), "homeassistant/lock/<id>/config")?;
                Box::new(Discovered::new(device, self.unlatch))
            }
        })
    }

    fn address(&self) -> Result<BrokerAddress, BadProfile> {
        if self.is_inside() {
            return Err(BadProfile::Inside);
        }
        let uri: Uri = self.broker.parse().map_err(|_| BadProfile::Broker)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(authority), true) = (authority, is_bare) else {
            return Err(BadProfile::Broker);
        };
        let (is_secure, default_port) = match uri.scheme_str() {
            Some("mqtt") => (false, 1883),
            Some("mqtts") => (true, 8883),
            _ => return Err(BadProfile::Broker),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(BadProfile::Broker);
        }
        Ok(BrokerAddress {
            host,
            port: authority.port_u16().unwrap_or(default_port),
            tls: self.tls(is_secure)?,
        })
    }

    fn tls(&self, is_secure: bool) -> Result<Option<Arc<ClientConfig>>, BadProfile> {
        match (is_secure, self.ca_certificate.as_bytes()) {
            (false, _) => Ok(None),
            (true, b"") => Err(BadProfile::NoAuthority),
            (true, pem) => Ok(Some(trusting(pem)?)),
        }
    }
}

/// Whether a text is the name of a topic: levels, and no wildcards.
fn is_topic(text: &str) -> bool {
    text.split('/').all(|level| !level.is_empty()) && !text.contains(['+', '#', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(language: Language, device: &str, broker: &str) -> Profile {
        Profile {
            language,
            device: device.to_owned(),
            unlatch: false,
            door_topic: None,
            battery_topic: None,
            broker: broker.to_owned(),
            user: String::new(),
            password: "not for logs".to_owned(),
            ca_certificate: String::new(),
        }
    }

    #[test]
    fn a_profile_names_a_device_and_a_broker() {
        const AT: &str = "mqtt://127.0.0.1";
        for (language, device, broker, good) in [
            (Language::Nuki, "nuki/4A0B", AT, true),
            (Language::Nuki, "nuki/+", AT, false),
            (Language::Nuki, "", AT, false),
            (Language::Zigbee2mqtt, "zigbee2mqtt/front door", AT, true),
            (Language::Zigbee2mqtt, "zigbee2mqtt", AT, false),
            (Language::Zigbee2mqtt, "zigbee2mqtt/#", AT, false),
            (Language::Esphome, "hall/lock/front", AT, true),
            (Language::Esphome, "hall/front", AT, false),
            (Language::Discovery, "homeassistant/lock/x/config", AT, true),
            (Language::Discovery, "homeassistant/lock/x", AT, false),
            (Language::Nuki, "nuki/4A0B", INSIDE, true),
            (Language::Nuki, "nuki/4A0B", "mqtt://[::1]:1884", true),
            (Language::Nuki, "nuki/4A0B", "mqtts://broker.example", false),
            (Language::Nuki, "nuki/4A0B", "http://broker.example", false),
            (Language::Nuki, "nuki/4A0B", "mqtt://me:word@broker.example", false),
            (Language::Nuki, "nuki/4A0B", "mqtt://broker.example/x", false),
            (Language::Nuki, "nuki/4A0B", "broker.example:1883", false),
        ] {
            let profile = profile(language, device, broker);
            assert_eq!(profile.check().is_ok(), good, "{device} at {broker}");
            assert!(!format!("{profile:?}").contains("not for logs"));
        }
    }
}
