//! Who was erased, and whose controller was replaced, since the backup that a database was restored from.

use serde_json::json;

use super::installation::Installation;
use crate::fixtures::databases::TestDatabase;
use crate::world::{Door, HandLock, PASSWORD, Person};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_erased_stay_erased_and_a_replaced_controller_is_not_believed_again() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let (door, gate) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Gate").await,
    );
    let mut stolen = HandLock::install(&door).await;
    let _kept = HandLock::install(&gate).await;
    let (gus, kim) = (ana.guest("gus").await, ana.guest("kim").await);
    ana.grant(&kim, &door, json!({})).await;
    // Who had left and come back belongs there.
    let (max, mal) = (ana.guest("max").await, ana.manager("mal").await);
    let member = |person: &str| format!("/v1/organizations/{}/members/{person}", ana.organization);
    ana.delete(&member(&max.id)).await.expect(200);
    let offer = json!({ "role": "guest", "letter": false });
    let again = ana.invite(&max.email, offer).await.text_of("secret_link");
    Person::accept(&installation.http, "max", &max.email, &again).await;
    let hook = json!({ "organization_id": ana.organization, "url": "https://hooks.example/" });
    let hook = mal.post("/v1/webhooks").json(hook).await.text_of("id");
    let hook = format!("/v1/webhooks/{hook}");
    let backup = installation.back_up().await;

    let claim = ana.post(&format!("{}/replace", door.path())).json(json!({})).await;
    let _new = HandLock::enrol(&door.with_code(&claim.text_of("code"))).await;
    ana.delete(&member(&mal.id)).await.expect(200);
    let erase = json!({ "password": PASSWORD });
    gus.post("/v1/me/erase").json(erase).await.expect(200);
    let all = ["\"what\":\"controller\"", "\"what\":\"person\"", &mal.id];
    installation
        .until_noted(|notes| all.iter().all(|part| notes.contains(part)))
        .await;
    backend.kill().await;

    installation.restore(&backup).await;
    let _backend = installation.serve().await;
    let sign_in = json!({ "email": gus.email, "password": PASSWORD });
    let again = installation.http.post("/v1/auth/sign-in").json(sign_in).await;
    again.expect_problem(401, "wrong-credentials");
    for person in [&*ana, &max] {
        person.sign_in_again().await;
    }
    assert_eq!(ana.get(&hook).await.expect(200)["state"], "paused");
    let mine = max.get("/v1/me").await.expect(200);
    assert_eq!(mine["memberships"].as_array().map(Vec::len), Some(1), "{mine}");
    let database = std::fs::read(database.url().file().unwrap()).unwrap();
    let address = gus.email.as_bytes();
    assert!(
        !database.windows(address.len()).any(|part| part == address),
        "{}",
        gus.email
    );
    let quarantined = async |door: &Door| ana.get(&door.path()).await.expect(200)["quarantined"].clone();
    assert_eq!(
        (quarantined(&door).await, quarantined(&gate).await),
        (json!(true), json!(false))
    );
    stolen.connect().await;
    stolen.hello().await;
    kim.sign_in_again().await;
    kim.unlock(&door).await.expect_refused("lock-not-in-service");
}
