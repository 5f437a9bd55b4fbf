//! Webhooks: programs of an organization's own that are told what its access log says, by the rules of Standard Webhooks
//! (<https://www.standardwebhooks.com>). The log itself is the queue, so that each is told of every entry, in order.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::access_log::Kind;
use super::ids::{DeliveryId, OrganizationId, PersonId, WebhookId};
use super::time::Timestamp;

/// The most webhooks of one organization.
pub const MOST_WEBHOOKS: usize = 20;

/// For how long after a new secret the former one signs too, so that whoever is told can change over without a gap.
pub const FORMER_SECRET_LIFE: Duration = Duration::from_secs(24 * 3600);

/// For how long a webhook is tried that cannot be told.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);

/// How often a webhook is tried at least, however long ago the first try was: this backend may have been away meanwhile.
const TRIED_AT_LEAST: u32 = 20;

/// The waits after the first, second, … try in a row that failed; the last one counts for all further ones. It is one try
/// for all that waits, so that they need not grow to the days of a schedule that counts for each message.
const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(30 * 60),
];

/// The longest wait that whoever is told may ask for.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(6 * 3600);

/// The longest address of a webhook, in bytes.
const LONGEST_URL: usize = 1024;

/// A text is not the address of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected https://HOST[:PORT]/PATH of at most {LONGEST_URL} bytes, without a user name and without a fragment")]
pub struct BadWebhookUrl;

/// Where a webhook is told. `Debug` shows the host alone: paths and queries hold secrets of those who are told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, which may be shown to whoever may know of the webhook.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether what is told is read by everybody on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = BadWebhookUrl;

    fn try_from(text: String) -> Result<Self, BadWebhookUrl> {
        let url = Url::parse(&text).map_err(|_| BadWebhookUrl)?;
        let is_web = matches!(url.scheme(), "https" | "http") && url.has_host();
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if is_web && is_bare && url.as_str().len() <= LONGEST_URL {
            Ok(Self(url))
        } else {
            Err(BadWebhookUrl)
        }
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.0.into()
    }
}

impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookUrl({}://{}…)", self.0.scheme(), self.host())
    }
}

/// Where a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is told.
    Active,
    /// Somebody of the organization has stopped it for now.
    Paused,
    /// It answered 410: nobody there wants to be told any more.
    Gone,
    /// It could not be told for [`GIVEN_UP_AFTER`].
    Failing,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Gone, Self::Failing];

    /// The word for it in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Which.
    pub id: WebhookId,
    /// Whose log it is told of.
    pub organization: OrganizationId,
    /// Where it is told, sealed (`crypto::webhook_key`).
    pub sealed_url: String,
    /// Of which kinds of entries; of all where it is empty.
    pub kinds: Vec<Kind>,
    /// Who made it.
    pub created_by: PersonId,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Which secrets sign.
    pub secrets: Secrets,
    /// The number of the last entry of which it was told, or that is not for it.
    pub told: i64,
    /// How it failed of late.
    pub failing: Failing,
    /// Counts up with each node that sets out to tell it, and with each change: whoever did so last may say what became of
    /// it.
    pub turn: i64,
}

/// Which of a webhook's derived secrets sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// The number of the one that signs now, from 1.
    pub number: u32,
    /// Until when the one before it signs too, exclusive.
    pub former_ends_at: Timestamp,
}

impl Secrets {
    /// Those of a new webhook.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self {
            number: 1,
            former_ends_at: now,
        }
    }

    /// Those after a change at `now`.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self {
            number: self.number + 1,
            former_ends_at: now + FORMER_SECRET_LIFE,
        }
    }

    /// The numbers of those that sign at `now`, the newest first.
    pub fn signing(self, now: Timestamp) -> impl Iterator<Item = u32> {
        let former = (self.number > 1 && now < self.former_ends_at).then(|| self.number - 1);
        std::iter::once(self.number).chain(former)
    }
}

/// How a webhook failed of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// How often in a row.
    pub times: u32,
    /// When the first of these was.
    pub since: Option<Timestamp>,
    /// When it is tried again.
    pub next_try_at: Timestamp,
}

impl Failing {
    /// Not at all: it may be told at once.
    #[must_use]
    pub fn not(now: Timestamp) -> Self {
        Self {
            times: 0,
            since: None,
            next_try_at: now,
        }
    }

    /// Once more, at `now`, where whoever is told asks for a wait of `asked`. `None` where it has gone on for too long.
    #[must_use]
    pub fn once_more(self, asked: Option<Duration>, now: Timestamp) -> Option<Self> {
        let since = self.since.unwrap_or(now);
        if self.times >= TRIED_AT_LEAST && now.since(since) >= GIVEN_UP_AFTER {
            return None;
        }
        let times = self.times.saturating_add(1);
        let at = usize::try_from(times - 1).unwrap_or(usize::MAX).min(WAITS.len() - 1);
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED_WAIT);
        Some(Self {
            times,
            since: Some(since),
            next_try_at: now + WAITS[at].max(asked),
        })
    }
}

/// What a webhook is told, signed.
pub struct Message {
    /// Where.
    pub url: WebhookUrl,
    /// `webhook-id`: the same whenever the same is told.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970 of this try.
    pub timestamp: i64,
    /// `webhook-signature`: one for each secret that signs, with a space between them.
    pub signature: String,
    /// The body, as it was signed.
    pub body: Zeroizing<String>,
}

/// What became of a try to tell a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It answered; 2xx says that it was told.
    Status {
        /// The status.
        status: u16,
        /// How long it wants to be left alone (`Retry-After` of 429 and 503).
        retry_after: Option<Duration>,
    },
    /// It did not answer.
    None(NoAnswer),
}

/// Why a webhook did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Its name has no address.
    NoAddress,
    /// It is at an address that this installation tells nobody at.
    Forbidden,
    /// No connection, or none that is secure.
    NotReached,
    /// It took too long.
    Slow,
}

/// How a try came out, in a word that the organization may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was told.
    Delivered,
    /// It answered 410.
    Gone,
    /// It answered something else than 2xx; where it leads elsewhere, nobody follows.
    Refused,
    /// [`NoAnswer::NoAddress`].
    NoAddress,
    /// [`NoAnswer::Forbidden`].
    Forbidden,
    /// [`NoAnswer::NotReached`].
    NotReached,
    /// [`NoAnswer::Slow`].
    Slow,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Delivered,
        Self::Gone,
        Self::Refused,
        Self::NoAddress,
        Self::Forbidden,
        Self::NotReached,
        Self::Slow,
    ];

    /// The word for it in tables, answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::NoAddress => "no-address",
            Self::Forbidden => "forbidden",
            Self::NotReached => "not-reached",
            Self::Slow => "slow",
        }
    }
}

impl Answer {
    /// How the try came out.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Status { status: 200..=299, .. } => Outcome::Delivered,
            Self::Status { status: 410, .. } => Outcome::Gone,
            Self::Status { .. } => Outcome::Refused,
            Self::None(NoAnswer::NoAddress) => Outcome::NoAddress,
            Self::None(NoAnswer::Forbidden) => Outcome::Forbidden,
            Self::None(NoAnswer::NotReached) => Outcome::NotReached,
            Self::None(NoAnswer::Slow) => Outcome::Slow,
        }
    }

    /// The status, where it answered.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status),
            Self::None(_) => None,
        }
    }

    /// The wait that it asked for.
    #[must_use]
    pub const fn asked_wait(self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after,
            Self::None(_) => None,
        }
    }
}

/// A try to tell a webhook of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub id: DeliveryId,
    /// Whom.
    pub webhook: WebhookId,
    /// The number of the entry.
    pub seq: i64,
    /// When.
    pub tried_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// How it came out.
    pub outcome: Outcome,
    /// What it answered, where it did.
    pub status: Option<u16>,
}

/// The way out to webhooks.
#[async_trait]
pub trait Teller: Send + Sync + 'static {
    /// Whether anybody may be told there, as far as the address itself says: a name is looked up when it is told.
    fn may_tell(&self, url: &WebhookUrl) -> bool;

    /// Tells once.
    async fn tell(&self, message: Message) -> Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<WebhookUrl> {
        WebhookUrl::try_from(text.to_owned()).ok()
    }

    #[test]
    fn an_address_is_one_of_the_web_and_holds_no_user() {
        for text in [
            "https://hooks.example/doorward?token=a",
            "http://10.0.0.1:8080/",
            "https://[2001:db8::1]/x",
        ] {
            assert!(url(text).is_some(), "{text}");
        }
        let long = format!("https://hooks.example/{}", "a".repeat(LONGEST_URL));
        for text in [
            "",
            "hooks.example",
            "ftp://hooks.example/",
            "https://user:word@hooks.example/",
            "https://user@hooks.example/",
            "https://hooks.example/#a",
            "file:///etc/passwd",
            "javascript:alert(1)",
            &long,
        ] {
            assert_eq!(url(text), None, "{text}");
        }
        let shown = format!("{:?}", url("https://hooks.example/secret?token=a").unwrap());
        assert!(!shown.contains("secret") && !shown.contains("token"), "{shown}");
    }

    #[test]
    fn what_looks_like_a_number_is_the_address_that_it_stands_for() {
        for text in ["https://2130706433/", "https://0x7f.1/", "https://127.1/"] {
            assert_eq!(url(text).unwrap().host(), "127.0.0.1", "{text}");
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let begin = Timestamp::from_millis(1_000_000);
        let (mut failing, mut now, mut tries) = (Failing::not(begin), begin, 0);
        let mut waits = Vec::new();
        while let Some(next) = failing.once_more(None, now) {
            waits.push(next.next_try_at.since(now));
            (failing, now, tries) = (next, next.next_try_at, tries + 1);
            assert!(tries < 1000, "it never ends");
        }
        assert_eq!(waits[..WAITS.len()], WAITS);
        assert!(waits.is_sorted());
        assert!(now.since(begin) >= GIVEN_UP_AFTER);
        assert!(now.since(begin) < GIVEN_UP_AFTER + Duration::from_secs(3600));
    }

    #[test]
    fn a_backend_that_was_away_tries_anew() {
        let begin = Timestamp::from_millis(0);
        let once = Failing::not(begin).once_more(None, begin).unwrap();
        assert!(once.once_more(None, begin + 2 * GIVEN_UP_AFTER).is_some());
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_within_bounds() {
        let now = Timestamp::from_millis(0);
        for (asked, expected) in [(1, 5), (60, 60), (1_000_000, 6 * 3600)] {
            let next = Failing::not(now)
                .once_more(Some(Duration::from_secs(asked)), now)
                .unwrap();
            assert_eq!(next.next_try_at.since(now), Duration::from_secs(expected));
        }
    }

    #[test]
    fn the_former_secret_signs_for_a_day() {
        let now = Timestamp::from_millis(0);
        let first = Secrets::first(now);
        assert_eq!(first.signing(now).collect::<Vec<_>>(), [1]);
        let second = first.next(now);
        assert_eq!(second.signing(now).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(second.signing(now + FORMER_SECRET_LIFE).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn only_2xx_says_that_it_was_told() {
        let of = |status| {
            Answer::Status {
                status,
                retry_after: None,
            }
            .outcome()
        };
        for (status, outcome) in [
            (200, Outcome::Delivered),
            (204, Outcome::Delivered),
            (301, Outcome::Refused),
            (400, Outcome::Refused),
            (410, Outcome::Gone),
            (500, Outcome::Refused),
        ] {
            assert_eq!(of(status), outcome);
        }
    }
}
