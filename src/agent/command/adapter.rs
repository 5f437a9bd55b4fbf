//! Adapters on this computer: enrol one, run some.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::agent::adapter::{Language, Profile, host};
use crate::agent::backend_address::{BackendAddress, Server};
use crate::agent::enrolment::enrol;
use crate::agent::state_folder::StateFolder;
use crate::crypto::random::OsRandom;

use super::CommandError;

/// Locks that do not verify by themselves, and the adapters that do it for them.
#[derive(Debug, Subcommand)]
pub enum AdapterCommand {
    /// Make a device a lock of a backend, by a claim code.
    Enrol(Box<EnrolArgs>),
    /// Run adapters that are enrolled.
    Run(RunArgs),
}

/// A device and its backend. The folder keeps everything.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// The adapter's folder; nobody else may enter it.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The backend's address, such as `https://doors.example`.
    #[arg(long, value_name = "URL")]
    pub server: BackendAddress,
    /// The claim code that a manager got.
    #[arg(long, value_name = "CODE", env = "DOORWARD_CLAIM_CODE", hide_env_values = true)]
    pub claim: String,
    /// The certificate authority to trust for the backend, as PEM; else those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// What the device speaks.
    #[arg(long, value_enum)]
    pub dialect: Language,
    /// The device's topic, such as `nuki/4A0B1C2D`, `zigbee2mqtt/front door`, `hall/lock/front_door` or
    /// `homeassistant/lock/front/config`.
    #[arg(long, value_name = "TOPIC")]
    pub device: String,
    /// The device's broker, as `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`; `embedded` for the one inside the backend, where the adapter
    /// then has to run too.
    #[arg(long, value_name = "URL")]
    pub broker: String,
    /// The adapter's user name at that broker.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub broker_user: String,
    /// A file with its password.
    #[arg(long, value_name = "FILE")]
    pub broker_password_file: Option<PathBuf>,
    /// The certificate authority to trust for that broker, as PEM.
    #[arg(long, value_name = "FILE")]
    pub broker_ca_file: Option<PathBuf>,
    /// The topic of a contact at the door that the lock does not speak of, which says `ON` or `open`, `OFF` or `closed`.
    #[arg(long, value_name = "TOPIC")]
    pub door_topic: Option<String>,
    /// The topic of a battery that the lock does not speak of, in percent.
    #[arg(long, value_name = "TOPIC")]
    pub battery_topic: Option<String>,
    /// To unlock is to pull the latch too: for doors with a knob outside. Nuki, ESPHome, discovery.
    #[arg(long)]
    pub unlatch: bool,
}

/// Which adapters to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The folder of an adapter; may be given several times.
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    pub state: Vec<PathBuf>,
}

impl AdapterCommand {
    /// Does it, until it is done or `stop` is cancelled.
    ///
    /// # Errors
    /// [`CommandError`], whose text is for the operator.
    pub async fn run(self, stop: CancellationToken) -> Result<(), CommandError> {
        match self {
            Self::Enrol(args) => enrol_device(*args).await,
            Self::Run(args) => run(args, stop).await,
        }
    }
}

/// Makes the device a lock of the backend, and keeps what its adapter has to know.
///
/// # Errors
/// [`CommandError`], whose text is for the operator.
pub async fn enrol_device(args: EnrolArgs) -> Result<(), CommandError> {
    let read = |path: Option<PathBuf>| match path {
        None => Ok(String::new()),
        Some(path) => std::fs::read_to_string(&path).map_err(|source| CommandError::File { path, source }),
    };
    let profile = Profile {
        language: args.dialect,
        device: args.device,
        unlatch: args.unlatch,
        door_topic: args.door_topic,
        battery_topic: args.battery_topic,
        broker: args.broker,
        user: args.broker_user,
        password: read(args.broker_password_file)?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
        ca_certificate: read(args.broker_ca_file)?,
    };
    // Before the claim code is used up.
    profile.check()?;
    let folder = StateFolder::open(&args.state)?;
    if let Some(enrolled) = folder.enrolled()? {
        return Err(CommandError::Enrolled(args.state, enrolled.lock_id().clone()));
    }
    let server = Server::new(args.server, args.ca_file.as_deref())?;
    let model = format!("doorward-adapter-{}", profile.language.as_str());
    folder.keep_profile(&profile)?;
    let enrolled = enrol(&server, &args.claim, &model, &OsRandom).await?;
    folder.keep(&enrolled)?;
    let id = enrolled.lock_id();
    tracing::info!(lock.id = %id, "{} is lock {id} now", profile.device);
    Ok(())
}

/// Runs adapters until they are released or `stop` is cancelled.
///
/// # Errors
/// [`CommandError`] where one of them cannot start, whose text is for the operator.
pub async fn run(args: RunArgs, stop: CancellationToken) -> Result<(), CommandError> {
    let mut adapters = Vec::new();
    for path in args.state {
        adapters.push(host::start(&path, None).await?);
    }
    join_all(
        adapters
            .into_iter()
            .map(|adapter| host::watch_over(adapter, stop.clone())),
    )
    .await;
    Ok(())
}
