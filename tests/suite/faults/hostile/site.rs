//! A backend without a network: the use cases over a real database, a landlord, two doors, and a broker that hands
//! everything to whoever means ill.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use doorward::app::enrolment::Newcomer;
use doorward::app::grants::To;
use doorward::app::letters::Letters;
use doorward::app::webhooks::Webhooks;
use doorward::app::{Actor, App, BrokerAddress, Issuer, Metrics, Parts, Settings};
use doorward::crypto::factor_key::FactorKey;
use doorward::crypto::keys::{KeyStore, Lives};
use doorward::crypto::letter_key::LetterKey;
use doorward::crypto::log_key::LogKey;
use doorward::crypto::password::Passwords;
use doorward::crypto::pin_keys::PinKeys;
use doorward::crypto::public_key::PublicKey;
use doorward::crypto::random::OsRandom;
use doorward::crypto::vault::{KeyPlace, Vault};
use doorward::crypto::webhook_key::WebhookKey;
use doorward::domain::grant::NewGrant;
use doorward::domain::ids::{GrantId, LockId, OrganizationId, SessionId};
use doorward::domain::lock::LockKind;
use doorward::domain::relay::{Registrar, Relay, RelayAway};
use doorward::domain::time::{Clock as _, Timestamp};
use doorward::store::{Db, MIGRATIONS};
use doorward_lock::controller::enrolment_proof;
use doorward_lock::keys;
use p256::ecdsa::SigningKey;
use tempfile::TempDir;

use super::bench::Bench;
use crate::faults::installation::TOKEN_SECONDS;
use crate::fixtures::databases::TestDatabase;
use crate::world::HandClock;

const ISSUER: &str = "https://doorward.example";

/// What the backend sends to locks: whoever has the broker has it.
#[derive(Default)]
pub struct Post {
    sent: Mutex<Vec<(LockId, String)>>,
    is_away: AtomicBool,
    takes_silently: AtomicBool,
}

impl Post {
    /// What was sent since this was asked last.
    pub fn take(&self) -> Vec<(LockId, String)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    /// From now on the backend hears that the broker is away; it may have taken the message all the same.
    pub fn be(&self, is_away: bool, takes_silently: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
        self.takes_silently.store(takes_silently, Ordering::SeqCst);
    }
}

#[async_trait]
impl Relay for Post {
    async fn send(&self, lock: &LockId, message: String, _: Duration) -> Result<(), RelayAway> {
        let is_away = self.is_away.load(Ordering::SeqCst);
        if !is_away || self.takes_silently.load(Ordering::SeqCst) {
            self.sent.lock().unwrap().push((lock.clone(), message));
        }
        if is_away { Err(RelayAway) } else { Ok(()) }
    }

    fn is_up(&self) -> bool {
        true
    }
}

#[async_trait]
impl Registrar for Post {
    async fn admit(&self, _: &LockId, _: &str) -> Result<(), RelayAway> {
        Ok(())
    }

    async fn end_session(&self, _: &LockId) -> Result<(), RelayAway> {
        Ok(())
    }

    async fn expel(&self, _: &LockId) -> Result<(), RelayAway> {
        Ok(())
    }
}

/// The backend and who is at it.
pub struct Site {
    pub app: Arc<App>,
    pub post: Arc<Post>,
    pub clock: HandClock,
    pub ana: Actor,
    organization: OrganizationId,
    db: Db,
    keys: Arc<KeyStore>,
    folder: TempDir,
}

impl Site {
    pub async fn open(database: &TestDatabase) -> Self {
        let (db, clock, post) = (database.open(), HandClock::new(), Arc::new(Post::default()));
        db.migrate(MIGRATIONS).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder);
        let keys = KeyStore::open(Arc::clone(&vault), ISSUER, Lives::default(), clock.now()).unwrap();
        let keys = Arc::new(keys);
        let app = begin(&db, &keys, &vault, &clock, &post);
        let email = "ana@example.org".parse().unwrap();
        let password = "correct horse battery".parse().unwrap();
        let (organization, person) = app
            .add_landlord(
                "Ana's houses".to_owned().try_into().unwrap(),
                email,
                "Ana".to_owned().try_into().unwrap(),
                password,
            )
            .await
            .unwrap();
        let ana = Actor {
            person,
            session: SessionId::from_bits(1),
            memberships: Vec::new(),
            key: None,
            proven_at: Timestamp::MIN,
            reach: None,
            bound_to: None,
        };
        Self {
            app,
            post,
            clock,
            ana,
            organization,
            db,
            keys,
            folder,
        }
    }

    /// Ends the backend, with all that it only had in memory, and begins it again over the same database.
    pub fn restart(&mut self) {
        self.app = begin(&self.db, &self.keys, &vault(&self.folder), &self.clock, &self.post);
    }

    /// A door with an enrolled lock.
    pub async fn add_door(&self, name: &str, seed: u8) -> Bench {
        let zone = "Europe/Vienna".parse().unwrap();
        let (organization, address) = (self.organization.clone(), "Ring 1".to_owned().try_into().unwrap());
        let house = self
            .app
            .add_property(
                &self.ana,
                organization,
                name.to_owned().try_into().unwrap(),
                address,
                zone,
            )
            .await
            .unwrap();
        let (_, claim) = self
            .app
            .add_lock(
                &self.ana,
                house.id,
                None,
                name.to_owned().try_into().unwrap(),
                LockKind::Controller,
            )
            .await
            .unwrap();
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let public = keys::PublicKey::from_key(*key.verifying_key());
        let (x, y) = public.coordinates();
        let code = claim.link.code.expose();
        let newcomer = Newcomer {
            claim_code: code.parse().unwrap(),
            public_key: PublicKey::from_jwk(&keys::jwk(&x, &y)).unwrap(),
            model: "bench".to_owned().try_into().unwrap(),
            firmware: "1".to_owned().try_into().unwrap(),
            proof: enrolment_proof(&key, &code, "bench", "1").unwrap().as_str().to_owned(),
        };
        let welcome = self.app.enrol(newcomer).await.unwrap();
        Bench::start(&welcome, key, self.clock.clone(), u64::from(seed))
    }

    /// Lets Ana open this lock.
    pub async fn grant(&self, lock: &LockId) -> GrantId {
        let new = NewGrant {
            locks: vec![lock.clone()],
            starts_at: self.clock.now(),
            ends_at: None,
            schedule: None,
            uses: None,
            ways: None,
            role: None,
            delegable: None,
            spare: None,
            reason: None,
        };
        let to = To::Person(self.ana.person.clone());
        let given = self.app.give(&self.ana, new, to).await.unwrap();
        given.done().unwrap().grant.id
    }
}

/// Where the keys are sealed.
fn vault(folder: &TempDir) -> Arc<Vault> {
    let place = KeyPlace::Own(folder.path().join("keys.kek"));
    Arc::new(Vault::open(&folder.path().join("keys"), &place).unwrap())
}

/// The use cases over these parts.
fn begin(db: &Db, keys: &Arc<KeyStore>, vault: &Vault, clock: &HandClock, post: &Arc<Post>) -> Arc<App> {
    let random = Arc::new(OsRandom);
    let relay = Arc::clone(post);
    let parts = Parts {
        db: db.clone(),
        clock: Arc::new(clock.clone()),
        passwords: Passwords::start(1, random.clone()).unwrap(),
        keys: Arc::clone(keys),
        pin_keys: PinKeys::open(vault, random.as_ref()).unwrap(),
        log_key: LogKey::open(vault, ISSUER, random.as_ref()).unwrap(),
        factors: FactorKey::open(vault, random.as_ref()).unwrap(),
        relay,
        registrar: post.clone(),
        letters: Letters::new(LetterKey::open(vault, random.as_ref()).unwrap(), None),
        webhooks: Webhooks::new(
            WebhookKey::open(vault, random.as_ref()).unwrap(),
            None,
            doorward::http::event,
        ),
        metrics: Arc::new(Metrics::default()),
        random,
    };
    let settings = Settings {
        public_url: ISSUER.to_owned(),
        issuer: Issuer {
            name: ISSUER.to_owned(),
            generation: 1,
        },
        node: "node-1".to_owned(),
        token_seconds: TOKEN_SECONDS,
        usual_wait: Duration::ZERO,
        pass_lives: doorward::domain::pass::Lives {
            tenant: Duration::from_secs(72 * 3600),
            guest: Duration::from_secs(12 * 3600),
            vendor: Duration::from_secs(2 * 3600),
        },
        access_life: Duration::from_secs(600),
        refresh_life: Duration::from_secs(600),
        broker: BrokerAddress {
            host: "locks.example.org".to_owned(),
            port: 8883,
            ca_certificate: String::new(),
            topic_root: "doorward/v1".to_owned(),
        },
    };
    Arc::new(App::new(parts, settings))
}
