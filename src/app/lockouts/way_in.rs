//! The way in of a lock-out that was approved: a link for any browser, shown once.

use std::sync::Arc;

use super::{Asker, visible};
use crate::app::guests::make_link;
use crate::app::{Actor, App, Error, What, must_have_phone_key};
use crate::domain::account::Scope;
use crate::domain::guest::NewLink;
use crate::domain::ids::{LockoutId, SessionId};
use crate::domain::lockout::{Identity, State};
use crate::domain::time::Timestamp;
use crate::store::grants;

/// A link that opens one door once.
pub struct WayIn {
    /// The link; its secret is in the fragment.
    pub url: String,
    /// Until when it opens, exclusive.
    pub ends_at: Timestamp,
}

impl std::fmt::Debug for WayIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WayIn")
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

impl App {
    /// The link to the door: for whoever is locked out, whoever follows it, and the desk where it vouched for who stands
    /// before it. A new one makes the one before void.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] of a desk that has not seen the person; [`Error::Conflict`] where there is
    /// no way in, or none any more.
    pub async fn lockout_way_in(&self, asker: &Asker, id: LockoutId) -> Result<WayIn, Error> {
        let (now, asker) = (self.now(), asker.clone());
        let session = SessionId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        let (made, ends_at) = self
            .db
            .write(move |conn| {
                let (lockout, _) = visible(conn, &asker, &id)?;
                let who = match asker {
                    Asker::Person(who) => {
                        must_have_phone_key(conn, &lockout.organization, &who)?;
                        who
                    }
                    // Whoever follows it is the person, as far as this goes: they have shown it without their phone.
                    Asker::Follower(_) => Actor {
                        person: lockout.person.clone(),
                        session,
                        memberships: Vec::new(),
                        key: None,
                        proven_at: Timestamp::MIN,
                        reach: None,
                        bound_to: None,
                    },
                };
                if who.person != lockout.person && !matches!(lockout.identity, Identity::Desk { .. }) {
                    return Err(Error::Forbidden);
                }
                let (grant, ends_at) = match &lockout.state {
                    State::Approved { grant, ends_at, .. } if lockout.state.is_current(now) => (grant, *ends_at),
                    _ => {
                        return Err(Error::Conflict {
                            word: "no-way-in",
                            why: "it is not approved, or its way in is used or over",
                        });
                    }
                };
                let scope = Scope::only(lockout.organization.clone());
                let grant = grants::find(conn, grant, &scope)?.ok_or(Error::NotFound(What::Grant))?;
                let made = make_link(conn, &*random, &grant, NewLink::default(), &who, now)?;
                Ok((made, ends_at))
            })
            .await?;
        Ok(WayIn {
            url: self.url_of(&made),
            ends_at,
        })
    }
}
