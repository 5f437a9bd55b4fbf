//! Webhooks: making, changing and removing them, and telling them again.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::access_log::NamedEntry;
use super::{Actor, App, Error, What, managed_by, notices};
use crate::crypto::random::Random;
use crate::crypto::webhook_key::WebhookKey;
use crate::domain::access_log::{EntryNumber, Kind, NewEntry, Outcome};
use crate::domain::account::Role;
use crate::domain::ids::{DeliveryId, OrganizationId, PersonId, WebhookId};
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Delivery, Failing, MOST_WEBHOOKS, Secrets, State, Teller, Webhook, WebhookUrl};
use crate::store::{Conn, access_log, accounts, webhooks};

mod telling;

/// How many webhooks are told at once by one node.
const TOLD_AT_ONCE: usize = 32;

/// What webhooks are told by, and how.
pub struct Webhooks {
    key: WebhookKey,
    teller: Option<Arc<dyn Teller>>,
    /// What is told of an entry, as JSON: written where all answers are.
    told_as: TellAs,
    /// One permit for each webhook that is being told.
    told_at_once: Arc<Semaphore>,
}

/// Writes what is told of an entry.
pub type TellAs = fn(NamedEntry) -> Result<String, serde_json::Error>;

impl Webhooks {
    /// Webhooks that are signed under `key`, told where there is a `teller`, of entries as `told_as` writes them.
    #[must_use]
    pub fn new(key: WebhookKey, teller: Option<Arc<dyn Teller>>, told_as: TellAs) -> Self {
        Self {
            key,
            teller,
            told_as,
            told_at_once: Arc::new(Semaphore::new(TOLD_AT_ONCE)),
        }
    }

    /// Refuses an address at which nobody may be told.
    fn check(&self, url: &WebhookUrl) -> Result<(), Error> {
        match &self.teller {
            Some(teller) if !teller.may_tell(url) => Err(Error::invalid(
                "url",
                "expected https and no address of a private network; whoever runs this installation may allow one",
            )),
            _ => Ok(()),
        }
    }

    fn shown(&self, webhook: Webhook) -> Result<Shown, Error> {
        let url = self.key.open_url(&webhook.id, &webhook.sealed_url)?;
        let url = WebhookUrl::try_from(url).map_err(|error| Error::Internal("reading an address", error.into()))?;
        Ok(Shown { webhook, url })
    }
}

/// A webhook with its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The webhook.
    pub webhook: Webhook,
    /// Where it is told.
    pub url: WebhookUrl,
}

/// A webhook with the secret that signs for it from now on, which is shown this once.
pub struct WithSecret {
    /// The webhook.
    pub shown: Shown,
    /// `whsec_…`.
    pub secret: zeroize::Zeroizing<String>,
}

/// What is to change of a webhook; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where it is told.
    pub url: Option<WebhookUrl>,
    /// Of which kinds of entries; of all where it is empty.
    pub kinds: Option<Vec<Kind>>,
    /// Whether it is told at all. Where it is told again, it goes on where it was stopped.
    pub is_active: Option<bool>,
}

impl App {
    /// Makes a webhook. It is told of the log from the entry on that says so.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`]; [`Error::Forbidden`]; [`Error::NotFound`] of the organization; [`Error::Invalid`] of the address;
    /// [`Error::Conflict`] where there are [`MOST_WEBHOOKS`].
    pub async fn make_webhook(
        &self,
        who: &Actor,
        organization: OrganizationId,
        url: WebhookUrl,
        kinds: Vec<Kind>,
    ) -> Result<WithSecret, Error> {
        self.webhooks.check(&url)?;
        let (now, who) = (self.now(), who.clone());
        who.must_have_proven(now)?;
        let id = WebhookId::from_bits(self.id_bits(now));
        let secrets = Secrets::first(now);
        let secret = self.webhooks.key.secret(&id, secrets.number)?;
        let sealed_url = self.webhooks.key.seal_url(&id, url.as_str(), &*self.random)?;
        let host = url.host().to_owned();
        let webhook = self
            .db
            .write(move |conn| {
                // Held, so that whoever puts them out at this moment finds the webhook, or they are out.
                accounts::hold_membership(conn, &organization, &who.person)?;
                if !managed_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                let mut webhook = Webhook {
                    id,
                    organization,
                    sealed_url,
                    kinds,
                    created_by: who.person.clone(),
                    created_at: now,
                    state: State::Active,
                    secrets,
                    told: 0,
                    failing: Failing::not(now),
                    turn: 0,
                };
                let made = write_down(
                    conn,
                    &who,
                    &webhook,
                    Kind::WebhookMade,
                    serde_json::json!({ "host": host }),
                    now,
                )?;
                // The log's head is held from here on: of two who make the last one at once, the second counts the first's.
                let most = i64::try_from(MOST_WEBHOOKS).unwrap_or(i64::MAX);
                if webhooks::count(conn, &webhook.organization)? >= most {
                    return Err(Error::Conflict {
                        word: "too-many-webhooks",
                        why: "this organization has as many webhooks as it may have",
                    });
                }
                webhook.told = made - 1;
                webhooks::add(conn, &webhook)?;
                Ok(webhook)
            })
            .await?;
        Ok(WithSecret {
            shown: Shown { webhook, url },
            secret,
        })
    }

    /// The webhooks of the organizations that the caller manages.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn webhooks(&self, who: &Actor, page: PageRequest<WebhookId>) -> Result<Page<Shown, WebhookId>, Error> {
        let who = who.clone();
        let page = self
            .db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                let found = webhooks::list(conn, &scope, page.after.as_ref(), i64::from(page.limit) + 1)?;
                Ok::<_, Error>(Page::cut(found, page.limit, |webhook| webhook.id.clone()))
            })
            .await?;
        let items = page.items.into_iter().map(|webhook| self.webhooks.shown(webhook));
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: page.next,
        })
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn webhook(&self, who: &Actor, id: WebhookId) -> Result<Shown, Error> {
        let who = who.clone();
        let webhook = self
            .db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                webhooks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Webhook))
            })
            .await?;
        self.webhooks.shown(webhook)
    }

    /// Changes a webhook. One that is told anew is tried at once, from where it was stopped.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::ProofNeeded`] of another address and to let one go on that was stopped;
    /// [`Error::Invalid`] of another address.
    pub async fn change_webhook(&self, who: &Actor, id: WebhookId, change: WebhookChange) -> Result<Shown, Error> {
        let now = self.now();
        // It may be that of somebody who was put out, and goes on in the name of whoever lets it.
        let vouches = change.url.is_some() || change.is_active == Some(true);
        if vouches {
            who.must_have_proven(now)?;
        }
        if let Some(url) = &change.url {
            self.webhooks.check(url)?;
        }
        let sealed_url = change
            .url
            .as_ref()
            .map(|url| self.webhooks.key.seal_url(&id, url.as_str(), &*self.random));
        let sealed_url = sealed_url.transpose()?;
        let host = change.url.as_ref().map(|url| url.host().to_owned());
        let detail = serde_json::json!({ "host": host, "events": change.kinds, "active": change.is_active });
        let by = who.person.clone();
        let changed = self.alter(who, id, Kind::WebhookChanged, detail, move |webhook| {
            if let Some(sealed_url) = sealed_url {
                webhook.sealed_url = sealed_url;
            }
            if vouches {
                webhook.created_by = by;
            }
            webhook.kinds = change.kinds.unwrap_or_else(|| webhook.kinds.clone());
            if let Some(is_active) = change.is_active {
                webhook.state = if is_active { State::Active } else { State::Paused };
            }
            webhook.failing = Failing::not(now);
            Ok(())
        });
        self.webhooks.shown(changed.await?)
    }

    /// Gives the webhook a new secret. The one before it signs too for a day.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn renew_webhook_secret(&self, who: &Actor, id: WebhookId) -> Result<WithSecret, Error> {
        let now = self.now();
        who.must_have_proven(now)?;
        let detail = serde_json::json!({ "secret": "new" });
        let changed = self.alter(who, id, Kind::WebhookChanged, detail, move |webhook| {
            webhook.secrets = webhook.secrets.next(now);
            Ok(())
        });
        let shown = self.webhooks.shown(changed.await?)?;
        let secret = self
            .webhooks
            .key
            .secret(&shown.webhook.id, shown.webhook.secrets.number)?;
        Ok(WithSecret { shown, secret })
    }

    /// Tells the webhook again of all entries from the number `from` on, in order, and then goes on.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] where it has not been told that far.
    pub async fn replay_webhook(&self, who: &Actor, id: WebhookId, from: EntryNumber) -> Result<Shown, Error> {
        let now = self.now();
        let EntryNumber(from) = from;
        let detail = serde_json::json!({ "from": from });
        let changed = self.alter(who, id, Kind::WebhookChanged, detail, move |webhook| {
            if from > webhook.told + 1 {
                return Err(Error::invalid("from", "the webhook has not been told that far"));
            }
            webhook.told = from - 1;
            webhook.failing = Failing::not(now);
            Ok(())
        });
        self.webhooks.shown(changed.await?)
    }

    /// Removes a webhook: it is told nothing more, but for what is on its way at this moment.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn remove_webhook(&self, who: &Actor, id: WebhookId) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let webhook = webhooks::hold(conn, &id, &scope)?.ok_or(Error::NotFound(What::Webhook))?;
                webhooks::remove(conn, &id)?;
                write_down(conn, &who, &webhook, Kind::WebhookRemoved, serde_json::json!({}), now)?;
                Ok(())
            })
            .await
    }

    /// What became of telling the webhook, the newest tries first.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn webhook_deliveries(
        &self,
        who: &Actor,
        id: WebhookId,
        page: PageRequest<DeliveryId>,
    ) -> Result<Page<Delivery, DeliveryId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                webhooks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Webhook))?;
                let found = webhooks::deliveries(conn, &id, page.after.as_ref(), i64::from(page.limit) + 1)?;
                Ok(Page::cut(found, page.limit, |delivery| delivery.id.clone()))
            })
            .await
    }

    /// Changes a webhook of an organization that the caller manages as `alter` does, and writes it down.
    async fn alter(
        &self,
        who: &Actor,
        id: WebhookId,
        kind: Kind,
        detail: serde_json::Value,
        alter: impl FnOnce(&mut Webhook) -> Result<(), Error> + Send + 'static,
    ) -> Result<Webhook, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let missing = || Error::NotFound(What::Webhook);
                let scope = managed_by(conn, &who)?;
                let present = webhooks::find(conn, &id, &scope)?.ok_or_else(missing)?;
                // The membership before the webhook, as whoever puts them out takes them.
                accounts::hold_membership(conn, &present.organization, &who.person)?;
                let scope = managed_by(conn, &who)?;
                let before = webhooks::hold(conn, &id, &scope)?.ok_or_else(missing)?;
                let mut after = before.clone();
                alter(&mut after)?;
                webhooks::replace(conn, &before, &after)?;
                write_down(conn, &who, &after, kind, detail, now)?;
                Ok(after)
            })
            .await
    }
}

/// Writes down what was done to the webhook; gives the number of the entry.
fn write_down(
    conn: &mut Conn,
    who: &Actor,
    webhook: &Webhook,
    kind: Kind,
    mut detail: serde_json::Value,
    now: Timestamp,
) -> Result<i64, Error> {
    if let Some(detail) = detail.as_object_mut() {
        detail.retain(|_, value| !value.is_null());
        detail.insert("webhook_id".to_owned(), serde_json::json!(webhook.id));
    }
    let entry = who.signed(NewEntry {
        person: Some(who.person.clone()),
        detail: Some(detail),
        ..NewEntry::new(kind, now)
    });
    Ok(access_log::append(conn, &webhook.organization, &entry, now)?)
}

/// Stops, before the end of the organization's log is taken, what somebody has told of it who manages it no more. What comes back
/// is to be written down by [`write_down_stops`].
pub(super) fn stop_those_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
) -> Result<Vec<Webhook>, Error> {
    Ok(webhooks::pause_all_of(conn, organization, person)?)
}

/// Writes down that these are told no more, and tells those who can let them go on.
pub(super) fn write_down_stops(
    conn: &mut Conn,
    random: &dyn Random,
    stopped: &[Webhook],
    now: Timestamp,
) -> Result<(), Error> {
    stopped
        .iter()
        .try_for_each(|webhook| write_down_stop(conn, random, webhook, now))
}

/// Writes down that the webhook is told no more, and tells those who can mend it.
fn write_down_stop(conn: &mut Conn, random: &dyn Random, webhook: &Webhook, now: Timestamp) -> Result<(), Error> {
    let detail = Some(serde_json::json!({ "webhook_id": webhook.id }));
    let entry = NewEntry {
        outcome: Outcome::Failed,
        reason: Some(webhook.state.as_str().to_owned()),
        detail: detail.clone(),
        ..NewEntry::new(Kind::WebhookStopped, now)
    };
    access_log::append(conn, &webhook.organization, &entry, now)?;
    let news = News {
        detail,
        ..News::new(notice::Kind::WebhookStopped, webhook.organization.clone())
    };
    let managing = accounts::with_role(conn, &webhook.organization, Role::manages)?;
    notices::tell(conn, random, managing, &news, now)
}
