//! The end of a tenancy: everything that hangs on it ends in the same minute, whether somebody ends it or its time comes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::change::set_term;
use super::closing::Closing;
use super::home::{Home, hanging, hold_home};
use crate::app::grants::{By, Ended, end_with};
use crate::app::in_turn::each_in_turn;
use crate::app::pins::outlives;
use crate::app::revocations::Revocation;
use crate::app::{Actor, App, Error, What, managed_by};
use crate::crypto::random::Random;
use crate::domain::account::Scope;
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, OrganizationId, TenancyId};
use crate::domain::pass::DRIFT;
use crate::domain::tenancy::{End, Tenancy, Term};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::tenancies::{self, NamedTenancy};
use crate::store::{Conn, grants, passes};

/// How many tenancies that have run out are ended in one round.
const A_ROUND: i64 = 100;

/// A tenancy whose end was set, and what can be promised of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledTenancy {
    /// The tenancy.
    pub tenancy: NamedTenancy,
    /// By when no bolt moves by it any more, and where that has to be waited for; `None` while it has no end.
    pub last: Option<Revocation>,
    /// Grants that go on after it at the unit's own doors, whoever holds them, and its tenant's at the shared ones: for a
    /// landlord to look at. None while it has no end.
    pub grants_left: Vec<GrantId>,
}

impl App {
    /// Ends a tenancy now, or plans its end for later, but no later than it is planned. Once it has ended, no token and no
    /// pass is issued by it, and what its tenant held at the unit's own doors has ended with it. Asking again changes
    /// nothing and answers what can be promised by then.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`].
    pub async fn end_tenancy(
        &self,
        who: &Actor,
        id: TenancyId,
        at: Option<Timestamp>,
    ) -> Result<SettledTenancy, Error> {
        let (now, actor, tenancy) = (self.now(), who.clone(), id.clone());
        let random = Arc::clone(&self.random);
        let (settled, ended) = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &actor)?;
                let home = hold_home(conn, &tenancy, &scope, now)?.ok_or(Error::NotFound(What::Tenancy))?;
                let end = home.tenancy.end(at, now);
                let (ends_at, by) = match end.map_err(|bad| Error::invalid("ends_at", bad))? {
                    End::Planned(_) => return Ok((None, Ended::default())),
                    End::At(ends_at) => {
                        let term = Term {
                            ends_at: Some(ends_at),
                            ..home.tenancy.term
                        };
                        return Ok((None, set_term(conn, &*random, &home, term, &actor, now)?));
                    }
                    End::Now(ends_at) => (ends_at, Some(&actor)),
                    // Where its end is not carried out yet, that is done now.
                    End::Over => (home.tenancy.term.ends_at.unwrap_or(now), None),
                };
                let ended = close(conn, &*random, &home, ends_at, by, now)?;
                let settled = SettledTenancy {
                    tenancy: named(conn, &home, &scope)?,
                    last: None,
                    grants_left: home.grants_left(conn, &[], now)?,
                };
                Ok::<_, Error>((Some(settled), ended))
            })
            .await?;
        match settled {
            None => self.planned_tenancy(who, id, ended).await,
            Some(settled) => Ok(SettledTenancy {
                last: Some(self.make_end_effective(ended).await?),
                ..settled
            }),
        }
    }

    /// Carries out the end of tenancies whose time has come, each once however many nodes there are; says of how many.
    ///
    /// # Errors
    /// Those of the database; one that fails keeps no other from its end.
    pub async fn end_due_tenancies(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = self
            .db
            .read(move |conn| Ok::<_, Error>(tenancies::to_close(conn, now, A_ROUND)?))
            .await?;
        let (closed, outcome) = each_in_turn(due, |(id, organization)| {
            let random = Arc::clone(&self.random);
            self.db
                .write(move |conn| close_due(conn, &*random, &id, organization, now))
        })
        .await;
        let closed: Vec<Ended> = closed.into_iter().flatten().collect();
        let count = closed.len();
        if count > 0 {
            let all = closed.into_iter().fold(Ended::default(), Ended::and);
            self.make_end_effective(all).await?;
        }
        outcome.map(|()| count)
    }

    /// How long after a right's end its last token may still move a bolt.
    pub(super) fn token_life(&self) -> Duration {
        Duration::from_secs(self.settings.token_seconds)
    }
}

fn close_due(
    conn: &mut Conn,
    random: &dyn Random,
    id: &TenancyId,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Option<Ended>, Error> {
    let Some(home) = hold_home(conn, id, &Scope::only(organization), now)? else {
        return Ok(None);
    };
    // Meanwhile another node may have done it, or somebody prolonged it.
    match home.tenancy.term.ends_at.filter(|end| *end <= now) {
        Some(ends_at) if home.tenancy.closed_at.is_none() => close(conn, random, &home, ends_at, None, now).map(Some),
        _ => Ok(None),
    }
}

/// Ends one tenancy, with everything that hangs on it. What had ended before is left as it is.
fn close(
    conn: &mut Conn,
    random: &dyn Random,
    home: &Home,
    ends_at: Timestamp,
    who: Option<&Actor>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let by = who.map(|who| &who.person);
    let Some(closing) = Closing::begin(conn, home, ends_at, (by, random), now)? else {
        let ended = home.grants_ended(conn)?;
        return Ok(Ended::before(rights(&home.tenancy, &ended)));
    };
    let ended = end_with(conn, closing.rights(), By { who, random }, now)?;
    closing.write_down(conn, random, ended, by, now)
}

/// The tenancy and the grants that end with it.
pub(super) fn rights(tenancy: &Tenancy, grants: &[Grant]) -> Vec<RightSource> {
    let grants = grants.iter().map(|grant| RightSource::Grant(grant.id.clone()));
    grants.chain([RightSource::Tenancy(tenancy.id.clone())]).collect()
}

fn named(conn: &mut Conn, home: &Home, scope: &Scope) -> Result<NamedTenancy, Error> {
    tenancies::find_named(conn, &home.tenancy.id, scope)?.ok_or(Error::NotFound(What::Tenancy))
}

/// What can be promised of an end that lies ahead. Who holds a pass from before that end was set may open, at a lock that
/// is away when the time comes, until the pass ends: told earlier, the lock would keep the tenant out.
pub(super) fn planned(conn: &mut Conn, home: &Home, scope: &Scope, token: Duration) -> Result<SettledTenancy, Error> {
    let tenancy = named(conn, home, scope)?;
    let Some(ends_at) = home.tenancy.term.ends_at else {
        return Ok(SettledTenancy {
            tenancy,
            last: None,
            grants_left: Vec::new(),
        });
    };
    let mut ending = home.grants_to_end(conn, ends_at)?;
    ending.extend(hanging(conn, &rights(&home.tenancy, &ending))?);
    // A pass that is issued from now on ends before the tenancy, by a clock that may be behind.
    let mut last = ends_at + token.max(DRIFT);
    let mut waiting_for = BTreeSet::new();
    let names = grants::names(conn, &rights(&home.tenancy, &ending))?;
    for pass in passes::of_names(conn, &names, ends_at)? {
        if pass.ends_at > ends_at + DRIFT {
            last = last.max(pass.ends_at);
            waiting_for.insert(pass.lock);
        }
    }
    for grant in &ending {
        last = last.max(outlives(conn, &grant.id, ends_at)?.unwrap_or(last));
    }
    Ok(SettledTenancy {
        tenancy,
        last: Some(Revocation {
            effective_no_later_than: last,
            waiting_for: waiting_for.into_iter().collect(),
        }),
        grants_left: home.grants_left(conn, &ending, ends_at)?,
    })
}
