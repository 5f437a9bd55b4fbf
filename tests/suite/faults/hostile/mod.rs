//! A broker that means ill, for thousands of rounds that follow from a seed: it drops, delays, doubles, reorders, mixes up
//! and forges what both sides say, while people ask, grants come and go, power is cut and the backend starts again. After
//! each round I1 to I7 hold (`docs/THREAT-MODEL.md`); once it becomes honest, nothing is lost.
//!
//! `DOORWARD_TEST_ROUNDS` and `DOORWARD_TEST_SEED` make it longer, or another one.

mod bench;
mod chance;
mod site;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use doorward::app::unlock::Asked;
use doorward::domain::attempt::Action;
use doorward::domain::ids::{GrantId, LockId};
use doorward::domain::time::{Clock as _, Timestamp};
use doorward_lock::controller::Input;
use serde_json::Value;

use self::bench::Bench;
use self::chance::Chance;
use self::site::Site;
use super::invariants::check_invariants;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::outsider::Outsider;
use crate::world::claims_of;

on_each_database!(nothing_that_a_broker_does_opens_a_door_or_loses_an_event);

const ROUNDS: u64 = 2_000;

/// A message on its way: for a lock, or from one, by the topic that it was said on.
type Letter = (LockId, String);

/// The day, and what must be true of it.
struct Day {
    site: Site,
    doors: Vec<Bench>,
    chance: Chance,
    outsider: Outsider,
    down: Vec<Letter>,
    up: Vec<Letter>,
    /// Everything that was ever said, to be said again.
    overheard: Vec<Letter>,
    /// Every event that a lock has made.
    said: Vec<String>,
    grants: Vec<(GrantId, LockId)>,
    /// Grants that were taken back, and the time at which that was answered.
    revoked: HashMap<String, Timestamp>,
    /// Every unlock token that was issued, by its name.
    tokens: HashMap<String, Value>,
    /// How many movements were checked already, of each door.
    checked: Vec<usize>,
}

#[allow(clippy::print_stdout, reason = "what to give to see the same day again")]
async fn nothing_that_a_broker_does_opens_a_door_or_loses_an_event(database: TestDatabase) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("DOORWARD_TEST_ROUNDS").unwrap_or(if database.is_sqlite() { ROUNDS } else { ROUNDS / 4 });
    let seed = number("DOORWARD_TEST_SEED").unwrap_or(20_260_302);
    println!("seed {seed}, {rounds} rounds");

    let site = Site::open(&database).await;
    let doors = vec![
        site.add_door("Front door", 11).await,
        site.add_door("Back door", 12).await,
    ];
    let mut day = Day {
        checked: vec![0; doors.len()],
        doors,
        site,
        chance: Chance::new(seed),
        outsider: Outsider::at(&database),
        down: Vec::new(),
        up: Vec::new(),
        overheard: Vec::new(),
        said: Vec::new(),
        grants: Vec::new(),
        revoked: HashMap::new(),
        tokens: HashMap::new(),
    };
    for door in 0..day.doors.len() {
        let said = day.doors[door].tell(Input::Connected);
        day.overhear(door, said);
    }
    for round in 0..rounds {
        day.happen().await;
        day.collect();
        day.check(round);
    }
    day.calm_down().await;
    check_invariants(&database, &day.said);
    let moved: usize = day.checked.iter().sum();
    println!(
        "{} tokens, {moved} movements, {} events",
        day.tokens.len(),
        day.said.len()
    );
    assert!(moved > 0, "doors were opened at all");
}

impl Day {
    /// One thing happens.
    async fn happen(&mut self) {
        let door = self.chance.place(self.doors.len()).unwrap();
        match self.chance.below(100) {
            0..18 => self.ask(door).await,
            18..34 => self.deliver_down(),
            34..50 => self.deliver_up().await,
            50..58 => self.be_honest(door).await,
            58..63 => self.replay().await,
            63..68 => self.forge().await,
            68..71 => self.lose(),
            71..80 => self.let_time_pass().await,
            80..88 => {
                let jams = self.chance.hits(10);
                let said = self.doors[door].arrive(jams);
                self.overhear(door, said);
            }
            88..90 => {
                let said = self.doors[door].turn();
                self.overhear(door, said);
            }
            90..92 => {
                let writes = u32::try_from(1 + self.chance.below(5)).unwrap();
                let last_is_stored = self.chance.hits(50);
                self.doors[door].cut_power(writes, last_is_stored);
            }
            92 => {
                let said = self.doors[door].cycle_power();
                self.overhear(door, said);
            }
            93..96 => {
                let input = if self.chance.hits(30) {
                    Input::Disconnected
                } else {
                    Input::Connected
                };
                let said = self.doors[door].tell(input);
                self.overhear(door, said);
                let online = self.chance.hits(80);
                self.site
                    .app
                    .note_status(self.doors[door].id.clone(), online)
                    .await
                    .unwrap();
            }
            96 => self.site.restart(),
            97 => {
                let (away, silently) = (self.chance.hits(30), self.chance.hits(50));
                self.site.post.be(away, silently);
            }
            _ => self.give_or_take(door).await,
        }
    }

    async fn ask(&mut self, door: usize) {
        let action = if self.chance.hits(70) {
            Action::Unlock
        } else {
            Action::Lock
        };
        let (app, lock) = (&self.site.app, self.doors[door].id.clone());
        if let Ok(Asked::Sent(attempt)) = app.ask(&self.site.ana, lock, action, Duration::ZERO).await {
            assert!(
                attempt.state.confirmed_at().is_none(),
                "I6: confirmed before the lock had a word"
            );
        }
    }

    /// For once the broker does what it should: the lock says hello, has its answers at once, and often a command.
    async fn be_honest(&mut self, door: usize) {
        let lock = self.doors[door].id.clone();
        let said = self.doors[door].tell(Input::Connected);
        self.overhear(door, said.clone());
        self.site.app.note_status(lock.clone(), true).await.unwrap();
        for message in said {
            self.site.app.hear(lock.clone(), message.as_bytes()).await.unwrap();
        }
        if self.chance.hits(60) {
            self.ask(door).await;
        }
        let before = self.overheard.len();
        self.collect();
        for (to, message) in self.overheard.split_off(before) {
            if to == lock {
                self.hand_to_lock(&to, &message);
            }
            self.overheard.push((to, message));
        }
    }

    fn deliver_down(&mut self) {
        let Some(place) = self.chance.place(self.down.len()) else {
            return;
        };
        let (lock, message) = self.down.swap_remove(place);
        self.hand_to_lock(&lock, &message);
    }

    fn hand_to_lock(&mut self, lock: &LockId, message: &str) {
        let door = self.doors.iter().position(|door| door.id == *lock).unwrap();
        let said = self.doors[door].tell(Input::Message(message.as_bytes()));
        self.overhear(door, said);
    }

    async fn deliver_up(&mut self) {
        let Some(place) = self.chance.place(self.up.len()) else {
            return;
        };
        let (lock, message) = self.up.swap_remove(place);
        self.site.app.hear(lock, message.as_bytes()).await.unwrap();
    }

    /// Something that was said before is said again, to anybody, under any name.
    async fn replay(&mut self) {
        let Some(place) = self.chance.place(self.overheard.len()) else {
            return;
        };
        let message = self.overheard[place].1.clone();
        let door = self.chance.place(self.doors.len()).unwrap();
        let lock = self.doors[door].id.clone();
        if self.chance.hits(50) {
            self.hand_to_lock(&lock, &message);
        } else {
            self.site.app.hear(lock, message.as_bytes()).await.unwrap();
        }
    }

    /// Something that nobody said: parts of messages put together, a byte changed, another key's signature.
    async fn forge(&mut self) {
        let (Some(one), Some(other)) = (
            self.chance.place(self.overheard.len()),
            self.chance.place(self.overheard.len()),
        ) else {
            return;
        };
        let (one, other) = (self.overheard[one].clone(), self.overheard[other].1.clone());
        let parts: Vec<&str> = one.1.split('.').chain(other.split('.')).collect();
        let forged = match self.chance.below(4) {
            0 => format!("{}.{}.{}", parts[0], parts[4], parts[5]),
            1 => format!("{}.{}.{}", parts[0], parts[4], parts[2]),
            2 => format!("{}.{}.{}", parts[0], parts[1], parts[5]),
            _ => {
                let mut bytes = one.1.clone().into_bytes();
                let at = self.chance.place(bytes.len()).unwrap();
                bytes[at] = b"AQgw._-"[self.chance.place(7).unwrap()];
                String::from_utf8(bytes).unwrap()
            }
        };
        self.hand_to_lock(&one.0, &forged);
        self.site.app.hear(one.0, forged.as_bytes()).await.unwrap();
    }

    fn lose(&mut self) {
        let letters = if self.chance.hits(50) {
            &mut self.down
        } else {
            &mut self.up
        };
        if let Some(place) = self.chance.place(letters.len()) {
            letters.swap_remove(place);
        }
    }

    async fn let_time_pass(&mut self) {
        let ms = match self.chance.below(10) {
            0 => 3_600_000,
            1..4 => self.chance.below(30_000),
            _ => self.chance.below(3_000),
        };
        self.site.clock.advance(Duration::from_millis(ms));
        for door in 0..self.doors.len() {
            let said = self.doors[door].tell(Input::Tick);
            self.overhear(door, said);
        }
        self.work().await;
    }

    async fn work(&mut self) {
        // Where the broker is away the acknowledgements are sent another time.
        let _ = self.site.app.send_acks().await;
        self.site.app.expire_attempts(500).await.unwrap();
    }

    async fn give_or_take(&mut self, door: usize) {
        if self.grants.is_empty() || self.chance.hits(50) {
            let lock = self.doors[door].id.clone();
            self.grants.push((self.site.grant(&lock).await, lock));
            return;
        }
        let place = self.chance.place(self.grants.len()).unwrap();
        let (grant, _) = self.grants.swap_remove(place);
        let revocation = self.site.app.revoke(&self.site.ana, grant.clone()).await.unwrap();
        assert!(revocation.effective_no_later_than >= self.site.clock.now());
        self.revoked.insert(grant.to_string(), self.site.clock.now());
    }

    /// What a lock said reaches the broker, once or more.
    fn overhear(&mut self, door: usize, said: Vec<String>) {
        for message in said {
            if claims_of(&message).get("seq").is_some() && !self.said.contains(&message) {
                self.said.push(message.clone());
            }
            let letter = (self.doors[door].id.clone(), message);
            for _ in 0..1 + u64::from(self.chance.hits(15)) {
                self.up.push(letter.clone());
            }
            self.overheard.push(letter);
        }
    }

    /// What the backend sent reaches the broker, once or more.
    fn collect(&mut self) {
        for letter in self.site.post.take() {
            let claims = claims_of(&letter.1);
            if let Some(jti) = claims["jti"].as_str() {
                let is_new = self.tokens.insert(jti.to_owned(), claims.clone()).is_none();
                assert!(is_new, "a token was sent twice");
                let revoked = claims["gid"].as_str().and_then(|gid| self.revoked.get(gid));
                assert!(
                    revoked.is_none(),
                    "I5: a token by a grant that was taken back at {revoked:?}"
                );
            }
            for _ in 0..1 + u64::from(self.chance.hits(15)) {
                self.down.push(letter.clone());
            }
            self.overheard.push(letter);
        }
    }

    /// I1 to I7, as far as they can be seen at this moment.
    fn check(&mut self, round: u64) {
        let rows = self.outsider.rows(&["lock_id", "chain", "seq", "token"], "lock_events");
        let made: HashSet<&String> = self.said.iter().collect();
        let mut stored = HashSet::new();
        for row in &rows {
            assert!(made.contains(&row[3]), "round {round}: I4: stored what no lock said");
            assert!(stored.insert(&row[3]), "round {round}: I4: stored twice");
        }
        let attempts = self.outsider.rows(
            &["jti", "id", "status", "requested_at_ms"],
            "attempts WHERE jti IS NOT NULL",
        );
        let status: HashMap<&str, &[String]> = attempts.iter().map(|row| (row[0].as_str(), row.as_slice())).collect();
        let mut arrived = HashSet::new();
        for (door, checked) in self.doors.iter().zip(&mut self.checked) {
            let mut moved = HashSet::new();
            for (at, movement) in door.movements.iter().enumerate() {
                assert!(
                    moved.insert(&movement.jti),
                    "round {round}: I3: two movements by one token"
                );
                if movement.has_arrived {
                    arrived.insert(movement.jti.as_str());
                }
                if at < *checked {
                    continue;
                }
                let attempt = status.get(movement.jti.as_str());
                assert!(attempt.is_some(), "round {round}: I1: a movement without an attempt");
                let logged = format!("access_log WHERE attempt_id = '{}'", attempt.unwrap()[1]);
                assert!(
                    self.outsider.count(&logged) > 0,
                    "round {round}: I1: an attempt that is not in the log"
                );
                let token = &self.tokens[&movement.jti];
                assert_eq!(
                    token["aud"],
                    door.id.as_str(),
                    "round {round}: I7: another lock's token"
                );
                assert_eq!(
                    token["act"],
                    serde_json::to_value(movement.action).unwrap(),
                    "round {round}: I7"
                );
                let asked_ms: i64 = attempt.unwrap()[3].parse().unwrap();
                let bound_ms = asked_ms + 1_000 * super::installation::TOKEN_SECONDS as i64;
                assert!(
                    movement.at.as_millis() <= bound_ms,
                    "round {round}: I2: moved after its deadline"
                );
                let after = token["gid"].as_str().and_then(|gid| self.revoked.get(gid));
                let bound = Duration::from_secs(super::installation::TOKEN_SECONDS);
                assert!(
                    after.is_none_or(|at| movement.at <= *at + bound),
                    "round {round}: I5: moved too late"
                );
            }
            *checked = door.movements.len();
        }
        for attempt in attempts.iter().filter(|attempt| attempt[2] == "confirmed") {
            assert!(
                arrived.contains(attempt[0].as_str()),
                "round {round}: I6: confirmed, and the bolt did not move"
            );
        }
    }

    /// The broker becomes honest: everything arrives, until nobody has anything to say.
    async fn calm_down(&mut self) {
        self.site.post.be(false, false);
        for door in 0..self.doors.len() {
            let said = self.doors[door].arrive(false);
            self.overhear(door, said);
        }
        self.site
            .clock
            .advance(Bench::LONGEST_MOVEMENT + Duration::from_secs(31));
        for _ in 0..200 {
            for door in 0..self.doors.len() {
                let said = self.doors[door].tell(Input::Connected);
                self.overhear(door, said);
                let said = self.doors[door].tell(Input::Tick);
                self.overhear(door, said);
            }
            while let Some((lock, message)) = self.up.pop() {
                self.site.app.hear(lock, message.as_bytes()).await.unwrap();
                self.collect();
            }
            self.site.clock.advance(Duration::from_secs(61));
            self.work().await;
            self.collect();
            while let Some((lock, message)) = self.down.pop() {
                self.hand_to_lock(&lock, &message);
            }
            if self.doors.iter().all(|door| door.chain().1) {
                return;
            }
        }
        panic!("the locks still have something to say");
    }
}
