//! Forgetting what entries say: the number, the day and the leaf stay.

use diesel::prelude::*;

use crate::domain::access_log::visibility::Sight;
use crate::domain::access_log::{Kind, Outcome};
use crate::domain::ids::{AttemptId, OrganizationId, PersonId, PropertyId};
use crate::domain::time::Timestamp;
use crate::store::columns::{parsed, parsed_option};
use crate::store::schema::{access_log, access_log_witnesses, attempts};
use crate::store::{Conn, StoreError};

/// A day in milliseconds: as near as the time of a forgotten entry stays known.
const DAY: i64 = 24 * 3600 * 1000;

/// An entry to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// In whose log.
    pub organization: OrganizationId,
    /// Its number.
    pub seq: i64,
    /// When it was written down.
    recorded_at: Timestamp,
    /// The attempt that it is about.
    attempt: Option<AttemptId>,
}

type Row = (String, i64, i64, Option<String>);

fn leaving((organization, seq, recorded_at, attempt): Row) -> Result<Leaving, StoreError> {
    Ok(Leaving {
        organization: parsed(&organization)?,
        seq,
        recorded_at: Timestamp::from_millis(recorded_at),
        attempt: parsed_option(attempt.as_deref())?,
    })
}

const LEAVING: (
    access_log::organization_id,
    access_log::seq,
    access_log::recorded_at_ms,
    access_log::attempt_id,
) = (
    access_log::organization_id,
    access_log::seq,
    access_log::recorded_at_ms,
    access_log::attempt_id,
);

/// Up to `limit` entries about the property (or about none) that were written down before `before`, the oldest first.
pub fn older(
    conn: &mut Conn,
    property: Option<&PropertyId>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Leaving>, StoreError> {
    // What says which entries were forgotten says nothing of anybody, and whoever checks the log needs it as long as it stands.
    let mut query = access_log::table
        .filter(access_log::kind.ne_all([Kind::Forgotten.as_str(), Kind::EntriesForgotten.as_str()]))
        .filter(access_log::recorded_at_ms.lt(before.as_millis()))
        .into_boxed();
    query = match property {
        Some(property) => query.filter(access_log::property_id.eq(property.as_str())),
        None => query.filter(access_log::property_id.is_null()),
    };
    let rows: Vec<Row> = query
        .order(access_log::recorded_at_ms)
        .limit(limit)
        .select(LEAVING)
        .load(conn)?;
    rows.into_iter().map(leaving).collect()
}

/// The entries about the person that nobody else sees.
pub fn only_of(conn: &mut Conn, person: &PersonId) -> Result<Vec<Leaving>, StoreError> {
    let seen_by_others = access_log_witnesses::table
        .filter(access_log_witnesses::organization_id.eq(access_log::organization_id))
        .filter(access_log_witnesses::seq.eq(access_log::seq))
        .filter(access_log_witnesses::person_id.ne(person.as_str()))
        .select(access_log_witnesses::seq);
    let rows: Vec<Row> = access_log::table
        .filter(access_log::person_id.eq(person.as_str()))
        .filter(access_log::staff_sees.eq(Sight::Nothing.as_str()))
        .filter(access_log::kind.ne(Kind::Forgotten.as_str()))
        .filter(diesel::dsl::not(diesel::dsl::exists(seen_by_others)))
        .select(LEAVING)
        .load(conn)?;
    rows.into_iter().map(leaving).collect()
}

/// Forgets what the entries say, and the attempts of which no other entry tells. Whoever was not told of an entry is not told on
/// which day it was either.
pub fn forget(conn: &mut Conn, entries: &[Leaving]) -> Result<(), StoreError> {
    for entry in entries {
        let day = entry.recorded_at.as_millis() / DAY * DAY;
        let row = access_log::table.find((entry.organization.as_str(), entry.seq));
        diesel::delete(
            access_log_witnesses::table
                .filter(access_log_witnesses::organization_id.eq(entry.organization.as_str()))
                .filter(access_log_witnesses::seq.eq(entry.seq)),
        )
        .execute(conn)?;
        diesel::update(row)
            .set((
                access_log::recorded_at_ms.eq(day),
                access_log::occurred_at_ms.eq(day),
                access_log::kind.eq(Kind::Forgotten.as_str()),
                access_log::outcome.eq(Outcome::Ok.as_str()),
                access_log::reason.eq(None::<String>),
                access_log::property_id.eq(None::<String>),
                access_log::unit_id.eq(None::<String>),
                access_log::lock_id.eq(None::<String>),
                access_log::person_id.eq(None::<String>),
                access_log::actor_id.eq(None::<String>),
                access_log::grant_id.eq(None::<String>),
                access_log::attempt_id.eq(None::<String>),
                access_log::detail.eq(None::<String>),
                access_log::salt.eq(None::<String>),
            ))
            .execute(conn)?;
    }
    let attempts: Vec<&str> = (entries.iter())
        .filter_map(|entry| entry.attempt.as_ref().map(AttemptId::as_str))
        .collect();
    let told = access_log::table
        .filter(access_log::attempt_id.eq(attempts::id.nullable()))
        .select(access_log::seq);
    diesel::delete(
        attempts::table
            .filter(attempts::id.eq_any(attempts))
            .filter(attempts::status.ne("pending"))
            .filter(diesel::dsl::not(diesel::dsl::exists(told))),
    )
    .execute(conn)?;
    Ok(())
}
