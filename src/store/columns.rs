//! What columns hold, as the domain knows it. The schema's checks keep strangers out, so a text that does not parse is a
//! corrupt database, not bad input.

use std::error::Error;
use std::str::FromStr;

use super::StoreError;
use crate::domain::time::Timestamp;

/// The value that the column's text stands for.
pub(super) fn parsed<T>(text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text.parse().map_err(StoreError::corrupt)
}

/// The value that the column's text stands for, where there is one.
pub(super) fn parsed_option<T>(text: Option<&str>) -> Result<Option<T>, StoreError>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text.map(parsed).transpose()
}

/// The bounded text of the column.
pub(super) fn text<T>(text: String) -> Result<T, StoreError>
where
    T: TryFrom<String>,
    T::Error: Error + Send + Sync + 'static,
{
    T::try_from(text).map_err(StoreError::corrupt)
}

/// The bounded text of the column; `None` where it was forgotten: checks hold such columns not null, and what is forgotten
/// is empty.
pub(super) fn remembered<T>(column: String) -> Result<Option<T>, StoreError>
where
    T: TryFrom<String>,
    T::Error: Error + Send + Sync + 'static,
{
    (!column.is_empty()).then(|| text(column)).transpose()
}

/// The value that serde writes as the column's text.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(StoreError::corrupt)
}

/// The instant of a column in milliseconds.
pub(super) fn instant(ms: Option<i64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_millis)
}
