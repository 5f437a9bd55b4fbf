//! Does it stay as fast with years of grants and log entries? `cargo bench --bench scale`.
//!
//! Two backends in this process, each with its own database, broker and locks: one with a thousand grants and entries, one with a
//! million grants and ten million entries. They are asked the same, turn by turn. See `benches/README.md`.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::{Duration, Instant};

use clap::Parser as _;
use hyper::body::Bytes;
use serde_json::json;

mod fill;
#[path = "../site/mod.rs"]
mod site;

use fill::{COMERS, Place};
use site::{Client, Door, EMAIL, Failure, PASSWORD, Real};

/// Options.
#[derive(Debug, clap::Parser)]
struct Options {
    /// Grants of the large one.
    #[arg(long, default_value_t = 1_000_000)]
    grants: u64,
    /// Entries of the large one.
    #[arg(long, default_value_t = 10_000_000)]
    entries: u64,
    /// Grants and entries of the small one.
    #[arg(long, default_value_t = 1_000)]
    small: u64,
    /// Turns of each.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Asks a turn.
    #[arg(long, default_value_t = 50)]
    asks: usize,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Doors with a tenant each.
const DOORS: usize = 16;

/// What is asked.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Unlock,
    Refused,
    NewestEntries,
    EntriesOfALock,
    EntriesOfAPerson,
    Proof,
}

const ASKS: [(Ask, &str); 6] = [
    (Ask::Unlock, "unlock, confirmed"),
    (Ask::Refused, "unlock, refused"),
    (Ask::NewestEntries, "newest 50 entries"),
    (Ask::EntriesOfALock, "newest 50 of a lock"),
    (Ask::EntriesOfAPerson, "newest 50 of a person"),
    (Ask::Proof, "proof of an entry"),
];

/// A backend with its history.
struct Side {
    real: Real,
    client: Client,
    landlord: String,
    place: Place,
    first: u64,
    entries: u64,
    asked: u64,
}

impl Side {
    async fn start(grants: u64, entries: u64) -> Result<Self, Failure> {
        let real = Real::start(DOORS).await?;
        let mut place = Place::open(&real.database())?;
        let began = Instant::now();
        place.add_grants(grants)?;
        let first = place.add_entries(entries)?;
        let filled = Instant::now();
        // By the timed work of the backend itself.
        loop {
            let (sealed, all) = place.sealed()?;
            if sealed >= all {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let took = filled.elapsed().as_secs_f64();
        println!(
            "{grants} grants, {entries} entries: filled in {:.1} s, sealed in {took:.1} s, {:.0} a second",
            filled.duration_since(began).as_secs_f64(),
            entries as f64 / took
        );
        let mut client = Client::connect(real.http()).await?;
        let who = json!({ "email": EMAIL, "password": PASSWORD });
        let signed_in = client.post("/v1/auth/sign-in", "", &who).await?;
        let landlord = signed_in["access_token"].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            real,
            client,
            landlord,
            place,
            first,
            entries,
            asked: 0,
        })
    }

    /// Asks once, and says how long the answer took.
    async fn ask(&mut self, what: Ask) -> Result<Duration, Failure> {
        self.asked += 1;
        let door = |number: u64| -> Result<Door, Failure> {
            let doors = &self.real.doors;
            let at = usize::try_from(number)? % doors.len();
            Ok(doors.get(at).ok_or("no doors")?.clone())
        };
        let (mine, next) = (door(self.asked)?, door(self.asked + 1)?);
        let lock = mine.path.split('/').nth(3).unwrap_or_default().to_owned();
        // Entries from all over the log, in an order that no cache expects.
        let seq = self.asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) % self.entries + self.first;
        let (method, path, token, status) = match what {
            Ask::Unlock => ("POST", mine.path, mine.token, 200),
            Ask::Refused => ("POST", next.path, mine.token, 403),
            Ask::NewestEntries => ("GET", "/v1/access-log?limit=50".to_owned(), self.landlord.clone(), 200),
            Ask::EntriesOfALock => (
                "GET",
                format!("/v1/access-log?limit=50&lock_id={lock}"),
                self.landlord.clone(),
                200,
            ),
            Ask::EntriesOfAPerson => {
                let person = Place::person(seq % COMERS);
                (
                    "GET",
                    format!("/v1/access-log?limit=50&person_id={person}"),
                    self.landlord.clone(),
                    200,
                )
            }
            Ask::Proof => ("GET", format!("/v1/access-log/{seq}/proof"), self.landlord.clone(), 200),
        };
        let began = Instant::now();
        let answer = self.client.ask(method, &path, &token, Bytes::new()).await?;
        let took = began.elapsed();
        if answer.status != status {
            return Err(format!(
                "{method} {path}: {}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            )
            .into());
        }
        Ok(took)
    }
}

/// A log export as it was.
struct Exported {
    lines: usize,
    took: Duration,
    /// By how much the process was larger than before, at most.
    peak_kib: f64,
}

impl Side {
    /// Exports the whole log with its proofs.
    async fn export(&mut self) -> Result<Exported, Failure> {
        // From now on the peak is that of the export.
        std::fs::write("/proc/self/clear_refs", "5")?;
        let before = memory_kib("VmRSS:")?;
        let began = Instant::now();
        let path = "/v1/access-log/export?format=jsonl";
        let lines = self.client.count_lines(path, &self.landlord).await?;
        Ok(Exported {
            lines,
            took: began.elapsed(),
            peak_kib: memory_kib("VmHWM:")? - before,
        })
    }
}

/// What the kernel says of this process under this name.
fn memory_kib(name: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no such figure")?.parse()?)
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(run(&options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    measured
}

async fn run(options: &Options) -> Result<(), Failure> {
    let mut sides = [
        Side::start(options.small, options.small).await?,
        Side::start(options.grants, options.entries).await?,
    ];
    // A connection on which nothing is asked while the other side is filled has been closed by then.
    for side in &mut sides {
        side.client = Client::connect(side.real.http()).await?;
    }
    println!(
        "{:>24} {:>12} {:>12} {:>7}",
        "half of all, ms", "small", "large", "ratio"
    );
    for (what, name) in ASKS {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..=options.rounds {
            for (side, times) in sides.iter_mut().zip(&mut times) {
                for _ in 0..options.asks {
                    let took = side.ask(what).await?;
                    // The first turn warms up and is not counted.
                    if round > 0 {
                        times.push(took);
                    }
                }
            }
        }
        let [small, large] = times.map(|mut times| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0
        });
        println!("{name:>24} {small:>12.3} {large:>12.3} {:>7.2}", large / small);
    }
    for side in &mut sides {
        let export = side.export().await?;
        println!(
            "export: {} entries in {:.1} s, {:.0} a second, {:.1} MiB more at most",
            export.lines,
            export.took.as_secs_f64(),
            export.lines as f64 / export.took.as_secs_f64(),
            export.peak_kib / 1024.0
        );
    }
    for side in sides {
        let (sealed, all) = { side.place }.sealed()?;
        println!("{sealed} of {all} entries are sealed at the end");
        side.real.stop().await;
    }
    Ok(())
}
