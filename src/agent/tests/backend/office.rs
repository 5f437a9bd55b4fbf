//! Who lets locks in, verifies what they say, and answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire::{Ack, Cause, Event, Hello, Time};
use tokio::sync::Notify;

use crate::crypto::keys::KeyStore;
use crate::crypto::tokens::{LockKey, Said};
use crate::domain::ids::LockId;
use crate::domain::relay::{Credentials, FromLock, Inbox, NotStored, Principal, Relay as _, Unavailable};
use crate::mqtt::link::Link;

use super::{ISS, NODE, ORG, SOON, now, now_s};

/// An event as the backend has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub chain: String,
    pub seq: u64,
    pub kind: String,
    /// The `jti` of the token that caused it, or else how it came about.
    pub cause: String,
    pub result: String,
    pub boot: u32,
    pub(super) hash: String,
    pub(super) prev: String,
}

/// What the backend knows of one lock.
#[derive(Debug, Default)]
pub struct Known {
    /// Events by `seq`: each once, never two of one `seq`.
    pub events: Vec<Told>,
    pub hellos: u32,
    pub boot: u32,
    pub mono: u64,
    pub has_time: bool,
}

pub(super) struct Keys {
    pub(super) keys: KeyStore,
    pub(super) locks: Mutex<HashMap<LockId, LockKey>>,
}

/// Everything that came in, and who is told that something did.
#[derive(Default)]
pub(super) struct Book {
    pub(super) locks: Mutex<HashMap<LockId, Known>>,
    pub(super) changed: Notify,
}

pub(super) struct Office {
    pub(super) keys: Keys,
    pub(super) book: Book,
    pub(super) link: Mutex<Option<Arc<Link>>>,
    pub(super) acknowledges: AtomicBool,
    pub(super) knows_time: AtomicBool,
}

#[async_trait]
impl Credentials for Office {
    async fn authenticate(&self, user: &str, password: &[u8]) -> Result<Option<Principal>, Unavailable> {
        if user == NODE {
            let node = user.to_owned();
            return Ok((password == b"backend").then_some(Principal::Backend { node }));
        }
        let lock: Option<LockId> = user.parse().ok();
        let is_ours = |lock: &LockId| {
            self.keys.locks.lock().unwrap().contains_key(lock) && password == format!("password of {lock}").as_bytes()
        };
        Ok(lock.filter(is_ours).map(Principal::Lock))
    }
}

#[async_trait]
impl Inbox for Office {
    async fn receive(&self, message: FromLock) -> Result<(), NotStored> {
        let FromLock::Up { lock, payload } = message else {
            return Ok(());
        };
        let key = self.keys.locks.lock().unwrap()[&lock].clone();
        let signed = key.open(&payload).expect("a lock signs what it says");
        let answer = match signed.claims().expect("a lock's claims are whole") {
            Said::Event(event) => self.event(&lock, &event, &signed.hash()),
            Said::Hello(hello) => self.hello(&lock, &hello),
        };
        if let Some(answer) = answer {
            let link = self.link.lock().unwrap().clone();
            if let Some(link) = link {
                // A lock that is gone says it all again when it comes back.
                let _ = link.send(&lock, answer, SOON).await;
            }
        }
        self.book.changed.notify_waiters();
        Ok(())
    }
}

impl Office {
    fn event(&self, lock: &LockId, event: &Event<'_>, hash: &[u8; 32]) -> Option<String> {
        let told = Told {
            chain: event.chain.to_owned(),
            seq: event.seq,
            kind: event.kind.to_owned(),
            cause: match event.cause {
                Cause::Jti(jti) => jti.to_owned(),
                Cause::Manual => "manual".to_owned(),
                Cause::Auto => "auto".to_owned(),
                other => format!("{other:?}"),
            },
            result: event.result.to_owned(),
            boot: event.boot,
            hash: URL_SAFE_NO_PAD.encode(hash),
            prev: event.prev.to_owned(),
        };
        let head = told.hash.clone();
        let mut locks = self.book.locks.lock().unwrap();
        let known = locks.entry(lock.clone()).or_default();
        match known.events.iter().find(|known| known.seq == told.seq) {
            Some(before) => assert_eq!(*before, told, "a fork"),
            None => known.events.push(told),
        }
        let is_whole = (0..=event.seq).all(|seq| known.events.iter().any(|told| told.seq == seq));
        if !is_whole || !self.acknowledges.load(Ordering::Relaxed) {
            return None;
        }
        let ack = Ack {
            iss: ISS,
            org: ORG,
            aud: lock.as_str(),
            chain: event.chain,
            seq: event.seq,
            head: &head,
        };
        Some(self.keys.keys.signer(1, now()).sign_ack(&ack).unwrap())
    }

    fn hello(&self, lock: &LockId, hello: &Hello<'_>) -> Option<String> {
        let mut locks = self.book.locks.lock().unwrap();
        let known = locks.entry(lock.clone()).or_default();
        known.hellos += 1;
        known.boot = hello.boot;
        known.mono = hello.mono;
        let nonce = hello.nonce.filter(|_| self.knows_time.load(Ordering::Relaxed))?;
        known.has_time = true;
        let time = Time {
            iss: ISS,
            org: ORG,
            aud: lock.as_str(),
            nonce,
            t: now_s(),
        };
        Some(self.keys.keys.signer(1, now()).sign_time(&time).unwrap())
    }
}
