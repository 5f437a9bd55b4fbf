//! Signed notes and checkpoints (<https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>): what an auditor keeps of
//! a log, and every tool for transparency logs reads.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::digest::digest;
use super::merkle::Hash;
use crate::domain::time::Timestamp;

/// The byte that says "Ed25519" in keys of notes.
const ED25519_KEY: u8 = 1;

/// What a line with a signature begins with: an em dash and a space.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// The state of a log: so many entries, with this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// When the last of them was written down; none of an empty log. An extension line, `as of` and the time.
    pub as_of: Option<Timestamp>,
}

/// What the line with the time begins with.
const AS_OF: &str = "as of ";

impl fmt::Display for Checkpoint {
    /// The text that is signed, with the line break at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))?;
        self.as_of.map_or(Ok(()), |as_of| writeln!(f, "{AS_OF}{as_of}"))
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    /// Reads the text of a note. Extensions that are not known mean nothing here.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.lines();
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Malformed);
        let (origin, size, root) = (line()?.to_owned(), line()?, line()?);
        let number = size.parse().map_err(|_| NoteError::Malformed)?;
        let root = STANDARD.decode(root).map_err(|_| NoteError::Malformed)?;
        let as_of = lines.find_map(|line| line.strip_prefix(AS_OF));
        let as_of = as_of.map(|time| time.parse().map_err(|_| NoteError::Malformed));
        // Exactly one way to write it: no sign, no zeros in front.
        let checkpoint = Self {
            origin,
            size: number,
            root: root.try_into().map_err(|_| NoteError::Malformed)?,
            as_of: as_of.transpose()?,
        };
        if number.to_string() == size {
            Ok(checkpoint)
        } else {
            Err(NoteError::Malformed)
        }
    }
}

/// A note cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is no note, or no checkpoint.
    #[error("it is no signed checkpoint")]
    Malformed,
    /// It is not signed by this key.
    #[error("it is not signed by this key")]
    OtherKey,
    /// It was changed after it was signed.
    #[error("its signature does not hold")]
    Forged,
}

/// A key as an auditor keeps it: `name+key id+key`, of which the name is the log's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    public: [u8; 32],
}

impl NoteKey {
    /// The key of that name.
    #[must_use]
    pub const fn new(name: String, public: [u8; 32]) -> Self {
        Self { name, public }
    }

    /// What it is called: the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes of a digest over name and key, by which a signature says whose it is.
    fn id(&self) -> [u8; 4] {
        let named = [self.name.as_bytes(), b"\n", &[ED25519_KEY], &self.public].concat();
        let [a, b, c, d, ..] = digest(&named);
        [a, b, c, d]
    }

    /// The checkpoint in the note, if this key has signed it.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = format!("{text}\n");
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut mine = None;
        for line in signatures.split('\n') {
            let line = line.strip_prefix(SIGNATURE_LINE).ok_or(NoteError::Malformed)?;
            let (name, signature) = line.split_once(' ').ok_or(NoteError::Malformed)?;
            let signature = STANDARD.decode(signature).map_err(|_| NoteError::Malformed)?;
            let (id, signature) = signature.split_at_checked(4).ok_or(NoteError::Malformed)?;
            if name == self.name && id == self.id() {
                mine.get_or_insert(signature.to_vec());
            }
        }
        let signature = mine.ok_or(NoteError::OtherKey)?;
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(text.as_bytes(), &signature)
            .map_err(|_| NoteError::Forged)?;
        let checkpoint: Checkpoint = text.parse()?;
        if checkpoint.origin == self.name {
            Ok(checkpoint)
        } else {
            Err(NoteError::OtherKey)
        }
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = STANDARD.encode([&[ED25519_KEY], self.public.as_slice()].concat());
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Malformed);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Malformed)?;
        let [ED25519_KEY, public @ ..] = key.as_slice() else {
            return Err(NoteError::Malformed);
        };
        let public = public.try_into().map_err(|_| NoteError::Malformed)?;
        let key = Self::new(name.to_owned(), public);
        if key.to_string() == text.trim() {
            Ok(key)
        } else {
            Err(NoteError::Malformed)
        }
    }
}

/// The checkpoint, signed under the name of its log.
#[must_use]
pub fn sign(checkpoint: &Checkpoint, pair: &Ed25519KeyPair) -> String {
    let key = key_of(pair, checkpoint.origin.clone());
    let text = checkpoint.to_string();
    let signature = [&key.id(), pair.sign(text.as_bytes()).as_ref()].concat();
    format!("{text}\n{SIGNATURE_LINE}{} {}\n", key.name, STANDARD.encode(signature))
}

/// The public half, under the name of a log.
#[must_use]
pub fn key_of(pair: &Ed25519KeyPair, name: String) -> NoteKey {
    let mut public = [0; 32];
    public.copy_from_slice(pair.public_key().as_ref());
    NoteKey::new(name, public)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "doors.example/access-log/org_1".to_owned(),
            size: 17,
            root: [9; 32],
            as_of: Some(Timestamp::MIN),
        }
    }

    #[test]
    fn a_note_opens_with_its_key_alone() {
        let (note, key) = (sign(&checkpoint(), &pair()), key_of(&pair(), checkpoint().origin));
        assert_eq!(key.open(&note), Ok(checkpoint()));
        let written: NoteKey = key.to_string().parse().unwrap();
        assert_eq!(written.open(&note), Ok(checkpoint()));
        // Others may have signed it too.
        let cosigned = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(key.open(&cosigned), Ok(checkpoint()));
        let other = NoteKey::new(checkpoint().origin, [1; 32]);
        assert_eq!(other.open(&note), Err(NoteError::OtherKey));
    }

    #[test]
    fn a_note_that_was_changed_is_not_believed() {
        let (note, key) = (sign(&checkpoint(), &pair()), key_of(&pair(), checkpoint().origin));
        assert_eq!(key.open(&note.replace("\n17\n", "\n16\n")), Err(NoteError::Forged));
        for broken in ["", "\n\n", "a", &note[..note.len() - 1], &note.replace('\u{2014}', "-")] {
            assert_eq!(key.open(broken), Err(NoteError::Malformed), "{broken:?}");
        }
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        for size in ["017", "+17", "-1", "", "1e3"] {
            let text = checkpoint().to_string().replace("\n17\n", &format!("\n{size}\n"));
            assert_eq!(text.parse::<Checkpoint>(), Err(NoteError::Malformed), "{size}");
        }
        let extended = format!("{}extension\n", checkpoint());
        assert_eq!(extended.parse(), Ok(checkpoint()));
    }

    #[test]
    fn a_key_is_known_by_its_id() {
        let text = key_of(&pair(), "doors.example".to_owned()).to_string();
        let (name, rest) = text.split_once('+').unwrap();
        assert_eq!(name, "doors.example");
        let (id, key) = rest.split_once('+').unwrap();
        assert_eq!(id.len(), 8);
        let other = format!("{name}+00000000+{key}");
        assert_eq!(other.parse::<NoteKey>(), Err(NoteError::Malformed));
    }
}
