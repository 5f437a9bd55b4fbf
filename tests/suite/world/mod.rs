//! The world of the end-to-end tests: the real server on any free ports with a database of its own, people who use it
//! over HTTP, real locks at its broker, and a clock that only tests move.
//!
//! ```text
//! let t = TestServer::start(&database).await;
//! let ana = t.landlord("ana").await;
//! let house = ana.add_property("Europe/Vienna").await;
//! let door = ana.add_lock(&house, "Front door").await;
//! let _lock = door.install().await;
//! let gus = ana.guest("gus").await;
//! ana.grant(&gus, &door, json!({ "uses": 1 })).await;
//! gus.unlock(&door).await.expect_opened();
//! gus.unlock(&door).await.expect_refused("uses-exhausted");
//! ```

mod answer;
mod bound;
mod clock;
mod door;
mod guest;
mod hand_lock;
mod http;
mod landlord;
mod person;
mod phone;
mod server;
mod tenancy;

pub use answer::Answer;
pub use bound::BoundPhone;
pub use clock::HandClock;
pub use door::{Door, InstalledLock};
pub use guest::{Link, redemption};
pub use hand_lock::{HandLock, Token, claims_of};
pub use http::{Http, Request, Streamed};
pub use landlord::{Landlord, Property, Unit};
pub use person::{PASSWORD, Person};
pub use phone::Phone;
pub use server::TestServer;

/// What a story says first: the server, and a landlord with a house.
pub async fn house(database: &crate::fixtures::databases::TestDatabase) -> (TestServer, Landlord, Property) {
    let t = TestServer::start(database).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    (t, ana, house)
}
