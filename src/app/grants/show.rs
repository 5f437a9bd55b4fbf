//! Grants as they are shown, with what their locks know of them.

use std::collections::{BTreeSet, HashMap};

use super::access::seen;
use crate::app::guests::{StandingLink, standing_link};
use crate::app::pins::{CodeView, SlotView, views_of_grant};
use crate::app::{Actor, App, Error, belongs, joined_by};
use crate::domain::account::{Role, Scope};
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, LockId, PersonId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::page::{Page, PageRequest};
use crate::domain::pin::SlotState;
use crate::domain::provisioning::{AtLock, Known, Summary};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::grants::Listed;
use crate::store::spare_asks::{self, Asked};
use crate::store::{Conn, grants, locks, passes, pins, revocations};

/// Which grants are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Only those that name this lock.
    pub lock: Option<LockId>,
    /// Only those that this person holds.
    pub person: Option<PersonId>,
    /// Those that the caller holds, in the place of those that they gave or look after.
    pub held: bool,
}

/// A grant, and how it is at its locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The grant.
    pub grant: Grant,
    /// The locks that it names, and those that it named and where something of it lingers.
    pub doors: Vec<Door>,
    /// All of them together.
    pub summary: Summary,
    /// The ask that waits for its answer, where it is a spare key.
    pub asked: Option<Asked>,
    /// The link by which its holder comes in without an account, where one stands.
    pub link: Option<StandingLink>,
}

/// A grant at one lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The lock.
    pub lock: LockId,
    /// How it is there.
    pub at: AtLock,
    /// Its PIN there.
    pub pin: Option<SlotView>,
    /// Computed codes that were given for it there and are not over.
    pub codes: Vec<CodeView>,
    /// Until when a bolt may move by an offline pass of it, as far as it stands; else by what the lock has not confirmed.
    pub may_open_until: Option<Timestamp>,
}

impl App {
    /// The grants of the organizations whose rights the caller looks after, and those that they gave under rights of their
    /// own; or those that they hold.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn grants(
        &self,
        who: &Actor,
        which: Which,
        page: PageRequest<GrantId>,
    ) -> Result<Page<Shown, GrantId>, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let joined = joined_by(conn, &who)?;
                let viewed = Scope::of(&belongs(conn, &who)?, Role::views);
                let limit = i64::from(page.limit) + 1;
                let (after, lock) = (page.after.as_ref(), which.lock.as_ref());
                let found = if which.held {
                    if which.person.as_ref().is_some_and(|person| *person != who.person) {
                        Vec::new()
                    } else {
                        grants::held_by(conn, &joined, &who.person, lock, after, limit)?
                    }
                } else {
                    let listed = Listed {
                        shown: &viewed,
                        given: (&joined, &who.person),
                        lock,
                        holder: which.person.as_ref(),
                    };
                    grants::list(conn, &listed, after, limit)?
                };
                let page = Page::cut(found, page.limit, |grant| grant.id.clone());
                let mut items = Vec::with_capacity(page.items.len());
                for grant in page.items {
                    items.push(show(conn, grant, now)?);
                }
                Ok(Page { items, next: page.next })
            })
            .await
    }

    /// One grant, for who looks after it, gave it or holds it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn grant(&self, who: &Actor, id: GrantId) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let (grant, _) = seen(conn, &who, &id)?;
                show(conn, grant, now)
            })
            .await
    }
}

/// The grant with all that is known of it at its locks.
fn show(conn: &mut Conn, grant: Grant, now: Timestamp) -> Result<Shown, Error> {
    let stands = grant.stands(now);
    // What counts of it now, and what was made void and may still open.
    let counting: HashMap<LockId, Timestamp> = passes::open_until(conn, &grant.name(), now)?;
    let void: Vec<String> = grant
        .name()
        .with_earlier()
        .filter(|name| !stands || name.round < grant.round)
        .map(|name| name.to_string())
        .collect();
    let void: HashMap<LockId, Timestamp> = revocations::open_until(conn, &void, now)?.into_iter().collect();
    let lingering_pins = lingering_pins(conn, &grant, stands, now)?;
    let named: BTreeSet<LockId> = grant.terms.locks.iter().cloned().collect();
    let others = void.keys().chain(&lingering_pins).filter(|lock| !named.contains(lock));
    let all: Vec<LockId> = named
        .iter()
        .cloned()
        .chain(others.cloned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let found = locks::with_ids(conn, &all)?;
    let (slots, codes) = views_of_grant(conn, &grant, &found, now)?;
    let has_pin = stands
        && slots
            .iter()
            .any(|view| view.slot.state == SlotState::Set || view.slot.is_lost());
    let mut doors = Vec::with_capacity(found.len());
    for lock in found {
        let pin = slots.iter().find(|view| view.slot.lock == lock.id).cloned();
        let is_named = named.contains(&lock.id);
        let by_void_pass = void.get(&lock.id).copied();
        let known = Known {
            is_given: stands && is_named,
            in_service: is_in_service(&lock),
            pin: has_pin.then(|| {
                let wanted = pin.as_ref().filter(|view| view.slot.state != SlotState::Clearing);
                wanted.map(|view| view.status.clone())
            }),
            may_still_open: by_void_pass.is_some() || lingering_pins.contains(&lock.id),
        };
        let counts = if known.is_given {
            counting.get(&lock.id).copied()
        } else {
            None
        };
        doors.push(Door {
            at: AtLock::of(known),
            pin,
            codes: (codes.iter())
                .filter(|view| view.code.lock == lock.id)
                .cloned()
                .collect(),
            may_open_until: counts.max(by_void_pass),
            lock: lock.id,
        });
    }
    Ok(Shown {
        summary: Summary::of(doors.iter().map(|door| (&door.lock, &door.at))),
        asked: spare_asks::open(conn, &grant.id)?,
        link: standing_link(conn, &grant.id)?,
        doors,
        grant,
    })
}

fn is_in_service(lock: &Lock) -> bool {
    lock.state == LockState::Enrolled && !lock.quarantined
}

/// The locks that may still open by a PIN or a code of the grant which it does not give there any more.
fn lingering_pins(conn: &mut Conn, grant: &Grant, stands: bool, now: Timestamp) -> Result<BTreeSet<LockId>, Error> {
    let mut lingering = BTreeSet::new();
    for slot in pins::slots_of_grant(conn, &grant.id)? {
        let is_given = stands && grant.terms.locks.contains(&slot.lock);
        if !is_given
            && let Some(held) = pins::find(conn, &slot.lock)?
            && held.may_open_by(&slot, now)
        {
            lingering.insert(slot.lock);
        }
    }
    for code in crate::store::computed_codes::of_grant(conn, &grant.id)? {
        let is_given = stands && grant.terms.locks.contains(&code.lock);
        if !is_given
            && let Some(held) = pins::find(conn, &code.lock)?
            && held.may_open_by_code(&code, now)
        {
            lingering.insert(code.lock);
        }
    }
    Ok(lingering)
}

/// Whether the grant hangs under a tenancy.
#[must_use]
pub(in crate::app) fn is_under_tenancy(grant: &Grant) -> bool {
    matches!(grant.under, Some(RightSource::Tenancy(_)))
}
