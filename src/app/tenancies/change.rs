//! Changing when a tenancy begins and ends: the whole term at once, and what was given under it follows.

use std::sync::Arc;

use super::end::{SettledTenancy, planned};
use super::home::{Home, hold_home, home};
use super::{detail, entry, joint_tenants, news, refuse_doubled, tell, tell_of_house_access, write_down};
use crate::app::grants::{By, Ended, follow};
use crate::app::{Actor, App, Error, What, managed_by, must_have_phone_key};
use crate::app::{house_access, visits};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::TenancyId;
use crate::domain::notice;
use crate::domain::tenancy::{BadChange, Tenancy, Term};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, tenancies};

impl App {
    /// Gives a tenancy another term, all of it. What has begun keeps its start. What its tenant gave under it is narrowed to
    /// the new term, at the locks too. The answer says what can be promised of an end that is planned.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] for a term that makes no sense; [`Error::Conflict`]
    /// where the tenancy has ended or begun, or its person has another one in the unit at that time.
    pub async fn change_tenancy(&self, who: &Actor, id: TenancyId, to: Term) -> Result<SettledTenancy, Error> {
        let (now, actor, tenancy) = (self.now(), who.clone(), id.clone());
        let random = Arc::clone(&self.random);
        let ended = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &actor)?;
                let home = hold_home(conn, &tenancy, &scope, now)?.ok_or(Error::NotFound(What::Tenancy))?;
                must_have_phone_key(conn, &home.tenancy.organization, &actor)?;
                let term = home.tenancy.change(to, now).map_err(refusal)?;
                set_term(conn, &*random, &home, term, &actor, now)
            })
            .await?;
        self.planned_tenancy(who, id, ended).await
    }

    /// Tells the locks what is left of what was given under the tenancy, and says what can be promised of its end.
    pub(super) async fn planned_tenancy(
        &self,
        who: &Actor,
        id: TenancyId,
        ended: Ended,
    ) -> Result<SettledTenancy, Error> {
        if !ended.is_nothing() {
            self.make_end_effective(ended).await?;
        }
        let (who, token) = (who.clone(), self.token_life());
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                let home = home(conn, &id, &scope)?.ok_or(Error::NotFound(What::Tenancy))?;
                planned(conn, &home, &scope, token)
            })
            .await
    }
}

fn refusal(bad: BadChange) -> Error {
    match bad {
        BadChange::Over => Error::Conflict {
            word: "tenancy-over",
            why: "the tenancy has ended and stays so; give another one",
        },
        BadChange::Begun => Error::Conflict {
            word: "tenancy-begun",
            why: "the tenancy has begun and keeps its start",
        },
        BadChange::Term(bad) => Error::invalid("ends_at", bad),
    }
}

/// Gives the tenancy this term, which its own rules allow, and tells whom it concerns; the same term again is nothing new.
/// Says what has ended of what was given under it.
pub(super) fn set_term(
    conn: &mut Conn,
    random: &dyn Random,
    home: &Home,
    term: Term,
    who: &Actor,
    now: Timestamp,
) -> Result<Ended, Error> {
    let (before, by) = (&home.tenancy, &who.person);
    if term == before.term {
        return Ok(Ended::default());
    }
    let mut changed = Tenancy {
        term,
        set_by: Some(by.clone()),
        ..before.clone()
    };
    // Somebody of the house who is to come sooner waits again.
    let house_access = match term.starts_at < before.term.starts_at {
        true => house_access::postpone_tenancy(conn, &before.organization, &mut changed, now)?,
        false => None,
    };
    refuse_doubled(conn, &changed)?;
    house_access::refuse_to_join(conn, &changed, before.term, now)?;
    tenancies::set_term(conn, &changed)?;
    let kept_out = visits::agree_anew(conn, &changed.unit, (Some(by), random), now)?;
    let right = RightSource::Tenancy(changed.id.clone());
    let signed = By { who: Some(who), random };
    let ended = follow(conn, &right, signed, now)?;
    let ended = ended.and(house_access::have_keys_wait(
        conn,
        &changed,
        Some(before.term),
        signed,
        now,
    )?);
    let mut told = joint_tenants(conn, before, now)?;
    told.extend(joint_tenants(conn, &changed, now)?);
    told.push(changed.person.clone());
    tell(
        conn,
        random,
        told,
        &news(&changed, notice::Kind::TenancyChanged, Some(by)),
        now,
    )?;
    visits::ask_newcomer(conn, random, &changed, Some(before.term), now)?;
    let ended = ended.and(kept_out.write_down(conn, random, Some(by), now)?);
    let mut detail = detail(&changed);
    detail["before"] = serde_json::json!({ "starts_at": before.term.starts_at, "ends_at": before.term.ends_at });
    let entry = NewEntry {
        detail: Some(detail),
        ..entry(&changed, Kind::TenancyChanged, Some(by), now)
    };
    write_down(conn, &changed, &entry, now)?;
    tell_of_house_access(conn, random, &changed, by, house_access.as_ref(), now)?;
    Ok(ended)
}
