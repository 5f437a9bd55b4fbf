//! The ledger: what lock-outs cost, line by line. No line is ever changed or taken out; what is waived or was wrong gets a
//! line of its own. No money moves here: the accounts do that with the signed export.

use super::Why;
use crate::domain::ids::{LedgerLineId, LockoutId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

/// What a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A lock-out whose door was opened, by this rate.
    Lockout {
        /// The word of the rate.
        rate: String,
    },
    /// A mechanical key was handed out for good.
    ReplacementKey,
    /// A lock-out costs something else now that an earlier one is known.
    Correction {
        /// The word of the rate that holds now.
        rate: String,
    },
    /// Another line is not asked for.
    Waiver {
        /// Which.
        of: LedgerLineId,
        /// Why not.
        why: Why,
    },
}

impl Item {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Lockout { .. } => "lockout",
            Self::ReplacementKey => "replacement-key",
            Self::Correction { .. } => "correction",
            Self::Waiver { .. } => "waiver",
        }
    }
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub id: LedgerLineId,
    /// In whose ledger.
    pub organization: OrganizationId,
    /// Its number in that ledger, from 1, without gaps.
    pub seq: i64,
    /// When it was written.
    pub booked_at: Timestamp,
    /// What for.
    pub item: Item,
    /// Of which lock-out.
    pub lockout: LockoutId,
    /// In which house.
    pub property: PropertyId,
    /// Of which unit.
    pub unit: UnitId,
    /// Who owes it.
    pub person: PersonId,
    /// Who caused it; `None` where the policy did.
    pub actor: Option<PersonId>,
    /// How much.
    pub amount: Money,
}
