//! `doorward lock run`, `doorward lock simulate`, `doorward adapter …`: what a person types, and what it does.

pub mod adapter;
mod run;
mod simulate;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use crate::crypto::claim_link::BadClaimLink;
use crate::domain::ids::LockId;
use crate::mqtt::address::BadAuthority;

use super::adapter::BadProfile;
use super::adapter::host::HostError;
use super::backend_address::{BadAddress, TrustError};
use super::controller::StartError;
use super::enrolment::EnrolError;
use super::simulate::SimulationError;
use super::state_folder::StateFolderError;

pub use adapter::AdapterCommand;
pub use run::{RunArgs, run};
pub use simulate::{SimulateArgs, simulate};

/// Locks on this computer.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Run one lock: enrol it with a claim code, then verify commands and move its bolt.
    Run(RunArgs),
    /// Run many simulated locks in one process, with faults.
    Simulate(SimulateArgs),
}

/// A command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The first start lacks something.
    #[error("{0} holds no lock yet: give --claim with the link that a manager got, or --server and --claim-code")]
    NotEnrolled(PathBuf),
    /// The claim's link.
    #[error(transparent)]
    Link(#[from] BadClaimLink),
    /// The server that the claim's link names.
    #[error("the claim's link names no server that a lock may ask")]
    LinkedServer(#[from] BadAddress),
    /// The lock's folder.
    #[error(transparent)]
    Folder(#[from] StateFolderError),
    /// Whom to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The enrolment.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The broker's certificate.
    #[error("the lock cannot trust its broker")]
    Authority(#[from] BadAuthority),
    /// The start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The start of a simulation.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The folder is a lock's already.
    #[error("{0} holds {1} already: give the adapter a folder of its own")]
    Enrolled(PathBuf, LockId),
    /// The device of an adapter.
    #[error(transparent)]
    Profile(#[from] BadProfile),
    /// The start of an adapter.
    #[error(transparent)]
    Adapter(#[from] HostError),
    /// A file that was named.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The local network.
    #[error("the lock cannot listen at {address}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of claim codes.
    #[error("{path} cannot be read")]
    Claims {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The terminal as a keypad.
    #[error("the terminal cannot be the keypad")]
    Keypad(#[source] std::io::Error),
    /// Not enough claim codes.
    #[error("{wanted} locks need as many claim codes, and there are {found}")]
    TooFewClaims {
        /// How many were asked for.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// Too many connections for one process.
    #[error("{wanted} locks need more open files than this system allows a process ({allowed}): raise `ulimit -Hn`")]
    TooManyLocks {
        /// How many locks were asked for.
        wanted: usize,
        /// How many files a process may open.
        allowed: u64,
    },
}

impl LockCommand {
    /// Does it, until it is done or `stop` is cancelled.
    ///
    /// # Errors
    /// [`CommandError`], whose text is for the operator.
    pub async fn run(self, stop: CancellationToken) -> Result<(), CommandError> {
        match self {
            Self::Run(args) => run(args, stop).await,
            Self::Simulate(args) => simulate(args, stop).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: LockCommand,
    }

    fn read(line: &str) -> Result<LockCommand, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.command)
    }

    #[test]
    fn lines_are_read_or_refused() {
        for (line, good) in [
            ("lock run --state /var/lib/door", true),
            (
                "lock run --state d --server https://doors.example --claim-code 0A1B2",
                true,
            ),
            (
                "lock run --state d --claim doorward:claim?server=https://doors.example&code=0A1B2",
                true,
            ),
            ("lock run --state d --on-unlock open --on-lock close", true),
            ("lock run --state d --on-unlock open", false),
            (
                "lock run --state d --server http://doors.example --claim-code 0A1B2",
                false,
            ),
            ("lock run --state d --keypad", true),
            ("lock run", false),
            ("lock simulate --count 5 --server http://localhost:1 --claims -", true),
            (
                "lock simulate --count 5 --server http://localhost:1 --claims - --lossy 2.5 --offline 10",
                true,
            ),
            (
                "lock simulate --count 5 --server http://localhost:1 --claims - --lossy 101",
                false,
            ),
            (
                "lock simulate --count 5 --server http://localhost:1 --claims - --slow 99",
                false,
            ),
        ] {
            assert_eq!(read(line).is_ok(), good, "{line}");
        }
    }

    #[tokio::test]
    async fn a_link_names_code_and_server_or_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("door");
        for (claim, refused) in [
            (
                "doorward:claim?server=https://doors.example&code=0A1B2",
                "expected a link",
            ),
            ("https://doors.example", "expected a link"),
            (
                "doorward:claim?server=http://doors.example&code=00000000000000000000000011",
                "names no server",
            ),
        ] {
            let line = format!("lock run --state {} --claim {claim}", state.display());
            let Ok(LockCommand::Run(args)) = read(&line) else {
                panic!("the line is good")
            };
            let error = run(args, CancellationToken::new()).await.unwrap_err().to_string();
            assert!(error.contains(refused), "{claim}: {error}");
            assert!(!error.contains("0000000011"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_empty_folder_needs_a_claim_code() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("door");
        let Ok(LockCommand::Run(args)) = read(&format!("lock run --state {}", state.display())) else {
            panic!("the line is good")
        };
        let error = run(args, CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, CommandError::NotEnrolled(_)), "{error}");
    }
}
