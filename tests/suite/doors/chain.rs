//! A lock's events on bad roads: twice, in any order, with gaps, in two versions.

use doorward::agent::dice::Dice;
use doorward_lock::wire::{Cause, Kind, RESULT_OK, Typ};
use p256::ecdsa::Signature;
use serde_json::{Value, json};

use super::{alarms, entries};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{HandLock, Landlord, claims_of, house};

on_each_database!(
    events_in_any_order_and_twice_are_stored_once,
    a_gap_is_asked_for_again,
    what_a_lock_lost_by_overflow_is_an_alarm_and_the_chain_goes_on,
    two_histories_of_one_lock_set_it_apart,
    a_history_that_does_not_fit_its_past_sets_the_lock_apart,
    the_other_form_of_a_signature_is_no_second_history,
    a_factory_reset_begins_a_new_chain_and_raises_the_alarm,
    a_hello_of_the_life_before_a_reset_is_no_news,
);

/// The numbers of the events of this kind in the log, in the order of the log.
async fn numbers(ana: &Landlord, kind: &str) -> Vec<u64> {
    let mut entries = entries(ana, kind).await;
    entries.reverse();
    let number = |entry: &Value| entry["detail"]["event_seq"].as_u64().unwrap();
    entries.iter().map(number).collect()
}

async fn events_in_any_order_and_twice_are_stored_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let mut events: Vec<String> = (0..64)
        .map(|number| {
            let kind = if number % 2 == 0 { Kind::Unlocked } else { Kind::Locked };
            lock.event(kind, Cause::Manual, RESULT_OK)
        })
        .collect();
    events.extend(events.clone());
    let mut dice = Dice::new(64);
    for place in (1..events.len()).rev() {
        let other = usize::try_from(dice.throw() % (place as u64 + 1)).unwrap();
        events.swap(place, other);
    }
    // A lock that says too much at once is not heard out; this one pauses for breath.
    for breath in events.chunks(16) {
        for event in breath {
            lock.say(event.clone()).await;
        }
        lock.until_heard().await;
    }
    let mut stored = [numbers(&ana, "unlocked").await, numbers(&ana, "locked").await].concat();
    stored.sort_unstable();
    assert_eq!(stored, (1..=64).collect::<Vec<_>>(), "each once");
    assert_eq!(ana.get(&door.path()).await.expect(200)["quarantined"], false);
    assert!(alarms(&ana).await.is_empty());
}

async fn a_gap_is_asked_for_again(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let [one, two, three] = [(); 3].map(|()| lock.event(Kind::Unlocked, Cause::Key, RESULT_OK));
    lock.say(one).await;
    lock.say(three).await;
    let resend = claims_of(&lock.next_of(Typ::Resend).await);
    assert_eq!((&resend["from"], &resend["to"]), (&json!(2), &json!(2)));
    assert_eq!(resend["chain"], lock.chain.id());
    lock.say(two).await;
    lock.until_acknowledged().await;
    assert_eq!(
        numbers(&ana, "unlocked").await,
        [1, 3, 2],
        "in the order in which they were learned"
    );

    // A gap at the end shows in the next hello.
    lock.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    lock.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    lock.hello().await;
    let resend = claims_of(&lock.next_of(Typ::Resend).await);
    assert_eq!(resend["from"], 4);
}

async fn what_a_lock_lost_by_overflow_is_an_alarm_and_the_chain_goes_on(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    lock.report(Kind::Unlocked, Cause::Key, RESULT_OK).await;
    // Two that the lock has overwritten by the time it is heard again.
    lock.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    lock.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    lock.report(Kind::Overflow, Cause::Auto, RESULT_OK).await;
    lock.report(Kind::Unlocked, Cause::Key, RESULT_OK).await;
    // With the next hello.
    lock.until_heard().await;
    assert_eq!(alarms(&ana).await, ["events-lost", "overflow"]);
    let lost = &entries(&ana, "alarm").await[0]["detail"];
    assert_eq!((&lost["from"], &lost["to"]), (&json!(2), &json!(3)));
    lock.report(Kind::Unlocked, Cause::Key, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(alarms(&ana).await.len(), 2);
}

/// The lock is set apart, says so to whoever may know, and opens to nobody.
async fn expect_set_apart(ana: &Landlord, door: &crate::world::Door, lock: &mut HandLock, reason: &str) {
    let gus = ana.guest("gus").await;
    ana.grant(&gus, door, json!({})).await;
    lock.until_heard().await;
    assert_eq!(alarms(ana).await, [reason]);
    assert_eq!(ana.get(&door.path()).await.expect(200)["quarantined"], true);
    gus.unlock(door).await.expect_refused("lock-not-in-service");
    assert_eq!(entries(ana, "unlock-requested").await[0]["reason"], "lock-quarantined");
}

async fn two_histories_of_one_lock_set_it_apart(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let before = lock.chain.clone();
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    // A clone of the lock goes on from the same past, with the same key.
    lock.chain = before;
    lock.report(Kind::Locked, Cause::Manual, RESULT_OK).await;
    expect_set_apart(&ana, &door, &mut lock, "event-fork").await;
    assert_eq!(numbers(&ana, "unlocked").await, [1]);
    assert!(numbers(&ana, "locked").await.is_empty(), "the first history stands");
}

async fn a_history_that_does_not_fit_its_past_sets_the_lock_apart(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let before = lock.chain.clone();
    lock.event(Kind::Unlocked, Cause::Manual, RESULT_OK);
    let follows_the_unsaid = lock.event(Kind::Locked, Cause::Manual, RESULT_OK);
    lock.chain = before;
    lock.report(Kind::Jammed, Cause::Manual, "jammed").await;
    lock.say(follows_the_unsaid).await;
    expect_set_apart(&ana, &door, &mut lock, "chain-broken").await;
}

/// The same message with the other of the two signatures that anybody can make of one: s mirrored.
fn twin(message: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    let (signed, signature) = message.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&BASE64URL.decode(signature).unwrap()).unwrap();
    let (r, s) = signature.split_scalars();
    let mirrored = Signature::from_scalars(r, -s).unwrap();
    format!("{signed}.{}", BASE64URL.encode(mirrored.to_bytes()))
}

async fn the_other_form_of_a_signature_is_no_second_history(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let first = lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    lock.say(twin(&first)).await;
    // And a broker that sends on only the other form: the lock's next event names the form that it made itself.
    let second = lock.event(Kind::Locked, Cause::Manual, RESULT_OK);
    lock.say(twin(&second)).await;
    lock.say(second).await;
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(numbers(&ana, "unlocked").await, [1, 3]);
    assert_eq!(numbers(&ana, "locked").await, [2]);
    assert!(alarms(&ana).await.is_empty());
    assert_eq!(ana.get(&door.path()).await.expect(200)["quarantined"], false);
}

async fn a_factory_reset_begins_a_new_chain_and_raises_the_alarm(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;

    lock.begin_anew();
    lock.report(Kind::Claimed, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(alarms(&ana).await, ["factory-reset"]);
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(numbers(&ana, "unlocked").await, [1, 1], "one in each chain");
    // The lock is still this door's: it is asked in the new chain as it was in the old one.
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    lock.hello().await;
    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
}

async fn a_hello_of_the_life_before_a_reset_is_no_news(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    lock.boot = 40;
    let old = lock.hello_message();
    lock.say(old.clone()).await;
    lock.begin_anew();
    lock.report(Kind::Claimed, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;

    lock.say(old).await;
    lock.until_heard().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    super::ask(&gus, &door).await;
    assert_eq!(lock.next_token().await.claims["lt"]["boot"], 1);
}
