//! Whoever stands at the door: what they may ask of the lock, and what it shows them.

use std::fmt;
use std::sync::Arc;

use doorward_lock::controller::Input;
use doorward_lock::jws::Message;
use doorward_lock::pins::Entry;
use doorward_lock::refusal::Refusal;
use doorward_lock::verify::Presentation;
use doorward_lock::wire::{Action, Cause, Event, Kind};
use tokio::sync::{broadcast, mpsc, oneshot};
use zeroize::Zeroizing;

use super::Order;
use crate::crypto::public_key::PublicKey;

/// What somebody at the door asks.
#[derive(Debug)]
pub enum AtDoor {
    /// A challenge.
    Challenge,
    /// To be let in by a pass.
    Present(Box<Shown>),
    /// To be let in by a PIN.
    TypeIn(Typed),
    /// To take over a message that they carry.
    Carry(Vec<u8>),
    /// For events from this one on, to carry them to the backend.
    Collect(u64),
}

/// What somebody has typed at the keypad. Erased when it is dropped; its `Debug` form does not tell it.
pub struct Typed(Zeroizing<String>);

impl Typed {
    /// These digits; `None` where no PIN is like that.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Entry::read(text).map(|_| Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(…)")
    }
}

/// A pass with the answer to a challenge.
#[derive(Debug)]
pub struct Shown {
    /// The pass, as compact JWS.
    pub pass: String,
    /// The phone's key.
    pub public_key: PublicKey,
    /// What the bolt is to do.
    pub act: Action,
    /// The nonce of the challenge.
    pub nonce: String,
    /// The phone's signature, as base64url.
    pub signature: String,
}

impl AtDoor {
    /// The same for the controller.
    pub(super) fn input(&self) -> Input<'_> {
        match self {
            Self::Challenge => Input::Challenge,
            // It was read before.
            Self::TypeIn(Typed(digits)) => Entry::read(digits).map_or(Input::Tick, Input::Pin),
            Self::Carry(message) => Input::Carried(message),
            Self::Collect(from) => Input::Collect(*from),
            Self::Present(shown) => Input::Present(Presentation {
                pass: &shown.pass,
                public_key: shown.public_key.jwk(),
                act: shown.act,
                signature: &shown.signature,
                nonce: &shown.nonce,
            }),
        }
    }
}

/// What the lock shows at once.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) shown: Vec<Arc<str>>,
    /// Whether a command was taken that waits for the movement under way.
    pub(super) is_waiting: bool,
    /// Whether the keypad is closed.
    pub(super) is_closed: bool,
}

/// The lock could not write down what was asked, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lock does nothing now")]
pub struct OutOfOrder;

/// What became of somebody's wish to move the bolt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `ok`, the word of the refusal, or what went wrong; `too-many` or `keypad-closed` where the refusal was not written down.
    pub result: String,
    /// The events that say so, signed.
    pub events: Vec<Arc<str>>,
}

/// The door of a running lock. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Doorway {
    orders: mpsc::Sender<Order>,
    shown: broadcast::Sender<Arc<str>>,
}

impl Doorway {
    pub(super) fn new(orders: mpsc::Sender<Order>, shown: broadcast::Sender<Arc<str>>) -> Self {
        Self { orders, shown }
    }

    /// What the lock shows in answer to this, at once.
    ///
    /// # Errors
    /// [`OutOfOrder`].
    pub async fn ask(&self, what: AtDoor) -> Result<Vec<Arc<str>>, OutOfOrder> {
        self.give(what).await.map(|reply| reply.shown)
    }

    /// What becomes of a wish to move the bolt by somebody whose events have a cause that `is_theirs`; waits for the end of
    /// the movement. To be dropped where it takes too long.
    ///
    /// # Errors
    /// [`OutOfOrder`].
    pub async fn enter(&self, what: AtDoor, is_theirs: impl Fn(&Cause<'_>) -> bool) -> Result<Verdict, OutOfOrder> {
        let mut heard = self.shown.subscribe();
        let is_typed = matches!(what, AtDoor::TypeIn(_));
        let Reply {
            shown,
            is_waiting,
            is_closed,
        } = self.give(what).await?;
        let unwritten = if is_typed && is_closed {
            Refusal::KeypadClosed
        } else {
            Refusal::TooMany
        };
        let mut verdict = Verdict {
            result: unwritten.as_str().to_owned(),
            events: Vec::new(),
        };
        // What is theirs of what was shown at once says whether it goes on.
        let mut has_begun = false;
        for event in shown {
            let step = step_of(&event, |cause| is_theirs(cause) || *cause == Cause::Auto);
            match step {
                Some(Step::Begun) => has_begun = true,
                Some(Step::Ended(result)) if !is_waiting => verdict.result = result,
                _ => {}
            }
            verdict.events.push(event);
        }
        if !has_begun && !is_waiting {
            return Ok(verdict);
        }
        let known = verdict.events.len();
        let mut skipped = 0;
        loop {
            let event = match heard.recv().await {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return Err(OutOfOrder),
            };
            // Whatever was shown at once is heard here, too, after what was said before it.
            if skipped < known {
                skipped += usize::from(verdict.events.get(skipped) == Some(&event));
                continue;
            }
            let step = step_of(&event, &is_theirs);
            match step {
                Some(Step::Begun) => has_begun = true,
                // Before theirs has begun, the end may be that of another command of theirs.
                Some(Step::Ended(_)) if !has_begun && !is_denied(&event) => continue,
                Some(Step::Ended(result)) => {
                    verdict.result = result;
                    verdict.events.push(event);
                    return Ok(verdict);
                }
                None => continue,
            }
            verdict.events.push(event);
        }
    }

    /// What becomes of what somebody has typed at the keypad; waits for the end of the movement.
    ///
    /// # Errors
    /// [`OutOfOrder`].
    pub async fn type_in(&self, typed: Typed) -> Result<Verdict, OutOfOrder> {
        let by_keypad = |cause: &Cause<'_>| matches!(cause, Cause::Pin(_) | Cause::Code(_));
        self.enter(AtDoor::TypeIn(typed), by_keypad).await
    }

    async fn give(&self, what: AtDoor) -> Result<Reply, OutOfOrder> {
        let (reply, answer) = oneshot::channel();
        self.orders
            .send(Order::AtDoor(what, reply))
            .await
            .map_err(|_| OutOfOrder)?;
        answer.await.map_err(|_| OutOfOrder)
    }
}

enum Step {
    Begun,
    Ended(String),
}

fn step_of(compact: &str, is_theirs: impl Fn(&Cause<'_>) -> bool) -> Option<Step> {
    let message = Message::parse(compact).ok()?;
    let event: Event<'_> = message.claims().ok()?;
    if !is_theirs(&event.cause) {
        return None;
    }
    let is = |kinds: &[Kind]| kinds.iter().any(|kind| kind.as_str() == event.kind);
    if is(&[Kind::Attempt]) {
        Some(Step::Begun)
    } else if is(&[Kind::Unlocked, Kind::Locked, Kind::Jammed, Kind::Denied]) {
        Some(Step::Ended(event.result.to_owned()))
    } else {
        None
    }
}

fn is_denied(compact: &str) -> bool {
    Message::parse(compact).is_ok_and(|message| {
        message
            .claims()
            .is_ok_and(|event: Event<'_>| event.kind == Kind::Denied.as_str())
    })
}
