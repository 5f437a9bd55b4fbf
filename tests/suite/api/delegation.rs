//! Access that people give under their own right: never wider, never longer, and over when that is.

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, InstalledLock, Landlord, PASSWORD, Person, Property, TestServer, Unit, house};

on_each_database!(
    a_tenant_lets_a_friend_in,
    nothing_wider_is_given,
    what_was_given_ends_with_its_giver,
    what_was_given_follows_a_grant_that_changes,
    a_door_that_is_closed_to_sharing_opens_to_no_friend,
    counted_uses_are_shared,
    a_friend_without_an_account_is_invited,
    a_door_of_another_unit_opens_to_no_friend,
    a_pin_of_a_friend_goes_with_the_tenant,
    what_was_given_follows_the_term_of_a_tenancy,
    a_landlord_takes_back_what_a_tenant_gave_and_changes_nothing_of_it,
    a_guest_of_a_tenant_is_none_of_the_landlords,
);

/// A house with a tenant: the front door, and the tenant's own.
struct Home {
    t: TestServer,
    ana: Landlord,
    house: Property,
    unit: Unit,
    tom: Person,
    gus: Person,
    front: Door,
    flat: Door,
    _locks: [InstalledLock; 2],
}

const NOW: &str = "2026-03-02T08:00:00Z";

async fn home(database: &TestDatabase) -> Home {
    let (t, ana, house) = house(database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let front = ana.add_lock(&house, "Front door").await;
    let flat = ana.add_lock_of(&unit, "Flat 1").await;
    let locks = [front.install().await, flat.install().await];
    let tenancy = json!({ "unit_id": unit.id, "starts_at": NOW, "ends_at": "2026-12-31T23:00:00Z" });
    let link = ana.invite("tom@people.example", json!({ "tenancy": tenancy })).await;
    let tom = Person::accept(&t.http, "tom", "tom@people.example", &link.text_of("secret_link")).await;
    let gus = ana.guest("gus").await;
    Home {
        t,
        ana,
        house,
        unit,
        tom,
        gus,
        front,
        flat,
        _locks: locks,
    }
}

fn id(grant: &Value) -> &str {
    grant["id"].as_str().unwrap()
}

fn ids(grants: &[Value]) -> Vec<&str> {
    grants.iter().map(id).collect()
}

async fn a_tenant_lets_a_friend_in(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        tom,
        gus,
        front,
        flat,
        ..
    } = &home;
    gus.unlock(flat).await.expect_refused("no-access");
    let both = tom
        .lend(&[front, flat], gus, json!({ "starts_at": NOW }))
        .await
        .expect(201);
    assert_eq!(both["given_by"], tom.id.as_str());
    assert!(both["under"].as_str().unwrap().starts_with("tenancy_"), "{both}");
    assert_eq!(both["ends_at"], "2026-12-31T23:00:00.000Z", "as long as the tenancy");
    assert_eq!(both["ways"], json!(["app", "offline"]));
    for door in [front, flat] {
        gus.unlock(door).await.expect_opened();
    }
    let told = gus.list("/v1/me/notices").await;
    let given = |notice: &&Value| notice["kind"] == "access-given" && notice["detail"]["grant_id"] == both["id"];
    assert_eq!(told.iter().filter(given).count(), 1, "{told:?}");
    // What opens the tenant's own door alone is for the tenant to know.
    let own = tom.lend(&[flat], gus, json!({ "starts_at": NOW })).await.expect(201);
    assert_eq!(ids(&ana.list("/v1/grants").await), [id(&both)]);
    ana.get(&format!("/v1/grants/{}", id(&own))).await.expect_no("grant");
    ana.post(&format!("/v1/grants/{}/revoke", id(&own)))
        .await
        .expect_no("grant");
    assert_eq!(ids(&tom.list("/v1/grants").await), [id(&both), id(&own)]);
    assert_eq!(tom.list("/v1/grants?held=true").await, Vec::<Value>::new());
    assert_eq!(ids(&gus.list("/v1/grants?held=true").await), [id(&both), id(&own)]);
    assert_eq!(gus.list("/v1/grants").await, Vec::<Value>::new());
    let seen = gus.get(&format!("/v1/grants/{}", id(&own))).await.expect(200);
    assert_eq!(seen["provisioning"]["status"], "complete");

    // The friend passes nothing on, and does not take it into their own hands.
    let mia = ana.guest("mia").await;
    gus.lend(&[flat], &mia, json!({ "starts_at": NOW }))
        .await
        .expect_problem(409, "not-delegable");
    gus.post(&format!("/v1/grants/{}/revoke", id(&own)))
        .await
        .expect_problem(403, "forbidden");
    let change = json!({ "lock_ids": [flat.id], "starts_at": NOW });
    gus.put(&format!("/v1/grants/{}", id(&own)))
        .json(change)
        .await
        .expect_problem(403, "forbidden");
    mia.get(&format!("/v1/grants/{}", id(&own))).await.expect_no("grant");

    // Both may take back what opens a shared door.
    tom.post(&format!("/v1/grants/{}/revoke", id(&own))).await.expect(200);
    gus.unlock(flat).await.expect_opened();
    ana.post(&format!("/v1/grants/{}/revoke", id(&both))).await.expect(200);
    gus.unlock(flat).await.expect_refused("grant-revoked");
    assert_eq!(tom.list("/v1/me/notices").await[0]["kind"], "access-revoked");
}

async fn nothing_wider_is_given(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        house,
        tom,
        gus,
        front,
        flat,
        ..
    } = &home;
    let neighbours = ana.add_unit(house, "Flat 2").await;
    let foreign = ana.add_lock_of(&neighbours, "Flat 2").await;
    let give = |terms: Value| {
        let mut all = json!({ "starts_at": NOW });
        for (name, value) in terms.as_object().unwrap() {
            all[name] = value.clone();
        }
        all
    };
    for (doors, terms, field) in [
        (
            [flat].as_slice(),
            json!({ "starts_at": "2026-03-02T07:59:59.999Z" }),
            "starts_at",
        ),
        (&[flat], json!({ "ends_at": "2026-12-31T23:00:00.001Z" }), "ends_at"),
        (&[flat], json!({ "delegable": true }), "delegable"),
        (&[front, flat], json!({ "ways": ["app", "pin"] }), "ways"),
        (&[front], json!({ "ways": ["app", "pin"] }), "ways"),
        (&[flat], json!({ "to": { "person_id": tom.id } }), "to"),
    ] {
        tom.lend(doors, gus, give(terms.clone())).await.expect_invalid(field);
    }
    for doors in [[&foreign].as_slice(), &[flat, &foreign]] {
        tom.lend(doors, gus, give(json!({})))
            .await
            .expect_problem(403, "forbidden");
    }
    // At the tenant's own door, which nobody shares, a PIN is theirs to give.
    let with_pin = tom
        .lend(&[flat], gus, give(json!({ "ways": ["app", "pin"] })))
        .await
        .expect(201);
    let path = format!("/v1/grants/{}/pin", id(&with_pin));
    tom.post(&path)
        .json(json!({ "kind": "computed" }))
        .await
        .expect_problem(409, "code-needs-plain-grant");
    gus.post(&path).await.expect_problem(403, "forbidden");
    tom.post(&path).await.expect(201);
    // To change it into something wider is to give something wider.
    let path = format!("/v1/grants/{}", id(&with_pin));
    for (terms, field) in [
        (
            json!({ "lock_ids": [flat.id], "ends_at": "2027-01-01T00:00:00Z" }),
            "ends_at",
        ),
        (json!({ "lock_ids": [front.id], "ways": ["app", "pin"] }), "ways"),
    ] {
        tom.put(&path).json(give(terms)).await.expect_invalid(field);
    }
    let foreign = json!({ "lock_ids": [foreign.id] });
    tom.put(&path)
        .json(give(foreign))
        .await
        .expect_problem(403, "forbidden");
    // Whoever has no access gives none.
    let mia = ana.guest("mia").await;
    mia.lend(&[flat], gus, give(json!({})))
        .await
        .expect_problem(403, "forbidden");
}

async fn what_was_given_ends_with_its_giver(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        tom,
        gus,
        front,
        flat,
        ..
    } = &home;
    let given = tom
        .lend(&[front, flat], gus, json!({ "starts_at": NOW }))
        .await
        .expect(201);
    let phone = gus.phone().await;
    gus.pass(&phone, &[flat]).await.expect(200);
    gus.unlock(flat).await.expect_opened();
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    let removed = ana.delete(&path).await.expect(200);
    assert_eq!(
        removed["waiting_for"],
        json!([]),
        "the lock knows that the friend's pass is void"
    );
    for door in [front, flat] {
        gus.unlock(door).await.expect_refused("grant-revoked");
    }
    gus.pass(&phone, &[flat]).await.expect_problem(403, "pass-refused");
    let told = gus.list("/v1/me/notices").await;
    assert_eq!(
        (&told[0]["kind"], &told[0]["detail"]["grant_id"]),
        (&json!("access-revoked"), &given["id"])
    );
    let log = ana.list("/v1/access-log?kind=grant-revoked").await;
    assert_eq!(
        (&log[0]["reason"], &log[0]["grant_id"], &log[0]["person_id"]),
        (&json!("giver-ended"), &given["id"], &json!(gus.id))
    );
}

async fn what_was_given_follows_a_grant_that_changes(database: TestDatabase) {
    let home = home(&database).await;
    let Home { ana, gus, front, .. } = &home;
    let vic = ana.guest("vic").await;
    let mondays = json!({ "weekly": [{ "days": ["mon"], "from": "08:00", "to": "18:00" }], "except": [] });
    let terms = json!({ "delegable": true, "schedule": mondays });
    let firms = ana.grant(&vic, front, terms).await;
    vic.lend(&[front], gus, json!({ "starts_at": NOW, "schedule": { "weekly": [{ "days": ["mon", "tue"], "from": "09:00", "to": "10:00" }] } }))
        .await
        .expect_invalid("schedule");
    let given = vic.lend(&[front], gus, json!({ "starts_at": NOW })).await.expect(201);
    assert_eq!(given["under"], firms["id"]);
    assert_eq!(given["schedule"], mondays, "left out, it is its giver's");
    // It is nine o'clock on a Monday.
    gus.unlock(front).await.expect_opened();
    assert!(
        ids(&ana.list("/v1/grants").await).contains(&id(&given)),
        "a landlord's door under a landlord's grant"
    );

    let shorter = json!({
        "lock_ids": [front.id], "starts_at": NOW, "ends_at": "2026-03-02T20:00:00Z", "schedule": mondays, "delegable": true,
    });
    let path = format!("/v1/grants/{}", id(&firms));
    ana.put(&path).json(shorter).await.expect(200);
    let shown = gus.get(&format!("/v1/grants/{}", id(&given))).await.expect(200);
    assert_eq!(shown["ends_at"], "2026-03-02T20:00:00.000Z");
    assert_eq!(gus.list("/v1/me/notices").await[0]["kind"], "access-changed");
    gus.unlock(front).await.expect_opened();

    // One that cannot be passed on any more lets nobody else in.
    let own_alone = json!({ "lock_ids": [front.id], "starts_at": NOW });
    ana.put(&path).json(own_alone).await.expect(200);
    gus.unlock(front).await.expect_refused("grant-revoked");
    vic.unlock(front).await.expect_opened();
}

async fn a_door_that_is_closed_to_sharing_opens_to_no_friend(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        tom,
        gus,
        front,
        flat,
        ..
    } = &home;
    let given = tom
        .lend(&[front, flat], gus, json!({ "starts_at": NOW }))
        .await
        .expect(201);
    gus.unlock(front).await.expect_opened();
    let closed = json!({ "shareable": false });
    ana.patch(&format!("/v1/locks/{}", flat.id))
        .json(closed.clone())
        .await
        .expect_invalid("shareable");
    let path = format!("/v1/locks/{}", front.id);
    let changed = ana.patch(&path).json(closed).await.expect(200);
    assert_eq!(changed["shareable"], false);
    gus.unlock(front).await.expect_refused("no-access");
    gus.unlock(flat).await.expect_opened();
    tom.unlock(front).await.expect_opened();
    let shown = tom.get(&format!("/v1/grants/{}", id(&given))).await.expect(200);
    assert_eq!(shown["lock_ids"], json!([flat.id]));
    tom.lend(&[front], gus, json!({ "starts_at": NOW }))
        .await
        .expect_problem(409, "door-not-shareable");
    // The landlord's own guests are not meant.
    ana.grant(gus, front, json!({})).await;
    gus.unlock(front).await.expect_opened();
    ana.patch(&path).json(json!({ "shareable": true })).await.expect(200);
    tom.lend(&[front], gus, json!({ "starts_at": NOW })).await.expect(201);
}

async fn counted_uses_are_shared(database: TestDatabase) {
    let home = home(&database).await;
    let Home { ana, gus, front, .. } = &home;
    let vic = ana.guest("vic").await;
    let firms = ana.grant(&vic, front, json!({ "delegable": true, "uses": 3 })).await;
    for (terms, field) in [
        (json!({ "ways": ["app"] }), "uses"),
        (json!({ "ways": ["app"], "uses": 4 }), "uses"),
        (json!({ "ways": ["app", "offline"], "uses": 2 }), "ways"),
    ] {
        let mut terms = terms;
        terms["starts_at"] = NOW.into();
        vic.lend(&[front], gus, terms).await.expect_invalid(field);
    }
    vic.lend(&[front], gus, json!({ "starts_at": NOW, "uses": 2 }))
        .await
        .expect(201);
    gus.unlock(front).await.expect_opened();
    vic.unlock(front).await.expect_opened();
    vic.unlock(front).await.expect_opened();
    gus.unlock(front).await.expect_refused("uses-exhausted");
    let shown = ana.get(&format!("/v1/grants/{}", id(&firms))).await.expect(200);
    assert_eq!(shown["uses_taken"], 3);
}

async fn a_friend_without_an_account_is_invited(database: TestDatabase) {
    let home = home(&database).await;
    let Home { t, ana, tom, flat, .. } = &home;
    let ask = |email: &str| json!({ "lock_ids": [flat.id], "to": { "email": email }, "starts_at": NOW });
    let given = tom
        .post("/v1/grants")
        .json(ask("nina@people.example"))
        .await
        .expect(201);
    let link = given["invitation"]["secret_link"].as_str().unwrap();
    let nina = Person::accept(&t.http, "nina", "nina@people.example", link).await;
    nina.unlock(flat).await.expect_opened();

    // Taken back before it was accepted, it brings nobody in.
    let given = tom
        .post("/v1/grants")
        .json(ask("olga@people.example"))
        .await
        .expect(201);
    tom.post(&format!("/v1/grants/{}/revoke", id(&given))).await.expect(200);
    let (_, secret) = given["invitation"]["secret_link"]
        .as_str()
        .unwrap()
        .split_once('#')
        .unwrap();
    let body = json!({ "secret": secret, "name": "olga", "password": PASSWORD });
    t.http
        .post("/v1/invitations/accept")
        .json(body)
        .await
        .expect_no("invitation");
    let members = ana
        .list(&format!("/v1/organizations/{}/members", ana.organization))
        .await;
    let is_member = |name: &str| members.iter().any(|member| member["name"] == name);
    assert!(is_member("ana") && !is_member("olga"), "{members:?}");
}

async fn a_door_of_another_unit_opens_to_no_friend(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        house,
        tom,
        gus,
        front,
        flat,
        ..
    } = &home;
    let doors = [front, flat];
    tom.lend(&doors, gus, json!({ "starts_at": NOW })).await.expect(201);
    for door in doors {
        gus.unlock(door).await.expect_opened();
    }
    let other = ana.add_unit(house, "Flat 2").await;
    let to_other = json!({ "unit_id": other.id });
    // Where the tenant lives nobody takes the lock away from under them.
    ana.patch(&flat.path())
        .json(to_other.clone())
        .await
        .expect_problem(409, "home-lived-in");
    ana.patch(&front.path()).json(to_other).await.expect(200);
    gus.unlock(front).await.expect_refused("no-access");
    tom.unlock(front).await.expect_refused("no-access");
    gus.unlock(flat).await.expect_opened();
}

async fn a_pin_of_a_friend_goes_with_the_tenant(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana, tom, gus, flat, ..
    } = &home;
    let given = tom
        .lend(&[flat], gus, json!({ "starts_at": NOW, "ways": ["app", "pin"] }))
        .await
        .expect(201);
    tom.post(&format!("/v1/grants/{}/pin", id(&given))).await.expect(201);
    let slots = async || {
        let shown = ana.get(&format!("/v1/locks/{}/pins", flat.id)).await.expect(200);
        shown["slots"].as_array().unwrap().clone()
    };
    assert_eq!(slots().await.len(), 1);
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&path).await.expect(200);
    until("the lock to forget the friend's PIN", async || slots().await.is_empty()).await;
}

async fn what_was_given_follows_the_term_of_a_tenancy(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        unit,
        tom,
        gus,
        flat,
        ..
    } = &home;
    let given = tom
        .lend(&[flat], gus, json!({ "starts_at": NOW, "ways": ["app", "pin"] }))
        .await
        .expect(201);
    let holiday = tom
        .lend(&[flat], gus, json!({ "starts_at": "2026-08-01T10:00:00Z" }))
        .await
        .expect(201);
    tom.post(&format!("/v1/grants/{}/pin", id(&given))).await.expect(201);
    let show = async |grant: &Value| gus.get(&format!("/v1/grants/{}", id(grant))).await.expect(200);
    until("the lock to hold the PIN", async || {
        show(&given).await["locks"][0]["pin"]["status"] == "applied"
    })
    .await;

    // He will move out in April: the lock knows by now until when the PIN opens, be it away then or not.
    let tenancy = ana.tenancy_of(tom, unit).await;
    let end = "2026-04-30T10:00:00.000Z";
    let planned = ana.end_tenancy(&tenancy, json!({ "ends_at": end })).await;
    assert_eq!(planned["ends_at"], end);
    assert_eq!(show(&given).await["ends_at"], end);
    assert_eq!(gus.list("/v1/me/notices").await[0]["kind"], "access-changed");
    assert_eq!(show(&holiday).await["revoked_by"], ana.id.as_str());
    until("the lock to know when the PIN ends", async || {
        let shown = ana.get(&format!("/v1/locks/{}/pins", flat.id)).await.expect(200);
        shown["status"] == "applied" && shown["slots"][0]["ends_at"] == end
    })
    .await;
    gus.unlock(flat).await.expect_opened();

    // A later end is the tenant's alone.
    let later = json!({ "starts_at": tenancy["starts_at"], "ends_at": "2026-06-30T10:00:00Z" });
    ana.put(&format!("/v1/tenancies/{}", id(&tenancy)))
        .json(later)
        .await
        .expect(200);
    assert_eq!(show(&given).await["ends_at"], end);
}

async fn a_landlord_takes_back_what_a_tenant_gave_and_changes_nothing_of_it(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana, tom, front, flat, ..
    } = &home;
    let aunt = json!({
        "lock_ids": [front.id, flat.id], "to": { "guest": { "name": "Aunt" } }, "starts_at": NOW, "ways": ["app", "offline"],
    });
    let given = tom.post("/v1/grants").json(aunt).await.expect(201);
    let path = format!("/v1/grants/{}", id(&given));
    let link = tom.post(&format!("{path}/link")).json(json!({})).await.expect(201);
    // They see it, since it opens a shared door.
    assert_eq!(ana.get(&path).await.expect(200)["id"], given["id"]);
    let wider = json!({ "lock_ids": [front.id, flat.id], "starts_at": NOW });
    ana.put(&path).json(wider).await.expect_problem(403, "forbidden");
    ana.post(&format!("{path}/link"))
        .json(json!({}))
        .await
        .expect_problem(403, "forbidden");
    ana.post(&format!("{path}/pin")).await.expect_problem(403, "forbidden");
    assert_eq!(
        tom.get(&path).await.expect(200)["link"]["id"],
        link["id"],
        "the tenant's stands"
    );
    ana.delete(&format!("{path}/link")).await.expect(200);
    ana.post(&format!("{path}/revoke")).await.expect(200);
}

async fn a_guest_of_a_tenant_is_none_of_the_landlords(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana, tom, front, flat, ..
    } = &home;
    let give = async |doors: Vec<&str>, name: &str| {
        let new = json!({ "lock_ids": doors, "to": { "guest": { "name": name } }, "starts_at": NOW });
        tom.post("/v1/grants").json(new).await.expect(201)
    };
    let own = give(vec![&flat.id], "Secret Guest").await;
    let shared = give(vec![&front.id, &flat.id], "Courier").await;
    let members = format!("/v1/organizations/{}/members", ana.organization);
    let seen = async |who: &Person, grant: &Value| {
        let path = format!(
            "/v1/access-log?kind=person-joined&person_id={}",
            grant["person_id"].as_str().unwrap()
        );
        who.list(&path).await.len()
    };
    let listed = ana.list(&members).await;
    let lists = |grant: &Value| listed.iter().any(|member| member["id"] == grant["person_id"]);
    assert_eq!((seen(ana, &own).await, lists(&own)), (0, false));
    assert_eq!((seen(ana, &shared).await, lists(&shared)), (1, true));
    assert_eq!((seen(tom, &own).await, seen(tom, &shared).await), (1, 1));
}
