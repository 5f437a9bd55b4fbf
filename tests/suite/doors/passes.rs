//! Passes at the door: revocations reach locks and are believed when the lock says so; what was opened by a pass comes
//! into the log, by whoever brings it.

use std::time::Duration;

use doorward_lock::wire::{Cause, Kind, RESULT_OK, Typ};
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Answer, HandLock, Landlord, Person, claims_of, house};

on_each_database!(
    a_connected_lock_confirms_at_once,
    a_lock_that_is_away_is_waited_for_until_the_pass_ends,
    a_removed_phone_and_a_removed_member_are_void_too,
    any_phone_carries_revocations,
    more_than_a_message_holds_voids_every_pass,
    a_door_that_changes_its_unit_voids_every_pass,
    what_a_pass_opened_is_in_the_log_under_its_holder,
    uses_by_pass_are_taken_once,
    a_phone_carries_in_what_the_lock_said,
    a_lock_ahead_of_a_restored_backend_hears_of_new_revocations,
);

const HOUR: u64 = 3600;

/// How long after it was issued a guest's pass may open a door at the latest: its life, its last second, and how far the
/// lock's clock may be behind.
const GUESTS_LAST: Duration = Duration::from_secs(12 * HOUR + 61);

async fn open_until(ana: &Landlord, grant: &Value) -> Value {
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    ana.get(&path).await.expect(200)["locks"][0]["may_open_until"].clone()
}

/// Waits until the backend knows what the lock holds.
async fn until_confirmed(ana: &Landlord, grant: &Value) {
    until("the lock's confirmation to be believed", async || {
        open_until(ana, grant).await.is_null()
    })
    .await;
}

async fn carry(person: &Person, lock: &HandLock, messages: Value) -> Answer {
    let path = format!("/v1/locks/{}/messages", lock.id());
    person.post(&path).json(json!({ "messages": messages })).await
}

async fn a_connected_lock_confirms_at_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    gus.pass(&phone, &[&door]).await.expect(200);
    assert_eq!(open_until(&ana, &grant).await, t.clock.after(GUESTS_LAST));
    let revoked = ana.revoke(&grant).await;
    let in_ten_seconds = t.clock.after(Duration::from_secs(10));
    assert_eq!(
        revoked,
        json!({ "effective_no_later_than": in_ten_seconds, "waiting_for": [] })
    );
    assert_eq!(open_until(&ana, &grant).await, Value::Null);
    lock.until_settled().await;
}

async fn a_lock_that_is_away_is_waited_for_until_the_pass_ends(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    gus.pass(&phone, &[&door]).await.expect(200);
    let until = t.clock.after(GUESTS_LAST);
    lock.vanish();
    t.clock.advance(Duration::from_secs(HOUR));
    let revoked = ana.revoke(&grant).await;
    assert_eq!(
        revoked,
        json!({ "effective_no_later_than": until, "waiting_for": [door.id] })
    );
    assert_eq!(ana.revoke(&grant).await, revoked);
    assert_eq!(open_until(&ana, &grant).await, until);
    // It comes back, says what it holds, and is told.
    lock.connect().await;
    let told = claims_of(&lock.next_of(Typ::Revocations).await);
    assert_eq!((&told["epoch"], &told["revoked"]), (&json!(1), &json!([grant["id"]])));
    assert_eq!(told["aud"], door.id);
    assert_eq!(open_until(&ana, &grant).await, until);
    lock.report(Kind::Revocations, Cause::Auto, RESULT_OK).await;
    until_confirmed(&ana, &grant).await;
    let revoked = ana.revoke(&grant).await;
    assert_eq!(
        revoked["effective_no_later_than"],
        t.clock.after(Duration::from_secs(10))
    );
    // A hello that says that it has lost them counts as well.
    lock.hello().await;
    let told = lock.next_of(Typ::Revocations).await;
    assert_eq!(claims_of(&told)["revoked"], json!([grant["id"]]));
    assert_eq!(open_until(&ana, &grant).await, until);
    // After its end nothing is waited for.
    t.clock.advance(Duration::from_secs(12 * HOUR));
    assert_eq!(open_until(&ana, &grant).await, Value::Null);
    assert_eq!(ana.revoke(&grant).await["waiting_for"], json!([]));
}

async fn a_removed_phone_and_a_removed_member_are_void_too(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &unit).await;
    let (lost, kept) = (tom.phone().await, tom.phone().await);
    let tenancy = tom.pass_claims(&lost, &[&door]).await["gid"].clone();
    tom.pass(&kept, &[&door]).await.expect(200);
    lock.vanish();
    let until = t.clock.after(Duration::from_secs(72 * HOUR + 61));
    let removed = tom.delete(&format!("/v1/me/phones/{}", lost.id)).await.expect(200);
    let expected = json!({ "effective_no_later_than": until, "waiting_for": [door.id] });
    assert_eq!(removed, expected);
    let path = format!("/v1/organizations/{}/members/{}", ana.organization, tom.id);
    assert_eq!(ana.delete(&path).await.expect(200), expected);
    lock.connect().await;
    let told = claims_of(&lock.next_of(Typ::Revocations).await);
    let mut expected = [tenancy.as_str().unwrap().to_owned(), lost.thumbprint()];
    expected.sort();
    let names = told["revoked"].as_array().unwrap().iter();
    let mut names: Vec<&str> = names.map(|name| name.as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        (&told["epoch"], names),
        (&json!(2), expected.iter().map(String::as_str).collect())
    );
}

async fn any_phone_carries_revocations(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let (gus, mia) = (ana.guest("gus").await, ana.guest("mia").await);
    let grant = ana.grant(&gus, &door, json!({})).await;
    ana.grant(&mia, &door, json!({})).await;
    let (his, hers) = (gus.phone().await, mia.phone().await);
    gus.pass(&his, &[&door]).await.expect(200);
    lock.vanish();
    ana.revoke(&grant).await;
    let issued = mia.pass(&hers, &[&door]).await.expect(200);
    let document = claims_of(issued["locks"][0]["documents"][0].as_str().unwrap());
    assert_eq!(document["revoked"], json!([grant["id"]]));
    // The lock took it, and says so by the same phone.
    let event = lock.event(Kind::Revocations, Cause::Auto, RESULT_OK);
    carry(&mia, &lock, json!([event])).await.expect(200);
    assert_eq!(open_until(&ana, &grant).await, Value::Null);
}

async fn more_than_a_message_holds_voids_every_pass(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let (gus, mia) = (ana.guest("gus").await, ana.guest("mia").await);
    let (phone, hers) = (gus.phone().await, mia.phone().await);
    ana.grant(&mia, &door, json!({})).await;
    lock.vanish();
    // Nobody waits for a lock that has been silent for so long.
    t.clock.advance(Duration::from_secs(200));
    let mut told = Value::Null;
    for _ in 0..70 {
        let grant = ana.grant(&gus, &door, json!({})).await;
        gus.pass(&phone, &[&door]).await.expect(200);
        let before = mia.pass_claims(&hers, &[&door]).await;
        ana.revoke(&grant).await;
        let issued = mia.pass(&hers, &[&door]).await.expect(200);
        let document = issued["locks"][0]["documents"][0].as_str().unwrap();
        assert!(document.len() <= 4096);
        told = claims_of(document);
        if told["revoked"] == json!([]) {
            // Every pass from before is void, in the very same second, and this one counts.
            let after = claims_of(issued["pass"].as_str().unwrap());
            assert!(before["rev"].as_u64() < told["min_rev"].as_u64(), "{before} {told}");
            assert!(after["rev"].as_u64() >= told["min_rev"].as_u64(), "{after} {told}");
            assert_eq!(before["iat"], after["iat"]);
            break;
        }
    }
    assert_eq!(told["revoked"], json!([]));
    assert!(told["epoch"].as_u64().unwrap() > 50, "{told}");
    // A token that is issued from then on counts too.
    lock.revocations = told["epoch"].as_u64().unwrap();
    lock.connect().await;
    lock.until_heard().await;
    let asked = mia
        .post(&format!("{}/unlock", door.path()))
        .json(json!({ "wait_ms": 0 }));
    asked.await.expect(202);
    let token = lock.next_token().await;
    assert!(token.claims["rev"].as_u64() >= told["min_rev"].as_u64());
}

async fn a_door_that_changes_its_unit_voids_every_pass(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (one, two) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let door = ana.add_lock(&house, "Laundry").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &one).await;
    let phone = tom.phone().await;
    let before = tom.pass_claims(&phone, &[&door]).await;
    ana.patch(&door.path())
        .json(json!({ "unit_id": two.id }))
        .await
        .expect(200);
    let told = claims_of(&lock.next_of(Typ::Revocations).await);
    assert!(before["rev"].as_u64() < told["min_rev"].as_u64());
    let problem = tom.pass(&phone, &[&door]).await.expect_problem(403, "pass-refused");
    assert_eq!(problem["reason"], "no-access");
    // A name alone changes nothing.
    ana.patch(&door.path())
        .json(json!({ "name": "Door" }))
        .await
        .expect(200);
    lock.hello().await;
    let told_again = claims_of(&lock.next_of(Typ::Revocations).await);
    assert_eq!(told_again["epoch"], told["epoch"]);
}

async fn what_a_pass_opened_is_in_the_log_under_its_holder(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&unit, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let (tom, gus) = (ana.tenant("tom", &unit).await, ana.guest("gus").await);
    let grant = ana.grant(&gus, &door, json!({})).await;
    let (his, other) = (tom.phone().await, gus.phone().await);
    let tenancy = tom.pass_claims(&his, &[&door]).await["gid"].clone();
    gus.pass(&other, &[&door]).await.expect(200);
    let foreign = "grant_0190a000000070008000000000000003";
    for gid in [tenancy.as_str().unwrap(), grant["id"].as_str().unwrap(), foreign] {
        lock.report(Kind::Attempt, Cause::Pass(gid), RESULT_OK).await;
        lock.report(Kind::Unlocked, Cause::Pass(gid), RESULT_OK).await;
    }
    lock.report(Kind::Denied, Cause::Pass(grant["id"].as_str().unwrap()), "expired")
        .await;
    lock.until_acknowledged().await;
    // At his own door he sees his own, what the landlord's guests do, and what nobody can be named for.
    let log = tom.list("/v1/access-log?limit=200").await;
    let opened: Vec<Value> = (log.iter().rev())
        .filter(|entry| entry["detail"]["cause"] == "pass")
        .map(|entry| {
            json!([
                entry["kind"],
                entry["person_id"],
                entry["grant_id"],
                entry["detail"]["pass_by"]
            ])
        })
        .collect();
    assert_eq!(
        opened,
        [
            json!(["unlocked", tom.id, null, tenancy]),
            json!(["unlocked", gus.id, grant["id"], grant["id"]]),
            json!(["unlocked", null, null, foreign]),
            json!(["denied", gus.id, grant["id"], grant["id"]]),
        ]
    );
}

async fn uses_by_pass_are_taken_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "uses": 2 })).await;
    let id = grant["id"].as_str().unwrap();
    let phone = gus.phone().await;
    let taken = async || ana.get(&format!("/v1/grants/{id}")).await.expect(200)["uses_taken"].clone();
    lock.report(Kind::Attempt, Cause::Pass(id), RESULT_OK).await;
    let opened = lock.report(Kind::Unlocked, Cause::Pass(id), RESULT_OK).await;
    lock.report(Kind::Locked, Cause::Pass(id), RESULT_OK).await;
    lock.report(Kind::Jammed, Cause::Pass(id), "jammed").await;
    lock.say(opened).await;
    lock.until_heard().await;
    assert_eq!(taken().await, 1);
    let claims = gus.pass_claims(&phone, &[&door]).await;
    assert_eq!((&claims["uses"], &claims["used"]), (&json!(2), &json!(1)));
    // The last one by the app, and one more at the door that nobody could have known of.
    lock.hello().await;
    let asked = gus
        .post(&format!("{}/unlock", door.path()))
        .json(json!({ "wait_ms": 0 }));
    asked.await.expect(202);
    lock.obey().await;
    lock.report(Kind::Unlocked, Cause::Pass(id), RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(taken().await, 2);
    assert_eq!(ana.log().await[0]["reason"], "uses-exceeded");
}

async fn a_phone_carries_in_what_the_lock_said(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let (gus, mia, ned) = (ana.guest("gus").await, ana.guest("mia").await, ana.guest("ned").await);
    let grant = ana.grant(&gus, &door, json!({})).await;
    let ended = ana.grant(&ned, &door, json!({})).await;
    ana.revoke(&ended).await;
    lock.vanish();
    t.clock.advance(Duration::from_secs(HOUR));
    let cause = Cause::Pass(grant["id"].as_str().unwrap());
    let events = [
        lock.event(Kind::Attempt, cause, RESULT_OK),
        lock.event(Kind::Unlocked, cause, RESULT_OK),
    ];
    let later = lock.event(Kind::Locked, Cause::Manual, RESULT_OK);
    let hello = lock.hello_message();
    carry(&mia, &lock, json!([hello]))
        .await
        .expect_problem(403, "forbidden");
    carry(&ned, &lock, json!([hello]))
        .await
        .expect_problem(403, "forbidden");
    carry(&gus, &lock, json!([])).await.expect_invalid("messages");
    carry(&gus, &lock, json!(vec!["x"; 65]))
        .await
        .expect_invalid("messages");
    carry(&gus, &lock, json!(["x".repeat(100_000)]))
        .await
        .expect_problem(413, "body-too-large");
    // Forged, foreign, and none at all: dropped without a word.
    let mut forged = events[0].clone();
    forged.insert(forged.len() - 4, 'A');
    let answers = carry(&gus, &lock, json!([forged, "", "a.b.c", hello]))
        .await
        .expect(200);
    let kinds = |answers: &Value| -> Vec<Value> {
        (answers["messages"].as_array().unwrap().iter())
            .map(|message| claims_of(message.as_str().unwrap()))
            .collect()
    };
    assert_eq!(kinds(&answers)[0]["seq"], 0);
    // Behind a gap, which is asked for.
    let answers = kinds(&carry(&gus, &lock, json!([later])).await.expect(200));
    assert_eq!((&answers[1]["from"], &answers[1]["to"]), (&json!(1), &json!(2)));
    let answers = kinds(&carry(&gus, &lock, json!(events)).await.expect(200));
    assert_eq!((answers.len(), &answers[0]["seq"]), (1, &json!(3)));
    // The log has it all; and the lock is as far away as before.
    let log = ana.log().await;
    let kinds: Vec<&Value> = log.iter().take(2).map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["unlocked", "locked"]);
    assert_eq!(log[0]["person_id"], gus.id.as_str());
    gus.unlock(&door).await.expect_offline();
}

async fn a_lock_ahead_of_a_restored_backend_hears_of_new_revocations(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let phone = gus.phone().await;
    gus.pass(&phone, &[&door]).await.expect(200);
    lock.revocations = 7;
    lock.hello().await;
    lock.until_heard().await;
    let revoke = ana.revoke(&grant);
    let (revoked, told) = tokio::join!(revoke, async {
        let told = claims_of(&lock.next_of(Typ::Revocations).await);
        lock.report(Kind::Revocations, Cause::Auto, RESULT_OK).await;
        told
    });
    assert_eq!((&told["epoch"], &told["revoked"]), (&json!(8), &json!([grant["id"]])));
    assert_eq!(revoked["waiting_for"], json!([]));
}
