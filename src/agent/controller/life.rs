//! The lock's task: hears, tells the controller, and carries out what it says.

use std::sync::Arc;
use std::time::Duration;

use doorward_lock::controller::{Input, Outcome};
use doorward_lock::journal;
use futures_util::FutureExt as _;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::agent::bolt::{Bolt, Movement};
use crate::agent::storage::{Medium, StorageError};
use crate::mqtt::lock_link::LockNews;

use super::door::Reply;
use super::hands::{Core, Deeds, Failure, Told};
use super::radio::Radio;
use super::{End, Order, View};

/// How often the controller is told that time has passed.
const TICK: Duration = Duration::from_secs(1);

/// How long a movement may go on when the lock is told to stop.
const LAST_MOVEMENT: Duration = Duration::from_secs(5);

/// A lock from its start to its end.
pub(super) struct Life<S> {
    core: Core<S>,
    memory: S,
    bolt: Box<dyn Bolt>,
    movement: Option<Movement>,
    radio: Radio,
    is_connected: bool,
    is_failing: bool,
    view: watch::Sender<View>,
    shown: broadcast::Sender<Arc<str>>,
}

/// What happens next.
enum Next {
    Stop,
    Heard(LockNews),
    Moved(Outcome),
    Ordered(Order),
    Ticked,
}

impl<S: Medium> Life<S> {
    pub(super) fn new(
        core: Core<S>,
        memory: S,
        bolt: Box<dyn Bolt>,
        radio: Radio,
        view: watch::Sender<View>,
        shown: broadcast::Sender<Arc<str>>,
    ) -> Self {
        Self {
            core,
            memory,
            bolt,
            movement: None,
            radio,
            is_connected: false,
            is_failing: false,
            view,
            shown,
        }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) -> End {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => Next::Stop,
                news = self.radio.next() => Next::Heard(news),
                outcome = ended(&mut self.movement) => Next::Moved(outcome),
                Some(order) = orders.recv() => Next::Ordered(order),
                _ = ticks.tick() => Next::Ticked,
            };
            let end = match next {
                Next::Stop => Some(self.finish().await),
                Next::Heard(news) => self.hear(news).await,
                Next::Moved(outcome) => {
                    self.movement = None;
                    self.tell(Told::Input(Input::Moved(outcome))).await
                }
                Next::Ordered(order) => match self.settle().await {
                    Some(end) => Some(end),
                    None => self.obey(order).await,
                },
                Next::Ticked => self.tell(Told::Input(Input::Tick)).await,
            };
            if let Some(end) = end {
                self.movement = None;
                self.radio.switch_off().await;
                self.is_connected = false;
                self.show();
                return end;
            }
            self.show();
        }
    }

    /// Takes in the end of a movement that is over, so that what is told after it is also heard after it.
    async fn settle(&mut self) -> Option<End> {
        let outcome = self.movement.as_mut()?.now_or_never()?;
        self.movement = None;
        self.tell(Told::Input(Input::Moved(outcome))).await
    }

    /// Lets the movement under way come to its end, which is written down now and told after the next start.
    async fn finish(&mut self) -> End {
        if self.movement.is_some()
            && let Ok(outcome) = timeout(LAST_MOVEMENT, ended(&mut self.movement)).await
        {
            self.tell(Told::Input(Input::Moved(outcome)))
                .await
                .unwrap_or(End::Stopped)
        } else {
            End::Stopped
        }
    }

    async fn hear(&mut self, news: LockNews) -> Option<End> {
        match news {
            LockNews::Up => {
                self.is_connected = true;
                self.tell(Told::Input(Input::Connected)).await
            }
            LockNews::Down => self.fall_silent().await,
            LockNews::Message(message) => self.tell(Told::Message(message)).await,
        }
    }

    async fn fall_silent(&mut self) -> Option<End> {
        self.is_connected = false;
        self.radio.clear();
        self.tell(Told::Input(Input::Disconnected)).await
    }

    async fn obey(&mut self, order: Order) -> Option<End> {
        match order {
            Order::Tell(input) => self.tell(Told::Input(input)).await,
            Order::AtDoor(what, reply) => {
                let (shown, end) = self.hear_out(Told::AtDoor(what)).await;
                if let Some(shown) = shown {
                    // Whoever asked may have gone.
                    let _ = reply.send(shown);
                }
                end
            }
            Order::Connect => {
                self.radio.switch_on();
                None
            }
            Order::Disconnect => {
                self.radio.switch_off().await;
                self.fall_silent().await
            }
        }
    }

    async fn tell(&mut self, told: Told) -> Option<End> {
        self.hear_out(told).await.1
    }

    /// Tells the controller something, and gives what it shows; nothing where it could not write that down.
    async fn hear_out(&mut self, told: Told) -> (Option<Reply>, Option<End>) {
        let (mut deeds, done) = self.core.tell(told).await;
        let is_done = done.is_ok();
        match done {
            Err(journal::Error::Storage(StorageError::PowerLost)) => return (None, Some(End::PowerLost)),
            Err(error) => self.complain(&error),
            Ok(()) => self.is_failing = false,
        }
        let shown = std::mem::take(&mut deeds.shown);
        for message in &shown {
            // Nobody has to listen.
            let _ = self.shown.send(Arc::clone(message));
        }
        let (is_waiting, is_closed) = (deeds.is_waiting, deeds.is_closed);
        let end = self.carry_out(deeds).await;
        let reply = Reply {
            shown,
            is_waiting,
            is_closed,
        };
        (is_done.then_some(reply), end)
    }

    /// The controller tries again every second; a full disk is worth one line, not one a second.
    fn complain(&mut self, error: &Failure) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "the lock cannot write down what happens"
            );
        }
    }

    async fn carry_out(&mut self, deeds: Deeds) -> Option<End> {
        if let Some(action) = deeds.movement {
            self.movement = Some(self.bolt.begin(action));
        }
        for (node, message) in deeds.said {
            self.radio.say(node, message);
        }
        if !deeds.is_released {
            return None;
        }
        let mut memory = self.memory.clone();
        let erased = if S::WAITS {
            tokio::task::spawn_blocking(move || memory.erase())
                .await
                .unwrap_or(Ok(()))
        } else {
            memory.erase()
        };
        if let Err(error) = erased {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the lock has left its organization, and could not forget everything: empty its folder"
            );
        }
        Some(End::Released)
    }

    fn show(&self) {
        let view = self.core.view(self.is_connected);
        self.view
            .send_if_modified(|shown| std::mem::replace(shown, view) != view);
    }
}

/// The end of the movement under way; never, where there is none.
async fn ended(movement: &mut Option<Movement>) -> Outcome {
    match movement {
        Some(movement) => movement.await,
        None => std::future::pending().await,
    }
}
