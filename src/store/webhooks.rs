//! Webhooks, whose turn it is to be told, and what became of telling them.

use diesel::prelude::*;

use super::columns::{instant, parsed, word};
use super::schema::{access_log_heads, webhook_deliveries, webhooks};
use super::{Conn, StoreError};
use crate::domain::access_log::Kind;
use crate::domain::account::Scope;
use crate::domain::ids::{DeliveryId, OrganizationId, PersonId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Delivery, Failing, Secrets, State, Webhook};

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhooks)]
struct Row {
    id: String,
    organization_id: String,
    sealed_url: String,
    kinds: String,
    created_by: String,
    created_at_ms: i64,
    state: String,
    secret_number: i64,
    former_secret_ends_at_ms: i64,
    told_seq: i64,
    failures: i64,
    failing_since_ms: Option<i64>,
    next_try_at_ms: i64,
    turn: i64,
}

impl Row {
    fn into_domain(self) -> Result<Webhook, StoreError> {
        Ok(Webhook {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            sealed_url: self.sealed_url,
            kinds: self.kinds.split_whitespace().map(parsed).collect::<Result<_, _>>()?,
            created_by: parsed(&self.created_by)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
            state: word(self.state)?,
            secrets: Secrets {
                number: u32::try_from(self.secret_number).map_err(StoreError::corrupt)?,
                former_ends_at: Timestamp::from_millis(self.former_secret_ends_at_ms),
            },
            told: self.told_seq,
            failing: Failing {
                times: u32::try_from(self.failures).map_err(StoreError::corrupt)?,
                since: instant(self.failing_since_ms),
                next_try_at: Timestamp::from_millis(self.next_try_at_ms),
            },
            turn: self.turn,
        })
    }
}

fn words(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" ")
}

/// Adds a webhook, whose turn nobody has.
pub fn add(conn: &mut Conn, new: &Webhook) -> Result<(), StoreError> {
    diesel::insert_into(webhooks::table)
        .values((
            webhooks::id.eq(new.id.as_str()),
            webhooks::organization_id.eq(new.organization.as_str()),
            webhooks::sealed_url.eq(&new.sealed_url),
            webhooks::kinds.eq(words(&new.kinds)),
            webhooks::created_by.eq(new.created_by.as_str()),
            webhooks::created_at_ms.eq(new.created_at.as_millis()),
            webhooks::state.eq(new.state.as_str()),
            webhooks::secret_number.eq(i64::from(new.secrets.number)),
            webhooks::former_secret_ends_at_ms.eq(new.secrets.former_ends_at.as_millis()),
            webhooks::told_seq.eq(new.told),
            webhooks::failures.eq(i64::from(new.failing.times)),
            webhooks::failing_since_ms.eq(new.failing.since.map(Timestamp::as_millis)),
            webhooks::next_try_at_ms.eq(new.failing.next_try_at.as_millis()),
            webhooks::turn.eq(new.turn),
            webhooks::turn_ends_at_ms.eq(new.created_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Replaces what somebody of the organization may change, or what a try has changed, if it is still as it was at the turn
/// of `before`; says whether it was. The turn counts on, and is nobody's.
pub fn replace(conn: &mut Conn, before: &Webhook, now: &Webhook) -> Result<bool, StoreError> {
    let same = webhooks::table
        .find(before.id.as_str())
        .filter(webhooks::turn.eq(before.turn));
    let replaced = diesel::update(same)
        .set((
            webhooks::sealed_url.eq(&now.sealed_url),
            webhooks::kinds.eq(words(&now.kinds)),
            webhooks::created_by.eq(now.created_by.as_str()),
            webhooks::state.eq(now.state.as_str()),
            webhooks::secret_number.eq(i64::from(now.secrets.number)),
            webhooks::former_secret_ends_at_ms.eq(now.secrets.former_ends_at.as_millis()),
            webhooks::told_seq.eq(now.told),
            webhooks::failures.eq(i64::from(now.failing.times)),
            webhooks::failing_since_ms.eq(now.failing.since.map(Timestamp::as_millis)),
            webhooks::next_try_at_ms.eq(now.failing.next_try_at.as_millis()),
            webhooks::turn.eq(before.turn + 1),
            webhooks::turn_ends_at_ms.eq(0),
        ))
        .execute(conn)?;
    Ok(replaced > 0)
}

/// Removes the webhook and what is known of its deliveries.
pub fn remove(conn: &mut Conn, id: &WebhookId) -> Result<(), StoreError> {
    diesel::delete(webhook_deliveries::table.filter(webhook_deliveries::webhook_id.eq(id.as_str()))).execute(conn)?;
    diesel::delete(webhooks::table.find(id.as_str())).execute(conn)?;
    Ok(())
}

/// The webhook, if it is of one of these organizations; nobody else changes it until this transaction ends.
pub fn hold(conn: &mut Conn, id: &WebhookId, scope: &Scope) -> Result<Option<Webhook>, StoreError> {
    diesel::update(webhooks::table.find(id.as_str()))
        .set(webhooks::turn.eq(webhooks::turn))
        .execute(conn)?;
    find(conn, id, scope)
}

/// The webhook, if it is of one of these organizations.
pub fn find(conn: &mut Conn, id: &WebhookId, scope: &Scope) -> Result<Option<Webhook>, StoreError> {
    let row: Option<Row> = webhooks::table
        .find(id.as_str())
        .filter(webhooks::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The webhooks of these organizations after the id `after`, at most `limit`.
pub fn list(conn: &mut Conn, scope: &Scope, after: Option<&WebhookId>, limit: i64) -> Result<Vec<Webhook>, StoreError> {
    let rows: Vec<Row> = webhooks::table
        .filter(webhooks::organization_id.eq_any(scope.ids()))
        .filter(webhooks::id.gt(after.map_or("", WebhookId::as_str)))
        .order(webhooks::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Pauses the organization's webhooks that are told and to which this person gave their address; nobody else changes them until
/// this transaction ends. Gives them as they are now.
pub fn pause_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
) -> Result<Vec<Webhook>, StoreError> {
    let theirs: Vec<String> = webhooks::table
        .filter(webhooks::organization_id.eq(organization.as_str()))
        .filter(webhooks::created_by.eq(person.as_str()))
        .select(webhooks::id)
        .load(conn)?;
    pause(conn, &theirs)
}

/// Pauses every webhook that is told; gives those that were paused by it.
pub fn pause_every(conn: &mut Conn) -> Result<Vec<Webhook>, StoreError> {
    let all: Vec<String> = webhooks::table.select(webhooks::id).load(conn)?;
    pause(conn, &all)
}

fn pause(conn: &mut Conn, ids: &[String]) -> Result<Vec<Webhook>, StoreError> {
    let mut paused = Vec::new();
    for id in ids {
        let active = webhooks::table
            .find(id)
            .filter(webhooks::state.eq(State::Active.as_str()));
        let changed = diesel::update(active)
            .set((
                webhooks::state.eq(State::Paused.as_str()),
                webhooks::turn.eq(webhooks::turn + 1),
                webhooks::turn_ends_at_ms.eq(0),
            ))
            .execute(conn)?;
        if changed > 0 {
            let row: Row = webhooks::table.find(id).select(Row::as_select()).first(conn)?;
            paused.push(row.into_domain()?);
        }
    }
    Ok(paused)
}

/// How many webhooks the organization has.
pub fn count(conn: &mut Conn, organization: &OrganizationId) -> Result<i64, StoreError> {
    Ok(webhooks::table
        .filter(webhooks::organization_id.eq(organization.as_str()))
        .count()
        .get_result(conn)?)
}

/// Those that may be told at `now`, whose log says more than they were told, and of whom nobody has the turn: those that
/// wait for the longest time before others.
pub fn due(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Webhook>, StoreError> {
    let rows: Vec<Row> = webhooks::table
        .inner_join(access_log_heads::table.on(access_log_heads::organization_id.eq(webhooks::organization_id)))
        .filter(webhooks::state.eq(State::Active.as_str()))
        .filter(webhooks::next_try_at_ms.le(now.as_millis()))
        .filter(webhooks::turn_ends_at_ms.le(now.as_millis()))
        .filter(webhooks::told_seq.lt(access_log_heads::last_seq))
        .order(webhooks::next_try_at_ms)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Takes the turn until `ends_at`, if it is still nobody's since `before` was read; gives the webhook with the new turn.
pub fn take_turn(conn: &mut Conn, before: Webhook, ends_at: Timestamp) -> Result<Option<Webhook>, StoreError> {
    let same = webhooks::table
        .find(before.id.as_str())
        .filter(webhooks::turn.eq(before.turn));
    let taken = diesel::update(same)
        .set((
            webhooks::turn.eq(before.turn + 1),
            webhooks::turn_ends_at_ms.eq(ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok((taken > 0).then(|| Webhook {
        turn: before.turn + 1,
        ..before
    }))
}

/// It has been told, or needs not be told, of everything up to `told`, if the turn is still that of `of`; says whether it is.
pub fn advance(conn: &mut Conn, of: &Webhook, told: i64, ends_at: Timestamp) -> Result<bool, StoreError> {
    let mine = webhooks::table.find(of.id.as_str()).filter(webhooks::turn.eq(of.turn));
    let advanced = diesel::update(mine)
        .set((
            webhooks::told_seq.eq(told),
            webhooks::failures.eq(0),
            webhooks::failing_since_ms.eq(None::<i64>),
            webhooks::turn_ends_at_ms.eq(ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(advanced > 0)
}

/// Writes down what became of a try.
pub fn add_delivery(conn: &mut Conn, delivery: &Delivery) -> Result<(), StoreError> {
    diesel::insert_into(webhook_deliveries::table)
        .values((
            webhook_deliveries::id.eq(delivery.id.as_str()),
            webhook_deliveries::webhook_id.eq(delivery.webhook.as_str()),
            webhook_deliveries::seq.eq(delivery.seq),
            webhook_deliveries::tried_at_ms.eq(delivery.tried_at.as_millis()),
            webhook_deliveries::took_ms.eq(delivery.took_ms),
            webhook_deliveries::result.eq(delivery.outcome.as_str()),
            webhook_deliveries::status.eq(delivery.status.map(i64::from)),
        ))
        .execute(conn)?;
    Ok(())
}

type DeliveryRow = (String, String, i64, i64, i64, String, Option<i64>);

/// What became of telling the webhook, the newest tries first, those before the id `before`, at most `limit`.
pub fn deliveries(
    conn: &mut Conn,
    webhook: &WebhookId,
    before: Option<&DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>, StoreError> {
    let mut query = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook.as_str()))
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(webhook_deliveries::id.lt(before.as_str()));
    }
    let rows: Vec<DeliveryRow> = query.order(webhook_deliveries::id.desc()).limit(limit).load(conn)?;
    let delivery = |(id, webhook, seq, tried_at_ms, took_ms, result, status): DeliveryRow| {
        Ok(Delivery {
            id: parsed(&id)?,
            webhook: parsed(&webhook)?,
            seq,
            tried_at: Timestamp::from_millis(tried_at_ms),
            took_ms,
            outcome: word(result)?,
            status: status.map(u16::try_from).transpose().map_err(StoreError::corrupt)?,
        })
    };
    rows.into_iter().map(delivery).collect()
}

/// Forgets what became of tries before `before`; says of how many.
pub fn forget_deliveries(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let old = webhook_deliveries::table.filter(webhook_deliveries::tried_at_ms.lt(before.as_millis()));
    Ok(diesel::delete(old).execute(conn)?)
}
