//! Whether a lock lets in whoever shows a pass (`docs/PROTOCOL.md`, "The pass").

use heapless::Vec;

use super::{Known, is_bits};
use crate::base64url::{decode, sha256};
use crate::jws::Message;
use crate::keys::PublicKey;
use crate::refusal::Refusal;
use crate::schedule::{WallClock, is_open};
use crate::signature;
use crate::wire::{
    Action, Address, Jwk, MAX_GID, MAX_PASS_SECONDS, NUMBER_LIMIT, PASS_ANSWER, Pass, Role, Schedule, Typ, Use,
    VERSION, Zone, is_zone,
};

/// The longest text that a phone signs, in bytes, where the lock's id has at most 64.
const MAX_ANSWER: usize = 144;

/// What a phone shows at the door: its pass, and the answer to a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presentation<'a> {
    /// The pass, as compact JWS.
    pub pass: &'a str,
    /// The phone's public key.
    pub public_key: Jwk<'a>,
    /// What the bolt is to do.
    pub act: Action,
    /// The phone's signature over [`pass_answer`], as base64url.
    pub signature: &'a str,
    /// The nonce of the challenge.
    pub nonce: &'a str,
}

/// What a phone signs in answer to the challenge with this `nonce`, of this lock in this start; `None` where the nonce is
/// none or the lock's id is longer than any.
#[must_use]
pub fn pass_answer(lock: &str, boot: u32, nonce: &str, act: Action, pass: &str) -> Option<Vec<u8, MAX_ANSWER>> {
    let mut answer = Vec::new();
    for part in [
        PASS_ANSWER,
        lock.as_bytes(),
        &boot.to_be_bytes(),
        &decode::<16>(nonce)?,
        act.as_str().as_bytes(),
        &sha256(pass.as_bytes()),
    ] {
        answer.extend_from_slice(part).ok()?;
    }
    Some(answer)
}

impl Known<'_> {
    /// Believes a pass for this lock, whoever shows it and whenever; or says why not.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn pass<'m>(&self, message: &'m Message<'_>) -> Result<Pass<'m>, Refusal> {
        self.verified(message, Typ::Pass, Use::Pass)?;
        let pass: Pass<'m> = message.claims()?;
        if !is_whole(&pass) {
            return Err(Refusal::Malformed);
        }
        if pass.ver != VERSION {
            return Err(Refusal::WrongVersion);
        }
        let any = Address {
            iss: pass.iss,
            org: pass.org,
            aud: self.address.aud,
        };
        any.check(&self.address)?;
        if !pass.aud.contains(&self.address.aud) {
            return Err(Refusal::WrongLock);
        }
        let life = pass.exp.checked_sub(pass.iat);
        let lives = life.is_some_and(|seconds| (1..=MAX_PASS_SECONDS).contains(&seconds));
        if !lives || !(pass.iat..=pass.exp).contains(&pass.nbf) {
            return Err(Refusal::BadLifetime);
        }
        if pass.rev < self.min_rev {
            return Err(Refusal::Revoked);
        }
        Ok(pass)
    }

    /// Whether `shown` comes from the phone that `pass` is bound to, in answer to a challenge of this start.
    ///
    /// # Errors
    /// [`Refusal::NotTheHolder`].
    pub fn held_by(&self, pass: &Pass<'_>, shown: &Presentation<'_>) -> Result<(), Refusal> {
        let key = PublicKey::from_jwk(&shown.public_key).filter(|key| key.kid == pass.cnf.jkt);
        let answer = pass_answer(self.address.aud, self.moment.boot, shown.nonce, shown.act, shown.pass);
        match (key, answer, decode::<64>(shown.signature)) {
            (Some(key), Some(answer), Some(bytes)) if signature::holds(&key.key, &answer, &bytes) => Ok(()),
            _ => Err(Refusal::NotTheHolder),
        }
    }

    /// Whether `pass` counts now. `wall` is the time where the clock is fresh or stale; a lock without the time lets in
    /// only who lives there, while the pass cannot be told to have ended.
    ///
    /// # Errors
    /// [`Refusal::NoTime`], [`Refusal::NotYet`], [`Refusal::Expired`] or [`Refusal::OutsideSchedule`].
    pub fn counts_now(&self, pass: &Pass<'_>, wall: Option<u64>) -> Result<(), Refusal> {
        let Some(now) = wall else {
            let is_plain = pass.role == Role::Tenant && pass.nbf == pass.iat && pass.schedule.is_none();
            return match (is_plain, self.moment.floor <= pass.exp) {
                (false, _) => Err(Refusal::NoTime),
                (true, false) => Err(Refusal::Expired),
                (true, true) => Ok(()),
            };
        };
        if now < pass.nbf {
            return Err(Refusal::NotYet);
        }
        if now > pass.exp {
            return Err(Refusal::Expired);
        }
        let zone: &[_] = pass.zone.as_deref().unwrap_or_default();
        let closed = |schedule: &Schedule| !is_open(schedule, WallClock::read(zone, now));
        if pass.schedule.as_ref().is_some_and(closed) {
            return Err(Refusal::OutsideSchedule);
        }
        Ok(())
    }
}

/// What the types of the claims do not say.
fn is_whole(pass: &Pass<'_>) -> bool {
    let numbers = [pass.ver, pass.iat, pass.nbf, pass.exp, pass.rev];
    let small = |zone: &Zone| is_zone(zone) && zone.iter().all(|change| change.at < NUMBER_LIMIT);
    numbers.iter().all(|number| *number < NUMBER_LIMIT)
        && !pass.aud.is_empty()
        && pass.act == Action::Unlock
        && is_bits::<16>(pass.jti)
        && is_bits::<32>(pass.cnf.jkt)
        && (1..=MAX_GID).contains(&pass.gid.len())
        && pass.schedule.is_some() == pass.zone.is_some()
        && pass.schedule.as_ref().is_none_or(Schedule::is_whole)
        && pass.zone.as_ref().is_none_or(small)
        && pass.uses.is_some() == pass.used.is_some()
}
