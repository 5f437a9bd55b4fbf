//! A house whose database was restored: what had ended since has ended, and a database that is older than it should be is not
//! started with.

use serde_json::json;

use super::installation::Installation;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::outsider::Outsider;
use crate::world::{HandLock, PASSWORD, Person, Phone};

/// As many endings of each kind, in the notes.
fn has_ended(kinds: &[(&str, usize)]) -> impl Fn(&str) -> bool {
    let kinds = kinds
        .iter()
        .map(|(kind, count)| (format!("\"what\":\"{kind}\""), *count));
    let kinds: Vec<_> = kinds.collect();
    move |notes| kinds.iter().all(|(kind, count)| notes.matches(kind).count() == *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_had_ended_since_the_backup_lets_nobody_in() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let (tom, eve) = (ana.tenant("tom", &flat).await, ana.tenant("eve", &flat).await);
    let front = ana.add_lock(&house, "Front door").await;
    let grant = ana.grant_guest("Gil", &front, json!({})).await;
    let link = ana.link(&grant, json!({})).await;
    let zoe = ana.guest("zoe").await;
    ana.grant(&zoe, &door, json!({ "uses": 1 })).await;
    let offer = json!({ "role": "guest", "letter": false });
    let invitation = ana.invite("kim@people.example", offer).await.text_of("secret_link");
    // Those of the tenants, who have accepted.
    installation.until_noted(has_ended(&[("invitation", 3)])).await;
    let backup = installation.back_up().await;

    let (opened, _) = tokio::join!(zoe.unlock(&door), lock.obey());
    opened.expect_opened();
    ana.end_tenancy(&ana.tenancy_of(&tom, &flat).await, json!({})).await;
    ana.take_link_back(&grant).await.expect(200);
    Person::accept(&installation.http, "kim", "kim@people.example", &invitation).await;
    installation
        .until_noted(has_ended(&[("tenancy", 1), ("link", 1), ("invitation", 4), ("use", 1)]))
        .await;
    backend.kill().await;

    let said = installation.restore(&backup).await;
    assert!(!said.contains("stands again;"), "{said}");
    let _backend = installation.serve().await;
    lock.connect().await;
    lock.hello().await;
    for person in [&tom, &eve, &zoe, &*ana] {
        person.sign_in_again().await;
    }
    let (opened, _) = tokio::join!(eve.unlock(&door), lock.obey());
    opened.expect_opened();
    tom.unlock(&door).await.expect_refused("grant-expired");
    zoe.unlock(&door).await.expect_refused("uses-exhausted");
    link.redeem(&Phone::new_key()).await.expect_problem(404, "not-found");
    let (_, secret) = invitation.split_once('#').unwrap();
    let accept = json!({ "secret": secret, "name": "Kim", "password": PASSWORD });
    let again = installation.http.post("/v1/invitations/accept").json(accept).await;
    again.expect_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_notes_do_not_cover_is_said() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    installation.add_landlord().await;
    // There were no notes before the first start.
    let backup = installation.back_up().await;
    let endings = installation.path("endings.jsonl");
    let far = r#"{"covers_since":"2099-01-01T00:00:00.000Z"}"#;
    let restore = ["restore", &backup, "--replace", "--endings", "endings.jsonl"];
    for (notes, complaint) in [
        (String::new(), "does not say from when on it is complete"),
        (format!("{far}\n"), "the backup was made at"),
        (format!("{far}\n{{\"what\":\n"), "1 lines of"),
    ] {
        std::fs::write(&endings, &notes).unwrap();
        let said = installation.said(&restore, "").await;
        assert!(said.contains(complaint), "{notes}: {said}");
    }
    std::fs::write(&endings, far.replace("2099", "2001")).unwrap();
    let said = installation.said(&restore, "").await;
    assert!(!said.contains("stands again;"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_life_is_not_started_with() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    installation.add_landlord().await;
    let file = database.url().file().unwrap().to_owned();
    let generation = installation.path("state/generation");
    let backup = installation.back_up().await;
    installation.restore(&backup).await;
    assert_eq!(std::fs::read_to_string(&generation).unwrap(), "2\n");

    // As somebody does who has not read on.
    std::fs::copy(&backup, &file).unwrap();
    let complaint = installation.complaint().await;
    assert!(complaint.contains("doorward restore --adopt"), "{complaint}");
    assert_eq!(
        std::fs::read_to_string(&generation).unwrap(),
        "2\n",
        "it never goes down"
    );
    installation.said(&["restore", "--adopt"], "").await;
    assert_eq!(std::fs::read_to_string(&generation).unwrap(), "3\n");
    installation.serve().await.kill().await;

    std::fs::write(&generation, "x").unwrap();
    let complaint = installation.complaint().await;
    assert!(complaint.contains("in which life"), "{complaint}");
    std::fs::write(&generation, "3\n").unwrap();

    // A restore that was broken off where there was a damaged database to be put aside.
    let mut draft = file.clone().into_os_string();
    draft.push(".restoring");
    std::fs::rename(&file, &draft).unwrap();
    let complaint = installation.complaint().await;
    assert!(complaint.contains("was broken off"), "{complaint}");
    assert!(!file.exists(), "no new one is made");
    installation.said(&["restore", &backup], "").await;
    installation.serve().await.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_keys_nothing_is_restored() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    installation.add_landlord().await;
    let backup = installation.back_up().await;
    let keys = installation.path("state/keys");
    std::fs::rename(&keys, installation.path("lost")).unwrap();
    let restore = ["restore", &backup, "--replace"];
    for arguments in [&restore[..], &["restore", "--adopt"]] {
        let complaint = installation.refused(arguments, "").await;
        assert!(complaint.contains("there are no keys in"), "{complaint}");
        assert!(!keys.exists(), "and none were made");
    }
    installation.said(&[&restore[..], &["--new-keys"]].concat(), "").await;
    assert!(keys.exists());

    // What fails leaves nobody's names behind.
    std::fs::remove_dir_all(&keys).unwrap();
    std::fs::rename(installation.path("lost"), &keys).unwrap();
    std::fs::write(keys.join("signing.json"), "damaged").unwrap();
    installation.refused(&restore, "").await;
    let folder = database.url().file().unwrap().parent().unwrap();
    let left = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().contains("restoring"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_had_ended_ends_again_on_postgres_too() {
    let database = TestDatabase::postgres();
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    ana.revoke(&grant).await;
    installation.until_noted(has_ended(&[("grant", 1)])).await;
    backend.kill().await;
    // As it was before.
    Outsider::at(&database).run("UPDATE grants SET revoked_at_ms = NULL, revoked_by = NULL");
    let said = installation.said(&["restore", "--adopt"], "").await;
    assert!(said.contains("1 endings since the backup repeated"), "{said}");
    assert!(said.contains("is complete from"), "{said}");
    let _backend = installation.serve().await;
    gus.sign_in_again().await;
    gus.unlock(&door).await.expect_refused("grant-revoked");
}
