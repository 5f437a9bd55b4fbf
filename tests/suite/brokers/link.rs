//! The backend's link: with real brokers, and with one that behaves as badly as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use doorward::crypto::random::OsRandom;
use doorward::domain::ids::LockId;
use doorward::domain::relay::{FromLock, Inbox, NotStored, Relay, RelayAway};
use doorward::mqtt::address::BrokerAddress;
use doorward::mqtt::link::{Link, LinkOptions};
use rustls::ClientConfig;
use tokio::sync::mpsc;

use super::{NODE, NODE_PASSWORD, back, front, topics};
use crate::fixtures::scripted_broker::{Heard, ScriptedBroker};
use crate::fixtures::wait::{soon, until};

/// An inbox that tells the test what came, and does not answer before the test says so where a gate is shut.
struct TestInbox {
    heard: mpsc::UnboundedSender<FromLock>,
    shut: Mutex<Vec<LockId>>,
    opened: tokio::sync::Notify,
    stores: std::sync::atomic::AtomicBool,
}

impl TestInbox {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<FromLock>) {
        let (heard, received) = mpsc::unbounded_channel();
        let inbox = Self {
            heard,
            shut: Mutex::default(),
            opened: Default::default(),
            stores: true.into(),
        };
        (Arc::new(inbox), received)
    }

    fn shut(&self, lock: LockId) {
        self.shut.lock().unwrap().push(lock);
    }

    fn open(&self) {
        self.shut.lock().unwrap().clear();
        self.opened.notify_waiters();
    }
}

#[async_trait]
impl Inbox for TestInbox {
    async fn receive(&self, message: FromLock) -> Result<(), NotStored> {
        let (FromLock::Up { lock, .. } | FromLock::Status { lock, .. }) = message.clone();
        self.heard.send(message).unwrap();
        loop {
            let opened = self.opened.notified();
            if !self.shut.lock().unwrap().contains(&lock) {
                break;
            }
            opened.await;
        }
        if self.stores.load(std::sync::atomic::Ordering::Relaxed) {
            Ok(())
        } else {
            Err(NotStored)
        }
    }
}

fn options(address: SocketAddr, tls: Option<Arc<ClientConfig>>, keep_alive: Duration) -> LinkOptions {
    LinkOptions {
        address: BrokerAddress {
            host: "127.0.0.1".into(),
            port: address.port(),
            tls,
        },
        user: NODE.into(),
        password: NODE_PASSWORD.into(),
        node: NODE.parse().unwrap(),
        topics: topics(),
        shared_subscriptions: false,
        keep_alive,
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const WITHIN: Duration = Duration::from_secs(5);

fn link(address: SocketAddr) -> (Link, Arc<TestInbox>, mpsc::UnboundedReceiver<FromLock>) {
    let (inbox, received) = TestInbox::new();
    let link = Link::start(options(address, None, KEEP_ALIVE), inbox.clone(), Arc::new(OsRandom));
    (link, inbox, received)
}

fn up(lock: LockId, payload: &str) -> FromLock {
    FromLock::Up {
        lock,
        payload: payload.into(),
    }
}

super::on_both_brokers! { stories:
    a_message_goes_down_and_its_answer_comes_up
    it_comes_back_after_the_broker_and_subscribes_anew
    it_speaks_tls
}

mod stories {
    use super::*;
    use crate::brokers::TestBroker;

    pub async fn a_message_goes_down_and_its_answer_comes_up(broker: TestBroker) {
        let (link, _, mut received) = link(broker.plain);
        until("the link", async || link.is_up()).await;
        let mut lock = broker.lock(&front()).await;
        lock.subscribe(&topics().down(&front())).await;
        link.send(&front(), "open".into(), WITHIN).await.unwrap();
        assert_eq!(lock.next_text().await, "open");
        lock.publish(&topics().up(&front(), NODE), "opened").await.unwrap();
        lock.publish(&topics().up(&front(), "any"), "by hand").await.unwrap();
        lock.publish(&topics().status(&front()), "online").await.unwrap();
        lock.publish(&topics().status(&front()), "nonsense").await.unwrap();
        lock.publish(&topics().status(&front()), "offline").await.unwrap();
        for expected in [
            up(front(), "opened"),
            up(front(), "by hand"),
            FromLock::Status {
                lock: front(),
                online: true,
            },
            FromLock::Status {
                lock: front(),
                online: false,
            },
        ] {
            assert_eq!(soon("a message", received.recv()).await.unwrap(), expected);
        }
        assert_eq!(link.counts().foreign, 1);
        link.stop().await;
    }

    pub async fn it_comes_back_after_the_broker_and_subscribes_anew(mut broker: TestBroker) {
        let (link, _, mut received) = link(broker.plain);
        until("the link", async || link.is_up()).await;
        broker.stop().await;
        until("its fall", async || !link.is_up()).await;
        let began = Instant::now();
        assert_eq!(link.send(&front(), "open".into(), WITHIN).await, Err(RelayAway));
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "it must not wait for a broker that is away"
        );
        broker.resume();
        until("its return", async || link.is_up()).await;
        let mut lock = broker.lock(&front()).await;
        lock.subscribe(&topics().down(&front())).await;
        lock.publish(&topics().up(&front(), NODE), "still here").await.unwrap();
        assert_eq!(
            soon("a message", received.recv()).await.unwrap(),
            up(front(), "still here")
        );
        link.send(&front(), "new".into(), WITHIN).await.unwrap();
        assert_eq!(lock.next_text().await, "new");
        assert_eq!(link.counts().connections, 2);
    }

    pub async fn it_speaks_tls(broker: TestBroker) {
        let (inbox, _received) = TestInbox::new();
        let options = options(broker.tls, Some(broker.trust.clone()), KEEP_ALIVE);
        let link = Link::start(options, inbox, Arc::new(OsRandom));
        until("the link", async || link.is_up()).await;
        link.send(&front(), "open".into(), WITHIN).await.unwrap();
    }
}

#[tokio::test]
async fn it_is_up_only_when_its_subscriptions_stand() {
    let broker = ScriptedBroker::start().await;
    let (link, _, _received) = link(broker.address);
    let mut session = broker.arrival().await;
    session.let_in().await;
    assert!(!link.is_up());
    assert_eq!(link.send(&front(), "open".into(), WITHIN).await, Err(RelayAway));
    session.grant_subscriptions().await;
    until("the link", async || link.is_up()).await;
}

#[tokio::test]
async fn a_message_is_acknowledged_only_after_the_inbox_has_it() {
    let broker = ScriptedBroker::start().await;
    let (link, inbox, mut received) = link(broker.address);
    let mut session = broker.session().await;
    until("the link", async || link.is_up()).await;
    inbox.shut(front());
    session.publish(7, &topics().up(&front(), NODE), "event").await;
    assert_eq!(soon("the event", received.recv()).await.unwrap(), up(front(), "event"));
    // Had it acknowledged, that would come before this.
    let send = tokio::spawn(async move { link.send(&back(), "open".into(), WITHIN).await.map(|()| link) });
    let Heard::Publish { id, message, .. } = session.next().await else {
        panic!("acknowledged too early")
    };
    assert_eq!(message, "open");
    session.acknowledge(id).await;
    let _link = send.await.unwrap().unwrap();
    inbox.open();
    assert_eq!(session.next().await, Heard::PubAck(7));
}

#[tokio::test]
async fn one_lock_waits_for_no_other_and_keeps_its_order() {
    let broker = ScriptedBroker::start().await;
    let (link, inbox, mut received) = link(broker.address);
    let mut session = broker.session().await;
    inbox.shut(front());
    session.publish(1, &topics().up(&front(), NODE), "first").await;
    session.publish(2, &topics().up(&front(), NODE), "second").await;
    session.publish(3, &topics().up(&back(), NODE), "other").await;
    assert_eq!(session.next().await, Heard::PubAck(3));
    let mut heard = vec![received.recv().await.unwrap(), received.recv().await.unwrap()];
    heard.sort_by_key(|message| *message != up(front(), "first"));
    assert_eq!(heard, [up(front(), "first"), up(back(), "other")]);
    inbox.open();
    assert_eq!(
        soon("the second", received.recv()).await.unwrap(),
        up(front(), "second")
    );
    assert_eq!(
        [session.next().await, session.next().await],
        [Heard::PubAck(1), Heard::PubAck(2)]
    );
    drop(link);
}

#[tokio::test]
async fn a_noisy_lock_overflows_into_nobodys_lane_but_its_own() {
    let broker = ScriptedBroker::start().await;
    let (link, inbox, _received) = link(broker.address);
    let mut session = broker.session().await;
    inbox.shut(front());
    for id in 1..=40 {
        session.publish(id, &topics().up(&front(), NODE), "noise").await;
    }
    // One is being stored, 32 wait; the rest is dropped, and acknowledged so that the broker's window stays open.
    for id in 34..=40 {
        assert_eq!(session.next().await, Heard::PubAck(id));
    }
    assert_eq!(link.counts().overflowed, 7);
    session.publish(41, &topics().up(&back(), NODE), "other").await;
    assert_eq!(session.next().await, Heard::PubAck(41));
    inbox.open();
    for id in 1..=33 {
        assert_eq!(session.next().await, Heard::PubAck(id));
    }
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_acknowledged_and_ends_the_connection() {
    let broker = ScriptedBroker::start().await;
    let (link, inbox, mut received) = link(broker.address);
    let mut session = broker.session().await;
    inbox.stores.store(false, std::sync::atomic::Ordering::Relaxed);
    session.publish(1, &topics().up(&front(), NODE), "event").await;
    soon("the event", received.recv()).await.unwrap();
    until("its count", async || link.counts().not_stored == 1).await;
    inbox.stores.store(true, std::sync::atomic::Ordering::Relaxed);
    session.publish(2, &topics().up(&front(), NODE), "event").await;
    assert_eq!(session.next().await, Heard::PubAck(2));
    let mut session = broker.session().await;
    session.publish(1, &topics().up(&front(), NODE), "event").await;
    assert_eq!(session.next().await, Heard::PubAck(1));
}

#[tokio::test]
async fn nothing_old_is_published_after_a_reconnect() {
    let broker = ScriptedBroker::start().await;
    let (link, _, _received) = link(broker.address);
    let link = Arc::new(link);
    let mut session = broker.session().await;
    until("the link", async || link.is_up()).await;
    let old: Vec<_> = (0..5)
        .map(|_| {
            let link = Arc::clone(&link);
            tokio::spawn(async move { link.send(&front(), "old".into(), WITHIN).await })
        })
        .collect();
    for _ in 0..5 {
        assert!(matches!(session.next().await, Heard::Publish { message, .. } if message == "old"));
    }
    drop(session);
    for send in old {
        assert_eq!(soon("the answer", send).await.unwrap(), Err(RelayAway));
    }
    let mut session = broker.session().await;
    until("the link", async || link.is_up()).await;
    let sender = Arc::clone(&link);
    let send = tokio::spawn(async move { sender.send(&front(), "new".into(), WITHIN).await });
    let Heard::Publish { id, message, .. } = session.next().await else {
        panic!("no publish")
    };
    assert_eq!(message, "new");
    session.acknowledge(id).await;
    assert_eq!(send.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_message_that_the_broker_does_not_acknowledge_in_time_has_failed() {
    let broker = ScriptedBroker::start().await;
    let (link, _, _received) = link(broker.address);
    let _session = broker.session().await;
    until("the link", async || link.is_up()).await;
    let sent = link.send(&front(), "open".into(), Duration::from_millis(50)).await;
    assert_eq!(sent, Err(RelayAway));
    assert!(link.is_up());
}

#[tokio::test]
async fn a_message_longer_than_a_packet_fails_alone() {
    let broker = ScriptedBroker::start().await;
    let (link, _, _received) = link(broker.address);
    let _session = broker.session().await;
    until("the link", async || link.is_up()).await;
    assert_eq!(link.send(&front(), "x".repeat(20_000), WITHIN).await, Err(RelayAway));
    assert!(link.is_up());
}

#[tokio::test]
async fn a_silent_broker_is_given_up_after_twice_the_keep_alive() {
    let broker = ScriptedBroker::start().await;
    let (inbox, _received) = TestInbox::new();
    let options = options(broker.address, None, Duration::from_secs(1));
    let link = Link::start(options, inbox, Arc::new(OsRandom));
    let session = broker.session().await;
    until("the link", async || link.is_up()).await;
    let after = session.silent_until_closed().await;
    assert!(after < Duration::from_secs(4), "{after:?}");
    let _session = broker.session().await;
    until("the link", async || link.is_up()).await;
}

#[tokio::test]
async fn it_says_goodbye() {
    let broker = ScriptedBroker::start().await;
    let (link, _, _received) = link(broker.address);
    let mut session = broker.session().await;
    until("the link", async || link.is_up()).await;
    link.stop().await;
    assert_eq!(session.next().await, Heard::Disconnect);
}
