//! Many locks, until they are told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::agent::backend_address::{BackendAddress, Server};
use crate::agent::simulate::{Faults, Simulation, enrol_all};
use crate::crypto::random::{OsRandom, Random};

use super::CommandError;

/// How often a simulation says how it goes.
const REPORT: Duration = Duration::from_secs(10);

/// The quickest bolt of a simulation, in milliseconds.
const QUICKEST_MS: u64 = 100;

/// Open files that a process needs besides a connection a lock.
const OTHER_FILES: u64 = 64;

/// Many locks, in memory: they are gone when the program ends.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// How many locks.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Where chance begins: the same seed makes the same faults.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// The backend's address.
    #[arg(long, value_name = "URL")]
    pub server: BackendAddress,
    /// A file with one claim code a line; `-` reads them from the standard input.
    #[arg(long, value_name = "FILE")]
    pub claims: PathBuf,
    /// The certificate authority to trust for the backend, as PEM; else those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Percent of messages that get lost, either way.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = share)]
    pub lossy: f64,
    /// Percent of movements that jam.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = share)]
    pub jamming: f64,
    /// How long the slowest bolt takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(QUICKEST_MS..))]
    pub slow: u64,
    /// How far the worst counter is off, in millionths.
    #[arg(long, value_name = "PPM", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..1_000_000))]
    pub skewed: u32,
    /// Percent of locks that are away at any time.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = share)]
    pub offline: f64,
}

/// Runs many locks until `stop` is cancelled.
///
/// # Errors
/// [`CommandError`], whose text is for the operator.
pub async fn simulate(args: SimulateArgs, stop: CancellationToken) -> Result<(), CommandError> {
    let server = Server::new(args.server, args.ca_file.as_deref())?;
    allow_connections(args.count)?;
    let mut claim_codes = read_claims(args.claims).await?;
    if claim_codes.len() < args.count {
        return Err(CommandError::TooFewClaims {
            wanted: args.count,
            found: claim_codes.len(),
        });
    }
    claim_codes.truncate(args.count);
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    let mut enrolled = Vec::new();
    let mut failed = None;
    for (line, answer) in (1..).zip(enrol_all(&server, &claim_codes, "doorward-simulated", &*random).await) {
        match answer {
            Ok(lock) => enrolled.push(lock),
            Err(error) => {
                tracing::warn!("claim code {line}: {error}");
                failed = Some(error);
            }
        }
    }
    // Some are better than none: codes are used once.
    if let (true, Some(error)) = (enrolled.is_empty(), failed) {
        return Err(error.into());
    }
    let faults = Faults {
        lost: args.lossy,
        jamming: args.jamming,
        bolt_ms: QUICKEST_MS..=args.slow,
        skew_ppm: args.skewed,
        offline: args.offline,
        ..Faults::default()
    };
    let simulation = Simulation::start(enrolled, faults, args.seed, random).await?;
    let mut reports = tokio::time::interval(REPORT);
    while stop.run_until_cancelled(reports.tick()).await.is_some() {
        let (connected, all) = (simulation.connected(), simulation.locks().len());
        tracing::info!(connected, all, "{connected} of {all} locks are on line");
    }
    simulation.stop().await;
    Ok(())
}

async fn read_claims(path: PathBuf) -> Result<Vec<String>, CommandError> {
    let shown = path.clone();
    let read = move || {
        if path.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(path)
        }
    };
    let text = match tokio::task::spawn_blocking(read).await {
        Ok(text) => text,
        Err(error) => Err(std::io::Error::other(error)),
    };
    let text = text.map_err(|source| CommandError::Claims { path: shown, source })?;
    let codes = text.lines().map(str::trim).filter(|code| !code.is_empty());
    Ok(codes.map(str::to_owned).collect())
}

/// Takes as many open files as the system allows this process, where the locks need more than it has.
fn allow_connections(locks: usize) -> Result<(), CommandError> {
    let needed = u64::try_from(locks).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let is_raised =
        limit.maximum.is_none_or(|maximum| maximum >= needed) && setrlimit(Resource::Nofile, raised).is_ok();
    if is_raised {
        Ok(())
    } else {
        Err(CommandError::TooManyLocks {
            wanted: locks,
            allowed: limit.maximum.or(limit.current).unwrap_or(0),
        })
    }
}

/// Reads percent as a share of 1.
fn share(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent / 100.0)
    } else {
        Err("expected 0 to 100 percent".to_owned())
    }
}
