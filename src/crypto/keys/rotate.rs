//! Rotation: a new key for a purpose, beside the one before it for a while, in a keyset that the root key signs.

use doorward_lock::wire::Use;

use super::file::{KeyFile, RootKey, StoredKey};
use super::{KeyError, KeyStore, Lives};
use crate::domain::time::Timestamp;

/// What a key can be for.
pub const USES: [Use; 4] = [Use::Unlock, Use::Pass, Use::Doc, Use::Ack];

/// What is to be rotated, and how.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// The purposes that get a new key.
    pub purposes: &'a [Use],
    /// Whether the keys before end at once: after a theft. What they have signed and no lock has taken yet is void then.
    pub ends_former: bool,
    /// Whether locks may hold a newer keyset than this one: the keys came from an old backup.
    pub is_restored: bool,
    /// The root key, where it is not on this machine.
    pub root: Option<&'a RootKey>,
}

impl KeyStore {
    /// Makes new keys; gives the new version of the keyset. Of two that ask at once the second is refused: see
    /// [`KeyError::Overlapping`].
    ///
    /// # Errors
    /// [`KeyError::NoRoot`], [`KeyError::OtherRoot`], [`KeyError::Overlapping`], [`KeyError::ClockBehind`], and those of
    /// [`Self::open`]; the keys stay as they are then.
    pub fn rotate(&self, rotation: Rotation<'_>, now: Timestamp) -> Result<u64, KeyError> {
        let lives = self.lives();
        self.change(|file| {
            refuse_old_clock(file, now)?;
            let own = file.root_key()?;
            let root = rotation.root.or(own.as_ref()).ok_or(KeyError::NoRoot)?;
            file.refuse_other(root)?;
            if !rotation.ends_former {
                refuse_third(file, rotation.purposes, now)?;
            }
            renew(file, rotation, root, lives, now)
        })
    }

    /// Makes new keys for the purposes whose keys are old enough, if there are any; gives the new version of the keyset.
    /// Nodes that share the keys may all ask: the first one does it.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub fn rotate_due(&self, now: Timestamp) -> Result<Option<u64>, KeyError> {
        let lives = self.lives();
        if self.ring().due(lives, now).next().is_none() {
            return Ok(None);
        }
        // What is due may have been done by another node, whose work has not been seen yet.
        self.refresh()?;
        let ring = self.ring();
        let purposes: Vec<Use> = ring.due(lives, now).collect();
        if purposes.is_empty() {
            return Ok(None);
        }
        let rotation = Rotation {
            purposes: &purposes,
            ends_former: false,
            is_restored: false,
            root: None,
        };
        let seen = ring.version();
        let rotated = self.change(|file| {
            if file.version != seen {
                return Ok(None);
            }
            refuse_old_clock(file, now)?;
            let root = file.root_key()?.ok_or(KeyError::NoRoot)?;
            refuse_third(file, &purposes, now)?;
            renew(file, rotation, &root, lives, now).map(Some)
        })?;
        Ok(rotated)
    }
}

/// A version that is above every one that was ever counted up to: versions count rotations, and this counts seconds.
pub(super) fn version_above_all(now: Timestamp) -> u64 {
    now.as_seconds()
}

fn renew(
    file: &mut KeyFile,
    rotation: Rotation<'_>,
    root: &RootKey,
    lives: Lives,
    now: Timestamp,
) -> Result<u64, KeyError> {
    let seconds = now.as_seconds();
    let next = file.version + 1;
    file.version = if rotation.is_restored {
        next.max(version_above_all(now))
    } else {
        next
    };
    for purpose in rotation.purposes {
        let newest = newest(file, *purpose).map(|key| key.since);
        // Of those before, the newest stays until what it has signed has ended.
        let stays = |key: &StoredKey| {
            key.purpose != *purpose || (Some(key.since) == newest && !rotation.ends_former && key.exp >= seconds)
        };
        file.keys.retain(stays);
        let former = file.keys.iter_mut().filter(|key| key.purpose == *purpose);
        for key in former {
            key.exp = key.exp.min(seconds.saturating_add(lives.overlap.as_secs()));
        }
        let made = StoredKey::make(*purpose, file.version, lives.life.as_secs(), seconds)?;
        file.keys.push(made);
    }
    file.sign(root)?;
    Ok(file.version)
}

fn newest(file: &KeyFile, purpose: Use) -> Option<&StoredKey> {
    let of = file.keys.iter().filter(|key| key.purpose == purpose);
    of.max_by_key(|key| key.since)
}

/// A keyset has room for two keys of a purpose: the one before the newest must have ended.
fn refuse_third(file: &KeyFile, purposes: &[Use], now: Timestamp) -> Result<(), KeyError> {
    for purpose in purposes {
        let newest = newest(file, *purpose).map(|key| key.since);
        let former = file
            .keys
            .iter()
            .find(|key| key.purpose == *purpose && Some(key.since) != newest && key.exp >= now.as_seconds());
        if let Some(former) = former {
            return Err(KeyError::Overlapping {
                purpose: *purpose,
                until: Timestamp::from_seconds(former.exp),
            });
        }
    }
    Ok(())
}

/// Keys that were made by a clock that is behind would end too early, and end those before them too early.
fn refuse_old_clock(file: &KeyFile, now: Timestamp) -> Result<(), KeyError> {
    let latest = file.keys.iter().map(|key| key.made).max().unwrap_or(0);
    if now.as_seconds() < latest {
        return Err(KeyError::ClockBehind(Timestamp::from_seconds(latest)));
    }
    Ok(())
}
