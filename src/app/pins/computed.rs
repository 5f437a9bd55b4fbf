//! Computed codes: what a lock can tell by itself, for a guest at a lock that is off line.

use super::{GivenAt, GivenPin, zone_of};
use crate::app::Error;
use crate::crypto::pin_codes::{CodeOf, computed_code};
use crate::crypto::pin_keys::PinKeys;
use crate::domain::grant::Grant;
use crate::domain::lock::Lock;
use crate::domain::pin::{ComputedCode, Digits, LockPins, PinKind, SERIALS, Status, code_days};
use crate::domain::time::Timestamp;
use crate::store::{Conn, computed_codes};

/// A code for each lock of the grant, for as many whole days as lie within it.
pub(super) fn computed(
    conn: &mut Conn,
    grant: &Grant,
    doors: Vec<(Lock, LockPins)>,
    pin_keys: &PinKeys,
    now: Timestamp,
) -> Result<GivenPin, Error> {
    if grant.terms.schedule.is_some() || grant.terms.uses.is_some() {
        return Err(Error::Conflict {
            word: "code-needs-plain-grant",
            why: "a computed code counts whole days and any number of times: not by a grant with a schedule or counted uses",
        });
    }
    let mut given = Vec::new();
    let mut days = None;
    for (lock, held) in doors {
        if lock.assurance.is_some() {
            return Err(Error::Conflict {
                word: "lock-computes-nothing",
                why: "a lock of this grant is behind an adapter and can tell no computed codes",
            });
        }
        let zone = zone_of(conn, &lock)?;
        if !held.knows_codes() || zone.name() != held.zone.name {
            return Err(Error::Conflict {
                word: "lock-behind",
                why: "a lock of this grant has not yet taken its time zone, or the newest change of its codes",
            });
        }
        let when = code_days(grant.terms.starts_at, grant.terms.ends_at, &zone, now).ok_or(Error::Conflict {
            word: "code-needs-whole-day",
            why: "a computed code counts whole days by the clock of the property, and none lies within the grant",
        })?;
        let generation = held.codes.generation;
        let taken = computed_codes::serials(
            conn,
            &lock.id,
            (held.enrolment, generation),
            (when.first_day, when.days),
        )?;
        let serial = (0..SERIALS)
            .find(|serial| !taken.contains(serial))
            .ok_or(Error::Conflict {
                word: "no-code-left",
                why: "a lock of this grant has no computed code left for these days",
            })?;
        let key = pin_keys
            .of(&lock.id, held.enrolment)
            .map_err(|error| Error::Internal("deriving", error.into()))?;
        let of = CodeOf {
            generation,
            first_day: when.first_day,
            days: when.days,
            serial,
        };
        computed_codes::add(
            conn,
            &ComputedCode {
                lock: lock.id.clone(),
                enrolment: held.enrolment,
                generation,
                days: when,
                serial,
                grant: grant.id.clone(),
                given_at: now,
                after: held.delivery.seen.clone(),
            },
        )?;
        days = Some(when);
        given.push(GivenAt {
            lock: lock.id,
            slot: None,
            code: computed_code(&key, of),
            status: Status::Applied,
            counts_uses: None,
        });
    }
    // All locks of a property read one clock; those of several may read two, and then the first to end counts.
    let days = days.ok_or(Error::Internal("giving a code", "a grant without locks".into()))?;
    let code = match given.as_mut_slice() {
        [only] => only.code.take(),
        _ => None::<Digits>,
    };
    Ok(GivenPin {
        code,
        kind: PinKind::Computed,
        starts_at: days.starts_at,
        ends_at: Some(days.ends_at),
        first_use_before: Some(days.first_use_before),
        locks: given,
    })
}
