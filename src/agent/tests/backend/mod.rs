//! What a lock knows of a backend: a broker that lets it in, somebody who signs, verifies and acknowledges.

mod office;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire::{Action, LockTime, MAX_TOKEN_SECONDS, Release, Unlock, VERSION};

use crate::agent::enrolment::{BrokerAccess, Enrolled, Welcome, new_key};
use crate::crypto::authority::Authority;
use crate::crypto::keys;
use crate::crypto::public_key::PublicKey;
use crate::crypto::random::{OsRandom, Random as _};
use crate::crypto::tls::{ServerIdentity, Source};
use crate::crypto::tokens::LockKey;
use crate::domain::ids::LockId;
use crate::domain::relay::{Credentials, Relay as _};
use crate::domain::time::Timestamp;
use crate::mqtt::address::BrokerAddress;
use crate::mqtt::broker::{Broker, BrokerOptions, Limits};
use crate::mqtt::link::{Link, LinkOptions};
use crate::mqtt::topics::Topics;
use office::{Book, Keys, Known, Office, Told};

pub const ISS: &str = "https://doorward.example";
pub const ORG: &str = "org_0190a000000070008000000000000001";
const NODE: &str = "node-1";
/// Longest wait for anything that should happen soon.
const SOON: Duration = Duration::from_secs(20);

/// The time. Certificates are verified against the machine's clock, which no test moves.
#[expect(clippy::disallowed_methods, reason = "the TLS library asks the machine's clock too")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn now_s() -> u64 {
    now().as_seconds()
}

pub struct Backend {
    office: Arc<Office>,
    broker: Option<Broker>,
    authority: Arc<Authority>,
    counter: AtomicU64,
    next_lock: AtomicU64,
    _folder: tempfile::TempDir,
}

impl Backend {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys::open_in(&folder.path().join("keys"), ISS, now()).unwrap();
        let authority = Arc::new(Authority::open(&folder.path().join("tls"), now()).unwrap());
        let office = Arc::new(Office {
            keys: Keys {
                keys,
                locks: Mutex::default(),
            },
            book: Book::default(),
            link: Mutex::default(),
            acknowledges: AtomicBool::new(true),
            knows_time: AtomicBool::new(true),
        });
        let broker = open_broker(&office, &authority);
        let plain = broker.plain()[0];
        let link = Link::start(
            LinkOptions {
                address: BrokerAddress {
                    host: plain.ip().to_string(),
                    port: plain.port(),
                    tls: None,
                },
                user: NODE.to_owned(),
                password: "backend".to_owned(),
                node: NODE.parse().unwrap(),
                topics: topics(),
                shared_subscriptions: false,
                keep_alive: Duration::from_secs(15),
            },
            Arc::<Office>::clone(&office),
            Arc::new(OsRandom),
        );
        *office.link.lock().unwrap() = Some(Arc::new(link));
        let backend = Self {
            office,
            broker: Some(broker),
            authority,
            counter: AtomicU64::new(1),
            next_lock: AtomicU64::new(1),
            _folder: folder,
        };
        let link = backend.link();
        until("the backend's own connection", || link.is_up()).await;
        backend
    }

    /// A lock that has just enrolled.
    pub fn enrol(&self) -> Enrolled {
        let key = new_key(&OsRandom);
        let (x, y) = doorward_lock::keys::PublicKey::from_key(*key.verifying_key()).coordinates();
        let public = PublicKey::from_jwk(&doorward_lock::keys::jwk(&x, &y)).unwrap();
        Enrolled::new(self.welcome(&public), key, "bench").unwrap()
    }

    /// What a new lock with this key is given.
    pub fn welcome(&self, public: &PublicKey) -> Welcome {
        let lock = LockId::from_bits(u128::from(self.next_lock.fetch_add(1, Ordering::Relaxed)));
        let verifier = LockKey::of_lock(&lock, public).unwrap();
        self.office.keys.locks.lock().unwrap().insert(lock.clone(), verifier);
        let keys = &self.office.keys.keys;
        Welcome {
            iss: ISS.to_owned(),
            org: ORG.to_owned(),
            root_key: keys.root(),
            keyset: keys.ring().keyset().to_owned(),
            pin_key: None,
            ctr: 0,
            time: now_s() - 60,
            mqtt: BrokerAccess {
                host: "localhost".to_owned(),
                port: self.broker.as_ref().unwrap().tls().unwrap().port(),
                ca_certificate: self.authority.pem().to_owned(),
                username: lock.to_string(),
                password: format!("password of {lock}"),
                topic_root: "doorward/v1".to_owned(),
            },
            lock_id: lock,
        }
    }

    /// Who issued the certificates, as PEM.
    pub fn authority_pem(&self) -> &str {
        self.authority.pem()
    }

    /// A certificate for `localhost`.
    pub fn identity(&self) -> Arc<ServerIdentity> {
        identity(&self.authority)
    }

    /// Lets the lock go.
    pub async fn release(&self, lock: &LockId) -> String {
        let jti = URL_SAFE_NO_PAD.encode(OsRandom.bits().to_be_bytes());
        let iat = now_s();
        let claims = Release {
            iss: ISS,
            org: ORG,
            aud: lock.as_str(),
            iat,
            exp: iat + 60,
            jti: &jti,
        };
        let release = self.office.keys.keys.signer(1, now()).sign_release(&claims).unwrap();
        self.send(lock, &release).await;
        jti
    }

    /// Whether events are acknowledged as they come.
    pub fn acknowledge(&self, does: bool) {
        self.office.acknowledges.store(does, Ordering::Relaxed);
    }

    /// Whether locks that ask are told the time.
    pub fn tell_time(&self, does: bool) {
        self.office.knows_time.store(does, Ordering::Relaxed);
    }

    /// A token for this lock with the next counter, and its `jti`.
    pub fn token(&self, lock: &LockId, act: Action) -> (String, String) {
        let (boot, mono) = self.known(lock, |known| (known.boot, known.mono));
        let jti = URL_SAFE_NO_PAD.encode(OsRandom.bits().to_be_bytes());
        let iat = now_s();
        let claims = Unlock {
            ver: VERSION,
            iss: ISS,
            org: ORG,
            aud: lock.as_str(),
            sub: "person_1",
            gid: "grant_1",
            act,
            jti: &jti,
            iat,
            exp: iat + MAX_TOKEN_SECONDS,
            ctr: self.counter.fetch_add(1, Ordering::Relaxed),
            lt: Some(LockTime {
                boot,
                dl: mono + MAX_TOKEN_SECONDS,
            }),
            rev: 0,
            node: NODE,
        };
        (
            self.office.keys.keys.signer(1, now()).sign_unlock(&claims).unwrap(),
            jti,
        )
    }

    pub async fn send(&self, lock: &LockId, message: &str) {
        self.link().send(lock, message.to_owned(), SOON).await.unwrap();
    }

    /// Sends a token for this movement, and gives its `jti`.
    pub async fn ask(&self, lock: &LockId, act: Action) -> String {
        let (token, jti) = self.token(lock, act);
        self.send(lock, &token).await;
        jti
    }

    /// Waits until what is known of the lock satisfies `is_so`.
    pub async fn until(&self, what: &str, lock: &LockId, is_so: impl Fn(&Known) -> bool) {
        let wait = async {
            loop {
                let changed = self.office.book.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.known(lock, &is_so) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(SOON, wait).await.is_err() {
            let known = self.known(lock, |known| format!("{known:#?}"));
            panic!("in vain: waited {SOON:?} for {what}; known: {known}");
        }
    }

    /// Waits for an event of this kind and cause.
    pub async fn until_told(&self, lock: &LockId, kind: &str, cause: &str) -> Told {
        let is_it = |told: &&Told| told.kind == kind && told.cause == cause;
        self.until(&format!("{kind} because of {cause}"), lock, |known| {
            known.events.iter().any(|told| is_it(&told))
        })
        .await;
        self.known(lock, |known| known.events.iter().find(is_it).unwrap().clone())
    }

    pub fn known<T>(&self, lock: &LockId, read: impl FnOnce(&Known) -> T) -> T {
        read(self.office.book.locks.lock().unwrap().entry(lock.clone()).or_default())
    }

    /// Kind and result of the events with this cause, in the order of the chain; checks that the chain is whole.
    pub fn story(&self, lock: &LockId, cause: &str) -> Vec<(String, String)> {
        self.known(lock, |known| {
            let mut events = known.events.clone();
            events.sort_by_key(|told| told.seq);
            for (at, told) in events.iter().enumerate() {
                assert_eq!(told.seq, at as u64, "a gap");
                assert_eq!(told.chain, events[0].chain, "another chain");
                let before = at.checked_sub(1).map(|before| events[before].hash.as_str());
                assert_eq!(
                    told.prev,
                    before.unwrap_or(doorward_lock::wire::NO_PREVIOUS),
                    "a broken link"
                );
            }
            let of_cause = events.into_iter().filter(|told| told.cause == cause);
            of_cause.map(|told| (told.kind, told.result)).collect()
        })
    }

    fn link(&self) -> Arc<Link> {
        self.office.link.lock().unwrap().clone().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // The office and its link hold each other.
        self.office.link.lock().unwrap().take();
        self.broker.take();
    }
}

fn topics() -> Topics {
    Topics::new("doorward/v1").unwrap()
}

fn identity(authority: &Arc<Authority>) -> Arc<ServerIdentity> {
    let source = Source::Issued {
        authority: Arc::clone(authority),
        names: vec!["localhost".to_owned()],
    };
    ServerIdentity::new(source, now()).unwrap()
}

fn open_broker(office: &Arc<Office>, authority: &Arc<Authority>) -> Broker {
    let options = BrokerOptions {
        plain: vec!["127.0.0.1:0".parse().unwrap()],
        tls: Some((
            "127.0.0.1:0".parse().unwrap(),
            identity(authority).server_config().unwrap(),
        )),
        devices: None,
        topics: topics(),
        limits: Limits::default(),
    };
    let credentials: Arc<dyn Credentials> = Arc::<Office>::clone(office);
    Broker::start(options, credentials).unwrap()
}

/// Returns as soon as `is_so` says yes, which must be soon.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(SOON, wait).await.is_err() {
        panic!("in vain: waited {SOON:?} for {what}");
    }
}
