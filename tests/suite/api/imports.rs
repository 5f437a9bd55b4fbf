//! Bringing in a house out of tables: all of it or nothing, once, and as by hand.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::mail_server::MailServer;
use crate::world::{Answer, BoundPhone, Landlord, Person, TestServer, house};

on_each_database!(
    a_house_comes_in_out_of_four_tables,
    a_trial_says_what_would_come_of_it_and_does_nothing,
    one_bad_line_keeps_everything_out,
    the_same_tables_twice_change_nothing,
    of_the_same_tables_at_once_one_comes_in,
    who_is_a_member_lives_there_at_once,
    what_comes_in_is_written_down_as_by_hand,
    an_imported_lock_waits_for_a_code,
    links_are_shown_where_no_letter_takes_them,
    where_the_house_wants_keys_nobody_moves_in_by_a_copied_token,
    who_has_left_is_invited_like_a_stranger,
    somebody_of_the_house_moves_in_with_others_by_hand,
    what_is_no_table_of_a_house_fills_no_memory,
    another_landlords_house_is_not_there,
    a_long_body_is_for_whoever_may_bring_in,
    a_request_that_comes_again_shows_its_links_again,
);

const PROPERTIES: &str = "name;address;time_zone\r\nLinden;\"Linden Street 4\n1010 Vienna\";Europe/Vienna\r\n;;\r\n";
const UNITS: &str = "\u{feff}property,name\nLinden,Flat 1\nLinden,Flat 2\n";
const LOCKS: &str = "property\tunit\tname\nLinden\t\tStreet door\nLinden\tFlat 1\tFlat 1\n";
const TENANCIES: &str = "property,unit,email,from,until\nLinden,Flat 1,tom@people.example,2026-03-01,\n\
                         Linden,Flat 2,Uma@people.example,1.4.2026,31.3.2027\n";

fn tables() -> Value {
    json!({ "properties": PROPERTIES, "units": UNITS, "locks": LOCKS, "tenancies": TENANCIES })
}

fn path(ana: &Landlord) -> String {
    format!("/v1/organizations/{}/import", ana.organization)
}

async fn import(ana: &Landlord, tables: Value) -> Answer {
    ana.post(&path(ana)).json(tables).await
}

async fn dry_run(ana: &Landlord, tables: Value) -> Value {
    let path = format!("{}?dry_run=true", path(ana));
    ana.post(&path).json(tables).await.expect(200)
}

fn counts(properties: u64, units: u64, locks: u64, tenancies: u64) -> Value {
    json!({ "properties": properties, "units": units, "locks": locks, "tenancies": tenancies })
}

async fn properties(ana: &Landlord) -> Vec<Value> {
    ana.list("/v1/properties").await
}

async fn units(ana: &Landlord) -> Vec<Value> {
    let house = properties(ana).await.remove(0);
    ana.list(&format!("/v1/properties/{}/units", house["id"].as_str().unwrap()))
        .await
}

async fn accept(t: &TestServer, name: &str, invitation: &Value) -> Person {
    let email = format!("{name}@people.example");
    Person::accept(&t.http, name, &email, invitation["secret_link"].as_str().unwrap()).await
}

async fn a_house_comes_in_out_of_four_tables(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let imported = import(&ana, tables()).await.expect(200);
    assert_eq!(imported["added"], counts(1, 2, 2, 2));
    assert_eq!(imported["unchanged"], counts(0, 0, 0, 0));
    assert_eq!(imported["dry_run"], false);

    let house = properties(&ana).await.remove(0);
    assert_eq!(
        (&house["name"], &house["address"], &house["time_zone"]),
        (
            &json!("Linden"),
            &json!("Linden Street 4, 1010 Vienna"),
            &json!("Europe/Vienna")
        )
    );
    let units = units(&ana).await;
    let names: Vec<&Value> = units.iter().map(|unit| &unit["name"]).collect();
    assert_eq!(names, [&json!("Flat 1"), &json!("Flat 2")]);
    let locks = ana.list("/v1/locks").await;
    let doors: Vec<_> = locks
        .iter()
        .map(|lock| (&lock["name"], &lock["unit_id"], &lock["state"]))
        .collect();
    let unclaimed = json!("unclaimed");
    assert_eq!(
        doors,
        [
            (&json!("Street door"), &Value::Null, &unclaimed),
            (&json!("Flat 1"), &units[0]["id"], &unclaimed)
        ]
    );

    let invitations = imported["invitations"].as_array().unwrap();
    let lines: Vec<&Value> = invitations.iter().map(|invitation| &invitation["line"]).collect();
    assert_eq!(lines, [2, 3]);
    let uma = accept(&t, "uma", &invitations[1]).await;
    let tenancy = &uma.list("/v1/me/tenancies").await[0];
    assert_eq!(
        (&tenancy["unit_name"], &tenancy["starts_at"], &tenancy["ends_at"]),
        (
            &json!("Flat 2"),
            &json!("2026-03-31T22:00:00.000Z"),
            &json!("2027-03-31T22:00:00.000Z")
        )
    );
}

async fn a_trial_says_what_would_come_of_it_and_does_nothing(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let tried = dry_run(&ana, tables()).await;
    assert_eq!(
        (&tried["dry_run"], &tried["added"], &tried["fault_count"]),
        (&json!(true), &counts(1, 2, 2, 2), &json!(0))
    );
    assert_eq!(tried["invitations"], json!([]));
    assert_eq!(properties(&ana).await, Vec::<Value>::new());
    assert_eq!(ana.list("/v1/access-log").await, Vec::<Value>::new());

    let mut bad = tables();
    bad["properties"] = "name;address;time_zone\r\nLinden;Linden Street 4;Europe/Wien\r\nOak;;UTC\r\n".into();
    bad["units"] = "property,name\nOak,Flat 1\nElm,Flat 1\n".into();
    let tried = dry_run(&ana, bad).await;
    let faults = tried["faults"].as_array().unwrap();
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (&fault["file"], &fault["line"], &fault["column"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("properties"), &json!(2), &json!("time_zone")),
            (&json!("properties"), &json!(3), &json!("address")),
            (&json!("units"), &json!(3), &json!("property")),
        ]
    );
    assert_eq!(
        (&tried["fault_count"], &tried["added"]),
        (&json!(3), &counts(0, 0, 0, 0))
    );
}

async fn one_bad_line_keeps_everything_out(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let mut bad = tables();
    let ends_before = format!("{TENANCIES}Linden,Flat 1,eve@people.example,2026-05-01,2026-04-01\n");
    bad["tenancies"] = ends_before.into();
    let refused = import(&ana, bad).await.expect_problem(422, "import-refused");
    assert_eq!(
        (
            &refused["fault_count"],
            &refused["faults"][0]["line"],
            &refused["faults"][0]["column"]
        ),
        (&json!(1), &json!(4), &json!("until"))
    );
    let nothing = json!({ "units": "" });
    import(&ana, nothing).await.expect_problem(422, "import-refused");
    assert_eq!(properties(&ana).await, Vec::<Value>::new());
    assert_eq!(ana.list("/v1/access-log").await, Vec::<Value>::new());
    import(&ana, json!({ "flats": UNITS })).await.expect_invalid("flats");
    // Nothing to bring in brings nothing in.
    let imported = import(&ana, json!({})).await.expect(200);
    assert_eq!(imported["added"], counts(0, 0, 0, 0));
}

async fn the_same_tables_twice_change_nothing(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let first = import(&ana, tables()).await.expect(200);
    let log = ana.list("/v1/access-log").await;
    let again = import(&ana, tables()).await.expect(200);
    assert_eq!(
        (&again["added"], &again["unchanged"], &again["invitations"]),
        (&counts(0, 0, 0, 0), &counts(1, 2, 2, 2), &json!([]))
    );
    assert_eq!(ana.list("/v1/access-log").await, log);
    // Nor does it once they live there.
    accept(&t, "tom", &first["invitations"][0]).await;
    let again = import(&ana, tables()).await.expect(200);
    assert_eq!(
        (&again["added"], &again["unchanged"]),
        (&counts(0, 0, 0, 0), &counts(1, 2, 2, 2))
    );
    // Who let the invitation pass is invited again; who moved in is not.
    t.clock.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    ana.sign_in_again().await;
    let again = import(&ana, tables()).await.expect(200);
    assert_eq!(
        (&again["added"], &again["invitations"][0]["line"]),
        (&counts(0, 0, 0, 1), &json!(3))
    );
}

async fn of_the_same_tables_at_once_one_comes_in(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (one, other) = tokio::join!(import(&ana, tables()), import(&ana, tables()));
    let answers = [one, other].map(|answer| (answer.status, answer.text));
    assert!(answers.iter().any(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(properties(&ana).await.len(), 1, "{answers:?}");
    assert_eq!(ana.list("/v1/locks").await.len(), 2, "{answers:?}");
}

async fn who_is_a_member_lives_there_at_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let _lock = door.install().await;
    let (tom, uma) = (ana.tenant("tom", &unit).await, ana.guest("uma").await);
    uma.unlock(&door).await.expect_refused("no-access");
    let stays = "property,unit,email,from\nLinden Street 4,Flat 1,uma@people.example,2026-03-02\n";
    let imported = import(&ana, json!({ "tenancies": stays })).await.expect(200);
    assert_eq!(
        (&imported["added"], &imported["invitations"]),
        (&counts(0, 0, 0, 1), &json!([]))
    );
    uma.unlock(&door).await.expect_opened();
    for told in [&tom, &uma] {
        let notices = told.list("/v1/me/notices").await;
        assert!(
            notices.iter().any(|notice| notice["kind"] == "tenancy-given"),
            "{notices:?}"
        );
    }
    let tenancy = ana.tenancy_of(&uma, &unit).await;
    assert_eq!(tenancy["starts_at"], "2026-03-01T23:00:00.000Z");
    // What was ended by hand is not begun again by the table.
    ana.end_tenancy(&tenancy, json!({})).await;
    let refused = import(&ana, json!({ "tenancies": stays }))
        .await
        .expect_problem(422, "import-refused");
    assert_eq!(refused["faults"][0]["column"], "until");
    uma.unlock(&door).await.expect_refused("grant-expired");
}

async fn what_comes_in_is_written_down_as_by_hand(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let imported = import(&ana, tables()).await.expect(200);
    let mut kinds: Vec<String> = (ana.list("/v1/access-log").await.iter())
        .map(|entry| {
            assert_eq!(entry["actor_id"], json!(ana.id));
            entry["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["lock-added", "lock-added", "person-invited", "person-invited"]);
    let invited = ana.list("/v1/access-log?kind=person-invited").await;
    let units = units(&ana).await;
    assert!((invited.iter()).any(|entry| entry["unit_id"] == units[0]["id"]
        && entry["detail"]["invitation_id"] == imported["invitations"][0]["id"]));
}

async fn an_imported_lock_waits_for_a_code(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    import(&ana, tables()).await.expect(200);
    let lock = ana.list("/v1/locks").await.remove(0);
    let path = format!("/v1/locks/{}/claim", lock["id"].as_str().unwrap());
    let claim = ana.post(&path).await.expect(200);
    assert!(claim["code"].is_string(), "{claim}");
}

async fn links_are_shown_where_no_letter_takes_them(database: TestDatabase) {
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    let ana = t.landlord("ana").await;
    let imported = import(&ana, tables()).await.expect(200);
    for invitation in imported["invitations"].as_array().unwrap() {
        assert_eq!(
            (&invitation["by_letter"], &invitation["secret_link"]),
            (&json!(true), &Value::Null)
        );
    }
    let letters = mail.letters_once("uma@people.example", 1).await;
    let text = letters[0].text();
    let link = text
        .split_whitespace()
        .find(|word| word.contains("/invitation#"))
        .unwrap();
    let uma = Person::accept(&t.http, "uma", "uma@people.example", link).await;
    assert_eq!(uma.list("/v1/me/tenancies").await.len(), 1);
}

async fn where_the_house_wants_keys_nobody_moves_in_by_a_copied_token(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let rules = json!({
        "two_person": { "whole_property_grants": false, "lockdown": false },
        "self_grant_delay_hours": 24, "phone_key_required": true,
    });
    let organization = format!("/v1/organizations/{}/rules", ana.organization);
    ana.put(&organization).json(rules).await.expect(200);
    import(&ana, tables()).await.expect_problem(403, "phone-key-needed");
    let trial = format!("{}?dry_run=true", path(&ana));
    ana.post(&trial)
        .json(tables())
        .await
        .expect_problem(403, "phone-key-needed");
    let places = json!({ "properties": PROPERTIES, "units": UNITS, "locks": LOCKS });
    import(&ana, places).await.expect(200);
    let bound = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    let imported = bound.request("POST", &path(&ana)).json(tables()).await.expect(200);
    assert_eq!(imported["added"], counts(0, 0, 0, 2));
}

async fn who_has_left_is_invited_like_a_stranger(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let tom = ana.guest("tom").await;
    let member = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&member).await.expect(200);
    let imported = import(&ana, tables()).await.expect(200);
    let invited = imported["invitations"].as_array().unwrap();
    assert!(
        invited.iter().any(|one| one["email"] == "tom@people.example"),
        "{imported}"
    );
}

async fn somebody_of_the_house_moves_in_with_others_by_hand(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let lone = ana.add_unit(&house, "Flat 2").await;
    ana.tenant("eve", &flat).await;
    let dee = ana.staff("dee", "desk").await;
    let name = house_name(&ana).await;
    let row = |unit: &str| {
        let tenancies = format!(
            "property,unit,email,from,until\n{name},{unit},{},2026-03-01,\n",
            dee.email
        );
        json!({ "tenancies": tenancies })
    };
    let refused = import(&ana, row("Flat 1")).await.expect_problem(422, "import-refused");
    assert_eq!(
        (&refused["faults"][0]["line"], &refused["fault_count"]),
        (&json!(2), &json!(1))
    );
    assert!(
        refused["faults"][0]["why"].as_str().unwrap().contains("by hand"),
        "{refused}"
    );
    assert_eq!(dry_run(&ana, row("Flat 1")).await["fault_count"], 1);
    // Where nobody else lives, it is theirs as anybody's.
    let alone = import(&ana, row("Flat 2")).await.expect(200);
    assert_eq!(alone["added"]["tenancies"], 1);
    assert_eq!(
        import(&ana, row("Flat 2")).await.expect(200)["unchanged"]["tenancies"],
        1
    );
    drop(lone);
}

/// What the landlord's one property is called.
async fn house_name(ana: &Landlord) -> String {
    properties(ana).await[0]["name"].as_str().unwrap().to_owned()
}

async fn what_is_no_table_of_a_house_fills_no_memory(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let wide = format!("{}\n", "a,".repeat(1_000_000));
    let bad = format!("property,name\n{}", "Nowhere,\n".repeat(200_000));
    for (table, most) in [(wide, 1), ("a\n".repeat(1_000_000), 3), (bad, 5_002)] {
        let refused = import(&ana, json!({ "units": table }))
            .await
            .expect_problem(422, "import-refused");
        let count = refused["fault_count"].as_u64().unwrap();
        assert!((1..=most).contains(&count), "{count}");
        assert!(refused["faults"].as_array().unwrap().len() <= 500);
    }
}

async fn another_landlords_house_is_not_there(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    import(&ana, tables()).await.expect(200);
    // Her units do not rest on somebody else's property, whatever it is called.
    let refused = import(&eve, json!({ "units": UNITS }))
        .await
        .expect_problem(422, "import-refused");
    assert_eq!(refused["faults"][0]["column"], "property");
    import(&eve, tables()).await.expect(200);
    assert_eq!(properties(&ana).await.len(), 1);
    eve.post(&path(&ana)).json(tables()).await.expect_no("organization");
}

async fn a_long_body_is_for_whoever_may_bring_in(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    import(&ana, json!({ "properties": PROPERTIES })).await.expect(200);
    let mut units = "property,name\n".to_owned();
    for number in 0..10_000 {
        writeln!(units, "Linden,Flat {number}").unwrap();
    }
    let strange = t.http.post(&path(&ana)).json(json!({ "units": units }));
    // The rest of the body may still be on its way when the answer is there.
    if let Some(answer) = strange.try_send().await {
        answer.expect_problem(401, "unauthenticated");
    }
    let imported = import(&ana, json!({ "units": units })).await.expect(200);
    assert_eq!(imported["added"], counts(0, 10_000, 0, 0));
    let again = import(&ana, json!({ "units": units })).await.expect(200);
    assert_eq!(again["unchanged"], counts(0, 10_000, 0, 0));
    let endless = json!({ "units": "x".repeat(7 * 1024 * 1024) });
    if let Some(answer) = ana.post(&path(&ana)).json(endless).try_send().await {
        answer.expect_problem(413, "body-too-large");
    }
}

async fn a_request_that_comes_again_shows_its_links_again(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let send = || ana.post(&path(&ana)).idempotency_key("first hour").json(tables());
    let first = send().await.expect(200);
    assert_eq!(send().await.expect(200), first);
    assert!(first["invitations"][0]["secret_link"].is_string(), "{first}");
}
