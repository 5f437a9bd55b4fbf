//! What is counted, in the terms of Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// How an attempt was asked for and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// `unlock` or `lock`.
    pub action: &'static str,
    /// `confirmed`, `refused`, `expired`, `failed`, or `pending` where the wait ended first.
    pub result: &'static str,
}

/// Why a message from a lock's topics was worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// The verifier's word.
    pub reason: &'static str,
}

/// What became of a command of a Home Assistant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommandLabels {
    /// How its attempt came out, or why there was none.
    pub result: &'static str,
}

/// How a try to send a letter came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LetterLabels {
    /// `sent`, `refused` (for good), `given-up` (too old), or `waiting` where it is tried again.
    pub result: &'static str,
}

/// How a try to tell a webhook came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// `delivered`, or why not.
    pub result: &'static str,
}

/// Commits of up to so many pieces of work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommitLabels {
    /// The greatest number of pieces counted here, `more` beyond the last bound; not added up over smaller ones.
    pub pieces_up_to: String,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route as it is registered, never the path as it came.
    pub route: String,
    /// The method.
    pub method: String,
    /// The status.
    pub status: u16,
}

/// What is counted. Cheap to share; rendered by [`Self::render`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Attempts by how they came out.
    pub attempts: Family<AttemptLabels, Counter>,
    /// Seconds from the request until the lock's verified word was committed, of confirmed attempts.
    pub unlock_seconds: Histogram,
    /// Seconds until a request was answered, over all routes.
    pub request_seconds: Histogram,
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Events of locks stored.
    pub lock_events: Counter,
    /// Messages on locks' topics that were not believed.
    pub refused_messages: Family<RefusalLabels, Counter>,
    /// Commands of a Home Assistant.
    pub home_assistant_commands: Family<CommandLabels, Counter>,
    /// Tries to send letters.
    pub letters: Family<LetterLabels, Counter>,
    /// Tries to tell webhooks.
    pub webhook_deliveries: Family<DeliveryLabels, Counter>,
    /// Letters that wait for a mail server.
    pub letters_waiting: Gauge,
    /// Locks connected.
    pub locks_online: Gauge,
    /// Requests that wait for a lock's word.
    pub waiting: Gauge,
    /// Passwords that wait to be checked.
    pub passwords_waiting: Gauge,
    /// Reads that wait for the database.
    pub reads_waiting: Gauge,
    /// Writes that wait for the database.
    pub writes_waiting: Gauge,
    /// Commits of the database by the number of pieces of work in them.
    pub commits: Family<CommitLabels, Gauge>,
    /// Pieces of work in those commits, in all.
    pub committed_pieces: Gauge,
    /// Pieces of work that failed, and were undone.
    pub undone_pieces: Gauge,
    /// Commits that failed, with all that was in them.
    pub failed_commits: Gauge,
    /// Whether the broker is connected.
    pub relay_up: Gauge,
    /// Version of the keyset.
    pub keyset_version: Gauge,
    /// Enrolled locks that are not known to hold it.
    pub locks_behind_keyset: Gauge,
    /// Whether the root key is on this machine.
    pub root_key_here: Gauge,
    /// When the first of the newest signing keys ends, in seconds since 1970.
    pub signing_keys_end: Gauge,
    /// Purposes whose keys are old enough to be rotated, and were not.
    pub signing_keys_due: Gauge,
    /// Until when it is noted outside the database what has ended, in seconds since 1970.
    pub endings_noted: Gauge,
    /// Tasks that panicked and were started again.
    pub task_restarts: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || {
            Histogram::new([
                0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0,
            ])
        };
        let mut metrics = Self {
            registry: Registry::with_prefix("doorward"),
            attempts: Family::default(),
            unlock_seconds: seconds(),
            request_seconds: seconds(),
            requests: Family::default(),
            lock_events: Counter::default(),
            refused_messages: Family::default(),
            home_assistant_commands: Family::default(),
            letters: Family::default(),
            webhook_deliveries: Family::default(),
            letters_waiting: Gauge::default(),
            locks_online: Gauge::default(),
            waiting: Gauge::default(),
            passwords_waiting: Gauge::default(),
            reads_waiting: Gauge::default(),
            writes_waiting: Gauge::default(),
            commits: Family::default(),
            committed_pieces: Gauge::default(),
            undone_pieces: Gauge::default(),
            failed_commits: Gauge::default(),
            relay_up: Gauge::default(),
            keyset_version: Gauge::default(),
            locks_behind_keyset: Gauge::default(),
            root_key_here: Gauge::default(),
            signing_keys_end: Gauge::default(),
            signing_keys_due: Gauge::default(),
            endings_noted: Gauge::default(),
            task_restarts: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("attempts", "Attempts by how they came out", self.attempts.clone());
        registry.register_with_unit(
            "unlock",
            "From the request until the lock's word was committed",
            Unit::Seconds,
            self.unlock_seconds.clone(),
        );
        registry.register_with_unit(
            "request",
            "From a request until its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register("lock_events", "Events of locks stored", self.lock_events.clone());
        registry.register(
            "refused_messages",
            "Messages on locks' topics that were not believed",
            self.refused_messages.clone(),
        );
        registry.register(
            "home_assistant_commands",
            "Commands of a Home Assistant by what became of them",
            self.home_assistant_commands.clone(),
        );
        registry.register(
            "letters",
            "Tries to send letters by how they came out",
            self.letters.clone(),
        );
        registry.register(
            "webhook_deliveries",
            "Tries to tell webhooks by how they came out",
            self.webhook_deliveries.clone(),
        );
        registry.register(
            "task_restarts",
            "Tasks that panicked and were started again",
            self.task_restarts.clone(),
        );
        registry.register(
            "commits",
            "Commits of the database by the pieces of work in them",
            self.commits.clone(),
        );
        for (name, help, gauge) in [
            ("locks_online", "Locks connected", &self.locks_online),
            (
                "letters_waiting",
                "Letters that wait for a mail server",
                &self.letters_waiting,
            ),
            (
                "waiting_requests",
                "Requests that wait for a lock's word",
                &self.waiting,
            ),
            (
                "waiting_passwords",
                "Passwords that wait to be checked",
                &self.passwords_waiting,
            ),
            (
                "endings_noted_timestamp_seconds",
                "Until when it is noted outside the database what has ended",
                &self.endings_noted,
            ),
            ("waiting_reads", "Reads that wait for the database", &self.reads_waiting),
            (
                "waiting_writes",
                "Writes that wait for the database",
                &self.writes_waiting,
            ),
            (
                "committed_pieces",
                "Pieces of work in those commits",
                &self.committed_pieces,
            ),
            (
                "undone_pieces",
                "Pieces of work on the database that failed",
                &self.undone_pieces,
            ),
            (
                "failed_commits",
                "Commits of the database that failed",
                &self.failed_commits,
            ),
            ("relay_up", "Whether the broker is connected", &self.relay_up),
            ("keyset_version", "Version of the keyset", &self.keyset_version),
            (
                "locks_behind_keyset",
                "Enrolled locks that are not known to hold the newest keyset",
                &self.locks_behind_keyset,
            ),
            (
                "root_key_here",
                "Whether the root key is on this machine",
                &self.root_key_here,
            ),
            (
                "signing_keys_end_timestamp_seconds",
                "When the first of the signing keys ends",
                &self.signing_keys_end,
            ),
            (
                "signing_keys_due",
                "Purposes whose signing keys should be rotated",
                &self.signing_keys_due,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    /// Counts a command of a Home Assistant that came out like this.
    pub fn count_home_assistant(&self, result: &'static str) {
        let labels = CommandLabels { result };
        self.home_assistant_commands.get_or_create(&labels).inc();
    }

    /// Everything in the text format of Prometheus (OpenMetrics 1.0).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::default();
        metrics
            .attempts
            .get_or_create(&AttemptLabels {
                action: "unlock",
                result: "confirmed",
            })
            .inc();
        metrics.locks_online.set(3);
        let text = metrics.render();
        assert!(
            text.contains("doorward_attempts_total{action=\"unlock\",result=\"confirmed\"} 1"),
            "{text}"
        );
        assert!(text.contains("doorward_locks_online 3"), "{text}");
    }
}
