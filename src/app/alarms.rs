//! Telling of alarms: whoever manages the house hears of what stands in its log as one, and who lives behind a door of its
//! battery. The log is the queue, so that nothing that raises an alarm has to know whom to tell.

use std::sync::Arc;
use std::time::Duration;

use super::in_turn::each_in_turn;
use super::{App, Error, notices};
use crate::crypto::random::Random;
use crate::domain::access_log::visibility::Reader;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Role;
use crate::domain::ids::OrganizationId;
use crate::domain::lock::BATTERY_LOW_ALARM;
use crate::domain::notice::{self, News};
use crate::domain::time::Timestamp;
use crate::store::access_log::{Filter, Order};
use crate::store::{Conn, access_log, accounts, alarms, notices as told, tenancies};

/// For how long the same alarm of the same lock is not told again: a door that stands open all night says so often.
const QUIET: Duration = Duration::from_secs(3600);

/// How many organizations are looked after in one round.
const LOGS_A_ROUND: i64 = 1000;

/// How many alarms are told of in one transaction.
const ALARMS_AT_ONCE: i64 = 50;

impl App {
    /// Tells of the alarms that were raised since the last round; says of how many.
    ///
    /// # Errors
    /// The first of those that telling of one log's met; the others are told all the same.
    pub async fn tell_alarms(&self) -> Result<usize, Error> {
        let grown = self.db.read(|conn| alarms::untold(conn, LOGS_A_ROUND)).await?;
        let (told, outcome) = each_in_turn(grown, |(organization, told, end)| {
            let (now, random) = (self.now(), Arc::clone(&self.random));
            self.db
                .write(move |conn| tell_of(conn, &*random, &organization, (told, end), now))
        })
        .await;
        outcome?;
        Ok(told.into_iter().sum())
    }
}

/// Tells of the alarms among the log's entries after the first of these numbers, up to the second at most.
fn tell_of(
    conn: &mut Conn,
    random: &dyn Random,
    organization: &OrganizationId,
    (after, end): (i64, i64),
    now: Timestamp,
) -> Result<usize, Error> {
    let filter = Filter {
        kinds: vec![Kind::Alarm, Kind::Jammed],
        ..Filter::default()
    };
    let (reader, order) = (Reader::of_staff(), Order::OldestFirst);
    let mut found = access_log::entries(conn, organization, &filter, &reader, order, Some(after), ALARMS_AT_ONCE)?;
    found.retain(|seen| seen.entry.seq <= end);
    let is_all = i64::try_from(found.len()).unwrap_or(i64::MAX) < ALARMS_AT_ONCE;
    let told = if is_all { None } else { found.last() }.map_or(end, |last| last.entry.seq);
    // Another node tells at this moment: it was the first.
    if !alarms::mark(conn, organization, after, told)? {
        return Ok(0);
    }
    for seen in &found {
        tell_managers(conn, random, organization, &seen.entry.what, now)?;
    }
    Ok(found.len())
}

fn tell_managers(
    conn: &mut Conn,
    random: &dyn Random,
    organization: &OrganizationId,
    alarm: &NewEntry,
    now: Timestamp,
) -> Result<(), Error> {
    let is_battery = alarm.reason.as_deref() == Some(BATTERY_LOW_ALARM);
    let kind = if is_battery {
        notice::Kind::BatteryLow
    } else {
        notice::Kind::Alarm
    };
    let reason = match alarm.kind {
        Kind::Jammed => Some(Kind::Jammed.as_str()),
        _ => alarm.reason.as_deref(),
    };
    let news = News {
        lock: alarm.lock.clone(),
        unit: alarm.unit.clone(),
        detail: Some(serde_json::json!({ "reason": reason })),
        ..News::new(kind, organization.clone())
    };
    let mut persons = accounts::with_role(conn, organization, Role::manages)?;
    // Who lives there stands before the door when it is empty.
    if let (true, Some(unit)) = (is_battery, &alarm.unit) {
        persons.extend(tenancies::residents(conn, unit, now)?);
    }
    let mut untold = Vec::new();
    for person in persons {
        if !told::is_known(conn, &person, &news, now - QUIET)? {
            untold.push(person);
        }
    }
    notices::tell(conn, random, untold, &news, now)
}
