//! Moving in and out, at locks that are there and at locks that are away.

use std::time::Duration;

use doorward::domain::time::Timestamp;
use doorward_lock::wire::{Cause, Kind, RESULT_OK, Typ};
use serde_json::{Value, json};

use super::entries;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, HandLock, Landlord, claims_of, house};

on_each_database!(
    a_move_out_ends_everything_that_the_tenant_had,
    a_lock_that_is_away_is_waited_for_until_the_last_pass_ends,
    who_moves_in_takes_over_in_the_instant_in_which_the_other_leaves,
    no_pass_outlives_a_planned_end,
    an_end_brought_forward_says_how_long_a_pass_may_still_open,
    no_pass_outlives_an_end_that_comes_at_the_same_time,
    a_planned_end_clears_pins_and_voids_codes_when_its_time_comes,
    codes_at_a_shared_door_go_on_for_the_others,
    who_lives_on_opens_on,
    a_sublet_lasts_its_time_and_leaves_the_tenant_in,
    who_sublets_for_the_summer_comes_back_in_autumn,
    grants_that_go_on_are_named,
    who_works_for_the_landlord_keeps_what_they_need,
);

const HOUR: u64 = 3600;

/// The second at which every story begins.
const START: u64 = 1_772_438_400;

/// How long after it was issued a tenant's pass may open a door at the latest.
const TENANTS_LAST: Duration = Duration::from_secs(72 * HOUR + 61);

/// How long a token may still move a bolt.
const TOKEN: Duration = Duration::from_secs(10);

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

async fn pins(ana: &Landlord, door: &Door) -> Value {
    ana.get(&format!("{}/pins", door.path())).await.expect(200)
}

/// Takes what the lock is told of PINs until it holds all that it should; gives the generation of codes that it knows.
async fn take_pins(ana: &Landlord, door: &Door, lock: &mut HandLock) -> u64 {
    let wanted = pins(ana, door).await["version"].as_u64().unwrap();
    let mut codes = 0;
    while lock.pins < wanted {
        let said = claims_of(&lock.next_of(Typ::Pins).await);
        if said["base"].as_u64().unwrap() <= lock.pins && said["version"].as_u64().unwrap() > lock.pins {
            lock.pins = said["version"].as_u64().unwrap();
            codes = said["codes"].as_u64().unwrap();
            lock.report(Kind::Pins, Cause::Auto, RESULT_OK).await;
        }
    }
    lock.until_heard().await;
    codes
}

async fn until_ended(ana: &Landlord, count: usize) {
    until("the tenancies to be ended", async || {
        entries(ana, "tenancy-ended").await.len() >= count
    })
    .await;
}

async fn a_move_out_ends_everything_that_the_tenant_had(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (flat, front) = (
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let (own, _shared) = (flat.install().await, front.install().await);
    let tom = ana.tenant("tom", &unit).await;
    let phone = tom.phone().await;
    for door in [&flat, &front] {
        tom.unlock(door).await.expect_opened();
    }
    tom.pass(&phone, &[&flat, &front]).await.expect(200);
    // He has a PIN, by a grant of his landlord's.
    let to = json!({ "person_id": tom.id });
    let grant = ana
        .give(&[&flat, &front], to, json!({ "ways": ["app", "pin"] }))
        .await
        .expect(201);
    ana.post(&format!("/v1/grants/{}/pin", id(&grant))).await.expect(201);
    until("the lock to hold the PIN", async || {
        pins(&ana, &flat).await["status"] == "applied"
    })
    .await;

    t.clock.advance(Duration::from_secs(1));
    own.until_online(&ana, true).await;
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(
        (&ended["status"], &ended["waiting_for"], &ended["grants_left"]),
        (&json!("over"), &json!([]), &json!([]))
    );
    for door in [&flat, &front] {
        let refused = tom.unlock(door).await.expect_problem(403, "access-refused");
        assert_ne!(refused["reason"], "no-access", "{refused}");
        tom.pass(&phone, &[door]).await.expect_problem(403, "pass-refused");
        until("the lock to have forgotten the PIN", async || {
            pins(&ana, door).await["slots"] == json!([])
        })
        .await;
    }
    // Once the locks have said so, nothing is waited for but the last token.
    let again = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(again["effective_no_later_than"], t.clock.after(TOKEN));
    let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    assert_eq!(shown["revoked_at"], ended["ends_at"]);
    let revoked = &entries(&ana, "grant-revoked").await[0];
    assert_eq!(
        (&revoked["reason"], &revoked["person_id"], &revoked["grant_id"]),
        (&json!("tenancy-ended"), &json!(tom.id), &grant["id"])
    );
    // The unit's own lock has another key for codes, and the shared one not.
    let rotated = entries(&ana, "codes-rotated").await;
    assert_eq!(rotated.len(), 1, "{rotated:?}");
    assert_eq!(
        (&rotated[0]["lock_id"], &rotated[0]["reason"], &rotated[0]["actor_id"]),
        (&json!(flat.id), &json!("tenancy-ended"), &json!(ana.id))
    );
}

async fn a_lock_that_is_away_is_waited_for_until_the_last_pass_ends(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &unit).await;
    let phone = tom.phone().await;
    tom.pass(&phone, &[&door]).await.expect(200);
    let until = t.clock.after(TENANTS_LAST);
    lock.vanish();
    t.clock.advance(Duration::from_secs(HOUR));
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    for _ in 0..2 {
        let ended = ana.end_tenancy(&tenancy, json!({})).await;
        assert_eq!(
            (&ended["effective_no_later_than"], &ended["waiting_for"]),
            (&json!(until), &json!([door.id]))
        );
    }
    // It comes back, is told, and says so.
    lock.connect().await;
    let told = claims_of(&lock.next_of(Typ::Revocations).await);
    assert_eq!((&told["epoch"], &told["revoked"]), (&json!(1), &json!([tenancy["id"]])));
    lock.revocations = told["epoch"].as_u64().unwrap();
    lock.report(Kind::Revocations, Cause::Auto, RESULT_OK).await;
    lock.until_heard().await;
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(
        (&ended["effective_no_later_than"], &ended["waiting_for"]),
        (&json!(t.clock.after(TOKEN)), &json!([]))
    );
}

async fn who_moves_in_takes_over_in_the_instant_in_which_the_other_leaves(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (flat, front) = (
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let locks = [flat.install().await, front.install().await];
    let (tom, mia) = (ana.tenant("tom", &unit).await, ana.guest("mia").await);
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let noon = "2026-03-02T11:00:00.000Z";
    ana.end_tenancy(&tenancy, json!({ "ends_at": noon })).await;
    ana.tenancy(&mia, &unit, json!({ "starts_at": noon })).await;
    t.clock.set("2026-03-02T10:59:59.999Z");
    for (lock, door) in locks.iter().zip([&flat, &front]) {
        lock.until_online(&ana, true).await;
        tom.unlock(door).await.expect_opened();
        let early = mia.unlock(door).await.expect_refused("not-yet");
        assert_eq!(early["opens_at"], noon);
    }
    t.clock.advance(Duration::from_millis(1));
    for door in [&flat, &front] {
        tom.unlock(door).await.expect_refused("grant-expired");
        mia.unlock(door).await.expect_opened();
    }
    until_ended(&ana, 1).await;
    for door in [&flat, &front] {
        tom.unlock(door).await.expect_refused("grant-expired");
        mia.unlock(door).await.expect_opened();
    }
    assert_eq!(
        ana.list(&format!("/v1/tenancies?at={noon}")).await[0]["person_id"],
        *mia.id
    );
}

async fn no_pass_outlives_a_planned_end(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let (tom, mia) = (ana.tenant("tom", &unit).await, ana.guest("mia").await);
    let (his, hers) = (tom.phone().await, mia.phone().await);
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let noon = "2026-03-02T11:00:00.000Z";
    ana.end_tenancy(&tenancy, json!({ "ends_at": noon })).await;
    ana.tenancy(&mia, &unit, json!({ "starts_at": noon })).await;
    let claims = tom.pass_claims(&his, &[&door]).await;
    let end = START + 3 * HOUR;
    assert_eq!(
        claims["exp"].as_u64().unwrap(),
        end - 1,
        "its last second lies before the end"
    );
    let early = mia.pass(&hers, &[&door]).await.expect_problem(403, "pass-refused");
    assert_eq!(
        (&early["reason"], &early["opens_at"]),
        (&json!("not-yet"), &json!(noon))
    );
    // The lock is away at that minute; who moved in has a pass, and who moved out none.
    lock.vanish();
    t.clock.set(noon);
    let claims = mia.pass_claims(&hers, &[&door]).await;
    assert_eq!(claims["nbf"].as_u64().unwrap(), end);
    tom.pass(&his, &[&door]).await.expect_problem(403, "pass-refused");
    until_ended(&ana, 1).await;
    // A lock without any clock would take a pass that has ended: it is told all the same, by any phone too.
    let issued = mia.pass(&hers, &[&door]).await.expect(200);
    let documents = issued["locks"][0]["documents"].as_array().unwrap();
    let told = documents.iter().map(|document| claims_of(document.as_str().unwrap()));
    let revoked: Vec<Value> = told.filter_map(|told| told.get("revoked").cloned()).collect();
    assert_eq!(revoked, [json!([tenancy["id"]])]);
}

async fn an_end_brought_forward_says_how_long_a_pass_may_still_open(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &unit).await;
    let phone = tom.phone().await;
    tom.pass(&phone, &[&door]).await.expect(200);
    let until = t.clock.after(TENANTS_LAST);
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let starts_at = &tenancy["starts_at"];
    // Beyond the pass nothing is to be waited for.
    let later = json!({ "starts_at": starts_at, "ends_at": "2026-03-12T08:00:00Z" });
    let planned = ana.change_tenancy(&tenancy, later).await.expect(200);
    assert_eq!(
        (&planned["effective_no_later_than"], &planned["waiting_for"]),
        (&json!("2026-03-12T08:01:00.000Z"), &json!([]))
    );
    let soon_over = json!({ "ends_at": "2026-03-02T10:00:00Z" });
    let planned = ana.end_tenancy(&tenancy, soon_over).await;
    assert_eq!(
        (&planned["effective_no_later_than"], &planned["waiting_for"]),
        (&json!(until), &json!([door.id]))
    );
    // Meanwhile he lives there.
    lock.until_heard().await;
    let claims = tom.pass_claims(&phone, &[&door]).await;
    assert_eq!(claims["exp"].as_u64().unwrap(), START + 2 * HOUR - 1);
    // The lock is there when the time comes, and is told in that minute.
    t.clock.set("2026-03-02T10:00:00Z");
    lock.hello().await;
    let told = claims_of(&lock.next_of(Typ::Revocations).await);
    assert_eq!(told["revoked"], json!([tenancy["id"]]));
    lock.revocations = told["epoch"].as_u64().unwrap();
    lock.report(Kind::Revocations, Cause::Auto, RESULT_OK).await;
    lock.until_heard().await;
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(
        (&ended["effective_no_later_than"], &ended["waiting_for"]),
        (&json!(t.clock.after(TOKEN)), &json!([]))
    );
}

async fn no_pass_outlives_an_end_that_comes_at_the_same_time(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    lock.vanish();
    let tom = ana.guest("tom").await;
    let phone = tom.phone().await;
    let ends_at = t.clock.after(Duration::from_secs(HOUR));
    for _ in 0..12 {
        let tenancy = ana.tenancy(&tom, &unit, json!({})).await;
        let doors = [&door];
        let (claims, planned) = tokio::join!(
            tom.pass_claims(&phone, &doors),
            ana.end_tenancy(&tenancy, json!({ "ends_at": ends_at })),
        );
        // Either the pass ends before the tenancy, or the answer says that it does not.
        let expires_at = claims["exp"].as_u64().unwrap();
        let is_said = planned["waiting_for"] == json!([door.id]);
        let last: Timestamp = planned["effective_no_later_than"].as_str().unwrap().parse().unwrap();
        assert!(
            if is_said {
                last.as_seconds() > expires_at
            } else {
                expires_at < START + HOUR
            },
            "{claims} {planned}"
        );
        ana.end_tenancy(&tenancy, json!({})).await;
    }
}

async fn a_planned_end_clears_pins_and_voids_codes_when_its_time_comes(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &unit).await;
    let grant = ana.grant(&tom, &door, json!({ "ways": ["app", "pin"] })).await;
    ana.post(&format!("/v1/grants/{}/pin", id(&grant))).await.expect(201);
    assert_eq!(take_pins(&ana, &door, &mut lock).await, 0);
    let slot_ends = pins(&ana, &door).await["slots"][0]["ends_at"].clone();
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let ends_at = t.clock.after(Duration::from_secs(HOUR));
    let planned = ana.end_tenancy(&tenancy, json!({ "ends_at": ends_at })).await;
    // A lock that is away then may take the PIN until the end that it was told.
    assert!(
        slot_ends.is_null() || planned["effective_no_later_than"] == slot_ends,
        "{planned} {slot_ends}"
    );
    assert!(
        planned["effective_no_later_than"].as_str().unwrap() > "2027",
        "{planned}"
    );
    t.clock.set(&ends_at);
    lock.hello().await;
    until_ended(&ana, 1).await;
    assert_eq!(take_pins(&ana, &door, &mut lock).await, 1);
    assert_eq!(pins(&ana, &door).await["slots"], json!([]));
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(ended["effective_no_later_than"], t.clock.after(TOKEN));
    let revoked = &entries(&ana, "grant-revoked").await[0];
    assert_eq!(
        (&revoked["actor_id"], &revoked["reason"], &revoked["occurred_at"]),
        (&Value::Null, &json!("tenancy-ended"), &json!(ends_at))
    );
    assert_eq!(entries(&ana, "codes-rotated").await.len(), 1);
    let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    assert_eq!(shown["revoked_by"], *ana.id, "who planned the end stands for it");
}

async fn codes_at_a_shared_door_go_on_for_the_others(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let [flat, front] = [
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    ];
    let mut locks = [HandLock::install(&flat).await, HandLock::install(&front).await];
    let [tom, gus] = [ana.tenant("tom", &unit).await, ana.guest("gus").await];
    let by_pin = json!({ "ways": ["app", "pin"] });
    let guests = ana.grant(&gus, &front, by_pin.clone()).await;
    let to = json!({ "person_id": tom.id });
    let tenants = ana.give(&[&flat, &front], to, by_pin).await.expect(201);
    for (door, lock) in [&flat, &front].into_iter().zip(&mut locks) {
        take_pins(&ana, door, lock).await;
    }
    let computed = async |grant: &Value| {
        let path = format!("/v1/grants/{}/pin", id(grant));
        ana.post(&path).json(json!({ "kind": "computed" })).await.expect(201);
    };
    computed(&guests).await;
    t.clock.advance(Duration::from_secs(1));
    // Without a code of his at the front door, its codes go on.
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    ana.end_tenancy(&tenancy, json!({})).await;
    let rotated = async || -> Vec<Value> {
        let entries = entries(&ana, "codes-rotated").await.into_iter();
        entries.map(|entry| entry["lock_id"].clone()).collect()
    };
    assert_eq!(rotated().await, [json!(flat.id)]);
    let shown = ana.get(&format!("/v1/grants/{}", id(&tenants))).await.expect(200);
    assert!(shown["revoked_at"].is_string(), "{shown}");
    // With one of his they are void: one alone cannot be.
    take_pins(&ana, &flat, &mut locks[0]).await;
    let tenancy = ana.tenancy(&tom, &unit, json!({})).await;
    let to = json!({ "person_id": tom.id });
    let tenants = ana
        .give(&[&flat, &front], to, json!({ "ways": ["app", "pin"] }))
        .await
        .expect(201);
    computed(&tenants).await;
    t.clock.advance(Duration::from_secs(1));
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    let mut doors: Vec<String> = rotated().await.iter().map(ToString::to_string).collect();
    doors.sort_unstable();
    let mut expected = [&flat, &flat, &front].map(|door| json!(door.id).to_string());
    expected.sort_unstable();
    assert_eq!(doors, expected);
    // Until the locks have heard of it, the codes count to their end.
    assert_eq!(ended["effective_no_later_than"], "2026-03-08T23:00:00.000Z");
    for (door, lock) in [&flat, &front].into_iter().zip(&mut locks) {
        take_pins(&ana, door, lock).await;
    }
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(ended["effective_no_later_than"], t.clock.after(TOKEN));
}

async fn who_lives_on_opens_on(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let units = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let [first, second, front] = [
        ana.add_lock_of(&units[0], "Flat 1").await,
        ana.add_lock_of(&units[1], "Flat 2").await,
        ana.add_lock(&house, "Front door").await,
    ];
    let _locks = [first.install().await, second.install().await, front.install().await];
    // Tom lives in both flats, Mia with him in the first.
    let [tom, mia] = [ana.tenant("tom", &units[0]).await, ana.tenant("mia", &units[0]).await];
    ana.tenancy(&tom, &units[1], json!({})).await;
    for door in [&first, &second, &front] {
        tom.unlock(door).await.expect_opened();
    }
    let phones = [tom.phone().await, mia.phone().await];
    tom.pass(&phones[0], &[&first, &front]).await.expect(200);
    mia.pass(&phones[1], &[&first, &front]).await.expect(200);
    let tenancy = ana.tenancy_of(&tom, &units[0]).await;
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(ended["waiting_for"], json!([]));
    tom.unlock(&first).await.expect_refused("grant-expired");
    for (person, door) in [(&tom, &second), (&tom, &front), (&mia, &first), (&mia, &front)] {
        person.unlock(door).await.expect_opened();
    }
    // By the other flat he has passes of the front door again, and hers were never void.
    let claims = tom.pass_claims(&phones[0], &[&front]).await;
    assert_ne!(claims["gid"], tenancy["id"]);
    let claims = mia.pass_claims(&phones[1], &[&first]).await;
    assert_eq!(claims["gid"], ana.tenancy_of(&mia, &units[0]).await["id"]);
}

async fn a_sublet_lasts_its_time_and_leaves_the_tenant_in(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (flat, front) = (
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let locks = [flat.install().await, front.install().await];
    let (tom, sue) = (ana.tenant("tom", &unit).await, ana.guest("sue").await);
    let (begin, end) = ("2026-03-02T08:05:00.000Z", "2026-03-02T08:10:00.000Z");
    ana.tenancy(&sue, &unit, json!({ "starts_at": begin, "ends_at": end }))
        .await;
    let doors = [&flat, &front];
    for door in doors {
        assert_eq!(sue.unlock(door).await.expect_refused("not-yet")["opens_at"], begin);
    }
    for time in [begin, "2026-03-02T08:09:59.999Z"] {
        t.clock.set(time);
        for (lock, door) in locks.iter().zip(doors) {
            lock.until_online(&ana, true).await;
            sue.unlock(door).await.expect_opened();
            tom.unlock(door).await.expect_opened();
        }
    }
    t.clock.set(end);
    for _ in 0..2 {
        for door in doors {
            sue.unlock(door).await.expect_refused("grant-expired");
            tom.unlock(door).await.expect_opened();
        }
        // The end holds by itself, and still once it was written down.
        until_ended(&ana, 1).await;
    }
    let ended = entries(&ana, "tenancy-ended").await;
    assert_eq!((ended.len(), &ended[0]["person_id"]), (1, &json!(sue.id)));
    assert_eq!(ana.tenancy_of(&tom, &unit).await["status"], "running");
}

async fn who_sublets_for_the_summer_comes_back_in_autumn(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let flat = ana.add_lock_of(&unit, "Flat 1").await;
    let lock = flat.install().await;
    let (tom, sue) = (ana.tenant("tom", &unit).await, ana.guest("sue").await);
    let (summer, autumn) = ("2026-06-01T10:00:00.000Z", "2026-09-01T10:00:00.000Z");
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    ana.end_tenancy(&tenancy, json!({ "ends_at": summer })).await;
    let terms = json!({ "starts_at": summer, "ends_at": autumn });
    ana.tenancy(&sue, &unit, terms).await;
    ana.tenancy(&tom, &unit, json!({ "starts_at": autumn })).await;
    for (time, opens, shut, reason) in [
        ("2026-06-01T09:59:59.999Z", &tom, &sue, "not-yet"),
        (summer, &sue, &tom, "not-yet"),
        ("2026-09-01T09:59:59.999Z", &sue, &tom, "not-yet"),
        (autumn, &tom, &sue, "grant-expired"),
    ] {
        t.clock.set(time);
        for person in [&*ana, &tom, &sue] {
            person.sign_in_again().await;
        }
        lock.until_online(&ana, true).await;
        opens.unlock(&flat).await.expect_opened();
        shut.unlock(&flat).await.expect_refused(reason);
    }
}

async fn grants_that_go_on_are_named(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let [flat, front] = [
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    ];
    let [tom, gus] = [ana.tenant("tom", &unit).await, ana.guest("gus").await];
    let at = |starts_at: &str| json!({ "starts_at": starts_at });
    // A cleaner at the flat, the tenant's own at the cellar, and a day after the end on which he fetches his things.
    let cleaner = ana.grant(&gus, &flat, json!({})).await;
    let cellar = ana.grant(&tom, &front, json!({})).await;
    let things = ana.grant(&tom, &flat, at("2026-03-05T08:00:00Z")).await;
    let own = ana.grant(&tom, &flat, json!({})).await;
    // What ends before, and what is the guest's at the front door, is no business of this tenancy.
    ana.grant(&gus, &flat, json!({ "ends_at": "2026-03-03T08:00:00Z" }))
        .await;
    ana.grant(&gus, &front, json!({})).await;
    let mut left = [&cleaner, &cellar, &things].map(|grant| grant["id"].clone());
    left.sort_unstable_by_key(ToString::to_string);
    let named = |answer: &Value| {
        let mut named = answer["grants_left"].as_array().unwrap().clone();
        named.sort_unstable_by_key(ToString::to_string);
        named
    };
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let planned = ana
        .end_tenancy(&tenancy, json!({ "ends_at": "2026-03-04T08:00:00Z" }))
        .await;
    assert_eq!(named(&planned), left);
    t.clock.set("2026-03-04T08:00:00Z");
    ana.sign_in_again().await;
    until_ended(&ana, 1).await;
    assert_eq!(named(&ana.end_tenancy(&tenancy, json!({})).await), left);
    let shown = ana.get(&format!("/v1/grants/{}", id(&own))).await.expect(200);
    assert!(shown["revoked_at"].is_string(), "{shown}");
}

async fn who_works_for_the_landlord_keeps_what_they_need(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let _lock = door.install().await;
    let max = ana.manager("max").await;
    let grant = ana.grant(&max, &door, json!({})).await;
    let tenancy = ana.tenancy(&max, &unit, json!({})).await;
    let ended = ana.end_tenancy(&tenancy, json!({})).await;
    assert_eq!(ended["grants_left"], json!([grant["id"]]));
    max.unlock(&door).await.expect_opened();
    // A tenant who renews keeps theirs too, and ends with the last tenancy.
    let tom = ana.guest("tom").await;
    let grant = ana.grant(&tom, &door, json!({})).await;
    let ends_at = t.clock.after(Duration::from_secs(60));
    let first = ana.tenancy(&tom, &unit, json!({ "ends_at": ends_at })).await;
    let second = ana.tenancy(&tom, &unit, json!({ "starts_at": ends_at })).await;
    t.clock.set(&ends_at);
    until_ended(&ana, 2).await;
    assert_eq!(
        ana.end_tenancy(&first, json!({})).await["grants_left"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    ana.end_tenancy(&second, json!({})).await;
    let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    assert!(shown["revoked_at"].is_string(), "{shown}");
}
