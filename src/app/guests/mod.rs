//! Guests without an account: persons that nobody signs in as, and the links by which they come in.

mod links;
mod redeem;

use super::{Actor, Error};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts};

pub use links::{HandedOut, LinkMade, StandingLink};
pub(super) use links::{make_link, standing_link, stay_of, void_link};
pub use redeem::Redeemed;

/// Adds somebody without an account to the organization, as a guest or a vendor: a person like any other to give access
/// to, whose address leads nowhere and whom no password lets in.
pub(super) fn add_guest(
    conn: &mut Conn,
    organization: &OrganizationId,
    (id, name): (PersonId, PersonName),
    role: Role,
    who: &Actor,
    now: Timestamp,
) -> Result<PersonId, Error> {
    let person = Person {
        email: Email::of_nobody(&id, "guest"),
        id,
        name,
    };
    accounts::add_person(conn, &person, accounts::NO_PASSWORD, now)?;
    accounts::set_membership(conn, organization, &person.id, role, now)?;
    let entry = NewEntry {
        person: Some(person.id.clone()),
        actor: Some(who.person.clone()),
        detail: Some(serde_json::json!({ "role": role })),
        ..NewEntry::new(Kind::PersonJoined, now)
    };
    access_log::append(conn, organization, &who.signed(entry), now)?;
    Ok(person.id)
}
