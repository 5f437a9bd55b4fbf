//! What is kept and for how long, what people take along, and what they erase.

use std::time::Duration;

use serde_json::{Value, json};

use super::visits::order;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, Landlord, PASSWORD, Person, Property, TestServer, house};

on_each_database!(
    after_its_time_nothing_is_left_of_an_entry,
    a_property_keeps_longer_what_is_recorded_from_then_on,
    an_entry_without_a_door_goes_with_its_property,
    who_came_and_what_was_seen_and_proposed_is_forgotten_with_its_property,
    everybody_takes_along_what_is_theirs,
    an_account_is_erased_with_what_is_its_own,
    an_account_that_is_needed_is_not_erased,
);

const DAY: u64 = 24 * 3600;

/// Whether the text stands anywhere in the database.
fn holds(database: &TestDatabase, text: &str) -> bool {
    database
        .dump()
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Forgets until the text is gone: a reader may stand in the way of emptying SQLite's log for a moment.
async fn until_gone(t: &TestServer, database: &TestDatabase, text: &str) {
    until("it to be forgotten", async || {
        t.app().forget_records().await.unwrap();
        !holds(database, text)
    })
    .await;
}

fn seqs(log: &[Value]) -> Vec<i64> {
    log.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

async fn after_its_time_nothing_is_left_of_an_entry(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let [front, own] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&flat, "Flat 1").await,
    ];
    let locks = [front.install().await, own.install().await];
    let tom = ana.tenant("tom", &flat).await;
    let mut attempts = Vec::new();
    for door in [&front, &own] {
        attempts.push(
            tom.unlock(door).await.expect_opened()["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let look = json!({
        "unit_id": flat.id, "from": "2026-03-02T07:00:00Z", "to": "2026-03-02T08:00:00Z",
        "reason": "Curiosity killed the cat", "minutes": 5,
    });
    ana.post("/v1/looks").json(look).await.expect(201);
    for lock in &locks {
        lock.until_settled().await;
    }
    let mut before = ana.log().await;
    before.reverse();

    t.clock.advance(Duration::from_secs(90 * DAY));
    t.app().forget_records().await.unwrap();
    assert!(
        attempts.iter().all(|attempt| holds(&database, attempt)),
        "the last day is not over"
    );
    t.clock.advance(Duration::from_secs(DAY));
    for text in attempts
        .iter()
        .map(String::as_str)
        .chain(["Curiosity killed the cat", "look-opened"])
    {
        until_gone(&t, &database, text).await;
    }
    // Their numbers and the day are left.
    ana.sign_in_again().await;
    tom.sign_in_again().await;
    let mut after = ana.log().await;
    after.reverse();
    let numbers = seqs(&before);
    let old: Vec<Value> = after
        .into_iter()
        .filter(|entry| numbers.contains(&entry["seq"].as_i64().unwrap()))
        .collect();
    assert_eq!(seqs(&old), numbers);
    for entry in &old {
        assert_eq!(entry["kind"], "forgotten", "{entry}");
        assert_eq!(entry["recorded_at"], "2026-03-02T00:00:00.000Z", "{entry}");
        assert_eq!(entry["occurred_at"], entry["recorded_at"], "{entry}");
        for member in [
            "lock_id",
            "unit_id",
            "property_id",
            "person_id",
            "actor_id",
            "attempt_id",
            "detail",
            "reason",
        ] {
            assert!(entry[member].is_null(), "{member}: {entry}");
        }
    }
    let file = ana.get("/v1/access-log/export?format=jsonl").await.text;
    assert!(!attempts.iter().any(|attempt| file.contains(attempt)), "{file}");
    for attempt in &attempts {
        tom.get(&format!("/v1/attempts/{attempt}")).await.expect_no("attempt");
    }
    assert_eq!(tom.list("/v1/me/looks").await, Vec::<Value>::new());
    assert_eq!(tom.list("/v1/me/notices").await, Vec::<Value>::new());
    // The locks' chains go on over what is forgotten.
    for (lock, door) in locks.iter().zip([&front, &own]) {
        lock.until_online(&ana, true).await;
        tom.unlock(door).await.expect_opened();
        lock.until_settled().await;
    }
    assert_eq!(ana.list("/v1/access-log?kind=alarm").await, Vec::<Value>::new());
    assert_eq!(t.app().forget_records().await.unwrap(), 0, "what is new stays");
}

async fn a_property_keeps_longer_what_is_recorded_from_then_on(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let [here, there] = [ana.add_lock(&house, "Here").await, ana.add_lock(&annex, "There").await];
    let gus = ana.guest("gus").await;
    let ask = async |door: &Door| {
        let refused = gus.unlock(door).await.expect_refused("no-access");
        refused["attempt_id"].as_str().unwrap().to_owned()
    };
    let promised = ask(&there).await;
    t.clock.advance(Duration::from_secs(1));
    let rule = json!({ "own_doors": "private", "retention_days": 365, "retention_reason": "A trial at court" });
    let path = format!("/v1/properties/{}/privacy", annex.id);
    ana.request("PUT", &path).json(rule).await.expect(200);
    let (usual, longer) = (ask(&here).await, ask(&there).await);
    t.clock.advance(Duration::from_secs(91 * DAY));
    // What was recorded under the shorter time goes by that one.
    for attempt in [&usual, &promised] {
        until_gone(&t, &database, attempt).await;
    }
    assert!(holds(&database, &longer));
    ana.sign_in_again().await;
    let kept = ana.list(&format!("/v1/access-log?property_id={}", annex.id)).await;
    assert!(
        kept.iter().any(|entry| entry["attempt_id"] == longer.as_str()),
        "{kept:?}"
    );
    // Less is kept at once.
    let rule = json!({ "own_doors": "private", "retention_days": 30 });
    ana.request("PUT", &path).json(rule).await.expect(200);
    until_gone(&t, &database, &longer).await;
}

/// Keeps what happens in the property for so many days.
async fn keep_for(ana: &Landlord, property: &Property, days: u64) {
    let mut rule = json!({ "own_doors": "private", "retention_days": days });
    if days > 90 {
        rule["retention_reason"] = "A trial at court".into();
    }
    let path = format!("/v1/properties/{}/privacy", property.id);
    ana.request("PUT", &path).json(rule).await.expect(200);
}

/// What the kinds of the log's entries within no property, or within this one, are.
async fn kinds(ana: &Landlord, property: Option<&Property>) -> Vec<String> {
    let log = ana.log().await;
    let within = log
        .iter()
        .filter(|entry| entry["property_id"] == json!(property.map(|property| &property.id)));
    within.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

async fn an_entry_without_a_door_goes_with_its_property(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let [front, cellar, there] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
        ana.add_lock(&annex, "There").await,
    ];
    keep_for(&ana, &house, 7).await;
    keep_for(&ana, &annex, 365).await;
    t.clock.advance(Duration::from_secs(1));
    let tom = ana.tenant("tom", &flat).await;
    let to = json!({ "guest": { "name": "Gus" } });
    let given = ana
        .give(&[&front, &cellar], to, json!({ "ends_at": ana.in_days(30) }))
        .await
        .expect(201);
    ana.link(&given, json!({})).await;
    let both = ana
        .give(&[&front, &there], json!({ "person_id": tom.id }), json!({}))
        .await
        .expect(201);
    let ours = kinds(&ana, Some(&house)).await;
    for kind in ["person-invited", "person-joined", "grant-given", "link-made"] {
        assert!(ours.iter().any(|found| found == kind), "{kind}: {ours:?}");
    }
    t.clock.advance(Duration::from_secs(8 * DAY));
    ana.sign_in_again().await;
    t.app().forget_records().await.unwrap();
    assert!(
        kinds(&ana, Some(&house)).await.iter().all(|kind| !ours.contains(kind)),
        "its time is over"
    );
    // What is about two properties goes by the usual time.
    let grants = format!("/v1/access-log?kind=grant-given&person_id={}", tom.id);
    assert_eq!(ana.list(&grants).await[0]["grant_id"], both["id"]);
}

async fn who_came_and_what_was_seen_and_proposed_is_forgotten_with_its_property(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let [front, own] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&flat, "Flat 1").await,
    ];
    let [cellar, roof] = [ana.add_lock(&house, "Cellar").await, ana.add_lock(&house, "Roof").await];
    let max = ana.manager("max").await;
    let (tom, dee) = (ana.tenant("tom", &flat).await, ana.staff("dee", "desk").await);
    keep_for(&ana, &house, 7).await;
    // A visit that nobody comes to, past those who live there.
    let emergency = json!({
        "vendor": { "name": "Paulus Plumb", "company": "Pipes and Sons", "phone": "+43 1 234 5678" },
        "purpose": "The sink leaks", "emergency": { "reason": "Water in the cellar" },
    });
    let visit = order(&ana, &t, &[&own], emergency).await.expect(201);
    let visit = format!("/v1/visits/{}", visit["id"].as_str().unwrap());
    // A lock-out at the desk, and it says no.
    let identity = json!({ "kind": "desk", "person_id": tom.id, "saw": "A passport of 1999" });
    let lockout = json!({ "lock_id": own.id, "identity": identity });
    let lockout = dee.post("/v1/lockouts").json(lockout).await.expect(201);
    let lockout = format!("/v1/lockouts/{}", lockout["id"].as_str().unwrap());
    let deny = json!({ "reason": "The photo is of somebody else" });
    dee.post(&format!("{lockout}/deny")).json(deny).await.expect(200);
    // Access to the whole house, for which nobody is found in time; and one that is refused.
    let rules =
        json!({ "two_person": { "whole_property_grants": true, "lockdown": false }, "self_grant_delay_hours": 24 });
    let path = format!("/v1/organizations/{}/rules", ana.organization);
    ana.request("PUT", &path).json(rules).await.expect(200);
    let mut proposals = Vec::new();
    for email in ["paula@people.example", "pia@people.example"] {
        let proposed = max
            .give(&[&front, &own, &cellar, &roof], json!({ "email": email }), json!({}))
            .await
            .expect(202);
        proposals.push(proposed["proposal_id"].as_str().unwrap().to_owned());
    }
    ana.post(&format!("/v1/proposals/{}/refuse", proposals[1]))
        .await
        .expect(200);

    t.clock.advance(Duration::from_secs(DAY));
    ana.sign_in_again().await;
    until("the end of the visit to be written down", async || {
        !ana.list("/v1/access-log?kind=visit-ended").await.is_empty()
    })
    .await;
    t.app().forget_records().await.unwrap();
    let texts = [
        "Paulus Plumb",
        "Pipes and Sons",
        "+4312345678",
        "The sink leaks",
        "Water in the cellar",
        "A passport of 1999",
        "The photo is of somebody else",
        "paula@people.example",
        "pia@people.example",
    ];
    for text in texts {
        assert!(holds(&database, text), "{text}");
    }
    t.clock.advance(Duration::from_secs(91 * DAY));
    for text in texts {
        until_gone(&t, &database, text).await;
    }
    // What became of them stays.
    for person in [&*ana, &dee] {
        person.sign_in_again().await;
    }
    let kept = ana.get(&visit).await.expect(200);
    assert_eq!(
        (&kept["vendor"], &kept["purpose"], &kept["emergency"]["reason"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&kept["emergency"]["by"], &kept["lock_ids"]),
        (&json!(ana.id), &json!([own.id]))
    );
    let kept = dee.get(&lockout).await.expect(200);
    assert_eq!(
        (&kept["identity"], &kept["status"], &kept["saw"], &kept["why"]),
        (&json!("desk"), &json!("denied"), &Value::Null, &Value::Null)
    );
    assert_eq!(kept["decided_by"], json!(dee.id));
    let mut kept = ana.list("/v1/proposals").await;
    kept.sort_by_key(|proposal| proposals.iter().position(|id| proposal["id"] == id.as_str()));
    let told: Vec<_> = kept
        .iter()
        .map(|proposal| (&proposal["status"], &proposal["body"]))
        .collect();
    assert_eq!(told, [(&json!("expired"), &json!({})), (&json!("refused"), &json!({}))]);
    assert_eq!(t.app().forget_records().await.unwrap(), 0, "nothing is forgotten twice");
}

/// The lines of the person's own file that are of this kind.
async fn own_lines(person: &Person, what: &str) -> Vec<Value> {
    let file = person.get("/v1/me/export").await;
    assert_eq!(file.header("content-type"), "application/jsonl");
    let lines = file
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["what"] == what).collect()
}

async fn everybody_takes_along_what_is_theirs(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let front = ana.add_lock(&house, "Front door").await;
    let (tom, mia) = (ana.tenant("tom", &flat).await, ana.tenant("mia", &flat).await);
    ana.grant(&tom, &front, json!({})).await;
    let phone = tom.phone().await;
    tom.unlock(&front).await.expect_refused("lock-not-in-service");
    mia.unlock(&front).await.expect_refused("lock-not-in-service");
    t.clock.advance(Duration::from_secs(1));
    let look = json!({
        "unit_id": flat.id, "from": "2026-03-02T07:59:59Z", "to": t.clock.after(Duration::ZERO),
        "reason": "Curiosity killed the cat", "minutes": 5,
    });
    ana.post("/v1/looks").json(look).await.expect(201);

    assert_eq!(own_lines(&tom, "account").await[0]["email"], tom.email);
    assert_eq!(own_lines(&tom, "tenancy").await[0]["unit_id"], flat.id);
    assert_eq!(own_lines(&tom, "grant-held").await[0]["person_id"], tom.id);
    assert_eq!(own_lines(&tom, "phone").await[0]["id"], phone.id);
    assert_eq!(own_lines(&tom, "look").await[0]["reason"], "Curiosity killed the cat");
    let told = own_lines(&tom, "notice").await;
    assert!(told.iter().any(|notice| notice["kind"] == "look-opened"), "{told:?}");
    let entries = own_lines(&tom, "log-entry").await;
    assert!(
        entries.iter().any(|entry| entry["kind"] == "unlock-requested"),
        "{entries:?}"
    );
    assert!(
        entries.iter().all(|entry| entry["person_id"] == tom.id.as_str()),
        "{entries:?}"
    );
    assert_eq!(own_lines(&ana, "grant-given").await.len(), 1);
    let eve = t.landlord("eve").await;
    assert_eq!(own_lines(&eve, "log-entry").await, Vec::<Value>::new());
    // What was theirs is theirs when they have gone.
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&path).await.expect(200);
    tom.sign_in_again().await;
    assert!(own_lines(&tom, "log-entry").await.len() > entries.len());
    assert!(own_lines(&tom, "tenancy").await[0]["ends_at"].is_string());
}

fn erase(person: &Person, password: &str) -> crate::world::Request {
    person.post("/v1/me/erase").json(json!({ "password": password }))
}

async fn sign_in_fails(t: &TestServer, person: &Person) {
    let body = json!({ "email": person.email, "password": PASSWORD });
    t.http
        .post("/v1/auth/sign-in")
        .json(body)
        .await
        .expect_problem(401, "wrong-credentials");
}

async fn an_account_is_erased_with_what_is_its_own(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let [front, own] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&flat, "Flat 1").await,
    ];
    let _locks = [front.install().await, own.install().await];
    let ottokar = ana.tenant("ottokar", &flat).await;
    let at_front = ottokar.unlock(&front).await.expect_opened()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let at_own = ottokar.unlock(&own).await.expect_opened()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, ottokar.id);
    ana.delete(&path).await.expect(200);
    let gundula = ana.guest("gundula").await;
    let grant = ana.grant(&gundula, &front, json!({})).await;
    let phone = gundula.phone().await;
    gundula.pass(&phone, &[&front]).await.expect(200);
    gundula.unlock(&front).await.expect_opened();

    ottokar.sign_in_again().await;
    erase(&ottokar, "not my password")
        .await
        .expect_problem(401, "wrong-credentials");
    for person in [&ottokar, &gundula] {
        assert!(holds(&database, &person.email));
        let erased = erase(person, PASSWORD).await.expect(200);
        assert!(erased["effective_no_later_than"].is_string(), "{erased}");
        person.get("/v1/me").await.expect_problem(401, "unauthenticated");
        sign_in_fails(&t, person).await;
    }
    for text in [&ottokar.email, &gundula.email, &at_own] {
        until_gone(&t, &database, text).await;
    }
    // At the shared door the landlord's log keeps its time, under a name that is nobody's.
    let log = ana.log().await;
    let of_ottokar: Vec<&Value> = log
        .iter()
        .filter(|entry| entry["attempt_id"] == at_front.as_str())
        .collect();
    assert!(!of_ottokar.is_empty(), "{log:?}");
    assert!(
        of_ottokar.iter().all(|entry| entry["person_name"] == "Erased person"),
        "{of_ottokar:?}"
    );
    // That something was forgotten which was hidden before shows as a gap and no more: not on which days somebody came home.
    assert!(log.iter().all(|entry| entry["kind"] != "forgotten"), "{log:?}");
    let erased: Vec<&Value> = log.iter().filter(|entry| entry["kind"] == "person-erased").collect();
    assert_eq!(erased.len(), 1, "who belonged nowhere any more is in nobody's log");
    assert_eq!(erased[0]["person_id"], gundula.id);
    // Access is over.
    let grant = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    assert!(ana.get(&grant).await.expect(200)["revoked_at"].is_string());
    let members = ana
        .list(&format!("/v1/organizations/{}/members", ana.organization))
        .await;
    let is_member = |id: &str| members.iter().any(|member| member["id"] == id);
    assert!(is_member(&ana.id) && !is_member(&gundula.id), "{members:?}");
    // The address is free again, for somebody else.
    let again = ana.guest("gundula").await;
    assert_ne!(again.id, gundula.id);
    assert_eq!(own_lines(&again, "phone").await, Vec::<Value>::new());
}

async fn an_account_that_is_needed_is_not_erased(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let tom = ana.tenant("tom", &flat).await;
    let starts_at = t.clock.after(Duration::from_secs(30 * DAY));
    let tenancy = json!({ "unit_id": flat.id, "starts_at": starts_at });
    let email = "mia@people.example";
    let link = ana
        .invite(email, json!({ "tenancy": tenancy }))
        .await
        .text_of("secret_link");
    let mia = Person::accept(&t.http, "mia", email, &link).await;
    for person in [landlord(&ana), &tom, &mia] {
        erase(person, PASSWORD).await.expect_problem(409, "still-in-use");
        person.get("/v1/me").await.expect(200);
    }
    // A manager is no owner: what they did stays in the log.
    let max = ana.manager("max").await;
    erase(&max, PASSWORD).await.expect(200);
    let joined = ana.list(&format!("/v1/access-log?person_id={}", max.id)).await;
    assert!(
        joined.iter().any(|entry| entry["kind"] == "person-joined"),
        "{joined:?}"
    );
}

fn landlord(ana: &Landlord) -> &Person {
    ana
}
