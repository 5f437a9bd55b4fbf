//! Lockdowns from outside: whom they keep out, which doors, how several hold together, and who is told.

use std::time::Duration;

use doorward::domain::ids::LockId;
use doorward::domain::time::Clock as _;
use doorward::store::lockdowns;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::soon;
use crate::world::{Landlord, Person, Property, TestServer, house};

on_each_database!(
    nobody_but_the_excepted_is_let_in_until_it_ends_by_itself,
    a_part_is_the_shared_doors_or_those_of_units_or_some,
    several_hold_together_and_each_has_its_own_exceptions,
    one_is_prolonged_and_ended_early,
    a_list_counts_as_it_stands_at_the_time,
    people_are_told_and_residents_see_that_there_is_one,
    who_may_not_open_anyway_is_told_as_ever,
    what_is_no_lockdown_is_refused,
    no_more_hold_at_once_than_locks_can_be_told_of,
    what_exceptions_have_grown_to_by_themselves_refuses_no_other_change,
    whatever_a_lockdown_concerns_is_on_one_page_after_the_other,
    it_waits_for_a_second_person_where_the_rules_say_so,
);

const MINUTE: Duration = Duration::from_secs(60);

/// The reasons and details of the log's entries of this kind, the newest first.
async fn entries(ana: &Landlord, kind: &str) -> Vec<Value> {
    ana.list(&format!("/v1/access-log?kind={kind}")).await
}

async fn kinds_told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await;
    let kinds = notices.iter().map(|notice| notice["kind"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind.starts_with("lockdown")).collect()
}

async fn shown(person: &Person, house: &Property) -> Value {
    let path = format!("/v1/properties/{}/lockdown", house.id);
    person.get(&path).await.expect(200)
}

/// Waits until the end of a lockdown stands in the log, and looks whether it stands there once.
async fn until_noted(t: &TestServer, ana: &Landlord) -> Value {
    soon("the end to be noted", async {
        while entries(ana, "lockdown-ended").await.is_empty() {
            t.app().end_lockdowns_by_time().await.unwrap();
        }
    })
    .await;
    t.app().end_lockdowns_by_time().await.unwrap();
    let mut ended = entries(ana, "lockdown-ended").await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    ended.remove(0)
}

async fn nobody_but_the_excepted_is_let_in_until_it_ends_by_itself(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let (gus, fay, pia) = (ana.guest("gus").await, ana.guest("fay").await, ana.guest("pia").await);
    let ways = json!({ "ways": ["app", "offline", "pin"] });
    let grant = ana.grant(&gus, &door, ways.clone()).await;
    ana.grant(&fay, &door, json!({})).await;
    let excepted = ana.grant(&pia, &door, ways).await;
    gus.unlock(&door).await.expect_opened();
    let until = t.clock.after(60 * MINUTE);
    let except = json!({ "person_ids": [fay.id], "grant_ids": [excepted["id"]] });
    let ordered = ana.lock_down(&house, 60, json!({ "except": except })).await.expect(201);
    assert_eq!(
        (
            &ordered["until"],
            &ordered["part"],
            &ordered["reason"],
            &ordered["except"]["person_ids"]
        ),
        (&json!(until), &json!("whole"), &json!("Gas leak"), &json!([fay.id]))
    );
    assert_eq!(ordered["locks"][0]["status"], "holds", "{ordered}");
    assert_eq!(ordered["locks"][0]["may_open_until"], Value::Null);

    let problem = gus.unlock(&door).await.expect_refused("lockdown");
    assert_eq!(problem["opens_at"], until);
    fay.unlock(&door).await.expect_opened();
    pia.unlock(&door).await.expect_opened();
    gus.lock(&door).await.expect_opened();
    let openable = gus.list("/v1/me/locks").await;
    assert_eq!(openable[0]["reason"], "lockdown", "{openable:?}");
    let (his, hers) = (gus.phone().await, fay.phone().await);
    let problem = gus.pass(&his, &[&door]).await.expect_problem(403, "pass-refused");
    assert_eq!(
        (&problem["reason"], &problem["opens_at"]),
        (&json!("lockdown"), &json!(until))
    );
    fay.pass(&hers, &[&door]).await.expect(200);
    for kind in ["synced", "computed"] {
        let path = |grant: &Value| format!("/v1/grants/{}/pin", grant["id"].as_str().unwrap());
        let asked = ana.post(&path(&grant)).json(json!({ "kind": kind }));
        asked.await.expect_problem(409, "lockdown");
        if kind == "synced" {
            ana.post(&path(&excepted))
                .json(json!({ "kind": kind }))
                .await
                .expect(201);
        }
    }

    t.clock.advance(60 * MINUTE - Duration::from_millis(1));
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_refused("lockdown");
    t.clock.advance(Duration::from_millis(1));
    gus.unlock(&door).await.expect_opened();
    let ended = until_noted(&t, &ana).await;
    assert_eq!((&ended["reason"], &ended["actor_id"]), (&json!("time"), &Value::Null));
    assert_eq!(ended["detail"]["lockdown_id"], ordered["id"]);
    let begun = entries(&ana, "lockdown-begun").await;
    assert_eq!(
        (&begun[0]["actor_id"], &begun[0]["property_id"]),
        (&json!(ana.id), &json!(house.id))
    );
    assert_eq!(shown(&ana, &house).await, json!({ "lockdowns": [], "locks": [] }));
}

async fn a_part_is_the_shared_doors_or_those_of_units_or_some(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (one, two) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let front = ana.add_lock(&house, "Front door").await;
    let (first, second) = (
        ana.add_lock_of(&one, "Flat 1").await,
        ana.add_lock_of(&two, "Flat 2").await,
    );
    let doors = [&front, &first, &second];
    let locks = (front.install().await, first.install().await, second.install().await);
    let gus = ana.guest("gus").await;
    ana.give(&doors, json!({ "person_id": gus.id }), json!({}))
        .await
        .expect(201);
    for (part, shut) in [
        (json!("shared"), [true, false, false]),
        (json!({ "unit_ids": [two.id] }), [false, false, true]),
        (json!({ "lock_ids": [front.id, first.id] }), [true, true, false]),
        (Value::Null, [true, true, true]),
    ] {
        let ordered = ana.lock_down(&house, 10, json!({ "part": part })).await.expect(201);
        let covered = ordered["locks"].as_array().unwrap().iter().map(|lock| &lock["lock_id"]);
        assert_eq!(
            covered.count(),
            shut.into_iter().filter(|is_shut| *is_shut).count(),
            "{ordered}"
        );
        for (door, is_shut) in doors.iter().zip(shut) {
            let answer = gus.unlock(door).await;
            if is_shut {
                answer.expect_refused("lockdown");
            } else {
                answer.expect_opened();
            }
        }
        let path = format!("/v1/lockdowns/{}", ordered["id"].as_str().unwrap());
        ana.delete(&path).await.expect(200);
        gus.unlock(&front).await.expect_opened();
    }
    drop(locks);
}

async fn several_hold_together_and_each_has_its_own_exceptions(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let (gus, fay, pia) = (ana.guest("gus").await, ana.guest("fay").await, ana.guest("pia").await);
    for person in [&gus, &fay, &pia] {
        ana.grant(person, &door, json!({})).await;
    }
    let (short, long) = (t.clock.after(10 * MINUTE), t.clock.after(20 * MINUTE));
    let except = |persons: &[&Person]| {
        let ids: Vec<&str> = persons.iter().map(|person| person.id.as_str()).collect();
        json!({ "except": { "person_ids": ids } })
    };
    ana.lock_down(&house, 10, except(&[&fay, &pia])).await.expect(201);
    ana.lock_down(&house, 20, except(&[&pia])).await.expect(201);
    for (person, until) in [(&gus, &long), (&fay, &long)] {
        assert_eq!(
            person.unlock(&door).await.expect_refused("lockdown")["opens_at"],
            *until
        );
    }
    pia.unlock(&door).await.expect_opened();
    // The lock keeps to both by itself; the second alone goes on.
    let all = shown(&ana, &house).await;
    assert_eq!(all["lockdowns"].as_array().unwrap().len(), 2);
    let untils: Vec<&Value> = all["lockdowns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lockdown| &lockdown["until"])
        .collect();
    assert!(
        untils.contains(&&json!(short)) && untils.contains(&&json!(long)),
        "{all}"
    );
    t.clock.advance(10 * MINUTE);
    lock.until_online(&ana, true).await;
    fay.unlock(&door).await.expect_refused("lockdown");
    t.clock.advance(10 * MINUTE);
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
}

async fn one_is_prolonged_and_ended_early(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let (gus, fay) = (ana.guest("gus").await, ana.guest("fay").await);
    ana.grant(&gus, &door, json!({})).await;
    ana.grant(&fay, &door, json!({})).await;
    let ordered = ana.lock_down(&house, 10, json!({})).await.expect(201);
    let path = format!("/v1/lockdowns/{}", ordered["id"].as_str().unwrap());
    fay.unlock(&door).await.expect_refused("lockdown");
    let until = t.clock.after(30 * MINUTE);
    let change = json!({ "until": until, "reason": "Still a gas leak", "except": { "person_ids": [fay.id] } });
    let changed = ana.put(&path).json(change.clone()).await.expect(200);
    assert_eq!(
        (&changed["until"], &changed["begun_at"]),
        (&json!(until), &ordered["begun_at"])
    );
    assert_eq!(changed["locks"][0]["status"], "holds", "{changed}");
    fay.unlock(&door).await.expect_opened();
    t.clock.advance(20 * MINUTE);
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_refused("lockdown");

    let over = ana.delete(&path).await.expect(200);
    assert_eq!(
        over,
        json!({ "lockdowns": [], "locks": [] }),
        "the lock has confirmed it at once"
    );
    gus.unlock(&door).await.expect_opened();
    ana.delete(&path).await.expect(200);
    let ended = entries(&ana, "lockdown-ended").await;
    assert_eq!(ended.len(), 1, "a second time changes nothing");
    assert_eq!(
        (&ended[0]["reason"], &ended[0]["actor_id"]),
        (&json!("early"), &json!(ana.id))
    );
    let change = json!({ "until": t.clock.after(MINUTE), "reason": "Again" });
    ana.put(&path).json(change).await.expect_problem(409, "lockdown-over");
    assert_eq!(entries(&ana, "lockdown-changed").await.len(), 1);

    // All of a property's at once.
    for _ in 0..2 {
        ana.lock_down(&house, 10, json!({})).await.expect(201);
    }
    let path = format!("/v1/properties/{}/lockdown", house.id);
    ana.delete(&path).await.expect(200);
    assert_eq!(entries(&ana, "lockdown-ended").await.len(), 3);
    ana.delete(&path).await.expect(200);
    assert_eq!(entries(&ana, "lockdown-ended").await.len(), 3);
    gus.unlock(&door).await.expect_opened();
}

async fn a_list_counts_as_it_stands_at_the_time(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let fay = ana.guest("fay").await;
    ana.grant(&fay, &door, json!({})).await;
    let path = |name: &str| format!("/v1/properties/{}/lockdown-lists/{name}", house.id);
    let except = |name: &str| json!({ "except": { "lists": [name] } });
    ana.lock_down(&house, 10, except("fire-brigade"))
        .await
        .expect_invalid("except.lists");
    // The one that every property has need not be written first.
    let ordered = ana
        .lock_down(&house, 10, except("emergency-services"))
        .await
        .expect(201);
    fay.unlock(&door).await.expect_refused("lockdown");
    let list = json!({ "person_ids": [fay.id] });
    let written = ana.put(&path("emergency-services")).json(list).await.expect(200);
    assert_eq!(
        written,
        json!({ "name": "emergency-services", "person_ids": [fay.id], "grant_ids": [] })
    );
    // The lock goes by it as well: it was told, and opens to her.
    fay.unlock(&door).await.expect_opened();
    ana.put(&path("emergency-services")).json(json!({})).await.expect(200);
    fay.unlock(&door).await.expect_refused("lockdown");
    ana.put(&path("Fire")).json(json!({})).await.expect_no("list");
    let lists = ana
        .get(&format!("/v1/properties/{}/lockdown-lists", house.id))
        .await
        .expect(200);
    assert_eq!(lists["lists"][0]["name"], "emergency-services");
    assert_eq!(ordered["except"]["lists"], json!(["emergency-services"]));
    lock.until_settled().await;
}

async fn people_are_told_and_residents_see_that_there_is_one(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (one, two) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let own = ana.add_lock_of(&one, "Flat 1").await;
    let (tom, tia) = (ana.tenant("tom", &one).await, ana.tenant("tia", &two).await);
    let (gus, fay, vic) = (ana.guest("gus").await, ana.guest("fay").await, ana.guest("vic").await);
    ana.grant(&gus, &own, json!({})).await;
    ana.grant(&fay, &own, json!({})).await;
    let over = ana.grant(&vic, &own, json!({})).await;
    ana.revoke(&over).await;
    let terms = json!({ "part": { "unit_ids": [one.id] }, "except": { "person_ids": [fay.id] } });
    let ordered = ana.lock_down(&house, 10, terms).await.expect(201);
    assert_eq!(
        ordered["locks"][0]["status"], "pending",
        "no lock is installed: {ordered}"
    );
    for (person, told) in [(&tom, 1), (&gus, 1), (&fay, 0), (&tia, 0), (&vic, 0), (&*ana, 0)] {
        assert_eq!(
            kinds_told(person).await,
            vec!["lockdown-begun"; told],
            "{}",
            person.name
        );
    }
    let mut notices = tom.list("/v1/me/notices").await.into_iter();
    let notice = notices.find(|notice| notice["kind"] == "lockdown-begun").unwrap();
    assert_eq!(notice["detail"]["reason"], "Gas leak");
    assert_eq!(notice["actor_id"], *ana.id);

    let seen = shown(&tom, &house).await;
    assert_eq!(seen["lockdowns"][0]["until"], ordered["until"]);
    assert_eq!(seen["lockdowns"][0]["part"], "some");
    let told = seen["lockdowns"][0].as_object().unwrap();
    assert!(!told.contains_key("except") && !told.contains_key("begun_by"), "{seen}");
    assert_eq!(seen.get("locks"), None);
    assert_eq!(shown(&gus, &house).await["lockdowns"].as_array().unwrap().len(), 1);
    assert_eq!(
        shown(&tia, &house).await,
        json!({ "lockdowns": [] }),
        "none of her doors"
    );
    let path = format!("/v1/properties/{}/lockdown", house.id);
    vic.get(&path).await.expect_problem(403, "forbidden");
    let viewer = ana.staff("vik", "viewer").await;
    assert_eq!(shown(&viewer, &house).await["locks"][0]["lock_id"], own.id);
    t.landlord("eve").await.get(&path).await.expect_no("property");

    t.clock.advance(10 * MINUTE);
    until_noted(&t, &ana).await;
    assert_eq!(kinds_told(&tom).await, ["lockdown-ended", "lockdown-begun"]);
    assert_eq!(kinds_told(&fay).await, Vec::<String>::new());
}

async fn who_may_not_open_anyway_is_told_as_ever(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let (gus, later, used) = (ana.guest("gus").await, ana.guest("lea").await, ana.guest("uli").await);
    let starts_at = t.clock.after(5 * MINUTE);
    ana.grant(&later, &door, json!({ "starts_at": starts_at })).await;
    let mornings = json!({ "weekly": [{ "days": ["mon"], "from": "08:00", "to": "09:05" }] });
    ana.grant(&used, &door, json!({ "schedule": mornings })).await;
    ana.lock_down(&house, 10, json!({})).await.expect(201);
    gus.unlock(&door).await.expect_refused("no-access");
    // It opens when both allow it.
    let problem = later.unlock(&door).await.expect_refused("not-yet");
    assert_eq!(problem["opens_at"], t.clock.after(10 * MINUTE));
    let problem = used.unlock(&door).await.expect_refused("lockdown");
    assert_eq!(
        problem["opens_at"], "2026-03-09T07:00:00.000Z",
        "the window is over by then"
    );
}

async fn what_is_no_lockdown_is_refused(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Europe/Vienna").await;
    let (unit, door) = (ana.add_unit(&annex, "Flat 9").await, ana.add_lock(&annex, "Gate").await);
    let eve = t.landlord("eve").await;
    let (hers, gus) = (eve.add_property("Europe/Vienna").await, ana.guest("gus").await);
    let week = Duration::from_secs(7 * 24 * 3600);
    for (field, terms) in [
        ("until", json!({ "until": t.clock.after(Duration::ZERO) })),
        ("until", json!({ "until": "2026-03-01T00:00:00Z" })),
        (
            "until",
            json!({ "until": t.clock.after(week + Duration::from_millis(1)) }),
        ),
        ("until", json!({ "until": "for ever" })),
        ("reason", json!({ "reason": "" })),
        ("reason", json!({ "reason": "r".repeat(201) })),
        ("part", json!({ "part": "garden" })),
        ("part", json!({ "part": { "unit_ids": [] } })),
        (
            "part",
            json!({ "part": { "unit_ids": [unit.id], "lock_ids": [door.id] } }),
        ),
        ("part", json!({ "part": { "lock_ids": vec![door.id.as_str(); 201] } })),
        ("except", json!({ "except": { "person_ids": [gus.id, gus.id] } })),
    ] {
        ana.lock_down(&house, 10, terms).await.expect_invalid(field);
    }
    for (what, terms) in [
        ("unit", json!({ "part": { "unit_ids": [unit.id] } })),
        ("lock", json!({ "part": { "lock_ids": [door.id] } })),
        ("person", json!({ "except": { "person_ids": [eve.id] } })),
        (
            "grant",
            json!({ "except": { "grant_ids": [format!("grant_{:032x}", 7)] } }),
        ),
    ] {
        ana.lock_down(&house, 10, terms).await.expect_no(what);
    }
    ana.lock_down(&hers, 10, json!({})).await.expect_no("property");
    let ordered = ana
        .lock_down(&house, 10, json!({ "until": t.clock.after(week) }))
        .await
        .expect(201);
    let path = format!("/v1/lockdowns/{}", ordered["id"].as_str().unwrap());
    eve.delete(&path).await.expect_no("lockdown");
    eve.put(&path)
        .json(json!({ "until": t.clock.after(MINUTE), "reason": "Mine" }))
        .await
        .expect_no("lockdown");
    assert_eq!(
        entries(&ana, "lockdown-begun").await.len(),
        1,
        "what is refused writes nothing"
    );
}

async fn no_more_hold_at_once_than_locks_can_be_told_of(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    for _ in 0..4 {
        ana.lock_down(&house, 10, json!({})).await.expect(201);
    }
    ana.lock_down(&house, 10, json!({}))
        .await
        .expect_problem(409, "too-many-lockdowns");
    t.clock.advance(10 * MINUTE);
    ana.lock_down(&house, 10, json!({})).await.expect(201);
}

async fn what_exceptions_have_grown_to_by_themselves_refuses_no_other_change(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    let first = ana
        .grant(&gus, &door, json!({ "ends_at": t.clock.after(600 * MINUTE) }))
        .await;
    gus.pass(&gus.phone().await, &[&door]).await.expect(200);
    let mut given = vec![first["id"].clone()];
    for _ in 0..48 {
        given.push(ana.grant(&gus, &door, json!({})).await["id"].clone());
    }
    let path = |name: &str| format!("/v1/properties/{}/lockdown-lists/{name}", house.id);
    let put = async |name: &str, grants: &[Value]| ana.put(&path(name)).json(json!({ "grant_ids": grants })).await;
    put("first", &given[..24]).await.expect(200);
    put("second", &given[24..48]).await.expect(200);
    put("third", &[]).await.expect(200);
    // As many names as a lock holds, and another order besides.
    let except = json!({ "except": { "lists": ["first", "second", "third"] } });
    ana.lock_down(&house, 60, except).await.expect(201);
    let other = ana.lock_down(&house, 60, json!({})).await.expect(201);
    put("third", &given[48..]).await.expect_invalid("except");
    // The grant with a pass is cut short: what is issued by it from now on has another name, which is one too many.
    let shorter = json!({ "lock_ids": [door.id], "starts_at": t.clock.after(Duration::ZERO), "ends_at": t.clock.after(300 * MINUTE) });
    let grant = format!("/v1/grants/{}", first["id"].as_str().unwrap());
    ana.put(&grant).json(shorter).await.expect(200);

    put("third", &given[48..]).await.expect_invalid("except");
    put("unused", &given[48..]).await.expect(200);
    let another = ana.lock_down(&house, 60, json!({})).await.expect(201);
    for ordered in [&other, &another] {
        let path = format!("/v1/lockdowns/{}", ordered["id"].as_str().unwrap());
        ana.delete(&path).await.expect(200);
    }
    let path = format!("/v1/properties/{}/lockdown", house.id);
    ana.delete(&path).await.expect(200);
    gus.unlock(&door).await.expect_opened();
}

async fn whatever_a_lockdown_concerns_is_on_one_page_after_the_other(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let mut ids: Vec<String> = Vec::new();
    for number in 0..5 {
        ids.push(ana.add_lock(&house, &format!("Door {number}")).await.id.to_string());
    }
    ids.sort_unstable();
    ana.lock_down(&house, 60, json!({})).await.expect(201);
    let now = t.clock.now();
    t.stop().await;
    let db = database.open();
    let mut after: Option<LockId> = None;
    let mut pages = Vec::new();
    loop {
        let from = after.take();
        let page = db
            .read(move |conn| lockdowns::concerned(conn, now, from.as_ref(), 2))
            .await
            .unwrap();
        pages.push(page.iter().map(ToString::to_string).collect::<Vec<_>>());
        match page.last() {
            Some(last) => after = Some(last.clone()),
            None => break,
        }
    }
    assert_eq!(
        pages,
        [ids[..2].to_vec(), ids[2..4].to_vec(), ids[4..].to_vec(), vec![]]
    );
    db.close().await;
}

async fn it_waits_for_a_second_person_where_the_rules_say_so(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let (gus, max) = (ana.guest("gus").await, ana.manager("max").await);
    ana.grant(&gus, &door, json!({})).await;
    let rules = format!("/v1/organizations/{}/rules", ana.organization);
    let wanted = json!({
        "two_person": { "whole_property_grants": false, "lockdown": true }, "self_grant_delay_hours": 24,
    });
    ana.put(&rules).json(wanted).await.expect(200);

    ana.lock_down(&house, 10, json!({ "until": "2026-01-01T00:00:00Z" }))
        .await
        .expect_invalid("until");
    let proposed = ana.lock_down(&house, 10, json!({})).await.expect(202);
    assert_eq!(proposed["kind"], "lockdown");
    gus.unlock(&door).await.expect_opened();
    let path = format!("/v1/proposals/{}/confirm", proposed["proposal_id"].as_str().unwrap());
    let confirmed = max.post(&path).await.expect(200);
    assert_eq!(confirmed["lockdown"]["until"], t.clock.after(10 * MINUTE));
    assert_eq!(confirmed["lockdown"]["begun_by"], ana.id);
    gus.unlock(&door).await.expect_refused("lockdown");
    assert_eq!(shown(&max, &house).await["locks"][0]["status"], "holds");
    // To end it never waits.
    let path = format!("/v1/properties/{}/lockdown", house.id);
    max.delete(&path).await.expect(200);
    gus.unlock(&door).await.expect_opened();
}
