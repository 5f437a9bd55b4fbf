//! Loops around the rounds of `jobs`: until the server stops, and on after a panic.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::jobs::{self, Job};

/// Starts every job's loop.
pub(super) fn start(app: &Arc<App>, stop: &CancellationToken) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for job in jobs::ALL {
        loops.spawn(repeat(job, Arc::clone(app), stop.clone()));
    }
    loops
}

async fn repeat(job: Job, app: Arc<App>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(job.every)).await.is_some() {
        // A round that panics has told the log already; its transaction is undone, and the next round begins afresh.
        match AssertUnwindSafe((job.round)(Arc::clone(&app))).catch_unwind().await {
            Ok(Ok(0)) => {}
            Ok(Ok(done)) => tracing::trace!(job = job.name, done, "a round of {} is done", job.name),
            Ok(Err(error)) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(job = job.name, error = cause, "a round of {} failed", job.name);
            }
            Err(_) => {
                app.metrics().task_restarts.inc();
            }
        }
    }
}
