//! Ids in addresses.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::problem::Problem;
use crate::app::What;
use crate::domain::access_log::EntryNumber;
use crate::domain::ids::{
    ApiKeyId, AttemptId, GrantId, InvitationId, LedgerLineId, LockId, LockdownId, LockoutId, NoticeId, OrganizationId,
    PasskeyId, PersonId, PhoneId, PropertyId, ProposalId, SessionId, TenancyId, VisitId, WebhookId,
};
use crate::domain::lockdown::ListName;

/// A thing that addresses name.
pub trait Named: FromStr + 'static {
    /// The address's segment that names it: `{lock_id}`.
    const SEGMENT: &'static str;
    /// What does not exist where the segment is no id.
    const WHAT: What;
}

macro_rules! named {
    ($($id:ident = $segment:literal, $what:ident;)+) => {$(
        impl Named for $id {
            const SEGMENT: &'static str = $segment;
            const WHAT: What = What::$what;
        }
    )+};
}

named! {
    OrganizationId = "organization_id", Organization;
    PersonId = "person_id", Person;
    PropertyId = "property_id", Property;
    LockId = "lock_id", Lock;
    GrantId = "grant_id", Grant;
    InvitationId = "invitation_id", Invitation;
    TenancyId = "tenancy_id", Tenancy;
    AttemptId = "attempt_id", Attempt;
    PhoneId = "phone_id", Phone;
    SessionId = "session_id", Session;
    PasskeyId = "passkey_id", Passkey;
    NoticeId = "notice_id", Notice;
    ApiKeyId = "key_id", ApiKey;
    ProposalId = "proposal_id", Proposal;
    LockoutId = "lockout_id", Lockout;
    LedgerLineId = "line_id", LedgerLine;
    LockdownId = "lockdown_id", Lockdown;
    ListName = "list_name", LockdownList;
    VisitId = "visit_id", Visit;
    WebhookId = "webhook_id", Webhook;
    EntryNumber = "seq", LogEntry;
}

/// The id in the address.
///
/// # Errors
/// `not-found` where the segment is no id of that kind: nothing has such a name.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: Named> FromRequest for Id<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = req.match_info().get(T::SEGMENT).and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or_else(|| Problem::not_found(T::WHAT)))
    }
}
