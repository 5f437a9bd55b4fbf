//! Configuration: one struct, read from a TOML file and the environment over it, unknown keys refused, checked once,
//! handed down in parts. `config/doorward.example.toml` explains every key.

mod broker_url;
mod check;
mod home_assistant;
mod mail;
mod secret_text;
mod sections;
mod sources;
mod webhooks;

pub use broker_url::{BadBrokerUrl, BrokerUrl};
pub use home_assistant::HomeAssistant;
pub use mail::{BadSmtpUrl, Mail, SmtpUrl};
pub use secret_text::SecretText;
pub use sections::{
    Adapters, BrokerCredentials, Database, Device, DeviceDialect, EmbeddedBroker, ExternalBroker, Http, Keys, Limits,
    Log, LogFormat, Metrics, Mqtt, MqttMode, Passes, Passwords, Sessions, Unlock,
};
pub use webhooks::Webhooks;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The configuration cannot be used; the message names the key or the variable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value is not of its kind.
    #[error("{place}: {what}")]
    Unfit {
        /// The file, `the environment` or `the defaults`.
        place: String,
        /// What is wrong, with the key or the line.
        what: String,
    },
    /// A key that does not exist.
    #[error("{place}: there is no key `{key}`")]
    UnknownKey {
        /// The key, or the environment variable.
        key: String,
        /// The file, or `the environment`.
        place: String,
    },
    /// A value that cannot be.
    #[error("{key}: {why}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What it should be.
        why: String,
    },
    /// A value that would open this installation to others.
    #[error("{key}: {why}")]
    Unsafe {
        /// The key.
        key: &'static str,
        /// What would be open, and what to do instead.
        why: String,
    },
}

/// Everything that an operator decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder that everything lives in that is not in the database: keys, certificates, SQLite's file.
    pub state_dir: PathBuf,
    /// The name of this backend in everything that it signs (`iss`). Locks learn it when they enrol and refuse every
    /// other: it never changes. The public URL where it is empty.
    pub issuer: String,
    /// The REST surface and the pages.
    pub http: Http,
    /// Prometheus.
    pub metrics: Metrics,
    /// The database.
    pub database: Database,
    /// Signing keys.
    pub keys: Keys,
    /// The broker.
    pub mqtt: Mqtt,
    /// Adapters that run inside this process.
    pub adapters: Adapters,
    /// A Home Assistant that is shown the locks.
    pub home_assistant: HomeAssistant,
    /// The mail server by which letters leave.
    pub mail: Mail,
    /// Programs of organizations that are told what their logs say.
    pub webhooks: Webhooks,
    /// Unlock tokens.
    pub unlock: Unlock,
    /// Offline passes.
    pub passes: Passes,
    /// Sign-ins.
    pub sessions: Sessions,
    /// Hashing.
    pub passwords: Passwords,
    /// How much one caller may ask.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: "state".into(),
            issuer: String::new(),
            http: Http::default(),
            metrics: Metrics::default(),
            database: Database::default(),
            keys: Keys::default(),
            mqtt: Mqtt::default(),
            adapters: Adapters::default(),
            home_assistant: HomeAssistant::default(),
            mail: Mail::default(),
            webhooks: Webhooks::default(),
            unlock: Unlock::default(),
            passes: Passes::default(),
            sessions: Sessions::default(),
            passwords: Passwords::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Reads the file, if there is one, puts the variables `DOORWARD__SECTION__KEY` of `environment` over it, and checks
    /// the whole.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key or the variable.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = sources::read(file, environment)?;
        config.read_passwords()?;
        config.read_device_passwords()?;
        config.check()?;
        Ok(config)
    }

    fn read_passwords(&mut self) -> Result<(), ConfigError> {
        let external = &mut self.mqtt.external;
        let (home, mail) = (&mut self.home_assistant, &mut self.mail);
        for (key, file, password) in [
            (
                "mqtt.external.password_file",
                &external.password_file,
                &mut external.password,
            ),
            ("home_assistant.password_file", &home.password_file, &mut home.password),
            ("mail.password_file", &mail.password_file, &mut mail.password),
        ] {
            let Some(path) = file.clone() else { continue };
            if !password.is_empty() {
                let why = "cannot stand beside a password in the section".to_owned();
                return Err(ConfigError::BadValue { key, why });
            }
            let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
            *password = SecretText::from(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        Ok(())
    }

    fn read_device_passwords(&mut self) -> Result<(), ConfigError> {
        for device in &mut self.mqtt.embedded.devices {
            let Some(path) = device.password_file.clone() else {
                continue;
            };
            let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
            device.password = SecretText::from(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        Ok(())
    }

    /// The folder in which the adapters that run inside this process have theirs.
    #[must_use]
    pub fn adapters_dir(&self) -> PathBuf {
        self.state_dir.join("adapters")
    }

    /// The address under which phones reach the REST surface, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> String {
        if self.http.public_url.is_empty() {
            format!("http://{}", self.http.bind)
        } else {
            self.http.public_url.clone()
        }
    }

    /// The name of this backend in everything that it signs.
    #[must_use]
    pub fn issuer(&self) -> String {
        if self.issuer.is_empty() {
            self.public_url()
        } else {
            self.issuer.clone()
        }
    }

    /// The folder of the signing keys.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.state_dir.join("keys")
    }

    /// Where the key is under which key files are sealed, where it is ours to make.
    #[must_use]
    pub fn own_encryption_key(&self) -> PathBuf {
        self.state_dir.join("key-encryption-key")
    }

    /// Where it is noted what has ended: in the state folder where none is given.
    #[must_use]
    pub fn endings_file(&self) -> PathBuf {
        let given = self.database.endings_file.clone();
        given.unwrap_or_else(|| self.state_dir.join("endings.jsonl"))
    }

    /// The folder of the certificate authority.
    #[must_use]
    pub fn tls_dir(&self) -> PathBuf {
        self.state_dir.join("tls")
    }

    /// The database's URL: SQLite in the state folder where none is given.
    #[must_use]
    pub fn database_url(&self) -> SecretText {
        if self.database.url.is_empty() {
            SecretText::from(format!("sqlite:{}", self.state_dir.join("doorward.db").display()))
        } else {
            self.database.url.clone()
        }
    }
}

#[cfg(test)]
mod tests;
