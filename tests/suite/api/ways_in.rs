//! Ways in of lock-outs and visits: used once as they were decided, and no access to be made more of.

use serde_json::{Value, json};

use super::lockouts::{Scene, approve, ask, policy};
use super::visits::{let_in, order};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Door, Person};

on_each_database!(
    nobody_makes_more_of_a_tenants_way_in,
    a_way_in_that_was_taken_back_is_asked_for_anew,
    nobody_makes_more_of_a_vendors_way_in,
    tenants_hand_out_what_they_gave_as_ever,
);

fn path(grant: &Value) -> String {
    format!("/v1/grants/{}", grant.as_str().unwrap())
}

/// Tries to make more of the grant: a link, a PIN, its digits, a year without a limit.
async fn is_refused_more(person: &Person, door: &Door, grant: &Value, status: u16, word: &str) {
    let path = path(grant);
    let year = json!({
        "lock_ids": [door.id], "ways": ["app", "offline", "pin"],
        "starts_at": "2026-03-02T08:00:00Z", "ends_at": "2027-02-12T08:00:00Z",
    });
    let refused = [
        person.put(&path).json(year).await,
        person.post(&format!("{path}/link")).json(json!({})).await,
        person.post(&format!("{path}/pin")).json(json!({})).await,
    ];
    for answer in refused {
        answer.expect_problem(status, word);
    }
}

async fn nobody_makes_more_of_a_tenants_way_in(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let closed = s.ana.add_lock(&s.house, "Front door").await;
    s.ana
        .patch(&closed.path())
        .json(json!({ "shareable": false }))
        .await
        .expect(200);
    let (vic, gus) = (s.ana.staff("vic", "viewer").await, s.ana.guest("gus").await);
    let by_desk = ask(&s.tom, &s.door).await.expect(201);
    let by_desk = approve(&s.dee, &by_desk).await.expect(200);
    // Nobody need say yes: then it is not whoever wrote that down who gives it.
    s.policy(policy(json!({ "approval": { "by": "nobody" }, "first": [] })))
        .await;
    let tim = s.ana.tenant("tim", &s.flat).await;
    let by_policy = ask(&tim, &s.door).await.expect(201);
    for (lockout, tenant) in [(&by_desk, &s.tom), (&by_policy, &tim)] {
        let grant = &lockout["grant_id"];
        for person in [&s.dee, &*s.ana, tenant] {
            is_refused_more(person, &s.door, grant, 409, "grant-is-way-in").await;
            let shown = person.get(&path(grant)).await.expect(200);
            assert_eq!(shown["given_by"], tenant.id, "{shown}");
            assert_eq!((&shown["uses"], &shown["ways"]), (&json!(1), &json!(["app"])));
        }
        for person in [&vic, &gus] {
            is_refused_more(person, &s.door, grant, 404, "not-found").await;
        }
        // Those who say yes do not find it among what they gave.
        for person in [&s.dee, &*s.ana] {
            assert_eq!(person.list("/v1/grants").await, Vec::<Value>::new(), "{}", person.name);
        }
    }
    // At a door that is closed to sharing it hangs under nothing, and is no more anybody's to change.
    let at_closed = ask(&tim, &closed).await.expect(201);
    let grant = &at_closed["grant_id"];
    for person in [&s.dee, &*s.ana, &tim] {
        is_refused_more(person, &closed, grant, 409, "grant-is-way-in").await;
    }
    is_refused_more(&vic, &closed, grant, 403, "forbidden").await;
    is_refused_more(&gus, &closed, grant, 404, "not-found").await;
    // Its own way goes on.
    for (lockout, tenant) in [(&by_desk, &s.tom), (&by_policy, &tim), (&at_closed, &tim)] {
        let way_in = format!("/v1/lockouts/{}/way-in", lockout["id"].as_str().unwrap());
        s.dee.post(&way_in).await.expect_problem(403, "forbidden");
        tenant.post(&way_in).await.expect(201);
    }
}

async fn a_way_in_that_was_taken_back_is_asked_for_anew(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let (vic, tim) = (s.ana.staff("vic", "viewer").await, s.ana.tenant("tim", &s.flat).await);
    let mut last = Value::Null;
    for person in [&s.dee, &*s.ana, &s.tom] {
        let lockout = ask(&s.tom, &s.door).await.expect(201);
        assert_ne!(lockout["id"], last);
        last = lockout["id"].clone();
        let approved = approve(&s.dee, &lockout).await.expect(200);
        let revoke = format!("{}/revoke", path(&approved["grant_id"]));
        for other in [&vic, &tim] {
            other.post(&revoke).await.expect_no("grant");
        }
        person.post(&revoke).await.expect(200);
        s.tom
            .post(&format!("/v1/lockouts/{}/way-in", last.as_str().unwrap()))
            .await
            .expect_problem(409, "grant-over");
    }
}

async fn nobody_makes_more_of_a_vendors_way_in(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let cellar = s.ana.add_lock(&s.house, "Cellar").await;
    let vic = s.ana.staff("vic", "viewer").await;
    let visit = order(&s.dee, &s.t, &[&cellar], json!({})).await.expect(201);
    let given = let_in(&s.ana, &visit).await;
    for person in [&s.dee, &*s.ana] {
        is_refused_more(person, &cellar, &given["id"], 409, "grant-is-way-in").await;
    }
    is_refused_more(&vic, &cellar, &given["id"], 403, "forbidden").await;
    is_refused_more(&s.tom, &cellar, &given["id"], 404, "not-found").await;
    let revoke = format!("{}/revoke", path(&given["id"]));
    vic.post(&revoke).await.expect_problem(403, "forbidden");
    s.dee.post(&revoke).await.expect(200);
    // The visit goes on: who says the code again is let in again.
    let again = let_in(&s.ana, &visit).await;
    assert_ne!(again["id"], given["id"]);
    is_refused_more(&s.ana, &cellar, &again["id"], 409, "grant-is-way-in").await;
}

async fn tenants_hand_out_what_they_gave_as_ever(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let _lock = s.door.install().await;
    let gus = s.ana.guest("gus").await;
    let terms = json!({ "starts_at": "2026-03-02T08:00:00Z", "ways": ["app", "pin"] });
    let given = s.tom.lend(&[&s.door], &gus, terms.clone()).await.expect(201);
    let path = path(&given["id"]);
    let mut changed = terms;
    changed["lock_ids"] = json!([s.door.id]);
    changed["ends_at"] = json!("2026-03-05T08:00:00Z");
    s.tom.put(&path).json(changed).await.expect(200);
    s.tom.post(&format!("{path}/link")).json(json!({})).await.expect(201);
    s.tom.post(&format!("{path}/pin")).json(json!({})).await.expect(201);
    for person in [&s.dee, &*s.ana] {
        person
            .post(&format!("{path}/link"))
            .json(json!({}))
            .await
            .expect_no("grant");
    }
    s.tom.post(&format!("{path}/revoke")).await.expect(200);
}
