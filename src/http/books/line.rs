//! The lines of the file.

use serde::Serialize;

use crate::domain::account::OrganizationName;
use crate::domain::ids::{OrganizationId, PersonId, PropertyId};
use crate::domain::time::Timestamp;
use crate::http::grants::ProvisionedGrant;
use crate::http::invitations::Invitation;
use crate::http::ledger::LedgerLine;
use crate::http::lockdowns::LockdownList;
use crate::http::lockouts::Lockout;
use crate::http::lockouts::policy::LockoutPolicyView;
use crate::http::locks::Lock;
use crate::http::looks::Look;
use crate::http::members::Member;
use crate::http::places::{Property, Unit};
use crate::http::privacy::Privacy;
use crate::http::rules::Rules;
use crate::http::service_accounts::{ApiKey, ServiceAccount};
use crate::http::tenancies::Tenancy;
use crate::http::visits::Visit;
use crate::http::webhooks::Webhook;

/// The form of the file: another number where a reader of before would misread it.
pub(super) const FORM: u32 = 1;

/// A line before those of the log: `what` says what it is, and the rest is as the REST surface shows it.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum Line {
    Organization {
        form: u32,
        id: OrganizationId,
        name: OrganizationName,
        exported_at: Timestamp,
        exported_by: PersonId,
    },
    Rules(Box<Rules>),
    Property(Box<Property>),
    Privacy(OfProperty<Privacy>),
    LockoutPolicy(OfProperty<LockoutPolicyView>),
    LockdownList(OfProperty<LockdownList>),
    Unit(Box<Unit>),
    Lock(Box<Lock>),
    Member(Box<Member>),
    Invitation(Box<Invitation>),
    ServiceAccount(Box<ServiceAccount>),
    ApiKey(KeyOfProgram),
    Tenancy(Box<Tenancy>),
    Grant(Box<ProvisionedGrant>),
    Visit(Box<Visit>),
    Lockout(Box<Lockout>),
    #[serde(rename = "ledger-line")]
    Ledger(Box<LedgerLine>),
    Webhook(Box<Webhook>),
    Look(Box<Look>),
    /// The last line: a file without it is not whole.
    End {
        /// How many lines stand above it.
        lines: u64,
    },
}

/// What holds in a property.
#[derive(Serialize)]
pub(super) struct OfProperty<T> {
    pub(super) property_id: PropertyId,
    #[serde(flatten)]
    pub(super) rule: Box<T>,
}

/// A program's key, without the key itself.
#[derive(Serialize)]
pub(super) struct KeyOfProgram {
    pub(super) person_id: PersonId,
    #[serde(flatten)]
    pub(super) key: Box<ApiKey>,
}
