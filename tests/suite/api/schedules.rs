//! Weekly schedules at the door, by the clock on the wall of the property.

use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Landlord, Person, Property, TestServer};

on_each_database!(
    a_schedule_follows_the_clocks_of_the_property,
    a_property_that_moves_takes_its_schedules_along,
);

/// A guest's schedule at one door.
struct Story {
    t: TestServer,
    ana: Landlord,
    house: Property,
    door: crate::world::Door,
    gus: Person,
}

impl Story {
    async fn begin(database: &TestDatabase, zone: &str, schedule: serde_json::Value) -> Self {
        let t = TestServer::start(database).await;
        let ana = t.landlord("ana").await;
        let house = ana.add_property(zone).await;
        let door = ana.add_lock(&house, "Front door").await;
        let gus = ana.guest("gus").await;
        ana.grant(&gus, &door, json!({ "schedule": schedule })).await;
        Self {
            t,
            ana,
            house,
            door,
            gus,
        }
    }

    /// Whether the schedule is open at this time, and if not, when next. The lock is not installed: who may open is told so.
    async fn at(&self, time: &str) -> Option<String> {
        self.t.clock.set(time);
        self.ana.sign_in_again().await;
        self.gus.sign_in_again().await;
        let problem = self.gus.unlock(&self.door).await.expect_problem(403, "access-refused");
        match problem["reason"].as_str().unwrap() {
            "lock-not-in-service" => None,
            "outside-schedule" => Some(problem["opens_at"].as_str().unwrap().to_owned()),
            other => panic!("{other}"),
        }
    }
}

async fn a_schedule_follows_the_clocks_of_the_property(database: TestDatabase) {
    let schedule = json!({
        "weekly": [
            { "days": ["mon", "sun"], "from": "09:00", "to": "12:30" },
            { "days": ["fri"], "from": "22:00", "to": "02:00" },
        ],
        "except": ["2026-03-09"],
    });
    let story = Story::begin(&database, "Europe/Vienna", schedule).await;
    for (time, opens_at) in [
        // Monday, 9:00 to 12:30 in Vienna is 8:00 to 11:30 in winter.
        ("2026-03-02T08:00:00Z", None),
        ("2026-03-02T11:29:59.999Z", None),
        ("2026-03-02T11:30:00Z", Some("2026-03-06T21:00:00.000Z")),
        // Friday night, into Saturday.
        ("2026-03-06T20:59:59.999Z", Some("2026-03-06T21:00:00.000Z")),
        ("2026-03-07T00:59:59.999Z", None),
        ("2026-03-07T01:00:00Z", Some("2026-03-08T08:00:00.000Z")),
        // The Monday that is excepted.
        ("2026-03-09T09:00:00Z", Some("2026-03-13T21:00:00.000Z")),
        // The Sunday on which the clocks go forward: 9:00 is an hour earlier.
        ("2026-03-29T06:59:59.999Z", Some("2026-03-29T07:00:00.000Z")),
        ("2026-03-29T07:00:00Z", None),
        ("2026-03-29T10:30:00Z", Some("2026-03-30T07:00:00.000Z")),
    ] {
        assert_eq!(story.at(time).await.as_deref(), opens_at, "{time}");
    }
}

async fn a_property_that_moves_takes_its_schedules_along(database: TestDatabase) {
    let schedule = json!({ "weekly": [{ "days": ["mon"], "from": "09:00", "to": "10:00" }] });
    let story = Story::begin(&database, "Europe/Vienna", schedule).await;
    assert_eq!(story.at("2026-03-02T08:30:00Z").await, None);
    let path = format!("/v1/properties/{}", story.house.id);
    story
        .ana
        .patch(&path)
        .json(json!({ "time_zone": "America/New_York" }))
        .await
        .expect(200);
    assert_eq!(
        story.at("2026-03-02T08:31:00Z").await.as_deref(),
        Some("2026-03-02T14:00:00.000Z")
    );
    assert_eq!(story.at("2026-03-02T14:00:00Z").await, None);
}
