//! What a lock was told of its PINs and what it has confirmed: enough to send the right change next, and never to take for
//! known what the lock may not have.
//!
//! A lock says in each hello which version it holds. Its `pins` event says only that it has taken one of the messages on
//! their way to it; the least of them then is what it holds for sure. Events and hellos may come late and in any order, so
//! each counts only where it was said after what is known already.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// How often a change is sent to a lock that is there and does not confirm it.
pub const MAX_TRIES: u32 = 6;

/// How long after each try the next one is due.
const BACK_OFF_SECONDS: [u64; MAX_TRIES as usize] = [10, 30, 120, 600, 1800, 3600];

/// What is wanted of a lock, what was sent, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The version that the lock should hold.
    pub version: u64,
    /// The version that it holds at least.
    pub held: u64,
    /// Up to which event that is known: its chain and number.
    pub seen: (Option<String>, i64),
    /// The versions above `held` that were sent, in their order.
    pub sent: Vec<u64>,
    /// How often it was tried since something was confirmed.
    pub tries: u32,
    /// When to try again.
    pub next_try_at: Timestamp,
    /// With which word the lock last refused.
    pub refusal: Option<String>,
    /// Number of the start in which it last said hello.
    pub boot: Option<u32>,
    /// The version with which these books ended when they were restored from a copy, until the lock has said hello: nothing is
    /// sent before, since nobody knows what it was told meanwhile.
    pub restored: Option<u64>,
}

/// What a hello told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that was not known.
    Nothing,
    /// What the lock holds.
    Held,
    /// What the lock holds. These books were restored from a copy, and what was sent since may be on its way to it still: everything
    /// is sent anew.
    Anew,
    /// The lock holds more than these books ever sent: they were restored from a copy, and everything is sent anew, also what
    /// counts once for all that was given.
    Ahead,
}

impl Delivery {
    /// A lock that holds nothing, and should be told `version`.
    #[must_use]
    pub fn begin(version: u64) -> Self {
        Self {
            version,
            held: 0,
            seen: (None, -1),
            sent: Vec::new(),
            tries: 0,
            next_try_at: Timestamp::MIN,
            refusal: None,
            boot: None,
            restored: None,
        }
    }

    /// These books were restored from a copy: what the lock holds is not known until it says hello.
    pub fn restore(&mut self) {
        // Restored twice without a hello, they know no more than the first time.
        self.restored.get_or_insert(self.version);
        self.held = 0;
        self.sent.clear();
        self.boot = None;
        self.begin_anew();
    }

    /// The version of one more change; it is sent at once.
    pub fn change(&mut self) -> u64 {
        self.version += 1;
        self.begin_anew();
        self.version
    }

    fn begin_anew(&mut self) {
        self.tries = 0;
        self.next_try_at = Timestamp::MIN;
        self.refusal = None;
    }

    /// Whether something should be sent to the lock, if it is there.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.restored.is_none() && self.version > self.held && self.tries < MAX_TRIES && self.next_try_at <= now
    }

    /// Whether it was tried as often as it is worth while.
    #[must_use]
    pub fn has_given_up(&self, now: Timestamp) -> bool {
        self.version > self.held && self.tries >= MAX_TRIES && self.next_try_at <= now
    }

    /// A change up to `version` is sent now.
    pub fn send(&mut self, version: u64, now: Timestamp) {
        if let Err(place) = self.sent.binary_search(&version) {
            self.sent.insert(place, version);
        }
        let pause = BACK_OFF_SECONDS.get(self.tries as usize).copied().unwrap_or(3600);
        self.tries = self.tries.saturating_add(1);
        self.next_try_at = now + Duration::from_secs(pause);
    }

    fn is_known(&self, chain: &str, seq: i64) -> bool {
        self.seen.0.as_deref() == Some(chain) && seq <= self.seen.1
    }

    /// The lock has told, by the event of this number, that it took a message. Says whether more is known by that.
    pub fn confirm(&mut self, chain: &str, seq: i64) -> bool {
        if self.is_known(chain, seq) {
            return false;
        }
        self.seen = (Some(chain.to_owned()), seq);
        if self.sent.is_empty() {
            return false;
        }
        self.held = self.sent.remove(0);
        self.begin_anew();
        true
    }

    /// The lock has refused a document with `word`: shown where it goes on like that.
    pub fn refuse(&mut self, word: &str) {
        if !self.sent.is_empty() {
            self.refusal = Some(word.to_owned());
        }
    }

    /// The lock has said hello at `now` in its start `boot`: it holds version `held`, and its newest event is `head`.
    pub fn hello(&mut self, held: u64, boot: u32, head: Option<(&str, i64)>, now: Timestamp) -> Heard {
        let is_new_start = self.boot.is_some_and(|known| known != boot);
        self.boot = Some(boot);
        if is_new_start {
            self.begin_anew();
        }
        if let Some((chain, seq)) = head {
            if self.seen.0.as_deref() == Some(chain) && seq < self.seen.1 {
                return Heard::Nothing;
            }
            self.seen = (Some(chain.to_owned()), seq);
        }
        self.sent.retain(|version| *version > held);
        let restored = self.restored.take();
        if restored.is_some() {
            self.held = held;
            self.begin_anew();
        }
        match restored {
            // It knows of nothing, and is told whatever is wanted.
            Some(_) if held == 0 && self.version == 0 => return Heard::Nothing,
            Some(_) if held == 0 => return Heard::Held,
            Some(known) => {
                // A time stands above whatever was counted in the life that is lost.
                self.version = self.version.max(held).max(now.as_seconds());
                return if held > known { Heard::Ahead } else { Heard::Anew };
            }
            None if held > self.version => {
                self.version = held.max(now.as_seconds());
                self.held = held;
                return Heard::Ahead;
            }
            None => {}
        }
        if held == self.held {
            return Heard::Nothing;
        }
        self.held = held;
        self.begin_anew();
        Heard::Held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn sent(versions: &[u64]) -> Delivery {
        let mut delivery = Delivery::begin(*versions.last().unwrap());
        for version in versions {
            delivery.send(*version, at(0));
        }
        delivery
    }

    #[test]
    fn an_event_confirms_the_least_that_was_sent() {
        let mut delivery = sent(&[5, 7, 9]);
        assert!(delivery.confirm("a", 3));
        assert_eq!((delivery.held, delivery.sent.as_slice()), (5, &[7, 9][..]));
        assert!(!delivery.confirm("a", 3), "the same event again");
        assert!(!delivery.confirm("a", 2), "one from before");
        assert!(delivery.confirm("a", 8));
        assert_eq!(delivery.held, 7);
    }

    #[test]
    fn a_hello_tells_exactly_unless_it_is_older_than_what_is_known() {
        let mut delivery = sent(&[5, 7]);
        assert_eq!(delivery.hello(7, 1, Some(("a", 4)), at(9)), Heard::Held);
        assert_eq!((delivery.held, delivery.sent.len()), (7, 0));
        delivery.change();
        delivery.send(8, at(0));
        assert!(!delivery.confirm("a", 4), "the event of version 7, late");
        assert_eq!(delivery.hello(5, 1, Some(("a", 3)), at(9)), Heard::Nothing, "overtaken");
        assert_eq!(delivery.held, 7);
        assert!(delivery.confirm("a", 6));
        assert_eq!(delivery.held, 8);
        assert_eq!(
            delivery.hello(0, 1, Some(("a", 9)), at(9)),
            Heard::Held,
            "it has lost its storage"
        );
        assert_eq!(delivery.held, 0);
        assert_eq!(delivery.hello(40, 1, Some(("a", 9)), at(9)), Heard::Ahead);
        assert_eq!((delivery.version, delivery.held), (40, 40));
    }

    #[test]
    fn it_is_tried_less_and_less_often_and_then_no_more() {
        let mut delivery = Delivery::begin(1);
        delivery.hello(0, 1, None, at(9));
        let mut now = at(1_000);
        let mut pauses = Vec::new();
        while delivery.is_due(now) {
            delivery.send(1, now);
            pauses.push(delivery.next_try_at.since(now).as_secs());
            assert!(!delivery.is_due(now) && !delivery.has_given_up(now));
            now = delivery.next_try_at;
        }
        assert_eq!(pauses, BACK_OFF_SECONDS);
        assert!(delivery.has_given_up(now));
        for again in [
            |delivery: &mut Delivery| {
                delivery.change();
            },
            |delivery: &mut Delivery| {
                delivery.hello(0, 2, None, at(9));
            },
        ] {
            let mut delivery = delivery.clone();
            again(&mut delivery);
            assert!(delivery.is_due(now));
        }
    }

    #[test]
    fn nothing_is_due_at_a_lock_that_holds_all() {
        let mut delivery = sent(&[1]);
        assert!(delivery.confirm("a", 1));
        assert!(!delivery.is_due(at(1 << 30)) && !delivery.has_given_up(at(1 << 30)));
        assert!(!delivery.confirm("a", 5), "a message that was not ours to wait for");
        assert_eq!(delivery.held, 1);
    }

    #[test]
    fn restored_books_are_believed_once_the_lock_has_spoken() {
        let now = at(1_800_000_000);
        let mut books = sent(&[5, 7]);
        books.confirm("a", 3);
        books.restore();
        assert!(!books.confirm("a", 4), "of a message that these books may not know");
        let given = books.change();
        assert!(!books.is_due(now), "the lock may hold more than these books");
        let known = {
            let mut books = books.clone();
            books.restore();
            books.restored
        };
        assert_eq!(known, Some(7), "a second time they know no more");
        for (held, heard) in [
            (0, Heard::Held),
            (5, Heard::Anew),
            (7, Heard::Anew),
            (8, Heard::Ahead),
            (2_000_000_000, Heard::Ahead),
        ] {
            let mut books = books.clone();
            assert_eq!(books.hello(held, 3, Some(("a", 9)), now), heard, "{held}");
            assert_eq!((books.held, books.restored), (held, None));
            if heard == Heard::Held {
                assert_eq!(books.version, given, "all of it is told to a lock that holds nothing");
                assert!(books.is_due(now));
            } else {
                assert!(books.change() > held.max(now.as_seconds()));
            }
            assert_ne!(books.hello(held, 3, Some(("a", 9)), now), heard, "it is said once");
        }
        let mut untold = Delivery::begin(0);
        untold.restore();
        assert_eq!(untold.hello(0, 1, None, now), Heard::Nothing);
        assert!(!untold.is_due(now));
    }
}
