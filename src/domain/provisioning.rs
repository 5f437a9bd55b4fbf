//! Whether a grant works at each of its locks, and where something of it lingers: never one word for several doors.

use super::ids::LockId;
use super::pin::Status;

/// What is known of a grant at one lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whether the grant stands and names the lock.
    pub is_given: bool,
    /// Whether the lock is in service.
    pub in_service: bool,
    /// What became of the grant's PIN here, where it has one at any of its locks; `Some(None)` where this lock was never
    /// given it.
    pub pin: Option<Option<Status>>,
    /// Whether a bolt may still move by something of the grant that counts no more: a pass, a PIN, a code.
    pub may_still_open: bool,
}

/// How a grant is at one lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtLock {
    /// It works.
    Ready,
    /// It works, and the lock has not yet said that it knows its PIN.
    Pending,
    /// Its PIN does not come to the lock; why, as a stable word.
    Failed(String),
    /// The lock is not claimed, retired or set apart.
    NotInService,
    /// It is not given here any more, and may still open.
    Removing,
    /// It is not given here any more, and opens nothing.
    Removed,
}

impl AtLock {
    /// How a grant of which this is known is at the lock.
    #[must_use]
    pub fn of(known: Known) -> Self {
        if !known.is_given {
            return if known.may_still_open {
                Self::Removing
            } else {
                Self::Removed
            };
        }
        if !known.in_service {
            return Self::NotInService;
        }
        match known.pin {
            None | Some(Some(Status::Applied)) => Self::Ready,
            Some(None) => Self::Failed("pin-not-given".to_owned()),
            Some(Some(Status::Pending)) => Self::Pending,
            Some(Some(Status::Failed(reason))) => Self::Failed(reason),
            Some(Some(Status::Suspended)) => Self::NotInService,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Pending => "pending",
            Self::Failed(_) => "failed",
            Self::NotInService => "not-in-service",
            Self::Removing => "removing",
            Self::Removed => "removed",
        }
    }

    /// Why it failed.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// How a grant is at all of its locks together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The locks that lack what the grant gives.
    pub missing: Vec<LockId>,
    /// The locks that may still open by what it gives no more.
    pub lingering: Vec<LockId>,
}

impl Summary {
    /// The summary of these.
    #[must_use]
    pub fn of<'a>(locks: impl IntoIterator<Item = (&'a LockId, &'a AtLock)>) -> Self {
        let mut summary = Self::default();
        for (lock, at) in locks {
            match at {
                AtLock::Ready | AtLock::Removed => {}
                AtLock::Pending | AtLock::Failed(_) | AtLock::NotInService => summary.missing.push(lock.clone()),
                AtLock::Removing => summary.lingering.push(lock.clone()),
            }
        }
        summary
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match (self.missing.is_empty(), self.lingering.is_empty()) {
            (true, true) => "complete",
            (false, true) => "under-provisioned",
            (true, false) => "over-provisioned",
            (false, false) => "both",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_lacks_it_or_still_has_it_or_neither() {
        let given = |in_service, pin| Known {
            is_given: true,
            in_service,
            pin,
            may_still_open: false,
        };
        let gone = |may_still_open| Known {
            is_given: false,
            in_service: true,
            pin: None,
            may_still_open,
        };
        let failed = |word: &str| Status::Failed(word.to_owned());
        for (what, known, word, reason) in [
            ("by the app", given(true, None), "ready", None),
            (
                "its PIN is there",
                given(true, Some(Some(Status::Applied))),
                "ready",
                None,
            ),
            (
                "its PIN is under way",
                given(true, Some(Some(Status::Pending))),
                "pending",
                None,
            ),
            (
                "its PIN was refused",
                given(true, Some(Some(failed("full")))),
                "failed",
                Some("full"),
            ),
            (
                "the others have a PIN",
                given(true, Some(None)),
                "failed",
                Some("pin-not-given"),
            ),
            ("nobody claimed it", given(false, None), "not-in-service", None),
            (
                "retired, with a PIN",
                given(false, Some(Some(Status::Applied))),
                "not-in-service",
                None,
            ),
            (
                "its PIN waits for the lock",
                given(true, Some(Some(Status::Suspended))),
                "not-in-service",
                None,
            ),
            ("a pass is out", gone(true), "removing", None),
            ("nothing is out", gone(false), "removed", None),
        ] {
            let at = AtLock::of(known);
            assert_eq!((at.as_str(), at.reason()), (word, reason), "{what}");
        }
    }

    #[test]
    fn the_whole_is_named_by_its_parts() {
        let lock = LockId::from_bits(1);
        for (parts, word) in [
            (vec![], "complete"),
            (vec![AtLock::Ready, AtLock::Removed], "complete"),
            (vec![AtLock::Ready, AtLock::Pending], "under-provisioned"),
            (vec![AtLock::NotInService], "under-provisioned"),
            (vec![AtLock::Ready, AtLock::Removing], "over-provisioned"),
            (vec![AtLock::Failed(String::new()), AtLock::Removing], "both"),
        ] {
            let summary = Summary::of(parts.iter().map(|part| (&lock, part)));
            assert_eq!(summary.as_str(), word, "{parts:?}");
        }
    }
}
