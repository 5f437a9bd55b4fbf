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
        backup::back_up(&config, &*Sources::machine().clock, &self.to)?;
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
    /// Make new keys where there are none: those of the backup's locks are lost, and each of them is to be enrolled anew.
    #[arg(long)]
    new_keys: bool,
}

impl Restore {
    /// Restores the backup.
    pub async fn run(self) -> Outcome {
        let config = configured(self.file.config.as_deref())?;
        let restore = backup::Restore {
            from: self.from,
            replace: self.replace,
            endings: self.endings,
            new_keys: self.new_keys,
        };
        let restored = backup::restore(&config, Sources::machine(), restore).await?;
        let adopted = restored.adopted;
        say(&format!(
            "restored, in life {} of {}: {} sessions ended, {} locks will be told that no pass of before counts, {} endings since the backup repeated",
            restored.generation,
            backup::MOST_LIVES,
            adopted.sessions,
            adopted.locks,
            adopted.repeated
        ));
        let file = restored.endings.display();
        let stands_again = "stands again; take it back before the house is open";
        match restored.notes {
            None => say(&format!(
                "there are no notes of what has ended at {file}: whatever ended since the backup {stands_again}"
            )),
            Some(notes) => {
                if notes.unreadable > 0 {
                    let lines = notes.unreadable;
                    say(&format!(
                        "{lines} lines of {file} cannot be read: what they say has ended stands again"
                    ));
                }
                match (notes.covers_since, adopted.copied_at) {
                    (None, _) => say(&format!(
                        "{file} does not say from when on it is complete: what ended before its first line {stands_again}"
                    )),
                    (Some(since), Some(at)) if since <= at => {}
                    (Some(since), Some(at)) => say(&format!(
                        "the backup was made at {at}, and {file} is complete from {since} on: what ended between them {stands_again}"
                    )),
                    (Some(since), None) => say(&format!(
                        "{file} is complete from {since} on: if the backup is older, what ended between them {stands_again}"
                    )),
                }
            }
        }
        say(
            "what was changed and not ended since the backup stands as it was then: docs/OPERATIONS.md, \"Restore\", says what to look at",
        );
        Ok(())
    }
}
