//! How a vendor proves to be the one who was ordered: a code is told at the telephone number on the order, and whoever wants to
//! be let in says it back to the desk.

use std::sync::Arc;

use super::{OVER, Step, agreed_until, agreement, company_of, doors_as_ordered, hold, refuse_over, write_down};
use crate::app::guests::{LinkMade, add_guest, make_link, write_down_newcomer};
use crate::app::{Actor, App, Error, must_have_phone_key, served_by};
use crate::crypto::digest::digest;
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::grant::{Grant, GrantState, Holder, Terms, Way};
use crate::domain::guest::NewLink;
use crate::domain::ids::{GrantId, PersonId, VisitId};
use crate::domain::notice;
use crate::domain::pass;
use crate::domain::time::Timestamp;
use crate::domain::visit::{Agreement, CODE_DIGITS, CODE_LIFE, CODE_TRIES, PhoneNumber, SpokenCode, Vendor, Visit};
use crate::store::{Conn, access_log, grants, visits};

/// A code to tell the vendor.
pub struct Called {
    /// Where they are called up.
    pub phone: PhoneNumber,
    /// What to tell them: [`CODE_DIGITS`] digits, shown this once.
    pub code: String,
    /// Until when it counts.
    pub ends_at: Timestamp,
}

/// A vendor who proved to be the one.
pub struct LetIn {
    /// By which grant they come.
    pub grant: GrantId,
    /// Their way in, shown this once.
    pub url: String,
    /// Until when it works at the latest, exclusive.
    pub ends_at: Timestamp,
}

/// What came of a code that was said back.
pub enum Verified {
    /// It is the one.
    LetIn(LetIn),
    /// It is not. The try is counted.
    Wrong,
}

const NO_CODE: Error = Error::Conflict {
    word: "no-code",
    why: "there is no code that counts; call the vendor at the number on the order",
};

impl App {
    /// Makes a code that is to be told at the telephone number on the order; the one before is void.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where the visit is over, or those who live there have not
    /// agreed.
    pub async fn call_vendor(&self, who: &Actor, id: VisitId) -> Result<Called, Error> {
        let (now, who) = (self.now(), who.clone());
        let ends_at = now + CODE_LIFE;
        let code = self.random.digits(CODE_DIGITS);
        let kept = digest_of(&id, &code);
        let phone = self
            .db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let visit = hold(conn, &id, &scope)?;
                must_have_phone_key(conn, &visit.organization, &who)?;
                refuse_without_consent(conn, &visit, now)?;
                visits::set_code(conn, &id, &kept, ends_at, CODE_TRIES)?;
                write_down_at_desk(conn, &who.person, &visit, Kind::VendorCalled, Outcome::Ok, now)?;
                Ok::<_, Error>(vendor_of(&visit)?.phone.clone())
            })
            .await?;
        Ok(Called { phone, code, ends_at })
    }

    /// Takes the code that whoever wants to be let in says. If it is the one, they get a link that opens the visit's doors within
    /// its window, and from the first opening on for the stay; a link from before is void.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where the visit is over, those who live there have not agreed,
    /// or no code counts.
    pub async fn verify_vendor(&self, who: &Actor, id: VisitId, said: SpokenCode) -> Result<Verified, Error> {
        let (now, who) = (self.now(), who.clone());
        let grant = GrantId::from_bits(self.id_bits(now));
        let vendor = PersonId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        let let_in: Option<LinkMade> = self
            .db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let mut visit = hold(conn, &id, &scope)?;
                must_have_phone_key(conn, &visit.organization, &who)?;
                refuse_without_consent(conn, &visit, now)?;
                // A wrong one commits: its try is taken, and it stands in the log.
                match visits::try_code(conn, &id, &digest_of(&id, said.as_str()), now)? {
                    None => return Err(NO_CODE),
                    Some(false) => {
                        let refused = Outcome::Refused;
                        write_down_at_desk(conn, &who.person, &visit, Kind::VendorLetIn, refused, now)?;
                        return Ok(None);
                    }
                    Some(true) => {}
                }
                let until = agreed_until(conn, &visit, now)?;
                let before = match &visit.let_in {
                    Some((_, given)) => grants::find(conn, given, &scope)?,
                    None => None,
                };
                let given = match before {
                    Some(given) if given.stands(now) && given.terms.ends_at == Some(until) => given,
                    // Who lives there has changed since, and with it until when they may come.
                    before => {
                        if let Some(given) = &before {
                            grants::revoke(conn, &given.id, &who.person, now)?;
                        }
                        let known = before.and_then(|given| given.person().cloned());
                        let is_known = known.is_some();
                        let vendor = match known {
                            Some(vendor) => vendor,
                            None => {
                                let vendor = (vendor, vendor_of(&visit)?.name.clone());
                                add_guest(conn, &visit.organization, vendor, pass::Role::Vendor, now)?
                            }
                        };
                        let given = grant_of(&visit, grant, vendor, until, (&who.person, now));
                        grants::add(conn, &given)?;
                        if !is_known {
                            write_down_newcomer(conn, &who, &given, now)?;
                        }
                        given
                    }
                };
                let link = make_link(conn, &*random, &given, NewLink::default(), &who, now)?;
                visits::let_in(conn, &id, &given.id, now)?;
                visit.let_in = Some((now, given.id));
                let step = Step {
                    kind: Kind::VendorLetIn,
                    news: notice::Kind::VendorLetIn,
                    actor: Some(who.person.clone()),
                    at: now,
                    reason: None,
                };
                write_down(conn, &*random, &visit, step, now)?;
                Ok(Some(link))
            })
            .await?;
        Ok(match let_in {
            Some(made) => Verified::LetIn(LetIn {
                url: self.url_of(&made),
                grant: made.link.grant,
                ends_at: made.link.terms.ends_at,
            }),
            None => Verified::Wrong,
        })
    }
}

/// Who comes: of a visit that is not over nobody forgets it.
fn vendor_of(visit: &Visit) -> Result<&Vendor, Error> {
    visit.vendor.as_ref().ok_or(OVER)
}

/// Nobody is called or let in before those agree who live there.
fn refuse_without_consent(conn: &mut Conn, visit: &Visit, now: Timestamp) -> Result<(), Error> {
    refuse_over(visit, now)?;
    doors_as_ordered(conn, visit)?;
    match agreement(conn, visit, now)? {
        Agreement::NotNeeded | Agreement::Given(_) | Agreement::Emergency => Ok(()),
        Agreement::Waiting => Err(Error::Conflict {
            word: "consent-missing",
            why: "nobody who lives there has agreed yet",
        }),
        Agreement::Declined(_) => Err(Error::Conflict {
            word: "consent-declined",
            why: "somebody who lives there is against it",
        }),
    }
}

/// SHA-256 of a code and the visit that it is for. Its few digits stand for minutes and a handful of tries.
fn digest_of(visit: &VisitId, code: &str) -> [u8; 32] {
    digest(format!("doorward-visit-code-v1 {visit} {code}").as_bytes())
}

/// What the vendor is given: the visit's doors within its window, by the app alone, because nothing else ends with a stay.
fn grant_of(
    visit: &Visit,
    id: GrantId,
    vendor: PersonId,
    until: Timestamp,
    (by, now): (&PersonId, Timestamp),
) -> Grant {
    Grant {
        id,
        organization: visit.organization.clone(),
        holder: Holder::Person(vendor),
        given_by: by.clone(),
        created_at: now,
        under: None,
        terms: Terms {
            locks: visit.locks.clone(),
            starts_at: visit.starts_at,
            ends_at: Some(until),
            schedule: None,
            uses: None,
            ways: vec![Way::App],
            role: pass::Role::Vendor,
            delegable: false,
            spare: None,
        },
        round: 0,
        released_until: None,
        state: GrantState::Active,
    }
}

/// Writes down what the desk did and nobody has to be told of.
fn write_down_at_desk(
    conn: &mut Conn,
    by: &PersonId,
    visit: &Visit,
    kind: Kind,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), Error> {
    let entry = NewEntry {
        outcome,
        reason: (outcome == Outcome::Refused).then(|| "wrong-code".to_owned()),
        property: Some(visit.property.clone()),
        unit: visit.unit.clone(),
        actor: Some(by.clone()),
        detail: Some(serde_json::json!({ "visit_id": visit.id, "company": company_of(visit) })),
        ..NewEntry::new(kind, now)
    };
    access_log::append(conn, &visit.organization, &entry, now)?;
    Ok(())
}
