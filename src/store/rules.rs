//! What organizations have decided for themselves.

use diesel::prelude::*;

use super::schema::organization_rules;
use super::{Conn, StoreError};
use crate::domain::ids::OrganizationId;
use crate::domain::rules::{DelayHours, Rules, TwoPerson};
use crate::domain::time::Timestamp;

fn delay(hours: i64) -> Result<DelayHours, StoreError> {
    let hours = u16::try_from(hours).map_err(StoreError::corrupt)?;
    hours.try_into().map_err(StoreError::corrupt)
}

/// The organization's rules; the usual ones where it has decided nothing.
pub fn of(conn: &mut Conn, organization: &OrganizationId) -> Result<Rules, StoreError> {
    let row: Option<(bool, bool, i64, i64, i64, bool)> = organization_rules::table
        .find(organization.as_str())
        .select((
            organization_rules::two_person_grants,
            organization_rules::two_person_lockdown,
            organization_rules::self_grant_delay_hours,
            organization_rules::delay_before_hours,
            organization_rules::delay_changed_at_ms,
            organization_rules::phone_key_required,
        ))
        .get_result(conn)
        .optional()?;
    let Some((whole_property_grants, lockdown, hours, before, changed_at_ms, phone_key_required)) = row else {
        return Ok(Rules::default());
    };
    Ok(Rules {
        two_person: TwoPerson {
            whole_property_grants,
            lockdown,
        },
        self_grant_delay: delay(hours)?,
        delay_before: delay(before)?,
        delay_changed_at: Timestamp::from_millis(changed_at_ms),
        phone_key_required,
    })
}

/// Writes the organization's rules.
pub fn set(conn: &mut Conn, organization: &OrganizationId, rules: &Rules) -> Result<(), StoreError> {
    let columns = (
        organization_rules::two_person_grants.eq(rules.two_person.whole_property_grants),
        organization_rules::two_person_lockdown.eq(rules.two_person.lockdown),
        organization_rules::self_grant_delay_hours.eq(i64::from(rules.self_grant_delay.hours())),
        organization_rules::delay_before_hours.eq(i64::from(rules.delay_before.hours())),
        organization_rules::delay_changed_at_ms.eq(rules.delay_changed_at.as_millis()),
        organization_rules::phone_key_required.eq(rules.phone_key_required),
    );
    let changed = diesel::update(organization_rules::table.find(organization.as_str()))
        .set(columns)
        .execute(conn)?;
    if changed == 0 {
        diesel::insert_into(organization_rules::table)
            .values((organization_rules::organization_id.eq(organization.as_str()), columns))
            .execute(conn)?;
    }
    Ok(())
}
