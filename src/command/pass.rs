//! `doorward pass`: a phone on the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use doorward::client::BackendAddress;
use doorward::crypto::random::OsRandom;
use doorward::domain::ids::LockId;
use doorward::phone::{Backend, DoorAddress, LockDoor, Wallet};
use doorward::server::MachineClock;
use doorward_lock::wire::Action;
use zeroize::Zeroizing;

use super::{Outcome, say};

/// What a phone can do.
#[derive(Debug, Subcommand)]
pub enum Pass {
    /// Sign in, register this phone, and get passes for every door that its owner may open.
    Get(Get),
    /// Get the passes anew, and deliver what locks have said. To be done while the backend is there, every few hours.
    Renew(Folder),
    /// Open a door, whether the backend is there or not.
    Open(Open),
    /// Bring the backend's messages to locks, and theirs to the backend.
    Carry(Carry),
}

/// Where the phone keeps its key and its passes.
#[derive(Debug, clap::Args)]
pub struct Folder {
    /// The phone's folder; nobody else may enter it.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The certificate authority to trust for the backend, as PEM; else those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Options of `pass get`.
#[derive(Debug, clap::Args)]
pub struct Get {
    #[command(flatten)]
    place: Folder,
    /// The backend's address, such as `https://doors.example`.
    #[arg(long, value_name = "URL")]
    server: BackendAddress,
    /// What the backend calls itself, its `http.public_url`, where it is reached at another address.
    #[arg(long, value_name = "URL")]
    known_as: Option<String>,
    /// The address to sign in with.
    #[arg(long)]
    email: String,
    /// A file whose first line is the password, or `-` for the standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    password_file: PathBuf,
    /// What to call this phone.
    #[arg(long, default_value = "Command line")]
    name: String,
}

/// Options of `pass open`.
#[derive(Debug, clap::Args)]
pub struct Open {
    #[command(flatten)]
    place: Folder,
    /// The lock: its address on the local network, such as http://192.168.1.20:8100, or its id where it was met before.
    #[arg(long, value_name = "LOCK_ID|URL", required = true)]
    lock: Vec<String>,
    /// Throw the bolt in place of withdrawing it.
    #[arg(long)]
    throw: bool,
}

/// Options of `pass carry`.
#[derive(Debug, clap::Args)]
pub struct Carry {
    #[command(flatten)]
    place: Folder,
    /// A lock to visit: its address on the local network, or its id where it was met before.
    #[arg(long, value_name = "LOCK_ID|URL")]
    lock: Vec<String>,
}

impl Pass {
    /// Runs the command.
    pub async fn run(self) -> Outcome {
        match self {
            Self::Get(get) => get.run().await,
            Self::Renew(place) => {
                let mut wallet = place.wallet()?;
                let backend = place.backend(&wallet)?;
                wallet.renew(&backend).await?;
                tell_passes(&wallet);
                Ok(())
            }
            Self::Open(open) => open.run().await,
            Self::Carry(carry) => carry.run().await,
        }
    }
}

impl Folder {
    fn wallet(&self) -> Result<Wallet, Box<dyn std::error::Error>> {
        Ok(Wallet::open(&self.folder, &OsRandom)?)
    }

    fn backend(&self, wallet: &Wallet) -> Result<Backend, Box<dyn std::error::Error>> {
        self.backend_at(wallet, wallet.server()?.parse()?, wallet.known_as())
    }

    /// The backend at this address, which may call itself otherwise, with sessions that are bound to the wallet's key.
    fn backend_at(
        &self,
        wallet: &Wallet,
        address: BackendAddress,
        known_as: Option<&str>,
    ) -> Result<Backend, Box<dyn std::error::Error>> {
        let backend = Backend::at(address, self.ca_file.as_deref())?;
        let backend = match known_as {
            Some(name) => backend.known_as(name),
            None => backend,
        };
        Ok(backend.proving(wallet.prover(Arc::new(MachineClock), Arc::new(OsRandom))?))
    }
}

impl Get {
    async fn run(self) -> Outcome {
        let mut wallet = self.place.wallet()?;
        let backend = (self.place).backend_at(&wallet, self.server, self.known_as.as_deref())?;
        let password = first_line(&self.password_file)?;
        let session = backend.sign_in(&self.email, &password).await?;
        wallet.get(&backend, session, &self.name).await?;
        tell_passes(&wallet);
        Ok(())
    }
}

impl Open {
    async fn run(self) -> Outcome {
        let mut wallet = self.place.wallet()?;
        let act = if self.throw { Action::Lock } else { Action::Unlock };
        for lock in &self.lock {
            let opened = wallet.enter(&door(&wallet, lock)?, act).await?;
            if opened.result != "ok" {
                return Err(format!("{} refused: {}", opened.lock, opened.result).into());
            }
            say(&format!(
                "{}: {}",
                opened.lock,
                if self.throw { "locked" } else { "unlocked" }
            ));
        }
        Ok(())
    }
}

impl Carry {
    async fn run(self) -> Outcome {
        let mut wallet = self.place.wallet()?;
        for lock in &self.lock {
            let met = wallet.carry(&door(&wallet, lock)?).await?;
            say(&format!("{met}: visited"));
        }
        let backend = self.place.backend(&wallet)?;
        wallet.bring_out(&backend).await?;
        say("everything is delivered");
        Ok(())
    }
}

/// The door of a lock that is named by its id or its address.
fn door(wallet: &Wallet, lock: &str) -> Result<LockDoor, Box<dyn std::error::Error>> {
    let address: DoorAddress = match lock.parse::<LockId>() {
        Ok(id) => wallet.address_of(&id)?.parse()?,
        Err(_) => lock.parse()?,
    };
    Ok(LockDoor::at(address))
}

fn tell_passes(wallet: &Wallet) {
    let mut passes = 0;
    for (lock, expires_at) in wallet.passes() {
        say(&format!("{lock}: until {expires_at}"));
        passes += 1;
    }
    if passes == 0 {
        say("there is no pass for any door now");
    }
}

/// The first line of the file, or of the standard input.
fn first_line(file: &Path) -> Result<Zeroizing<String>, Box<dyn std::error::Error>> {
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        std::io::stdin().read_line(&mut text)?;
    } else {
        text = Zeroizing::new(std::fs::read_to_string(file)?);
    }
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}
