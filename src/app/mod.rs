//! Use cases: one sentence, one transaction each, authorized on the first line.
//!
//! A refusal at the door is `Ok`, because its log entry must commit; everything that stops a use case is an [`Error`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::crypto::factor_key::FactorKey;
use crate::crypto::keys::KeyStore;
use crate::crypto::log_key::LogKey;
use crate::crypto::password::Passwords;
use crate::crypto::pin_keys::PinKeys;
use crate::crypto::random::Random;
use crate::domain::access_log::NewEntry;
use crate::domain::account::{Membership, Role, Scope};
use crate::domain::api_key::{ApiKey, KeyScope};
use crate::domain::guest::Reach;
use crate::domain::ids::{OrganizationId, PersonId, SessionId};
use crate::domain::lock::Lock;
use crate::domain::pass::Lives;
use crate::domain::relay::{Registrar, Relay};
use crate::domain::time::{Clock, Timestamp};
use crate::domain::unlock::Right;
use crate::store::{self, Conn, Db, accounts};

pub mod access_log;
pub mod alarms;
pub mod api_keys;
pub mod attempts;
pub mod belongings;
pub mod books;
pub mod bootstrap;
mod broker_turns;
mod changes;
pub mod credentials;
pub mod enrolment;
pub mod erasure;
mod error;
pub mod evidence;
pub mod forgetting;
pub mod grants;
pub mod guests;
mod house_access;
pub mod housekeeping;
pub mod idempotency;
pub mod imports;
mod in_turn;
pub mod invitations;
pub mod keys;
pub mod ledger;
pub mod letters;
pub mod live;
pub mod lock_messages;
pub mod lockdowns;
pub mod lockouts;
pub mod locks;
pub mod looks;
pub mod members;
pub mod metrics;
pub mod notices;
pub mod own_sessions;
pub mod passes;
pub mod passkeys;
pub mod phones;
pub mod pins;
pub mod places;
pub mod privacy;
pub mod proposals;
pub mod readiness;
pub mod restoring;
pub mod revocations;
pub mod roles;
pub mod rules;
pub mod second_factors;
pub mod service_accounts;
pub mod sessions;
pub mod shown;
pub mod tenancies;
mod tries;
pub mod unlock;
pub mod visits;
mod waiters;
pub mod webhooks;

pub use error::{Error, What};
pub use metrics::Metrics;

/// What the use cases need to know of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where people reach this service: the beginning of links that are handed out, without a slash at its end.
    pub public_url: String,
    /// What stands in every token.
    pub issuer: Issuer,
    /// The name of this node: where locks answer.
    pub node: String,
    /// How long after the decision a bolt may move at the latest, in whole seconds: 2 to 30 (`docs/PROTOCOL.md`,
    /// "`unlock+jwt`").
    pub token_seconds: u64,
    /// How long a request waits for the lock's word where it does not say.
    pub usual_wait: Duration,
    /// How long offline passes live.
    pub pass_lives: Lives,
    /// How long an access token lives.
    pub access_life: Duration,
    /// How long a refresh token lives.
    pub refresh_life: Duration,
    /// What locks are told about the broker.
    pub broker: BrokerAddress,
}

/// This installation as locks know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `iss`; locks pin it when they enrol.
    pub name: String,
    /// Upper 16 bits of every counter: a restored backup goes up one, so that no lock takes an old counter for new.
    pub generation: u16,
}

/// Where a lock finds the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Host name or address that its certificate names.
    pub host: String,
    /// Port, TLS.
    pub port: u16,
    /// The certificate authority to trust, PEM.
    pub ca_certificate: String,
    /// What every topic begins with.
    pub topic_root: String,
}

/// The parts that the use cases work with.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The thread that hashes passwords.
    pub passwords: Passwords,
    /// The keys that sign.
    pub keys: Arc<KeyStore>,
    /// The PIN keys of locks.
    pub pin_keys: PinKeys,
    /// The key that signs checkpoints of access logs.
    pub log_key: LogKey,
    /// What secrets of second factors are sealed under.
    pub factors: FactorKey,
    /// The way out to the locks.
    pub relay: Arc<dyn Relay>,
    /// Which locks the broker lets in.
    pub registrar: Arc<dyn Registrar>,
    /// What letters are sealed and carried by.
    pub letters: letters::Letters,
    /// What webhooks are told by.
    pub webhooks: webhooks::Webhooks,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The use cases.
pub struct App {
    db: Db,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    passwords: Passwords,
    keys: Arc<KeyStore>,
    pin_keys: Arc<PinKeys>,
    log_key: Arc<LogKey>,
    factors: Arc<FactorKey>,
    relay: Arc<dyn Relay>,
    registrar: Arc<dyn Registrar>,
    letters: Arc<letters::Letters>,
    webhooks: webhooks::Webhooks,
    metrics: Arc<Metrics>,
    settings: Settings,
    waiters: waiters::Waiters,
    changes: changes::Changes,
    acks: lock_messages::Acks,
    asked: lock_messages::Asked,
    broker_turns: broker_turns::BrokerTurns,
    departures: locks::Departures,
    /// Woken when a lock says which revocations it holds.
    confirmations: tokio::sync::Notify,
    /// Whether it was written down that the clock is behind.
    clock_alarm: AtomicBool,
    /// Whether something was forgotten that may still stand in SQLite's log: at a start, what an earlier run forgot.
    has_traces: AtomicBool,
    key_watch: keys::KeyWatch,
    signed: evidence::Signed,
    live: live::Live,
}

/// Who calls: a signed-in person, or a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub person: PersonId,
    /// By which session; of a program's key, one that is the key's alone and that nobody can sign out of.
    pub session: SessionId,
    /// Where they belonged, and as what, when they were let in. Use cases read it again where they decide.
    pub memberships: Vec<Membership>,
    /// The API key by which a program calls, and for what; `None` for persons.
    pub key: Option<ByKey>,
    /// When whoever holds the session last proved to be its person; nothing for programs.
    pub proven_at: Timestamp,
    /// How far they reach who came by a guest's link; `None` for somebody who signed in.
    pub reach: Option<Reach>,
    /// The thumbprint of the phone's key to which their session is bound; `None` where it is bound to none.
    pub bound_to: Option<String>,
}

/// A program's call: by which key, and in which of its scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByKey {
    /// The key.
    pub key: std::sync::Arc<ApiKey>,
    /// What it is used for in this call; `None` where the call needs no scope.
    pub scope: Option<KeyScope>,
}

impl ByKey {
    /// Where the account belongs for this call: to the key's organization alone, as what the scope stands for.
    fn membership(&self) -> Membership {
        Membership {
            organization: self.key.organization.clone(),
            role: self.scope.map_or(Role::Service, KeyScope::stands_for),
        }
    }
}

impl Actor {
    /// The entry, naming the key and who made it where a program did it: behind a program there is always a person.
    fn signed(&self, entry: NewEntry) -> NewEntry {
        let Some(ByKey { key, .. }) = &self.key else {
            return entry;
        };
        let mut detail = entry.detail.unwrap_or_else(|| serde_json::json!({}));
        if let Some(detail) = detail.as_object_mut() {
            let named = serde_json::json!({ "id": key.id, "name": key.name, "made_by": key.made_by });
            detail.insert("api_key".to_owned(), named);
        }
        NewEntry {
            detail: Some(detail),
            ..entry
        }
    }
}

impl App {
    /// The use cases over these parts.
    #[must_use]
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let Parts {
            db,
            clock,
            random,
            passwords,
            keys,
            pin_keys,
            log_key,
            factors,
            relay,
            registrar,
            letters,
            webhooks,
            metrics,
        } = parts;
        Self {
            key_watch: keys::KeyWatch::new(&keys),
            db,
            clock,
            random,
            passwords,
            keys,
            pin_keys: Arc::new(pin_keys),
            log_key: Arc::new(log_key),
            factors: Arc::new(factors),
            relay,
            registrar,
            letters: Arc::new(letters),
            webhooks,
            metrics,
            settings,
            waiters: waiters::Waiters::default(),
            changes: changes::Changes::default(),
            acks: lock_messages::Acks::default(),
            asked: lock_messages::Asked::default(),
            broker_turns: broker_turns::BrokerTurns::default(),
            departures: locks::Departures::default(),
            confirmations: tokio::sync::Notify::new(),
            clock_alarm: AtomicBool::new(false),
            has_traces: AtomicBool::new(true),
            signed: evidence::Signed::default(),
            live: live::Live::default(),
        }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where people reach this service, without a slash at its end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.settings.public_url
    }

    /// How long an access token lives.
    #[must_use]
    pub fn access_life(&self) -> Duration {
        self.settings.access_life
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The public keys that this backend signs with.
    #[must_use]
    pub fn jwks(&self) -> crate::crypto::keys::Jwks {
        self.keys.ring().jwks()
    }

    /// A new identifier's bits.
    fn id_bits(&self, now: Timestamp) -> u128 {
        self.random.id_bits(now)
    }
}

/// The organizations that the person manages, read where it counts: in the transaction that acts on it.
///
/// # Errors
/// [`Error::Forbidden`] where there is none.
fn managed_by(conn: &mut Conn, who: &Actor) -> Result<Scope, Error> {
    scope_of(conn, who, Role::manages)
}

/// The organizations whose rules the person decides.
///
/// # Errors
/// [`Error::Forbidden`] where there is none.
fn owned_by(conn: &mut Conn, who: &Actor) -> Result<Scope, Error> {
    scope_of(conn, who, Role::owns)
}

/// The organizations whose rights and access log the person may look at.
///
/// # Errors
/// [`Error::Forbidden`] where there is none.
fn viewed_by(conn: &mut Conn, who: &Actor) -> Result<Scope, Error> {
    scope_of(conn, who, Role::views)
}

/// The organizations at whose desk the person sits.
///
/// # Errors
/// [`Error::Forbidden`] where there is none.
fn served_by(conn: &mut Conn, who: &Actor) -> Result<Scope, Error> {
    scope_of(conn, who, Role::serves_desk)
}

/// The organizations that the person works for, and whose houses they therefore know.
///
/// # Errors
/// [`Error::Forbidden`] where there is none.
fn staffed_by(conn: &mut Conn, who: &Actor) -> Result<Scope, Error> {
    scope_of(conn, who, Role::is_staff)
}

fn scope_of(conn: &mut Conn, who: &Actor, may: fn(Role) -> bool) -> Result<Scope, Error> {
    let scope = Scope::of(&belongs(conn, who)?, may);
    if scope.is_empty() {
        Err(Error::Forbidden)
    } else {
        Ok(scope)
    }
}

/// The rights by which the caller may open the lock: their person's, and of those only what is within reach.
fn rights_of(conn: &mut Conn, lock: &Lock, who: &Actor, now: Timestamp) -> Result<Vec<Right>, Error> {
    let rights = store::grants::rights(conn, lock, &who.person, now)?;
    Ok(match &who.reach {
        Some(reach) => reach.narrow(rights),
        None => rights,
    })
}

/// Whether the organization wants the caller to come in a session that is bound to a key, and they do not. Programs have no
/// phone: their keys are the organization's own affair.
fn lacks_phone_key(conn: &mut Conn, organization: &OrganizationId, who: &Actor) -> Result<bool, Error> {
    let is_program = who.key.is_some()
        || (who.memberships.iter())
            .any(|membership| membership.organization == *organization && membership.role == Role::Service);
    Ok(who.bound_to.is_none() && !is_program && store::rules::of(conn, organization)?.phone_key_required)
}

/// Refuses who is to come in a session that is bound to a key, and does not: before whatever makes a way in at the doors of
/// the organization, or a copied token would make one for itself.
///
/// # Errors
/// [`Error::PhoneKeyNeeded`].
fn must_have_phone_key(conn: &mut Conn, organization: &OrganizationId, who: &Actor) -> Result<(), Error> {
    match lacks_phone_key(conn, organization, who)? {
        true => Err(Error::PhoneKeyNeeded),
        false => Ok(()),
    }
}

/// The organizations that the person belongs to, in any role.
fn joined_by(conn: &mut Conn, who: &Actor) -> Result<Scope, Error> {
    Ok(Scope::of(&belongs(conn, who)?, |_| true))
}

/// What the caller is in the organization: for a program, what its key's scope stands for.
fn role_in(conn: &mut Conn, who: &Actor, organization: &OrganizationId) -> Result<Option<Role>, Error> {
    Ok(belongs(conn, who)?
        .into_iter()
        .find(|membership| membership.organization == *organization)
        .map(|membership| membership.role))
}

/// Where the caller belongs now, and as what. A key that was made void meanwhile lets nobody in.
fn belongs(conn: &mut Conn, who: &Actor) -> Result<Vec<Membership>, Error> {
    let memberships = accounts::memberships(conn, &who.person)?;
    let Some(by_key) = &who.key else {
        return Ok(memberships);
    };
    if !store::api_keys::stands(conn, &by_key.key.id)? {
        return Err(Error::Unauthenticated);
    }
    let is_there = |membership: &Membership| {
        membership.organization == by_key.key.organization && membership.role == Role::Service
    };
    Ok(memberships
        .iter()
        .any(is_there)
        .then(|| by_key.membership())
        .into_iter()
        .collect())
}
