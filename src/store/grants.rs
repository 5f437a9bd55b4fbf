//! Grants; below it their ends, the rights that they and tenancies give at a lock, their uses, and spare keys.

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, word};
use super::schema::{grant_locks, grants};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::grant::{Grant, GrantState, Holder, Terms, Uses};
use crate::domain::ids::{GrantId, LockId};
use crate::domain::schedule::Schedule;
use crate::domain::spare::{Minutes, Spare};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;

mod ending;
mod listing;
mod rights;
mod spare;
mod uses;

pub use ending::{end_at, revoke, revoke_all_of, take_out};
pub(super) use listing::is_for_landlords;
pub use listing::{
    Listed, at_lock, count_given, given_by, hanging_at, held_by, list, locks_given_to, waiting_for, waits_for,
};
pub use rights::{hold, holder, lock_ids_of, names, right, rights};
pub use spare::{end_every_release, end_release, release, released_before, spare_key_holders};
pub use uses::{give_use_back, take_use, uses};

#[derive(Queryable, Selectable)]
#[diesel(table_name = grants)]
struct Row {
    id: String,
    organization_id: String,
    person_id: Option<String>,
    invitation_id: Option<String>,
    given_by: String,
    created_at_ms: i64,
    starts_at_ms: i64,
    ends_at_ms: Option<i64>,
    schedule: Option<String>,
    uses_limit: Option<i64>,
    uses_taken: i64,
    revoked_at_ms: Option<i64>,
    revoked_by: Option<String>,
    ways: String,
    role: String,
    delegable: bool,
    under: Option<String>,
    round: i64,
    spare_on_silence: Option<String>,
    spare_answer_minutes: Option<i64>,
    spare_release_minutes: Option<i64>,
    spare_by_landlord: Option<bool>,
    released_until_ms: Option<i64>,
}

/// So many minutes as the column says.
fn minutes(column: i64) -> Result<Minutes, StoreError> {
    let minutes = u16::try_from(column).map_err(StoreError::corrupt)?;
    Minutes::try_from(minutes).map_err(StoreError::corrupt)
}

impl Row {
    fn into_domain(self, locks: Vec<LockId>) -> Result<Grant, StoreError> {
        let holder = match (&self.person_id, &self.invitation_id) {
            (Some(person), None) => Holder::Person(parsed(person)?),
            (None, Some(invitation)) => Holder::Invited(parsed(invitation)?),
            _ => {
                return Err(StoreError::corrupt(
                    "a grant has neither or both of a person and an invitation",
                ));
            }
        };
        let state = match (instant(self.revoked_at_ms), &self.revoked_by) {
            (Some(at), Some(by)) => GrantState::Revoked { at, by: parsed(by)? },
            _ => GrantState::Active,
        };
        let count = |n: i64| u32::try_from(n).map_err(StoreError::corrupt);
        let spare = match (
            self.spare_on_silence,
            self.spare_answer_minutes,
            self.spare_release_minutes,
            self.spare_by_landlord,
        ) {
            (None, None, None, None) => None,
            (Some(on_silence), Some(answer), Some(release), Some(by_landlord)) => Some(Spare {
                on_silence: word(on_silence)?,
                answer_within: minutes(answer)?,
                release_for: minutes(release)?,
                by_landlord,
            }),
            _ => return Err(StoreError::corrupt("a spare key has a part of its terms")),
        };
        let uses = match self.uses_limit {
            Some(limit) => Some(Uses::with_taken(count(limit)?, count(self.uses_taken)?).map_err(StoreError::corrupt)?),
            None => None,
        };
        let schedule: Option<Schedule> = self
            .schedule
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(StoreError::corrupt)?;
        Ok(Grant {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            holder,
            given_by: parsed(&self.given_by)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
            terms: Terms {
                locks,
                starts_at: Timestamp::from_millis(self.starts_at_ms),
                ends_at: instant(self.ends_at_ms),
                schedule,
                uses,
                ways: (self.ways.split(','))
                    .map(|way| word(way.to_owned()))
                    .collect::<Result<_, _>>()?,
                role: word(self.role)?,
                delegable: self.delegable,
                spare,
            },
            under: parsed_option(self.under.as_deref())?,
            round: count(self.round)?,
            released_until: instant(self.released_until_ms),
            state,
        })
    }
}

/// What a grant gives, as the columns hold it.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = grants, treat_none_as_null = true)]
struct TermsRow {
    starts_at_ms: i64,
    ends_at_ms: Option<i64>,
    schedule: Option<String>,
    uses_limit: Option<i64>,
    ways: String,
    role: String,
    delegable: bool,
    spare_on_silence: Option<String>,
    spare_answer_minutes: Option<i64>,
    spare_release_minutes: Option<i64>,
    spare_by_landlord: Option<bool>,
}

impl TermsRow {
    fn of(terms: &Terms) -> Result<Self, StoreError> {
        let schedule = terms.schedule.as_ref().map(serde_json::to_string).transpose();
        let ways: Vec<&str> = terms.ways.iter().map(|way| way.as_str()).collect();
        let minutes = |minutes: Minutes| i64::from(u16::from(minutes));
        let spare = terms.spare;
        Ok(Self {
            starts_at_ms: terms.starts_at.as_millis(),
            ends_at_ms: terms.ends_at.map(Timestamp::as_millis),
            schedule: schedule.map_err(StoreError::corrupt)?,
            uses_limit: terms.uses.map(|uses| i64::from(uses.limit())),
            ways: ways.join(","),
            role: terms.role.as_str().to_owned(),
            delegable: terms.delegable,
            spare_on_silence: spare.map(|spare| spare.on_silence.as_str().to_owned()),
            spare_answer_minutes: spare.map(|spare| minutes(spare.answer_within)),
            spare_release_minutes: spare.map(|spare| minutes(spare.release_for)),
            spare_by_landlord: spare.map(|spare| spare.by_landlord),
        })
    }
}

/// Adds a grant with its doors.
pub fn add(conn: &mut Conn, grant: &Grant) -> Result<(), StoreError> {
    let (person, invitation) = match &grant.holder {
        Holder::Person(person) => (Some(person.as_str()), None),
        Holder::Invited(invitation) => (None, Some(invitation.as_str())),
    };
    diesel::insert_into(grants::table)
        .values((
            grants::id.eq(grant.id.as_str()),
            grants::organization_id.eq(grant.organization.as_str()),
            grants::person_id.eq(person),
            grants::invitation_id.eq(invitation),
            grants::given_by.eq(grant.given_by.as_str()),
            grants::created_at_ms.eq(grant.created_at.as_millis()),
            grants::uses_taken.eq(0),
            grants::under.eq(grant.under.as_ref().map(ToString::to_string)),
            TermsRow::of(&grant.terms)?,
        ))
        .execute(conn)?;
    add_locks(conn, grant)
}

fn add_locks(conn: &mut Conn, grant: &Grant) -> Result<(), StoreError> {
    for lock in &grant.terms.locks {
        diesel::insert_into(grant_locks::table)
            .values((
                grant_locks::grant_id.eq(grant.id.as_str()),
                grant_locks::lock_id.eq(lock.as_str()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Writes the whole of what the grant gives, in the place of what it gave, where it was not taken back meanwhile; says
/// whether it was not. What was taken of counted uses stays taken.
pub fn change(conn: &mut Conn, grant: &Grant) -> Result<bool, StoreError> {
    let row = grants::table.find(grant.id.as_str());
    let changed = diesel::update(row.filter(grants::revoked_at_ms.is_null()))
        .set((
            TermsRow::of(&grant.terms)?,
            grants::released_until_ms.eq(grant.released_until.map(Timestamp::as_millis)),
        ))
        .execute(conn)?;
    if changed == 0 {
        return Ok(false);
    }
    diesel::delete(grant_locks::table.filter(grant_locks::grant_id.eq(grant.id.as_str()))).execute(conn)?;
    add_locks(conn, grant)?;
    Ok(true)
}

/// Gives what is issued by the grant from now on another name.
pub fn begin_round(conn: &mut Conn, id: &GrantId) -> Result<(), StoreError> {
    diesel::update(grants::table.find(id.as_str()))
        .set(grants::round.eq(grants::round + 1))
        .execute(conn)?;
    Ok(())
}

/// The grants that hang under these rights and were not taken back, by id.
pub fn under(conn: &mut Conn, rights: &[RightSource]) -> Result<Vec<Grant>, StoreError> {
    let rows: Vec<Row> = grants::table
        .filter(grants::under.eq_any(rights.iter().map(|right| Some(right.to_string()))))
        .filter(grants::revoked_at_ms.is_null())
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    whole(conn, rows)
}

/// The grants of these rows, with their doors.
fn whole(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<Grant>, StoreError> {
    let mut locks = locks_of(conn, rows.iter().map(|row| row.id.as_str()))?;
    rows.into_iter()
        .map(|row| {
            let locks = locks.remove(&row.id).unwrap_or_default();
            row.into_domain(locks)
        })
        .collect()
}

/// How many grants one query names at the most: databases take so many values and no more.
const ASKED_AT_ONCE: usize = 1_000;

/// The doors of these grants, each grant's by id: one query for all of them.
fn locks_of<'a>(
    conn: &mut Conn,
    grants: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, Vec<LockId>>, StoreError> {
    let grants: Vec<&str> = grants.into_iter().collect();
    let mut of_grant: HashMap<String, Vec<LockId>> = HashMap::new();
    for part in grants.chunks(ASKED_AT_ONCE) {
        let doors: Vec<(String, String)> = grant_locks::table
            .filter(grant_locks::grant_id.eq_any(part))
            .order((grant_locks::grant_id, grant_locks::lock_id))
            .select((grant_locks::grant_id, grant_locks::lock_id))
            .load(conn)?;
        for (grant, lock) in doors {
            of_grant.entry(grant).or_default().push(parsed(&lock)?);
        }
    }
    Ok(of_grant)
}

/// The grant, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &GrantId, scope: &Scope) -> Result<Option<Grant>, StoreError> {
    let row: Option<Row> = grants::table
        .find(id.as_str())
        .filter(grants::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    Ok(whole(conn, row.into_iter().collect())?.pop())
}

/// The grant, whoever asks: for the backend's own work.
pub fn find_any(conn: &mut Conn, id: &GrantId) -> Result<Option<Grant>, StoreError> {
    let row: Option<Row> = grants::table
        .find(id.as_str())
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    Ok(whole(conn, row.into_iter().collect())?.pop())
}

/// Keeps the grant from being taken back until this transaction ends; says whether it stands. SQLite has one writer at a
/// time, so nothing can have come between.
pub fn keep(conn: &mut Conn, id: &GrantId) -> Result<bool, StoreError> {
    let kept = diesel::update(grants::table.find(id.as_str()).filter(grants::revoked_at_ms.is_null()))
        .set(grants::uses_taken.eq(grants::uses_taken))
        .execute(conn)?;
    Ok(kept > 0)
}
