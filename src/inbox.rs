//! Messages from locks: handed to the use cases; acknowledged to the broker once everything that follows is committed.

use std::sync::Weak;

use async_trait::async_trait;

use crate::app::App;
use crate::domain::relay::{FromLock, Inbox, NotStored};

/// The inbox over the use cases. Weak, because the use cases hold the link that holds this.
pub struct LockInbox(Weak<App>);

impl LockInbox {
    /// The inbox over `app`.
    #[must_use]
    pub fn new(app: Weak<App>) -> Self {
        Self(app)
    }
}

#[async_trait]
impl Inbox for LockInbox {
    async fn receive(&self, message: FromLock) -> Result<(), NotStored> {
        let app = self.0.upgrade().ok_or(NotStored)?;
        let (lock, heard) = match message {
            FromLock::Up { lock, payload } => (lock.clone(), app.hear(lock, &payload).await),
            FromLock::Status { lock, online } => (lock.clone(), app.note_status(lock, online).await),
        };
        heard.map_err(|error| {
            tracing::warn!(lock.id = %lock, error = &error as &dyn std::error::Error, "a message of {lock} could not be stored");
            NotStored
        })
    }
}
