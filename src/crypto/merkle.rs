//! The Merkle tree over a log (RFC 6962, section 2.1): what a proof needs is at hand however long the log is.
//!
//! Of the tree only the hashes of complete subtrees of 256^k leaves are kept, 256 to a tile: the n-th tile of level k has
//! those over the leaves from n * 256^(k+1) on, as in <https://c2sp.org/tlog-tiles>. Everything else is made from a handful
//! of tiles, those above one leaf and those at the right edge.

use std::collections::HashMap;

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof, indices_for_inclusion_proof,
};
use sha2::{Digest as _, Sha256};

/// A hash of the tree.
pub type Hash = [u8; 32];

/// What stands in the tree for an entry that was not there, or had no leaf, when it was sealed: no digest is so.
pub const NO_LEAF: Hash = [0; 32];

/// How many hashes a full tile has.
pub const TILE: usize = 1 << TILE_HEIGHT;

/// How many levels of the tree lie in a tile.
const TILE_HEIGHT: u32 = 8;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Of subtrees of 256^level leaves.
    pub level: u32,
    /// The number among the tiles of the level, from 0.
    pub index: u64,
}

/// A tile lacks a hash that the tree's size promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log's tree lacks a hash in tile {} of level {}", .0.index, .0.level)]
pub struct Torn(pub TileId);

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]).chain_update(left).chain_update(right);
    hash.finalize().into()
}

/// The hash over a complete subtree, of the hashes one or more levels below.
fn over(hashes: &[Hash]) -> Hash {
    match hashes {
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            node_hash(&over(left), &over(right))
        }
    }
}

/// A tree of so many leaves, whose tiles are read as they are needed.
pub struct Tree<Read> {
    size: u64,
    read: Read,
    tiles: HashMap<TileId, Vec<Hash>>,
}

impl<Read, Error> Tree<Read>
where
    Read: FnMut(TileId) -> Result<Vec<Hash>, Error>,
    Error: From<Torn>,
{
    /// The tree over the first `size` leaves; `read` gives tiles of it or of one that has grown from it.
    pub fn new(size: u64, read: Read) -> Self {
        Self {
            size,
            read,
            tiles: HashMap::new(),
        }
    }

    /// The hash of the whole tree; that of none is the hash of nothing.
    ///
    /// # Errors
    /// Those of reading, and [`Torn`].
    pub fn root(&mut self) -> Result<Hash, Error> {
        match self.size {
            0 => Ok(nothing()),
            size => self.subtree(height(size), 0),
        }
    }

    /// The hash of the leaf `index`, below the size.
    ///
    /// # Errors
    /// Those of reading, and [`Torn`].
    pub fn node(&mut self, index: u64) -> Result<Hash, Error> {
        self.subtree(0, index)
    }

    /// The way from the leaf `index`, below the size, to the root: `PATH(index, D[size])`.
    ///
    /// # Errors
    /// Those of reading, and [`Torn`].
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, Error> {
        self.nodes(indices_for_inclusion_proof(self.size, index))
    }

    /// What shows that the tree over the first `earlier` leaves, 1 to all, is the beginning of this one:
    /// `PROOF(earlier, D[size])`.
    ///
    /// # Errors
    /// Those of reading, and [`Torn`].
    pub fn consistency(&mut self, earlier: u64) -> Result<Vec<Hash>, Error> {
        self.nodes(indices_for_consistency_proof(earlier, self.size - earlier))
    }

    /// Adds leaves, by their hashes, and gives the tiles that changed.
    ///
    /// # Errors
    /// Those of reading, and [`Torn`].
    pub fn grow(&mut self, leaves: Vec<Hash>) -> Result<Vec<(TileId, Vec<Hash>)>, Error> {
        let mut changed = Vec::new();
        let (mut level, mut new) = (0, leaves);
        self.size += new.len() as u64;
        let mut stand = self.size - new.len() as u64;
        while !new.is_empty() {
            let mut above = Vec::new();
            let mut rest = new.as_slice();
            let stood = stand;
            while !rest.is_empty() {
                let id = TileId {
                    level,
                    index: stand / TILE as u64,
                };
                let held = usize::try_from(stand % TILE as u64).unwrap_or(0);
                let mut tile = match held {
                    0 => Vec::new(),
                    _ => self.tile(id)?.get(..held).ok_or(Torn(id))?.to_vec(),
                };
                let (taken, left) = rest.split_at(rest.len().min(TILE - held));
                tile.extend(taken);
                stand += taken.len() as u64;
                rest = left;
                if tile.len() == TILE {
                    above.push(over(&tile));
                }
                self.tiles.insert(id, tile.clone());
                changed.push((id, tile));
            }
            (level, new, stand) = (level + 1, above, stood / TILE as u64);
        }
        Ok(changed)
    }

    fn tile(&mut self, id: TileId) -> Result<&[Hash], Error> {
        if !self.tiles.contains_key(&id) {
            let tile = (self.read)(id)?;
            self.tiles.insert(id, tile);
        }
        Ok(self.tiles.get(&id).map(Vec::as_slice).unwrap_or_default())
    }

    /// The hash over the leaves from `position * 2^level` on, 2^level of them or as many as there are.
    fn subtree(&mut self, level: u32, position: u64) -> Result<Hash, Error> {
        if (position + 1) << level > self.size {
            let right = (2 * position + 1) << (level - 1);
            return if right >= self.size {
                self.subtree(level - 1, 2 * position)
            } else {
                let left = self.subtree(level - 1, 2 * position)?;
                Ok(node_hash(&left, &self.subtree(level - 1, 2 * position + 1)?))
            };
        }
        let (above, width) = (level / TILE_HEIGHT, 1 << (level % TILE_HEIGHT));
        let first = position * width;
        let id = TileId {
            level: above,
            index: first / TILE as u64,
        };
        let from = usize::try_from(first % TILE as u64).unwrap_or(0);
        let to = from + usize::try_from(width).unwrap_or(0);
        let hashes = self.tile(id)?.get(from..to).ok_or(Torn(id))?;
        Ok(over(hashes))
    }

    /// The hashes of nodes that are named by their place in the tree written from left to right: leaves at even places, and
    /// a node of height h over them ends in h ones.
    fn nodes(&mut self, places: Vec<u64>) -> Result<Vec<Hash>, Error> {
        let subtree = |place: u64| (place.trailing_ones(), place >> (place.trailing_ones() + 1));
        let nodes = places.into_iter().map(subtree);
        nodes.map(|(level, position)| self.subtree(level, position)).collect()
    }
}

/// The root of a tree of which every leaf passes by once, in their order: it keeps one hash for each level.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    /// The complete subtrees so far, the largest first, each with its height.
    subtrees: Vec<(u32, Hash)>,
}

impl Frontier {
    /// The next leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut new = (0, leaf);
        while let Some((height, left)) = self.subtrees.pop_if(|(height, _)| *height == new.0) {
            new = (height + 1, node_hash(&left, &new.1));
        }
        self.subtrees.push(new);
    }

    /// The hash of the whole tree so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let hashes = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        hashes
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(nothing)
    }
}

/// The hash of a tree without leaves.
#[must_use]
pub fn nothing() -> Hash {
    Sha256::digest([]).into()
}

/// The height of a tree of so many leaves, at least one.
fn height(size: u64) -> u32 {
    size.next_power_of_two().trailing_zeros()
}

/// A proof does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not hold")]
pub struct NotProven;

/// Checks that `leaf` is the one at `index` of the tree of `size` leaves with that root.
///
/// # Errors
/// [`NotProven`].
pub fn check_inclusion(root: &Hash, size: u64, index: u64, leaf: &[u8], proof: &[Hash]) -> Result<(), NotProven> {
    let proof = InclusionProof::<Sha256>::try_from_bytes(proof.concat()).map_err(|_| NotProven)?;
    let root = RootHash::<Sha256>::new((*root).into(), size);
    root.verify_inclusion(&leaf, index, &proof).map_err(|_| NotProven)
}

/// Checks that the tree of `earlier` leaves is the beginning of the one of `size` leaves.
///
/// # Errors
/// [`NotProven`].
pub fn check_consistency(earlier: (u64, &Hash), later: (u64, &Hash), proof: &[Hash]) -> Result<(), NotProven> {
    let proof = ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).map_err(|_| NotProven)?;
    let root = |(size, hash): (u64, &Hash)| RootHash::<Sha256>::new((*hash).into(), size);
    root(later)
        .verify_consistency(&root(earlier), &proof)
        .map_err(|_| NotProven)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    use super::*;

    type Kept = BTreeMap<TileId, Vec<Hash>>;

    fn leaf(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    fn tree(kept: &Kept, size: u64) -> Tree<impl FnMut(TileId) -> Result<Vec<Hash>, Torn>> {
        Tree::new(size, |id| kept.get(&id).cloned().ok_or(Torn(id)))
    }

    /// The tiles of a tree that grew in these steps.
    fn grown(steps: &[u64]) -> (Kept, u64) {
        let (mut kept, mut size) = (Kept::new(), 0);
        for step in steps {
            let new = (size..size + step).map(|number| leaf_hash(&leaf(number))).collect();
            let changed = tree(&kept, size).grow(new).unwrap();
            kept.extend(changed);
            size += step;
        }
        (kept, size)
    }

    fn reference(size: u64) -> MemoryBackedTree<Sha256, [u8; 8]> {
        let mut tree = MemoryBackedTree::new();
        (0..size).for_each(|number| tree.push(leaf(number)));
        tree
    }

    #[test]
    fn the_tree_is_that_of_the_rfc() {
        for size in (0..20).chain([255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 66_000]) {
            let (kept, size) = grown(&[size]);
            let expected: Hash = (*reference(size).root().as_bytes()).into();
            assert_eq!(tree(&kept, size).root().unwrap(), expected, "{size}");
            let mut frontier = Frontier::default();
            (0..size).for_each(|number| frontier.push(leaf_hash(&leaf(number))));
            assert_eq!(frontier.root(), expected, "{size}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn whatever_the_steps_every_leaf_and_every_beginning_is_proven(
            steps in prop::collection::vec(0_u64..600, 1..6), at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
        ) {
            let (kept, grown) = grown(&steps);
            prop_assume!(grown > 0);
            // A tree that has grown since proves what was true before.
            let size = cut.index(usize::try_from(grown).unwrap()) as u64 + 1;
            let mut now = tree(&kept, size);
            let root = now.root().unwrap();
            let expected: Hash = (*reference(size).root().as_bytes()).into();
            prop_assert_eq!(root, expected);
            let index = at.index(usize::try_from(size).unwrap()) as u64;
            let proof = now.inclusion(index).unwrap();
            check_inclusion(&root, size, index, &leaf(index), &proof).unwrap();
            prop_assert_eq!(check_inclusion(&root, size, index, &leaf(index + 1), &proof), Err(NotProven));

            let earlier = at.index(usize::try_from(size).unwrap()) as u64 + 1;
            let before = tree(&kept, earlier).root().unwrap();
            let proof = now.consistency(earlier).unwrap();
            check_consistency((earlier, &before), (size, &root), &proof).unwrap();
            let mut other = before;
            other[0] ^= 1;
            prop_assert_eq!(check_consistency((earlier, &other), (size, &root), &proof), Err(NotProven));
        }
    }

    #[test]
    fn a_proof_reads_few_tiles() {
        let (kept, size) = grown(&[70_000]);
        let read = std::cell::Cell::new(0);
        let mut counted = Tree::new(size, |id| {
            read.set(read.get() + 1);
            kept.get(&id).cloned().ok_or(Torn(id))
        });
        counted.inclusion(12_345).unwrap();
        assert!(read.get() <= 6, "{}", read.get());
    }

    #[test]
    fn a_torn_tree_says_so() {
        let (mut kept, size) = grown(&[700]);
        let id = TileId { level: 0, index: 2 };
        kept.get_mut(&id).unwrap().pop();
        assert_eq!(tree(&kept, size).root(), Err(Torn(id)));
    }
}
