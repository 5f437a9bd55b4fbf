//! Backups of the database, and restoring one. Keys are never in them.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Sources, StartError, endings, installation, offline};
use crate::app::restoring::Adopted;
use crate::config::Config;
use crate::domain::ending::Ending;
use crate::domain::time::{Clock, Timestamp};
use crate::store::installation::ISSUER;
use crate::store::{DatabaseUrl, StoreError, backup};

/// How many lives an installation has: one more begins with each restore.
pub const MOST_LIVES: u16 = installation::MOST_GENERATIONS;

/// A backup was not made, or not restored; the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is not in a file.
    #[error(
        "the database is on Postgres: copy it with pg_dump, put it back with pg_restore, then run `doorward restore --adopt`"
    )]
    NotSqlite,
    /// Something stands where the backup is to be.
    #[error("{0} is there already")]
    Exists(PathBuf),
    /// There is a database already.
    #[error("there is a database at {0}: say --replace to put it aside")]
    HasDatabase(PathBuf),
    /// The notes of what has ended are not where they were said to be.
    #[error("there are no notes of what has ended at {0}")]
    NoNotes(PathBuf),
    /// The backup is of another installation.
    #[error("the backup is of {found}, and this installation is {expected}")]
    OtherInstallation {
        /// What the backup says.
        found: String,
        /// What the configuration says.
        expected: String,
    },
    /// The keys that the locks of the backup believe are not there.
    #[error(
        "there are no keys in {}: put those of this installation back first, or no lock of the backup believes it any more; docs/OPERATIONS.md, \"Restore\". Say --new-keys if they are lost and every lock is to be enrolled anew",
        .0.display()
    )]
    NoKeys(PathBuf),
    /// The restored database did not take its own log in.
    #[error("{} is left over: the restored database is not whole", .0.display())]
    Unfinished(PathBuf),
    /// A file could not be written or moved.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error("the database")]
    Store(#[from] StoreError),
    /// The installation cannot be opened.
    #[error("the installation cannot be opened")]
    Start(#[from] StartError),
    /// The database was not taken over.
    #[error("the database was not taken over")]
    NotAdopted(#[from] crate::app::Error),
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, what, source }
}

/// The file of the database.
fn file_of(config: &Config) -> Result<PathBuf, BackupError> {
    let url: DatabaseUrl = config.database_url().expose().parse().map_err(StartError::from)?;
    url.file().map(Path::to_owned).ok_or(BackupError::NotSqlite)
}

/// The name beside `file` that ends with `ending`.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Has what was written to the folder of `file` on disk.
fn sync_folder(file: &Path) -> Result<(), BackupError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder, "sync"))
}

/// Writes a backup of the database to `to`, while the service runs or not: whole, of one moment, and readable by its owner
/// alone.
///
/// # Errors
/// [`BackupError`]; nothing is left at `to` then.
pub fn back_up(config: &Config, clock: &dyn Clock, to: &Path) -> Result<(), BackupError> {
    let from = file_of(config)?;
    // What ends from now on may be missing in it.
    let at = clock.now();
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    // Under its name only once it is whole.
    let unfinished = beside(to, ".unfinished");
    let _ = fs::remove_file(&unfinished);
    let made = File::create_new(&unfinished)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(failed(&unfinished, "create"))
        .and_then(|()| Ok(backup::copy(&from, &unfinished)?))
        .and_then(|()| Ok(backup::stamp(&unfinished, at)?))
        .and_then(|()| Ok(backup::inspect(&unfinished, ISSUER)?))
        .and_then(|_| {
            File::open(&unfinished)
                .and_then(|file| file.sync_all())
                .map_err(failed(&unfinished, "sync"))
        })
        .and_then(|()| fs::hard_link(&unfinished, to).map_err(failed(to, "create")));
    let _ = fs::remove_file(&unfinished);
    made?;
    sync_folder(to)
}

/// How a backup is restored.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// The backup; `None` where the database was put back by other means and is only taken over.
    pub from: Option<PathBuf>,
    /// Whether a database that is there is put aside.
    pub replace: bool,
    /// The file in which endings are noted; the configuration's where it is `None`.
    pub endings: Option<PathBuf>,
    /// Whether keys are made where there are none.
    pub new_keys: bool,
}

/// What became of a restore.
#[derive(Debug)]
pub struct Restored {
    /// What was done with the database.
    pub adopted: Adopted,
    /// Which life of the installation has begun.
    pub generation: u16,
    /// Where notes of what has ended were looked for.
    pub endings: PathBuf,
    /// What they are worth; `None` where there are none.
    pub notes: Option<Notes>,
}

/// What notes of what has ended are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notes {
    /// From when on they cover what has ended; `None` where they do not say.
    pub covers_since: Option<Timestamp>,
    /// How many of their lines say nothing.
    pub unreadable: usize,
}

/// Puts a backup in the place of the database and takes it over: a new life above all counters of before, nobody signed in,
/// every pass of before void, and what had ended since ended again. The service must not be running.
///
/// # Errors
/// [`BackupError`]; the database is as it was then.
pub async fn restore(config: &Config, sources: Sources, restore: Restore) -> Result<Restored, BackupError> {
    let file = restore.endings.clone().unwrap_or_else(|| config.endings_file());
    let noted = endings::noted(&file).map_err(failed(&file, "read"))?;
    if restore.endings.is_some() && noted.is_none() {
        return Err(BackupError::NoNotes(file));
    }
    let notes = noted.as_ref().map(|noted| Notes {
        covers_since: noted.covers_since,
        unreadable: noted.unreadable,
    });
    let ended = noted.map_or_else(Vec::new, |noted| noted.endings);
    if !restore.new_keys && !super::keys::are_there(config) {
        return Err(BackupError::NoKeys(config.keys_dir()));
    }
    let (adopted, generation) = put_in_place(config, sources, &restore, ended).await?;
    Ok(Restored {
        adopted,
        generation,
        endings: file,
        notes,
    })
}

/// Puts the backup in the place of the database, once it is taken over.
async fn put_in_place(
    config: &Config,
    sources: Sources,
    restore: &Restore,
    ended: Vec<Ending>,
) -> Result<(Adopted, u16), BackupError> {
    let Some(from) = &restore.from else {
        let (adopted, generation) = offline::adopt(config, sources, ended).await?;
        installation::note_generation(config, generation)?;
        return Ok((adopted, generation));
    };
    let place = file_of(config)?;
    let found = backup::inspect(from, ISSUER)?;
    let expected = config.issuer();
    match found {
        Some(found) if found == expected => {}
        found => {
            return Err(BackupError::OtherInstallation {
                found: found.unwrap_or_else(|| "nobody".to_owned()),
                expected,
            });
        }
    }
    let had = place.metadata().is_ok_and(|file| file.len() > 0);
    if had && !restore.replace {
        return Err(BackupError::HasDatabase(place));
    }
    // Nobody else may have it open; what is left of its log goes into it, unless it is damaged.
    if had {
        match super::open_database(config).await {
            Ok(db) => db.close().await,
            Err(StartError::Store(in_use @ StoreError::InUse { .. })) => return Err(in_use.into()),
            Err(damaged) => tracing::warn!(
                error = &damaged as &dyn std::error::Error,
                "the database that is there cannot be opened; it is put aside as it is"
            ),
        }
    }
    let aside = draft_of(&place);
    remove_draft(&aside);
    let made = draft(config, sources, (from, &aside), ended).await;
    if made.is_err() {
        // It has people's names in it, and is of no use.
        remove_draft(&aside);
    }
    let (adopted, generation) = made?;
    if had {
        put_aside(&place)?;
    }
    fs::rename(&aside, &place).map_err(failed(&place, "replace"))?;
    let _ = fs::remove_file(beside(&aside, ".lock"));
    sync_folder(&place)?;
    // Not before: the database that was there would not be started with any more. After a loss of power here the start notes it.
    installation::note_generation(config, generation)?;
    Ok((adopted, generation))
}

/// Makes, beside the database, what the backup is to be in this installation; says which life that is.
async fn draft(
    config: &Config,
    sources: Sources,
    (from, aside): (&Path, &Path),
    ended: Vec<Ending>,
) -> Result<(Adopted, u16), BackupError> {
    // Not as the file stands: a backup may be one that somebody has open.
    File::create_new(aside)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(failed(aside, "create"))?;
    backup::copy(from, aside)?;
    let mut beside_config = config.clone();
    beside_config.database.url = format!("sqlite:{}", aside.display()).into();
    let taken_over = offline::adopt(&beside_config, sources, ended).await?;
    // What it was taken over by stands in the file itself, and not in a log that stays behind.
    let log = beside(aside, "-wal");
    if log.exists() {
        return Err(BackupError::Unfinished(log));
    }
    File::open(aside)
        .and_then(|file| file.sync_all())
        .map_err(failed(aside, "sync"))?;
    Ok(taken_over)
}

/// Removes what a restore has made beside the database.
fn remove_draft(aside: &Path) {
    for ending in ["", "-wal", "-shm", ".lock"] {
        let _ = fs::remove_file(beside(aside, ending));
    }
}

/// What a restore makes of the backup, before it takes the place of the database.
fn draft_of(place: &Path) -> PathBuf {
    beside(place, ".restoring")
}

/// Keeps the database that is at `place` under another name.
fn put_aside(place: &Path) -> Result<(), BackupError> {
    let kept = beside(place, &format!(".before-restore-{}", sequel(place)));
    if !beside(place, "-wal").exists() {
        // It stays until the next one takes its place, where the file system knows of two names.
        if fs::hard_link(place, &kept).is_ok() {
            return Ok(());
        }
    }
    // Or it is damaged and could not take in its log, which must not be taken for that of the next one, nor it be opened
    // without: in the moment between there is no database, and no start ([`refuse_broken_off`]).
    fs::rename(place, &kept).map_err(failed(&kept, "keep"))?;
    for ending in ["-wal", "-shm"] {
        let (from, to) = (beside(place, ending), beside(&kept, ending));
        if from.exists() {
            fs::rename(&from, &to).map_err(failed(&to, "keep"))?;
        }
    }
    sync_folder(place)
}

/// Refuses to make a new database where a restore was broken off before the backup took its place.
pub(super) fn refuse_broken_off(place: &Path) -> Result<(), StartError> {
    let draft = draft_of(place);
    if draft.exists() && !place.exists() {
        return Err(StartError::BrokenOffRestore { draft });
    }
    Ok(())
}

/// The first number under which no database was put aside yet.
fn sequel(place: &Path) -> u32 {
    let is_free = |number: &u32| !beside(place, &format!(".before-restore-{number}")).exists();
    (1..u32::MAX).find(is_free).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_database_goes_with_its_log_and_no_other_is_made_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("doorward.db");
        for ending in ["", "-wal", "-shm", ".restoring"] {
            fs::write(beside(&place, ending), ending).unwrap();
        }
        put_aside(&place).unwrap();
        for ending in ["", "-wal", "-shm"] {
            let kept = beside(&place, &format!(".before-restore-1{ending}"));
            assert_eq!(fs::read_to_string(kept).unwrap(), ending);
            assert!(!beside(&place, ending).exists());
        }
        assert!(matches!(
            refuse_broken_off(&place),
            Err(StartError::BrokenOffRestore { .. })
        ));
        // A whole one stays in its place until the next takes it.
        fs::write(&place, "whole").unwrap();
        put_aside(&place).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "whole");
        assert!(beside(&place, ".before-restore-2").exists());
        assert!(refuse_broken_off(&place).is_ok());
    }
}
