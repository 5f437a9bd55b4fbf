//! Giving members another role.

use diesel::connection::SimpleConnection as _;
use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Person, TestServer};

on_each_database!(
    another_role_counts_from_the_next_request,
    a_role_is_given_by_whoever_may_appoint_it,
    owners_who_demote_each_other_at_once_leave_one,
);

async fn another_role_counts_from_the_next_request(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let max = ana.manager("max").await;
    let place = max.add_property("Europe/Vienna").await;
    let pins = format!("{}/pins", max.add_lock(&place, "Front door").await.path());
    let changed = ana.change_role(&max, "viewer").await.expect(200);
    assert_eq!((&changed["id"], &changed["role"]), (&json!(max.id), &json!("viewer")));
    let house = json!({
        "organization_id": ana.organization, "name": "Annex", "address": "Next door", "time_zone": "Europe/Vienna",
    });
    max.post("/v1/properties")
        .json(house.clone())
        .await
        .expect_problem(403, "forbidden");
    max.get(&pins).await.expect(200);
    ana.change_role(&max, "desk").await.expect(200);
    max.get(&pins).await.expect_problem(403, "forbidden");
    max.get("/v1/properties").await.expect(200);
    ana.change_role(&max, "manager").await.expect(200);
    max.post("/v1/properties").json(house).await.expect(201);

    let written = ana.list("/v1/access-log?kind=role-changed").await;
    let last = &written[0];
    assert_eq!(written.len(), 3);
    assert_eq!(
        (&last["person_id"], &last["actor_id"], &last["detail"]),
        (
            &json!(max.id),
            &json!(ana.id),
            &json!({ "from": "desk", "to": "manager" })
        )
    );
    let told = max.list("/v1/me/notices").await;
    assert_eq!(told.len(), 3);
    assert_eq!(
        (&told[0]["kind"], &told[0]["actor_id"]),
        (&json!("role-changed"), &json!(ana.id))
    );

    // The role that they have is no change.
    ana.change_role(&max, "manager").await.expect(200);
    assert_eq!(ana.list("/v1/access-log?kind=role-changed").await.len(), 3);
    assert_eq!(max.list("/v1/me/notices").await.len(), 3);
}

async fn a_role_is_given_by_whoever_may_appoint_it(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let (max, mia) = (ana.manager("max").await, ana.manager("mia").await);
    let (gus, dee) = (ana.guest("gus").await, ana.staff("dee", "desk").await);
    let program = ana.program("Bookings").await;
    let of_program = format!("/v1/organizations/{}/members/{program}/role", ana.organization);

    max.change_role(&gus, "vendor").await.expect(200);
    max.change_role(&gus, "desk").await.expect(200);
    for role in ["manager", "owner", "service"] {
        max.change_role(&gus, role).await.expect_problem(403, "forbidden");
    }
    for of in [&mia, &ana] {
        max.change_role(of, "guest").await.expect_problem(403, "forbidden");
    }
    ana.change_role(&gus, "service").await.expect_problem(403, "forbidden");
    ana.request("PUT", &of_program)
        .json(json!({ "role": "manager" }))
        .await
        .expect_problem(403, "forbidden");
    for (who, own) in [(&ana, "manager"), (&ana, "owner"), (&max, "guest")] {
        who.change_role(who, own).await.expect_problem(409, "own-role");
    }
    eve.change_role(&gus, "guest").await.expect_no("person");
    let of_ana = format!("/v1/organizations/{}/members/{}/role", ana.organization, gus.id);
    eve.request("PUT", &of_ana)
        .json(json!({ "role": "guest" }))
        .await
        .expect_no("organization");
    dee.request("PUT", &of_ana)
        .json(json!({ "role": "guest" }))
        .await
        .expect_problem(403, "forbidden");
    ana.request("PUT", &of_ana)
        .json(json!({ "role": "landlady" }))
        .await
        .expect_invalid("role");

    // A second owner, who then makes the first one a tenant.
    ana.change_role(&max, "owner").await.expect(200);
    max.change_role(&ana, "tenant").await.expect(200);
    ana.get("/v1/properties").await.expect_problem(403, "forbidden");
    // An invitation by somebody who may appoint no more lets nobody in.
    let link = mia
        .invite("new@people.example", json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    max.change_role(&mia, "viewer").await.expect(200);
    let secret = link.split_once('#').unwrap().1;
    t.http
        .post("/v1/invitations/accept")
        .json(json!({ "secret": secret, "name": "New", "password": crate::world::PASSWORD }))
        .await
        .expect_no("invitation");
}

async fn owners_who_demote_each_other_at_once_leave_one(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let bea = ana.manager("bea").await;
    ana.change_role(&bea, "owner").await.expect(200);
    let (ana_as, bea_as): (&Person, &Person) = (&ana, &bea);
    let demote = async { tokio::join!(ana.change_role(bea_as, "guest"), bea.change_role(ana_as, "guest")) };
    let (one, other) = if database.is_sqlite() {
        demote.await
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
        tokio::join!(demote, holding).0
    };
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    // Whoever comes second manages no more, or would demote the last owner.
    assert!(statuses[0] == 200 && matches!(statuses[1], 403 | 409), "{statuses:?}");
}
