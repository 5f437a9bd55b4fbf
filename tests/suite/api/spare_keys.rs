//! Spare keys: they open nothing until they are released, and not a moment longer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, InstalledLock, Landlord, Person, TestServer, Unit, house};

on_each_database!(
    a_spare_key_is_asked_for_released_and_goes_back_by_itself,
    silence_is_the_answer_that_was_set,
    who_may_release_whose_key,
    a_released_key_is_taken_back,
    an_ask_ends_with_the_access,
    who_asks_again_and_again_is_not_heard,
);

const NOW: &str = "2026-03-02T08:00:00Z";
const MINUTE: Duration = Duration::from_secs(60);

struct Home {
    t: TestServer,
    ana: Landlord,
    unit: Unit,
    tom: Person,
    gus: Person,
    flat: Door,
    lock: InstalledLock,
}

async fn home(database: &TestDatabase) -> Home {
    let (t, ana, house) = house(database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let flat = ana.add_lock_of(&unit, "Flat 1").await;
    let lock = flat.install().await;
    let tom = ana.tenant("tom", &unit).await;
    let gus = ana.guest("gus").await;
    Home {
        t,
        ana,
        unit,
        tom,
        gus,
        flat,
        lock,
    }
}

fn path(grant: &Value) -> String {
    format!("/v1/grants/{}", grant["id"].as_str().unwrap())
}

async fn spare(giver: &Person, door: &Door, to: &Person, terms: Value) -> Value {
    let mut all = json!({ "starts_at": NOW, "spare": true });
    for (name, value) in terms.as_object().unwrap() {
        all[name] = value.clone();
    }
    giver.lend(&[door], to, all).await.expect(201)
}

async fn ask(person: &Person, grant: &Value) -> Value {
    let asked = person.post(&format!("{}/ask", path(grant)));
    asked.json(json!({ "reason": "The dog is alone" })).await.expect(200)
}

async fn kinds(person: &Person) -> Vec<String> {
    let told = person.list("/v1/me/notices").await;
    told.iter()
        .map(|notice| notice["kind"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the person was told this last.
async fn until_told(person: &Person, kind: &str) {
    until(kind, async || {
        kinds(person).await.first().map(String::as_str) == Some(kind)
    })
    .await;
}

async fn a_spare_key_is_asked_for_released_and_goes_back_by_itself(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        t,
        ana,
        unit,
        tom,
        gus,
        flat,
        lock,
    } = &home;
    let jo = ana.tenant("jo", unit).await;
    let grant = spare(tom, flat, gus, json!({ "release_minutes": 30 })).await;
    assert_eq!(
        grant["spare"],
        json!({
            "on_silence": "refuse", "answer_within_minutes": 60, "release_minutes": 30, "landlord_may_release": false,
            "released_until": null, "asked": null,
        })
    );
    let refused = gus.unlock(flat).await.expect_refused("spare-not-released");
    assert!(refused["detail"].as_str().unwrap().contains("/ask"), "{refused}");
    let phone = gus.phone().await;
    let no_pass = gus.pass(&phone, &[flat]).await.expect_problem(403, "pass-refused");
    assert_eq!(no_pass["reason"], "spare-not-released");
    let openable = gus.list("/v1/me/locks").await;
    assert_eq!(openable[0]["reason"], "spare-not-released");

    let asked = ask(gus, &grant).await;
    assert_eq!(asked["spare"]["asked"]["answer_by"], "2026-03-02T09:00:00.000Z");
    // Asked twice, it is asked once; and who asks releases nothing.
    assert_eq!(ask(gus, &grant).await, asked);
    gus.post(&format!("{}/release", path(&grant)))
        .await
        .expect_problem(403, "forbidden");
    gus.unlock(flat).await.expect_refused("spare-not-released");
    for resident in [tom, &jo] {
        let told = resident.list("/v1/me/notices").await;
        assert_eq!(
            (&told[0]["kind"], &told[0]["detail"]["reason"], &told[0]["actor_id"]),
            (&json!("spare-asked"), &json!("The dog is alone"), &json!(gus.id))
        );
        assert_eq!(
            kinds(resident)
                .await
                .iter()
                .filter(|kind| *kind == "spare-asked")
                .count(),
            1
        );
    }
    assert!(
        !kinds(ana).await.contains(&"spare-asked".to_owned()),
        "it is no key of the landlord's"
    );

    let released = tom.post(&format!("{}/release", path(&grant))).await.expect(200);
    assert_eq!(
        (&released["spare"]["released_until"], &released["spare"]["asked"]),
        (&json!("2026-03-02T08:30:00.000Z"), &Value::Null)
    );
    gus.unlock(flat).await.expect_opened();
    let claims = gus.pass_claims(&phone, &[flat]).await;
    assert_eq!(
        claims["exp"],
        1_772_438_400 + 30 * 60 - 1,
        "a pass ends with the release"
    );
    assert_eq!(kinds(gus).await[0], "spare-released");
    assert_eq!(kinds(&jo).await[0], "spare-released");

    t.clock.advance(30 * MINUTE - Duration::from_millis(1));
    lock.until_online(ana, true).await;
    gus.unlock(flat).await.expect_opened();
    t.clock.advance(Duration::from_millis(1));
    gus.unlock(flat).await.expect_refused("spare-not-released");
    until_told(gus, "spare-returned").await;
    let log = tom.list("/v1/access-log?kind=spare-returned").await;
    let of_key: Vec<&Value> = log.iter().filter(|entry| entry["grant_id"] == grant["id"]).collect();
    assert!(of_key.len() <= 1, "written down once: {log:?}");
    let shown = tom.get(&path(&grant)).await.expect(200);
    assert_eq!(shown["spare"]["released_until"], Value::Null);
}

async fn silence_is_the_answer_that_was_set(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        t,
        ana,
        tom,
        gus,
        flat,
        lock,
        ..
    } = &home;
    let terms = json!({ "on_silence": "release", "answer_within_minutes": 5, "release_minutes": 10 });
    let grant = spare(tom, flat, gus, terms).await;
    ask(gus, &grant).await;
    t.clock.advance(5 * MINUTE - Duration::from_millis(1));
    gus.unlock(flat).await.expect_refused("spare-not-released");
    t.clock.advance(Duration::from_millis(1));
    until_told(gus, "spare-released").await;
    assert_eq!(tom.list("/v1/me/notices").await[0]["detail"]["because"], "silence");
    lock.until_online(ana, true).await;
    gus.unlock(flat).await.expect_opened();
    t.clock.advance(10 * MINUTE);
    until_told(gus, "spare-returned").await;
    gus.unlock(flat).await.expect_refused("spare-not-released");

    // Set to refuse, silence refuses; a late answer is an answer all the same.
    let change = json!({ "lock_ids": [flat.id], "starts_at": NOW, "spare": true, "answer_within_minutes": 5 });
    tom.put(&path(&grant)).json(change).await.expect(200);
    ask(gus, &grant).await;
    t.clock.advance(5 * MINUTE);
    until_told(gus, "spare-refused").await;
    gus.unlock(flat).await.expect_refused("spare-not-released");
    tom.post(&format!("{}/refuse", path(&grant)))
        .await
        .expect_problem(409, "nothing-asked");
    let minutes = json!({ "minutes": 5 });
    tom.post(&format!("{}/release", path(&grant)))
        .json(minutes)
        .await
        .expect(200);
    lock.until_online(ana, true).await;
    gus.unlock(flat).await.expect_opened();
}

async fn who_may_release_whose_key(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        unit,
        tom,
        gus,
        flat,
        ..
    } = &home;
    let dee = ana.staff("dee", "desk").await;
    let jo = ana.tenant("jo", unit).await;
    let mia = ana.guest("mia").await;
    let own = spare(tom, flat, gus, json!({})).await;
    let shared = spare(tom, flat, gus, json!({ "landlord_may_release": true })).await;
    let landlords = ana.grant(gus, flat, json!({ "spare": true })).await;
    let release = async |who: &Person, grant: &Value| who.post(&format!("{}/release", path(grant))).await;
    for (what, who, grant, status) in [
        ("a tenant's by the tenant", tom, &own, 200),
        ("by who lives with them", &jo, &own, 200),
        ("by the desk", &dee, &own, 404),
        ("by the landlord", ana, &own, 404),
        ("by its holder", gus, &own, 403),
        ("by a stranger in the house", &mia, &own, 404),
        ("one that the desk may release", &dee, &shared, 200),
        ("the landlord's by the desk", &dee, &landlords, 200),
        ("the landlord's by the landlord", ana, &landlords, 200),
        ("the landlord's by a tenant", tom, &landlords, 404),
    ] {
        let answer = release(who, grant).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
    }
    // The desk is told of asks for its keys, and of those alone.
    for (grant, count) in [(&own, 0), (&shared, 1), (&landlords, 2)] {
        tom.post(&format!("{}/refuse", path(grant))).await;
        dee.post(&format!("{}/refuse", path(grant))).await;
        ask(gus, grant).await;
        let asks = kinds(&dee)
            .await
            .into_iter()
            .filter(|kind| kind == "spare-asked")
            .count();
        assert_eq!(asks, count);
    }
    // Who lives behind the door knows of a key of the landlord's to it.
    assert_eq!(
        jo.list("/v1/me/notices").await[0]["detail"]["grant_id"],
        landlords["id"]
    );
    let usual = ana.grant(gus, flat, json!({})).await;
    gus.post(&format!("{}/ask", path(&usual)))
        .json(json!({ "reason": "None" }))
        .await
        .expect_problem(409, "not-a-spare-key");
}

async fn a_released_key_is_taken_back(database: TestDatabase) {
    let home = home(&database).await;
    let Home { tom, gus, flat, .. } = &home;
    let grant = spare(tom, flat, gus, json!({})).await;
    let phone = gus.phone().await;
    tom.post(&format!("{}/release", path(&grant))).await.expect(200);
    gus.post(&format!("{}/ask", path(&grant)))
        .json(json!({ "reason": "Again" }))
        .await
        .expect_problem(409, "already-released");
    gus.pass(&phone, &[flat]).await.expect(200);
    let back = tom.post(&format!("{}/refuse", path(&grant))).await.expect(200);
    assert_eq!(back["spare"]["released_until"], Value::Null);
    gus.unlock(flat).await.expect_refused("spare-not-released");
    assert_eq!(kinds(gus).await[0], "spare-returned");
    assert_eq!(
        tom.get(&path(&grant)).await.expect(200)["locks"][0]["may_open_until"],
        Value::Null
    );
    // The pass of that release stays void when there is another.
    tom.post(&format!("{}/release", path(&grant))).await.expect(200);
    let claims = gus.pass_claims(&phone, &[flat]).await;
    assert_eq!(claims["gid"], format!("{}.1", grant["id"].as_str().unwrap()));
    gus.unlock(flat).await.expect_opened();
}

async fn an_ask_ends_with_the_access(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        t, ana, tom, gus, flat, ..
    } = &home;
    let terms = json!({ "on_silence": "release", "answer_within_minutes": 5 });
    let grant = spare(tom, flat, gus, terms).await;
    ask(gus, &grant).await;
    let path_of_tom = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&path_of_tom).await.expect(200);
    t.clock.advance(6 * MINUTE);
    t.app().answer_by_silence().await.unwrap();
    gus.unlock(flat).await.expect_refused("grant-revoked");
    assert!(!kinds(gus).await.contains(&"spare-released".to_owned()));
    gus.post(&format!("{}/ask", path(&grant)))
        .json(json!({ "reason": "Please" }))
        .await
        .expect_problem(409, "grant-over");
}

async fn who_asks_again_and_again_is_not_heard(database: TestDatabase) {
    let home = home(&database).await;
    let Home { t, tom, gus, flat, .. } = &home;
    let grant = spare(tom, flat, gus, json!({})).await;
    for _ in 0..5 {
        ask(gus, &grant).await;
        tom.post(&format!("{}/refuse", path(&grant))).await.expect(200);
    }
    let again = gus
        .post(&format!("{}/ask", path(&grant)))
        .json(json!({ "reason": "Again" }));
    again.await.expect_problem(429, "throttled");
    // Two who answer at once are one answer.
    t.clock.advance(25 * 60 * MINUTE);
    for person in [gus, tom] {
        person.sign_in_again().await;
    }
    ask(gus, &grant).await;
    let jobs = tokio::join!(t.app().answer_by_silence(), t.app().answer_by_silence());
    assert!(jobs.0.is_ok() && jobs.1.is_ok());
    t.clock.advance(61 * MINUTE);
    gus.sign_in_again().await;
    let jobs = tokio::join!(t.app().answer_by_silence(), t.app().answer_by_silence());
    assert!(jobs.0.is_ok() && jobs.1.is_ok());
    until_told(gus, "spare-refused").await;
    tom.sign_in_again().await;
    let by_silence = tom.list("/v1/access-log?kind=spare-refused").await;
    let by_silence = by_silence.iter().filter(|entry| entry["reason"] == "silence").count();
    assert_eq!(by_silence, 1);
}
