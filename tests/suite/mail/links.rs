//! Letters with links: to people whom nobody here knows yet.

use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::mail_server::MailServer;
use crate::world::{Person, TestServer};

on_each_database!(
    an_invitation_comes_by_letter_and_accepts,
    whoever_invites_may_hand_the_link_on_themselves,
    access_and_a_home_for_somebody_new_come_by_letter,
    a_guests_link_comes_by_letter,
    without_a_mail_server_nobody_is_said_to_get_a_letter,
);

async fn an_invitation_comes_by_letter_and_accepts(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let invited = ana
        .invite("max@people.example", json!({ "role": "manager" }))
        .await
        .expect(201);
    assert_eq!(invited["by_letter"], true);
    let letter = mail.letters_once("max@people.example", 1).await.remove(0);
    let link = invited["secret_link"].as_str().unwrap();
    assert!(
        letter.text().lines().any(|line| line.trim() == link),
        "{}",
        letter.text()
    );
    let escaped = link.replace('/', "&#x2f;");
    assert!(
        letter.html().contains(&format!("href=\"{escaped}\"")),
        "{}",
        letter.html()
    );
    assert!(
        letter.text().contains("“ana's houses” invites you"),
        "{}",
        letter.text()
    );
    assert_eq!(letter.subject(), "You are invited");
    Person::accept(&t.http, "max", "max@people.example", link).await;
}

async fn whoever_invites_may_hand_the_link_on_themselves(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let alone = ana.invite("max@people.example", json!({ "role": "guest", "letter": false }));
    assert_eq!(alone.await.expect(201)["by_letter"], false);
    let other = ana.invite("uma@people.example", json!({ "role": "guest" }));
    other.await.expect(201);
    mail.letters_once("uma@people.example", 1).await;
    assert!(mail.letters("max@people.example").is_empty());
}

async fn access_and_a_home_for_somebody_new_come_by_letter(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let unit = ana.add_unit(&house, "Top 3").await;
    let grant = json!({ "lock_ids": [door.id], "to": { "email": "gus@people.example" }, "starts_at": ana.in_days(0) });
    let given = ana.post("/v1/grants").json(grant).await.expect(201);
    assert_eq!(given["invitation"]["by_letter"], true);
    let letter = mail.letters_once("gus@people.example", 1).await.remove(0);
    assert!(
        letter
            .text()
            .contains(given["invitation"]["secret_link"].as_str().unwrap())
    );
    let tenancy = json!({ "unit_id": unit.id, "email": "tom@people.example", "starts_at": ana.in_days(0) });
    let given = ana.post("/v1/tenancies").json(tenancy).await.expect(201);
    let letter = mail.letters_once("tom@people.example", 1).await.remove(0);
    assert!(
        letter
            .text()
            .contains(given["invitation"]["secret_link"].as_str().unwrap())
    );
}

async fn a_guests_link_comes_by_letter(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front <b>door").await;
    let grant = ana.grant_guest("Gus <script>", &door, json!({})).await;
    let path = format!("/v1/grants/{}/link", grant["id"].as_str().unwrap());
    let made = ana
        .post(&path)
        .json(json!({ "email": "gus@people.example" }))
        .await
        .expect(201);
    assert_eq!(made["by_letter"], true);
    let letter = mail.letters_once("gus@people.example", 1).await.remove(0);
    let text = letter.text().replace("\r\n", "\n");
    assert!(text.starts_with(made["text"].as_str().unwrap().trim_end()), "{text}");
    assert_eq!(text.matches(made["url"].as_str().unwrap()).count(), 1, "{text}");
    assert!(
        !letter.html().contains("<script>") && !letter.html().contains("<b>"),
        "{}",
        letter.html()
    );
    assert!(letter.html().contains("Open the link"));
    let without = ana.post(&path).await.expect(201);
    assert_eq!(without["by_letter"], false);
    let bad = ana.post(&path).json(json!({ "email": "nobody" })).await;
    bad.expect_problem(422, "invalid-field");
}

async fn without_a_mail_server_nobody_is_said_to_get_a_letter(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let invited = ana
        .invite("max@people.example", json!({ "role": "guest" }))
        .await
        .expect(201);
    assert_eq!(invited["by_letter"], false);
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let path = format!("/v1/grants/{}/link", grant["id"].as_str().unwrap());
    let made = ana
        .post(&path)
        .json(json!({ "email": "gus@people.example" }))
        .await
        .expect(201);
    assert_eq!(made["by_letter"], false);
}
