//! Guests without an account: a link lets the first phone in at the doors of its grant, for its time, and nowhere else.

use std::time::Duration;

use doorward::domain::time::Clock as _;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Door, Landlord, PASSWORD, Person, Phone, TestServer, claims_of, house, redemption};

on_each_database!(
    a_guest_without_an_account_opens_the_door_by_a_link,
    a_preview_uses_nothing,
    a_forwarded_link_belongs_to_the_first_phone,
    of_two_phones_at_once_one_has_the_link,
    a_link_is_for_as_many_phones_as_it_says,
    a_link_may_be_redeemed_early_and_opens_nothing_yet,
    a_link_that_is_over_unknown_or_taken_back_is_answered_alike,
    a_link_lets_nobody_in_once_its_grant_is_taken_back,
    whoever_redeems_while_the_grant_is_taken_back_opens_nothing,
    a_new_link_ends_all_that_the_one_before_began,
    a_link_reaches_no_further_than_its_grant,
    a_link_opens_in_its_own_time_alone,
    the_link_of_somebody_with_an_account_lends_one_grant_alone,
    passes_by_a_link_are_for_its_phone_and_its_grant,
    a_phone_shows_that_it_holds_its_key,
    nobody_signs_in_as_a_guest,
    a_guest_has_a_name_of_one_line,
    an_address_redeems_so_often,
    a_link_is_told_by_the_clock_of_its_house,
    whoever_looks_at_the_grant_sees_its_link_without_the_secret,
);

fn seconds(t: &TestServer) -> u64 {
    t.clock.now().as_seconds()
}

async fn front_door(ana: &Landlord, house: &crate::world::Property) -> Door {
    let door = ana.add_lock(house, "Front door").await;
    door.try_enrol().await.unwrap();
    door
}

async fn a_guest_without_an_account_opens_the_door_by_a_link(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let max = ana.manager("max").await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let grant = ana.grant_guest("Gus", &door, json!({ "uses": 1 })).await;
    assert_eq!(grant["invitation"], Value::Null);
    let members = ana
        .list(&format!("/v1/organizations/{}/members", ana.organization))
        .await;
    let gus = members
        .iter()
        .find(|member| member["id"] == grant["person_id"])
        .unwrap();
    assert_eq!(
        (&gus["name"], &gus["email"], &gus["role"]),
        (&json!("Gus"), &Value::Null, &json!("guest"))
    );

    let link = max.link(&grant, json!({})).await;
    assert!(link.url.starts_with("https://doors.example/guest#"), "{}", link.url);
    assert_eq!(link.told["uses"], 1);
    let (gus, phone) = link.open().await;
    let doors = gus.list("/v1/me/locks").await;
    assert_eq!(
        (doors.len(), &doors[0]["id"], &doors[0]["opens_now"]),
        (1, &json!(door.id), &json!(true))
    );
    let attempt = gus.unlock(&door).await.expect_opened();
    let path = format!("/v1/attempts/{}", attempt["id"].as_str().unwrap());
    assert_eq!(gus.get(&path).await.expect(200)["status"], "confirmed");
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    // Whoever let themselves in with their last use may lock behind them.
    gus.lock(&door).await.expect_opened();

    let entries: Vec<Value> = ana
        .list(&format!(
            "/v1/access-log?person_id={}",
            grant["person_id"].as_str().unwrap()
        ))
        .await;
    let of = |kind: &str| {
        entries
            .iter()
            .find(|entry| entry["kind"] == kind)
            .unwrap_or_else(|| panic!("no {kind}"))
    };
    for (kind, actor) in [
        ("person-joined", json!(ana.id)),
        ("grant-given", json!(ana.id)),
        ("link-made", json!(max.id)),
        ("link-redeemed", Value::Null),
        ("unlock-requested", Value::Null),
        ("unlocked", Value::Null),
    ] {
        assert_eq!(of(kind)["actor_id"], actor, "{kind}");
        if kind != "person-joined" {
            assert_eq!(
                (&of(kind)["grant_id"], &of(kind)["lock_id"]),
                (&grant["id"], &json!(door.id)),
                "{kind}"
            );
        }
    }
    assert_eq!(of("link-redeemed")["detail"]["phone_id"], phone.id);
    let log = ana.log().await;
    assert!(!json!(log).to_string().contains(link.secret()));
    for giver in [&ana as &Person, &max] {
        let told = giver.list("/v1/me/notices").await;
        let news: Vec<&Value> = told.iter().filter(|notice| notice["kind"] == "link-redeemed").collect();
        assert_eq!(news.len(), 1, "{told:?}");
        assert_eq!(
            (&news[0]["lock_id"], &news[0]["actor_id"]),
            (&json!(door.id), &grant["person_id"])
        );
    }

    gus.post("/v1/auth/sign-out").await.expect(204);
    gus.unlock(&door).await.expect_problem(401, "unauthenticated");
}

async fn a_preview_uses_nothing(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let link = ana.link(&grant, json!({})).await;
    // What a messenger fetches: the address without its fragment, which is not sent; and what a curious one might try.
    for _ in 0..3 {
        t.http.get("/guest").await;
        t.http.get(&format!("/guest?secret={}", link.secret())).await;
        t.http
            .get("/v1/guest/redeem")
            .await
            .expect_problem(405, "method-not-allowed");
    }
    link.open().await;
}

async fn a_forwarded_link_belongs_to_the_first_phone(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let link = ana.link(&grant, json!({})).await;
    let key = Phone::new_key();
    let first = link.redeem(&key).await;
    let gus = link.came(&first);
    link.redeem(&Phone::new_key()).await.expect_problem(409, "link-used");
    // The same phone has lost its session, and is the same phone.
    let again = link.redeem(&key).await;
    assert_eq!(first.json["phone_id"], again.json["phone_id"]);
    let gus_again = link.came(&again);
    gus_again.get("/v1/me/locks").await.expect(200);
    gus.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
    let redeemed = ana.list("/v1/access-log?kind=link-redeemed").await;
    assert_eq!(redeemed.len(), 1);
    // Another guest's link does not take this phone: one key, one person.
    let other = ana.grant_guest("Eve", &door, json!({})).await;
    let other = ana.link(&other, json!({})).await;
    other.redeem(&key).await.expect_problem(409, "key-taken");
    other.open().await;
}

async fn of_two_phones_at_once_one_has_the_link(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    for round in 0..5 {
        let grant = ana.grant_guest(&format!("Gus {round}"), &door, json!({})).await;
        let link = ana.link(&grant, json!({})).await;
        let keys = [Phone::new_key(), Phone::new_key(), Phone::new_key()];
        let [one, two, three] = &keys;
        let (one, two, three) = tokio::join!(link.redeem(one), link.redeem(two), link.redeem(three));
        let mut statuses = [one.status, two.status, three.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409]);
    }
}

async fn a_link_is_for_as_many_phones_as_it_says(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("The Millers", &door, json!({})).await;
    let link = ana.link(&grant, json!({ "uses": 2 })).await;
    let (her, _) = link.open().await;
    let (him, _) = link.open().await;
    link.redeem(&Phone::new_key()).await.expect_problem(409, "link-used");
    for one in [&her, &him] {
        assert_eq!(one.list("/v1/me/locks").await.len(), 1);
    }
    her.post("/v1/auth/sign-out").await.expect(204);
    him.get("/v1/me/locks").await.expect(200);
    assert_eq!(ana.list("/v1/me/notices").await.len(), 2);
}

async fn a_link_may_be_redeemed_early_and_opens_nothing_yet(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let terms = json!({ "starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T12:00:00Z" });
    let grant = ana.grant_guest("Gus", &door, terms).await;
    let link = ana.link(&grant, json!({})).await;
    let (gus, _) = link.open().await;
    let doors = gus.list("/v1/me/locks").await;
    assert_eq!(
        (&doors[0]["opens_now"], &doors[0]["opens_at"]),
        (&json!(false), &json!("2026-03-02T10:00:00.000Z"))
    );
    let refused = gus.unlock(&door).await.expect_refused("not-yet");
    assert_eq!(refused["opens_at"], "2026-03-02T10:00:00.000Z");
    t.clock.set("2026-03-02T10:00:00Z");
    lock.until_online(&ana, true).await;
    link.redeem(&Phone::new_key()).await.expect_problem(409, "link-used");
    gus.unlock(&door).await.expect_opened();
}

async fn a_link_that_is_over_unknown_or_taken_back_is_answered_alike(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let terms = json!({ "ends_at": "2026-03-02T08:30:00Z" });
    let grant = ana.grant_guest("Gus", &door, terms.clone()).await;
    let link = ana.link(&grant, json!({})).await;
    let (gus, phone) = link.open().await;
    let held = gus.access_token();
    t.clock.set("2026-03-02T08:29:59.999Z");
    gus.get("/v1/me/locks").await.expect(200);
    t.clock.set("2026-03-02T08:30:00Z");
    gus.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
    let refresh = json!({ "refresh_token": gus.refresh_token() });
    t.http
        .post("/v1/auth/refresh")
        .json(refresh)
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(held, gus.access_token());

    let endless = ana.grant_guest("Ann", &door, json!({})).await;
    let taken_back = ana.link(&endless, json!({})).await;
    ana.take_link_back(&endless).await.expect(200);
    let replaced = ana.link(&endless, json!({})).await;
    ana.link(&endless, json!({})).await;
    let unknown = redemption(&"A".repeat(43), &phone.key, seconds(&t));
    let over = redemption(link.secret(), &phone.key, seconds(&t));
    let taken_back = redemption(taken_back.secret(), &phone.key, seconds(&t));
    let replaced = redemption(replaced.secret(), &phone.key, seconds(&t));
    let mut texts = Vec::new();
    for body in [unknown, over, taken_back, replaced] {
        let answer = t.http.post("/v1/guest/redeem").json(body).await;
        texts.push(answer.text.clone());
        answer.expect_no("link");
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    // A link for what has ended is not made.
    ana.make_link(&grant, json!({})).await.expect_problem(409, "grant-over");
}

async fn a_link_lets_nobody_in_once_its_grant_is_taken_back(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let link = ana.link(&grant, json!({ "uses": 2 })).await;
    let (gus, _) = link.open().await;
    ana.revoke(&grant).await;
    gus.unlock(&door).await.expect_problem(401, "unauthenticated");
    link.redeem(&Phone::new_key()).await.expect_no("link");
    ana.make_link(&grant, json!({})).await.expect_problem(409, "grant-over");
    // Putting the person out does it too.
    let grant = ana.grant_guest("Ann", &door, json!({})).await;
    let link = ana.link(&grant, json!({})).await;
    let (ann, _) = link.open().await;
    let path = format!(
        "/v1/organizations/{}/members/{}",
        ana.organization,
        grant["person_id"].as_str().unwrap()
    );
    ana.delete(&path).await.expect(200);
    ann.unlock(&door).await.expect_problem(401, "unauthenticated");
    link.redeem(&Phone::new_key()).await.expect_no("link");
}

async fn whoever_redeems_while_the_grant_is_taken_back_opens_nothing(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    for round in 0..5 {
        let grant = ana.grant_guest(&format!("Gus {round}"), &door, json!({})).await;
        let link = ana.link(&grant, json!({})).await;
        let key = Phone::new_key();
        let (redeemed, _) = tokio::join!(link.redeem(&key), ana.revoke(&grant));
        match redeemed.status {
            200 => {
                link.came(&redeemed)
                    .unlock(&door)
                    .await
                    .expect_problem(401, "unauthenticated");
            }
            _ => redeemed.expect_no("link"),
        }
    }
}

async fn a_new_link_ends_all_that_the_one_before_began(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let wrong_number = ana.link(&grant, json!({})).await;
    let (stranger, phone) = wrong_number.open().await;
    stranger.pass(&phone, &[&door]).await.expect(200);
    let right_number = ana.link(&grant, json!({})).await;
    stranger
        .get("/v1/me/locks")
        .await
        .expect_problem(401, "unauthenticated");
    wrong_number.redeem(&phone.key).await.expect_no("link");
    // Its key does not come back, so that no lock takes its passes for the guest's.
    right_number
        .redeem(&phone.key)
        .await
        .expect_problem(409, "phone-removed");
    let (gus, own) = right_number.open().await;
    gus.pass(&own, &[&door]).await.expect(200);
    // Taking the link back says until when a pass may still open.
    let taken = ana.take_link_back(&grant).await.expect(200);
    assert_eq!(taken["waiting_for"], json!([door.id]));
    gus.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
    let again = ana.take_link_back(&grant).await.expect(200);
    assert_eq!(again["waiting_for"], json!([]));
    let kinds: Vec<String> = (ana.log().await.iter())
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .filter(|kind| kind.starts_with("link") || kind.starts_with("phone"))
        .collect();
    assert_eq!(
        kinds,
        [
            "phone-removed",
            "link-taken-back",
            "link-redeemed",
            "phone-removed",
            "link-made",
            "link-redeemed",
            "link-made"
        ]
    );
}

async fn a_link_reaches_no_further_than_its_grant(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let terms = json!({ "starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T12:00:00Z" });
    let grant = ana.grant_guest("Gus", &door, terms).await;
    for (terms, field) in [
        (json!({ "uses": 0 }), "uses"),
        (json!({ "uses": 11 }), "uses"),
        (json!({ "uses": -1 }), "uses"),
        (json!({ "uses": 1.5 }), "uses"),
        (json!({ "starts_at": "2026-03-02T09:59:59Z" }), "starts_at"),
        (json!({ "starts_at": "2026-03-02T10:00:00" }), "starts_at"),
        (json!({ "ends_at": "2026-03-02T12:00:01Z" }), "ends_at"),
        (json!({ "ends_at": "2026-03-02T10:00:00Z" }), "ends_at"),
        (json!({ "starts_at": "2026-03-02T12:00:00Z" }), "ends_at"),
        (json!({ "lock_ids": [door.id] }), "lock_ids"),
        (json!({ "grant_id": grant["id"] }), "grant_id"),
    ] {
        ana.make_link(&grant, terms).await.expect_invalid(field);
    }
    // An invitation is a link of its own.
    let waits = ana
        .give(&[&door], json!({ "email": "new@people.example" }), json!({}))
        .await
        .expect(201);
    ana.make_link(&waits, json!({}))
        .await
        .expect_problem(409, "invitation-waits");
    // A grant without an end has links that end.
    let endless = ana.grant_guest("Ann", &door, json!({})).await;
    let link = ana.link(&endless, json!({})).await;
    assert_eq!(link.told["expires_at"], "2026-04-01T08:00:00.000Z");
}

async fn a_link_opens_in_its_own_time_alone(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let terms = json!({ "starts_at": "2026-03-02T08:10:00Z", "ends_at": "2026-03-02T08:20:00Z" });
    let link = ana.link(&grant, terms).await;
    let (gus, phone) = link.open().await;
    gus.unlock(&door).await.expect_refused("not-yet");
    let early = gus.pass(&phone, &[&door]).await.expect(200);
    assert_eq!(early["passes"][0]["starts_at"], "2026-03-02T08:10:00.000Z");
    assert_eq!(early["passes"][0]["expires_at"], "2026-03-02T08:20:00.000Z");
    t.clock.set("2026-03-02T08:10:00Z");
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    t.clock.set("2026-03-02T08:20:00Z");
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_problem(401, "unauthenticated");
    link.redeem(&phone.key).await.expect_no("link");
    // The grant goes on, and gets another.
    ana.link(&grant, json!({}))
        .await
        .open()
        .await
        .0
        .unlock(&door)
        .await
        .expect_opened();
}

async fn the_link_of_somebody_with_an_account_lends_one_grant_alone(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let _lock = own.install().await;
    let cellar = front_door(&ana, &house).await;
    let attic = ana.add_lock(&house, "Attic").await;
    let tom = ana.tenant("tom", &flat).await;
    let attempt = tom.unlock(&own).await.expect_opened();
    let grant = ana.grant(&tom, &attic, json!({})).await;
    let (linked, _) = ana.link(&grant, json!({})).await.open().await;
    let doors = linked.list("/v1/me/locks").await;
    assert_eq!((doors.len(), &doors[0]["id"]), (1, &json!(attic.id)));
    linked.unlock(&own).await.expect_refused("no-access");
    linked.unlock(&cellar).await.expect_refused("no-access");
    linked.unlock(&attic).await.expect_refused("lock-not-in-service");
    let path = format!("/v1/attempts/{}", attempt["id"].as_str().unwrap());
    linked.get(&path).await.expect_no("attempt");
    tom.get(&path).await.expect(200);
    for path in ["/v1/me", "/v1/me/phones", "/v1/me/notices"] {
        linked.get(path).await.expect_problem(403, "forbidden");
    }
    // The link's phone stands among his, and he can remove it.
    let phones = tom.list("/v1/me/phones").await;
    assert_eq!((phones.len(), &phones[0]["name"]), (1, &json!("By link")));
    let path = format!("/v1/me/phones/{}", phones[0]["id"].as_str().unwrap());
    tom.delete(&path).await.expect(200);
    linked.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
    tom.unlock(&own).await.expect_opened();
}

async fn passes_by_a_link_are_for_its_phone_and_its_grant(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (front, cellar) = (front_door(&ana, &house).await, front_door(&ana, &house).await);
    let grant = ana
        .grant_guest("Gus", &front, json!({ "ends_at": "2026-03-02T12:00:00Z" }))
        .await;
    let to = json!({ "person_id": grant["person_id"] });
    ana.give(&[&cellar], to, json!({})).await.expect(201);
    let (gus, phone) = ana.link(&grant, json!({})).await.open().await;
    let issued = gus.pass(&phone, &[&front, &cellar]).await.expect(200);
    assert_eq!(issued["passes"].as_array().unwrap().len(), 1);
    assert_eq!(
        issued["refused"],
        json!([{ "lock_id": cellar.id, "reason": "no-access", "opens_at": null }])
    );
    let claims = claims_of(issued["pass"].as_str().unwrap());
    assert_eq!((&claims["gid"], &claims["role"]), (&grant["id"], &json!("guest")));
    assert_eq!(claims["cnf"]["jkt"], phone.thumbprint());
    let other = ana.grant_guest("Ann", &front, json!({})).await;
    let (_, other) = ana.link(&other, json!({})).await.open().await;
    gus.pass(&other, &[&front]).await.expect_no("phone");
    // Nor does it get another phone.
    gus.register(&Phone::new_key(), "Second")
        .await
        .expect_problem(403, "forbidden");
    // A refreshed session is as narrow, and ends no later.
    let refresh = json!({ "refresh_token": gus.refresh_token() });
    let refreshed = t.http.post("/v1/auth/refresh").json(refresh).await.expect(200);
    let gus = Person::by_link(&t.http, "Gus", &refreshed);
    gus.get("/v1/me").await.expect_problem(403, "forbidden");
    gus.unlock(&cellar).await.expect_refused("no-access");
    t.clock.advance(Duration::from_secs(4 * 3600));
    gus.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
}

async fn a_phone_shows_that_it_holds_its_key(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let (link, other) = (
        ana.link(&grant, json!({})).await,
        ana.grant_guest("Ann", &door, json!({})).await,
    );
    let other = ana.link(&other, json!({})).await;
    let now = seconds(&t);
    let (key, thief) = (Phone::new_key(), Phone::new_key());
    let good = redemption(link.secret(), &key, now);
    let with = |member: &str, value: &Value| {
        let mut body = good.clone();
        body[member] = value.clone();
        body
    };
    for (what, body, field) in [
        ("another's key", with("public_key", &Phone::public_key(&thief)), "proof"),
        ("for another link", with("secret", &json!(other.secret())), "proof"),
        ("made long ago", redemption(link.secret(), &key, now - 301), "proof"),
        (
            "made tomorrow",
            redemption(link.secret(), &key, now + 24 * 3600),
            "proof",
        ),
        ("none", with("proof", &json!("")), "proof"),
        ("no text", with("proof", &json!(1)), "proof"),
        ("short secret", with("secret", &json!("AAAA")), "secret"),
        ("no key", with("public_key", &Value::Null), "public_key"),
        ("a grant besides", with("grant_id", &grant["id"]), "grant_id"),
    ] {
        let answer = t.http.post("/v1/guest/redeem").json(body).await;
        assert_eq!(answer.status, 422, "{what}: {}", answer.text);
        answer.expect_invalid(field);
    }
    t.http.post("/v1/guest/redeem").json(good).await.expect(200);
}

async fn nobody_signs_in_as_a_guest(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let email = format!("{}@guest.invalid", grant["person_id"].as_str().unwrap());
    for password in [PASSWORD, "none", "nonenonenone"] {
        let body = json!({ "email": email, "password": password });
        let answer = t.http.post("/v1/auth/sign-in").json(body).await;
        assert!(matches!(answer.status, 401 | 422), "{}", answer.text);
    }
    // Nor does an invitation to that address make an account of it.
    let invited = ana.invite(&email, json!({ "role": "guest" })).await;
    let link = invited.text_of("secret_link");
    let secret = link.split_once('#').unwrap().1;
    let accept = json!({ "secret": secret, "name": "Eve", "password": PASSWORD });
    t.http
        .post("/v1/invitations/accept")
        .json(accept)
        .await
        .expect_problem(401, "wrong-credentials");
}

async fn a_guest_has_a_name_of_one_line(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = front_door(&ana, &house).await;
    for (to, field) in [
        (json!({ "guest": { "name": "" } }), "to.guest.name"),
        (json!({ "guest": { "name": "a\nb" } }), "to.guest.name"),
        (json!({ "guest": { "name": "Gus\u{202e}" } }), "to.guest.name"),
        (json!({ "guest": { "name": "x".repeat(101) } }), "to.guest.name"),
        (json!({ "guest": {} }), "to.guest.name"),
        (json!({ "guest": "Gus" }), "to.guest"),
        (
            json!({ "guest": { "name": "Gus", "email": "gus@people.example" } }),
            "to.guest.email",
        ),
        (json!({ "guest": { "name": "Gus" }, "person_id": ana.id }), "to"),
        (
            json!({ "guest": { "name": "Gus" }, "email": "gus@people.example" }),
            "to",
        ),
        (json!({}), "to"),
    ] {
        ana.give(&[&door], to, json!({})).await.expect_invalid(field);
    }
    // A vendor's passes are shorter, and so is what a nameless one may.
    let grant = ana.grant_guest("Plumber", &door, json!({ "role": "vendor" })).await;
    let members = ana
        .list(&format!("/v1/organizations/{}/members", ana.organization))
        .await;
    let plumber = members
        .iter()
        .find(|member| member["id"] == grant["person_id"])
        .unwrap();
    assert_eq!(plumber["role"], "vendor");
}

async fn an_address_redeems_so_often(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.limits.sign_ins_per_minute = 3).await;
    let redeem = |from: &'static str| {
        let body = redemption(&"A".repeat(43), &Phone::new_key(), seconds(&t));
        t.http.post("/v1/guest/redeem").coming_from(from).json(body)
    };
    for _ in 0..3 {
        redeem("192.0.2.1").await.expect_no("link");
    }
    redeem("192.0.2.1").await.expect_problem(429, "throttled");
    redeem("192.0.2.2").await.expect_no("link");
}

async fn whoever_looks_at_the_grant_sees_its_link_without_the_secret(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let vic = ana.staff("vic", "viewer").await;
    let door = front_door(&ana, &house).await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    assert_eq!(vic.get(&path).await.expect(200)["link"], Value::Null);
    let link = ana.link(&grant, json!({ "uses": 2 })).await;
    let (_, phone) = link.open().await;
    let answer = vic.get(&path).await;
    assert!(!answer.text.contains(link.secret()));
    assert_eq!(
        answer.expect(200)["link"],
        json!({
            "id": link.told["id"], "made_by": ana.id, "uses": 2,
            "starts_at": "2026-03-02T08:00:00.000Z", "expires_at": "2026-04-01T08:00:00.000Z",
            "redeemed": [{ "phone_id": phone.id, "redeemed_at": "2026-03-02T08:00:00.000Z" }],
        })
    );
    ana.revoke(&grant).await;
    assert_eq!(vic.get(&path).await.expect(200)["link"], Value::Null);
}

async fn a_link_is_told_by_the_clock_of_its_house(database: TestDatabase) {
    let (_t, ana, vienna) = house(&database).await;
    let new_york = ana.add_property("America/New_York").await;
    let (here, there) = (
        ana.add_lock(&vienna, "Gate; \\ north").await,
        ana.add_lock(&new_york, "Lobby").await,
    );
    // Over the night in which New York changes its clocks.
    let terms = json!({ "starts_at": "2026-03-07T20:00:00Z", "ends_at": "2026-03-08T20:00:00Z" });
    let to = json!({ "guest": { "name": "Gus\\, the; 1st" } });
    let grant = ana.give(&[&here, &there], to, terms).await.expect(201);
    let link = ana.link(&grant, json!({})).await;
    let told = |member: &str| link.told[member].as_str().unwrap().to_owned();
    let text = told("text");
    for line in [
        "Hello Gus\\, the; 1st,",
        "ana's houses lets you in.",
        "Door: Gate; \\ north",
        "When: Sat 7 Mar 2026, 21:00 to Sun 8 Mar 2026, 21:00 (Europe/Vienna)",
        "Door: Lobby",
        "When: Sat 7 Mar 2026, 15:00 to Sun 8 Mar 2026, 16:00 (America/New_York)",
        &link.url,
    ] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    let calendar = told("calendar").replace("\r\n ", "");
    for line in [
        "DTSTART;TZID=Europe/Vienna:20260307T210000",
        "DTEND;TZID=Europe/Vienna:20260308T210000",
        "SUMMARY:ana's houses: Gate\\; \\\\ north",
        "DTSTART;TZID=America/New_York:20260307T150000",
        "DTEND;TZID=America/New_York:20260308T160000",
        "SUMMARY:ana's houses: Lobby",
    ] {
        assert!(calendar.lines().any(|told| told == line), "{line}: {calendar}");
    }
    assert_eq!(calendar.matches("BEGIN:VTIMEZONE").count(), 2);
    assert!(calendar.contains(&link.url));
    assert!(told("qr_svg").contains("<svg"));
}
