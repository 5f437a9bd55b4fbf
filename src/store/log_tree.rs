//! The Merkle tree over an organization's access log ([`crate::crypto::merkle`]), and how far it has come.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;

use super::columns::parsed;
use super::kept::Kept;
use super::schema::{access_log, access_log_heads, log_tiles, log_trees};
use super::{Conn, StoreError};
use crate::crypto::merkle::{Hash, TileId};
use crate::domain::access_log::visibility::Sight;
use crate::domain::ids::OrganizationId;
use crate::domain::time::Timestamp;

/// How far an organization's log is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// How many entries are in the tree.
    pub size: u64,
    /// The number of the log's last entry.
    pub last_seq: i64,
}

/// Begins the tree of a new organization's log.
pub fn begin(conn: &mut Conn, organization: &OrganizationId, now: Timestamp) -> Result<(), StoreError> {
    diesel::insert_into(log_trees::table)
        .values((
            log_trees::organization_id.eq(organization.as_str()),
            log_trees::size.eq(0),
            log_trees::sealed_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The organizations whose logs have entries that are not in their trees, at most `limit`.
pub fn unsealed(conn: &mut Conn, limit: i64) -> Result<Vec<OrganizationId>, StoreError> {
    let ids: Vec<String> = access_log_heads::table
        .inner_join(log_trees::table.on(log_trees::organization_id.eq(access_log_heads::organization_id)))
        .filter(access_log_heads::last_seq.gt(log_trees::size))
        .order(log_trees::sealed_at_ms)
        .limit(limit)
        .select(access_log_heads::organization_id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// How far the log is sealed.
///
/// # Errors
/// [`StoreError::Missing`] where there is no such organization.
pub fn sealed(conn: &mut Conn, organization: &OrganizationId) -> Result<Sealed, StoreError> {
    let (size, last_seq): (i64, i64) = log_trees::table
        .inner_join(access_log_heads::table.on(access_log_heads::organization_id.eq(log_trees::organization_id)))
        .filter(log_trees::organization_id.eq(organization.as_str()))
        .select((log_trees::size, access_log_heads::last_seq))
        .get_result(conn)
        .optional()?
        .ok_or(StoreError::Missing)?;
    Ok(Sealed {
        size: u64::try_from(size).map_err(StoreError::corrupt)?,
        last_seq,
    })
}

/// The same, held until the end of the transaction: one at a time makes a tree grow.
///
/// # Errors
/// [`StoreError::Missing`] where there is no such organization.
pub fn hold(conn: &mut Conn, organization: &OrganizationId) -> Result<Sealed, StoreError> {
    diesel::update(log_trees::table.find(organization.as_str()))
        .set(log_trees::size.eq(log_trees::size))
        .execute(conn)?;
    sealed(conn, organization)
}

/// The tree has that size now.
pub fn set_sealed(conn: &mut Conn, organization: &OrganizationId, size: u64, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(log_trees::table.find(organization.as_str()))
        .set((
            log_trees::size.eq(i64::try_from(size).map_err(StoreError::corrupt)?),
            log_trees::sealed_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The leaves of the entries after the number `after`, at most `limit`, by their numbers, and how much of each staff see.
pub fn leaves(
    conn: &mut Conn,
    organization: &OrganizationId,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Option<Hash>, Sight)>, StoreError> {
    let rows: Vec<(i64, Option<String>, String)> = access_log::table
        .filter(access_log::organization_id.eq(organization.as_str()))
        .filter(access_log::seq.gt(after))
        .order(access_log::seq)
        .limit(limit)
        .select((access_log::seq, access_log::leaf, access_log::staff_sees))
        .load(conn)?;
    let leaves = rows.into_iter().map(|(seq, leaf, staff_sees)| {
        let leaf = leaf.as_deref().map(leaf_of).transpose()?;
        Ok((seq, leaf, parsed(&staff_sees)?))
    });
    leaves.collect()
}

/// A tile; empty where there is none.
pub fn tile(conn: &mut Conn, organization: &OrganizationId, id: TileId) -> Result<Vec<Hash>, StoreError> {
    let position = i64::try_from(id.index).map_err(StoreError::corrupt)?;
    let hashes: Option<String> = log_tiles::table
        .find((organization.as_str(), i64::from(id.level), position))
        .select(log_tiles::hashes)
        .get_result(conn)
        .optional()?;
    let bytes = STANDARD
        .decode(hashes.unwrap_or_default())
        .map_err(StoreError::corrupt)?;
    let (hashes, _) = bytes.as_chunks();
    Ok(hashes.to_vec())
}

/// Keeps a tile in the place of the one that it has grown from.
pub fn set_tile(conn: &mut Conn, organization: &OrganizationId, id: TileId, tile: &[Hash]) -> Result<(), StoreError> {
    let position = i64::try_from(id.index).map_err(StoreError::corrupt)?;
    let hashes = STANDARD.encode(tile.as_flattened());
    let place = (organization.as_str(), i64::from(id.level), position);
    let grown = Kept(diesel::update(log_tiles::table.find(place)).set(log_tiles::hashes.eq(&hashes))).execute(conn)?;
    if grown == 0 {
        let (organization, level, position) = place;
        diesel::insert_into(log_tiles::table)
            .values((
                log_tiles::organization_id.eq(organization),
                log_tiles::level.eq(level),
                log_tiles::position.eq(position),
                log_tiles::hashes.eq(&hashes),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// A leaf as the log holds it: 64 hexadecimal digits.
pub(super) fn leaf_of(digits: &str) -> Result<Hash, StoreError> {
    let half = |digits: Option<&str>| u128::from_str_radix(digits.unwrap_or_default(), 16).map_err(StoreError::corrupt);
    let (first, second) = (half(digits.get(..32))?, half(digits.get(32..64))?);
    let mut hash = Hash::default();
    hash[..16].copy_from_slice(&first.to_be_bytes());
    hash[16..].copy_from_slice(&second.to_be_bytes());
    Ok(hash)
}
