//! Tenancies: who lives where, from when to when, and who is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Landlord, Person, house};

on_each_database!(
    a_member_lives_there_at_once,
    a_stranger_is_invited_with_the_tenancy,
    a_tenancy_makes_a_tenant_and_nobody_less,
    a_term_that_makes_no_sense_is_refused,
    nobody_lives_twice_in_a_unit_at_a_time,
    of_two_tenancies_at_once_one_stands,
    tenancies_are_found_by_place_person_and_time,
    a_change_replaces_the_whole_term,
    what_has_begun_keeps_its_start_and_what_has_ended_its_end,
    an_end_is_planned_brought_forward_and_asked_for_again,
    a_tenancy_that_has_not_begun_is_called_off,
    joint_tenants_are_told_and_nobody_else,
    a_planned_end_is_written_down_once,
    a_planned_end_is_carried_out_after_a_restart,
    who_was_put_out_lives_nowhere,
    who_moved_out_reads_on_about_themselves,
    another_landlords_tenancies_do_not_exist,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

async fn entries(landlord: &Landlord, kind: &str) -> Vec<Value> {
    landlord.list(&format!("/v1/access-log?kind={kind}")).await
}

/// The kinds of what the person was told about tenancies, by their name.
async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await.into_iter();
    let kinds = notices.map(|notice| notice["kind"].as_str().unwrap().to_owned());
    let mut kinds: Vec<String> = kinds.filter(|kind| kind.starts_with("tenancy-")).collect();
    kinds.sort_unstable();
    kinds
}

/// Waits until there are this many entries that tenancies have ended.
async fn until_ended(landlord: &Landlord, count: usize) {
    until("the tenancies to be ended", async || {
        entries(landlord, "tenancy-ended").await.len() >= count
    })
    .await;
}

async fn a_member_lives_there_at_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let given = ana
        .tenancy(&gus, &unit, json!({ "ends_at": "2026-04-01T00:00:00+02:00" }))
        .await;
    for (member, value) in [
        ("organization_id", json!(ana.organization)),
        ("property_id", json!(house.id)),
        ("property_name", json!("Linden Street 4")),
        ("unit_id", json!(unit.id)),
        ("unit_name", json!("Flat 1")),
        ("person_id", json!(gus.id)),
        ("starts_at", json!("2026-03-02T08:00:00.000Z")),
        ("ends_at", json!("2026-03-31T22:00:00.000Z")),
        ("status", json!("running")),
        ("set_by", json!(ana.id)),
        ("created_at", json!("2026-03-02T08:00:00.000Z")),
    ] {
        assert_eq!(given[member], value, "{member}");
    }
    let path = format!("/v1/tenancies/{}", id(&given));
    assert_eq!(ana.get(&path).await.expect(200), given);
    assert_eq!(ana.list("/v1/tenancies").await, std::slice::from_ref(&given));
    assert_eq!(gus.list("/v1/me/tenancies").await, std::slice::from_ref(&given));
    let entry = &entries(&ana, "tenancy-given").await[0];
    for (member, value) in [
        ("person_id", json!(gus.id)),
        ("actor_id", json!(ana.id)),
        ("unit_id", json!(unit.id)),
        ("property_id", json!(house.id)),
        ("occurred_at", json!(t.clock.after(Duration::ZERO))),
    ] {
        assert_eq!(entry[member], value, "{member}");
    }
    assert_eq!(entry["detail"]["tenancy_id"], given["id"]);
    assert_eq!(told(&gus).await, ["tenancy-given"]);
    assert_eq!(told(&ana).await, [""; 0]);
}

async fn a_stranger_is_invited_with_the_tenancy(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let eve = t.landlord("eve").await;
    for (name, email) in [("nina", "Nina@people.example".to_owned()), ("eve", eve.email.clone())] {
        let answer = ana
            .let_in(json!({ "email": email }), &unit, json!({}))
            .await
            .expect(201);
        assert_eq!(answer["tenancy"], Value::Null, "{answer}");
        assert_eq!(
            ana.list("/v1/tenancies?limit=1").await.len(),
            usize::from(name == "eve")
        );
        let link = answer["invitation"]["secret_link"].as_str().unwrap();
        let nina = Person::accept(&t.http, name, &email.to_lowercase(), link).await;
        let tenancy = ana.tenancy_of(&nina, &unit).await;
        assert_eq!(tenancy["set_by"], *ana.id);
        assert_eq!(nina.list("/v1/me/tenancies").await, std::slice::from_ref(&tenancy));
        let entry = &entries(&ana, "tenancy-given").await[0];
        assert_eq!(
            (&entry["person_id"], &entry["actor_id"]),
            (&json!(nina.id), &json!(ana.id))
        );
    }
    // By the address of a member it stands at once.
    let unit = ana.add_unit(&house, "Flat 2").await;
    let gus = ana.guest("gus").await;
    let answer = ana
        .let_in(json!({ "email": gus.email }), &unit, json!({}))
        .await
        .expect(201);
    assert_eq!(answer["tenancy"]["person_id"], *gus.id);
    assert_eq!(answer["invitation"], Value::Null);
}

async fn a_tenancy_makes_a_tenant_and_nobody_less(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (gus, max) = (ana.guest("gus").await, ana.manager("max").await);
    for (person, role) in [(&gus, "tenant"), (&*max, "manager"), (&*ana, "owner")] {
        ana.tenancy(person, &unit, json!({})).await;
        assert_eq!(person.get("/v1/me").await.expect(200)["memberships"][0]["role"], role);
    }
}

async fn a_term_that_makes_no_sense_is_refused(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let to = || json!({ "person_id": gus.id });
    for (terms, field) in [
        (json!({ "ends_at": "2026-03-02T08:00:00Z" }), "ends_at"),
        (
            json!({ "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-03-02T08:00:00Z" }),
            "ends_at",
        ),
        (
            json!({ "starts_at": "2027-01-01T00:00:00Z", "ends_at": "2026-12-31T00:00:00Z" }),
            "ends_at",
        ),
        (json!({ "starts_at": "2026-03-02T08:00:00" }), "starts_at"),
        (json!({ "starts_at": null }), "starts_at"),
        (json!({ "email": "gus@people.example" }), "person_id"),
        (json!({ "person_id": null }), "person_id"),
        (json!({ "person_id": house.id }), "person_id"),
        (json!({ "unit_id": house.id }), "unit_id"),
        (json!({ "rent": 900 }), "rent"),
    ] {
        ana.let_in(to(), &unit, terms).await.expect_invalid(field);
    }
    let nobody = json!({ "person_id": "person_0190a000000070008000000000000004" });
    ana.let_in(nobody, &unit, json!({})).await.expect_no("person");
    let nowhere = json!({ "unit_id": "unit_0190a000000070008000000000000004" });
    ana.let_in(to(), &unit, nowhere).await.expect_no("unit");
    assert_eq!(ana.list("/v1/tenancies").await, Vec::<Value>::new());
    assert_eq!(entries(&ana, "tenancy-given").await, Vec::<Value>::new());
}

async fn nobody_lives_twice_in_a_unit_at_a_time(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [unit, other] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let gus = ana.guest("gus").await;
    let to = || json!({ "person_id": gus.id });
    let first = ana
        .tenancy(&gus, &unit, json!({ "ends_at": "2026-06-01T00:00:00Z" }))
        .await;
    let overlapping = json!({ "starts_at": "2026-05-31T23:59:59.999Z" });
    ana.let_in(to(), &unit, overlapping)
        .await
        .expect_problem(409, "tenancy-overlaps");
    // Elsewhere at the same time, and here from the instant of the end on.
    ana.tenancy(&gus, &other, json!({})).await;
    let second = ana
        .tenancy(&gus, &unit, json!({ "starts_at": "2026-06-01T00:00:00Z" }))
        .await;
    ana.change_tenancy(&first, json!({ "starts_at": "2026-03-02T08:00:00Z" }))
        .await
        .expect_problem(409, "tenancy-overlaps");
    ana.change_tenancy(&second, json!({ "starts_at": "2026-05-01T00:00:00Z" }))
        .await
        .expect_problem(409, "tenancy-overlaps");
    // Nor by two invitations, whoever sent them twice.
    let nina = json!({ "email": "nina@people.example" });
    let invitations = [
        ana.let_in(nina.clone(), &unit, json!({})).await.expect(201),
        ana.let_in(nina, &unit, json!({})).await.expect(201),
    ];
    let [one, again] = invitations.map(|given| {
        let link = given["invitation"]["secret_link"].as_str().unwrap().to_owned();
        link.split_once('#').unwrap().1.to_owned()
    });
    let accept = |secret: String| {
        let body = json!({ "secret": secret, "name": "nina", "password": crate::world::PASSWORD });
        t.http.post("/v1/invitations/accept").json(body)
    };
    accept(one).await.expect(200);
    accept(again).await.expect_problem(409, "tenancy-overlaps");
}

async fn of_two_tenancies_at_once_one_stands(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let to = || json!({ "person_id": gus.id });
    let answers = tokio::join!(
        ana.let_in(to(), &unit, json!({})).into_future(),
        ana.let_in(to(), &unit, json!({})).into_future(),
        ana.let_in(to(), &unit, json!({})).into_future(),
    );
    let mut statuses = [answers.0.status, answers.1.status, answers.2.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    let tenancy = ana.tenancy_of(&gus, &unit).await;
    // And of three ends at once, one ends it.
    let end = || ana.end_tenancy(&tenancy, json!({}));
    tokio::join!(end(), end(), end());
    assert_eq!(entries(&ana, "tenancy-ended").await.len(), 1);
    assert_eq!(told(&gus).await, ["tenancy-ended", "tenancy-given"]);
}

async fn tenancies_are_found_by_place_person_and_time(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let units = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
        ana.add_unit(&annex, "Flat 1").await,
    ];
    let [gus, mia] = [ana.guest("gus").await, ana.guest("mia").await];
    for (person, unit, starts_at, ends_at) in [
        (&gus, &units[0], "2026-01-01T00:00:00Z", json!("2026-06-01T00:00:00Z")),
        (&mia, &units[0], "2026-06-01T00:00:00Z", Value::Null),
        (&gus, &units[1], "2026-06-01T00:00:00Z", Value::Null),
        (&mia, &units[2], "2026-01-01T00:00:00Z", Value::Null),
    ] {
        ana.tenancy(person, unit, json!({ "starts_at": starts_at, "ends_at": ends_at }))
            .await;
    }
    let [vic, dee] = [ana.staff("vic", "viewer").await, ana.staff("dee", "desk").await];
    for (filter, count) in [
        (String::new(), 4),
        (format!("&unit_id={}", units[0].id), 2),
        (format!("&person_id={}", gus.id), 2),
        (format!("&property_id={}", annex.id), 1),
        (format!("&unit_id={}&person_id={}", units[0].id, mia.id), 1),
        (format!("&unit_id={}&property_id={}", units[0].id, annex.id), 0),
        ("&at=2026-05-31T23:59:59.999Z".to_owned(), 2),
        ("&at=2026-06-01T00:00:00Z".to_owned(), 3),
        ("&at=2025-12-31T23:59:59.999Z".to_owned(), 0),
        (format!("&at=2026-06-01T02:00:00%2B02:00&unit_id={}", units[0].id), 1),
    ] {
        for who in [&*ana, &vic, &dee] {
            let found = who.list(&format!("/v1/tenancies?limit=1{filter}")).await;
            assert_eq!(found.len(), count, "{filter}");
        }
    }
    ana.get("/v1/tenancies?at=tomorrow")
        .await
        .expect_problem(400, "invalid-query");
    gus.get("/v1/tenancies").await.expect_problem(403, "forbidden");
    assert_eq!(gus.list("/v1/me/tenancies?limit=1").await.len(), 2);
}

async fn a_change_replaces_the_whole_term(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let starts_at = t.clock.after(Duration::ZERO);
    let tenancy = ana
        .tenancy(&gus, &unit, json!({ "ends_at": "2026-06-01T00:00:00Z" }))
        .await;
    // Without its end it has none: a change is the whole of it.
    let changed = ana
        .change_tenancy(&tenancy, json!({ "starts_at": starts_at }))
        .await
        .expect(200);
    assert_eq!(
        (
            &changed["ends_at"],
            &changed["effective_no_later_than"],
            &changed["waiting_for"]
        ),
        (&Value::Null, &Value::Null, &json!([]))
    );
    ana.change_tenancy(&tenancy, json!({ "ends_at": "2026-06-01T00:00:00Z" }))
        .await
        .expect_invalid("starts_at");
    let term = json!({ "starts_at": starts_at, "ends_at": "2026-07-01T00:00:00Z" });
    for _ in 0..2 {
        let changed = ana.change_tenancy(&tenancy, term.clone()).await.expect(200);
        assert_eq!(changed["ends_at"], "2026-07-01T00:00:00.000Z");
        // The last pass ends by the clock of a lock that may be a minute behind.
        assert_eq!(changed["effective_no_later_than"], "2026-07-01T00:01:00.000Z");
    }
    let changes = entries(&ana, "tenancy-changed").await;
    assert_eq!(changes.len(), 2, "the same again is no change: {changes:?}");
    assert_eq!(
        (
            &changes[1]["detail"]["before"]["ends_at"],
            &changes[1]["detail"]["ends_at"]
        ),
        (&json!("2026-06-01T00:00:00.000Z"), &Value::Null)
    );
    assert_eq!(
        told(&gus).await,
        ["tenancy-changed", "tenancy-changed", "tenancy-given"]
    );
}

async fn what_has_begun_keeps_its_start_and_what_has_ended_its_end(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let to_come = json!({ "starts_at": "2026-03-05T00:00:00Z", "ends_at": "2026-03-10T00:00:00Z" });
    let tenancy = ana.tenancy(&gus, &unit, to_come).await;
    assert_eq!(tenancy["status"], "to-come");
    let change = |starts_at: &str, ends_at: &str| {
        ana.change_tenancy(&tenancy, json!({ "starts_at": starts_at, "ends_at": ends_at }))
    };
    change("2026-03-04T00:00:00Z", "2026-03-10T00:00:00Z").await.expect(200);
    t.clock.set("2026-03-04T00:00:00Z");
    ana.sign_in_again().await;
    change("2026-03-04T00:00:00.001Z", "2026-03-10T00:00:00Z")
        .await
        .expect_problem(409, "tenancy-begun");
    change("2026-03-04T00:00:00Z", "2026-03-04T00:00:00.001Z")
        .await
        .expect(200);
    change("2026-03-04T00:00:00Z", "2026-03-04T00:00:00Z")
        .await
        .expect_invalid("ends_at");
    t.clock.advance(Duration::from_millis(1));
    change("2026-03-04T00:00:00Z", "2026-03-20T00:00:00Z")
        .await
        .expect_problem(409, "tenancy-over");
    until_ended(&ana, 1).await;
    change("2026-03-04T00:00:00Z", "2026-03-20T00:00:00Z")
        .await
        .expect_problem(409, "tenancy-over");
    let shown = ana.get(&format!("/v1/tenancies/{}", id(&tenancy))).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["ends_at"]),
        (&json!("over"), &json!("2026-03-04T00:00:00.001Z"))
    );
}

async fn an_end_is_planned_brought_forward_and_asked_for_again(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let tenancy = ana.tenancy(&gus, &unit, json!({})).await;
    let path = format!("/v1/tenancies/{}/end", id(&tenancy));
    let at = |ends_at: &str| json!({ "ends_at": ends_at });
    for (ends_at, refused) in [
        ("2026-03-02T07:59:59.999Z", true),
        ("2026-04-01T00:00:00Z", false),
        ("2026-04-01T00:00:00Z", false),
        ("2026-04-02T00:00:00Z", true),
        ("2026-03-20T00:00:00Z", false),
    ] {
        let answer = ana.post(&path).json(at(ends_at)).await;
        if refused {
            answer.expect_invalid("ends_at");
        } else {
            let ended = answer.expect(200);
            assert_eq!(ended["status"], "running", "{ended}");
            assert_eq!(ended["waiting_for"], json!([]), "{ended}");
        }
    }
    assert_eq!(entries(&ana, "tenancy-changed").await.len(), 2);
    ana.post(&path).json(json!({ "at": "now" })).await.expect_invalid("at");
    // Now, without a body; and again, which changes nothing.
    t.clock.advance(DAY);
    ana.sign_in_again().await;
    let ended = ana.post(&path).await.expect(200);
    let now = t.clock.after(Duration::ZERO);
    assert_eq!((&ended["status"], &ended["ends_at"]), (&json!("over"), &json!(now)));
    assert_eq!(ended["effective_no_later_than"], t.clock.after(Duration::from_secs(10)));
    t.clock.advance(Duration::from_secs(60));
    for body in [json!({}), at("2026-03-20T00:00:00Z")] {
        let again = ana.post(&path).json(body).await.expect(200);
        assert_eq!(again["ends_at"], now);
        assert_eq!(again["effective_no_later_than"], t.clock.after(Duration::from_secs(10)));
    }
    let ends = entries(&ana, "tenancy-ended").await;
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(
        (&ends[0]["actor_id"], &ends[0]["person_id"], &ends[0]["unit_id"]),
        (&json!(ana.id), &json!(gus.id), &json!(unit.id))
    );
}

async fn a_tenancy_that_has_not_begun_is_called_off(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let to_come = || json!({ "starts_at": "2026-04-01T00:00:00Z" });
    let tenancy = ana.tenancy(&gus, &unit, to_come()).await;
    let path = format!("/v1/tenancies/{}/end", id(&tenancy));
    ana.post(&path)
        .json(json!({ "ends_at": "2026-04-01T00:00:00Z" }))
        .await
        .expect_invalid("ends_at");
    let off = ana.post(&path).await.expect(200);
    assert_eq!(
        (&off["status"], &off["ends_at"]),
        (&json!("over"), &json!("2026-04-01T00:00:00.000Z"))
    );
    // It never was, so another one may be in its place, and its time brings nothing.
    ana.tenancy(&gus, &unit, to_come()).await;
    t.clock.set("2026-04-02T00:00:00Z");
    ana.sign_in_again().await;
    assert_eq!(t.app().end_due_tenancies().await.unwrap(), 0);
    assert_eq!(entries(&ana, "tenancy-ended").await.len(), 1);
}

async fn joint_tenants_are_told_and_nobody_else(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let [unit, other] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let [before, mia, ned, neighbour] = [
        ana.guest("bob").await,
        ana.guest("mia").await,
        ana.guest("ned").await,
        ana.guest("zoe").await,
    ];
    ana.tenancy(&before, &unit, json!({ "ends_at": "2026-04-01T00:00:00Z" }))
        .await;
    ana.tenancy(&neighbour, &other, json!({})).await;
    let june = json!({ "starts_at": "2026-04-01T00:00:00Z" });
    let first = ana.tenancy(&mia, &unit, june.clone()).await;
    let second = ana.tenancy(&ned, &unit, june).await;
    assert_eq!(told(&mia).await, ["tenancy-given", "tenancy-given"]);
    assert_eq!(told(&ned).await, ["tenancy-given"]);
    let term = json!({ "starts_at": "2026-04-01T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z" });
    ana.change_tenancy(&second, term).await.expect(200);
    ana.end_tenancy(&first, json!({})).await;
    assert_eq!(
        told(&mia).await,
        ["tenancy-changed", "tenancy-ended", "tenancy-given", "tenancy-given"]
    );
    assert_eq!(told(&ned).await, ["tenancy-changed", "tenancy-ended", "tenancy-given"]);
    for person in [&before, &neighbour] {
        assert_eq!(told(person).await, ["tenancy-given"], "{}", person.name);
    }
    let notices = ned.list("/v1/me/notices").await;
    let notice = notices.iter().find(|notice| notice["kind"] == "tenancy-ended").unwrap();
    assert_eq!(
        (&notice["unit_id"], &notice["actor_id"], &notice["detail"]["person_id"]),
        (&json!(unit.id), &json!(ana.id), &json!(mia.id))
    );
    assert!(!notice.to_string().contains("@people.example"), "{notice}");
}

async fn a_planned_end_is_written_down_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let [gus, mia] = [ana.guest("gus").await, ana.guest("mia").await];
    let ends_at = t.clock.after(Duration::from_secs(60));
    ana.tenancy(&gus, &unit, json!({ "ends_at": ends_at })).await;
    ana.tenancy(&mia, &unit, json!({})).await;
    t.clock.advance(Duration::from_millis(59_999));
    assert_eq!(t.app().end_due_tenancies().await.unwrap(), 0, "not a moment too early");
    t.clock.advance(Duration::from_secs(5));
    // The timer's own round, and as many beside it at once.
    let rounds = tokio::join!(
        t.app().end_due_tenancies(),
        t.app().end_due_tenancies(),
        t.app().end_due_tenancies(),
    );
    assert!(rounds.0.unwrap() + rounds.1.unwrap() + rounds.2.unwrap() <= 1);
    until_ended(&ana, 1).await;
    assert_eq!(t.app().end_due_tenancies().await.unwrap(), 0);
    let ends = entries(&ana, "tenancy-ended").await;
    assert_eq!(ends.len(), 1, "{ends:?}");
    for (member, value) in [
        ("reason", json!("planned")),
        ("occurred_at", json!(ends_at)),
        ("actor_id", Value::Null),
        ("person_id", json!(gus.id)),
        ("property_id", json!(house.id)),
    ] {
        assert_eq!(ends[0][member], value, "{member}");
    }
    assert_eq!(told(&gus).await, ["tenancy-ended", "tenancy-given", "tenancy-given"]);
    assert_eq!(told(&mia).await, ["tenancy-ended", "tenancy-given"]);
}

async fn a_planned_end_is_carried_out_after_a_restart(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let ends_at = t.clock.after(DAY);
    ana.tenancy(&gus, &unit, json!({ "ends_at": ends_at })).await;
    t.stop().await;
    t.clock.advance(3 * DAY);
    t.restart().await;
    ana.sign_in_again().await;
    until_ended(&ana, 1).await;
    let end = &entries(&ana, "tenancy-ended").await[0];
    assert_eq!(
        (&end["occurred_at"], &end["recorded_at"]),
        (&json!(ends_at), &json!(t.clock.after(Duration::ZERO)))
    );
    t.restart().await;
    assert_eq!(t.app().end_due_tenancies().await.unwrap(), 0);
    assert_eq!(entries(&ana, "tenancy-ended").await.len(), 1);
}

async fn who_was_put_out_lives_nowhere(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [unit, other] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let gus = ana.guest("gus").await;
    ana.tenancy(&gus, &unit, json!({})).await;
    ana.tenancy(&gus, &other, json!({ "starts_at": "2026-04-01T00:00:00Z" }))
        .await;
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, gus.id);
    ana.delete(&path).await.expect(200);
    let ends = entries(&ana, "tenancy-ended").await;
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(ends.iter().all(|end| end["actor_id"] == *ana.id), "{ends:?}");
    let now = t.clock.after(Duration::ZERO);
    let mut ends: Vec<Value> = (ana.list("/v1/tenancies").await.iter())
        .map(|tenancy| json!([tenancy["status"], tenancy["ends_at"]]))
        .collect();
    ends.sort_unstable_by_key(ToString::to_string);
    assert_eq!(
        ends,
        [json!(["over", now]), json!(["over", "2026-04-01T00:00:00.000Z"])]
    );
    ana.let_in(json!({ "person_id": gus.id }), &unit, json!({}))
        .await
        .expect_no("person");
}

async fn who_moved_out_reads_on_about_themselves(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let tenancy = ana.tenancy(&gus, &unit, json!({})).await;
    ana.end_tenancy(&tenancy, json!({})).await;
    let log = gus.list("/v1/access-log").await;
    assert_eq!(log[0]["kind"], "tenancy-ended", "{log:?}");
    assert_eq!(gus.list("/v1/me/tenancies").await[0]["status"], "over");
    let me = gus.get("/v1/me").await.expect(200);
    assert_eq!(me["memberships"][0]["role"], "tenant");
}

async fn another_landlords_tenancies_do_not_exist(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let eve = t.landlord("eve").await;
    let gus = ana.guest("gus").await;
    let tenancy = ana.tenancy(&gus, &unit, json!({})).await;
    let path = format!("/v1/tenancies/{}", id(&tenancy));
    eve.get(&path).await.expect_no("tenancy");
    eve.post(&format!("{path}/end")).await.expect_no("tenancy");
    eve.change_tenancy(&tenancy, json!({ "starts_at": "2026-03-02T08:00:00Z" }))
        .await
        .expect_no("tenancy");
    eve.let_in(json!({ "person_id": gus.id }), &unit, json!({}))
        .await
        .expect_no("unit");
    let filter = format!("/v1/tenancies?unit_id={}&person_id={}", unit.id, gus.id);
    assert_eq!(eve.list(&filter).await, Vec::<Value>::new());
    assert_eq!(ana.tenancy_of(&gus, &unit).await["status"], "running");
    // Of a house of hers he is no tenant by what he is elsewhere.
    let hers = eve.add_property("Europe/Vienna").await;
    let hers = eve.add_unit(&hers, "Flat 1").await;
    eve.let_in(json!({ "person_id": gus.id }), &hers, json!({}))
        .await
        .expect_no("person");
}
