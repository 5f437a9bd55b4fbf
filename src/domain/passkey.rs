//! Passkeys: keys of a person's own devices, by which they sign in without a password.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{PasskeyId, PersonId};
use super::text::{self, BadText};
use super::time::Timestamp;

/// The most passkeys that one person has at a time.
pub const MOST_PASSKEYS: usize = 20;

/// How long a challenge waits for its answer.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(5 * 60);

/// What a person calls a passkey: 1 to 64 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasskeyName(String);

text::line_type!(PasskeyName, 64);

/// A passkey that a person has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Which.
    pub id: PasskeyId,
    /// Whose.
    pub person: PersonId,
    /// What it is called.
    pub name: PasskeyName,
    /// The authenticator's name for it, base64url.
    pub credential: String,
    /// Its public key: COSE, base64url.
    pub public_key: String,
    /// How often it has signed, as its authenticator last said; 0 where that counts nothing.
    pub counter: u32,
    /// Whether its authenticator may copy it to other devices of the person. That never changes (WebAuthn Level 3, 6.1.3).
    pub synced: bool,
    /// Since when it is known here.
    pub registered_at: Timestamp,
    /// In which hour it was used last; `None` where it never was.
    pub used_at: Option<Timestamp>,
}

/// Whether a counter says that a passkey was copied by somebody: it should have grown (WebAuthn Level 3, 6.1.1).
/// Authenticators that count nothing say 0 each time.
#[must_use]
pub const fn is_copied(known: u32, shown: u32) -> bool {
    (known != 0 || shown != 0) && shown <= known
}

/// What a challenge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    /// To register a passkey.
    Register,
    /// To sign in.
    SignIn,
    /// To prove anew who one is.
    Prove,
}

impl Ceremony {
    /// The word for it in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign-in",
            Self::Prove => "prove",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_grows_or_counts_nothing() {
        for (known, shown, copied) in [
            (0, 0, false),
            (0, 1, false),
            (1, 2, false),
            (1, 1, true),
            (2, 1, true),
            (1, 0, true),
            (u32::MAX - 1, u32::MAX, false),
            (u32::MAX, 0, true),
        ] {
            assert_eq!(is_copied(known, shown), copied, "{known} {shown}");
        }
    }

    proptest! {
        #[test]
        fn of_two_that_show_the_same_count_one_is_a_copy(known in any::<u32>(), shown in 1_u32..) {
            // Whichever comes second finds its count noted by the first.
            prop_assert!(is_copied(known, shown) || is_copied(shown, shown));
        }
    }
}
