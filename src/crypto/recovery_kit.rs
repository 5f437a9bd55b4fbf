//! The recovery kit: the root key as a sheet of paper. Text that a person can print, and type back line by line; encrypted
//! under a passphrase, so that the sheet alone is worth nothing.
//!
//! 80 bytes: the form (1), a salt (16), nonce, number and tag of AES-256-GCM (12 + 32 + 16) under a key by argon2id, and
//! the first 3 bytes of the SHA-256 of all these. Ten a line in Crockford's base32, each line with two letters to check it.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::crypto::digest::digest;
use crate::crypto::keys::{KeyError, RootKey};
use crate::crypto::random::Random;
use crate::crypto::sealed::{NotSealed, SealingKey};
use crate::domain::time::Timestamp;

/// The only form so far.
const FORM: u8 = 1;

/// Argon2id of form 1: 64 MiB and three passes (RFC 9106, 4, the second recommended option, with one lane).
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

const SALT: usize = 16;
const SEALED: usize = 12 + 32 + 16;
const SUM: usize = 3;
const BYTES: usize = 1 + SALT + SEALED + SUM;
const LINES: usize = 8;
const LINE: usize = BYTES / LINES;

/// Letters of a line, and of its check.
const LETTERS: usize = LINE * 8 / 5;
const CHECK: usize = 2;

/// Crockford's base32: no I, L, O, U, which look or read like something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The fewest characters of a passphrase: whoever finds the sheet can guess as long as they like.
pub const SHORTEST_PASSPHRASE: usize = 12;

/// A kit could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// The passphrase is too short.
    #[error(
        "the passphrase is too short: {SHORTEST_PASSPHRASE} characters at least, such as five or six words by chance"
    )]
    ShortPassphrase,
    /// A line is not there.
    #[error("line {0} of the recovery kit is missing")]
    Missing(usize),
    /// A line is not what was printed.
    #[error("line {0} of the recovery kit is mistyped")]
    Mistyped(usize),
    /// Every line is good, and together they are not one kit.
    #[error("these lines are not of one recovery kit")]
    Mixed,
    /// Written by a later version.
    #[error("this version of Doorward does not know this form of a recovery kit")]
    OtherForm,
    /// It does not open.
    #[error("the passphrase is not the one of this recovery kit")]
    WrongPassphrase,
    /// The library did not hash or seal.
    #[error("the recovery kit could not be encrypted")]
    Library,
    /// What is in it is no key.
    #[error("the root key of the recovery kit cannot be used")]
    Key(#[from] KeyError),
}

impl From<NotSealed> for KitError {
    fn from(_: NotSealed) -> Self {
        Self::Library
    }
}

/// The sheet for the root key of the backend `issuer`.
///
/// # Errors
/// [`KitError::ShortPassphrase`]; [`KitError::Library`] where the machine lacks the memory.
pub fn write(
    root: &RootKey,
    issuer: &str,
    passphrase: &str,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Zeroizing<String>, KitError> {
    if passphrase.chars().count() < SHORTEST_PASSPHRASE {
        return Err(KitError::ShortPassphrase);
    }
    let mut salt = [0; SALT];
    random.fill(&mut salt);
    let sealed = key(passphrase, &salt)?.seal(root.scalar()?.as_ref(), random)?;
    let mut bytes = vec![FORM];
    bytes.extend(salt);
    bytes.extend(sealed);
    let sum = digest(&bytes);
    bytes.extend(&sum[..SUM]);
    let mut text = Zeroizing::new(format!(
        "Doorward recovery kit\n\
         \n\
         Root key of  {issuer}\n\
         Thumbprint   {}\n\
         Written      {now}\n\
         \n\
         With this sheet and its passphrase anybody can make keys that these locks believe. Keep it off the server,\n\
         and the passphrase apart from it. To use it, type the numbered lines into a file (upper or lower case, the\n\
         rest of the sheet may be left out) and give the file to `doorward keys rotate --root` or\n\
         `doorward keys import-root --from`.\n\
         \n",
        root.public().thumbprint()
    ));
    for (number, line) in (1..).zip(bytes.chunks(LINE)) {
        let letters = letters_of(line, LETTERS);
        let groups: Vec<&str> = (0..4).map(|group| &letters[group * 4..group * 4 + 4]).collect();
        text.push_str(&format!("{number}: {} {}\n", groups.join("-"), check_of(number, line)));
    }
    Ok(text)
}

/// The root key of a sheet, however it was typed: the numbered lines count, in any order.
///
/// # Errors
/// [`KitError`], which names the line that is wrong.
pub fn read(text: &str, passphrase: &str) -> Result<RootKey, KitError> {
    let bytes = bytes_of(text)?;
    let (content, sum) = bytes.split_at(BYTES - SUM);
    if digest(content)[..SUM] != *sum {
        return Err(KitError::Mixed);
    }
    let (form, rest) = content.split_at(1);
    if form != [FORM] {
        return Err(KitError::OtherForm);
    }
    let (salt, sealed) = rest.split_at(SALT);
    let opened = key(passphrase, salt)?.open(sealed).map(Zeroizing::new);
    let opened = opened.map_err(|_| KitError::WrongPassphrase)?;
    let scalar = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| KitError::OtherForm)?;
    Ok(RootKey::from_scalar(&Zeroizing::new(scalar))?)
}

fn key(passphrase: &str, salt: &[u8]) -> Result<SealingKey, KitError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|_| KitError::Library)?;
    let mut secret = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, secret.as_mut())
        .map_err(|_| KitError::Library)?;
    Ok(SealingKey::derive(secret.as_ref(), &[b"doorward-recovery-kit-v1"])?)
}

/// The bytes of the numbered lines.
fn bytes_of(text: &str) -> Result<Vec<u8>, KitError> {
    let mut lines: [Option<[u8; LINE]>; LINES] = [None; LINES];
    for line in text.lines() {
        let Some((number, typed)) = line.split_once(':') else {
            continue;
        };
        let number: usize = match number.trim().parse() {
            Ok(number @ 1..=LINES) => number,
            _ => continue,
        };
        lines[number - 1] = Some(line_of(number, typed).ok_or(KitError::Mistyped(number))?);
    }
    let mut bytes = Vec::with_capacity(BYTES);
    for (number, line) in (1..).zip(lines) {
        bytes.extend(line.ok_or(KitError::Missing(number))?);
    }
    Ok(bytes)
}

fn line_of(number: usize, typed: &str) -> Option<[u8; LINE]> {
    let mut letters = String::new();
    for letter in typed
        .chars()
        .filter(|letter| !matches!(letter, '-' | ' ' | '\t' | '\r'))
    {
        let meant = match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        };
        letters.push(meant);
    }
    let values: Option<Vec<u128>> = letters
        .bytes()
        .map(|letter| ALPHABET.iter().position(|known| *known == letter).map(|at| at as u128))
        .collect();
    let values = values.filter(|values| values.len() == LETTERS + CHECK)?;
    let bits = values[..LETTERS].iter().fold(0_u128, |bits, value| bits << 5 | value);
    let bytes: [u8; LINE] = bits.to_be_bytes()[16 - LINE..].try_into().ok()?;
    (check_of(number, &bytes) == letters[LETTERS..]).then_some(bytes)
}

/// `count` letters for the lowest bits of these bytes.
fn letters_of(bytes: &[u8], count: usize) -> String {
    let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let letters = (0..count).rev();
    letters
        .map(|at| char::from(ALPHABET[(bits >> (5 * at)) as usize & 31]))
        .collect()
}

/// The letters that check a line: they also tell it from the others.
fn check_of(number: usize, line: &[u8]) -> String {
    let sum = digest(&[&number.to_be_bytes()[7..], line].concat());
    letters_of(&sum[..2], CHECK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    const PASSPHRASE: &str = "correct horse battery staple";
    const NOW: Timestamp = Timestamp::from_millis(1_772_442_000_000);

    fn root() -> RootKey {
        RootKey::from_scalar(&[7; 32]).unwrap()
    }

    fn kit() -> Zeroizing<String> {
        write(&root(), "https://door.example", PASSPHRASE, NOW, &OsRandom).unwrap()
    }

    #[test]
    fn a_sheet_is_read_however_it_was_typed() {
        let kit = kit();
        assert!(kit.is_ascii() && kit.lines().all(|line| line.len() <= 120), "{}", *kit);
        assert!(kit.contains(&root().public().thumbprint()));
        let numbered: Vec<&str> = kit
            .lines()
            .filter(|line| line.as_bytes().get(1) == Some(&b':'))
            .collect();
        assert_eq!(numbered.len(), LINES);
        let backwards: Vec<String> = numbered.iter().rev().map(|line| line.to_lowercase()).collect();
        let sloppy: Vec<String> = numbered
            .iter()
            .map(|line| {
                let (number, letters) = line.split_once(':').unwrap();
                let letters = letters.replace('-', " ").replace('0', "o").replace('1', "l");
                format!(" {number} :{letters}\r")
            })
            .collect();
        for text in [kit.to_string(), backwards.join("\n"), sloppy.join("\n")] {
            let read = read(&text, PASSPHRASE).unwrap();
            assert_eq!(read.public(), root().public());
            assert_eq!(read.scalar().unwrap(), root().scalar().unwrap());
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let kit = kit();
        assert!(matches!(
            read(&kit, "another passphrase"),
            Err(KitError::WrongPassphrase)
        ));
        let without: Vec<&str> = kit.lines().filter(|line| !line.starts_with("3:")).collect();
        assert!(matches!(
            read(&without.join("\n"), PASSPHRASE),
            Err(KitError::Missing(3))
        ));
        let other = super::write(&root(), "https://door.example", PASSPHRASE, NOW, &OsRandom).unwrap();
        let fifth = |kit: &str| kit.lines().find(|line| line.starts_with("5:")).unwrap().to_owned();
        let mixed = kit.replace(&fifth(&kit), &fifth(&other));
        assert!(matches!(read(&mixed, PASSPHRASE), Err(KitError::Mixed)));
        assert!(matches!(read("", PASSPHRASE), Err(KitError::Missing(1))));
        assert!(matches!(
            write(&root(), "x", "short", NOW, &OsRandom),
            Err(KitError::ShortPassphrase)
        ));
    }

    #[test]
    fn a_letter_that_is_mistyped_is_found_with_its_line() {
        let kit = kit();
        let start = kit.find("\n2: ").unwrap() + 4;
        for at in [start, start + 7, start + 18, start + 20] {
            let mut typed = kit.to_string();
            let instead = if &typed[at..=at] == "7" { "8" } else { "7" };
            typed.replace_range(at..=at, instead);
            assert!(matches!(bytes_of(&typed), Err(KitError::Mistyped(2))), "{typed}");
        }
        let swapped = kit
            .replace("\n2: ", "\nx: ")
            .replace("\n3: ", "\n2: ")
            .replace("\nx: ", "\n3: ");
        assert!(matches!(bytes_of(&swapped), Err(KitError::Mistyped(_))));
    }
}
