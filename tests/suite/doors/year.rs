//! A year in a house: people move in and out, come to clean, to help and to repair, lose phones, and are curious.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::visits::{order, visit_path};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, InstalledLock, Landlord, Link, Person, TestServer, Unit, house};

on_each_database!(a_house_lives_through_a_year);

const MINUTE: Duration = Duration::from_secs(60);

/// The house, its people, and the locks in its doors.
struct Year {
    t: TestServer,
    ana: Landlord,
    dee: Person,
    flat: Unit,
    front: Door,
    own: Door,
    locks: Vec<InstalledLock>,
}

impl Year {
    /// It is this time, the locks have been heard of again, and these people have signed in again.
    async fn at(&self, time: &str, people: &[&Person]) {
        self.t.clock.set(time);
        for person in [&*self.ana, &self.dee].into_iter().chain(people.iter().copied()) {
            person.sign_in_again().await;
        }
        for lock in &self.locks {
            lock.until_online(&self.ana, true).await;
        }
    }
}

fn path(thing: &Value, kind: &str, what: &str) -> String {
    format!("/v1/{kind}/{}{what}", thing["id"].as_str().unwrap())
}

async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices?limit=200").await.into_iter();
    notices
        .map(|notice| notice["kind"].as_str().unwrap().to_owned())
        .collect()
}

/// Who came and went at the door, as far as this person may see it.
async fn comings(person: &Person, door: &Door) -> Vec<Value> {
    let entries = person
        .list(&format!("/v1/access-log?limit=200&lock_id={}", door.id))
        .await;
    let moved = |entry: &Value| entry["kind"] == "unlocked" || entry["kind"] == "unlock-requested";
    entries.into_iter().filter(moved).collect()
}

async fn a_house_lives_through_a_year(database: TestDatabase) {
    // March: a house with a front door and a flat, somebody at the desk, and two who move in together.
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let (front, own) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&flat, "Flat 1").await,
    );
    let locks = vec![front.install().await, own.install().await];
    let dee = ana.staff("dee", "desk").await;
    let (tom, tina) = (ana.tenant("tom", &flat).await, ana.guest("tina").await);
    ana.tenancy(&tina, &flat, json!({})).await;
    let mut year = Year {
        t,
        ana,
        dee,
        flat,
        front,
        own,
        locks,
    };
    for (person, door) in [(&tom, &year.front), (&tina, &year.own)] {
        person.unlock(door).await.expect_opened();
    }
    assert!(
        told(&tom).await.contains(&"tenancy-given".to_owned()),
        "whom one lives with is told"
    );

    // A cleaner on Tuesdays, by the clock of the house, over both clock changes.
    let cleo = year.ana.guest("cleo").await;
    let tuesdays = json!({ "weekly": [{ "days": ["tue"], "from": "09:00", "to": "12:00" }] });
    let doors = [&year.front, &year.own];
    let terms = json!({ "starts_at": year.t.clock.after(Duration::ZERO), "schedule": tuesdays });
    let cleaning = tom.lend(&doors, &cleo, terms).await.expect(201);
    assert!(cleaning["under"].as_str().unwrap().starts_with("tenancy_"));
    for (time, opens) in [
        ("2026-03-24T07:59:00Z", false),
        ("2026-03-24T08:00:00Z", true),
        // The clocks have gone forward: nine o'clock is an hour earlier.
        ("2026-03-31T07:00:00Z", true),
        ("2026-03-31T09:59:00Z", true),
        ("2026-03-31T10:00:00Z", false),
        ("2026-04-01T08:00:00Z", false),
    ] {
        year.at(time, &[&cleo]).await;
        let asked = cleo.unlock(&year.own).await;
        if opens {
            asked.expect_opened();
        } else {
            assert!(
                asked.expect_refused("outside-schedule")["opens_at"].is_string(),
                "{time}"
            );
        }
    }

    // April: a friend with the spare key, which opens nothing until somebody who lives there says so.
    let fay = year.ana.guest("fay").await;
    year.at("2026-04-18T20:00:00Z", &[&fay, &tom, &tina]).await;
    let terms = json!({ "starts_at": year.t.clock.after(Duration::ZERO), "spare": true });
    let spare = tom.lend(&[&year.own], &fay, terms).await.expect(201);
    fay.unlock(&year.own).await.expect_refused("spare-not-released");
    let reason = json!({ "reason": "The dog is alone inside" });
    fay.post(&path(&spare, "grants", "/ask")).json(reason).await.expect(200);
    for resident in [&tom, &tina] {
        assert_eq!(told(resident).await[0], "spare-asked");
    }
    let release = path(&spare, "grants", "/release");
    tina.post(&release).json(json!({ "minutes": 30 })).await.expect(200);
    fay.unlock(&year.own).await.expect_opened();
    year.at("2026-04-18T20:30:00Z", &[&fay]).await;
    fay.unlock(&year.own).await.expect_refused("spare-not-released");

    // May, at night: Tom has lost his phone. What was on it opens nothing, and the desk lets him in.
    year.at("2026-05-09T23:30:00Z", &[&tom, &tina]).await;
    let phone = tom.phone().await;
    tom.pass(&phone, &[&year.own]).await.expect(200);
    tom.delete(&format!("/v1/me/phones/{}", phone.id)).await.expect(200);
    tom.pass(&phone, &[&year.own]).await.expect_no("phone");
    let policy = include_str!("../../../docs/lockout-policies/housing-office.json");
    let policy: Value = serde_json::from_str(policy).unwrap();
    let decided = format!("/v1/properties/{}/lockout-policy", house.id);
    year.ana.request("PUT", &decided).json(policy).await.expect(200);
    let ask = json!({ "lock_id": year.own.id, "identity": { "kind": "session" } });
    let lockout = tom.post("/v1/lockouts").json(ask).await.expect(201);
    year.dee.post(&path(&lockout, "lockouts", "/approve")).await.expect(200);
    let way = tom.post(&path(&lockout, "lockouts", "/way-in")).await.expect(201);
    let (browser, _key) = Link::of(&year.t.http, &year.t.clock, way).open().await;
    browser.unlock(&year.own).await.expect_opened();
    assert!(told(&tina).await.contains(&"lockout-approved".to_owned()));
    // It is his first of the semester, and so it costs him nothing, at night too.
    until("the lock-out to be booked", async || {
        !year.dee.list("/v1/ledger").await.is_empty()
    })
    .await;
    let booked = tom.list("/v1/ledger").await;
    assert_eq!(booked.len(), 1, "{booked:?}");
    for (member, value) in [
        ("item", json!("lockout")),
        ("lockout_id", lockout["id"].clone()),
        ("rate", json!("free")),
        ("amount_minor", json!(0)),
        ("currency", json!("USD")),
    ] {
        assert_eq!(booked[0][member], value, "{member}");
    }

    // June: a plumber, whom Tina agrees to, for two hours; the locks of the flat are changed on the way.
    year.at("2026-06-10T08:00:00Z", &[&tom, &tina]).await;
    let doors = [&year.front, &year.own];
    let visit = order(&year.dee, &year.t, &doors, json!({ "lock_change": true }))
        .await
        .expect(201);
    year.dee
        .post(&visit_path(&visit, "call"))
        .await
        .expect_problem(409, "consent-missing");
    tina.post(&visit_path(&visit, "consent")).await.expect(200);
    let called = year.dee.post(&visit_path(&visit, "call")).await.expect(200);
    let said = json!({ "code": called["code"] });
    let way = year
        .dee
        .post(&visit_path(&visit, "verify"))
        .json(said)
        .await
        .expect(200);
    let (paul, _key) = Link::of(&year.t.http, &year.t.clock, way).open().await;
    paul.unlock(&year.own).await.expect_opened();
    let change = year.ana.post(&visit_path(&visit, "lock-change")).await.expect(200);
    let code = change["claims"][0]["claim"]["code"].as_str().unwrap();
    let new = year.own.with_code(code).install().await;
    let mut old = std::mem::replace(&mut year.locks[1], new);
    old.power_off().await;
    year.at("2026-06-10T10:00:00Z", &[&tom]).await;
    assert!(matches!(paul.unlock(&year.own).await.status, 401 | 403));
    tom.unlock(&year.own).await.expect_opened();
    assert!(told(&tom).await.contains(&"lock-change-begun".to_owned()));

    // July: the landlord is curious. She sees who comes to the front door, and nothing of the flat without saying why.
    year.at("2026-07-01T12:00:00Z", &[&tom, &tina]).await;
    let seen = comings(&year.ana, &year.own).await;
    assert!(
        !seen.is_empty() && seen.iter().all(|entry| entry["person_id"] != *tom.id),
        "{seen:?}"
    );
    let look = json!({
        "unit_id": year.flat.id, "from": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z",
        "reason": "Water on the ceiling below", "minutes": 30,
    });
    year.ana.post("/v1/looks").json(look).await.expect(201);
    assert!(
        comings(&year.ana, &year.own)
            .await
            .iter()
            .any(|entry| entry["person_id"] == *tom.id)
    );
    for resident in [&tom, &tina] {
        let looks = resident.list("/v1/me/looks").await;
        assert_eq!(looks[0]["reason"], "Water on the ceiling below");
        assert!(looks[0]["used_at"].is_string());
    }

    // August: gas. Nobody comes in, everybody may go out, and it ends by itself.
    year.at("2026-08-14T15:00:00Z", &[&tom]).await;
    year.ana.lock_down(&house, 60, json!({})).await.expect(201);
    tom.unlock(&year.own).await.expect_refused("lockdown");
    tom.lock(&year.own).await.expect_opened();
    year.at("2026-08-14T16:00:00Z", &[&tom]).await;
    tom.unlock(&year.own).await.expect_opened();

    // October: the clocks go back, and the cleaner comes at nine as ever.
    year.at("2026-10-20T07:00:00Z", &[&cleo]).await;
    cleo.unlock(&year.own).await.expect_opened();
    year.at("2026-10-27T07:59:00Z", &[&cleo]).await;
    cleo.unlock(&year.own).await.expect_refused("outside-schedule");
    year.at("2026-10-27T08:00:00Z", &[&cleo]).await;
    cleo.unlock(&year.own).await.expect_opened();

    // December: both move out while the lock of the flat is away; who comes next moves in at the same minute.
    year.at("2026-12-15T10:00:00Z", &[&tom, &tina, &cleo, &fay]).await;
    let phone = tom.phone().await;
    tom.pass(&phone, &[&year.own]).await.expect(200);
    year.locks[1].disconnect().await;
    year.locks[1].until_online(&year.ana, false).await;
    let nora = year.ana.guest("nora").await;
    for tenant in [&tina, &tom] {
        let tenancy = year.ana.tenancy_of(tenant, &year.flat).await;
        let ended = year.ana.end_tenancy(&tenancy, json!({})).await;
        if tenant.id == tom.id {
            assert_eq!(ended["waiting_for"], json!([year.own.id]), "{ended}");
            assert!(ended["effective_no_later_than"].as_str().unwrap() > year.t.clock.after(60 * MINUTE).as_str());
        }
    }
    year.ana.tenancy(&nora, &year.flat, json!({})).await;
    year.locks[1].connect().await;
    year.locks[1].until_online(&year.ana, true).await;
    for (former, reason) in [
        (&tom, "grant-expired"),
        (&cleo, "grant-revoked"),
        (&fay, "grant-revoked"),
    ] {
        former.unlock(&year.own).await.expect_refused(reason);
    }
    nora.unlock(&year.own).await.expect_opened();
    nora.unlock(&year.front).await.expect_opened();
    let seen = comings(&nora, &year.own).await;
    assert!(
        !seen.is_empty() && seen.iter().all(|entry| entry["person_id"] != *cleo.id),
        "{seen:?}"
    );
}
