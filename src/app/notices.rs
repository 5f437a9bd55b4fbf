//! Telling people what concerns them. A notice is written in the transaction of what it tells of; how else it reaches its
//! person never delays that.

use std::collections::BTreeSet;

use super::{Actor, App, Error, What};
use crate::crypto::random::Random;
use crate::domain::ids::{NoticeId, PersonId};
use crate::domain::notice::{News, Notice};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::store::{Conn, notices};

/// Tells each of these persons, once, and nobody of what they caused themselves.
pub(super) fn tell(
    conn: &mut Conn,
    random: &dyn Random,
    persons: impl IntoIterator<Item = PersonId>,
    news: &News,
    now: Timestamp,
) -> Result<(), Error> {
    let persons: BTreeSet<PersonId> = persons.into_iter().collect();
    for person in persons.into_iter().filter(|person| news.actor.as_ref() != Some(person)) {
        let notice = Notice {
            id: NoticeId::from_bits(random.id_bits(now)),
            person,
            news: news.clone(),
            told_at: now,
            read_at: None,
        };
        notices::add(conn, &notice)?;
    }
    Ok(())
}

impl App {
    /// What the caller was told, the newest first.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn notices(&self, who: &Actor, page: PageRequest<NoticeId>) -> Result<Page<Notice, NoticeId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let limit = i64::from(page.limit) + 1;
                let found = notices::of_person(conn, &who.person, page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |notice| notice.id.clone()))
            })
            .await
    }

    /// The caller has read a notice; a second time changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not theirs.
    pub async fn read_notice(&self, who: &Actor, id: NoticeId) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                if notices::mark_read(conn, &id, &who.person, now)? {
                    Ok(())
                } else {
                    Err(Error::NotFound(What::Notice))
                }
            })
            .await
    }
}
