//! What is true when an entry's event happens, as the database knows it.

use diesel::prelude::*;

use crate::domain::access_log::NewEntry;
use crate::domain::access_log::visibility::{Circumstances, Giver, Home, Topic};
use crate::domain::ids::{GrantId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::columns::{parsed, parsed_option};
use crate::store::schema::{grant_locks, grants, locks};
use crate::store::{Conn, StoreError, accounts, privacy, tenancies};

/// A door that an entry is about.
struct Door {
    property: PropertyId,
    /// Whose own door it is; `None` for a shared one.
    unit: Option<UnitId>,
}

/// What is true of the entry in the organization's log at `at`.
pub(super) fn of(
    conn: &mut Conn,
    organization: &OrganizationId,
    entry: &NewEntry,
    at: Timestamp,
) -> Result<Circumstances, StoreError> {
    let mut then = Circumstances::default();
    let doors = doors(conn, entry)?;
    then.elsewhere = doors.is_empty();
    for door in doors {
        match home(conn, &door, at)? {
            Some(home) => then.homes.push(home),
            None => then.elsewhere = true,
        }
    }
    if let Some(grant) = &entry.grant {
        then.giver = giver(conn, organization, grant, &then.homes)?;
    }
    // Elsewhere staff see it whoever it is.
    if let Some(person) = entry.person.as_ref().filter(|_| !then.homes.is_empty()) {
        then.person_role = accounts::role(conn, organization, person)?;
    }
    if let Some(actor) = &entry.actor {
        then.actor_role = accounts::role(conn, organization, actor)?;
    }
    Ok(then)
}

/// The doors that the entry is about: its own, or those of the grant that was given or taken back.
fn doors(conn: &mut Conn, entry: &NewEntry) -> Result<Vec<Door>, StoreError> {
    match (&entry.lock, &entry.property, &entry.grant) {
        (Some(_), Some(property), _) => Ok(vec![Door {
            property: property.clone(),
            unit: entry.unit.clone(),
        }]),
        (None, _, Some(grant)) if Topic::of(entry) == Topic::Access => {
            let rows: Vec<(String, Option<String>)> = grant_locks::table
                .inner_join(locks::table.on(locks::id.eq(grant_locks::lock_id)))
                .filter(grant_locks::grant_id.eq(grant.as_str()))
                .order((locks::property_id, locks::unit_id))
                .select((locks::property_id, locks::unit_id))
                .distinct()
                .load(conn)?;
            let door = |(property, unit): (String, Option<String>)| {
                Ok(Door {
                    property: parsed(&property)?,
                    unit: parsed_option(unit.as_deref())?,
                })
            };
            rows.into_iter().map(door).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// Who lives behind the door at `at`; `None` where nobody does.
fn home(conn: &mut Conn, door: &Door, at: Timestamp) -> Result<Option<Home>, StoreError> {
    let Some(unit) = &door.unit else { return Ok(None) };
    let residents = tenancies::residents(conn, unit, at)?;
    if residents.is_empty() {
        return Ok(None);
    }
    let is_private = privacy::rule(conn, &door.property)?.own_doors.hides(at);
    Ok(Some(Home { residents, is_private }))
}

/// Who gave the grant, and whether for the landlord: not under a tenancy, and nobody who lives there themselves.
fn giver(
    conn: &mut Conn,
    organization: &OrganizationId,
    grant: &GrantId,
    homes: &[Home],
) -> Result<Option<Giver>, StoreError> {
    let row: Option<(String, Option<String>)> = grants::table
        .find(grant.as_str())
        .filter(grants::organization_id.eq(organization.as_str()))
        .select((grants::given_by, grants::under))
        .get_result(conn)
        .optional()?;
    let Some((given_by, under)) = row else { return Ok(None) };
    let person: PersonId = parsed(&given_by)?;
    let under: Option<RightSource> = parsed_option(under.as_deref())?;
    let lives_there = homes.iter().any(|home| home.residents.contains(&person));
    let is_tenants = matches!(under, Some(RightSource::Tenancy(_)));
    Ok(Some(Giver {
        for_landlord: !is_tenants && !lives_there,
        person,
    }))
}
