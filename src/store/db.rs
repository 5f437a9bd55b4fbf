//! The database as the floors above see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use diesel_migrations::EmbeddedMigrations;

use super::connection::{Conn, Opener, Purpose};
use super::error::StoreError;
use super::lane::Lane;
use super::piece::piece;
use super::queue::Queue;
use super::statistics::{Counters, Statistics};
use super::url::{DatabaseUrl, Place};
use super::{group_commit, migrations};

/// How many connections, how much waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections that read.
    pub readers: usize,
    /// Connections that write, on Postgres; SQLite has one.
    pub writers: usize,
    /// The most pieces of work that wait, reads and writes each; more are refused as [`StoreError::Busy`].
    pub queue: usize,
    /// How long a statement waits for a lock before it is [`StoreError::Busy`].
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            writers: 8,
            queue: 4096,
            lock_wait: Duration::from_secs(2),
        }
    }
}

/// A database, open. Cheap to clone; the last clone that goes closes it once all that waits is done.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    url: DatabaseUrl,
    /// `None` once closed: it holds the lock on a SQLite file.
    opener: Mutex<Option<Opener>>,
    reads: Lanes,
    writes: Lanes,
    counters: Arc<Counters>,
}

/// A queue and the threads that serve it.
struct Lanes {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Db {
    /// Opens the database and starts its threads; creates the file of a SQLite database that is not there.
    /// Blocks until a connection stands.
    ///
    /// # Errors
    /// [`StoreError::InUse`] and [`StoreError::File`] for a SQLite file; [`StoreError::Unavailable`] where the server
    /// does not answer or refuses.
    pub fn open(url: &DatabaseUrl, options: &Options) -> Result<Self, StoreError> {
        let opener = Opener::new(&url.0, options.lock_wait)?;
        let counters = Arc::new(Counters::default());
        // The first connection of a writer prepares the file for those that only read.
        let mut first = Some(Lane::new(opener.clone(), Purpose::Write));
        first.as_mut().map_or(Ok(()), Lane::connect)?;
        let is_sqlite = matches!(url.0, Place::Sqlite(_));
        let writers = if is_sqlite { 1 } else { options.writers };
        let writes = Lanes::start("store-write", writers, options.queue, |queue| {
            let lane = first
                .take()
                .unwrap_or_else(|| Lane::new(opener.clone(), Purpose::Write));
            let counters = Arc::clone(&counters);
            move || {
                if is_sqlite {
                    group_commit::serve(lane, &queue, &counters)
                } else {
                    lane.serve(&queue, &counters)
                }
            }
        })?;
        let reads = Lanes::start("store-read", options.readers, options.queue, |queue| {
            let lane = Lane::new(opener.clone(), Purpose::Read);
            let counters = Arc::clone(&counters);
            move || lane.serve(&queue, &counters)
        })?;
        let opener = Mutex::new(Some(opener));
        Ok(Self {
            shared: Arc::new(Shared {
                url: url.clone(),
                opener,
                reads,
                writes,
                counters,
            }),
        })
    }

    /// Runs `work` on a snapshot of the database: everything it reads is of one moment, and it can change nothing.
    ///
    /// Work whose caller has gone before it began is not done.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError::Busy`], [`StoreError::Unavailable`] or [`StoreError::Panicked`].
    pub async fn read<T, E, W>(&self, work: W) -> Result<T, E>
    where
        W: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.shared.reads.run(work).await
    }

    /// Runs `work` in a transaction. `Ok` says that all of it is on disk; after an error of `work`, or a panic in it,
    /// nothing of it is kept.
    ///
    /// Work whose caller has gone before it began is not done; once begun it is finished, with or without the caller.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError::Busy`], [`StoreError::Unavailable`] or [`StoreError::Panicked`]. Nothing was
    /// kept then, except that `Unavailable` from Postgres may come of a connection that broke while the commit was on
    /// its way.
    pub async fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        W: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.shared.writes.run(work).await
    }

    /// Takes every step of `steps` ([`super::MIGRATIONS`]) that the database has not seen, each in a transaction of
    /// its own, and returns their versions. Nodes that start at once take turns.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where the database has seen a step that is not among `steps`: it is left alone.
    /// [`StoreError::Migration`] where a step fails: those before it stand.
    pub async fn migrate(&self, steps: EmbeddedMigrations) -> Result<Vec<String>, StoreError> {
        let opener = self
            .shared
            .opener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let opener = opener.ok_or_else(|| StoreError::unavailable("the database is closed"))?;
        let migrate = move || migrations::migrate(opener.open(Purpose::Migrate)?, &steps);
        tokio::task::spawn_blocking(migrate)
            .await
            .unwrap_or(Err(StoreError::Panicked))
    }

    /// Writes SQLite's log into its file and empties it, so that what was deleted is in neither. Says whether it is empty:
    /// not where somebody reads an older state just then. Postgres keeps what was deleted until its own vacuum, and its log
    /// until it is recycled.
    ///
    /// # Errors
    /// Those of opening a connection, and of the disk.
    pub async fn empty_log(&self) -> Result<bool, StoreError> {
        let opener = self
            .shared
            .opener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let opener = opener.ok_or_else(|| StoreError::unavailable("the database is closed"))?;
        let empty = move || opener.open(Purpose::Write)?.empty_log();
        tokio::task::spawn_blocking(empty)
            .await
            .unwrap_or(Err(StoreError::Panicked))
    }

    /// What the database has done since it was opened, and what waits.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let Shared {
            reads,
            writes,
            counters,
            ..
        } = &*self.shared;
        counters.statistics(reads.queue.len(), writes.queue.len())
    }

    /// Where the database is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.shared.url
    }

    /// Finishes what waits, refuses what comes later, writes SQLite's log into its file and gives the file free.
    pub async fn close(&self) {
        let shared = Arc::clone(&self.shared);
        let close = move || {
            // Readers first: the writer then finds nobody who still needs the log.
            shared.reads.finish();
            shared.writes.finish();
            shared.opener.lock().unwrap_or_else(PoisonError::into_inner).take();
        };
        // Nothing in it panics; a runtime that is going down may refuse it, and the threads end by themselves then.
        let _ = tokio::task::spawn_blocking(close).await;
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Db").field(self.url()).finish()
    }
}

impl Lanes {
    /// Starts `count` threads (at least one) on a new queue, each with what `lane` makes for it.
    fn start<L>(
        name: &str,
        count: usize,
        queue: usize,
        mut lane: impl FnMut(Arc<Queue>) -> L,
    ) -> Result<Self, StoreError>
    where
        L: FnOnce() + Send + 'static,
    {
        let lanes = Self {
            queue: Arc::new(Queue::new(queue)),
            threads: Mutex::default(),
        };
        for number in 0..count.max(1) {
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            let thread = thread
                .spawn(lane(Arc::clone(&lanes.queue)))
                .map_err(StoreError::unavailable)?;
            lanes
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
        }
        Ok(lanes)
    }

    async fn run<T, E, W>(&self, work: W) -> Result<T, E>
    where
        W: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (piece, answer) = piece(work);
        self.queue.push(piece)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    }

    /// Closes the queue and waits until all that waits in it is done.
    fn finish(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has nothing more to finish.
            let _ = thread.join();
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.queue.close();
    }
}
