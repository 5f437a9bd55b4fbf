//! Which letters people get, and what stands in them.

use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::mail_server::MailServer;
use crate::world::{Landlord, PASSWORD, Person, TestServer};

on_each_database!(
    what_concerns_somebody_comes_as_a_letter,
    nobody_gets_letters_that_they_do_not_want,
    without_a_mail_server_everything_is_as_before,
    hostile_names_stay_names
);

async fn what_concerns_somebody_comes_as_a_letter(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let settings = gus.get("/v1/me/notice-settings").await.expect(200);
    assert_eq!(settings, json!({ "letters_arrive": true, "no_letter_for": [] }));

    ana.grant(&gus, &door, json!({})).await;
    let letters = mail.letters_once(&gus.email, 1).await;
    let letter = &letters[0];
    assert!(letter.text().contains("Access was given to you"), "{letter:?}");
    assert!(letter.text().contains("“ana's houses”"), "{letter:?}");
    assert!(letter.text().contains("Monday 2 March 2026"), "{letter:?}");
    assert_eq!(letter.headers("From"), ["Doorward <doors@house.example>"]);
    assert_eq!(letter.headers("To"), [gus.email.as_str()]);
    assert_eq!(letter.headers("Date"), ["Mon, 02 Mar 2026 08:00:00 +0000"]);
    assert_eq!(letter.headers("Auto-Submitted"), ["auto-generated"]);
    assert!(letter.headers("Message-ID")[0].starts_with("<letter_"), "{letter:?}");
    for private in ["gus", "ana", "Front door"] {
        assert!(!letter.subject().contains(private), "{letter:?}");
    }
    // Nobody is told of what they did themselves.
    assert!(mail.letters(&ana.email).is_empty());
}

async fn nobody_gets_letters_that_they_do_not_want(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let wanted = json!({ "no_letter_for": ["access-given", "access-given"] });
    let settings = gus.put("/v1/me/notice-settings").json(wanted).await.expect(200);
    assert_eq!(
        settings,
        json!({ "letters_arrive": true, "no_letter_for": ["access-given"] })
    );
    // Whoever owns the mailbox hears of it, once.
    let letters = mail.letters_once(&gus.email, 1).await;
    assert!(letters[0].text().contains("Access was given to you"), "{letters:?}");
    assert!(letters[0].text().contains("change your password"), "{letters:?}");
    gus.put("/v1/me/notice-settings")
        .json(json!({ "no_letter_for": ["access-given"] }))
        .await
        .expect(200);

    let grant = ana.grant(&gus, &door, json!({})).await;
    ana.revoke(&grant).await;
    let letters = mail.letters_once(&gus.email, 2).await;
    assert!(
        letters[1].text().contains("Access of yours was taken back"),
        "{letters:?}"
    );
    assert!(!letters[1].text().contains("Access was given"), "{letters:?}");
    // The app tells everything.
    assert_eq!(gus.list("/v1/me/notices").await.len(), 2);

    let back = gus
        .put("/v1/me/notice-settings")
        .json(json!({ "no_letter_for": [] }))
        .await;
    assert_eq!(back.expect(200)["no_letter_for"], json!([]));
    ana.grant(&gus, &door, json!({})).await;
    let letters = mail.letters_once(&gus.email, 3).await;
    assert!(letters[2].text().contains("Access was given"), "{letters:?}");

    for (body, field) in [
        (json!({ "no_letter_for": ["weather"] }), "no_letter_for[0]"),
        (json!({ "no_letter_for": "access-given" }), "no_letter_for"),
        (json!({}), "no_letter_for"),
    ] {
        gus.put("/v1/me/notice-settings").json(body).await.expect_invalid(field);
    }
}

async fn without_a_mail_server_everything_is_as_before(database: TestDatabase) {
    let mail = MailServer::start().await;
    let mut t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let settings = gus.get("/v1/me/notice-settings").await.expect(200);
    assert_eq!(settings["letters_arrive"], false);
    ana.grant(&gus, &door, json!({})).await;
    assert_eq!(gus.list("/v1/me/notices").await.len(), 1);

    // Switched on a week later, it tells what happens from now on, not what is long known.
    t.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600));
    t.restart_with(|config| config.mail = mail.section()).await;
    for person in [&*ana, &gus] {
        person.sign_in_again().await;
    }
    ana.grant(&gus, &door, json!({})).await;
    let letters = mail.letters_once(&gus.email, 1).await;
    assert_eq!(letters[0].text().matches("Access was given").count(), 1, "{letters:?}");
}

async fn hostile_names_stay_names(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let name = "</p><script src=//evil.example></script>";
    let added = t.app().add_landlord(
        name.to_owned().try_into().unwrap(),
        "ana@landlords.example".parse().unwrap(),
        "Ana".to_owned().try_into().unwrap(),
        PASSWORD.parse().unwrap(),
    );
    let (organization, _) = added.await.unwrap();
    let ana = Person::sign_in(&t.http, "Ana", "ana@landlords.example").await;
    let ana = Landlord::new(ana, organization.to_string(), t.clock.clone());
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "{{ public_url }}").await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let letters = mail.letters_once(&gus.email, 1).await;
    assert!(letters[0].text().contains(name), "{letters:?}");
    assert!(!letters[0].html().contains("<script"), "{letters:?}");
    assert_eq!(letters[0].headers("To"), [gus.email.as_str()]);
}
