//! Lock-outs: who may ask, what follows by itself, who decides.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait;
use crate::world::{Door, Landlord, Person, Property, Request, TestServer, Unit, house};

on_each_database!(
    nobody_gets_in_who_does_not_live_there,
    of_two_asks_at_once_one_stands,
    the_desk_says_what_it_saw,
    nobody_decides_on_their_own_lockout,
    a_manager_decides_where_the_policy_says_so,
    a_denied_one_is_told_why_and_where_the_key_is,
    what_was_decided_stays,
    one_thing_is_tried_after_the_other,
    nobody_need_approve_where_the_policy_says_so,
    who_has_moved_out_meanwhile_gets_no_way_in,
    a_way_in_at_a_closed_door_ends_with_the_tenancy,
    a_policy_is_decided_by_managers_and_known_to_residents,
    two_nodes_give_a_turn_once,
);

/// A house with a flat, its door, and somebody at the desk.
pub struct Scene {
    pub t: TestServer,
    pub ana: Landlord,
    pub house: Property,
    pub flat: Unit,
    pub door: Door,
    pub tom: Person,
    pub dee: Person,
}

impl Scene {
    pub async fn new(database: &TestDatabase) -> Self {
        let (t, ana, house) = house(database).await;
        let flat = ana.add_unit(&house, "Flat 1").await;
        let door = ana.add_lock_of(&flat, "Flat 1").await;
        Self {
            tom: ana.tenant("tom", &flat).await,
            dee: ana.staff("dee", "desk").await,
            t,
            ana,
            house,
            flat,
            door,
        }
    }

    /// Decides the property's policy.
    pub async fn policy(&self, policy: Value) {
        let path = format!("/v1/properties/{}/lockout-policy", self.house.id);
        self.ana.request("PUT", &path).json(policy).await.expect(200);
    }
}

/// What a housing office has decided, with these members exchanged.
pub fn policy(members: Value) -> Value {
    let text = include_str!("../../../docs/lockout-policies/housing-office.json");
    let mut policy: Value = serde_json::from_str(text).unwrap();
    for (name, value) in members.as_object().unwrap() {
        policy[name] = value.clone();
    }
    policy
}

/// Asks as somebody who is signed in.
pub fn ask(person: &Person, door: &Door) -> Request {
    let body = json!({ "lock_id": door.id, "identity": { "kind": "session" } });
    person.post("/v1/lockouts").json(body)
}

fn path(lockout: &Value, what: &str) -> String {
    format!("/v1/lockouts/{}{what}", lockout["id"].as_str().unwrap())
}

pub fn approve(person: &Person, lockout: &Value) -> Request {
    person.post(&path(lockout, "/approve"))
}

async fn status(person: &Person, lockout: &Value) -> String {
    person.get(&path(lockout, "")).await.text_of("status")
}

/// Waits until the lock-out is so, as timed work makes it.
async fn until_status(person: &Person, lockout: &Value, wanted: &str) {
    wait::until(&format!("the lock-out to be {wanted}"), async || {
        status(person, lockout).await == wanted
    })
    .await;
}

/// The kinds of what the person was told, by their words: what was told in one instant has no order.
pub async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await;
    let kinds = notices.iter().map(|notice| notice["kind"].as_str().unwrap().to_owned());
    // Of moving in everybody is told too.
    let mut kinds: Vec<String> = kinds.filter(|kind| !kind.starts_with("tenancy-")).collect();
    kinds.sort_unstable();
    kinds
}

async fn nobody_gets_in_who_does_not_live_there(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let eve = s.t.landlord("eve").await;
    let gus = s.ana.guest("gus").await;
    s.ana.grant(&gus, &s.door, json!({})).await;
    let next_door = s.ana.add_unit(&s.house, "Flat 2").await;
    let nia = s.ana.tenant("nia", &next_door).await;
    // Who has a grant, who lives next door, who works here: none of them lives behind this door.
    for person in [&gus, &nia, &s.dee, &s.ana] {
        ask(person, &s.door).await.expect_problem(403, "forbidden");
    }
    ask(&eve, &s.door).await.expect_no("lock");
    let refused = s.ana.list("/v1/access-log?kind=lockout-refused").await;
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert!(
        refused
            .iter()
            .all(|entry| entry["reason"] == "no-tenancy" && entry["outcome"] == "refused")
    );
    // A tenant before the day on which they move in, and after the one on which they have moved out.
    let later = json!({ "tenancy": {
        "unit_id": s.flat.id, "starts_at": "2026-03-03T08:00:00Z", "ends_at": "2026-03-04T08:00:00Z",
    } });
    let link = s.ana.invite("lou@people.example", later).await.text_of("secret_link");
    let lou = Person::accept(&s.t.http, "lou", "lou@people.example", &link).await;
    ask(&lou, &s.door).await.expect_problem(403, "forbidden");
    s.t.clock.set("2026-03-03T08:00:00Z");
    lou.sign_in_again().await;
    let lockout = ask(&lou, &s.door).await.expect(201);
    lou.post(&path(&lockout, "/cancel")).await.expect(200);
    s.t.clock.set("2026-03-04T08:00:00Z");
    lou.sign_in_again().await;
    ask(&lou, &s.door).await.expect_problem(403, "forbidden");
    // Next door knows nothing of it.
    nia.sign_in_again().await;
    nia.get(&path(&lockout, "")).await.expect_no("lockout");
    nia.post(&path(&lockout, "/cancel")).await.expect_no("lockout");
}

async fn of_two_asks_at_once_one_stands(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let (one, other) = tokio::join!(ask(&s.tom, &s.door), ask(&s.tom, &s.door));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(one.json["id"], other.json["id"]);
    assert_eq!(one.json["status"], "open");
    // Another who lives there has one of their own.
    let tim = s.ana.tenant("tim", &s.flat).await;
    let his = ask(&tim, &s.door).await.expect(201);
    assert_ne!(his["id"], one.json["id"]);
    s.tom.get(&path(&his, "")).await.expect_no("lockout");
    assert_eq!(s.dee.list("/v1/lockouts?open=true&limit=1").await.len(), 2);
    // Once it is called off, a new one is a new one.
    s.tom.post(&path(&one.json, "/cancel")).await.expect(200);
    let again = ask(&s.tom, &s.door).await.expect(201);
    assert_ne!(again["id"], one.json["id"]);
    assert_eq!(s.dee.list("/v1/lockouts?open=true").await.len(), 2);
    assert_eq!(s.dee.list("/v1/lockouts").await.len(), 3);
}

async fn the_desk_says_what_it_saw(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let tim = s.ana.tenant("tim", &s.flat).await;
    let by_desk = |person: &Person, saw: Value| {
        let identity = json!({ "kind": "desk", "person_id": person.id, "saw": saw });
        s.dee
            .post("/v1/lockouts")
            .json(json!({ "lock_id": s.door.id, "identity": identity }))
    };
    let lockout = by_desk(&s.tom, "passport, photo matches".into()).await.expect(201);
    assert_eq!(
        (&lockout["identity"], &lockout["saw"]),
        (&json!("desk"), &json!("passport, photo matches"))
    );
    let entry = &s.ana.list("/v1/access-log?kind=lockout-asked").await[0];
    assert_eq!(
        (&entry["person_id"], &entry["actor_id"]),
        (&json!(s.tom.id), &json!(s.dee.id))
    );
    assert_eq!(entry["detail"]["saw"], "passport, photo matches");
    // Both who live there know; of what was seen only the desk.
    for person in [&s.tom, &tim] {
        assert_eq!(told(person).await, ["lockout-asked"], "{}", person.name);
    }
    assert_eq!(s.tom.get(&path(&lockout, "")).await.expect(200)["saw"], Value::Null);
    let approved = approve(&s.dee, &lockout).await.expect(200);
    assert_eq!(
        (&approved["status"], &approved["decided_by"]),
        (&json!("approved"), &json!(s.dee.id))
    );
    assert_eq!(approved["ends_at"], s.t.clock.after(Duration::from_secs(15 * 60)));
    assert_eq!(told(&tim).await, ["lockout-approved", "lockout-asked"]);
    // It hangs under the tenancy, at the tenant's own door: theirs to see.
    let grant = s
        .tom
        .get(&format!("/v1/grants/{}", approved["grant_id"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!((&grant["person_id"], &grant["uses"]), (&json!(s.tom.id), &json!(1)));
    assert_eq!(
        (&grant["lock_ids"], &grant["ways"]),
        (&json!([s.door.id]), &json!(["app"]))
    );
    // Not used in time, it is over, and costs nothing.
    s.t.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(status(&s.dee, &lockout).await, "unused");
    assert_eq!(s.dee.list("/v1/ledger").await, Vec::<Value>::new());
    // What makes no sense.
    by_desk(&s.tom, "".into()).await.expect_invalid("identity.saw");
    by_desk(&s.tom, Value::Null).await.expect_invalid("identity");
    let nobody = json!({ "kind": "desk", "person_id": s.house.id, "saw": "x" });
    let body = json!({ "lock_id": s.door.id, "identity": nobody });
    s.dee
        .post("/v1/lockouts")
        .json(body)
        .await
        .expect_invalid("identity.person_id");
    let eve = s.t.landlord("eve").await;
    by_desk(&eve, "x".into()).await.expect_no("person");
    let pretends = json!({ "kind": "desk", "person_id": s.tom.id, "saw": "myself" });
    let body = json!({ "lock_id": s.door.id, "identity": pretends });
    s.tom
        .post("/v1/lockouts")
        .json(body)
        .await
        .expect_problem(403, "forbidden");
}

async fn nobody_decides_on_their_own_lockout(database: TestDatabase) {
    let s = Scene::new(&database).await;
    // Somebody of the desk who lives in the house, and so is its tenant.
    let flat = s.ana.add_unit(&s.house, "Flat 2").await;
    let door = s.ana.add_lock_of(&flat, "Flat 2").await;
    let offer = json!({ "tenancy": { "unit_id": flat.id, "starts_at": "2026-03-02T08:00:00Z" } });
    let link = s.ana.invite(&s.dee.email, offer).await.text_of("secret_link");
    Person::accept(&s.t.http, "dee", &s.dee.email, &link).await;
    let lockout = ask(&s.dee, &door).await.expect(201);
    approve(&s.dee, &lockout).await.expect_problem(409, "own-lockout");
    let deny = json!({ "reason": "just so" });
    s.dee
        .post(&path(&lockout, "/deny"))
        .json(deny)
        .await
        .expect_problem(409, "own-lockout");
    let vouches = json!({ "kind": "desk", "person_id": s.dee.id, "saw": "my mirror" });
    let body = json!({ "lock_id": door.id, "identity": vouches });
    s.dee
        .post("/v1/lockouts")
        .json(body)
        .await
        .expect_problem(409, "own-lockout");
    // A guest and the tenant cannot decide at all.
    approve(&s.tom, &lockout).await.expect_problem(403, "forbidden");
    let other = s.ana.staff("don", "desk").await;
    assert_eq!(approve(&other, &lockout).await.expect(200)["status"], "approved");
}

async fn a_manager_decides_where_the_policy_says_so(database: TestDatabase) {
    let s = Scene::new(&database).await;
    s.policy(policy(json!({
        "approval": { "by": "manager", "wait_minutes": 45, "then": "refuse" }, "first": [],
    })))
    .await;
    let lockout = ask(&s.tom, &s.door).await.expect(201);
    assert_eq!(lockout["approval_by"], "manager");
    approve(&s.dee, &lockout).await.expect_problem(403, "forbidden");
    assert_eq!(told(&s.ana).await, ["lockout-help-wanted"]);
    assert_eq!(told(&s.dee).await, Vec::<String>::new());
    assert_eq!(approve(&s.ana, &lockout).await.expect(200)["status"], "approved");
}

async fn a_denied_one_is_told_why_and_where_the_key_is(database: TestDatabase) {
    let s = Scene::new(&database).await;
    s.policy(policy(json!({}))).await;
    let lockout = ask(&s.tom, &s.door).await.expect(201);
    assert_eq!(lockout["mechanical_key"], Value::Null);
    let deny = |why: &str| s.dee.post(&path(&lockout, "/deny")).json(json!({ "reason": why }));
    deny("").await.expect_invalid("reason");
    deny("the photo is of somebody else").await.expect(200);
    let shown = s.tom.get(&path(&lockout, "")).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["why"]),
        (&json!("denied"), &json!("the photo is of somebody else"))
    );
    assert_eq!(shown["mechanical_key"], "The housing office keeps one; show your card");
    // Who said no is between the desk and its log.
    assert_eq!(shown["decided_by"], Value::Null);
    assert_eq!(told(&s.tom).await, ["lockout-asked", "lockout-denied"]);
    let entry = &s.ana.list("/v1/access-log?kind=lockout-denied").await[0];
    assert_eq!(
        (&entry["actor_id"], &entry["outcome"]),
        (&json!(s.dee.id), &json!("refused"))
    );
}

async fn what_was_decided_stays(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let lockout = ask(&s.tom, &s.door).await.expect(201);
    let deny = || s.dee.post(&path(&lockout, "/deny")).json(json!({ "reason": "no" }));
    // Two who decide at once: one has decided.
    let (yes, no) = tokio::join!(approve(&s.ana, &lockout), deny());
    let mut statuses = [yes.status, no.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", yes.text, no.text);
    approve(&s.ana, &lockout).await.expect_problem(409, "lockout-decided");
    deny().await.expect_problem(409, "lockout-decided");
    s.tom
        .post(&path(&lockout, "/cancel"))
        .await
        .expect_problem(409, "lockout-decided");
    let eve = s.t.landlord("eve").await;
    approve(&eve, &lockout).await.expect_no("lockout");
}

async fn one_thing_is_tried_after_the_other(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let ole = s.ana.staff("ole", "desk").await;
    s.policy(policy(json!({
        "approval": { "by": "desk", "wait_minutes": 30, "then": "refuse" },
        "first": [
            { "try": "spare-key", "minutes": 5 },
            { "try": "office", "minutes": 5 },
            { "try": "on-call", "minutes": 5, "person_id": ole.id },
            { "try": "locksmith", "minutes": 5, "call": "+43 1 555 0100" },
        ],
    })))
    .await;
    let lockout = ask(&s.tom, &s.door).await.expect(201);
    assert_eq!(
        (&lockout["now_trying"], &lockout["call"]),
        (&json!("spare-key"), &Value::Null)
    );
    assert_eq!(lockout["next_at"], s.t.clock.after(Duration::from_secs(300)));
    assert_eq!(told(&s.dee).await, Vec::<String>::new());
    let steps = [
        ("office", Value::Null),
        ("on-call", Value::Null),
        ("locksmith", json!("+43 1 555 0100")),
    ];
    for (step, call) in steps {
        s.t.clock.advance(Duration::from_secs(300));
        wait::until(&format!("the turn of {step}"), async || {
            s.tom.get(&path(&lockout, "")).await.expect(200)["now_trying"] == step
        })
        .await;
        assert_eq!(s.tom.get(&path(&lockout, "")).await.expect(200)["call"], call, "{step}");
    }
    // The office was told, and Ole twice: once as the office.
    assert_eq!(told(&s.dee).await.len(), 1);
    assert_eq!(told(&ole).await.len(), 2);
    s.t.clock.advance(Duration::from_secs(900));
    until_status(&s.tom, &lockout, "lapsed").await;
    assert_eq!(told(&s.tom).await, ["lockout-asked", "lockout-lapsed"]);
    approve(&s.dee, &lockout).await.expect_problem(409, "lockout-decided");
    // Each step once, in their order; the one with nobody to tell says so.
    let log = s.ana.list("/v1/access-log?kind=lockout-step").await;
    let steps: Vec<_> = (log.iter().rev())
        .map(|entry| (entry["reason"].clone(), entry["outcome"].clone()))
        .collect();
    let expected = [
        ("spare-key", "failed"),
        ("office", "ok"),
        ("on-call", "ok"),
        ("locksmith", "ok"),
    ];
    assert_eq!(steps, expected.map(|(step, outcome)| (json!(step), json!(outcome))));
}

async fn nobody_need_approve_where_the_policy_says_so(database: TestDatabase) {
    let s = Scene::new(&database).await;
    s.policy(policy(json!({ "approval": { "by": "nobody" }, "first": [] })))
        .await;
    let at_once = ask(&s.tom, &s.door).await.expect(201);
    assert_eq!(
        (&at_once["status"], &at_once["decided_by"]),
        (&json!("approved"), &Value::Null)
    );
    // While it works, it is the one.
    let same = ask(&s.tom, &s.door).await.expect(200);
    assert_eq!(same["grant_id"], at_once["grant_id"]);
    // Where something is tried first, that is waited for.
    let text = include_str!("../../../docs/lockout-policies/first-one-free.json");
    s.policy(serde_json::from_str(text).unwrap()).await;
    let tim = s.ana.tenant("tim", &s.flat).await;
    let waits = ask(&tim, &s.door).await.expect(201);
    assert_eq!(waits["status"], "open");
    s.t.clock.advance(Duration::from_secs(900));
    until_status(&tim, &waits, "approved").await;
    assert_eq!(told(&tim).await, ["lockout-approved", "lockout-asked"]);
}

async fn who_has_moved_out_meanwhile_gets_no_way_in(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let offer = json!({ "tenancy": {
        "unit_id": s.flat.id, "starts_at": "2026-03-02T08:00:00Z", "ends_at": "2026-03-02T08:10:00Z",
    } });
    let link = s.ana.invite("lou@people.example", offer).await.text_of("secret_link");
    let lou = Person::accept(&s.t.http, "lou", "lou@people.example", &link).await;
    let early = ask(&lou, &s.door).await.expect(201);
    // The way in ends with the tenancy.
    let approved = approve(&s.dee, &early).await.expect(200);
    assert_eq!(approved["ends_at"], "2026-03-02T08:10:00.000Z");
    let other = s.ana.add_lock_of(&s.flat, "Balcony").await;
    let late = ask(&lou, &other).await.expect(201);
    s.t.clock.set("2026-03-02T08:10:00Z");
    assert_eq!(approve(&s.dee, &late).await.expect(200)["status"], "lapsed");
    let entry = &s.ana.list("/v1/access-log?kind=lockout-lapsed").await[0];
    assert_eq!(entry["reason"], "no-tenancy");
    // Who was put out has nothing to ask for, and sees nothing.
    let tims = ask(&s.tom, &s.door).await.expect(201);
    s.ana
        .delete(&format!(
            "/v1/organizations/{}/members/{}",
            s.ana.organization, s.tom.id
        ))
        .await
        .expect(200);
    assert_eq!(approve(&s.dee, &tims).await.expect(200)["status"], "lapsed");
}

async fn a_policy_is_decided_by_managers_and_known_to_residents(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let path = format!("/v1/properties/{}/lockout-policy", s.house.id);
    let undecided = s.tom.get(&path).await.expect(200);
    assert_eq!(
        (&undecided["approval"]["by"], &undecided["decided_at"]),
        (&json!("desk"), &Value::Null)
    );
    for name in ["housing-office", "apartment-manager", "first-one-free"] {
        let file = format!("{}/docs/lockout-policies/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).unwrap();
        let policy: Value = serde_json::from_str(&text).unwrap();
        let decided = s.ana.request("PUT", &path).json(policy.clone()).await.expect(200);
        let shown = s.tom.get(&path).await.expect(200);
        assert_eq!(shown, decided);
        for (member, value) in policy.as_object().unwrap() {
            assert_eq!(&shown[member], value, "{name}: {member}");
        }
        assert_eq!(shown["decided_by"], s.ana.id);
    }
    let gus = s.ana.guest("gus").await;
    gus.get(&path).await.expect_problem(403, "forbidden");
    s.dee
        .request("PUT", &path)
        .json(policy(json!({})))
        .await
        .expect_problem(403, "forbidden");
    // Only who sits at the desk can be on call.
    let on_call = json!([{ "try": "on-call", "minutes": 5, "person_id": gus.id }]);
    let wrong = policy(json!({ "first": on_call }));
    s.ana.request("PUT", &path).json(wrong).await.expect_invalid("first");
    for (members, field) in [
        (json!({ "free": -1 }), "free"),
        (json!({ "currency": "DOLLARS" }), "currency"),
        (json!({ "period": { "of": "months", "months": 5 } }), "period"),
        (json!({ "fee": 1.5 }), "fee"),
        (json!({ "colour": 1 }), "colour"),
    ] {
        s.ana
            .request("PUT", &path)
            .json(policy(members))
            .await
            .expect_invalid(field);
    }
    assert_eq!(s.ana.list("/v1/access-log?kind=lockout-policy-set").await.len(), 3);
}

async fn two_nodes_give_a_turn_once(database: TestDatabase) {
    let s = Scene::new(&database).await;
    s.policy(policy(
        json!({ "first": [{ "try": "spare-key", "minutes": 5 }, { "try": "office", "minutes": 5 }] }),
    ))
    .await;
    let lockout = ask(&s.tom, &s.door).await.expect(201);
    s.t.clock.advance(Duration::from_secs(300));
    let app = s.t.app();
    let rounds = tokio::join!(app.turn_lockouts(), app.turn_lockouts(), app.turn_lockouts());
    rounds.0.unwrap();
    rounds.1.unwrap();
    rounds.2.unwrap();
    assert_eq!(s.tom.get(&path(&lockout, "")).await.expect(200)["now_trying"], "office");
    assert_eq!(told(&s.dee).await, ["lockout-help-wanted"]);
    assert_eq!(s.ana.list("/v1/access-log?kind=lockout-step").await.len(), 2);
}

async fn a_way_in_at_a_closed_door_ends_with_the_tenancy(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let front = s.ana.add_lock(&s.house, "Front door").await;
    s.ana
        .request("PATCH", &front.path())
        .json(json!({ "shareable": false }))
        .await
        .expect(200);
    let lockout = ask(&s.tom, &front).await.expect(201);
    let approved = approve(&s.dee, &lockout).await.expect(200);
    s.tom.post(&path(&lockout, "/way-in")).await.expect(201);
    let tenancy = s.ana.tenancy_of(&s.tom, &s.flat).await;
    let ended = s.ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(ended["grants_left"], json!([]));
    let grant = format!("/v1/grants/{}", approved["grant_id"].as_str().unwrap());
    assert_eq!(s.ana.get(&grant).await.expect(200)["revoked_at"], ended["ends_at"]);
}
