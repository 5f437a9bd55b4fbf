//! The floor: the same libraries, the same way there and back, none of our rules. A request is written down, signed for,
//! carried to a lock that sends back what it hears, and written down again; then it is answered.
//!
//! It stands on the parts of the backend that have no rules in them: the database's group commit, the broker, the links.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Path};
use actix_web::{App, HttpResponse, HttpServer};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection as _;
use diesel::{ExpressionMethods as _, RunQueryDsl as _};
use doorward::crypto::authority::Authority;
use doorward::crypto::random::{OsRandom, Random as _};
use doorward::crypto::tls::{ServerIdentity, Source};
use doorward::domain::ids::LockId;
use doorward::domain::relay::{Credentials, FromLock, Inbox, NotStored, Principal, Relay as _, Unavailable};
use doorward::domain::time::Clock as _;
use doorward::mqtt::address::{BrokerAddress, trusting};
use doorward::mqtt::broker::{Broker, BrokerOptions, Limits};
use doorward::mqtt::link::{Link, LinkOptions};
use doorward::mqtt::lock_link::{LockLink, LockLinkOptions, LockNews};
use doorward::mqtt::topics::Topics;
use doorward::server::MachineClock;
use doorward::store::{self, DatabaseUrl, Db, StoreError};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::site::Door;
use crate::site::{Failure, PASSWORD};

const NODE: &str = "node-1";
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long the lock may take.
const WITHIN: Duration = Duration::from_secs(10);

diesel::table! {
    rows (number) {
        number -> BigInt,
        lock -> Text,
        token -> Text,
    }
}

/// The running floor.
pub struct Floor {
    /// Where it is asked.
    pub http: SocketAddr,
    desk: Arc<Desk>,
    broker: Broker,
    locks: Vec<LockId>,
    web: ServerHandle,
    _folder: TempDir,
}

/// Who takes the requests and hears the locks.
struct Desk {
    db: Db,
    key: EncodingKey,
    link: Link,
    waiting: Mutex<HashMap<Vec<u8>, oneshot::Sender<()>>>,
}

/// The desk's ear. Weak, because the desk holds the link that holds this.
struct Ear(Weak<Desk>);

/// Lets everybody in.
struct OpenDoor;

/// As many claims as a token of ours has, and as long.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    act: &'a str,
    jti: &'a str,
    iat: u64,
    exp: u64,
}

impl Floor {
    /// Starts it, with this many locks that stand.
    pub async fn start(locks: usize) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let now = MachineClock.now();
        let db = Db::open(
            &DatabaseUrl::sqlite(folder.path().join("floor.db")),
            &store::Options::default(),
        )?;
        db.write(|conn| {
            let table = "CREATE TABLE rows (number INTEGER PRIMARY KEY, lock TEXT NOT NULL, token TEXT NOT NULL)";
            Ok::<_, StoreError>(conn.batch_execute(table)?)
        })
        .await?;

        let authority = Arc::new(Authority::open(&folder.path().join("tls"), now)?);
        let trusted = trusting(authority.pem().as_bytes())?;
        let names = vec!["localhost".to_owned()];
        let identity = ServerIdentity::new(Source::Issued { authority, names }, now)?;
        let topics = Topics::new("floor")?;
        let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = BrokerOptions {
            plain: vec![free_port],
            tls: Some((free_port, identity.server_config()?)),
            devices: None,
            topics: topics.clone(),
            limits: Limits::default(),
        };
        let broker = Broker::start(options, Arc::new(OpenDoor))?;
        let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
        let link_options = LinkOptions {
            address: BrokerAddress {
                host: "127.0.0.1".to_owned(),
                port: port(broker.plain().first().copied()),
                tls: None,
            },
            user: NODE.to_owned(),
            password: PASSWORD.to_owned(),
            node: NODE.parse()?,
            topics: topics.clone(),
            shared_subscriptions: false,
            keep_alive: KEEP_ALIVE,
        };
        let key = EncodingKey::from_ec_der(&rcgen::KeyPair::generate()?.serialize_der());
        let desk = Arc::new_cyclic(|desk: &Weak<Desk>| Desk {
            db,
            key,
            link: Link::start(link_options, Arc::new(Ear(Weak::clone(desk))), Arc::new(OsRandom)),
            waiting: Mutex::default(),
        });

        let ids: Vec<LockId> = (0..locks).map(|_| LockId::from_bits(OsRandom.bits())).collect();
        let address = BrokerAddress {
            host: "localhost".to_owned(),
            port: port(broker.tls()),
            tls: Some(trusted),
        };
        for lock in &ids {
            stand(lock, &address, &topics).await?;
        }

        let service = Data::from(Arc::clone(&desk));
        let web = HttpServer::new(move || {
            App::new()
                .app_data(service.clone())
                .route("/unlock/{lock}", actix_web::web::post().to(unlock))
        })
        .disable_signals()
        .shutdown_timeout(1)
        .bind(free_port)?;
        let http = web.addrs().first().copied().unwrap_or(free_port);
        let web = web.run();
        let handle = web.handle();
        tokio::spawn(web);
        Ok(Self {
            http,
            desk,
            broker,
            locks: ids,
            web: handle,
            _folder: folder,
        })
    }

    /// What to ask for.
    pub fn doors(&self) -> Vec<Door> {
        let door = |lock: &LockId| Door {
            path: format!("/unlock/{lock}"),
            token: String::new(),
        };
        self.locks.iter().map(door).collect()
    }

    /// Stops it.
    pub async fn stop(self) {
        self.web.stop(true).await;
        self.desk.link.stop().await;
        self.broker.stop().await;
        self.desk.db.close().await;
    }
}

/// Connects a lock that sends back whatever it hears, until the program ends.
async fn stand(lock: &LockId, address: &BrokerAddress, topics: &Topics) -> Result<(), Failure> {
    let options = LockLinkOptions {
        address: address.clone(),
        lock: lock.clone(),
        password: PASSWORD.to_owned(),
        topics: topics.clone(),
        keep_alive: KEEP_ALIVE,
    };
    let (link, mut heard) = LockLink::start(options, Arc::new(OsRandom));
    if heard.recv().await != Some(LockNews::Up) {
        return Err("a lock of the floor is not connected".into());
    }
    tokio::spawn(async move {
        while let Some(news) = heard.recv().await {
            if let LockNews::Message(message) = news {
                let link = link.clone();
                // As a real lock does, it goes on while the broker takes what it says.
                tokio::spawn(async move { link.publish(NODE, message, WITHIN).await });
            }
        }
    });
    Ok(())
}

async fn unlock(desk: Data<Desk>, lock: Path<String>) -> HttpResponse {
    match desk.ask(&lock).await {
        Ok(jti) => HttpResponse::Ok().json(serde_json::json!({ "id": jti, "status": "confirmed" })),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

impl Desk {
    /// Writes the request down, signs, sends, and waits until the lock's answer is written down too.
    async fn ask(&self, lock: &str) -> Result<String, Failure> {
        let lock: LockId = lock.parse()?;
        let jti = URL_SAFE_NO_PAD.encode(OsRandom.bits().to_be_bytes());
        self.add_row(lock.to_string(), jti.clone()).await?;
        let now = MachineClock.now().as_seconds();
        let claims = Claims {
            iss: "https://doorward.example",
            aud: lock.as_str(),
            sub: "AAAAAAAAAAAAAAAAAAAAAA",
            act: "unlock",
            jti: &jti,
            iat: now,
            exp: now + 10,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key)?;
        let (answered, answer) = oneshot::channel();
        self.waiting().insert(token.clone().into_bytes(), answered);
        self.link.send(&lock, token, WITHIN).await?;
        tokio::time::timeout(WITHIN, answer).await??;
        Ok(jti)
    }

    async fn add_row(&self, lock: String, token: String) -> Result<(), StoreError> {
        self.db
            .write(move |conn| {
                diesel::insert_into(rows::table)
                    .values((rows::lock.eq(lock), rows::token.eq(token)))
                    .execute(conn)?;
                Ok(())
            })
            .await
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<Vec<u8>, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Inbox for Ear {
    async fn receive(&self, message: FromLock) -> Result<(), NotStored> {
        let FromLock::Up { lock, payload } = message else {
            return Ok(());
        };
        let desk = self.0.upgrade().ok_or(NotStored)?;
        let waiter = desk.waiting().remove(&payload);
        let token = String::from_utf8(payload).map_err(|_| NotStored)?;
        desk.add_row(lock.to_string(), token).await.map_err(|_| NotStored)?;
        if let Some(waiter) = waiter {
            // Whoever has gone needs no answer.
            let _ = waiter.send(());
        }
        Ok(())
    }
}

#[async_trait]
impl Credentials for OpenDoor {
    async fn authenticate(&self, user: &str, _: &[u8]) -> Result<Option<Principal>, Unavailable> {
        Ok(Some(match user.parse() {
            Ok(lock) => Principal::Lock(lock),
            Err(_) => Principal::Backend { node: user.to_owned() },
        }))
    }
}
