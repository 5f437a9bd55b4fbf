//! Access of the house to tenants' own doors: it waits, and the tenants are told at once who and why.

use std::time::Duration;

use doorward::domain::time::Clock as _;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Landlord, Person, TestServer, house};

on_each_database!(
    a_landlord_who_gives_themself_a_tenants_door_waits_a_day_and_the_tenant_is_told,
    every_one_of_the_house_waits_and_nobody_else,
    shared_doors_and_vacant_units_open_at_once,
    who_will_move_in_while_it_lasts_is_told_too,
    a_tenancy_is_no_way_around,
    a_lock_brings_no_keys_of_the_house_to_a_tenants_door,
    a_shorter_wait_counts_once_the_longer_one_has_passed,
    the_lock_of_a_home_stays_there_while_others_live_behind_it,
);

const HOUR: Duration = Duration::from_secs(3600);

fn to(person: &Person) -> Value {
    json!({ "person_id": person.id })
}

async fn told(person: &Person) -> Vec<Value> {
    let mut notices = person.list("/v1/me/notices").await;
    notices.retain(|notice| notice["kind"] == "staff-access");
    notices
}

async fn a_landlord_who_gives_themself_a_tenants_door_waits_a_day_and_the_tenant_is_told(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let lock = door.install().await;
    let (tom, tia) = (ana.tenant("tom", &flat).await, ana.tenant("tia", &flat).await);

    ana.give(&[&door], to(&ana), json!({})).await.expect_invalid("reason");
    for bad in ["", "a\nb"] {
        ana.give(&[&door], to(&ana), json!({ "reason": bad }))
            .await
            .expect_invalid("reason");
    }
    let soon = (t.clock.now() + 23 * HOUR).to_string();
    ana.give(&[&door], to(&ana), json!({ "reason": "A leak", "ends_at": soon }))
        .await
        .expect_invalid("ends_at");
    assert!(told(&tom).await.is_empty());

    let from = (t.clock.now() + 24 * HOUR).to_string();
    let given = ana
        .give(&[&door], to(&ana), json!({ "reason": "A leak" }))
        .await
        .expect(201);
    assert_eq!(given["starts_at"], json!(from));
    for resident in [&tom, &tia] {
        let notices = told(resident).await;
        assert_eq!(notices.len(), 1, "{notices:?}");
        let (notice, detail) = (&notices[0], &notices[0]["detail"]);
        assert_eq!(
            (&notice["unit_id"], &notice["lock_id"], &notice["actor_id"]),
            (&json!(flat.id), &json!(door.id), &json!(ana.id))
        );
        assert_eq!(
            (&detail["person_name"], &detail["given_by_name"], &detail["reason"]),
            (&json!("ana"), &json!("ana"), &json!("A leak"))
        );
        assert_eq!((&detail["starts_at"], &detail["ends_at"]), (&json!(from), &Value::Null));
    }
    let entry = &ana.list("/v1/access-log?kind=staff-access").await[0];
    assert_eq!(
        (
            &entry["person_id"],
            &entry["actor_id"],
            &entry["unit_id"],
            &entry["grant_id"]
        ),
        (&json!(ana.id), &json!(ana.id), &json!(flat.id), &given["id"])
    );
    assert_eq!(entry["detail"]["reason"], "A leak");

    // Whoever waits, waits to the millisecond; in between somebody else may take it back.
    assert_eq!(
        ana.unlock(&door).await.expect_refused("not-yet")["opens_at"],
        json!(from)
    );
    t.clock.advance(24 * HOUR - Duration::from_millis(1));
    lock.until_online(&ana, true).await;
    ana.unlock(&door).await.expect_refused("not-yet");
    t.clock.advance(Duration::from_millis(1));
    ana.sign_in_again().await;
    ana.unlock(&door).await.expect_opened();
}

async fn every_one_of_the_house_waits_and_nobody_else(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let tom = ana.tenant("tom", &flat).await;
    let (max, dee, vic) = (
        ana.manager("max").await,
        ana.staff("dee", "desk").await,
        ana.staff("vic", "viewer").await,
    );
    let (gus, program) = (ana.guest("gus").await, ana.program("Doorbell").await);
    let later = json!((t.clock.now() + 24 * HOUR).to_string());
    let reason = || json!({ "reason": "Reading the meters" });
    for id in [&max.id, &dee.id, &vic.id, &program] {
        let to = json!({ "person_id": id });
        ana.give(&[&door], to.clone(), json!({})).await.expect_invalid("reason");
        assert_eq!(ana.give(&[&door], to, reason()).await.expect(201)["starts_at"], later);
    }
    // By their address they are the same persons.
    let by_address = ana.give(&[&door], json!({ "email": max.email }), reason()).await;
    assert_eq!(by_address.expect(201)["starts_at"], later);
    // One who was asked for a later time begins then.
    let next_week = json!((t.clock.now() + 7 * 24 * HOUR).to_string());
    let terms = json!({ "reason": "Reading the meters", "starts_at": next_week });
    assert_eq!(
        ana.give(&[&door], to(&max), terms).await.expect(201)["starts_at"],
        next_week
    );
    assert_eq!(told(&tom).await.len(), 6);

    // The tenant's own guest and the tenant are none of the house.
    let now = json!(t.clock.now().to_string());
    for person in [&gus, &tom] {
        assert_eq!(
            ana.give(&[&door], to(person), json!({})).await.expect(201)["starts_at"],
            now
        );
    }
    assert_eq!(told(&tom).await.len(), 6);
    assert_eq!(told(&max).await, Vec::<Value>::new());
}

async fn shared_doors_and_vacant_units_open_at_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (flat, vacant) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let (front, own, empty) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&flat, "Flat 1").await,
        ana.add_lock_of(&vacant, "Flat 2").await,
    );
    let tom = ana.tenant("tom", &flat).await;
    let now = json!(t.clock.now().to_string());
    for door in [&front, &empty] {
        assert_eq!(
            ana.give(&[door], to(&ana), json!({})).await.expect(201)["starts_at"],
            now
        );
    }
    // In one grant with a tenant's door all of them wait.
    let all = ana
        .give(&[&front, &own, &empty], to(&ana), json!({ "reason": "Inspection" }))
        .await
        .expect(201);
    assert_eq!(all["starts_at"], json!((t.clock.now() + 24 * HOUR).to_string()));
    let notices = told(&tom).await;
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0]["detail"]["lock_ids"], json!([own.id]));

    // A tenant who is put out is asked no more.
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&path).await.expect(200);
    assert_eq!(
        ana.give(&[&own], to(&ana), json!({})).await.expect(201)["starts_at"],
        now
    );
}

async fn who_will_move_in_while_it_lasts_is_told_too(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let tom = moves_in(
        &t,
        &ana,
        "tom",
        &flat.id,
        &(t.clock.now() + 72 * HOUR).to_string(),
        None,
    )
    .await;
    let before = json!({ "ends_at": (t.clock.now() + 72 * HOUR).to_string() });
    ana.give(&[&door], to(&ana), before).await.expect(201);
    assert!(told(&tom).await.is_empty());
    let into = json!({ "ends_at": (t.clock.now() + 72 * HOUR + Duration::from_millis(1)).to_string() });
    ana.give(&[&door], to(&ana), into).await.expect_invalid("reason");
    ana.give(&[&door], to(&ana), json!({ "reason": "Painting" }))
        .await
        .expect(201);
    assert_eq!(told(&tom).await.len(), 1);
}

/// Somebody who accepts to live there, with an account or without one.
async fn moves_in(t: &TestServer, ana: &Landlord, name: &str, unit: &str, from: &str, email: Option<&str>) -> Person {
    let email = email.map_or_else(|| format!("{name}@people.example"), str::to_owned);
    let tenancy = json!({ "tenancy": { "unit_id": unit, "starts_at": from } });
    let link = ana.invite(&email, tenancy).await.text_of("secret_link");
    Person::accept(&t.http, name, &email, &link).await
}

async fn a_tenancy_is_no_way_around(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (flat, vacant) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let (door, empty) = (
        ana.add_lock_of(&flat, "Flat 1").await,
        ana.add_lock_of(&vacant, "Flat 2").await,
    );
    let (_lock, _empty) = (door.install().await, empty.install().await);
    let tom = ana.tenant("tom", &flat).await;
    let now = t.clock.now().to_string();
    moves_in(&t, &ana, "ana", &flat.id, &now, Some(&ana.email)).await;
    let notices = told(&tom).await;
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0]["detail"]["person_name"], "ana");
    let refused = ana.unlock(&door).await.expect_refused("not-yet");
    assert_eq!(refused["opens_at"], json!((t.clock.now() + 24 * HOUR).to_string()));
    // Where nobody lives they may live at once.
    moves_in(&t, &ana, "ana", &vacant.id, &now, Some(&ana.email)).await;
    ana.unlock(&empty).await.expect_opened();
}

async fn a_lock_brings_no_keys_of_the_house_to_a_tenants_door(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (flat, vacant) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let door = ana.add_lock(&house, "Cellar").await;
    let _tom = ana.tenant("tom", &flat).await;
    let own = ana.give(&[&door], to(&ana), json!({})).await.expect(201);
    let of_guest = ana.grant(&ana.guest("gus").await, &door, json!({})).await;
    let path = format!("/v1/locks/{}", door.id);
    let correct = || ana.patch(&path).json(json!({ "unit_id": flat.id }));
    let transfer = |keep: bool| {
        let to = json!({ "property_id": house.id, "unit_id": flat.id, "keep_grants": keep });
        ana.post(&format!("{path}/transfer")).json(to)
    };
    correct().await.expect_problem(409, "house-access-stands");
    transfer(true).await.expect_problem(409, "house-access-stands");
    // Where nobody lives it may hang; who moves in there learns who of the house can come in.
    ana.patch(&path).json(json!({ "unit_id": vacant.id })).await.expect(200);
    let tia = ana.tenant("tia", &vacant).await;
    let notices = told(&tia).await;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(
        (&notices[0]["lock_id"], &notices[0]["detail"]["person_name"]),
        (&json!(door.id), &json!("ana"))
    );
    ana.revoke(&own).await;
    correct().await.expect_problem(409, "home-lived-in");
    ana.end_tenancy(&ana.tenancy_of(&tia, &vacant).await, json!({})).await;
    ana.patch(&path).json(json!({ "unit_id": null })).await.expect(200);
    assert_eq!(transfer(true).await.expect(200)["grants_kept"], json!([of_guest["id"]]));
}

async fn a_shorter_wait_counts_once_the_longer_one_has_passed(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let _tom = ana.tenant("tom", &flat).await;
    let set = |hours: u32| {
        let two_person = json!({ "whole_property_grants": false, "lockdown": false });
        let rules = json!({ "two_person": two_person, "self_grant_delay_hours": hours });
        let path = format!("/v1/organizations/{}/rules", ana.organization);
        ana.request("PUT", &path).json(rules)
    };
    let starts = || async {
        let given = ana
            .give(&[&door], to(&ana), json!({ "reason": "A leak" }))
            .await
            .expect(201);
        given["starts_at"].clone()
    };
    let in_hours = |hours: u32| json!((t.clock.now() + hours * HOUR).to_string());
    let rules = set(2).await.expect(200);
    assert_eq!(
        (&rules["self_grant_delay_hours"], &rules["present_delay_hours"]),
        (&json!(2), &json!(24))
    );
    assert_eq!(starts().await, in_hours(24));
    t.clock.advance(23 * HOUR);
    assert_eq!(starts().await, in_hours(24));
    t.clock.advance(HOUR);
    ana.sign_in_again().await;
    assert_eq!(starts().await, in_hours(2));
    // A longer one counts at once.
    set(48).await.expect(200);
    assert_eq!(starts().await, in_hours(48));
    for hours in [0, 169] {
        set(hours).await.expect_invalid("self_grant_delay_hours");
    }
}

async fn the_lock_of_a_home_stays_there_while_others_live_behind_it(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (flat, other) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let tom = ana.tenant("tom", &flat).await;
    let stays = async || {
        for unit in [Value::Null, json!(other.id)] {
            ana.request("PATCH", &door.path())
                .json(json!({ "unit_id": unit }))
                .await
                .expect_problem(409, "home-lived-in");
            ana.post(&format!("{}/transfer", door.path()))
                .json(json!({ "property_id": house.id, "unit_id": unit }))
                .await
                .expect_problem(409, "home-lived-in");
        }
    };
    // Before a controller has claimed it, while one is it, and once that was released: it could be claimed elsewhere.
    stays().await;
    let _controller = door.install().await;
    stays().await;
    let released = ana.post(&format!("{}/release", door.path())).await.expect(200);
    assert_eq!(released["state"], "unclaimed");
    stays().await;
    // One that was written down at the wrong door is retired.
    let wrong = ana.add_lock_of(&flat, "Mistake").await;
    ana.request("PATCH", &wrong.path())
        .json(json!({ "unit_id": null }))
        .await
        .expect_problem(409, "home-lived-in");
    ana.post(&format!("{}/retire", wrong.path())).await.expect(200);
    // What was refused has changed nothing: the landlord waits at it as ever.
    ana.give(&[&door], to(&ana), json!({})).await.expect_invalid("reason");
    // With nobody behind it, it may go, and both places tell of it.
    let tenancy = ana.tenancy_of(&tom, &flat).await;
    ana.end_tenancy(&tenancy, json!({})).await;
    ana.request("PATCH", &door.path())
        .json(json!({ "unit_id": other.id }))
        .await
        .expect(200);
    let told = ana.list("/v1/access-log?kind=lock-changed").await;
    let places: Vec<&Value> = told.iter().take(2).map(|entry| &entry["unit_id"]).collect();
    assert_eq!(places, [&json!(other.id), &json!(flat.id)]);
    for entry in &told[..2] {
        assert_eq!(
            (&entry["detail"]["from"]["unit_id"], &entry["detail"]["to"]["unit_id"]),
            (&json!(flat.id), &json!(other.id))
        );
    }
}
