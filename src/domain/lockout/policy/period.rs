//! Over which time lock-outs are counted.

use serde::{Deserialize, Serialize};

use super::BadPolicy;

/// The day of every year on which a period begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearDay {
    pub(in crate::domain::lockout) month: i8,
    pub(in crate::domain::lockout) day: i8,
}

impl std::str::FromStr for YearDay {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        let digits = text.len() == 5
            && text
                .char_indices()
                .all(|(at, c)| if at == 2 { c == '-' } else { c.is_ascii_digit() });
        if !digits {
            return Err(BadPolicy::Day);
        }
        let (month, day) = (text[..2].parse(), text[3..].parse());
        let (Ok(month), Ok(day)) = (month, day) else {
            return Err(BadPolicy::Day);
        };
        // A year without a leap day decides, so that the period begins every year.
        match jiff::civil::Date::new(2025, month, day) {
            Ok(_) => Ok(Self { month, day }),
            Err(_) => Err(BadPolicy::Day),
        }
    }
}

impl std::fmt::Display for YearDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// Over which time lock-outs are counted, by the calendar of the property's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPeriod", into = "WrittenPeriod")]
pub enum Period {
    /// So many calendar months, the first of them January: 12 is the year.
    Months(u8),
    /// From each of these days of the year to the next, such as the first days of semesters.
    Dates(Vec<YearDay>),
    /// The whole time that the person lives there.
    Lease,
}

impl Period {
    /// On how many days of the year a period may begin.
    pub const MOST_DAYS: usize = 12;

    /// A period of so many calendar months.
    ///
    /// # Errors
    /// [`BadPolicy::Months`] where they do not divide the year.
    pub fn months(months: u8) -> Result<Self, BadPolicy> {
        match months {
            1 | 2 | 3 | 4 | 6 | 12 => Ok(Self::Months(months)),
            _ => Err(BadPolicy::Months),
        }
    }

    /// A period that begins on each of these days.
    ///
    /// # Errors
    /// [`BadPolicy::Days`].
    pub fn dates(mut days: Vec<YearDay>) -> Result<Self, BadPolicy> {
        days.sort_unstable();
        if days.is_empty() || days.len() > Self::MOST_DAYS || days.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BadPolicy::Days);
        }
        Ok(Self::Dates(days))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PeriodKind {
    Months,
    Dates,
    Lease,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPeriod {
    of: PeriodKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    months: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_on: Option<Vec<String>>,
}

impl TryFrom<WrittenPeriod> for Period {
    type Error = BadPolicy;

    fn try_from(written: WrittenPeriod) -> Result<Self, BadPolicy> {
        match (written.of, written.months, written.begins_on) {
            (PeriodKind::Months, Some(months), None) => Self::months(months),
            (PeriodKind::Dates, None, Some(days)) => {
                Self::dates(days.iter().map(|day| day.parse()).collect::<Result<_, _>>()?)
            }
            (PeriodKind::Lease, None, None) => Ok(Self::Lease),
            _ => Err(BadPolicy::Period),
        }
    }
}

impl From<Period> for WrittenPeriod {
    fn from(period: Period) -> Self {
        let (of, months, begins_on) = match period {
            Period::Months(months) => (PeriodKind::Months, Some(months), None),
            Period::Dates(days) => {
                let days = days.iter().map(ToString::to_string).collect();
                (PeriodKind::Dates, None, Some(days))
            }
            Period::Lease => (PeriodKind::Lease, None, None),
        };
        Self { of, months, begins_on }
    }
}
