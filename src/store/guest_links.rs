//! Links by which guests come in without an account, and the phones that redeemed them.

use diesel::prelude::*;

use super::columns::{instant, parsed};
use super::schema::{grants, guest_link_phones, guest_links, phones};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::guest::{GuestLink, LinkTerms, Reach};
use crate::domain::ids::{GrantId, LinkId, PersonId, PhoneId};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = guest_links)]
struct Row {
    id: String,
    organization_id: String,
    grant_id: String,
    phones_limit: i64,
    starts_at_ms: i64,
    ends_at_ms: i64,
    made_by: String,
}

impl Row {
    fn into_domain(self) -> Result<GuestLink, StoreError> {
        Ok(GuestLink {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            grant: parsed(&self.grant_id)?,
            made_by: parsed(&self.made_by)?,
            terms: LinkTerms {
                phones: u32::try_from(self.phones_limit).map_err(StoreError::corrupt)?,
                starts_at: Timestamp::from_millis(self.starts_at_ms),
                ends_at: Timestamp::from_millis(self.ends_at_ms),
            },
        })
    }
}

/// Adds a link with the digest of its secret.
///
/// # Errors
/// [`StoreError::Conflict`] where another link of the grant stands: void that first.
pub fn add(conn: &mut Conn, link: &GuestLink, secret_digest: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    diesel::insert_into(guest_links::table)
        .values((
            guest_links::id.eq(link.id.as_str()),
            guest_links::organization_id.eq(link.organization.as_str()),
            guest_links::grant_id.eq(link.grant.as_str()),
            guest_links::secret_digest.eq(hexadecimal(secret_digest)),
            guest_links::phones_limit.eq(i64::from(link.terms.phones)),
            guest_links::starts_at_ms.eq(link.terms.starts_at.as_millis()),
            guest_links::ends_at_ms.eq(link.terms.ends_at.as_millis()),
            guest_links::made_by.eq(link.made_by.as_str()),
            guest_links::created_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Makes the grant's standing link void, and gives it; `None` where none stands.
pub fn void(conn: &mut Conn, grant: &GrantId, at: Timestamp) -> Result<Option<GuestLink>, StoreError> {
    let Some(link) = find(conn, grant)? else {
        return Ok(None);
    };
    let voided = diesel::update(
        guest_links::table
            .find(link.id.as_str())
            .filter(guest_links::voided_at_ms.is_null()),
    )
    .set(guest_links::voided_at_ms.eq(at.as_millis()))
    .execute(conn)?;
    Ok((voided > 0).then_some(link))
}

/// The standing link of the grant.
pub fn find(conn: &mut Conn, grant: &GrantId) -> Result<Option<GuestLink>, StoreError> {
    let row: Option<Row> = guest_links::table
        .filter(guest_links::grant_id.eq(grant.as_str()))
        .filter(guest_links::voided_at_ms.is_null())
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The standing link whose secret has this digest.
pub fn find_by_secret(conn: &mut Conn, secret_digest: &[u8; 32]) -> Result<Option<GuestLink>, StoreError> {
    let row: Option<Row> = guest_links::table
        .filter(guest_links::secret_digest.eq(hexadecimal(secret_digest)))
        .filter(guest_links::voided_at_ms.is_null())
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// Keeps the link from being made void until this transaction ends, and other phones from redeeming it meanwhile; says
/// whether it stands. Taken after locks and rights.
pub fn keep(conn: &mut Conn, id: &LinkId) -> Result<bool, StoreError> {
    let kept = diesel::update(
        guest_links::table
            .find(id.as_str())
            .filter(guest_links::voided_at_ms.is_null()),
    )
    .set(guest_links::phones_limit.eq(guest_links::phones_limit))
    .execute(conn)?;
    Ok(kept > 0)
}

/// Binds the link to a phone.
pub fn bind(conn: &mut Conn, id: &LinkId, phone: &PhoneId, at: Timestamp) -> Result<(), StoreError> {
    diesel::insert_into(guest_link_phones::table)
        .values((
            guest_link_phones::link_id.eq(id.as_str()),
            guest_link_phones::phone_id.eq(phone.as_str()),
            guest_link_phones::redeemed_at_ms.eq(at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The phones that have redeemed the link, and when, the first one first.
pub fn redeemed(conn: &mut Conn, id: &LinkId) -> Result<Vec<(PhoneId, Timestamp)>, StoreError> {
    let rows: Vec<(String, i64)> = guest_link_phones::table
        .filter(guest_link_phones::link_id.eq(id.as_str()))
        .order((guest_link_phones::redeemed_at_ms, guest_link_phones::phone_id))
        .select((guest_link_phones::phone_id, guest_link_phones::redeemed_at_ms))
        .load(conn)?;
    rows.iter()
        .map(|(phone, ms)| Ok((parsed(phone)?, Timestamp::from_millis(*ms))))
        .collect()
}

/// The phones that came by links of the grant which are void, and were not removed yet, with their owners.
pub fn phones_left(conn: &mut Conn, grant: &GrantId) -> Result<Vec<(PhoneId, PersonId)>, StoreError> {
    let rows: Vec<(String, String)> = guest_link_phones::table
        .inner_join(guest_links::table)
        .inner_join(phones::table)
        .filter(guest_links::grant_id.eq(grant.as_str()))
        .filter(guest_links::voided_at_ms.is_not_null())
        .filter(phones::removed_at_ms.is_null())
        .order(phones::id)
        .select((phones::id, phones::person_id))
        .distinct()
        .load(conn)?;
    rows.iter()
        .map(|(phone, person)| Ok((parsed(phone)?, parsed(person)?)))
        .collect()
}

type ReachRow = (String, i64, i64, Option<i64>);

/// How far a session reaches at `now` that began by this link from this phone; `None` where the link is void or over,
/// its grant ended or taken back, or the phone removed.
pub fn reach(conn: &mut Conn, id: &LinkId, phone: &PhoneId, now: Timestamp) -> Result<Option<Reach>, StoreError> {
    let phone_stands = phones::table
        .find(phone.as_str())
        .filter(phones::removed_at_ms.is_null());
    let row: Option<ReachRow> = guest_links::table
        .inner_join(grants::table)
        .filter(guest_links::id.eq(id.as_str()))
        .filter(guest_links::voided_at_ms.is_null())
        .filter(guest_links::ends_at_ms.gt(now.as_millis()))
        .filter(grants::revoked_at_ms.is_null())
        .filter(grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(now.as_millis())))
        .filter(diesel::dsl::exists(phone_stands))
        .select((
            guest_links::grant_id,
            guest_links::starts_at_ms,
            guest_links::ends_at_ms,
            grants::ends_at_ms,
        ))
        .first(conn)
        .optional()?;
    let Some((grant, starts_at, ends_at, grant_ends_at)) = row else {
        return Ok(None);
    };
    let ends_at = Timestamp::from_millis(ends_at);
    Ok(Some(Reach {
        link: id.clone(),
        phone: phone.clone(),
        grant: parsed(&grant)?,
        starts_at: Timestamp::from_millis(starts_at),
        ends_at: instant(grant_ends_at).map_or(ends_at, |end| end.min(ends_at)),
    }))
}
