//! Guests without an account: the link that lets one in, and how far a session reaches that began by it.

use std::time::Duration;

use super::grant::{GrantState, Terms};
use super::ids::{GrantId, LinkId, OrganizationId, PersonId, PhoneId};
use super::time::Timestamp;
use super::unlock::{Right, RightSource};

pub mod message;
pub mod sheet;

/// The page at which a guest's link leads in; the secret follows in the fragment, which browsers do not send.
pub const LINK_PATH: &str = "/guest";

/// How many phones may redeem a link where it does not say.
pub const USUAL_PHONES: u32 = 1;

/// The most phones that may redeem one link: as many as one person has.
pub const MOST_PHONES: u32 = super::phone::MOST_PHONES as u32;

/// How long a link lives whose grant has no end, where it does not say: counted from its start.
pub const USUAL_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A link that lets the holder of a grant in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLink {
    /// Which.
    pub id: LinkId,
    /// The organization of its grant.
    pub organization: OrganizationId,
    /// The grant that it lets in by, and no other.
    pub grant: GrantId,
    /// Who made it.
    pub made_by: PersonId,
    /// What it allows.
    pub terms: LinkTerms,
}

/// What a link allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkTerms {
    /// How many phones may redeem it.
    pub phones: u32,
    /// The first instant at which it opens anything. It may be redeemed before.
    pub starts_at: Timestamp,
    /// The end, exclusive, of its redeeming and of the sessions that began by it.
    pub ends_at: Timestamp,
}

/// What somebody asks a link to allow, not checked yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewLink {
    /// How many phones; `None` for [`USUAL_PHONES`].
    pub phones: Option<u32>,
    /// From when on it opens; `None` for its grant's start.
    pub starts_at: Option<Timestamp>,
    /// Until when; `None` for its grant's end, or [`USUAL_LIFE`] where that has none.
    pub ends_at: Option<Timestamp>,
}

impl NewLink {
    /// The terms, if a link for a grant of `grant`'s terms makes sense at `now`. A link never reaches beyond its grant.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`BadLink`].
    pub fn check(self, grant: &Terms, now: Timestamp) -> Result<LinkTerms, BadLink> {
        let phones = self.phones.unwrap_or(USUAL_PHONES);
        if !(1..=MOST_PHONES).contains(&phones) {
            return Err(BadLink::Phones);
        }
        let starts_at = self.starts_at.unwrap_or(grant.starts_at);
        if starts_at < grant.starts_at {
            return Err(BadLink::StartsBeforeGrant);
        }
        let ends_at = (self.ends_at.or(grant.ends_at)).unwrap_or_else(|| starts_at.max(now) + USUAL_LIFE);
        if grant.ends_at.is_some_and(|end| ends_at > end) {
            return Err(BadLink::EndsAfterGrant);
        }
        if ends_at <= starts_at {
            return Err(BadLink::EndsBeforeStart);
        }
        if ends_at <= now {
            return Err(BadLink::EndsInPast);
        }
        Ok(LinkTerms {
            phones,
            starts_at,
            ends_at,
        })
    }
}

/// Why a link cannot be made like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// The number of phones is out of range.
    #[error("a link is for 1 to {MOST_PHONES} phones")]
    Phones,
    /// It would open before its grant does.
    #[error("a link starts with its grant, or later")]
    StartsBeforeGrant,
    /// It would outlive its grant.
    #[error("a link ends with its grant, or earlier")]
    EndsAfterGrant,
    /// It would end before it starts, or as it starts.
    #[error("a link ends after it starts")]
    EndsBeforeStart,
    /// It would have ended already.
    #[error("a link ends in the future")]
    EndsInPast,
}

impl BadLink {
    /// The field of the request that it is about.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Phones => "uses",
            Self::StartsBeforeGrant => "starts_at",
            Self::EndsAfterGrant | Self::EndsBeforeStart | Self::EndsInPast => "ends_at",
        }
    }
}

/// How far a session reaches that began by a link: one grant, from one phone, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The link.
    pub link: LinkId,
    /// The phone that redeemed it.
    pub phone: PhoneId,
    /// The one grant.
    pub grant: GrantId,
    /// The first instant at which it opens anything.
    pub starts_at: Timestamp,
    /// The end, exclusive.
    pub ends_at: Timestamp,
}

impl Reach {
    /// Those of the holder's rights within reach, each no earlier and no later than the link allows.
    #[must_use]
    pub fn narrow(&self, rights: Vec<Right>) -> Vec<Right> {
        let of_grant = RightSource::Grant(self.grant.clone());
        let within = rights.into_iter().filter(|right| right.source == of_grant);
        within
            .map(|right| Right {
                starts_at: right.starts_at.max(self.starts_at),
                ends_at: Some(right.ends_at.map_or(self.ends_at, |end| end.min(self.ends_at))),
                ..right
            })
            .collect()
    }
}

/// Until when a link with these terms lets anybody in by a grant in this state; `None` where it does not any more.
#[must_use]
pub fn open_until(link: &LinkTerms, state: &GrantState, grant: &Terms, now: Timestamp) -> Option<Timestamp> {
    let ends_at = grant.ends_at.map_or(link.ends_at, |end| end.min(link.ends_at));
    (*state == GrantState::Active && now < ends_at).then_some(ends_at)
}

#[cfg(test)]
mod tests;
