//! The commands, one file each.

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use doorward::agent::command::{AdapterCommand, CommandError, LockCommand};
use doorward::config::{Config, Log};
use doorward::server::logging;
use tokio_util::sync::CancellationToken;

mod backup;
mod demo;
mod export;
mod import;
mod keys;
mod landlord;
mod log;
mod office;
mod pass;
mod serve;
mod service_account;

/// Self-hosted backend for apartments with Wi-Fi smart locks.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, arg_required_else_help = true)]
pub struct Doorward {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the backend.
    Serve(serve::Serve),
    /// Run everything on this machine, with a landlord, a tenant, a guest and two locks to try it on.
    Demo(demo::Demo),
    /// Bring the database up to date and stop.
    Migrate(serve::Serve),
    /// Write a backup of the database, while the backend runs or not. Keys are not in it.
    Backup(backup::Backup),
    /// Put a backup in the place of the database. The backend must not be running.
    Restore(backup::Restore),
    /// Bring properties, units, locks and tenancies in out of CSV files, through the backend that runs: all of it or nothing.
    Import(import::Import),
    /// Write everything that an organization has into a file, through the backend that runs.
    Export(export::Export),
    /// Landlords.
    Landlord {
        #[command(subcommand)]
        command: landlord::Landlord,
    },
    /// Accounts of programs, such as a Home Assistant.
    ServiceAccount {
        #[command(subcommand)]
        command: service_account::ServiceAccount,
    },
    /// The keys that sign what locks believe: see, rotate, and keep the root key elsewhere. They work while the backend runs.
    Keys {
        #[command(subcommand)]
        command: keys::Keys,
    },
    /// Exports of access logs: written, and checked with nothing but public keys.
    Log {
        #[command(subcommand)]
        command: log::Log,
    },
    /// A phone's side: passes that open doors while the backend is away.
    Pass {
        #[command(subcommand)]
        command: pass::Pass,
    },
    /// The lock's side: a reference controller, and a simulator of many.
    Lock {
        #[command(subcommand)]
        command: LockCommand,
    },
    /// Locks that one can buy: adapters that verify for them.
    Adapter {
        #[command(subcommand)]
        command: AdapterCommand,
    },
}

type Outcome = Result<(), Box<dyn Error>>;

/// Runs the command; an error goes to the standard error with all its causes.
pub fn run(doorward: Doorward) -> ExitCode {
    match start(doorward.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Migrate(serve) => serve.migrate().await,
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run().await,
            Command::Import(import) => import.run().await,
            Command::Export(export) => export.run().await,
            Command::Landlord { command } => command.run().await,
            Command::ServiceAccount { command } => command.run().await,
            Command::Keys { command } => command.run(),
            Command::Log { command } => command.run().await,
            Command::Pass { command } => command.run().await,
            Command::Lock { command } => run_agent(|stop| command.run(stop)).await,
            Command::Adapter { command } => run_agent(|stop| command.run(stop)).await,
        }
    });
    // What still blocks (a read from a terminal) must not keep the program.
    runtime.shutdown_background();
    outcome
}

/// Runs locks until they are done or told to stop.
async fn run_agent<F: Future<Output = Result<(), CommandError>>>(run: impl FnOnce(CancellationToken) -> F) -> Outcome {
    logging::start(&Log::default())?;
    let stop = CancellationToken::new();
    let until = stop.clone();
    tokio::spawn(async move {
        // Where signals cannot be heard, the lock runs until it is killed, which it survives.
        if told_to_stop().await.is_ok() {
            until.cancel();
        }
    });
    Ok(run(stop).await?)
}

#[allow(
    clippy::print_stderr,
    reason = "the last words of a command line are for its terminal"
)]
fn complain(error: &dyn Error) {
    let mut text = format!("doorward: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!("\n  because: {source}"));
        cause = source.source();
    }
    eprintln!("{text}");
}

/// Writes a line for whoever ran the command.
#[allow(clippy::print_stdout, reason = "this is what a command line is for")]
fn say(line: &str) {
    println!("{line}");
}

/// The configuration of `file`, or of the environment alone, with the log started as it says.
fn configured(file: Option<&Path>) -> Result<Config, Box<dyn Error>> {
    let config = Config::load(file, std::env::vars())?;
    logging::start(&config.log)?;
    Ok(config)
}

/// Waits for a signal to stop.
async fn told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file. Every key can also stand in the environment, as DOORWARD__SECTION__KEY.
    #[arg(long, env = "DOORWARD_CONFIG")]
    config: Option<PathBuf>,
}
