//! Storage with a fuse, and hands that count.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use doorward_lock::journal::State;
use doorward_lock::shell::{Record, Shell, Storage};
use doorward_lock::wire::Action;

use super::claims;

/// Storage in memory. With a fuse of `n` the power is gone with the `n`th write from now: that one may or may not have
/// been stored, and nothing works until [`Disk::power_on`].
#[derive(Debug, Clone, Default)]
pub struct Disk(Rc<RefCell<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    records: HashMap<Record, Vec<u8>>,
    fuse: Option<u32>,
    last_is_stored: bool,
    is_dead: bool,
    slots: u32,
    write_ms: u64,
    written_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerGone;

impl Disk {
    pub fn new(slots: u32) -> Self {
        let disk = Self::default();
        disk.0.borrow_mut().slots = slots;
        disk
    }

    pub fn set_fuse(&self, writes: u32, last_is_stored: bool) {
        let mut platter = self.0.borrow_mut();
        platter.fuse = Some(writes);
        platter.last_is_stored = last_is_stored;
    }

    /// Makes every write from now on take this long.
    pub fn make_slow(&self, write_ms: u64) {
        self.0.borrow_mut().write_ms = write_ms;
    }

    pub fn power_on(&self) {
        let mut platter = self.0.borrow_mut();
        platter.fuse = None;
        platter.is_dead = false;
    }

    pub fn state(&self) -> Option<State> {
        let platter = self.0.borrow();
        let bytes = platter.records.get(&Record::State)?;
        Some(serde_json_core::from_slice(bytes).unwrap().0)
    }

    pub fn spoil(&self, record: Record) {
        self.0.borrow_mut().records.insert(record, b"rubbish".to_vec());
    }

    /// Everything that is stored, record by record.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        self.0.borrow().records.values().cloned().collect()
    }

    /// Whether an `attempt` with this cause is in the stored chain.
    pub fn has_attempt(&self, cause: &serde_json::Value) -> bool {
        let state = self.state().unwrap();
        self.0.borrow().records.iter().any(|(record, bytes)| {
            matches!(record, Record::Event(_)) && {
                let event = claims(std::str::from_utf8(bytes).unwrap());
                event["kind"] == "attempt"
                    && event["cause"] == *cause
                    && event["seq"].as_u64().unwrap() < state.chain.next()
            }
        })
    }
}

impl Storage for Disk {
    type Error = PowerGone;

    fn write(&mut self, record: Record, bytes: &[u8]) -> Result<(), PowerGone> {
        let mut platter = self.0.borrow_mut();
        if platter.is_dead {
            return Err(PowerGone);
        }
        platter.written_ms += platter.write_ms;
        if let Some(left) = platter.fuse {
            platter.is_dead = left <= 1;
            platter.fuse = Some(left.saturating_sub(1));
        }
        if !platter.is_dead || platter.last_is_stored {
            platter.records.insert(record, bytes.to_vec());
        }
        if platter.is_dead { Err(PowerGone) } else { Ok(()) }
    }

    fn read(&mut self, record: Record, into: &mut [u8]) -> Result<Option<usize>, PowerGone> {
        let platter = self.0.borrow();
        if platter.is_dead {
            return Err(PowerGone);
        }
        Ok(platter.records.get(&record).map(|bytes| {
            into[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }))
    }

    fn event_slots(&self) -> u32 {
        self.0.borrow().slots
    }
}

/// A movement that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub act: Action,
    /// Of the token, where it was one.
    pub jti: String,
    pub cause: serde_json::Value,
    pub boot: u32,
    pub mono_ms: u64,
}

/// Hands that count.
#[derive(Debug)]
pub struct Hands {
    pub mono_ms: u64,
    pub disk: Disk,
    pub published: Vec<(String, String)>,
    pub shown: Vec<String>,
    pub movements: Vec<Movement>,
    pub is_forgotten: bool,
    draws: u64,
}

impl Hands {
    /// Hands that have done nothing yet, before the storage that they look at.
    pub fn new(disk: Disk, mono_ms: u64) -> Self {
        Self {
            mono_ms,
            disk,
            published: Vec::new(),
            shown: Vec::new(),
            movements: Vec::new(),
            is_forgotten: false,
            draws: 7,
        }
    }
}

impl Shell for Hands {
    fn mono_ms(&self) -> u64 {
        self.mono_ms + self.disk.0.borrow().written_ms
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            // Any sequence does that does not repeat soon (SplitMix64).
            self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.draws ^ (self.draws >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed >> 56) as u8;
        }
    }

    fn publish(&mut self, node: &str, message: &str) {
        self.published.push((node.to_owned(), message.to_owned()));
    }

    fn show(&mut self, message: &str) {
        self.shown.push(message.to_owned());
    }

    fn begin_move(&mut self, act: Action) {
        let state = self.disk.state().expect("a movement needs a stored state");
        let command = state.underway.expect("a movement needs a stored command");
        assert_eq!(command.act, act);
        let cause = serde_json::to_value(command.origin.cause()).unwrap();
        assert!(self.disk.has_attempt(&cause), "a movement needs a stored attempt");
        self.movements.push(Movement {
            act,
            jti: cause["jti"].as_str().unwrap_or_default().to_owned(),
            cause,
            boot: state.boot,
            mono_ms: self.mono_ms,
        });
    }

    fn forget(&mut self) {
        self.is_forgotten = true;
    }
}
