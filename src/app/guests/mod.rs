//! Guests without an account: persons that nobody signs in as, and the links by which they come in.

mod links;
mod redeem;

use super::{Actor, Error};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Person, PersonName, Role};
use crate::domain::grant::Grant;
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::pass;
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, locks};

pub use links::{HandedOut, LinkMade, StandingLink};
pub(super) use links::{make_link, standing_link, stay_of, void_link};
pub use redeem::Redeemed;

/// Adds somebody without an account to the organization, as a guest or a vendor: a person like any other to give access
/// to, whose address leads nowhere and whom no password lets in. To be written down by [`write_down_newcomer`].
pub(super) fn add_guest(
    conn: &mut Conn,
    organization: &OrganizationId,
    (id, name): (PersonId, PersonName),
    role: pass::Role,
    now: Timestamp,
) -> Result<PersonId, Error> {
    let person = Person {
        email: Email::of_nobody(&id, "guest"),
        id,
        name,
    };
    accounts::add_person(conn, &person, accounts::NO_PASSWORD, now)?;
    accounts::set_membership(conn, organization, &person.id, membership_of(role), now)?;
    Ok(person.id)
}

/// What somebody is who comes without an account.
const fn membership_of(role: pass::Role) -> Role {
    match role {
        pass::Role::Vendor => Role::Vendor,
        pass::Role::Guest | pass::Role::Tenant => Role::Guest,
    }
}

/// Writes down that the holder of the grant, which stands in the books, came without an account: whoever sees what becomes of
/// the grant sees this too, and nobody else.
pub(super) fn write_down_newcomer(conn: &mut Conn, who: &Actor, grant: &Grant, now: Timestamp) -> Result<(), Error> {
    let entry = NewEntry {
        person: grant.person().cloned(),
        actor: Some(who.person.clone()),
        grant: Some(grant.id.clone()),
        detail: Some(serde_json::json!({ "role": membership_of(grant.terms.role) })),
        ..NewEntry::new(Kind::PersonJoined, now)
    };
    let entry = entry.within_property_of(&locks::with_ids(conn, &grant.terms.locks)?);
    access_log::append(conn, &grant.organization, &who.signed(entry), now)?;
    Ok(())
}
