//! PINs at locks: told, confirmed, refused, forgotten; and whose they were when the lock says that it opened by one.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::crypto::pin_codes::{CodeOf, SlotKey, computed_code};
use doorward::domain::pin::Digits;
use doorward_lock::wire::{Cause, Kind, RESULT_OK, Typ};
use serde_json::{Value, json};

use super::entries;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::{found, soon};
use crate::world::{Door, HandLock, Landlord, Person, claims_of, house};

on_each_database!(
    a_pin_reaches_its_lock_and_goes_with_its_grant,
    a_late_event_names_whose_pin_it_was,
    what_is_not_confirmed_is_sent_less_and_less_often_and_then_no_more,
    a_lock_that_lost_its_storage_is_told_all_again,
    a_lock_that_holds_more_than_the_books_know_is_told_all_anew,
    more_pins_than_a_message_holds_come_one_message_after_the_other,
    each_opening_by_a_pin_takes_one_use,
    a_slot_is_told_anew_before_it_ends_and_cleared_when_its_grant_has,
    a_lock_out_of_service_is_told_nothing,
    a_code_opens_a_lock_that_is_off_line,
    codes_are_void_once_the_lock_has_taken_the_next_generation,
    codes_end_with_the_tenancy_of_their_unit,
    pins_and_codes_stay_behind_where_a_lock_goes_to_another_door,
    a_property_in_another_zone_tells_its_locks,
    the_digits_are_nowhere,
);

/// What the lock holds of PINs, by what it was told.
#[derive(Default)]
struct Keypad {
    slots: BTreeMap<u64, Value>,
    codes: u64,
    zone: Value,
    messages: usize,
}

impl Keypad {
    /// Takes what comes down until the lock holds `version`, and says so.
    async fn take(&mut self, lock: &mut HandLock, version: u64) {
        while lock.pins < version {
            let said = claims_of(&lock.next_of(Typ::Pins).await);
            if self.note(lock, &said) {
                lock.report(Kind::Pins, Cause::Auto, RESULT_OK).await;
            }
        }
        lock.until_heard().await;
    }

    /// Takes it over as a lock does; says whether it was news.
    fn note(&mut self, lock: &mut HandLock, said: &Value) -> bool {
        let number = |claim: &str| said[claim].as_u64().unwrap();
        if !(number("base") <= lock.pins && lock.pins < number("version")) {
            return false;
        }
        lock.pins = number("version");
        self.codes = number("codes");
        self.zone = said["zone"].clone();
        for slot in said["set"].as_array().unwrap() {
            self.slots.insert(slot["slot"].as_u64().unwrap(), slot.clone());
        }
        for slot in said["clear"].as_array().unwrap() {
            self.slots.remove(&slot.as_u64().unwrap());
        }
        self.messages += 1;
        true
    }
}

fn id(grant: &Value) -> &str {
    grant["id"].as_str().unwrap()
}

fn by_pin() -> Value {
    json!({ "ways": ["app", "pin"] })
}

async fn give(ana: &Landlord, grant: &Value, kind: &str) -> Value {
    let path = format!("/v1/grants/{}/pin", id(grant));
    ana.post(&path).json(json!({ "kind": kind })).await.expect(201)
}

async fn wanted(ana: &Landlord, door: &Door) -> Value {
    ana.get(&format!("{}/pins", door.path())).await.expect(200)
}

async fn version(ana: &Landlord, door: &Door) -> u64 {
    wanted(ana, door).await["version"].as_u64().unwrap()
}

async fn pin_of(ana: &Landlord, grant: &Value) -> Value {
    let shown = ana.get(&format!("/v1/grants/{}", id(grant))).await.expect(200);
    shown["locks"][0]["pin"].clone()
}

fn pin_key(lock: &HandLock) -> [u8; 32] {
    let key = URL_SAFE_NO_PAD.decode(lock.welcome.pin_key.as_ref().unwrap()).unwrap();
    key.try_into().unwrap()
}

fn mac(lock: &HandLock, slot: u16, code: &str) -> String {
    let digits = Digits::of(code.parse().unwrap(), u8::try_from(code.len()).unwrap());
    SlotKey::of(&pin_key(lock)).mac(slot, &digits).unwrap()
}

async fn at_a_door(database: &TestDatabase) -> (crate::world::TestServer, Landlord, Door, HandLock, Person) {
    let (t, ana, house) = house(database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    (t, ana, door, lock, gus)
}

async fn a_pin_reaches_its_lock_and_goes_with_its_grant(database: TestDatabase) {
    let (t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let terms = json!({
        "ways": ["app", "pin"], "ends_at": "2026-03-09T08:00:00Z",
        "schedule": { "weekly": [{ "days": ["mon"], "from": "09:00", "to": "12:00" }], "except": ["2026-03-04", "2027-01-01"] },
    });
    let grant = ana.grant(&gus, &door, terms).await;
    let given = give(&ana, &grant, "synced").await;
    let code = given["code"].as_str().unwrap();
    assert_eq!((code.len(), &given["revocable"]), (6, &json!(true)));
    assert_eq!(given["ends_at"], "2026-03-09T08:00:00.000Z");
    assert_eq!(given["locks"][0]["slot"], 1);
    assert_eq!(given["locks"][0]["status"], "pending");
    assert_eq!(pin_of(&ana, &grant).await["status"], "pending");

    keypad.take(&mut lock, version(&ana, &door).await).await;
    let slot = &keypad.slots[&1];
    assert_eq!(slot["mac"], mac(&lock, 1, code).as_str());
    assert_eq!((&slot["gid"], &slot["role"]), (&grant["id"], &json!("guest")));
    assert_eq!(
        (&slot["nbf"], &slot["exp"]),
        (&json!(1_772_438_400), &json!(1_773_043_199))
    );
    assert_eq!(
        slot["schedule"],
        json!({ "weekly": [{ "days": 1, "from": 540, "to": 720 }], "except": [20_516] })
    );
    assert_eq!(keypad.zone[0]["offset"], 3600);
    assert_eq!(pin_of(&ana, &grant).await["status"], "applied");

    lock.report(Kind::Unlocked, Cause::Pin(1), RESULT_OK).await;
    lock.report(Kind::Denied, Cause::Pin(1), "outside-schedule").await;
    lock.report(Kind::WrongCodeLimit, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    for (kind, reason) in [("unlocked", Value::Null), ("denied", json!("outside-schedule"))] {
        let entry = &entries(&ana, kind).await[0];
        assert_eq!(
            (&entry["person_id"], &entry["grant_id"]),
            (&json!(gus.id), &grant["id"])
        );
        assert_eq!((&entry["detail"]["cause"], &entry["reason"]), (&json!("pin"), &reason));
    }
    assert_eq!(super::alarms(&ana).await, ["wrong_code_limit"]);

    let revoked = ana.revoke(&grant).await;
    assert_eq!(
        revoked["effective_no_later_than"], "2026-03-09T08:00:00.000Z",
        "not confirmed yet"
    );
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert!(keypad.slots.is_empty());
    assert_eq!(wanted(&ana, &door).await["slots"], json!([]));
    let soon = t.clock.after(Duration::from_secs(10));
    assert_eq!(ana.revoke(&grant).await["effective_no_later_than"], soon);
}

async fn a_late_event_names_whose_pin_it_was(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let (nina, mut keypad) = (ana.guest("nina").await, Keypad::default());
    let first = ana.grant(&gus, &door, by_pin()).await;
    give(&ana, &first, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    // He opens, and the word of it is held up on its way.
    let late = lock.event(Kind::Unlocked, Cause::Pin(1), RESULT_OK);
    ana.revoke(&first).await;
    let second = ana.grant(&nina, &door, by_pin()).await;
    let given = give(&ana, &second, "synced").await;
    assert_eq!(given["locks"][0]["slot"], 2, "slot 1 is not known to be free yet");
    keypad.take(&mut lock, version(&ana, &door).await).await;
    let path = format!("/v1/grants/{}/pin", id(&second));
    ana.delete(&path).await.expect(200);
    let given = give(&ana, &second, "synced").await;
    assert_eq!(given["locks"][0]["slot"], 1);
    keypad.take(&mut lock, version(&ana, &door).await).await;
    lock.report(Kind::Unlocked, Cause::Pin(1), RESULT_OK).await;
    lock.say(late).await;
    lock.until_acknowledged().await;
    let holders: Vec<Value> = entries(&ana, "unlocked")
        .await
        .iter()
        .map(|entry| entry["person_id"].clone())
        .collect();
    assert_eq!(
        holders,
        [json!(gus.id), json!(nina.id)],
        "in the order in which they were learned, the newest first"
    );
}

async fn what_is_not_confirmed_is_sent_less_and_less_often_and_then_no_more(database: TestDatabase) {
    let (t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let grant = ana.grant(&gus, &door, by_pin()).await;
    give(&ana, &grant, "synced").await;
    let wanted = version(&ana, &door).await;
    while claims_of(&lock.next_of(Typ::Pins).await)["version"] != wanted {}
    for pause in [10, 30, 120, 600, 1800] {
        t.clock.advance(Duration::from_secs(pause));
        lock.hello().await;
        assert_eq!(claims_of(&lock.next_of(Typ::Pins).await)["version"], wanted);
        assert_eq!(pin_of(&ana, &grant).await["status"], "pending");
    }
    lock.report(Kind::Denied, Cause::Auto, "no-room").await;
    t.clock.advance(Duration::from_secs(3600));
    lock.until_heard().await;
    let pin = pin_of(&ana, &grant).await;
    assert_eq!((&pin["status"], &pin["reason"]), (&json!("failed"), &json!("no-room")));
    // A new start of the lock is another chance.
    lock.boot = 2;
    lock.hello().await;
    assert_eq!(claims_of(&lock.next_of(Typ::Pins).await)["version"], wanted);
    assert_eq!(pin_of(&ana, &grant).await["status"], "pending");
}

async fn a_lock_that_lost_its_storage_is_told_all_again(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let grant = ana.grant(&gus, &door, by_pin()).await;
    give(&ana, &grant, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    lock.pins = 0;
    keypad = Keypad::default();
    lock.hello().await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert!(keypad.slots.contains_key(&1));
    assert_eq!(pin_of(&ana, &grant).await["status"], "applied");
}

async fn a_lock_that_holds_more_than_the_books_know_is_told_all_anew(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let grant = ana.grant(&gus, &door, by_pin()).await;
    give(&ana, &grant, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    // As after a restored copy of the database.
    lock.pins = 500;
    for slot in 2..=99 {
        keypad.slots.insert(slot, json!({}));
    }
    lock.hello().await;
    let wanted = found("the books to follow", async || {
        let version = version(&ana, &door).await;
        (version > 500).then_some(version)
    })
    .await;
    keypad.take(&mut lock, wanted).await;
    assert_eq!(keypad.slots.keys().copied().collect::<Vec<_>>(), [1]);
}

async fn more_pins_than_a_message_holds_come_one_message_after_the_other(database: TestDatabase) {
    let (t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let days = ["mon", "tue", "wed", "thu", "fri"];
    let window = |day: &&str| json!({ "days": [day], "from": "09:00", "to": "12:30" });
    let schedule = json!({ "weekly": days.iter().map(window).collect::<Vec<_>>() });
    lock.vanish();
    let mut codes = Vec::new();
    for _ in 0..20 {
        let grant = ana
            .grant(&gus, &door, json!({ "ways": ["app", "pin"], "schedule": schedule }))
            .await;
        codes.push(give(&ana, &grant, "synced").await["code"].as_str().unwrap().to_owned());
    }
    // What was said while nobody listened is said again a little later.
    t.clock.advance(Duration::from_secs(10));
    lock.connect().await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert_eq!(keypad.slots.len(), 20);
    assert!(keypad.messages > 1, "{} messages", keypad.messages);
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 20, "no two are the same");
    let statuses = wanted(&ana, &door).await;
    let slots = statuses["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 20);
    assert!(slots.iter().all(|slot| slot["status"] == "applied"), "{statuses}");
}

async fn each_opening_by_a_pin_takes_one_use(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let grant = ana
        .grant(&gus, &door, json!({ "ways": ["app", "pin"], "uses": 3 }))
        .await;
    give(&ana, &grant, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert_eq!(keypad.slots[&1]["uses"], 3);
    let opened = lock.report(Kind::Unlocked, Cause::Pin(1), RESULT_OK).await;
    lock.say(opened).await;
    lock.report(Kind::Locked, Cause::Pin(1), RESULT_OK).await;
    lock.until_acknowledged().await;
    let taken = || async {
        let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
        shown["uses_taken"].clone()
    };
    assert_eq!(taken().await, 1);
    // One by the app leaves one to the PIN: two in all, of which the lock has counted one.
    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(taken().await, 2);
    let told = soon("the lock to be told", async {
        loop {
            let said = claims_of(&lock.next_of(Typ::Pins).await);
            if said["set"][0]["uses"] == 2 {
                return said;
            }
        }
    })
    .await;
    assert!(keypad.note(&mut lock, &told));
    lock.report(Kind::Pins, Cause::Auto, RESULT_OK).await;
    lock.report(Kind::Unlocked, Cause::Pin(1), RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(taken().await, 3);
    gus.unlock(&door).await.expect_refused("uses-exhausted");
}

async fn a_slot_is_told_anew_before_it_ends_and_cleared_when_its_grant_has(database: TestDatabase) {
    let (t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let until = "2027-06-01T00:00:00Z";
    let grant = ana
        .grant(&gus, &door, json!({ "ways": ["app", "pin"], "ends_at": until }))
        .await;
    give(&ana, &grant, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    let first = keypad.slots[&1]["exp"].as_u64().unwrap();
    assert_eq!(
        first,
        1_772_438_400 + 400 * 86_400 - 1,
        "never for longer than 400 days"
    );
    for (day, what) in [("2027-01-15T08:00:00Z", "told anew"), (until, "cleared")] {
        t.clock.set(day);
        ana.sign_in_again().await;
        let before = lock.pins;
        lock.hello().await;
        soon(what, async {
            while lock.pins == before {
                let said = claims_of(&lock.next_of(Typ::Pins).await);
                keypad.note(&mut lock, &said);
            }
        })
        .await;
        lock.report(Kind::Pins, Cause::Auto, RESULT_OK).await;
        lock.until_heard().await;
        if what == "told anew" {
            assert_eq!(keypad.slots[&1]["exp"], 1_811_808_000 - 1, "the grant's end");
        }
    }
    assert!(keypad.slots.is_empty());
}

async fn a_lock_out_of_service_is_told_nothing(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let grant = ana.grant(&gus, &door, by_pin()).await;
    give(&ana, &grant, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert_eq!(pin_of(&ana, &grant).await["status"], "applied");
    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    ana.delete(&format!("/v1/grants/{}/pin", id(&grant))).await.expect(200);
    let pin = pin_of(&ana, &grant).await;
    assert_eq!((&pin["status"], &pin["clearing"]), (&json!("suspended"), &json!(true)));
}

async fn a_code_opens_a_lock_that_is_off_line(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let terms = json!({ "ways": ["app", "pin"], "ends_at": "2026-03-05T11:00:00+01:00" });
    let grant = ana.grant(&gus, &door, terms).await;
    let path = format!("/v1/grants/{}/pin", id(&grant));
    let computed = || ana.post(&path).json(json!({ "kind": "computed" }));
    computed().await.expect_problem(409, "lock-behind");
    keypad.take(&mut lock, version(&ana, &door).await).await;
    lock.vanish();
    let mut codes = Vec::new();
    for serial in 0..8 {
        let given = computed().await.expect(201);
        let of = CodeOf {
            generation: 0,
            first_day: 20_514,
            days: 3,
            serial,
        };
        assert_eq!(given["code"], computed_code(&pin_key(&lock), of).unwrap().expose());
        assert_eq!(given["revocable"], false);
        assert_eq!(given["starts_at"], "2026-03-01T23:00:00.000Z");
        assert_eq!(given["first_use_before"], "2026-03-02T23:00:00.000Z");
        assert_eq!(given["ends_at"], "2026-03-04T23:00:00.000Z");
        codes.push(given["code"].clone());
    }
    computed().await.expect_problem(409, "no-code-left");
    lock.connect().await;
    lock.report(Kind::Unlocked, Cause::Code("20514-3-7"), RESULT_OK).await;
    lock.until_acknowledged().await;
    let entry = &entries(&ana, "unlocked").await[0];
    assert_eq!(
        (&entry["person_id"], &entry["grant_id"]),
        (&json!(gus.id), &grant["id"])
    );
    assert_eq!(entry["detail"]["code"], "20514-3-7");
    // Nobody can take them back.
    assert_eq!(
        ana.delete(&path).await.expect(200)["effective_no_later_than"],
        "2026-03-04T23:00:00.000Z"
    );
    assert_eq!(
        ana.revoke(&grant).await["effective_no_later_than"],
        "2026-03-04T23:00:00.000Z"
    );
}

async fn codes_are_void_once_the_lock_has_taken_the_next_generation(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let mut keypad = Keypad::default();
    let grant = ana.grant(&gus, &door, by_pin()).await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    let given = give(&ana, &grant, "computed").await;
    let rotated = ana.post(&format!("{}/rotate-codes", door.path())).await.expect(200);
    assert_eq!(
        (&rotated["codes"]["generation"], &rotated["codes"]["status"]),
        (&json!(1), &json!("pending"))
    );
    assert_eq!(rotated["codes"]["effective_no_later_than"], given["ends_at"]);
    let path = format!("/v1/grants/{}/pin", id(&grant));
    ana.post(&path)
        .json(json!({ "kind": "computed" }))
        .await
        .expect_problem(409, "lock-behind");
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert_eq!(keypad.codes, 1);
    let shown = wanted(&ana, &door).await;
    assert_eq!(
        (&shown["codes"]["status"], &shown["codes"]["effective_no_later_than"]),
        (&json!("applied"), &Value::Null)
    );
    let again = give(&ana, &grant, "computed").await;
    assert_ne!(again["code"], given["code"]);
    assert_eq!(entries(&ana, "codes-rotated").await.len(), 1);
    let of_grant = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    let counts: Vec<&Value> = of_grant["locks"][0]["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| &code["counts"])
        .collect();
    assert_eq!(counts, [&json!(false), &json!(true)]);
}

async fn pins_and_codes_stay_behind_where_a_lock_goes_to_another_door(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (annex, cellar) = (
        ana.add_property("Europe/Vienna").await,
        ana.add_lock(&house, "Cellar").await,
    );
    let door = ana.add_lock(&house, "Front door").await;
    let (mut lock, mut below) = (HandLock::install(&door).await, HandLock::install(&cellar).await);
    let gus = ana.guest("gus").await;
    let (mut keypad, mut keypad_below) = (Keypad::default(), Keypad::default());
    // It goes on for the cellar.
    let terms = json!({ "ways": ["app", "pin"], "ends_at": "2026-03-09T08:00:00Z" });
    let grant = ana.give(&[&door, &cellar], json!({ "person_id": gus.id }), terms);
    let grant = grant.await.expect(201);
    give(&ana, &grant, "synced").await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    keypad_below.take(&mut below, version(&ana, &cellar).await).await;
    give(&ana, &grant, "computed").await;
    assert_eq!(keypad.slots.len(), 1);

    let to = json!({ "property_id": annex.id });
    let moved = ana
        .post(&format!("{}/transfer", door.path()))
        .json(to)
        .await
        .expect(200);
    assert_eq!(moved["grants_ended"], json!([grant["id"]]));
    assert_eq!(
        moved["effective_no_later_than"], "2026-03-09T08:00:00.000Z",
        "until the lock has taken it"
    );
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert_eq!((keypad.slots.len(), keypad.codes), (0, 1));
    let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    assert_eq!(shown["lock_ids"], json!([cellar.id]));
    assert_eq!(shown["locks"][0]["pin"]["slot"], 1, "the cellar keeps its own");
}

async fn codes_end_with_the_tenancy_of_their_unit(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let (tom, gus) = (ana.tenant("tom", &unit).await, ana.guest("gus").await);
    let mut keypad = Keypad::default();
    ana.grant(&gus, &door, by_pin()).await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    // A tenancy that ends in the instant in which the codes began ends none.
    t.clock.advance(Duration::from_secs(1));
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    ana.delete(&path).await.expect(200);
    soon("the codes to be void", async {
        while keypad.codes == 0 {
            let said = claims_of(&lock.next_of(Typ::Pins).await);
            keypad.note(&mut lock, &said);
        }
    })
    .await;
    assert_eq!(entries(&ana, "codes-rotated").await[0]["reason"], "tenancy-ended");
}

async fn a_property_in_another_zone_tells_its_locks(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let mut keypad = Keypad::default();
    ana.grant(&gus, &door, by_pin()).await;
    keypad.take(&mut lock, version(&ana, &door).await).await;
    assert_eq!(keypad.zone[0]["offset"], 3600);
    let path = format!("/v1/properties/{}", house.id);
    ana.patch(&path)
        .json(json!({ "time_zone": "America/New_York" }))
        .await
        .expect(200);
    soon("the lock to be told", async {
        while keypad.zone[0]["offset"] != -18_000 {
            let said = claims_of(&lock.next_of(Typ::Pins).await);
            keypad.note(&mut lock, &said);
        }
    })
    .await;
}

async fn the_digits_are_nowhere(database: TestDatabase) {
    let (_t, ana, door, mut lock, gus) = at_a_door(&database).await;
    let logged = crate::fixtures::logs::listen();
    let mut keypad = Keypad::default();
    // Eight digits are found nowhere by chance.
    let limits = json!({ "digits": { "least": 8, "most": 8 } });
    ana.patch(&format!("{}/pins", door.path()))
        .json(limits)
        .await
        .expect(200);
    let grant = ana.grant(&gus, &door, by_pin()).await;
    let path = format!("/v1/grants/{}/pin", id(&grant));
    let asked = || {
        ana.post(&path)
            .json(json!({ "kind": "synced" }))
            .idempotency_key("once")
    };
    let given = asked().await.expect(201);
    assert_eq!(
        asked().await.expect(201)["code"],
        given["code"],
        "the same request is answered the same"
    );
    keypad.take(&mut lock, version(&ana, &door).await).await;
    let computed = give(&ana, &grant, "computed").await;
    lock.report(Kind::Unlocked, Cause::Pin(1), RESULT_OK).await;
    lock.until_acknowledged().await;
    let codes = [&given, &computed].map(|given| given["code"].as_str().unwrap().to_owned());
    assert_eq!(codes.each_ref().map(String::len), [8, 10]);
    let stored = database.dump();
    let sent: String = lock.down.iter().map(|message| claims_of(message).to_string()).collect();
    let log = json!(ana.log().await).to_string();
    let shown = format!("{}{}", wanted(&ana, &door).await, pin_of(&ana, &grant).await);
    for code in &codes {
        assert!(!contains(&stored, code), "in the database");
        assert!(!sent.contains(code.as_str()), "on the way to the lock");
        assert!(
            !log.contains(code.as_str()) && !shown.contains(code.as_str()),
            "in answers"
        );
        assert!(!logged.contains(code), "in the service's log");
    }
    assert!(
        contains(&stored, id(&grant)) && logged.contains("lock_"),
        "what is searched is there"
    );
}

fn contains(place: &[u8], text: &str) -> bool {
    place.windows(text.len()).any(|part| part == text.as_bytes())
}
