//! What a broker must do for Doorward, asked of the embedded one and of mosquitto, and what the links must do with
//! either.

mod behaviour;
mod embedded;
mod external;
mod link;
mod lock_link;
mod mqtt5;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use doorward::domain::ids::LockId;
use doorward::domain::relay::{Credentials, Principal, Unavailable};
use doorward::mqtt::address::trusting;
use doorward::mqtt::broker::{Broker, BrokerOptions, Limits};
use doorward::mqtt::topics::Topics;
use rustls::ClientConfig;

use crate::fixtures::certificates::Certificates;
use crate::fixtures::mosquitto::Mosquitto;
use crate::fixtures::mqtt_client::{Client, Visit};

const NODE: &str = "node-1";
const NODE_PASSWORD: &str = "node's password";
const PASSWORD: &str = "lock's password";

/// Two locks.
fn front() -> LockId {
    LockId::from_bits(0xf)
}

fn back() -> LockId {
    LockId::from_bits(0xb)
}

fn topics() -> Topics {
    Topics::new("doorward/v1").unwrap()
}

/// Who may come into the embedded broker.
pub struct Book {
    users: Mutex<HashMap<String, (String, Principal)>>,
    /// Answers wait while this is locked.
    gate: tokio::sync::Mutex<()>,
    asked: AtomicUsize,
    unavailable: AtomicBool,
}

impl Book {
    fn new() -> Arc<Self> {
        let lock = |lock: LockId| (lock.to_string(), (PASSWORD.to_owned(), Principal::Lock(lock)));
        let node = (
            NODE.to_owned(),
            (NODE_PASSWORD.to_owned(), Principal::Backend { node: NODE.into() }),
        );
        let users = Mutex::new(HashMap::from([lock(front()), lock(back()), node]));
        Arc::new(Self {
            users,
            gate: tokio::sync::Mutex::default(),
            asked: AtomicUsize::new(0),
            unavailable: AtomicBool::new(false),
        })
    }

    fn add_locks(&self, count: u128) {
        let mut users = self.users.lock().unwrap();
        for lock in (0..count).map(|number| LockId::from_bits(0x1000 + number)) {
            users.insert(lock.to_string(), (PASSWORD.to_owned(), Principal::Lock(lock)));
        }
    }
}

#[async_trait]
impl Credentials for Book {
    async fn authenticate(&self, user: &str, password: &[u8]) -> Result<Option<Principal>, Unavailable> {
        let known = self
            .users
            .lock()
            .unwrap()
            .get(user)
            .filter(|(right, _)| right.as_bytes() == password)
            .cloned();
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.unavailable.load(Ordering::Relaxed) {
            return Err(Unavailable);
        }
        let _passed = self.gate.lock().await;
        Ok(known.map(|(_, who)| who))
    }
}

/// A broker with the two locks and the node as users.
pub struct TestBroker {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    pub trust: Arc<ClientConfig>,
    certificates: Certificates,
    running: Running,
}

enum Running {
    Embedded(Option<Broker>, Arc<Book>),
    Mosquitto(Mosquitto),
}

impl TestBroker {
    fn embedded() -> Self {
        Self::embedded_with(Limits {
            dawdle: Duration::from_millis(100),
            ..Limits::default()
        })
    }

    fn embedded_with(limits: Limits) -> Self {
        let certificates = Certificates::new();
        let book = Book::new();
        let any = "127.0.0.1:0".parse().unwrap();
        let options = BrokerOptions {
            plain: vec![any],
            tls: Some((any, certificates.server())),
            devices: None,
            topics: topics(),
            limits,
        };
        let broker = Broker::start(options, book.clone()).unwrap();
        Self {
            plain: broker.plain()[0],
            tls: broker.tls().unwrap(),
            trust: trusting(certificates.authority_pem.as_bytes()).unwrap(),
            certificates,
            running: Running::Embedded(Some(broker), book),
        }
    }

    fn mosquitto() -> Self {
        let certificates = Certificates::new();
        let (front, back) = (front(), back());
        let users = [
            (front.as_str(), PASSWORD),
            (back.as_str(), PASSWORD),
            (NODE, NODE_PASSWORD),
        ];
        let mosquitto = Mosquitto::start(&users, &certificates);
        Self {
            plain: mosquitto.plain,
            tls: mosquitto.tls,
            trust: trusting(certificates.authority_pem.as_bytes()).unwrap(),
            certificates,
            running: Running::Mosquitto(mosquitto),
        }
    }

    fn is_embedded(&self) -> bool {
        matches!(self.running, Running::Embedded(..))
    }

    fn broker(&self) -> &Broker {
        match &self.running {
            Running::Embedded(Some(broker), _) => broker,
            _ => panic!("not the embedded broker, or not running"),
        }
    }

    fn book(&self) -> &Book {
        match &self.running {
            Running::Embedded(_, book) => book,
            Running::Mosquitto(_) => panic!("mosquitto has a password file"),
        }
    }

    /// Ends it; its ports stay its own.
    async fn stop(&mut self) {
        match &mut self.running {
            Running::Embedded(broker, _) => broker.take().expect("it runs").stop().await,
            Running::Mosquitto(mosquitto) => mosquitto.kill(),
        }
    }

    /// Starts it again on the same ports, with nothing remembered.
    fn resume(&mut self) {
        match &mut self.running {
            Running::Embedded(broker, book) => {
                let options = BrokerOptions {
                    plain: vec![self.plain],
                    tls: Some((self.tls, self.certificates.server())),
                    devices: None,
                    topics: topics(),
                    limits: Limits::default(),
                };
                *broker = Some(Broker::start(options, book.clone()).unwrap());
            }
            Running::Mosquitto(mosquitto) => mosquitto.resume(),
        }
    }

    /// A lock, over TLS as locks do.
    fn visit(&self, lock: &LockId) -> Visit {
        Visit::new(self.tls, lock.as_str(), PASSWORD).tls(&self.trust)
    }

    async fn lock(&self, lock: &LockId) -> Client {
        self.visit(lock).connect().await
    }

    /// The node, with all its subscriptions.
    async fn node(&self) -> Client {
        let mut node = Visit::new(self.plain, NODE, NODE_PASSWORD).connect().await;
        for filter in [
            "doorward/v1/+/up/node-1",
            "doorward/v1/+/up/any",
            "doorward/v1/+/status",
        ] {
            assert!(node.subscribe(filter).await, "{filter}");
        }
        node
    }
}

/// Every named test of `$story`, against both brokers.
macro_rules! on_both_brokers {
    ($story:ident: $($test:ident)+) => {
        mod on_the_embedded_broker {
            $(#[tokio::test]
            async fn $test() {
                super::$story::$test(crate::brokers::TestBroker::embedded()).await;
            })+
        }
        mod on_mosquitto {
            $(#[tokio::test]
            async fn $test() {
                super::$story::$test(crate::brokers::TestBroker::mosquitto()).await;
            })+
        }
    };
}
use on_both_brokers;
