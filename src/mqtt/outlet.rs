//! The two ends that a connection hands out: [`Outlet`] for what goes out, [`Receipt`] for what came in.

use std::time::Duration;

use rumqttc::{Publish, QoS};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// A message could not be handed to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotTaken;

/// The way out of one connection; dead once that connection is gone.
#[derive(Clone)]
pub(super) struct Outlet {
    waiting: mpsc::Sender<Outbound>,
    packet_limit: usize,
}

/// A message that waits for its turn.
pub(super) struct Outbound {
    pub(super) publish: Publish,
    /// Not to be written later than this.
    pub(super) by: Instant,
    /// Told at the PUBACK; dropped where there will be none.
    pub(super) taken: oneshot::Sender<()>,
}

impl Outlet {
    /// A way out for packets of up to `packet_limit` bytes, `waiting` of them at a time, and its other end.
    pub(super) fn new(packet_limit: usize, waiting: usize) -> (Self, mpsc::Receiver<Outbound>) {
        let (waiting, outbound) = mpsc::channel(waiting);
        (Self { waiting, packet_limit }, outbound)
    }

    /// Publishes at QoS 1; `Ok` once the broker's PUBACK is here. It is written to the socket before `within` has
    /// passed, or never; where the PUBACK alone is missing by then, the message may have arrived.
    pub(super) async fn publish(&self, topic: String, payload: Vec<u8>, within: Duration) -> Result<(), NotTaken> {
        self.send(Publish::new(topic, QoS::AtLeastOnce, payload), within).await
    }

    /// As [`Self::publish`], for a message that is made already, of QoS 1.
    pub(super) async fn send(&self, publish: Publish, within: Duration) -> Result<(), NotTaken> {
        // Fixed header, topic length and packet id take at most nine bytes.
        if publish.topic.len() + publish.payload.len() + 9 > self.packet_limit {
            return Err(NotTaken);
        }
        let (taken, answer) = oneshot::channel();
        self.waiting
            .try_send(Outbound {
                publish,
                by: Instant::now() + within,
                taken,
            })
            .map_err(|_| NotTaken)?;
        timeout(within, answer)
            .await
            .map_err(|_| NotTaken)?
            .map_err(|_| NotTaken)
    }
}

/// The acknowledgement that is owed for one message. Dropped, it says nothing to the broker.
pub(super) struct Receipt {
    packet: u16,
    verdicts: mpsc::UnboundedSender<Verdict>,
}

/// What became of a message that came in.
pub(super) enum Verdict {
    /// The message with this packet id is to be acknowledged.
    Done(u16),
    /// One stays unacknowledged.
    NotStored,
}

impl Receipt {
    /// The receipt for the message with this packet id; 0 for one of QoS 0.
    pub(super) fn new(packet: u16, verdicts: mpsc::UnboundedSender<Verdict>) -> Self {
        Self { packet, verdicts }
    }

    /// The broker need not keep the message.
    pub(super) fn acknowledge(self) {
        // A connection that is gone needs no acknowledgement; nor does QoS 0.
        if self.packet != 0 {
            let _ = self.verdicts.send(Verdict::Done(self.packet));
        }
    }

    /// The message could not be stored: it stays unacknowledged, and the connection is given up soon.
    pub(super) fn refuse(self) {
        let _ = self.verdicts.send(Verdict::NotStored);
    }
}
