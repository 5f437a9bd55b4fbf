//! `kill -9` of the real program at the five points between a request and the lock's acknowledgement.

use super::installation::Installation;
use super::invariants::{check_invariants, until_nothing_pends};
use super::scene::Scene;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::scripted_broker::{Heard, ScriptedBroker, Session};
use crate::world::{Door, HandLock, Token, claims_of};

on_each_database!(
    killed_before_the_commit,
    killed_after_the_commit_before_the_publish,
    killed_after_the_publish_before_the_event,
    killed_after_the_event_before_its_commit,
    killed_after_the_commit_before_the_acknowledgement,
    killed_after_a_revocation_was_answered,
);

/// How often each point is tried.
const ROUNDS: usize = 2;

/// A lock that keeps all that it has ever said.
struct Witness {
    lock: HandLock,
    said: Vec<String>,
}

impl Witness {
    async fn at(door: &Door) -> Self {
        let mut lock = HandLock::enrol(door).await;
        let claimed = lock.first_event();
        lock.connect().await;
        lock.say(claimed.clone()).await;
        lock.until_acknowledged().await;
        Self {
            lock,
            said: vec![claimed],
        }
    }

    /// Moves by the token; nothing is said yet.
    fn moves(&mut self, token: &Token) -> [String; 2] {
        let events = self.lock.events_of(token);
        self.said.extend(events.clone());
        events
    }

    /// Comes back and says again what was never acknowledged, as any lock does.
    async fn come_back(&mut self, events: &[String]) {
        self.lock.connect().await;
        for event in events {
            self.lock.say(event.clone()).await;
        }
        if !events.is_empty() {
            self.lock.until_acknowledged().await;
        }
        self.lock.until_heard().await;
    }

    /// Nothing came to the lock after its time, or twice, or out of order.
    fn check(&self) {
        let counters: Vec<u64> = self
            .lock
            .tokens
            .iter()
            .map(|token| token.claims["ctr"].as_u64().unwrap())
            .collect();
        assert!(counters.is_sorted_by(|one, next| one < next), "{counters:?}");
    }
}

/// The end of a round: everything is as it should be, and works.
async fn settle(database: &TestDatabase, scene: &Scene, witness: &mut Witness) {
    until_nothing_pends(database).await;
    let seen = witness.lock.tokens.len();
    let (opened, token) = tokio::join!(scene.gus.unlock(&scene.door), witness.lock.next_and_move());
    opened.expect_opened();
    assert_eq!(witness.lock.tokens.len(), seen + 1, "and no token of before");
    witness.said.extend(token);
    witness.lock.until_acknowledged().await;
    witness.check();
    check_invariants(database, &witness.said);
}

async fn killed_before_the_commit(database: TestDatabase) {
    let (mut scene, mut backend) = Scene::open(&database, Installation::on(&database)).await;
    let mut witness = Witness::at(&scene.door).await;
    for _ in 0..ROUNDS {
        let before = scene.statuses();
        let tokens = witness.lock.tokens.len();
        scene.outsider.hold_writes();
        let asked = scene.ask();
        scene.until_it_waits().await;
        backend.kill().await;
        scene.outsider.let_go();
        assert!(asked.await.unwrap().is_none(), "nothing was answered");
        assert_eq!(scene.statuses(), before, "nothing was kept");
        backend = scene.installation.serve().await;
        witness.come_back(&[]).await;
        assert_eq!(witness.lock.tokens.len(), tokens, "nothing was sent");
        settle(&database, &scene, &mut witness).await;
    }
    backend.kill().await;
}

/// What the broker of the next test does with the backend's messages until `done`: takes them, keeps the tokens.
async fn carry(session: &mut Session, tokens: &mut Vec<String>, mut done: impl FnMut(&Heard) -> bool) {
    loop {
        let heard = session.next().await;
        if let Heard::Publish { id, message, .. } = &heard {
            session.acknowledge(*id).await;
            if claims_of(message)["jti"].is_string() {
                tokens.push(message.clone());
            }
        }
        if done(&heard) {
            return;
        }
    }
}

async fn killed_after_the_commit_before_the_publish(database: TestDatabase) {
    // The broker is the test: what it has not read has not been published.
    let broker = ScriptedBroker::start().await;
    let mut installation = Installation::on(&database);
    let authority = tempfile::NamedTempFile::new().unwrap();
    let pem = crate::fixtures::certificates::Certificates::new().authority_pem;
    std::fs::write(authority.path(), pem).unwrap();
    for (key, value) in [
        ("MQTT__MODE", "external"),
        ("MQTT__EXTERNAL__URL", &format!("mqtt://{}", broker.address)),
        ("MQTT__EXTERNAL__USERNAME", "node-1"),
        ("MQTT__EXTERNAL__PASSWORD", "secret"),
        ("MQTT__EXTERNAL__CREDENTIALS", "manual"),
        ("MQTT__EXTERNAL__LOCK_PORT", "8883"),
        ("MQTT__EXTERNAL__CA_FILE", authority.path().to_str().unwrap()),
    ] {
        installation.set(key, value);
    }
    let organization = installation.add_landlord().await;
    let (mut backend, mut session) = tokio::join!(installation.serve(), broker.session());
    let mut scene = Scene::furnish(&database, installation, organization).await;
    let mut lock = HandLock::enrol(&scene.door).await;
    let mut said = vec![lock.first_event()];
    let mut tokens = Vec::new();
    let up = lock.topic("up/any");
    let path = scene.door.path();
    session.publish(1, &up, &said[0]).await;
    for _ in 0..ROUNDS {
        session.publish(2, &up, &lock.hello_message()).await;
        carry(&mut session, &mut tokens, |heard| *heard == Heard::PubAck(2)).await;
        assert_eq!(scene.ana.get(&path).await.expect(200)["online"]["value"], true);

        let before = scene.outsider.count("attempts");
        let asked = scene.ask();
        scene.until_more("attempts", before).await;
        backend.kill().await;
        drop(session);
        assert!(asked.await.unwrap().is_none(), "nothing was answered");

        let started = scene.installation.begin();
        session = broker.session().await;
        scene.installation.until_ready(true).await;
        backend = started;
        until_nothing_pends(&database).await;
        assert_eq!(scene.statuses().last().unwrap(), "expired");
        // Whatever it would have published by now comes before the answer to this.
        session.publish(3, &up, &lock.hello_message()).await;
        carry(&mut session, &mut tokens, |heard| *heard == Heard::PubAck(3)).await;
        assert!(tokens.is_empty(), "published late");
    }
    // And the next request goes through.
    let asked = scene.ask();
    while tokens.is_empty() {
        carry(&mut session, &mut tokens, |heard| {
            matches!(heard, Heard::Publish { .. })
        })
        .await;
    }
    let token = Token {
        claims: claims_of(&tokens[0]),
        compact: tokens.remove(0),
    };
    for (id, event) in (4..).zip(lock.events_of(&token)) {
        session.publish(id, &lock.topic("up/node-1"), &event).await;
        said.push(event);
    }
    carry(&mut session, &mut tokens, |heard| *heard == Heard::PubAck(5)).await;
    asked.await.unwrap().expect("an answer").expect_opened();
    check_invariants(&database, &said);
    backend.kill().await;
}

async fn killed_after_the_publish_before_the_event(database: TestDatabase) {
    let (mut scene, mut backend) = Scene::open(&database, Installation::on(&database)).await;
    let mut witness = Witness::at(&scene.door).await;
    for moves in [true, false] {
        let asked = scene.ask();
        let token = witness.lock.next_token().await;
        backend.kill().await;
        assert!(asked.await.unwrap().is_none(), "nothing was answered");
        let events = if moves {
            witness.moves(&token).to_vec()
        } else {
            Vec::new()
        };
        let tokens = witness.lock.tokens.len();
        backend = scene.installation.serve().await;
        witness.come_back(&events).await;
        until_nothing_pends(&database).await;
        assert_eq!(witness.lock.tokens.len(), tokens, "sent once");
        let status = if moves { "confirmed" } else { "expired" };
        assert_eq!(scene.statuses().last().unwrap(), status);
        settle(&database, &scene, &mut witness).await;
    }
    backend.kill().await;
}

async fn killed_after_the_event_before_its_commit(database: TestDatabase) {
    let (mut scene, mut backend) = Scene::open(&database, Installation::on(&database)).await;
    let mut witness = Witness::at(&scene.door).await;
    for _ in 0..ROUNDS {
        let asked = scene.ask();
        let token = witness.lock.next_token().await;
        let before = scene.outsider.count("lock_events");
        scene.outsider.hold_writes();
        let events = witness.moves(&token);
        witness.lock.answer(&token, &events).await;
        scene.until_it_waits().await;
        backend.kill().await;
        scene.outsider.let_go();
        // I6: as nothing was stored, nobody was told.
        assert!(asked.await.unwrap().is_none(), "nothing was answered");
        assert_eq!(scene.outsider.count("lock_events"), before, "nothing was kept");
        backend = scene.installation.serve().await;
        witness.come_back(&events).await;
        assert_eq!(scene.statuses().last().unwrap(), "confirmed");
        settle(&database, &scene, &mut witness).await;
    }
    backend.kill().await;
}

async fn killed_after_the_commit_before_the_acknowledgement(database: TestDatabase) {
    let (mut scene, mut backend) = Scene::open(&database, Installation::on(&database)).await;
    let mut witness = Witness::at(&scene.door).await;
    for _ in 0..ROUNDS {
        let asked = scene.ask();
        let token = witness.lock.next_token().await;
        let before = scene.outsider.count("lock_events");
        let events = witness.moves(&token);
        witness.lock.answer(&token, &events).await;
        scene.until_more("lock_events", before).await;
        backend.kill().await;
        if let Some(answer) = asked.await.unwrap() {
            answer.expect_opened();
        }
        backend = scene.installation.serve().await;
        witness.come_back(&events).await;
        assert_eq!(scene.statuses().last().unwrap(), "confirmed");
        settle(&database, &scene, &mut witness).await;
    }
    backend.kill().await;
}

async fn killed_after_a_revocation_was_answered(database: TestDatabase) {
    let (mut scene, backend) = Scene::open(&database, Installation::on(&database)).await;
    let mut witness = Witness::at(&scene.door).await;
    let grant = scene.ana.list("/v1/grants").await.remove(0);
    // One that was not answered has not happened.
    scene.outsider.hold_writes();
    let path = format!("/v1/grants/{}/revoke", grant["id"].as_str().unwrap());
    let revoking = tokio::spawn(scene.ana.post(&path).try_send());
    scene.until_it_waits().await;
    backend.kill().await;
    scene.outsider.let_go();
    assert!(revoking.await.unwrap().is_none(), "nothing was answered");
    let backend = scene.installation.serve().await;
    witness.come_back(&[]).await;
    settle(&database, &scene, &mut witness).await;

    scene.ana.revoke(&grant).await;
    backend.kill().await;
    let backend = scene.installation.serve().await;
    let tokens = witness.lock.tokens.len();
    witness.come_back(&[]).await;
    scene.gus.unlock(&scene.door).await.expect_refused("grant-revoked");
    witness.lock.until_heard().await;
    assert_eq!(witness.lock.tokens.len(), tokens, "I5: a token after the revocation");
    check_invariants(&database, &witness.said);
    backend.kill().await;
}
