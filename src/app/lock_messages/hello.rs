//! Hellos: what a lock says of itself when it connects and every minute after, and what it lacks.

use doorward_lock::wire;

use super::answers::Ack;
use super::chain::{alarm, missing, skip_lost};
use super::events::give_use_back;
use super::{Owner, bolt_of, door_of};
use crate::app::lockdowns::note_lockdown;
use crate::app::pins::hear_hello;
use crate::app::{App, Error};
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::{BATTERY_LOW_ALARM, LockClock};
use crate::store::lock_events::{self, ChainEnd, Clocks, Observation};
use crate::store::revocations::{self, Standing};
use crate::store::{Conn, StoreError, attempts, lockdowns, locks};

impl App {
    /// Notes what the lock says of itself and sends what it lacks.
    pub(super) async fn take_hello(
        &self,
        lock: LockId,
        Owner {
            organization,
            enrolment,
        }: Owner,
        hello: &wire::Hello<'_>,
    ) -> Result<(), Error> {
        let now = self.now();
        let clocks = Clocks {
            at: now,
            boot: hello.boot,
            mono: hello.mono,
            clock: clock_of(hello.clock),
            keyset: hello.keyset,
        };
        let seen = Observation {
            bolt: Some(bolt_of(hello.bolt)),
            door: Some(door_of(hello.door)),
            battery: hello.battery,
        };
        let (id, owner) = (lock.clone(), organization.clone());
        let (firmware, counter, pins) = (hello.firmware.to_owned(), hello.ctr, hello.pins);
        let head = hello.head.map(|head| (head.chain.to_owned(), head.seq));
        let (held, lockdown) = (hello.revocations, hello.lockdown);
        let heard = self
            .db
            .write(move |conn| {
                let Some(end) = lock_events::chain_end(conn, &id, enrolment)? else {
                    return Ok::<_, Error>(None);
                };
                if is_of_a_life_before(conn, &id, &end, head.as_ref())? {
                    return Ok(None);
                }
                // A repetition proves nothing of the present, and what is older than the last one is one: whoever
                // listens at the broker could send it. One of the same second is answered: the lock may have connected
                // anew, and an answer gives nothing away.
                let mut is_low = false;
                match lock_events::clocks(conn, &id)? {
                    Some(last) if (clocks.boot, clocks.mono) < (last.boot, last.mono) => return Ok(None),
                    Some(last) if (clocks.boot, clocks.mono) == (last.boot, last.mono) => {
                        lock_events::raise_keyset(conn, &id, clocks.keyset)?;
                    }
                    _ => {
                        lock_events::report_hello(conn, &id, &clocks, &firmware)?;
                        is_low = lock_events::report(conn, &id, seen, now)?;
                        if let Some((chain, seq)) = &head {
                            lock_events::report_head(conn, &id, chain, *seq)?;
                        }
                        for attempt in attempts::never_accepted(conn, &id, counter, now)? {
                            give_use_back(conn, &attempt)?;
                        }
                    }
                }
                let epoch = note_revocations(conn, &id, held, head.as_ref())?;
                let lockdown = note_lockdown(conn, &id, lockdown, head.as_ref(), now)?;
                let end = skip_lost(conn, &id, &owner, end, now)?;
                let newest = head
                    .as_ref()
                    .map(|(chain, seq)| (chain.as_str(), i64::try_from(*seq).unwrap_or(i64::MAX)));
                let pins = hear_hello(conn, &id, pins, clocks.boot, newest, now)?;
                // Last, for the end of the log is what everybody takes last.
                if is_low && let Some(lock) = locks::find(conn, &id, &Scope::only(owner.clone()))? {
                    alarm(conn, &lock, BATTERY_LOW_ALARM, now, now)?;
                }
                Ok(Some((
                    Ack::of(&owner, &end),
                    missing(&end, head),
                    pins,
                    epoch,
                    lockdown,
                )))
            })
            .await?;
        let Some((ack, gap, pins, epoch, lockdown)) = heard else {
            return Ok(());
        };
        self.changes.tell(&lock);
        if let Some(ack) = ack {
            self.acks.put(lock.clone(), ack);
        }
        if let Some(gap) = gap {
            self.ask_again(&lock, &organization, &gap).await?;
        }
        self.confirmations.notify_waiters();
        if held < epoch {
            self.send_revocations(&lock).await?;
        }
        if lockdown {
            self.send_lockdown(&lock).await?;
        }
        if pins {
            self.push_pins(&lock).await?;
        }
        self.bring_up_to_date(&lock, &organization, hello).await
    }

    /// Notes which revocations and which lockdown the lock held when it said this to somebody who stood before it. Of the present it proves
    /// nothing: neither that the lock is connected nor where its clocks stand.
    pub(super) async fn take_carried_hello(
        &self,
        lock: LockId,
        Owner { enrolment, .. }: Owner,
        hello: &wire::Hello<'_>,
    ) -> Result<(), Error> {
        let (boot, mono, held, lockdown) = (hello.boot, hello.mono, hello.revocations, hello.lockdown);
        let now = self.now();
        let head = hello.head.map(|head| (head.chain.to_owned(), head.seq));
        self.db
            .write(move |conn| {
                let Some(end) = lock_events::chain_end(conn, &lock, enrolment)? else {
                    return Ok::<_, Error>(());
                };
                let last = lock_events::clocks(conn, &lock)?;
                let is_old = last.is_some_and(|last| (boot, mono) < (last.boot, last.mono));
                if is_old || is_of_a_life_before(conn, &lock, &end, head.as_ref())? {
                    return Ok(());
                }
                if revocations::told(conn, &lock)?.held < held {
                    note_revocations(conn, &lock, held, head.as_ref())?;
                }
                if lockdowns::report_of(conn, &lock)?.held < lockdown {
                    note_lockdown(conn, &lock, lockdown, head.as_ref(), now)?;
                }
                Ok(())
            })
            .await?;
        self.confirmations.notify_waiters();
        Ok(())
    }

    /// Sends the documents that the lock lacks, and the time where it asks for it.
    async fn bring_up_to_date(
        &self,
        lock: &LockId,
        organization: &OrganizationId,
        hello: &wire::Hello<'_>,
    ) -> Result<(), Error> {
        let version = self.keys.ring().version();
        if hello.keyset < version {
            self.answer(lock, self.keyset()).await;
        } else if hello.keyset > version {
            tracing::error!(
                lock.id = %lock, held = hello.keyset, version,
                "{lock} holds a newer keyset than this node: another node rotated in a folder of its own, which is to be \
                 copied here; or the keys are from an old backup: run `doorward keys rotate --restored`"
            );
        }
        let signer = self.keys.signer(hello.keyset, self.now());
        if let Some(nonce) = hello.nonce {
            let message = signer.sign_time(&wire::Time {
                iss: &self.settings.issuer.name,
                org: organization.as_str(),
                aud: lock.as_str(),
                nonce,
                t: self.now().as_seconds(),
            })?;
            self.answer(lock, message).await;
        }
        Ok(())
    }
}

/// Notes which epoch of its revocations the lock holds; gives the one that it should hold.
fn note_revocations(conn: &mut Conn, lock: &LockId, held: u64, head: Option<&(String, u64)>) -> Result<u64, Error> {
    let told = revocations::told(conn, lock)?;
    let seq = head.map_or(Ok(-1), |(_, seq)| i64::try_from(*seq));
    let seq = seq.map_err(StoreError::corrupt)?;
    if (told.held, told.seq) != (held, Some(seq)) {
        revocations::report(conn, lock, held, seq)?;
    }
    if held <= told.epoch {
        return Ok(told.epoch);
    }
    // This backend was restored from a copy that is older than what the lock holds: what is revoked from now on has to be
    // news to the lock.
    if let Some(standing) = revocations::hold(conn, lock)? {
        revocations::set(
            conn,
            lock,
            &Standing {
                epoch: held,
                ..standing
            },
        )?;
    }
    Ok(held)
}

/// Whether the hello was said before a factory reset: it names a chain that has begun and is not the present one. The
/// clocks begin again with a reset, and an old hello would be beyond them: said again by an observer of the broker, it
/// would drown every true one until the lock has started as often as it had then.
fn is_of_a_life_before(
    conn: &mut Conn,
    lock: &LockId,
    end: &ChainEnd,
    named: Option<&(String, u64)>,
) -> Result<bool, Error> {
    match named {
        Some((chain, _)) if end.chain.as_ref() != Some(chain) => Ok(lock_events::find(conn, lock, chain, 0)?.is_some()),
        _ => Ok(false),
    }
}

fn clock_of(clock: wire::ClockState) -> LockClock {
    match clock {
        wire::ClockState::Fresh => LockClock::Fresh,
        wire::ClockState::Stale => LockClock::Stale,
        wire::ClockState::None => LockClock::None,
    }
}
