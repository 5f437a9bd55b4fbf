//! API keys of programs' accounts.

use diesel::prelude::*;

use super::columns::{instant, parsed, text};
use super::schema::{api_keys, memberships, persons};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::account::{PersonName, Role, Scope};
use crate::domain::api_key::{ApiKey, KeyScope};
use crate::domain::ids::{ApiKeyId, OrganizationId, PersonId};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct Row {
    id: String,
    organization_id: String,
    person_id: String,
    name: String,
    scopes: String,
    made_by: String,
    created_at_ms: i64,
    ends_at_ms: i64,
    last_used_at_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            id: parsed(&self.id)?,
            account: parsed(&self.person_id)?,
            organization: parsed(&self.organization_id)?,
            name: text(self.name)?,
            scopes: self.scopes.split(',').map(parsed).collect::<Result<_, _>>()?,
            made_by: parsed(&self.made_by)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            last_used_at: instant(self.last_used_at_ms),
        })
    }
}

/// Adds a key with the digest of its secret.
pub fn add(conn: &mut Conn, key: &ApiKey, digest: &[u8; 32]) -> Result<(), StoreError> {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| KeyScope::as_str(*scope)).collect();
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::id.eq(key.id.as_str()),
            api_keys::organization_id.eq(key.organization.as_str()),
            api_keys::person_id.eq(key.account.as_str()),
            api_keys::name.eq(key.name.as_str()),
            api_keys::scopes.eq(scopes.join(",")),
            api_keys::digest.eq(hexadecimal(digest)),
            api_keys::made_by.eq(key.made_by.as_str()),
            api_keys::created_at_ms.eq(key.created_at.as_millis()),
            api_keys::ends_at_ms.eq(key.ends_at.as_millis()),
            api_keys::last_used_at_ms.eq(key.last_used_at.map(Timestamp::as_millis)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The key with this digest, if it counts at `now` and its account is a program of its organization.
pub fn find_by_digest(conn: &mut Conn, digest: &[u8; 32], now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<Row> = api_keys::table
        .filter(api_keys::digest.eq(hexadecimal(digest)))
        .filter(api_keys::revoked_at_ms.is_null())
        .filter(api_keys::ends_at_ms.gt(now.as_millis()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    let Some(key) = row.map(Row::into_domain).transpose()? else {
        return Ok(None);
    };
    let role = super::accounts::role(conn, &key.organization, &key.account)?;
    Ok((role == Some(Role::Service)).then_some(key))
}

/// The account's key within `scope`, void ones too.
pub fn find(conn: &mut Conn, id: &ApiKeyId, account: &PersonId, scope: &Scope) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<Row> = api_keys::table
        .find(id.as_str())
        .filter(api_keys::person_id.eq(account.as_str()))
        .filter(api_keys::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// Whether the key was not made void.
pub fn stands(conn: &mut Conn, id: &ApiKeyId) -> Result<bool, StoreError> {
    let found: Option<String> = api_keys::table
        .find(id.as_str())
        .filter(api_keys::revoked_at_ms.is_null())
        .select(api_keys::id)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}

/// The keys of the account within `scope` that were not made void, ended ones included, by id, those after `after`, at most
/// `limit`.
pub fn of_account(
    conn: &mut Conn,
    account: &PersonId,
    scope: &Scope,
    after: Option<&ApiKeyId>,
    limit: i64,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::person_id.eq(account.as_str()))
        .filter(api_keys::organization_id.eq_any(scope.ids()))
        .filter(api_keys::revoked_at_ms.is_null())
        .filter(api_keys::id.gt(after.map_or("", ApiKeyId::as_str)))
        .order(api_keys::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// How many keys of the account in the organization count at `now`.
pub fn count(
    conn: &mut Conn,
    organization: &OrganizationId,
    account: &PersonId,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(api_keys::table
        .filter(api_keys::organization_id.eq(organization.as_str()))
        .filter(api_keys::person_id.eq(account.as_str()))
        .filter(api_keys::revoked_at_ms.is_null())
        .filter(api_keys::ends_at_ms.gt(now.as_millis()))
        .count()
        .get_result(conn)?)
}

/// Writes down that the key was used at `now`.
pub fn note_use(conn: &mut Conn, id: &ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(api_keys::table.find(id.as_str()))
        .set(api_keys::last_used_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    Ok(())
}

/// Makes the key void; says whether it was not before.
pub fn revoke(conn: &mut Conn, id: &ApiKeyId, by: &PersonId, at: Timestamp) -> Result<bool, StoreError> {
    let revoked = diesel::update(
        api_keys::table
            .find(id.as_str())
            .filter(api_keys::revoked_at_ms.is_null()),
    )
    .set((
        api_keys::revoked_at_ms.eq(at.as_millis()),
        api_keys::revoked_by.eq(by.as_str()),
    ))
    .execute(conn)?;
    Ok(revoked > 0)
}

/// Makes void every key in the organization that the person has or has made, and says which they were.
pub fn revoke_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    by: &PersonId,
    at: Timestamp,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::organization_id.eq(organization.as_str()))
        .filter(
            api_keys::person_id
                .eq(person.as_str())
                .or(api_keys::made_by.eq(person.as_str())),
        )
        .filter(api_keys::revoked_at_ms.is_null())
        .order(api_keys::id)
        .select(Row::as_select())
        .load(conn)?;
    let keys: Vec<ApiKey> = rows.into_iter().map(Row::into_domain).collect::<Result<_, _>>()?;
    for key in &keys {
        revoke(conn, &key.id, by, at)?;
    }
    Ok(keys)
}

/// The account of a program, as its organization sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub id: PersonId,
    /// What it is called.
    pub name: PersonName,
    /// Since when it is known here.
    pub created_at: Timestamp,
}

/// The accounts of programs of the organization, by id, those after `after`, at most `limit`.
pub fn accounts(
    conn: &mut Conn,
    organization: &OrganizationId,
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<Account>, StoreError> {
    let rows: Vec<(String, String, i64)> = memberships::table
        .inner_join(persons::table)
        .filter(memberships::organization_id.eq(organization.as_str()))
        .filter(memberships::role.eq(Role::Service.as_str()))
        .filter(memberships::ended_at_ms.is_null())
        .filter(persons::id.gt(after.map_or("", PersonId::as_str)))
        .order(persons::id)
        .limit(limit)
        .select((persons::id, persons::name, persons::created_at_ms))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, name, created_at_ms)| {
            Ok(Account {
                id: parsed(&id)?,
                name: text(name)?,
                created_at: Timestamp::from_millis(created_at_ms),
            })
        })
        .collect()
}
