//! What holds whatever comes in, in whatever order, and whenever the power goes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod world;

use std::collections::HashMap;

use doorward_lock::base64url;
use doorward_lock::controller::{Hand, Input, Outcome};
use doorward_lock::wire::{Bolt, NO_PREVIOUS, Typ};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::*;

/// Something that happens to a lock.
#[derive(Debug, Clone)]
enum Happens {
    /// A token with this counter arrives, made for this start of the lock and this long ago in seconds.
    Token {
        ctr: u64,
        boot: u32,
        age: u64,
    },
    Moved(bool),
    Manual,
    Connected,
    Disconnected,
    Keyset(u64),
    Ack,
    Time,
    Rubbish(Vec<u8>),
    Pass(u64),
    /// The power goes with this write, counted from now, which may still have been stored; and comes back.
    PowerGone {
        writes: u32,
        last_is_stored: bool,
    },
    PowerCycle,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (1..8_u64, 1..4_u32, 0..15_u64).prop_map(|(ctr, boot, age)| Happens::Token { ctr, boot, age }),
        4 => any::<bool>().prop_map(Happens::Moved),
        1 => Just(Happens::Manual),
        2 => Just(Happens::Connected),
        1 => Just(Happens::Disconnected),
        1 => (0..5_u64).prop_map(Happens::Keyset),
        1 => Just(Happens::Ack),
        1 => Just(Happens::Time),
        1 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(Happens::Rubbish),
        2 => (0..4_000_u64).prop_map(Happens::Pass),
        2 => (1..6_u32, any::<bool>())
            .prop_map(|(writes, last_is_stored)| Happens::PowerGone { writes, last_is_stored }),
        1 => Just(Happens::PowerCycle),
    ]
}

/// A token for the lock's own counter only, issued `age` seconds ago in the start `boot`.
fn token(world: &World, ctr: u64, boot: u32, age: u64) -> (String, u64) {
    let deadline = (world.hands.mono_ms / 1_000 + 10).saturating_sub(age);
    let token = unlock_with(ctr, |claims| {
        claims["iat"] = json!(T - 1_000);
        claims["exp"] = json!(T - 990);
        claims["lt"] = json!({ "boot": boot, "dl": deadline });
    });
    (token, deadline)
}

/// Lets it happen; with the power gone in between, the lock starts again.
fn live(world: &mut World, what: &Happens, deadlines: &mut HashMap<(String, u32), u64>) {
    let result = match what {
        Happens::Token { ctr, boot, age } => {
            let (token, deadline) = token(world, *ctr, *boot, *age);
            let latest = deadlines.entry((jti(*ctr), *boot)).or_default();
            *latest = deadline.max(*latest);
            world.tell(Input::Message(token.as_bytes()))
        }
        Happens::Moved(true) => world.tell(Input::Moved(Outcome::Arrived)),
        Happens::Moved(false) => world.tell(Input::Moved(Outcome::Jammed)),
        Happens::Manual => world.tell(Input::Bolt(Bolt::Unlocked, Hand::Manual)),
        Happens::Connected => world.tell(Input::Connected),
        Happens::Disconnected => world.tell(Input::Disconnected),
        Happens::Keyset(version) => world.tell(Input::Message(keyset(*version, 0).as_bytes())),
        Happens::Ack => {
            // A backend acknowledges what it has without a gap.
            let chain = chain(world);
            let gap = (0..).find(|seq| !chain.contains_key(seq)).unwrap_or(0);
            let message = gap.checked_sub(1).map(|seq| world.ack(seq)).unwrap_or_default();
            world.tell(Input::Message(message.as_bytes()))
        }
        Happens::Time => {
            let claims = to_lock(json!({ "nonce": "AAAAAAAAAAAAAAAAAAAAAA", "t": T }));
            world.tell(Input::Message(by(DOC, Typ::Time, &claims).as_bytes()))
        }
        Happens::Rubbish(bytes) => world.tell(Input::Message(bytes)),
        Happens::Pass(ms) => {
            world.hands.mono_ms += ms;
            world.tell(Input::Tick)
        }
        Happens::PowerGone { writes, last_is_stored } => {
            world.disk.set_fuse(*writes, *last_is_stored);
            Ok(())
        }
        Happens::PowerCycle => {
            world.power_cycle();
            Ok(())
        }
    };
    if result.is_err() {
        world.power_cycle();
    }
}

/// The published events by their place; panics where two differ in the same place.
fn chain(world: &World) -> HashMap<u64, (String, Value)> {
    let mut chain: HashMap<u64, (String, Value)> = HashMap::new();
    for (_, message) in &world.hands.published {
        let event = claims(message);
        let Some(seq) = event["seq"].as_u64() else { continue };
        let (known, _) = chain.entry(seq).or_insert_with(|| (message.clone(), event));
        assert_eq!(known, message, "two events in place {seq}");
    }
    chain
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_life_keeps_the_promises(life in proptest::collection::vec(happens(), 1..40)) {
        let mut world = World::with_slots(256);
        let mut deadlines = HashMap::new();
        for what in &life {
            live(&mut world, what, &mut deadlines);
        }
        world.disk.power_on();
        world.power_cycle();
        world.connect();
        for _ in 0..20 {
            world.pass(0);
        }

        // I3: at most one movement a token. (I1 is asserted by the hands, before every movement.)
        let mut moved: Vec<&str> = world.hands.movements.iter().map(|movement| movement.jti.as_str()).collect();
        let movements = moved.len();
        moved.sort_unstable();
        moved.dedup();
        prop_assert_eq!(moved.len(), movements);

        // I2: never after the deadline, nor in another start.
        for movement in &world.hands.movements {
            let deadline = deadlines.get(&(movement.jti.clone(), movement.boot));
            prop_assert!(deadline.is_some_and(|deadline| movement.mono_ms / 1_000 <= *deadline), "{:?}", movement);
        }

        // I4: no event is missing, none has two versions, each names the one before.
        let chain = chain(&world);
        prop_assert_eq!(chain.len() as u64, world.lock().state().chain.next());
        let mut previous = NO_PREVIOUS.to_owned();
        for seq in 0..chain.len() as u64 {
            let (message, event) = &chain[&seq];
            prop_assert_eq!(event["prev"].as_str(), Some(previous.as_str()));
            previous = base64url::hash(message).as_str().to_owned();
        }

        // Every movement has its attempt and one end.
        for movement in &world.hands.movements {
            let of_it = |event: &Value| event["cause"]["jti"] == movement.jti.as_str();
            let kinds: Vec<&str> = (0..chain.len() as u64)
                .map(|seq| &chain[&seq].1)
                .filter(|event| of_it(event) && event["kind"] != "denied")
                .map(|event| event["kind"].as_str().unwrap())
                .collect();
            prop_assert_eq!(kinds.len(), 2, "{:?}", kinds);
            prop_assert_eq!(kinds[0], "attempt");
        }
    }

    #[test]
    fn any_bytes_are_refused_with_one_event(bytes in proptest::collection::vec(any::<u8>(), 0..6_000)) {
        let mut world = World::on_line();
        world.tell(Input::Message(&bytes)).unwrap();
        prop_assert_eq!(world.story().len(), 1);
        prop_assert!(world.story()[0].0 == "denied");
        prop_assert!(world.hands.movements.is_empty());
    }

    #[test]
    fn any_claims_by_the_right_key_are_read_or_refused(payload in "[ -~]{0,400}", header in "[ -~]{0,100}") {
        let mut world = World::on_line();
        world.send(&raw(&world::header("unlock+jwt", UNLOCK), &payload, UNLOCK));
        world.send(&raw(&header, &payload, UNLOCK));
        prop_assert_eq!(world.story().len(), 2);
        prop_assert!(world.hands.movements.is_empty());
    }

    #[test]
    fn any_change_of_one_character_is_refused(at in 0..700_usize, to in "[A-Za-z0-9_.-]") {
        let mut token = unlock(1);
        let at = at % token.len();
        prop_assume!(token[at..=at] != to);
        token.replace_range(at..=at, &to);
        let mut world = World::on_line();
        world.send(&token);
        prop_assert!(world.story()[0].0 == "denied");
        prop_assert!(world.hands.movements.is_empty());
    }
}
