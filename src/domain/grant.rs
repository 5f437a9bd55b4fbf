//! Grants: who may open which locks, from when to when, on what schedule, how often and how.

use serde::{Deserialize, Serialize};

use super::ids::{GrantId, InvitationId, LockId, OrganizationId, PersonId};
use super::pass::Role;
use super::schedule::Schedule;
use super::spare::{Spare, SpareKey};
use super::text::{self, BadText};
use super::time::Timestamp;
use super::unlock::{RightName, RightSource};

/// Who holds a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A person with an account.
    Person(PersonId),
    /// Whoever accepts this invitation; until then the grant opens nothing.
    Invited(InvitationId),
}

/// A way in that a grant may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The backend decides and the lock is told.
    App,
    /// A pass on the phone, shown to the lock while the backend is away.
    Offline,
    /// A code typed at the lock.
    Pin,
}

impl Way {
    /// Every way, in the order in which a grant keeps them.
    pub const ALL: [Self; 3] = [Self::App, Self::Offline, Self::Pin];

    /// The ways of a grant that does not say: what needs no code that could be handed on.
    pub const USUAL: [Self; 2] = [Self::App, Self::Offline];

    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Offline => "offline",
            Self::Pin => "pin",
        }
    }
}

/// The number of openings that a grant allows, and how many of them are taken. Locking takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    limit: u32,
    taken: u32,
}

impl Uses {
    /// The most openings that can be asked for; whoever needs more needs no limit.
    pub const MAX: u32 = 1000;

    /// `limit` openings, none of them taken yet.
    ///
    /// # Errors
    /// [`BadGrant::Uses`] where `limit` is not 1 to [`Self::MAX`].
    pub fn new(limit: u32) -> Result<Self, BadGrant> {
        Self::with_taken(limit, 0)
    }

    /// `limit` openings of which `taken` are taken, as the store kept them; more taken than there are means all.
    ///
    /// # Errors
    /// [`BadGrant::Uses`] where `limit` is not 1 to [`Self::MAX`].
    pub fn with_taken(limit: u32, taken: u32) -> Result<Self, BadGrant> {
        if (1..=Self::MAX).contains(&limit) {
            Ok(Self {
                limit,
                taken: taken.min(limit),
            })
        } else {
            Err(BadGrant::Uses)
        }
    }

    /// How many openings there are in all.
    #[must_use]
    pub fn limit(self) -> u32 {
        self.limit
    }

    /// How many openings are taken.
    #[must_use]
    pub fn taken(self) -> u32 {
        self.taken
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_exhausted(self) -> bool {
        self.taken >= self.limit
    }
}

/// Whether a grant stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantState {
    /// It stands; its times and its schedule say the rest.
    Active,
    /// It was taken back, for good.
    Revoked {
        /// When.
        at: Timestamp,
        /// By whom.
        by: PersonId,
    },
}

/// Somebody's access to some locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// The organization whose locks these are.
    pub organization: OrganizationId,
    /// Who holds it.
    pub holder: Holder,
    /// Who gave it.
    pub given_by: PersonId,
    /// When it was given.
    pub created_at: Timestamp,
    /// The right of its giver under which it hangs, and with which it ends; `None` for what the landlord gave.
    pub under: Option<RightSource>,
    /// What it gives.
    pub terms: Terms,
    /// How often what was out at locks by it was made void while it went on.
    pub round: u32,
    /// The end of the present release, where it is a spare key that was released; exclusive.
    pub released_until: Option<Timestamp>,
    /// Whether it stands.
    pub state: GrantState,
}

/// What a grant gives: which locks, when, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The locks, each once.
    pub locks: Vec<LockId>,
    /// The first instant.
    pub starts_at: Timestamp,
    /// The end, exclusive; `None` for one without an end.
    pub ends_at: Option<Timestamp>,
    /// When within that, by the clock of the lock's property; `None` for always.
    pub schedule: Option<Schedule>,
    /// How many openings; `None` for any number.
    pub uses: Option<Uses>,
    /// The ways in, each once, in the order of [`Way::ALL`].
    pub ways: Vec<Way>,
    /// As what its holder comes: a guest or a vendor.
    pub role: Role,
    /// Whether its holder may give others access under it.
    pub delegable: bool,
    /// How it is released, where it is a spare key; `None` for access in its holder's hand.
    pub spare: Option<Spare>,
}

impl Grant {
    /// Whether it stands at `now`: not taken back, and not over. Whether it has begun is another matter.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        self.state == GrantState::Active && self.terms.ends_at.is_none_or(|end| end > now)
    }

    /// What it is called in passes and revocations.
    #[must_use]
    pub fn name(&self) -> RightName {
        RightName {
            source: RightSource::Grant(self.id.clone()),
            round: self.round,
        }
    }

    /// Where its key is.
    #[must_use]
    pub fn spare_key(&self) -> SpareKey {
        match (self.terms.spare, self.released_until) {
            (None, _) => SpareKey::None,
            (Some(_), None) => SpareKey::Kept,
            (Some(_), Some(until)) => SpareKey::Released { until },
        }
    }

    /// The person who holds it; `None` while an invitation waits.
    #[must_use]
    pub fn person(&self) -> Option<&PersonId> {
        match &self.holder {
            Holder::Person(person) => Some(person),
            Holder::Invited(_) => None,
        }
    }
}

/// Why access is given, in words for the people behind the door: 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantReason(String);

text::line_type!(GrantReason, 200);

impl Terms {
    /// Whether these give at least what `others` gave from `now` on, so that nothing that was issued by those has to be void.
    #[must_use]
    pub fn cover(&self, others: &Self, now: Timestamp) -> bool {
        let begins = self.starts_at <= others.starts_at.max(now);
        let ends = match (self.ends_at, others.ends_at) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own >= other,
        };
        let opens = match (&self.schedule, &others.schedule) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => other.is_within(own),
        };
        let counts = match (self.uses, others.uses) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own.limit() >= other.limit(),
        };
        begins
            && ends
            && opens
            && counts
            && others.locks.iter().all(|lock| self.locks.contains(lock))
            && others.ways.iter().all(|way| self.ways.contains(way))
            && self.role == others.role
            && (self.spare.is_none() || others.spare.is_some())
    }
}

/// What somebody asks a grant to give, not checked yet. As JSON it waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGrant {
    /// The locks.
    pub locks: Vec<LockId>,
    /// The first instant; may lie in the past.
    pub starts_at: Timestamp,
    /// The end, exclusive; `None` for one without an end.
    pub ends_at: Option<Timestamp>,
    /// When within that; `None` for always.
    pub schedule: Option<Schedule>,
    /// How many openings; `None` for any number.
    pub uses: Option<u32>,
    /// The ways in; `None` for [`Way::USUAL`].
    pub ways: Option<Vec<Way>>,
    /// As what its holder comes; `None` for a guest.
    pub role: Option<Role>,
    /// Whether the holder may give grants of their own under this one; `None` for no.
    pub delegable: Option<bool>,
    /// How it is released, where it is to be a spare key.
    pub spare: Option<Spare>,
    /// Why it is given: needed where it lets somebody of the house into homes of others, who are told.
    pub reason: Option<GrantReason>,
}

impl NewGrant {
    /// The most locks that one grant may name.
    pub const MAX_LOCKS: usize = 50;

    /// The terms, if a grant of them makes sense at `now`. Whether the locks exist, and whether the giver may give
    /// them, is for the caller to know.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`BadGrant`].
    pub fn check(self, now: Timestamp) -> Result<Terms, BadGrant> {
        if self.locks.is_empty() || self.locks.len() > Self::MAX_LOCKS {
            return Err(BadGrant::Locks);
        }
        if self
            .locks
            .iter()
            .enumerate()
            .any(|(i, lock)| self.locks[..i].contains(lock))
        {
            return Err(BadGrant::DoubledLock);
        }
        if self.ends_at.is_some_and(|end| end <= self.starts_at) {
            return Err(BadGrant::EndsBeforeStart);
        }
        if self.ends_at.is_some_and(|end| end <= now) {
            return Err(BadGrant::EndsInPast);
        }
        let uses = self.uses.map(Uses::new).transpose()?;
        let ways = match self.ways {
            None => Way::USUAL.to_vec(),
            Some(asked) => {
                let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| asked.contains(way)).collect();
                if ways.len() != asked.len() || !ways.contains(&Way::App) {
                    return Err(BadGrant::Ways);
                }
                ways
            }
        };
        let role = self.role.unwrap_or(Role::Guest);
        if role == Role::Tenant {
            return Err(BadGrant::Role);
        }
        let delegable = self.delegable.unwrap_or(false);
        if self.spare.is_some() && delegable {
            return Err(BadGrant::SpareDelegable);
        }
        if self.spare.is_some() && ways.contains(&Way::Pin) {
            return Err(BadGrant::SparePin);
        }
        Ok(Terms {
            locks: self.locks,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            schedule: self.schedule,
            uses,
            ways,
            role,
            delegable,
            spare: self.spare,
        })
    }
}

/// Why a grant cannot be given like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    /// No lock, or more than [`NewGrant::MAX_LOCKS`].
    #[error("a grant names 1 to {} locks", NewGrant::MAX_LOCKS)]
    Locks,
    /// A lock twice.
    #[error("a grant names each lock once")]
    DoubledLock,
    /// It would end before it starts, or as it starts.
    #[error("a grant ends after it starts")]
    EndsBeforeStart,
    /// It would have ended already.
    #[error("a grant ends in the future")]
    EndsInPast,
    /// The number of uses is out of range.
    #[error("a grant allows 1 to {} uses; leave the field out for any number", Uses::MAX)]
    Uses,
    /// A way in twice, or without `app`.
    #[error("name `app` and what else is given, each once, or leave the field out")]
    Ways,
    /// A tenant holds a tenancy, not a grant.
    #[error("a grant is for a `guest` or a `vendor`")]
    Role,
    /// A spare key that its holder may pass on.
    #[error("a spare key cannot be passed on")]
    SpareDelegable,
    /// A spare key with a PIN, which would open before anybody released it.
    #[error("a spare key has no `pin`: its lock could not tell whether it was released")]
    SparePin,
}

impl BadGrant {
    /// The field of the request that it is about (`docs/API.md`, grants).
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Locks | Self::DoubledLock => "lock_ids",
            Self::EndsBeforeStart | Self::EndsInPast => "ends_at",
            Self::Uses => "uses",
            Self::Ways => "ways",
            Self::Role => "role",
            Self::SpareDelegable => "delegable",
            Self::SparePin => "ways",
        }
    }
}

#[cfg(test)]
mod tests;
