//! `doorward keys`: they open key files only, and neither the database nor the broker; a running backend notices what
//! changes.

mod passphrase;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use doorward::config::Config;
use doorward::crypto::keys::{KeyError, KeyStore, RootKey, Rotation, USES, word};
use doorward::crypto::random::OsRandom;
use doorward::crypto::recovery_kit;
use doorward::domain::time::{Clock as _, Timestamp};
use doorward::server::{MachineClock, key_lives, open_vault};
use doorward_lock::wire::Use;
use zeroize::Zeroizing;

use super::{ConfigFile, Outcome, configured, say};

const DAY_SECONDS: u64 = 24 * 3600;

/// What can be done about keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Show the keys: their names, ages and ends. Nothing secret.
    Show(ConfigFile),
    /// Make new keys. The ones before still count for `keys.overlap_days`.
    Rotate(Rotate),
    /// Write the root key on a recovery kit: a sheet of text, encrypted under a passphrase.
    ExportRoot(ExportRoot),
    /// Put the root key of a recovery kit back on this machine; where there are no keys, make new ones under it.
    ImportRoot(ImportRoot),
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// Unlock tokens.
    Unlock,
    /// Offline passes.
    Pass,
    /// Documents: time, revocations, PINs, release.
    Doc,
    /// Acknowledgements.
    Ack,
}

/// Options of `keys rotate`.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    #[command(flatten)]
    file: ConfigFile,
    /// Only the keys for this; may be said several times. Without it all.
    #[arg(long)]
    purpose: Vec<Purpose>,
    /// A recovery kit, where the root key is not on this machine. Its passphrase is asked for, or read from the first line
    /// of the standard input.
    #[arg(long, value_name = "KIT")]
    root: Option<PathBuf>,
    /// End the keys before at once: after a theft. Passes that they have signed are void.
    #[arg(long)]
    end_former: bool,
    /// The keys were put back from an old backup: number the keyset above whatever locks may hold.
    #[arg(long)]
    restored: bool,
}

/// Options of `keys export-root`.
#[derive(Debug, clap::Args)]
pub struct ExportRoot {
    #[command(flatten)]
    file: ConfigFile,
    /// The file to write, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Take the root key off this machine afterwards. From then on keys are rotated by hand, with the kit.
    #[arg(long)]
    remove: bool,
}

/// Options of `keys import-root`.
#[derive(Debug, clap::Args)]
pub struct ImportRoot {
    #[command(flatten)]
    file: ConfigFile,
    /// The recovery kit.
    #[arg(long, value_name = "KIT")]
    from: PathBuf,
}

impl Keys {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self {
            Self::Show(file) => show(&open(&read(&file)?)?),
            Self::Rotate(rotate) => rotate.run(),
            Self::ExportRoot(export) => export.run(),
            Self::ImportRoot(import) => import.run(),
        }
    }
}

impl Rotate {
    fn run(self) -> Outcome {
        let keys = open(&read(&self.file)?)?;
        let root = self.root.as_deref().map(root_of).transpose()?;
        let asked = |purpose: &Use| self.purpose.is_empty() || self.purpose.iter().any(|asked| asked.is(*purpose));
        let purposes: Vec<Use> = USES.into_iter().filter(asked).collect();
        let rotation = Rotation {
            purposes: &purposes,
            ends_former: self.end_former,
            is_restored: self.restored,
            root: root.as_ref(),
        };
        let version = keys.rotate(rotation, now())?;
        say(&format!(
            "keyset {version} is signed; a running backend takes it up within seconds"
        ));
        show(&keys)
    }
}

impl Purpose {
    const fn is(self, purpose: Use) -> bool {
        matches!(
            (self, purpose),
            (Self::Unlock, Use::Unlock) | (Self::Pass, Use::Pass) | (Self::Doc, Use::Doc) | (Self::Ack, Use::Ack)
        )
    }
}

impl ExportRoot {
    fn run(self) -> Outcome {
        let config = read(&self.file)?;
        let keys = open(&config)?;
        let root = keys.root_key()?;
        let passphrase = passphrase::choose("Passphrase of the recovery kit")?;
        let kit = recovery_kit::write(&root, &config.issuer(), &passphrase, now(), &OsRandom)?;
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&self.to);
        let mut file = made.map_err(|error| format!("{} cannot be made: {error}", self.to.display()))?;
        file.write_all(kit.as_bytes())?;
        file.sync_all()?;
        // What was written is what counts when it is needed.
        let written = Zeroizing::new(std::fs::read_to_string(&self.to)?);
        if recovery_kit::read(&written, &passphrase)?.public() != root.public() {
            return Err(format!("{} does not read as it was written", self.to.display()).into());
        }
        say(&format!("the recovery kit is in {}", self.to.display()));
        if self.remove {
            keys.remove_root()?;
            say("the root key is no longer on this machine; print the kit, and take it off this machine too");
        }
        Ok(())
    }
}

impl ImportRoot {
    fn run(self) -> Outcome {
        let config = read(&self.file)?;
        let root = root_of(&self.from)?;
        match open(&config) {
            Ok(keys) => {
                keys.restore_root(&root)?;
                say("the root key is on this machine again");
                Ok(())
            }
            Err(error) if matches!(error.downcast_ref(), Some(KeyError::None(_))) => {
                let vault = open_vault(&config)?;
                let keys = KeyStore::found(vault, &config.issuer(), &root, key_lives(&config), now())?;
                say("there were no signing keys: new ones are made, and locks of this root key will believe them");
                show(&keys)
            }
            Err(error) => Err(error),
        }
    }
}

fn now() -> Timestamp {
    MachineClock.now()
}

/// The configuration, where the key files are this account's: what another account writes, the backend could not read.
fn read(file: &ConfigFile) -> Result<Config, Box<dyn Error>> {
    let config = configured(file.config.as_deref())?;
    let folder = config.keys_dir();
    let metadata = folder.metadata().or_else(|_| config.state_dir.metadata());
    if let Ok(metadata) = metadata {
        let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner != own {
            return Err(format!(
                "{} belongs to the account {owner}, and this is {own}: run the command as that account, with `sudo -u`",
                folder.display()
            )
            .into());
        }
    }
    Ok(config)
}

fn open(config: &Config) -> Result<KeyStore, Box<dyn Error>> {
    let folder = config.keys_dir();
    if !folder.exists() {
        return Err(KeyError::None(folder).into());
    }
    let vault = open_vault(config)?;
    Ok(KeyStore::open_existing(
        vault,
        &config.issuer(),
        key_lives(config),
        now(),
    )?)
}

/// The root key of a recovery kit.
fn root_of(kit: &Path) -> Result<RootKey, Box<dyn Error>> {
    let text = std::fs::read_to_string(kit).map_err(|error| format!("{} cannot be read: {error}", kit.display()))?;
    let text = Zeroizing::new(text);
    let passphrase = passphrase::ask("Passphrase of the recovery kit")?;
    Ok(recovery_kit::read(&text, &passphrase)?)
}

/// What there is, in lines: nothing secret.
fn show(keys: &KeyStore) -> Outcome {
    let (ring, now) = (keys.ring(), now());
    say(&format!("keyset  {}", ring.version()));
    let place = if ring.has_root() {
        "on this machine"
    } else {
        "kept elsewhere"
    };
    say(&format!("root    {}  {place}", ring.root().thumbprint()));
    for purpose in USES {
        let newest = ring.newest(purpose).map(|key| key.kid().to_owned());
        for key in ring.keys().iter().filter(|key| key.purpose() == purpose) {
            let state = if key.ends_at() < now {
                "ended"
            } else if newest.as_deref() == Some(key.kid()) {
                "signs"
            } else {
                "for locks without the newest"
            };
            say(&format!(
                "{:<6}  {}  since keyset {}, {} days old, ends {}, {state}",
                word(purpose),
                key.kid(),
                key.since(),
                now.since(key.made_at()).as_secs() / DAY_SECONDS,
                key.ends_at(),
            ));
        }
    }
    let vault = keys.vault();
    say(&format!(
        "sealed under {} in {}",
        vault.key_name(),
        vault.key_path().display()
    ));
    Ok(())
}
