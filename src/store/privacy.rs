//! What properties' logs show, and for how long.

use diesel::prelude::*;

use super::columns::{instant, text};
use super::schema::{privacy_rules, properties};
use super::{Conn, StoreError};
use crate::domain::ids::PropertyId;
use crate::domain::privacy::{OwnDoors, PrivacyRule, Promised, Retention, WrittenReason};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = privacy_rules)]
struct Row {
    landlord_sees_since_ms: Option<i64>,
    retention_days: i64,
    retention_reason: Option<String>,
    promised_days: Option<i64>,
    promised_until_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<PrivacyRule, StoreError> {
        let days = |days: i64| u16::try_from(days).map_err(StoreError::corrupt);
        let reason = self.retention_reason.map(text::<WrittenReason>).transpose()?;
        let promised = match (self.promised_days, instant(self.promised_until_ms)) {
            (Some(promised), Some(until)) => Some(Promised {
                days: days(promised)?,
                until,
            }),
            _ => None,
        };
        Ok(PrivacyRule {
            own_doors: match instant(self.landlord_sees_since_ms) {
                Some(since) => OwnDoors::LandlordSees { since },
                None => OwnDoors::Private,
            },
            retention: Retention::new(days(self.retention_days)?, reason).map_err(StoreError::corrupt)?,
            promised,
        })
    }
}

/// The property's rule: its own, or the usual one.
pub fn rule(conn: &mut Conn, property: &PropertyId) -> Result<PrivacyRule, StoreError> {
    let row: Option<Row> = privacy_rules::table
        .find(property.as_str())
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map_or_else(|| Ok(PrivacyRule::default()), Row::into_domain)
}

/// Gives the property a rule of its own.
pub fn set_rule(conn: &mut Conn, property: &PropertyId, rule: &PrivacyRule, now: Timestamp) -> Result<(), StoreError> {
    let since = match rule.own_doors {
        OwnDoors::LandlordSees { since } => Some(since.as_millis()),
        OwnDoors::Private => None,
    };
    let columns = (
        privacy_rules::landlord_sees_since_ms.eq(since),
        privacy_rules::retention_days.eq(i64::from(rule.retention.days())),
        privacy_rules::retention_reason.eq(rule.retention.reason().map(WrittenReason::as_str)),
        privacy_rules::promised_days.eq(rule.promised.map(|promised| i64::from(promised.days))),
        privacy_rules::promised_until_ms.eq(rule.promised.map(|promised| promised.until.as_millis())),
        privacy_rules::changed_at_ms.eq(now.as_millis()),
    );
    let changed = diesel::update(privacy_rules::table.find(property.as_str()))
        .set(columns)
        .execute(conn)?;
    if changed == 0 {
        diesel::insert_into(privacy_rules::table)
            .values((privacy_rules::property_id.eq(property.as_str()), columns))
            .execute(conn)?;
    }
    Ok(())
}

/// Every property, by id, with the rule that it goes by.
pub fn rules(conn: &mut Conn) -> Result<Vec<(PropertyId, PrivacyRule)>, StoreError> {
    let rows: Vec<(String, Option<Row>)> = properties::table
        .left_join(privacy_rules::table)
        .order(properties::id)
        .select((properties::id, Option::<Row>::as_select()))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, row)| {
            let rule = row.map_or_else(|| Ok(PrivacyRule::default()), Row::into_domain)?;
            Ok((super::columns::parsed(&id)?, rule))
        })
        .collect()
}
