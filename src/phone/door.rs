//! A lock's door, as a phone meets it over the local network (`docs/PROTOCOL.md`, "The local carrier").

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::PhoneError;
use super::backend::ask;
use crate::client::{BackendAddress, BadAddress, Server, Shown};

/// Longest wait for an answer: a movement may have to wait for another one.
const ANSWER: Duration = Duration::from_secs(60);

/// The most messages that are handed over at once.
const AT_ONCE: usize = 16;

/// Where a door is on the local network: `http://192.168.1.20:8100`. Nothing that crosses it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorAddress(BackendAddress);

impl FromStr for DoorAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        BackendAddress::in_the_open(text).map(Self)
    }
}

impl fmt::Display for DoorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A door that somebody stands before.
pub struct LockDoor(Server);

#[derive(Deserialize)]
struct Challenged {
    challenge: String,
}

#[derive(Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    pub(super) result: String,
    pub(super) events: Vec<String>,
}

/// What is shown at the door.
pub(super) struct Answer<'a> {
    pub(super) pass: &'a str,
    pub(super) public_key: &'a crate::crypto::public_key::PublicKey,
    pub(super) act: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature: &'a str,
}

impl LockDoor {
    /// The door at this address.
    #[must_use]
    pub fn at(address: DoorAddress) -> Self {
        Self(Server::without_tls(address.0, ANSWER))
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        self.0.address().to_string()
    }

    pub(super) async fn challenge(&self) -> Result<String, PhoneError> {
        let challenged: Challenged =
            ask(&self.0, Method::POST, "/challenge", Shown::default(), Some(json!({}))).await?;
        Ok(challenged.challenge)
    }

    /// Shows a pass, and waits for what becomes of it.
    pub(super) async fn show(&self, answer: &Answer<'_>) -> Result<Said, PhoneError> {
        let body = json!({
            "pass": answer.pass, "public_key": answer.public_key, "act": answer.act, "nonce": answer.nonce,
            "signature": answer.signature,
        });
        ask(&self.0, Method::POST, "/pass", Shown::default(), Some(body)).await
    }

    /// Hands messages over; gives what the lock says to them.
    pub(super) async fn hand_over(&self, messages: &[String]) -> Result<Vec<String>, PhoneError> {
        let mut events = Vec::new();
        for messages in messages.chunks(AT_ONCE) {
            let body = json!({ "messages": messages });
            let said: Said = ask(&self.0, Method::POST, "/messages", Shown::default(), Some(body)).await?;
            events.extend(said.events);
        }
        Ok(events)
    }

    /// Events that the backend has not acknowledged, from this one on.
    pub(super) async fn events(&self, from: u64) -> Result<Vec<String>, PhoneError> {
        let said: Said = ask(
            &self.0,
            Method::GET,
            &format!("/events?from={from}"),
            Shown::default(),
            None,
        )
        .await?;
        Ok(said.events)
    }
}
