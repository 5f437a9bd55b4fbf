//! Who belongs to an organization, and putting them out.

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, Landlord, PASSWORD, Person, TestServer, house};

on_each_database!(
    who_is_put_out_is_out_with_the_next_request,
    who_belongs_elsewhere_too_goes_on_there,
    managers_put_out_no_managers_and_an_owner_stays,
    who_is_put_out_does_not_come_back_by_an_older_invitation,
    who_is_put_out_leaves_no_way_back_in_behind,
    owners_who_put_each_other_out_at_once_leave_one,
    members_are_listed_in_pages,
);

fn member(of: &Landlord, person: &Person) -> String {
    format!("/v1/organizations/{}/members/{}", of.organization, person.id)
}

async fn who_is_put_out_is_out_with_the_next_request(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let _lock = door.install().await;
    let tom = ana.tenant("tom", &flat).await;
    let grant = ana.grant(&tom, &door, json!({})).await;
    tom.unlock(&door).await.expect_opened();

    let removed = ana.delete(&member(&ana, &tom)).await.expect(200);
    assert_eq!(removed["waiting_for"], json!([]));
    tom.unlock(&door).await.expect_problem(401, "unauthenticated");
    tom.get("/v1/me").await.expect_problem(401, "unauthenticated");
    let refresh = json!({ "refresh_token": tom.refresh_token() });
    t.http
        .post("/v1/auth/refresh")
        .json(refresh)
        .await
        .expect_problem(401, "unauthenticated");
    tom.sign_in_again().await;
    tom.unlock(&door).await.expect_no("lock");
    assert_eq!(tom.get("/v1/me").await.json["memberships"], json!([]));

    let grant = ana
        .get(&format!("/v1/grants/{}", grant["id"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!(
        (&grant["revoked_by"], grant["revoked_at"].is_string()),
        (&json!(ana.id), true)
    );
    let removed = &ana.list("/v1/access-log?kind=person-removed").await[0];
    assert_eq!(
        (&removed["person_id"], &removed["actor_id"]),
        (&json!(tom.id), &json!(ana.id))
    );
    ana.delete(&member(&ana, &tom)).await.expect_no("person");
}

async fn who_belongs_elsewhere_too_goes_on_there(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let eve = t.landlord("eve").await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    let link = eve
        .invite(&gus.email, json!({ "role": "manager" }))
        .await
        .text_of("secret_link");
    let gus = Person::accept(&t.http, "gus", &gus.email, &link).await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();

    ana.delete(&member(&ana, &gus)).await.expect(200);
    gus.unlock(&door).await.expect_no("lock");
    assert_eq!(gus.list("/v1/me/locks").await, Vec::<Value>::new());
    gus.get("/v1/properties").await.expect(200);
    // What ended with one membership does not come back with the next.
    let link = ana
        .invite(&gus.email, json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    let gus = Person::accept(&t.http, "gus", &gus.email, &link).await;
    gus.unlock(&door).await.expect_refused("grant-revoked");
}

async fn managers_put_out_no_managers_and_an_owner_stays(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let (max, mia, gus) = (
        ana.manager("max").await,
        ana.manager("mia").await,
        ana.guest("gus").await,
    );
    max.delete(&member(&ana, &mia)).await.expect_problem(403, "forbidden");
    max.delete(&member(&ana, &ana)).await.expect_problem(403, "forbidden");
    ana.delete(&member(&ana, &ana)).await.expect_problem(409, "last-owner");
    ana.delete(&member(&ana, &eve)).await.expect_no("person");
    eve.delete(&member(&ana, &gus)).await.expect_no("organization");
    max.delete(&member(&ana, &gus)).await.expect(200);

    // A manager's rights end with the next request, too.
    ana.delete(&member(&ana, &mia)).await.expect(200);
    mia.get("/v1/properties").await.expect_problem(401, "unauthenticated");
}

/// An invitation, not accepted yet: its secret.
async fn invited(by: &Landlord, email: &str, role: &str) -> String {
    let link = by.invite(email, json!({ "role": role })).await.text_of("secret_link");
    link.split_once('#').unwrap().1.to_owned()
}

async fn accept(t: &TestServer, secret: &str) -> Answer {
    let body = json!({ "secret": secret, "name": "Somebody", "password": PASSWORD });
    t.http.post("/v1/invitations/accept").json(body).await
}

async fn who_is_put_out_does_not_come_back_by_an_older_invitation(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let email = "gus@people.example";
    let spare = invited(&ana, email, "guest").await;
    let given = ana
        .give(&[&door], json!({ "email": email }), json!({}))
        .await
        .expect(201);
    let gus = ana.guest("gus").await;
    ana.delete(&member(&ana, &gus)).await.expect(200);

    let waiting = given["invitation"]["secret_link"].as_str().unwrap();
    for secret in [&spare, waiting.split_once('#').unwrap().1] {
        accept(&t, secret).await.expect_no("invitation");
    }
    let grant = format!("/v1/grants/{}", given["id"].as_str().unwrap());
    assert_eq!(ana.get(&grant).await.expect(200)["revoked_by"], json!(ana.id));
    // Invited anew, they come as anybody does.
    let anew = invited(&ana, email, "guest").await;
    accept(&t, &anew).await.expect(200);
}

async fn who_is_put_out_leaves_no_way_back_in_behind(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let max = ana.manager("max").await;
    let of_max = invited(&max, "other-max@people.example", "guest").await;
    let of_ana = invited(&ana, "gus@people.example", "guest").await;
    ana.delete(&member(&ana, &max)).await.expect(200);
    accept(&t, &of_max).await.expect_no("invitation");
    accept(&t, &of_ana).await.expect(200);
}

async fn owners_who_put_each_other_out_at_once_leave_one(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let secret = invited(&ana, "bea@people.example", "owner").await;
    accept(&t, &secret).await.expect(200);
    let bea = Person::sign_in(&t.http, "bea", "bea@people.example").await;
    let (of_bea, of_ana) = (member(&ana, &bea), member(&ana, &ana));
    let put_out = async { tokio::join!(ana.delete(&of_bea), bea.delete(&of_ana)) };
    let (one, other) = if database.is_sqlite() {
        put_out.await
    } else {
        // Both have decided, as far as they can, before either may write it down.
        let mut clerk = database.connect();
        clerk
            .batch_execute("BEGIN; UPDATE access_log_heads SET last_seq = last_seq")
            .unwrap();
        let holding = async {
            database.until_waiting(2).await;
            clerk.batch_execute("COMMIT").unwrap();
        };
        tokio::join!(put_out, holding).0
    };
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    // Whoever comes second is no member any more, or the last owner.
    assert!(statuses[0] == 200 && statuses[1] > 400, "{statuses:?}");
}

async fn members_are_listed_in_pages(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (max, gus) = (ana.manager("max").await, ana.guest("gus").await);
    let path = format!("/v1/organizations/{}/members", ana.organization);
    let listed = ana.list(&format!("{path}?limit=1")).await;
    let mut expected =
        [(&ana.id, "owner"), (&max.id, "manager"), (&gus.id, "guest")].map(|(id, role)| (json!(id), json!(role)));
    expected.sort_by_key(|(id, _)| id.to_string());
    let mut found: Vec<_> = listed
        .iter()
        .map(|member| (member["id"].clone(), member["role"].clone()))
        .collect();
    found.sort_by_key(|(id, _)| id.to_string());
    assert_eq!(found, expected);
    assert_eq!(max.list(&path).await.len(), 3);
}
