//! `doorward backup` and `doorward restore`.

use std::path::PathBuf;

use doorward::server::{Sources, backup};

use super::{ConfigFile, Outcome, configured, say};

/// Options of `backup`.
#[derive(Debug, clap::Args)]
pub struct Backup {
    #[command(flatten)]
    file: ConfigFile,
    /// The file to write, which must not be there yet. It holds names, addresses and who went where: encrypt it.
    to: PathBuf,
}

impl Backup {
    /// Writes the backup.
    pub fn run(self) -> Outcome {
        let config = configured(self.file.config.as_deref())?;
        backup::back_up(&config, &self.to)?;
        say(&format!("wrote {}; the keys are not in it", self.to.display()));
        Ok(())
    }
}

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub struct Restore {
    #[command(flatten)]
    file: ConfigFile,
    /// The backup.
    #[arg(required_unless_present = "adopt")]
    from: Option<PathBuf>,
    /// Put the database that is there aside.
    #[arg(long)]
    replace: bool,
    /// Take over a database that was put back by other means, as with pg_restore.
    #[arg(long, conflicts_with_all = ["from", "replace"])]
    adopt: bool,
    /// The file in which it is noted what has ended, if it is not where the configuration says: the newest that there is.
    #[arg(long, value_name = "FILE")]
    endings: Option<PathBuf>,
}

impl Restore {
    /// Restores the backup.
    pub async fn run(self) -> Outcome {
        let config = configured(self.file.config.as_deref())?;
        let restore = backup::Restore {
            from: self.from,
            replace: self.replace,
            endings: self.endings,
        };
        let restored = backup::restore(&config, Sources::machine(), restore).await?;
        let adopted = restored.adopted;
        say(&format!(
            "restored: {} sessions ended, {} locks will be told that no pass of before counts, {} endings since the backup repeated",
            adopted.sessions, adopted.locks, adopted.repeated
        ));
        let notes = restored.endings.display();
        match restored.unreadable {
            None => say(&format!(
                "there are no notes of what has ended at {notes}: whatever ended since the backup stands again; take it back before the house is open"
            )),
            Some(0) => {}
            Some(lines) => say(&format!(
                "{lines} lines of {notes} cannot be read: what they say has ended stands again"
            )),
        }
        say(
            "what was changed and not ended since the backup stands as it was then: docs/OPERATIONS.md, \"Restore\", says what to look at",
        );
        Ok(())
    }
}
