//! Webhooks, told by the rules of Standard Webhooks to a receiver that stands on the library of those who wrote the rules.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use doorward::domain::time::Clock as _;
use serde_json::{Value, json};

use crate::faults::nodes::two_nodes_with;
use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::outsider::Outsider;
use crate::fixtures::receiver::{Receiver, Told};
use crate::fixtures::wait::{found, until};
use crate::world::{Door, Landlord, Person, TestServer};

on_each_database!(
    all_that_the_log_says_is_told_in_order_and_believed,
    over_tls_too,
    a_target_that_was_away_for_a_day_has_everything_once_and_in_order,
    what_is_refused_comes_again_and_nobody_is_followed_elsewhere,
    a_target_that_is_gone_is_told_no_more_until_somebody_says_so,
    a_target_that_never_answers_is_given_up_after_five_days,
    a_new_secret_signs_beside_the_former_one_for_a_day,
    replayed_events_come_again_under_their_ids,
    only_what_is_wanted_is_told,
    what_no_manager_sees_is_not_told,
    the_inside_is_not_told,
    a_slow_target_keeps_nobody_waiting,
    a_restart_loses_nothing,
    a_stopped_webhook_goes_on_where_it_was,
    who_manages_no_more_has_nothing_told,
    a_removed_webhook_is_told_nothing,
    there_is_a_most,
    a_stolen_database_tells_no_address,
);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server that may tell the receiver, a landlord with a door, and a guest.
struct House {
    t: TestServer,
    ana: Landlord,
    gus: Person,
    door: Door,
    receiver: Receiver,
}

impl House {
    async fn start(database: &TestDatabase) -> Self {
        Self::with(database, Receiver::start().await).await
    }

    async fn with(database: &TestDatabase, receiver: Receiver) -> Self {
        let section = receiver.section();
        let t = TestServer::start_with(database, |config| config.webhooks = section).await;
        let ana = t.landlord("ana").await;
        let house = ana.add_property("Europe/Vienna").await;
        let door = ana.add_lock(&house, "Front door").await;
        let gus = ana.guest("gus").await;
        let mut house = Self {
            t,
            ana,
            gus,
            door,
            receiver,
        };
        house.pass(Duration::ZERO).await;
        house
    }

    /// Makes a webhook for the receiver, which knows its secret from then on.
    async fn hook(&mut self, path: &str, events: Value) -> String {
        let made = make(&self.ana, &self.receiver.url(path), events).await;
        self.receiver.know(&made["secret"]).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// Lets time pass, for the receiver too.
    async fn pass(&mut self, by: Duration) {
        self.t.clock.advance(by);
        let seconds = self.t.clock.now().as_millis() / 1000;
        self.receiver.set_clock(seconds).await;
        if by >= 10 * MINUTE {
            self.ana.sign_in_again().await;
        }
    }

    /// Something happens: an entry of the log.
    async fn give(&self) {
        self.ana.grant(&self.gus, &self.door, json!({})).await;
    }

    async fn shown(&self, id: &str) -> Value {
        self.ana.get(&format!("/v1/webhooks/{id}")).await.expect(200)
    }

    /// Waits until so many tries are known, and gives how they came out, the first one first.
    async fn results(&self, id: &str, count: usize) -> Vec<String> {
        let path = format!("/v1/webhooks/{id}/deliveries?limit=200");
        let results = found(&format!("{count} tries"), async || {
            let tries = self.ana.get(&path).await.expect(200);
            let tries = tries["data"].as_array().unwrap().clone();
            (tries.len() >= count).then_some(tries)
        })
        .await;
        assert_eq!(results.len(), count, "{results:#?}");
        let word = |delivery: &Value| delivery["result"].as_str().unwrap().to_owned();
        results.iter().rev().map(word).collect()
    }

    /// The entries of this kind, the newest first.
    async fn entries(&self, kind: &str) -> Vec<Value> {
        self.ana.list(&format!("/v1/access-log?kind={kind}&limit=200")).await
    }

    /// The numbers of the entries of this kind, in order.
    async fn numbers(&self, kind: &str) -> Vec<i64> {
        let entries = self.entries(kind).await;
        entries
            .iter()
            .rev()
            .map(|entry| entry["seq"].as_i64().unwrap())
            .collect()
    }
}

async fn make(by: &Landlord, url: &str, events: Value) -> Value {
    let webhook = json!({ "organization_id": by.organization, "url": url, "events": events });
    by.post("/v1/webhooks").json(webhook).await.expect(201)
}

fn numbers(told: &[Told]) -> Vec<i64> {
    told.iter().map(Told::seq).collect()
}

async fn all_that_the_log_says_is_told_in_order_and_believed(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let _lock = house.door.install().await;
    let id = house.hook("/doorward?key=of-mine", json!([])).await;
    house.give().await;
    house.gus.unlock(&house.door).await.expect_opened();
    house.gus.unlock(&house.door).await.expect_opened();

    let entries = house.ana.log().await;
    let made = entries
        .iter()
        .position(|entry| entry["kind"] == "webhook-made")
        .unwrap();
    let expected: Vec<Value> = entries[..=made].iter().rev().cloned().collect();
    let told = house.receiver.taken_once(expected.len()).await;
    for (told, entry) in told.iter().zip(&expected) {
        assert_eq!(told.body["data"], *entry, "as `GET /v1/access-log` shows it");
        assert_eq!(
            (&told.body["type"], &told.body["timestamp"]),
            (&entry["kind"], &entry["occurred_at"])
        );
        assert_eq!(told.id, format!("{id}_1_{}", entry["seq"]));
        assert_eq!(told.path, "/doorward?key=of-mine");
        assert_eq!(told.headers["content-type"], "application/json");
    }
    let last = told.last().unwrap().seq();
    until("it is known that all was told", async || {
        house.shown(&id).await["told"] == last
    })
    .await;
    let shown = house.shown(&id).await;
    assert_eq!((&shown["state"], &shown["failures"]), (&json!("active"), &json!(0)));
    assert!(shown.get("secret").is_none(), "it is shown once");
    assert_eq!(house.results(&id, told.len()).await, vec!["delivered"; told.len()]);
}

async fn over_tls_too(database: TestDatabase) {
    let receiver = Receiver::start_private(&Certificates::new()).await;
    let mut house = House::with(&database, receiver).await;
    house.hook("/", json!([])).await;
    house.receiver.taken_once(1).await;
    // One that this installation has no reason to trust.
    let stranger = Receiver::start_private(&Certificates::new()).await;
    let id = make(&house.ana, &stranger.url("/"), json!([])).await["id"].clone();
    assert_eq!(house.results(id.as_str().unwrap(), 1).await, ["not-reached"]);
    assert!(stranger.told().is_empty());
}

async fn a_target_that_was_away_for_a_day_has_everything_once_and_in_order(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!(["grant-given"])).await;
    let first = house.receiver.taken_once(1).await;
    house.receiver.stop();
    for hour in 0..24 {
        house.give().await;
        let tries = house.shown(&id).await["failures"].as_u64().unwrap();
        house.pass(HOUR).await;
        until(&format!("a try in hour {hour}"), async || {
            house.shown(&id).await["failures"].as_u64().unwrap() > tries
        })
        .await;
    }
    house.receiver.resume().await;
    house.pass(HOUR).await;
    let told = house.receiver.taken_once(25).await;
    assert_eq!(first[0].seq(), told[0].seq());
    assert_eq!(numbers(&told[1..]), house.numbers("grant-given").await);
    until("it is well again", async || {
        house.shown(&id).await["failing_since"].is_null()
    })
    .await;
    house.give().await;
    house.receiver.taken_once(26).await;
}

async fn what_is_refused_comes_again_and_nobody_is_followed_elsewhere(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let elsewhere = house.receiver.url("/elsewhere");
    let answers = json!([
        [302, { "location": elsewhere }],
        [429, { "retry-after": "600" }],
        [503, { "retry-after": "soon" }],
        [400, {}],
    ]);
    house.receiver.answer(answers).await;
    let id = house.hook("/", json!(["grant-given"])).await;
    assert_eq!(house.results(&id, 1).await, ["refused"]);
    let shown = house.shown(&id).await;
    assert_eq!(shown["next_try_at"], house.t.clock.after(Duration::from_secs(5)));
    house.pass(Duration::from_secs(5)).await;
    house.results(&id, 2).await;
    // It asked for ten minutes, and is given them.
    let next = house.t.clock.after(10 * MINUTE);
    until("the next try", async || house.shown(&id).await["next_try_at"] == next).await;
    house.pass(10 * MINUTE).await;
    house.results(&id, 3).await;
    house.pass(2 * MINUTE).await;
    house.results(&id, 4).await;
    house.pass(5 * MINUTE).await;
    let told = house.receiver.taken_once(1).await;
    let all = house.receiver.told();
    assert_eq!(
        all.iter().map(|told| told.status).collect::<Vec<_>>(),
        [302, 429, 503, 400, 204]
    );
    for try_ in &all {
        assert_eq!(
            (&try_.id, &*try_.path),
            (&told[0].id, "/"),
            "the same each time, and nowhere else"
        );
        assert_eq!(try_.refused, None, "each try is signed anew, at its time");
    }
}

async fn a_target_that_is_gone_is_told_no_more_until_somebody_says_so(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!(["grant-given"])).await;
    house.receiver.taken_once(1).await;
    house.receiver.answer(json!([[410, {}]])).await;
    house.give().await;
    until("it is gone", async || house.shown(&id).await["state"] == "gone").await;
    house.give().await;
    house.pass(24 * HOUR).await;
    let stopped = house.entries("webhook-stopped").await;
    assert_eq!(stopped.len(), 1);
    assert_eq!(
        (&stopped[0]["reason"], &stopped[0]["detail"]["webhook_id"]),
        (&json!("gone"), &json!(id))
    );
    let notices = house.ana.get("/v1/me/notices").await.expect(200);
    let of_it = notices["data"].as_array().unwrap().iter();
    assert_eq!(of_it.filter(|notice| notice["kind"] == "webhook-stopped").count(), 1);
    assert_eq!(house.receiver.told().len(), 2);

    let path = format!("/v1/webhooks/{id}");
    house
        .ana
        .request("PATCH", &path)
        .json(json!({ "active": true }))
        .await
        .expect(200);
    let told = house.receiver.taken_once(3).await;
    assert_eq!(numbers(&told[1..]), house.numbers("grant-given").await);
}

async fn a_target_that_never_answers_is_given_up_after_five_days(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!([])).await;
    house.receiver.taken_once(1).await;
    house.receiver.stop();
    house.give().await;
    let mut hours = 0;
    while house.shown(&id).await["state"] == "active" {
        let before = house.shown(&id).await;
        house.pass(6 * HOUR).await;
        until("a try", async || {
            let shown = house.shown(&id).await;
            shown["failures"] != before["failures"] || shown["state"] != "active"
        })
        .await;
        hours += 6;
        assert!(hours < 6 * 24, "it is never given up");
    }
    assert_eq!(house.shown(&id).await["state"], "failing");
    assert!(hours >= 5 * 24, "after {hours} hours");
    assert_eq!(house.entries("webhook-stopped").await[0]["reason"], "failing");
}

async fn a_new_secret_signs_beside_the_former_one_for_a_day(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!(["grant-given"])).await;
    house.receiver.taken_once(1).await;
    let path = format!("/v1/webhooks/{id}/secret");
    let renewed = house.ana.post(&path).await.expect(200);
    house.give().await;
    // It verifies by the former secret still.
    let told = house.receiver.taken_once(2).await;
    let signatures = told[1].headers["webhook-signature"].as_str().unwrap();
    assert_eq!(signatures.split(' ').count(), 2);
    house.receiver.know(&renewed["secret"]).await;
    house.give().await;
    house.receiver.taken_once(3).await;
    house.pass(24 * HOUR).await;
    house.give().await;
    let told = house.receiver.taken_once(4).await;
    let signatures = told[3].headers["webhook-signature"].as_str().unwrap();
    assert_eq!(signatures.split(' ').count(), 1);
}

async fn replayed_events_come_again_under_their_ids(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!(["grant-given"])).await;
    for _ in 0..3 {
        house.give().await;
    }
    let told = house.receiver.taken_once(4).await;
    let path = format!("/v1/webhooks/{id}/replay");
    let from = told[2].seq();
    let answer = house.ana.post(&path).json(json!({ "from": from })).await.expect(202);
    assert_eq!(answer["told"], from - 1);
    let again = house.receiver.taken_once(6).await;
    assert_eq!(
        again[4..].iter().map(|told| &told.id).collect::<Vec<_>>(),
        [&told[2].id, &told[3].id]
    );
    let replayed = house.entries("webhook-changed").await;
    assert_eq!(replayed[0]["detail"]["from"], from);
    for (from, status) in [(json!(1_000_000), 422), (json!(0), 422), (json!("1"), 422)] {
        let answer = house.ana.post(&path).json(json!({ "from": from })).await;
        assert_eq!(answer.status, status, "{from}");
    }
}

async fn only_what_is_wanted_is_told(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!(["grant-revoked"])).await;
    let grant = house.ana.grant(&house.gus, &house.door, json!({})).await;
    house.ana.revoke(&grant).await;
    house.give().await;
    let told = house.receiver.taken_once(2).await;
    let kinds: Vec<&str> = told.iter().map(|told| told.body["type"].as_str().unwrap()).collect();
    // That it was made is told whatever it wants: so it shows at once that it works.
    assert_eq!(kinds, ["webhook-made", "grant-revoked"]);
    let last = house.ana.log().await[0]["seq"].as_i64().unwrap();
    until("what is not for it is passed over", async || {
        house.shown(&id).await["told"] == last
    })
    .await;
    let bad = json!({ "organization_id": house.ana.organization, "url": house.receiver.url("/"), "events": ["x"] });
    house
        .ana
        .post("/v1/webhooks")
        .json(bad)
        .await
        .expect_problem(422, "invalid-field");
}

async fn what_no_manager_sees_is_not_told(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let property = house.ana.add_property("Europe/Vienna").await;
    let unit = house.ana.add_unit(&property, "Top 3").await;
    let home = house.ana.add_lock_of(&unit, "Home").await;
    let _lock = home.install().await;
    let tom = house.ana.tenant("tom", &unit).await;
    house.hook("/", json!([])).await;
    let first = house.receiver.taken_once(1).await[0].seq();
    tom.unlock(&home).await.expect_opened();
    house.give().await;
    let told = house.receiver.taken_once(2).await;
    assert_eq!(told[1].body["type"], "grant-given");
    assert!(told[1].seq() > first + 1, "there was something between");
    assert!(!format!("{:?}", house.receiver.told()).contains(&tom.id));
}

async fn the_inside_is_not_told(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "http://hooks.example/".to_owned(),
        "https://user:word@hooks.example/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let webhook = json!({ "organization_id": ana.organization, "url": url });
        let problem = ana
            .post("/v1/webhooks")
            .json(webhook)
            .await
            .expect_problem(422, "invalid-field");
        assert_eq!(problem["field"], "url", "{url}");
    }
    // A name is looked up when it is told.
    let id = make(&ana, &format!("https://localhost:{port}/"), json!([])).await;
    let path = format!("/v1/webhooks/{}/deliveries", id["id"].as_str().unwrap());
    let tried = found("a try", async || {
        ana.get(&path).await.expect(200)["data"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&tried["result"], &tried["status"]),
        (&json!("forbidden"), &Value::Null)
    );
    let nobody = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
}

async fn a_slow_target_keeps_nobody_waiting(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let _lock = house.door.install().await;
    // It takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    make(&house.ana, &format!("http://{address}/"), json!([])).await;
    let _connection = tokio::task::spawn_blocking(move || silent.accept().unwrap())
        .await
        .unwrap();
    house.hook("/", json!([])).await;
    house.receiver.taken_once(1).await;
    house.give().await;
    house.gus.unlock(&house.door).await.expect_opened();
    until("the other one to be told", async || {
        house.receiver.told().iter().any(|told| told.body["type"] == "unlocked")
    })
    .await;
}

async fn a_restart_loses_nothing(database: TestDatabase) {
    let mut house = House::start(&database).await;
    house.hook("/", json!(["grant-given"])).await;
    house.receiver.taken_once(1).await;
    house.receiver.stop();
    for _ in 0..3 {
        house.give().await;
    }
    house.t.restart().await;
    house.receiver.resume().await;
    house.pass(MINUTE).await;
    let told = house.receiver.taken_once(4).await;
    assert_eq!(numbers(&told[1..]), house.numbers("grant-given").await);
}

async fn a_stopped_webhook_goes_on_where_it_was(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!(["grant-given"])).await;
    house.receiver.taken_once(1).await;
    let path = format!("/v1/webhooks/{id}");
    let change = |change: Value| house.ana.request("PATCH", &path).json(change);
    assert_eq!(change(json!({ "active": false })).await.expect(200)["state"], "paused");
    house.give().await;
    let elsewhere = house.receiver.url("/elsewhere");
    let changed = change(json!({ "url": elsewhere, "active": true })).await.expect(200);
    assert_eq!(
        (&changed["url"], &changed["state"]),
        (&json!(elsewhere), &json!("active"))
    );
    let told = house.receiver.taken_once(2).await;
    assert_eq!(told[1].path, "/elsewhere");
    assert_eq!(numbers(&told[1..]), house.numbers("grant-given").await);
}

async fn who_manages_no_more_has_nothing_told(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let own = house.hook("/own", json!(["grant-given"])).await;
    let organization = house.ana.organization.clone();
    let member = |person: &str| format!("/v1/organizations/{organization}/members/{person}");
    for (n, leave) in ["removed", "demoted", "moved"].into_iter().enumerate() {
        let mal = house.ana.manager(&format!("mal{n}")).await;
        let theirs = match leave {
            // Made by another, and told to an address of theirs since.
            "moved" => {
                let change = json!({ "url": house.receiver.url("/mal") });
                mal.patch(&format!("/v1/webhooks/{own}")).json(change).await.expect(200);
                own.clone()
            }
            _ => {
                let made = make(&mal, &house.receiver.url("/mal"), json!(["grant-given"])).await;
                made["id"].as_str().unwrap().to_owned()
            }
        };
        assert_eq!(house.shown(&theirs).await["state"], "active");
        match leave {
            "demoted" => drop(house.ana.change_role(&mal, "desk").await.expect(200)),
            _ => drop(house.ana.delete(&member(&mal.id)).await.expect(200)),
        }
        assert_eq!(house.shown(&theirs).await["state"], "paused", "{leave}");
        let stopped = &house.entries("webhook-stopped").await[0];
        assert_eq!(
            (&stopped["reason"], &stopped["detail"]["webhook_id"]),
            (&json!("paused"), &json!(theirs))
        );
    }
    let told = house.ana.list("/v1/me/notices?limit=200").await;
    let told = told.iter().filter(|notice| notice["kind"] == "webhook-stopped");
    assert_eq!(told.count(), 3, "whoever manages hears of each");
    let count = |house: &House, path: &str| house.receiver.told().iter().filter(|told| told.path == path).count();
    let before = count(&house, "/mal");
    house.give().await;
    let change = json!({ "url": house.receiver.url("/own"), "active": true });
    house
        .ana
        .patch(&format!("/v1/webhooks/{own}"))
        .json(change)
        .await
        .expect(200);
    let newest = house.numbers("grant-given").await.pop();
    until("the house to be told", async || {
        numbers(&house.receiver.told()).pop() == newest
    })
    .await;
    assert_eq!(count(&house, "/mal"), before);
}

async fn a_removed_webhook_is_told_nothing(database: TestDatabase) {
    let mut house = House::start(&database).await;
    let id = house.hook("/", json!([])).await;
    house.receiver.taken_once(1).await;
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(house.ana.request("DELETE", &path).await.status, 204);
    house.ana.get(&path).await.expect_problem(404, "not-found");
    house
        .ana
        .request("DELETE", &path)
        .await
        .expect_problem(404, "not-found");
    // The next one is told of the removal's next, and the removed one of nothing.
    house.hook("/second", json!([])).await;
    house.give().await;
    until("the second one to know", async || {
        house
            .receiver
            .told()
            .iter()
            .filter(|told| told.path == "/second")
            .count()
            == 2
    })
    .await;
    assert_eq!(house.receiver.told().iter().filter(|told| told.path == "/").count(), 1);
    assert_eq!(house.entries("webhook-removed").await.len(), 1);
}

async fn there_is_a_most(database: TestDatabase) {
    let house = House::start(&database).await;
    let make = || {
        let webhook = json!({ "organization_id": house.ana.organization, "url": house.receiver.url("/") });
        house.ana.post("/v1/webhooks").json(webhook)
    };
    for _ in 0..19 {
        make().await.expect(201);
    }
    let (one, other) = tokio::join!(make(), make());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    make().await.expect_problem(409, "too-many-webhooks");
    let page = house.ana.get("/v1/webhooks?limit=200").await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 20);
}

async fn a_stolen_database_tells_no_address(database: TestDatabase) {
    let mut house = House::start(&database).await;
    house.hook("/?token=that-opens-the-chat", json!([])).await;
    house.receiver.taken_once(1).await;
    let mut outsider = Outsider::at(&database);
    let kept = outsider.rows(&["sealed_url"], "webhooks");
    assert_eq!(kept.len(), 1);
    assert!(
        !kept[0][0].contains("token") && !kept[0][0].contains("127.0.0.1"),
        "{kept:?}"
    );
    let said = outsider.rows(&["detail"], "access_log WHERE kind = 'webhook-made'");
    assert!(
        said[0][0].contains("127.0.0.1") && !said[0][0].contains("token"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_tell_each_event_once() {
    let database = TestDatabase::postgres();
    let mut receiver = Receiver::start().await;
    let section = receiver.section();
    let (one, two, _broker) = two_nodes_with(&database, |config| config.webhooks = section).await;
    receiver.set_clock(one.clock.now().as_millis() / 1000).await;
    let ana = one.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let made = make(&ana, &receiver.url("/"), json!(["grant-given"])).await;
    receiver.know(&made["secret"]).await;
    for _ in 0..30 {
        ana.grant(&gus, &door, json!({})).await;
    }
    let told = receiver.taken_once(31).await;
    assert!(numbers(&told).is_sorted());
    drop(two);
}
