//! Proving by a passkey who holds a session.

use serde_json::{Value, json};

use super::{MINUTE, by};
use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Person, TestServer};

on_each_database!(a_passkey_proves_who_holds_a_session, nobody_proves_by_anothers_passkey,);

async fn a_passkey_proves_who_holds_a_session(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let ask = || ana.post("/v1/auth/prove/passkey/options");
    ask().await.expect_problem(409, "no-passkey");
    let (mut device, id) = Authenticator::of(&ana).await;
    t.clock.advance(10 * MINUTE);
    let token = ana.access_token();
    let remove = || by(&t.http, &token, "DELETE", &format!("/v1/me/passkeys/{id}"));
    remove().await.expect_problem(403, "proof-needed");
    let asked = ask().await.expect(200);
    assert_eq!(asked["public_key"]["allowCredentials"][0]["id"], device.id());
    // Where it was named, an authenticator need not say whose it is.
    device.handle = None;
    let prove = |token: &str, credential: &Value| {
        let proof = json!({ "credential": credential });
        by(&t.http, token, "POST", "/v1/auth/prove/passkey").json(proof)
    };
    let credential = device.sign(&asked);
    let proven = prove(&token, &credential).await.expect(200);
    assert_eq!(proven["good_until"], t.clock.after(10 * MINUTE));
    prove(&token, &credential).await.expect_problem(401, "passkey-refused");
    // Of this session alone.
    let other = Person::sign_in(&t.http, "ana", &ana.email).await;
    let asked = ask().await.expect(200);
    let elsewhere = prove(&other.access_token(), &device.sign(&asked));
    elsewhere.await.expect_problem(401, "passkey-refused");
    remove().await.expect(204);
}

async fn nobody_proves_by_anothers_passkey(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let (mut hers, _) = Authenticator::of(&ana).await;
    let (mut eves, _) = Authenticator::of(&eve).await;
    // Eve holds a session of Ana's.
    let stolen = ana.access_token();
    t.clock.advance(10 * MINUTE);
    let ask = || by(&t.http, &stolen, "POST", "/v1/auth/prove/passkey/options");
    let prove = |credential: Value| {
        let proof = json!({ "credential": credential });
        by(&t.http, &stolen, "POST", "/v1/auth/prove/passkey").json(proof)
    };
    let asked = ask().await.expect(200);
    prove(eves.sign(&asked)).await.expect_problem(401, "passkey-refused");
    let mut unnamed = eves.clone();
    unnamed.handle = None;
    let asked = ask().await.expect(200);
    prove(unnamed.sign(&asked)).await.expect_problem(401, "passkey-refused");
    let begin = by(&t.http, &stolen, "POST", "/v1/me/passkeys/options");
    begin.await.expect_problem(403, "proof-needed");
    let asked = ask().await.expect(200);
    prove(hers.sign(&asked)).await.expect(200);
}
