//! Passkeys of a real browser with an authenticator of its own.

use std::future::IntoFuture as _;

use serde_json::{Value, json};

use super::account::{add_passkey, server, sign_in, told};
use crate::fixtures::browser::{Authenticator, Browser};
use crate::fixtures::databases::TestDatabase;
use crate::world::{Landlord, TestServer};

/// Ana, signed in at the page of her account, whose address this is, with a passkey on the device that the page is on.
async fn ana_with_a_passkey<'a>(
    page: &'a Browser,
    database: &TestDatabase,
) -> (TestServer, String, Landlord, Authenticator<'a>) {
    let (t, address) = server(database, None).await;
    let ana = t.landlord("ana").await;
    let device = page.authenticator().await;
    page.open(&address).await;
    sign_in(page, &ana).await;
    add_passkey(page, "My laptop").await;
    (t, address, ana, device)
}

/// What the browser's authenticator signs for these options, wherever the page is.
async fn signed(page: &Browser, options: &Value) -> Value {
    page.promise(&format!("return await signedByPasskey({});", options["public_key"]))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_signed_counts_once_and_here_alone() {
    let database = TestDatabase::sqlite();
    let page = Browser::start().await;
    let (t, address, ana, device) = ana_with_a_passkey(&page, &database).await;
    let ask = || async { t.http.post("/v1/auth/passkey/options").await.expect(200) };
    let show = |credential: &Value| {
        t.http
            .post("/v1/auth/passkey")
            .json(json!({ "credential": credential }))
    };

    let credential = signed(&page, &ask().await).await;
    show(&credential).await.expect(200);
    show(&credential).await.expect_problem(401, "passkey-refused");
    let credential = signed(&page, &ask().await).await;
    let (one, other) = tokio::join!(show(&credential).into_future(), show(&credential).into_future());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "{} {}", one.text, other.text);

    // Whoever does not show the device who they are gets no signature of it.
    device.set_known(false).await;
    let asked = ask().await;
    let refused = signed(&page, &asked).await;
    assert!(refused.as_str().unwrap().contains("NotAllowedError"), "{refused}");
    device.set_known(true).await;

    // Another page of the same name, at another port: the browser lets it ask, and what it gets counts nothing here.
    let elsewhere = TestDatabase::sqlite();
    let (_other, other_address) = server(&elsewhere, None).await;
    page.open(&other_address).await;
    page.until("Sign in with a passkey").await;
    let credential = signed(&page, &ask().await).await;
    assert!(credential["response"]["signature"].is_string(), "{credential}");
    show(&credential).await.expect_problem(401, "passkey-refused");
    // A page of another name is not even let ask, and says where passkeys work.
    page.open(&format!("{}/account", t.http.base_url())).await;
    page.until("Sign in").await;
    assert!(!page.text().await.contains("Sign in with a passkey"));
    let credential = signed(&page, &ask().await).await;
    assert!(credential.as_str().unwrap().contains("SecurityError"), "{credential}");
    sign_in(&page, &ana).await;
    page.until(&format!("Passkeys work at {address}.")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_that_was_copied_is_refused_and_told() {
    let database = TestDatabase::sqlite();
    let page = Browser::start().await;
    let (_t, _, ana, device) = ana_with_a_passkey(&page, &database).await;
    let copy = device.passkeys().await.remove(0);
    for _ in 0..2 {
        page.press("Sign out").await;
        page.until("You are signed out.").await;
        page.press("Sign in with a passkey").await;
        page.until("Signed in as ana").await;
    }
    // The thief's device stands where the owner's stood before.
    page.press("Sign out").await;
    page.until("You are signed out.").await;
    device.empty().await;
    device.put(copy).await;
    page.press("Sign in with a passkey").await;
    page.until("This passkey was refused").await;
    assert_eq!(told(&ana).await[0], "passkey-copied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_proves_by_the_passkey_of_somebody_else() {
    let database = TestDatabase::sqlite();
    let (t, address) = server(&database, None).await;
    let (ana, bob) = (t.landlord("ana").await, t.landlord("bob").await);
    let page = Browser::start().await;
    let device = page.authenticator().await;
    page.open(&address).await;
    sign_in(&page, &bob).await;
    add_passkey(&page, "Bob's").await;
    page.press("Sign out").await;
    device.empty().await;
    sign_in(&page, &ana).await;
    add_passkey(&page, "Ana's").await;
    page.press("Sign out").await;
    // The device has Ana's passkey alone, and Bob is signed in.
    sign_in(&page, &bob).await;
    let refused = page
        .promise(
            "const { public_key: options } = await call('POST', '/v1/auth/prove/passkey/options');
             const credential = await signedByPasskey({ ...options, allowCredentials: [] });
             return await call('POST', '/v1/auth/prove/passkey', { credential }).catch((problem) => problem.word);",
        )
        .await;
    assert_eq!(refused, "passkey-refused");
}
