//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use doorward::agent::counter::Counter;
use doorward::domain::time::{Clock, Timestamp};
use doorward::server::MachineClock;

/// What a broken clock holds.
const BROKEN: i64 = i64::MIN;

/// The time of the server, and of the locks at it. Clones are the same one.
#[derive(Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    /// Where every story begins: a Monday morning, 9 o'clock in Vienna.
    pub const START: &'static str = "2026-03-02T08:00:00Z";

    /// The clock at [`Self::START`].
    pub fn new() -> Self {
        let start: Timestamp = Self::START.parse().unwrap();
        Self(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// A clock that stands at the machine's present time, for servers that go by that.
    pub fn of_the_machine() -> Self {
        Self(Arc::new(AtomicI64::new(MachineClock.now().as_millis())))
    }

    /// Moves a clock of the machine to the machine's present time.
    pub fn catch_up(&self) {
        self.0.fetch_max(MachineClock.now().as_millis(), Ordering::SeqCst);
    }

    /// Moves the clock to this instant, which may be an earlier one.
    pub fn set(&self, to: &str) {
        let to: Timestamp = to.parse().unwrap();
        self.0.store(to.as_millis(), Ordering::SeqCst);
    }

    /// Breaks it: whoever asks for the time panics, until it is set again. Gives the time at which it stood.
    pub fn break_down(&self) -> String {
        Timestamp::from_millis(self.0.swap(BROKEN, Ordering::SeqCst)).to_string()
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// The present instant as text, after `later`.
    pub fn after(&self, later: Duration) -> String {
        (self.now() + later).to_string()
    }

    /// The counter of a lock that starts now: it goes as this clock goes, so that a lock and the server agree on the
    /// time whatever a test does, and never back.
    pub fn counter(&self) -> HandCounter {
        HandCounter {
            clock: self.clone(),
            started_ms: self.now().as_millis(),
            latest_ms: AtomicI64::new(0),
        }
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        let ms = self.0.load(Ordering::SeqCst);
        assert_ne!(ms, BROKEN, "the test has broken its clock");
        Timestamp::from_millis(ms)
    }
}

/// A lock's own counter of time, driven by the [`HandClock`].
pub struct HandCounter {
    clock: HandClock,
    started_ms: i64,
    latest_ms: AtomicI64,
}

impl Counter for HandCounter {
    fn now_ms(&self) -> u64 {
        let ms = self.clock.now().as_millis() - self.started_ms;
        let latest = self.latest_ms.fetch_max(ms, Ordering::SeqCst).max(ms);
        u64::try_from(latest).unwrap()
    }
}
