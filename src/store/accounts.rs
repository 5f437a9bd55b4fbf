//! Organizations, persons and their memberships.

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::{parsed, text};
use super::grants::is_for_landlords;
use super::schema::{access_log_heads, grants, memberships, organizations, persons};
use super::{Conn, StoreError, log_tree};
use crate::domain::account::{Email, Membership, OrganizationName, Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::import::Resident;
use crate::domain::time::Timestamp;

/// What stands in the place of a password's hash where no password lets anybody in: an account whose address leads
/// nowhere.
pub const NO_PASSWORD: &str = "none";

/// Adds an organization, with the head of its empty access log and of the tree over it.
pub fn add_organization(
    conn: &mut Conn,
    id: &OrganizationId,
    name: &OrganizationName,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::insert_into(organizations::table)
        .values((
            organizations::id.eq(id.as_str()),
            organizations::name.eq(name.as_str()),
            organizations::created_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    diesel::insert_into(access_log_heads::table)
        .values((
            access_log_heads::organization_id.eq(id.as_str()),
            access_log_heads::last_seq.eq(0),
            access_log_heads::last_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    log_tree::begin(conn, id, now)
}

/// The organization's name, if there is one with this id.
pub fn organization_name(conn: &mut Conn, id: &OrganizationId) -> Result<Option<OrganizationName>, StoreError> {
    let name: Option<String> = organizations::table
        .find(id.as_str())
        .select(organizations::name)
        .first(conn)
        .optional()?;
    name.map(text).transpose()
}

/// Every organization.
pub fn organizations(conn: &mut Conn) -> Result<Vec<OrganizationId>, StoreError> {
    let ids: Vec<String> = organizations::table
        .select(organizations::id)
        .order(organizations::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Whether there is any organization yet.
pub fn has_organizations(conn: &mut Conn) -> Result<bool, StoreError> {
    let first: Option<String> = organizations::table.select(organizations::id).first(conn).optional()?;
    Ok(first.is_some())
}

/// Adds a person with the PHC string of their password.
///
/// # Errors
/// [`StoreError::Conflict`] where somebody has this address already.
pub fn add_person(conn: &mut Conn, person: &Person, password_hash: &str, now: Timestamp) -> Result<(), StoreError> {
    diesel::insert_into(persons::table)
        .values((
            persons::id.eq(person.id.as_str()),
            persons::email.eq(person.email.as_str()),
            persons::name.eq(person.name.as_str()),
            persons::password_hash.eq(password_hash),
            persons::created_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

type PersonRow = (String, String, String);
const PERSON: (persons::id, persons::email, persons::name) = (persons::id, persons::email, persons::name);

fn person((id, email, name): PersonRow) -> Result<Person, StoreError> {
    Ok(Person {
        id: parsed(&id)?,
        email: parsed::<Email>(&email)?,
        name: text::<PersonName>(name)?,
    })
}

/// The person with this id.
pub fn find_person(conn: &mut Conn, id: &PersonId) -> Result<Option<Person>, StoreError> {
    let row: Option<PersonRow> = persons::table.find(id.as_str()).select(PERSON).first(conn).optional()?;
    row.map(person).transpose()
}

/// The names of those of the persons that there are.
pub fn names(conn: &mut Conn, ids: &[&PersonId]) -> Result<HashMap<PersonId, PersonName>, StoreError> {
    let rows: Vec<(String, String)> = persons::table
        .filter(persons::id.eq_any(ids.iter().map(|id| id.as_str())))
        .select((persons::id, persons::name))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, name)| Ok((parsed(&id)?, text(name)?)))
        .collect()
}

/// Holds the organization's row until this transaction ends, so that of two who bring houses in at once the second sees the
/// first.
pub fn hold_organization(conn: &mut Conn, id: &OrganizationId) -> Result<(), StoreError> {
    diesel::update(organizations::table.find(id.as_str()))
        .set(organizations::name.eq(organizations::name))
        .execute(conn)?;
    Ok(())
}

/// How many addresses are looked up with one statement.
const LOOKED_UP_AT_ONCE: usize = 500;

/// Who has these addresses, and as what they belong to the organization.
pub fn residents(
    conn: &mut Conn,
    organization: &OrganizationId,
    emails: &[&Email],
) -> Result<HashMap<Email, Resident>, StoreError> {
    let mut found = HashMap::new();
    for emails in emails.chunks(LOOKED_UP_AT_ONCE) {
        let rows: Vec<(String, String, Option<String>)> = persons::table
            .left_join(
                memberships::table.on(memberships::person_id
                    .eq(persons::id)
                    .and(memberships::organization_id.eq(organization.as_str()))
                    .and(memberships::ended_at_ms.is_null())),
            )
            .filter(persons::email.eq_any(emails.iter().map(|email| email.as_str())))
            .select((persons::email, persons::id, memberships::role.nullable()))
            .load(conn)?;
        for (email, id, role) in rows {
            let resident = Resident {
                person: parsed(&id)?,
                role: role.as_deref().map(parsed).transpose()?,
            };
            found.insert(parsed(&email)?, resident);
        }
    }
    Ok(found)
}

/// The person with this address and the PHC string of their password.
pub fn find_by_email(conn: &mut Conn, email: &Email) -> Result<Option<(Person, String)>, StoreError> {
    let row: Option<(PersonRow, String)> = persons::table
        .filter(persons::email.eq(email.as_str()))
        .select((PERSON, persons::password_hash))
        .first(conn)
        .optional()?;
    row.map(|(row, hash)| Ok((person(row)?, hash))).transpose()
}

/// Whether the person's password still has this PHC string; if so it is not replaced before this transaction ends.
pub fn hold_password(conn: &mut Conn, id: &PersonId, password_hash: &str) -> Result<bool, StoreError> {
    let present = persons::table
        .find(id.as_str())
        .filter(persons::password_hash.eq(password_hash));
    let held = diesel::update(present)
        .set(persons::password_hash.eq(persons::password_hash))
        .execute(conn)?;
    Ok(held > 0)
}

/// Keeps whoever else holds this account waiting until this transaction ends.
pub fn hold_person(conn: &mut Conn, id: &PersonId) -> Result<(), StoreError> {
    diesel::update(persons::table.find(id.as_str()))
        .set(persons::password_hash.eq(persons::password_hash))
        .execute(conn)?;
    Ok(())
}

/// Replaces the PHC string of the person's password.
pub fn set_password_hash(conn: &mut Conn, id: &PersonId, password_hash: &str) -> Result<(), StoreError> {
    diesel::update(persons::table.find(id.as_str()))
        .set(persons::password_hash.eq(password_hash))
        .execute(conn)?;
    Ok(())
}

/// Where the person belongs now, and as what.
pub fn memberships(conn: &mut Conn, id: &PersonId) -> Result<Vec<Membership>, StoreError> {
    let rows: Vec<(String, String)> = memberships::table
        .filter(memberships::person_id.eq(id.as_str()))
        .filter(memberships::ended_at_ms.is_null())
        .order(memberships::organization_id)
        .select((memberships::organization_id, memberships::role))
        .load(conn)?;
    rows.iter()
        .map(|(organization, role)| {
            Ok(Membership {
                organization: parsed(organization)?,
                role: parsed(role)?,
            })
        })
        .collect()
}

/// The person's role in the organization, while they belong to it.
pub fn role(conn: &mut Conn, organization: &OrganizationId, person: &PersonId) -> Result<Option<Role>, StoreError> {
    let role: Option<String> = memberships::table
        .find((organization.as_str(), person.as_str()))
        .filter(memberships::ended_at_ms.is_null())
        .select(memberships::role)
        .first(conn)
        .optional()?;
    role.as_deref().map(parsed).transpose()
}

/// Whether the person belongs to the organization; if so their membership does not end before this transaction does.
pub fn hold_membership(conn: &mut Conn, organization: &OrganizationId, person: &PersonId) -> Result<bool, StoreError> {
    let present = memberships::table
        .find((organization.as_str(), person.as_str()))
        .filter(memberships::ended_at_ms.is_null());
    let held = diesel::update(present)
        .set(memberships::role.eq(memberships::role))
        .execute(conn)?;
    Ok(held > 0)
}

/// Keeps whatever else takes this row waiting until this transaction ends, whether or not the person still belongs there.
pub fn hold_row(conn: &mut Conn, organization: &OrganizationId, person: &PersonId) -> Result<(), StoreError> {
    diesel::update(memberships::table.find((organization.as_str(), person.as_str())))
        .set(memberships::role.eq(memberships::role))
        .execute(conn)?;
    Ok(())
}

/// Makes the person a member in this role, again if they were one before.
pub fn set_membership(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    role: Role,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mine = || memberships::table.find((organization.as_str(), person.as_str()));
    let back = diesel::update(mine().filter(memberships::ended_at_ms.is_not_null()))
        .set((
            memberships::role.eq(role.as_str()),
            memberships::created_at_ms.eq(now.as_millis()),
            memberships::ended_at_ms.eq(None::<i64>),
        ))
        .execute(conn)?;
    let renewed = diesel::update(mine())
        .set(memberships::role.eq(role.as_str()))
        .execute(conn)?;
    if back + renewed == 0 {
        diesel::insert_into(memberships::table)
            .values((
                memberships::organization_id.eq(organization.as_str()),
                memberships::person_id.eq(person.as_str()),
                memberships::role.eq(role.as_str()),
                memberships::created_at_ms.eq(now.as_millis()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Gives a member another role; says whether they are one, and still had the role `present`.
pub fn change_role(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    present: Role,
    role: Role,
) -> Result<bool, StoreError> {
    let changed = diesel::update(
        memberships::table
            .find((organization.as_str(), person.as_str()))
            .filter(memberships::role.eq(present.as_str()))
            .filter(memberships::ended_at_ms.is_null()),
    )
    .set(memberships::role.eq(role.as_str()))
    .execute(conn)?;
    Ok(changed > 0)
}

/// The members of the organization whose role satisfies `may`, by id.
pub fn with_role(
    conn: &mut Conn,
    organization: &OrganizationId,
    may: impl Fn(Role) -> bool,
) -> Result<Vec<PersonId>, StoreError> {
    let roles: Vec<&str> = (Role::ALL.into_iter())
        .filter(|role| may(*role))
        .map(Role::as_str)
        .collect();
    let ids: Vec<String> = memberships::table
        .filter(memberships::organization_id.eq(organization.as_str()))
        .filter(memberships::role.eq_any(roles))
        .filter(memberships::ended_at_ms.is_null())
        .order(memberships::person_id)
        .select(memberships::person_id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Ends the membership; says whether there was one.
pub fn end_membership(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = diesel::update(
        memberships::table
            .find((organization.as_str(), person.as_str()))
            .filter(memberships::ended_at_ms.is_null()),
    )
    .set(memberships::ended_at_ms.eq(now.as_millis()))
    .execute(conn)?;
    Ok(ended > 0)
}

/// A member of an organization with their role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// As what.
    pub role: Role,
}

/// The members of the organization, by id, those after `after`, at most `limit`. Somebody without an account who comes only
/// to tenants' own doors, by what those tenants gave, is none of the landlord's business.
pub fn members(
    conn: &mut Conn,
    organization: &OrganizationId,
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<Member>, StoreError> {
    let holders = grants::table
        .filter(grants::organization_id.eq(organization.as_str()))
        .filter(is_for_landlords!())
        .select(grants::person_id);
    let rows: Vec<(PersonRow, String)> = memberships::table
        .inner_join(persons::table)
        .filter(memberships::organization_id.eq(organization.as_str()))
        .filter(memberships::ended_at_ms.is_null())
        .filter(persons::id.gt(after.map_or("", PersonId::as_str)))
        .filter(
            persons::password_hash
                .ne(NO_PASSWORD)
                .or(memberships::role.eq(Role::Service.as_str()))
                .or(persons::id.nullable().eq_any(holders)),
        )
        .order(persons::id)
        .limit(limit)
        .select((PERSON, memberships::role))
        .load(conn)?;
    rows.into_iter()
        .map(|(row, role)| {
            Ok(Member {
                person: person(row)?,
                role: parsed(&role)?,
            })
        })
        .collect()
}

/// How many owners the organization has. On Postgres its row is held until the transaction ends, so that owners who
/// put each other out take turns and one is left.
pub fn count_owners(conn: &mut Conn, organization: &OrganizationId) -> Result<i64, StoreError> {
    diesel::update(organizations::table.find(organization.as_str()))
        .set(organizations::name.eq(organizations::name))
        .execute(conn)?;
    Ok(memberships::table
        .filter(memberships::organization_id.eq(organization.as_str()))
        .filter(memberships::role.eq(Role::Owner.as_str()))
        .filter(memberships::ended_at_ms.is_null())
        .count()
        .get_result(conn)?)
}

/// The organizations to which the person belongs or belonged, by id.
pub fn ever_joined(conn: &mut Conn, person: &PersonId) -> Result<Vec<OrganizationId>, StoreError> {
    let ids: Vec<String> = memberships::table
        .filter(memberships::person_id.eq(person.as_str()))
        .order(memberships::organization_id)
        .select(memberships::organization_id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Puts an account that tells nothing in the place of the one that the person had, for good.
pub fn erase(conn: &mut Conn, person: &Person, password_hash: &str, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(persons::table.find(person.id.as_str()))
        .set((
            persons::email.eq(person.email.as_str()),
            persons::name.eq(person.name.as_str()),
            persons::password_hash.eq(password_hash),
            persons::erased_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}
