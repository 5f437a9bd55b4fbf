//! Notices: what a person is told of what concerns them, wherever they look next.

use serde::{Deserialize, Serialize};

use super::ids::{LockId, NoticeId, OrganizationId, PersonId, UnitId};
use super::time::Timestamp;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// What a notice tells of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Access of theirs was given or changed.
    AccessGiven = "access-given",
    /// Access of theirs was taken back.
    AccessRevoked = "access-revoked",
    /// Their role in an organization was changed.
    RoleChanged = "role-changed",
    /// Somebody of the house, or a program of it, was given access to a door of theirs.
    StaffAccess = "staff-access",
    /// Something was proposed that they may confirm.
    ProposalMade = "proposal-made",
    /// A proposal of theirs was confirmed and carried out.
    ProposalConfirmed = "proposal-confirmed",
    /// A proposal of theirs was refused.
    ProposalRefused = "proposal-refused",
    /// Somebody of their unit is locked out, or says so.
    LockoutAsked = "lockout-asked",
    /// Somebody is locked out, and they can help.
    LockoutHelpWanted = "lockout-help-wanted",
    /// Somebody who is locked out waits for a call on the number on file.
    LockoutCallWanted = "lockout-call-wanted",
    /// Somebody of their unit was given a way in.
    LockoutApproved = "lockout-approved",
    /// Somebody of their unit was denied a way in.
    LockoutDenied = "lockout-denied",
    /// A lock-out of their unit ended without a way in.
    LockoutLapsed = "lockout-lapsed",
    /// Somebody tried to pass for them, or for somebody whose house they look after.
    LockoutRefused = "lockout-refused",
    /// The ledger says something new of what they owe.
    LedgerLine = "ledger-line",
    /// What access of theirs gives was replaced.
    AccessChanged = "access-changed",
    /// Somebody asks for a spare key to a door of theirs.
    SpareAsked = "spare-asked",
    /// A spare key was released.
    SpareReleased = "spare-released",
    /// A spare key that was asked for was not released.
    SpareRefused = "spare-refused",
    /// A spare key that was released is back.
    SpareReturned = "spare-returned",
    /// A phone redeemed a link that they made, or one for access that they gave.
    LinkRedeemed = "link-redeemed",
    /// Somebody opened a part of the access log that is theirs.
    LookOpened = "look-opened",
    /// What the log of the house shows and for how long was changed.
    PrivacyChanged = "privacy-changed",
    /// Nobody but the excepted is let in until a time, and it concerns doors of theirs.
    LockdownBegun = "lockdown-begun",
    /// That time was changed.
    LockdownChanged = "lockdown-changed",
    /// Their doors open again.
    LockdownEnded = "lockdown-ended",
    /// They, or somebody who will live with them, were given a tenancy.
    TenancyGiven = "tenancy-given",
    /// Their tenancy, or that of somebody they live with, was given another term.
    TenancyChanged = "tenancy-changed",
    /// Their tenancy, or that of somebody they live with, has ended.
    TenancyEnded = "tenancy-ended",
    /// A visit of a vendor to their home was ordered.
    VisitOrdered = "visit-ordered",
    /// Somebody who lives there agreed to a visit.
    VisitAgreed = "visit-agreed",
    /// Somebody who lives there was against a visit.
    VisitDeclined = "visit-declined",
    /// A vendor is let in without the consent of those who live there.
    VisitEmergency = "visit-emergency",
    /// A vendor proved to be the one who was ordered, and has a way in.
    VendorLetIn = "vendor-let-in",
    /// A vendor's way in was taken back: who lives there has changed, or the lock of a door of the visit hangs elsewhere.
    VendorKeptOut = "vendor-kept-out",
    /// A vendor got in.
    VisitBegun = "visit-begun",
    /// A visit is over.
    VisitEnded = "visit-ended",
    /// The locks of their home are being changed.
    LockChangeBegun = "lock-change-begun",
    /// A lock of their house, or of their own door, has another controller now.
    LockReplaced = "lock-replaced",
    /// A lock of their house, or of their own door, has a low battery.
    BatteryLow = "battery-low",
    /// Something happened in their house that they should look at.
    Alarm = "alarm",
    /// Their account was signed in to from where it never was before, or a phone was registered for it.
    NewDevice = "new-device",
    /// A code is asked for beside their password from now on.
    SecondFactorOn = "second-factor-on",
    /// No code is asked for beside their password any more, or beside that of a member of theirs.
    SecondFactorOff = "second-factor-off",
    /// A passkey signs in as them from now on.
    PasskeyAdded = "passkey-added",
    /// A passkey of theirs does not sign in any more.
    PasskeyRemoved = "passkey-removed",
    /// A passkey of theirs was refused, because somebody may have copied it.
    PasskeyCopied = "passkey-copied",
    /// A recovery code of theirs was used.
    RecoveryCodeUsed = "recovery-code-used",
    /// A webhook of their organization is told no more.
    WebhookStopped = "webhook-stopped",
}

/// A text is not the kind of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the kind of a notice, such as access-given")]
pub struct BadKind;

impl std::str::FromStr for Kind {
    type Err = BadKind;

    fn from_str(word: &str) -> Result<Self, BadKind> {
        let known = Self::ALL.iter().copied();
        known.into_iter().find(|kind| kind.as_str() == word).ok_or(BadKind)
    }
}

/// What is to be told, whoever it is told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// What it tells of.
    pub kind: Kind,
    /// The organization in which it happened.
    pub organization: OrganizationId,
    /// The lock concerned.
    pub lock: Option<LockId>,
    /// The unit concerned.
    pub unit: Option<UnitId>,
    /// Who caused it.
    pub actor: Option<PersonId>,
    /// More, as a JSON object; never a secret.
    pub detail: Option<serde_json::Value>,
}

impl News {
    /// News of this kind from this organization; the rest is filled in with `..`.
    #[must_use]
    pub fn new(kind: Kind, organization: OrganizationId) -> Self {
        Self {
            kind,
            organization,
            lock: None,
            unit: None,
            actor: None,
            detail: None,
        }
    }

    /// The same news about `lock` and its unit.
    #[must_use]
    pub fn about(mut self, lock: &super::lock::Lock) -> Self {
        self.unit.clone_from(&lock.unit);
        self.lock = Some(lock.id.clone());
        self
    }
}

/// News as one person was told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which.
    pub id: NoticeId,
    /// Who is told.
    pub person: PersonId,
    /// What.
    pub news: News,
    /// Since when it stands there.
    pub told_at: Timestamp,
    /// When the person said that they had read it.
    pub read_at: Option<Timestamp>,
}
