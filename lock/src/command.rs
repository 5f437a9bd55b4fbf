//! A command that was accepted: what it asks of the bolt, who asked, and until when the bolt may begin to move.

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::base64url::Text16;
use crate::pins::MAX_CODE_NAME;
use crate::verify::{Deadline, MAX_NODE, Moment};
use crate::wire::{Action, Cause, LockTime, MAX_GID, Unlock};

/// How long a command that was given at the door stays good, in seconds by the lock's own counter: it may have to wait for
/// the movement under way.
pub const AT_DOOR_SECONDS: u64 = 10;

/// Who asked: the cause of every event of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An unlock token, by its `jti`.
    Jti(Text16),
    /// An offline pass, by its `gid`.
    Pass(String<MAX_GID>),
    /// A PIN, by its slot.
    Pin(u16),
    /// A computed code, by what it was computed from.
    Code(String<MAX_CODE_NAME>),
}

impl Origin {
    /// As it stands in events.
    #[must_use]
    pub fn cause(&self) -> Cause<'_> {
        match self {
            Self::Jti(jti) => Cause::Jti(jti),
            Self::Pass(gid) => Cause::Pass(gid),
            Self::Pin(slot) => Cause::Pin(*slot),
            Self::Code(code) => Cause::Code(code),
        }
    }
}

/// A command that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Command {
    /// What to do.
    pub act: Action,
    /// Who asked.
    pub origin: Origin,
    /// Where to answer.
    pub node: String<MAX_NODE>,
    exp: u64,
    lt: Option<LockTime>,
}

impl Command {
    /// The command of an accepted token; `None` where its texts are longer than any accepted token's.
    pub(crate) fn of(claims: &Unlock<'_>) -> Option<Self> {
        let (jti, node) = (String::try_from(claims.jti).ok()?, String::try_from(claims.node).ok()?);
        Some(Self {
            act: claims.act,
            origin: Origin::Jti(jti),
            node,
            exp: claims.exp,
            lt: claims.lt,
        })
    }

    /// A command that was given at the door at `moment`: good for [`AT_DOOR_SECONDS`] by the lock's own counter, or for
    /// `seconds`, where that is less. Its events go to any node.
    pub(crate) fn at_door(act: Action, origin: Origin, moment: &Moment, seconds: u64) -> Self {
        let lt = LockTime {
            boot: moment.boot,
            dl: moment.mono.saturating_add(seconds.min(AT_DOOR_SECONDS)),
        };
        Self {
            act,
            origin,
            node: String::try_from(crate::wire::ANY_NODE).unwrap_or_default(),
            exp: 0,
            lt: Some(lt),
        }
    }

    /// Until when the bolt may begin to move.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline {
            exp: self.exp,
            lt: self.lt,
        }
    }
}

/// A command as it stands in storage. Locks that knew nothing but tokens wrote `jti` in place of `origin`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    act: Action,
    #[serde(default)]
    jti: Option<Text16>,
    #[serde(default)]
    origin: Option<Origin>,
    node: String<MAX_NODE>,
    exp: u64,
    lt: Option<LockTime>,
}

impl TryFrom<Stored> for Command {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let origin = stored.origin.or(stored.jti.map(Origin::Jti));
        Ok(Self {
            act: stored.act,
            origin: origin.ok_or("a command that nobody gave")?,
            node: stored.node,
            exp: stored.exp,
            lt: stored.lt,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn read(origin: &str) -> Option<Command> {
        let text = format!(r#"{{"act":"unlock",{origin}"node":"any","exp":5,"lt":null}}"#);
        serde_json_core::from_str(&text).ok().map(|(command, _)| command)
    }

    #[test]
    fn a_command_of_before_is_still_read() {
        let jti = r#""AAAAAAAAAAAAAAAAAAAAAQ""#;
        let old = read(&format!(r#""jti":{jti},"#)).unwrap();
        assert_eq!(Some(&old), read(&format!(r#""origin":{{"jti":{jti}}},"#)).as_ref());
        assert_eq!(old.origin.cause(), Cause::Jti("AAAAAAAAAAAAAAAAAAAAAQ"));
        assert_eq!(read(""), None);
    }

    #[test]
    fn every_origin_comes_back_from_storage() {
        for origin in [
            Origin::Pass(String::try_from("grant_1").unwrap()),
            Origin::Pin(999),
            Origin::Code(String::try_from("20780-3-0").unwrap()),
        ] {
            let moment = Moment {
                boot: 3,
                mono: 100,
                now: None,
                floor: 0,
            };
            let command = Command::at_door(Action::Lock, origin, &moment, 4);
            let mut bytes = [0; 256];
            let length = serde_json_core::to_slice(&command, &mut bytes).unwrap();
            let (read, _): (Command, _) = serde_json_core::from_slice(&bytes[..length]).unwrap();
            assert_eq!(read, command);
            assert_eq!(read.deadline().lt, Some(LockTime { boot: 3, dl: 104 }));
        }
    }
}
