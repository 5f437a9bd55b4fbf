//! What those say to a visit who live behind its doors, and passing over it in an emergency.

use std::sync::Arc;

use super::{Shown, Step, end::take_way_in_back, hold, news, refuse_over, residents, shown, write_down};
use crate::app::grants::Ended;
use crate::app::notices::tell;
use crate::app::{Actor, App, Error, What, joined_by, must_have_phone_key, role_in, served_by};
use crate::crypto::random::Random;
use crate::domain::access_log::Kind;
use crate::domain::account::Role;
use crate::domain::ids::VisitId;
use crate::domain::notice;
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;
use crate::domain::visit::{Answer, Emergency, EmergencyReason};
use crate::store::{Conn, visits};

const BEGUN: Error = Error::Conflict {
    word: "visit-begun",
    why: "the vendor has got in already; the landlord can cancel the rest of the visit",
};

impl App {
    /// Somebody who lives there agrees to a visit or does not. The last answer counts; a no takes a way in back that has not
    /// been used.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for staff, who do not answer for others; [`Error::NotFound`] for everybody else who does not live
    /// there; [`Error::Conflict`] where it is over, or for a no once the vendor has got in.
    pub async fn answer_visit(&self, who: &Actor, id: VisitId, agrees: bool) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let (shown, ended) = self
            .db
            .write(move |conn| {
                let scope = joined_by(conn, &who)?;
                let mut visit = hold(conn, &id, &scope)?;
                let role = role_in(conn, &who, &visit.organization)?;
                if !residents(conn, &visit, now)?.contains(&who.person) {
                    return Err(match role.is_some_and(Role::is_staff) {
                        true => Error::Forbidden,
                        false => Error::NotFound(What::Visit),
                    });
                }
                if agrees {
                    must_have_phone_key(conn, &visit.organization, &who)?;
                }
                refuse_over(&visit, now)?;
                if !agrees && visit.begun_at.is_some() {
                    return Err(BEGUN);
                }
                let answer = Answer {
                    person: who.person.clone(),
                    agrees,
                };
                let mut ended = Ended::default();
                if visits::answer(conn, &id, &answer, now)? {
                    if !agrees && visit.emergency.is_none() {
                        ended = take_way_in_back(conn, &mut visit, (&who.person, &*random), now)?;
                    }
                    let (kind, news) = match agrees {
                        true => (Kind::VisitAgreed, notice::Kind::VisitAgreed),
                        false => (Kind::VisitDeclined, notice::Kind::VisitDeclined),
                    };
                    let step = Step {
                        kind,
                        news,
                        actor: Some(who.person.clone()),
                        at: now,
                        reason: None,
                    };
                    write_down(conn, &*random, &visit, step, now)?;
                }
                let shown = shown(conn, visit, role.is_some_and(Role::is_staff), now)?;
                Ok((shown, ended))
            })
            .await?;
        self.make_end_effective(ended).await?;
        Ok(shown)
    }

    /// The landlord passes over the consent of those who live there, for a reason that they are told at once. A second
    /// reason is not taken: the first stands.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where it is over or was done already.
    pub async fn pass_over_consent(&self, who: &Actor, id: VisitId, reason: EmergencyReason) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = served_by(conn, &who)?;
                let mut visit = hold(conn, &id, &scope)?;
                must_have_phone_key(conn, &visit.organization, &who)?;
                refuse_over(&visit, now)?;
                if visit.emergency.is_some() {
                    return Err(Error::Conflict {
                        word: "emergency-declared",
                        why: "an emergency stands on record for this visit",
                    });
                }
                let emergency = Emergency {
                    by: who.person.clone(),
                    at: now,
                    reason: Some(reason),
                };
                visits::pass_over_consent(conn, &id, &emergency)?;
                let step = Step {
                    kind: Kind::VisitEmergency,
                    news: notice::Kind::VisitEmergency,
                    actor: Some(who.person.clone()),
                    at: now,
                    reason: emergency.reason.as_ref().map(|why| why.as_str().to_owned()),
                };
                visit.emergency = Some(emergency);
                write_down(conn, &*random, &visit, step, now)?;
                shown(conn, visit, true, now)
            })
            .await
    }
}

/// Asks whoever is to live somewhere about the visits on which they have a say since. `before` is the term of a tenancy that
/// was changed: of what may take place within that they were told.
pub(in crate::app) fn ask_newcomer(
    conn: &mut Conn,
    random: &dyn Random,
    tenancy: &Tenancy,
    before: Option<Term>,
    now: Timestamp,
) -> Result<(), Error> {
    for visit in visits::not_ended_in(conn, &tenancy.unit)? {
        let window = Term {
            starts_at: visit.starts_at.max(now),
            ends_at: Some(visit.closes_at()),
        };
        let was_asked = before.is_some_and(|before| before.overlaps(window));
        if visit.is_over(now).is_some() || !tenancy.term.overlaps(window) || was_asked {
            continue;
        }
        let ordered = news(&visit, notice::Kind::VisitOrdered, Some(visit.ordered_by.clone()));
        tell(conn, random, [tenancy.person.clone()], &ordered, now)?;
    }
    Ok(())
}
