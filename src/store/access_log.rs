//! The access log: entries numbered per organization without gaps, never changed, and forgotten when their time is over.

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::{parsed, parsed_option, word};
use super::kept::Kept;
use super::log_tree::leaf_of;
use super::schema::{access_log, access_log_heads, access_log_witnesses, looks};
use super::{Conn, StoreError};
use crate::crypto::leaf::leaf;
use crate::crypto::merkle::Hash;
use crate::crypto::random::{OsRandom, Random as _};
use crate::domain::access_log::visibility::{self, Audience, Reader, Sight};
use crate::domain::access_log::{Entry, Kind, NewEntry};
use crate::domain::ids::{AttemptId, GrantId, LockId, LookId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::time::Timestamp;

mod circumstances;
pub mod forgetting;

/// Writes the entry down at the end of the organization's log and returns its number. Its head row is updated first:
/// that orders writers on both databases without a retry. Time in the log never runs backwards: an entry is recorded
/// at `now` or at the last one's time, whichever is later. Who will see it is decided here, by what is true when it
/// happens ([`visibility`]), and its leaf is made ([`leaf`]).
///
/// # Errors
/// [`StoreError::Missing`] where there is no such organization.
pub fn append(
    conn: &mut Conn,
    organization: &OrganizationId,
    entry: &NewEntry,
    now: Timestamp,
) -> Result<i64, StoreError> {
    append_as_of(conn, organization, entry, entry.occurred_at, now)
}

/// As [`append`], of something whose time is not known: who will see it is decided by what is true at `then`.
///
/// # Errors
/// As of [`append`].
pub fn append_as_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    entry: &NewEntry,
    then: Timestamp,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let audience = visibility::audience(entry, &circumstances::of(conn, organization, entry, then)?);
    let (seq, last_at_ms) = Kept(
        diesel::update(access_log_heads::table.find(organization.as_str()))
            .set(access_log_heads::last_seq.eq(access_log_heads::last_seq + 1))
            .returning((access_log_heads::last_seq, access_log_heads::last_at_ms)),
    )
    .get_result::<(i64, i64)>(conn)
    .optional()?
    .ok_or(StoreError::Missing)?;
    let recorded_at_ms = last_at_ms.max(now.as_millis());
    if recorded_at_ms > last_at_ms {
        Kept(
            diesel::update(access_log_heads::table.find(organization.as_str()))
                .set(access_log_heads::last_at_ms.eq(recorded_at_ms)),
        )
        .execute(conn)?;
    }
    let entry = Entry {
        seq,
        recorded_at: Timestamp::from_millis(recorded_at_ms),
        what: entry.clone(),
    };
    insert(conn, organization, &entry, &audience)?;
    Ok(seq)
}

/// Stores the numbered entry with who sees it. The salt is drawn here: it decides nothing and shows in no answer.
fn insert(
    conn: &mut Conn,
    organization: &OrganizationId,
    entry: &Entry,
    audience: &Audience,
) -> Result<(), StoreError> {
    let what = &entry.what;
    let salt = OsRandom.bits();
    diesel::insert_into(access_log::table)
        .values((
            access_log::organization_id.eq(organization.as_str()),
            access_log::seq.eq(entry.seq),
            access_log::recorded_at_ms.eq(entry.recorded_at.as_millis()),
            access_log::occurred_at_ms.eq(what.occurred_at.as_millis()),
            access_log::kind.eq(what.kind.as_str()),
            access_log::outcome.eq(what.outcome.as_str()),
            access_log::reason.eq(what.reason.as_deref()),
            access_log::property_id.eq(what.property.as_ref().map(PropertyId::as_str)),
            access_log::unit_id.eq(what.unit.as_ref().map(UnitId::as_str)),
            access_log::lock_id.eq(what.lock.as_ref().map(LockId::as_str)),
            access_log::person_id.eq(what.person.as_ref().map(PersonId::as_str)),
            access_log::actor_id.eq(what.actor.as_ref().map(PersonId::as_str)),
            access_log::grant_id.eq(what.grant.as_ref().map(GrantId::as_str)),
            access_log::attempt_id.eq(what.attempt.as_ref().map(AttemptId::as_str)),
            access_log::detail.eq(what.detail.as_ref().map(serde_json::Value::to_string)),
            access_log::staff_sees.eq(audience.staff.as_str()),
            access_log::salt.eq(format!("{salt:032x}")),
            access_log::leaf.eq(leaf(salt, organization, entry)),
        ))
        .execute(conn)?;
    for (person, sees) in &audience.witnesses {
        diesel::insert_into(access_log_witnesses::table)
            .values((
                access_log_witnesses::organization_id.eq(organization.as_str()),
                access_log_witnesses::seq.eq(entry.seq),
                access_log_witnesses::person_id.eq(person.as_str()),
                access_log_witnesses::sees.eq(sees.as_str()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The leaf of an entry that is to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The entry's number.
    pub seq: i64,
    /// The leaf; none where somebody took it away.
    pub hash: Option<Hash>,
    /// How much of the entry staff see.
    pub staff_sees: Sight,
    /// Whether it is that of what the entry says now.
    pub is_its_own: bool,
}

/// The leaves of the entries after the number `after`, at most `limit`, by their numbers, each checked against its entry.
pub fn leaves_to_seal(
    conn: &mut Conn,
    organization: &OrganizationId,
    after: i64,
    limit: i64,
) -> Result<Vec<Leaf>, StoreError> {
    let rows: Vec<Row> = access_log::table
        .filter(access_log::organization_id.eq(organization.as_str()))
        .filter(access_log::seq.gt(after))
        .order(access_log::seq)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    let mut leaves = Vec::with_capacity(rows.len());
    for row in rows {
        let (salt, hash) = (row.salt()?, row.leaf.as_deref().map(leaf_of).transpose()?);
        let text = row.leaf.clone();
        let (entry, staff_sees) = row.into_domain()?;
        let is_its_own = match salt {
            Some(salt) => text == Some(leaf(salt, organization, &entry)),
            None => entry.what.kind == Kind::Forgotten && text.is_some(),
        };
        leaves.push(Leaf {
            seq: entry.seq,
            hash,
            staff_sees,
            is_its_own,
        });
    }
    Ok(leaves)
}

/// Makes the leaves of entries of before leaves were made, of up to `limit` of them. Says of how many.
pub fn make_leaves(conn: &mut Conn, organization: &OrganizationId, limit: i64) -> Result<usize, StoreError> {
    let rows: Vec<Row> = access_log::table
        .filter(access_log::organization_id.eq(organization.as_str()))
        .filter(access_log::leaf.is_null())
        .order(access_log::seq)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    let made = rows.len();
    for row in rows {
        let (entry, _) = row.into_domain()?;
        let salt = OsRandom.bits();
        diesel::update(access_log::table.find((organization.as_str(), entry.seq)))
            .set((
                access_log::salt.eq(format!("{salt:032x}")),
                access_log::leaf.eq(leaf(salt, organization, &entry)),
            ))
            .execute(conn)?;
    }
    Ok(made)
}

/// When the entry of that number was written down.
pub fn recorded_at(conn: &mut Conn, organization: &OrganizationId, seq: i64) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = access_log::table
        .find((organization.as_str(), seq))
        .select(access_log::recorded_at_ms)
        .get_result(conn)
        .optional()?;
    Ok(ms.map(Timestamp::from_millis))
}

/// The time of the organization's last entry.
pub fn last_recorded_at(conn: &mut Conn, organization: &OrganizationId) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = access_log_heads::table
        .find(organization.as_str())
        .select(access_log_heads::last_at_ms)
        .get_result(conn)
        .optional()?;
    Ok(ms.map(Timestamp::from_millis))
}

/// The time of the last entry of any organization.
pub fn latest_recorded_at(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = access_log_heads::table
        .select(diesel::dsl::max(access_log_heads::last_at_ms))
        .first(conn)?;
    Ok(ms.filter(|ms| *ms > 0).map(Timestamp::from_millis))
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those about this property.
    pub property: Option<PropertyId>,
    /// Only those about this lock.
    pub lock: Option<LockId>,
    /// Only those about this person.
    pub person: Option<PersonId>,
    /// Only those of these kinds; those of all where it is empty.
    pub kinds: Vec<Kind>,
    /// Only those of what happened at this time or later.
    pub from: Option<Timestamp>,
    /// Only those of what happened before this time.
    pub to: Option<Timestamp>,
}

/// Which way the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the newest entry back.
    NewestFirst,
    /// From the oldest entry on.
    OldestFirst,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = access_log)]
struct Row {
    seq: i64,
    recorded_at_ms: i64,
    occurred_at_ms: i64,
    kind: String,
    outcome: String,
    reason: Option<String>,
    property_id: Option<String>,
    unit_id: Option<String>,
    lock_id: Option<String>,
    person_id: Option<String>,
    actor_id: Option<String>,
    grant_id: Option<String>,
    attempt_id: Option<String>,
    detail: Option<String>,
    staff_sees: String,
    salt: Option<String>,
    leaf: Option<String>,
}

impl Row {
    fn salt(&self) -> Result<Option<u128>, StoreError> {
        let salt = self.salt.as_deref().map(|salt| u128::from_str_radix(salt, 16));
        salt.transpose().map_err(StoreError::corrupt)
    }

    /// The entry, and what staff see of it.
    fn into_domain(self) -> Result<(Entry, Sight), StoreError> {
        let staff = parsed(&self.staff_sees)?;
        let detail = self.detail.as_deref().map(serde_json::from_str).transpose();
        let entry = Entry {
            seq: self.seq,
            recorded_at: Timestamp::from_millis(self.recorded_at_ms),
            what: NewEntry {
                kind: word(self.kind)?,
                outcome: word(self.outcome)?,
                reason: self.reason,
                occurred_at: Timestamp::from_millis(self.occurred_at_ms),
                property: parsed_option(self.property_id.as_deref())?,
                unit: parsed_option(self.unit_id.as_deref())?,
                lock: parsed_option(self.lock_id.as_deref())?,
                person: parsed_option(self.person_id.as_deref())?,
                actor: parsed_option(self.actor_id.as_deref())?,
                grant: parsed_option(self.grant_id.as_deref())?,
                attempt: parsed_option(self.attempt_id.as_deref())?,
                detail: detail.map_err(StoreError::corrupt)?,
            },
        };
        Ok((entry, staff))
    }
}

/// An entry as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The entry, without who where that is not for them.
    pub entry: Entry,
    /// The look without which they would see less.
    pub by_look: Option<LookId>,
    /// The entry's leaf; none of one of before leaves were made.
    pub leaf: Option<Hash>,
    /// How much of it staff see.
    pub staff_sees: Sight,
    /// The salt under which the leaf is that of this entry, where all of it is shown.
    pub salt: Option<u128>,
}

/// The entries of the organization that pass `filter` and that the reader sees, as they see them, in `order`, those beyond
/// the number `beyond`, at most `limit`. Whoever asks for one person's finds those that tell them of that person.
pub fn entries(
    conn: &mut Conn,
    organization: &OrganizationId,
    filter: &Filter,
    reader: &Reader,
    order: Order,
    beyond: Option<i64>,
    limit: i64,
) -> Result<Vec<Seen>, StoreError> {
    let least = if filter.person.is_some() {
        Sight::Whole
    } else {
        Sight::What
    };
    let mut query = visible(organization, reader, least);
    if let Some(property) = &filter.property {
        query = query.filter(access_log::property_id.eq(property.as_str()));
    }
    if let Some(lock) = &filter.lock {
        query = query.filter(access_log::lock_id.eq(lock.as_str()));
    }
    if let Some(person) = &filter.person {
        query = query.filter(access_log::person_id.eq(person.as_str()));
    }
    if !filter.kinds.is_empty() {
        query = query.filter(access_log::kind.eq_any(filter.kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(from) = filter.from {
        query = query.filter(access_log::occurred_at_ms.ge(from.as_millis()));
    }
    if let Some(to) = filter.to {
        query = query.filter(access_log::occurred_at_ms.lt(to.as_millis()));
    }
    query = match order {
        Order::NewestFirst => query.order(access_log::seq.desc()),
        Order::OldestFirst => query.order(access_log::seq.asc()),
    };
    if let Some(beyond) = beyond {
        query = match order {
            Order::NewestFirst => query.filter(access_log::seq.lt(beyond)),
            Order::OldestFirst => query.filter(access_log::seq.gt(beyond)),
        };
    }
    let rows: Vec<Row> = query.limit(limit).select(Row::as_select()).load(conn)?;
    as_seen(conn, organization, rows, reader)
}

/// The entries that tell the reader, by name, of the attempt.
pub fn of_attempt(
    conn: &mut Conn,
    organization: &OrganizationId,
    attempt: &AttemptId,
    reader: &Reader,
) -> Result<Vec<Seen>, StoreError> {
    let rows: Vec<Row> = visible(organization, reader, Sight::Whole)
        .filter(access_log::attempt_id.eq(attempt.as_str()))
        .order(access_log::seq)
        .select(Row::as_select())
        .load(conn)?;
    as_seen(conn, organization, rows, reader)
}

/// The entries of the organization of which the reader sees at least `least`: [`visibility::sight`] as a condition.
fn visible<'a>(
    organization: &'a OrganizationId,
    reader: &'a Reader,
    least: Sight,
) -> access_log::BoxedQuery<'a, super::MultiBackend> {
    // Text columns hold words, so their order says nothing: each sight is named.
    let sights = move || {
        Sight::ALL
            .into_iter()
            .filter(move |sight| *sight >= least)
            .map(Sight::as_str)
    };
    let me = reader.person.as_str();
    let witnessed = access_log_witnesses::table
        .filter(access_log_witnesses::organization_id.eq(organization.as_str()))
        .filter(access_log_witnesses::person_id.eq(me))
        .filter(access_log_witnesses::sees.eq_any(sights()))
        .select(access_log_witnesses::seq);
    let own = access_log::person_id.eq(me).or(access_log::seq.eq_any(witnessed));
    let query = access_log::table
        .filter(access_log::organization_id.eq(organization.as_str()))
        .into_boxed();
    let as_staff = access_log::staff_sees.eq_any(sights());
    if reader.looks.is_empty() {
        return if reader.views {
            query.filter(own.or(as_staff))
        } else {
            query.filter(own)
        };
    }
    let covered = looks::table
        .filter(looks::id.eq_any(reader.looks.iter().map(|look| look.id.as_str())))
        .filter(looks::unit_id.nullable().eq(access_log::unit_id))
        .filter(looks::lock_id.is_null().or(looks::lock_id.eq(access_log::lock_id)))
        .filter(looks::from_at_ms.le(access_log::occurred_at_ms))
        .filter(looks::to_at_ms.gt(access_log::occurred_at_ms))
        .select(looks::id);
    let by_look = diesel::dsl::exists(covered);
    if reader.views {
        query.filter(own.or(as_staff).or(by_look))
    } else {
        query.filter(own.or(by_look))
    }
}

/// The rows as the reader sees them.
fn as_seen(
    conn: &mut Conn,
    organization: &OrganizationId,
    rows: Vec<Row>,
    reader: &Reader,
) -> Result<Vec<Seen>, StoreError> {
    let witnessed: Vec<(i64, String)> = access_log_witnesses::table
        .filter(access_log_witnesses::organization_id.eq(organization.as_str()))
        .filter(access_log_witnesses::person_id.eq(reader.person.as_str()))
        .filter(access_log_witnesses::seq.eq_any(rows.iter().map(|row| row.seq)))
        .select((access_log_witnesses::seq, access_log_witnesses::sees))
        .load(conn)?;
    let witnessed: HashMap<i64, String> = witnessed.into_iter().collect();
    let mut seen = Vec::with_capacity(rows.len());
    for row in rows {
        let (salt, leaf) = (row.salt()?, row.leaf.as_deref().map(leaf_of).transpose()?);
        let (mut entry, staff) = row.into_domain()?;
        let mine = witnessed.get(&entry.seq).map(|sees| parsed(sees)).transpose()?;
        let audience = Audience {
            staff,
            witnesses: mine.map(|sees| (reader.person.clone(), sees)).into_iter().collect(),
        };
        let plain = visibility::plain_sight(&entry.what, &audience, reader);
        let by_look = reader.look(&entry.what).filter(|_| plain < Sight::Whole);
        let is_whole = by_look.is_some() || plain >= Sight::Whole;
        if !is_whole {
            entry.what = visibility::without_who(&entry.what);
        }
        seen.push(Seen {
            by_look: by_look.map(|look| look.id.clone()),
            entry,
            leaf,
            staff_sees: staff,
            // Without it nobody can try out who it may have been.
            salt: salt.filter(|_| is_whole),
        });
    }
    Ok(seen)
}
