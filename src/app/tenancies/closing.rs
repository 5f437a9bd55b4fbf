//! Ending tenancies in the right order: first the rights, all of them, then what is told and written down.

use super::end::rights;
use super::home::Home;
use super::{entry, joint_tenants, news, tell, write_down};
use crate::app::Error;
use crate::app::grants::Ended;
use crate::app::pins::{void_codes_after, void_codes_at};
use crate::app::visits::{self, KeptOut};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, OrganizationId, PersonId};
use crate::domain::lock::Lock;
use crate::domain::notice;
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, grants, locks, tenancies};

/// A tenancy that has just ended, before that is written down.
#[must_use]
pub(in crate::app) struct Closing {
    /// As it was.
    before: Tenancy,
    /// As it is.
    ended: Tenancy,
    doors: Vec<Lock>,
    grants: Vec<Grant>,
    kept_out: KeptOut,
}

impl Closing {
    /// Ends the tenancy and the grants that end with it, and the ways in of vendors to whom nobody agreed who lives there
    /// still; `None` where it had ended before.
    pub(super) fn begin(
        conn: &mut Conn,
        home: &Home,
        ends_at: Timestamp,
        (by, random): (Option<&PersonId>, &dyn Random),
        now: Timestamp,
    ) -> Result<Option<Self>, Error> {
        let before = &home.tenancy;
        if !tenancies::close(conn, &before.id, ends_at, now)? {
            return Ok(None);
        }
        // Whoever planned an end stands for what ends by it.
        let by = by.or(before.set_by.as_ref()).unwrap_or(&before.person);
        let grants = home.grants_to_end(conn, ends_at)?;
        for grant in &grants {
            grants::revoke(conn, &grant.id, by, now)?;
        }
        let kept_out = visits::agree_anew(conn, &before.unit, (Some(by), random), now)?;
        Ok(Some(Self {
            kept_out,
            ended: Tenancy {
                term: Term {
                    ends_at: Some(ends_at),
                    ..before.term
                },
                closed_at: Some(now),
                ..before.clone()
            },
            before: before.clone(),
            doors: home.doors.clone(),
            grants,
        }))
    }

    /// What has ended.
    pub(super) fn rights(&self) -> Vec<RightSource> {
        rights(&self.ended, &self.grants)
    }

    /// Tells whom it concerns and writes it down, after all rights. The codes of the unit's own locks are void from now on,
    /// and those of a shared door where one of them was given by a grant that ended.
    pub(super) fn write_down(
        self,
        conn: &mut Conn,
        random: &dyn Random,
        mut ended: Ended,
        by: Option<&PersonId>,
        now: Timestamp,
    ) -> Result<Ended, Error> {
        let Self {
            before,
            ended: tenancy,
            doors,
            grants,
            kept_out,
        } = self;
        let joint = joint_tenants(conn, &before, now)?;
        let told = joint.into_iter().chain([tenancy.person.clone()]);
        tell(conn, random, told, &news(&tenancy, notice::Kind::TenancyEnded, by), now)?;
        let happened_at = tenancy.term.ends_at.map_or(now, |end| end.min(now));
        let end = NewEntry {
            reason: by.is_none().then(|| "planned".to_owned()),
            ..entry(&tenancy, Kind::TenancyEnded, by, happened_at)
        };
        write_down(conn, &tenancy, &end, now)?;
        for grant in &grants {
            let entry = NewEntry {
                reason: Some("tenancy-ended".to_owned()),
                grant: Some(grant.id.clone()),
                detail: Some(serde_json::json!({ "tenancy_id": tenancy.id, "lock_ids": grant.terms.locks })),
                ..entry(&tenancy, Kind::GrantRevoked, by, happened_at)
            };
            write_down(conn, &tenancy, &entry, now)?;
        }
        ended = ended.and(kept_out.write_down(conn, random, by, now)?);
        // Nobody lived there by one that was called off.
        let was_lived = tenancy.term.ends_at.is_some_and(|end| end > tenancy.term.starts_at);
        let ids: Vec<GrantId> = ended.grants().cloned().collect();
        for lock in doors {
            let are_void = if lock.unit.is_some() {
                was_lived && void_codes_after(conn, &lock, tenancy.term.ends_at.unwrap_or(now), by, now)?
            } else {
                void_codes_at(conn, &lock, &ids, (by, Some("tenancy-ended")), now)?.is_some()
            };
            if are_void {
                ended = ended.with_changed(lock.id);
            }
        }
        Ok(ended)
    }
}

/// Ends the tenancies of somebody who is put out of the organization, whose locks are held; to be written down by
/// [`write_down_all`] once every right has ended.
pub(in crate::app) fn close_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    (by, random): (&PersonId, &dyn Random),
    now: Timestamp,
) -> Result<Vec<Closing>, Error> {
    let mut closings = Vec::new();
    for tenancy in tenancies::open_of(conn, organization, person)? {
        let ends_at = tenancy.term.ends_at.filter(|end| *end <= now);
        let ends_at = ends_at.unwrap_or(now.max(tenancy.term.starts_at));
        let doors = locks::of_home(conn, &tenancy.unit)?;
        closings.extend(Closing::begin(
            conn,
            &Home { tenancy, doors },
            ends_at,
            (Some(by), random),
            now,
        )?);
    }
    Ok(closings)
}

/// The rights of these tenancies that have just ended.
pub(in crate::app) fn ended_rights(closings: &[Closing]) -> Vec<RightSource> {
    closings.iter().flat_map(Closing::rights).collect()
}

/// Writes down that these tenancies have ended, and makes codes void that end with them.
pub(in crate::app) fn write_down_all(
    conn: &mut Conn,
    random: &dyn Random,
    closings: Vec<Closing>,
    mut ended: Ended,
    by: &PersonId,
    now: Timestamp,
) -> Result<Ended, Error> {
    for closing in closings {
        ended = closing.write_down(conn, random, ended, Some(by), now)?;
    }
    Ok(ended)
}
