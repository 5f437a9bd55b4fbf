//! Enrolment over HTTP, as a lock sees it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::backend::Backend;
use super::front_door::{Clerk, FrontDoor, answer, honest};
use crate::agent::backend_address::Server;
use crate::agent::enrolment::{EnrolError, Enrolled, enrol, enrol_patiently};
use crate::agent::simulate::enrol_all;
use crate::crypto::public_key::PublicKey;
use crate::crypto::random::{OsRandom, Random as _};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_enrols_with_a_code_and_a_proof() {
    let backend = Arc::new(Backend::start().await);
    let code = OsRandom.claim_code();
    let door = FrontDoor::open(None, honest(Arc::clone(&backend), code.clone())).await;
    let typed = format!(" {}\n", *code.expose());
    let enrolled = enrol(&door.server(), &typed, "bench", &OsRandom).await.unwrap();
    let written = serde_json::to_string(&enrolled).unwrap();
    let read: Enrolled = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_only_the_named_authority_is_believed() {
    let backend = Arc::new(Backend::start().await);
    let stranger = Backend::start().await;
    let code = OsRandom.claim_code();
    let tls = TlsAcceptor::from(backend.identity().server_config().unwrap());
    let door = FrontDoor::open(Some(tls), honest(Arc::clone(&backend), code.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    for (authority, believed) in [(backend.authority_pem(), true), (stranger.authority_pem(), false)] {
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, authority).unwrap();
        let address = format!("https://localhost:{}", door.port).parse().unwrap();
        let server = Server::new(address, Some(&ca_file)).unwrap();
        let asking = server.post("/v1/enrolments", "{}".to_owned());
        if believed {
            let enrolled = enrol(&server, &code.expose(), "bench", &OsRandom).await;
            assert!(enrolled.is_ok(), "{enrolled:?}");
        } else {
            let error = asking.await.unwrap_err().to_string();
            assert!(error.contains("certificate"), "{error}");
        }
    }
    assert_eq!(door.asked(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_backends_words() {
    let problem = r#"{"type":"claim-code-refused","title":"The claim code is refused","detail":"It has expired."}"#;
    let refuse: Arc<Clerk> = Arc::new(move |_| Some(answer("403 Forbidden", problem)));
    let door = FrontDoor::open(None, refuse).await;
    let error = enrol(&door.server(), "code", "bench", &OsRandom).await.unwrap_err();
    assert!(error.to_string().contains("(403): It has expired."), "{error}");
    assert_eq!(door.asked(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again() {
    let hang_up: Arc<Clerk> = Arc::new(|_| None);
    let door = FrontDoor::open(None, hang_up).await;
    let error = enrol(&door.server(), "code", "bench", &OsRandom).await.unwrap_err();
    assert!(matches!(error, EnrolError::AnswerLost { .. }), "{error}");
    assert!(error.to_string().contains("may be used up"), "{error}");
    assert_eq!(door.asked(), 1);
}

#[tokio::test]
async fn who_is_put_off_asks_again_and_gives_up_in_the_end() {
    let put_off: Arc<Clerk> = Arc::new(|_| Some(answer("503 Service Unavailable", "{}")));
    let door = FrontDoor::open(None, put_off).await;
    let enrolled = enrol_patiently(&door.server(), "code", "bench", &OsRandom, MS, 7 * MS).await;
    let error = enrolled.unwrap_err();
    assert!(matches!(error, EnrolError::Refused { status: 503, .. }), "{error}");
    assert_eq!(door.asked(), 4);
}

#[tokio::test]
async fn a_backend_that_is_away_leaves_the_code_good() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::new(format!("http://{nobody}").parse().unwrap(), None).unwrap();
    let enrolled = enrol_patiently(&server, "code", "bench", &OsRandom, MS, MS).await;
    let error = enrolled.unwrap_err();
    assert!(matches!(error, EnrolError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("still good"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_no_lock_could_live_with_is_refused() {
    let backend = Arc::new(Backend::start().await);
    for (member, instead) in [
        ("keyset", "a.b.c"),
        ("iss", "https://other.example"),
        ("lock_id", "lock_1"),
    ] {
        let backend = Arc::clone(&backend);
        let spoilt: Arc<Clerk> = Arc::new(move |asked| {
            let public: PublicKey = serde_json::from_value(asked["public_key"].clone()).unwrap();
            let mut welcome = serde_json::to_value(backend.welcome(&public)).unwrap();
            welcome[member] = Value::from(instead);
            Some(answer("200 OK", &welcome.to_string()))
        });
        let door = FrontDoor::open(None, spoilt).await;
        let error = enrol(&door.server(), "code", "bench", &OsRandom).await.unwrap_err();
        assert!(matches!(error, EnrolError::BadWelcome(_)), "{member}: {error}");
    }
}

#[tokio::test]
async fn models_are_plain_and_short() {
    let refuse: Arc<Clerk> = Arc::new(|_| None);
    let door = FrontDoor::open(None, refuse).await;
    for model in ["", "tür", "a\"b", &"m".repeat(65)] {
        let error = enrol(&door.server(), "code", model, &OsRandom).await.unwrap_err();
        assert!(matches!(error, EnrolError::BadModel), "{model}: {error}");
    }
    assert_eq!(door.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_enrol_in_the_order_of_their_codes() {
    let refuse: Arc<Clerk> = Arc::new(|asked| {
        let detail = asked["claim_code"].as_str().unwrap();
        Some(answer("403 Forbidden", &format!(r#"{{"detail":"{detail}"}}"#)))
    });
    let door = FrontDoor::open(None, refuse).await;
    let codes: Vec<String> = (0..100).map(|code| format!("code-{code}-")).collect();
    let answers = enrol_all(&door.server(), &codes, "bench", &OsRandom).await;
    assert_eq!(answers.len(), codes.len());
    for (answer, code) in answers.iter().zip(&codes) {
        let error = answer.as_ref().unwrap_err().to_string();
        assert!(error.ends_with(code), "{error}");
    }
}
