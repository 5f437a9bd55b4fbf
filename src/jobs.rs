//! Timed work, one round a call. The loops and their timers live with the composition root.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, Error};

/// How many attempts are closed in one transaction.
const EXPIRED_A_ROUND: u16 = 500;

type Round = Pin<Box<dyn Future<Output = Result<usize, Error>> + Send>>;

/// A piece of timed work.
#[derive(Clone, Copy)]
pub struct Job {
    /// What the log calls it.
    pub name: &'static str,
    /// How long after the end of a round the next one begins.
    pub every: Duration,
    /// Does one round; says how much there was to do.
    pub round: fn(Arc<App>) -> Round,
}

/// All timed work.
pub const ALL: &[Job] = &[
    Job {
        name: "acknowledge",
        every: Duration::from_millis(20),
        round: |app| Box::pin(async move { app.send_acks().await }),
    },
    Job {
        name: "expire",
        every: Duration::from_millis(250),
        round: |app| Box::pin(async move { app.expire_attempts(EXPIRED_A_ROUND).await }),
    },
    Job {
        name: "expel",
        every: Duration::from_secs(10),
        round: |app| Box::pin(async move { app.expel_gone().await }),
    },
    Job {
        name: "follow-keys",
        every: Duration::from_secs(2),
        round: |app| Box::pin(async move { app.follow_keys().await }),
    },
    Job {
        name: "rotate-keys",
        every: Duration::from_secs(60),
        round: |app| Box::pin(async move { app.rotate_due_keys().await }),
    },
    Job {
        name: "reconcile",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.reconcile_pins().await }),
    },
    Job {
        name: "review",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.review_pins().await }),
    },
    Job {
        name: "end-tenancies",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.end_due_tenancies().await }),
    },
    Job {
        name: "mend",
        every: Duration::from_secs(2),
        round: |app| Box::pin(async move { app.mend_pins().await }),
    },
    Job {
        name: "turn-lockouts",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.turn_lockouts().await }),
    },
    Job {
        name: "book-lockouts",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.book_lockouts().await }),
    },
    Job {
        name: "spare-keys",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.answer_by_silence().await }),
    },
    Job {
        name: "end-visits",
        every: Duration::from_secs(2),
        round: |app| Box::pin(async move { app.end_visits().await }),
    },
    Job {
        name: "revoke",
        every: Duration::from_secs(10),
        round: |app| Box::pin(async move { app.repeat_revocations().await }),
    },
    Job {
        name: "write-letters",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.write_letters().await }),
    },
    Job {
        name: "deliver-letters",
        every: Duration::from_millis(500),
        round: |app| Box::pin(async move { app.deliver_letters().await }),
    },
    Job {
        name: "lockdown",
        every: Duration::from_secs(5),
        round: |app| {
            Box::pin(async move {
                let (ended, told) = (app.end_lockdowns_by_time().await, app.repeat_lockdowns().await);
                Ok(ended? + told?)
            })
        },
    },
    Job {
        name: "tell-alarms",
        every: Duration::from_secs(1),
        round: |app| Box::pin(async move { app.tell_alarms().await }),
    },
    Job {
        name: "tell-webhooks",
        every: Duration::from_millis(500),
        round: |app| Box::pin(async move { app.tell_webhooks().await }),
    },
    Job {
        name: "follow-logs",
        every: Duration::from_millis(200),
        round: |app| Box::pin(async move { app.look_at_followed_logs().await }),
    },
    Job {
        name: "seal",
        every: Duration::from_secs(2),
        round: |app| Box::pin(async move { app.seal_logs().await }),
    },
    Job {
        name: "gauge",
        every: Duration::from_secs(10),
        round: |app| Box::pin(async move { app.read_gauges().await.map(|()| 0) }),
    },
    Job {
        name: "forget-records",
        every: Duration::from_secs(600),
        round: |app| Box::pin(async move { app.forget_records().await }),
    },
    Job {
        name: "forget",
        every: Duration::from_secs(600),
        round: |app| Box::pin(async move { app.forget().await }),
    },
];
