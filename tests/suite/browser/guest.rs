//! The page behind a guest's link.

use std::time::Duration;

use doorward::domain::time::Clock as _;
use doorward::server::MachineClock;
use serde_json::{Value, json};

use crate::fixtures::browser::Browser;
use crate::fixtures::databases::TestDatabase;
use crate::world::{Door, Landlord, Property, TestServer};

const HOUR: Duration = Duration::from_secs(3600);

/// A house whose guests are sent links.
struct House {
    t: TestServer,
    ana: Landlord,
    house: Property,
}

impl House {
    /// In Tokyo, at the time that a browser believes in.
    async fn new(database: &TestDatabase) -> Self {
        let t = TestServer::start(database).await;
        t.clock.set(&MachineClock.now().to_string());
        let ana = t.landlord("ana").await;
        let house = ana.add_property("Asia/Tokyo").await;
        Self { t, ana, house }
    }

    /// The page of a link to this door for a guest, by these further terms; and the grant.
    async fn link(&self, door: &Door, terms: Value) -> (String, Value) {
        let guest = json!({ "guest": { "name": "Gus" } });
        let grant = self.ana.give(&[door], guest, terms).await.expect(201);
        let path = format!("/v1/grants/{}/link", grant["id"].as_str().unwrap());
        let link = self.ana.post(&path).await.expect(201);
        (self.page(link["url"].as_str().unwrap()), grant)
    }

    /// The link as it leads to this server.
    fn page(&self, url: &str) -> String {
        url.replace("https://doors.example", &self.t.http.base_url())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_opens_their_door_with_any_browser() {
    let database = TestDatabase::sqlite();
    let house = House::new(&database).await;
    let door = house.ana.add_lock(&house.house, "Garden gate").await;
    let lock = door.install().await;
    let ends = house.t.clock.after(24 * HOUR);
    let (page, grant) = house.link(&door, json!({ "ends_at": ends })).await;

    let phone = Browser::start().await;
    phone.open(&page).await;
    phone.until("Garden gate").await;
    // The secret is out of the address bar, and of what the next one on this phone could look up there.
    assert_eq!(phone.address().await, format!("{}/guest", house.t.http.base_url()));
    let text = phone.text().await;
    assert!(
        text.contains("For Gus, from") && text.contains("Linden Street 4"),
        "{text}"
    );
    // By the clock of the house, and it says so.
    assert!(text.contains("GMT+9"), "{text}");
    phone.picture("guest-ready").await;
    phone.press("Unlock").await;
    phone.until("Unlocked at").await;
    let text = phone.text().await;
    let told = text.lines().find(|line| line.starts_with("Unlocked at")).unwrap();
    assert!(told.ends_with("GMT+9."), "by the clock of the house, too: {told}");
    phone.picture("guest-unlocked").await;
    phone.set_dark(true).await;
    phone.picture("guest-unlocked-dark").await;

    // What it keeps is no use elsewhere: the key does not come out of this browser.
    let kept = phone
        .promise(
            "const open = indexedDB.open('doorward-guest');
             await new Promise((done) => { open.onsuccess = done; });
             const all = open.result.transaction('links').objectStore('links').getAll();
             await new Promise((done) => { all.onsuccess = done; });
             const [link] = all.result;
             const out = await crypto.subtle.exportKey('jwk', link.key).catch((error) => error.name);
             return [all.result.length, link.key.extractable, out, link.session.access_token];",
        )
        .await;
    assert_eq!(
        kept.as_array().unwrap()[..3],
        [json!(1), json!(false), json!("InvalidAccessError")]
    );
    let copied = house.t.http.get("/v1/me/locks").bearer(kept[3].as_str().unwrap());
    copied.await.expect_problem(401, "proof-refused");

    // Tomorrow morning the tab is opened again, without the link.
    phone.reload().await;
    phone.until("Garden gate").await;
    phone.press("Unlock").await;
    phone.until("Unlocked at").await;
    lock.until_settled().await;
    let log = house.ana.log().await;
    let opened = log.iter().filter(|entry| entry["kind"] == "unlocked").count();
    assert_eq!(opened, 2, "{log:?}");

    // Forwarded, the link is worth nothing.
    let other = Browser::start().await;
    other.open(&page).await;
    other.until("This link belongs to another phone.").await;
    other.picture("guest-used").await;

    // Taken back while the page stands there.
    house.ana.revoke(&grant).await;
    phone.press("Unlock").await;
    phone.until("Your access has ended, or it was taken back.").await;
    phone.picture("guest-revoked").await;
    phone.reload().await;
    phone.until("Your access has ended, or it was taken back.").await;
    phone.reload().await;
    phone.until("Open the link that you were sent").await;
    for browser in [&phone, &other] {
        let complaints = browser.complaints().await;
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_honestly_why_a_door_stays_shut() {
    let database = TestDatabase::sqlite();
    let house = House::new(&database).await;
    let name = "<img src=x onerror=document.title='owned'>";
    let away = house.ana.add_lock(&house.house, name).await;
    let lock = away.install().await;
    lock.disconnect().await;
    lock.until_online(&house.ana, false).await;
    let (page, _) = house.link(&away, json!({})).await;
    let phone = Browser::start().await;
    // A lock that is not connected: nothing is promised, nothing is queued.
    phone.open(&page).await;
    phone.until("Not connected at this moment.").await;
    assert!(phone.text().await.contains(name));
    phone.press("Unlock").await;
    phone.until("This lock is not connected now. Nothing was sent").await;
    phone.picture("guest-offline-lock").await;
    assert_eq!(phone.script("return document.title").await, "Your doors");

    // The network of the phone itself.
    phone.set_online(false).await;
    phone.press("Unlock").await;
    phone
        .until("The connection broke off: the door may have opened or not.")
        .await;
    phone.set_online(true).await;

    // A second link on the same phone, for tomorrow: both stand there.
    let shed = house.ana.add_lock(&house.house, "Shed").await;
    let begins = house.t.clock.after(24 * HOUR);
    let ends = house.t.clock.after(48 * HOUR);
    let (page, _) = house.link(&shed, json!({ "starts_at": begins, "ends_at": ends })).await;
    phone.open(&page).await;
    phone.until("Not yet: it opens for you from").await;
    assert!(phone.text().await.contains(name));
    phone.picture("guest-not-yet").await;

    // A link of which half was copied, and none at all.
    let torn = Browser::start().await;
    torn.open(&page[..page.len() - 5]).await;
    torn.until("This link is not whole.").await;
    torn.open(&format!("{}/guest#{}", house.t.http.base_url(), "A".repeat(43)))
        .await;
    torn.until("Your access has ended, or it was taken back.").await;
    torn.open("about:blank").await;
    torn.open(&format!("{}/guest", house.t.http.base_url())).await;
    torn.until("Open the link that you were sent").await;
    torn.picture("guest-no-link").await;
    let complaints = phone.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}
