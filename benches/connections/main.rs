//! Thousands of locks on the embedded broker: `cargo bench --bench connections`.
//!
//! The backend is the program itself, `doorward serve`, in a process of its own, so that its memory is its own; the
//! locks are reference locks in this process, enrolled over REST and connected over TLS. See `benches/README.md`.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use doorward::agent::controller::ReferenceLock;
use doorward::agent::enrolment::Enrolled;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod backend;
#[path = "../site/mod.rs"]
mod site;

use backend::{Backend, Memory, Premises};
use site::{Failure, Landlord, start_lock};

/// How many connections enrol locks.
const BUILDERS: usize = 16;
/// The longest that anything may take.
const BOUND: Duration = Duration::from_secs(120);

/// Options.
#[derive(Debug, clap::Parser)]
struct Options {
    /// How many locks.
    #[arg(long, env = "DOORWARD_BENCH_LOCKS", default_value_t = 5000)]
    locks: usize,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    raise_descriptor_limit()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(run(&options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    measured
}

async fn run(options: &Options) -> Result<(), Failure> {
    let premises = Premises::new()?;
    premises.add_landlord()?;

    let backend = premises.serve().await?;
    show("idle, nothing enrolled", &backend.memory()?);
    let began = Instant::now();
    let enrolled = enrol(&backend, options.locks).await?;
    println!(
        "{} locks enrolled in {:.1} s",
        enrolled.len(),
        began.elapsed().as_secs_f64()
    );
    backend.stop().await?;

    // A process that has only started: what it held while the locks enrolled is not counted for their connections.
    let backend = premises.serve().await?;
    let before = backend.memory()?;
    show("idle, all enrolled, none connected", &before);

    let started_at = premises.now();
    let began = Instant::now();
    let locks = start(enrolled).await?;
    premises.wait_for_hellos(options.locks, started_at, BOUND).await?;
    println!(
        "all connected, hello stored, after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let after = backend.memory()?;
    show("all connected", &after);
    println!(
        "{:>44}: {:.1} KiB",
        "a lock",
        (after.resident_kib - before.resident_kib) / options.locks as f64
    );

    let stopped_at = premises.now();
    let began = Instant::now();
    backend.stop().await?;
    let stopped = began.elapsed();
    let backend = premises.serve().await?;
    let serving = began.elapsed();
    premises.wait_for_hellos(options.locks, stopped_at, BOUND).await?;
    let back = began.elapsed();
    println!(
        "restart: stopped after {:.1} s, ready after {:.1} s, all back after {:.1} s",
        stopped.as_secs_f64(),
        serving.as_secs_f64(),
        back.as_secs_f64()
    );
    show("after the restart, all connected", &backend.memory()?);

    futures_util::future::join_all(locks.into_iter().map(ReferenceLock::stop)).await;
    backend.stop().await
}

/// Adds and enrols this many locks, as a landlord and the locks would.
async fn enrol(backend: &Backend, count: usize) -> Result<Vec<Enrolled>, Failure> {
    let http = backend.http();
    let mut landlord = Landlord::sign_in(http).await?;
    let building = landlord.add_building().await?;
    let mut builders = Vec::new();
    for _ in 0..BUILDERS {
        builders.push(landlord.again(http).await?);
    }
    let shares = builders.into_iter().enumerate().map(|(first, mut builder)| {
        let building = &building;
        async move {
            let mut enrolled = Vec::new();
            for number in (first..count).step_by(BUILDERS) {
                enrolled.push(builder.add_lock(building, None, number).await?);
            }
            Ok::<_, Failure>(enrolled)
        }
    });
    let shares: Vec<Vec<Enrolled>> = futures_util::stream::iter(shares)
        .buffer_unordered(BUILDERS)
        .try_collect()
        .await?;
    Ok(shares.into_iter().flatten().collect())
}

/// Starts all locks at once.
async fn start(enrolled: Vec<Enrolled>) -> Result<Vec<ReferenceLock>, Failure> {
    let mut tls = None;
    let mut locks = Vec::with_capacity(enrolled.len());
    for enrolled in enrolled {
        let shared = match &tls {
            Some(shared) => Arc::clone(shared),
            None => Arc::clone(tls.insert(enrolled.tls()?)),
        };
        locks.push(start_lock(enrolled, shared).await?);
    }
    Ok(locks)
}

fn show(when: &str, memory: &Memory) {
    println!(
        "{when:>44}: {:.1} MiB resident, {:.1} MiB of it the program's own",
        memory.resident_kib / 1024.0,
        memory.own_kib / 1024.0
    );
}

/// A socket is a file: as many as the system allows.
fn raise_descriptor_limit() -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?)
}
