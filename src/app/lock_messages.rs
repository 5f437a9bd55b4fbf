//! What locks say: verified, stored once, acted upon.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::refusal::Refusal;
use doorward_lock::wire::{self, Cause};

use super::metrics::RefusalLabels;
use super::unlock::grant_of;
use super::{App, Error};
use crate::crypto::public_key::PublicKey;
use crate::crypto::tokens::{LockKey, Said, is_hash_of, is_same_statement};
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Scope;
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::{Bolt, Door, Lock, LockClock};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::lock_events::{self, ChainEnd, Clocks, Observation, StoredEvent};
use crate::store::{Conn, StoreError, access_log, attempts, grants, locks};

/// How long an answer to a lock may take to reach the broker.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Acknowledgements that wait to be sent: the newest of each lock says all that the older ones would.
#[derive(Debug, Default)]
pub(super) struct Acks(Mutex<HashMap<LockId, Ack>>);

#[derive(Debug, Clone)]
struct Ack {
    organization: OrganizationId,
    chain: String,
    seq: u64,
    head: String,
}

impl Acks {
    fn put(&self, lock: LockId, ack: Ack) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lock, ack);
    }

    fn take(&self) -> HashMap<LockId, Ack> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A gap in a lock's chain, to be asked for again.
#[derive(Debug)]
struct Gap {
    chain: String,
    from: u64,
    to: u64,
}

/// What follows from a message once it is committed.
#[derive(Debug, Default)]
struct Followup {
    ack: Option<Ack>,
    gap: Option<Gap>,
    ended: Vec<Attempt>,
}

/// An event that was verified, without ties to the message that it came in.
struct Verified {
    lock: LockId,
    organization: OrganizationId,
    chain: String,
    seq: i64,
    prev: String,
    stored: StoredEvent,
    kind: String,
    result: String,
    cause: EventCause,
    mono: u64,
    boot: u32,
    /// The lock's own time, where it trusts its clock.
    wall: Option<Timestamp>,
    seen: Observation,
}

enum EventCause {
    Jti(String),
    Other(&'static str),
    Pass(String),
    Pin(u16),
}

impl App {
    /// Takes a message from a lock's `up` topic. `Ok` once all that follows from it is committed, or it is known to be
    /// worthless: not signed by that lock, or not a message.
    ///
    /// # Errors
    /// Those of the database: the message should come again.
    pub async fn hear(&self, lock: LockId, payload: &[u8]) -> Result<(), Error> {
        let id = lock.clone();
        let controller = self
            .db
            .read(move |conn| Ok::<_, Error>(locks::find_controller(conn, &id)?))
            .await?;
        let Some(controller) = controller else {
            self.disbelieve(&lock, Refusal::UnknownKey);
            return Ok(());
        };
        let key: PublicKey = serde_json::from_str(&controller.public_key).map_err(StoreError::corrupt)?;
        let key = LockKey::of_lock(&lock, &key).map_err(StoreError::corrupt)?;
        let signed = match key.open(payload) {
            Ok(signed) => signed,
            Err(refusal) => {
                self.disbelieve(&lock, refusal);
                return Ok(());
            }
        };
        match signed.claims() {
            Ok(Said::Event(event)) => {
                let stored = StoredEvent {
                    hash: URL_SAFE_NO_PAD.encode(signed.hash()),
                    token: signed.compact().to_owned(),
                };
                let event = verified(lock, controller.organization, &event, stored);
                self.take_event(event).await
            }
            Ok(Said::Hello(hello)) => self.take_hello(lock, controller.organization, &hello).await,
            Err(refusal) => {
                self.disbelieve(&lock, refusal);
                Ok(())
            }
        }
    }

    /// Records that a lock, or its last will, says on its `status` topic that it is there or gone. Nothing proves it;
    /// no door depends on it, only whether asking is worth while.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_status(&self, lock: LockId, online: bool) -> Result<(), Error> {
        let now = self.now();
        self.db
            .write(move |conn| Ok(lock_events::report_online(conn, &lock, online, now)?))
            .await
    }

    fn disbelieve(&self, lock: &LockId, refusal: Refusal) {
        let reason = refusal.as_str();
        self.metrics
            .refused_messages
            .get_or_create(&RefusalLabels { reason })
            .inc();
        tracing::debug!(lock.id = %lock, reason, "a message on the topics of {lock} was not believed");
    }

    /// Stores an event once and does what follows from it.
    async fn take_event(&self, event: Verified) -> Result<(), Error> {
        let now = self.now();
        let lock = event.lock.clone();
        let organization = event.organization.clone();
        let followup = self.db.write(move |conn| store_event(conn, event, now)).await?;
        self.metrics.lock_events.inc();
        followup.ended.iter().for_each(|attempt| self.ended(attempt));
        if let Some(ack) = followup.ack {
            self.acks.put(lock.clone(), ack);
        }
        if let Some(gap) = followup.gap {
            self.ask_again(&lock, &organization, &gap).await?;
        }
        Ok(())
    }

    /// Sends the acknowledgements that wait; says how many there were. One that is lost is made good by the lock's
    /// next hello.
    ///
    /// # Errors
    /// [`Error::Internal`] where one could not be signed.
    pub async fn send_acks(&self) -> Result<usize, Error> {
        let acks = self.acks.take();
        let count = acks.len();
        for (lock, ack) in acks {
            let message = self.keys.sign_ack(&wire::Ack {
                iss: &self.settings.issuer.name,
                org: ack.organization.as_str(),
                aud: lock.as_str(),
                chain: &ack.chain,
                seq: ack.seq,
                head: &ack.head,
            })?;
            self.answer(&lock, message).await;
        }
        Ok(count)
    }

    async fn ask_again(&self, lock: &LockId, organization: &OrganizationId, gap: &Gap) -> Result<(), Error> {
        let message = self.keys.sign_resend(&wire::Resend {
            iss: &self.settings.issuer.name,
            org: organization.as_str(),
            aud: lock.as_str(),
            chain: &gap.chain,
            from: gap.from,
            to: gap.to,
        })?;
        self.answer(lock, message).await;
        Ok(())
    }

    /// Sends an answer that the lock will ask for again if it is lost.
    async fn answer(&self, lock: &LockId, message: String) {
        if let Err(away) = self.relay.send(lock, message, ANSWER_WITHIN).await {
            tracing::debug!(lock.id = %lock, error = %away, "an answer to {lock} was not sent");
        }
    }

    /// Notes what the lock says of itself and sends what it lacks.
    async fn take_hello(
        &self,
        lock: LockId,
        organization: OrganizationId,
        hello: &wire::Hello<'_>,
    ) -> Result<(), Error> {
        let now = self.now();
        let clocks = Clocks {
            at: now,
            boot: hello.boot,
            mono: hello.mono,
            clock: clock_of(hello.clock),
        };
        let seen = Observation {
            bolt: Some(bolt_of(hello.bolt)),
            door: Some(door_of(hello.door)),
            battery: hello.battery,
        };
        let (id, owner) = (lock.clone(), organization.clone());
        let (firmware, counter) = (hello.firmware.to_owned(), hello.ctr);
        let head = hello.head.map(|head| (head.chain.to_owned(), head.seq));
        let (is_news, ack, gap) = self
            .db
            .write(move |conn| {
                if !lock_events::report_hello(conn, &id, &clocks, &firmware)? {
                    return Ok::<_, Error>((false, None, None));
                }
                lock_events::report(conn, &id, seen, now)?;
                for attempt in attempts::never_accepted(conn, &id, counter, now)? {
                    give_use_back(conn, &attempt)?;
                }
                let Some(end) = lock_events::chain_end(conn, &id)? else {
                    return Ok((false, None, None));
                };
                Ok((true, ack_of(&owner, &end), missing(&end, head)))
            })
            .await?;
        if !is_news {
            return Ok(());
        }
        if let Some(ack) = ack {
            self.acks.put(lock.clone(), ack);
        }
        if let Some(gap) = gap {
            self.ask_again(&lock, &organization, &gap).await?;
        }
        if hello.keyset < self.settings.issuer.keyset_version {
            let keyset = self.keyset_for(&lock, &organization)?;
            self.answer(&lock, keyset).await;
        }
        if let Some(nonce) = hello.nonce {
            let t = u64::try_from(self.now().as_seconds()).unwrap_or(0);
            let (iss, org, aud) = (self.settings.issuer.name.as_str(), organization.as_str(), lock.as_str());
            let message = self.keys.sign_time(&wire::Time {
                iss,
                org,
                aud,
                nonce,
                t,
            })?;
            self.answer(&lock, message).await;
        }
        Ok(())
    }
}

fn verified(lock: LockId, organization: OrganizationId, event: &wire::Event<'_>, stored: StoredEvent) -> Verified {
    Verified {
        lock,
        organization,
        chain: event.chain.to_owned(),
        // Below 2^53, as the verifier saw to.
        seq: i64::try_from(event.seq).unwrap_or(i64::MAX),
        prev: event.prev.to_owned(),
        stored,
        kind: event.kind.to_owned(),
        result: event.result.to_owned(),
        cause: match event.cause {
            Cause::Jti(jti) => EventCause::Jti(jti.to_owned()),
            Cause::Pass(grant) => EventCause::Pass(grant.to_owned()),
            Cause::Pin(slot) => EventCause::Pin(slot),
            Cause::Manual => EventCause::Other("manual"),
            Cause::Key => EventCause::Other("key"),
            Cause::Auto => EventCause::Other("auto"),
        },
        mono: event.mono,
        boot: event.boot,
        wall: match (event.clock, event.wall) {
            (wire::ClockState::Fresh, Some(seconds)) => Some(Timestamp::from_millis(
                i64::try_from(seconds).unwrap_or(0).saturating_mul(1000),
            )),
            _ => None,
        },
        seen: Observation {
            bolt: event.bolt.map(bolt_of),
            door: event.door.map(door_of),
            battery: event.battery,
        },
    }
}

/// Stores the event if it is not stored yet, moves the end of the chain, writes the log and ends the attempt.
fn store_event(conn: &mut Conn, event: Verified, now: Timestamp) -> Result<Followup, Error> {
    let Some(end) = lock_events::chain_end(conn, &event.lock)? else {
        return Ok(Followup::default());
    };
    let scope = Scope::only(event.organization.clone());
    let Some(lock) = locks::find(conn, &event.lock, &scope)? else {
        return Ok(Followup::default());
    };
    if let Some(known) = lock_events::find(conn, &event.lock, &event.chain, event.seq)? {
        if !is_same_statement(&known.token, &event.stored.token) {
            fork(conn, &lock, "event-fork", now)?;
            return Ok(Followup::default());
        }
        // Again: the acknowledgement was lost, or it named the other form of the signature, which anybody on the way
        // can make of one. The lock believes only the form that it sent.
        let is_settled = end.chain.as_deref() == Some(event.chain.as_str()) && event.seq <= end.seq;
        let received = ChainEnd {
            chain: Some(event.chain),
            seq: event.seq,
            head: Some(event.stored.hash),
        };
        let ack = ack_of(&event.organization, if is_settled { &received } else { &end });
        return Ok(Followup {
            ack,
            ..Followup::default()
        });
    }
    let place = (event.chain.as_str(), event.seq);
    lock_events::add(conn, &event.lock, place, &event.kind, &event.stored, now)?;
    let end = advance(conn, &lock, end, &event, now)?;
    let occurred_at = occurred_at(conn, &event, now)?;
    let ended = write_down(conn, &lock, &event, occurred_at, now)?;
    lock_events::report(conn, &event.lock, event.seen, occurred_at.unwrap_or(now))?;
    let gap = missing(&end, Some((event.chain.clone(), u64::try_from(event.seq).unwrap_or(0))));
    Ok(Followup {
        ack: ack_of(&event.organization, &end),
        gap,
        ended: ended.into_iter().collect(),
    })
}

/// Moves the end of the chain over everything that is stored without a gap.
fn advance(
    conn: &mut Conn,
    lock: &Lock,
    mut end: ChainEnd,
    event: &Verified,
    now: Timestamp,
) -> Result<ChainEnd, Error> {
    if end.chain.as_deref() != Some(event.chain.as_str()) {
        if event.seq != 0 {
            // The beginning of a new chain is still to come; until then the end of the old one stands.
            return Ok(end);
        }
        if end.chain.is_some() {
            // A factory reset: the lock begins anew, and somebody should know.
            alarm(conn, lock, "factory-reset", now, now)?;
            lock_events::forget_clocks(conn, &lock.id)?;
        }
        end = ChainEnd {
            chain: Some(event.chain.clone()),
            seq: -1,
            head: None,
        };
    }
    let mut next = Some((event.seq, event.prev.clone(), event.stored.hash.clone()));
    while let Some((seq, prev, hash)) = next.take() {
        if seq != end.seq + 1 {
            break;
        }
        if !follows(conn, &lock.id, &event.chain, &end, &prev)? {
            fork(conn, lock, "chain-broken", now)?;
            break;
        }
        end = ChainEnd {
            seq,
            head: Some(hash),
            ..end
        };
        if let Some(stored) = lock_events::find(conn, &lock.id, &event.chain, end.seq + 1)? {
            next = Some((end.seq + 1, previous_of(&stored)?, stored.hash));
        }
    }
    lock_events::set_chain_end(conn, &lock.id, &end)?;
    Ok(end)
}

/// Whether `prev` names the event at the end of the chain, in either form of its signature.
fn follows(conn: &mut Conn, lock: &LockId, chain: &str, end: &ChainEnd, prev: &str) -> Result<bool, Error> {
    if prev == end.head.as_deref().unwrap_or(wire::NO_PREVIOUS) {
        return Ok(true);
    }
    let last = lock_events::find(conn, lock, chain, end.seq)?;
    Ok(last.is_some_and(|last| is_hash_of(prev, &last.token)))
}

/// What a stored event says of the one before it. Its signature was verified when it was stored.
fn previous_of(stored: &StoredEvent) -> Result<String, Error> {
    let message = doorward_lock::jws::Message::parse(&stored.token);
    let event = message.and_then(|message| message.claims::<wire::Event<'_>>().map(|event| event.prev.to_owned()));
    event.map_err(|refusal| Error::Store(StoreError::corrupt(refusal)))
}

/// Two histories of one lock: it is set apart and somebody should know.
fn fork(conn: &mut Conn, lock: &Lock, reason: &str, now: Timestamp) -> Result<(), Error> {
    if lock_events::quarantine(conn, &lock.id, now)? {
        tracing::warn!(lock.id = %lock.id, reason, "two histories of {} were seen; it is set apart", lock.id);
        alarm(conn, lock, reason, now, now)?;
    }
    Ok(())
}

fn alarm(conn: &mut Conn, lock: &Lock, reason: &str, occurred_at: Timestamp, now: Timestamp) -> Result<(), Error> {
    let entry = NewEntry {
        reason: Some(reason.to_owned()),
        ..NewEntry::new(Kind::Alarm, occurred_at)
    }
    .about(lock);
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(())
}

/// When the event happened, as well as can be known: by the lock's own trusted clock, or by how long after its last
/// hello; never in the future. `None` where neither tells.
fn occurred_at(conn: &mut Conn, event: &Verified, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    if let Some(wall) = event.wall {
        return Ok(Some(wall.min(now)));
    }
    let clocks = lock_events::clocks(conn, &event.lock)?.filter(|clocks| clocks.boot == event.boot);
    Ok(clocks.map(|clocks| {
        let at = if event.mono >= clocks.mono {
            clocks.at + Duration::from_secs(event.mono - clocks.mono)
        } else {
            clocks.at - Duration::from_secs(clocks.mono - event.mono)
        };
        at.min(now)
    }))
}

/// Writes the event into the log, and ends the attempt that caused it. Returns the attempt if that changed it.
fn write_down(
    conn: &mut Conn,
    lock: &Lock,
    event: &Verified,
    occurred_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Attempt>, Error> {
    let attempt = match &event.cause {
        EventCause::Jti(jti) => attempts::find_by_jti(conn, &lock.id, jti)?,
        EventCause::Other(_) | EventCause::Pass(_) | EventCause::Pin(_) => None,
    };
    let change = attempt
        .as_ref()
        .and_then(|attempt| attempt.on_event(&event.kind, &event.result, now));
    let is_late = change.as_ref().is_some_and(|change| change.late_report);
    if let Some(entry) = entry_of(event, attempt.as_ref(), is_late, occurred_at.unwrap_or(now)) {
        access_log::append(conn, &lock.organization, &entry.about(lock), now)?;
    }
    let (Some(attempt), Some(change)) = (attempt, change) else {
        return Ok(None);
    };
    let deadline = attempt.command.as_ref().map(|command| command.deadline);
    let moved = matches!(change.state, AttemptState::Confirmed { .. });
    if let (true, Some(at), Some(deadline)) = (moved, occurred_at, deadline)
        && at > deadline
    {
        alarm(conn, lock, "moved-after-deadline", at, now)?;
    }
    if !attempts::set_state(conn, &attempt.id, attempt.state.status(), &change.state)? {
        return Ok(None);
    }
    let ended = Attempt {
        state: change.state,
        ..attempt
    };
    if !moved {
        // The lock itself says that the bolt did not move by this token, and it takes no token twice.
        give_use_back(conn, &ended)?;
    }
    Ok(Some(ended))
}

/// Gives back the counted use that the attempt holds, if it holds one.
fn give_use_back(conn: &mut Conn, attempt: &Attempt) -> Result<(), Error> {
    let Some(command) = attempt.command.as_ref().filter(|command| command.takes_use) else {
        return Ok(());
    };
    if let RightSource::Grant(grant) = &command.by {
        grants::give_use_back(conn, grant)?;
    }
    Ok(attempts::set_takes_use(conn, &attempt.id, false)?)
}

/// What the log says of the event; `None` of what the log has already or what is no event of the door.
fn entry_of(event: &Verified, attempt: Option<&Attempt>, is_late: bool, occurred_at: Timestamp) -> Option<NewEntry> {
    let (kind, outcome) = match event.kind.as_str() {
        // The request stands in the log; levels and versions are kept as the lock's state.
        "attempt" | "battery" | "keyset" | "revocations" | "pins" => return None,
        "unlocked" => (Kind::Unlocked, Outcome::Ok),
        "locked" => (Kind::Locked, Outcome::Ok),
        "denied" => (Kind::Denied, Outcome::Refused),
        "jammed" => (Kind::Jammed, Outcome::Failed),
        "ajar" | "forced" | "tamper" | "wrong_code_limit" | "overflow" | "reset" => (Kind::Alarm, Outcome::Ok),
        _ => (Kind::LockEvent, Outcome::Ok),
    };
    let reason = match kind {
        Kind::Unlocked | Kind::Locked => is_late.then(|| "late-report".to_owned()),
        Kind::Alarm | Kind::LockEvent => Some(event.kind.clone()),
        _ => Some(event.result.clone()),
    };
    let cause = match &event.cause {
        EventCause::Jti(_) => "app",
        EventCause::Pass(_) => "pass",
        EventCause::Pin(_) => "pin",
        EventCause::Other(word) => word,
    };
    let mut detail = serde_json::json!({ "cause": cause, "chain": event.chain, "event_seq": event.seq });
    match &event.cause {
        EventCause::Pin(slot) => detail["pin_slot"] = (*slot).into(),
        EventCause::Pass(grant) => detail["pass_grant"] = grant.clone().into(),
        EventCause::Jti(_) | EventCause::Other(_) => {}
    }
    let by = attempt
        .and_then(|attempt| attempt.command.as_ref())
        .map(|command| &command.by);
    Some(NewEntry {
        outcome,
        reason,
        person: attempt.map(|attempt| attempt.person.clone()),
        grant: grant_of(by),
        attempt: attempt.map(|attempt| attempt.id.clone()),
        detail: Some(detail),
        ..NewEntry::new(kind, occurred_at)
    })
}

/// The acknowledgement of everything up to the chain's end.
fn ack_of(organization: &OrganizationId, end: &ChainEnd) -> Option<Ack> {
    let (chain, head) = end.chain.clone().zip(end.head.clone())?;
    Some(Ack {
        organization: organization.clone(),
        chain,
        seq: u64::try_from(end.seq).ok()?,
        head,
    })
}

/// What is missing between the stored end of the chain and an event or a head that the lock has named.
fn missing(end: &ChainEnd, named: Option<(String, u64)>) -> Option<Gap> {
    let (chain, seq) = named?;
    let stored = if end.chain.as_deref() == Some(chain.as_str()) {
        end.seq
    } else {
        -1
    };
    let from = u64::try_from(stored + 1).ok()?;
    // The named event itself is stored, or will be sent anyway; only what lies before it is asked for.
    (seq > from).then(|| Gap {
        chain,
        from,
        to: seq - 1,
    })
}

fn bolt_of(bolt: wire::Bolt) -> Bolt {
    match bolt {
        wire::Bolt::Locked => Bolt::Locked,
        wire::Bolt::Unlocked => Bolt::Unlocked,
        wire::Bolt::Unknown => Bolt::Unknown,
    }
}

fn door_of(door: wire::Door) -> Door {
    match door {
        wire::Door::Open => Door::Open,
        wire::Door::Closed => Door::Closed,
        wire::Door::Unknown => Door::Unknown,
    }
}

fn clock_of(clock: wire::ClockState) -> LockClock {
    match clock {
        wire::ClockState::Fresh => LockClock::Fresh,
        wire::ClockState::Stale => LockClock::Stale,
        wire::ClockState::None => LockClock::None,
    }
}
