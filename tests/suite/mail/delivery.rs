//! How letters reach a mail server that has bad days.

use std::time::Duration;

use doorward::config::Config;
use serde_json::json;

use crate::faults::nodes::two_nodes_with;
use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::mail_server::{MailServer, Privacy};
use crate::fixtures::wait::until;
use crate::world::{Door, Landlord, PASSWORD, Person, TestServer};

on_each_database!(
    a_letter_waits_for_a_server_that_is_away_for_hours,
    what_the_server_puts_off_comes_again_and_what_it_refuses_does_not,
    a_server_that_does_not_let_us_in_keeps_no_letter_from_anybody,
    letters_survive_a_restart,
    a_letter_that_is_too_old_is_given_up,
    nothing_more_is_sent_to_whoever_erased_their_account,
);

const HOUR: Duration = Duration::from_secs(3600);

/// A server with this mailbox, a landlord, and a guest who is about to hear something.
struct House {
    t: TestServer,
    ana: Landlord,
    gus: Person,
    door: Door,
}

impl House {
    async fn with(database: &TestDatabase, mail: &MailServer) -> Self {
        Self::at(database, |config| config.mail = mail.section()).await
    }

    async fn at(database: &TestDatabase, adjust: impl FnOnce(&mut Config)) -> Self {
        let t = TestServer::start_with(database, adjust).await;
        let ana = t.landlord("ana").await;
        let house = ana.add_property("Europe/Vienna").await;
        let door = ana.add_lock(&house, "Front door").await;
        let gus = ana.guest("gus").await;
        Self { t, ana, gus, door }
    }

    /// The value of this line of the metrics, from 0.
    async fn metric(&self, line: &str) -> u64 {
        let metrics = format!("http://{}/metrics", self.t.metrics());
        let text = reqwest::get(metrics).await.unwrap().text().await.unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        found.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Waits until so many tries came out like this.
    async fn until_tried(&self, result: &str, tries: u64) {
        let line = format!("doorward_letters_total{{result=\"{result}\"}}");
        until(&line, async || self.metric(&line).await >= tries).await;
        assert_eq!(self.metric(&line).await, tries);
    }
}

async fn a_letter_waits_for_a_server_that_is_away_for_hours(database: TestDatabase) {
    let mut mail = MailServer::prepare(Privacy::Plain, &Certificates::new());
    let house = House::with(&database, &mail).await;
    house.ana.grant(&house.gus, &house.door, json!({})).await;
    house.until_tried("waiting", 1).await;
    // Each hour once more, and never twice within the wait.
    for tries in 2..=6 {
        house.t.clock.advance(HOUR);
        house.until_tried("waiting", tries).await;
    }
    mail.resume().await;
    house.t.clock.advance(HOUR);
    let letters = mail.letters_once(&house.gus.email, 1).await;
    house.until_tried("sent", 1).await;
    assert!(
        letters[0].text().contains("Monday 2 March 2026, 08:00 UTC"),
        "{letters:?}"
    );
    // It stays with the one.
    house.t.clock.advance(HOUR);
    house.ana.grant(&house.gus, &house.door, json!({})).await;
    let letters = mail.letters_once(&house.gus.email, 2).await;
    assert_ne!(letters[0].headers("Message-ID"), letters[1].headers("Message-ID"));
}

async fn what_the_server_puts_off_comes_again_and_what_it_refuses_does_not(database: TestDatabase) {
    let mail = MailServer::start().await;
    let house = House::with(&database, &mail).await;
    let [gus, max] = ["gus@people.example", "max@people.example"];
    mail.reply(gus, &[451, 421]);
    mail.reply(max, &[550]);
    let away = house.ana.guest("max").await;
    house.ana.grant(&house.gus, &house.door, json!({})).await;
    house.ana.grant(&away, &house.door, json!({})).await;
    house.until_tried("refused", 1).await;
    house.until_tried("waiting", 1).await;
    house.t.clock.advance(Duration::from_secs(5));
    house.until_tried("waiting", 2).await;
    house.t.clock.advance(Duration::from_secs(10));
    house.until_tried("sent", 1).await;
    assert_eq!(mail.asked_for(gus), [451, 421, 250]);
    assert_eq!(mail.letters(gus).len(), 1);
    // No such mailbox: that letter never comes again, later ones are tried.
    house.t.clock.advance(HOUR);
    house.ana.grant(&away, &house.door, json!({})).await;
    mail.letters_once(max, 1).await;
    assert_eq!(mail.asked_for(max), [550, 250]);
}

async fn a_server_that_does_not_let_us_in_keeps_no_letter_from_anybody(database: TestDatabase) {
    let certificates = Certificates::new();
    for privacy in [Privacy::StartTls, Privacy::Tls] {
        let mail = MailServer::start_private(privacy, &certificates).await;
        mail.reply("auth", &[535]);
        let database = match privacy {
            Privacy::Tls => &TestDatabase::sqlite(),
            _ => &database,
        };
        let house = House::with(database, &mail).await;
        house.ana.grant(&house.gus, &house.door, json!({})).await;
        house.until_tried("waiting", 1).await;
        assert_eq!(mail.sign_ins(), 1);
        house.t.clock.advance(Duration::from_secs(5));
        let letters = mail.letters_once(&house.gus.email, 1).await;
        assert!(letters[0].is_private(), "{letters:?}");
    }
    // A server that knows no STARTTLS gets neither the password nor the letter.
    let mail = MailServer::start().await;
    let database = TestDatabase::sqlite();
    let house = House::at(&database, |config| {
        config.mail = mail.section();
        config.mail.ca_file = Some(mail.authority());
        config.mail.username = "doors".to_owned();
        config.mail.password = "secret".to_owned().into();
    })
    .await;
    house.ana.grant(&house.gus, &house.door, json!({})).await;
    house.until_tried("waiting", 1).await;
    assert_eq!((mail.sign_ins(), mail.asked_for(&house.gus.email).len()), (0, 0));
}

async fn letters_survive_a_restart(database: TestDatabase) {
    let mut mail = MailServer::prepare(Privacy::Plain, &Certificates::new());
    let mut house = House::with(&database, &mail).await;
    house.ana.grant(&house.gus, &house.door, json!({})).await;
    house.until_tried("waiting", 1).await;
    house.t.stop().await;
    mail.resume().await;
    house.t.clock.advance(HOUR);
    house.t.restart().await;
    mail.letters_once(&house.gus.email, 1).await;
}

async fn nothing_more_is_sent_to_whoever_erased_their_account(database: TestDatabase) {
    let mut mail = MailServer::prepare(Privacy::Plain, &Certificates::new());
    let house = House::with(&database, &mail).await;
    let max = house.ana.guest("max").await;
    for person in [&house.gus, &max] {
        house.ana.grant(person, &house.door, json!({})).await;
    }
    house.until_tried("waiting", 2).await;
    let erase = house.gus.post("/v1/me/erase").json(json!({ "password": PASSWORD }));
    erase.await.expect(200);
    assert_eq!(house.metric("doorward_letters_total{result=\"sent\"}").await, 0);
    mail.resume().await;
    house.t.clock.advance(HOUR);
    mail.letters_once(&max.email, 1).await;
    house.until_tried("sent", 1).await;
    assert_eq!(mail.letters(&house.gus.email).len(), 0);
}

async fn a_letter_that_is_too_old_is_given_up(database: TestDatabase) {
    let mut mail = MailServer::prepare(Privacy::Plain, &Certificates::new());
    let house = House::with(&database, &mail).await;
    house.ana.grant(&house.gus, &house.door, json!({})).await;
    house.until_tried("waiting", 1).await;
    house.t.clock.advance(4 * 24 * HOUR);
    house.until_tried("given-up", 1).await;
    mail.resume().await;
    house.ana.sign_in_again().await;
    let grant = house.ana.grant(&house.gus, &house.door, json!({})).await;
    let letters = mail.letters_once(&house.gus.email, 1).await;
    assert!(letters[0].text().contains("Friday 6 March 2026"), "{letters:?}");
    house.ana.revoke(&grant).await;
    mail.letters_once(&house.gus.email, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_send_each_letter_once() {
    let database = TestDatabase::postgres();
    let mut mail = MailServer::prepare(Privacy::Plain, &Certificates::new());
    let (one, two, _broker) = two_nodes_with(&database, |config| config.mail = mail.section()).await;

    let ana = one.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut guests = Vec::new();
    for number in 0..12 {
        let guest = ana.guest(&format!("guest-{number}")).await;
        ana.grant(&guest, &door, json!({})).await;
        guests.push(guest);
    }
    mail.resume().await;
    // Whatever each of them has tried so far, both set out at once.
    one.clock.advance(HOUR);
    for guest in &guests {
        mail.letters_once(&guest.email, 1).await;
    }
    one.clock.advance(HOUR);
    for guest in &guests {
        let grant = ana.grant(guest, &door, json!({})).await;
        ana.revoke(&grant).await;
    }
    let ids = async {
        let mut ids = Vec::new();
        for guest in &guests {
            until("the last news", async || {
                mail.letters(&guest.email)
                    .iter()
                    .any(|letter| letter.text().contains("taken back"))
            })
            .await;
            ids.extend(
                mail.letters(&guest.email)
                    .iter()
                    .map(|letter| letter.headers("Message-ID")[0].to_owned()),
            );
        }
        ids
    };
    let ids = ids.await;
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
    drop(two);
}
