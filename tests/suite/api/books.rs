//! Everything that an organization has, as a file for its owners.

use std::time::Duration;

use doorward::crypto::evidence::check;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Landlord, PASSWORD, TestServer, house};

on_each_database!(
    everything_is_in_it_once,
    it_has_no_secret,
    another_organizations_things_are_not_in_it,
    it_has_no_more_than_its_reader_may_see,
    a_stolen_session_carries_nothing_off,
    more_than_a_page_of_everything,
);

fn path(ana: &Landlord) -> String {
    format!("/v1/organizations/{}/export", ana.organization)
}

async fn export(ana: &Landlord) -> String {
    let answer = ana.get(&path(ana)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/jsonl");
    answer.text
}

fn lines(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(lines: &'a [Value], what: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["what"] == what).collect()
}

async fn everything_is_in_it_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (own, front) = (
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let _lock = front.install().await;
    let (tom, gus) = (ana.tenant("tom", &unit).await, ana.guest("gus").await);
    ana.grant(&gus, &front, json!({})).await;
    tom.unlock(&front).await.expect_opened();
    let program = ana.program("Dashboard").await;
    ana.key(&program, &["log:read"]).await;
    let term = json!({ "unit_id": unit.id, "starts_at": ana.in_days(1) });
    ana.invite("kim@people.example", json!({ "tenancy": term }))
        .await
        .expect(201);
    let list = format!("/v1/properties/{}/lockdown-lists/friends", house.id);
    let friends = json!({ "person_ids": [gus.id], "grant_ids": [] });
    ana.put(&list).json(friends).await.expect(200);
    let file = export(&ana).await;
    let lines = lines(&file);
    let counts: Vec<(&str, usize)> = [
        "organization",
        "rules",
        "property",
        "privacy",
        "lockout-policy",
        "lockdown-list",
        "unit",
        "lock",
        "member",
        "invitation",
        "service-account",
        "api-key",
        "tenancy",
        "grant",
        "log-checkpoint",
        "end",
    ]
    .map(|what| (what, of(&lines, what).len()))
    .into();
    assert_eq!(
        counts,
        [
            ("organization", 1),
            ("rules", 1),
            ("property", 1),
            ("privacy", 1),
            ("lockout-policy", 1),
            ("lockdown-list", 1),
            ("unit", 1),
            ("lock", 2),
            ("member", 4),
            ("invitation", 1),
            ("service-account", 1),
            ("api-key", 1),
            ("tenancy", 1),
            ("grant", 1),
            ("log-checkpoint", 1),
            ("end", 1),
        ]
    );
    assert_eq!(lines[0]["what"], "organization");
    assert_eq!(
        (&lines[0]["form"], &lines[0]["id"]),
        (&json!(1), &json!(ana.organization))
    );
    assert_eq!(of(&lines, "lock")[0]["id"], json!(own.id));
    // As the REST surface shows it.
    let mut grant = of(&lines, "grant")[0].clone();
    grant.as_object_mut().unwrap().remove("what");
    assert_eq!(grant, ana.list("/v1/grants").await[0]);
    // A file without its last line is not whole.
    assert_eq!(
        lines.last().unwrap(),
        &json!({ "what": "end", "lines": lines.len() - 1 })
    );

    // The log is evidence, and its last entry says who took it.
    let key = of(&lines, "log-checkpoint")[0]["key"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let report = check(file.as_bytes(), &[key], &[]).unwrap();
    assert!(report.logs[0].is_whole);
    let entries = of(&lines, "log-entry");
    let last = entries.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["person_id"]),
        (&json!("books-exported"), &json!(ana.id))
    );
}

async fn it_has_no_secret(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let grant = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    let link = ana.post(&format!("{grant}/link")).json(json!({})).await.expect(201);
    let program = ana.program("Dashboard").await;
    let key = ana.key(&program, &["log:read"]).await;
    let hook = json!({ "organization_id": ana.organization, "name": "Office", "url": "https://hooks.example/doors" });
    let hook = ana.post("/v1/webhooks").json(hook).await;
    let file = export(&ana).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let link = text(&link["url"]);
    let mut secrets = vec![
        text(&key["key"]),
        link.rsplit('#').next().unwrap().to_owned(),
        PASSWORD.to_owned(),
    ];
    if hook.status == 201 {
        secrets.push(text(&hook.json["secret"]));
        assert_eq!(of(&lines(&file), "webhook").len(), 1);
    }
    for secret in secrets {
        assert!(!file.contains(&secret), "{secret}");
    }
}

async fn another_organizations_things_are_not_in_it(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    for landlord in [&ana, &eve] {
        let house = landlord.add_property("Europe/Vienna").await;
        landlord.add_unit(&house, "Flat 1").await;
        landlord.add_lock(&house, "Front door").await;
    }
    // She owns one and manages the other.
    let invited = eve.invite(&ana.email, json!({ "role": "owner" })).await;
    let secret = invited.text_of("secret_link");
    let secret = secret.rsplit('#').next().unwrap();
    let accept = json!({ "secret": secret, "name": "ana", "password": PASSWORD });
    t.http.post("/v1/invitations/accept").json(accept).await.expect(200);
    let file = lines(&export(&ana).await);
    assert_eq!(of(&file, "unit").len(), 1);
    for what in ["property", "lock", "log-checkpoint"] {
        let found = of(&file, what);
        assert_eq!(found.len(), 1, "{what}");
        assert_eq!(found[0]["organization_id"], json!(ana.organization), "{what}");
    }
    let emails: Vec<&Value> = of(&file, "member").into_iter().map(|member| &member["email"]).collect();
    assert_eq!(emails, [&json!(ana.email)]);
    t.landlord("max").await.get(&path(&ana)).await.expect_no("organization");
    let manager = ana.manager("mia").await;
    manager.get(&path(&ana)).await.expect_problem(403, "forbidden");
}

async fn it_has_no_more_than_its_reader_may_see(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let own = ana.add_lock_of(&unit, "Flat 1").await;
    let _lock = own.install().await;
    let tom = ana.tenant("tom", &unit).await;
    tom.unlock(&own).await.expect_opened();
    let file = lines(&export(&ana).await);
    let at_home = of(&file, "log-entry")
        .into_iter()
        .filter(|entry| entry["lock_id"] == json!(own.id));
    assert!(
        at_home.into_iter().all(|entry| entry["kind"] != "unlocked"),
        "what a tenant does at home"
    );
    assert!(!of(&file, "log-leaf").is_empty());
}

async fn a_stolen_session_carries_nothing_off(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    t.clock.advance(Duration::from_secs(11 * 60));
    // By a token alone, without the app that would ask for the password.
    let stolen = || t.http.get(&path(&ana)).bearer(&ana.access_token());
    stolen().await.expect_problem(403, "proof-needed");
    assert_eq!(ana.list("/v1/access-log").await, Vec::<Value>::new());
    ana.post("/v1/auth/prove")
        .json(json!({ "password": PASSWORD }))
        .await
        .expect(200);
    assert_eq!(stolen().await.status, 200);
}

async fn more_than_a_page_of_everything(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let numbers = || 0..450;
    let rows = |row: &dyn Fn(usize) -> String| numbers().map(row).collect::<String>();
    let tables = json!({
        "properties": format!("name,address,time_zone\n{}", rows(&|n| format!("House {n},Street {n},UTC\n"))),
        "units": format!("property,name\n{}", rows(&|n| format!("House 0,Flat {n}\nHouse {n},Attic\n"))),
        "locks": format!("property,name\n{}", rows(&|n| format!("House {n},Door\n"))),
    });
    let import = format!("/v1/organizations/{}/import", ana.organization);
    ana.post(&import).json(tables).await.expect(200);
    let file = lines(&export(&ana).await);
    for (what, count) in [
        ("property", 450),
        ("privacy", 450),
        ("unit", 900),
        ("lock", 450),
        ("log-entry", 451),
    ] {
        let ids: std::collections::HashSet<String> = (of(&file, what).into_iter())
            .map(|line| format!("{}{}{}", line["id"], line["property_id"], line["seq"]))
            .collect();
        assert_eq!((of(&file, what).len(), ids.len()), (count, count), "{what}");
    }
}
