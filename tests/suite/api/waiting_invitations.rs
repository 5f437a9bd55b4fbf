//! Invitations that nobody has accepted yet: the landlord sees them, and takes them back.

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Answer, Door, Http, Landlord, PASSWORD, Person, house};

on_each_database!(
    what_waits_is_listed,
    an_invitation_that_was_taken_back_lets_nobody_in,
    what_was_accepted_is_not_taken_back,
    of_taking_back_and_accepting_at_once_one_counts,
    access_that_waits_ends_with_its_invitation,
    nobody_takes_back_what_they_could_not_offer,
    whom_a_tenant_lets_in_at_home_is_their_own_affair,
    who_is_put_out_leaves_no_pin_behind,
);

/// The addresses of the invitations that wait.
async fn waiting(ana: &Landlord) -> Vec<String> {
    let listed = ana.list("/v1/invitations").await;
    listed
        .iter()
        .map(|invitation| invitation["email"].as_str().unwrap().to_owned())
        .collect()
}

async fn take_back(ana: &Landlord, invited: &Value) -> Answer {
    ana.delete(&format!("/v1/invitations/{}", invited["id"].as_str().unwrap()))
        .await
}

async fn accept(http: &Http, invited: &Value) -> Answer {
    let (_, secret) = invited["secret_link"].as_str().unwrap().split_once('#').unwrap();
    let body = json!({ "secret": secret, "name": "Somebody", "password": PASSWORD });
    http.post("/v1/invitations/accept").json(body).await
}

/// A grant that waits for somebody at this address, its invitation, and a PIN of it.
async fn waiting_grant(ana: &Landlord, door: &Door, email: &str) -> (String, Value) {
    let ways = json!({ "ways": ["app", "pin"] });
    let given = ana.give(&[door], json!({ "email": email }), ways).await.expect(201);
    let grant = format!("/v1/grants/{}", given["id"].as_str().unwrap());
    ana.post(&format!("{grant}/pin")).await.expect(201);
    until("the lock to hold the PIN", async || {
        ana.get(&grant).await.expect(200)["locks"][0]["pin"]["status"] == "applied"
    })
    .await;
    (grant, given["invitation"].clone())
}

async fn until_no_pin_is_left(ana: &Landlord, door: &Door) {
    until("the lock to hold no PIN", async || {
        let shown = ana.get(&format!("{}/pins", door.path())).await.expect(200);
        shown["slots"] == json!([]) && shown["status"] == "applied"
    })
    .await;
}

async fn what_waits_is_listed(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let front = ana.add_lock(&house, "Front door").await;
    assert_eq!(waiting(&ana).await, Vec::<String>::new());
    let guest = ana.invite("guest@people.example", json!({ "role": "guest" })).await;
    let guest = guest.expect(201);
    let term = json!({ "unit_id": unit.id, "starts_at": ana.in_days(1), "ends_at": null });
    let stay = ana.invite("tenant@people.example", json!({ "tenancy": term })).await;
    let stay = stay.expect(201);
    ana.give(&[&front], json!({ "email": "plumber@people.example" }), json!({}))
        .await
        .expect(201);
    let listed = ana.list("/v1/invitations").await;
    assert_eq!(
        listed[1],
        json!({
            "id": stay["id"], "organization_id": ana.organization, "email": "tenant@people.example", "role": "tenant",
            "tenancy": term, "invited_by": ana.id, "created_at": t.clock.after(std::time::Duration::ZERO),
            "expires_at": stay["expires_at"],
        })
    );
    let all = [
        "guest@people.example",
        "tenant@people.example",
        "plumber@people.example",
    ];
    assert_eq!(waiting(&ana).await, all);
    let text = json!(listed).to_string();
    let (_, secret) = guest["secret_link"].as_str().unwrap().split_once('#').unwrap();
    assert!(!text.contains(secret), "links are shown once");

    // Page by page, and of one's own house alone.
    let page = ana.get("/v1/invitations?limit=2").await.expect(200);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = ana
        .get(&format!("/v1/invitations?limit=2&cursor={next}"))
        .await
        .expect(200);
    assert_eq!(
        (rest["data"][0]["email"].as_str(), &rest["next_cursor"]),
        (Some(all[2]), &Value::Null)
    );
    let eve = t.landlord("eve").await;
    assert_eq!(waiting(&eve).await, Vec::<String>::new());

    accept(&t.http, &stay).await.expect(200);
    assert_eq!(waiting(&ana).await, [all[0], all[2]]);
    t.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600));
    ana.sign_in_again().await;
    assert_eq!(waiting(&ana).await, Vec::<String>::new(), "whose time is over");
}

async fn an_invitation_that_was_taken_back_lets_nobody_in(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let term = json!({ "unit_id": unit.id, "starts_at": ana.in_days(0) });
    for offer in [
        json!({ "role": "manager" }),
        json!({ "role": "guest" }),
        json!({ "tenancy": term }),
    ] {
        let invited = ana.invite("wrong@people.example", offer).await.expect(201);
        let first = take_back(&ana, &invited).await.expect(200);
        assert_eq!(first["waiting_for"], json!([]));
        accept(&t.http, &invited).await.expect_no("invitation");
        // Twice is once.
        take_back(&ana, &invited).await.expect(200);
    }
    assert_eq!(waiting(&ana).await, Vec::<String>::new());
    let revoked = ana.list("/v1/access-log?kind=invitation-revoked").await;
    assert_eq!(revoked.len(), 3);
    assert_eq!(
        (&revoked[0]["actor_id"], &revoked[0]["unit_id"]),
        (&json!(ana.id), &json!(unit.id))
    );
    assert_eq!(revoked[2]["detail"]["role"], "manager");
    // The right address is invited as ever.
    let right = ana.invite("right@people.example", json!({ "role": "guest" })).await;
    accept(&t.http, &right.expect(201)).await.expect(200);
}

async fn what_was_accepted_is_not_taken_back(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let invited = ana.invite("gus@people.example", json!({ "role": "guest" })).await;
    let invited = invited.expect(201);
    accept(&t.http, &invited).await.expect(200);
    take_back(&ana, &invited)
        .await
        .expect_problem(409, "invitation-accepted");
    assert_eq!(
        ana.list("/v1/access-log?kind=invitation-revoked").await,
        Vec::<Value>::new()
    );
}

async fn of_taking_back_and_accepting_at_once_one_counts(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    for round in 0..6 {
        let email = format!("gus{round}@people.example");
        let given = ana
            .give(&[&door], json!({ "email": email }), json!({}))
            .await
            .expect(201);
        let invited = &given["invitation"];
        let (back, accepted) = tokio::join!(take_back(&ana, invited), accept(&t.http, invited));
        let grant = format!("/v1/grants/{}", given["id"].as_str().unwrap());
        let revoked_by = ana.get(&grant).await.expect(200)["revoked_by"].clone();
        match (back.status, accepted.status) {
            (200, 404) => assert_eq!(revoked_by, ana.id),
            (409, 200) => assert_eq!(revoked_by, Value::Null),
            other => panic!("{other:?}: {} {}", back.text, accepted.text),
        }
    }
}

async fn access_that_waits_ends_with_its_invitation(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let (grant, invited) = waiting_grant(&ana, &door, "plumber@people.example").await;
    take_back(&ana, &invited).await.expect(200);
    assert_eq!(ana.get(&grant).await.expect(200)["revoked_by"], ana.id);
    until_no_pin_is_left(&ana, &door).await;
    accept(&t.http, &invited).await.expect_no("invitation");
    let revoked = ana.list("/v1/access-log?kind=grant-revoked").await;
    assert_eq!(
        (revoked.len(), &revoked[0]["reason"]),
        (1, &json!("invitation-revoked"))
    );
    take_back(&ana, &invited).await.expect(200);
    assert_eq!(ana.list("/v1/access-log?kind=grant-revoked").await.len(), 1);
}

async fn nobody_takes_back_what_they_could_not_offer(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let max = ana.manager("max").await;
    let owner = ana.invite("owner@people.example", json!({ "role": "owner" })).await;
    let owner = owner.expect(201);
    take_back(&max, &owner).await.expect_problem(403, "forbidden");
    let guest = ana.invite("guest@people.example", json!({ "role": "guest" })).await;
    take_back(&max, &guest.expect(201)).await.expect(200);
    let eve = t.landlord("eve").await;
    take_back(&eve, &owner).await.expect_no("invitation");
    accept(&t.http, &owner).await.expect(200);
}

async fn whom_a_tenant_lets_in_at_home_is_their_own_affair(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (door, front) = (
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let tom = ana.tenant("tom", &unit).await;
    let terms = |door: &Door, email: &str| {
        json!({
            "lock_ids": [door.id], "to": { "email": email }, "starts_at": ana.in_days(0), "ends_at": ana.in_days(1),
        })
    };
    let lend = async |door: &Door, email: &str| {
        let given = tom.post("/v1/grants").json(terms(door, email)).await.expect(201);
        given["invitation"].clone()
    };
    let at_home = lend(&door, "love@people.example").await;
    lend(&front, "friend@people.example").await;
    assert_eq!(waiting(&ana).await, ["friend@people.example"]);
    take_back(&ana, &at_home).await.expect_no("invitation");
}

async fn who_is_put_out_leaves_no_pin_behind(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let email = "gus@people.example";
    let (grant, _) = waiting_grant(&ana, &door, email).await;
    // They come in by another invitation, and the access goes on waiting for theirs.
    let other = ana
        .invite(email, json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    let gus = Person::accept(&t.http, "gus", email, &other).await;
    let member = format!("/v1/organizations/{}/members/{}", ana.organization, gus.id);
    ana.delete(&member).await.expect(200);
    assert_eq!(ana.get(&grant).await.expect(200)["revoked_by"], ana.id);
    let revoked = ana.list("/v1/access-log?kind=grant-revoked").await;
    assert_eq!(
        (revoked.len(), &revoked[0]["reason"]),
        (1, &json!("invitation-revoked"))
    );
    until_no_pin_is_left(&ana, &door).await;
}
