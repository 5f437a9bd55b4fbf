//! Many locks in one process, with faults that follow from a seed. Each is the reference lock with memory for storage:
//! two small tasks and no thread of its own.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::mqtt::address::BadAuthority;

use super::backend_address::Server;
use super::bolt::SimulatedBolt;
use super::controller::{LockOptions, Losses, ReferenceLock, StartError};
use super::counter::SkewedCounter;
use super::dice::Dice;
use super::enrolment::{EnrolError, Enrolled, enrol};
use super::storage::MemoryStorage;

/// How many events a simulated lock keeps until the backend has them: the fewest that a lock may.
const SLOTS: u32 = 16;
/// How many locks enrol, start or stop at once.
const SIDE_BY_SIDE: usize = 32;
/// How often locks are sent away and called back.
const ROUND: Duration = Duration::from_secs(1);

/// What goes wrong in a simulation. The default is nothing at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The share of messages that is lost, either way: 1 for all.
    pub lost: f64,
    /// The share of movements that jams.
    pub jamming: f64,
    /// How long bolts take, in milliseconds; each lock has its own speed.
    pub bolt_ms: RangeInclusive<u64>,
    /// How far counters are off, at most, in microseconds a second.
    pub skew_ppm: u32,
    /// The share of locks that is away at any time, less than 1.
    pub offline: f64,
    /// How long a lock stays away, in seconds.
    pub offline_s: RangeInclusive<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lost: 0.0,
            jamming: 0.0,
            bolt_ms: 0..=0,
            skew_ppm: 0,
            offline: 0.0,
            offline_s: 5..=60,
        }
    }
}

/// A simulation could not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// A lock could not.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A lock was given no usable certificate for the broker.
    #[error("a simulated lock cannot trust its broker")]
    Authority(#[from] BadAuthority),
}

/// Enrols one lock with each of the claim codes, some at a time; the answers stand in the codes' order.
pub async fn enrol_all(
    server: &Server,
    claim_codes: &[String],
    model: &str,
    random: &dyn Random,
) -> Vec<Result<Enrolled, EnrolError>> {
    let asking: Vec<_> = claim_codes
        .iter()
        .map(|code| enrol(server, code, model, random))
        .collect();
    stream::iter(asking).buffered(SIDE_BY_SIDE).collect().await
}

/// Running locks.
pub struct Simulation {
    locks: Arc<[ReferenceLock]>,
    stop: CancellationToken,
    director: JoinHandle<()>,
    _stop_when_dropped: DropGuard,
}

impl Simulation {
    /// Starts the locks. What goes wrong with the lock at one place of the list follows from `seed` and that place.
    ///
    /// # Errors
    /// [`SimulationError`] where a lock cannot start; the others end again.
    pub async fn start(
        enrolled: Vec<Enrolled>,
        faults: Faults,
        seed: u64,
        random: Arc<dyn Random>,
    ) -> Result<Self, SimulationError> {
        let mut brokers = Brokers::default();
        let mut options = Vec::with_capacity(enrolled.len());
        for (index, enrolled) in (0..).zip(enrolled) {
            let tls = brokers.trusted(&enrolled)?;
            options.push(lock(enrolled, tls, &faults, Dice::of(seed, index), Arc::clone(&random)));
        }
        // Each on a task of its own: signing the first event is what a start costs.
        let mut starting = stream::iter(options)
            .map(|options| tokio::spawn(ReferenceLock::start(options)))
            .buffered(SIDE_BY_SIDE);
        let mut locks = Vec::new();
        while let Some(started) = starting.next().await {
            locks.push(started.map_err(|_| StartError::Ending)??);
        }
        let locks: Arc<[ReferenceLock]> = locks.into();
        let stop = CancellationToken::new();
        let director = Director::new(Arc::clone(&locks), faults, Dice::new(seed));
        Ok(Self {
            locks,
            director: tokio::spawn(director.direct(stop.clone())),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        })
    }

    /// The locks, in the order of their enrolments.
    #[must_use]
    pub fn locks(&self) -> &[ReferenceLock] {
        &self.locks
    }

    /// How many of them are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.locks
            .iter()
            .filter(|lock| lock.view().borrow().is_connected)
            .count()
    }

    /// Lets all locks say `offline` and end.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends by itself, and then nobody calls a lock back.
        let _ = self.director.await;
        for lock in self.locks.iter() {
            lock.disconnect().await;
        }
        for lock in self.locks.iter() {
            // A lock that is gone altogether is disconnected too.
            let _ = lock.view().wait_for(|view| !view.is_connected).await;
        }
    }
}

/// What to trust for each broker, made once a broker.
#[derive(Default)]
struct Brokers(HashMap<String, Arc<ClientConfig>>);

impl Brokers {
    fn trusted(&mut self, enrolled: &Enrolled) -> Result<Arc<ClientConfig>, BadAuthority> {
        let pem = &enrolled.welcome.mqtt.ca_certificate;
        if let Some(tls) = self.0.get(pem) {
            return Ok(Arc::clone(tls));
        }
        let tls = enrolled.tls()?;
        self.0.insert(pem.clone(), Arc::clone(&tls));
        Ok(tls)
    }
}

fn lock(
    enrolled: Enrolled,
    tls: Arc<ClientConfig>,
    faults: &Faults,
    mut dice: Dice,
    random: Arc<dyn Random>,
) -> LockOptions<MemoryStorage> {
    let takes = Duration::from_millis(dice.within(&faults.bolt_ms));
    let furthest = i32::try_from(faults.skew_ppm).unwrap_or(i32::MAX);
    let off = i64::try_from(dice.within(&(0..=2 * u64::from(furthest.unsigned_abs())))).unwrap_or(0);
    let skew = i32::try_from(off - i64::from(furthest)).unwrap_or(0);
    let jams = Dice::new(dice.throw());
    LockOptions {
        enrolled,
        tls,
        storage: MemoryStorage::new(SLOTS),
        bolt: Box::new(SimulatedBolt::jamming(takes, faults.jamming, jams)),
        counter: Arc::new(SkewedCounter::start(skew)),
        random,
        battery: Some(u8::try_from(dice.within(&(21..=100))).unwrap_or(100)),
        losses: (faults.lost > 0.0).then(|| Losses {
            share: faults.lost,
            dice: Dice::new(dice.throw()),
        }),
    }
}

/// Who sends locks away and calls them back.
struct Director {
    locks: Arc<[ReferenceLock]>,
    faults: Faults,
    dice: Dice,
    /// For each lock that is away, the round in which it comes back.
    back_in: Vec<Option<u64>>,
}

impl Director {
    fn new(locks: Arc<[ReferenceLock]>, faults: Faults, dice: Dice) -> Self {
        let back_in = vec![None; locks.len()];
        Self {
            locks,
            faults,
            dice,
            back_in,
        }
    }

    async fn direct(mut self, stop: CancellationToken) {
        if self.faults.offline <= 0.0 {
            return;
        }
        let mut rounds = tokio::time::interval(ROUND);
        for round in 0.. {
            if stop.run_until_cancelled(rounds.tick()).await.is_none() {
                return;
            }
            for (lock, away) in self.turn(round) {
                match self.locks.get(lock) {
                    Some(lock) if away => lock.disconnect().await,
                    Some(lock) => lock.connect().await,
                    None => {}
                }
            }
        }
    }

    /// Who goes away (true) and who comes back in this round.
    fn turn(&mut self, round: u64) -> Vec<(usize, bool)> {
        let offline = self.faults.offline.min(0.99);
        let mean_rounds = (self.faults.offline_s.start() + self.faults.offline_s.end()) as f64 / 2.0;
        // As many go as come back, once the share is reached.
        let goes = offline / (1.0 - offline) / mean_rounds.max(1.0);
        let mut turns = Vec::new();
        for (lock, back_in) in self.back_in.iter_mut().enumerate() {
            match *back_in {
                Some(back) if back <= round => {
                    *back_in = None;
                    turns.push((lock, false));
                }
                Some(_) => {}
                None if self.dice.hits(goes) => {
                    *back_in = Some(round + self.dice.within(&self.faults.offline_s).max(1));
                    turns.push((lock, true));
                }
                None => {}
            }
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn director(locks: usize, offline: f64, seed: u64) -> Director {
        let faults = Faults {
            offline,
            ..Faults::default()
        };
        let mut director = Director::new(Arc::from([]), faults, Dice::new(seed));
        director.back_in = vec![None; locks];
        director
    }

    #[test]
    fn the_share_of_locks_away_settles_where_it_was_asked_for() {
        for asked in [0.05, 0.3, 0.8] {
            let mut director = director(2_000, asked, 7);
            let mut away = 0;
            for round in 0..600 {
                director.turn(round);
                if round >= 300 {
                    away += director.back_in.iter().flatten().count();
                }
            }
            let share = away as f64 / (300.0 * 2_000.0);
            assert!((share - asked).abs() < 0.03, "asked for {asked}, was {share}");
        }
    }

    #[test]
    fn the_same_seed_sends_the_same_locks_away() {
        let rounds = |seed| -> Vec<Vec<(usize, bool)>> {
            let mut director = director(50, 0.3, seed);
            (0..50).map(|round| director.turn(round)).collect()
        };
        assert_eq!(rounds(1), rounds(1));
        assert_ne!(rounds(1), rounds(2));
    }
}
