//! One unlock from the request to the answer, against the floor: `cargo bench --bench unlock`.
//!
//! Both run in this process, turn by turn, each with its own embedded broker, database and locks. See
//! `benches/README.md` for what is in which.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::Duration;

use clap::Parser as _;

mod floor;
mod load;
#[path = "../site/mod.rs"]
mod site;
mod table;

use load::Samples;
use site::{Door, Failure, Real};

/// Options; those that are not given are for a machine with two cores.
#[derive(Debug, clap::Parser)]
struct Options {
    /// Doors with a tenant each.
    #[arg(long, default_value_t = 128)]
    doors: usize,
    /// How many connections ask at once, one measurement after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    connections: Vec<usize>,
    /// Turns of each backend at each number of connections.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a turn takes, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only one of the two, for a profile.
    #[arg(long)]
    only: Option<Side>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    /// Nothing of ours but the libraries.
    Floor,
    /// The backend.
    Real,
}

/// A backend under load.
struct Contender {
    side: Side,
    address: std::net::SocketAddr,
    doors: Vec<Door>,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(run(&options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    measured
}

async fn run(options: &Options) -> Result<(), Failure> {
    let wanted = |side| options.only.is_none_or(|only| only == side);
    let mut contenders = Vec::new();
    let floor = if wanted(Side::Floor) {
        let floor = floor::Floor::start(options.doors).await?;
        contenders.push(Contender {
            side: Side::Floor,
            address: floor.http,
            doors: floor.doors(),
        });
        Some(floor)
    } else {
        None
    };
    let real = if wanted(Side::Real) {
        let real = Real::start(options.doors).await?;
        contenders.push(Contender {
            side: Side::Real,
            address: real.http(),
            doors: real.doors.clone(),
        });
        Some(real)
    } else {
        None
    };

    table::head();
    for &connections in &options.connections {
        let mut floor = Samples::default();
        let mut real = Samples::default();
        for round in 0..=options.rounds {
            for contender in &contenders {
                // The first turn warms up and is not counted.
                let turn = if round == 0 { 1 } else { options.seconds };
                let turn = Duration::from_secs(turn);
                let samples = load::run(contender.address, &contender.doors, connections, turn).await?;
                if round > 0 {
                    match contender.side {
                        Side::Floor => floor.add(samples),
                        Side::Real => real.add(samples),
                    }
                }
            }
        }
        table::row(connections, floor, real);
    }
    if let Some(real) = real {
        real.stop().await;
    }
    if let Some(floor) = floor {
        floor.stop().await;
    }
    Ok(())
}
