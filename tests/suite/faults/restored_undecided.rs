//! What somebody may have said no to since the backup that a database was restored from.

use serde_json::{Value, json};

use super::installation::Installation;
use crate::fixtures::databases::TestDatabase;
use crate::world::{HandLock, Person};

async fn id_of(person: &Person, path: &str, body: Value) -> String {
    person.post(path).json(body).await.text_of("id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_opens_by_itself_that_somebody_may_have_refused_since() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &flat).await;
    let (gus, kim) = (ana.guest("gus").await, ana.guest("kim").await);
    let spare = |to: &Person| {
        json!({
            "lock_ids": [door.id], "to": { "person_id": to.id }, "starts_at": ana.in_days(0), "spare": true,
        })
    };
    let (asked, out) = (
        id_of(&tom, "/v1/grants", spare(&gus)).await,
        id_of(&tom, "/v1/grants", spare(&kim)).await,
    );
    let reason = json!({ "reason": "The dog is alone" });
    gus.post(&format!("/v1/grants/{asked}/ask"))
        .json(reason.clone())
        .await
        .expect(200);
    kim.post(&format!("/v1/grants/{out}/ask"))
        .json(reason)
        .await
        .expect(200);
    tom.post(&format!("/v1/grants/{out}/release"))
        .json(json!({}))
        .await
        .expect(200);
    let (opened, _) = tokio::join!(kim.unlock(&door), lock.obey());
    opened.expect_opened();
    let order = json!({
        "lock_ids": [door.id], "purpose": "The sink leaks",
        "vendor": { "name": "Paul", "company": "Pipes & Sons", "phone": "+43 1 234 5678" },
        "starts_at": ana.in_days(1), "ends_at": ana.in_days(2),
    });
    let visit = format!("/v1/visits/{}", id_of(&ana, "/v1/visits", order).await);
    tom.post(&format!("{visit}/consent"))
        .json(json!({ "agrees": true }))
        .await
        .expect(200);
    let lockout = json!({ "lock_id": door.id, "identity": { "kind": "session" } });
    let lockout = format!("/v1/lockouts/{}", id_of(&tom, "/v1/lockouts", lockout).await);
    let hook = json!({ "organization_id": ana.organization, "url": "https://hooks.example/" });
    let hook = format!("/v1/webhooks/{}", id_of(&ana, "/v1/webhooks", hook).await);
    let backup = installation.back_up().await;
    backend.kill().await;

    installation.restore(&backup).await;
    let _backend = installation.serve().await;
    for person in [&*ana, &tom, &gus, &kim] {
        person.sign_in_again().await;
    }
    lock.connect().await;
    lock.hello().await;
    for spare in [&gus, &kim] {
        spare.unlock(&door).await.expect_refused("spare-not-released");
    }
    let grant = gus.get(&format!("/v1/grants/{asked}")).await.expect(200);
    assert_eq!(grant["spare"]["asked"], Value::Null, "{grant}");
    let visit = ana.get(&visit).await.expect(200);
    assert_eq!(visit["end_reason"], "cancelled", "{visit}");
    let lockout = tom.get(&lockout).await.expect(200);
    assert_eq!(lockout["status"], "lapsed", "{lockout}");
    assert_eq!(ana.get(&hook).await.expect(200)["state"], "paused");
    let ended = &ana.list("/v1/access-log?kind=visit-ended").await[0];
    assert_eq!(ended["reason"], "restored");
    // They ask again.
    let reason = json!({ "reason": "The dog is still alone" });
    gus.post(&format!("/v1/grants/{asked}/ask"))
        .json(reason)
        .await
        .expect(200);
}
