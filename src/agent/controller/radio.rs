//! The lock's end of its link: what it says goes out in order, a few messages at a time, and what cannot go out now is
//! dropped, for the lock says it again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::agent::dice::Dice;
use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::domain::relay::RelayAway;
use crate::mqtt::address::BrokerAddress;
use crate::mqtt::lock_link::{LockLink, LockLinkOptions, LockNews};
use crate::mqtt::topics::Topics;

/// How often the broker is pinged.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long the broker may take for one message.
const WITHIN: Duration = Duration::from_secs(5);
/// How many messages may be on their way to the broker at once: less than the link holds.
const ON_THEIR_WAY: usize = 8;
/// How many may wait behind them.
const WAITING: usize = 64;

/// Who the lock is to its broker.
pub(super) struct Station {
    pub(super) address: BrokerAddress,
    pub(super) lock: LockId,
    pub(super) password: String,
    pub(super) topics: Topics,
}

/// Messages that get lost either way, as if the network had dropped them.
#[derive(Debug, Clone)]
pub struct Losses {
    /// The share that is lost: 1 for all.
    pub share: f64,
    /// Chance.
    pub dice: Dice,
}

impl Losses {
    fn hits(losses: &mut Option<Self>) -> bool {
        losses.as_mut().is_some_and(|losses| losses.dice.hits(losses.share))
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<(), RelayAway>> + Send>>;

/// The lock's radio, on or off.
pub(super) struct Radio {
    station: Station,
    random: Arc<dyn Random>,
    losses: Option<Losses>,
    link: Option<(LockLink, mpsc::Receiver<LockNews>)>,
    sending: FuturesUnordered<Sending>,
    waiting: VecDeque<(String, String)>,
}

impl Radio {
    /// A radio that is on.
    pub(super) fn on(station: Station, random: Arc<dyn Random>, losses: Option<Losses>) -> Self {
        let mut radio = Self {
            station,
            random,
            losses,
            link: None,
            sending: FuturesUnordered::new(),
            waiting: VecDeque::new(),
        };
        radio.switch_on();
        radio
    }

    pub(super) fn switch_on(&mut self) {
        if self.link.is_none() {
            let options = LockLinkOptions {
                address: self.station.address.clone(),
                lock: self.station.lock.clone(),
                password: self.station.password.clone(),
                topics: self.station.topics.clone(),
                keep_alive: KEEP_ALIVE,
            };
            self.link = Some(LockLink::start(options, Arc::clone(&self.random)));
        }
    }

    /// Says `offline` and disconnects.
    pub(super) async fn switch_off(&mut self) {
        self.clear();
        if let Some((link, _)) = self.link.take() {
            link.stop().await;
        }
    }

    /// Forgets what has not gone out: the connection that it was for is gone.
    pub(super) fn clear(&mut self) {
        self.sending.clear();
        self.waiting.clear();
    }

    /// Says `message` to `node`, now or soon.
    pub(super) fn say(&mut self, node: String, message: String) {
        if self.link.is_some() && self.waiting.len() < WAITING && !Losses::hits(&mut self.losses) {
            self.waiting.push_back((node, message));
            self.send();
        }
    }

    fn send(&mut self) {
        let Some((link, _)) = &self.link else { return };
        while self.sending.len() < ON_THEIR_WAY {
            let Some((node, message)) = self.waiting.pop_front() else {
                break;
            };
            let link = link.clone();
            self.sending.push(Box::pin(async move {
                link.publish(&node, message.into_bytes(), WITHIN).await
            }));
        }
    }

    /// What comes in next. Meanwhile it sends; so it must be polled always. May be dropped and called again.
    pub(super) async fn next(&mut self) -> LockNews {
        loop {
            let Some((_, heard)) = &mut self.link else {
                return std::future::pending().await;
            };
            tokio::select! {
                news = heard.recv() => match news {
                    Some(LockNews::Message(_)) if Losses::hits(&mut self.losses) => {}
                    Some(news) => return news,
                    // The link ends only when it is told to.
                    None => return std::future::pending().await,
                },
                Some(_) = self.sending.next() => self.send(),
            }
        }
    }
}
