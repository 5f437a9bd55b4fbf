//! Letters: written in the transaction of what they tell of, delivered by timed work, wanted or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::metrics::LetterLabels;
use super::{Actor, App, Error};
use crate::crypto::letter_key::LetterKey;
use crate::crypto::random::Random;
use crate::domain::account::{Email, Scope};
use crate::domain::ids::{LetterId, PersonId};
use crate::domain::letter::{Carrier, ITEMS_A_LETTER, Item, Letter, NotCarried, State, next_try};
use crate::domain::notice::{Kind, Notice};
use crate::domain::time::Timestamp;
use crate::store::letters::{NewLetter, Taken};
use crate::store::{Conn, accounts, letters, locks, notices, places};

/// How old a notice may be that still becomes a letter: where letters were off for longer, the app has told it.
const NEWS_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How many notices are weighed in one transaction.
const NOTICES_A_ROUND: i64 = 200;

/// How many letters are on their way at once.
const LETTERS_A_ROUND: i64 = 8;

/// How many waiting letters are read at once to find those to one person.
const OPENED_AT_ONCE: i64 = 500;

/// After how long a letter counts as lost with the node that set out with it: longer than any carrier works on one.
const LOST_AFTER: Duration = Duration::from_secs(180);

/// What letters are sealed and carried by.
pub struct Letters {
    key: LetterKey,
    carrier: Option<Arc<dyn Carrier>>,
}

impl Letters {
    /// Letters sealed under `key`, and carried where there is a carrier.
    #[must_use]
    pub fn new(key: LetterKey, carrier: Option<Arc<dyn Carrier>>) -> Self {
        Self { key, carrier }
    }

    /// Whether letters are sent at all.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.carrier.is_some()
    }

    /// The letter and whom it is for; `None` where it was sealed under another key.
    fn opened(&self, id: &LetterId, sealed: &str) -> Option<Enveloped> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let text = self.key.open_sealed(id, &sealed).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// What is sealed: a letter in its envelope.
#[derive(Serialize, Deserialize)]
struct Enveloped {
    to: Email,
    letter: Letter,
}

/// Queues a letter to `to`, to be sent once this transaction is committed. Says whether it will be: not where letters are
/// off or the address leads nowhere, and then another way has to be offered.
pub(super) fn queue(
    conn: &mut Conn,
    by: &Letters,
    random: &dyn Random,
    to: &Email,
    letter: &Letter,
    now: Timestamp,
) -> Result<bool, Error> {
    if !by.are_on() || !to.leads_somewhere() {
        return Ok(false);
    }
    let id = LetterId::from_bits(random.id_bits(now));
    let enveloped = Enveloped {
        to: to.clone(),
        letter: letter.clone(),
    };
    let text = serde_json::to_vec(&enveloped).map_err(|error| Error::Internal("writing a letter", error.into()))?;
    let text = zeroize::Zeroizing::new(text);
    let sealed = URL_SAFE_NO_PAD.encode(by.key.seal(&id, &text, random)?);
    let new = NewLetter {
        id: &id,
        kind: letter.kind(),
        sealed: &sealed,
        queued_at: now,
        expires_at: now + letter.life(),
    };
    letters::add(conn, &new)?;
    Ok(true)
}

/// Takes every letter to `to` out of the queue that nobody has carried yet. One that is on its way at this moment arrives.
pub(super) fn withdraw_all_to(conn: &mut Conn, by: &Letters, to: &Email) -> Result<(), Error> {
    let mut after: Option<LetterId> = None;
    loop {
        let page = letters::waiting(conn, after.as_ref(), OPENED_AT_ONCE)?;
        for (id, sealed) in &page {
            if by.opened(id, sealed).is_some_and(|enveloped| enveloped.to == *to) {
                letters::withdraw(conn, id)?;
            }
        }
        match page.last() {
            Some((last, _)) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

/// Which letters a person gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeSettings {
    /// Whether this installation sends letters, and the person's address leads somewhere.
    pub letters_arrive: bool,
    /// The kinds of notices of which they want none.
    pub no_letter_for: Vec<Kind>,
}

impl App {
    /// Which letters the caller gets.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn notice_settings(&self, who: &Actor) -> Result<NoticeSettings, Error> {
        let (person, are_on) = (who.person.clone(), self.letters.are_on());
        self.db.read(move |conn| settings_of(conn, &person, are_on)).await
    }

    /// From now on the caller gets letters of all kinds but these. That some were switched off is told by letter: whoever
    /// did so may be another than the owner of the mailbox.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn set_notice_settings(
        &self,
        who: &Actor,
        no_letter_for: BTreeSet<Kind>,
    ) -> Result<NoticeSettings, Error> {
        let (now, person) = (self.now(), who.person.clone());
        let (by, random) = (Arc::clone(&self.letters), Arc::clone(&self.random));
        self.db
            .write(move |conn| {
                let before: BTreeSet<Kind> = letters::unwanted(conn, &person)?.into_iter().collect();
                let kinds: Vec<Kind> = no_letter_for.iter().copied().collect();
                letters::set_unwanted(conn, &person, &kinds)?;
                let kinds: Vec<Kind> = no_letter_for.difference(&before).copied().collect();
                if !kinds.is_empty()
                    && let Some(found) = accounts::find_person(conn, &person)?
                {
                    queue(conn, &by, &*random, &found.email, &Letter::SwitchedOff { kinds }, now)?;
                }
                settings_of(conn, &person, by.are_on())
            })
            .await
    }

    /// Writes letters of what people were told lately, one a person; says how many notices were weighed.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn write_letters(&self) -> Result<usize, Error> {
        if !self.letters.are_on() {
            return Ok(0);
        }
        let now = self.now();
        let since = now - NEWS_LIFE;
        let waiting = self
            .db
            .read(move |conn| Ok::<_, Error>(notices::to_weigh(conn, since, 1)?))
            .await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let (by, random) = (Arc::clone(&self.letters), Arc::clone(&self.random));
        self.db
            .write(move |conn| {
                let mut of_person: BTreeMap<PersonId, Vec<Notice>> = BTreeMap::new();
                let mut weighed = 0;
                for notice in notices::to_weigh(conn, since, NOTICES_A_ROUND)? {
                    // Another node may weigh it at this moment: the first to say so has it.
                    if notices::mark_weighed(conn, &notice.id, now)? {
                        weighed += 1;
                        of_person.entry(notice.person.clone()).or_default().push(notice);
                    }
                }
                for (person, told) in of_person {
                    write_to(conn, &by, &*random, &person, told, now)?;
                }
                Ok(weighed)
            })
            .await
    }

    /// Delivers letters whose time has come; says how many were in hand. The mail server is never spoken to within a
    /// transaction.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn deliver_letters(&self) -> Result<usize, Error> {
        let Some(carrier) = &self.letters.carrier else {
            return Ok(0);
        };
        let now = self.now();
        let is_due = self
            .db
            .read(move |conn| Ok::<_, Error>(letters::is_any_due(conn, now)?));
        if !is_due.await? {
            return Ok(0);
        }
        let (late, taken) = self
            .db
            .write(move |conn| {
                let late = letters::give_up(conn, now)?;
                let taken = letters::take(conn, now, now + LOST_AFTER, LETTERS_A_ROUND)?;
                Ok::<_, Error>((late, taken))
            })
            .await?;
        if late > 0 {
            tracing::warn!(
                letters = late,
                "{late} letters were given up: no mail server took them in time"
            );
            self.count_letters(State::GivenUp, late);
        }
        let in_hand = taken.len();
        let delivered = join_all(taken.into_iter().map(|letter| self.deliver(carrier.as_ref(), letter)));
        delivered.await.into_iter().collect::<Result<(), Error>>()?;
        Ok(late + in_hand)
    }

    /// Tries once, and writes down what became of it.
    async fn deliver(&self, carrier: &dyn Carrier, taken: Taken) -> Result<(), Error> {
        let Taken { id, sealed, tries } = taken;
        let opened = match self.letters.opened(&id, &sealed) {
            Some(Enveloped { to, letter }) => carrier.carry(&id, &to, &letter, self.now()).await,
            // Nothing mends it: the key is another than the one it was sealed under.
            None => {
                tracing::error!(letter.id = %id, "letter {id} does not open: was the folder of the keys exchanged?");
                Err(NotCarried::Refused { code: 0 })
            }
        };
        let now = self.now();
        let state = match opened {
            Ok(()) => State::Sent,
            Err(NotCarried::Refused { code }) => {
                tracing::warn!(letter.id = %id, code, "letter {id} was refused for good ({code})");
                State::Refused
            }
            Err(NotCarried::Away { why }) => {
                tracing::warn!(letter.id = %id, tries, why, "letter {id} was not taken at try {tries}: {why}");
                State::Waiting
            }
        };
        let marked = self
            .db
            .write(move |conn| match state {
                State::Waiting => Ok::<_, Error>(letters::put_off(conn, &id, tries, next_try(tries, now))?),
                ended => Ok(letters::end(conn, &id, tries, ended, now)?),
            })
            .await?;
        if marked {
            self.count_letters(state, 1);
        }
        Ok(())
    }

    /// Counts tries by how they came out: `waiting` for those that come again.
    fn count_letters(&self, state: State, letters: usize) {
        let labels = LetterLabels { result: state.as_str() };
        self.metrics.letters.get_or_create(&labels).inc_by(letters as u64);
    }
}

fn settings_of(conn: &mut Conn, person: &PersonId, are_on: bool) -> Result<NoticeSettings, Error> {
    let found = accounts::find_person(conn, person)?;
    Ok(NoticeSettings {
        letters_arrive: are_on && found.is_some_and(|found| found.email.leads_somewhere()),
        no_letter_for: letters::unwanted(conn, person)?,
    })
}

/// A letter to this person of what they were told and have not read yet, as far as they want one.
fn write_to(
    conn: &mut Conn,
    by: &Letters,
    random: &dyn Random,
    person: &PersonId,
    told: Vec<Notice>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(found) = accounts::find_person(conn, person)? else {
        return Ok(());
    };
    if !found.email.leads_somewhere() {
        return Ok(());
    }
    let unwanted = letters::unwanted(conn, person)?;
    let wanted = |notice: &Notice| notice.read_at.is_none() && !unwanted.contains(&notice.news.kind);
    let told: Vec<Notice> = told.into_iter().filter(wanted).collect();
    let more = told.len().saturating_sub(ITEMS_A_LETTER);
    let mut items = Vec::new();
    for notice in told.iter().take(ITEMS_A_LETTER) {
        items.extend(item(conn, notice)?);
    }
    if !items.is_empty() {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        queue(conn, by, random, &found.email, &Letter::News { items, more }, now)?;
    }
    Ok(())
}

/// The notice in words of the house: names instead of ids.
fn item(conn: &mut Conn, notice: &Notice) -> Result<Option<Item>, Error> {
    let news = &notice.news;
    let Some(organization) = accounts::organization_name(conn, &news.organization)? else {
        return Ok(None);
    };
    let scope = Scope::only(news.organization.clone());
    let lock = match &news.lock {
        Some(lock) => locks::find(conn, lock, &scope)?,
        None => None,
    };
    let unit = match &news.unit {
        Some(unit) => places::find_unit(conn, unit, &scope)?,
        None => None,
    };
    let at = lock.as_ref().map(|lock| &lock.property);
    let property = match at.or(unit.as_ref().map(|unit| &unit.property)) {
        Some(property) => places::find_property(conn, property, &scope)?,
        None => None,
    };
    Ok(Some(Item {
        kind: news.kind,
        organization,
        lock: lock.map(|lock| lock.name),
        unit: unit.map(|unit| unit.name),
        at: notice.told_at,
        zone: property.map(|property| property.time_zone),
    }))
}
