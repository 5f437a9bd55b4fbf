//! Who sees which entry (`docs/PRIVACY.md`).
//!
//! [`audience`] is decided once, when an entry is written down, from what is true when it happened: who lives behind the
//! door, who gave the grant, who works for the landlord. It stands beside the entry and never changes, so that nobody
//! who moves in later sees more, and nobody who moves out sees less. [`sight`] is what one reader then sees; the store
//! asks the same of the database.

use super::{Kind, NewEntry, Outcome};
use crate::domain::account::Role;
use crate::domain::ids::PersonId;
use crate::domain::look::Look;

/// How much of an entry somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sight {
    /// Nothing of it.
    Nothing,
    /// What happened, and not by whom.
    What,
    /// All of it.
    Whole,
}

/// A text is not a sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of nothing, what, all")]
pub struct BadSight;

impl Sight {
    /// Every sight.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::What, Self::Whole];

    /// The word for it in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::What => "what",
            Self::Whole => "all",
        }
    }
}

impl std::str::FromStr for Sight {
    type Err = BadSight;

    fn from_str(word: &str) -> Result<Self, BadSight> {
        Self::ALL
            .into_iter()
            .find(|sight| sight.as_str() == word)
            .ok_or(BadSight)
    }
}

/// What an entry tells of, as far as it matters to who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Somebody comes or goes, or tries to.
    Movement,
    /// How a lock is.
    Health,
    /// A way in that somebody gives or takes back: a resident may do so too.
    Access,
    /// The landlord's books and acts, and what is asked of them.
    Office,
}

impl Topic {
    /// What the entry tells of. A kind that is added says here what it is: entries whose content would show when somebody
    /// is at home are [`Self::Movement`].
    #[must_use]
    pub fn of(entry: &NewEntry) -> Self {
        match entry.kind {
            Kind::UnlockRequested
            | Kind::LockRequested
            | Kind::RequestEnded
            | Kind::Unlocked
            | Kind::Locked
            | Kind::Denied => Self::Movement,
            Kind::LockEvent => match entry.reason.as_deref() {
                Some("boot" | "claimed" | "released" | "pin_slot") => Self::Health,
                // A door that opens and closes, and what is not known.
                _ => Self::Movement,
            },
            Kind::Jammed | Kind::Alarm => Self::Health,
            Kind::GrantGiven
            | Kind::GrantChanged
            | Kind::GrantRevoked
            | Kind::LinkMade
            | Kind::LinkTakenBack
            | Kind::LinkRedeemed
            | Kind::SpareAsked
            | Kind::SpareReleased
            | Kind::SpareRefused
            | Kind::SpareReturned
            | Kind::PinGiven
            | Kind::PinTakenBack => Self::Access,
            // Somebody without an account comes with the grant that was given to them.
            Kind::PersonJoined if entry.grant.is_some() => Self::Access,
            Kind::CodesRotated
            | Kind::TenancyGiven
            | Kind::TenancyChanged
            | Kind::TenancyEnded
            | Kind::PropertyChanged
            | Kind::LockAdded
            | Kind::LockChanged
            | Kind::LockClaimed
            | Kind::LockEnrolled
            | Kind::LockReleaseAsked
            | Kind::LockTransferred
            | Kind::LockRetired
            | Kind::PersonInvited
            | Kind::InvitationRevoked
            | Kind::PersonJoined
            | Kind::PersonRemoved
            | Kind::PersonErased
            | Kind::RoleChanged
            | Kind::StaffAccess
            | Kind::KeyMade
            | Kind::KeyRevoked
            | Kind::ProposalMade
            | Kind::ProposalConfirmed
            | Kind::ProposalRefused
            | Kind::RulesChanged
            | Kind::LockoutPolicySet
            | Kind::LockoutAsked
            | Kind::LockoutRefused
            | Kind::LockoutCodeTold
            | Kind::LockoutStep
            | Kind::LockoutApproved
            | Kind::LockoutDenied
            | Kind::LockoutCancelled
            | Kind::LockoutLapsed
            | Kind::LockoutCharged
            | Kind::ChargeWaived
            | Kind::LedgerExported
            | Kind::PhoneRegistered
            | Kind::PhoneRemoved
            | Kind::LockdownBegun
            | Kind::LockdownChanged
            | Kind::LockdownEnded
            | Kind::VisitOrdered
            | Kind::VisitAgreed
            | Kind::VisitDeclined
            | Kind::VisitEmergency
            | Kind::VendorCalled
            | Kind::VendorLetIn
            | Kind::VendorKeptOut
            | Kind::VisitBegun
            | Kind::VisitEnded
            | Kind::LockChangeBegun
            | Kind::SecondFactorTaken
            | Kind::WebhookMade
            | Kind::WebhookChanged
            | Kind::WebhookRemoved
            | Kind::WebhookStopped
            | Kind::LogExported
            | Kind::BooksExported
            | Kind::LookOpened
            | Kind::PrivacyChanged
            | Kind::Forgotten
            | Kind::EntriesForgotten => Self::Office,
        }
    }
}

/// A unit at whose own door something happens, while somebody lives there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Who lives there at that time; at least one.
    pub residents: Vec<PersonId>,
    /// Whether the property's rule hides their comings and goings at that time.
    pub is_private: bool,
}

/// Who gave the grant by which somebody comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giver {
    /// Who.
    pub person: PersonId,
    /// Whether for the landlord, and not from a right of their own.
    pub for_landlord: bool,
}

/// What is true when an entry's event happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The homes at whose doors it is.
    pub homes: Vec<Home>,
    /// Whether it is about something else too: a shared door, a unit where nobody lives, no door at all.
    pub elsewhere: bool,
    /// What the person concerned is in the organization.
    pub person_role: Option<Role>,
    /// What whoever did it is in the organization.
    pub actor_role: Option<Role>,
    /// Who gave the grant concerned.
    pub giver: Option<Giver>,
}

/// Who sees an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Whoever may look at the organization's log.
    pub staff: Sight,
    /// These persons beside the one concerned, who sees it whole; each once.
    pub witnesses: Vec<(PersonId, Sight)>,
}

/// For whose sake somebody is at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// A resident themselves.
    Resident,
    /// By a grant of somebody who has the right themselves.
    GuestOfResident,
    /// The landlord's staff, vendors, programs and guests.
    OfLandlord,
    /// Somebody whom neither has let in.
    Stranger,
    /// Nobody knows who: a key, a hand on the inside.
    Unknown,
}

impl Whose {
    fn of(entry: &NewEntry, then: &Circumstances) -> Self {
        let lives_there = |person| then.homes.iter().any(|home| home.residents.contains(person));
        let works_here = |role: Role| role.is_staff() || matches!(role, Role::Vendor | Role::Service);
        match (&entry.person, &then.giver) {
            (Some(person), _) if lives_there(person) => Self::Resident,
            (_, Some(giver)) if giver.for_landlord => Self::OfLandlord,
            (_, Some(_)) => Self::GuestOfResident,
            (Some(_), None) if then.person_role.is_some_and(works_here) => Self::OfLandlord,
            (Some(_), None) => Self::Stranger,
            (None, None) => Self::Unknown,
        }
    }
}

/// Who will see the entry, by what is true when it happens.
#[must_use]
pub fn audience(entry: &NewEntry, then: &Circumstances) -> Audience {
    let is_private = !then.elsewhere && !then.homes.is_empty() && then.homes.iter().all(|home| home.is_private);
    let whose = Whose::of(entry, then);
    // Where nobody is named who did it, it is of those who hold the way in: a spare key asked for, a link redeemed.
    let by_landlord = match &entry.actor {
        Some(_) => then.actor_role.is_some_and(Role::is_staff),
        None => !matches!(whose, Whose::Resident | Whose::GuestOfResident),
    };
    let (hidden, residents) = match (Topic::of(entry), whose) {
        // A resident's comings and goings are theirs alone: who lives with somebody does not watch them.
        (Topic::Movement, Whose::Resident | Whose::GuestOfResident) => (Sight::Nothing, Sight::Nothing),
        (Topic::Movement | Topic::Health, Whose::OfLandlord) => (Sight::Whole, Sight::Whole),
        (Topic::Movement, Whose::Stranger) => (Sight::Nothing, Sight::Whole),
        // Where several live, what nobody did was done by one of the others.
        (Topic::Movement, Whose::Unknown) => {
            let lives_alone = then.homes.iter().all(|home| home.residents.len() == 1);
            let is_seen = lives_alone || entry.outcome == Outcome::Refused;
            (Sight::Nothing, if is_seen { Sight::Whole } else { Sight::Nothing })
        }
        (Topic::Health, Whose::Resident | Whose::GuestOfResident) => (Sight::What, Sight::What),
        (Topic::Health, Whose::Stranger | Whose::Unknown) => (Sight::What, Sight::Whole),
        (Topic::Access, _) if by_landlord => (Sight::Whole, Sight::Whole),
        (Topic::Access, _) => (Sight::Nothing, Sight::Nothing),
        // What is done to a door its residents see; who is to move in after them is not theirs.
        (Topic::Office, _) if entry.lock.is_some() => (Sight::Whole, Sight::Whole),
        (Topic::Office, _) => (Sight::Whole, Sight::Nothing),
    };
    let mut witnesses: Vec<(PersonId, Sight)> = Vec::new();
    let giver = then.giver.as_ref().filter(|_| whose == Whose::GuestOfResident);
    let own = giver.map(|giver| &giver.person);
    let own = own.into_iter().chain(entry.actor.as_ref().filter(|_| !by_landlord));
    let seen = own.map(|person| (person, Sight::Whole));
    let seen = seen.chain(
        then.homes
            .iter()
            .flat_map(|home| home.residents.iter().map(|person| (person, residents))),
    );
    for (person, sight) in seen {
        let is_known = witnesses.iter().any(|(known, _)| known == person);
        if sight > Sight::Nothing && entry.person.as_ref() != Some(person) && !is_known {
            witnesses.push((person.clone(), sight));
        }
    }
    Audience {
        staff: if is_private { hidden } else { Sight::Whole },
        witnesses,
    }
}

/// Who reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Who.
    pub person: PersonId,
    /// Whether they may look at the organization's log.
    pub views: bool,
    /// The looks that are open to them now.
    pub looks: Vec<Look>,
}

impl Reader {
    /// Nobody in person, for what is told to whoever may look at the organization's log: what they all see without a look.
    #[must_use]
    pub fn of_staff() -> Self {
        Self {
            person: PersonId::from_bits(0),
            views: true,
            looks: Vec::new(),
        }
    }

    /// The look by which they see the entry, if one covers it.
    #[must_use]
    pub fn look(&self, entry: &NewEntry) -> Option<&Look> {
        self.looks.iter().find(|look| look.part.covers(entry))
    }
}

/// How much of the entry the reader sees without a look.
#[must_use]
pub fn plain_sight(entry: &NewEntry, audience: &Audience, reader: &Reader) -> Sight {
    if entry.person.as_ref() == Some(&reader.person) {
        return Sight::Whole;
    }
    let as_staff = if reader.views { audience.staff } else { Sight::Nothing };
    let witnesses = audience.witnesses.iter();
    let as_witness = witnesses
        .filter(|(person, _)| *person == reader.person)
        .map(|(_, sight)| *sight);
    as_witness.fold(as_staff, Sight::max)
}

/// How much of the entry the reader sees.
#[must_use]
pub fn sight(entry: &NewEntry, audience: &Audience, reader: &Reader) -> Sight {
    match reader.look(entry) {
        Some(_) => Sight::Whole,
        None => plain_sight(entry, audience, reader),
    }
}

/// What of `detail` says nothing of anybody.
const OF_NOBODY: [&str; 6] = ["chain", "event_seq", "from", "to", "result", "assurance"];

/// The entry without what tells whose doing it was.
#[must_use]
pub fn without_who(entry: &NewEntry) -> NewEntry {
    let detail = entry.detail.as_ref().and_then(serde_json::Value::as_object);
    let detail = detail.map(|detail| {
        let kept = detail.iter().filter(|(name, _)| OF_NOBODY.contains(&name.as_str()));
        serde_json::Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    });
    NewEntry {
        person: None,
        actor: None,
        grant: None,
        attempt: None,
        detail,
        ..entry.clone()
    }
}

#[cfg(test)]
mod tests;
