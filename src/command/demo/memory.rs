//! What the demo remembers between two starts: who can sign in, and what there is.

use std::error::Error;
use std::path::Path;

use doorward::crypto::private_folder::PrivateFolder;
use doorward::domain::ids::{LockId, PropertyId, UnitId};
use serde::{Deserialize, Serialize};

/// The folder, and the file in it.
const FOLDER: &str = "demo";
const FILE: &str = "sign-ins.json";

/// What somebody signs in with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

/// One of the demo's doors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Door {
    /// Its lock.
    pub id: LockId,
    /// Its name.
    pub name: String,
    /// The unit that it belongs to.
    pub unit_id: UnitId,
}

/// Everything that was set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    /// The landlord.
    pub landlord: SignIn,
    /// The tenant of the first unit.
    pub tenant: SignIn,
    /// A guest, with access to nothing yet.
    pub guest: SignIn,
    /// The property.
    pub property_id: PropertyId,
    /// The doors: the first is the tenant's, the second is not.
    pub locks: Vec<Door>,
}

impl Memory {
    /// What an earlier start remembered in the demo's folder, if there was one.
    pub fn read(dir: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        let content = PrivateFolder::open(&dir.join(FOLDER))?.read(FILE)?;
        Ok(content.map(|content| serde_json::from_slice(&content)).transpose()?)
    }

    /// Remembers it in the demo's folder, for this account's eyes only.
    pub fn write(&self, dir: &Path) -> Result<(), Box<dyn Error>> {
        Ok(PrivateFolder::open(&dir.join(FOLDER))?.write_new(FILE, &serde_json::to_vec_pretty(self)?)?)
    }
}
