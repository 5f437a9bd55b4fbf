//! Why the backend did not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::crypto::authority::AuthorityError;
use crate::crypto::keys::KeyError;
use crate::crypto::pin_keys::PinKeyError;
use crate::crypto::private_folder::FolderError;
use crate::crypto::tls::IdentityError;
use crate::crypto::vault::VaultError;
use crate::domain::account::BadEmail;
use crate::hooks::teller::BadTeller;
use crate::mail::smtp::BadMail;
use crate::mqtt::address::BadAuthority;
use crate::mqtt::broker::BrokerError;
use crate::mqtt::topics::{BadNode, BadRoot};
use crate::store::{BadUrl, StoreError};

/// The backend did not start, and what is in the way.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder cannot be made.
    #[error("cannot make the state folder {}", path.display())]
    StateFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something else listens there.
    #[error("cannot listen for HTTP on {address}: the port is taken")]
    PortTaken {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Another reason not to listen.
    #[error("cannot listen for HTTP on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database belongs to a backend of another name.
    #[error(
        "the locks of this database know the backend as {stored}, and the configuration says {configured}: set `issuer` to the former"
    )]
    OtherIssuer {
        /// The name in the database.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// A fact of the installation in the database is not what it must be.
    #[error("the installation's {0} in the database is damaged")]
    DamagedInstallation(&'static str),
    /// The counters of tokens have no room for another life.
    #[error(
        "this installation is in the last of its {most} lives: it goes on, and cannot be restored once more. Move its house into a new installation, and enrol its locks there"
    )]
    NoLifeLeft {
        /// How many there are.
        most: u16,
    },
    /// The database is of an earlier life of the installation than the last.
    #[error(
        "the database is of life {found} of this installation, which has come to {noted}: it was put back from a backup, and nobody has taken it over. Run `doorward restore --adopt`"
    )]
    EarlierLife {
        /// The database's.
        found: u16,
        /// The last one.
        noted: u16,
    },
    /// The note of the last life cannot be read.
    #[error("cannot read {}, where it is noted in which life this installation is", path.display())]
    LifeUnknown {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The note of the last life cannot be written.
    #[error("cannot note in which life this installation is")]
    LifeNotNoted(#[from] FolderError),
    /// A restore was broken off before the backup took the database's place.
    #[error("a restore was broken off: there is {} and no database. Run `doorward restore` once more", draft.display())]
    BrokenOffRestore {
        /// What the restore had made.
        draft: PathBuf,
    },
    /// The certificate authority for locks cannot be read.
    #[error("cannot read the authority {} that locks are to trust", path.display())]
    AuthorityFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The external broker's address is not in the configuration.
    #[error("the configuration names no certificate authority for the broker: set mqtt.external.ca_file")]
    NoAuthority,
    /// The database did not open or migrate.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The database's URL is none.
    #[error(transparent)]
    DatabaseUrl(#[from] BadUrl),
    /// The folder of the key files cannot be used.
    #[error("the key files cannot be used")]
    Vault(#[from] VaultError),
    /// The signing keys cannot be used.
    #[error("the signing keys cannot be used")]
    Keys(#[from] KeyError),
    /// The PIN keys cannot be used.
    #[error("the PIN keys cannot be used")]
    PinKeys(#[from] PinKeyError),
    /// The mail server cannot be spoken to as the configuration says.
    #[error("the configuration of the mail server cannot be used")]
    Mail(#[from] BadMail),
    /// The authority of the mail server cannot be read.
    #[error("cannot read the mail server's authority {}", path.display())]
    MailAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The authority for webhooks cannot be read.
    #[error("cannot read the authority for webhooks {}", path.display())]
    WebhookAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Webhooks cannot be told as the configuration says.
    #[error("the configuration of webhooks cannot be used")]
    Webhooks(#[from] BadTeller),
    /// The address that letters come from is none.
    #[error("mail.from")]
    MailFrom(#[from] BadEmail),
    /// The certificate authority cannot be used.
    #[error("the certificate authority cannot be used")]
    Authority(#[from] AuthorityError),
    /// The broker's certificate cannot be used.
    #[error("the broker's certificate cannot be used")]
    Identity(#[from] IdentityError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The embedded broker did not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The external broker's authority is none.
    #[error("the broker's certificate authority cannot be used")]
    BrokerAuthority(#[from] BadAuthority),
    /// The topic root cannot be used.
    #[error(transparent)]
    TopicRoot(#[from] BadRoot),
    /// The node's name cannot be used.
    #[error(transparent)]
    Node(#[from] BadNode),
    /// The configuration does not hold together.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A use case at the start failed.
    #[error("the state of the locks cannot be recorded")]
    App(#[from] crate::app::Error),
    /// The configuration of the Home Assistant names something that is not there to be named.
    #[error("home_assistant.{key}")]
    HomeAssistant {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        source: crate::domain::ids::BadId,
    },
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written")]
    Document(#[source] serde_json::Error),
    /// Threads cannot be started.
    #[error("threads cannot be started")]
    Threads(#[source] std::io::Error),
}
