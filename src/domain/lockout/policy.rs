//! What a property has decided about lock-outs: what they cost, who approves them, and what is tried first.

use serde::{Deserialize, Serialize};

use crate::domain::ids::PersonId;
use crate::domain::money::Currency;
use crate::domain::schedule::Schedule;
use crate::domain::text::{self, BadText};

mod period;
mod written;

pub use period::{Period, YearDay};
use written::{WrittenApproval, WrittenPolicy, WrittenStep};

/// A telephone number as people write it, 1 to 40 characters on one line: it is shown, never dialled from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NumberToCall(String);

text::line_type!(NumberToCall, 40);

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
    Locksmith(NumberToCall),
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
