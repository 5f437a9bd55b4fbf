//! Who lives where: giving tenancies and looking at them; below it their change and their end.

use std::sync::Arc;

use super::grants::{By, Ended};
use super::house_access::HouseAccess;
use super::invitations::SecretLink;
use super::notices::tell;
use super::revocations::hold_locks;
use super::{Actor, App, Error, What, house_access, joined_by, managed_by, must_have_phone_key, staffed_by, visits};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Role};
use crate::domain::ids::{OrganizationId, PersonId, TenancyId, UnitId};
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::invitations::InvitedTenancy;
pub use crate::store::tenancies::{Filter, NamedTenancy};
use crate::store::{Conn, access_log, accounts, places, tenancies};

mod change;
mod closing;
mod end;
mod home;

pub(super) use closing::{close_all_of, ended_rights, write_down_all};
pub use end::SettledTenancy;
pub(super) use home::{doors_to_hold, residents_behind};

/// Who is to live somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resident {
    /// A member of the organization.
    Person(PersonId),
    /// Whoever has this address: a member, or somebody who is invited with it.
    Email(Email),
}

/// What became of a tenancy that was to be given.
#[derive(Debug)]
pub enum GivenTenancy {
    /// It stands.
    Stands(NamedTenancy),
    /// It stands once its person has accepted the invitation behind this link.
    Invited(SecretLink),
}

impl App {
    /// Gives somebody a tenancy. A member has it at once; whoever is no member is invited with it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Invalid`] for a term that makes no sense, or a program; [`Error::NotFound`] of the unit
    /// or the person; [`Error::Conflict`] where the person lives there at that time already.
    pub async fn give_tenancy(
        &self,
        who: &Actor,
        unit: UnitId,
        term: Term,
        to: Resident,
    ) -> Result<GivenTenancy, Error> {
        let (now, who) = (self.now(), who.clone());
        let term = term.check(now).map_err(|bad| Error::invalid("ends_at", bad))?;
        let id = TenancyId::from_bits(self.id_bits(now));
        let draft = match &to {
            Resident::Email(email) => Some(self.draft_invitation(email.clone(), now)),
            Resident::Person(_) => None,
        };
        let mut link = draft.as_ref().map(|draft| self.link_of(draft));
        let random = Arc::clone(&self.random);
        let given = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let unit = places::find_unit(conn, &unit, &scope)?.ok_or(Error::NotFound(What::Unit))?;
                must_have_phone_key(conn, &unit.organization, &who)?;
                let Some(person) = member(conn, &unit.organization, to)? else {
                    // An account elsewhere is invited like a stranger: its landlord here learns nothing of it.
                    let draft = draft.ok_or(Error::NotFound(What::Person))?;
                    let promised = InvitedTenancy {
                        unit: unit.id,
                        starts_at: term.starts_at,
                        ends_at: term.ends_at,
                    };
                    let into = unit.organization;
                    draft.store(conn, into, Role::Tenant, Some(promised), &who.person, now)?;
                    return Ok(None);
                };
                let tenancy = Tenancy {
                    id: id.clone(),
                    organization: unit.organization,
                    property: unit.property,
                    unit: unit.id,
                    person,
                    term,
                    set_by: Some(who.person.clone()),
                    created_at: now,
                    closed_at: None,
                };
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let ended = begin(conn, by, tenancy, &who.person, now)?;
                let given = tenancies::find_named(conn, &id, &scope)?;
                Ok::<_, Error>(Some((given.ok_or(Error::NotFound(What::Tenancy))?, ended)))
            })
            .await?;
        match (given, link.take()) {
            (Some((tenancy, ended)), _) => {
                if !ended.is_nothing() {
                    self.make_end_effective(ended).await?;
                }
                Ok(GivenTenancy::Stands(tenancy))
            }
            (None, Some(link)) => Ok(GivenTenancy::Invited(link)),
            (None, None) => Err(Error::NotFound(What::Person)),
        }
    }

    /// The tenancies in the organizations that the caller works for.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn tenancies(
        &self,
        who: &Actor,
        filter: Filter,
        page: PageRequest<TenancyId>,
    ) -> Result<Page<NamedTenancy, TenancyId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = tenancies::list(conn, &scope, &filter, page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |named| named.tenancy.id.clone()))
            })
            .await
    }

    /// One tenancy.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn tenancy(&self, who: &Actor, id: TenancyId) -> Result<NamedTenancy, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                tenancies::find_named(conn, &id, &scope)?.ok_or(Error::NotFound(What::Tenancy))
            })
            .await
    }

    /// The caller's own tenancies, those that are over included, wherever they belong.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn own_tenancies(
        &self,
        who: &Actor,
        page: PageRequest<TenancyId>,
    ) -> Result<Page<NamedTenancy, TenancyId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let filter = Filter {
                    person: Some(who.person),
                    ..Filter::default()
                };
                let limit = i64::from(page.limit) + 1;
                let found = tenancies::list(conn, &scope, &filter, page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |named| named.tenancy.id.clone()))
            })
            .await
    }
}

/// The member who is meant, if it is one; their membership is held until this transaction ends, so that of two tenancies at
/// once the second sees the first.
fn member(conn: &mut Conn, organization: &OrganizationId, to: Resident) -> Result<Option<PersonId>, Error> {
    let person = match to {
        Resident::Person(person) => Some(person),
        Resident::Email(email) => accounts::find_by_email(conn, &email)?.map(|(person, _)| person.id),
    };
    let Some(person) = person else { return Ok(None) };
    if !accounts::hold_membership(conn, organization, &person)? {
        return Ok(None);
    }
    match accounts::role(conn, organization, &person)? {
        Some(Role::Service) => Err(Error::invalid("person_id", "a program lives nowhere")),
        role => Ok(role.map(|_| person)),
    }
}

/// Lets a tenancy stand in the books, for a member: makes them a tenant where they were less, writes it down, and tells
/// whoever lives with them. The membership is held. Says what has ended of what others could open there.
pub(super) fn begin(
    conn: &mut Conn,
    signed: By<'_>,
    mut tenancy: Tenancy,
    by: &PersonId,
    now: Timestamp,
) -> Result<Ended, Error> {
    let random = signed.random;
    let doors = doors_to_hold(conn, &tenancy.organization, &tenancy.unit, now)?;
    hold_locks(conn, &doors)?;
    refuse_doubled(conn, &tenancy)?;
    let role = accounts::role(conn, &tenancy.organization, &tenancy.person)?;
    if role.is_none_or(|role| role.rank() < Role::Tenant.rank()) {
        accounts::set_membership(conn, &tenancy.organization, &tenancy.person, Role::Tenant, now)?;
    }
    // Somebody of the house who comes to live with others waits like for any other key to their door.
    let organization = tenancy.organization.clone();
    let house_access = house_access::postpone_tenancy(conn, &organization, &mut tenancy, now)?;
    tenancies::add(conn, &tenancy)?;
    let kept_out = visits::agree_anew(conn, &tenancy.unit, (Some(by), random), now)?;
    let ended = house_access::have_keys_wait(conn, &tenancy, None, signed, now)?;
    let joint = joint_tenants(conn, &tenancy, now)?;
    let told = joint.into_iter().chain([tenancy.person.clone()]);
    let given = news(&tenancy, notice::Kind::TenancyGiven, Some(by));
    tell(conn, random, told, &given, now)?;
    visits::ask_newcomer(conn, random, &tenancy, None, now)?;
    let ended = ended.and(kept_out.write_down(conn, random, Some(by), now)?);
    write_down(conn, &tenancy, &entry(&tenancy, Kind::TenancyGiven, Some(by), now), now)?;
    tell_of_house_access(conn, random, &tenancy, by, house_access.as_ref(), now)?;
    Ok(ended)
}

/// Tells whoever lives there of somebody of the house who is to live with them, where that is so.
fn tell_of_house_access(
    conn: &mut Conn,
    random: &dyn Random,
    tenancy: &Tenancy,
    by: &PersonId,
    access: Option<&HouseAccess>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(access) = access else { return Ok(()) };
    let right = RightSource::Tenancy(tenancy.id.clone());
    let by = (by, |entry| entry);
    house_access::tell_residents(conn, random, &tenancy.organization, by, (&right, access), now)
}

/// Refuses a second tenancy of one person in one unit at the same time: the end of one of them would end nothing.
fn refuse_doubled(conn: &mut Conn, tenancy: &Tenancy) -> Result<(), Error> {
    let others = tenancies::of_person_in(conn, &tenancy.person, &tenancy.unit)?;
    if others.iter().any(|other| tenancy.doubles(other)) {
        return Err(Error::Conflict {
            word: "tenancy-overlaps",
            why: "the person lives in this unit at that time already",
        });
    }
    Ok(())
}

/// Who lives in the unit at some time of the tenancy from `now` on, beside its person.
fn joint_tenants(conn: &mut Conn, tenancy: &Tenancy, now: Timestamp) -> Result<Vec<PersonId>, Error> {
    let others = tenancies::of_unit(conn, &tenancy.unit, now)?;
    let joint = others.into_iter().filter(|other| tenancy.is_joint_with(other));
    Ok(joint.map(|other| other.person).collect())
}

/// What is told of the tenancy.
fn news(tenancy: &Tenancy, kind: notice::Kind, by: Option<&PersonId>) -> News {
    News {
        unit: Some(tenancy.unit.clone()),
        actor: by.cloned(),
        detail: Some(detail(tenancy)),
        ..News::new(kind, tenancy.organization.clone())
    }
}

fn entry(tenancy: &Tenancy, kind: Kind, by: Option<&PersonId>, at: Timestamp) -> NewEntry {
    NewEntry {
        property: Some(tenancy.property.clone()),
        unit: Some(tenancy.unit.clone()),
        person: Some(tenancy.person.clone()),
        actor: by.cloned(),
        detail: Some(detail(tenancy)),
        ..NewEntry::new(kind, at)
    }
}

fn detail(tenancy: &Tenancy) -> serde_json::Value {
    serde_json::json!({
        "tenancy_id": tenancy.id,
        "person_id": tenancy.person,
        "starts_at": tenancy.term.starts_at,
        "ends_at": tenancy.term.ends_at,
    })
}

fn write_down(conn: &mut Conn, tenancy: &Tenancy, entry: &NewEntry, now: Timestamp) -> Result<(), Error> {
    access_log::append(conn, &tenancy.organization, entry, now)?;
    Ok(())
}
