//! The bridge to a Home Assistant: shows locks there by MQTT discovery, and carries its commands in where the operator
//! allows them. One node of many does it. Who opened a door is never told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::board::Board;
use self::commands::{Command, Commands};
use self::topics::{Topic, Topics};
use crate::app::shown::{LEASE_LIFE, Shown};
use crate::app::{App, Error};
use crate::crypto::random::Random;
use crate::domain::ids::{LockId, OrganizationId, PersonId};
use crate::domain::time::Timestamp;
use crate::mqtt::address::BrokerAddress;
use crate::mqtt::foreign_link::{ForeignLink, ForeignLinkOptions, ForeignNews, Note};

mod board;
mod commands;
mod discovery;
mod topics;

/// How often everything is read again: what other nodes heard, what has grown old, what was missed.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// How old an alarm may be to be told as news, after the broker was away.
const ALARM_AGE: Duration = Duration::from_secs(600);
/// How many alarms are read at once.
const ALARMS: u16 = 200;
/// The client id at Home Assistant's broker, the same of every node: whoever comes last ends the other's connection.
const CLIENT: &str = "doorward-home-assistant";

/// How Home Assistant's broker is reached, and what is shown there.
#[derive(Clone)]
pub struct BridgeOptions {
    /// Where the broker is.
    pub address: BrokerAddress,
    /// User name; empty where the broker asks for none.
    pub user: String,
    /// Password.
    pub password: String,
    /// Pinged this often.
    pub keep_alive: Duration,
    /// What discovery topics begin with.
    pub discovery_prefix: String,
    /// What topics of states and commands begin with.
    pub base_topic: String,
    /// Which locks.
    pub shown: Shown,
    /// In whose name Home Assistant may ask for doors; `None` where it may not.
    pub commands: Option<PersonId>,
}

/// Shows locks, and carries commands in, until `stop`.
pub async fn run(options: &BridgeOptions, app: &Arc<App>, random: &Arc<dyn Random>, stop: &CancellationToken) {
    let mut bridge = Bridge::new(options, app, random);
    let mut changes = app.lock_changes();
    let mut ticks = interval(READ_AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            news = next_of(&mut bridge.news) => bridge.hear(news).await,
            _ = ticks.tick() => bridge.tick().await,
            changed = changes.recv() => match all_of(changed, &mut changes) {
                Some(changed) => bridge.show(Some(changed)).await,
                None => bridge.show(None).await,
            },
        }
    }
    bridge.part().await;
    if let Err(error) = app.give_turn_up().await {
        let cause = &error as &dyn std::error::Error;
        tracing::debug!(
            error = cause,
            "the turn to show locks was not given up; it ends by itself"
        );
    }
}

/// The next news, where there is a connection that may have some.
async fn next_of(news: &mut Option<mpsc::Receiver<ForeignNews>>) -> Option<ForeignNews> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

/// The locks that changed, those that wait behind the first included; `None` where some were missed.
fn all_of(first: Result<LockId, RecvError>, changes: &mut broadcast::Receiver<LockId>) -> Option<Vec<LockId>> {
    let mut changed = vec![first.ok()?];
    loop {
        match changes.try_recv() {
            Ok(lock) => changed.push(lock),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            Err(TryRecvError::Lagged(_)) => return None,
        }
    }
    changed.sort_unstable();
    changed.dedup();
    Some(changed)
}

struct Bridge<'a> {
    options: &'a BridgeOptions,
    app: &'a Arc<App>,
    random: &'a Arc<dyn Random>,
    topics: Topics,
    link: Option<ForeignLink>,
    news: Option<mpsc::Receiver<ForeignNews>>,
    board: Board,
    commands: Commands,
    /// Until when it is this node's turn.
    turn_ends_at: Option<Timestamp>,
    /// Up to which entry of each log alarms were told.
    told: HashMap<OrganizationId, i64>,
}

impl<'a> Bridge<'a> {
    fn new(options: &'a BridgeOptions, app: &'a Arc<App>, random: &'a Arc<dyn Random>) -> Self {
        let topics = Topics::new(&options.discovery_prefix, &options.base_topic);
        Self {
            options,
            app,
            random,
            board: Board::new(topics.clone()),
            topics,
            link: None,
            news: None,
            commands: Commands::new(options.commands.clone()),
            turn_ends_at: None,
            told: HashMap::new(),
        }
    }

    /// Takes or keeps the turn, and shows everything anew.
    async fn tick(&mut self) {
        let now = self.app.now();
        match self.app.hold_turn().await {
            Ok(true) => self.turn_ends_at = Some(now + LEASE_LIFE),
            Ok(false) => self.turn_ends_at = None,
            // Nobody can say whose turn it is; ours runs to its end.
            Err(error) => complain(&error),
        }
        if self.turn_ends_at.is_some_and(|end| now < end) {
            self.join();
            self.show(None).await;
        } else {
            self.part().await;
        }
    }

    /// Connects, unless that is so already.
    fn join(&mut self) {
        if self.link.is_some() {
            return;
        }
        let options = ForeignLinkOptions {
            address: self.options.address.clone(),
            client_id: CLIENT.to_owned(),
            user: self.options.user.clone(),
            password: self.options.password.clone(),
            filters: self.topics.filters(self.options.commands.is_some()),
            farewell: Some(Note::kept(self.topics.status(), discovery::OFFLINE)),
            keep_alive: self.options.keep_alive,
        };
        let (link, news) = ForeignLink::start(options, Arc::clone(self.random));
        self.link = Some(link);
        self.news = Some(news);
        self.told.clear();
    }

    /// Says goodbye: what is shown counts as not known from then on.
    async fn part(&mut self) {
        self.news = None;
        if let Some(link) = self.link.take() {
            link.stop().await;
        }
        self.board.forget();
    }

    async fn hear(&mut self, news: Option<ForeignNews>) {
        match news {
            Some(ForeignNews::Up) => {
                self.board.forget();
                self.show(None).await;
            }
            Some(ForeignNews::Message {
                topic,
                payload,
                retained,
                at,
            }) => self.take(&topic, &payload, retained, at).await,
            Some(ForeignNews::Down) => self.board.forget(),
            // The link has ended; the next tick makes another.
            None => self.part().await,
        }
    }

    async fn take(&mut self, topic: &str, payload: &[u8], retained: bool, at: Instant) {
        match self.topics.parse(topic) {
            // Home Assistant has started, and is told everything again.
            Some(Topic::Home) if payload == discovery::ONLINE.as_bytes() && !retained => {
                self.board.say_again();
                self.show(None).await;
            }
            // From before this connection: to be taken away where it is not right any more. An echo is not retained.
            Some(Topic::Config(lock)) if retained && !payload.is_empty() => self.board.found(topic, lock),
            Some(Topic::Command(lock)) => {
                let command = Command {
                    lock,
                    payload,
                    retained,
                    at,
                };
                self.commands.take(self.app, &command, self.board.shows(&command.lock));
            }
            _ => {}
        }
    }

    /// Shows these locks as they are now, or all of them and nothing else.
    async fn show(&mut self, changed: Option<Vec<LockId>>) {
        let Some(link) = self.link.as_ref().filter(|link| link.is_up()) else {
            return;
        };
        let all = changed.is_none();
        let found = match self.app.shown_locks(&self.options.shown, changed.clone()).await {
            Ok(found) => found,
            Err(error) => return complain(&error),
        };
        let organizations: Vec<OrganizationId> = found.iter().map(|shown| shown.lock.organization.clone()).collect();
        self.board.put(&found, changed.as_deref(), self.app.now());
        let mut is_said = self.board.publish(link, changed.as_deref()).await;
        if all && is_said {
            is_said = self.board.say_online(link).await;
        }
        if is_said && let Err(error) = self.tell_alarms(organizations).await {
            complain(&error);
        }
    }

    /// Tells what has happened since the last time, at the doors that are shown. It begins with the end of the log as it
    /// is when this node begins to show it.
    async fn tell_alarms(&mut self, mut organizations: Vec<OrganizationId>) -> Result<(), Error> {
        organizations.sort_unstable();
        organizations.dedup();
        let Some(link) = &self.link else { return Ok(()) };
        for organization in organizations {
            let Some(mut told) = self.told.get(&organization).copied() else {
                let end = self.app.log_end(organization.clone()).await?;
                self.told.insert(organization, end);
                continue;
            };
            let now = self.app.now();
            for alarm in self.app.alarms_after(organization.clone(), told, ALARMS).await? {
                let is_news = now.since(alarm.recorded_at) <= ALARM_AGE;
                if is_news && self.board.shows(&alarm.lock) && !self.board.tell(link, &alarm).await {
                    break;
                }
                told = alarm.seq;
                self.told.insert(organization.clone(), told);
            }
        }
        Ok(())
    }
}

fn complain(error: &Error) {
    let cause = error as &dyn std::error::Error;
    tracing::warn!(error = cause, "Home Assistant cannot be told now; it is tried again");
}
