//! Forgetting what is no longer needed, and looking at the gauges.

use std::time::Duration;

use super::metrics::CommitLabels;
use super::{App, Error};
use crate::domain::lock::SILENCE;
use crate::store::{COMMIT_SIZES, idempotency, letters, lockout_asks, locks, passes, passkeys, sessions, webhooks};

/// How long an answer is kept for a request that may come twice.
pub const ANSWER_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long an address at which an account signed in is known as its own, and failures stay on record at least.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long it is known that a letter was sent or not, without what it said.
const LETTERS_KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long it is known what became of telling webhooks.
const DELIVERIES_KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long asks of outsiders are kept: a day longer than any of them can be followed.
const ASKS_KEPT: Duration = Duration::from_secs(48 * 3600);

/// How long it is known that a proof was used: for as long as it is good, and an hour and more beyond that, by which a clock
/// may jump ahead and come back.
const PROOFS_KEPT: Duration = Duration::from_secs(2 * 3600);

/// How long it is known that a passkey was removed: what has ended is noted outside the database by then.
const REMOVED_KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many sessions are forgotten in one transaction.
const SESSIONS_A_ROUND: i64 = 500;

impl App {
    /// Forgets ended sessions, old failures to sign in, challenges that nobody answered, old answers and passes that have ended; says how many rows went.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn forget(&self) -> Result<usize, Error> {
        let now = self.now();
        self.db
            .write(move |conn| {
                let sessions = sessions::forget_ended(conn, now, SESSIONS_A_ROUND)?;
                let failures = sessions::forget_failures(conn, now - KNOWN_FOR)?;
                let proofs = sessions::forget_proofs(conn, now - PROOFS_KEPT)?;
                let challenges = passkeys::forget_challenges(conn, now)?;
                let removed = passkeys::forget_removed(conn, now - REMOVED_KNOWN_FOR)?;
                let answers = idempotency::forget_older(conn, now - ANSWER_LIFE)?;
                let passes = passes::forget(conn, now)?;
                let asks = lockout_asks::forget(conn, now - ASKS_KEPT)?;
                let letters = letters::forget(conn, now - LETTERS_KNOWN_FOR)?;
                let deliveries = webhooks::forget_deliveries(conn, now - DELIVERIES_KNOWN_FOR)?;
                let signing_in = sessions + failures + proofs + challenges + removed;
                Ok::<_, Error>(asks + signing_in + answers + passes + letters + deliveries)
            })
            .await
    }

    /// Brings the gauges up to date.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn read_gauges(&self) -> Result<(), Error> {
        let since = self.now() - SILENCE;
        let (online, letters) = self
            .db
            .read(move |conn| Ok::<_, Error>((locks::count_online(conn, since)?, letters::count_waiting(conn)?)))
            .await?;
        self.read_key_gauges().await?;
        let metrics = &self.metrics;
        metrics.locks_online.set(online);
        metrics.letters_waiting.set(letters);
        metrics.waiting.set(gauge(self.waiters.len()));
        metrics.passwords_waiting.set(gauge(self.passwords.waiting()));
        metrics.relay_up.set(i64::from(self.relay.is_up()));
        let statistics = self.db.statistics();
        metrics.reads_waiting.set(gauge(statistics.reads_waiting));
        metrics.writes_waiting.set(gauge(statistics.writes_waiting));
        metrics.committed_pieces.set(gauge(statistics.committed));
        metrics.undone_pieces.set(gauge(statistics.undone));
        metrics.failed_commits.set(gauge(statistics.failed_commits));
        let bounds = COMMIT_SIZES
            .iter()
            .map(u64::to_string)
            .chain(std::iter::once("more".to_owned()));
        for (pieces_up_to, commits) in bounds.zip(statistics.commit_sizes) {
            metrics
                .commits
                .get_or_create(&CommitLabels { pieces_up_to })
                .set(gauge(commits));
        }
        Ok(())
    }
}

/// A count as a gauge takes it.
fn gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
