//! Who people are: names, e-mail addresses, roles.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{OrganizationId, PersonId};
use super::text::{self, BadText};

/// A person's name as others see it: 1 to 100 characters, no control characters, no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonName(String);

text::line_type!(PersonName, 100);

/// An organization's name: 1 to 100 characters, no control characters, no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganizationName(String);

text::line_type!(OrganizationName, 100);

/// An e-mail address, held in lower case so that one mailbox is one account; at most 254 characters (RFC 5321).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// A text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address, such as ana@example.org")]
pub struct BadEmail;

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of an account that nobody signs in to, and that is told to nobody: it leads nowhere.
    #[must_use]
    pub fn of_nobody(person: &PersonId, kind: &str) -> Self {
        Self(format!("{person}@{kind}.invalid"))
    }

    /// Whether a letter to it can arrive anywhere: people and programs without a mailbox have an address below `.invalid`
    /// (RFC 6761, 6.4).
    #[must_use]
    pub fn leads_somewhere(&self) -> bool {
        !self.0.ends_with(".invalid") && !self.0.ends_with("@invalid")
    }
}

impl FromStr for Email {
    type Err = BadEmail;

    fn from_str(given: &str) -> Result<Self, BadEmail> {
        let given = given.trim();
        // Only the bare address: no display name, no comment, no literal domain.
        let bare = given.len() <= 254
            && !given
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "<>()[]\"".contains(c));
        if bare && email_address::EmailAddress::is_valid(given) {
            Ok(Self(given.to_lowercase()))
        } else {
            Err(BadEmail)
        }
    }
}

impl TryFrom<String> for Email {
    type Error = BadEmail;

    fn try_from(given: String) -> Result<Self, BadEmail> {
        given.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// Log lines must not carry addresses, so `Debug` does not.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// What a person is in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The landlord: everything a manager may, and naming other owners and managers.
    Owner,
    /// Runs places, locks and grants, and reads the access log.
    Manager,
    /// Sits at the leasing office's desk: sees who lives where, helps who is locked out, lets vendors in.
    Desk,
    /// Sees what a manager sees, and changes nothing.
    Viewer,
    /// Lives in a unit.
    Tenant,
    /// Has been given access for a while.
    Guest,
    /// Works in the house for an hour.
    Vendor,
    /// A program, such as a Home Assistant: nobody signs in as it, and it opens what it was given grants for.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Owner,
        Self::Manager,
        Self::Desk,
        Self::Viewer,
        Self::Tenant,
        Self::Guest,
        Self::Vendor,
        Self::Service,
    ];

    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Desk => "desk",
            Self::Viewer => "viewer",
            Self::Tenant => "tenant",
            Self::Guest => "guest",
            Self::Vendor => "vendor",
            Self::Service => "service",
        }
    }

    /// How much the role may, to compare with others: a person who is offered less than they have keeps what they have.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Guest | Self::Vendor | Self::Service => 0,
            Self::Tenant => 1,
            Self::Viewer => 2,
            Self::Desk => 3,
            Self::Manager => 4,
            Self::Owner => 5,
        }
    }

    /// Whether the role runs the organization's places, locks and grants.
    #[must_use]
    pub const fn manages(self) -> bool {
        matches!(self, Self::Owner | Self::Manager)
    }

    /// Whether the role decides what the organization's rules are.
    #[must_use]
    pub const fn owns(self) -> bool {
        matches!(self, Self::Owner)
    }

    /// Whether the role sees what managers see of the organization: who may open what, and the access log.
    #[must_use]
    pub const fn views(self) -> bool {
        self.manages() || matches!(self, Self::Viewer)
    }

    /// Whether the role helps people at the desk: lock-outs and visits.
    #[must_use]
    pub const fn serves_desk(self) -> bool {
        self.manages() || matches!(self, Self::Desk)
    }

    /// Whether the role works for the landlord, and so knows the houses: what there is, and who lives where.
    #[must_use]
    pub const fn is_staff(self) -> bool {
        self.views() || self.serves_desk()
    }

    /// Whether somebody of this role may bring `other` in or put them out: managers may not make managers.
    #[must_use]
    pub const fn may_appoint(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Manager => !other.manages(),
            Self::Desk | Self::Viewer | Self::Tenant | Self::Guest | Self::Vendor | Self::Service => false,
        }
    }

    /// Whether somebody of this role may make an `other` of somebody who is `present` now: both must be theirs to appoint,
    /// and a program stays one.
    #[must_use]
    pub const fn may_change(self, present: Self, other: Self) -> bool {
        self.may_appoint(present) && self.may_appoint(other) && present.is_for_people() && other.is_for_people()
    }

    /// Whether access that somebody of this role is given counts as given to oneself: staff and programs open tenants'
    /// own doors for the landlord.
    #[must_use]
    pub const fn is_of_the_house(self) -> bool {
        self.is_staff() || matches!(self, Self::Service)
    }

    /// Whether a person can be invited in this role: a program is brought in by whoever runs it.
    #[must_use]
    pub const fn is_for_people(self) -> bool {
        !matches!(self, Self::Service)
    }
}

/// A text is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of owner, manager, desk, viewer, tenant, guest, vendor, service")]
pub struct BadRole;

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(word: &str) -> Result<Self, BadRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(BadRole)
    }
}

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// The address they sign in with.
    pub email: Email,
    /// The name others see.
    pub name: PersonName,
}

/// A person's place in an organization, while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Where.
    pub organization: OrganizationId,
    /// As what.
    pub role: Role,
}

/// The organizations within which somebody may do something: what queries about things by id are bounded by, so that
/// another organization's things do not exist for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Vec<OrganizationId>);

impl Scope {
    /// The organizations in which `memberships` satisfy `may`.
    #[must_use]
    pub fn of(memberships: &[Membership], may: impl Fn(Role) -> bool) -> Self {
        Self(
            memberships
                .iter()
                .filter(|m| may(m.role))
                .map(|m| m.organization.clone())
                .collect(),
        )
    }

    /// One organization: for the backend's own work on a thing that it knows to belong there.
    #[must_use]
    pub fn only(organization: OrganizationId) -> Self {
        Self(vec![organization])
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `organization` is one of them.
    #[must_use]
    pub fn contains(&self, organization: &OrganizationId) -> bool {
        self.0.contains(organization)
    }

    /// The one that it is, where it is one.
    #[must_use]
    pub fn single(&self) -> Option<&OrganizationId> {
        match self.0.as_slice() {
            [single] => Some(single),
            _ => None,
        }
    }

    /// Their identifiers.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(OrganizationId::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_bare_and_lower_case() {
        assert_eq!(
            " Ana@Example.org ".parse::<Email>().unwrap().as_str(),
            "ana@example.org"
        );
        let long = format!("{}@example.org", "a".repeat(250));
        for text in [
            "",
            "ana",
            "@",
            "ana@",
            "Ana <ana@example.org>",
            "ana@example.org\n",
            "a b@example.org",
            &long,
        ] {
            let email: Result<Email, _> = text.parse();
            assert_eq!(email.is_ok(), text.trim() == "ana@example.org", "{text}");
        }
    }

    #[test]
    fn an_address_of_nobody_leads_nowhere() {
        let nobody = Email::of_nobody(&PersonId::from_bits(7), "guest");
        assert_eq!(nobody.as_str().parse(), Ok(nobody.clone()));
        assert!(!nobody.leads_somewhere());
    }

    #[test]
    fn an_address_below_invalid_leads_nowhere() {
        for (address, leads) in [
            ("ana@example.org", true),
            ("ana@invalid.example", true),
            ("person_1@guest.invalid", false),
            ("Person_1@Service.INVALID", false),
        ] {
            assert_eq!(address.parse::<Email>().unwrap().leads_somewhere(), leads, "{address}");
        }
    }

    #[test]
    fn only_owners_appoint_managers() {
        for (appointer, appointed, may) in [
            (Role::Owner, Role::Owner, true),
            (Role::Owner, Role::Guest, true),
            (Role::Manager, Role::Owner, false),
            (Role::Manager, Role::Manager, false),
            (Role::Manager, Role::Tenant, true),
            (Role::Tenant, Role::Guest, false),
            (Role::Guest, Role::Guest, false),
            (Role::Manager, Role::Service, true),
            (Role::Service, Role::Guest, false),
            (Role::Manager, Role::Desk, true),
            (Role::Desk, Role::Viewer, false),
            (Role::Desk, Role::Vendor, false),
            (Role::Viewer, Role::Guest, false),
        ] {
            assert_eq!(appointer.may_appoint(appointed), may, "{appointer:?} {appointed:?}");
        }
    }

    #[test]
    fn a_role_is_changed_by_whoever_may_appoint_both() {
        for (changer, present, other, may) in [
            (Role::Owner, Role::Manager, Role::Viewer, true),
            (Role::Owner, Role::Owner, Role::Guest, true),
            (Role::Owner, Role::Guest, Role::Owner, true),
            (Role::Manager, Role::Guest, Role::Desk, true),
            (Role::Manager, Role::Desk, Role::Vendor, true),
            (Role::Manager, Role::Guest, Role::Manager, false),
            (Role::Manager, Role::Manager, Role::Guest, false),
            (Role::Manager, Role::Owner, Role::Guest, false),
            (Role::Owner, Role::Service, Role::Manager, false),
            (Role::Owner, Role::Guest, Role::Service, false),
            (Role::Desk, Role::Guest, Role::Guest, false),
            (Role::Viewer, Role::Guest, Role::Tenant, false),
        ] {
            assert_eq!(
                changer.may_change(present, other),
                may,
                "{changer:?}: {present:?} to {other:?}"
            );
        }
    }

    #[test]
    fn each_role_reaches_as_far_as_its_work() {
        for (role, manages, views, serves_desk) in [
            (Role::Owner, true, true, true),
            (Role::Manager, true, true, true),
            (Role::Desk, false, false, true),
            (Role::Viewer, false, true, false),
            (Role::Tenant, false, false, false),
            (Role::Guest, false, false, false),
            (Role::Vendor, false, false, false),
            (Role::Service, false, false, false),
        ] {
            assert_eq!(
                (role.manages(), role.views(), role.serves_desk(), role.is_staff()),
                (manages, views, serves_desk, views || serves_desk),
                "{role:?}"
            );
        }
    }

    #[test]
    fn an_address_does_not_reach_the_log() {
        assert!(!format!("{:?}", "ana@example.org".parse::<Email>().unwrap()).contains("ana"));
    }
}
