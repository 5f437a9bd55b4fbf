//! Issuing offline passes: decided like an unlock, bound to one phone, recorded until they have ended.
//!
//! A pass is renewed silently and often, so none of it goes into the access log, where it would tell when a phone was in
//! use; what is kept is until when the phone's passes count at each lock. The doors that are opened by it the locks report.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire;

use super::unlock::{pseudonym, refuse_old_clock, zone_of};
use super::{Actor, App, Error, What, joined_by, lacks_phone_key, rights_of};
use crate::crypto::public_key::PublicKey;
use crate::crypto::tokens::{schedule_for_lock, zone_for_lock};
use crate::domain::grant::Uses;
use crate::domain::ids::{LockId, OrganizationId, PhoneId};
use crate::domain::lock::Lock;
use crate::domain::pass::{self, Lives, NoPass, Pass, Role};
use crate::domain::time::{TimeZone, Timestamp};
use crate::domain::unlock::{Refusal, RightSource, ToldRefusal};
use crate::store::passes::Held;
use crate::store::revocations::{self, Standing};
use crate::store::{Conn, StoreError, enrolments, grants, lockdowns, locks, passes, phones};

/// The most locks that are asked for at once; one pass holds as many.
pub const MOST_LOCKS: usize = wire::MAX_PASS_LOCKS;

/// What is answered to a phone that asks for passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The passes: one for each right that is needed.
    pub passes: Vec<SignedPass>,
    /// The locks that they open, with what a phone needs at each.
    pub locks: Vec<Papers>,
    /// The locks for which there is no pass now.
    pub refused: Vec<(LockId, ToldRefusal)>,
}

/// A pass as the phone keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPass {
    /// A `pass+jwt`.
    pub pass: String,
    /// The locks that it opens.
    pub locks: Vec<LockId>,
    /// From when on.
    pub starts_at: Timestamp,
    /// From when on it counts no more.
    pub expires_at: Timestamp,
}

/// What a phone needs at one lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// The lock.
    pub lock: LockId,
    /// The key by which it signs its challenge.
    pub public_key: PublicKey,
    /// What it is to be handed, whoever stands before it: each signed.
    pub documents: Vec<String>,
}

/// A lock with the pass that was decided on.
struct Candidate {
    lock: Lock,
    zone: TimeZone,
    pass: Pass,
    schedule: Option<wire::Schedule>,
    /// How many uses there are by passes at this lock, and how many of them it has reported, where they are counted.
    uses: Option<(u32, u32)>,
    standing: Standing,
    public_key: PublicKey,
}

/// A pass that was recorded and has to be signed: that of the first, with all their locks.
struct Group(Vec<Candidate>);

impl App {
    /// Issues passes of these locks to one of the caller's phones, by the best right for each.
    ///
    /// # Errors
    /// [`Error::Invalid`] where no lock, a lock twice or more than [`MOST_LOCKS`] are named; [`Error::NotFound`] of the
    /// phone, or of a lock that is of no organization of the person's; [`Error::ClockBehind`].
    pub async fn issue_passes(&self, who: &Actor, ids: Vec<LockId>, phone: PhoneId) -> Result<Issued, Error> {
        let asked: BTreeSet<LockId> = ids.iter().cloned().collect();
        if asked.is_empty() || ids.len() > MOST_LOCKS {
            return Err(Error::invalid("lock_ids", format!("expected 1 to {MOST_LOCKS} locks")));
        }
        if asked.len() != ids.len() {
            return Err(Error::invalid("lock_ids", "each lock once"));
        }
        let (now, lives, caller) = (self.now(), self.settings.pass_lives, who.clone());
        let (thumbprint, groups, refused) = self
            .db
            .write(move |conn| settle(conn, &caller, asked, &phone, &lives, now))
            .await?;
        let mut issued = Issued {
            passes: Vec::with_capacity(groups.len()),
            locks: Vec::new(),
            refused,
        };
        for group in groups {
            issued.passes.push(self.sign_pass(who, &group, &thumbprint).await?);
            for candidate in group.0 {
                issued.locks.push(Papers {
                    documents: self.documents(&candidate.lock.id).await?,
                    lock: candidate.lock.id,
                    public_key: candidate.public_key,
                });
            }
        }
        Ok(issued)
    }

    async fn sign_pass(&self, who: &Actor, Group(of): &Group, thumbprint: &str) -> Result<SignedPass, Error> {
        let Some(first) = of.first() else {
            return Err(Error::Internal("signing a pass", "for no lock".into()));
        };
        let (pass, organization) = (&first.pass, &first.lock.organization);
        let locks: Vec<LockId> = of.iter().map(|candidate| candidate.lock.id.clone()).collect();
        // The newest key that all of them hold: whoever shows the pass cannot wait for another.
        let signer = self.signer_for_all(locks.clone()).await?;
        let signed = signer.sign_pass(&wire::Pass {
            ver: wire::VERSION,
            iss: &self.settings.issuer.name,
            org: organization.as_str(),
            aud: locks.iter().map(LockId::as_str).collect(),
            sub: &pseudonym(&who.person, organization),
            gid: &pass.name().to_string(),
            act: wire::Action::Unlock,
            jti: &URL_SAFE_NO_PAD.encode(self.random.bits().to_be_bytes()),
            iat: pass.issued_at.as_seconds(),
            nbf: pass.starts_at.as_seconds(),
            exp: pass.ends_at.as_seconds(),
            rev: rev(of, pass.issued_at),
            role: match pass.role {
                Role::Tenant => wire::Role::Tenant,
                Role::Guest => wire::Role::Guest,
                Role::Vendor => wire::Role::Vendor,
            },
            schedule: first.schedule.clone(),
            zone: (first.schedule.as_ref()).map(|_| zone_for_lock(&first.zone, pass.issued_at)),
            uses: first.uses.map(|(uses, _)| uses),
            used: first.uses.map(|(_, used)| used),
            cnf: wire::Confirmation { jkt: thumbprint },
        })?;
        Ok(SignedPass {
            pass: signed,
            locks,
            starts_at: pass.starts_at,
            expires_at: pass.ends_at + std::time::Duration::from_secs(1),
        })
    }

    /// What any phone is to hand the lock.
    async fn documents(&self, lock: &LockId) -> Result<Vec<String>, Error> {
        let keyset = self
            .signer_for(lock)
            .await?
            .keyset_first(wire::Use::Pass)
            .map(str::to_owned);
        let revocations = self.signed_revocations(lock).await?;
        let lockdown = self.signed_lockdown(lock).await?;
        Ok(keyset.into_iter().chain(revocations).chain(lockdown).collect())
    }
}

/// When the pass was issued, as `min_rev` of its locks counts: never below it, or it would be void from the beginning.
fn rev(of: &[Candidate], issued_at: Timestamp) -> u64 {
    let least = of.iter().map(|candidate| candidate.standing.min_rev).max();
    issued_at.as_seconds().max(least.unwrap_or_default())
}

type Settled = (String, Vec<Group>, Vec<(LockId, ToldRefusal)>);

/// Decides and records, in the order phone, locks, rights.
fn settle(
    conn: &mut Conn,
    who: &Actor,
    asked: BTreeSet<LockId>,
    phone: &PhoneId,
    lives: &Lives,
    now: Timestamp,
) -> Result<Settled, Error> {
    if who.reach.as_ref().is_some_and(|reach| reach.phone != *phone) {
        return Err(Error::NotFound(What::Phone));
    }
    let phone = phones::hold(conn, phone, &who.person)?.ok_or(Error::NotFound(What::Phone))?;
    let scope = joined_by(conn, who)?;
    let mut candidates = Vec::new();
    let mut refused = Vec::new();
    for id in asked {
        let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
        refuse_old_clock(conn, &lock, now)?;
        let zone = zone_of(conn, &lock)?;
        let rights = rights_of(conn, &lock, who, now)?;
        let decided = pass::decide(&lock, &rights, &zone, now, lives);
        if decided.is_ok() && lacks_phone_key(conn, &lock.organization, who)? {
            refused.push((id, Refusal::PhoneKeyNeeded.for_person()));
            continue;
        }
        match decided.and_then(|pass| Ok((written_schedule(&pass)?, pass))) {
            Ok((schedule, pass)) => candidates.push((lock, zone, pass, schedule)),
            Err(why) => refused.push((id, why.for_person())),
        }
    }
    let mut held = Vec::new();
    for (lock, zone, pass, schedule) in candidates {
        let in_service = hold_lock(conn, &lock)?;
        let by = (Some(&who.person), &pass.by);
        if let Some(until) = lockdowns::kept_out_since(conn, &lock, by, now)? {
            let refusal = Refusal::Lockdown { opens_at: Some(until) };
            refused.push((lock.id, refusal.for_person()));
            continue;
        }
        match in_service {
            Some((standing, public_key)) => held.push(Candidate {
                lock,
                zone,
                pass,
                schedule,
                uses: None,
                standing,
                public_key,
            }),
            None => refused.push((lock.id, Refusal::LockRetired.for_person())),
        }
    }
    let gone = hold_rights(conn, who, &held, now)?;
    let mut groups: Vec<Group> = Vec::new();
    for mut candidate in held {
        let refusal = match gone.contains(&candidate.pass.by.to_string()) {
            true => Some(Refusal::GrantRevoked.for_person()),
            false => match decide_again(conn, who, &mut candidate, lives, now)? {
                None => count_uses(conn, &mut candidate)?.map(|refusal| refusal.for_person()),
                refusal => refusal,
            },
        };
        if let Some(refusal) = refusal {
            refused.push((candidate.lock.id, refusal));
            continue;
        }
        let fitting = groups.iter_mut().find(|Group(of)| {
            of.first().is_some_and(|first| {
                let same_clock = first.schedule.is_none() || first.zone == candidate.zone;
                first.pass == candidate.pass && same_clock
            })
        });
        match fitting {
            Some(Group(of)) => of.push(candidate),
            None => groups.push(Group(vec![candidate])),
        }
    }
    for Group(of) in &groups {
        record(conn, of, &phone.id)?;
    }
    Ok((phone.thumbprint, groups, refused))
}

/// The pass's schedule as a lock reads it.
fn written_schedule(pass: &Pass) -> Result<Option<wire::Schedule>, NoPass> {
    let Some(schedule) = &pass.schedule else {
        return Ok(None);
    };
    let written = schedule_for_lock(schedule, pass.issued_at, Some(pass.may_open_until()));
    written.map(Some).ok_or(NoPass::ScheduleTooLong)
}

/// Keeps the lock in service until this transaction ends; `None` where it is not any more.
fn hold_lock(conn: &mut Conn, lock: &Lock) -> Result<Option<(Standing, PublicKey)>, Error> {
    let standing = revocations::hold(conn, &lock.id)?;
    let in_service = locks::hold(conn, lock)?;
    let controller = enrolments::find_controller(conn, &lock.id)?;
    let (Some(standing), true, Some(controller)) = (standing, in_service, controller) else {
        return Ok(None);
    };
    let key = serde_json::from_str(&controller.public_key).map_err(StoreError::corrupt)?;
    Ok(Some((standing, key)))
}

/// Keeps the rights until this transaction ends; gives those that have ended meanwhile.
fn hold_rights(
    conn: &mut Conn,
    who: &Actor,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<BTreeSet<String>, Error> {
    let mut rights: Vec<(String, &RightSource, &OrganizationId)> = candidates
        .iter()
        .map(|candidate| {
            (
                candidate.pass.by.to_string(),
                &candidate.pass.by,
                &candidate.lock.organization,
            )
        })
        .collect();
    rights.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    rights.dedup_by(|one, other| one.0 == other.0);
    let mut gone = BTreeSet::new();
    for (name, right, organization) in rights {
        if !grants::hold(conn, right, (organization, &who.person), now)? {
            gone.insert(name);
        }
    }
    Ok(gone)
}

/// The pass by the same right as it is now that it is held: meanwhile it may have been cut short.
fn decide_again(
    conn: &mut Conn,
    who: &Actor,
    candidate: &mut Candidate,
    lives: &Lives,
    now: Timestamp,
) -> Result<Option<ToldRefusal>, Error> {
    let mut rights = rights_of(conn, &candidate.lock, who, now)?;
    rights.retain(|right| right.source == candidate.pass.by);
    let decided = pass::decide(&candidate.lock, &rights, &candidate.zone, now, lives);
    match decided.and_then(|pass| Ok((written_schedule(&pass)?, pass))) {
        Ok((schedule, pass)) => {
            candidate.schedule = schedule;
            candidate.pass = pass;
            Ok(None)
        }
        Err(why) => Ok(Some(why.for_person())),
    }
}

/// How often the pass opens, where that is counted: what is left, and what the lock has reported already, for it counts on
/// from there. Read again now that the grant is held.
fn count_uses(conn: &mut Conn, candidate: &mut Candidate) -> Result<Option<Refusal>, Error> {
    let (Some(_), RightSource::Grant(grant)) = (candidate.pass.uses, &candidate.pass.by) else {
        return Ok(None);
    };
    let uses = grants::uses(conn, grant)?;
    if uses.is_some_and(Uses::is_exhausted) {
        return Ok(Some(Refusal::UsesExhausted));
    }
    let used = passes::uses(conn, grant, &candidate.lock.id)?;
    candidate.uses = uses.map(|uses| (uses.limit() - uses.taken() + used, used));
    Ok(None)
}

/// Records until when the pass counts at each of its locks.
fn record(conn: &mut Conn, of: &[Candidate], phone: &PhoneId) -> Result<(), Error> {
    for candidate in of {
        let pass = &candidate.pass;
        let standing = Standing {
            pass_rev: candidate.standing.pass_rev.max(rev(of, pass.issued_at)),
            ..candidate.standing
        };
        revocations::set(conn, &candidate.lock.id, &standing)?;
        let held = Held {
            lock: candidate.lock.id.clone(),
            name: pass.name(),
            phone: phone.clone(),
            ends_at: pass.may_open_until(),
            counts_until: pass.counts_until(),
        };
        passes::record(conn, &candidate.lock.organization, &held)?;
    }
    Ok(())
}
