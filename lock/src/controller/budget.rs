//! How many refusals are written down within one minute: whoever makes them must not push other events out of storage.

/// The refusals of one minute of the lock's own counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    a_minute: u32,
    minute: u64,
    count: u32,
}

/// What becomes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is written down.
    Itself,
    /// One event says that there are too many.
    TooMany,
    /// It leaves nothing.
    Nothing,
}

impl Budget {
    pub(super) fn new(a_minute: u32) -> Self {
        Self {
            a_minute,
            minute: 0,
            count: 0,
        }
    }

    /// What becomes of a refusal now.
    pub(super) fn entry(&self, mono_ms: u64) -> Entry {
        match self.count_at(mono_ms / 60_000) {
            count if count < self.a_minute => Entry::Itself,
            count if count == self.a_minute => Entry::TooMany,
            _ => Entry::Nothing,
        }
    }

    /// Counts one that was written down now.
    pub(super) fn take(&mut self, mono_ms: u64) {
        let minute = mono_ms / 60_000;
        (self.minute, self.count) = (minute, self.count_at(minute).saturating_add(1));
    }

    fn count_at(&self, minute: u64) -> u32 {
        if self.minute == minute { self.count } else { 0 }
    }
}
