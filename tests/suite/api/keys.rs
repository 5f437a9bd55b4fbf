//! Accounts of programs and their API keys: how far each reaches, and when it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::endpoints::{Place, operations};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Landlord, PASSWORD, Request, TestServer, house};

on_each_database!(
    a_key_reaches_what_its_scopes_name_and_nothing_else,
    a_key_is_shown_once_and_ends,
    a_key_dies_with_its_account_and_with_its_maker,
    a_key_is_good_in_one_organization,
    a_program_opens_what_it_was_given_and_the_log_names_who_made_its_key,
    a_program_gives_access_to_people_only,
    each_key_has_a_budget_of_its_own,
    a_request_by_a_key_comes_twice_and_happens_once,
    keys_are_bounded,
);

/// What keys reach: the operation, the scope that it needs, and what it answers to a key with that scope alone.
#[rustfmt::skip]
const REACHED: &[(&str, &str, u16)] = &[
    ("GET /v1/me/locks",                     "unlock",       200),
    ("POST /v1/locks/{lock_id}/unlock",      "unlock",       403),
    ("POST /v1/locks/{lock_id}/lock",        "unlock",       403),
    ("GET /v1/attempts/{attempt_id}",        "unlock",       404),
    ("GET /v1/properties",                   "places:read",  200),
    ("GET /v1/properties/{property_id}",     "places:read",  200),
    ("GET /v1/properties/{property_id}/units", "places:read", 200),
    ("GET /v1/locks",                        "locks:read",   200),
    ("GET /v1/locks/{lock_id}",              "locks:read",   200),
    ("GET /v1/tenancies",                    "grants:read",  200),
    ("GET /v1/tenancies/{tenancy_id}",       "grants:read",  200),
    ("GET /v1/grants",                       "grants:read",  200),
    ("GET /v1/grants/{grant_id}",            "grants:read",  200),
    ("GET /v1/locks/{lock_id}/pins",         "grants:read",  200),
    ("POST /v1/grants",                      "grants:write", 201),
    ("PUT /v1/grants/{grant_id}",            "grants:write", 200),
    ("POST /v1/grants/{grant_id}/pin",       "grants:write", 409),
    ("DELETE /v1/grants/{grant_id}/pin",     "grants:write", 200),
    ("POST /v1/grants/{grant_id}/link",      "grants:write", 201),
    ("DELETE /v1/grants/{grant_id}/link",    "grants:write", 200),
    ("POST /v1/grants/{grant_id}/revoke",    "grants:write", 200),
    ("GET /v1/lockouts",                     "lockouts",     200),
    ("GET /v1/lockouts/{lockout_id}",        "lockouts",     200),
    ("POST /v1/lockouts/{lockout_id}/approve", "lockouts",   200),
    ("POST /v1/lockouts/{lockout_id}/deny",  "lockouts",     200),
    ("GET /v1/visits",                       "visits",       200),
    ("POST /v1/visits",                      "visits",       201),
    ("GET /v1/visits/{visit_id}",            "visits",       200),
    ("POST /v1/visits/{visit_id}/cancel",    "visits",       200),
    ("GET /v1/access-log",                   "log:read",     200),
    ("GET /v1/events",                       "log:read",     200),
    ("GET /v1/access-log/export",            "log:read",     200),
    ("GET /v1/access-log/checkpoint",        "log:read",     200),
    ("GET /v1/access-log/consistency",       "log:read",     200),
    ("GET /v1/access-log/{seq}/proof",       "log:read",     200),
];

const SCOPES: [&str; 8] = [
    "unlock",
    "places:read",
    "locks:read",
    "grants:read",
    "grants:write",
    "log:read",
    "lockouts",
    "visits",
];

fn text(key: &Value) -> &str {
    key["key"].as_str().unwrap()
}

async fn a_key_reaches_what_its_scopes_name_and_nothing_else(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let place = Place::new(&t).await;
    let (owner, _, program) = place.parts();
    let all = owner.key(program, &SCOPES).await;
    for (operation, scope, status) in REACHED.iter().copied() {
        let only = owner.key(program, &[scope]).await;
        let answer = place.ask_showing(operation, text(&only)).await;
        assert_eq!(answer.status, status, "{operation} with {scope}: {}", answer.text);
        let word = answer.json["type"].as_str().unwrap_or_default();
        assert!(
            !word.ends_with(":forbidden") && !word.ends_with(":scope-missing"),
            "{operation}"
        );

        let others: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let others = owner.key(program, &others).await;
        let problem = place.ask_showing(operation, text(&others)).await;
        assert_eq!(
            problem.expect_problem(403, "scope-missing")["scope"],
            scope,
            "{operation}"
        );
        for key in [&only, &others] {
            let path = format!("/v1/service-accounts/{program}/keys/{}", key["id"].as_str().unwrap());
            owner.delete(&path).await.expect(204);
        }
    }
    let document = t.http.get("/openapi.json").await.expect(200);
    let reached: BTreeSet<&str> = REACHED.iter().map(|(operation, ..)| *operation).collect();
    for operation in operations(&document) {
        let (method, path) = operation.split_once(' ').unwrap();
        let described = &document["paths"][path][method.to_lowercase()];
        let is_public = described["security"].is_array();
        if is_public || reached.contains(operation.as_str()) {
            continue;
        }
        let answer = t.http.request(method, path).bearer(text(&all)).await;
        if operation == "GET /v1/me" {
            assert_eq!(answer.expect(200)["memberships"][0]["role"], "service");
        } else {
            answer.expect_problem(403, "forbidden");
        }
    }
}

async fn a_key_is_shown_once_and_ends(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let program = ana.program("Bookings").await;
    let keys = format!("/v1/service-accounts/{program}/keys");
    let made = ana.key(&program, &["visits", "locks:read"]).await;
    assert!(text(&made).starts_with("dwk_") && text(&made).len() == 47, "{made}");
    assert_eq!(made["scopes"], json!(["locks:read", "visits"]));
    let listed = ana.list(&keys).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["key"], &listed[0]["last_used_at"], &listed[0]["created_by"]),
        (&Value::Null, &Value::Null, &json!(ana.id))
    );

    // Its use is noted to the minute.
    let locks = || t.http.get("/v1/locks").bearer(text(&made));
    let mut noted = Vec::new();
    for wait_ms in [0, 59_999, 1] {
        t.clock.advance(Duration::from_millis(wait_ms));
        locks().await.expect(200);
        noted.push(ana.list(&keys).await[0]["last_used_at"].clone());
    }
    assert!(
        noted[0].is_string() && noted[0] == noted[1] && noted[1] != noted[2],
        "{noted:?}"
    );

    // Over, void and unknown are one and the same to whoever shows it.
    let void = ana.key(&program, &["locks:read"]).await;
    let of_void = format!("{keys}/{}", void["id"].as_str().unwrap());
    for _ in 0..2 {
        ana.delete(&of_void).await.expect(204);
    }
    assert_eq!(ana.list("/v1/access-log?kind=key-revoked").await.len(), 1);
    assert_eq!(ana.list(&keys).await.len(), 1);
    t.clock.advance(Duration::from_secs(30 * 24 * 3600));
    ana.sign_in_again().await;
    let unknown = format!("dwk_{}", "A".repeat(43));
    let mut refusals = BTreeSet::new();
    for shown in [text(&made), text(&void), &unknown, "dwk_short"] {
        let answer = t.http.get("/v1/locks").bearer(shown).await;
        refusals.insert(answer.text.clone());
        answer.expect_problem(401, "unauthenticated");
    }
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    ana.delete(&format!("{keys}/{}", made["id"].as_str().unwrap()))
        .await
        .expect(204);

    let eve = t.landlord("eve").await;
    eve.delete(&of_void).await.expect_no("person");
    let other = ana.program("Doorbell").await;
    let path = format!("/v1/service-accounts/{other}/keys/{}", void["id"].as_str().unwrap());
    ana.delete(&path).await.expect_no("key");
}

async fn a_key_dies_with_its_account_and_with_its_maker(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (max, mia, eva) = (
        ana.manager("max").await,
        ana.manager("mia").await,
        ana.manager("eva").await,
    );
    let (first, second) = (ana.program("Bookings").await, ana.program("Doorbell").await);
    let of_ana = ana.key(&first, &["locks:read"]).await;
    let of_max = max.key(&first, &["locks:read"]).await;
    let of_mia = mia.key(&first, &["locks:read"]).await;
    let of_eva = eva.key(&first, &["locks:read"]).await;
    let other = ana.key(&second, &["locks:read"]).await;
    let ask = |key: &Value| t.http.get("/v1/locks").bearer(text(key));
    for key in [&of_ana, &of_max, &of_mia, &of_eva, &other] {
        ask(key).await.expect(200);
    }
    let member = |id: &str| format!("/v1/organizations/{}/members/{id}", ana.organization);

    ana.change_role(&max, "viewer").await.expect(200);
    ask(&of_max).await.expect_problem(401, "unauthenticated");
    ana.delete(&member(&mia.id)).await.expect(200);
    ask(&of_mia).await.expect_problem(401, "unauthenticated");
    eva.post("/v1/me/erase")
        .json(json!({ "password": PASSWORD }))
        .await
        .expect(200);
    ask(&of_eva).await.expect_problem(401, "unauthenticated");
    ask(&of_ana).await.expect(200);
    ana.delete(&member(&first)).await.expect(200);
    ask(&of_ana).await.expect_problem(401, "unauthenticated");
    ask(&other).await.expect(200);

    let ended = ana.list("/v1/access-log?kind=key-revoked").await;
    let reasons: Vec<_> = ended.iter().map(|entry| entry["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "account-removed",
            "maker-manages-no-more",
            "maker-manages-no-more",
            "maker-manages-no-more"
        ]
    );
    // Nobody signs in as a program, and a person is none.
    ana.post(&format!("/v1/service-accounts/{}/keys", ana.id))
        .json(json!({ "name": "Mine", "scopes": ["unlock"], "expires_at": ana.in_days(1) }))
        .await
        .expect_no("person");
}

async fn a_key_is_good_in_one_organization(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let (of_ana, of_eve) = (
        ana.add_property("Europe/Vienna").await,
        eve.add_property("Asia/Tokyo").await,
    );
    let both = [&ana, &eve].map(|landlord| landlord.organization.parse().unwrap());
    let program = t
        .app()
        .add_service_account("Home".to_owned().try_into().unwrap(), both.to_vec())
        .await
        .unwrap();
    let key = ana.key(program.as_str(), &SCOPES).await;
    let listed = t.http.get("/v1/properties").bearer(text(&key)).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["data"][0]["id"], json!(of_ana.id));
    t.http
        .get(&format!("/v1/properties/{}", of_eve.id))
        .bearer(text(&key))
        .await
        .expect_no("property");
    t.http
        .get(&format!("/v1/access-log?organization_id={}", eve.organization))
        .bearer(text(&key))
        .await
        .expect_no("organization");
    assert_eq!(
        eve.list(&format!("/v1/service-accounts/{program}/keys")).await,
        Vec::<Value>::new()
    );

    // Whoever manages both says which.
    let link = eve
        .invite(&ana.email, json!({ "role": "manager" }))
        .await
        .text_of("secret_link");
    let ana = crate::world::Person::accept(&t.http, "ana", &ana.email, &link).await;
    let make = |organization: Value| {
        let new = json!({
            "name": "Both", "scopes": ["unlock"], "expires_at": eve.in_days(1), "organization_id": organization,
        });
        ana.post(&format!("/v1/service-accounts/{program}/keys")).json(new)
    };
    make(Value::Null).await.expect_invalid("organization_id");
    let made = make(json!(eve.organization)).await.expect(201);
    assert_eq!(made["organization_id"], json!(eve.organization));
}

/// A request of the program that shows this key.
fn by(t: &TestServer, key: &Value, method: &str, path: &str) -> Request {
    t.http.request(method, path).bearer(text(key))
}

async fn newest(ana: &Landlord, kind: &str) -> Value {
    ana.list(&format!("/v1/access-log?kind={kind}")).await[0].clone()
}

async fn a_program_opens_what_it_was_given_and_the_log_names_who_made_its_key(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let max = ana.manager("max").await;
    let (front, cellar) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    );
    let (_front, _cellar) = (front.install().await, cellar.install().await);
    let program = ana.program("Doorbell").await;
    ana.give(&[&front], json!({ "person_id": program }), json!({}))
        .await
        .expect(201);
    let key = max.key(&program, &["unlock"]).await;

    let unlock = |door: &str| by(&t, &key, "POST", &format!("/v1/locks/{door}/unlock"));
    let opened = unlock(&front.id).await.expect_opened();
    let attempt = format!("/v1/attempts/{}", opened["id"].as_str().unwrap());
    by(&t, &key, "GET", &attempt).await.expect(200);
    unlock(&cellar.id).await.expect_refused("no-access");
    for outcome in ["refused", "ok"] {
        let entries = ana.list("/v1/access-log?kind=unlock-requested").await;
        let entry = entries.iter().find(|entry| entry["outcome"] == outcome).unwrap();
        assert_eq!(entry["person_id"], json!(program), "{entry}");
        assert_eq!(
            entry["detail"]["api_key"],
            json!({ "id": key["id"], "name": "Test", "made_by": max.id }),
            "{entry}"
        );
    }
}

async fn a_program_gives_access_to_people_only(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let (program, other) = (ana.program("Bookings").await, ana.program("Doorbell").await);
    let key = ana.key(&program, &["grants:write"]).await;
    let give = |to: Value| {
        let grant = json!({ "lock_ids": [front.id], "to": to, "starts_at": "2027-01-01T00:00:00Z" });
        by(&t, &key, "POST", "/v1/grants").json(grant)
    };
    let change = |grant: &Value, until: &str| {
        let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
        let terms = json!({ "lock_ids": [front.id], "starts_at": "2027-01-01T00:00:00Z", "ends_at": until });
        by(&t, &key, "PUT", &path).json(terms)
    };
    for itself in [&program, &other] {
        give(json!({ "person_id": itself }))
            .await
            .expect_problem(403, "forbidden");
        // Nor does it widen what a person gave to a program.
        let terms = json!({ "ends_at": "2026-04-01T00:00:00Z" });
        let given = ana.give(&[&front], json!({ "person_id": itself }), terms).await;
        let given = given.expect(201);
        change(&given, "2028-01-01T00:00:00Z")
            .await
            .expect_problem(403, "forbidden");
        let path = format!("/v1/grants/{}", given["id"].as_str().unwrap());
        assert_eq!(ana.get(&path).await.expect(200)["ends_at"], given["ends_at"]);
    }
    let given = give(json!({ "email": "gus@people.example" })).await.expect(201);
    assert_eq!(given["given_by"], json!(program));
    let entry = newest(&ana, "grant-given").await;
    assert_eq!(
        (&entry["actor_id"], &entry["detail"]["api_key"]["made_by"]),
        (&json!(program), &json!(ana.id))
    );
    // What it gave is taken up, changed and taken back like anybody's.
    let link = given["invitation"]["secret_link"].as_str().unwrap();
    crate::world::Person::accept(&t.http, "gus", "gus@people.example", link).await;
    let changed = change(&given, "2028-01-01T00:00:00Z").await.expect(200);
    assert_eq!(changed["ends_at"], "2028-01-01T00:00:00.000Z");
    assert_eq!(
        newest(&ana, "grant-changed").await["detail"]["api_key"]["id"],
        key["id"]
    );
    let path = format!("/v1/grants/{}/revoke", given["id"].as_str().unwrap());
    by(&t, &key, "POST", &path).await.expect(200);
    assert_eq!(
        newest(&ana, "grant-revoked").await["detail"]["api_key"]["id"],
        key["id"]
    );
}

async fn each_key_has_a_budget_of_its_own(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.limits.requests_per_minute = 20).await;
    let ana = t.landlord("ana").await;
    let program = ana.program("Bookings").await;
    let (one, other) = (
        ana.key(&program, &["locks:read"]).await,
        ana.key(&program, &["locks:read"]).await,
    );
    // What the key may not do is not for nothing either.
    let mut asked = 0;
    while by(&t, &one, "GET", "/v1/properties").await.status == 403 {
        asked += 1;
        assert!(asked < 1_000, "the key has no budget");
    }
    assert!(asked >= 20, "{asked}");
    by(&t, &other, "GET", "/v1/locks").await.expect(200);
    ana.get("/v1/locks").await.expect(200);
}

async fn a_request_by_a_key_comes_twice_and_happens_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let program = ana.program("Bookings").await;
    let (key, other) = (
        ana.key(&program, &["grants:write"]).await,
        ana.key(&program, &["grants:write"]).await,
    );
    let give = |key: &Value| {
        let grant = json!({
            "lock_ids": [front.id], "to": { "email": "gus@people.example" }, "starts_at": "2027-01-01T00:00:00Z",
        });
        by(&t, key, "POST", "/v1/grants")
            .json(grant)
            .idempotency_key("booking 7")
    };
    let first = give(&key).await.expect(201);
    assert_eq!(give(&key).await.expect(201), first);
    // The keys of requests belong to the API key that they came with.
    assert_ne!(give(&other).await.expect(201)["id"], first["id"]);
    assert_eq!(ana.list("/v1/grants").await.len(), 2);
}

async fn keys_are_bounded(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let program = ana.program("Bookings").await;
    let path = format!("/v1/service-accounts/{program}/keys");
    for (change, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "scopes": [] }), "scopes"),
        (json!({ "scopes": ["unlock", "unlock"] }), "scopes"),
        (json!({ "scopes": ["everything"] }), "scopes[0]"),
        (json!({ "expires_at": ana.in_days(0) }), "expires_at"),
        (json!({ "expires_at": ana.in_days(401) }), "expires_at"),
        (json!({ "expires_at": null }), "expires_at"),
        (json!({ "key": "dwk_mine" }), "key"),
    ] {
        let mut key = json!({ "name": "Test", "scopes": ["unlock"], "expires_at": ana.in_days(1) });
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        ana.post(&path).json(key).await.expect_invalid(field);
    }
    for _ in 0..20 {
        ana.key(&program, &["unlock"]).await;
    }
    let one_more = json!({ "name": "Test", "scopes": ["unlock"], "expires_at": ana.in_days(1) });
    ana.post(&path)
        .json(one_more.clone())
        .await
        .expect_problem(409, "too-many-keys");
    let first = ana.list(&format!("{path}?limit=7")).await;
    assert_eq!(first.len(), 20);
    ana.delete(&format!("{path}/{}", first[0]["id"].as_str().unwrap()))
        .await
        .expect(204);
    ana.post(&path).json(one_more).await.expect(201);

    let accounts = format!("/v1/organizations/{}/service-accounts", ana.organization);
    ana.program("Doorbell").await;
    let names: BTreeSet<_> = (ana.list(&format!("{accounts}?limit=1")).await.iter())
        .map(|account| account["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, BTreeSet::from(["Bookings".to_owned(), "Doorbell".to_owned()]));
    ana.post(&accounts)
        .json(json!({ "name": "" }))
        .await
        .expect_invalid("name");
}
