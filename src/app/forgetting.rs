//! Forgetting what has been kept for its time (`docs/PRIVACY.md`): what log entries say, what locks signed, attempts, notices
//! and looks; who came to visits, what the desk saw at lock-outs, and what was proposed. What stays of an entry is its number,
//! its day and its leaf, and of the others what became of them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::proposals::Matter;
use super::{App, Error};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{OrganizationId, PropertyId};
use crate::domain::privacy::PrivacyRule;
use crate::domain::proposal::{Proposal, ProposalState};
use crate::domain::time::Timestamp;
use crate::store::access_log::forgetting::{self, Leaving};
use crate::store::{
    Conn, access_log, attempts, lock_events, lockouts, looks, notices, privacy, proposals, spare_asks, visits,
};

/// How much is forgotten in one transaction.
const A_PART: i64 = 500;

impl App {
    /// Forgets what is over, and on SQLite sees to it that the file and its log hold nothing of it either; says how much it
    /// was.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn forget_records(&self) -> Result<usize, Error> {
        // A day's entries at once, so that the log does not fill with what says that some were forgotten.
        let now = self.now().day_begin();
        let rules = self.db.read(|conn| Ok::<_, Error>(privacy::rules(conn)?)).await?;
        let usual = PrivacyRule::default().cutoff(now);
        let mut forgotten = self.forget_entries(None, usual).await?;
        let cutoffs: BTreeMap<PropertyId, Timestamp> = (rules.into_iter())
            .map(|(property, rule)| (property, rule.cutoff(now)))
            .collect();
        for (property, cutoff) in &cutoffs {
            let (property, cutoff) = (property.clone(), *cutoff);
            forgotten += self.forget_visits(property.clone(), cutoff).await?;
            forgotten += self.forget_entries(Some(property.clone()), cutoff).await?;
            forgotten += self.forget_events(property.clone(), cutoff).await?;
            forgotten += self.forget_attempts(property, cutoff).await?;
        }
        forgotten += self.forget_told(usual).await?;
        forgotten += self.forget_proposals(cutoffs, usual).await?;
        if forgotten > 0 {
            self.has_traces.store(true, Ordering::Relaxed);
        }
        self.wipe_traces().await?;
        Ok(forgotten)
    }

    /// Sees to it that what was forgotten is not left in SQLite's log. Where somebody reads an older state just then, the next
    /// round does it.
    pub(super) async fn wipe_traces(&self) -> Result<(), Error> {
        if self.has_traces.load(Ordering::Relaxed) && self.db.empty_log().await? {
            self.has_traces.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn forget_entries(&self, property: Option<PropertyId>, before: Timestamp) -> Result<usize, Error> {
        let mut forgotten = 0;
        loop {
            let property = property.clone();
            let due = move |conn: &mut _| Ok::<_, Error>(forgetting::older(conn, property.as_ref(), before, A_PART)?);
            let due = self.db.read(due).await?;
            let count = due.len();
            if count > 0 {
                let now = self.now();
                let forget = move |conn: &mut _| {
                    forgetting::forget(conn, &due)?;
                    write_down(conn, &due, now)
                };
                self.db.write(forget).await?;
            }
            forgotten += count;
            if !is_full(count) {
                return Ok(forgotten);
            }
        }
    }

    async fn forget_events(&self, property: PropertyId, before: Timestamp) -> Result<usize, Error> {
        let mut forgotten = 0;
        loop {
            let property = property.clone();
            let due = move |conn: &mut _| Ok::<_, Error>(lock_events::older(conn, &property, before, A_PART)?);
            let due = self.db.read(due).await?;
            let count = due.len();
            if count > 0 {
                let forget = move |conn: &mut _| Ok::<_, Error>(lock_events::forget(conn, &due)?);
                self.db.write(forget).await?;
            }
            forgotten += count;
            if !is_full(count) {
                return Ok(forgotten);
            }
        }
    }

    async fn forget_attempts(&self, property: PropertyId, before: Timestamp) -> Result<usize, Error> {
        let mut forgotten = 0;
        loop {
            let property = property.clone();
            let due = move |conn: &mut _| Ok::<_, Error>(attempts::older(conn, &property, before, A_PART)?);
            let due = self.db.read(due).await?;
            let count = due.len();
            if count > 0 {
                let forget = move |conn: &mut _| Ok::<_, Error>(attempts::forget(conn, &due)?);
                self.db.write(forget).await?;
            }
            forgotten += count;
            if !is_full(count) {
                return Ok(forgotten);
            }
        }
    }

    /// Forgets who came to visits and what the desk saw at lock-outs.
    async fn forget_visits(&self, property: PropertyId, before: Timestamp) -> Result<usize, Error> {
        let mut forgotten = 0;
        loop {
            let property = property.clone();
            let forget = move |conn: &mut _| {
                let visits = visits::forget(conn, &property, before, A_PART)?;
                Ok::<_, Error>((visits, lockouts::forget(conn, &property, before, A_PART)?))
            };
            let (visits, lockouts) = self.db.write(forget).await?;
            forgotten += visits + lockouts;
            if !is_full(visits) && !is_full(lockouts) {
                return Ok(forgotten);
            }
        }
    }

    /// Forgets what was proposed: with the time of its one property, or the usual one.
    async fn forget_proposals(
        &self,
        cutoffs: BTreeMap<PropertyId, Timestamp>,
        usual: Timestamp,
    ) -> Result<usize, Error> {
        let latest = cutoffs.values().copied().fold(usual, Timestamp::max);
        let (mut forgotten, mut after) = (0, None);
        loop {
            let cutoffs = cutoffs.clone();
            let (count, last, due) = self
                .db
                .read(move |conn| {
                    let settled = proposals::settled(conn, latest, after.as_ref(), A_PART)?;
                    let (count, last) = (settled.len(), settled.last().map(|proposal| proposal.id.clone()));
                    let mut due = Vec::new();
                    for proposal in settled {
                        let property = Matter::property_of(conn, &proposal)?;
                        let cutoff = property.and_then(|property| cutoffs.get(&property).copied());
                        if settled_at(&proposal) < cutoff.unwrap_or(usual) {
                            due.push(proposal.id);
                        }
                    }
                    Ok::<_, Error>((count, last, due))
                })
                .await?;
            if !due.is_empty() {
                forgotten += due.len();
                let forget = move |conn: &mut _| Ok::<_, Error>(proposals::forget(conn, &due)?);
                self.db.write(forget).await?;
            }
            if !is_full(count) {
                return Ok(forgotten);
            }
            after = last;
        }
    }

    /// Forgets what people were told and asked of each other, and looks that are long over.
    async fn forget_told(&self, before: Timestamp) -> Result<usize, Error> {
        let forget = move |conn: &mut _| {
            let notices = notices::forget_older(conn, before)?;
            let asks = spare_asks::forget(conn, before)?;
            Ok::<_, Error>(notices + asks + looks::forget(conn, before)?)
        };
        self.db.write(forget).await
    }
}

/// When it was decided, or was over because nobody did.
fn settled_at(proposal: &Proposal) -> Timestamp {
    match proposal.state {
        ProposalState::Open => proposal.ends_at,
        ProposalState::Confirmed { at, .. } | ProposalState::Refused { at, .. } => at,
    }
}

/// Writes down, in each log that had some, which entries were forgotten: whoever checks it can tell those from entries that
/// somebody emptied.
fn write_down(conn: &mut Conn, forgotten: &[Leaving], now: Timestamp) -> Result<(), Error> {
    let mut of_log: BTreeMap<&OrganizationId, Vec<i64>> = BTreeMap::new();
    for entry in forgotten {
        of_log.entry(&entry.organization).or_default().push(entry.seq);
    }
    for (organization, mut numbers) in of_log {
        numbers.sort_unstable();
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for seq in numbers {
            match ranges.last_mut() {
                Some(last) if last.1 + 1 == seq => last.1 = seq,
                _ => ranges.push((seq, seq)),
            }
        }
        let entry = NewEntry {
            detail: Some(serde_json::json!({ "ranges": ranges })),
            ..NewEntry::new(Kind::EntriesForgotten, now)
        };
        access_log::append(conn, organization, &entry, now)?;
    }
    Ok(())
}

fn is_full(count: usize) -> bool {
    i64::try_from(count).is_ok_and(|count| count >= A_PART)
}
