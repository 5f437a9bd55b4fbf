//! A policy as it stands in JSON, in a request and in the store: flat members, of which only some belong together.

use serde::{Deserialize, Serialize};

use super::{Approval, Approver, BadPolicy, Helper, LastResort, NumberToCall, Period, Policy, Step, Unanswered};
use crate::domain::ids::PersonId;
use crate::domain::money::Currency;
use crate::domain::schedule::Schedule;

/// A policy.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPolicy {
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
#[serde(deny_unknown_fields)]
pub(super) struct WrittenApproval {
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
pub(super) struct WrittenStep {
    #[serde(rename = "try")]
    helper: HelperKind,
    minutes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<PersonId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<NumberToCall>,
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
