//! What a property has decided about lock-outs.

use crate::app::{Actor, App, Error, What, joined_by, managed_by, must_have_phone_key};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Role;
use crate::domain::ids::{PersonId, PropertyId};
use crate::domain::lockout::policy::Policy;
use crate::domain::time::Timestamp;
use crate::store::{access_log, accounts, lockouts, places, tenancies};

/// A property's policy, and since when by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyView {
    /// What holds.
    pub policy: Policy,
    /// Who decided it and when; `None` where nobody has.
    pub decided: Option<(PersonId, Timestamp)>,
}

impl App {
    /// The policy that holds at the property: for its staff, and for whoever lives there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] for other members.
    pub async fn lockout_policy(&self, who: &Actor, property: PropertyId) -> Result<PolicyView, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let property = places::find_property(conn, &property, &scope)?;
                let property = property.ok_or(Error::NotFound(What::Property))?;
                let role = accounts::role(conn, &property.organization, &who.person)?;
                let is_staff = role.is_some_and(Role::is_staff);
                if !is_staff && !tenancies::residents_of_property(conn, &property.id, now)?.contains(&who.person) {
                    return Err(Error::Forbidden);
                }
                Ok(match lockouts::policy(conn, &property.id)? {
                    Some((policy, by, at)) => PolicyView {
                        policy,
                        decided: Some((by, at)),
                    },
                    None => PolicyView {
                        policy: Policy::undecided(),
                        decided: None,
                    },
                })
            })
            .await
    }

    /// Decides the policy of the property; it holds for what is asked for from now on.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] where it puts somebody on call who does not sit at the
    /// desk.
    pub async fn set_lockout_policy(
        &self,
        who: &Actor,
        property: PropertyId,
        policy: Policy,
    ) -> Result<PolicyView, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let property = places::find_property(conn, &property, &scope)?;
                let property = property.ok_or(Error::NotFound(What::Property))?;
                who.must_have_proven(now)?;
                must_have_phone_key(conn, &property.organization, &who)?;
                for person in policy.on_call() {
                    let role = accounts::role(conn, &property.organization, person)?;
                    if !role.is_some_and(Role::serves_desk) {
                        return Err(Error::invalid(
                            "first",
                            "who is on call sits at the desk or manages the house",
                        ));
                    }
                }
                lockouts::set_policy(conn, &property.id, &policy, &who.person, now)?;
                let detail =
                    serde_json::to_value(&policy).map_err(|error| Error::Internal("writing a policy", error.into()))?;
                let entry = NewEntry {
                    property: Some(property.id),
                    actor: Some(who.person.clone()),
                    detail: Some(detail),
                    ..NewEntry::new(Kind::LockoutPolicySet, now)
                };
                access_log::append(conn, &property.organization, &entry, now)?;
                Ok(PolicyView {
                    policy,
                    decided: Some((who.person, now)),
                })
            })
            .await
    }
}
