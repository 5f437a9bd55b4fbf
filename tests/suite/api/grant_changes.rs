//! A grant is changed as a whole, and what it gives no more is taken back at its locks.

use std::future::IntoFuture as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Landlord, house};

on_each_database!(
    what_is_left_out_is_not_what_it_was,
    what_was_taken_stays_taken,
    passes_of_before_are_void_and_new_ones_are_not,
    a_lock_that_was_taken_out_lingers_until_it_knows,
    a_pin_goes_with_the_way_in,
    who_may_change_what,
    of_two_changes_at_once_one_holds_whole,
);

const NOW: &str = "2026-03-02T08:00:00Z";

fn path(grant: &Value) -> String {
    format!("/v1/grants/{}", grant["id"].as_str().unwrap())
}

async fn show(ana: &Landlord, grant: &Value) -> Value {
    ana.get(&path(grant)).await.expect(200)
}

async fn what_is_left_out_is_not_what_it_was(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [front, cellar] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    ];
    let gus = ana.guest("gus").await;
    let schedule = json!({ "weekly": [{ "days": ["mon"], "from": "09:00", "to": "12:00" }], "except": [] });
    let terms = json!({
        "ends_at": "2026-04-01T00:00:00Z", "schedule": schedule, "uses": 5, "ways": ["app", "pin"], "role": "vendor",
        "delegable": true,
    });
    let grant = ana.grant(&gus, &front, terms).await;
    let change = json!({ "lock_ids": [cellar.id], "starts_at": "2026-03-03T08:00:00Z" });
    let changed = ana.put(&path(&grant)).json(change).await.expect(200);
    assert_eq!(
        changed["effective_no_later_than"],
        t.clock.after(Duration::from_secs(10))
    );
    assert_eq!(changed["waiting_for"], json!([]));
    let shown = show(&ana, &grant).await;
    for answer in [&changed, &shown] {
        for (member, value) in [
            ("id", grant["id"].clone()),
            ("person_id", json!(gus.id)),
            ("lock_ids", json!([cellar.id])),
            ("starts_at", json!("2026-03-03T08:00:00.000Z")),
            ("ends_at", Value::Null),
            ("schedule", Value::Null),
            ("uses", Value::Null),
            ("ways", json!(["app", "offline"])),
            ("role", json!("guest")),
            ("delegable", json!(false)),
        ] {
            assert_eq!(answer[member], value, "{member}");
        }
    }
    let log = ana.list("/v1/access-log?kind=grant-changed").await;
    assert_eq!((log.len(), &log[0]["actor_id"]), (1, &json!(ana.id)));
    let told = gus.list("/v1/me/notices").await;
    assert!(told.iter().any(|notice| notice["kind"] == "access-changed"), "{told:?}");
    // What would be refused in a new grant is refused here, and changes nothing.
    for (change, field) in [
        (json!({ "starts_at": NOW }), "lock_ids"),
        (json!({ "lock_ids": [cellar.id] }), "starts_at"),
        (json!({ "lock_ids": [], "starts_at": NOW }), "lock_ids"),
        (
            json!({ "lock_ids": [cellar.id], "starts_at": NOW, "ends_at": NOW }),
            "ends_at",
        ),
        (
            json!({ "lock_ids": [cellar.id], "starts_at": NOW, "to": { "person_id": gus.id } }),
            "to",
        ),
    ] {
        ana.put(&path(&grant)).json(change).await.expect_invalid(field);
    }
    assert_eq!(show(&ana, &grant).await, shown);
}

async fn what_was_taken_stays_taken(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "uses": 2 })).await;
    gus.unlock(&door).await.expect_opened();
    let counted = |uses: u32| json!({ "lock_ids": [door.id], "starts_at": NOW, "uses": uses });
    let changed = ana.put(&path(&grant)).json(counted(3)).await.expect(200);
    assert_eq!((&changed["uses"], &changed["uses_taken"]), (&json!(3), &json!(1)));
    gus.unlock(&door).await.expect_opened();
    ana.put(&path(&grant)).json(counted(1)).await.expect(200);
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    ana.put(&path(&grant)).json(counted(3)).await.expect(200);
    gus.unlock(&door).await.expect_opened();
    gus.unlock(&door).await.expect_refused("uses-exhausted");
}

async fn passes_of_before_are_void_and_new_ones_are_not(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    let name = async || {
        gus.pass_claims(&phone, &[&door]).await["gid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let id = grant["id"].as_str().unwrap();
    assert_eq!(name().await, id);
    // Wider than before: what is out is as good as what comes.
    let wider = json!({ "lock_ids": [door.id], "starts_at": "2026-03-01T00:00:00Z", "delegable": true });
    ana.put(&path(&grant)).json(wider).await.expect(200);
    assert_eq!(name().await, id);
    let narrower = json!({ "lock_ids": [door.id], "starts_at": NOW, "ends_at": "2026-03-02T12:00:00Z" });
    let changed = ana.put(&path(&grant)).json(narrower).await.expect(200);
    assert_eq!(changed["waiting_for"], json!([]), "a lock that is there knows at once");
    assert_eq!(show(&ana, &grant).await["provisioning"]["status"], "complete");
    assert_eq!(name().await, format!("{id}.1"));
    let until = gus.pass_claims(&phone, &[&door]).await["exp"].as_u64().unwrap();
    assert!(until < 1_772_452_800, "before noon: {until}");
    // Taken back, all of it is void.
    let revoked = ana.revoke(&grant).await;
    assert_eq!(revoked["waiting_for"], json!([]));
    gus.pass(&phone, &[&door]).await.expect_problem(403, "pass-refused");
    lock.until_settled().await;
}

async fn a_lock_that_was_taken_out_lingers_until_it_knows(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [front, cellar, attic] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
        ana.add_lock(&house, "Attic").await,
    ];
    let _front = front.install().await;
    let away = cellar.install().await;
    let gus = ana.guest("gus").await;
    let to = json!({ "person_id": gus.id });
    let grant = ana.give(&[&front, &cellar], to, json!({})).await.expect(201);
    let phone = gus.phone().await;
    gus.pass(&phone, &[&cellar]).await.expect(200);
    let until = t.clock.after(Duration::from_secs(12 * 3600 + 61));
    away.disconnect().await;
    away.until_online(&ana, false).await;
    // The attic's lock is not claimed yet.
    let change = json!({ "lock_ids": [front.id, attic.id], "starts_at": NOW });
    let changed = ana.put(&path(&grant)).json(change).await.expect(200);
    assert_eq!(changed["effective_no_later_than"], until);
    assert_eq!(changed["waiting_for"], json!([cellar.id]));
    gus.unlock(&cellar).await.expect_refused("no-access");
    gus.unlock(&front).await.expect_opened();
    let shown = show(&ana, &grant).await;
    assert_eq!(
        shown["provisioning"],
        json!({ "status": "both", "missing": [attic.id], "lingering": [cellar.id], "failed": [] })
    );
    let at = |door: &str| {
        let locks = shown["locks"].as_array().unwrap();
        locks.iter().find(|lock| lock["lock_id"] == door).unwrap().clone()
    };
    assert_eq!(at(&front.id)["status"], "ready");
    assert_eq!(at(&attic.id)["status"], "not-in-service");
    assert_eq!(
        (&at(&cellar.id)["status"], &at(&cellar.id)["may_open_until"]),
        (&json!("removing"), &json!(until))
    );
    let listed = ana.list("/v1/grants").await;
    assert_eq!(listed[0]["provisioning"], shown["provisioning"], "a list says the same");
    // The pass has ended.
    t.clock.advance(Duration::from_secs(12 * 3600 + 62));
    ana.sign_in_again().await;
    assert_eq!(show(&ana, &grant).await["provisioning"]["lingering"], json!([]));
}

async fn a_pin_goes_with_the_way_in(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let [front, cellar] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    ];
    let _locks = [front.install().await, cellar.install().await];
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &front, json!({ "ways": ["app", "pin"] })).await;
    ana.post(&format!("{}/pin", path(&grant))).await.expect(201);
    let until_shown = async |status: &str| {
        until(status, async || {
            show(&ana, &grant).await["locks"][0]["status"] == status
        })
        .await;
    };
    until_shown("ready").await;
    // Another end is told to the lock, which keeps the PIN.
    let shorter = json!({
        "lock_ids": [front.id], "starts_at": NOW, "ends_at": "2026-03-02T12:00:00Z", "ways": ["app", "pin"],
    });
    ana.put(&path(&grant)).json(shorter).await.expect(200);
    until_shown("ready").await;
    assert_eq!(
        show(&ana, &grant).await["locks"][0]["pin"]["ends_at"],
        "2026-03-02T12:00:00.000Z"
    );
    // A lock that comes later was never told the digits, which nobody knows any more.
    let both = json!({ "lock_ids": [front.id, cellar.id], "starts_at": NOW, "ways": ["app", "pin"] });
    ana.put(&path(&grant)).json(both).await.expect(200);
    until("the first lock to know", async || {
        show(&ana, &grant).await["provisioning"]["missing"] == json!([cellar.id])
    })
    .await;
    let shown = show(&ana, &grant).await;
    assert_eq!(
        shown["provisioning"]["failed"],
        json!([{ "lock_id": cellar.id, "reason": "pin-not-given" }])
    );
    let by_app = json!({ "lock_ids": [front.id], "starts_at": NOW });
    ana.put(&path(&grant)).json(by_app).await.expect(200);
    until("the lock to forget the PIN", async || {
        show(&ana, &grant).await["locks"][0]["pin"].is_null()
    })
    .await;
}

async fn who_may_change_what(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let eve = t.landlord("eve").await;
    let foreign = eve.add_property("Europe/Vienna").await;
    let foreign = eve.add_lock(&foreign, "Door").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let same = json!({ "lock_ids": [door.id], "starts_at": NOW });
    gus.put(&path(&grant))
        .json(same.clone())
        .await
        .expect_problem(403, "forbidden");
    eve.put(&path(&grant)).json(same.clone()).await.expect_no("grant");
    let theirs = json!({ "lock_ids": [foreign.id], "starts_at": NOW });
    ana.put(&path(&grant)).json(theirs).await.expect_no("lock");
    ana.revoke(&grant).await;
    ana.put(&path(&grant))
        .json(same)
        .await
        .expect_problem(409, "grant-over");
}

async fn of_two_changes_at_once_one_holds_whole(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let [front, cellar] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    ];
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &front, json!({})).await;
    let one = json!({ "lock_ids": [front.id], "starts_at": NOW, "uses": 1, "ends_at": "2026-03-03T00:00:00Z" });
    let other = json!({ "lock_ids": [cellar.id], "starts_at": NOW, "uses": 2, "ends_at": "2026-03-04T00:00:00Z" });
    let path = path(&grant);
    let (first, second) = tokio::join!(
        ana.put(&path).json(one).into_future(),
        ana.put(&path).json(other).into_future()
    );
    first.expect(200);
    second.expect(200);
    let shown = show(&ana, &grant).await;
    let whole = [
        (json!([front.id]), json!(1), json!("2026-03-03T00:00:00.000Z")),
        (json!([cellar.id]), json!(2), json!("2026-03-04T00:00:00.000Z")),
    ];
    let found = (
        shown["lock_ids"].clone(),
        shown["uses"].clone(),
        shown["ends_at"].clone(),
    );
    assert!(whole.contains(&found), "{shown}");
}
