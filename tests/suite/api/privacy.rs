//! Who sees what of whose door, looks at what is hidden, and for how long anything is kept.

use std::time::Duration;

use doorward::agent::bolt::SimulatedBolt;
use doorward::agent::dice::Dice;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Door, InstalledLock, Landlord, Person, Property, TestServer, Unit, house};

on_each_database!(
    a_landlord_does_not_watch_a_home,
    the_log_of_a_home_goes_with_its_time,
    how_a_lock_is_shows_without_who,
    a_curious_landlord_looks_before_the_tenants_eyes,
    a_look_is_refused_that_does_not_hold_together,
    a_landlord_who_sees_more_says_so_first,
    keeping_longer_needs_a_reason,
);

/// A flat in which Tom and Mia live, with its own door beside the front door of the house.
struct Home {
    t: TestServer,
    ana: Landlord,
    house: Property,
    flat: Unit,
    front: Door,
    own: Door,
    tom: Person,
    mia: Person,
    locks: [InstalledLock; 2],
}

async fn home(database: &TestDatabase) -> Home {
    let (t, ana, house) = house(database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let front = ana.add_lock(&house, "Front door").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let locks = [front.install().await, own.install().await];
    let (tom, mia) = (ana.tenant("tom", &flat).await, ana.tenant("mia", &flat).await);
    Home {
        t,
        ana,
        house,
        flat,
        front,
        own,
        tom,
        mia,
        locks,
    }
}

impl Home {
    /// Goes to this time, and waits until the locks are heard of again.
    async fn at(&self, time: &str) {
        self.t.clock.set(time);
        for lock in &self.locks {
            lock.until_online(&self.ana, true).await;
        }
    }
}

/// Who came or went at the door, as this person reads it: each once, the newest first.
async fn comings(reader: &Person, door: &Door) -> Vec<String> {
    let log = reader
        .list(&format!("/v1/access-log?lock_id={}&limit=200", door.id))
        .await;
    let asked = log.iter().filter(|entry| entry["kind"] == "unlock-requested");
    asked
        .map(|entry| entry["person_name"].as_str().unwrap_or("nobody").to_owned())
        .collect()
}

fn look(unit: &Unit, from: &str, to: &str, minutes: u32) -> Value {
    json!({ "unit_id": unit.id, "from": from, "to": to, "reason": "Water on the ceiling below", "minutes": minutes })
}

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

async fn a_landlord_does_not_watch_a_home(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        tom,
        mia,
        own,
        front,
        ..
    } = &home;
    let cleaner = ana.guest("cleaner").await;
    let (vic, dee) = (ana.staff("vic", "viewer").await, ana.staff("dee", "desk").await);
    ana.grant(&cleaner, own, json!({})).await;
    for (person, door) in [(tom, front), (tom, own), (mia, own), (&cleaner, own), (mia, front)] {
        person.unlock(door).await.expect_opened();
    }
    // A manager at a tenant's door is the landlord's business, and the tenants'.
    ana.unlock(own).await.expect_refused("no-access");
    // Somebody who was let in by nobody is the tenants' alone.
    let neighbour = ana.tenant("nia", &ana.add_unit(&home.house, "Flat 2").await).await;
    neighbour.unlock(own).await.expect_refused("no-access");

    for reader in [&**ana, &vic] {
        assert_eq!(comings(reader, own).await, ["ana", "cleaner"], "{}", reader.name);
        assert_eq!(comings(reader, front).await, ["mia", "tom"], "{}", reader.name);
    }
    assert_eq!(comings(&dee, own).await, Vec::<String>::new());
    assert_eq!(comings(&dee, front).await, Vec::<String>::new());
    // Who live together do not watch each other.
    assert_eq!(comings(tom, own).await, ["nia", "ana", "cleaner", "tom"]);
    assert_eq!(comings(mia, own).await, ["nia", "ana", "cleaner", "mia"]);
    assert_eq!(comings(tom, front).await, ["tom"]);
    assert_eq!(comings(&cleaner, own).await, ["cleaner"]);
    assert_eq!(comings(&neighbour, own).await, ["nia"]);

    // Not by asking for one person, and not by a file.
    let of_tom = ana
        .list(&format!("/v1/access-log?person_id={}&kind=unlock-requested", tom.id))
        .await;
    assert!(
        !of_tom.is_empty() && of_tom.iter().all(|entry| entry["lock_id"] == front.id.as_str()),
        "{of_tom:?}"
    );
    let of_own = ana
        .get(&format!("/v1/access-log/export?format=jsonl&lock_id={}", own.id))
        .await;
    assert!(
        !of_own.text.contains(&tom.id) && !of_own.text.contains(&mia.id),
        "{}",
        of_own.text
    );
    // Nor what a lock says of its bolt.
    let moved = ana
        .list(&format!("/v1/access-log?kind=unlocked&lock_id={}", own.id))
        .await;
    assert_eq!(moved.len(), 1, "{moved:?}");
    // What the landlord does to the door its residents see.
    ana.patch(&own.path())
        .json(json!({ "name": "Top 1" }))
        .await
        .expect(200);
    for reader in [tom, mia] {
        let log = reader.list(&format!("/v1/access-log?lock_id={}", own.id)).await;
        assert_eq!(log[0]["kind"], "lock-changed", "{log:?}");
        assert!(kinds(&log).contains(&"grant-given"), "{log:?}");
    }
}

async fn the_log_of_a_home_goes_with_its_time(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let _lock = own.install().await;
    // Nobody lives there: whoever comes is seen.
    let painter = ana.guest("painter").await;
    ana.grant(&painter, &own, json!({})).await;
    painter.unlock(&own).await.expect_opened();
    t.clock.advance(Duration::from_secs(1));
    let tom = ana.tenant("tom", &flat).await;
    let attempt = tom.unlock(&own).await.expect_opened();
    t.clock.advance(Duration::from_secs(1));
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&path).await.expect(200);
    t.clock.advance(Duration::from_secs(1));
    ana.get(&format!("/v1/attempts/{}", attempt["id"].as_str().unwrap()))
        .await
        .expect_no("attempt");
    assert_eq!(comings(&ana, &own).await, ["painter"]);
    let mia = ana.tenant("mia", &flat).await;
    mia.unlock(&own).await.expect_opened();
    painter.unlock(&own).await.expect_opened();
    // Neither the landlord nor who lives there now sees what was Tom's.
    assert_eq!(comings(&ana, &own).await, ["painter", "painter"]);
    assert_eq!(comings(&mia, &own).await, ["painter", "mia"]);
}

async fn how_a_lock_is_shows_without_who(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let _lock = own
        .install_with(SimulatedBolt::jamming(Duration::ZERO, 1.0, Dice::new(1)))
        .await;
    let (tom, mia) = (ana.tenant("tom", &flat).await, ana.tenant("mia", &flat).await);
    tom.unlock(&own).await.expect(200);
    let jammed = |log: Vec<Value>| log.into_iter().find(|entry| entry["kind"] == "jammed");
    for reader in [&*ana, &mia] {
        let entry = jammed(reader.list("/v1/access-log?kind=jammed").await).unwrap();
        assert_eq!(entry["lock_id"], own.id.as_str());
        for member in ["person_id", "person_name", "actor_id", "grant_id", "attempt_id"] {
            assert!(entry[member].is_null(), "{member}: {entry}");
        }
        assert!(entry["detail"]["cause"].is_null(), "{entry}");
        // Whoever asks for Tom's entries is not told by this one that it was him.
        let asked = reader
            .list(&format!("/v1/access-log?person_id={}&kind=jammed", tom.id))
            .await;
        assert_eq!(asked, Vec::<Value>::new());
    }
    let own_entry = jammed(tom.list("/v1/access-log").await).unwrap();
    assert_eq!(own_entry["person_id"], tom.id.as_str());
}

async fn a_curious_landlord_looks_before_the_tenants_eyes(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        t,
        ana,
        flat,
        own,
        tom,
        mia,
        ..
    } = &home;
    let max = ana.manager("max").await;
    home.at("2026-03-02T09:00:00Z").await;
    let attempt = tom.unlock(own).await.expect_opened();
    let attempt = format!("/v1/attempts/{}", attempt["id"].as_str().unwrap());
    home.at("2026-03-02T10:00:00Z").await;
    mia.unlock(own).await.expect_opened();
    t.clock.set("2026-03-02T12:00:00Z");
    assert_eq!(comings(ana, own).await, Vec::<String>::new());
    ana.get(&attempt).await.expect_no("attempt");

    let asked = look(flat, "2026-03-02T08:30:00Z", "2026-03-02T09:30:00Z", 30);
    let opened = ana.post("/v1/looks").json(asked).await.expect(201);
    assert_eq!(opened["ends_at"], "2026-03-02T12:30:00.000Z");
    assert_eq!(opened["person_name"], "ana");
    for tenant in [tom, mia] {
        // Told before anything was seen.
        let told = &tenant.list("/v1/me/notices").await[0];
        assert_eq!(
            (&told["kind"], &told["unit_id"]),
            (&json!("look-opened"), &json!(flat.id))
        );
        assert_eq!(told["detail"]["reason"], "Water on the ceiling below");
        let looks = tenant.list("/v1/me/looks").await;
        assert_eq!(looks[0]["person_id"], ana.id);
        assert!(looks[0]["used_at"].is_null(), "{looks:?}");
    }
    // That part, for that person, and nothing else.
    assert_eq!(comings(ana, own).await, ["tom"]);
    assert_eq!(comings(&max, own).await, Vec::<String>::new());
    ana.get(&attempt).await.expect(200);
    max.get(&attempt).await.expect_no("attempt");
    let file = ana.get("/v1/access-log/export?format=jsonl").await;
    let lines: Vec<Value> = file
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let at_own = lines
        .iter()
        .filter(|entry| entry["lock_id"] == own.id.as_str() && entry["kind"] == "unlock-requested");
    assert_eq!(at_own.count(), 1, "{}", file.text);
    assert_eq!(tom.list("/v1/me/looks").await[0]["used_at"], "2026-03-02T12:00:00.000Z");
    let all = max.list("/v1/looks").await;
    assert_eq!(
        (all.len(), &all[0]["reason"]),
        (1, &json!("Water on the ceiling below"))
    );
    let entry = &max.list("/v1/access-log?kind=look-opened").await[0];
    assert_eq!(
        (&entry["actor_id"], &entry["unit_id"]),
        (&json!(ana.id), &json!(flat.id))
    );

    t.clock.set("2026-03-02T12:29:59.999Z");
    assert_eq!(comings(ana, own).await, ["tom"]);
    t.clock.set("2026-03-02T12:30:00Z");
    assert_eq!(comings(ana, own).await, Vec::<String>::new());
    ana.get(&attempt).await.expect_no("attempt");
    // Who sees no log sees no looks, and who did not live there is not told.
    let stranger = t.landlord("eve").await;
    assert_eq!(stranger.list("/v1/looks").await, Vec::<Value>::new());
    assert_eq!(stranger.list("/v1/me/looks").await, Vec::<Value>::new());
    // Who manages no more looks no more.
    let asked = look(flat, "2026-03-02T08:30:00Z", "2026-03-02T09:30:00Z", 30);
    max.post("/v1/looks").json(asked).await.expect(201);
    assert_eq!(comings(&max, own).await, ["tom"]);
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, max.id);
    ana.delete(&path).await.expect(200);
    let link = ana
        .invite(&max.email, json!({ "role": "viewer" }))
        .await
        .text_of("secret_link");
    let max = Person::accept(&t.http, "max", &max.email, &link).await;
    assert_eq!(comings(&max, own).await, Vec::<String>::new());
}

async fn a_look_is_refused_that_does_not_hold_together(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        t,
        ana,
        flat,
        own,
        front,
        tom,
        ..
    } = &home;
    t.clock.set("2026-03-02T12:00:00Z");
    let good = look(flat, "2026-03-02T08:30:00Z", "2026-03-02T09:30:00Z", 30);
    let with = |member: &str, value: Value| {
        let mut look = good.clone();
        look[member] = value;
        look
    };
    for (member, value, field) in [
        ("to", json!("2026-03-02T12:00:00.001Z"), "to"),
        ("to", json!("2026-03-02T08:30:00Z"), "to"),
        ("minutes", json!(0), "minutes"),
        ("minutes", json!(1441), "minutes"),
        ("reason", json!("  "), "reason"),
        ("reason", json!("a".repeat(301)), "reason"),
        ("lock_id", json!(own.id), "unit_id"),
        ("unit_id", Value::Null, "unit_id"),
    ] {
        ana.post("/v1/looks")
            .json(with(member, value))
            .await
            .expect_invalid(field);
    }
    let mut at_front = with("lock_id", json!(front.id));
    at_front["unit_id"] = Value::Null;
    ana.post("/v1/looks").json(at_front).await.expect_invalid("lock_id");
    let eve = t.landlord("eve").await;
    eve.post("/v1/looks").json(good.clone()).await.expect_no("unit");
    let mut at_own = with("lock_id", json!(own.id));
    at_own["unit_id"] = Value::Null;
    eve.post("/v1/looks").json(at_own.clone()).await.expect_no("lock");
    tom.post("/v1/looks").json(good).await.expect_problem(403, "forbidden");
    assert_eq!(tom.list("/v1/me/looks").await, Vec::<Value>::new());
    // At one door alone, and a look that is sent again is one look.
    for _ in 0..2 {
        let sent = ana.post("/v1/looks").json(at_own.clone()).idempotency_key("once");
        assert_eq!(sent.await.expect(201)["lock_id"], own.id.as_str());
    }
    assert_eq!(tom.list("/v1/me/looks").await.len(), 1);
}

async fn a_landlord_who_sees_more_says_so_first(database: TestDatabase) {
    let home = home(&database).await;
    let Home {
        ana,
        house,
        own,
        tom,
        mia,
        ..
    } = &home;
    let path = format!("/v1/properties/{}/privacy", house.id);
    let usual = json!({
        "own_doors": "private", "landlord_sees_since": null, "retention_days": 90, "retention_reason": null,
    });
    assert_eq!(tom.get(&path).await.expect(200), usual);
    tom.unlock(own).await.expect_opened();
    home.at("2026-03-02T09:00:00Z").await;
    let more = json!({ "own_doors": "landlord-sees", "retention_days": 90 });
    let shown = ana.request("PUT", &path).json(more.clone()).await.expect(200);
    assert_eq!(shown["landlord_sees_since"], "2026-03-02T09:00:00.000Z");
    for tenant in [tom, mia] {
        let told = &tenant.list("/v1/me/notices").await[0];
        assert_eq!(told["kind"], "privacy-changed");
        assert_eq!(told["detail"]["own_doors"], "landlord-sees");
    }
    // What was before stays hidden; of the rest the landlord sees all, and the tenants no more than before.
    assert_eq!(comings(ana, own).await, Vec::<String>::new());
    mia.unlock(own).await.expect_opened();
    assert_eq!(comings(ana, own).await, ["mia"]);
    assert_eq!(comings(tom, own).await, ["tom"]);
    // The same again changes nothing and tells nobody.
    home.at("2026-03-02T10:00:00Z").await;
    assert_eq!(ana.request("PUT", &path).json(more).await.expect(200), shown);
    let told = tom.list("/v1/me/notices").await;
    assert_eq!(
        kinds(&told).iter().filter(|kind| **kind == "privacy-changed").count(),
        1
    );
    // And back, at once.
    let less = json!({ "own_doors": "private", "retention_days": 90 });
    assert_eq!(ana.request("PUT", &path).json(less).await.expect(200), usual);
    mia.unlock(own).await.expect_opened();
    assert_eq!(comings(ana, own).await, ["mia"]);
    assert_eq!(ana.list("/v1/access-log?kind=privacy-changed").await.len(), 2);
}

async fn keeping_longer_needs_a_reason(database: TestDatabase) {
    let home = home(&database).await;
    let Home { t, ana, house, tom, .. } = &home;
    let path = format!("/v1/properties/{}/privacy", house.id);
    let put = |rule: Value| ana.request("PUT", &path).json(rule);
    for (days, reason, field) in [
        (json!(0), Value::Null, "retention_days"),
        (json!(1097), json!("why"), "retention_days"),
        (json!(91), Value::Null, "retention_reason"),
        (json!(91), json!(""), "retention_reason"),
        (json!(-1), Value::Null, "retention_days"),
    ] {
        put(json!({ "own_doors": "private", "retention_days": days, "retention_reason": reason }))
            .await
            .expect_invalid(field);
    }
    let longer = json!({ "own_doors": "private", "retention_days": 365, "retention_reason": "A trial at court" });
    put(longer.clone()).await.expect(200);
    assert_eq!(tom.get(&path).await.expect(200)["retention_reason"], "A trial at court");
    // Only who lives or works there reads it, and only managers change it.
    let gus = ana.guest("gus").await;
    gus.get(&path).await.expect_no("property");
    let eve = t.landlord("eve").await;
    eve.get(&path).await.expect_no("property");
    eve.request("PUT", &path)
        .json(longer.clone())
        .await
        .expect_no("property");
    tom.request("PUT", &path)
        .json(longer)
        .await
        .expect_problem(403, "forbidden");
}
