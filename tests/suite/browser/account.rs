//! The page of one's own account, and passkeys of a real browser.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use doorward::domain::time::Clock as _;
use doorward::server::MachineClock;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::fixtures::browser::Browser;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mail_server::MailServer;
use crate::fixtures::wait::until;
use crate::world::{Landlord, PASSWORD, Person, TestServer};

const MINUTE: Duration = Duration::from_secs(60);

/// A port that was free just now.
fn free_port() -> u16 {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    any.local_addr().unwrap().port()
}

/// A server at the one name at which browsers know passkeys without a certificate, at the time that they believe in; and the
/// address of its page.
pub async fn server(database: &TestDatabase, mail: Option<&MailServer>) -> (TestServer, String) {
    let port = free_port();
    let t = TestServer::start_with(database, |config| {
        config.http.bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        config.http.public_url = format!("http://localhost:{port}");
        if let Some(mail) = mail {
            config.mail = mail.section();
        }
    })
    .await;
    t.clock.set(&MachineClock.now().to_string());
    (t, format!("http://localhost:{port}/account"))
}

/// Signs in by the password.
pub async fn sign_in(page: &Browser, person: &Person) {
    page.until("Sign in").await;
    page.fill("email", &person.email).await;
    page.fill("password", PASSWORD).await;
    page.press("Sign in").await;
    page.until(&format!("Signed in as {}", person.name)).await;
}

pub async fn add_passkey(page: &Browser, name: &str) {
    page.fill("passkey_name", name).await;
    page.press("Add a passkey").await;
    page.until("The passkey is added.").await;
}

/// Lets the time pass, also for the page, which goes by the machine's.
async fn pass_minutes(t: &TestServer, page: &Browser, minutes: u32) {
    t.clock.advance(minutes * MINUTE);
    page.script(&format!("ahead += {minutes} * 60000")).await;
}

/// What is wrong with the page for who cannot see it, or has a small screen.
async fn faults(page: &Browser) -> Value {
    page.script(
        "const seen = (one) => one.getClientRects().length > 0;
         const wrong = [];
         for (const field of document.querySelectorAll('input')) {
           if (seen(field) && field.labels.length !== 1) wrong.push('no label: ' + field.name);
         }
         const names = new Set();
         for (const button of document.querySelectorAll('button')) {
           const name = button.getAttribute('aria-label') || button.textContent.trim();
           if (seen(button) && (!name || names.has(name))) wrong.push('no name of its own: ' + name);
           if (seen(button)) names.add(name);
           if (seen(button) && button.getBoundingClientRect().height < 44) wrong.push('too small: ' + name);
         }
         const width = document.documentElement.scrollWidth;
         if (width > window.innerWidth) wrong.push('wider than the screen: ' + width);
         return wrong;",
    )
    .await
}

async fn expect_no_complaints(page: &Browser) {
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}

pub async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await;
    notices
        .iter()
        .map(|notice| notice["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_added_signs_in_proves_and_is_removed() {
    let database = TestDatabase::sqlite();
    let (t, address) = server(&database, None).await;
    let ana = t.landlord("ana").await;
    let page = Browser::start().await;
    let device = page.authenticator().await;
    page.open(&address).await;
    page.until("Sign in with a passkey").await;
    page.picture("account-sign-in").await;
    assert_eq!(faults(&page).await, json!([]));
    page.fill("email", &ana.email).await;
    page.fill("password", "not her password").await;
    page.press("Sign in").await;
    page.until("The e-mail address or the password is wrong.").await;
    sign_in(&page, &ana).await;
    add_passkey(&page, "My laptop").await;
    page.picture("account-passkey-added").await;
    page.fill("passkey_name", "Once more").await;
    page.press("Add a passkey").await;
    page.until("This device has a passkey of yours already.").await;
    page.press("Rename").await;
    page.until("Another name").await;
    page.picture("account-rename").await;
    page.fill("new_name", "<b>Desk</b>").await;
    page.press("Save the name").await;
    page.until("<b>Desk</b>").await;
    page.until("It has another name now.").await;
    // What had the focus is gone; it is not lost at the beginning of the page.
    assert_eq!(page.script("return document.activeElement.id").await, "of-passkeys");
    assert_eq!(faults(&page).await, json!([]));

    page.press("Sign out").await;
    page.until("You are signed out.").await;
    page.press("Sign in with a passkey").await;
    page.until("Signed in as ana").await;
    page.until("Last used about").await;
    page.set_dark(true).await;
    page.picture("account-dark").await;
    page.set_dark(false).await;
    page.picture("account-light").await;
    // What the page keeps is no use elsewhere: the key does not come out of this browser.
    let kept = page
        .promise(
            "const kept = await keptSession();
             const out = await crypto.subtle.exportKey('jwk', kept.key).catch((error) => error.name);
             return [kept.key.extractable, out, kept.tokens.token_type, kept.tokens.access_token];",
        )
        .await;
    assert_eq!(
        kept.as_array().unwrap()[..3],
        [json!(false), json!("InvalidAccessError"), json!("DPoP")]
    );
    let copied = t.http.get("/v1/me").bearer(kept[3].as_str().unwrap());
    copied.await.expect_problem(401, "proof-refused");

    // Loaded again, it is still who it was.
    page.reload().await;
    page.until("Signed in as ana").await;
    pass_minutes(&t, &page, 11).await;
    page.press("Remove").await;
    page.until("Remove this passkey?").await;
    page.press("Keep it").await;
    page.press("Remove").await;
    page.press("Remove it").await;
    page.until("Is it you?").await;
    page.picture("account-prove").await;
    assert_eq!(faults(&page).await, json!([]));
    page.press("With a passkey").await;
    page.until("The passkey is removed.").await;
    assert_eq!(ana.list("/v1/me/passkeys").await, Vec::<Value>::new());
    assert_eq!(told(&ana).await[..2], ["passkey-removed", "passkey-added"]);
    // The device does not know that.
    page.press("Sign out").await;
    page.until("You are signed out.").await;
    assert_eq!(device.passkeys().await.len(), 1);
    page.press("Sign in with a passkey").await;
    page.until("This passkey was refused").await;
    page.picture("account-refused").await;
    expect_no_complaints(&page).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_switched_on_by_its_picture_and_off_again() {
    let database = TestDatabase::sqlite();
    let (t, address) = server(&database, None).await;
    let ana = t.landlord("ana").await;
    let page = Browser::start().await;
    page.open(&address).await;
    sign_in(&page, &ana).await;
    page.press("Switch on").await;
    page.until("Read this picture with an authenticator app").await;
    page.picture("account-code-picture").await;
    let drawn = page
        .script("return document.querySelector('#factor-picture svg[role=img]').getBoundingClientRect().width")
        .await;
    assert!(drawn.as_f64().unwrap() > 200.0, "{drawn}");
    assert_eq!(faults(&page).await, json!([]));
    let secret = page
        .script("return document.getElementById('factor-secret').textContent")
        .await;
    let secret = Secret::try_from_base32(secret.as_str().unwrap().replace(' ', "")).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let code = |steps: u64| {
        let now = u64::try_from(t.clock.now().as_millis() / 1000).unwrap();
        totp.generate(now + steps * 30).to_string()
    };
    page.fill("totp_code", "000000").await;
    page.press("Confirm").await;
    page.until("This code is wrong, or was used.").await;
    page.fill("totp_code", &code(0)).await;
    page.press("Confirm").await;
    page.until("Each signs you in once").await;
    page.until("10 recovery codes are left.").await;
    page.picture("account-recovery-codes").await;
    assert_eq!(page.script("return document.activeElement.id").await, "of-recovery");
    let codes = page
        .script("return [...document.querySelectorAll('#recovery-codes li')].map((one) => one.textContent)")
        .await;
    assert_eq!(codes.as_array().unwrap().len(), 10);
    page.press("I have written them down").await;
    assert!(!page.text().await.contains(codes[0].as_str().unwrap()));

    page.press("Sign out").await;
    page.until("You are signed out.").await;
    page.fill("email", &ana.email).await;
    page.fill("password", PASSWORD).await;
    page.press("Sign in").await;
    page.until("Type the code that your device shows").await;
    page.picture("account-code").await;
    page.fill("code", &code(1)).await;
    page.press("Sign in").await;
    page.until("Signed in as ana").await;
    pass_minutes(&t, &page, 11).await;
    page.press("Switch off").await;
    page.press("Switch it off").await;
    page.until("Is it you?").await;
    page.fill("proof_password", PASSWORD).await;
    page.press("It is me").await;
    page.until("Type the code that your device shows").await;
    page.fill("proof_code", codes[0].as_str().unwrap()).await;
    page.press("It is me").await;
    page.until("It is off.").await;
    expect_no_complaints(&page).await;
}

/// Whoever is looked after from elsewhere, too.
async fn look_after(ana: &Landlord) -> Person {
    ana.phone().await;
    Person::sign_in(&ana.http(), "ana", &ana.email).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_phones_and_letters_are_looked_after() {
    let database = TestDatabase::sqlite();
    let mail = MailServer::start().await;
    let (t, address) = server(&database, Some(&mail)).await;
    let ana = t.landlord("ana").await;
    let other = look_after(&ana).await;
    let page = Browser::start().await;
    page.open(&address).await;
    // By the keyboard alone.
    page.until("Sign in").await;
    page.fill("email", &ana.email).await;
    page.fill("password", PASSWORD).await;
    page.key("Enter").await;
    page.until("Signed in as ana").await;
    page.until("(this one)").await;
    assert_eq!(page.script("return document.activeElement.id").await, "title");
    page.picture("account-whole").await;
    assert_eq!(faults(&page).await, json!([]));

    // What ends the sessions of others is dangerous where it is not they who ask.
    pass_minutes(&t, &page, 11).await;
    page.press("End all others").await;
    page.until("Is it you?").await;
    page.fill("proof_password", PASSWORD).await;
    page.key("Enter").await;
    page.until("2 others were signed out.").await;
    other.get("/v1/me").await.expect_problem(401, "unauthenticated");
    ana.sign_in_again().await;
    page.script("document.querySelector('#phones button').focus()").await;
    page.key("Enter").await;
    page.until("Remove this phone?").await;
    let focus = "return document.activeElement.closest('dialog') !== null";
    assert_eq!(page.script(focus).await, true);
    page.key("Escape").await;
    until("the focus to be back", async || {
        let focus = "return document.activeElement.getAttribute('aria-label') || ''";
        let focus = page.script(focus).await;
        focus.as_str().unwrap().starts_with("Remove phone: ")
    })
    .await;
    page.key("Enter").await;
    page.press("Remove it").await;
    page.until("The phone is removed.").await;
    assert_eq!(ana.list("/v1/me/phones").await, Vec::<Value>::new());

    let toggle = "document.querySelectorAll('#letters input')[7].click()";
    page.script(toggle).await;
    page.until("No letters come for that any more.").await;
    let settings = ana.get("/v1/me/notice-settings").await.expect(200);
    let off = ["lockdown-begun", "lockdown-changed", "lockdown-ended"];
    assert_eq!(settings["no_letter_for"], json!(off));
    page.script(toggle).await;
    page.until("Letters come for that.").await;
    let settings = ana.get("/v1/me/notice-settings").await.expect(200);
    assert_eq!(settings["no_letter_for"], json!([]));

    // Ended from elsewhere, and away from the network.
    page.set_online(false).await;
    page.press("Sign out").await;
    page.until("The service cannot be reached. Are you online?").await;
    page.set_online(true).await;
    ana.delete("/v1/me/sessions").await.expect(200);
    page.press("Switch on").await;
    page.until("You were signed out. Sign in again.").await;
    expect_no_complaints(&page).await;
}
