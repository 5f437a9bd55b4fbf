//! A lock's own counter of time, which nobody can set.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Counts milliseconds since a start of the lock, and never goes back.
pub trait Counter: Send + Sync + 'static {
    /// Milliseconds since the start.
    fn now_ms(&self) -> u64;
}

/// The clock that goes on while the machine sleeps: a token does not stay good over a nap of the computer.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The machine's own counter, from the moment at which this was made.
#[derive(Debug, Clone, Copy)]
pub struct MachineCounter {
    started: Duration,
}

impl MachineCounter {
    /// A counter that begins at 0 now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: since_boot() }
    }
}

impl Counter for MachineCounter {
    fn now_ms(&self) -> u64 {
        whole_ms(since_boot().saturating_sub(self.started))
    }
}

/// A counter that is too fast or too slow, as a cheap crystal is.
#[derive(Debug, Clone, Copy)]
pub struct SkewedCounter {
    exact: MachineCounter,
    parts_per_million: i32,
}

impl SkewedCounter {
    /// A counter that begins at 0 now, and gains this many microseconds a second.
    #[must_use]
    pub fn start(parts_per_million: i32) -> Self {
        Self {
            exact: MachineCounter::start(),
            parts_per_million,
        }
    }
}

impl Counter for SkewedCounter {
    fn now_ms(&self) -> u64 {
        let rate = 1_000_000_u64.saturating_add_signed(i64::from(self.parts_per_million));
        self.exact.now_ms().saturating_mul(rate) / 1_000_000
    }
}

fn since_boot() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(CLOCK);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_begin_at_nothing_and_never_go_back() {
        for counter in [
            &MachineCounter::start() as &dyn Counter,
            &SkewedCounter::start(-500),
            &SkewedCounter::start(500),
        ] {
            let first = counter.now_ms();
            assert!(first < 60_000, "{first}");
            assert!(counter.now_ms() >= first);
        }
    }
}
