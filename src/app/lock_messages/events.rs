//! Events: stored once, written into the log, and the end of the attempt that caused them.

use std::sync::Arc;
use std::time::Duration;

use doorward_lock::wire::{self, Cause};

use super::answers::{Ack, Gap};
use super::by_pass::{Bearer, bearer};
use super::chain::{advance, alarm, fork, missing};
use super::whereabouts::{hung_at, may_have_hung};
use super::{Owner, bolt_of, door_of};
use crate::app::attempts::{close, grant_of};
use crate::app::lockdowns::count_lockdown;
use crate::app::pins::{Keypad, Spoken, hear_event, spoke};
use crate::app::{App, Error, visits};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::Scope;
use crate::domain::attempt::{Action, Attempt, AttemptState};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId};
use crate::domain::lock::{Assurance, BATTERY_LOW_ALARM, EnrolmentEnd, Lock};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::lock_events::{self, ChainEnd, Observation, StoredEvent};
use crate::store::{Conn, access_log, attempts, enrolments, grants, lockouts, locks, revocations};

/// What follows from a message once it is committed.
#[derive(Debug, Default)]
struct Followup {
    /// Whether the event was not stored before.
    is_new: bool,
    ack: Option<Ack>,
    gap: Option<Gap>,
    ended: Vec<Attempt>,
    has_left: bool,
    /// Whether the lock should be sent more of its PINs.
    pins: bool,
}

/// An event that was verified, without ties to the message that it came in.
pub(super) struct Verified {
    pub(super) lock: LockId,
    pub(super) organization: OrganizationId,
    pub(super) enrolment: u32,
    pub(super) chain: String,
    pub(super) seq: i64,
    pub(super) prev: String,
    pub(super) stored: StoredEvent,
    pub(super) kind: String,
    pub(super) result: String,
    pub(super) cause: EventCause,
    pub(super) mono: u64,
    pub(super) boot: u32,
    /// The lock's own time, where it trusts its clock.
    pub(super) wall: Option<Timestamp>,
    pub(super) seen: Observation,
    pub(super) assurance: Option<Assurance>,
    /// What the lock lost, in an event that sums it up.
    lost: Option<wire::Lost>,
}

pub(super) enum EventCause {
    Jti(String),
    Other(&'static str),
    Pass(String),
    Pin(u16),
    Code(String),
}

impl Verified {
    /// What was typed at the lock, where that caused it.
    fn keypad(&self) -> Option<Keypad<'_>> {
        match &self.cause {
            EventCause::Pin(slot) => Some(Keypad::Pin(*slot)),
            EventCause::Code(code) => Some(Keypad::Code(code)),
            _ => None,
        }
    }
}

impl App {
    /// Stores an event once and does what follows from it.
    pub(super) async fn take_event(&self, event: Verified) -> Result<(), Error> {
        let now = self.now();
        let lock = event.lock.clone();
        let organization = event.organization.clone();
        let newest_keyset = self.keys.ring().version();
        let random = Arc::clone(&self.random);
        let stored = self.db.write(move |conn| {
            let took_keyset = event.took_keyset();
            let followup = store_event(conn, &random, event, now)?;
            if let Some((lock, boot, mono)) = took_keyset.filter(|_| followup.is_new) {
                note_keyset(conn, &lock, (boot, mono), newest_keyset)?;
            }
            Ok::<_, Error>(followup)
        });
        let followup = stored.await?;
        self.metrics.lock_events.inc();
        self.changes.tell(&lock);
        followup.ended.iter().for_each(|attempt| self.ended(attempt));
        if followup.has_left {
            self.departures.tell(&lock);
        }
        self.confirmations.notify_waiters();
        if let Some(ack) = followup.ack {
            self.acks.put(lock.clone(), ack);
        }
        if let Some(gap) = followup.gap {
            self.ask_again(&lock, &organization, &gap).await?;
        }
        if followup.pins {
            self.push_pins(&lock).await?;
        }
        Ok(())
    }
}

/// The event, without ties to the message that it came in.
pub(super) fn verified(
    lock: LockId,
    Owner {
        organization,
        enrolment,
    }: Owner,
    event: &wire::Event<'_>,
    stored: StoredEvent,
) -> Verified {
    Verified {
        lock,
        organization,
        enrolment,
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
            Cause::Code(code) => EventCause::Code(code.to_owned()),
            Cause::Manual => EventCause::Other("manual"),
            Cause::Key => EventCause::Other("key"),
            Cause::Auto => EventCause::Other("auto"),
        },
        mono: event.mono,
        boot: event.boot,
        wall: match (event.clock, event.wall) {
            (wire::ClockState::Fresh, Some(seconds)) => Some(Timestamp::from_seconds(seconds)),
            _ => None,
        },
        seen: Observation {
            bolt: event.bolt.map(bolt_of),
            door: event.door.map(door_of),
            battery: event.battery,
        },
        assurance: event.assurance.map(|wire::Assurance::Adapter| Assurance::Adapter),
        lost: event.lost,
    }
}

/// Stores the event if it is not stored yet, moves the end of the chain, writes the log and ends the attempt.
fn store_event(conn: &mut Conn, random: &Arc<dyn Random>, event: Verified, now: Timestamp) -> Result<Followup, Error> {
    let Some(end) = lock_events::chain_end(conn, &event.lock, event.enrolment)? else {
        return Ok(Followup::default());
    };
    let scope = Scope::only(event.organization.clone());
    let Some(lock) = locks::find(conn, &event.lock, &scope)? else {
        return Ok(Followup::default());
    };
    let is_of_chain = |end: &ChainEnd| end.chain.as_deref() == Some(event.chain.as_str());
    // What comes right behind the end is not stored yet: the end lies behind all that is.
    let is_next = is_of_chain(&end) && event.seq == end.seq + 1;
    let known = match is_next {
        true => None,
        false => lock_events::find(conn, &event.lock, &event.chain, event.seq)?,
    };
    if let Some(known) = known {
        if !known.says_the_same(&event.stored) {
            fork(conn, &lock, "event-fork", now)?;
            return Ok(Followup::default());
        }
        // Again: the acknowledgement was lost, or it named the other form of the signature, which anybody on the way
        // can make of one. The lock believes only the form that it sent.
        let is_settled = is_of_chain(&end) && event.seq <= end.seq;
        let received = ChainEnd {
            chain: Some(event.chain),
            seq: event.seq,
            head: Some(event.stored.hash),
        };
        let ack = Ack::of(&event.organization, if is_settled { &received } else { &end });
        return Ok(Followup {
            ack,
            ..Followup::default()
        });
    }
    let place = (event.chain.as_str(), event.seq);
    lock_events::add(conn, &event.lock, place, &event.kind, &event.stored, now)?;
    let end = advance(conn, &lock, end, &event, now)?;
    if event.assurance != lock.assurance {
        lock_events::set_assurance(conn, &event.lock, event.assurance)?;
    }
    if event.kind == wire::Kind::Revocations.as_str() {
        count_revocations(conn, &event)?;
    }
    if event.kind == wire::Kind::Lockdown.as_str() {
        count_lockdown(conn, &event.lock, event.seq)?;
    }
    let occurred_at = occurred_at(conn, &event, now)?;
    let is_settled = is_of_chain(&end) && event.seq <= end.seq;
    let ended = write_down(conn, &lock, &event, occurred_at, is_settled, now)?;
    if let Some(grant) = opened_by(ended.as_ref()) {
        visits::begun(conn, &**random, &grant, occurred_at.unwrap_or(now), now)?;
    }
    let place = (event.chain.as_str(), event.seq);
    let pins = is_of_chain(&end) && hear_event(conn, &event.lock, (&event.kind, &event.result), place, now)?;
    // What was seen at a time that nobody knows says nothing of the present.
    if let Some(at) = occurred_at
        && lock_events::report(conn, &event.lock, event.seen, at)?
    {
        alarm(conn, &lock, BATTERY_LOW_ALARM, at, now)?;
    }
    if event.kind == wire::Kind::Jammed.as_str() && event.result == wire::RESULT_JAMMED {
        lock_events::report_jam(conn, &event.lock, occurred_at.unwrap_or(now))?;
    }
    let has_left = match end_of_life(&event) {
        // Where the chain has not begun here, its beginning is only late.
        Some(reason) if end.chain.is_none() || is_of_chain(&end) => enrolments::leave(conn, &lock.id, reason, now)?,
        _ => false,
    };
    let gap = missing(&end, Some((event.chain.clone(), u64::try_from(event.seq).unwrap_or(0))));
    Ok(Followup {
        is_new: true,
        ack: Ack::of(&event.organization, &end),
        gap,
        ended: ended.into_iter().collect(),
        has_left,
        pins,
    })
}

impl Verified {
    /// Which lock took a keyset, and when by its own clocks, where the event says that it did.
    fn took_keyset(&self) -> Option<(LockId, u32, u64)> {
        (self.kind == wire::Kind::Keyset.as_str()).then(|| (self.lock.clone(), self.boot, self.mono))
    }
}

/// Counts up the keyset that the lock holds, after an event that says that it took one. The event does not say which;
/// so it counts as the next one, until a hello tells. An event from before the last hello is in what that said.
fn note_keyset(conn: &mut Conn, lock: &LockId, at: (u32, u64), newest: u64) -> Result<(), Error> {
    let Some(last) = lock_events::clocks(conn, lock)? else {
        return Ok(());
    };
    if at > (last.boot, last.mono) && last.keyset < newest {
        lock_events::raise_keyset(conn, lock, last.keyset + 1)?;
    }
    Ok(())
}

/// The grant by which the attempt has opened the door, where it has.
fn opened_by(attempt: Option<&Attempt>) -> Option<GrantId> {
    let opened =
        attempt.filter(|attempt| attempt.action == Action::Unlock && attempt.state.confirmed_at().is_some())?;
    grant_of(opened.command.as_ref().map(|command| &command.by))
}

/// How the lock's controller leaves, if that is what the event says.
fn end_of_life(event: &Verified) -> Option<EnrolmentEnd> {
    [
        (wire::Kind::Released, EnrolmentEnd::Released),
        (wire::Kind::Reset, EnrolmentEnd::Reset),
    ]
    .into_iter()
    .find_map(|(kind, end)| (event.kind == kind.as_str()).then_some(end))
}

/// Counts up the epoch of the revocations that the lock holds, after an event that says that it took newer ones. The event
/// does not say which; so it counts as the next one, until a hello tells. An event from before the last hello is in what
/// that said.
fn count_revocations(conn: &mut Conn, event: &Verified) -> Result<(), Error> {
    let told = revocations::told(conn, &event.lock)?;
    if told.held < told.epoch && told.seq.is_some_and(|seq| event.seq > seq) {
        revocations::report(conn, &event.lock, told.held + 1, event.seq)?;
    }
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

/// Ends the attempt that caused the event, and writes the event into the log; in this order, in which an unlock takes
/// them too: lock, attempt, grant, end of the log. Returns the attempt if that changed it.
fn write_down(
    conn: &mut Conn,
    lock: &Lock,
    event: &Verified,
    occurred_at: Option<Timestamp>,
    is_settled: bool,
    now: Timestamp,
) -> Result<Option<Attempt>, Error> {
    let attempt = match &event.cause {
        EventCause::Jti(jti) => attempts::hold_by_jti(conn, &lock.id, jti)?,
        EventCause::Other(_) | EventCause::Pass(_) | EventCause::Pin(_) | EventCause::Code(_) => None,
    };
    let change = attempt
        .as_ref()
        .and_then(|attempt| attempt.on_event(&event.kind, &event.result, now));
    let is_late = change.as_ref().is_some_and(|change| change.late_report);
    let spoken = match event.keypad() {
        Some(keypad) => {
            let opened = event.kind == wire::Kind::Unlocked.as_str();
            spoke(
                conn,
                (lock, event.enrolment),
                keypad,
                (&event.chain, event.seq),
                opened.then_some(now),
            )?
        }
        None => None,
    };
    let bearer = bearer(conn, lock, event, now)?;
    let entry = entry_of(
        event,
        attempt.as_ref(),
        bearer.as_ref(),
        is_late,
        occurred_at.unwrap_or(now),
    );
    let entry = entry.map(|entry| match spoken {
        Some(Spoken { grant, person }) => NewEntry {
            grant: Some(grant),
            person,
            ..entry
        },
        None => entry,
    });
    if let Some(attempt) = attempt.as_ref().filter(|_| event.kind == wire::Kind::Attempt.as_str()) {
        attempts::set_accepted(conn, &attempt.id, now)?;
    }
    if let Some(attempt) = attempt
        .as_ref()
        .filter(|attempt| is_settled && did_not_move(attempt, event))
    {
        give_use_back(conn, attempt)?;
    }
    let ended = match attempt.zip(change) {
        Some((attempt, change)) => close(conn, attempt, change)?,
        None => None,
    };
    if let Some(entry) = entry {
        if let (Kind::Unlocked, Some(grant)) = (entry.kind, &entry.grant) {
            lockouts::note_use(conn, grant, entry.occurred_at)?;
        }
        let (there, then) = match occurred_at {
            Some(at) => (hung_at(conn, lock, at)?, at),
            None => {
                let given_by = match &entry.grant {
                    Some(grant) => grants::find_any(conn, grant)?.map(|grant| grant.given_by),
                    None => None,
                };
                let persons: Vec<PersonId> = entry.person.iter().cloned().chain(given_by).collect();
                may_have_hung(conn, lock, event.enrolment, &persons, now)?
            }
        };
        access_log::append_as_of(conn, &lock.organization, &entry.about(&there), then, now)?;
    }
    let moved = ended.as_ref().filter(|ended| ended.state.confirmed_at().is_some());
    let deadline = moved
        .and_then(|moved| moved.command.as_ref())
        .map(|command| command.deadline);
    if let Some((at, deadline)) = occurred_at.zip(deadline)
        && at > deadline
    {
        let there = hung_at(conn, lock, at)?;
        alarm(conn, &there, "moved-after-deadline", at, now)?;
    }
    Ok(ended)
}

/// Whether the lock says with this event that the bolt did not move by the attempt's token. That holds only of an event
/// with nothing missing before it: a lock denies the repetition of a token by which it has moved, and whoever delays its
/// events must not make the one look like the other. Where its power was cut in mid-movement, or what moves its bolt has not
/// answered, it cannot say.
fn did_not_move(attempt: &Attempt, event: &Verified) -> bool {
    let says_so = match event.kind.as_str() {
        "denied" => true,
        "jammed" => !matches!(event.result.as_str(), wire::RESULT_INTERRUPTED | wire::RESULT_NO_ANSWER),
        _ => false,
    };
    says_so && !matches!(attempt.state, AttemptState::Confirmed { .. })
}

/// Gives back the counted use that the attempt holds, if it holds one.
pub(super) fn give_use_back(conn: &mut Conn, attempt: &Attempt) -> Result<(), Error> {
    let Some(command) = attempt.command.as_ref().filter(|command| command.takes_use) else {
        return Ok(());
    };
    if let RightSource::Grant(grant) = &command.by {
        grants::give_use_back(conn, grant)?;
    }
    Ok(attempts::set_takes_use(conn, &attempt.id, false)?)
}

/// What the log says of the event; `None` of what the log has already or what is no event of the door.
fn entry_of(
    event: &Verified,
    attempt: Option<&Attempt>,
    bearer: Option<&Bearer>,
    is_late: bool,
    occurred_at: Timestamp,
) -> Option<NewEntry> {
    let (kind, outcome) = match event.kind.as_str() {
        // The request stands in the log; levels and versions are kept as the lock's state.
        "attempt" | "battery" | "keyset" | "revocations" | "pins" | "lockdown" => return None,
        "unlocked" => (Kind::Unlocked, Outcome::Ok),
        "locked" => (Kind::Locked, Outcome::Ok),
        "denied" => (Kind::Denied, Outcome::Refused),
        "jammed" => (Kind::Jammed, Outcome::Failed),
        "ajar" | "forced" | "tamper" | "wrong_code_limit" | "overflow" | "reset" => (Kind::Alarm, Outcome::Ok),
        _ => (Kind::LockEvent, Outcome::Ok),
    };
    let reason = match kind {
        Kind::Unlocked if bearer.is_some_and(|bearer| bearer.exceeds) => Some("uses-exceeded".to_owned()),
        Kind::Unlocked | Kind::Locked => is_late.then(|| "late-report".to_owned()),
        Kind::Alarm | Kind::LockEvent => Some(event.kind.clone()),
        _ => Some(event.result.clone()),
    };
    let cause = match &event.cause {
        EventCause::Jti(_) => "app",
        EventCause::Pass(_) => "pass",
        EventCause::Pin(_) => "pin",
        EventCause::Code(_) => "code",
        EventCause::Other(word) => word,
    };
    let mut detail = serde_json::json!({ "cause": cause, "chain": event.chain, "event_seq": event.seq });
    if event.kind == wire::Kind::PinSlot.as_str() {
        detail["result"] = event.result.clone().into();
    }
    match &event.cause {
        EventCause::Pin(slot) => detail["pin_slot"] = (*slot).into(),
        EventCause::Code(code) => detail["code"] = code.clone().into(),
        EventCause::Pass(right) => detail["pass_by"] = right.clone().into(),
        EventCause::Jti(_) | EventCause::Other(_) => {}
    }
    if let Some(lost) = event.lost {
        detail["lost"] = serde_json::json!({
            "from": lost.from, "to": lost.to, "unlocked": lost.unlocked, "locked": lost.locked, "denied": lost.denied,
            "other": lost.other,
        });
    }
    if let Some(assurance) = event.assurance {
        detail["assurance"] = assurance.as_str().into();
    }
    let by_token = attempt.and_then(|attempt| attempt.command.as_ref());
    let by = by_token.map(|command| &command.by).or(bearer
        .filter(|bearer| bearer.person.is_some())
        .map(|bearer| &bearer.right));
    let person = attempt.map(|attempt| &attempt.person);
    let person = person.or(bearer.and_then(|bearer| bearer.person.as_ref()));
    Some(NewEntry {
        outcome,
        reason,
        person: person.cloned(),
        grant: grant_of(by),
        attempt: attempt.map(|attempt| attempt.id.clone()),
        detail: Some(detail),
        ..NewEntry::new(kind, occurred_at)
    })
}
