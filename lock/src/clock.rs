//! The lock's trusted time: the backend's, in answer to a nonce, carried on by the lock's own counter.

use crate::base64url::Text16;
use crate::wire::ClockState;

/// How long the backend may take to answer, in milliseconds from the nonce.
pub const ANSWER_MS: u64 = 2_000;

/// How long the time counts as fresh, in milliseconds from the answer: a cheap crystal (20 ppm) is off by two seconds
/// then, a fifth of a token's usual life.
pub const FRESH_MS: u64 = 24 * 60 * 60 * 1_000;

/// How old the time may grow before the lock asks again, in milliseconds.
pub const ASK_AGAIN_MS: u64 = 6 * 60 * 60 * 1_000;

/// The time at one instant of the lock's own counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set {
    wall_ms: u64,
    mono_ms: u64,
}

/// The lock's clock. `mono_ms` is everywhere the lock's own counter in milliseconds since its start, which never goes
/// back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    floor: u64,
    set: Option<Set>,
    asked: Option<(Text16, u64)>,
}

/// Why an answer does not set the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// Nobody asked with that nonce, or it was answered already.
    NotAsked,
    /// It took longer than [`ANSWER_MS`].
    Late,
    /// It is before the floor.
    BelowFloor,
}

impl core::fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "the nonce was not asked, or is used up",
            Self::Late => "the answer took too long",
            Self::BelowFloor => "the time is before one that was trusted already",
        })
    }
}

impl core::error::Error for BadAnswer {}

impl Clock {
    /// The clock at a start of the lock: no time, only the stored floor.
    #[must_use]
    pub fn new(floor: u64) -> Self {
        Self {
            floor,
            set: None,
            asked: None,
        }
    }

    /// The greatest time ever trusted, in seconds; to be stored whenever [`Self::answer`] succeeds.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// How far the time can be believed.
    #[must_use]
    pub fn state(&self, mono_ms: u64) -> ClockState {
        match self.set {
            None => ClockState::None,
            Some(set) if mono_ms.saturating_sub(set.mono_ms) <= FRESH_MS => ClockState::Fresh,
            Some(_) => ClockState::Stale,
        }
    }

    /// The time in seconds, however old; `None` where there was none since the start.
    #[must_use]
    pub fn wall(&self, mono_ms: u64) -> Option<u64> {
        let set = self.set?;
        Some(set.wall_ms.saturating_add(mono_ms.saturating_sub(set.mono_ms)) / 1_000)
    }

    /// The time in seconds where it is fresh: the only one that opens a door.
    #[must_use]
    pub fn fresh(&self, mono_ms: u64) -> Option<u64> {
        if self.state(mono_ms) == ClockState::Fresh {
            self.wall(mono_ms)
        } else {
            None
        }
    }

    /// Whether it is time to ask for the time.
    #[must_use]
    pub fn wants_answer(&self, mono_ms: u64) -> bool {
        self.set
            .is_none_or(|set| mono_ms.saturating_sub(set.mono_ms) > ASK_AGAIN_MS)
    }

    /// Notes that the time was asked for with `nonce`, now; a nonce before it counts no more.
    pub fn ask(&mut self, nonce: Text16, mono_ms: u64) {
        self.asked = Some((nonce, mono_ms));
    }

    /// Takes the backend's answer: `t`, rounded down to a second, for `nonce`.
    ///
    /// The true time lies between `t` and `t` plus a second of rounding plus the way there and back. The clock is set
    /// to the latest of these: it is never behind, so that no bolt moves after its deadline.
    ///
    /// # Errors
    /// [`BadAnswer`]; the clock stays as it is.
    pub fn answer(&mut self, nonce: &str, t: u64, mono_ms: u64) -> Result<(), BadAnswer> {
        let asked_ms = match &self.asked {
            Some((asked, at_ms)) if asked == nonce => *at_ms,
            _ => return Err(BadAnswer::NotAsked),
        };
        self.asked = None;
        let way_ms = mono_ms.saturating_sub(asked_ms);
        if way_ms > ANSWER_MS {
            return Err(BadAnswer::Late);
        }
        if t < self.floor {
            return Err(BadAnswer::BelowFloor);
        }
        self.floor = t;
        self.set = Some(Set {
            wall_ms: t.saturating_mul(1_000).saturating_add(999 + way_ms),
            mono_ms,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use heapless::String;

    use super::*;

    const T: u64 = 1_772_442_000;

    fn nonce(text: &str) -> Text16 {
        String::try_from(text).unwrap()
    }

    fn asked() -> Clock {
        let mut clock = Clock::new(T);
        clock.ask(nonce("n"), 1_000);
        clock
    }

    #[test]
    fn an_answer_counts_once_in_time_and_never_goes_back() {
        for (why, given, t, at_ms, expected) in [
            ("at once", "n", T, 1_000, Ok(())),
            ("at the last moment", "n", T, 3_000, Ok(())),
            ("one ms late", "n", T, 3_001, Err(BadAnswer::Late)),
            ("another nonce", "m", T, 1_000, Err(BadAnswer::NotAsked)),
            ("before the floor", "n", T - 1, 1_000, Err(BadAnswer::BelowFloor)),
        ] {
            assert_eq!(asked().answer(given, t, at_ms), expected, "{why}");
        }
        let mut clock = asked();
        clock.answer("n", T, 1_000).unwrap();
        assert_eq!(clock.answer("n", T, 1_001), Err(BadAnswer::NotAsked));
    }

    #[test]
    fn the_time_is_fresh_for_a_day_and_then_stale() {
        let mut clock = asked();
        assert_eq!(
            (clock.state(2_000), clock.wall(2_000), clock.fresh(2_000)),
            (ClockState::None, None, None)
        );
        clock.answer("n", T, 2_000).unwrap();
        assert_eq!(clock.fresh(2_000), Some(T + 1));
        assert_eq!(clock.fresh(2_000 + FRESH_MS), Some(T + 1 + 86_400));
        assert_eq!(clock.state(2_001 + FRESH_MS), ClockState::Stale);
        assert_eq!(clock.fresh(2_001 + FRESH_MS), None);
        assert!(clock.wall(2_001 + FRESH_MS).is_some());
    }

    #[test]
    fn the_clock_is_never_behind() {
        let mut clock = asked();
        clock.answer("n", T, 3_000).unwrap();
        // The backend may have read its clock at T + 0.999 s, and the answer may have come back 2 s after that.
        assert_eq!(clock.wall(3_000), Some(T + 2));
        assert_eq!(clock.wall(3_001), Some(T + 3));
    }
}
