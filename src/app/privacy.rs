//! What a property's log shows its landlord, and for how long it is kept.

use std::sync::Arc;

use super::notices::tell;
use super::{Actor, App, Error, What, joined_by, managed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Role;
use crate::domain::ids::PropertyId;
use crate::domain::notice::{self, News};
use crate::domain::privacy::{OwnDoors, PrivacyRule, Retention};
use crate::store::{access_log, accounts, places, privacy, tenancies};

impl App {
    /// The property's rule: for whoever works there or lives there now.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn privacy(&self, who: &Actor, id: PropertyId) -> Result<PrivacyRule, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let property = places::find_property(conn, &id, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let role = accounts::role(conn, &property.organization, &who.person)?;
                let may_see = role.is_some_and(Role::is_staff)
                    || tenancies::residents_of_property(conn, &id, now)?.contains(&who.person);
                if may_see {
                    Ok(privacy::rule(conn, &id)?)
                } else {
                    Err(Error::NotFound(What::Property))
                }
            })
            .await
    }

    /// Changes the property's rule, and tells everybody who lives there. More is shown, and longer kept, only of what happens
    /// from now on. The same rule again changes nothing and tells nobody.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn change_privacy(
        &self,
        who: &Actor,
        id: PropertyId,
        landlord_sees: bool,
        retention: Retention,
    ) -> Result<PrivacyRule, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let property = places::find_property(conn, &id, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let before = privacy::rule(conn, &id)?;
                let rule = before.clone().changed(landlord_sees, retention, now);
                if rule == before {
                    return Ok(rule);
                }
                who.must_have_proven(now)?;
                privacy::set_rule(conn, &id, &rule, now)?;
                let detail = serde_json::json!({
                    "own_doors": word(rule.own_doors),
                    "retention_days": rule.retention.days(),
                    "retention_reason": rule.retention.reason(),
                });
                let entry = who.signed(NewEntry {
                    property: Some(id.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(detail.clone()),
                    ..NewEntry::new(Kind::PrivacyChanged, now)
                });
                access_log::append(conn, &property.organization, &entry, now)?;
                let news = News {
                    actor: Some(who.person.clone()),
                    detail: Some(with_property(detail, &id)),
                    ..News::new(notice::Kind::PrivacyChanged, property.organization)
                };
                let residents = tenancies::residents_of_property(conn, &id, now)?;
                tell(conn, &*random, residents, &news, now)?;
                Ok(rule)
            })
            .await
    }
}

/// The word for the rule of own doors.
#[must_use]
pub fn word(own_doors: OwnDoors) -> &'static str {
    match own_doors {
        OwnDoors::Private => "private",
        OwnDoors::LandlordSees { .. } => "landlord-sees",
    }
}

fn with_property(mut detail: serde_json::Value, property: &PropertyId) -> serde_json::Value {
    detail["property_id"] = property.as_str().into();
    detail
}
