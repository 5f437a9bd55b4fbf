//! The page for whoever is locked out and has no phone of their own.

use doorward::domain::time::Clock as _;
use doorward::server::MachineClock;
use serde_json::json;

use crate::fixtures::browser::Browser;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mail_server::{Letter, MailServer};
use crate::fixtures::wait::until;
use crate::world::TestServer;

/// The code in the letter: the line that is nothing else.
fn code_in(letter: &Letter) -> String {
    let code = letter.text().lines().map(str::trim).find(|line| {
        let groups: Vec<&str> = line.split('-').collect();
        groups.len() == 2 && groups.iter().all(|group| group.len() == 5)
    });
    code.unwrap_or_else(|| panic!("{letter:?}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_locked_out_asks_from_any_browser() {
    let database = TestDatabase::sqlite();
    let mail = MailServer::start().await;
    let t = TestServer::start_with(&database, |config| config.mail = mail.section()).await;
    t.clock.set(&MachineClock.now().to_string());
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    ana.add_lock_of(&flat, "Flat 1").await;
    let tom = ana.tenant("tom", &flat).await;
    let dee = ana.staff("dee", "desk").await;

    let browser = Browser::start().await;
    browser.open(&format!("{}/lockout", t.http.base_url())).await;
    browser.until("Locked out?").await;
    browser.picture("lockout-ask").await;
    browser.press("I cannot read my e-mail here").await;
    browser.until("Your name, as on the lease").await;
    browser.picture("lockout-ask-by-home").await;
    browser.press("By e-mail instead").await;
    browser.fill("email", &tom.email).await;
    browser.press("Send me a code").await;
    browser.until("If you live here, a code is on its way").await;
    browser.picture("lockout-code").await;
    let codes = || -> Vec<String> {
        let letters = mail.letters(&tom.email);
        let letters = letters.iter().filter(|letter| letter.subject() == "Your code");
        letters.map(code_in).collect()
    };
    until("the code", async || codes().len() == 1).await;
    let code = codes().remove(0);

    // A wrong answer tells nothing, and the form stays as it was filled.
    browser.fill("code", &code.to_lowercase()).await;
    browser.fill("name", "Eve").await;
    browser.fill("unit", "Flat 1").await;
    browser.press("That is me").await;
    browser.until("That does not fit together.").await;
    browser.picture("lockout-wrong").await;
    browser.press("Start again").await;
    browser.fill("email", &tom.email).await;
    browser.press("Send me a code").await;
    browser.until("If you live here, a code is on its way").await;
    until("the second code", async || codes().len() == 2).await;
    browser.fill("code", &codes()[1]).await;
    browser.fill("name", "tom").await;
    browser.fill("unit", "Flat 1").await;
    browser.press("That is me").await;
    browser.until("I do not need it any more").await;
    browser.picture("lockout-open").await;

    // The tab is loaded again, and follows on.
    browser.reload().await;
    browser.until("I do not need it any more").await;
    let lockout = dee.list("/v1/lockouts").await;
    let path = format!("/v1/lockouts/{}/deny", lockout[0]["id"].as_str().unwrap());
    let reason = json!({ "reason": "Come to the desk, please." });
    dee.post(&path).json(reason).await.expect(200);
    browser.until("The house said no. Come to the desk, please.").await;
    browser.set_dark(true).await;
    browser.picture("lockout-denied-dark").await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}
