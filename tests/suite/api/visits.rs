//! Visits of vendors from outside: who orders, who agrees, who proves to be whom.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, Landlord, Person, Request, TestServer, house};

on_each_database!(
    nobody_is_called_before_somebody_who_lives_there_agrees,
    one_resident_who_is_against_it_is_enough_until_there_is_an_emergency,
    only_those_who_live_there_answer,
    a_visit_to_shared_doors_needs_nobodys_consent,
    a_code_is_read_back_within_five_tries_and_ten_minutes,
    an_order_is_for_doors_of_one_unit_and_one_property,
    residents_see_visits_without_the_telephone_number,
    a_visit_that_is_called_off_is_over,
    what_nobody_came_to_is_over_with_its_window,
    another_organizations_visits_do_not_exist,
    who_moves_in_is_asked_too,
    a_lock_that_moves_takes_no_visit_along,
);

/// An order by Paul of Pipes & Sons from now on for eight hours; `terms` go over that.
pub fn order(landlord: &Person, t: &TestServer, doors: &[&Door], terms: Value) -> Request {
    let doors: Vec<&str> = doors.iter().map(|door| door.id.as_str()).collect();
    let mut order = json!({
        "lock_ids": doors,
        "vendor": { "name": "Paul", "company": "Pipes & Sons", "phone": "+43 1 234 5678" },
        "purpose": "The sink leaks",
        "starts_at": t.clock.after(Duration::ZERO),
        "ends_at": t.clock.after(Duration::from_secs(8 * 3600)),
    });
    for (name, value) in terms.as_object().unwrap() {
        order[name] = value.clone();
    }
    landlord.post("/v1/visits").json(order)
}

/// What is done with a visit: `consent`, `call`.
pub fn visit_path(visit: &Value, what: &str) -> String {
    format!("/v1/visits/{}/{what}", visit["id"].as_str().unwrap())
}

async fn flat(t: &TestServer, ana: &Landlord, house: &crate::world::Property) -> (Door, Person) {
    let flat = ana.add_unit(house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let _ = t;
    let tom = ana.tenant("tom", &flat).await;
    (door, tom)
}

async fn shown(who: &Person, visit: &Value) -> Value {
    let path = format!("/v1/visits/{}", visit["id"].as_str().unwrap());
    who.get(&path).await.expect(200)
}

async fn kinds(who: &Person) -> Vec<String> {
    let notices = who.list("/v1/me/notices").await.into_iter();
    let kinds = notices.map(|notice| notice["kind"].as_str().unwrap().to_owned());
    kinds
        .filter(|kind| kind.starts_with("visit-") || kind.starts_with("vendor-"))
        .collect()
}

async fn nobody_is_called_before_somebody_who_lives_there_agrees(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, tom) = flat(&t, &ana, &house).await;
    let desk = ana.staff("dee", "desk").await;
    let visit = order(&desk, &t, &[&door], json!({})).await.expect(201);
    assert_eq!(
        (&visit["stage"], &visit["consent"]),
        (&json!("ordered"), &json!("waiting"))
    );
    assert_eq!(kinds(&tom).await, ["visit-ordered"]);

    desk.post(&visit_path(&visit, "call"))
        .await
        .expect_problem(409, "consent-missing");
    let agreed = tom.post(&visit_path(&visit, "consent")).await.expect(200);
    assert_eq!(
        (&agreed["stage"], &agreed["consent"]),
        (&json!("agreed"), &json!("given"))
    );
    // Twice says it once.
    tom.post(&visit_path(&visit, "consent")).await.expect(200);
    assert_eq!(ana.list("/v1/access-log?kind=visit-agreed").await.len(), 1);
    assert_eq!(kinds(&desk).await, ["visit-agreed"]);

    let called = desk.post(&visit_path(&visit, "call")).await.expect(200);
    assert_eq!(called["phone"], "+4312345678");
    let let_in = desk
        .post(&visit_path(&visit, "verify"))
        .json(json!({ "code": called["code"] }));
    let let_in = let_in.await.expect(200);
    assert!(let_in["url"].as_str().unwrap().contains("/guest#"), "{let_in}");
    let present = shown(&desk, &visit).await;
    assert_eq!(
        (&present["stage"], &present["grant_id"]),
        (&json!("let-in"), &let_in["grant_id"])
    );
    assert_eq!(kinds(&tom).await[0], "vendor-let-in");

    // A tenant who thinks better of it before anybody came takes the way in back.
    let declined = tom.post(&visit_path(&visit, "decline")).await.expect(200);
    assert_eq!(
        (&declined["stage"], &declined["grant_id"]),
        (&json!("ordered"), &Value::Null)
    );
    let grant = format!("/v1/grants/{}", let_in["grant_id"].as_str().unwrap());
    assert!(ana.get(&grant).await.expect(200)["revoked_at"].is_string());
}

async fn one_resident_who_is_against_it_is_enough_until_there_is_an_emergency(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let (tom, tina) = (ana.tenant("tom", &unit).await, ana.tenant("tina", &unit).await);
    let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
    tom.post(&visit_path(&visit, "consent")).await.expect(200);
    let against = tina.post(&visit_path(&visit, "decline")).await.expect(200);
    assert_eq!(
        (&against["stage"], &against["consent"]),
        (&json!("ordered"), &json!("declined"))
    );
    ana.post(&visit_path(&visit, "call"))
        .await
        .expect_problem(409, "consent-declined");

    let emergency = visit_path(&visit, "emergency");
    ana.post(&emergency).json(json!({})).await.expect_invalid("reason");
    ana.post(&emergency)
        .json(json!({ "reason": " " }))
        .await
        .expect_invalid("reason");
    let reason = json!({ "reason": "Water comes through the ceiling" });
    let passed = ana.post(&emergency).json(reason.clone()).await.expect(200);
    assert_eq!(passed["consent"], "emergency");
    ana.post(&emergency)
        .json(reason)
        .await
        .expect_problem(409, "emergency-declared");
    ana.post(&visit_path(&visit, "call")).await.expect(200);
    for resident in [&tom, &tina] {
        let told = &resident.list("/v1/me/notices").await[0];
        assert_eq!(told["kind"], "visit-emergency");
        assert_eq!(told["detail"]["emergency"], "Water comes through the ceiling", "{told}");
        assert_eq!(
            shown(resident, &visit).await["emergency"]["reason"],
            "Water comes through the ceiling"
        );
    }
    let written = &ana.list("/v1/access-log?kind=visit-emergency").await[0];
    assert_eq!(written["reason"], "Water comes through the ceiling");
    assert_eq!(written["actor_id"], *ana.id);
}

async fn only_those_who_live_there_answer(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, tom) = flat(&t, &ana, &house).await;
    let other = ana.add_unit(&house, "Flat 2").await;
    let (nora, gus) = (ana.tenant("nora", &other).await, ana.guest("gus").await);
    let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
    for answer in ["consent", "decline"] {
        let path = visit_path(&visit, answer);
        for stranger in [&nora, &gus] {
            stranger.post(&path).await.expect_no("visit");
        }
        ana.post(&path).await.expect_problem(403, "forbidden");
    }
    nora.get(&format!("/v1/visits/{}", visit["id"].as_str().unwrap()))
        .await
        .expect_no("visit");
    assert_eq!(shown(&tom, &visit).await["consent"], "waiting");
    for call in ["call", "cancel", "emergency", "verify", "lock-change"] {
        tom.post(&visit_path(&visit, call))
            .json(json!({}))
            .await
            .expect_problem(403, "forbidden");
    }
}

async fn a_visit_to_shared_doors_needs_nobodys_consent(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let cellar = ana.add_lock(&house, "Cellar").await;
    let vacant = ana.add_unit(&house, "Flat 9").await;
    let empty = ana.add_lock_of(&vacant, "Flat 9").await;
    for doors in [&[&cellar][..], &[&cellar, &empty]] {
        let visit = order(&ana, &t, doors, json!({})).await.expect(201);
        assert_eq!(
            (&visit["stage"], &visit["consent"]),
            (&json!("agreed"), &json!("not-needed"))
        );
    }
    // Who moves in before the vendor was let in has to be asked.
    let visit = order(&ana, &t, &[&empty], json!({})).await.expect(201);
    let nina = ana.tenant("nina", &vacant).await;
    ana.post(&visit_path(&visit, "call"))
        .await
        .expect_problem(409, "consent-missing");
    nina.post(&visit_path(&visit, "consent")).await.expect(200);
    ana.post(&visit_path(&visit, "call")).await.expect(200);
}

async fn a_code_is_read_back_within_five_tries_and_ten_minutes(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let cellar = ana.add_lock(&house, "Cellar").await;
    let visit = order(&ana, &t, &[&cellar], json!({})).await.expect(201);
    let verify = |code: &Value| ana.post(&visit_path(&visit, "verify")).json(json!({ "code": code }));
    let other_than = |code: &Value| {
        let wrong: u32 = (code.as_str().unwrap().parse::<u32>().unwrap() + 1) % 1_000_000;
        json!(format!("{wrong:06}"))
    };
    verify(&json!("123456")).await.expect_problem(409, "no-code");
    verify(&json!("12345")).await.expect_invalid("code");

    let first = ana.post(&visit_path(&visit, "call")).await.expect(200);
    for _ in 0..5 {
        verify(&other_than(&first["code"]))
            .await
            .expect_problem(403, "wrong-code");
    }
    verify(&first["code"]).await.expect_problem(409, "no-code");
    let refused = ana.list("/v1/access-log?kind=vendor-let-in").await;
    assert!(refused.iter().all(|entry| entry["outcome"] == "refused"), "{refused:?}");
    assert_eq!(refused.len(), 5);

    let second = ana.post(&visit_path(&visit, "call")).await.expect(200);
    t.clock.advance(Duration::from_secs(600));
    verify(&second["code"]).await.expect_problem(409, "no-code");

    let third = ana.post(&visit_path(&visit, "call")).await.expect(200);
    t.clock.advance(Duration::from_secs(599));
    let let_in = verify(&third["code"]).await.expect(200);
    verify(&third["code"]).await.expect_problem(409, "no-code");
    // Called again because the link was lost: the same grant, another link.
    let fourth = ana.post(&visit_path(&visit, "call")).await.expect(200);
    let again = verify(&fourth["code"]).await.expect(200);
    assert_eq!(again["grant_id"], let_in["grant_id"]);
    assert_ne!(again["url"], let_in["url"]);
}

async fn an_order_is_for_doors_of_one_unit_and_one_property(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flats = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let (one, two) = (
        ana.add_lock_of(&flats[0], "Flat 1").await,
        ana.add_lock_of(&flats[1], "Flat 2").await,
    );
    let annex = ana.add_property("Europe/Vienna").await;
    let (cellar, gate) = (ana.add_lock(&house, "Cellar").await, ana.add_lock(&annex, "Gate").await);
    order(&ana, &t, &[&one, &two], json!({}))
        .await
        .expect_invalid("lock_ids");
    order(&ana, &t, &[&cellar, &gate], json!({}))
        .await
        .expect_invalid("lock_ids");
    order(&ana, &t, &[], json!({})).await.expect_invalid("lock_ids");
    order(&ana, &t, &[&cellar, &cellar], json!({}))
        .await
        .expect_invalid("lock_ids");
    order(&ana, &t, &[&cellar], json!({ "stay_minutes": 5 }))
        .await
        .expect_invalid("stay_minutes");
    order(&ana, &t, &[&cellar], json!({ "lock_change": true }))
        .await
        .expect_invalid("lock_change");
    let numberless = json!({ "vendor": { "name": "Paul", "company": "Pipes", "phone": "01 234 5678" } });
    order(&ana, &t, &[&cellar], numberless)
        .await
        .expect_invalid("vendor.phone");
    let before = json!({ "starts_at": "2026-03-01T08:00:00Z", "ends_at": "2026-03-01T09:00:00Z" });
    order(&ana, &t, &[&cellar], before).await.expect_invalid("ends_at");
    let visit = order(&ana, &t, &[&cellar, &one], json!({ "stay_minutes": 15 }))
        .await
        .expect(201);
    assert_eq!(
        (&visit["unit_id"], &visit["stay_minutes"]),
        (&json!(flats[0].id), &json!(15))
    );
}

async fn residents_see_visits_without_the_telephone_number(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, tom) = flat(&t, &ana, &house).await;
    let cellar = ana.add_lock(&house, "Cellar").await;
    let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
    order(&ana, &t, &[&cellar], json!({})).await.expect(201);
    let mine = tom.list("/v1/me/visits").await;
    assert_eq!(mine.len(), 1);
    assert_eq!(
        (&mine[0]["id"], &mine[0]["vendor"]["phone"]),
        (&visit["id"], &Value::Null)
    );
    assert_eq!(mine[0]["vendor"]["company"], "Pipes & Sons");
    assert!(!tom.get("/v1/me/notices").await.text.contains("12345678"));
    let viewer = ana.staff("vic", "viewer").await;
    assert_eq!(viewer.list("/v1/visits").await.len(), 2);
    assert_eq!(shown(&viewer, &visit).await["vendor"]["phone"], "+4312345678");
    tom.get("/v1/visits").await.expect_problem(403, "forbidden");
}

async fn a_visit_that_is_called_off_is_over(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, tom) = flat(&t, &ana, &house).await;
    let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
    let cancelled = ana.post(&visit_path(&visit, "cancel")).await.expect(200);
    assert_eq!(cancelled["visit"]["end_reason"], "cancelled");
    for call in ["cancel", "call"] {
        ana.post(&visit_path(&visit, call))
            .await
            .expect_problem(409, "visit-over");
    }
    tom.post(&visit_path(&visit, "consent"))
        .await
        .expect_problem(409, "visit-over");
    assert_eq!(kinds(&tom).await[0], "visit-ended");
}

async fn what_nobody_came_to_is_over_with_its_window(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, tom) = flat(&t, &ana, &house).await;
    let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
    t.clock.advance(Duration::from_secs(8 * 3600));
    tom.post(&visit_path(&visit, "consent"))
        .await
        .expect_problem(409, "visit-over");
    until("the end to be written down", async || {
        !ana.list("/v1/access-log?kind=visit-ended").await.is_empty()
    })
    .await;
    let ended = ana.list("/v1/access-log?kind=visit-ended").await;
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &json!("window-over")));
    assert_eq!(shown(&ana, &visit).await["ended_at"], visit["ends_at"]);
}

async fn another_organizations_visits_do_not_exist(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, _tom) = flat(&t, &ana, &house).await;
    let eve = t.landlord("eve").await;
    let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
    order(&eve, &t, &[&door], json!({})).await.expect_no("lock");
    for call in ["call", "cancel", "consent", "decline", "lock-change"] {
        eve.post(&visit_path(&visit, call)).await.expect_no("visit");
    }
    eve.post(&visit_path(&visit, "emergency"))
        .json(json!({ "reason": "So" }))
        .await
        .expect_no("visit");
    eve.post(&visit_path(&visit, "verify"))
        .json(json!({ "code": "123456" }))
        .await
        .expect_no("visit");
    assert!(eve.list("/v1/visits").await.is_empty());
}

/// Lets the vendor in; the grant by which they come.
pub async fn let_in(desk: &Person, visit: &Value) -> Value {
    let called = desk.post(&visit_path(visit, "call")).await.expect(200);
    let said = json!({ "code": called["code"] });
    let verified = desk.post(&visit_path(visit, "verify")).json(said).await.expect(200);
    let path = format!("/v1/grants/{}", verified["grant_id"].as_str().unwrap());
    desk.get(&path).await.expect(200)
}

async fn who_moves_in_is_asked_too(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let window = json!({ "ends_at": ana.in_days(7) });
    let visit = order(&ana, &t, &[&door], window).await.expect(201);
    assert_eq!(visit["consent"], "not-needed");
    let given = let_in(&ana, &visit).await;
    assert_eq!(given["ends_at"], visit["ends_at"]);
    // Somebody is to live there from the day after tomorrow: until then, and not longer.
    let tom = ana.guest("tom").await;
    let tenancy = ana.tenancy(&tom, &unit, json!({ "starts_at": ana.in_days(2) })).await;
    let path = format!("/v1/grants/{}", given["id"].as_str().unwrap());
    assert_eq!(ana.get(&path).await.expect(200)["ends_at"], tenancy["starts_at"]);
    assert_eq!(kinds(&tom).await, ["visit-ordered"]);
    let again = let_in(&ana, &visit).await;
    assert_eq!((&again["id"], &again["ends_at"]), (&given["id"], &tenancy["starts_at"]));

    t.clock.advance(Duration::from_secs(2 * 24 * 3600));
    for person in [&*ana, &tom] {
        person.sign_in_again().await;
    }
    assert_eq!(shown(&ana, &visit).await["consent"], "waiting");
    ana.post(&visit_path(&visit, "call"))
        .await
        .expect_problem(409, "consent-missing");
    tom.post(&visit_path(&visit, "consent")).await.expect(200);
    let anew = let_in(&ana, &visit).await;
    assert_ne!(anew["id"], given["id"]);
    assert_eq!(
        (&anew["ends_at"], &anew["person_id"]),
        (&visit["ends_at"], &given["person_id"])
    );
    // Whoever lives there from this minute on shuts out whom nobody asked them about.
    let flat = ana.add_unit(&house, "Flat 2").await;
    let other = ana.add_lock_of(&flat, "Flat 2").await;
    let visit = order(&ana, &t, &[&other], json!({})).await.expect(201);
    let given = let_in(&ana, &visit).await;
    let mia = ana.tenant("mia", &flat).await;
    let path = format!("/v1/grants/{}", given["id"].as_str().unwrap());
    assert!(ana.get(&path).await.expect(200)["revoked_at"].is_string());
    let told: BTreeSet<String> = kinds(&mia).await.into_iter().collect();
    assert_eq!(told, ["vendor-kept-out", "visit-ordered"].map(String::from).into());
    assert_eq!(shown(&ana, &visit).await["stage"], "ordered");
}

async fn a_lock_that_moves_takes_no_visit_along(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (_, _tom) = flat(&t, &ana, &house).await;
    let home = ana.add_unit(&house, "Flat 2").await;
    let _mia = ana.tenant("mia", &home).await;
    let [let_in_before, not_yet] = [
        ana.add_lock(&house, "Cellar").await,
        ana.add_lock(&house, "Attic").await,
    ];
    let [first, second] = [
        order(&ana, &t, &[&let_in_before], json!({})).await.expect(201),
        order(&ana, &t, &[&not_yet], json!({})).await.expect(201),
    ];
    let_in(&ana, &first).await;
    let to = json!({ "unit_id": home.id });
    ana.request("PATCH", &let_in_before.path())
        .json(to.clone())
        .await
        .expect_problem(409, "house-access-stands");
    ana.request("PATCH", &not_yet.path()).json(to).await.expect(200);
    ana.post(&visit_path(&second, "call"))
        .await
        .expect_problem(409, "visit-door-moved");
}
