//! Loops around the rounds of `jobs`: until the server stops, and on after a panic.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::crypto::tls::ServerIdentity;
use crate::domain::time::Clock;
use crate::jobs::{self, Job};

/// Starts every job's loop.
pub(super) fn start(app: &Arc<App>, stop: &CancellationToken) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for job in jobs::ALL {
        loops.spawn(repeat(*job, Arc::clone(app), stop.clone()));
    }
    loops
}

/// How often the broker's certificate is looked at.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Shows a new certificate to locks in time, until the server stops.
pub(super) async fn renew(identity: Arc<ServerIdentity>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(RENEW_EVERY))
        .await
        .is_some()
    {
        match identity.renew(clock.now()) {
            Ok(true) => tracing::info!("the broker shows a new certificate from now on"),
            Ok(false) => {}
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(
                    error = cause,
                    "the broker's certificate could not be renewed; the present one stays"
                );
            }
        }
    }
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
