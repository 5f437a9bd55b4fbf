//! Forgetting what has been kept for its time (`docs/PRIVACY.md`): what log entries say, what locks signed, attempts, notices
//! and looks. What stays of an entry is its number, its day and its leaf.

use std::sync::atomic::Ordering;

use super::{App, Error};
use crate::domain::ids::PropertyId;
use crate::domain::privacy::PrivacyRule;
use crate::domain::time::Timestamp;
use crate::store::access_log::forgetting;
use crate::store::{attempts, lock_events, looks, notices, privacy, spare_asks};

/// How much is forgotten in one transaction.
const A_PART: i64 = 500;

impl App {
    /// Forgets what is over, and on SQLite sees to it that the file and its log hold nothing of it either; says how much it
    /// was.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn forget_records(&self) -> Result<usize, Error> {
        let now = self.now();
        let rules = self.db.read(|conn| Ok::<_, Error>(privacy::rules(conn)?)).await?;
        let usual = PrivacyRule::default().cutoff(now);
        let mut forgotten = self.forget_entries(None, usual).await?;
        for (property, rule) in rules {
            let cutoff = rule.cutoff(now);
            forgotten += self.forget_entries(Some(property.clone()), cutoff).await?;
            forgotten += self.forget_events(property.clone(), cutoff).await?;
            forgotten += self.forget_attempts(property, cutoff).await?;
        }
        forgotten += self.forget_told(usual).await?;
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
                let forget = move |conn: &mut _| Ok::<_, Error>(forgetting::forget(conn, &due)?);
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

fn is_full(count: usize) -> bool {
    i64::try_from(count).is_ok_and(|count| count >= A_PART)
}
