//! What the database has done, counted for the metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The upper bounds, inclusive, of the buckets of [`Statistics::commit_sizes`]; the last bucket has none.
pub const COMMIT_SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// What the database has done since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions of writers that could not begin or commit.
    pub failed_commits: u64,
    /// Pieces of work in those commits.
    pub committed: u64,
    /// Pieces of work that were undone because they failed.
    pub undone: u64,
    /// Commits by the number of their pieces, one count a bucket (not added up), see [`COMMIT_SIZES`].
    pub commit_sizes: [u64; COMMIT_SIZES.len() + 1],
    /// Reads that wait for a connection now.
    pub reads_waiting: usize,
    /// Writes that wait for a connection now.
    pub writes_waiting: usize,
}

#[derive(Default)]
pub(super) struct Counters {
    failed_commits: AtomicU64,
    committed: AtomicU64,
    undone: AtomicU64,
    commit_sizes: [AtomicU64; COMMIT_SIZES.len() + 1],
}

impl Counters {
    /// One commit of this many pieces.
    pub(super) fn count_commit(&self, pieces: usize) {
        let pieces = u64::try_from(pieces).unwrap_or(u64::MAX);
        self.committed.fetch_add(pieces, Relaxed);
        self.commit_sizes[COMMIT_SIZES.partition_point(|bound| *bound < pieces)].fetch_add(1, Relaxed);
    }

    /// One transaction that could not begin or commit.
    pub(super) fn count_failed_commit(&self) {
        self.failed_commits.fetch_add(1, Relaxed);
    }

    /// One piece that failed.
    pub(super) fn count_undone(&self) {
        self.undone.fetch_add(1, Relaxed);
    }

    pub(super) fn statistics(&self, reads_waiting: usize, writes_waiting: usize) -> Statistics {
        Statistics {
            failed_commits: self.failed_commits.load(Relaxed),
            committed: self.committed.load(Relaxed),
            undone: self.undone.load(Relaxed),
            commit_sizes: std::array::from_fn(|bucket| self.commit_sizes[bucket].load(Relaxed)),
            reads_waiting,
            writes_waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_in_the_bucket_of_its_size() {
        let counters = Counters::default();
        for (pieces, bucket) in [(1, 0), (2, 1), (3, 2), (4, 2), (256, 8), (257, 9), (10_000, 9)] {
            let before = counters.statistics(0, 0).commit_sizes[bucket];
            counters.count_commit(pieces);
            assert_eq!(counters.statistics(0, 0).commit_sizes[bucket], before + 1, "{pieces}");
        }
    }
}
