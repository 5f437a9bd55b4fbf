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
