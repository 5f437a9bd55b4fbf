//! Ceremonies with an authenticator whose CBOR is written here by hand, so that it is not read by what wrote it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "https://doors.example";
const CREDENTIAL: &[u8] = b"a name";

/// Present and verified.
const HERE: u8 = 0x05;
/// The same, with a new passkey.
const MADE: u8 = 0x45;

fn party() -> RelyingParty {
    RelyingParty::of(ORIGIN).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[9; 32]).unwrap()
}

fn challenge() -> Secret {
    Secret::from_bytes(&[7; 32])
}

fn client(ceremony: &str, origin: &str) -> Vec<u8> {
    let said = serde_json::json!({
        "type": ceremony, "challenge": challenge().expose(), "origin": origin, "crossOrigin": false, "more": { "of": 1 },
    });
    serde_json::to_vec(&said).unwrap()
}

fn authenticator(party: &str, flags: u8, counter: u32) -> Vec<u8> {
    [&digest(party.as_bytes())[..], &[flags], &counter.to_be_bytes()].concat()
}

/// A text or byte string of CBOR, shorter than 64 KiB.
fn string(major: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let head = match length {
        0..24 => vec![major | u8::try_from(length).unwrap()],
        _ => [&[major | 25][..], &length.to_be_bytes()].concat(),
    };
    [head, bytes.to_vec()].concat()
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    string(0x40, bytes)
}

fn text(text: &str) -> Vec<u8> {
    string(0x60, text.as_bytes())
}

/// `{1: 2, 3: -7, -1: 1, -2: x, -3: y}`.
fn es256() -> Vec<u8> {
    let point = key().verifying_key().to_sec1_point(false);
    let (x, y) = (point.x().unwrap(), point.y().unwrap());
    [
        &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21][..],
        &bytes(x),
        &[0x22],
        &bytes(y),
    ]
    .concat()
}

fn attested(flags: u8, id: &[u8], key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(id.len()).unwrap().to_be_bytes();
    [
        &authenticator("doors.example", flags, 5)[..],
        &[0; 16],
        &length,
        id,
        key,
    ]
    .concat()
}

/// `{"fmt": "none", "attStmt": {}, "authData": data}`.
fn object(data: &[u8]) -> Vec<u8> {
    [
        &[0xa3][..],
        &text("fmt"),
        &text("none"),
        &text("attStmt"),
        &[0xa0],
        &text("authData"),
        &bytes(data),
    ]
    .concat()
}

fn registered(data: &[u8]) -> Result<NewCredential, Refused> {
    party().registered(&object(data))
}

fn signature(client: &[u8], data: &[u8]) -> Vec<u8> {
    let signature: Signature = key().sign(&[data, &digest(client)].concat());
    signature.to_der().as_bytes().to_vec()
}

fn asserted(client: &[u8], data: &[u8], signature: &[u8], key: &[u8]) -> Result<Assertion, Refused> {
    let asked = party().read(Moment::Get, client)?;
    party().asserted(&asked, data, signature, key)
}

#[test]
fn the_party_is_the_domain_of_our_address() {
    for (url, id, origin) in [
        ("https://doors.example", "doors.example", "https://doors.example"),
        ("https://Doors.Example:443", "doors.example", "https://doors.example"),
        (
            "https://doors.example:8443",
            "doors.example",
            "https://doors.example:8443",
        ),
        ("http://localhost:8080", "localhost", "http://localhost:8080"),
    ] {
        let party = RelyingParty::of(url).unwrap();
        assert_eq!((party.id.as_str(), party.origin.as_str()), (id, origin));
    }
    for url in [
        "https://192.0.2.1",
        "http://127.0.0.1:8080",
        "https://[2001:db8::1]",
        "doors",
        "",
    ] {
        assert_eq!(RelyingParty::of(url), None, "{url}");
    }
}

#[test]
fn a_passkey_is_registered_and_signs() {
    let asked = party()
        .read(Moment::Create, &client("webauthn.create", ORIGIN))
        .unwrap();
    assert_eq!(asked.challenge, challenge());
    let new = registered(&attested(MADE, CREDENTIAL, &es256())).unwrap();
    assert_eq!((new.id.as_slice(), new.counter, new.synced), (CREDENTIAL, 5, false));
    assert_eq!(new.public_key, es256());
    let client = client("webauthn.get", ORIGIN);
    let data = authenticator("doors.example", HERE, 6);
    let shown = asserted(&client, &data, &signature(&client, &data), &new.public_key);
    let expected = Assertion {
        counter: 6,
        synced: false,
    };
    assert_eq!(shown, Ok(expected));
}

#[test]
fn a_passkey_may_be_one_that_is_synced_and_have_extensions() {
    // {"credProtect": 2}
    let extensions = [&[0xa1][..], &text("credProtect"), &[0x02]].concat();
    for (flags, after, synced) in [
        (0x08, &[][..], Some(true)),
        (0x18, &[][..], Some(true)),
        (0x80, &extensions, Some(false)),
        // Copied, and not to be copied.
        (0x10, &[], None),
        // Announced and not there; there and not announced; no map; two.
        (0x80, &[], None),
        (0x00, &extensions, None),
        (0x80, &[0x01], None),
        (0x80, &extensions.repeat(2), None),
    ] {
        let key = [&es256(), after].concat();
        let new = registered(&attested(MADE | flags, CREDENTIAL, &key));
        assert_eq!(new.ok().map(|new| new.synced), synced, "{flags:#x}");
        let client = client("webauthn.get", ORIGIN);
        let data = [&authenticator("doors.example", HERE | flags, 6), after].concat();
        let shown = asserted(&client, &data, &signature(&client, &data), &es256());
        assert_eq!(shown.ok().map(|shown| shown.synced), synced, "{flags:#x}");
    }
}

#[test]
fn other_algorithms_sign_too() {
    let client = client("webauthn.get", ORIGIN);
    let data = authenticator("doors.example", HERE, 0);
    let message = [&data[..], &digest(&client)].concat();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    // {1: 1, 3: -8, -1: 6, -2: x}
    let eddsa = [
        &[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21][..],
        &bytes(pair.public_key().as_ref()),
    ]
    .concat();
    registered(&attested(MADE, CREDENTIAL, &eddsa)).unwrap();
    let signed = pair.sign(&message);
    asserted(&client, &data, signed.as_ref(), &eddsa).unwrap();
    assert_eq!(asserted(&client, &data, signed.as_ref(), &es256()), Err(Refused));

    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    // {1: 3, 3: -257, -1: n, -2: e}
    let rs256 = |n: &[u8], e: &[u8]| {
        [
            &[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20][..],
            &bytes(n),
            &[0x21],
            &bytes(e),
        ]
        .concat()
    };
    let (n, e) = (public.modulus(), public.exponent());
    let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
    let mut signed = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signed)
        .unwrap();
    registered(&attested(MADE, CREDENTIAL, &rs256(n, e))).unwrap();
    asserted(&client, &data, &signed, &rs256(n, e)).unwrap();
    for (n, e) in [(&n[..128], e), (n, &[][..]), (&[1; 1025], e), (&[], e), (n, &[1; 9])] {
        assert_eq!(registered(&attested(MADE, CREDENTIAL, &rs256(n, e))), Err(Refused));
    }
}

#[test]
fn whatever_is_not_exactly_what_was_asked_is_refused() {
    let get = "webauthn.get";
    for (name, (ceremony, origin, id, flags)) in [
        ("another ceremony", ("webauthn.create", ORIGIN, "doors.example", HERE)),
        (
            "another origin",
            (get, "https://doors.example.evil", "doors.example", HERE),
        ),
        (
            "a part of our origin",
            (get, "https://a.doors.example", "doors.example", HERE),
        ),
        ("another port", (get, "https://doors.example:1", "doors.example", HERE)),
        ("another scheme", (get, "http://doors.example", "doors.example", HERE)),
        ("another party", (get, ORIGIN, "evil.example", HERE)),
        ("nobody was there", (get, ORIGIN, "doors.example", 0x04)),
        ("nobody was verified", (get, ORIGIN, "doors.example", 0x01)),
    ] {
        let client = client(ceremony, origin);
        let data = authenticator(id, flags, 1);
        let shown = asserted(&client, &data, &signature(&client, &data), &es256());
        assert_eq!(shown, Err(Refused), "{name}");
    }
    let challenge = challenge();
    let challenge = challenge.expose();
    for (name, said) in [
        ("no JSON", "{".to_owned()),
        ("nothing", String::new()),
        ("no challenge", format!(r#"{{"type":"{get}","origin":"{ORIGIN}"}}"#)),
        (
            "another challenge",
            format!(r#"{{"type":"{get}","challenge":"short","origin":"{ORIGIN}"}}"#),
        ),
        (
            "in another's frame",
            format!(r#"{{"type":"{get}","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":true}}"#),
        ),
        (
            "in another's frame, by name",
            format!(
                r#"{{"type":"{get}","challenge":"{challenge}","origin":"{ORIGIN}","topOrigin":"https://evil.example"}}"#
            ),
        ),
        (
            "two origins",
            format!(r#"{{"type":"{get}","challenge":"{challenge}","origin":"{ORIGIN}","origin":"{ORIGIN}"}}"#),
        ),
    ] {
        assert!(party().read(Moment::Get, said.as_bytes()).is_err(), "{name}");
    }
    for flags in [0x40, 0x41, 0x44, 0x05] {
        assert_eq!(
            registered(&attested(flags, CREDENTIAL, &es256())),
            Err(Refused),
            "{flags:#x}"
        );
    }
}

#[test]
fn hostile_objects_are_refused() {
    let good = attested(MADE, CREDENTIAL, &es256());
    let key = |from: &[u8], to: &[u8]| {
        let whole = es256();
        let at = whole.windows(from.len()).position(|part| part == from).unwrap();
        [&whole[..at], to, &whole[at + from.len()..]].concat()
    };
    let twice = [
        &[0xa2][..],
        &text("authData"),
        &bytes(&good),
        &text("authData"),
        &bytes(&good),
    ]
    .concat();
    let trailing = [&object(&good)[..], &[0]].concat();
    for (name, object) in [
        ("nothing", vec![]),
        ("no map", vec![0x80]),
        ("an empty map", vec![0xa0]),
        (
            "a map that never comes",
            vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "bytes that never come",
            vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("lists in lists in lists", vec![0x81; 16 * 1024]),
        ("no data", [&[0xa1][..], &text("fmt"), &text("none")].concat()),
        (
            "data that are a text",
            [&[0xa1][..], &text("authData"), &text("none")].concat(),
        ),
        ("data twice", twice),
        ("something after it", trailing),
        ("a name of nothing", self::object(&attested(MADE, b"", &es256()))),
        (
            "a name that is too long",
            self::object(&attested(MADE, &[1; 1024], &es256())),
        ),
        ("no key", self::object(&attested(MADE, CREDENTIAL, &[]))),
        (
            "a key that is a number",
            self::object(&attested(MADE, CREDENTIAL, &[0x01])),
        ),
        (
            "another kind of key",
            self::object(&attested(MADE, CREDENTIAL, &key(&[1, 2], &[1, 1]))),
        ),
        (
            "a secret key",
            self::object(&attested(MADE, CREDENTIAL, &key(&[1, 2], &[1, 4]))),
        ),
        (
            "ES384",
            self::object(&attested(MADE, CREDENTIAL, &key(&[3, 0x26], &[3, 0x38, 0x22]))),
        ),
        (
            "another curve",
            self::object(&attested(MADE, CREDENTIAL, &key(&[0x20, 1], &[0x20, 2]))),
        ),
        (
            "a point off the curve",
            self::object(&attested(MADE, CREDENTIAL, &key(&[0x22], &[0x23]))),
        ),
        (
            "a parameter twice",
            self::object(&attested(MADE, CREDENTIAL, &key(&[0x22], &[0x21]))),
        ),
    ] {
        assert_eq!(party().registered(&object), Err(Refused), "{name}");
    }
    let mut off = es256();
    *off.last_mut().unwrap() ^= 1;
    assert_eq!(registered(&attested(MADE, CREDENTIAL, &off)), Err(Refused));
    // The longest name that there may be.
    let long = registered(&attested(MADE, &[1; MOST_ID_BYTES], &es256())).unwrap();
    assert_eq!(long.id.len(), MOST_ID_BYTES);
}

#[test]
fn a_changed_bit_is_refused() {
    let client = client("webauthn.get", ORIGIN);
    let data = authenticator("doors.example", HERE, 6);
    let signature = signature(&client, &data);
    for at in 0..data.len() {
        let mut changed = data.clone();
        changed[at] ^= 1;
        let shown = asserted(&client, &changed, &signature, &es256());
        assert_eq!(shown, Err(Refused), "byte {at}");
    }
    for at in 0..signature.len() {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        let shown = asserted(&client, &data, &changed, &es256());
        assert_eq!(shown, Err(Refused), "byte {at} of the signature");
    }
    let other = serde_json::json!({ "type": "webauthn.get", "challenge": challenge().expose(), "origin": ORIGIN });
    let shown = asserted(other.to_string().as_bytes(), &data, &signature, &es256());
    assert_eq!(shown, Err(Refused), "something else was asked");
}

#[test]
fn bytes_have_one_text() {
    let bytes: Bytes = "AQID".parse().unwrap();
    assert_eq!((bytes.as_slice(), bytes.to_text().as_str()), (&[1, 2, 3][..], "AQID"));
    for text in ["", "A", "AQID=", "AQ==", "AR", "A+ID", "A/ID", "AQ ID", "ä"] {
        assert_eq!(text.parse::<Bytes>(), Err(BadBytes), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(junk in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(party().registered(&junk), Err(Refused));
        prop_assert_eq!(registered(&junk), Err(Refused));
        prop_assert_eq!(registered(&attested(MADE, CREDENTIAL, &junk)), Err(Refused));
        prop_assert!(party().read(Moment::Create, &junk).is_err());
        let client = client("webauthn.get", ORIGIN);
        prop_assert_eq!(asserted(&client, &junk, &junk, &es256()), Err(Refused));
        let data = authenticator("doors.example", HERE, 6);
        prop_assert_eq!(asserted(&client, &data, &junk, &es256()), Err(Refused));
        prop_assert_eq!(asserted(&client, &data, &signature(&client, &data), &junk), Err(Refused));
    }

    #[test]
    fn any_cut_object_is_refused(part in 0_usize..1000) {
        let whole = object(&attested(MADE, CREDENTIAL, &es256()));
        prop_assert_eq!(party().registered(&whole[..part % whole.len()]), Err(Refused));
        let data = attested(MADE, CREDENTIAL, &es256());
        prop_assert_eq!(registered(&data[..part % data.len()]), Err(Refused));
    }
}
