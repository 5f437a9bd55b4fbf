//! What becomes of the PINs of a grant whose terms are replaced.

use std::collections::BTreeSet;

use super::clear;
use super::give::{slot_life, uses_left};
use crate::app::Error;
use crate::domain::grant::{Grant, Way};
use crate::domain::ids::LockId;
use crate::domain::pin::{Slot, SlotState};
use crate::domain::time::Timestamp;
use crate::store::{Conn, pins};

/// PINs that were changed or are to be cleared.
#[derive(Debug, Default)]
pub(in crate::app) struct Reworded {
    /// The locks that are to be told.
    pub(in crate::app) changed: BTreeSet<LockId>,
    /// What they may still take meanwhile.
    pub(in crate::app) untold: Vec<Untold>,
}

/// A PIN as a lock may still know it.
#[derive(Debug)]
pub(in crate::app) struct Untold {
    lock: LockId,
    /// The version by which the lock knows better.
    version: u64,
    /// Until when it takes the PIN as it was.
    ends_at: Timestamp,
}

impl Untold {
    /// Until when the lock may still open by it; `None` once it knows better.
    pub(in crate::app) fn may_open_until(&self, conn: &mut Conn, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let held = pins::find(conn, &self.lock)?.map_or(0, |held| held.delivery.held);
        Ok((held < self.version && self.ends_at > now).then_some(self.ends_at))
    }
}

/// Has the grant's PINs cleared where it does not give them any more, and told anew everywhere else. The locks of both terms
/// are held.
pub(in crate::app) fn reword(
    conn: &mut Conn,
    before: &Grant,
    after: &Grant,
    now: Timestamp,
) -> Result<Reworded, Error> {
    let mut reworded = Reworded::default();
    for slot in pins::slots_of_grant(conn, &before.id)? {
        if slot.state != SlotState::Set {
            continue;
        }
        let Some(mut held) = pins::hold(conn, &slot.lock)? else {
            continue;
        };
        let stays = after.terms.ways.contains(&Way::Pin)
            && after.terms.locks.contains(&slot.lock)
            && after.terms.ends_at.is_none_or(|end| end > now)
            // The locks count openings each for itself.
            && (after.terms.uses.is_none() || after.terms.locks.len() == 1);
        let (lock, was_told, ended_at) = (slot.lock.clone(), slot.told, slot.ends_at);
        if stays {
            let (ends_at, review_at) = slot_life(after, now)?;
            // Under another name the lock counts from none.
            let openings = if after.round == before.round { slot.openings } else { 0 };
            let left = uses_left(after);
            let changed = Slot {
                uses: left.map(|left| left.saturating_add(openings)),
                openings,
                ends_at,
                review_at,
                version: held.delivery.change(),
                ..slot
            };
            pins::save_slot(conn, &changed)?;
            pins::save(conn, &held)?;
        } else {
            clear(conn, &mut held, slot, now)?;
        }
        if was_told {
            reworded.untold.push(Untold {
                lock: lock.clone(),
                version: held.delivery.version,
                ends_at: ended_at,
            });
        }
        reworded.changed.insert(lock);
    }
    Ok(reworded)
}
