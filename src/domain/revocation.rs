//! Revocations of offline passes: what a lock is told of those that have not ended and are void all the same
//! (`docs/PROTOCOL.md`, "`revocations+jwt`").

use std::time::Duration;

use super::pass::LONGEST_LIFE;
use super::time::Timestamp;

/// The most bytes that the names of one list take, each with its quotation marks and comma: what fits into a message whose
/// other claims are as long as they may be.
pub const LONGEST_LIST: usize = 2500;

/// Whether a message holds all these names.
pub fn fit<'a>(names: impl IntoIterator<Item = &'a str>) -> bool {
    let length: usize = names.into_iter().map(|name| name.len() + 3).sum();
    length <= LONGEST_LIST
}

/// The least `rev` by which every pass that was issued for a lock before is void, and none that is issued from then on:
/// above all that were issued (`issued`), whatever the clock of the node that issued them, and above the present second.
#[must_use]
pub fn void_all_before(issued: u64, now: Timestamp) -> u64 {
    issued.max(now.as_seconds()) + 1
}

/// The `rev` below which every pass has ended by itself. A lock without any clock cannot tell by the pass; by this it can.
#[must_use]
pub fn ended_before(now: Timestamp) -> u64 {
    (now - LONGEST_LIFE - Duration::from_secs(1)).as_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_its_bounds() {
        let tenancies: Vec<String> = (0..100).map(|n| format!("tenancy_{n:032}")).collect();
        let count = |most: usize| fit(tenancies.iter().take(most).map(String::as_str));
        assert!(count(0) && count(58) && !count(59));
    }

    #[test]
    fn what_was_issued_before_is_void_and_what_comes_after_is_not() {
        let at = |ms| Timestamp::from_millis(ms);
        for (issued, now, least) in [
            (0, at(10_000), 11),
            (10, at(10_000), 11),
            (10, at(10_999), 11),
            (9, at(11_000), 12),
            // Another node's clock is ahead.
            (12, at(10_000), 13),
        ] {
            assert_eq!(void_all_before(issued, now), least, "{issued} {now}");
        }
    }

    #[test]
    fn a_pass_of_the_longest_life_has_ended() {
        let issued = Timestamp::from_seconds(2_000_000);
        let last = issued + LONGEST_LIFE;
        assert!(ended_before(last) <= issued.as_seconds());
        assert!(ended_before(last + Duration::from_secs(2)) > issued.as_seconds());
    }
}
