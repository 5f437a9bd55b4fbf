//! Where the kills happen: an installation with one door, and somebody who asks for it.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinHandle;

use super::installation::{Backend, Installation};
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::outsider::Outsider;
use crate::fixtures::wait::until;
use crate::world::{Answer, Door, Landlord, Person};

/// An installation that runs, with a guest who may open one door.
pub struct Scene {
    pub installation: Installation,
    pub ana: Landlord,
    pub gus: Arc<Person>,
    pub door: Door,
    pub outsider: Outsider,
}

impl Scene {
    /// Starts `installation`, which needs nothing else to be ready.
    pub async fn open(database: &TestDatabase, installation: Installation) -> (Self, Backend) {
        let organization = installation.add_landlord().await;
        let backend = installation.serve().await;
        (Self::furnish(database, installation, organization).await, backend)
    }

    /// Furnishes it, once it runs.
    pub async fn furnish(database: &TestDatabase, installation: Installation, organization: String) -> Self {
        let ana = installation.sign_in(organization).await;
        let house = ana.add_property("Europe/Vienna").await;
        let door = ana.add_lock(&house, "Front door").await;
        let gus = Arc::new(ana.guest("gus").await);
        ana.grant(&gus, &door, json!({})).await;
        Self {
            installation,
            ana,
            gus,
            door,
            outsider: Outsider::at(database),
        }
    }

    /// Asks for the door in the background; the backend may be gone before it answers.
    pub fn ask(&self) -> JoinHandle<Option<Answer>> {
        let (gus, path) = (Arc::clone(&self.gus), format!("{}/unlock", self.door.path()));
        tokio::spawn(async move { gus.post(&path).json(json!({ "wait_ms": 5000 })).try_send().await })
    }

    /// Waits until the backend stands before what [`Outsider::hold_writes`] holds.
    pub async fn until_it_waits(&mut self) {
        if self.outsider.is_waited_for().is_none() {
            // SQLite tells nobody who waits; but what was sent before other requests has come as far as it can.
            for _ in 0..5 {
                self.gus.get("/v1/me").await.expect(200);
            }
            return;
        }
        until("the backend to wait", async || {
            self.outsider.is_waited_for() == Some(true)
        })
        .await;
    }

    /// Waits until the table has a row more than it had.
    pub async fn until_more(&mut self, table: &str, than: usize) {
        until(table, async || self.outsider.count(table) != than).await;
    }

    /// The statuses of all attempts, the oldest first.
    pub fn statuses(&mut self) -> Vec<String> {
        let rows = self.outsider.rows(&["id", "status"], "attempts");
        rows.into_iter().map(|row| row[1].clone()).collect()
    }
}
