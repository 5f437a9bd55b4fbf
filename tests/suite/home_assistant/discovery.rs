//! What Home Assistant finds: in the form that its real schema takes, and no longer than it is there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use doorward_lock::wire::{Cause, Door as Leaf, Kind, RESULT_OK};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{Home, config_topics, installed, shown_house, topic};
use crate::fixtures::databases::{TestDatabase, on_each_database};

on_each_database!(
    two_locks_are_found_as_the_real_home_assistant_wants_them,
    a_renamed_lock_is_renamed_and_a_retired_one_is_gone,
    what_stands_there_from_before_and_is_not_shown_any_more_is_taken_away,
    other_landlords_locks_are_not_shown,
);

/// Longest wait for Python to import the integration and judge.
const JUDGEMENT: Duration = Duration::from_secs(60);

async fn two_locks_are_found_as_the_real_home_assistant_wants_them(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let (front, cellar) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar \"β\"").await,
    );
    let never_claimed = ana.add_lock(&house, "Attic").await;
    let (mut lock, _other) = (installed(&front).await, installed(&cellar).await);
    // Alarms from before the locks were first shown are no news.
    home.until_said(&topic(&front.id, "lock"), "LOCKED").await;
    lock.leaf = Leaf::Open;
    lock.report(Kind::DoorOpen, Cause::Manual, RESULT_OK).await;
    lock.report(Kind::Forced, Cause::Auto, RESULT_OK).await;
    home.until("an alarm", |home| home.alarms(&front.id).len() == 1).await;
    home.until_said(&topic(&front.id, "door"), "ON").await;
    home.until_said(&topic(&cellar.id, "lock"), "LOCKED").await;

    let kept = home.kept().await;
    let mut configs: Vec<&String> = kept.keys().filter(|topic| topic.ends_with("/config")).collect();
    configs.sort();
    let [a_lock, a_battery, a_door, an_alarm] = config_topics(&front.id);
    // The other one has no door sensor.
    let [b_lock, b_battery, _, b_alarm] = config_topics(&cellar.id);
    let mut expected = [a_lock, a_battery, a_door, an_alarm, b_lock, b_battery, b_alarm];
    expected.sort();
    assert_eq!(configs, expected.iter().collect::<Vec<_>>());
    assert!(!kept.keys().any(|topic| topic.contains(&never_claimed.id)));
    assert!(!kept.contains_key(&topic(&front.id, "alarm")), "an alarm is not kept");
    judge(&home).await;

    let config: Value = serde_json::from_str(&kept[&config_topics(&front.id)[0]]).unwrap();
    assert_eq!(config["device"]["name"], "Front door");
    assert_eq!(config["device"]["model"], "Test lock");
    assert_eq!(config["origin"]["name"], "Doorward");
    assert_eq!(
        (&config["optimistic"], &config["retain"]),
        (&json!(false), &json!(false))
    );
    assert!(config.get("payload_open").is_none(), "to unlatch is not offered");
}

/// Has the real integration judge everything that was heard.
async fn judge(home: &Home) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/home_assistant");
    assert!(
        folder.join("done").exists(),
        "these tests need the real Home Assistant: run tests/packages home_assistant homeassistant==2024.3.3"
    );
    let configs: serde_json::Map<String, Value> = home
        .last
        .iter()
        .filter(|(topic, text)| topic.ends_with("/config") && !text.is_empty())
        .map(|(topic, text)| (topic.clone(), serde_json::from_str(text).unwrap()))
        .collect();
    assert!(configs.len() >= 7, "{configs:?}");
    let mut messages = serde_json::Map::new();
    for (topic, text) in home.all.iter().filter(|(_, text)| !text.is_empty()) {
        let of_topic = messages.entry(topic).or_insert_with(|| json!([]));
        of_topic.as_array_mut().unwrap().push(json!(text));
    }
    let given = json!({ "configs": configs, "messages": messages }).to_string();
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/home_assistant/check.py");
    let mut child = Command::new(folder.join("bin/python"))
        .arg("-B")
        .arg(check)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(given.as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(JUDGEMENT, child.wait_with_output()).await;
    let output = output.expect("Python is done in time").unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn a_renamed_lock_is_renamed_and_a_retired_one_is_gone(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = installed(&door).await;
    let config = &config_topics(&door.id)[0];
    let is_called = |home: &Home, name: &str| {
        let config: Option<Value> = home.said(config).and_then(|text| serde_json::from_str(text).ok());
        config.is_some_and(|config| config["device"]["name"] == name)
    };
    home.until("the door", |home| is_called(home, "Front door")).await;
    ana.patch(&door.path())
        .json(json!({ "name": "Gate" }))
        .await
        .expect(200);
    home.until("the new name", |home| is_called(home, "Gate")).await;
    home.until_said(&topic(&door.id, "availability"), "online").await;

    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    home.until_said(config, "").await;
    home.until_said(&topic(&door.id, "lock"), "").await;
    let kept = home.kept().await;
    let left: Vec<_> = kept.keys().filter(|topic| topic.contains(&door.id)).collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn what_stands_there_from_before_and_is_not_shown_any_more_is_taken_away(database: TestDatabase) {
    let (mut t, ana, house, mut home) = shown_house(&database).await;
    let (stays, goes) = (ana.add_lock(&house, "Stays").await, ana.add_lock(&house, "Goes").await);
    let _locks = (installed(&stays).await, installed(&goes).await);
    home.until_said(&topic(&stays.id, "lock"), "LOCKED").await;
    home.until_said(&topic(&goes.id, "lock"), "LOCKED").await;

    // Nothing is shown while one of them is retired.
    let mut before = None;
    t.restart_with(|config| before = Some(std::mem::take(&mut config.home_assistant)))
        .await;
    home.until_said("doorward/status", "offline").await;
    ana.post(&format!("{}/retire", goes.path())).await.expect(200);
    let strangers = "homeassistant/lock/somebody/lock_1/config";
    home.publish_retained(strangers, "{}").await;
    let ours = "homeassistant/switch/doorward/from_an_older_version/config";
    home.publish_retained(ours, "{}").await;
    t.restart_with(|config| config.home_assistant = before.unwrap()).await;
    home.until_said(&config_topics(&goes.id)[0], "").await;
    home.until_said(&topic(&goes.id, "availability"), "").await;
    home.until_said(ours, "").await;
    let kept = home.kept().await;
    assert!(kept.contains_key(&config_topics(&stays.id)[0]));
    assert!(!kept.keys().any(|topic| topic.contains(&goes.id)), "{kept:#?}");
    assert!(kept.contains_key(strangers), "what is not ours stays");
    assert_eq!(kept["doorward/status"], "online");
}

async fn other_landlords_locks_are_not_shown(database: TestDatabase) {
    let (t, ana, house, mut home) = shown_house(&database).await;
    let eve = t.landlord("eve").await;
    let hers = eve.add_property("Europe/Vienna").await;
    let (own, other) = (ana.add_lock(&house, "Own").await, eve.add_lock(&hers, "Other").await);
    let _other = installed(&other).await;
    let _own = installed(&own).await;
    home.until_said(&topic(&own.id, "lock"), "LOCKED").await;
    assert!(!home.all.iter().any(|(topic, _)| topic.contains(&other.id)));
}
