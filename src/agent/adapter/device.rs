//! The adapter's task beside its lock: carries words to the device and reports from it. It keeps nothing for later.

use std::sync::Arc;
use std::time::Duration;

use doorward_lock::controller::{Hand, Input, Outcome};
use doorward_lock::wire::{Action, Assurance, Bolt as Position};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::agent::bolt::{Bolt, Keypad, Movement};
use crate::agent::controller::{Teller, Wall};
use crate::crypto::random::Random;
use crate::mqtt::address::BrokerAddress;
use crate::mqtt::foreign_link::{ForeignLink, ForeignLinkOptions, ForeignNews, Note};

use super::dialect::Word;
use super::dialogue::{Deed, Dialogue};
use super::keypad::{PinBook, Wish};

/// How long the device's broker may take for one message.
const WITHIN: Duration = Duration::from_secs(1);
/// How often that broker is pinged; given up after twice as long a silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How often the PINs on the device are compared with those that are to be there.
const ROUND: Duration = Duration::from_secs(1);

/// How to reach the device's broker, and as whom.
#[derive(Clone)]
pub struct Place {
    /// Where the broker is.
    pub address: BrokerAddress,
    /// The client id, another one for every adapter.
    pub client_id: String,
    /// The user name; empty where the broker asks for none.
    pub user: String,
    /// The password.
    pub password: String,
}

/// A movement that the lock has begun.
pub(super) struct Order {
    action: Action,
    at: Instant,
    end: oneshot::Sender<Outcome>,
}

/// The device as the bolt of a lock.
pub(super) struct RemoteBolt {
    orders: mpsc::Sender<Order>,
    pins: Arc<PinBook>,
}

impl RemoteBolt {
    /// The bolt, and where its movements are to be carried out.
    pub(super) fn new(pins: Arc<PinBook>) -> (Self, mpsc::Receiver<Order>) {
        // The lock begins a movement when the one before it has ended.
        let (orders, taken) = mpsc::channel(1);
        (Self { orders, pins }, taken)
    }
}

impl Bolt for RemoteBolt {
    fn position(&self) -> Position {
        Position::Unknown
    }

    fn assurance(&self) -> Option<Assurance> {
        Some(Assurance::Adapter)
    }

    fn keypad(&self) -> Option<Arc<dyn Keypad>> {
        Some(Arc::clone(&self.pins) as Arc<dyn Keypad>)
    }

    fn begin(&mut self, action: Action) -> Movement {
        let (end, ended) = oneshot::channel();
        let at = Instant::now();
        let is_taken = self.orders.try_send(Order { action, at, end }).is_ok();
        Box::pin(async move {
            if is_taken {
                ended.await.unwrap_or(Outcome::NoAnswer)
            } else {
                Outcome::Away
            }
        })
    }
}

/// The task.
pub(super) struct Device {
    pub(super) place: Place,
    pub(super) dialogue: Dialogue,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) teller: Teller,
    pub(super) wall: Wall,
    pub(super) pins: Arc<PinBook>,
    pub(super) random: Arc<dyn Random>,
    /// Who waits for the end of the movement under way.
    pub(super) waiting: Option<oneshot::Sender<Outcome>>,
}

/// What happens next.
enum Next {
    Heard(ForeignNews),
    Asked(Order),
    Due,
    Pins,
    Stop,
}

impl Device {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (mut link, mut news) = self.listen();
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.dialogue.due();
            let next = tokio::select! {
                () = stop.cancelled() => Next::Stop,
                heard = news.recv() => heard.map_or(Next::Stop, Next::Heard),
                order = self.orders.recv() => order.map_or(Next::Stop, Next::Asked),
                () = until(due) => Next::Due,
                _ = rounds.tick() => Next::Pins,
            };
            let now = Instant::now();
            let deeds = match next {
                Next::Stop => return,
                Next::Due => self.dialogue.pass(now),
                Next::Pins => self.pins_due(now),
                Next::Asked(order) => self.take(order, now),
                Next::Heard(ForeignNews::Up) => self.dialogue.linked(),
                Next::Heard(ForeignNews::Down) => self.dialogue.unlinked(),
                Next::Heard(ForeignNews::Message {
                    topic,
                    payload,
                    retained,
                    ..
                }) => self.dialogue.heard(&topic, &payload, retained, now),
            };
            if self.carry_out(deeds, &link).await {
                // Dropped first: the broker knows both by one client id.
                drop((link, news));
                (link, news) = self.listen();
            }
        }
    }

    fn listen(&self) -> (ForeignLink, mpsc::Receiver<ForeignNews>) {
        let options = ForeignLinkOptions {
            address: self.place.address.clone(),
            client_id: self.place.client_id.clone(),
            user: self.place.user.clone(),
            password: self.place.password.clone(),
            filters: self.dialogue.filters(),
            farewell: None,
            keep_alive: KEEP_ALIVE,
        };
        ForeignLink::start(options, Arc::clone(&self.random))
    }

    fn take(&mut self, order: Order, now: Instant) -> Vec<Deed> {
        self.waiting = Some(order.end);
        if now > order.at + WITHIN {
            // It has waited here for too long to be asked of anybody.
            return vec![Deed::End(Outcome::Away)];
        }
        self.dialogue.ask(order.action, now)
    }

    /// The words that put a PIN on the device or take one away, one slot a round: a sleepy device loses what comes in
    /// heaps.
    fn pins_due(&mut self, now: Instant) -> Vec<Deed> {
        // Where the device cannot be asked, no try is spent.
        if !self.dialogue.keeps_pins() {
            return Vec::new();
        }
        let wish = self.pins.due(self.wall.now(), now);
        let words = wish
            .into_iter()
            .flat_map(|Wish { slot, digits }| self.dialogue.keep_pin(slot, digits.as_ref().map(|text| text.as_str())));
        words.map(Deed::Say).collect()
    }

    /// What the lock is told: a slot that this adapter does not keep is a key of the device's own.
    fn told(&self, input: Input<'static>) -> Input<'static> {
        match input {
            Input::Bolt(bolt, Hand::Pin(slot)) if !self.pins.keeps(slot) => Input::Bolt(bolt, Hand::Key),
            input => input,
        }
    }

    /// Does it, in order; says whether the link is to begin anew.
    async fn carry_out(&mut self, deeds: Vec<Deed>, link: &ForeignLink) -> bool {
        let mut is_anew = false;
        for deed in deeds {
            match deed {
                Deed::Say(word) => self.say(word, link).await,
                Deed::End(outcome) => self.end(outcome),
                Deed::Tell(input) => self.teller.tell(self.told(input)).await,
                Deed::Slot(slot, held) => {
                    if let Some(end) = self.pins.heard(slot, held) {
                        self.teller.tell(Input::Slot(slot, end)).await;
                    }
                }
                Deed::ListenAnew => is_anew = true,
            }
        }
        is_anew
    }

    async fn say(&mut self, word: Word, link: &ForeignLink) {
        // Never kept by the broker: a device that comes back later must not take it for new.
        let note = Note::passing(word.topic, word.payload);
        let is_taken = link.publish(note, WITHIN).await.is_ok();
        if is_taken {
            return;
        }
        for deed in self.dialogue.not_taken(Instant::now()) {
            match deed {
                Deed::End(outcome) => self.end(outcome),
                Deed::Tell(input) => self.teller.tell(input).await,
                Deed::Say(_) | Deed::Slot(..) | Deed::ListenAnew => {}
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(waiting) = self.waiting.take() {
            // The lock may have given it up before.
            let _ = waiting.send(outcome);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
