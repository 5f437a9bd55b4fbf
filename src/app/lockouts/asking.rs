//! Outsiders: somebody who is locked out and not signed in.
//!
//! The answer to an ask is the same whoever is named and whether they exist, and so is its cost: the request writes one
//! row and answers. Who is meant is looked up after that, and only the letter to the address on file tells. An ask that
//! was throttled on the way, and a code that was guessed at, are told to the desk and to whoever is meant.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Opened, Opening, Shown, desk_of, open, shown};
use crate::app::letters::queue;
use crate::app::notices::tell;
use crate::app::{Actor, App, Error, What, must_have_phone_key, served_by};
use crate::crypto::digest::{digest, hexadecimal};
use crate::crypto::identity_code::IdentityCode;
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Email;
use crate::domain::ids::{LockoutId, OrganizationId, PersonId, UnitId};
use crate::domain::letter::Letter;
use crate::domain::lock::Lock;
use crate::domain::lockout::{CODE_LIFE, CODE_TRIES, FOLLOW_LIFE, Identity};
use crate::domain::notice::{self, News};
use crate::domain::place::PlaceName;
use crate::domain::signin::{self, FREE_FAILURES, Failures, Verdict};
use crate::domain::time::Timestamp;
use crate::store::lockout_asks::{self, Ask, Named, Resident};
use crate::store::{Conn, access_log, accounts, locks, sessions};

/// Whom an outsider says that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outsider {
    /// Whoever has this address.
    Email(Email),
    /// Whoever of this name lives in this unit.
    Resident {
        /// The property, by its name or its identifier.
        property: PlaceName,
        /// The unit, by its name.
        unit: PlaceName,
        /// Their own name.
        name: String,
    },
}

/// What an outsider knows of their tenancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Their name, for who named an address.
    pub name: Option<String>,
    /// The unit, for who named an address.
    pub unit: Option<PlaceName>,
    /// The year and the month in which they moved in, such as `2026-03`, for who named a unit.
    pub moved_in: Option<String>,
    /// The door by its name; `None` for the unit's own.
    pub door: Option<PlaceName>,
}

/// An outsider who has shown who they are.
#[derive(Debug)]
pub struct Identified {
    /// Their lock-out.
    pub shown: Shown,
    /// What they follow it by, shown once.
    pub follow: Secret,
    /// Until when.
    pub follow_ends_at: Timestamp,
}

/// An ask as it was taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub id: LockoutId,
    /// Until when its code can be told.
    pub ends_at: Timestamp,
    /// Whether this installation sends letters at all; where not, the desk calls.
    pub by_letter: bool,
}

impl App {
    /// Takes down that somebody says that they are locked out. A code goes to the address on file, if there is one.
    ///
    /// # Errors
    /// [`Error::Throttled`] after too many asks for one address or unit, or from one network.
    pub async fn ask_as_outsider(self: &Arc<Self>, outsider: Outsider, from: IpAddr) -> Result<Taken, Error> {
        let now = self.now();
        let id = LockoutId::from_bits(self.id_bits(now));
        let code = IdentityCode::from_bits(self.random.bits());
        let subject = subject_of(&outsider);
        let ask = Ask {
            id: id.clone(),
            code_digest: code.digest(id.as_str()),
            by_email: matches!(outsider, Outsider::Email(_)),
            tries: 0,
            asked_at: now,
            ends_at: now + CODE_LIFE,
            person: None,
            unit: None,
            subject: hexadecimal(&subject),
            lockout: None,
        };
        let ends_at = ask.ends_at;
        let asks = self
            .db
            .write(move |conn| {
                let asks = book(conn, &subject, from, now)?;
                lockout_asks::add(conn, &ask)?;
                Ok::<_, Error>(asks)
            })
            .await?;
        let (app, of) = (Arc::clone(self), id.clone());
        // After the answer: how long it takes must not tell whether anybody is meant.
        tokio::spawn(async move {
            if let Err(error) = app.look_up_outsider(of, outsider, code, asks, now).await {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(error = cause, "an ask of somebody who is locked out was not looked up");
            }
        });
        Ok(Taken {
            id,
            ends_at,
            by_letter: self.letters.are_on(),
        })
    }

    /// Finds out who is meant, and sends them the code.
    async fn look_up_outsider(
        &self,
        id: LockoutId,
        outsider: Outsider,
        code: IdentityCode,
        asks: u32,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (random, by) = (Arc::clone(&self.random), Arc::clone(&self.letters));
        self.db
            .write(move |conn| {
                let Some(meant) = meant_by(conn, &outsider, now)? else {
                    return Ok(());
                };
                let unit = match &outsider {
                    Outsider::Email(_) => None,
                    Outsider::Resident { .. } => Some(&meant.unit),
                };
                lockout_asks::set_person(conn, &id, &meant.person, unit)?;
                let organization = accounts::organization_name(conn, &meant.organization)?;
                let organization = organization.ok_or(Error::NotFound(What::Organization))?;
                let letter = Letter::IdentityCode {
                    organization,
                    code: code.expose().to_string(),
                    minutes: u32::try_from(CODE_LIFE.as_secs() / 60).unwrap_or(u32::MAX),
                };
                if !queue(conn, &by, &*random, &meant.email, &letter, now)? {
                    // The desk calls the number on file instead.
                    let desk = desk_of(conn, &meant.organization)?;
                    let desk = desk.into_iter().filter(|person| *person != meant.person);
                    let news = of_ask(notice::Kind::LockoutCallWanted, &meant, &id);
                    tell(conn, &*random, desk, &news, now)?;
                }
                if asks > FREE_FAILURES {
                    note_abuse(conn, &*random, &meant, &id, "asked-too-often", now)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// A new code for an ask, to be told to whoever answers the telephone number on file. The one before is void.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] of an ask that means nobody of the caller's organizations;
    /// [`Error::Conflict`] where who asked has shown who they are.
    pub async fn call_outsider(&self, who: &Actor, id: LockoutId) -> Result<(IdentityCode, Timestamp), Error> {
        let (now, who) = (self.now(), who.clone());
        let code = IdentityCode::from_bits(self.random.bits());
        let digest = code.digest(id.as_str());
        let ends_at = now + CODE_LIFE;
        self.db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let missing = || Error::NotFound(What::Lockout);
                let ask = lockout_asks::find(conn, &id)?.ok_or_else(missing)?;
                let person = ask.person.ok_or_else(missing)?;
                let meant = lockout_asks::residents(conn, Named::Person(&person), now)?;
                let meant = meant
                    .into_iter()
                    .find(|resident| scope.contains(&resident.organization));
                let meant = meant.ok_or_else(missing)?;
                must_have_phone_key(conn, &meant.organization, &who)?;
                if person == who.person {
                    return Err(Error::Conflict {
                        word: "own-lockout",
                        why: "nobody tells a code to themself",
                    });
                }
                if ask.lockout.is_some() {
                    return Err(Error::Conflict {
                        word: "lockout-identified",
                        why: "whoever asked has shown who they are",
                    });
                }
                lockout_asks::set_code(conn, &id, &digest, ends_at)?;
                let entry = NewEntry {
                    property: Some(meant.property),
                    unit: Some(meant.unit),
                    person: Some(person),
                    actor: Some(who.person.clone()),
                    detail: Some(serde_json::json!({ "lockout_id": id })),
                    ..NewEntry::new(Kind::LockoutCodeTold, now)
                };
                access_log::append(conn, &meant.organization, &entry, now)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok((code, ends_at))
    }

    /// Shows who somebody is, by the code and by what they know; then there is a lock-out, and a secret to follow it.
    ///
    /// # Errors
    /// [`Error::WrongCode`] for anything that does not fit, an unknown ask and a door that is not theirs among it;
    /// [`Error::Throttled`].
    pub async fn identify_outsider(
        &self,
        id: LockoutId,
        code: IdentityCode,
        answers: Answers,
        from: IpAddr,
    ) -> Result<Identified, Error> {
        let now = self.now();
        let follow = self.random.secret();
        let follow_digest = follow.digest();
        let follow_ends_at = now + FOLLOW_LIFE;
        let random = Arc::clone(&self.random);
        let shown = self
            .db
            .write(move |conn| {
                // What must commit although the answer is no: the try, and its trace.
                let address = address_of(from);
                let before = failures(conn, &address)?;
                if let Verdict::Wait { until } = signin::verdict(Failures::NONE, before, now) {
                    return Err(Error::Throttled {
                        retry_after: until.since(now),
                    });
                }
                let ask = lockout_asks::take_try(conn, &id)?;
                let known = match ask {
                    Some(ask) => known_by(conn, ask, &code, &answers, now)?,
                    None => Known::Nobody,
                };
                let (ask, resident, lock) = match known {
                    Known::Is(ask, resident, lock) => (ask, *resident, *lock),
                    Known::Nobody => return wrong(conn, &address, before, now),
                    Known::Wrong(ask, resident) => {
                        if ask.tries == CODE_TRIES {
                            note_abuse(conn, &*random, &resident, &id, "code-guessed-at", now)?;
                        }
                        return wrong(conn, &address, before, now);
                    }
                };
                let opening = Opening {
                    id: id.clone(),
                    lock,
                    person: resident.person.clone(),
                    identity: Identity::Code,
                };
                let lockout = match open(conn, &*random, opening, now)? {
                    Opened::New(lockout) | Opened::Joined(lockout) => lockout,
                    Opened::Refused => return wrong(conn, &address, before, now),
                };
                lockout_asks::set_lockout(conn, &id, &lockout.id, &follow_digest, follow_ends_at)?;
                sessions::clear_failures_of(conn, &ask.subject)?;
                Ok(Some(shown(conn, lockout, false)?))
            })
            .await?;
        Ok(Identified {
            shown: shown.ok_or(Error::WrongCode)?,
            follow,
            follow_ends_at,
        })
    }
}

/// Who answers, as far as the answers show.
enum Known {
    /// Nobody can be, whatever the answers are.
    Nobody,
    /// Somebody is meant, and the answers are not theirs.
    Wrong(Ask, Box<Resident>),
    /// They are this resident, at this door.
    Is(Ask, Box<Resident>, Box<Lock>),
}

fn known_by(conn: &mut Conn, ask: Ask, code: &IdentityCode, answers: &Answers, now: Timestamp) -> Result<Known, Error> {
    let Some(person) = ask.person.clone() else {
        return Ok(Known::Nobody);
    };
    let homes = lockout_asks::residents(conn, Named::Person(&person), now)?;
    let Some(any) = homes.first().cloned() else {
        return Ok(Known::Nobody);
    };
    let is_over = ask.ends_at <= now || ask.lockout.is_some() || ask.tries > CODE_TRIES;
    if is_over || !code.is_kept_as(ask.id.as_str(), &ask.code_digest) {
        return Ok(Known::Wrong(ask, Box::new(any)));
    }
    for home in homes {
        if !fits(&ask, &home, answers) {
            continue;
        }
        if let Some(lock) = door_of(conn, &home.unit, &home.organization, answers.door.as_ref())? {
            return Ok(Known::Is(ask, Box::new(home), Box::new(lock)));
        }
    }
    Ok(Known::Wrong(ask, Box::new(any)))
}

/// Whether the answers are those of whoever lives in this home.
fn fits(ask: &Ask, home: &Resident, answers: &Answers) -> bool {
    if ask.by_email {
        let name = answers
            .name
            .as_deref()
            .is_some_and(|name| alike(name, home.name.as_str()));
        let unit = (answers.unit.as_ref()).is_some_and(|unit| alike(unit.as_str(), home.unit_name.as_str()));
        name && unit
    } else {
        let began = home.time_zone.rules().to_datetime(home.starts_at.to_jiff()).date();
        let month = format!("{:04}-{:02}", began.year(), began.month());
        ask.unit.as_ref() == Some(&home.unit) && answers.moved_in.as_deref() == Some(month.as_str())
    }
}

/// Whether two names are one, as people write them.
fn alike(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
}

/// The door of the unit that is meant: of that name, or the unit's own, or else a shared one of its property.
fn door_of(
    conn: &mut Conn,
    unit: &UnitId,
    organization: &OrganizationId,
    name: Option<&PlaceName>,
) -> Result<Option<Lock>, Error> {
    let mut doors = locks::of_home(conn, unit)?;
    doors.retain(|lock| lock.organization == *organization);
    doors.sort_by_key(|lock| (lock.unit.is_none(), lock.id.clone()));
    let is_meant = |lock: &Lock| name.is_none_or(|name| alike(name.as_str(), lock.name.as_str()));
    Ok(doors.into_iter().find(is_meant))
}

/// The one who is meant; nobody where several are.
fn meant_by(conn: &mut Conn, outsider: &Outsider, now: Timestamp) -> Result<Option<Resident>, Error> {
    let found = match outsider {
        Outsider::Email(email) => lockout_asks::residents(conn, Named::Email(email), now)?,
        Outsider::Resident { property, unit, name } => {
            let mut found = lockout_asks::residents(conn, Named::Property(property), now)?;
            found.retain(|home| alike(unit.as_str(), home.unit_name.as_str()) && alike(name, home.name.as_str()));
            found
        }
    };
    let mut found = found.into_iter();
    let first = found.next();
    let is_one = |first: &Resident| found.all(|other| other.person == first.person);
    Ok(first.filter(is_one))
}

/// What asks for the same are counted under, whether or not anybody is meant.
fn subject_of(outsider: &Outsider) -> [u8; 32] {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let named = match outsider {
        Outsider::Email(email) => format!("lock-out of {}", email.as_str()),
        Outsider::Resident { property, unit, .. } => {
            format!("lock-out at {}\n{}", plain(property.as_str()), plain(unit.as_str()))
        }
    };
    digest(named.as_bytes())
}

/// What asks and wrong codes from one network are counted under.
fn address_of(from: IpAddr) -> [u8; 32] {
    let network = match from {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{:x?}", &v6.segments()[..4]),
    };
    digest(format!("lock-out from {network}").as_bytes())
}

fn failures(conn: &mut Conn, subject: &[u8; 32]) -> Result<Failures, Error> {
    let (count, last_at) = sessions::hold_failures(conn, subject, Failures::NONE.last_at)?;
    Ok(Failures { count, last_at })
}

/// Books one ask for the subject and the network; says how many it were for the subject.
fn book(conn: &mut Conn, subject: &[u8; 32], from: IpAddr, now: Timestamp) -> Result<u32, Error> {
    let address = address_of(from);
    let (of_subject, of_address) = (failures(conn, subject)?, failures(conn, &address)?);
    if let Verdict::Wait { until } = signin::verdict(of_subject, of_address, now) {
        return Err(Error::Throttled {
            retry_after: until.since(now),
        });
    }
    let asks = of_subject.after_failure_of_account(now);
    sessions::set_failures(conn, subject, asks.count, asks.last_at)?;
    let all = of_address.after_failure_of_address(now);
    sessions::set_failures(conn, &address, all.count, all.last_at)?;
    Ok(asks.count)
}

/// Books a wrong answer of the network. `None`, which commits.
fn wrong(conn: &mut Conn, address: &[u8; 32], before: Failures, now: Timestamp) -> Result<Option<Shown>, Error> {
    let after = before.after_failure_of_address(now);
    sessions::set_failures(conn, address, after.count, after.last_at)?;
    Ok(None)
}

fn of_ask(kind: notice::Kind, meant: &Resident, id: &LockoutId) -> News {
    News {
        unit: Some(meant.unit.clone()),
        detail: Some(serde_json::json!({ "lockout_id": id, "person_id": meant.person })),
        ..News::new(kind, meant.organization.clone())
    }
}

/// Writes down that somebody tries to pass for the resident, and tells them and the desk.
fn note_abuse(
    conn: &mut Conn,
    random: &dyn Random,
    meant: &Resident,
    id: &LockoutId,
    reason: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let entry = NewEntry {
        outcome: Outcome::Refused,
        reason: Some(reason.to_owned()),
        property: Some(meant.property.clone()),
        unit: Some(meant.unit.clone()),
        person: Some(meant.person.clone()),
        detail: Some(serde_json::json!({ "lockout_id": id })),
        ..NewEntry::new(Kind::LockoutRefused, now)
    };
    access_log::append(conn, &meant.organization, &entry, now)?;
    let mut told: Vec<PersonId> = desk_of(conn, &meant.organization)?;
    told.push(meant.person.clone());
    let mut news = of_ask(notice::Kind::LockoutRefused, meant, id);
    if let Some(detail) = &mut news.detail {
        detail["reason"] = reason.into();
    }
    tell(conn, random, told, &news, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_people_write_them() {
        for (one, other, are_alike) in [
            ("Tom Turner", "tom  turner", true),
            (" TOM TURNER ", "Tom Turner", true),
            ("Jürgen", "JÜRGEN", true),
            ("Tom", "Tom Turner", false),
            ("", "Tom", false),
        ] {
            assert_eq!(alike(one, other), are_alike, "{one:?} {other:?}");
        }
    }

    #[test]
    fn asks_for_one_unit_count_together_whoever_is_named() {
        let of = |unit: &str, name: &str| {
            subject_of(&Outsider::Resident {
                property: "Linden Street 4".to_owned().try_into().unwrap(),
                unit: unit.to_owned().try_into().unwrap(),
                name: name.to_owned(),
            })
        };
        assert_eq!(of("Flat 1", "Tom"), of("flat  1", "Eve"));
        assert_ne!(of("Flat 1", "Tom"), of("Flat 2", "Tom"));
    }
}
