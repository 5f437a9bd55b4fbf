//! A lock's chain of events as far as the backend has it (`docs/PROTOCOL.md`, "Events").

/// Events that are missing, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Number of the first.
    pub from: u64,
    /// Number of the last.
    pub to: u64,
}

/// What is stored of a lock's present chain, and what the lock has told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The chain; `None` before its first event.
    pub chain: Option<String>,
    /// How many events are stored without a gap.
    pub events: u64,
    /// The numbers of events that are stored behind that, ascending.
    pub beyond: Vec<u64>,
    /// The newest event that the lock has named in a hello: its chain and its number.
    pub told: Option<(String, u64)>,
}

impl Progress {
    /// The gaps, in order.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut next = self.events;
        for stored in &self.beyond {
            if *stored > next {
                missing.push(Missing {
                    from: next,
                    to: *stored - 1,
                });
            }
            next = next.max(*stored + 1);
        }
        if let Some((chain, newest)) = &self.told {
            // Of a chain that has not begun here, everything is missing.
            let from = if self.chain.as_ref() == Some(chain) { next } else { 0 };
            if *newest >= from {
                missing.push(Missing { from, to: *newest });
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_lies_between_the_stored_and_before_the_told() {
        let progress = |chain: Option<&str>, events, beyond: &[u64], told: Option<(&str, u64)>| Progress {
            chain: chain.map(str::to_owned),
            events,
            beyond: beyond.to_vec(),
            told: told.map(|(chain, seq)| (chain.to_owned(), seq)),
        };
        for (what, progress, missing) in [
            ("nothing ever said", progress(None, 0, &[], None), vec![]),
            ("whole", progress(Some("a"), 5, &[], None), vec![]),
            (
                "whole, and told so",
                progress(Some("a"), 5, &[], Some(("a", 4))),
                vec![],
            ),
            ("told of less", progress(Some("a"), 5, &[], Some(("a", 0))), vec![]),
            (
                "one at the end",
                progress(Some("a"), 5, &[], Some(("a", 5))),
                vec![(5, 5)],
            ),
            (
                "one before the stored",
                progress(Some("a"), 5, &[6], Some(("a", 6))),
                vec![(5, 5)],
            ),
            (
                "two, and more at the end",
                progress(Some("a"), 5, &[7, 8, 10], Some(("a", 12))),
                vec![(5, 6), (9, 9), (11, 12)],
            ),
            (
                "stored behind what is told",
                progress(Some("a"), 5, &[9], Some(("a", 6))),
                vec![(5, 8)],
            ),
            (
                "a chain that has not begun",
                progress(None, 0, &[], Some(("a", 2))),
                vec![(0, 2)],
            ),
            ("its first event is late", progress(None, 0, &[1], None), vec![(0, 0)]),
            ("a new chain", progress(Some("a"), 5, &[], Some(("b", 0))), vec![(0, 0)]),
        ] {
            let found: Vec<_> = progress.missing().iter().map(|gap| (gap.from, gap.to)).collect();
            assert_eq!(found, missing, "{what}");
        }
    }
}
