//! Bringing in what a landlord has in tables: all of it in one transaction, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::grants::{By, Ended};
use super::invitations::{Draft, SecretLink};
use super::revocations::hold_locks;
use super::{Actor, App, Error, What, house_access, locks, managed_by, must_have_phone_key, tenancies};
use crate::crypto::random::Random;
use crate::domain::account::{Email, Role, Scope};
use crate::domain::ids::{OrganizationId, PersonId, TenancyId};
use crate::domain::import::{self, Counts, Fault, Known, Plan, Rows, Sheet, Stay};
use crate::domain::place::PlaceName;
use crate::domain::tenancy::Tenancy;
use crate::domain::time::Timestamp;
use crate::store::invitations::{self, InvitedTenancy};
use crate::store::{Conn, StoreError, accounts, places, tenancies as stays};

/// What became of an import.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing came in, and nothing would: these rows stand against it.
    Refused(Vec<Fault>),
    /// This would come in, or has.
    Fits {
        /// How many rows are new.
        added: Counts,
        /// How many say what stands already.
        unchanged: Counts,
        /// Who was invited; nobody where it was only tried.
        invited: Vec<InvitedByRow>,
    },
}

/// An invitation that came of a row.
#[derive(Debug)]
pub struct InvitedByRow {
    /// The line of the table of tenancies.
    pub line: u64,
    /// Who.
    pub email: Email,
    /// What the unit is called.
    pub unit: PlaceName,
    /// The invitation and its link.
    pub link: SecretLink,
}

impl App {
    /// Brings what tables say into the organization, all of it or nothing; `is_trial` says what would come of it. Who could do each
    /// of it by hand can do it so, and what is written down and told is the same. A stay of somebody who is no member becomes
    /// an invitation.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the organization; [`Error::PhoneKeyNeeded`] where somebody is to live
    /// somewhere by it; [`Error::Busy`] where so much changed meanwhile that it has to be tried again.
    pub async fn import(
        &self,
        who: &Actor,
        organization: OrganizationId,
        (rows, mut faults): (Rows, Vec<Fault>),
        is_trial: bool,
    ) -> Result<Outcome, Error> {
        let (now, random) = (self.now(), Arc::clone(&self.random));
        let (actor, into) = (who.clone(), organization.clone());
        let checked = self
            .db
            .read(move |conn| {
                authorize(conn, &actor, &into)?;
                if rows.has_tenancies() {
                    must_have_phone_key(conn, &into, &actor)?;
                }
                // What does not clash in the books may clash in itself: whoever mends the tables sees all of it at once.
                let plan = weigh(conn, &into, &rows, &*random, now)?;
                match plan {
                    Ok(plan) if faults.is_empty() => Ok::<_, Error>(Ok((rows, plan))),
                    Ok(_) => Ok(Err(faults)),
                    Err(more) => {
                        faults.extend(more);
                        faults.sort_by_key(|fault| (fault.sheet, fault.line));
                        Ok(Err(faults))
                    }
                }
            })
            .await?;
        let (rows, plan) = match checked {
            Ok((rows, plan)) => (rows, plan),
            Err(faults) => return Ok(Outcome::Refused(faults)),
        };
        if is_trial {
            return Ok(Outcome::Fits {
                added: plan.added(),
                unchanged: plan.unchanged,
                invited: Vec::new(),
            });
        }
        self.bring_in(who, organization, rows, plan, now).await
    }

    async fn bring_in(
        &self,
        who: &Actor,
        organization: OrganizationId,
        rows: Rows,
        checked: Plan,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        // Secrets are drawn before it counts: of members too, who may have left by then.
        let (mut drafts, mut promised) = (HashMap::new(), HashMap::new());
        for stay in checked.stays {
            let draft = self.draft_invitation(stay.email.clone(), now);
            let by_row = InvitedByRow {
                line: stay.line,
                email: stay.email,
                unit: stay.unit.name,
                link: self.link_of(&draft),
            };
            drafts.insert(stay.line, draft);
            promised.insert(stay.line, by_row);
        }
        let (who, random) = (who.clone(), Arc::clone(&self.random));
        let written = self
            .db
            .write(move |conn| {
                authorize(conn, &who, &organization)?;
                if rows.has_tenancies() {
                    must_have_phone_key(conn, &organization, &who)?;
                }
                accounts::hold_organization(conn, &organization)?;
                // The books may have changed since they were read: what comes in is decided by what they say now.
                let plan = match weigh(conn, &organization, &rows, &*random, now)? {
                    Ok(plan) => plan,
                    Err(faults) => return Ok(Err(faults)),
                };
                let (added, unchanged) = (plan.added(), plan.unchanged);
                let (invited, ended) = write(conn, &who, &*random, plan, &mut drafts, now)?;
                Ok::<_, Error>(Ok((added, unchanged, invited, ended)))
            })
            .await?;
        let (added, unchanged, invited, ended) = match written {
            Ok(written) => written,
            Err(faults) => return Ok(Outcome::Refused(faults)),
        };
        if !ended.is_nothing() {
            // It has ended; locks that are not told now are told by the jobs. Who was invited must have their links.
            if let Err(error) = self.make_end_effective(ended).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "locks were not told at once of what an import has ended"
                );
            }
        }
        let invited = invited.into_iter().filter_map(|line| promised.remove(&line));
        Ok(Outcome::Fits {
            added,
            unchanged,
            invited: invited.collect(),
        })
    }
}

/// Whoever manages the organization may bring things in.
fn authorize(conn: &mut Conn, who: &Actor, organization: &OrganizationId) -> Result<(), Error> {
    match managed_by(conn, who)?.contains(organization) {
        true => Ok(()),
        false => Err(Error::NotFound(What::Organization)),
    }
}

/// What of the rows would come in by what the books say now: a few statements, however many rows there are.
fn weigh(
    conn: &mut Conn,
    organization: &OrganizationId,
    rows: &Rows,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Result<Plan, Vec<Fault>>, Error> {
    let scope = Scope::only(organization.clone());
    let emails: Vec<_> = rows.emails().collect();
    let residents = accounts::residents(conn, organization, &emails)?;
    let persons: Vec<_> = residents.values().map(|resident| &resident.person).collect();
    let known = Known {
        organization: organization.clone(),
        properties: places::properties(conn, &scope, None, i64::MAX)?,
        units: places::all_units(conn, &scope)?,
        locks: crate::store::locks::list(conn, &scope, None, None, i64::MAX)?,
        tenancies: stays::of_persons(conn, organization, &persons)?,
        invited: match rows.has_tenancies() {
            true => invitations::open_stays(conn, organization, now)?,
            false => Vec::new(),
        },
        residents,
    };
    let plan = match import::plan(rows, known, now, &mut || random.id_bits(now)) {
        Ok(plan) => plan,
        Err(faults) => return Ok(Err(faults)),
    };
    let postponed = postponed(conn, organization, &plan, now)?;
    Ok(if postponed.is_empty() { Ok(plan) } else { Err(postponed) })
}

/// Stays of somebody of the house with others who live there, which would begin later than the rows say: somebody has to
/// give those by hand, and see that.
fn postponed(conn: &mut Conn, organization: &OrganizationId, plan: &Plan, now: Timestamp) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for stay in &plan.stays {
        let Some(person) = &stay.member else { continue };
        if !house_access::is_of_the_house(conn, organization, person)? {
            continue;
        }
        let comes_with_others = plan.stays.iter().any(|other| {
            let is_neighbour = other.unit.id == stay.unit.id && other.line != stay.line;
            is_neighbour && other.member.is_some()
        });
        let mut tenancy = tenancy_of(stay, person, None, TenancyId::from_bits(0), now);
        let is_later = match house_access::postpone_tenancy(conn, organization, &mut tenancy, now) {
            Ok(access) => access.is_some(),
            Err(Error::Invalid { .. }) => true,
            Err(error) => return Err(error),
        };
        if is_later || comes_with_others {
            let why = "somebody of the house moves in with others later than that: give this tenancy by hand";
            faults.push(Fault::new(Sheet::Tenancies, stay.line, Some("email"), why));
        }
    }
    Ok(faults)
}

/// Writes all of the plan. Says on which lines somebody was invited, and what has ended of what others could open.
fn write(
    conn: &mut Conn,
    who: &Actor,
    random: &dyn Random,
    plan: Plan,
    drafts: &mut HashMap<u64, Draft>,
    now: Timestamp,
) -> Result<(Vec<u64>, Ended), Error> {
    hold_homes(conn, &plan, now)?;
    for property in &plan.properties {
        places::add_property(conn, property)?;
    }
    for unit in &plan.units {
        match places::add_unit(conn, unit) {
            // Somebody added it by hand at this moment.
            Err(StoreError::Conflict { .. }) => Err(Error::Busy),
            other => Ok(other?),
        }?;
    }
    for lock in &plan.locks {
        locks::add(conn, who, lock, None, now)?;
    }
    let (mut invited, mut ended) = (Vec::new(), Ended::default());
    for stay in plan.stays {
        if stay.member.is_some() {
            ended = ended.and(move_in(conn, who, random, stay, now)?);
            continue;
        }
        // A row that stood in the books when secrets were drawn, and does not now.
        let draft = drafts.remove(&stay.line).ok_or(Error::Busy)?;
        let promised = InvitedTenancy {
            unit: stay.unit.id,
            starts_at: stay.term.starts_at,
            ends_at: stay.term.ends_at,
        };
        let into = stay.unit.organization;
        draft.store(conn, into, Role::Tenant, Some(promised), &who.person, now)?;
        invited.push(stay.line);
    }
    Ok((invited, ended))
}

/// Holds whatever members' new stays take hold of, memberships and then doors, in the order in which everybody takes them,
/// and before the end of the log: each stay alone would come back to doors after it had written the one before down.
fn hold_homes(conn: &mut Conn, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let mut members: Vec<_> = plan.stays.iter().filter(|stay| stay.member.is_some()).collect();
    members.sort_by_key(|stay| stay.member.as_ref().map(|person| person.as_str().to_owned()));
    let mut doors = Vec::new();
    for stay in &members {
        let Some(person) = &stay.member else { continue };
        if !accounts::hold_membership(conn, &stay.unit.organization, person)? {
            return Err(Error::Busy);
        }
        doors.extend(tenancies::doors_to_hold(
            conn,
            &stay.unit.organization,
            &stay.unit.id,
            now,
        )?);
    }
    hold_locks(conn, &doors)
}

/// A member's stay, as by hand.
fn move_in(conn: &mut Conn, who: &Actor, random: &dyn Random, stay: Stay, now: Timestamp) -> Result<Ended, Error> {
    let person = stay.member.as_ref().ok_or(Error::NotFound(What::Person))?;
    let id = TenancyId::from_bits(random.id_bits(now));
    let tenancy = tenancy_of(&stay, person, Some(who.person.clone()), id, now);
    let by = By { who: Some(who), random };
    tenancies::begin(conn, by, tenancy, &who.person, now)
}

/// The stay of this member as a tenancy.
fn tenancy_of(stay: &Stay, person: &PersonId, by: Option<PersonId>, id: TenancyId, now: Timestamp) -> Tenancy {
    Tenancy {
        id,
        organization: stay.unit.organization.clone(),
        property: stay.unit.property.clone(),
        unit: stay.unit.id.clone(),
        person: person.clone(),
        term: stay.term,
        set_by: by,
        created_at: now,
        closed_at: None,
    }
}
