//! What phones carry in from a lock that cannot reach the backend, and what they take back to it.

use doorward_lock::wire;

use super::Carrier;
use super::answers::{Ack, Gap};
use crate::app::lockdowns::lacks_lockdown;
use crate::app::unlock::may_still_open;
use crate::app::{Actor, App, Error, What, joined_by};
use crate::domain::account::Role;
use crate::domain::ids::{LockId, OrganizationId};
use crate::store::lock_events;
use crate::store::{Conn, accounts, enrolments, locks, revocations};

/// The most messages that are carried in at once.
pub const MOST_CARRIED: usize = 64;

/// What the lock lacks.
struct Lacking {
    organization: OrganizationId,
    ack: Option<Ack>,
    gap: Option<Gap>,
    revocations: bool,
    lockdown: bool,
}

impl App {
    /// Takes what the lock has signed from somebody who stood before it, each message as if it came from the lock's topics,
    /// and gives what is to be carried back: acknowledgements, questions, revocations. What is not of the lock is counted
    /// and dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no message or more than [`MOST_CARRIED`]; [`Error::NotFound`] where the lock is of no
    /// organization of the person's; [`Error::Forbidden`] where they may open it no more and manage nothing; those of the
    /// database, after which the same messages should come again.
    pub async fn carry(&self, who: &Actor, lock: LockId, messages: Vec<String>) -> Result<Vec<String>, Error> {
        if messages.is_empty() || messages.len() > MOST_CARRIED {
            return Err(Error::invalid(
                "messages",
                format!("expected 1 to {MOST_CARRIED} messages"),
            ));
        }
        let (id, now, caller) = (lock.clone(), self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &caller)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                let role = accounts::role(conn, &lock.organization, &caller.person)?;
                if role.is_some_and(Role::manages) || may_still_open(conn, &lock, &caller, now)? {
                    Ok(())
                } else {
                    Err(Error::Forbidden)
                }
            })
            .await?;
        for message in messages {
            self.hear_from(lock.clone(), message.as_bytes(), Carrier::Phone).await?;
        }
        self.answers_for(lock).await
    }

    /// What a phone is to hand the lock now.
    async fn answers_for(&self, lock: LockId) -> Result<Vec<String>, Error> {
        let id = lock.clone();
        let lacking = self.db.write(move |conn| lacking(conn, &id)).await?;
        let Some(lacking) = lacking else {
            return Ok(Vec::new());
        };
        let (iss, org) = (&self.settings.issuer.name, lacking.organization.as_str());
        let signer = self.signer_for(&lock).await?;
        // What comes first is heard first.
        let mut answers: Vec<String> = signer
            .keyset_first(wire::Use::Ack)
            .map(str::to_owned)
            .into_iter()
            .collect();
        if let Some(ack) = lacking.ack {
            answers.push(self.sign_ack(&signer, &lock, &ack)?);
        }
        if let Some(gap) = lacking.gap {
            answers.push(signer.sign_resend(&wire::Resend {
                iss,
                org,
                aud: lock.as_str(),
                chain: &gap.chain,
                from: gap.from,
                to: gap.to,
            })?);
        }
        if lacking.revocations {
            answers.extend(self.signed_revocations(&lock).await?);
        }
        if lacking.lockdown {
            answers.extend(self.signed_lockdown(&lock).await?);
        }
        Ok(answers)
    }
}

fn lacking(conn: &mut Conn, id: &LockId) -> Result<Option<Lacking>, Error> {
    let lock = locks::with_ids(conn, std::slice::from_ref(id))?.pop();
    let enrolment = enrolments::number_of(conn, id)?;
    let (Some(lock), Some(end)) = (lock, lock_events::chain_end(conn, id, enrolment)?) else {
        return Ok(None);
    };
    let next = match &end.chain {
        Some(chain) => lock_events::next_stored(conn, id, chain, end.seq)?,
        None => None,
    };
    let number = |seq: i64| u64::try_from(seq).ok();
    // An event is stored behind the end only where something between them is missing.
    let gap = match (
        end.chain.clone(),
        number(end.seq + 1),
        next.and_then(|next| number(next - 1)),
    ) {
        (Some(chain), Some(from), Some(to)) => Some(Gap { chain, from, to }),
        _ => None,
    };
    let told = revocations::told(conn, id)?;
    Ok(Some(Lacking {
        ack: Ack::of(&lock.organization, &end),
        organization: lock.organization,
        gap,
        revocations: told.held < told.epoch,
        lockdown: lacks_lockdown(conn, id)?,
    }))
}
