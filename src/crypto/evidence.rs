//! Checks an export of access logs with nothing but the public keys: that nothing in it was changed, and, of an export that has
//! a whole log, that nothing was left out or added (`docs/EVIDENCE.md` has the form).

use std::io::{self, BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::leaf::in_tree;
use super::merkle::{self, Frontier, Hash, NO_LEAF};
use super::note::{Checkpoint, NoteError, NoteKey};
use crate::domain::access_log::visibility::Sight;
use crate::domain::time::Timestamp;

mod line;

use line::{Entry, Head, Line, Proof};

/// How many bytes are read of a line at most; no entry is nearly as long.
const LONGEST_LINE: u64 = 1 << 20;

/// How many numbers of entries are kept for the report.
const NUMBERS: usize = 20;

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Of each log in it.
    pub logs: Vec<Checked>,
    /// Lines that are no part of a log.
    pub other_lines: u64,
}

/// What was found of one log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Which log.
    pub origin: String,
    /// How many entries it had when the export was made.
    pub size: u64,
    /// When the last of them was written down, as the signed note says.
    pub as_of: Option<Timestamp>,
    /// Whether every one of them is accounted for.
    pub is_whole: bool,
    /// Entries that stand in the log exactly so; names of doors and people, which may change, are no part of an entry.
    pub proven: u64,
    /// Entries of which the place in the log is proven, and that show nothing: they are not for whoever exported.
    pub sealed: u64,
    /// Entries of which the place in the log is proven, and that say nothing any more: they were forgotten when their time was
    /// over. Of a whole log, entries of it say which.
    pub forgotten: u64,
    /// Entries of which the place is proven, and what they say is not, because they are shown without who.
    pub claimed: u64,
    /// The numbers of the first of those.
    pub first_claimed: Vec<i64>,
    /// The size of the earlier checkpoint that this log has grown from.
    pub grown_from: Option<u64>,
}

/// The export cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum NotEvidence {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
    /// A line is not what an export has.
    #[error("line {line}: {what}")]
    Malformed {
        /// Which, from 1.
        line: u64,
        /// Why not.
        what: String,
    },
    /// A house's own file has no end, or one that does not fit, or goes on behind it.
    #[error("the file has no end that fits: lines of it are missing, or were added")]
    CutOff,
    /// A checkpoint is not the log's.
    #[error("line {line}: the checkpoint of {origin} cannot be believed")]
    Checkpoint {
        /// Which, from 1.
        line: u64,
        /// Which log it says it is.
        origin: String,
        /// Why.
        source: NoteError,
    },
    /// No key was given for a log in the file.
    #[error("line {line}: there is no key of {}; give the one that you know as that log's", origin.escape_debug())]
    NoKey {
        /// Which, from 1.
        line: u64,
        /// Which log.
        origin: String,
    },
    /// An entry is not the one that was sealed.
    #[error("entry {seq} of {origin} was changed")]
    Changed {
        /// Its number.
        seq: i64,
        /// In which log.
        origin: String,
    },
    /// An entry is not there.
    #[error("entry {seq} of {origin} is missing")]
    Missing {
        /// Its number.
        seq: i64,
        /// In which log.
        origin: String,
    },
    /// An entry is not in the log, or another stands there twice.
    #[error("entry {seq} of {origin} was added, or does not stand where it belongs")]
    Added {
        /// Its number.
        seq: i64,
        /// In which log.
        origin: String,
    },
    /// The hashes of all entries do not make the root that was signed.
    #[error("the entries of {origin} together are not those that were signed")]
    OtherRoot {
        /// Which log.
        origin: String,
    },
    /// An entry was for whoever exported, and is not shown.
    #[error("entry {seq} of {origin} was hidden from those for whom it was written down")]
    Withheld {
        /// Its number.
        seq: i64,
        /// Which log.
        origin: String,
    },
    /// An entry says nothing any more, and the log does not say that it was forgotten.
    #[error("entry {seq} of {origin} was emptied: no entry of the log says that it was forgotten")]
    Emptied {
        /// Its number.
        seq: i64,
        /// Which log.
        origin: String,
    },
    /// The log in the file is shorter than one that is known.
    #[error(
        "the file has {has} entries of {origin}, fewer than the {size} of your checkpoint: it was exported before that, or the log was cut back since, as by a restore from a backup (an alarm `restored` says so)"
    )]
    Shorter {
        /// How many entries the known checkpoint speaks of.
        size: u64,
        /// How many the file's does.
        has: u64,
        /// Which log.
        origin: String,
    },
    /// A log that is known from before is not the beginning of this one.
    #[error(
        "{origin} was rewritten: the {size} entries that were signed before are not its beginning (a restore from a backup does that too, and says so by an alarm `restored`)"
    )]
    Rewritten {
        /// How many entries the earlier checkpoint speaks of.
        size: u64,
        /// Which log.
        origin: String,
    },
    /// An export with a part of a log cannot be held against an earlier checkpoint.
    #[error("the file has a part of {origin} only: ask for the proof that it has grown from your checkpoint")]
    NotWhole {
        /// Which log.
        origin: String,
    },
    /// There is nothing to check.
    #[error("there is no checkpoint in the file: only exports as JSON lines can be checked")]
    Empty,
}

/// Checks the file, a line at a time, against the keys that the auditor knows and the checkpoints that they have kept.
///
/// # Errors
/// [`NotEvidence`], for the first thing that does not hold.
pub fn check(mut file: impl BufRead, keys: &[NoteKey], kept: &[Checkpoint]) -> Result<Report, NotEvidence> {
    let mut report = Report::default();
    let mut log: Option<Log<'_>> = None;
    let (mut text, mut ended) = (Vec::new(), None);
    for line in 1.. {
        text.clear();
        if file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text)? == 0 {
            break;
        }
        if ended == Some(true) {
            // Something comes behind the end.
            return Err(NotEvidence::CutOff);
        }
        let parsed = match (serde_json::from_slice(&text), line) {
            (Ok(parsed), _) => parsed,
            // Another format altogether, such as CSV.
            (Err(_), 1) => return Err(NotEvidence::Empty),
            (Err(error), line) => {
                let what = error.to_string();
                return Err(NotEvidence::Malformed { line, what });
            }
        };
        match parsed {
            Line::LogCheckpoint(head) => {
                if let Some(before) = log.replace(Log::begin(head, keys, kept, line)?) {
                    report.logs.push(before.end()?);
                }
            }
            Line::LogEntry(entry) => {
                let log = log.as_mut().ok_or(NotEvidence::Empty)?;
                log.take(&entry.proof, Some(&entry))
                    .map_err(|bad| log.blame(bad, entry.proof.seq, line))?;
            }
            Line::LogLeaf(proof) => {
                let log = log.as_mut().ok_or(NotEvidence::Empty)?;
                log.take(&proof, None).map_err(|bad| log.blame(bad, proof.seq, line))?;
            }
            Line::Organization => {
                report.other_lines += 1;
                ended = Some(false);
            }
            Line::End { lines } => {
                report.other_lines += 1;
                ended = Some(lines.checked_add(1) == Some(line));
            }
            Line::Other => report.other_lines += 1,
        }
    }
    if ended == Some(false) {
        return Err(NotEvidence::CutOff);
    }
    report.logs.push(log.ok_or(NotEvidence::Empty)?.end()?);
    Ok(report)
}

/// What is wrong with an entry.
enum Bad {
    Rewritten(u64),
    Withheld,
    Changed,
    Missing(i64),
    Added,
    Malformed(&'static str),
}

/// A log that is being checked.
struct Log<'a> {
    organization: String,
    /// What the auditor has kept of it.
    kept: Vec<&'a Checkpoint>,
    checkpoint: Checkpoint,
    found: Checked,
    last: i64,
    frontier: Frontier,
    /// What says nothing any more, as first and last numbers.
    forgotten: Vec<(i64, i64)>,
    /// What entries of the log say was forgotten.
    named: Vec<(i64, i64)>,
}

/// The first of these numbers that no entry of the log says was forgotten.
fn first_unnamed(forgotten: &[(i64, i64)], mut named: Vec<(i64, i64)>) -> Option<i64> {
    named.sort_unstable();
    let mut named = named.into_iter().peekable();
    for (first, last) in forgotten.iter().copied() {
        let mut next = first;
        while next <= last {
            // What ends before it names none of what comes after either.
            while named.next_if(|(_, end)| *end < next).is_some() {}
            match named.peek() {
                Some((begin, end)) if *begin <= next => next = end.saturating_add(1),
                _ => return Some(next),
            }
        }
    }
    None
}

impl<'a> Log<'a> {
    fn begin(head: Head, keys: &[NoteKey], kept: &'a [Checkpoint], line: u64) -> Result<Self, NotEvidence> {
        let malformed = |what: &str| NotEvidence::Malformed {
            line,
            what: what.to_owned(),
        };
        // The key in the file says which log it is, and never whom to believe.
        let (origin, _) = head.key.split_once('+').ok_or_else(|| malformed("it has no key"))?;
        let origin = origin.to_owned();
        if origin.rsplit('/').next() != Some(&head.organization_id) {
            return Err(malformed("its key is another organization's"));
        }
        let Some(key) = keys.iter().find(|key| key.name() == origin) else {
            return Err(NotEvidence::NoKey { line, origin });
        };
        let checkpoint = key.open(&head.checkpoint);
        let checkpoint = checkpoint.map_err(|source| NotEvidence::Checkpoint {
            line,
            origin: origin.clone(),
            source,
        })?;
        // Numbers of entries are 63 bits wide.
        if i64::try_from(checkpoint.size).is_err() {
            return Err(malformed("no log has so many entries"));
        }
        let kept: Vec<&Checkpoint> = kept.iter().filter(|kept| kept.origin == origin).collect();
        if let Some(newer) = kept.iter().find(|kept| kept.size > checkpoint.size) {
            return Err(NotEvidence::Shorter {
                size: newer.size,
                has: checkpoint.size,
                origin,
            });
        }
        if !kept.is_empty() && !head.is_whole {
            return Err(NotEvidence::NotWhole { origin });
        }
        Ok(Self {
            organization: head.organization_id,
            found: Checked {
                origin,
                size: checkpoint.size,
                as_of: checkpoint.as_of,
                grown_from: kept.iter().map(|kept| kept.size).max(),
                is_whole: head.is_whole,
                ..Checked::default()
            },
            checkpoint,
            kept,
            last: 0,
            frontier: Frontier::default(),
            forgotten: Vec::new(),
            named: Vec::new(),
        })
    }

    fn take(&mut self, proof: &Proof, entry: Option<&Entry>) -> Result<(), Bad> {
        let seq = proof.seq;
        let index = u64::try_from(seq)
            .ok()
            .and_then(|seq| seq.checked_sub(1))
            .ok_or(Bad::Added)?;
        if seq <= self.last || index >= self.checkpoint.size {
            return Err(Bad::Added);
        }
        if self.found.is_whole && seq != self.last + 1 {
            return Err(Bad::Missing(self.last + 1));
        }
        self.last = seq;
        let leaf = proof.leaf.as_deref().ok_or(Bad::Missing(seq))?;
        let leaf: Hash = bytes_of(leaf).ok_or(Bad::Malformed("its leaf is no hash"))?;
        if leaf == NO_LEAF {
            return Err(Bad::Missing(seq));
        }
        let sees = proof
            .staff_sees
            .as_deref()
            .ok_or(Bad::Malformed("it does not say who sees it"))?;
        let in_tree = in_tree(&leaf, sees);
        if self.found.is_whole {
            let node = proof.node.as_deref().and_then(hash_of);
            let node = node.ok_or(Bad::Malformed("it has no node"))?;
            if merkle::leaf_hash(&in_tree) != node {
                return Err(Bad::Changed);
            }
            self.frontier.push(node);
            if let Some(kept) = self.kept.iter().find(|kept| kept.size == index + 1)
                && kept.root != self.frontier.root()
            {
                return Err(Bad::Rewritten(kept.size));
            }
        } else {
            let path = proof.proof.as_deref().ok_or(Bad::Malformed("it has no proof"))?;
            let path: Option<Vec<Hash>> = path.iter().map(|hash| hash_of(hash)).collect();
            let path = path.ok_or(Bad::Malformed("its proof is none"))?;
            let Checkpoint { root, size, .. } = &self.checkpoint;
            merkle::check_inclusion(root, *size, index, &in_tree, &path).map_err(|_| Bad::Changed)?;
        }
        match (entry, proof.salt.as_deref()) {
            (Some(entry), Some(salt)) => {
                let salt = bytes_of(salt).map(u128::from_be_bytes);
                let salt = salt.ok_or(Bad::Malformed("its salt is none"))?;
                if entry.leaf(&self.organization, salt) != leaf {
                    return Err(Bad::Changed);
                }
                self.found.proven += 1;
                self.named.extend(entry.forgets());
            }
            // Of a whole log everything is there that was for staff when it was written down.
            (None, _) if self.found.is_whole && sees != Sight::Nothing.as_str() => return Err(Bad::Withheld),
            (None, _) => self.found.sealed += 1,
            (Some(entry), None) if entry.says_nothing() => {
                self.found.forgotten += 1;
                match self.forgotten.last_mut() {
                    Some(last) if last.1 + 1 == seq => last.1 = seq,
                    _ => self.forgotten.push((seq, seq)),
                }
            }
            // Only what is shown without who comes without its salt.
            (Some(entry), None) if entry.names_somebody() => return Err(Bad::Changed),
            (Some(_), None) => {
                self.found.claimed += 1;
                if self.found.first_claimed.len() < NUMBERS {
                    self.found.first_claimed.push(seq);
                }
            }
        }
        Ok(())
    }

    fn blame(&self, bad: Bad, seq: i64, line: u64) -> NotEvidence {
        let origin = self.found.origin.clone();
        match bad {
            Bad::Changed => NotEvidence::Changed { seq, origin },
            Bad::Withheld => NotEvidence::Withheld { seq, origin },
            Bad::Rewritten(size) => NotEvidence::Rewritten { size, origin },
            Bad::Missing(seq) => NotEvidence::Missing { seq, origin },
            Bad::Added => NotEvidence::Added { seq, origin },
            Bad::Malformed(what) => NotEvidence::Malformed {
                line,
                what: format!("entry {seq}: {what}"),
            },
        }
    }

    fn end(self) -> Result<Checked, NotEvidence> {
        let Self {
            found,
            checkpoint,
            forgotten,
            named,
            ..
        } = self;
        if found.is_whole {
            let had = u64::try_from(self.last).unwrap_or_default();
            if had < found.size {
                return Err(NotEvidence::Missing {
                    seq: self.last + 1,
                    origin: found.origin,
                });
            }
            if self.frontier.root() != checkpoint.root {
                return Err(NotEvidence::OtherRoot { origin: found.origin });
            }
            if let Some(seq) = first_unnamed(&forgotten, named) {
                let origin = found.origin;
                return Err(NotEvidence::Emptied { seq, origin });
            }
        }
        Ok(found)
    }
}

/// A hash as base64.
fn hash_of(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// So many bytes as hexadecimal.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_an_end_ends_there() {
        let begin = "{\"what\":\"organization\"}\n";
        for rest in [
            "",
            "{\"what\":\"end\",\"lines\":0}\n",
            "{\"what\":\"end\",\"lines\":2}\n",
            "{\"what\":\"end\",\"lines\":18446744073709551615}\n",
            "{\"what\":\"end\",\"lines\":1}\n{\"what\":\"unit\"}\n",
        ] {
            let found = check(format!("{begin}{rest}").as_bytes(), &[], &[]);
            assert!(matches!(found, Err(NotEvidence::CutOff)), "{rest}: {found:?}");
        }
        // It ends where it says, and has no log.
        let found = check(
            format!("{begin}{{\"what\":\"end\",\"lines\":1}}\n").as_bytes(),
            &[],
            &[],
        );
        assert!(matches!(found, Err(NotEvidence::Empty)), "{found:?}");
    }

    #[test]
    fn what_is_emptied_has_to_be_named() {
        for (forgotten, named, missing) in [
            (vec![], vec![], None),
            (vec![], vec![(1, 9)], None),
            (vec![(2, 2)], vec![], Some(2)),
            (vec![(2, 4)], vec![(2, 4)], None),
            (vec![(2, 4)], vec![(4, 4), (1, 3)], None),
            (vec![(2, 4)], vec![(2, 2), (4, 4)], Some(3)),
            (vec![(2, 4), (7, 8)], vec![(1, 5)], Some(7)),
            (vec![(2, 4), (7, 8)], vec![(1, 9)], None),
            (vec![(2, 4), (7, 8)], vec![(2, 4), (2, 7), (8, 8)], None),
            (vec![(5, 5)], vec![(9, 1)], Some(5)),
            (vec![(5, 5)], vec![(0, i64::MAX)], None),
        ] {
            assert_eq!(
                first_unnamed(&forgotten, named.clone()),
                missing,
                "{forgotten:?} {named:?}"
            );
        }
    }
}
