//! One lock, until it is released or told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::agent::backend_address::{BackendAddress, Server};
use crate::agent::bolt::{Bolt, Program, ProgramBolt, SimulatedBolt};
use crate::agent::controller::{End, LockOptions, ReferenceLock, View};
use crate::agent::counter::MachineCounter;
use crate::agent::enrolment::{Enrolled, enrol};
use crate::agent::keypad::Keypad;
use crate::agent::local::LocalCarrier;
use crate::agent::state_folder::StateFolder;
use crate::crypto::claim_link::ClaimLink;
use crate::crypto::random::{OsRandom, Random};
use crate::domain::ids::LockId;

use super::CommandError;

/// How often the battery is measured.
const MEASURE: Duration = Duration::from_secs(60);

/// One lock. Its folder keeps everything: from the second start on, nothing but `--state` is needed.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The lock's folder; nobody else may enter it.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The backend's address, such as `https://doors.example`; for the first start, where the claim does not name it.
    #[arg(long, value_name = "URL")]
    pub server: Option<BackendAddress>,
    /// The claim that a manager got, as code or as link (`doorward:claim?…`); for the first start.
    #[arg(
        long,
        visible_alias = "claim",
        value_name = "CODE",
        env = "DOORWARD_CLAIM_CODE",
        hide_env_values = true
    )]
    pub claim_code: Option<String>,
    /// The certificate authority to trust for the backend, as PEM; else those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The program that withdraws the bolt, with arguments after spaces; started without a shell, exit code 0 says
    /// that it has moved. Without it the bolt is simulated.
    #[arg(long, value_name = "PROGRAM", requires = "on_lock")]
    pub on_unlock: Option<Program>,
    /// The program that throws the bolt.
    #[arg(long, value_name = "PROGRAM", requires = "on_unlock")]
    pub on_lock: Option<Program>,
    /// How long the simulated bolt takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(..30_000))]
    pub bolt_ms: u64,
    /// A file with the battery's percentage, such as /sys/class/power_supply/BAT0/capacity.
    #[arg(long, value_name = "FILE")]
    pub battery_file: Option<PathBuf>,
    /// Opens the door to passes on the local network: the address to listen at, such as 0.0.0.0:8100. Anybody there may
    /// call; without it nobody gets in by a pass.
    #[arg(long, value_name = "ADDR")]
    pub local_listen: Option<SocketAddr>,
    /// Takes PINs from the terminal, without showing them, or line by line from whatever is at the standard input.
    #[arg(long)]
    pub keypad: bool,
    /// What this lock is.
    #[arg(long, value_name = "NAME", default_value = "doorward-reference")]
    pub model: String,
}

/// Runs one lock until it is released or `stop` is cancelled.
///
/// # Errors
/// [`CommandError`], whose text is for the operator.
pub async fn run(args: RunArgs, stop: CancellationToken) -> Result<(), CommandError> {
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    let folder = StateFolder::open(&args.state)?;
    let enrolled = match folder.enrolled()? {
        Some(enrolled) => {
            if args.claim_code.is_some() {
                tracing::warn!(
                    "lock {} is enrolled already: the claim code is not used",
                    enrolled.lock_id()
                );
            }
            enrolled
        }
        None => first_enrolment(&folder, &args, &*random).await?,
    };
    let bolt: Box<dyn Bolt> = match (args.on_unlock, args.on_lock) {
        (Some(on_unlock), Some(on_lock)) => Box::new(ProgramBolt { on_unlock, on_lock }),
        _ => Box::new(SimulatedBolt::new(Duration::from_millis(args.bolt_ms))),
    };
    let battery_file = args.battery_file.as_deref();
    let lock = ReferenceLock::start(LockOptions {
        tls: enrolled.tls()?,
        enrolled,
        storage: folder.storage(),
        bolt,
        counter: Arc::new(MachineCounter::start()),
        random,
        battery: battery_file.and_then(measure),
        losses: None,
    })
    .await?;
    let _carrier = match args.local_listen {
        Some(address) => Some(listen(address, &lock).await?),
        None => None,
    };
    let _keypad = if args.keypad {
        Some(Keypad::open(lock.door()).map_err(CommandError::Keypad)?)
    } else {
        None
    };
    watch_over(lock, battery_file, stop).await;
    Ok(())
}

async fn listen(address: SocketAddr, lock: &ReferenceLock) -> Result<LocalCarrier, CommandError> {
    let opened = LocalCarrier::open(address, lock.door()).await;
    let carrier = opened.map_err(|source| CommandError::Listen { address, source })?;
    tracing::info!(lock.id = %lock.id(), "lock {} listens at {} for passes", lock.id(), carrier.address());
    Ok(carrier)
}

async fn first_enrolment(folder: &StateFolder, args: &RunArgs, random: &dyn Random) -> Result<Enrolled, CommandError> {
    let Some((address, claim_code)) = claim(args)? else {
        return Err(CommandError::NotEnrolled(args.state.clone()));
    };
    let server = Server::new(address, args.ca_file.as_deref())?;
    let enrolled = enrol(&server, &claim_code, &args.model, random).await?;
    folder.keep(&enrolled)?;
    let id = enrolled.lock_id();
    tracing::info!(lock.id = %id, "this is lock {id} now");
    Ok(enrolled)
}

/// The server and the code of the claim: from its link, or each as it was given. A server that was given goes over the
/// link's. `None` where something lacks.
fn claim(args: &RunArgs) -> Result<Option<(BackendAddress, Zeroizing<String>)>, CommandError> {
    let Some(claim) = &args.claim_code else {
        return Ok(None);
    };
    if !ClaimLink::is_meant(claim) {
        let code = Zeroizing::new(claim.clone());
        return Ok(args.server.clone().map(|server| (server, code)));
    }
    let link: ClaimLink = claim.parse()?;
    let server = match &args.server {
        Some(server) => server.clone(),
        None => link.server.parse()?,
    };
    Ok(Some((server, link.code.expose())))
}

/// Says what the lock does, and measures its battery.
async fn watch_over(mut lock: ReferenceLock, battery_file: Option<&Path>, stop: CancellationToken) {
    let id = lock.id().clone();
    let mut view = lock.view();
    let mut before = *view.borrow_and_update();
    let mut measurements = tokio::time::interval(MEASURE);
    let end = loop {
        tokio::select! {
            () = stop.cancelled() => break lock.stop().await,
            Ok(()) = view.changed() => {
                let now = *view.borrow_and_update();
                report(&id, before, now);
                before = now;
            }
            _ = measurements.tick() => if let Some(percent) = battery_file.and_then(measure) {
                lock.measure_battery(percent).await;
            },
            end = lock.ended() => break end,
        }
    };
    match end {
        End::Released => tracing::info!(lock.id = %id, "lock {id} has left its organization and forgotten everything"),
        End::Stopped | End::PowerLost => tracing::info!(lock.id = %id, "lock {id} has stopped"),
    }
}

fn report(id: &LockId, before: View, now: View) {
    if before.is_connected != now.is_connected {
        let way = if now.is_connected { "on line" } else { "off line" };
        tracing::info!(lock.id = %id, "lock {id} is {way}");
    }
    if before.bolt != now.bolt {
        tracing::info!(lock.id = %id, bolt = ?now.bolt, "the bolt of lock {id} is {:?} now", now.bolt);
    }
}

/// The battery's percentage as the system has it; `None` where it cannot tell.
fn measure(file: &Path) -> Option<u8> {
    let measured = std::fs::read_to_string(file)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if measured.is_none() {
        tracing::warn!(path = %file.display(), "{} holds no percentage", file.display());
    }
    measured
}
