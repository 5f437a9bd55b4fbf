//! Lock-outs: somebody stands before their own door and cannot open it.
//!
//! Whoever asks shows who they are, the property's policy says what is tried first, who approves and what it costs, and
//! what comes out is a way in that works once. What was decided is never changed; a door that was opened by it costs what
//! [`charge`] says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{GrantId, LockId, LockoutId, OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use super::text::{self, BadText};
use super::time::Timestamp;

pub mod charge;
pub mod ledger;
pub mod policy;
pub mod walk;

pub use policy::Policy;

/// How long the way in works from the approval on.
pub const WAY_IN_LIFE: Duration = Duration::from_secs(15 * 60);

/// How long the code that was sent to the address on file can be told.
pub const CODE_LIFE: Duration = Duration::from_secs(10 * 60);

/// How many wrong answers one code stands.
pub const CODE_TRIES: u32 = 5;

/// How long an outsider may follow their lock-out by the secret that they got for their code.
pub const FOLLOW_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What staff saw of who stands before them, 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seen(String);

text::line_type!(Seen, 200);

/// Why a lock-out was denied or a line waived, 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Why(String);

text::line_type!(Why, 200);

/// How the person showed who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// They are signed in.
    Session,
    /// By the code that was sent to the address on file, and what they knew of their tenancy.
    Code,
    /// Staff saw them.
    Desk {
        /// Who.
        by: PersonId,
        /// What they saw; `None` once that is forgotten (`docs/PRIVACY.md`).
        saw: Option<Seen>,
    },
}

impl Identity {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Code => "code",
            Self::Desk { .. } => "desk",
        }
    }
}

/// What became of a lock-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for what its policy says.
    Open,
    /// There is a way in.
    Approved {
        /// Since when.
        at: Timestamp,
        /// By whom; `None` where the policy did.
        by: Option<PersonId>,
        /// By which the door opens.
        grant: GrantId,
        /// Until when, exclusive.
        ends_at: Timestamp,
        /// When the door was first opened by it, as far as its lock has told.
        used_at: Option<Timestamp>,
    },
    /// Somebody said no.
    Denied {
        /// When.
        at: Timestamp,
        /// Who.
        by: PersonId,
        /// Why; `None` once that is forgotten.
        why: Option<Why>,
    },
    /// It was called off.
    Cancelled {
        /// When.
        at: Timestamp,
        /// By whom; `None` for whoever followed it without signing in.
        by: Option<PersonId>,
    },
    /// Nobody answered in time, or the person does not live there any more.
    Lapsed {
        /// When.
        at: Timestamp,
    },
}

impl State {
    /// The word for it in tables.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Cancelled { .. } => "cancelled",
            Self::Lapsed { .. } => "lapsed",
        }
    }

    /// The word for it in answers at `now`: of an approval also what came of it.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> &'static str {
        match self {
            Self::Approved { used_at: Some(_), .. } => "used",
            Self::Approved { ends_at, .. } if *ends_at <= now => "unused",
            other => other.word(),
        }
    }

    /// Whether it is the one that an ask of the same person for the same door joins.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        matches!(self.status(now), "open" | "approved")
    }
}

/// A lock-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// Which.
    pub id: LockoutId,
    /// Whose house it is.
    pub organization: OrganizationId,
    /// Which house.
    pub property: PropertyId,
    /// The unit that the person lives in.
    pub unit: UnitId,
    /// The door.
    pub lock: LockId,
    /// Who is locked out.
    pub person: PersonId,
    /// By which tenancy they belong there.
    pub tenancy: TenancyId,
    /// Since when they had lived there.
    pub lease_starts_at: Timestamp,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How they showed who they are.
    pub identity: Identity,
    /// The policy that stood then.
    pub policy: Policy,
    /// Who had decided on it; `None` where nobody had.
    pub policy_by: Option<PersonId>,
    /// How many of the policy's steps have begun.
    pub begun: usize,
    /// When to look again, while it is open.
    pub next_at: Timestamp,
    /// What became of it.
    pub state: State,
}

#[cfg(test)]
mod tests;
