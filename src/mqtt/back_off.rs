//! How long to wait before trying the broker again.

use std::time::Duration;

/// A wait that doubles from `first` to `longest`, each drawn from its upper half so that thousands of locks that lost
/// the broker at one instant do not come back at one instant.
#[derive(Debug, Clone)]
pub(super) struct BackOff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl BackOff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The next wait; `roll` is a uniform random number, from outside.
    pub(super) fn wait(&mut self, roll: u32) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.longest);
        whole / 2 + (whole / 2).mul_f64(f64::from(roll) / f64::from(u32::MAX))
    }

    /// Begins anew: the connection has stood long enough to be called good.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let mut back_off = BackOff::new(Duration::from_millis(500), Duration::from_secs(2));
        let waits = [500, 1000, 2000, 2000].map(Duration::from_millis);
        assert_eq!(waits.map(|_| back_off.wait(u32::MAX)), waits);
        back_off.reset();
        assert_eq!(back_off.wait(0), Duration::from_millis(250));
    }
}
