//! Bringing people in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, Http, PASSWORD, Person, TestServer, house};

on_each_database!(
    an_invitation_is_accepted_once,
    of_two_acceptances_at_once_one_counts,
    an_invitation_ends,
    somebody_with_an_account_needs_its_password,
    managers_make_no_managers,
    a_tenancy_opens_from_its_start_to_its_end,
    an_invitation_offers_one_thing_that_makes_sense,
);

async fn accept(http: &Http, link: &str, password: &str) -> Answer {
    let (page, secret) = link.split_once('#').unwrap();
    assert_eq!(page, "https://doors.example/invitation");
    let body = json!({ "secret": secret, "name": "Somebody", "password": password });
    http.post("/v1/invitations/accept").json(body).await
}

async fn an_invitation_is_accepted_once(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let invited = ana.invite("new@people.example", json!({ "role": "guest" })).await;
    let link = invited.text_of("secret_link");
    assert_eq!(
        invited.text_of("expires_at"),
        t.clock.after(Duration::from_secs(7 * 24 * 3600))
    );
    let tokens = accept(&t.http, &link, PASSWORD).await.expect(200);
    let me = t
        .http
        .get("/v1/me")
        .bearer(tokens["access_token"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!(
        (&me["email"], &me["name"]),
        (&json!("new@people.example"), &json!("Somebody"))
    );
    assert_eq!(me["memberships"][0]["organization_id"], ana.organization);
    assert_eq!(me["memberships"][0]["role"], "guest");
    accept(&t.http, &link, PASSWORD).await.expect_no("invitation");
    let unknown = format!("https://doors.example/invitation#{}", "A".repeat(43));
    accept(&t.http, &unknown, PASSWORD).await.expect_no("invitation");

    let kinds: Vec<Value> = ana.log().await.iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, ["person-joined", "person-invited"]);
}

async fn of_two_acceptances_at_once_one_counts(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let link = ana
        .invite("new@people.example", json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    let (one, other) = tokio::join!(accept(&t.http, &link, PASSWORD), accept(&t.http, &link, PASSWORD));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404], "{} {}", one.text, other.text);
    assert_eq!(ana.list("/v1/access-log?kind=person-joined").await.len(), 1);
}

async fn an_invitation_ends(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let mut links = Vec::new();
    for email in ["in-time@people.example", "late@people.example"] {
        links.push(
            ana.invite(email, json!({ "role": "guest" }))
                .await
                .text_of("secret_link"),
        );
    }
    t.clock.advance(Duration::from_millis(7 * 24 * 3600 * 1000 - 1));
    accept(&t.http, &links[0], PASSWORD).await.expect(200);
    t.clock.advance(Duration::from_millis(1));
    accept(&t.http, &links[1], PASSWORD).await.expect_no("invitation");
}

async fn somebody_with_an_account_needs_its_password(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let link = ana
        .invite(&eve.email, json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    accept(&t.http, &link, "not her password")
        .await
        .expect_problem(401, "wrong-credentials");
    let tokens = accept(&t.http, &link, PASSWORD).await.expect(200);
    let me = t
        .http
        .get("/v1/me")
        .bearer(tokens["access_token"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!((&me["id"], &me["name"]), (&json!(eve.id), &json!("eve")));
    let mut roles: Vec<&str> = me["memberships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    roles.sort_unstable();
    assert_eq!(roles, ["guest", "owner"]);

    // Who is offered less than they have keeps what they have.
    let link = ana
        .invite(&ana.email, json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    accept(&t.http, &link, PASSWORD).await.expect(200);
    assert_eq!(ana.get("/v1/me").await.json["memberships"][0]["role"], "owner");
}

async fn managers_make_no_managers(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let max = ana.manager("max").await;
    for (role, status) in [("owner", 403), ("manager", 403), ("tenant", 201), ("guest", 201)] {
        let answer = max.invite("new@people.example", json!({ "role": role })).await;
        assert_eq!(answer.status, status, "{role}: {}", answer.text);
    }
    ana.invite("second@people.example", json!({ "role": "owner" }))
        .await
        .expect(201);
    let eve = t.landlord("eve").await;
    let foreign = json!({ "unit_id": flat.id, "starts_at": "2026-03-02T08:00:00Z" });
    eve.invite("new@people.example", json!({ "tenancy": foreign }))
        .await
        .expect_no("unit");
}

async fn a_tenancy_opens_from_its_start_to_its_end(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let lock = door.install().await;
    let tenancy = json!({
        "unit_id": flat.id, "starts_at": "2026-03-02T10:00:00+01:00", "ends_at": "2026-03-02T11:00:00+01:00",
    });
    let link = ana
        .invite("tom@people.example", json!({ "tenancy": tenancy }))
        .await
        .text_of("secret_link");
    let tom = Person::accept(&t.http, "tom", "tom@people.example", &link).await;
    assert_eq!(tom.get("/v1/me").await.json["memberships"][0]["role"], "tenant");
    let early = tom.unlock(&door).await.expect_refused("not-yet");
    assert_eq!(early["opens_at"], "2026-03-02T09:00:00.000Z");
    t.clock.set("2026-03-02T09:00:00Z");
    lock.until_online(&ana, true).await;
    tom.unlock(&door).await.expect_opened();
    t.clock.set("2026-03-02T10:00:00Z");
    tom.unlock(&door).await.expect_refused("grant-expired");
}

async fn an_invitation_offers_one_thing_that_makes_sense(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let tenancy =
        |ends_at: &str| json!({ "unit_id": flat.id, "starts_at": "2026-03-02T08:00:00Z", "ends_at": ends_at });
    for (offer, field) in [
        (json!({}), "role"),
        (
            json!({ "role": "guest", "tenancy": tenancy("2026-04-01T00:00:00Z") }),
            "role",
        ),
        (json!({ "tenancy": tenancy("2026-03-02T08:00:00Z") }), "tenancy.ends_at"),
        (json!({ "tenancy": tenancy("2026-04-01T00:00:00") }), "tenancy.ends_at"),
        (
            json!({ "tenancy": { "unit_id": house.id, "starts_at": "2026-03-02T08:00:00Z" } }),
            "tenancy.unit_id",
        ),
        (json!({ "role": "king" }), "role"),
    ] {
        ana.invite("new@people.example", offer).await.expect_invalid(field);
    }
    ana.invite("nobody", json!({ "role": "guest" }))
        .await
        .expect_invalid("email");
}
