//! What this installation is called, and which of its lives this is.

use super::StartError;
use crate::app::Issuer;
use crate::config::Config;
use crate::crypto::log_key::LogKey;
use crate::crypto::private_folder::PrivateFolder;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::time::Timestamp;
use crate::store::installation::{GENERATION, ISSUER};
use crate::store::{Conn, Db, StoreError, access_log, accounts, installation};

/// In the state folder, where it is noted in which life the installation is.
const GENERATION_FILE: &str = "generation";

const LOG_KEY: &str = "log-key";
const LEAVES: &str = "leaves";

/// How many leaves are made in one transaction.
const LEAVES_AT_ONCE: i64 = 1000;

/// Counters carry the generation above their 48 lower bits and stay below 2^53, so that every JSON reader has them whole.
pub(super) const MOST_GENERATIONS: u16 = 31;

/// The facts of this installation, written down at its first start. Its name must not change afterwards: locks pinned
/// it.
pub(super) async fn open(db: &Db, configured: String) -> Result<Issuer, StartError> {
    let first = configured.clone();
    let [name, generation] = db
        .write(move |conn| Ok::<_, StoreError>([fact(conn, ISSUER, &first)?, fact(conn, GENERATION, "1")?]))
        .await?;
    if name != configured {
        return Err(StartError::OtherIssuer {
            stored: name,
            configured,
        });
    }
    Ok(Issuer {
        name,
        generation: generation
            .parse()
            .ok()
            .filter(|generation| (1..=MOST_GENERATIONS).contains(generation))
            .ok_or(StartError::DamagedInstallation(GENERATION))?,
    })
}

/// Notes outside the database in which life it is: a database that is restored from a backup of before does not know. The note
/// only ever goes up.
///
/// # Errors
/// [`StartError::EarlierLife`] where the installation has come further: the counters of this database's life were given away.
pub(super) fn note_generation(config: &Config, generation: u16) -> Result<(), StartError> {
    let noted = noted_generation(config)?;
    if noted > generation {
        return Err(StartError::EarlierLife {
            found: generation,
            noted,
        });
    }
    if noted < generation {
        let folder = PrivateFolder::unguarded(&config.state_dir);
        folder.replace(GENERATION_FILE, format!("{generation}\n").as_bytes())?;
    }
    Ok(())
}

/// The life that was noted last; 0 where none was.
fn noted_generation(config: &Config) -> Result<u16, StartError> {
    let path = config.state_dir.join(GENERATION_FILE);
    let noted = match std::fs::read_to_string(&path) {
        Ok(noted) => noted.trim().parse().map_err(std::io::Error::other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    };
    noted.map_err(|source| StartError::LifeUnknown { path, source })
}

/// The life above all that are known.
pub(super) async fn next_generation(config: &Config, db: &Db) -> Result<u16, StartError> {
    let present = db.read(|conn| installation::find(conn, GENERATION)).await?;
    let present: Option<u16> = present.and_then(|present| present.parse().ok());
    let present = present.ok_or(StartError::DamagedInstallation(GENERATION))?;
    match present.max(noted_generation(config)?).saturating_add(1) {
        next if next <= MOST_GENERATIONS => Ok(next),
        _ => Err(StartError::NoLifeLeft { most: MOST_GENERATIONS }),
    }
}

/// Notices that the access logs are signed with another key than so far, as after the loss of the former, and writes it into each of
/// them: whoever audits them has the former and believes no other. Doors open all the same.
pub(super) async fn note_log_key(db: &Db, key: &LogKey, now: Timestamp) -> Result<(), StartError> {
    let present = key.thumbprint();
    let former = db
        .write(move |conn| {
            let former = fact(conn, LOG_KEY, &present)?;
            if former == present {
                return Ok(None);
            }
            installation::set(conn, LOG_KEY, &present)?;
            for organization in accounts::organizations(conn)? {
                let entry = NewEntry {
                    reason: Some("log-key-changed".to_owned()),
                    detail: Some(serde_json::json!({ "former": former, "present": present })),
                    ..NewEntry::new(Kind::Alarm, now)
                };
                access_log::append(conn, &organization, &entry, now)?;
            }
            Ok::<_, StoreError>(Some(former))
        })
        .await?;
    if let Some(former) = former {
        tracing::error!(%former, "access logs are signed with another key from now on; docs/OPERATIONS.md says what that means");
    }
    Ok(())
}

/// Makes the leaves of entries that an earlier version wrote down, once: an entry without one is from then on one that somebody has
/// touched.
pub(super) async fn make_leaves(db: &Db) -> Result<(), StartError> {
    if db.read(|conn| installation::find(conn, LEAVES)).await?.is_some() {
        return Ok(());
    }
    for organization in db.read(accounts::organizations).await? {
        loop {
            let organization = organization.clone();
            let made = db
                .write(move |conn| access_log::make_leaves(conn, &organization, LEAVES_AT_ONCE))
                .await?;
            if made == 0 {
                break;
            }
        }
    }
    db.write(|conn| fact(conn, LEAVES, "made")).await?;
    Ok(())
}

/// The fact of this name, or else `first` from now on.
fn fact(conn: &mut Conn, name: &str, first: &str) -> Result<String, StoreError> {
    if let Some(known) = installation::find(conn, name)? {
        return Ok(known);
    }
    installation::set(conn, name, first)?;
    Ok(first.to_owned())
}
