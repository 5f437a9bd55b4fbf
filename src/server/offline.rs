//! The use cases without a broker: for commands that only work on the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::backup::BackupError;
use super::{Sources, StartError, installation, keys, make_state_folder, open_database, settings};
use crate::app::letters::Letters;
use crate::app::restoring::Adopted;
use crate::app::webhooks::Webhooks;
use crate::app::{App, BrokerAddress, Metrics, Parts};
use crate::config::Config;
use crate::crypto::password::Passwords;
use crate::domain::ending::Ending;
use crate::domain::ids::LockId;
use crate::domain::relay::{Registrar, Relay, RelayAway};
use crate::http;
use crate::store::Db;

/// No way to any lock.
struct NoRelay;

#[async_trait]
impl Relay for NoRelay {
    async fn send(&self, _: &LockId, _: String, _: Duration) -> Result<(), RelayAway> {
        Err(RelayAway)
    }

    fn is_up(&self) -> bool {
        false
    }
}

#[async_trait]
impl Registrar for NoRelay {
    async fn admit(&self, _: &LockId, _: &str) -> Result<(), RelayAway> {
        Err(RelayAway)
    }

    async fn end_session(&self, _: &LockId) -> Result<(), RelayAway> {
        Err(RelayAway)
    }

    async fn expel(&self, _: &LockId) -> Result<(), RelayAway> {
        Err(RelayAway)
    }
}

/// Takes the database that `config` names over as one that was restored, in a life above all that are known.
///
/// Gives that life too, to be noted once the database is in its place.
pub(super) async fn adopt(
    config: &Config,
    sources: Sources,
    ended: Vec<Ending>,
) -> Result<(Adopted, u16), BackupError> {
    let (app, db) = offline_app(config, sources).await?;
    let generation = match installation::next_generation(config, &db).await {
        Ok(generation) => generation,
        Err(error) => {
            drop(app);
            db.close().await;
            return Err(error.into());
        }
    };
    let adopted = app.adopt_restored(generation, ended).await;
    drop(app);
    db.close().await;
    Ok((adopted?, generation))
}

/// The use cases over the database that `config` names, and that database, to be closed afterwards.
///
/// # Errors
/// [`StartError`]; with SQLite also where the backend is running.
pub async fn offline_app(config: &Config, sources: Sources) -> Result<(App, Db), StartError> {
    let Sources { clock, random } = sources;
    make_state_folder(config)?;
    let db = open_database(config).await?;
    let issuer = installation::open(&db, config.issuer()).await?;
    let keys = keys::open(config, &issuer.name, random.as_ref(), clock.now())?;
    installation::note_log_key(&db, &keys.log, clock.now()).await?;
    installation::make_leaves(&db).await?;
    let parts = Parts {
        db: db.clone(),
        keys: keys.signing,
        pin_keys: keys.pins,
        log_key: keys.log,
        factors: keys.factors,
        passwords: Passwords::start(1, Arc::clone(&random)).map_err(StartError::Threads)?,
        relay: Arc::new(NoRelay),
        registrar: Arc::new(NoRelay),
        letters: Letters::new(keys.letters, None),
        webhooks: Webhooks::new(keys.webhooks, None, http::event),
        metrics: Arc::new(Metrics::default()),
        clock,
        random,
    };
    // Nobody enrols while the backend is not running.
    let no_broker = BrokerAddress {
        host: String::new(),
        port: 0,
        ca_certificate: String::new(),
        topic_root: config.mqtt.topic_root.clone(),
    };
    Ok((App::new(parts, settings(config, issuer, no_broker)), db))
}
