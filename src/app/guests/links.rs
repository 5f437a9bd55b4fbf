//! Making links, and taking them back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::app::grants::{to_change, to_take_back};
use crate::app::phones::take_out;
use crate::app::pins::uses_left;
use crate::app::revocations::Revocation;
use crate::app::{Actor, App, Error, What, letters};
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Scope};
use crate::domain::grant::{Grant, GrantState, Holder};
use crate::domain::guest::message::{Door, Place, Stay};
use crate::domain::guest::{GuestLink, LINK_PATH, NewLink};
use crate::domain::ids::{GrantId, LinkId, PersonId, PhoneId};
use crate::domain::letter::Letter;
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, grants, guest_links, locks, places, sessions};

/// A link that was made, with the secret that nobody is shown a second time.
pub struct LinkMade {
    /// The link.
    pub link: GuestLink,
    secret: Secret,
}

impl LinkMade {
    /// The link's address at this page.
    fn url(&self, page: &str) -> String {
        format!("{page}#{}", self.secret.expose())
    }
}

impl fmt::Debug for LinkMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkMade")
            .field("link", &self.link.id)
            .finish_non_exhaustive()
    }
}

/// A link with all that its guest is to be told.
#[derive(Debug)]
pub struct HandedOut {
    /// The link.
    pub made: LinkMade,
    /// What it is for.
    pub stay: Stay,
    /// Whether it goes to the guest by letter.
    pub by_letter: bool,
}

/// A link that stands, as whoever looks at its grant sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingLink {
    /// The link.
    pub link: GuestLink,
    /// The phones that have redeemed it, and when.
    pub redeemed: Vec<(PhoneId, Timestamp)>,
}

/// Makes a link for the grant; one that stood is void from now on, and with it the sessions that began by it. The
/// grant's holder has to be known.
///
/// # Errors
/// [`Error::Conflict`] `grant-over`, `invitation-waits`; [`Error::Invalid`] where the terms do not hold together.
pub(in crate::app) fn make_link(
    conn: &mut Conn,
    random: &dyn Random,
    grant: &Grant,
    new: NewLink,
    who: &Actor,
    now: Timestamp,
) -> Result<LinkMade, Error> {
    let Holder::Person(holder) = &grant.holder else {
        return Err(Error::Conflict {
            word: "invitation-waits",
            why: "nobody holds this grant yet; its invitation is the link to hand out",
        });
    };
    let is_over = grant.state != GrantState::Active || grant.terms.ends_at.is_some_and(|end| end <= now);
    // The right before the link, as everybody takes them: so two links at once follow each other.
    if is_over || !grants::keep(conn, &grant.id)? {
        return Err(Error::Conflict {
            word: "grant-over",
            why: "this grant has ended or was taken back",
        });
    }
    let terms = new
        .check(&grant.terms, now)
        .map_err(|bad| Error::invalid(bad.field(), bad))?;
    let replaced = void_link(conn, &grant.id, now)?;
    let made = LinkMade {
        link: GuestLink {
            id: LinkId::from_bits(random.id_bits(now)),
            organization: grant.organization.clone(),
            grant: grant.id.clone(),
            made_by: who.person.clone(),
            terms,
        },
        secret: random.secret(),
    };
    guest_links::add(conn, &made.link, &made.secret.digest(), now)?;
    let entry = NewEntry {
        person: Some(holder.clone()),
        actor: Some(who.person.clone()),
        detail: Some(serde_json::json!({
            "link_id": made.link.id,
            "replaces": replaced.map(|link| link.id),
            "uses": terms.phones,
            "starts_at": terms.starts_at,
            "ends_at": terms.ends_at,
        })),
        ..NewEntry::new(Kind::LinkMade, now)
    };
    write_down(conn, grant, who.signed(entry), now)?;
    Ok(made)
}

/// Makes the grant's link void and ends the sessions that began by it. The phones that came by it are for
/// [`App::remove_phones_of`], after the commit: they are held before rights and links.
pub(in crate::app) fn void_link(conn: &mut Conn, grant: &GrantId, now: Timestamp) -> Result<Option<GuestLink>, Error> {
    let voided = guest_links::void(conn, grant, now)?;
    if let Some(link) = &voided {
        sessions::end_of_link(conn, &link.id, None, "link-void", now)?;
    }
    Ok(voided)
}

impl App {
    /// The page at which links lead in.
    fn link_page(&self) -> String {
        format!("{}{LINK_PATH}", self.settings.public_url)
    }

    /// The link's address, to be shown once.
    pub(in crate::app) fn url_of(&self, made: &LinkMade) -> String {
        made.url(&self.link_page())
    }

    /// Makes a link for a grant, in the place of the one before; it goes to this address by letter too, where there are
    /// letters.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] `grant-over`, `invitation-waits`;
    /// [`Error::Invalid`] where the terms do not hold together.
    pub async fn make_link(
        &self,
        who: &Actor,
        id: GrantId,
        new: NewLink,
        to: Option<Email>,
    ) -> Result<(HandedOut, String), Error> {
        let (now, caller, grant) = (self.now(), who.clone(), id.clone());
        let (random, by) = (Arc::clone(&self.random), Arc::clone(&self.letters));
        let page = self.link_page();
        let handed_out = self
            .db
            .write(move |conn| {
                let grant = to_change(conn, &caller, &grant)?;
                let made = make_link(conn, &*random, &grant, new, &caller, now)?;
                let terms = &made.link.terms;
                let stay = stay_of(conn, &grant, terms.starts_at, Some(terms.ends_at))?;
                let by_letter = match &to {
                    Some(to) => {
                        let link = made.url(&page);
                        let message = stay.message(&link);
                        letters::queue(conn, &by, &*random, to, &Letter::GuestLink { message, link }, now)?
                    }
                    None => false,
                };
                Ok::<_, Error>(HandedOut { made, stay, by_letter })
            })
            .await?;
        self.remove_phones_of(&id).await?;
        let url = self.url_of(&handed_out.made);
        Ok((handed_out, url))
    }

    /// Takes a grant's link back: it lets nobody in, the sessions that began by it have ended, and the phones that came
    /// by it hold no pass that counts, wherever locks can be told. A second time there is nothing left to do.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn take_link_back(&self, who: &Actor, id: GrantId) -> Result<Revocation, Error> {
        let (now, who, grant) = (self.now(), who.clone(), id.clone());
        self.db
            .write(move |conn| {
                let grant = to_take_back(conn, &who, &grant)?;
                if let Some(link) = void_link(conn, &grant.id, now)? {
                    let entry = NewEntry {
                        person: holder_of(&grant),
                        actor: Some(who.person.clone()),
                        detail: Some(serde_json::json!({ "link_id": link.id })),
                        ..NewEntry::new(Kind::LinkTakenBack, now)
                    };
                    write_down(conn, &grant, who.signed(entry), now)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        let removed = self.remove_phones_of(&id).await?;
        self.make_effective(removed).await
    }

    /// Removes the phones that came by links of the grant which are void, each in a transaction of its own; gives their
    /// thumbprints. What a crash in between leaves, the next call finds.
    async fn remove_phones_of(&self, grant: &GrantId) -> Result<Vec<String>, Error> {
        let (now, id) = (self.now(), grant.clone());
        let left = self
            .db
            .read(move |conn| Ok::<_, Error>(guest_links::phones_left(conn, &id)?))
            .await?;
        let mut removed = Vec::with_capacity(left.len());
        for (phone, person) in left {
            let taken_out = self.db.write(move |conn| take_out(conn, &phone, &person, now)).await?;
            removed.extend(taken_out.map(|phone| phone.thumbprint));
        }
        Ok(removed)
    }
}

/// The link of the grant that stands, with who has redeemed it.
pub(in crate::app) fn standing_link(conn: &mut Conn, id: &GrantId) -> Result<Option<StandingLink>, Error> {
    let Some(link) = guest_links::find(conn, id)? else {
        return Ok(None);
    };
    let redeemed = guest_links::redeemed(conn, &link.id)?;
    Ok(Some(StandingLink { link, redeemed }))
}

/// Who holds the grant, once that is known.
fn holder_of(grant: &Grant) -> Option<PersonId> {
    match &grant.holder {
        Holder::Person(person) => Some(person.clone()),
        Holder::Invited(_) => None,
    }
}

/// Writes down what became of the grant's link; at its lock where it is one, else within their property.
pub(super) fn write_down(conn: &mut Conn, grant: &Grant, entry: NewEntry, now: Timestamp) -> Result<(), Error> {
    let entry = NewEntry {
        grant: Some(grant.id.clone()),
        ..entry
    };
    let entry = entry.about_all(&locks::with_ids(conn, &grant.terms.locks)?);
    access_log::append(conn, &grant.organization, &entry, now)?;
    Ok(())
}

/// What the guest is told: who, where, and from when to when.
pub(in crate::app) fn stay_of(
    conn: &mut Conn,
    grant: &Grant,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
) -> Result<Stay, Error> {
    let guest = match holder_of(grant) {
        Some(holder) => accounts::find_person(conn, &holder)?.map(|person| person.name),
        None => None,
    };
    let host = accounts::organization_name(conn, &grant.organization)?;
    let host = host.ok_or(Error::NotFound(What::Organization))?;
    let mut by_property = BTreeMap::new();
    for lock in locks::with_ids(conn, &grant.terms.locks)? {
        let door = Door {
            lock: lock.id,
            name: lock.name,
        };
        by_property.entry(lock.property).or_insert_with(Vec::new).push(door);
    }
    let scope = Scope::only(grant.organization.clone());
    let mut where_it_is = Vec::with_capacity(by_property.len());
    for (property, doors) in by_property {
        let property = places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
        where_it_is.push(Place {
            name: property.name,
            address: property.address,
            zone: property.time_zone,
            doors,
        });
    }
    Ok(Stay {
        guest,
        host,
        places: where_it_is,
        starts_at,
        ends_at,
        schedule: grant.terms.schedule.clone(),
        openings: uses_left(grant),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::guest::LinkTerms;
    use crate::domain::ids::OrganizationId;

    #[test]
    fn a_link_does_not_show_its_secret() {
        let secret = Secret::from_bytes(&[7; 32]);
        let made = LinkMade {
            link: GuestLink {
                id: LinkId::from_bits(1),
                organization: OrganizationId::from_bits(1),
                grant: GrantId::from_bits(1),
                made_by: PersonId::from_bits(1),
                terms: LinkTerms {
                    phones: 1,
                    starts_at: Timestamp::MIN,
                    ends_at: Timestamp::MAX,
                },
            },
            secret: secret.clone(),
        };
        assert!(!format!("{made:?}").contains(secret.expose()));
    }
}
