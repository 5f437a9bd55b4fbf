//! Offline passes: who gets one, what it says, and what it never says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Door, TestServer, claims_of, house};

on_each_database!(
    a_pass_lives_as_long_as_its_role_allows,
    a_pass_is_bound_to_one_phone_and_names_nobody,
    a_pass_ends_before_its_right_and_carries_its_schedule,
    who_may_not_open_gets_no_pass,
    a_life_of_zero_turns_passes_off,
    each_lock_is_decided_by_itself,
    a_pass_of_a_counted_grant_says_what_is_left,
    what_may_be_opened_tells_of_passes,
    passes_leave_no_trace_in_the_log,
);

const HOUR: u64 = 3600;

/// The second at which every story begins.
const START: u64 = 1_772_438_400;

async fn enrol(door: &Door) {
    door.try_enrol().await.unwrap();
}

async fn a_pass_lives_as_long_as_its_role_allows(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    enrol(&door).await;
    let (tom, gus, vic) = (
        ana.tenant("tom", &unit).await,
        ana.guest("gus").await,
        ana.guest("vic").await,
    );
    ana.grant(&gus, &door, json!({})).await;
    ana.grant(&vic, &door, json!({ "role": "vendor" })).await;
    for (person, role, hours) in [(&tom, "tenant", 72), (&gus, "guest", 12), (&vic, "vendor", 2)] {
        let phone = person.phone().await;
        let claims = person.pass_claims(&phone, &[&door]).await;
        for (claim, value) in [
            ("ver", json!(1)),
            ("iss", json!("https://doors.example")),
            ("org", json!(ana.organization)),
            ("aud", json!([door.id])),
            ("act", json!("unlock")),
            ("iat", json!(START)),
            ("nbf", json!(START)),
            ("rev", json!(START)),
            ("exp", json!(START + hours * HOUR)),
            ("role", json!(role)),
            ("schedule", Value::Null),
            ("zone", Value::Null),
            ("uses", Value::Null),
        ] {
            assert_eq!(claims[claim], value, "{role} {claim}");
        }
    }
}

async fn a_pass_is_bound_to_one_phone_and_names_nobody(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let enrolled = door.install().await;
    let (gus, eve) = (ana.guest("gus").await, ana.guest("eve").await);
    ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    let issued = gus.pass(&phone, &[&door]).await.expect(200);
    let claims = claims_of(issued["pass"].as_str().unwrap());
    assert_eq!(claims["cnf"], json!({ "jkt": phone.thumbprint() }));
    for secret in [&gus.id, &gus.email, &gus.name, &phone.id] {
        assert!(!claims.to_string().contains(secret.as_str()), "{secret}");
    }
    let expires_at = t.clock.after(Duration::from_secs(12 * HOUR + 1));
    assert_eq!(issued["expires_at"], expires_at);
    assert_eq!(issued["passes"][0]["expires_at"], expires_at);
    assert_eq!(issued["passes"][0]["lock_ids"], json!([door.id]));
    assert_eq!(issued["locks"][0]["lock_id"], door.id);
    assert_eq!(issued["locks"][0]["public_key"]["crv"], "P-256");
    assert_eq!(issued["locks"][0]["documents"], json!([]));
    assert_eq!(issued["refused"], json!([]));
    // Every pass is another one.
    let again = gus.pass_claims(&phone, &[&door]).await;
    assert_ne!(again["jti"], claims["jti"]);
    assert_eq!(again["sub"], claims["sub"]);
    // Not for a phone of somebody else, nor for one that was removed.
    eve.pass(&phone, &[&door]).await.expect_no("phone");
    gus.delete(&format!("/v1/me/phones/{}", phone.id)).await.expect(200);
    gus.pass(&phone, &[&door]).await.expect_no("phone");
    drop(enrolled);
}

async fn a_pass_ends_before_its_right_and_carries_its_schedule(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    enrol(&door).await;
    let gus = ana.guest("gus").await;
    let phone = gus.phone().await;
    let schedule = json!({
        "weekly": [{ "days": ["mon", "sun"], "from": "08:30", "to": "24:00" }], "except": ["2026-03-08", "2027-01-01"],
    });
    ana.grant(
        &gus,
        &door,
        json!({ "starts_at": t.clock.after(Duration::from_secs(HOUR)), "schedule": schedule,
                "ends_at": t.clock.after(Duration::from_secs(3 * HOUR)) }),
    )
    .await;
    let claims = gus.pass_claims(&phone, &[&door]).await;
    assert_eq!(claims["iat"], START);
    assert_eq!(claims["nbf"], START + HOUR);
    assert_eq!(claims["exp"], START + 3 * HOUR - 1);
    assert_eq!(
        claims["schedule"],
        json!({ "weekly": [{ "days": 0b100_0001, "from": 510, "to": 1440 }], "except": [] })
    );
    assert_eq!(claims["zone"][0], json!({ "at": START, "offset": 3600 }));
    assert_eq!(claims["zone"].as_array().unwrap().len(), 8);
    let shown = &ana.list("/v1/grants").await[0];
    let shown = ana
        .get(&format!("/v1/grants/{}", shown["id"].as_str().unwrap()))
        .await
        .expect(200);
    let until = t.clock.after(Duration::from_secs(3 * HOUR + 60));
    assert_eq!(shown["locks"][0]["may_open_until"], until);
}

async fn who_may_not_open_gets_no_pass(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let new = ana.add_lock(&house, "Not claimed").await;
    enrol(&door).await;
    let gus = ana.guest("gus").await;
    let phone = gus.phone().await;
    let eve = t.landlord("eve").await;
    let foreign = eve.add_property("Europe/Vienna").await;
    let foreign = eve.add_lock(&foreign, "Door").await;
    let refused = |answer: crate::world::Answer, reason: &str| {
        let problem = answer.expect_problem(403, "pass-refused");
        assert_eq!(problem["reason"], reason, "{problem}");
        problem
    };
    refused(gus.pass(&phone, &[&door]).await, "no-access");
    gus.pass(&phone, &[&foreign]).await.expect_no("lock");
    gus.pass(&phone, &[]).await.expect_invalid("lock_ids");
    gus.pass(&phone, &[&door, &door]).await.expect_invalid("lock_ids");
    gus.pass(&phone, &[&door; 17]).await.expect_invalid("lock_ids");
    ana.grant(&gus, &new, json!({})).await;
    refused(gus.pass(&phone, &[&new]).await, "lock-not-in-service");
    ana.grant(&gus, &door, json!({ "ways": ["app"] })).await;
    refused(gus.pass(&phone, &[&door]).await, "way-not-given");
    let later = t.clock.after(Duration::from_secs(13 * HOUR));
    ana.grant(&gus, &door, json!({ "starts_at": later })).await;
    let problem = refused(gus.pass(&phone, &[&door]).await, "not-yet");
    assert_eq!(problem["opens_at"], later);
    let counted = json!({ "uses": 3 });
    ana.give(&[&door, &new], json!({ "person_id": gus.id }), counted)
        .await
        .expect(201);
    refused(gus.pass(&phone, &[&door]).await, "not-yet");
    let grant = ana.grant(&gus, &door, json!({})).await;
    gus.pass(&phone, &[&door]).await.expect(200);
    ana.revoke(&grant).await;
    refused(gus.pass(&phone, &[&door]).await, "not-yet");
    ana.grant(&gus, &door, json!({})).await;
    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    refused(gus.pass(&phone, &[&door]).await, "lock-not-in-service");
}

async fn a_life_of_zero_turns_passes_off(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.passes.guest_hours = 0).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    enrol(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    let problem = gus.pass(&phone, &[&door]).await.expect_problem(403, "pass-refused");
    assert_eq!(problem["reason"], "passes-off");
    let mine = gus.list("/v1/me/locks").await;
    assert_eq!(
        (&mine[0]["ways"], &mine[0]["pass_until"]),
        (&json!(["app"]), &Value::Null)
    );
}

async fn each_lock_is_decided_by_itself(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (one, two, three, four) = (
        ana.add_lock(&house, "One").await,
        ana.add_lock(&house, "Two").await,
        ana.add_lock(&house, "Three").await,
        ana.add_lock(&house, "Four").await,
    );
    for door in [&one, &two, &three, &four] {
        enrol(door).await;
    }
    let gus = ana.guest("gus").await;
    let both = ana
        .give(&[&one, &two], json!({ "person_id": gus.id }), json!({}))
        .await
        .expect(201);
    let other = ana.grant(&gus, &three, json!({})).await;
    let phone = gus.phone().await;
    let issued = gus.pass(&phone, &[&four, &three, &two, &one]).await.expect(200);
    let mut passes: Vec<Value> = (issued["passes"].as_array().unwrap().iter())
        .map(|pass| claims_of(pass["pass"].as_str().unwrap()))
        .map(|claims| json!([claims["gid"], claims["aud"]]))
        .collect();
    passes.sort_by_key(Value::to_string);
    let mut of_both = [&one.id, &two.id];
    of_both.sort_unstable();
    let mut expected = [json!([both["id"], of_both]), json!([other["id"], [three.id]])];
    expected.sort_by_key(Value::to_string);
    assert_eq!(passes, expected);
    assert_eq!(issued["pass"], Value::Null);
    assert_eq!(issued["locks"].as_array().unwrap().len(), 3);
    assert_eq!(
        issued["refused"],
        json!([{ "lock_id": four.id, "reason": "no-access", "opens_at": null }])
    );
}

async fn a_pass_of_a_counted_grant_says_what_is_left(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({ "uses": 2 })).await;
    let phone = gus.phone().await;
    let claims = gus.pass_claims(&phone, &[&door]).await;
    assert_eq!((&claims["uses"], &claims["used"]), (&json!(2), &json!(0)));
    gus.unlock(&door).await.expect_opened();
    let claims = gus.pass_claims(&phone, &[&door]).await;
    assert_eq!((&claims["uses"], &claims["used"]), (&json!(1), &json!(0)));
    gus.unlock(&door).await.expect_opened();
    let problem = gus.pass(&phone, &[&door]).await.expect_problem(403, "pass-refused");
    assert_eq!(problem["reason"], "uses-exhausted");
    // One without counted uses is taken where there is one.
    let free = ana.grant(&gus, &door, json!({})).await;
    assert_eq!(gus.pass_claims(&phone, &[&door]).await["gid"], free["id"]);
}

async fn what_may_be_opened_tells_of_passes(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    enrol(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let mine = gus.list("/v1/me/locks").await;
    assert_eq!(mine[0]["ways"], json!(["app", "offline"]));
    assert_eq!(mine[0]["pass_until"], t.clock.after(Duration::from_secs(12 * HOUR + 1)));
    // The lock is away: nobody asks it, and a pass opens it all the same.
    let problem = gus.unlock(&door).await.expect_offline();
    assert_eq!(problem["ways_in"], json!(["offline", "mechanical-key"]));
}

async fn passes_leave_no_trace_in_the_log(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    enrol(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    let before = ana.log().await.len();
    for _ in 0..3 {
        gus.pass(&phone, &[&door]).await.expect(200);
    }
    assert_eq!(ana.log().await.len(), before);
}
