//! What an organization decides for itself, and what needs two persons.

use std::future::IntoFuture as _;
use std::time::Duration;

use doorward::domain::time::Clock as _;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Door, Landlord, Person, Request, TestServer, house};

on_each_database!(
    owners_alone_decide_the_rules,
    a_whole_property_needs_two_persons,
    many_small_grants_are_one_large_one,
    a_proposal_is_carried_out_once_and_by_another,
    a_proposal_ends_and_its_proposer_must_still_be_allowed,
    giving_up_the_second_person_needs_one,
    a_change_gives_nobody_a_whole_property_alone,
);

fn rules(whole_property_grants: bool, lockdown: bool) -> Value {
    json!({
        "two_person": { "whole_property_grants": whole_property_grants, "lockdown": lockdown },
        "self_grant_delay_hours": 24,
    })
}

fn set(by: &Landlord, rules: Value) -> Request {
    by.request("PUT", &format!("/v1/organizations/{}/rules", by.organization))
        .json(rules)
}

fn decide(by: &Person, proposal: &Value, how: &str) -> Request {
    let id = proposal["proposal_id"].as_str().unwrap();
    by.post(&format!("/v1/proposals/{id}/{how}"))
}

async fn status(by: &Person, proposal: &Value) -> Value {
    let listed = by.list("/v1/proposals").await;
    let found = listed
        .into_iter()
        .find(|listed| listed["id"] == proposal["proposal_id"]);
    found.unwrap()["status"].clone()
}

/// A house of four doors, with its rule, a second manager and somebody to be given it.
async fn doors(database: &TestDatabase) -> (TestServer, Landlord, Landlord, Person, Vec<Door>) {
    let (t, ana, house) = house(database).await;
    let mut doors = Vec::new();
    for name in ["Front door", "Cellar", "Garage", "Roof"] {
        doors.push(ana.add_lock(&house, name).await);
    }
    let max = ana.manager("max").await;
    set(&ana, rules(true, false)).await.expect(200);
    let gus = ana.guest("gus").await;
    (t, ana, max, gus, doors)
}

async fn owners_alone_decide_the_rules(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let path = format!("/v1/organizations/{}/rules", ana.organization);
    let usual = ana.get(&path).await.expect(200);
    assert_eq!(
        usual,
        json!({
            "two_person": { "whole_property_grants": false, "lockdown": false },
            "self_grant_delay_hours": 24,
            "present_delay_hours": 24, "phone_key_required": false,
        })
    );
    // Alone they would shut themself out.
    set(&ana, rules(true, false))
        .await
        .expect_problem(409, "nobody-to-confirm");
    let max = ana.manager("max").await;
    let set_rules = set(&ana, rules(true, true)).await.expect(200);
    assert_eq!(
        set_rules["two_person"],
        json!({ "whole_property_grants": true, "lockdown": true })
    );
    set(&ana, rules(true, true)).await.expect(200);
    assert_eq!(ana.list("/v1/access-log?kind=rules-changed").await.len(), 1);
    set(&max, rules(false, false)).await.expect_problem(403, "forbidden");
    max.get(&path).await.expect_problem(403, "forbidden");
    let mut half = rules(true, true);
    half["two_person"].as_object_mut().unwrap().remove("lockdown");
    set(&ana, half).await.expect_invalid("two_person.lockdown");
}

async fn a_whole_property_needs_two_persons(database: TestDatabase) {
    let (t, ana, max, gus, doors) = doors(&database).await;
    let all: Vec<&Door> = doors.iter().collect();
    let to = json!({ "person_id": gus.id });
    ana.give(&all[..2], to.clone(), json!({ "ends_at": ana.in_days(1) }))
        .await
        .expect(201);
    let proposed = max.give(&all, to.clone(), json!({})).await.expect(202);
    assert_eq!(proposed["kind"], "grant");
    // Nothing is given yet, and whoever may confirm it is told.
    assert_eq!(ana.list("/v1/grants").await.len(), 1);
    assert_eq!(gus.list("/v1/me/notices").await.len(), 1);
    let told = &ana.list("/v1/me/notices").await[0];
    assert_eq!(
        (&told["kind"], &told["actor_id"], &told["detail"]["proposal_id"]),
        (&json!("proposal-made"), &json!(max.id), &proposed["proposal_id"])
    );
    let listed = &ana.list("/v1/proposals").await[0];
    assert_eq!(
        (
            &listed["status"],
            &listed["proposed_by"],
            &listed["body"]["grant"]["to"]["person"]
        ),
        (&json!("open"), &json!(max.id), &json!(gus.id))
    );

    let done = decide(&ana, &proposed, "confirm").await.expect(200);
    assert_eq!(done["proposal"]["status"], "confirmed");
    assert_eq!(done["grant"]["lock_ids"].as_array().unwrap().len(), 4);
    // It is the proposer's grant, and the log names both.
    assert_eq!(done["grant"]["given_by"], json!(max.id));
    assert_eq!(ana.list("/v1/grants").await.len(), 2);
    let confirmed = &ana.list("/v1/access-log?kind=proposal-confirmed").await[0];
    assert_eq!(
        (&confirmed["person_id"], &confirmed["actor_id"]),
        (&json!(max.id), &json!(ana.id))
    );
    assert_eq!(max.list("/v1/me/notices").await[0]["kind"], "proposal-confirmed");

    // Somebody new is invited once the second person has said yes, who gets the link.
    let invited = json!({ "email": "new@people.example" });
    let proposed = max.give(&all, invited, json!({})).await.expect(202);
    assert_eq!(ana.list("/v1/access-log?kind=person-invited").await.len(), 2);
    let done = decide(&ana, &proposed, "confirm").await.expect(200);
    assert!(done["grant"]["invitation"]["secret_link"].is_string(), "{done}");
    assert_eq!(ana.list("/v1/access-log?kind=person-invited").await.len(), 3);

    // A program proposes nothing.
    let key = ana.key(&ana.program("Bookings").await, &["grants:write"]).await;
    let ids: Vec<&str> = all.iter().map(|door| door.id.as_str()).collect();
    let grant = json!({ "lock_ids": ids, "to": { "email": "a@b.example" }, "starts_at": "2027-01-01T00:00:00Z" });
    t.http
        .post("/v1/grants")
        .bearer(key["key"].as_str().unwrap())
        .json(grant)
        .await
        .expect_problem(403, "forbidden");
}

async fn many_small_grants_are_one_large_one(database: TestDatabase) {
    let (t, ana, _max, gus, doors) = doors(&database).await;
    let all: Vec<&Door> = doors.iter().collect();
    for to in [json!({ "person_id": gus.id }), json!({ "email": "new@people.example" })] {
        ana.give(&all[..1], to.clone(), json!({})).await.expect(201);
        ana.give(&all[..2], to.clone(), json!({ "ends_at": ana.in_days(1) }))
            .await
            .expect(201);
        // All but one is all.
        ana.give(&all[2..3], to, json!({})).await.expect(202);
    }
    t.clock.advance(Duration::from_secs(24 * 3600));
    ana.sign_in_again().await;
    // What is over does not count.
    let to = json!({ "person_id": gus.id });
    ana.give(&all[2..3], to.clone(), json!({})).await.expect(201);
    ana.give(&all[3..], to, json!({})).await.expect(202);
}

async fn a_proposal_is_carried_out_once_and_by_another(database: TestDatabase) {
    let (t, ana, max, gus, doors) = doors(&database).await;
    let mia = ana.manager("mia").await;
    let all: Vec<&Door> = doors.iter().collect();
    let proposed = max
        .give(&all, json!({ "person_id": gus.id }), json!({}))
        .await
        .expect(202);
    decide(&max, &proposed, "confirm")
        .await
        .expect_problem(409, "own-proposal");
    decide(&gus, &proposed, "confirm")
        .await
        .expect_problem(403, "forbidden");
    let eve = t.landlord("eve").await;
    decide(&eve, &proposed, "confirm").await.expect_no("proposal");
    decide(&eve, &proposed, "refuse").await.expect_no("proposal");
    assert_eq!(eve.list("/v1/proposals").await, Vec::<Value>::new());

    let (one, other) = tokio::join!(
        decide(&ana, &proposed, "confirm").into_future(),
        decide(&mia, &proposed, "confirm").into_future()
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(ana.list("/v1/grants").await.len(), 1);
    for how in ["confirm", "refuse"] {
        decide(&ana, &proposed, how)
            .await
            .expect_problem(409, "proposal-decided");
    }

    // One refuses, and one takes their own back.
    let again = || max.give(&all, json!({ "person_id": gus.id }), json!({}));
    for who in [&ana, &max] {
        let proposed = again().await.expect(202);
        assert_eq!(decide(who, &proposed, "refuse").await.expect(200)["status"], "refused");
        decide(&mia, &proposed, "confirm")
            .await
            .expect_problem(409, "proposal-decided");
    }
    assert_eq!(ana.list("/v1/grants").await.len(), 1);
    assert_eq!(ana.list("/v1/access-log?kind=proposal-refused").await.len(), 2);
    let told = max.list("/v1/me/notices").await;
    assert_eq!(
        told.iter()
            .filter(|notice| notice["kind"] == "proposal-refused")
            .count(),
        1
    );
}

async fn a_proposal_ends_and_its_proposer_must_still_be_allowed(database: TestDatabase) {
    let (t, ana, max, gus, doors) = doors(&database).await;
    let all: Vec<&Door> = doors.iter().collect();
    let propose = |terms: Value| max.give(&all, json!({ "person_id": gus.id }), terms);

    let late = propose(json!({})).await.expect(202);
    t.clock.advance(Duration::from_secs(24 * 3600));
    ana.sign_in_again().await;
    max.sign_in_again().await;
    decide(&ana, &late, "confirm")
        .await
        .expect_problem(409, "proposal-over");
    assert_eq!(status(&ana, &late).await, "expired");

    // What makes no sense any more is not done, and the proposal stays.
    let short = (t.clock.now() + Duration::from_secs(3600)).to_string();
    let short = propose(json!({ "ends_at": short })).await.expect(202);
    t.clock.advance(Duration::from_secs(3600));
    decide(&ana, &short, "confirm").await.expect_invalid("ends_at");
    assert_eq!(status(&ana, &short).await, "open");

    let orphan = propose(json!({})).await.expect(202);
    ana.change_role(&max, "viewer").await.expect(200);
    decide(&ana, &orphan, "confirm")
        .await
        .expect_problem(409, "proposer-may-not");
    ana.change_role(&max, "manager").await.expect(200);
    decide(&ana, &orphan, "confirm").await.expect(200);
}

async fn giving_up_the_second_person_needs_one(database: TestDatabase) {
    let (_t, ana, max, gus, doors) = doors(&database).await;
    set(&ana, rules(true, true)).await.expect(200);
    let path = format!("/v1/organizations/{}/rules", ana.organization);
    let off = set(&ana, rules(false, true)).await.expect(202);
    assert_eq!(off["kind"], "rules");
    decide(&ana, &off, "confirm").await.expect_problem(409, "own-proposal");
    assert_eq!(
        ana.get(&path).await.expect(200)["two_person"]["whole_property_grants"],
        true
    );
    let done = decide(&max, &off, "confirm").await.expect(200);
    assert_eq!(
        done["rules"]["two_person"],
        json!({ "whole_property_grants": false, "lockdown": true })
    );
    let all: Vec<&Door> = doors.iter().collect();
    max.give(&all, json!({ "person_id": gus.id }), json!({}))
        .await
        .expect(201);
    // Owner no more, their proposal comes to nothing.
    let off = set(&ana, rules(false, false)).await.expect(202);
    ana.change_role(&max, "owner").await.expect(200);
    max.change_role(&ana, "manager").await.expect(200);
    decide(&max, &off, "confirm")
        .await
        .expect_problem(409, "proposer-may-not");
    assert_eq!(max.get(&path).await.expect(200)["two_person"]["lockdown"], true);
}

async fn a_change_gives_nobody_a_whole_property_alone(database: TestDatabase) {
    let (_t, ana, max, gus, doors) = doors(&database).await;
    let all: Vec<&Door> = doors.iter().collect();
    let ids: Vec<&str> = all.iter().map(|door| door.id.as_str()).collect();
    // To somebody who is only invited yet.
    let invited = max
        .give(&all[..1], json!({ "email": "new@people.example" }), json!({}))
        .await
        .expect(201);
    let starts_at = invited["starts_at"].clone();
    max.put(&format!("/v1/grants/{}", invited["id"].as_str().unwrap()))
        .json(json!({ "lock_ids": ids, "starts_at": starts_at }))
        .await
        .expect_problem(409, "second-person-needed");
    // For longer than two persons agreed to.
    let once = json!({ "uses": 1, "ends_at": ana.in_days(1) });
    let proposed = max.give(&all, json!({ "person_id": gus.id }), once).await.expect(202);
    let given = decide(&ana, &proposed, "confirm").await.expect(200)["grant"].clone();
    let path = format!("/v1/grants/{}", given["id"].as_str().unwrap());
    let terms = |ends_at: Value, uses: Value| json!({ "lock_ids": ids, "starts_at": given["starts_at"], "ends_at": ends_at, "uses": uses });
    for wider in [
        terms(Value::Null, json!(1)),
        terms(given["ends_at"].clone(), Value::Null),
        terms(given["ends_at"].clone(), json!(2)),
    ] {
        max.put(&path)
            .json(wider)
            .await
            .expect_problem(409, "second-person-needed");
    }
    // Less is one person's to say.
    let fewer = json!({ "lock_ids": [ids[0]], "starts_at": given["starts_at"], "ends_at": given["ends_at"], "uses": 1, "ways": given["ways"] });
    max.put(&path).json(fewer).await.expect(200);
}
