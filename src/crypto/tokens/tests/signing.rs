//! What the backend signs, read by the lock's own reader.

use doorward_lock::keys::Keyset;

use super::*;
use crate::crypto::keys::{self, KeyStore};
use crate::domain::time::Timestamp;

const ISS: &str = "https://door.example";

const NOW: Timestamp = Timestamp::from_millis(1_772_441_999_999);

/// The keys of a new backend, and the folder that they live in.
fn backend() -> (tempfile::TempDir, KeyStore) {
    let state = tempfile::tempdir().unwrap();
    let keys = keys::open_in(&state.path().join("keys"), ISS, NOW).unwrap();
    (state, keys)
}

#[test]
fn a_lock_believes_the_keyset_and_what_its_keys_sign() {
    let (_state, keys) = backend();
    let root = doorward_lock::keys::PublicKey::from_jwk(&keys.root().jwk()).unwrap();
    let ring = keys.ring();
    let keyset = Keyset::read(ring.keyset(), &root, ISS).unwrap();
    assert_eq!((keyset.version, keyset.min_rev), (1, 0));
    assert_eq!(
        Keyset::read(ring.keyset(), &root, "https://other.example"),
        Err(Refusal::WrongIssuer)
    );

    let ack = wire::Ack {
        iss: "i",
        org: "o",
        aud: "l",
        chain: CHAIN,
        seq: 4,
        head: HASH,
    };
    let ack = keys.signer(1, NOW).sign_ack(&ack).unwrap();
    let own = ring.newest(Use::Ack).unwrap();
    let message = Message::parse(&ack).unwrap();
    assert_eq!(
        message.header().unwrap(),
        Header {
            alg: "ES256",
            typ: "ack+jwt",
            kid: own.kid()
        }
    );
    let public = doorward_lock::keys::PublicKey::from_jwk(&own.public().jwk()).unwrap();
    assert_eq!(message.verify(&public.key), Ok(()));
    assert_eq!(message.verify(&root.key), Err(Refusal::BadSignature));
}

#[test]
fn every_purpose_signs_with_its_own_key() {
    let (_state, store) = backend();
    let keys = store.signer(1, NOW);
    let (iss, org, aud) = ("i", "o", "l");
    let unlock = wire::Unlock {
        ver: 1,
        iss,
        org,
        aud,
        sub: "person",
        gid: "grant",
        act: wire::Action::Unlock,
        jti: CHAIN,
        iat: 1,
        exp: 11,
        ctr: 1,
        lt: None,
        rev: 0,
        node: "a",
    };
    for (message, typ, purpose) in [
        (keys.sign_unlock(&unlock), "unlock+jwt", Use::Unlock),
        (
            keys.sign_ack(&wire::Ack {
                iss,
                org,
                aud,
                chain: CHAIN,
                seq: 0,
                head: HASH,
            }),
            "ack+jwt",
            Use::Ack,
        ),
        (
            keys.sign_resend(&wire::Resend {
                iss,
                org,
                aud,
                chain: CHAIN,
                from: 0,
                to: 1,
            }),
            "resend+jwt",
            Use::Ack,
        ),
        (
            keys.sign_time(&wire::Time {
                iss,
                org,
                aud,
                nonce: CHAIN,
                t: 1,
            }),
            "time+jwt",
            Use::Doc,
        ),
        (
            keys.sign_release(&wire::Release {
                iss,
                org,
                aud,
                iat: 1,
                exp: 2,
                jti: CHAIN,
            }),
            "release+jwt",
            Use::Doc,
        ),
    ] {
        let message = message.unwrap();
        let ring = store.ring();
        let key = ring.newest(purpose).unwrap();
        let message = Message::parse(&message).unwrap();
        assert_eq!(
            message.header().unwrap(),
            Header {
                alg: "ES256",
                typ,
                kid: key.kid()
            }
        );
        let public = doorward_lock::keys::PublicKey::from_jwk(&key.public().jwk()).unwrap();
        assert_eq!(message.verify(&public.key), Ok(()), "{typ}");
    }
}

#[test]
fn what_no_lock_would_read_is_not_signed() {
    let (_state, keys) = backend();
    let keys = keys.signer(1, NOW);
    let time = |iss| {
        keys.sign_time(&wire::Time {
            iss,
            org: "o",
            aud: "l",
            nonce: CHAIN,
            t: 1,
        })
    };
    assert!(matches!(time("café"), Err(SignError::NotPlain(Typ::Time))));
    assert!(matches!(time("a\"b"), Err(SignError::NotPlain(Typ::Time))));
    assert!(matches!(
        time(&"x".repeat(4000)),
        Err(SignError::TooLong { typ: Typ::Time, .. })
    ));
}

/// The longest names that stand in messages: an issuer of 128 characters, ids and thumbprints.
fn long_issuer() -> String {
    format!("https://{}.example", "d".repeat(112))
}

#[test]
fn the_fullest_list_of_revocations_fits_into_a_message() {
    let (_state, store) = backend();
    let names: Vec<String> = (0..).map(|n| format!("{n:0>43}")).take(100).collect();
    let most = (0..names.len())
        .take_while(|most| crate::domain::revocation::fit(names.iter().take(*most).map(String::as_str)))
        .last()
        .unwrap();
    let number = wire::NUMBER_LIMIT - 1;
    let signed = store.signer(1, NOW).sign_revocations(&wire::Revocations {
        iss: &long_issuer(),
        org: &format!("org_{:032}", 1),
        aud: &format!("lock_{:032}", 1),
        epoch: number,
        revoked: names.iter().take(most).map(String::as_str).collect(),
        min_rev: number,
    });
    assert!(most > 50, "{most}");
    assert!(signed.unwrap().len() <= MAX_MESSAGE);
}

#[test]
fn the_fullest_lockdown_fits_into_a_message() {
    use crate::domain::lockdown::{LONGEST_NAMES, MOST_AT_ONCE};

    let (_state, store) = backend();
    // As many bytes of names as there may be, in as many holds as there may be.
    let names: Vec<String> = (0..LONGEST_NAMES / 46).map(|n| format!("{n:0>43}")).collect();
    let number = wire::NUMBER_LIMIT - 1;
    let share = names.len().div_ceil(wire::MAX_HOLDS);
    let hold = |names: &'static [String]| wire::Hold {
        until: number,
        except: names.iter().map(String::as_str).collect(),
    };
    let names: &'static [String] = names.leak();
    let holds: heapless::Vec<_, { wire::MAX_HOLDS }> = names.chunks(share).map(hold).collect();
    assert_eq!((holds.len(), MOST_AT_ONCE), (wire::MAX_HOLDS, wire::MAX_HOLDS));
    let signed = store.signer(1, NOW).sign_lockdown(&wire::Lockdown {
        iss: &long_issuer(),
        org: &format!("org_{:032}", 1),
        aud: &format!("lock_{:032}", 1),
        epoch: number,
        iat: number,
        holds,
    });
    assert!(signed.unwrap().len() <= MAX_MESSAGE);
}

#[test]
fn the_fullest_pass_fits_into_a_message() {
    let (_state, store) = backend();
    let locks: Vec<String> = (0..wire::MAX_PASS_LOCKS).map(|n| format!("lock_{n:032}")).collect();
    let window = wire::Window {
        days: 127,
        from: 1439,
        to: 1440,
    };
    let number = 10_000_000_000;
    let signed = store.signer(1, NOW).sign_pass(&wire::Pass {
        ver: wire::VERSION,
        iss: &long_issuer(),
        org: &format!("org_{:032}", 1),
        aud: locks.iter().map(String::as_str).collect(),
        sub: CHAIN,
        gid: &format!("tenancy_{:032}", 1),
        act: wire::Action::Unlock,
        jti: CHAIN,
        iat: number,
        nbf: number,
        exp: number,
        rev: number,
        role: wire::Role::Vendor,
        schedule: Some(wire::Schedule {
            weekly: std::iter::repeat_n(window, wire::MAX_WINDOWS).collect(),
            except: std::iter::repeat_n(20_000, wire::MAX_EXCEPTIONS).collect(),
        }),
        zone: Some(
            (0..wire::MAX_ZONE_CHANGES as u64)
                .map(|n| wire::ZoneChange {
                    at: number + n,
                    offset: -36_000,
                })
                .collect(),
        ),
        uses: None,
        used: None,
        cnf: wire::Confirmation { jkt: HASH },
    });
    assert!(signed.unwrap().len() <= MAX_MESSAGE);
}
