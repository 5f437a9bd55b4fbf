//! Ordering a visit.

use std::sync::Arc;

use super::{Shown, Step, shown, write_down};
use crate::app::{Actor, App, Error, What, must_have_phone_key, served_by};
use crate::domain::access_log::Kind;
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, OrganizationId, PropertyId, UnitId, VisitId};
use crate::domain::lock::LockState;
use crate::domain::notice;
use crate::domain::visit::{Emergency, EmergencyReason, NewVisit, Visit};
use crate::store::{Conn, locks, visits};

impl App {
    /// Orders a visit to doors of one property: shared ones, and those of one unit at most, for what is agreed to in one flat
    /// is nothing to the next. With an `emergency` nobody is asked who lives there, and they are told why.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Invalid`] where the order does not hold together; [`Error::NotFound`] of a lock;
    /// [`Error::Conflict`] for a retired one.
    pub async fn order_visit(
        &self,
        who: &Actor,
        new: NewVisit,
        emergency: Option<EmergencyReason>,
    ) -> Result<Shown, Error> {
        // Passing over those who live there is for a person to answer for.
        if who.key.is_some() && emergency.is_some() {
            return Err(Error::Forbidden);
        }
        let (now, who) = (self.now(), who.clone());
        let stay = new.check(now).map_err(|bad| Error::invalid(bad.field(), bad))?;
        let id = VisitId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let place = place_of(conn, &new.locks, &scope)?;
                must_have_phone_key(conn, &place.organization, &who)?;
                let visit = Visit {
                    id,
                    organization: place.organization,
                    property: place.property,
                    unit: place.unit,
                    locks: new.locks,
                    vendor: Some(new.vendor),
                    purpose: Some(new.purpose),
                    starts_at: new.starts_at,
                    ends_at: new.ends_at,
                    stay,
                    lock_change: new.lock_change,
                    ordered_by: who.person.clone(),
                    ordered_at: now,
                    emergency: emergency.map(|reason| Emergency {
                        by: who.person.clone(),
                        at: now,
                        reason: Some(reason),
                    }),
                    let_in: None,
                    begun_at: None,
                    ended: None,
                };
                if visit.lock_change && visit.unit.is_none() {
                    return Err(Error::invalid(
                        "lock_change",
                        "name the locks of the unit that are to be changed",
                    ));
                }
                visits::add(conn, &visit)?;
                let (kind, news) = match &visit.emergency {
                    None => (Kind::VisitOrdered, notice::Kind::VisitOrdered),
                    Some(_) => (Kind::VisitEmergency, notice::Kind::VisitEmergency),
                };
                let step = Step {
                    kind,
                    news,
                    actor: Some(who.person.clone()),
                    at: now,
                    reason: visit
                        .emergency
                        .as_ref()
                        .and_then(|emergency| emergency.reason.as_ref())
                        .map(|reason| reason.as_str().to_owned()),
                };
                write_down(conn, &*random, &visit, step, now)?;
                shown(conn, visit, true, now)
            })
            .await
    }
}

/// What the doors of a visit have in common.
struct Place {
    organization: OrganizationId,
    property: PropertyId,
    unit: Option<UnitId>,
}

/// The one property of `scope` of which all the locks are, and the one unit of which some are; none of them retired.
fn place_of(conn: &mut Conn, ids: &[LockId], scope: &Scope) -> Result<Place, Error> {
    let found = locks::with_ids(conn, ids)?;
    let mut place: Option<Place> = None;
    for id in ids {
        let mut here = found.iter().filter(|lock| scope.contains(&lock.organization));
        let lock = here.find(|lock| lock.id == *id).ok_or(Error::NotFound(What::Lock))?;
        if lock.state == LockState::Retired {
            return Err(Error::Conflict {
                word: "lock-retired",
                why: "one of the locks is out of service",
            });
        }
        let place = place.get_or_insert_with(|| Place {
            organization: lock.organization.clone(),
            property: lock.property.clone(),
            unit: None,
        });
        if place.property != lock.property {
            return Err(Error::invalid("lock_ids", "the locks are not of one property"));
        }
        match (&place.unit, &lock.unit) {
            (None, unit) => place.unit.clone_from(unit),
            (Some(one), Some(other)) if one != other => {
                return Err(Error::invalid("lock_ids", "a visit is to one unit; order one for each"));
            }
            _ => {}
        }
    }
    place.ok_or(Error::invalid("lock_ids", "expected one lock or more"))
}
