//! The lines of an export, as far as a check reads them.

use serde::Deserialize;

use crate::crypto::leaf::salted;
use crate::crypto::merkle::Hash;
use crate::domain::access_log::{Kind, canonical};

#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum Line {
    LogCheckpoint(Head),
    LogEntry(Box<Entry>),
    LogLeaf(Proof),
    /// The beginning of a house's own file, which has an end.
    Organization,
    /// The end of it: how many lines stand above.
    End {
        lines: u64,
    },
    /// What else such a file has, or a person's own.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) organization_id: String,
    pub(super) checkpoint: String,
    pub(super) key: String,
    pub(super) is_whole: bool,
}

#[derive(Deserialize)]
pub(super) struct Proof {
    pub(super) seq: i64,
    pub(super) leaf: Option<String>,
    pub(super) staff_sees: Option<String>,
    pub(super) salt: Option<String>,
    pub(super) node: Option<String>,
    pub(super) proof: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) proof: Proof,
    pub(super) recorded_at: String,
    pub(super) occurred_at: String,
    pub(super) kind: String,
    pub(super) outcome: String,
    pub(super) reason: Option<String>,
    pub(super) property_id: Option<String>,
    pub(super) unit_id: Option<String>,
    pub(super) lock_id: Option<String>,
    pub(super) person_id: Option<String>,
    pub(super) actor_id: Option<String>,
    pub(super) grant_id: Option<String>,
    pub(super) attempt_id: Option<String>,
    pub(super) detail: Option<serde_json::Value>,
}

impl Entry {
    /// Whether it is one that was forgotten: a number and a day.
    pub(super) fn says_nothing(&self) -> bool {
        let about = [&self.reason, &self.property_id, &self.unit_id, &self.lock_id];
        self.kind == Kind::Forgotten.as_str()
            && about.into_iter().all(Option::is_none)
            && self.detail.is_none()
            && !self.names_somebody()
    }

    /// Which entries it says were forgotten.
    pub(super) fn forgets(&self) -> Vec<(i64, i64)> {
        let detail = self
            .detail
            .as_ref()
            .filter(|_| self.kind == Kind::EntriesForgotten.as_str());
        let ranges = detail.and_then(|detail| serde_json::from_value(detail["ranges"].clone()).ok());
        ranges.unwrap_or_default()
    }

    pub(super) fn names_somebody(&self) -> bool {
        let who = [&self.person_id, &self.actor_id, &self.grant_id, &self.attempt_id];
        who.into_iter().any(Option::is_some)
    }

    /// Its leaf under that salt.
    pub(super) fn leaf(&self, organization: &str, salt: u128) -> Hash {
        let seq = self.proof.seq.to_string();
        let detail = self.detail.as_ref().map(serde_json::Value::to_string);
        let fields = [
            Some(organization),
            Some(&seq),
            Some(&self.recorded_at),
            Some(&self.occurred_at),
            Some(&self.kind),
            Some(&self.outcome),
            self.reason.as_deref(),
            self.property_id.as_deref(),
            self.unit_id.as_deref(),
            self.lock_id.as_deref(),
            self.person_id.as_deref(),
            self.actor_id.as_deref(),
            self.grant_id.as_deref(),
            self.attempt_id.as_deref(),
            detail.as_deref(),
        ];
        salted(salt, canonical::of_fields(fields))
    }
}
