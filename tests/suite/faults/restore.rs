//! Backups of the real program, made under load, and what they are restored into.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use doorward_lock::wire::Typ;
use serde_json::{Value, json};

use super::installation::Installation;
use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::outsider::Outsider;
use crate::world::{HandLock, Person, claims_of};

/// The life in which the token's counter was given.
fn generation(ctr: &Value) -> u64 {
    ctr.as_u64().unwrap() >> 48
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_opens_for_the_right_people_and_for_nobody_whose_right_ended_since() {
    let database = TestDatabase::sqlite();
    let installation = Arc::new(Installation::on(&database));
    let (backend, ana) = installation.open().await;
    let ana = Arc::new(ana);
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let (gus, max, pia) = (ana.guest("gus").await, ana.guest("max").await, ana.guest("pia").await);
    ana.grant(&gus, &door, json!({})).await;
    ana.grant(&pia, &door, json!({})).await;
    let ending = ana.grant(&max, &door, json!({})).await;
    let program = ana.program("Bookings").await;
    let key = ana.key(&program, &["locks:read"]).await;
    let (mut kept, _) = Authenticator::of(&gus).await;
    let (mut lost, lost_id) = Authenticator::of(&gus).await;
    let asked_before = installation.http.post("/v1/auth/passkey/options").await.expect(200);

    // It goes on while the backup is made.
    let is_over = Arc::new(AtomicBool::new(false));
    let load = {
        let (ana, is_over, locks) = (Arc::clone(&ana), Arc::clone(&is_over), json!([door.id]));
        tokio::spawn(async move {
            let mut given = 0;
            while !is_over.load(Ordering::Relaxed) {
                let grant =
                    json!({ "lock_ids": locks, "to": { "guest": { "name": "Load" } }, "starts_at": ana.in_days(1) });
                ana.post("/v1/grants").json(grant).await.expect(201);
                given += 1;
            }
            given
        })
    };
    let to = &installation.back_up().await;
    is_over.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 0, "there was load");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(to).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "for its owner alone");
    let complaint = installation.refused(&["backup", to], "").await;
    assert!(complaint.contains("is there already"), "{complaint}");

    // What happens afterwards is not in it.
    let (opened, token) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(generation(&token.claims["ctr"]), 1);
    ana.revoke(&ending).await;
    let member = format!("/v1/organizations/{}/members/{}", ana.organization, pia.id);
    ana.delete(&member).await.expect(200);
    let keys = format!("/v1/service-accounts/{program}/keys/{}", key["id"].as_str().unwrap());
    ana.delete(&keys).await.expect(204);
    gus.delete(&format!("/v1/me/passkeys/{lost_id}")).await.expect(204);
    let all = [
        ending["id"].as_str().unwrap(),
        &pia.id,
        key["id"].as_str().unwrap(),
        &lost_id,
    ];
    installation
        .until_noted(|notes| all.iter().all(|id| notes.contains(id)))
        .await;
    let complaint = installation.refused(&["restore", to, "--replace"], "").await;
    assert!(complaint.contains("in use"), "{complaint}");
    backend.kill().await;

    let complaint = installation.refused(&["restore", to], "").await;
    assert!(complaint.contains("--replace"), "{complaint}");
    let said = installation.restore(to).await;
    assert!(said.contains("1 locks"), "{said}");
    assert!(installation.path("state/generation").exists());

    let _backend = installation.serve().await;
    for person in [&gus, &max, &**ana] {
        person.get("/v1/me").await.expect_problem(401, "unauthenticated");
        let body = json!({ "refresh_token": person.refresh_token() });
        let refreshed = installation.http.post("/v1/auth/refresh").json(body).await;
        refreshed.expect_problem(401, "unauthenticated");
    }
    lock.connect().await;
    lock.hello().await;
    let revocations = claims_of(&lock.next_of(Typ::Revocations).await);
    assert!(revocations["min_rev"].as_u64() > Some(1_700_000_000), "{revocations}");
    for person in [&gus, &max, &pia, &**ana] {
        person.sign_in_again().await;
    }
    let (opened, token) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(generation(&token.claims["ctr"]), 2, "above all counters of before");
    max.unlock(&door).await.expect_refused("grant-revoked");
    pia.unlock(&door).await.expect_problem(404, "not-found");
    let by_key = installation
        .http
        .get("/v1/locks")
        .bearer(key["key"].as_str().unwrap())
        .await;
    by_key.expect_problem(401, "unauthenticated");
    // It may have been answered since.
    let signed = json!({ "credential": kept.sign(&asked_before) });
    let answer = installation.http.post("/v1/auth/passkey").json(signed).await;
    answer.expect_problem(401, "passkey-refused");
    for (device, status) in [(&mut kept, 200), (&mut lost, 401)] {
        let asked = installation.http.post("/v1/auth/passkey/options").await.expect(200);
        let signed = json!({ "credential": device.sign(&asked) });
        let answer = installation.http.post("/v1/auth/passkey").json(signed).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let alarms = ana.list("/v1/access-log?kind=alarm").await;
    let restored = alarms.iter().find(|alarm| alarm["reason"] == "restored").unwrap();
    assert_eq!(restored["detail"]["generation"], 2);

    // The database of before is kept, whole.
    let kept: Vec<_> = std::fs::read_dir(database.url().file().unwrap().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("before-restore"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_backup_of_this_installation_changes_nothing() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    installation.add_landlord().await;
    let other_database = TestDatabase::sqlite();
    let mut other = Installation::on(&other_database);
    other.set("HTTP__PUBLIC_URL", "https://other.example");
    other.add_landlord().await;
    let foreign = installation.path("foreign.db");
    other.said(&["backup", foreign.to_str().unwrap()], "").await;
    let broken = installation.path("broken.db");
    let mut bytes = std::fs::read(&foreign).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&broken, bytes).unwrap();
    std::fs::write(installation.path("text.db"), "nothing of the kind").unwrap();
    let before = Outsider::at(&database).rows(&["name", "value"], "installation");
    for (name, why) in [
        ("foreign.db", "is of https://other.example"),
        ("broken.db", "cannot be read"),
        ("text.db", "cannot be read"),
        ("none.db", "unavailable"),
    ] {
        let from = installation.path(name);
        let complaint = installation
            .refused(&["restore", from.to_str().unwrap(), "--replace"], "")
            .await;
        assert!(complaint.contains(why), "{name}: {complaint}");
    }
    assert_eq!(Outsider::at(&database).rows(&["name", "value"], "installation"), before);
    assert!(!installation.path("none.db").exists());
    installation.serve().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_put_back_by_other_means_is_taken_over() {
    let database = TestDatabase::postgres();
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = HandLock::install(&door).await;
    backend.kill().await;
    let complaint = installation.refused(&["backup", "x.db"], "").await;
    assert!(complaint.contains("pg_dump"), "{complaint}");
    for generation in ["2", "3"] {
        let said = installation.said(&["restore", "--adopt"], "").await;
        assert!(!said.contains("no notes"), "{said}");
        let facts = Outsider::at(&database).rows(&["value"], "installation WHERE name = 'generation'");
        assert_eq!(facts, [[generation]]);
    }
    let complaint = installation
        .refused(&["restore", "--adopt", "--endings", "nowhere"], "")
        .await;
    assert!(complaint.contains("no notes"), "{complaint}");
    std::fs::remove_file(installation.path("state/endings.jsonl")).unwrap();
    let said = installation.said(&["restore", "--adopt"], "").await;
    assert!(said.contains("no notes of what has ended"), "{said}");
    let _backend = installation.serve().await;
    ana.get("/v1/me").await.expect_problem(401, "unauthenticated");
    let ana = Person::sign_in(&installation.http, "ana", &ana.email).await;
    ana.get("/v1/locks").await.expect(200);
}
