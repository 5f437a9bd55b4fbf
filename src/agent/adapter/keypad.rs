//! PINs on a device's own keypad. The device knows digits and nothing of times, so the adapter puts each PIN there at the
//! edges of its times, and believes only what the device says that it holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_lock::controller::PinEnd;
use doorward_lock::schedule::{WallClock, is_open};
use doorward_lock::wire::{Lockdown, Pins, Schedule, ZoneChange};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::dialect::Held;
use crate::agent::bolt::Keypad;

/// How often a device is asked to hold a PIN, or to forget one, before that has failed.
const TRIES: u32 = 8;

/// The wait after the first try; it doubles with every further one.
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// Opens the digits that are sealed for a slot.
pub type Opener = Box<dyn Fn(u16, &str) -> Option<Zeroizing<String>> + Send + Sync>;

/// What the adapter was told of the device's slots, in a file beside the enrolment: the digits sealed, as they came.
pub struct PinBook {
    path: Option<PathBuf>,
    open: Opener,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    told: Told,
    tries: BTreeMap<u16, Tries>,
}

/// What is kept.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    zone: Vec<ZoneChange>,
    slots: BTreeMap<u16, Slot>,
    /// The lockdown that the lock holds.
    #[serde(default)]
    holds: Vec<Hold>,
}

/// One lockdown: until when, and the grants that it does not concern.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    until: u64,
    except: Vec<String>,
}

/// A slot that the adapter keeps: one that it was never told of is somebody else's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    /// What is to be there; nothing where the slot was cleared.
    pin: Option<Pin>,
    /// What the device holds.
    holds: Holds,
    /// Whether the device will never take it.
    is_final: bool,
}

/// What a slot of the device holds, by its own word.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Holds {
    /// Nobody knows.
    Unknown,
    /// Nothing.
    Empty,
    /// Nothing, before it was asked to hold the PIN, which it has not answered.
    Asked,
    /// The PIN.
    Pin,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    sealed: String,
    /// The grant that it stands on.
    #[serde(default)]
    gid: String,
    nbf: u64,
    exp: Option<u64>,
    schedule: Option<Schedule>,
}

/// How often and until when a slot was tried.
#[derive(Clone, Copy)]
struct Tries {
    count: u32,
    next: Instant,
    /// Whether a PIN is to be there in the end.
    to_hold: bool,
    /// Whether the device was asked to hold it; else to forget what is there.
    is_set: bool,
}

/// What the device is to be told.
pub(super) struct Wish {
    pub(super) slot: u16,
    /// The digits to hold; `None` to forget.
    pub(super) digits: Option<Zeroizing<String>>,
}

impl PinBook {
    /// The book in this file, or in memory only.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn open(path: Option<PathBuf>, open: Opener) -> std::io::Result<Arc<Self>> {
        let told = match path.as_deref().map(std::fs::read) {
            Some(Ok(content)) => serde_json::from_slice(&content).map_err(std::io::Error::other)?,
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => Told::default(),
        };
        Ok(Arc::new(Self {
            path,
            open,
            inside: Mutex::new(Inside {
                told,
                tries: BTreeMap::new(),
            }),
        }))
    }

    /// Whether the slot is one that this adapter was told of.
    pub(super) fn keeps(&self, slot: u16) -> bool {
        self.lock().told.slots.contains_key(&slot)
    }

    /// What the device is to be told next, one slot at a time: `wall` is the time where the lock knows it. Without, nothing changes.
    pub(super) fn due(&self, wall: Option<u64>, now: Instant) -> Option<Wish> {
        let wall = wall?;
        let mut inside = self.lock();
        let Inside { told, tries } = &mut *inside;
        let clock = WallClock::read(&told.zone, wall);
        for (slot, kept) in &mut told.slots {
            let is_kept_out = |pin: &Pin| {
                let mut holding = told.holds.iter().filter(|hold| wall < hold.until);
                holding.any(|hold| !hold.except.contains(&pin.gid))
            };
            let pin = kept
                .pin
                .as_ref()
                .filter(|pin| pin.counts(wall, clock) && !is_kept_out(pin));
            let to_hold = pin.is_some();
            let is_so = matches!((kept.holds, to_hold), (Holds::Pin, true) | (Holds::Empty, false));
            if is_so || (kept.is_final && to_hold) {
                continue;
            }
            // A slot is emptied before it is filled: that it holds *something* is all that a device tells.
            let is_set = to_hold && matches!(kept.holds, Holds::Empty | Holds::Asked);
            let before = tries
                .get(slot)
                .filter(|before| (before.to_hold, before.is_set) == (to_hold, is_set));
            let count = before.map_or(0, |before| before.count);
            // What is to be forgotten is asked for again without end, only seldom.
            if before.is_some_and(|before| now < before.next) || (to_hold && count >= TRIES) {
                continue;
            }
            let digits = match pin.filter(|_| is_set) {
                None => None,
                Some(pin) => match (self.open)(*slot, &pin.sealed) {
                    Some(digits) => Some(digits),
                    None => continue,
                },
            };
            let next = now + FIRST_WAIT * 2_u32.pow(count.min(TRIES));
            let count = count.saturating_add(1);
            let tried = Tries {
                count,
                next,
                to_hold,
                is_set,
            };
            tries.insert(*slot, tried);
            let is_new = is_set && kept.holds != Holds::Asked;
            if is_set {
                kept.holds = Holds::Asked;
            }
            let wish = Wish { slot: *slot, digits };
            if is_new {
                self.keep(told);
            }
            return Some(wish);
        }
        None
    }

    /// What the device said of a slot; what the lock is to say of it, where that is news.
    pub(super) fn heard(&self, slot: u16, held: Held) -> Option<PinEnd> {
        let mut inside = self.lock();
        let tries = inside.tries.get(&slot).copied();
        let kept = inside.told.slots.get_mut(&slot)?;
        let tries = tries?;
        let end = match held {
            Held::Taken if tries.is_set => Some(PinEnd::Applied),
            Held::Free if !tries.is_set => (!tries.to_hold).then_some(PinEnd::Cleared),
            Held::Duplicate if tries.is_set => Some(PinEnd::Duplicate),
            Held::Refused if tries.is_set && tries.count >= TRIES => Some(PinEnd::Refused),
            // The answer to a question that is no longer asked: the next try will tell.
            _ => return None,
        };
        match held {
            Held::Taken => kept.holds = Holds::Pin,
            Held::Free => kept.holds = Holds::Empty,
            Held::Duplicate | Held::Refused => kept.is_final = true,
        }
        // A slot that is cleared for good is nobody's.
        if kept.pin.is_none() && kept.holds == Holds::Empty {
            inside.told.slots.remove(&slot);
        }
        inside.tries.remove(&slot);
        self.keep(&inside.told);
        end
    }

    fn keep(&self, told: &Told) {
        let Some(path) = &self.path else { return };
        if let Err(error) = write(path, told) {
            tracing::error!(%error, path = %path.display(), "the PINs of the device cannot be kept");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // No code that holds it can panic half-way through a change.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pin {
    fn counts(&self, wall: u64, clock: WallClock) -> bool {
        let is_alive = self.nbf <= wall && self.exp.is_none_or(|exp| wall <= exp);
        is_alive && self.schedule.as_ref().is_none_or(|schedule| is_open(schedule, clock))
    }
}

impl Keypad for PinBook {
    fn change(&self, pins: &Pins<'_>) {
        let mut inside = self.lock();
        inside.told.zone = pins.zone.to_vec();
        for slot in &pins.set {
            let pin = slot.sealed.map(|sealed| Pin {
                sealed: sealed.to_owned(),
                gid: slot.gid.to_owned(),
                nbf: slot.nbf,
                exp: slot.exp,
                schedule: slot.schedule.clone(),
            });
            // The digits may be others now, whatever the device holds.
            let kept = Slot {
                pin,
                holds: Holds::Unknown,
                is_final: false,
            };
            inside.told.slots.insert(slot.slot, kept);
            inside.tries.remove(&slot.slot);
        }
        let is_set = |slot: &u16| pins.set.iter().any(|set| set.slot == *slot);
        // What begins from nothing names every slot that is to be there.
        let unnamed = inside
            .told
            .slots
            .keys()
            .copied()
            .filter(|slot| pins.base == 0 && !is_set(slot));
        let cleared: Vec<u16> = unnamed.chain(pins.clear.iter().copied()).collect();
        for slot in cleared {
            let kept = Slot {
                pin: None,
                holds: Holds::Unknown,
                is_final: false,
            };
            inside.told.slots.insert(slot, kept);
            inside.tries.remove(&slot);
        }
        self.keep(&inside.told);
    }

    fn lock_down(&self, lockdown: &Lockdown<'_>) {
        let mut inside = self.lock();
        let holds = lockdown.holds.iter().map(|hold| Hold {
            until: hold.until,
            except: hold.except.iter().map(|name| (*name).to_owned()).collect(),
        });
        inside.told.holds = holds.collect();
        self.keep(&inside.told);
    }
}

impl std::fmt::Debug for PinBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinBook(…)")
    }
}

/// Replaces the file, whole and to stay.
fn write(path: &std::path::Path, told: &Told) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let content = serde_json::to_vec(told).map_err(std::io::Error::other)?;
    let draft = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&content)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use doorward_lock::wire::{Role, Slot as WireSlot, Window};

    use super::*;

    /// Monday, 2026-03-02, 09:00 in Vienna.
    const NINE: u64 = 1_772_438_400;

    fn book() -> Arc<PinBook> {
        let open = |slot: u16, sealed: &str| Some(Zeroizing::new(format!("{slot}{}", sealed.strip_prefix("sealed")?)));
        PinBook::open(None, Box::new(open)).unwrap()
    }

    fn tell(book: &PinBook, set: &[WireSlot<'_>], clear: &[u16]) {
        book.change(&Pins {
            iss: "i",
            org: "o",
            aud: "l",
            base: 1,
            version: 2,
            codes: 0,
            zone: [ZoneChange { at: 0, offset: 3_600 }].into_iter().collect(),
            set: set.iter().cloned().collect(),
            clear: clear.iter().copied().collect(),
        });
    }

    fn slot(number: u16) -> WireSlot<'static> {
        WireSlot {
            slot: number,
            mac: "m",
            gid: "grant_1",
            role: Role::Guest,
            nbf: NINE,
            exp: Some(NINE + 7_200),
            uses: None,
            schedule: None,
            sealed: Some("sealed0220"),
        }
    }

    fn wishes(book: &PinBook, wall: u64, now: Instant) -> Vec<(u16, Option<String>)> {
        let wishes = book.due(Some(wall), now).into_iter();
        wishes
            .map(|wish| (wish.slot, wish.digits.map(|digits| digits.as_str().to_owned())))
            .collect()
    }

    /// The slot is emptied first, whatever it held.
    fn emptied(book: &PinBook, slot: u16, now: Instant) {
        assert_eq!(wishes(book, NINE, now), [(slot, None)]);
        assert_eq!(book.heard(slot, Held::Taken), None, "it says what was there before");
        assert_eq!(book.heard(slot, Held::Free), None);
    }

    #[test]
    fn a_pin_is_there_from_its_first_second_to_its_last() {
        let (book, now) = (book(), Instant::now());
        tell(&book, &[slot(3)], &[]);
        assert_eq!(
            wishes(&book, NINE - 1, now),
            [(3, None)],
            "whatever was there is not its own yet"
        );
        assert_eq!(book.heard(3, Held::Free), Some(PinEnd::Cleared));
        assert_eq!(wishes(&book, NINE - 1, now), []);
        assert_eq!(wishes(&book, NINE, now), [(3, Some("30220".into()))]);
        assert_eq!(wishes(&book, NINE, now), [], "it is asked once, and then waited for");
        assert_eq!(book.heard(3, Held::Taken), Some(PinEnd::Applied));
        assert_eq!(book.heard(3, Held::Taken), None, "twice is once");
        assert_eq!(wishes(&book, NINE + 7_200, now), []);
        assert_eq!(wishes(&book, NINE + 7_201, now), [(3, None)]);
        assert_eq!(book.heard(3, Held::Free), Some(PinEnd::Cleared));
        assert_eq!(wishes(&book, NINE + 9_000, now), []);
    }

    #[test]
    fn a_schedule_puts_it_there_and_takes_it_away() {
        let (book, now) = (book(), Instant::now());
        let windows = [Window {
            days: 1,
            from: 9 * 60,
            to: 10 * 60,
        }];
        let schedule = Schedule {
            weekly: windows.into_iter().collect(),
            except: [].into_iter().collect(),
        };
        tell(
            &book,
            &[WireSlot {
                exp: None,
                schedule: Some(schedule),
                ..slot(4)
            }],
            &[],
        );
        emptied(&book, 4, now);
        assert_eq!(wishes(&book, NINE, now).len(), 1);
        assert_eq!(book.heard(4, Held::Taken), Some(PinEnd::Applied));
        assert_eq!(wishes(&book, NINE + 3_599, now), []);
        assert_eq!(wishes(&book, NINE + 3_600, now), [(4, None)]);
    }

    #[test]
    fn a_lockdown_takes_pins_away_and_gives_them_back_at_its_end() {
        let (book, now) = (book(), Instant::now());
        tell(
            &book,
            &[
                slot(3),
                WireSlot {
                    gid: "grant_2",
                    ..slot(4)
                },
            ],
            &[],
        );
        let mut applied = 0;
        while let Some((number, digits)) = wishes(&book, NINE, now).pop() {
            let held = if digits.is_some() { Held::Taken } else { Held::Free };
            applied += usize::from(book.heard(number, held) == Some(PinEnd::Applied));
        }
        assert_eq!(applied, 2);
        let hold = doorward_lock::wire::Hold {
            until: NINE + 600,
            except: ["grant_2"].into_iter().collect(),
        };
        book.lock_down(&Lockdown {
            iss: "i",
            org: "o",
            aud: "l",
            epoch: 1,
            iat: NINE,
            holds: [hold].into_iter().collect(),
        });
        assert_eq!(wishes(&book, NINE + 1, now), [(3, None)], "only whoever is kept out");
        assert_eq!(book.heard(3, Held::Free), Some(PinEnd::Cleared));
        assert_eq!(wishes(&book, NINE + 599, now), []);
        assert_eq!(wishes(&book, NINE + 600, now), [(3, Some("30220".into()))]);
    }

    #[test]
    fn a_device_that_does_not_answer_is_asked_seldom_and_not_for_ever() {
        let (book, mut now) = (book(), Instant::now());
        tell(&book, &[slot(3)], &[]);
        emptied(&book, 3, now);
        let mut asked = 0;
        for _ in 0..100_000 {
            asked += wishes(&book, NINE, now).len();
            now += Duration::from_secs(1);
        }
        assert_eq!(asked, 8);
        // What is to be forgotten is asked for as long as it takes.
        let mut asked = 0;
        for _ in 0..100_000 {
            asked += wishes(&book, NINE + 9_000, now).len();
            now += Duration::from_secs(1);
        }
        assert!((9..60).contains(&asked), "{asked}");
    }

    #[test]
    fn a_duplicate_is_final_until_the_slot_is_told_anew() {
        let (book, now) = (book(), Instant::now());
        tell(&book, &[slot(3)], &[]);
        emptied(&book, 3, now);
        assert_eq!(wishes(&book, NINE, now).len(), 1);
        assert_eq!(book.heard(3, Held::Duplicate), Some(PinEnd::Duplicate));
        assert_eq!(wishes(&book, NINE + 1, now + Duration::from_secs(9_999)), []);
        tell(&book, &[slot(3)], &[]);
        emptied(&book, 3, now);
        assert_eq!(wishes(&book, NINE, now).len(), 1);
    }

    #[test]
    fn a_slot_that_is_cleared_is_emptied_whatever_it_holds_and_then_nobodys() {
        let (book, now) = (book(), Instant::now());
        tell(&book, &[], &[9]);
        assert_eq!(wishes(&book, NINE, now), [(9, None)]);
        assert_eq!(book.heard(9, Held::Taken), None);
        assert_eq!(book.heard(9, Held::Free), Some(PinEnd::Cleared));
        assert_eq!(book.heard(9, Held::Free), None);
        assert_eq!(book.heard(5, Held::Taken), None, "a slot of somebody else");
        assert_eq!(wishes(&book, NINE, now), []);
    }

    #[test]
    fn without_the_time_nothing_changes() {
        let book = book();
        tell(&book, &[slot(3)], &[]);
        assert!(book.due(None, Instant::now()).is_none());
    }

    #[test]
    fn the_book_outlives_a_start_and_holds_no_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins.json");
        let open = || -> Opener { Box::new(|_, sealed| Some(Zeroizing::new(sealed.replace("sealed", "")))) };
        let book = PinBook::open(Some(path.clone()), open()).unwrap();
        tell(&book, &[slot(3)], &[]);
        emptied(&book, 3, Instant::now());
        drop(book);
        let book = PinBook::open(Some(path.clone()), open()).unwrap();
        assert_eq!(wishes(&book, NINE, Instant::now()), [(3, Some("0220".into()))]);
        assert!(!format!("{book:?}").contains("0220"));
        std::fs::write(&path, "[]").unwrap();
        assert!(PinBook::open(Some(path), open()).is_err());
    }
}
