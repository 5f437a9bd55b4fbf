//! What an organization decides for itself.

use std::sync::Arc;

use super::proposals::{self, Matter, Settled};
use super::{Actor, App, Error, What, must_have_phone_key, owned_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{OrganizationId, PersonId, ProposalId};
use crate::domain::rules::{AskedRules, Rules};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, rules};

impl App {
    /// The rules of an organization that the caller owns.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the organization.
    pub async fn rules(&self, who: &Actor, organization: OrganizationId) -> Result<Rules, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                if !owned_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                Ok(rules::of(conn, &organization)?)
            })
            .await
    }

    /// Replaces the rules of an organization that the caller owns. Rules that give up a second person are proposed to one.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`] of the organization; [`Error::Conflict`] where nobody could be the second
    /// person.
    pub async fn set_rules(
        &self,
        who: &Actor,
        organization: OrganizationId,
        asked: AskedRules,
    ) -> Result<Settled<Rules>, Error> {
        let (now, who) = (self.now(), who.clone());
        let id = ProposalId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                if !owned_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                who.must_have_proven(now)?;
                must_have_phone_key(conn, &organization, &who)?;
                let present = rules::of(conn, &organization)?;
                if present.is_loosened_by(&asked) {
                    let matter = Matter::Rules(asked);
                    let proposal = proposals::propose(conn, &*random, &who, (id, organization), &matter, now)?;
                    return Ok(Settled::Proposed(Box::new(proposal)));
                }
                let wants_two = asked.two_person.whole_property_grants || asked.two_person.lockdown;
                if wants_two {
                    proposals::refuse_without_second(conn, &organization, &who.person)?;
                }
                set(conn, &who.person, &organization, &asked, now).map(Settled::Done)
            })
            .await
    }
}

/// Replaces the rules and writes that down.
pub(super) fn set(
    conn: &mut Conn,
    by: &PersonId,
    organization: &OrganizationId,
    asked: &AskedRules,
    now: Timestamp,
) -> Result<Rules, Error> {
    let present = rules::of(conn, organization)?;
    let changed = present.changed(asked, now);
    if changed == present {
        return Ok(present);
    }
    rules::set(conn, organization, &changed)?;
    let entry = NewEntry {
        actor: Some(by.clone()),
        detail: Some(serde_json::json!({
            "two_person": changed.two_person,
            "self_grant_delay_hours": changed.self_grant_delay,
            "phone_key_required": changed.phone_key_required,
        })),
        ..NewEntry::new(Kind::RulesChanged, now)
    };
    access_log::append(conn, organization, &entry, now)?;
    Ok(changed)
}
