//! The access log as evidence: its entries are sealed into a Merkle tree, of which checkpoints are signed, and each of them
//! is proven by it ([`crate::crypto::merkle`], [`crate::crypto::note`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::access_log::{Filter, NamedEntry, View, named, used_by};
use super::{App, Error, What};
use crate::crypto::leaf::in_tree;
use crate::crypto::log_key::LogKey;
use crate::crypto::merkle::{Hash, NO_LEAF, TileId, Tree, leaf_hash};
use crate::crypto::note::Checkpoint;
use crate::domain::access_log::visibility::{Reader, Sight};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{LookId, OrganizationId};
use crate::domain::time::Timestamp;
use crate::store::access_log::{Order, Seen};
use crate::store::log_tree::Sealed;
use crate::store::{Conn, StoreError, access_log, log_tree};

/// How many entries are sealed in one transaction: a few milliseconds of the writer.
const SEALED_AT_ONCE: i64 = 1024;

/// How many organizations are looked after in one round.
const LOGS_A_ROUND: i64 = 1000;

/// A signed state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Whose log.
    pub organization: OrganizationId,
    /// How many entries it speaks of.
    pub size: u64,
    /// The note (<https://c2sp.org/tlog-checkpoint>).
    pub note: String,
    /// The key that signed it, as auditors keep it.
    pub key: String,
    /// When the last of these entries was written down; none of an empty log.
    pub as_of: Option<Timestamp>,
}

/// What this process has signed last of each log: it signs no other past after that.
#[derive(Default)]
pub(super) struct Signed(Mutex<HashMap<OrganizationId, (u64, Hash)>>);

impl Signed {
    fn of(&self, organization: &OrganizationId) -> Option<(u64, Hash)> {
        let signed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        signed.get(organization).copied()
    }

    /// Remembers the state, and says whether it is further than what was known.
    fn remember(&self, organization: &OrganizationId, state: (u64, Hash)) {
        let mut signed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = signed.entry(organization.clone()).or_insert(state);
        // Of two that seal at once the slower must not bring an older state back.
        if known.0 < state.0 {
            *known = state;
        }
    }
}

/// What proves an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// The entry's leaf; none before it is sealed, of an entry of before leaves were made.
    pub leaf: Option<Hash>,
    /// How much of the entry staff see; none where the entry is gone.
    pub staff_sees: Option<Sight>,
    /// The salt under which it is this entry's; where not all of the entry is shown, none.
    pub salt: Option<u128>,
    /// What the tree says.
    pub tree: InTree,
}

/// What the tree says of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InTree {
    /// The hash that stands in it for the entry: for whoever has those of all entries.
    Node(Hash),
    /// The way from there to the root: for whoever has some entries.
    Path(Vec<Hash>),
}

/// An entry of an export, with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evident {
    /// Its number.
    pub seq: i64,
    /// The entry, as far as it is for the reader.
    pub shown: Option<NamedEntry>,
    /// What proves it.
    pub proof: EntryProof,
}

impl App {
    /// Seals what the logs have and their trees do not. Says how many entries that were.
    ///
    /// # Errors
    /// The first of those that sealing a log met; the others are sealed all the same.
    pub async fn seal_logs(&self) -> Result<usize, Error> {
        let unsealed = self.db.read(|conn| log_tree::unsealed(conn, LOGS_A_ROUND)).await?;
        let (mut sealed, mut first) = (0, None);
        for organization in unsealed {
            match self.seal(&organization).await {
                Ok(entries) => sealed += entries,
                Err(error) => first = first.or(Some(error)),
            }
        }
        first.map_or(Ok(sealed), Err)
    }

    /// Seals what this log has by now.
    async fn seal(&self, organization: &OrganizationId) -> Result<usize, Error> {
        let mut sealed = 0;
        loop {
            let (now, organization, known) = (self.now(), organization.clone(), self.signed.of(organization));
            let of = organization.clone();
            let part = self.db.write(move |conn| seal_part(conn, &of, known, now)).await;
            let Some(part) = part.inspect_err(|error| tell_of_rewriting(error, &organization))? else {
                return Ok(sealed);
            };
            self.signed.remember(&organization, (part.size, part.root));
            sealed += part.entries;
        }
    }

    /// A signed state of the log: for whoever views it, with all that stands in it now; for others, up to the last entry that is for
    /// them, so that they cannot tell from its growing when a neighbour comes home.
    ///
    /// # Errors
    /// Only those of the database, and where somebody has rewritten the log.
    pub async fn checkpoint(&self, view: &View) -> Result<SignedCheckpoint, Error> {
        let (of, reader) = (view.organization.clone(), view.reader_at(self.now()));
        let read = move |conn: &mut Conn| {
            let sealed = log_tree::sealed(conn, &of)?;
            let last = if reader.views {
                sealed.last_seq
            } else {
                let (filter, order) = (Filter::default(), Order::NewestFirst);
                let newest = access_log::entries(conn, &of, &filter, &reader, order, None, 1)?;
                newest.first().map_or(0, |seen| seen.entry.seq)
            };
            let size = u64::try_from(last).map_err(StoreError::corrupt)?;
            Ok::<_, Error>((size, size > sealed.size))
        };
        let (size, is_behind) = self.db.read(read).await?;
        if is_behind {
            self.seal(&view.organization).await?;
        }
        let (key, organization) = (Arc::clone(&self.log_key), view.organization.clone());
        let known = self.signed.of(&organization);
        let signing = move |conn: &mut Conn| {
            refuse_rewritten(conn, &organization, known)?;
            signed(conn, &key, organization, size)
        };
        let signed = self.db.read(signing).await;
        signed.inspect_err(|error| tell_of_rewriting(error, &view.organization))
    }

    /// The entry of that number, as the reader sees it, and its proof in the log of which `checkpoint` speaks.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or nothing of it is for the reader.
    pub async fn prove_entry(
        &self,
        view: View,
        seq: i64,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(NamedEntry, EntryProof), Error> {
        let (filter, after) = (Filter::default(), seq.saturating_sub(1));
        let part = self.evidence_of_some(view, filter, after, 1, checkpoint.size).await?;
        let found = part.into_iter().find(|evident| evident.seq == seq);
        let found = found.and_then(|evident| Some((evident.shown?, evident.proof)));
        found.ok_or(Error::NotFound(What::LogEntry))
    }

    /// What shows that the log of `from` entries is the beginning of the log of `to` entries.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless `from` is from 1 to `to`, and `to` no more than the reader's checkpoint speaks of.
    pub async fn prove_growth(&self, view: View, from: u64, to: u64) -> Result<Vec<Hash>, Error> {
        let most = self.checkpoint(&view).await?.size;
        let known = self.signed.of(&view.organization);
        self.db
            .read(move |conn| {
                refuse_rewritten(conn, &view.organization, known)?;
                if to > most {
                    return Err(Error::invalid("to", "it is no more than your checkpoint says"));
                }
                if !(1..=to).contains(&from) {
                    return Err(Error::invalid("from", "a log grows: from 1 to the other number"));
                }
                tree(conn, &view.organization, to).consistency(from)
            })
            .await
    }

    /// The next part of an export with what proves it, those after the number `after` and among the first `size`, the oldest
    /// first. Whoever views the whole log, unfiltered, gets every entry's leaf, also of entries that are not for them.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn evidence(
        &self,
        view: View,
        filter: Filter,
        after: i64,
        most: u16,
        size: u64,
    ) -> Result<Vec<Evident>, Error> {
        match view.has_all(&filter) {
            true => self.evidence_of_all(view, after, most, size).await,
            false => self.evidence_of_some(view, filter, after, most, size).await,
        }
    }

    async fn evidence_of_some(
        &self,
        view: View,
        filter: Filter,
        after: i64,
        most: u16,
        size: u64,
    ) -> Result<Vec<Evident>, Error> {
        let reader = view.reader_at(self.now());
        let (part, used) = self
            .db
            .read(move |conn| {
                let (organization, order) = (&view.organization, Order::OldestFirst);
                let mut seen = access_log::entries(
                    conn,
                    organization,
                    &filter,
                    &reader,
                    order,
                    Some(after),
                    i64::from(most),
                )?;
                seen.retain(|seen| index(seen.entry.seq).is_some_and(|index| index < size));
                let mut tree = tree(conn, organization, size);
                let mut proofs = Vec::with_capacity(seen.len());
                for seen in &seen {
                    let path = tree.inclusion(index(seen.entry.seq).unwrap_or_default())?;
                    proofs.push(proof(seen, InTree::Path(path)));
                }
                drop(tree);
                let used = used_by(&reader, &seen);
                Ok::<_, Error>((evident(conn, seen, proofs)?, used))
            })
            .await?;
        self.mark_used(used).await?;
        Ok(part)
    }

    async fn evidence_of_all(&self, view: View, after: i64, most: u16, size: u64) -> Result<Vec<Evident>, Error> {
        let reader = view.reader_at(self.now());
        let (part, used) = self
            .db
            .read(move |conn| all(conn, &view, &reader, after, most, size))
            .await?;
        self.mark_used(used).await?;
        Ok(part)
    }
}

/// What was sealed at once.
struct Part {
    entries: usize,
    size: u64,
    root: Hash,
}

/// Adds to the tree what the log has beyond it, at most [`SEALED_AT_ONCE`] entries; `None` where there is nothing. What is not as it was written
/// down is sealed so, with an alarm that says it: then it shows for ever, and nobody waits for it.
fn seal_part(
    conn: &mut Conn,
    organization: &OrganizationId,
    known: Option<(u64, Hash)>,
    now: Timestamp,
) -> Result<Option<Part>, Error> {
    let Sealed {
        size: before, last_seq, ..
    } = log_tree::hold(conn, organization)?;
    refuse_rewritten(conn, organization, known)?;
    let first = i64::try_from(before).map_err(StoreError::corrupt)?;
    let last = last_seq.min(first.saturating_add(SEALED_AT_ONCE));
    if last <= first {
        return Ok(None);
    }
    let mut found = access_log::leaves_to_seal(conn, organization, first, SEALED_AT_ONCE)?
        .into_iter()
        .peekable();
    let (mut leaves, mut doubts) = (Vec::new(), Vec::new());
    for seq in first + 1..=last {
        let leaf = found.next_if(|leaf| leaf.seq == seq);
        if leaf.is_none_or(|leaf| !leaf.is_its_own) {
            doubts.push((seq, leaf));
        }
        leaves.push(match leaf.and_then(|leaf| Some((leaf.hash?, leaf.staff_sees))) {
            Some((hash, staff_sees)) => leaf_hash(&in_tree(&hash, staff_sees.as_str())),
            None => leaf_hash(&NO_LEAF),
        });
    }
    let (entries, size) = (leaves.len(), before + leaves.len() as u64);
    let mut tree = tree(conn, organization, before);
    let tiles = tree.grow(leaves)?;
    let root = tree.root()?;
    drop(tree);
    for (id, tile) in tiles {
        log_tree::set_tile(conn, organization, id, &tile)?;
    }
    log_tree::set_sealed(conn, organization, size, now)?;
    for (seq, leaf) in doubts {
        tracing::error!(%organization, seq, "an entry of the access log is not as it was written down");
        let reason = leaf.map_or("log-entry-missing", |_| "log-entry-changed");
        let entry = NewEntry {
            reason: Some(reason.to_owned()),
            detail: Some(serde_json::json!({ "seq": seq })),
            ..NewEntry::new(Kind::Alarm, now)
        };
        access_log::append(conn, organization, &entry, now)?;
    }
    Ok(Some(Part { entries, size, root }))
}

/// Refuses to go on where the log does not begin as it was when this process signed it last.
fn refuse_rewritten(conn: &mut Conn, organization: &OrganizationId, known: Option<(u64, Hash)>) -> Result<(), Error> {
    if let Some((size, root)) = known
        && (log_tree::sealed(conn, organization)?.size < size || tree(conn, organization, size).root()? != root)
    {
        return Err(Error::Internal("reading a log", Rewritten.into()));
    }
    Ok(())
}

/// The database has another past than the one that was signed.
#[derive(Debug, thiserror::Error)]
#[error("the log's past is not the one that was signed before")]
struct Rewritten;

fn tell_of_rewriting(error: &Error, organization: &OrganizationId) {
    if let Error::Internal(_, cause) = error
        && cause.is::<Rewritten>()
    {
        tracing::error!(%organization, "somebody has rewritten this access log: nothing more of it is signed");
    }
}

/// The state of the log at that size, signed.
fn signed(conn: &mut Conn, key: &LogKey, organization: OrganizationId, size: u64) -> Result<SignedCheckpoint, Error> {
    let root = tree(conn, &organization, size).root()?;
    let last = i64::try_from(size).map_err(StoreError::corrupt)?;
    let as_of = access_log::recorded_at(conn, &organization, last)?;
    let note = key.sign(&Checkpoint {
        origin: key.origin(&organization),
        size,
        root,
        as_of,
    });
    Ok(SignedCheckpoint {
        note,
        key: key.public(&organization).to_string(),
        organization,
        size,
        as_of,
    })
}

/// The tree over the first `size` entries.
fn tree<'a>(
    conn: &'a mut Conn,
    organization: &'a OrganizationId,
    size: u64,
) -> Tree<impl FnMut(TileId) -> Result<Vec<Hash>, Error> + use<'a>> {
    Tree::new(size, move |id| Ok(log_tree::tile(conn, organization, id)?))
}

/// Every entry after the number `after`, whether or not the reader sees it.
fn all(
    conn: &mut Conn,
    view: &View,
    reader: &Reader,
    after: i64,
    most: u16,
    size: u64,
) -> Result<(Vec<Evident>, Vec<LookId>), Error> {
    let organization = &view.organization;
    let end = after
        .saturating_add(i64::from(most))
        .min(i64::try_from(size).map_err(StoreError::corrupt)?);
    let mut leaves = log_tree::leaves(conn, organization, after, i64::from(most))?
        .into_iter()
        .peekable();
    let (order, filter) = (Order::OldestFirst, Filter::default());
    let mut seen = access_log::entries(conn, organization, &filter, reader, order, Some(after), i64::from(most))?;
    seen.retain(|seen| seen.entry.seq <= end);
    let used = used_by(reader, &seen);
    let salts: Vec<(i64, Option<u128>)> = seen.iter().map(|seen| (seen.entry.seq, seen.salt)).collect();
    let mut shown = salts.into_iter().zip(named(conn, seen)?).peekable();
    let mut tree = tree(conn, organization, size);
    let mut evident = Vec::new();
    for seq in after + 1..=end {
        // An entry that somebody took out of the database has neither; that its place is empty is what is proven.
        let found = leaves.next_if(|(at, ..)| *at == seq);
        let (leaf, staff_sees) = found.map_or((None, None), |(_, leaf, sees)| (leaf, Some(sees)));
        let found = shown.next_if(|((at, _), _)| *at == seq);
        let (salt, entry) = found.map(|((_, salt), entry)| (salt, entry)).unzip();
        let node = tree.node(index(seq).unwrap_or_default())?;
        evident.push(Evident {
            seq,
            shown: entry,
            proof: EntryProof {
                leaf,
                staff_sees,
                salt: salt.flatten(),
                tree: InTree::Node(node),
            },
        });
    }
    Ok((evident, used))
}

/// The place of an entry in the tree; none of a number that no entry has.
fn index(seq: i64) -> Option<u64> {
    u64::try_from(seq).ok()?.checked_sub(1)
}

fn proof(seen: &Seen, tree: InTree) -> EntryProof {
    EntryProof {
        leaf: seen.leaf,
        staff_sees: Some(seen.staff_sees),
        salt: seen.salt,
        tree,
    }
}

fn evident(conn: &mut Conn, seen: Vec<Seen>, proofs: Vec<EntryProof>) -> Result<Vec<Evident>, Error> {
    let shown = named(conn, seen)?.into_iter().zip(proofs);
    let evident = shown.map(|(shown, proof)| Evident {
        seq: shown.entry.seq,
        shown: Some(shown),
        proof,
    });
    Ok(evident.collect())
}
