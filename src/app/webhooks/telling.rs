//! Telling webhooks: each is told of one entry after another, by one node at a time, and nothing waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::write_down_stop;
use crate::app::access_log::{Filter, named};
use crate::app::metrics::DeliveryLabels;
use crate::app::{App, Error};
use crate::domain::access_log::Kind;
use crate::domain::access_log::visibility::Reader;
use crate::domain::ids::DeliveryId;
use crate::domain::webhook::{Answer, Delivery, Failing, Message, Outcome, State, Teller, Webhook, WebhookUrl};
use crate::store::access_log::{Order, Seen};
use crate::store::{Conn, access_log, shown, webhooks};

/// How many webhooks are looked at in one round.
const WEBHOOKS_A_ROUND: i64 = 64;

/// How many entries are read at once.
const READ_AT_ONCE: i64 = 50;

/// For how long a node goes on with one webhook before others have their turn.
const A_TURN: Duration = Duration::from_secs(20);

/// After how long a webhook counts as lost with the node that set out to tell it: longer than any teller works on one entry.
const LOST_AFTER: Duration = Duration::from_secs(60);

impl App {
    /// Sets out to tell the webhooks whose log says more than they were told; says how many those are. Does not wait for
    /// them: a slow one keeps nobody waiting but itself.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn tell_webhooks(self: Arc<Self>) -> Result<usize, Error> {
        let Some(teller) = &self.webhooks.teller else {
            return Ok(0);
        };
        let now = self.now();
        let due = self.db.read(move |conn| webhooks::due(conn, now, WEBHOOKS_A_ROUND));
        let mut begun = 0;
        for webhook in due.await? {
            let Ok(permit) = Arc::clone(&self.webhooks.told_at_once).try_acquire_owned() else {
                break;
            };
            let take = move |conn: &mut Conn| webhooks::take_turn(conn, webhook, now + LOST_AFTER);
            let Some(mine) = self.db.write(take).await? else {
                continue;
            };
            begun += 1;
            let (app, teller) = (Arc::clone(&self), Arc::clone(teller));
            tokio::spawn(async move {
                let id = mine.id.clone();
                if let Err(error) = app.take_turn(teller.as_ref(), mine).await {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(error = cause, webhook.id = %id, "telling webhook {id} broke off; it is tried again");
                }
                drop(permit);
            });
        }
        Ok(begun)
    }

    /// Tells the webhook of one entry after another until it knows all, fails, or others have their turn.
    async fn take_turn(&self, teller: &dyn Teller, mut webhook: Webhook) -> Result<(), Error> {
        let url = self.webhooks.shown(webhook.clone())?.url;
        let began = Instant::now();
        while began.elapsed() < A_TURN {
            let (end, entries) = self.next_entries(&webhook).await?;
            if entries.is_empty() {
                // What is left is not for it.
                self.note_told(&mut webhook, end, None).await?;
                break;
            }
            for seen in entries {
                let (seq, message) = self.message(&webhook, &url, seen).await?;
                let (tried_at, trying) = (self.now(), Instant::now());
                let answer = teller.tell(message).await;
                let delivery = Delivery {
                    id: DeliveryId::from_bits(self.id_bits(tried_at)),
                    webhook: webhook.id.clone(),
                    seq,
                    tried_at,
                    took_ms: i64::try_from(trying.elapsed().as_millis()).unwrap_or(i64::MAX),
                    outcome: answer.outcome(),
                    status: answer.status(),
                };
                self.count_delivery(answer.outcome());
                if answer.outcome() != Outcome::Delivered {
                    return self.note_failure(webhook, delivery, answer).await;
                }
                // Somebody has changed it meanwhile, or believed this node lost: what it was told now may come again.
                if !self.note_told(&mut webhook, seq, Some(delivery)).await? {
                    return Ok(());
                }
                if began.elapsed() >= A_TURN {
                    break;
                }
            }
        }
        self.give_turn_back(webhook).await
    }

    /// The number of the log's last entry, and the next entries of which the webhook is to be told.
    async fn next_entries(&self, webhook: &Webhook) -> Result<(i64, Vec<Seen>), Error> {
        let webhook = webhook.clone();
        self.db
            .read(move |conn| {
                // Read first: what comes later is found by the next who asks.
                let end = shown::log_end(conn, &webhook.organization)?;
                let mut kinds = webhook.kinds.clone();
                if !kinds.is_empty() {
                    kinds.push(Kind::WebhookMade);
                }
                let filter = Filter {
                    kinds,
                    ..Filter::default()
                };
                let (reader, order, after) = (Reader::of_staff(), Order::OldestFirst, Some(webhook.told));
                let of = &webhook.organization;
                let entries = access_log::entries(conn, of, &filter, &reader, order, after, READ_AT_ONCE)?;
                Ok((end, entries))
            })
            .await
    }

    /// What the webhook is told of the entry, signed; and the entry's number.
    async fn message(&self, webhook: &Webhook, url: &WebhookUrl, seen: Seen) -> Result<(i64, Message), Error> {
        let seq = seen.entry.seq;
        let named = self.db.read(move |conn| named(conn, vec![seen])).await?;
        let unwritten = |error: serde_json::Error| Error::Internal("writing what a webhook is told", error.into());
        let bodies = named.into_iter().map(self.webhooks.told_as);
        let body: String = bodies.collect::<Result<_, _>>().map_err(unwritten)?;
        // After a restore a number may come again for another entry.
        let id = format!("{}_{}_{seq}", webhook.id, self.settings.issuer.generation);
        let now = self.now();
        let timestamp = now.as_millis().div_euclid(1000);
        let key = &self.webhooks.key;
        let signature = key.signature(&webhook.id, webhook.secrets.signing(now), &id, timestamp, &body)?;
        let message = Message {
            url: url.clone(),
            id,
            timestamp,
            signature,
            body: body.into(),
        };
        Ok((seq, message))
    }

    /// The webhook knows everything up to `told`; says whether its turn is still this node's.
    async fn note_told(&self, webhook: &mut Webhook, told: i64, delivery: Option<Delivery>) -> Result<bool, Error> {
        let (of, ends_at) = (webhook.clone(), self.now() + LOST_AFTER);
        webhook.told = told;
        webhook.failing = Failing::not(self.now());
        self.db
            .write(move |conn| {
                let is_mine = webhooks::advance(conn, &of, told, ends_at)?;
                // What became of it is known even where the turn is another's; not of one that is gone.
                if let Some(delivery) = delivery.filter(|_| is_mine) {
                    webhooks::add_delivery(conn, &delivery)?;
                }
                Ok(is_mine)
            })
            .await
    }

    /// The webhook could not be told: it is tried again later, or no more.
    async fn note_failure(&self, webhook: Webhook, delivery: Delivery, answer: Answer) -> Result<(), Error> {
        let (now, random) = (self.now(), Arc::clone(&self.random));
        self.db
            .write(move |conn| {
                let mut after = webhook.clone();
                let next = webhook.failing.once_more(answer.asked_wait(), now);
                let stopped = match (answer.outcome(), next) {
                    (Outcome::Gone, _) => Some(State::Gone),
                    (_, None) => Some(State::Failing),
                    (_, Some(failing)) => {
                        after.failing = failing;
                        None
                    }
                };
                if let Some(state) = stopped {
                    after.state = state;
                }
                if !webhooks::replace(conn, &webhook, &after)? {
                    return Ok(());
                }
                webhooks::add_delivery(conn, &delivery)?;
                match stopped {
                    Some(_) => write_down_stop(conn, &*random, &after, now),
                    None => Ok(()),
                }
            })
            .await
    }

    /// Others may tell it from now on.
    async fn give_turn_back(&self, webhook: Webhook) -> Result<(), Error> {
        self.db
            .write(move |conn| webhooks::replace(conn, &webhook, &webhook).map(|_| ()))
            .await?;
        Ok(())
    }

    fn count_delivery(&self, outcome: Outcome) {
        let labels = DeliveryLabels {
            result: outcome.as_str(),
        };
        self.metrics.webhook_deliveries.get_or_create(&labels).inc();
    }
}
