//! Home Assistant at the door: not at all unless the operator says so, and then as a member of the organization with
//! grants of its own.

use std::collections::BTreeMap;
use std::process::Command;

use doorward::config::Config;
use doorward_lock::wire::Bolt;
use serde_json::{Value, json};

use super::{Home, shown_house, topic};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::{found, until};
use crate::world::{Door, InstalledLock, Landlord, Property, TestServer};

on_each_database!(
    where_commands_are_off_nothing_happens,
    a_command_opens_as_the_service_account_and_is_logged_so,
    what_the_broker_had_kept_opens_nothing,
    nobody_signs_in_as_a_program_and_no_person_acts_as_one,
    of_two_nodes_one_has_the_turn,
);

/// A house with an account for Home Assistant, which has no grant yet, and a lock in its door.
async fn house_with_account(database: &TestDatabase) -> (TestServer, Landlord, Home, Door, InstalledLock, String) {
    let (mut t, ana, house, mut home) = shown_house(database).await;
    let account = t
        .app()
        .add_service_account(
            "Home Assistant".to_owned().try_into().unwrap(),
            vec![ana.organization.parse().unwrap()],
        )
        .await
        .unwrap()
        .to_string();
    t.restart_with(|config| allow(config, &account)).await;
    let (door, lock) = door_of(&ana, &house).await;
    home.until_said(&topic(&door.id, "availability"), "online").await;
    home.until_said("doorward/status", "online").await;
    (t, ana, home, door, lock, account)
}

fn allow(config: &mut Config, account: &str) {
    config.home_assistant.commands = true;
    account.clone_into(&mut config.home_assistant.service_account);
}

async fn door_of(ana: &Landlord, house: &Property) -> (Door, InstalledLock) {
    let door = ana.add_lock(house, "Front door").await;
    let lock = door.install().await;
    (door, lock)
}

/// Waits until the metric of commands with this result stands at `count`.
async fn until_counted(t: &TestServer, result: &str, count: u32) {
    let line = format!("doorward_home_assistant_commands_total{{result=\"{result}\"}} {count}");
    until(&line, async || {
        let metrics = reqwest::get(format!("http://{}/metrics", t.metrics())).await.unwrap();
        metrics.text().await.unwrap().lines().any(|found| found == line)
    })
    .await;
}

/// How many commands came to which end.
async fn counted(t: &TestServer) -> BTreeMap<String, u64> {
    let metrics = reqwest::get(format!("http://{}/metrics", t.metrics())).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let results = metrics.lines().filter_map(|line| {
        let counted = line.strip_prefix("doorward_home_assistant_commands_total{result=\"")?;
        let (result, count) = counted.split_once("\"} ")?;
        Some((result.to_owned(), count.parse().unwrap()))
    });
    results.collect()
}

/// Commands the door, again while it still rests from the command before.
async fn command(t: &TestServer, home: &mut Home, door: &Door, payload: &str) {
    found("the door to be commanded", async || {
        let before = counted(t).await;
        home.publish(&topic(&door.id, "command"), payload).await;
        let after = found("what became of the command", async || {
            let after = counted(t).await;
            (after != before).then_some(after)
        })
        .await;
        (after.get("busy") == before.get("busy")).then_some(())
    })
    .await;
}

async fn requests(ana: &Landlord) -> Vec<Value> {
    ana.list("/v1/access-log?kind=unlock-requested").await
}

async fn where_commands_are_off_nothing_happens(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let (door, lock) = door_of(&ana, &house).await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;
    home.until_said("doorward/status", "online").await;
    home.publish(&topic(&door.id, "command"), "UNLOCK").await;
    // What it hears after that it has dealt with.
    home.last.clear();
    home.publish("homeassistant/status", "online").await;
    home.until_said("doorward/status", "online").await;
    assert!(requests(&ana).await.is_empty());
    assert_eq!(lock.view().borrow().bolt, Bolt::Locked);
}

async fn a_command_opens_as_the_service_account_and_is_logged_so(database: TestDatabase) {
    let (t, ana, mut home, door, lock, account) = house_with_account(&database).await;

    // An account without a grant is refused like anybody, in the log too.
    command(&t, &mut home, &door, "UNLOCK").await;
    until_counted(&t, "refused", 1).await;
    let refused = &requests(&ana).await[0];
    assert_eq!(
        (&refused["outcome"], &refused["reason"]),
        (&json!("refused"), &json!("no-access"))
    );
    assert_eq!(refused["person_id"], *account);
    assert_eq!(lock.view().borrow().bolt, Bolt::Locked);

    let grant = ana
        .give(&[&door], json!({ "person_id": account }), json!({}))
        .await
        .expect(201);
    command(&t, &mut home, &door, "UNLOCK").await;
    home.until_said(&topic(&door.id, "lock"), "UNLOCKED").await;
    until_counted(&t, "confirmed", 1).await;
    let unlocked = &ana.list("/v1/access-log?kind=unlocked").await[0];
    assert_eq!(unlocked["person_id"], *account);
    assert_eq!(unlocked["person_name"], "Home Assistant");
    assert_eq!(unlocked["grant_id"], grant["id"]);

    for strange in ["OPEN", "unlock", ""] {
        home.publish(&topic(&door.id, "command"), strange).await;
    }
    until_counted(&t, "unknown", 3).await;
    command(&t, &mut home, &door, "LOCK").await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;

    // Put out like a member, it asks for nothing any more.
    let members = format!("/v1/organizations/{}/members", ana.organization);
    let listed = ana.list(&members).await;
    let listed = listed.iter().find(|member| member["id"] == *account).unwrap();
    assert_eq!(
        (&listed["role"], &listed["name"]),
        (&json!("service"), &json!("Home Assistant"))
    );
    ana.delete(&format!("{members}/{account}")).await.expect(200);
    let before = requests(&ana).await.len();
    command(&t, &mut home, &door, "UNLOCK").await;
    until_counted(&t, "no-account", 1).await;
    assert_eq!(requests(&ana).await.len(), before);
    assert_eq!(lock.view().borrow().bolt, Bolt::Locked);
}

async fn what_the_broker_had_kept_opens_nothing(database: TestDatabase) {
    let (mut t, ana, mut home, door, lock, account) = house_with_account(&database).await;
    ana.give(&[&door], json!({ "person_id": account }), json!({}))
        .await
        .expect(201);
    let mut config = None;
    t.restart_with(|present| config = Some(std::mem::take(&mut present.home_assistant)))
        .await;
    home.until_said("doorward/status", "offline").await;
    home.publish_retained(&topic(&door.id, "command"), "UNLOCK").await;
    t.restart_with(|present| present.home_assistant = config.unwrap()).await;
    until_counted(&t, "retained", 1).await;
    home.until_said("doorward/status", "online").await;
    assert!(requests(&ana).await.is_empty());
    assert_eq!(lock.view().borrow().bolt, Bolt::Locked);
}

async fn nobody_signs_in_as_a_program_and_no_person_acts_as_one(database: TestDatabase) {
    let (t, ana, ..) = shown_house(&database).await;
    let organization = ana.organization.parse().unwrap();
    let name = || "Home Assistant".to_owned().try_into().unwrap();
    let account = t.app().add_service_account(name(), vec![organization]).await.unwrap();
    let members = format!("/v1/organizations/{}/members", ana.organization);
    let listed = ana.list(&members).await;
    let email = listed.iter().find(|member| member["id"] == account.as_str()).unwrap()["email"].clone();
    for password in ["", "correct horse battery", "service"] {
        let answer = t
            .http
            .post("/v1/auth/sign-in")
            .json(json!({ "email": email, "password": password }))
            .await;
        assert!(matches!(answer.status, 401 | 422), "{}", answer.status);
    }
    ana.invite("robot@people.example", json!({ "role": "service" }))
        .await
        .expect_problem(403, "forbidden");

    assert!(t.app().service(account).await.is_ok());
    for person in [ana.id.parse().unwrap(), doorward::domain::ids::PersonId::from_bits(1)] {
        assert!(t.app().service(person).await.is_err(), "a person is no program");
    }
    let nowhere = doorward::domain::ids::OrganizationId::from_bits(1);
    assert!(t.app().add_service_account(name(), vec![nowhere]).await.is_err());
}

async fn of_two_nodes_one_has_the_turn(database: TestDatabase) {
    let (t, ..) = shown_house(&database).await;
    assert!(t.app().hold_turn().await.unwrap(), "it has it, and keeps it");
    let lease = |holder: &'static str, at_seconds: u64| {
        let now = doorward::domain::time::Timestamp::from_seconds(at_seconds);
        let db = database.open();
        async move {
            let ends_at = now + doorward::app::shown::LEASE_LIFE;
            db.write(move |conn| doorward::store::leases::hold(conn, "home-assistant", holder, now, ends_at))
                .await
                .unwrap()
        }
    };
    if database.is_sqlite() {
        // One process has the file.
        return;
    }
    drop(t);
    for (holder, at, has_it) in [
        ("node-2", 1_000, true),
        ("node-1", 1_029, false),
        ("node-2", 1_010, true),
        ("node-1", 1_039, false),
        ("node-1", 1_040, true),
        ("node-2", 1_041, false),
    ] {
        assert_eq!(lease(holder, at).await, has_it, "{holder} at {at} s");
    }
}

#[test]
fn the_command_line_adds_an_account() {
    let help = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["service-account", "add", "--help"])
        .output()
        .unwrap();
    assert!(help.status.success());
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(arguments)
            .env_clear()
            .env("DOORWARD__STATE_DIR", folder.path().join("state"))
            .output()
            .unwrap()
    };
    let landlord = [
        "--organization",
        "Houses",
        "--name",
        "Ana",
        "--email",
        "ana@example.org",
    ];
    let added = run(&[&["landlord", "add"], &landlord[..]].concat());
    let added = String::from_utf8(added.stdout).unwrap();
    let organization = added.split_whitespace().find(|word| word.starts_with("org_")).unwrap();
    let account = run(&[
        "service-account",
        "add",
        "--name",
        "Home Assistant",
        "--organization",
        organization,
    ]);
    let said = String::from_utf8(account.stdout).unwrap();
    assert!(said.starts_with("added person_"), "{said} {:?}", account.stderr);
    let nowhere = format!("org_{:032x}", 1);
    let refused = run(&["service-account", "add", "--name", "x", "--organization", &nowhere]);
    assert!(!refused.status.success());
}
