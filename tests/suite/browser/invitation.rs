//! The page behind an invitation.

use doorward::domain::time::Clock as _;
use serde_json::json;
use totp_rs::{Builder, Secret};

use crate::fixtures::browser::Browser;
use crate::fixtures::databases::TestDatabase;
use crate::world::{PASSWORD, TestServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_second_factor_gives_its_code() {
    let database = TestDatabase::sqlite();
    let t = TestServer::start(&database).await;
    let (ana, bob) = (t.landlord("ana").await, t.landlord("bob").await);
    let begun = ana.post("/v1/me/second-factor").await.text_of("uri");
    let (_, rest) = begun.split_once("secret=").unwrap();
    let secret = Secret::try_from_base32(rest.split('&').next().unwrap()).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let now = u64::try_from(t.clock.now().as_millis() / 1000).unwrap();
    let confirm = json!({ "code": totp.generate(now).to_string() });
    ana.post("/v1/me/second-factor/confirm").json(confirm).await.expect(200);

    let offer = json!({ "role": "guest", "letter": false });
    let link = bob.invite(&ana.email, offer).await.text_of("secret_link");
    let page = Browser::start().await;
    page.open(&link.replace("https://doors.example", &t.http.base_url()))
        .await;
    page.until("Choose a password").await;
    assert!(
        !page.text().await.contains("Code"),
        "nobody is asked for a code who has none"
    );
    page.fill("name", "Ana").await;
    page.fill("password", PASSWORD).await;
    page.press("Accept").await;
    page.until("give the code that your device shows").await;
    page.picture("invitation-code").await;
    page.fill("code", "000000").await;
    page.press("Accept").await;
    page.until("This code is wrong, or was used.").await;
    page.fill("code", &totp.generate(now + 30).to_string()).await;
    page.press("Accept").await;
    page.until("Done. You can sign in now").await;
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}
