//! How whole a lock's events are.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::chain::{self, Progress};

/// How many gaps are told.
const TOLD_GAPS: usize = 16;

/// The events of a lock, as far as they are here.
#[derive(Serialize, ToSchema)]
pub(super) struct Chain {
    status: Status,
    /// How many are stored without a gap, since its present controller enrolled.
    events: u64,
    /// The first gaps. The lock is asked for them with each of its hellos, and whenever it tells of something behind them.
    missing: Vec<Missing>,
}

/// The state of a chain in a word.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Status {
    /// Nothing was heard of it yet.
    None,
    /// Everything that it has told of is here.
    Whole,
    /// Something is missing.
    Gap,
    /// Two histories of it were seen; nothing opens it until another controller takes its place.
    Quarantined,
}

/// Events that are missing, both ends included.
#[derive(Serialize, ToSchema)]
struct Missing {
    from: u64,
    to: u64,
}

impl Chain {
    /// The chain as it is told.
    pub(super) fn of(progress: &Progress, is_quarantined: bool) -> Self {
        let missing = progress.missing();
        let status = match (is_quarantined, missing.is_empty(), progress.chain.is_some()) {
            (true, ..) => Status::Quarantined,
            (false, false, _) => Status::Gap,
            (false, true, true) => Status::Whole,
            (false, true, false) => Status::None,
        };
        Self {
            status,
            events: progress.events,
            missing: missing
                .iter()
                .take(TOLD_GAPS)
                .map(|&chain::Missing { from, to }| Missing { from, to })
                .collect(),
        }
    }
}
