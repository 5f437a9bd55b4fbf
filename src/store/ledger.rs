//! The ledger: lines numbered per organization without gaps, never changed.

use diesel::prelude::*;

use super::columns::{parsed, parsed_option, text};
use super::schema::ledger_lines;
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{LedgerLineId, LockoutId, OrganizationId, PersonId};
use crate::domain::lockout::ledger::{Item, Line};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = ledger_lines)]
struct Row {
    id: String,
    organization_id: String,
    seq: i64,
    booked_at_ms: i64,
    item: String,
    lockout_id: String,
    property_id: String,
    unit_id: String,
    person_id: String,
    actor_id: Option<String>,
    amount_minor: i64,
    currency: String,
    rate: Option<String>,
    waives: Option<String>,
    reason: Option<String>,
}

impl Row {
    fn into_domain(self) -> Result<Line, StoreError> {
        let item = match (self.item.as_str(), self.rate, self.waives, self.reason) {
            ("lockout", Some(rate), None, None) => Item::Lockout { rate },
            ("correction", Some(rate), None, None) => Item::Correction { rate },
            ("replacement-key", None, None, None) => Item::ReplacementKey,
            ("waiver", None, Some(of), Some(why)) => Item::Waiver {
                of: parsed(&of)?,
                why: text(why)?,
            },
            _ => return Err(StoreError::corrupt("a ledger line does not go with its item")),
        };
        Ok(Line {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            seq: self.seq,
            booked_at: Timestamp::from_millis(self.booked_at_ms),
            item,
            lockout: parsed(&self.lockout_id)?,
            property: parsed(&self.property_id)?,
            unit: parsed(&self.unit_id)?,
            person: parsed(&self.person_id)?,
            actor: parsed_option(self.actor_id.as_deref())?,
            amount: Money {
                minor: self.amount_minor,
                currency: parsed(&self.currency)?,
            },
        })
    }
}

/// Adds the line at the end of its organization's ledger, under the number that comes next, and gives that. The caller
/// has written into the organization's access log in this transaction: its head keeps writers in line here too.
///
/// # Errors
/// [`StoreError::Conflict`] where it waives a line that is waived.
pub fn append(conn: &mut Conn, line: &Line) -> Result<i64, StoreError> {
    let last: Option<i64> = ledger_lines::table
        .filter(ledger_lines::organization_id.eq(line.organization.as_str()))
        .select(diesel::dsl::max(ledger_lines::seq))
        .first(conn)?;
    let seq = last.unwrap_or(0) + 1;
    let (rate, waives, reason) = match &line.item {
        Item::Lockout { rate } | Item::Correction { rate } => (Some(rate.as_str()), None, None),
        Item::ReplacementKey => (None, None, None),
        Item::Waiver { of, why } => (None, Some(of.as_str()), Some(why.as_str())),
    };
    diesel::insert_into(ledger_lines::table)
        .values((
            ledger_lines::id.eq(line.id.as_str()),
            ledger_lines::organization_id.eq(line.organization.as_str()),
            ledger_lines::seq.eq(seq),
            ledger_lines::booked_at_ms.eq(line.booked_at.as_millis()),
            ledger_lines::item.eq(line.item.word()),
            ledger_lines::lockout_id.eq(line.lockout.as_str()),
            ledger_lines::property_id.eq(line.property.as_str()),
            ledger_lines::unit_id.eq(line.unit.as_str()),
            ledger_lines::person_id.eq(line.person.as_str()),
            ledger_lines::actor_id.eq(line.actor.as_ref().map(PersonId::as_str)),
            ledger_lines::amount_minor.eq(line.amount.minor),
            ledger_lines::currency.eq(line.amount.currency.code()),
            ledger_lines::rate.eq(rate),
            ledger_lines::waives.eq(waives),
            ledger_lines::reason.eq(reason),
        ))
        .execute(conn)?;
    Ok(seq)
}

/// The line, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &LedgerLineId, scope: &Scope) -> Result<Option<Line>, StoreError> {
    let row: Option<Row> = ledger_lines::table
        .find(id.as_str())
        .filter(ledger_lines::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// Whether the line is waived.
pub fn is_waived(conn: &mut Conn, id: &LedgerLineId) -> Result<bool, StoreError> {
    let waiver: Option<String> = ledger_lines::table
        .filter(ledger_lines::waives.eq(id.as_str()))
        .select(ledger_lines::id)
        .get_result(conn)
        .optional()?;
    Ok(waiver.is_some())
}

/// What the lock-out's own lines come to, without waivers and keys; `None` where it has none.
pub fn booked(conn: &mut Conn, lockout: &LockoutId) -> Result<Option<i64>, StoreError> {
    let amounts: Vec<i64> = ledger_lines::table
        .filter(ledger_lines::lockout_id.eq(lockout.as_str()))
        .filter(ledger_lines::item.eq_any(["lockout", "correction"]))
        .select(ledger_lines::amount_minor)
        .load(conn)?;
    Ok((!amounts.is_empty()).then(|| amounts.iter().sum()))
}

/// The lines within the scope, and those that the person owes wherever that is; the newest first, those older than `before`,
/// at most `limit`.
pub fn list(
    conn: &mut Conn,
    (scope, debtor): (&Scope, &PersonId),
    before: Option<&LedgerLineId>,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let mut query = ledger_lines::table
        .filter(
            ledger_lines::organization_id
                .eq_any(scope.ids())
                .or(ledger_lines::person_id.eq(debtor.as_str())),
        )
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(ledger_lines::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(ledger_lines::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// The organization's lines by number, those above `after` that were booked within the times, at most `limit`.
pub fn of_organization(
    conn: &mut Conn,
    organization: &OrganizationId,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    after: i64,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let mut query = ledger_lines::table
        .filter(ledger_lines::organization_id.eq(organization.as_str()))
        .filter(ledger_lines::seq.gt(after))
        .into_boxed();
    if let Some(from) = from {
        query = query.filter(ledger_lines::booked_at_ms.ge(from.as_millis()));
    }
    if let Some(to) = to {
        query = query.filter(ledger_lines::booked_at_ms.lt(to.as_millis()));
    }
    let rows: Vec<Row> = query
        .order(ledger_lines::seq)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}
