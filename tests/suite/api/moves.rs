//! Who lives behind a door changes, or the door does: nobody comes in by what was agreed with others, or before those who live
//! there now were told.

use std::time::Duration;

use doorward::domain::time::Clock as _;
use serde_json::{Value, json};

use super::visits::{order, visit_path};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, Door, InstalledLock, Landlord, Link, Person, Property, TestServer, Unit, house};

on_each_database!(
    a_tenancy_that_begins_sooner_shuts_out_a_vendor_to_whom_nobody_there_agreed,
    the_yes_of_who_moves_out_goes_with_them,
    a_stay_ends_with_the_last_who_agreed,
    an_emergency_outlasts_who_moves,
    a_lock_that_moves_from_home_to_home_takes_no_vendor_along,
    a_lock_that_is_handed_on_with_its_grants_keeps_vendors_out,
    keys_of_the_house_wait_for_a_tenancy_that_begins_sooner,
    keys_of_the_house_wait_where_somebody_moves_in_at_once,
    who_stays_longer_is_told_of_keys_that_were_for_afterwards,
    a_key_to_more_than_a_home_goes_on_without_it,
    a_tenancy_of_the_house_is_no_way_to_be_there_first,
);

const HOUR: Duration = Duration::from_secs(3600);

/// The office calls the number on the order, and the vendor says the code and follows the link.
async fn let_in(t: &TestServer, office: &Person, visit: &Value) -> Person {
    let called = office.post(&visit_path(visit, "call")).await.expect(200);
    let verify = office.post(&visit_path(visit, "verify"));
    let told = verify.json(json!({ "code": called["code"] })).await.expect(200);
    Link::of(&t.http, &t.clock, told).open().await.0
}

async fn shown(who: &Person, visit: &Value) -> Value {
    let path = format!("/v1/visits/{}", visit["id"].as_str().unwrap());
    who.get(&path).await.expect(200)
}

/// The stage, and what those say who live there.
async fn standing(who: &Person, visit: &Value) -> [String; 2] {
    let shown = shown(who, visit).await;
    ["stage", "consent"].map(|what| shown[what].as_str().unwrap().to_owned())
}

async fn told(person: &Person, kind: &str) -> Vec<Value> {
    let mut notices = person.list("/v1/me/notices").await;
    notices.retain(|notice| notice["kind"] == kind);
    notices
}

/// A vendor whose way in is gone: nobody is signed in by their link any more, or the door stays shut.
#[track_caller]
fn assert_shut_out(answer: &Answer) {
    assert!(matches!(answer.status, 401 | 403), "{answer:?}");
}

/// What the log says of vendors who were kept out, the newest first.
async fn kept_out(landlord: &Landlord) -> Vec<Value> {
    landlord.list("/v1/access-log?kind=vendor-kept-out").await
}

async fn a_tenancy_that_begins_sooner_shuts_out_a_vendor_to_whom_nobody_there_agreed(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 2").await;
    let door = ana.add_lock_of(&flat, "Flat 2").await;
    let _lock = door.install().await;
    let (dee, gus) = (ana.staff("dee", "desk").await, ana.guest("gus").await);
    let starts_at = t.clock.after(HOUR);
    let tenancy = ana.tenancy(&gus, &flat, json!({ "starts_at": starts_at })).await;
    let window = json!({ "ends_at": t.clock.after(4 * HOUR) });
    let visit = order(&dee, &t, &[&door], window).await.expect(201);
    assert_eq!(visit["consent"], "not-needed");
    // Whoever is to live there while it may take place is told when it is ordered, not when it has begun.
    assert_eq!(told(&gus, "visit-ordered").await.len(), 1);
    let paul = let_in(&t, &dee, &visit).await;
    assert_eq!(standing(&ana, &visit).await, ["let-in", "not-needed"]);

    let term = json!({ "starts_at": t.clock.now().to_string() });
    ana.change_tenancy(&tenancy, term).await.expect(200);
    assert_shut_out(&paul.unlock(&door).await);
    assert_eq!(standing(&ana, &visit).await, ["ordered", "waiting"]);
    for person in [&gus, &dee] {
        let notices = told(person, "vendor-kept-out").await;
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0]["detail"]["visit_id"], visit["id"]);
    }
    // Asked once is enough.
    assert_eq!(told(&gus, "visit-ordered").await.len(), 1);
    let written = &kept_out(&ana).await[0];
    assert_eq!(
        (&written["reason"], &written["actor_id"], &written["unit_id"]),
        (&json!("residents-changed"), &json!(ana.id), &json!(flat.id))
    );
    assert!(written["grant_id"].is_string());

    // Once they agree, the vendor proves anew to be the one.
    dee.post(&visit_path(&visit, "call"))
        .await
        .expect_problem(409, "consent-missing");
    gus.post(&visit_path(&visit, "consent")).await.expect(200);
    let paul = let_in(&t, &dee, &visit).await;
    paul.unlock(&door).await.expect_opened();
}

/// Bea and Gus live in a flat, and Bea alone agreed to a visit of days; the vendor has a way in.
struct Shared {
    flat: Unit,
    bea: Person,
    gus: Person,
    visit: Value,
    paul: Person,
    door: Door,
    _lock: InstalledLock,
}

async fn shared(t: &TestServer, ana: &Landlord, house: &Property, name: &str) -> Shared {
    let flat = ana.add_unit(house, name).await;
    let door = ana.add_lock_of(&flat, name).await;
    let lock = door.install().await;
    let place = name.replace(' ', "-").to_lowercase();
    let bea = ana.tenant(&format!("bea-{place}"), &flat).await;
    let gus = ana.tenant(&format!("gus-{place}"), &flat).await;
    let visit = order(ana, t, &[&door], json!({ "ends_at": ana.in_days(5) })).await;
    let visit = visit.expect(201);
    bea.post(&visit_path(&visit, "consent")).await.expect(200);
    let paul = let_in(t, ana, &visit).await;
    Shared {
        flat,
        bea,
        gus,
        visit,
        paul,
        door,
        _lock: lock,
    }
}

async fn the_yes_of_who_moves_out_goes_with_them(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    // Their tenancy ends at once.
    let one = shared(&t, &ana, &house, "Flat 1").await;
    let tenancy = ana.tenancy_of(&one.bea, &one.flat).await;
    ana.end_tenancy(&tenancy, json!({})).await;
    assert_shut_out(&one.paul.unlock(&one.door).await);
    assert_eq!(standing(&ana, &one.visit).await, ["ordered", "waiting"]);
    assert_eq!(told(&one.gus, "vendor-kept-out").await.len(), 1);
    assert_eq!(kept_out(&ana).await[0]["reason"], "residents-changed");
    // They are put out of the house.
    let two = shared(&t, &ana, &house, "Flat 2").await;
    let member = format!("/v1/organizations/{}/members/{}", ana.organization, two.bea.id);
    ana.delete(&member).await.expect(200);
    assert_shut_out(&two.paul.unlock(&two.door).await);
    assert_eq!(standing(&ana, &two.visit).await, ["ordered", "waiting"]);
    assert_eq!(told(&two.gus, "vendor-kept-out").await.len(), 1);
    // They are to move out in two days: until then the vendor may come, and not longer.
    let three = shared(&t, &ana, &house, "Flat 3").await;
    let four = shared(&t, &ana, &house, "Flat 4").await;
    let until = ana.in_days(2);
    for (flat, how) in [(&three, "end"), (&four, "change")] {
        let tenancy = ana.tenancy_of(&flat.bea, &flat.flat).await;
        let grant = shown(&ana, &flat.visit).await["grant_id"].clone();
        match how {
            "end" => ana.end_tenancy(&tenancy, json!({ "ends_at": until })).await,
            _ => {
                let term = json!({ "starts_at": tenancy["starts_at"], "ends_at": until });
                ana.change_tenancy(&tenancy, term).await.expect(200)
            }
        };
        let path = format!("/v1/grants/{}", grant.as_str().unwrap());
        assert_eq!(ana.get(&path).await.expect(200)["ends_at"], json!(until), "{how}");
        assert_eq!(kept_out(&ana).await[0]["detail"]["ends_at"], json!(until), "{how}");
        flat.paul.unlock(&flat.door).await.expect_opened();
    }
    // What nobody has to agree to any more, or somebody else agrees to, goes on.
    let five = shared(&t, &ana, &house, "Flat 5").await;
    five.gus.post(&visit_path(&five.visit, "consent")).await.expect(200);
    for person in [&five.bea, &five.gus] {
        let tenancy = ana.tenancy_of(person, &five.flat).await;
        ana.end_tenancy(&tenancy, json!({})).await;
        five.paul.unlock(&five.door).await.expect_opened();
    }
}

async fn a_stay_ends_with_the_last_who_agreed(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = shared(&t, &ana, &house, "Flat 1").await;
    flat.paul.unlock(&flat.door).await.expect_opened();
    assert_eq!(standing(&ana, &flat.visit).await, ["begun", "given"]);
    let tenancy = ana.tenancy_of(&flat.bea, &flat.flat).await;
    ana.end_tenancy(&tenancy, json!({})).await;
    assert_shut_out(&flat.paul.unlock(&flat.door).await);
    assert_eq!(standing(&ana, &flat.visit).await, ["begun", "waiting"]);
    ana.post(&visit_path(&flat.visit, "call"))
        .await
        .expect_problem(409, "consent-missing");
    flat.gus.post(&visit_path(&flat.visit, "consent")).await.expect(200);
    let paul = let_in(&t, &ana, &flat.visit).await;
    paul.unlock(&flat.door).await.expect_opened();
}

async fn an_emergency_outlasts_who_moves(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = shared(&t, &ana, &house, "Flat 1").await;
    let reason = json!({ "reason": "Water comes through the ceiling" });
    ana.post(&visit_path(&flat.visit, "emergency"))
        .json(reason)
        .await
        .expect(200);
    let tenancy = ana.tenancy_of(&flat.bea, &flat.flat).await;
    ana.end_tenancy(&tenancy, json!({})).await;
    flat.paul.unlock(&flat.door).await.expect_opened();
    assert!(kept_out(&ana).await.is_empty());
}

async fn a_lock_that_moves_from_home_to_home_takes_no_vendor_along(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [one, three] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 3").await,
    ];
    let dee = ana.staff("dee", "desk").await;
    let (own, cellar) = (
        ana.add_lock_of(&one, "Flat 1").await,
        ana.add_lock(&house, "Cellar").await,
    );
    let _locks = (own.install().await, cellar.install().await);
    let first = order(&dee, &t, &[&own, &cellar], json!({})).await.expect(201);
    let second = order(&dee, &t, &[&cellar], json!({})).await.expect(201);
    let (paul, petra) = (let_in(&t, &dee, &first).await, let_in(&t, &dee, &second).await);
    // Another name is another name.
    ana.patch(&own.path())
        .json(json!({ "name": "Front" }))
        .await
        .expect(200);
    paul.unlock(&own).await.expect_opened();
    for door in [&own, &cellar] {
        let to = json!({ "unit_id": three.id });
        ana.patch(&door.path()).json(to).await.expect(200);
    }
    let _gus = ana.tenant("gus", &three).await;
    for (vendor, door) in [(&paul, &own), (&petra, &cellar)] {
        assert_shut_out(&vendor.unlock(door).await);
    }
    let written = kept_out(&ana).await;
    assert_eq!(written.len(), 2);
    assert!(
        written.iter().all(|entry| entry["reason"] == "door-moved"),
        "{written:?}"
    );
    assert_eq!(told(&dee, "vendor-kept-out").await.len(), 2);
    for visit in [&first, &second] {
        dee.post(&visit_path(visit, "call"))
            .await
            .expect_problem(409, "visit-door-moved");
    }
}

async fn a_lock_that_is_handed_on_with_its_grants_keeps_vendors_out(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [one, three] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 3").await,
    ];
    let annex = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock_of(&one, "Flat 1").await;
    let _lock = door.install().await;
    let of_guest = ana.grant(&ana.guest("gil").await, &door, json!({})).await;
    for (property, unit) in [(&house, json!(three.id)), (&annex, Value::Null)] {
        let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
        let paul = let_in(&t, &ana, &visit).await;
        let grant = shown(&ana, &visit).await["grant_id"].clone();
        let to = json!({ "property_id": property.id, "unit_id": unit, "keep_grants": true });
        let moved = ana
            .post(&format!("{}/transfer", door.path()))
            .json(to)
            .await
            .expect(200);
        assert_eq!(moved["grants_kept"], json!([of_guest["id"]]));
        assert_eq!(moved["grants_ended"], json!([grant]));
        assert_shut_out(&paul.unlock(&door).await);
        ana.post(&visit_path(&visit, "call"))
            .await
            .expect_problem(409, "visit-door-moved");
    }
}

fn to(person: &Person) -> Value {
    json!({ "person_id": person.id })
}

async fn keys_of_the_house_wait_for_a_tenancy_that_begins_sooner(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 2").await;
    let door = ana.add_lock_of(&flat, "Flat 2").await;
    let lock = door.install().await;
    let (gus, max) = (ana.guest("gus").await, ana.manager("max").await);
    let tenancy = ana
        .tenancy(&gus, &flat, json!({ "starts_at": t.clock.after(48 * HOUR) }))
        .await;
    // Over before anybody lives there: no reason is wanted, and nobody waits.
    let short = json!({ "ends_at": t.clock.after(47 * HOUR) });
    let short = ana.give(&[&door], to(&ana), short).await.expect(201);
    let hour = json!({ "ends_at": t.clock.after(HOUR) });
    let hour = ana.give(&[&door], to(&max), hour).await.expect(201);
    ana.unlock(&door).await.expect_opened();
    max.unlock(&door).await.expect_opened();
    assert!(told(&gus, "staff-access").await.is_empty());

    let sooner = json!({ "starts_at": t.clock.now().to_string() });
    ana.change_tenancy(&tenancy, sooner).await.expect(200);
    // As if it were given now: it begins a day later, and the tenant knows. One that would be over by then has ended.
    let opens_at = ana.unlock(&door).await.expect_refused("not-yet")["opens_at"].clone();
    assert_eq!(opens_at, json!(t.clock.after(24 * HOUR)));
    assert_shut_out(&max.unlock(&door).await);
    let grant = |of: &Value| format!("/v1/grants/{}", of["id"].as_str().unwrap());
    assert!(ana.get(&grant(&hour)).await.expect(200)["revoked_at"].is_string());
    assert_eq!(ana.get(&grant(&short)).await.expect(200)["starts_at"], opens_at);
    let notices = told(&gus, "staff-access").await;
    assert_eq!(notices.len(), 1, "{notices:?}");
    let detail = &notices[0]["detail"];
    assert_eq!(
        (&detail["right"], &detail["person_name"], &detail["starts_at"]),
        (&short["id"], &json!("ana"), &opens_at)
    );
    for (kind, of) in [("grant-changed", &short), ("grant-revoked", &hour)] {
        let written = &ana.list(&format!("/v1/access-log?kind={kind}")).await[0];
        assert_eq!(
            (&written["reason"], &written["grant_id"]),
            (&json!("tenancy-given"), &of["id"])
        );
    }
    t.clock.advance(24 * HOUR);
    ana.sign_in_again().await;
    lock.until_online(&ana, true).await;
    ana.unlock(&door).await.expect_opened();
}

async fn keys_of_the_house_wait_where_somebody_moves_in_at_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flats = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let doors = [
        ana.add_lock_of(&flats[0], "Flat 1").await,
        ana.add_lock_of(&flats[1], "Flat 2").await,
    ];
    let _locks = (doors[0].install().await, doors[1].install().await);
    let mut keys = Vec::new();
    for door in &doors {
        keys.push(ana.give(&[door], to(&ana), json!({})).await.expect(201));
        ana.unlock(door).await.expect_opened();
    }
    // Called off and given anew from now on; and accepted from an invitation.
    let gus = ana.guest("gus").await;
    let later = json!({ "starts_at": t.clock.after(48 * HOUR) });
    let tenancy = ana.tenancy(&gus, &flats[0], later.clone()).await;
    ana.unlock(&doors[0]).await.expect_opened();
    ana.end_tenancy(&tenancy, json!({})).await;
    ana.tenancy(&gus, &flats[0], json!({})).await;
    let tia = ana.tenant("tia", &flats[1]).await;
    for (door, tenant) in doors.iter().zip([&gus, &tia]) {
        let refused = ana.unlock(door).await.expect_refused("not-yet");
        assert_eq!(refused["opens_at"], json!(t.clock.after(24 * HOUR)));
        let notices = told(tenant, "staff-access").await;
        assert_eq!(notices[0]["detail"]["starts_at"], refused["opens_at"]);
    }
    // A guest of the landlord's is none of the house, and what is known a day before needs no wait.
    let flat = ana.add_unit(&house, "Flat 3").await;
    let door = ana.add_lock_of(&flat, "Flat 3").await;
    let _lock = door.install().await;
    let gil = ana.guest("gil").await;
    for person in [&gil, &*ana] {
        ana.give(&[&door], to(person), json!({})).await.expect(201);
    }
    ana.tenancy(&tia, &flat, json!({ "starts_at": t.clock.after(24 * HOUR) }))
        .await;
    for person in [&gil, &*ana] {
        person.unlock(&door).await.expect_opened();
    }
    assert_eq!(told(&tia, "staff-access").await.len(), 2);
}

async fn who_stays_longer_is_told_of_keys_that_were_for_afterwards(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let end = t.clock.after(2 * HOUR);
    let tenancy = ana.tenancy(&gus, &flat, json!({ "ends_at": end })).await;
    let after = json!({ "starts_at": end });
    let key = ana.give(&[&door], to(&ana), after).await.expect(201);
    assert_eq!(key["starts_at"], json!(end));
    let longer = json!({ "starts_at": tenancy["starts_at"], "ends_at": ana.in_days(30) });
    ana.change_tenancy(&tenancy, longer).await.expect(200);
    let path = format!("/v1/grants/{}", key["id"].as_str().unwrap());
    let from = ana.get(&path).await.expect(200)["starts_at"].clone();
    assert_eq!(from, json!(t.clock.after(24 * HOUR)));
    assert_eq!(told(&gus, "staff-access").await[0]["detail"]["starts_at"], from);
    // Who knows of a key is not told again for staying longer still.
    let longer = json!({ "starts_at": tenancy["starts_at"] });
    ana.change_tenancy(&tenancy, longer).await.expect(200);
    assert_eq!(told(&gus, "staff-access").await.len(), 1);
    assert_eq!(ana.get(&path).await.expect(200)["starts_at"], from);
}

async fn a_key_to_more_than_a_home_goes_on_without_it(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let (front, door) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&flat, "Flat 1").await,
    );
    let _locks = (front.install().await, door.install().await);
    ana.give(&[&front, &door], to(&ana), json!({})).await.expect(201);
    ana.unlock(&door).await.expect_opened();
    let gus = ana.tenant("gus", &flat).await;
    let refused = ana.unlock(&door).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    ana.unlock(&front).await.expect_opened();
    assert!(told(&gus, "staff-access").await.is_empty());
}

async fn a_tenancy_of_the_house_is_no_way_to_be_there_first(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    let tenancy = ana
        .tenancy(&gus, &flat, json!({ "starts_at": t.clock.after(HOUR) }))
        .await;
    let own = ana
        .tenancy(&ana, &flat, json!({ "ends_at": t.clock.after(HOUR) }))
        .await;
    let sooner = json!({ "starts_at": t.clock.now().to_string() });
    ana.change_tenancy(&tenancy, sooner.clone())
        .await
        .expect_problem(409, "house-access-stands");
    ana.end_tenancy(&own, json!({})).await;
    ana.change_tenancy(&tenancy, sooner).await.expect(200);
}
