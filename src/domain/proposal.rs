//! Proposals: what one person asks for and a second one must confirm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{OrganizationId, PersonId, ProposalId};
use super::time::Timestamp;

/// What is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalKind {
    /// A grant by which somebody can open a whole property.
    Grant,
    /// A lockdown.
    Lockdown,
    /// Rules of the organization that need a second person no more.
    Rules,
}

impl ProposalKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Grant, Self::Lockdown, Self::Rules];

    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Lockdown => "lockdown",
            Self::Rules => "rules",
        }
    }
}

/// What became of a proposal, as far as somebody decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalState {
    /// Nobody has decided.
    Open,
    /// A second person confirmed it, and it was carried out.
    Confirmed {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
    /// Somebody refused it, or its proposer took it back.
    Refused {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
}

/// Something that one person proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Which.
    pub id: ProposalId,
    /// Where it is to be done.
    pub organization: OrganizationId,
    /// What kind of thing.
    pub kind: ProposalKind,
    /// What exactly, as it will be carried out.
    pub body: serde_json::Value,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// When.
    pub proposed_at: Timestamp,
    /// Until when it can be confirmed, exclusive.
    pub ends_at: Timestamp,
    /// What became of it.
    pub state: ProposalState,
}

/// Why somebody cannot confirm a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// Whoever proposed it is not a second person.
    #[error("another person than the one who proposed it must confirm it")]
    Own,
    /// It was confirmed or refused before.
    #[error("it was decided already")]
    Decided,
    /// Nobody confirmed it in time.
    #[error("it was not confirmed in time; propose it again")]
    Over,
}

impl Proposal {
    /// How long a second person has.
    pub const LIFE: Duration = Duration::from_secs(24 * 3600);

    /// The word for where it stands at `now`: `open`, `confirmed`, `refused` or `expired`.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> &'static str {
        match self.state {
            ProposalState::Open if now < self.ends_at => "open",
            ProposalState::Open => "expired",
            ProposalState::Confirmed { .. } => "confirmed",
            ProposalState::Refused { .. } => "refused",
        }
    }

    /// Whether `person`, who may do such things, may confirm it at `now`.
    ///
    /// # Errors
    /// [`NotConfirmed`].
    pub fn may_confirm(&self, person: &PersonId, now: Timestamp) -> Result<(), NotConfirmed> {
        if *person == self.proposed_by {
            return Err(NotConfirmed::Own);
        }
        self.may_refuse(now)
    }

    /// Whether it can be refused at `now`, or taken back by whoever proposed it.
    ///
    /// # Errors
    /// [`NotConfirmed::Decided`], [`NotConfirmed::Over`].
    pub fn may_refuse(&self, now: Timestamp) -> Result<(), NotConfirmed> {
        match self.status_at(now) {
            "open" => Ok(()),
            "expired" => Err(NotConfirmed::Over),
            _ => Err(NotConfirmed::Decided),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_person_confirms_once_and_in_time() {
        let at = Timestamp::from_millis;
        let (ana, max) = (PersonId::from_bits(1), PersonId::from_bits(2));
        let decided = |by: &PersonId| ProposalState::Confirmed {
            by: by.clone(),
            at: at(5),
        };
        let refused = ProposalState::Refused {
            by: ana.clone(),
            at: at(5),
        };
        for (state, who, now_ms, expected, status) in [
            (ProposalState::Open, &max, 0, Ok(()), "open"),
            (ProposalState::Open, &max, 99, Ok(()), "open"),
            (ProposalState::Open, &max, 100, Err(NotConfirmed::Over), "expired"),
            (ProposalState::Open, &ana, 0, Err(NotConfirmed::Own), "open"),
            (decided(&max), &max, 6, Err(NotConfirmed::Decided), "confirmed"),
            (decided(&max), &max, 200, Err(NotConfirmed::Decided), "confirmed"),
            (refused, &max, 6, Err(NotConfirmed::Decided), "refused"),
        ] {
            let proposal = Proposal {
                id: ProposalId::from_bits(1),
                organization: OrganizationId::from_bits(1),
                kind: ProposalKind::Grant,
                body: serde_json::Value::Null,
                proposed_by: ana.clone(),
                proposed_at: at(0),
                ends_at: at(100),
                state,
            };
            assert_eq!(proposal.may_confirm(who, at(now_ms)), expected, "{proposal:?} {now_ms}");
            assert_eq!(proposal.status_at(at(now_ms)), status);
        }
    }
}
