//! Visits of vendors: the landlord orders, those who live there agree, the vendor proves to be the one, and then gets in for
//! a bounded stay.
//!
//! Whoever changes a visit takes its locks first, then the visit, then its grant, then the end of the log: the order in which
//! an event of a lock takes them.

use super::notices::tell;
use super::{Actor, App, Error, What, joined_by, role_in, staffed_by};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Role, Scope};
use crate::domain::ids::{PersonId, PropertyId, VisitId};
use crate::domain::lock::Lock;
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::domain::visit::{Agreement, Company, Stage, Visit};
use crate::store::{Conn, access_log, locks, tenancies, visits};

mod consent;
mod end;
mod kept_out;
mod let_in;
mod lock_change;
mod order;

pub(super) use consent::ask_newcomer;
pub(super) use end::{begun, call_off_every};
pub(super) use kept_out::{KeptOut, agree_anew, door_moved, doors_of_visits_at, doors_of_visits_in};
pub use let_in::{Called, LetIn, Verified};
pub use lock_change::ClaimOfLock;

/// A visit with what follows from it at the present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The visit.
    pub visit: Visit,
    /// What those say who live there now.
    pub agreement: Agreement,
    /// How far it is.
    pub stage: Stage,
    /// Whether the caller works for the landlord, and may see where the vendor is called up.
    pub for_staff: bool,
}

impl App {
    /// The visits of the organizations that the caller works for, of one property if asked for, the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn visits(
        &self,
        who: &Actor,
        property: Option<PropertyId>,
        page: PageRequest<VisitId>,
    ) -> Result<Page<Shown, VisitId>, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = visits::list(conn, &scope, property.as_ref(), page.after.as_ref(), limit)?;
                Ok(Page::cut(shown_all(conn, found, true, now)?, page.limit, |shown| {
                    shown.visit.id.clone()
                }))
            })
            .await
    }

    /// The visits to units in which the caller lives, or lived at the time of the visit, the newest first.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn my_visits(&self, who: &Actor, page: PageRequest<VisitId>) -> Result<Page<Shown, VisitId>, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let limit = i64::from(page.limit) + 1;
                let found = visits::of_resident(conn, &who.person, page.after.as_ref(), limit)?;
                Ok(Page::cut(shown_all(conn, found, false, now)?, page.limit, |shown| {
                    shown.visit.id.clone()
                }))
            })
            .await
    }

    /// One visit, for whoever works for the landlord or lives in its unit.
    ///
    /// # Errors
    /// [`Error::NotFound`] for everybody else.
    pub async fn visit(&self, who: &Actor, id: VisitId) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let visit = visits::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Visit))?;
                let role = role_in(conn, &who, &visit.organization)?;
                let for_staff = role.is_some_and(Role::is_staff);
                if for_staff || residents(conn, &visit, now)?.contains(&who.person) {
                    shown(conn, visit, for_staff, now)
                } else {
                    Err(Error::NotFound(What::Visit))
                }
            })
            .await
    }
}

/// What is answered once a door of the visit is another home's.
const DOOR_MOVED: Error = Error::Conflict {
    word: "visit-door-moved",
    why: "a lock of this visit hangs on another home's door since it was ordered; order another visit",
};

/// The doors of the visit, none of which hangs in another home now than the one that it was ordered for.
fn doors_as_ordered(conn: &mut Conn, visit: &Visit) -> Result<Vec<Lock>, Error> {
    let doors = locks::with_ids(conn, &visit.locks)?;
    let hangs_elsewhere =
        |door: &Lock| door.property != visit.property || (door.unit.is_some() && door.unit != visit.unit);
    if doors.iter().any(hangs_elsewhere) {
        return Err(DOOR_MOVED);
    }
    Ok(doors)
}

/// Who lives behind the visit's doors now, or when it may begin: nobody where they are all shared.
fn residents(conn: &mut Conn, visit: &Visit, now: Timestamp) -> Result<Vec<PersonId>, Error> {
    match &visit.unit {
        Some(unit) => Ok(tenancies::residents(conn, unit, now.max(visit.starts_at))?),
        None => Ok(Vec::new()),
    }
}

/// Who is to know of the visit: whoever lives behind its doors at any time within which the vendor may come from `now` on.
fn concerned(conn: &mut Conn, visit: &Visit, now: Timestamp) -> Result<Vec<PersonId>, Error> {
    let Some(unit) = &visit.unit else { return Ok(Vec::new()) };
    let from = now.max(visit.starts_at);
    Ok(tenancies::residents_within(conn, unit, from, Some(visit.closes_at()))?)
}

/// Until when the vendor may come and go: to the end of the visit, or to the instant from which on others live there who
/// have not agreed.
fn agreed_until(conn: &mut Conn, visit: &Visit, now: Timestamp) -> Result<Timestamp, Error> {
    let (from, closes_at) = (now.max(visit.starts_at), visit.closes_at());
    let Some(unit) = &visit.unit else { return Ok(closes_at) };
    let answers = visits::answers(conn, &visit.id)?;
    let stays = tenancies::of_unit(conn, unit, from)?;
    let mut changes: Vec<Timestamp> = (stays.iter())
        .flat_map(|stay| [Some(stay.term.starts_at), stay.term.ends_at])
        .flatten()
        .filter(|at| from < *at && *at < closes_at)
        .chain([from])
        .collect();
    changes.sort_unstable();
    for at in changes {
        let present = tenancies::residents(conn, unit, at)?;
        if !Agreement::of(&present, &answers, visit.emergency.as_ref()).suffices() {
            return Ok(at);
        }
    }
    Ok(closes_at)
}

/// What those say to the visit who live there.
fn agreement(conn: &mut Conn, visit: &Visit, now: Timestamp) -> Result<Agreement, Error> {
    let residents = residents(conn, visit, now)?;
    let answers = visits::answers(conn, &visit.id)?;
    Ok(Agreement::of(&residents, &answers, visit.emergency.as_ref()))
}

fn shown(conn: &mut Conn, visit: Visit, for_staff: bool, now: Timestamp) -> Result<Shown, Error> {
    let agreement = agreement(conn, &visit, now)?;
    Ok(Shown {
        stage: visit.stage(&agreement, now),
        agreement,
        visit,
        for_staff,
    })
}

fn shown_all(conn: &mut Conn, visits: Vec<Visit>, for_staff: bool, now: Timestamp) -> Result<Vec<Shown>, Error> {
    visits
        .into_iter()
        .map(|visit| shown(conn, visit, for_staff, now))
        .collect()
}

/// The visit within `scope` whose locks and row are held from now on.
fn hold(conn: &mut Conn, id: &VisitId, scope: &Scope) -> Result<Visit, Error> {
    let visit = visits::find(conn, id, scope)?.ok_or(Error::NotFound(What::Visit))?;
    super::revocations::hold_locks(conn, &visit.locks)?;
    visits::hold(conn, id, scope)?.ok_or(Error::NotFound(What::Visit))
}

const OVER: Error = Error::Conflict {
    word: "visit-over",
    why: "this visit is over",
};

/// Nothing can be done with a visit that is over.
fn refuse_over(visit: &Visit, now: Timestamp) -> Result<(), Error> {
    if visit.ended.is_some() || visit.is_over(now).is_some() {
        Err(OVER)
    } else {
        Ok(())
    }
}

/// What happened to a visit, for the log and for those whom it concerns.
struct Step {
    kind: Kind,
    news: notice::Kind,
    /// Who did it; `None` where it came by itself.
    actor: Option<PersonId>,
    /// When it happened.
    at: Timestamp,
    /// Why, as a stable word.
    reason: Option<String>,
}

/// Writes a step down, and tells those who live there, or are to while the visit may last, and whoever ordered it.
fn write_down(conn: &mut Conn, random: &dyn Random, visit: &Visit, step: Step, now: Timestamp) -> Result<(), Error> {
    let concerned = concerned(conn, visit, now)?;
    access_log::append(conn, &visit.organization, &entry(visit, &step), now)?;
    let staff = std::iter::once(visit.ordered_by.clone());
    let news = news(visit, step.news, step.actor);
    tell(conn, random, concerned.into_iter().chain(staff), &news, now)
}

/// What the log says of a step.
fn entry(visit: &Visit, step: &Step) -> NewEntry {
    NewEntry {
        reason: step.reason.clone(),
        property: Some(visit.property.clone()),
        unit: visit.unit.clone(),
        lock: match visit.locks.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        },
        actor: step.actor.clone(),
        grant: visit.let_in.as_ref().map(|(_, grant)| grant.clone()),
        detail: Some(serde_json::json!({ "visit_id": visit.id, "company": company_of(visit) })),
        ..NewEntry::new(step.kind, step.at)
    }
}

/// The firm that comes.
fn company_of(visit: &Visit) -> Option<&Company> {
    visit.vendor.as_ref().map(|vendor| &vendor.company)
}

/// What is told of a visit.
fn news(visit: &Visit, kind: notice::Kind, actor: Option<PersonId>) -> News {
    let mut detail = serde_json::json!({
        "visit_id": visit.id,
        "company": company_of(visit),
        "purpose": visit.purpose,
        "starts_at": visit.starts_at,
        "ends_at": visit.ends_at,
    });
    if let Some(emergency) = &visit.emergency {
        detail["emergency"] = serde_json::json!(emergency.reason);
    }
    News {
        unit: visit.unit.clone(),
        actor,
        detail: Some(detail),
        ..News::new(kind, visit.organization.clone())
    }
}
