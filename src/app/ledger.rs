//! The ledger: booking what lock-outs cost, waiving it, and handing it to the accounts.

use std::sync::Arc;

use super::in_turn::each_in_turn;
use super::notices::tell;
use super::{Actor, App, Error, What, managed_by, served_by};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Role, Scope};
use crate::domain::ids::{LedgerLineId, LockoutId, OrganizationId, PersonId};
use crate::domain::lockout::charge::{Account, Use, differences};
use crate::domain::lockout::ledger::{Item, Line};
use crate::domain::lockout::{Lockout, State, Why};
use crate::domain::money::Money;
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, ledger, lockouts, places};

/// How many lock-outs are booked in one round.
const BOOKED_A_ROUND: i64 = 100;

/// How many lines one export has at most: it is signed whole.
pub const MOST_EXPORTED: u16 = 10_000;

/// Lines to be handed over, of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// By their numbers.
    pub lines: Vec<Line>,
}

impl App {
    /// The ledger, the newest lines first: of the organizations at whose desk the caller sits, and what they owe themself
    /// anywhere.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn ledger(
        &self,
        who: &Actor,
        page: PageRequest<LedgerLineId>,
    ) -> Result<Page<Line, LedgerLineId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = Scope::of(&accounts::memberships(conn, &who.person)?, Role::serves_desk);
                let found = ledger::list(
                    conn,
                    (&scope, &who.person),
                    page.after.as_ref(),
                    i64::from(page.limit) + 1,
                )?;
                Ok(Page::cut(found, page.limit, |line| line.id.clone()))
            })
            .await
    }

    /// Lets a line go: another one takes it back, for a reason that stays.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] of one's own line, a waiver, and what is waived
    /// already.
    pub async fn waive(&self, who: &Actor, id: LedgerLineId, why: Why) -> Result<Line, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let line = ledger::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::LedgerLine))?;
                if line.person == who.person {
                    return Err(Error::Conflict {
                        word: "own-line",
                        why: "nobody waives what they owe themself",
                    });
                }
                if matches!(line.item, Item::Waiver { .. }) {
                    return Err(Error::Conflict {
                        word: "line-is-waiver",
                        why: "a waiver is not waived; what is owed after all is a matter of the accounts",
                    });
                }
                let entry = NewEntry {
                    property: Some(line.property.clone()),
                    unit: Some(line.unit.clone()),
                    person: Some(line.person.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(serde_json::json!({ "line_id": line.id, "why": why })),
                    ..NewEntry::new(Kind::ChargeWaived, now)
                };
                access_log::append(conn, &line.organization, &entry, now)?;
                // The log's end is held: nobody waives it in between.
                if ledger::is_waived(conn, &line.id)? {
                    return Err(Error::Conflict {
                        word: "line-waived",
                        why: "the line is waived already",
                    });
                }
                let waiver = Line {
                    id: LedgerLineId::from_bits(random.id_bits(now)),
                    seq: 0,
                    booked_at: now,
                    item: Item::Waiver {
                        of: line.id.clone(),
                        why,
                    },
                    actor: Some(who.person.clone()),
                    amount: Money {
                        minor: -line.amount.minor,
                        ..line.amount
                    },
                    ..line
                };
                let seq = ledger::append(conn, &waiver)?;
                tell_debtor(conn, &*random, &waiver, now)?;
                Ok(Line { seq, ..waiver })
            })
            .await
    }

    /// The lines of one organization that were booked within the times, to be signed and handed over; that they were is
    /// written down.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] of the organization; [`Error::Invalid`] where none is named and the caller
    /// sits at several desks, and where there are more lines than [`MOST_EXPORTED`].
    pub async fn export_ledger(
        &self,
        who: &Actor,
        organization: Option<OrganizationId>,
        times: (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<Exported, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let organization = match organization {
                    Some(named) if scope.contains(&named) => named,
                    Some(_) => return Err(Error::NotFound(What::Organization)),
                    None => scope.single().cloned().ok_or(Error::invalid(
                        "organization_id",
                        "you sit at several desks; name an organization",
                    ))?,
                };
                let limit = i64::from(MOST_EXPORTED) + 1;
                let lines = ledger::of_organization(conn, &organization, times, 0, limit)?;
                if lines.len() > usize::from(MOST_EXPORTED) {
                    return Err(Error::Conflict {
                        word: "export-too-large",
                        why: "an export is signed whole and has 10,000 lines at most; ask for a shorter time by `from` and `to`",
                    });
                }
                let entry = NewEntry {
                    person: Some(who.person.clone()),
                    detail: Some(serde_json::json!({ "lines": lines.len() })),
                    ..NewEntry::new(Kind::LedgerExported, now)
                };
                access_log::append(conn, &organization, &entry, now)?;
                Ok(Exported { lines })
            })
            .await
    }

    /// Signs an export, byte for byte; the keys to verify it by are in `/.well-known/jwks.json`.
    ///
    /// # Errors
    /// [`Error::Internal`] where there is no key.
    pub fn sign_ledger(&self, file: &[u8]) -> Result<String, Error> {
        let held = self.keys.ring().version();
        Ok(self.keys.signer(held, self.now()).sign_ledger(file)?)
    }

    /// Books what was used and the ledger does not know yet; says how many there were.
    ///
    /// # Errors
    /// Those of the database; one that fails keeps no other from being booked.
    pub async fn book_lockouts(&self) -> Result<usize, Error> {
        let now = self.now();
        let used = self
            .db
            .read(|conn| Ok::<_, Error>(lockouts::to_book(conn, BOOKED_A_ROUND)?))
            .await?;
        let count = used.len();
        let (_, outcome) = each_in_turn(used, |id| {
            let random = Arc::clone(&self.random);
            self.db.write(move |conn| book(conn, &*random, &id, now))
        })
        .await;
        outcome.map(|()| count)
    }
}

/// Books the lock-out, and corrects what others of the person cost that were booked before it was known.
fn book(conn: &mut Conn, random: &dyn Random, id: &LockoutId, now: Timestamp) -> Result<(), Error> {
    let Some(lockout) = lockouts::find_any(conn, id)? else {
        return Ok(());
    };
    // One at a time of a person's, whoever has left since: what each costs hangs on the others.
    accounts::hold_row(conn, &lockout.organization, &lockout.person)?;
    if !lockouts::mark_booked(conn, id)? {
        return Ok(());
    }
    let scope = Scope::only(lockout.organization.clone());
    let property = places::find_property(conn, &lockout.property, &scope)?;
    let zone = property.ok_or(Error::NotFound(What::Property))?.time_zone;
    let used = lockouts::used_by(conn, &lockout.person, &lockout.property)?;
    let mut accounts = Vec::with_capacity(used.len());
    for other in &used {
        accounts.push(Account {
            used: Use {
                lockout: other.id.clone(),
                asked_at: other.asked_at,
                lease_starts_at: other.lease_starts_at,
            },
            policy: other.policy.clone(),
            booked: ledger::booked(conn, &other.id)?,
        });
    }
    for difference in differences(&accounts, &zone) {
        // One that is not booked has its own turn.
        if !difference.is_correction && difference.lockout != *id {
            continue;
        }
        let Some(of) = used.iter().find(|other| other.id == difference.lockout) else {
            continue;
        };
        let rate = difference.charge.rate.as_str().to_owned();
        let item = match difference.is_correction {
            true => Item::Correction { rate },
            false => Item::Lockout { rate },
        };
        let actor = match &of.state {
            State::Approved { by, .. } => by.clone(),
            _ => None,
        };
        charge(conn, random, of, item, difference.amount, actor, now)?;
    }
    Ok(())
}

/// Books the fee of a mechanical key that was handed out for good.
pub(super) fn book_key(
    conn: &mut Conn,
    random: &dyn Random,
    lockout: &Lockout,
    by: Option<&PersonId>,
    now: Timestamp,
) -> Result<(), Error> {
    let amount = Money {
        minor: lockout.policy.replacement_key_fee(),
        currency: lockout.policy.currency(),
    };
    charge(conn, random, lockout, Item::ReplacementKey, amount, by.cloned(), now)
}

/// Writes the line, and before it the entry of the log that keeps lines in order.
fn charge(
    conn: &mut Conn,
    random: &dyn Random,
    lockout: &Lockout,
    item: Item,
    amount: Money,
    actor: Option<PersonId>,
    now: Timestamp,
) -> Result<(), Error> {
    let line = Line {
        id: LedgerLineId::from_bits(random.id_bits(now)),
        organization: lockout.organization.clone(),
        seq: 0,
        booked_at: now,
        item,
        lockout: lockout.id.clone(),
        property: lockout.property.clone(),
        unit: lockout.unit.clone(),
        person: lockout.person.clone(),
        actor,
        amount,
    };
    let entry = NewEntry {
        property: Some(line.property.clone()),
        unit: Some(line.unit.clone()),
        person: Some(line.person.clone()),
        actor: line.actor.clone(),
        detail: Some(serde_json::json!({
            "line_id": line.id,
            "lockout_id": line.lockout,
            "item": line.item.word(),
        })),
        ..NewEntry::new(Kind::LockoutCharged, now)
    };
    access_log::append(conn, &line.organization, &entry, now)?;
    ledger::append(conn, &line)?;
    tell_debtor(conn, random, &line, now)
}

/// Tells whoever owes it of the line.
fn tell_debtor(conn: &mut Conn, random: &dyn Random, line: &Line, now: Timestamp) -> Result<(), Error> {
    let news = News {
        unit: Some(line.unit.clone()),
        actor: line.actor.clone(),
        detail: Some(serde_json::json!({
            "line_id": line.id,
            "lockout_id": line.lockout,
            "item": line.item.word(),
            "amount": line.amount.to_string(),
            "currency": line.amount.currency,
        })),
        ..News::new(notice::Kind::LedgerLine, line.organization.clone())
    };
    tell(conn, random, [line.person.clone()], &news, now)
}
