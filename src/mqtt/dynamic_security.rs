//! The [`Registrar`] of a mosquitto with its Dynamic Security plugin: every lock is a client and a role of its own there,
//! made when it enrols and deleted when it retires.
//!
//! The plugin takes JSON commands on one topic and answers on another, for all who are subscribed to it; a number that
//! comes back tells whose answer it is. It stores a change before it answers, and closes the connections of a client that
//! it deletes (<https://mosquitto.org/documentation/dynamic-security/>). The registrar has a connection of its own, so
//! that nothing about it stands in the way of an unlock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::Publish;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::domain::relay::{Registrar, RelayAway};

use super::address::BrokerAddress;
use super::connection::{self, Owner, Terms};
use super::link::PACKET_LIMIT;
use super::outlet::{Outlet, Receipt};
use super::topics::{NodeName, Topics};

const COMMANDS: &str = "$CONTROL/dynamic-security/v1";
const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";

/// Longest wait for an answer. A controller that enrols waits for it.
const WITHIN: Duration = Duration::from_secs(5);

/// How a node reaches the plugin.
pub struct DynamicSecurityOptions {
    /// Where the broker is.
    pub address: BrokerAddress,
    /// A user name at the broker whose role may administer the plugin.
    pub user: String,
    /// Its password.
    pub password: String,
    /// This node; the client id is made of its name.
    pub node: NodeName,
    /// The topics' names.
    pub topics: Topics,
    /// As of the link.
    pub keep_alive: Duration,
}

/// The standing connection to the plugin. Dropped, it says goodbye and ends.
pub struct DynamicSecurity {
    topics: Topics,
    random: Arc<dyn Random>,
    desk: Arc<Desk>,
    _stop_when_dropped: DropGuard,
}

/// Where commands go out and answers come in.
#[derive(Default)]
struct Desk {
    outlet: Mutex<Option<Outlet>>,
    asked: Mutex<HashMap<String, oneshot::Sender<Vec<Response>>>>,
}

impl DynamicSecurity {
    /// Connects in the background, and goes on trying for ever.
    ///
    /// Must be called within a Tokio runtime, which the connection's task then lives in.
    #[must_use]
    pub fn start(options: DynamicSecurityOptions, random: Arc<dyn Random>) -> Self {
        let stop = CancellationToken::new();
        let desk = Arc::new(Desk::default());
        let topics = options.topics.clone();
        let clerk = Clerk(Arc::clone(&desk));
        tokio::spawn(connection::keep(
            terms(options),
            clerk,
            Arc::clone(&random),
            stop.clone(),
        ));
        Self {
            topics,
            random,
            desk,
            _stop_when_dropped: stop.drop_guard(),
        }
    }

    /// Has the plugin carry out `commands`, in this order. Deleting what is not there counts as done.
    async fn carry_out(&self, commands: &[Command<'_>]) -> Result<(), RelayAway> {
        let outlet = lock(&self.desk.outlet).clone().ok_or(RelayAway)?;
        let number = format!("{:032x}", self.random.bits());
        let request = Request {
            commands: commands
                .iter()
                .map(|command| Numbered {
                    command,
                    number: &number,
                })
                .collect(),
        };
        let request = serde_json::to_vec(&request).map_err(|_| RelayAway)?;
        let (tell, answer) = oneshot::channel();
        {
            let mut asked = lock(&self.desk.asked);
            // Those whose caller has gone away meanwhile.
            asked.retain(|_, tell| !tell.is_closed());
            asked.insert(number, tell);
        }
        let answer = timeout(WITHIN, async {
            outlet
                .publish(COMMANDS.to_owned(), request, WITHIN)
                .await
                .map_err(|_| RelayAway)?;
            answer.await.map_err(|_| RelayAway)
        });
        let responses = answer.await.map_err(|_| RelayAway)??;
        match responses.iter().find_map(Response::failure) {
            None if responses.len() == commands.len() => Ok(()),
            failure => {
                tracing::error!(
                    failure,
                    "the broker's dynamic security did not do as it was told; may this node's user administer it?"
                );
                Err(RelayAway)
            }
        }
    }
}

#[async_trait]
impl Registrar for DynamicSecurity {
    async fn admit(&self, lock: &LockId, password: &str) -> Result<(), RelayAway> {
        let id = lock.as_str();
        let [delete_client, delete_role] = deletion(id);
        self.carry_out(&[
            // What an enrolment that was broken off has left behind.
            delete_client,
            delete_role,
            Command::CreateRole {
                rolename: id,
                acls: rights(&self.topics, lock),
            },
            Command::CreateClient {
                username: id,
                password,
                clientid: id,
                roles: [Role { rolename: id }],
            },
        ])
        .await
    }

    /// Done already: the plugin closes the connections of a client that it deletes, and [`Self::admit`] makes it anew.
    async fn end_session(&self, _: &LockId) -> Result<(), RelayAway> {
        Ok(())
    }

    async fn expel(&self, lock: &LockId) -> Result<(), RelayAway> {
        self.carry_out(&deletion(lock.as_str())).await
    }
}

fn deletion(lock: &str) -> [Command<'_>; 2] {
    [
        Command::DeleteClient { username: lock },
        Command::DeleteRole { rolename: lock },
    ]
}

/// What [`super::rights`] says of a lock, in the words of the plugin, which refuses everything else. Retained messages
/// it cannot refuse: `config/mosquitto-dynamic-security.conf` does.
fn rights(topics: &Topics, lock: &LockId) -> [Acl; 3] {
    let allow = |acltype, topic| Acl {
        acltype,
        topic,
        allow: true,
    };
    [
        allow("publishClientSend", topics.up(lock, "+")),
        allow("publishClientSend", topics.status(lock)),
        allow("subscribeLiteral", topics.down(lock)),
    ]
}

#[derive(Serialize)]
struct Request<'a> {
    commands: Vec<Numbered<'a>>,
}

#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(flatten)]
    command: &'a Command<'a>,
    #[serde(rename = "correlationData")]
    number: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "command", rename_all = "camelCase")]
enum Command<'a> {
    CreateClient {
        username: &'a str,
        password: &'a str,
        clientid: &'a str,
        roles: [Role<'a>; 1],
    },
    DeleteClient {
        username: &'a str,
    },
    CreateRole {
        rolename: &'a str,
        acls: [Acl; 3],
    },
    DeleteRole {
        rolename: &'a str,
    },
}

#[derive(Serialize)]
struct Role<'a> {
    rolename: &'a str,
}

#[derive(Serialize)]
struct Acl {
    acltype: &'static str,
    topic: String,
    allow: bool,
}

#[derive(Deserialize)]
struct Answer {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    command: String,
    error: Option<String>,
    #[serde(rename = "correlationData")]
    number: Option<String>,
}

impl Response {
    /// Why the command was not carried out, unless what it was to delete is not there.
    fn failure(&self) -> Option<&str> {
        let error = self.error.as_deref()?;
        let is_gone = match self.command.as_str() {
            "deleteClient" => error == "Client not found",
            "deleteRole" => error == "Role not found",
            _ => false,
        };
        (!is_gone).then_some(error)
    }
}

/// Hands every answer to whoever asked.
struct Clerk(Arc<Desk>);

impl Owner for Clerk {
    fn up(&mut self, outlet: Outlet) {
        *lock(&self.0.outlet) = Some(outlet);
    }

    fn received(&mut self, message: Publish, receipt: Receipt) {
        receipt.acknowledge();
        let Ok(Answer { responses }) = serde_json::from_slice(&message.payload) else {
            return tracing::debug!("the broker's dynamic security said something that is no answer");
        };
        // Other administrators' answers come here too.
        let number = responses.first().and_then(|response| response.number.as_deref());
        if let Some(tell) = number.and_then(|number| lock(&self.0.asked).remove(number)) {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(responses);
        }
    }

    fn down(&mut self) {
        *lock(&self.0.outlet) = None;
        // Their answers would have come over this connection.
        lock(&self.0.asked).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that holds it can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn terms(options: DynamicSecurityOptions) -> Terms {
    Terms {
        client_id: format!("{}-registrar", options.node),
        user: options.user,
        password: options.password,
        address: options.address,
        filters: vec![ANSWERS.to_owned()],
        will: None,
        greeting: None,
        farewell: None,
        keep_alive: options.keep_alive,
        in_flight: 16,
        waiting: 64,
        packet_limit: PACKET_LIMIT,
        patience: Duration::from_secs(10),
        first_wait: Duration::from_millis(250),
        longest_wait: Duration::from_secs(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::relay::Principal;
    use crate::mqtt::rights::{may_publish, may_subscribe};

    #[test]
    fn the_plugin_is_told_what_the_rights_say() {
        let (topics, me) = (Topics::new("doorward/v1").unwrap(), LockId::from_bits(1));
        let who = Principal::Lock(me.clone());
        for acl in rights(&topics, &me) {
            assert!(acl.allow);
            match acl.acltype {
                "publishClientSend" => {
                    assert!(may_publish(&topics, &who, &acl.topic.replace('+', "node-1"), false));
                }
                "subscribeLiteral" => assert!(may_subscribe(&topics, &who, &acl.topic)),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn only_deleting_may_find_nothing() {
        for (command, error, fails) in [
            ("deleteClient", None, false),
            ("deleteClient", Some("Client not found"), false),
            ("deleteRole", Some("Role not found"), false),
            ("createClient", Some("Role not found"), true),
            ("createRole", Some("Role already exists"), true),
            ("deleteClient", Some("Internal error"), true),
        ] {
            let response = Response {
                command: command.to_owned(),
                error: error.map(str::to_owned),
                number: None,
            };
            assert_eq!(response.failure().is_some(), fails, "{command} {error:?}");
        }
    }
}
