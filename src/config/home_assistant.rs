//! The operator's Home Assistant, to which locks are shown.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::broker_url::BrokerUrl;
use super::secret_text::SecretText;
use super::sections::maybe_empty;
use super::{ConfigError, check};

/// The broker of a Home Assistant, and what is shown there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HomeAssistant {
    /// `mqtts://HOST:PORT`, or `mqtt://HOST:PORT` without TLS; nothing is shown where it is empty.
    pub url: String,
    /// Whether `mqtt://` may lead to another machine, where everybody on the way reads the password.
    pub allow_plain_on_network: bool,
    /// The user name at that broker; empty where it asks for none.
    pub username: String,
    /// Its password.
    pub password: SecretText,
    /// A file with the password, instead of it.
    #[serde(with = "maybe_empty")]
    pub password_file: Option<PathBuf>,
    /// The certificate authority of that broker, in PEM.
    #[serde(with = "maybe_empty")]
    pub ca_file: Option<PathBuf>,
    /// What Home Assistant's discovery topics begin with.
    pub discovery_prefix: String,
    /// What the topics of states and commands begin with.
    pub base_topic: String,
    /// The organizations whose locks are shown, by id.
    pub organizations: Vec<String>,
    /// The properties whose locks are shown, by id.
    pub properties: Vec<String>,
    /// Whether Home Assistant may ask for doors.
    pub commands: bool,
    /// In whose name it asks: the account that `doorward service-account add` has made.
    pub service_account: String,
}

impl Default for HomeAssistant {
    fn default() -> Self {
        Self {
            url: String::new(),
            allow_plain_on_network: false,
            username: String::new(),
            password: SecretText::default(),
            password_file: None,
            ca_file: None,
            discovery_prefix: "homeassistant".to_owned(),
            base_topic: "doorward".to_owned(),
            organizations: Vec::new(),
            properties: Vec::new(),
            commands: false,
            service_account: String::new(),
        }
    }
}

impl HomeAssistant {
    /// Whether anything is shown at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Where the broker is.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] where the URL is none; [`super::Config::load`] has seen to that where there is one.
    pub fn broker_url(&self) -> Result<BrokerUrl, ConfigError> {
        let url = self.url.parse::<BrokerUrl>();
        url.map_err(|error| ConfigError::BadValue {
            key: "home_assistant.url",
            why: error.to_string(),
        })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, topic) in [
            ("home_assistant.discovery_prefix", &self.discovery_prefix),
            ("home_assistant.base_topic", &self.base_topic),
        ] {
            let level = |level: &str| {
                let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                !level.is_empty() && level.bytes().all(letter)
            };
            if topic.len() > 64 || !topic.split('/').all(level) {
                let why = "expected 1 to 64 letters, digits, `-`, `_` and single inner `/`";
                return Err(check::bad(key, why));
            }
        }
        if !self.is_on() {
            return Ok(());
        }
        let url = self.broker_url()?;
        if !url.tls && !url.is_loopback() && !self.allow_plain_on_network {
            let why = "the password, and which door is open, would cross the network in clear; use mqtts://, or set \
                       home_assistant.allow_plain_on_network = true";
            return Err(check::unsafe_value("home_assistant.url", why));
        }
        if url.tls && self.ca_file.is_none() {
            let why = "is needed for mqtts://: the authority of that broker";
            return Err(check::bad("home_assistant.ca_file", why));
        }
        if self.organizations.is_empty() && self.properties.is_empty() {
            let why = "is needed, or home_assistant.properties: the ids of whose locks are shown";
            return Err(check::bad("home_assistant.organizations", why));
        }
        if self.commands && self.service_account.is_empty() {
            let why = "is needed for commands: the id that `doorward service-account add` prints";
            return Err(check::bad("home_assistant.service_account", why));
        }
        Ok(())
    }
}
