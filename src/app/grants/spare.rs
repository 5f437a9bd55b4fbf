//! Spare keys: asked for by their holder, released or refused by whoever's they are, or by time.
//!
//! Everybody concerned is told of each step: who gave the key, who lives behind the door, the landlord's desk where the key is
//! theirs or they may release it, and its holder.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::{Stake, is_under_right_of, seen};
use super::ending::{By, Ended};
use super::show::is_under_tenancy;
use super::{tell, write_detail};
use crate::app::in_turn::each_in_turn;
use crate::app::pins::Reworded;
use crate::app::revocations::{begin_round, hold_locks};
use crate::app::tenancies::residents_behind;
use crate::app::{Actor, App, Error, What, joined_by, must_have_phone_key, role_in};
use crate::domain::access_log::Kind;
use crate::domain::account::Role;
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, PersonId};
use crate::domain::notice::{self, News};
use crate::domain::spare::{ASKS_COUNT_FOR, AskAnswer, AskReason, MOST_ASKS, Minutes, OnSilence, Spare};
use crate::domain::time::Timestamp;
use crate::store::spare_asks::{self, Asked};
use crate::store::{Conn, accounts, grants, locks};

/// How many spare keys are looked at in one round.
const A_ROUND: i64 = 200;

/// Where a spare key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpareShown {
    /// The grant.
    pub grant: GrantId,
    /// How it is released.
    pub spare: Spare,
    /// The end of the present release, exclusive.
    pub released_until: Option<Timestamp>,
    /// The ask that waits for its answer.
    pub asked: Option<Asked>,
}

const NO_SPARE: Error = Error::Conflict {
    word: "not-a-spare-key",
    why: "this grant is in its holder's hand and needs no release",
};

const OVER: Error = Error::Conflict {
    word: "grant-over",
    why: "the grant has ended or was taken back",
};

impl App {
    /// Asks for a spare key of the caller's to be released. Who asks while an ask waits has asked already.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] for anybody but its holder; [`Error::Conflict`] where it is none, is over, or
    /// is released; [`Error::Throttled`] for who asks again and again.
    pub async fn ask_for_spare(&self, who: &Actor, id: GrantId, reason: AskReason) -> Result<SpareShown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let (grant, _) = seen(conn, &who, &id)?;
                if grant.person() != Some(&who.person) {
                    return Err(Error::Forbidden);
                }
                let (grant, spare) = held(conn, grant, now)?;
                if let Some(waiting) = spare_asks::open(conn, &id)? {
                    return Ok(shown(&grant, spare, Some(waiting)));
                }
                if grant.spare_key().is_in_hand(now) {
                    return Err(Error::Conflict {
                        word: "already-released",
                        why: "the spare key is released",
                    });
                }
                let times = spare_asks::times(conn, &id, now - ASKS_COUNT_FOR)?;
                if let Some(first) = times.get(MOST_ASKS - 1) {
                    return Err(Error::Throttled {
                        retry_after: (*first + ASKS_COUNT_FOR).since(now),
                    });
                }
                let asked = Asked {
                    grant: id,
                    // Two asks in one millisecond are two all the same.
                    asked_at: times.first().map_or(now, |last| now.max(*last + A_MOMENT)),
                    reason: reason.as_str().to_owned(),
                    answer_by: now + spare.answer_within.duration(),
                };
                spare_asks::add(conn, &asked)?;
                let detail = serde_json::json!({ "reason": asked.reason, "answer_by": asked.answer_by });
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                record(
                    conn,
                    by,
                    &grant,
                    (Kind::SpareAsked, notice::Kind::SpareAsked),
                    None,
                    detail,
                    now,
                )?;
                Ok(shown(&grant, spare, Some(asked)))
            })
            .await
    }

    /// Releases a spare key for so many minutes, or for as long as was set when it was given; whether or not somebody has
    /// asked. Released again, it is released anew from now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] where it is not the caller's to release; [`Error::Conflict`] where it is none
    /// or is over.
    pub async fn release_spare(&self, who: &Actor, id: GrantId, minutes: Option<Minutes>) -> Result<SpareShown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let grant = to_answer(conn, &who, &id, now)?;
                must_have_phone_key(conn, &grant.organization, &who)?;
                let (grant, spare) = held(conn, grant, now)?;
                let until = now + minutes.unwrap_or(spare.release_for).duration();
                spare_asks::answer(conn, &id, AskAnswer::Released, Some(&who.person), now)?;
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let grant = release(conn, by, grant, until, None, now)?;
                Ok(shown(&grant, spare, None))
            })
            .await
    }

    /// Refuses what was asked, and takes a released key back.
    ///
    /// # Errors
    /// As of [`Self::release_spare`]; [`Error::Conflict`] where nothing was asked and nothing is released.
    pub async fn refuse_spare(&self, who: &Actor, id: GrantId) -> Result<SpareShown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let (shown, ended) = self
            .db
            .write(move |conn| {
                let grant = to_answer(conn, &who, &id, now)?;
                // The locks before the right: so does whoever issues a pass.
                hold_locks(conn, &grant.terms.locks)?;
                let (grant, spare) = held(conn, grant, now)?;
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let is_released = grant.released_until.is_some_and(|until| until > now);
                let has_asked = spare_asks::answer(conn, &id, AskAnswer::Refused, Some(&who.person), now)?;
                let nothing = || serde_json::json!({});
                let (grant, ended) = if is_released {
                    let is_renamed = begin_round(conn, &grant, now)?;
                    grants::release(conn, &id, None)?;
                    let kinds = (Kind::SpareReturned, notice::Kind::SpareReturned);
                    record(conn, by, &grant, kinds, None, nothing(), now)?;
                    let back = Grant {
                        released_until: None,
                        ..grant
                    };
                    (back, Ended::reworded(&id, is_renamed, Reworded::default()))
                } else if has_asked {
                    let kinds = (Kind::SpareRefused, notice::Kind::SpareRefused);
                    record(conn, by, &grant, kinds, None, nothing(), now)?;
                    (grant, Ended::default())
                } else {
                    return Err(Error::Conflict {
                        word: "nothing-asked",
                        why: "nobody has asked for this spare key, and it is not released",
                    });
                };
                Ok((shown(&grant, spare, None), ended))
            })
            .await?;
        if !ended.is_nothing() {
            self.make_end_effective(ended).await?;
        }
        Ok(shown)
    }

    /// Answers asks for which nobody found an answer in time, as their givers have set it, and notes which released keys are
    /// back; says how many it was. Of several nodes one does each.
    ///
    /// # Errors
    /// Those of the database; one that fails keeps no other from its answer.
    pub async fn answer_by_silence(&self) -> Result<usize, Error> {
        let now = self.now();
        let (unanswered, back) = self
            .db
            .read(move |conn| {
                let unanswered = spare_asks::unanswered(conn, now, A_ROUND)?;
                Ok::<_, Error>((unanswered, grants::released_before(conn, now, A_ROUND)?))
            })
            .await?;
        let count = unanswered.len() + back.len();
        let (_, returned) = each_in_turn(back, |id| {
            let random = Arc::clone(&self.random);
            self.db.write(move |conn| {
                let Some(grant) = grants::end_release(conn, &id, now)? else {
                    return Ok(());
                };
                let by = By {
                    who: None,
                    random: &*random,
                };
                let kinds = (Kind::SpareReturned, notice::Kind::SpareReturned);
                record(conn, by, &grant, kinds, Some("time"), serde_json::json!({}), now)
            })
        })
        .await;
        let (_, answered) = each_in_turn(unanswered, |asked| {
            let random = Arc::clone(&self.random);
            self.db.write(move |conn| {
                let by = By {
                    who: None,
                    random: &*random,
                };
                end_by_silence(conn, by, &asked.grant, now)
            })
        })
        .await;
        returned.and(answered).map(|()| count)
    }
}

/// The least by which two asks differ.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(1);

/// Gives the answer that was set for silence.
fn end_by_silence(conn: &mut Conn, by: By<'_>, id: &GrantId, now: Timestamp) -> Result<(), Error> {
    // The grant before its ask, as whoever answers takes them.
    let stands = grants::keep(conn, id)?;
    let grant = grants::find_any(conn, id)?.ok_or(Error::NotFound(What::Grant))?;
    let spare = grant.terms.spare.filter(|_| stands && grant.stands(now));
    let answer = match spare.map(|spare| spare.on_silence) {
        None => AskAnswer::Over,
        Some(OnSilence::Release) => AskAnswer::Released,
        Some(OnSilence::Refuse) => AskAnswer::Refused,
    };
    if !spare_asks::answer(conn, id, answer, None, now)? {
        return Ok(());
    }
    match (answer, spare) {
        (AskAnswer::Released, Some(spare)) => {
            let until = now + spare.release_for.duration();
            release(conn, by, grant, until, Some("silence"), now).map(|_| ())
        }
        (AskAnswer::Refused, _) => {
            let kinds = (Kind::SpareRefused, notice::Kind::SpareRefused);
            record(conn, by, &grant, kinds, Some("silence"), serde_json::json!({}), now)
        }
        _ => Ok(()),
    }
}

/// The grant, if the person may release and refuse it.
///
/// Theirs is the key that they gave themselves, or that opens the own door of the unit in which they live; the landlord's desk
/// answers for the landlord's keys, and for those of tenants who have said so.
fn to_answer(conn: &mut Conn, who: &Actor, id: &GrantId, now: Timestamp) -> Result<Grant, Error> {
    let scope = joined_by(conn, who)?;
    let grant = grants::find(conn, id, &scope)?.ok_or(Error::NotFound(What::Grant))?;
    if is_under_right_of(conn, &grant, &who.person)? {
        return Ok(grant);
    }
    let role = role_in(conn, who, &grant.organization)?;
    if role.is_some_and(Role::serves_desk) && is_for_desk(&grant) {
        return Ok(grant);
    }
    if is_under_tenancy(&grant) && residents(conn, &grant, now)?.contains(&who.person) {
        return Ok(grant);
    }
    // Who may know of it is told that it is not theirs; nobody else that it is there.
    seen(conn, who, id).and_then(|(_, stake)| match stake {
        Stake::Giver | Stake::Landlord(_) | Stake::Holder => Err(Error::Forbidden),
    })
}

/// Whether the landlord's desk has a say.
fn is_for_desk(grant: &Grant) -> bool {
    grant.under.is_none() || grant.terms.spare.is_some_and(|spare| spare.by_landlord)
}

/// Who lives behind the grant's own doors.
fn residents(conn: &mut Conn, grant: &Grant, now: Timestamp) -> Result<BTreeSet<PersonId>, Error> {
    let doors = locks::with_ids(conn, &grant.terms.locks)?;
    residents_behind(conn, &doors, now)
}

/// The grant as it is now that nobody can take it back, and how it is released.
fn held(conn: &mut Conn, grant: Grant, now: Timestamp) -> Result<(Grant, Spare), Error> {
    if !grants::keep(conn, &grant.id)? {
        return Err(OVER);
    }
    let grant = grants::find_any(conn, &grant.id)?.ok_or(Error::NotFound(What::Grant))?;
    if !grant.stands(now) {
        return Err(OVER);
    }
    let spare = grant.terms.spare.ok_or(NO_SPARE)?;
    Ok((grant, spare))
}

/// Releases the key, writes it down and tells of it.
fn release(
    conn: &mut Conn,
    by: By<'_>,
    grant: Grant,
    until: Timestamp,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Grant, Error> {
    if !grants::release(conn, &grant.id, Some(until))? {
        return Err(OVER);
    }
    let grant = Grant {
        released_until: Some(until),
        ..grant
    };
    let kinds = (Kind::SpareReleased, notice::Kind::SpareReleased);
    record(
        conn,
        by,
        &grant,
        kinds,
        reason,
        serde_json::json!({ "released_until": until }),
        now,
    )?;
    Ok(grant)
}

/// Writes down what became of the key, and tells everybody concerned.
fn record(
    conn: &mut Conn,
    by: By<'_>,
    grant: &Grant,
    (kind, notice): (Kind, notice::Kind),
    reason: Option<&str>,
    mut detail: serde_json::Value,
    now: Timestamp,
) -> Result<(), Error> {
    let mut concerned: Vec<PersonId> = grant.person().cloned().into_iter().collect();
    if grant.under.is_some() {
        concerned.push(grant.given_by.clone());
    }
    concerned.extend(residents(conn, grant, now)?);
    if is_for_desk(grant) {
        concerned.extend(accounts::with_role(conn, &grant.organization, Role::serves_desk)?);
    }
    detail["lock_ids"] = serde_json::json!(grant.terms.locks);
    write_detail(conn, by, grant, kind, reason, detail.clone(), now)?;
    detail["grant_id"] = serde_json::json!(grant.id);
    if let Some(reason) = reason {
        detail["because"] = reason.into();
    }
    let news = News {
        actor: by.actor().cloned(),
        detail: Some(detail),
        ..News::new(notice, grant.organization.clone())
    };
    let news = match grant.terms.locks.as_slice() {
        [only] => match locks::with_ids(conn, std::slice::from_ref(only))?.pop() {
            Some(lock) => news.about(&lock),
            None => news,
        },
        _ => news,
    };
    tell(conn, by.random, concerned, &news, now)
}

fn shown(grant: &Grant, spare: Spare, asked: Option<Asked>) -> SpareShown {
    SpareShown {
        grant: grant.id.clone(),
        spare,
        released_until: grant.released_until,
        asked,
    }
}
