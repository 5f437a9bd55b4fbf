//! What a property has decided about lock-outs: what they cost, who approves them, and what is tried first.

use serde::{Deserialize, Serialize};

use crate::domain::ids::PersonId;
use crate::domain::money::Currency;
use crate::domain::schedule::Schedule;
use crate::domain::text::{self, BadText};

/// A telephone number as people write it, 1 to 40 characters on one line: it is shown, never dialled from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

text::line_type!(PhoneNumber, 40);

/// Where the mechanical key is and how to come by it, 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LastResort(String);

text::line_type!(LastResort, 200);

/// What is wrong with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// More free ones than [`Policy::MOST_FREE`].
    #[error("at most {} lock-outs of a period are free", Policy::MOST_FREE)]
    Free,
    /// Members of the period that do not belong to its kind, or too few of them.
    #[error(
        "a period is of `months` with their number, of `dates` with the days on which it begins, or of the `lease`"
    )]
    Period,
    /// A number of months that does not divide the year.
    #[error("a period has 1, 2, 3, 4, 6 or 12 months")]
    Months,
    /// A text is not a day of every year.
    #[error("expected a day of every year such as 08-15")]
    Day,
    /// No day, more than [`Period::MOST_DAYS`], or one twice.
    #[error("a period begins on 1 to {} days of the year, each named once", Period::MOST_DAYS)]
    Days,
    /// An amount below zero or above [`Policy::MOST_FEE`].
    #[error("a fee is 0 to {} minor units", Policy::MOST_FEE)]
    Fee,
    /// Minutes out of range.
    #[error("expected 1 to {} minutes", Policy::MOST_MINUTES)]
    Minutes,
    /// More steps than [`Policy::MOST_STEPS`].
    #[error("at most {} things are tried first", Policy::MOST_STEPS)]
    Steps,
    /// Members of a step that do not belong to what is tried, or too few of them.
    #[error("somebody `on-call` has a `person_id`, a `locksmith` the number to `call`, and nobody else either")]
    Step,
    /// Waiting for an approval that nobody gives, or not saying how long to wait for one.
    #[error("an approval by the `desk` or a `manager` has `wait_minutes` and `then`; one by `nobody` has neither")]
    Approval,
}

/// The day of every year on which a period begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearDay {
    pub(super) month: i8,
    pub(super) day: i8,
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

/// Who may say yes to a lock-out. Never the person themself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approver {
    /// Nobody need: who has shown who they are gets in once everything else was tried.
    Nobody,
    /// Whoever sits at the desk, and managers.
    Desk,
    /// Managers.
    Manager,
}

/// What becomes of a lock-out that nobody has answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unanswered {
    /// The door stays shut.
    Refuse,
    /// It counts as approved.
    Approve,
}

/// Who approves, and what happens while nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenApproval", into = "WrittenApproval")]
pub enum Approval {
    /// Nobody need approve.
    Automatic,
    /// Somebody has to.
    By {
        /// Who.
        approver: Approver,
        /// How many minutes from the ask they have.
        wait_minutes: u32,
        /// What happens then.
        then: Unanswered,
    },
}

impl Approval {
    /// Who.
    #[must_use]
    pub fn approver(self) -> Approver {
        match self {
            Self::Automatic => Approver::Nobody,
            Self::By { approver, .. } => approver,
        }
    }
}

/// Whom a lock-out goes to first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Helper {
    /// Whoever holds a spare key of the tenant's.
    SpareKey,
    /// The desk.
    Office,
    /// The member of the staff who is on call.
    OnCall(PersonId),
    /// A locksmith, whom the tenant calls.
    Locksmith(PhoneNumber),
}

/// One thing that is tried, and for how many minutes before the next begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenStep", into = "WrittenStep")]
pub struct Step {
    /// Whom it goes to.
    pub helper: Helper,
    /// How long.
    pub minutes: u32,
}

impl Step {
    /// The word for what is tried.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.helper {
            Helper::SpareKey => "spare-key",
            Helper::Office => "office",
            Helper::OnCall(_) => "on-call",
            Helper::Locksmith(_) => "locksmith",
        }
    }
}

/// What a property has decided about lock-outs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPolicy", into = "WrittenPolicy")]
pub struct Policy {
    free: u32,
    period: Period,
    currency: Currency,
    fee: i64,
    fee_after_hours: i64,
    office_hours: Option<Schedule>,
    replacement_key_fee: i64,
    approval: Approval,
    first: Vec<Step>,
    mechanical_key: Option<LastResort>,
}

impl Policy {
    /// How many of a period may be free.
    pub const MOST_FREE: u32 = 1000;
    /// The greatest fee, in minor units.
    pub const MOST_FEE: i64 = 100_000_000;
    /// The longest wait and the longest step: a day.
    pub const MOST_MINUTES: u32 = 24 * 60;
    /// How many things may be tried first.
    pub const MOST_STEPS: usize = 8;

    /// What holds where a property has decided nothing: the desk approves within half an hour, and it costs nothing.
    #[must_use]
    pub fn undecided() -> Self {
        Self {
            free: 0,
            period: Period::Months(12),
            currency: Currency::NONE,
            fee: 0,
            fee_after_hours: 0,
            office_hours: None,
            replacement_key_fee: 0,
            approval: Approval::By {
                approver: Approver::Desk,
                wait_minutes: 30,
                then: Unanswered::Refuse,
            },
            first: Vec::new(),
            mechanical_key: None,
        }
    }

    /// How many lock-outs of a period are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.free
    }

    /// Over which time they are counted.
    #[must_use]
    pub fn period(&self) -> &Period {
        &self.period
    }

    /// In what its fees are.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// What one costs in office hours, in minor units.
    #[must_use]
    pub fn fee(&self) -> i64 {
        self.fee
    }

    /// What one costs outside of them.
    #[must_use]
    pub fn fee_after_hours(&self) -> i64 {
        self.fee_after_hours
    }

    /// The hours of the office; `None` where it is never after hours.
    #[must_use]
    pub fn office_hours(&self) -> Option<&Schedule> {
        self.office_hours.as_ref()
    }

    /// What another mechanical key costs.
    #[must_use]
    pub fn replacement_key_fee(&self) -> i64 {
        self.replacement_key_fee
    }

    /// Who approves.
    #[must_use]
    pub fn approval(&self) -> Approval {
        self.approval
    }

    /// What is tried first, in this order.
    #[must_use]
    pub fn first(&self) -> &[Step] {
        &self.first
    }

    /// Where the mechanical key is: what is left when nothing else helps.
    #[must_use]
    pub fn mechanical_key(&self) -> Option<&LastResort> {
        self.mechanical_key.as_ref()
    }

    /// The members of the staff whom it names.
    pub fn on_call(&self) -> impl Iterator<Item = &PersonId> {
        self.first.iter().filter_map(|step| match &step.helper {
            Helper::OnCall(person) => Some(person),
            _ => None,
        })
    }
}

/// A policy as it stands in JSON, in a request and in the store.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPolicy {
    free: u32,
    period: Period,
    currency: Currency,
    fee: i64,
    fee_after_hours: i64,
    office_hours: Option<Schedule>,
    #[serde(default)]
    replacement_key_fee: i64,
    approval: Approval,
    #[serde(default)]
    first: Vec<Step>,
    mechanical_key: Option<LastResort>,
}

impl TryFrom<WrittenPolicy> for Policy {
    type Error = BadPolicy;

    fn try_from(written: WrittenPolicy) -> Result<Self, BadPolicy> {
        if written.free > Self::MOST_FREE {
            return Err(BadPolicy::Free);
        }
        let fees = [written.fee, written.fee_after_hours, written.replacement_key_fee];
        if fees.iter().any(|fee| !(0..=Self::MOST_FEE).contains(fee)) {
            return Err(BadPolicy::Fee);
        }
        if written.first.len() > Self::MOST_STEPS {
            return Err(BadPolicy::Steps);
        }
        let WrittenPolicy {
            free,
            period,
            currency,
            fee,
            fee_after_hours,
            office_hours,
            replacement_key_fee,
            approval,
            first,
            mechanical_key,
        } = written;
        Ok(Self {
            free,
            period,
            currency,
            fee,
            fee_after_hours,
            office_hours,
            replacement_key_fee,
            approval,
            first,
            mechanical_key,
        })
    }
}

impl From<Policy> for WrittenPolicy {
    fn from(policy: Policy) -> Self {
        Self {
            free: policy.free,
            period: policy.period,
            currency: policy.currency,
            fee: policy.fee,
            fee_after_hours: policy.fee_after_hours,
            office_hours: policy.office_hours,
            replacement_key_fee: policy.replacement_key_fee,
            approval: policy.approval,
            first: policy.first,
            mechanical_key: policy.mechanical_key,
        }
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenApproval {
    by: Approver,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<Unanswered>,
}

impl TryFrom<WrittenApproval> for Approval {
    type Error = BadPolicy;

    fn try_from(written: WrittenApproval) -> Result<Self, BadPolicy> {
        match (written.by, written.wait_minutes, written.then) {
            (Approver::Nobody, None, None) => Ok(Self::Automatic),
            (approver @ (Approver::Desk | Approver::Manager), Some(minutes), Some(then)) => Ok(Self::By {
                approver,
                wait_minutes: in_range(minutes)?,
                then,
            }),
            _ => Err(BadPolicy::Approval),
        }
    }
}

impl From<Approval> for WrittenApproval {
    fn from(approval: Approval) -> Self {
        let (wait_minutes, then) = match approval {
            Approval::Automatic => (None, None),
            Approval::By { wait_minutes, then, .. } => (Some(wait_minutes), Some(then)),
        };
        Self {
            by: approval.approver(),
            wait_minutes,
            then,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HelperKind {
    SpareKey,
    Office,
    OnCall,
    Locksmith,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    #[serde(rename = "try")]
    helper: HelperKind,
    minutes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<PersonId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<PhoneNumber>,
}

impl TryFrom<WrittenStep> for Step {
    type Error = BadPolicy;

    fn try_from(written: WrittenStep) -> Result<Self, BadPolicy> {
        let helper = match (written.helper, written.person_id, written.call) {
            (HelperKind::SpareKey, None, None) => Helper::SpareKey,
            (HelperKind::Office, None, None) => Helper::Office,
            (HelperKind::OnCall, Some(person), None) => Helper::OnCall(person),
            (HelperKind::Locksmith, None, Some(number)) => Helper::Locksmith(number),
            _ => return Err(BadPolicy::Step),
        };
        Ok(Self {
            helper,
            minutes: in_range(written.minutes)?,
        })
    }
}

impl From<Step> for WrittenStep {
    fn from(step: Step) -> Self {
        let (helper, person_id, call) = match step.helper {
            Helper::SpareKey => (HelperKind::SpareKey, None, None),
            Helper::Office => (HelperKind::Office, None, None),
            Helper::OnCall(person) => (HelperKind::OnCall, Some(person), None),
            Helper::Locksmith(number) => (HelperKind::Locksmith, None, Some(number)),
        };
        Self {
            helper,
            minutes: step.minutes,
            person_id,
            call,
        }
    }
}

fn in_range(minutes: u32) -> Result<u32, BadPolicy> {
    if (1..=Policy::MOST_MINUTES).contains(&minutes) {
        Ok(minutes)
    } else {
        Err(BadPolicy::Minutes)
    }
}
