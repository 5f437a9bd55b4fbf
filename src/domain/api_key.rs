//! API keys: what a program shows instead of a password, and how far each reaches.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::account::Role;
use super::ids::{ApiKeyId, OrganizationId, PersonId};
use super::text::{self, BadText};
use super::time::Timestamp;

/// What a key is called by whoever made it: 1 to 64 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

text::line_type!(KeyName, 64);

/// One thing that a key may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyScope {
    /// Open and lock what its account was given, and see how that came out.
    #[serde(rename = "unlock")]
    Unlock,
    /// See properties, their units and who lives there.
    #[serde(rename = "places:read")]
    PlacesRead,
    /// See locks.
    #[serde(rename = "locks:read")]
    LocksRead,
    /// See who may open what.
    #[serde(rename = "grants:read")]
    GrantsRead,
    /// Give access to others, change it and take it back.
    #[serde(rename = "grants:write")]
    GrantsWrite,
    /// Read and export the access log, as far as a viewer may.
    #[serde(rename = "log:read")]
    LogRead,
    /// Work on lock-outs, as the desk does.
    #[serde(rename = "lockouts")]
    Lockouts,
    /// Work on visits, as the desk does.
    #[serde(rename = "visits")]
    Visits,
}

impl KeyScope {
    /// Every scope, in the order in which a key keeps them.
    pub const ALL: [Self; 8] = [
        Self::Unlock,
        Self::PlacesRead,
        Self::LocksRead,
        Self::GrantsRead,
        Self::GrantsWrite,
        Self::LogRead,
        Self::Lockouts,
        Self::Visits,
    ];

    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::PlacesRead => "places:read",
            Self::LocksRead => "locks:read",
            Self::GrantsRead => "grants:read",
            Self::GrantsWrite => "grants:write",
            Self::LogRead => "log:read",
            Self::Lockouts => "lockouts",
            Self::Visits => "visits",
        }
    }

    /// The role that the account of a program has for as long as it uses this scope: the least of those that may do it.
    /// Never an owner: what only owners may is done by persons.
    #[must_use]
    pub const fn stands_for(self) -> Role {
        match self {
            Self::Unlock => Role::Service,
            Self::PlacesRead | Self::LocksRead | Self::Lockouts | Self::Visits => Role::Desk,
            Self::GrantsRead | Self::LogRead => Role::Viewer,
            Self::GrantsWrite => Role::Manager,
        }
    }
}

/// A text is not a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the scope of a key, such as locks:read")]
pub struct BadScope;

impl FromStr for KeyScope {
    type Err = BadScope;

    fn from_str(word: &str) -> Result<Self, BadScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or(BadScope)
    }
}

/// A key as it is asked for, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is called.
    pub name: KeyName,
    /// What it is to be good for.
    pub scopes: Vec<KeyScope>,
    /// Its end, exclusive.
    pub ends_at: Timestamp,
}

impl NewKey {
    /// The longest life of a key: a year, and some weeks to put the next one in its place.
    pub const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

    /// The most keys of one account that count at once.
    pub const MOST: usize = 20;

    /// The same with its scopes in order, if such a key makes sense at `now`.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`BadKey`].
    pub fn check(self, now: Timestamp) -> Result<Self, BadKey> {
        let scopes: Vec<KeyScope> = (KeyScope::ALL.into_iter())
            .filter(|scope| self.scopes.contains(scope))
            .collect();
        if scopes.is_empty() || scopes.len() != self.scopes.len() {
            return Err(BadKey::Scopes);
        }
        if self.ends_at <= now {
            return Err(BadKey::EndsInPast);
        }
        if self.ends_at > now + Self::LONGEST {
            return Err(BadKey::TooLong);
        }
        Ok(Self { scopes, ..self })
    }
}

/// Why a key cannot be made like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// No scope, or one twice.
    #[error("name one scope or more, each once")]
    Scopes,
    /// It would have ended already.
    #[error("a key ends in the future")]
    EndsInPast,
    /// It would count for longer than [`NewKey::LONGEST`].
    #[error("a key counts for {} days at most", NewKey::LONGEST.as_secs() / 86_400)]
    TooLong,
}

impl BadKey {
    /// The field of the request that it is about (`docs/API.md`, "API keys").
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::EndsInPast | Self::TooLong => "expires_at",
        }
    }
}

/// A key of a program's account, without the key itself: that is shown once and kept as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which.
    pub id: ApiKeyId,
    /// The account that whoever shows it acts as.
    pub account: PersonId,
    /// Where it is good.
    pub organization: OrganizationId,
    /// What it is called.
    pub name: KeyName,
    /// What it is good for, in the order of [`KeyScope::ALL`].
    pub scopes: Vec<KeyScope>,
    /// Who made it.
    pub made_by: PersonId,
    /// Since when it counts.
    pub created_at: Timestamp,
    /// Until when it counts, exclusive.
    pub ends_at: Timestamp,
    /// When it was shown last, to the minute; `None` where never.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// How old [`Self::last_used_at`] is at least before it is written anew.
    pub const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

    /// Whether a use at `now` is to be written down.
    #[must_use]
    pub fn is_use_noted(&self, now: Timestamp) -> bool {
        self.last_used_at
            .is_none_or(|last| now.since(last) >= Self::USE_NOTED_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: &[KeyScope], ends_at: Timestamp) -> NewKey {
        NewKey {
            name: "Bookings".to_owned().try_into().unwrap(),
            scopes: scopes.to_vec(),
            ends_at,
        }
    }

    #[test]
    fn a_key_has_scopes_and_an_end() {
        let now = Timestamp::from_millis(1_000_000);
        let ms = Duration::from_millis(1);
        let one = &[KeyScope::Unlock][..];
        for (scopes, ends_at, expected) in [
            (one, now + ms, None),
            (one, now, Some(BadKey::EndsInPast)),
            (one, now - ms, Some(BadKey::EndsInPast)),
            (one, now + NewKey::LONGEST, None),
            (one, now + NewKey::LONGEST + ms, Some(BadKey::TooLong)),
            (&[], now + ms, Some(BadKey::Scopes)),
            (&[KeyScope::Unlock, KeyScope::Unlock], now + ms, Some(BadKey::Scopes)),
            (&KeyScope::ALL, now + ms, None),
        ] {
            assert_eq!(key(scopes, ends_at).check(now).err(), expected, "{scopes:?} {ends_at}");
        }
    }

    #[test]
    fn scopes_are_kept_in_one_order() {
        let now = Timestamp::MIN;
        let asked = [KeyScope::Visits, KeyScope::Unlock, KeyScope::LogRead];
        let kept = key(&asked, now + NewKey::LONGEST).check(now).unwrap().scopes;
        assert_eq!(kept, [KeyScope::Unlock, KeyScope::LogRead, KeyScope::Visits]);
    }

    #[test]
    fn a_scope_is_its_word_and_never_makes_an_owner() {
        for scope in KeyScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_ne!(scope.stands_for(), Role::Owner, "{scope:?}");
            let writes = matches!(scope, KeyScope::GrantsWrite);
            assert_eq!(scope.stands_for().manages(), writes, "{scope:?}");
        }
        assert!("everything".parse::<KeyScope>().is_err());
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let at = Timestamp::from_millis;
        for (last_ms, now_ms, noted) in [
            (None, 0, true),
            (Some(0), 59_999, false),
            (Some(0), 60_000, true),
            // A clock that went back.
            (Some(60_000), 0, false),
        ] {
            let key = ApiKey {
                id: ApiKeyId::from_bits(1),
                account: PersonId::from_bits(1),
                organization: OrganizationId::from_bits(1),
                name: "Bookings".to_owned().try_into().unwrap(),
                scopes: vec![KeyScope::Unlock],
                made_by: PersonId::from_bits(2),
                created_at: at(0),
                ends_at: Timestamp::MAX,
                last_used_at: last_ms.map(at),
            };
            assert_eq!(key.is_use_noted(at(now_ms)), noted, "{last_ms:?} {now_ms}");
        }
    }
}
