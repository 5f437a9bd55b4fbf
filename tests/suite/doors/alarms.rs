//! Alarms, and who is told of them.

use std::time::Duration;

use doorward_lock::controller::Alarm;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::mail_server::MailServer;
use crate::fixtures::outsider::Outsider;
use crate::fixtures::wait::{found, until};
use crate::world::{InstalledLock, Landlord, Person, TestServer, house};

on_each_database!(
    managers_hear_of_an_alarm_and_not_of_the_same_again_within_the_hour,
    a_low_battery_is_told_once_until_it_is_well_again,
    who_lives_there_hears_of_the_battery_and_of_nothing_else,
    an_alarm_of_no_lock_is_told_too,
    what_was_not_told_is_told_after_a_restart,
    alarms_come_as_letters_unless_they_are_not_wanted,
);

const HOUR: Duration = Duration::from_secs(3600);

/// What the person was told of this kind, the newest first.
async fn told(who: &Person, kind: &str) -> Vec<Value> {
    let notices = who.list("/v1/me/notices?limit=200").await;
    notices.into_iter().filter(|notice| notice["kind"] == kind).collect()
}

/// Waits until the person was told so often of this kind.
async fn told_once(who: &Person, kind: &str, count: usize) -> Vec<Value> {
    found(&format!("{count} of {kind}"), async || {
        let told = told(who, kind).await;
        (told.len() >= count).then_some(told)
    })
    .await
}

/// Raises one alarm that was not raised before, as a sign that all earlier ones were dealt with.
async fn after_all(ana: &Landlord, lock: &InstalledLock, signs: usize) {
    lock.raise(Alarm::Ajar).await;
    until("the last alarm to be told", async || {
        let told = told(ana, "alarm").await;
        told.iter()
            .filter(|notice| notice["detail"]["reason"] == "ajar")
            .count()
            == signs
    })
    .await;
}

async fn managers_hear_of_an_alarm_and_not_of_the_same_again_within_the_hour(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let (max, dee) = (ana.manager("max").await, ana.staff("dee", "desk").await);
    let lock = door.install().await;
    for _ in 0..3 {
        lock.raise(Alarm::Tamper).await;
    }
    let first = told_once(&ana, "alarm", 1).await;
    assert_eq!(
        (&first[0]["lock_id"], &first[0]["detail"]),
        (&json!(door.id), &json!({ "reason": "tamper" }))
    );
    after_all(&ana, &lock, 1).await;
    let reasons =
        |told: Vec<Value>| -> Vec<Value> { told.iter().map(|told| told["detail"]["reason"].clone()).collect() };
    for manager in [&*ana, &*max] {
        assert_eq!(reasons(told_once(manager, "alarm", 2).await), ["ajar", "tamper"]);
    }
    assert_eq!(told(&dee, "alarm").await, Vec::<Value>::new());
    t.clock.advance(HOUR);
    ana.sign_in_again().await;
    lock.raise(Alarm::Tamper).await;
    assert_eq!(reasons(told_once(&ana, "alarm", 3).await), ["tamper", "ajar", "tamper"]);
}

async fn a_low_battery_is_told_once_until_it_is_well_again(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    for percent in [90, 21, 20, 19, 25, 20, 3] {
        lock.measure_battery(percent).await;
    }
    let low = told_once(&ana, "battery-low", 1).await;
    assert_eq!(low[0]["lock_id"], door.id);
    after_all(&ana, &lock, 1).await;
    assert_eq!(told(&ana, "battery-low").await.len(), 1);
    let alarms = ana.list("/v1/access-log?kind=alarm").await;
    let of_battery = alarms.iter().filter(|alarm| alarm["reason"] == "battery-low");
    assert_eq!(of_battery.count(), 1);
    t.clock.advance(2 * HOUR);
    ana.sign_in_again().await;
    // New batteries; the lock tells with its next hello.
    lock.measure_battery(100).await;
    lock.disconnect().await;
    lock.connect().await;
    until("it is known", async || {
        let shown = ana.get(&door.path()).await.expect(200);
        shown["battery"]["value"] == 100
    })
    .await;
    lock.measure_battery(15).await;
    told_once(&ana, "battery-low", 2).await;
}

async fn who_lives_there_hears_of_the_battery_and_of_nothing_else(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Top 3").await;
    let door = ana.add_lock_of(&unit, "Home").await;
    let (tom, gus) = (ana.tenant("tom", &unit).await, ana.guest("gus").await);
    ana.tenant("uma", &ana.add_unit(&house, "Top 4").await).await;
    let lock = door.install().await;
    lock.measure_battery(12).await;
    let low = told_once(&tom, "battery-low", 1).await;
    assert_eq!(low[0]["unit_id"], unit.id);
    after_all(&ana, &lock, 1).await;
    assert_eq!(told(&tom, "alarm").await, Vec::<Value>::new());
    assert_eq!(told(&gus, "battery-low").await, Vec::<Value>::new());
}

async fn an_alarm_of_no_lock_is_told_too(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let gus = ana.guest("gus").await;
    let door = ana.add_lock(&house, "Front door").await;
    // An insider edits what is not sealed yet.
    let mut outsider = Outsider::at(&database);
    ana.grant(&gus, &door, json!({})).await;
    outsider.run("UPDATE access_log SET reason = 'nothing' WHERE kind = 'grant-given'");
    let told = told_once(&ana, "alarm", 1).await;
    assert_eq!(told[0]["detail"]["reason"], "log-entry-changed");
    assert_eq!(told[0]["lock_id"], Value::Null);
}

async fn what_was_not_told_is_told_after_a_restart(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    after_all(&ana, &lock, 1).await;
    t.stop().await;
    // As where the node died between the alarm and telling of it.
    let mut outsider = Outsider::at(&database);
    outsider.run("DELETE FROM notices WHERE kind = 'alarm'");
    outsider.run("UPDATE alarms_told SET told_seq = 0");
    t.restart().await;
    assert_eq!(told_once(&ana, "alarm", 1).await[0]["detail"]["reason"], "ajar");
}

async fn alarms_come_as_letters_unless_they_are_not_wanted(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let max = ana.manager("max").await;
    let unwanted = json!({ "no_letter_for": ["alarm"] });
    max.put("/v1/me/notice-settings").json(unwanted).await.expect(200);
    mail.letters_once(&max.email, 1).await;
    let lock = door.install().await;
    lock.raise(Alarm::Tamper).await;
    lock.measure_battery(9).await;
    until("letters of both", async || {
        let text: String = mail
            .letters(&ana.email)
            .iter()
            .map(|letter| letter.text().to_owned())
            .collect();
        text.contains("Something happened that you should look at") && text.contains("The battery of a lock is low")
    })
    .await;
    until("a letter of the battery alone", async || {
        mail.letters(&max.email).len() >= 2
    })
    .await;
    for letter in &mail.letters(&max.email)[1..] {
        assert!(!letter.text().contains("Something happened"), "{letter:?}");
    }
}
