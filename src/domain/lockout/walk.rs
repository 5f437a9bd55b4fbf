//! How a lock-out goes on by itself: what is tried first, one after the other, and what becomes of it where nobody
//! answers.

use std::time::Duration;

use super::policy::{Approval, Policy, Unanswered};
use crate::domain::time::Timestamp;

/// Where a lock-out stands that nobody has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// How many of the policy's steps have begun.
    pub begun: usize,
    /// What follows by itself.
    pub verdict: Verdict,
}

/// What follows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Waits {
        /// When to look again: the next step, or the end of the wait.
        until: Timestamp,
    },
    /// It counts as approved.
    Approved,
    /// The door stays shut: nobody answered in time.
    Lapsed,
}

/// Where a lock-out that was asked for at `asked_at` stands at `now`, if nobody has decided it.
///
/// The first step begins with the ask, each other one when the one before has had its minutes. Where nobody need approve,
/// the last one's end is the approval; else the wait for an approval runs from the ask, and a step that would begin at
/// its end or later does not begin.
#[must_use]
pub fn stand(policy: &Policy, asked_at: Timestamp, now: Timestamp) -> Stand {
    let (mut begins, mut starts) = (asked_at, Vec::with_capacity(policy.first().len()));
    for step in policy.first() {
        starts.push(begins);
        begins = begins + minutes(step.minutes);
    }
    let (ends_at, end) = match policy.approval() {
        Approval::Automatic => (begins, Verdict::Approved),
        Approval::By { wait_minutes, then, .. } => {
            let end = match then {
                Unanswered::Approve => Verdict::Approved,
                Unanswered::Refuse => Verdict::Lapsed,
            };
            (asked_at + minutes(wait_minutes), end)
        }
    };
    let counts = |start: &&Timestamp| **start < ends_at;
    let begun = starts.iter().filter(counts).filter(|start| **start <= now).count();
    let verdict = if now >= ends_at {
        end
    } else {
        let next = starts.iter().filter(counts).find(|start| **start > now);
        Verdict::Waits {
            until: next.copied().unwrap_or(ends_at),
        }
    };
    Stand { begun, verdict }
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}
