//! What stops a use case.

use std::time::Duration;

use crate::crypto::derived::NotDerived;
use crate::crypto::merkle::Torn;
use crate::crypto::password::Overloaded;
use crate::crypto::sealed::{NotOpened, NotSealed};
use crate::crypto::tokens::SignError;
use crate::crypto::totp::NotUsable;
use crate::crypto::webauthn::Refused;
use crate::domain::ids::OrganizationId;
use crate::store::StoreError;

/// The kind of a thing that does not exist, as far as the caller may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An organization.
    Organization,
    /// A member of an organization.
    Person,
    /// An invitation.
    Invitation,
    /// A property.
    Property,
    /// A unit.
    Unit,
    /// A lock.
    Lock,
    /// A tenancy.
    Tenancy,
    /// A grant.
    Grant,
    /// A guest's link.
    Link,
    /// An attempt.
    Attempt,
    /// A phone.
    Phone,
    /// A lockdown.
    Lockdown,
    /// A list of whom lockdowns except.
    LockdownList,
    /// A notice.
    Notice,
    /// An API key.
    ApiKey,
    /// A proposal.
    Proposal,
    /// A lock-out.
    Lockout,
    /// A line of the ledger.
    LedgerLine,
    /// A visit.
    Visit,
    /// An entry of the access log.
    LogEntry,
    /// A webhook.
    Webhook,
    /// A session.
    Session,
    /// A passkey.
    Passkey,
}

impl What {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Person => "person",
            Self::Invitation => "invitation",
            Self::Property => "property",
            Self::Unit => "unit",
            Self::Lock => "lock",
            Self::Tenancy => "tenancy",
            Self::Grant => "grant",
            Self::Link => "link",
            Self::Attempt => "attempt",
            Self::Phone => "phone",
            Self::Lockdown => "lockdown",
            Self::LockdownList => "list",
            Self::Notice => "notice",
            Self::ApiKey => "key",
            Self::Proposal => "proposal",
            Self::Lockout => "lockout",
            Self::LedgerLine => "line",
            Self::Visit => "visit",
            Self::LogEntry => "log-entry",
            Self::Webhook => "webhook",
            Self::Session => "session",
            Self::Passkey => "passkey",
        }
    }
}

/// A use case did not take place, and nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such thing, or none that the caller may know of.
    #[error("there is no such {}", .0.as_str())]
    NotFound(What),
    /// Nobody is signed in by these credentials.
    #[error("not signed in")]
    Unauthenticated,
    /// E-mail address and password do not belong together.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    /// The password is right, and a code is asked for beside it.
    #[error("a second factor is needed")]
    SecondFactorNeeded,
    /// A code, or what came with it, does not show who somebody is.
    #[error("the code or an answer is wrong")]
    WrongCode,
    /// A passkey, or what it signed, does not show what was asked for.
    #[error("the passkey was refused")]
    PasskeyRefused,
    /// An organization of the caller's wants a session that is bound to a key of their phone.
    #[error("a session that is bound to a key is needed")]
    PhoneKeyNeeded,
    /// A proof by a key does not hold, or was used before.
    #[error("the proof does not hold")]
    ProofRefused,
    /// It takes a proof of who the caller is that is younger than theirs.
    #[error("who asks has not proved lately who they are")]
    ProofNeeded,
    /// The caller's role does not reach that far.
    #[error("this role may not do that")]
    Forbidden,
    /// A value is well formed and still not acceptable.
    #[error("{field}: {why}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The present state of things does not allow it.
    #[error("{why}")]
    Conflict {
        /// A stable word for the kind of conflict.
        word: &'static str,
        /// What stands against it.
        why: &'static str,
    },
    /// Too many tries.
    #[error("too many tries")]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Too much is waiting.
    #[error("too busy")]
    Busy,
    /// The broker is away: nothing can reach a lock now.
    #[error("the broker is away")]
    RelayAway,
    /// This machine's clock is behind what is already on record: nothing is issued until it has caught up.
    #[error("the clock is {behind:?} behind the last stored time")]
    ClockBehind {
        /// How far.
        behind: Duration,
        /// In whose log that time stands.
        organization: OrganizationId,
    },
    /// The database cannot be reached, or has no room.
    #[error("the database is unavailable")]
    StoreUnavailable(#[source] StoreError),
    /// The database did not do what it was asked.
    #[error("the database failed")]
    Store(#[source] StoreError),
    /// Something that should not fail did.
    #[error("{0} failed")]
    Internal(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// [`Error::Invalid`] in `field`, for what `why` displays.
    pub(super) fn invalid(field: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Invalid {
            field,
            why: why.to_string(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Unavailable(_) => Self::StoreUnavailable(error),
            other => Self::Store(other),
        }
    }
}

impl From<Torn> for Error {
    fn from(torn: Torn) -> Self {
        Self::Internal("reading the log's tree", torn.into())
    }
}

impl From<Overloaded> for Error {
    fn from(_: Overloaded) -> Self {
        Self::Busy
    }
}

impl From<Refused> for Error {
    fn from(_: Refused) -> Self {
        Self::PasskeyRefused
    }
}

impl From<NotUsable> for Error {
    fn from(error: NotUsable) -> Self {
        Self::Internal("reading a one-time code", error.into())
    }
}

impl From<SignError> for Error {
    fn from(error: SignError) -> Self {
        Self::Internal("signing", error.into())
    }
}

impl From<NotDerived> for Error {
    fn from(error: NotDerived) -> Self {
        Self::Internal("deriving a secret", error.into())
    }
}

impl From<NotSealed> for Error {
    fn from(error: NotSealed) -> Self {
        Self::Internal("sealing", error.into())
    }
}

impl From<NotOpened> for Error {
    fn from(error: NotOpened) -> Self {
        Self::Internal("unsealing", error.into())
    }
}
