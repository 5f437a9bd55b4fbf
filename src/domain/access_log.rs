//! The access log: what is written down, in which words, and who sees it ([`visibility`]).

use serde::{Deserialize, Serialize};

use super::ids::{AttemptId, GrantId, LockId, PersonId, PropertyId, UnitId};
use super::time::Timestamp;

pub mod canonical;
pub mod visibility;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// What an entry is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $word)] $name,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word for it in tables and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

kinds! {
    /// Somebody asked for a door to be unlocked: granted (a token was issued) or refused.
    UnlockRequested = "unlock-requested",
    /// Somebody asked for a door to be locked: granted or refused.
    LockRequested = "lock-requested",
    /// A request that was granted ended without the lock's word.
    RequestEnded = "request-ended",
    /// The lock says that its bolt was drawn.
    Unlocked = "unlocked",
    /// The lock says that its bolt was thrown.
    Locked = "locked",
    /// The lock refused a token.
    Denied = "denied",
    /// The bolt did not reach its end.
    Jammed = "jammed",
    /// Something else that a lock reported; `detail` says what.
    LockEvent = "lock-event",
    /// Something that a landlord should look at; `reason` says what.
    Alarm = "alarm",
    /// Access was given.
    GrantGiven = "grant-given",
    /// Access was taken back.
    GrantRevoked = "grant-revoked",
    /// What a grant gives was replaced.
    GrantChanged = "grant-changed",
    /// The holder of a spare key asked for it.
    SpareAsked = "spare-asked",
    /// A spare key was released; `reason` is `silence` where nobody answered.
    SpareReleased = "spare-released",
    /// A spare key was not released; `reason` is `silence` where nobody answered.
    SpareRefused = "spare-refused",
    /// A released spare key opens nothing any more; `reason` is `time` where it went back by itself.
    SpareReturned = "spare-returned",
    /// A link was made by which the grant's holder comes in without an account.
    LinkMade = "link-made",
    /// A link was taken back.
    LinkTakenBack = "link-taken-back",
    /// A phone redeemed a link: it acts for the grant's holder from then on.
    LinkRedeemed = "link-redeemed",
    /// A PIN was given.
    PinGiven = "pin-given",
    /// A PIN was taken back.
    PinTakenBack = "pin-taken-back",
    /// A lock's computed codes were made void.
    CodesRotated = "codes-rotated",
    /// A tenancy began to stand in the books.
    TenancyGiven = "tenancy-given",
    /// A tenancy was given another term.
    TenancyChanged = "tenancy-changed",
    /// A tenancy has ended.
    TenancyEnded = "tenancy-ended",
    /// A lock was added.
    LockAdded = "lock-added",
    /// A property's name, address or time zone was changed.
    PropertyChanged = "property-changed",
    /// A lock's name or unit was changed.
    LockChanged = "lock-changed",
    /// A new claim code was made for a lock.
    LockClaimed = "lock-claim-made",
    /// A controller claimed a lock.
    LockEnrolled = "lock-enrolled",
    /// A lock was asked to leave its organization; that it does is an event of its own.
    LockReleaseAsked = "lock-release-asked",
    /// A lock was put on another door.
    LockTransferred = "lock-transferred",
    /// A lock was taken out of service.
    LockRetired = "lock-retired",
    /// Somebody was invited.
    PersonInvited = "person-invited",
    /// An invitation was taken back before anybody accepted it.
    InvitationRevoked = "invitation-revoked",
    /// Somebody accepted an invitation.
    PersonJoined = "person-joined",
    /// A membership was ended.
    PersonRemoved = "person-removed",
    /// A member got another role.
    RoleChanged = "role-changed",
    /// Somebody of the house, or a program of it, was given access to a home of others, who were told.
    StaffAccess = "staff-access",
    /// An API key of a program's account was made.
    KeyMade = "key-made",
    /// An API key was made void before its end.
    KeyRevoked = "key-revoked",
    /// Something was proposed that a second person must confirm.
    ProposalMade = "proposal-made",
    /// A second person confirmed a proposal, and it was carried out.
    ProposalConfirmed = "proposal-confirmed",
    /// A proposal was refused, or taken back by whoever made it.
    ProposalRefused = "proposal-refused",
    /// An organization's own rules were changed.
    RulesChanged = "rules-changed",
    /// Somebody registered a phone, which may hold offline passes from then on.
    PhoneRegistered = "phone-registered",
    /// A phone was removed: its passes are void.
    PhoneRemoved = "phone-removed",
    /// A property's lock-out policy was decided.
    LockoutPolicySet = "lockout-policy-set",
    /// Somebody who is locked out asked for a way in, and had shown who they are.
    LockoutAsked = "lockout-asked",
    /// Somebody asked who does not live there, or tried to pass for somebody who does.
    LockoutRefused = "lockout-refused",
    /// Staff told a code to whoever answered the telephone number on file.
    LockoutCodeTold = "lockout-code-told",
    /// What is tried first went on: `reason` says to what; it failed where there was nobody to tell.
    LockoutStep = "lockout-step",
    /// A way in was given.
    LockoutApproved = "lockout-approved",
    /// A way in was denied.
    LockoutDenied = "lockout-denied",
    /// A lock-out was called off.
    LockoutCancelled = "lockout-cancelled",
    /// A lock-out ended by itself.
    LockoutLapsed = "lockout-lapsed",
    /// The ledger got a line.
    LockoutCharged = "lockout-charged",
    /// A line of the ledger was waived.
    ChargeWaived = "charge-waived",
    /// The ledger was exported.
    LedgerExported = "ledger-exported",
    /// A lockdown was ordered: nobody but the excepted is let in.
    LockdownBegun = "lockdown-begun",
    /// A lockdown's end, reason or exceptions were changed, or a list of exceptions.
    LockdownChanged = "lockdown-changed",
    /// A lockdown has ended, early or by its time; `reason` says which.
    LockdownEnded = "lockdown-ended",
    /// A visit of a vendor was ordered.
    VisitOrdered = "visit-ordered",
    /// Somebody who lives there agreed to a visit.
    VisitAgreed = "visit-agreed",
    /// Somebody who lives there was against a visit.
    VisitDeclined = "visit-declined",
    /// Consent to a visit was passed over; `reason` says why.
    VisitEmergency = "visit-emergency",
    /// A code was made, to be told at the telephone number of a visit's order.
    VendorCalled = "vendor-called",
    /// A vendor proved to be the one who was ordered, and got a way in; or did not.
    VendorLetIn = "vendor-let-in",
    /// The way in of a vendor was taken back, or ends sooner (`ends_at` in the detail), though nobody said no; `reason` says
    /// why: `residents-changed`, `door-moved`.
    VendorKeptOut = "vendor-kept-out",
    /// A vendor got in for the first time.
    VisitBegun = "visit-begun",
    /// A visit is over; `reason` says why.
    VisitEnded = "visit-ended",
    /// The locks of a unit are being changed at a visit.
    LockChangeBegun = "lock-change-begun",
    /// An owner took the second factor off a member who had lost it.
    SecondFactorTaken = "second-factor-taken",
    /// A webhook was made: it is told of the log from this entry on.
    WebhookMade = "webhook-made",
    /// A webhook's address, kinds, state or secret was changed, or it is told of older entries again.
    WebhookChanged = "webhook-changed",
    /// A webhook was removed.
    WebhookRemoved = "webhook-removed",
    /// A webhook is told no more: it said so, or could not be told for too long; `reason` says which.
    WebhookStopped = "webhook-stopped",
    /// The access log was exported.
    LogExported = "log-exported",
    /// Everything that the organization has was exported.
    BooksExported = "books-exported",
    /// A hidden part of the log was opened to somebody for a while, for a reason.
    LookOpened = "look-opened",
    /// What a property's log shows and for how long was changed.
    PrivacyChanged = "privacy-changed",
    /// Somebody erased their account.
    PersonErased = "person-erased",
    /// What the entry said is forgotten: its time is over, or it was erased.
    Forgotten = "forgotten",
    /// Entries were forgotten because their time was over: which.
    EntriesForgotten = "entries-forgotten",
}

/// A text is not the kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the kind of a log entry, such as unlocked")]
pub struct BadKind;

impl std::str::FromStr for Kind {
    type Err = BadKind;

    fn from_str(word: &str) -> Result<Self, BadKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == word)
            .ok_or(BadKind)
    }
}

/// How what an entry is about came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was allowed, or it happened.
    Ok,
    /// It was refused; the entry's reason says why.
    Refused,
    /// It was allowed and did not happen; the entry's reason says why.
    Failed,
}

impl Outcome {
    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// An entry before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// What it is about.
    pub kind: Kind,
    /// How it came out.
    pub outcome: Outcome,
    /// Why, as a stable word.
    pub reason: Option<String>,
    /// When it happened; a lock's report may be recorded much later.
    pub occurred_at: Timestamp,
    /// The property concerned.
    pub property: Option<PropertyId>,
    /// The unit concerned.
    pub unit: Option<UnitId>,
    /// The lock concerned.
    pub lock: Option<LockId>,
    /// The person concerned: who asked at the door, who got or lost access.
    pub person: Option<PersonId>,
    /// Who did it, where that is somebody else than `person`.
    pub actor: Option<PersonId>,
    /// The grant concerned.
    pub grant: Option<GrantId>,
    /// The attempt concerned.
    pub attempt: Option<AttemptId>,
    /// More, as a JSON object.
    pub detail: Option<serde_json::Value>,
}

impl NewEntry {
    /// An entry that says that `kind` happened at `occurred_at`; the rest is filled in with `..`.
    #[must_use]
    pub fn new(kind: Kind, occurred_at: Timestamp) -> Self {
        Self {
            kind,
            outcome: Outcome::Ok,
            reason: None,
            occurred_at,
            property: None,
            unit: None,
            lock: None,
            person: None,
            actor: None,
            grant: None,
            attempt: None,
            detail: None,
        }
    }

    /// The same entry about `lock`, its unit and its property.
    #[must_use]
    pub fn about(mut self, lock: &super::lock::Lock) -> Self {
        self.property = Some(lock.property.clone());
        self.unit.clone_from(&lock.unit);
        self.lock = Some(lock.id.clone());
        self
    }

    /// The same entry about these locks: about the one where it is one, else within their property.
    #[must_use]
    pub fn about_all(self, locks: &[super::lock::Lock]) -> Self {
        match locks {
            [only] => self.about(only),
            several => self.within_property_of(several),
        }
    }

    /// The same entry, within the one property of which all these locks are; of an entry within none, the usual time is how
    /// long it is kept (`docs/PRIVACY.md`).
    #[must_use]
    pub fn within_property_of(mut self, locks: &[super::lock::Lock]) -> Self {
        if let Some((first, others)) = locks.split_first()
            && others.iter().all(|lock| lock.property == first.property)
        {
            self.property = Some(first.property.clone());
        }
        self
    }
}

/// The number of an entry where somebody names it: from 1, written in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct EntryNumber(pub i64);

/// The text is no number of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no number of an entry")]
pub struct BadEntryNumber;

impl TryFrom<i64> for EntryNumber {
    type Error = BadEntryNumber;

    fn try_from(number: i64) -> Result<Self, BadEntryNumber> {
        if number < 1 {
            return Err(BadEntryNumber);
        }
        Ok(Self(number))
    }
}

impl std::str::FromStr for EntryNumber {
    type Err = BadEntryNumber;

    fn from_str(text: &str) -> Result<Self, BadEntryNumber> {
        let number: i64 = text.parse().map_err(|_| BadEntryNumber)?;
        if number < 1 || number.to_string() != text {
            return Err(BadEntryNumber);
        }
        Ok(Self(number))
    }
}

/// An entry as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number within the organization, from 1, without gaps.
    pub seq: i64,
    /// When it was written down; never earlier than that of a lower number.
    pub recorded_at: Timestamp,
    /// What it says.
    pub what: NewEntry,
}
