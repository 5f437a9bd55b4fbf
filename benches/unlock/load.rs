//! The load: every connection asks for its own doors, one request after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::body::Bytes;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::site::{Client, Door, Failure};

/// What every right answer says.
const CONFIRMED: &[u8] = br#""status":"confirmed""#;

/// What was measured.
#[derive(Debug, Default)]
pub struct Samples {
    latencies: Vec<Duration>,
    took: Duration,
    /// Processor time of the whole process: backend, broker, locks and load.
    processor: Duration,
}

impl Samples {
    /// Adds those of another turn.
    pub fn add(&mut self, mut others: Self) {
        self.latencies.append(&mut others.latencies);
        self.took += others.took;
        self.processor += others.processor;
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Processor time an answer, with the broker's, the locks' and the load's share.
    pub fn processor(&self) -> Duration {
        self.processor
            .checked_div(u32::try_from(self.latencies.len()).unwrap_or(u32::MAX))
            .unwrap_or_default()
    }

    /// The latency that this share of all answers did not exceed.
    pub fn percentile(&mut self, share: f64) -> Duration {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Asks on so many connections for so long. Each has doors of its own, so that no command supersedes another.
///
/// # Errors
/// Where an answer is not `confirmed`: then nothing that was measured means anything.
pub async fn run(address: SocketAddr, doors: &[Door], connections: usize, turn: Duration) -> Result<Samples, Failure> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(address).await?);
    }
    let (began, processor) = (Instant::now(), processor_time());
    let asking: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, client)| {
            let own: Vec<Door> = doors.iter().skip(number).step_by(connections).cloned().collect();
            tokio::spawn(ask(client, own, began + turn))
        })
        .collect();
    let mut latencies = Vec::new();
    for asking in asking {
        latencies.append(&mut asking.await??);
    }
    Ok(Samples {
        latencies,
        took: began.elapsed(),
        processor: processor_time().saturating_sub(processor),
    })
}

/// The processor time that this process has used.
fn processor_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}

async fn ask(mut client: Client, doors: Vec<Door>, until: Instant) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    for door in doors.iter().cycle() {
        let asked = Instant::now();
        if asked >= until {
            break;
        }
        let answer = client.ask("POST", &door.path, &door.token, Bytes::new()).await?;
        latencies.push(asked.elapsed());
        let is_confirmed = answer.body.windows(CONFIRMED.len()).any(|part| part == CONFIRMED);
        if answer.status != StatusCode::OK || !is_confirmed {
            let said = String::from_utf8_lossy(&answer.body);
            return Err(format!("{}: {}: {said}", door.path, answer.status).into());
        }
    }
    Ok(latencies)
}
