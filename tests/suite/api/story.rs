//! The main job, told once from beginning to end: the other files go for the edges.

use std::time::Duration;

use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::house;

on_each_database!(
    a_guest_opens_a_door_as_long_as_they_may,
    a_tenant_opens_their_own_doors_after_a_restart
);

async fn a_guest_opens_a_door_as_long_as_they_may(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    gus.unlock(&door).await.expect_refused("no-access");

    let two_hours = json!({ "ends_at": t.clock.after(Duration::from_secs(2 * 3600)) });
    let grant = ana.grant(&gus, &door, two_hours).await;
    gus.unlock(&door).await.expect_opened();
    gus.lock(&door).await.expect_opened();

    t.clock.set("2026-03-02T09:59:59.999Z");
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    t.clock.advance(Duration::from_millis(1));
    gus.unlock(&door).await.expect_refused("grant-expired");
    assert_eq!(
        ana.revoke(&grant).await["effective_no_later_than"],
        "2026-03-02T10:00:10.000Z"
    );

    lock.disconnect().await;
    lock.until_online(&ana, false).await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_offline();
}

async fn a_tenant_opens_their_own_doors_after_a_restart(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let (flat, other) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let (own, shared) = (
        ana.add_lock_of(&flat, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let others = ana.add_lock_of(&other, "Flat 2").await;
    let locks = [own.install().await, shared.install().await, others.install().await];
    let tom = ana.tenant("tom", &flat).await;

    t.restart().await;
    for lock in &locks {
        lock.until_online(&ana, true).await;
    }
    tom.unlock(&own).await.expect_opened();
    tom.unlock(&shared).await.expect_opened();
    tom.unlock(&others).await.expect_refused("no-access");
}
