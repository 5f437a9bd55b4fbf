//! What this installation is called, and which of its lives this is.

use super::StartError;
use crate::app::Issuer;
use crate::store::{Conn, Db, StoreError, installation};

const ISSUER: &str = "issuer";
const GENERATION: &str = "generation";

/// Counters carry the generation above their 48 lower bits and stay below 2^53, so that every JSON reader has them whole.
const MOST_GENERATIONS: u16 = 31;

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

/// The fact of this name, or else `first` from now on.
fn fact(conn: &mut Conn, name: &str, first: &str) -> Result<String, StoreError> {
    if let Some(known) = installation::find(conn, name)? {
        return Ok(known);
    }
    installation::set(conn, name, first)?;
    Ok(first.to_owned())
}
