//! A second factor beside the password: a device that shows one-time codes, and recovery codes for when it is lost.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::own_sessions::tell_person;
use super::{Actor, App, Error, What, owned_by};
use crate::crypto::factor_key::FactorKey;
use crate::crypto::random::Random;
use crate::crypto::recovery_code::{FactorCode, RecoveryCode};
use crate::crypto::totp::TotpSecret;
use crate::domain::access_log::{self as log, NewEntry};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::notice::{Kind, News};
use crate::domain::second_factor::{FEW_CODES, RECOVERY_CODES, SecondFactor, counts, waits_for_code};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, passkeys, rules, second_factors, sessions};

const IS_ON: Error = Error::Conflict {
    word: "second-factor-on",
    why: "there is a second factor; switch it off first",
};

const IS_OFF: Error = Error::Conflict {
    word: "second-factor-off",
    why: "there is no second factor, or none that waits for its code",
};

/// What is asked for beside an address.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// The password, and the code where the account has a second factor.
    Everything(Option<FactorCode>),
    /// The password alone: the rest was shown lately.
    PasswordAlone,
}

impl Asked {
    /// Of somebody who is signed in: not both again where they have just proved who they are.
    pub(super) fn of(who: &Actor, code: Option<FactorCode>, now: Timestamp) -> Self {
        match who.must_have_proven(now) {
            Ok(()) => Self::PasswordAlone,
            Err(_) => Self::Everything(code),
        }
    }
}

/// What somebody has shown beside their password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Enough.
    Enough,
    /// Nothing, and there should be something.
    Nothing,
    /// Something wrong, or used before.
    Wrong,
}

/// A secret for a device, shown once.
#[derive(Debug)]
pub struct ForDevice {
    /// What the device reads: `otpauth://totp/…`.
    pub uri: Zeroizing<String>,
}

/// Whether what the person shows beside their password is enough; a code is used up by that.
pub(super) fn check_factor(
    conn: &mut Conn,
    (key, random): (&FactorKey, &dyn Random),
    person: &PersonId,
    asked: &Asked,
    now: Timestamp,
) -> Result<Shown, Error> {
    let Asked::Everything(code) = asked else {
        return Ok(Shown::Enough);
    };
    let Some(kept) = second_factors::find(conn, person)?.filter(|kept| kept.confirmed_at.is_some()) else {
        return Ok(Shown::Enough);
    };
    let is_right = match code {
        None => return Ok(Shown::Nothing),
        Some(FactorCode::OneTime(digits)) => {
            let secret = key.unseal(person, &kept.sealed)?;
            match secret.step_of(digits, now)? {
                Some(step) => counts(step, kept.last_step) && second_factors::use_step(conn, person, step)?,
                None => false,
            }
        }
        Some(FactorCode::Recovery(code)) => {
            let is_used_up = second_factors::use_code(conn, person, &key.digest(person, code)?, now)?;
            if is_used_up {
                let left = second_factors::codes_left(conn, person)?;
                let detail = serde_json::json!({ "left": left, "few": left <= FEW_CODES });
                tell_person(conn, random, person, (Kind::RecoveryCodeUsed, Some(detail)), now)?;
            }
            is_used_up
        }
    };
    Ok(if is_right { Shown::Enough } else { Shown::Wrong })
}

impl App {
    /// Whether the caller has a second factor.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn second_factor(&self, who: &Actor) -> Result<SecondFactor, Error> {
        let person = who.person.clone();
        self.db
            .read(move |conn| {
                let since = second_factors::find(conn, &person)?.and_then(|kept| kept.confirmed_at);
                Ok(match since {
                    None => SecondFactor::Off,
                    Some(since) => SecondFactor::On {
                        since,
                        codes_left: second_factors::codes_left(conn, &person)?,
                    },
                })
            })
            .await
    }

    /// Makes a secret for the caller's device. It counts for nothing until [`Self::confirm_second_factor`]; one from before
    /// that was not confirmed is gone.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`]; [`Error::Conflict`] where there is a second factor.
    pub async fn begin_second_factor(&self, who: &Actor) -> Result<ForDevice, Error> {
        let (now, who) = (self.now(), who.clone());
        let secret = TotpSecret::new(&*self.random);
        let sealed = self.factors.seal(&who.person, &secret, &*self.random)?;
        self.db
            .write(move |conn| {
                who.must_have_proven(now)?;
                if !second_factors::begin(conn, &who.person, &sealed, now)? {
                    return Err(IS_ON);
                }
                let person = accounts::find_person(conn, &who.person)?.ok_or(Error::Unauthenticated)?;
                let uri = secret.uri(person.email.as_str())?;
                Ok(ForDevice { uri })
            })
            .await
    }

    /// The caller's device knows its secret, as its code shows: from now on a code is asked for beside the password. Gives
    /// the recovery codes, which are shown this once.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`]; [`Error::WrongCode`]; [`Error::Conflict`] where nothing waits for a code.
    pub async fn confirm_second_factor(&self, who: &Actor, code: FactorCode) -> Result<Vec<RecoveryCode>, Error> {
        let (now, who) = (self.now(), who.clone());
        let (codes, digests) = self.new_recovery_codes(&who.person)?;
        let (key, random) = (Arc::clone(&self.factors), Arc::clone(&self.random));
        self.db
            .write(move |conn| {
                who.must_have_proven(now)?;
                let kept = second_factors::find(conn, &who.person)?
                    .filter(|kept| kept.confirmed_at.is_none() && waits_for_code(kept.begun_at, now))
                    .ok_or(IS_OFF)?;
                let FactorCode::OneTime(digits) = code else {
                    return Err(Error::WrongCode);
                };
                let secret = key.unseal(&who.person, &kept.sealed)?;
                let step = secret.step_of(&digits, now)?.ok_or(Error::WrongCode)?;
                if !second_factors::confirm(conn, &who.person, step, now)? {
                    return Err(IS_OFF);
                }
                second_factors::replace_codes(conn, &who.person, &digests, now)?;
                tell_person(conn, &*random, &who.person, (Kind::SecondFactorOn, None), now)
            })
            .await?;
        Ok(codes)
    }

    /// Replaces the caller's recovery codes; those from before are void.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`]; [`Error::Conflict`] where there is no second factor.
    pub async fn renew_recovery_codes(&self, who: &Actor) -> Result<Vec<RecoveryCode>, Error> {
        let (now, who) = (self.now(), who.clone());
        let (codes, digests) = self.new_recovery_codes(&who.person)?;
        self.db
            .write(move |conn| {
                who.must_have_proven(now)?;
                second_factors::find(conn, &who.person)?
                    .filter(|kept| kept.confirmed_at.is_some())
                    .ok_or(IS_OFF)?;
                Ok::<_, Error>(second_factors::replace_codes(conn, &who.person, &digests, now)?)
            })
            .await?;
        Ok(codes)
    }

    /// Switches the caller's second factor off; recovery codes are void too.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`]; [`Error::Conflict`] where there is none.
    pub async fn end_second_factor(&self, who: &Actor) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                who.must_have_proven(now)?;
                if !second_factors::remove(conn, &who.person)? {
                    return Err(IS_OFF);
                }
                tell_person(conn, &*random, &who.person, (Kind::SecondFactorOff, None), now)
            })
            .await
    }

    /// Takes the second factor and all passkeys off a member who has lost device and codes: they sign in by their password
    /// alone, and all their sessions end. Both are told, and it stands in the log. Not of somebody who belongs elsewhere too: an
    /// organization into which somebody was lured must not weaken their account everywhere.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] for one's own, where there is
    /// none, where the person belongs elsewhere, and where the rules of the organization want two persons.
    pub async fn take_second_factor(
        &self,
        who: &Actor,
        organization: OrganizationId,
        person: PersonId,
    ) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                if !owned_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                who.must_have_proven(now)?;
                let own = accounts::role(conn, &organization, &who.person)?.ok_or(Error::Forbidden)?;
                let role = accounts::role(conn, &organization, &person)?.ok_or(Error::NotFound(What::Person))?;
                if !own.may_appoint(role) {
                    return Err(Error::Forbidden);
                }
                let rules = rules::of(conn, &organization)?;
                may_take(conn, &who, &person, rules.two_person.is_wanted())?;
                accounts::hold_person(conn, &person)?;
                // Their passkeys were on what they have lost, or whoever has it signs in by them.
                let removed = passkeys::remove_all_of(conn, &person, now)?;
                if !second_factors::remove(conn, &person)? && removed == 0 {
                    return Err(IS_OFF);
                }
                sessions::end_all(conn, &person, "second-factor-taken", now)?;
                let entry = NewEntry {
                    person: Some(person.clone()),
                    actor: Some(who.person.clone()),
                    ..NewEntry::new(log::Kind::SecondFactorTaken, now)
                };
                access_log::append(conn, &organization, &entry, now)?;
                // Whoever did it is told too: it may have been done in their name.
                let news = News::new(Kind::SecondFactorOff, organization);
                let detail = serde_json::json!({ "person_id": person, "by": who.person });
                let news = News {
                    detail: Some(detail),
                    ..news
                };
                super::notices::tell(conn, &*random, [person, who.person.clone()], &news, now)
            })
            .await
    }

    fn new_recovery_codes(&self, person: &PersonId) -> Result<(Vec<RecoveryCode>, Vec<String>), Error> {
        let draw = |_| RecoveryCode::from_bits(self.random.bits());
        let codes: Vec<RecoveryCode> = (0..RECOVERY_CODES).map(draw).collect();
        let digests: Result<Vec<String>, _> = codes.iter().map(|code| self.factors.digest(person, code)).collect();
        Ok((codes, digests?))
    }
}

/// Whether the second factor of this person may be taken by the caller.
fn may_take(conn: &mut Conn, who: &Actor, person: &PersonId, wants_two: bool) -> Result<(), Error> {
    if *person == who.person {
        return Err(Error::Conflict {
            word: "own-second-factor",
            why: "one's own is switched off by oneself",
        });
    }
    if accounts::memberships(conn, person)?.len() > 1 {
        return Err(Error::Conflict {
            word: "belongs-elsewhere",
            why: "they belong elsewhere too; remove the member, and invite them under another address",
        });
    }
    if wants_two {
        return Err(Error::Conflict {
            word: "second-person-needed",
            why: "the rules want two persons; remove the member, and invite them under another address",
        });
    }
    Ok(())
}
