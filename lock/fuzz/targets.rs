//! What every fuzz target does with its bytes. One file for `cargo fuzz` (`fuzz_targets/`) and for the bounded run in the
//! suite (`../tests/fuzz.rs`): nothing here may panic, whatever the bytes are.

use std::collections::HashMap;

use doorward_lock::base64url;
use doorward_lock::chain::Sensors;
use doorward_lock::controller::{Controller, Enrolment, First, Input, Outcome};
use doorward_lock::jws::Message;
use doorward_lock::keys::{Keyset, PublicKey};
use doorward_lock::pins::{Entry, PinKey};
use doorward_lock::schedule::{WallClock, is_open};
use doorward_lock::shell::{Record, Shell, Storage};
use doorward_lock::verify::Payload as _;
use doorward_lock::wire::{self, Action, Bolt, Door};
use p256::ecdsa::SigningKey;

/// A decoder, by the name of its fuzz target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 7] = [
    ("base64url", decode_base64url),
    ("message", read_message),
    ("claims", read_claims),
    ("keyset", read_keyset),
    ("lockdown", read_lockdown),
    ("schedule", read_schedule),
    ("lock", run_lock),
];

/// Bytes as base64url of each length that the protocol knows.
pub fn decode_base64url(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = (
            base64url::decode::<16>(text),
            base64url::decode::<32>(text),
            base64url::decode::<64>(text),
        );
    }
}

/// Bytes as a message: parts, header, type, claims of every type.
pub fn read_message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(message) = Message::parse(text) else { return };
    let _ = (message.header(), message.typ());
    let _ = message.claims::<wire::Unlock<'_>>();
    let _ = message.claims::<wire::Ack<'_>>();
    let _ = message.claims::<wire::Resend<'_>>();
    let _ = message.claims::<wire::Time<'_>>();
    let _ = message.claims::<wire::Release<'_>>();
    let _ = message.claims::<wire::Keyset<'_>>();
    let _ = message.claims::<wire::Revocations<'_>>();
    let _ = message.claims::<wire::Pins<'_>>();
    let _ = message.claims::<wire::Lockdown<'_>>();
    let _ = message.claims::<wire::Pass<'_>>();
    let _ = message.claims::<wire::Challenge<'_>>();
    let _ = message.claims::<wire::Event<'_>>();
    let _ = message.claims::<wire::Hello<'_>>();
    let _ = message.claims::<wire::Enrol<'_>>();
}

/// Bytes as the payload of a message, so that a fuzzer need not learn base64.
pub fn read_claims(data: &[u8]) {
    read_message(wrapped(data).as_bytes());
}

/// Bytes as the payload of a keyset, read past its signature's check.
pub fn read_keyset(data: &[u8]) {
    let key = PublicKey::from_key(*key(1).verifying_key());
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Keyset::read(text, &key, "https://doorward.example");
    }
    let _ = Keyset::read(
        &signed("keyset+jwt", &key.kid, data, 1),
        &key,
        "https://doorward.example",
    );
}

/// Bytes as the claims of a lockdown, asked about names and times.
pub fn read_lockdown(data: &[u8]) {
    let Ok((lockdown, _)) = serde_json_core::from_slice::<wire::Lockdown<'_>>(data) else {
        return;
    };
    let names: Vec<&str> = lockdown
        .holds
        .iter()
        .flat_map(|hold| hold.except.iter().copied())
        .collect();
    for now in [0, lockdown.iat, lockdown.ends(), u64::MAX] {
        let (everybody, nobody) = (lockdown.keeps_out(&names, now), lockdown.keeps_out(&[], now));
        assert!(
            nobody || !everybody,
            "a name lets nobody in who would not be let in without one"
        );
    }
    let _ = lockdown.is_whole();
}

/// Bytes as a schedule with a zone, read at a time.
pub fn read_schedule(data: &[u8]) {
    let Some((now, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let Ok((pass, _)) = serde_json_core::from_slice::<wire::Pass<'_>>(rest) else {
        return;
    };
    let wall = WallClock::read(pass.zone.as_deref().unwrap_or_default(), u64::from_le_bytes(*now));
    if let Some(schedule) = pass.schedule.filter(wire::Schedule::is_whole) {
        let _ = is_open(&schedule, wall);
    }
}

/// Bytes as what a lock finds in its storage and hears on `down`, one part after the other; the first byte of a part
/// says what it is.
pub fn run_lock(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let mut storage = Memory::default();
    if let Some(state) = parts.next().filter(|state| !state.is_empty()) {
        storage.0.insert(Record::State, state.to_vec());
    }
    let root = PublicKey::from_key(*key(1).verifying_key());
    let (Ok(lock), Ok(iss), Ok(org)) = (
        "lock_1".try_into(),
        "https://doorward.example".try_into(),
        "org_1".try_into(),
    ) else {
        return;
    };
    let (Ok(model), Ok(firmware)) = ("fuzz".try_into(), "1".try_into()) else {
        return;
    };
    let enrolment = Enrolment {
        lock,
        iss,
        org,
        root: root.clone(),
        key: key(2),
        pin_key: Some(PinKey::new([5; 32])),
        model,
        firmware,
        assurance: None,
    };
    let keyset = signed(
        "keyset+jwt",
        &root.kid,
        br#"{"iss":"https://doorward.example","version":1,"keys":[],"min_rev":0}"#,
        1,
    );
    let first = First {
        ctr: 0,
        keyset: &keyset,
        time: 1,
    };
    let sensors = Sensors {
        bolt: Bolt::Locked,
        door: Door::Closed,
        battery: None,
    };
    let mut hands = Hands(0);
    let Ok(mut lock) = Controller::start(enrolment, &first, storage, sensors, &mut hands) else {
        return;
    };
    let _ = lock.handle(Input::Connected, &mut hands);
    for part in parts {
        hands.0 += 1_000;
        let input = match part.split_first() {
            Some((b'm', message)) => Input::Message(message),
            Some((b'j', payload)) => {
                let message = wrapped(payload);
                let _ = lock.handle(Input::Message(message.as_bytes()), &mut hands);
                continue;
            }
            Some((b'a', _)) => Input::Moved(Outcome::Arrived),
            Some((b'p', digits)) => match std::str::from_utf8(digits).ok().and_then(Entry::read) {
                Some(entry) => Input::Pin(entry),
                None => Input::Tick,
            },
            Some((b'd', _)) => Input::Disconnected,
            Some((b'c', _)) => Input::Connected,
            _ => Input::Tick,
        };
        let _ = lock.handle(input, &mut hands);
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap_or_else(|_| unreachable!("a small number is a key"))
}

/// `payload` as a message whose signature does not hold.
fn wrapped(payload: &[u8]) -> String {
    let header = encode(br#"{"alg":"ES256","typ":"unlock+jwt","kid":"x"}"#);
    format!("{header}.{}.{}", encode(payload), encode(&[0; 64]))
}

/// `payload` as a message with a good signature.
fn signed(typ: &str, kid: &str, payload: &[u8], seed: u8) -> String {
    use p256::ecdsa::Signature;
    use p256::ecdsa::signature::Signer as _;
    let header = encode(format!(r#"{{"alg":"ES256","typ":"{typ}","kid":"{kid}"}}"#).as_bytes());
    let text = format!("{header}.{}", encode(payload));
    let signature: Signature = key(seed).sign(text.as_bytes());
    format!("{text}.{}", encode(&signature.to_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    Base64UrlUnpadded::encode_string(bytes)
}

/// Storage that forgets with the run.
#[derive(Default)]
struct Memory(HashMap<Record, Vec<u8>>);

impl Storage for Memory {
    type Error = ();

    fn write(&mut self, record: Record, bytes: &[u8]) -> Result<(), ()> {
        self.0.insert(record, bytes.to_vec());
        Ok(())
    }

    fn read(&mut self, record: Record, into: &mut [u8]) -> Result<Option<usize>, ()> {
        let Some(bytes) = self.0.get(&record) else {
            return Ok(None);
        };
        into.get_mut(..bytes.len()).ok_or(())?.copy_from_slice(bytes);
        Ok(Some(bytes.len()))
    }

    fn event_slots(&self) -> u32 {
        16
    }
}

/// Hands that only know the time.
struct Hands(u64);

impl Shell for Hands {
    fn mono_ms(&self) -> u64 {
        self.0
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn publish(&mut self, _: &str, _: &str) {}

    fn show(&mut self, _: &str) {}

    fn begin_move(&mut self, _: Action) {}

    fn forget(&mut self) {}
}
